"""unrecorded-file: the archive and RECORD name the same files."""

import pytest

from builders import member, survey
from relocator.findings import Finding, Severity
from relocator.model import RecordRow
from relocator.rules.unrecorded_file import check

INFO = "demo-1.0.dist-info"
OWN = f"{INFO}/RECORD"


def rows(*paths: str) -> tuple[RecordRow, ...]:
    return tuple(RecordRow(path, "", "", line) for line, path in enumerate(paths, 1))


def found(members: tuple[str, ...], recorded: tuple[str, ...] | None) -> list[Finding]:
    record = None if recorded is None else rows(*recorded)
    return list(check(survey(members=tuple(map(member, members)), record=record)))


def test_a_file_without_a_row() -> None:
    (finding,) = found(("a.py", "demo.libs/b.so", OWN), ("a.py", OWN))
    assert (finding.severity, finding.primary.member, finding.repaired_by) == (Severity.ERROR, "demo.libs/b.so", "repair")


def test_a_row_without_a_file() -> None:
    (finding,) = found(("a.py", OWN), ("a.py", "gone.py", OWN))
    assert (finding.primary.member, finding.primary.value, finding.primary.position) == (OWN, "gone.py", 1)


@pytest.mark.parametrize(
    ("members", "recorded"),
    [
        (("a.py", OWN), ("a.py", OWN)),
        (("a.py", OWN), ("a.py",)),  # RECORD need not list itself for this rule
        (("a.py", OWN, f"{INFO}/RECORD.jws", f"{INFO}/RECORD.p7s"), ("a.py", OWN)),
        (("pkg/a.py", OWN), ("pkg\\a.py", OWN)),  # malformed-record says what is wrong with it
        (("pkg/a.py", OWN), ("pkg/", "pkg/a.py", OWN)),
        (("a.py", OWN), None),
    ],
)
def test_is_silent(members: tuple[str, ...], recorded: tuple[str, ...] | None) -> None:
    assert found(members, recorded) == []


def test_another_folders_record_is_a_file_like_any_other() -> None:
    assert len(found(("other-1.0.dist-info/RECORD", OWN), (OWN,))) == 1
