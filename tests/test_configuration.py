"""The configuration file: where it is found, what it may say, and how it says what is wrong with it."""

import dataclasses
import os
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builders as b
from relocator.audit import suppress
from relocator.cli import COMMANDS
from relocator.configuration import LIMIT, OPTIONS, TYPED_ONLY, Configuration, Kind, find, load
from relocator.errors import UsageError
from relocator.findings import Certainty, Checked, Finding, Report, Severity, Where
from relocator.model import Distribution, Survey
from relocator.policy import Policy, Suppression
from relocator.toml_places import Places

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a configuration file, in a folder whose name has a space."""

    def call(text: str | bytes, name: str = "relocator.toml", folder: str = "my project") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(str(path))
    return caught.value


# ---- where it is found


def test_there_is_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert find(str(tmp_path)) == Configuration()


def test_it_is_found_upwards(write: Write) -> None:
    path = write('target = "win_amd64"')
    below = path.parent / "src" / "deep"
    below.mkdir(parents=True)
    assert find(str(below)).path == str(path)


@pytest.mark.parametrize("kind", ["folder", "file"])  # a worktree and a submodule have a file called .git
def test_the_root_of_the_repository_ends_the_search(write: Write, kind: str) -> None:
    outer = write('target = "win_amd64"').parent
    inner = outer / "repository" / "src"
    inner.mkdir(parents=True)
    mark = inner.parent / ".git"
    if kind == "folder":
        mark.mkdir()
    else:
        mark.write_text("gitdir: elsewhere", "utf-8")
    assert find(str(inner)) == Configuration()
    own = write('target = "win32"', folder="my project/repository")
    assert find(str(inner)).path == str(own)


def test_home_ends_the_search(write: Write) -> None:
    outer = write('target = "win_amd64"').parent
    home = outer / "home" / "me"
    (home / "work").mkdir(parents=True)
    assert find(str(home / "work"), str(home)) == Configuration()
    assert find(str(home / "work")).path == str(outer / "relocator.toml")


def test_relocator_toml_goes_before_pyproject_toml(write: Write) -> None:
    write("[tool.relocator]\nquiet = true", "pyproject.toml")
    path = write("quiet = false")
    assert find(str(path.parent)).path == str(path)


@pytest.mark.parametrize("text", ["", "[project]\nname = 'relocator'", "[tool.other]\na = 1", "this = is [not TOML"])
def test_a_pyproject_without_our_table_is_passed_by(write: Write, text: str) -> None:
    outer = write("quiet = true")
    inner = write(text, "pyproject.toml", "my project/inner")
    assert find(str(inner.parent)).path == str(outer)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool.relocator]\nquiet = true"),
        ("relocator.toml", "[tool.relocator]\nquiet = true"),
        ("ci.toml", "quiet = true"),
    ],
)
def test_the_table_may_be_headed_or_the_whole_file(write: Write, name: str, text: str) -> None:
    assert [(setting.name, setting.value) for setting in load(str(write(text, name))).settings] == [("quiet", True)]


def test_a_named_file_must_speak_of_us(write: Write) -> None:
    assert "has no table [tool.relocator]" in refusal(write("[project]", "pyproject.toml")).message
    assert "cannot be read" in refusal(Path("/no/such/relocator.toml")).message
    assert "cannot be read" in refusal(write("").parent).message
    assert "cannot be read" in refusal(Path("a\0b")).message


def test_a_file_without_end_is_not_read_to_its_end(write: Write) -> None:
    assert "more than 4 MB" in refusal(write(b"#" * (LIMIT + 1))).message


# ---- options


def long_options() -> set[str]:
    """The options of the commands that a file configures."""
    found = set()
    for name in COMMANDS:
        command = import_module(f"relocator.cli.{name}").command
        options = {key_of(param) for param in command.params if isinstance(param, click.Option) and not is_alias(param)}
        found |= options if "config" in options else set()
    return found


def key_of(param: click.Parameter) -> str:
    """The longest name that the help shows."""
    aliases = getattr(param, "aliases", ())
    return max((name for name in param.opts if name not in aliases), key=len).removeprefix("--")


def is_alias(param: click.Option) -> bool:
    """Whether it is there only for those who come from other tools."""
    return param.hidden and not param.allow_from_autoenv


def test_what_edit_does_to_files_is_said_on_the_command_line_alone() -> None:
    command = import_module("relocator.cli.edit").command
    assert not [param.name for param in command.params if isinstance(param, click.Option) and "--config" in param.opts]


def test_every_option_of_the_command_line_is_known() -> None:
    assert set(OPTIONS) | set(TYPED_ONLY) == long_options()
    assert not set(OPTIONS) & set(TYPED_ONLY)


def test_the_kinds_fit_the_options() -> None:
    for name in COMMANDS:
        for param in import_module(f"relocator.cli.{name}").command.params:
            key = key_of(param)
            if isinstance(param, click.Option) and key in OPTIONS:
                assert (OPTIONS[key] == Kind.FLAG) == param.is_flag, key
                assert (OPTIONS[key] in (Kind.TEXTS, Kind.PATHS)) == param.multiple, key
                assert (OPTIONS[key] == Kind.PATHS) == (param.multiple and isinstance(param.type, click.Path)), key


def test_paths_are_taken_from_the_file_s_folder(write: Write) -> None:
    path = write('search = ["lib", "/opt/lib"]\nbaseline = "known faults.json"')
    values = {setting.name: setting.value for setting in load(str(path)).settings}
    folder = path.parent
    assert values == {"search": (str(folder / "lib"), "/opt/lib"), "baseline": str(folder / "known faults.json")}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("fail-on = 3", 1, "'fail-on' is 3, and must be a text"),
        ("\n\nquiet = 'yes'", 3, "'quiet' is 'yes', and must be true or false"),
        ("quiet = 1", 1, "'quiet' is 1, and must be true or false"),
        ("select = 'missing-library'", 1, "'select' is 'missing-library', and must be a list of texts"),
        ("select = [1]", 1, "'select' is [1], and must be a list of texts"),
        ("search = 'lib'", 1, "must be a list of paths"),
        ("max-size = true", 1, "'max-size' is true, and must be a number of bytes, or a text such as 2G"),
        ("max-size = 1.5", 1, "'max-size' is 1.5"),
        ("baseline = []", 1, "must be the path of a file"),
        ("severity = 'error'", 1, "must be a table of rules"),
        ("[severity]\nnarrow-tag = 'fatal'", 2, '\'narrow-tag\' is \'fatal\', and must be "error", "warning" or "note"'),
        ("[severity]\n'narrow-tag' = ['error']", 2, "'narrow-tag' is ['error']"),
        ("suppress = ['missing-library']", 1, "must be a list of tables, each headed [[suppress]]"),
        ("[suppress]\nrule = 'a'\nreason = 'b'", 1, "each headed [[suppress]]"),
        ("[[suppress]]\nrule = 'a'", 1, "the suppression has no 'reason'"),
        ("[[suppress]]\nreason = 'a'", 1, "the suppression has no 'rule'"),
        ("[[suppress]]\nrule = 'a'\nreason = '  '", 3, "'reason' is '  ', and must be a text that is not empty"),
        ("[[suppress]]\nrule = 'a'\nreason = 'b'\n[[suppress]]\nrule = 'a'\nreason = 1", 6, "'reason' is 1"),
        ("[[suppress]]\nrule = 'a'\nreason = 'b'\nuntil = 'soon'", 4, "'until' is 'soon', and must be a date such as 2027-01-31"),
        ("[[suppress]]\nrule = 'a'\nreason = 'b'\nuntil = 2027-01-31T10:00:00", 4, "'until' is"),
    ],
)
def test_a_wrong_type_is_told_with_its_place(write: Write, text: str, line: int, words: str) -> None:
    path = write(text)
    message = refusal(path).message
    assert message.startswith(f"{path}:{line}: ")
    assert words in message


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ("fail_on = 'error'", 1, "fail_on", "did you mean 'fail-on'?"),
        ("quiet = true\nfial-on = 'error'", 2, "fial-on", "did you mean 'fail-on'?"),
        ("[serverity]\na = 'error'", 1, "serverity", "did you mean 'severity'?"),
        ("[[supress]]\nrule = 'a'", 1, "supress", "did you mean 'suppress'?"),
        ("[[suppress]]\nrule = 'a'\nreason = 'b'\nmembers = 'c'", 4, "members", "did you mean 'member'?"),
        ("zzz = 1", 1, "zzz", "known are allow-missing, "),
        ("'e\\u001b[2Jvil' = 1", 1, "evil", ""),
    ],
)
def test_an_unknown_key_brings_the_nearest(write: Write, text: str, line: int, key: str, hint: str) -> None:
    path = write(text)
    error = refusal(path)
    if "u001b" not in text:
        assert error.message.startswith(f"{path}:{line}: there is no key {key!r}")
        assert error.hint.startswith(hint)
    assert "\x1b" not in error.message + error.hint


@pytest.mark.parametrize("key", TYPED_ONLY)
def test_a_file_does_not_say_what_is_written(write: Write, key: str) -> None:
    assert "belongs on the command line" in refusal(write(f"{key} = 'x'")).message


def test_a_place_in_pyproject_is_that_of_our_table(write: Write) -> None:
    path = write("[tool.other]\nquiet = 3\n\n[ tool . relocator ]  # ours\ntarget = 'a'\nquiet = 3\n", "pyproject.toml")
    assert refusal(path).message.startswith(f"{path}:6: ")
    path = write("tool.relocator.quiet = 3", "pyproject.toml")
    assert refusal(path).message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[tool.relocator\nquiet = true", "at line 1"),
        (b"quiet = true\nquiet = false\n", "at line 2"),
        (b"a = 1\nb = '\xff'", ":2: is not UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a" * 70_000 + b" = 1", "there is no key"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(write: Write, text: bytes, words: str) -> None:
    assert words in refusal(write(text)).message


def test_a_byte_order_mark_is_borne(write: Write) -> None:
    assert load(str(write(b"\xef\xbb\xbfquiet = true"))).settings


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8"), max_size=60), st.sampled_from(["", "[tool.relocator]\n", "[[suppress]]\n", "severity = "]))
def test_whatever_a_file_holds_is_an_answer_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str, before: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(before + text, encoding="utf-8")
    try:
        assert isinstance(load(str(path)), Configuration)
    except UsageError as error:
        assert error.message.startswith(str(path))


def test_lines_are_found_in_the_usual_layout() -> None:
    places = Places("a = 1\n[b]\n'c d' = 2\n[[e.f]]\ng = 1\n[[e.f]]\ng = 2\n[\"h\" . i]\nj = 1\n")
    assert [places.line("", "a"), places.line("b", "c d"), places.line("h.i", "j")] == [1, 3, 9]
    assert [places.line("e.f", "g", 0), places.line("e.f", "g", 1), places.line("e.f", "", 1)] == [5, 7, 6]
    assert places.line("b", "absent") == 2
    assert places.line("absent", "absent") is None


# ---- severities and suppressions


SUPPRESSIONS = """
[severity]
narrow-tag = "error"

[[suppress]]
rule = "missing-library"
member = "demo/*"
reason = "  CUDA comes with the driver "
until = 2026-12-31

[[suppress]]
rule = "weak-hardening"
distribution = "Torch"
reason = "built elsewhere"
"""


def test_suppressions_hold_until_the_end_of_their_last_day(write: Write) -> None:
    found = load(str(write(SUPPRESSIONS)))
    dated, lasting = (dated.suppression for dated in found.suppressions)
    assert dated == Suppression("missing-library", "CUDA comes with the driver", "demo/*", "", "relocator.toml:5")
    assert found.standing(date(2026, 12, 31)) == (dated, lasting)
    assert found.standing(date(2027, 1, 1)) == (lasting,)
    assert found.expired(date(2026, 12, 31)) == ()
    assert [item.suppression for item in found.expired(date(2027, 1, 1))] == [dated]
    assert [(grading.rule, grading.severity) for grading in found.gradings] == [("narrow-tag", Severity.ERROR)]


def test_a_date_may_be_a_text(write: Write) -> None:
    (dated,) = load(str(write("[[suppress]]\nrule = 'a'\nreason = 'b'\nuntil = '2027-01-31'"))).suppressions
    assert dated.until == date(2027, 1, 31)


def finding(rule: str = "missing-library", member: str = "demo/_core.so", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(rule, severity, Certainty.CERTAIN, "is wrong", Where(member, "x86_64", "DT_NEEDED", 0, "libx.so.1"))


def judged(*findings: Finding, policy: Policy, survey: Survey | None = None) -> Report:
    report = Report("demo", "", findings, Checked())
    return suppress(report, survey or b.survey(b.binary("demo/_core.so", b.elf())), policy)


@pytest.mark.parametrize(
    ("suppression", "expected"),
    [
        (Suppression("missing-library", "r"), True),
        (Suppression("narrow-tag", "r"), False),
        (Suppression("missing-library", "r", "demo/_core.so"), True),
        (Suppression("missing-library", "r", "./demo/_core.so"), True),
        (Suppression("missing-library", "r", "_core.so"), True),
        (Suppression("missing-library", "r", "core.so"), False),
        (Suppression("missing-library", "r", "demo/*"), True),
        (Suppression("missing-library", "r", "*.so"), True),
        (Suppression("missing-library", "r", "other/*"), False),
        (Suppression("missing-library", "r", "DEMO/*"), False),
        (Suppression("missing-library", "r", "", "demo"), True),
        (Suppression("missing-library", "r", "", "De*"), True),
        (Suppression("missing-library", "r", "", "other"), False),
        (Suppression("missing-library", "r", "demo/*", "other"), False),
    ],
)
def test_a_suppression_is_for_a_rule_and_a_place(suppression: Suppression, expected: bool) -> None:
    report = judged(finding(), policy=Policy(suppressions=(suppression,)))
    assert bool(report.suppressed) == expected
    assert bool(report.findings) != expected


def test_in_an_environment_a_distribution_owns_its_binaries_and_its_metadata() -> None:
    survey = b.survey(b.binary("demo/_core.so", b.elf(), owner="Py_Torch"))
    several = (
        Distribution("Py_Torch", "2.0", metadata="/env/lib/py_torch-2.0.dist-info"),
        Distribution("other", "1.0", metadata="/env/lib/other-1.0.dist-info"),
    )
    survey = dataclasses.replace(survey, container=dataclasses.replace(survey.container, distributions=several))
    places = ("demo/_core.so", "lib/py_torch-2.0.dist-info/RECORD", "lib/other-1.0.dist-info/RECORD", "stray.so")
    policy = Policy(suppressions=(Suppression("missing-library", "r", "", "py.torch"),))
    report = judged(*(finding(member=place) for place in places), policy=policy, survey=survey)
    assert [item.finding.primary.member for item in report.suppressed] == list(places[:2])


def test_a_severity_is_given_to_every_finding_and_the_gravest_stay_first() -> None:
    found = (finding("a-rule"), finding("b-rule", severity=Severity.NOTE), finding("c-rule", severity=Severity.WARNING))
    report = judged(*found, policy=Policy(severities=(("a-rule", Severity.NOTE), ("b-rule", Severity.ERROR))))
    assert [(item.rule, item.severity) for item in report.findings] == [
        ("b-rule", Severity.ERROR),
        ("c-rule", Severity.WARNING),
        ("a-rule", Severity.NOTE),
    ]


def test_a_suppressed_finding_tells_who_and_why() -> None:
    policy = Policy(suppressions=(Suppression("missing-library", "the driver has it", source="relocator.toml:3"),))
    (item,) = judged(finding(), policy=policy).suppressed
    assert (item.finding, item.by, item.reason, item.source) == (finding(), "configuration", "the driver has it", "relocator.toml:3")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read_is_told(write: Write) -> None:
    path = write("quiet = true")
    path.chmod(0)
    assert "cannot be read" in refusal(path).message
