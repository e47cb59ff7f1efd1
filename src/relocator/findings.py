"""What an audit says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from relocator.model import Format, Survey


class Severity(IntEnum):
    """How bad: an error fails on a mainstream, still supported system that the tag admits; a warning on some; a note never."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


class Certainty(IntEnum):
    """How sure."""

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3

    def __str__(self) -> str:
        return self.name.lower()


class Where(NamedTuple):
    """A place: a binary has fields, not lines."""

    member: str = ""
    """"" for the container as a whole."""
    arch: str = ""
    field: str = ""
    """The specification's name: DT_NEEDED, DT_RUNPATH, LC_RPATH, PT_GNU_STACK, import, Tag, RECORD, ..."""
    position: int | None = None
    """Position in that field, from 0."""
    value: str = ""
    symbol: str = ""
    """The symbol to blame, with its version ("memcpy@GLIBC_2.14"); "" when none is."""
    label: str = ""
    """What to say about the value, in a few words; shown under it."""


class Finding(NamedTuple):
    """One fault, told once."""

    rule: str
    severity: Severity
    certainty: Certainty
    message: str
    """One clause, lower case, no full stop; the values are in `primary`."""
    primary: Where
    related: tuple[Where, ...] = ()
    help: str = ""
    """The next step, starting with a verb or a command."""
    repaired_by: str = ""
    """"repair", "edit", "prefix", or "" when no command of ours mends it."""
    trail: tuple[str, ...] = ()
    """Where the loader looked, in order, one line each; only for missing things."""


ALL_FORMATS = (Format.ELF, Format.MACHO, Format.PE)

EVERYWHERE = ("wheel", "folder", "file", "environment")
"""Every kind of container: for rules that judge an installed environment by what they judge a package by."""


class Rule(NamedTuple):
    """One kind of fault: its module's docstring is its page, its `check` a pure function of a Survey."""

    name: str
    """Says what is wrong and reads well after "allow"; never reused."""
    group: str
    """"Linkage", "Symbols", "Tags", "Architecture", "Search paths", "Conflicts", "ELF health", "macOS", "Windows",
    "Python's ABI" or "Archive"."""
    severity: Severity
    """The gravest that it gives."""
    check: Callable[[Survey], Iterator[Finding]]
    formats: tuple[Format, ...] = ALL_FORMATS
    containers: tuple[str, ...] = ("wheel", "folder", "file")
    repaired_by: str = ""
    """As in Finding."""
    supersedes: tuple[str, ...] = ()
    """Rules whose findings about the same place are dropped in favour of this one's."""
    needs_promise: bool = False
    """Does not run without a decided target."""
    by_role: bool = True
    """One step milder on programs and payload; False in the groups Search paths and Archive and for unreadable-binary."""
    security: bool = False
    since: str = "0.1"


class Checked(NamedTuple):
    """What was looked at, so that silence is never ambiguous."""

    members: int = 0
    binaries: int = 0
    images: int = 0
    needs: int = 0
    rules: int = 0
    undecided: int = 0
    """Needs that could not be judged for want of a target."""
    others: tuple[tuple[str, int], ...] = ()
    unjudged: tuple[str, ...] = ()
    """Rules that did not run, because they need a promise and there is no target."""


class Suppressed(NamedTuple):
    """A finding that does not count, and why."""

    finding: Finding
    by: str
    """"--ignore", "configuration" or "baseline"."""
    reason: str = ""
    """The project's own words; "" when none were asked for."""
    source: str = ""
    """Where it is written: "pyproject.toml:14"."""


@dataclass(frozen=True, slots=True)
class Report:
    """The findings about one subject for one target, the gravest first."""

    subject: str
    target: str
    findings: tuple[Finding, ...]
    checked: Checked
    suppressed: tuple[Suppressed, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    """Outside files that were used: path and sha256."""
    about: str = ""
    """What an environment is, and why it was chosen, for people."""


class Failure(NamedTuple):
    """A subject that could not be looked at: what a RelocatorError said of it."""

    subject: str
    message: str
    hint: str
    code: int
