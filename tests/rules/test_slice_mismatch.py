"""slice-mismatch: two slices that are not the same program."""

import pytest

from builders import binary, macho, survey, symbols
from relocator.findings import Severity
from relocator.model import Binary, Image, Needed, NeedKind
from relocator.rules.slice_mismatch import check
from relocator.symbols import Export, Import

SYSTEM = "/usr/lib/libSystem.B.dylib"
FOO = "@loader_path/libfoo.dylib"


def told(intel: Image, arm: Image, *others: Binary) -> list[tuple[str, str, Severity]]:
    findings = check(survey(binary("demo/_core.so", intel, arm), *others))
    return [(finding.primary.arch, finding.primary.value, finding.severity) for finding in findings]


def intel(*needs: str | Needed, **facts: object) -> Image:
    return macho(*needs, arch="x86_64", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("on_intel", "on_arm", "found"),
    [
        ([FOO, SYSTEM], [SYSTEM, FOO], []),
        ([FOO], [], [("x86_64", FOO, Severity.ERROR)]),
        ([], [FOO], [("arm64", FOO, Severity.ERROR)]),
        ([FOO], [FOO.replace("foo", "bar")], [("x86_64", FOO, Severity.ERROR), ("arm64", "@loader_path/libbar.dylib", Severity.ERROR)]),
        ([SYSTEM, "/usr/lib/libz.1.dylib"], [SYSTEM, "/System/Library/Frameworks/Metal.framework/Metal"], []),
        (["@rpath/libfoo.x86_64.dylib"], ["@rpath/libfoo.arm64.dylib"], []),
        (["/opt/x86_64/libfoo.dylib"], ["/opt/arm64/libfoo.dylib"], []),
        ([Needed(FOO, NeedKind.WEAK)], [], []),
        ([FOO], [Needed(FOO, NeedKind.WEAK)], []),
    ],
)
def test_needs(on_intel: list[str], on_arm: list[str], found: list[tuple[str, str, Severity]]) -> None:
    assert told(intel(*on_intel), macho(*on_arm)) == found


@pytest.mark.parametrize(
    ("on_intel", "on_arm", "found"),
    [
        ([], [Import(b"_bcp_batch", "<flat>")], [("arm64", "_bcp_batch", Severity.ERROR)]),
        ([Import(b"_bcp_batch", FOO)], [Import(b"_bcp_batch", "<flat>")], [("arm64", "_bcp_batch", Severity.ERROR)]),
        ([Import(b"_bcp_batch", "<flat>")], [Import(b"_bcp_batch", "<flat>")], []),
        ([], [Import(b"_bcp_batch", FOO)], []),
        ([], [Import(b"_bcp_batch", "<flat>", weak=True)], []),
        ([], [Import(b"_PyList_New", "<flat>"), Import(b"__Py_Dealloc", "<flat>")], []),
    ],
)
def test_flat_symbols(on_intel: list[Import], on_arm: list[Import], found: list[tuple[str, str, Severity]]) -> None:
    assert told(intel(table=symbols(on_intel)), macho(table=symbols(on_arm))) == found


def test_a_symbol_that_the_package_defines_is_found() -> None:
    own = binary("demo/libfoo.dylib", macho(kind="library", table=symbols(exports=[Export(b"_bcp_batch")])))
    assert told(intel(), macho(table=symbols([Import(b"_bcp_batch", "<flat>")])), own) == []


@pytest.mark.parametrize(
    ("on_intel", "on_arm", "found"),
    [
        ((10, 9), (11, 0), []),
        ((10, 13), (10, 13), []),
        ((11, 0), (11, 0), []),
        ((12, 0), (12, 0, 1), []),
        ((10, 9), (12, 0), [("arm64", "12.0", Severity.WARNING)]),
        ((13, 0), (11, 0), [("x86_64", "13.0", Severity.WARNING)]),
        ((), (12, 0), []),
    ],
)
def test_minimum_versions(on_intel: tuple[int, ...], on_arm: tuple[int, ...], found: list[tuple[str, str, Severity]]) -> None:
    assert told(intel(minimum_os=on_intel), macho(minimum_os=on_arm)) == found


def test_other_slices_and_thin_files_are_not_compared() -> None:
    assert told(macho(FOO, arch="i386"), macho(arch="ppc")) == []
    assert told(intel(FOO), macho(arch="arm64e")) == []
    assert list(check(survey(binary("demo/_core.so", macho(FOO))))) == []
