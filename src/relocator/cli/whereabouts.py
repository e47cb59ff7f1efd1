"""Which environment the user means when he names none, and which variables its processes have."""

import os
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from relocator.errors import UsageError

LOADER_VARIABLES = (
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "CONDA_DLL_SEARCH_MODIFICATION_ENABLE"),
    *("DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FALLBACK_FRAMEWORK_PATH"),
)
"""Variables that loaders read."""

_NAMED = (("VIRTUAL_ENV", "the active virtual environment (VIRTUAL_ENV)"), ("CONDA_PREFIX", "the active conda environment (CONDA_PREFIX)"))
_PRIVATE = (("pipx", "venvs"), ("uv", "tools"))
"""Folders below which tool installers keep one environment for each tool."""

_RECEIPTS = ("pipx_metadata.json", "uv-receipt.toml")
"""What they leave in each, wherever the user told them to keep it."""

_MAGICS = (b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")


class Place(NamedTuple):
    """An environment, and why it is looked at."""

    path: str
    reason: str


def default_place(environment: Mapping[str, str], here: str) -> Place:
    """Return the environment that `python` in this shell would be of.

    Never one that a tool installer made for relocate itself. Raises UsageError when there is none.
    """
    for variable, reason in _NAMED:
        path = environment.get(variable, "")
        if path and os.path.isdir(path) and not is_private(path):
            return Place(path, reason)
    venv = os.path.join(here, ".venv")
    if os.path.isfile(os.path.join(venv, "pyvenv.cfg")):
        return Place(venv, "the .venv of this directory")
    passed_over: list[str] = []
    for path in _on_path(environment.get("PATH", "")):
        if _is_binary(path):
            told = f", scripts such as {passed_over[0]} left out: what they start, only running them could tell" if passed_over else ""
            return Place(path, "the first Python on PATH" + told)
        passed_over.append(path)
    raise UsageError("there is no environment to look at: none is active, and no Python is on PATH", "name a prefix: `relocate env PREFIX`")


def is_private(path: str) -> bool:
    """Tell whether an environment is one that pipx or uv keeps for a single tool."""
    if any(os.path.isfile(os.path.join(path, receipt)) for receipt in _RECEIPTS):
        return True
    parts = os.path.realpath(path).replace("\\", "/").split("/")
    return any(pair in _PRIVATE for pair in pairwise(parts))


def variables_of(path: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the loader's variables of this shell when the environment is the shell's own; none for any other."""
    own = [environment.get(name, "") for name, _ in _NAMED]
    own += [os.path.dirname(os.path.dirname(python)) for python in filter(_is_binary, _on_path(environment.get("PATH", "")))][:1]
    prefix = path if os.path.isdir(path) else os.path.dirname(os.path.dirname(os.path.abspath(path)))
    if not os.path.isdir(prefix) or not any(os.path.isdir(folder) and os.path.samefile(folder, prefix) for folder in own if folder):
        return {}
    return {name: environment[name] for name in LOADER_VARIABLES if environment.get(name)}


def _on_path(search: str) -> Iterator[str]:
    """Yield what `python` may start, in the order of PATH, without what a tool installer keeps for itself."""
    names = ("python3.exe", "python.exe") if sys.platform == "win32" else ("python3", "python")
    for folder in search.split(os.pathsep):
        for name in names:
            path = os.path.join(folder, name)
            if folder and os.path.isfile(path) and os.access(path, os.X_OK) and not is_private(os.path.dirname(folder)):
                yield path


def _is_binary(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith(_MAGICS)
    except OSError:
        return False
