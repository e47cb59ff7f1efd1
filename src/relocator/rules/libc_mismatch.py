"""Was linked with another C library than the tag's.

## What it flags

A glibc binary in a musllinux or Android wheel, a musl binary in a manylinux wheel, an Android binary in either.

## Why it matters

Each of these C libraries has its own loader, its own names and its own layout of data. The other loader finds no libc
by that name, or finds its own and misses symbols:

    Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by .../demo/_core.so)
    ImportError: libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory

## Example

    error[libc-mismatch]: is linked with glibc in a wheel for musl
      demo/_core.so (x86_64), DT_NEEDED ld-linux-x86-64.so.2
      = help: build it for musl, or correct the tag
      = more: relocate explain libc-mismatch

## How to fix it

Build in an image of the tag's kind (musllinux images are Alpine Linux), or correct the tag. Often a build step
downloaded a prebuilt library for "linux": take the one for this C library.

## When it is fine

A program that a wheel only carries along (a payload) may be meant for another system; it is reported one step lower.

## How it decides

By the loader's name among the needs or as interpreter, then the name of libc, then version needs on glibc, then
Android's ident note. A static program, or a library that needs no C library, has no such mark and is never flagged.
The need for the foreign loader is not reported as a missing library again.

## References

- PEP 600 (manylinux), PEP 656 (musllinux), PEP 738 (Android)
- musl, "Functional differences from glibc"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.libc import evidence_of_libc
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each ELF image that is made for another C library."""
    wanted = survey.target.libc
    for binary, image in survey.images() if wanted else ():
        if image.format != Format.ELF or image.arch not in survey.target.arches:
            continue
        found, field, value = evidence_of_libc(image)
        if found and found != wanted:
            position = next((i for i, need in enumerate(image.needed) if need.name == value), None) if field == "DT_NEEDED" else None
            yield Finding(
                "libc-mismatch",
                Severity.ERROR,
                Certainty.CERTAIN,
                f"is linked with {found} in a wheel for {wanted}",
                Where(binary.member, image.arch, field, position, value),
                help=f"build it for {wanted}, or correct the tag",
            )


RULE = Rule(
    "libc-mismatch",
    "Tags",
    Severity.ERROR,
    check,
    (Format.ELF,),
    supersedes=("missing-library",),
    needs_promise=True,
)
