"""`relocate explain`."""

import click

from relocator.cli.options import Printing, printing
from relocator.cli.terminal import page_through
from relocator.rules import named


@click.command("explain")
@click.argument("rules", nargs=-1, required=True, metavar="RULE...")
@printing("explain")
def command(*, rules: tuple[str, ...], printing: Printing) -> int:
    """Explain a rule: why it matters, how to fix it, when it is fine."""
    page_through("explain", printing, [named(name) for name in rules])
    return 0
