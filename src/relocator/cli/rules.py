"""`relocate rules`."""

import click

from relocator.cli.options import Printing, printing
from relocator.cli.terminal import deliver
from relocator.rules import RULES


@click.command("rules")
@printing("rules")
def command(*, printing: Printing) -> int:
    """List the rules by which audit judges."""
    deliver("rules", printing, RULES)
    return 0
