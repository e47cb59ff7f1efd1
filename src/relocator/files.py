"""Files on the disk, read region by region: a mapping of a file that is truncated meanwhile would kill the process."""

import os
import re
import threading
from typing import Self

_PREAD = getattr(os, "pread", None)
_DRIVE = re.compile(r"/[A-Za-z]:(/|$)")


def installed(path: str) -> str:
    """Return a path of this system as paths are written here: absolute, with "/"."""
    path = path.replace(os.sep, "/")
    return path if path.startswith("/") else "/" + path


def on_disk(path: str) -> str:
    """Return what `installed` made of a path as this system takes it: a drive's letter comes first where the separator is not "/"."""
    return path[1:] if os.sep != "/" and _DRIVE.match(path) else path


class FileBuffer:
    """The bytes of one file, a `Buffer`; a context manager that closes it.

    Raises OSError when the file cannot be opened or its first byte not be read. The length is the one at opening; a file that shrinks
    afterwards, or a disk that fails, gives short pieces, which `buffer.cut` reports. Two threads may read at once.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115, PTH123 - closed by close(); a plain str may hold surrogates
        self._size = os.fstat(self._file.fileno()).st_size
        self._lock = threading.Lock()
        try:
            self._read_once(0, 1)
        except OSError:
            self._file.close()
            raise

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, region: slice, /) -> bytes:
        start, stop, step = region.indices(self._size)
        if step != 1:
            raise ValueError("only regions with step 1 can be read")
        return self._read(start, max(0, stop - start))

    def _read(self, start: int, size: int) -> bytes:
        pieces: list[bytes] = []
        try:
            while size > 0 and (piece := self._read_once(start, size)):  # the system may give less than asked: 2 GB at most on Linux
                pieces.append(piece)
                start += len(piece)
                size -= len(piece)
        except OSError:  # an unreadable sector: as if the file ended before it
            pass
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_once(self, start: int, size: int) -> bytes:
        if _PREAD is not None:
            return bytes(_PREAD(self._file.fileno(), size, start))
        with self._lock:  # Windows has no positioned read
            self._file.seek(start)
            return self._file.read(size)

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
