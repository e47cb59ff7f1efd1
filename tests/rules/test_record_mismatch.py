"""record-mismatch: files are those that RECORD describes."""

import pytest

from builders import member, record_hash, survey
from relocator.findings import Finding, Severity
from relocator.model import RecordRow
from relocator.rules.record_mismatch import check

DATA = b"Wheel-Version: 1.0\n"


def found(recorded_hash: str, recorded_size: str, path: str = "demo/x.txt", sha256: str | None = None) -> list[Finding]:
    file = member("demo/x.txt", DATA)
    if sha256 is not None:
        file = file._replace(sha256=sha256)
    return list(check(survey(members=(file,), record=(RecordRow(path, recorded_hash, recorded_size, 3),))))


def test_another_hash() -> None:
    (finding,) = found(record_hash(b"other"), str(len(DATA)))
    assert (finding.severity, finding.primary.field, finding.primary.value) == (Severity.WARNING, "hash", record_hash(b"other"))
    assert finding.primary.label == f"the file has {record_hash(DATA)}"
    assert (finding.primary.member, finding.primary.position) == ("demo/x.txt", 2)


def test_another_size() -> None:
    (finding,) = found(record_hash(DATA), "20")
    assert (finding.primary.field, finding.primary.label) == ("size", f"the file has {len(DATA)} bytes")


def test_another_hash_and_size_are_one_finding() -> None:
    (finding,) = found(record_hash(b"other"), "5")
    assert [finding.primary.field, *(where.field for where in finding.related)] == ["hash", "size"]


@pytest.mark.parametrize(
    ("recorded_hash", "recorded_size", "path"),
    [
        (record_hash(DATA), str(len(DATA)), "demo/x.txt"),
        (record_hash(DATA), str(len(DATA)), "demo\\x.txt"),
        (record_hash(DATA) + "=", "", "demo/x.txt"),
        ("", "", "demo/x.txt"),
        ("sha512=AAAA", "", "demo/x.txt"),
        ("", "many", "demo/x.txt"),
        ("", "9" * 5000, "demo/x.txt"),
        ("sha256=AAAA", "1", "demo/gone.txt"),
    ],
)
def test_is_silent(recorded_hash: str, recorded_size: str, path: str) -> None:
    assert found(recorded_hash, recorded_size, path) == []


def test_a_file_that_could_not_be_read_is_not_compared() -> None:
    assert found(record_hash(b"other"), str(len(DATA)), sha256="") == []
