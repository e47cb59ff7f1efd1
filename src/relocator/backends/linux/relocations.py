"""Which dynamic symbols some relocation refers to: all that a loader ever looks up.

Specification: System V gABI, chapter 4 ("Relocation"); for APS2, Android's packed relocations, bionic's linker/linker_reloc_iterators.h.
Relative relocations (DT_RELR, DT_ANDROID_RELR) refer to no symbol.
"""

import struct

from relocator.backends.linux.dynamic import (
    DT_ANDROID_REL,
    DT_ANDROID_RELA,
    DT_ANDROID_RELASZ,
    DT_ANDROID_RELR,
    DT_ANDROID_RELRSZ,
    DT_ANDROID_RELSZ,
    DT_JMPREL,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELACOUNT,
    DT_RELAENT,
    DT_RELASZ,
    DT_RELCOUNT,
    DT_RELENT,
    DT_RELR,
    DT_RELRSZ,
    DT_RELSZ,
    Dynamic,
)
from relocator.backends.linux.headers import ElfFile, Shape
from relocator.errors import UnreadableBinary

_CHUNK = 1 << 16
"""Relocations looked at in one go, so that memory does not depend on their number."""

_INDEX = {
    (True, "<", True): "12xI8x",
    (True, ">", True): "8xI12x",
    (True, "<", False): "12xI",
    (True, ">", False): "8xI4x",
    (False, "<", True): "4xI4x",
    (False, ">", True): "4xI4x",
    (False, "<", False): "4xI",
    (False, ">", False): "4xI",
}
"""By (64 bit, byte order, with addend): where r_info keeps the symbol's index, in the upper 32 bits, or above the low 8 bits."""

_GROUPED_BY_INFO, _GROUPED_BY_OFFSET, _GROUPED_BY_ADDEND, _HAS_ADDEND = 1, 2, 4, 8  # RELOCATION_GROUP*_FLAG


class Used:
    """One byte per symbol, 1 when a relocation refers to it; as long as the highest index asks for."""

    def __init__(self, room: int) -> None:
        """Take how many symbols there is room for."""
        self.flags = bytearray()
        self._room = room

    def mark(self, indexes: set[int]) -> None:
        """Note symbols; raise UnreadableBinary for an index that no symbol table of this file can have."""
        indexes.discard(0)
        if not indexes:
            return
        highest = max(indexes)
        if highest >= len(self.flags):
            if highest >= self._room:
                raise UnreadableBinary("relocations", f"one refers to symbol {highest}, there is room for {self._room}")
            self.flags.extend(bytes(highest + 1 - len(self.flags)))
        for index in indexes:
            self.flags[index] = 1


def read_used(file: ElfFile, dynamic: Dynamic, room: int) -> bytearray:
    """Return one byte for each symbol up to the last that a relocation refers to, 1 for those that one does.

    `room` is the number of symbols that fit between DT_SYMTAB and the end of its segment. Raises UnreadableBinary for a cut table.
    """
    values = dynamic.values
    used = Used(room)
    # The first DT_RELACOUNT relocations are relative ones: glibc takes that for granted, and so they need not be looked at
    with_addend, without = _layout(file.shape, True), _layout(file.shape, False)
    _check_entry("DT_RELAENT", values.get(DT_RELAENT), with_addend)
    _check_entry("DT_RELENT", values.get(DT_RELENT), without)
    _plain(used, _table(file, dynamic, DT_RELA, DT_RELASZ), with_addend, values.get(DT_RELACOUNT, 0))
    _plain(used, _table(file, dynamic, DT_REL, DT_RELSZ), without, values.get(DT_RELCOUNT, 0))
    _plain(used, _table(file, dynamic, DT_JMPREL, DT_PLTRELSZ), with_addend if values.get(DT_PLTREL, DT_RELA) == DT_RELA else without)
    _packed(file, used, _table(file, dynamic, DT_ANDROID_RELA, DT_ANDROID_RELASZ))
    _packed(file, used, _table(file, dynamic, DT_ANDROID_REL, DT_ANDROID_RELSZ))
    _table(file, dynamic, DT_RELR, DT_RELRSZ)
    _table(file, dynamic, DT_ANDROID_RELR, DT_ANDROID_RELRSZ)
    return used.flags


def _table(file: ElfFile, dynamic: Dynamic, tag: int, size_tag: int) -> bytes | memoryview:
    """Return the bytes of a table given by address and size, none when there is no such table."""
    address, size = dynamic.values.get(tag), dynamic.values.get(size_tag, 0)
    return b"" if address is None else file.mapped(address, size, "relocations")


def _layout(shape: Shape, addend: bool) -> tuple[struct.Struct, int]:
    """Return how to take r_info's part with the symbol's index out of an entry, and how far the index has to be shifted."""
    return struct.Struct(shape.order + _INDEX[shape.wide, shape.order, addend]), 0 if shape.wide else 8


def _check_entry(field: str, size: int | None, layout: tuple[struct.Struct, int]) -> None:
    if size is not None and size != layout[0].size:
        raise UnreadableBinary(field, f"is {size}, every loader wants {layout[0].size}")


def _plain(used: Used, raw: bytes | memoryview, layout: tuple[struct.Struct, int], relative: int = 0) -> None:
    entry, shift = layout
    size = entry.size
    end = len(raw) - len(raw) % size
    for start in range(min(relative * size, end), end, _CHUNK * size):
        found = {index for (index,) in entry.iter_unpack(raw[start : min(start + _CHUNK * size, end)])}
        used.mark({index >> shift for index in found} if shift else found)


class _Numbers:
    """A stream of signed LEB128 numbers."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    def take(self) -> int:
        """Return the next number; raise UnreadableBinary at the end, or for one of more than 64 bits."""
        value = shift = 0
        while shift < 70:
            if self._at >= len(self._raw):
                raise UnreadableBinary("DT_ANDROID_REL", "the packed relocations end within a number")
            byte = self._raw[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value - (1 << shift) if byte & 0x40 else value
        raise UnreadableBinary("DT_ANDROID_REL", "a number of the packed relocations has more than 64 bits")


def _packed(file: ElfFile, used: Used, raw: bytes | memoryview) -> None:
    """Mark the symbols of packed relocations. A group whose entries differ in nothing is one step, however many it claims."""
    if not raw:
        return
    if bytes(raw[:4]) != b"APS2":
        raise UnreadableBinary("DT_ANDROID_REL", f"the packed relocations start with {bytes(raw[:4])!r}, not APS2")
    numbers = _Numbers(bytes(raw[4:]))
    infos: set[int] = set()
    left, _ = numbers.take(), numbers.take()  # count, first offset
    while left > 0:
        count, flags = numbers.take(), numbers.take()
        if not 0 < count <= left:
            raise UnreadableBinary("DT_ANDROID_REL", f"a group of {count} packed relocations, {left} are left")
        left -= count
        _group(numbers, count, flags, infos)
    bits, shift = (64, 32) if file.shape.wide else (32, 8)
    used.mark({(info & (1 << bits) - 1) >> shift for info in infos})


def _group(numbers: _Numbers, count: int, flags: int, infos: set[int]) -> None:
    """Read one group: what its entries have in common, then what each has of its own, in the order offset, info, addend."""
    common = (flags & _GROUPED_BY_OFFSET, flags & _GROUPED_BY_INFO, flags & _GROUPED_BY_ADDEND)
    present = (True, True, bool(flags & _HAS_ADDEND))
    for position in range(3):
        if common[position] and present[position]:
            number = numbers.take()
            if position == 1:
                infos.add(number)
    own = [position for position in range(3) if present[position] and not common[position]]
    for _ in range(count if own else 0):
        for position in own:
            number = numbers.take()
            if position == 1:
                infos.add(number)
