"""What binaries ask of the platform: libraries, symbol versions, symbols, a kind of C library; computed once for rules and tags alike."""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Where
from relocator.model import Binary, How, Image, Survey, VersionNeed
from relocator.native import ElfFacts
from relocator.symbols import Import
from relocator.target import Level, Promises

MET = frozenset({How.BUNDLED, How.PROVIDED, How.EXPECTED})
"""Needs that something else than the platform meets."""

RELR_FROM = (2, 36)
"""The first glibc that applies packed relative relocations."""

RELR_MARKER = "GLIBC_ABI_DT_RELR"


class Wants(NamedTuple):
    """What one ELF image takes from the platform, and not from anything that comes with the package."""

    binary: Binary
    image: Image
    native: ElfFacts
    libraries: tuple[str, ...]
    versions: tuple[VersionNeed, ...]
    """Without the weak ones, whose absence is not fatal."""


def wants(survey: Survey, arch: str) -> list[Wants]:
    """Return what each of the container's ELF images for an architecture takes from the platform.

    A need counts as met when any load meets it: a library that only its user's search path finds is still found.
    """
    met = {(r.importer, r.needed.name) for load in survey.loads for r in load.resolutions if r.how in MET and r.arch == arch}
    found = []
    for binary, image in survey.images():
        if isinstance(image.native, ElfFacts) and image.arch == arch:
            libraries = tuple(need.name for need in image.needed if (binary.path, need.name) not in met)
            versions = tuple(need for need in image.version_needs if not need.weak and (binary.path, need.library) not in met)
            found.append(Wants(binary, image, image.native, libraries, versions))
    return found


def judged_prefixes(promises: Promises) -> frozenset[str]:
    """Return the prefixes of symbol versions of which some level has any: GLIBC, GLIBCXX, ..."""
    versions = frozenset().union(*(level.symbol_versions for level in promises.levels))  # a level has nearly all of the one before it
    return frozenset(version.partition("_")[0] for version in versions)


class TooNew(NamedTuple):
    """A symbol version that the target's level lacks: the highest one that an image asks of a library."""

    binary: Binary
    image: Image
    library: str
    version: str


def too_new(survey: Survey) -> Iterator[TooNew]:
    """Yield what each ELF image asks for beyond its target's level; nothing for a local tag, which promises no level."""
    for arch, floor in () if survey.target.local else survey.target.floors:
        promises = survey.promises_for(arch)
        if promises is None:
            continue
        level, prefixes = promises.level(floor), judged_prefixes(promises)
        for want in wants(survey, arch):
            lacking: dict[tuple[str, bool], list[str]] = {}
            for need in want.versions:
                if need.version.partition("_")[0] in prefixes and _newer(need.version, level, floor):
                    lacking.setdefault((need.library, need.version.startswith("GLIBC_")), []).append(need.version)
            for (library, _), versions in lacking.items():
                yield TooNew(want.binary, want.image, library, max(versions, key=version_key))


def _newer(version: str, level: Level, floor: tuple[int, ...]) -> bool:
    if version in level.symbol_versions or version == "GLIBC_PRIVATE":
        return False
    number = version_key(version)[0]
    return not (version.startswith("GLIBC_") and number and number <= floor)


def version_key(version: str) -> tuple[tuple[int, ...], str]:
    """Order symbol versions: GLIBC_2.9 before GLIBC_2.10; a marker without a number (GLIBC_ABI_DT_RELR) first."""
    number = version.rpartition("_")[2].split(".")
    return (tuple(map(int, number)) if all(part.isascii() and part.isdecimal() and len(part) < 10 for part in number) else ()), version


def symbols_with(image: Image, version: str) -> list[str]:
    """Return the names of the symbols that an image imports with a version, in table order, those that are used first."""
    wanted = version.encode("utf-8", "surrogateescape")
    imports = [symbol for symbol in image.symbols.imports() if symbol.version == wanted]
    return [symbol.name.decode("utf-8", "surrogateescape") for symbol in sorted(imports, key=lambda symbol: not symbol.used)]


def place_of(item: TooNew) -> Where:
    """Return where a version is asked for, with a symbol to blame."""
    symbols = symbols_with(item.image, item.version)
    blamed = f"{symbols[0]}@{item.version}" if symbols else ""
    more = f", with {len(symbols) - 1} more symbols" if len(symbols) > 2 else ""
    return Where(item.binary.member, item.image.arch, "DT_VERNEED", None, item.version, blamed, f"from {item.library}{more}")


def level_name(survey: Survey, arch: str) -> str:
    """Return the platform tag, without architecture, of the level that the target's floor stands for: manylinux_2_17."""
    promises = survey.promises_for(arch)
    names = promises.level(survey.target.floor(arch)).names if promises else ()
    return names[0] if names else survey.target.tag


def needs_relr(image: Image) -> bool:
    """Tell whether an ELF image has packed relative relocations, or asks for a loader that knows them."""
    marked = any(need.version == RELR_MARKER for need in image.version_needs)
    return marked or (isinstance(image.native, ElfFacts) and image.native.relr)


def lacks_relr(survey: Survey, image: Image) -> bool:
    """Tell whether the image needs packed relocations applied and the tag admits a glibc that does not know them."""
    floor = survey.target.floor(image.arch)
    return survey.target.libc == "glibc" and () < floor < RELR_FROM and needs_relr(image)


def refused_symbols(survey: Survey, want: Wants, level: Level) -> Iterator[tuple[str, str]]:
    """Yield (library, symbol) for each strong symbol that the level refuses and that nothing in the package defines."""
    for library, symbols in level.refused:
        if library not in want.libraries:
            continue
        suspects = [symbol for symbol in symbols if want.image.symbols.mentions(symbol)]
        if not suspects:
            continue
        for symbol in want.image.symbols.imports():
            if symbol.name in suspects and _is_from(symbol, library) and not _defined_in_package(survey, symbol.name, want.image.arch):
                yield library, symbol.name.decode("utf-8", "surrogateescape")


def refused_libraries(survey: Survey) -> tuple[str, ...]:
    """Return the promised libraries from which binaries take symbols that the target's level refuses; none for a local tag."""
    found = {
        library
        for arch, floor in (() if survey.target.local else survey.target.floors)
        if (promises := survey.promises_for(arch)) is not None
        for want in wants(survey, arch)
        for library, _ in refused_symbols(survey, want, promises.level(floor))
    }
    return tuple(sorted(found))


def _is_from(symbol: Import, library: str) -> bool:
    return symbol.library in ("", library) and not symbol.weak and symbol.used


def _defined_in_package(survey: Survey, name: bytes, arch: str) -> bool:
    images = (image for _, image in survey.images() if image.arch == arch and image.symbols.mentions(name))
    return any(export.name == name for image in images for export in image.symbols.exports())
