"""A tiny Mach-O writer for what no linker at hand writes: other byte orders, rare commands, hostile tables."""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

X86_64, I386, PPC, ARM64 = 0x01000007, 7, 0x12, 0x0100000C


class Shape(NamedTuple):
    order: str = "<"
    wide: bool = True
    cpu_type: int = X86_64
    cpu_subtype: int = 3
    file_type: int = 6
    flags: int = 0x85

    def pack(self, *words: int) -> bytes:
        return struct.pack(f"{self.order}{len(words)}I", *words)

    @property
    def header_size(self) -> int:
        return 32 if self.wide else 28


NATIVE = Shape()


def uleb(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def command(number: int, body: bytes, shape: Shape = NATIVE) -> bytes:
    alignment = 8 if shape.wide else 4
    size = -(-(8 + len(body)) // alignment) * alignment
    return shape.pack(number, size) + body.ljust(size - 8, b"\0")


def dylib(name: str, number: int = 0xC, shape: Shape = NATIVE, current: int = 0x10203, compatible: int = 0x10000) -> bytes:
    return command(number, shape.pack(24, 2, current, compatible) + name.encode() + b"\0", shape)


def dylib_use(name: str, flags: int, number: int = 0xC, shape: Shape = NATIVE) -> bytes:
    return command(number, shape.pack(28, 0x1A741800, 0x10000, 0x10000, flags) + name.encode() + b"\0", shape)


def rpath(path: str, shape: Shape = NATIVE) -> bytes:
    return command(0x8000001C, shape.pack(12) + path.encode() + b"\0", shape)


def build_version(platform: int, minimum: int, sdk: int, shape: Shape = NATIVE) -> bytes:
    return command(0x32, shape.pack(platform, minimum, sdk, 0), shape)


def segment(name: str, offset: int, size: int, shape: Shape = NATIVE) -> bytes:
    layout = "16s4Q4I" if shape.wide else "16s8I"
    return command(0x19 if shape.wide else 1, struct.pack(shape.order + layout, name.encode(), 0, size, offset, size, 7, 7, 0, 0), shape)


def macho(commands: Iterable[bytes], shape: Shape = NATIVE, tail: bytes = b"") -> bytes:
    listed = list(commands)
    body = b"".join(listed)
    magic = 0xFEEDFACF if shape.wide else 0xFEEDFACE
    words = (magic, shape.cpu_type, shape.cpu_subtype, shape.file_type, len(listed), len(body), shape.flags, *([0] if shape.wide else []))
    return shape.pack(*words) + body + tail


def with_tables(commands: Iterable[bytes], tables: Mapping[str, bytes], shape: Shape = NATIVE) -> bytes:
    """A file whose __LINKEDIT holds these tables; names as in `commands.Commands.regions`."""
    listed = list(commands)
    places = dict.fromkeys(("rebase", "bind", "weak_bind", "lazy_bind", "export", "symbols", "strings", "fixups", "trie"), (0, 0))

    def own() -> list[bytes]:
        info = [word for name in ("rebase", "bind", "weak_bind", "lazy_bind", "export") for word in places[name]]
        found = [command(0x80000022, shape.pack(*info), shape)] if any(info) else []
        if "symbols" in tables:
            entry = 16 if shape.wide else 12
            (offset, size), strings = places["symbols"], places["strings"]
            found.append(command(2, shape.pack(offset, size // entry, *strings), shape))
        if "fixups" in tables:
            found.append(command(0x80000034, shape.pack(*places["fixups"]), shape))
        if "trie" in tables:
            found.append(command(0x80000033, shape.pack(*places["trie"]), shape))
        return [*found, segment("__LINKEDIT", start, len(data), shape)]

    start, data = 0, b""
    start = -(-(len(macho([*listed, *own()], shape)) + 48) // 16) * 16  # 48: LC_DYLD_INFO_ONLY, of which nothing is known yet
    for name, table in tables.items():
        data += b"\0" * (-len(data) % 8)
        places[name] = (start + len(data), len(table))
        data += table
    data += b"\0" * (-len(data) % 8)
    whole = macho([*listed, *own()], shape)
    assert len(whole) <= start
    return whole.ljust(start, b"\0") + data


def fat(slices: Iterable[tuple[int, int, bytes]], wide: bool = False, alignment: int = 0) -> bytes:
    """A universal file; slices lie at multiples of 2^alignment."""
    listed = list(slices)
    offset = 8 + len(listed) * (32 if wide else 20)
    head, body = struct.pack(">2I", 0xCAFEBABF if wide else 0xCAFEBABE, len(listed)), b""
    for cpu_type, cpu_subtype, data in listed:
        layout, more = (">2I2Q2I", (alignment, 0)) if wide else (">5I", (alignment,))
        body += bytes(-(offset + len(body)) % (1 << alignment))
        head += struct.pack(layout, cpu_type, cpu_subtype, offset + len(body), len(data), *more)
        body += data
    return head + body


def nlist(strings: bytes, name: bytes, kind: int, description: int, shape: Shape = NATIVE) -> bytes:
    """One symbol-table entry; the name must be in the string table."""
    return struct.pack(shape.order + ("IBBHQ" if shape.wide else "IBBHI"), strings.index(name + b"\0"), kind, 0, description, 0)


def bind(*symbols: tuple[int, bytes, int]) -> bytes:
    """Bind opcodes for (ordinal, name, flags); negative ordinals are the special ones."""
    out = b""
    for ordinal, name, flags in symbols:
        out += bytes([0x30 | ordinal & 0xF]) if ordinal < 0 else b"\x20" + uleb(ordinal)
        out += bytes([0x40 | flags]) + name + b"\0\x51\x72\x08\x90"
    return out + b"\0"


def trie(*exports: tuple[bytes, bytes]) -> bytes:
    """An export trie of one level: (name, payload)."""
    sizes = [len(name) + 1 + 2 for name, _ in exports]
    root = 2 + sum(sizes)
    nodes, edges = b"", b""
    for name, payload in exports:
        offset = root + len(nodes)
        edges += name + b"\0" + bytes([offset & 0x7F | 0x80, offset >> 7])
        nodes += uleb(len(payload)) + payload + b"\0"
    return b"\0" + bytes([len(exports)]) + edges + nodes


def chained(form: int, imports: Iterable[tuple[int, bool, bytes]], order: str = "<") -> bytes:
    """A dyld_chained_fixups payload with imports (ordinal, weak, name)."""
    names, entries = b"\0", b""
    for ordinal, weak, name in imports:
        if form == 3:
            entries += struct.pack(order + "2Q", ordinal & 0xFFFF | weak << 16 | len(names) << 32, 0)
        else:
            entries += struct.pack(order + "I", ordinal & 0xFF | weak << 8 | len(names) << 9) + (b"\0\0\0\0" if form == 2 else b"")
        names += name + b"\0"
    count = len(entries) // {1: 4, 2: 8, 3: 16}[form]
    return struct.pack(order + "7I", 0, 28, 32, 32 + len(entries), count, form, 0) + b"\0" * 4 + entries + names


def blob(magic: int, body: bytes) -> bytes:
    """One blob of a code signature."""
    return struct.pack(">2I", magic, 8 + len(body)) + body


def super_blob(blobs: Mapping[int, bytes]) -> bytes:
    """A code signature of these blobs by slot."""
    place, index = 12 + 8 * len(blobs), b""
    for slot, one in blobs.items():
        index += struct.pack(">2I", slot, place)
        place += len(one)
    return struct.pack(">3I", 0xFADE0CC0, place, len(blobs)) + index + b"".join(blobs.values())


def code_directory(
    data: bytes, special: Mapping[int, bytes], *, algorithm: str = "sha256", flags: int = 0, bits: int = 12, team: bytes = b""
) -> bytes:
    """A CodeDirectory over all of `data`; `special` are the blobs by slot that it vouches for."""
    kind, width = {"sha1": (1, 20), "sha256": (2, 32), "sha384": (4, 48)}[algorithm]
    name, last = b"com.example.demo\0" + team, max(special, default=0)
    hashes = 96 + len(name) + last * width
    digest = [hashlib.new(algorithm, data[start : start + (1 << bits)]).digest() for start in range(0, len(data), 1 << bits)]
    slots = [hashlib.new(algorithm, special[slot]).digest() if slot in special else bytes(width) for slot in range(last, 0, -1)]
    head = struct.pack(">7I4BI", 0x20500, flags, hashes, 96, last, len(digest), len(data), width, kind, 0, bits, 0)
    more = struct.pack(">3IQ3Q2I", 0, 96 + 17 if team else 0, 0, 0, 0, 0x1000, 0, 0xB0000, 0)
    return blob(0xFADE0C02, head + more + name + b"".join(slots) + b"".join(digest))


def signed(
    data: bytes, certificate: bytes = b"", *, algorithms: Iterable[str] = ("sha256",), bits: int = 12, entitlements: bytes = b""
) -> bytes:
    """A thin little-endian 64-bit file whose linker's signature is replaced by one of `codesign`'s; a certificate makes it a real one."""
    data, places = bytes(data), {}
    offset = 32
    for _ in range(struct.unpack_from("<I", data, 16)[0]):
        number, size = struct.unpack_from("<2I", data, offset)
        places[number, data[offset + 8 : offset + 18]] = offset
        offset += size
    command = next(place for (number, _), place in places.items() if number == 0x1D)
    segment_at = places[0x19, b"__LINKEDIT"]
    (start,) = struct.unpack_from("<I", data, command + 8)
    special = {2: blob(0xFADE0C01, bytes(4)), **({5: blob(0xFADE7171, entitlements)} if entitlements else {})}
    room = len(super_blob(_signature(data[:start], special, certificate, algorithms, bits))) + 64
    copy = bytearray(data[:start])
    (linkedit,) = struct.unpack_from("<Q", copy, segment_at + 40)
    struct.pack_into("<I", copy, command + 12, room)
    struct.pack_into("<Q", copy, segment_at + 48, start + room - linkedit)
    struct.pack_into("<Q", copy, segment_at + 32, -(-(start + room - linkedit) // 0x4000) * 0x4000)
    return bytes(copy) + super_blob(_signature(bytes(copy), special, certificate, algorithms, bits)).ljust(room, b"\0")


def _signature(data: bytes, special: Mapping[int, bytes], certificate: bytes, algorithms: Iterable[str], bits: int) -> dict[int, bytes]:
    flags, team = (0x10000, b"TEAM123456\0") if certificate else (0x2, b"")
    slots = (0, *range(0x1000, 0x1005))
    directories = [code_directory(data, special, algorithm=one, flags=flags, bits=bits, team=team) for one in algorithms]
    return {**dict(zip(slots, directories, strict=False)), **special, 0x10000: blob(0xFADE0B01, certificate)}
