"""The headers of a PE file as a writer needs them: where each field lies, what the section table says, what follows the sections.

Microsoft's PE format specification, "COFF File Header", "Optional Header", "Section Table", "The Attribute Certificate Table".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from relocator.backends.windows.layout import BOUND_IMPORTS, CERTIFICATES, Layout, Region, header_offset, read_layout
from relocator.buffer import Buffer, cut
from relocator.errors import UnreadableBinary

OWN_NAME = b".reloctr"
"""The section that we add to a file: one at most, found again on the next run."""

READ_DATA, WRITE = 0x40000040, 0x80000000
"""IMAGE_SCN_CNT_INITIALIZED_DATA with IMAGE_SCN_MEM_READ; IMAGE_SCN_MEM_WRITE."""

SECTION = struct.Struct("<8s6I2HI")
_SYMBOL_SIZE = 18
_CHUNK = 1 << 20
_SUMMED = 1 << 16
_LARGEST_ALIGNMENT = 0x10000


class SectionHeader(NamedTuple):
    """One row of the section table."""

    place: int
    """File offset of the row."""
    name: bytes
    memory: int
    """VirtualSize."""
    rva: int
    size: int
    """SizeOfRawData."""
    pointer: int
    """PointerToRawData."""
    flags: int

    @property
    def extent(self) -> int:
        """Bytes in memory; the linkers of old left VirtualSize zero."""
        return self.memory or self.size


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields that change when a file is rewritten. Places are file offsets."""

    layout: Layout
    start: int
    """Of the PE header."""
    optional: int
    """Of the optional header."""
    initialized: int
    """SizeOfInitializedData."""
    section_alignment: int
    file_alignment: int
    image_size: int
    headers_size: int
    checksum: int
    sections: tuple[SectionHeader, ...]
    symbols: Region
    """The COFF symbol table with its strings; `rva` is a file offset, as in the directory of certificates."""

    @property
    def count_place(self) -> int:
        """Of NumberOfSections."""
        return self.start + 6

    @property
    def checksum_place(self) -> int:
        """Of CheckSum."""
        return self.optional + 64

    def directory_place(self, index: int) -> int:
        """Return where the entry of a data directory lies."""
        return self.optional + (112 if self.layout.plus else 96) + 8 * index

    @property
    def own(self) -> SectionHeader | None:
        """The section that an earlier run of ours added."""
        return next((s for s in self.sections if s.name == OWN_NAME and s.flags & ~WRITE == READ_DATA), None)

    @property
    def certificate(self) -> Region | None:
        """The certificate table, by file offset."""
        region = self.layout.region(CERTIFICATES)
        return region if region and region.size else None


def read_headers(buffer: Buffer) -> Headers | None:
    """Return the headers, None for what has no PE header; raise UnreadableBinary when they are cut or make no sense."""
    start = header_offset(buffer)
    if start is None:
        return None
    layout = read_layout(buffer, start)
    optional = start + 24
    initialized, section_alignment, file_alignment, image_size, headers_size, checksum = struct.unpack(
        "<8xI20x2I16x3I", cut(buffer, optional, 68, "IMAGE_OPTIONAL_HEADER")
    )
    for field, value in (("SectionAlignment", section_alignment), ("FileAlignment", file_alignment)):
        if not value or value & (value - 1):
            raise UnreadableBinary(field, f"{value:#x} is no power of two", optional)
    if file_alignment > _LARGEST_ALIGNMENT:
        raise UnreadableBinary("FileAlignment", f"{file_alignment:#x} is more than {_LARGEST_ALIGNMENT:#x}", optional + 36)
    return Headers(
        layout,
        start,
        optional,
        initialized,
        section_alignment,
        file_alignment,
        image_size,
        headers_size,
        checksum,
        tuple(_section_headers(layout, start)),
        _symbols(buffer, start),
    )


def _section_headers(layout: Layout, start: int) -> Iterator[SectionHeader]:
    count = int.from_bytes(cut(layout.buffer, start + 6, 2, "NumberOfSections"), "little")
    raw = cut(layout.buffer, layout.table_end - SECTION.size * count, SECTION.size * count, "IMAGE_SECTION_HEADER")
    for index, (name, memory, rva, size, pointer, _, _, _, _, flags) in enumerate(SECTION.iter_unpack(raw)):
        place = layout.table_end - SECTION.size * (count - index)
        yield SectionHeader(place, name.rstrip(b"\0"), memory, rva, size, pointer, flags)


def _symbols(buffer: Buffer, start: int) -> Region:
    """Return the symbol table and the strings behind it; an empty region when there is none, or when it points nowhere."""
    pointer, count = struct.unpack("<2I", cut(buffer, start + 12, 8, "IMAGE_FILE_HEADER"))
    strings = pointer + count * _SYMBOL_SIZE
    if not pointer or strings + 4 > len(buffer):
        return Region(0, 0)
    size = int.from_bytes(buffer[strings : strings + 4], "little")
    return Region(pointer, min(strings + max(size, 4), len(buffer)) - pointer)


def foreign_overlay(headers: Headers, end: int) -> int | None:
    """Return the offset of the first byte that lies between the sections and `end` and is neither symbol table, certificate nor zero."""
    spots = [headers.symbols, headers.certificate or Region(0, 0)]
    at = headers.layout.end
    for spot in sorted(spots):
        if spot.rva + spot.size > at:
            found = first_used(headers.layout.buffer, at, min(spot.rva, end))
            if found is not None:
                return found
            at = spot.rva + spot.size
    return first_used(headers.layout.buffer, at, end)


def first_used(buffer: Buffer, start: int, end: int) -> int | None:
    """Return the offset of the first byte of a region that is not zero."""
    for offset in range(start, end, _CHUNK):
        piece = bytes(buffer[offset : min(offset + _CHUNK, end)])
        used = piece.lstrip(b"\0")
        if used:
            return offset + len(piece) - len(used)
    return None


def header_room(headers: Headers, free: Region) -> int:
    """Return the bytes behind the section table that nothing uses, those of the region `free` among them."""
    layout = headers.layout
    start, end = layout.table_end, min(headers.headers_size, layout.first_content, len(layout.buffer))
    bound = layout.region(BOUND_IMPORTS)
    if bound and start <= bound.rva < end and bound != free:
        end = bound.rva
    room = bytearray(layout.buffer[start:end]) if start < end else bytearray()
    low, high = max(free.rva - start, 0), max(min(free.rva + free.size, end) - start, 0)
    if low < high:
        room[low:high] = bytes(high - low)
    return len(room) - len(room.lstrip(b"\0"))


def word_sum(data: bytes | memoryview, offset: int = 0) -> int:
    """Return the sum of the 16-bit words modulo 0xFFFF, of bytes that start at an offset in their file.

    2**16 is 1 modulo 0xFFFF: the remainder of the bytes, taken as one number, is that of the sum of its words.
    """
    return (int.from_bytes(data, "little") << (8 * (offset % 2))) % 0xFFFF


def file_sum(buffer: Buffer, size: int) -> int:
    """Return `word_sum` of the first bytes of a file."""
    pieces = (bytes(buffer[at : min(at + _SUMMED, size)]) for at in range(0, size, _SUMMED))
    return sum(int.from_bytes(piece, "little") for piece in pieces) % 0xFFFF  # to divide each piece takes twice the time of all else


def checksum_of(total: int, size: int) -> int:
    """Return what CheckSum has to be, from the sum of a file's words without it: carries added in, then the size (imagehlp.dll)."""
    return (total % 0xFFFF or 0xFFFF) + size


def aligned(value: int, alignment: int) -> int:
    """Return the next multiple of an alignment."""
    return -(-value // alignment) * alignment
