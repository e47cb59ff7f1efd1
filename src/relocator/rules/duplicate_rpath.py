"""Names the same LC_RPATH twice, which newer macOS refuses to load.

## What it flags

A Mach-O slice with two LC_RPATH commands of the same text.

## Why it matters

Since macOS 15.4 dyld refuses images that were linked with the SDK of that system or a newer one and that repeat an LC_RPATH:

    ImportError: dlopen(.../demo/_core.so, 0x0002): tried: '.../demo/_core.so' (duplicate LC_RPATH '@loader_path/../lib')

Files of older SDKs have passed so far; `install_name_tool` refuses to add to them.

## Example

    error[duplicate-rpath]: repeats an LC_RPATH, which macOS 15.4 refuses
      demo/_core.so (arm64), LC_RPATH @loader_path/lib: the same as LC_RPATH[0]; linked with the macos SDK 15.4
      = help: let `relocate repair` remove it, or pass each -rpath to the linker once
      = more: relocate explain duplicate-rpath

## How to fix it

`relocate repair` keeps the first one. In the build look for a `-Wl,-rpath` that stands in LDFLAGS and is added by the build system once
more (conda's compilers set LDFLAGS; CMake and Meson know nothing of it).

## When it is fine

For packages that were linked with an older SDK it works for now, and is a warning. A rebuild with a newer SDK makes it fatal.

## How it decides

The texts are compared byte by byte, as dyld does: `@loader_path` and `@loader_path/.` differ. The SDK version is that of
LC_BUILD_VERSION or LC_VERSION_MIN_MACOSX; a file without one is judged like one of an older SDK. macOS 15.4 to 15.7 refuse from SDK 15.4
on, macOS 26 refuses from SDK 26 on; the tag admits them all, so the lower number counts.

## References

- dyld, `mach_o/Policy.cpp`, `enforceNoDuplicateRPaths` (dyld-1284.13 and dyld-1323.3), and `validSemanticsRPath`
- https://github.com/conda/conda-build/issues/5671
- https://github.com/prefix-dev/rattler-build/issues/1955
- https://github.com/pytorch/pytorch/issues/189704
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Image, Survey
from relocator.native import MachOFacts

REFUSED_FROM = {"macos": (15, 4), "": (15, 4)}
"""First SDK whose images dyld refuses for this; other platforms count from iOS."""

IOS_REFUSED_FROM = (18, 4)


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each text that a slice has as LC_RPATH more than once."""
    for binary, image in survey.images():
        if isinstance(image.native, MachOFacts):
            texts = [path.text for path in image.search_paths]
            for text in dict.fromkeys(texts):
                if texts.count(text) > 1:
                    yield _finding(binary, image, image.native, texts, text)


def _finding(binary: Binary, image: Image, native: MachOFacts, texts: list[str], text: str) -> Finding:
    first = texts.index(text)
    refused = native.sdk[:2] >= REFUSED_FROM.get(native.platform, IOS_REFUSED_FROM)
    sdk = f"linked with the {native.platform or 'macos'} SDK {'.'.join(map(str, native.sdk[:2]))}" if native.sdk else "no SDK version"
    label = f"the same as LC_RPATH[{first}]; {sdk}"
    return Finding(
        "duplicate-rpath",
        Severity.ERROR if refused else Severity.WARNING,
        Certainty.CERTAIN,
        "repeats an LC_RPATH, which macOS 15.4 refuses" if refused else "repeats an LC_RPATH",
        Where(binary.member, image.arch, "LC_RPATH", texts.index(text, first + 1), text, label=label),
        help="let `relocate repair` remove it, or pass each -rpath to the linker once",
        repaired_by="repair",
    )


RULE = Rule(
    "duplicate-rpath", "Search paths", Severity.ERROR, check, (Format.MACHO,), repaired_by="repair", by_role=False, containers=EVERYWHERE
)
