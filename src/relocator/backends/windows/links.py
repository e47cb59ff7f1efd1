"""Every place where a PE file names a module, and what else its tables point to: what an editor has to know before it writes.

Microsoft's PE format specification, "The .idata Section", "Delay-Load Import Tables", "The .edata Section"; for files with code for two
architectures, winnt.h, IMAGE_DYNAMIC_RELOCATION_ARM64X.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from relocator.backends.windows.fixups import directories_of_views, is_hybrid
from relocator.backends.windows.layout import CERTIFICATES, DELAY_IMPORTS, EXPORTS, IMPORTS, Layout, Region
from relocator.buffer import text
from relocator.errors import UnreadableBinary

IMPORT = struct.Struct("<5I")
DELAY_IMPORT = struct.Struct("<8I")
EXPORT = struct.Struct("<10I")
THUNKS = {False: struct.Struct("<I"), True: struct.Struct("<Q")}
"""By PE32+: an entry of an import lookup table."""
BY_ORDINAL = {False: 1 << 31, True: 1 << 63}
_ADDRESS = 0x7FFFFFFF
HINT = 2
"""Bytes before the name in the hint/name table."""
_DELAY_BY_RVA = 1
_LONGEST = 1024


class Use(StrEnum):
    """What a module's name is there for."""

    IMPORT = "import"
    DELAY = "delayed import"
    FORWARDER = "export forwarder"
    IDENTITY = "export directory"


@dataclass(slots=True)
class Name:
    """One name, as it is and as it shall be."""

    use: Use
    place: int
    """File offset of the four bytes that point to it."""
    rva: int
    """Of the string; 0 where there is none yet."""
    text: str
    wanted: str
    base: int = 0
    """What the four bytes have added to the RVA: the image base in delay descriptors of Visual C++ 6."""

    @property
    def wanted_bytes(self) -> bytes:
        """The name to write, with its NUL."""
        return self.wanted.encode("utf-8", "surrogateescape") + b"\0"

    @property
    def changed(self) -> bool:
        """Tell whether an edit wants another name."""
        return self.text != self.wanted


@dataclass(slots=True)
class Descriptor:
    """One row of the import table, or of the delay import table."""

    place: int
    values: tuple[int, ...]
    name: Name
    ours: bool = False
    """Added by us: its addresses lie in our own section, so that no code uses them."""
    removed: bool = False

    @property
    def lookup(self) -> int:
        """RVA of the table that says which symbols are imported."""
        if self.name.use == Use.DELAY:
            return max(self.values[4] - self.name.base, 0)
        return self.values[0] or self.values[4]

    @property
    def tables(self) -> tuple[int, ...]:
        """The RVAs of all tables that belong to the row."""
        chosen = self.values[2:7] if self.name.use == Use.DELAY else (self.values[0], self.values[4])
        return tuple(value - self.name.base for value in chosen if value > self.name.base)


@dataclass(slots=True)
class Exports:
    """The export directory; of a file for two architectures one of two."""

    region: Region
    place: int
    """File offset of the directory."""
    values: tuple[int, ...]
    identity: Name
    forwarders: list[Name]
    main: bool = True
    """Not the one that other processes see."""


@dataclass(slots=True)
class Links:
    """All that names modules."""

    layout: Layout
    imports: list[Descriptor] = field(default_factory=list)
    delays: list[Descriptor] = field(default_factory=list)
    exports: list[Exports] = field(default_factory=list)
    table: Region | None = None
    """The import directory of the file as it lies on disk."""
    hybrid: bool = False
    """Has code for two architectures."""

    def names(self) -> Iterator[Name]:
        """Yield every name, those of removed rows left out."""
        yield from (row.name for row in (*self.imports, *self.delays) if not row.removed)
        for exports in self.exports:
            yield exports.identity
        yield from self.forwarders()

    def forwarders(self) -> Iterator[Name]:
        """Yield the names in export forwarders: "module.symbol"."""
        for exports in self.exports:
            yield from exports.forwarders


def read_links(layout: Layout, own: Region) -> Links:
    """Return what names modules; raise UnreadableBinary when a table is cut or makes no sense. `own` is our section in memory."""
    links = Links(layout, table=layout.region(IMPORTS))
    views = directories_of_views(layout)
    links.hybrid = is_hybrid(layout)
    seen: set[int] = set()
    for number, directories in enumerate(views):
        view = layout if not number else replace(layout, directories=directories)
        for row in _imports(view):
            if row.place not in seen:
                row.ours = own.rva <= row.values[4] < own.rva + own.size
                links.imports.append(row)
                seen.add(row.place)
        for row in _delays(view):
            if row.place not in seen:
                links.delays.append(row)
                seen.add(row.place)
        exports = _exports(view, not number)
        if exports and exports.place not in seen:
            links.exports.append(exports)
            seen.add(exports.place)
    return links


def _rows(layout: Layout, index: int, row: struct.Struct, what: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    region = layout.region(index)
    if region is None:
        return
    for number, values in enumerate(layout.entries(region.rva, row, what)):
        if row.size * number > len(layout.buffer):
            raise UnreadableBinary(what, "the table has more bytes than the file")
        yield layout.locate(region.rva + row.size * number, what)[0], values


def _imports(layout: Layout) -> Iterator[Descriptor]:
    for place, values in _rows(layout, IMPORTS, IMPORT, "import descriptor"):
        if not values[3] or not values[4]:
            return
        yield Descriptor(place, values, _name(layout, Use.IMPORT, place + 12, values[3]))


def _delays(layout: Layout) -> Iterator[Descriptor]:
    for place, values in _rows(layout, DELAY_IMPORTS, DELAY_IMPORT, "delay import descriptor"):
        if not values[1]:
            return
        base = 0 if values[0] & _DELAY_BY_RVA or layout.plus else layout.image_base
        yield Descriptor(place, values, _name(layout, Use.DELAY, place + 4, values[1], base))


def _name(layout: Layout, use: Use, place: int, value: int, base: int = 0) -> Name:
    name = text(layout.string(value - base, f"name in {use} descriptor"))
    if not name or len(name) > _LONGEST:
        raise UnreadableBinary(f"{use} descriptor", f"a library's name has {len(name)} bytes", place)
    return Name(use, place, value - base, name, name, base)


def _exports(layout: Layout, main: bool) -> Exports | None:
    region = layout.region(EXPORTS)
    if region is None:
        return None
    values = EXPORT.unpack(layout.cut(region.rva, EXPORT.size, "export directory"))
    place = layout.locate(region.rva, "export directory")[0]
    identity = Name(Use.IDENTITY, place + 12, values[3], "", "")
    if values[3]:
        try:
            identity.text = identity.wanted = text(layout.string(values[3], "export directory name"))
        except UnreadableBinary:
            identity.rva = 0  # nothing but readers ever looks at it
    return Exports(region, place, values, identity, list(_forwarders(layout, region, values)), main)


def _forwarders(layout: Layout, region: Region, values: tuple[int, ...]) -> Iterator[Name]:
    count, table = values[5], values[7]
    if not count:
        return
    raw = layout.cut(table, 4 * count, "export address table")
    place = layout.locate(table, "export address table")[0]
    room = len(layout.buffer)
    for index, (rva,) in enumerate(struct.iter_unpack("<I", raw)):
        if region.rva <= rva < region.rva + region.size:
            target = text(layout.string(rva, "export forwarder"))
            room -= len(target) + 1
            if room < 0:
                raise UnreadableBinary("export forwarder", "the names have more bytes than the file")
            yield Name(Use.FORWARDER, place + 4 * index, rva, target, target)


def thunks(layout: Layout, row: Descriptor) -> Iterator[int]:
    """Yield the entries of a row's lookup table up to its zero."""
    if not row.lookup:
        return
    what = f"imports from {row.name.text}"
    for number, (thunk,) in enumerate(layout.entries(row.lookup, THUNKS[layout.plus], what)):
        if not thunk:
            return
        if number > len(layout.buffer):
            raise UnreadableBinary(what, "the tables have more bytes than the file")
        yield thunk


class Others(NamedTuple):
    """What the headers, imports and exports point to beside names of modules."""

    addresses: tuple[int, ...]
    """RVAs, in ascending order. With them one sees whether a string is shared and where the next thing after it begins."""
    tables: tuple[tuple[int, int], ...]
    """First RVA and the one behind the last, end marks included."""


def read_others(links: Links) -> Others:
    """Return what else is known of where things lie."""
    layout = links.layout
    known = {region.rva for index, region in enumerate(layout.directories) if index != CERTIFICATES}
    tables = []
    for row in (*links.imports, *links.delays):
        known.update(row.tables)
        count = 1
        for thunk in thunks(layout, row):
            count += 1
            if not thunk & BY_ORDINAL[layout.plus]:
                hint = (thunk & _ADDRESS if layout.plus else thunk) - row.name.base
                known.update((hint, hint + HINT))
        tables += [(rva, rva + count * THUNKS[layout.plus].size) for rva in (row.lookup, *row.tables)]
    for index, rows, size in ((IMPORTS, links.imports, IMPORT.size), (DELAY_IMPORTS, links.delays, DELAY_IMPORT.size)):
        region = layout.region(index) or Region(0, 0)
        tables.append((region.rva, region.rva + size * (len(rows) + 1)))
    for exports in links.exports:
        count, names, addresses, labels, ordinals = exports.values[5:10]
        known.update((addresses, labels, ordinals), _words(layout, addresses, count), _words(layout, labels, names))
        tables += [(exports.region.rva, exports.region.rva + EXPORT.size), (addresses, addresses + 4 * count)]
        tables += [(labels, labels + 4 * names), (ordinals, ordinals + 2 * names)]
    known.difference_update(name.rva for name in links.forwarders())
    return Others(tuple(sorted(known)), tuple(tables))


def _words(layout: Layout, rva: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}I", layout.cut(rva, 4 * count, "export tables")) if count else ()
