"""RECORD as a table: what its rows are, and what is none."""

import pytest

from relocator.model import RecordRow
from relocator.records import parse_record

OWN = "demo-1.0.dist-info/RECORD"


def rows(data: bytes) -> list[RecordRow]:
    found, problems = parse_record(data, OWN)
    assert problems == ()
    return list(found or ())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a.py,sha256=x,1\n", [("a.py", "sha256=x", "1", 1)]),
        (b"a.py,sha256=x,1\r\nb.py,,\r\n", [("a.py", "sha256=x", "1", 1), ("b.py", "", "", 2)]),
        (b'"a,b.py",sha256=x,1\n', [("a,b.py", "sha256=x", "1", 1)]),
        (b'"a""b.py",,\n', [('a"b.py', "", "", 1)]),
        (b'"a\nb.py",,\nc.py,,\n', [("a\nb.py", "", "", 1), ("c.py", "", "", 3)]),
        (b"a.py,,\n\n\nb.py,,", [("a.py", "", "", 1), ("b.py", "", "", 4)]),
        (b"a.py\n", [("a.py", "", "", 1)]),
        (b"a\\b.py,,\n", [("a\\b.py", "", "", 1)]),
        ("é\u2028.py,,\n".encode(), [("é\u2028.py", "", "", 1)]),  # only line feeds end a row
        (b"a\x0cb.py,,\n", [("a\x0cb.py", "", "", 1)]),
    ],
)
def test_rows(data: bytes, expected: list[tuple[str, str, str, int]]) -> None:
    assert rows(data) == expected


@pytest.mark.parametrize(
    ("data", "message", "expected"),
    [
        (b"a.py,x\n", "has 2 columns in line 1", [("a.py", "x", "", 1)]),
        (b"a,b.py,sha256=x,1\n", "has 4 columns in line 1: a path with a comma needs quotes", [("a,b.py", "sha256=x", "1", 1)]),
        (b'a.py,,\n"b.py,,\n', "is no CSV in line 2", [("a.py", "", "", 1)]),
        (b'"a"b.py,,\n', "is no CSV in line 1", []),
        (b"a.py,,\n" + b"x" * 200_000 + b",,\n", "is no CSV in line 2", [("a.py", "", "", 1)]),
    ],
)
def test_what_is_no_table_is_told_and_the_rest_kept(data: bytes, message: str, expected: list[tuple[str, str, str, int]]) -> None:
    found, problems = parse_record(data, OWN)
    assert list(found or ()) == expected
    (problem,) = problems
    assert (problem.kind, problem.member) == ("record", OWN)
    assert problem.message.startswith(message)


def test_what_is_no_text_has_no_rows() -> None:
    found, problems = parse_record(b"a.py,,\n\xff\n", OWN)
    assert found is None
    assert [problem.message for problem in problems] == ["is not UTF-8: byte 7 is 0xff"]
