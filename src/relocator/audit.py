"""Survey and rules make a Report: a pure function."""

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from relocator.findings import Checked, Finding, Report, Rule, Severity, Where
from relocator.model import Binary, How, Role, Survey


def run_rules(survey: Survey, rules: Sequence[Rule]) -> Report:
    """Judge a survey: run the rules that apply, soften what no import reaches, tell each fault once, gravest first."""
    formats = {binary.format for binary in survey.binaries} | {item.format for item in survey.unreadable}
    applying = [rule for rule in rules if survey.container.kind in rule.containers]
    judged = [rule for rule in applying if survey.target.decided or not rule.needs_promise]
    roles = {binary.member: binary for binary in survey.binaries}
    found: list[tuple[Rule, Finding]] = []
    for rule in judged:
        if not rule.formats or formats.intersection(rule.formats):
            found.extend((rule, _softened(finding, rule, roles)) for finding in rule.check(survey))
    return Report(
        survey.container.subject,
        survey.target.tag,
        tuple(sorted(_without_superseded(found), key=_order)),
        _counts(survey, len(judged), tuple(rule.name for rule in applying if rule not in judged)),
        inputs=survey.inputs,
    )


def suppress(report: Report, ignored: Collection[str]) -> Report:
    """Set the findings of these rules apart; they have been found all the same, so that no other rule speaks up in their place."""
    return dataclasses.replace(
        report,
        findings=tuple(finding for finding in report.findings if finding.rule not in ignored),
        suppressed=report.suppressed + tuple(finding for finding in report.findings if finding.rule in ignored),
    )


def _softened(finding: Finding, rule: Rule, roles: dict[str, Binary]) -> Finding:
    binary = roles.get(finding.primary.member)
    if not rule.by_role or binary is None or binary.role == Role.IMPORTED or finding.severity == Severity.NOTE:
        return finding
    return finding._replace(severity=Severity(finding.severity - 1))


def _place(where: Where) -> tuple[str, str, str, str]:
    return where.member, where.arch, where.field, where.value


def _without_superseded(found: Iterable[tuple[Rule, Finding]]) -> list[Finding]:
    """Keep, for each place, what no more specific rule has said; exact repetitions go too."""
    found = list(dict.fromkeys(found))
    taken = {(name, _place(finding.primary)) for rule, finding in found for name in rule.supersedes}
    return [finding for _, finding in found if (finding.rule, _place(finding.primary)) not in taken]


def _order(finding: Finding) -> tuple[int, str, Where]:
    return -finding.severity, finding.rule, finding.primary._replace(position=finding.primary.position or 0)


def _counts(survey: Survey, rules: int, unjudged: tuple[str, ...]) -> Checked:
    images = [image for _, image in survey.images()]
    undecided = {(r.importer, r.arch, r.needed.name) for load in survey.loads for r in load.resolutions if r.how == How.UNDECIDED}
    return Checked(
        members=len(survey.container.members),
        binaries=sum(1 for binary in survey.binaries if binary.owner) + len(survey.unreadable),
        images=len(images),
        needs=sum(len(image.needed) for image in images),
        rules=rules,
        undecided=len(undecided),
        others=survey.others,
        unjudged=unjudged,
    )
