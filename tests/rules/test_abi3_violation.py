"""abi3-violation: symbols of Python outside the stable ABI."""

from dataclasses import replace

import pytest

from builders import LINUX, MACOS, WINDOWS, binary, elf, macho, pe, survey, symbols
from relocator.findings import Certainty, Finding, Severity
from relocator.model import Survey
from relocator.rules.abi3_violation import RULE, check
from relocator.symbols import Export, Import
from relocator.target import Target


def tagged(abis: str, target: Target = LINUX) -> Target:
    return replace(target, pythons=("cp38",), abis=tuple(abis.split(".")))


def on_linux(*imports: Import | bytes, name: str = "demo/_core.so", abis: str = "abi3") -> Survey:
    return survey(binary(name, elf(table=symbols(imports)), extension="demo._core"), target=tagged(abis))


def names(of: Survey) -> list[str]:
    return [finding.primary.value for finding in check(of)]


@pytest.mark.parametrize(
    ("name", "abis", "judged"),
    [
        ("demo/_core.so", "abi3", True),
        ("demo/_core.abi3.so", "abi3", True),
        ("demo/_core.abi3.so", "cp312", True),
        ("demo/_core.abi3-x86_64-linux-gnu.so", "none", True),
        ("demo/_core.abi3t.so", "cp315t", True),
        ("demo/_core.so", "abi3.abi3t", True),
        ("demo/libdemo.abi3.so.6.9", "none", True),
        ("demo/_core.so", "cp312", False),
        ("demo/_core.so", "none", False),
        ("demo/_core.so", "abi3.cp312", False),
        ("demo/_core.cpython-312-x86_64-linux-gnu.so", "abi3", False),
    ],
)
def test_a_files_own_tag_decides_before_the_wheels(name: str, abis: str, judged: bool) -> None:
    assert names(on_linux(b"_PyUnicode_Ready", name=name, abis=abis)) == (["_PyUnicode_Ready"] if judged else [])


@pytest.mark.parametrize(
    ("symbol", "outside"),
    [
        (Import(b"PyList_New"), False),
        (Import(b"_Py_Dealloc"), False),
        (Import(b"PyExc_ValueError"), False),
        (Import(b"_Py_NoneStruct"), False),
        (Import(b"PyIter_NextItem"), False),
        (Import(b"PyFrame_GetVar"), True),
        (Import(b"_PyObject_GetDictPtr"), True),
        (Import(b"_Py_NegativeRefcount"), True),
        (Import(b"PyErr_SetFromWindowsErr"), True),
        (Import(b"PyFrame_GetVar", weak=True), False),
        (Import(b"PyFrame_GetVar", used=False), False),
        (Import(b"PyInit_other"), False),
        (Import(b"PyroClient"), False),
        (Import(b"_ZN2PyC1Ev"), False),
        (Import(b"Py"), False),
    ],
)
def test_by_symbol(symbol: Import, outside: bool) -> None:
    assert names(on_linux(symbol)) == ([symbol.name.decode()] if outside else [])


def test_a_public_name_may_be_newer_than_the_table() -> None:
    certainties = {finding.primary.value: finding.certainty for finding in check(on_linux(b"PyFrame_GetVar", b"_PyDict_Next"))}
    assert certainties == {"PyFrame_GetVar": Certainty.LIKELY, "_PyDict_Next": Certainty.CERTAIN}


def test_what_the_package_defines_is_its_own() -> None:
    core = binary("demo/_core.abi3.so", elf("libdemo.so", table=symbols([b"PyDemo_Private"])))
    own = binary("demo/libdemo.so", elf(table=symbols(exports=[Export(b"PyDemo_Private")])))
    assert names(survey(core, target=tagged("abi3"))) == ["PyDemo_Private"]
    assert names(survey(core, own, target=tagged("abi3"))) == []


def windows(library: str, symbol: bytes) -> list[Finding]:
    image = pe(library, table=symbols([Import(symbol, library)]))
    return list(check(survey(binary("demo/_core.pyd", image), target=tagged("abi3", WINDOWS))))


def test_on_windows_only_imports_from_pythons_libraries_count() -> None:
    assert [finding.severity for finding in windows("python3.dll", b"_PyUnicode_Ready")] == [Severity.ERROR]
    assert len(windows("PYTHON312.dll", b"PyFrame_GetVar")) == 1
    assert windows("pyside.dll", b"PyFrame_GetVar") == []
    assert windows("python3.dll", b"PyErr_SetFromWindowsErr") == []
    assert len(windows("python3.dll", b"PyOS_AfterFork")) == 1


@pytest.mark.parametrize(
    ("library", "judged"),
    [("<flat>", True), ("/Library/Frameworks/Python.framework/Versions/3.12/Python", True), ("@rpath/libpyside.dylib", False)],
)
def test_on_macos_names_have_an_underscore_more_and_may_come_from_anywhere(library: str, judged: bool) -> None:
    image = macho(table=symbols([Import(b"__PyUnicode_Ready", library), Import(b"_PyList_New", library), Import(b"_malloc", library)]))
    found = names(survey(binary("demo/_core.abi3.so", image), target=tagged("abi3", MACOS)))
    assert found == (["_PyUnicode_Ready"] if judged else [])


def test_without_a_tag_the_file_name_alone_tells() -> None:
    for name, count in (("demo/_core.abi3.so", 1), ("demo/_core.so", 0)):
        image = elf(table=symbols([b"_PyUnicode_Ready"]))
        assert len(list(RULE.check(survey(binary(name, image), target=Target("", ""), promises=[])))) == count
