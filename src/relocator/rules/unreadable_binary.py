"""Looks like a binary and cannot be read.

## What it flags

Files with the first bytes of an ELF, Mach-O or PE file whose headers, segments or tables are cut short, lie outside the file or
contradict each other. In folders also what could not be opened at all.

## Why it matters

What our reader cannot follow the loader cannot either, as a rule: `file too short`, `invalid ELF header`, `cannot read file data`,
`not a valid Win32 application`. And nothing else in this report is about such a file: its needs are not known.

## Example

    error[unreadable-binary]: looks like a binary and cannot be read
      demo/_core.cpython-312-x86_64-linux-gnu.so, PT_DYNAMIC needs 512 bytes, the file ends at 0x2f00: ELF, at offset 0x2e00
      = help: build or fetch the file again
      = more: relocate explain unreadable-binary

A download or copy that was cut, a pointer file of Git LFS restored halfway, a disk that was full during the build.

## How to fix it

Build or fetch the file again. If the system's loader takes it all the same, tell us: then it is our reader that is wrong.

## When it is fine

For test data of a package that reads binaries itself (the finding is a warning unless the file is named as an extension module or a
binary of the package needs it).

## How it decides

The readers check each offset and count against the file's size, and report the first structure that does not hold. Debug information
and section headers, which no loader reads, are not looked at. A PE file has `MZ` *and* a PE header; Java classes, which begin like
universal Mach-O files, are told apart.

## References

- System V ABI, chapters 4 and 5
- `<mach-o/loader.h>`
- Microsoft PE format
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.model import How, Role, Survey, Unreadable
from relocator.roles import split_name

KINDS = {
    "permission": (Severity.WARNING, "could not be opened", "audit as a user who may read it"),
    "loop": (Severity.NOTE, "a folder that contains itself was left out", "name the folder that it leads to"),
}
"""Problems of the container that this rule reports: what lies behind them was not looked at."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each file that has a binary's magic and could not be read."""
    needed = _needed(survey)
    for file in survey.unreadable:
        grave = file.path in needed or is_named_as_extension(file)
        where = Where(file.member, "", file.field, None, file.expected, label=_place(file, needed))
        severity = Severity.ERROR if grave else Severity.WARNING
        message = "looks like a binary and cannot be read"
        yield Finding("unreadable-binary", severity, Certainty.CERTAIN, message, where, help="build or fetch the file again")
    for problem in survey.container.problems:
        if problem.kind in KINDS:
            severity, message, help_text = KINDS[problem.kind]
            where = Where(problem.member, "", "", None, problem.message)
            yield Finding("unreadable-binary", severity, Certainty.CERTAIN, message, where, help=help_text)


def _needed(survey: Survey) -> dict[str, str]:
    """Return the paths at which an import's search went wrong, each with the member that it was for."""
    found: dict[str, str] = {}
    for load in survey.loads:
        root = survey.binary_at(load.root)
        if root is None or root.role != Role.IMPORTED:
            continue
        for edge in load.resolutions:
            if edge.how not in (How.BUNDLED, How.PROVIDED, How.PROMISED):
                importer = survey.binary_at(edge.importer)
                found.update((tried.place, importer.member if importer else edge.importer) for tried in edge.tried)
    return found


def is_named_as_extension(file: Unreadable) -> bool:
    """Tell whether a file can be nothing but an extension module by its name: a plain .so is more often a library."""
    parts = split_name(file.member.rpartition("/")[2])
    return parts is not None and (parts[2] == ".pyd" or parts[1].startswith(("cpython-", "abi3", "pypy", "graalpy")))


def _place(file: Unreadable, needed: dict[str, str]) -> str:
    offset = f"{file.format}, at offset {file.offset:#x}" if file.offset is not None else str(file.format)
    return f"{offset}; {needed[file.path]} needs it" if file.path in needed else offset


RULE = Rule("unreadable-binary", "Archive", Severity.ERROR, check, (), by_role=False, containers=EVERYWHERE)
