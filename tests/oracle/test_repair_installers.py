"""Repaired wheels before those who take them: pip, uv and installer install them, checkers and the index's gate have nothing to say.

Wheels of other systems are unpacked for those by pip, and by installer's own interface. And the same bytes come out of the same wheel,
wherever and whenever it is repaired.
"""

import csv
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from builders import wheel
from conftest import Run, absent
from index_gate import gate_problems
from limits import POSIX
from needy import SYSTEMS, needy, search

INFO = "demo-1.0.dist-info"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nDescription-Content-Type: text/plain\n\nA demonstration.\n"
FOLDER_BESIDE = "W004,W009,W010"
"""What check-wheel-contents says of every repaired wheel: beside the package lies a folder that holds no modules, as users know it."""

SYSTEM_NAMES = ("linux", "aarch64", "macos", "intel", "windows")
MORE = {
    f"{INFO}/METADATA": METADATA,
    "demo/a,b.txt": b"a comma",
    "demo/caf\u00e9.txt": b"an accent",
    "demo-1.0.data/scripts/hello": b"#!python\nprint('hello')\n",
}


def executable(path: Path, *names: str) -> None:
    """Let members of a wheel be executable."""
    with zipfile.ZipFile(path) as opened:
        members = [(info, opened.read(info)) for info in opened.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for info, data in members:
            if info.filename in names:
                info.external_attr = 0o100755 << 16
            opened.writestr(info, data)


@pytest.fixture(params=SYSTEM_NAMES)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(system: str, tmp_path: Path, run: Run) -> Path:
    """Return a repaired wheel."""
    path = needy(tmp_path / "in", system, MORE)
    executable(path, "demo-1.0.data/scripts/hello", SYSTEMS[system].module)
    result = run("repair", *search(system), "-w", tmp_path / "out", path)
    assert result.code == 0, result.err
    (written,) = (tmp_path / "out").iterdir()
    return written


def called(request: pytest.FixtureRequest, module: str, *arguments: object) -> str:
    """Return what a tool prints; it must end well."""
    if importlib.util.find_spec(module) is None:
        absent(request.config, module)
    typed = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}


def holds_everything(folder: Path, path: Path) -> None:
    """Compare an installation with the wheel: the same bytes, and its RECORD lists them."""
    listed = {row[0] for row in csv.reader(io.StringIO((folder / INFO / "RECORD").read_text("utf-8"), newline=""))}
    for name, data in files(path).items():
        if ".data/" not in name and name != f"{INFO}/RECORD":
            assert (folder / name).read_bytes() == data
            assert name in listed
    if os.name == "posix":
        (script,) = (one for one in folder.rglob("hello*") if one.is_file())
        assert script.read_bytes().endswith(b"print('hello')\n")
        assert script.stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("command", ["pip", "uv"])
def test_installers_unpack_it_for_its_own_system(
    command: str, made: Path, system: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target, place = tmp_path / "site", made.name.removesuffix(".whl").rpartition("-")[2].split(".")[0]
    common = ["--no-deps", "--no-index", "--target", target]
    if command == "pip":
        there = ["--only-binary=:all:", "--platform", place, "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"]
        called(request, "pip", "install", *common, *there, "--disable-pip-version-check", made)
    else:
        where = {"linux": "x86_64-manylinux_2_28", "aarch64": "aarch64-manylinux_2_28", "macos": "aarch64-apple-darwin"}
        triple = where.get(system, {"intel": "x86_64-apple-darwin", "windows": "x86_64-pc-windows-msvc"}.get(system, ""))
        there = ["--python-platform", triple, "--python-version", "3.12", "--offline", "--python", sys.executable]
        called(request, "uv", "pip", "install", *common, *there, made)
    holds_everything(target, made)


def test_the_library_of_installers_validates_record_and_installs(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec("installer") is None:
        absent(request.config, "installer")
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile

    folder = tmp_path / "site"
    scheme = dict.fromkeys(("purelib", "platlib", "headers", "data"), str(folder)) | {"scripts": str(folder / "bin")}
    destination = SchemeDictionaryDestination(scheme, interpreter=sys.executable, script_kind="posix")
    with WheelFile.open(made) as opened:
        opened.validate_record()
        install(source=opened, destination=destination, additional_metadata={})
    for name, data in files(made).items():
        if ".data/" not in name and name != f"{INFO}/RECORD":
            assert (folder / name).read_bytes() == data
    if os.name == "posix":
        installed = folder / next(name for name in files(made) if name.startswith("demo/ext"))
        assert installed.stat().st_mode & 0o111 == 0o111
        assert (folder / "bin" / "hello").stat().st_mode & 0o111 == 0o111


def test_the_checkers_and_the_gate_have_nothing_to_say(made: Path, request: pytest.FixtureRequest) -> None:
    assert gate_problems(made) == []
    assert "Done testing" in called(request, "zipfile", "-t", made)
    assert "OK" in called(request, "check_wheel_contents", "--ignore", FOLDER_BESIDE, made)
    assert "PASSED" in called(request, "twine", "check", "--strict", made)


def test_installers_would_refuse_another_record(made: Path, request: pytest.FixtureRequest) -> None:
    """A control: they do look."""
    if importlib.util.find_spec("installer") is None:
        absent(request.config, "installer")
    from installer.sources import WheelFile

    found = files(made)
    record = found[f"{INFO}/RECORD"].replace(b"sha256=", b"sha256=A", 1)
    broken = made.parent / "broken" / made.name
    broken.parent.mkdir()
    with zipfile.ZipFile(broken, "w") as opened:
        for name, data in {**found, f"{INFO}/RECORD": record}.items():
            opened.writestr(name, data)
    with WheelFile.open(broken) as wrong, pytest.raises(Exception, match="match RECORD"):
        wrong.validate_record()


# ---- a program that runs

MAIN = b"int twice_of_two(void); int main(void) { return twice_of_two() == 4 ? 0 : 1; }\n"
LIBRARY = b"int twice_of_two(void) { return 4; }\n"


@POSIX
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a program for Linux")
@pytest.mark.parametrize("command", ["pip", "uv"])
def test_a_program_among_the_scripts_runs_when_installed(
    command: str, tmp_path: Path, run: Run, oracle: Callable[..., str], request: pytest.FixtureRequest
) -> None:
    compiler = oracle("cc", "gcc", "clang")
    lib = tmp_path / "lib"
    lib.mkdir()
    (tmp_path / "main.c").write_bytes(MAIN)
    (tmp_path / "twice.c").write_bytes(LIBRARY)
    calls: list[list[str | Path]] = [
        ["-shared", "-fPIC", "-Wl,-soname,libtwice.so.1", "-o", lib / "libtwice.so.1", tmp_path / "twice.c"],
        ["-o", tmp_path / "tool", tmp_path / "main.c", lib / "libtwice.so.1"],
    ]
    for typed in calls:
        subprocess.run([compiler, *typed], check=True, capture_output=True)
    machine = sysconfig.get_platform().rpartition("-")[2]
    path = tmp_path / f"demo-1.0-py3-none-linux_{machine}.whl"
    tool = {"demo/__init__.py": b"", "demo-1.0.data/scripts/demo-tool": (tmp_path / "tool").read_bytes(), f"{INFO}/METADATA": METADATA}
    path.write_bytes(wheel(tool, tags=[f"py3-none-linux_{machine}"]))
    executable(path, "demo-1.0.data/scripts/demo-tool")
    result = run("repair", "--search", lib, "-w", tmp_path / "out", path)
    assert result.code == 0, result.err
    shutil.rmtree(lib)
    (written,) = (tmp_path / "out").iterdir()
    assert gate_problems(written) == []
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    own = (
        ["--python", python, "install", "--disable-pip-version-check"]
        if command == "pip"
        else ["pip", "install", "--offline", "--python", python]
    )
    called(request, command, *own, "--no-deps", "--no-index", written)
    subprocess.run([tmp_path / "env" / "bin" / "demo-tool"], check=True)


# ---- the same bytes


def bytes_of(wheel_path: Path, out: Path, libraries: Path, environment: Mapping[str, str], before: str = "") -> bytes:
    """Repair in a process of its own; return the output."""
    typed = f'{before} "{sys.executable}" -m relocator repair -q --no-host --search "{libraries}" -w "{out}" "{wheel_path}"'
    base = {name: value for name, value in os.environ.items() if name not in ("SOURCE_DATE_EPOCH", "TZ", "PYTHONHASHSEED")}
    done = subprocess.run(typed, shell=True, env={**base, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (written,) = out.glob("*.whl")
    return written.read_bytes()


@POSIX
@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_the_same_wheel_gives_the_same_bytes(system: str, tmp_path: Path) -> None:
    libraries = SYSTEMS[system].folder
    path = needy(tmp_path / "one", system, MORE)
    (tmp_path / "an other folder").mkdir()
    other = Path(shutil.copy(path, tmp_path / "an other folder"))
    os.utime(other, (1, 1))
    moved = Path(shutil.copytree(libraries, tmp_path / "moved"))
    few = "taskset -c 0" if shutil.which("taskset") else ""
    found = [
        bytes_of(path, tmp_path / "a", libraries, {"PYTHONHASHSEED": "0"}),
        bytes_of(path, tmp_path / "b", libraries, {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati"}),
        bytes_of(other, tmp_path / "c", libraries, {"LC_ALL": "C", "TZ": "America/Adak"}, "umask 077;"),
        bytes_of(other, tmp_path / "d e", libraries, {}, few),
        bytes_of(path, tmp_path / "f", moved, {"LANG": "tr_TR.UTF-8"}, "umask 000;"),
    ]
    assert len(set(found)) == 1
    assert found[0] != path.read_bytes()


@pytest.mark.parametrize(
    ("epoch", "date"),
    [
        ("0", (1980, 1, 1, 0, 0, 0)),
        ("315532799", (1980, 1, 1, 0, 0, 0)),
        ("1600000000", (2020, 9, 13, 12, 26, 40)),
        ("4354819200", (2107, 12, 31, 23, 59, 58)),
        ("99999999999", (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_the_epoch_is_honoured_and_clipped(
    epoch: str, date: tuple[int, ...], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = needy(tmp_path / "in")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert run("repair", *search(), "-w", tmp_path / "out", path).code == 0
    (written,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(written) as opened:
        assert {info.date_time for info in opened.infolist()} == {date}
    again = run("repair", *search(), "-w", tmp_path / "again", written)
    assert "nothing to do" in again.out
    assert (tmp_path / "again" / written.name).read_bytes() == written.read_bytes()


@pytest.mark.parametrize("epoch", ["soon", "1.5"])
def test_an_epoch_that_is_no_number_of_seconds_is_told(epoch: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    result = run("repair", *search(), "-w", tmp_path / "out", needy(tmp_path / "in"))
    assert result.code == 2
    assert "SOURCE_DATE_EPOCH" in result.err
    assert not (tmp_path / "out").exists()
