"""What Linux platforms promise: the manylinux and musllinux ladders and Android's API levels, from the table beside this file.

The table lists only the levels that somebody surveyed. PEP 600 allows a tag for every glibc version, so a floor between two of them
(or beyond the last) gets a level of its own: the glibc versions up to its number, and otherwise what the level below promises.
"""

import functools
import json
import pkgutil
from typing import Any

from relocator.target import Level, Promises, Target

LOADERS = {
    "x86_64": ("ld-linux-x86-64.so.2",),
    "i686": ("ld-linux.so.2",),
    "aarch64": ("ld-linux-aarch64.so.1",),
    "armv7l": ("ld-linux-armhf.so.3", "ld-linux.so.3"),
    "ppc64": ("ld64.so.1",),
    "ppc64le": ("ld64.so.2",),
    "s390x": ("ld64.so.1",),
    "riscv64": ("ld-linux-riscv64-lp64d.so.1",),
    "loongarch64": ("ld-linux-loongarch-lp64d.so.1",),
}
"""glibc's dynamic loader by architecture: the interpreter's base name in each psABI."""

KERNEL = ("linux-vdso.so.1", "linux-vdso32.so.1", "linux-vdso64.so.1", "linux-gate.so.1")
"""What the kernel maps into every process, vdso(7)."""

MUSL_ARCHES = {"i686": "x86", "armv7l": "armv7"}
"""Architectures that Alpine's libc.musl-ARCH.so.1 spells in its own way."""

MUSL_ITSELF = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
"""Names that musl's loader takes for itself without looking for a file (ldso/dynlink.c, load_library)."""


def promises(target: Target, arch: str) -> Promises | None:
    """Return the ladder for one architecture, most portable level first; None for another operating system.

    An architecture that no survey covers gets one level: the usual libraries, and no symbol versions to judge by.
    """
    if target.os == "android" or target.libc == "bionic":
        return _android(arch)
    if target.os != "linux":
        return None
    if target.libc == "musl":
        return _musllinux(arch)
    floor = target.floor(arch)
    return _manylinux(arch, floor if len(floor) == 2 and floor[0] == 2 else ())


@functools.cache
def _table() -> dict[str, Any]:
    data = pkgutil.get_data(__package__, "promises.json")
    if data is None:  # the import system cannot give us files that lie beside this one
        raise FileNotFoundError("promises.json")
    table: dict[str, Any] = json.loads(data)
    return table


@functools.lru_cache(maxsize=64)
def _manylinux(arch: str, floor: tuple[int, ...]) -> Promises:
    levels = _surveyed(arch)
    if levels and floor and all(level.version != floor for level in levels):
        levels = tuple(sorted((*levels, _between(levels, floor))))
    always = frozenset((*LOADERS.get(arch, sum(LOADERS.values(), ("ld.so.1",))), *KERNEL))
    return Promises("manylinux", arch, levels or _unsurveyed(), always)


@functools.cache
def _surveyed(arch: str) -> tuple[Level, ...]:
    """Return the manylinux levels of the table for one architecture; none when it has none."""
    table = _table()["manylinux"]
    added = table["versions"].get(arch, {})
    versions: set[str] = set()
    libraries: set[str] = set()
    levels = []
    for number, *aliases in table["levels"]:
        libraries.update(table["libraries"].get(number, ()))
        versions.update(f"{prefix}_{v}" for prefix, new in added.get(number, {}).items() for v in new.split())
        if number in added:
            names = (f"manylinux_{number}", *aliases)
            levels.append(Level(_numbers(number), names, frozenset(libraries), frozenset(versions), _refused(table["refused"], number)))
    return tuple(levels)


def _unsurveyed() -> tuple[Level, ...]:
    newest = _surveyed("x86_64")[-1]
    return (Level((), (), newest.libraries),)


def _between(levels: tuple[Level, ...], floor: tuple[int, ...]) -> Level:
    """Return a level that the table lacks: glibc versions up to its number, the rest as the level below.

    A symbol is refused when the levels on both sides refuse it. That gives back glibc's own symbols once glibc has them.
    """
    below = [level for level in levels if level.version < floor][-1:] or [levels[0]]
    above = [level for level in levels if level.version > floor][:1] or below
    newest = levels[-1]
    named = {v for v in newest.symbol_versions if v.startswith("GLIBC_2") and glibc_number(v) <= floor}
    later = {f"GLIBC_2.{minor}" for minor in range(newest.version[1] + 1, floor[1] + 1)}
    others = {v for v in below[0].symbol_versions if not v.startswith("GLIBC_2") or glibc_number(v) <= floor}
    refused = tuple(
        (library, symbols & dict(above[0].refused)[library]) for library, symbols in below[0].refused if library in dict(above[0].refused)
    )
    name = f"manylinux_{floor[0]}_{floor[1]}"
    return Level(floor, (name,), below[0].libraries, frozenset(named | later | others), refused)


def glibc_number(version: str) -> tuple[int, ...]:
    """Return (2, 3, 4) for "GLIBC_2.3.4"; () for a marker such as GLIBC_PRIVATE or GLIBC_ABI_DT_RELR."""
    parts = version.removeprefix("GLIBC_").split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


@functools.cache
def _musllinux(arch: str) -> Promises:
    table = _table()["musllinux"]
    itself = f"libc.musl-{MUSL_ARCHES.get(arch, arch)}.so.1"
    libraries: set[str] = set()
    levels = []
    for number, *aliases in table["levels"]:
        libraries.update(itself if name == "libc.so" else name for name in table["libraries"].get(number, ()))
        names = (f"musllinux_{number}", *aliases)
        levels.append(Level(_numbers(number), names, frozenset(libraries), frozenset(), _refused(table["refused"], number)))
    return Promises("musllinux", arch, tuple(levels), frozenset(KERNEL), (*MUSL_ITSELF, "ld-musl-"))


@functools.cache
def _android(arch: str) -> Promises:
    libraries: set[str] = set()
    levels = []
    for api, added in _table()["android"]["libraries"].items():
        libraries.update(added)
        levels.append(Level((int(api),), (f"android_{api}",), frozenset(libraries)))
    # On Android an extension module needs libpython by name; the application that starts Python brings it (PEP 738).
    return Promises("android", arch, tuple(levels), frozenset(("ld-android.so", *KERNEL)), ("libpython3.",))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("_"))


def _refused(rows: list[list[str]], number: str) -> tuple[tuple[str, frozenset[bytes]], ...]:
    """Return what a level refuses; each row names the last level that refuses its symbols."""
    found: dict[str, set[bytes]] = {}
    for library, last, symbols in rows:
        if _numbers(number) <= _numbers(last):
            found.setdefault(library, set()).update(symbol.encode() for symbol in symbols.split())
    return tuple((library, frozenset(symbols)) for library, symbols in sorted(found.items()))
