"""undefined-symbol: a decision table, bad first."""

import pytest

from builders import symbols
from linked import lib, module
from relocator.findings import Certainty
from relocator.model import Binary, Role, Survey
from relocator.rules.undefined_symbol import check
from relocator.symbols import Export, Import
from symbol_examples import NEW_ERROR, OLD_ERROR, TORCH_LIB, environment, flash, owned

WEAK = Import(b"foo", weak=True)
UNUSED = Import(b"foo", used=False)


def using(*imports: Import | bytes, needed: str = "libc10.so") -> Binary:
    return owned(module(needed, member="flash/_core.so", runpath=TORCH_LIB, table=symbols(imports)), "flash-attn")


def torch(*exports: Export | bytes) -> Binary:
    return owned(lib("torch/lib/libc10.so", table=symbols([], exports)), "torch")


def told(survey: Survey) -> list[tuple[str, str]]:
    return [(finding.primary.symbol, finding.primary.label) for finding in check(survey)]


@pytest.mark.parametrize(
    ("imports", "exports", "found"),
    [
        ([b"foo"], [], [("foo", "")]),
        ([b"foo", b"bar", b"baz", b"qux"], [b"bar"], [("foo", "with 2 more: baz, qux")]),
        ([b"foo"], [b"foo"], []),
        ([b"foo"], [Export(b"foo", weak=True)], []),
        ([b"foo"], [Export(b"foo", b"V2", default=False)], [("foo", "")]),
        ([WEAK], [], []),
        ([UNUSED], [], []),
        ([b"malloc"], [], []),
        ([OLD_ERROR], [NEW_ERROR], []),
        ([OLD_ERROR, b"foo"], [NEW_ERROR], [("foo", "")]),
    ],
)
def test_a_symbol_that_nothing_in_the_load_defines_is_found(
    imports: list[Import | bytes], exports: list[Export | bytes], found: list[tuple[str, str]]
) -> None:
    assert told(environment(using(*imports), torch(*exports))) == found


def test_a_load_that_lacks_a_library_is_undecided() -> None:
    assert not told(environment(using(b"foo", needed="libgone.so"), torch()))


def test_the_provider_is_named_with_what_it_has_instead() -> None:
    (finding,) = check(flash(b"at_zeros_v2", b"at_zeros"))
    assert [(where.member, where.label) for where in finding.related] == [("torch/lib/libc10.so", "has at_zeros instead")]
    assert finding.help == "install releases of flash-attn and torch that were built for one another"


def test_a_definition_that_is_not_loaded_is_named() -> None:
    elsewhere = owned(lib("other/libfoo.so", table=symbols([], [b"foo"])), "other")
    (finding,) = check(environment(using(b"foo"), torch(), elsewhere))
    assert [(where.member, where.label) for where in finding.related] == [
        ("other/libfoo.so", "defines it, and is not loaded with the file")
    ]
    assert finding.help.startswith("link it with libfoo.so")
    assert finding.certainty == Certainty.LIKELY


def test_a_symbol_of_another_python_is_named_so() -> None:
    python = owned(module(member="bin/python", kind="program", table=symbols([], [b"Py_IsInitialized"])), "python")
    (finding,) = check(environment(using(b"PyLong_Gone"), torch(), python, global_scope=("bin/python",)))
    assert "this Python" in finding.help
    assert not told(environment(using(b"PyLong_Gone"), torch()))


def test_a_plug_in_is_judged_mildly() -> None:
    plugin = owned(lib("flash/plugin.so", "libc.so.6", table=symbols([b"foo"])), "flash-attn")
    (finding,) = check(environment(Binary(plugin.member, plugin.path, plugin.images, owner=plugin.owner, role=Role.PAYLOAD)))
    assert finding.certainty == Certainty.POSSIBLE


@pytest.mark.parametrize(("tag", "found"), [("cpython-311-x86_64-linux-gnu.", False), ("cpython-312-x86_64-linux-gnu.", True), ("", True)])
def test_a_module_of_another_python_is_never_loaded(tag: str, found: bool) -> None:
    core = owned(module("libc.so.6", member=f"flash/_core.{tag}so", table=symbols([b"foo"])), "flash-attn")
    assert bool(told(environment(core))) == found
