"""refused-by-index: what the upload gate does not take."""

import pytest

from builders import SITE, survey
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Distribution, Problem, Survey
from relocator.rules import RULES
from relocator.rules.refused_by_index import FAULTS, check


def named(name: str, version: str = "1.0", dist_info: str = "", stated: str = "") -> Survey:
    """A wheel with this file name."""
    project, own = name.split("-")[:2]
    return survey(
        subject=f"dist/{name}.whl",
        dist_info=dist_info or f"{project}-{own}.dist-info",
        distributions=(Distribution(project, stated or version, (), SITE),),
    )


def told(found: Survey) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.message) for finding in check(found)]


@pytest.mark.parametrize("kind", FAULTS)
def test_each_problem_of_the_archive_is_told_once_among_all_rules(kind: str) -> None:
    found = survey(problems=(Problem(kind, "demo/x", "what the container says"),))
    (finding,) = [finding for finding in run_rules(found, RULES).findings if finding.primary.member == "demo/x"]
    assert (finding.rule, finding.severity, finding.primary.label) == ("refused-by-index", Severity.WARNING, "what the container says")
    assert finding.repaired_by == FAULTS[kind].repaired_by


WRONG_NAMES = {
    "capital letters": (named("Demo-1.0-py3-none-any"), "has a file name in which the project is not normalised"),
    "a dot": (named("demo.sub-1.0-py3-none-any"), "has a file name in which the project is not normalised"),
    "another version": (named("demo-1.1-py3-none-any", stated="1.0"), "has a file name with another version than METADATA"),
    "no version": (named("demo-latest-py3-none-any", stated="1.0"), "has a version that is none"),
    "a folder spelled otherwise": (
        named("demo_sub-1.0-py3-none-any", dist_info="demo.sub-1.0.dist-info"),
        "has a .dist-info folder that is not named as the file",
    ),
    "a folder of another version": (
        named("demo-1.0-py3-none-any", dist_info="demo-1.0.0.dist-info"),
        "has a .dist-info folder that is not named as the file",
    ),
}


@pytest.mark.parametrize("case", WRONG_NAMES)
def test_flags_a_file_name_with(case: str) -> None:
    found, message = WRONG_NAMES[case]
    assert told(found) == [(Severity.WARNING, message)]


NOTES = {
    "a local version": (named("demo-1.0+cpu-py3-none-any", stated="1.0+cpu"), "has a local version, which the index refuses"),
    "a set that is not sorted": (
        named("demo-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64"),
        "has a compressed tag set that is not sorted",
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_notes(case: str) -> None:
    found, message = NOTES[case]
    assert told(found) == [(Severity.NOTE, message)]


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0-py3-none-any",
        "demo-1.0-1-py3-none-any",
        "demo_sub-1.0-py2.py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64",
        "demo-1.0-cp312-cp312-linux_x86_64-x86_64_v3",
    ],
)
def test_plain_names_are_fine(name: str) -> None:
    assert told(named(name)) == []


def test_versions_that_mean_the_same_agree() -> None:
    assert told(named("demo-1.0.post1-py3-none-any", stated="1.0-1")) == []


def test_a_name_that_is_none_of_a_wheel_is_told_by_another_rule() -> None:
    assert told(survey(subject="Renamed.whl", tags=())) == []


def test_a_folder_of_another_project_is_told_by_another_rule() -> None:
    assert told(named("demo-1.0-py3-none-any", dist_info="other-1.0.dist-info")) == []
