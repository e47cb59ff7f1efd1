"""Options that several commands share, packed into one value, and the types of their values."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from relocator.cli import configured
from relocator.configuration import Configuration
from relocator.output import formats

Function = Callable[..., Any]
Option = Callable[[Function], Function]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Printing(NamedTuple):
    """How the user wants to have the result."""

    form: str
    output: str
    """A file; "" and "-" are standard output."""
    color: str = "never"
    verbose: bool = False
    quiet: bool = False


class Request(NamedTuple):
    """What every command that looks at packages is told."""

    target: str
    search: tuple[str, ...]
    max_size: int | None
    traceback: bool
    printing: Printing
    configuration: Configuration


def size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return the bytes that a text such as 500M, 2G or 1024 stands for; None when it is not given."""
    if value is None:
        return None
    text = value.strip().upper().removesuffix("B").removesuffix("I")
    unit = text[-1:] if text[-1:] in _UNITS else ""
    number = text.removesuffix(unit)
    if not (number.isascii() and number.isdecimal()) or len(number) > 18 or int(number) == 0:
        raise click.BadParameter(f"{value!r} is not a size; write it as 500M or 2G", ctx, param)
    return int(number) * _UNITS[unit]


def printing(noun: str, *more: Option) -> Callable[[Function], Function]:
    """Return a decorator that adds the options about printing and passes them on as one `printing`."""

    def pack(values: dict[str, Any]) -> dict[str, Any]:
        del values["configuration"], values["no_config"]  # it has given the defaults, and has nothing else to say here
        return {"printing": _taken(Printing, values)}

    return _packed([*_printing(noun), *more, *configured.options()], pack)


def request(noun: str, *more: Option) -> Callable[[Function], Function]:
    """Return a decorator that adds what every command that looks at packages is told, and passes it on as one `request`.

    `more` are the command's own options, told before those about printing.
    """
    about: list[Option] = [
        click.option("--target", metavar="TAG", default="", help="Judge for this platform tag instead of the package's own."),
        click.option(
            "--search", metavar="DIR", multiple=True, type=click.Path(), help="Look for libraries here too, last of all. Repeatable."
        ),
        click.option("--max-size", callback=size, metavar="SIZE", help="Refuse archives that inflate to more than this.  [default: 16G]"),
        click.option("--traceback", is_flag=True, hidden=True, help="Show where an internal error happened."),
    ]
    quiet: Option = click.option(
        "-q", "--quiet", is_flag=True, help="Only the verdicts, and no progress." if noun == "audit" else "No progress."
    )

    def pack(values: dict[str, Any]) -> dict[str, Any]:
        del values["no_config"]
        values["printing"] = _taken(Printing, values)
        return {"request": _taken(Request, values)}

    shared: list[Option] = [*configured.options(), *_printing(noun), COLOR, verbose("Everything, nothing shortened."), quiet]
    return _packed([*about, *more, *shared], pack)


def verbose(told: str) -> Option:
    """Return the option -v, with what it does."""
    return click.option("-v", "--verbose", is_flag=True, help=told)


COLOR: Option = click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="When to colour."
)


def _printing(noun: str) -> list[Option]:
    choices = formats(noun)
    return [
        click.option(
            "--format",
            "form",
            type=click.Choice(choices),
            default=choices[0],
            show_default=True,
            envvar="RELOCATOR_FORMAT",  # click would make RELOCATOR_FORM of it
            help="Form of the output.",
        ),
        click.option("--output", metavar="FILE", default="", help="Write to this file, which appears once it is complete."),
    ]


def _taken(noun: Any, values: dict[str, Any]) -> Any:
    """Make a noun of the values that bear its fields' names, and take them out."""
    return noun(**{field: values.pop(field) for field in noun._fields if field in values})


def _packed(options: Sequence[Option], pack: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Function], Function]:
    """Return a decorator that adds options and hands their values to the function as `pack` bundles them."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def command(**values: Any) -> Any:
            bundle = pack(values)
            return function(**values, **bundle)

        decorated: Function = command
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Split repeated and comma-separated names."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())
