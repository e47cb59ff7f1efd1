"""duplicate-rpath: what newer dyld refuses."""

import pytest

from builders import MACOS, binary, elf, macho, survey
from relocator.findings import Finding, Severity
from relocator.rules.duplicate_rpath import check


def found(*rpaths: str, **native: object) -> list[Finding]:
    return list(check(survey(binary("demo/_core.so", macho(rpaths=rpaths, **native)), target=MACOS)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("platform", "sdk", "expected"),
    [
        ("macos", (15, 4), Severity.ERROR),
        ("macos", (15, 4, 1), Severity.ERROR),
        ("macos", (26, 0), Severity.ERROR),
        ("macos", (15, 3, 2), Severity.WARNING),
        ("macos", (11,), Severity.WARNING),
        ("macos", (), Severity.WARNING),
        ("", (15, 4), Severity.ERROR),
        ("ios", (18, 3), Severity.WARNING),
        ("ios", (18, 4), Severity.ERROR),
        ("iossimulator", (17, 0), Severity.WARNING),
    ],
)
def test_severity_by_sdk(platform: str, sdk: tuple[int, ...], expected: Severity) -> None:
    (finding,) = found("@loader_path", "@loader_path", platform=platform, sdk=sdk)
    assert (finding.severity, finding.repaired_by) == (expected, "repair")


def test_names_the_second_and_the_first() -> None:
    (finding,) = found("/a", "/b", "/c", "/b", "/b", sdk=(15, 5))
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("LC_RPATH", 3, "/b")
    assert finding.primary.label == "the same as LC_RPATH[1]; linked with the macos SDK 15.5"


@pytest.mark.parametrize("rpaths", [(), ("/a",), ("/a", "/b"), ("@loader_path", "@loader_path/"), ("@loader_path", "@loader_path/.")])
def test_is_silent_about(rpaths: tuple[str, ...]) -> None:
    assert found(*rpaths, sdk=(15, 4)) == []


def test_elf_may_repeat_itself() -> None:
    assert list(check(survey(binary("demo/_core.so", elf(runpath="$ORIGIN:$ORIGIN"))))) == []


def test_each_slice_and_each_text_is_told() -> None:
    slices = binary("demo/a.so", macho(rpaths=["/a", "/a", "/b", "/b"]), macho(arch="x86_64", rpaths=["/a", "/a"]))
    places = [(f.primary.arch, f.primary.value) for f in check(survey(slices, target=MACOS))]
    assert places == [("arm64", "/a"), ("arm64", "/b"), ("x86_64", "/a")]
