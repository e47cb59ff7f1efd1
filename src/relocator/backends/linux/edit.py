"""Rewrites what an ELF file says to its loader: edits in, patches out. Code, data, relocations and the addresses in them never move.

Specification: System V gABI, chapter 5 ("Program Header", "Program Interpreter", "Dynamic Section").
"""

from collections.abc import Sequence

from relocator.backends.linux.draft import Draft, ProgramHeader
from relocator.backends.linux.dynamic import DT_FLAGS_1, DT_SONAME, Dynamic, read_dynamic
from relocator.backends.linux.headers import (
    ET_CORE,
    ET_DYN,
    ET_EXEC,
    ET_REL,
    PT_DYNAMIC,
    PT_GNU_STACK,
    PT_INTERP,
    ElfFile,
    check_segments,
    only_debugging,
    read_headers,
    read_programs,
)
from relocator.backends.linux.rewrite import DynamicRewrite
from relocator.backends.linux.room import PF_R, PF_W, PF_X, Piece, make_room
from relocator.backends.linux.wishes import Wishes, encoded, take_wishes
from relocator.buffer import Buffer, cut
from relocator.errors import UnreadableBinary
from relocator.plans import Edit, EditRefused, Patchset

_DF_1_PIE = 0x8000000
_PACKED = b"UPX!"
_PACKED_NEAR = 64
"""UPX writes its mark right behind the program headers, and again into the last bytes of the file."""


def prepare(buffer: Buffer, edits: Sequence[Edit]) -> Patchset:
    """Return the patches that carry out all edits of one file together; a falsy Patchset when there is nothing to do.

    The edits are independent: each names libraries as they are in the file. Removing what is not there changes nothing.
    Raises EditRefused with the reason and what to do instead, UnreadableBinary for a damaged file.
    """
    file = _open(buffer)
    dynamic = read_dynamic(file)
    program = _is_program(file, dynamic)
    wishes = take_wishes(file, dynamic, program, edits)
    if edits:
        _refuse_packed(file)
    return _Rewriting(file, dynamic, wishes, program).run()


def _open(buffer: Buffer) -> ElfFile:
    shape, header = read_headers(buffer)
    if header.type in (ET_REL, ET_CORE):
        kind = "an object file" if header.type == ET_REL else "a core file"
        raise EditRefused(f"the file is {kind}, which no loader maps", "edit the library or program that is linked from it")
    if header.type not in (ET_EXEC, ET_DYN):
        raise UnreadableBinary("e_type", f"is {header.type}: neither a program nor a shared object", 16)
    programs = read_programs(buffer, shape, header)
    if any(program.type == PT_DYNAMIC and not program.filesz for program in programs) and only_debugging(buffer, shape, header):
        raise EditRefused("the file holds nothing but debugging information", "edit the file that it was taken from")
    check_segments(programs, len(buffer))
    return ElfFile(buffer, shape, header, programs)


def _is_program(file: ElfFile, dynamic: Dynamic | None) -> bool:
    """Tell whether the kernel starts the file, so that the program headers have to stay where they are."""
    values = dynamic.values if dynamic else {}
    interpreted = file.first(PT_INTERP) is not None and DT_SONAME not in values
    return file.header.type == ET_EXEC or bool(values.get(DT_FLAGS_1, 0) & _DF_1_PIE) or interpreted


def _refuse_packed(file: ElfFile) -> None:
    end = file.header.program_offset + file.header.program_count * file.shape.program.size
    tail = max(len(file.buffer) - _PACKED_NEAR, 0)
    if any(_PACKED in bytes(file.buffer[start : start + _PACKED_NEAR]) for start in (end, tail)):
        raise EditRefused(
            "the file is packed by UPX, which keeps the real tables compressed", "unpack it with upx -d, edit it, pack it again"
        )


class _Rewriting:
    """The steps of one rewrite: what fits in place, room for the rest, then what refers to it."""

    def __init__(self, file: ElfFile, dynamic: Dynamic | None, wishes: Wishes, program: bool) -> None:
        self._draft, self._wishes, self._program = Draft(file), wishes, program
        self._dynamic = DynamicRewrite(self._draft, dynamic, wishes) if dynamic else None
        self._interpreter: tuple[bytes, Piece] | None = None
        self._interpreter_section = -1

    def run(self) -> Patchset:
        """Return the patches."""
        draft = self._draft
        headers = self._stack()
        self._start_interpreter()
        pieces = [self._interpreter[1]] if self._interpreter else []
        if self._dynamic:
            pieces = self._dynamic.start(pieces, extensible=not headers)
        if pieces or headers:
            # The kernel hands the address of the headers to the interpreter of whatever it starts, libraries with one included
            make_room(draft, pieces, headers, self._program or draft.file.first(PT_INTERP) is not None)
        self._finish_interpreter()
        if self._dynamic:
            self._dynamic.finish()
        return draft.patchset()

    def _stack(self) -> list[ProgramHeader]:
        """Set or clear PF_X in PT_GNU_STACK; return the header when the file lacks it."""
        wanted, programs = self._wishes.executable_stack, self._draft.programs
        if wanted is None:
            return []
        places = [index for index, program in enumerate(programs) if program.type == PT_GNU_STACK]
        for index in places:
            flags = programs[index].flags
            programs[index] = programs[index]._replace(flags=flags | PF_X if wanted else flags & ~PF_X)
        return [] if places else [ProgramHeader(PT_GNU_STACK, PF_R | PF_W | (PF_X if wanted else 0), 0, 0, 0, 0, 0, 16)]

    def _start_interpreter(self) -> None:
        """Write the interpreter's path over the old one, or ask for room. PT_INTERP keeps its size, so that the way back is open."""
        program = self._draft.file.first(PT_INTERP)
        if self._wishes.interpreter is None or program is None:
            return
        path = encoded(self._wishes.interpreter) + b"\0"
        if len(path) <= program.filesz:
            old = bytes(cut(self._draft.buffer, program.offset, program.filesz, "PT_INTERP"))
            end = old.find(b"\0") + 1 or len(old)
            size = max(len(path), end)
            self._draft.put(program.offset, path.ljust(size, b"\0"), "PT_INTERP: path")
            return
        self._interpreter = path, Piece(len(path), 1)
        at = [i for i, s in enumerate(self._draft.sections) if s.addr == program.vaddr and s.size == program.filesz and s.allocated]
        self._interpreter_section = at[0] if at else -1

    def _finish_interpreter(self) -> None:
        if self._interpreter is None:
            return
        draft, (path, piece) = self._draft, self._interpreter
        draft.put(piece.offset, path, "PT_INTERP: path")
        index = next(index for index, program in enumerate(draft.programs) if program.type == PT_INTERP)
        size = len(path)
        draft.programs[index] = draft.programs[index]._replace(
            offset=piece.offset, vaddr=piece.vaddr, paddr=piece.vaddr, filesz=size, memsz=size
        )
        if self._interpreter_section >= 0:
            section = draft.sections[self._interpreter_section]
            draft.sections[self._interpreter_section] = section._replace(addr=piece.vaddr, offset=piece.offset, size=size)
