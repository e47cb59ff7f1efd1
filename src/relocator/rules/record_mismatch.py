"""Differs from what RECORD says, in hash or size.

## What it flags

Rows of a wheel's RECORD whose hash or size is not that of the file in the archive.

In an installed environment: files that a distribution recorded and that are gone, files that two distributions have recorded, and with
`relocate env --hashes` files that have changed since. What conda installed is compared with the hash that it recorded for this prefix.

## Why it matters

Somebody changed the file after the wheel was built. Installers that check (`installer`, `uv` with verification, distributions' own
tools) refuse the wheel; the others install a file that later checks report as modified.

## Example

    warning[record-mismatch]: differs from what RECORD says
      demo-1.0.dist-info/WHEEL, size 84: the file has 110 bytes
      = help: `relocate repair` writes RECORD anew
      = more: relocate explain record-mismatch

A script that edits WHEEL to change a tag, `strip` or `install_name_tool` run inside the unpacked wheel, and `zip -u` end so.

## How to fix it

`relocate repair` writes RECORD anew, and so do `wheel unpack` followed by `wheel pack`; `wheel tags` changes tags properly.

## When it is fine

When you changed the file yourself and know that nobody checks. For a file that came from elsewhere find out who changed it first. When
two distributions share a file on purpose, such as the `__init__.py` of a namespace.

## How it decides

The SHA-256 of each file's bytes is compared with the row's second column, and the size with the third. Rows without a hash or size, and
hashes by another algorithm, are not compared here (`malformed-record` has its say).

## References

- Python packaging, "Recording installed projects", "The RECORD file"
- https://github.com/astral-sh/uv/issues/8798
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Member, RecordRow, Survey
from relocator.records import record_hash

INSTALLED = {
    "missing-file": (
        "has lost files that its distribution recorded",
        "install the distribution again (`pip install --force-reinstall NAME`)",
    ),
    "shared-file": ("is installed over another distribution's files", "remove both distributions, and install the one that you want"),
    "hash": ("differs from what its distribution recorded", "install the distribution again, unless the file was changed on purpose"),
}
"""Problems of an environment that this rule reports."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each file whose hash or size differs from its row's; in an environment for what records and disk disagree on."""
    for problem in survey.container.problems:
        if problem.kind in INSTALLED:
            message, help_text = INSTALLED[problem.kind]
            where = Where(problem.member, "", "RECORD", label=problem.message)
            yield Finding("record-mismatch", Severity.WARNING, Certainty.CERTAIN, message, where, help=help_text)
    members = {member.name: member for member in survey.container.members}
    for row in survey.container.record or ():
        member = members.get(row.path) or members.get(row.path.replace("\\", "/"))
        differing = [] if member is None else list(_differences(row, member))
        if differing:
            message, help_text = "differs from what RECORD says", "`relocate repair` writes RECORD anew"
            first, rest = differing[0], tuple(differing[1:])
            yield Finding("record-mismatch", Severity.WARNING, Certainty.CERTAIN, message, first, rest, help_text, RULE.repaired_by)


def _differences(row: RecordRow, member: Member) -> Iterator[Where]:
    algorithm, _, recorded = row.hash.partition("=")
    if algorithm == "sha256" and member.sha256:
        actual = record_hash(member.sha256)
        if recorded.rstrip("=") != actual:
            yield Where(member.name, "", "hash", row.line - 1, row.hash, label=f"the file has sha256={actual}")
    if row.size.isascii() and row.size.isdecimal() and len(row.size) < 20 and int(row.size) != member.size:
        yield Where(member.name, "", "size", row.line - 1, row.size, label=f"the file has {member.size} bytes")


RULE = Rule("record-mismatch", "Archive", Severity.WARNING, check, (), ("wheel", "environment"), repaired_by="repair", by_role=False)
