"""`relocate rules`."""

import click

from relocator.cli.options import COLOR, Printing, printing, verbose
from relocator.cli.terminal import deliver
from relocator.rules import RULES


@click.command("rules")
@printing("rules", COLOR, verbose("Also formats, containers and repair."))
def command(*, printing: Printing) -> int:
    """List the rules by which audit judges."""
    deliver("rules", printing, RULES)
    return 0
