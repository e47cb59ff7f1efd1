"""text-relocations: code that is changed when it is loaded."""

import pytest

from builders import binary, elf, macho, survey
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Role
from relocator.rules.text_relocations import RULE, check


@pytest.mark.parametrize("arch", ["x86_64", "i686", "aarch64"])
def test_flags_on_every_architecture(arch: str) -> None:
    (finding,) = check(survey(binary("demo/_core.so", elf(arch=arch, text_relocations=True))))
    assert (finding.severity, finding.primary.arch, finding.primary.field) == (Severity.WARNING, arch, "DT_TEXTREL")


def test_what_no_import_reaches_is_a_note() -> None:
    one = binary("demo/tool", elf(kind="program", text_relocations=True), role=Role.PROGRAM)
    assert [finding.severity for finding in run_rules(survey(one), [RULE]).findings] == [Severity.NOTE]


def test_is_silent_without_them_and_about_other_formats() -> None:
    assert list(check(survey(binary("demo/_core.so", elf()), binary("demo/_other.so", macho())))) == []
