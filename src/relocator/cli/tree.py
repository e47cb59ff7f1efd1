"""`relocate tree`."""

import click

from relocator import api
from relocator.cli.looks import look_at
from relocator.cli.options import Request, request


@click.command("tree")
@click.argument("path", metavar="PATH")
@click.argument("member", required=False, default="", metavar="[MEMBER]")
@request("tree")
def command(*, path: str, member: str, request: Request) -> int:
    """Show what each module loads, from where, and by which rule of the loader.

    MEMBER chooses binaries inside PATH: a name, the end of one, or a pattern such as "*_core*". Without it every extension module,
    program, and library that nothing else brings is shown; those that load the same are shown once. What is missing is told with every
    place that the loader tries; -v tells the places of what was found, too.
    """

    def look(subject: str, progress: api.Progress) -> tuple[tuple[api.Forest, ...], tuple[api.Failure, ...]]:
        return api.tree(subject, member, target=request.target, search=request.search, max_size=request.max_size, progress=progress)

    return look_at("tree", [path], request, look)[1]
