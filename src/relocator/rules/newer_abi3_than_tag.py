"""Takes something from Python's stable ABI that came after the Python of the tag.

## What it flags

A file in a wheel for the stable ABI that imports a function or object which the stable ABI got in a later Python than the oldest one that
the wheel's tag admits. One finding for each file and symbol.

## Why it matters

A wheel tagged cp38-abi3 is installed for Python 3.8. What was added in 3.10 is missing there:

    ImportError: .../demo/_core.abi3.so: undefined symbol: PyObject_CallNoArgs
    ImportError: DLL load failed while importing _core: The specified procedure could not be found.

## Example

    warning[newer-abi3-than-tag]: takes a symbol from the stable ABI of a newer Python than the tag's
      demo/_core.abi3.so (x86_64), import PyType_GetName: since Python 3.11, the tag admits 3.8
      = help: define Py_LIMITED_API as 0x03080000, or tag the wheel cp311-abi3
      = more: relocate explain newer-abi3-than-tag

## How to fix it

Give `Py_LIMITED_API` the value of the tag's Python (0x03080000 for 3.8), so that the compiler refuses what is newer, or give the wheel the
tag of the Python that it needs: `py_limited_api = "cp311"` in setuptools' bdist_wheel options, `abi3-py311` among PyO3's features.

## When it is fine

When Python had the symbol before it became part of the stable ABI (`PyUnicode_AsUTF8AndSize`): then it is found on Linux and macOS all
the same, on Windows it is not, since `python3.dll` has the stable ABI alone. It is fine too when the symbol may be missing (a weak
import), which is not flagged.

## How it decides

By undefined symbols that a relocation uses and that nothing in the package defines, against the table of the stable ABI, which says when
each was added. The tag's Python is the oldest that it names.

## References

- Python documentation, "Contents of Limited API"; "Py_LIMITED_API"
- PEP 425, "Compatibility Tags for Built Distributions"
- https://github.com/pypa/abi3audit/issues/31
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge import stable_abi
from relocator.model import Format, Survey
from relocator.python_abi import defined_in_package, is_stable, oldest_python, python_imports


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each symbol of the stable ABI that the tag's oldest Python does not have in it."""
    oldest = oldest_python(survey.target)
    for binary, image in survey.images() if oldest else ():
        if oldest is None or not is_stable(binary, survey.target):
            continue
        for name, symbol in python_imports(image):
            since = stable_abi.added(name, image.format == Format.PE)
            if since <= oldest or defined_in_package(survey, symbol.name, image.arch):
                continue
            told = f"since Python {since[0]}.{since[1]}, the tag admits {oldest[0]}.{oldest[1]}"
            yield Finding(
                "newer-abi3-than-tag",
                Severity.WARNING,
                Certainty.CERTAIN,
                "takes a symbol from the stable ABI of a newer Python than the tag's",
                Where(binary.member, image.arch, "import", None, name, label=told),
                help=f"define Py_LIMITED_API as 0x03{oldest[1]:02X}0000, or tag the wheel cp{since[0]}{since[1]}-abi3",
            )


RULE = Rule("newer-abi3-than-tag", "Python's ABI", Severity.WARNING, check, containers=("wheel",))
