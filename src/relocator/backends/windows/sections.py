"""What the section table of a PE file says beside where its bytes go: debugging information, and sections that can be written and run.

Microsoft's PE format specification, "COFF File Header", "Section Table", "COFF String Table". MinGW's linker leaves DWARF in sections
whose names, longer than the eight bytes that the table has for one, are "/" and an offset in the COFF string table.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.buffer import Buffer, cut, text

_COFF = struct.Struct("<4x2H4x2I2H")
_SECTION = struct.Struct("<8s8xI16xI")
_SYMBOL_SIZE = 18
_LONGEST_NAME = 64
_EXECUTE, _WRITE = 0x20000000, 0x80000000  # IMAGE_SCN_MEM_*


class SectionFacts(NamedTuple):
    """What is said about all sections together."""

    debug_size: int
    """Bytes of COFF symbols and of sections called .debug*."""
    writable_code: tuple[str, ...]
    """Names of the sections that can be written and run."""


class _Section(NamedTuple):
    name: str
    size: int
    flags: int


def read_section_facts(buffer: Buffer, start: int) -> SectionFacts:
    """Return the facts; `start` is the offset of the PE header, whose section table has been checked to lie within the buffer."""
    _, count, symbols, number, optional, _ = _COFF.unpack(cut(buffer, start, _COFF.size, "IMAGE_FILE_HEADER"))
    table = start + _COFF.size + optional
    strings = symbols + number * _SYMBOL_SIZE if symbols and number else 0
    listed = list(_sections(buffer, table, count, strings))
    size = sum(section.size for section in listed if section.name.startswith(".debug"))
    if strings:
        size += max(min(strings, len(buffer)) - symbols, 0)
    both = _EXECUTE | _WRITE
    return SectionFacts(min(size, len(buffer)), tuple(section.name for section in listed if section.flags & both == both))


def _sections(buffer: Buffer, table: int, count: int, strings: int) -> Iterator[_Section]:
    for name, size, flags in _SECTION.iter_unpack(cut(buffer, table, count * _SECTION.size, "IMAGE_SECTION_HEADER")):
        yield _Section(_name(buffer, name.rstrip(b"\0"), strings), size, flags)


def _name(buffer: Buffer, raw: bytes, strings: int) -> str:
    """Return a section's name; the name as it stands where the string table does not have the long one."""
    if strings and raw[:1] == b"/" and raw[1:].isdigit():
        offset = strings + int(raw[1:])
        long_name = bytes(buffer[offset : offset + _LONGEST_NAME]).partition(b"\0")[0]
        return text(long_name or raw)
    return text(raw)
