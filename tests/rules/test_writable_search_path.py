"""writable-search-path: what every user may fill."""

import pytest

from builders import LINUX, MACOS, binary, elf, macho, survey
from linked import linked
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Role
from relocator.rules import build_search_path, relative_search_path
from relocator.rules.writable_search_path import RULE, check


def found(text: str) -> list[str]:
    linux = check(survey(binary("demo/_core.so", elf(runpath=f"$ORIGIN:{text}")), target=LINUX))
    macos = check(survey(binary("demo/_core.so", macho(rpaths=["@loader_path", text])), target=MACOS))
    findings = [*linux, *macos]
    assert {(finding.severity, finding.primary.position, finding.repaired_by) for finding in findings} <= {(Severity.WARNING, 1, "repair")}
    return [finding.primary.label for finding in findings]


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("/tmp", "/tmp"),
        ("/tmp/", "/tmp"),
        ("/tmp/build/lib", "/tmp"),
        ("//tmp/x", "/tmp"),
        ("/usr/../tmp/x", "/tmp"),
        ("/var/tmp/x", "/var/tmp"),
        ("/dev/shm/x", "/dev/shm"),
        ("/private/tmp/x", "/private/tmp"),
        ("/Users/Shared/lib", "/Users/Shared"),
    ],
)
def test_flags(text: str, root: str) -> None:
    assert found(text) == [f"everybody may create files below {root}"] * 2


@pytest.mark.parametrize("text", ["/tmpfs/x", "/usr/lib", "/home/me/tmp", "/tmp/../usr/lib", "tmp/x", "/opt/tmp", "/Users/me/lib"])
def test_is_silent_about(text: str) -> None:
    assert found(text) == []


def test_no_other_rule_about_search_paths_says_it_again() -> None:
    survey_ = survey(binary("demo/_core.so", elf(runpath="/tmp/x"), role=Role.PAYLOAD))
    findings = run_rules(survey_, [RULE, build_search_path.RULE, relative_search_path.RULE]).findings
    assert [(finding.rule, finding.severity) for finding in findings] == [("writable-search-path", Severity.WARNING)]


@pytest.mark.parametrize(
    ("needed", "severity"), [("libx.so.1", Severity.ERROR), ("libown.so.1", Severity.WARNING), ("libc.so.6", Severity.WARNING)]
)
def test_it_is_an_error_where_a_library_is_looked_for_there(needed: str, severity: Severity) -> None:
    root = binary("demo/_core.so", elf(needed, runpath="$ORIGIN:/tmp/x"), extension="demo._core")
    own = binary("demo/libown.so.1", elf(soname="libown.so.1"))
    assert [finding.severity for finding in check(linked(root, own))] == [severity]
