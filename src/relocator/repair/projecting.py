"""What a survey of the finished wheel must find, worked out from the plan, and in what a survey of the real one differs from it."""

import dataclasses
import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from relocator import metadata, python_sources
from relocator.containers.wheel import installed_path, parse_wheel_name
from relocator.model import Binary, ContainerFacts, Load, Member, Problem, RecordRow, Survey
from relocator.projection import edited, loader_view
from relocator.reading import SOURCES, Reading
from relocator.records import record_hash
from relocator.repairs import NEW_BINARY, NEW_FILE, AddFile, CopyIn, EditBinary, Plan, RewriteText, Strip
from relocator.survey import package_survey
from relocator.tags import targets_of
from relocator.target import Target

_OF_THE_CONTENTS = ("metadata", "entry-points", "license-file")
"""Kinds of problems that are still there when the archive was written anew."""

_UNKNOWN = "0" * 64
"""Stands in RECORD for a hash that nobody knows before the bytes are made."""

_Value = TypeVar("_Value")
_Places = Mapping[str, str | None]
"""What members become that do not stay where they are, see `Plan.places`."""


class Projection(NamedTuple):
    """The finished wheel as a survey will see it."""

    survey: Survey
    reading: Reading


def project(survey: Survey, reading: Reading, plan: Plan, draft: Projection | None = None) -> Projection:
    """Return the survey of the finished wheel; `survey` is of the wheel as it is, with the outside files that are brought in.

    `draft` is what was projected for the same plan before its tags, and texts that no loader sees, were known.
    """
    if not plan:
        return draft or Projection(package_survey(survey.container, reading, survey.target), reading)
    facts = _facts(survey, plan)
    after, target = _reading(survey, reading, plan), _target(survey, facts)
    if draft is not None and target == draft.survey.target:
        return Projection(dataclasses.replace(draft.survey, container=facts), after)
    return Projection(package_survey(facts, after, target), after)


def _target(survey: Survey, facts: ContainerFacts) -> Target:
    """Return what the new tags promise; what was judged by, where they say nothing of that system."""
    own = [target for target in targets_of(facts) if target.os == survey.target.os]
    same = [target for target in own if target.libc in ("", survey.target.libc)]
    return (same or [survey.target])[0]


# ---- what a reading will find


def _reading(survey: Survey, reading: Reading, plan: Plan) -> Reading:
    places, texts = plan.places(), _texts(plan)
    after = Reading(others=reading.others.copy(), texts={**_renamed(reading.texts, places), **texts})
    after.kinds = _renamed(reading.kinds, places)
    after.binaries = [*_own(reading, plan, places), *_brought(survey, plan)]
    for item in reading.unreadable:
        if (member := places.get(item.member, item.member)) is not None:
            after.unreadable.append(dataclasses.replace(item, member=member, path=installed_path(member)))
    binaries = {binary.path for binary in after.binaries} | {item.path for item in after.unreadable}
    members = [member.name for member in _members(survey, plan)]
    after.other_paths = [path for path in map(installed_path, members) if path not in binaries]
    owner = survey.container.distributions[0].name
    old = [(new, hint) for hint in reading.hints if (new := places.get(hint.member, hint.member)) is not None and new not in texts]
    after.hints = [hint._replace(member=member) for member, hint in old]
    for member, data in texts.items():
        after.hints += python_sources.hints(member, installed_path(member), data) if member.endswith(SOURCES) else ()
    after.sources = {hint.member: (installed_path(hint.member), owner) for hint in after.hints}
    return after


def _texts(plan: Plan) -> dict[str, bytes]:
    return {action.member: action.data for action in plan.actions if isinstance(action, AddFile | RewriteText)}


def _renamed(by_member: Mapping[str, _Value], places: _Places) -> dict[str, _Value]:
    return {new: value for member, value in by_member.items() if (new := places.get(member, member)) is not None}


def _own(reading: Reading, plan: Plan, places: _Places) -> Iterator[Binary]:
    """Yield the wheel's own binaries, edited and moved; the bytes of what is edited are not known."""
    edits = {action.member: action.edits for action in plan.actions if isinstance(action, EditBinary)}
    replaced = {action.member for action in plan.actions if isinstance(action, Strip)}
    for binary in reading.binaries:
        member = places.get(binary.member, binary.member)
        if member is not None:
            images = tuple(edited(image, edits.get(member, ())) for image in binary.images)
            sha256 = "" if member in edits or member in replaced else binary.sha256
            yield dataclasses.replace(binary, member=member, path=installed_path(member), images=images, sha256=sha256)


def _brought(survey: Survey, plan: Plan) -> Iterator[Binary]:
    """Yield what is brought in, as the distribution's own; files that are no binaries have nothing for a loader."""
    outside = {binary.member: binary for binary in survey.binaries if not binary.owner}
    for action in plan.actions:
        if isinstance(action, CopyIn) and (binary := outside.get(action.origin.path)) is not None:
            images = tuple(edited(image, action.edits) for image in binary.images)
            path = installed_path(action.member)
            yield Binary(action.member, path, images, "", binary.size, survey.container.distributions[0].name)


# ---- what the container will say


def _facts(survey: Survey, plan: Plan) -> ContainerFacts:
    facts, texts = survey.container, _texts(plan)
    name = parse_wheel_name(plan.output)
    members = tuple(_members(survey, plan))
    changes = dataclasses.replace(
        facts,
        subject=plan.output,
        tags=name.tags if name else facts.tags,
        variant=name.variant if name else facts.variant,
        members=members,
        record=tuple(_rows(members, f"{facts.dist_info}/RECORD")),
        problems=tuple(_remaining(facts.problems, plan.places())),
    )
    wheel = texts.get(f"{facts.dist_info}/WHEEL")
    if wheel is None:
        return changes
    headers = metadata.parse_headers(wheel)
    purelib = metadata.values(headers, "root-is-purelib")
    says = purelib[0].lower() == "true" if purelib else None
    return dataclasses.replace(changes, declared_tags=metadata.values(headers, "tag"), purelib=says)


def _remaining(problems: Iterable[Problem], places: _Places) -> Iterator[Problem]:
    """Yield the problems of what members hold, unless these are left out; those of the archive are gone."""
    for problem in problems:
        if problem.kind in _OF_THE_CONTENTS and places.get(problem.member, problem.member) is not None:
            yield problem


def _members(survey: Survey, plan: Plan) -> Iterator[Member]:
    """Yield the members of the finished wheel: the old ones in their order, then the new ones, RECORD last."""
    places, new = plan.places(), _contents(survey, plan)
    modes = plan.modes()
    record = f"{survey.container.dist_info}/RECORD"
    found: dict[str, Member] = {}
    for member in survey.container.members:
        if (name := places.get(member.name, member.name)) is not None and name != record:
            mode = member.mode or stat.S_IFREG | NEW_FILE  # none was stored: whoever writes the archive stores the usual one
            found[name] = new.get(name, member)._replace(name=name, mode=mode)
    for name, member in new.items():
        found.setdefault(name, member)
    old = next((member.mode for member in survey.container.members if member.name == record), 0)
    found[record] = Member(record, 0, old or stat.S_IFREG | NEW_FILE)
    for name, member in found.items():
        yield member._replace(mode=stat.S_IFMT(member.mode) | modes[name]) if name in modes else member


def _contents(survey: Survey, plan: Plan) -> dict[str, Member]:
    """Return the members that the plan gives other contents, without a hash where only the bytes will tell."""
    outside = {binary.member for binary in survey.binaries if not binary.owner}
    found: dict[str, Member] = {}
    for action in plan.actions:
        match action:
            case EditBinary(member) | Strip(member):
                found[member] = Member(member, 0)
            case CopyIn(member, origin):
                mode = NEW_BINARY if origin.path in outside else NEW_FILE
                found[member] = Member(member, origin.size, stat.S_IFREG | mode)
            case AddFile() | RewriteText():
                mode = stat.S_IFREG | (action.mode if isinstance(action, AddFile) else NEW_FILE)
                found[action.member] = Member(action.member, len(action.data), mode, hashlib.sha256(action.data).hexdigest())
    return found


def _rows(members: Iterable[Member], record: str) -> Iterator[RecordRow]:
    for line, member in enumerate(members, 1):
        digest = record_hash(member.sha256 or _UNKNOWN)
        own = member.name == record
        yield RecordRow(member.name, "" if own else f"sha256={digest}", "" if own else str(member.size), line)


# ---- what is different


def differences(projected: Survey, found: Survey) -> tuple[str, ...]:
    """Return what the survey of a finished wheel says that was not projected, one line each, sorted; nothing when a loader sees no
    difference.

    Not compared is what no loader acts on: sizes, hashes, RECORD, signatures, and the trail of a search.
    """
    return tuple(sorted(_different(dict(_told(projected)), dict(_told(found)))))


def _different(planned: Mapping[tuple[str, str], object], found: Mapping[tuple[str, str], object]) -> Iterator[str]:
    for place, field in dict.fromkeys((*planned, *found)):
        one, other = planned.get((place, field), "nothing"), found.get((place, field), "nothing")
        if one != other:
            yield f"{place}: {field}: planned {one}, found {other}"


def _told(survey: Survey) -> Iterator[tuple[tuple[str, str], object]]:
    """Yield everything that a loader or an installer acts on: its place, its name, and the value."""
    facts = survey.container
    yield ("the wheel", "tags"), facts.tags
    yield ("the wheel", "Tag"), facts.declared_tags
    yield ("the wheel", "Root-Is-Purelib"), facts.purelib
    for member in facts.members:
        yield (member.name, "mode"), f"{stat.S_IMODE(member.mode):03o}"
    for binary in survey.binaries:
        yield (binary.member, "path"), binary.path
        yield (binary.member, "module"), binary.extension
        yield (binary.member, "role"), str(binary.role)
        for number, image in enumerate(binary.images):
            yield (binary.member, f"image {number}"), loader_view(image)
    for unreadable in survey.unreadable:
        yield (unreadable.member, "unreadable"), unreadable.path
    for load in survey.loads:
        yield from _told_of(load)
    for member_name in dict.fromkeys(hint.member for hint in survey.hints):
        yield (member_name, "hints"), [(h.line, h.call, h.argument) for h in survey.hints if h.member == member_name]


def _told_of(load: Load) -> Iterator[tuple[tuple[str, str], object]]:
    where = f"load of {load.root} ({load.arch})"
    yield (where, "order"), load.order
    for number, resolution in enumerate(load.resolutions):
        need = f"{resolution.importer}: {resolution.needed.name} ({number})"
        yield (where, need), (resolution.how, resolution.target, resolution.via)
