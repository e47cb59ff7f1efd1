"""What cibuildwheel asks of a `repair-wheel-command`, by running its command lines as it runs them.

It fills the placeholders, hands the text to a shell, expects an exit status of 0, and takes the only wheel that it finds in {dest_dir},
which was empty. (cibuildwheel 4: `cibuildwheel/util/helpers.py`, `platforms/*.py`, `resources/defaults.toml`.)
"""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import absent
from index_gate import gate_problems
from needy import BIN, SYSTEMS, needy

SHELL = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "COMSPEC", "HOME", "TMPDIR") if name in os.environ}


class Step(NamedTuple):
    """One build's repair: what cibuildwheel has at hand."""

    wheel: Path
    dest_dir: Path
    values: Mapping[str, str]
    """Placeholders beside {wheel} and {dest_dir}."""
    environment: Mapping[str, str]


COMMANDS = {
    "linux": "relocate repair -w {dest_dir} {wheel}",
    "aarch64": "relocate repair -w {dest_dir} {wheel}",
    "windows": "relocate repair -w {dest_dir} {wheel}",
    "macos": "relocate repair --require-archs {delocate_archs} -w {dest_dir} {wheel}",
    "intel": "relocate repair --require-archs {delocate_archs} -w {dest_dir} {wheel}",
    "android": "relocate repair --ldpaths {ldpaths} -w {dest_dir} {wheel}",
}
"""What the README tells projects to write."""

DROPPED_IN = {
    "linux": "auditwheel repair -w {dest_dir} {wheel}",
    "macos": "delocate-wheel --require-archs {delocate_archs} -w {dest_dir} -v {wheel}",
    "windows": "delvewheel repair -w {dest_dir} -v {wheel}",
    "android": "auditwheel repair --ldpaths {ldpaths} -w {dest_dir} {wheel}",
}
"""The defaults, to which everything behind the tool's name is kept when `relocate repair` takes its place."""

REPAIRWHEEL = "repairwheel {wheel} --output-dir {dest_dir} --lib-dir {libraries}"


def by_hand(command: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders."""
    for name, value in values.items():
        command = command.replace(f"{{{name}}}", value)
    return command


def step(folder: Path, system: str) -> Step:
    """Lay out what cibuildwheel does before the step. The libraries lie where the environment of the build says."""
    libraries = str(shutil.copytree(SYSTEMS[system].folder, folder / "libraries"))
    variable = {"macos": "DYLD_LIBRARY_PATH", "intel": "DYLD_LIBRARY_PATH", "windows": "PATH"}.get(system, "LD_LIBRARY_PATH")
    dest_dir = folder / "repaired_wheel"
    dest_dir.mkdir()
    program = os.pathsep.join([str(Path(sys.executable).parent), SHELL.get("PATH", "")])
    own = os.pathsep.join([libraries, program]) if variable == "PATH" else libraries
    archs = {"macos": "arm64", "intel": "x86_64"}.get(system, "")
    return Step(
        needy(folder / "built_wheel", system),
        dest_dir,
        {"delocate_archs": archs, "ldpaths": libraries, "package": str(folder), "project": ".", "libraries": libraries},
        {**SHELL, "PATH": program, "CIBUILDWHEEL_BUILD_IDENTIFIER": f"cp312-{SYSTEMS[system].tag}", variable: own},
    )


def quoted(value: str | Path) -> str:
    return f'"{value}"'


def carried_out(one: Step, command: str, quote: Callable[[str | Path], str] = str) -> Path:
    """Do the step as cibuildwheel does it; return the one wheel."""
    values = {"wheel": quote(one.wheel), "dest_dir": quote(one.dest_dir), **{name: quote(value) for name, value in one.values.items()}}
    before = one.wheel.read_bytes()
    done = subprocess.run(by_hand(command, values), env=one.environment, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (written,) = one.dest_dir.glob("*.whl")
    assert list(one.dest_dir.iterdir()) == [written], "nothing else may lie there"
    assert one.wheel.read_bytes() == before
    assert not written.name.endswith("none-any.whl")
    assert gate_problems(written) == []
    return written


def ours(command: str) -> str:
    """Return a tool's command line with our name in place of its own."""
    words = command.split(" ")
    return " ".join(["relocate", "repair", *words[2 if words[1] == "repair" else 1 :]])


def is_whole(written: Path, system: str) -> bool:
    """Tell whether the libraries are in the wheel."""
    with zipfile.ZipFile(written) as opened:
        stems = {name.rpartition("/")[2].partition(".")[0].partition("-")[0] for name in opened.namelist()}
    return {need.partition(".")[0] for need in SYSTEMS[system].needs} <= stems


@pytest.mark.parametrize("system", COMMANDS)
def test_the_command_lines_that_we_recommend(system: str, tmp_path: Path) -> None:
    assert is_whole(carried_out(step(tmp_path, system), COMMANDS[system]), system)


@pytest.mark.parametrize("system", DROPPED_IN)
def test_the_defaults_with_our_name_in_place_of_the_tools(system: str, tmp_path: Path) -> None:
    assert is_whole(carried_out(step(tmp_path, system), ours(DROPPED_IN[system])), system)


@pytest.mark.parametrize("system", SYSTEMS)
def test_repairwheels_spelling(system: str, tmp_path: Path) -> None:
    assert is_whole(carried_out(step(tmp_path, system), ours(REPAIRWHEEL)), system)


@pytest.mark.parametrize("system", COMMANDS)
def test_paths_with_spaces_are_quoted_by_the_project(system: str, tmp_path: Path) -> None:
    assert is_whole(carried_out(step(tmp_path / "with space & more", system), COMMANDS[system], quoted), system)


def test_several_steps_are_joined(tmp_path: Path) -> None:
    command = "relocate audit --fail-on never {wheel} && relocate repair -w {dest_dir} {wheel} && relocate audit {dest_dir}"
    carried_out(step(tmp_path, "linux"), command)


def test_both_architectures_are_asked_for_and_one_is_there(tmp_path: Path) -> None:
    one = step(tmp_path, "macos")
    values = {**one.values, "delocate_archs": "x86_64,arm64", "wheel": str(one.wheel), "dest_dir": str(one.dest_dir)}
    done = subprocess.run(by_hand(COMMANDS["macos"], values), env=one.environment, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 4, "the build ends here"
    assert "x86_64" in done.stderr
    assert list(one.dest_dir.iterdir()) == []


def test_both_architectures_are_asked_for_and_there(tmp_path: Path) -> None:
    module = {SYSTEMS["macos"].module: (BIN / "macho/fat/liba.dylib").read_bytes()}
    wheel = needy(tmp_path / "universal", "macos", module, tags=["macosx_12_0_universal2"])
    one = step(tmp_path, "macos")
    written = carried_out(one._replace(wheel=wheel, values={**one.values, "delocate_archs": "x86_64,arm64"}), COMMANDS["macos"])
    assert written.name.endswith("_universal2.whl")


def test_a_wheel_that_needs_nothing_is_left_in_the_folder_too(tmp_path: Path) -> None:
    one = step(tmp_path, "windows")
    first = carried_out(one, COMMANDS["windows"])
    (tmp_path / "again").mkdir()
    second = carried_out(one._replace(wheel=first, dest_dir=tmp_path / "again"), COMMANDS["windows"])
    assert second.read_bytes() == first.read_bytes()


def test_a_failure_ends_the_build_and_leaves_the_folder_empty(tmp_path: Path) -> None:
    one = step(tmp_path, "linux")
    typed = by_hand(COMMANDS["linux"], {"wheel": str(one.wheel), "dest_dir": str(one.dest_dir)})
    environment = {name: value for name, value in one.environment.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(f"{typed} && echo went on", env=environment, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 4
    assert "went on" not in done.stdout
    assert "libb.so" in done.stderr
    assert list(one.dest_dir.iterdir()) == []


def test_the_result_can_be_read_by_a_program_after_the_step(tmp_path: Path) -> None:
    one = step(tmp_path, "linux")
    command = by_hand(COMMANDS["linux"], {"wheel": str(one.wheel), "dest_dir": str(one.dest_dir)})
    done = subprocess.run(f"{command} --format json", env=one.environment, shell=True, check=True, capture_output=True, text=True)
    (plan,) = json.loads(done.stdout)["plans"]
    assert (one.dest_dir / plan["name"]).is_file()


# ---- with cibuildwheel's own functions


@pytest.fixture
def cibuildwheel(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the installed cibuildwheel, or skip the test."""
    found = importlib.util.find_spec("cibuildwheel")
    if found is None or found.origin is None:
        absent(request.config, "cibuildwheel")
        raise AssertionError
    return Path(found.origin).parent


def test_cibuildwheels_own_shell_takes_our_command_lines(cibuildwheel: Path, tmp_path: Path) -> None:
    shell = importlib.import_module("cibuildwheel.util.cmd").shell
    prepare_command = importlib.import_module("cibuildwheel.util.helpers").prepare_command
    for system, command in COMMANDS.items():
        one = step(tmp_path / system, system)
        shell(prepare_command(command, wheel=one.wheel, dest_dir=one.dest_dir, **one.values), env=one.environment)
        (written,) = one.dest_dir.glob("*.whl")
        assert is_whole(written, system)


def test_the_defaults_are_those_of_cibuildwheel(cibuildwheel: Path) -> None:
    defaults = tomllib.loads((cibuildwheel / "resources" / "defaults.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
    assert {system: defaults[system]["repair-wheel-command"] for system in DROPPED_IN} == DROPPED_IN
