"""Lacks the code for one of the architectures that the tag promises.

## What it flags

In a wheel for several macOS architectures (`universal2`, or a set of tags for x86_64 and arm64): an extension module, or a library that
one needs, without a slice for each of them. In a folder or file without a target: a library that has fewer slices than the file that
needs it.

## Why it matters

Installers take such a wheel on Intel and on Apple silicon. On the architecture whose slice is missing the import ends with `mach-o file,
but is an incompatible architecture (have 'x86_64', need 'arm64')`.

## Example

    error[missing-slice]: lacks code for an architecture that the tag promises
      demo/_core.cpython-312-darwin.so, slices x86_64: nothing for arm64
      = help: build it for arm64 too, or tag the wheel for x86_64 alone
      = more: relocate explain missing-slice

A build for `universal2` that sets its own compiler flags, or that links a library from a package manager (those hold one architecture),
ends so.

## How to fix it

Build both (`ARCHFLAGS="-arch x86_64 -arch arm64"`), or build each architecture apart and join the two wheels with `delocate-merge`, or
publish one wheel for each: they are half the size.

## When it is fine

When the other architecture has a file of its own: the same module under another file name, or one whose name holds an architecture
(`libfoo.x86_64.dylib` beside `libfoo.arm64.dylib`). Slices for i386 and PowerPC, which the old fat tags promised, are not asked for: no
macOS that runs them is left.

## How it decides

By the `cputype` of the file's slices (`<mach-o/fat.h>`) against the architectures of the tag. A file that lacks all of them is
`wrong-architecture`.

## References

- Apple, "Building a universal macOS binary"
- `<mach-o/fat.h>`, `<mach/machine.h>`
- https://github.com/pypa/cibuildwheel/issues/484
- https://github.com/pymssql/pymssql/issues/768
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Role, Survey

LIVING = ("x86_64", "arm64")
"""Architectures for which some supported macOS exists."""

ARCHITECTURE_WORDS = {"x86_64": ("x86_64", "x64", "amd64", "intel"), "arm64": ("arm64", "aarch64")}


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each Mach-O file that has a slice for some of the architectures wanted, and not for all."""
    if survey.target.os == "macos":
        yield from _against_the_tag(survey)
    elif not survey.target.decided:
        yield from _against_the_importer(survey)


def _against_the_tag(survey: Survey) -> Iterator[Finding]:
    wanted = [arch for arch in survey.target.arches if arch in LIVING]
    own = [binary for binary in survey.binaries if binary.owner and binary.format == Format.MACHO]
    for binary in own:
        missing = [arch for arch in wanted if binary.image(arch) is None]
        if 0 < len(missing) < len(wanted) and binary.role == Role.IMPORTED and not _has_counterpart(binary, missing, own):
            help_text = f"build it for {' and '.join(missing)} too, or tag the wheel for {_slices(binary)} alone"
            where = Where(binary.member, "", "slices", None, _slices(binary), label=f"nothing for {', '.join(missing)}")
            message = "lacks code for an architecture that the tag promises"
            yield Finding("missing-slice", Severity.ERROR, Certainty.CERTAIN, message, where, help=help_text)


def _slices(binary: Binary) -> str:
    return ", ".join(image.arch for image in binary.images)


def _has_counterpart(binary: Binary, missing: list[str], own: list[Binary]) -> bool:
    """Tell whether each missing architecture has a file that stands in for this one: of the same module, or named after it."""
    alike = [other for other in own if other is not binary and _neutral(other) == _neutral(binary)]
    return all(any(other.image(arch) for other in alike) for arch in missing)


def _neutral(binary: Binary) -> str:
    """Return the module's name, or the path without the architecture in it."""
    if binary.extension:
        return binary.extension
    path = binary.member.casefold()
    for words in ARCHITECTURE_WORDS.values():
        for word in words:
            path = path.replace(word, "*")
    return path


def _against_the_importer(survey: Survey) -> Iterator[Finding]:
    edges = {(edge.target, edge.importer): edge for load in survey.loads for edge in load.resolutions if edge.target}
    for edge in edges.values():
        importer, library = survey.binary_at(edge.importer), survey.binary_at(edge.target or "")
        if importer is None or library is None or not library.owner or library.format != Format.MACHO:
            continue
        missing = [image.arch for image in importer.images if image.arch in LIVING and library.image(image.arch) is None]
        if missing:
            where = Where(library.member, "", "slices", None, _slices(library), label=f"nothing for {', '.join(missing)}")
            user = Where(importer.member, edge.arch, "LC_LOAD_DYLIB", edge.position, edge.needed.name, label="needs it in all its slices")
            help_text = f"build it for {' and '.join(missing)} too"
            message = "has fewer slices than a file that needs it"
            yield Finding("missing-slice", Severity.WARNING, Certainty.CERTAIN, message, where, (user,), help_text)


RULE = Rule("missing-slice", "Architecture", Severity.ERROR, check, (Format.MACHO,))
