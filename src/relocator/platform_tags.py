"""The grammar of platform tags: PEP 425, 600 (manylinux), 656 (musllinux), 730 (iOS), 738 (Android), 776 and 783 (Emscripten)."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import NamedTuple

from relocator.errors import UsageError

EXAMPLES = "manylinux_2_28_x86_64, musllinux_1_2_aarch64, macosx_11_0_arm64, win_amd64, android_24_arm64_v8a"

ANDROID_ABIS = {"arm64_v8a": "aarch64", "armeabi_v7a": "armv7l", "x86": "i686", "x86_64": "x86_64"}
"""Android's names of architectures, and those that the rest of Linux uses."""

WINDOWS = {"win_amd64": "amd64", "win32": "win32", "win_arm64": "arm64"}

FAT = {
    "universal2": ("x86_64", "arm64"),
    "intel": ("x86_64", "i386"),
    "fat": ("i386", "ppc"),
    "fat3": ("i386", "x86_64", "ppc"),
    "fat64": ("x86_64", "ppc64"),
    "universal": ("i386", "x86_64", "ppc", "ppc64"),
}
"""macOS: what a tag for several architectures promises (distutils' and packaging's names)."""

LEGACY_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}

MANYLINUX_FROM = {"x86_64": (2, 5), "i686": (2, 5)} | dict.fromkeys(
    ("aarch64", "armv7l", "ppc64", "ppc64le", "s390x", "loongarch64", "riscv64"), (2, 17)
)
"""Architectures for which installers look for manylinux wheels, and from which glibc on (packaging's tags)."""

NO_PROMISES = ("freebsd", "openbsd", "netbsd", "dragonfly", "aix", "solaris", "sunos", "cygwin", "mingw", "msys", "haiku", "zos", "hp")
"""Systems that have wheels and of which we know no promises."""

NO_MACOS = range(16, 26)
"""macOS 15 was followed by 26."""

ARM64_FROM = (11, 0)
"""The first macOS for arm64."""

MAX_MINOR = 99
"""A version number beyond this one is a slip of the hand."""


class Columns(NamedTuple):
    """A set of tags by its three parts."""

    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]

    def expanded(self) -> tuple[str, ...]:
        """Return every tag that the set stands for, in the order of its parts."""
        return tuple("-".join(tag) for tag in product(*self))

    def compressed(self) -> str:
        """Return the set as a file name writes it: each part sorted."""
        return "-".join(".".join(sorted(part)) for part in self)


def columns(tags: Iterable[str]) -> Columns:
    """Return the parts of tags, compressed or not, each value once and in order; what is no tag is left out."""
    found: tuple[dict[str, None], ...] = ({}, {}, {})
    for tag in tags:
        parts = tag.split("-")
        if len(parts) == 3:
            for column, part in zip(found, parts, strict=True):
                column.update(dict.fromkeys(part.split(".")))
    pythons, abis, platforms = map(tuple, found)
    return Columns(pythons, abis, platforms)


class Platform(NamedTuple):
    """What one platform tag says."""

    tag: str
    os: str = ""
    """As in `target.Target`; "" when nothing can be judged by this tag."""
    libc: str = ""
    arches: tuple[str, ...] = ()
    version: tuple[int, ...] = ()
    local: bool = False
    sdk: str = ""
    """iOS: iphoneos or iphonesimulator."""
    fault: str = ""
    """Why no installer accepts the tag; "" when some does."""


def parse(tag: str) -> Platform:
    """Return what a platform tag says, never raising: what makes no sense has a `fault`, and perhaps no system."""
    if tag == "any":
        return Platform(tag, "any")
    if tag in WINDOWS:
        return Platform(tag, "windows", "", (WINDOWS[tag],))
    family, _, rest = tag.partition("_")
    if family in LEGACY_MANYLINUX:
        return _glibc(tag, LEGACY_MANYLINUX[family], rest)
    if family in _PARSERS and rest:
        return _PARSERS[family](tag, rest)
    known = family.startswith(NO_PROMISES) and rest
    return Platform(tag, fault="" if known else "there is no such platform")


def parse_target(tag: str) -> Platform:
    """Return what a tag that the user typed says; raise UsageError when nothing can be judged by it."""
    platform = parse(tag)
    if platform.os:
        return platform
    raise UsageError(
        f"{tag!r} cannot be a target: {platform.fault or 'we know nothing of what it promises'}", f"targets are such as {EXAMPLES}"
    )


def with_arches(name: str, os: str, arches: tuple[str, ...]) -> tuple[str, ...]:
    """Return the platform tags that a name without architecture stands for, such as manylinux_2_28, manylinux2014 or macosx_11_0.

    A whole tag stands for itself. Raises UsageError when the name stands for nothing on this system.
    """
    if parse(name).os:
        return (name,)
    spelled = arches
    if os == "macos":
        spelled = next(((fat,) for fat, members in FAT.items() if set(members) == set(arches)), arches)
    elif os == "android":
        spelled = tuple(next((abi for abi, known in ANDROID_ABIS.items() if known == arch), arch) for arch in arches)
    whole = tuple(f"{name}_{arch}" for arch in spelled)
    return tuple(parse_target(tag if parse(tag).os else name).tag for tag in whole) or (parse_target(name).tag,)


def _versioned(rest: str) -> tuple[tuple[int, int], str] | None:
    """Split "2_17_x86_64" into (2, 17) and "x86_64"; None when it does not look so."""
    parts = rest.split("_", 2)
    if len(parts) < 3 or not parts[2] or not all(_is_number(part) for part in parts[:2]):
        return None
    return (int(parts[0]), int(parts[1])), parts[2]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 5


def _manylinux(tag: str, rest: str) -> Platform:
    split = _versioned(rest)
    if split is None:
        return Platform(tag, fault="a manylinux tag is manylinux_MAJOR_MINOR_ARCHITECTURE")
    version, arch = split
    if version[0] != 2 or version[1] > MAX_MINOR:
        return Platform(tag, fault=f"there is no glibc {version[0]}.{version[1]}")
    return _glibc(tag, version, arch)


def _glibc(tag: str, version: tuple[int, int], arch: str) -> Platform:
    if not arch:
        return Platform(tag, fault="the architecture is missing")
    first = MANYLINUX_FROM.get(arch)
    fault = ""
    if first is None:
        fault = f"installers know no manylinux for {arch}"
    elif version < first:
        fault = f"on {arch} installers accept manylinux from manylinux_{first[0]}_{first[1]} on"
    return Platform(tag, "linux", "glibc", (arch,), version, fault=fault)


def _musllinux(tag: str, rest: str) -> Platform:
    split = _versioned(rest)
    if split is None:
        return Platform(tag, fault="a musllinux tag is musllinux_MAJOR_MINOR_ARCHITECTURE")
    version, arch = split
    if version[0] != 1 or version[1] > MAX_MINOR:
        return Platform(tag, fault=f"there is no musl {version[0]}.{version[1]}")
    return Platform(tag, "linux", "musl", (arch,), version)


def _linux(tag: str, rest: str) -> Platform:
    return Platform(tag, "linux", "", (rest,), (), local=True)


def _macos(tag: str, rest: str) -> Platform:
    split = _versioned(rest)
    if split is None:
        return Platform(tag, fault="a macOS tag is macosx_MAJOR_MINOR_ARCHITECTURE")
    (major, minor), name = split
    if name not in FAT and name not in ("x86_64", "arm64", "i386", "ppc", "ppc64"):
        return Platform(tag, fault=f"macOS has no architecture {name}")
    if major < 10 or major in NO_MACOS or major > MAX_MINOR:
        return Platform(tag, fault=f"there is no macOS {major}" + ("; 15 was followed by 26" if major in NO_MACOS else ""))
    fault = ""
    if major > 10 and minor:
        fault = f"installers look for macosx_{major}_0, never for a minor version after 10.16"
    elif name == "arm64" and major == 10:
        fault = "installers look for arm64 from macosx_11_0 on"
    return Platform(tag, "macos", "", FAT.get(name, (name,)), (major, minor), fault=fault)


def _ios(tag: str, rest: str) -> Platform:
    split = _versioned(rest)
    arch, _, sdk = split[1].rpartition("_") if split else ("", "", "")
    if split is None or arch not in ("arm64", "x86_64") or sdk not in ("iphoneos", "iphonesimulator"):
        return Platform(tag, fault="an iOS tag is ios_MAJOR_MINOR_{arm64,x86_64}_{iphoneos,iphonesimulator}")
    return Platform(tag, "ios", "", (arch,), split[0], sdk=sdk)


def _android(tag: str, rest: str) -> Platform:
    api, _, abi = rest.partition("_")
    if not _is_number(api) or abi not in ANDROID_ABIS:
        return Platform(tag, fault=f"an Android tag is android_API_ABI with an ABI of {', '.join(ANDROID_ABIS)}")
    fault = "Python runs on Android from API level 21 on" if int(api) < 21 else ""
    return Platform(tag, "android", "bionic", (ANDROID_ABIS[abi],), (int(api),), fault=fault)


def _wasm(system: str) -> Callable[[str, str], Platform]:
    return lambda tag, rest: Platform(tag, system, "", (rest.rpartition("_")[2],))


_PARSERS: dict[str, Callable[[str, str], Platform]] = {
    "manylinux": _manylinux,
    "musllinux": _musllinux,
    "linux": _linux,
    "macosx": _macos,
    "ios": _ios,
    "android": _android,
    "emscripten": _wasm("emscripten"),
    "pyemscripten": _wasm("emscripten"),
    "pyodide": _wasm("emscripten"),
    "wasi": _wasm("wasi"),
}
