"""executable-stack: what glibc 2.41 refuses."""

import pytest

from builders import LINUX, binary, elf, macho, survey
from relocator.audit import run_rules
from relocator.findings import Finding, Severity
from relocator.model import Needed, Role
from relocator.rules.executable_stack import RULE, check
from relocator.target import Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
ANDROID = Target("android_24_x86_64", "android", "bionic", (("x86_64", (24,)),))
UNDECIDED = Target("", "")


def found(flags: int | None, target: Target = LINUX, arch: str = "x86_64", **facts: object) -> list[Finding]:
    image = elf(stack_flags=flags, arch=arch, **facts)  # type: ignore[arg-type]
    return list(check(survey(binary("demo/_core.so", image), target=target)))


@pytest.mark.parametrize(("flags", "value"), [(7, "RWE"), (1, "E"), (5, "RE"), (3, "WE")])
def test_flags_an_execute_bit_on_every_architecture(flags: int, value: str) -> None:
    for arch in ("x86_64", "aarch64", "riscv64", "ppc64le"):
        (finding,) = found(flags, arch=arch)
        assert (finding.severity, finding.primary.field, finding.primary.value) == (Severity.ERROR, "PT_GNU_STACK", value)
        assert finding.repaired_by == "repair"


@pytest.mark.parametrize("flags", [6, 4, 0])
def test_is_silent_without_an_execute_bit(flags: int) -> None:
    assert found(flags) == []


@pytest.mark.parametrize("arch", ["x86_64", "i686", "armv7l", "s390x"])
def test_a_missing_header_is_executable_by_default(arch: str) -> None:
    (finding,) = found(None, arch=arch)
    assert (finding.primary.value, finding.primary.label) == ("", f"there is none, which means the same on {arch}")
    assert (finding.repaired_by, finding.help) == ("", "link with -Wl,-z,noexecstack")


@pytest.mark.parametrize("arch", ["aarch64", "riscv64", "loongarch64", "ppc64", "ppc64le"])
def test_a_missing_header_is_fine_by_default(arch: str) -> None:
    assert found(None, arch=arch) == []


@pytest.mark.parametrize(("target", "expected"), [(LINUX, Severity.ERROR), (MUSL, Severity.WARNING), (ANDROID, Severity.WARNING)])
def test_severity_by_c_library(target: Target, expected: Severity) -> None:
    assert [finding.severity for finding in found(7, target)] == [expected]


def test_without_a_target_the_file_says_which_c_library() -> None:
    glibc = binary("a.so", elf(Needed("libc.so.6"), stack_flags=7))
    musl = binary("b.so", elf(Needed("libc.musl-x86_64.so.1"), stack_flags=7))
    assert [finding.severity for finding in check(survey(glibc, musl, target=UNDECIDED))] == [Severity.ERROR, Severity.WARNING]


@pytest.mark.parametrize(("role", "expected"), [(Role.IMPORTED, Severity.ERROR), (Role.PROGRAM, Severity.WARNING)])
def test_a_program_is_a_warning(role: Role, expected: Severity) -> None:
    kind = "program" if role == Role.PROGRAM else "library"
    (finding,) = run_rules(survey(binary("demo/x", elf(stack_flags=7, kind=kind), role=role)), [RULE]).findings
    assert finding.severity == expected


def test_other_formats_have_no_such_header() -> None:
    assert list(check(survey(binary("demo/_core.so", macho())))) == []
