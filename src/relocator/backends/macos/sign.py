"""Makes embedded code signatures true: hashes of changed pages made again, or a whole ad-hoc signature.

Structures and constants: xnu's osfmk/kern/cs_blobs.h; everything is big-endian. An ad-hoc signature has hashes and no certificate; arm64
kernels run nothing without one, and stop a process at the first page whose hash differs.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from relocator.backends.macos.commands import Region, Slice
from relocator.backends.macos.signature import (
    CODE_DIRECTORY,
    HASHES,
    LINKER_SIGNED,
    OUTSIDE,
    SLOT_CMS,
    SLOT_DIRECTORY,
    SUPER_BLOB,
    Directory,
    is_directory,
    read_directory,
    walk_blobs,
)
from relocator.errors import UnreadableBinary
from relocator.plans import Patch

ADHOC = 0x2
SHA256 = 2
_REQUIREMENTS, _ENTITLEMENTS, _ENTITLEMENTS_DER = 2, 5, 7
_NO_REQUIREMENTS = struct.pack(">3I", 0xFADE0C01, 12, 0)
_NO_CMS = struct.pack(">2I", 0xFADE0B01, 8)
_STEP = 1 << 20


class Changed:
    """A slice as it will be: its bytes with patches on top; zero beyond its end."""

    def __init__(self, part: Slice, patches: Iterable[Patch]) -> None:
        """Take patches whose offsets are relative to the slice."""
        self._part = part
        self._patches = tuple(patches)

    def at(self, offset: int, size: int) -> bytes | memoryview:
        """Return `size` bytes at an offset of the slice."""
        there = max(min(size, self._part.size - offset), 0)
        whole = self._part.cut(min(offset, self._part.size), there, "signed pages")
        touching = [patch for patch in self._patches if patch.offset < offset + size and offset < patch.offset + len(patch.new)]
        if there == size and not touching:
            return whole
        piece = bytearray(whole)
        piece.extend(bytes(size - there))
        for patch in touching:
            skipped = max(offset - patch.offset, 0)
            new = patch.new[skipped : offset + size - patch.offset]
            start = patch.offset + skipped - offset
            piece[start : start + len(new)] = new
        return bytes(piece)


def rehash(part: Slice, region: Region, patches: Sequence[Patch], *, everything: bool = False) -> list[Patch]:
    """Return patches that make the hashes of the patched pages true, in every CodeDirectory; with `everything` those of all pages.

    Offsets are relative to the slice. `patches` must lie before the signature, which `region` describes. Nothing else in the signature
    changes. Raises UnreadableBinary for a signature that makes no sense.
    """
    raw = bytes(part.cut(region.offset, region.size, region.name))
    changed = Changed(part, patches)
    found: list[Patch] = []
    for slot, offset, size in walk_blobs(raw):
        if is_directory(slot):
            directory = read_directory(raw[offset : offset + size])
            pages = range(_pages(directory.limit, directory.page_size)) if everything else _touched(directory, patches)
            found += _hash_patches(changed, directory, pages, region.offset + offset)
    return found


def _pages(limit: int, page: int) -> int:
    return -(-limit // page) if page else 1


def _touched(directory: Directory, patches: Iterable[Patch]) -> list[int]:
    page = directory.page_size or directory.limit or 1
    touched: set[int] = set()
    for patch in patches:
        end = min(patch.offset + len(patch.new), directory.limit)
        if patch.offset < end:
            touched.update(range(patch.offset // page, (end - 1) // page + 1))
    return sorted(touched)


def _hash_patches(changed: Changed, directory: Directory, pages: Iterable[int], blob: int) -> Iterator[Patch]:
    """Yield one patch per page; `blob` is where the CodeDirectory starts in the slice."""
    size, page = directory.hash_size, directory.page_size or directory.limit
    new = getattr(hashlib, directory.algorithm)
    for number in pages:
        start = number * page
        old = directory.hashes[number * size : (number + 1) * size]
        if len(old) < size:
            raise UnreadableBinary("CodeDirectory", f"has no hash of page {number}")
        digest = new(changed.at(start, min(page, directory.limit - start))).digest()[:size]
        yield Patch(blob + directory.place + number * size, old, digest, f"CodeDirectory: {directory.algorithm} of page {number}")


class CodeDirectory(NamedTuple):
    """What a CodeDirectory to be written says, beside its hashes."""

    identifier: bytes
    flags: int
    limit: int
    """Bytes of the slice that are covered, from its start."""
    executable: tuple[int, int, int]
    """execSegBase, execSegLimit and execSegFlags."""
    kind: int = SHA256
    page_bits: int = 12
    platform: int = 0
    runtime: int = 0
    """Version of the hardened runtime, 0 without."""

    @property
    def _fixed(self) -> int:
        return 96 if self.runtime else 88

    def size(self, special: int) -> int:
        """Return the bytes that it takes with so many special slots."""
        slots = special + _pages(self.limit, 1 << self.page_bits if self.page_bits else 0)
        return self._fixed + len(self.identifier) + 1 + slots * HASHES[self.kind][1]

    def blob(self, special: Sequence[bytes], hashes: bytes) -> bytes:
        """Return it with the hashes of slots 1, 2, ... and those of the pages."""
        size = HASHES[self.kind][1]
        place = self._fixed + len(self.identifier) + 1 + len(special) * size
        version = 0x20500 if self.runtime else 0x20400
        words = (version, self.flags, place, self._fixed, len(special), len(hashes) // size, self.limit)
        head = struct.pack(">9I4BI", CODE_DIRECTORY, self.size(len(special)), *words, size, self.kind, self.platform, self.page_bits, 0)
        head += struct.pack(">3IQ3Q", 0, 0, 0, 0, *self.executable)  # scatter, team, spare, codeLimit64
        if self.runtime:
            head += struct.pack(">2I", self.runtime, 0)
        return head + self.identifier + b"\0" + b"".join(reversed(special)) + hashes


@dataclass(frozen=True, slots=True)
class Signing:
    """A signature to be built: its CodeDirectories and other blobs by slot, and hashes of files outside."""

    directories: Mapping[int, CodeDirectory]
    blobs: Mapping[int, bytes]
    outside: Mapping[int, Mapping[int, bytes]]
    """By slot of the CodeDirectory: special hashes that are kept, as those of Info.plist."""

    @property
    def size(self) -> int:
        """Bytes of the SuperBlob."""
        parts = [directory.size(self._specials(slot)) for slot, directory in self.directories.items()]
        parts += map(len, self.blobs.values())
        return 12 + 8 * len(parts) + sum(parts)

    def _specials(self, slot: int) -> int:
        """Return how many special slots a CodeDirectory needs."""
        return max((*(number for number in self.blobs if number != SLOT_CMS), *self.outside.get(slot, ())), default=0)

    def build(self, changed: Changed) -> bytes:
        """Return the SuperBlob for a slice as it will be."""
        blobs = dict(self.blobs)
        for slot, directory in self.directories.items():
            special = [self._special(slot, directory, number) for number in range(1, self._specials(slot) + 1)]
            blobs[slot] = directory.blob(special, _all_hashes(changed, directory))
        place, index = 12 + 8 * len(blobs), b""
        for slot, blob in sorted(blobs.items()):
            index += struct.pack(">2I", slot, place)
            place += len(blob)
        return struct.pack(">3I", SUPER_BLOB, place, len(blobs)) + index + b"".join(blob for _, blob in sorted(blobs.items()))

    def _special(self, slot: int, directory: CodeDirectory, number: int) -> bytes:
        name, size = HASHES[directory.kind]
        if number in self.blobs:
            return hashlib.new(name, self.blobs[number]).digest()[:size]
        return self.outside.get(slot, {}).get(number, bytes(size))


def _all_hashes(changed: Changed, directory: CodeDirectory) -> bytes:
    name, size = HASHES[directory.kind]
    new, found = getattr(hashlib, name), bytearray()
    page = 1 << directory.page_bits if directory.page_bits else directory.limit
    step = max(_STEP, page)
    for start in range(0, directory.limit, step):
        chunk = memoryview(changed.at(start, min(step, directory.limit - start)))
        for offset in range(0, len(chunk), page):
            found += new(chunk[offset : offset + page]).digest()[:size]
    return bytes(found)


def as_linkers_do(identifier: bytes, limit: int, executable: tuple[int, int, int]) -> Signing:
    """Return the plan of a signature such as linkers write: one CodeDirectory, and `codesign` may replace it without being forced."""
    return Signing({SLOT_DIRECTORY: CodeDirectory(identifier, ADHOC | LINKER_SIGNED, limit, executable)}, {}, {})


def without_identity(raw: bytes, limit: int) -> tuple[Signing, str]:
    """Return the plan of an ad-hoc signature in place of the one in `raw`, and what it keeps that ad-hoc signatures may not have.

    Identifier, flags, hash kinds, page sizes, entitlements and the executable segment are kept; the certificate, the team and the
    requirements, which name the certificate, are not. Raises UnreadableBinary when there is nothing legible to keep.
    """
    blobs = {slot: raw[offset : offset + size] for slot, offset, size in walk_blobs(raw)}
    directories = {slot: blob for slot, blob in blobs.items() if is_directory(slot)}
    if SLOT_DIRECTORY not in directories:
        raise UnreadableBinary("SuperBlob", "no CodeDirectory")
    kept = {slot: blobs[slot] for slot in (_ENTITLEMENTS, _ENTITLEMENTS_DER) if slot in blobs}
    new = {slot: _adhoc(blob, limit) for slot, blob in directories.items()}
    outside = {slot: _outside(read_directory(blob)) for slot, blob in directories.items()}
    remark = "entitlements are kept; restricted ones do not work without the identity" if kept else ""
    return Signing(new, {**kept, _REQUIREMENTS: _NO_REQUIREMENTS, SLOT_CMS: _NO_CMS}, outside), remark


def _outside(directory: Directory) -> dict[int, bytes]:
    return {number: value for number, value in enumerate(directory.special, 1) if number in OUTSIDE and any(value)}


def _adhoc(blob: bytes, limit: int) -> CodeDirectory:
    """Return what a CodeDirectory says, made ad hoc."""
    old = read_directory(blob)
    version = int.from_bytes(blob[8:12], "big")
    _, kind, platform, bits = struct.unpack_from(">4B", blob, 36)
    executable = struct.unpack_from(">3Q", blob, 64) if version >= 0x20400 and len(blob) >= 88 else (0, 0, 0)
    (runtime,) = struct.unpack_from(">I", blob, 88) if version >= 0x20500 and len(blob) >= 92 else (0,)
    name = old.identifier.encode("utf-8", "surrogateescape")
    return CodeDirectory(name, (old.flags | ADHOC) & ~LINKER_SIGNED, limit, executable, kind, bits, platform, runtime)
