"""Uses a symbol that neither the package nor the platform defines.

## What it flags

An ELF file with a symbol that it cannot do without and that nothing can give it: no file that the package brings along with it, no
library that the tag promises, not Python. One finding for each file.

## Why it matters

The linker lets a shared library be made with symbols that nobody defines, and the loader finds out when the module is imported:

    ImportError: .../demo/_core.so: undefined symbol: foo_version

It happens when a library was forgotten on the linker's command line, when a C file was left out of the build, or when C++ code was
compiled as C or the reverse.

## Example

    warning[unprovided-symbol]: uses a symbol that neither the package nor the platform defines (likely)
      demo/_core.so (x86_64), import foo_version: with 3 more: foo_open, foo_close, ...
      = help: link it with the library that defines the symbol, or add the source file that does
      = more: relocate explain unprovided-symbol

## How to fix it

Link the file with the library that defines the symbol, or add the missing source file. `-Wl,-z,defs` makes the linker refuse such files;
for an extension module, which takes Python's symbols from the interpreter, `-Wl,--no-allow-shlib-undefined` and a look at the symbols
that are left serve the same end.

## When it is fine

When another package provides the symbol, and is loaded with RTLD_GLOBAL before, or when the file is a plug-in for a program that has it.
The finding is merely possible when a dependency is known to ship libraries, when the package's Python code opens libraries globally, and
for files that no import reaches.

## How it decides

By looking up every strong symbol that some relocation uses, as the loader does, in the files of each load that counts. Python's names (Py
and _Py) are the interpreter's. A symbol with a version is the concern of the library that the version names. One without could come from
a promised library that gives its symbols no versions (libX11, libGL, libz), so nothing is said when the load has one, C++ names apart;
glibc and the compilers' runtimes have versions, and a file linked with them asks for these. A name that glibc has is taken for its own.
Nothing is said either when a library of the load is missing, or is left to a dependency.

## References

- ld(1), "--no-undefined", "-z defs"; glibc, elf/dl-lookup.c
- https://github.com/pypa/auditwheel/issues/272
"""

import re
from collections.abc import Iterator

from relocator.bindings import Missing, missing
from relocator.bindings.suspects import Suspect, place, suspect, text
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge.providers import ships_libraries
from relocator.model import Format, Role, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file."""
    for item in missing(survey):
        if item.library or item.image.format != Format.ELF:
            continue
        found = suspect(survey, item)
        yield Finding(
            "unprovided-symbol",
            Severity.WARNING,
            _certainty(survey, item),
            "uses a symbol that neither the package nor the platform defines",
            place(item, item.names),
            (_related(item, found),) if found else (),
            _help(found),
        )


def _certainty(survey: Survey, item: Missing) -> Certainty:
    requires = (text for distribution in survey.container.distributions for text in distribution.requires)
    names = [match[0] for text in requires if (match := re.match(r"[A-Za-z0-9._-]+", text))]
    opened = any(hint.call in ("rtld_global", "setdlopenflags") for hint in survey.hints)
    if item.importer.role != Role.IMPORTED or opened or any(ships_libraries(name) for name in names):
        return Certainty.POSSIBLE
    return Certainty.LIKELY


def _related(item: Missing, found: Suspect) -> Where:
    label = f"has {text(found.has)} instead" if found.has else "defines it, and is not loaded with the file"
    return Where(found.binary.member, item.image.arch, label=label)


def _help(found: Suspect | None) -> str:
    if found is None:
        return "link it with the library that defines the symbol, or add the source file that does"
    if not found.has:
        return f"link it with {found.binary.path.rpartition('/')[2]}, so that the loader brings that along"
    return f"build it and {found.binary.path.rpartition('/')[2]} from the same sources"


RULE = Rule("unprovided-symbol", "Symbols", Severity.WARNING, check, (Format.ELF,), containers=("wheel", "folder"), needs_promise=True)
