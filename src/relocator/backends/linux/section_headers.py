"""The section headers, which no loader reads, but strip, readelf and debuggers go by.

Specification: System V gABI, chapter 4, "Sections" (Elf32_Shdr, Elf64_Shdr).
"""

import struct
from typing import NamedTuple

from relocator.backends.linux.headers import ElfFile
from relocator.buffer import cut

SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_HASH, SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_DYNSYM = 2, 3, 4, 5, 6, 7, 8, 9, 11
SHT_GNU_HASH, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM = 0x6FFFFFF6, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
SHF_ALLOC, SHF_TLS = 0x2, 0x400

_MOST_SECTIONS = 0x10000


class Section(NamedTuple):
    """One section header, all fields. Sizes, offsets and addresses in bytes."""

    name: int
    """Offset in the section names."""
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int

    @property
    def in_file(self) -> bool:
        """Whether it has bytes in the file."""
        return self.size > 0 and self.type not in (0, SHT_NOBITS)

    @property
    def allocated(self) -> bool:
        """Whether it is loaded."""
        return bool(self.flags & SHF_ALLOC)


def section_layout(file: ElfFile) -> struct.Struct:
    """Return how a section header is packed; both classes have the fields in one order."""
    return struct.Struct(file.shape.order + ("2I4Q2I2Q" if file.shape.wide else "10I"))


def read_sections(file: ElfFile) -> tuple[Section, ...]:
    """Return the section headers; none when there are none, or when they are not all in the file and so prove nothing."""
    header, layout = file.header, section_layout(file)
    size, start = header.section_size, header.section_offset
    if not start or size != layout.size or start + size > len(file.buffer):
        return ()
    count = header.section_count or Section(*layout.unpack(cut(file.buffer, start, size, "section header 0"))).size
    if count > _MOST_SECTIONS or start + size * count > len(file.buffer):
        return ()
    return tuple(map(Section._make, layout.iter_unpack(cut(file.buffer, start, size * count, "section headers"))))
