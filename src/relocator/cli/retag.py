"""`relocate retag`."""

import os
from typing import Any

import click

from relocator import api
from relocator.cli.inputs import expand
from relocator.cli.options import COLOR, Printing, size, verbose
from relocator.cli.repair_options import epoch
from relocator.cli.terminal import Meter, complain, deliver
from relocator.output import formats

EXAMPLES = """\b
The best tags that the binaries allow:
    relocate retag -w dist build/demo-1.0-cp312-cp312-linux_x86_64.whl
These tags, if the binaries keep to them:
    relocate retag --plat manylinux_2_28 --build 2 -w dist build/demo-1.0-cp312-cp312-linux_x86_64.whl

No library is brought in: a wheel that needs some from elsewhere is for `relocate repair`.
"""


@click.command("retag", epilog=EXAMPLES)
@click.argument("wheels", nargs=-1, required=True, metavar="WHEEL...")
@click.option("--plat", metavar="TAG", multiple=True, help="The platform tag instead of the present ones. Repeatable: several.")
@click.option("--auto", is_flag=True, help="The platform tags that the binaries allow, beside those of --plat.")
@click.option("--python-tag", metavar="TAG", multiple=True, help="The Python tag, such as cp312. Repeatable: several.")
@click.option("--abi-tag", metavar="TAG", multiple=True, help="The ABI tag, such as abi3. Repeatable: several.")
@click.option("--build", metavar="NUMBER", default=None, help='The build number; "" for none.')
@click.option("--disable-isa-ext-check", is_flag=True, help="Let binaries need x86-64-v2 or more.")
@click.option("--force-tags", is_flag=True, help="Give these tags even if the binaries do not keep to them.")
@click.option("-w", "--wheel-dir", metavar="DIR", default="wheelhouse", show_default=True, help="Where retagged wheels go.")
@click.option("-n", "--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@click.option("--force", is_flag=True, help="Replace a wheel that is there and differs.")
@click.option("--max-size", callback=size, metavar="SIZE", help="Refuse archives that inflate to more than this.  [default: 16G]")
@click.option("--format", "form", type=click.Choice(formats("repair")), default="text", show_default=True, help="Form of the result.")
@COLOR
@verbose("Every action and its reason.")
@click.option("-q", "--quiet", is_flag=True, help="One line for each wheel, and no progress.")
@click.option("--traceback", is_flag=True, hidden=True)
def command(*, wheels: tuple[str, ...], **values: Any) -> int:
    """Give wheels other tags, in the file name and in WHEEL; nothing else changes.

    Without a tag the platform tags are those that the binaries allow. Tags that the binaries do not keep to are refused, as an audit would
    flag them. The wheel itself is never changed.
    """
    printing = Printing(values["form"], "", values["color"], values["verbose"], values["quiet"])
    with Meter(printing.quiet) as meter:
        results = api.retag(
            expand(wheels),
            values["wheel_dir"],
            plat=values["plat"],
            auto=values["auto"],
            python_tags=values["python_tag"],
            abi_tags=values["abi_tag"],
            build=values["build"],
            check_isa=not values["disable_isa_ext_check"],
            force_tags=values["force_tags"],
            epoch=epoch(os.environ),
            force=values["force"],
            dry_run=values["dry_run"],
            max_size=values["max_size"],
            progress=meter.follow,
        )
    failures = [failure for result in results for failure in result.failures]
    deliver("repair", printing, results, failures)
    complain(failures)
    return max((failure.code for failure in failures), default=0)
