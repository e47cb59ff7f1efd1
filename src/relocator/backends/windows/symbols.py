"""What a PE file imports and exports, by name and by ordinal.

The names are scattered over the file, so they are collected while it is at hand: every address is checked, and what is kept is one block of
names and a few numbers, decoded when somebody asks.

Specification: Microsoft's PE format, "The .edata Section", "The .idata Section", "Delay-Load Import Tables".
"""

import struct
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from relocator.backends.windows.layout import BOUND_IMPORTS, DELAY_IMPORTS, EXPORTS, IMPORTS, Layout
from relocator.buffer import cut, text
from relocator.errors import UnreadableBinary
from relocator.model import Needed, NeedKind
from relocator.symbols import Export, Import, References, SpelledOnce

_DESCRIPTOR = struct.Struct("<5I")
_DELAY_DESCRIPTOR = struct.Struct("<8I")
_EXPORT_DIRECTORY = struct.Struct("<12x7I")
_THUNKS = {False: (struct.Struct("<I"), 1 << 31), True: (struct.Struct("<Q"), 1 << 63)}
"""By PE32+: an entry of an import lookup table, and the bit that makes it an ordinal."""
_ADDRESS = 0x7FFFFFFF
_DELAY_BY_RVA = 1
_HINT = 2
"""Bytes before the name in the hint/name table."""
_LONGEST_LIBRARY = 1024


class Table(NamedTuple):
    """The imports from one library."""

    needed: Needed
    size: int
    """Number of imports."""
    ordinals: tuple[tuple[int, int], ...] = ()
    """Position in this table and number, for those without a name."""


@dataclass(frozen=True, slots=True)
class PeSymbols(SpelledOnce):
    """The imports and exports of one image; names are joined with NUL bytes, and the memo takes no part in equality and pickling."""

    tables: tuple[Table, ...] = ()
    imported: bytes = b""
    """Names in the order of the tables, empty for an ordinal."""
    exported: bytes = b""
    """Names in the order of the name table."""
    export_ordinals: tuple[int, ...] = ()
    """The ordinals of the names, then those of the exports that have none."""
    forwards: tuple[tuple[int, str], ...] = ()
    """Ordinal, and "module.symbol" or "module.#ordinal"."""
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def mentions(self, fragment: bytes) -> bool:
        """Tell whether the bytes occur in any symbol name."""
        return fragment in self.imported or fragment in self.exported

    def references(self) -> References:
        """Return the imports without which the image does not load, those by ordinal as b"#12"; delayed ones are not among them."""
        names = iter(self.imported.split(b"\0"))
        found: list[bytes] = []
        keys: list[int] = []
        sources: list[tuple[bytes, str]] = []
        for needed, size, numbered in self.tables:
            ordinals = dict(numbered)
            own = [b"#%d" % ordinals[i] if i in ordinals else name for i, name in enumerate(islice(names, size))]
            if needed.kind != NeedKind.DELAYED:
                found += own
                keys += [len(sources)] * size
                sources.append((b"", needed.name))
        return References(tuple(found), tuple(keys), tuple(sources))

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        """Return those exports whose names, or whose ordinals as b"#12", are wanted; an export may appear as both."""
        found = []
        for export in self._exports():
            if export.name in wanted:
                found.append(export)
            number = b"#%d" % (export.ordinal or 0)
            if number in wanted:
                found.append(export._replace(name=number))
        return found

    def preemptible(self) -> References:
        """Return nothing: an image refers to its own symbols without their names."""
        return References()

    def unique(self) -> list[Export]:
        """Return nothing: ELF alone has such a binding."""
        return []

    def _imports(self) -> Iterator[Import]:
        names = iter(self.imported.split(b"\0"))
        for needed, size, numbered in self.tables:
            ordinals = dict(numbered)
            weak = needed.kind == NeedKind.DELAYED
            for position in range(size):
                yield Import(next(names), needed.name, weak=weak, ordinal=ordinals.get(position))

    def _exports(self) -> Iterator[Export]:
        forwards = dict(self.forwards)
        names = self.exported.split(b"\0") if self.exported else []
        for index, ordinal in enumerate(self.export_ordinals):
            yield Export(names[index] if index < len(names) else b"", ordinal=ordinal, forward=forwards.get(ordinal, ""))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.tables, self.imported, self.exported, self.export_ordinals, self.forwards)


class Exports(NamedTuple):
    """The export directory, decoded."""

    identity: str | None
    names: tuple[bytes, ...]
    ordinals: tuple[int, ...]
    forwards: tuple[tuple[int, str], ...]


class Collector:
    """Collects a file's names, which may not have more bytes in all than the file: tables could ask for one name a million times."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._room = len(layout.buffer)

    def imports(self) -> tuple[list[Table], list[bytes]]:
        """Return the import tables, then the delay import tables, and the names of both."""
        tables: list[Table] = []
        names: list[bytes] = []
        for needed, lookup, base in [*self._descriptors(), *self._delay_descriptors()]:
            thunks = self._thunks(lookup, needed.name) if lookup else []
            flag = _THUNKS[self.layout.plus][1]
            ordinals = tuple((index, thunk & 0xFFFF) for index, thunk in enumerate(thunks) if thunk & flag)
            places = [(thunk & _ADDRESS if self.layout.plus else thunk) - base + _HINT for thunk in thunks if not thunk & flag]
            found = iter(self.names(places, f"imports from {needed.name}"))
            names += [b"" if thunk & flag else next(found) for thunk in thunks]
            tables.append(Table(needed, len(thunks), ordinals))
        return tables, names

    def exports(self, warnings: list[str]) -> Exports:
        """Return the export directory; an empty one when there is none."""
        region = self.layout.region(EXPORTS)
        if region is None:
            return Exports(None, (), (), ())
        raw = self.layout.cut(region.rva, _EXPORT_DIRECTORY.size, "export directory")
        name, base, functions, count, addresses, name_table, ordinal_table = _EXPORT_DIRECTORY.unpack(raw)
        rvas = self._numbers(addresses, functions, "I", "export address table")
        names = self.names(self._numbers(name_table, count, "I", "export name table"), "export name table")
        indexes = self._numbers(ordinal_table, count, "H", "export ordinal table")
        if indexes and max(indexes) >= functions:
            # Windows finds such a name and then no function: it is no export
            warnings.append("the export ordinal table points beyond the export address table")
            names, indexes = _within(names, indexes, functions)
        unnamed = [index for index in sorted(set(range(functions)).difference(indexes)) if rvas[index]]
        end = region.rva + region.size
        forwards = [index for index, rva in enumerate(rvas) if region.rva <= rva < end]
        targets = self.names([rvas[index] for index in forwards], "export forwarder")
        return Exports(
            self._identity(name, warnings),
            tuple(names),
            tuple([base + index for index in (*indexes, *unnamed)]),
            tuple((base + index, text(target)) for index, target in zip(forwards, targets, strict=True)),
        )

    def bound(self) -> tuple[str, ...]:
        """Return the modules that the imports are bound to, those of forwarders too; read leniently by the caller, since it is a cache."""
        region = self.layout.region(BOUND_IMPORTS)
        if region is None:
            return ()
        places = []
        for index, offset in enumerate(self._bound_offsets(region.rva)):
            if index * 8 >= region.size:
                break
            places.append(region.rva + offset)
        return tuple(text(name) for name in self.names(places, "bound import"))

    def _bound_offsets(self, rva: int) -> Iterator[int]:
        """Yield the name offsets of the descriptors and of the forwarder references that follow each."""
        references = 0
        for stamp, offset, count in self.layout.entries(rva, struct.Struct("<I2H"), "bound import"):
            if not references and not stamp and not offset:
                return
            references = references - 1 if references else count
            yield offset

    def _identity(self, rva: int, warnings: list[str]) -> str | None:
        """Return the name that a library calls itself; nothing but readers ever looks at it."""
        try:
            return text(self.names([rva], "export directory name")[0]) if rva else None
        except UnreadableBinary as error:
            warnings.append(error.message)
            return None

    def _descriptors(self) -> Iterator[tuple[Needed, int, int]]:
        """Yield for each import descriptor the need and the RVA of its lookup table; it ends where the loader stops."""
        region = self.layout.region(IMPORTS)
        if region is None:
            return
        for lookup, _, _, name, addresses in self.layout.entries(region.rva, _DESCRIPTOR, "import descriptor"):
            if not name or not addresses:
                return
            # some old linkers leave the lookup table out; the address table says the same until the file is loaded
            yield Needed(self._library(name, "import descriptor"), NeedKind.REQUIRED), lookup or addresses, 0

    def _delay_descriptors(self) -> Iterator[tuple[Needed, int, int]]:
        """Yield the same for delay imports, with what is to be taken off each address: old ones are no RVAs."""
        region = self.layout.region(DELAY_IMPORTS)
        if region is None:
            return
        for attributes, name, _, _, lookup, _, _, _ in self.layout.entries(region.rva, _DELAY_DESCRIPTOR, "delay import descriptor"):
            if not name:
                return
            # Visual C++ 6 wrote addresses; it made PE32 alone
            base = 0 if attributes & _DELAY_BY_RVA or self.layout.plus else self.layout.image_base
            library = self._library(name - base, "delay import descriptor")
            yield Needed(library, NeedKind.DELAYED), lookup and lookup - base, base

    def _library(self, rva: int, where: str) -> str:
        name = self.names([rva], where)[0]
        if not name or len(name) > _LONGEST_LIBRARY:
            raise UnreadableBinary(where, f"a library's name has {len(name)} bytes", self.layout.locate(rva, where)[0])
        return text(name)

    def _thunks(self, rva: int, library: str) -> list[int]:
        """Return the entries of a lookup table up to its zero; they count against the file's size like names."""
        found = []
        entry, _ = _THUNKS[self.layout.plus]
        for (thunk,) in self.layout.entries(rva, entry, f"imports from {library}"):
            if not thunk:
                break
            found.append(thunk)
        self._spend(len(found) * entry.size, f"imports from {library}")
        return found

    def _numbers(self, rva: int, count: int, code: str, where: str) -> tuple[int, ...]:
        if not count:
            return ()
        return struct.unpack(f"<{count}{code}", self.layout.cut(rva, count * struct.calcsize(f"<{code}"), where))

    def names(self, rvas: Sequence[int], where: str) -> list[bytes]:
        """Return the strings at some addresses; one cut serves all that lie close together, as linkers put them."""
        if not rvas:
            return []
        low, high = min(rvas), max(rvas)
        offset, filled, _ = self.layout.locate(low, where)
        size = high - low + 1
        if size > filled or size > 256 * len(rvas) + 4096:
            return [self._spent(self.layout.string(rva, where), where) for rva in rvas]
        block = bytes(cut(self.layout.buffer, offset, min(filled, size + 1024), where))
        found = []
        for rva in rvas:
            end = block.find(b"\0", rva - low)
            found.append(self._spent(block[rva - low : end] if end >= 0 else self.layout.string(rva, where), where))
        return found

    def _spent(self, name: bytes, where: str) -> bytes:
        self._room -= len(name) + 1
        if self._room < 0:
            raise UnreadableBinary(where, "the names have more bytes than the file")
        return name

    def _spend(self, size: int, where: str) -> None:
        self._room -= size
        if self._room < 0:
            raise UnreadableBinary(where, "the tables have more bytes than the file")


def _within(names: Sequence[bytes], indexes: Iterable[int], functions: int) -> tuple[list[bytes], tuple[int, ...]]:
    kept = [(name, index) for name, index in zip(names, indexes, strict=True) if index < functions]
    return [name for name, _ in kept], tuple(index for _, index in kept)
