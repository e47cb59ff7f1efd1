"""unique-symbol-clash: a decision table, bad first."""

import dataclasses

import pytest

from builders import symbols
from linked import module
from relocator.findings import Severity
from relocator.model import Binary, Role
from relocator.rules.unique_symbol_clash import check
from relocator.symbols import Export
from symbol_examples import environment, owned

ONE = Export(b"instance", unique=True, data=True, size=8)


def made(owner: str, *exports: Export) -> Binary:
    return owned(module(member=f"{owner}/_core.so", table=symbols([], exports)), owner)


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        (ONE, Severity.NOTE),
        (ONE._replace(size=16), Severity.WARNING),
        (ONE._replace(data=False), Severity.WARNING),
        (ONE._replace(unique=False), None),
        (ONE._replace(name=b"other"), None),
    ],
)
def test_the_same_unique_symbol_in_two_distributions_is_found(other: Export, severity: Severity | None) -> None:
    found = list(check(environment(made("alpha", ONE), made("beta", other))))
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_a_pair_is_told_once_with_the_worst_first() -> None:
    more = Export(b"shared", unique=True, data=True, size=4)
    (finding,) = check(environment(made("alpha", ONE, more), made("beta", ONE, more._replace(size=5))))
    assert (finding.primary.symbol, finding.primary.label) == ("shared", "with 1 more: instance")


def test_three_distributions_are_three_pairs() -> None:
    assert len(list(check(environment(*(made(owner, ONE) for owner in ("a", "b", "c")))))) == 3


def test_one_distribution_same_contents_and_payload_do_not_clash() -> None:
    alpha, beta = made("alpha", ONE), made("beta", ONE)
    assert list(check(environment(alpha, beta)))
    assert not list(check(environment(alpha, owned(beta, "alpha"))))
    assert not list(check(environment(*(dataclasses.replace(one, sha256="5" * 64) for one in (alpha, beta)))))
    assert not list(check(environment(alpha, dataclasses.replace(beta, role=Role.PAYLOAD))))


def test_the_standard_library_is_everybodys() -> None:
    tag = ONE._replace(name=b"_ZZNSt19_Sp_make_shared_tag5_S_tiEvE5__tag")
    assert not list(check(environment(made("alpha", tag), made("beta", tag))))
