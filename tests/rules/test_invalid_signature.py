"""invalid-signature: what Apple silicon refuses or kills."""

from pathlib import Path

import pytest

from builders import MACOS, binary, elf, macho, survey
from relocator.backends.macos.read import read
from relocator.findings import Finding, Severity
from relocator.native import Signature
from relocator.rules.invalid_signature import check

GOOD = Signature("adhoc", "core", 2, 4096, True)
LINKER = Signature("linker-signed", "core", 0x20002, 4096, True)
IDENTITY = Signature("cms", "core", 0, 4096, True)
LDID = Signature("adhoc", "core", 0, 4096, True)
UNCHECKED = Signature("adhoc", "core", 2, 4096)
STALE = Signature("adhoc", "core", 2, 4096, True, (0,))
STALER = Signature("adhoc", "core", 2, 4096, True, (0, 1, 2, 3, 4))
WHOLE = Signature("adhoc", "core", 2, 0, True, (0,))
SHORT = Signature("adhoc", "core", 2, 4096, True, (), "16 bytes follow it in the slice")
FIXTURES = Path(__file__).parent.parent / "fixtures" / "bin" / "macho"


def found(arch: str, signature: Signature | None, kind: str = "library") -> list[Finding]:
    return list(check(survey(binary("demo/a.dylib", macho(arch=arch, kind=kind, signature=signature)), target=MACOS)))


@pytest.mark.parametrize(
    ("signature", "arm64", "x86_64"),
    [
        (None, Severity.ERROR, None),
        (STALE, Severity.ERROR, Severity.WARNING),
        (STALER, Severity.ERROR, Severity.WARNING),
        (WHOLE, Severity.ERROR, Severity.WARNING),
        (SHORT, Severity.ERROR, Severity.WARNING),
        (GOOD, None, None),
        (LINKER, None, None),
        (IDENTITY, None, None),
        (LDID, None, None),
        (UNCHECKED, None, None),
    ],
)
def test_severity_by_architecture(signature: Signature | None, arm64: Severity | None, x86_64: Severity | None) -> None:
    for arch, expected in (("arm64", arm64), ("arm64e", arm64), ("x86_64", x86_64)):
        findings = found(arch, signature)
        assert [finding.severity for finding in findings] == ([expected] if expected else [])
        assert all(finding.repaired_by == "repair" for finding in findings)


@pytest.mark.parametrize(
    ("signature", "value", "label"),
    [
        (None, "", "there is none"),
        (STALE, "adhoc", "page 0 differs (0x1000 bytes each)"),
        (STALER, "adhoc", "pages 0, 1, 2, 3, ... differ (0x1000 bytes each)"),
        (WHOLE, "adhoc", "page 0 differs"),
        (SHORT, "adhoc", "16 bytes follow it in the slice"),
    ],
)
def test_says_what_is_wrong(signature: Signature | None, value: str, label: str) -> None:
    (finding,) = found("arm64", signature)
    assert (finding.primary.field, finding.primary.value, finding.primary.label) == ("LC_CODE_SIGNATURE", value, label)


@pytest.mark.parametrize(("kind", "expected"), [("library", 1), ("bundle", 1), ("program", 1), ("other", 0)])
def test_only_what_is_run_needs_a_signature(kind: str, expected: int) -> None:
    assert len(found("arm64", None, kind)) == expected


@pytest.mark.parametrize(("platform", "expected"), [("", 1), ("macos", 1), ("maccatalyst", 1), ("ios", 0), ("iossimulator", 0)])
def test_files_for_ios_are_signed_with_the_application(platform: str, expected: int) -> None:
    image = macho(kind="library", platform=platform)
    assert len(list(check(survey(binary("demo/a.dylib", image), target=MACOS)))) == expected


def test_elf_has_no_signature() -> None:
    assert list(check(survey(binary("demo/_core.so", elf())))) == []


@pytest.mark.parametrize(
    ("name", "expected"), [("arm64/unsigned.so", 1), ("arm64/ext.so", 0), ("fat/liba.dylib", 0), ("x86_64/unsigned.dylib", 0)]
)
def test_real_files(name: str, expected: int) -> None:
    images = read(memoryview((FIXTURES / name).read_bytes()), verify_signatures=True)
    assert len(list(check(survey(binary("demo/x", *images), target=MACOS)))) == expected


def test_a_changed_byte_is_seen() -> None:
    data = bytearray((FIXTURES / "arm64" / "liba.dylib").read_bytes())
    position = data.index(b"__TEXT\0")
    clean = list(check(survey(binary("demo/x", *read(memoryview(bytes(data)), verify_signatures=True)), target=MACOS)))
    data[position + 3] ^= 0x20
    changed = list(check(survey(binary("demo/x", *read(memoryview(bytes(data)), verify_signatures=True)), target=MACOS)))
    assert (clean, [finding.message for finding in changed]) == ([], ["was changed after it was signed"])
