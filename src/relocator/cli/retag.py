"""`relocate retag`."""

from typing import Any

import click

from relocator import api
from relocator.cli import finished
from relocator.cli.inputs import expand
from relocator.cli.terminal import Meter

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
@finished.options("retagged wheels go", "One line for each wheel")
def command(*, wheels: tuple[str, ...], **values: Any) -> int:
    """Give wheels other tags, in the file name and in WHEEL; nothing else changes.

    Without a tag the platform tags are those that the binaries allow. Tags that the binaries do not keep to are refused, as an audit would
    flag them. The wheel itself is never changed.
    """
    printing = finished.printing(values)
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
            progress=meter.follow,
            **finished.writing(values),
        )
    return finished.conclude(printing, results)
