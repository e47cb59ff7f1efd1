"""Reads and checks the embedded code signature of a slice, without Apple's tools; `sign` writes them.

Structures and constants: xnu's osfmk/kern/cs_blobs.h. Everything in a signature is big-endian. Pages count from the start of the slice.
A signature that cannot be read is a `problem`, not an error: the rest of the slice is as readable as without one.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.backends.macos.commands import Commands, Slice
from relocator.buffer import c_string, text
from relocator.errors import UnreadableBinary
from relocator.native import Signature

SUPER_BLOB, CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02
SLOT_DIRECTORY, SLOT_ALTERNATE, SLOT_CMS = 0, 0x1000, 0x10000
_ALTERNATES = 5  # CSSLOT_ALTERNATE_CODEDIRECTORY_MAX
LINKER_SIGNED = 0x20000
HASHES = {1: ("sha1", 20), 2: ("sha256", 32), 3: ("sha256", 20), 4: ("sha384", 48)}
OUTSIDE = (1, 3)  # special slots for Info.plist and CodeResources, which are other files
_MOST_BLOBS = 64
_STEP = 1 << 20  # bytes looked at together while hashing; a multiple of every page size in use
SLACK = 15  # bytes of alignment that may follow a signature
_KEPT = 16


class Directory(NamedTuple):
    """One CodeDirectory; `hashes` are its code slots, `special` those of slots 1, 2, ... in that order."""

    identifier: str
    flags: int
    algorithm: str
    hash_size: int
    page_size: int
    """In bytes; 0 when one hash covers everything."""
    limit: int
    """Bytes of the slice that are covered, from its start."""
    hashes: bytes
    special: tuple[bytes, ...]
    place: int
    """Offset in the blob of the first code slot."""


def read_signature(part: Slice, commands: Commands, verify: bool) -> Signature | None:
    """Return the signature of a slice, None when it has none; with `verify` after hashing every page that it covers."""
    region = commands.regions.get("LC_CODE_SIGNATURE")
    if region is None:
        return None
    raw = bytes(part.cut(region.offset, region.size, region.name))
    try:
        blobs = {slot: raw[offset : offset + size] for slot, offset, size in walk_blobs(raw)}
        directories = [read_directory(blob) for slot, blob in blobs.items() if is_directory(slot)]
    except UnreadableBinary as error:
        return Signature("", "", 0, 0, problem=f"malformed: {error.field}: {error.expected}")
    if not directories:
        return Signature("", "", 0, 0, problem="malformed: no CodeDirectory")
    first = directories[0]
    cms = len(blobs.get(SLOT_CMS, b"")) > 8
    kind = "cms" if cms else "linker-signed" if first.flags & LINKER_SIGNED else "adhoc"
    problem = _problem(part, commands, blobs, directories)
    bad = sorted({page for d in directories for page in _bad_pages(part, d)}) if verify else []
    return Signature(kind, first.identifier, first.flags, first.page_size, verify, tuple(bad[:_KEPT]), problem)


def is_directory(slot: int) -> bool:
    """Tell whether a slot of a SuperBlob holds a CodeDirectory: the first, or an alternate with another hash."""
    return slot == SLOT_DIRECTORY or SLOT_ALTERNATE <= slot < SLOT_ALTERNATE + _ALTERNATES


def walk_blobs(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (slot, offset, size) of each blob in a SuperBlob, its header of 8 bytes included; raise UnreadableBinary."""
    magic, length, count = _unpack(">3I", raw, 0, "SuperBlob")
    if magic != SUPER_BLOB or length > len(raw) or count > _MOST_BLOBS:
        raise UnreadableBinary("SuperBlob", f"magic {magic:#x}, {length} bytes of {len(raw)}, {count} blobs")
    for index in range(count):
        slot, offset = _unpack(">2I", raw, 12 + 8 * index, "SuperBlob")
        _, size = _unpack(">2I", raw, offset, f"blob in slot {slot:#x}")
        if size < 8 or offset + size > length:
            raise UnreadableBinary(f"blob in slot {slot:#x}", f"its {size} bytes do not fit")
        yield slot, offset, size


def _unpack(layout: str, raw: bytes, offset: int, name: str) -> tuple[int, ...]:
    size = struct.calcsize(layout)
    if offset + size > len(raw):
        raise UnreadableBinary(name, f"needs {size} bytes at {offset:#x}, has {len(raw)} in all")
    return struct.unpack_from(layout, raw, offset)


def read_directory(blob: bytes) -> Directory:
    """Return what a CodeDirectory says; raise UnreadableBinary when its parts do not fit into it or its hash is unknown."""
    magic, _, version, flags, hashes, name, special, slots, limit = _unpack(">9I", blob, 0, "CodeDirectory")
    size, kind, _, page_bits = _unpack(">4B", blob, 36, "CodeDirectory")
    if magic != CODE_DIRECTORY or HASHES.get(kind, ("", -1))[1] != size or page_bits > 30:
        raise UnreadableBinary("CodeDirectory", f"magic {magic:#x}, hash type {kind} of {size} bytes, page size 2^{page_bits}")
    if version >= 0x20300:
        limit = _unpack(">Q", blob, 56, "CodeDirectory")[0] or limit
    if special * size > hashes or hashes + slots * size > len(blob):
        raise UnreadableBinary("CodeDirectory", f"{special} + {slots} hashes around {hashes:#x} do not fit into {len(blob)} bytes")
    return Directory(
        text(c_string(blob, name, "CodeDirectory identifier")),
        flags,
        HASHES[kind][0],
        size,
        1 << page_bits if page_bits else 0,
        limit,
        blob[hashes : hashes + slots * size],
        tuple(blob[hashes - (n + 1) * size : hashes - n * size] for n in range(special)),
        hashes,
    )


def _problem(part: Slice, commands: Commands, blobs: dict[int, bytes], directories: list[Directory]) -> str:
    """Return the first thing that is wrong with the signature apart from its page hashes, "" when nothing is."""
    region = commands.regions["LC_CODE_SIGNATURE"]
    end = commands.linkedit.offset + commands.linkedit.size if commands.linkedit else part.size
    behind = max(end, part.size) - (region.offset + region.size)
    if behind > SLACK:
        return f"{behind} bytes follow it in the slice"
    for directory in directories:
        if directory.limit != region.offset:
            return f"covers {directory.limit:#x} bytes, it starts at {region.offset:#x}"
        pages = -(-directory.limit // directory.page_size) if directory.page_size else 1
        if len(directory.hashes) != pages * directory.hash_size:
            return f"has {len(directory.hashes) // directory.hash_size} page hashes for {pages} pages"
        if slot := _bad_special_slot(directory, blobs):
            return f"the hash of its slot {slot} differs"
    return ""


def _bad_special_slot(directory: Directory, blobs: dict[int, bytes]) -> int:
    """Return the first special slot whose hash is not that of the blob it stands for; 0 when all agree."""
    for slot, expected in enumerate(directory.special, 1):
        blob = blobs.get(slot)
        if slot in OUTSIDE or (blob is None and not any(expected)):
            continue
        if blob is None or hashlib.new(directory.algorithm, blob).digest()[: directory.hash_size] != expected:
            return slot
    return 0


def _bad_pages(part: Slice, directory: Directory) -> Iterator[int]:
    """Yield the numbers of the pages whose hash differs, as far as both the hashes and the slice go."""
    size, new = directory.hash_size, getattr(hashlib, directory.algorithm)
    limit = min(directory.limit, part.size)
    page = directory.page_size or limit
    number = 0
    for start in range(0, limit, max(_STEP, page)):
        chunk = memoryview(part.cut(start, min(max(_STEP, page), limit - start), "signed pages"))
        for offset in range(0, len(chunk), page):
            expected = directory.hashes[number * size : (number + 1) * size]
            if expected and new(chunk[offset : offset + page]).digest()[:size] != expected:
                yield number
            number += 1
