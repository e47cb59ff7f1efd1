"""Where an ELF file keeps its read-only data, string literals among it.

The section headers tell best: compilers put literals into sections called .rodata, while the segment that holds these may hold all code
and the dynamic tables too, and what a tool that moves tables leaves of them. Without section headers only segments that are nothing but
readable, and hold no table of the loader's, are taken.

Specification: System V gABI, chapter 4, "Special Sections"; chapter 5, "Program Header".
"""

from relocator.backends.linux.debugging import sections
from relocator.backends.linux.dynamic import TABLES, read_dynamic
from relocator.backends.linux.headers import ElfFile, read_headers, read_programs
from relocator.buffer import Buffer
from relocator.model import Image

_READ_ONLY = 4  # PF_R alone


def constants(buffer: Buffer, image: Image) -> tuple[tuple[int, int], ...]:
    """Return (offset, size) of the regions of a file that hold constants; `image` is what `read` made of the same buffer."""
    shape, header = read_headers(buffer)
    file = ElfFile(buffer, shape, header, read_programs(buffer, shape, header))
    named = [(name, offset, size) for name, offset, size in sections(file) if size]
    if named:
        return tuple((offset, size) for name, offset, size in named if name.startswith(b".rodata"))
    return _by_segments(file)


def _by_segments(file: ElfFile) -> tuple[tuple[int, int], ...]:
    dynamic = read_dynamic(file)
    tables = [dynamic.values[tag] for tag in TABLES if tag in dynamic.values] if dynamic else []
    return tuple(
        (load.offset, load.filesz)
        for load in file.loads
        if load.flags == _READ_ONLY and not any(load.vaddr <= table < load.vaddr + load.filesz for table in tables)
    )
