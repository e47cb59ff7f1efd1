"""Has a RECORD, or a .dist-info folder, that is not as installers expect.

## What it flags

A wheel without RECORD, WHEEL or METADATA or with two .dist-info folders; a RECORD that is no UTF-8 or no CSV; rows with more or fewer
than three columns, with an absolute path or one that leaves the archive, with a size that is no number, without a hash or with one that
the specification forbids (md5, sha1) or does not know; the same path twice. As a warning, what most installers forgive: backslashes,
padding after a hash, a row for a folder, a hash on RECORD's own row, and RECORD missing from itself.

In an installed environment, as a warning: a .dist-info folder without METADATA, what an interrupted uninstallation left behind, a RECORD
that is no table, and a file of conda-meta that cannot be understood. Whose files are whose is unknown there.

## Why it matters

Each installer reads RECORD in its own way. What one forgives makes another one refuse the wheel, or leave files behind when the package
is removed.

## Example

    error[malformed-record]: has a hash that the specification forbids
      demo-1.0.dist-info/RECORD, hash md5=1B2M2Y8AsgTpgAmY7PhCfg: line 1, demo/__init__.py
      = help: `relocate repair` writes RECORD anew
      = more: relocate explain malformed-record

Wheels made by hand, by a shell script or by an old build tool of the project's own end so.

## How to fix it

`relocate repair` writes RECORD anew. What is wrong with the .dist-info folder itself the build has to mend.

## When it is fine

Never, though it may have worked so far.

## How it decides

Row by row, as the specification says: a path relative to the archive's root with slashes, `algorithm=` followed by the digest in
URL-safe base64 without padding (SHA-256 or better), the size in bytes; hash and size stay empty for RECORD itself and for the two old
signature files only.

## References

- Python packaging, "Recording installed projects", "The RECORD file"
- Python packaging, "Binary distribution format"
- https://github.com/pdm-project/pdm/issues/1223
- https://github.com/pypa/pip/issues/11762
"""

import string
from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import RecordRow, Survey

HASHES = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "sha512_256", "blake2b", "blake2s")
"""Guaranteed by hashlib and no weaker than SHA-256."""

DIGITS = frozenset(string.ascii_letters + string.digits + "-_")
"""Of URL-safe base64."""

WITHOUT_HASH = ("RECORD", "RECORD.jws", "RECORD.p7s")

KINDS = ("record", "metadata")
"""Problems of the container that this rule reports."""


class Fault(NamedTuple):
    """What is wrong with one row."""

    severity: Severity
    field: str
    message: str
    value: str


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each fault of RECORD or of the .dist-info folder."""
    facts = survey.container
    if facts.kind == "environment":
        yield from _installed(survey)
        return
    for problem in facts.problems:
        if problem.kind in KINDS:
            yield _finding(problem.message, Where(problem.member, "", "RECORD" if problem.kind == "record" else ".dist-info"))
    if facts.record is None:
        if not any(problem.kind == "record" for problem in facts.problems):
            yield _finding("has no RECORD", Where(field="RECORD"))
        return
    own = f"{facts.dist_info}/RECORD"
    unhashed = {f"{facts.dist_info}/{name}" for name in WITHOUT_HASH}
    seen: set[str] = set()
    for row in facts.record:
        for fault in _faults(row, own, unhashed):
            yield _finding(fault.message, _where(own, row, fault), fault.severity)
        if row.path in seen:
            yield _finding("has two rows for the same path", Where(own, "", "path", row.line - 1, row.path))
        seen.add(row.path)
    if own not in seen:
        yield _finding("does not list itself", Where(own, "", "path"), Severity.WARNING)


def _installed(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each record that says too little to tell whose files are whose."""
    for problem in survey.container.problems:
        if problem.kind in KINDS:
            where = Where(problem.member, "", "RECORD" if problem.kind == "record" else ".dist-info", label=problem.message)
            message = "a distribution's record cannot be relied on"
            help_text = "install the distribution again, or delete what is left of it"
            yield Finding("malformed-record", Severity.WARNING, Certainty.CERTAIN, message, where, help=help_text)


def _faults(row: RecordRow, own: str, unhashed: set[str]) -> Iterator[Fault]:
    yield from _path_faults(row.path)
    if row.path in unhashed:
        if row.path == own and (row.hash or row.size):
            yield Fault(Severity.WARNING, "hash", "has a hash or size for itself", row.hash or row.size)
        return
    if not row.path.endswith("/"):
        yield from _hash_faults(row.hash)
    if row.size and not (row.size.isascii() and row.size.isdecimal()):
        yield Fault(Severity.ERROR, "size", "has a size that is no number of bytes", row.size)


def _path_faults(path: str) -> Iterator[Fault]:
    plain = path.replace("\\", "/")
    if not path:
        yield Fault(Severity.ERROR, "path", "has a row without a path", path)
    elif plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/"):
        yield Fault(Severity.ERROR, "path", "has a path that leads out of the archive", path)
    elif "\\" in path:
        yield Fault(Severity.WARNING, "path", "has a path with backslashes", path)
    elif path.endswith("/"):
        yield Fault(Severity.WARNING, "path", "has a row for a folder", path)


def _hash_faults(value: str) -> Iterator[Fault]:
    algorithm, equals, digest = value.partition("=")
    if not value:
        yield Fault(Severity.ERROR, "hash", "has a row without a hash", value)
    elif not equals or algorithm not in HASHES:
        known = algorithm in ("md5", "sha1", "sha224")
        yield Fault(Severity.ERROR, "hash", f"has a hash that the specification {'forbids' if known else 'does not know'}", value)
    elif not digest or not set(digest.rstrip("=")) <= DIGITS:
        yield Fault(Severity.ERROR, "hash", "has a digest that is no URL-safe base64", value)
    elif digest.endswith("="):
        yield Fault(Severity.WARNING, "hash", "has a padded digest", value)


def _where(own: str, row: RecordRow, fault: Fault) -> Where:
    return Where(own, "", fault.field, row.line - 1, fault.value, label=f"line {row.line}, {row.path}" if row.path else f"line {row.line}")


def _finding(message: str, where: Where, severity: Severity = Severity.ERROR) -> Finding:
    help_text = "`relocate repair` writes RECORD anew" if where.field != ".dist-info" else "build the wheel again with a build backend"
    repaired_by = RULE.repaired_by if where.field != ".dist-info" else ""
    return Finding("malformed-record", severity, Certainty.CERTAIN, message, where, (), help_text, repaired_by)


RULE = Rule("malformed-record", "Archive", Severity.ERROR, check, (), ("wheel", "environment"), repaired_by="repair", by_role=False)
