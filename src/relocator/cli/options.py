"""Options that several commands share, packed into one value, and the types of their values."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from relocator.output import formats

Function = Callable[..., Any]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Printing(NamedTuple):
    """How the user wants to have the result."""

    form: str
    output: str
    """A file; "" and "-" are standard output."""
    color: str
    verbose: bool
    quiet: bool = False


class Request(NamedTuple):
    """What every command that looks at packages is told."""

    target: str
    search: tuple[str, ...]
    max_size: int | None
    traceback: bool
    printing: Printing


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


def printing(noun: str, *, quiet: bool = False) -> Callable[[Function], Function]:
    """Return a decorator that adds the options about printing and passes them on as one `printing`."""
    choices = formats(noun)
    added = [
        click.option("--format", "form", type=click.Choice(choices), default=choices[0], show_default=True, help="Form of the output."),
        click.option("--output", metavar="FILE", default="", help="Write to this file, which appears once it is complete."),
        click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="When to colour."),
        click.option("-v", "--verbose", is_flag=True, help="Everything, nothing shortened."),
    ]
    if quiet:
        added.append(click.option("-q", "--quiet", is_flag=True, help="Only the outcome, and no progress."))
    return _packed(added, "printing", Printing, Printing._fields)


def request(noun: str) -> Callable[[Function], Function]:
    """Return a decorator that adds what every command that looks at packages is told, and passes it on as one `request`."""
    added = [
        click.option("--target", metavar="TAG", default="", help="Judge for this platform tag instead of the package's own."),
        click.option("--search", metavar="DIR", multiple=True, help="Look for libraries here too, last of all. Repeatable."),
        click.option("--max-size", callback=size, metavar="SIZE", help="Refuse archives that inflate to more than this.  [default: 16G]"),
        click.option("--traceback", is_flag=True, hidden=True, help="Show where an internal error happened."),
    ]

    def decorate(function: Function) -> Function:
        return printing(noun, quiet=True)(_packed(added, "request", Request, Request._fields)(function))

    return decorate


def _packed(
    options: Sequence[Callable[[Function], Function]], name: str, noun: Callable[..., Any], fields: tuple[str, ...]
) -> Callable[[Function], Function]:
    """Return a decorator that adds options and hands them to the function as one argument."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def command(**values: Any) -> Any:
            packed = {field: values.pop(field) for field in fields if field in values}
            return function(**values, **{name: noun(**packed)})

        decorated: Function = command
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Split repeated and comma-separated names."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())
