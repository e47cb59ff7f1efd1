"""newer-cpu-than-tag: notes that ask for more than the first level of x86-64."""

import pytest

from builders import binary, elf, macho, survey
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Role
from relocator.rules.newer_cpu_than_tag import RULE, check
from relocator.target import Target


@pytest.mark.parametrize(("isa", "level"), [(2, "x86-64-v2"), (3, "x86-64-v2"), (7, "x86-64-v3"), (4, "x86-64-v3"), (15, "x86-64-v4")])
def test_flags_the_highest_level_that_is_asked_for(isa: int, level: str) -> None:
    (finding,) = check(survey(binary("demo/_core.so", elf(isa_needed=isa))))
    assert (finding.severity, finding.primary.value) == (Severity.ERROR, level)


@pytest.mark.parametrize("isa", [0, 1])
def test_the_first_level_is_fine(isa: int) -> None:
    assert list(check(survey(binary("demo/_core.so", elf(isa_needed=isa)), binary("demo/_other.so", macho())))) == []


@pytest.mark.parametrize(("member", "told"), [("demo/glibc-hwcaps/x86-64-v3/liba.so", False), ("demo/x86-64-v3/liba.so", True)])
def test_libraries_that_glibc_takes_for_newer_processors_alone_are_fine(member: str, told: bool) -> None:
    assert bool(list(check(survey(binary(member, elf(isa_needed=7)))))) == told


def test_what_no_import_reaches_is_a_warning_and_without_a_tag_nothing_is_said() -> None:
    payload = binary("demo/x.so", elf(isa_needed=7), role=Role.PAYLOAD)
    assert [finding.severity for finding in run_rules(survey(payload), [RULE]).findings] == [Severity.WARNING]
    assert run_rules(survey(payload, target=Target("", "")), [RULE]).findings == ()
