"""What Windows changes in a file for two architectures (ARM64X) when a process of the other one loads it.

winnt.h, IMAGE_DYNAMIC_RELOCATION_TABLE and IMAGE_DVRT_ARM64X_FIXUP_RECORD. The load configuration says where the table lies.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.backends.windows.layout import LOAD_CONFIG, Layout, Region, header_offset
from relocator.buffer import cut
from relocator.errors import UnreadableBinary

_TABLE_FIELDS = 0xE0
"""Offset of DynamicValueRelocTableOffset and DynamicValueRelocTableSection in IMAGE_LOAD_CONFIG_DIRECTORY64."""
_CHPE_METADATA = 0xC8
_ARM64X = 6  # IMAGE_DYNAMIC_RELOCATION_ARM64X
_ZEROED, _VALUE, _DELTA = 0, 1, 2  # IMAGE_DVRT_ARM64X_FIXUP_TYPE_*
_SECTION_ROW = 40


class Fixup(NamedTuple):
    """Bytes that are others in the other view."""

    rva: int
    size: int
    value: bytes | None
    """What they become; None for a sum with what is there."""


def is_hybrid(layout: Layout) -> bool:
    """Tell whether the load configuration has metadata of ARM64EC or ARM64X code."""
    region = layout.region(LOAD_CONFIG)
    if region is None or not layout.plus:
        return False
    size = int.from_bytes(layout.cut(region.rva, 4, "load configuration"), "little")
    return size >= _CHPE_METADATA + 8 and any(layout.cut(region.rva + _CHPE_METADATA, 8, "load configuration"))


def read_fixups(layout: Layout) -> tuple[Fixup, ...]:
    """Return the fixups, none for the files of one architecture; raise UnreadableBinary when their table is cut."""
    region = layout.region(LOAD_CONFIG)
    if region is None or not layout.plus:
        return ()
    size = int.from_bytes(layout.cut(region.rva, 4, "load configuration"), "little")
    if size < _TABLE_FIELDS + 6:
        return ()
    offset, section = struct.unpack("<IH", layout.cut(region.rva + _TABLE_FIELDS, 6, "load configuration"))
    if not offset or not section:
        return ()
    return tuple(_table(layout, _section_rva(layout, section) + offset))


def _section_rva(layout: Layout, number: int) -> int:
    start = header_offset(layout.buffer)
    assert start is not None
    count = int.from_bytes(cut(layout.buffer, start + 6, 2, "NumberOfSections"), "little")
    if number > count:
        raise UnreadableBinary("DynamicValueRelocTableSection", f"{number}, the file has {count} sections")
    row = layout.table_end - _SECTION_ROW * (count - number + 1)
    return int.from_bytes(cut(layout.buffer, row + 12, 4, "VirtualAddress"), "little")


def _table(layout: Layout, rva: int) -> Iterator[Fixup]:
    version, size = struct.unpack("<2I", layout.cut(rva, 8, "dynamic relocation table"))
    if version != 1:  # version 2 is for the kernel alone
        return
    raw = layout.cut(rva + 8, size, "dynamic relocation table")
    at = 0
    while at + 12 <= len(raw):
        symbol, length = struct.unpack_from("<QI", raw, at)
        if symbol == _ARM64X:
            yield from _blocks(raw[at + 12 : at + 12 + length])
        at += 12 + length


def _blocks(raw: bytes) -> Iterator[Fixup]:
    at = 0
    while at + 8 <= len(raw):
        page, size = struct.unpack_from("<2I", raw, at)
        if size < 8:
            raise UnreadableBinary("IMAGE_BASE_RELOCATION", f"a block of {size} bytes")
        yield from _entries(page, raw[at + 8 : at + size])
        at += size


def _entries(page: int, raw: bytes) -> Iterator[Fixup]:
    at = 0
    while at + 2 <= len(raw):
        entry = int.from_bytes(raw[at : at + 2], "little")
        at += 2
        if not entry:  # filled up to a multiple of four
            return
        kind, argument = entry >> 12 & 3, entry >> 14
        size, rva = 1 << argument, page + (entry & 0xFFF)
        if kind == _ZEROED:
            yield Fixup(rva, size, bytes(size))
        elif kind == _VALUE:
            yield Fixup(rva, size, raw[at : at + size])
            at += size
        elif kind == _DELTA:
            yield Fixup(rva, 4, None)
            at += 2


def directories_of_views(layout: Layout) -> tuple[tuple[Region, ...], ...]:
    """Return the data directories as the file has them, then those of the other view where they differ."""
    start = header_offset(layout.buffer)
    assert start is not None
    first = start + 24 + (112 if layout.plus else 96)
    raw = bytearray(b"".join(struct.pack("<2I", *region) for region in layout.directories))
    for fixup in read_fixups(layout):
        at = fixup.rva - first
        if fixup.value is not None and 0 <= at <= len(raw) - fixup.size and len(fixup.value) == fixup.size:
            raw[at : at + fixup.size] = fixup.value
    other = tuple(Region(*pair) for pair in struct.iter_unpack("<2I", raw))
    return (layout.directories,) if other == layout.directories else (layout.directories, other)
