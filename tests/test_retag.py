"""`relocate retag`: file name, WHEEL and RECORD agree, nothing else changes, and what the binaries do not keep to is refused."""

import json
import zipfile
from pathlib import Path

import pytest

import repair_examples as examples
from builders import wheel
from conftest import FIXTURES, Run
from index_gate import gate_problems
from relocator import api
from relocator.errors import UsageError
from relocator.repairs import Outcome, RemoveFile

WHEELS = FIXTURES / "wheels"
LINUX = WHEELS / "clean-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
MACOS = WHEELS / "clean-1.0-cp312-cp312-macosx_11_0_arm64.whl"
WINDOWS = WHEELS / "clean-1.0-cp312-cp312-win_amd64.whl"


def contents(path: str | Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def renamed(source: Path, tag: str, folder: Path) -> Path:
    """A wheel that somebody renamed by hand."""
    path = folder / f"clean-1.0-cp312-cp312-{tag}.whl"
    path.write_bytes(source.read_bytes())
    return path


def test_without_a_tag_the_best_one_is_computed(tmp_path: Path) -> None:
    path = renamed(LINUX, "linux_x86_64", tmp_path)
    (result,) = api.retag(path, tmp_path / "out")
    assert result.outcome == Outcome.WRITTEN
    name = Path(result.output).name
    assert name.startswith("clean-1.0-cp312-cp312-manylinux")
    old, new = contents(path), contents(result.output)
    changed = {member for member in new if old.get(member) != new[member]}
    assert changed == {"clean-1.0.dist-info/WHEEL", "clean-1.0.dist-info/RECORD"}
    assert set(old) == set(new)
    lines = new["clean-1.0.dist-info/WHEEL"].decode().splitlines()
    tags = [line.removeprefix("Tag: cp312-cp312-") for line in lines if line.startswith("Tag: ")]
    assert ".".join(tags) == name.removesuffix(".whl").rpartition("-")[2]
    assert gate_problems(result.output) == []


@pytest.mark.parametrize("source", [LINUX, MACOS, WINDOWS])
def test_a_second_run_has_nothing_to_do(source: Path, tmp_path: Path) -> None:
    (first,) = api.retag(source, tmp_path / "one")
    (second,) = api.retag(first.output, tmp_path / "two")
    assert second.outcome == Outcome.COPIED
    assert (Path(second.output).name, second.sha256) == (Path(first.output).name, first.sha256)


def test_a_tag_that_is_asked_for_takes_the_place_of_the_others(tmp_path: Path) -> None:
    (result,) = api.retag(LINUX, tmp_path, plat=["manylinux_2_28"])
    assert Path(result.output).name == "clean-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
    (both,) = api.retag(LINUX, tmp_path, plat=["manylinux_2_28"], auto=True)
    assert "manylinux_2_28_x86_64" in Path(both.output).name
    assert Path(both.output).name != Path(result.output).name


def test_python_abi_and_build_are_set_and_the_platform_stays(tmp_path: Path) -> None:
    files = {"demo/__init__.py": b""}
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(wheel(files, tags=["py3-none-any"]))
    (result,) = api.retag(path, tmp_path / "out", python_tags=["py3", "py2"], build="7local")
    assert Path(result.output).name == "demo-1.0-7local-py2.py3-none-any.whl"
    text = contents(result.output)["demo-1.0.dist-info/WHEEL"]
    assert text.endswith(b"Tag: py2-none-any\nTag: py3-none-any\nBuild: 7local\n")
    (back,) = api.retag(result.output, tmp_path / "back", build="")
    assert Path(back.output).name == "demo-1.0-py2.py3-none-any.whl"
    assert b"Build" not in contents(back.output)["demo-1.0.dist-info/WHEEL"]


@pytest.mark.parametrize("asked", [{"build": "2"}, {"abi_tags": ["abi3"]}, {"python_tags": ["cp312", "cp313"]}])
def test_platform_tags_stay_when_others_are_asked_for(asked: dict[str, str | list[str]], tmp_path: Path) -> None:
    (result,) = api.retag(renamed(LINUX, "linux_x86_64", tmp_path), tmp_path / "out", force_tags=True, **asked)  # type: ignore[arg-type]
    assert result.output.endswith("-linux_x86_64.whl")
    (result,) = api.retag(renamed(LINUX, "linux_x86_64", tmp_path), tmp_path / "out", force_tags=True, auto=True, **asked)  # type: ignore[arg-type]
    assert "manylinux_2_17_x86_64" in result.output


@pytest.mark.parametrize(
    ("source", "asked", "told"),
    [
        (LINUX, {"plat": ["musllinux_1_2"]}, "the binaries are for linux glibc"),
        (LINUX, {"plat": ["manylinux_2_28_aarch64"]}, "no binary is made for aarch64"),
        (LINUX, {"python_tags": ["cp313"], "abi_tags": ["cp313"]}, "[wrong-extension-suffix] demo/_core.cpython-312-x86_64-linux-gnu.so"),
        (WINDOWS, {"plat": ["win_arm64"]}, "no binary is made for arm64"),
        (MACOS, {"plat": ["macosx_10_9_x86_64"]}, "no binary is made for x86_64"),
        (MACOS, {"plat": ["macosx_10_9_arm64"]}, "from macosx_11_0 on"),
    ],
)
def test_what_the_binaries_do_not_keep_to_is_refused_unless_forced(
    source: Path, asked: dict[str, list[str]], told: str, tmp_path: Path
) -> None:
    (result,) = api.retag(source, tmp_path / "out", **asked)  # type: ignore[arg-type]
    assert [failure.code for failure in result.failures] == [4]
    assert told in result.failures[0].message
    assert "--force-tags" in result.failures[0].hint
    assert not (tmp_path / "out").exists()
    (forced,) = api.retag(source, tmp_path / "out", force_tags=True, **asked)  # type: ignore[arg-type]
    assert forced.outcome == Outcome.WRITTEN


def test_an_error_that_was_there_before_does_not_forbid_a_tag(tmp_path: Path) -> None:
    faulty = WHEELS / "faulty-1.0-cp312-cp312-win_amd64.whl"
    (result,) = api.retag(faulty, tmp_path / "out", build="2")
    assert result.outcome == Outcome.WRITTEN
    assert result.remaining


def test_a_wheel_that_was_renamed_by_hand_is_mended(tmp_path: Path) -> None:
    path = renamed(WINDOWS, "win32", tmp_path)
    (result,) = api.retag(path, tmp_path / "out")
    assert "promises win32, and no binary is made for that" in result.failures[0].message
    (result,) = api.retag(path, tmp_path / "out", plat=["win_amd64"])
    assert Path(result.output).name == WINDOWS.name
    (report,), _ = api.audit(result.output)
    assert "tag-disagreement" not in [finding.rule for finding in report.findings]


def test_one_bad_wheel_does_not_stop_the_others_and_the_highest_code_wins(run: Run, tmp_path: Path) -> None:
    junk = tmp_path / "junk-1.0-py3-none-any.whl"
    junk.write_bytes(b"junk")
    result = run("retag", "-w", tmp_path / "out", junk, renamed(WINDOWS, "win32", tmp_path), MACOS)
    assert result.code == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MACOS.name]


def test_a_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    result = run("retag", "-n", "--format", "json", "--plat", "manylinux_2_28", "-w", tmp_path / "out", LINUX)
    (plan,) = json.loads(result.out)["plans"]
    assert [action["action"] for action in plan["actions"]] == ["retag", "rewrite-text", "rewrite-record"]
    assert (result.code, plan["name"]) == (0, "clean-1.0-cp312-cp312-manylinux_2_28_x86_64.whl")
    assert not (tmp_path / "out").exists()


def test_json_has_an_entry_for_each_wheel_and_the_reasons(run: Run, tmp_path: Path) -> None:
    wrong = renamed(WINDOWS, "win32", tmp_path)
    result = run("retag", "--format", "json", "-w", tmp_path / "out", renamed(LINUX, "linux_x86_64", tmp_path), MACOS, wrong)
    whole = examples.document(result.out)
    assert [plan["outcome"] for plan in whole["plans"]] == ["written", "copied", "failed"]
    (action,) = [action for action in whole["plans"][0]["actions"] if action["action"] == "retag"]
    assert action["before"] == ["linux_x86_64"]
    assert whole["plans"][0]["name"].endswith(f"{'.'.join(action['after'])}.whl")
    assert [(error["subject"], error["code"]) for error in whole["errors"]] == [(str(wrong), 4)]
    assert result.code == 4


def test_a_retag_that_fails_is_told_in_words_of_its_own(run: Run, tmp_path: Path) -> None:
    result = run("retag", "-w", tmp_path / "out", renamed(WINDOWS, "win32", tmp_path))
    assert "  failed             nothing was written: 1 reason\n" in result.out


def test_the_input_is_never_replaced(tmp_path: Path) -> None:
    path = renamed(MACOS, "macosx_11_0_arm64", tmp_path)
    before = path.read_bytes()
    (result,) = api.retag(path, tmp_path, force=True)
    assert result.failures
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "asked", [{"python_tags": ["a-b"]}, {"abi_tags": [""]}, {"python_tags": ["cp312..cp313"]}, {"build": "x"}, {"plat": ["manylinux"]}]
)
def test_what_is_no_tag_makes_no_sense(asked: dict[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        api.retag(LINUX, tmp_path / "out", **asked)  # type: ignore[arg-type]


def test_a_signature_of_the_old_record_goes_and_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(wheel({"demo/__init__.py": b"", "demo-1.0.dist-info/RECORD.jws": b"{}"}, tags=["py3-none-any"]))
    (result,) = api.retag(path, tmp_path / "out", build="2")
    assert "demo-1.0.dist-info/RECORD.jws" not in contents(result.output)
    assert result.plan
    assert RemoveFile("demo-1.0.dist-info/RECORD.jws", "signs a RECORD that is written anew") in result.plan.actions
    (kept,) = api.retag(path, tmp_path / "out", build="")
    assert "demo-1.0.dist-info/RECORD.jws" in contents(kept.output)


def test_tags_may_be_written_as_a_set(tmp_path: Path) -> None:
    """As `wheel tags` takes them."""
    (result,) = api.retag(LINUX, tmp_path, plat=["manylinux_2_28_x86_64.manylinux_2_17_x86_64"])
    assert Path(result.output).name == "clean-1.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl"
    (result,) = api.retag(LINUX, tmp_path, python_tags=["cp312.cp313"], force_tags=True)
    assert Path(result.output).name == "clean-1.0-cp312.cp313-cp312-manylinux_2_17_x86_64.whl"


def test_several_systems_are_computed_each_by_itself_and_not_set_by_one_tag(tmp_path: Path) -> None:
    path = renamed(LINUX, "manylinux_2_28_x86_64.musllinux_1_2_x86_64", tmp_path)
    (result,) = api.retag(path, tmp_path / "out")
    assert "musllinux_1_2_x86_64" in result.output
    (refused,) = api.retag(path, tmp_path / "out", plat=["manylinux_2_28"])
    assert "its tags are for several systems" in refused.failures[0].message
