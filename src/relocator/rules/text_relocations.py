"""Has code that must be changed when it is loaded.

## What it flags

An ELF file with DT_TEXTREL or DF_TEXTREL: some of its relocations lie in segments that are not writable, most often in the code.

## Why it matters

The loader makes the code writable, changes it, and makes it executable again. SELinux and hardened kernels do not let it, and then the
library cannot be loaded: `cannot restore segment prot after reloc: Permission denied`. Android refuses such libraries. Where it is
allowed, each process has a copy of its own of that code, and for a moment memory that can be both written and run.

## Example

    warning[text-relocations]: has code that must be changed when it is loaded
      demo/_core.so (x86_64), DT_TEXTREL: there are relocations in segments that are not writable
      = help: compile all sources with -fPIC, and link with -Wl,-z,text to find those that are not
      = more: relocate explain text-relocations

## How to fix it

Compile all of the library's sources with `-fPIC`, static libraries that go into it included. Assembler sources need a closer look: they
must address data relative to the program counter or through the global offset table. The linker names the places with `-Wl,-z,text`, which
makes it an error.

## When it is fine

For programs on machines whose policy allows it. On i686 it used to be common.

## How it decides

By the dynamic section's flags.

## References

- System V gABI, "Dynamic Section", DT_TEXTREL
- Android, "Changes to library loading in API 23"
- https://github.com/viblo/pymunk/issues/36
- lintian, "shlib-with-non-pic-code"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey
from relocator.native import ElfFacts


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each image with relocations in what is not writable."""
    for binary, image in survey.images():
        if isinstance(image.native, ElfFacts) and image.native.text_relocations:
            yield Finding(
                "text-relocations",
                Severity.WARNING,
                Certainty.CERTAIN,
                "has code that must be changed when it is loaded",
                Where(binary.member, image.arch, "DT_TEXTREL", label="there are relocations in segments that are not writable"),
                help="compile all sources with -fPIC, and link with -Wl,-z,text to find those that are not",
            )


RULE = Rule("text-relocations", "ELF health", Severity.WARNING, check, (Format.ELF,), security=True)
