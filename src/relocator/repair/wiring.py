"""What the planners of the systems are given, and what they give back.

The thinking that is the same everywhere (which files are brought in, which file meets which need, how vendored files are told apart) is
done before; a system's module says where the files lie, what they are called, and which edits and texts make its loader find them.
Paths are installed paths (`model.PREFIX`), of files outside the wheel paths of this machine, as in the Survey.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from relocator.model import Binary, How, Needed, Survey
from relocator.plans import Edit
from relocator.repairs import Action, Origin, Refusal, RepairOptions


class Link(NamedTuple):
    """One need of one file in the finished wheel, and what meets it."""

    importer: str
    """Path of the file now: one of the wheel's own, or a taken one."""
    needed: Needed
    arch: str
    target: str
    """Path now of the file that is to meet the need: in the wheel, or taken, or of another distribution (`how` PROVIDED);
    "" when no file of the finished wheel does (promised, excluded, missing and allowed)."""
    how: How
    via: str
    reachable: bool
    """The importer's loader finds exactly this file by what the wheel says now, without help from outside, in every load that counts
    (`places.loads_that_count`). False for what a taken file needs."""


class Taken(NamedTuple):
    """A file that is brought in."""

    binary: Binary
    via: str
    """The rule by which it was found."""
    digest: str
    """Eight hexadecimal digits or more, different for files that are different: over its content, whether it is stripped, and its vendored
    needs."""
    wanted: bool
    """Asked for by `--include`: everything in the wheel is to find it by its name, unless it is `renamed`."""
    renamed: bool
    """May be given a new name: neither kept by an option, nor `wanted` and, as far as it is ELF, needed by nothing."""


class Beside(NamedTuple):
    """A file that lies beside one that is brought in, and belongs to it: its symbols (.pdb), its import library (.lib)."""

    path: str
    """Path of the file that is brought in."""
    origin: Origin


@dataclass(frozen=True, slots=True)
class Request:
    """What a system's planner is given."""

    survey: Survey
    """Of the wheel as it is, with the world that it was looked up in."""
    texts: Mapping[str, bytes]
    """Members kept whole: WHEEL, RECORD, sources that may have to be patched."""
    options: RepairOptions
    taken: tuple[Taken, ...]
    """Sorted by path."""
    links: tuple[Link, ...]
    """Of the wheel's own binaries and of the taken ones; each (importer, arch, needed) once."""

    beside: tuple[Beside, ...] = ()
    """Of the taken files; only for Windows, and only as far as options ask for it."""

    @property
    def wheel_name(self) -> str:
        """The distribution's name as the wheel's file name spells it; its own where that does not say."""
        facts = self.survey.container
        return facts.file_name.partition("-")[0] or facts.distributions[0].name

    def links_of(self, path: str) -> tuple[Link, ...]:
        """Return the needs of one file."""
        return tuple(link for link in self.links if link.importer == path)


class Placed(NamedTuple):
    """Where a file lies in the finished wheel: every taken one, and those of the wheel that move.

    A taken one whose member the wheel has already, brought in by an earlier repair from the same content, is not copied again.
    """

    path: str
    """Now."""
    member: str


class Edited(NamedTuple):
    """What is to be different in one binary."""

    path: str
    """Now."""
    edits: tuple[Edit, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Wired:
    """What a system's planner gives back."""

    placed: tuple[Placed, ...] = ()
    edited: tuple[Edited, ...] = ()
    actions: tuple[Action, ...] = field(default=())
    """Texts and further files: `AddFile`, `RewriteText`, `RemoveFile`, `SetMode`; `MoveMember` follows from `placed`."""
    remarks: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
