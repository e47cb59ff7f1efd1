"""Takes a symbol that the tag's level refuses.

## What it flags

An ELF file that takes from a promised library a symbol on the level's black list: private functions of zlib
(`inflate_table`, `longest_match`), below manylinux_2_24 also a few functions of glibc 2.18
(`__cxa_thread_atexit_impl`).

## Why it matters

The library is there on every system that the tag admits, the symbol is not: some distributions build zlib without its
internal names, and some have a symbol whose version exists elsewhere without it. The import fails on those only:

    ImportError: .../demo/_core.so: undefined symbol: inflate_table

## Example

    error[refused-symbol]: takes a symbol from libz.so.1 that manylinux_2_17 refuses
      demo/_core.so (x86_64), import libz.so.1 inflate_table
      = help: `relocate repair` brings the library with the package
      = more: relocate explain refused-symbol

## How to fix it

`relocate repair` brings the library with the package instead of taking the system's. Or link zlib statically, or use
its public functions.

## When it is fine

When the symbol is weak, so that the file does without it: then it is not flagged.

## How it decides

By the undefined symbols of files that need the library by name and get it from the platform. Weak symbols, symbols
that no relocation uses, and symbols that a library of the package defines are left out.

## References

- the black lists are those of auditwheel's policies; source and date are in the data file beside the Linux backend
- https://github.com/pypa/auditwheel/issues/272
"""

from collections.abc import Iterator

from relocator import demands
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each refused symbol of each file."""
    for arch, floor in () if survey.target.local else survey.target.floors:
        promises = survey.promises_for(arch)
        if promises is None:
            continue
        for want in demands.wants(survey, arch):
            for library, symbol in demands.refused_symbols(survey, want, promises.level(floor)):
                yield Finding(
                    "refused-symbol",
                    Severity.ERROR,
                    Certainty.CERTAIN,
                    f"takes a symbol from {library} that {demands.level_name(survey, arch)} refuses",
                    Where(want.binary.member, arch, "import", None, library, symbol),
                    help="`relocate repair` brings the library with the package",
                    repaired_by="repair",
                )


RULE = Rule("refused-symbol", "Symbols", Severity.ERROR, check, (Format.ELF,), repaired_by="repair", needs_promise=True)
