"""The command `relocate`. Commands are imported when they are called, so that `--version`, help and completion stay quick."""

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from relocator import __version__
from relocator.errors import ContainerError, RelocatorError

COMMANDS = {
    "audit": "Find what is missing, conflicting or unsafe in wheels, folders and files.",
    "repair": "Make wheels self-contained: bring in the libraries that they need, and give them the best tag.",
    "retag": "Compute or set the tags of wheels, and judge their binaries by them.",
    "fuse": "Make one macOS wheel of two for different architectures.",
    "env": "Find what is in each other's way in an installed environment, or in a set of wheels.",
    "show": "Show what a package holds and needs, and which platform tag it allows.",
    "tree": "Show what each module loads, from where, and by which rule of the loader.",
    "edit": "Rewrite search paths, needs and identities of single binaries.",
    "rules": "List the rules by which audit judges.",
    "explain": "Explain one rule: why it matters, how to fix it, when it is fine.",
}
"""Name, which is also the module's, and what help says of it; kept here so that help need not import them."""

VARIABLES = "RELOCATOR"
"""What the environment variables that stand for options begin with: RELOCATOR_FAIL_ON for --fail-on, of every command that has it."""

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

COMPLETION = "_RELOCATE_COMPLETE"
"""The variable by which a shell asks click for completions."""

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

HELP = """Find out why compiled Python packages do not load, on any system, from any system.

Start with the wheel that you built or downloaded:

\b
    relocate audit demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl

It reads every binary inside, does what the target's loader would do, and says what is wrong, why, and what to do next.
Then let it mend the wheel:

\b
    relocate repair -w wheelhouse demo-1.0-cp312-cp312-linux_x86_64.whl

The system that you sit at makes no difference, and nothing of the package is executed.
"""

EXITS = """\b
Exit status:
  0  nothing wrong
  1  audit found something, or something remains after a repair (see --fail-on)
  2  the command line makes no sense
  3  a path does not exist, or an archive cannot be opened
  4  a file could not be rewritten, or a wheel not repaired; nothing was written
  5  an error of relocate itself
"""


class Commands(click.Group):
    """The table of commands as a click group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, the main job first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"relocator.cli.{cmd_name}").command
        command.context_settings["auto_envvar_prefix"] = VARIABLES
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands without importing any, and the options."""
        found = [CompletionItem(name, help=told) for name, told in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say what the user may have meant."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        if os.path.exists(name):  # noqa: PTH110  (what Path refuses, such as a null character, is no path here)
            raise click.UsageError(f"{name!r} is a path, not a command; did you mean `relocate audit {name}`?", ctx)
        from difflib import get_close_matches  # noqa: PLC0415  (start-up time)

        near = get_close_matches(name, COMMANDS, 1)
        raise click.UsageError(f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""), ctx)


@click.group(cls=Commands, invoke_without_command=True, context_settings=CONTEXT, help=HELP, epilog=EXITS, add_help_option=True)
@click.option("--version", is_flag=True, help="Show the version; with -v also what compresses archives.")
@click.option("-v", "--verbose", is_flag=True, hidden=True)
@click.pass_context
def relocate(ctx: click.Context, version: bool, verbose: bool) -> None:
    """Print the version or, without a command, the help."""
    if version:
        click.echo(f"relocate {__version__}")
        if verbose:
            click.echo(_details())
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _details() -> str:
    from relocator.archive_tools import compressor  # noqa: PLC0415  (start-up time)

    return f"archives are compressed by {compressor()}\nPython {sys.version.split()[0]} on {sys.platform}"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; nothing escapes but SystemExit of the interpreter's own."""
    _tolerate_any_encoding()
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        result = relocate.main(arguments, prog_name="relocate", standalone_mode=False, complete_var=COMPLETION)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except RelocatorError as error:
        click.echo(f"error: {error.message}" + (f"\n  = help: {error.hint}" if error.hint else ""), err=True)
        return error.exit_code
    except SystemExit:
        if COMPLETION in os.environ:
            raise
        return 0  # nothing of ours exits by itself: it is click's answer to a reader that went away while it wrote help
    except Exception as error:  # the edge: whatever else comes up is our bug, and its reader is no programmer
        if isinstance(error, FileNotFoundError) and _is_homeless():
            click.echo("error: the current directory does not exist any more\n  = help: change to one that does: `cd /`", err=True)
            return ContainerError.exit_code
        from relocator.cli.mishap import CODE, told  # noqa: PLC0415  (start-up time)

        click.echo(told(error, arguments), err=True)
        return CODE
    return result if isinstance(result, int) else 0


def _is_homeless() -> bool:
    """Tell whether somebody has removed the directory that we were started in: no relative path leads anywhere then."""
    try:
        os.getcwd()  # noqa: PTH109  (start-up time)
    except FileNotFoundError:
        return True
    return False


def _tolerate_any_encoding() -> None:
    """Let streams write what their encoding lacks as escapes rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
