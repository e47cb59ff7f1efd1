"""Wheels: a zip archive whose name and .dist-info folder say what it is (PEP 427 and "Binary distribution format")."""

import stat
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple, Self

from relocator import metadata
from relocator.archives import Archive, open_archive
from relocator.containers.entry import Entry
from relocator.files import FileBuffer
from relocator.inflating import NOTHING_KNOWN, Content, Head, Known, Wanted, contents, everything, read_member
from relocator.model import PREFIX, ContainerFacts, Distribution, Member, Problem, RecordRow
from relocator.records import parse_record

SITE = f"{PREFIX}/lib/python3/site-packages"
"""Where a wheel's modules lie once installed. Purelib and platlib are one: only Fedora's own Python ever told them apart."""

_PLACES = {"purelib": SITE, "platlib": SITE, "scripts": f"{PREFIX}/bin", "headers": f"{PREFIX}/include/{{}}", "data": PREFIX}
"""Where the folders in NAME-VERSION.data go; {} stands for NAME."""

_LABEL = frozenset("0123456789abcdefghijklmnopqrstuvwxyz_.")
_NAME_FAULT = "has a file name that is none of a wheel, NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
_INFO_FILES = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")


class WheelName(NamedTuple):
    """The parts of a wheel's file name."""

    name: str
    version: str
    build: str
    tags: tuple[str, ...]
    """Expanded, in order."""
    variant: str | None
    """The label of PEP 825."""


def parse_wheel_name(file_name: str) -> WheelName | None:
    """Return the parts of NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM[-VARIANT].whl; None when the name is none of a wheel.

    Tags are not judged: any word is one.
    """
    parts = file_name.removesuffix(".whl").split("-")
    if not file_name.endswith(".whl") or not 5 <= len(parts) <= 7 or not all(parts):
        return None
    name, version, *parts = parts
    build = parts.pop(0) if len(parts) > 3 and parts[0][0] in "0123456789" else ""
    variant = parts.pop() if len(parts) > 3 and set(parts[-1]) <= _LABEL else None
    if len(parts) != 3 or not all(tag for part in parts for tag in part.split(".")):
        return None
    tags = tuple(dict.fromkeys("-".join(tag) for tag in product(*(part.split(".") for part in parts))))
    return WheelName(name, version, build, tags, variant)


class Wheel:
    """An opened wheel, a `Container`. `entries` is to be gone through once."""

    def __init__(self, subject: str, data: FileBuffer, max_size: int, known: Mapping[str, Known] = NOTHING_KNOWN) -> None:
        """Take over the opened file; raise ContainerError when it is no zip archive that can be followed, or too large.

        Members that are `known`, and are what they are known to be as far as the directory tells, come with their hash and without data,
        .dist-info's own files excepted.
        """
        self._subject = subject
        self._data = data
        self._archive = open_archive(data, max_size)
        self._problems = list(self._archive.problems)
        file_name = subject.replace("\\", "/").rpartition("/")[2]
        self._name = parse_wheel_name(file_name)
        if self._name is None:
            self._problems.append(Problem("metadata", "", f"{_NAME_FAULT}: {file_name}"))
        self._dist_info = self._find_dist_info()
        own = {f"{self._dist_info}/{name}" for name in _INFO_FILES}
        self._known = {name: fact for name, fact in known.items() if name not in own}
        self._info: dict[str, bytes] = {}
        self._members: list[Member] = []

    @property
    def archive(self) -> Archive:
        """The archive's directory, for who copies members of it."""
        return self._archive

    @property
    def has_wheel_file(self) -> bool:
        """Whether some .dist-info folder has a WHEEL: what makes a wheel of an archive, whatever its name."""
        return any(member.name.endswith(".dist-info/WHEEL") and member.name.count("/") == 1 for member in self._archive.members)

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield every file once, in the archive's order, see `Container`; raise ContainerError when memory does not suffice."""
        owner = self._owner()
        for content in contents(self._archive, wanted, self._known):
            self._problems += content.problems
            self._problems += _type_problems(content)
            if content.member.is_folder:
                continue
            member = _member(content)
            self._members.append(member)
            folder, _, name = member.name.partition("/")
            if folder == self._dist_info and name in _INFO_FILES and content.data is not None and not isinstance(content.data, Head):
                self._info[name] = bytes(content.data[:])
            yield Entry(member, self._installed(member.name), content.data, owner)

    def facts(self) -> ContainerFacts:
        """Return what the wheel says about itself; complete once `entries` is exhausted."""
        problems = [*self._problems, *self._file_problems()]
        record = self._record(problems)
        headers = metadata.parse_headers(self._info.get("WHEEL", b""))
        return ContainerFacts(
            "wheel",
            self._subject,
            (self._distribution(problems),),
            self._name.tags if self._name else (),
            metadata.values(headers, "tag") if "WHEEL" in self._info else None,
            _purelib(headers, f"{self._dist_info}/WHEEL", problems) if "WHEEL" in self._info else None,
            self._name.variant if self._name else None,
            self._dist_info,
            tuple(self._members),
            record,
            tuple(dict.fromkeys(problems)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    # ---- .dist-info

    def _find_dist_info(self) -> str:
        folders = {
            folder: None
            for folder, slash, _ in (member.name.partition("/") for member in self._archive.members)
            if slash and folder.endswith(".dist-info")
        }
        if not folders:
            self._problems.append(Problem("metadata", "", "has no .dist-info folder"))
            return ""
        own = [folder for folder in folders if self._names_this(folder)]
        if len(folders) > 1:
            self._problems.append(Problem("metadata", "", f"has {len(folders)} .dist-info folders: {', '.join(list(folders)[:4])}"))
        elif self._name and not own:
            (folder,) = folders
            self._problems.append(Problem("metadata", folder, f"is not that of {self._name.name}, which the file is named for"))
        return (own or list(folders))[0]

    def _owner(self) -> str:
        """Return the distribution's name, before METADATA's turn has come."""
        path = f"{self._dist_info}/METADATA"
        own = next((member for member in self._archive.members if member.name == path and member.size <= metadata.HEADER_LIMIT), None)
        data = read_member(self._archive, own).data if own else None
        return self._described(metadata.parse_headers(bytes(data[:]) if data is not None else b"")).name

    def _names_this(self, folder: str) -> bool:
        return self._name is not None and metadata.normalised(metadata.split_dist_info(folder)[0]) == metadata.normalised(self._name.name)

    def _file_problems(self) -> Iterator[Problem]:
        present = {member.name for member in self._members}
        for name in ("METADATA", "WHEEL"):
            path = f"{self._dist_info}/{name}"
            if self._dist_info and path not in present:
                yield Problem("metadata", path, "is missing")
        path = f"{self._dist_info}/RECORD"
        if path in present and "RECORD" not in self._info:
            yield Problem("record", path, "cannot be read")
        if fault := metadata.entry_point_fault(self._info.get("entry_points.txt", b"")):
            yield Problem("entry-points", f"{self._dist_info}/entry_points.txt", fault)
        headers = metadata.parse_headers(self._info.get("METADATA", b""))
        for path in metadata.missing_license_files(headers, self._dist_info, present):
            yield Problem("license-file", path, "METADATA names it as a License-File")

    def _record(self, problems: list[Problem]) -> tuple[RecordRow, ...] | None:
        if "RECORD" not in self._info:
            return None
        rows, faults = parse_record(self._info["RECORD"], f"{self._dist_info}/RECORD")
        problems += faults
        return rows

    def _distribution(self, problems: list[Problem]) -> Distribution:
        headers = metadata.parse_headers(self._info.get("METADATA", b""))
        if "METADATA" in self._info:
            missing = [name for name in ("Name", "Version") if not metadata.values(headers, name.lower())]
            problems += (Problem("metadata", f"{self._dist_info}/METADATA", f"has no {name}") for name in missing)
        return self._described(headers)

    def _described(self, headers: tuple[tuple[str, str], ...]) -> Distribution:
        """Return what METADATA's headers say; the file name, and then the folder's name, stand in for what they lack."""
        name, version = metadata.split_dist_info(self._dist_info)
        if self._name:
            name, version = self._name.name, self._name.version
        return metadata.distribution(headers, name or "unknown", version, SITE)

    # ---- layout

    def _installed(self, name: str) -> str:
        folder, _, rest = name.partition("/")
        key = rest.partition("/")[0]
        if folder.endswith(".data") and "/" in rest and key not in _PLACES:
            self._problems.append(Problem("metadata", f"{folder}/{key}", "is a place that installers do not know"))
        return installed_path(name)


def installed_path(member: str) -> str:
    """Return where installers put a member: what lies in NAME-VERSION.data is spread over the installation."""
    folder, _, rest = member.partition("/")
    key, _, inner = rest.partition("/")
    if not folder.endswith(".data") or not inner or key not in _PLACES:
        return f"{SITE}/{member}"
    return f"{_PLACES[key].format(folder.partition('-')[0])}/{inner}"


def _member(content: Content) -> Member:
    size = content.member.size if content.data is None else len(content.data)
    return Member(content.member.name, size, content.member.mode, content.sha256)


def _type_problems(content: Content) -> Iterator[Problem]:
    """Judge the type that the mode bits claim: wheels hold files and folders."""
    name, mode = content.member.name, content.member.mode
    if content.member.is_folder:
        if content.member.size:
            yield Problem("special", name, f"a folder that holds {content.member.size:,} bytes itself")
    elif stat.S_ISLNK(mode):
        target = bytes(content.data[:256]).decode("utf-8", "backslashreplace") if content.data is not None else "?"
        yield Problem("symlink", name, f"leads to {target}")
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        yield Problem("special", name, f"its type is {stat.S_IFMT(mode):#o}")


def _purelib(headers: tuple[tuple[str, str], ...], member: str, problems: list[Problem]) -> bool | None:
    """Return Root-Is-Purelib; None when WHEEL does not say."""
    versions = metadata.values(headers, "wheel-version")
    if not versions:
        problems.append(Problem("metadata", member, "has no Wheel-Version"))
    elif versions[0].partition(".")[0] != "1":
        problems.append(Problem("metadata", member, f"has Wheel-Version {versions[0]}, which installers refuse"))
    found = metadata.values(headers, "root-is-purelib")
    return found[0].lower() == "true" if found else None
