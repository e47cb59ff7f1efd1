"""Several Mach-O files, thin or universal, become one universal file; every slice keeps its bytes, and so its signature.

The layout is that of `lipo -create`: <mach-o/fat.h>, slices by alignment, arm64 last, each at a multiple of its page.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from relocator.backends.macos.commands import MAGICS, Slice, read_header
from relocator.backends.macos.read import arch_name, arches
from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary
from relocator.plans import EditRefused

_MAGIC, _WIDE_MAGIC = 0xCAFEBABE, 0xCAFEBABF
_ENTRY, _WIDE_ENTRY = struct.Struct(">5I"), struct.Struct(">2I2QI4x")
_ARM64 = (0x0100000C, 0x0200000C)
_SMALL_PAGE, _LARGE_PAGE = 12, 14
"""Powers of two: the pages of Intel and PowerPC, and those of Arm."""

_ARMS = (0xC, *_ARM64)
_WIDE_CPU = 0x01000000  # CPU_ARCH_ABI64
_SUBTYPE_MASK = 0x00FFFFFF
_CHUNK = 1 << 20
_ARCHIVE = b"!<arch>\n"
_MEMBER = struct.Struct("16s12s6s6s8s10s2s")  # <ar.h>, struct ar_hdr


class Cut(NamedTuple):
    """One slice of the file to be made."""

    cpu_type: int
    cpu_subtype: int
    alignment: int
    part: Slice

    @property
    def name(self) -> str:
        """Its architecture's name."""
        return arch_name(self.cpu_type, self.cpu_subtype)


def fused(files: Sequence[Buffer]) -> bytearray:
    """Return the universal file with the slices of all files.

    Raises EditRefused when two differ in one architecture or a file is nothing that has any, UnreadableBinary when one is damaged.
    """
    chosen: dict[tuple[int, int], Cut] = {}
    for file in files:
        for cut in _cuts(file):
            key = cut.cpu_type, cut.cpu_subtype & _SUBTYPE_MASK
            if key in chosen and not _same(chosen[key].part, cut.part):
                raise EditRefused(f"the two differ in their code for {cut.name}", "build each wheel for one architecture of its own")
            chosen.setdefault(key, cut)
    ordered = sorted(chosen.values(), key=lambda cut: (cut.cpu_type in _ARM64, cut.alignment, cut.cpu_type, cut.cpu_subtype))
    return _assembled(ordered)


def _cuts(file: Buffer) -> Iterator[Cut]:
    """Yield the slices of one file."""
    if bytes(file[:8]) == _ARCHIVE:
        header = _of_archive(file)
        yield Cut(*header, 3 if header[0] & _WIDE_CPU else 2, Slice(file, 0, len(file)))
        return
    found = arches(file)
    if not found:
        raise EditRefused("it is no Mach-O file", "the files must be the same, or Mach-O files of different architectures")
    for arch in found:
        if arch.fat:
            yield Cut(*arch.declared, arch.alignment, arch.part)
        else:
            read = read_header(arch.part) if bytes(arch.part.cut(0, 4, "mach_header")) in MAGICS else None
            if read is None:
                raise UnreadableBinary("mach_header", "it is cut short", 0)
            yield Cut(read.cpu_type, read.cpu_subtype, _LARGE_PAGE if read.cpu_type in _ARMS else _SMALL_PAGE, arch.part)


def _of_archive(file: Buffer) -> tuple[int, int]:
    """Return CPU type and subtype of the first object in a static archive; names of BSD's long form stand before their member's bytes."""
    place = len(_ARCHIVE)
    while place + _MEMBER.size <= len(file):
        name, *_, size, _ = _MEMBER.unpack(bytes(file[place : place + _MEMBER.size]))
        start = place + _MEMBER.size
        length, skipped = _decimal(size), _decimal(name[3:]) if name.startswith(b"#1/") else 0
        part = Slice(file, start + skipped, min(length - skipped, len(file) - start - skipped))
        if part.size >= 28 and bytes(part.cut(0, 4, "mach_header")) in MAGICS:
            header = read_header(part)
            return header.cpu_type, header.cpu_subtype
        place = start + length + length % 2
    raise EditRefused("it is a static archive without Mach-O objects", "the files must be the same, or made for different architectures")


def _decimal(field: bytes) -> int:
    text = field.strip()
    if not text.isdigit():
        raise UnreadableBinary("ar_hdr", f"{field!r} is no number")
    return int(text)


def _same(one: Slice, other: Slice) -> bool:
    if one.size != other.size:
        return False
    pieces = ((start, min(_CHUNK, one.size - start)) for start in range(0, one.size, _CHUNK))
    return all(bytes(one.cut(start, size, "slice")) == bytes(other.cut(start, size, "slice")) for start, size in pieces)


def _assembled(cuts: Sequence[Cut]) -> bytearray:
    head, places = laid_out(cuts)
    data = bytearray(places[-1] + cuts[-1].part.size)
    data[: len(head)] = head
    for place, cut in zip(places, cuts, strict=True):
        for start in range(0, cut.part.size, _CHUNK):
            size = min(_CHUNK, cut.part.size - start)
            data[place + start : place + start + size] = cut.part.cut(start, size, "slice")
    return data


def laid_out(cuts: Sequence[Cut]) -> tuple[bytes, list[int]]:
    """Return the header, and where the slices lie; its wide form, which older systems do not know, only where a number needs it."""
    wide, entry = False, _ENTRY
    places = _places(cuts, entry.size)
    if any(max(place, cut.part.size) > 0xFFFFFFFF for place, cut in zip(places, cuts, strict=True)):
        wide, entry = True, _WIDE_ENTRY
        places = _places(cuts, entry.size)
    rows = [(cut.cpu_type, cut.cpu_subtype, place, cut.part.size, cut.alignment) for place, cut in zip(places, cuts, strict=True)]
    return struct.pack(">2I", _WIDE_MAGIC if wide else _MAGIC, len(cuts)) + b"".join(entry.pack(*row) for row in rows), places


def _places(cuts: Sequence[Cut], entry: int) -> list[int]:
    """Return where the slices lie, when each entry of the header takes so many bytes."""
    places, end = [], 8 + len(cuts) * entry
    for cut in cuts:
        page = 1 << cut.alignment
        places.append(-(-end // page) * page)
        end = places[-1] + cut.part.size
    return places
