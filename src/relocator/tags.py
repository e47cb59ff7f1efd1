"""From tags to targets, and from binaries to tags: the best platform tag that they allow, and what prevents a better one."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from relocator.demands import RELR_FROM, Wants, judged_prefixes, refused_symbols, symbols_with, wants
from relocator.model import Binary, ContainerFacts, Format, Image, Survey
from relocator.native import MachOFacts
from relocator.platform_tags import ANDROID_ABIS, ARM64_FROM, FAT, WINDOWS, Platform, columns, parse, parse_target
from relocator.target import Level, Promises, Target

# ---- tags -> targets


def targets_of(facts: ContainerFacts, override: str = "") -> tuple[Target, ...]:
    """Return one Target for each operating system and libc that the tags of the file name name, or those of WHEEL, or the override.

    An override is a platform tag, or several joined with ".", or a whole tag such as cp312-cp312-win_amd64. Raises UsageError when
    nothing can be judged by it. A tag in the container that makes no sense gives an undecided Target that keeps it, unless others are
    better. A folder or file has one undecided Target, and so has an
    environment that is no set of wheels.
    """
    written = (facts.tags or facts.declared_tags or ()) if facts.kind in ("wheel", "environment") else ()
    pythons, abis, names = columns(written)
    if override:
        whole = override.count("-") == 2
        own = columns([override if whole else f"--{override}"])
        pythons, abis, names = own if whole else (pythons, abis, own.platforms or (override,))
    families: dict[tuple[str, str, str], list[Platform]] = {}
    for platform in map(parse_target if override else parse, names):
        families.setdefault((platform.os, platform.libc, platform.sdk), []).append(platform)
    if len(families) > 1:
        families.pop(("", "", ""), None)
    return tuple(_target(family, pythons, abis) for family in families.values()) or (Target("", ""),)


def _target(platforms: Sequence[Platform], pythons: tuple[str, ...], abis: tuple[str, ...]) -> Target:
    first = platforms[0]
    floors: dict[str, tuple[int, ...]] = {}
    for platform in platforms:
        for arch in platform.arches:
            version = max(platform.version, ARM64_FROM) if platform.os == "macos" and arch == "arm64" else platform.version
            floors[arch] = min(floors.get(arch, version), version)
    return Target(
        ".".join(platform.tag for platform in platforms),
        first.os,
        first.libc,
        tuple(floors.items()),
        first.local,
        pythons,
        abis,
        any(len(platform.arches) > 1 for platform in platforms),
    )


# ---- binaries -> tags


@dataclasses.dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that prevents a better tag; fields that do not apply are empty."""

    tag: str
    """The better tag."""
    member: str
    library: str = ""
    symbol: str = ""
    version: str = ""
    """A symbol version, a macOS version, or what else the binary asks for ("DT_RELR", "x86-64-v3")."""


class Waived(NamedTuple):
    """What does not count against a tag, because somebody decided so."""

    libraries: frozenset[str] = frozenset()
    """Libraries that stay outside although no tag promises them; what is asked of them does not count either. Of a library that a tag does
    promise it counts all the same: the system has to have it."""
    isa: bool = False
    """The x86-64 level that binaries name."""


_NOTHING = Waived()


@dataclasses.dataclass(frozen=True, slots=True)
class Computed:
    """The best platform tags that the binaries allow."""

    tags: tuple[str, ...]
    """One, or one with its older name, or several for several architectures; none when the target is undecided."""
    blockers: tuple[Blocker, ...] = ()
    """What prevents the next better tag of each architecture."""


def computed_tags(survey: Survey, waived: Waived = _NOTHING) -> Computed:
    """Return the best platform tags for the survey's target, and what prevents better ones.

    Names the symbols to blame, which decodes the symbol tables of the files that have them; `best_tags` does not.
    """
    blockers: list[Blocker] = []
    for arch in survey.target.arches:
        if survey.target.os == "linux":
            blockers += _linux_blockers(survey, arch, waived)
        elif survey.target.os == "macos":
            blockers += _macos_blockers(survey, arch)
    return Computed(best_tags(survey, waived), tuple(blockers))


def best_tags(survey: Survey, waived: Waived = _NOTHING) -> tuple[str, ...]:
    """Return the best platform tags that the binaries allow for the survey's target."""
    target = survey.target
    if target.os == "linux":
        return tuple(tag for arch in target.arches for tag in _linux_tags(best_level(survey, arch, waived), arch))
    if target.os == "macos":
        return macos_tags({arch: version for arch in target.arches if (version := needed_macos(survey, arch))})
    if target.os == "android":
        return tuple(_android_tag(survey, arch) for arch in target.arches)
    if target.os == "windows":
        arches = {image.arch for _, image in survey.images() if image.format == Format.PE}
        return tuple(tag for tag, arch in WINDOWS.items() if arch in arches and arch in target.arches) or tuple(target.tag.split("."))
    if target.os == "any":
        return () if any(survey.images()) else ("any",)
    return tuple(target.tag.split(".")) if target.os else ()


def broken_promises(survey: Survey, waived: Waived = _NOTHING) -> tuple[Blocker, ...]:
    """Return what keeps the binaries from the survey's own target, at its floors: nothing for a tag that tells the truth.

    Names the symbols to blame, as `computed_tags` does.
    """
    found: list[Blocker] = []
    for arch, floor in survey.target.floors:
        if survey.target.os == "linux":
            found += _above_level(survey, arch, floor, waived)
        elif survey.target.os == "macos":
            found += _above_macos(survey, arch, macos_version(floor))
        elif survey.target.os == "android":
            found += _above_android(survey, arch, floor)
    return tuple(found)


def _above_level(survey: Survey, arch: str, floor: tuple[int, ...], waived: Waived) -> Iterator[Blocker]:
    promises = survey.promises_for(arch)
    if promises is not None:
        yield from _blockers(survey, promises, promises.level(floor), waived)


def _above_android(survey: Survey, arch: str, floor: tuple[int, ...]) -> Iterator[Blocker]:
    for want in wants(survey, arch):
        if want.image.minimum_os > floor:
            yield Blocker(survey.target.tag, want.binary.member, version=f"API level {want.image.minimum_os[0]}")


def narrower_arches(survey: Survey) -> tuple[str, ...]:
    """Return the architectures whose binaries allow an older level than the tag's; none where nothing can tell."""
    target = survey.target
    # A binary that could not be read may need the newer level.
    if survey.unreadable or target.local or target.os not in ("linux", "macos") or (target.os == "linux" and target.libc != "glibc"):
        return ()
    if target.os == "macos":
        needed = {arch: needed_macos(survey, arch) for arch in target.arches}
        return tuple(arch for arch, floor in target.floors if (version := needed[arch]) and version < macos_version(floor))
    present = {image.arch for _, image in survey.images() if image.format == Format.ELF}
    best = {arch: best_level(survey, arch) for arch in target.arches if arch in present}
    return tuple(arch for arch, level in best.items() if level and level.version < target.floor(arch))


def best_level(survey: Survey, arch: str, waived: Waived = _NOTHING) -> Level | None:
    """Return the most portable level that all ELF images for an architecture keep to; None when none holds.

    musl and bionic have no symbol versions that could tell an older level from a newer one: there the tag's own level is the only one.
    """
    found = wants(survey, arch)
    promises = survey.promises_for(arch)
    if promises is None:
        return None
    return next((level for level in _candidates(survey, promises) if not any(_obstacles(survey, promises, level, found, waived))), None)


def _candidates(survey: Survey, promises: Promises) -> tuple[Level, ...]:
    return promises.levels if promises.platform == "manylinux" else (promises.level(survey.target.floor(promises.arch)),)


def _obstacles(
    survey: Survey, promises: Promises, level: Level, found: Sequence[Wants], waived: Waived
) -> Iterator[tuple[Wants, str, str, str]]:
    """Yield (image's wants, library, symbol, version) for everything that keeps the images from a level, the cheap tests first."""
    prefixes, left = judged_prefixes(promises), waived.libraries - level.libraries
    for want in found:
        for library in want.libraries:
            if not (library in promises.always or library.startswith(promises.prefixes) or library in level.libraries | left):
                yield want, library, "", ""
        for need in want.versions:
            if need.library in left:
                continue
            if need.version.partition("_")[0] in prefixes and need.version not in level.symbol_versions:
                yield want, need.library, "", need.version
        if promises.platform == "manylinux" and want.native.relr and level.version < RELR_FROM:
            yield want, "", "", "DT_RELR"
        if want.native.isa_needed > 1 and not waived.isa and "/glibc-hwcaps/" not in f"/{want.binary.member}":
            yield want, "", "", f"x86-64-v{want.native.isa_needed.bit_length()}"
    for want in found:
        for library, symbol in refused_symbols(survey, want, level):
            yield want, library, symbol, ""


def _linux_blockers(survey: Survey, arch: str, waived: Waived) -> Iterator[Blocker]:
    promises = survey.promises_for(arch)
    if promises is None:
        return
    levels, best = _candidates(survey, promises), best_level(survey, arch, waived)
    better = levels[levels.index(best) - 1] if best in levels else levels[-1]
    if best != levels[0]:
        yield from _blockers(survey, promises, better, waived)


def _blockers(survey: Survey, promises: Promises, level: Level, waived: Waived) -> Iterator[Blocker]:
    """Yield what keeps the images from a level, with a symbol to blame."""
    tag = f"{level.names[0] if level.names else 'linux'}_{promises.arch}"
    for want, library, symbol, version in _obstacles(survey, promises, level, wants(survey, promises.arch), waived):
        blamed = symbol or next(iter(symbols_with(want.image, version)), "") if version or symbol else ""
        yield Blocker(tag, want.binary.member, library, blamed, version)


def _linux_tags(level: Level | None, arch: str) -> tuple[str, ...]:
    return tuple(f"{name}_{arch}" for name in level.names) if level and level.names else (f"linux_{arch}",)


def _android_tag(survey: Survey, arch: str) -> str:
    level = max([survey.target.floor(arch), *(want.image.minimum_os for want in wants(survey, arch))])
    return f"android_{level[0] if level else 21}_{next(abi for abi, name in ANDROID_ABIS.items() if name == arch)}"


def macos_version(version: tuple[int, ...]) -> tuple[int, int]:
    """Return a macOS version as tags write it: two numbers, 10.16 as 11.0, no minor number from 11 on."""
    major, minor = (*version, 0, 0)[:2]
    if (major, minor) >= (10, 16):
        return max(major, 11), 0
    return major, minor


def macos_slices(survey: Survey, arch: str) -> Iterator[tuple[Binary, Image]]:
    """Yield the container's slices for an architecture that were made for macOS."""
    for binary, image in survey.images():
        if isinstance(image.native, MachOFacts) and image.arch == arch and image.native.platform in ("macos", ""):
            yield binary, image


def needed_macos(survey: Survey, arch: str) -> tuple[int, int] | None:
    """Return the lowest macOS version that all slices for an architecture admit; None when there are none."""
    versions = [macos_version(image.minimum_os) for _, image in macos_slices(survey, arch) if image.minimum_os]
    if not versions:
        return None
    return max(*versions, ARM64_FROM) if arch == "arm64" else max(versions)


def macos_tags(versions: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """Name the versions, packed as delocate does: arm64 has no system before 11.0, so its floor of 11.0 fits any other."""
    for name, arches in FAT.items():
        if set(versions) == set(arches):
            binding = {versions[arch] for arch in arches if (arch, versions[arch]) != ("arm64", ARM64_FROM)} or {ARM64_FROM}
            if len(binding) == 1:
                major, minor = binding.pop()
                return (f"macosx_{major}_{minor}_{name}",)
    return tuple(f"macosx_{major}_{minor}_{arch}" for arch, (major, minor) in versions.items())


def _macos_blockers(survey: Survey, arch: str) -> Iterator[Blocker]:
    needed = needed_macos(survey, arch)
    better = _macos_before(needed, arch) if needed else None
    if better is not None:
        yield from _above_macos(survey, arch, better)


def _above_macos(survey: Survey, arch: str, better: tuple[int, int]) -> Iterator[Blocker]:
    """Yield the slices that are built for a newer macOS."""
    for binary, image in macos_slices(survey, arch):
        if macos_version(image.minimum_os) > better:
            version = ".".join(map(str, image.minimum_os))
            yield Blocker(f"macosx_{better[0]}_{better[1]}_{arch}", binary.member, version=version)


def _macos_before(version: tuple[int, int], arch: str) -> tuple[int, int] | None:
    """Return the release before a macOS version; None where the architecture has none."""
    major, minor = version
    if arch == "arm64" and version <= ARM64_FROM:
        return None
    if major > 11:
        return (15 if major == 26 else major - 1), 0
    if major == 11:
        return 10, 15
    return (10, minor - 1) if minor > 4 else None
