"""unbundled-library: found only where the user said to look."""

import pytest

from builders import binary, macho, survey
from linked import answer, lib, linked, load_of, module, outside
from relocator.findings import Severity
from relocator.model import How, Needed, NeedKind, Survey
from relocator.rules.unbundled_library import RULE, check

FOO = outside("/opt/foo/libfoo.so.3", "libbar.so.1", "libc.so.6")
BAR = outside("/opt/foo/libbar.so.1")


def test_names_the_library_and_where_it_was_found() -> None:
    (finding,) = check(linked(module("libfoo.so.3"), FOO, BAR, search=["/opt/foo"]))
    assert (finding.severity, finding.repaired_by) == (Severity.ERROR, "repair")
    assert finding.message == "needs a library that lies outside the package and that manylinux_2_17_x86_64 does not promise"
    assert finding.primary.value == "libfoo.so.3"
    assert finding.primary.label == "found at /opt/foo/libfoo.so.3"


def test_each_file_that_needs_it_is_told() -> None:
    found = list(check(linked(module("libfoo.so.3"), module("libfoo.so.3", member="demo/_two.so"), FOO, BAR, search=["/opt/foo"])))
    assert [finding.primary.member for finding in found] == ["demo/_core.so", "demo/_two.so"]


GOOD: dict[str, Survey] = {
    "in the package as well": linked(module("libfoo.so.3", rpath="$ORIGIN"), lib("demo/libfoo.so.3"), FOO, search=["/opt/foo"]),
    "promised by the target": linked(module("libz.so.1"), outside("/opt/foo/libz.so.1"), search=["/opt/foo"]),
    "nowhere, which is missing-library": linked(module("libfoo.so.3"), search=["/opt/foo"]),
    "not in the folder that was named": linked(module("libfoo.so.3"), FOO, search=["/opt/bar"]),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize(("kind", "expected"), [(NeedKind.REQUIRED, 1), (NeedKind.DELAYED, 1), (NeedKind.WEAK, 0)])
def test_a_weak_need_is_no_fault_and_a_delayed_one_is(kind: NeedKind, expected: int) -> None:
    one = binary("demo/_core.so", macho(Needed("@rpath/libx.dylib", kind)))
    found = survey(one, loads=[load_of(answer(one, How.OUTSIDE, target="/opt/libx.dylib"))])
    assert len(list(check(found))) == expected


def test_it_needs_a_target_to_promise_anything() -> None:
    assert RULE.needs_promise
