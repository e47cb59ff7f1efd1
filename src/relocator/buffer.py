"""How readers look at bytes: through checked cuts, whether the bytes lie in memory or in a file on disk."""

from typing import Protocol

from relocator.errors import UnreadableBinary


class Buffer(Protocol):
    """Random access to the bytes of one file; a memoryview is one, so is a file read region by region.

    Slicing past the end gives fewer bytes without a word, as everywhere in Python: readers use `cut`.
    """

    def __len__(self) -> int:
        """Return the size in bytes."""

    def __getitem__(self, region: slice, /) -> bytes | memoryview:
        """Return the bytes of a region with step 1."""


def cut(buffer: Buffer, offset: int, size: int, field: str) -> bytes | memoryview:
    """Return exactly `size` bytes from `offset`; raise UnreadableBinary naming `field` when the file does not reach so far."""
    end = offset + size
    if offset < 0 or size < 0 or end > len(buffer):
        raise UnreadableBinary(field, f"needs {size} bytes, the file ends at {len(buffer):#x}", offset)
    piece = buffer[offset:end]
    if len(piece) != size:  # a file that shrank while it was read
        raise UnreadableBinary(field, f"needs {size} bytes, got {len(piece)}", offset)
    return piece


def c_string(table: bytes | bytearray | memoryview, offset: int, field: str) -> bytes:
    """Return the NUL-terminated string at `offset` of a table; raise UnreadableBinary when it starts or ends outside."""
    if not 0 <= offset < len(table):
        raise UnreadableBinary(field, f"string offset {offset:#x} lies outside its table of {len(table):#x} bytes")
    raw = bytes(table[offset : offset + 4096])
    end = raw.find(b"\0")
    if end < 0:
        raw = bytes(table[offset:])
        end = raw.find(b"\0")
    if end < 0:
        raise UnreadableBinary(field, f"string at {offset:#x} of its table has no end")
    return raw[:end]


def text(raw: bytes) -> str:
    """Decode a name out of a binary so that it can be encoded back unchanged."""
    return raw.decode("utf-8", "surrogateescape")
