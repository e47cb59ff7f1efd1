"""Has members whose permissions do not fit.

## What it flags

- A member that its owner, or everybody else, may not read.
- A member that everybody may write, in a wheel whose other members are not so.
- A member with a set-user-ID, set-group-ID or sticky bit.
- A program, or a file in `.data/scripts`, that may not be executed.

## Why it matters

pip and uv take only the execute bit from a wheel, so without it a program that the package starts fails with `Permission denied`. Other
tools, such as `unzip`, build systems and distributors' scripts, take all bits: then only one user can import the package, or every user
can change it.

## Example

    note[wrong-mode]: is a program, and may not be executed
      demo/bin/server, mode 644
      = help: let `relocate repair --fix-notes` set 644, or 755 for what is to be run
      = more: relocate explain wrong-mode

## How to fix it

`relocate repair --fix-notes` sets 644, and 755 for what is to be run. By hand: `chmod` before the wheel is made, or a `umask` of 022.

## When it is fine

For a data file that an installer writes with permissions of its own anyway, which is what pip does.

## How it decides

By the mode bits that the archive keeps. Where there are none, and on Windows, which has none (666 and 777 stand for everything there),
nothing is flagged; nor when most of the wheel's members may be written by everybody, since it was then made on Windows. That a group may
write is what many systems set and does no harm.

## References

- Python packaging, "Binary distribution format"; PEP 427
- pip, `pip/_internal/utils/unpacking.py`: only the execute bit is kept
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Member, Survey

_SPECIAL, _OWNER_READS, _ALL_READ, _ANY_RUNS, _OTHERS_WRITE = 0o7000, 0o400, 0o444, 0o111, 0o002


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a note for each member whose permissions are wrong in one way, the gravest first."""
    members = [member for member in survey.container.members if member.mode]
    if survey.target.os == "windows" or not members:
        return
    run = _to_be_run(survey)
    by_hand = 2 * sum(1 for member in members if member.mode & _OTHERS_WRITE) < len(members)
    for member in members:
        if message := _fault(member, member.name in run, by_hand):
            yield Finding(
                "wrong-mode",
                Severity.NOTE,
                Certainty.CERTAIN,
                message,
                Where(member.name, "", "mode", None, f"{member.mode & 0o7777:03o}"),
                help="let `relocate repair --fix-notes` set 644, or 755 for what is to be run",
                repaired_by="repair",
            )


def _fault(member: Member, run: bool, by_hand: bool) -> str:
    mode = member.mode
    if mode & _SPECIAL:
        return "has a bit that only installed system programs have a use for"
    if not mode & _OWNER_READS:
        return "may not be read by anybody" if not mode & _ALL_READ else "may not be read by its owner"
    if mode & _ALL_READ != _ALL_READ:
        return "may be read by its owner alone" if mode & _ALL_READ == _OWNER_READS else "may not be read by everybody"
    if run and not mode & _ANY_RUNS:
        return "is a program, and may not be executed"
    return "may be written by everybody" if mode & _OTHERS_WRITE and by_hand else ""


def _to_be_run(survey: Survey) -> set[str]:
    """Return the programs of systems that have modes, and what an installer puts where the shell looks."""
    programs = {
        binary.member
        for binary, image in survey.images()
        if image.kind == "program" and binary.format != Format.PE and ".so" not in binary.member
    }
    return programs | {member.name for member in survey.container.members if _is_script(member.name)}


def _is_script(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return folder.endswith(".data") and rest.startswith("scripts/")


RULE = Rule("wrong-mode", "Archive", Severity.NOTE, check, (), ("wheel",), repaired_by="repair", by_role=False)
