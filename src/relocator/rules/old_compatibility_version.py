"""Needs a newer compatibility version of a library than the one that is found has.

## What it flags

A Mach-O file that was linked with a library whose compatibility version is higher than that of the copy which the loader finds in the
package.

## Why it matters

The linker notes the compatibility version of each library in what it links, and dyld refuses a library with a lower one:

    ImportError: dlopen(.../demo/_core.so): Library not loaded: @loader_path/libpng16.16.dylib
      Reason: Incompatible library version: _core.so requires version 57.0.0 or later, but libpng16.16.dylib provides version 54.0.0

## Example

    error[old-compatibility-version]: needs a newer version of a library than the package brings
      demo/_core.so (x86_64), LC_LOAD_DYLIB @loader_path/libpng16.16.dylib: needs 57.0.0, the one found has 54.0.0
        also demo/libpng16.16.dylib (x86_64), LC_ID_DYLIB 54.0.0
      = help: bring the copy of the library that it was linked with
      = more: relocate explain old-compatibility-version

## How to fix it

Bring the library that the file was linked with: usually two copies of it were on the build machine, and an older one was copied. Or link
the file again with the library that the package brings.

## When it is fine

When the library was built for macOS 10.14 or newer, dyld no longer compares; it is not flagged then.

## How it decides

By the compatibility versions in LC_LOAD_DYLIB of the one and LC_ID_DYLIB of the other file, wherever a load finds a library that is not
the system's, and by the deployment target of the library found. The version 65535.255.255 fits any.

## References

- `<mach-o/loader.h>`, "struct dylib"
- dyld, dyld3/MachOFile.cpp, enforceCompatVersion
- ld(1), "-compatibility_version"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Image, NeedKind, Resolution, Survey
from relocator.native import Dylib, MachOFacts
from relocator.places import need_place

NOT_COMPARED_FROM = {"macos": (10, 14), "ios": (12, 0), "tvos": (12, 0), "watchos": (5, 0)}
"""Deployment target of the library from which dyld ignores its compatibility version, by platform without "simulator"."""

ANY = 0xFFFFFFFF

OPTIONAL = frozenset({NeedKind.WEAK, NeedKind.LAZY})


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that is answered by too old a library."""
    edges = [edge for load in survey.loads for edge in load.resolutions if edge.target]
    for edge in {(edge.importer, edge.arch, edge.position, edge.target): edge for edge in edges}.values():
        importer, library = survey.binary_at(edge.importer), survey.binary_at(edge.target or "")
        if importer is None or library is None or not importer.owner or edge.needed.kind in OPTIONAL:
            continue
        wanted, found = _wanted(importer, edge), library.image(edge.arch)
        if wanted is not None and found is not None:
            yield from _compared(survey, edge, wanted, (library, found))


def _wanted(importer: Binary, edge: Resolution) -> Dylib | None:
    image = importer.image(edge.arch)
    native = image.native if image else None
    if image is None or not isinstance(native, MachOFacts) or image.needed[edge.position : edge.position + 1] != (edge.needed,):
        return None
    return native.dylibs[edge.position]


def _compared(survey: Survey, edge: Resolution, wanted: Dylib, found: tuple[Binary, Image]) -> Iterator[Finding]:
    library, image = found
    native = image.native
    if not isinstance(native, MachOFacts) or native.identity is None or not _compares(native.platform, image.minimum_os):
        return
    has, needs = native.identity.compatibility_version, wanted.compatibility_version
    if has < needs != ANY:
        yield Finding(
            "old-compatibility-version",
            Severity.ERROR,
            Certainty.CERTAIN,
            "needs a newer version of a library than the package brings",
            need_place(survey, edge, f"needs {_spelled(needs)}, the one found has {_spelled(has)}"),
            (Where(library.member, image.arch, "LC_ID_DYLIB", None, _spelled(has)),),
            "bring the copy of the library that it was linked with",
        )


def _compares(platform: str, minimum: tuple[int, ...]) -> bool:
    """Tell whether dyld looks at the compatibility version of a library built for a system."""
    limit = NOT_COMPARED_FROM.get(platform.removesuffix("simulator") or "macos")
    return limit is not None and minimum < limit


def _spelled(version: int) -> str:
    return f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}"


RULE = Rule("old-compatibility-version", "macOS", Severity.ERROR, check, (Format.MACHO,), ("wheel", "folder", "file", "environment"))
