"""Rewrites the dynamic section, its strings and its version tables.

Entries of one kind take the slots that their kind has, so that as little as possible moves; new ones use up spare DT_NULLs.

Specification: System V gABI, chapter 5 ("Dynamic Section"); Linux Standard Base, "Symbol Versioning".
"""

import struct

from relocator.backends.linux.draft import Draft
from relocator.backends.linux.dynamic import (
    DT_NEEDED,
    DT_NULL,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
    Dynamic,
    read_versions,
)
from relocator.backends.linux.entries import Entry, new_needs, refill, replace
from relocator.backends.linux.headers import PT_DYNAMIC
from relocator.backends.linux.relocations import read_used
from relocator.backends.linux.room import Piece, extend
from relocator.backends.linux.section_headers import SHT_DYNAMIC, SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB
from relocator.backends.linux.string_table import StringTable
from relocator.backends.linux.symbols import count_symbols
from relocator.backends.linux.version_edit import VersionEdit
from relocator.backends.linux.wishes import Wishes, encoded
from relocator.buffer import cut
from relocator.plans import EditRefused, PathKind, SetSearchPaths

_STRING_TAGS = frozenset({DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH, 0x7FFFFFFD, 0x7FFFFFFF, 0x6FFFFEFA, 0x6FFFFEFB, 0x6FFFFEFC})
"""With DT_AUXILIARY, DT_FILTER, DT_CONFIG, DT_DEPAUDIT and DT_AUDIT."""
_TAG_NAMES = {DT_NEEDED: "DT_NEEDED", DT_SONAME: "DT_SONAME", DT_RPATH: "DT_RPATH", DT_RUNPATH: "DT_RUNPATH"}
_DT_MIPS_RLD_MAP_REL = 0x70000035
_SPARE = 8
"""DT_NULLs left free behind a dynamic section that had to move, for later edits."""
_DYNAMIC = b"_DYNAMIC\0"


class DynamicRewrite:
    """One dynamic section, from what is wanted of it to its new bytes."""

    def __init__(self, draft: Draft, dynamic: Dynamic, wishes: Wishes) -> None:
        self._draft, self._dynamic, self._wishes = draft, dynamic, wishes
        self._read_entries()
        self._strings_piece: Piece | None = None
        self._names: list[int] | None = None
        self._entries_piece: Piece | None = None
        self._table = StringTable(dynamic.strings.raw, self._symbol_names)
        self._strings_section = self._section(SHT_STRTAB, dynamic.values.get(DT_STRTAB))

    def _read_entries(self) -> None:
        """Read the entries, and how many there may be."""
        draft, shape = self._draft, self._draft.file.shape
        program = draft.file.last(PT_DYNAMIC)
        assert program is not None, "read_dynamic found one"
        self._vaddr = program.vaddr
        self._offset, room = draft.file.place(program.vaddr, 1, "PT_DYNAMIC")
        size = min(program.filesz, room)
        raw = cut(draft.buffer, self._offset, size - size % shape.dynamic.size, "PT_DYNAMIC")
        rows = list(shape.dynamic.iter_unpack(raw))
        count = next(index for index, (tag, _) in enumerate(rows) if tag == DT_NULL)
        self._old: list[tuple[int, int]] = rows[:count]
        free = next((index for index in range(count, len(rows)) if rows[index][0] != DT_NULL), len(rows))
        self._capacity = free - 1
        draft.entries = list(self._old)

    def _section(self, kind: int, address: int | None) -> int:
        """Return the index of the section of a type that is loaded at an address; -1 when there is none."""
        found = (i for i, s in enumerate(self._draft.sections) if s.type == kind and s.addr == address and (s.allocated or address))
        return next(found, -1)

    # ------------------------------------------------------------ what is wanted

    def start(self, pieces: list[Piece], extensible: bool) -> list[Piece]:
        """Change what can be changed in place; return `pieces` and what else needs a place.

        `extensible` says that nothing but pieces is looking for room, so that the string table may grow where it lies.
        """
        if not self._wishes.dynamic:
            return pieces
        read_versions(self._draft.file, self._dynamic)  # raises for what is cut, before anything is built on it
        versions = VersionEdit(self._draft, self._dynamic, self._wishes)
        entries = versions.remove(self._wanted(), lambda: len(self._symbol_names()))
        self._place_strings(entries, versions)
        if len(entries) > self._capacity:
            size = (len(entries) + 1 + _SPARE) * self._draft.file.shape.dynamic.size
            self._entries_piece = Piece(size, 8, writable=True)
            pieces = [self._entries_piece, *pieces]
        if self._table.grown and not (extensible and not pieces and self._extend()):
            self._strings_piece = Piece(len(self._table.raw), 1)
            pieces = [*pieces, self._strings_piece]
        else:
            for start, end, reason in self._table.changed:
                self._draft.put(self._strings_offset() + start, bytes(self._table.raw[start:end]), reason)
        return pieces

    def _wanted(self) -> list[Entry]:
        wishes, get = self._wishes, self._dynamic.strings.get
        entries = [Entry(tag, value) for tag, value in self._old]
        needs = [(entry, get(entry.value, "DT_NEEDED")) for entry in entries if entry.tag == DT_NEEDED]
        entries = refill(entries, DT_NEEDED, new_needs(needs, wishes, self._draft.remarks))
        if wishes.paths is not None:
            entries = self._paths(entries, wishes.paths)
        if wishes.identity is not None:
            entries = replace(entries, (DT_SONAME,), DT_SONAME, encoded(wishes.identity), self._dynamic.strings.raw)
        return entries

    def _paths(self, entries: list[Entry], wanted: SetSearchPaths) -> list[Entry]:
        """Leave at most one search path. Where both kinds are there the loader goes by DT_RUNPATH, and so do we."""
        values = self._dynamic.values
        if not wanted.paths:
            return [entry for entry in entries if entry.tag not in (DT_RPATH, DT_RUNPATH)]
        tag = DT_RPATH if wanted.kind == PathKind.RPATH else DT_RUNPATH
        if wanted.kind == PathKind.KEEP and DT_RPATH in values and DT_RUNPATH not in values:
            tag = DT_RPATH
        elif wanted.kind == PathKind.KEEP and DT_RUNPATH not in values:
            self._draft.remarks.append(
                "the file had no search path and got DT_RUNPATH: for its needs glibc no longer uses the DT_RPATH of those that load it"
            )
        return replace(entries, (DT_RUNPATH, DT_RPATH), tag, encoded(":".join(wanted.paths)), self._dynamic.strings.raw)

    def _place_strings(self, entries: list[Entry], versions: VersionEdit) -> None:
        """Give the new strings their places, and note the entries and version records that point to them."""
        requests = [(e.text, e.value, f"{_TAG_NAMES[e.tag]}: string") for e in entries if e.text is not None]
        requests += versions.requests()
        merged: dict[bytes, tuple[list[int], str]] = {}
        for text, replaced, reason in requests:
            offsets, _ = merged.setdefault(text, ([], reason))
            if replaced >= 0:
                offsets.append(replaced)
        if merged and not self._dynamic.strings.raw:
            raise EditRefused("the file has no dynamic string table (DT_STRTAB), so there is no place for a name", "link the file anew")
        kept = [entry.value for entry in entries if entry.text is None and entry.tag in _STRING_TAGS]
        found = self._table.place([(text, offsets, reason) for text, (offsets, reason) in merged.items()], [*kept, *versions.kept()])
        versions.write(found)
        self._draft.entries = [(entry.tag, entry.value if entry.text is None else found[entry.text]) for entry in entries]

    # ------------------------------------------------------------ what the file has

    def _strings_offset(self) -> int:
        return self._draft.file.place(self._dynamic.values[DT_STRTAB], len(self._dynamic.strings.raw), "DT_STRTAB")[0]

    def _symbol_names(self) -> list[int]:
        """Return where in the string table the name of each symbol lies."""
        if self._names is None:
            self._names = self._read_symbol_names()
        return self._names

    def _read_symbol_names(self) -> list[int]:
        address, file = self._dynamic.values.get(DT_SYMTAB), self._draft.file
        if address is None:
            return []
        size, index = file.shape.symbol_size, self._section(SHT_DYNSYM, address)
        room = file.place(address, 1, "DT_SYMTAB")[1] // size
        known = self._draft.sections[index].size // size if index >= 0 else len(read_used(file, self._dynamic, room))
        raw = file.mapped(address, count_symbols(file, self._dynamic, known) * size, "DT_SYMTAB")
        layout = struct.Struct(file.shape.order + ("I20x" if file.shape.wide else "I12x"))
        return [name for (name,) in layout.iter_unpack(raw)]

    # ------------------------------------------------------------ once everything has its place

    def _extend(self) -> bool:
        """Let the string table grow where it lies, and write it, if it ends its segment."""
        start, table = self._strings_offset(), self._table
        old = len(self._dynamic.strings.raw)
        if not extend(self._draft, start, old, len(table.raw)):
            return False
        self._draft.put(start + old, bytes(table.raw[old:]), "DT_STRTAB: grown where it was")
        self._resize_strings()
        return True

    def _resize_strings(self) -> None:
        size = len(self._table.raw)
        self._draft.entries = [(tag, size if tag == DT_STRSZ else value) for tag, value in self._draft.entries]
        if self._strings_section >= 0:
            self._draft.sections[self._strings_section] = self._draft.sections[self._strings_section]._replace(size=size)

    def finish(self) -> None:
        """Write what depends on where things are now."""
        if not self._dynamic.values:
            return
        piece = self._strings_piece
        if piece is not None:
            self._draft.put(piece.offset, bytes(self._table.raw), "DT_STRTAB: grown, in its new place")
            self._resize_strings()
            self._draft.entries = [(tag, piece.vaddr if tag == DT_STRTAB else value) for tag, value in self._draft.entries]
            if self._strings_section >= 0:
                section = self._draft.sections[self._strings_section]
                self._draft.sections[self._strings_section] = section._replace(addr=piece.vaddr, offset=piece.offset)
        if self._entries_piece is None:
            self._write_entries(self._offset, self._vaddr)
        else:
            self._move_entries(self._entries_piece)

    def _write_entries(self, offset: int, vaddr: int) -> None:
        shape, draft = self._draft.file.shape, self._draft
        step, old = shape.dynamic.size, self._old
        for index in range(max(len(draft.entries), len(old) if offset == self._offset else 0)):
            tag, value = draft.entries[index] if index < len(draft.entries) else (DT_NULL, 0)
            if tag == _DT_MIPS_RLD_MAP_REL:  # relative to the address of the entry itself
                was = next(place for place, entry in enumerate(old) if entry[0] == tag)
                value += (self._vaddr + was * step) - (vaddr + index * step)
                value = value - (1 << 32) if not shape.wide and value >= 1 << 31 else value
            if offset != self._offset or old[index : index + 1] != [(tag, value)]:
                draft.put(offset + index * step, shape.dynamic.pack(*_signed(tag, value, shape.wide)), "dynamic section")

    def _move_entries(self, piece: Piece) -> None:
        """Write the dynamic section to its new place, and let the program header, the section header and _DYNAMIC follow."""
        draft = self._draft
        index = max(index for index, program in enumerate(draft.programs) if program.type == PT_DYNAMIC)
        draft.programs[index] = draft.programs[index]._replace(
            offset=piece.offset, vaddr=piece.vaddr, paddr=piece.vaddr, filesz=piece.size, memsz=piece.size
        )
        self._write_entries(piece.offset, piece.vaddr)
        used = len(draft.entries) * draft.file.shape.dynamic.size
        draft.put(piece.offset + used, bytes(piece.size - used), "dynamic section: free entries")
        section = self._section(SHT_DYNAMIC, self._vaddr)
        if section >= 0:
            draft.sections[section] = draft.sections[section]._replace(addr=piece.vaddr, offset=piece.offset, size=piece.size)
        self._move_symbol(piece.vaddr)
        draft.remarks.append("the dynamic section had no free entry and was moved, out of the part that is read-only after relocation")

    def _move_symbol(self, vaddr: int) -> None:
        """Let _DYNAMIC, a local symbol that only debuggers see, follow."""
        draft = self._draft
        layout = struct.Struct(draft.file.shape.order + ("I4xQ8x" if draft.wide else "2I8x"))
        for section in draft.sections:
            if section.type != SHT_SYMTAB or section.entsize != layout.size or section.offset + section.size > len(draft.buffer):
                continue
            names = draft.sections[section.link] if section.link < len(draft.sections) else section
            raw = draft.buffer[section.offset : section.offset + section.size // layout.size * layout.size]
            for index, (name, value) in enumerate(layout.iter_unpack(raw)):
                start = names.offset + name
                if value == self._vaddr and bytes(draft.buffer[start : start + len(_DYNAMIC)]) == _DYNAMIC:
                    draft.put(section.offset + index * layout.size + (8 if draft.wide else 4), draft.pack("P", vaddr), "symbol _DYNAMIC")


def _signed(tag: int, value: int, wide: bool) -> tuple[int, int]:
    """Return an entry as it is packed: values are unsigned."""
    return tag, value & ((1 << (64 if wide else 32)) - 1)
