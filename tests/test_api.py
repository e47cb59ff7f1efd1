"""The Python interface: one path or several, failures as values, and no look at the host."""

import io
import zipfile
from pathlib import Path

import pytest

import builders as b
from conftest import FIXTURES
from relocator import api
from relocator.errors import UsageError
from relocator.findings import Failure
from relocator.model import How

MAC = "cp312-cp312-macosx_11_0_arm64"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / f"demo-1.0-{MAC}.whl"
    folder = FIXTURES / "bin/macho/arm64"
    files = {
        "demo/__init__.py": b"",
        "demo/liba.dylib": (folder / "liba.dylib").read_bytes(),
        "demo/ext.so": (folder / "ext.so").read_bytes(),
    }
    path.write_bytes(b.wheel(files, tags=[MAC]))
    return path


def test_one_path_may_be_text_or_a_path(wheel: Path) -> None:
    assert api.audit(wheel) == api.audit(str(wheel)) == api.audit([wheel])


def test_every_path_is_looked_at_and_failures_are_values(wheel: Path, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.whl")
    reports, failures = api.audit([gone, wheel, gone])
    assert [report.subject for report in reports] == [str(wheel)]
    assert [failure.subject for failure in failures] == [gone, gone]
    assert failures[0].code == 3
    assert failures[0].message


def test_no_path_is_nothing() -> None:
    assert api.audit([]) == ((), ())


@pytest.mark.parametrize("function", [api.audit, api.show, api.tree])
def test_a_request_without_sense_raises_before_anything_is_read(function: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        function([], target="amiga_68000")  # type: ignore[operator]
    with pytest.raises(UsageError):
        function([], search=[tmp_path / "gone"])  # type: ignore[operator]
    with pytest.raises(UsageError):
        function([], search=[__file__])  # type: ignore[operator]


@pytest.mark.parametrize("option", ["select", "ignore"])
def test_an_unknown_rule_raises(option: str) -> None:
    with pytest.raises(UsageError):
        api.audit([], **{option: ["no-such-rule"]})  # type: ignore[arg-type]


def test_an_ignored_rule_is_suppressed_and_not_replaced(wheel: Path) -> None:
    (whole,), _ = api.audit(wheel)
    rules = {finding.rule for finding in whole.findings}
    (without,), _ = api.audit(wheel, ignore=sorted(rules))
    assert without.findings == ()
    assert {item.finding for item in without.suppressed} == set(whole.findings)
    assert {item.by for item in without.suppressed} == {"--ignore"}


def test_a_selected_rule_runs_alone(wheel: Path) -> None:
    (report,), _ = api.audit(wheel, select=["unrecorded-file"])
    assert report.checked.rules == 1


def test_there_is_one_result_for_each_system_of_the_tags(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-macosx_11_0_arm64.win_amd64.whl"
    path.write_bytes(b.wheel({"demo/__init__.py": b""}, tags=["py3-none-macosx_11_0_arm64", "py3-none-win_amd64"]))
    assert [report.target for report in api.audit(path)[0]] == ["macosx_11_0_arm64", "win_amd64"]
    assert [profile.target.tag for profile in api.show(path)[0]] == ["macosx_11_0_arm64", "win_amd64"]
    assert [forest.target.tag for forest in api.tree(path)[0]] == ["macosx_11_0_arm64", "win_amd64"]


def test_show_tells_binaries_and_needs(wheel: Path) -> None:
    ((profile,), failures) = api.show(wheel)
    assert failures == ()
    assert {binary.member for binary in profile.binaries} == {"demo/liba.dylib", "demo/ext.so"}
    assert How.PROMISED in {need.how for need in profile.needs}
    assert profile.computed.tags


def test_tree_of_a_member_opens_that_one(wheel: Path) -> None:
    ((forest,), _) = api.tree(wheel, "liba.dylib")
    assert [load.root.rpartition("/")[2] for load in forest.loads] == ["liba.dylib"]
    with pytest.raises(UsageError, match="no binary is called"):
        api.tree(wheel, "nothing.dylib")


def test_a_target_overrides_the_tags(wheel: Path) -> None:
    (report,), _ = api.audit(wheel, target="macosx_14_0_arm64")
    assert report.target == "macosx_14_0_arm64"


def test_an_archive_beyond_the_limit_is_a_failure(wheel: Path) -> None:
    reports, (failure,) = api.audit(wheel, max_size=100)
    assert reports == ()
    assert (failure.subject, failure.code) == (str(wheel), 3)


def test_progress_tells_every_member_once(wheel: Path) -> None:
    steps: list[api.Step] = []
    api.audit([wheel, wheel], progress=steps.append)
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    assert [(step.number, step.total) for step in steps if not step.member] == [(1, 2), (2, 2)]
    assert {step.member: step.size for step in steps if step.number == 2 and step.member} == sizes
    assert len(steps) == 2 * (1 + len(sizes))


def test_libraries_in_a_search_directory_are_named_with_their_hash(tmp_path: Path) -> None:
    import hashlib

    folder = FIXTURES / "bin/macho/x86_64"
    tag = "cp312-cp312-macosx_11_0_x86_64"
    wheel = tmp_path / f"demo-1.0-{tag}.whl"
    wheel.write_bytes(b.wheel({"demo/libb.dylib": (folder / "libb.dylib").read_bytes()}, tags=[tag]))
    (binary,) = api.show(wheel)[0][0].binaries
    names = [need.name.rpartition("/")[2] for need in binary.images[0].needed if "liba" in need.name]
    assert names, "the fixture needs liba"
    place = tmp_path / "found"
    place.mkdir()
    data = (folder / "liba.dylib").read_bytes()
    (place / names[0]).write_bytes(data)
    ((profile,), _) = api.show(wheel, search=[place])
    assert profile.inputs == ((f"{place.as_posix()}/{names[0]}", hashlib.sha256(data).hexdigest()),)
    ((report,), _) = api.audit(wheel, search=[place])
    assert report.inputs == profile.inputs
    assert api.show(wheel)[0][0].inputs == ()


def test_a_damaged_archive_is_a_failure_not_an_exception(wheel: Path) -> None:
    whole = wheel.read_bytes()
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        wheel.write_bytes(whole[:cut])
        reports, failures = api.audit(wheel)
        assert not reports
        assert all(isinstance(failure, Failure) and failure.code == 3 for failure in failures)


def test_the_buffer_of_a_wheel_is_let_go(wheel: Path) -> None:
    api.audit(wheel)
    wheel.unlink()  # refused on Windows while it is open


def test_a_zip_without_wheel_metadata_does_not_raise(tmp_path: Path) -> None:
    path = tmp_path / f"odd-1.0-{MAC}.whl"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x", b"")
    path.write_bytes(out.getvalue())
    reports, failures = api.audit(path)
    assert len(reports) + len(failures) == 1
