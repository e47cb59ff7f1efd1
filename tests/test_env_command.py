"""`relocate env`: which environment is meant, whose variables count, sets of wheels, and what it prints first."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import FIXTURES
from relocator import api, cli
from relocator.cli.whereabouts import default_place, is_private, variables_of
from relocator.errors import UsageError
from test_environment import DEMO, EXT, SITE, distribution, elf, lay, venv
from test_wheel_set import put

ELF = FIXTURES / "bin" / "elf" / "x86_64"


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs the command in this process, with no environment active."""
    for name in [
        name for name in os.environ if name.startswith(("RELOCATOR_", "LD_")) or name in ("VIRTUAL_ENV", "CONDA_PREFIX", "FORCE_COLOR")
    ]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        code = cli.main(["env", *map(str, arguments)])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


# ---- which environment


def test_the_active_environment_goes_before_the_one_here_and_that_before_path(tmp_path: Path) -> None:
    for name in ("active", "conda", "here/.venv", "path"):
        venv(tmp_path / name)
    (tmp_path / "path/bin/python").chmod(0o755)
    variables = {
        "VIRTUAL_ENV": f"{tmp_path}/active",
        "CONDA_PREFIX": f"{tmp_path}/conda",
        "PATH": f"{tmp_path}/none{os.pathsep}{tmp_path}/path/bin",
    }
    found = []
    for gone in ("", "VIRTUAL_ENV", "CONDA_PREFIX", "here"):
        variables.pop(gone, None)
        found.append(default_place(variables, f"{tmp_path}/{'elsewhere' if gone == 'here' else 'here'}"))
    assert found == [
        (f"{tmp_path}/active", "the active virtual environment (VIRTUAL_ENV)"),
        (f"{tmp_path}/conda", "the active conda environment (CONDA_PREFIX)"),
        (f"{tmp_path}/here/.venv", "the .venv of this directory"),
        (f"{tmp_path}/path/bin/python", "the first Python on PATH"),
    ]


def test_a_script_that_starts_some_python_is_passed_over_and_told(tmp_path: Path) -> None:
    lay(tmp_path, {"shims/python3": b"#!/bin/sh\nexec pyenv\n"})
    (tmp_path / "shims/python3").chmod(0o755)
    venv(tmp_path / "env")
    (tmp_path / "env/bin/python").chmod(0o755)
    place = default_place({"PATH": f"{tmp_path}/shims{os.pathsep}{tmp_path}/env/bin"}, str(tmp_path))
    assert place.path == f"{tmp_path}/env/bin/python"
    assert f"scripts such as {tmp_path}/shims/python3 left out" in place.reason


@pytest.mark.parametrize(("folder", "private"), [("pipx/venvs/relocator", True), ("uv/tools/relocator", True), ("venvs/pipx", False)])
def test_the_environment_of_a_tool_installer_is_never_meant(tmp_path: Path, folder: str, private: bool) -> None:
    venv(tmp_path / folder)
    (tmp_path / folder / "bin/python").chmod(0o755)
    assert is_private(f"{tmp_path}/{folder}") == private
    variables = {"VIRTUAL_ENV": f"{tmp_path}/{folder}", "PATH": f"{tmp_path}/{folder}/bin"}
    if private:
        with pytest.raises(UsageError, match="there is no environment to look at"):
            default_place(variables, str(tmp_path))
    else:
        assert default_place(variables, str(tmp_path)).path == f"{tmp_path}/{folder}"


@pytest.mark.parametrize("receipt", ["pipx_metadata.json", "uv-receipt.toml"])
def test_a_tool_installers_receipt_gives_its_environment_away(tmp_path: Path, receipt: str) -> None:
    root = venv(tmp_path / "anywhere")
    assert not is_private(str(root))
    lay(root, {receipt: b""})
    assert is_private(str(root))


def test_this_shells_variables_are_those_of_its_own_environment_only(tmp_path: Path) -> None:
    venv(tmp_path / "own")
    venv(tmp_path / "other")
    shell = {"VIRTUAL_ENV": f"{tmp_path}/own", "LD_LIBRARY_PATH": "/opt/lib", "SECRET": "x", "LD_PRELOAD": ""}
    assert variables_of(f"{tmp_path}/own", shell) == {"LD_LIBRARY_PATH": "/opt/lib"}
    assert variables_of(f"{tmp_path}/own/bin/python", shell) == {"LD_LIBRARY_PATH": "/opt/lib"}
    assert variables_of(f"{tmp_path}/other", shell) == {}
    assert variables_of(f"{tmp_path}/gone", shell) == {}


# ---- the command


def test_the_first_line_says_which_environment_and_why(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = venv(tmp_path / ".venv", distribution("demo", {"demo/liba.so": elf("liba.so")}))
    (root / "bin/python3.12").write_bytes(elf("static"))
    told = run("--no-host").out.splitlines()[0]
    assert told == f"{root}: virtual environment, CPython 3.12.4, the .venv of this directory; judged for linux_x86_64"
    assert run(root, "--no-host").out.splitlines()[0].endswith("named on the command line; judged for linux_x86_64")
    monkeypatch.setenv("VIRTUAL_ENV", str(root))
    assert "the active virtual environment (VIRTUAL_ENV)" in run("--no-host").out.splitlines()[0]


def test_what_is_missing_in_an_environment_is_an_error(run: Run, tmp_path: Path) -> None:
    root = venv(tmp_path / "env", DEMO)
    result = run(root)
    assert result.code == 1
    assert "error[missing-library]: needs a library that is neither in the environment nor a part of the system" in result.out
    assert f"demo/{EXT} (x86_64), DT_NEEDED libb.so" in result.out
    lay(root, {f"{SITE}/demo/libb.so": elf("libb.so"), f"{SITE}/demo/liba.so": elf("liba.so")})
    assert f"demo/{EXT} (x86_64), DT_NEEDED libb.so" not in run(root).out


def test_a_variable_of_the_process_is_given_by_option(run: Run, tmp_path: Path) -> None:
    root = venv(tmp_path / "env", DEMO, {"share/libb.so": elf("libb.so"), "share/liba.so": elf("liba.so")})
    assert run(root, "--fail-on", "error").code == 1
    assert "DT_NEEDED libb.so" not in run(root, "--process-env", f"LD_LIBRARY_PATH={root}/share").out


def test_broken_records_are_findings_and_the_rest_is_audited(run: Run, tmp_path: Path) -> None:
    root = venv(tmp_path / "env", distribution("demo", {"demo/liba.so": elf("liba.so"), "demo/x.py": b""}))
    (root / SITE / "demo" / "x.py").unlink()
    lay(root, {f"{SITE}/~emo-1.dist-info/x": b"", f"{SITE}/half-1.0.dist-info/RECORD": b"half/__init__.py,,\n"})
    out = run(root).out
    assert "warning[record-mismatch]: has lost files that its distribution recorded (2 places)" in out
    assert "warning[malformed-record]: a distribution's record cannot be relied on (2 places)" in out


def test_changed_files_are_told_with_hashes_only(run: Run, tmp_path: Path) -> None:
    root = venv(tmp_path / "env", distribution("demo", {"demo/liba.so": elf("liba.so"), "demo/x.py": b""}))
    (root / SITE / "demo" / "x.py").write_bytes(b"changed")
    told = "differs from what its distribution recorded"
    assert told not in run(root).out
    assert told in run(root, "--hashes").out


def test_json_says_what_the_environment_is(run: Run, tmp_path: Path) -> None:
    root = venv(tmp_path / "env", DEMO)
    (report,) = json.loads(run(root, "--format", "json").out)["reports"]
    assert (report["subject"], report["target"]) == (str(root), "linux_x86_64")
    assert report["about"] == "virtual environment, CPython 3.12.4, named on the command line"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 3, "nowhere: does not exist"),
        (["--process-env", "X"], 2, "--process-env 'X' is not VAR=VALUE"),
        (["--find-links", "."], 2, "--find-links says where the wheels of --lock lie"),
        (["--python", "3.12", "."], 2, "--python is for sets of wheels"),
        (["--wheels", "."], 2, "there is no wheel in it"),
        (["--wheels", "none"], 2, "--wheels none: No such file or directory"),
        (["a-1-py3-none-any.whl", "."], 2, "wheels and an environment at once"),
        (["a-1-py3-none-any.whl"], 3, "cannot be laid out: a-1-py3-none-any.whl does not exist"),
        (["--lock", "none.toml"], 3, "none.toml cannot be read"),
        (["--target", "nonsense", "."], 2, "'nonsense' cannot be a target"),
    ],
)
def test_requests_that_make_no_sense_are_refused(run: Run, arguments: list[str], code: int, message: str) -> None:
    result = run(*arguments)
    assert result.code == code
    assert message in result.err


# ---- sets


def test_a_conflict_is_known_before_anybody_installs(run: Run, tmp_path: Path) -> None:
    user = put(tmp_path, "user", {"user/ext.cpython-312-x86_64-linux-gnu.so": elf("ext.so")})
    alone = run(user)
    assert alone.code == 1
    assert alone.out.splitlines()[0] == "user: 1 wheel as installed side by side; judged for manylinux_2_28_x86_64"
    assert "DT_NEEDED libb.so" in alone.out
    put(tmp_path, "provider", {"user/libb.so": elf("libb.so"), "user/liba.so": elf("liba.so")})
    together = run("--wheels", tmp_path)
    assert together.out.splitlines()[0].startswith(f"{tmp_path}: 2 wheels as installed side by side")
    assert "undeclared-provider" in together.out
    assert "DT_NEEDED libb.so: user takes it from provider" in together.out


def test_a_lock_file_and_a_folder_make_a_set(run: Run, tmp_path: Path) -> None:
    path = Path(put(tmp_path, "demo", {"demo/liba.so": elf("liba.so")}))
    (tmp_path / "pylock.toml").write_text(
        f'lock-version = "1.0"\npackages = [{{name = "demo", version = "1.0", wheels = [{{name = "{path.name}"}}]}}]\n'
    )
    result = run("--lock", "pylock.toml", "--find-links", tmp_path)
    assert (result.code, result.out.splitlines()[0]) == (
        0,
        "pylock.toml: 1 wheel as installed side by side; judged for manylinux_2_28_x86_64",
    )
    result = run("--lock", "pylock.toml")
    assert (result.code, "1 package has no wheel in any folder: demo 1.0" in result.err) == (3, True)


def test_programs_ask_by_the_api(tmp_path: Path) -> None:
    root = venv(tmp_path / "env", DEMO)
    (report,), failures = api.env(root, host=False, reason="because")
    assert (report.about, failures) == ("virtual environment, CPython 3.12.4, because", ())
    with pytest.raises(UsageError):
        api.env(root, select=["no-such-rule"])
