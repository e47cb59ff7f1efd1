"""Reads Mach-O files, thin and universal, into images: everything that dyld, our rules and planners want to know.

Specification: <mach-o/loader.h>, <mach-o/fat.h>. Universal headers are always big-endian; a slice says its own byte order.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

from relocator.backends.macos import signature
from relocator.backends.macos.commands import (
    MAGICS,
    MH_DYLIB,
    MH_TWOLEVEL,
    Commands,
    Header,
    Platform,
    Slice,
    header_room,
    read_commands,
    read_header,
)
from relocator.backends.macos.objc import defined_classes
from relocator.backends.macos.room import name_room
from relocator.backends.macos.symbols import read_symbols
from relocator.buffer import Buffer, cut
from relocator.errors import UnreadableBinary
from relocator.model import Format, Image, Needed, SearchPath
from relocator.native import MachOFacts

_FAT = {b"\xca\xfe\xba\xbe": ">5I", b"\xca\xfe\xba\xbf": ">2I2QI4x"}  # fat_arch, fat_arch_64
_FIRST_JAVA_VERSION = 45
"""A Java class has its minor and major version where a universal file counts its slices; the major version has never been lower."""

_KINDS = {2: "program", MH_DYLIB: "library", 8: "bundle"}
"""MH_EXECUTE, MH_DYLIB, MH_BUNDLE. dyld maps no other type: objects, cores, stubs, dSYM companions, kernel extensions."""

_ARCHES = {
    (0x7, None): "i386",
    (0x01000007, 8): "x86_64h",
    (0x01000007, None): "x86_64",
    (0x0100000C, 2): "arm64e",
    (0x0100000C, None): "arm64",
    (0x0200000C, None): "arm64_32",
    (0xC, 6): "armv6",
    (0xC, 9): "armv7",
    (0xC, 11): "armv7s",
    (0xC, 12): "armv7k",
    (0xC, None): "arm",
    (0x12, None): "ppc",
    (0x01000012, None): "ppc64",
}
_NOT_LOADED = (b"!<ar", b"!<th", b"BC\xc0\xde", b"\xde\xc0\x17\x0b")  # static archives and LLVM bitcode, which universal files may hold
_SUBTYPE_MASK = 0x00FFFFFF  # the high byte holds capability bits, such as arm64e's ABI version


def recognises(head: bytes) -> bool:
    """Tell from the first bytes whether a file may be Mach-O or universal; Java classes look the same until `read` has a closer look."""
    return head[:4] in MAGICS or head[:4] in _FAT


def read(buffer: Buffer, *, verify_signatures: bool = False) -> tuple[Image, ...]:
    """Return one image per architecture, none for what no loader maps: Java classes, objects, universal static archives.

    With `verify_signatures` the page hashes of embedded signatures are computed and compared. Raises UnreadableBinary.
    """
    images: dict[str, Image] = {}
    for one in arches(buffer):
        image = _image(one, verify_signatures)
        if image is None:
            continue
        if image.arch in images:
            raise UnreadableBinary("fat_arch", f"two slices for {image.arch}", one.part.start)
        images[image.arch] = image
    return tuple(images.values())


def arch_name(cpu_type: int, cpu_subtype: int) -> str:
    """Return the name of an architecture as wheel tags spell it; "cpu 0x.." for one we never heard of."""
    exact = _ARCHES.get((cpu_type, cpu_subtype & _SUBTYPE_MASK))
    return exact or _ARCHES.get((cpu_type, None), f"cpu {cpu_type:#x}")


class Arch(NamedTuple):
    """A slice and its entry in the universal header; a thin file is one slice without an entry."""

    part: Slice
    place: int = 0
    """Offset of the entry in the file; 0 for a thin file."""
    declared: tuple[int, int] = (0, 0)
    """The entry's CPU type and subtype."""
    alignment: int = 0
    """The entry's power of two to whose multiples the slice is to lie."""

    @property
    def fat(self) -> bool:
        """In a universal file."""
        return self.place > 0


def is_wide(buffer: Buffer) -> bool:
    """Tell whether a universal file has entries with offsets of 64 bits (struct fat_arch_64)."""
    return bytes(buffer[:4]) == b"\xca\xfe\xba\xbf"


def arches(buffer: Buffer) -> list[Arch]:
    """Return the slices of a file in the order of its header; none for a Java class. Raises UnreadableBinary."""
    entry = _FAT.get(bytes(buffer[:4]))
    if entry is None:
        return [Arch(Slice(buffer, 0, len(buffer)))]
    layout = struct.Struct(entry)
    count = int.from_bytes(cut(buffer, 4, 4, "nfat_arch"), "big")
    if count >= _FIRST_JAVA_VERSION and layout.size == 20:
        return []
    table = bytes(cut(buffer, 8, count * layout.size, "fat_arch"))
    found: list[Arch] = []
    for index, (cpu_type, cpu_subtype, offset, size, alignment) in enumerate(layout.iter_unpack(table)):
        place = 8 + index * layout.size
        if offset < 8 + len(table) or offset + size > len(buffer):
            raise UnreadableBinary("fat_arch", f"slice {offset:#x} + {size:#x} is not within the file's {len(buffer):#x} bytes", place)
        found.append(Arch(Slice(buffer, offset, size), place, (cpu_type, cpu_subtype), alignment))
    if not found:
        raise UnreadableBinary("nfat_arch", "a universal file has at least one slice", 4)
    _check_apart([arch.part for arch in found])
    return found


def _check_apart(parts: list[Slice]) -> None:
    """Raise UnreadableBinary when two slices share bytes."""
    parts.sort(key=lambda part: part.start)
    for before, after in pairwise(parts):
        if before.start + before.size > after.start:
            raise UnreadableBinary("fat_arch", f"the slice overlaps the one at {before.start:#x}", after.start)


def loadable(arch: Arch) -> Header | None:
    """Return the header of a slice; None when it is an archive, bitcode or a file type that dyld does not map. Raises UnreadableBinary."""
    part = arch.part
    magic = bytes(part.cut(0, 4, "mach_header"))
    if magic not in MAGICS:
        if arch.fat and magic in _NOT_LOADED:
            return None
        raise UnreadableBinary("mach_header", f"magic is {magic.hex()}", part.start)
    header = read_header(part)
    name = arch_name(header.cpu_type, header.cpu_subtype)
    if arch.fat and arch_name(*arch.declared) != name:
        raise UnreadableBinary("fat_arch", f"declares {arch_name(*arch.declared)}, the slice is {name}", part.start)
    return header if header.file_type in _KINDS else None


def _image(one: Arch, verify: bool) -> Image | None:
    header = loadable(one)
    if header is None:
        return None
    part = one.part
    commands = read_commands(part, header)
    platform = _platform(commands.platforms)
    return Image(
        Format.MACHO,
        arch_name(header.cpu_type, header.cpu_subtype),
        _KINDS[header.file_type],
        _facts(part, header, commands, one.fat, verify),
        tuple(Needed(dylib.name, need) for dylib, need in commands.dylibs),
        tuple(SearchPath(path, "LC_RPATH") for path in commands.rpaths),
        commands.identity.name if commands.identity else None,
        read_symbols(part, header, commands),
        (),
        _version(platform.minimum),
    )


def _facts(part: Slice, header: Header, commands: Commands, fat: bool, verify: bool) -> MachOFacts:
    platform = _platform(commands.platforms)
    return MachOFacts(
        cpu_type=header.cpu_type,
        cpu_subtype=header.cpu_subtype,
        file_type=header.file_type,
        flags=header.flags,
        platform=platform.name,
        sdk=_version(platform.sdk),
        dylibs=tuple(dylib for dylib, _ in commands.dylibs),
        identity=commands.identity,
        uuid=commands.uuid,
        objc_classes=defined_classes(part, header),
        two_level=bool(header.flags & MH_TWOLEVEL),
        chained_fixups="LC_DYLD_CHAINED_FIXUPS" in commands.regions,
        signature=signature.read_signature(part, commands, verify),
        header_room=header_room(part, header, commands),
        name_room=name_room(part, header, commands),
        slice_offset=part.start,
        slice_size=part.size,
        fat=fat,
        debug_size=commands.debug_size,
        warnings=_warnings(header, commands),
    )


def _platform(platforms: list[Platform]) -> Platform:
    """Return the platform to judge by: macOS when a zippered library is built for it too, else the first that is named."""
    return next((p for p in platforms if p.name == "macos"), platforms[0] if platforms else Platform("", 0, 0))


def _version(packed: int) -> tuple[int, ...]:
    """Return a packed X.Y.Z as (X, Y), or (X, Y, Z) when Z is not 0; () for 0, which says nothing."""
    major, minor, patch = packed >> 16, packed >> 8 & 0xFF, packed & 0xFF
    if not packed:
        return ()
    return (major, minor, patch) if patch else (major, minor)


def _warnings(header: Header, commands: Commands) -> tuple[str, ...]:
    """Return what is odd about the load commands but does not stop us from reading on."""
    if header.file_type == MH_DYLIB and commands.identity is None:
        return ("MH_DYLIB without LC_ID_DYLIB: dyld refuses it",)
    if header.file_type != MH_DYLIB and commands.identity is not None:
        return ("LC_ID_DYLIB in a file that is no MH_DYLIB: dyld refuses it",)
    return ()
