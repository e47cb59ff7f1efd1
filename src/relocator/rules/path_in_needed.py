"""Needs a library by a path instead of a name.

## What it flags

A DT_NEEDED entry with a slash in it, such as `build/libfoo.so` or `/opt/foo/lib/libfoo.so`, that the package and the target do not meet.

## Why it matters

A name is searched for, a path is opened as it stands, and no search path helps. An absolute one exists on the build machine only. A
relative one starts from the current directory of whoever runs Python: the import fails in every other folder, and whoever can write to
that one has their own code loaded:

    ImportError: build/libfoo.so: cannot open shared object file: No such file or directory

## Example

    error[path-in-needed]: needs a library by a path that starts from the current directory
      demo/_core.so (x86_64), DT_NEEDED build/libfoo.so
        searched, in this order:
          build/libfoo.so: absent (path in DT_NEEDED of demo/_core.so (current directory))
      = help: build the library with a soname (-Wl,-soname,libfoo.so); `relocate repair` mends it as well
      = more: relocate explain path-in-needed

## How to fix it

Linkers write the path when the library has no soname and is passed by its path. Give it one (`-Wl,-soname,libfoo.so`; CMake does for
shared libraries, imported ones need `IMPORTED_SONAME` or `IMPORTED_NO_SONAME`), or link with `-L` and `-l`. `relocate repair` copies the
library into the package and puts its plain name in the entry.

## When it is fine

When the path starts with `$ORIGIN` and leads to a file of the package: glibc expands that, so it is not flagged. Nor is musl's own
`/lib/ld-musl-x86_64.so.1`.

## How it decides

By the slash, and by what the target's loader makes of the path: what it finds in the package or takes for itself is left alone.

## References

- ld.so(8): "If a shared object dependency contains a slash, then the dependency string is interpreted as a pathname"
- ld(1), `-soname`
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey
from relocator.places import judged, need_place, trail


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each unmet ELF need with a slash."""
    for resolution in judged(survey):
        name = resolution.needed.name
        binary = survey.binary_at(resolution.importer)
        if binary is None or binary.format != Format.ELF or "/" not in name:
            continue
        start = "of the build machine" if name.startswith("/") else "that starts from the current directory"
        if name.startswith("$"):
            start = "that the loader cannot follow"
        soname = name.rpartition("/")[2] or "NAME"
        yield Finding(
            "path-in-needed",
            Severity.ERROR,
            Certainty.CERTAIN,
            f"needs a library by a path {start}",
            need_place(survey, resolution),
            help=f"build the library with a soname (-Wl,-soname,{soname}); `relocate repair` mends it as well",
            repaired_by="repair",
            trail=trail(resolution, survey),
        )


RULE = Rule(
    "path-in-needed",
    "Linkage",
    Severity.ERROR,
    check,
    (Format.ELF,),
    repaired_by="repair",
    supersedes=("missing-library", "unbundled-library", "left-to-dependency"),
    security=True,
    containers=EVERYWHERE,
)
