"""redundant-search-path: elements through which nothing is found."""

import pytest

from builders import survey, symbols
from linked import answer, lib, linked, load_of, module
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import How, Survey
from relocator.rules import RULES
from relocator.rules.redundant_search_path import check

FOO = lib("demo/lib/libfoo.so")


def labels(found: Survey) -> list[tuple[str, str]]:
    return [(finding.primary.value, finding.primary.label) for finding in check(found)]


def test_flags_an_element_through_which_no_need_is_met() -> None:
    (finding,) = check(linked(module("libfoo.so", rpath="$ORIGIN/lib:$ORIGIN/other"), FOO))
    assert (finding.severity, finding.primary.value, finding.primary.position) == (Severity.NOTE, "$ORIGIN/other", 1)


def test_flags_a_directory_of_the_system() -> None:
    assert labels(linked(module("libfoo.so", runpath="$ORIGIN/lib:/usr/lib64"), FOO)) == [("/usr/lib64", "no need is met there")]


@pytest.mark.parametrize("again", ["$ORIGIN/lib", "$ORIGIN/lib/"])
def test_flags_an_element_that_stands_there_already(again: str) -> None:
    assert labels(linked(module("libfoo.so", runpath=f"$ORIGIN/lib:{again}"), FOO)) == [(again, "stands there already")]


def test_flags_a_path_that_nobody_reads() -> None:
    found = linked(module("libfoo.so", rpath="/build/lib:$ORIGIN", runpath="$ORIGIN/lib"), FOO)
    assert labels(found) == [("/build/lib:$ORIGIN", "not read, since there is a DT_RUNPATH")]


def test_the_path_that_nobody_reads_is_no_other_rules_business() -> None:
    found = linked(module("libfoo.so", rpath="/build/lib", runpath="$ORIGIN/lib"), FOO)
    rules = {finding.rule for finding in run_rules(found, RULES).findings if finding.primary.field == "DT_RPATH"}
    assert rules == {"redundant-search-path"}


GOOD = {
    "one that is used": linked(module("libfoo.so", runpath="$ORIGIN/lib"), FOO),
    "one that only what is brought uses": linked(module("liba.so", rpath="$ORIGIN:$ORIGIN/lib"), lib("demo/liba.so", "libfoo.so"), FOO),
    "one where a library is missing": linked(module("libgone.so", runpath="$ORIGIN/lib")),
    "a file that opens libraries by name": linked(module(runpath="$ORIGIN/plugins", table=symbols([b"dlopen"]))),
    "a folder of newer processors' libraries": linked(
        module("libfoo.so", runpath="$ORIGIN/lib"), lib("demo/lib/glibc-hwcaps/x86-64-v3/libfoo.so")
    ),
    "no path": linked(module("libfoo.so")),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


def test_a_folder_where_a_dependencys_library_is_expected_is_used() -> None:
    one = module("libc10.so", runpath="$ORIGIN/../torch/lib")
    place = one.path.replace("demo/_core.so", "torch/lib/libc10.so")
    resolution = answer(one, How.EXPECTED)
    tried = resolution.tried[0]._replace(place=place)
    assert list(check(survey(one, loads=[load_of(resolution._replace(tried=(tried,)))]))) == []
