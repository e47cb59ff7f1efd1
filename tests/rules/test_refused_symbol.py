"""refused-symbol: a decision table, bad first."""

import dataclasses

import pytest

from builders import LINUX, binary, elf, survey, symbols
from relocator.findings import Where
from relocator.model import How, Needed, Resolution
from relocator.rules.refused_symbol import check
from relocator.symbols import Import


@pytest.mark.parametrize(
    ("needed", "imported", "found"),
    [
        ("libz.so.1", Import(b"inflate_table"), True),
        ("libz.so.1", Import(b"inflate_table", weak=True), False),
        ("libz.so.1", Import(b"inflate_table", used=False), False),
        ("libz.so.1", Import(b"inflate_table", "libother.so"), False),
        ("libz.so.1", Import(b"inflate_table_fixed"), False),
        ("libz.so.1", Import(b"inflate"), False),
        ("libm.so.6", Import(b"inflate_table"), False),
    ],
)
def test_a_strong_symbol_on_the_black_list_is_found(needed: str, imported: Import, found: bool) -> None:
    result = list(check(survey(binary("demo/_core.so", elf(needed, table=symbols([imported]))))))
    assert [finding.primary for finding in result] == (
        [Where("demo/_core.so", "x86_64", "import", None, "libz.so.1", "inflate_table")] if found else []
    )


def test_a_library_that_comes_along_may_have_any_symbols() -> None:
    core = binary("demo/_core.so", elf("libz.so.1", table=symbols([b"inflate_table"])))
    edge = Resolution(core.path, 0, Needed("libz.so.1"), "x86_64", How.BUNDLED, "/x", "DT_RPATH")
    assert list(check(survey(core)))
    assert not list(check(survey(core, resolutions=[edge])))


def test_a_symbol_that_the_package_defines_is_its_own() -> None:
    core = binary("demo/_core.so", elf("libz.so.1", table=symbols([b"inflate_table"])))
    assert not list(check(survey(core, binary("demo/own.so", elf(table=symbols([], [b"inflate_table"]))))))


def test_a_level_without_a_black_list_refuses_nothing() -> None:
    core = binary("demo/_core.so", elf("libz.so.1", table=symbols([b"inflate_table"])))
    newer = dataclasses.replace(LINUX, floors=(("x86_64", (2, 28)),))
    local = dataclasses.replace(LINUX, floors=(("x86_64", (2, 17)),), local=True)
    assert not list(check(survey(core, target=newer)))
    assert not list(check(survey(core, target=local)))
