"""`relocate fuse`: one wheel of two, everything that differs told, nothing chosen silently."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from builders import wheel
from conftest import FIXTURES, Run
from index_gate import gate_problems
from relocator import api
from relocator.backends.macos import fuse as macos_fuse
from relocator.backends.macos.read import read
from relocator.errors import UsageError
from relocator.repairs import Outcome, RepairResult

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
        f"demo/lib.dylib is in {first} alone",
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
    assert any("need macOS 10.13, which its tag did not say" in remark for remark in result.plan.remarks)


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


def test_what_was_verified_is_said_and_by_whom(pair: Make, tmp_path: Path) -> None:
    result = api.fuse(*pair(), tmp_path / "out")
    assert result.verified == ("the slices are those of the two wheels", "the layout is sound", "macholib sees it too")
