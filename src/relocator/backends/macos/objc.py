"""Which Objective-C classes a Mach-O slice defines, whether it exports them or not: the runtime registers all by name when it is loaded.

The section __objc_classlist holds a pointer to each class; from there a pointer leads to its read-only data, and from that one to its name
(objc4, runtime/objc-runtime-new.h, struct objc_class and class_ro_t). Pointers are addresses in files with rebase opcodes; in those with
chained fixups (<mach-o/fixup-chains.h>) the low 36 bits are the target, as an address or as a distance from the start of the image.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.backends.macos.commands import Header, Slice, walk
from relocator.buffer import text

_SEGMENT_64 = 0x19
_SECTION = b"__objc_classlist"
_SECTIONS, _COUNT = 72, 64
"""Offsets in a segment_command_64: the first section_64, and the number of sections."""
_TARGET = 0xF_FFFF_FFFF
_DATA, _DATA_MASK = 32, ~7
"""Offset of the data pointer in objc_class; its low bits are flags."""
_NAME = 24
_LONGEST = 1024
_MOST = 1 << 14
"""Classes read of one list."""
_MOST_SEGMENTS = 64
"""Linkers write about five; a hostile file has thousands, to be searched for each pointer."""


class _Segment(NamedTuple):
    address: int
    offset: int
    size: int
    """Bytes of the file."""


def defined_classes(part: Slice, header: Header) -> tuple[str, ...]:
    """Return the names of the classes, sorted; () for 32-bit files. A pointer that leads nowhere is left out."""
    raw = bytes(part.cut(header.size, header.commands_size, "load commands"))
    if not header.wide or _SECTION not in raw:
        return ()
    segments: list[_Segment] = []
    lists: list[tuple[int, int]] = []
    for command, offset, size in walk(raw, header, part.start + header.size):
        if command == _SEGMENT_64 and size >= _SECTIONS:
            address, _, place, length = struct.unpack_from(header.order + "4Q", raw, offset + 24)
            segments.append(_Segment(address, place, length))
            lists += _class_lists(raw[offset : offset + size], header.order)
    memory = _Memory(part, header.order, segments[:_MOST_SEGMENTS])
    names = {name for offset, size in lists[:_MOST_SEGMENTS] for name in memory.names(offset, min(size // 8, _MOST))}
    return tuple(sorted(names))


def _class_lists(segment: bytes, order: str) -> Iterator[tuple[int, int]]:
    """Yield offset in the slice and size of each list of classes in a segment."""
    (count,) = struct.unpack_from(order + "I", segment, _COUNT)
    rows = struct.iter_unpack(order + "16s24xQI28x", segment[_SECTIONS : _SECTIONS + 80 * min(count, (len(segment) - _SECTIONS) // 80)])
    return ((offset, size) for name, size, offset in rows if name == _SECTION)


class _Memory:
    """The slice as it is mapped, as far as it lies in the file."""

    def __init__(self, part: Slice, order: str, segments: list[_Segment]) -> None:
        self.part, self.segments, self.pointer = part, segments, struct.Struct(order + "Q")
        self.base = min((segment.address for segment in segments if segment.size), default=0)

    def names(self, offset: int, count: int) -> Iterator[str]:
        for index in range(count):
            entry = self._file(offset + 8 * index, 8)
            data = self._follow(self._target(entry), _DATA)
            name = self._bytes(self._follow(data & _DATA_MASK, _NAME), _LONGEST).partition(b"\0")[0] if data else b""
            if name:
                yield text(name)

    def _follow(self, address: int, offset: int) -> int:
        return self._target(self._bytes(address + offset, 8)) if address else 0

    def _target(self, raw: bytes) -> int:
        value = self.pointer.unpack(raw)[0] & _TARGET if len(raw) == 8 else 0
        return value + self.base if value and value < self.base else value

    def _bytes(self, address: int, size: int) -> bytes:
        """Return up to `size` bytes at an address; b"" where nothing of the file is mapped."""
        for segment in self.segments:
            inside = address - segment.address
            if 0 <= inside < segment.size:
                return self._file(segment.offset + inside, min(size, segment.size - inside))
        return b""

    def _file(self, offset: int, size: int) -> bytes:
        return bytes(self.part.cut(offset, size, _SECTION.decode())) if 0 <= offset <= offset + size <= self.part.size else b""
