"""`relocate audit`."""

from typing import Any

import click

from relocator import api
from relocator.cli.inputs import expand
from relocator.cli.judging import Judging, judge, options
from relocator.cli.options import Request, names, request


@click.command("audit")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@request("audit", *options())
def command(*, paths: tuple[str, ...], request: Request, **judging: Any) -> int:
    """Find what is missing, conflicting or unsafe in wheels, folders and files.

    PATH is a wheel, a folder (of wheels, or laid out as a package), a binary, a pattern such as "dist/*.whl", or - for a list of paths on
    standard input. The target comes from the wheel's tags, never from this machine.

    Options may also stand in [tool.relocator] of pyproject.toml, or in variables such as RELOCATOR_FAIL_ON; what is typed wins.
    """

    def look(path: str, progress: api.Progress, policy: api.Policy) -> tuple[tuple[api.Report, ...], tuple[api.Failure, ...]]:
        return api.audit(
            path,
            target=request.target,
            search=request.search,
            select=names(asked.select),
            policy=policy,
            max_size=request.max_size,
            progress=progress,
        )

    asked = Judging(**judging)
    return judge("audit", expand(paths), request, asked, look)
