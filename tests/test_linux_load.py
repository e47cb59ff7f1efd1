"""One test per search rule of Linux's loaders, over in-memory worlds."""

import dataclasses

import pytest

from builders import LINUX, MANYLINUX, SITE, binary, elf
from relocator.backends.linux.load import load
from relocator.libc import libc_of
from relocator.loading import OtherFile, Process, Seen
from relocator.model import Binary, Format, How, Image, Load, Resolution, Tried, Unreadable
from relocator.target import Level, Promises, Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
MUSLLINUX = Promises("musllinux", "x86_64", (Level((1, 2), ("musllinux_1_2",), frozenset({"libc.musl-x86_64.so.1"})),))
ANDROID = Target("android_24_x86_64", "android", "bionic", (("x86_64", (24,)),))
OLD_ANDROID = Target("android_21_x86_64", "android", "bionic", (("x86_64", (21,)),))
NDK = Promises("android", "x86_64", (Level((21,), ("android_21",), frozenset({"libc.so", "libm.so", "liblog.so"})),))
UNDECIDED = Target("", "", "")

GLIBC = Process(LINUX, MANYLINUX)
MUSL_PROCESS = Process(MUSL, MUSLLINUX)
BIONIC = Process(ANDROID, NDK)

HWCAPS = ".../glibc-hwcaps/{x86-64-v4,x86-64-v3,x86-64-v2}"


class Files:
    """A world made of a list; links map a path to the path of the file behind it."""

    def __init__(self, *seen: Seen, links: dict[str, str] | None = None) -> None:
        self.seen = {one.path: one for one in seen}
        self.links = links or {}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        return self.seen.get(self.links.get(path, path))


def lib(member: str, *needed: str, **facts: object) -> Binary:
    return binary(member, elf(*needed, **facts))  # type: ignore[arg-type]


def damaged(member: str) -> Unreadable:
    return Unreadable(member, f"{SITE}/{member}", Format.ELF, "Elf64_Phdr", "needs 56 bytes")


def text_file(member: str) -> OtherFile:
    return OtherFile(f"{SITE}/{member}")


def opened(*seen: Seen, links: dict[str, str] | None = None, process: Process = GLIBC, arch: str = "x86_64") -> Load:
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


# ---------------------------------------------------------------- glibc: search paths


def test_without_any_path_a_neighbour_is_not_found() -> None:
    found = answer(opened(lib("pkg/a.so", "libx.so"), lib("pkg/libx.so")), "libx.so")
    assert (found.how, found.target, found.via) == (How.MISSING, None, "default directories")
    assert found.tried == (Tried("libx.so", "default directories", "not promised"),)


def test_rpath_leads_to_a_bundled_library() -> None:
    found = answer(opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../libs"), lib("libs/libx.so")), "libx.so")
    assert found == Resolution(
        f"{SITE}/pkg/a.so",
        0,
        found.needed,
        "x86_64",
        How.BUNDLED,
        f"{SITE}/libs/libx.so",
        "DT_RPATH of pkg/a.so: $ORIGIN/../libs",
        (Tried(f"{SITE}/libs/libx.so", "DT_RPATH of pkg/a.so: $ORIGIN/../libs", "found"),),
    )


@pytest.mark.parametrize(("path", "found"), [("rpath", "libs/liby.so"), ("runpath", None)])
def test_rpath_of_a_parent_is_inherited_and_its_runpath_is_not(path: str, found: str | None) -> None:
    root = lib("pkg/a.so", "libx.so", **{path: "$ORIGIN/../libs"})
    loaded = opened(root, lib("libs/libx.so", "liby.so"), lib("libs/liby.so"))
    assert target(answer(loaded, "libx.so")) == "libs/libx.so"
    assert target(answer(loaded, "liby.so")) == found


def test_rpath_of_a_grandparent_is_inherited() -> None:
    loaded = opened(
        lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../libs"),
        lib("libs/libx.so", "liby.so"),
        lib("libs/liby.so", "libz.so"),
        lib("libs/libz.so"),
    )
    assert target(answer(loaded, "libz.so")) == "libs/libz.so"
    assert answer(loaded, "libz.so").via == "DT_RPATH of pkg/a.so: $ORIGIN/../libs"


def test_an_objects_runpath_switches_off_its_own_and_every_inherited_rpath() -> None:
    loaded = opened(
        lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../libs"),
        lib("libs/libx.so", "liby.so", rpath="$ORIGIN", runpath="/nowhere"),
        lib("libs/liby.so"),
    )
    found = answer(loaded, "liby.so")
    assert found.how == How.MISSING
    assert [tried.via for tried in found.tried] == [
        "DT_RUNPATH of libs/libx.so: /nowhere",
        "and the glibc-hwcaps subdirectories of each",
        "default directories",
    ]


def test_an_empty_runpath_switches_rpaths_off_too() -> None:
    loaded = opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN", runpath=""), lib("pkg/libx.so"))
    assert answer(loaded, "libx.so").how == How.MISSING


def test_rpath_of_an_ancestor_that_has_a_runpath_is_ignored() -> None:
    root = lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../libs:$ORIGIN/../more", runpath="$ORIGIN/../libs")
    loaded = opened(root, lib("libs/libx.so", "liby.so"), lib("more/liby.so"))
    assert answer(loaded, "liby.so").how == How.MISSING


def test_rpath_of_a_dlopened_roots_caller_is_not_searched() -> None:
    python = lib("lib/libpython3.12.so", rpath="$ORIGIN/../libs")
    loaded = opened(
        lib("pkg/a.so", "libx.so"),
        python,
        lib("libs/libx.so"),
        process=dataclasses.replace(GLIBC, loaded=(f"{SITE}/lib/libpython3.12.so",)),
    )
    assert answer(loaded, "libx.so").how == How.MISSING


@pytest.mark.parametrize(("paths", "found"), [({"rpath": "$ORIGIN/../libs"}, "libs/libx.so"), ({"runpath": "$ORIGIN/../libs"}, None)])
def test_rpath_of_the_executable_is_searched_last_and_its_runpath_is_not(paths: dict[str, str], found: str | None) -> None:
    program = lib("bin/python3", **paths, kind="program")
    root = lib("pkg/a.so", "libx.so", rpath="$ORIGIN/nowhere")
    loaded = opened(root, program, lib("libs/libx.so"), process=dataclasses.replace(GLIBC, executable=f"{SITE}/bin/python3"))
    assert target(answer(loaded, "libx.so")) == found
    assert outcomes(answer(loaded, "libx.so"))[0] == ("pkg/nowhere/libx.so", "absent")


def test_rpath_comes_before_the_environment_and_runpath_after_it() -> None:
    process = dataclasses.replace(GLIBC, environment=(("LD_LIBRARY_PATH", f"{SITE}/env"),))
    for path, expected in (("rpath", "libs/libx.so"), ("runpath", "env/libx.so")):
        root = lib("pkg/a.so", "libx.so", **{path: "$ORIGIN/../libs"})
        loaded = opened(root, lib("libs/libx.so"), lib("env/libx.so"), process=process)
        assert target(answer(loaded, "libx.so")) == expected


def test_the_environment_is_split_at_colons_and_semicolons() -> None:
    process = dataclasses.replace(GLIBC, environment=(("LD_LIBRARY_PATH", "/one;/two:/three"),))
    found = answer(opened(lib("pkg/a.so", "libx.so"), process=process), "libx.so")
    assert [tried.place for tried in found.tried] == [
        "/one/libx.so",
        "/two/libx.so",
        "/three/libx.so",
        HWCAPS,
        "libx.so",
    ]


@pytest.mark.parametrize("rpath", ["", ":/nowhere", "/nowhere:", "/nowhere::/other", "libs", "./libs"])
def test_empty_and_relative_elements_mean_the_current_directory_which_holds_nothing(rpath: str) -> None:
    found = answer(opened(lib("pkg/a.so", "libx.so", rpath=rpath), lib("pkg/libx.so"), lib("pkg/libs/libx.so")), "libx.so")
    assert found.how == How.MISSING
    assert any("(current directory)" in tried.via for tried in found.tried) == bool(rpath)


def test_an_empty_element_is_told_as_what_it_is() -> None:
    found = answer(opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN:")), "libx.so")
    assert found.tried == (
        Tried(f"{SITE}/pkg/libx.so", "DT_RPATH of pkg/a.so: $ORIGIN", "absent"),
        Tried("./libx.so", "DT_RPATH of pkg/a.so: empty element (current directory)", "absent"),
        Tried(HWCAPS, "and the glibc-hwcaps subdirectories of each", "absent"),
        Tried("libx.so", "default directories", "not promised"),
    )


def test_a_directory_spelled_twice_in_one_path_is_tried_once() -> None:
    found = answer(opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN:${ORIGIN}/:$ORIGIN//")), "libx.so")
    assert [place for place, _ in outcomes(found)] == ["pkg/libx.so", HWCAPS, "libx.so"]


# ---------------------------------------------------------------- glibc: tokens


@pytest.mark.parametrize(
    ("element", "found"),
    [
        ("$ORIGIN", True),
        ("${ORIGIN}", True),
        ("${ORIGIN}/../pkg", True),
        ("$ORIGINAL", False),
        ("$ORIGIN_", False),
        ("${ORIGIN", False),
        ("$origin", False),
        ("$LIB/../$ORIGIN", False),
    ],
)
def test_origin_is_replaced_only_as_a_whole_token(element: str, found: bool) -> None:
    loaded = opened(lib("pkg/a.so", "libx.so", rpath=element), lib("pkg/libx.so"))
    assert (answer(loaded, "libx.so").how == How.BUNDLED) == found


@pytest.mark.parametrize("where", ["lib64", "lib/x86_64-linux-gnu", "lib"])
def test_lib_is_any_of_the_directories_that_distributions_configure(where: str) -> None:
    loaded = opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN/$LIB"), lib(f"pkg/{where}/libx.so"))
    assert target(answer(loaded, "libx.so")) == f"pkg/{where}/libx.so"


def test_lib_of_a_32_bit_system_is_not_lib64() -> None:
    root = lib("pkg/a.so", "libx.so", rpath="$ORIGIN/${LIB}", arch="i686", bits=32, machine=3)
    found = answer(opened(root, arch="i686"), "libx.so")
    assert [place for place, _ in outcomes(found)] == ["pkg/lib/libx.so", "pkg/lib/i386-linux-gnu/libx.so", "libx.so"]


def test_platform_is_any_name_of_the_processor() -> None:
    loaded = opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN/$PLATFORM"), lib("pkg/haswell/libx.so"))
    assert target(answer(loaded, "libx.so")) == "pkg/haswell/libx.so"


def test_an_element_whose_token_has_no_value_is_dropped() -> None:
    root = lib("pkg/a.so", "libx.so", rpath="$ORIGIN/$PLATFORM", arch="sparc", machine=43)
    assert outcomes(answer(opened(root, arch="sparc"), "libx.so")) == [("libx.so", "not promised")]


def test_a_path_whose_token_has_no_value_leads_nowhere() -> None:
    name = "/opt/$PLATFORM/libx.so"
    found = answer(opened(lib("pkg/a.so", name, arch="sparc", machine=43), arch="sparc"), name)
    assert found.tried == (Tried(name, "path in DT_NEEDED of pkg/a.so", "has a token without a value here"),)


def test_origin_is_where_a_file_was_opened_and_not_where_its_link_points() -> None:
    files = (
        lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../links"),
        lib("real/libx.so.1", "liby.so", runpath="$ORIGIN"),
        lib("real/liby.so"),
        lib("links/liby.so"),
    )
    loaded = opened(*files, links={f"{SITE}/links/libx.so": f"{SITE}/real/libx.so.1"})
    assert target(answer(loaded, "libx.so")) == "real/libx.so.1"
    assert target(answer(loaded, "liby.so")) == "links/liby.so"


# ---------------------------------------------------------------- glibc: what is loaded already


def test_a_loaded_object_with_the_soname_satisfies_a_need_before_any_search() -> None:
    loaded = opened(
        lib("pkg/a.so", "libx.so", "liby.so", rpath="$ORIGIN"),
        lib("pkg/libx.so", soname="libshared.so"),
        lib("pkg/liby.so", "libshared.so"),
        lib("pkg/libshared.so"),
    )
    found = answer(loaded, "libshared.so")
    assert (target(found), found.tried) == ("pkg/libx.so", (Tried(f"{SITE}/pkg/libx.so", "already loaded", "found"),))


@pytest.mark.parametrize(("order", "taken"), [(("libx.so", "liby.so"), "one/libc.so.9"), (("liby.so", "libx.so"), "two/libc.so.9")])
def test_of_two_files_with_one_name_the_first_to_be_needed_wins(order: tuple[str, str], taken: str) -> None:
    loaded = opened(
        lib("pkg/a.so", *order, rpath="$ORIGIN"),
        lib("pkg/libx.so", "libc.so.9", runpath="$ORIGIN/../one"),
        lib("pkg/liby.so", "libc.so.9", runpath="$ORIGIN/../two"),
        lib("one/libc.so.9"),
        lib("two/libc.so.9"),
    )
    assert {target(r) for r in loaded.resolutions if r.needed.name == "libc.so.9"} == {taken}


def test_two_names_of_one_file_are_one_object() -> None:
    files = (lib("pkg/a.so", "libx.so", "libx.so.1", rpath="$ORIGIN"), lib("pkg/libx.so.1.2"))
    loaded = opened(*files, links={f"{SITE}/pkg/{name}": f"{SITE}/pkg/libx.so.1.2" for name in ("libx.so", "libx.so.1")})
    assert loaded.order == (f"{SITE}/pkg/a.so", f"{SITE}/pkg/libx.so.1.2")


def test_a_platform_library_taken_once_satisfies_later_needs_of_its_name() -> None:
    loaded = opened(
        lib("pkg/a.so", "libz.so.1", "libx.so", runpath="$ORIGIN/../libs"),
        lib("libs/libx.so", "libz.so.1", rpath="$ORIGIN/../own"),
        lib("own/libz.so.1"),
    )
    found = answer(loaded, "libz.so.1", "libs/libx.so")
    assert (found.how, found.tried) == (How.PROMISED, (Tried("libz.so.1", "already loaded", "promised by manylinux_2_17"),))


def test_the_c_library_of_the_process_is_there_before_any_bundled_one() -> None:
    root = lib("pkg/a.so", "libc.so.6", rpath="$ORIGIN")
    assert answer(opened(root, lib("pkg/libc.so.6")), "libc.so.6").how == How.PROMISED
    program = lib("pkg/a.so", "libc.so.6", rpath="$ORIGIN", kind="program")
    assert answer(opened(program, lib("pkg/libc.so.6")), "libc.so.6").how == How.BUNDLED


def test_what_python_opened_first_satisfies_by_its_soname() -> None:
    files = (lib("pkg/a.so", "libx.so.1"), lib("libs/libx-hash.so", "liby.so", soname="libx.so.1", rpath="$ORIGIN"), lib("libs/liby.so"))
    assert answer(opened(*files), "libx.so.1").how == How.MISSING
    loaded = opened(*files, process=dataclasses.replace(GLIBC, loaded=(f"{SITE}/libs/libx-hash.so",)))
    found = answer(loaded, "libx.so.1")
    assert (target(found), found.via) == ("libs/libx-hash.so", "already loaded: opened by Python source")
    assert target(answer(loaded, "liby.so")) == "libs/liby.so"
    assert loaded.order == (f"{SITE}/pkg/a.so", f"{SITE}/libs/libx-hash.so", f"{SITE}/libs/liby.so")


def test_what_python_opened_first_and_the_root_does_not_need_is_no_part_of_its_load() -> None:
    files = (lib("pkg/a.so", "libc.so.6"), lib("libs/libx.so", "libm.so.6"))
    loaded = opened(*files, process=dataclasses.replace(GLIBC, loaded=(f"{SITE}/libs/libx.so", f"{SITE}/libs/gone.so")))
    assert loaded.order == (f"{SITE}/pkg/a.so",)
    assert [r.needed.name for r in loaded.resolutions] == ["libc.so.6"]


def test_a_program_does_not_see_what_python_has_opened() -> None:
    files = (lib("pkg/a", "libx.so", kind="program"), lib("libs/libx.so", soname="libx.so"))
    loaded = opened(*files, process=dataclasses.replace(GLIBC, loaded=(f"{SITE}/libs/libx.so",)))
    assert answer(loaded, "libx.so").how == How.MISSING


def test_the_needs_of_the_executable_satisfy_the_roots() -> None:
    files = (
        lib("pkg/a.so", "libx.so"),
        lib("bin/python3", "libx.so", runpath="$ORIGIN/../lib", kind="program"),
        lib("lib/libx.so", soname="libx.so"),
    )
    loaded = opened(*files, process=dataclasses.replace(GLIBC, executable=f"{SITE}/bin/python3"))
    assert target(answer(loaded, "libx.so")) == "lib/libx.so"


def test_loading_is_breadth_first() -> None:
    loaded = opened(
        lib("pkg/a.so", "lib1.so", "lib2.so", rpath="$ORIGIN"),
        lib("pkg/lib1.so", "lib3.so"),
        lib("pkg/lib2.so", "a.so"),
        lib("pkg/lib3.so"),
    )
    assert loaded.order == tuple(f"{SITE}/pkg/{name}" for name in ("a.so", "lib1.so", "lib2.so", "lib3.so"))


def test_libraries_that_need_each_other_are_loaded_once() -> None:
    loaded = opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN"), lib("pkg/libx.so", "liby.so"), lib("pkg/liby.so", "libx.so"))
    assert len(loaded.order) == 3


# ---------------------------------------------------------------- glibc: files that cannot be used


@pytest.mark.parametrize(
    ("facts", "outcome", "found"),
    [
        ({"arch": "i686", "bits": 32, "machine": 3}, "other architecture", True),
        ({"arch": "aarch64", "machine": 183}, "other architecture", True),
        ({"arch": "s390x", "machine": 22, "big_endian": True}, "other byte order", False),
        ({"arch": "ppc", "machine": 20, "bits": 32, "big_endian": True}, "other architecture", True),
        ({"type": 2, "kind": "program"}, "a program", False),
        ({"flags_1": 0x8000000, "kind": "program"}, "a program", False),
    ],
)
def test_another_class_or_machine_is_passed_over_and_another_byte_order_or_a_program_ends_the_search(
    facts: dict[str, object], outcome: str, found: bool
) -> None:
    loaded = opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../bad:$ORIGIN"), lib("bad/libx.so", **facts), lib("pkg/libx.so"))
    assert answer(loaded, "libx.so").tried[0].outcome == outcome
    assert target(answer(loaded, "libx.so")) == ("pkg/libx.so" if found else None)


@pytest.mark.parametrize(("file", "outcome"), [(damaged("bad/libx.so"), "truncated"), (text_file("bad/libx.so"), "not an ELF file")])
def test_a_damaged_file_ends_the_search(file: Seen, outcome: str) -> None:
    root = lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../bad:$ORIGIN")
    found = answer(opened(root, file, lib("pkg/libx.so")), "libx.so")
    via = "DT_RPATH of pkg/a.so: $ORIGIN/../bad; the search ends here"
    assert (found.how, found.via, found.tried) == (How.MISSING, via, (Tried(f"{SITE}/bad/libx.so", via, outcome),))


# ---------------------------------------------------------------- glibc: hardware capabilities, names with a slash, flags


def test_a_library_in_a_hwcaps_subdirectory_is_found_the_newest_level_first() -> None:
    files = [lib(f"pkg/glibc-hwcaps/{level}/libx.so") for level in ("x86-64-v2", "x86-64-v3")]
    found = answer(opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN"), *files), "libx.so")
    assert target(found) == "pkg/glibc-hwcaps/x86-64-v3/libx.so"
    assert found.via == "DT_RPATH of pkg/a.so: $ORIGIN, glibc-hwcaps subdirectory"


def test_the_plain_file_is_taken_where_a_hwcaps_variant_exists_too() -> None:
    files = [lib("pkg/glibc-hwcaps/x86-64-v3/libx.so"), lib("pkg/libx.so")]
    assert target(answer(opened(lib("pkg/a.so", "libx.so", rpath="$ORIGIN"), *files), "libx.so")) == "pkg/libx.so"


def test_an_architecture_without_hwcaps_has_no_line_about_them() -> None:
    root = lib("pkg/a.so", "libx.so", rpath="$ORIGIN", arch="aarch64", machine=183)
    assert outcomes(answer(opened(root, arch="aarch64"), "libx.so")) == [("pkg/libx.so", "absent"), ("libx.so", "not promised")]


@pytest.mark.parametrize(
    ("name", "taken", "trail"),
    [
        ("libs/libx.so", None, Tried("libs/libx.so", "path in DT_NEEDED of pkg/a.so (current directory)", "absent")),
        (f"{SITE}/pkg/libx.so", "pkg/libx.so", Tried(f"{SITE}/pkg/libx.so", "path in DT_NEEDED of pkg/a.so", "found")),
        ("$ORIGIN/libx.so", "pkg/libx.so", Tried(f"{SITE}/pkg/libx.so", "path in DT_NEEDED of pkg/a.so", "found")),
        ("/opt/libx.so", None, Tried("/opt/libx.so", "path in DT_NEEDED of pkg/a.so", "absent")),
    ],
)
def test_a_name_with_a_slash_is_a_path_and_nothing_is_searched(name: str, taken: str | None, trail: Tried) -> None:
    root = lib("pkg/a.so", name, rpath="$ORIGIN:$ORIGIN/..")
    found = answer(opened(root, lib("pkg/libx.so"), lib("pkg/libs/libx.so"), process=dataclasses.replace(GLIBC, search=("/opt",))), name)
    assert (target(found), found.tried) == (taken, (trail,))


def test_nodeflib_leaves_the_default_directories_out() -> None:
    root = lib("pkg/a.so", "libz.so.1", "libc.so.6", flags_1=0x800)
    found = answer(opened(root), "libz.so.1")
    assert (found.how, found.tried) == (How.MISSING, (Tried("libz.so.1", "default directories", "excluded by DF_1_NODEFLIB"),))


# ---------------------------------------------------------------- what the target promises, what else is there


def test_a_promised_library_is_promised_and_not_followed() -> None:
    loaded = opened(lib("pkg/a.so", "libm.so.6"))
    found = answer(loaded, "libm.so.6")
    assert (found.how, found.target, loaded.order) == (How.PROMISED, None, (f"{SITE}/pkg/a.so",))
    assert found.tried == (Tried("libm.so.6", "default directories", "promised by manylinux_2_17"),)


def test_a_bundled_library_is_found_before_a_promised_one() -> None:
    loaded = opened(lib("pkg/a.so", "libz.so.1", runpath="$ORIGIN"), lib("pkg/libz.so.1"))
    assert answer(loaded, "libz.so.1").how == How.BUNDLED


def test_an_undecided_target_promises_what_any_level_knows() -> None:
    found = answer(opened(lib("pkg/a.so", "libm.so.6"), process=Process(UNDECIDED, MANYLINUX)), "libm.so.6")
    assert (found.how, found.tried[-1].outcome) == (How.PROMISED, "on the list of manylinux")


def test_a_platform_without_promises_promises_nothing() -> None:
    found = answer(opened(lib("pkg/a.so", "libc.so.6"), process=Process(LINUX, None)), "libc.so.6")
    assert (found.how, found.tried[-1].outcome) == (How.MISSING, "not promised")


@pytest.mark.parametrize(("owner", "how"), [("demo", How.BUNDLED), ("other", How.PROVIDED), ("", How.OUTSIDE)])
def test_the_owner_of_a_file_says_in_what_way_it_meets_the_need(owner: str, how: How) -> None:
    files = (lib("pkg/a.so", "libx.so", rpath="$ORIGIN"), binary("pkg/libx.so", elf(), owner=owner))
    assert answer(opened(*files), "libx.so").how == how


def test_directories_that_the_user_named_come_last_and_a_useless_file_there_is_passed_over() -> None:
    outside = [Binary(f"{path}/libx.so", f"{path}/libx.so", (elf(),)) for path in ("/second", "/third")]
    process = dataclasses.replace(GLIBC, search=("/first", "/second"))
    found = answer(opened(lib("pkg/a.so", "libx.so"), OtherFile("/first/libx.so"), *outside, process=process), "libx.so")
    assert (found.how, found.target, found.via) == (How.OUTSIDE, "/second/libx.so", "--search /second")
    assert found.tried == (
        Tried("libx.so", "default directories", "not promised"),
        Tried("/first/libx.so", "--search /first", "not an ELF file"),
        Tried("/second/libx.so", "--search /second", "found"),
    )


def test_the_trail_is_complete_and_in_the_loaders_order() -> None:
    process = dataclasses.replace(
        GLIBC, environment=(("LD_LIBRARY_PATH", "/env"),), executable=f"{SITE}/bin/python3", search=("/search",), loaded=()
    )
    files = (
        lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../libs"),
        lib("bin/python3", rpath="$ORIGIN/../lib", kind="program"),
        lib("libs/libx.so", "liby.so", rpath="$ORIGIN/own:$ORIGIN"),
    )
    assert answer(opened(*files, process=process), "liby.so").tried == (
        Tried(f"{SITE}/libs/own/liby.so", "DT_RPATH of libs/libx.so: $ORIGIN/own", "absent"),
        Tried(f"{SITE}/libs/liby.so", "DT_RPATH of libs/libx.so: $ORIGIN", "absent"),
        Tried(f"{SITE}/libs/liby.so", "DT_RPATH of pkg/a.so: $ORIGIN/../libs", "absent"),
        Tried(f"{SITE}/lib/liby.so", "DT_RPATH of bin/python3: $ORIGIN/../lib", "absent"),
        Tried("/env/liby.so", "LD_LIBRARY_PATH: /env", "absent"),
        Tried(HWCAPS, "and the glibc-hwcaps subdirectories of each", "absent"),
        Tried("liby.so", "default directories", "not promised"),
        Tried("/search/liby.so", "--search /search", "absent"),
    )


def test_a_file_that_asks_for_too_many_places_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relocator.backends.linux.linker.MOST_PLACES", 10)
    rpath = ":".join(f"/{n}" for n in range(20))
    found = answer(opened(lib("pkg/a.so", "libx.so", rpath=rpath)), "libx.so")
    assert (found.how, found.tried[-1].outcome) == (How.MISSING, "not tried")
    assert found.via.startswith("gave up: more than 10 places")


# ---------------------------------------------------------------- musl


def musl(*seen: Seen, links: dict[str, str] | None = None, **process: object) -> Load:
    return opened(*seen, links=links, process=dataclasses.replace(MUSL_PROCESS, **process))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["rpath", "runpath"])
def test_musl_inherits_runpath_like_rpath(path: str) -> None:
    loaded = musl(lib("pkg/a.so", "libx.so", **{path: "$ORIGIN/../libs"}), lib("libs/libx.so", "liby.so"), lib("libs/liby.so"))
    assert target(answer(loaded, "liby.so")) == "libs/liby.so"


def test_musl_inherits_rpath_past_an_object_that_has_a_runpath() -> None:
    loaded = musl(
        lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../libs"), lib("libs/libx.so", "liby.so", runpath="/nowhere"), lib("libs/liby.so")
    )
    assert outcomes(answer(loaded, "liby.so")) == [("/nowhere/liby.so", "absent"), ("libs/liby.so", "found")]


def test_musl_reads_runpath_where_an_object_has_both() -> None:
    loaded = musl(lib("pkg/a.so", "libx.so", rpath="$ORIGIN/old", runpath="$ORIGIN/new"), lib("pkg/old/libx.so"), lib("pkg/new/libx.so"))
    assert target(answer(loaded, "libx.so")) == "pkg/new/libx.so"


def test_musl_searches_the_environment_before_any_rpath() -> None:
    files = (lib("pkg/a.so", "libx.so", rpath="$ORIGIN"), lib("pkg/libx.so"), lib("env/libx.so"))
    loaded = musl(*files, environment=(("LD_LIBRARY_PATH", f"/one\n{SITE}/env;/two:{SITE}/env"),))
    assert target(answer(loaded, "libx.so")) == "env/libx.so"
    assert [tried.place for tried in answer(loaded, "libx.so").tried][:2] == ["/one/libx.so", f"{SITE}/env;/two/libx.so"]


def test_musl_ends_the_chain_of_paths_with_the_programs_own() -> None:
    files = (lib("pkg/a.so", "libx.so"), lib("bin/python3", runpath="$ORIGIN/../libs", kind="program"), lib("libs/libx.so"))
    assert answer(musl(*files), "libx.so").how == How.MISSING
    assert target(answer(musl(*files, executable=f"{SITE}/bin/python3"), "libx.so")) == "libs/libx.so"


@pytest.mark.parametrize(
    "name", ["libc.so", "libm.so.6", "libpthread.so.0", "librt.so.1", "libdl.so.2", "libxnet.so", "libc.musl-x86_64.so.1"]
)
def test_the_names_of_libcs_parts_are_musl_itself_even_if_bundled(name: str) -> None:
    found = answer(musl(lib("pkg/a.so", name, rpath="$ORIGIN"), lib(f"pkg/{name}")), name)
    assert (found.how, found.tried) == (How.PROMISED, (Tried(name, "musl itself", "found"),))


@pytest.mark.parametrize("name", ["libcrypt.so.1", "libmy.so", "libdlx.so", "libc-2.so"])
def test_a_name_that_only_starts_like_a_part_of_libc_is_searched(name: str) -> None:
    assert answer(musl(lib("pkg/a.so", name, rpath="$ORIGIN"), lib(f"pkg/{name}")), name).how == How.BUNDLED


@pytest.mark.parametrize("rpath", ["$ORIGIN/$LIB:$ORIGIN", "$ORIGIN:$PLATFORM", "$ORIGIN:/price$"])
def test_musl_ignores_a_whole_rpath_for_one_dollar_that_is_not_origin(rpath: str) -> None:
    found = answer(musl(lib("pkg/a.so", "libx.so", rpath=rpath), lib("pkg/libx.so")), "libx.so")
    assert found.tried == (
        Tried(rpath, "DT_RPATH of pkg/a.so", "ignored: a $ that is not $ORIGIN"),
        Tried("libx.so", "default directories", "not promised"),
    )


@pytest.mark.parametrize(("rpath", "places"), [(":$ORIGIN:", ["pkg"]), ("/one\n${ORIGIN}", ["/one", "pkg"]), ("", [])])
def test_musl_skips_empty_elements_and_splits_at_line_ends(rpath: str, places: list[str]) -> None:
    found = answer(musl(lib("pkg/a.so", "libx.so", rpath=rpath)), "libx.so")
    assert [place for place, _ in outcomes(found)] == [f"{place}/libx.so" for place in places] + ["libx.so"]


@pytest.mark.parametrize(
    ("file", "outcome"),
    [
        (damaged("bad/libx.so"), "truncated"),
        (text_file("bad/libx.so"), "not an ELF file"),
        (lib("bad/libx.so", arch="aarch64", machine=183), "other architecture"),
    ],
)
def test_musl_takes_the_first_file_that_opens_and_fails_with_it(file: Seen, outcome: str) -> None:
    found = answer(musl(lib("pkg/a.so", "libx.so", rpath="$ORIGIN/../bad:$ORIGIN"), file, lib("pkg/libx.so")), "libx.so")
    assert (found.how, [tried.outcome for tried in found.tried]) == (How.MISSING, [outcome])
    assert found.via.endswith("the search ends here")


def test_musl_does_not_know_a_library_by_its_soname() -> None:
    loaded = musl(
        lib("pkg/a.so", "libx.so", "liby.so", rpath="$ORIGIN"),
        lib("pkg/libx.so", soname="libshared.so"),
        lib("pkg/liby.so", "libshared.so"),
    )
    assert answer(loaded, "libshared.so").how == How.MISSING


def test_musl_knows_a_library_by_the_name_that_it_was_found_by() -> None:
    loaded = musl(
        lib("pkg/a.so", "libx.so", "liby.so", runpath="$ORIGIN"),
        lib("pkg/libx.so"),
        lib("pkg/liby.so", "libx.so", rpath="$ORIGIN/own"),
        lib("pkg/own/libx.so"),
    )
    found = answer(loaded, "libx.so", "pkg/liby.so")
    assert (target(found), found.via) == ("pkg/libx.so", "already loaded")


def test_opening_a_library_first_does_not_help_on_musl() -> None:
    files = (lib("pkg/a.so", "libx.so.1"), lib("libs/libx.so.1", soname="libx.so.1"))
    assert answer(musl(*files, loaded=(f"{SITE}/libs/libx.so.1",)), "libx.so.1").how == How.MISSING


def test_musl_recognises_a_file_opened_by_path_when_a_search_comes_upon_it() -> None:
    files = (
        lib("pkg/a.so", "libx.so.1", "liby.so", runpath="$ORIGIN/../links:$ORIGIN"),
        lib("libs/libx.so"),
        lib("pkg/liby.so", "libx.so"),
        lib("links/libx.so"),
    )
    links = {f"{SITE}/links/libx.so.1": f"{SITE}/libs/libx.so"}
    loaded = musl(*files, links=links, loaded=(f"{SITE}/libs/libx.so",))
    assert target(answer(loaded, "libx.so")) == "libs/libx.so"  # by the last part of the path that it was opened by
    assert answer(loaded, "libx.so").via == "already loaded: opened by Python source"


def test_a_name_with_a_slash_is_a_path_for_musl_too() -> None:
    found = answer(musl(lib("pkg/a.so", "$ORIGIN/libx.so"), lib("pkg/libx.so")), "$ORIGIN/libx.so")
    assert found.tried == (Tried("$ORIGIN/libx.so", "path in DT_NEEDED of pkg/a.so (current directory)", "absent"),)
    assert answer(musl(lib("pkg/a.so", f"{SITE}/pkg/libx.so"), lib("pkg/libx.so")), f"{SITE}/pkg/libx.so").how == How.BUNDLED


# ---------------------------------------------------------------- bionic


def bionic(*seen: Seen, links: dict[str, str] | None = None, old: bool = False, **process: object) -> Load:
    base = dataclasses.replace(BIONIC, target=OLD_ANDROID if old else ANDROID)
    return opened(*seen, links=links, process=dataclasses.replace(base, **process))  # type: ignore[arg-type]


def test_bionic_reads_runpath_and_no_rpath() -> None:
    assert answer(bionic(lib("pkg/a.so", "libx.so", runpath="$ORIGIN"), lib("pkg/libx.so")), "libx.so").how == How.BUNDLED
    found = answer(bionic(lib("pkg/a.so", "libx.so", rpath="$ORIGIN"), lib("pkg/libx.so")), "libx.so")
    assert found.tried == (
        Tried("$ORIGIN", "DT_RPATH of pkg/a.so", "ignored: bionic reads DT_RUNPATH only"),
        Tried("libx.so", "default directories", "not promised"),
    )


def test_bionic_does_not_inherit_runpath() -> None:
    loaded = bionic(lib("pkg/a.so", "libx.so", runpath="$ORIGIN/../libs"), lib("libs/libx.so", "liby.so"), lib("libs/liby.so"))
    assert answer(loaded, "liby.so").how == How.MISSING


def test_runpath_is_ignored_below_android_24() -> None:
    found = answer(bionic(lib("pkg/a.so", "libx.so", runpath="$ORIGIN"), lib("pkg/libx.so"), old=True), "libx.so")
    assert (found.how, found.tried[0].outcome) == (How.MISSING, "ignored below API level 24")


def test_bionic_searches_the_environment_first() -> None:
    files = (lib("pkg/a.so", "libx.so", runpath="$ORIGIN"), lib("pkg/libx.so"), lib("env/libx.so"))
    assert target(answer(bionic(*files, environment=(("LD_LIBRARY_PATH", f"{SITE}/env"),)), "libx.so")) == "env/libx.so"


@pytest.mark.parametrize("element", ["$ORIGIN/$LIB", "${ORIGIN}/${LIB}", ":$ORIGIN/lib64:"])
def test_bionic_knows_origin_and_lib_and_skips_empty_elements(element: str) -> None:
    found = answer(bionic(lib("pkg/a.so", "libx.so", runpath=element), lib("pkg/lib64/libx.so")), "libx.so")
    assert outcomes(found) == [("pkg/lib64/libx.so", "found")]


def test_origin_on_android_is_where_a_link_points() -> None:
    files = (
        lib("pkg/a.so", "libx.so", runpath="$ORIGIN/../links"),
        lib("real/libx.so", "liby.so", runpath="$ORIGIN"),
        lib("real/liby.so"),
        lib("links/liby.so"),
    )
    loaded = bionic(*files, links={f"{SITE}/links/libx.so": f"{SITE}/real/libx.so"})
    assert target(answer(loaded, "liby.so")) == "real/liby.so"


@pytest.mark.parametrize(("old", "name"), [(False, "libname.so"), (True, "libfile.so")])
def test_what_is_loaded_is_known_by_soname_and_before_android_23_by_file_name(old: bool, name: str) -> None:
    files = (lib("pkg/a.so", "libname.so", "libfile.so"), lib("libs/libfile.so", soname="libname.so"))
    loaded = bionic(*files, old=old, loaded=(f"{SITE}/libs/libfile.so",))
    assert [r.needed.name for r in loaded.resolutions if r.how == How.BUNDLED] == [name]


@pytest.mark.parametrize("file", [damaged("bad/libx.so"), text_file("bad/libx.so"), lib("bad/libx.so", arch="aarch64", machine=183)])
def test_bionic_fails_with_the_first_file_that_opens(file: Seen) -> None:
    found = answer(bionic(lib("pkg/a.so", "libx.so", runpath="$ORIGIN/../bad:$ORIGIN"), file, lib("pkg/libx.so")), "libx.so")
    assert (found.how, len(found.tried)) == (How.MISSING, 1)


def test_the_systems_public_libraries_are_promised_on_android() -> None:
    assert answer(bionic(lib("pkg/a.so", "liblog.so")), "liblog.so").tried[-1].outcome == "promised by android_21"


def test_a_name_with_a_slash_is_a_path_for_bionic_too() -> None:
    found = answer(bionic(lib("pkg/a.so", "libs/libx.so", runpath="$ORIGIN"), lib("pkg/libs/libx.so")), "libs/libx.so")
    assert found.tried[0].via.endswith("(current directory)")


# ---------------------------------------------------------------- which loader


@pytest.mark.parametrize(
    ("image", "where", "libc"),
    [
        (elf("libc.musl-x86_64.so.1"), LINUX, "glibc"),
        (elf("libc.so.6"), MUSL, "musl"),
        (elf("libc.so.6"), ANDROID, "bionic"),
        (elf("libc.so.6"), UNDECIDED, "glibc"),
        (elf(), UNDECIDED, "glibc"),
        (elf("libc.musl-x86_64.so.1"), UNDECIDED, "musl"),
        (elf("libc.so"), UNDECIDED, "musl"),
        (elf("libc.so", interpreter="/lib/ld-musl-x86_64.so.1"), UNDECIDED, "musl"),
        (elf("libc.so", android_api=24), UNDECIDED, "bionic"),
        (elf("libc.so", "libdl.so"), UNDECIDED, "bionic"),
        (elf("liblog.so"), UNDECIDED, "bionic"),
        (elf(), Target("android_21_arm64_v8a", "android"), "bionic"),
    ],
)
def test_the_loader_is_the_targets_else_the_one_that_the_file_was_built_for(image: Image, where: Target, libc: str) -> None:
    assert libc_of(image, where) == libc


def test_a_load_names_its_loader() -> None:
    assert {opened(lib("pkg/a.so"), process=process).loader for process in (GLIBC, MUSL_PROCESS, BIONIC)} == {"glibc", "musl", "bionic"}
