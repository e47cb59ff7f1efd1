"""The headers of a PE file, and where in the file lies what is named by an address.

Microsoft's PE format specification, sections "COFF File Header", "Optional Header" and "Section Table". An RVA counts from the image's
base in memory; offsets in errors count from the start of the file. What is refused here, Windows refuses too.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from relocator.buffer import Buffer, cut
from relocator.errors import UnreadableBinary

EXPORTS, IMPORTS, RESOURCES, CERTIFICATES = 0, 1, 2, 4
DEBUG, LOAD_CONFIG, BOUND_IMPORTS, DELAY_IMPORTS, CLR = 6, 10, 11, 13, 14
"""Indexes of data directories."""

_MAGICS = {0x10B: False, 0x20B: True}  # PE32, PE32+
_DIRECTORIES = 16
_PAGE = 0x1000
_SECTOR = 0x200
_BLOCK = 32
"""Entries that a table is read by."""
_LONGEST_STRING = 0x10000

_COFF = struct.Struct("<4s2H3I2H")
_OPTIONAL = struct.Struct("<H2B20x8x2I8x2H4x2I4x2H")
"""The fields of the optional header that lie at the same place in PE32 and PE32+; ImageBase is between them and of two sizes."""
_SECTION = struct.Struct("<8s4I12xI")


class Region(NamedTuple):
    """A data directory: a table's RVA (for certificates its file offset) and its size in bytes."""

    rva: int
    size: int


class Section(NamedTuple):
    """One section that the loader maps."""

    rva: int
    extent: int
    """Bytes that it takes in memory, rounded up to pages; what the file does not fill is zero."""
    offset: int
    """Where its bytes start in the file."""
    filled: int
    """Bytes that the file brings."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The headers, checked. Lives as long as its buffer; nothing of it goes into an image."""

    buffer: Buffer
    machine: int
    characteristics: int
    plus: bool
    """PE32+."""
    image_base: int
    linker_version: tuple[int, int]
    subsystem: int
    subsystem_version: tuple[int, int]
    dll_characteristics: int
    directories: tuple[Region, ...]
    sections: tuple[Section, ...]
    """In ascending order of addresses."""
    starts: tuple[int, ...]
    """The sections' RVAs."""
    headers_size: int
    table_end: int
    """File offset behind the section table."""
    first_content: int
    """File offset of the first section's bytes, or the end of the headers when there are none."""
    end: int
    """File offset behind the last section's bytes."""

    def region(self, index: int) -> Region | None:
        """Return a data directory, None when it is absent or empty."""
        if index < len(self.directories) and self.directories[index].rva:
            return self.directories[index]
        return None

    def locate(self, rva: int, field: str) -> tuple[int, int, int]:
        """Return (file offset, bytes that the file has from there, bytes that memory has); raise when nothing is mapped at an RVA."""
        index = bisect_right(self.starts, rva) - 1
        if index < 0:
            size = min(self.headers_size, len(self.buffer))
            if 0 <= rva < size:
                return rva, size - rva, size - rva
        else:
            section = self.sections[index]
            inside = rva - section.rva
            if inside < section.extent:
                return section.offset + inside, max(section.filled - inside, 0), section.extent - inside
        raise UnreadableBinary(field, f"no section holds the address {rva:#x}")

    def cut(self, rva: int, size: int, field: str) -> bytes:
        """Return bytes by address; raise when the file does not have them in one section."""
        offset, filled, _ = self.locate(rva, field)
        if size > filled:
            raise UnreadableBinary(field, f"needs {size} bytes at address {rva:#x}, the section has {filled} there", offset)
        return bytes(cut(self.buffer, offset, size, field))

    def string(self, rva: int, field: str) -> bytes:
        """Return a NUL-terminated string by address; raise when it does not end within its section, or within 64 kB."""
        offset, filled, extent = self.locate(rva, field)
        size = 64
        while True:
            have = min(size, filled)
            raw = bytes(cut(self.buffer, offset, have, field) if have else b"")
            end = raw.find(b"\0")
            if end >= 0:
                return raw[:end]
            if have == filled:
                if extent > filled:  # the zeros that memory has behind the file's bytes
                    return raw
                raise UnreadableBinary(field, "the string does not end within its section", offset)
            if size >= _LONGEST_STRING:
                raise UnreadableBinary(field, f"the string is longer than {_LONGEST_STRING} bytes", offset)
            size *= 8

    def entries(self, rva: int, entry: struct.Struct, field: str) -> Iterator[tuple[int, ...]]:
        """Yield the entries of a table without a count; raise when its section ends before the reader has seen enough.

        A section's bytes in the file may stop short of the end mark, which is then among the zeros that memory has behind them.
        """
        while True:
            offset, filled, extent = self.locate(rva, field)
            size = min(_BLOCK, extent // entry.size) * entry.size
            if not size:
                raise UnreadableBinary(field, f"the table has no end before address {rva + extent:#x}", offset)
            have = min(size, filled)
            yield from entry.iter_unpack(bytes(cut(self.buffer, offset, have, field) if have else b"") + bytes(size - have))
            rva += size


def header_offset(buffer: Buffer) -> int | None:
    """Return where the PE header starts; None when the file is a DOS program, an old Windows one or text."""
    if len(buffer) < 64:
        return None
    offset = int.from_bytes(buffer[60:64], "little")
    return offset if bytes(buffer[offset : offset + 4]) == b"PE\0\0" else None


def read_layout(buffer: Buffer, start: int) -> Layout:
    """Return the headers that start at an offset; raise UnreadableBinary when they, or a section's bytes, are cut or make no sense."""
    _, machine, count, _, _, _, optional_size, characteristics = _COFF.unpack(cut(buffer, start, _COFF.size, "IMAGE_FILE_HEADER"))
    optional = start + _COFF.size
    fields = _OPTIONAL.unpack(cut(buffer, optional, _OPTIONAL.size, "IMAGE_OPTIONAL_HEADER"))
    magic, major, minor, alignment, _, subsystem_major, subsystem_minor, _, headers_size, subsystem, dll_characteristics = fields
    if magic not in _MAGICS:
        raise UnreadableBinary("IMAGE_OPTIONAL_HEADER.Magic", f"{magic:#x} is neither PE32 nor PE32+", optional)
    plus = _MAGICS[magic]
    base = int.from_bytes(cut(buffer, optional + (24 if plus else 28), 8 if plus else 4, "ImageBase"), "little")
    table = optional + optional_size
    sections, end = _sections(buffer, table, count, alignment)
    offsets = [section.offset for section in sections if section.filled]
    return Layout(
        buffer,
        machine,
        characteristics,
        plus,
        base,
        (major, minor),
        subsystem,
        (subsystem_major, subsystem_minor),
        dll_characteristics,
        _directories(buffer, optional + (112 if plus else 96)),
        sections,
        tuple(section.rva for section in sections),
        headers_size,
        table + count * _SECTION.size,
        min(offsets, default=headers_size),
        max(end, min(headers_size, len(buffer))),
    )


def _directories(buffer: Buffer, start: int) -> tuple[Region, ...]:
    count = min(int.from_bytes(cut(buffer, start - 4, 4, "NumberOfRvaAndSizes"), "little"), _DIRECTORIES)
    raw = bytes(cut(buffer, start, count * 8, "IMAGE_DATA_DIRECTORY"))
    return tuple(Region(rva, size) for rva, size in struct.iter_unpack("<2I", raw))


def _sections(buffer: Buffer, start: int, count: int, alignment: int) -> tuple[tuple[Section, ...], int]:
    """Return the mapped sections, and the file offset behind the last byte that any of them has."""
    raw = bytes(cut(buffer, start, count * _SECTION.size, "IMAGE_SECTION_HEADER"))
    sections: list[Section] = []
    end = 0
    for index, (_, memory, rva, size, written, _) in enumerate(_SECTION.iter_unpack(raw)):
        place = start + index * _SECTION.size
        pointer = written if size else 0  # of a section that is all zeros it means nothing
        if pointer and pointer + size > len(buffer):
            raise UnreadableBinary(
                "PointerToRawData", f"a section's bytes end at {pointer + size:#x}, the file at {len(buffer):#x}", place + 20
            )
        if sections and rva < sections[-1].rva + sections[-1].extent:
            raise UnreadableBinary("VirtualAddress", f"{rva:#x} lies within the section before", place + 12)
        extent = -(-(memory or size) // _PAGE) * _PAGE
        # the loader counts in sectors: it rounds the pointer down; with an alignment below a page it maps the file as it is
        offset = pointer if alignment < _PAGE else pointer // _SECTOR * _SECTOR
        filled = min(size + pointer - offset, extent) if pointer else 0
        if extent:
            sections.append(Section(rva, extent if alignment >= _PAGE else memory or size, offset, filled))
        end = max(end, pointer + size if pointer else 0)
    return tuple(sections), end
