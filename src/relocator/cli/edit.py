"""`relocate edit`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import click

from relocator import api
from relocator.cli.inputs import expand
from relocator.cli.options import COLOR, Printing, verbose
from relocator.cli.terminal import complain, deliver, refuse_overwriting
from relocator.editing import AddPath, DropPath, KeepPaths, ReplacePath, Restored, Wish
from relocator.errors import RelocatorError, UsageError
from relocator.findings import Failure
from relocator.output import formats
from relocator.plans import (
    AddNeeded,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)
from relocator.verification import Level

Function = Callable[..., Any]

ALIASES = """\b
Accepted as well, for those who come from other tools:
  patchelf           --set-soname N, --output OUT, --force-rpath (for --rpath-kind rpath)
  install_name_tool  -id N, -change OLD NEW, -rpath OLD NEW, -add_rpath P, -delete_rpath P
  chrpath            -r P
  execstack          -s, -c
Other than there: --set-rpath keeps DT_RPATH where the file has it (patchelf makes DT_RUNPATH of it), what is there already need not be
added again, and an OLD that is not there is an error unless NEW is.
"""


class Ordered(click.Command):
    """A command that knows in which order its options were typed, also of different ones."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the order, then parse as always."""
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[__name__] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


class _Choice(NamedTuple):
    """The options that are no edits."""

    rpath_kind: str
    force_rpath: bool
    parents: str
    out: str
    dry_run: bool
    journal: str
    verify: str
    no_verify: bool
    break_hard_links: bool

    @property
    def kind(self) -> PathKind:
        if self.force_rpath and self.rpath_kind == PathKind.RUNPATH:
            raise UsageError("--force-rpath and --rpath-kind runpath contradict one another", "give one of them")
        return PathKind.RPATH if self.force_rpath else PathKind(self.rpath_kind)

    @property
    def level(self) -> Level:
        if self.no_verify and self.verify == Level.FULL:
            raise UsageError("--no-verify and --verify full contradict one another", "give one of them")
        return Level.NONE if self.no_verify else Level(self.verify)


def _wish(*names: str, takes: str = "", told: str) -> Function:
    """Return an option that can be repeated; `takes` are its values' names, none for a flag."""
    count = len(takes.split())
    if not count:
        return click.option(*names, is_flag=True, help=told, allow_from_autoenv=False)
    return click.option(*names, metavar=takes, multiple=True, nargs=count, help=told, allow_from_autoenv=False)


def _hidden(*names: str, takes: str = "") -> Function:
    count = len(takes.split())
    if not count:
        return click.option(*names, is_flag=True, hidden=True, allow_from_autoenv=False)
    return click.option(*names, metavar=takes, multiple=True, nargs=count, hidden=True, allow_from_autoenv=False)


_EDITS: tuple[Function, ...] = (
    _wish("--set-rpath", "set_rpath", takes="P", told="Make P the search path, in the tag that the file uses. Repeated: several, in order."),
    _hidden("-r", "set_rpath", takes="P"),
    _wish("--add-rpath", "add_rpath", takes="P", told="Append a search path."),
    _wish("--drop-rpath", "drop_rpath", takes="P", told="Remove one search path."),
    _wish("--remove-rpath", "remove_rpath", told="Remove all search paths."),
    _wish("--replace-rpath", "replace_rpath", takes="OLD NEW", told="Replace one search path."),
)
