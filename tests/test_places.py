"""One verdict for each need, from the loads that count."""

import dataclasses
import pickle

import pytest

from builders import LINUX, SITE, binary, elf, macho, pe, survey
from linked import answer, lib, linked, load_of, module, outside
from relocator.model import Binary, How, Needed, NeedKind, Role, Survey
from relocator.places import dependent, judged, need_place, place_in, trail, unmet


def told(found: Survey) -> list[tuple[str, str]]:
    return [(need_place(found, r).member, r.needed.name) for r in unmet(found)]


def test_a_need_is_told_once_however_many_loads_show_it() -> None:
    found = linked(
        module("libx.so.1", rpath="$ORIGIN"),
        module("libx.so.1", member="demo/_two.so", rpath="$ORIGIN"),
        lib("demo/libx.so.1", "libgone.so"),
    )
    assert sum(r.how == How.MISSING for load in found.loads for r in load.resolutions) == 3
    assert told(found) == [("demo/libx.so.1", "libgone.so")]


def test_a_need_that_is_named_twice_is_told_once() -> None:
    assert told(linked(module("libgone.so", "libgone.so"))) == [("demo/_core.so", "libgone.so")]


def test_what_an_extension_modules_search_path_finds_is_not_unmet_but_dependent() -> None:
    found = linked(module("libx.so.1", rpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1"))
    assert told(found) == []
    ((missing, root, met),) = dependent(found)
    assert (missing.importer, missing.needed.name, root) == (f"{SITE}/demo/libx.so.1", "liby.so.1", f"{SITE}/demo/libx.so.1")
    assert met.via == "DT_RPATH of demo/_core.so: $ORIGIN"


def test_a_runpath_does_not_carry_so_the_need_is_unmet() -> None:
    found = linked(module("libx.so.1", runpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1"))
    assert told(found) == [("demo/libx.so.1", "liby.so.1")]
    assert list(dependent(found)) == []


def test_one_failing_extension_module_is_enough() -> None:
    found = linked(
        module("libx.so.1", rpath="$ORIGIN"),
        module("libx.so.1", member="demo/_two.so", runpath="$ORIGIN"),
        lib("demo/libx.so.1", "liby.so.1"),
        lib("demo/liby.so.1"),
    )
    assert told(found) == [("demo/libx.so.1", "liby.so.1")]


def test_a_program_that_fails_does_not_outweigh_an_extension_module_that_works() -> None:
    program = binary("demo/tool", elf("libx.so.1", runpath="$ORIGIN", kind="program"), role=Role.PROGRAM)
    found = linked(module("libx.so.1", rpath="$ORIGIN"), program, lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1"))
    assert told(found) == []
    assert [need.missing.needed.name for need in dependent(found)] == ["liby.so.1"]
    assert told(linked(program, lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1"))) == [("demo/libx.so.1", "liby.so.1")]


def test_a_library_that_only_other_libraries_bring_is_judged_by_theirs() -> None:
    files = [lib("demo/plugin.so", "libx.so.1", rpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1")]
    assert told(linked(*files)) == []
    assert told(linked(*files[1:])) == [("demo/libx.so.1", "liby.so.1")]


def test_libraries_that_bring_one_another_are_judged_alone() -> None:
    found = linked(lib("demo/liba.so", "libb.so", "libgone.so", rpath="$ORIGIN"), lib("demo/libb.so", "liba.so", rpath="$ORIGIN"))
    assert told(found) == [("demo/liba.so", "libgone.so")]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (NeedKind.REQUIRED, (1, 1)),
        (NeedKind.REEXPORT, (1, 1)),
        (NeedKind.UPWARD, (1, 1)),
        (NeedKind.DELAYED, (0, 1)),
        (NeedKind.WEAK, (0, 0)),
        (NeedKind.LAZY, (0, 0)),
    ],
)
def test_what_a_file_can_do_without_is_not_unmet(kind: NeedKind, expected: tuple[int, int]) -> None:
    one = binary("demo/_core.so", macho(Needed("@loader_path/libx.dylib", kind)), extension="demo._core")
    found = survey(one, loads=[load_of(answer(one, How.MISSING))])
    assert (len(list(unmet(found))), len(list(judged(found)))) == expected


def test_the_needs_of_files_from_outside_are_not_the_packages() -> None:
    found = linked(module("libfoo.so.3"), outside("/opt/foo/libfoo.so.3", "libgone.so"), search=["/opt/foo"])
    assert [(r.needed.name, r.how) for r in judged(found)] == [("libfoo.so.3", How.OUTSIDE)]


def test_the_worst_answer_is_the_verdict() -> None:
    one, two = module("libx.so"), module("libx.so", member="demo/_two.so")
    found = survey(
        one,
        two,
        loads=[load_of(answer(one, How.EXPECTED)), load_of(answer(one, How.MISSING), root="demo/_two.so", order=["demo/_core.so"])],
    )
    assert [r.how for r in judged(found)] == [How.MISSING]


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (module("libx.so"), "DT_NEEDED"),
        (binary("demo/_core.so", macho("@rpath/libx.dylib")), "LC_LOAD_DYLIB"),
        (binary("demo/_core.so", macho(Needed("@rpath/libx.dylib", NeedKind.WEAK))), "LC_LOAD_WEAK_DYLIB"),
        (binary("demo/_core.pyd", pe("x.dll")), "import"),
        (binary("demo/_core.pyd", pe(Needed("x.dll", NeedKind.DELAYED))), "delay import"),
    ],
)
def test_the_field_is_what_the_format_calls_it(one: Binary, field: str) -> None:
    where = place_in(one, one.images[0], 0, "why")
    assert (where.member, where.field, where.position, where.value, where.label) == (
        one.member,
        field,
        0,
        one.images[0].needed[0].name,
        "why",
    )
    assert need_place(survey(one), answer(one, How.MISSING), "why") == where


def test_the_trail_says_place_outcome_and_reason_in_the_loaders_order() -> None:
    found = linked(module("libx.so.1", rpath="$ORIGIN/../demo.libs:/opt/lib"))
    assert trail(next(unmet(found)), found) == (
        "demo.libs/libx.so.1: absent (DT_RPATH of demo/_core.so: $ORIGIN/../demo.libs)",
        "/opt/lib/libx.so.1: absent (DT_RPATH of demo/_core.so: /opt/lib)",
        ".../glibc-hwcaps/{x86-64-v4,x86-64-v3,x86-64-v2}: absent (and the glibc-hwcaps subdirectories of each)",
        "libx.so.1: not promised (default directories)",
    )


def test_judging_leaves_the_survey_equal_and_picklable() -> None:
    found, fresh = linked(module("libx.so")), linked(module("libx.so"))
    assert told(found) == told(found) == [("demo/_core.so", "libx.so")]
    assert found == fresh == pickle.loads(pickle.dumps(found))
    assert found.target == LINUX


def test_a_file_that_another_of_the_same_name_hides_still_has_a_place() -> None:
    hidden = module("libc.so.6", "libgone.so")
    found = dataclasses.replace(linked(hidden), binaries=(hidden, module()))
    (resolution,) = unmet(found)
    where = need_place(found, resolution)
    assert (where.member, where.position, where.value) == ("demo/_core.so", 1, "libgone.so")
