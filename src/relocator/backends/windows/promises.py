"""What Windows and the Python that loads an extension module bring: system DLLs, API sets, and the DLLs beside python.exe.

The Visual C++ runtime is promised only as far as every release of that Python ships it; Windows itself has none of it but ucrtbase.dll.
"""

import functools
import json
import pkgutil
import re
from typing import Any

from relocator.target import Level, Promises, Target

_CPYTHON = re.compile(r"cp3(\d+)")
_PYPY = re.compile(r"pp3(\d+)")
_GRAALPY = re.compile(r"graalpy")
_FREE_THREADED = re.compile(r"cp3\d+d?t|abi3t")
_DEBUG = re.compile(r"cp3\d+t?d")
_ANY_PYTHON = ("python3", "libpypy3.", "python-native.dll")
"""What the libraries of every Python start with: for a target that names none."""


def promises(target: Target, arch: str) -> Promises | None:
    """Return what Windows and the target's Python promise; None for another operating system.

    `always` is what Python brings; its names count as there wherever an extension module is loaded, not for a program of its own.
    """
    return _promises(arch, target.pythons, target.abis) if target.os == "windows" else None


def is_api_set(name: str) -> bool:
    """Tell whether a case-folded library name is an API set's contract rather than a file."""
    return name.startswith(tuple(_table()["api_sets"]))


def is_known_dll(name: str) -> bool:
    """Tell whether a case-folded library name is on the list of KnownDLLs, which are never searched."""
    return name in _names("known_dlls")


def is_loaded_with_python(name: str) -> bool:
    """Tell whether a case-folded library name is in the process before any extension module, as a need of python.exe or by itself.

    CPython opens python3.dll, beside its own library, before the first extension module (Python/dynload_win.c, _Py_CheckPython3).
    """
    return name in _names("loaded_with_python") or is_python_library(name)


def is_python_library(name: str) -> bool:
    """Tell whether a case-folded name is that of some Python's own library."""
    return name.startswith(_ANY_PYTHON) and name.endswith(".dll")


@functools.cache
def _table() -> dict[str, Any]:
    data = pkgutil.get_data(__package__, "promises.json")
    if data is None:  # the import system cannot give us files that lie beside this one
        raise FileNotFoundError("promises.json")
    table: dict[str, Any] = json.loads(data)
    return table


@functools.cache
def _names(key: str) -> frozenset[str]:
    return frozenset(_table()[key])


@functools.lru_cache(maxsize=32)
def _promises(arch: str, pythons: tuple[str, ...], abis: tuple[str, ...]) -> Promises:
    libraries, prefixes = _python_libraries(pythons, abis)
    always = libraries | _runtime(arch, pythons, abis)
    level = Level((), (), _system(arch))
    return Promises("windows", arch, (level,), always, (*_table()["api_sets"], *prefixes), fold_case=True)


@functools.cache
def _system(arch: str) -> frozenset[str]:
    """Return the system's DLLs; for an architecture that nobody looked at, those that all others have."""
    table = _table()["libraries"]
    lines = [*table["every"].values(), *table.get(arch, {}).values()]
    return frozenset(name for line in lines for name in line.split())


def _python_libraries(pythons: tuple[str, ...], abis: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the names of Python's own libraries, or for tags that name no Python the prefixes of all of them."""
    suffixes = [("t" if _FREE_THREADED.fullmatch(abi) else "") + ("_d" if _DEBUG.fullmatch(abi) else "") for abi in abis] or [""]
    names = {f"libpypy3.{found[1]}-c.dll" for tag in pythons if (found := _PYPY.match(tag))}
    names.update("python-native.dll" for tag in pythons if _GRAALPY.match(tag))
    for tag in pythons:
        if found := _CPYTHON.fullmatch(tag):
            for abi, suffix in zip(abis or ("",), suffixes, strict=True):
                names.add(f"python3{suffix}.dll")
                if not abi.startswith("abi3"):
                    names.add(f"python3{found[1]}{suffix}.dll")
    return frozenset(names), () if names else _ANY_PYTHON


def _runtime(arch: str, pythons: tuple[str, ...], abis: tuple[str, ...]) -> frozenset[str]:
    """Return the runtime DLLs beside python.exe: for several releases what the oldest ships, for none that we know what all do."""
    minors = [int(found[1]) for tag in pythons if (found := _CPYTHON.fullmatch(tag))]
    oldest = min(minors, default=8)
    shipped = _table()["python_dlls"].get(arch, {})
    names = {name for name, since in shipped.items() if int(since.partition(".")[2]) <= oldest}
    return frozenset(names.union(_table()["debug_dlls"] if any(map(_DEBUG.fullmatch, abis)) else ()))
