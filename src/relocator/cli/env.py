"""`relocate env`."""

import os
from typing import NamedTuple

import click

from relocator import api
from relocator.cli import whereabouts
from relocator.cli.inputs import expand
from relocator.cli.judging import Judging, judge, options
from relocator.cli.options import Option, Request, names, request
from relocator.errors import UsageError


class Asked(NamedTuple):
    """The command's own options."""

    wheels: tuple[str, ...]
    lock: str
    find_links: tuple[str, ...]
    python: str
    process_env: tuple[str, ...]
    host: bool
    hashes: bool


def own_options() -> list[Option]:
    """Return the options of `Asked`."""
    return [
        click.option("--wheels", metavar="DIR", multiple=True, type=click.Path(), help="Lay out the wheels of this folder instead."),
        click.option("--lock", metavar="FILE", default="", help="Lay out the wheels that this pylock.toml names."),
        click.option("--find-links", metavar="DIR", multiple=True, type=click.Path(), help="Where the wheels of --lock lie. Repeatable."),
        click.option("--python", metavar="X.Y", default="", help="Python of a set of wheels: 3.12, or 3.13t.  [default: from their tags]"),
        click.option(
            "--process-env",
            metavar="VAR=VALUE",
            multiple=True,
            help="A variable of the process, such as LD_LIBRARY_PATH. Repeatable.  [default: this shell's, for its own environment]",
        ),
        click.option("--host/--no-host", default=True, show_default=True, help="Whether this machine's own libraries are looked at."),
        click.option("--hashes", is_flag=True, help="Compare every file with what its distribution recorded."),
    ]


@click.command("env")
@click.argument("paths", nargs=-1, metavar="[PREFIX]...")
@request("audit", *own_options(), *options())
def command(*, paths: tuple[str, ...], request: Request, **values: object) -> int:
    """Find what is in each other's way in an installed environment, or in a set of wheels.

    PREFIX is a virtual or conda environment, a Python installation, a site-packages folder or a Python executable. Without it: the active
    environment, ./.venv, or the first Python on PATH; the first line says which and why. What one process of that Python would load is
    worked out from the files; nothing is run.

    With --wheels, --lock, or wheels instead of PREFIX, the wheels are judged as they would lie side by side once installed.
    """
    asked = Asked(**{name: values.pop(name) for name in Asked._fields})  # type: ignore[arg-type]
    judging = Judging(**values)  # type: ignore[arg-type]
    variables = _variables(asked.process_env)
    wheels = _wheels(paths, asked, request.target)
    if wheels is not None:
        return _set_of_wheels(wheels, asked, request, judging, variables)
    found = [whereabouts.Place(path, "named on the command line") for path in paths] or [whereabouts.default_place(os.environ, os.getcwd())]
    reasons = {place.path: place.reason for place in found}

    def look(path: str, progress: api.Progress, policy: api.Policy) -> tuple[tuple[api.Report, ...], tuple[api.Failure, ...]]:
        return api.env(
            path,
            target=request.target,
            search=request.search,
            select=names(judging.select),
            policy=policy,
            process_env=variables or whereabouts.variables_of(path, os.environ),
            host=asked.host,
            hashes=asked.hashes,
            reason=reasons[path],
            progress=progress,
        )

    return judge("audit", list(reasons), request, judging, look)


def _set_of_wheels(wheels: list[str], asked: Asked, request: Request, judging: Judging, variables: dict[str, str]) -> int:
    name = ", ".join((*asked.wheels, asked.lock) if asked.lock or asked.wheels else ())
    name = name.rstrip(", ") or ", ".join(os.path.basename(wheel).partition("-")[0] for wheel in wheels)

    def look(subject: str, progress: api.Progress, policy: api.Policy) -> tuple[tuple[api.Report, ...], tuple[api.Failure, ...]]:
        return api.env_of_wheels(
            wheels,
            name=subject,
            target=request.target,
            python=asked.python,
            search=request.search,
            select=names(judging.select),
            policy=policy,
            process_env=variables,
            max_size=request.max_size,
            progress=progress,
        )

    return judge("audit", [name], request, judging, look)


def _wheels(paths: tuple[str, ...], asked: Asked, target: str) -> list[str] | None:
    """Return the wheels of a set; None when an environment is asked for."""
    if asked.find_links and not asked.lock:
        raise UsageError("--find-links says where the wheels of --lock lie, and there is no --lock", "`--wheels DIR` takes a whole folder")
    named = [path for path in paths if path.lower().endswith(".whl")]
    if not (named or asked.wheels or asked.lock):
        if asked.python:
            raise UsageError("--python is for sets of wheels: an environment has its own", "name its Python executable as PREFIX")
        return None
    if len(named) < len(paths):
        raise UsageError("wheels and an environment at once cannot be judged together", "name either wheels or one environment")
    folders = [path for folder in asked.wheels for path in _of_folder(folder)]
    locked = api.wheels_of_lock(asked.lock, asked.find_links, target=target, python=asked.python) if asked.lock else ()
    return list(dict.fromkeys([*expand(named), *folders, *locked])) if named else list(dict.fromkeys([*folders, *locked]))


def _of_folder(folder: str) -> list[str]:
    try:
        found = sorted(name for name in os.listdir(folder) if name.lower().endswith(".whl"))
    except OSError as error:
        raise UsageError(f"--wheels {folder}: {error.strerror}", "it takes a folder of wheels") from error
    if not found:
        raise UsageError(f"--wheels {folder}: there is no wheel in it", "it takes a folder of wheels")
    return [os.path.join(folder, name) for name in found]


def _variables(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--process-env {text!r} is not VAR=VALUE", "write it as LD_LIBRARY_PATH=/opt/lib")
        found[name] = value
    return found
