"""Needs a newer glibc than the tag promises.

## What it flags

An ELF file that asks libc.so.6, libm.so.6 or another part of glibc for a symbol version above the tag's number:
`GLIBC_2.34` in a wheel tagged manylinux_2_17. One finding for each file and library, with the highest version and a
symbol that has it.

## Why it matters

The tag says that the wheel works with that glibc, so installers choose it there. The loader then refuses the file:

    ImportError: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by .../demo/_core.so)

## Example

    error[newer-glibc-than-tag]: needs a newer glibc than manylinux_2_17 promises
      demo/_core.so (x86_64), DT_VERNEED GLIBC_2.34 pthread_create@GLIBC_2.34: from libc.so.6
      = help: `relocate repair` gives the wheel the tag that fits; to keep this one, build with an older glibc
      = more: relocate explain newer-glibc-than-tag

## How to fix it

Give the wheel the tag that its binaries need: `relocate repair` does, and `relocate show` names it. To keep the tag,
build on a system with that glibc, such as the manylinux image of the same number. A single symbol can often be
avoided: the finding names it.

## When it is fine

When the wheel is never installed on such an old system. The tag still promises it.

## How it decides

By the version needs of the file (DT_VERNEED), weak ones left out, since their absence is not fatal. What the tag's
level offers comes from the table of surveyed levels; for a level that nobody surveyed every version up to its number
counts. Versions asked of a library that comes with the package do not count, nor does GLIBC_PRIVATE, which is no
version. A file whose packed relocations already need glibc 2.36 is left to `needs-relr-support`. A local tag
(linux_x86_64) promises no level, so nothing is newer than it.

## References

- PEP 600
- Linux Standard Base Core, section 10.7, "Symbol Versioning"
- the tables' source and date are in the data file beside the Linux backend
- https://github.com/pypa/auditwheel/issues/354
"""

from collections.abc import Iterator

from relocator import demands
from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and library of glibc whose highest version the tag does not promise."""
    for item in demands.too_new(survey):
        if not item.version.startswith("GLIBC_") or demands.lacks_relr(survey, item.image):
            continue
        yield Finding(
            "newer-glibc-than-tag",
            Severity.ERROR,
            Certainty.CERTAIN,
            f"needs a newer glibc than {demands.level_name(survey, item.image.arch)} promises",
            demands.place_of(item),
            help="`relocate repair` gives the wheel the tag that fits; to keep this one, build with an older glibc",
            repaired_by="repair",
        )


RULE = Rule("newer-glibc-than-tag", "Tags", Severity.ERROR, check, (Format.ELF,), repaired_by="repair", needs_promise=True)
