"""The only module that changes files: all new bytes are written beside their targets, then renamed into place, or nothing is.

It knows no format and no rule: what is to change comes as patches, what has to hold before a file is sealed as a callback.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from relocator.errors import ContainerError, RelocatorError, UsageError
from relocator.journal import Entry, dumped, inverse, loaded, restored
from relocator.plans import Patchset, apply_patches

NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
DRAFT_PREFIX = ".relocate-"
_LARGEST_JOURNAL = 1 << 30


class NotWritten(RelocatorError):
    """A file that could not be written; it is as it was."""

    exit_code = 4


class Source(NamedTuple):
    """One file as it was when its change was planned."""

    path: str
    """As the user named it."""
    real: str
    """Absolute, without symbolic links: a link that was named goes on to lead here."""
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    links: int


class Job(NamedTuple):
    """What is to become of one file."""

    source: Source
    patchset: Patchset
    verify: Callable[[bytes, bytes], tuple[str, ...]]
    """Gets the old and the new bytes; returns what was verified, in words, or raises: then nothing is written."""
    output: str = ""
    """Where to write instead; "" replaces the source."""


class Written(NamedTuple):
    """What was written, or put back."""

    path: str
    sha256_before: str
    sha256_after: str
    verified: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class _Draft(NamedTuple):
    """A new file that is complete, but not yet at its place."""

    source: Source
    target: str
    path: str
    entry: Entry
    written: Written


def examine(path: str, *, output: str = "", break_hard_links: bool = False) -> Source:
    """Return what a file is; raise ContainerError when there is none, NotWritten when it could not be replaced anyway.

    With `output` the file itself stays, so that it may be read-only and have hard links.
    """
    found = look_at(path)
    if not os.path.isfile(found.real):
        raise ContainerError("not a file", "name the binaries inside; for a whole package there is `relocate repair`")
    _check_folder(os.path.dirname(os.path.realpath(output)) if output else os.path.dirname(found.real))
    if not output:
        _check_replaceable(found, break_hard_links)
    return found


def look_at(path: str) -> Source:
    """Return what lies at a path, for `check_unchanged` to tell later whether it is still that; raise ContainerError when nothing does."""
    try:
        real = os.path.realpath(path, strict=True)
        status = os.stat(real)
    except (OSError, ValueError) as error:
        raise ContainerError("there is no such file" if _absent(error) else reason(error), "check the path") from error
    return Source(
        *(path, real, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode),
        status.st_nlink,
    )


def _absent(error: OSError | ValueError) -> bool:
    return isinstance(error, FileNotFoundError | NotADirectoryError) or (isinstance(error, ValueError) and "null" in str(error))


def reason(error: OSError | ValueError) -> str:
    """Say in lower case what the system found wrong."""
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()


def _check_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise NotWritten(f"there is no folder {folder} to write into", "make it, or name another one")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotWritten(f"no file can be made in the folder {folder}", "make the folder writable, or write elsewhere with `-o OUT`")


def _check_replaceable(source: Source, break_hard_links: bool) -> None:
    if not os.access(source.real, os.W_OK):
        raise NotWritten("the file is read-only", "make it writable (`chmod u+w FILE`), or write elsewhere with `-o OUT`")
    if source.links > 1 and not break_hard_links:
        others = f"{source.links - 1} other name{'s' if source.links > 2 else ''}"
        raise NotWritten(
            f"the file has {others} (hard links), under which the old bytes would remain",
            "add --break-hard-links to give this name a file of its own, or write elsewhere with `-o OUT`",
        )


def check_distinct(sources: Sequence[Source]) -> None:
    """Raise UsageError when two of them are one file."""
    known: dict[tuple[object, ...], str] = {}
    for source in sources:
        key = (source.device, source.inode) if source.inode else (os.path.normcase(source.real),)
        if key in known:
            raise UsageError(
                f"{source.path} and {known[key]} are one file", "give each file once; a symbolic link counts as the file that it leads to"
            )
        known[key] = source.path


def carry_out(jobs: Sequence[Job], *, journal: str = "", tool: str = "relocate") -> tuple[Written, ...]:
    """Write all files or none, each verified before the first is renamed into place; one without a change is written for `output` alone.

    Mode, times, extended attributes and, for root, the owner are kept (with `output` the mode alone). `journal` names a file that does
    not exist yet; it is on the disk before the first file changes. Raises NotWritten, or what `verify` raises, and leaves everything as
    it was.
    """
    if journal and os.path.lexists(journal):
        raise NotWritten(f"the journal {journal} exists already", "name another file, or delete it once its edits need not be undone")
    drafts: list[_Draft] = []
    try:
        for job in jobs:
            if job.patchset or job.output:
                drafts.append(_drafted(job))
        if journal:
            _write_journal(journal, dumped([draft.entry for draft in drafts], tool))
        _seal(drafts, journal)
    finally:
        for draft in drafts:
            _discard(draft.path)
    return tuple(draft.written for draft in drafts)


def undo(journal: str, *, dry_run: bool = False) -> tuple[Written, ...]:
    """Put back what a journal says, byte for byte; files that are as they were before are passed over.

    Raises ContainerError when the journal cannot be read, NotWritten when a file was changed since; then nothing is put back.
    """
    drafts: list[_Draft] = []
    try:
        for entry in _read_journal(journal):
            draft = _drafted_back(entry, dry_run=dry_run)
            if draft:
                drafts.append(draft)
        if not dry_run:
            _seal(drafts, "")
    finally:
        for draft in drafts:
            _discard(draft.path)
    return tuple(draft.written for draft in drafts)


# ---- drafts


def _drafted(job: Job) -> _Draft:
    """Write the new file beside its target, flushed, with everything but its name."""
    source = job.source
    old = _read(source)
    new = bytes(apply_patches(old, job.patchset))
    verified = job.verify(old, new)
    saved, moves = inverse(old, new, job.patchset)
    before, after = _sha256(old), _sha256(new)
    entry = Entry(source.real, len(old), len(new), before, after, source.mode, source.mtime_ns, saved, moves)
    target = os.path.realpath(job.output) if job.output else source.real
    remarks = ("its other hard links keep the old bytes",) if source.links > 1 and not job.output else ()
    path = _new_file(target, new, source, job.output == "")
    return _Draft(source, target, path, entry, Written(source.path, before, after, verified, remarks))


def _drafted_back(entry: Entry, *, dry_run: bool) -> _Draft | None:
    """Write the old file beside the new one; None when it is there already."""
    try:
        source = examine(entry.path, break_hard_links=True)
        new = _read(source)
    except ContainerError as error:
        raise NotWritten(f"{entry.path}: {error.message}", "the file is gone since; nothing was put back") from error
    digest = _sha256(new)
    if digest == entry.sha256_before:
        return None
    if digest != entry.sha256_after:
        raise NotWritten(
            f"{entry.path} was changed since the edit", "undo what changed it, or restore it from elsewhere; nothing was put back"
        )
    old = bytes(restored(new, entry))
    back = Entry(*(entry.path, len(new), len(old), digest, entry.sha256_before, source.mode, source.mtime_ns), *inverse(new, old, _UNMOVED))
    path = "" if dry_run else _new_file(source.real, old, source._replace(mode=entry.mode, mtime_ns=entry.mtime_ns), True)
    return _Draft(source, source.real, path, back, Written(entry.path, digest, entry.sha256_before))


_UNMOVED = Patchset(0, 0)


def _read(source: Source) -> bytes:
    """Return the bytes; raise NotWritten when they are no longer those that the change was planned for."""
    try:
        with open(source.real, "rb") as file:
            data = file.read()
    except OSError as error:
        raise NotWritten(f"cannot read {source.path}: {reason(error)}", "make the file readable") from error
    if len(data) != source.size:
        raise _changed(source)
    check_unchanged(source)
    return data


def check_unchanged(source: Source) -> None:
    """Raise NotWritten when the file is not the one that was examined. The time of its last change of any kind cannot be set back."""
    try:
        now = os.stat(source.real)
    except OSError as error:
        raise _changed(source) from error
    if (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns) != source[2:7]:
        raise _changed(source)


def _changed(source: Source) -> NotWritten:
    return NotWritten(f"{source.path} was changed by somebody else meanwhile", "run the command again when nothing else writes the file")


def _new_file(target: str, data: bytes, like: Source, whole: bool) -> str:
    """Write bytes to a new file in the target's folder and return its path; `whole` keeps times and attributes, not the mode alone."""
    folder, path = os.path.dirname(target), ""
    try:
        handle, path = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=folder)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _keep(path, like, whole)
    except BaseException as error:
        _discard(path)
        if isinstance(error, OSError):
            raise _unwritable(target, len(data), error) from error
        raise
    return path


def _keep(path: str, like: Source, whole: bool) -> None:
    """Give a new file what the old one had beside its bytes; what the system refuses to set stays as it is."""
    if whole and hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = os.stat(like.real)
        os.chown(path, owner.st_uid, owner.st_gid)
    if whole:
        shutil.copystat(like.real, path)
    os.chmod(path, like.mode & 0o7777)
    if whole:
        os.utime(path, ns=(os.stat(like.real).st_atime_ns, like.mtime_ns))


def _unwritable(target: str, size: int, error: OSError) -> NotWritten:
    if error.errno in NO_ROOM:
        return NotWritten(
            f"no room for {size:,} bytes beside {target}: {reason(error)}", "free some space, or write elsewhere with `-o OUT`"
        )
    return NotWritten(
        f"cannot write {target}: {reason(error)}", "the folder must be writable, and no program may have the file open on Windows"
    )


def _discard(path: str) -> None:
    if path:
        with contextlib.suppress(OSError):
            os.unlink(path)


# ---- sealing


def _seal(drafts: Sequence[_Draft], journal: str) -> None:
    """Rename all drafts into place; when one fails, put those before it back."""
    sealed: list[_Draft] = []
    try:
        for draft in drafts:
            check_unchanged(draft.source)
        for draft in drafts:
            try:
                os.replace(draft.path, draft.target)
            except OSError as error:
                raise _unwritable(draft.target, draft.entry.size_after, error) from error
            sealed.append(draft)
        for folder in dict.fromkeys(os.path.dirname(draft.target) for draft in drafts):
            flush_folder(folder)
    except BaseException:
        _roll_back(sealed)
        _discard(journal)
        raise


def _roll_back(sealed: Sequence[_Draft]) -> None:
    """Put back what was renamed into place already, the last one first; old bytes that cannot be put back stay beside and are named."""
    lost: list[str] = []
    for draft in reversed(sealed):
        kept = ""
        try:
            if draft.target != draft.source.real:
                os.unlink(draft.target)
                continue
            with open(draft.target, "rb") as file:
                old = bytes(restored(file.read(), draft.entry))
            now = examine(draft.target, break_hard_links=True)
            kept = _new_file(draft.target, old, now._replace(mode=draft.entry.mode, mtime_ns=draft.entry.mtime_ns), True)
            os.replace(kept, draft.target)
        except (OSError, RelocatorError):
            lost.append(f"{draft.target} (its old bytes: {kept or 'lost'})")
    if lost:
        raise NotWritten(f"a later file failed, and these could not be put back: {', '.join(lost)}", "rename the old bytes back yourself")


def flush_folder(folder: str) -> None:
    """Make a rename last; systems whose folders cannot be opened do it themselves."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# ---- journals


def _write_journal(path: str, text: str) -> None:
    draft = ""
    try:
        handle, draft = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=os.path.dirname(os.path.realpath(path)))
        with open(handle, "w", encoding="ascii", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        _discard(draft)
        raise NotWritten(
            f"cannot write the journal {path}: {reason(error)}", "name a file in a folder that exists and can be written"
        ) from error
    flush_folder(os.path.dirname(os.path.realpath(path)))


def _read_journal(path: str) -> tuple[Entry, ...]:
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(_LARGEST_JOURNAL)
    except (OSError, ValueError) as error:
        what = reason(error) if isinstance(error, OSError) else "it is no text"
        raise ContainerError(f"cannot read the journal {path}: {what}", "give the file that `--journal` wrote") from error
    return loaded(text)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_of(journal: str) -> Iterator[str]:
    """Yield the files that a journal is about."""
    yield from (entry.path for entry in _read_journal(journal))
