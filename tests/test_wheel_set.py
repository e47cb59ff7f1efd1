"""Wheels as they would lie side by side: one platform and Python for all, one world, and what fits nothing is refused."""

import json
import zipfile
from pathlib import Path

import pytest

from builders import wheel
from conftest import FIXTURES
from relocator import api
from relocator.containers import open_wheels
from relocator.errors import ContainerError, UsageError
from relocator.lock_files import applies, read_lock
from relocator.locks import marker_environment
from relocator.model import How, Interpreter, Survey
from relocator.survey import take_surveys
from relocator.wheel_choice import candidates_of, choose

ELF = FIXTURES / "bin" / "elf" / "x86_64"
LINUX = "cp312-cp312-manylinux_2_28_x86_64"


def chosen(*names: str, target: str = "", python: str = "") -> str:
    return choose(candidates_of(names), target, python).tag


def put(folder: Path, name: str, files: dict[str, bytes], tag: str = LINUX, version: str = "1.0") -> str:
    path = folder / f"{name}-{version}-{tag}.whl"
    path.write_bytes(wheel(files, name=name, version=version, tags=[tag]))
    return str(path)


def survey(*paths: str, target: str = "") -> Survey:
    found = choose(candidates_of(paths), target)
    with open_wheels("set", found.paths, tag=found.tag, interpreter=found.interpreter) as container:
        (result,) = take_surveys(container)
        return result


# ---- the platform and Python that all fit


@pytest.mark.parametrize(
    ("names", "tag"),
    [
        (["a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "b-1-cp312-cp312-manylinux_2_28_x86_64.whl"], "cp312-cp312-manylinux_2_28_x86_64"),
        (["a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"], "cp312-cp312-manylinux_2_17_x86_64"),
        (["a-1-cp312-cp312-manylinux_2_28_x86_64.whl", "b-1-py3-none-any.whl"], "cp312-cp312-manylinux_2_28_x86_64"),
        (["a-1-cp39-abi3-win_amd64.whl", "b-1-cp312-cp312-win_amd64.whl"], "cp312-cp312-win_amd64"),
        (["a-1-cp39-abi3-musllinux_1_1_x86_64.whl", "b-1-py3-none-musllinux_1_2_x86_64.whl"], "cp39-cp39-musllinux_1_2_x86_64"),
        (["a-1-cp313-cp313t-macosx_11_0_arm64.whl", "b-1-cp313-cp313t-macosx_14_0_universal2.whl"], "cp313-cp313t-macosx_14_0_arm64"),
        (["a-1-cp312-cp312-linux_x86_64.whl", "b-1-cp312-cp312-linux_x86_64.whl"], "cp312-cp312-linux_x86_64"),
        (["a-1-py3-none-any.whl"], "py3-none-any"),
    ],
)
def test_the_tags_of_all_wheels_give_one(names: list[str], tag: str) -> None:
    assert chosen(*names) == tag


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a-1-cp312-cp312-win_amd64.whl", "b-1-cp312-cp312-macosx_11_0_arm64.whl"],
            "fit no common platform: a for win_amd64, b for macosx_11_0_arm64",
        ),
        (["a-1-cp312-cp312-musllinux_1_2_x86_64.whl", "b-1-cp312-cp312-manylinux_2_28_x86_64.whl"], "fit no common platform"),
        (["a-1-cp311-cp311-win_amd64.whl", "b-1-cp312-cp312-win_amd64.whl"], "fit no common Python: a for cp311, b for cp312"),
        (["a-1-cp312-cp312-win_amd64.whl", "a-1-cp312-cp312-macosx_11_0_arm64.whl"], "a has wheels for several platforms"),
        (["a-1.whl"], "'a-1.whl' is not the name of a wheel"),
        ([], "there is no wheel to look at"),
    ],
)
def test_wheels_that_fit_nothing_together_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(*names)


@pytest.mark.parametrize(
    ("target", "python", "taken"),
    [
        ("win_amd64", "", "a-1-cp312-cp312-win_amd64.whl"),
        ("macosx_14_0_arm64", "3.12", "a-1-cp312-cp312-macosx_11_0_arm64.whl"),
        ("manylinux_2_28_x86_64", "3.11", "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"),
        ("manylinux_2_28_x86_64", "", "a-2-cp312-cp312-manylinux_2_28_x86_64.whl"),
        ("manylinux_2_17_x86_64", "3.12", "a-1-cp312-cp312-manylinux_2_17_x86_64.whl"),
    ],
)
def test_target_and_python_choose_among_wheels_of_one_project(target: str, python: str, taken: str) -> None:
    names = [
        *("a-1-cp312-cp312-win_amd64.whl", "a-1-cp312-cp312-macosx_11_0_arm64.whl", "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"),
        *("a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "a-2-cp312-cp312-manylinux_2_28_x86_64.whl"),
    ]
    assert choose(candidates_of(names), target, python).paths == (taken,)


def test_a_wheel_that_does_not_fit_the_target_is_named() -> None:
    with pytest.raises(UsageError, match=r"no wheel of b fits manylinux_2_17_x86_64 and cp312: b-1-cp312-cp312-manylinux_2_28_x86_64\.whl"):
        chosen("a-1-py3-none-any.whl", "b-1-cp312-cp312-manylinux_2_28_x86_64.whl", target="manylinux_2_17_x86_64", python="3.12")


@pytest.mark.parametrize("python", ["2.7", "three", "3.12.1", "cp", ""])
def test_a_python_that_is_none_is_refused(python: str) -> None:
    if python:
        with pytest.raises(UsageError, match="is not a version of Python"):
            chosen("a-1-py3-none-any.whl", python=python)
    else:
        assert chosen("a-1-py3-none-any.whl", python=python) == "py3-none-any"


# ---- one world


def test_one_wheels_library_meets_anothers_need(tmp_path: Path) -> None:
    user = put(tmp_path, "user", {"user/x.so": (ELF / "rpath.so").read_bytes()})
    provider = put(tmp_path, "provider", {"lib/liba.so": (ELF / "liba.so").read_bytes()})
    together = survey(user, provider)
    (need,) = next(load for load in together.loads if load.root.endswith("user/x.so")).resolutions
    assert (need.how, need.target) == (How.PROVIDED, "/<prefix>/lib/python3/site-packages/lib/liba.so")
    assert {binary.member: binary.owner for binary in together.binaries} == {"user/x.so": "user", "lib/liba.so": "provider"}
    (need,) = survey(user).loads[0].resolutions
    assert need.how == How.MISSING


def test_the_set_is_an_environment_without_a_python(tmp_path: Path) -> None:
    found = survey(put(tmp_path, "demo", {"demo/ext.cpython-312-x86_64-linux-gnu.so": (ELF / "ext.so").read_bytes()}))
    assert (found.container.kind, found.container.interpreter) == ("environment", Interpreter(version=(3, 12)))
    assert found.container.origin == "1 wheel as installed side by side"
    assert (found.target.tag, found.target.pythons) == ("manylinux_2_28_x86_64", ("cp312",))
    assert [binary.extension for binary in found.binaries] == ["demo.ext"]


def test_a_file_that_two_wheels_bring_is_told(tmp_path: Path) -> None:
    same = {"shared/__init__.py": b"", "shared/a.txt": b""}
    found = survey(put(tmp_path, "one", same), put(tmp_path, "two", same)).container.problems
    assert [tuple(p) for p in found] == [
        ("shared-file", "shared/__init__.py", "two owns shared/__init__.py and 1 more, which one owns, too")
    ]


def test_a_wheel_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"PK\3\4 cut")
    reports, (failure,) = api.env_of_wheels([tmp_path / "a-1-py3-none-any.whl", put(tmp_path, "b", {})])
    assert (reports, failure.code) == ((), 3)
    assert failure.message.startswith(f"cannot be laid out: {tmp_path}/a-1-py3-none-any.whl ")


# ---- lock files


def lock(folder: Path, *packages: dict[str, object]) -> str:
    lines = ['lock-version = "1.0"', 'created-by = "test"']
    for package in packages:
        lines += ["[[packages]]", *(f"{key} = {json.dumps(value)}" for key, value in package.items() if key != "wheels")]
        for wheel_of in package.get("wheels", ()):  # type: ignore[attr-defined]
            lines += ["[[packages.wheels]]", *(f"{key} = {json.dumps(value)}" for key, value in wheel_of.items())]
    path = folder / "pylock.toml"
    path.write_text("\n".join(lines))
    return str(path)


def test_a_lock_file_names_the_set(tmp_path: Path) -> None:
    wheels = [put(tmp_path, "a-b".replace("-", "_"), {}), put(tmp_path, "c", {}, "py3-none-any"), put(tmp_path, "stray", {})]
    path = lock(
        tmp_path,
        {"name": "a-b", "version": "1.0", "wheels": [{"name": f"a_b-1.0-{LINUX}.whl"}, {"name": "a_b-1.0-cp312-cp312-win_amd64.whl"}]},
        {"name": "c", "version": "1.0", "wheels": [{"url": "https://example.org/files/c-1.0-py3-none-any.whl#sha256=1"}]},
        {"name": "windows-only", "version": "1", "marker": "sys_platform == 'win32'", "wheels": [{"path": "w-1-py3-none-any.whl"}]},
    )
    found = api.wheels_of_lock(path, [tmp_path], target="manylinux_2_28_x86_64", python="3.12")
    assert found == tuple(wheels[:2])


def test_wheels_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = lock(
        tmp_path,
        {"name": "a", "version": "1.0", "wheels": [{"name": "a-1.0-py3-none-any.whl"}]},
        {"name": "b", "version": "2.0", "sdist": {}},
    )
    with pytest.raises(
        ContainerError, match=r"2 packages have no wheel in .*: a 1\.0 \(none of its 1 wheels\), b 2\.0 \(the lock file names none\)"
    ):
        api.wheels_of_lock(path, [tmp_path])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "is no TOML"),
        (b"a = [", "is no TOML"),
        (b"[project]\nname = 'x'\n", "is no pylock.toml of version 1"),
        (b'lock-version = "2.0"\npackages = []\n', "is no pylock.toml of version 1"),
    ],
)
def test_what_is_no_lock_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ContainerError, match=message):
        read_lock(data)


def test_odd_entries_of_a_lock_file_are_left_out() -> None:
    data = b'lock-version = "1.0"\n'
    data += b'packages = [{}, {name = "a", wheels = [3, {}, {name = "a-1-py3-none-any.whl"}]}, {name = "b", wheels = 3}]\n'
    assert [(p.name, p.wheels) for p in read_lock(data)] == [("a", ("", "a-1-py3-none-any.whl")), ("b", ())]


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("sys_platform == 'win32'", True),
        ("platform_machine == 'AMD64'", True),
        ("python_version < '3.12'", False),
        ("nonsense (", True),
        ("", True),
    ],
)
def test_markers_are_judged_for_the_target(marker: str, expected: bool) -> None:
    assert applies(marker, marker_environment("win_amd64", "3.12")) == expected


@pytest.mark.parametrize("platform", ["manylinux_2_17_x86_64", "win_amd64", "macosx_11_0_arm64"])
@pytest.mark.parametrize("kind", ["clean", "faulty"])
def test_wheels_give_the_findings_of_the_folder_that_they_are_installed_into(tmp_path: Path, platform: str, kind: str) -> None:
    path = FIXTURES / "wheels" / f"{kind}-1.0-cp312-cp312-{platform}.whl"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "target")
    (before,), _ = api.env_of_wheels([path], python="3.12")
    (after,), _ = api.env(tmp_path / "target", target=f"cp312-cp312-{platform}")
    asked = [{(f.rule, f.message, f.primary.value) for f in report.findings if f.rule not in ARCHIVE} for report in (before, after)]
    assert asked[0] == asked[1]
    assert bool(asked[0]) == (kind == "faulty")


ARCHIVE = ("malformed-record", "record-mismatch", "unreadable-binary")
"""What RECORD and the archive say of a file is another matter once it is installed."""
