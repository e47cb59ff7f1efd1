"""Which library compresses archives here: the bytes of an archive that we write depend on it, so results name it."""

import zlib
from importlib.metadata import PackageNotFoundError, version


def compressor() -> str:
    """Return the name and version of the compressor: "deflate 0.7.0" (libdeflate, the extra `fast`) or "zlib 1.3.1"."""
    try:
        return f"deflate {version('deflate')}"
    except PackageNotFoundError:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
