"""missing-symbol-version: a decision table, bad first."""

import dataclasses

import pytest

from builders import symbols
from linked import lib, linked, module
from relocator.findings import Finding
from relocator.model import VersionNeed
from relocator.rules.missing_symbol_version import check
from relocator.symbols import Export, Import


def findings(needs: list[VersionNeed], defined: tuple[str, ...], exports: list[Export], libc: str = "glibc") -> list[Finding]:
    table = symbols([Import(b"foo", "liba.so", b"FOO_2")])
    core = module("liba.so", rpath="$ORIGIN", versions=needs, table=table)
    target = dataclasses.replace(linked().target, libc=libc)
    return list(check(linked(core, lib("demo/liba.so", version_definitions=defined, table=symbols([], exports)), target=target)))


TWO = [VersionNeed("liba.so", "FOO_2")]
HAS = [Export(b"foo", b"FOO_2")]


@pytest.mark.parametrize(
    ("needs", "defined", "exports", "libc", "label"),
    [
        (TWO, ("FOO_1", "FOO_1.9"), HAS, "glibc", "has FOO_1.9 at most"),
        (TWO, ("BAR_1",), HAS, "glibc", "has no version of that family"),
        (TWO, ("FOO_1", "FOO_2"), [], "glibc", "is the library that is found"),
        (TWO, (), [], "glibc", "is the library that is found"),
        (TWO, ("FOO_1", "FOO_2"), HAS, "glibc", ""),
        (TWO, (), [Export(b"foo")], "glibc", ""),
        ([VersionNeed("liba.so", "FOO_2", weak=True)], ("FOO_1",), HAS, "glibc", ""),
        (TWO, ("FOO_1",), [Export(b"foo", b"FOO_1")], "musl", ""),
    ],
)
def test_a_version_that_the_library_lacks_is_found(
    needs: list[VersionNeed], defined: tuple[str, ...], exports: list[Export], libc: str, label: str
) -> None:
    assert [where.label for finding in findings(needs, defined, exports, libc) for where in finding.related] == ([label] if label else [])


def test_several_versions_are_one_finding_with_the_highest_first() -> None:
    (finding,) = findings([*TWO, VersionNeed("liba.so", "FOO_10"), VersionNeed("liba.so", "FOO_3")], ("FOO_1",), HAS)
    assert (finding.primary.value, finding.primary.label) == ("FOO_10", "from liba.so, with 2 more: FOO_3, FOO_2")


def test_what_the_platform_promises_is_left_to_others() -> None:
    core = module("libc.so.6", versions=[VersionNeed("libc.so.6", "GLIBC_2.99")], table=symbols([Import(b"f", "libc.so.6", b"GLIBC_2.99")]))
    assert not list(check(linked(core)))
