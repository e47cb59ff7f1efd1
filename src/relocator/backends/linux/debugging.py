"""How much of an ELF file no loader needs, debugging information and symbols: what the section headers say, where they can be believed.

No loader reads section headers, so nothing else here does. System V gABI, chapter 4, "Sections"; names are those of the DWARF standard,
".zdebug_" being how older GNU tools call compressed ones.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.backends.linux.headers import ElfFile
from relocator.buffer import Buffer, cut

_SHT_NOBITS = 8
_MOST_SECTIONS = 0x10000
_PREFIXES = (b".debug_", b".zdebug_")
_SYMBOLS = b".symtab\0"
_LONGEST_PREFIX = 8
_NAMES_INDEX = {True: 62, False: 50}
"""Offset of e_shstrndx, which is the last field of the ELF header, by 64 bits."""


class Unneeded(NamedTuple):
    """Bytes that no loader looks at; 0 where the headers make no sense."""

    debugging: int
    """Of the sections with debugging information, compressed ones as they are stored."""
    symbols: int
    """Of the symbol table beside the dynamic one."""


def unneeded(file: ElfFile) -> Unneeded:
    """Return how much of a file is there for debuggers and linkers alone."""
    debugging = symbols = 0
    for name, _, size in sections(file):
        if name.startswith(_PREFIXES):
            debugging += size
        elif name == _SYMBOLS:
            symbols += size
    return Unneeded(min(debugging, len(file.buffer)), min(symbols, len(file.buffer)))


def sections(file: ElfFile) -> Iterator[tuple[bytes, int, int]]:
    """Yield the start of the name, the offset and the size of each section that has bytes within the file."""
    header, shape, buffer = file.header, file.shape, file.buffer
    layout = struct.Struct(shape.order + ("2I8x8x2Q" if shape.wide else "2I8x2I"))
    size, count = header.section_size, header.section_count
    if not header.section_offset or size < layout.size or count > _MOST_SECTIONS or header.section_offset + size * count > len(buffer):
        return
    raw = cut(buffer, header.section_offset, size * count, "section headers")
    names = int.from_bytes(cut(buffer, _NAMES_INDEX[shape.wide], 2, "e_shstrndx"), "little" if shape.order == "<" else "big")
    if names >= count:
        return
    _, _, names_offset, names_size = layout.unpack_from(raw, names * size)
    for place in range(0, size * count, size):
        name, kind, offset, length = layout.unpack_from(raw, place)
        if kind != _SHT_NOBITS and name < names_size and offset + length <= len(buffer):
            yield _start_of(buffer, names_offset + name), offset, length


def _start_of(buffer: Buffer, offset: int) -> bytes:
    return bytes(buffer[offset : offset + _LONGEST_PREFIX])
