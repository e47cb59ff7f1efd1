"""What a repair promises of its result: no finding that it says it mends is left (DESIGN 5.2)."""

from collections.abc import Collection

from relocator.findings import Finding, Report, Severity


def unkept(report: Report, *, fix_notes: bool = False, kept: Collection[str] = ()) -> list[Finding]:
    """Return the findings in a repaired wheel that break the promise.

    `fix_notes` when the repair had --fix-notes; `kept` are the rules of what an option asked to leave as it is.
    """
    lowest = Severity.NOTE if fix_notes else Severity.WARNING
    return [f for f in report.findings if f.repaired_by == "repair" and f.severity >= lowest and f.rule not in kept]
