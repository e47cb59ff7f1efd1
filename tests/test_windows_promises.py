"""What Windows and its Python bring, and what they do not."""

import importlib
import importlib.util
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from relocator.backends.windows import promises
from relocator.target import Promises, Target

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "src/relocator/backends/windows/promises.json"


def of(arch: str = "amd64", python: str = "cp312", abi: str = "cp312") -> Promises:
    pythons, abis = tuple(filter(None, python.split("."))), tuple(filter(None, abi.split(".")))
    found = promises(Target("win", "windows", "", ((arch, ()),), pythons=pythons, abis=abis), arch)
    assert found is not None
    return found


@pytest.mark.parametrize("arch", ["amd64", "win32", "arm64"])
@pytest.mark.parametrize(
    "name",
    [
        "KERNEL32.dll",
        "ucrtbase.dll",
        "api-ms-win-crt-runtime-l1-1-0.dll",
        "ext-ms-win-ntuser-window-l1-1-0.dll",
        "msvcrt.dll",
        "WS2_32.dll",
        "bcryptprimitives.dll",
        "d3d12.dll",
        "winspool.drv",
        "dbghelp.dll",
        "VCRUNTIME140.dll",
        "python312.dll",
        "python3.dll",
    ],
)
def test_these_are_there_on_every_architecture(arch: str, name: str) -> None:
    assert of(arch).has(name, ())


@pytest.mark.parametrize("arch", ["amd64", "win32", "arm64"])
@pytest.mark.parametrize(
    "name",
    [
        "MSVCP140.dll",
        "msvcp140_1.dll",
        "concrt140.dll",
        "vcomp140.dll",
        "mfc140u.dll",
        "vcruntime140d.dll",
        "ucrtbased.dll",
        "msvcr100.dll",
        "vcruntime140_threads.dll",
        "python311.dll",
        "python313.dll",
        "python313t.dll",
        "python3t.dll",
        "libssl-3.dll",
        "nvcuda.dll",
        "vulkan-1.dll",
        "zlib1.dll",
        "libgcc_s_seh-1.dll",
    ],
)
def test_these_are_not_windows_and_not_pythons(arch: str, name: str) -> None:
    assert not of(arch).has(name, ())


@pytest.mark.parametrize(
    ("arch", "python", "abi", "expected"),
    [
        ("amd64", "cp38", "cp38", False),
        ("amd64", "cp39", "cp39", True),
        ("amd64", "cp314", "cp314", True),
        ("win32", "cp312", "cp312", False),
        ("arm64", "cp312", "cp312", True),
        ("amd64", "cp38", "abi3", False),
        ("amd64", "cp311", "abi3", True),
        ("amd64", "cp38.cp39", "cp38.cp39", False),
        ("amd64", "py3", "none", False),
        ("amd64", "pp310", "pypy310_pp73", False),
    ],
)
def test_the_second_half_of_the_runtime_comes_with_python_from_3_9_on_64_bits(arch: str, python: str, abi: str, expected: bool) -> None:
    assert of(arch, python, abi).has("VCRUNTIME140_1.dll", ()) == expected
    assert of(arch, python, abi).has("VCRUNTIME140.dll", ())


@pytest.mark.parametrize(
    ("python", "abi", "there", "absent"),
    [
        ("cp313", "cp313t", {"python313t.dll", "python3t.dll"}, {"python313.dll", "python3.dll"}),
        ("cp311", "abi3", {"python3.dll"}, {"python311.dll", "python312.dll"}),
        ("cp315", "abi3t", {"python3t.dll"}, {"python315t.dll", "python3.dll"}),
        ("cp315", "abi3.abi3t", {"python3t.dll", "python3.dll"}, {"python315.dll"}),
        ("cp312", "cp312d", {"python312_d.dll", "ucrtbased.dll", "vcruntime140d.dll"}, {"python312.dll"}),
        ("cp310.cp311", "cp310.cp311", {"python310.dll", "python311.dll"}, {"python312.dll"}),
        ("cp312", "none", {"python312.dll"}, {"python311.dll"}),
        ("pp310", "pypy310_pp73", {"libpypy3.10-c.dll"}, {"python310.dll", "python3.dll"}),
        ("graalpy311", "graalpy242_311_native", {"python-native.dll"}, {"python311.dll"}),
        ("py3", "none", {"python39.dll", "python3.dll", "python314t.dll", "libpypy3.11-c.dll"}, {"python27.dll"}),
        ("", "", {"python39.dll", "python3.dll"}, {"msvcp140.dll"}),
    ],
)
def test_pythons_own_libraries_follow_from_the_tags(python: str, abi: str, there: set[str], absent: set[str]) -> None:
    found = of("amd64", python, abi)
    assert {name for name in there | absent if found.has(name, ())} == there


def test_another_system_gets_none() -> None:
    assert promises(Target("linux_x86_64", "linux"), "x86_64") is None


def test_an_architecture_that_nobody_looked_at_has_what_all_others_have() -> None:
    assert of("arm32").has("kernel32.dll", ())
    assert not of("arm32").has("opengl32.dll", ())
    assert of("amd64").has("opengl32.dll", ())


def test_there_is_one_level_and_case_does_not_matter() -> None:
    found = of()
    assert [level.version for level in found.levels] == [()]
    assert found.fold_case
    assert found.knows("USER32.DLL")


def test_the_table_has_its_source_and_date_and_only_folded_names() -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    assert table["source"]
    assert table["date"] > "2026"
    names = [name for group in table["libraries"].values() for line in group.values() for name in line.split()]
    assert all(name == name.casefold() for name in (*names, *table["known_dlls"]))
    assert set(table["known_dlls"]) <= set(names)


def test_the_table_is_what_its_script_writes_from_the_published_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    try:
        installed = version("delvewheel")
    except PackageNotFoundError:
        pytest.skip("delvewheel, whose lists the table is made from, is not installed")
    if f"delvewheel {installed};" not in table["source"]:
        pytest.skip(f"the table was made from another release than the installed {installed}")
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    ((name, facts),) = importlib.import_module("knowledge.windows").facts().items()
    rendered = importlib.import_module("update_knowledge").render(facts, ROOT / name)
    assert rendered == TABLE.read_text(encoding="utf-8")
