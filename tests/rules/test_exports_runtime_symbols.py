"""exports-runtime-symbols: a decision table, bad first."""

import pytest

from builders import binary, macho, pe, survey, symbols
from linked import lib, module
from relocator.rules.exports_runtime_symbols import check
from relocator.symbols import Export


@pytest.mark.parametrize(
    ("export", "message"),
    [
        (Export(b"_ZSt4cout"), "exports symbols of the C++ runtime"),
        (Export(b"__cxa_throw"), "exports symbols of the C++ runtime"),
        (Export(b"malloc"), "exports symbols of an allocator"),
        (Export(b"_Znwm"), "exports symbols of an allocator"),
        (Export(b"malloc", weak=True), ""),
        (Export(b"_ZdlPvm"), ""),
        (Export(b"my_malloc"), ""),
        (Export(b"PyInit__core"), ""),
    ],
)
def test_a_strong_definition_of_the_runtimes_is_found(export: Export, message: str) -> None:
    found = list(check(survey(module(table=symbols([], [export])))))
    assert [finding.message for finding in found] == ([message] if message else [])


@pytest.mark.parametrize("name", ["libstdc++-1a2b3c4d.so.6", "libjemalloc.so.2", "libc++.so.1"])
def test_the_runtime_itself_may_export_its_symbols(name: str) -> None:
    table = symbols([], [b"_ZSt4cout", b"malloc"])
    assert not list(check(survey(lib(f"demo.libs/{name}", table=table))))
    assert len(list(check(survey(lib("demo.libs/libfoo.so", table=table))))) == 2


def test_mach_o_names_have_an_underscore_more() -> None:
    bad, good = (binary("demo/_core.so", macho(table=symbols([], [name]))) for name in (b"__Znwm", b"_Znwm"))
    assert [finding.primary.symbol for finding in check(survey(bad))] == ["__Znwm"]
    assert not list(check(survey(good)))


def test_programs_and_dlls_share_nothing() -> None:
    table = symbols([], [b"malloc"])
    assert not list(check(survey(module(kind="program", table=table))))
    assert not list(check(survey(binary("demo/foo.dll", pe(table=table)))))
