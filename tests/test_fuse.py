"""`relocate fuse`: one wheel of two, everything that differs told, nothing chosen silently."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

import repair_examples as examples
from builders import wheel
from conftest import FIXTURES, Run
from index_gate import gate_problems
from relocator import api
from relocator.backends.macos import fuse as macos_fuse
from relocator.backends.macos.read import read
from relocator.errors import UsageError
from relocator.repairs import Outcome, RemoveFile, RepairResult
from relocator.verification import UNREADABLE

BIN = FIXTURES / "bin" / "macho"
ARCHES = {"x86_64": "macosx_12_0_x86_64", "arm64": "macosx_12_0_arm64"}
CORE = "demo/_core.cpython-312-darwin.so"

SAME: Mapping[str, bytes] = MappingProxyType({})

Make = Callable[..., tuple[Path, Path]]


@pytest.fixture
def pair(tmp_path: Path) -> Make:
    """Return a function that makes the wheels for both architectures; its arguments are files that one of them has, or has otherwise."""

    def make(first: Mapping[str, bytes] = SAME, second: Mapping[str, bytes] = SAME, **names: str) -> tuple[Path, Path]:
        found = []
        for (arch, tag), more in zip(ARCHES.items(), (first, second), strict=True):
            files = {"demo/__init__.py": b"", CORE: (BIN / arch / "ext.so").read_bytes(), **more}
            path = tmp_path / f"{names.get(arch, 'demo-1.0-cp312-cp312-' + tag)}.whl"
            path.write_bytes(wheel(files, tags=[f"cp312-cp312-{tag}"]))
            found.append(path)
        return found[0], found[1]

    return make


def told(result: RepairResult) -> list[str]:
    return [failure.message for failure in result.failures]


def contents(path: str) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def remade(path: Path, modes: Mapping[str, int], changed: tuple[bytes, bytes] = (b"", b"")) -> None:
    """Give members of a wheel other permissions, or WHEEL another line."""
    members = contents(str(path))
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100000 | modes.get(name, 0o644)) << 16
            zipped.writestr(info, data.replace(*changed) if name.endswith("/WHEEL") else data)


def test_two_wheels_become_one(pair: Make, tmp_path: Path) -> None:
    result = api.fuse(*pair(), tmp_path / "out")
    assert (result.outcome, told(result)) == (Outcome.WRITTEN, [])
    assert Path(result.output).name == "demo-1.0-cp312-cp312-macosx_12_0_universal2.whl"
    found = contents(result.output)
    assert [image.arch for image in read(memoryview(found[CORE]), verify_signatures=True)] == ["x86_64", "arm64"]
    assert found["demo-1.0.dist-info/WHEEL"].endswith(b"\nTag: cp312-cp312-macosx_12_0_universal2\n")
    assert gate_problems(result.output) == []
    (report,), failures = api.audit(result.output)
    assert not failures
    assert not [
        finding
        for finding in report.findings
        if finding.rule in ("missing-slice", "tag-disagreement", "record-mismatch", "invalid-signature")
    ]


def test_the_order_of_the_two_makes_no_difference_and_a_second_run_says_so(pair: Make, tmp_path: Path) -> None:
    first, second = pair()
    one = api.fuse(first, second, tmp_path / "out")
    again = api.fuse(second, first, tmp_path / "out")
    assert (again.outcome, again.sha256) == (Outcome.PRESENT, one.sha256)


def test_everything_that_differs_is_told_at_once_and_nothing_is_written(pair: Make, run: Run, tmp_path: Path) -> None:
    other = {"demo/a.py": b"1", "demo/b.txt": b"1", "demo/lib.dylib": (BIN / "x86_64/liba.dylib").read_bytes()}
    metadata = {"demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nSummary: other\n"}
    same_code = {"demo/b.dylib": (BIN / "x86_64/liba.dylib").read_bytes()}, {"demo/b.dylib": (BIN / "x86_64/libb.dylib").read_bytes()}
    first, second = pair({**other, **same_code[0]}, {"demo/a.py": b"2", "demo/b.txt": b"12", **metadata, **same_code[1]})
    result = run("fuse", "-w", tmp_path / "out", first, second)
    assert result.code == 4
    for name in (
        "demo/a.py differs",
        "demo/b.txt differs",
        "METADATA differs",
        f"demo/lib.dylib is in {first} alone, with code for x86_64\n",
        "differ in their code for x86_64",
    ):
        assert name in result.err
    assert not (tmp_path / "out").exists()


def test_a_text_that_one_wheel_has_is_kept_and_said(pair: Make, tmp_path: Path) -> None:
    result = api.fuse(*pair({"demo/one.txt": b"1"}, {"demo/two.txt": b"2", "demo/sub/three.txt": b"3"}), tmp_path / "out")
    found = contents(result.output)
    assert (found["demo/one.txt"], found["demo/two.txt"], found["demo/sub/three.txt"]) == (b"1", b"2", b"3")
    assert result.plan
    assert sum("alone" in remark for remark in result.plan.remarks) == 3
    assert gate_problems(result.output) == []


@pytest.mark.parametrize(("option", "expected"), [("as_first", b"1"), ("as_second", b"2")])
def test_somebody_may_say_which_wheel_is_right(pair: Make, tmp_path: Path, option: str, expected: bytes) -> None:
    first, second = pair({"demo/a.py": b"1"}, {"demo/a.py": b"2"})
    result = api.fuse(first, second, tmp_path / "out", **{option: ["demo/*.py"]})  # type: ignore[arg-type]
    assert contents(result.output)["demo/a.py"] == expected


def test_a_wheel_is_right_about_what_it_does_not_have_too(pair: Make, tmp_path: Path) -> None:
    lib = {"demo/lib.dylib": (BIN / "x86_64/liba.dylib").read_bytes()}
    first, second = pair(lib)
    assert "demo/lib.dylib" not in contents(api.fuse(first, second, tmp_path / "out", as_second=["lib.dylib"]).output)
    assert "demo/lib.dylib" in contents(api.fuse(first, second, tmp_path / "other", as_first=["lib.dylib"]).output)


def test_a_file_cannot_be_as_both_have_it_and_a_pattern_for_nothing_is_said(pair: Make, tmp_path: Path) -> None:
    first, second = pair()
    with pytest.raises(UsageError, match="fits both"):
        api.fuse(first, second, tmp_path / "out", as_first=["*.py"], as_second=["demo/*"])
    result = api.fuse(first, second, tmp_path / "out", as_first=["*.txt"])
    assert result.plan
    assert "*.txt fits no file" in result.plan.remarks


def test_copied_libraries_with_hashes_in_their_names_are_to_be_fused_before(pair: Make, tmp_path: Path) -> None:
    names = {arch: f"demo/.dylibs/liba-{number}.dylib" for arch, number in (("x86_64", "0a1b2c3d"), ("arm64", "4e5f6071"))}
    files = [{name: (BIN / arch / "liba.dylib").read_bytes()} for arch, name in names.items()]
    result = api.fuse(*pair(*files), tmp_path / "out")
    assert len(result.failures) == 2
    assert names["arm64"] in result.failures[0].message
    assert all("before they are repaired" in failure.hint for failure in result.failures)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"arm64": "demo-1.1-cp312-cp312-macosx_11_0_arm64"}, "differ in their version: 1.0 and 1.1"),
        ({"arm64": "demo-1.0-2-cp312-cp312-macosx_11_0_arm64"}, "differ in their build number: none and 2"),
        ({"arm64": "demo-1.0-cp313-cp313-macosx_11_0_arm64"}, "differ in their Python tag: cp312 and cp313"),
        ({"arm64": "demo-1.0-cp312-abi3-macosx_11_0_arm64"}, "differ in their ABI tag: cp312 and abi3"),
        ({"arm64": "other-1.0-cp312-cp312-macosx_11_0_arm64"}, "differ in their project: demo and other"),
        ({"arm64": "demo-1.0-cp312-cp312-win_amd64"}, "is for win_amd64"),
        ({"arm64": "demo"}, "its file name is none of a wheel"),
    ],
)
def test_wheels_that_do_not_belong_together_are_refused(pair: Make, tmp_path: Path, names: dict[str, str], expected: str) -> None:
    result = api.fuse(*pair(**names), tmp_path / "out")
    assert any(expected in message for message in told(result))
    assert max(failure.code for failure in result.failures) == 4
    assert not (tmp_path / "out").exists()


def test_a_wheel_for_another_system_too_is_refused(pair: Make, tmp_path: Path) -> None:
    first, second = pair(x86_64="demo-1.0-cp312-cp312-macosx_12_0_x86_64.manylinux_2_28_x86_64")
    assert told(api.fuse(first, second, tmp_path / "out")) == [f"{first} is for manylinux_2_28_x86_64"]


@pytest.mark.parametrize(
    ("name", "expected"), [("demo/A.txt", "demo/A.txt and demo/a.txt"), ("demo/a.txt/b", "demo/a.txt/b and demo/a.txt"), ("DEMO/b", "")]
)
def test_names_that_one_folder_cannot_hold_are_refused(pair: Make, tmp_path: Path, name: str, expected: str) -> None:
    result = api.fuse(*pair({"demo/a.txt": b"1"}, {name: b"2"}), tmp_path / "out")
    assert [expected in message for message in told(result)] == [True] * bool(expected)
    if expected:
        assert not (tmp_path / "out").exists()
        dropped = api.fuse(*pair({"demo/a.txt": b"1"}, {name: b"2"}), tmp_path / "out", as_first=[name])
        assert dropped.outcome == Outcome.WRITTEN


def test_a_file_may_be_run_when_one_wheel_says_so_and_that_is_told(pair: Make, tmp_path: Path) -> None:
    first, second = pair({"demo/tool": b"#!/bin/sh\n"}, {"demo/tool": b"#!/bin/sh\n"})
    for path in (first, second):
        remade(path, dict.fromkeys((CORE, "demo/tool"), 0o755 if path is first else 0o644))
    one, other = api.fuse(first, second, tmp_path / "out"), api.fuse(second, first, tmp_path / "other")
    assert one.sha256 == other.sha256
    with zipfile.ZipFile(one.output) as zipped:
        modes = {info.filename: info.external_attr >> 16 for info in zipped.infolist() if "dist-info" not in info.filename}
    assert modes == {CORE: 0o100755, "demo/tool": 0o100755, "demo/__init__.py": 0o100644}
    assert one.plan
    assert f"demo/tool may be run, as in {first}" in one.plan.remarks
    chosen = api.fuse(first, second, tmp_path / "chosen", as_second=["tool"])
    with zipfile.ZipFile(chosen.output) as zipped:
        assert zipped.getinfo("demo/tool").external_attr >> 16 == 0o100644


def test_signatures_of_both_records_go_and_that_is_told(pair: Make, tmp_path: Path) -> None:
    names = [f"demo-1.0.dist-info/RECORD.{end}" for end in ("jws", "p7s")]
    result = api.fuse(*pair({names[0]: b"1"}, dict.fromkeys(names, b"2")), tmp_path / "out")
    assert not {*names} & set(contents(result.output))
    assert result.plan
    assert {action.member for action in result.plan.actions if isinstance(action, RemoveFile)} == set(names)


@pytest.mark.parametrize("wrong", [0, 1])
def test_wheels_that_go_to_different_folders_are_refused(pair: Make, tmp_path: Path, wrong: int) -> None:
    wheels = pair()
    remade(wheels[wrong], {}, (b"Purelib: false", b"Purelib: true"))
    (message,) = told(api.fuse(*wheels, tmp_path / "out"))
    assert message.startswith("the two wheels differ in their Root-Is-Purelib: ")


def test_what_is_loaded_goes_where_binaries_belong(pair: Make, tmp_path: Path) -> None:
    wheels = pair(*({"demo/ext.so": (BIN / arch / "ext.so").read_bytes()} for arch in ARCHES))
    for path in wheels:
        remade(path, {}, (b"Purelib: false", b"Purelib: true"))
    result = api.fuse(*wheels, tmp_path / "out")
    assert b"Root-Is-Purelib: false\n" in contents(result.output)["demo-1.0.dist-info/WHEEL"]


def test_one_architecture_twice_is_nothing_to_fuse(pair: Make, tmp_path: Path) -> None:
    first, _ = pair()
    (message,) = told(api.fuse(first, first, tmp_path / "out"))
    assert message == "both wheels have code for x86_64: there is nothing to fuse"


def test_what_cannot_be_opened_is_exit_3(pair: Make, tmp_path: Path) -> None:
    first, second = pair()
    second.write_bytes(second.read_bytes()[:500])
    (failure,) = api.fuse(first, second, tmp_path / "out").failures
    assert failure.code == 3
    assert failure.message.startswith(str(second))
    assert api.fuse(first, tmp_path / "absent.whl", tmp_path / "out").failures[0].code == 3
    assert api.fuse(tmp_path, first, tmp_path / "out").failures[0].code == 3


def test_tags_keep_what_each_wheel_promised_and_grow_to_what_files_need(pair: Make, tmp_path: Path) -> None:
    first, second = pair(x86_64="demo-1.0-cp312-cp312-macosx_10_4_x86_64")
    result = api.fuse(first, second, tmp_path / "out")
    assert Path(result.output).name == "demo-1.0-cp312-cp312-macosx_10_13_x86_64.macosx_12_0_arm64.whl"
    assert result.plan
    assert f"{first}: {CORE} is built for macOS 10.13, which its tag did not say" in result.plan.remarks


def test_an_input_is_never_replaced(pair: Make, tmp_path: Path) -> None:
    both = Path(api.fuse(*pair(), tmp_path / "out").output)
    _, second = pair({}, {"demo/more.txt": b""})
    before = both.read_bytes()
    for sides in ((both, second), (second, both)):
        result = api.fuse(*sides, tmp_path / "out", force=True, as_first=["*"])
        assert "never replaced" in told(result)[0]
    assert both.read_bytes() == before


def test_a_dry_run_plans_and_writes_nothing(pair: Make, run: Run, tmp_path: Path) -> None:
    result = run("fuse", "--dry-run", "--format", "json", "-w", tmp_path / "out", *pair())
    (plan,) = json.loads(result.out)["plans"]
    assert (result.code, plan["outcome"], plan["name"]) == (0, "planned", "demo-1.0-cp312-cp312-macosx_12_0_universal2.whl")
    assert not (tmp_path / "out").exists()


def test_json_tells_what_became_of_every_file_and_why_there_is_no_wheel(pair: Make, run: Run, tmp_path: Path) -> None:
    texts = {"demo/a.py": b"1", "demo/b.py": b"1"}, {"demo/a.py": b"2", "demo/b.py": b"2", "demo/c.py": b"2"}
    first, second = pair(*texts)
    done = run("fuse", "--format", "json", "-w", tmp_path / "out", "--as-first", "a.py", "--as-second", "b.py", first, second)
    (plan,) = examples.document(done.out)["plans"]
    actions = [(action["action"], action.get("member")) for action in plan["actions"]]
    assert (done.code, plan["outcome"], plan["subject"]) == (0, "written", f"{first} + {second}")
    assert actions == [
        ("edit-binary", CORE),
        ("copy-in", "demo/b.py"),
        ("copy-in", "demo/c.py"),
        ("retag", None),
        ("rewrite-text", "demo-1.0.dist-info/WHEEL"),
        ("rewrite-record", "demo-1.0.dist-info/RECORD"),
    ]
    assert plan["actions"][3]["after"] == ["macosx_12_0_universal2"]
    assert plan["verified"]
    refused = run("fuse", "--format", "json", "-w", tmp_path / "other", first, second)
    whole = examples.document(refused.out)
    assert (refused.code, [plan["outcome"] for plan in whole["plans"]]) == (4, ["failed"])
    assert [error["message"].partition(" ")[0] for error in whole["errors"]] == ["demo/a.py", "demo/b.py"]


def test_a_fuse_that_fails_is_told_in_words_of_its_own(pair: Make, run: Run, tmp_path: Path) -> None:
    first, _ = pair()
    assert "  failed             nothing was written: 1 reason\n" in run("fuse", "-w", tmp_path / "out", first, first).out


def test_wheels_for_different_systems_become_one_with_two_tags_in_one_order(pair: Make, tmp_path: Path) -> None:
    first, second = pair(x86_64="demo-1.0-cp312-cp312-macosx_10_13_x86_64")
    one = api.fuse(first, second, tmp_path / "out")
    assert contents(one.output)["demo-1.0.dist-info/WHEEL"].endswith(b"macosx_10_13_x86_64\nTag: cp312-cp312-macosx_12_0_arm64\n")
    assert api.fuse(second, first, tmp_path / "out").sha256 == one.sha256


def test_a_damaged_member_is_told_with_its_name(pair: Make, tmp_path: Path) -> None:
    result = api.fuse(*pair({CORE: (BIN / "x86_64/ext.so").read_bytes()[:200]}), tmp_path / "out")
    assert any(CORE in message for message in told(result))
    assert {failure.code for failure in result.failures} == {4}


@pytest.mark.parametrize("spoilt", ["one slice", "a name", "an offset"])
def test_a_joined_file_that_is_not_the_sum_of_the_two_is_our_bug_and_is_not_written(
    spoilt: str, pair: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(files: Sequence[bytes]) -> bytearray:
        if spoilt == "one slice":
            return macos_fuse.fused(files[:1])
        data = macos_fuse.fused(files)
        if spoilt == "a name":
            return bytearray(data.replace(b"libSystem", b"libsystem"))
        data[8 + 16 : 8 + 20] = (13).to_bytes(4, "big")  # the first slice lies at no multiple of 2^13
        return data

    monkeypatch.setattr("relocator.fusing.fused", wrong)
    result = api.fuse(*pair(), tmp_path / "out")
    assert [failure.code for failure in result.failures] == [5]
    assert "is not what was planned" in result.failures[0].message
    assert not (tmp_path / "out").exists()


def test_what_was_verified_is_said_and_by_whom(pair: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = api.fuse(*pair(), tmp_path / "out")
    assert result.verified == ("the slices are those of the two wheels", "the layout is sound", "macholib sees it too")
    monkeypatch.setattr("relocator.backends.macos.verify.opinion", lambda *_: ("macholib", (UNREADABLE,)))
    monkeypatch.setattr("relocator.backends.macos.verify.differences", lambda *_: (UNREADABLE,))
    result = api.fuse(*pair(), tmp_path / "other")
    assert result.verified[-1] == "no second parser can read some of them, so that our own checks alone decided"


@pytest.mark.parametrize(("count", "more"), [(2, ""), (3, ", ...")])
def test_joined_files_are_counted_and_some_are_named(count: int, more: str, pair: Make, tmp_path: Path) -> None:
    both = [{f"demo/lib{number}.dylib": (BIN / arch / "liba.dylib").read_bytes() for number in range(count)} for arch in ARCHES]
    result = api.fuse(*pair(*both), tmp_path / "out")
    assert result.plan
    named = ", ".join([CORE, "demo/lib0.dylib", "demo/lib1.dylib"])
    assert result.plan.remarks[0] == f"{count + 1} files joined from the code of both wheels: {named}{more}"


def test_folders_of_the_second_wheel_come_with_what_is_taken_from_it(pair: Make, tmp_path: Path) -> None:
    first, second = pair({}, {"demo/new/a.txt": b"1"})
    for path in (first, second):
        with zipfile.ZipFile(path, "a") as zipped:
            for name in ("demo/", "demo/new/", "demo/empty/")[: 3 if path is second else 1]:
                zipped.writestr(name, b"")
    with zipfile.ZipFile(api.fuse(first, second, tmp_path / "out").output) as zipped:
        assert sorted(name for name in zipped.namelist() if name.endswith("/")) == ["demo/", "demo/new/"]
