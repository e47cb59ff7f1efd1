"""dll-name-conflict: one name, different DLLs."""

import pytest

from builders import symbols
from conflict_examples import dll, on_windows, pyd, taking
from relocator.findings import Severity
from relocator.model import Survey
from relocator.rules.dll_name_conflict import check
from relocator.symbols import Import

BOTH = symbols(exports=[b"foo_new", b"foo_open"])
OLD = symbols(exports=[b"foo_open"])


def two(asks: bytes, name: str = "foo.dll", other: str = "FOO.dll", **facts: object) -> Survey:
    return on_windows(
        pyd("a", "python312.dll", name, table=taking(name, asks)),
        dll("a", name, BOTH, file_version="2.1.0.0"),
        pyd("b", other, table=taking(other, b"foo_open")),
        dll("b", name, OLD, **facts),
    )


@pytest.mark.parametrize(("asks", "severity"), [(b"foo_open", Severity.WARNING), (b"foo_new", Severity.ERROR)])
def test_it_is_an_error_only_where_a_user_misses_something(asks: bytes, severity: Severity) -> None:
    (finding,) = check(two(asks))
    assert finding.severity == severity
    assert "version 2.1.0.0" in finding.primary.label
    labels = [where.label for where in finding.related]
    assert ("does not find foo_new in b/foo.dll" in labels) == (severity == Severity.ERROR)


def test_what_is_imported_from_another_dll_is_not_missed() -> None:
    survey = on_windows(
        pyd("a", "foo.dll", "bar.dll", table=symbols([Import(b"foo_new", "bar.dll"), Import(b"foo_open", "foo.dll")])),
        dll("a", "foo.dll", BOTH),
        dll("a", "bar.dll", BOTH),
        pyd("b", "foo.dll"),
        dll("b", "foo.dll", OLD),
    )
    assert [finding.severity for finding in check(survey)] == [Severity.WARNING]


def test_equal_builds_are_one_dll() -> None:
    assert list(check(two(b"foo_open", debug_id="a-foo.dll"))) == []


@pytest.mark.parametrize("name", ["msvcp140.dll", "vcruntime140_1.dll", "VCOMP140.DLL", "concrt140.dll"])
def test_microsofts_runtimes_are_told_only_where_something_is_missed(name: str) -> None:
    assert list(check(two(b"foo_open", name, name.upper()))) == []
    assert [finding.severity for finding in check(two(b"foo_new", name, name.upper()))] == [Severity.ERROR]


def test_names_with_a_hash_and_modules_do_not_conflict() -> None:
    survey = on_windows(pyd("a", "foo-1.dll"), dll("a", "foo-1.dll", BOTH), pyd("b", "foo-2.dll"), dll("b", "foo-2.dll", OLD))
    assert list(check(survey)) == []


def test_dlls_of_the_system_do_not_count() -> None:
    survey = on_windows(pyd("a", "KERNEL32.dll"), dll("a", "kernel32.dll", BOTH), pyd("b", "kernel32.dll"), dll("b", "kernel32.dll", OLD))
    assert list(check(survey)) == []
