"""Compressing, and which library does it here: the bytes of an archive that we write depend on it, so results name it."""

import zlib

try:
    import deflate
except ImportError:  # the extra "fast" is not installed: zlib does the same, more slowly and less tightly
    deflate = None


def compressor() -> str:
    """Return the name and version of the compressor: "deflate 0.7.0" (libdeflate, the extra `fast`) or "zlib 1.3.1"."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  start-up time: writing asks for no name

    try:
        return f"deflate {version('deflate')}" if deflate is not None else f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    except PackageNotFoundError:  # there, but not installed as a distribution
        return "deflate"


def deflated(data: bytes | bytearray | memoryview, level: int) -> bytes | bytearray:
    """Compress by raw deflate (RFC 1951) at a level of 1 to 9; the same bytes for the same compressor, wherever it runs."""
    if deflate is None:
        return zlib.compress(data, level, wbits=-zlib.MAX_WBITS)
    found: bytearray = deflate.deflate_compress(data, level)
    return found


def crc32(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32 that zip archives know a member by."""
    return zlib.crc32(data) if deflate is None else int(deflate.crc32(data))
