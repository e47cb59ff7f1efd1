"""free-threading-mismatch: only a contradiction proves anything."""

from dataclasses import replace

import pytest

from builders import LINUX, WINDOWS, binary, elf, pe, survey, symbols
from relocator.findings import Severity
from relocator.rules.free_threading_mismatch import check
from relocator.symbols import Import

GIL, FREE = b"_Py_Dealloc", b"_Py_DecRefShared"
MODULE = "demo/_core.so"
OTHER = b"_Py_MergeZeroLocalRefcount"


@pytest.mark.parametrize(
    ("abi", "name", "imports", "wrong"),
    [
        ("cp313t", MODULE, [GIL], GIL),
        ("cp313t", MODULE, [GIL, FREE], None),
        ("cp313t", MODULE, [FREE, OTHER], None),
        ("cp313t", MODULE, [b"PyList_New"], None),
        ("cp313", MODULE, [FREE, GIL], FREE),
        ("cp313", MODULE, [OTHER], OTHER),
        ("cp313", MODULE, [GIL], None),
        ("cp313", MODULE, [b"PyList_New"], None),
        ("cp37m", MODULE, [FREE], FREE),
        ("none", MODULE, [FREE], None),
        ("cp313.cp313t", MODULE, [FREE], None),
        ("cp313", "demo/_core.cpython-313t-x86_64-linux-gnu.so", [GIL], GIL),
        ("cp313t", "demo/_core.cpython-313-x86_64-linux-gnu.so", [GIL], None),
        ("cp313t", "demo/_core.cpython-313-x86_64-linux-gnu.so", [FREE], FREE),
        ("none", "demo/_core.cp314t-win_amd64.pyd", [GIL], GIL),
        ("abi3", "demo/_core.abi3.so", [FREE], None),
        ("abi3t", "demo/_core.abi3t.so", [GIL], None),
    ],
)
def test_by_tag_and_imports(abi: str, name: str, imports: list[bytes], wrong: bytes | None) -> None:
    target = replace(LINUX, pythons=("cp313",), abis=tuple(abi.split(".")))
    findings = list(check(survey(binary(name, elf(table=symbols(imports))), target=target)))
    assert [finding.primary.value.encode() for finding in findings] == ([wrong] if wrong else [])
    assert {finding.severity for finding in findings} <= {Severity.ERROR}


def test_on_windows_too() -> None:
    target = replace(WINDOWS, pythons=("cp313",), abis=("cp313t",))
    image = pe("python313.dll", table=symbols([Import(GIL, "python313.dll")]))
    assert len(list(check(survey(binary("demo/_core.pyd", image), target=target)))) == 1


def test_a_symbol_that_nothing_uses_proves_nothing() -> None:
    target = replace(LINUX, pythons=("cp313",), abis=("cp313t",))
    image = elf(table=symbols([Import(GIL, used=False)]))
    assert list(check(survey(binary(MODULE, image), target=target))) == []
