"""The ELF header and the program headers, and how an address becomes an offset: through PT_LOAD, as a loader does it.

Specification: System V gABI, chapters 4 ("ELF Header") and 5 ("Program Header"). Section headers play no part in loading; they are looked
at only to say that they are beyond the end, or that a file holds nothing but debugging information.
"""

import functools
import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.buffer import Buffer, cut
from relocator.errors import UnreadableBinary

MAGIC = b"\x7fELF"
ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY = 0x6474E551, 0x6474E552, 0x6474E553

_SHT_NOBITS, _SHF_ALLOC_EXECINSTR = 8, 0x2 | 0x4
_MOST_SECTIONS = 0x10000


class Shape(NamedTuple):
    """How numbers are laid out in files of one class (32 or 64 bit) and byte order. Addresses are 4 or 8 bytes wide."""

    order: str
    wide: bool
    header: struct.Struct
    """From e_type on: type, machine, version, entry, phoff, shoff, flags, ehsize, phentsize, phnum, shentsize, shnum, shstrndx."""
    program: struct.Struct
    section: struct.Struct
    """Leading fields: name, type, flags."""
    dynamic: struct.Struct
    symbol_size: int


@functools.cache
def shape_of(wide: bool, big_endian: bool) -> Shape:
    """Return the shape of a class and byte order."""
    order = ">" if big_endian else "<"
    layouts = ("2HI3QI6H", "2I6Q", "2IQ", "qQ") if wide else ("2H5I6H", "8I", "3I", "iI")
    header, program, section, dynamic = (struct.Struct(order + layout) for layout in layouts)
    return Shape(order, wide, header, program, section, dynamic, 24 if wide else 16)


class Header(NamedTuple):
    """The ELF header's fields that matter to us (Elf32_Ehdr, Elf64_Ehdr)."""

    osabi: int
    type: int
    machine: int
    flags: int
    program_offset: int
    program_size: int
    program_count: int
    section_offset: int
    section_size: int
    section_count: int


class Program(NamedTuple):
    """One program header. Sizes, offsets and addresses in bytes."""

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


class ElfFile:
    """One file whose headers have been read and checked: every PT_LOAD lies wholly within the buffer."""

    def __init__(self, buffer: Buffer, shape: Shape, header: Header, programs: tuple[Program, ...]) -> None:
        self.buffer, self.shape, self.header, self.programs = buffer, shape, header, programs
        self.loads = tuple(program for program in programs if program.type == PT_LOAD)

    def first(self, kind: int) -> Program | None:
        """Return the first program header of a type: the kernel takes that one."""
        return next((program for program in self.programs if program.type == kind), None)

    def last(self, kind: int) -> Program | None:
        """Return the last program header of a type: the dynamic loaders take that one."""
        return next((program for program in reversed(self.programs) if program.type == kind), None)

    def place(self, address: int, size: int, field: str) -> tuple[int, int]:
        """Return the file offset of an address, and how many of the file's bytes its segment holds from there.

        Raises UnreadableBinary unless one segment holds `size` bytes there. Of overlapping segments the last counts, since it is mapped
        over the others.
        """
        for load in reversed(self.loads):
            inside = address - load.vaddr
            if 0 <= inside < load.filesz:
                room = load.filesz - inside
                if size > room:
                    raise UnreadableBinary(field, f"needs {size} bytes, its segment has {room} more", load.offset + inside)
                return load.offset + inside, room
        raise UnreadableBinary(field, f"no segment loads anything at address {address:#x}")

    def mapped(self, address: int, size: int, field: str) -> bytes | memoryview:
        """Return exactly `size` bytes from an address; raise UnreadableBinary naming `field` when no segment holds them."""
        if not size:
            return b""
        return cut(self.buffer, self.place(address, size, field)[0], size, field)

    def window(self, address: int, most: int, field: str) -> bytes | memoryview:
        """Return at most `most` bytes from an address to the end of its segment, for a table that does not tell its size."""
        offset, room = self.place(address, 1, field)
        return cut(self.buffer, offset, min(room, most), field)


def read_headers(buffer: Buffer) -> tuple[Shape, Header]:
    """Return the ELF header; raise UnreadableBinary when it is cut or of an unknown class, byte order or version."""
    identity = bytes(cut(buffer, 0, 16, "e_ident"))
    wide, big_endian = identity[4] == 2, identity[5] == 2
    if identity[:4] != MAGIC or identity[4] not in (1, 2) or identity[5] not in (1, 2) or identity[6] != 1:
        raise UnreadableBinary("e_ident", f"class {identity[4]}, byte order {identity[5]}, version {identity[6]}: not a known ELF file", 4)
    shape = shape_of(wide, big_endian)
    fields = shape.header.unpack(cut(buffer, 16, shape.header.size, "ELF header"))
    kind, machine, _, _, phoff, shoff, flags, _, phentsize, phnum, shentsize, shnum, _ = fields
    return shape, Header(identity[7], kind, machine, flags, phoff, phentsize, phnum, shoff, shentsize, shnum)


def read_programs(buffer: Buffer, shape: Shape, header: Header) -> tuple[Program, ...]:
    """Return the program headers; raise UnreadableBinary when they, or what they would have loaded, are not all in the file."""
    if header.program_count and header.program_size != shape.program.size:
        raise UnreadableBinary("e_phentsize", f"is {header.program_size}, every loader wants {shape.program.size}")
    raw = cut(buffer, header.program_offset, header.program_count * shape.program.size, "program headers")
    if shape.wide:
        found = [Program(t, f, o, v, fs, ms, a) for t, f, o, v, _, fs, ms, a in shape.program.iter_unpack(raw)]
    else:
        found = [Program(t, f, o, v, fs, ms, a) for t, o, v, _, fs, ms, f, a in shape.program.iter_unpack(raw)]
    return tuple(found)


def check_segments(programs: tuple[Program, ...], size: int) -> None:
    """Raise UnreadableBinary when there is nothing to load, or when the file of `size` bytes ends within what is to be loaded."""
    loads = [program for program in programs if program.type == PT_LOAD]
    if not loads:
        raise UnreadableBinary("program headers", "no PT_LOAD: there is nothing that a loader could map")
    for load in loads:
        if load.filesz and load.offset + load.filesz > size:
            expected = f"the segment needs {load.filesz} bytes, the file ends at {size:#x}: it is cut short"
            raise UnreadableBinary("PT_LOAD", expected, load.offset)


def sections(buffer: Buffer, shape: Shape, header: Header) -> Iterator[tuple[int, int]]:
    """Yield (type, flags) of each section header; none when they are not all in the file."""
    size, count = header.section_size, header.section_count
    end = header.section_offset + size * count
    if not header.section_offset or size < shape.section.size or count > _MOST_SECTIONS or end > len(buffer):
        return
    raw = cut(buffer, header.section_offset, size * count, "section headers")
    for offset in range(0, size * count, size):
        _, kind, flags = shape.section.unpack_from(raw, offset)
        yield kind, flags


def only_debugging(buffer: Buffer, shape: Shape, header: Header) -> bool:
    """Tell whether a file is what `strip --only-keep-debug` leaves: the headers of a program, and none of its code.

    Its program headers describe the file that it was taken from, so they prove nothing.
    """
    return any(
        kind == _SHT_NOBITS and flags & _SHF_ALLOC_EXECINSTR == _SHF_ALLOC_EXECINSTR for kind, flags in sections(buffer, shape, header)
    )
