"""wrong-python-dll: the DLL of another Python than the tag's."""

from dataclasses import replace

import pytest

from builders import WINDOWS, binary, elf, pe, survey
from linked import linked
from relocator.audit import run_rules
from relocator.backends.windows.promises import promises
from relocator.findings import Finding, Severity
from relocator.model import Binary, Role
from relocator.rules import missing_library
from relocator.rules.wrong_python_dll import RULE, check
from relocator.target import Target


def target(tags: str) -> Target:
    pythons, _, abis = tags.partition("-")
    return replace(WINDOWS, pythons=tuple(pythons.split(".")), abis=tuple(abis.split(".")))


def found(tags: str, name: str, member: str = "demo/_core.pyd", *others: Binary) -> list[Finding]:
    return list(check(survey(binary(member, pe("KERNEL32.dll", name)), *others, target=target(tags))))


@pytest.mark.parametrize(
    ("tags", "right", "wrong"),
    [
        ("cp312-cp312", "python312.dll python3.dll PYTHON312.DLL", "python311.dll python313.dll python312t.dll python3t.dll python27.dll"),
        ("cp313-cp313t", "python313t.dll python3t.dll", "python313.dll python3.dll python312t.dll"),
        ("cp38-abi3", "python3.dll Python3.dll", "python38.dll python312.dll python3t.dll"),
        ("cp315-abi3t", "python3t.dll", "python3.dll python315t.dll python315.dll"),
        ("cp315-abi3.abi3t", "python3t.dll python3.dll", "python315.dll"),
        ("cp310.cp311-none", "python310.dll python311.dll python3.dll python311t.dll", "python312.dll"),
        ("cp311.cp312-abi3", "python3.dll", "python311.dll"),
        ("cp37-cp37m", "python37.dll python3.dll", "python36.dll"),
        ("py3-none", "python312.dll python3.dll python27.dll", ""),
        ("cp3-none", "python312.dll", ""),
        ("pp310-pypy310_pp73", "libpypy3.10-c.dll python310.dll", ""),
        ("cp312-cp312", "python312_d.dll python.dll pythonnet.dll python3-foo.dll boost_python312.dll", ""),
    ],
)
def test_by_tag(tags: str, right: str, wrong: str) -> None:
    for name in right.split():
        assert found(tags, name) == []
    for name in wrong.split():
        (finding,) = found(tags, name)
        assert (finding.severity, finding.primary.field, finding.primary.value) == (Severity.ERROR, "import", name)


@pytest.mark.parametrize(
    ("member", "right", "wrong"),
    [
        ("demo/_core.cp311-win_amd64.pyd", "python311.dll", "python312.dll"),
        ("demo/_core.cp313t-win_amd64.pyd", "python313t.dll", "python313.dll"),
        ("demo/_core.CP39-WIN32.pyd", "python39.dll", "python38.dll"),
    ],
)
@pytest.mark.parametrize("tags", ["py3-none", "cp38-abi3", "cp312-cp312"])
def test_a_file_that_bears_a_tag_is_judged_by_that(tags: str, member: str, right: str, wrong: str) -> None:
    assert found(tags, right, member) == []
    (finding,) = found(tags, wrong, member)
    assert finding.primary.label.startswith("this file's Python has python3")


def test_says_which_is_right() -> None:
    (finding,) = found("cp38-abi3", "python312.dll")
    assert finding.primary.label == "cp38-abi3 has python3.dll"
    assert "Py_LIMITED_API" in finding.help
    (finding,) = found("cp312-cp312", "python311.dll")
    assert finding.primary.label == "cp312-cp312 has python3.dll and python312.dll"
    assert "Py_LIMITED_API" not in finding.help


def test_a_python_that_the_package_brings_is_its_own() -> None:
    brought = binary("demo/runtime/Python311.dll", pe("KERNEL32.dll"))
    assert found("cp312-cp312", "python311.dll", "demo/runtime/_ssl.pyd", brought) == []


@pytest.mark.parametrize(("role", "expected"), [(Role.IMPORTED, Severity.ERROR), (Role.PAYLOAD, Severity.WARNING)])
def test_it_is_not_a_missing_library_too(role: Role, expected: Severity) -> None:
    goal = target("cp312-abi3")
    core = binary("demo/_core.pyd", pe("KERNEL32.dll", "python311.dll"), extension="demo._core", role=role)
    report = run_rules(linked(core, target=goal, promises=promises(goal, "amd64")), [RULE, missing_library.RULE])
    assert [(finding.rule, finding.severity) for finding in report.findings] == [("wrong-python-dll", expected)]


def test_other_systems_are_not_judged() -> None:
    assert list(check(survey(binary("demo/_core.so", elf("python311.dll"))))) == []
