"""`relocate repair`."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from relocator import api
from relocator.cli import configured, finished, mishap, whereabouts
from relocator.cli.inputs import expand
from relocator.cli.options import Printing
from relocator.cli.repair_options import (
    PLAT_VARIABLE,
    SEARCH_VARIABLES,
    SEVERITIES,
    Repair,
    folders,
    level,
    options,
    repair_options,
)
from relocator.cli.terminal import Meter, notify
from relocator.errors import UsageError
from relocator.findings import Certainty
from relocator.paint import printable
from relocator.platform_tags import Platform, parse, with_arches
from relocator.repairs import Outcome, RepairOptions, RepairResult
from relocator.verification import Level

ELSEWHERE = """\b
The options of auditwheel, delocate, delvewheel and repairwheel are accepted where they mean the same.

\b
Exit status:
  0  the plan was carried out, or there was nothing to do
  1  and something of the severity that --fail-on names remains
  2  the command line makes no sense
  3  a path does not exist, or an archive cannot be opened
  4  a wheel cannot be repaired as asked; nothing was written for it
  5  an error of relocate itself
"""


def _all_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed([*options(), *configured.options()]):
        function = option(function)
    return function


@click.command("repair", cls=Repair, epilog=ELSEWHERE)
@click.argument("wheels", nargs=-1, required=True, metavar="WHEEL...")
@_all_options
def command(*, wheels: tuple[str, ...], **values: Any) -> int:
    """Make wheels self-contained: bring in the libraries that they need, and give them the best tag that they keep.

    WHEEL is a wheel of any system, a folder of wheels, a pattern such as "dist/*.whl", or - for a list on standard input. What is to be
    done is planned first (--dry-run shows it); the result is read again, verified, and only then renamed into the output folder. The
    wheel itself is never changed.
    """
    printing = finished.printing(values)
    results = _repaired(expand(wheels), values, printing)
    return max(finished.conclude(printing, results), _verdict(results, values["fail_on_remaining"]))


def _repaired(paths: Sequence[str], values: Mapping[str, Any], printing: Printing) -> list[RepairResult]:
    """Repair the wheels and return the results in the order of the paths."""
    chosen, places = repair_options(values, os.environ), folders(values)
    if places.absent and not printing.quiet:
        notify([f"{printable(folder)} is no folder, and is passed over" for folder in places.absent])
    asked: dict[str, Any] = {
        "search": places.search,
        "instead_of_host": places.instead_of_host,
        "host": places.host,
        "process_env": {name: os.environ[name] for name in SEARCH_VARIABLES if os.environ.get(name)},
        "prefix": _prefix(chosen),
        "level": level(values, os.environ),
        "verify": Level(values["verify"]),
        **finished.writing(values),
    }
    default, claimed = os.environ.get(PLAT_VARIABLE, ""), dict[str, str]()
    results = []
    with Meter(printing.quiet) as meter:
        for number, path in enumerate(paths, 1):
            decided = _for_platform(chosen, path, default)
            try:
                progress = meter.of(number, len(paths))
                results.append(api.repair(path, values["wheel_dir"], decided, progress=progress, claimed=claimed, **asked))
            except UsageError:
                raise
            except Exception as error:  # the edge: one wheel that we stumble over must not cost the others
                if values["traceback"] or mishap.wants_traceback():
                    raise
                results.append(RepairResult(path, Outcome.FAILED, failures=(mishap.failure(error, path),)))
    return results


def _for_platform(chosen: RepairOptions, path: str, default: str) -> RepairOptions:
    """Return the options for one wheel: a platform tag of the environment counts for wheels of its own platform."""
    fits = not chosen.plat and default not in ("", "auto") and _is_for(path, default)
    return dataclasses.replace(chosen, plat=(default,)) if fits else chosen


def _is_for(path: str, tag: str) -> bool:
    """Tell whether a platform tag, with or without its architecture, is for the system and architecture that a wheel's name promises."""
    names = path.replace("\\", "/").rpartition("/")[2].removesuffix(".whl").rpartition("-")[2].split(".")
    return any(_is_alike(tag, platform) for platform in map(parse, names) if platform.os)


def _is_alike(tag: str, platform: Platform) -> bool:
    try:
        wanted = [parse(whole) for whole in with_arches(tag, platform.os, platform.arches)]
    except UsageError:
        return False
    return all((one.os, one.arches) == (platform.os, platform.arches) for one in wanted)


def _prefix(chosen: RepairOptions) -> str:
    """Return the environment in which distributions are looked up that `--provided-by` names without a path."""
    if all(provider.path for provider in chosen.provided_by):
        return ""
    try:
        return os.path.abspath(whereabouts.default_place(os.environ, os.getcwd()).path)
    except (UsageError, FileNotFoundError):
        return ""


def _verdict(results: Sequence[RepairResult], fail_on: str) -> int:
    """Return 1 when something counts that remains."""
    if fail_on == "never":
        return 0
    floor = SEVERITIES[fail_on]
    remaining = (finding for result in results for finding in result.remaining)
    return int(any(finding.severity >= floor and finding.certainty >= Certainty.LIKELY for finding in remaining))
