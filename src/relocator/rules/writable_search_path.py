"""Searches for libraries in a directory where every user may write.

## What it flags

An element of DT_RPATH, DT_RUNPATH or LC_RPATH at or below `/tmp`, `/var/tmp`, `/dev/shm` and the like. An error where some library is
looked for there, a warning where every library is found before the loader comes so far.

## Why it matters

The directory that the build used is gone, and its name is free. Any user of the machine can make it again and put a library there that
bears the name of one that the package needs. The next import, by whomever, runs it.

## Example

    error[writable-search-path]: searches for libraries in a directory where every user may write
      demo/_core.so (x86_64), DT_RUNPATH /tmp/build-4f2a/prefix/lib: everybody may create files below /tmp; libz.so.1 is looked for there
      = help: let `relocate repair` remove it, or build without this search path
      = more: relocate explain writable-search-path

## How to fix it

`relocate repair` removes the element. In the build: CMake keeps the build's directories unless the files are installed with `cmake
--install`, which takes CMAKE_INSTALL_RPATH instead; libtool writes the `libdir` of libraries installed into a temporary prefix; isolated
builds of a Python package happen below `/tmp`, so a library that the build compiles for itself must be linked with an `$ORIGIN` path.

## When it is fine

Never in a package.

## How it decides

The text is normalised (`/usr/../tmp/x` is below `/tmp`) and compared with the directories that Linux distributions and macOS give the
mode 1777. Elements that start with `$ORIGIN` or `@loader_path` are not judged: where the package lies is the user's choice.
Whether a library is looked for there, the loads tell; what every Python has loaded already does not count.

## References

- CWE-379, "Creation of Temporary File in Directory with Insecure Permissions"; CWE-427, "Uncontrolled Search Path Element"
- Filesystem Hierarchy Standard, `/tmp`, `/var/tmp`
- Debian, "RpathIssue"
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey
from relocator.search_paths import WRITABLE, Leads, elements, looked_for_at


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each element at or below a directory where everybody may write."""
    for element in elements(survey, Leads.WRITABLE):
        open_to_all = next(folder for folder in WRITABLE if f"{element.target}/".startswith(f"{folder}/"))
        need = looked_for_at(survey, element)
        looked = f"; {need} is looked for there" if need else ""
        yield Finding(
            "writable-search-path",
            Severity.ERROR if need else Severity.WARNING,
            Certainty.CERTAIN,
            "searches for libraries in a directory where every user may write" if need else "has a search path where every user may write",
            element.where(f"everybody may create files below {open_to_all}{looked}"),
            help="let `relocate repair` remove it, or build without this search path",
            repaired_by="repair",
        )


RULE = Rule(
    "writable-search-path",
    "Search paths",
    Severity.ERROR,
    check,
    (Format.ELF, Format.MACHO),
    repaired_by="repair",
    by_role=False,
    security=True,
    containers=EVERYWHERE,
)
