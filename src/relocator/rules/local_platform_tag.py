"""Has a tag for the machine that built it.

## What it flags

A wheel with a platform tag that the package index refuses, above all linux_x86_64 and its like.

## Why it matters

Such a tag says nothing about the C library or its version, so nobody else can know whether the wheel works on their
system. The index refuses the upload:

    400 Binary wheel 'demo-1.0-cp312-cp312-linux_x86_64.whl' has an unsupported platform tag 'linux_x86_64'.

## Example

    note[local-platform-tag]: has a tag that the package index refuses
      (the whole package), Tag linux_x86_64
      = help: `relocate repair` makes it portable
      = more: relocate explain local-platform-tag

## How to fix it

`relocate repair` brings in the libraries that other systems may lack and gives the wheel the best tag that its
binaries allow.

## When it is fine

Between the build and the repair, and on an index of your own whose users all have the same system.

## How it decides

By the platform tags of the file name. linux_armv6l and linux_armv7l are accepted by the index and not flagged.

## References

- PEP 513, which reserved the linux tags for local use; PEP 600
- PyPI's documentation of uploads
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey
from relocator.platform_tags import columns, parse

ACCEPTED = ("linux_armv6l", "linux_armv7l")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each platform tag that only its builder can use."""
    for tag in columns(survey.container.tags).platforms:
        platform = parse(tag)
        if (platform.local and tag not in ACCEPTED) or not (platform.os or platform.fault):
            yield Finding(
                "local-platform-tag",
                Severity.NOTE,
                Certainty.CERTAIN,
                "has a tag that the package index refuses",
                Where(field="Tag", value=tag),
                help="`relocate repair` makes it portable" if platform.local else "offer it on an index of your own",
                repaired_by="repair" if platform.local else "",
            )


RULE = Rule("local-platform-tag", "Tags", Severity.NOTE, check, (), ("wheel",), "repair")
