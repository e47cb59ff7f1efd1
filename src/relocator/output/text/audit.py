"""An audit as text: each kind of fault once, with the places where it is, then one line of verdict."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from relocator.findings import Failure, Finding, Report, Severity, Where
from relocator.paint import View, counted, printable, shortened

PLACES = 4
TRAIL = 6


def render_audit(reports: Sequence[Report], failures: Sequence[Failure], view: View) -> str:
    """Render every report, then every subject that could not be looked at, then one summary when there were several."""
    parts = [_report(report, view) for report in reports]
    parts += [render_failure(failure, view) for failure in failures]
    if len(reports) + len(failures) > 1:
        parts.append(_summary(reports, failures))
    return "\n".join(part for part in parts if part) + "\n"


def render_failure(failure: Failure, view: View) -> str:
    """Render why a subject could not be looked at, and what to do."""
    lines = [f"{view.style('error', 'error')}: {printable(failure.subject)}: {printable(failure.message)}"]
    if failure.hint:
        lines.append(f"  = help: {printable(failure.hint)}")
    return "\n".join(lines)


def _report(report: Report, view: View) -> str:
    blocks = [] if view.quiet else [_group(group, view) for group in _groups(report.findings)]
    head = view.style(printable(report.subject), "strong")
    return "\n\n".join([*blocks, f"{head}: {_verdict(report, view)}\n  {_checked(report)}"]) + "\n"


def _key(finding: Finding) -> tuple[int, str, str, str, int]:
    return -finding.severity, finding.rule, finding.message, finding.help, -finding.certainty


def _groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    return [list(group) for _, group in groupby(sorted(findings, key=_key), key=_key)]


def _group(group: Sequence[Finding], view: View) -> str:
    first = group[0]
    severity = view.style(f"{first.severity}[{first.rule}]", str(first.severity))
    certainty = "" if first.certainty == 3 else f" ({first.certainty})"
    count = f" ({counted(len(group), 'place')})" if len(group) > 1 else ""
    lines = [f"{severity}: {printable(first.message)}{certainty}{count}"]
    shown = group if view.verbose else group[: PLACES if len(group) > PLACES + 1 else len(group)]
    for number, finding in enumerate(shown):
        lines += _place(finding, view, with_trail=number == 0 or view.verbose)
    if len(shown) < len(group):
        lines.append(f"  ... and {counted(len(group) - len(shown), 'more place')} (-v lists them)")
    if first.help:
        lines.append(f"  = help: {printable(first.help)}")
    lines.append(view.style(f"  = more: relocate explain {first.rule}", "dim"))
    return "\n".join(lines)


def _place(finding: Finding, view: View, *, with_trail: bool) -> list[str]:
    lines = ["  " + _where(finding.primary, view)]
    lines += ["    also " + _where(where, view) for where in _cut(finding.related, view)]
    if with_trail and finding.trail:
        lines.append("    searched, in this order:")
        trail = list(finding.trail) if view.verbose else shortened(finding.trail, TRAIL, "place")
        lines += [f"      {printable(line)}" for line in trail]
    return lines


def _cut(places: Sequence[Where], view: View) -> Sequence[Where]:
    return places if view.verbose else places[:PLACES]


def _where(where: Where, view: View) -> str:
    """Return "pkg/_core.so (x86_64), DT_NEEDED[2] libfoo.so.3: label"."""
    place = printable(where.member) if where.member else "(the whole package)"
    if where.arch:
        place += f" ({where.arch})"
    field = where.field + (f"[{where.position}]" if where.position is not None else "")
    value = view.style(printable(where.value), "strong") if where.value else ""
    what = " ".join(part for part in (field, value, printable(where.symbol)) if part)
    label = f": {printable(where.label)}" if where.label else ""
    return place + (f", {what}" if what else "") + label


def _verdict(report: Report, view: View) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    target = f"for {report.target}" if report.target else "without a target"
    if not report.findings:
        return f"{view.style('clean', 'good')} {target}"
    told = ", ".join(
        view.style(counted(counts[severity], str(severity)), str(severity)) for severity in sorted(Severity, reverse=True) if counts[severity]
    )
    mendable = sum(1 for finding in report.findings if finding.repaired_by)
    return f"{told} {target}" + (f" ({mendable} of them can be repaired)" if mendable else "")


def _checked(report: Report) -> str:
    checked = report.checked
    parts = [counted(checked.members, "file"), _binaries(checked.binaries, checked.images), counted(checked.needs, "need")]
    text = f"checked {', '.join(parts)}, {counted(checked.rules, 'rule')}"
    if checked.others:
        text += "; not for a loader: " + ", ".join(counted(number, kind) for kind, number in checked.others)
    if checked.undecided:
        text += f"\n  {counted(checked.undecided, 'need')} could not be judged without a target: `--target TAG` decides, `relocate tree` lists"
    if checked.unjudged:
        text += f"\n  {counted(len(checked.unjudged), 'rule')} did not run, because they need a target"
    if report.suppressed:
        text += f"\n  {counted(len(report.suppressed), 'finding')} suppressed"
    return text


def _binaries(binaries: int, images: int) -> str:
    text = counted(binaries, "binary")
    return text if images == binaries else f"{text} ({counted(images, 'image')})"


def _summary(reports: Sequence[Report], failures: Sequence[Failure]) -> str:
    worst: dict[str, int] = {}
    for report in reports:
        gravest = max((finding.severity for finding in report.findings), default=0)
        worst[report.subject] = max(gravest, worst.get(report.subject, 0))
    counts = Counter(worst.values())
    words = {0: "clean", 1: "with notes", 2: "with warnings", 3: "with errors"}
    told = [f"{counts[level]:,} {words[level]}" for level in words if counts[level]]
    if failures:
        told.append(f"{len(failures):,} not readable")
    return f"{counted(len(worst) + len(failures), 'subject')}: {', '.join(told)}\n"
