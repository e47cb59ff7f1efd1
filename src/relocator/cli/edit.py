"""`relocate edit`."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
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

Other than there, --set-rpath keeps DT_RPATH where the file has it, what is there already is not added twice, and an OLD that is not there
is an error unless NEW is.
"""


class _Option(NamedTuple):
    """One option that asks for an edit."""

    names: tuple[str, ...]
    values: str
    """Metavariables of its values; "" for a flag."""
    told: str
    wish: Callable[..., Wish]
    aliases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.names[0].removeprefix("--").replace("-", "_")


_OPTIONS = (
    _Option(
        ("--set-rpath",),
        "P",
        "Make P the only search path; repeated: several.",
        lambda *p: SetSearchPaths(p),
        ("-r",),
    ),
    _Option(("--add-rpath",), "P", "Append a search path.", AddPath, ("-add_rpath",)),
    _Option(("--drop-rpath",), "P", "Remove one search path.", DropPath, ("-delete_rpath",)),
    _Option(("--remove-rpath",), "", "Remove all search paths.", lambda: SetSearchPaths(())),
    _Option(("--replace-rpath",), "OLD NEW", "Replace one search path.", ReplacePath, ("-rpath",)),
    _Option(("--replace-needed",), "OLD NEW", "Need another library in the place of one.", ReplaceNeeded, ("-change",)),
    _Option(("--add-needed",), "N", "Need one more library; for PE name a symbol too: N!symbol.", AddNeeded),
    _Option(("--remove-needed",), "N", "Need a library no longer.", RemoveNeeded),
    _Option(("--set-identity",), "N", "Set DT_SONAME, LC_ID_DYLIB or the export directory's name.", SetIdentity, ("--set-soname", "-id")),
    _Option(("--set-interpreter",), "P", "Set the loader of an ELF program.", SetInterpreter),
    _Option(("--set-execstack",), "", "Ask for an executable stack (ELF).", lambda: SetExecutableStack(True), ("-s",)),
    _Option(("--clear-execstack",), "", "Do without an executable stack (ELF).", lambda: SetExecutableStack(False), ("-c",)),
    _Option(("--resign",), "", "Replace an identity's signature: ad hoc for Mach-O, none for PE.", Resign),
)


class Ordered(click.Command):
    """A command that knows in which order its options were typed, also of different ones."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the order, then parse as always."""
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[__name__] = tuple(parameter.name for parameter in order)
        return super().parse_args(ctx, args)


class _Choice(NamedTuple):
    """The options that are no edits."""

    rpath_kind: str
    force_rpath: bool
    arch: str
    parents: str
    output: str
    dry_run: bool
    journal: str
    verify: str
    no_verify: bool
    break_hard_links: bool

    @property
    def kind(self) -> PathKind:
        """In which tag search paths go."""
        if self.force_rpath and self.rpath_kind == PathKind.RUNPATH:
            raise UsageError("--force-rpath and --rpath-kind runpath contradict one another", "give one of them")
        return PathKind.RPATH if self.force_rpath else PathKind(self.rpath_kind)

    @property
    def level(self) -> Level:
        """How much to verify."""
        if self.no_verify and self.verify == Level.FULL:
            raise UsageError("--no-verify and --verify full contradict one another", "give one of them")
        return Level.NONE if self.no_verify else Level(self.verify)


def _edits(function: Function) -> Function:
    """Add the options that ask for edits, and their aliases, hidden."""
    for option in reversed(_OPTIONS):
        count = len(option.values.split())
        kind: dict[str, Any] = {"metavar": option.values, "multiple": True, "nargs": count} if count else {"is_flag": True}
        if option.aliases:
            function = click.option(*option.aliases, f"{option.key}_alias", hidden=True, allow_from_autoenv=False, **kind)(function)
        function = click.option(*option.names, option.key, help=option.told, allow_from_autoenv=False, **kind)(function)
    return function


def _choices(function: Function) -> Function:
    kinds, levels = [str(kind) for kind in PathKind], [str(Level.NORMAL), str(Level.FULL)]
    options = (
        click.option("--rpath-kind", type=click.Choice(kinds), default="keep", show_default=True, help="In which ELF tag the paths go."),
        click.option("--force-rpath", is_flag=True, hidden=True),
        click.option("--parents", metavar="DIR", default="", help="A file without paths takes the tag of those in DIR that need it."),
        click.option("--arch", metavar="A", default="", help="Edit only this slice of a universal file."),
        click.option("-o", "--output", metavar="OUT", default="", help="Write the result there, for one FILE."),
        click.option("-n", "--dry-run", is_flag=True, help="Show every patch, and write nothing."),
        click.option("--journal", metavar="FILE", default="", help="Keep there what is needed to undo the edit."),
        click.option("--undo", metavar="JOURNAL", default="", help="Put back the files that a journal tells of."),
        click.option(
            "--verify", type=click.Choice(levels), default="normal", show_default=True, help="Full adds symbols, relocations, LIEF."
        ),
        click.option("--no-verify", is_flag=True, help="Do not ask a second parser."),
        click.option("--break-hard-links", is_flag=True, help="Give a file with several names one of its own."),
        click.option("--format", "form", type=click.Choice(formats("edit")), default="text", show_default=True, help="Form of the result."),
        COLOR,
        verbose("Every patch."),
        click.option("--traceback", is_flag=True, hidden=True),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("edit", cls=Ordered, epilog=ALIASES)
@click.argument("files", nargs=-1, metavar="FILE...")
@_edits
@_choices
@click.pass_context
def command(ctx: click.Context, /, *, files: tuple[str, ...], undo: str, form: str, color: str, **values: Any) -> int:
    """Rewrite binaries: search paths, needs, identities, for any system on any system.

    All files are planned before any is written, and verified by a parser that did not write them before any is renamed into place; when
    one cannot be done none is changed. Edits of one call are independent: each names what is in the file as it is now.
    """
    printing = Printing(form, "", color, values["verbose"])
    if undo:
        return _undo(undo, printing, bool(files or any(_wishes(ctx.meta[__name__], values))), values["dry_run"])
    choice = _Choice(**{field: values[field] for field in _Choice._fields})
    paths = [path for typed in files for path in expand([typed])]
    if not paths:
        raise click.UsageError("there is no FILE to edit", ctx)
    wishes = _all_wishes(ctx.meta[__name__], values, choice)
    refuse_overwriting(choice.output, paths, "-o")
    plans, failures = api.edit(
        paths,
        wishes,
        kind=choice.kind,
        parents=choice.parents,
        output=choice.output,
        dry_run=choice.dry_run,
        journal=choice.journal,
        verify=choice.level,
        break_hard_links=choice.break_hard_links,
    )
    deliver("edit", printing, plans, failures)
    complain(failures)
    return max((failure.code for failure in failures), default=0)


def _all_wishes(order: Sequence[str], values: Mapping[str, Any], choice: _Choice) -> list[Wish]:
    """Return what is wished; raise UsageError when that is nothing, or contradicts itself."""
    wishes = [_for(wish, choice.arch) for wish in _wishes(order, values)]
    if len({wish.executable for wish in wishes if isinstance(wish, SetExecutableStack)}) > 1:
        raise UsageError("--set-execstack and --clear-execstack contradict one another", "give one of them")
    if choice.kind != PathKind.KEEP and not any(isinstance(wish, SetSearchPaths | AddPath | DropPath | ReplacePath) for wish in wishes):
        wishes.append(KeepPaths(choice.arch))
    return wishes


def _for(wish: Wish, arch: str) -> Wish:
    """Restrict a wish to an architecture, where it knows any."""
    match wish:
        case AddPath() | DropPath() | ReplacePath() | KeepPaths():
            return wish._replace(arch=arch)
        case SetInterpreter() | SetExecutableStack():
            return wish
        case _:
            return dataclasses.replace(wish, arch=arch)


def _wishes(order: Sequence[str], values: Mapping[str, Any]) -> Iterator[Wish]:
    """Yield the wishes in the order in which they were typed; all paths to be set are one list, at the place of the first."""
    table = {option.key: option for option in _OPTIONS}
    given = {name: iter(values[name]) for name in values if name.removesuffix("_alias") in table and isinstance(values[name], tuple)}
    paths: list[str] = []
    found: list[tuple[_Option, tuple[str, ...]]] = []
    for name in order:
        option = table.get(name.removesuffix("_alias"))
        if option is None:
            continue
        value = next(given[name]) if name in given else ()
        arguments = value if isinstance(value, tuple) else (value,)
        if option.key == "set_rpath":
            paths += arguments
            if len(paths) > 1:
                continue
        found.append((option, arguments))
    for option, arguments in found:
        yield option.wish(*(paths if option.key == "set_rpath" else arguments))


def _undo(journal: str, printing: Printing, more: bool, dry_run: bool) -> int:
    if more:
        raise click.UsageError("--undo takes no files and no edits: the journal says what to put back")
    try:
        written = api.undo(journal, dry_run=dry_run)
    except RelocatorError as error:
        failures = (Failure(journal, error.message, error.hint, error.exit_code),)
        deliver("undo", printing, (), failures)
        complain(failures)
        return error.exit_code
    restored = [Restored(item.path, item.sha256_before, item.sha256_after, not dry_run) for item in written]
    deliver("undo", printing, restored, ())
    return 0
