"""Changes as data: what is to be different in one binary, and the bytes that make it so.

Edits speak the language of the loaders; a backend's `prepare` turns them into a `Patchset` for the bytes of one file. Both are plain
values: they can be shown, stored and compared before anything is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from relocator.errors import InternalError, RelocatorError


class EditRefused(RelocatorError):
    """An edit that cannot be made without breaking the file, or makes no sense for it: why, and what to do instead."""

    exit_code = 4


class PathKind(StrEnum):
    """In which tag an ELF file keeps its search path."""

    KEEP = "keep"
    """The file's own kind; DT_RUNPATH where it has none."""
    RPATH = "rpath"
    RUNPATH = "runpath"


@dataclass(frozen=True, slots=True)
class SetSearchPaths:
    """Make these the search paths, in order; none removes them. ELF: joined with ":". Mach-O: one LC_RPATH each."""

    paths: tuple[str, ...]
    kind: PathKind = PathKind.KEEP
    """ELF only."""
    arch: str = ""
    """Mach-O: only this slice; "" for all."""


@dataclass(frozen=True, slots=True)
class ReplaceNeeded:
    """Give a need another name, its kind kept. PE: in imports, delay imports and export forwarders."""

    old: str
    new: str
    arch: str = ""


@dataclass(frozen=True, slots=True)
class AddNeeded:
    """Add a need. ELF: the first one, so that it is searched before the others, as patchelf does."""

    name: str
    arch: str = ""


@dataclass(frozen=True, slots=True)
class RemoveNeeded:
    """Take a need away, with the symbol versions asked of it."""

    name: str
    arch: str = ""


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """Set the name by which others need this library: DT_SONAME, LC_ID_DYLIB, the name in the export directory."""

    name: str
    arch: str = ""


@dataclass(frozen=True, slots=True)
class SetInterpreter:
    """Set PT_INTERP. ELF programs only."""

    path: str


@dataclass(frozen=True, slots=True)
class SetExecutableStack:
    """Set or clear PF_X in PT_GNU_STACK. ELF only."""

    executable: bool


@dataclass(frozen=True, slots=True)
class Resign:
    """Replace whatever signature there is with an ad-hoc one (Mach-O), or take the certificate off (PE)."""

    arch: str = ""


Edit = SetSearchPaths | ReplaceNeeded | AddNeeded | RemoveNeeded | SetIdentity | SetInterpreter | SetExecutableStack | Resign


class Patch(NamedTuple):
    """Bytes that change in place, or are added at or beyond the end."""

    offset: int
    """In the new file, from its start."""
    old: bytes
    """What lay there; shorter than `new` only where the file grows."""
    new: bytes
    reason: str
    """"DT_RUNPATH: string", "PT_LOAD for relocator's strings", "CodeDirectory: hash of page 0", ..."""


class Move(NamedTuple):
    """Bytes that stay the same and lie elsewhere in the new file: a slice of a universal file behind one that grew."""

    source: int
    """In the old file."""
    target: int
    """In the new file."""
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Patchset:
    """What a plan becomes when it meets the bytes of one file. Falsy when nothing changes."""

    size_before: int
    size_after: int
    patches: tuple[Patch, ...] = ()
    """Sorted by offset, not overlapping."""
    moves: tuple[Move, ...] = ()
    """Carried out before the patches, from the old file."""
    remarks: tuple[str, ...] = ()
    """What the user should know: "the program header table was moved", "the certificate was removed"."""

    def __bool__(self) -> bool:
        return bool(self.patches or self.moves or self.size_before != self.size_after)


def apply_patches(data: bytes | memoryview, patchset: Patchset) -> bytearray:
    """Return the new file. Bytes between the old and the new end that no patch covers are zero.

    Raises InternalError when the bytes are not those that the patches were made for, or when patches overlap.
    """
    if len(data) != patchset.size_before:
        raise InternalError(f"patches for a file of {patchset.size_before} bytes met one of {len(data)}")
    new = bytearray(data[: patchset.size_after])
    new.extend(bytes(patchset.size_after - len(new)))
    for move in patchset.moves:
        new[move.target : move.target + move.size] = data[move.source : move.source + move.size]
    end = 0
    for patch in patchset.patches:
        if patch.offset < end or patch.offset + len(patch.new) > patchset.size_after:
            raise InternalError(f"the patch at {patch.offset:#x} ({patch.reason}) overlaps another one or the end of the file")
        if not patchset.moves and bytes(data[patch.offset : patch.offset + len(patch.old)]) != patch.old:
            raise InternalError(f"the patch at {patch.offset:#x} ({patch.reason}) does not find the bytes that it replaces")
        end = patch.offset + len(patch.new)
        new[patch.offset : end] = patch.new
    return new


def sorted_patches(patches: Iterable[Patch]) -> tuple[Patch, ...]:
    """Return patches by offset, those that change nothing left out, neighbours of one reason joined."""
    found: list[Patch] = []
    for patch in sorted(patches):
        if patch.old == patch.new:
            continue
        last = found[-1] if found else None
        if last and last.reason == patch.reason and last.offset + len(last.new) == patch.offset and len(last.old) == len(last.new):
            found[-1] = Patch(last.offset, last.old + patch.old, last.new + patch.new, last.reason)
        else:
            found.append(patch)
    return tuple(found)
