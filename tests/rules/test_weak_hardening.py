"""weak-hardening: protections that a format has and a file lacks."""

import pytest

from builders import WINDOWS, binary, elf, macho, pe, survey
from relocator.findings import Severity
from relocator.model import Image
from relocator.native import Segment
from relocator.rules.weak_hardening import check

CODE, DATA, BOTH = (Segment(0, 0, 0x1000, 0x1000, flags, 0x1000) for flags in (5, 6, 7))
FULL = 0x160


def program(**facts: object) -> Image:
    return elf(kind="program", **facts)  # type: ignore[arg-type]


def fields(image: Image) -> list[tuple[str, str]]:
    findings = list(check(survey(binary("demo/x", image))))
    assert {finding.severity for finding in findings} <= {Severity.NOTE}
    return [(finding.primary.field, finding.primary.value or finding.primary.label) for finding in findings]


LACKS = {
    "no RELRO": (elf(relro=False, segments=(CODE, DATA)), [("PT_GNU_RELRO", "there is none")]),
    "a segment that can be written and run": (elf(segments=(BOTH,)), [("PT_LOAD", "RWE")]),
    "a program at a fixed address": (program(type=2), [("e_type", "ET_EXEC")]),
    "no ASLR, and then nothing about its entropy": (pe(dll_characteristics=0x100), [("DllCharacteristics", "0x100")]),
    "relocations stripped": (pe(dll_characteristics=FULL, characteristics=1), [("DllCharacteristics", "0x160")]),
    "few addresses": (pe(dll_characteristics=0x140), [("DllCharacteristics", "0x140")]),
    "no NX": (pe(dll_characteristics=0x60), [("DllCharacteristics", "0x60")]),
    "two of them": (pe(dll_characteristics=0x40), [("DllCharacteristics", "0x40"), ("DllCharacteristics", "0x40")]),
    "a section that can be written and run": (pe(dll_characteristics=FULL, writable_code=(".text",)), [("section", ".text")]),
    "a Mach-O program at a fixed address": (macho(arch="x86_64", kind="program"), [("flags", "no MH_PIE")]),
    "a stack for code": (macho(flags=0x20085), [("flags", "MH_ALLOW_STACK_EXECUTION")]),
}


@pytest.mark.parametrize("case", LACKS)
def test_flags(case: str) -> None:
    image, expected = LACKS[case]
    assert fields(image) == expected


GOOD = {
    "a library with RELRO": elf(segments=(CODE, DATA)),
    "a library that binds lazily": elf(segments=(CODE, DATA), bind_now=False),
    "a library without writable data": elf(relro=False, segments=(CODE,)),
    "a static program that can be moved": program(type=3, relro=False, dynamic=False, segments=(CODE, DATA)),
    "a DLL as linkers make it": pe(dll_characteristics=FULL),
    "a 32-bit DLL": pe(arch="win32", dll_characteristics=0x140, plus=False),
    "a DLL without control flow guard": pe(dll_characteristics=FULL, guard_flags=0),
    "a .NET assembly": pe(dll_characteristics=0, managed=True),
    "a dylib": macho(kind="library"),
    "a Mach-O program for Apple's processors": macho(kind="program"),
    "a Mach-O program that can be moved": macho(arch="x86_64", kind="program", flags=0x200085),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert fields(GOOD[case]) == []


def test_each_lack_is_told_in_its_own_words() -> None:
    findings = list(check(survey(binary("demo/x.pyd", pe(dll_characteristics=0)), target=WINDOWS)))
    assert len({finding.message for finding in findings}) == len({finding.help for finding in findings}) == 2
