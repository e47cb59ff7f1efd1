"""wrong-apple-platform: another of Apple's systems."""

import pytest

from builders import LINUX, MACOS, binary, elf, macho, survey
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Role
from relocator.rules.wrong_apple_platform import RULE, check
from relocator.target import Target

DEVICE = Target("ios_13_0_arm64_iphoneos", "ios", "", (("arm64", (13, 0)),))
SIMULATOR = Target("ios_13_0_arm64_iphonesimulator", "ios", "", (("arm64", (13, 0)),))


@pytest.mark.parametrize(
    ("target", "right", "wrong"),
    [
        (MACOS, ["macos", ""], ["ios", "iossimulator", "maccatalyst", "driverkit", "visionos"]),
        (DEVICE, ["ios", ""], ["macos", "iossimulator", "maccatalyst"]),
        (SIMULATOR, ["iossimulator", ""], ["ios", "macos"]),
        (LINUX, ["ios", "macos"], []),
        (Target("", ""), ["ios"], []),
    ],
)
def test_by_target(target: Target, right: list[str], wrong: list[str]) -> None:
    for platform in (*right, *wrong):
        found = list(check(survey(binary("demo/_core.so", macho(platform=platform)), target=target)))
        assert [finding.primary.value for finding in found] == ([platform] if platform in wrong else [])


@pytest.mark.parametrize(("role", "severity"), [(Role.IMPORTED, Severity.ERROR), (Role.PAYLOAD, Severity.WARNING)])
def test_what_is_only_carried_along_is_milder(role: Role, severity: Severity) -> None:
    report = run_rules(survey(binary("demo/app", macho(platform="ios"), role=role), target=MACOS), [RULE])
    assert [finding.severity for finding in report.findings] == [severity]


def test_other_formats_are_not_judged() -> None:
    assert list(check(survey(binary("demo/_core.so", elf()), target=MACOS))) == []
