"""Has tags that differ between the file name and WHEEL, or that cannot exist.

## What it flags

A wheel whose `Tag:` lines in WHEEL are not the tags that its file name expands to; one with no `Tag:` line or a
malformed one; and a platform tag that no installer looks for, such as macosx_13_6_arm64 or macosx_16_0_arm64.

## Why it matters

Installers choose by the file name, other tools (uv, repair and merge tools, caches) read WHEEL. A wheel that was
renamed says one thing and carries another, and is refused or repaired into something else. A platform tag that nobody
looks for means that the wheel is never chosen.

## Example

    error[tag-disagreement]: disagrees with the file name about the tags
      demo-1.0.dist-info/WHEEL, Tag py3-none-linux_x86_64: only in WHEEL
        also demo-1.0.dist-info/WHEEL, Tag py3-none-manylinux_2_28_x86_64: only in the file name
      = help: `relocate repair` writes both the file name and WHEEL
      = more: relocate explain tag-disagreement

## How to fix it

Change both together: `relocate repair` writes WHEEL when it renames a wheel, `wheel tags` does too. Never rename a
wheel by hand.

## When it is fine

Never for a wheel that others install.

## How it decides

By the sets of expanded tags: neither the order nor repetitions matter, and compressed sets in a Tag line are expanded
first. A variant label in the file name (PEP 825) is no tag. Versions of macOS between 15 and 26 never existed, and
from 11 on installers look for macosx_X_0 only.

## References

- PEP 425; Python packaging, "Binary distribution format", "Tag"
- Python packaging, "Platform compatibility tags"
- PEP 600, 656, 730, 738, 825
- https://github.com/astral-sh/uv/issues/2149
"""

from collections.abc import Iterable, Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey
from relocator.platform_tags import columns, parse


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding when the two sets of tags differ, one for each malformed Tag, one for each platform that cannot exist."""
    facts = survey.container
    wheel = f"{facts.dist_info}/WHEEL"
    declared = facts.declared_tags
    if declared is not None:
        yield from _malformed(declared, wheel)
        yield from _differing(set(facts.tags), set(_expanded(declared)), wheel)
    for tag in columns([*facts.tags, *(declared or ())]).platforms:
        if fault := parse(tag).fault:
            yield _finding("has a platform tag that no installer looks for", Where("", "", "Tag", None, tag, label=fault))


def _malformed(declared: tuple[str, ...], wheel: str) -> Iterator[Finding]:
    if not declared:
        yield _finding("names no tag", Where(wheel, "", "Tag"))
    for position, tag in enumerate(declared):
        if len(tag.split("-")) != 3:
            yield _finding("has a malformed tag", Where(wheel, "", "Tag", position, tag, label="not PYTHON-ABI-PLATFORM"))


def _differing(named: set[str], declared: set[str], wheel: str) -> Iterator[Finding]:
    places = [Where(wheel, "", "Tag", None, tag, label="only in WHEEL") for tag in sorted(declared - named)]
    places += [Where(wheel, "", "Tag", None, tag, label="only in the file name") for tag in sorted(named - declared)]
    if named and declared and places:
        yield _finding("disagrees with the file name about the tags", places[0], tuple(places[1:]))


def _expanded(tags: Iterable[str]) -> Iterator[str]:
    for tag in tags:
        parts = [part.split(".") for part in tag.split("-")]
        if len(parts) == 3:
            yield from (f"{python}-{abi}-{platform}" for python in parts[0] for abi in parts[1] for platform in parts[2])


def _finding(message: str, place: Where, related: tuple[Where, ...] = ()) -> Finding:
    advice = "`relocate repair` writes both the file name and WHEEL"
    return Finding("tag-disagreement", Severity.ERROR, Certainty.CERTAIN, message, place, related, advice, "repair")


RULE = Rule("tag-disagreement", "Tags", Severity.ERROR, check, (), ("wheel",), "repair")
