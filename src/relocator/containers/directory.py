"""Folders and single files of the disk, at their real places."""

import errno
import os
import stat
from collections.abc import Iterator
from typing import Self

from relocator import metadata
from relocator.buffer import Buffer
from relocator.containers.entry import Entry
from relocator.files import FileBuffer, installed
from relocator.inflating import Wanted, everything
from relocator.model import FOLDER_OWNER, ContainerFacts, Distribution, Member, Problem


class File:
    """One file by itself, a `Container`."""

    def __init__(self, subject: str, data: FileBuffer) -> None:
        """Take over the opened file."""
        self._subject = subject
        self._data = data
        self._path = os.path.realpath(subject)
        self._member = Member(os.path.basename(subject), len(data), os.stat(subject).st_mode)  # noqa: PTH116, PTH119

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield the file."""
        yield Entry(self._member, installed(self._path), self._data, FOLDER_OWNER)

    def facts(self) -> ContainerFacts:
        """Return that it is a file."""
        folder = installed(self._path).rpartition("/")[0]
        return ContainerFacts("file", self._subject, members=(self._member,), root=folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()


class Folder:
    """A folder with all that lies below it, sorted by name, a `Container`. `entries` is to be gone through once.

    Files are opened one after the other and never hashed. A symbolic link to a file inside becomes a link of the facts; what a link
    outside leads to is taken as if it lay here.
    """

    def __init__(self, subject: str) -> None:
        """Take a folder that exists; raise OSError when it cannot be listed."""
        self._subject = subject
        self._root = os.path.realpath(subject)
        os.listdir(self._root)  # noqa: PTH208 - refuses at once what may not be read
        self._members: list[Member] = []
        self._problems: list[Problem] = []
        self._file_links: list[tuple[str, str]] = []
        self._folder_links: list[tuple[str, str]] = []
        self._distributions: list[Distribution] = []
        self._owner = self._own_distribution()

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield every file once, folder by folder."""
        for name, path in self._walk():
            try:
                with FileBuffer(path) as data:
                    member = Member(name, len(data), os.stat(path).st_mode)  # noqa: PTH116
                    self._members.append(member)
                    self._note_distribution(name, data)
                    yield Entry(member, installed(path), data, self._owner)
            except OSError as error:
                self._unreadable(name, error)

    def facts(self) -> ContainerFacts:
        """Return what was found; complete once `entries` is exhausted."""
        return ContainerFacts(
            "folder",
            self._subject,
            tuple(self._distributions),
            members=tuple(self._members),
            problems=tuple(self._problems),
            links=tuple(dict.fromkeys([*self._file_links, *self._through_folder_links()])),
            root=installed(self._root),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing: each file is closed once it was read."""

    # ---- walking

    def _walk(self) -> Iterator[tuple[str, str]]:
        """Yield (member, path) of every file; without recursion, since folders may be nested as deep as a disk allows."""
        entered = {self._root}
        pending = [("", self._root)]
        while pending:
            prefix, folder = pending.pop()
            below: list[tuple[str, str]] = []
            for name in self._listed(prefix, folder):
                member, path = prefix + name, os.path.join(folder, name)  # noqa: PTH118
                kind = self._kind(member, path, entered)
                if kind == "folder":
                    below.append((member + "/", path))
                elif kind == "file":
                    yield member, path
            pending += reversed(below)

    def _listed(self, prefix: str, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208
        except OSError as error:
            self._unreadable(prefix.rstrip("/"), error)
            return []

    def _kind(self, member: str, path: str, entered: set[str]) -> str:
        """Return "file" or "folder" for what is to be looked at; note everything else."""
        try:
            status = os.lstat(path)
            linked = stat.S_ISLNK(status.st_mode)
            if linked:
                status = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:  # a link to nothing, or a file that is gone: no loader finds it either
            return ""
        except OSError as error:
            self._unreadable(member, error)
            return ""
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            self._problems.append(Problem("special", member, "neither a file nor a folder"))
            return ""
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "file"
        return self._linked(member, path, kind, entered) if linked else kind

    def _linked(self, member: str, path: str, kind: str, entered: set[str]) -> str:
        """Follow a symbolic link that leads out; note one that leads to what is seen anyway."""
        target = os.path.realpath(path)
        inside = target == self._root or target.startswith(os.path.join(self._root, ""))  # noqa: PTH118
        if kind == "file":
            if inside:
                self._file_links.append((installed(path), installed(target)))
            return "" if inside else "file"
        if _contains(target, path):
            self._problems.append(Problem("loop", member, f"leads to {target}, which contains it"))
            return ""
        if inside:
            self._folder_links.append((installed(path), installed(target)))
            return ""
        if target in entered:
            return ""
        entered.add(target)
        return "folder"

    def _through_folder_links(self) -> Iterator[tuple[str, str]]:
        """Yield a link for each file that a linked folder shows a second time."""
        root = installed(self._root)
        paths = [f"{root}/{member.name}" for member in self._members]
        for link, target in self._folder_links:
            yield from ((link + path.removeprefix(target), path) for path in paths if path.startswith(target + "/"))

    def _unreadable(self, member: str, error: OSError) -> None:
        kind = "loop" if error.errno == errno.ELOOP else "permission"
        self._problems.append(Problem(kind, member, error.strerror or str(error)))

    def _own_distribution(self) -> str:
        """Return the name of the one distribution that is unpacked here; FOLDER_OWNER when there is none, or there are several."""
        found = [name for name in self._listed("", self._root) if name.endswith(".dist-info")]
        if len(found) != 1:
            return FOLDER_OWNER
        name, _ = metadata.split_dist_info(found[0])
        try:
            with FileBuffer(os.path.join(self._root, found[0], "METADATA")) as data:  # noqa: PTH118
                headers = metadata.parse_headers(bytes(data[: metadata.HEADER_LIMIT]))
        except OSError:
            headers = ()
        return metadata.distribution(headers, name, "", "").name

    def _note_distribution(self, member: str, data: Buffer) -> None:
        folder, _, name = member.rpartition("/")
        if name == "METADATA" and folder.endswith(".dist-info"):
            site, _, info = folder.rpartition("/")
            headers = metadata.parse_headers(bytes(data[: metadata.HEADER_LIMIT]))
            root = installed(self._root) + ("/" + site if site else "")
            self._distributions.append(metadata.distribution(headers, *metadata.split_dist_info(info), root))


def _contains(folder: str, path: str) -> bool:
    """Tell whether a path lies in a folder."""
    return path.startswith(os.path.join(folder, ""))  # noqa: PTH118
