"""Installed environments: a virtual environment, a conda prefix, a Python's own site-packages, a folder made by `pip install --target`.

What is read: the folders of modules, what the distributions' records name elsewhere, a conda prefix's folders of libraries, and the
folders that .pth files and editable installations lead to. Files that no loader maps are told by their names and never opened.
"""

import errno
import hashlib
import os
import re
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
from relocator.model import FOLDER_OWNER, PYTHON_OWNER, ContainerFacts, Distribution, Interpreter, Member, Problem
from relocator.ownership import Ownership

TEXT = frozenset(
    re.findall(
        r"\S+",
        """pth start pyi pyc pyo pyx pxd pxi txt md rst html htm css js mjs ts map json jsonl xml xsd xslt xsl rng toml cfg ini
        yaml yml csv tsv dat c cc cpp cxx cu cuh h hh hpp hxx inc inl ipp tpp def f f90 f95 for ftn m mm rs go java
        jinja jinja2 j2 tmpl template cmake pc in am ac png jpg jpeg gif svg ico bmp tif tiff webp pdf ps eps
        ttf otf woff woff2 afm pfb wav mp3 mp4 npy npz mat pkl pickle parquet feather orc gz bz2 xz zst zip whl tar tgz
        pem crt key po mo pot sh bat ps1 csh fish nu tcl r jl ipynb mplstyle style lock sql proto fbs thrift lark g4
        typed license""",
    )
)
"""Endings of names that no loader maps; .py apart, which is read where it may matter."""

_CONDA_FOLDERS = ("lib", "Library/bin", "Library/lib", "DLLs", "bin", "")
"""Where the libraries of a conda prefix lie, with or without a package that says so; "" for Windows, where they lie beside python.exe."""

_MOST_FOLLOWED = 100_000
"""Files below the folders that .pth files lead to: a path that leads to a whole disk is not followed any further."""

_PYTHON_LIBRARY = re.compile(r"libpy(thon|py)3.*\.(so|dylib)(\.[\d.]+)?|(lib)?py(thon|py)3.*\.dll", re.IGNORECASE)

_TESTS = frozenset(("tests", "test", "testing"))
"""Folders whose sources no import of the package reaches; they are half of all."""


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
        self._walked: set[str] = set()
        self._sources: dict[str, list[str]] = {}
        """Python sources by owner: read once it is known whether the owner has binaries."""
        self._binary_owners: set[str] = set()
        self._added: list[str] = []
        """Folders that .pth files add to sys.path."""
        self._has_standard_modules = False
        self._ownership = Ownership(list(self._conda_records()), list(self._python_records()), self._member)
        self._problems += self._ownership.problems

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield every file that some loader may map, then the Python sources of the distributions that have one."""
        for path in self._files():
            yield from self._opened(path, wanted)
        yield from self._standard_modules()
        for owner in (FOLDER_OWNER, *dict.fromkeys(d.name for d in self._ownership.distributions)):
            for path in self._sources.get(owner, ()) if owner in self._binary_owners else ():
                source = None if _TESTS.intersection(path.split(os.sep)) else self._source(path, owner)
                if source is not None:
                    yield source
        yield from self._startup_code()
        self._problems += self._ownership.missing(lambda path: path in self._walked or os.path.lexists(on_disk(path)))
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
            tuple(sorted((*self._ownership.distributions, *self._standard_library()), key=lambda d: (d.name.casefold(), d.source))),
            members=tuple(self._members),
            problems=tuple(dict.fromkeys(problems)),
            root=installed(layout.root),
            sites=tuple(map(installed, (*layout.sites, *self._added))),
            interpreter=interpreter,
            origin=", ".join(filter(None, (layout.kind, _python(layout.interpreter), self._reason))),
        )

    def _standard_library(self) -> Iterator[Distribution]:
        if self._has_standard_modules:
            version = ".".join(map(str, self._layout.interpreter.version))
            yield Distribution(PYTHON_OWNER, version, root=installed(self._layout.standard[0]), source="python")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing: each file is closed once it was read."""

    # ---- records

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
        for path in self._ownership.files:
            if not path.startswith(sites) and _may_load(path) and not path.endswith(".py"):
                yield from self._once(on_disk(path))
        yield from self._python_itself()
        if self._layout.kind == "conda environment":
            for folder in _CONDA_FOLDERS:
                whole = os.path.join(self._layout.root, *folder.split("/"))
                for name in self._names(whole):
                    if _may_load(name) and not name.endswith(".py"):
                        yield from self._once(os.path.join(whole, name))
        yield from self._followed()

    def _python_itself(self) -> Iterator[str]:
        """Yield the interpreter and its library, where they lie in this prefix."""
        path, root = self._layout.interpreter.path, self._layout.root
        if path and path.startswith(os.path.join(root, "")):
            yield from self._once(path)
            for folder in (os.path.dirname(path), os.path.join(root, "lib")):
                for name in self._names(folder):
                    if _PYTHON_LIBRARY.fullmatch(name):
                        yield from self._once(os.path.join(folder, name))

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
            if limit and (os.path.isfile(os.path.join(here, "pyvenv.cfg")) or not self._is_on_disk_of(folder, here)):
                continue  # another environment, or another file system, inside a developer's folder
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

    def _is_on_disk_of(self, folder: str, here: str) -> bool:
        try:
            return os.stat(folder).st_dev == os.stat(here).st_dev
        except OSError:  # told when it is listed
            return True

    def _file(self, entry: "os.DirEntry[str]") -> Iterator[str]:
        path = installed(entry.path)
        if path in self._walked:
            return
        self._walked.add(path)
        if entry.name.endswith(".py"):
            self._sources.setdefault(self._ownership.owner(path), []).append(entry.path)
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
                for path in self._leads(site, name) if editable.is_telling(name) else ():
                    where = os.path.realpath(path)
                    if os.path.isfile(where):
                        self._sources.setdefault(self._ownership.owner(installed(where)), []).append(where)
                    elif where == os.path.dirname(where):
                        self._problems.append(
                            Problem("directory", self._member(installed(os.path.join(site, name))), "leads to a whole disk")
                        )
                    elif os.path.isdir(where) and where not in (*self._layout.sites, *self._added):
                        if name.endswith(".pth"):
                            self._added.append(where)
                        self._ownership.give(installed(where), self._ownership.owner(installed(os.path.join(site, name))))
                        yield from self._below(where, _MOST_FOLLOWED)

    def _leads(self, site: str, name: str) -> Iterator[str]:
        text = self._text(os.path.join(site, name))
        return editable.leads(name, text.replace("\\", "/") if self._layout.windows else text, site)

    def _standard_modules(self) -> Iterator[Entry]:
        """Yield the extension modules of the standard library, and the DLLs beside them, that nobody else has brought; no members."""
        for folder in self._layout.standard:
            for name in self._names(folder) if os.path.isdir(folder) else ():
                for path in self._once(os.path.join(folder, name)) if name.endswith((".so", ".pyd", ".dll")) else ():
                    try:
                        data = FileBuffer(path)
                    except OSError as error:
                        self._unreadable(path, error)
                        continue
                    self._has_standard_modules = True
                    with data:
                        where = installed(path)
                        yield Entry(Member(self._member(where), len(data)), where, data, PYTHON_OWNER)

    # ---- one file

    def _opened(self, path: str, wanted: Wanted) -> Iterator[Entry]:
        try:
            data = FileBuffer(path)
        except OSError as error:
            self._unreadable(path, error)
            return
        where = installed(path)
        owner = self._ownership.owner(where)
        with data:
            if wanted(data[:64]):
                self._binary_owners.add(owner)
            member = Member(self._member(where), len(data), 0, self._ownership.hashes.get(where, ""))
            self._members.append(member)
            yield Entry(member, where, data, owner)

    def _source(self, path: str, owner: str) -> Entry | None:
        data = self._contents(path)
        if data is None:
            return None
        member = Member(self._member(installed(path)), len(data), 0, self._ownership.hashes.get(installed(path), ""))
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
                        yield Entry(member, path, code.encode("utf-8", "surrogateescape"), self._ownership.owner(path))

    def _member(self, path: str) -> str:
        for folder in self._named_from:
            if path.startswith(folder):
                return path[len(folder) :]
        return path

    # ---- what the records say and the disk does not

    def _check_hashes(self) -> None:
        for path, digest in self._ownership.hashes.items():
            try:
                with open(on_disk(path), "rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:  # told as missing or not readable already
                continue
            if found != digest:
                message = f"differs from what {self._ownership.owner(path)}'s record says: changed since it was installed"
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
        except (FileNotFoundError, ValueError):  # ValueError: pyvenv.cfg names a home with a NUL, which no folder bears
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


def _may_load(path: str) -> bool:
    """Tell by its name whether a loader, or we, may want to look into a file."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() not in TEXT if "." in name else name not in _PLAIN


_PLAIN = frozenset(
    ("RECORD", "METADATA", "WHEEL", "INSTALLER", "REQUESTED", "LICENSE", "COPYING", "README", "NOTICE", "AUTHORS", "PKG-INFO")
)
"""Names without an ending that no loader maps."""
