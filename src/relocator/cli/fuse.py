"""`relocate fuse`."""

from typing import Any

import click

from relocator import api
from relocator.cli import finished
from relocator.cli.terminal import Meter


@click.command("fuse")
@click.argument("first", metavar="WHEEL")
@click.argument("second", metavar="WHEEL")
@click.option("--as-first", metavar="GLOB", multiple=True, help="Let these files be as the first wheel has them. Repeatable.")
@click.option("--as-second", metavar="GLOB", multiple=True, help="Let these files be as the second wheel has them. Repeatable.")
@finished.options("the fused wheel goes", "One line")
def command(*, first: str, second: str, **values: Any) -> int:
    """Make one macOS wheel of two for different architectures, such as x86_64 and arm64: universal2.

    Their Mach-O files are joined, everything else has to be the same: all that differs is told, and then nothing is written. --as-first and
    --as-second say which wheel is right about a file, also where one of them does not have it. Fuse wheels before they are repaired.
    """
    printing = finished.printing(values)
    with Meter(printing.quiet) as meter:
        result = api.fuse(
            first,
            second,
            values["wheel_dir"],
            as_first=values["as_first"],
            as_second=values["as_second"],
            progress=meter.follow,
            **finished.writing(values),
        )
    return finished.conclude(printing, [result])
