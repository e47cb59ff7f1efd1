"""`relocate fuse` and LLVM's lipo agree: on fixtures, and on real universal wheels taken apart and put together again."""

import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders import archive, record_hash
from conftest import FIXTURES
from relocator import api
from relocator.backends.macos.fuse import fused
from relocator.backends.macos.verify import second_reading
from relocator.repairs import Outcome

BIN = FIXTURES / "bin" / "macho"
TAGS = {"x86_64": "macosx_10_15_x86_64", "arm64": "macosx_11_0_arm64"}


def lipo(tool: str, *arguments: object) -> str:
    return subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def test_lipo_makes_the_same_bytes(oracle: Callable[..., str], tmp_path: Path) -> None:
    tool = oracle("llvm-lipo", "llvm-lipo-22")
    for name in ("liba.dylib", "ext.so"):
        files = [BIN / arch / name for arch in TAGS]
        lipo(tool, "-create", *files, "-output", tmp_path / name)
        assert (tmp_path / name).read_bytes() == fused([path.read_bytes() for path in files])
    lipo(tool, "-create", BIN / "arm64/liba.dylib", BIN / "x86_64/libb.dylib", "-output", tmp_path / "control")
    assert (tmp_path / "control").read_bytes() != fused([(BIN / arch / "liba.dylib").read_bytes() for arch in TAGS])


def test_lipo_and_macholib_read_what_was_fused(oracle: Callable[..., str], tmp_path: Path) -> None:
    tool = oracle("llvm-lipo", "llvm-lipo-22")
    files = {arch: BIN / arch / "liba.dylib" for arch in TAGS}
    data = bytes(fused([path.read_bytes() for path in files.values()]))
    (tmp_path / "fused").write_bytes(data)
    assert lipo(tool, "-archs", tmp_path / "fused").split() == list(TAGS)
    for arch, path in files.items():
        lipo(tool, tmp_path / "fused", "-thin", arch, "-output", tmp_path / arch)
        assert (tmp_path / arch).read_bytes() == path.read_bytes()
    readings = second_reading(data)
    assert readings
    assert [reading.arch for reading in readings] == list(TAGS)


# ---- real wheels


def universal_wheels(corpus: Path) -> list[Path]:
    """Return the wheels that are as universal as their tag says; some hold one architecture."""
    return [path for path in sorted(corpus.glob("*-macosx_*_universal2.whl")) if any(_universal_members(path))]


def _universal_members(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as zipped:
        yield from (name for name in zipped.namelist() if zipped.read(name)[:4] == b"\xca\xfe\xba\xbe")


def taken_apart(tool: str, wheel: Path, arch: str, folder: Path) -> Path:
    """Make the wheel that somebody would have built for one architecture."""
    path = folder / f"{wheel.name.rpartition('-')[0]}-{TAGS[arch]}.whl"
    path.write_bytes(archive(dict(_members(tool, wheel, arch, folder))))
    return path


def _members(tool: str, wheel: Path, arch: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    rows = []
    with zipfile.ZipFile(wheel) as zipped:
        for info in zipped.infolist():
            data, record = zipped.read(info), info.filename.endswith(".dist-info/RECORD")
            if info.is_dir() or record:
                continue
            if data[:4] == b"\xca\xfe\xba\xbe":
                (folder / "slice").write_bytes(data)
                lipo(tool, folder / "slice", "-thin", arch, "-output", folder / "thin")
                data = (folder / "thin").read_bytes()
            if info.filename.endswith(".dist-info/WHEEL"):
                data = re.sub(rb"macosx_\d+_\d+_universal2", TAGS[arch].encode(), data)
            rows.append(f"{info.filename},{record_hash(data)},{len(data)}\n")
            yield info.filename, data
        name = next(name for name in zipped.namelist() if name.endswith(".dist-info/RECORD"))
    yield name, "".join([*rows, f"{name},,\n"]).encode()


def test_real_wheels_taken_apart_come_back_whole(corpus: Path, oracle: Callable[..., str], tmp_path: Path) -> None:
    tool = oracle("llvm-lipo", "llvm-lipo-22")
    wheels = universal_wheels(corpus)
    if not wheels:
        pytest.skip("there is no universal wheel in the corpus")
    for wheel in wheels:
        first, second = (taken_apart(tool, wheel, arch, tmp_path) for arch in TAGS)
        result = api.fuse(first, second, tmp_path / "out")
        assert (result.outcome, result.failures) == (Outcome.WRITTEN, ())
        with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(result.output) as new:
            assert {n for n in old.namelist() if not n.endswith("/")} == set(new.namelist())
            for name in (name for name in new.namelist() if new.read(name)[:4] == b"\xca\xfe\xba\xbe"):
                for index, data in enumerate((old.read(name), new.read(name))):
                    (tmp_path / f"{index}").write_bytes(data)
                for arch in TAGS:
                    halves = []
                    for index in range(2):
                        lipo(tool, tmp_path / f"{index}", "-thin", arch, "-output", tmp_path / f"{index}-{arch}")
                        halves.append((tmp_path / f"{index}-{arch}").read_bytes())
                    assert halves[0] == halves[1], f"{wheel.name}: {name}: {arch}"
