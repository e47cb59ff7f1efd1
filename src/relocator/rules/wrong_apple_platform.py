"""Was built for another of Apple's systems than the tag's.

## What it flags

A file made for iOS, a simulator, Mac Catalyst or another of Apple's platforms in a wheel for macOS, and the same in a wheel for iOS, where
device and simulator are two platforms.

## Why it matters

All of them use one file format and one processor, so that nothing but a load command tells them apart, and linkers take either with a
warning. dyld does not:

    ImportError: dlopen(.../demo/_core.so): tried: '.../demo/_core.so' (mach-o file, but is an incompatible platform
      (have 'iOS-simulator', need 'macOS'))

## Example

    error[wrong-apple-platform]: is made for another system than the tag's
      demo/.dylibs/libfoo.1.dylib (arm64), LC_BUILD_VERSION iossimulator: the tag is for macos
      = help: build it for macos, and look where the build found it: an SDK or a package of another platform
      = more: relocate explain wrong-apple-platform

## How to fix it

Build the file for the tag's platform (`-target arm64-apple-macos11`, `CMAKE_OSX_SYSROOT=macosx`). A library of the wrong kind usually comes
from a folder of an SDK, or from an XCFramework, which holds one copy for each platform.

## When it is fine

When the file is not loaded but carried along, for an application that is built for the other system: then it is a warning.

## How it decides

By LC_BUILD_VERSION, or LC_VERSION_MIN_IPHONEOS and its like. A file that is made for macOS and for Mac Catalyst at once is for macOS. Old
files without any such command are not judged.

## References

- `<mach-o/loader.h>`, "struct build_version_command"
- PEP 730, "Adding iOS as a supported platform"
- https://github.com/matthew-brett/delocate/issues/273
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey
from relocator.native import MachOFacts
from relocator.target import Target


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each Mach-O slice that is made for another platform than the target's."""
    wanted = _platform(survey.target)
    for binary, image in survey.images() if wanted else ():
        native = image.native
        if isinstance(native, MachOFacts) and native.platform not in ("", wanted):
            yield Finding(
                "wrong-apple-platform",
                Severity.ERROR,
                Certainty.CERTAIN,
                "is made for another system than the tag's",
                Where(binary.member, image.arch, "LC_BUILD_VERSION", None, native.platform, label=f"the tag is for {wanted}"),
                help=f"build it for {wanted}, and look where the build found it: an SDK or a package of another platform",
            )


def _platform(target: Target) -> str:
    """Return the platform of a target as the backend names it; "" when it is none of Apple's."""
    if target.os == "ios":
        return "iossimulator" if target.tag.endswith("simulator") else "ios"
    return "macos" if target.os == "macos" else ""


RULE = Rule("wrong-apple-platform", "macOS", Severity.ERROR, check, (Format.MACHO,), needs_promise=True)
