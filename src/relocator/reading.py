"""One pass over a container's files: every binary is read once, and every Python source that may say something about loading."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable

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

_SOURCES = (".py", ".pyw", ".pth")
""".pth as an environment gives it: only the lines that Python runs."""


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

    def seen(self) -> dict[str, Seen]:
        """Return everything by installed path."""
        found: dict[str, Seen] = {path: OtherFile(path) for path in self.other_paths}
        found.update((item.path, item) for item in self.unreadable)
        found.update((item.path, item) for item in self.binaries)
        return found


def read_container(container: Container, progress: Progress | None) -> Reading:
    """Read all files of a container."""
    reading = Reading()
    for entry in container.entries(lambda head: identify(head) is not None):
        if entry.data is not None:
            _sort_in(reading, entry, entry.data)
        if progress:
            progress(entry.member.name, entry.member.size)
    return reading


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


def _sort_in(reading: Reading, entry: Entry, data: Buffer) -> None:
    member, path = entry.member.name, entry.path
    if member.endswith(_SOURCES):
        hints = python_sources.hints(member, path, data)
        if hints:
            reading.hints.extend(hints)
            reading.sources[member] = path, entry.owner
        reading.other_paths.append(path)
        return
    found = _identified(member, path, data, entry.member.sha256, entry.owner)
    if isinstance(found, Binary):
        reading.binaries.append(found)
    elif isinstance(found, Unreadable):
        reading.unreadable.append(found)
    else:
        reading.other_paths.append(path)
        if found:
            reading.others[found] += 1


def _identified(member: str, path: str, data: Buffer, sha256: str, owner: str) -> Binary | Unreadable | str | None:
    """Return the binary, the reason why it is none, what else it is ("object file"), or None."""
    head = bytes(data[:64])
    backend = identify(head)
    if backend is None:
        return kind_of(head, member)
    try:
        images = tuple(_with_literals(image, backend, data) for image in backend.read(data, verify_signatures=True))
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
