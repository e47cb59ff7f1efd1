"""What the commands that judge share: their options, what the project has decided, the exit status."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import click

from relocator import baseline, rules
from relocator.api import Failure, Policy, Progress, Report
from relocator.cli.looks import look_at
from relocator.cli.options import Option, Request, names
from relocator.cli.terminal import notify, refuse_overwriting, replace_file
from relocator.configuration import Configuration
from relocator.errors import UsageError
from relocator.findings import Certainty, Severity
from relocator.paint import counted, printable
from relocator.policy import Identity, identities

SEVERITIES = {str(severity): severity for severity in sorted(Severity, reverse=True)}
CERTAINTIES = {str(certainty): certainty for certainty in sorted(Certainty, reverse=True)}

Audit = Callable[[str, Progress, Policy], tuple[tuple[Report, ...], tuple[Failure, ...]]]


class Judging(NamedTuple):
    """What to judge by, and what counts."""

    select: tuple[str, ...]
    ignore: tuple[str, ...]
    baseline: str
    write_baseline: str
    fail_on: str
    certainty: str


def options() -> list[Option]:
    """Return the options of `Judging`."""
    return [
        click.option("--select", metavar="RULE", multiple=True, help="Only these rules. Repeatable, or separated by commas."),
        click.option(
            "--ignore", metavar="RULE", multiple=True, help="Set these rules' findings apart. Repeatable, or separated by commas."
        ),
        click.option("--baseline", metavar="FILE", default="", help="Set apart the findings that this file lists: only new ones count."),
        click.option("--write-baseline", metavar="FILE", default="", help="Write such a file from all findings, and do not fail on them."),
        click.option(
            "--fail-on",
            type=click.Choice([*SEVERITIES, "never"]),
            default="error",
            show_default=True,
            help="Exit with 1 when there is a finding of this severity or above.",
        ),
        click.option(
            "--certainty",
            type=click.Choice([*CERTAINTIES]),
            default="likely",
            show_default=True,
            help="Findings less certain than this do not count for the exit status.",
        ),
    ]


def judge(noun: str, paths: Sequence[str], request: Request, judging: Judging, audit: Audit) -> int:
    """Audit each path, print the reports, tell what became of the decisions, and return the exit status."""
    today = date.today()
    policy = _policy(request.configuration, judging, today)
    _refuse_baseline(judging.write_baseline, paths, request)
    reports, code = look_at(noun, paths, request, lambda path, progress: audit(path, progress, policy))
    if not request.printing.quiet:
        notify(_notices(reports, request, policy, today))
        if code == 0 and not judging.select and not judging.write_baseline:
            notify(_gone(reports, policy, judging.baseline))
    if judging.write_baseline:
        _write(judging.write_baseline, reports, code)
        return code
    return max(code, _verdict(reports, judging.fail_on, CERTAINTIES[judging.certainty]))


# ---- before


def _policy(configuration: Configuration, judging: Judging, today: date) -> Policy:
    for grading in configuration.gradings:
        _check_rule(grading.rule, grading.place)
    for dated in configuration.suppressions:
        _check_rule(dated.suppression.rule, dated.place)
    return Policy(
        frozenset(rules.named(name).name for name in names(judging.ignore)),
        tuple((grading.rule, grading.severity) for grading in configuration.gradings),
        configuration.standing(today),
        baseline.load(judging.baseline) if judging.baseline else frozenset(),
    )


def _check_rule(name: str, place: str) -> None:
    try:
        rules.named(name)
    except UsageError as error:
        raise UsageError(f"{place}: {error.message}", error.hint) from error


def _refuse_baseline(path: str, paths: Sequence[str], request: Request) -> None:
    """Raise UsageError when the baseline would replace something else that this run reads or writes."""
    if path == "-":
        raise UsageError("--write-baseline takes a file: standard output has the report", "name a file, such as relocator-baseline.json")
    refuse_overwriting(path, [*paths, request.configuration.path], "--write-baseline")
    if path and Path(path).absolute() == Path(request.printing.output).absolute():
        raise UsageError(f"--output and --write-baseline both write {printable(path)}", "name two files")


# ---- afterwards


def _notices(reports: Iterable[Report], request: Request, policy: Policy, today: date) -> list[str]:
    """Tell which suppressions have expired and, with -v, which have found nothing to suppress."""
    found = [
        f"{dated.place}: the suppression of {dated.suppression.rule} expired on {dated.until}, and suppresses nothing any more"
        for dated in request.configuration.expired(today)
    ]
    used = {item.source for report in reports for item in report.suppressed}
    unused = [dated for dated in request.configuration.suppressions if dated.suppression in policy.suppressions]
    if request.printing.verbose:
        found += [
            f"{dated.place}: the suppression of {dated.suppression.rule} is unused: nothing here is suppressed by it"
            for dated in unused
            if dated.suppression.source not in used
        ]
    return found


def _gone(reports: Iterable[Report], policy: Policy, path: str) -> list[str]:
    left = policy.baseline - _all(reports)
    if not left:
        return []
    return [
        f"{len(left):,} of {counted(len(policy.baseline), 'finding')} in the baseline did not come up: mended, or of packages that were not"
        f" looked at; `--write-baseline {printable(path)}` renews it"
    ]


def _all(reports: Iterable[Report], *, by: tuple[str, ...] = ("--ignore", "configuration", "baseline")) -> frozenset[Identity]:
    """Return what was found, with what was suppressed in one of these ways."""
    found = [finding for report in reports for finding in report.findings]
    return identities([*found, *(item.finding for report in reports for item in report.suppressed if item.by in by)])


def _write(path: str, reports: Iterable[Report], code: int) -> None:
    """Write the baseline, with what is accepted in no other way; not when something could not be looked at."""
    if code:
        notify([f"{printable(path)} is not written, because not everything could be looked at"])
        return
    known = _all(reports, by=("baseline",))
    replace_file(path, baseline.dumps(known))
    notify([f"{counted(len(known), 'finding')} written to {printable(path)}; `--baseline {printable(path)}` sets them apart"])


def _verdict(reports: Iterable[Report], fail_on: str, certainty: Certainty) -> int:
    """Return 1 when some finding counts."""
    if fail_on == "never":
        return 0
    floor = SEVERITIES[fail_on]
    return int(any(finding.severity >= floor and finding.certainty >= certainty for report in reports for finding in report.findings))
