"""unreadable-binary: what neither we nor a loader can read."""

import dataclasses

import pytest

from builders import SITE, binary, elf, survey
from relocator.findings import Finding, Severity
from relocator.model import Format, How, Load, Needed, Problem, Resolution, Role, Tried, Unreadable
from relocator.rules.unreadable_binary import check

CORE = binary("demo/_core.abi3.so", elf("liba.so"), extension="demo._core")


def damaged(member: str) -> Unreadable:
    return Unreadable(member, f"{SITE}/{member}", Format.ELF, "PT_DYNAMIC", "needs 512 bytes, the file ends at 0x2f00", 0x2E00)


def load(how: How, tried: str) -> Load:
    edge = Resolution(CORE.path, 0, Needed("liba.so"), "x86_64", how, None, "", (Tried(tried, "DT_RUNPATH", "truncated"),))
    return Load(CORE.path, "x86_64", "glibc", (CORE.path,), (edge,))


@pytest.mark.parametrize(
    ("member", "severity"),
    [
        ("demo/_core.cpython-312-x86_64-linux-gnu.so", Severity.ERROR),
        ("demo/_core.abi3.so", Severity.ERROR),
        ("demo/_core.pyd", Severity.ERROR),
        ("demo/_core.pypy310-pp73-x86_64-linux-gnu.so", Severity.ERROR),
        ("demo/liba.so", Severity.WARNING),
        ("tests/data/cut.so.1", Severity.WARNING),
        ("tests/data/cut.dll", Severity.WARNING),
    ],
)
def test_a_file_named_as_a_module_is_an_error(member: str, severity: Severity) -> None:
    assert [f.severity for f in check(survey(unreadable=[damaged(member)]))] == [severity]


@pytest.mark.parametrize(
    ("how", "tried", "severity"),
    [
        (How.MISSING, f"{SITE}/demo/liba.so", Severity.ERROR),
        (How.UNDECIDED, f"{SITE}/demo/liba.so", Severity.ERROR),
        (How.BUNDLED, f"{SITE}/demo/liba.so", Severity.WARNING),  # passed over, found further on
        (How.MISSING, f"{SITE}/demo/libb.so", Severity.WARNING),
    ],
)
def test_a_file_that_an_import_needs_is_an_error(how: How, tried: str, severity: Severity) -> None:
    (finding,) = check(survey(CORE, unreadable=[damaged("demo/liba.so")], loads=[load(how, tried)]))
    assert finding.severity == severity
    assert finding.primary.label.endswith("demo/_core.abi3.so needs it") == (severity == Severity.ERROR)


def test_what_only_payload_needs_is_a_warning() -> None:
    payload = dataclasses.replace(CORE, role=Role.PAYLOAD)
    findings = check(survey(payload, unreadable=[damaged("demo/liba.so")], loads=[load(How.MISSING, f"{SITE}/demo/liba.so")]))
    assert [f.severity for f in findings] == [Severity.WARNING]


def test_says_where_and_why() -> None:
    (finding,) = check(survey(unreadable=[damaged("demo/_core.pyd")]))
    assert finding.primary.field == "PT_DYNAMIC"
    assert finding.primary.value == "needs 512 bytes, the file ends at 0x2f00"
    assert finding.primary.label == "ELF, at offset 0x2e00"


def test_what_could_not_be_opened_is_told() -> None:
    problems = (Problem("permission", "secret.so", "permission denied"), Problem("loop", "a/a", "leads to a"))
    findings: list[Finding] = list(check(survey(problems=problems)))
    assert [f.severity for f in findings] == [Severity.WARNING, Severity.NOTE]
    assert findings[0].primary.member == "secret.so"
