"""Archives that were written, against those who take them: pip, uv and installer unpack them, and checkers have nothing to say."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from builders import wheel
from conftest import absent
from packed import INFO, RECORD, repacked

NAME = "demo-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nDescription-Content-Type: text/plain\n\nA demonstration.\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FILES = {
    "demo/__init__.py": b"value = 1\n" * 100,
    "demo/a,b.txt": b"a comma",
    "demo/caf\u00e9.txt": b"an accent",
    "demo/empty.txt": b"",
    "demo-1.0.data/scripts/hello": b"#!python\nprint('hello')\n",
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/WHEEL": WHEEL,
}
CHANGES = {"demo/__init__.py": b"value = 2\n" * 100, "demo/new file.txt": b"new\n"}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(repacked(wheel(FILES), CHANGES).data)
    return path


def run(request: pytest.FixtureRequest, module: str, *arguments: str) -> str:
    """Return what a tool prints; it must end well."""
    if importlib.util.find_spec(module) is None:
        absent(request.config, module)
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def holds_everything(folder: Path) -> None:
    for name, data in {**FILES, **CHANGES}.items():
        if "scripts" not in name:
            assert (folder / name).read_bytes() == data
    (script,) = folder.rglob("hello")
    assert script.read_bytes().endswith(b"print('hello')\n")
    assert (folder / RECORD).read_text("utf-8").count("\n") >= len(FILES)


@pytest.mark.parametrize("command", [("pip",), ("uv", "pip")])
def test_an_installer_unpacks_it(command: tuple[str, ...], made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    target = tmp_path / "site"
    own = ["--disable-pip-version-check"] if command == ("pip",) else ["--python", sys.executable, "--offline"]
    run(request, command[0], *command[1:], "install", "--no-deps", "--no-index", "--target", str(target), *own, str(made))
    holds_everything(target)


def test_the_library_of_installers_agrees_with_its_record(made: Path, request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec("installer") is None:
        absent(request.config, "installer")
    from installer.sources import WheelFile
    from installer.utils import parse_wheel_filename

    with WheelFile.open(made) as opened:
        opened.validate_record()
        assert len(list(opened.get_contents())) == len(FILES) + 2
    assert parse_wheel_filename(made.name).distribution == "demo"
    made.write_bytes(made.read_bytes().replace(b"demo/empty.txt", b"demo/empty.TXT"))
    with WheelFile.open(made) as opened, pytest.raises(Exception, match=r"empty\.TXT"):
        opened.validate_record()


def test_the_checkers_have_nothing_to_say(made: Path, request: pytest.FixtureRequest) -> None:
    assert "OK" in run(request, "check_wheel_contents", str(made))
    assert "PASSED" in run(request, "twine", "check", "--strict", str(made))
