"""Rewrites which modules a PE file names: edits in, patches out, nothing else moves.

Only the four bytes that point to a name change, and a name goes where there is room: over the old one, into zeros behind it, into the
tail of a section, at last into one section of ours. Addresses of imports, code, resources, debug directory, relocations and the tables of
control flow guard stay as they are.

Microsoft's PE format specification; the names of fields are those of winnt.h.
"""

from collections.abc import Sequence

from relocator.backends.windows.draft import Draft
from relocator.backends.windows.headers import Headers, read_headers
from relocator.backends.windows.layout import BOUND_IMPORTS, LOAD_CONFIG, Region
from relocator.backends.windows.links import IMPORT, Exports, Links, Name, Use, read_links
from relocator.backends.windows.own_section import Added, OwnSection, resident, resident_at, row_values
from relocator.backends.windows.placement import Places
from relocator.backends.windows.wishes import Wishes, take_wishes
from relocator.buffer import Buffer
from relocator.plans import Edit, EditRefused, Patchset

_FORCE_INTEGRITY = 0x80  # IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY
_SYSTEM32 = 0x800  # LOAD_LIBRARY_SEARCH_SYSTEM32
_OTHER_PLACES = 0x100 | 0x200 | 0x400 | 0x1000
_FLAGS_PLACE = {False: 0x36, True: 0x4E}
_PACKED = (b"UPX0", b"UPX1", b"UPX2")


def prepare(buffer: Buffer, edits: Sequence[Edit]) -> Patchset:
    """Return the patches that carry out all edits of one file together; a falsy Patchset when there is nothing to do.

    ReplaceNeeded compares names without case, in imports, delayed imports and export forwarders; AddNeeded wants "library!symbol".
    Raises EditRefused with the reason and what to do instead, UnreadableBinary for a damaged file.
    """
    headers = read_headers(buffer)
    if headers is None:
        raise EditRefused("the file has no PE header", "give a .dll, .pyd or .exe")
    own = Region(headers.own.rva, headers.own.extent) if headers.own else Region(0, 0)
    links = read_links(headers.layout, own)
    wishes = take_wishes(links, edits)
    rewritten = bool(wishes.added) or any(name.changed for name in links.names()) or any(row.removed for row in links.imports)
    if not rewritten and not (wishes.resign and headers.certificate):
        return Patchset(len(buffer), len(buffer))
    _check_protection(headers, wishes)
    draft = Draft(headers)
    if wishes.resign:
        draft.drop_certificate()
    if rewritten:
        _Rewriting(draft, links, own, wishes).run()
    return draft.patchset()


def _check_protection(headers: Headers, wishes: Wishes) -> None:
    if headers.layout.dll_characteristics & _FORCE_INTEGRITY:
        raise EditRefused(
            "the file demands a valid signature of itself (IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY): Windows would not load it changed",
            "link it without /INTEGRITYCHECK",
        )
    if any(section.name in _PACKED for section in headers.sections):
        raise EditRefused("the file is packed by UPX, its own tables are compressed", "unpack it with upx -d, edit it, pack it again")
    if headers.certificate and not wishes.resign:
        raise EditRefused(
            "the file is signed (Authenticode); any change makes the signature invalid",
            "add --resign to take the certificate off, then sign the file again if somebody checks it",
        )


class _Rewriting:
    """The steps of one rewrite: names to places, then tables that move, then what the change makes invalid."""

    def __init__(self, draft: Draft, links: Links, own: Region, wishes: Wishes) -> None:
        self.draft = draft
        self.links = links
        self.own = own
        self.wishes = wishes
        self.changed = [name for name in links.names() if name.changed]
        self.removes = any(row.removed for row in links.imports)
        self.widens = bool(wishes.added) or any(name.use == Use.IMPORT for name in self.changed)
        self.bound = (self.widens or self.removes) and self._is_bound()
        self.moved: list[Exports] = []
        self.rows_written = False

    def run(self) -> None:
        places = Places(self.draft, self.links)
        left = [name for name in self.changed if resident(name, self.own) or not places.overwrite(name)]
        forwarders = {id(name) for name in left if name.use == Use.FORWARDER}
        self.moved = [exports for exports in self.links.exports if any(id(name) in forwarders for name in exports.forwarders)]
        left = [name for name in left if name.use != Use.FORWARDER]
        if not self.own.size and not self.moved and not self.wishes.added:
            left = _not_appended(places, left)
        if left or self.moved or self.wishes.added or (self._table_is_ours() and (self.bound or self.removes)):
            self._write_own(left)
        elif self.removes:
            self._close_gaps()
        places.finish()
        self._write_fields()
        self._drop_what_is_stale()

    def _is_bound(self) -> bool:
        """Tell whether addresses in needed modules are stored; refuse when nothing else says what is imported."""
        rows = [row for row in self.links.imports if row.values[1]]
        if any(not row.values[0] for row in rows):
            raise EditRefused("the imports are bound, and the names of the imported symbols are lost", "link the file anew")
        return bool(rows) or self.draft.headers.layout.region(BOUND_IMPORTS) is not None

    def _table_is_ours(self) -> bool:
        table = self.links.table
        inside = table is not None and self.own.rva <= table.rva < self.own.rva + self.own.size
        return inside or any(row.ours for row in self.links.imports)

    def _write_own(self, left: Sequence[Name]) -> None:
        """Write our section: what is new, and what lies there already."""
        section = OwnSection(self.draft, self.bound)
        self.moved += [e for e in self.links.exports if resident_at(e.region.rva, self.own) and e not in self.moved]
        if any(not exports.main for exports in self.moved):
            raise EditRefused(
                "the exports for processes of the other architecture cannot move", "use a name that is not longer than the old one"
            )
        homeless = {id(name) for name in left}
        added = {id(row.name) for row in self.links.imports if row.ours}
        for name in self.links.names():
            if name.use != Use.FORWARDER and id(name) not in added and (id(name) in homeless or resident(name, self.own)):
                name.rva = section.string(name.wanted)
        for exports in self.moved:
            section.export_directory(exports)
        if self.wishes.added or self._table_is_ours():
            section.import_table(self.links, [Added(library, (symbol,)) for library, symbol in self.wishes.added], self.bound)
            self.rows_written = True
        section.finish()

    def _close_gaps(self) -> None:
        """Move the rows behind removed ones up; no code refers to rows of the import table."""
        kept = [IMPORT.pack(*row_values(row, self.bound)) for row in self.links.imports if not row.removed]
        kept += [bytes(IMPORT.size)] * (len(self.links.imports) - len(kept))
        for row, raw in zip(self.links.imports, kept, strict=True):
            self.draft.put(row.place, raw, "import descriptor")
        self.rows_written = True

    def _write_fields(self) -> None:
        """Point the tables that stay where they are to the new names."""
        if not self.rows_written:
            for row in self.links.imports:
                self.draft.put_number(row.name.place, row.name.rva, "import descriptor: Name")
                if self.bound and row.values[1]:
                    self.draft.put(row.place + 4, bytes(8), "import descriptor: TimeDateStamp and ForwarderChain")
        for row in self.links.delays:
            self.draft.put_number(row.name.place, row.name.rva + row.name.base, "delay import descriptor: DllNameRVA")
            if row.name.changed and row.values[7]:
                self.draft.put_number(row.place + 28, 0, "delay import descriptor: TimeDateStamp")
        for exports in self.links.exports:
            if exports not in self.moved and exports.identity.changed:
                self.draft.put_number(exports.identity.place, exports.identity.rva, "export directory: Name")

    def _drop_what_is_stale(self) -> None:
        if self.bound:
            self.draft.drop_directory(BOUND_IMPORTS, "bound imports: entry")
            self.draft.remarks.append("the bound imports were dropped; Windows looks the addresses up when it loads the file")
        if self.widens:
            self._widen_search()

    def _widen_search(self) -> None:
        """Clear DependentLoadFlags that let needs be found in System32 alone, where no renamed library lies."""
        layout = self.draft.headers.layout
        region = layout.region(LOAD_CONFIG)
        at = _FLAGS_PLACE[layout.plus]
        if region is None or int.from_bytes(layout.cut(region.rva, 4, "load configuration"), "little") < at + 2:
            return
        flags = int.from_bytes(layout.cut(region.rva + at, 2, "DependentLoadFlags"), "little")
        if flags & _SYSTEM32 and not flags & _OTHER_PLACES:
            self.draft.put_number(layout.locate(region.rva + at, "DependentLoadFlags")[0], 0, "DependentLoadFlags", 2)
            self.draft.remarks.append(f"DependentLoadFlags {flags:#x} were cleared: they let needs be found in System32 alone")


def _not_appended(places: Places, names: Sequence[Name]) -> list[Name]:
    """Put names into the tails of sections; return those for which there is no room."""
    known: dict[str, int | None] = {}
    left = []
    for name in names:
        if name.wanted not in known:
            known[name.wanted] = places.append(name.wanted)
        rva = known[name.wanted]
        if rva is None:
            left.append(name)
        else:
            name.rva = rva
    return left
