"""Is made for another processor than the tag promises.

## What it flags

An extension module, or a library that one needs or opens, none of whose images fits an architecture of the tag: a Linux library for
aarch64 in an x86_64 wheel, a macOS file for x86_64 alone in an arm64 wheel, a 32-bit DLL in a win_amd64 wheel, and an extension module
in another system's format. For 32-bit Arm also a library with the soft-float calling convention, which manylinux and musllinux exclude.

## Why it matters

The loader refuses the file or passes it over: `wrong ELF class: ELFCLASS32`, `cannot open shared object file`, `%1 is not a valid Win32
application`, `mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64')`. The import fails on every machine that the
tag admits, although the wheel installs without a word.

## Example

    error[wrong-architecture]: is made for another architecture than the tag promises
      demo/_core.cpython-312-darwin.so (x86_64), cputype x86_64: the tag promises arm64
      = help: build it for arm64, or give the wheel a tag for x86_64
      = more: relocate explain wrong-architecture

It comes from cross compiling with a dependency of the build machine, from a build folder that is used for two architectures, and from
building under Rosetta or in a 32-bit Python.

## How to fix it

Build for the architecture of the tag: `ARCHFLAGS="-arch arm64"` with setuptools, `CMAKE_OSX_ARCHITECTURES` with CMake, `-A x64` with
Visual Studio generators, and empty the build folder between two architectures. If the binary is right and the tag is wrong, change the
tag.

## When it is fine

A file that a program picks by its name (`attach_x86.dll`) or that has a sibling for the right architecture is left alone, and so is
another system's file that is no extension module. A remaining program or data file of another architecture is a warning only: a debugger
brings both on purpose.

## How it decides

By `e_machine` (and the class, and `e_flags` on Arm), by the `cputype` of each slice, by `Machine` in the COFF header; ARM64EC and ARM64X
files fit both arm64 and amd64. An extension module is at fault when no file of the same module name fits. Where the tag promises several
architectures, fitting one of them is enough here; `missing-slice` asks for all. Without a decided target, or with `any`, it says nothing.

## References

- System V ABI, chapter 4, "ELF Header"; Arm IHI 0044, "e_flags"
- `<mach/machine.h>`, `cpu_type_t`
- Microsoft PE format, "Machine Types"; "Arm64X PE files"
- PEP 425, 600 and 656, for the architectures in tags
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Image, Role, Survey
from relocator.native import ElfFacts
from relocator.roles import FORMAT_OF, maps

FIELDS = {Format.ELF: "e_machine", Format.MACHO: "cputype", Format.PE: "Machine"}

SOFT_FLOAT = 0x200
"""EF_ARM_ABI_FLOAT_SOFT."""

ARCHITECTURE_WORDS = (
    {"x86", "x64", "x32", "i386", "i586", "i686", "ia32", "amd64", "win32", "win64", "linux32", "linux64", "32", "64", "32bit", "64bit"}
    | {"arm", "arm64", "arm64ec", "aarch64", "armhf", "armv6l", "armv7", "armv7l", "ppc", "ppc64", "ppc64le", "s390x", "riscv64"}
    | {"loongarch64", "mips", "mips64"}
)
"""Words of a path that say which architecture a file is for, so that whoever opens it can choose."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each binary that fits no architecture of the target and has no counterpart that does."""
    wanted = FORMAT_OF.get(survey.target.os)
    if wanted is None or not survey.target.arches:
        return
    own = [binary for binary in survey.binaries if binary.owner]
    fitting = [binary for binary in own if maps(survey.target, binary) and not _soft_float(binary.images[0])]
    modules = {binary.extension for binary in fitting if binary.extension}
    names = {_base_name(binary) for binary in fitting}
    members = {binary.member for binary in fitting}
    for binary in own:
        if binary.extension:
            if binary.extension not in modules:
                yield _finding(survey, binary, wanted)
        elif binary.format == wanted and binary.member not in members and _base_name(binary) not in names and not _says_so(binary):
            yield _finding(survey, binary, wanted)


def _soft_float(image: Image) -> bool:
    return isinstance(image.native, ElfFacts) and image.arch == "armv7l" and bool(image.native.header_flags & SOFT_FLOAT)


def _base_name(binary: Binary) -> str:
    return binary.member.rpartition("/")[2].casefold()


def _says_so(binary: Binary) -> bool:
    """Tell whether the path of a file that no import reaches names an architecture."""
    if binary.role == Role.IMPORTED:
        return False
    path = binary.member.casefold().replace("x86_64", "x64")
    words = "".join(c if c.isalnum() else " " for c in path).split()
    return not ARCHITECTURE_WORDS.isdisjoint(words)


def _finding(survey: Survey, binary: Binary, wanted: Format) -> Finding:
    arches = " and ".join(survey.target.arches)
    made_for = ", ".join(image.arch for image in binary.images)
    if binary.format != wanted:
        message, help_text = (
            "is an extension module in another system's format",
            f"build it for {survey.target.os}, or remove it from this wheel",
        )
        where = Where(binary.member, "", "format", None, str(binary.format), label=f"{wanted} is what {survey.target.os} loads")
    elif _soft_float(binary.images[0]):
        message, help_text = "is made for the soft-float ABI, which the tag excludes", "build it with -mfloat-abi=hard"
        where = Where(binary.member, made_for, "e_flags", None, "EF_ARM_ABI_FLOAT_SOFT", label="the tag means hard float")
    else:
        message = "is made for another architecture than the tag promises"
        help_text = f"build it for {arches}, or give the wheel a tag for {made_for}"
        where = Where(binary.member, made_for, FIELDS[wanted], None, made_for, label=f"the tag promises {arches}")
    return Finding("wrong-architecture", Severity.ERROR, Certainty.CERTAIN, message, where, help=help_text)


RULE = Rule("wrong-architecture", "Architecture", Severity.ERROR, check, containers=EVERYWHERE)
