"""From tags to targets, and from binaries to the best tag and what prevents a better one."""

import pickle
from collections.abc import Sequence

import pytest

from builders import MACOS, SITE, WINDOWS, binary, elf, macho, pe, survey, symbols
from relocator import demands, tags
from relocator.backends.linux.promises import promises
from relocator.errors import UsageError
from relocator.libc import evidence_of_libc
from relocator.model import Binary, ContainerFacts, How, Load, Needed, Resolution, Survey, VersionNeed
from relocator.platform_tags import parse
from relocator.symbols import Import
from relocator.target import Target

Floors = tuple[tuple[str, tuple[int, ...]], ...]


def wheel(*names: str) -> ContainerFacts:
    return ContainerFacts("wheel", "demo.whl", tags=tuple(f"cp312-cp312-{name}" for name in names))


@pytest.mark.parametrize(
    ("tag", "os", "libc", "floors"),
    [
        ("foo", "", "", ()),
        ("linux", "", "", ()),
        ("manylinux_2_x86_64", "", "", ()),
        ("manylinux_2_999_x86_64", "", "", ()),
        ("manylinux_2_17", "", "", ()),
        ("macosx_16_0_arm64", "", "", ()),
        ("macosx_11_0_sparc", "", "", ()),
        ("android_24_mips", "", "", ()),
        ("ios_13_0_arm64", "", "", ()),
        ("win_mips", "", "", ()),
        ("freebsd_14_1_release_amd64", "", "", ()),
        ("manylinux1_x86_64", "linux", "glibc", (("x86_64", (2, 5)),)),
        ("manylinux2010_i686", "linux", "glibc", (("i686", (2, 12)),)),
        ("manylinux2014_aarch64", "linux", "glibc", (("aarch64", (2, 17)),)),
        ("manylinux_2_30_riscv64", "linux", "glibc", (("riscv64", (2, 30)),)),
        ("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),)),
        ("linux_armv7l", "linux", "", (("armv7l", ()),)),
        ("android_24_arm64_v8a", "android", "bionic", (("aarch64", (24,)),)),
        ("android_21_armeabi_v7a", "android", "bionic", (("armv7l", (21,)),)),
        ("android_21_x86", "android", "bionic", (("i686", (21,)),)),
        ("macosx_10_9_x86_64", "macos", "", (("x86_64", (10, 9)),)),
        ("macosx_10_9_universal2", "macos", "", (("x86_64", (10, 9)), ("arm64", (11, 0)))),
        ("macosx_12_0_universal2", "macos", "", (("x86_64", (12, 0)), ("arm64", (12, 0)))),
        ("macosx_10_6_intel", "macos", "", (("x86_64", (10, 6)), ("i386", (10, 6)))),
        ("macosx_10_4_fat3", "macos", "", (("i386", (10, 4)), ("x86_64", (10, 4)), ("ppc", (10, 4)))),
        ("macosx_13_6_arm64", "macos", "", (("arm64", (13, 6)),)),
        ("ios_13_0_arm64_iphonesimulator", "ios", "", (("arm64", (13, 0)),)),
        ("win32", "windows", "", (("win32", ()),)),
        ("win_amd64", "windows", "", (("amd64", ()),)),
        ("win_arm64", "windows", "", (("arm64", ()),)),
        ("pyemscripten_2025_0_wasm32", "emscripten", "", (("wasm32", ()),)),
        ("any", "any", "", ()),
    ],
)
def test_a_tag_says_which_system_and_how_old(tag: str, os: str, libc: str, floors: Floors) -> None:
    (target,) = tags.targets_of(wheel(tag))
    assert (target.tag, target.os, target.libc, target.floors) == (tag, os, libc, floors)
    assert target.pythons == target.abis == ("cp312",)


def test_a_compressed_set_has_one_target_for_each_libc_with_the_lowest_floor() -> None:
    glibc, musl = tags.targets_of(wheel("manylinux_2_28_x86_64", "musllinux_1_2_x86_64", "manylinux_2_17_x86_64", "manylinux_2_31_aarch64"))
    assert glibc.tag == "manylinux_2_28_x86_64.manylinux_2_17_x86_64.manylinux_2_31_aarch64"
    assert glibc.floors == (("x86_64", (2, 17)), ("aarch64", (2, 31)))
    assert musl.floors == (("x86_64", (1, 2)),)


def test_device_and_simulator_are_two_targets() -> None:
    assert len(tags.targets_of(wheel("ios_13_0_arm64_iphoneos", "ios_13_0_arm64_iphonesimulator"))) == 2


def test_an_impossible_tag_beside_a_good_one_is_left_out() -> None:
    assert [target.tag for target in tags.targets_of(wheel("foo", "win_amd64"))] == ["win_amd64"]


def test_several_architectures_in_one_tag_are_universal() -> None:
    assert not tags.targets_of(wheel("macosx_11_0_arm64"))[0].universal
    assert tags.targets_of(wheel("macosx_11_0_universal2"))[0].universal


def test_a_folder_or_file_has_an_undecided_target() -> None:
    for kind in ("folder", "file"):
        (target,) = tags.targets_of(ContainerFacts(kind, "x", declared_tags=("cp312-cp312-win_amd64",)))
        assert not target.decided
    (target,) = tags.targets_of(ContainerFacts("wheel", "x", declared_tags=("cp312-cp312-win_amd64",)))
    assert target.decided


@pytest.mark.parametrize(
    "override", ["foo", "macosx_16_0_arm64", "freebsd_14_0_amd64", "win_amd64.foo", "a-b-c", "-", "", "--", "manylinux_2_17"]
)
def test_an_impossible_override_is_refused_with_examples(override: str) -> None:
    if not override:
        assert tags.targets_of(wheel("win32"), override)[0].tag == "win32"
        return
    with pytest.raises(UsageError) as caught:
        tags.targets_of(wheel("win32"), override)
    assert "manylinux_2_28_x86_64" in caught.value.hint


def test_an_override_takes_the_place_of_the_platform_and_a_whole_tag_that_of_everything() -> None:
    (target,) = tags.targets_of(wheel("win32"), "musllinux_1_1_x86_64")
    assert (target.tag, target.libc, target.pythons) == ("musllinux_1_1_x86_64", "musl", ("cp312",))
    (target,) = tags.targets_of(wheel("win32"), "cp313-cp313t-manylinux_2_28_x86_64.manylinux_2_31_x86_64")
    assert (target.floors, target.pythons, target.abis) == ((("x86_64", (2, 28)),), ("cp313",), ("cp313t",))


@pytest.mark.parametrize(
    ("tag", "faulty"),
    [
        ("macosx_13_6_arm64", True),
        ("macosx_10_9_arm64", True),
        ("macosx_25_0_arm64", True),
        ("manylinux_2_5_aarch64", True),
        ("manylinux_2_17_mips64", True),
        ("manylinux_3_0_x86_64", True),
        ("android_19_x86", True),
        ("linux_", True),
        ("macosx_13_0_arm64", False),
        ("macosx_26_0_arm64", False),
        ("macosx_10_16_x86_64", False),
        ("manylinux_2_17_aarch64", False),
        ("manylinux_2_30_x86_64", False),
        ("android_35_x86", False),
        ("linux_mips64", False),
        ("freebsd_14_0_amd64", False),
    ],
)
def test_a_tag_that_no_installer_looks_for_is_at_fault(tag: str, faulty: bool) -> None:
    assert bool(parse(tag).fault) == faulty


# ---- binaries -> tags


def linux(*binaries: Binary, tag: str = "manylinux_2_28_x86_64", resolutions: Sequence[Resolution] = ()) -> Survey:
    (target,) = tags.targets_of(wheel(tag))
    ladders = [promises(target, arch) for arch in target.arches]
    return survey(*binaries, target=target, promises=[ladder for ladder in ladders if ladder], resolutions=resolutions)


def libc(*versions: str, **more: object) -> Binary:
    return binary("demo/_core.so", elf("libc.so.6", versions=[VersionNeed("libc.so.6", v) for v in versions], **more))  # type: ignore[arg-type]


def bundled(importer: str, name: str, how: How = How.BUNDLED, arch: str = "x86_64") -> Resolution:
    return Resolution(f"{SITE}/{importer}", 0, Needed(name), arch, how, f"{SITE}/demo.libs/{name}", "DT_RPATH")


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["GLIBC_2.2.5"], ("manylinux_2_5_x86_64", "manylinux1_x86_64")),
        (["GLIBC_2.12"], ("manylinux_2_12_x86_64", "manylinux2010_x86_64")),
        (["GLIBC_2.2.5", "GLIBC_2.14"], ("manylinux_2_17_x86_64", "manylinux2014_x86_64")),
        (["GLIBC_2.18"], ("manylinux_2_24_x86_64",)),
        (["GLIBC_2.28"], ("manylinux_2_28_x86_64",)),
        (["GLIBC_2.29"], ("manylinux_2_31_x86_64",)),
        (["GLIBC_2.35", "GLIBC_ABI_DT_RELR"], ("manylinux_2_36_x86_64",)),
        (["GLIBC_2.99"], ("linux_x86_64",)),
        (["GLIBC_PRIVATE"], ("linux_x86_64",)),
        (["ZLIB_1.2.3.4"], ("manylinux_2_17_x86_64", "manylinux2014_x86_64")),
        (["OPENSSL_3.0.0"], ("manylinux_2_5_x86_64", "manylinux1_x86_64")),  # a prefix that nobody surveyed is not judged
    ],
)
def test_the_computed_tag_is_the_oldest_level_with_all_symbol_versions(versions: list[str], expected: tuple[str, ...]) -> None:
    assert tags.best_tags(linux(libc(*versions))) == expected


def test_a_declared_level_that_nobody_surveyed_can_be_the_computed_one() -> None:
    assert tags.best_tags(linux(libc("GLIBC_2.30"), tag="manylinux_2_30_x86_64")) == ("manylinux_2_30_x86_64",)


def test_a_weak_version_need_does_not_raise_the_tag() -> None:
    image = elf("libc.so.6", versions=[VersionNeed("libc.so.6", "GLIBC_2.34", weak=True)])
    assert tags.best_tags(linux(binary("demo/_core.so", image)))[0] == "manylinux_2_5_x86_64"


@pytest.mark.parametrize(
    ("library", "how", "expected"),
    [
        ("libgomp.so.1", How.MISSING, "linux_x86_64"),
        ("libgomp.so.1", How.OUTSIDE, "linux_x86_64"),
        ("libgomp.so.1", How.BUNDLED, "manylinux_2_5_x86_64"),
        ("libtorch.so", How.EXPECTED, "manylinux_2_5_x86_64"),
        ("libexpat.so.1", How.PROMISED, "manylinux_2_12_x86_64"),
        ("libmvec.so.1", How.PROMISED, "manylinux_2_24_x86_64"),
        ("ld-linux-x86-64.so.2", How.PROMISED, "manylinux_2_5_x86_64"),
    ],
)
def test_a_library_that_a_level_lacks_keeps_the_tag_from_it(library: str, how: How, expected: str) -> None:
    found = linux(binary("demo/_core.so", elf(library)), resolutions=[bundled("demo/_core.so", library, how)])
    assert tags.best_tags(found)[0] == expected


def test_a_library_that_only_its_users_search_path_finds_is_still_found() -> None:
    core = binary("demo/_core.so", elf("libb.so"))
    inner = binary("demo.libs/libb.so", elf("liba.so"))
    alone = Load(inner.path, "x86_64", "glibc", (inner.path,), (bundled("demo.libs/libb.so", "liba.so", How.MISSING),))
    via_core = Load(
        core.path,
        "x86_64",
        "glibc",
        (core.path, inner.path),
        (bundled("demo/_core.so", "libb.so"), bundled("demo.libs/libb.so", "liba.so")),
    )
    (target,) = tags.targets_of(wheel("manylinux_2_28_x86_64"))
    ladder = promises(target, "x86_64")
    assert ladder
    assert tags.best_tags(survey(core, inner, target=target, promises=[ladder], loads=[via_core, alone]))[0] == "manylinux_2_5_x86_64"
    assert tags.best_tags(survey(core, inner, target=target, promises=[ladder], loads=[alone]))[0] == "linux_x86_64"


def test_a_version_asked_of_a_library_in_the_package_does_not_count() -> None:
    image = elf("libstdc++.so.6", versions=[VersionNeed("libstdc++.so.6", "GLIBCXX_3.4.30")])
    core = binary("demo/_core.so", image)
    assert tags.best_tags(linux(core))[0] == "manylinux_2_35_x86_64"
    assert tags.best_tags(linux(core, resolutions=[bundled("demo/_core.so", "libstdc++.so.6")]))[0] == "manylinux_2_5_x86_64"


@pytest.mark.parametrize(
    ("imported", "expected"),
    [
        (Import(b"inflate_table"), "linux_x86_64"),
        (Import(b"uncompress2"), "manylinux_2_34_x86_64"),
        (Import(b"uncompress2", weak=True), "manylinux_2_5_x86_64"),
        (Import(b"uncompress2", used=False), "manylinux_2_5_x86_64"),
        (Import(b"inflate"), "manylinux_2_5_x86_64"),
    ],
)
def test_a_refused_symbol_keeps_the_tag_from_the_levels_that_refuse_it(imported: Import, expected: str) -> None:
    core = binary("demo/_core.so", elf("libz.so.1", table=symbols([imported])))
    assert tags.best_tags(linux(core))[0] == expected


def test_a_refused_symbol_that_the_package_defines_is_fine() -> None:
    core = binary("demo/_core.so", elf("libz.so.1", table=symbols([b"inflate_table"])))
    own = binary("demo/libown.so", elf(table=symbols([], [b"inflate_table"])))
    assert tags.best_tags(linux(core, own))[0] == "manylinux_2_5_x86_64"


def test_newer_processors_fit_no_portable_tag() -> None:
    assert tags.best_tags(linux(libc("GLIBC_2.2.5", isa_needed=0b101))) == ("linux_x86_64",)
    assert tags.best_tags(linux(libc("GLIBC_2.2.5", isa_needed=0b1)))[0] == "manylinux_2_5_x86_64"


def test_packed_relocations_need_glibc_2_36_even_without_the_marker() -> None:
    assert tags.best_tags(linux(libc("GLIBC_2.2.5", relr=True))) == ("manylinux_2_36_x86_64",)
    assert tags.best_tags(linux(libc("GLIBC_2.2.5"))) != ("manylinux_2_36_x86_64",)


def test_an_executable_stack_does_not_change_the_tag() -> None:
    assert tags.best_tags(linux(libc("GLIBC_2.2.5", stack_flags=7)))[0] == "manylinux_2_5_x86_64"


def test_musl_and_android_keep_the_level_of_their_tag() -> None:
    musl = binary("demo/_core.so", elf("libc.musl-x86_64.so.1"))
    assert tags.best_tags(linux(musl, tag="musllinux_1_2_x86_64")) == ("musllinux_1_2_x86_64",)
    assert tags.best_tags(linux(musl, tag="musllinux_1_1_x86_64")) == ("musllinux_1_1_x86_64",)
    assert tags.best_tags(linux(binary("demo/_core.so", elf("libstdc++.so.6")), tag="musllinux_1_2_x86_64")) == ("linux_x86_64",)
    android = binary("demo/_core.so", elf("libc.so", arch="aarch64", minimum_os=(26,)))
    assert tags.best_tags(linux(android, tag="android_24_arm64_v8a")) == ("android_26_arm64_v8a",)
    assert tags.best_tags(linux(android, tag="android_30_arm64_v8a")) == ("android_30_arm64_v8a",)


def test_blockers_name_file_library_version_and_symbol() -> None:
    table = symbols([Import(b"open", "libc.so.6", b"GLIBC_2.2.5"), Import(b"memcpy", "libc.so.6", b"GLIBC_2.14")])
    versions = [VersionNeed("libc.so.6", "GLIBC_2.2.5"), VersionNeed("libc.so.6", "GLIBC_2.14")]
    found = tags.computed_tags(linux(binary("demo/_core.so", elf("libc.so.6", versions=versions, table=table)), libc("GLIBC_2.5")))
    assert found.tags == ("manylinux_2_17_x86_64", "manylinux2014_x86_64")
    assert found.blockers == (tags.Blocker("manylinux_2_12_x86_64", "demo/_core.so", "libc.so.6", "memcpy", "GLIBC_2.14"),)
    assert pickle.loads(pickle.dumps(found)) == found


def test_blockers_of_a_wheel_that_fits_no_level_say_what_keeps_it_from_the_newest() -> None:
    found = tags.computed_tags(linux(binary("demo/_core.so", elf("libgomp.so.1"))))
    assert [(blocker.tag, blocker.library) for blocker in found.blockers] == [("manylinux_2_41_x86_64", "libgomp.so.1")]


def test_the_oldest_level_has_no_blockers() -> None:
    assert tags.computed_tags(linux(libc("GLIBC_2.5"))).blockers == ()


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ({"arm64": [(11, 0)]}, ("macosx_11_0_arm64",)),
        ({"arm64": [(10, 9)]}, ("macosx_11_0_arm64",)),
        ({"arm64": [(11, 0), (12, 3)]}, ("macosx_12_0_arm64",)),
        ({"x86_64": [(10, 9), (10, 13)]}, ("macosx_10_13_x86_64",)),
        ({"x86_64": [(10, 16)]}, ("macosx_11_0_x86_64",)),
        ({"x86_64": [(10, 13)], "arm64": [(11, 0)]}, ("macosx_10_13_universal2",)),
        ({"x86_64": [(12, 0)], "arm64": [(12, 0)]}, ("macosx_12_0_universal2",)),
        ({"x86_64": [(10, 13)], "arm64": [(12, 0)]}, ("macosx_10_13_x86_64", "macosx_12_0_arm64")),
    ],
)
def test_the_macos_tag_is_the_newest_deployment_target(slices: dict[str, list[tuple[int, ...]]], expected: tuple[str, ...]) -> None:
    images = [macho(arch=arch, minimum_os=version) for arch, versions in slices.items() for version in versions]
    target = Target("", "macos", "", tuple((arch, (11, 0)) for arch in slices))
    assert tags.best_tags(survey(*(binary(f"demo/{n}.so", image) for n, image in enumerate(images)), target=target)) == expected


def test_macos_blockers_are_the_files_with_the_newest_deployment_target() -> None:
    old, new = binary("demo/old.so", macho(minimum_os=(11, 0))), binary("demo/new.so", macho(minimum_os=(12, 3)))
    found = tags.computed_tags(survey(old, new, target=MACOS))
    assert found.blockers == (tags.Blocker("macosx_11_0_arm64", "demo/new.so", version="12.3"),)
    assert tags.computed_tags(survey(old, target=MACOS)).blockers == ()


def test_other_systems_have_their_architecture_as_tag() -> None:
    assert tags.best_tags(survey(binary("demo/_core.pyd", pe()), target=WINDOWS)) == ("win_amd64",)
    assert tags.best_tags(survey(target=Target("any", "any"), promises=[])) == ("any",)
    assert tags.best_tags(survey(binary("demo/_core.so", elf()), target=Target("", ""), promises=[])) == ()


@pytest.mark.parametrize(
    ("tag", "version", "narrow"),
    [
        ("manylinux_2_28_x86_64", "GLIBC_2.28", ()),
        ("manylinux_2_17_x86_64", "GLIBC_2.28", ()),
        ("linux_x86_64", "GLIBC_2.5", ()),
        ("musllinux_1_2_x86_64", "GLIBC_2.5", ()),
        ("manylinux_2_28_x86_64", "GLIBC_2.27", ("x86_64",)),
    ],
)
def test_a_tag_is_narrow_when_its_binaries_fit_an_older_level(tag: str, version: str, narrow: tuple[str, ...]) -> None:
    assert tags.narrower_arches(linux(libc(version), tag=tag)) == narrow


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (elf(), ""),
        (elf("libm.so.6"), ""),
        (elf("libc.so.6"), "glibc"),
        (elf("ld-linux-x86-64.so.2"), "glibc"),
        (elf(versions=[VersionNeed("libm.so.6", "GLIBC_2.2.5")]), "glibc"),
        (elf("libc.musl-x86_64.so.1"), "musl"),
        (elf(interpreter="/lib/ld-musl-x86_64.so.1"), "musl"),
        (elf(interpreter="/lib64/ld-linux-x86-64.so.2"), "glibc"),
        (elf("libc.so"), ""),
        (elf("libc.so", "libdl.so"), "bionic"),
        (elf("libc.so", android_api=24), "bionic"),
        (macho(), ""),
    ],
)
def test_a_binary_shows_its_c_library(image: object, expected: str) -> None:
    assert evidence_of_libc(image).libc == expected  # type: ignore[arg-type]


def test_symbol_versions_are_ordered_by_number() -> None:
    names = ["GLIBC_2.10", "GLIBC_2.9", "GLIBC_ABI_DT_RELR", "GLIBC_2.2.5", "GLIBC_" + "9" * 5000]
    assert sorted(names, key=demands.version_key) == [names[4], names[2], "GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.10"]
