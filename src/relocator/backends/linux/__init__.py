"""Linux and Android: ELF files, their three loaders, and what the systems promise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relocator.backends.linux.constants import constants
from relocator.backends.linux.load import load
from relocator.backends.linux.promises import promises
from relocator.backends.linux.read import read, recognises
from relocator.buffer import Buffer
from relocator.model import Format

if TYPE_CHECKING:
    from relocator.plans import Edit, Patchset

FORMAT = Format.ELF

__all__ = ["FORMAT", "check_layout", "constants", "load", "prepare", "promises", "read", "recognises"]


def prepare(buffer: Buffer, edits: "Sequence[Edit]") -> "Patchset":
    """Return the patches that carry out all edits of one file together; see `edit.prepare`."""
    from relocator.backends.linux import edit  # noqa: PLC0415  an audit does not pay for it

    return edit.prepare(buffer, edits)


def check_layout(data: Buffer) -> tuple[str, ...]:
    """Return one line for each rule about where things lie that a file breaks; see `layout_check.check_layout`."""
    from relocator.backends.linux import layout_check  # noqa: PLC0415  an audit does not pay for it

    return layout_check.check_layout(data)
