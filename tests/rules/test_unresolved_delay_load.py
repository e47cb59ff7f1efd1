"""unresolved-delay-load: a DLL that is missing when it is first used."""

import pytest

from builders import MACOS, WINDOWS, binary, macho, pe
from linked import linked
from relocator.audit import run_rules
from relocator.backends.windows.promises import promises
from relocator.findings import Certainty, Severity
from relocator.model import Binary, Needed, NeedKind, Survey
from relocator.rules import RULES
from relocator.rules.unresolved_delay_load import check
from relocator.target import Level, Promises


def package(name: str, *others: Binary, kind: NeedKind = NeedKind.DELAYED) -> Survey:
    needs = ("KERNEL32.dll", "python312.dll", Needed(name, kind))
    core = binary("demo/_core.cp312-win_amd64.pyd", pe(*needs), extension="demo._core")
    return linked(core, *others, target=WINDOWS, promises=promises(WINDOWS, "amd64"))


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("foo.dll", True),
        ("USER32.dll", False),
        ("WINMM.dll", False),
        ("nvcuda.dll", False),
        ("python312.dll", False),
    ],
)
def test_by_name(name: str, missing: bool) -> None:
    findings = list(check(package(name)))
    assert [finding.primary.value for finding in findings] == ([name] if missing else [])
    for finding in findings:
        assert (finding.severity, finding.certainty, finding.primary.field) == (Severity.WARNING, Certainty.LIKELY, "delay import")
        assert finding.trail


def test_a_need_that_is_not_delayed_is_missing_at_once() -> None:
    report = run_rules(package("foo.dll", kind=NeedKind.REQUIRED), RULES)
    assert [finding.rule for finding in report.findings if finding.primary.value == "foo.dll"] == ["missing-library"]


def test_a_delayed_need_is_told_once() -> None:
    report = run_rules(package("foo.dll"), RULES)
    assert [finding.rule for finding in report.findings if finding.primary.value == "foo.dll"] == ["unresolved-delay-load"]


@pytest.mark.parametrize(
    ("name", "rule", "others"),
    [
        ("MSVCP140D.dll", "debug-runtime", ()),
        ("MSVCP140.dll", "unbundled-msvc-runtime", ()),
        ("python311.dll", "wrong-python-dll", ()),
        ("foo.dll", "unreachable-dll", (binary("demo/bin/foo.dll", pe()),)),
    ],
)
def test_what_another_rule_knows_better_is_left_to_it(name: str, rule: str, others: tuple[Binary, ...]) -> None:
    report = run_rules(package(name, *others), RULES)
    told = {finding.rule for finding in report.findings if finding.primary.value == name}
    assert rule in told
    assert "unresolved-delay-load" not in told


def test_delayed_needs_of_other_formats_are_not_judged() -> None:
    image = macho(Needed("@rpath/libfoo.dylib", NeedKind.DELAYED))
    apple = Promises("macos", "arm64", (Level((), ()),), prefixes=("/usr/lib/",))
    assert list(check(linked(binary("demo/_core.so", image), target=MACOS, promises=apple))) == []
