"""missing-slice: a universal tag needs every slice."""

from collections.abc import Iterable

import pytest

from builders import LINUX, MACOS, SITE, binary, elf, macho, survey
from relocator.findings import Finding, Severity
from relocator.model import Binary, How, Load, Needed, Resolution, Role
from relocator.rules.missing_slice import check
from relocator.target import Target

UNIVERSAL = Target("macosx_10_10_universal2", "macos", "", (("x86_64", (10, 10)), ("arm64", (11, 0))), universal=True)
INTEL = Target("macosx_10_6_intel", "macos", "", (("x86_64", (10, 6)), ("i386", (10, 6))), universal=True)
UNDECIDED = Target("", "")
BOTH = (macho(arch="x86_64"), macho(arch="arm64"))


def found(binaries: Iterable[Binary], target: Target, **more: object) -> list[Finding]:
    return list(check(survey(*binaries, target=target, **more)))  # type: ignore[arg-type]


BAD = {
    "a thin extension": [binary("demo/_core.cpython-310-darwin.so", macho(arch="x86_64"), extension="demo._core")],
    "a thin library that an extension needs": [binary("demo/_core.so", *BOTH), binary("demo/.dylibs/liba.dylib", macho(arch="arm64"))],
    "a thin file beside one of another name": [
        binary("demo/liba.dylib", macho(arch="arm64")),
        binary("demo/libb.dylib", macho(arch="x86_64")),
    ],
}

GOOD = {
    "both slices": ([binary("demo/_core.so", *BOTH)], UNIVERSAL),
    "a file for each, named after its architecture": (
        [binary("demo/liba.x86_64.dylib", macho(arch="x86_64")), binary("demo/liba.arm64.dylib", macho(arch="arm64"))],
        UNIVERSAL,
    ),
    "two files of one module": (
        [
            binary("demo/_core.abi3.so", macho(arch="x86_64"), extension="demo._core"),
            binary("demo/_core.cpython-312-darwin.so", macho(arch="arm64"), extension="demo._core"),
        ],
        UNIVERSAL,
    ),
    "payload": ([binary("demo/tool", macho(arch="x86_64"), role=Role.PAYLOAD)], UNIVERSAL),
    "a thin wheel": ([binary("demo/_core.so", macho(arch="arm64"))], MACOS),
    "no i386 any more": ([binary("demo/_core.so", macho(arch="x86_64"))], INTEL),
    "neither slice is wrong-architecture": ([binary("demo/_core.so", macho(arch="i386"))], UNIVERSAL),
    "a Linux wheel": ([binary("demo/_core.so", elf())], LINUX),
    "no target and nothing needed": ([binary("demo/_core.so", macho(arch="arm64"))], UNDECIDED),
}


@pytest.mark.parametrize("case", BAD)
def test_flags(case: str) -> None:
    findings = found(BAD[case], UNIVERSAL)
    assert findings
    assert {f.severity for f in findings} == {Severity.ERROR}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert found(*GOOD[case]) == []


def test_a_set_of_thin_tags_promises_both_architectures_too() -> None:
    pair = Target("macosx_10_9_x86_64.macosx_11_0_arm64", "macos", "", (("x86_64", (10, 9)), ("arm64", (11, 0))))
    (finding,) = found([binary("demo/_core.so", macho(arch="x86_64"))], pair)
    assert finding.primary.label == "nothing for arm64"
    assert finding.help == "build it for arm64 too, or tag the wheel for x86_64 alone"


@pytest.mark.parametrize(("library", "expected"), [((macho(arch="arm64"),), 1), (BOTH, 0)])
def test_without_a_target_a_library_is_compared_with_its_user(library: tuple[object, ...], expected: int) -> None:
    files = [binary("demo/_core.so", *BOTH), binary("demo/liba.dylib", *library)]  # type: ignore[arg-type]
    edge = Resolution(f"{SITE}/demo/_core.so", 0, Needed("@rpath/liba.dylib"), "arm64", How.BUNDLED, f"{SITE}/demo/liba.dylib", "LC_RPATH")
    load = Load(edge.importer, "arm64", "dyld", (edge.importer, f"{SITE}/demo/liba.dylib"), (edge,))
    findings = found(files, UNDECIDED, loads=[load, load])
    assert len(findings) == expected
    for finding in findings:
        assert finding.severity == Severity.WARNING
        assert finding.primary.member == "demo/liba.dylib"
        assert finding.related[0].member == "demo/_core.so"
