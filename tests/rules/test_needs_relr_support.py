"""needs-relr-support: a decision table, bad first."""

import pytest

from builders import binary, elf, survey
from relocator.findings import Certainty, Severity
from relocator.model import VersionNeed
from relocator.rules.needs_relr_support import check
from relocator.target import Target

MARKER = VersionNeed("libc.so.6", "GLIBC_ABI_DT_RELR")
PLAIN = VersionNeed("libc.so.6", "GLIBC_2.2.5")
E, W = Severity.ERROR, Severity.WARNING


def target(tag: str, os: str, libc: str, *floor: int) -> Target:
    return Target(tag, os, libc, (("x86_64", floor),), local=not floor)


@pytest.mark.parametrize(
    ("goal", "relr", "versions", "severity", "field"),
    [
        (target("manylinux_2_28_x86_64", "linux", "glibc", 2, 28), True, [MARKER], E, "DT_VERNEED"),
        (target("manylinux_2_28_x86_64", "linux", "glibc", 2, 28), True, [PLAIN], E, "DT_RELR"),
        (target("manylinux_2_28_x86_64", "linux", "glibc", 2, 28), False, [MARKER], E, "DT_VERNEED"),
        (target("manylinux_2_36_x86_64", "linux", "glibc", 2, 36), True, [PLAIN], E, "DT_RELR"),
        (target("linux_x86_64", "linux", "glibc"), True, [PLAIN], E, "DT_RELR"),
        (target("musllinux_1_2_x86_64", "linux", "musl", 1, 2), True, [], W, "DT_RELR"),
        (target("android_24_x86_64", "android", "bionic", 24), True, [], E, "DT_RELR"),
        (target("android_28_x86_64", "android", "bionic", 28), True, [], W, "DT_RELR"),
        (target("android_30_x86_64", "android", "bionic", 30), True, [], None, ""),
        (target("manylinux_2_36_x86_64", "linux", "glibc", 2, 36), True, [PLAIN, MARKER], None, ""),
        (target("manylinux_2_36_x86_64", "linux", "glibc", 2, 36), True, [], None, ""),  # glibc checks only what needs versions of libc.so
        (target("linux_x86_64", "linux", "glibc"), True, [MARKER], None, ""),
        (target("manylinux_2_28_x86_64", "linux", "glibc", 2, 28), False, [PLAIN], None, ""),
        (target("musllinux_1_2_x86_64", "linux", "musl", 1, 2), False, [], None, ""),
    ],
)
def test_packed_relocations_need_a_loader_that_knows_them(
    goal: Target, relr: bool, versions: list[VersionNeed], severity: Severity | None, field: str
) -> None:
    found = list(check(survey(binary("demo/_core.so", elf(versions=versions, relr=relr)), target=goal)))
    assert [(finding.severity, finding.primary.field) for finding in found] == ([(severity, field)] if severity else [])


def test_the_kind_of_relocation_is_not_known_on_android_28_so_the_finding_is_only_possible() -> None:
    goal = target("android_28_x86_64", "android", "bionic", 28)
    (finding,) = check(survey(binary("demo/_core.so", elf(relr=True)), target=goal))
    assert finding.certainty == Certainty.POSSIBLE
