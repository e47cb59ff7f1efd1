"""Audits of real wheels, from a folder given with --corpus: corpus.tsv says what must and must not be found in each.

Every error is decided by somebody in accepted.tsv. An error that is not there fails, and so does a row that no audit confirms any more.
"""

import csv
import functools
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from relocator.api import audit
from relocator.findings import Finding, Severity
from relocator.rules import RULES

HERE = Path(__file__).parent


class Row(NamedTuple):
    """One wheel; `expected` has rules, each perhaps with ":" and the number of its findings."""

    project: str
    version: str
    python: str
    abi: str
    platform: str
    expected: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.project}-{self.version}-{self.python}-{self.abi}-{self.platform}"


class Accepted(NamedTuple):
    wheel: str
    rule: str
    member: str
    reason: str


def table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


ROWS = [
    Row(r["project"], r["version"], r["python"], r["abi"], r["platform"], tuple(r["expected"].split()), tuple(r["absent"].split()))
    for r in table("corpus.tsv")
]
ACCEPTED = [Accepted(r["wheel"], r["rule"], r["member"], r["reason"]) for r in table("accepted.tsv")]


def wheel_of(row: Row, folder: Path) -> Path:
    """The wheel of a row, whatever else its file name lists; skips when the folder lacks it."""
    wanted = (canonicalize_name(row.project), Version(row.version))
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        if (name, version) == wanted and any((t.interpreter, t.abi, t.platform) == (row.python, row.abi, row.platform) for t in tags):
            return path
    pytest.skip(f"the corpus has no {row.id}")


@functools.cache
def findings(wheel: Path, search: Path | None = None) -> tuple[Finding, ...]:
    reports, failures = audit(wheel, search=[search] if search else [])
    assert failures == ()
    return tuple(finding for report in reports for finding in report.findings)


def counted(wheel: Path, search: Path | None = None) -> Counter[str]:
    return Counter(finding.rule for finding in findings(wheel, search))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_an_audit_says_what_is_known_of_a_wheel(row: Row, corpus: Path) -> None:
    found = counted(wheel_of(row, corpus))
    for wanted in row.expected:
        rule, _, number = wanted.partition(":")
        assert found[rule] == int(number) if number else found[rule], f"{wanted} not among {dict(found)}"
    assert not [rule for rule in row.absent if found[rule]], dict(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_error_was_decided(row: Row, corpus: Path) -> None:
    wheel = wheel_of(row, corpus)
    decided = {(one.rule, one.member) for one in ACCEPTED if one.wheel == wheel.name}
    errors = {(one.rule, one.primary.member): one.message for one in findings(wheel) if one.severity == Severity.ERROR}
    undecided = {place: message for place, message in errors.items() if place not in decided}
    assert not undecided, "decide each in accepted.tsv"
    assert decided == errors.keys(), "accepted.tsv has a row that nothing confirms any more"


def libgomp(folder: Path, out: Path) -> None:
    """Take GCC's OpenMP runtime out of a wheel that brings it."""
    row = next(row for row in ROWS if row.project == "scikit-learn" and "manylinux" in row.platform)
    with zipfile.ZipFile(wheel_of(row, folder)) as archive:
        member = next(name for name in archive.namelist() if name.rpartition("/")[2].startswith("libgomp"))
        (out / "libgomp.so.1").write_bytes(archive.read(member))


def test_a_library_in_a_named_directory_is_one_to_bundle_and_not_missing(corpus: Path, tmp_path: Path) -> None:
    wheel = wheel_of(next(row for row in ROWS if row.project == "lightgbm"), corpus)
    libgomp(corpus, tmp_path)
    found = counted(wheel, tmp_path)
    assert (found["unbundled-library"], found["missing-library"]) == (1, 0)
    assert counted(wheel)["missing-library"] == 1


def test_the_tables_name_rules_that_there_are_and_wheels_once() -> None:
    rules = {rule.name for rule in RULES}
    assert {wanted.partition(":")[0] for row in ROWS for wanted in (*row.expected, *row.absent)} <= rules
    assert {one.rule for one in ACCEPTED} <= rules
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert len({one[:3] for one in ACCEPTED}) == len(ACCEPTED)
    assert all(one.reason for one in ACCEPTED)
