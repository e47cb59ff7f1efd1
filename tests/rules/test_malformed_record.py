"""malformed-record: RECORD as the specification has it."""

import pytest

from builders import record_hash, survey
from relocator.findings import Finding, Severity
from relocator.model import Problem, RecordRow
from relocator.rules.malformed_record import check

OWN = "demo-1.0.dist-info/RECORD"
HASH = record_hash(b"x")
GOOD = RecordRow("demo/x.py", HASH, "1", 1)
SELF = RecordRow(OWN, "", "", 2)


def found(*rows: RecordRow) -> list[Finding]:
    return list(check(survey(record=rows)))


@pytest.mark.parametrize(
    ("row", "field", "severity"),
    [
        (GOOD._replace(path="/demo/x.py"), "path", Severity.ERROR),
        (GOOD._replace(path="../x.py"), "path", Severity.ERROR),
        (GOOD._replace(path="demo\\..\\x.py"), "path", Severity.ERROR),
        (GOOD._replace(path="C:\\x.py"), "path", Severity.ERROR),
        (GOOD._replace(path=""), "path", Severity.ERROR),
        (GOOD._replace(path="demo\\x.py"), "path", Severity.WARNING),
        (GOOD._replace(path="demo/", hash="", size=""), "path", Severity.WARNING),
        (GOOD._replace(hash=""), "hash", Severity.ERROR),
        (GOOD._replace(hash="md5=1B2M2Y8AsgTpgAmY7PhCfg"), "hash", Severity.ERROR),
        (GOOD._replace(hash="sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk"), "hash", Severity.ERROR),
        (GOOD._replace(hash="crc=1"), "hash", Severity.ERROR),
        (GOOD._replace(hash="abcdef"), "hash", Severity.ERROR),
        (GOOD._replace(hash="sha256="), "hash", Severity.ERROR),
        (GOOD._replace(hash="sha256=a+b/c"), "hash", Severity.ERROR),
        (GOOD._replace(hash=HASH + "="), "hash", Severity.WARNING),
        (GOOD._replace(size="1 kB"), "size", Severity.ERROR),
        (GOOD._replace(size="-1"), "size", Severity.ERROR),
        (GOOD._replace(size="\u0661"), "size", Severity.ERROR),
    ],
)
def test_a_row_that_is_wrong(row: RecordRow, field: str, severity: Severity) -> None:
    (finding,) = found(row, SELF)
    assert (finding.primary.field, finding.severity) == (field, severity)
    assert (finding.primary.member, finding.primary.position) == (OWN, 0)


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        GOOD._replace(hash="sha512=" + "A" * 86),
        GOOD._replace(size=""),
        GOOD._replace(path="demo/a..b.py"),
        RecordRow("demo-1.0.dist-info/RECORD.jws", "", "", 1),
    ],
)
def test_a_row_that_is_right(row: RecordRow) -> None:
    assert found(row, SELF) == []


def test_no_record_at_all() -> None:
    (finding,) = check(survey(record=None))
    assert (finding.message, finding.severity) == ("has no RECORD", Severity.ERROR)


def test_a_record_that_the_container_could_not_read_is_told_once() -> None:
    (finding,) = check(survey(record=None, problems=(Problem("record", OWN, "not UTF-8"),)))
    assert (finding.message, finding.primary.member, finding.repaired_by) == ("not UTF-8", OWN, "repair")


def test_what_is_wrong_with_the_folder_cannot_be_repaired() -> None:
    problem = Problem("metadata", "", "there are two .dist-info folders")
    (finding,) = check(survey(record=(SELF,), problems=(problem,)))
    assert (finding.message, finding.repaired_by) == ("there are two .dist-info folders", "")


def test_a_path_has_one_row() -> None:
    (finding,) = found(GOOD, GOOD._replace(line=3), SELF)
    assert (finding.message, finding.primary.position) == ("has two rows for the same path", 2)


def test_record_lists_itself_and_has_no_hash() -> None:
    assert [f.severity for f in found(GOOD)] == [Severity.WARNING]
    assert [f.severity for f in found(GOOD, SELF._replace(hash=HASH))] == [Severity.WARNING]
    assert found(GOOD, SELF) == []
