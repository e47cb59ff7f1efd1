"""The records of DT_VERNEED and DT_VERDEF, with where they lie, for those who change them.

Specification: Linux Standard Base, "Symbol Versioning" (Elfxx_Verneed, Elfxx_Vernaux, Elfxx_Verdef, Elfxx_Verdaux).
"""

import struct
from typing import NamedTuple

from relocator.backends.linux.dynamic import DT_VERDEF, DT_VERNEED, Dynamic
from relocator.backends.linux.headers import ElfFile
from relocator.buffer import cut
from relocator.errors import UnreadableBinary

_MOST_RECORDS = 1 << 16
_BASE = 1  # VER_FLG_BASE


class NeedRecord(NamedTuple):
    """One Elfxx_Verneed."""

    offset: int
    """In the file."""
    library: int
    """vn_file."""
    following: int
    """vn_next."""
    numbers: tuple[int, ...]
    """vna_other of each version, as DT_VERSYM spells it."""
    names: tuple[int, ...]
    """vna_name of each version."""


class DefinitionRecord(NamedTuple):
    """One Elfxx_Verdef."""

    offset: int
    """In the file."""
    base: bool
    """Names the library itself, not a version."""
    first: int
    """Where the first Elfxx_Verdaux lies in the file, which has the name."""
    names: tuple[int, ...]
    """vda_name: of itself, then of its parents."""


class _Walk:
    """Reads records, a bounded number of them: chains may share tails and so be longer than the file."""

    def __init__(self, file: ElfFile, field: str) -> None:
        self._file, self._field, self._left = file, field, _MOST_RECORDS

    def read(self, layout: str, offset: int) -> tuple[int, ...]:
        self._left -= 1
        if self._left < 0:
            raise UnreadableBinary(self._field, f"there are more than {_MOST_RECORDS} version records")
        record = struct.Struct(self._file.shape.order + layout)
        return record.unpack(cut(self._file.buffer, offset, record.size, self._field))


def need_records(file: ElfFile, dynamic: Dynamic) -> tuple[NeedRecord, ...]:
    """Return the records of DT_VERNEED, in order; raise UnreadableBinary when they leave the file."""
    if DT_VERNEED not in dynamic.values:
        return ()
    walk, found = _Walk(file, "DT_VERNEED"), []
    offset = file.place(dynamic.values[DT_VERNEED], 16, "DT_VERNEED")[0]
    while True:
        _, count, library, at, following = walk.read("2H3I", offset)
        asked, place = [], offset + at
        for _ in range(count):
            _, _, number, name, further = walk.read("I2H2I", place)
            asked.append((number, name))
            if not further:
                break
            place += further
        found.append(NeedRecord(offset, library, following, tuple(n for n, _ in asked), tuple(n for _, n in asked)))
        if not following:
            return tuple(found)
        offset += following


def definition_records(file: ElfFile, dynamic: Dynamic) -> tuple[DefinitionRecord, ...]:
    """Return the records of DT_VERDEF, in order; raise UnreadableBinary when they leave the file."""
    if DT_VERDEF not in dynamic.values:
        return ()
    walk, found = _Walk(file, "DT_VERDEF"), []
    offset = file.place(dynamic.values[DT_VERDEF], 20, "DT_VERDEF")[0]
    while True:
        _, flags, _, count, _, at, following = walk.read("4H3I", offset)
        names, place = [], offset + at
        for _ in range(max(count, 1)):
            name, further = walk.read("2I", place)
            names.append(name)
            if not further:
                break
            place += further
        found.append(DefinitionRecord(offset, bool(flags & _BASE), offset + at, tuple(names)))
        if not following:
            return tuple(found)
        offset += following
