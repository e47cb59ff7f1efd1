"""Has something that the index refuses.

## What it flags

What PyPI does not take, although installers do:

- members whose sizes stand behind their bytes (data descriptors), comments of members, extra fields that occur twice or have a length that
  does not exist;
- an `entry_points.txt` that cannot be parsed, or with a script whose name is no plain file name;
- a file that METADATA names as License-File and that is not in `.dist-info/licenses`;
- a file name whose project is not spelled as the index spells it, whose version is another than METADATA's, or that the `.dist-info`
  folder does not repeat letter for letter.

And as notes a local version (`1.0+cpu`), and compressed tag sets that are not sorted.

## Why it matters

The upload ends with `400 Bad Request` when the release is being made: the other files may already be up, and can neither be replaced nor
uploaded again.

## Example

    warning[refused-by-index]: is written in a way that the index refuses
      demo/__init__.py, its size stands behind its bytes
      = help: `relocate repair` writes the archive anew; or write wheels to files, not to pipes
      = more: relocate explain refused-by-index

## How to fix it

`relocate repair` writes the archive anew, and with it everything about how it is packed. Names and metadata come from the build
backend: a current one spells them as the index wants it. Do not rename wheels by hand.

## When it is fine

When the wheel goes to an index of your own, which may be less strict.

## How it decides

By what the index's public source does. Sizes, names and contents that contradict one another, names that are not safe, bytes that belong
to no member and files that RECORD does not list are refused as well: `unsafe-member`, `unrecorded-file` and `malformed-record` tell of
them, `local-platform-tag` of a tag such as linux_x86_64, and `tag-disagreement` of WHEEL's.

## References

- https://github.com/pypi/warehouse, `warehouse/forklift/legacy.py` and `warehouse/utils/zipfiles.py`
- Python packaging, "Binary distribution format", "Entry points specification", "Version specifiers"
- PEP 639 (License-File), PEP 625, PEP 427
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.metadata import normalised, split_dist_info
from relocator.model import ContainerFacts, Survey


class Fault(NamedTuple):
    """How one kind of problem is told."""

    message: str
    help: str
    repaired_by: str


_ANEW = "`relocate repair` writes the archive anew"
_BACKEND = "build the wheel again with a current build backend"

FAULTS = {
    "descriptor": Fault("is written in a way that the index refuses", f"{_ANEW}; or write wheels to files, not to pipes", "repair"),
    "comment": Fault("has a comment, which the index refuses", _ANEW, "repair"),
    "extra": Fault("has an extra field that the index refuses", _ANEW, "repair"),
    "entry-points": Fault("has entry points that the index refuses", "correct the entry points in pyproject.toml and build again", ""),
    "license-file": Fault("is named by METADATA and is not there", "pack the file into .dist-info/licenses, or name it no more", ""),
}
"""By the container's kind of problem. The other kinds are told by other rules."""

_PLAIN_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each problem of the archive that the index looks for, then for each one of the file's name."""
    facts = survey.container
    for problem in facts.problems:
        fault = FAULTS.get(problem.kind)
        if fault:
            yield _finding(fault.message, Where(problem.member, label=problem.message), fault.help, fault.repaired_by)
    parts = facts.file_name.removesuffix(".whl").split("-")
    if facts.tags and len(parts) >= 5:
        yield from _name_faults(facts, parts[0], parts[1])
        yield from _unsorted(parts[:-1] if facts.variant else parts)


def _name_faults(facts: ContainerFacts, name: str, version: str) -> Iterator[Finding]:
    place = Where(field="file name", value=name)
    wanted = normalised(name).replace("-", "_")
    if name != wanted:
        yield _finding("has a file name in which the project is not normalised", place._replace(label=f"the index wants {wanted}"))
    folder = split_dist_info(facts.dist_info)
    if folder != (name, version) and normalised(folder[0]) == normalised(name):
        label = f"the file name has {name}-{version}"
        yield _finding("has a .dist-info folder that is not named as the file", Where(facts.dist_info, "", "name", None, "", label=label))
    yield from _version_faults(facts, Where(field="file name", value=version))


def _version_faults(facts: ContainerFacts, place: Where) -> Iterator[Finding]:
    own = facts.distributions[0].version if facts.distributions else place.value
    if _PLAIN_VERSION.fullmatch(place.value) and place.value == own:
        return
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  only where a version is not plain

    try:
        named, stated = Version(place.value), Version(own)
    except InvalidVersion as error:
        yield _finding("has a version that is none", place._replace(label=str(error)))
        return
    if named != stated:
        yield _finding("has a file name with another version than METADATA", place._replace(label=f"METADATA has {own}"))
    elif named.local:
        yield _finding(
            "has a local version, which the index refuses", place, "give the release a version of its own", severity=Severity.NOTE
        )


def _unsorted(parts: list[str]) -> Iterator[Finding]:
    for part in parts[-3:]:
        tags = part.split(".")
        if tags != sorted(tags):
            where = Where(field="Tag", value=part, label=f"sorted: {'.'.join(sorted(tags))}")
            advice = "`relocate repair` writes the set in order; so does a current build backend"
            yield _finding("has a compressed tag set that is not sorted", where, advice, "repair", Severity.NOTE)


def _finding(message: str, where: Where, advice: str = _BACKEND, repaired_by: str = "", severity: Severity = Severity.WARNING) -> Finding:
    return Finding("refused-by-index", severity, Certainty.CERTAIN, message, where, (), advice, repaired_by)


RULE = Rule("refused-by-index", "Archive", Severity.WARNING, check, (), ("wheel",), repaired_by="repair", by_role=False)
