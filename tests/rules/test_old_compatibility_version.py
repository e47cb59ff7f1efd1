"""old-compatibility-version: the library found is older than the one linked with."""

import pytest

from builders import MACOS, binary, macho
from linked import linked
from relocator.findings import Finding
from relocator.model import Binary, Needed, NeedKind
from relocator.native import Dylib
from relocator.rules.old_compatibility_version import check
from relocator.target import Level, Promises, Target

NAME = "@loader_path/libfoo.dylib"
APPLE = Promises("macos", "arm64", (Level((), ()),), prefixes=("/usr/lib/",))


def core(wanted: int, kind: NeedKind = NeedKind.REQUIRED, name: str = NAME, platform: str = "macos") -> Binary:
    dylibs = (Dylib(name, "LC_LOAD_DYLIB", wanted, wanted),)
    return binary("demo/_core.so", macho(Needed(name, kind), platform=platform, dylibs=dylibs), extension="demo._core")


def library(has: int, minimum: tuple[int, ...], platform: str = "macos") -> Binary:
    identity = Dylib("libfoo.dylib", "LC_ID_DYLIB", has, has)
    return binary("demo/libfoo.dylib", macho(kind="library", minimum_os=minimum, platform=platform, identity=identity))


def found(one: Binary, other: Binary, target: Target = MACOS) -> list[Finding]:
    return list(check(linked(one, other, target=target, promises=APPLE)))


@pytest.mark.parametrize(
    ("wanted", "has", "minimum", "refused"),
    [
        (0x20000, 0x10000, (10, 9), True),
        (0x10001, 0x10000, (10, 13), True),
        (0x10000, 0x10000, (10, 9), False),
        (0x10000, 0x20000, (10, 9), False),
        (0x20000, 0x10000, (10, 14), False),
        (0x20000, 0x10000, (11, 0), False),
        (0x20000, 0, (), True),
        (0xFFFFFFFF, 0x10000, (10, 9), False),
    ],
)
def test_by_versions_and_the_deployment_target_of_the_library(wanted: int, has: int, minimum: tuple[int, ...], refused: bool) -> None:
    assert bool(found(core(wanted), library(has, minimum))) == refused


@pytest.mark.parametrize(
    ("platform", "minimum", "refused"),
    [("ios", (11, 0), True), ("ios", (12, 0), False), ("iossimulator", (11, 0), True), ("iossimulator", (12, 0), False)],
)
def test_other_platforms_have_limits_of_their_own(platform: str, minimum: tuple[int, ...], refused: bool) -> None:
    target = Target(f"ios_11_0_arm64_{platform}", "ios", "", (("arm64", (11, 0)),))
    assert bool(found(core(0x20000, platform=platform), library(0x10000, minimum, platform), target)) == refused


def test_names_both_places_and_versions() -> None:
    (finding,) = found(core(0x20103), library(0x10000, (10, 9)))
    assert finding.primary.label == "needs 2.1.3, the one found has 1.0.0"
    assert [(where.member, where.value) for where in finding.related] == [("demo/libfoo.dylib", "1.0.0")]


def test_weak_needs_and_the_systems_libraries_are_not_judged() -> None:
    assert found(core(0x20000, NeedKind.WEAK), library(0x10000, (10, 9))) == []
    assert found(core(0x20000, name="/usr/lib/libfoo.dylib"), library(0x10000, (10, 9))) == []


def test_a_library_without_a_name_of_its_own_has_no_version() -> None:
    nameless = binary("demo/libfoo.dylib", macho(kind="library", minimum_os=(10, 9)))
    assert found(core(0x20000), nameless) == []
