"""Finds a library only when another package was imported first.

## What it flags

A need that the module's own search does not meet, while another distribution of the environment brings a library that would: one of that
soname, that DLL name, or exactly that install name. A note where Requires-Dist names that distribution, since the package then imports it
first, as a rule; a warning where it does not.

## Why it matters

What is in the process already meets the need. So the import works after `import torch`, and fails before:

    ImportError: dlopen(.../libxgboost.dylib, 0x0006): Library not loaded: @rpath/libomp.dylib
    ImportError: libc10.so: cannot open shared object file: No such file or directory

Sorting the imports is enough to break a program.

## Example

    warning[order-dependent-load]: finds a library only when another package was imported first (likely)
      boost/_core.so (arm64), LC_LOAD_DYLIB @rpath/libomp.dylib: tensor has it
        also tensor/.dylibs/libomp.dylib (arm64), LC_ID_DYLIB @rpath/libomp.dylib
        searched, in this order:
          @rpath/libomp.dylib: absent (already loaded)
          /opt/homebrew/opt/libomp/lib/libomp.dylib: not promised (LC_RPATH of boost/_core.so: /opt/homebrew/opt/libomp/lib)
          @rpath/libomp.dylib: unknown program (LC_RPATH of the caller of dlopen and of the program)
      = help: import tensor first; let Requires-Dist of boost name it, or copy the library in (`relocate repair`)
      = more: relocate explain order-dependent-load

## How to fix it

Import the other package first. Whoever builds the package names the other one in Requires-Dist and imports it in `__init__.py`, or gives
the file a search path that leads there, or copies the library in (`relocate repair`).

## When it is fine

When the package itself imports the other one before its own modules.

## How it decides

By the loads: the need is missing when the module is imported alone. The other library counts if the import of some module brings it. glibc
and Windows compare names; macOS compares the whole install name, so that a copy whose name a repair tool has changed does not count; musl
compares files, so that nothing helps there. Microsoft's C and C++ runtimes are left to `unbundled-msvc-runtime`.

## References

- glibc, elf/dl-load.c, `_dl_map_object`; Microsoft, "Dynamic-link library search order"
- dyld, dyld4 Loader: an image of the same install name is taken
- https://github.com/dmlc/xgboost/issues/10946
- https://github.com/Dao-AILab/flash-attention/issues/1644
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.meeting import MSVC_RUNTIME, brought, imported_loads
from relocator.model import Binary, Format, How, Image, Load, Resolution, Survey
from relocator.places import OPTIONAL, identity_place, need_place, trail
from relocator.requires import requires

_ABSENT = frozenset({How.MISSING, How.EXPECTED, How.UNDECIDED})

Known = dict[tuple[str, str], list[tuple[Binary, Image]]]
"""By architecture and the name that satisfies a need: what imports bring."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that only another package's library meets."""
    known = _known(survey)
    told: set[tuple[str, str, int]] = set()
    for load in imported_loads(survey):
        for resolution in load.resolutions:
            key = resolution.importer, resolution.arch, resolution.position
            left = load.loader == "windows" and MSVC_RUNTIME.fullmatch(resolution.needed.name.casefold())
            if resolution.how in _ABSENT and resolution.needed.kind not in OPTIONAL and key not in told and not left:
                told.add(key)
                yield from _judged(survey, load, resolution, known)


def _known(survey: Survey) -> Known:
    found: Known = {}
    for one in brought(survey):
        name = one.image.identity or ""
        if one.image.format == Format.PE:
            name = one.binary.path.rpartition("/")[2].casefold()
        if name and not one.binary.extension and not one.presumed:
            found.setdefault((one.image.arch, name), []).append((one.binary, one.image))
    return found


def _judged(survey: Survey, load: Load, resolution: Resolution, known: Known) -> Iterator[Finding]:
    importer = survey.binary_at(resolution.importer)
    name = resolution.needed.name.casefold() if load.loader == "windows" else resolution.needed.name
    if load.loader == "musl" or importer is None:
        return
    others = [pair for pair in known.get((resolution.arch, name), ()) if pair[0].owner and pair[0].owner != importer.owner]
    if others:
        declared = [pair for pair in others if requires(survey, importer.owner, pair[0].owner)]
        binary, image = (declared or others)[0]
        yield Finding(
            "order-dependent-load",
            Severity.NOTE if declared else Severity.WARNING,
            Certainty.LIKELY,
            "finds a library only when another package was imported first",
            need_place(survey, resolution, f"{binary.owner} has it"),
            (identity_place(binary, image),),
            f"import {binary.owner} first"
            + ("" if declared else f"; let Requires-Dist of {importer.owner} name it, or copy the library in (`relocate repair`)"),
            trail=trail(resolution, survey),
        )


RULE = Rule(
    "order-dependent-load",
    "Linkage",
    Severity.WARNING,
    check,
    containers=("environment",),
    supersedes=("missing-library", "left-to-dependency", "unresolved-rpath", "unreachable-dll"),
)
