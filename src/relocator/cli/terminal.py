"""What only a terminal has: colours, a progress line, a pager, a reader that may go away."""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Self

import click

from relocator.api import Progress, Step
from relocator.cli.options import Printing
from relocator.errors import ContainerError, UsageError
from relocator.findings import Failure
from relocator.output import renderer
from relocator.paint import Style, View, plain, printable

_COLOURS = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "note": {"fg": "cyan"},
    "good": {"fg": "green"},
    "strong": {"bold": True},
    "dim": {"dim": True},
}
GONE = (errno.EPIPE, errno.EINVAL)
"""What writing to a reader that went away ends with: on POSIX, and on Windows."""

PERIOD = 0.1
"""Seconds between two states of the progress line, and before the first."""


def view(printing: Printing) -> View:
    """Return the view for standard output, or for a file."""
    return View(_style(printing.color, printing.output), printing.verbose, printing.quiet)


def _style(color: str, output: str) -> Style:
    if color == "never" or (color == "auto" and not _colourful(output)):
        return plain
    return lambda text, role: click.style(text, **_COLOURS[role])  # type: ignore[arg-type]


def _colourful(output: str) -> bool:
    """Tell whether to colour unasked: NO_COLOR forbids, FORCE_COLOR demands (no-color.org, force-color.org), else a terminal decides."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return _on_stdout(output) and os.environ.get("TERM") != "dumb" and _is_terminal(sys.stdout)


def _is_terminal(stream: object) -> bool:
    return bool(stream and hasattr(stream, "isatty") and stream.isatty())


class Meter:
    """A single line on standard error that says how far the work has come; nothing in pipes."""

    def __init__(self, quiet: bool) -> None:
        self._shown = False
        self._active = not quiet and _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
        self._next = time.monotonic() + PERIOD
        self._files = self._bytes = 0

    def of(self, number: int, total: int) -> Progress:
        """Return the callback for one subject among several."""

        def tell(step: Step) -> None:
            if not step.member:
                self._files = self._bytes = 0
            else:
                self._files += 1
                self._bytes += step.size
            if self._active and time.monotonic() >= self._next:
                self._show(step, f"{number}/{total} " if total > 1 else "")

        return tell

    def follow(self, step: Step) -> None:
        """Show a step of a call that has several subjects, and counts them itself."""
        self.of(step.number, step.total)(step)

    def _show(self, step: Step, position: str) -> None:
        subject = printable(step.subject.replace("\\", "/").rpartition("/")[2])
        text = f"{position}{subject}: {self._files:,} files, {self._bytes / 1e6:,.0f} MB"
        sys.stderr.write(f"\r{text[: get_terminal_size().columns - 1]}\x1b[K")
        sys.stderr.flush()
        self._shown, self._next = True, time.monotonic() + PERIOD

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def refuse_overwriting(output: str, inputs: Sequence[str], option: str = "--output") -> None:
    """Raise UsageError when the output file, which this option names, is one of the inputs."""
    for path in inputs if output else ():
        with contextlib.suppress(OSError, ValueError):
            if Path(output).samefile(path):
                raise UsageError(f"{option} would replace the input {printable(path)}", "name another file")


def deliver(noun: str, printing: Printing, *values: object) -> None:
    """Render a noun's values and write them where the user wants them."""
    write(renderer(printing.form, noun)(*values, view(printing)), printing)


def write(text: str, printing: Printing) -> None:
    """Write to a file, or to standard output; a reader that went away is no error."""
    if not _on_stdout(printing.output):
        replace_file(printing.output, text)
        return
    if sys.stdout is None:  # closed by whoever started us
        return
    try:
        click.echo(text, sys.stdout, nl=False, color=True)  # whatever colour there is was asked for by `view`
    except OSError as error:
        _let_go()
        if error.errno not in GONE:
            raise _unwritable("standard output", error) from error


def _unwritable(place: str, error: OSError) -> ContainerError:
    return ContainerError(f"cannot write {place}: {error.strerror}", "the place must exist, be writable and have room")


def complain(failures: Sequence[Failure]) -> None:
    """Say on standard error what could not be looked at, wherever the result went."""
    if sys.stderr:
        with contextlib.suppress(BrokenPipeError):
            click.echo(renderer("text", "failures")(failures, View()), sys.stderr, nl=False)


def notify(notices: Sequence[str]) -> None:
    """Say on standard error what is worth knowing beside the result."""
    if sys.stderr:
        with contextlib.suppress(BrokenPipeError):
            for notice in notices:
                click.echo(f"note: {notice}", sys.stderr)


def _on_stdout(output: str) -> bool:
    return output in ("", "-")


def _let_go() -> None:
    """Give standard output somewhere to flush to when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def replace_file(name: str, text: str) -> None:
    """Write beside the file and rename; what is no regular file (a device, a pipe) is written to. Raise ContainerError when it fails."""
    path = Path(os.path.realpath(name))
    special = path.exists() and not path.is_file()
    draft = path if special else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        if not special:
            draft.replace(path)
    except OSError as error:
        raise _unwritable(printable(str(path)), error) from error
    finally:
        if not special:
            draft.unlink(missing_ok=True)


def page_through(noun: str, printing: Printing, *values: object) -> None:
    """Show a long text in the user's pager when standard output is a terminal; otherwise write it."""
    if _on_stdout(printing.output) and _is_terminal(sys.stdout):
        click.echo_via_pager(renderer(printing.form, noun)(*values, View()), color=False)
    else:
        deliver(noun, printing, *values)
