"""missing-export: a decision table, bad first."""

import pytest

from builders import MACOS, WINDOWS, binary, macho, pe, symbols
from linked import linked
from relocator.backends.windows.promises import promises as windows
from relocator.findings import Finding
from relocator.rules.missing_export import check
from relocator.symbols import Export, Import
from symbol_examples import APPLE

FOO = "@loader_path/foo.dylib"


def on_windows(imported: Import, *exports: Export, library: str = "foo.dll") -> list[Finding]:
    core = binary("demo/_core.pyd", pe(library, table=symbols([imported])), extension="demo._core")
    dll = binary("demo/foo.dll", pe(table=symbols([], exports)))
    return list(check(linked(core, dll, target=WINDOWS, promises=windows(WINDOWS, "amd64"))))


def on_macos(imported: Import, *exports: Export) -> list[Finding]:
    core = binary("demo/_core.so", macho(FOO, table=symbols([imported])), extension="demo._core")
    library = binary("demo/foo.dylib", macho(kind="library", install_name=FOO, table=symbols([], exports)))
    return list(check(linked(core, library, target=MACOS, promises=APPLE)))


@pytest.mark.parametrize(
    ("imported", "export", "label"),
    [
        (Import(b"foo_open_v2", "foo.dll"), Export(b"foo_open", ordinal=1), "has foo_open instead"),
        (Import(b"foo_open", "foo.dll"), Export(b"bar", ordinal=1), "is the file that is found"),
        (Import(b"", "foo.dll", ordinal=9), Export(b"foo_open", ordinal=1), "is the file that is found"),
        (Import(b"foo_open", "foo.dll"), Export(b"foo_open", ordinal=1), ""),
        (Import(b"", "foo.dll", ordinal=1), Export(b"foo_open", ordinal=1), ""),
        (Import(b"foo_shut", "foo.dll", weak=True), Export(b"foo_open", ordinal=1), ""),
    ],
)
def test_an_import_that_the_dll_does_not_export_is_found(imported: Import, export: Export, label: str) -> None:
    assert [where.label for finding in on_windows(imported, export) for where in finding.related] == ([label] if label else [])


@pytest.mark.parametrize(
    ("imported", "label"),
    [
        (Import(b"_foo_open_v2", FOO), "has _foo_open instead"),
        (Import(b"_foo_open", FOO), ""),
        (Import(b"_foo_shut", FOO, weak=True), ""),
        (Import(b"_gone", "<flat>"), ""),
    ],
)
def test_a_symbol_that_the_dylib_does_not_export_is_found(imported: Import, label: str) -> None:
    assert [where.label for finding in on_macos(imported, Export(b"_foo_open")) for where in finding.related] == ([label] if label else [])


def test_the_platform_has_what_is_asked_of_it() -> None:
    assert not on_windows(Import(b"NoSuchFunction", "kernel32.dll"), library="kernel32.dll")


def test_the_symbol_and_the_library_are_named() -> None:
    (finding,) = on_windows(Import(b"", "foo.dll", ordinal=9))
    assert (finding.primary.value, finding.primary.symbol) == ("foo.dll", "#9")
