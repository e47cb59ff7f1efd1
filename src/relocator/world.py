"""The files that a loader could see: a container's own, what lies in the directories that the user named, and this machine's."""

import glob
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from relocator.files import installed, on_disk
from relocator.loading import Host, Seen
from relocator.model import Binary
from relocator.target import Target

Reach = Callable[[str], bool]
"""Tells whether the disk may be looked at for a path that the container did not list."""

_CACHE = "/etc/ld.so.cache"
_CONFIGURATION = "/etc/ld.so.conf"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = 48
_ENTRY = struct.Struct("=iIIIQ")
_MUSL_DEFAULT = ("/lib", "/usr/local/lib", "/usr/lib")
_MUSL_PATHS = "/etc/ld-musl-*.path"


class PackageWorld:
    """A container laid out as installed, plus the parts of the disk that are within reach; the disk is looked at once for each path."""

    def __init__(
        self,
        seen: Mapping[str, Seen],
        links: Mapping[str, str],
        search: Iterable[str],
        read: Callable[[str], Seen | None],
        reach: Reach | None = None,
        *,
        fold_disk: bool = False,
    ) -> None:
        """Take the files by installed path, aliases by path, the search directories, a reader for files of the disk, and what else is in
        reach of it. With `fold_disk` names that Windows takes for the same are the same on the disk, too, whatever it keeps apart.
        """
        self._seen = seen
        self._links = links
        self._folded: dict[str, str] | None = None
        self._roots = tuple(directory.rstrip("/") + "/" for directory in search)
        self._read = read
        self._reach = reach or (lambda path: False)
        self._fold_disk = fold_disk
        self._listed: dict[str, dict[str, str]] = {}
        """Names in a folder of the disk, by case-folded name."""
        self._probed: dict[str, Seen | None] = {}
        self._real: dict[str, Seen | None] = {}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        """Return what lies at a path; see `loading.World`."""
        path = self._links.get(path, path)
        if fold_case and path not in self._seen:
            path = self._spelled(path)
        found = self._seen.get(path)
        if found is None and fold_case and self._fold_disk and self._reach(path):
            path = self._as_listed(path)
        if found is None and (path in self._probed or path.startswith(self._roots) or self._reach(path)):
            return self._probe(path)
        return found

    @property
    def outside(self) -> tuple[Binary, ...]:
        """The binaries found on the disk so far that the container did not list, sorted by path."""
        return tuple(sorted((seen for seen in self._real.values() if isinstance(seen, Binary)), key=lambda binary: binary.path))

    def names_in(self, folder: str) -> tuple[str, ...]:
        """Return the names of what lies in a folder of the disk, sorted; none when it cannot be listed. Each is listed once."""
        return tuple(sorted(self._names(folder).values()))

    def _names(self, folder: str) -> dict[str, str]:
        if folder not in self._listed:
            try:
                names = sorted(os.listdir(on_disk(folder)), reverse=True)
            except (OSError, ValueError):  # ValueError: a name with a NUL
                names = []
            self._listed[folder] = {(name.casefold() if self._fold_disk else name): name for name in names}
        return self._listed[folder]

    def _as_listed(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        names = self._names(folder or "/")
        return path if name in names.values() else f"{folder}/{names.get(name.casefold(), name)}"

    def _spelled(self, path: str) -> str:
        if self._folded is None:
            self._folded = {known.casefold(): known for known in (*self._links, *self._seen)}
        known = self._folded.get(path.casefold(), path)
        return self._links.get(known, known)

    def _probe(self, path: str) -> Seen | None:
        if path not in self._probed:
            self._probed[path] = self._found(path)
        return self._probed[path]

    def _found(self, path: str) -> Seen | None:
        """Look at the disk; a link leads to the file that it is a link to, which may be one of the container's."""
        place = on_disk(path)
        if "\0" in place or not os.path.isfile(place):
            return None
        real = installed(os.path.realpath(place))
        if real in self._seen:
            return self._seen[real]
        if real not in self._real:
            self._real[real] = self._read(real)
        return self._real[real]


# ---- this machine


def host_for(target: Target) -> Host | None:
    """Return where this machine's loader looks by itself; None when the target is of another kind: operating system or C library."""
    if sys.platform == "linux" and target.os == "linux" and target.libc == _libc():
        return _musl() if target.libc == "musl" else _glibc()
    if sys.platform == "win32" and target.os == "windows":
        return Host(directories=(installed(os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32")),), via="System32")
    if sys.platform == "darwin" and target.os == "macos":
        return Host()  # dyld's model knows the fallback directories; the system's own libraries are no files
    return None


def folders_of(text: str, separators: str = os.pathsep) -> tuple[str, ...]:
    """Return the absolute folders that a variable such as PATH names; others depend on the current directory."""
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    written = (folder.strip('"') for folder in text.split(separators[0]))
    return tuple(installed(folder).rstrip("/") or "/" for folder in written if os.path.isabs(folder))


def full_path(path: str) -> str:
    """Return a path that the user typed as paths are written here."""
    return installed(os.path.abspath(path))


def _libc() -> str:
    """Return the C library that this machine's programs run with."""
    try:
        return "glibc" if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc") else "musl"
    except (ValueError, OSError):  # musl knows no such name
        return "musl"


def _glibc() -> Host:
    libraries = tuple(cached_libraries(_bytes(_CACHE)))
    own = (os.path.dirname(path) for name, path in libraries if name == "libc.so.6")
    named = () if libraries else configured(_CONFIGURATION)
    built_in = (*own, "/lib64", "/lib") if libraries else ("/lib64", *sorted(glob.glob("/lib/*-linux-gnu*")), "/lib")
    folders = (*named, *(folder for lib in built_in for folder in (lib, lib if lib.startswith("/usr/") else f"/usr{lib}")))
    return Host(libraries, tuple(dict.fromkeys(folder for folder in folders if os.path.isdir(folder))))


def cached_libraries(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield (name, path) of the entries of an ld.so.cache, in its order (sysdeps/generic/dl-cache.h); nothing for another format.

    Entries for some processors only (glibc-hwcaps) are left out: they lie beside one for all.
    """
    start = data.find(_MAGIC)
    if start < 0 or len(data) < start + _HEADER:
        return
    (count,) = struct.unpack_from("=I", data, start + len(_MAGIC))
    count = min(count, (len(data) - start - _HEADER) // _ENTRY.size)
    for position in range(count):
        _, key, value, _, hwcap = _ENTRY.unpack_from(data, start + _HEADER + position * _ENTRY.size)
        name, path = (_string(data, start + offset) for offset in (key, value))
        if not hwcap and name and path.startswith("/"):
            yield name, path


def _string(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset, offset + 4096)
    return data[offset:end].decode("utf-8", "surrogateescape") if end >= 0 else ""


def configured(path: str, depth: int = 0) -> tuple[str, ...]:
    """Return the directories that an ld.so.conf names, included files in their place."""
    found: list[str] = []
    for line in _bytes(path).decode("utf-8", "surrogateescape").splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < 8:
            for pattern in words[1:]:
                for file in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                    found += configured(file, depth + 1)
        elif words and words[0].startswith("/"):
            found.append(words[0].rstrip("/"))
    return tuple(found)


def _musl() -> Host:
    """Return musl's directories: those of its path file, else its own (ldso/dynlink.c, load_library)."""
    for path in sorted(glob.glob(_MUSL_PATHS)):
        folders = _bytes(path).decode("utf-8", "surrogateescape").replace("\n", ":").split(":")
        return Host(directories=tuple(folder for folder in folders if folder.startswith("/")))
    return Host(directories=_MUSL_DEFAULT)


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(64 << 20)
    except OSError:
        return b""
