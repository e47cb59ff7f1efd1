"""duplicate-runtime: copies that disturb one another, and copies that do not."""

import dataclasses

import pytest

from builders import symbols
from conflict_examples import bundle, dylib, on_macos, pairs, part, shared
from linked import installed
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Survey
from relocator.rules import RULES
from relocator.rules.duplicate_runtime import check
from relocator.symbols import Export, SymbolTable


def crypto(version: bytes = b"") -> SymbolTable:
    return symbols(exports=[Export(b"OpenSSL_version", version)])


def one_scope(first: SymbolTable, second: SymbolTable, build_id: str = "b") -> Survey:
    """One module brings both copies."""
    return installed(
        part("demo", "libcrypto-1.so", "libclient.so"),
        shared("demo", "libcrypto-1.so", table=first, build_id="a"),
        shared("demo", "libclient.so", "libcrypto-2.so", rpath="$ORIGIN"),
        shared("demo", "libcrypto-2.so", table=second, build_id=build_id),
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(b"", b"", 1), (b"OPENSSL_3.0.0", b"OPENSSL_3.0.0", 1), (b"OPENSSL_1_1_0", b"OPENSSL_3.0.0", 0)],
)
def test_in_one_scope_names_with_equal_versions_collide(first: bytes, second: bytes, expected: int) -> None:
    findings = list(check(one_scope(crypto(first), crypto(second))))
    assert [finding.severity for finding in findings] == [Severity.WARNING] * expected
    if expected:
        assert findings[0].primary.member == "demo/libcrypto-2.so"
        assert [where.member for where in findings[0].related] == ["demo/libcrypto-1.so", "demo/_core.so"]


def test_equal_builds_are_no_danger() -> None:
    assert list(check(one_scope(crypto(), crypto(), "a"))) == []


def test_each_in_the_scope_of_its_own_module_is_the_usual_case() -> None:
    assert list(check(installed(*pairs(("a", "b"), "libcrypto", crypto())))) == []


def test_the_global_scope_is_before_every_module() -> None:
    survey = installed(*pairs(("a", "b"), "libcrypto", crypto()))
    everywhere = next(binary.path for binary in survey.binaries if binary.member == "a/libcrypto-a.so")
    (finding,) = check(dataclasses.replace(survey, global_scope=(everywhere,)))
    assert finding.primary.member == "b/libcrypto-b.so"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"H5open", [Severity.NOTE]),
        (b"sqlite3_libversion", [Severity.NOTE]),
        (b"qVersion", [Severity.WARNING]),
        (b"GEOSversion", []),
        (b"_ZN6google8protobuf14DescriptorPool14generated_poolEv", []),
        (b"cudaRuntimeGetVersion", []),
    ],
)
def test_what_they_do_to_each_other_at_a_distance(name: bytes, expected: list[Severity]) -> None:
    findings = list(check(installed(*pairs(("a", "b"), "lib", symbols(exports=[name])))))
    assert [finding.severity for finding in findings] == expected


def test_hdf5_twice_is_no_conflict_of_exports() -> None:
    survey = installed(*pairs(("h5py", "tables"), "libhdf5", symbols(exports=[b"H5open", b"H5close"])))
    report = run_rules(survey, RULES)
    assert {finding.rule for finding in report.findings if finding.severity > Severity.NOTE} == set()


def test_copies_of_one_distribution_are_its_own_affair() -> None:
    files = [part("a", "lib1.so", "lib2.so"), *(shared("a", name, table=symbols(exports=[b"qVersion"])) for name in ("lib1.so", "lib2.so"))]
    (finding,) = check(installed(*files))
    assert "symbols come before" in finding.message


def test_on_macos_no_symbol_reaches_the_other_copy() -> None:
    table = symbols(exports=[b"_OpenSSL_version"])
    files = [
        bundle("a", *(f"@loader_path/.dylibs/lib{i}.dylib" for i in "12")),
        *(dylib("a", f"lib{i}.dylib", f"/x/lib{i}.dylib", table) for i in "12"),
    ]
    assert list(check(on_macos(*files))) == []


@pytest.mark.parametrize(("owners", "expected"), [("ab", 1), ("aa", 0)])
def test_variables_are_shared_between_packages_and_not_within_one(owners: str, expected: int) -> None:
    table = symbols(exports=[b"_qVersion"])
    names = [f"lib{number}.dylib" for number in range(2)]
    files = [dylib(owner, name, f"/x/{name}", table) for owner, name in zip(owners, names, strict=True)]
    needs = {owner: [f"@loader_path/.dylibs/{n}" for o, n in zip(owners, names, strict=True) if o == owner] for owner in owners}
    findings = list(check(on_macos(*files, *(bundle(owner, *some) for owner, some in needs.items()))))
    assert [finding.severity for finding in findings] == [Severity.WARNING] * expected
