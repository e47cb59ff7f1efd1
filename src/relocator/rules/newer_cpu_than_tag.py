"""Needs a newer processor than its tag promises.

## What it flags

An ELF file whose notes say that it needs more than the first level of x86-64: x86-64-v2 (SSE4.2), v3 (AVX2) or v4 (AVX-512).

## Why it matters

A platform tag names an architecture and no level, so the wheel is installed on every x86-64 processor. glibc 2.33 and newer read the note
and refuse the file on an older processor:

    ImportError: demo/_core.so: CPU ISA level is lower than required

Older glibc, and musl, load it, and the process ends with `Illegal instruction` as soon as it meets one.

## Example

    error[newer-cpu-than-tag]: needs a newer processor than manylinux_2_17_x86_64 promises
      demo/_core.so (x86_64), GNU_PROPERTY_X86_ISA_1_NEEDED x86-64-v3
      = help: build with -march=x86-64, and choose faster code at run time
      = more: relocate explain newer-cpu-than-tag

## How to fix it

Build with `-march=x86-64`, and look for `-march=native` or `-march=x86-64-v3` in the flags, also of libraries that are linked in. Code for
newer processors can be chosen at run time: by `__builtin_cpu_supports`, `target_clones`, or in a second module that Python imports
when the processor fits.

## When it is fine

When something looks at the processor before it loads the file, and loads another one where that does not fit. Nothing in the wheel says
so.

## How it decides

By GNU_PROPERTY_X86_ISA_1_NEEDED, which linkers write when asked to (`-z x86-64-v2`, or `-mneeded` of the compiler). Few files have
it, and its absence proves nothing: code that merely uses newer instructions is not looked for. Libraries in a folder glibc-hwcaps are there
for newer processors alone and are not flagged.

## References

- System V ABI, "AMD64 Architecture Processor Supplement", 3.1.1 and "Linux Extensions to gABI"
- glibc, `sysdeps/x86/dl-prop.h`
- https://github.com/pola-rs/polars/issues/2922
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey
from relocator.native import ElfFacts

_FIRST_LEVEL = 1
"""GNU_PROPERTY_X86_ISA_1_BASELINE; each following bit is one level more."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each image whose notes ask for a level above the first."""
    for binary, image in survey.images():
        if not isinstance(image.native, ElfFacts) or image.native.isa_needed <= _FIRST_LEVEL or "/glibc-hwcaps/" in f"/{binary.member}":
            continue
        level = f"x86-64-v{image.native.isa_needed.bit_length()}"
        yield Finding(
            "newer-cpu-than-tag",
            Severity.ERROR,
            Certainty.CERTAIN,
            f"needs a newer processor than {survey.target.tag} promises",
            Where(binary.member, image.arch, "GNU_PROPERTY_X86_ISA_1_NEEDED", None, level),
            help="build with -march=x86-64, and choose faster code at run time",
        )


RULE = Rule("newer-cpu-than-tag", "Architecture", Severity.ERROR, check, (Format.ELF,), needs_promise=True)
