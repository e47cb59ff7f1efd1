"""identity-mismatch: libraries that others call by another name than they do themselves."""

import dataclasses

import pytest

from builders import MACOS, WINDOWS, binary, macho, pe, survey
from linked import answer, lib, linked, load_of, module
from relocator.findings import Severity
from relocator.model import Binary, How, Survey
from relocator.rules.identity_mismatch import check


def needing(name: str, soname: str | None, *more: Binary) -> Survey:
    return linked(module(name, rpath="$ORIGIN"), lib(f"demo/{name}", soname=soname), *more)


def test_flags_a_soname_that_no_need_names() -> None:
    (finding,) = check(needing("libfoo.so", "libfoo.so.3", module("libfoo.so", member="demo/_other.so", rpath="$ORIGIN")))
    assert (finding.severity, finding.repaired_by) == (Severity.WARNING, "repair")
    assert (finding.primary.member, finding.primary.field, finding.primary.value) == ("demo/libfoo.so", "DT_SONAME", "libfoo.so.3")
    assert [where.member for where in finding.related] == ["demo/_core.so", "demo/_other.so"]


@pytest.mark.parametrize(
    ("install_name", "told"),
    [("/usr/local/lib/libfoo.3.dylib", True), ("@rpath/libfoo.dylib", False), ("/DLC/demo/libfoo.dylib", False)],
)
def test_on_macos_the_last_part_of_the_install_name_counts(install_name: str, told: bool) -> None:
    root = binary("demo/_core.so", macho("@loader_path/libfoo.dylib"), extension="demo._core")
    one = binary("demo/libfoo.dylib", macho(kind="library", install_name=install_name))
    found = list(check(linked(root, one, target=MACOS, promises=None)))
    assert [finding.primary.field for finding in found] == (["LC_ID_DYLIB"] if told else [])


GOOD = {
    "the same name": needing("libfoo.so.3", "libfoo.so.3"),
    "no name of its own": needing("libfoo.so", None),
    "a wrong name that nobody needs": linked(module(), lib("demo/libfoo.so", soname="libfoo.so.3")),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


def test_the_name_in_a_dlls_export_directory_matters_to_nobody() -> None:
    one = binary("demo/_core.pyd", pe("foo-1a2b.dll"))
    other = binary("demo/foo-1a2b.dll", pe(name="foo.dll"))
    resolution = answer(one, How.BUNDLED, target=other.path)
    load = load_of(resolution, root="demo/_core.pyd")
    assert list(check(survey(one, other, target=WINDOWS, loads=[dataclasses.replace(load, loader="windows")]))) == []
