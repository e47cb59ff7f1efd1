"""Leaves a symbol to dynamic lookup that nothing in the package defines.

## What it flags

A Mach-O file, linked with `-undefined dynamic_lookup`, with a symbol that is to be found anywhere in the process, is none of Python's,
and that no file of the package defines. One finding for each file and architecture.

## Why it matters

That option is needed for Python's own symbols, which the interpreter brings. It also hides every symbol that was forgotten: a library
that was not linked, or that was built for the other architecture. The import fails:

    ImportError: dlopen(.../_core.so, 0x0002): symbol not found in flat namespace '_bcp_batch'

## Example

    error[flat-namespace-symbol]: leaves a symbol to dynamic lookup that nothing in the package defines (likely)
      demo/_core.so (arm64), import _bcp_batch: with 1 more: _bcp_done
      = help: link it with the library that defines the symbol, for each architecture
      = more: relocate explain flat-namespace-symbol

## How to fix it

Link the file with the library that defines the symbol, for every architecture that it has. `-Wl,-U,SYMBOL` in place of `-undefined
dynamic_lookup` allows single symbols, so that the linker finds the others.

## When it is fine

When another package, imported first, defines the symbol.

## How it decides

By the bindings with the ordinal "dynamic lookup" of two-level images: names that start with _Py or __Py are the interpreter's, names of
the C library, of Objective-C's and of the C++ runtime are in every process, others must be defined by some file of the package for the same
architecture. A symbol that may come from a system library is not judged: one that bears a name of Apple's, or any other where a framework
is loaded too, or a system library that only another file needs. Nor is a wholly flat image, or a load in which a library is missing.

## References

- ld(1), "-undefined", "Two-level namespace"
- https://github.com/pymssql/pymssql/issues/768
- https://github.com/numpy/numpy/issues/20543
"""

from collections.abc import Iterator

from relocator.bindings import definers, missing
from relocator.bindings.suspects import place
from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each slice."""
    for item in missing(survey):
        if item.library != "<flat>":
            continue
        names = tuple(name for name in item.names if not definers(survey, name, item.image.arch))
        if names:
            yield Finding(
                "flat-namespace-symbol",
                Severity.ERROR,
                Certainty.LIKELY,
                "leaves a symbol to dynamic lookup that nothing in the package defines",
                place(item, names),
                help="link it with the library that defines the symbol, for each architecture",
            )


RULE = Rule("flat-namespace-symbol", "Symbols", Severity.ERROR, check, (Format.MACHO,), containers=("wheel", "folder"), needs_promise=True)
