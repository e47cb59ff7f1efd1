"""Is dangerous to unpack, cannot be unpacked, or unpacks differently in different tools.

## What it flags

- Names that lead out of the folder or mean something else on some system: absolute ones, `..`, drive letters, backslashes, control
  characters, Windows device names such as `aux.py`.
- The same name twice, and names that differ in case alone.
- Symbolic links and other special files, which wheels cannot hold.
- Members that overlap, whose local header contradicts the directory, that are encrypted, compressed by a method that installers do not
  know, damaged, or larger than they claim; bytes before, after or within the archive that belong to no member; an end record that
  counts other members than the directory lists.

## Why it matters

At best the installer refuses the wheel. At worst it writes a file where it has no business, or another tool, a scanner for instance, sees
other contents than those that are installed: an archive with two members of one name, or with two directories, is read in two ways.

## Example

    error[unsafe-member]: has a name that is not safe on every system
      ../../bin/tool, leads out of the archive
      = help: build the wheel again with a build backend that writes plain names
      = more: relocate explain unsafe-member

Nearly always an accident: files packed with an absolute path, a link packed as a link, a file added to the archive twice.

## How to fix it

Build again. Pack the file that a link points to, or leave it out. Names that differ in case alone need another name. Bytes that belong to
no member are gone once `relocate repair` has written the archive anew.

## When it is fine

Names that differ in case alone unpack on Linux (the finding is a warning there); on macOS and Windows one file replaces the other. Bytes
that belong to no member do no harm to most installers (a warning), but the index refuses the upload.

## How it decides

From the archive's directory and local headers, which are compared; every member is inflated and its CRC-32 checked. Folded case is
Python's `str.casefold`, close to what the file systems of macOS and Windows do.

## References

- PKWARE, APPNOTE.TXT, sections 4.3 and 4.4
- Python packaging, "Binary distribution format"
- PyPI, "Improved archive security": what the index refuses since 2025
- Microsoft, "Naming Files, Paths, and Namespaces"
"""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey


class Fault(NamedTuple):
    """How one kind of problem is told."""

    severity: Severity
    message: str
    help: str
    repaired_by: str = ""


_PLAIN = "build the wheel again with a build backend that writes plain names"
_AGAIN = "build or download the wheel again"
_ANEW = "look at how they got there; `relocate repair` writes the archive without them"

FAULTS = {
    "name": Fault(Severity.ERROR, "has a name that is not safe on every system", _PLAIN),
    "duplicate": Fault(Severity.ERROR, "is in the archive more than once", "remove all but one and build the wheel again"),
    "symlink": Fault(Severity.ERROR, "is a symbolic link, which a wheel cannot hold", "pack the file that it points to"),
    "special": Fault(Severity.ERROR, "is neither a file nor a folder", "leave it out"),
    "overlap": Fault(Severity.ERROR, "shares its bytes with another member", _AGAIN),
    "local-header": Fault(Severity.ERROR, "has a local header that contradicts the archive's directory", _AGAIN),
    "crc": Fault(Severity.ERROR, "is damaged: the checksum differs", _AGAIN),
    "size": Fault(Severity.ERROR, "has another size than the archive claims", _AGAIN),
    "encrypted": Fault(Severity.ERROR, "is encrypted, which no installer can unpack", "build the wheel again without encryption"),
    "method": Fault(Severity.ERROR, "is compressed by a method that installers do not know", "compress it with deflate, or store it"),
    "prepended": Fault(Severity.WARNING, "has bytes before the archive", _ANEW, "repair"),
    "trailing": Fault(Severity.WARNING, "has bytes after the archive", _ANEW, "repair"),
    "directory": Fault(Severity.ERROR, "has an archive directory that contradicts itself", _AGAIN),
    "gap": Fault(Severity.WARNING, "is followed by bytes that belong to no member", _ANEW, "repair"),
}
"""By the container's kind of problem. The other kinds are told by malformed-record, refused-by-index and unreadable-binary."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each problem of the archive and for each set of names that differ in case alone."""
    for problem in survey.container.problems:
        fault = FAULTS.get(problem.kind)
        if fault:
            where = Where(problem.member, label=problem.message)
            yield Finding(
                "unsafe-member",
                fault.severity,
                Certainty.CERTAIN,
                fault.message,
                where,
                help=fault.help,
                repaired_by=fault.repaired_by,
            )
    yield from _case_clashes(survey)


def _case_clashes(survey: Survey) -> Iterator[Finding]:
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(member.name for member in survey.container.members):
        alike.setdefault(name.casefold(), []).append(name)
    severity = Severity.WARNING if survey.target.os in ("linux", "android") else Severity.ERROR
    for first, *others in alike.values():
        if others:
            related = tuple(Where(other) for other in others)
            message = "differs from another name in case alone"
            yield Finding("unsafe-member", severity, Certainty.CERTAIN, message, Where(first), related, "give one of them another name")


RULE = Rule("unsafe-member", "Archive", Severity.ERROR, check, (), ("wheel",), "repair", by_role=False, security=True)
