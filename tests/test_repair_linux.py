"""Where ELF libraries go and by which edits they are found: over in-memory Requests."""

import ast
import dataclasses
from collections.abc import Iterable

import pytest

from builders import LINUX, SITE, binary, elf, survey
from relocator.model import Binary, How, Member, Needed, Role
from relocator.plans import Edit, PathKind, RemoveNeeded, ReplaceNeeded, SetIdentity, SetSearchPaths
from relocator.repair.linux import wire
from relocator.repair.wiring import Link, Request, Taken, Wired
from relocator.repairs import AddFile, RepairOptions, SetMode
from relocator.target import Target

CORE = "demo/_core.so"
ANDROID = Target("android_24_arm64_v8a", "android", "bionic", (("x86_64", (24,)),))


def outside(path: str, *needed: str, soname: str | None = None) -> Binary:
    return Binary(path, path, (elf(*needed, soname=soname),), "ab" * 32, 100)


def taken(library: Binary, digest: str = "0a1b2c3d", *, wanted: bool = False, renamed: bool = True) -> Taken:
    return Taken(library, "ld.so.cache", digest, wanted, renamed)


def link(importer: str, need: str, target: str, how: How = How.OUTSIDE, *, reachable: bool = False, via: str = "ld.so.cache") -> Link:
    path = importer if importer.startswith("/") else f"{SITE}/{importer}"
    return Link(path, Needed(need), "x86_64", target, how, via, reachable)


def wired(
    own: Iterable[Binary],
    links: Iterable[Link],
    libraries: Iterable[Taken] = (),
    target: Target = LINUX,
    options: RepairOptions | None = None,
) -> Wired:
    libraries = tuple(libraries)
    found = survey(*own, *(item.binary for item in libraries), target=target)
    return wire(Request(found, {}, options or RepairOptions(), libraries, tuple(links)))


def edits_of(found: Wired, path: str) -> tuple[Edit, ...]:
    path = path if path.startswith("/") else f"{SITE}/{path}"
    return next((edited.edits for edited in found.edited if edited.path == path), ())


PNG = outside("/usr/lib/libpng16.so.16.39.0", "libz.so.1", soname="libpng16.so.16")


def test_a_library_goes_beside_the_package_under_its_soname_with_the_digest() -> None:
    core = binary(CORE, elf("libpng16.so.16"), extension="demo._core")
    found = wired([core], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG)])
    assert [(place.path, place.member) for place in found.placed] == [(PNG.path, "demo.libs/libpng16-0a1b2c3d.so.16")]
    assert edits_of(found, CORE) == (
        ReplaceNeeded("libpng16.so.16", "libpng16-0a1b2c3d.so.16"),
        SetSearchPaths(("$ORIGIN/../demo.libs",), PathKind.RPATH),
    )
    assert edits_of(found, PNG.path) == (SetIdentity("libpng16-0a1b2c3d.so.16"),)
    assert not found.refusals


def test_the_folder_is_called_as_an_option_says() -> None:
    core = binary(CORE, elf("libpng16.so.16"))
    found = wired([core], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG)], options=RepairOptions(lib_sdir="_lib"))
    assert found.placed[0].member.startswith("demo_lib/")


def test_vendored_libraries_find_one_another_and_lose_the_paths_of_the_machine() -> None:
    first = Binary("/opt/x/liba.so.1", "/opt/x/liba.so.1", (elf("libb.so.1", rpath="/opt/x:$ORIGIN/deep", soname="liba.so.1"),))
    second = outside("/opt/x/libb.so.1", soname="libb.so.1")
    links = [link(CORE, "liba.so.1", first.path), link(first.path, "libb.so.1", second.path)]
    found = wired([binary(CORE, elf("liba.so.1"))], links, [taken(first, "11111111"), taken(second, "22222222")])
    assert edits_of(found, first.path) == (
        ReplaceNeeded("libb.so.1", "libb-22222222.so.1"),
        SetIdentity("liba-11111111.so.1"),
        SetSearchPaths(("$ORIGIN",), PathKind.RPATH),
    )


def test_two_libraries_of_one_soname_stay_two() -> None:
    one, two = (outside(f"/opt/{x}/libh.so.1", soname="libh.so.1") for x in "ab")
    links = [link(CORE, "libh.so.1", one.path), link("demo/_two.so", "libh.so.1", two.path)]
    own = [binary(CORE, elf("libh.so.1")), binary("demo/_two.so", elf("libh.so.1"))]
    found = wired(own, links, [taken(one, "11111111"), taken(two, "22222222")])
    assert ReplaceNeeded("libh.so.1", "libh-11111111.so.1") in edits_of(found, CORE)
    assert ReplaceNeeded("libh.so.1", "libh-22222222.so.1") in edits_of(found, "demo/_two.so")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("$ORIGIN/lib", None),
        ("${ORIGIN}/../demo.libs:$ORIGIN", None),
        ("$ORIGIN/../../nvidia/lib", None),
        ("$ORIGIN/lib:/build/lib", ("$ORIGIN/lib",)),
        ("/build/lib", ()),
        ("lib:$ORIGIN/lib", ("$ORIGIN/lib",)),
        (":$ORIGIN/lib", ("$ORIGIN/lib",)),
        ("/usr/lib64", ()),
        ("$ORIGIN/../../../../../../../opt/lib", ()),
    ],
)
def test_search_paths_are_kept_where_they_stay_inside(before: str, after: tuple[str, ...] | None) -> None:
    for kind in ("rpath", "runpath"):
        image = elf("libc.so.6", rpath=before) if kind == "rpath" else elf("libc.so.6", runpath=before)
        found = wired([binary(CORE, image)], [link(CORE, "libc.so.6", "", How.PROMISED, reachable=True)])
        wanted = () if after is None else (SetSearchPaths(after, PathKind.KEEP),)
        assert edits_of(found, CORE) == wanted, kind


def test_musl_keeps_no_path_with_another_dollar_since_it_would_drop_the_whole_list() -> None:
    core = binary(CORE, elf("libpng16.so.16", rpath="$ORIGIN/$LIB:$ORIGIN/lib"))
    for libc, kept in (("musl", ()), ("glibc", ("$ORIGIN/$LIB",))):
        target = dataclasses.replace(LINUX, libc=libc)
        found = wired([core], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG)], target)
        paths = SetSearchPaths((*kept, "$ORIGIN/lib", "$ORIGIN/../demo.libs"), PathKind.RPATH)
        assert paths in edits_of(found, CORE), libc


def test_a_path_is_added_behind_those_that_stay_and_turns_them_into_dt_rpath() -> None:
    core = binary(CORE, elf("libpng16.so.16", runpath="$ORIGIN/lib:/build"))
    found = wired([core], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG)])
    assert SetSearchPaths(("$ORIGIN/lib", "$ORIGIN/../demo.libs"), PathKind.RPATH) in edits_of(found, CORE)


def test_android_gets_dt_runpath_and_nothing_below_level_24() -> None:
    core = binary(CORE, elf("libpng16.so.16"))
    found = wired([core], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG)], ANDROID)
    assert SetSearchPaths(("$ORIGIN/../demo.libs",), PathKind.RUNPATH) in edits_of(found, CORE)
    assert not found.refusals
    old = dataclasses.replace(ANDROID, floors=(("x86_64", (21,)),))
    (refusal,) = wired([core], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG)], old).refusals
    assert "API level 21" in refusal.message
    deep = binary("demo/lib/libfoo.so", elf(soname="libfoo.so"))
    (refusal,) = wired([core, deep], [link(CORE, "libpng16.so.16", deep.path, How.BUNDLED)], (), old).refusals
    assert "API level 21" in refusal.message
    assert not wired([core, deep], [link(CORE, "libpng16.so.16", deep.path, How.BUNDLED, reachable=True)], (), old).refusals


def test_pythons_own_library_is_no_longer_needed_except_on_android_and_by_programs() -> None:
    need = link(CORE, "libpython3.12.so.1.0", "", How.EXPECTED, via="the interpreter itself")
    core = binary(CORE, elf("libpython3.12.so.1.0"))
    assert edits_of(wired([core], [need]), CORE) == (RemoveNeeded("libpython3.12.so.1.0"),)
    assert edits_of(wired([core], [need], target=ANDROID), CORE) == ()
    program = binary(CORE, elf("libpython3.12.so.1.0", kind="program"), role=Role.PROGRAM)
    assert edits_of(wired([program], [need]), CORE) == ()


def test_a_library_of_the_wheel_out_of_reach_gets_a_path_and_its_file_name() -> None:
    core = binary(CORE, elf("/build/libfoo.so.1"))
    foo = binary("demo/lib/libfoo.so.1", elf(soname="libfoo.so.1"))
    found = wired([core, foo], [link(CORE, "/build/libfoo.so.1", foo.path, How.BUNDLED)])
    assert edits_of(found, CORE) == (
        ReplaceNeeded("/build/libfoo.so.1", "libfoo.so.1"),
        SetSearchPaths(("$ORIGIN/lib",), PathKind.RPATH),
    )
    assert edits_of(found, foo.member) == ()


def test_a_folder_comes_first_where_another_file_of_the_name_would_be_found_before() -> None:
    core = binary(CORE, elf("libd.so", rpath="$ORIGIN/lib"))
    other, wanted = binary("demo/lib/libd.so", elf(soname="libd.so")), binary("demo/deep/libd.so", elf(soname="libd.so"))
    found = wired([core, other, wanted], [link(CORE, "libd.so", wanted.path, How.BUNDLED)])
    assert edits_of(found, CORE) == (SetSearchPaths(("$ORIGIN/deep", "$ORIGIN/lib"), PathKind.RPATH),)


def test_a_folder_stays_behind_the_others_where_the_other_file_of_the_name_is_found_no_more() -> None:
    core = binary(CORE, elf("libd.so", rpath="/build:$ORIGIN/lib"))
    other, wanted = outside("/build/libd.so"), binary("demo/deep/libd.so", elf(soname="libd.so"))
    found = wired([core, other, wanted], [link(CORE, "libd.so", wanted.path, How.BUNDLED)])
    assert edits_of(found, CORE) == (SetSearchPaths(("$ORIGIN/lib", "$ORIGIN/deep"), PathKind.RPATH),)


def test_of_two_folders_that_are_added_the_one_comes_first_that_hides_nothing_of_the_other() -> None:
    core = binary(CORE, elf("liba.so", "libd.so"))
    own = [binary(f"demo/{name}", elf(soname=name.rpartition("/")[2])) for name in ("one/liba.so", "one/libd.so", "two/libd.so")]
    links = [link(CORE, "liba.so", own[0].path, How.BUNDLED), link(CORE, "libd.so", own[2].path, How.BUNDLED)]
    assert edits_of(wired([core, *own], links), CORE) == (SetSearchPaths(("$ORIGIN/two", "$ORIGIN/one"), PathKind.RPATH),)


def test_a_folder_that_is_added_hides_nothing_that_was_found() -> None:
    core = binary(CORE, elf("liba.so", "libd.so", rpath="$ORIGIN/one"))
    own = [
        binary(f"demo/{name}", elf(soname=name.rpartition("/")[2])) for name in ("one/liba.so", "one/libd.so", "two/liba.so", "two/libd.so")
    ]
    links = [link(CORE, "liba.so", own[0].path, How.BUNDLED, reachable=True), link(CORE, "libd.so", own[3].path, How.BUNDLED)]
    assert edits_of(wired([core, *own], links), CORE) == (SetSearchPaths(("$ORIGIN/one", "$ORIGIN/two"), PathKind.RPATH),)


def test_what_is_reachable_stays_as_it_is() -> None:
    core = binary(CORE, elf("libfoo.so.1", runpath="$ORIGIN/lib"))
    foo = binary("demo/lib/libfoo.so.1", elf(soname="libfoo.so.1"))
    found = wired([core, foo], [link(CORE, "libfoo.so.1", foo.path, How.BUNDLED, reachable=True)])
    assert found == Wired()


def test_file_soname_and_needs_get_one_name() -> None:
    core = binary(CORE, elf("libfoo.so", rpath="$ORIGIN"))
    foo = binary("demo/libfoo.so", elf(soname="libfoo.so.1"))
    found = wired([core, foo], [link(CORE, "libfoo.so", foo.path, How.BUNDLED, reachable=True)])
    assert edits_of(found, foo.member) == (SetIdentity("libfoo.so"),)
    assert edits_of(found, CORE) == ()


def test_a_library_that_only_calls_itself_as_it_is_needed_is_called_as_its_file() -> None:
    core = binary(CORE, elf("libfoo.so.1"))
    foo = binary("demo/lib/libfoo.so", elf(soname="libfoo.so.1"))
    found = wired([core, foo], [link(CORE, "libfoo.so.1", foo.path, How.BUNDLED)])
    assert edits_of(found, CORE) == (ReplaceNeeded("libfoo.so.1", "libfoo.so"), SetSearchPaths(("$ORIGIN/lib",), PathKind.RPATH))
    assert edits_of(found, foo.member) == (SetIdentity("libfoo.so"),)


def test_libraries_of_another_distribution_are_reached_by_a_relative_path() -> None:
    target = f"{SITE}/other.libs/libx.so.1"
    found = wired([binary(CORE, elf("libx.so.1"))], [link(CORE, "libx.so.1", target, How.PROVIDED)])
    assert edits_of(found, CORE) == (SetSearchPaths(("$ORIGIN/../other.libs",), PathKind.RPATH),)


def test_a_program_in_scripts_moves_to_where_its_libraries_can_be_found() -> None:
    tool = dataclasses.replace(
        binary("demo-1.0.data/scripts/tool", elf("libpng16.so.16", kind="program"), role=Role.PROGRAM), path="/<prefix>/bin/tool"
    )
    found = wired([tool], [link(tool.path, "libpng16.so.16", PNG.path)], [taken(PNG)])
    assert (tool.path, "demo.scripts/tool") in found.placed
    shim, mode = found.actions
    assert isinstance(shim, AddFile)
    assert isinstance(mode, SetMode)
    assert (mode.member, mode.mode) == ("demo.scripts/tool", 0o755)
    assert (shim.member, shim.mode) == (tool.member, 0o755)
    assert shim.data.startswith(b"#!python\n")
    ast.parse(shim.data)
    assert SetSearchPaths(("$ORIGIN/../demo.libs",), PathKind.RPATH) in edits_of(found, tool.path)


def test_a_program_that_needs_nothing_stays_in_scripts() -> None:
    tool = dataclasses.replace(binary("demo-1.0.data/scripts/tool", elf("libc.so.6", kind="program")), path="/<prefix>/bin/tool")
    assert wired([tool], [link(tool.path, "libc.so.6", "", How.PROMISED, reachable=True)]) == Wired()


def test_from_the_data_folder_there_is_no_way_to_the_libraries() -> None:
    plugin = dataclasses.replace(binary("demo-1.0.data/data/lib/plugin.so", elf("libpng16.so.16")), path="/<prefix>/lib/plugin.so")
    (refusal,) = wired([plugin], [link(plugin.path, "libpng16.so.16", PNG.path)], [taken(PNG)]).refusals
    assert "plugin.so needs libpng16.so.16" in refusal.message


def test_what_was_asked_for_keeps_its_name_and_every_module_finds_it() -> None:
    plugin = outside("/opt/lib/libplugin.so", soname="libplugin.so")
    found = wired([binary(CORE, elf(), extension="demo._core")], [], [taken(plugin, wanted=True, renamed=False)])
    assert found.placed[0].member == "demo.libs/libplugin.so"
    assert edits_of(found, CORE) == (SetSearchPaths(("$ORIGIN/../demo.libs",), PathKind.RPATH),)
    assert edits_of(found, plugin.path) == ()
    assert any("ctypes" in remark for remark in found.remarks)


def test_what_was_asked_for_and_renamed_is_opened_by_needs_alone() -> None:
    core, other = binary(CORE, elf("libpng16.so.16"), extension="demo._core"), binary("demo/_two.so", elf(), extension="demo._two")
    found = wired([core, other], [link(CORE, "libpng16.so.16", PNG.path)], [taken(PNG, wanted=True)])
    assert found.placed[0].member == "demo.libs/libpng16-0a1b2c3d.so.16"
    assert edits_of(found, other.member) == ()
    assert found.remarks == ()


def test_what_was_asked_for_is_told_by_the_name_that_it_gets() -> None:
    plugin = outside("/opt/lib/libplugin.so.1.2.3", soname="libplugin.so.1")
    found = wired([binary(CORE, elf(), extension="demo._core")], [], [taken(plugin, wanted=True, renamed=False)])
    assert found.placed[0].member == "demo.libs/libplugin.so.1"
    (remark,) = found.remarks
    assert remark.startswith("libplugin.so.1: ")


def test_a_promised_library_that_is_needed_by_its_path_is_needed_by_its_name() -> None:
    core = binary(CORE, elf("/lib64/libm.so.6", "/opt/libcuda.so.1"))
    links = [link(CORE, "/lib64/libm.so.6", "", How.PROMISED), link(CORE, "/opt/libcuda.so.1", "", How.EXPECTED, via="--exclude libcuda*")]
    assert edits_of(wired([core], links), CORE) == (ReplaceNeeded("/lib64/libm.so.6", "libm.so.6"),)


def test_a_library_without_a_soname_gets_none() -> None:
    """It is found by its file's name, and linkers put that into needs."""
    plain = outside("/opt/libplain.so")
    found = wired([binary(CORE, elf("libplain.so"))], [link(CORE, "libplain.so", plain.path)], [taken(plain)])
    assert found.placed[0].member == "demo.libs/libplain-0a1b2c3d.so"
    assert edits_of(found, plain.path) == ()


def test_what_is_brought_in_has_a_dt_rpath_also_where_a_part_of_its_own_path_would_do() -> None:
    one = Binary("/opt/liba.so", "/opt/liba.so", (elf("libb.so", runpath="$ORIGIN:/opt", soname="liba.so"),))
    two = outside("/opt/libb.so", soname="libb.so")
    links = [link(CORE, "liba.so", one.path), link(one.path, "libb.so", two.path)]
    found = wired([binary(CORE, elf("liba.so"))], links, [taken(one, "11111111"), taken(two, "22222222")])
    assert SetSearchPaths(("$ORIGIN",), PathKind.RPATH) in edits_of(found, one.path)


def test_the_kept_path_of_a_program_that_moves_leads_where_it_led() -> None:
    image = elf("libpng16.so.16", kind="program", rpath="$ORIGIN/../lib/python3/site-packages/demo")
    tool = dataclasses.replace(binary("demo-1.0.data/scripts/tool", image), path="/<prefix>/bin/tool")
    found = wired([tool], [link(tool.path, "libpng16.so.16", PNG.path)], [taken(PNG)])
    assert SetSearchPaths(("$ORIGIN/../demo", "$ORIGIN/../demo.libs"), PathKind.RPATH) in edits_of(found, tool.path)


@pytest.mark.parametrize("path", ["$ORIGIN/lib", "${ORIGIN}/lib", "$ORIGIN/lib/", "$ORIGIN/../demo/lib"])
def test_a_folder_that_is_searched_already_is_not_added(path: str) -> None:
    core, foo = binary(CORE, elf("libfoo.so.1", rpath=f"$ORIGIN:{path}")), binary("demo/lib/libfoo.so", elf(soname="libfoo.so"))
    found = wired([core, foo], [link(CORE, "libfoo.so.1", foo.path, How.BUNDLED)])
    assert edits_of(found, CORE) == (ReplaceNeeded("libfoo.so.1", "libfoo.so"),)


def test_only_modules_for_the_same_machine_look_for_what_was_asked_for() -> None:
    plugin = outside("/opt/lib/libplugin.so", soname="libplugin.so")
    own = [
        binary("demo/helper.so", elf(), role=Role.PAYLOAD),
        binary("demo/_arm.so", elf(arch="aarch64"), extension="demo._arm"),
        binary(CORE, elf(), extension="demo._core"),
    ]
    found = wired(own, [], [taken(plugin, wanted=True, renamed=False)])
    assert [one.path for one in found.edited if one.edits] == [f"{SITE}/{CORE}"]


def test_a_name_that_stays_must_not_be_a_members() -> None:
    core = binary(CORE, elf("libpng16.so.16"))
    request = Request(
        survey(core, PNG, members=(Member("demo.libs/libpng16.so.16", 1),)),
        {},
        RepairOptions(),
        (taken(PNG, renamed=False),),
        (link(CORE, "libpng16.so.16", PNG.path),),
    )
    (refusal,) = wire(request).refusals
    assert refusal.message == f"{PNG.path} would be demo.libs/libpng16.so.16, which the wheel has already"


def test_the_library_that_another_is_a_filter_of_is_named_unless_the_wheel_has_it() -> None:
    core = binary(CORE, elf("libpng16.so.16", filtees=("libfast.so", "visibility=hidden")), extension="demo._core")
    fast = outside("/opt/libfast.so.2", soname="libfast.so")
    (remark,) = wired([core], []).remarks
    assert remark.startswith(f"{CORE} is a filter of libfast.so (DT_FILTER, DT_AUXILIARY), which stays outside: `--include`")
    assert len(wired([core], [], [taken(fast)]).remarks) == 1  # under another name
    assert not [one for one in wired([core], [], [taken(fast, wanted=True, renamed=False)]).remarks if "filter" in one]
    assert wired([core, binary("demo/libfast.so", elf())], []).remarks == ()
    assert wired([core], [], target=dataclasses.replace(LINUX, libc="musl")).remarks == ()


def test_two_files_that_keep_one_name_are_refused() -> None:
    one, two = (outside(f"/opt/{x}/libh.so.1", soname="libh.so.1") for x in "ab")
    own = [binary(CORE, elf("libh.so.1")), binary("demo/_two.so", elf("libh.so.1"))]
    links = [link(CORE, "libh.so.1", one.path), link("demo/_two.so", "libh.so.1", two.path)]
    (refusal,) = wired(own, links, [taken(one, renamed=False), taken(two, "9", renamed=False)]).refusals
    assert one.path in refusal.message
    assert two.path in refusal.message
