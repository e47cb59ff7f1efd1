"""From a Survey of a wheel, with the libraries of this machine, to the Plan that makes it self-contained. Nothing here opens a file."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple, Protocol, cast

from relocator.model import Survey
from relocator.origins import Provenance
from relocator.reading import Reading
from relocator.repair import assembling
from relocator.repair.choosing import choose
from relocator.repair.copies import without_copies
from relocator.repair.health import mend
from relocator.repair.naming import named
from relocator.repair.projecting import Projection, project
from relocator.repair.refusals import check_kind
from relocator.repair.sbom import sbom, sbom_member
from relocator.repair.tagging import retag
from relocator.repair.wiring import Beside, Request, Wired
from relocator.repairs import Action, AddFile, CopyIn, Plan, RepairOptions, RepairRefused, RewriteText
from relocator.roles import maps

__all__ = ["Planned", "check_kind", "is_kept", "plan_repair"]

_PLANNERS = {"linux": "linux", "android": "linux", "macos": "macos", "windows": "windows"}
"""Operating system to module; `refusals.SYSTEMS` are those that have one."""

_INFO_FILES = ("WHEEL", "METADATA", "RECORD", "entry_points.txt", "sboms/relocator.cdx.json")
_NOBODY: Mapping[str, Provenance] = MappingProxyType({})


class Planned(NamedTuple):
    """What is to become of a wheel, and what a survey of the result must find."""

    plan: Plan
    projected: Survey


class Planner(Protocol):
    """What every system's module offers."""

    def wire(self, request: Request, /) -> Wired:
        """Return where the files lie in the finished wheel, and what makes its loader find them."""


def is_kept(member: str) -> bool:
    """Tell whether planning needs the bytes of a member: what .dist-info says of the wheel, and Python sources, which may be patched."""
    folder, _, name = member.partition("/")
    return (folder.endswith(".dist-info") and name in _INFO_FILES) or member.endswith(".py")


def plan_repair(
    survey: Survey,
    reading: Reading,
    options: RepairOptions,
    provenance: Mapping[str, Provenance] = _NOBODY,
    beside: Iterable[Beside] = (),
    *,
    alone: Survey | None = None,
) -> Planned:
    """Return the plan, which is falsy when there is nothing to do, and the survey that the finished wheel must have.

    `survey` is of `reading`, with the world that libraries may be taken from; `provenance` tells by path which package of this machine a
    file came with, `beside` what lies beside files of this machine and is brought in with them; `alone` is what an audit makes of the
    wheel, where that is known already. Raises RepairRefused with every reason.
    """
    if reasons := check_kind((survey,), options):
        raise RepairRefused(reasons)
    before = Projection(alone, reading) if alone is not None else project(survey, reading, Plan("", ""))
    if not any(binary.owner and maps(survey.target, binary) for binary in survey.binaries):
        return Planned(Plan(survey.container.subject, survey.container.file_name), before.survey)
    draft = _drafted(survey, before.survey, reading, options, tuple(beside))
    projection = project(survey, reading, draft.plan, before if not draft.plan else None)
    tagged = retag(survey, projection.survey, reading.texts, options, draft.outside)
    if reasons := tuple(dict.fromkeys((*draft.refusals, *tagged.refusals))):
        raise RepairRefused(reasons)
    remarks = (*tagged.remarks, *assembling.astray(draft, projection.survey))
    listed = _listed(survey, draft.plan, tagged.output, reading, provenance) if options.sbom else ()
    plan = assembling.finished(survey, draft.plan, (*tagged.actions, *listed), tagged.output, remarks)
    return Planned(plan, project(survey, reading, plan, projection).survey)


def _drafted(survey: Survey, alone: Survey, reading: Reading, options: RepairOptions, beside: tuple[Beside, ...]) -> assembling.Draft:
    """Return the plan without tags."""
    chosen = choose(survey, alone, options)
    led = without_copies(chosen.links, alone, options)
    taken, links = named(chosen.brought, led.links, options)
    members = {one.binary.member for one in taken}
    more = tuple(one for one in beside if one.path in members)
    request = Request(assembling.with_taken(survey, taken), reading.texts, options, taken, links, more)
    wired = cast(Planner, import_module(f"{__name__}.{_PLANNERS[survey.target.os]}")).wire(request)
    mended = mend(alone, options, assembling.distinct_members(taken))
    return assembling.drafted(request, chosen, wired, mended, led.removed)


def _listed(survey: Survey, plan: Plan, output: str, reading: Reading, provenance: Mapping[str, Provenance]) -> tuple[Action, ...]:
    """Return what puts the list of all that is brought in into .dist-info."""
    taken = [(action.origin, action.member) for action in plan.actions if isinstance(action, CopyIn)]
    member = sbom_member(survey.container.dist_info)
    existing = reading.texts.get(member)
    document = sbom(survey, output, taken, provenance, existing)
    if document is None or document == existing:
        return ()
    because = "lists what is brought in (CycloneDX, PEP 770)"
    return (AddFile(member, document, because) if existing is None else RewriteText(member, document, because),)
