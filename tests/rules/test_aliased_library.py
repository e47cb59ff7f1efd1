"""aliased-library: the same bytes under two names."""

import dataclasses

import pytest

from builders import MACOS, WINDOWS, binary, elf, macho, pe, survey
from linked import lib, linked, load_of, module
from relocator.audit import run_rules
from relocator.findings import Certainty, Severity
from relocator.model import Binary, How, Resolution, Role, Survey
from relocator.rules import aliased_library, identity_mismatch
from relocator.rules.aliased_library import check


def same(*binaries: Binary) -> list[Binary]:
    """These files have the same bytes."""
    return [dataclasses.replace(one, sha256="5" * 64) for one in binaries]


def copies(*names: str, **facts: object) -> list[Binary]:
    return same(*(lib(f"demo/lib/{name}", soname="libfoo.so.1", **facts) for name in names))


BOTH = linked(
    module("libfoo.so.1", "libbar.so", rpath="$ORIGIN/lib"),
    lib("demo/lib/libbar.so", "libfoo.so", rpath="$ORIGIN"),
    *copies("libfoo.so", "libfoo.so.1"),
)


def test_two_copies_in_one_process_are_a_warning() -> None:
    (finding,) = check(BOTH)
    assert (finding.severity, finding.certainty, finding.primary.member) == (Severity.WARNING, Certainty.CERTAIN, "demo/lib/libfoo.so")
    assert finding.primary.label == "the same bytes as demo/lib/libfoo.so.1"


def test_copies_that_come_with_different_modules_are_a_likely_one() -> None:
    found = linked(
        module("libfoo.so.1", rpath="$ORIGIN/lib"),
        module("libfoo.so", member="demo/_other.so", rpath="$ORIGIN/lib"),
        *copies("libfoo.so", "libfoo.so.1"),
    )
    (finding,) = check(found)
    assert (finding.severity, finding.certainty) == (Severity.WARNING, Certainty.LIKELY)


def test_copies_that_nothing_needs_are_a_note_and_the_one_named_as_it_names_itself_is_kept() -> None:
    found = linked(module("libfoo.so.1", rpath="$ORIGIN/lib"), *copies("libfoo.so", "libfoo.so.1", "libfoo.so.1.2"))
    findings = list(check(found))
    assert [(finding.severity, finding.primary.member) for finding in findings] == [
        (Severity.NOTE, "demo/lib/libfoo.so"),
        (Severity.NOTE, "demo/lib/libfoo.so.1.2"),
    ]


def test_one_name_in_two_folders_is_loaded_once_on_linux() -> None:
    twins = same(lib("demo/a/libfoo.so.1"), lib("demo/b/libfoo.so.1"))
    found = linked(module("libfoo.so.1", rpath="$ORIGIN/a"), module("libfoo.so.1", member="demo/_other.so", rpath="$ORIGIN/b"), *twins)
    assert [finding.severity for finding in check(found)] == [Severity.NOTE]


def test_one_name_in_two_folders_is_loaded_twice_on_macos() -> None:
    twins = same(*(binary(f"demo/{folder}/libfoo.dylib", macho(kind="library", install_name="libfoo.dylib")) for folder in "ab"))
    roots = [binary(f"demo/_{folder}.so", macho(f"@loader_path/{folder}/libfoo.dylib"), extension=f"demo._{folder}") for folder in "ab"]
    assert [finding.severity for finding in check(linked(*roots, *twins, target=MACOS, promises=None))] == [Severity.WARNING]


def test_one_name_in_two_folders_is_one_library_on_windows() -> None:
    assert list(check(survey(*same(binary("demo/a/foo.dll", pe()), binary("demo/b/FOO.dll", pe())), target=WINDOWS))) == []


def windows_pair() -> Survey:
    one, *twins = binary("demo/_core.pyd", pe("a.dll", "b.dll")), *same(binary("demo/a.dll", pe()), binary("demo/b.dll", pe()))
    resolutions = [
        Resolution(one.path, position, need, "amd64", How.BUNDLED, twin.path, "")
        for position, (need, twin) in enumerate(zip(one.images[0].needed, twins, strict=True))
    ]
    loads = [load_of(*resolutions, root="demo/_core.pyd", order=("demo/a.dll", "demo/b.dll"))]
    return survey(one, *twins, target=WINDOWS, loads=loads)


def test_two_names_are_loaded_twice_on_windows() -> None:
    assert [finding.severity for finding in check(windows_pair())] == [Severity.WARNING]


GOOD = {
    "different bytes": linked(lib("demo/libfoo.so.1"), lib("demo/libfoo.so")),
    "extension modules": survey(*same(module(member="demo/_a.so"), module(member="demo/_b.so"))),
    "programs": survey(*same(*(binary(f"demo/{n}", elf(kind="program"), role=Role.PROGRAM) for n in "ab"))),
    "files whose hash is unknown": survey(lib("demo/libfoo.so.1", soname="x"), lib("demo/libfoo.so", soname="x")),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


def test_the_wrong_name_of_a_copy_is_not_told_a_second_time() -> None:
    report = run_rules(BOTH, [identity_mismatch.RULE, aliased_library.RULE])
    assert [finding.rule for finding in report.findings] == ["aliased-library"]
