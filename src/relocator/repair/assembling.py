"""One Plan out of what the planners say: every file changed once, in one fixed order."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.archives import encoding_fault, name_fault
from relocator.containers.wheel import installed_path
from relocator.model import Binary, ContainerFacts, How, Resolution, Survey
from relocator.native import ElfFacts
from relocator.paint import counted, short_path
from relocator.places import loads_that_count
from relocator.plans import Edit
from relocator.repair.choosing import Chosen
from relocator.repair.health import Mended
from relocator.repair.naming import is_stripped
from relocator.repair.wiring import Edited, Request, Taken, Wired
from relocator.repairs import (
    Action,
    AddFile,
    CopyIn,
    EditBinary,
    Left,
    MoveMember,
    Origin,
    Plan,
    Refusal,
    RemoveFile,
    Retag,
    RewriteRecord,
    RewriteText,
    SetMode,
    Strip,
)
from relocator.roles import maps

_ORDER = (Strip, EditBinary, CopyIn, MoveMember, AddFile, RewriteText, RemoveFile, SetMode, Retag, RewriteRecord)
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


class Meant(NamedTuple):
    """What is to meet one need, by paths in the finished wheel."""

    importer: str
    arch: str
    name: str
    """As the need is written now."""
    target: str
    """"" for what the system is to have."""


class Draft(NamedTuple):
    """A plan without tags, and why it cannot be."""

    plan: Plan
    refusals: tuple[Refusal, ...]
    outside: frozenset[str]
    """Names of libraries that stay outside or were not found, as needs name them before and after."""
    meant: tuple[Meant, ...] = ()


# ---- what the planners are given


def with_taken(survey: Survey, taken: Iterable[Taken]) -> Survey:
    """Return the survey with a binary for each file that is brought in more than once."""
    more = tuple(one.binary for one in taken if survey.binary_at(one.binary.path) is None)
    return dataclasses.replace(survey, binaries=survey.binaries + more) if more else survey


def distinct_members(taken: Iterable[Taken]) -> list[Binary]:
    """Return the files that are brought in, each with a member of its own."""
    return [dataclasses.replace(one.binary, member=one.binary.path) for one in taken]


# ---- the draft


def drafted(request: Request, chosen: Chosen, wired: Wired, mended: Mended, removed: Sequence[RemoveFile]) -> Draft:
    """Return the actions of all planners; `removed` are copies that go, whatever else was to be done with them."""
    places = {placed.path: placed.member for placed in wired.placed}
    gone = {action.member for action in removed}
    paths = {one.binary.path for one in request.taken}
    own = [binary for binary in request.survey.binaries if binary.owner and binary.member not in gone]
    edits = _merged([*wired.edited, *mended.edited])
    actions: list[Action] = [*wired.actions, *mended.actions, *removed, *_strips(request, own, places)]
    for binary in own:
        member = places.get(binary.path, binary.member)
        if member != binary.member:
            actions.append(MoveMember(binary.member, member, "has to lie where its loader finds what it needs"))
        if binary.path in edits and binary.path not in paths:
            actions.append(EditBinary(member, *edits[binary.path]))
    actions += _copies(request, places, edits)
    plan = Plan(
        request.survey.container.subject,
        request.survey.container.file_name,
        _sorted(actions),
        tuple(_left(request, chosen.left, places)),
        (*chosen.remarks, *wired.remarks, *mended.remarks),
    )
    clashes = () if wired.refusals else tuple(_clashes(request.survey, plan))
    refusals = (*chosen.refusals, *wired.refusals, *mended.refusals, *clashes)
    return Draft(plan, refusals, frozenset(_outside(request)), tuple(_meant(request, places)))


def _meant(request: Request, places: Mapping[str, str]) -> Iterator[Meant]:
    """Yield what the finished wheel is to bring together, and what stays with the system."""
    for link in request.links:
        if (link.target and link.how in (How.BUNDLED, How.OUTSIDE)) or link.how == How.PROMISED:
            importer, target = (installed_path(places[path]) if path in places else path for path in (link.importer, link.target))
            yield Meant(importer, link.arch, link.needed.name, target)


def astray(draft: Draft, projected: Survey) -> Iterator[str]:
    """Yield a remark for each need that finds another file in the finished wheel than it is meant to, or none."""
    found = _answers(projected)
    for meant in draft.meant:
        given = found.get((meant.importer, meant.arch), ())
        who = f"{short_path(meant.importer, projected.container)} ({meant.arch})"
        if meant.target and given and all(r.target != meant.target for r in given):
            target = short_path(meant.target, projected.container)
            yield f"{who} is meant to find {meant.name} as {target}, and will not: give one of two files of one name another"
        for r in given if not meant.target else ():
            if r.needed.name == meant.name and r.how == How.BUNDLED and r.target:
                target = short_path(r.target, projected.container)
                yield f"{who} had {meant.name} from the system, and will find {target}: leave one of the two out of the wheel"


def _answers(survey: Survey) -> Mapping[tuple[str, str], Sequence[Resolution]]:
    """Return what became of the needs of each file, by architecture too, in the loads that count."""
    counting = {(path, id(load)) for path, load in loads_that_count(survey)}
    found: dict[tuple[str, str], list[Resolution]] = {}
    for load in survey.loads:
        for r in load.resolutions:
            if (r.importer, id(load)) in counting:
                found.setdefault((r.importer, load.arch), []).append(r)
    return found


def _left(request: Request, left: Iterable[Left], places: Mapping[str, str]) -> Iterator[Left]:
    """Yield what stays outside, with the members that files from outside become."""
    members = {one.binary.member: places.get(one.binary.path, one.binary.member) for one in request.taken}
    for one in left:
        yield one._replace(importers=tuple(sorted({members.get(name, name) for name in one.importers})))


def _merged(edited: Iterable[Edited]) -> Mapping[str, tuple[tuple[Edit, ...], str]]:
    """Return the edits of each file, those of several planners one after the other, with all their reasons."""
    edits: dict[str, dict[Edit, None]] = {}
    reasons: dict[str, dict[str, None]] = {}
    for one in edited:
        edits.setdefault(one.path, {}).update(dict.fromkeys(one.edits))
        reasons.setdefault(one.path, {})[one.because] = None
    return {path: (tuple(wanted), "; ".join(reasons[path])) for path, wanted in edits.items()}


def _strips(request: Request, own: Iterable[Binary], places: Mapping[str, str]) -> Iterator[Action]:
    """Yield what is stripped: the ELF files that are brought in, and those of the wheel that have anything to lose."""
    for binary in own if request.options.strip else ():
        if maps(request.survey.target, binary) and _has_waste(binary):
            yield Strip(places.get(binary.path, binary.member), request.options.strip, "--strip")
    for one in request.taken:
        member = places.get(one.binary.path, "")
        if is_stripped(one.binary, request.options) and member and not _is_there(one, member, request):
            yield Strip(member, request.options.strip, "--strip")


def _has_waste(binary: Binary) -> bool:
    natives = (image.native for image in binary.images)
    return any(isinstance(native, ElfFacts) and native.debug_size + native.symbols_size > 0 for native in natives)


def _copies(request: Request, places: Mapping[str, str], edits: Mapping[str, tuple[tuple[Edit, ...], str]]) -> Iterator[Action]:
    importers: dict[str, dict[str, None]] = {}
    for link in request.links:
        binary = request.survey.binary_at(link.importer)
        importers.setdefault(link.target, {})[binary.member if binary else link.importer] = None
    for one in request.taken:
        path = one.binary.path
        if path in places and not _is_there(one, places[path], request):
            origin = Origin(one.binary.member, one.binary.sha256, one.binary.size, one.via)
            because = _needed_by(list(importers.get(path, ()))) or one.via
            yield CopyIn(places[path], origin, edits[path][0] if path in edits else (), because)


def _is_there(one: Taken, member: str, request: Request) -> bool:
    """Tell whether an earlier repair brought the file in: the digits in its name say that the content is the same."""
    present = any(known.name == member for known in request.survey.container.members)
    return one.renamed and one.digest in member.rpartition("/")[2] and present


def _needed_by(members: Sequence[str]) -> str:
    if not members:
        return ""
    more = f" and {counted(len(members) - 1, 'other')}" if len(members) > 1 else ""
    return f"needed by {members[0]}{more}"


def _outside(request: Request) -> Iterator[str]:
    """Yield the names of libraries that no tag has to promise, since somebody else brings them, or since they are refused anyway."""
    for link in request.links:
        if link.how not in (How.BUNDLED, How.OUTSIDE, How.PROMISED):
            yield link.needed.name
            if link.target:
                yield link.target.rpartition("/")[2]


def _clashes(survey: Survey, plan: Plan) -> Iterator[Refusal]:
    """Yield a reason for each new member whose name installers refuse, or another one has, case not told apart, as on macOS and Windows."""
    places = plan.places()
    staying = [member.name for member in survey.container.members if member.name not in places]
    known = {name.casefold(): "a member of the wheel" for name in staying}
    for name, source in _new_names(plan):
        if fault := name_fault(name) or encoding_fault(name):
            yield Refusal(f"{source} would be {name}, which is no name for a member: {fault}", "give it another name, or leave it out")
        other = known.setdefault(name.casefold(), source)
        if other != source:
            yield Refusal(f"{source} would be {name}, and so is {other}", "let it be renamed, or leave one of them out")
        if file := next((other for other in staying if _is_above(other, name) or _is_above(name, other)), ""):
            yield Refusal(f"{source} would be {name}, and {file} is a member of the wheel", "use another folder: `--lib-sdir NAME`")


def _is_above(file: str, other: str) -> bool:
    """Tell whether one member lies where another one needs a folder."""
    return other.casefold().startswith(f"{file}/".casefold())


def _new_names(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the members that are new, and what each comes from."""
    for action in plan.actions:
        match action:
            case MoveMember(member, to):
                yield to, member
            case CopyIn(member, origin):
                yield member, origin.path
            case AddFile(member):
                yield member, f"what {action.because}"


# ---- the whole


def finished(survey: Survey, draft: Plan, more: Iterable[Action], output: str, remarks: Iterable[str]) -> Plan:
    """Return the plan with the actions that depend on the others; where there are none at all, the file keeps its name."""
    actions = [*draft.actions, *more]
    told = tuple(sorted({*draft.remarks, *remarks}))
    left = tuple(sorted(draft.left))
    if not actions:
        return Plan(draft.subject, draft.output, (), left, told)
    record = f"{survey.container.dist_info}/RECORD"
    actions += stale_signatures(survey.container)
    if not any(isinstance(action, RewriteRecord) for action in actions):
        actions.append(RewriteRecord(record, "lists what the wheel holds now"))
    return Plan(draft.subject, output, _sorted(actions), left, told)


def stale_signatures(facts: ContainerFacts) -> Iterator[RemoveFile]:
    """Yield the signatures of RECORD, which go when it is written anew."""
    names = {f"{facts.dist_info}/{name}" for name in _SIGNATURES}
    yield from (RemoveFile(member.name, "signs a RECORD that is written anew") for member in facts.members if member.name in names)


def _sorted(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Return the actions in the order in which they are told: by kind, then by member, each once."""
    return tuple(sorted(dict.fromkeys(actions), key=lambda action: (_ORDER.index(type(action)), getattr(action, "member", ""))))
