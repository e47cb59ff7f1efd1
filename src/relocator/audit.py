"""Survey and rules make a Report: a pure function."""

import dataclasses
from collections.abc import Iterable, Sequence

from relocator.findings import Checked, Finding, Report, Rule, Severity, Suppressed, Where
from relocator.model import PYTHON_OWNER, Binary, How, Role, Survey
from relocator.policy import Policy, covers, identity


def run_rules(survey: Survey, rules: Sequence[Rule]) -> Report:
    """Judge a survey: run the rules that apply, soften what no import reaches, tell each fault once, gravest first."""
    formats = {binary.format for binary in survey.binaries} | {item.format for item in survey.unreadable}
    applying = [rule for rule in rules if survey.container.kind in rule.containers]
    judged = [rule for rule in applying if survey.target.decided or not rule.needs_promise]
    roles = {binary.member: binary for binary in survey.binaries}
    pythons = {binary.member for binary in survey.binaries if binary.owner == PYTHON_OWNER}
    pythons |= {file.member for file in survey.unreadable if file.owner == PYTHON_OWNER}
    found: list[tuple[Rule, Finding]] = []
    for rule in judged:
        if not rule.formats or formats.intersection(rule.formats):
            told = (finding for finding in rule.check(survey) if finding.primary.member not in pythons)
            found.extend((rule, _softened(finding, rule, roles)) for finding in told)
    return Report(
        survey.container.subject,
        survey.target.tag,
        tuple(sorted(_without_superseded(found), key=_order)),
        _counts(survey, len(judged), tuple(rule.name for rule in applying if rule not in judged)),
        inputs=survey.inputs,
        about=survey.container.origin,
    )


def suppress(report: Report, survey: Survey, policy: Policy) -> Report:
    """Apply what the project has decided: give rules its severities, and set apart what it ignores, accepts or has known before.

    What is set apart has been found all the same, so that no other rule speaks up in its place.
    """
    severities = dict(policy.severities)
    owners = _Owners(survey)
    findings: list[Finding] = []
    suppressed: list[Suppressed] = []
    for found in report.findings:
        finding = found._replace(severity=severities.get(found.rule, found.severity))
        verdict = _set_apart(finding, owners, policy)
        if verdict:
            suppressed.append(verdict)
        else:
            findings.append(finding)
    return dataclasses.replace(report, findings=tuple(sorted(findings, key=_order)), suppressed=report.suppressed + tuple(suppressed))


def _set_apart(finding: Finding, owners: "_Owners", policy: Policy) -> Suppressed | None:
    """Return why a finding does not count, None when it does; a reason that somebody wrote goes before the bare baseline."""
    if finding.rule in policy.ignored:
        return Suppressed(finding, "--ignore")
    for suppression in policy.suppressions:
        if suppression.rule == finding.rule and covers(suppression, finding, owners.of(finding.primary.member)):
            return Suppressed(finding, "configuration", suppression.reason, suppression.source)
    if policy.baseline and identity(finding) in policy.baseline:
        return Suppressed(finding, "baseline")
    return None


class _Owners:
    """Which distribution brings a member."""

    def __init__(self, survey: Survey) -> None:
        self._facts = survey.container
        self._binaries = {binary.member: binary.owner for binary in survey.binaries}
        self._distributions = [d for d in self._facts.distributions if d.name != PYTHON_OWNER]
        self._metadata = [(d.metadata.rpartition("/")[2], d.name) for d in self._distributions if d.metadata]

    def of(self, member: str) -> str:
        """Return the distribution's name: the only one's for everything, else the binary's owner or whose metadata it is."""
        if len(self._distributions) == 1:
            return self._distributions[0].name
        if owner := self._binaries.get(member):
            return owner
        return next((name for folder, name in self._metadata if f"/{folder}/" in f"/{member}/"), "")


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
        binaries=sum(1 for binary in survey.binaries if binary.owner not in ("", PYTHON_OWNER))
        + sum(1 for item in survey.unreadable if item.owner != PYTHON_OWNER),
        images=len(images),
        needs=sum(len(image.needed) for image in images),
        rules=rules,
        undecided=len(undecided),
        others=survey.others,
        unjudged=unjudged,
    )
