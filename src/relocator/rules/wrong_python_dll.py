"""Needs the DLL of another Python than the tag's.

## What it flags

A module or DLL that names `python312.dll` in a wheel for the stable ABI, `python311.dll` in a wheel for Python 3.12, `python3.dll` in one
for a free-threaded Python, or the reverse of these.

## Why it matters

A module for Windows names the DLL that its Python functions are in. In any other Python that DLL does not exist:

    ImportError: DLL load failed while importing _core: The specified module could not be found.

Where it does exist, since another Python is on the search path, a second interpreter is loaded, which nobody has initialised:
`Fatal Python error: PyThreadState_Get`.

## Example

    error[wrong-python-dll]: needs the DLL of one Python in a wheel for the stable ABI
      demo/_core.pyd (amd64), import python312.dll: cp38-abi3 has python3.dll
      = help: define Py_LIMITED_API for the whole build and link with python3.lib
      = more: relocate explain wrong-python-dll

## How to fix it

For the stable ABI define `Py_LIMITED_API` before `Python.h` is included, in every source file, so that it asks for `python3.lib`; in CMake
use `Python::SABIModule` (`python_add_library(... USE_SABI 3.8)`). For a version's own ABI build with the Python that the tag names, in an
empty build folder. Free-threaded builds (`Py_GIL_DISABLED`) have libraries of their own.

## When it is fine

When the package brings that DLL itself, for a Python that it embeds; then it is not flagged.

## How it decides

By the needs' names against the tag. A file whose own name bears the tag of one Python (`_core.cp311-win_amd64.pyd`) is judged by that one.
For the stable ABI `python3.dll` is right, for that of free-threaded builds `python3t.dll`; for a version's own ABI the version's DLL and
the stable ABI's. Tags such as py3 name no Python, and then nothing is flagged. Debug builds' DLLs are `debug-runtime`.

## References

- PEP 384, "Defining a Stable ABI"; PEP 803, "abi3t: Stable ABI for Free-Threaded Builds"
- CPython, `PC/pyconfig.h`, "pragma comment(lib"
- https://github.com/nicholasjng/nanobind-bazel/issues/72
"""

import re
from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Binary, Format, Survey
from relocator.places import place_in
from relocator.target import Target

LIBRARY = re.compile(r"python\d+t?\.dll")
"""Case-folded names of CPython's release DLLs."""

STABLE = (
    "needs the DLL of one Python in a wheel for the stable ABI",
    "define Py_LIMITED_API for the whole build and link with python3.lib",
)
VERSIONED = ("needs the DLL of another Python than the tag's", "build it with the Python that the tag names")
"""Message and help for the two kinds of wheels."""

_FILE_TAG = re.compile(r"\.cp(\d)(\d+)(t?)d?-win")
_PYTHON_TAG = re.compile(r"cp(\d)(\d+)")
_ABI_TAG = re.compile(r"cp(\d)(\d+)(t?)[dmu]*")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each need for a Python DLL that the file's Pythons do not have."""
    if survey.target.os != "windows":
        return
    brought = {binary.member.rpartition("/")[2].casefold() for binary in survey.binaries if binary.owner}
    of_tag = _of_tag(survey.target)
    stable = bool(survey.target.abis) and all(abi.startswith("abi3") for abi in survey.target.abis)
    for binary, image in survey.images():
        own = _of_file(binary)
        fitting = own or of_tag
        for position, needed in enumerate(image.needed) if image.format == Format.PE and fitting else ():
            name = needed.name.casefold()
            if not LIBRARY.fullmatch(name) or name in fitting or name in brought:
                continue
            whose = "this file's Python" if own else _tag(survey.target)
            where = place_in(binary, image, position, f"{whose} has {' and '.join(sorted(fitting))}")
            message, help_text = STABLE if stable and not own else VERSIONED
            yield Finding("wrong-python-dll", Severity.ERROR, Certainty.CERTAIN, message, where, help=help_text)


def _tag(target: Target) -> str:
    return f"{'.'.join(target.pythons)}-{'.'.join(target.abis)}"


def _of_file(binary: Binary) -> frozenset[str]:
    """Return the DLLs that the Python has whose tag a module's file name bears; none when it bears none."""
    found = _FILE_TAG.search(binary.member.rpartition("/")[2].casefold())
    return _libraries(found[1], found[2], found[3]) if found else frozenset()


def _of_tag(target: Target) -> frozenset[str]:
    """Return the DLLs that some Python of the tags has for its modules; none when a tag names no CPython."""
    versions = [_PYTHON_TAG.fullmatch(tag) for tag in target.pythons]
    if not all(versions):
        return frozenset()
    names: set[str] = set()
    for abi in target.abis:
        own = _ABI_TAG.fullmatch(abi)
        if abi in ("abi3", "abi3t"):
            names.add(f"python3{abi.removeprefix('abi3')}.dll")
        elif own:
            names |= _libraries(own[1], own[2], own[3])
        elif abi == "none":
            names.update(*(_libraries(found[1], found[2], free) for found in versions if found for free in ("", "t")))
    return frozenset(names)


def _libraries(major: str, minor: str, free_threaded: str) -> frozenset[str]:
    """Return the DLLs of one build of CPython: its own, and that of the stable ABI."""
    return frozenset({f"python{major}{minor}{free_threaded}.dll", f"python{major}{free_threaded}.dll"})


RULE = Rule(
    "wrong-python-dll",
    "Windows",
    Severity.ERROR,
    check,
    (Format.PE,),
    supersedes=("unresolved-delay-load", "missing-library", "unbundled-library"),
    needs_promise=True,
)
