"""unsafe-member: names, links and archives that mean different things to different tools."""

import pytest

from builders import LINUX, MACOS, WINDOWS, member, survey
from relocator.findings import Severity
from relocator.model import Problem
from relocator.rules.unsafe_member import FAULTS, check
from relocator.target import Target


@pytest.mark.parametrize("kind", FAULTS)
def test_each_problem_of_the_archive_is_told(kind: str) -> None:
    (finding,) = check(survey(problems=(Problem(kind, "../x", "what the container says"),)))
    assert (finding.primary.member, finding.primary.label, finding.severity) == ("../x", "what the container says", FAULTS[kind].severity)


@pytest.mark.parametrize(
    ("target", "severity"),
    [(LINUX, Severity.WARNING), (MACOS, Severity.ERROR), (WINDOWS, Severity.ERROR), (Target("any", "any"), Severity.ERROR)],
)
def test_names_that_differ_in_case_alone(target: Target, severity: Severity) -> None:
    names = "terminfo/X/a", "terminfo/x/a", "terminfo/y/a"
    (finding,) = check(survey(target=target, members=tuple(map(member, names))))
    assert (finding.severity, finding.primary.member, [where.member for where in finding.related]) == (severity, names[0], [names[1]])


def test_plain_names_are_fine() -> None:
    assert list(check(survey(members=(member("a/b.py"), member("a/c.py"))))) == []


def test_the_same_name_twice_is_no_case_clash() -> None:
    (finding,) = check(survey(members=(member("a.py"), member("a.py")), problems=(Problem("duplicate", "a.py", "twice"),)))
    assert finding.message == FAULTS["duplicate"].message
