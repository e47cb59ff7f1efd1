"""Installed environments: a virtual environment, a conda prefix, a Python's own site-packages, a folder made by `pip install --target`.

What is read: the folders of modules, what the distributions' records name elsewhere, a conda prefix's folders of libraries, and the
folders that .pth files and editable installations lead to. Files that no loader maps are told by their names and never opened.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import Self

from relocator import distributions, editable
from relocator.containers.entry import Entry
from relocator.distributions import Claims
from relocator.files import FileBuffer, installed, on_disk
from relocator.inflating import Wanted, everything
from relocator.layouts import Layout
from relocator.model import FOLDER_OWNER, ContainerFacts, Distribution, Interpreter, Member, Problem

TEXT = frozenset(
    ["pyi", "pyc", "pyo", "pyx", "pxd", "pxi", "txt", "md", "rst", "html", "htm", "css", "js", "mjs", "ts", "map", "json", "jsonl", "xml", "xsd", "xslt", "xsl", "rng", "toml", "cfg", "ini", "yaml", "yml", "csv", "tsv", "dat", "c", "cc", "cpp", "cxx", "cu", "cuh", "h", "hh", "hpp", "hxx", "inc", "inl", "ipp", "tpp", "def", "f", "f90", "f95", "for", "ftn", "m", "mm", "rs", "go", "java", "jinja", "jinja2", "j2", "tmpl", "template", "cmake", "pc", "in", "am", "ac", "png", "jpg", "jpeg", "gif", "svg", "ico", "bmp", "tif", "tiff", "webp", "pdf", "ps", "eps", "ttf", "otf", "woff", "woff2", "afm", "pfb", "wav", "mp3", "mp4", "npy", "npz", "mat", "pkl", "pickle", "parquet", "feather", "orc", "gz", "bz2", "xz", "zst", "zip", "whl", "tar", "tgz", "pem", "crt", "key", "po", "mo", "pot", "sh", "bat", "ps1", "csh", "fish", "nu", "tcl", "r", "jl", "ipynb", "mplstyle", "style", "lock", "sql", "proto", "fbs", "thrift", "lark", "g4", "typed", "license"]
)
"""Endings of names that no loader maps; .py apart, which is read where it may matter."""

_CONDA_FOLDERS = ("lib", "Library/bin", "Library/lib", "DLLs", "bin", "")
"""Where the libraries of a conda prefix lie, with or without a package that says so; "" for Windows, where they lie beside python.exe."""

_MOST_FOLLOWED = 100_000
"""Files below the folders that .pth files lead to: a path that leads to a whole disk is not followed any further."""

_TESTS = frozenset(("tests", "test", "testing"))
"""Folders whose sources no import of the package reaches; they are half of all."""

_EXAMPLES = 3


class Environment:
    """An environment on the disk, a `Container`. `entries` is to be gone through once.

    Its members are named relative to the (first) folder of modules, others relative to the prefix, what lies outside by its path; only
    files that were opened are members. Their hashes are those that the records give, which `hashes` has checked.
    """

    def __init__(self, subject: str, layout: Layout, *, hashes: bool = False, reason: str = "") -> None:
        """Take an environment that exists; the records of its distributions are read at once. `reason` says why it was chosen."""
        self._subject = subject
        self._layout = layout
        self._reason = reason
        self._hashes = hashes
        self._members: list[Member] = []
        self._problems: list[Problem] = []
        self._named_from = tuple(installed(folder) + "/" for folder in (*layout.sites[:1], layout.root))
        self._claims: list[Claims] = []
        self._owners: dict[str, str] = {}
        """By installed path."""
        self._digests: dict[str, str] = {}
        self._tops: dict[str, str] = {}
        """Owners of whole folders, by installed path."""
        self._walked: set[str] = set()
        self._sources: dict[str, list[str]] = {}
        """Python sources by owner: read once it is known whether the owner has binaries."""
        self._binary_owners: set[str] = set()
        self._added: list[str] = []
        """Folders that .pth files add to sys.path."""
        self._gather()

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield every file that some loader may map, then the Python sources of the distributions that have one."""
        for path in self._files():
            yield from self._opened(path, wanted)
        for owner in (FOLDER_OWNER, *dict.fromkeys(claims.distribution.name for claims in self._claims)):
            for path in self._sources.get(owner, ()) if owner in self._binary_owners else ():
                source = None if _TESTS.intersection(path.split(os.sep)) else self._source(path, owner)
                if source is not None:
                    yield source
        yield from self._startup_code()
        self._look_for_missing()
        if self._hashes:
            self._check_hashes()

    def facts(self) -> ContainerFacts:
        """Return what was found; complete once `entries` is exhausted."""
        layout = self._layout
        problems = list(self._problems)
        if layout.interpreter.problem and layout.kind != "target folder":
            problems.append(Problem("interpreter", "", f"is unknown: {layout.interpreter.problem}"))
        interpreter = layout.interpreter._replace(
            path=installed(layout.interpreter.path) if layout.interpreter.path else "",
            prefix=installed(layout.interpreter.prefix) if layout.interpreter.prefix else "",
        )
        return ContainerFacts(
            "environment",
            self._subject,
            tuple(sorted((claims.distribution for claims in self._claims), key=lambda d: (d.name.casefold(), d.source))),
            members=tuple(self._members),
            problems=tuple(dict.fromkeys(problems)),
            root=installed(layout.root),
            sites=tuple(map(installed, (*layout.sites, *self._added))),
            interpreter=interpreter,
            origin=", ".join(filter(None, (layout.kind, _python(layout.interpreter), self._reason))),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing: each file is closed once it was read."""

    # ---- records

    def _gather(self) -> None:
        """Read the records of all distributions and find out who owns what: what pip puts over conda's files is pip's."""
        conda = list(self._conda_records())
        by_file = {path: claims for claims in conda for path in claims.files if ".dist-info/" in path or ".egg-info" in path}
        python: list[tuple[Claims, Claims | None]] = []
        for claims in self._python_records():
            first = f"{claims.distribution.metadata}/METADATA"
            record = (
                by_file.get(first) or by_file.get(f"{claims.distribution.metadata}/PKG-INFO") or by_file.get(claims.distribution.metadata)
            )
            python.append((claims, record))
        renamed: dict[int, Distribution] = {}
        for claims, record in python:
            if record is not None:
                own = claims.distribution
                claims.distribution = _of_conda(own, record.distribution)
                renamed.setdefault(id(record), claims.distribution)
        for claims in conda:
            own = renamed.get(id(claims), claims.distribution)
            if own is claims.distribution:
                self._claims.append(claims)
            self._claim(claims, own)
        for claims, record in python:
            self._claims.append(claims)
            self._claim(claims, claims.distribution, over=record)

    def _claim(self, claims: Claims, owner: Distribution, over: Claims | None = None) -> None:
        """Note whose the files are; two owners of one file are a problem, except that conda's record names what its package brought."""
        shared: dict[str, list[str]] = {}
        for path, digest in claims.files.items():
            before = self._owners.get(path)
            if before is not None and (over is None or path not in over.files) and not path.endswith(".pyc"):
                shared.setdefault(before, []).append(self._member(path))
            self._owners[path] = owner.name
            if digest:
                self._digests[path] = digest
        for top in claims.tops:
            self._tops.setdefault(top, owner.name)
        for before, files in shared.items():
            whose = f"{before}" if before != owner.name else f"another {before}"
            self._problems.append(
                Problem("shared-file", self._member(owner.metadata), f"{owner.name} owns {_some(files)}, which {whose} owns, too")
            )
        self._problems += claims.problems

    def _conda_records(self) -> Iterator[Claims]:
        folder = os.path.join(self._layout.root, "conda-meta")
        for name in self._names(folder):
            if name.endswith(".json"):
                path = os.path.join(folder, name)
                data = self._contents(path, distributions.CONDA_LIMIT)
                if data is None:
                    continue
                found = distributions.from_conda_meta(data, f"conda-meta/{name}", installed(path), installed(self._layout.root))
                if isinstance(found, Problem):
                    self._problems.append(found)
                else:
                    yield found

    def _python_records(self) -> Iterator[Claims]:
        for folder in self._layout.sites:
            site = installed(folder)
            for name in self._names(folder):
                path = os.path.join(folder, name)
                if name.startswith("~") and name.endswith((".dist-info", ".egg-info")):
                    self._problems.append(
                        Problem("metadata", self._member(installed(path)), "is what an interrupted uninstallation left behind")
                    )
                elif name.endswith(".dist-info"):
                    yield distributions.from_dist_info(installed(path), self._member(installed(path)), site, partial(self._of_record, path))
                elif name.endswith(".egg-info"):
                    yield distributions.from_egg_info(installed(path), site, partial(self._of_record, path))

    def _of_record(self, folder: str, name: str) -> bytes | None:
        """Return a file of a .dist-info or .egg-info folder; an .egg-info that is a file is its own PKG-INFO."""
        alone = name == "PKG-INFO" and os.path.isfile(folder)
        return self._contents(folder if alone else os.path.join(folder, name))

    # ---- which files

    def _files(self) -> Iterator[str]:
        """Yield the disk paths of the files to open, each once."""
        for site in self._layout.sites:
            yield from self._below(site)
        sites = tuple(installed(site) + "/" for site in self._layout.sites)
        for path in self._owners:
            if not path.startswith(sites) and _may_load(path) and not path.endswith(".py"):
                yield from self._once(on_disk(path))
        if self._layout.kind == "conda environment":
            for folder in _CONDA_FOLDERS:
                whole = os.path.join(self._layout.root, *folder.split("/"))
                for name in self._names(whole):
                    if _may_load(name) and not name.endswith(".py"):
                        yield from self._once(os.path.join(whole, name))
        yield from self._followed()

    def _once(self, path: str) -> Iterator[str]:
        """Yield a file of its own: neither walked before nor a link to what is seen anyway."""
        if installed(path) in self._walked:
            return
        self._walked.add(installed(path))
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if self._is_inside(os.path.realpath(path)):
                    return
                status = os.stat(path)
        except OSError:  # a record that names it is told of later
            return
        if stat.S_ISREG(status.st_mode):
            yield path

    def _below(self, folder: str, limit: int = 0) -> Iterator[str]:
        """Yield the files below a folder that are to be opened, and keep the Python sources for later; without recursion."""
        entered: set[str] = {os.path.realpath(folder)}
        pending = [folder]
        left = limit
        while pending:
            here = pending.pop()
            if limit and os.path.isfile(os.path.join(here, "pyvenv.cfg")):
                continue  # another environment inside a developer's folder
            below: list[str] = []
            for entry in self._scanned(here):
                if limit and (left := left - 1) < 0:
                    self._problems.append(
                        Problem("directory", self._member(installed(folder)), f"has more than {limit:,} files: not followed")
                    )
                    return
                kind = self._kind(entry, entered)
                if kind == "folder" and not (limit and entry.name.startswith(".")) and entry.name != "__pycache__":
                    below.append(entry.path)
                elif kind == "file":
                    yield from self._file(entry)
            pending += reversed(below)

    def _file(self, entry: "os.DirEntry[str]") -> Iterator[str]:
        path = installed(entry.path)
        if path in self._walked:
            return
        self._walked.add(path)
        if entry.name.endswith(".py"):
            self._sources.setdefault(self._owner(path), []).append(entry.path)
        elif _may_load(entry.name):
            yield entry.path

    def _kind(self, entry: "os.DirEntry[str]", entered: set[str]) -> str:
        """Return "file" or "folder" for what is to be looked at."""
        try:
            if not entry.is_symlink():
                return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
            if entry.is_file():
                # a link to what is seen anyway: the world follows it
                return "" if _may_load(entry.name) and self._is_inside(os.path.realpath(entry.path)) else "file"
            if not entry.is_dir():
                self._note_loop(entry.path)
                return ""
        except OSError as error:
            self._unreadable(entry.path, error)
            return ""
        target = os.path.realpath(entry.path)
        if self._is_inside(target) or target in entered:
            return ""
        if entry.path.startswith(os.path.join(target, "")):
            self._problems.append(Problem("loop", self._member(installed(entry.path)), f"leads to {target}, which contains it"))
            return ""
        entered.add(target)
        return "folder"

    def _note_loop(self, path: str) -> None:
        """Tell of a link that leads to itself; one that leads to nothing is as good as absent."""
        try:
            os.stat(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._unreadable(path, error)

    def _is_inside(self, path: str) -> bool:
        return any(path.startswith(os.path.join(site, "")) for site in (*self._layout.sites, self._layout.root))

    def _followed(self) -> Iterator[str]:
        """Yield the files that .pth files and the finders of editable installations lead to."""
        for site in self._layout.sites:
            for name in self._names(site):
                for path in editable.leads(name, self._text(os.path.join(site, name)), site) if editable.is_telling(name) else ():
                    where = os.path.realpath(path)
                    if os.path.isfile(where):
                        self._sources.setdefault(self._owner(installed(where)), []).append(where)
                    elif os.path.isdir(where) and where not in (*self._layout.sites, *self._added):
                        if name.endswith(".pth"):
                            self._added.append(where)
                        self._tops.setdefault(installed(where), self._owner(installed(os.path.join(site, name))))
                        yield from self._below(where, _MOST_FOLLOWED)

    # ---- one file

    def _opened(self, path: str, wanted: Wanted) -> Iterator[Entry]:
        try:
            data = FileBuffer(path)
        except OSError as error:
            self._unreadable(path, error)
            return
        where = installed(path)
        owner = self._owner(where)
        with data:
            if wanted(data[:64]):
                self._binary_owners.add(owner)
            member = Member(self._member(where), len(data), 0, self._digests.get(where, ""))
            self._members.append(member)
            yield Entry(member, where, data, owner)

    def _source(self, path: str, owner: str) -> Entry | None:
        data = self._contents(path)
        if data is None:
            return None
        member = Member(self._member(installed(path)), len(data), 0, self._digests.get(installed(path), ""))
        self._members.append(member)
        return Entry(member, installed(path), data, owner)

    def _startup_code(self) -> Iterator[Entry]:
        """Yield the lines of .pth files that Python runs when it starts, the others left empty."""
        for site in self._layout.sites:
            names = self._names(site)
            for name in names:
                if name.endswith(".pth") and name.removesuffix(".pth") + ".start" not in names:
                    code = editable.code(self._text(os.path.join(site, name)))
                    if code.strip():
                        path = installed(os.path.join(site, name))
                        member = Member(self._member(path), len(code))
                        self._members.append(member)
                        yield Entry(member, path, code.encode("utf-8", "surrogateescape"), self._owner(path))

    def _owner(self, path: str) -> str:
        found = self._owners.get(path)
        if found is None and self._tops:
            parts = path.split("/")
            above = ("/".join(parts[:count]) for count in range(len(parts), 1, -1))
            found = next((self._tops[folder] for folder in above if folder in self._tops), None)
            found = found or self._tops.get(path.removesuffix(".py"))
        return found or FOLDER_OWNER

    def _member(self, path: str) -> str:
        for folder in self._named_from:
            if path.startswith(folder):
                return path[len(folder) :]
        return path

    # ---- what the records say and the disk does not

    def _look_for_missing(self) -> None:
        for claims in self._claims:
            absent = [path for path in claims.files if path not in self._walked and not path.endswith(".pyc")]
            absent = [self._member(path) for path in absent if not os.path.lexists(on_disk(path))]
            if absent:
                whose = claims.distribution
                count = f"{len(absent):,} of {len(claims.files):,} files"
                message = f"names {_some(absent)}, which are not there" if len(absent) > 1 else f"names {absent[0]}, which is not there"
                self._problems.append(Problem("missing-file", self._member(whose.metadata), f"{whose.name}: {message} ({count})"))

    def _check_hashes(self) -> None:
        for path, digest in self._digests.items():
            try:
                with open(on_disk(path), "rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:  # told as missing or not readable already
                continue
            if found != digest:
                message = f"differs from what {self._owner(path)}'s record says: changed since it was installed"
                self._problems.append(Problem("hash", self._member(path), message))

    # ---- the disk

    def _scanned(self, folder: str) -> "list[os.DirEntry[str]]":
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._unreadable(folder, error)
            return []

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            self._unreadable(folder, error)
            return []

    def _contents(self, path: str, limit: int = 64 << 20) -> bytes | None:
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read(limit)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._unreadable(path, error)
            return None

    def _text(self, path: str) -> str:
        return (self._contents(path, 1 << 20) or b"").decode("utf-8-sig", "surrogateescape")

    def _unreadable(self, path: str, error: OSError) -> None:
        kind = "loop" if error.errno == errno.ELOOP else "permission"
        self._problems.append(Problem(kind, self._member(installed(path)), error.strerror or str(error)))


def _python(interpreter: Interpreter) -> str:
    """Return "CPython 3.12.4, free-threaded" or as much of it as is known."""
    name = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalPy"}[interpreter.implementation]
    told = [f"{name} {'.'.join(map(str, interpreter.version))}"] if interpreter.version else []
    return ", ".join([*told, *(word for flag, word in (("t", "free-threaded"), ("d", "debug build")) if flag in interpreter.flags)])


def _of_conda(own: Distribution, package: Distribution) -> Distribution:
    """Return a Python distribution as conda's package brings it."""
    return Distribution(
        own.name, own.version, own.requires, own.root, "conda", "conda", own.editable, package.url, own.metadata, package.package
    )


def _may_load(path: str) -> bool:
    """Tell by its name whether a loader, or we, may want to look into a file."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() not in TEXT if "." in name else name not in _PLAIN


_PLAIN = frozenset(
    ("RECORD", "METADATA", "WHEEL", "INSTALLER", "REQUESTED", "LICENSE", "COPYING", "README", "NOTICE", "AUTHORS", "PKG-INFO")
)
"""Names without an ending that no loader maps."""


def _some(files: list[str]) -> str:
    """Return a few names and how many more there are."""
    named = ", ".join(files[:_EXAMPLES])
    return named if len(files) <= _EXAMPLES else f"{named} and {len(files) - _EXAMPLES:,} more"
