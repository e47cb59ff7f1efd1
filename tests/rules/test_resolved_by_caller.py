"""resolved-by-caller: found in company, lost alone."""

import pytest

from builders import SITE, WINDOWS, binary, elf, macho, pe, survey
from linked import answer, lib, linked, load_of, module
from relocator.findings import Severity
from relocator.model import Binary, How, Role, Survey
from relocator.rules import missing_library
from relocator.rules.resolved_by_caller import check
from relocator.target import Target

X, Y = lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1")


def dylib(name: str, *needed: str, **facts: object) -> Binary:
    return binary(f"demo/{name}", macho(*needed, kind="library", install_name=f"@rpath/{name}", **facts))  # type: ignore[arg-type]


BAD: dict[str, Survey] = {
    "the module's DT_RPATH": linked(module("libx.so.1", rpath="$ORIGIN"), X, Y),
    "loaded before by the module": linked(module("libx.so.1", "liby.so.1", runpath="$ORIGIN"), X, Y),
    "the module's LC_RPATH": linked(
        binary("demo/_core.so", macho("@rpath/libx.dylib", rpaths=["@loader_path"]), extension="demo._core"),
        dylib("libx.dylib", "@rpath/liby.dylib"),
        dylib("liby.dylib"),
    ),
    "without a target": linked(module("libx.so.1", rpath="$ORIGIN"), X, Y, target=Target("", "")),
}

GOOD: dict[str, Survey] = {
    "a search path of its own": linked(module("libx.so.1", rpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1", runpath="$ORIGIN"), Y),
    "promised": linked(module("libx.so.1", rpath="$ORIGIN"), lib("demo/libx.so.1", "libc.so.6")),
    "missing everywhere": linked(module("libx.so.1", rpath="$ORIGIN"), X),
    "missing for the module too": linked(module("libx.so.1", runpath="$ORIGIN"), X, Y),
}


@pytest.mark.parametrize("case", BAD)
def test_notes(case: str) -> None:
    (finding,) = check(BAD[case])
    assert (finding.severity, finding.repaired_by) == (Severity.NOTE, "repair")
    assert finding.primary.member.startswith("demo/libx.")
    assert "liby." in finding.primary.value
    assert finding.trail
    assert list(missing_library.check(BAD[case])) == []


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


def test_says_through_what_the_library_was_found() -> None:
    (finding,) = check(BAD["the module's DT_RPATH"])
    assert finding.primary.label == "found through DT_RPATH of demo/_core.so: $ORIGIN"
    assert finding.related == ()


def test_the_load_of_the_file_alone_is_told_before_that_of_a_program() -> None:
    program = binary("demo/tool", elf("libx.so.1", runpath="$ORIGIN", kind="program"), role=Role.PROGRAM)
    (finding,) = check(linked(program, module("libx.so.1", rpath="$ORIGIN"), X, Y))
    assert finding.related == ()


def test_a_program_that_fails_is_named_when_the_file_alone_does_not() -> None:
    tool, own = binary("demo/tool", elf("libx.so.1", kind="program"), role=Role.PROGRAM), lib("demo/libx.so.1", "liby.so.1")
    loads = [
        load_of(answer(own, How.BUNDLED, target=Y.path), order=["demo/libx.so.1"]),
        load_of(answer(own, How.BUNDLED, target=Y.path), root="demo/libx.so.1"),
        load_of(answer(own, How.MISSING), root="demo/tool", order=["demo/libx.so.1"]),
    ]
    (finding,) = check(survey(tool, module("libx.so.1"), own, Y, loads=loads))
    assert [where.member for where in finding.related] == ["demo/tool"]


def test_says_when_the_module_had_loaded_the_library_before() -> None:
    (finding,) = check(BAD["loaded before by the module"])
    assert finding.primary.label == "found when loaded before"


def test_a_dll_cannot_be_given_a_search_path() -> None:
    pyd, dll = binary("demo/_core.pyd", pe("x.dll"), extension="demo._core"), binary("demo/bin/x.dll", pe("y.dll"))
    loads = [
        load_of(answer(dll, How.BUNDLED, target=f"{SITE}/demo/y.dll"), root="demo/_core.pyd", order=["demo/bin/x.dll"]),
        load_of(answer(dll, How.MISSING), root="demo/bin/x.dll"),
    ]
    (finding,) = check(survey(pyd, dll, binary("demo/y.dll", pe()), target=WINDOWS, loads=loads))
    assert (finding.repaired_by, finding.help) == ("", "put both DLLs into one folder")
