"""What `relocate` can do, for programs: `from relocator.api import audit`.

Every function takes one path or several, looks at all of them and returns what it found, together with a `Failure` for each path that
could not be looked at. Only a request that makes no sense (an unknown rule, an impossible target) raises: `relocator.errors.UsageError`.

Nothing here looks at the host: a result is about the target that the tags name, or the one asked for. Readers, loaders and rules are
imported by the first call, so that importing this module costs little.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from relocator.errors import RelocatorError, UsageError
from relocator.facts import Forest, Profile, forests, profile
from relocator.findings import Failure, Report
from relocator.model import ContainerFacts, Survey
from relocator.tags import targets_of

__all__ = ["Failure", "Forest", "Profile", "Progress", "Report", "Step", "audit", "show", "tree"]

Location = str | os.PathLike[str]

Found = TypeVar("Found")


class Step(NamedTuple):
    """How far the work has come."""

    subject: str
    number: int
    """Of the subject, from 1."""
    total: int
    """Subjects asked for."""
    member: str
    """The file just read; "" when the subject is about to be opened."""
    size: int
    """Bytes of that file."""


Progress = Callable[[Step], None]


class _Asked(NamedTuple):
    """Options that every function has."""

    target: str
    search: Sequence[Location]
    max_size: int | None
    progress: Progress | None


def audit(
    paths: Location | Iterable[Location],
    *,
    target: str = "",
    search: Sequence[Location] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Report, ...], tuple[Failure, ...]]:
    """Judge wheels, folders and files.

    There is one report for each operating system and libc that a subject's tags, or `target`, name. `select` names the rules to run
    (all of them when empty); findings of rules named by `ignore` are kept apart as suppressed. `search` adds directories in which
    libraries are looked for after everything that the real loader tries. An archive that would inflate to more than `max_size` bytes
    (16 GiB when None) is a failure.
    """
    from relocator import rules  # noqa: PLC0415  (start-up time, here and below)
    from relocator.audit import run_rules, suppress  # noqa: PLC0415

    chosen, ignored = rules.select(tuple(select)), frozenset(rules.named(name).name for name in ignore)

    def judge(surveys: tuple[Survey, ...]) -> tuple[Report, ...]:
        return tuple(suppress(run_rules(survey, chosen), ignored) for survey in surveys)

    return _each(paths, _Asked(target, search, max_size, progress), judge)


def show(
    paths: Location | Iterable[Location],
    *,
    target: str = "",
    search: Sequence[Location] = (),
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Profile, ...], tuple[Failure, ...]]:
    """Tell what packages hold and need, and which platform tag their binaries allow; options as for `audit`."""
    return _each(paths, _Asked(target, search, max_size, progress), lambda surveys: tuple(map(profile, surveys)))


def tree(
    paths: Location | Iterable[Location],
    member: str = "",
    *,
    target: str = "",
    search: Sequence[Location] = (),
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Forest, ...], tuple[Failure, ...]]:
    """Tell what each extension module, program and library brings into its process, or only those that `member` names.

    `member` is a name inside the package, the end of one, or a pattern; UsageError when it fits none. Other options as for `audit`.
    """
    return _each(paths, _Asked(target, search, max_size, progress), lambda surveys: forests(surveys, member))


def _each(
    paths: Location | Iterable[Location], asked: _Asked, work: Callable[[tuple[Survey, ...]], tuple[Found, ...]]
) -> tuple[tuple[Found, ...], tuple[Failure, ...]]:
    """Survey each path and do the work on it; what cannot be opened becomes a Failure, usage errors are raised."""
    from relocator.containers import MAX_SIZE, open_container  # noqa: PLC0415
    from relocator.survey import take_surveys  # noqa: PLC0415

    targets_of(ContainerFacts("file", ""), asked.target)  # refuses an impossible target before anything is read
    subjects = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    directories = tuple(map(_directory, asked.search))
    found: list[Found] = []
    failures: list[Failure] = []
    for number, subject in enumerate(subjects, 1):
        try:
            report = _reporter(asked.progress, subject, number, len(subjects))
            with open_container(subject, max_size=asked.max_size or MAX_SIZE) as container:
                found += work(take_surveys(container, target=asked.target, search=directories, progress=report))
        except UsageError:
            raise
        except RelocatorError as error:
            failures.append(Failure(subject, error.message, error.hint, error.exit_code))
    return tuple(found), tuple(failures)


def _directory(path: Location) -> str:
    absolute = os.path.abspath(path)  # noqa: PTH100  (normalises "..", which Path.absolute keeps; a Path would hide trailing garbage)
    if not os.path.isdir(absolute):  # noqa: PTH112
        raise UsageError(f"{os.fspath(path)!r} is not a directory to search", "`--search` takes existing directories")
    return absolute.replace(os.sep, "/")


def _reporter(progress: Progress | None, subject: str, number: int, total: int) -> Callable[[str, int], None] | None:
    if progress is None:
        return None
    progress(Step(subject, number, total, "", 0))
    return lambda member, size: progress(Step(subject, number, total, member, size))
