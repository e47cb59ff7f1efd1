"""What a Mach-O slice imports and exports: from its binding information and export trie, and from its symbol table.

dyld binds by chained fixups or bind opcodes and looks names up in the export trie; the symbol table serves images that have neither. So
those come first, and undefined names that nothing binds are added from the symbol table as unused. A name bound only by weak coalescing has
the library "<weak>"; the image often defines it itself. Everything is checked and decoded once while the file is at hand; what is kept is
one block of names and a few bytes per symbol.

Specification: <mach-o/loader.h> (BIND_*, EXPORT_SYMBOL_FLAGS_*), <mach-o/fixup-chains.h>, <mach-o/nlist.h>.
"""

import struct
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from relocator.backends.macos.commands import MH_TWOLEVEL, Commands, Header, Region, Slice
from relocator.errors import UnreadableBinary
from relocator.model import NeedKind
from relocator.symbols import Export, Import, References, SpelledOnce

_SPECIAL = {0: "<self>", -1: "<main>", -2: "<flat>", -3: "<weak>"}
_UNKNOWN = -100  # an undefined name whose ordinal counts no library; dyld never looks at it

_NLIST_SPECIAL = {0xFE: -2, 0xFF: -1}  # DYNAMIC_LOOKUP_ORDINAL, EXECUTABLE_ORDINAL in n_desc's high byte
_N_STAB, _N_TYPE, _N_EXT, _N_PEXT = 0xE0, 0x0E, 0x01, 0x10
_N_UNDF, _N_PBUD = 0x0, 0xC
_N_WEAK_REF, _N_WEAK_DEF = 0x40, 0x80

_WEAK_IMPORT, _NON_WEAK_DEFINITION = 0x1, 0x8  # BIND_SYMBOL_FLAGS_*
_EXPORT_KIND, _EXPORT_WEAK, _EXPORT_REEXPORT, _EXPORT_RESOLVER = 0x3, 0x4, 0x8, 0x10
_THREAD_LOCAL = 0x1

_WEAK, _UNUSED = 1, 2  # our flags of an import
_EXPANSION = 64
"""How many times as long as a table itself its names may be when spelled out, on top of a constant. Real tables stay below a tenth of this;
without a bound a hostile one of a megabyte could spell out gigabytes."""


class _Bound(NamedTuple):
    """One imported name: two-level ordinal (from 1, or one of _SPECIAL) and our flags."""

    name: bytes
    ordinal: int
    flags: int


class _Offered(NamedTuple):
    """One exported name with its flags as in the trie; `forward` is where a re-export really lives."""

    name: bytes
    flags: int
    forward: str = ""


@dataclass(frozen=True, slots=True)
class MachOSymbols(SpelledOnce):
    """The dynamic symbols of one slice. Names are joined with NUL bytes; the memo takes no part in equality and pickling."""

    libraries: tuple[str, ...]
    """Install names by two-level ordinal, from 1."""
    imported: bytes
    """Names."""
    import_info: bytes
    """Per import: ordinal (2 bytes, little-endian, signed) and flags (1 byte)."""
    exported: bytes
    """Names."""
    export_flags: bytes
    """Per export: the low byte of its trie flags."""
    forwards: tuple[tuple[int, str], ...] = ()
    """Number of a re-exported name, and "library", or "library:symbol" when it has another name there."""
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def mentions(self, fragment: bytes) -> bool:
        """Tell whether the bytes occur in any symbol name."""
        return fragment in self.imported or fragment in self.exported

    def references(self) -> References:
        """Return the names that dyld must bind: neither weak nor unused, and not those that only coalesce."""
        names = {ordinal: name for ordinal, name in _SPECIAL.items() if name != "<weak>"}
        names.update(enumerate(self.libraries, 1))
        found, keys = [], []
        positions: dict[str, int] = {}
        information = struct.iter_unpack("<hB", self.import_info)
        for name, (ordinal, flags) in zip(_split(self.imported, self.import_info), information, strict=True):
            if not flags & (_WEAK | _UNUSED) and ordinal in names:
                found.append(name)
                keys.append(positions.setdefault(names[ordinal], len(positions)))
        return References(tuple(found), tuple(keys), tuple((b"", library) for library in positions))

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        """Return those exports whose names are wanted."""
        names = _split(self.exported, self.export_flags)
        return list(self._offered(index for index, name in enumerate(names) if name in wanted))

    def preemptible(self) -> References:
        """Return nothing: an image refers to its own symbols without their names."""
        return References()

    def unique(self) -> list[Export]:
        """Return nothing: ELF alone has such a binding."""
        return []

    def _imports(self) -> Iterator[Import]:
        names = dict(_SPECIAL)
        names.update(enumerate(self.libraries, 1))
        information = struct.iter_unpack("<hB", self.import_info)
        for name, (ordinal, flags) in zip(_split(self.imported, self.import_info), information, strict=True):
            yield Import(name, names.get(ordinal, ""), weak=bool(flags & _WEAK), used=not flags & _UNUSED)

    def _exports(self) -> Iterator[Export]:
        return self._offered(range(len(self.export_flags)))

    def _offered(self, indexes: Iterable[int]) -> Iterator[Export]:
        forwards, names = dict(self.forwards), _split(self.exported, self.export_flags)
        for index in indexes:
            flags = self.export_flags[index]
            data = flags & _EXPORT_KIND == _THREAD_LOCAL
            yield Export(names[index], weak=bool(flags & _EXPORT_WEAK), data=data, forward=forwards.get(index, ""))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.libraries, self.imported, self.import_info, self.exported, self.export_flags, self.forwards)


def read_symbols(part: Slice, header: Header, commands: Commands) -> MachOSymbols:
    """Decode the symbols of one slice; raise UnreadableBinary for any table that is cut, cyclic or contradictory."""
    libraries = tuple(dylib.name for dylib, kind in commands.dylibs if kind != NeedKind.LAZY)  # as in dyld, which does not count those
    imports = _collect_imports(part, header, commands)
    for bound in imports:
        if bound.ordinal > len(libraries):
            raise UnreadableBinary("library ordinal", f"{bound.ordinal} of {len(libraries)} libraries, for {bound.name!r}", part.start)
    offered = _collect_exports(part, header, commands, libraries)
    return MachOSymbols(
        libraries,
        b"\0".join([bound.name for bound in imports]),
        b"".join([struct.pack("<hB", bound.ordinal, bound.flags) for bound in imports]),
        b"\0".join([export.name for export in offered]),
        bytes([export.flags & 0xFF for export in offered]),
        tuple((index, export.forward) for index, export in enumerate(offered) if export.forward),
    )


def _split(names: bytes, info: bytes) -> list[bytes]:
    """Return the joined names; one empty name and no name at all look the same, so what is known of them tells."""
    return names.split(b"\0") if info else []


class _Table(NamedTuple):
    """One table's bytes, its name and where it lies in the buffer."""

    raw: bytes
    name: str
    start: int

    def error(self, offset: int, expected: str) -> UnreadableBinary:
        return UnreadableBinary(self.name, expected, self.start + offset)

    def uleb(self, offset: int) -> tuple[int, int]:
        """Return a ULEB128 number and the offset behind it."""
        value = shift = 0
        raw = self.raw
        while offset < len(raw):
            byte = raw[offset]
            offset += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, offset
            shift += 7
            if shift > 63:
                break
        raise self.error(offset, "a number has no end")

    def string(self, offset: int) -> tuple[bytes, int]:
        """Return a NUL-terminated string and the offset behind it."""
        end = self.raw.find(b"\0", offset)
        if end < 0:
            raise self.error(offset, "a string has no end")
        return self.raw[offset:end], end + 1


def _table(part: Slice, region: Region) -> _Table:
    return _Table(bytes(part.cut(region.offset, region.size, region.name)), region.name, part.start + region.offset)


def _collect_imports(part: Slice, header: Header, commands: Commands) -> list[_Bound]:
    """Return what is bound, then the undefined names of the symbol table that nothing binds."""
    regions = commands.regions
    bound: dict[tuple[bytes, int], _Bound] = {}
    if "LC_DYLD_CHAINED_FIXUPS" in regions:
        _add(bound, _chained_imports(_table(part, regions["LC_DYLD_CHAINED_FIXUPS"]), header.order))
    for name in ("bind", "lazy_bind"):
        if name in regions:
            _add(bound, _bind_opcodes(_table(part, regions[name]), stop_at_done=name == "bind"))
    names = {name for name, _ in bound}
    if "weak_bind" in regions:
        coalesced = _bind_opcodes(_table(part, regions["weak_bind"]), stop_at_done=True)
        _add(bound, (_Bound(b.name, -3, b.flags) for b in coalesced if b.name not in names))
        names = {name for name, _ in bound}
    extra = _UNUSED if commands.binding else 0
    undefined = _undefined(part, header, commands)
    _add(bound, (_Bound(u.name, u.ordinal, u.flags | extra) for u in undefined if u.name not in names))
    return list(bound.values())


def _add(bound: dict[tuple[bytes, int], _Bound], more: Iterator[_Bound]) -> None:
    """Merge equal ones: a name is weak only when every reference to it is."""
    for item in more:
        key = (item.name, item.ordinal)
        known = bound.get(key)
        if known is None:
            bound[key] = item
        elif known.flags & ~item.flags:
            bound[key] = item._replace(flags=known.flags & item.flags)


def _chained_imports(table: _Table, order: str) -> Iterator[_Bound]:
    """Yield the imports of LC_DYLD_CHAINED_FIXUPS (struct dyld_chained_fixups_header and its imports table)."""
    if len(table.raw) < 28:
        raise table.error(0, "dyld_chained_fixups_header needs 28 bytes")
    _, _, imports, symbols, count, form, compressed = struct.unpack_from(order + "7I", table.raw)
    layout = {1: "I", 2: "I4x", 3: "Q8x"}.get(form)
    if layout is None or compressed:
        raise table.error(20, f"imports_format {form}, symbols_format {compressed}: dyld knows formats 1 to 3, uncompressed")
    step = struct.Struct(order + layout)
    if imports + count * step.size > len(table.raw) or symbols > len(table.raw):
        raise table.error(imports, f"{count} imports or their names lie outside the table")
    wide = form == 3
    limit = _Limit(table)
    for (value,) in step.iter_unpack(table.raw[imports : imports + count * step.size]):
        ordinal = value & 0xFFFF if wide else value & 0xFF
        if ordinal > (0xFFF0 if wide else 0xF0):  # negative: one of the specials
            ordinal -= 0x10000 if wide else 0x100
        name, _ = table.string(symbols + (value >> 32 if wide else value >> 9))
        limit.spend(len(name))
        yield _Bound(name, ordinal, _WEAK if value >> (16 if wide else 8) & 1 else 0)


class _Limit:
    """Bounds how many bytes of names one table may spell out."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._left = 65536 + _EXPANSION * len(table.raw)

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._table.error(0, f"its names are more than {_EXPANSION} times as long as the table itself")


def _bind_opcodes(table: _Table, *, stop_at_done: bool) -> Iterator[_Bound]:
    """Run the opcodes of one LC_DYLD_INFO bind stream and yield what each bind names (BIND_OPCODE_*)."""
    raw, offset, end = table.raw, 0, len(table.raw)
    ordinal, flags, name = 0, 0, b""
    pending = False  # a name was set, or the ordinal changed, and has not been yielded since
    while offset < end:
        opcode, low = raw[offset] & 0xF0, raw[offset] & 0x0F
        offset += 1
        if opcode in _BINDS:
            if pending:
                yield _Bound(name, ordinal, flags & _WEAK_IMPORT)
                pending = False
            for _ in range(_BINDS[opcode]):
                _, offset = table.uleb(offset)
        elif opcode == 0x40:  # SET_SYMBOL_TRAILING_FLAGS_IMM
            name, offset = table.string(offset)
            flags, pending = low, not low & _NON_WEAK_DEFINITION  # else the image only says that it defines it
        elif opcode in (0x10, 0x20, 0x30):  # SET_DYLIB_ORDINAL_IMM, _ULEB, SET_DYLIB_SPECIAL_IMM
            ordinal = low if opcode == 0x10 else low - 16 if low else 0
            if opcode == 0x20:
                ordinal, offset = table.uleb(offset)
            pending = bool(name)
        elif opcode in (0x60, 0x70, 0x80) or (opcode, low) == (0xD0, 0):  # addend, segment and offset, address; THREADED: table size
            _, offset = table.uleb(offset)
        elif opcode == 0 and stop_at_done:
            return
        elif opcode not in (0x00, 0x50, 0xD0):  # DONE between lazy binds, SET_TYPE_IMM, THREADED: APPLY
            raise table.error(offset - 1, f"unknown bind opcode {opcode:#x}")


_BINDS = {0x90: 0, 0xA0: 1, 0xB0: 0, 0xC0: 2}
"""DO_BIND, DO_BIND_ADD_ADDR_ULEB, DO_BIND_ADD_ADDR_IMM_SCALED, DO_BIND_ULEB_TIMES_SKIPPING_ULEB: how many numbers follow each."""


def _undefined(part: Slice, header: Header, commands: Commands) -> Iterator[_Bound]:
    """Yield the undefined external names of the symbol table."""
    ranges = commands.symbol_ranges
    flat = not header.flags & MH_TWOLEVEL
    libraries = len(commands.dylibs)
    for name, kind, _, description in _nlists(part, header, commands, ranges[2:] if ranges else None):
        if kind & _N_EXT and kind & _N_TYPE in (_N_UNDF, _N_PBUD):
            number = description >> 8 & 0xFF
            ordinal = -2 if flat else _NLIST_SPECIAL.get(number, number if number <= libraries else _UNKNOWN)
            yield _Bound(name, ordinal, _WEAK if description & _N_WEAK_REF else 0)


def _nlists(part: Slice, header: Header, commands: Commands, wanted: tuple[int, int] | None) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield (name, n_type, n_sect, n_desc) for a range (first, count) of the symbol table, of all of it when there is no LC_DYSYMTAB."""
    region = commands.regions.get("symbols")
    if region is None:
        return
    layout = struct.Struct(header.order + ("IBBHQ" if header.wide else "IBBHI"))
    total = region.size // layout.size
    first, count = wanted or (0, total)
    if first + count > total:
        raise UnreadableBinary("LC_DYSYMTAB", f"symbols {first} + {count} of {total}", part.start + region.offset)
    raw = part.cut(region.offset + first * layout.size, count * layout.size, "symbols")
    entries = [entry for entry in layout.iter_unpack(raw) if entry[1] & _N_EXT and not entry[1] & _N_STAB]
    names = _names(part, commands.regions.get("strings"), [entry[0] for entry in entries])
    for name, (_, kind, section, description, _) in zip(names, entries, strict=True):
        yield name, kind, section, description


def _names(part: Slice, strings: Region | None, offsets: list[int]) -> Iterator[bytes]:
    """Yield the strings at these offsets of the string table, of which no more is cut out than they span."""
    if not offsets:
        return
    if strings is None or max(offsets) >= strings.size:
        raise UnreadableBinary("strings", "a symbol's name lies outside the string table", part.start + (strings.offset if strings else 0))
    low, high = min(offsets), max(offsets)
    tail = bytes(part.cut(strings.offset + high, min(strings.size - high, 1 << 16), "strings")).find(b"\0")
    size = high - low + tail if tail >= 0 else strings.size - low - 1
    window = _Table(bytes(part.cut(strings.offset + low, size + 1, "strings")), "strings", part.start + strings.offset + low)
    limit = _Limit(window)
    for offset in offsets:
        name, _ = window.string(offset - low)
        limit.spend(len(name))
        yield name


def _collect_exports(part: Slice, header: Header, commands: Commands, libraries: tuple[str, ...]) -> list[_Offered]:
    """Return the names of the trie; of the symbol table in images that have no binding information either."""
    regions = commands.regions
    region = regions.get("LC_DYLD_EXPORTS_TRIE") or regions.get("export")
    if region is not None:
        return list(_trie(_table(part, region), libraries))
    if "bind" in regions or "lazy_bind" in regions or "LC_DYLD_CHAINED_FIXUPS" in regions:
        return []
    ranges = commands.symbol_ranges
    return [
        _Offered(name, _EXPORT_WEAK if description & _N_WEAK_DEF else 0)
        for name, kind, _, description in _nlists(part, header, commands, ranges[:2] if ranges else None)
        if not kind & _N_PEXT and kind & _N_TYPE not in (_N_UNDF, _N_PBUD)
    ]


def _trie(table: _Table, libraries: tuple[str, ...]) -> Iterator[_Offered]:
    """Walk an export trie depth first; each node may be reached once, so that a cycle ends as an error."""
    limit = _Limit(table)
    seen = {0}
    stack = [(0, b"")]
    raw, end = table.raw, len(table.raw)
    while stack:
        node, prefix = stack.pop()
        size, offset = (raw[node], node + 1) if raw[node] < 0x80 else table.uleb(node)
        children = offset + size
        if children >= end:
            raise table.error(node, "a node ends outside the trie")
        if size:
            yield _offered(table, prefix, offset, libraries)
        found = []
        offset = children + 1
        for _ in range(raw[children]):
            stop = raw.find(b"\0", offset)
            if stop < 0:
                raise table.error(offset, "an edge has no end")
            name = prefix + raw[offset:stop]
            target, offset = table.uleb(stop + 1)
            if target >= end or target in seen:
                raise table.error(node, f"a node at {target:#x} lies outside the trie, or is reached twice")
            limit.spend(len(name))
            seen.add(target)
            found.append((target, name))
        stack.extend(reversed(found))


def _offered(table: _Table, name: bytes, offset: int, libraries: tuple[str, ...]) -> _Offered:
    flags, offset = table.uleb(offset)
    if not flags & _EXPORT_REEXPORT:
        return _Offered(name, flags)
    ordinal, offset = table.uleb(offset)
    other, _ = table.string(offset)
    if not 0 < ordinal <= len(libraries):
        raise table.error(offset, f"re-exports {name!r} from library {ordinal} of {len(libraries)}")
    library = libraries[ordinal - 1]
    return _Offered(name, flags, f"{library}:{other.decode('utf-8', 'surrogateescape')}" if other else library)
