"""The options --config and --no-config: what the file says becomes the defaults of the other options, below the environment's."""

import os
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from relocator.configuration import Configuration, Setting, find, load
from relocator.errors import UsageError

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

_OWN = frozenset({"fail_on_remaining"})
"""Parameters of options that share their name with one of another command, whose meaning in a file is meant."""


def options() -> list[Option]:
    """Return both options; they are taken before all others, and `configuration` is what the file says."""
    return [
        click.option("--no-config", is_flag=True, is_eager=True, callback=_alone, help="Read no configuration file."),
        click.option(
            "--config",
            "configuration",
            metavar="FILE",
            is_eager=True,
            envvar="RELOCATOR_CONFIG",
            callback=_read,
            help="Read this configuration instead of the nearest pyproject.toml or relocator.toml.",
        ),
    ]


def _alone(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    given = ctx.get_parameter_source("configuration") == ParameterSource.COMMANDLINE
    if value and given and ctx.get_parameter_source("no_config") == ParameterSource.COMMANDLINE:
        raise _both(ctx)
    return value


def _read(ctx: click.Context, param: click.Parameter, value: str | None) -> Configuration:
    """Read the file, and lay its settings below what the user typed and what the environment says."""
    if ctx.resilient_parsing:
        return Configuration()
    if ctx.params.get("no_config"):
        sources = {ctx.get_parameter_source(name) for name in ("configuration", "no_config")}
        if value is not None and sources == {ParameterSource.COMMANDLINE}:
            raise _both(ctx)
        if value is None or ctx.get_parameter_source("configuration") != ParameterSource.COMMANDLINE:
            return Configuration()
    configuration = load(value) if value is not None else _nearest()
    _lay_below(ctx, configuration)
    return configuration


def _both(ctx: click.Context) -> click.UsageError:
    return click.UsageError("--config and --no-config exclude one another", ctx)


def _nearest() -> Configuration:
    """Return the configuration of the current directory; an empty one when somebody has removed that directory."""
    try:
        here = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return Configuration()
    return find(here, os.path.expanduser("~"))  # noqa: PTH111


def _lay_below(ctx: click.Context, configuration: Configuration) -> None:
    """Make the settings the defaults of this command's options; those of other commands do not concern it."""
    options = {name: param for param in ctx.command.params for name in param.opts}
    defaults: dict[str, Any] = {}
    for setting in configuration.settings:
        param = options.get(f"--{setting.name}")
        if param is not None and param.name and param.name not in _OWN:
            defaults[param.name] = _checked(ctx, param, setting)
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _checked(ctx: click.Context, param: click.Parameter, setting: Setting) -> Any:
    """Return the setting as the option takes it; raise UsageError, with the file's line, when it does not."""
    value = str(setting.value) if type(setting.value) is int else setting.value
    try:
        param.process_value(ctx, value)
    except click.BadParameter as error:
        raise UsageError(f"{setting.place}: {setting.name!r}: {error.message}", "mend the file, or pass `--no-config`") from error
    return value
