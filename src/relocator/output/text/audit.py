"""An audit as text: each kind of fault once, with the places where it is, then one line of verdict."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from relocator.findings import Certainty, Failure, Finding, Report, Where
from relocator.paint import View, counted, printable, shortened

PLACES = 4
TRAIL = 6


def render_audit(reports: Sequence[Report], failures: Sequence[Failure], view: View) -> str:
    """Render every report, then every subject that could not be looked at, then one summary when there were several."""
    parts = [_report(report, view) for report in reports]
    parts += [render_failure(failure, view) for failure in failures]
    if len({report.subject for report in reports} | {failure.subject for failure in failures}) > 1:
        parts.append(_summary(reports, failures))
    return ("\n" if view.quiet else "\n\n").join(parts) + "\n"


def render_failure(failure: Failure, view: View) -> str:
    """Render why a subject could not be looked at, and what to do."""
    lines = [f"{view.style('error', 'error')}: {printable(failure.subject)}: {printable(failure.message)}"]
    if failure.hint:
        lines.append(f"  = help: {printable(failure.hint)}")
    return "\n".join(lines)


def _report(report: Report, view: View) -> str:
    subject = view.style(printable(report.subject), "strong")
    verdict = f"{subject}: {_verdict(report, view)}"
    if view.quiet:
        return verdict
    blocks = [_group(group, view) for group in _groups(report.findings)]
    return "\n\n".join([*([subject] if blocks else []), *blocks, f"{verdict}\n  {_checked(report)}"])


def _key(finding: Finding) -> tuple[int, str, str, int]:
    return -finding.severity, finding.rule, finding.message, -finding.certainty


def _groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    return [list(group) for _, group in groupby(sorted(findings, key=_key), key=_key)]


def _group(group: Sequence[Finding], view: View) -> str:
    """Tell one kind of fault, the places where it is, and what to do: once for all places where the same helps all."""
    first, places = group[0], _places(group)
    severity = view.style(f"{first.severity}[{first.rule}]", str(first.severity))
    certainty = "" if first.certainty == Certainty.CERTAIN else f" ({first.certainty})"
    count = f" ({counted(len(places), 'place')})" if len(places) > 1 else ""
    lines = [f"{severity}: {printable(first.message)}{certainty}{count}"]
    shown = places if view.verbose or len(places) <= PLACES + 1 else places[:PLACES]
    one_help = len({finding.help for finding in group}) == 1
    for number, (arches, finding) in enumerate(shown):
        lines += _place(finding, arches, view, with_trail=number == 0 or view.verbose)
        lines += [] if one_help else [f"    {line}" for line in _help(finding)]
    if len(shown) < len(places):
        lines.append(f"  ... and {counted(len(places) - len(shown), 'more place')} (-v lists them)")
    lines += [f"  {line}" for line in (_help(first) if one_help else ())]
    lines.append(view.style(f"  = more: relocate explain {first.rule}", "dim"))
    return "\n".join(lines)


def _help(finding: Finding) -> list[str]:
    return [f"= help: {printable(finding.help)}"] if finding.help else []


def _places(group: Iterable[Finding]) -> list[tuple[str, Finding]]:
    """Return each place once, with the architectures in which it is: the slices of one file are told together."""
    merged: dict[object, list[Finding]] = {}
    for finding in group:
        alike = finding.primary._replace(arch="", position=None), finding.help, tuple(w._replace(arch="") for w in finding.related)
        merged.setdefault(alike, []).append(finding)
    return [(", ".join(dict.fromkeys(f.primary.arch for f in findings if f.primary.arch)), findings[0]) for findings in merged.values()]


def _place(finding: Finding, arches: str, view: View, *, with_trail: bool) -> list[str]:
    lines = ["  " + _where(finding.primary._replace(arch=arches), view)]
    related = finding.related if view.verbose or len(finding.related) <= PLACES + 1 else finding.related[:PLACES]
    lines += ["    also " + _where(where, view) for where in related]
    if len(related) < len(finding.related):
        lines.append(f"    also {counted(len(finding.related) - len(related), 'more place')} (-v lists them)")
    if with_trail and finding.trail:
        lines.append("    searched, in this order:")
        trail = list(finding.trail) if view.verbose else shortened(finding.trail, TRAIL, "place")
        lines += [f"      {printable(line)}" for line in trail]
    return lines


def _where(where: Where, view: View) -> str:
    """Return "pkg/_core.so (x86_64), DT_NEEDED libfoo.so.3: label"; -v adds which one of several values of the field it is."""
    place = printable(where.member) if where.member else "(the whole package)"
    if where.arch:
        place += f" ({printable(where.arch)})"
    field = printable(where.field) + (f"[{where.position}]" if where.position is not None and (view.verbose or not where.value) else "")
    value = view.style(printable(where.value), "strong") if where.value else ""
    what = " ".join(part for part in (field, value, printable(where.symbol)) if part)
    label = f": {printable(where.label)}" if where.label else ""
    return place + (f", {what}" if what else "") + label


def _verdict(report: Report, view: View) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    target = f"for {printable(report.target)}" if report.target else "without a target"
    if not report.findings:
        return f"{view.style('clean', 'good')} {target}"
    severities = sorted(counts, reverse=True)
    told = ", ".join(view.style(counted(counts[severity], str(severity)), str(severity)) for severity in severities)
    repairable = sum(1 for finding in report.findings if finding.repaired_by)
    return f"{told} {target}" + (f" ({repairable} repairable)" if repairable else "")


def _checked(report: Report) -> str:
    checked = report.checked
    parts = [counted(checked.members, "file"), _binaries(checked.binaries, checked.images), counted(checked.needs, "need")]
    text = f"checked {', '.join(parts)}, {counted(checked.rules, 'rule')}"
    if checked.others:
        text += "; not for a loader: " + ", ".join(counted(number, kind) for kind, number in checked.others)
    if checked.undecided:
        text += (
            f"\n  {counted(checked.undecided, 'need')} could not be judged without a target: `--target TAG` decides, `relocate tree` lists"
        )
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
    return f"{counted(len(worst) + len(failures), 'subject')}: {', '.join(told)}"
