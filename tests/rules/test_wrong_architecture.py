"""wrong-architecture: what no processor that the tag promises can run."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from builders import LINUX, MACOS, WINDOWS, binary, elf, macho, pe, survey
from relocator.findings import Finding, Severity
from relocator.model import Binary, Role
from relocator.rules.wrong_architecture import RULE, check
from relocator.target import Target

ARM = Target("manylinux_2_31_armv7l", "linux", "glibc", (("armv7l", (2, 31)),))
WINDOWS_ARM = Target("win_arm64", "windows", "", (("arm64", ()),))
PURE = Target("any", "any")
UNDECIDED = Target("", "")

ELF_NAME = "demo/_core.cpython-312-x86_64-linux-gnu.so"


def module(image: object, member: str = ELF_NAME) -> Binary:
    return binary(member, image, extension="demo._core")  # type: ignore[arg-type]


def found(binaries: Iterable[Binary], target: Target) -> list[Finding]:
    return list(check(survey(*binaries, target=target)))


BAD = {
    "a Linux extension for another processor": ([module(elf(arch="aarch64"))], LINUX),
    "a 32-bit one": ([module(elf(arch="i686", bits=32))], LINUX),
    "a library that an extension brings": ([module(elf("liba.so")), binary("demo/liba.so", elf(arch="aarch64"))], LINUX),
    "a macOS slice for Intel in a wheel for Apple silicon": ([module(macho(arch="x86_64"), "demo/_core.abi3.so")], MACOS),
    "a 32-bit DLL": ([module(pe(arch="win32"), "demo/_core.pyd")], WINDOWS),
    "an amd64 DLL in an arm64 wheel": ([module(pe(arch="amd64"), "demo/_core.pyd")], WINDOWS_ARM),
    "an extension in another system's format": ([module(macho(arch="arm64"))], LINUX),
    "a .pyd in a Linux wheel without a counterpart": ([module(pe(), "demo/_core.cp312-win_amd64.pyd")], LINUX),
    "a soft-float library for Arm": ([module(elf(arch="armv7l", bits=32, header_flags=0x5000200))], ARM),
    "payload of another architecture whose path does not say so": ([binary("demo/helper", elf(arch="aarch64"), role=Role.PAYLOAD)], LINUX),
    "an imported library does not get away with its name": ([binary("demo/libarm64.so", elf(arch="aarch64"))], LINUX),
}

GOOD = {
    "the right processor": ([module(elf())], LINUX),
    "one slice of several fits": ([module(macho(arch="x86_64")), module(macho(arch="arm64"))], MACOS),
    "a universal file in a thin wheel": (
        [binary("demo/_core.so", macho(arch="x86_64"), macho(arch="arm64"), extension="demo._core")],
        MACOS,
    ),
    "an ARM64X DLL under both names": ([module(pe(arch="amd64", hybrid=True), "demo/_core.pyd")], WINDOWS_ARM),
    "an ARM64X DLL on amd64": ([module(pe(arch="arm64", hybrid=True), "demo/_core.pyd")], WINDOWS),
    "the same module for two systems": ([module(elf()), module(pe(), "demo/_core.cp312-win_amd64.pyd")], LINUX),
    "hard float": ([module(elf(arch="armv7l", bits=32, header_flags=0x5000400))], ARM),
    "debugpy's payload": ([binary("pydevd/attach_x86.dll", pe(arch="win32"), role=Role.PAYLOAD)], WINDOWS),
    "a folder that names the architecture": ([binary("demo/lib/x86_64/helper.so", elf(), role=Role.PAYLOAD)], ARM),
    "a sibling of the same base name": ([binary("a/libx.so", elf(arch="aarch64")), binary("b/libx.so", elf())], LINUX),
    "another system's DLL": ([binary("demo/helper.dll", pe(), role=Role.PAYLOAD)], LINUX),
    "a pure wheel": ([module(elf(arch="aarch64"))], PURE),
    "no target": ([module(elf(arch="aarch64"))], UNDECIDED),
    "a file from outside": ([replace(module(elf(arch="aarch64")), owner="")], LINUX),
}


@pytest.mark.parametrize("case", BAD)
def test_flags(case: str) -> None:
    findings = found(*BAD[case])
    assert [f.severity for f in findings] == [Severity.ERROR]
    assert findings[0].rule == RULE.name


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert found(*GOOD[case]) == []


def test_says_what_the_file_is_for_and_what_was_promised() -> None:
    (finding,) = found([module(elf(arch="aarch64"))], LINUX)
    assert (finding.primary.field, finding.primary.value, finding.primary.arch) == ("e_machine", "aarch64", "aarch64")
    assert finding.primary.label == "the tag promises x86_64"
    assert finding.help.startswith("build it for x86_64")


def test_a_foreign_format_is_named() -> None:
    (finding,) = found([module(pe(), "demo/_core.pyd")], LINUX)
    assert (finding.primary.field, finding.primary.value) == ("format", "PE")
