"""Was compiled with headers of NumPy that do not fit the NumPy which the package admits.

## What it flags

An extension module that was compiled with the headers of NumPy 1, or one whose headers ask for a newer NumPy than the oldest that the
package's dependencies admit.

## Why it matters

NumPy 2 changed its binary interface. A module compiled with the headers of NumPy 1 does not load with it:

    A module that was compiled using NumPy 1.x cannot be run in NumPy 2.3.0 as it may crash.
    ImportError: numpy.core.multiarray failed to import

Headers of NumPy 2 make modules that work with NumPy 1 too, back to a version that the build chooses. With an older one they say `module
was compiled against NumPy C-API version 0xe (NumPy 1.20) but the running NumPy has C-API version 0xd`.

## Example

    warning[numpy-abi]: was compiled with the headers of NumPy 1, which NumPy 2 refuses
      demo/_core.cpython-312-x86_64-linux-gnu.so (x86_64), string literal module compiled against API version: nothing keeps NumPy 2 away
      = help: build with NumPy 2, whose modules run with NumPy 1.19 and newer too, or require numpy<2
      = more: relocate explain numpy-abi

## How to fix it

Build with NumPy 2 (`requires = ["numpy>=2"]` under `[build-system]`); define `NPY_TARGET_VERSION` for the oldest NumPy that the module is
to run with. If the module does not compile with NumPy 2, say `numpy<2` among the dependencies.

## When it is fine

When the dependencies keep NumPy 2 away: then it is a note, since such a package will not go together with those that need NumPy 2.

## How it decides

By the messages that `import_array()` leaves in a module: those of NumPy 1 and of NumPy 2 differ, and the latter names the oldest NumPy
that it accepts. Requires-Dist is read for the oldest Python of the tag and the tag's system; that a Python has no wheels of an older NumPy
counts too. Where NumPy is installed beside it (an environment), a NumPy that the module refuses makes it an error. NumPy's own files are
not judged.

## References

- NumPy documentation, "NumPy 2.0 migration guide", "NumPy C-API changes"; "For downstream package authors"
- https://github.com/spyder-ide/spyder/issues/23561
"""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import FOLDER_OWNER, Binary, Distribution, Image, Survey
from relocator.python_abi import oldest_python
from relocator.target import Target

NUMPY_1 = b"module compiled against API version"
NUMPY_2 = re.compile(rb"module was compiled against NumPy C-API version \S+ \(NumPy (\d+)\.(\d+)")

LIVING = (3, 10)
"""The oldest Python to judge by, as of November 2026: for older ones nobody makes new packages, and abi3 tags name them all the same."""

FIRST_FOR_PYTHON = {10: (1, 21), 11: (1, 23), 12: (1, 26), 13: (2, 1), 14: (2, 3), 15: (2, 5)}
"""The first NumPy with wheels for Python 3.N, as of November 2026 (the release notes of NumPy)."""

_MINORS = [(1, minor) for minor in range(13, 27)] + [(2, minor) for minor in range(30)]
_SYSTEMS = {
    "linux": ("posix", "linux", "Linux"),
    "macos": ("posix", "darwin", "Darwin"),
    "windows": ("nt", "win32", "Windows"),
}

BUILD = "build with NumPy 2, whose modules run with NumPy 1.19 and newer too"


class _Admitted(NamedTuple):
    """The versions of NumPy that a package may meet."""

    oldest: tuple[int, int]
    newest: tuple[int, int]
    installed: bool
    """One version, which is there."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each image whose NumPy headers do not fit the NumPy versions that it may meet."""
    admitted = functools.cache(lambda owner: _admitted(survey, owner))
    lowest = (0, 0) if _installed(survey) else _first_wheels(survey.target)
    for binary, image in survey.images():
        if not image.literals or binary.owner.lower() == "numpy":
            continue
        floors = [(int(found[1]), int(found[2])) for found in map(NUMPY_2.match, image.literals) if found]
        if floors and max(floors) > lowest:
            yield from _judged_floor(binary, image, max(floors), admitted(binary.owner))
        elif not floors and any(literal.startswith(NUMPY_1) for literal in image.literals):
            yield _first(binary, image, admitted(binary.owner))


def _first(binary: Binary, image: Image, admitted: _Admitted | None) -> Finding:
    kept_away = admitted is not None and admitted.newest < (2, 0)
    label = "Requires-Dist keeps NumPy 2 away" if kept_away else "nothing keeps NumPy 2 away"
    if admitted and admitted.installed:
        label = f"NumPy {_dotted(admitted.newest)} is installed"
    grave = Severity.ERROR if admitted and admitted.installed and not kept_away else Severity.WARNING
    where = Where(binary.member, image.arch, "string literal", None, NUMPY_1.decode(), label=label)
    help_text = BUILD if kept_away else f"{BUILD}, or require numpy<2"
    if grave == Severity.ERROR:
        help_text = f"update {_whose(binary)} to a release that was built with NumPy 2, or install numpy<2"
    message = "was compiled with the headers of NumPy 1, which NumPy 2 refuses"
    return Finding(
        "numpy-abi",
        Severity.NOTE if kept_away else grave,
        Certainty.CERTAIN,
        message,
        where,
        help=help_text,
    )


def _judged_floor(binary: Binary, image: Image, floor: tuple[int, int], admitted: _Admitted | None) -> Iterator[Finding]:
    if admitted is None or admitted.oldest >= floor:
        return
    there = f"NumPy {_dotted(admitted.oldest)} is installed" if admitted.installed else f"Requires-Dist admits {_dotted(admitted.oldest)}"
    where = Where(binary.member, image.arch, "string literal", None, f"NumPy {_dotted(floor)}", label=there)
    if admitted.installed:
        help_text = f"install numpy>={_dotted(floor)}, or a release of {_whose(binary)} for the NumPy that is here"
    else:
        help_text = f"require numpy>={_dotted(floor)}, or build with NPY_TARGET_VERSION set to the oldest NumPy that is to work"
    message = "asks for a newer NumPy than it may meet"
    severity = Severity.ERROR if admitted.installed else Severity.WARNING
    yield Finding("numpy-abi", severity, Certainty.CERTAIN, message, where, help=help_text)


def _whose(binary: Binary) -> str:
    return "the package" if binary.owner == FOLDER_OWNER else binary.owner


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _admitted(survey: Survey, owner: str) -> _Admitted | None:
    """Return the versions that files of a distribution may meet; None when nothing tells."""
    numpy = _installed(survey)
    if numpy:
        version = re.match(r"(\d+)\.(\d+)", numpy.version)
        return _Admitted((int(version[1]), int(version[2])), (int(version[1]), int(version[2])), True) if version else None
    own = [distribution for distribution in survey.container.distributions if distribution.name == owner]
    admitted = [minor for minor in _required(own[0], survey.target) if minor >= _first_wheels(survey.target)] if own else []
    return _Admitted(min(admitted), max(admitted), False) if admitted else None


def _installed(survey: Survey) -> Distribution | None:
    return next((one for one in survey.container.distributions if one.name.lower() == "numpy"), None)


def _first_wheels(target: Target) -> tuple[int, int]:
    return FIRST_FOR_PYTHON.get(_python(target)[1], (0, 0))


def _python(target: Target) -> tuple[int, int]:
    return max(oldest_python(target) or LIVING, LIVING)


def _required(distribution: Distribution, target: Target) -> list[tuple[int, int]]:
    """Return the minor versions of NumPy that Requires-Dist admits on a target; none when it names no NumPy."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  only where a module uses NumPy

    found: list[tuple[int, int]] | None = None
    for text in distribution.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name.lower() == "numpy" and (requirement.marker is None or requirement.marker.evaluate(_environment(target))):
            fitting = [v for v in _MINORS if requirement.specifier.contains(f"{_dotted(v)}.99", prereleases=True)]
            found = [v for v in fitting if found is None or v in found]
    return found or []


def _environment(target: Target) -> dict[str, str]:
    """Return what markers ask for (PEP 508), for the oldest Python that the tags admit."""
    oldest = _python(target)
    os_name, sys_platform, system = _SYSTEMS.get(target.os, ("posix", target.os, target.os))
    return {
        "os_name": os_name,
        "sys_platform": sys_platform,
        "platform_system": system,
        "platform_machine": target.arches[0] if target.arches else "",
        "platform_release": "",
        "platform_version": "",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "implementation_version": f"{_dotted(oldest)}.0",
        "python_version": _dotted(oldest),
        "python_full_version": f"{_dotted(oldest)}.0",
        "extra": "",
    }


RULE = Rule("numpy-abi", "Python's ABI", Severity.ERROR, check, containers=("wheel", "folder", "file", "environment"))
