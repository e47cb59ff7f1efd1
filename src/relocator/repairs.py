"""The words of a repair: what is asked for, what is to become of a wheel, what was done, and why a repair was refused."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from relocator.errors import RelocatorError
from relocator.findings import Failure, Finding
from relocator.plans import Edit

# ---- what is asked for


class Provider(NamedTuple):
    """A distribution whose libraries are to be used where they lie, instead of copies of them."""

    name: str
    """Normalised (PEP 503)."""
    path: str = ""
    """A wheel, or the prefix of an environment; "" to look it up."""


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """What decides the plan. Places to take libraries from are `Sought`; how archives are written is `Writing`."""

    plat: tuple[str, ...] = ()
    """Platform tags that the wheel is to bear; () for the best that its binaries allow."""
    only_plat: bool = False
    """Bear no better tag beside those of `plat`."""
    update_tags: bool = True
    exclude: tuple[str, ...] = ()
    """Patterns: without "*" the base name, or a part of the path if there is a "/"."""
    include: tuple[str, ...] = ()
    """Names, patterns or paths of libraries to bring in although nothing needs them, or although the target promises them."""
    provided_by: tuple[Provider, ...] = ()
    allow_missing: bool = False
    check_isa: bool = True
    """Let what the x86-64 level of binaries says (x86-64-v2 and so on) forbid a tag."""
    require_arches: tuple[str, ...] = ()
    require_macos: tuple[int, ...] = ()
    """Refuse binaries that need a newer macOS than this one."""
    no_rename: tuple[str, ...] = ()
    """Patterns of libraries that keep their names; ("*",) for all."""
    lib_sdir: str = ""
    """What the folder of vendored libraries is called: ".libs", ".dylibs"; "" for the system's own."""
    strip: str = ""
    """A tool, "auto" for one that knows the format, "" not to strip."""
    namespace_packages: tuple[str, ...] = ()
    """Windows: dotted names of packages whose `__init__.py` must not exist."""
    custom_patch: bool = False
    """Windows: put the patch where sources say so, and only there."""
    analyze_existing: bool = False
    """Windows: also mend DLLs and programs of the wheel that no import reaches."""
    include_symbols: bool = False
    """Windows: bring the .pdb files that lie beside the DLLs taken."""
    include_imports: bool = False
    """Windows: bring the .lib files that lie beside the DLLs taken."""
    unmodified_runtimes: bool = False
    """Windows: leave Microsoft's redistributable runtimes as they are, name and bytes."""
    keep_execstack: bool = False
    allow_pure: bool = False
    """Copy a wheel without binaries instead of refusing it."""
    sbom: bool = True
    fix_notes: bool = False
    """Also mend what an audit would only note."""


class Sought(NamedTuple):
    """Where libraries may be taken from, beside the wheel itself."""

    search: tuple[str, ...] = ()
    """Absolute directories, first of all."""
    instead_of_host: tuple[str, ...] = ()
    """Absolute directories that replace the host's own (`--ldpaths`)."""
    environment: tuple[tuple[str, str], ...] = ()
    """Environment variables."""
    host: bool = True
    """The directories that environment variables name, this machine's loader directories, and absolute paths in binaries count."""
    prefix: str = ""
    """An environment in which the distributions of `--provided-by` are looked up after `search`; "" for none."""


class Writing(NamedTuple):
    """How the archive is written, and where."""

    folder: str
    level: int = 6
    """Of compression, 0 to 9."""
    epoch: int | None = None
    """SOURCE_DATE_EPOCH, in seconds; None to keep the members' dates."""
    force: bool = False
    """Replace an output that exists and differs."""
    dry_run: bool = False
    verify: str = "normal"
    """A `verification.Level`."""


# ---- what is to become of the wheel

NEW_BINARY, NEW_FILE = 0o755, 0o644
"""Permissions of new members."""


class Origin(NamedTuple):
    """A file outside the wheel that is brought into it."""

    path: str
    """On this machine."""
    sha256: str
    size: int
    via: str
    """The rule by which it was found: "ld.so.cache", "DT_RUNPATH of demo/_core.so: /opt/lib", "--search /opt/lib"."""


@dataclass(frozen=True, slots=True)
class EditBinary:
    """Rewrite a binary of the wheel."""

    member: str
    """Where it lies in the finished wheel."""
    edits: tuple[Edit, ...]
    because: str


@dataclass(frozen=True, slots=True)
class CopyIn:
    """Bring a file from outside into the wheel."""

    member: str
    origin: Origin
    edits: tuple[Edit, ...]
    because: str


@dataclass(frozen=True, slots=True)
class MoveMember:
    """Let a member lie elsewhere in the wheel."""

    member: str
    """Where it lies now."""
    to: str
    because: str


@dataclass(frozen=True, slots=True)
class AddFile:
    """Add a file that the plan holds whole."""

    member: str
    data: bytes = field(repr=False)
    because: str
    mode: int = NEW_FILE


@dataclass(frozen=True, slots=True)
class RewriteText:
    """Give a member other contents, which the plan holds whole."""

    member: str
    data: bytes = field(repr=False)
    because: str


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Leave a member out."""

    member: str
    because: str


@dataclass(frozen=True, slots=True)
class SetMode:
    """Give a member other permissions."""

    member: str
    mode: int
    """Permission bits."""
    because: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Take debugging information and symbols that no loader needs out of a binary, before it is edited."""

    member: str
    """Where it lies in the finished wheel."""
    tool: str
    """A program, or "auto"."""
    because: str


@dataclass(frozen=True, slots=True)
class Retag:
    """Let the wheel promise other platforms: its file name says so, and WHEEL, which is a `RewriteText` of its own."""

    before: tuple[str, ...]
    """Platform tags."""
    after: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class RewriteRecord:
    """Write RECORD anew: last of all, whenever anything else changes."""

    member: str
    because: str


Action = EditBinary | CopyIn | MoveMember | AddFile | RewriteText | RemoveFile | SetMode | Strip | Retag | RewriteRecord


class Left(NamedTuple):
    """A library that is needed and stays outside although the target does not promise it."""

    name: str
    importers: tuple[str, ...]
    """Members."""
    why: str
    """"--exclude libcuda*", "--provided-by nvidia-cublas", "the interpreter itself", "--allow-missing"."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of one wheel. Falsy when nothing is to change."""

    subject: str
    output: str
    """File name of the finished wheel."""
    actions: tuple[Action, ...] = ()
    left: tuple[Left, ...] = ()
    remarks: tuple[str, ...] = ()
    """What the user should know, each a sentence without its full stop."""

    def __bool__(self) -> bool:
        return bool(self.actions)

    def places(self) -> dict[str, str | None]:
        """Return what members of the wheel as it is become that do not stay where they are: None for those that are left out."""
        moved: dict[str, str | None] = {action.member: action.to for action in self.actions if isinstance(action, MoveMember)}
        return moved | {action.member: None for action in self.actions if isinstance(action, RemoveFile)}

    def modes(self) -> dict[str, int]:
        """Return the permission bits that members of the finished wheel are to have, where those are others."""
        return {action.member: action.mode for action in self.actions if isinstance(action, SetMode)}


class Refusal(NamedTuple):
    """One reason why the wheel cannot be repaired."""

    message: str
    """With the file, the library and the symbol that are to blame, as far as there are any."""
    hint: str
    """The next step."""


class RepairRefused(RelocatorError):
    """A wheel that cannot be repaired as asked: all reasons at once."""

    exit_code = 4

    def __init__(self, reasons: tuple[Refusal, ...]) -> None:
        super().__init__("; ".join(reason.message for reason in reasons), reasons[0].hint if reasons else "")
        self.reasons = reasons

    def __reduce__(self) -> tuple[type["RepairRefused"], tuple[tuple[Refusal, ...]]]:
        return type(self), (self.reasons,)


# ---- what was done


class Outcome(StrEnum):
    """What happened to a wheel."""

    WRITTEN = "written"
    COPIED = "copied"
    """There was nothing to do: the output has the input's bytes."""
    PRESENT = "present"
    """The output was there already, with the same bytes."""
    PLANNED = "planned"
    """A dry run."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What became of one wheel."""

    subject: str
    outcome: Outcome
    plan: Plan | None = None
    """None when it could not be planned."""
    output: str = ""
    """Path of the finished wheel; "" when none was written."""
    sha256: str = ""
    remaining: tuple[Finding, ...] = ()
    """What an audit finds in the finished wheel."""
    verified: tuple[str, ...] = ()
    """What was verified, each a clause for people."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Outside files that were used: path and sha256."""
    failures: tuple[Failure, ...] = ()
