"""One wheel from its path to its repaired archive: surveyed, planned, written beside its place, surveyed again, put into place.

Nothing here decides what is to change: that is `repair.plan_repair`. What was written has to be what was projected, in all that a loader
sees; a difference is our bug, and the archive never appears.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple

from relocator.apply import Source, look_at
from relocator.audit import run_rules
from relocator.changing import Change, changed
from relocator.companions import IMPORTS, SYMBOLS, companions
from relocator.containers import MAX_SIZE, Wheel, open_container
from relocator.errors import ContainerError, InternalError, RelocatorError, UsageError
from relocator.files import FileBuffer
from relocator.findings import Failure, Finding
from relocator.model import Binary, ContainerFacts, Format, Survey
from relocator.origins import provenance
from relocator.packing import Item, NotPacked, Packed, known, write_archive
from relocator.platform_tags import with_arches
from relocator.reading import Progress, Reading, read_container
from relocator.repair import Planned, check_kind, is_kept, plan_repair
from relocator.repair.projecting import differences
from relocator.repair.tagging import by_content
from relocator.repair.wiring import Beside
from relocator.repairs import Outcome, Plan, Refusal, RepairOptions, RepairRefused, RepairResult, Sought, Writing
from relocator.rules import RULES
from relocator.sealing import copy_of, seal
from relocator.survey import package_survey, survey_for_repair
from relocator.tags import targets_of
from relocator.target import Target

Reporter = Callable[[str, int, int], Progress | None]
"""Gets a subject, its number from 1 and how many there are; returns what is called with each member that was read."""


class Job(NamedTuple):
    """What is asked for, the same for all wheels."""

    options: RepairOptions
    sought: Sought
    writing: Writing
    max_size: int
    taken: dict[str, str]
    """Outputs of this run, by the wheels they come from."""


class Opened(NamedTuple):
    """A wheel that was read whole."""

    wheel: Wheel
    reading: Reading
    survey: Survey
    planned: Planned


def repair_wheels(
    paths: Sequence[str],
    options: RepairOptions,
    sought: Sought,
    writing: Writing,
    reporter: Reporter | None = None,
    *,
    max_size: int | None = None,
    claimed: dict[str, str] | None = None,
) -> tuple[RepairResult, ...]:
    """Repair wheels one by one, each by itself: one that cannot be repaired does not stop the others. Raises UsageError alone.

    `claimed` has the outputs of earlier calls, by the wheels they come from, and gets those of this one: no two wheels get one name.
    """
    job = Job(options, sought, writing, max_size or MAX_SIZE, {} if claimed is None else claimed)
    return each(paths, lambda path, progress: _repaired(path, job, progress), reporter)


def each(
    paths: Sequence[str], work: Callable[[str, Progress | None], RepairResult], reporter: Reporter | None = None
) -> tuple[RepairResult, ...]:
    """Return what became of each wheel; one that fails does not stop the others. Raises UsageError alone."""
    results = []
    for number, path in enumerate(paths, 1):
        progress = reporter(path, number, len(paths)) if reporter else None
        try:
            results.append(work(path, progress))
        except UsageError:
            raise
        except RelocatorError as error:
            results.append(RepairResult(path, Outcome.FAILED, failures=_failures(path, error)))
    return tuple(results)


def _failures(path: str, error: RelocatorError) -> tuple[Failure, ...]:
    """Return every reason on its own."""
    if isinstance(error, RepairRefused):
        return tuple(Failure(path, reason.message, reason.hint, error.exit_code) for reason in error.reasons)
    if isinstance(error, NotPacked):
        return tuple(Failure(path, f"{name}: {one.message}", one.hint, max(one.exit_code, 4)) for name, one in error.failures)
    return (Failure(path, error.message, error.hint, error.exit_code),)


def _repaired(path: str, job: Job, progress: Progress | None) -> RepairResult:
    return carried_out(path, job, lambda wheel: _opened(path, wheel, job, progress))


def carried_out(path: str, job: Job, plan_for: Callable[[Wheel], Opened]) -> RepairResult:
    """Open a wheel, let it be read and planned, and write what it becomes; raise RelocatorError, and then nothing was written."""
    with open_container(path, max_size=job.max_size) as container:
        if not isinstance(container, Wheel):
            raise ContainerError("is no wheel", "name a wheel; `relocate edit` rewrites single files")
        source = look_at(path)
        opened = plan_for(container)
        plan = opened.planned.plan
        _claim(path, plan, job)
        changes = changed(opened.wheel.archive, opened.survey, plan, job.writing.verify)
        if job.writing.dry_run:
            return _rehearsed(path, opened, changes)
        return _written(path, source, opened, changes, job)


def _opened(path: str, wheel: Wheel, job: Job, progress: Progress | None) -> Opened:
    reading = read_container(wheel, progress, is_kept)
    facts = wheel.facts()
    targets = targets_of(facts, _override(facts, job.options))
    alone = tuple(_judged(facts, reading, target) for target in targets)
    if reasons := check_kind(alone, job.options):
        raise RepairRefused(reasons)
    survey = survey_for_repair(facts, reading, alone[0].target, job.options, job.sought)
    outside = [binary for binary in survey.binaries if not binary.owner]
    beside = tuple(_beside(outside, job.options))
    told = provenance(outside, [one.origin.path for one in beside]) if outside else {}
    return Opened(wheel, reading, survey, plan_repair(survey, reading, job.options, told, beside, alone=alone[0]))


def _judged(facts: ContainerFacts, reading: Reading, target: Target) -> Survey:
    """Return the survey of the wheel alone; one whose tag promises every system is judged by the system that its binaries are for."""
    found = package_survey(facts, reading, target)
    own = by_content(found).target if target.os == "any" else target
    return found if own == target else package_survey(facts, reading, own)


def _beside(outside: Sequence[Binary], options: RepairOptions) -> Iterator[Beside]:
    """Yield what lies beside DLLs of this machine and is to come with them."""
    endings = (*([SYMBOLS] if options.include_symbols else ()), *([IMPORTS] if options.include_imports else ()))
    for binary in outside if endings else ():
        if binary.format == Format.PE:
            yield from (Beside(binary.path, origin) for origin in companions(binary.path, endings))


def _override(facts: ContainerFacts, options: RepairOptions) -> str:
    """Return the tags of --plat, whose promises decide what stays outside; without an architecture they are for the wheel's own."""
    own = targets_of(facts)[0]
    asked = (tag for tag in options.plat if tag != "auto")
    return ".".join(dict.fromkeys(tag for name in asked for tag in with_arches(name, own.os, own.arches)))


# ---- nothing is written


def _rehearsed(path: str, opened: Opened, changes: Mapping[str, Change]) -> RepairResult:
    """Make every change, so that all that can fail has, and throw it away."""
    failures: list[tuple[str, RelocatorError]] = []
    for member, change in changes.items():
        try:
            change.content()
        except RelocatorError as error:
            failures.append((member, error))
    if failures:
        raise NotPacked(tuple(failures))
    return RepairResult(path, Outcome.PLANNED, opened.planned.plan, inputs=opened.survey.inputs)


# ---- the archive


def _claim(path: str, plan: Plan, job: Job) -> None:
    other = job.taken.setdefault(plan.output, path)
    if other != path:
        message = f"would be written to {plan.output}, as {other} was"
        raise RepairRefused((Refusal(message, "repair wheels that get one name into different folders"),))


def _written(path: str, source: Source, opened: Opened, changes: Mapping[str, Change], job: Job) -> RepairResult:
    plan, writing = opened.planned.plan, job.writing
    target = os.path.join(writing.folder, plan.output)
    if not plan:
        sealed, _ = seal(target, source, copy_of(source), lambda _path, _told: None, force=writing.force)
        outcome = Outcome.PRESENT if sealed.present else Outcome.COPIED
        return RepairResult(path, outcome, plan, target, sealed.sha256, _remaining(opened.planned.projected), inputs=opened.survey.inputs)
    items = _items(opened, changes)
    record = f"{opened.survey.container.dist_info}/RECORD"

    def write(file: BinaryIO) -> tuple[Packed, ...]:
        return write_archive(file, opened.wheel.archive, items, record, level=writing.level, epoch=writing.epoch)

    sealed, found = seal(target, source, write, partial(_checked, opened, changes, job.max_size), force=writing.force)
    verified = tuple(dict.fromkeys(clause for change in changes.values() for clause in change.verified.clauses))
    outcome = Outcome.PRESENT if sealed.present else Outcome.WRITTEN
    return RepairResult(path, outcome, plan, target, sealed.sha256, found, verified, opened.survey.inputs)


def _items(opened: Opened, changes: Mapping[str, Change]) -> list[Item]:
    """Return the members of the new archive: the old ones in their order, changed or not, then the new ones."""
    hashes = {member.name: member.sha256 for member in opened.survey.container.members}
    places, modes = opened.planned.plan.places(), opened.planned.plan.modes()
    left = dict(changes)
    items = []
    for member in opened.wheel.archive.members:
        name = places.get(member.name, member.name)
        if name is not None:
            change = left.pop(name, None)
            items.append(Item(name, member, change.content if change else None, 0, hashes.get(member.name, ""), modes.get(name)))
    items += [Item(name, None, change.content, change.size, "", change.mode) for name, change in left.items()]
    return items


def _checked(opened: Opened, changes: Mapping[str, Change], max_size: int, draft: str, packed: tuple[Packed, ...]) -> tuple[Finding, ...]:
    """Survey the finished archive and compare it with the projection; return what an audit finds in it."""
    planned = opened.planned
    verified = {one.sha256: change.verified.images for one in packed if (change := changes.get(one.name))}
    moved = set(planned.plan.places().values())  # the first reading knows them by their old names
    untouched = {name: fact for name, fact in known(packed).items() if name not in moved}
    with Wheel(planned.plan.output, FileBuffer(draft), max_size, untouched) as wheel:
        reading = read_container(wheel, None, is_kept, opened.reading, verified)
        facts = wheel.facts()
        survey = package_survey(facts, reading, planned.projected.target)
    if told := differences(planned.projected, survey):
        raise InternalError(
            f"the repaired wheel is not what was planned: {told[0]}" + (f", and {len(told) - 1} more" if len(told) > 1 else ""),
            "nothing was written; this is a bug in relocate, please report it with the wheel and the command",
        )
    return _remaining(survey)


def _remaining(survey: Survey) -> tuple[Finding, ...]:
    return run_rules(survey, RULES).findings
