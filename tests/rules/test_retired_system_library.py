"""retired-system-library: sonames that distributions have dropped."""

import dataclasses

import pytest

from builders import MANYLINUX, survey
from linked import answer, lib, linked, load_of, module, outside
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.knowledge.retired_sonames import retired
from relocator.model import How, Needed, NeedKind
from relocator.rules import RULES
from relocator.rules.retired_system_library import check
from relocator.target import Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
OLD = dataclasses.replace(MANYLINUX, levels=(MANYLINUX.levels[0]._replace(libraries=frozenset({"libnsl.so.1", "libc.so.6"})),))


@pytest.mark.parametrize("name", ["libcrypt.so.1", "libtinfo.so.5", "libffi.so.7", "libssl.so.1.1", "libcrypto.so.10", "libpng12.so.0"])
def test_flags(name: str) -> None:
    (finding,) = check(linked(module(name)))
    assert (finding.severity, finding.primary.value, finding.repaired_by) == (Severity.ERROR, name, "repair")
    assert finding.primary.label == retired()[name].gone
    assert retired()[name].successor in finding.help


def test_flags_what_an_old_policy_still_promises() -> None:
    (finding,) = check(linked(module("libnsl.so.1", "libc.so.6"), promises=OLD))
    assert finding.primary.value == "libnsl.so.1"


GOOD = {
    "the successor": linked(module("libffi.so.8", "libssl.so.3", "libncurses.so.6")),
    "one that comes along": linked(module("libssl.so.1.1", rpath="$ORIGIN"), lib("demo/libssl.so.1.1")),
    "another C library": linked(module("libffi.so.7"), target=MUSL, promises=None),
    "one that may stay away": linked(module(Needed("libffi.so.7", NeedKind.WEAK))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize("how", list(How))
def test_only_what_the_system_would_have_to_bring_is_flagged(how: How) -> None:
    one = module("libcrypt.so.1")
    found = list(check(survey(one, loads=[load_of(answer(one, how))])))
    assert bool(found) == (how in (How.MISSING, How.OUTSIDE, How.PROMISED))


@pytest.mark.parametrize("search", [[], ["/opt/old"]])
def test_it_takes_the_place_of_the_general_rules(search: list[str]) -> None:
    found = linked(module("libssl.so.1.1"), outside("/opt/old/libssl.so.1.1"), search=search)
    rules = {finding.rule for finding in run_rules(found, RULES).findings if finding.primary.value == "libssl.so.1.1"}
    assert rules == {"retired-system-library"}
