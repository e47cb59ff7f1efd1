"""binary-in-pure-wheel: a decision table, bad first."""

from collections.abc import Sequence

import pytest

from builders import LINUX, binary, elf, macho, pe, survey
from relocator.findings import Severity
from relocator.model import Binary, Role
from relocator.rules.binary_in_pure_wheel import check
from relocator.target import Target

PURE = Target("any", "any", pythons=("py3",), abis=("none",))
E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE

CORE = binary("demo/_core.so", elf())
MAC = binary("demo/libcore.dylib", macho())
FAT = binary("demo/_core.so", macho(arch="x86_64"), macho(arch="arm64"))
WIN = binary("demo/core.dll", pe())
LAUNCHERS = [binary(f"demo/{name}.exe", pe(arch=arch), role=Role.PROGRAM) for name, arch in (("t32", "win32"), ("t64", "amd64"))]
PAYLOAD = binary("demo/data/agent.so", elf(), role=Role.PAYLOAD)


@pytest.mark.parametrize(
    ("binaries", "severities"),
    [
        ([CORE], [E]),
        ([FAT], [E]),
        ([CORE, *LAUNCHERS], [E]),
        ([CORE, MAC], [N]),
        ([CORE, MAC, WIN], [N]),
        (LAUNCHERS, [N]),
        ([PAYLOAD], [N]),
        ([], []),
    ],
)
def test_only_what_one_system_alone_can_import_is_an_error(binaries: Sequence[Binary], severities: list[Severity]) -> None:
    found = list(check(survey(*binaries, target=PURE, promises=[])))
    assert [finding.severity for finding in found] == severities


@pytest.mark.parametrize(
    ("purelib", "binaries", "severities"),
    [(True, [CORE], [W]), (True, [PAYLOAD], []), (True, [], []), (False, [CORE], []), (None, [CORE], [])],
)
def test_binaries_in_purelib_of_a_platform_wheel_are_a_warning(
    purelib: bool | None, binaries: Sequence[Binary], severities: list[Severity]
) -> None:
    found = list(check(survey(*binaries, target=LINUX, purelib=purelib)))
    assert [finding.severity for finding in found] == severities
    assert all(finding.primary.member == "demo-1.0.dist-info/WHEEL" for finding in found)
