"""The catalogue as a whole: table, folder, pages and examples agree."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import relocator.rules
from relocator.audit import run_rules
from relocator.errors import UsageError
from relocator.findings import Finding, Rule, Severity
from relocator.model import Format
from relocator.rules import RULES, named, page, select, summary
from rule_examples import EXAMPLES
from rule_pages import printed, rewrite, source_of

HEADINGS = ["What it flags", "Why it matters", "Example", "How to fix it", "When it is fine", "How it decides", "References"]
GROUPS = [
    "Linkage",
    "Symbols",
    "Tags",
    "Architecture",
    "Search paths",
    "Conflicts",
    "ELF health",
    "macOS",
    "Windows",
    "Python's ABI",
    "Archive",
]
NAMES = {rule.name for rule in RULES}
FOLDER = Path(relocator.rules.__file__).parent
OTHER_WORDS = {"delocate-merge", "msvc-runtime", "none-any"}
"""What pages quote besides rules."""

every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


def modules(folder: Path, pattern: str) -> set[str]:
    return {path.stem for path in folder.glob(pattern)}


def told(rule: Rule) -> list[Finding]:
    return list(rule.check(EXAMPLES[rule.name]()))


def texts(findings: Iterable[Finding]) -> list[str]:
    return [text for finding in findings for text in (finding.message, finding.help)]


def test_table_folder_and_tests_agree() -> None:
    names = {name.replace("-", "_") for name in NAMES}
    assert modules(FOLDER, "[a-z]*.py") == names
    assert {name.removeprefix("test_") for name in modules(Path(__file__).parent, "test_*.py")} - {"catalogue"} == names
    assert set(EXAMPLES) == NAMES
    assert len(RULES) == len(NAMES)


def test_groups_stand_together_in_the_order_in_which_people_read_them() -> None:
    assert list(dict.fromkeys(rule.group for rule in RULES)) == GROUPS
    assert [rule.group for rule in RULES] == sorted((rule.group for rule in RULES), key=GROUPS.index)


@every_rule
def test_the_name_is_made_of_words(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)


@every_rule
def test_the_page_has_the_fixed_headings_and_says_something_under_each(rule: Rule) -> None:
    text = page(rule.name)
    assert re.findall(r"(?m)^## (.*)$", text) == HEADINGS
    parts = re.split(r"(?m)^## .*$", text)[1:]
    assert all(part.startswith("\n\n") and len(part.strip()) > 10 for part in parts)
    assert all(line.startswith(("- ", "  ")) for line in parts[-1].strip().splitlines())


@every_rule
def test_the_summary_is_one_short_line(rule: Rule) -> None:
    assert summary(rule.name)[0].isupper()
    assert summary(rule.name).split()[0].endswith("s")
    assert len(summary(rule.name)) <= 100
    assert source_of(rule).read_text(encoding="utf-8").split("\n")[0].endswith(".")


@every_rule
def test_the_example_is_what_an_audit_prints(rule: Rule, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        rewrite(rule)
    source = source_of(rule).read_text(encoding="utf-8")
    assert f"## Example\n\n{printed(rule)}\n" in source


@every_rule
def test_superseded_and_repairing_names_exist(rule: Rule) -> None:
    assert set(rule.supersedes) <= NAMES - {rule.name}
    assert rule.repaired_by in ("", "repair", "edit", "prefix")
    assert set(rule.containers) <= {"wheel", "folder", "file", "environment"}
    assert set(rule.formats) <= set(Format)


def test_no_two_rules_supersede_one_another() -> None:
    pairs = {(rule.name, other) for rule in RULES for other in rule.supersedes}
    assert not {(a, b) for a, b in pairs if (b, a) in pairs}


@every_rule
def test_a_page_names_only_rules_that_exist(rule: Rule) -> None:
    quoted = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)*-[a-z]+)`", page(rule.name)))
    assert quoted - OTHER_WORDS <= NAMES - {rule.name}


@every_rule
def test_findings_bear_the_rules_name_and_are_no_graver_than_it_says(rule: Rule) -> None:
    findings = told(rule)
    assert findings
    assert {finding.rule for finding in findings} == {rule.name}
    assert max(finding.severity for finding in findings) <= rule.severity
    assert {finding.repaired_by for finding in findings} <= {"", rule.repaired_by}


@every_rule
def test_findings_are_told_in_plain_clauses_with_a_next_step(rule: Rule) -> None:
    for finding in told(rule):
        assert finding.message
        assert finding.help
    for text in texts(told(rule)):
        assert text == text.strip()
        assert not text.endswith(".")
        assert "\n" not in text
        assert not text.split()[0].istitle()


@every_rule
def test_search_paths_and_archive_are_not_milder_on_payload(rule: Rule) -> None:
    assert rule.by_role == (rule.group not in ("Search paths", "Archive"))


@every_rule
def test_its_example_is_that_rules_alone_when_all_rules_speak_about_the_place(rule: Rule) -> None:
    report = run_rules(EXAMPLES[rule.name](), RULES)
    places = {finding.primary._replace(label="", position=None) for finding in report.findings if finding.rule == rule.name}
    assert places
    for finding in report.findings:
        same = finding.primary._replace(label="", position=None) in places
        assert finding.rule == rule.name or not same or finding.primary.field in SHARED


SHARED = ("Tag",)
"""Fields about which several rules may have something to say."""


def test_an_unknown_rule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="missing-libary") as caught:
        named("missing-libary")
    assert "missing-library" in caught.value.hint


def test_rules_are_chosen_and_left_out_by_name() -> None:
    assert select() == RULES
    assert [rule.name for rule in select(("missing-library", "narrow-tag"), ("narrow-tag",))] == ["missing-library"]
    assert len(select(ignored=("narrow-tag",))) == len(RULES) - 1
    with pytest.raises(UsageError):
        select(ignored=("nonsense",))


def test_every_severity_is_used() -> None:
    assert {rule.severity for rule in RULES} == set(Severity)
