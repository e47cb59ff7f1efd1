"""macOS: Mach-O files, dyld, and what the system promises."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relocator.backends.macos.constants import constants
from relocator.backends.macos.load import load
from relocator.backends.macos.promises import promises
from relocator.backends.macos.read import read, recognises
from relocator.buffer import Buffer
from relocator.model import Format

if TYPE_CHECKING:
    from relocator.plans import Edit, Patchset

FORMAT = Format.MACHO

__all__ = ["FORMAT", "check_layout", "constants", "load", "prepare", "promises", "read", "recognises"]


def prepare(buffer: Buffer, edits: "Sequence[Edit]") -> "Patchset":
    """Return the patches that carry out all edits of one file together; see `edit.prepare`."""
    from relocator.backends.macos import edit  # noqa: PLC0415  an audit does not pay for it

    return edit.prepare(buffer, edits)


def check_layout(data: Buffer) -> tuple[str, ...]:
    """Return what is wrong with the layout of a whole file, one line each; see `layout.check_layout`."""
    from relocator.backends.macos import layout  # noqa: PLC0415  an audit does not pay for it

    return layout.check_layout(data)
