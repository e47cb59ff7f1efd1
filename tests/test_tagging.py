"""Which tags a repaired wheel bears, and what WHEEL and the file name say then."""

import dataclasses
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import SITE, binary, elf, macho, pe, survey, symbols
from relocator import tags
from relocator.containers.wheel import parse_wheel_name
from relocator.errors import UsageError
from relocator.model import Binary, How, Needed, Resolution, Role, Survey, VersionNeed
from relocator.platform_tags import columns
from relocator.repair import tagging
from relocator.repairs import RepairOptions, Retag, RewriteText
from relocator.symbols import Import
from relocator.wheel_file import file_name, rewritten

INFO = "demo-1.0.dist-info"
PLAIN = RepairOptions()


def text(*platforms: str, purelib: str = "false", python: str = "cp312-cp312") -> bytes:
    lines = "".join(f"Tag: {python}-{platform}\n" for platform in platforms)
    return f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {purelib}\n{lines}".encode()


def surveyed(*binaries: Binary, tag: str, **facts: object) -> Survey:
    """A Survey of a wheel with this platform tag (set), judged by what it really promises."""
    subject = f"dist/demo-1.0-cp312-cp312-{tag}.whl"
    name = parse_wheel_name(subject.rpartition("/")[2])
    assert name
    found = survey(*binaries, promises=[], **{"subject": subject, "tags": name.tags, **facts})  # type: ignore[arg-type]
    target = tags.targets_of(found.container)[0]
    target = dataclasses.replace(target, libc=target.libc or ("glibc" if target.os == "linux" else ""))
    return dataclasses.replace(found, target=target, promises=tagging.promises_of(target))


def tagged(found: Survey, options: RepairOptions = PLAIN, wheel: bytes | None = None, left: Iterable[str] = ()) -> tagging.Tagged:
    platforms = columns(found.container.tags).platforms
    return tagging.retag(found, found, {f"{INFO}/WHEEL": text(*platforms) if wheel is None else wheel}, options, left)


def plats(result: tagging.Tagged) -> str:
    return result.output.removesuffix(".whl").rpartition("-")[2]


def libc(*versions: str, arch: str = "x86_64", member: str = "demo/_core.so", **more: object) -> Binary:
    needs = [VersionNeed("libc.so.6", version) for version in versions]
    return binary(member, elf("libc.so.6", arch=arch, versions=needs, **more))  # type: ignore[arg-type]


LINUX_CASES = [
    ("linux_x86_64", ["GLIBC_2.2.5"], "manylinux1_x86_64.manylinux_2_5_x86_64"),
    ("linux_x86_64", ["GLIBC_2.14"], "manylinux2014_x86_64.manylinux_2_17_x86_64"),
    ("linux_x86_64", ["GLIBC_2.27"], "manylinux_2_27_x86_64"),
    ("manylinux_2_28_x86_64", ["GLIBC_2.27"], "manylinux_2_27_x86_64.manylinux_2_28_x86_64"),
    ("manylinux_2_28_x86_64.linux_x86_64", ["GLIBC_2.28"], "manylinux_2_28_x86_64"),
    ("manylinux_2_5_x86_64", ["GLIBC_2.27"], "manylinux_2_27_x86_64"),
    ("manylinux_2_17_x86_64.manylinux2014_x86_64", ["GLIBC_2.17"], "manylinux2014_x86_64.manylinux_2_17_x86_64"),
    ("manylinux_2_43_x86_64", ["GLIBC_2.43"], "manylinux_2_43_x86_64"),
    ("manylinux_3_0_x86_64.manylinux_2_28_x86_64", ["GLIBC_2.28"], "manylinux_2_28_x86_64"),
]


@pytest.mark.parametrize(("tag", "versions", "expected"), LINUX_CASES)
def test_a_linux_wheel_bears_the_most_portable_tag_and_those_that_are_true(tag: str, versions: list[str], expected: str) -> None:
    result = tagged(surveyed(libc(*versions), tag=tag))
    assert (plats(result), result.refusals) == (expected, ())


@pytest.mark.parametrize(("tag", "versions", "expected"), LINUX_CASES)
def test_a_finished_wheel_has_nothing_to_change(tag: str, versions: list[str], expected: str) -> None:
    result = tagged(surveyed(libc(*versions), tag=expected))
    assert (result.actions, plats(result), result.refusals) == ((), expected, ())


def test_a_changed_tag_changes_wheel_too_and_both_say_the_same_in_one_order() -> None:
    result = tagged(surveyed(libc("GLIBC_2.14"), tag="linux_x86_64"))
    retag, rewrite = result.actions
    assert isinstance(retag, Retag)
    assert (retag.before, retag.after) == (("linux_x86_64",), ("manylinux2014_x86_64", "manylinux_2_17_x86_64"))
    assert rewrite == RewriteText(f"{INFO}/WHEEL", text("manylinux2014_x86_64", "manylinux_2_17_x86_64"), rewrite.because)
    assert result.output == "demo-1.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"


def test_only_the_order_in_the_file_name_is_no_reason_to_write_anything_anew() -> None:
    result = tagged(surveyed(libc("GLIBC_2.17"), tag="manylinux_2_17_x86_64.manylinux2014_x86_64"))
    assert result.actions == ()
    assert result.output == "demo-1.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"


def test_wheel_that_disagrees_with_the_file_name_is_mended() -> None:
    found = surveyed(libc("GLIBC_2.28"), tag="manylinux_2_28_x86_64")
    result = tagged(found, wheel=text("linux_x86_64"))
    assert [type(action) for action in result.actions] == [RewriteText]
    assert tagged(found, wheel=text("manylinux_2_28_x86_64")).actions == ()


@pytest.mark.parametrize(
    ("plat", "only", "expected"),
    [
        (("auto",), False, "manylinux2014_x86_64.manylinux_2_17_x86_64"),
        (("manylinux_2_28_x86_64",), False, "manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64"),
        (("manylinux_2_28_x86_64",), True, "manylinux_2_28_x86_64"),
        (("manylinux_2_28",), True, "manylinux_2_28_x86_64"),
        (("manylinux2014",), True, "manylinux2014_x86_64.manylinux_2_17_x86_64"),
        (("manylinux_2_17",), True, "manylinux2014_x86_64.manylinux_2_17_x86_64"),
        (("manylinux_2_30",), True, "manylinux_2_30_x86_64"),
        (("linux_x86_64",), True, "linux_x86_64"),
        (("manylinux_2_28", "manylinux_2_34"), True, "manylinux_2_28_x86_64.manylinux_2_34_x86_64"),
    ],
)
def test_a_tag_that_is_asked_for_is_borne_beside_the_better_one(plat: tuple[str, ...], only: bool, expected: str) -> None:
    found = surveyed(libc("GLIBC_2.14"), tag="linux_x86_64")
    result = tagged(found, RepairOptions(plat=plat, only_plat=only))
    assert (plats(result), result.refusals) == (expected, ())


def test_a_tag_out_of_reach_is_refused_with_file_symbol_version_and_the_tag_that_would_do() -> None:
    table = symbols([Import(b"memcpy", "libc.so.6", b"GLIBC_2.14"), Import(b"old", "libc.so.6", b"GLIBC_2.7")])
    needs = [VersionNeed("libc.so.6", version) for version in ("GLIBC_2.7", "GLIBC_2.14")]
    found = surveyed(binary("demo/_core.so", elf("libc.so.6", versions=needs, table=table)), libc("GLIBC_2.2.5"), tag="linux_x86_64")
    (refusal,) = tagged(found, RepairOptions(plat=("manylinux1",))).refusals
    assert refusal.message == "manylinux1_x86_64 is out of reach: demo/_core.so needs memcpy@GLIBC_2.14 from libc.so.6"
    assert refusal.hint.startswith("--plat manylinux_2_17_x86_64 would do")


@pytest.mark.parametrize(
    ("core", "plat", "told"),
    [
        (
            binary("demo/_core.so", elf("libgomp.so.1")),
            "manylinux_2_28",
            "demo/_core.so needs libgomp.so.1, which the tag does not promise",
        ),
        (
            binary("demo/_core.so", elf("libz.so.1", table=symbols([Import(b"inflate_table")]))),
            "manylinux_2_28",
            "demo/_core.so uses inflate_table of libz.so.1, which the tag forbids",
        ),
        (libc(relr=True), "manylinux_2_28", "demo/_core.so has packed relocations (DT_RELR), which glibc applies from 2.36 on"),
        (libc(isa_needed=7), "manylinux_2_28", "demo/_core.so needs a processor of x86-64-v3"),
        (libc(), "musllinux_1_2", "the binaries are for linux glibc"),
        (libc(), "manylinux_2_28_aarch64", "no binary is made for aarch64"),
        (libc(), "macosx_11_0_arm64", "the binaries are for linux glibc"),
    ],
)
def test_each_thing_that_forbids_a_tag_is_told_in_words(core: Binary, plat: str, told: str) -> None:
    (refusal,) = tagged(surveyed(core, tag="linux_x86_64"), RepairOptions(plat=(plat,))).refusals
    assert told in refusal.message
    assert refusal.hint


def test_files_with_one_fault_are_told_together() -> None:
    files = [libc("GLIBC_2.34", member=f"demo/_{name}.so") for name in "abc"]
    (refusal,) = tagged(surveyed(*files, tag="linux_x86_64"), RepairOptions(plat=("manylinux_2_28",))).refusals
    assert refusal.message.endswith("demo/_a.so (and 2 more files) needs GLIBC_2.34 from libc.so.6")


def test_a_name_that_is_no_platform_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="manylinux_x"):
        tagged(surveyed(libc(), tag="linux_x86_64"), RepairOptions(plat=("manylinux_x",)))


def test_what_fits_no_portable_tag_is_refused_and_not_left_with_a_local_one() -> None:
    (refusal,) = tagged(surveyed(libc("GLIBC_2.99"), tag="linux_x86_64")).refusals
    assert refusal.message == "no portable tag is within reach for x86_64: demo/_core.so needs GLIBC_2.99 from libc.so.6"


def test_the_level_of_the_processor_forbids_a_tag_unless_it_is_not_to_count() -> None:
    found = surveyed(libc("GLIBC_2.2.5", isa_needed=0b11), tag="linux_x86_64")
    (refusal,) = tagged(found).refusals
    assert "x86-64-v2" in refusal.message
    assert "--disable-isa-ext-check" in refusal.hint
    assert plats(tagged(found, RepairOptions(check_isa=False))) == "manylinux1_x86_64.manylinux_2_5_x86_64"


def test_a_library_for_newer_processors_alone_does_not_forbid_a_tag() -> None:
    found = surveyed(libc(), libc(isa_needed=7, member="demo.libs/glibc-hwcaps/x86-64-v3/libx.so"), tag="linux_x86_64")
    assert tagged(found).refusals == ()


def test_a_library_that_was_left_outside_on_purpose_does_not_count() -> None:
    needs = [VersionNeed("libcuda.so.1", "GLIBC_2.40")]
    found = surveyed(binary("demo/_core.so", elf("libcuda.so.1", "libc.so.6", versions=needs)), tag="linux_x86_64")
    assert tagged(found).refusals
    assert plats(tagged(found, left=["libcuda.so.1"])) == "manylinux1_x86_64.manylinux_2_5_x86_64"


def test_a_library_in_the_finished_wheel_does_not_count() -> None:
    before = surveyed(binary("demo/_core.so", elf("libgomp.so.1")), tag="linux_x86_64")
    met = Resolution(
        f"{SITE}/demo/_core.so", 0, Needed("libgomp.so.1"), "x86_64", How.BUNDLED, f"{SITE}/demo.libs/libgomp.so.1", "DT_RPATH"
    )
    after = survey(*before.binaries, target=before.target, promises=before.promises, resolutions=[met], tags=before.container.tags)
    assert tagging.retag(before, after, {f"{INFO}/WHEEL": text("linux_x86_64")}, RepairOptions()).refusals == ()


def test_what_is_asked_of_a_library_that_the_tag_promises_counts_whoever_excludes_it() -> None:
    """It stays outside either way, and the system that the tag names is who brings it."""
    found = surveyed(
        binary("demo/_core.so", elf("libstdc++.so.6", versions=[VersionNeed("libstdc++.so.6", "GLIBCXX_3.4.24")])), tag="linux_x86_64"
    )
    assert plats(tagged(found, left=["libstdc++.so.6"])) == plats(tagged(found)) == "manylinux_2_27_x86_64"


def test_symbols_that_the_tag_refuses_count_whoever_excludes_their_library() -> None:
    table = symbols([Import(b"inflate_table", "libz.so.1")])
    found = surveyed(binary("demo/_core.so", elf("libz.so.1", table=table)), tag="linux_x86_64")
    assert tagged(found, left=["libz.so.1"]).refusals == tagged(found).refusals != ()


def test_musl_shows_no_version_so_that_the_newest_is_taken_and_said() -> None:
    musl = binary("demo/_core.so", elf("libc.musl-x86_64.so.1"))
    local = surveyed(musl, tag="linux_x86_64")
    target = dataclasses.replace(local.target, libc="musl")
    local = dataclasses.replace(local, target=target, promises=tagging.promises_of(target))
    result = tagged(local)
    assert plats(result) == "musllinux_1_2_x86_64"
    assert "--plat" in result.remarks[0]
    assert plats(tagged(local, RepairOptions(plat=("musllinux_1_1",), only_plat=True))) == "musllinux_1_1_x86_64"
    assert not tagged(local, RepairOptions(plat=("musllinux_1_1",), only_plat=True)).remarks
    kept = tagged(surveyed(musl, tag="musllinux_1_1_x86_64"))
    assert (plats(kept), kept.actions, kept.remarks) == ("musllinux_1_1_x86_64", (), ())


def test_an_architecture_without_portable_tags_keeps_its_local_one() -> None:
    result = tagged(surveyed(binary("demo/_core.so", elf("libc.so.6", arch="mips64")), tag="linux_mips64"))
    assert (plats(result), result.actions, result.refusals) == ("linux_mips64", (), ())
    assert "no portable tag is known for mips64" in result.remarks[0]


def test_each_architecture_of_a_wheel_for_several_has_its_own_tag() -> None:
    both = surveyed(libc("GLIBC_2.28"), libc("GLIBC_2.17", arch="aarch64", member="demo/_arm.so"), tag="linux_aarch64.linux_x86_64")
    assert plats(tagged(both)) == "manylinux2014_aarch64.manylinux_2_17_aarch64.manylinux_2_28_x86_64"


def test_a_tag_for_an_architecture_that_no_binary_has_is_refused() -> None:
    (refusal,) = tagged(surveyed(libc(arch="aarch64"), tag="linux_x86_64")).refusals
    assert "promises x86_64, and no binary is made for that: demo/_core.so is for aarch64" in refusal.message


def test_a_tag_that_is_asked_for_replaces_one_for_an_architecture_that_no_binary_has() -> None:
    found = surveyed(binary("demo/_core.pyd", pe(arch="amd64")), tag="win32")
    assert tagged(found).refusals
    assert plats(tagged(found, RepairOptions(plat=("win_amd64",)))) == "win_amd64"


def test_no_update_tags_changes_nothing_and_says_what_is_not_true() -> None:
    found = surveyed(libc("GLIBC_2.28"), tag="manylinux_2_17_x86_64.manylinux2014_x86_64")
    result = tagged(found, RepairOptions(update_tags=False), wheel=text("linux_x86_64"))
    assert (result.actions, result.output) == ((), "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert result.remarks[0].startswith("manylinux_2_17_x86_64 stays because of --no-update-tags, although demo/_core.so needs GLIBC_2.28")


def test_a_tag_that_is_asked_for_has_to_be_true_though_none_is_written() -> None:
    found = surveyed(libc("GLIBC_2.28"), tag="linux_x86_64")
    (refusal,) = tagged(found, RepairOptions(update_tags=False, plat=("manylinux_2_17",))).refusals
    assert refusal.message.startswith("manylinux_2_17_x86_64 is out of reach: ")
    for plat in ("manylinux_2_28", "auto"):
        result = tagged(found, RepairOptions(update_tags=False, plat=(plat,)))
        assert (result.actions, result.refusals) == ((), ())


@pytest.mark.parametrize(
    ("tag", "slices", "expected"),
    [
        ("macosx_11_0_arm64", {"arm64": (11, 0)}, "macosx_11_0_arm64"),
        ("macosx_13_0_arm64", {"arm64": (11, 0)}, "macosx_11_0_arm64"),
        ("macosx_11_0_arm64", {"arm64": (12, 3)}, "macosx_12_0_arm64"),
        ("macosx_13_6_arm64", {"arm64": (13, 6)}, "macosx_13_0_arm64"),
        ("macosx_10_9_universal2", {"x86_64": (10, 9), "arm64": (11, 0)}, "macosx_10_9_universal2"),
        ("macosx_10_9_universal2", {"x86_64": (10, 13), "arm64": (11, 0)}, "macosx_10_13_universal2"),
        ("macosx_10_9_universal2", {"x86_64": (10, 13), "arm64": (12, 0)}, "macosx_10_13_x86_64.macosx_12_0_arm64"),
        ("macosx_10_9_x86_64", {"x86_64": (10, 9), "arm64": (11, 0)}, "macosx_10_9_x86_64"),
        ("macosx_10_9_intel", {"x86_64": (10, 9), "i386": (10, 9)}, "macosx_10_9_intel"),
        ("macosx_10_6_intel", {"x86_64": (10, 9), "i386": (10, 6)}, "macosx_10_6_i386.macosx_10_9_x86_64"),
        (
            "macosx_10_12_x86_64.macosx_11_0_arm64.macosx_10_12_universal2",
            {"x86_64": (10, 12), "arm64": (11, 0)},
            "macosx_10_12_universal2.macosx_10_12_x86_64.macosx_11_0_arm64",
        ),
    ],
)
def test_a_macos_wheel_bears_what_its_slices_are_built_for(tag: str, slices: dict[str, tuple[int, ...]], expected: str) -> None:
    core = binary("demo/_core.so", *(macho(arch=arch, minimum_os=version) for arch, version in slices.items()))
    result = tagged(surveyed(core, tag=tag))
    assert (plats(result), result.refusals) == (expected, ())
    again = tagged(surveyed(core, tag=expected))
    assert (again.actions, plats(again)) == ((), expected)


def test_a_macos_tag_for_an_architecture_without_slices_is_refused() -> None:
    (refusal,) = tagged(surveyed(binary("demo/_core.so", macho(arch="arm64")), tag="macosx_11_0_universal2")).refusals
    assert "promises x86_64, and no binary is made for that" in refusal.message


def test_an_older_macos_that_is_asked_for_is_refused_with_the_files() -> None:
    core = binary("demo/_core.so", macho(arch="arm64", minimum_os=(12, 3)))
    (refusal,) = tagged(surveyed(core, tag="macosx_12_0_arm64"), RepairOptions(plat=("macosx_11_0",))).refusals
    assert refusal.message == "macosx_11_0_arm64 is out of reach: demo/_core.so is built for macOS 12.3"
    assert "MACOSX_DEPLOYMENT_TARGET" in refusal.hint


@pytest.mark.parametrize("tag", ["win_amd64", "win32", "win_arm64"])
def test_a_windows_tag_stays(tag: str) -> None:
    arch = {"win_amd64": "amd64", "win32": "win32", "win_arm64": "arm64"}[tag]
    result = tagged(surveyed(binary("demo/_core.pyd", pe(arch=arch)), tag=tag))
    assert (plats(result), result.actions, result.refusals) == (tag, (), ())


def test_an_android_tag_stays_unless_a_library_needs_a_newer_system() -> None:
    def android(api: int) -> Binary:
        return binary("demo/_core.so", elf("libc.so", arch="aarch64", minimum_os=(api,)))

    assert tagged(surveyed(android(21), tag="android_24_arm64_v8a")).actions == ()
    assert plats(tagged(surveyed(android(26), tag="android_24_arm64_v8a"))) == "android_26_arm64_v8a"


@pytest.mark.parametrize("tag", ["ios_13_0_arm64_iphoneos", "pyemscripten_2025_0_wasm32", "freebsd_14_0_amd64"])
def test_systems_that_we_know_no_promises_of_keep_their_tags(tag: str) -> None:
    result = tagged(surveyed(libc(), tag=tag))
    assert (plats(result), result.actions, result.refusals) == (tag, (), ())


@pytest.mark.parametrize(
    ("core", "expected"),
    [
        (libc("GLIBC_2.17"), "manylinux2014_x86_64.manylinux_2_17_x86_64"),
        (binary("demo/_core.so", elf("libc.musl-x86_64.so.1")), "musllinux_1_2_x86_64"),
        (binary("demo/_core.pyd", pe()), "win_amd64"),
        (binary("demo/_core.so", macho(arch="x86_64", minimum_os=(10, 9)), macho(arch="arm64")), "macosx_10_9_universal2"),
    ],
)
def test_a_wheel_for_any_platform_with_binaries_gets_the_platform_of_its_binaries(core: Binary, expected: str) -> None:
    found = surveyed(core, tag="any", purelib=True)
    result = tagged(found, wheel=text("any", purelib="true"))
    assert plats(result) == expected
    (rewrite,) = [action for action in result.actions if isinstance(action, RewriteText)]
    assert rewrite.data == text(*expected.split("."))


@pytest.mark.parametrize(
    "binaries",
    [
        [binary("demo/x.so", elf(), role=Role.PAYLOAD)],
        [binary("demo/_core.so", elf()), binary("demo/_core.pyd", pe())],
        [binary("demo/_a.so", elf()), binary("demo/_b.so", elf(arch="aarch64"))],
        [],
    ],
)
def test_a_wheel_for_any_platform_stays_one_where_the_binaries_do_not_tell(binaries: Sequence[Binary]) -> None:
    result = tagged(surveyed(*binaries, tag="any", purelib=True), wheel=text("any", purelib="true"))
    assert (plats(result), result.actions) == ("any", ())


def test_a_platform_that_cannot_be_gives_way_to_that_of_the_binaries() -> None:
    assert plats(tagged(surveyed(binary("demo/_core.so", macho(minimum_os=(16, 0))), tag="macosx_17_0_arm64"))) == "macosx_16_0_arm64"


def test_a_pure_header_is_set_right_where_modules_are_binaries() -> None:
    found = surveyed(libc("GLIBC_2.28"), tag="manylinux_2_28_x86_64", purelib=True)
    twice = text("manylinux_2_28_x86_64", purelib="true").replace(b"Tag", b"Root-Is-Purelib: true\nTag")
    (rewrite,) = tagged(found, wheel=twice).actions
    assert isinstance(rewrite, RewriteText)
    assert rewrite.data == text("manylinux_2_28_x86_64")


def test_tags_of_another_system_stay() -> None:
    assert plats(tagged(surveyed(libc("GLIBC_2.28"), tag="manylinux_2_28_x86_64.musllinux_1_2_x86_64"))).endswith("musllinux_1_2_x86_64")


def test_build_number_variant_and_spelling_of_the_name_stay() -> None:
    found = surveyed(libc("GLIBC_2.28"), tag="linux_x86_64", subject="x/De.mo-1.0.POST1-7local-py2.py3-none-linux_x86_64-cu12.whl")
    found = dataclasses.replace(
        found, container=dataclasses.replace(found.container, tags=("py2-none-linux_x86_64", "py3-none-linux_x86_64"))
    )
    result = tagged(found, wheel=text("linux_x86_64") + b"Build: 6\n")
    assert result.output == "De.mo-1.0.POST1-7local-py2.py3-none-manylinux_2_28_x86_64-cu12.whl"
    data = result.actions[-1].data  # type: ignore[union-attr]
    assert data.endswith(b"Tag: py2-none-manylinux_2_28_x86_64\nTag: py3-none-manylinux_2_28_x86_64\nBuild: 7local\n")


def test_a_file_that_is_named_like_no_wheel_is_refused_with_the_name_that_it_should_have() -> None:
    found = surveyed(libc(), tag="linux_x86_64", subject="demo.whl")
    found = dataclasses.replace(
        found, container=dataclasses.replace(found.container, subject="demo.whl", declared_tags=("cp312-cp312-linux_x86_64",))
    )
    (refusal,) = tagged(found).refusals
    assert refusal.hint == "rename it to demo-1.0-cp312-cp312-linux_x86_64.whl"


def test_a_wheel_without_wheel_is_refused() -> None:
    found = surveyed(libc(), tag="linux_x86_64")
    (refusal,) = tagging.retag(found, found, {}, RepairOptions()).refusals
    assert "WHEEL is missing" in refusal.message


# ---- WHEEL's text


TAGS = ("py3-none-a", "py3-none-b")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Wheel-Version: 1.0\nTag: x-y-z\nGenerator: g\n", b"Wheel-Version: 1.0\nTag: py3-none-a\nTag: py3-none-b\nGenerator: g\n"),
        (b"Wheel-Version: 1.0\r\nTag: x-y-z\r\nX: \xff\r\n", b"Wheel-Version: 1.0\r\nTag: py3-none-a\r\nTag: py3-none-b\r\nX: \xff\r\n"),
        (b"Generator: a\nTag: 1-2-3\nGenerator: b\nTag: 4-5-6", b"Generator: a\nTag: py3-none-a\nTag: py3-none-b\nGenerator: b\n"),
        (b"Wheel-Version: 1.0", b"Wheel-Version: 1.0\nTag: py3-none-a\nTag: py3-none-b\n"),
        (b"", b"Tag: py3-none-a\nTag: py3-none-b\n"),
        (b"A: 1\n\nTag: in-the-body\n", b"A: 1\nTag: py3-none-a\nTag: py3-none-b\n\nTag: in-the-body\n"),
        (b"tag: x\n y-z\nB: 1\n folded\n", b"Tag: py3-none-a\nTag: py3-none-b\nB: 1\n folded\n"),
        (b"\xef\xbb\xbfTag: x-y-z\n", b"Tag: py3-none-a\nTag: py3-none-b\n"),
        (b"no header\nTag: 1-2-3\n", b"no header\nTag: py3-none-a\nTag: py3-none-b\n"),
        (
            b"Root-Is-Purelib: true\nroot-is-purelib: false\nTag: py3-none-a\nTag: py3-none-b\n",
            b"Root-Is-Purelib: true\nTag: py3-none-a\nTag: py3-none-b\n",
        ),
        (b"Tag: py3-none-b\nTag: py3-none-a\n", None),
        (b"Tag: py3-none-a.b\n", None),
        (b"Tag: py3-none-a.b\nTag: junk\n", b"Tag: py3-none-a\nTag: py3-none-b\n"),
    ],
)
def test_only_the_lines_that_are_wrong_change(before: bytes, after: bytes | None) -> None:
    assert rewritten(before, TAGS) == (before if after is None else after)


@pytest.mark.parametrize(("build", "after"), [("", b""), ("3", b"Build: 3\n"), (None, b"Build: 1\nBuild: 2\n")])
def test_the_build_number_is_that_of_the_file_name(build: str | None, after: bytes) -> None:
    head = b"Tag: py3-none-a\nTag: py3-none-b\n"
    assert rewritten(head + b"Build: 1\nBuild: 2\n", TAGS, build=build) == head + after


@given(st.binary(max_size=200), st.sampled_from([None, "", "5"]), st.sampled_from([None, True, False]))
def test_whatever_wheel_says_a_second_rewriting_changes_nothing(data: bytes, build: str | None, purelib: bool | None) -> None:
    once = rewritten(data, TAGS, build=build, purelib=purelib)
    assert rewritten(once, TAGS, build=build, purelib=purelib) == once


def test_file_names_have_their_sets_sorted() -> None:
    name = parse_wheel_name("a-1-py3.py2-none-z.b.a.whl")
    assert name
    assert file_name(name) == "a-1-py2.py3-none-a.b.z.whl"
