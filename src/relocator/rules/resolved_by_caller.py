"""Finds a library only through the file that loads it.

## What it flags

A file of the package that finds what it needs when an extension module brings it, because that module's search path counts for it too or
has loaded the library before, and that does not find it when it is opened first. One finding for each file and library.

## Why it matters

Today every import works. It stops working when something opens the file by itself (ctypes, another extension module, a program), when the
imports come in another order, or when the module's DT_RPATH becomes a DT_RUNPATH, which does not count for what the module brings:

    OSError: libbar.so.1: cannot open shared object file: No such file or directory

## Example

    note[resolved-by-caller]: finds a library only through the file that loads it
      demo/.libs/libfoo.so.1 (x86_64), DT_NEEDED libbar.so.1: found through DT_RPATH of demo/_core.so: $ORIGIN/.libs
        searched, in this order:
          libbar.so.1: not promised (default directories)
      = help: give it a search path of its own: `relocate repair --fix-notes` does
      = more: relocate explain resolved-by-caller

## How to fix it

Give the file a search path of its own, such as `$ORIGIN` or `@loader_path` where all libraries lie in one folder. `relocate repair
--fix-notes` does. On Windows, which has no search paths in files, put the DLLs into one folder.

## When it is fine

When nothing ever opens the file first. That is so for most libraries that a repair tool copied in for one module.

## How it decides

By two loads: the file is met in that of every extension module that brings it, and fails in another, mostly the one in which it is opened
alone. The trail is the failing one. Where an extension module's load fails it is `missing-library` instead. Weak and delayed needs are
left out.

## References

- ld.so(8), "DT_RPATH" and "DT_RUNPATH"
- dyld(1), "@rpath": run path lists of the loading images count
- https://github.com/pypa/auditwheel/issues/451
- https://github.com/pytorch/pytorch/issues/80637
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey
from relocator.places import dependent, need_place, trail

LOADED = "already loaded"
"""How the loaders' trails begin to tell of what is in the process."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that is met only in company."""
    for missing, root, met in dependent(survey):
        failing = survey.binary_at(root) if root != missing.importer else None
        windows = survey.target.os == "windows"
        yield Finding(
            "resolved-by-caller",
            Severity.NOTE,
            Certainty.CERTAIN,
            "finds a library only through the file that loads it",
            need_place(survey, missing, "found when loaded before" if met.via.startswith(LOADED) else f"found through {met.via}"),
            () if failing is None else (Where(failing.member, missing.arch, label="brings it too, and does not find the library"),),
            "put both DLLs into one folder" if windows else "give it a search path of its own: `relocate repair --fix-notes` does",
            "" if windows else "repair",
            trail(missing, survey),
        )


RULE = Rule("resolved-by-caller", "Linkage", Severity.NOTE, check, repaired_by="repair")
