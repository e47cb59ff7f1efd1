"""Loads several copies of a runtime that get into each other's way.

## What it flags

Several copies of the C++ runtime, OpenSSL, HDF5, Qt, protobuf, SQLite, GEOS, PROJ, GDAL, the CUDA runtime or Arrow, where one can disturb
the other. A warning where symbols of one answer for the other, and for Qt; a note for HDF5, SQLite, PROJ and GDAL that different packages
bring, which share files or variables of the environment.

## Why it matters

On Linux the first library of a scope that has a symbol provides it for all. When one import brings two versions of OpenSSL whose symbols
have the same names and versions, one runs with the other's functions, and crashes. Two copies of Qt read the same QT_PLUGIN_PATH:

    qt.qpa.plugin: Could not load the Qt platform plugin "xcb" in ".../cv2/qt/plugins" even though it was found.

## Example

    warning[duplicate-runtime]: a second copy of OpenSSL is loaded where the first one's symbols come before its own (likely)
      demo/libcrypto-other.so (x86_64), DT_SONAME libcrypto-other.so: brought by demo
        also demo/libcrypto-demo.so (x86_64), DT_SONAME libcrypto-demo.so: brought by demo
        also demo/_core.so (x86_64), brings them together
      = help: install the packages from one place that shares the library, or take a variant that goes without it
      = more: relocate explain duplicate-runtime

## How to fix it

Take the packages from one place that shares the library (conda-forge does). Take the variant of a package that goes without, such as
opencv-python-headless. Whoever builds a package hides the symbols of what it copies in.

## When it is fine

A note, when nothing is shared: no file that both open, no variable that is set for one of them. The usual case is not flagged at all: each
package has its copy, which only its own modules see, and neither knows of the other.

## How it decides

Copies are told by what they export, never by name. On Linux it looks at the scope of each import, with what is global in the process: two
copies that define the same symbols, of the same version or without any, are in each other's way. On macOS and Windows each symbol is
bound to one library, so that only shared files and variables count. Files that no import brings, and copies that the loader takes for one,
do not count.

## References

- System V gABI, chapter 5, "Shared Object Dependencies"; dlopen(3), RTLD_LOCAL
- https://github.com/opencv/opencv-python/issues/736
- https://www.sqlite.org/howtocorrupt.html, section 2.2.1
- https://github.com/h5py/h5py/issues/2453
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from relocator.families import Copy, copies, owners, place_of
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge.families import apart, family_names
from relocator.meeting import same_content
from relocator.model import Format, Load, Survey

OWN_RULES = frozenset({"OpenMP", "BLAS"})
HELP = "install the packages from one place that shares the library, or take a variant that goes without it"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each family and architecture: where two copies share a scope, else where they disturb each other apart."""
    for family in family_names():
        for found in copies(survey, family).values() if family not in OWN_RULES else ():
            different = [copy for i, copy in enumerate(found) if not any(same_content(copy.binary, other.binary) for other in found[:i])]
            if len(different) > 1:
                together = _together(survey, different)
                yield from [_interposed(survey, *together)] if together else _apart(survey, found)


def _together(survey: Survey, found: Sequence[Copy]) -> tuple[Copy, Copy, Load] | None:
    """Return two copies whose symbols meet in the scope of one load: first the one that is looked at first."""
    if found[0].image.format != Format.ELF:
        return None
    for one, other in combinations(found, 2):
        if one.exports.isdisjoint(other.exports):
            continue
        for load in {(load.root, load.arch): load for load in (*one.loads, *other.loads)}.values():
            scope = (*survey.global_scope, *load.order)
            if one.binary.path in scope and other.binary.path in scope:
                first, second = sorted((one, other), key=lambda copy: scope.index(copy.binary.path))
                return first, second, load
    return None


def _interposed(survey: Survey, first: Copy, second: Copy, load: Load) -> Finding:
    root = survey.binary_at(load.root)
    return Finding(
        "duplicate-runtime",
        Severity.WARNING,
        Certainty.LIKELY,
        f"a second copy of {second.variant.family} is loaded where the first one's symbols come before its own",
        place_of(survey, second),
        (place_of(survey, first), *((Where(root.member, load.arch, label="brings them together"),) if root else ())),
        HELP,
    )


def _apart(survey: Survey, found: Sequence[Copy]) -> Iterator[Finding]:
    first, *others = found
    effect = apart(first.variant.family)
    if effect and len(owners(survey, found)) > 1:
        yield Finding(
            "duplicate-runtime",
            Severity.WARNING if effect.severity == "warning" else Severity.NOTE,
            Certainty.LIKELY,
            f"several copies of {first.variant.family} can be loaded into one process: {effect.reason}",
            place_of(survey, first),
            tuple(place_of(survey, copy) for copy in others),
            HELP,
        )


RULE = Rule("duplicate-runtime", "Conflicts", Severity.WARNING, check, containers=("environment",), supersedes=("pip-conda-overlap",))
