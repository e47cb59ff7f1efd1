"""What can be opened: wheels, folders, single files. Each lists its files once, in order, and says what it is."""

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack

from relocator.containers.directory import File, Folder
from relocator.containers.entry import MAX_SIZE, Container, Entry
from relocator.containers.wheel import SITE, Wheel
from relocator.errors import ContainerError
from relocator.files import FileBuffer
from relocator.model import Interpreter

__all__ = ["MAX_SIZE", "Container", "Entry", "Wheel", "open_container", "open_environment", "open_wheels"]

_UNPACK = "unpack it and name the folder"
_UNPACK_TAR = "unpack it (`tar -xf FILE`) and name the folder"
_BUILD = "build a wheel from it (`pip wheel --no-deps FILE`) and name that"

_KINDS = (
    ((".conda",), "is a conda package", "unpack it (`cph extract FILE`) and name the folder"),
    ((".tar.bz2",), "is a conda package or a tar archive", _UNPACK_TAR),
    ((".tar.gz", ".tgz"), "is a source distribution or another tar archive", f"{_BUILD}; or {_UNPACK_TAR}"),
    ((".tar", ".tar.xz", ".txz", ".tar.zst"), "is a tar archive", _UNPACK_TAR),
    ((".egg",), "is an egg, which no installer takes any more", "unpack it (`unzip FILE`) and name the folder"),
    ((".rpm",), "is an RPM package", "unpack it (`rpm2cpio FILE | cpio -id`) and name the folder"),
    ((".deb",), "is a Debian package", "unpack it (`dpkg-deb -x FILE FOLDER`) and name the folder"),
    ((".apk", ".aar", ".jar", ".nupkg", ".vsix", ".xpi"), "is a package of another kind", _UNPACK),
    ((".msi", ".dmg", ".pkg", ".iso", ".cab"), "is an installer or a disk image", _UNPACK),
    ((".7z", ".rar"), "is an archive", _UNPACK),
)
"""File names that promise what is not opened here: what it is, and what to do."""

_MAGICS = (
    (b"\x1f\x8b", "is compressed by gzip", _UNPACK_TAR),
    (b"BZh", "is compressed by bzip2", _UNPACK_TAR),
    (b"\xfd7zXZ\0", "is compressed by xz", _UNPACK_TAR),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", _UNPACK_TAR),
    (b"\xed\xab\xee\xdb", "is an RPM package", "unpack it (`rpm2cpio FILE | cpio -id`) and name the folder"),
    (b"!<arch>\ndebian-binary", "is a Debian package", "unpack it (`dpkg-deb -x FILE FOLDER`) and name the folder"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", _UNPACK),
)
_ZIP_MAGICS = (b"PK\3\4", b"PK\5\6")
_NOT_DOWNLOADED = (
    (b"<", "is a web page or another text, not a wheel"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the wheel itself"),
)


def open_container(path: str, *, max_size: int = MAX_SIZE) -> Container:
    """Open a wheel, a folder or a single file, whatever `path` leads to; symbolic links are followed.

    Raises ContainerError when it does not exist, cannot be read, is something else, or is an archive that would inflate to more than
    `max_size` bytes. Its message does not repeat the path.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a plain str, since a path type would drop a trailing slash
        if stat.S_ISDIR(status.st_mode):
            return _environment(path) or Folder(path)
        _require_file(status)
        return _open_file(path, max_size)
    except FileNotFoundError as error:
        raise ContainerError("does not exist", _nearby(path)) from error
    except PermissionError as error:
        raise ContainerError("must not be read", "audit as a user who may read it") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise ContainerError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def open_environment(path: str, *, hashes: bool = False, reason: str = "") -> Container:
    """Open an installed environment: `path` is its prefix, a folder of modules, or its Python.

    `hashes` has the files compared with what their records say; `reason` is why this environment was chosen, for people. Raises
    ContainerError when there is none, or it must not be read.
    """
    from relocator.containers.environment import Environment  # noqa: PLC0415  (start-up time, here and below)
    from relocator.layouts import layout_of  # noqa: PLC0415

    try:
        return Environment(path, layout_of(path), hashes=hashes, reason=reason)
    except PermissionError as error:
        raise ContainerError("must not be read", "look as a user who may read it") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise ContainerError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def open_wheels(subject: str, paths: Sequence[str], *, tag: str, interpreter: Interpreter, max_size: int = MAX_SIZE) -> Container:
    """Open wheels as one environment that is not installed yet, to be judged for a whole tag and an interpreter.

    Raises ContainerError, naming the wheel, when one cannot be opened or is none.
    """
    from relocator.containers.wheel_set import WheelSet  # noqa: PLC0415

    with ExitStack() as opened:
        wheels: list[Container] = []
        for path in paths:
            try:
                wheel = open_container(path, max_size=max_size)
            except ContainerError as error:
                raise ContainerError(f"cannot be laid out: {path} {error.message}", error.hint) from error
            opened.enter_context(wheel)
            wheels.append(wheel)
            if not isinstance(wheel, Wheel):
                raise ContainerError(f"cannot be laid out: {path} is no wheel", "name wheels only")
        opened.pop_all()
    return WheelSet(subject, wheels, tag=tag, site=SITE, interpreter=interpreter)


def _environment(path: str) -> Container | None:
    from relocator.layouts import is_environment  # noqa: PLC0415

    return open_environment(path) if is_environment(path) else None


def _require_file(status: os.stat_result) -> None:
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    for is_kind, what in kinds:
        if is_kind(status.st_mode):
            raise ContainerError(f"is {what}, not a file", "write its contents to a file first")
    if not status.st_size:
        raise ContainerError("is empty", "download or build it again")


def _nearby(path: str) -> str:
    """Advise on a path that leads to nothing."""
    if any(c in path for c in "*?["):
        return "the shell found no file that this pattern fits"
    folder = os.path.dirname(path) or "."  # noqa: PTH120
    return "look for a slip in its name" if os.path.isdir(folder) else f"{folder} does not exist either"  # noqa: PTH112


def _open_file(path: str, max_size: int) -> Container:
    name = path.lower()
    for endings, what, hint in _KINDS:
        if name.endswith(endings):
            raise ContainerError(what, hint)
    data = FileBuffer(path)
    try:
        head = bytes(data[:64])
        if name.endswith(".whl") or head.startswith(_ZIP_MAGICS):
            return _open_archive(path, data, head, max_size)
        for magic, what, hint in _MAGICS:
            if head.startswith(magic):
                raise ContainerError(what, hint)
        return File(path, data)
    except BaseException:
        data.close()
        raise


def _open_archive(path: str, data: FileBuffer, head: bytes, max_size: int) -> Container:
    named = path.lower().endswith(".whl")
    for magic, what in _NOT_DOWNLOADED:
        if head.startswith(magic):
            raise ContainerError(what, "fetch it again")
    wheel = Wheel(path, data, max_size)
    if not named and not wheel.has_wheel_file:
        raise ContainerError("is a zip archive and no wheel: there is no .dist-info/WHEEL in it", "unpack it and name the folder")
    return wheel
