"""One test per search rule of dyld, over in-memory worlds."""

import dataclasses

import pytest

from builders import MACOS, SITE, binary, macho
from relocator.backends.macos import promises
from relocator.backends.macos.load import load
from relocator.loading import OtherFile, Process, Seen
from relocator.model import Binary, Format, How, Load, Needed, NeedKind, Resolution, Tried, Unreadable
from relocator.target import Target

PROMISED = promises(MACOS, "arm64")
PLAIN = Process(MACOS, PROMISED)
NEW, OLD = (14, 0), (13, 3)
SYSTEM = "/usr/lib/libSystem.B.dylib"
CALLER = "LC_RPATH of the caller of dlopen and of the program"
FALLBACK = "fallback for SDKs before 14.0"


class Files:
    """A world made of a list; links map a path to the path of the file behind it."""

    def __init__(self, *seen: Seen, links: dict[str, str] | None = None) -> None:
        self.seen = {one.path: one for one in seen}
        self.links = links or {}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        return self.seen.get(self.links.get(path, path))


def ext(*needed: str | Needed, member: str = "pkg/a.so", sdk: tuple[int, ...] = NEW, **facts: object) -> Binary:
    """An extension module, built with an SDK that gets no fallback directories unless told otherwise."""
    return binary(member, macho(*needed, sdk=sdk, **facts))  # type: ignore[arg-type]


def lib(member: str, *needed: str | Needed, install_name: str | None = None, sdk: tuple[int, ...] = NEW, **facts: object) -> Binary:
    """A dylib whose install name, unless given, is what delocation writes: a path that nobody asks for."""
    name = install_name or f"/DLC/{member}"
    return binary(member, macho(*needed, kind="library", install_name=name, sdk=sdk, **facts))  # type: ignore[arg-type]


def at(path: str, one: Binary, owner: str = "") -> Binary:
    """The same file elsewhere on the disk, of nobody unless an owner is given."""
    return dataclasses.replace(one, member=path, path=path, owner=owner)


def opened(*seen: Seen, links: dict[str, str] | None = None, process: Process = PLAIN, arch: str = "arm64") -> Load:
    """The load of the first file."""
    root = seen[0]
    assert isinstance(root, Binary)
    return load(root, arch, Files(*seen, links=links), process)


def answer(loaded: Load, name: str, importer: str = "") -> Resolution:
    """What became of a need: of the first importer that has it, or of the named one."""
    wanted = f"{SITE}/{importer}" if importer else ""
    return next(r for r in loaded.resolutions if r.needed.name == name and wanted in ("", r.importer))


def target(resolution: Resolution) -> str | None:
    """The member that was taken."""
    return resolution.target.removeprefix(f"{SITE}/") if resolution.target else None


def outcomes(resolution: Resolution) -> list[tuple[str, str]]:
    return [(tried.place.removeprefix(f"{SITE}/"), tried.outcome) for tried in resolution.tried]


def order(loaded: Load) -> list[str]:
    return [path.removeprefix(f"{SITE}/") for path in loaded.order]


def with_environment(**variables: str) -> Process:
    return dataclasses.replace(PLAIN, environment=tuple(variables.items()))


# ---------------------------------------------------------------- @loader_path


def test_loader_path_is_the_folder_of_the_image_that_has_the_command() -> None:
    loaded = opened(
        ext("@loader_path/../libs/libx.dylib"),
        lib("libs/libx.dylib", "@loader_path/liby.dylib"),
        lib("libs/liby.dylib"),
        lib("pkg/liby.dylib"),
    )
    found = answer(loaded, "@loader_path/../libs/libx.dylib")
    place = f"{SITE}/libs/libx.dylib"
    assert found == Resolution(
        f"{SITE}/pkg/a.so",
        0,
        found.needed,
        "arm64",
        How.BUNDLED,
        place,
        "load command of pkg/a.so",
        (Tried(place, "load command of pkg/a.so", "found"),),
    )
    assert target(answer(loaded, "@loader_path/liby.dylib")) == "libs/liby.dylib"


def test_a_missing_library_beside_the_image_is_missing() -> None:
    found = answer(opened(ext("@loader_path/libx.dylib"), lib("libs/libx.dylib")), "@loader_path/libx.dylib")
    assert (found.how, found.target, found.via) == (How.MISSING, None, "load command of pkg/a.so")
    assert outcomes(found) == [("pkg/libx.dylib", "absent")]


def test_loader_path_is_taken_from_the_real_path_and_not_from_the_link_that_led_there() -> None:
    loaded = opened(
        ext("@loader_path/libx.dylib"),
        lib("real/libx.dylib", "@loader_path/liby.dylib"),
        lib("real/liby.dylib"),
        links={f"{SITE}/pkg/libx.dylib": f"{SITE}/real/libx.dylib"},
    )
    assert target(answer(loaded, "@loader_path/libx.dylib")) == "real/libx.dylib"
    assert target(answer(loaded, "@loader_path/liby.dylib")) == "real/liby.dylib"


@pytest.mark.parametrize("name", ["@loader_pathx/libx.dylib", "@unknown/libx.dylib", "@rpath"])
def test_what_starts_with_another_at_word_is_nowhere(name: str) -> None:
    found = answer(opened(ext(name), lib("pkg/libx.dylib")), name)
    assert (found.how, outcomes(found)) == (How.MISSING, [(name, "absent")])


# ---------------------------------------------------------------- @executable_path


def test_executable_path_is_unknown_for_an_extension_module_of_a_wheel() -> None:
    name = "@executable_path/../lib/libx.dylib"
    found = answer(opened(ext(name), lib("lib/libx.dylib")), name)
    assert (found.how, outcomes(found)) == (How.MISSING, [(name, "unknown program")])


def test_executable_path_is_the_folder_of_a_known_program() -> None:
    python = at("/opt/py/bin/python3", binary("bin/python3", macho(kind="program")))
    helper = at("/opt/py/lib/libx.dylib", lib("libx.dylib"))
    process = dataclasses.replace(PLAIN, executable=python.path)
    found = answer(opened(ext("@executable_path/../lib/libx.dylib"), python, helper, process=process), "@executable_path/../lib/libx.dylib")
    assert (found.how, found.target) == (How.OUTSIDE, helper.path)


def test_executable_path_of_a_library_below_a_program_is_that_programs_folder() -> None:
    program = binary("bin/tool", macho("@loader_path/../lib/liba.dylib", kind="program", sdk=NEW))
    loaded = opened(program, lib("lib/liba.dylib", "@executable_path/libb.dylib"), lib("bin/libb.dylib"), lib("lib/libb.dylib"))
    assert target(answer(loaded, "@executable_path/libb.dylib")) == "bin/libb.dylib"


def test_a_program_is_its_own_process_and_not_opened_by_python() -> None:
    program = binary("bin/tool", macho("@rpath/liba.dylib", kind="program", sdk=NEW))
    python = at("/opt/py/bin/python3", binary("bin/python3", macho(kind="program", rpaths=["/opt/py/lib"])))
    process = dataclasses.replace(PLAIN, executable=python.path, loaded=(f"{SITE}/lib/liba.dylib",))
    early = lib("lib/liba.dylib", install_name="@rpath/liba.dylib")
    found = answer(opened(program, python, at("/opt/py/lib/liba.dylib", early), early, process=process), "@rpath/liba.dylib")
    assert (found.how, outcomes(found)) == (How.MISSING, [("@rpath/liba.dylib", "absent")])


# ---------------------------------------------------------------- @rpath


def test_an_rpath_name_is_tried_below_every_rpath_of_the_image_in_order() -> None:
    root = ext("@rpath/libx.dylib", rpaths=["@loader_path/none", "@loader_path/../libs", "@loader_path"])
    found = answer(opened(root, lib("libs/libx.dylib"), lib("pkg/libx.dylib")), "@rpath/libx.dylib")
    assert (found.how, target(found), found.via) == (How.BUNDLED, "libs/libx.dylib", "LC_RPATH of pkg/a.so: @loader_path/../libs")
    assert outcomes(found) == [("@rpath/libx.dylib", "absent"), ("pkg/none/libx.dylib", "absent"), ("libs/libx.dylib", "found")]


def test_rpaths_of_the_whole_chain_of_loaders_are_tried_innermost_first() -> None:
    loaded = opened(
        ext("@rpath/libx.dylib", rpaths=["@loader_path/../libs", "@loader_path/../deep"]),
        lib("libs/libx.dylib", "@rpath/liby.dylib", rpaths=["@loader_path/own"]),
        lib("deep/liby.dylib"),
    )
    found = answer(loaded, "@rpath/liby.dylib")
    assert target(found) == "deep/liby.dylib"
    assert [tried.via for tried in found.tried] == [
        "already loaded",
        "LC_RPATH of libs/libx.dylib: @loader_path/own",
        "LC_RPATH of pkg/a.so: @loader_path/../libs",
        "LC_RPATH of pkg/a.so: @loader_path/../deep",
    ]


def test_loader_path_in_an_rpath_is_the_folder_of_the_image_that_has_the_rpath() -> None:
    loaded = opened(
        ext("@rpath/sub/libx.dylib", rpaths=["@loader_path"]),
        lib("pkg/sub/libx.dylib", "@rpath/liby.dylib"),
        lib("pkg/liby.dylib"),
        lib("pkg/sub/liby.dylib"),
    )
    assert target(answer(loaded, "@rpath/liby.dylib")) == "pkg/liby.dylib"


def test_rpaths_of_images_beside_the_chain_do_not_count() -> None:
    loaded = opened(
        ext("@loader_path/liby.dylib", "@loader_path/libx.dylib"),
        lib("pkg/liby.dylib", rpaths=["@loader_path/../libs"]),
        lib("pkg/libx.dylib", "@rpath/libz.dylib"),
        lib("libs/libz.dylib"),
    )
    assert answer(loaded, "@rpath/libz.dylib").how == How.MISSING


def test_the_chain_of_an_opened_module_ends_with_its_caller_and_the_program() -> None:
    python = at("/opt/py/bin/python3", binary("x", macho("@rpath/libpython3.12.dylib", kind="program", rpaths=["/opt/py/lib"])))
    runtime = at("/opt/py/lib/libpython3.12.dylib", lib("x", rpaths=["/opt/py/more"], install_name="@rpath/libpython3.12.dylib"))
    process = dataclasses.replace(PLAIN, executable=python.path)
    root = ext("@rpath/libx.dylib", rpaths=["@loader_path"])
    found = answer(opened(root, python, runtime, process=process), "@rpath/libx.dylib")
    assert [tried.place for tried in found.tried] == [
        "@rpath/libx.dylib",
        f"{SITE}/pkg/libx.dylib",
        "/opt/py/more/libx.dylib",
        "/opt/py/lib/libx.dylib",
    ]


def test_a_caller_that_is_not_known_is_told_after_the_images_own_rpaths() -> None:
    found = answer(opened(ext("@rpath/libx.dylib", rpaths=["@loader_path"])), "@rpath/libx.dylib")
    assert (found.how, found.via) == (How.MISSING, CALLER)
    assert outcomes(found) == [("@rpath/libx.dylib", "absent"), ("pkg/libx.dylib", "absent"), ("@rpath/libx.dylib", "unknown program")]


def test_an_absolute_rpath_is_looked_in_and_leads_outside() -> None:
    outside = at("/opt/homebrew/lib/libx.dylib", lib("libx.dylib"))
    found = answer(opened(ext("@rpath/libx.dylib", rpaths=["/opt/homebrew/lib"]), outside), "@rpath/libx.dylib")
    assert (found.how, found.target, found.via) == (How.OUTSIDE, outside.path, "LC_RPATH of pkg/a.so: /opt/homebrew/lib")


def test_an_rpath_to_the_system_leads_to_the_shared_cache() -> None:
    found = answer(opened(ext("@rpath/libswiftCore.dylib", rpaths=["/usr/lib/swift"])), "@rpath/libswiftCore.dylib")
    assert (found.how, found.target) == (How.PROMISED, None)


@pytest.mark.parametrize(("path", "outcome"), [("lib", "depends on the current directory"), ("@rpath/lib", "absent"), ("", "not promised")])
def test_an_rpath_that_is_neither_absolute_nor_relative_to_an_image(path: str, outcome: str) -> None:
    found = answer(opened(ext("@rpath/libx.dylib", rpaths=[path]), lib("pkg/lib/libx.dylib")), "@rpath/libx.dylib")
    assert outcomes(found)[1] == (f"{path}/libx.dylib", outcome)


# ---------------------------------------------------------------- what is loaded already


def test_an_rpath_name_is_met_by_a_loaded_image_with_that_install_name_whatever_the_rpaths_say() -> None:
    loaded = opened(
        ext("@loader_path/../libs/libx.dylib", "@loader_path/libz.dylib"),
        lib("libs/libx.dylib", install_name="@rpath/libx.dylib"),
        lib("pkg/libz.dylib", "@rpath/libx.dylib", rpaths=["@loader_path"]),
        lib("pkg/libx.dylib"),
    )
    found = answer(loaded, "@rpath/libx.dylib")
    assert (target(found), found.via) == ("libs/libx.dylib", "already loaded")
    assert order(loaded) == ["pkg/a.so", "libs/libx.dylib", "pkg/libz.dylib"]


def test_a_library_whose_identity_was_rewritten_does_not_meet_the_old_name() -> None:
    loaded = opened(
        ext("@loader_path/../libs/libx.dylib", "@loader_path/libz.dylib"),
        lib("libs/libx.dylib", install_name="/DLC/pkg/.dylibs/libx.dylib"),
        lib("pkg/libz.dylib", "@rpath/libx.dylib"),
    )
    assert answer(loaded, "@rpath/libx.dylib").how == How.MISSING


@pytest.mark.parametrize("name", ["/opt/homebrew/lib/libx.dylib", "libx.dylib"])
def test_an_absolute_or_bare_name_is_met_by_a_loaded_image_with_that_install_name(name: str) -> None:
    loaded = opened(
        ext("@loader_path/libx.dylib", "@loader_path/libz.dylib"),
        lib("pkg/libx.dylib", install_name=name),
        lib("pkg/libz.dylib", name),
    )
    found = answer(loaded, name)
    assert (target(found), outcomes(found)) == ("pkg/libx.dylib", [(name, "already loaded")])


def test_the_identity_of_a_bundle_meets_nothing() -> None:
    root = ext("@loader_path/libz.dylib", install_name="@rpath/a.so")
    assert answer(opened(root, lib("pkg/libz.dylib", "@rpath/a.so")), "@rpath/a.so").how == How.MISSING


def test_the_first_image_with_an_install_name_wins() -> None:
    loaded = opened(
        ext("@loader_path/one.dylib", "@loader_path/two.dylib", "@loader_path/libz.dylib"),
        lib("pkg/one.dylib", install_name="@rpath/libx.dylib"),
        lib("pkg/two.dylib", install_name="@rpath/libx.dylib"),
        lib("pkg/libz.dylib", "@rpath/libx.dylib"),
    )
    assert target(answer(loaded, "@rpath/libx.dylib")) == "pkg/one.dylib"


def test_what_the_packages_sources_open_first_meets_later_names() -> None:
    early = lib("libs/libx.dylib", install_name="@rpath/libx.dylib")
    root = ext("@rpath/libx.dylib")
    process = dataclasses.replace(PLAIN, loaded=(early.path, f"{SITE}/pkg/not_there.dylib"))
    assert answer(opened(root, early), "@rpath/libx.dylib").how == How.MISSING
    loaded = opened(root, early, process=process)
    assert target(answer(loaded, "@rpath/libx.dylib")) == "libs/libx.dylib"
    assert order(loaded) == ["pkg/a.so", "libs/libx.dylib"]


def test_a_file_reached_by_two_paths_is_one_image() -> None:
    loaded = opened(
        ext("@loader_path/libx.dylib", "@loader_path/alias.dylib"),
        lib("pkg/libx.dylib"),
        links={f"{SITE}/pkg/alias.dylib": f"{SITE}/pkg/libx.dylib"},
    )
    assert outcomes(answer(loaded, "@loader_path/alias.dylib")) == [("pkg/alias.dylib", "already loaded")]
    assert order(loaded) == ["pkg/a.so", "pkg/libx.dylib"]


def test_a_library_that_needs_the_module_that_brought_it_gets_it_though_it_is_no_dylib() -> None:
    loaded = opened(
        ext("@loader_path/libx.dylib"),
        lib("pkg/libx.dylib", "@loader_path/back.so"),
        links={f"{SITE}/pkg/back.so": f"{SITE}/pkg/a.so"},
    )
    assert target(answer(loaded, "@loader_path/back.so")) == "pkg/a.so"


def test_libraries_that_need_each_other_end() -> None:
    loaded = opened(
        ext("@loader_path/libx.dylib"),
        lib("pkg/libx.dylib", "@loader_path/liby.dylib"),
        lib("pkg/liby.dylib", "@loader_path/libx.dylib", "@loader_path/liby.dylib"),
    )
    assert order(loaded) == ["pkg/a.so", "pkg/libx.dylib", "pkg/liby.dylib"]
    assert all(r.how == How.BUNDLED for r in loaded.resolutions)


def test_libraries_are_loaded_level_by_level_below_each_image() -> None:
    loaded = opened(
        ext("@loader_path/l1.dylib", "@loader_path/l2.dylib"),
        lib("pkg/l1.dylib", "@loader_path/l3.dylib", "@loader_path/l4.dylib"),
        lib("pkg/l2.dylib", "@loader_path/l5.dylib"),
        lib("pkg/l3.dylib", "@loader_path/l6.dylib"),
        *(lib(f"pkg/l{number}.dylib") for number in (4, 5, 6)),
    )
    assert order(loaded) == ["pkg/a.so", *(f"pkg/l{number}.dylib" for number in (1, 2, 3, 4, 6, 5))]


def test_a_chain_of_two_thousand_libraries_is_followed() -> None:
    chain = [lib(f"pkg/{n}.dylib", f"@loader_path/{n + 1}.dylib") for n in range(2000)]
    loaded = opened(ext("@loader_path/0.dylib"), *chain)
    assert len(loaded.order) == 2001
    assert [r.needed.name for r in loaded.resolutions if r.how == How.MISSING] == ["@loader_path/2000.dylib"]


# ---------------------------------------------------------------- the shared cache


@pytest.mark.parametrize(
    "name",
    [
        SYSTEM,
        "/usr/lib/libc++.1.dylib",
        "/usr/lib/libobjc.A.dylib",
        "/usr/lib/swift/libswift_Concurrency.dylib",
        "/System/Library/Frameworks/Accelerate.framework/Versions/A/Accelerate",
    ],
)
def test_the_systems_libraries_exist_without_a_file(name: str) -> None:
    found = answer(opened(ext(name)), name)
    assert (found.how, found.target, found.via) == (How.PROMISED, None, "load command of pkg/a.so")
    assert outcomes(found) == [(name, "promised by macosx_11_0_arm64")]


def test_not_every_path_in_usr_lib_is_the_systems() -> None:
    name = "/usr/lib/libgfortran.3.dylib"
    found = answer(opened(ext(name)), name)
    assert (found.how, outcomes(found)) == (How.MISSING, [(name, "not promised")])


def test_without_a_target_any_macos_is_meant() -> None:
    process = Process(Target("", "", ""), PROMISED)
    assert outcomes(answer(opened(ext(SYSTEM), process=process), SYSTEM)) == [(SYSTEM, "promised by macOS")]


def test_an_absolute_name_elsewhere_is_tried_as_it_is() -> None:
    name = "/opt/homebrew/opt/x/lib/libx.dylib"
    assert outcomes(answer(opened(ext(name)), name)) == [(name, "not promised")]
    outside = at(name, lib("libx.dylib"))
    assert answer(opened(ext(name), outside), name).how == How.OUTSIDE


def test_a_name_without_a_folder_depends_on_the_current_directory() -> None:
    found = answer(opened(ext("libx.dylib"), lib("pkg/libx.dylib")), "libx.dylib")
    assert (found.how, outcomes(found)) == (How.MISSING, [("libx.dylib", "depends on the current directory")])


# ---------------------------------------------------------------- fallback directories


def test_for_an_old_sdk_the_leaf_name_is_tried_in_the_fallback_directories_last() -> None:
    found = answer(opened(ext("@loader_path/libx.dylib", sdk=OLD)), "@loader_path/libx.dylib")
    assert found.how == How.MISSING
    assert [tuple(tried) for tried in found.tried] == [
        (f"{SITE}/pkg/libx.dylib", "load command of pkg/a.so", "absent"),
        ("/usr/local/lib/libx.dylib", FALLBACK, "not promised"),
        ("/usr/lib/libx.dylib", FALLBACK, "not promised"),
    ]


@pytest.mark.parametrize(("sdk", "places"), [((), 3), (OLD, 3), ((13,), 3), (NEW, 1), ((14, 0, 1), 1), ((26, 0), 1)])
def test_the_sdk_decides_whether_there_are_fallback_directories(sdk: tuple[int, ...], places: int) -> None:
    assert len(answer(opened(ext("/nowhere/libx.dylib", sdk=sdk)), "/nowhere/libx.dylib").tried) == places


def test_a_hit_in_usr_local_lib_is_outside() -> None:
    outside = at("/usr/local/lib/libx.dylib", lib("libx.dylib"))
    root = ext("@rpath/libx.dylib", sdk=OLD, rpaths=["@loader_path"])
    found = answer(opened(root, outside), "@rpath/libx.dylib")
    assert (found.how, found.target, found.via) == (How.OUTSIDE, outside.path, FALLBACK)


def test_the_system_meets_a_leaf_name_through_the_fallback_directories() -> None:
    name = "/opt/homebrew/opt/sqlite/lib/libsqlite3.dylib"
    assert answer(opened(ext(name, sdk=OLD)), name).how == How.PROMISED
    assert answer(opened(ext(name)), name).how == How.MISSING


def test_the_fallback_directories_are_those_of_the_image_that_asks() -> None:
    loaded = opened(ext("@loader_path/libx.dylib", sdk=OLD), lib("pkg/libx.dylib", "@loader_path/liby.dylib"))
    assert len(answer(loaded, "@loader_path/liby.dylib").tried) == 1


def test_a_path_that_was_tried_is_not_tried_again_as_its_own_fallback() -> None:
    name = "/usr/local/lib/libx.dylib"
    assert [tried.place for tried in answer(opened(ext(name, sdk=OLD)), name).tried] == [name, "/usr/lib/libx.dylib"]


def test_the_fallback_variable_replaces_the_fallback_directories_for_every_sdk() -> None:
    process = with_environment(DYLD_FALLBACK_LIBRARY_PATH="/one:/two")
    for sdk in (OLD, NEW):
        found = answer(opened(ext("@loader_path/libx.dylib", sdk=sdk), process=process), "@loader_path/libx.dylib")
        assert [tried.place for tried in found.tried[1:]] == ["/one/libx.dylib", "/two/libx.dylib"]
        assert found.via == "DYLD_FALLBACK_LIBRARY_PATH"


def test_on_ios_the_sdk_and_the_fallback_directories_are_others() -> None:
    goal = Target("ios_13_0_arm64_iphoneos", "ios", "", (("arm64", (13, 0)),))
    process = Process(goal, promises(goal, "arm64"))

    def places(name: str, sdk: tuple[int, ...]) -> list[str]:
        return [tried.place for tried in answer(opened(ext(name, sdk=sdk, platform="ios"), process=process), name).tried]

    assert places("/nowhere/libx.dylib", (16, 4)) == ["/nowhere/libx.dylib", "/usr/local/lib/libx.dylib", "/usr/lib/libx.dylib"]
    assert places("/nowhere/libx.dylib", (17, 0)) == ["/nowhere/libx.dylib"]
    assert places("/nowhere/X.framework/X", (16, 4))[1:] == ["/System/Library/Frameworks/X.framework/X"]


# ---------------------------------------------------------------- variables and named directories


def test_library_path_comes_before_everything_but_loaded_images() -> None:
    process = with_environment(DYLD_LIBRARY_PATH="/first:/second")
    outside = at("/second/libx.dylib", lib("libx.dylib"))
    found = answer(opened(ext("@loader_path/libx.dylib"), lib("pkg/libx.dylib"), outside, process=process), "@loader_path/libx.dylib")
    assert (found.how, found.target, found.via) == (How.OUTSIDE, outside.path, "DYLD_LIBRARY_PATH")
    assert outcomes(found) == [("/first/libx.dylib", "not promised"), ("/second/libx.dylib", "found")]


def test_library_path_overrides_the_systems_libraries_too() -> None:
    outside = at("/first/libSystem.B.dylib", lib("x"))
    found = answer(opened(ext(SYSTEM), outside, process=with_environment(DYLD_LIBRARY_PATH="/first")), SYSTEM)
    assert found.how == How.OUTSIDE


def test_an_absolute_name_that_is_loaded_wins_over_library_path() -> None:
    name = "/opt/homebrew/lib/libx.dylib"
    loaded = opened(
        ext("@loader_path/one.dylib", "@loader_path/libz.dylib"),
        lib("pkg/one.dylib", install_name=name),
        lib("pkg/libz.dylib", name),
        at("/first/libx.dylib", lib("libx.dylib")),
        process=with_environment(DYLD_LIBRARY_PATH="/first"),
    )
    assert target(answer(loaded, name)) == "pkg/one.dylib"


def test_a_relative_folder_in_a_variable_depends_on_the_current_directory() -> None:
    found = answer(opened(ext("@loader_path/libx.dylib"), process=with_environment(DYLD_LIBRARY_PATH="libs")), "@loader_path/libx.dylib")
    assert outcomes(found)[0] == ("libs/libx.dylib", "depends on the current directory")


def test_named_directories_come_last() -> None:
    process = dataclasses.replace(PLAIN, search=("/build/lib", "/build/more"))
    outside = at("/build/more/libx.dylib", lib("libx.dylib"))
    found = answer(opened(ext("@rpath/libx.dylib", sdk=OLD), outside, process=process), "@rpath/libx.dylib")
    assert (found.how, found.via) == (How.OUTSIDE, "--search /build/more")
    assert outcomes(found)[-3:] == [
        ("/usr/lib/libx.dylib", "not promised"),
        ("/build/lib/libx.dylib", "absent"),
        ("/build/more/libx.dylib", "found"),
    ]


# ---------------------------------------------------------------- frameworks


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("/Library/Frameworks/X.framework/X", "X.framework/X"),
        ("@rpath/X.framework/Versions/A/X", "X.framework/Versions/A/X"),
        ("@loader_path/Y.framework/Frameworks/X.framework/X", "X.framework/X"),
    ],
)
def test_of_a_framework_name_the_whole_framework_part_is_looked_for(name: str, part: str) -> None:
    process = with_environment(DYLD_FRAMEWORK_PATH="/fw", DYLD_LIBRARY_PATH="/lib", DYLD_FALLBACK_FRAMEWORK_PATH="/late")
    places = [tried.place for tried in answer(opened(ext(name), process=process), name).tried if not tried.place.startswith("@rpath")]
    assert (places[0], places[-1]) == (f"/fw/{part}", f"/late/{part}")
    assert not any(place.startswith("/lib/") for place in places)


@pytest.mark.parametrize("name", ["/opt/X.framework/Libraries/Y", "/opt/X.framework/Y.dylib", "/opt/X.frameworks/X"])
def test_a_library_inside_a_framework_is_no_framework_name(name: str) -> None:
    process = with_environment(DYLD_FRAMEWORK_PATH="/fw", DYLD_LIBRARY_PATH="/lib")
    assert answer(opened(ext(name), process=process), name).tried[0].place == "/lib/" + name.rpartition("/")[2]


def test_an_old_sdk_looks_for_frameworks_in_the_two_system_folders() -> None:
    name = "@loader_path/X.framework/X"
    found = answer(opened(ext(name, sdk=OLD)), name)
    assert [tried.place for tried in found.tried[1:]] == [
        "/Library/Frameworks/X.framework/X",
        "/System/Library/Frameworks/X.framework/X",
    ]


# ---------------------------------------------------------------- kinds of needs


@pytest.mark.parametrize("kind", [NeedKind.REQUIRED, NeedKind.WEAK, NeedKind.REEXPORT, NeedKind.UPWARD, NeedKind.DELAYED])
def test_every_kind_but_the_lazy_one_is_loaded_at_once_with_all_that_it_needs(kind: NeedKind) -> None:
    root = ext(Needed("@loader_path/libx.dylib", kind))
    loaded = opened(root, lib("pkg/libx.dylib", "@loader_path/liby.dylib"), lib("pkg/liby.dylib"))
    assert order(loaded) == ["pkg/a.so", "pkg/libx.dylib", "pkg/liby.dylib"]


def test_a_lazy_need_is_resolved_and_not_loaded() -> None:
    root = ext(Needed("@loader_path/libx.dylib", NeedKind.LAZY))
    loaded = opened(root, lib("pkg/libx.dylib", "@loader_path/liby.dylib"), lib("pkg/liby.dylib"))
    assert target(answer(loaded, "@loader_path/libx.dylib")) == "pkg/libx.dylib"
    assert (order(loaded), len(loaded.resolutions)) == (["pkg/a.so"], 1)


def test_a_weak_need_may_be_missing_and_the_rest_is_loaded_all_the_same() -> None:
    root = ext(Needed("@loader_path/libx.dylib", NeedKind.WEAK), "@loader_path/liby.dylib")
    loaded = opened(root, lib("pkg/liby.dylib"))
    assert [(r.needed.kind, r.how) for r in loaded.resolutions] == [(NeedKind.WEAK, How.MISSING), (NeedKind.REQUIRED, How.BUNDLED)]


def test_two_libraries_may_need_each_other_upward() -> None:
    loaded = opened(
        ext("@loader_path/libx.dylib"),
        lib("pkg/libx.dylib", Needed("@loader_path/liby.dylib", NeedKind.REEXPORT)),
        lib("pkg/liby.dylib", Needed("@loader_path/libx.dylib", NeedKind.UPWARD)),
    )
    assert [r.how for r in loaded.resolutions] == [How.BUNDLED] * 3


# ---------------------------------------------------------------- what is passed over


def passed_over(first: Seen) -> Resolution:
    """What becomes of a need when this file lies in the first rpath and a good one in the second."""
    root = ext("@rpath/libx.dylib", rpaths=["@loader_path/first", "@loader_path/second"])
    return answer(opened(root, first, lib("pkg/second/libx.dylib")), "@rpath/libx.dylib")


def test_a_file_of_another_architecture_is_passed_over() -> None:
    found = passed_over(lib("pkg/first/libx.dylib", arch="x86_64"))
    assert (target(found), found.tried[1].outcome) == ("pkg/second/libx.dylib", "other architecture: x86_64")


@pytest.mark.parametrize("platform", ["ios", "iossimulator", "maccatalyst"])
def test_a_library_for_another_platform_is_passed_over(platform: str) -> None:
    found = passed_over(lib("pkg/first/libx.dylib", platform=platform))
    assert (target(found), found.tried[1].outcome) == ("pkg/second/libx.dylib", f"other platform: {platform}")


def test_a_library_that_names_no_platform_is_taken() -> None:
    assert target(passed_over(lib("pkg/first/libx.dylib", platform=""))) == "pkg/first/libx.dylib"


@pytest.mark.parametrize("kind", ["bundle", "program"])
def test_what_is_no_dylib_cannot_be_linked_against(kind: str) -> None:
    found = passed_over(binary("pkg/first/libx.dylib", macho(kind=kind, sdk=NEW)))
    assert (target(found), found.tried[1].outcome) == ("pkg/second/libx.dylib", f"a {kind}, not a dylib")


def test_a_damaged_file_and_a_text_are_passed_over() -> None:
    path = f"{SITE}/pkg/first/libx.dylib"
    damaged = passed_over(Unreadable("pkg/first/libx.dylib", path, Format.MACHO, "ncmds", "is 9"))
    assert (target(damaged), damaged.tried[1].outcome) == ("pkg/second/libx.dylib", "unreadable: ncmds: is 9")
    text = passed_over(OtherFile(path))
    assert (target(text), text.tried[1].outcome) == ("pkg/second/libx.dylib", "not a Mach-O file")


def test_each_architecture_of_a_universal_file_is_its_own_load() -> None:
    root = binary("pkg/a.so", macho("@loader_path/arm.dylib", sdk=NEW), macho("@loader_path/intel.dylib", arch="x86_64", sdk=NEW))
    thin = lib("pkg/intel.dylib", arch="x86_64")
    assert [r.how for r in opened(root, thin, arch="x86_64").resolutions] == [How.BUNDLED]
    assert [r.needed.name for r in opened(root, thin).resolutions] == ["@loader_path/arm.dylib"]


def test_a_root_without_the_architecture_loads_nothing() -> None:
    root = ext("@loader_path/libx.dylib")
    assert opened(root, arch="x86_64") == Load(root.path, "x86_64", "dyld", (root.path,), ())


def test_a_library_of_another_distribution_is_provided() -> None:
    other = dataclasses.replace(lib("other/libx.dylib"), owner="other")
    assert answer(opened(ext("@loader_path/../other/libx.dylib"), other), "@loader_path/../other/libx.dylib").how == How.PROVIDED
