"""Changes to one ELF file while they are planned: bytes by offset, the headers as they shall be, remarks for the user."""

import struct
from typing import NamedTuple

from relocator.backends.linux.headers import PT_LOAD, ElfFile
from relocator.backends.linux.section_headers import read_sections, section_layout
from relocator.buffer import cut
from relocator.errors import UnreadableBinary
from relocator.plans import Patch, Patchset, sorted_patches

PT_NULL, PT_PHDR = 0, 6
_MASKS = {"H": 0xFFFF, "I": 0xFFFFFFFF, "Q": 0xFFFFFFFFFFFFFFFF}
_PHOFF, _PHNUM = {True: 32, False: 28}, {True: 56, False: 44}
_SHOFF, _SHNUM = {True: 40, False: 32}, {True: 60, False: 48}
"""Offsets of e_phoff, e_phnum, e_shoff and e_shnum in the ELF header, by 64 bits; e_shstrndx follows e_shnum."""


class ProgramHeader(NamedTuple):
    """One program header, all fields, in the order of Elf64_Phdr."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class Draft:
    """What shall lie where. Each offset is written once."""

    def __init__(self, file: ElfFile) -> None:
        self.file, self.buffer, self.wide = file, file.buffer, file.shape.wide
        self.size = len(file.buffer)
        """Bytes of the new file."""
        self.remarks: list[str] = []
        self.table_offset = file.header.program_offset
        """Where the program header table shall lie."""
        self.programs = self._read_programs()
        self.sections = list(read_sections(file))
        self.entries: list[tuple[int, int]] = []
        """The dynamic section as it shall be, without DT_NULL."""
        self._old_programs, self._old_sections = tuple(self.programs), tuple(self.sections)
        self._written: dict[int, tuple[bytes, str]] = {}

    def _read_programs(self) -> list[ProgramHeader]:
        header, shape = self.file.header, self.file.shape
        raw = cut(self.buffer, header.program_offset, header.program_count * shape.program.size, "program headers")
        if shape.wide:
            return [ProgramHeader(*row) for row in shape.program.iter_unpack(raw)]
        return [ProgramHeader(t, f, o, v, p, fs, ms, a) for t, o, v, p, fs, ms, f, a in shape.program.iter_unpack(raw)]

    @property
    def table_end(self) -> int:
        """Where the program header table of the old file ends."""
        return self.file.header.program_offset + len(self._old_programs) * self.file.shape.program.size

    @property
    def loads(self) -> list[ProgramHeader]:
        """The PT_LOADs as they shall be."""
        return [program for program in self.programs if program.type == PT_LOAD]

    def put(self, offset: int, data: bytes, reason: str) -> None:
        """Write bytes at a file offset of the new file."""
        if data:
            self._written[offset] = data, reason

    def pack(self, layout: str, *values: int) -> bytes:
        """Return numbers in the file's byte order, cut to their width; "P" stands for one as wide as an address."""
        packed = struct.Struct(self.file.shape.order + layout.replace("P", "Q" if self.wide else "I"))
        return packed.pack(*[value & _MASKS[code] for value, code in zip(values, packed.format[1:], strict=True)])

    def take(self, start: int, end: int) -> bytes:
        """Return the bytes of a region as they shall be, and forget what was to be written there: the region moves."""
        region = bytearray(cut(self.buffer, start, end - start, "tables that move"))
        for offset in [offset for offset in self._written if start <= offset < end]:
            data, _ = self._written.pop(offset)
            region[offset - start : offset - start + len(data)] = data
        return bytes(region)

    def patchset(self) -> Patchset:
        """Return the patches, those of the headers included."""
        self._put_programs()
        self._put_sections()
        self._forget_lost_sections()
        end, before = 0, ""
        for at, (data, why) in sorted(self._written.items()):
            if at < end:
                raise UnreadableBinary(why, f"overlaps another table ({before})", at)
            end, before = at + len(data), why
        patches = [Patch(at, bytes(self.buffer[at : at + len(data)]), data, why) for at, (data, why) in self._written.items()]
        return Patchset(len(self.buffer), self.size, sorted_patches(patches), remarks=tuple(self.remarks))

    def _put_programs(self) -> None:
        shape, moved = self.file.shape, self.table_offset != self.file.header.program_offset
        grown = len(self.programs) != len(self._old_programs)
        if moved:
            self.put(_PHOFF[self.wide], self.pack("P", self.table_offset), "ELF header: e_phoff")
        if grown:
            self.put(_PHNUM[self.wide], self.pack("H", len(self.programs)), "ELF header: e_phnum")
        if moved or grown:
            self._follow_table()
        for index, program in enumerate(self.programs):
            if moved or self._old_programs[index : index + 1] != (program,):
                t, f, *rest = program
                row = self.pack("IIPPPPPP", *program) if self.wide else self.pack("IPPPPPIP", t, *rest[:5], f, rest[5])
                self.put(self.table_offset + index * shape.program.size, row, "program header")

    def _follow_table(self) -> None:
        """Make PT_PHDR describe the table."""
        size = len(self.programs) * self.file.shape.program.size
        for index, program in enumerate(self.programs):
            if program.type == PT_PHDR:
                home = next((load for load in self.loads if 0 <= self.table_offset - load.offset < load.filesz), None)
                vaddr = home.vaddr + self.table_offset - home.offset if home else program.vaddr
                self.programs[index] = program._replace(
                    offset=self.table_offset, vaddr=vaddr, paddr=program.paddr + vaddr - program.vaddr, filesz=size, memsz=size
                )

    def _forget_lost_sections(self) -> None:
        """Deny section headers that lay beyond the end of a cut file: what the file gets at its end would be taken for them."""
        header = self.file.header
        if self.size > len(self.buffer) and header.section_offset + header.section_size * header.section_count > len(self.buffer):
            self.put(_SHOFF[self.wide], self.pack("P", 0), "ELF header: e_shoff, beyond the end of the file")
            self.put(_SHNUM[self.wide], bytes(4), "ELF header: e_shnum and e_shstrndx")

    def _put_sections(self) -> None:
        layout, start = section_layout(self.file), self.file.header.section_offset
        for index, (old, new) in enumerate(zip(self._old_sections, self.sections, strict=True)):
            if old != new:
                self.put(start + index * layout.size, self.pack("IIPPPPIIPP", *new), f"section header {index}")
