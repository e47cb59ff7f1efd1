"""Holds slices that are not the same program built twice.

## What it flags

A universal file whose x86_64 and arm64 slices need different libraries, leave different symbols to be found anywhere (the flat namespace),
or are made for different versions of macOS.

## Why it matters

The two slices of such a file come from one source, so that a difference is an accident of the build: a library found in Homebrew on one
machine, linked statically on the other, or forgotten. The wheel works on the processor on which it was tried. On the other one the import
ends with `Library not loaded: /usr/local/opt/...` or `symbol not found in flat namespace '_bcp_batch'`.

## Example

    error[slice-mismatch]: has a slice that needs a library which the other one does not need
      demo/_core.cpython-312-darwin.so (x86_64), LC_LOAD_DYLIB /usr/local/opt/unixodbc/lib/libodbc.2.dylib: the arm64 slice does without
      = help: build both slices with the same flags and libraries, then compare them with `relocate show`
      = more: relocate explain slice-mismatch

## How to fix it

Build both slices with the same configuration: `ARCHFLAGS="-arch x86_64 -arch arm64"` for one compiler run, or both wheels from one script
and `delocate-merge` afterwards, with libraries that hold both architectures or a copy for each.

## When it is fine

When each architecture has its own library on purpose (one for code of that processor). Libraries of the system are not compared, since
both architectures have them all; neither are slices for other architectures than x86_64 and arm64.

## How it decides

By the load commands and imports of the slices. The name of a library that differs between the slices only in an architecture counts as the
same. Of the flat symbols those that Python has, or some file of the package, are left out. Deployment targets are compared as if neither
were below 11.0, since arm64 has no older macOS; a difference there is a warning.

## References

- `<mach-o/fat.h>`, `<mach-o/loader.h>`
- Apple, "Building a universal macOS binary"
- https://github.com/sdebruyn/fabric-dw-mcp-cli/issues/424
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Image, NeedKind, Survey
from relocator.places import place_in
from relocator.python_abi import defined_in_package

SYSTEM = ("/usr/lib/", "/System/")
FIRST_ARM64 = (11, 0)
HELP = "build both slices with the same flags and libraries, then compare them with `relocate show`"

_WORDS = ("x86_64", "x86-64", "amd64", "intel", "arm64", "aarch64")
_PYTHON = (b"_Py", b"__Py")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each difference between the x86_64 and the arm64 slice of a file."""
    for binary in survey.binaries:
        intel, arm = binary.image("x86_64"), binary.image("arm64")
        if not binary.owner or binary.format != Format.MACHO or intel is None or arm is None:
            continue
        for image, other in ((intel, arm), (arm, intel)):
            yield from _needs(binary, image, other)
            yield from _flat_symbols(survey, binary, image, other)
        yield from _minimum(binary, intel, arm)


def _needs(binary: Binary, image: Image, other: Image) -> Iterator[Finding]:
    known = {_neutral(need.name) for need in other.needed}
    for position, need in enumerate(image.needed):
        if need.kind != NeedKind.WEAK and not need.name.startswith(SYSTEM) and _neutral(need.name) not in known:
            where = place_in(binary, image, position, f"the {other.arch} slice does without")
            yield _finding("has a slice that needs a library which the other one does not need", where)


def _neutral(name: str) -> str:
    """Return a library's name with "*" for an architecture."""
    for word in _WORDS:
        name = name.replace(word, "*")
    return name


def _flat_symbols(survey: Survey, binary: Binary, image: Image, other: Image) -> Iterator[Finding]:
    known = _flat(other)
    for name in sorted(_flat(image) - known):
        if not name.startswith(_PYTHON) and not defined_in_package(survey, name, image.arch):
            spelled = name.decode("utf-8", "surrogateescape")
            where = Where(binary.member, image.arch, "flat import", None, spelled, label=f"not so in the {other.arch} slice")
            yield _finding("has a slice that leaves a symbol to be found anywhere", where)


def _flat(image: Image) -> set[bytes]:
    return {symbol.name for symbol in image.symbols.imports() if symbol.library == "<flat>" and not symbol.weak}


def _minimum(binary: Binary, intel: Image, arm: Image) -> Iterator[Finding]:
    if not intel.minimum_os or not arm.minimum_os:
        return
    on_intel, on_arm = max(intel.minimum_os[:2], FIRST_ARM64), max(arm.minimum_os[:2], FIRST_ARM64)
    if on_intel != on_arm:
        newer, older = (intel, arm) if on_intel > on_arm else (arm, intel)
        told = f"the {older.arch} slice is for {'.'.join(map(str, older.minimum_os))}"
        where = Where(binary.member, newer.arch, "LC_BUILD_VERSION", None, ".".join(map(str, newer.minimum_os)), label=told)
        yield _finding("has slices for different versions of macOS", where, Severity.WARNING)


def _finding(message: str, where: Where, severity: Severity = Severity.ERROR) -> Finding:
    return Finding("slice-mismatch", severity, Certainty.CERTAIN, message, where, help=HELP)


RULE = Rule("slice-mismatch", "Architecture", Severity.ERROR, check, (Format.MACHO,))
