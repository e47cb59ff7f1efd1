"""unsafe-page-alignment: what a larger page cannot map."""

import pytest

from builders import LINUX, binary, elf, survey
from relocator.findings import Finding, Severity
from relocator.native import Segment
from relocator.rules.unsafe_page_alignment import check
from relocator.target import Target


def target(libc: str, arch: str) -> Target:
    return Target(f"{libc}_{arch}", "android" if libc == "bionic" else "linux", libc, ((arch, ()),))


def segments(align: int, shift: int = 0) -> tuple[Segment, ...]:
    return (Segment(0, 0, 0x1000, 0x1000, 5, 0x10000), Segment(0x20000, 0x20000 + shift, 0x100, 0x200, 6, align))


def found(libc: str, arch: str, *, align: int = 0x10000, shift: int = 0, decided: bool = True, **native: object) -> list[Finding]:
    image = elf(arch=arch, segments=segments(align, shift), **native)  # type: ignore[arg-type]
    return list(check(survey(binary("demo/_core.so", image), target=target(libc, arch) if decided else Target("", ""))))


@pytest.mark.parametrize(
    ("libc", "arch", "align", "expected"),
    [
        ("glibc", "aarch64", 0x1000, Severity.ERROR),
        ("glibc", "aarch64", 0x4000, Severity.ERROR),
        ("glibc", "aarch64", 0x10000, None),
        ("glibc", "aarch64", 0x200000, None),
        ("glibc", "ppc64le", 0x1000, Severity.ERROR),
        ("glibc", "ppc64le", 0x10000, None),
        ("glibc", "loongarch64", 0x1000, Severity.ERROR),
        ("glibc", "loongarch64", 0x4000, Severity.WARNING),
        ("glibc", "loongarch64", 0x10000, None),
        ("musl", "aarch64", 0x1000, Severity.WARNING),
        ("musl", "aarch64", 0x10000, None),
        ("bionic", "aarch64", 0x1000, Severity.WARNING),
        ("bionic", "aarch64", 0x4000, None),
        ("glibc", "x86_64", 0x1000, None),
        ("musl", "x86_64", 0x1000, None),
        ("glibc", "armv7l", 0x1000, None),
        ("glibc", "riscv64", 0x1000, None),
    ],
)
def test_severity_by_libc_and_architecture(libc: str, arch: str, align: int, expected: Severity | None) -> None:
    assert [f.severity for f in found(libc, arch, align=align)] == ([expected] if expected else [])


def test_address_and_offset_must_differ_by_whole_pages() -> None:
    assert found("glibc", "aarch64", shift=0x20000) == []
    (finding,) = found("glibc", "aarch64", shift=0x21000)
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("PT_LOAD.p_vaddr", 1, "0x41000")


def test_the_first_segment_at_fault_is_named() -> None:
    (finding,) = found("glibc", "aarch64", align=0x1000)
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("PT_LOAD.p_align", 1, "0x1000")
    assert finding.help == "link with -Wl,-z,max-page-size=65536"


def test_an_alignment_of_zero_demands_nothing() -> None:
    assert found("glibc", "aarch64", align=0) == []


def test_without_a_target_the_binary_says_what_it_is_for() -> None:
    assert [f.severity for f in found("", "aarch64", align=0x1000, decided=False)] == [Severity.ERROR]
    assert [f.severity for f in found("", "aarch64", align=0x1000, decided=False, android_api=24)] == [Severity.WARNING]


def test_an_architecture_that_the_tag_does_not_name_is_another_rules_business() -> None:
    image = elf(arch="aarch64", segments=segments(0x1000))
    assert list(check(survey(binary("demo/_core.so", image), target=LINUX))) == []
