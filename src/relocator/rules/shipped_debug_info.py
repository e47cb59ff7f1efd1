"""Contains debugging information.

## What it flags

Binaries of which a tenth or more, and at least 64 KiB, is debugging information; `.pdb` files of binaries of the package, `.dSYM` folders,
`.dwp`, `.dbg` and `.debug` files; what Visual Studio's linker leaves behind (`.ilk`, `.exp`).

## Why it matters

Often it is the larger part of a package: every user downloads and stores it, and hardly anyone has a use for it. It also tells names
and paths of the build machine.

## Example

    note[shipped-debug-info]: holds debugging information
      demo/_core.so (x86_64), .debug_*: 63.5 MB of 65.0 MB
      = help: strip the binaries before the wheel is made, and leave the other files out
      = more: relocate explain shipped-debug-info

## How to fix it

Strip before the wheel is repaired: `strip --strip-debug` (or `-Wl,-s` when linking), `cmake --install --strip`, meson's `-Dstrip=true`,
`strip = true` in Cargo's profile. To be able to look at crashes, keep the information apart (`objcopy --only-keep-debug`) and publish it
elsewhere.

## When it is fine

In builds that are meant to be debugged. Static archives and import libraries (`.a`, `.lib`) are there for others to link against, and
so are headers: they are not flagged.

## How it decides

By the section headers of ELF files, the section table and COFF symbols of PE files, the __DWARF segment of Mach-O files, and by names.
`.pdb` is an ending of protein structures too: only one that bears the name of a binary, or that a binary names as its own,
counts. Compressed sections count as they are stored. Symbol tables (`.symtab`) are left alone, for profilers use them.

## References

- DWARF 5, 7.3; Microsoft, "PDB format"
- https://github.com/pandas-dev/pandas/issues/51900
- https://github.com/apache/arrow/issues/42028
- https://github.com/pypa/cibuildwheel/issues/331
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey
from relocator.native import PeFacts

LEAST = 64 << 10
"""Bytes of debugging information in one binary that are worth a word."""

_SHARE = 10
_APART = (".dwp", ".dbg", ".debug", ".ilk", ".exp")
_FIELDS = {Format.ELF: ".debug_*", Format.MACHO: "__DWARF", Format.PE: "COFF symbols and .debug_*"}
HELP = "strip the binaries before the wheel is made, and leave the other files out"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a note for each binary that holds much of it, and for each file or .dSYM folder that holds nothing else."""
    for binary, image in survey.images():
        size = image.native.debug_size
        if size >= LEAST and size * _SHARE >= binary.size // len(binary.images):
            where = Where(binary.member, image.arch, _FIELDS[image.format], label=f"{_shown(size)} of {_shown(binary.size)}")
            yield _finding("holds debugging information", where)
    yield from _apart(survey)


def _apart(survey: Survey) -> Iterator[Finding]:
    bundles: dict[str, int] = {}
    databases = _databases(survey)
    for member in survey.container.members:
        lower = member.name.lower()
        before, bundle, _ = lower.partition(".dsym/")
        if bundle:
            name = member.name[: len(before) + len(bundle) - 1]
            bundles[name] = bundles.get(name, 0) + member.size
        elif lower.endswith(_APART) or (lower.endswith(".pdb") and lower.rpartition("/")[2] in databases):
            yield _finding("is of use for debugging alone", Where(member.name, label=_shown(member.size)))
    for name, size in bundles.items():
        yield _finding("is of use for debugging alone", Where(name, label=_shown(size)))


def _databases(survey: Survey) -> set[str]:
    """Return what the .pdb files of the package's binaries may be called, in lower case."""
    found = set()
    for binary, image in survey.images():
        if isinstance(image.native, PeFacts):
            found.add(binary.member.rpartition("/")[2].rpartition(".")[0].lower() + ".pdb")
            found.add((image.native.pdb or "").replace("\\", "/").rpartition("/")[2].lower())
    return found


def _shown(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1_000_000 else f"{size / 1e3:,.0f} kB"


def _finding(message: str, where: Where) -> Finding:
    return Finding("shipped-debug-info", Severity.NOTE, Certainty.CERTAIN, message, where, help=HELP)


RULE = Rule("shipped-debug-info", "Archive", Severity.NOTE, check, (), by_role=False)
