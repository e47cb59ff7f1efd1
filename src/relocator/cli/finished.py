"""What the commands that write wheels have in common: where these go, how it is told, and the exit status."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from relocator.cli.options import COLOR, Option, Printing, size, verbose
from relocator.cli.repair_options import epoch
from relocator.cli.terminal import complain, deliver
from relocator.output import formats
from relocator.repairs import RepairResult


def options(wheels: str, lines: str) -> Option:
    """Return a decorator that adds the options about writing and printing; `wheels` go somewhere, and `lines` are all that -q leaves."""
    added: list[Option] = [
        click.option("-w", "--wheel-dir", metavar="DIR", default="wheelhouse", show_default=True, help=f"Where {wheels}."),
        click.option("-n", "--dry-run", is_flag=True, help="Show the plan, and write nothing."),
        click.option("--force", is_flag=True, help="Replace a wheel that is there and differs."),
        click.option("--max-size", callback=size, metavar="SIZE", help="Refuse archives that inflate to more than this.  [default: 16G]"),
        click.option(
            "--format", "form", type=click.Choice(formats("repair")), default="text", show_default=True, help="Form of the result."
        ),
        COLOR,
        verbose("Every action and its reason."),
        click.option("-q", "--quiet", is_flag=True, help=f"{lines}, and no progress."),
        click.option("--traceback", is_flag=True, hidden=True),
    ]

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(added):
            function = option(function)
        return function

    return add


def printing(values: Mapping[str, Any]) -> Printing:
    """Return how the user wants to have the result."""
    return Printing(values["form"], "", values["color"], values["verbose"], values["quiet"])


def writing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return how archives are written, by the names that the functions of `api` have for it."""
    return {"epoch": epoch(os.environ), **{name: values[name] for name in ("force", "dry_run", "max_size")}}


def conclude(how: Printing, results: Sequence[RepairResult]) -> int:
    """Print what became of the wheels, and return the exit status that the worst failure asks for."""
    failures = [failure for result in results for failure in result.failures]
    deliver("repair", how, results, failures)
    complain(failures)
    return max((failure.code for failure in failures), default=0)
