"""Loads the same Objective-C class from several libraries.

## What it flags

A class of one name that several libraries define, when imports of this environment can bring these libraries into one process. One finding
for each pair of libraries.

## Why it matters

Classes are known to the Objective-C runtime by name, process-wide. Of two with one name it takes either, for all that ask by name:

    objc[4711]: Class AVFFrameReceiver is implemented in both .../cv2/.dylibs/libavdevice.61.dylib and .../av/.dylibs/libavdevice.61.dylib.
    One of the two will be used. Which one is undefined.

Objects of one library then run the methods of the other, and crash where their layout differs.

## Example

    warning[duplicate-objc-class]: several libraries define an Objective-C class of one name, and either may be used for both (likely)
      av/.dylibs/libavdevice.61.dylib (arm64), LC_ID_DYLIB /DLC/av/.dylibs/libavdevice.61.dylib: class AVFFrameReceiver
        also cv2/.dylibs/libavdevice.61.dylib (arm64), LC_ID_DYLIB /DLC/cv2/.dylibs/libavdevice.61.dylib: defines it, too
      = help: install the packages from one place that shares the library, or do not import them into one process
      = more: relocate explain duplicate-objc-class

## How to fix it

Take the packages from one place that shares the library, or do not import them into one process. Whoever builds a package gives its classes
a prefix of their own.

## When it is fine

When both libraries are the same release of the same code: then the message is all that happens. When no process imports both.

## How it decides

By the lists of classes (`__objc_classlist`) of the libraries that the import of some module brings: what they define counts, exported or
not, and what they merely use does not. Libraries whose install name is the same and starts with @rpath/ are loaded once.

## References

- Apple, objc4, runtime/objc-runtime-new.mm, "is implemented in both"
- https://github.com/pipecat-ai/pipecat/issues/3514
- https://github.com/talmolab/sleap/issues/2675
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.meeting import Brought, brought, instance
from relocator.model import Format, Survey
from relocator.native import MachOFacts
from relocator.places import identity_place


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each pair of libraries that define a class of one name."""
    definers: dict[tuple[str, str], dict[str, Brought]] = {}
    for one in brought(survey):
        for name in one.image.native.objc_classes if isinstance(one.image.native, MachOFacts) else ():
            definers.setdefault((one.image.arch, name), {}).setdefault(instance(one.binary, one.image), one)
    pairs: dict[tuple[str, str, str], list[str]] = {}
    for (arch, name), found in definers.items():
        first, *others = (one.binary.path for one in found.values())
        for other in others:
            pairs.setdefault((arch, first, other), []).append(name)
    for (arch, one_path, other_path), names in pairs.items():
        yield _finding(survey, arch, one_path, other_path, names)


def _finding(survey: Survey, arch: str, one_path: str, other_path: str, names: list[str]) -> Finding:
    one, other = (next(b for b in brought(survey) if b.binary.path == path and b.image.arch == arch) for path in (one_path, other_path))
    label = f"class {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    return Finding(
        "duplicate-objc-class",
        Severity.WARNING,
        Certainty.LIKELY,
        "several libraries define an Objective-C class of one name, and either may be used for both",
        identity_place(one.binary, one.image, label),
        (identity_place(other.binary, other.image, "defines it, too"),),
        "install the packages from one place that shares the library, or do not import them into one process",
    )


RULE = Rule("duplicate-objc-class", "Conflicts", Severity.WARNING, check, (Format.MACHO,), ("environment",))
