"""Asks for a stack from which code can be run.

## What it flags

An ELF file whose PT_GNU_STACK header has the execute flag, or that has no such header, on an architecture where that means the same.

## Why it matters

glibc 2.41 and newer do not make the stack executable once a program runs, and refuse to load the file: `cannot enable executable stack as
shared object requires: Invalid argument`. SELinux forbids it with `Permission denied`. Where it is allowed, one such library gives the
whole process an executable stack, which turns a buffer overflow into a way to run code.

## Example

    error[executable-stack]: asks for an executable stack
      demo.libs/libfast-1a2b3c4d.so.1 (x86_64), PT_GNU_STACK RWE
      = help: let `relocate repair` clear the flag, or link with -Wl,-z,noexecstack
      = more: relocate explain executable-stack

## How to fix it

`relocate repair` clears the flag: one byte. A header that is missing only the linker can make.

Almost never is the stack really meant to run code. The usual cause is an assembler source that does not say that it needs no such stack;
add `.section .note.GNU-stack,"",%progbits` to it, or link with `-Wl,-z,noexecstack`. Code that takes the address of a nested function, a
GNU extension of C, does need it and has to be rewritten.

## When it is fine

With `GLIBC_TUNABLES=glibc.rtld.execstack=2` in the environment glibc 2.41 does as before. musl and Android do not look at the flag of
libraries, so it is a warning there, and for programs, which the kernel gives what they ask for.

## How it decides

By the header's flags. A missing header stands for an executable stack on x86_64, i686, armv7l, s390x and others; on aarch64, riscv64,
loongarch64, ppc64 and ppc64le it does not.

## References

- glibc, `elf/dl-load.c` and `sysdeps/*/stackinfo.h`; NEWS of 2.41
- https://github.com/OpenNMT/CTranslate2/issues/1849
- https://github.com/pypa/auditwheel/issues/634
- https://github.com/conda-forge/jaxlib-feedstock/issues/310
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.libc import libc_of
from relocator.model import Format, Survey
from relocator.native import ElfFacts

EXECUTABLE_BY_DEFAULT = frozenset({"x86_64", "i686", "armv6l", "armv7l", "s390x", "ppc", "mips", "mips64", "sparc64"})
"""Architectures on which a file without a PT_GNU_STACK gets an executable stack (stackinfo.h, DEFAULT_STACK_PERMS)."""

_EXECUTE, _WRITE, _READ = 1, 2, 4


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each ELF image that asks for an executable stack."""
    for binary, image in survey.images():
        if not isinstance(image.native, ElfFacts):
            continue
        flags = image.native.stack_flags
        if flags is None and image.arch not in EXECUTABLE_BY_DEFAULT:
            continue
        if flags is not None and not flags & _EXECUTE:
            continue
        glibc = libc_of(image, survey.target) == "glibc"
        label = f"there is none, which means the same on {image.arch}" if flags is None else ""
        yield Finding(
            "executable-stack",
            Severity.ERROR if glibc else Severity.WARNING,
            Certainty.CERTAIN,
            "asks for an executable stack",
            Where(binary.member, image.arch, "PT_GNU_STACK", None, _letters(flags), label=label),
            help=("let `relocate repair` clear the flag, or " if flags is not None else "") + "link with -Wl,-z,noexecstack",
            repaired_by="repair" if flags is not None else "",
        )


def _letters(flags: int | None) -> str:
    """Write p_flags as readelf does."""
    if flags is None:
        return ""
    return "".join(letter for bit, letter in ((_READ, "R"), (_WRITE, "W"), (_EXECUTE, "E")) if flags & bit)


RULE = Rule(
    "executable-stack", "ELF health", Severity.ERROR, check, (Format.ELF,), repaired_by="repair", security=True, containers=EVERYWHERE
)
