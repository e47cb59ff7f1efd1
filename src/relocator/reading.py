"""One pass over a container's files: every binary is read once, and every Python source that may say something about loading."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

from relocator import literals, python_sources
from relocator.backends import Backend, identify, kind_of
from relocator.buffer import Buffer
from relocator.containers import Container, Entry
from relocator.errors import UnreadableBinary
from relocator.files import FileBuffer, on_disk
from relocator.loading import OtherFile, Seen
from relocator.model import Binary, Format, Hint, Image, Unreadable

Progress = Callable[[str, int], None]
"""Called with a member's name and its size in bytes after each one that was read."""

SOURCES = (".py", ".pyw", ".pth")
""".pth as an environment gives it: only the lines that Python runs."""

NOTHING_READ: Mapping[str, tuple[Image, ...]] = MappingProxyType({})

MOST_KEPT = 4 << 20
"""Bytes of a member that is kept whole."""


@dataclasses.dataclass(slots=True)
class Reading:
    """What one pass over a container's files found; the same for every target."""

    binaries: list[Binary] = dataclasses.field(default_factory=list)
    unreadable: list[Unreadable] = dataclasses.field(default_factory=list)
    other_paths: list[str] = dataclasses.field(default_factory=list)
    hints: list[Hint] = dataclasses.field(default_factory=list)
    sources: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Installed path and owner of each member that gave a hint."""
    others: Counter[str] = dataclasses.field(default_factory=Counter)
    kinds: dict[str, str] = dataclasses.field(default_factory=dict)
    """What each member is that counts in `others`."""
    texts: dict[str, bytes] = dataclasses.field(default_factory=dict)
    """Members that were kept whole."""

    def seen(self) -> dict[str, Seen]:
        """Return everything by installed path."""
        found: dict[str, Seen] = {path: OtherFile(path) for path in self.other_paths}
        found.update((item.path, item) for item in self.unreadable)
        found.update((item.path, item) for item in self.binaries)
        return found


def read_container(
    container: Container,
    progress: Progress | None,
    keep: Callable[[str], bool] | None = None,
    known: Reading | None = None,
    images: Mapping[str, tuple[Image, ...]] = NOTHING_READ,
) -> Reading:
    """Read all files of a container.

    Members of at most `MOST_KEPT` bytes that `keep` names are kept whole. A member that comes without bytes is what it was in `known`,
    where one of its name and hash was read. `images` are those that a backend has read in other bytes, signatures verified, by their
    SHA-256: the same bytes hold the same.
    """
    reading = Reading()
    before = _Known(known) if known is not None else None
    for entry in container.entries(lambda head: identify(head) is not None):
        if entry.data is not None:
            _sort_in(reading, entry, entry.data, images.get(entry.member.sha256, ()))
            if keep is not None and keep(entry.member.name) and len(entry.data) <= MOST_KEPT:
                reading.texts[entry.member.name] = bytes(entry.data[:])
        elif before is not None:
            before.hand_over(reading, entry, keep)
        if progress:
            progress(entry.member.name, entry.member.size)
    return reading


class _Known:
    """An earlier reading, by member."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._binaries = {binary.member: binary for binary in reading.binaries}
        self._unreadable = {item.member: item for item in reading.unreadable}
        self._others = frozenset(reading.other_paths)
        self._hints: dict[str, list[Hint]] = {}
        for hint in reading.hints:
            self._hints.setdefault(hint.member, []).append(hint)

    def hand_over(self, reading: Reading, entry: Entry, keep: Callable[[str], bool] | None) -> None:
        """Put into a new reading what is known of an entry without bytes."""
        member, path, old = entry.member.name, entry.path, self._reading
        if (binary := self._binaries.get(member)) is not None:
            if not entry.member.sha256 or entry.member.sha256 == binary.sha256:
                reading.binaries.append(dataclasses.replace(binary, path=path, owner=entry.owner))
        elif (unreadable := self._unreadable.get(member)) is not None:
            reading.unreadable.append(dataclasses.replace(unreadable, path=path, owner=entry.owner))
        elif path in self._others:
            reading.other_paths.append(path)
            if kind := old.kinds.get(member):
                reading.kinds[member] = kind
                reading.others[kind] += 1
            if member in old.sources:
                reading.hints.extend(self._hints[member])
                reading.sources[member] = path, entry.owner
        if keep is not None and keep(member) and member in old.texts:
            reading.texts[member] = old.texts[member]


def read_file(path: str, owner: str = "") -> Seen | None:
    """Return what lies at a path of the disk; None when nothing readable does."""
    try:
        with FileBuffer(on_disk(path)) as buffer:
            found = _identified(path, path, buffer, "", owner)
    except OSError:
        return None
    return OtherFile(path) if found is None or isinstance(found, str) else found


def hash_of(path: str) -> str:
    """Return the SHA-256 of a file of the disk, in hexadecimal; "" when it is gone."""
    digest = hashlib.sha256()
    try:
        with FileBuffer(on_disk(path)) as buffer:
            for start in range(0, len(buffer), 1 << 20):
                digest.update(buffer[start : start + (1 << 20)])
    except OSError:
        return ""
    return digest.hexdigest()


def _sort_in(reading: Reading, entry: Entry, data: Buffer, images: tuple[Image, ...]) -> None:
    member, path = entry.member.name, entry.path
    if member.endswith(SOURCES):
        hints = python_sources.hints(member, path, data)
        if hints:
            reading.hints.extend(hints)
            reading.sources[member] = path, entry.owner
        reading.other_paths.append(path)
        return
    found = _identified(member, path, data, entry.member.sha256, entry.owner, images=images)
    if isinstance(found, Binary):
        reading.binaries.append(found)
    elif isinstance(found, Unreadable):
        reading.unreadable.append(found)
    else:
        reading.other_paths.append(path)
        if found:
            reading.others[found] += 1
            reading.kinds[member] = found


def _identified(
    member: str, path: str, data: Buffer, sha256: str, owner: str, *, images: tuple[Image, ...] = ()
) -> Binary | Unreadable | str | None:
    """Return the binary, the reason why it is none, what else it is ("object file"), or None; `images` where it was read already."""
    head = bytes(data[:64])
    backend = identify(head)
    if backend is None:
        return kind_of(head, member)
    try:
        images = tuple(_with_literals(image, backend, data) for image in images or backend.read(data, verify_signatures=True))
    except UnreadableBinary as error:
        return Unreadable(member, path, backend.FORMAT, error.field, error.expected, error.offset, owner)
    if not images:
        return kind_of(head, member) or _unmapped(backend.FORMAT, member)
    return Binary(member, path, images, sha256, len(data), owner)


def _with_literals(image: Image, backend: Backend, data: Buffer) -> Image:
    wanted = literals.searches(image)
    found = literals.find_literals(data, backend.constants(data, image), wanted) if wanted else ()
    return dataclasses.replace(image, literals=found) if found else image


def _unmapped(binary_format: Format, member: str) -> str:
    """Name what has a binary's magic and that no loader maps."""
    if binary_format == Format.ELF:
        return "object file"
    if binary_format == Format.MACHO:
        return "Java class" if member.endswith(".class") else "Mach-O object or archive"
    return "DOS program or text"
