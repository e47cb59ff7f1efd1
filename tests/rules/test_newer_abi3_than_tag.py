"""newer-abi3-than-tag: stable, but only in a later Python."""

from dataclasses import replace

import pytest

from builders import LINUX, WINDOWS, binary, elf, pe, survey, symbols
from relocator.findings import Finding, Severity
from relocator.rules.newer_abi3_than_tag import check
from relocator.symbols import Export, Import


def found(symbol: bytes, pythons: str = "cp38", abis: str = "abi3", name: str = "demo/_core.abi3.so") -> list[Finding]:
    target = replace(LINUX, pythons=tuple(pythons.split(".")), abis=tuple(abis.split(".")))
    return list(check(survey(binary(name, elf(table=symbols([symbol]))), target=target)))


@pytest.mark.parametrize(
    ("pythons", "abis", "newer"),
    [
        ("cp310", "abi3", True),
        ("cp311", "abi3", False),
        ("cp312", "abi3", False),
        ("cp39.cp312", "abi3", True),
        ("cp32", "abi3", True),
        ("cp315", "abi3t", False),
        ("cp311", "abi3t", False),
        ("cp311", "abi3.abi3t", False),
        ("py3", "abi3", False),
        ("cp310", "cp310", True),
    ],
)
def test_the_oldest_python_that_the_tags_admit_decides(pythons: str, abis: str, newer: bool) -> None:
    findings = found(b"PyType_GetName", pythons, abis)
    assert bool(findings) == newer
    assert {finding.severity for finding in findings} <= {Severity.WARNING}


def test_says_since_when_and_what_to_do() -> None:
    (finding,) = found(b"PyIter_NextItem", "cp310")
    assert finding.primary.label == "since Python 3.14, the tag admits 3.10"
    assert "0x030A0000" in finding.help
    assert "cp314-abi3" in finding.help


@pytest.mark.parametrize("symbol", [b"PyList_New", b"_PyUnicode_Ready", b"PyDemo_New", b"malloc"])
def test_old_symbols_and_symbols_outside_the_stable_abi_are_not_its_business(symbol: bytes) -> None:
    assert found(symbol) == []


def test_a_files_own_version_is_no_stable_abi() -> None:
    assert found(b"PyType_GetName", name="demo/_core.cpython-311-x86_64-linux-gnu.so") == []


def test_a_symbol_that_the_package_brings_is_found_in_any_python() -> None:
    target = replace(LINUX, pythons=("cp38",), abis=("abi3",))
    core = binary("demo/_core.abi3.so", elf(table=symbols([b"PyType_GetName"])))
    compat = binary("demo/libcompat.so", elf(table=symbols(exports=[Export(b"PyType_GetName")])))
    assert list(check(survey(core, compat, target=target))) == []


def test_weak_imports_may_be_missing() -> None:
    target = replace(WINDOWS, pythons=("cp38",), abis=("abi3",))
    for weak, count in ((False, 1), (True, 0)):
        image = pe("python3.dll", table=symbols([Import(b"PyType_GetName", "python3.dll", weak=weak)]))
        assert len(list(check(survey(binary("demo/_core.pyd", image), target=target)))) == count
