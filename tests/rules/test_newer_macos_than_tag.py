"""newer-macos-than-tag: a decision table, bad first."""

import pytest

from builders import binary, macho, survey, symbols
from relocator.backends import macos
from relocator.findings import Severity, Where
from relocator.model import Needed, NeedKind
from relocator.rules.newer_macos_than_tag import check
from relocator.symbols import Import
from relocator.target import Level, Promises, Target

SYSTEM = "/usr/lib/libSystem.B.dylib"
E, W = Severity.ERROR, Severity.WARNING


def target(arch: str, *floor: int) -> Target:
    return Target(f"macosx_{floor[0]}_{floor[1]}_{arch}", "macos", "", ((arch, floor),))


def promises(arch: str) -> Promises:
    return Promises(
        "macos", arch, (Level((), ()),), prefixes=("/usr/lib/", "/System/"), introduced=((b"_preadv", (11, 0)), (b"_new", (13, 3)))
    )


@pytest.mark.parametrize(
    ("arch", "minimum", "floor", "imported", "severity"),
    [
        ("x86_64", (11, 0), (10, 9), Import(b"_preadv", SYSTEM), E),
        ("arm64", (13, 3), (13, 0), Import(b"_new", SYSTEM), E),
        ("x86_64", (11, 0), (10, 9), Import(b"_preadv", SYSTEM, weak=True), W),
        ("x86_64", (11, 0), (10, 9), Import(b"_preadv", "@rpath/libown.dylib"), W),
        ("x86_64", (10, 13), (10, 9), Import(b"_printf", SYSTEM), W),
        ("arm64", (12, 0), (11, 0), Import(b"_printf", SYSTEM), W),
        ("arm64", (13, 3), (13, 0), Import(b"_printf", SYSTEM), None),  # no tag can say 13.3
        ("arm64", (11, 0), (11, 0), Import(b"_preadv", SYSTEM), None),
        ("arm64", (11, 0, 0), (11, 0), Import(b"_preadv", SYSTEM), None),
        ("arm64", (10, 16), (11, 0), Import(b"_preadv", SYSTEM), None),
        ("x86_64", (10, 9), (10, 9), Import(b"_preadv", SYSTEM), None),
        ("x86_64", (), (10, 9), Import(b"_preadv", SYSTEM), None),
    ],
)
def test_a_deployment_target_above_the_tag_is_an_error_with_a_newer_symbol(
    arch: str, minimum: tuple[int, ...], floor: tuple[int, ...], imported: Import, severity: Severity | None
) -> None:
    core = binary("demo/_core.so", macho(SYSTEM, arch=arch, minimum_os=minimum, table=symbols([imported])))
    found = list(check(survey(core, target=target(arch, *floor), promises=[promises(arch)])))
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_the_finding_names_the_symbol_and_since_when_it_is_there() -> None:
    core = binary("demo/_core.so", macho(SYSTEM, arch="x86_64", minimum_os=(12, 0), table=symbols([Import(b"_preadv", SYSTEM)])))
    (finding,) = check(survey(core, target=target("x86_64", 10, 9), promises=[promises("x86_64")]))
    where = Where("demo/_core.so", "x86_64", "LC_BUILD_VERSION", None, "12.0", "_preadv", "since macOS 11.0, the tag promises 10.9")
    assert finding.primary == where


@pytest.mark.parametrize(
    ("library", "symbol", "severity"),
    [
        (SYSTEM, b"_preadv", E),
        ("/usr/lib/libc++.1.dylib", b"__ZNSt3__18to_charsEPcS0_d", E),
        ("@rpath/libc++.1.dylib", b"__ZNSt3__18to_charsEPcS0_d", W),
        ("/usr/lib/libother.dylib", b"_preadv", W),
        (SYSTEM, b"_printf", W),
    ],
)
def test_what_macos_really_promises_decides_about_its_libraries_and_symbols(library: str, symbol: bytes, severity: Severity) -> None:
    real = macos.promises(target("x86_64", 10, 13), "x86_64")
    assert real
    core = binary("demo/_core.so", macho(library, arch="x86_64", minimum_os=(14, 0), table=symbols([Import(symbol, library)])))
    assert [finding.severity for finding in check(survey(core, target=target("x86_64", 10, 13), promises=[real]))] == [severity]


def test_a_weakly_linked_library_may_lack_the_symbol() -> None:
    weak = Needed(SYSTEM, NeedKind.WEAK)
    core = binary("demo/_core.so", macho(weak, arch="x86_64", minimum_os=(12, 0), table=symbols([Import(b"_preadv", SYSTEM)])))
    (finding,) = check(survey(core, target=target("x86_64", 10, 9), promises=[promises("x86_64")]))
    assert finding.severity == W


def test_a_slice_is_judged_by_the_floor_of_its_own_architecture() -> None:
    both = Target("macosx_10_9_universal2", "macos", "", (("x86_64", (10, 9)), ("arm64", (11, 0))), universal=True)
    core = binary("demo/_core.so", macho(arch="x86_64", minimum_os=(10, 13)), macho(arch="arm64", minimum_os=(11, 0)))
    assert [finding.primary.arch for finding in check(survey(core, target=both, promises=[]))] == ["x86_64"]


def test_another_apple_platform_is_another_rules_matter() -> None:
    core = binary("demo/_core.so", macho(minimum_os=(17, 0), platform="ios"))
    assert not list(check(survey(core, target=target("arm64", 11, 0), promises=[])))
