"""Checks embedded code signatures from the bytes up: written from xnu's cs_blobs.h for the tests, and sharing no code with the signer."""

import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

ALGORITHMS = {1: (hashlib.sha1, 20), 2: (hashlib.sha256, 32), 3: (hashlib.sha256, 20), 4: (hashlib.sha384, 48)}


class Thin(NamedTuple):
    """What a checker needs of one slice; offsets from its start."""

    cpu: int
    kind: int
    commands: tuple[tuple[int, int, bytes], ...]
    """(number, offset, bytes)."""
    order: str
    wide: bool


def thin(data: bytes) -> Thin:
    order = "<" if data[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe") else ">"
    magic, cpu, _, kind, count, size = struct.unpack_from(order + "6I", data)
    wide = magic == 0xFEEDFACF
    assert wide or magic == 0xFEEDFACE
    offset, found = 32 if wide else 28, []
    end = offset + size
    for _ in range(count):
        number, length = struct.unpack_from(order + "2I", data, offset)
        found.append((number, offset, data[offset : offset + length]))
        offset += length
    assert offset == end, "sizeofcmds is not what the commands take"
    return Thin(cpu, kind, tuple(found), order, wide)


def slices(data: bytes) -> list[tuple[int, int]]:
    """(offset, size) of the slices of a file, universal or not."""
    magic = int.from_bytes(data[:4], "big")
    if magic not in (0xCAFEBABE, 0xCAFEBABF):
        return [(0, len(data))]
    count = int.from_bytes(data[4:8], "big")
    layout, step = (">2I2QI", 32) if magic == 0xCAFEBABF else (">5I", 20)
    rows = (struct.unpack_from(layout, data, 8 + step * index) for index in range(count))
    return [(row[2], row[3]) for row in rows]


def place(data: bytes) -> tuple[int, int] | None:
    """Offset and size of the signature of a thin file."""
    file = thin(data)
    found = [struct.unpack_from(file.order + "2I", raw, 8) for number, _, raw in file.commands if number == 0x1D]
    return (found[0][0], found[0][1]) if found else None


def blobs(data: bytes) -> dict[int, bytes]:
    """The blobs of a thin file's signature by slot; {} without one."""
    found = place(data)
    if found is None:
        return {}
    raw = data[found[0] : found[0] + found[1]]
    magic, length, count = struct.unpack_from(">3I", raw)
    assert magic == 0xFADE0CC0 and length <= len(raw), "SuperBlob"
    index = [struct.unpack_from(">2I", raw, 12 + 8 * number) for number in range(count)]
    return {slot: raw[offset : offset + int.from_bytes(raw[offset + 4 : offset + 8], "big")] for slot, offset in index}


def directories(data: bytes) -> list[bytes]:
    return [blob for slot, blob in blobs(data).items() if slot == 0 or 0x1000 <= slot < 0x1005]


def superblob(data: bytes) -> bytes:
    """The signature of a thin file, without the zeros behind it."""
    found = place(data)
    assert found
    return data[found[0] : found[0] + int.from_bytes(data[found[0] + 4 : found[0] + 8], "big")]


def faults(data: bytes, *, needed: bool = False) -> list[str]:
    """What is wrong with the signature of a thin file; `needed` where the kernel runs nothing without one."""
    if place(data) is None:
        return ["no signature"] if needed else []
    return list(_faults(data))


def _faults(data: bytes) -> Iterator[str]:
    offset, size = place(data) or (0, 0)
    if offset % 16:
        yield "not aligned to 16"
    if not 0 <= len(data) - offset - size <= 15:
        yield "not at the end of the slice"
    if linkedit_end(data) != offset + size:
        yield "not at the end of __LINKEDIT"
    parts = blobs(data)
    if not directories(data):
        yield "no CodeDirectory"
    for directory in directories(data):
        yield from _directory_faults(data, directory, parts, offset)


def linkedit_end(data: bytes) -> int:
    file = thin(data)
    for number, _, raw in file.commands:
        if number in (0x1, 0x19) and raw[8:24].rstrip(b"\0") == b"__LINKEDIT":
            start, length = (
                struct.unpack_from(file.order + "2Q", raw, 40) if number == 0x19 else struct.unpack_from(file.order + "2I", raw, 32)
            )
            return int(start + length)
    return -1


def _directory_faults(data: bytes, directory: bytes, parts: dict[int, bytes], offset: int) -> Iterator[str]:
    magic, length, version, _, hashes, _, special, slots, limit = struct.unpack_from(">9I", directory)
    width, kind, _, bits = struct.unpack_from(">4B", directory, 36)
    new, expected_width = ALGORITHMS[kind]
    if magic != 0xFADE0C02 or length != len(directory) or width != expected_width or version < 0x20400:
        yield "CodeDirectory head"
    if limit != offset:
        yield f"covers {limit:#x}, not up to {offset:#x}"
    page = 1 << bits
    if slots != -(-limit // page):
        yield f"{slots} hashes"
    for number in range(slots):
        covered = data[number * page : min((number + 1) * page, limit)]
        if directory[hashes + number * width :][:width] != new(covered).digest()[:width]:
            yield f"page {number}"
    for number in range(1, special + 1):
        value = directory[hashes - number * width :][:width]
        if number in (1, 3):
            continue
        if value != (new(parts[number]).digest()[:width] if number in parts else bytes(width)):
            yield f"special slot {number}"


def identifier(directory: bytes) -> bytes:
    start = int.from_bytes(directory[20:24], "big")
    return directory[start : directory.index(b"\0", start)]


def without_hashes(directory: bytes) -> bytes:
    """A CodeDirectory with its page hashes made zero: what an edit must leave alone."""
    start = int.from_bytes(directory[16:20], "big")
    return directory[:start] + bytes(len(directory) - start)
