"""local-platform-tag: a decision table, bad first."""

import pytest

from builders import survey
from relocator.rules.local_platform_tag import check


@pytest.mark.parametrize(
    ("platform", "found", "repaired_by"),
    [
        ("linux_x86_64", True, "repair"),
        ("linux_mips64", True, "repair"),
        ("freebsd_14_0_amd64", True, ""),
        ("linux_armv7l", False, ""),
        ("linux_armv6l", False, ""),
        ("manylinux_2_17_x86_64", False, ""),
        ("musllinux_1_2_x86_64", False, ""),
        ("win_amd64", False, ""),
        ("any", False, ""),
        ("foo", False, ""),  # tag-disagreement says it
    ],
)
def test_a_tag_for_the_building_machine_is_found(platform: str, found: bool, repaired_by: str) -> None:
    result = list(check(survey(tags=(f"cp312-cp312-{platform}",))))
    assert [(finding.primary.value, finding.repaired_by) for finding in result] == ([(platform, repaired_by)] if found else [])
