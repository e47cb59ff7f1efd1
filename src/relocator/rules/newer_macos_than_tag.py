"""Was built for a newer macOS than the tag promises.

## What it flags

A slice whose deployment target (LC_BUILD_VERSION or LC_VERSION_MIN_MACOSX) is above the tag's version for that
architecture.

## Why it matters

macOS does not refuse such a library by its number. It refuses it for what the compiler then did: symbols that older
systems lack are no longer imported weakly, and the import fails there:

    ImportError: dlopen(.../demo/_core.so): Symbol not found: _preadv
      Referenced from: .../demo/_core.so (built for macOS 12.0 which is newer than running OS)

## Example

    error[newer-macos-than-tag]: is built for a newer macOS than the tag and imports what older ones lack
      demo/_core.so (x86_64), LC_BUILD_VERSION 12.0 _preadv: since macOS 11.0, the tag promises 10.9
      = help: build with MACOSX_DEPLOYMENT_TARGET set to the tag's version, or let `relocate repair` choose the tag that fits
      = more: relocate explain newer-macos-than-tag

## How to fix it

Set MACOSX_DEPLOYMENT_TARGET to the tag's version for the whole build, libraries from package managers included (those
are built for the system that they are installed on), or give the wheel the tag that fits: `relocate repair` does.

## When it is fine

When nothing that the slice imports is newer than the tag: then it is a warning. An arm64 slice for 11.0 or below is
never flagged, since arm64 has no older system.

## How it decides

By the deployment target of each slice against the tag's version for its architecture. From macOS 11 on tags have no
minor number, so a slice for 13.3 is not above macosx_13_0 unless it imports a newer symbol. It is an error when some
symbol that is not imported weakly came to the system's libraries after the tag's version, else a warning.

## References

- PEP 425; Python packaging, "Platform compatibility tags"
- `<mach-o/loader.h>`, LC_BUILD_VERSION
- the stub libraries of Apple's SDKs, for when a symbol came
"""

from collections.abc import Iterator, Mapping

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Image, NeedKind, Survey
from relocator.tags import macos_slices, macos_version
from relocator.target import Promises


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each macOS slice that is built for a newer system than the tag's."""
    for arch, floor in survey.target.floors if survey.target.os == "macos" else ():
        promises = survey.promises_for(arch)
        later = {symbol: since for symbol, since in promises.introduced if since > floor} if promises else {}
        for binary, image in macos_slices(survey, arch):
            if image.minimum_os[:2] <= floor:
                continue
            symbol = newer_symbol(image, promises, later) if promises and later else None
            if symbol is not None:
                yield _finding(binary, image, floor, symbol, later[symbol])
            elif macos_version(image.minimum_os) > macos_version(floor):
                yield _finding(binary, image, floor)


def _finding(binary: Binary, image: Image, floor: tuple[int, ...], symbol: bytes = b"", since: tuple[int, ...] = ()) -> Finding:
    name = symbol.decode("utf-8", "surrogateescape")
    told = f"since macOS {_dotted(since)}, the tag promises {_dotted(floor)}" if symbol else f"the tag promises {_dotted(floor)}"
    return Finding(
        "newer-macos-than-tag",
        Severity.ERROR if symbol else Severity.WARNING,
        Certainty.CERTAIN,
        "is built for a newer macOS than the tag" + (" and imports what older ones lack" if symbol else ""),
        Where(binary.member, image.arch, "LC_BUILD_VERSION", None, _dotted(image.minimum_os), name, told),
        help="build with MACOSX_DEPLOYMENT_TARGET set to the tag's version, or let `relocate repair` choose the tag that fits",
        repaired_by="repair",
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def newer_symbol(image: Image, promises: Promises, introduced: Mapping[bytes, tuple[int, ...]]) -> bytes | None:
    """Return a symbol that the slice must find in a system library and that is among those introduced later; None when there is none."""
    optional = {need.name for need in image.needed if need.kind == NeedKind.WEAK}
    for symbol in image.symbols.imports():
        if symbol.name in introduced and not symbol.weak and symbol.library not in optional and promises.knows(symbol.library):
            return symbol.name
    return None


RULE = Rule("newer-macos-than-tag", "Tags", Severity.ERROR, check, (Format.MACHO,), repaired_by="repair", needs_promise=True)
