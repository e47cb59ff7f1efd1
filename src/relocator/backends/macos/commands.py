"""The Mach-O header and load commands of one slice, checked and sorted by what they are about.

Structures and constants are those of <mach-o/loader.h> and <mach-o/nlist.h>; what is refused is what dyld refuses (its
mach_o/UnsafeHeader.cpp and common/MachOAnalyzer.cpp). Offsets inside a slice are relative to its start, as in the file; offsets in errors
are relative to the start of the buffer.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from relocator.buffer import Buffer, c_string, cut, text
from relocator.errors import UnreadableBinary
from relocator.model import NeedKind
from relocator.native import Dylib

MAGICS = {  # first four bytes -> (struct prefix, 64-bit)
    b"\xce\xfa\xed\xfe": ("<", False),
    b"\xcf\xfa\xed\xfe": ("<", True),
    b"\xfe\xed\xfa\xce": (">", False),
    b"\xfe\xed\xfa\xcf": (">", True),
}

MH_DYLIB = 6
MH_TWOLEVEL = 0x80

SEGMENT, SEGMENT_64 = 0x1, 0x19
_SYMTAB, _DYSYMTAB = 0x2, 0xB
ID_DYLIB, RPATH, _UUID = 0xD, 0x8000001C, 0x1B
CODE_SIGNATURE = 0x1D
_EXPORTS_TRIE, _CHAINED_FIXUPS = 0x80000033, 0x80000034
_BUILD_VERSION = 0x32

DYLIBS = {
    0xC: ("LC_LOAD_DYLIB", NeedKind.REQUIRED),
    0x80000018: ("LC_LOAD_WEAK_DYLIB", NeedKind.WEAK),
    0x8000001F: ("LC_REEXPORT_DYLIB", NeedKind.REEXPORT),
    0x20: ("LC_LAZY_LOAD_DYLIB", NeedKind.LAZY),
    0x80000023: ("LC_LOAD_UPWARD_DYLIB", NeedKind.UPWARD),
}
_DYLIB_USE_MARKER = 0x1A741800  # in place of the timestamp: dylib_use_command, with a flags word after the versions
_USE_KINDS = ((0x2, NeedKind.REEXPORT), (0x1, NeedKind.WEAK), (0x4, NeedKind.UPWARD), (0x8, NeedKind.DELAYED))  # re-export wins, as in dyld

_LINKEDIT_DATA = {
    CODE_SIGNATURE: "LC_CODE_SIGNATURE",
    0x1E: "LC_SEGMENT_SPLIT_INFO",
    0x26: "LC_FUNCTION_STARTS",
    0x29: "LC_DATA_IN_CODE",
    0x2B: "LC_DYLIB_CODE_SIGN_DRS",
    0x2E: "LC_LINKER_OPTIMIZATION_HINT",
    _EXPORTS_TRIE: "LC_DYLD_EXPORTS_TRIE",
    _CHAINED_FIXUPS: "LC_DYLD_CHAINED_FIXUPS",
}
_DYLD_INFO = (0x22, 0x80000022)
_DYLD_INFO_TABLES = ("rebase", "bind", "weak_bind", "lazy_bind", "export")

_VERSION_MIN = {0x24: "macos", 0x25: "ios", 0x2F: "tvos", 0x30: "watchos"}
_SIMULATED = ("ios", "tvos", "watchos")
_PLATFORMS = {
    1: "macos",
    2: "ios",
    3: "tvos",
    4: "watchos",
    5: "bridgeos",
    6: "maccatalyst",
    7: "iossimulator",
    8: "tvossimulator",
    9: "watchossimulator",
    10: "driverkit",
    11: "visionos",
    12: "visionossimulator",
}

_ZERO_FILLED = (0x1, 0xC, 0x12)  # S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL occupy no bytes of the file


class Slice(NamedTuple):
    """One architecture's part of a buffer; in a thin file all of it."""

    buffer: Buffer
    start: int
    size: int

    def cut(self, offset: int, size: int, name: str) -> bytes | memoryview:
        """Return `size` bytes at `offset` of the slice; raise UnreadableBinary when the slice does not reach so far."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise UnreadableBinary(name, f"needs {size} bytes, the slice ends at {self.start + self.size:#x}", self.start + offset)
        return cut(self.buffer, self.start + offset, size, name)


class Header(NamedTuple):
    """struct mach_header or mach_header_64, without the magic."""

    order: str
    """"<" or ">", as `struct` wants it."""
    wide: bool
    """64-bit."""
    cpu_type: int
    cpu_subtype: int
    file_type: int
    commands: int
    commands_size: int
    flags: int

    @property
    def size(self) -> int:
        """Bytes before the first load command."""
        return 32 if self.wide else 28


class Platform(NamedTuple):
    """What one version command says; versions are packed X.Y.Z (16.8.8 bits)."""

    name: str
    minimum: int
    sdk: int


class Region(NamedTuple):
    """One table in __LINKEDIT, by offset in the slice and size in bytes."""

    name: str
    offset: int
    size: int


@dataclass(slots=True)
class Commands:
    """Everything that the load commands of one slice say and that we use."""

    dylibs: list[tuple[Dylib, NeedKind]] = field(default_factory=list)
    identity: Dylib | None = None
    rpaths: list[str] = field(default_factory=list)
    platforms: list[Platform] = field(default_factory=list)
    uuid: str | None = None
    regions: dict[str, Region] = field(default_factory=dict)
    """Tables in __LINKEDIT by name: "bind", "export", "LC_CODE_SIGNATURE", "symbols", "strings", ..."""
    binding: bool = False
    """Has a command for binding information, however empty: dyld then looks at no symbol table for what to bind."""
    symbol_ranges: tuple[int, int, int, int] | None = None
    """LC_DYSYMTAB: first and number of exported symbols, first and number of undefined ones."""
    content: int | None = None
    """Offset in the slice of the first byte of any section or segment after the load commands; None when there is none."""
    linkedit: Region | None = None
    """The __LINKEDIT segment's bytes."""
    debug_size: int = 0
    """Bytes of the __DWARF segment."""


def read_header(part: Slice) -> Header:
    """Return the header of a slice that starts with one of MAGICS."""
    order, wide = MAGICS[bytes(part.cut(0, 4, "mach_header"))]
    raw = part.cut(0, 32 if wide else 28, "mach_header")
    cpu_type, cpu_subtype, file_type, count, size, flags = struct.unpack_from(order + "6I", raw, 4)
    return Header(order, wide, cpu_type, cpu_subtype, file_type, count, size, flags)


def read_commands(part: Slice, header: Header) -> Commands:
    """Walk the load commands once; raise UnreadableBinary for whatever dyld would not accept or our readers could not trust."""
    found = Commands()
    raw = bytes(part.cut(header.size, header.commands_size, "load commands"))
    for command, offset, size in walk(raw, header, part.start + header.size):
        _Command(part, header, command, raw[offset : offset + size], header.size + offset).sort_into(found)
    _check_regions(part, found)
    return found


def header_room(part: Slice, header: Header, commands: Commands) -> int:
    """Return the unused bytes between the load commands and the first content of the slice."""
    used = header.size + header.commands_size
    if commands.content is None:
        return 0
    if commands.content < used:
        raise UnreadableBinary("load commands", f"end at {used:#x} of the slice, behind the first section", part.start + commands.content)
    return commands.content - used


def walk(raw: bytes, header: Header, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield (command, offset in `raw`, size); `start` is where `raw` lies in the buffer."""
    alignment = 8 if header.wide else 4
    unpack = struct.Struct(header.order + "2I").unpack_from
    offset = 0
    for index in range(header.commands):
        if offset + 8 > len(raw):
            raise UnreadableBinary("ncmds", f"is {header.commands}, sizeofcmds has room for {index}", start + offset)
        command, size = unpack(raw, offset)
        if size < 8 or size % alignment or offset + size > len(raw):
            raise UnreadableBinary("cmdsize", f"is {size}, not a multiple of {alignment} within sizeofcmds", start + offset)
        yield command, offset, size
        offset += size
    if offset != len(raw):
        raise UnreadableBinary("sizeofcmds", f"is {len(raw)}, the {header.commands} commands take {offset}", start + offset)


class _Command(NamedTuple):
    """One load command; `offset` is its place in the slice."""

    part: Slice
    header: Header
    number: int
    raw: bytes
    offset: int

    def sort_into(self, found: Commands) -> None:
        number = self.number
        if number in DYLIBS:
            found.dylibs.append(self._dylib())
        elif number in (SEGMENT, SEGMENT_64):
            self._segment(found)
        elif number == ID_DYLIB:
            found.identity = self._identity()
        elif number == RPATH:
            found.rpaths.append(self._string(self._words(8, 1)[0], 12, "LC_RPATH"))
        elif number == _UUID:
            found.uuid = self._bytes(8, 16).hex()
        elif number in _VERSION_MIN or number == _BUILD_VERSION:
            found.platforms.append(self._platform())
        else:
            self._tables(found)

    def _tables(self, found: Commands) -> None:
        found.binding |= self.number in (*_DYLD_INFO, _CHAINED_FIXUPS)
        if self.number in _LINKEDIT_DATA:
            self._region(found, _LINKEDIT_DATA[self.number], *self._words(8, 2))
        elif self.number in _DYLD_INFO:
            words = self._words(8, 10)
            for name, offset, size in zip(_DYLD_INFO_TABLES, words[::2], words[1::2], strict=True):
                self._region(found, name, offset, size)
        elif self.number == _SYMTAB:
            symbols, count, strings, size = self._words(8, 4)
            self._region(found, "symbols", symbols, count * (16 if self.header.wide else 12))
            self._region(found, "strings", strings, size)
        elif self.number == _DYSYMTAB:
            words = self._words(8, 18)
            found.symbol_ranges = (words[2], words[3], words[4], words[5])
            self._region(found, "indirect symbols", words[12], words[13] * 4)

    def _words(self, offset: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"{self.header.order}{count}I", self._bytes(offset, count * 4))

    def _bytes(self, offset: int, size: int) -> bytes:
        if offset + size > len(self.raw):
            expected = f"command {self.number:#x} needs {offset + size} bytes, has {len(self.raw)}"
            raise UnreadableBinary("cmdsize", expected, self.part.start + self.offset)
        return self.raw[offset : offset + size]

    def _string(self, offset: int, least: int, name: str) -> str:
        """Return the string that ends a command; it may not start inside the fields before `least`."""
        if offset < least:
            raise UnreadableBinary(name, f"string offset {offset} lies inside the command's fields", self.part.start + self.offset)
        try:
            return text(c_string(self.raw, offset, name))
        except UnreadableBinary as error:
            raise UnreadableBinary(name, error.expected, self.part.start + self.offset) from None

    def _identity(self) -> Dylib:
        offset, _, current, compatibility = self._words(8, 4)
        return Dylib(self._string(offset, 24, "LC_ID_DYLIB"), "LC_ID_DYLIB", current, compatibility)

    def _dylib(self) -> tuple[Dylib, NeedKind]:
        command, kind = DYLIBS[self.number]
        offset, timestamp, current, compatibility = self._words(8, 4)
        flags = 0
        if timestamp == _DYLIB_USE_MARKER and offset == 28:  # both, as in dyld: an old timestamp may happen to have that value
            flags = self._words(24, 1)[0]
            kind = next((kind for bit, kind in _USE_KINDS if flags & bit), NeedKind.REQUIRED)
        return Dylib(self._string(offset, 24, command), command, current, compatibility, flags), kind

    def _platform(self) -> Platform:
        if self.number == _BUILD_VERSION:
            number, minimum, sdk = self._words(8, 3)
            return Platform(_PLATFORMS.get(number, f"platform {number}"), minimum, sdk)
        minimum, sdk = self._words(8, 2)
        name = _VERSION_MIN[self.number]
        if name in _SIMULATED and self.header.cpu_type & 0xFFFFFF == 7:  # only the simulators ran on Intel
            name += "simulator"
        return Platform(name, minimum, sdk)

    def _region(self, found: Commands, name: str, offset: int, size: int) -> None:
        """Note a table; the last command of a kind wins, as in dyld. Empty ones may have any offset."""
        if size:
            self.part.cut(offset + size, 0, name)
            found.regions[name] = Region(name, offset, size)

    def _segment(self, found: Commands) -> None:
        wide = self.number == SEGMENT_64
        layout = struct.Struct(self.header.order + ("16s4Q4I" if wide else "16s8I"))
        name, _, _, offset, size, _, _, sections, _ = layout.unpack(self._bytes(8, layout.size))
        self.part.cut(offset + size, 0, "segment " + text(name.rstrip(b"\0")))
        if name.rstrip(b"\0") == b"__LINKEDIT":
            found.linkedit = Region("__LINKEDIT", offset, size)
        if name.rstrip(b"\0") == b"__DWARF":
            found.debug_size += size
        starts = self._sections(wide, 8 + layout.size, sections) if sections else [offset] if size else []
        content = [start for start in starts if start]
        if found.content is not None:
            content.append(found.content)
        found.content = min(content, default=None)

    def _sections(self, wide: bool, start: int, count: int) -> list[int]:
        """Return the file offsets of the segment's sections that have bytes."""
        layout = struct.Struct(self.header.order + ("32x8xQI12xI12x" if wide else "32x4xII12xI8x"))
        table = self._bytes(start, count * layout.size)
        return [offset for size, offset, flags in layout.iter_unpack(table) if size and flags & 0xFF not in _ZERO_FILLED]


def _check_regions(part: Slice, found: Commands) -> None:
    """Raise UnreadableBinary when two tables overlap or one lies outside __LINKEDIT (dyld: validLinkeditLayout)."""
    regions = sorted(found.regions.values(), key=lambda region: (region.offset, region.size))
    for before, after in pairwise(regions):
        if before.offset + before.size > after.offset:
            raise UnreadableBinary(after.name, f"overlaps {before.name}", part.start + after.offset)
    linkedit = found.linkedit
    if linkedit is None:
        return
    for region in regions:
        if region.offset < linkedit.offset or region.offset + region.size > linkedit.offset + linkedit.size:
            raise UnreadableBinary(region.name, "lies outside __LINKEDIT", part.start + region.offset)
