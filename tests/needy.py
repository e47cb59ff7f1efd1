"""Small wheels of every system that need libraries which they do not hold, and the folder that has those."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from builders import wheel
from conftest import FIXTURES

BIN = FIXTURES / "bin"
NOTHING: Mapping[str, bytes] = MappingProxyType({})


class System(NamedTuple):
    """What a build gives on one system."""

    tag: str
    module: str
    """Where its extension module lies in the wheel."""
    folder: Path
    """Of the module and of the libraries that it needs."""
    built: str
    needs: tuple[str, ...]
    """The libraries, those of others included."""


SYSTEMS = {
    "linux": System("linux_x86_64", "demo/ext.cpython-312-x86_64-linux-gnu.so", BIN / "elf/x86_64", "ext.so", ("libb.so", "liba.so")),
    "aarch64": System("linux_aarch64", "demo/ext.cpython-312-aarch64-linux-gnu.so", BIN / "elf/aarch64", "ext.so", ("libb.so", "liba.so")),
    "android": System("android_24_arm64_v8a", "demo/ext.so", BIN / "elf/aarch64", "ext.so", ("libb.so", "liba.so")),
    "macos": System("macosx_12_0_arm64", "demo/ext.cpython-312-darwin.so", BIN / "macho/arm64", "ext.so", ("liba.dylib",)),
    "intel": System("macosx_10_13_x86_64", "demo/ext.cpython-312-darwin.so", BIN / "macho/x86_64", "ext.so", ("libb.dylib", "liba.dylib")),
    "windows": System("win_amd64", "demo/ext.cp312-win_amd64.pyd", BIN / "pe/x64", "ext.pyd", ("libb.dll", "liba.dll")),
}
"""By a short name. The modules do nothing; the libraries are those of tests/fixtures."""


def files_of(system: str) -> dict[str, bytes]:
    """Return the members that a build gives, by name."""
    one = SYSTEMS[system]
    return {"demo/__init__.py": b'"""Needs two libraries."""\n', one.module: (one.folder / one.built).read_bytes()}


def needy(folder: Path, system: str = "linux", more: Mapping[str, bytes] = NOTHING, tags: Iterable[str] = ()) -> Path:
    """Write the wheel of a system into a folder; `more` replaces members or adds some, `tags` are other platforms."""
    platforms = tuple(tags) or (SYSTEMS[system].tag,)
    path = folder / f"demo-1.0-cp312-cp312-{'.'.join(platforms)}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wheel({**files_of(system), **more}, tags=[f"cp312-cp312-{platform}" for platform in platforms]))
    return path


def search(system: str = "linux") -> tuple[str, ...]:
    """Return the options by which a repair finds the libraries, whatever this machine has."""
    return "--no-host", "--search", str(SYSTEMS[system].folder)
