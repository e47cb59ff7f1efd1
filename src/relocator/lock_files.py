"""pylock.toml ("pylock.toml Specification"): which wheels a lock file allows for each package."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from relocator.errors import ContainerError


class Locked(NamedTuple):
    """One package of a lock file."""

    name: str
    version: str
    marker: str
    """"" when it is for every environment."""
    wheels: tuple[str, ...]
    """File names."""


def read_lock(data: bytes) -> tuple[Locked, ...]:
    """Return the packages of a lock file; raise ContainerError when it is none of version 1."""
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ContainerError(f"is no TOML: {error}", "`--lock` takes a pylock.toml, as `pip lock` and `uv export` write") from error
    version = found.get("lock-version")
    packages = found.get("packages")
    if not isinstance(version, str) or version.partition(".")[0] != "1" or not isinstance(packages, list):
        raise ContainerError("is no pylock.toml of version 1: it has no lock-version and packages", "`pip lock` and `uv export` write one")
    return tuple(_locked(package) for package in packages if isinstance(package, dict) and isinstance(package.get("name"), str))


def _locked(package: Mapping[str, Any]) -> Locked:
    texts = (package.get("version"), package.get("marker"))
    version, marker = (text if isinstance(text, str) else "" for text in texts)
    return Locked(package["name"], version, marker, tuple(dict.fromkeys(_wheels(package))))


def _wheels(package: Mapping[str, Any]) -> Iterator[str]:
    """Yield the file names; where none is given, the last part of path or URL is the name."""
    wheels = package.get("wheels")
    for wheel in wheels if isinstance(wheels, list) else ():
        if isinstance(wheel, dict):
            place = next((wheel[key] for key in ("name", "path", "url") if isinstance(wheel.get(key), str)), "")
            yield unquote(urlsplit(place).path if "://" in place else place).replace("\\", "/").rpartition("/")[2]


def applies(marker: str, environment: Mapping[str, str]) -> bool:
    """Tell whether a package belongs into an environment (PEP 508); one whose marker makes no sense does."""
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName  # noqa: PLC0415

    if not marker:
        return True
    try:
        return Marker(marker).evaluate({**environment, "extra": ""}, context="lock_file")
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, KeyError):
        return True
