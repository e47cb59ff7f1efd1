"""The one section that we add to a file, written anew as a whole each time: names, moved tables, the tables of added imports.

What an earlier run put there is known from the tables that point to it, so that nothing dead stays and ten edits need no more room than
one. It is never moved, and the file's other bytes stay where they are.
"""

import struct
from typing import NamedTuple

from relocator.backends.windows.draft import Draft
from relocator.backends.windows.headers import (
    OWN_NAME,
    READ_DATA,
    SECTION,
    WRITE,
    aligned,
    foreign_overlay,
    header_room,
)
from relocator.backends.windows.layout import BOUND_IMPORTS, EXPORTS, IMPORTS, Region
from relocator.backends.windows.links import BY_ORDINAL, EXPORT, HINT, IMPORT, THUNKS, Descriptor, Exports, Links, Name, thunks
from relocator.plans import EditRefused

_MOST_SECTIONS = 96  # what Windows loads
_END_OF_ADDRESSES = 1 << 31
_PAGE = 0x1000
_SECTOR = 0x200
"""What the loader rounds file offsets of sections down to, whatever FileAlignment says."""


class Added(NamedTuple):
    """An import that only we use."""

    library: str
    symbols: tuple[bytes | int, ...]


class OwnSection:
    """The content while it is collected. It starts at `rva` and, in the file, at `pointer`."""

    def __init__(self, draft: Draft, dropped_bound: bool) -> None:
        self.draft = draft
        self.row = draft.headers.own
        self.data = bytearray()
        self.writable = False
        self._strings: dict[str, int] = {}
        if self.row:
            self.rva, self.pointer = self.row.rva, self.row.pointer
        else:
            self.rva, self.pointer = _new_place(draft, dropped_bound)

    def add(self, data: bytes, alignment: int = 8) -> int:
        """Put bytes into the section and return their address."""
        self.data.extend(bytes(-len(self.data) % alignment))
        self.data += data
        return self.rva + len(self.data) - len(data)

    def string(self, text: str) -> int:
        """Put a NUL-terminated string there, once."""
        if text not in self._strings:
            self._strings[text] = self.add(text.encode("utf-8", "surrogateescape") + b"\0", 2)
        return self._strings[text]

    def import_table(self, links: Links, added: list[Added], cleared: bool) -> None:
        """Move the import table here, rows of ours last; `cleared` when the rows are no longer bound."""
        plus = self.draft.headers.layout.plus
        kept = [row for row in links.imports if not row.removed]
        rows = [IMPORT.pack(*row_values(row, cleared)) for row in kept if not row.ours]
        ours = [Added(row.name.wanted, _symbols(links, row)) for row in kept if row.ours]
        rows += [self._added(library, symbols, plus) for library, symbols in (*ours, *added)]
        raw = b"".join(rows) + bytes(IMPORT.size)
        entry = struct.pack("<2I", self.add(raw), len(raw))
        self.draft.put(self.draft.headers.directory_place(IMPORTS), entry, "import table: entry")

    def _added(self, library: str, symbols: tuple[bytes | int, ...], plus: bool) -> bytes:
        flag, code = BY_ORDINAL[plus], THUNKS[plus]
        entries = [flag | s if isinstance(s, int) else self.add(bytes(HINT) + s + b"\0", 2) for s in symbols]
        raw = b"".join(code.pack(entry) for entry in (*entries, 0))
        self.writable = True  # the loader writes addresses here, and only unprotects the file's own table of them
        return IMPORT.pack(self.add(raw), 0, 0, self.string(library), self.add(raw))

    def export_directory(self, exports: Exports) -> None:
        """Move the directory here together with all forwarders: what the entry of the directory covers is taken for a forwarder."""
        self.data.extend(bytes(-len(self.data) % 8))
        start = len(self.data)
        values = (*exports.values[:3], exports.identity.rva, *exports.values[4:])
        self.add(EXPORT.pack(*values))
        for name in exports.forwarders:
            name.rva = self.add(name.wanted_bytes, 1)
            self.draft.put_number(name.place, name.rva, "export forwarder: address")
        entry = struct.pack("<2I", self.rva + start, len(self.data) - start)
        self.draft.put(self.draft.headers.directory_place(EXPORTS), entry, "export directory: entry")

    def finish(self) -> None:
        """Write the content, the row and what the headers say of them; refuse when the section cannot grow."""
        draft, headers = self.draft, self.draft.headers
        size = max(aligned(len(self.data), max(headers.file_alignment, _SECTOR)), self.row.size if self.row else 0)
        memory = max(len(self.data), 1)
        if self.row and size > self.row.size:
            self._check_growth(self.row.pointer + self.row.size, self.row.rva + self.row.extent)
        label = OWN_NAME.decode("ascii")
        if self.row and size == self.row.size:
            draft.put(self.pointer, bytes(self.data).ljust(size, b"\0"), f"{label}: content")
        else:
            start = min(self.pointer, draft.kept)
            draft.put(start, bytes(self.pointer - start) + bytes(self.data).ljust(size, b"\0"), f"{label}: content")
            draft.size = self.pointer + size
        self._write_row(size, memory)
        initialized = (headers.initialized + size - (self.row.size if self.row else 0)) % (1 << 32)
        draft.put_number(headers.optional + 8, initialized, "SizeOfInitializedData")
        self._write_image_size(memory)

    def _write_row(self, size: int, memory: int) -> None:
        headers, row = self.draft.headers, self.row
        flags = READ_DATA | (WRITE if self.writable else 0)
        raw = SECTION.pack(OWN_NAME, memory, self.rva, size, self.pointer, 0, 0, 0, 0, flags)
        self.draft.put(row.place if row else headers.layout.table_end, raw, "section table: .reloctr")
        if row is None:
            self.draft.put_number(headers.count_place, len(headers.sections) + 1, "NumberOfSections", 2)

    def _write_image_size(self, memory: int) -> None:
        headers = self.draft.headers
        ends = [section.rva + section.extent for section in headers.sections if section != self.row]
        end = max(*ends, self.rva + memory) if ends else self.rva + memory
        self.draft.put_number(headers.optional + 56, aligned(end, headers.section_alignment), "SizeOfImage")

    def _check_growth(self, end: int, end_in_memory: int) -> None:
        draft = self.draft
        following = any(section.rva > self.rva for section in draft.headers.sections)
        if end != draft.kept or (following and len(self.data) > aligned(end_in_memory, draft.headers.section_alignment) - self.rva):
            raise EditRefused(
                f"{len(self.data)} bytes are needed in {OWN_NAME.decode()}, it has {end - self.pointer} and something follows it",
                "use shorter names, or edit the file as it was before the last program changed it",
            )


def _new_place(draft: Draft, dropped_bound: bool) -> tuple[int, int]:
    """Return (address, file offset) for a new section; refuse where there is no room for its row, or where bytes must not be covered."""
    headers = draft.headers
    bound = headers.layout.region(BOUND_IMPORTS) if dropped_bound else None
    room = header_room(headers, bound or Region(0, 0))
    if headers.section_alignment < _PAGE:
        raise EditRefused(
            f"sections are aligned to {headers.section_alignment} bytes, so that none can be added",
            "use a name that is not longer than the old one",
        )
    if room < SECTION.size or len(headers.sections) >= _MOST_SECTIONS:
        raise EditRefused(
            f"a new section needs {SECTION.size} bytes behind the section table, there are {room}",
            "use a name that is not longer than the old one, or link the file anew with another alignment",
        )
    overlay = foreign_overlay(headers, draft.kept)
    if overlay is not None:
        raise EditRefused(
            f"data that belongs to no section follows the sections (at offset {overlay:#x}); programs find such data by their end",
            "use a name that is not longer than the old one, or append the data after the edit",
        )
    end = max(section.rva + section.extent for section in headers.sections) if headers.sections else headers.headers_size
    if aligned(end, headers.section_alignment) + len(headers.layout.buffer) > _END_OF_ADDRESSES:
        raise EditRefused("the file has no addresses left behind its last section", "link it anew with less in it")
    if any(section.name == OWN_NAME for section in headers.sections):
        raise EditRefused(
            f"the file has a section called {OWN_NAME.decode('ascii')} that is not ours, by its flags",
            "use a name that is not longer than the old one, or edit the file as it was before another program changed it",
        )
    return aligned(end, headers.section_alignment), aligned(draft.kept, max(headers.file_alignment, _SECTOR))


def row_values(row: Descriptor, cleared: bool) -> tuple[int, ...]:
    """Return an import descriptor as it shall be."""
    lookup, stamp, chain, _, addresses = row.values
    return (lookup, 0, 0, row.name.rva, addresses) if cleared and stamp else (lookup, stamp, chain, row.name.rva, addresses)


def _symbols(links: Links, row: Descriptor) -> tuple[bytes | int, ...]:
    layout = links.layout
    flag = BY_ORDINAL[layout.plus]
    return tuple(t & 0xFFFF if t & flag else layout.string(t + HINT, "added import") for t in thunks(layout, row))


def resident(name: Name, own: Region) -> bool:
    """Tell whether a name lies in our section."""
    return resident_at(name.rva, own)


def resident_at(rva: int, own: Region) -> bool:
    """Tell whether an address lies in our section."""
    return own.rva <= rva < own.rva + own.size
