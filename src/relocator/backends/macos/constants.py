"""Where a Mach-O slice keeps its string literals: sections of the type S_CSTRING_LITERALS in __TEXT (<mach-o/loader.h>)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.backends.macos.commands import Header, Slice, read_header
from relocator.buffer import Buffer
from relocator.model import Image
from relocator.native import MachOFacts

_CSTRING_LITERALS = 0x2
_TYPE = 0xFF  # SECTION_TYPE


class _Segment(NamedTuple):
    """How a segment command of one width is laid out; offsets from the start of the command."""

    command: int
    number: int
    """Where the number of sections is."""
    sections: int
    section: str
    """Size, offset and flags of a section."""


_SEGMENTS = {True: _Segment(0x19, 64, 72, "32x8xQI12xI12x"), False: _Segment(0x1, 48, 56, "32x4xII12xI8x")}
"""segment_command_64 with section_64, segment_command with section; by 64-bit."""


def constants(buffer: Buffer, image: Image) -> tuple[tuple[int, int], ...]:
    """Return (offset, size) of the regions of a file that hold literals of the image's slice; `read` made it from the same buffer."""
    native = image.native
    if not isinstance(native, MachOFacts):
        return ()
    part = Slice(buffer, native.slice_offset, native.slice_size)
    header = read_header(part)
    raw = bytes(part.cut(header.size, header.commands_size, "load commands"))
    return tuple((part.start + offset, size) for offset, size in _literals(raw, header) if offset + size <= part.size)


def _literals(raw: bytes, header: Header) -> Iterator[tuple[int, int]]:
    """Yield offset in the slice and size of each section of literals. That the commands make sense has been seen when they were read."""
    segment, command = _SEGMENTS[header.wide], struct.Struct(header.order + "2I16s")
    section = struct.Struct(header.order + segment.section)
    place = 0
    while place + command.size <= len(raw):
        number, size, name = command.unpack_from(raw, place)
        if number == segment.command and name.rstrip(b"\0") == b"__TEXT":
            (count,) = struct.unpack_from(header.order + "I", raw, place + segment.number)
            start = place + segment.sections
            for length, offset, flags in section.iter_unpack(raw[start : start + count * section.size]):
                if flags & _TYPE == _CSTRING_LITERALS:
                    yield offset, length
        place += max(size, command.size)
