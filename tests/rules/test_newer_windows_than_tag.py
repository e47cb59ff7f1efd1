"""newer-windows-than-tag: API sets and headers for a newer Windows than the tag's Python has."""

from dataclasses import replace

import pytest

from builders import LINUX, WINDOWS, binary, elf, pe, survey
from relocator.findings import Severity
from relocator.model import Needed, NeedKind
from relocator.rules.newer_windows_than_tag import check

EIGHT, EIGHT_ONE, TEN = (f"api-ms-win-core-{name}.dll" for name in ("path-l1-1-0", "winrt-error-l1-1-1", "memory-l1-1-3"))


def told(*needs: str | Needed, python: str = "cp312", arch: str = "amd64", subsystem: tuple[int, ...] = (6, 0)) -> list[str]:
    image = replace(pe(*needs, arch=arch), minimum_os=subsystem)
    findings = list(check(survey(binary("demo/_core.pyd", image), target=replace(WINDOWS, pythons=(python,)))))
    assert {finding.severity for finding in findings} <= {Severity.NOTE}
    return [finding.primary.value for finding in findings]


@pytest.mark.parametrize(
    ("python", "newer"),
    [
        ("cp37", {EIGHT, EIGHT_ONE, TEN}),
        ("cp38", {EIGHT, EIGHT_ONE, TEN}),
        ("cp39", {TEN}),
        ("cp312", {TEN}),
        ("cp313", set()),
        ("cp315", set()),
        ("py3", {TEN}),
    ],
)
def test_api_sets_by_the_windows_that_a_python_needs(python: str, newer: set[str]) -> None:
    for name in (EIGHT, EIGHT_ONE, TEN):
        assert told("KERNEL32.dll", name, python=python) == ([name] if name in newer else [])


@pytest.mark.parametrize("name", ["KERNEL32.dll", "api-ms-win-crt-runtime-l1-1-0.dll", "api-ms-win-core-nonsense-l1-1-9.dll"])
def test_what_is_always_there_or_unknown_is_no_news(name: str) -> None:
    assert told(name, python="cp38") == []


def test_spelling_arm64_and_delayed_needs() -> None:
    assert told(TEN.upper()) == [TEN.upper()]
    assert told(TEN, arch="arm64") == []
    assert told(Needed(TEN, NeedKind.DELAYED)) == []


@pytest.mark.parametrize(
    ("subsystem", "python", "value"),
    [((10, 0), "cp312", ["10.0"]), ((10, 0), "cp313", []), ((6, 3), "cp312", []), ((6, 2), "cp38", ["6.2"]), ((), "cp38", [])],
)
def test_the_header_may_ask_for_a_newer_windows(subsystem: tuple[int, ...], python: str, value: list[str]) -> None:
    assert told(python=python, subsystem=subsystem) == value


def test_other_targets_are_not_judged() -> None:
    assert list(check(survey(binary("demo/_core.pyd", pe(TEN))))) == []
    assert list(check(survey(binary("demo/_core.so", elf(TEN)), target=WINDOWS))) == []
    assert list(check(survey(binary("demo/_core.pyd", pe(TEN)), target=LINUX))) == []
