"""tag-disagreement: a decision table, bad first."""

import pytest

from builders import survey
from relocator.rules.tag_disagreement import check
from relocator.target import Target

A, B = "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux2014_x86_64"


@pytest.mark.parametrize(
    ("named", "declared", "values"),
    [
        ((A,), ("cp312-cp312-linux_x86_64",), ["cp312-cp312-linux_x86_64"]),
        ((A, B), (A,), [B]),
        ((A,), (A, B), [B]),
        ((A,), (), [""]),
        ((A,), (A, "nonsense"), ["nonsense"]),
        (("py3-none-foo",), ("py3-none-foo",), ["foo"]),
        (("py3-none-macosx_16_0_arm64",), ("py3-none-macosx_16_0_arm64",), ["macosx_16_0_arm64"]),
        (("py3-none-macosx_13_6_arm64",), None, ["macosx_13_6_arm64"]),
        ((A, B), (B, A), []),
        ((A,), (A, A), []),
        ((A, B), ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",), []),
        ((A,), None, []),
        ((), (A,), []),
        (("py2-none-any", "py3-none-any"), ("py2.py3-none-any",), []),
        (("py3-none-freebsd_14_0_amd64",), ("py3-none-freebsd_14_0_amd64",), []),
    ],
)
def test_the_sets_of_tags_must_be_equal_and_possible(named: tuple[str, ...], declared: tuple[str, ...] | None, values: list[str]) -> None:
    found = list(check(survey(target=Target("", ""), promises=[], tags=named, declared_tags=declared)))
    assert [finding.primary.value for finding in found] == values


def test_the_finding_lists_both_sides() -> None:
    (finding,) = check(survey(tags=(A,), declared_tags=(B,)))
    assert finding.primary[4:] == (B, "", "only in WHEEL")
    assert [where[4:] for where in finding.related] == [(A, "", "only in the file name")]
    assert finding.primary.member == "demo-1.0.dist-info/WHEEL"


def test_a_variant_label_is_no_tag() -> None:
    assert not list(check(survey(tags=(A,), declared_tags=(A,), variant="x86_64_v3")))


def test_a_tag_that_cannot_exist_says_why() -> None:
    (finding,) = check(survey(tags=("py3-none-macosx_16_0_arm64",), declared_tags=None))
    assert "15 was followed by 26" in finding.primary.label
