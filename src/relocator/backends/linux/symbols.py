"""What an ELF file imports and exports: its dynamic symbol table, cut out as bytes and decoded on first use.

No field tells how long the table is. DT_HASH counts all symbols. DT_GNU_HASH leads to the last defined one, relocations to those that they
use; undefined symbols that nothing uses can lie behind both, up to where the next table begins.

Specification: System V gABI, chapters 4 ("Symbol Table") and 5 ("Hash Table"); for who counts as exported, glibc's elf/dl-lookup.c.
"""

import struct
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from relocator.backends.linux.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_SYMENT,
    DT_SYMTAB,
    DT_VERSYM,
    TABLES,
    Dynamic,
    Versions,
)
from relocator.backends.linux.headers import ElfFile
from relocator.backends.linux.relocations import read_used
from relocator.errors import UnreadableBinary
from relocator.symbols import Export, Import, NoSymbols, References, SpelledOnce, SymbolTable

_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE = 1, 2, 10
_STRONG = (_STB_GLOBAL, _STB_GNU_UNIQUE)
_STT_OBJECT, _STT_COMMON, _STT_TLS = 1, 5, 6
_SEEN_TYPES = frozenset({0, _STT_OBJECT, 2, _STT_COMMON, _STT_TLS, 10})
"""STT_NOTYPE, OBJECT, FUNC, COMMON, TLS and GNU_IFUNC: glibc looks at no other (do_lookup_x)."""
_DATA_TYPES = frozenset({_STT_OBJECT, _STT_COMMON, _STT_TLS})
_SEEN_VISIBILITIES = frozenset({0, 3})  # STV_DEFAULT, STV_PROTECTED
_SHN_UNDEF, _SHN_ABS = 0, 0xFFF1

_ENTRY = {True: "IBBHQQ", False: "IIIBBH"}
"""Elf64_Sym: name, info, other, shndx, value, size. Elf32_Sym: name, value, size, info, other, shndx."""

_WIDE_HASH = frozenset({22, 0x9026})
"""EM_S390 and EM_ALPHA: words of DT_HASH are 8 bytes wide, though not all linkers know."""

_HIDDEN, _VERSION = 0x8000, 0x7FFF  # bits of a DT_VERSYM entry
_FIRST_NAMED_VERSION = 2  # VER_NDX_LOCAL and VER_NDX_GLOBAL come before

_EXPANSION = 16
"""How many times as long as the string table its symbols' names may be together, on top of a constant. Linkers let one name end another,
which hardly ever reaches twice; without a bound a hostile file of a megabyte could spell out gigabytes."""
_CHUNK = 4096

_Row = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class ElfSymbols(SpelledOnce):
    """The dynamic symbols of one file; the memo takes no part in equality and pickling."""

    wide: bool
    big_endian: bool
    table: bytes
    """DT_SYMTAB."""
    strings: bytes
    """DT_STRTAB; every name was seen to lie within."""
    used: bytes
    """One byte per symbol, 1 when a relocation refers to it; what is missing at the end is 0."""
    versions: bytes
    """DT_VERSYM, or empty."""
    defined: tuple[tuple[int, bytes], ...]
    """Version number and name of what DT_VERDEF defines."""
    wanted: tuple[tuple[int, bytes, str], ...]
    """Version number, name and library of what DT_VERNEED asks for."""
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def mentions(self, fragment: bytes) -> bool:
        """Tell whether the bytes occur in any symbol name (or any other string of the dynamic section)."""
        return fragment in self.strings

    def references(self) -> References:
        """Return the strong undefined symbols that a relocation refers to."""
        return self._sourced([(row[0], number) for row, number in self._used() if not row[3] and row[1] >> 4 in _STRONG])

    def preemptible(self) -> References:
        """Return the exports that a relocation of this file refers to: the loader looks them up like any other symbol."""
        return self._sourced([(row[0], number) for row, number in self._used() if row[3] and row[1] >> 4 in _STRONG and not row[2] & 3])

    def _used(self) -> Iterator[tuple[tuple[int, int, int, int], int]]:
        """Yield the head and the DT_VERSYM entry of each symbol that a relocation refers to."""
        return compress(zip(self._heads(), self._numbers(self._count()), strict=True), self.used)

    def _sourced(self, found: Sequence[tuple[int, int]]) -> References:
        """Return the symbols of which name offsets and DT_VERSYM entries are given, those without a name left out."""
        find, strings = self.strings.find, self.strings
        known = {number: (name, "") for number, name in self.defined}
        known.update((number, (name, library)) for number, name, library in self.wanted)
        versions = [number & _VERSION for offset, number in found if offset]
        sources = {number: position for position, number in enumerate(dict.fromkeys(versions))}
        return References(
            tuple([strings[offset : find(b"\0", offset)] for offset, _ in found if offset]),
            tuple([sources[number] for number in versions]),
            tuple(known.get(number, (b"", "")) for number in sources),
        )

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        """Return those exports whose names are wanted; spells out the names of all, and makes objects of those alone."""
        find, strings = self.strings.find, self.strings
        order = ">" if self.big_endian else "<"
        rows = struct.iter_unpack(order + ("I2xH16x" if self.wide else "I10xH"), self.table)
        return self._picked([i for i, (name, section) in enumerate(rows) if section and strings[name : find(b"\0", name)] in wanted])

    def unique(self) -> list[Export]:
        """Return the exports that are STB_GNU_UNIQUE."""
        return self._picked([i for i, row in enumerate(self._heads()) if row[1] >> 4 == _STB_GNU_UNIQUE])

    def _picked(self, found: Sequence[int]) -> list[Export]:
        size, numbers = 24 if self.wide else 16, self._numbers(self._count())
        picked = b"".join([self.table[i * size : i * size + size] for i in found])
        return list(self._offered(self._rows(picked), [numbers[i] for i in found]))

    def _heads(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield name offset, info, other and shndx of each symbol."""
        order = ">" if self.big_endian else "<"
        return struct.iter_unpack(order + ("IBBH16x" if self.wide else "I8xBBH"), self.table)

    def _rows(self, table: bytes) -> Iterator[_Row]:
        """Yield name offset, info, other, shndx, value and size of each symbol."""
        order = ">" if self.big_endian else "<"
        rows = struct.iter_unpack(order + _ENTRY[self.wide], table)
        if self.wide:
            return rows
        return ((name, info, other, section, value, size) for name, value, size, info, other, section in rows)

    def _numbers(self, count: int) -> tuple[int, ...]:
        """Return the DT_VERSYM entry of each symbol; 1, "global and without a version", where there is no table."""
        return struct.unpack(f"{'>' if self.big_endian else '<'}{count}H", self.versions) if self.versions else (1,) * count

    def _count(self) -> int:
        return len(self.table) // (24 if self.wide else 16)

    def _imports(self) -> Iterator[Import]:
        find, strings = self.strings.find, self.strings
        count = self._count()
        names = {number: (name, "") for number, name in self.defined}
        names.update((number, (name, library)) for number, name, library in self.wanted)
        none = (b"", "")
        used = self.used.ljust(count, b"\0")
        for (name, info, _, section, _, _), number, is_used in zip(self._rows(self.table), self._numbers(count), used, strict=True):
            if section == _SHN_UNDEF and name and info >> 4 in (_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE):
                version, library = names.get(number & _VERSION, none)
                spelled = strings[name : find(b"\0", name)]
                yield Import(spelled, library, version, info >> 4 == _STB_WEAK, None, is_used == 1, info & 15 in _DATA_TYPES)

    def _exports(self) -> Iterator[Export]:
        return self._offered(self._rows(self.table), self._numbers(self._count()))

    def _offered(self, rows: Iterable[_Row], numbers: Iterable[int]) -> Iterator[Export]:
        """Yield what a loader would find of some symbols, given with their DT_VERSYM entries."""
        find, strings = self.strings.find, self.strings
        names = {number: name for number, name, _ in self.wanted}  # a program's copy of a library's variable bears the library's version
        names.update(self.defined)
        for (name, info, other, section, value, size), number in zip(rows, numbers, strict=True):
            binding, kind = info >> 4, info & 15
            if section == _SHN_UNDEF or binding not in (_STB_GLOBAL, _STB_WEAK, _STB_GNU_UNIQUE) or kind not in _SEEN_TYPES:
                continue
            if other & 3 not in _SEEN_VISIBILITIES or not name or not (value or section == _SHN_ABS or kind == _STT_TLS):
                continue
            yield Export(
                strings[name : find(b"\0", name)],
                names.get(number & _VERSION, b""),
                number < _HIDDEN,
                binding == _STB_WEAK,
                binding == _STB_GNU_UNIQUE,
                kind in _DATA_TYPES,
                size,
                first=number & _VERSION == _FIRST_NAMED_VERSION,
            )

    def __reduce__(self) -> tuple[object, ...]:
        tables = (self.table, self.strings, self.used, self.versions, self.defined, self.wanted)
        return type(self), (self.wide, self.big_endian, *tables)


def read_symbols(file: ElfFile, dynamic: Dynamic, versions: Versions) -> SymbolTable:
    """Cut out the symbols; raise UnreadableBinary when the table, a name, the versions, the hash or the relocations are cut or lie."""
    address, shape = dynamic.values.get(DT_SYMTAB), file.shape
    if dynamic.values.get(DT_SYMENT, shape.symbol_size) != shape.symbol_size:
        raise UnreadableBinary("DT_SYMENT", f"is {dynamic.values[DT_SYMENT]}, every loader wants {shape.symbol_size}")
    room = file.place(address, 1, "DT_SYMTAB")[1] // shape.symbol_size if address is not None else 0
    used = read_used(file, dynamic, room)
    if address is None:
        return NoSymbols()
    count = _count(file, dynamic, len(used), room)
    table = bytes(file.mapped(address, count * shape.symbol_size, "DT_SYMTAB"))
    strings = dynamic.strings.raw
    _check_names(table, strings, file)
    numbers = dynamic.values.get(DT_VERSYM)
    versym = bytes(file.mapped(numbers, count * 2, "DT_VERSYM")) if numbers is not None else b""
    return ElfSymbols(
        shape.wide,
        shape.order == ">",
        table,
        strings,
        bytes(used),
        versym,
        versions.defined,
        versions.wanted,
    )


def count_symbols(file: ElfFile, dynamic: Dynamic, referred: int) -> int:
    """Return the number of dynamic symbols; `referred` is one that is known otherwise: from the relocations, or from a section header.

    Raises UnreadableBinary for a hash table that is cut or lies.
    """
    room = file.place(dynamic.values[DT_SYMTAB], 1, "DT_SYMTAB")[1] // file.shape.symbol_size
    return min(_count(file, dynamic, referred, room), room)


def _check_names(table: bytes, strings: bytes, file: ElfFile) -> None:
    """Raise UnreadableBinary when a name lies outside the string table, or when all of them together are absurdly long."""
    layout = struct.Struct(file.shape.order + ("I20x" if file.shape.wide else "I12x"))
    left = 65536 + _EXPANSION * len(strings)
    find, step = strings.find, _CHUNK * layout.size
    for start in range(0, len(table), step):
        offsets = [offset for (offset,) in layout.iter_unpack(table[start : start + step]) if offset]
        ends = [find(b"\0", offset) for offset in offsets]
        if ends and min(ends) < 0:
            raise UnreadableBinary("st_name", f"a name lies outside the string table of {len(strings)} bytes, or has no end")
        left -= sum(ends) - sum(offsets)
        if left < 0:
            raise UnreadableBinary("st_name", f"the names are more than {_EXPANSION} times as long as the string table")


def _count(file: ElfFile, dynamic: Dynamic, referred: int, room: int) -> int:
    """Return the number of symbols; `referred` is how many the relocations ask for, `room` how many fit into the segment."""
    values = dynamic.values
    count = referred
    if DT_GNU_HASH in values:
        count = max(count, _gnu_hash_count(file, values[DT_GNU_HASH]))
    if DT_HASH in values:
        return max(count, _hash_count(file, values[DT_HASH]))
    return _with_unused(file, dynamic, count, room)


def _hash_count(file: ElfFile, address: int) -> int:
    """Return nchain of DT_HASH, which has a chain link for each symbol."""
    order = file.shape.order
    width = 4
    raw = file.mapped(address, 8, "DT_HASH")
    if file.shape.wide and file.header.machine in _WIDE_HASH and not any(raw[:4] if order == ">" else raw[4:]):
        width, raw = 8, file.mapped(address, 16, "DT_HASH")
    buckets, chains = struct.unpack(order + ("2Q" if width == 8 else "2I"), raw)
    file.mapped(address, (2 + buckets + chains) * width, "DT_HASH")
    return int(chains)


def _gnu_hash_count(file: ElfFile, address: int) -> int:
    """Return the number behind the last symbol that DT_GNU_HASH leads to; 0 when it leads to none."""
    order = file.shape.order
    buckets, first, bloom, _ = struct.unpack(order + "4I", file.mapped(address, 16, "DT_GNU_HASH"))
    table = address + 16 + bloom * (8 if file.shape.wide else 4)
    last = max((b for (b,) in struct.iter_unpack(order + "I", file.mapped(table, buckets * 4, "DT_GNU_HASH"))), default=0)
    if not last:
        return 0
    if last < first:
        raise UnreadableBinary("DT_GNU_HASH", f"a bucket leads to symbol {last}, the first hashed one is {first}")
    chain = table + buckets * 4 + (last - first) * 4
    offset, room = file.place(chain, 4, "DT_GNU_HASH")
    for start in range(0, room - 3, _CHUNK):
        piece = file.mapped(chain + start, min(_CHUNK, (room - start) // 4 * 4), "DT_GNU_HASH")
        for index, (hashed,) in enumerate(struct.iter_unpack(order + "I", piece)):
            if hashed & 1:
                return int(last + start // 4 + index + 1)
    raise UnreadableBinary("DT_GNU_HASH", "the last chain has no end", offset)


def _with_unused(file: ElfFile, dynamic: Dynamic, count: int, room: int) -> int:
    """Return `count` and as many more symbols as are undefined and lie before the next table: no hash and no relocation leads to them.

    A tool may have moved away what followed the table and left its bytes behind, so each has to look like an undefined symbol.
    """
    shape, address = file.shape, dynamic.values[DT_SYMTAB]
    limit = _extent(dynamic, DT_SYMTAB, room * shape.symbol_size) // shape.symbol_size
    if DT_VERSYM in dynamic.values:
        limit = min(limit, _extent(dynamic, DT_VERSYM, limit * 2) // 2)
    count = max(count, 1)  # the first one is a dummy
    if count >= limit:
        return count
    raw = file.mapped(address + count * shape.symbol_size, (limit - count) * shape.symbol_size, "DT_SYMTAB")
    last = dynamic.strings.raw.rfind(b"\0")
    for row in struct.iter_unpack(shape.order + _ENTRY[shape.wide], raw):
        name, info, section, value = (row[0], row[1], row[3], row[4]) if shape.wide else (row[0], row[3], row[5], row[1])
        if section or value or not 0 < name < last or info >> 4 not in (_STB_GLOBAL, _STB_WEAK) or info & 15 not in _SEEN_TYPES:
            break
        count += 1
    return count


def _extent(dynamic: Dynamic, tag: int, most: int) -> int:
    """Return the bytes from one table to the next, at most `most`."""
    address = dynamic.values[tag]
    return min([most, *(dynamic.values[t] - address for t in TABLES if dynamic.values.get(t, 0) > address)])
