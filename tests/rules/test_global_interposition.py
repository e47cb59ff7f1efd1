"""global-interposition: a decision table, bad first."""

import pytest

from builders import symbols
from linked import lib, module
from relocator.findings import Finding, Severity
from relocator.rules.global_interposition import check
from relocator.symbols import Export
from symbol_examples import environment, owned


def findings(
    winner: Export | bytes, loser: Export | bytes, *, owner: str = "greedy", is_global: bool = True, referred: bool = True
) -> list[Finding]:
    greedy = owned(module(member="greedy/_all.so", table=symbols([], [winner])), owner)
    quiet = owned(module("libq.so", member="quiet/_core.so", rpath="$ORIGIN", table=symbols([b"f"])), "quiet")
    own = owned(lib("quiet/libq.so", table=symbols([], [loser], [b"f"] if referred else [])), "quiet")
    return list(check(environment(greedy, quiet, own, global_scope=("greedy/_all.so",) if is_global else ())))


@pytest.mark.parametrize(
    ("winner", "loser", "is_global", "found"),
    [
        (b"f", b"f", True, True),
        (b"f", Export(b"f", b"V1"), True, True),
        (Export(b"f", b"V2"), Export(b"f", b"V1"), True, True),
        (b"g", b"f", True, False),
        (b"f", b"f", False, False),
        (Export(b"f", weak=True), Export(b"f", weak=True), True, False),
        (Export(b"f", unique=True), Export(b"f", unique=True), True, False),
    ],
)
def test_a_symbol_taken_through_the_global_scope_is_found(
    winner: Export | bytes, loser: Export | bytes, is_global: bool, found: bool
) -> None:
    result = findings(winner, loser, is_global=is_global)
    assert [finding.primary.member for finding in result] == (["quiet/libq.so"] if found else [])


def test_versions_keep_apart_what_a_file_has_for_itself() -> None:
    owner = owned(module(member="greedy/_all.so", table=symbols([], [Export(b"f", b"V2")])), "greedy")
    own = owned(module(member="quiet/_core.so", table=symbols([], [Export(b"f", b"V1")], [b"f"])), "quiet")
    assert not list(check(environment(owner, own, global_scope=("greedy/_all.so",))))


def test_files_of_one_distribution_are_its_own_business() -> None:
    assert not findings(b"f", b"f", owner="quiet")
    tables = [symbols([], [b"f"], [b"f"]) for _ in range(2)]
    first, second = (owned(lib(f"one/lib{n}.so", table=table), "one") for n, table in zip(("a", "b"), tables, strict=True))
    user = owned(module("liba.so", "libb.so", member="user/_core.so", rpath="$ORIGIN/../one"), "user")
    assert not list(check(environment(first, second, user)))


def test_the_interpreters_symbols_are_a_note() -> None:
    (finding,) = findings(b"f", b"f", owner="")
    assert finding.severity == Severity.NOTE
    assert findings(b"f", b"f")[0].severity == Severity.WARNING


def test_a_shared_tree_can_do_it_too() -> None:
    tables = [symbols([], [b"f"], [b"f"]) for _ in range(2)]
    first, second = (owned(lib(f"{n}/lib{n}.so", table=table), n) for n, table in zip(("one", "two"), tables, strict=True))
    paths = "$ORIGIN/../one:$ORIGIN/../two"
    user = owned(module("libone.so", "libtwo.so", member="user/_core.so", rpath=paths), "user")
    (finding,) = check(environment(first, second, user))
    assert (finding.primary.member, finding.related[0].member) == ("two/libtwo.so", "one/libone.so")
    assert finding.message == "loses symbols to a file that is loaded before it"
    assert not list(check(environment(first, second)))
