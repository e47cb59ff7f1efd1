"""left-to-dependency: a note about what another distribution is expected to bring."""

import pytest

from builders import survey
from linked import answer, load_of, module
from relocator.findings import Severity
from relocator.model import How
from relocator.rules.left_to_dependency import check

WHY = "known to be shipped by torch, which Requires-Dist names"


@pytest.mark.parametrize("how", list(How))
def test_flags_what_is_expected_and_nothing_else(how: How) -> None:
    one = module("libc10.so")
    found = list(check(survey(one, loads=[load_of(answer(one, how, via=WHY))])))
    assert len(found) == (how == How.EXPECTED)
    for finding in found:
        assert finding.severity == Severity.NOTE
        assert (finding.primary.field, finding.primary.value, finding.primary.label) == ("DT_NEEDED", "libc10.so", WHY)


def test_what_is_missing_in_another_module_is_not_a_note() -> None:
    one, two = module("libc10.so"), module(member="demo/_two.so")
    loads = [load_of(answer(one, How.EXPECTED)), load_of(answer(one, How.MISSING), root="demo/_two.so", order=["demo/_core.so"])]
    assert list(check(survey(one, two, loads=loads))) == []
