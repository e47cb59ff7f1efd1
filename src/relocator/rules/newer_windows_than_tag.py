"""Needs a newer Windows than the Python of the tag.

## What it flags

A DLL or module that imports from an API set which only newer versions of Windows have, or whose header asks for a newer Windows, compared
with the oldest Windows on which the tag's Python runs.

## Why it matters

Tags for Windows have no version, so installers take the wheel on every Windows that has the Python. On one that lacks the API set the
import fails:

    ImportError: DLL load failed while importing _core: The specified module could not be found.

## Example

    note[newer-windows-than-tag]: needs a newer Windows than the tag's Python
      demo/_core.cp312-win_amd64.pyd (amd64), import api-ms-win-core-memory-l1-1-3.dll: since Windows 10, Python 3.12 runs on Windows 8.1
      = help: link with the libraries of an older SDK (kernel32.lib before onecore.lib), or document which Windows is needed
      = more: relocate explain newer-windows-than-tag

## How to fix it

Link with `kernel32.lib` and its like rather than `onecore.lib` or `WindowsApp.lib`, which bind to API sets, and look a function of a newer
Windows up with `GetProcAddress`. Or say in the documentation which Windows is needed.

## When it is fine

On every Windows that Microsoft still supports without a special contract; therefore it is a note.

## How it decides

By the names of API sets and by the subsystem version in the header, against a table of which Windows brought what and which Windows each
Python asks for. Later builds of Windows 10 and 11 are not told apart. A tag that names no Python is judged by 3.10.

## References

- Microsoft, "Windows API sets"; PE format, "MajorSubsystemVersion"
- PEP 11, "CPython platform support"
- https://github.com/python/cpython/issues/84917
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge.windows_versions import Version, api_set_since, oldest_for, spelled
from relocator.model import Binary, Format, Image, NeedKind, Survey
from relocator.places import place_in
from relocator.python_abi import oldest_python

UNNAMED = (3, 10)
"""The Python to judge by when the tag names none."""

HELP = "link with the libraries of an older SDK (kernel32.lib before onecore.lib), or document which Windows is needed"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each API set, and for each header, that asks for a newer Windows than the tag's Python."""
    if survey.target.os != "windows":
        return
    python = oldest_python(survey.target) or UNNAMED
    for binary, image in survey.images():
        if image.format == Format.PE:
            floor = oldest_for(python, image.arch)
            for where in _newer(binary, image, floor, f"Python {python[0]}.{python[1]} runs on {spelled(floor)}"):
                message = "needs a newer Windows than the tag's Python"
                yield Finding("newer-windows-than-tag", Severity.NOTE, Certainty.CERTAIN, message, where, help=HELP)


def _newer(binary: Binary, image: Image, floor: Version, told: str) -> Iterator[Where]:
    for position, need in enumerate(image.needed):
        since = api_set_since(need.name)
        if since and since > floor and need.kind != NeedKind.DELAYED:
            yield place_in(binary, image, position, f"since {spelled(since)}, {told}")
    asked = image.minimum_os[:2]
    if len(asked) == 2 and asked > floor:
        value = f"{asked[0]}.{asked[1]}"
        yield Where(binary.member, image.arch, "MajorSubsystemVersion", None, value, label=f"{spelled((asked[0], asked[1]))}, {told}")


RULE = Rule("newer-windows-than-tag", "Tags", Severity.NOTE, check, (Format.PE,), needs_promise=True)
