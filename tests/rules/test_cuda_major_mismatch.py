"""cuda-major-mismatch: one environment, two toolkits."""

import dataclasses

import pytest

from conflict_examples import dll, on_windows, part, pyd, shared
from linked import installed
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Binary
from relocator.rules import RULES
from relocator.rules.cuda_major_mismatch import check


def tensor(library: str = "libcublas.so.12") -> list[Binary]:
    return [part("tensor", library), shared("tensor", library)]


def test_missing_libraries_of_the_other_version_are_an_error_told_once_for_each_file() -> None:
    second = dataclasses.replace(part("demo", "libcublas.so.11"), member="demo/_more.so", path="/x/demo/_more.so")
    survey = installed(*tensor(), part("demo", "libcublas.so.11", "libcudart.so.11.0"), second)
    findings = list(check(survey))
    assert {finding.severity for finding in findings} == {Severity.ERROR}
    assert [(finding.primary.member, finding.primary.value) for finding in findings] == [
        ("demo/_core.so", "libcublas.so.11"),
        ("demo/_core.so", "libcudart.so.11.0"),
        ("demo/_more.so", "libcublas.so.11"),
    ]
    assert findings[0].trail
    assert {finding.rule for finding in run_rules(survey, RULES).findings} == {"cuda-major-mismatch"}


def test_with_both_versions_present_it_is_a_warning() -> None:
    survey = installed(
        *tensor(),
        part("third", "libcublas.so.12", rpath="$ORIGIN/../tensor"),
        part("demo", "libcudart.so.11.0"),
        shared("demo", "libcudart.so.11.0"),
    )
    assert [(finding.severity, finding.primary.member) for finding in check(survey)] == [(Severity.WARNING, "demo/_core.so")]


@pytest.mark.parametrize(
    "needs",
    [["libcudart.so.12"], ["libcuda.so.1"], ["libcusolver.so.11"], ["libcusparse.so.12"], ["libcudnn.so.9"], ["libcufft.so.11"], []],
)
def test_libraries_of_the_same_toolkit_the_driver_and_ambiguous_names_are_no_mismatch(needs: list[str]) -> None:
    assert list(check(installed(*tensor(), part("demo", *needs)))) == []


def test_a_missing_library_alone_is_no_mismatch() -> None:
    assert list(check(installed(part("demo", "libcublas.so.11")))) == []


def test_on_windows() -> None:
    survey = on_windows(pyd("tensor", "cudart64_12.dll"), dll("tensor", "cudart64_12.dll"), pyd("demo", "CUDART64_110.dll"))
    assert [finding.severity for finding in check(survey)] == [Severity.ERROR]
