"""String literals that say what a binary does at run time: names of libraries that it may open, and what NumPy's headers leave in it.

Looked for only in images whose symbols make them plausible, and only in the regions that their backend calls read-only data: a search of
whole files would cost more than all else together. Linkers end every literal with a NUL byte, which is how its ends are found.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relocator.buffer import Buffer
from relocator.model import Format, Image

LONGEST = 1024
"""Bytes of a literal; a longer one is neither a name nor a message."""

MOST = 512
"""Literals of one image."""

_MOST_HITS = 1 << 16
_CHUNK = 1 << 18


class Search(NamedTuple):
    """One kind of literal."""

    symbols: tuple[bytes, ...]
    """An image that mentions none of these has no use for such a literal."""
    needles: tuple[bytes, ...]
    """What every such literal holds."""
    whole: re.Pattern[bytes]
    """What it looks like as a whole."""
    wide: bool = False
    """UTF-16, little-endian, as Windows' wide functions take it."""


_NUMPY = Search((b"PyCapsule_",), (b"compiled against ",), re.compile(rb"module (was )?compiled against \w+( C-API)? version[^\0]*"))
"""The messages of import_array() (NumPy's numpy/core/code_generators/generate_numpy_api.py)."""

_OPENERS = (b"dlopen", b"dlmopen")
_WINDOWS_OPENERS = (b"LoadLibrary",)
_DLL = re.compile(rb"\w[\w.+-]*\.dll", re.IGNORECASE)
_LIBRARIES = {
    Format.ELF: (Search(_OPENERS, (b".so",), re.compile(rb"lib[\w.+-]+\.so(\.\d+)*")),),
    Format.MACHO: (Search(_OPENERS, (b".dylib",), re.compile(rb"(@rpath/|@loader_path/)?lib[\w.+-]+\.dylib")),),
    Format.PE: (
        Search(_WINDOWS_OPENERS, (b".dll", b".DLL"), _DLL),
        Search(_WINDOWS_OPENERS, (b".\0d\0l\0l\0", b".\0D\0L\0L\0"), _DLL, wide=True),
    ),
}
"""Names without a folder, which a loader has to look for; names with one are seldom meant to exist on every machine."""


def searches(image: Image) -> tuple[Search, ...]:
    """Return what is worth looking for in an image."""
    return tuple(s for s in (_NUMPY, *_LIBRARIES[image.format]) if any(image.symbols.mentions(name) for name in s.symbols))


def find_literals(buffer: Buffer, regions: Iterable[tuple[int, int]], wanted: Iterable[Search]) -> tuple[bytes, ...]:
    """Return the literals in regions (offset in the buffer, size) of a file, sorted, each once; at most MOST of them."""
    found: set[bytes] = set()
    wanted, left = tuple(wanted), _MOST_HITS
    for piece in _pieces(buffer, regions):
        for search in wanted:
            for hit in _hits(piece, search):
                left -= 1
                if search.whole.fullmatch(hit):
                    found.add(hit)
                if not left or len(found) >= MOST:
                    return tuple(sorted(found))
    return tuple(sorted(found))


def _pieces(buffer: Buffer, regions: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the bytes of the regions, none twice, in pieces that overlap by more than a literal; a region starts as if after a NUL."""
    done = 0
    for offset, size in sorted(regions):
        start, end = max(offset, done), min(offset + size, len(buffer))
        lead = b"\0\0"
        while start < end:
            yield lead + bytes(buffer[start : min(start + _CHUNK + 2 * LONGEST + 2, end)])
            start += _CHUNK
            lead = b""
        done = max(done, end)


def _hits(piece: bytes, search: Search) -> Iterator[bytes]:
    """Yield each NUL-terminated string that holds a needle."""
    width = 2 if search.wide else 1
    for needle in search.needles:
        place = piece.find(needle)
        while place >= 0:
            start = _start_wide(piece, place) if search.wide else piece.rfind(b"\0", max(0, place - LONGEST), place) + 1
            end = piece.find(bytes(width), place, place + width * LONGEST)
            if start and end >= 0:
                yield piece[start:end].replace(b"\0", b"") if search.wide else piece[start:end]
            place = piece.find(needle, place + len(needle))


def _start_wide(piece: bytes, place: int) -> int:
    """Return where a UTF-16 string of ASCII characters begins; 0 when no NUL character is before it, so that it is no such string."""
    start = place
    while start >= 2 and piece[start - 1] == 0 and 0x20 <= piece[start - 2] < 0x7F and place - start < 2 * LONGEST:
        start -= 2
    return start if piece[start - 2 : start] == b"\0\0" else 0
