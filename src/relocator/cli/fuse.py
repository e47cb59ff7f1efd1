"""`relocate fuse`."""

import os
from typing import Any

import click

from relocator import api
from relocator.cli.options import COLOR, Printing, size, verbose
from relocator.cli.repair_options import epoch
from relocator.cli.terminal import Meter, complain, deliver
from relocator.output import formats


@click.command("fuse")
@click.argument("first", metavar="WHEEL")
@click.argument("second", metavar="WHEEL")
@click.option("--as-first", metavar="GLOB", multiple=True, help="Let these files be as the first wheel has them. Repeatable.")
@click.option("--as-second", metavar="GLOB", multiple=True, help="Let these files be as the second wheel has them. Repeatable.")
@click.option("-w", "--wheel-dir", metavar="DIR", default="wheelhouse", show_default=True, help="Where the fused wheel goes.")
@click.option("-n", "--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@click.option("--force", is_flag=True, help="Replace a wheel that is there and differs.")
@click.option("--max-size", callback=size, metavar="SIZE", help="Refuse archives that inflate to more than this.  [default: 16G]")
@click.option("--format", "form", type=click.Choice(formats("repair")), default="text", show_default=True, help="Form of the result.")
@COLOR
@verbose("Every action and its reason.")
@click.option("-q", "--quiet", is_flag=True, help="One line, and no progress.")
@click.option("--traceback", is_flag=True, hidden=True)
def command(*, first: str, second: str, **values: Any) -> int:
    """Make one macOS wheel of two for different architectures, such as x86_64 and arm64: universal2.

    Their Mach-O files are joined, everything else has to be the same: all that differs is told, and then nothing is written. --as-first and
    --as-second say which wheel is right about a file, also where one of them does not have it. Fuse wheels before they are repaired.
    """
    printing = Printing(values["form"], "", values["color"], values["verbose"], values["quiet"])
    with Meter(printing.quiet) as meter:
        result = api.fuse(
            first,
            second,
            values["wheel_dir"],
            as_first=values["as_first"],
            as_second=values["as_second"],
            epoch=epoch(os.environ),
            force=values["force"],
            dry_run=values["dry_run"],
            max_size=values["max_size"],
            progress=meter.follow,
        )
    deliver("repair", printing, [result], result.failures)
    complain(result.failures)
    return max((failure.code for failure in result.failures), default=0)
