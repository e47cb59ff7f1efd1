"""Where things that no longer fit in place go in an ELF file: the cheapest way that breaks nothing.

In this order: the zeros behind a segment that only holds data; a new PT_LOAD behind the end of the file, its header in the gap behind the
program headers; the same with that gap made by moving notes, hash and symbol tables that follow the headers, never code or data; and for
libraries only, the program headers moved to the new segment too. GNU strip puts the headers back to the start of the file, and kernels
before 5.18 told a program a wrong address of headers that lie elsewhere: programs that would need the last way are refused.

Specification: System V gABI, chapter 5, "Program Header": PT_LOADs ascend by address, offset and address are congruent modulo p_align.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from relocator.backends.linux.draft import PT_NULL, PT_PHDR, Draft, ProgramHeader
from relocator.backends.linux.dynamic import TABLES
from relocator.backends.linux.headers import PT_LOAD
from relocator.backends.linux.movable import Run, movable_run, move_run
from relocator.errors import UnreadableBinary
from relocator.plans import EditRefused

PF_X, PF_W, PF_R = 1, 2, 4
PN_XNUM = 0xFFFF
PAGES = (0x1000, 0x4000, 0x10000)
_LARGE_PAGES = {
    **dict.fromkeys((8, 20, 21, 50, 183, 258, 0x9026), 0x10000),  # MIPS, PowerPC, ia64, AArch64, LoongArch, Alpha
    **dict.fromkeys((2, 18, 43), 0x2000),  # SPARC
}
_MOST_ALIGNMENT = 1 << 30
_RUN_ALIGNMENT = 64
_MOST_PADDING = 16
"""Bytes to which tools round a table up at the end of a segment."""
_FILLERS = b"\0XZ"
"""What patchelf writes over tables that it moved away from there; taken for that only where section headers say that nothing lies there."""


def largest_page(machine: int) -> int:
    """Return the largest page size that kernels use on an e_machine."""
    return _LARGE_PAGES.get(machine, 0x1000)


@dataclass(slots=True)
class Piece:
    """Something that has to lie in a segment, and where it shall."""

    size: int
    align: int
    writable: bool = False
    offset: int = 0
    vaddr: int = 0


class _Span(NamedTuple):
    start: int
    end: int


def make_room(draft: Draft, pieces: Sequence[Piece], headers: Sequence[ProgramHeader], program: bool) -> None:
    """Give every piece a place, and the new program headers theirs; may move tables and then adjusts `draft.entries` to that.

    Raises EditRefused when the file has no such room.
    """
    if _slots(draft) >= len(headers) and (not pieces or _into_tail(draft, pieces)):
        _add_headers(draft, headers)
    elif _slots(draft) > len(headers):
        load = _append(draft, pieces)
        _add_headers(draft, (load, *headers))
    elif run := movable_run(draft, _gap(draft).start, (len(headers) + 1) * draft.file.shape.program.size, list(_claims(draft))):
        _append_with_run(draft, pieces, headers, run)
    elif program:
        raise EditRefused(
            "the program has no room for another program header, and moving the table of them would break it on older kernels",
            "link it with room to spare (a longer -rpath, or --build-id), or give it a name that is no longer than the present one",
        )
    else:
        _append_with_table(draft, pieces, headers)


def extend(draft: Draft, offset: int, size: int, wanted: int) -> bool:
    """Make what lies at a file offset `wanted` bytes long instead of `size`, if it ends its segment and there is room; tell whether."""
    end = offset + size
    for index, load in enumerate(draft.programs):
        slack = load.offset + load.filesz - end
        if load.type != PT_LOAD or load.offset > offset or not 0 <= slack < _MOST_PADDING or not _zeros(draft, end, end + slack):
            continue
        if any(span.start < end + slack and end < span.end for span in _claims(draft)):
            continue
        more = max(wanted - size - slack, 0)
        if not more or _fits(draft, index, more):
            _lengthen(draft, index, more)
            return True
    return False


# ---------------------------------------------------------------- what is taken


def _claims(draft: Draft) -> Iterator[_Span]:
    """Yield the parts of the old file that something refers to, PT_LOADs apart."""
    header, shape = draft.file.header, draft.file.shape
    yield _Span(0, 64 if shape.wide else 52)
    yield _Span(header.program_offset, draft.table_end)
    if header.section_offset:
        yield _Span(header.section_offset, header.section_offset + header.section_size * (header.section_count or len(draft.sections)))
    yield from (_Span(section.offset, section.offset + section.size) for section in draft.sections if section.in_file)
    for program in draft.file.programs:
        if program.type not in (PT_LOAD, PT_PHDR, PT_NULL) and program.filesz:
            yield _Span(program.offset, program.offset + program.filesz)
    for tag, value in draft.entries:
        if tag in TABLES and value:
            try:
                start = draft.file.place(value, 1, "dynamic section")[0]
            except UnreadableBinary:
                continue
            yield _Span(start, start + 1)


def _zeros(draft: Draft, start: int, end: int) -> bool:
    end = min(end, len(draft.buffer))
    return not any(bytes(draft.buffer[start:end])) if start < end else True


# ---------------------------------------------------------------- the tail of a segment


def _into_tail(draft: Draft, pieces: Sequence[Piece]) -> bool:
    """Put the pieces behind what a data segment has in the file, if one has room; read-only segments first."""
    writable = any(piece.writable for piece in pieces)
    order = sorted(range(len(draft.programs)), key=lambda index: draft.programs[index].flags & PF_W)
    for index in order:
        load = draft.programs[index]
        if load.type != PT_LOAD or load.flags & PF_X or not load.flags & PF_R or (writable and not load.flags & PF_W):
            continue
        size = _lay_out(pieces, load.offset + load.filesz, load.vaddr - load.offset) - load.offset - load.filesz
        if _fits(draft, index, size):
            _lengthen(draft, index, size)
            return True
    return False


def _fits(draft: Draft, index: int, more: int) -> bool:
    """Tell whether a segment can have `more` bytes at its end: none claimed, all zero, none on a page of the next segment."""
    load = draft.programs[index]
    start = load.offset + load.filesz
    if load.filesz != load.memsz or not load.filesz or start > len(draft.buffer):
        return False
    following = [other.vaddr for other in draft.loads if other.vaddr > load.vaddr]
    page = _clean_page(draft)
    limit = min(following) // page * page if following else 1 << (64 if draft.wide else 32)
    if load.vaddr + load.memsz + more > limit:
        return False
    others = [other for place, other in enumerate(draft.programs) if place != index and other.type == PT_LOAD]
    spans = [*_claims(draft), *(_Span(other.offset, other.offset + other.filesz) for other in others)]
    if any(span.start < start + more and start < span.end for span in spans):
        return False
    grows = start + more > len(draft.buffer)
    return _zeros(draft, start, start + more) and (not grows or draft.size in (len(draft.buffer), start))


def _clean_page(draft: Draft) -> int:
    """Return the largest page size on which no two segments of different permissions share a page."""
    sizes = [page for page in PAGES if page <= largest_page(draft.file.header.machine)]
    for page in reversed(sizes):
        if not any(True for _ in shared_pages(draft.loads, page)):
            return page
    return PAGES[0]


def shared_pages(loads: Sequence[ProgramHeader], page: int) -> Iterator[tuple[ProgramHeader, ProgramHeader]]:
    """Yield neighbouring segments of different permissions that share a page of that size."""
    ordered = sorted((load for load in loads if load.memsz), key=lambda load: load.vaddr)
    for first, second in pairwise(ordered):
        if first.flags & 7 != second.flags & 7 and (first.vaddr + first.memsz - 1) // page >= second.vaddr // page:
            yield first, second


def _lengthen(draft: Draft, index: int, more: int) -> None:
    load = draft.programs[index]
    draft.programs[index] = load._replace(filesz=load.filesz + more, memsz=load.memsz + more)
    draft.size = max(draft.size, load.offset + load.filesz + more)


def _lay_out(pieces: Sequence[Piece], offset: int, difference: int) -> int:
    """Place pieces one after another; return the offset behind the last. `difference` is address minus offset."""
    for piece in pieces:
        offset += -offset % piece.align
        piece.offset, piece.vaddr = offset, offset + difference
        offset += piece.size
    return offset


# ---------------------------------------------------------------- a new segment


def _append(draft: Draft, pieces: Sequence[Piece]) -> ProgramHeader:
    """Place the pieces behind the end of the file and return the PT_LOAD that they need.

    The address is congruent with the offset, so that the file is not padded to a page.
    """
    page = largest_page(draft.file.header.machine)
    align = max([load.align for load in draft.loads] + [page])
    if align & (align - 1) or align > _MOST_ALIGNMENT:
        raise EditRefused(f"a segment has the alignment {align:#x}, which no new segment can follow", "link the file anew")
    start = draft.size + -draft.size % max(piece.align for piece in pieces)
    vaddr = max(load.vaddr + load.memsz for load in draft.loads)
    vaddr += -vaddr % align + start % align
    end = _lay_out(pieces, start, vaddr - start)
    if vaddr + end - start >= 1 << (64 if draft.wide else 32):
        raise EditRefused("there are no addresses left behind the last segment", "link the file anew")
    _tell_of_overlay(draft)
    draft.size = end
    flags = PF_R | PF_W if any(piece.writable for piece in pieces) else PF_R
    return ProgramHeader(PT_LOAD, flags, start, vaddr, vaddr, end - start, end - start, align)


def _tell_of_overlay(draft: Draft) -> None:
    known = max(span.end for span in (*_claims(draft), *(_Span(load.offset, load.offset + load.filesz) for load in draft.loads)))
    more = len(draft.buffer) - known
    if more > 0 and any(bytes(draft.buffer[known:])):
        draft.remarks.append(f"{more} bytes at the end of the file belong to no section or segment; the new segment lies behind them")


def _append_with_run(draft: Draft, pieces: Sequence[Piece], headers: Sequence[ProgramHeader], run: Run) -> None:
    piece = Piece(run.end - run.start + run.start % _RUN_ALIGNMENT, _RUN_ALIGNMENT)
    load = _append(draft, (piece, *pieces))
    phase = run.start % _RUN_ALIGNMENT
    move_run(draft, run, piece.offset + phase, piece.vaddr + phase)
    _add_headers(draft, (load, *headers))


def _append_with_table(draft: Draft, pieces: Sequence[Piece], headers: Sequence[ProgramHeader]) -> None:
    table = Piece((len(draft.programs) + len(headers) + 1) * draft.file.shape.program.size, 8)
    load = _append(draft, (table, *pieces))
    _add_headers(draft, (load, *headers))
    table.size = len(draft.programs) * draft.file.shape.program.size
    draft.table_offset = table.offset
    draft.remarks.append("the program header table was moved to the end of the file: GNU strip may break the file from now on")


# ---------------------------------------------------------------- program headers


def _gap(draft: Draft) -> _Span:
    """Return the unused bytes behind the program header table, in the segment that holds it."""
    start = draft.table_end
    inside = [load for load in draft.file.loads if load.offset < start <= load.offset + load.filesz]
    behind = [span.start for span in _claims(draft) if span.start >= start]
    behind += [load.offset for load in draft.file.loads if load.offset >= start]
    if not behind or any(span.start < start < span.end for span in _claims(draft)):
        return _Span(start, start)
    end = min([*behind, *(load.offset + load.filesz for load in inside), start + PAGES[0]])
    unused = bytes(draft.buffer[start:end]).strip(_FILLERS if draft.sections else b"\0")
    return _Span(start, start if unused else end)


def _slots(draft: Draft) -> int:
    """Return how many program headers can be added without moving anything."""
    gap = _gap(draft)
    return sum(program.type == PT_NULL for program in draft.programs) + (gap.end - gap.start) // draft.file.shape.program.size


def _add_headers(draft: Draft, headers: Sequence[ProgramHeader]) -> None:
    """Append headers, PT_NULLs being room for them; a new PT_LOAD has the highest address, so it may come last."""
    for header in headers:
        unused = next((index for index, program in enumerate(draft.programs) if program.type == PT_NULL), None)
        if unused is not None:
            del draft.programs[unused]
        draft.programs.append(header)
    if len(draft.programs) >= PN_XNUM:
        raise EditRefused(f"the file has {len(draft.programs) - 1} program headers, and no more can be counted", "link the file anew")
