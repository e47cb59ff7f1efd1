"""unprovided-symbol: a decision table, bad first."""

import dataclasses

import pytest

from builders import symbols
from linked import lib, linked, module
from relocator.findings import Certainty, Severity
from relocator.model import Hint, Role
from relocator.rules.unprovided_symbol import RULE, check
from relocator.symbols import Import


@pytest.mark.parametrize(
    ("imported", "needed", "found"),
    [
        (b"foo", "libc.so.6", True),
        (b"_ZN3foo3barEv", "libz.so.1", True),
        (b"foo", "libz.so.1", False),
        (b"foo", "libabsent.so", False),
        (b"sin", "libc.so.6", False),
        (b"PyList_New", "libc.so.6", False),
        (b"bar", "libown.so", False),
        (b"baz", "libown.so", True),
        (Import(b"foo", weak=True), "libc.so.6", False),
        (Import(b"foo", used=False), "libc.so.6", False),
        (Import(b"foo", "libc.so.6", b"GLIBC_2.99"), "libc.so.6", False),
    ],
)
def test_a_symbol_that_nothing_can_provide_is_found(imported: Import | bytes, needed: str, found: bool) -> None:
    core = module(needed, rpath="$ORIGIN", table=symbols([imported]))
    own = lib("demo/libown.so", table=symbols([], [b"bar"]))
    assert bool(list(check(linked(core, own)))) == found


def test_one_finding_tells_the_first_symbol_and_how_many_more() -> None:
    (finding,) = check(linked(module("libc.so.6", table=symbols([b"foo", b"bar", b"baz"]))))
    assert (finding.primary.symbol, finding.primary.label) == ("foo", "with 2 more: bar, baz")
    assert (finding.severity, finding.certainty) == (Severity.WARNING, Certainty.LIKELY)


def test_who_has_it_and_is_not_loaded_is_named() -> None:
    (finding,) = check(linked(module("libc.so.6", table=symbols([b"foo"])), lib("demo/libfoo.so", table=symbols([], [b"foo"]))))
    assert [where.member for where in finding.related] == ["demo/libfoo.so"]
    assert finding.help == "link it with libfoo.so, so that the loader brings that along"


@pytest.mark.parametrize(("requires", "certainty"), [("torch>=2", Certainty.POSSIBLE), ("click", Certainty.LIKELY)])
def test_a_dependency_that_ships_libraries_may_have_it(requires: str, certainty: Certainty) -> None:
    (finding,) = check(linked(module("libc.so.6", table=symbols([b"foo"])), requires=[requires]))
    assert finding.certainty == certainty


def test_what_python_code_opens_globally_may_have_it() -> None:
    hints = [Hint("demo/__init__.py", 3, "setdlopenflags", None)]
    (finding,) = check(linked(module("libc.so.6", table=symbols([b"foo"])), hints=hints))
    assert finding.certainty == Certainty.POSSIBLE


def test_a_plug_in_may_find_it_in_its_program() -> None:
    plugin = dataclasses.replace(lib("demo/plugin.so", "libc.so.6", table=symbols([b"foo"])), role=Role.PAYLOAD)
    (finding,) = check(linked(plugin))
    assert finding.certainty == Certainty.POSSIBLE


def test_it_does_not_speak_of_environments() -> None:
    assert "environment" not in RULE.containers
