"""Takes something from Python that is not in the stable ABI, and is marked as using nothing else.

## What it flags

A file for the stable ABI (`.abi3.so`, or any extension module in a wheel tagged abi3 or abi3t) that imports a function or object of Python
outside that ABI. One finding for each file and symbol.

## Why it matters

Such a wheel is installed for every later Python, and only what the stable ABI lists is there in all of them:

    ImportError: .../demo/_core.abi3.so: undefined symbol: _PyUnicode_Ready

It works with the Python that it was built with, so that the fault shows when the next one is released.

## Example

    error[abi3-violation]: takes a symbol from Python that the stable ABI does not have
      demo/_core.abi3.so (x86_64), import _PyUnicode_Ready: nor does any later Python promise it
      = help: define Py_LIMITED_API before Python.h in every source file, or build a wheel for each Python
      = more: relocate explain abi3-violation

## How to fix it

Define `Py_LIMITED_API` before `Python.h` is included, in every source file and in every library that is linked in; then the compiler
refuses what is outside. In CMake that is `python_add_library(... USE_SABI 3.8)`, in setuptools `py_limited_api=True` together with the
macro, in Cython and pybind11 the options of that name. Where the module cannot do without, build one wheel for each Python instead.

## When it is fine

When the symbol is looked for at run time and may be missing (a weak import), or comes from another file of the package: neither is
flagged.

## How it decides

By undefined symbols that a relocation uses, spelled like Python's (`Py..._` or `_Py..._`), against the table of the stable ABI; symbols
that the file itself defines or inlines do not count. On Windows the imports from Python's DLLs, on macOS those that may come from anywhere
or from Python's library. Symbols that only debug builds of Python have, or only Windows, are in the ABI there alone. A public name that is
missing from the table is likely rather than certain: a Python newer than the table may have added it.

## References

- Python documentation, "C API Stability", "Contents of Limited API"
- PEP 384, "Defining a Stable ABI"; PEP 803, "abi3t: Stable ABI for Free-Threaded Builds"
- https://github.com/giampaolo/psutil/issues/2445
- https://github.com/TkTech/py_yyjson/issues/23
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge import stable_abi
from relocator.model import Format, Survey
from relocator.python_abi import defined_in_package, is_stable, python_imports

HELP = "define Py_LIMITED_API before Python.h in every source file, or build a wheel for each Python"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each symbol outside the stable ABI that a file for it must find in Python."""
    for binary, image in survey.images():
        if not is_stable(binary, survey.target):
            continue
        for name, symbol in python_imports(image):
            if stable_abi.added(name, image.format == Format.PE) or defined_in_package(survey, symbol.name, image.arch):
                continue
            yield Finding(
                "abi3-violation",
                Severity.ERROR,
                Certainty.CERTAIN if name.startswith("_") else Certainty.LIKELY,
                "takes a symbol from Python that the stable ABI does not have",
                Where(binary.member, image.arch, "import", None, name, label="nor does any later Python promise it"),
                help=HELP,
            )


RULE = Rule("abi3-violation", "Python's ABI", Severity.ERROR, check)
