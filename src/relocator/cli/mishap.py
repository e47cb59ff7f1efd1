"""What is said when relocate itself fails: short, without a traceback, and with what a report needs."""

import os
import traceback
from collections.abc import Sequence

from relocator import __version__
from relocator.findings import Failure
from relocator.paint import printable

CODE = 5


def wants_traceback(arguments: Sequence[str] = ()) -> bool:
    """Tell whether the user asked for tracebacks."""
    return "--traceback" in arguments or os.environ.get("RELOCATOR_TRACEBACK", "") not in ("", "0")


def told(error: BaseException, arguments: Sequence[str] = ()) -> str:
    """Return what to tell about an exception that nobody foresaw: an apology, or the traceback when it is asked for."""
    if wants_traceback(arguments):
        return "".join(traceback.format_exception(error)).rstrip()
    return f"error: relocate itself failed: {_what(error)}\n  = help: {_report()}"


def failure(error: BaseException, subject: str) -> Failure:
    """Return the same as the failure of one subject among several."""
    return Failure(subject, f"relocate itself failed: {_what(error)}", _report(), CODE)


def _what(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119  (text, not a path)
    message = f" ({printable(str(error))})" if str(error) else ""
    return f"{type(error).__name__}{place}{message}"


def _report() -> str:
    return (
        f"sorry, this is a bug in relocate {__version__}; please report it with this message and, if you may, the file;"
        " --traceback shows where it happened"
    )
