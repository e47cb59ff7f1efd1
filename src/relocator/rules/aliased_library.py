"""Contains the same library twice under two names.

## What it flags

Two files of the package with the same bytes, both of them libraries, neither an extension module. A warning where the package's files
need both, under different names; a note where at most one of them is needed.

## Why it matters

On a disk, `libfoo.so` and `libfoo.so.1` are links to one file. A wheel has no links, and a build that packs what it finds packs copies. To
the loader these are different libraries: both are loaded, each with its own global variables, locks and registries, and what is registered
in one is unknown to the other. Where only one is ever loaded, the other merely takes up space.

## Example

    warning[aliased-library]: is a second copy of a library, loaded beside the first
      demo/lib/libucs.so (x86_64), DT_SONAME libucs.so.0: the same bytes as demo/lib/libucs.so.0
      = help: let all needs name one of them and leave the other out: `relocate repair` does
      = more: relocate explain aliased-library

## How to fix it

Keep the file that is called by its soname or install name, let all needs name it, and leave the others out: `relocate repair` does.

## When it is fine

The note, when other programs link against the copy (`libfoo.so` is the name that `-lfoo` looks for).

## How it decides

By SHA-256, and by the names under which the loads of the package's files bring the copies. ELF libraries that are only ever needed under
one name are loaded once, whatever folders the copies lie in; on Windows the file's name without its folder counts, on macOS the path.
It is certain where the load of one file brings both copies; where each comes with another file it depends on what is imported first.
Files of equal bytes that bring different libraries, since `$ORIGIN` stands for another folder in each, are no copies.

## References

- https://github.com/pypa/wheel/issues/203
- https://github.com/ai-dynamo/nixl/issues/1567
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Binary, Format, Needed, Role, Survey
from relocator.places import identity_place

_Targets = dict[tuple[str, Needed], set[str]]
"""What meets the needs of one file, by architecture and need."""
_Met = dict[str, _Targets]
"""By importer."""


class Copy(NamedTuple):
    """One file that has the bytes of another."""

    binary: Binary
    kept: Binary
    """The one that is called by its soname or install name, or else the first by name."""
    both: bool
    """The package's files need both, under different names."""
    sure: bool
    """One process loads both."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file that is a copy of another, the one that is named as it names itself being kept."""
    for copy in copies(survey):
        yield Finding(
            "aliased-library",
            Severity.WARNING if copy.both else Severity.NOTE,
            Certainty.CERTAIN if copy.sure else Certainty.LIKELY,
            "is a second copy of a library, loaded beside the first" if copy.both else "is a second copy of a library",
            identity_place(copy.binary, copy.binary.images[0], f"the same bytes as {copy.kept.member}"),
            help="let all needs name one of them and leave the other out: `relocate repair` does",
            repaired_by="repair",
        )


def copies(survey: Survey) -> Iterator[Copy]:
    """Yield each file of the package that is a copy of another one; what `relocate repair` leaves out."""
    groups = _groups(survey)
    names = _brought(survey) if groups else {}
    for group in groups:
        yield from _judged(survey, group, names)


def _groups(survey: Survey) -> list[list[Binary]]:
    """Return the libraries of equal bytes that bring the same, those that are kept first; what differs from that one stands apart."""
    keys = {binary.path: binary.sha256 for binary in survey.binaries if binary.owner and binary.sha256 and _is_library(binary)}
    met: _Met = {}
    while True:
        alike: dict[str, list[Binary]] = {}
        for binary in survey.binaries:
            if binary.path in keys:
                alike.setdefault(keys[binary.path], []).append(binary)
        groups = [sorted(group, key=_keep_first) for group in alike.values() if len({_name(binary) for binary in group}) > 1]
        met = met or (_met(survey) if groups else {})
        apart = [
            other.path for kept, *others in groups for other in others if _differ(met.get(kept.path, {}), met.get(other.path, {}), keys)
        ]
        if not apart:
            return groups
        keys.update((path, path) for path in apart)  # who brings one of them may now differ, too


def _met(survey: Survey) -> _Met:
    """Return what meets the needs of each file, in whichever load."""
    found: _Met = {}
    for load in survey.loads:
        for r in load.resolutions:
            if r.target:
                found.setdefault(r.importer, {}).setdefault((r.arch, r.needed), set()).add(r.target)
    return found


def _differ(one: _Targets, other: _Targets, keys: Mapping[str, str]) -> bool:
    """Tell whether two files get different libraries for a need that is met for both."""
    shared = one.keys() & other.keys()
    return any({keys.get(path, path) for path in one[need]} != {keys.get(path, path) for path in other[need]} for need in shared)


def _is_library(binary: Binary) -> bool:
    return not binary.extension and binary.role != Role.PROGRAM and all(image.kind == "library" for image in binary.images)


def _name(binary: Binary) -> str:
    """Return what tells two copies apart for the loader: Windows does not look at folders."""
    return _leaf(binary).casefold() if binary.format == Format.PE else binary.path


def _leaf(binary: Binary) -> str:
    return binary.path.rpartition("/")[2]


def _keep_first(binary: Binary) -> tuple[bool, str]:
    identity = (binary.images[0].identity or "").rpartition("/")[2]
    return _leaf(binary) != identity, binary.member


def _brought(survey: Survey) -> dict[str, set[str]]:
    """Return, for each file that some other one needs, the names under which it is needed."""
    found: dict[str, set[str]] = {}
    for load in survey.loads:
        for resolution in load.resolutions:
            if resolution.target:
                found.setdefault(resolution.target, set()).add(resolution.needed.name)
    return found


def _judged(survey: Survey, group: list[Binary], names: dict[str, set[str]]) -> Iterator[Copy]:
    kept, *others = group
    paths = {binary.path for binary in group}
    brought = [binary for binary in group if binary.path in names]
    ways = {name for binary in brought for name in names[binary.path]}
    twice = len(brought) > 1 and (kept.format == Format.MACHO or len({name.casefold() for name in ways}) > 1)
    for copy in others:
        both = twice and copy in brought
        yield Copy(copy, kept, both, not both or any(len(paths.intersection(load.order)) > 1 for load in survey.loads))


RULE = Rule("aliased-library", "Linkage", Severity.WARNING, check, repaired_by="repair", supersedes=("identity-mismatch",))
