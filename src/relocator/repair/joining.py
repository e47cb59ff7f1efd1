"""Two macOS wheels for different architectures: what the one wheel that holds both has in it, and what stands against it.

Everything but code has to be the same in both, or somebody has to say which is right: nothing is chosen silently.
"""

import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from relocator.containers.wheel import WheelName
from relocator.errors import UsageError
from relocator.metadata import normalised
from relocator.model import ContainerFacts, Format, Image, Member, Survey
from relocator.paint import counted
from relocator.platform_tags import columns, parse
from relocator.policy import lasting
from relocator.reading import Reading
from relocator.repair.assembling import stale_signatures
from relocator.repair.blockers import told_of
from relocator.repair.health import unsound
from relocator.repair.refusals import check_kind
from relocator.repair.tagging import purelib_for
from relocator.repairs import (
    Action,
    CopyIn,
    EditBinary,
    Origin,
    Plan,
    Refusal,
    RemoveFile,
    RepairOptions,
    Retag,
    RewriteRecord,
    RewriteText,
    SetMode,
)
from relocator.tags import broken_promises, macos_tags, macos_version, needed_macos
from relocator.wheel_file import file_name, rewritten

_JOINED = ("static archive", "Mach-O object or archive")
"""Kinds of files that no loader maps, and that hold code for an architecture all the same."""

_BEFORE_REPAIR = "fuse wheels before they are repaired: names of copied libraries have a hash of what is in them"
_ALIKE = "build both from one source tree, or say which is right: --as-first GLOB or --as-second GLOB"
_SHOWN = 3


class Choice(NamedTuple):
    """Which wheel is right where they differ in more than code: patterns of members, or of their last parts."""

    as_first: tuple[str, ...] = ()
    as_second: tuple[str, ...] = ()


AS_BUILT = Choice()
"""Nobody says which wheel is right."""


class Side:
    """One of the two wheels, as it was read."""

    def __init__(self, path: str, name: WheelName, reading: Reading, survey: Survey) -> None:
        self.path = path
        self.name = name
        self.reading = reading
        self.survey = survey
        self.facts: ContainerFacts = survey.container
        self.members: dict[str, Member] = {member.name: member for member in self.facts.members}
        self.images: dict[str, tuple[Image, ...]] = {b.member: b.images for b in reading.binaries if b.format == Format.MACHO}

    def is_code(self, member: str) -> bool:
        """Tell whether a file is made for one architecture, so that the other wheel's can be joined to it."""
        return member in self.images or self.reading.kinds.get(member) in _JOINED

    def arches(self, member: str) -> str:
        """Name the architectures of a file."""
        return " and ".join(image.arch for image in self.images.get(member, ())) or "one architecture"


@dataclass(slots=True)
class Draft:
    """What the fused wheel is to hold: the first wheel's members, but for these."""

    joined: list[str] = field(default_factory=list)
    """Members that hold the code of both."""
    taken: list[str] = field(default_factory=list)
    """Members that are as the second wheel has them."""
    dropped: list[str] = field(default_factory=list)
    """The first wheel's members that are left out."""
    actions: list[Action] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    """Permission bits, where they are not those of the first wheel."""
    remarks: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


# ---- do they belong together


def check_kinds(first: Side, second: Side) -> tuple[Refusal, ...]:
    """Return why two wheels do not belong together: they must be sound, for macOS, of one build, and for different architectures."""
    found: list[Refusal] = []
    for side in (first, second):
        if others := [tag for tag in columns(side.name.tags).platforms if parse(tag).os != "macos"]:
            hint = "name two wheels for macOS: elsewhere a file holds one architecture"
            found.append(Refusal(f"{side.path} is for {' and '.join(others)}", hint))
            continue
        refusals = (*check_kind((side.survey,), RepairOptions(allow_pure=True)), *unsound(side.survey))
        found += (refusal._replace(message=f"{side.path}: {refusal.message}") for refusal in dict.fromkeys(refusals))
    found += _mismatches(first, second)
    one, other = ({image.arch for images in side.images.values() for image in images} for side in (first, second))
    if not found and one == other:
        names = f"code for {' and '.join(sorted(one))}" if one else "no code"
        found.append(Refusal(f"both wheels have {names}: there is nothing to fuse", "name wheels for different architectures"))
    return tuple(found)


def _mismatches(first: Side, second: Side) -> Iterator[Refusal]:
    one, other = first.name, second.name
    here, there = columns(one.tags), columns(other.tags)
    pairs = (
        ("project", normalised(one.name), normalised(other.name)),
        ("version", one.version, other.version),
        ("build number", one.build or "none", other.build or "none"),
        ("Python tag", ".".join(sorted(here.pythons)), ".".join(sorted(there.pythons))),
        ("ABI tag", ".".join(sorted(here.abis)), ".".join(sorted(there.abis))),
        ("variant", one.variant or "none", other.variant or "none"),
        (".dist-info folder", first.facts.dist_info, second.facts.dist_info),
        ("Root-Is-Purelib", str(first.facts.purelib).lower(), str(second.facts.purelib).lower()),
    )
    for what, mine, its in pairs:
        if mine != its:
            yield Refusal(f"the two wheels differ in their {what}: {mine} and {its}", "build both from one source tree, for one Python")


# ---- what becomes of each member


def draft(first: Side, second: Side, choice: Choice) -> Draft:
    """Return what becomes of every member but WHEEL and RECORD, which are made. Raises UsageError when a choice contradicts itself."""
    found, used = Draft(), Counter[str]()
    info = first.facts.dist_info
    signatures = {action.member: action for side in (second, first) for action in stale_signatures(side.facts)}
    found.dropped += (name for name in signatures if name in first.members)
    found.actions += signatures.values()
    for name in dict.fromkeys((*first.members, *second.members)):
        if name not in (f"{info}/WHEEL", f"{info}/RECORD", *signatures):
            preferred = _preferred(name, choice, used)
            _decide(found, name, (first, second), preferred)
            _settle_mode(found, name, (first, second), preferred)
    found.refusals += _clashes(found, first, second)
    unused = (glob for glob in (*choice.as_first, *choice.as_second) if not used[glob])
    found.remarks += (f"{glob} fits no file" for glob in unused)
    return found


def _preferred(name: str, choice: Choice, used: Counter[str]) -> int | None:
    """Return which wheel is right about a member, 0 or 1; None when nobody said."""
    globs = [[glob for glob in some if fnmatchcase(name, glob) or fnmatchcase(name.rpartition("/")[2], glob)] for some in choice]
    used.update(glob for some in globs for glob in some)
    if all(globs):
        raise UsageError(f"{name} fits both {globs[0][0]!r} and {globs[1][0]!r}", "let one of --as-first and --as-second name it")
    return 0 if globs[0] else 1 if globs[1] else None


def _decide(found: Draft, name: str, sides: tuple[Side, Side], preferred: int | None) -> None:
    first, second = sides
    mine, its = first.members.get(name), second.members.get(name)
    if preferred is not None:
        _take(found, name, sides, preferred)
    elif mine is None or its is None:
        _lone(found, name, sides, 0 if mine else 1)
    elif mine.sha256 and mine.sha256 == its.sha256:
        return
    elif first.is_code(name) and second.is_code(name):
        found.joined.append(name)
        because = f"holds {first.arches(name)} from the first wheel and {second.arches(name)} from the second"
        found.actions.append(EditBinary(name, (), because))
    else:
        found.refusals.append(Refusal(f"{name} differs: {_told(mine)} and {_told(its)}", _ALIKE))


def _told(member: Member) -> str:
    return f"{counted(member.size, 'byte')} (sha256 {member.sha256[:12] or 'unknown'})"


def _lone(found: Draft, name: str, sides: tuple[Side, Side], index: int) -> None:
    """Decide about a file that one wheel has: text and data stay, code would be missing on the other architecture."""
    side, other = sides[index], sides[1 - index]
    if side.is_code(name):
        twin = next((known for known in other.images if lasting(known) == lasting(name)), "")
        likeness = f"; {other.path} has {twin}" if twin else ""
        wheels = ("first", "second")
        hint = f"build it for both; --as-{wheels[index]} GLOB takes it as it is, --as-{wheels[1 - index]} GLOB leaves it out"
        told = f"{name} is in {side.path} alone, with code for {side.arches(name)}{likeness}"
        found.refusals.append(Refusal(told, _BEFORE_REPAIR if twin else hint))
        return
    found.remarks.append(f"{name} is in {side.path} alone")
    _take(found, name, sides, index)


def _take(found: Draft, name: str, sides: tuple[Side, Side], index: int) -> None:
    """Let a member be as one wheel has it, also absent."""
    first, second = sides
    mine, wanted = first.members.get(name), sides[index].members.get(name)
    if wanted == mine or (wanted and mine and wanted.sha256 == mine.sha256 != ""):
        return
    if wanted is None:
        found.dropped.append(name)
        found.actions.append(RemoveFile(name, "the second wheel does not have it"))
        return
    found.taken.append(name)
    origin = Origin(f"{second.path}/{name}", wanted.sha256, wanted.size, "the second wheel")
    found.actions.append(CopyIn(name, origin, (), "asked for with --as-second" if mine else "the second wheel alone has it"))


def _settle_mode(found: Draft, name: str, sides: tuple[Side, Side], preferred: int | None) -> None:
    """Let a file be executable as the wheel has it that is right about it; when nobody said which is, as soon as one of them has it so."""
    mine, its = (mode_of(side.members.get(name)) for side in sides)
    if mine is None or its is None or bool(mine & 0o111) == bool(its & 0o111):
        return
    runs = 0 if mine & 0o111 else 1
    if preferred is None:
        found.remarks.append(f"{name} may be run, as in {sides[runs].path}")
    if (runs if preferred is None else preferred) == 1:
        found.modes[name] = its
        found.actions.append(SetMode(name, its, "as the second wheel has it"))


def _clashes(found: Draft, first: Side, second: Side) -> Iterator[Refusal]:
    """Yield what cannot be unpacked into one folder: names that differ in their case alone, and a file in the place of a folder."""
    names = [*(name for name in first.members if name not in found.dropped), *(name for name in found.taken if name not in first.members)]
    files: dict[str, str] = {}
    for name in names:
        files.setdefault(name.casefold(), name)
    for name in names:
        above = ["/".join(name.split("/")[:count]) for count in range(1, name.count("/") + 1)]
        for other in filter(None, (files.get(part.casefold()) for part in (*above, name))):
            if other != name:
                yield Refusal(f"{name} and {other} cannot lie in one folder", "--as-first GLOB or --as-second GLOB leaves one of them out")


def mode_of(member: Member | None) -> int | None:
    """Return a member's permission bits; None when none were stored."""
    return (stat.S_IMODE(member.mode) or None) if member else None


# ---- the plan


def planned(first: Side, second: Side, found: Draft) -> Plan:
    """Return the plan for a draft without refusals."""
    platforms, remarks = _platforms(first, second)
    old = columns(first.name.tags)
    name = first.name._replace(tags=old._replace(platforms=platforms).expanded())
    wheel, record = (f"{first.facts.dist_info}/{leaf}" for leaf in ("WHEEL", "RECORD"))
    text = rewritten(first.reading.texts[wheel], columns(name.tags).expanded(), purelib=purelib_for(first.survey, platforms))
    before = tuple(dict.fromkeys((*old.platforms, *columns(second.name.tags).platforms)))
    made = (
        Retag(before, platforms, "each architecture keeps what its wheel promised"),
        RewriteText(wheel, text, "says the tags of the fused wheel"),
        RewriteRecord(record, "other files change"),
    )
    told = (*_joined_remark(found), *remarks, *found.remarks)
    return Plan(f"{first.path} + {second.path}", file_name(name), (*found.actions, *made), remarks=told)


def _joined_remark(found: Draft) -> Iterator[str]:
    if found.joined:
        more = ", ..." if len(found.joined) > _SHOWN else ""
        yield f"{counted(len(found.joined), 'file')} joined from the code of both wheels: {', '.join(found.joined[:_SHOWN])}{more}"


def _platforms(first: Side, second: Side) -> tuple[tuple[str, ...], list[str]]:
    """Return the tags that promise for each architecture what its wheel did, or what its files need if that is more."""
    versions: dict[str, tuple[int, int]] = {}
    remarks: list[str] = []
    for side in (first, second):
        remarks += (f"{side.path}: {told}, which its tag did not say" for told in told_of(broken_promises(side.survey)))
        for arch, floor in side.survey.target.floors:
            promised, needed = macos_version(floor), needed_macos(side.survey, arch)
            versions[arch] = max(promised, needed or promised, versions.get(arch, promised))
    return tuple(sorted(macos_tags(versions))), remarks
