"""The dynamic section, its strings and its version tables.

Specification: System V gABI, chapter 5 ("Dynamic Section"); Linux Standard Base, "Symbol Versioning" (Elfxx_Verneed, Elfxx_Verdef).
"""

import struct
from typing import NamedTuple

from relocator.backends.linux.headers import PT_DYNAMIC, ElfFile
from relocator.buffer import c_string, text
from relocator.errors import UnreadableBinary
from relocator.model import VersionNeed

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_HASH, DT_STRTAB, DT_SYMTAB = 0, 1, 2, 4, 5, 6
DT_RELA, DT_RELASZ, DT_RELAENT, DT_STRSZ, DT_SYMENT, DT_SONAME, DT_RPATH, DT_SYMBOLIC = 7, 8, 9, 10, 11, 14, 15, 16
DT_REL, DT_RELSZ, DT_RELENT, DT_PLTREL, DT_TEXTREL, DT_JMPREL, DT_BIND_NOW = 17, 18, 19, 20, 22, 23, 24
DT_RUNPATH, DT_FLAGS, DT_RELRSZ, DT_RELR = 29, 30, 35, 36
DT_ANDROID_REL, DT_ANDROID_RELSZ, DT_ANDROID_RELA, DT_ANDROID_RELASZ = 0x6000000F, 0x60000010, 0x60000011, 0x60000012
DT_ANDROID_RELR, DT_ANDROID_RELRSZ = 0x6FFFE000, 0x6FFFE001
DT_GNU_HASH, DT_VERSYM, DT_RELACOUNT, DT_RELCOUNT, DT_FLAGS_1 = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFF9, 0x6FFFFFFA, 0x6FFFFFFB
DT_VERDEF, DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
DT_AUXILIARY, DT_FILTER = 0x7FFFFFFD, 0x7FFFFFFF

TABLES = (
    *(DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_REL, DT_JMPREL, DT_RELR, DT_ANDROID_REL, DT_ANDROID_RELA, DT_ANDROID_RELR),
    *(DT_GNU_HASH, DT_VERSYM, DT_VERDEF, DT_VERNEED),
    *(12, 13, 25, 26, 32, 3),  # DT_INIT, DT_FINI, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_PREINIT_ARRAY, DT_PLTGOT
)
"""Tags whose value is an address at which something else begins."""

_MOST_DYNAMIC = 1 << 20
"""Bytes of a dynamic section: twenty times the largest there is."""

_MOST_VERSIONS = 1 << 18
"""Bytes of version records: a version's number has 15 bits, and no library has used a hundredth of them."""

_BASE, _WEAK = 1, 2  # VER_FLG_*
_REPEATED = 8
"""How many times as long as the string table the strings taken from it may be, on top of a constant: many names may share one string, and
without a bound a hostile file of a megabyte could spell out gigabytes."""


class Strings:
    """The dynamic string table (DT_STRTAB), and how much may still be spelled out of it."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._left = 65536 + _REPEATED * len(raw)

    def get(self, offset: int, field: str) -> str:
        """Return the string at an offset; raise UnreadableBinary when it starts or ends outside."""
        found = c_string(self.raw, offset, field)
        self._left -= len(found)
        if self._left < 0:
            raise UnreadableBinary(field, f"the names are more than {_REPEATED} times as long as the string table")
        return text(found)


class Dynamic(NamedTuple):
    """The dynamic section."""

    values: dict[int, int]
    """Value by tag; of a tag that is there more than once the last one, as in glibc's elf_get_dynamic_info."""
    needed: tuple[str, ...]
    strings: Strings
    filtees: tuple[str, ...] = ()
    """Names in DT_AUXILIARY and DT_FILTER."""

    def string(self, tag: int, field: str) -> str | None:
        """Return the string that a tag names, None when the tag is absent."""
        offset = self.values.get(tag)
        return None if offset is None else self.strings.get(offset, field)


class Versions(NamedTuple):
    """The symbol versions of one file."""

    needs: tuple[VersionNeed, ...] = ()
    definitions: tuple[str, ...] = ()
    """Without the base one."""
    defined: tuple[tuple[int, bytes], ...] = ()
    """Version number in DT_VERSYM, and the name of the version defined here."""
    wanted: tuple[tuple[int, bytes, str], ...] = ()
    """Version number, the name of the version, and the library that has to define it."""


def read_dynamic(file: ElfFile) -> Dynamic | None:
    """Return the dynamic section, None when there is none; raise UnreadableBinary when it or its strings are cut."""
    program = file.last(PT_DYNAMIC)
    if program is None:
        return None
    size = min(program.filesz, _MOST_DYNAMIC)
    size -= size % file.shape.dynamic.size
    values: dict[int, int] = {}
    needed: list[int] = []
    filtees: list[int] = []
    for tag, value in file.shape.dynamic.iter_unpack(file.mapped(program.vaddr, size, "PT_DYNAMIC")):
        if tag == DT_NEEDED:
            needed.append(value)
        elif tag in (DT_AUXILIARY, DT_FILTER):
            filtees.append(value)
        elif tag == DT_NULL:
            break
        else:
            values[tag] = value
    else:
        raise UnreadableBinary("PT_DYNAMIC", "the dynamic section has no DT_NULL at its end", program.offset)
    table = bytes(file.mapped(values[DT_STRTAB], values.get(DT_STRSZ, 0), "DT_STRTAB")) if DT_STRTAB in values else b""
    strings = Strings(table)
    names = tuple(strings.get(offset, "DT_NEEDED") for offset in needed)
    return Dynamic(values, names, strings, tuple(strings.get(offset, "DT_FILTER") for offset in filtees))


def read_versions(file: ElfFile, dynamic: Dynamic) -> Versions:
    """Return what DT_VERNEED and DT_VERDEF say; raise UnreadableBinary for a chain that is cut, or longer than its table can be."""
    wanted = _wanted(file, dynamic) if DT_VERNEED in dynamic.values else []
    defined = _defined(file, dynamic) if DT_VERDEF in dynamic.values else []
    return Versions(
        tuple(need for _, need in wanted),
        tuple(name for _, name, base in defined if not base),
        tuple((number, _raw(name)) for number, name, base in defined if not base),
        tuple((number, _raw(need.version), need.library) for number, need in wanted),
    )


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


class _Records:
    """A table of records chained by relative offsets. All of them together are no more than would lie in it side by side."""

    def __init__(self, file: ElfFile, dynamic: Dynamic, tag: int, field: str) -> None:
        self._raw = file.window(dynamic.values[tag], _MOST_VERSIONS, field)
        self._field = field
        self._left = len(self._raw)

    def unpack(self, layout: struct.Struct, offset: int) -> tuple[int, ...]:
        """Return the fields of the record at an offset of the table."""
        self._left -= layout.size
        if offset + layout.size > len(self._raw) or self._left < 0:
            raise UnreadableBinary(self._field, f"a chain of version records leaves its table of at most {len(self._raw)} bytes")
        return layout.unpack_from(self._raw, offset)


def _wanted(file: ElfFile, dynamic: Dynamic) -> list[tuple[int, VersionNeed]]:
    """Return each Elfxx_Vernaux: its version number, and what it asks of which library."""
    records = _Records(file, dynamic, DT_VERNEED, "DT_VERNEED")
    need, auxiliary = struct.Struct(file.shape.order + "2H3I"), struct.Struct(file.shape.order + "I2H2I")
    found: list[tuple[int, VersionNeed]] = []
    offset = 0
    while True:
        version, count, name, at, following = records.unpack(need, offset)
        if version != 1:
            raise UnreadableBinary("DT_VERNEED", f"vn_version is {version}, only 1 is known")
        library = dynamic.strings.get(name, "vn_file")
        at += offset
        for _ in range(count):
            _, flags, number, name, further = records.unpack(auxiliary, at)
            asked = dynamic.strings.get(name, "vna_name")
            found.append((number & 0x7FFF, VersionNeed(library, asked, bool(flags & _WEAK))))
            if not further:
                break
            at += further
        if not following:
            return found
        offset += following


def _defined(file: ElfFile, dynamic: Dynamic) -> list[tuple[int, str, bool]]:
    """Return each Elfxx_Verdef: its version number, its own name (that of the first auxiliary record), whether it is the base one."""
    records = _Records(file, dynamic, DT_VERDEF, "DT_VERDEF")
    definition, auxiliary = struct.Struct(file.shape.order + "4H3I"), struct.Struct(file.shape.order + "2I")
    found: list[tuple[int, str, bool]] = []
    offset = 0
    while True:
        version, flags, number, _, _, at, following = records.unpack(definition, offset)
        if version != 1:
            raise UnreadableBinary("DT_VERDEF", f"vd_version is {version}, only 1 is known")
        name, _ = records.unpack(auxiliary, offset + at)
        found.append((number & 0x7FFF, dynamic.strings.get(name, "vda_name"), bool(flags & _BASE)))
        if not following:
            return found
        offset += following
