"""Shares process-wide unique symbols with another distribution's file.

## What it flags

In an installed environment, symbols with the binding STB_GNU_UNIQUE that files of two distributions define. One finding for each pair of
distributions; a warning when the two definitions differ in size or type.

## Why it matters

GCC gives static variables of inline functions and templates that binding, and glibc makes them one for the whole process, even between
modules loaded with RTLD_LOCAL. Two packages that each compiled in a copy of one library (pybind11, abseil, protobuf) then share its
singletons, though the copies may be of different versions. It also keeps the file from ever being unloaded.

## Example

    note[unique-symbol-clash]: shares unique symbols with another distribution (likely)
      alpha/_core.so (x86_64), STB_GNU_UNIQUE _ZZN8pybind116detail13get_internalsEvE8instance
        also beta/_core.so (x86_64), defines it too, of beta
      = help: compile with -fno-gnu-unique or -fvisibility=hidden
      = more: relocate explain unique-symbol-clash

## How to fix it

Compile with `-fno-gnu-unique`, or with `-fvisibility=hidden`, which hides the symbols from the loader.

## When it is fine

When both copies are of one version, and mostly when they are: a note is to know, not to act on.

## How it decides

By the symbol binding of all files that an import reaches. Names of namespace std are left out: every user of libstdc++ has the same ones.
Two files with the same content count as one.

## References

- GCC manual, "-fno-gnu-unique"; glibc, elf/dl-lookup.c, do_lookup_unique
- https://github.com/pybind/pybind11/issues/862
- https://github.com/pytorch/pytorch/issues/125465
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from relocator.bindings.suspects import more, text
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Role, Survey
from relocator.symbols import Export

_STD = (b"_ZNSt", b"_ZSt", b"_ZZNSt", b"_ZZNKSt", b"_ZGVNSt", b"_ZGVZNSt", b"_ZNSs", b"_ZNSb", b"_ZTISt", b"_ZTINSt")


class _Clash(NamedTuple):
    name: bytes
    first: Binary
    second: Binary
    arch: str
    differs: bool


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each pair of distributions."""
    pairs: dict[tuple[str, str], list[_Clash]] = {}
    for clash in _clashes(survey):
        pairs.setdefault((clash.first.owner, clash.second.owner), []).append(clash)
    for (_, other), clashes in pairs.items():
        clashes.sort(key=lambda clash: not clash.differs)
        worst = clashes[0]
        names = [text(name) for name in dict.fromkeys(clash.name for clash in clashes)]
        yield Finding(
            "unique-symbol-clash",
            Severity.WARNING if worst.differs else Severity.NOTE,
            Certainty.CERTAIN if worst.differs else Certainty.LIKELY,
            "shares unique symbols that differ with another distribution"
            if worst.differs
            else "shares unique symbols with another distribution",
            Where(worst.first.member, worst.arch, "STB_GNU_UNIQUE", None, "", names[0], more(names[1:])),
            (Where(worst.second.member, worst.arch, label=f"defines {'it' if len(names) == 1 else 'them'} too, of {other}"),),
            "compile with -fno-gnu-unique or -fvisibility=hidden",
        )


def _clashes(survey: Survey) -> Iterator[_Clash]:
    found: dict[tuple[str, bytes], dict[str, tuple[Binary, Export]]] = {}
    for binary, image in survey.images():
        if image.format == Format.ELF and binary.role == Role.IMPORTED:
            for export in image.symbols.unique():
                if export.name.startswith(_STD):
                    continue
                found.setdefault((image.arch, export.name), {}).setdefault(binary.owner, (binary, export))
    for (arch, name), owners in found.items():
        for (first, one), (second, other) in combinations((owners[owner] for owner in sorted(owners)), 2):
            if not first.sha256 or first.sha256 != second.sha256:
                yield _Clash(name, first, second, arch, (one.size, one.data) != (other.size, other.data))


RULE = Rule("unique-symbol-clash", "Symbols", Severity.WARNING, check, (Format.ELF,), containers=("environment",))
