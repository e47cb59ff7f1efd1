"""The bare floor of an audit: `python scripts/floor.py WHEEL` does what no audit can leave out, and nothing else.

It opens the archive, inflates and hashes every member once, reads dependencies and symbols of every binary, and checks the page hashes of
signed Mach-O files. No loader, no rule, no output: `scripts/benchmark.py` compares `relocate audit` with it.
"""

import hashlib
import sys
import zipfile
import zlib
from pathlib import Path

from relocator.backends import identify
from relocator.errors import UnreadableBinary

try:
    from deflate import deflate_decompress
except ImportError:
    deflate_decompress = None


def main() -> None:
    """Read one wheel."""
    with zipfile.ZipFile(sys.argv[1]) as archive, Path(sys.argv[1]).open("rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            header = file.read(4)
            file.seek(int.from_bytes(header[:2], "little") + int.from_bytes(header[2:], "little"), 1)
            look(inflated(file.read(info.compress_size), info))


def inflated(raw: bytes, info: zipfile.ZipInfo) -> bytes | bytearray:
    """Return a member's bytes."""
    if info.compress_type == zipfile.ZIP_STORED:
        return raw
    if deflate_decompress is not None and info.file_size < 32 << 20:
        whole: bytes | bytearray = deflate_decompress(raw, info.file_size)
        return whole
    return zlib.decompress(raw, -15, info.file_size)


def look(data: bytes | bytearray) -> None:
    """Hash a member; read it, when it is a binary."""
    hashlib.sha256(data).digest()
    backend = identify(bytes(data[:64]))
    if backend is None:
        return
    try:
        for image in backend.read(memoryview(data), verify_signatures=True):
            image.symbols.imports()
            image.symbols.exports()
    except UnreadableBinary:
        pass


if __name__ == "__main__":
    main()
