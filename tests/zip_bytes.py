"""Zip archives made by hand, so that every field can lie."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Part:
    """One member; `local` and `central` override fields of its two headers, by name."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    local: dict[str, int | bytes] = field(default_factory=dict)
    central: dict[str, int | bytes] = field(default_factory=dict)
    after: bytes = b""
    """What stands between its bytes and the next local header."""
    body: bytes | None = None
    """The compressed bytes, when they are not those of `data`."""

    @property
    def packed(self) -> bytes:
        if self.body is not None:
            return self.body
        return deflated(self.data) if self.method == 8 else self.data

    def _fields(self, own: dict[str, int | bytes]) -> dict[str, int | bytes]:
        fields: dict[str, int | bytes] = {
            "name": self.name,
            "method": self.method,
            "flags": self.flags,
            "needs": 20,
            "crc": zlib.crc32(self.data),
            "compressed": len(self.packed),
            "size": len(self.data),
            "extra": b"",
            "comment": b"",
            "external": 0o100644 << 16,
        }
        return fields | own

    def local_bytes(self) -> bytes:
        f = self._fields(self.local)
        name, extra = bytes_of(f["name"]), bytes_of(f["extra"])
        sizes = f["crc"], f["compressed"], f["size"], len(name), len(extra)
        return struct.pack("<4s5H3L2H", b"PK\3\4", 20, f["flags"], f["method"], 0, 0x21, *sizes) + name + extra + self.packed + self.after

    def central_bytes(self, offset: int) -> bytes:
        f = self._fields(self.central)
        name, extra, comment = bytes_of(f["name"]), bytes_of(f["extra"]), bytes_of(f["comment"])
        sizes = f["crc"], f["compressed"], f["size"], len(name), len(extra), len(comment), 0, 0
        where = f["external"], f.get("offset", offset)
        return (
            struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x314, f["needs"], f["flags"], f["method"], 0, 0x21, *sizes, *where)
            + name
            + extra
            + comment
        )


def bytes_of(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zipped(
    parts: Sequence[Part],
    *,
    before: bytes = b"",
    behind: bytes = b"",
    comment: bytes = b"",
    gap: bytes = b"",
    zip64: bytes = b"",
    **end: int,
) -> bytes:
    """An archive; `before` and `behind` surround it, `gap` and `zip64` stand before the end record, `end` overrides its fields."""
    out, central, offsets = bytearray(), bytearray(), 0
    for part in parts:
        central += part.central_bytes(len(out))
        out += part.local_bytes()
        offsets += 1
    count, size, offset = end.get("count", offsets), end.get("size", len(central)), end.get("offset", len(out))
    last = struct.pack("<4s4H2LH", b"PK\5\6", end.get("disk", 0), 0, count, count, size, offset, len(comment))
    return before + bytes(out) + bytes(central) + gap + zip64 + last + comment + behind


def zip64_end(count: int, size: int, offset: int, place: int, length: int = 44) -> bytes:
    """A ZIP64 end record that lies at `place`, and its locator."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", length, 45, 45, 0, 0, count, count, size, offset)
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
