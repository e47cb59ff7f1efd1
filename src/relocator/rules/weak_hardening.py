"""Lacks a protection that its format has and that costs nothing.

## What it flags

- ELF: no PT_GNU_RELRO, so that tables of addresses stay writable; a program that is not position-independent; a segment that can be
  written and run.
- PE: no DYNAMIC_BASE, NX_COMPAT or, in 64-bit files, HIGH_ENTROPY_VA; a section that can be written and run.
- Mach-O: a program without MH_PIE for Intel processors; MH_ALLOW_STACK_EXECUTION.

## Why it matters

These make it harder to turn a memory error into a way to run code: at addresses that are known beforehand, in memory that can be
written. Compilers and linkers have switched all of them on by default for years, so a file that lacks one was built by an old tool, or by
one that was told to leave it out.

## Example

    note[weak-hardening]: is a program that is always loaded at the same address
      demo/bin/server (x86_64), e_type ET_EXEC: not position-independent
      = help: compile with -fPIE and link with -pie
      = more: relocate explain weak-hardening

## How to fix it

With GCC and Clang: `-Wl,-z,relro`, and `-fPIE -pie` for programs. With MSVC: leave `/DYNAMICBASE`, `/NXCOMPAT` and `/HIGHENTROPYVA`
alone. MinGW: `-Wl,--dynamicbase,--nxcompat,--high-entropy-va`.

## When it is fine

Code that is made at run time needs memory that can be written and run, but not in the file. Where the package never sees data from
elsewhere, little can happen.

## How it decides

By the headers. A missing BIND_NOW alone is not flagged, since most libraries bind lazily; neither are stack canaries, fortified
functions and control flow guard, whose absence cannot be told from code that has no use for them. Libraries without writable data and
.NET assemblies need none of this. An executable stack is told by `executable-stack`.

## References

- Microsoft, "PE Format", DLL Characteristics
- Red Hat, "Hardening ELF binaries using Relocation Read-Only (RELRO)"
- lintian, "hardening-no-relro", "hardening-no-pie"; BinSkim, BA2009, BA2015, BA2016, BA2021, BA3010
"""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Image, Survey
from relocator.native import ElfFacts, MachOFacts, PeFacts

_ET_EXEC = 2
_EXECUTE, _WRITE = 1, 2  # PF_*
_MH_ALLOW_STACK_EXECUTION, _MH_PIE = 0x20000, 0x200000
_HIGH_ENTROPY_VA, _DYNAMIC_BASE, _NX_COMPAT = 0x20, 0x40, 0x100
_RELOCS_STRIPPED = 0x1  # IMAGE_FILE_*: without them nothing can be moved


class Lack(NamedTuple):
    """One protection that is missing."""

    message: str
    field: str
    value: str
    label: str
    help: str


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one note for each image and protection that it lacks."""
    for binary, image in survey.images():
        for lack in _lacks(image):
            where = Where(binary.member, image.arch, lack.field, None, lack.value, label=lack.label)
            yield Finding("weak-hardening", Severity.NOTE, Certainty.CERTAIN, lack.message, where, help=lack.help)


def _lacks(image: Image) -> Iterator[Lack]:
    if isinstance(image.native, ElfFacts):
        return _elf(image.native, image.kind)
    if isinstance(image.native, MachOFacts):
        return _macho(image.native, image)
    return _pe(image.native)


def _elf(facts: ElfFacts, kind: str) -> Iterator[Lack]:
    if facts.dynamic and not facts.relro and any(segment.flags & _WRITE for segment in facts.segments):
        yield Lack("keeps its tables of addresses writable", "PT_GNU_RELRO", "", "there is none", "link with -Wl,-z,relro")
    if kind == "program" and facts.type == _ET_EXEC:
        yield Lack(
            "is a program that is always loaded at the same address",
            "e_type",
            "ET_EXEC",
            "not position-independent",
            "compile with -fPIE and link with -pie",
        )
    if any(segment.flags & _WRITE and segment.flags & _EXECUTE for segment in facts.segments):
        yield _writable_code("PT_LOAD", "RWE", "link without -Wl,-N and without a linker script that joins code and data")


def _writable_code(field: str, value: str, advice: str) -> Lack:
    return Lack("has code that can be written", field, value, "", advice)


def _macho(facts: MachOFacts, image: Image) -> Iterator[Lack]:
    if image.kind == "program" and image.arch.startswith("x86_64") and not facts.flags & _MH_PIE:
        yield Lack("is a program that is always loaded at the same address", "flags", "", "no MH_PIE", "link without -no_pie")
    if facts.flags & _MH_ALLOW_STACK_EXECUTION:
        label = "MH_ALLOW_STACK_EXECUTION"
        yield Lack("lets the stack hold code", "flags", "", label, "link without -allow_stack_execute")


def _pe(facts: PeFacts) -> Iterator[Lack]:
    if facts.managed:
        return
    flags, field, value = facts.dll_characteristics, "DllCharacteristics", f"{facts.dll_characteristics:#x}"
    if not flags & _DYNAMIC_BASE or facts.characteristics & _RELOCS_STRIPPED:
        what = "no DYNAMIC_BASE" if not flags & _DYNAMIC_BASE else "relocations are stripped"
        yield Lack("is always loaded at the same address", field, value, what, "link with /DYNAMICBASE (MinGW: -Wl,--dynamicbase)")
    elif facts.plus and not flags & _HIGH_ENTROPY_VA:
        advice = "link with /HIGHENTROPYVA (MinGW: -Wl,--high-entropy-va)"
        yield Lack("is loaded at one of few addresses", field, value, "no HIGH_ENTROPY_VA", advice)
    if not flags & _NX_COMPAT:
        yield Lack("lets data be run as code", field, value, "no NX_COMPAT", "link with /NXCOMPAT (MinGW: -Wl,--nxcompat)")
    for name in facts.writable_code:
        yield _writable_code("section", name, "do not merge code and data sections (/MERGE, /SECTION)")


RULE = Rule("weak-hardening", "ELF health", Severity.NOTE, check, security=True)
