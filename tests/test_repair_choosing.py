"""Which files are brought in, and which file is to meet which need in the finished wheel."""

import dataclasses
from collections.abc import Iterable

import pytest

from builders import LINUX, MACOS, SITE, WINDOWS, binary, elf, macho, pe
from linked import answer, lib, linked, load_of, module, outside
from relocator.backends.windows.promises import promises as windows
from relocator.model import Binary, Hint, How, Needed, NeedKind, Resolution, Role, Survey, Tried, Unreadable
from relocator.repair.choosing import Chosen, choose
from relocator.repair.copies import without_copies
from relocator.repair.refusals import check_kind
from relocator.repairs import Left, RemoveFile, RepairOptions
from relocator.search_order import ELSEWHERE
from relocator.target import Target

PLAIN = RepairOptions()
CORE = "demo/_core.so"


def chosen(*binaries: Binary, search: Iterable[str] = ("/opt",), options: RepairOptions = PLAIN, **facts: object) -> Chosen:
    """What is chosen for a package whose outside libraries lie in folders that `--search` names, or where search paths lead."""
    survey = linked(*binaries, search=search, **facts)  # type: ignore[arg-type]
    own = (one for one in binaries if one.owner)
    return choose(survey, linked(*own, **facts), options)  # type: ignore[arg-type]


def links(found: Chosen) -> dict[tuple[str, str], str]:
    return {(link.importer.removeprefix(f"{SITE}/"), link.needed.name): link.target.removeprefix(f"{SITE}/") for link in found.links}


def reachable(found: Chosen, name: str) -> list[bool]:
    return [link.reachable for link in found.links if link.needed.name == name]


def brought(found: Chosen) -> list[str]:
    return [one.binary.path for one in found.brought]


# ---- what is brought in


def test_a_library_comes_with_all_that_it_needs_and_the_target_does_not_promise() -> None:
    found = chosen(
        module("liba.so.1", "libc.so.6"), outside("/opt/liba.so.1", "libb.so.1", "libm.so.6"), outside("/opt/libb.so.1", "libc.so.6")
    )
    assert brought(found) == ["/opt/liba.so.1", "/opt/libb.so.1"]
    assert {one.via for one in found.brought} == {"--search /opt"}
    assert links(found) == {
        (CORE, "liba.so.1"): "/opt/liba.so.1",
        (CORE, "libc.so.6"): "",
        ("/opt/liba.so.1", "libb.so.1"): "/opt/libb.so.1",
        ("/opt/liba.so.1", "libm.so.6"): "",
        ("/opt/libb.so.1", "libc.so.6"): "",
    }
    assert not found.refusals
    assert not found.remarks


def test_what_is_in_the_wheel_is_not_brought_in() -> None:
    found = chosen(module("liba.so.1", rpath="$ORIGIN/lib"), lib("demo/lib/liba.so.1"), outside("/opt/liba.so.1"))
    assert brought(found) == []
    assert links(found) == {(CORE, "liba.so.1"): "demo/lib/liba.so.1"}
    assert reachable(found, "liba.so.1") == [True]


def test_needs_of_what_the_target_promises_are_not_followed() -> None:
    one = module("libz.so.1")
    needs = Resolution("/lib/libz.so.1", 0, Needed("libx.so"), "x86_64", How.OUTSIDE, "/lib/libx.so", "ld.so.cache")
    load = dataclasses.replace(
        load_of(answer(one, How.PROMISED, target="/lib/libz.so.1"), needs), order=(one.path, "/lib/libz.so.1", "/lib/libx.so")
    )
    survey = dataclasses.replace(linked(one, outside("/lib/libz.so.1", "libx.so"), outside("/lib/libx.so")), loads=(load,))
    found = choose(survey, linked(one), PLAIN)
    assert brought(found) == []
    assert links(found) == {(CORE, "libz.so.1"): ""}


def test_two_libraries_of_one_soname_behind_two_search_paths_stay_two() -> None:
    found = chosen(
        module("libhelper.so.1", member="demo/_a.so", runpath="/one"),
        module("libhelper.so.1", member="demo/_b.so", runpath="/two"),
        outside("/one/libhelper.so.1"),
        outside("/two/libhelper.so.1"),
    )
    assert brought(found) == ["/one/libhelper.so.1", "/two/libhelper.so.1"]
    assert links(found)["demo/_a.so", "libhelper.so.1"] == "/one/libhelper.so.1"
    assert links(found)["demo/_b.so", "libhelper.so.1"] == "/two/libhelper.so.1"


def test_a_file_that_inherits_two_search_paths_is_brought_in_twice() -> None:
    found = chosen(
        module("libmid.so.1", member="demo/_a.so", rpath="/opt:/one"),
        module("libmid.so.1", member="demo/_b.so", rpath="/opt:/two"),
        outside("/opt/libmid.so.1", "libhelper.so.1"),
        outside("/one/libhelper.so.1"),
        outside("/two/libhelper.so.1"),
    )
    second = "/opt/<2>/libmid.so.1"
    assert brought(found) == ["/one/libhelper.so.1", second, "/opt/libmid.so.1", "/two/libhelper.so.1"]
    assert {one.binary.member for one in found.brought if one.binary.path == second} == {"/opt/libmid.so.1"}
    assert links(found) == {
        ("demo/_a.so", "libmid.so.1"): "/opt/libmid.so.1",
        ("demo/_b.so", "libmid.so.1"): second,
        ("/opt/libmid.so.1", "libhelper.so.1"): "/one/libhelper.so.1",
        (second, "libhelper.so.1"): "/two/libhelper.so.1",
    }
    assert not found.remarks


def test_what_is_brought_in_twice_gets_what_only_one_load_finds_both_times() -> None:
    found = chosen(
        module("libmid.so.1", member="demo/_a.so", rpath="/opt:/one"),
        module("libmid.so.1", member="demo/_b.so", rpath="/opt:/two"),
        outside("/opt/libmid.so.1", "libhelper.so.1", "libextra.so"),
        outside("/one/libhelper.so.1"),
        outside("/two/libhelper.so.1"),
        outside("/one/libextra.so"),
        search=(),
    )
    assert {links(found)[path, "libextra.so"] for path in ("/opt/libmid.so.1", "/opt/<2>/libmid.so.1")} == {"/one/libextra.so"}
    assert not found.refusals


def test_what_is_brought_in_twice_takes_all_above_it_along() -> None:
    found = chosen(
        module("libtop.so", member="demo/_a.so", rpath="/opt:/one"),
        module("libtop.so", member="demo/_b.so", rpath="/opt:/two"),
        module("libtop.so", member="demo/_c.so", rpath="/opt:/two"),
        outside("/opt/libtop.so", "libmid.so"),
        outside("/opt/libmid.so", "libhelper.so"),
        outside("/one/libhelper.so"),
        outside("/two/libhelper.so"),
    )
    told = links(found)
    assert told["demo/_a.so", "libtop.so"] != told["demo/_b.so", "libtop.so"] == told["demo/_c.so", "libtop.so"]
    for name, helper in (("demo/_a.so", "/one/libhelper.so"), ("demo/_b.so", "/two/libhelper.so")):
        assert told[told[told[name, "libtop.so"], "libmid.so"], "libhelper.so"] == helper


def test_a_file_of_the_wheel_cannot_be_two_and_both_answers_are_told() -> None:
    mid = lib("demo/lib/libmid.so", "libhelper.so")
    survey = linked(
        module("libmid.so", member="demo/_a.so", rpath="$ORIGIN/lib:/one"),
        module("libmid.so", member="demo/_b.so", rpath="$ORIGIN/lib:/two"),
        mid,
        outside("/one/libhelper.so"),
        outside("/two/libhelper.so"),
    )
    found = choose(survey, survey, PLAIN)
    assert links(found)["demo/lib/libmid.so", "libhelper.so"] == "/one/libhelper.so"
    assert brought(found) == ["/one/libhelper.so"]
    assert any("libhelper.so as /one/libhelper.so or as /two/libhelper.so" in remark for remark in found.remarks)


def test_what_a_file_gets_when_opened_alone_comes_before_what_another_load_gives() -> None:
    alone = lib("demo/lib/libmid.so", "libhelper.so", rpath="/two")
    survey = linked(
        module("libhelper.so", "libmid.so", member="demo/_a.so", runpath="/one:$ORIGIN/lib"),
        alone,
        outside("/one/libhelper.so"),
        outside("/two/libhelper.so"),
    )
    found = choose(survey, survey, PLAIN)
    assert links(found)["demo/_a.so", "libhelper.so"] == "/one/libhelper.so"
    assert links(found)["demo/lib/libmid.so", "libhelper.so"] == "/two/libhelper.so"
    assert len(found.remarks) == 1


def test_one_load_that_finds_a_library_is_enough() -> None:
    found = chosen(
        module("libmid.so", member="demo/_a.so", rpath="$ORIGIN/lib:/one"),
        lib("demo/lib/libmid.so", "libhelper.so"),
        outside("/one/libhelper.so"),
        search=(),
    )
    assert links(found)["demo/lib/libmid.so", "libhelper.so"] == "/one/libhelper.so"
    assert not found.refusals
    assert not found.remarks


def test_a_circle_of_outside_libraries_is_walked_once() -> None:
    found = chosen(module("liba.so"), outside("/opt/liba.so", "libb.so"), outside("/opt/libb.so", "liba.so"))
    assert brought(found) == ["/opt/liba.so", "/opt/libb.so"]
    assert len(found.links) == 3


def test_a_need_named_twice_is_one_link() -> None:
    assert len(chosen(module("liba.so", "liba.so"), outside("/opt/liba.so")).links) == 1


def test_a_long_chain_is_no_recursion() -> None:
    chain = [outside(f"/opt/lib{n}.so", f"lib{n + 1}.so") for n in range(2_000)]
    found = chosen(module("lib0.so"), *chain, outside("/opt/lib2000.so"))
    assert len(found.brought) == 2_001


def test_what_was_asked_for_is_brought_in_with_its_needs() -> None:
    plugin, needed = outside("/opt/plugin.so", "libneeded.so"), outside("/opt/libneeded.so")
    one = module("libc.so.6")
    survey = linked(one, plugin, needed, search=["/opt"])
    load = linked(dataclasses.replace(plugin, owner="demo"), needed, search=["/opt"]).loads[0]
    survey = dataclasses.replace(survey, loads=(*survey.loads, load), wanted=(("/opt/plugin.so", "--include plugin.so"),))
    found = choose(survey, linked(one), PLAIN)
    assert [(item.binary.path, item.wanted, item.via) for item in found.brought] == [
        ("/opt/libneeded.so", False, "--search /opt"),
        ("/opt/plugin.so", True, "--include plugin.so"),
    ]
    assert ("/opt/plugin.so", "libneeded.so") in links(found)


def test_on_windows_only_what_an_import_reaches_counts_unless_all_is_asked_for() -> None:
    payload = binary("demo/tool.dll", pe("gone.dll"), role=Role.PAYLOAD)
    survey = linked(payload, target=WINDOWS, promises=windows(WINDOWS, "amd64"))
    assert not choose(survey, survey, PLAIN).refusals
    assert len(choose(survey, survey, RepairOptions(analyze_existing=True)).refusals) == 1


def test_files_for_another_machine_are_left_alone() -> None:
    other = binary("demo/other.so", elf("libgone.so", arch="aarch64"), role=Role.PAYLOAD)
    found = chosen(module("libc.so.6"), other)
    assert set(links(found)) == {(CORE, "libc.so.6")}
    assert not found.refusals


# ---- reachable


def test_what_only_the_search_of_a_repair_finds_is_out_of_reach() -> None:
    one, hidden = module("liba.so"), lib("demo/deep/liba.so")
    survey = linked(one, hidden)
    helped = answer(one, How.BUNDLED, via=ELSEWHERE, target=hidden.path)
    repaired = dataclasses.replace(survey, loads=(load_of(helped, order=["demo/deep/liba.so"]),))
    found = choose(repaired, survey, PLAIN)
    assert links(found) == {(CORE, "liba.so"): "demo/deep/liba.so"}
    assert reachable(found, "liba.so") == [False]


def test_what_the_loader_gives_comes_before_what_only_the_search_gives() -> None:
    mid, near, far = lib("demo/lib/libmid.so", "liba.so"), lib("demo/lib/near/liba.so"), lib("demo/far/liba.so")
    one = module("libmid.so", rpath="$ORIGIN/lib:$ORIGIN/lib/near")
    survey = linked(one, mid, near, far)
    helped = dataclasses.replace(load_of(answer(mid, How.BUNDLED, via=ELSEWHERE, target=far.path)), root=mid.path)
    repaired = dataclasses.replace(survey, loads=(helped, *(load for load in survey.loads if load.root != mid.path)))
    found = choose(repaired, survey, PLAIN)
    assert links(found)["demo/lib/libmid.so", "liba.so"] == "demo/lib/near/liba.so"
    assert not found.remarks


def test_what_every_module_s_load_finds_is_in_reach_though_it_is_not_when_opened_alone() -> None:
    """An inherited search path, or what is loaded already, helps: that is the note `resolved-by-caller`."""
    found = chosen(module("libmid.so", rpath="$ORIGIN/lib"), lib("demo/lib/libmid.so", "libb.so"), lib("demo/lib/libb.so"))
    assert links(found)["demo/lib/libmid.so", "libb.so"] == "demo/lib/libb.so"
    assert reachable(found, "libb.so") == reachable(found, "libmid.so") == [True]


def test_what_is_loaded_already_is_no_reason_to_change_a_search_path() -> None:
    """No path of the library in the middle would have the loader search for what is there by name."""
    found = chosen(
        module("libhelper.so", "libmid.so", runpath="$ORIGIN/one:$ORIGIN/lib"),
        lib("demo/lib/libmid.so", "libhelper.so", rpath="$ORIGIN/../two"),
        lib("demo/one/libhelper.so"),
        lib("demo/two/libhelper.so"),
    )
    assert links(found)["demo/lib/libmid.so", "libhelper.so"] == "demo/two/libhelper.so"
    assert reachable(found, "libhelper.so") == [True, True]


def test_what_one_of_two_modules_does_not_find_is_out_of_reach() -> None:
    found = chosen(
        module("libmid.so", member="demo/_a.so", rpath="$ORIGIN/lib"),
        module("libmid.so", member="demo/_b.so", runpath="$ORIGIN/lib"),
        lib("demo/lib/libmid.so", "libb.so"),
        lib("demo/lib/libb.so"),
    )
    assert links(found)["demo/lib/libmid.so", "libb.so"] == "demo/lib/libb.so"
    assert reachable(found, "libb.so") == [False]


def test_a_dll_that_a_module_brings_need_not_be_openable_alone() -> None:
    core = binary("demo/_core.pyd", pe("mid.dll"), extension="demo._core")
    library = binary("demo/mid.dll", pe("low.dll"))
    survey = linked(core, library, binary("demo/low.dll", pe()), target=WINDOWS, promises=windows(WINDOWS, "amd64"))
    lone = dataclasses.replace(
        survey,
        loads=tuple(
            load
            if load.root == core.path
            else dataclasses.replace(load, resolutions=tuple(r._replace(how=How.MISSING, target=None) for r in load.resolutions))
            for load in survey.loads
        ),
    )
    assert reachable(choose(survey, lone, PLAIN), "low.dll") == [True]


@pytest.mark.parametrize(("place", "expected"), [("/<prefix>/lib/python3/site-packages/other/liba.so", True), ("elsewhere", False)])
def test_a_library_of_another_distribution_is_reachable_where_the_loader_looks(place: str, expected: bool) -> None:
    one = module("liba.so")
    target = f"{SITE}/other/liba.so"
    given = answer(one, How.PROVIDED, via="--provided-by other", target=target)
    missing = answer(one, How.MISSING)._replace(tried=(Tried(place, "DT_RPATH", "absent"),))
    survey = dataclasses.replace(linked(one), loads=(load_of(given),))
    found = choose(survey, dataclasses.replace(linked(one), loads=(load_of(missing),)), PLAIN)
    assert [(link.target, link.how, link.reachable) for link in found.links] == [(target, How.PROVIDED, expected)]
    assert found.left == (Left("liba.so", (CORE,), "--provided-by other"),)


# ---- what stays outside, and what is missing


def test_what_is_left_outside_is_told_once_for_each_reason() -> None:
    one, two = module("libcuda.so.1", "libpython3.12.so.1.0"), module("libcuda.so.1", member="demo/_b.so")
    reason, itself = "--exclude libcuda*", "the interpreter itself"
    loads = (
        load_of(answer(one, How.EXPECTED, "libcuda.so.1", reason), answer(one, How.EXPECTED, "libpython3.12.so.1.0", itself)),
        load_of(answer(two, How.EXPECTED, via=reason), root="demo/_b.so"),
    )
    survey = dataclasses.replace(linked(one, two), loads=loads)
    found = choose(survey, linked(one, two), PLAIN)
    assert found.left == (Left("libcuda.so.1", ("demo/_b.so", CORE), reason),)
    assert {(link.target, link.via) for link in found.links} == {("", reason), ("", itself)}


def test_every_missing_library_is_a_reason_of_its_own_with_the_next_step() -> None:
    found = chosen(module("libx.so.1", "liby.so"), outside("/opt/liby.so", "libz.so.9"), module("libx.so.1", member="demo/_b.so"))
    told = [reason.message for reason in found.refusals]
    assert len(told) == 3
    assert "demo/_core.so (x86_64), DT_NEEDED libx.so.1: nowhere to be found; looked in " in told[0]
    assert told[2].startswith("/opt/liby.so (x86_64), DT_NEEDED libz.so.9")
    assert "/opt" in told[0]
    assert all(words in found.refusals[0].hint for words in ("--search DIR", "--exclude libx.so.1", "--allow-missing"))


def test_what_may_be_missing_is_left() -> None:
    found = chosen(module("libx.so.1"), options=RepairOptions(allow_missing=True))
    assert found.left == (Left("libx.so.1", (CORE,), "--allow-missing"),)
    assert not found.refusals


def test_a_candidate_for_another_machine_is_named() -> None:
    wrong = dataclasses.replace(outside("/opt/libx.so"), images=(elf(arch="aarch64"),))
    assert "only what cannot be used was found: /opt/libx.so (other architecture)" in chosen(module("libx.so"), wrong).refusals[0].message


def test_a_damaged_library_that_is_needed_is_a_refusal_and_another_is_a_remark() -> None:
    one = module("liba.so", rpath="$ORIGIN")
    kind = one.images[0].format
    needed = Unreadable("demo/liba.so", f"{SITE}/demo/liba.so", kind, "e_phoff", "lies beyond the end", owner="demo")
    missing = answer(one, How.MISSING)._replace(tried=(Tried(needed.path, "DT_RPATH of demo/_core.so: $ORIGIN", "truncated"),))
    survey = dataclasses.replace(linked(one, unreadable=[needed]), loads=(load_of(missing),))
    found = choose(survey, survey, PLAIN)
    assert "demo/liba.so (cannot be read: e_phoff: lies beyond the end)" in found.refusals[0].message
    assert found.remarks == ("demo/liba.so stays as it is: it cannot be read (e_phoff: lies beyond the end)",)


@pytest.mark.parametrize("kind", [NeedKind.WEAK, NeedKind.LAZY])
def test_needs_that_may_stay_away_are_remarks(kind: NeedKind) -> None:
    own = binary("demo/_core.so", macho(Needed("@rpath/libx.dylib", kind)), extension="demo._core")
    survey = linked(own, target=MACOS, promises=None)
    found = choose(survey, survey, PLAIN)
    assert not found.refusals
    assert found.remarks == (f"demo/_core.so (arm64) does without @rpath/libx.dylib, a {kind} need that was not found",)


def test_a_delayed_dll_may_stay_away_and_a_driver_s_is_not_even_told() -> None:
    own = binary(
        "demo/_core.pyd", pe(Needed("extra.dll", NeedKind.DELAYED), Needed("nvcuda.dll", NeedKind.DELAYED)), extension="demo._core"
    )
    survey = linked(own, target=WINDOWS, promises=windows(WINDOWS, "amd64"))
    found = choose(survey, survey, PLAIN)
    assert not found.refusals
    assert [remark for remark in found.remarks if "extra.dll" in remark]
    assert not [remark for remark in found.remarks if "nvcuda" in remark]


# ---- copies inside the wheel


def twin(member: str, soname: str = "libfoo.so.1", **facts: object) -> Binary:
    return dataclasses.replace(binary(member, elf(soname=soname, **facts)), sha256="a" * 64)  # type: ignore[arg-type]


def twins(*more: Binary, hints: Iterable[Hint] = (), literals: tuple[bytes, ...] = ()) -> Survey:
    one, two = (
        module(name, member=member, rpath="$ORIGIN") for name, member in (("libfoo.so.1", "demo/_a.so"), ("libfoo.so", "demo/_b.so"))
    )
    two = dataclasses.replace(two, images=(dataclasses.replace(two.images[0], literals=literals),))
    return linked(one, two, twin("demo/libfoo.so.1"), twin("demo/libfoo.so"), *more, hints=tuple(hints))


def test_needs_of_a_copy_are_led_to_the_library_that_is_called_by_its_soname_and_the_copy_goes() -> None:
    survey = twins()
    led = without_copies(choose(survey, survey, PLAIN).links, survey, PLAIN)
    assert {link.target for link in led.links} == {f"{SITE}/demo/libfoo.so.1"}
    assert {link.needed.name: link.reachable for link in led.links} == {"libfoo.so.1": True, "libfoo.so": False}
    assert led.removed == (RemoveFile("demo/libfoo.so", "aliased-library: has the same bytes as demo/libfoo.so.1"),)


@pytest.mark.parametrize(
    "more",
    [
        {"hints": [Hint("demo/__init__.py", 3, "cdll", f"{SITE}/demo/libfoo.so")]},
        {"hints": [Hint("demo/__init__.py", 3, "cdll", "libFoo.so")]},
        {"hints": [Hint("demo/__init__.py", 3, "cdll", None)]},
        {"literals": (b"libfoo.so",)},
    ],
)
def test_a_copy_that_may_be_opened_by_its_name_stays(more: dict[str, object]) -> None:
    survey = twins(**more)  # type: ignore[arg-type]
    led = without_copies(choose(survey, survey, PLAIN).links, survey, PLAIN)
    assert not led.removed
    assert {link.target for link in led.links} == {f"{SITE}/demo/libfoo.so.1"}


def test_a_copy_that_a_file_for_another_machine_needs_stays() -> None:
    survey = twins(binary("demo/other.so", elf("libfoo.so", arch="aarch64"), role=Role.PAYLOAD))
    assert not without_copies(choose(survey, survey, PLAIN).links, survey, PLAIN).removed


def test_a_copy_that_nothing_needs_goes_only_when_notes_are_mended() -> None:
    survey = linked(module("libfoo.so.1", rpath="$ORIGIN"), twin("demo/libfoo.so.1"), twin("demo/libfoo.so"))
    found = choose(survey, survey, PLAIN)
    assert without_copies(found.links, survey, PLAIN) == (found.links, ())
    noted = without_copies(found.links, survey, RepairOptions(fix_notes=True))
    assert [action.member for action in noted.removed] == ["demo/libfoo.so"]


def test_copies_that_bring_different_libraries_are_no_copies() -> None:
    """What `$ORIGIN` stands for is part of what a file is."""
    survey = linked(
        *(module("libx.so", member=f"demo/_{n}.so", rpath=f"$ORIGIN/{n}") for n in "ab"),
        *(dataclasses.replace(lib(f"demo/{n}/libx.so", "liby.so", rpath="$ORIGIN"), sha256="1" * 64) for n in "ab"),
        *(dataclasses.replace(lib(f"demo/{n}/liby.so"), sha256=n * 64) for n in "ab"),
    )
    options = RepairOptions(fix_notes=True)
    found = choose(survey, survey, options)
    assert without_copies(found.links, survey, options) == (found.links, ())


def test_copies_that_bring_copies_are_copies() -> None:
    survey = linked(
        *(module("libx.so", member=f"demo/_{n}.so", rpath=f"$ORIGIN/{n}") for n in "ab"),
        *(dataclasses.replace(lib(f"demo/{n}/libx.so", "liby.so", rpath="$ORIGIN"), sha256="1" * 64) for n in "ab"),
        *(dataclasses.replace(lib(f"demo/{n}/liby.so"), sha256="2" * 64) for n in "ab"),
    )
    options = RepairOptions(fix_notes=True)
    led = without_copies(choose(survey, survey, options).links, survey, options)
    assert [action.member for action in led.removed] == ["demo/b/libx.so", "demo/b/liby.so"]


# ---- wheels of the wrong kind


@pytest.mark.parametrize(
    ("survey", "told"),
    [
        (linked(), "holds no compiled file"),
        (linked(module(), target=Target("any", "any"), promises=None), "promises every system"),
        (linked(module(), target=Target("plan9_x86", ""), promises=None), "is not known"),
        (linked(module(), target=Target("emscripten_3_1_58_wasm32", "emscripten"), promises=None), "cannot be repaired"),
        (linked(binary("demo/_core.pyd", pe()), target=LINUX), "none of its 1 binary is ELF for x86_64: they are PE for amd64"),
        (linked(module(), kind="folder"), "is no wheel but a folder"),
    ],
)
def test_a_wheel_of_the_wrong_kind_is_refused(survey: Survey, told: str) -> None:
    (reason,) = check_kind((survey,), PLAIN)
    assert told in reason.message
    assert reason.hint


def test_tags_of_two_systems_are_refused() -> None:
    (reason,) = check_kind((linked(module()), linked(module(), target=MACOS)), PLAIN)
    assert "manylinux_2_17_x86_64, macosx_11_0_arm64" in reason.message


def test_a_pure_wheel_may_be_let_through() -> None:
    options = RepairOptions(allow_pure=True)
    assert not check_kind((linked(),), options)
    assert not check_kind((linked(target=Target("any", "any"), promises=None),), options)
    assert check_kind((linked(module(), target=Target("any", "any"), promises=None),), options)


def test_a_proper_wheel_is_let_through() -> None:
    assert not check_kind((linked(module()),), PLAIN)
