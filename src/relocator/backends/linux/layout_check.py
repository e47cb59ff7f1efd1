"""Checks how an ELF file is laid out, without trusting who wrote it: for what was rewritten, before it takes its place.

Published files break some of these rules and load all the same, so compare with what the file before the edit says: the lines name no
offset that an edit moves.

Specification: System V gABI, chapters 4 ("Sections") and 5 ("Program Header", "Dynamic Section").
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from relocator.backends.linux.draft import PT_PHDR, Draft, ProgramHeader
from relocator.backends.linux.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_JMPREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELR,
    DT_RELRSZ,
    DT_RELSZ,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    DT_VERSYM,
    TABLES,
    Dynamic,
    read_dynamic,
)
from relocator.backends.linux.headers import (
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_GNU_RELRO,
    PT_INTERP,
    PT_NOTE,
    PT_TLS,
    ElfFile,
    read_headers,
    read_programs,
)
from relocator.backends.linux.read import read
from relocator.backends.linux.room import PAGES, PF_W, largest_page, shared_pages
from relocator.backends.linux.section_headers import (
    SHF_TLS,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_HASH,
    SHT_GNU_VERDEF,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    SHT_HASH,
    SHT_NOBITS,
    SHT_STRTAB,
    Section,
)
from relocator.backends.linux.symbols import count_symbols
from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary

_SIZES = {DT_STRTAB: DT_STRSZ, DT_RELA: DT_RELASZ, DT_REL: DT_RELSZ, DT_RELR: DT_RELRSZ, DT_JMPREL: DT_PLTRELSZ}
"""The tag with the size of a table, by the tag with its address."""
_OUTSIDE = frozenset({3})
"""DT_PLTGOT: on some architectures it points behind or before the table, into nothing that the file holds."""
_TAG_OF = {
    SHT_DYNSYM: DT_SYMTAB,
    SHT_GNU_HASH: DT_GNU_HASH,
    SHT_HASH: DT_HASH,
    SHT_GNU_VERSYM: DT_VERSYM,
    SHT_GNU_VERNEED: DT_VERNEED,
    SHT_GNU_VERDEF: DT_VERDEF,
}
_DT_DEBUG = 21
_INSIDE = {PT_DYNAMIC: "PT_DYNAMIC", PT_INTERP: "PT_INTERP", PT_NOTE: "PT_NOTE", PT_GNU_PROPERTY: "PT_GNU_PROPERTY", PT_PHDR: "PT_PHDR"}


def check_layout(data: Buffer) -> tuple[str, ...]:
    """Return one line for each rule of the format that a file breaks; raise nothing for a file that cannot be read, but say so."""
    try:
        read(data)  # every name, hash, version and relocation that the loader uses lies where it should
        shape, header = read_headers(data)
        file = ElfFile(data, shape, header, read_programs(data, shape, header))
        draft = Draft(file)
        return tuple(dict.fromkeys([*_segments(draft), *_inside(draft), *_dynamic(draft), *_sections(draft)]))
    except UnreadableBinary as error:
        return (str(error),)


def _segments(draft: Draft) -> Iterator[str]:
    """Yield what is wrong with the PT_LOADs."""
    for number, load in enumerate(draft.loads):
        if load.align & (load.align - 1) or (load.align > 1 and (load.vaddr - load.offset) % load.align):
            yield f"PT_LOAD {number}: offset and address differ modulo its alignment {load.align:#x}"
        if load.memsz < load.filesz:
            yield f"PT_LOAD {number}: larger in the file than in memory"
    for number, (first, second) in enumerate(pairwise(draft.loads)):
        if second.vaddr < first.vaddr:
            yield f"PT_LOAD {number + 1}: not in ascending order of addresses"
        elif second.vaddr < first.vaddr + first.memsz:
            yield f"PT_LOAD {number + 1}: overlaps the one before in memory"
        if first.filesz and second.filesz and first.offset < second.offset + second.filesz and second.offset < first.offset + first.filesz:
            yield f"PT_LOAD {number + 1}: overlaps the one before in the file"
    for page in PAGES:
        if page <= largest_page(draft.file.header.machine):
            for first, second in shared_pages(draft.loads, page):
                pair = draft.loads.index(first), draft.loads.index(second)
                yield f"PT_LOAD {pair[0]} and {pair[1]}: different permissions on one page of {page >> 10} KiB"


def _home(loads: Iterable[ProgramHeader], vaddr: int, size: int, in_file: bool = True) -> ProgramHeader | None:
    """Return the PT_LOAD that holds a region whole."""
    for load in loads:
        if load.vaddr <= vaddr and vaddr + size <= load.vaddr + (load.filesz if in_file else load.memsz):
            return load
    return None


def _inside(draft: Draft) -> Iterator[str]:
    """Yield which program headers describe something that is not loaded where they say."""
    if sum(program.type == PT_DYNAMIC for program in draft.programs) > 1:
        yield "PT_DYNAMIC: there are several, and loaders differ in which they use"
    for program in draft.programs:
        name = _INSIDE.get(program.type)
        if name is None or not program.filesz:
            continue
        home = _home(draft.loads, program.vaddr, program.filesz)
        if home is None:
            yield f"{name}: no PT_LOAD holds it"
        elif home.vaddr - home.offset != program.vaddr - program.offset:
            yield f"{name}: its offset and its address are two places"
        if program.type == PT_PHDR:
            size = len(draft.programs) * draft.file.shape.program.size
            if (program.offset, program.filesz) != (draft.table_offset, size):
                yield "PT_PHDR: not where the program headers are"
    for program in draft.programs:
        if program.type in (PT_GNU_RELRO, PT_TLS) and program.filesz and _home(draft.loads, program.vaddr, program.filesz) is None:
            yield f"{'PT_TLS' if program.type == PT_TLS else 'PT_GNU_RELRO'}: no PT_LOAD holds it"


def _dynamic(draft: Draft) -> Iterator[str]:
    """Yield which tables of the dynamic section are not loaded."""
    dynamic = read_dynamic(draft.file)
    if dynamic is None:
        return
    for tag in TABLES:
        address, size = dynamic.values.get(tag), dynamic.values.get(_SIZES.get(tag, -1), 1)
        if address and tag not in _OUTSIDE and _home(draft.loads, address, size, in_file=False) is None:
            yield f"dynamic section: no PT_LOAD holds the table of tag {tag:#x}"
    own = draft.file.last(PT_DYNAMIC)
    home = _home(draft.loads, own.vaddr, own.filesz) if own else None
    if _DT_DEBUG in dynamic.values and home is not None and not home.flags & PF_W:
        yield "PT_DYNAMIC: read-only, but the loader writes DT_DEBUG"


def _sections(draft: Draft) -> Iterator[str]:
    """Yield where the section headers contradict what the loader goes by."""
    dynamic = read_dynamic(draft.file)
    values = dynamic.values if dynamic else {}
    own = draft.file.last(PT_DYNAMIC)
    for index, section in enumerate(draft.sections):
        tag = _TAG_OF.get(section.type)
        if tag is not None and section.allocated and section.size and values.get(tag, section.addr) != section.addr:
            yield f"section {index}: not at the address that tag {tag:#x} gives"
        if not section.allocated and _is_dynamic(section, values):
            yield f"section {index}: holds what the dynamic section refers to, and is not marked as loaded (SHF_ALLOC)"
        if section.type == SHT_DYNAMIC and own and (section.addr, section.offset) != (own.vaddr, own.offset):
            yield f"section {index}: not where PT_DYNAMIC is"
        if section.allocated and section.size and not section.flags & SHF_TLS:
            yield from _loaded(draft, index, section)
    yield from _strings_section(draft, values)
    yield from _symbols_section(draft, dynamic)
    yield from _overlaps(draft)


def _is_dynamic(section: Section, values: dict[int, int]) -> bool:
    """Tell whether a section is the dynamic section, or one of the tables that it gives the address of."""
    tag = DT_STRTAB if section.type == SHT_STRTAB else _TAG_OF.get(section.type)
    return section.type == SHT_DYNAMIC or (tag is not None and bool(section.addr) and values.get(tag) == section.addr)


def _symbols_section(draft: Draft, dynamic: Dynamic | None) -> Iterator[str]:
    """Yield where the hash tables tell of more symbols than the section has."""
    address = dynamic.values.get(DT_SYMTAB) if dynamic else None
    for index, section in enumerate(draft.sections):
        if dynamic is None or section.type != SHT_DYNSYM or section.addr != address or not section.size:
            continue
        known = section.size // draft.file.shape.symbol_size
        count = count_symbols(draft.file, dynamic, known)
        if count > known:
            yield f"section {index}: has {known} symbols, though the hash tables tell of {count}"


def _loaded(draft: Draft, index: int, section: Section) -> Iterator[str]:
    home = _home(draft.loads, section.addr, section.size, in_file=section.type != SHT_NOBITS)
    if home is None:
        yield f"section {index}: no PT_LOAD holds it"
    elif section.type != SHT_NOBITS and home.vaddr - home.offset != section.addr - section.offset:
        yield f"section {index}: its offset and its address are two places"


def _strings_section(draft: Draft, values: dict[int, int]) -> Iterator[str]:
    """Yield what is wrong with the section of the dynamic strings, which others find through sh_link."""
    links = {s.link for s in draft.sections if s.type in (SHT_DYNAMIC, SHT_DYNSYM) and s.allocated}
    for index in links:
        if index >= len(draft.sections) or draft.sections[index].type != SHT_STRTAB:
            yield f"section {index}: is no string table, though the dynamic section links to it"
        elif (draft.sections[index].addr, draft.sections[index].size) != (values.get(DT_STRTAB), values.get(DT_STRSZ)):
            yield f"section {index}: not where DT_STRTAB and DT_STRSZ say"


def _overlaps(draft: Draft) -> Iterator[str]:
    header = draft.file.header
    table = draft.table_offset, draft.table_offset + len(draft.programs) * draft.file.shape.program.size, -1
    names = header.section_offset, header.section_offset + header.section_size * len(draft.sections), -2
    spans = sorted([table, names, *((s.offset, s.offset + s.size, i) for i, s in enumerate(draft.sections) if s.in_file)])
    called = {-1: "program headers", -2: "section headers"}
    for (_, end, first), (start, _, second) in pairwise(span for span in spans if span[0] < span[1]):
        if start < end:
            yield f"{called.get(first, f'section {first}')} and {called.get(second, f'section {second}')}: overlap in the file"
