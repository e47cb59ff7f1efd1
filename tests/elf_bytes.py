"""A tiny ELF writer for what no linker at hand writes: every class and byte order, rare tags, hostile tables."""

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

BASE = 0x10000
"""Added to a file offset it gives the address at which the byte is loaded, so that the two are never taken for one another."""

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
GLOBAL, WEAK, UNIQUE = 1, 2, 10
NOTYPE, OBJECT, FUNC, SECTION, TLS, IFUNC = 0, 1, 2, 3, 6, 10


class Shape(NamedTuple):
    order: str = "<"
    wide: bool = True
    machine: int = 62
    type: int = 3
    osabi: int = 0
    flags: int = 0

    def pack(self, layout: str, *values: int) -> bytes:
        """Pack; "P" stands for a number as wide as an address."""
        return struct.pack(self.order + layout.replace("P", "Q" if self.wide else "I"), *values)


NATIVE = Shape()
SHAPES = (NATIVE, Shape(">", True, 22), Shape("<", False, 3), Shape(">", False, 20))


class Piece(NamedTuple):
    """A program header: its type, flags, the table that it covers (None: nothing), and its alignment."""

    type: int
    table: str | None = None
    flags: int = 4
    align: int = 4
    memsz: int | None = None


def program(shape: Shape, kind: int, flags: int, place: tuple[int, int, int, int, int]) -> bytes:
    """One program header; `place` is offset, address, file size, memory size, alignment."""
    offset, address, filesz, memsz, align = place
    if shape.wide:
        return shape.pack("2I6Q", kind, flags, offset, address, address, filesz, memsz, align)
    return shape.pack("8I", kind, offset, address, address, filesz, memsz, flags, align)


def header(shape: Shape, programs: int, offset: int | None = None) -> bytes:
    size = 64 if shape.wide else 52
    identity = b"\x7fELF" + bytes([2 if shape.wide else 1, 1 if shape.order == "<" else 2, 1, shape.osabi]) + bytes(8)
    entry = 56 if shape.wide else 32
    where = size if offset is None else offset
    return identity + shape.pack("2HI3PI6H", shape.type, shape.machine, 1, 0, where, 0, shape.flags, size, entry, programs, 0, 0, 0)


def elf(
    tables: Mapping[str, bytes], dynamic: Iterable[tuple[int, int | str]] | None = (), shape: Shape = NATIVE, pieces: Iterable[Piece] = ()
) -> bytes:
    """A file with one PT_LOAD over all of it, these tables in their order, and the dynamic section last (none when it is None).

    A tag's value may be the name of a table, which stands for its address, or "len:NAME" for its size.
    """
    extra, tags = list(pieces), None if dynamic is None else [*dynamic, (0, 0)]
    count = 1 + len(extra) + (tags is not None)
    entry = 56 if shape.wide else 32
    start = len(header(shape, count)) + count * entry
    places: dict[str, tuple[int, int]] = {}
    body = b""
    for name, table in tables.items():
        body += b"\0" * (-(start + len(body)) % 8)
        places[name] = (start + len(body), len(table))
        body += table
    body += b"\0" * (-(start + len(body)) % 8)
    if tags is not None:
        packed = b"".join(shape.pack("2P", tag, _value(value, places)) for tag, value in tags)
        places["dynamic"] = (start + len(body), len(packed))
        body += packed
        extra.append(Piece(PT_DYNAMIC, "dynamic", 6, 8))
    size = start + len(body)
    heads = program(shape, PT_LOAD, 7, (0, BASE, size, size, 0x1000))
    for piece in extra:
        offset, length = places[piece.table] if piece.table else (0, 0)
        memsz = length if piece.memsz is None else piece.memsz
        heads += program(shape, piece.type, piece.flags, (offset, BASE + offset if length else 0, length, memsz, piece.align))
    return header(shape, count) + heads + body


def _value(value: int | str, places: Mapping[str, tuple[int, int]]) -> int:
    if isinstance(value, int):
        return value
    name = value.removeprefix("len:")
    return places[name][1] if name != value else places[name][0] + BASE


def strtab(*names: bytes) -> bytes:
    return b"\0" + b"".join(name + b"\0" for name in names)


def at(strings: bytes, name: bytes) -> int:
    """The offset of a name in a string table."""
    return strings.index(b"\0" + name + b"\0") + 1


def symbol(
    strings: bytes, name: bytes, shape: Shape = NATIVE, *, info: tuple[int, int] = (GLOBAL, FUNC), defined: bool = True, **more: int
) -> bytes:
    """One Elf_Sym; `info` is binding and type; `more` overrides value, size, other, shndx."""
    fields = {"value": 0x1000 if defined else 0, "size": 4 if defined else 0, "other": 0, "shndx": 1 if defined else 0, **more}
    value, size, other, shndx = fields["value"], fields["size"], fields["other"], fields["shndx"]
    kind = info[0] << 4 | info[1]
    offset = at(strings, name) if name else 0
    if shape.wide:
        return shape.pack("I2BH2Q", offset, kind, other, shndx, value, size)
    return shape.pack("3I2BH", offset, value, size, kind, other, shndx)


def null_symbol(shape: Shape = NATIVE) -> bytes:
    return bytes(24 if shape.wide else 16)


def relocation(shape: Shape, index: int, addend: bool) -> bytes:
    """One Elf_Rel or Elf_Rela of type 6 that refers to a symbol."""
    info = index << 32 | 6 if shape.wide else index << 8 | 6
    return shape.pack("3P" if addend else "2P", *((0x100, info, 0) if addend else (0x100, info)))


def sysv_hash(chains: int, shape: Shape = NATIVE, wide_words: bool = False) -> bytes:
    word = "Q" if wide_words else "I"
    return shape.pack(f"{3 + chains}{word}", 1, chains, 0, *([0] * chains))


def gnu_hash(first: int, count: int, shape: Shape = NATIVE) -> bytes:
    """One bucket with `count` symbols from `first` on; an empty one for no symbols."""
    links = [2] * (count - 1) + [3] if count else []
    return shape.pack(f"4IP1I{len(links)}I", 1, first, 1, 0, 0, first if count else 0, *links)


def verneed(strings: bytes, wanted: Iterable[tuple[bytes, list[tuple[int, bytes, int]]]], shape: Shape = NATIVE) -> bytes:
    """DT_VERNEED: per library its versions (number, name, flags)."""
    listed, out = list(wanted), b""
    for position, (library, asked) in enumerate(listed):
        following = 0 if position == len(listed) - 1 else 16 + 16 * len(asked)
        out += shape.pack("2H3I", 1, len(asked), at(strings, library), 16, following)
        for number, (index, name, flags) in enumerate(asked, 1):
            out += shape.pack("I2H2I", 0, flags, index, at(strings, name), 0 if number == len(asked) else 16)
    return out


def verdef(strings: bytes, defined: Iterable[tuple[int, bytes, int]], shape: Shape = NATIVE) -> bytes:
    """DT_VERDEF: number, name, flags of each version."""
    listed, out = list(defined), b""
    for position, (index, name, flags) in enumerate(listed, 1):
        out += shape.pack("4H3I", 1, flags, index, 1, 0, 20, 0 if position == len(listed) else 28)
        out += shape.pack("2I", at(strings, name), 0)
    return out


def versym(*numbers: int, shape: Shape = NATIVE) -> bytes:
    return shape.pack(f"{len(numbers)}H", *numbers)


def note(owner: bytes, kind: int, description: bytes, shape: Shape = NATIVE, align: int = 4) -> bytes:
    name = owner + b"\0"
    head = shape.pack("3I", len(name), len(description), kind) + name
    head += b"\0" * (-len(head) % align)
    return head + description + b"\0" * (-len(description) % align)


def sleb(*values: int) -> bytes:
    out = bytearray()
    for number in values:
        value = number
        while True:
            byte = value & 0x7F
            value >>= 7
            if value == (-1 if byte & 0x40 else 0):
                out.append(byte)
                break
            out.append(byte | 0x80)
    return bytes(out)
