"""Has binaries that would allow a more portable tag.

## What it flags

A wheel whose binaries keep to an older level than its tag promises: tagged manylinux_2_28, while manylinux_2_17 would
do.

## Why it matters

Installers on systems between the two pass the wheel over and build from source, or fail.

## Example

    note[narrow-tag]: has binaries that allow a more portable tag
      (the whole package), Tag manylinux_2_28_x86_64: manylinux_2_17_x86_64 and manylinux2014_x86_64 would do
      = help: `relocate repair` gives the wheel the better tag
      = more: relocate explain narrow-tag

## How to fix it

`relocate repair` gives the wheel the better tag beside its own.

## When it is fine

When the package needs the newer system in a way that no binary shows: a system call, a data file, a program that it
starts.

## How it decides

By the level that `relocate show` computes: for manylinux from symbol versions, libraries, refused symbols and packed
relocations of all ELF files; for macOS from the deployment targets of all slices. musl and Android binaries show no
level, so their tags are never called narrow.

## References

- PEP 600
- Python packaging, "Platform compatibility tags"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey
from relocator.tags import best_tags, narrower_arches


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding when some architecture's binaries keep to an older level than the tag's."""
    if narrower_arches(survey):
        yield Finding(
            "narrow-tag",
            Severity.NOTE,
            Certainty.CERTAIN,
            "has binaries that allow a more portable tag",
            Where(field="Tag", value=survey.target.tag, label=f"{' and '.join(best_tags(survey))} would do"),
            help="`relocate repair` gives the wheel the better tag",
            repaired_by="repair",
        )


RULE = Rule("narrow-tag", "Tags", Severity.NOTE, check, containers=("wheel",), repaired_by="repair", needs_promise=True)
