"""`relocate audit`."""

from collections.abc import Iterable

import click

from relocator import api
from relocator.cli.inputs import expand
from relocator.cli.looks import look_at
from relocator.cli.options import Request, names, request
from relocator.findings import Certainty, Report, Severity

SEVERITIES = {str(severity): severity for severity in sorted(Severity, reverse=True)}
CERTAINTIES = {str(certainty): certainty for certainty in sorted(Certainty, reverse=True)}


@click.command("audit")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@request(
    "audit",
    click.option("--select", metavar="RULE", multiple=True, help="Only these rules. Repeatable, or separated by commas."),
    click.option("--ignore", metavar="RULE", multiple=True, help="Set these rules' findings apart. Repeatable, or separated by commas."),
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
)
def command(
    *, paths: tuple[str, ...], fail_on: str, certainty: str, select: tuple[str, ...], ignore: tuple[str, ...], request: Request
) -> int:
    """Find what is missing, conflicting or unsafe in wheels, folders and files.

    PATH is a wheel, a folder (of wheels, or laid out as a package), a binary, a pattern such as "dist/*.whl", or - for a list of paths on
    standard input. The target comes from the wheel's tags, never from this machine.
    """

    def look(path: str, progress: api.Progress) -> tuple[tuple[Report, ...], tuple[api.Failure, ...]]:
        return api.audit(
            path,
            target=request.target,
            search=request.search,
            select=names(select),
            ignore=names(ignore),
            max_size=request.max_size,
            progress=progress,
        )

    reports, code = look_at("audit", expand(paths), request, look)
    return max(code, _verdict(reports, fail_on, CERTAINTIES[certainty]))


def _verdict(reports: Iterable[Report], fail_on: str, certainty: Certainty) -> int:
    """Return 1 when some finding counts."""
    if fail_on == "never":
        return 0
    floor = SEVERITIES[fail_on]
    return int(any(finding.severity >= floor and finding.certainty >= certainty for report in reports for finding in report.findings))
