"""pip-conda-overlap: two installers in one folder."""

import pytest

from builders import environment
from conflict_examples import LLVM, part, shared
from linked import installed
from relocator.audit import run_rules
from relocator.model import Distribution, Survey
from relocator.rules import RULES
from relocator.rules.pip_conda_overlap import RULE, check


def projects(*some: tuple[str, str]) -> Survey:
    return environment(distributions=tuple(Distribution(name, "1.0", source=source) for name, source in some))


def test_a_project_from_both() -> None:
    (finding,) = check(projects(("Ruamel.Yaml", "conda"), ("ruamel_yaml", "pip"), ("other", "pip")))
    assert finding.primary.value == "ruamel-yaml"
    assert "1.0 with conda, 1.0 with pip" in finding.primary.label


@pytest.mark.parametrize(
    "some",
    [
        [("numpy", "conda"), ("scipy", "pip")],
        [("numpy", "pip"), ("numpy", "pip")],
        [("numpy", "conda"), ("numpy", "conda")],
        [("numpy", "conda"), ("numpy", "")],
    ],
)
def test_is_silent_about(some: list[tuple[str, str]]) -> None:
    assert list(check(projects(*some))) == []


def openmp(*sources: str) -> Survey:
    names = ("a", "b")
    files = [one for name in names for one in (part(name, f"libomp-{name}.so"), shared(name, f"libomp-{name}.so", table=LLVM))]
    return installed(*files, sources=dict(zip(names, sources, strict=True)))


def test_a_runtime_from_both_is_told_by_the_more_specific_rule() -> None:
    assert [finding.rule for finding in run_rules(openmp("conda", "pip"), [RULE]).findings] == ["pip-conda-overlap"]
    assert [finding.rule for finding in run_rules(openmp("conda", "pip"), RULES).findings] == ["duplicate-openmp"]


def test_a_runtime_twice_from_one_side_is_no_overlap() -> None:
    assert list(check(openmp("conda", "conda"))) == []
    assert list(check(openmp("pip", "pip"))) == []


def test_a_project_without_any_binary_counts() -> None:
    report = run_rules(projects(("requests", "conda"), ("requests", "pip")), RULES)
    assert [finding.rule for finding in report.findings] == ["pip-conda-overlap"]
