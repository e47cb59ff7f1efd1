"""The nouns: what a package holds and what a loader makes of it.

Everything here is a plain value that pickles and compares equal afterwards. Paths inside a container are called *members* and are
kept exactly as the archive spells them (a `str`, since a path type would quietly normalise what a rule has to judge). Where a file
lies once installed is its *path*: absolute, with `/`, in a world whose root is `PREFIX` (see below) or the real file system.
Text that comes out of binaries is decoded as UTF-8 with `surrogateescape`, symbol names stay bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from relocator.native import Native
from relocator.symbols import NoSymbols, SymbolTable
from relocator.target import Promises, Target

PREFIX = "/<prefix>"
"""Root of the imaginary installation in which a wheel's or folder's files are laid out."""


class Format(StrEnum):
    """A binary format that some loader maps."""

    ELF = "ELF"
    MACHO = "Mach-O"
    PE = "PE"


class NeedKind(StrEnum):
    """How strongly an image needs a library."""

    REQUIRED = "required"
    WEAK = "weak"
    REEXPORT = "re-export"
    UPWARD = "upward"
    LAZY = "lazy"
    DELAYED = "delayed"


class Needed(NamedTuple):
    """One DT_NEEDED, LC_LOAD_*DYLIB, import or delay-import descriptor: the name as written."""

    name: str
    kind: NeedKind = NeedKind.REQUIRED


class SearchPath(NamedTuple):
    """One element of a DT_RPATH or DT_RUNPATH, or one LC_RPATH, as written (possibly empty)."""

    text: str
    kind: str
    """"DT_RPATH", "DT_RUNPATH" or "LC_RPATH"."""


class VersionNeed(NamedTuple):
    """A symbol version that an ELF image asks of a library (DT_VERNEED)."""

    library: str
    version: str
    weak: bool = False
    """VER_FLG_WEAK: its absence is not fatal."""


@dataclass(frozen=True, slots=True)
class Image:
    """One architecture of one file. It does not know where it lies, so it can be cached by hash."""

    format: Format
    arch: str
    """As the platform's wheel tags spell it: x86_64, i686, aarch64, armv7l, ...; macOS arm64; Windows amd64, win32, arm64."""
    kind: str
    """"library" (shared object, dylib, DLL), "bundle" (Mach-O MH_BUNDLE), "program" or "other"."""
    native: Native
    needed: tuple[Needed, ...] = ()
    search_paths: tuple[SearchPath, ...] = ()
    identity: str | None = None
    """DT_SONAME, LC_ID_DYLIB's name, or the name in the PE export directory."""
    symbols: SymbolTable = field(default_factory=NoSymbols)
    version_needs: tuple[VersionNeed, ...] = ()
    minimum_os: tuple[int, ...] = ()
    """Mach-O deployment target, PE subsystem version, Android API level; empty when the file does not say."""
    literals: tuple[bytes, ...] = ()
    """Sorted: names of libraries in read-only data of an image that can open libraries, PE needs among them; NumPy's version messages.
    Filled by the survey, since it costs a search."""


class Role(StrEnum):
    """What a binary is for; rules are milder on what an import cannot reach."""

    IMPORTED = "import-reachable"
    PROGRAM = "program"
    PAYLOAD = "payload"


FOLDER_OWNER = "."
"""Owner of what no distribution brings, in a folder or an environment."""

PYTHON_OWNER = "CPython"
"""Owner of the extension modules of the standard library, which are in the process with those of packages and are not judged themselves."""


@dataclass(frozen=True, slots=True)
class Binary:
    """One file with at least one image."""

    member: str
    """Path in the container; for a file found outside, its absolute path."""
    path: str
    """Where it lies once installed; what $ORIGIN, @loader_path and a DLL's directory are taken from."""
    images: tuple[Image, ...]
    sha256: str = ""
    size: int = 0
    owner: str = ""
    """Name of the `Distribution` that brings it, "." in a folder without one; "" for a file from outside."""
    role: Role = Role.PAYLOAD
    extension: str | None = None
    """Name that Python imports it by ("pkg._core"), when it is an extension module."""

    @property
    def format(self) -> Format:
        """The format, one for all images."""
        return self.images[0].format

    def image(self, arch: str) -> Image | None:
        """Return the image for an architecture, None when there is none."""
        return next((image for image in self.images if image.arch == arch), None)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that has a binary's magic and cannot be read."""

    member: str
    path: str
    format: Format
    field: str
    expected: str
    offset: int | None = None
    owner: str = ""


class Member(NamedTuple):
    """One file of a container (never a folder)."""

    name: str
    size: int
    mode: int = 0
    """st_mode bits as stored, 0 when the container keeps none."""
    sha256: str = ""
    """Hexadecimal; "" when the bytes could not be read."""


class RecordRow(NamedTuple):
    """One row of RECORD, as written."""

    path: str
    hash: str
    size: str
    line: int
    """Counted from 1."""


class Problem(NamedTuple):
    """A fault of the container itself, found while reading it."""

    kind: str
    """"crc", "encrypted", "method", "local-header", "overlap", "size", "name", "duplicate", "prepended", "trailing", "record",
    "metadata", "symlink", "permission", "loop", "special", "directory", "gap", "descriptor", "comment", "extra", "entry-points",
    "license-file"; of an environment "missing-file", "shared-file", "hash" and "interpreter", too."""
    member: str
    message: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """One Python distribution: a wheel, an installed project."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    """Requires-Dist, as written."""
    root: str = ""
    """Installed path of the folder that holds its modules."""
    installer: str = ""
    """What INSTALLER says: "pip", "uv", "conda", ...; "" when nothing is installed or nobody says."""
    source: str = ""
    """"conda" for what conda installed, "pip" for what any Python installer did, "python" for the interpreter's standard library;
    "" when it is not installed, or nobody says."""
    editable: bool = False
    """Its modules lie in the developer's own folder (PEP 660)."""
    url: str = ""
    """What direct_url.json says it came from (PEP 610), or conda's record."""
    metadata: str = ""
    """Installed path of its .dist-info folder or of its file in conda-meta."""
    package: str = ""
    """File name, without its ending, of the conda package: "numpy-1.26.4-py312heda63a1_0"."""


class Interpreter(NamedTuple):
    """The Python of an environment, as its files tell; nothing is run."""

    path: str = ""
    """Real path of the executable; "" when it is not to be found, as in a copied environment."""
    prefix: str = ""
    """Where that Python is installed: not the environment, when that is a virtual one."""
    version: tuple[int, ...] = ()
    """(3, 12, 4), or as much of it as is known."""
    implementation: str = "cpython"
    """"cpython", "pypy" or "graalpy"."""
    flags: str = ""
    """ABI flags: "t" free-threaded, "d" debug."""
    problem: str = ""
    """Why `path` is unknown."""

    @property
    def tag(self) -> str:
        """Return its Python tag: "cp312", "pp310"; "" when the version is not known."""
        letters = {"cpython": "cp", "pypy": "pp"}.get(self.implementation, "py")
        return letters + "".join(map(str, self.version[:2])) if len(self.version) > 1 else ""

    @property
    def abi(self) -> str:
        """Return its ABI tag: "cp313t"; "" when it is not known."""
        return self.tag + self.flags if self.implementation == "cpython" and self.tag else ""


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What a container says about itself."""

    kind: str
    """"wheel", "folder", "file" or "environment" (also a set of wheels that is to become one)."""
    subject: str
    """How the user named it."""
    distributions: tuple[Distribution, ...] = ()
    tags: tuple[str, ...] = ()
    """Tags of the file name, expanded: "cp312-cp312-manylinux_2_17_x86_64"."""
    declared_tags: tuple[str, ...] | None = None
    """Tag lines of WHEEL, as written; None when there is no WHEEL."""
    purelib: bool | None = None
    """Root-Is-Purelib."""
    variant: str | None = None
    """Variant label of the file name (PEP 825)."""
    dist_info: str = ""
    """Name of the .dist-info folder."""
    members: tuple[Member, ...] = ()
    record: tuple[RecordRow, ...] | None = None
    """None when there is no RECORD, or no such thing here."""
    problems: tuple[Problem, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links of a folder: installed path of the link, and of the file that it leads to."""
    root: str = PREFIX
    """Installed path of the container as a whole: what module names are taken from where no distribution has a root."""
    sites: tuple[str, ...] = ()
    """Of an environment, the installed paths of the folders from which modules are imported, in the order of sys.path."""
    interpreter: Interpreter | None = None
    """Of an environment."""
    origin: str = ""
    """Of an environment, which kind it is and why it was chosen, for people: "virtual environment, from VIRTUAL_ENV"."""

    @property
    def file_name(self) -> str:
        """The last part of how the user named it."""
        return self.subject.replace("\\", "/").rpartition("/")[2]


class How(StrEnum):
    """In what way a need is met."""

    BUNDLED = "bundled"
    PROVIDED = "provided"
    EXPECTED = "expected"
    PROMISED = "promised"
    OUTSIDE = "outside"
    UNDECIDED = "undecided"
    MISSING = "missing"


class Tried(NamedTuple):
    """One place where the loader looked."""

    place: str
    """The path or name tried, expanded."""
    via: str
    """Why there: "DT_RPATH of pkg/_core.so: $ORIGIN/../libs", "default directories", "already loaded", "System32", ..."""
    outcome: str
    """"absent", "found", "other architecture", "truncated", ..."""


class Resolution(NamedTuple):
    """What became of one need of one image in one load: never a path without its reason."""

    importer: str
    """Path of the image that needs it."""
    position: int
    """Position in the importer's `needed`."""
    needed: Needed
    arch: str
    how: How
    target: str | None
    """Path of what was taken; None unless BUNDLED, PROVIDED or OUTSIDE, or PROMISED and found on this machine."""
    via: str
    """The rule that found it, or why nothing did; the same words as the last entry of `tried`."""
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """What one root brings into a process."""

    root: str
    """Path of the extension module, program, or library opened alone."""
    arch: str
    loader: str
    """"glibc", "musl", "bionic", "dyld" or "windows"."""
    order: tuple[str, ...]
    """Paths of the images in load order, the root first; outside files included, promised ones only where they were found on this
    machine."""
    resolutions: tuple[Resolution, ...]


class Hint(NamedTuple):
    """What a Python source says about loading."""

    member: str
    line: int
    call: str
    """"add_dll_directory", "cdll", "rtld_global", "setdlopenflags" or "setenv"."""
    argument: str | None
    """For add_dll_directory and cdll: the path or name, evaluated as far as literals, `__file__` and os.path or pathlib go (absolute, in
    the installed world, when it starts from `__file__`); None when it cannot be known before the program runs. For setenv: the name of
    the variable, one that silences a runtime."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The one picture that rules, outputs and planners read."""

    container: ContainerFacts
    target: Target
    promises: tuple[Promises, ...] = ()
    """One per architecture of the target; none when it is undecided."""
    binaries: tuple[Binary, ...] = ()
    """The container's, then the outside ones that some load took."""
    loads: tuple[Load, ...] = ()
    hints: tuple[Hint, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    """What was recognised and is no concern of a loader ("static archive", "object file", "WebAssembly module", ...), counted."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Outside files that were used: path and sha256."""
    global_scope: tuple[str, ...] = ()
    """Paths of the images whose symbols every load sees first, in order: the interpreter, its needs, what is opened RTLD_GLOBAL.
    Empty when no process is known, as for a wheel."""
    wanted: tuple[tuple[str, str], ...] = ()
    """Of a repair: paths of the outside files that `--include` asks for, and by which rule each was found; each has a Load of its own."""
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `places` and `bindings` worked out from the loads, once for all rules; by the module's own keys."""
    _by_path: dict[str, Binary] = field(default_factory=dict, init=False, repr=False, compare=False)

    def images(self) -> Iterator[tuple[Binary, Image]]:
        """Yield every image of the container's own binaries, the interpreter's apart."""
        for binary in self.binaries:
            if binary.owner not in ("", PYTHON_OWNER):
                for image in binary.images:
                    yield binary, image

    def binary_at(self, path: str) -> Binary | None:
        """Return the binary that lies at a path."""
        if not self._by_path:
            self._by_path.update((binary.path, binary) for binary in self.binaries)
        return self._by_path.get(path)

    def promises_for(self, arch: str) -> Promises | None:
        """Return the promises for one architecture."""
        return next((p for p in self.promises if p.arch == arch), None)
