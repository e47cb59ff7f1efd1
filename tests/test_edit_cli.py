"""`relocate edit`: from options to edits, what it prints, what it refuses, and the way back for every fixture."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edit_battery as battery
from conftest import FIXTURES, Run
from relocator import api
from relocator.backends import backend_for, identify
from relocator.cli import edit as cli_edit
from relocator.editing import AddPath, DropPath, KeepPaths, ReplacePath, Wish
from relocator.errors import InternalError
from relocator.model import Image
from relocator.native import ElfFacts
from relocator.plans import (
    AddNeeded,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)
from relocator.verification import Level

BIN = FIXTURES / "bin"
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX alone")


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a fixture into a folder of the test's own."""
    folder = tmp_path / "copies"
    folder.mkdir()
    return lambda name: Path(shutil.copy2(BIN / name, folder / name.replace("/", "-")))


def read(path: Path) -> tuple[Image, ...]:
    data = path.read_bytes()
    backend = identify(data[:64])
    assert backend
    return backend.read(memoryview(data))


def needs(path: Path) -> list[str]:
    return [need.name for need in read(path)[0].needed]


def paths(path: Path) -> list[str]:
    return [f"{item.kind} {item.text}" for item in read(path)[0].search_paths]


# ---- options

KINDS = {"kind runpath": PathKind.RUNPATH, "kind rpath": PathKind.RPATH, "--force-rpath": PathKind.RPATH}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("--set-rpath /a", [SetSearchPaths(("/a",))]),
        ("--set-rpath /a --set-rpath /b", [SetSearchPaths(("/a", "/b"))]),
        ("-r /a", [SetSearchPaths(("/a",))]),
        ("--add-rpath /a --add-rpath /b", [AddPath("/a"), AddPath("/b")]),
        ("-add_rpath /a", [AddPath("/a")]),
        ("--drop-rpath /a", [DropPath("/a")]),
        ("-delete_rpath /a", [DropPath("/a")]),
        ("--remove-rpath", [SetSearchPaths(())]),
        ("--replace-rpath /a /b", [ReplacePath("/a", "/b")]),
        ("-rpath /a /b", [ReplacePath("/a", "/b")]),
        ("--add-rpath /a --set-rpath /b --drop-rpath /c --set-rpath /d", [AddPath("/a"), SetSearchPaths(("/b", "/d")), DropPath("/c")]),
        ("--remove-rpath --add-rpath /a", [SetSearchPaths(()), AddPath("/a")]),
        ("--add-rpath /a --remove-rpath", [AddPath("/a"), SetSearchPaths(())]),
        ("-delete_rpath /a --drop-rpath /b -delete_rpath /c", [DropPath("/a"), DropPath("/b"), DropPath("/c")]),
        ("--replace-needed a b", [ReplaceNeeded("a", "b")]),
        ("-change a b --replace-needed c d", [ReplaceNeeded("a", "b"), ReplaceNeeded("c", "d")]),
        ("--add-needed a --remove-needed b", [AddNeeded("a"), RemoveNeeded("b")]),
        ("--set-identity a", [SetIdentity("a")]),
        ("--set-soname a", [SetIdentity("a")]),
        ("-id a", [SetIdentity("a")]),
        ("--set-interpreter /ld", [SetInterpreter("/ld")]),
        ("--set-execstack", [SetExecutableStack(True)]),
        ("-s", [SetExecutableStack(True)]),
        ("--clear-execstack", [SetExecutableStack(False)]),
        ("-c", [SetExecutableStack(False)]),
        ("--resign", [Resign()]),
        ("--arch arm64 --set-rpath /a --resign", [SetSearchPaths(("/a",), arch="arm64"), Resign("arm64")]),
        ("--set-interpreter /ld --arch x86_64", [SetInterpreter("/ld")]),
        ("--rpath-kind rpath", [KeepPaths()]),
        ("--rpath-kind runpath --arch x86_64", [KeepPaths("x86_64")]),
        ("--rpath-kind rpath --add-rpath /a", [AddPath("/a")]),
        ("--force-rpath --set-rpath /a", [SetSearchPaths(("/a",))]),
    ],
)
def test_options_become_edits_in_the_order_in_which_they_are_typed(
    run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, expected: list[Wish]
) -> None:
    asked: list[Any] = []

    def note(paths: list[str], wishes: list[Wish], **options: Any) -> tuple[tuple[()], tuple[()]]:
        asked.append((paths, wishes, options))
        return (), ()

    monkeypatch.setattr(api, "edit", note)
    assert run("edit", *typed.split(), "x.so").code == 0
    ((files, wishes, options),) = asked
    assert files == ["x.so"]
    assert wishes == expected
    kind = next((value for word, value in KINDS.items() if word in typed), PathKind.KEEP)
    assert options["kind"] == kind


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", {"verify": Level.NORMAL, "dry_run": False, "output": "", "journal": "", "parents": "", "break_hard_links": False}),
        ("--verify full", {"verify": Level.FULL}),
        ("--no-verify", {"verify": Level.NONE}),
        ("-n", {"dry_run": True}),
        ("-o y.so", {"output": "y.so"}),
        ("--output y.so", {"output": "y.so"}),
        ("--journal j", {"journal": "j"}),
        ("--parents d", {"parents": "d"}),
        ("--break-hard-links", {"break_hard_links": True}),
    ],
)
def test_options_that_are_no_edits(run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, expected: dict[str, Any]) -> None:
    asked: dict[str, Any] = {}

    def note(paths: list[str], wishes: list[Wish], **options: Any) -> tuple[tuple[()], tuple[()]]:
        asked.update(options)
        return (), ()

    monkeypatch.setattr(api, "edit", note)
    assert run("edit", "--set-rpath", "/a", "x.so", *typed.split()).code == 0
    assert expected.items() <= asked.items()


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "x.so",
        "--set-rpath /a",
        "--set-rpath",
        "--replace-needed a x.so",
        "--set-execstack --clear-execstack x.so",
        "--no-verify --verify full --resign x.so",
        "--force-rpath --rpath-kind runpath --set-rpath /a x.so",
        "--rpath-kind both x.so",
        "--undo j x.so",
        "--undo j --set-rpath /a",
        "--resign -o z x.so y.so",
        "--resign -o z --journal j x.so",
        "--resign -o x.so x.so",
        "--shrink-rpath x.so",
    ],
)
def test_a_command_line_without_sense_exits_with_2(run: Run, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.so", "y.so"):
        shutil.copy(BIN / "elf/x86_64/ext.so", name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = run("edit", *typed.split())
    assert (result.code, result.out) == (2, "")
    assert result.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_alias_is_in_the_help(run: Run) -> None:
    told = run("edit", "--help").out
    for option in cli_edit._OPTIONS:
        assert all(f"{alias} " in told or f"{alias}\n" in told or f"{alias}," in told for alias in option.aliases), option


def test_a_variable_of_the_environment_edits_nothing(run: Run, copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = copy("elf/x86_64/ext.so")
    monkeypatch.setenv("RELOCATOR_REMOVE_RPATH", "1")
    monkeypatch.setenv("RELOCATOR_ADD_RPATH", "/evil")
    assert run("edit", "--drop-rpath", "/none", path).code == 0
    assert path.read_bytes() == (BIN / "elf/x86_64/ext.so").read_bytes()


# ---- what comes of it


@pytest.mark.parametrize(
    ("name", "typed", "expected"),
    [
        ("elf/x86_64/runpath.so", "--set-rpath $ORIGIN/x", ["DT_RUNPATH $ORIGIN/x"]),
        ("elf/x86_64/rpath.so", "--set-rpath $ORIGIN/x:$ORIGIN/y", ["DT_RPATH $ORIGIN/x", "DT_RPATH $ORIGIN/y"]),
        ("elf/x86_64/rpath.so", "--set-rpath /x --rpath-kind runpath", ["DT_RUNPATH /x"]),
        ("elf/x86_64/runpath.so", "--force-rpath --set-rpath /x", ["DT_RPATH /x"]),
        ("elf/x86_64/libb.so", "--add-rpath /x --add-rpath /x", ["DT_RUNPATH /x"]),
        ("elf/x86_64/libb.so", "--add-rpath /x --add-rpath /y --drop-rpath /x --replace-rpath /y /z", ["DT_RUNPATH /z"]),
        ("elf/x86_64/runpath.so", "--remove-rpath", []),
        (
            "macho/arm64/ext.so",
            "-r @loader_path/x -add_rpath @loader_path/y",
            ["LC_RPATH @loader_path/x", "LC_RPATH @loader_path/y"],
        ),
        ("macho/arm64/ext.so", "--remove-rpath", []),
        ("macho/x86_64/duplicate_rpath.so", "--add-rpath @loader_path/z", ["LC_RPATH @loader_path/a", "LC_RPATH @loader_path/z"]),
    ],
)
def test_search_paths(run: Run, copy: Callable[[str], Path], name: str, typed: str, expected: list[str]) -> None:
    path = copy(name)
    result = run("edit", *typed.split(), path)
    assert (result.code, result.err) == (0, "")
    assert paths(path) == expected
    assert "sees it too" in result.out
    again = run("edit", *typed.split(), path)
    assert again.code == 0 or "no search path /y to replace" in again.err


def test_the_kind_alone_can_be_changed(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("elf/x86_64/runpath.so")
    before = paths(path)
    assert run("edit", "--rpath-kind", "rpath", path).code == 0
    assert paths(path) == [item.replace("DT_RUNPATH", "DT_RPATH") for item in before]
    assert "nothing to do" in run("edit", "--rpath-kind", "rpath", path).out
    assert run("edit", "--rpath-kind", "runpath", path).code == 0
    assert path.read_bytes() == (BIN / "elf/x86_64/runpath.so").read_bytes()


def test_parents_decide_the_kind_of_a_file_without_paths(run: Run, copy: Callable[[str], Path]) -> None:
    child, parent = copy("elf/x86_64/liba.so"), copy("elf/x86_64/libb.so")
    child = child.rename(child.with_name("liba.so"))
    folder = child.parent
    result = run("edit", "--set-rpath", "/x", "--parents", folder, "-o", folder / "one.so", child)
    assert paths(folder / "one.so") == ["DT_RUNPATH /x"]
    assert "DT_RUNPATH was chosen: none of the 1 files that need it has a DT_RPATH" in result.out
    assert run("edit", "--rpath-kind", "rpath", "--set-rpath", "$ORIGIN", parent).code == 0
    result = run("edit", "--set-rpath", "/x", "--parents", folder, "-o", folder / "two.so", child)
    assert paths(folder / "two.so") == ["DT_RPATH /x"]
    assert f"DT_RPATH was chosen, since {parent.name}, which needs the file, has one" in result.out
    result = run("edit", "--set-rpath", "/x", "-o", folder / "three.so", child)
    assert paths(folder / "three.so") == ["DT_RUNPATH /x"]
    assert "the file had no search path and got DT_RUNPATH" in result.out
    other = copy("elf/aarch64/liba.so")
    assert "no file" in run("edit", "--set-rpath", "/x", "--parents", folder, "-n", other).out


def test_parents_must_be_a_folder(run: Run, copy: Callable[[str], Path]) -> None:
    assert run("edit", "--set-rpath", "/x", "--parents", "/no/such/folder", copy("elf/x86_64/liba.so")).code == 3


def test_one_slice_alone_can_be_edited(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("macho/fat/liba.dylib")
    assert run("edit", "--arch", "arm64", "-id", "@rpath/other.dylib", path).code == 0
    assert {image.arch: image.identity for image in read(path)} == {
        image.arch: "@rpath/other.dylib" if image.arch == "arm64" else image.identity for image in read(BIN / "macho/fat/liba.dylib")
    }
    result = run("edit", "--arch", "ppc", "-id", "@rpath/other.dylib", path)
    assert result.code == 4
    assert "there is no code for ppc in it" in result.err


def test_several_files_are_edited_together(run: Run, copy: Callable[[str], Path]) -> None:
    files = [copy(name) for name in ("elf/x86_64/ext.so", "macho/arm64/ext.so", "pe/x64/ext.pyd")]
    journal = files[0].with_name("journal")
    result = run("edit", "--add-needed", "a.dll!f", "--journal", journal, *files)
    assert (result.code, result.err) == (0, "")
    assert all(any(name.startswith("a.dll") for name in needs(path)) for path in files)
    assert run("edit", "--undo", journal).code == 0
    assert all(path.read_bytes() == (BIN / path.name.replace("-", "/")).read_bytes() for path in files)


def test_the_result_can_go_to_another_file(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("elf/x86_64/ext.so")
    result = run("edit", "--set-rpath", "/x", "-o", path.with_name("out.so"), path)
    assert result.code == 0
    assert f"written            {path.with_name('out.so')}" in result.out
    assert paths(path.with_name("out.so")) == ["DT_RUNPATH /x"]
    assert path.read_bytes() == (BIN / "elf/x86_64/ext.so").read_bytes()
    result = run("edit", "--drop-rpath", "/none", "-o", path.with_name("same.so"), path)
    assert "nothing to do, copied to" in result.out
    assert path.with_name("same.so").read_bytes() == path.read_bytes()


def test_nothing_to_do_is_said(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("elf/x86_64/ext.so")
    before = path.stat()
    for typed in (["--drop-rpath", "/none"], ["--remove-needed", "none.so"], ["--clear-execstack"]):
        result = run("edit", *typed, path)
        assert result.code == 0
        assert "nothing to do" in result.out
    assert path.stat().st_ctime_ns == before.st_ctime_ns
    told = json.loads(run("edit", "--drop-rpath", "/none", "--format", "json", path).out)
    assert told["plans"][0]["actions"] == []


# ---- what is refused


def refused(run: Run, path: Path, *typed: object, code: int = 4) -> str:
    """Run an edit that must fail, and return what it says; the file must be as it was, and nothing beside it."""
    before = {other.name: other.read_bytes() for other in path.parent.iterdir()}
    result = run("edit", *typed, path)
    assert result.code == code, result
    assert "Traceback" not in result.err
    assert "= help:" in result.err
    assert {other.name: other.read_bytes() for other in path.parent.iterdir()} == before
    return result.err


@pytest.mark.parametrize(
    ("name", "typed", "code", "told"),
    [
        ("elf/x86_64/ext.so", ["--replace-needed", "gone.so", "x.so"], 4, "does not need 'gone.so'"),
        ("elf/x86_64/ext.so", ["--replace-rpath", "/gone", "/x"], 4, "there is no search path /gone to replace"),
        ("elf/x86_64/ext.so", ["--set-rpath", ""], 2, "empty"),
        ("elf/x86_64/ext.so", ["--set-rpath", "/a::/b"], 2, "empty"),
        ("elf/x86_64/ext.so", ["--set-rpath", "x" * 5000], 4, "5000 bytes"),
        ("elf/x86_64/ext.so", ["--set-identity", "x" * 5000], 4, "5000 bytes"),
        ("elf/x86_64/ext.so", ["--set-interpreter", "/ld.so"], 4, "no interpreter"),
        ("elf/x86_64/ext.so", ["--resign"], 4, "no signature"),
        ("elf/x86_64/static", ["--set-rpath", "/x"], 4, "static program"),
        ("elf/other/a.o", ["--set-rpath", "/x"], 4, "none that a loader maps"),
        ("macho/other/a.o", ["--set-rpath", "/x"], 4, "none that a loader maps"),
        ("macho/other/liba.a", ["--set-rpath", "/x"], 4, "none that a loader maps"),
        ("macho/arm64/ext.so", ["--set-rpath", "/a:/b"], 4, "no separator"),
        ("macho/arm64/ext.so", ["--set-rpath", "x" * 5000], 4, "5000 bytes"),
        ("macho/arm64/ext.so", ["--set-rpath", "/x", "--rpath-kind", "rpath"], 4, "LC_RPATH"),
        ("macho/arm64/ext.so", ["--set-execstack"], 4, "stack"),
        ("pe/x64/ext.pyd", ["--set-rpath", "/x"], 4, "no search paths"),
        ("pe/x64/ext.pyd", ["--remove-needed", "libb.dll"], 4, "imported from libb.dll"),
        ("pe/x64/ext.pyd", ["--replace-needed", "libb.dll", "x" * 5000], 4, "5000"),
        ("pe/x64/ext.pyd", ["--replace-needed", "libb.dll", "a:b|c"], 4, "no file name"),
        ("pe/x64/ext.pyd", ["--add-needed", "x.dll"], 4, "without a symbol"),
    ],
)
def test_what_cannot_be_done_is_refused(  # noqa: PLR0917  (a decision table)
    run: Run, copy: Callable[[str], Path], name: str, typed: list[str], code: int, told: str
) -> None:
    assert told in refused(run, copy(name), *typed, code=code)


def test_absent_room_is_told_in_bytes(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("macho/arm64/ext.so")
    room = 1000
    typed = [word for number in range(200) for word in ("--add-rpath", f"@loader_path/{number}/{'x' * room}"[:room])]
    told = refused(run, path, *typed)
    assert "bytes" in told
    assert "-headerpad" in told


def test_names_with_a_null_are_refused(copy: Callable[[str], Path]) -> None:
    for name in ("elf/x86_64/ext.so", "macho/arm64/ext.so", "pe/x64/ext.pyd"):
        path = copy(name)
        need = read(path)[0].needed[0].name
        plans, failures = api.edit(path, [ReplaceNeeded(need, "a\0b")])
        assert (len(plans), [failure.code for failure in failures]) == (0, [4])
    plans, failures = api.edit("a\0b", [Resign()])
    assert [failure.code for failure in failures] == [3]


def test_one_file_that_fails_keeps_all_from_being_written(run: Run, copy: Callable[[str], Path]) -> None:
    good, bad = copy("elf/x86_64/ext.so"), copy("pe/x64/ext.pyd")
    result = run("edit", "--set-rpath", "/x", good, bad)
    assert result.code == 4
    assert "nothing was written" in result.out
    assert "no search paths" in result.err
    assert good.read_bytes() == (BIN / "elf/x86_64/ext.so").read_bytes()


def test_damaged_files_and_other_things_are_refused(run: Run, copy: Callable[[str], Path], tmp_path: Path) -> None:
    path = copy("elf/x86_64/ext.so")
    path.write_bytes(path.read_bytes()[:300])
    assert "damaged: program headers" in refused(run, path, "--set-rpath", "/x", code=3)
    for content in (b"", b"text", b"PK\3\4" + bytes(100)):
        path.write_bytes(content)
        assert "relocate repair" in refused(run, path, "--set-rpath", "/x")
    assert run("edit", "--set-rpath", "/x", tmp_path / "gone.so").code == 3
    assert run("edit", "--set-rpath", "/x", tmp_path).code == 3


@POSIX
def test_links(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("elf/x86_64/ext.so")
    link = path.with_name("link.so")
    link.symlink_to(path.name)
    result = run("edit", "--set-rpath", "/x", link, path)
    assert result.code == 2
    assert "are one file" in result.err
    assert run("edit", "--set-rpath", "/x", path, path).code == 2
    assert run("edit", "--set-rpath", "/x", link).code == 0
    assert link.is_symlink()
    assert paths(path) == ["DT_RUNPATH /x"]
    os.link(path, path.with_name("hard.so"))
    assert "--break-hard-links" in refused(run, path, "--set-rpath", "/y")
    result = run("edit", "--set-rpath", "/y", "--break-hard-links", path)
    assert "its other hard links keep the old bytes" in result.out
    assert (paths(path), paths(path.with_name("hard.so"))) == (["DT_RUNPATH /y"], ["DT_RUNPATH /x"])


def test_a_disagreement_is_our_bug_and_writes_nothing(run: Run, copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = copy("elf/x86_64/ext.so")
    from relocator.backends.linux import verify

    monkeypatch.setattr(verify, "opinion", lambda images, data: ("pyelftools", ("needed: 1, second reading 2",) if b"/xyz" in data else ()))
    told = refused(run, path, "--set-rpath", "/xyz", code=5)
    assert "pyelftools disagrees: needed" in told
    assert "bug" in told
    assert run("edit", "--set-rpath", "/xyz", "--no-verify", path).code == 0


def test_an_editor_that_does_nothing_is_noticed(copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = copy("elf/x86_64/ext.so")
    from relocator.plans import Patchset

    monkeypatch.setattr(backend_for(read(path)[0].format), "prepare", lambda buffer, edits: Patchset(len(buffer), len(buffer)))
    _, (failure,) = api.edit(path, [SetSearchPaths(("/x",))])
    assert failure.code == InternalError.exit_code


# ---- what is printed


GOLDENS = {
    "elf.set-rpath": ("elf/x86_64/runpath.so", ["--set-rpath", "$ORIGIN/../demo.libs/with/a/longer/name"]),
    "elf.replace-needed": ("elf/x86_64/libb.so", ["--replace-needed", "liba.so", "liba-3f2a91c0.so", "--set-soname", "libb-3f2a91c0.so"]),
    "elf.none": ("elf/x86_64/libb.so", ["--drop-rpath", "/none"]),
    "macho.change": ("macho/arm64/ext.so", ["-change", "@rpath/liba.dylib", "@rpath/liba-3f2a91c0.dylib", "-add_rpath", "@loader_path/x"]),
    "macho.fat": ("macho/fat/liba.dylib", ["--arch", "x86_64", "-id", "@rpath/other.dylib"]),
    "pe.replace-needed": ("pe/x64/forward.dll", ["--replace-needed", "liba.dll", "liba-3f2a91c0.dll"]),
    "pe.add-needed": ("pe/x64/ext.pyd", ["--add-needed", "added.dll!function"]),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_a_dry_run_shows_every_patch_and_writes_nothing(
    run: Run, copy: Callable[[str], Path], golden: Callable[[str, str], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, typed = GOLDENS[name]
    path = copy(file)
    monkeypatch.chdir(path.parent)
    result = run("edit", "--dry-run", *typed, path.name)
    assert (result.code, result.err) == (0, "")
    golden(f"edit.{name}.txt", result.out)
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == (BIN / file).read_bytes()


def test_a_finished_edit_says_what_was_verified(
    run: Run, copy: Callable[[str], Path], golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy("elf/x86_64/runpath.so")
    monkeypatch.chdir(path.parent)
    golden("edit.done.txt", run("edit", "--set-rpath", "$ORIGIN", path.name).out)


def test_json_has_every_byte_of_every_patch(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("pe/x64/ext.pyd")
    old = path.read_bytes()
    typed = ["--replace-needed", "libb.dll", "another-name.dll", "--format", "json"]
    plan = json.loads(run("edit", "--dry-run", *typed, path).out)["plans"][0]
    assert (plan["subject"], plan["output"], plan["actions"][0]["written"]) == (str(path), str(path), False)
    result = run("edit", *typed, path)
    done = json.loads(result.out)["plans"][0]["actions"][0]
    assert done["written"]
    new = bytearray(old)
    for patch in done["patches"]:
        data = bytes.fromhex(patch["new"])
        assert old[patch["offset"] : patch["offset"] + len(data)] == bytes.fromhex(patch["old"])
        new[patch["offset"] : patch["offset"] + len(data)] = data
    assert bytes(new) == path.read_bytes()
    assert done["edits"] == [{"edit": "ReplaceNeeded", "old": "libb.dll", "new": "another-name.dll", "arch": ""}]
    assert done["changes"] == [{"arch": "amd64", "field": "import", "before": "libb.dll", "after": "another-name.dll"}]


def test_errors_are_in_the_json_too(run: Run, copy: Callable[[str], Path]) -> None:
    result = run("edit", "--set-rpath", "/x", "--format", "json", copy("pe/x64/ext.pyd"))
    assert result.code == 4
    assert [error["code"] for error in json.loads(result.out)["errors"]] == [4]


# ---- undo


@pytest.mark.parametrize("path", battery.fixtures(), ids=lambda path: path.relative_to(BIN).as_posix())
def test_undo_restores_every_fixture_byte_for_byte(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    done = 0
    for name, wishes in battery.wishes(read(path)):
        copied, journal = tmp_path / f"{name}.bin", tmp_path / f"{name}.json"
        shutil.copy2(path, copied)
        times = copied.stat()
        plans, failures = api.edit(copied, wishes, journal=journal, verify=Level.NONE)
        assert all(failure.code == 4 for failure in failures), failures
        if not failures and plans[0].written:
            assert copied.read_bytes() != before
            api.undo(journal)
            done += 1
        assert copied.read_bytes() == before
        assert (copied.stat().st_mode, copied.stat().st_mtime_ns) == (times.st_mode, times.st_mtime_ns)
    native = read(path)[0].native
    assert done or (isinstance(native, ElfFacts) and not native.dynamic)


def test_undo_is_told(run: Run, copy: Callable[[str], Path]) -> None:
    path = copy("elf/x86_64/ext.so")
    journal = path.with_name("journal")
    run("edit", "--set-rpath", "/x", "--journal", journal, path)
    assert f"{path}: would be put back" in run("edit", "--undo", journal, "--dry-run").out
    assert paths(path) == ["DT_RUNPATH /x"]
    told = json.loads(run("edit", "--undo", journal, "--format", "json").out)
    assert [plan["actions"][0]["action"] for plan in told["plans"]] == ["restore"]
    assert "nothing to undo" in run("edit", "--undo", journal).out
    path.write_bytes(b"other")
    result = run("edit", "--undo", journal)
    assert result.code == 4
    assert "changed since" in result.err
    assert run("edit", "--undo", path).code == 3
    assert run("edit", "--undo", path.with_name("gone")).code == 3
