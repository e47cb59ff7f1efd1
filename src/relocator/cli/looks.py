"""One look at each path, and the result where the user wants it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from relocator.api import Progress
from relocator.cli import mishap
from relocator.cli.options import Request
from relocator.cli.terminal import Meter, complain, deliver, refuse_overwriting
from relocator.errors import UsageError
from relocator.findings import Failure

Found = TypeVar("Found")


def look_at(
    noun: str, paths: Sequence[str], request: Request, look: Callable[[str, Progress], tuple[tuple[Found, ...], tuple[Failure, ...]]]
) -> tuple[list[Found], int]:
    """Look at each path, print all that was found, and return it with the highest exit status that some failure asks for."""
    refuse_overwriting(request.printing.output, paths)
    found, failures = _gathered(paths, request, look)
    deliver(noun, request.printing, found, failures)
    complain(failures)
    return found, max((failure.code for failure in failures), default=0)


def _gathered(
    paths: Sequence[str], request: Request, look: Callable[[str, Progress], tuple[tuple[Found, ...], tuple[Failure, ...]]]
) -> tuple[list[Found], list[Failure]]:
    """Look at each path; neither a failure nor a bug that one of them meets keeps the others from being looked at."""
    found: list[Found] = []
    failures: list[Failure] = []
    with Meter(request.printing.quiet) as meter:
        for number, path in enumerate(paths, 1):
            try:
                more, failed = look(path, meter.of(number, len(paths)))
            except UsageError:
                raise
            except Exception as error:  # the edge: one wheel that we stumble over must not cost the result for all others
                if request.traceback or mishap.wants_traceback():
                    raise
                failures.append(mishap.failure(error, path))
            else:
                found.extend(more)
                failures.extend(failed)
    return found, failures
