"""An audit as text: each kind of fault once, with the places where it is, then one line of verdict."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from relocator.findings import Certainty, Failure, Finding, Report, Suppressed, Where
from relocator.paint import View, counted, printable, shortened

PLACES = 4
"""Places of one kind of fault, and files of one value, that are told one by one."""

MANY = 3
"""From so many files on, a value that they share is told once."""

TRAIL = 6


def render_audit(reports: Sequence[Report], failures: Sequence[Failure], view: View) -> str:
    """Render every report, and one summary when there were several subjects; what failed is only counted, see `text.failures`."""
    parts = [_report(report, view) for report in reports]
    if len({report.subject for report in reports} | {failure.subject for failure in failures}) > 1:
        parts.append(_summary(reports, failures))
    return "".join(part + ("\n" if view.quiet or part is parts[-1] else "\n\n") for part in parts)


def _report(report: Report, view: View) -> str:
    subject = view.style(printable(report.subject), "strong")
    verdict = f"{subject}: {_verdict(report, view)}"
    if view.quiet:
        return verdict
    blocks = [_group(group, view) for group in _groups(report.findings)]
    first = f"{subject}: {printable(report.about)}; judged for {printable(report.target or 'no target')}" if report.about else subject
    accepted = _suppressed(report.suppressed) if view.verbose else []
    last = "\n".join([verdict, f"  {_checked(report)}", *accepted])
    return "\n\n".join([*([first] if blocks or report.about else []), *blocks, last])


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
    helps = dict.fromkeys(finding.help for finding in group)
    lines = [f"{severity}: {printable(first.message)}{certainty}{count}", *_listed(places, view, with_help=len(helps) > 1)]
    if len(helps) == 1 and first.help:
        lines.append(f"  = help: {printable(first.help)}")
    lines.append(view.style(f"  = more: relocate explain {first.rule}", "dim"))
    return "\n".join(lines)


def _places(group: Iterable[Finding]) -> list[Finding]:
    """Return each place once, its architecture being all those in which it is: the slices of one file are told together."""
    merged: dict[object, list[Finding]] = {}
    for finding in group:
        related = tuple(where._replace(arch="") for where in finding.related)
        merged.setdefault((finding.primary._replace(arch="", position=None), finding.help, related), []).append(finding)
    return [_with_arches(findings) for findings in merged.values()]


def _with_arches(findings: Sequence[Finding]) -> Finding:
    arches = dict.fromkeys(finding.primary.arch for finding in findings)
    return findings[0]._replace(primary=findings[0].primary._replace(arch=", ".join(filter(None, arches))))


def _listed(places: Sequence[Finding], view: View, *, with_help: bool) -> list[str]:
    """Return the lines for the places, those with the same value together; unless -v asks for all, the first ones and a count."""
    by_value: dict[object, list[Finding]] = {}
    for number, place in enumerate(places):
        key = place.primary._replace(member="", position=None), place.help, place.related
        by_value.setdefault(number if view.verbose else key, []).append(place)
    blocks: list[tuple[int, list[str]]] = []
    for alike in by_value.values():
        if len(alike) < MANY:
            blocks += [(1, _place(place, view, with_trail=view.verbose or place is places[0], with_help=with_help)) for place in alike]
        else:
            blocks.append((len(alike), _many(alike, view, with_trail=alike[0] is places[0], with_help=with_help)))
    shown = blocks if view.verbose or len(blocks) <= PLACES + 1 else blocks[:PLACES]
    left = sum(number for number, _ in blocks[len(shown) :])
    more = [f"  ... and {counted(left, 'more place')} (-v lists them)"] if left else []
    return [line for _, block in shown for line in block] + more


def _many(alike: Sequence[Finding], view: View, *, with_trail: bool, with_help: bool) -> list[str]:
    """Return the lines for one value in many files."""
    first = alike[0]
    arch = f" ({printable(first.primary.arch)})" if first.primary.arch else ""
    names = shortened([printable(place.primary.member) for place in alike], PLACES, "file")
    head = ", ".join(filter(None, (_what(first.primary, view), f"in {counted(len(alike), 'file')}{arch}:")))
    return [
        f"  {head}",
        *(f"    {name}" for name in names),
        *_details(first, view, with_trail=with_trail, with_help=with_help),
    ]


def _place(place: Finding, view: View, *, with_trail: bool, with_help: bool) -> list[str]:
    return [f"  {_where(place.primary, view)}", *_details(place, view, with_trail=with_trail, with_help=with_help)]


def _details(place: Finding, view: View, *, with_trail: bool, with_help: bool) -> list[str]:
    related = place.related if view.verbose or len(place.related) <= PLACES + 1 else place.related[:PLACES]
    lines = [f"    also {_where(where, view)}" for where in related]
    if len(related) < len(place.related):
        lines.append(f"    also {counted(len(place.related) - len(related), 'more place')} (-v lists them)")
    if with_trail and place.trail:
        trail = list(place.trail) if view.verbose else shortened(place.trail, TRAIL, "place")
        lines += ["    searched, in this order:", *(f"      {printable(line)}" for line in trail)]
    return [*lines, f"    = help: {printable(place.help)}"] if with_help and place.help else lines


def _where(where: Where, view: View) -> str:
    """Return "pkg/_core.so (x86_64), DT_NEEDED libfoo.so.3: label"."""
    place = printable(where.member) if where.member else "(the whole package)"
    arch = f" ({printable(where.arch)})" if where.arch else ""
    what = _what(where, view)
    return f"{place}{arch}, {what}" if what else f"{place}{arch}"


def _what(where: Where, view: View) -> str:
    """Return "DT_NEEDED libfoo.so.3: label"; -v adds which one of several values of the field it is."""
    number = f"[{where.position}]" if where.position is not None and (view.verbose or not where.value) else ""
    value = view.style(printable(where.value), "strong") if where.value else ""
    what = " ".join(part for part in (printable(where.field) + number, value, printable(where.symbol)) if part)
    return ": ".join(part for part in (what, printable(where.label)) if part)


def _verdict(report: Report, view: View) -> str:
    target = f"for {printable(report.target)}" if report.target else "without a target"
    if not report.findings:
        return f"{view.style('clean', 'good')} {target}" + ("" if report.checked.binaries else " (it has no binaries)")
    places = [place for group in _groups(report.findings) for place in _places(group)]
    counts = Counter(place.severity for place in places)
    told = ", ".join(view.style(counted(counts[severity], str(severity)), str(severity)) for severity in sorted(counts, reverse=True))
    repairable = sum(1 for place in places if place.repaired_by)
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
    if checked.unjudged and checked.binaries:
        text += f"\n  {counted(len(checked.unjudged), 'rule')} did not run, because they need a target"
    if report.suppressed:
        text += f"\n  {counted(len(report.suppressed), 'finding')} suppressed: {_by(report.suppressed)}"
    return text


def _by(suppressed: Iterable[Suppressed]) -> str:
    """Return "2 by configuration, 1 by baseline"."""
    return ", ".join(f"{number:,} by {by}" for by, number in sorted(Counter(item.by for item in suppressed).items()))


def _suppressed(suppressed: Iterable[Suppressed]) -> list[str]:
    """Return a line for each suppressed finding: what, where, by whose decision and why."""
    lines = []
    for item in suppressed:
        decision = ": ".join(printable(part) for part in (item.by, item.source, item.reason) if part)
        lines.append(f"    {item.finding.rule} in {_where(item.finding.primary, View())} (by {decision})")
    return lines


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
