"""slim-image-library: promised by the platform, absent from minimal installations."""

import dataclasses

import pytest

from builders import MANYLINUX, WINDOWS, binary, elf, pe, survey
from linked import answer, lib, linked, load_of, module
from relocator.findings import Severity
from relocator.model import Binary, How, Needed, NeedKind, Survey
from relocator.rules.slim_image_library import check

DESKTOP = dataclasses.replace(
    MANYLINUX, levels=(MANYLINUX.levels[-1]._replace(libraries=frozenset({"libGL.so.1", "libatomic.so.1", "libz.so.1", "libc.so.6"})),)
)


def on_desktop(*binaries: Binary) -> Survey:
    return linked(*binaries, promises=DESKTOP)


@pytest.mark.parametrize("name", ["libGL.so.1", "libatomic.so.1"])
def test_flags(name: str) -> None:
    (finding,) = check(on_desktop(module("libc.so.6", name)))
    assert (finding.severity, finding.primary.value, finding.primary.field) == (Severity.NOTE, name, "DT_NEEDED")
    assert "(Debian: lib" in finding.primary.label


def test_a_library_that_two_loads_bring_is_told_once() -> None:
    found = check(on_desktop(module("liba.so", rpath="$ORIGIN"), lib("demo/liba.so", "libGL.so.1")))
    assert [finding.primary.member for finding in found] == ["demo/liba.so"]


GOOD = {
    "what every image has": on_desktop(module("libz.so.1", "libc.so.6")),
    "one that comes along": on_desktop(module("libGL.so.1", rpath="$ORIGIN"), lib("demo/libGL.so.1")),
    "one that the tag does not promise": linked(module("libGL.so.1")),
    "one that may stay away": on_desktop(module(Needed("libGL.so.1", NeedKind.WEAK))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize(("kind", "told"), [(NeedKind.REQUIRED, True), (NeedKind.DELAYED, False)])
def test_media_foundation_is_flagged_unless_it_is_loaded_on_first_use(kind: NeedKind, told: bool) -> None:
    one = binary("demo/_core.pyd", pe(Needed("MFPlat.DLL", kind)))
    found = list(check(survey(one, target=WINDOWS, loads=[load_of(answer(one, How.PROMISED), root="demo/_core.pyd")])))
    assert bool(found) == told


@pytest.mark.parametrize("how", list(How))
def test_only_what_is_left_to_the_system_is_flagged(how: How) -> None:
    one = binary("demo/_core.so", elf("libGL.so.1"))
    assert bool(list(check(survey(one, loads=[load_of(answer(one, how))])))) == (how == How.PROMISED)
