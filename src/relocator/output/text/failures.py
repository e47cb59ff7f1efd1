"""Subjects that could not be looked at, as text: for standard error, whatever the form of the result."""

from collections.abc import Sequence

from relocator.findings import Failure
from relocator.paint import View, printable


def render_failures(failures: Sequence[Failure], view: View) -> str:
    """Render why each subject could not be looked at, and what to do."""
    return "".join(_failure(failure, view) for failure in failures)


def _failure(failure: Failure, view: View) -> str:
    line = f"{view.style('error', 'error')}: {printable(failure.subject) or '(empty path)'}: {printable(failure.message)}\n"
    return line + (f"  = help: {printable(failure.hint)}\n" if failure.hint else "")
