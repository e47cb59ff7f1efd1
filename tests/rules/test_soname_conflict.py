"""soname-conflict: one name, different libraries."""

import dataclasses

import pytest

from builders import symbols
from conflict_examples import part, shared, taking
from linked import installed
from relocator.findings import Severity
from relocator.model import Binary, Role, Survey, VersionNeed
from relocator.rules.soname_conflict import check
from relocator.symbols import Import, SymbolTable

BOTH = symbols(exports=[b"foo_new", b"foo_open"])
OLD = symbols(exports=[b"foo_open"])


def two(
    first: SymbolTable = BOTH, second: SymbolTable = OLD, asks: bytes = b"foo_open", name: str = "libfoo.so.1", **second_facts: object
) -> Survey:
    return installed(
        part("a", name, table=taking("", asks)),
        shared("a", name, table=first),
        part("b", name, table=taking("", b"foo_open")),
        shared("b", name, table=second, **second_facts),
    )


@pytest.mark.parametrize(("asks", "severity"), [(b"foo_open", Severity.WARNING), (b"foo_new", Severity.ERROR)])
def test_it_is_an_error_only_where_a_user_misses_something(asks: bytes, severity: Severity) -> None:
    (finding,) = check(two(asks=asks))
    assert finding.severity == severity
    assert finding.primary.value == "libfoo.so.1"
    assert ("does not find foo_new in b/libfoo.so.1" in [where.label for where in finding.related]) == (severity == Severity.ERROR)


def test_a_symbol_that_another_library_of_the_load_has_is_not_missed() -> None:
    files = [
        part("a", "libfoo.so.1", "libbar.so.1", table=taking("", b"foo_new")),
        shared("a", "libfoo.so.1", table=BOTH),
        shared("a", "libbar.so.1", table=symbols(exports=[b"foo_new"])),
        part("b", "libfoo.so.1"),
        shared("b", "libfoo.so.1", table=OLD),
    ]
    (finding,) = check(installed(*files))
    assert finding.severity == Severity.WARNING


@pytest.mark.parametrize(
    ("has", "severity"),
    [(("FOO_1",), Severity.ERROR), (("FOO_1", "FOO_2"), Severity.WARNING), ((), Severity.WARNING)],
)
def test_a_version_that_the_other_one_lacks_is_refused_unless_it_has_none_at_all(has: tuple[str, ...], severity: Severity) -> None:
    wants = [VersionNeed("libfoo.so.1", "FOO_2")]
    table = symbols([Import(b"foo", "libfoo.so.1", b"FOO_2")])
    files = [
        part("a", "libfoo.so.1", table=table, versions=wants),
        shared("a", "libfoo.so.1", version_definitions=("FOO_1", "FOO_2")),
        part("b", "libfoo.so.1"),
        shared("b", "libfoo.so.1", version_definitions=has),
    ]
    (finding,) = check(installed(*files))
    assert finding.severity == severity


def test_equal_builds_are_one_library() -> None:
    assert list(check(two(second=BOTH, build_id="a-libfoo.so.1"))) == []


def test_equal_names_with_a_hash_of_the_content_are_one_library() -> None:
    assert list(check(two(name="libfoo-a34b3233.so.1"))) == []


def test_equal_bytes_are_one_library() -> None:
    survey = two(second=OLD)
    same = tuple(dataclasses.replace(one, sha256="ab") if "libfoo" in one.member else one for one in survey.binaries)
    assert list(check(dataclasses.replace(survey, binaries=same))) == []


def extension(owner: str) -> Binary:
    return part(owner, soname="_core.so", build_id=owner)


def test_sonames_of_extension_modules_do_not_matter() -> None:
    assert list(check(installed(extension("a"), extension("b")))) == []


def test_payload_and_other_architectures_do_not_count() -> None:
    assert list(check(installed(*(dataclasses.replace(one, role=Role.PAYLOAD, extension=None) for one in two().binaries)))) == []
    other = [part("b", "libfoo.so.1", arch="aarch64", machine=183), shared("b", "libfoo.so.1", table=OLD, arch="aarch64", machine=183)]
    assert list(check(installed(part("a", "libfoo.so.1"), shared("a", "libfoo.so.1", table=BOTH), *other))) == []


def test_a_library_that_python_opens_itself_counts() -> None:
    files = [part("a", "libfoo.so.1"), shared("a", "libfoo.so.1", table=BOTH), part("b"), shared("b", "libfoo.so.1", table=OLD)]
    (finding,) = check(installed(*files))
    assert "opened by Python code" in finding.related[0].label
