"""`relocate show`."""

import click

from relocator import api
from relocator.cli.inputs import expand
from relocator.cli.looks import look_at
from relocator.cli.options import Request, request


@click.command("show")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@request("show")
def command(*, paths: tuple[str, ...], request: Request) -> int:
    """Show what a package holds and needs, and which platform tag it allows.

    Tells the best tag that the binaries allow and what prevents a better one, which libraries they need and who provides them, symbol
    versions, deployment targets, architectures and search paths. Grouped and counted; -v tells every file.
    """

    def look(path: str, progress: api.Progress) -> tuple[tuple[api.Profile, ...], tuple[api.Failure, ...]]:
        return api.show(path, target=request.target, search=request.search, max_size=request.max_size, progress=progress)

    return look_at("show", expand(paths), request, look)[1]
