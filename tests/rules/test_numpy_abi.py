"""numpy-abi: whose headers, and which NumPy may be met."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from builders import LINUX, SITE, WINDOWS, binary, elf, survey
from relocator.findings import Finding, Severity
from relocator.model import Distribution
from relocator.rules.numpy_abi import check
from relocator.target import Target

ABI = b"module compiled against ABI version 0x%x but this version of numpy is 0x%x"
NUMPY_1 = b"module compiled against API version 0x%x but this version of numpy is 0x%x . Check the section"


def numpy_2(floor: str) -> bytes:
    return (
        b"module was compiled against NumPy C-API version 0x%x (NumPy " + floor.encode() + b") but the running NumPy has C-API version 0x%x"
    )


def found(
    *literals: bytes, requires: Iterable[str] = (), python: str = "cp312", abi: str = "cp312", target: Target = LINUX, owner: str = "demo"
) -> list[Finding]:
    image = replace(elf("libc.so.6"), literals=literals)
    goal = replace(target, pythons=(python,), abis=(abi,))
    return list(check(survey(binary("demo/_core.so", image, owner=owner), target=goal, requires=requires)))


@pytest.mark.parametrize(
    ("requires", "severity"),
    [
        ((), Severity.WARNING),
        (("numpy",), Severity.WARNING),
        (("numpy>=1.26",), Severity.WARNING),
        (("numpy<2",), Severity.NOTE),
        (("NumPy >=1.26, <2.0",), Severity.NOTE),
        (("numpy==1.26.*",), Severity.NOTE),
        (("numpy~=1.26",), Severity.NOTE),
        (("numpy<3",), Severity.WARNING),
        (("numpy>=1.26", "numpy<2"), Severity.NOTE),
        (('numpy<2; python_version < "3.12"', 'numpy>=1.26; python_version >= "3.12"'), Severity.WARNING),
        (('numpy<2; python_version >= "3.12"',), Severity.NOTE),
        (('numpy<2; sys_platform == "win32"',), Severity.WARNING),
        (('numpy<2; extra == "legacy"',), Severity.WARNING),
        (("numpy-quaternion<2",), Severity.WARNING),
        (("numpy<2 nonsense",), Severity.WARNING),
    ],
)
def test_headers_of_numpy_1(requires: tuple[str, ...], severity: Severity) -> None:
    (finding,) = found(ABI, NUMPY_1, requires=requires)
    assert (finding.severity, finding.primary.field) == (severity, "string literal")


def test_markers_are_judged_for_the_targets_system() -> None:
    (finding,) = found(NUMPY_1, requires=['numpy<2; sys_platform == "win32" and platform_machine == "amd64"'], target=WINDOWS)
    assert finding.severity == Severity.NOTE


@pytest.mark.parametrize(
    ("floor", "requires", "python", "wrong"),
    [
        ("1.20", ("numpy>=1.26",), "cp312", False),
        ("1.23", ("numpy>=1.17",), "cp312", False),
        ("1.23", ("numpy>=1.22",), "cp310", True),
        ("1.23", ("numpy>=1.22",), "cp311", False),
        ("2.1", ("numpy>=1.26",), "cp312", True),
        ("2.1", ("numpy",), "cp312", True),
        ("2.1", ("numpy>=2.1",), "cp312", False),
        ("2.1", ("numpy>=1.26",), "cp313", False),
        ("1.16", ("numpy",), "cp37", False),
        ("2.1", (), "cp312", False),
        ("2.3", ("numpy>=2", "numpy!=2.0.*,!=2.1.*,!=2.2.*"), "cp312", False),
    ],
)
def test_headers_of_numpy_2_say_the_oldest_that_they_accept(floor: str, requires: tuple[str, ...], python: str, wrong: bool) -> None:
    findings = found(ABI, numpy_2(floor), requires=requires, python=python, abi=python)
    assert [finding.severity for finding in findings] == ([Severity.WARNING] if wrong else [])
    if wrong:
        assert f"numpy>={floor}" in findings[0].help


def test_an_abi3_wheel_for_a_python_that_nobody_uses_is_judged_by_a_living_one() -> None:
    assert found(numpy_2("1.19"), requires=['numpy<2; python_version < "3.9"', "numpy>=1.19"], python="cp37", abi="abi3") == []


def test_numpys_own_files_and_files_without_messages_are_not_judged() -> None:
    assert found(NUMPY_1, owner="numpy") == []
    assert found(b"libfoo.so", ABI) == []
    assert found() == []


@pytest.mark.parametrize(
    ("installed", "literal", "severity"),
    [
        ("2.3.0", NUMPY_1, Severity.ERROR),
        ("1.26.4", NUMPY_1, Severity.NOTE),
        ("1.26.4", numpy_2("2.0"), Severity.ERROR),
        ("2.3.0", numpy_2("2.0"), None),
        ("unknown", NUMPY_1, Severity.WARNING),
    ],
)
def test_the_installed_numpy_decides_where_there_is_one(installed: str, literal: bytes, severity: Severity | None) -> None:
    image = replace(elf("libc.so.6"), literals=(literal,))
    both = (Distribution("demo", "1.0", (), SITE), Distribution("numpy", installed, (), SITE))
    findings = list(check(survey(binary("demo/_core.so", image), distributions=both)))
    assert [finding.severity for finding in findings] == ([severity] if severity else [])
    assert all("release of demo" in f.help or "update demo" in f.help for f in findings if f.severity == Severity.ERROR)
