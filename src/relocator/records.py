"""RECORD: the rows as written, and what is no row at all (Python packaging, "Recording installed projects", "The RECORD file")."""

import base64
import csv
import io
from collections.abc import Iterable, Iterator

from relocator.model import Problem, RecordRow

MEMBER_LIMIT = 64 << 20
"""Bytes of a RECORD that is still looked at: a hundred times the largest one known."""


def parse_record(data: bytes, member: str) -> tuple[tuple[RecordRow, ...] | None, tuple[Problem, ...]]:
    """Return the rows of a RECORD and what is wrong with it as a table; no rows at all (None) when it is no text.

    A row without columns two and three is kept, with them empty; one with too many keeps the last two as hash and size. What the values
    mean is for the rules to judge.
    """
    if len(data) > MEMBER_LIMIT:
        return None, (Problem("record", member, f"has {len(data):,} bytes"),)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, (Problem("record", member, f"is not UTF-8: byte {error.start:,} is {data[error.start]:#04x}"),)
    problems: list[Problem] = []
    return tuple(_rows(text, member, problems)), tuple(problems)


def _rows(text: str, member: str, problems: list[Problem]) -> Iterator[RecordRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for columns in reader:
            if columns:
                yield _row(columns, line, member, problems)
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(Problem("record", member, f"is no CSV in line {line}: {error}"))


def _row(columns: list[str], line: int, member: str, problems: list[Problem]) -> RecordRow:
    if len(columns) > 3:
        problems.append(Problem("record", member, f"has {len(columns)} columns in line {line}: a path with a comma needs quotes"))
        return RecordRow(",".join(columns[:-2]), columns[-2], columns[-1], line)
    if len(columns) == 2:
        problems.append(Problem("record", member, f"has 2 columns in line {line}"))
    path, digest, size = [*columns, "", ""][:3]
    return RecordRow(path, digest, size, line)


# ---- writing


def record_text(rows: Iterable[tuple[str, str, int]], record: str) -> str:
    """Return the text of a RECORD: a row for each (name, SHA-256 in hexadecimal, size), in their order, its own without either last.

    Its signatures, RECORD.jws and RECORD.p7s, are never listed: they can only be made afterwards.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    unlisted = {record, f"{record}.jws", f"{record}.p7s"}
    writer.writerows((name, f"sha256={record_hash(sha256)}", size) for name, sha256, size in rows if name not in unlisted)
    writer.writerow((record, "", ""))
    return text.getvalue()


def record_hash(sha256: str) -> str:
    """Return a SHA-256, given in hexadecimal, as RECORD has it: in the alphabet that is safe in file names, without padding."""
    return base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode("ascii")
