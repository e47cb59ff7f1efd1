"""Other tags for a wheel: computed or asked for, judged as an audit would, and written to its file name and WHEEL; nothing else changes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from relocator.audit import run_rules
from relocator.containers import MAX_SIZE
from relocator.containers.wheel import Wheel, WheelName, parse_wheel_name
from relocator.errors import UsageError
from relocator.findings import Finding, Severity, Where
from relocator.model import ContainerFacts, Survey
from relocator.platform_tags import columns, parse_target, with_arches
from relocator.policy import identity
from relocator.reading import Progress, Reading, read_container
from relocator.repair import Planned, tagging
from relocator.repair.assembling import stale_signatures
from relocator.repair.health import unsound
from relocator.repair.projecting import project
from relocator.repairing import Job, Opened, Reporter, carried_out, each
from relocator.repairs import Plan, Refusal, RepairOptions, RepairRefused, RepairResult, RewriteRecord, Sought, Writing
from relocator.rules import RULES
from relocator.survey import package_survey
from relocator.tags import Waived, targets_of

_JUDGING = ("Tags", "Architecture", "Python's ABI")
"""Groups of rules that hold binaries against tags."""


class Asked(NamedTuple):
    """What is asked of a wheel's tags; without anything the platform tags are computed."""

    plat: tuple[str, ...] = ()
    """The platform tags, instead of those that it has; names without architecture are for its own."""
    auto: bool = False
    """The platform tags that the binaries allow: beside those of `plat`."""
    pythons: tuple[str, ...] = ()
    abis: tuple[str, ...] = ()
    build: str | None = None
    """The build number, "" for none; None to leave it."""
    check_isa: bool = True
    """Let what the x86-64 level of binaries says forbid a tag."""
    force: bool = False
    """Give the tags although the binaries do not keep to them."""

    @property
    def platforms_change(self) -> bool:
        """Whether the platform tags are to be chosen anew."""
        return bool(self.plat) or self.auto or not (self.pythons or self.abis or self.build is not None)


def retag_wheels(
    paths: Sequence[str], asked: Asked, writing: Writing, reporter: Reporter | None = None, *, max_size: int | None = None
) -> tuple[RepairResult, ...]:
    """Retag wheels one by one; one that cannot have the tags does not stop the others. Raises UsageError alone."""
    asked = asked._replace(plat=_apart(asked.plat), pythons=_apart(asked.pythons), abis=_apart(asked.abis))
    _check(asked)
    job = Job(RepairOptions(), Sought(), writing, max_size or MAX_SIZE, {})

    def work(path: str, progress: Progress | None) -> RepairResult:
        return carried_out(path, job, lambda wheel: _opened(wheel, asked, progress))

    return each(paths, work, reporter)


def _apart(values: Iterable[str]) -> tuple[str, ...]:
    """Return the tags of sets such as "py2.py3"."""
    return tuple(value for text in values for value in text.split("."))


def _check(asked: Asked) -> None:
    """Raise UsageError for what is no tag, whatever the wheel."""
    for what, values in (("--python-tag", asked.pythons), ("--abi-tag", asked.abis)):
        for value in values:
            if not value.isascii() or not value.replace("_", "").isalnum():
                raise UsageError(f"{what} {value!r} is no tag", "tags are such as cp312, py3, abi3, none")
    build = asked.build
    if build and not (build.isascii() and build[0].isdigit() and build.replace("_", "").replace(".", "").isalnum()):
        raise UsageError(f"--build {build!r} is no build number", "it starts with a digit, such as 1 or 2local")


def _opened(wheel: Wheel, asked: Asked, progress: Progress | None) -> Opened:
    reading = read_container(wheel, progress, lambda name: name.endswith(".dist-info/WHEEL"))
    facts = wheel.facts()
    surveys = tuple(package_survey(facts, reading, target) for target in targets_of(facts))
    if damage := tuple(unsound(surveys[0])):
        raise RepairRefused(damage)
    plan = _plan(surveys, reading, asked)
    projection = project(surveys[0], reading, plan)
    if refusals := () if asked.force else tuple(_new_faults(surveys, projection.survey.container, projection.reading)):
        raise RepairRefused(refusals)
    return Opened(wheel, reading, surveys[0], Planned(plan, projection.survey))


# ---- the plan


def _plan(surveys: Sequence[Survey], reading: Reading, asked: Asked) -> Plan:
    """Return what is to become of the wheel; raise RepairRefused when its binaries do not keep to what is asked for."""
    facts = surveys[0].container
    name, wheel = parse_wheel_name(facts.file_name), reading.texts.get(f"{facts.dist_info}/WHEEL")
    if name is None or wheel is None:
        raise RepairRefused((tagging.nameless(facts) if name is None else tagging.without_wheel(facts),))
    chosen = _platforms(surveys, columns(name.tags).platforms, asked) if asked.platforms_change else tagging.Chosen(())
    if chosen.refusals:
        raise RepairRefused(chosen.refusals)
    wanted = _named(name, chosen.platforms, asked)
    purelib = tagging.purelib_for(surveys[0], columns(wanted.tags).platforms)
    written = tagging.write_tags(facts, wheel, wanted, purelib=purelib, because=chosen.because or "asked for")
    record = RewriteRecord(f"{facts.dist_info}/RECORD", "WHEEL changes")
    actions = (*written.actions, *stale_signatures(facts), record) if written.actions else ()
    return Plan(facts.subject, written.output, actions, remarks=chosen.remarks)


def _named(name: WheelName, platforms: Sequence[str], asked: Asked) -> WheelName:
    old = columns(name.tags)
    new = old._replace(
        pythons=tuple(sorted(asked.pythons)) or old.pythons,
        abis=tuple(sorted(asked.abis)) or old.abis,
        platforms=tuple(platforms) or old.platforms,
    )
    return name._replace(tags=new.expanded(), build=name.build if asked.build is None else asked.build)


def _platforms(surveys: Sequence[Survey], now: tuple[str, ...], asked: Asked) -> tagging.Chosen:
    """Return the platform tags, those for each system by the survey for it."""
    options = RepairOptions(plat=asked.plat, only_plat=not asked.auto)
    if asked.force and asked.plat:
        return _forced(surveys[0], asked)
    if len(surveys) > 1 and asked.plat:
        return _refused_several(surveys)
    remarks: list[str] = []
    because = ""
    for survey in surveys:
        chosen = tagging.choose(survey, now, options, Waived(isa=not asked.check_isa))
        if chosen.refusals:
            return chosen._replace(refusals=tuple(_with_way_out(chosen.refusals, asked)))
        now, because = chosen.platforms, because or chosen.because
        remarks += chosen.remarks
    return tagging.Chosen(now, because, tuple(remarks))


def _forced(survey: Survey, asked: Asked) -> tagging.Chosen:
    """Return the tags as they are asked for; raise UsageError for what is none."""
    judged = tagging.by_content(survey).target
    whole = (parse_target(tag).tag for name in asked.plat for tag in with_arches(name, judged.os, judged.arches))
    tags = (name for tag in whole for name in tagging.all_names(tag))
    return tagging.Chosen(tuple(dict.fromkeys(tags)), "asked for with --force-tags")


def _refused_several(surveys: Sequence[Survey]) -> tagging.Chosen:
    names = ", ".join(survey.target.tag for survey in surveys)
    hint = "leave --plat out to compute them, or add --force-tags to set them all"
    return tagging.Chosen((), refusals=(Refusal(f"its tags are for several systems: {names}", hint),))


def _with_way_out(refusals: Iterable[Refusal], asked: Asked) -> Iterator[Refusal]:
    for refusal in refusals:
        yield refusal._replace(hint=f"{refusal.hint}; or set it all the same with --force-tags") if asked.plat else refusal


# ---- the judgement


def _new_faults(surveys: Sequence[Survey], facts: ContainerFacts, reading: Reading) -> Iterator[Refusal]:
    """Yield the errors that an audit would find under the new tags and does not find under the old ones."""
    rules = [rule for rule in RULES if rule.group in _JUDGING]
    before = {_fault(finding) for survey in surveys for finding in run_rules(survey, rules).findings}
    for target in targets_of(facts):
        for finding in run_rules(package_survey(facts, reading, target), rules).findings:
            if finding.severity == Severity.ERROR and _fault(finding) not in before:
                yield Refusal(_told(finding), f"{finding.help}; or set it all the same with --force-tags")


def _fault(finding: Finding) -> tuple[str, str, str, str]:
    """Return what makes it the same fault under another tag."""
    known = identity(finding)
    return known.rule, known.member, known.arch, known.field


def _told(finding: Finding) -> str:
    where: Where = finding.primary
    details = " ".join(filter(None, (where.field, where.value, where.symbol)))
    label = f": {where.label}" if where.label else ""
    return f"[{finding.rule}] {where.member or 'the wheel'} {finding.message}" + (f" ({details}{label})" if details or label else "")
