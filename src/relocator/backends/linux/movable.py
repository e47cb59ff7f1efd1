"""Tables behind the program headers that may move to make room there: notes, hash and symbol tables, and the interpreter's name.

Nothing refers to them but the dynamic section, program headers, section headers and a few local symbols. Code and data never move.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from relocator.backends.linux.draft import PT_PHDR, Draft
from relocator.backends.linux.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    DT_VERSYM,
    TABLES,
)
from relocator.backends.linux.headers import PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE
from relocator.backends.linux.section_headers import (
    SHT_DYNSYM,
    SHT_GNU_HASH,
    SHT_GNU_VERDEF,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    SHT_HASH,
    SHT_NOTE,
    SHT_STRTAB,
    SHT_SYMTAB,
    Section,
)

_TAG_OF = {
    SHT_DYNSYM: DT_SYMTAB,
    SHT_GNU_HASH: DT_GNU_HASH,
    SHT_HASH: DT_HASH,
    SHT_STRTAB: DT_STRTAB,
    SHT_GNU_VERDEF: DT_VERDEF,
    SHT_GNU_VERNEED: DT_VERNEED,
    SHT_GNU_VERSYM: DT_VERSYM,
}
"""The tag that has to have a section's address, by the section's type."""
_NAMED = (PT_INTERP, PT_NOTE, PT_GNU_PROPERTY)
_MOST_ALIGNMENT = 64


class Run(NamedTuple):
    """A region of the old file that moves as a whole; offsets in the file."""

    start: int
    end: int
    vaddr: int


class _Table(NamedTuple):
    start: int
    end: int
    movable: bool


def movable_run(draft: Draft, table_end: int, wanted: int, claims: Sequence[tuple[int, int]]) -> Run | None:
    """Return what has to move so that `wanted` bytes behind the program header table are free; None when that cannot be had.

    `claims` are the (start, end) of all that the file refers to.
    """
    load = next((load for load in draft.file.loads if load.offset < table_end < load.offset + load.filesz), None)
    if load is None:
        return None
    chosen: list[_Table] = []
    limit = load.offset + load.filesz
    tables = sorted(table for table in _tables(draft) if table.start >= table_end)
    for position, table in enumerate(tables):
        if not table.movable or table.end > limit or (chosen and table.start < chosen[-1].end and table.end > chosen[-1].end):
            return None
        chosen.append(table)
        end = max(one.end for one in chosen)
        following = tables[position + 1].start if position + 1 < len(tables) else end
        if following - table_end >= wanted and following >= end and not _splits_a_segment(draft, table_end, end):
            break
    else:
        return None
    start, end = chosen[0].start, max(one.end for one in chosen)
    strangers = [s for s, e in claims if table_end < e and s < table_end + wanted and not (start <= s and e <= end)]
    if strangers or (end < table_end + wanted and any(bytes(draft.buffer[end : table_end + wanted]))):
        return None
    return Run(start, end, start - load.offset + load.vaddr)


def _splits_a_segment(draft: Draft, start: int, end: int) -> bool:
    """Tell whether a program header describes bytes on both sides of `end`, so that it could not follow."""
    return any(
        program.type not in (PT_LOAD, PT_PHDR) and start <= program.offset < end < program.offset + program.filesz
        for program in draft.file.programs
    )


def _tables(draft: Draft) -> Iterator[_Table]:
    """Yield what lies in the file, and whether it may move. Without section headers only what program headers name is known by size."""
    named = [(program.offset, program.offset + program.filesz) for program in draft.file.programs if program.type in _NAMED]
    for section in draft.sections:
        if section.in_file:
            region = section.offset, section.offset + section.size
            yield _Table(*region, _may_move(draft, section) or region in named)
    if not draft.sections:
        yield from (_Table(start, end, True) for start, end in named if start < end)


def _may_move(draft: Draft, section: Section) -> bool:
    if not section.allocated or section.align > _MOST_ALIGNMENT:
        return False
    tag = _TAG_OF.get(section.type)
    return section.type == SHT_NOTE if tag is None else (tag, section.addr) in draft.entries


def move_run(draft: Draft, run: Run, offset: int, vaddr: int) -> None:
    """Copy the run to its new place and let everything that refers to it follow."""
    size, by_offset, by_vaddr = run.end - run.start, offset - run.start, vaddr - run.vaddr
    moved = [i for i, s in enumerate(draft.sections) if s.in_file and run.start <= s.offset < run.end]
    _move_symbols(draft, frozenset(moved), by_vaddr)
    draft.put(offset, draft.take(run.start, run.end), "tables moved from behind the program headers")
    for index in moved:
        section = draft.sections[index]
        addr = section.addr + by_vaddr if section.allocated else section.addr
        draft.sections[index] = section._replace(addr=addr, offset=section.offset + by_offset)
    for index, program in enumerate(draft.programs):
        if program.type not in (PT_LOAD, PT_PHDR) and program.filesz and run.start <= program.offset < run.end:
            draft.programs[index] = program._replace(
                offset=program.offset + by_offset, vaddr=program.vaddr + by_vaddr, paddr=program.paddr + by_vaddr
            )
    for index, (tag, value) in enumerate(draft.entries):
        if tag in TABLES and run.vaddr <= value < run.vaddr + size:
            draft.entries[index] = tag, value + by_vaddr


def _move_symbols(draft: Draft, moved: frozenset[int], by_vaddr: int) -> None:
    """Let the local symbols of moved sections follow: those of the sections themselves, marks in notes."""
    layout = struct.Struct(draft.file.shape.order + ("6xHQ8x" if draft.wide else "4xI6xH"))
    for section in draft.sections:
        end = section.offset + section.size
        if section.type not in (SHT_SYMTAB, SHT_DYNSYM) or section.entsize != layout.size or end > len(draft.buffer):
            continue
        count = min(section.info, section.size // layout.size)
        raw = draft.buffer[section.offset : section.offset + count * layout.size]
        for index, fields in enumerate(layout.iter_unpack(raw)):
            home, value = fields if draft.wide else fields[::-1]
            if home in moved:
                place = section.offset + index * layout.size + (8 if draft.wide else 4)
                draft.put(place, draft.pack("P", value + by_vaddr), "symbol of a section that moved")
