"""Where a PE file keeps its read-only data: sections that are initialised, readable, and neither writable nor executable.

Linkers put the names that import tables use into the same section as literals, where nothing tells one from the other: whoever reads
literals must pass over the names of the image's own needs.

Microsoft's PE format specification, "Section Flags".
"""

import struct

from relocator.backends.windows.layout import header_offset, read_layout
from relocator.buffer import Buffer, cut
from relocator.model import Image

_SECTION = struct.Struct("<16x2I12xI")
"""SizeOfRawData, PointerToRawData, Characteristics."""
_INITIALISED, _DISCARDABLE, _EXECUTE, _READ, _WRITE = 0x40, 0x2000000, 0x20000000, 0x40000000, 0x80000000  # IMAGE_SCN_*
_FLAGS = _INITIALISED | _DISCARDABLE | _EXECUTE | _READ | _WRITE
_CONSTANT = _INITIALISED | _READ


def constants(buffer: Buffer, image: Image) -> tuple[tuple[int, int], ...]:
    """Return (offset, size) of the regions of a file that hold constants; `image` is what `read` made of the same buffer."""
    start = header_offset(buffer)
    if start is None:
        return ()
    count = int.from_bytes(cut(buffer, start + 6, 2, "NumberOfSections"), "little")
    table = cut(buffer, read_layout(buffer, start).table_end - count * _SECTION.size, count * _SECTION.size, "IMAGE_SECTION_HEADER")
    return tuple((pointer, size) for size, pointer, flags in _SECTION.iter_unpack(table) if flags & _FLAGS == _CONSTANT and pointer)
