"""Imports a symbol that the DLL or dylib found does not export.

## What it flags

An import by name or ordinal from a DLL, or a symbol that a Mach-O file takes from one particular dylib, where the file that the loader
finds under that name does not export it, and neither does one that it re-exports or forwards to. One finding for each file and library.

## Why it matters

The file was linked with another version of the library than the one that it gets, and does not load. Windows does not even say which
symbol or which library:

    ImportError: DLL load failed while importing _core: The specified procedure could not be found.
    ImportError: dlopen(.../_core.so, 0x0002): Symbol not found: _foo_version

## Example

    error[missing-export]: imports a symbol that the library found does not export
      demo/_core.pyd (amd64), import foo.dll foo_open_v2
        also demo/foo.dll (amd64), has foo_open instead
      = help: bring the foo.dll that the file was linked with
      = more: relocate explain missing-export

## How to fix it

Ship the library that the file was linked with, under a name of its own, so that no other copy is taken for it; in an environment, install
releases that were built for one another.

## When it is fine

When another copy of the library is always loaded first, and exports the symbol.

## How it decides

By looking up every import in the exports of the file that the need gets in a load that counts: names and ordinals, forwarders and
re-exports followed. Delayed and weak imports may fail. Libraries of the platform are taken to have what is asked of them.

## References

- Microsoft, PE Format, "The .edata Section"
- Apple, dyld, "Two-level namespaces"
- https://github.com/mhammond/pywin32/issues/1406
- https://github.com/conda-forge/rasterio-feedstock/issues/214
"""

from collections.abc import Iterator

from relocator.bindings import Missing, missing
from relocator.bindings.suspects import place, suspect, text
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and library."""
    for item in missing(survey):
        if item.image.format == Format.ELF or item.provider is None:
            continue
        found = suspect(survey, item)
        instead = f"has {text(found.has)} instead" if found and found.has else "is the file that is found"
        yield Finding(
            "missing-export",
            Severity.ERROR,
            Certainty.CERTAIN,
            "imports a symbol that the library found does not export",
            place(item, item.names, item.library),
            (Where(item.provider.member, item.image.arch, label=instead),),
            _help(item, item.provider),
        )


def _help(item: Missing, provider: Binary) -> str:
    name = provider.path.rpartition("/")[2]
    if not provider.owner or provider.owner == item.importer.owner:
        return f"bring the {name} that the file was linked with"
    return f"install releases of {item.importer.owner} and {provider.owner} that were built for one another"


RULE = Rule(
    "missing-export",
    "Symbols",
    Severity.ERROR,
    check,
    (Format.MACHO, Format.PE),
    containers=("wheel", "folder", "file", "environment"),
)
