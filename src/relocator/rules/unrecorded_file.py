"""Is in the archive and not in RECORD, or the reverse.

## What it flags

Files of a wheel that its RECORD does not list, and rows of RECORD for which there is no file.

## Why it matters

RECORD is what an installer trusts: some install only what it lists, some refuse the wheel (`RECORD file doesn't match wheel contents`,
`is not mentioned in RECORD`), and the index refuses the upload. What was installed without a row stays behind when the package is
removed.

## Example

    error[unrecorded-file]: is not listed in RECORD
      demo.libs/libfoo-3f2a91c0.so.3, RECORD: no row has this path
      = help: `relocate repair` writes RECORD anew
      = more: relocate explain unrecorded-file

A script that adds a file to a finished wheel, or `zip -u`, ends so.

## How to fix it

`relocate repair` writes RECORD anew, and so do `wheel unpack` followed by `wheel pack`.

## When it is fine

Never. RECORD itself, and the old signature files RECORD.jws and RECORD.p7s, need no row.

## How it decides

Names in the archive are compared with the first column of RECORD, backslashes taken as slashes. Without any RECORD it says nothing:
`malformed-record` does.

## References

- Python packaging, "Binary distribution format", "The .dist-info directory"
- Python packaging, "Recording installed projects", "The RECORD file"
- https://github.com/pypa/installer/issues/100
- https://github.com/astral-sh/uv/issues/8798
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey

EXEMPT = ("RECORD", "RECORD.jws", "RECORD.p7s")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each member without a row and for each row without a member."""
    facts = survey.container
    if facts.record is None:
        return
    recorded = {_plain(row.path) for row in facts.record} | {f"{facts.dist_info}/{name}" for name in EXEMPT}
    present = {_plain(member.name) for member in facts.members}
    for member in facts.members:
        if _plain(member.name) not in recorded:
            yield _finding("is not listed in RECORD", Where(member.name, "", "RECORD", label="no row has this path"))
    for row in facts.record:
        if _plain(row.path) not in present and not row.path.endswith("/"):
            where = Where(f"{facts.dist_info}/RECORD", "", "path", row.line - 1, row.path, label="the archive has no such file")
            yield _finding("is listed in RECORD and not in the archive", where)


def _plain(path: str) -> str:
    return path.replace("\\", "/")


def _finding(message: str, where: Where) -> Finding:
    help_text = "`relocate repair` writes RECORD anew"
    return Finding("unrecorded-file", Severity.ERROR, Certainty.CERTAIN, message, where, (), help_text, RULE.repaired_by)


RULE = Rule("unrecorded-file", "Archive", Severity.ERROR, check, (), ("wheel",), repaired_by="repair", by_role=False)
