"""Putting a new file into a folder: complete and checked under its name, or not at all.

It is written beside its place under another name, flushed, looked at once more by whoever asked for it, and renamed. It knows no format.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from relocator.apply import DRAFT_PREFIX, NO_ROOM, NotWritten, Source, check_unchanged, flush_folder, reason

_Told = TypeVar("_Told")
_Seen = TypeVar("_Seen")


class Sealed(NamedTuple):
    """A file that is at its place."""

    path: str
    sha256: str
    """Hexadecimal."""
    present: bool
    """It was there already, with the same bytes."""


def seal(
    path: str, source: Source, write: Callable[[BinaryIO], _Told], check: Callable[[str, _Told], _Seen], *, force: bool = False
) -> tuple[Sealed, _Seen]:
    """Write a file at `path`, made from `source`; return it, and what `check` found.

    `write` gets the empty file, `check` the path of the complete one and what `write` returned; what either raises is passed on, and then
    nothing was written. The folder is made where there is none. Raises NotWritten when the source was changed since it was looked at, when
    `path` leads to the source itself, when other bytes are there and `force` does not say to replace them, and when the system refuses.
    """
    if "\0" in path:
        raise NotWritten(f"{path!r} has a NUL byte, which no path may have", "name another folder with `-w DIR`")
    target = Path(path)
    _check_apart(target, source)
    with _folder(target.parent):
        draft = target.parent / f"{DRAFT_PREFIX}{os.urandom(8).hex()}"
        try:
            told = _written(draft, target, write)
            with _explained(target):
                sha256 = _sha256(draft)
                present = _present(target, draft, sha256, force)
            seen = check(str(draft), told)
            check_unchanged(source)
            if not present:
                with _explained(target):
                    draft.replace(target)
                flush_folder(str(target.parent))
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
    return Sealed(path, sha256, present), seen


def copy_of(source: Source) -> Callable[[BinaryIO], None]:
    """Return what writes a file with the bytes of `source`, for `seal`."""

    def write(file: BinaryIO) -> None:
        with Path(source.real).open("rb") as old:
            shutil.copyfileobj(old, file, 1 << 20)

    return write


def _written(draft: Path, target: Path, write: Callable[[BinaryIO], _Told]) -> _Told:
    """Write a new file with the mode that any new file gets, and wait until the disk has it."""
    with _explained(target), draft.open("x+b") as file:
        told = write(file)
        file.flush()
        os.fsync(file.fileno())
    return told


def _check_apart(target: Path, source: Source) -> None:
    """Refuse to write where the source lies, under whatever name: it may be a link, or spelled otherwise where case does not count."""
    with contextlib.suppress(OSError):  # no such file: then it is not the source
        if target.samefile(source.real):
            raise NotWritten(f"{target} is the input itself, which is never replaced", "name another folder with `-w DIR`")


def _present(target: Path, draft: Path, sha256: str, force: bool) -> bool:
    """Tell whether the same bytes are there already; raise NotWritten when something else is that must stay."""
    if not os.path.lexists(target):
        return False
    if not target.is_file():
        raise NotWritten(f"{target} is there already and is no file", "move it away, or name another folder with `-w DIR`")
    if target.stat().st_size == draft.stat().st_size and _sha256(target) == sha256:
        return True
    if not force:
        raise NotWritten(f"{target} is there already, with other bytes", "add --force to replace it, or name another folder with `-w DIR`")
    return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make the folder, and those that it lies in, if need be; when what follows fails, take away those that were made."""
    made: list[Path] = []
    try:
        with _explained(folder):
            for part in reversed([folder, *folder.parents]):
                if _made(part):
                    made.append(part)
        yield
    except BaseException:
        for part in reversed(made):
            with contextlib.suppress(OSError):  # somebody else has put something into it meanwhile
                part.rmdir()
        raise


def _made(folder: Path) -> bool:
    """Make a folder unless it is there; tell whether it was made."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir()
    except FileExistsError as error:
        if folder.is_dir():  # somebody else was quicker
            return False
        raise NotWritten(f"{folder} is no folder", "name another one with `-w DIR`") from error
    return True


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Say what could not be written, and why, when the system refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            message, hint = f"no room for {target}", "free some space, or name another folder with `-w DIR`"
        else:
            message, hint = f"cannot write {target}", "name a folder with `-w DIR` in which you may make files"
        raise NotWritten(f"{message}: {reason(error)}", hint) from error
