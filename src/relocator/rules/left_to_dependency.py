"""Leaves a needed library to another distribution.

## What it flags

A library that is not in the package, and that an installed dependency is expected to bring: one that Requires-Dist names is known to ship
it (torch, the nvidia distributions, pyarrow, PySide6, ...), or the file's search path leads to a sibling of the package and Requires-Dist
is not empty.

## Why it matters

It is a common way to share large libraries, and no fault. But it ties the package to the other one's file names: when the dependency
renames its library, or lies in another folder (`--target`, a user's site-packages), the import fails:

    ImportError: libc10.so: cannot open shared object file: No such file or directory

## Example

    note[left-to-dependency]: leaves a library to another distribution (likely)
      demo/_core.so (x86_64), DT_NEEDED libc10.so: known to be shipped by torch, which Requires-Dist names
      = help: let Requires-Dist admit only versions that ship it, and import that distribution before this one
      = more: relocate explain left-to-dependency

## How to fix it

Nothing needs fixing. Let Requires-Dist admit only versions that ship the library, and make sure that it is found: by a search path that
leads to the other package's folder, or by importing the other package first.

## When it is fine

As a rule. A note never fails an audit.

## How it decides

By a dated table of libraries and the distributions that ship them, and by where the loader's search went. The other distribution's files
are not looked at: they are not in the wheel.

## References

- Python packaging, "Core metadata", Requires-Dist
- https://github.com/Dao-AILab/flash-attention/issues/1644
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import How, Survey
from relocator.places import judged, need_place

HELP = "let Requires-Dist admit only versions that ship it, and import that distribution before this one"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that a dependency is expected to meet."""
    for resolution in judged(survey):
        if resolution.how == How.EXPECTED:
            where = need_place(survey, resolution, resolution.via)
            yield Finding(
                "left-to-dependency", Severity.NOTE, Certainty.LIKELY, "leaves a library to another distribution", where, help=HELP
            )


RULE = Rule("left-to-dependency", "Linkage", Severity.NOTE, check)
