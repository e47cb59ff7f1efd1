"""Which Windows has which API set, and which Windows a Python needs; source and date are in the table."""

import functools
from typing import Any

from relocator.knowledge import table

Version = tuple[int, int]
"""As in the PE header: (6, 3) is Windows 8.1."""


def api_set_since(name: str) -> Version | None:
    """Return the first Windows that has an API set, named as a DLL; None for any other name and for those that are always there."""
    found = _table()["api_sets"].get(name.casefold().removesuffix(".dll"))
    return _parsed(found) if found else None


def oldest_for(python: tuple[int, int], arch: str) -> Version:
    """Return the oldest Windows on which a Python runs, and on which there are programs for the architecture."""
    pythons = {_parsed(version): _parsed(windows) for version, windows in _table()["for_python"].items()}
    fitting = [windows for version, windows in pythons.items() if version <= python]
    return max(max(fitting, default=min(pythons.values())), _parsed(_table()["for_arch"].get(arch, "0.0")))


def spelled(version: Version) -> str:
    """Return the name that people know: (6, 3) is "Windows 8.1"."""
    dotted = f"{version[0]}.{version[1]}"
    return str(_table()["names"].get(dotted, f"Windows {dotted}"))


def _parsed(version: str) -> Version:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


@functools.cache
def _table() -> dict[str, Any]:
    return table("windows_versions.json")
