"""Configuration and baselines at the command line: what wins, what is said, what the exit status is."""

import json
import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from conftest import FIXTURES, Result, Run

WHEEL = FIXTURES / "wheels" / "faulty-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
Project = Callable[[str], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a function that writes pyproject.toml into the current directory, which has a space in its name."""
    folder = tmp_path / "my project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)

    def call(text: str) -> Path:
        path = folder / "pyproject.toml"
        path.write_text("[tool.relocator]\n" + text, "utf-8")
        return path

    return call


def found(result: Result, key: str = "findings") -> list[dict[str, str]]:
    (report,) = json.loads(result.out)["reports"]
    listed: list[dict[str, str]] = report[key]
    return listed


# ---- precedence


@pytest.mark.parametrize(
    ("typed", "variable", "written", "status"),
    [
        ("", "", "", 1),
        ("", "", "never", 0),
        ("", "never", "", 0),
        ("never", "", "", 0),
        ("", "error", "never", 1),
        ("", "never", "error", 0),
        ("error", "", "never", 1),
        ("never", "", "error", 0),
        ("error", "never", "", 1),
        ("never", "error", "", 0),
        ("error", "never", "never", 1),
        ("never", "error", "error", 0),
    ],
)
def test_typed_goes_before_the_variable_and_that_before_the_file(  # noqa: PLR0917  (a decision table)
    run: Run,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    variable: str,
    written: str,
    status: int,
) -> None:
    project(f'fail-on = "{written}"' if written else "")
    if variable:
        monkeypatch.setenv("RELOCATOR_FAIL_ON", variable)
    assert run("audit", "-q", *(["--fail-on", typed] if typed else []), WHEEL).code == status


@pytest.mark.parametrize(
    ("setting", "name", "value", "words"),
    [
        ('format = "json"', "RELOCATOR_FORMAT", "json", '"schema_version": 1'),
        ("verbose = true", "RELOCATOR_VERBOSE", "1", "DT_NEEDED["),
        ('color = "always"', "RELOCATOR_COLOR", "always", "\x1b["),
        ('target = "manylinux_2_28_x86_64"', "RELOCATOR_TARGET", "manylinux_2_28_x86_64", "for manylinux_2_28_x86_64"),
        ('ignore = ["missing-library", "executable-stack"]', "RELOCATOR_IGNORE", "missing-library,executable-stack", "by --ignore"),
        ('ignore = ["missing-library"]', "RELOCATOR_IGNORE", "missing-library executable-stack", "by --ignore"),
    ],
)
def test_every_kind_of_option_may_be_written_or_be_a_variable(  # noqa: PLR0917  (a decision table)
    run: Run,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    name: str,
    value: str,
    words: str,
) -> None:
    project("")
    assert words not in run("audit", WHEEL).out
    monkeypatch.setenv(name, value)
    assert words in run("audit", WHEEL).out
    monkeypatch.delenv(name)
    project(setting)
    assert words in run("audit", WHEEL).out


def test_a_size_may_be_a_number(run: Run, project: Project) -> None:
    project("max-size = 100")
    assert run("audit", WHEEL).code == 3
    project('max-size = "1G"')
    assert run("audit", WHEEL).code == 1


def test_folders_in_a_variable_may_have_spaces(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project("").parent
    monkeypatch.setenv("RELOCATOR_SEARCH", os.pathsep.join([str(folder), str(folder / "gone")]))
    result = run("audit", WHEEL)
    assert result.code == 2
    assert "gone' is not a directory" in result.err
    assert str(folder / "gone") in result.err


def test_a_folder_in_the_file_is_found_from_anywhere(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project('search = ["lib dir"]').parent
    (folder / "lib dir").mkdir()
    (folder / "src").mkdir()
    monkeypatch.chdir(folder / "src")
    assert run("audit", WHEEL).code == 1
    (folder / "lib dir").rmdir()
    assert run("audit", WHEEL).code == 2


@pytest.mark.parametrize("command", [["show", WHEEL], ["tree", WHEEL], ["rules"], ["explain", "narrow-tag"]], ids=lambda c: c[0])
def test_other_commands_take_what_concerns_them(run: Run, project: Project, command: list[object]) -> None:
    project('format = "json"\nfail-on = "never"\nignore = ["missing-library"]')
    result = run(*command)
    assert result.code == 0
    assert json.loads(result.out)["schema_version"] == 1


# ---- which file


def test_another_file_may_be_named_or_none(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project('fail-on = "error"').parent
    lenient = folder / "a b.toml"
    lenient.write_text('fail-on = "never"', "utf-8")
    project('fail-on = "never"')
    assert run("audit", WHEEL).code == 0
    assert run("audit", "--no-config", WHEEL).code == 1
    project('fail-on = "error"')
    assert run("audit", "--config", lenient, WHEEL).code == 0
    monkeypatch.setenv("RELOCATOR_CONFIG", str(lenient))
    assert run("audit", WHEEL).code == 0
    assert run("audit", "--no-config", WHEEL).code == 1
    monkeypatch.setenv("RELOCATOR_NO_CONFIG", "1")
    assert run("audit", WHEEL).code == 1
    assert run("audit", "--config", lenient, WHEEL).code == 0


@pytest.mark.parametrize("turned", [False, True])
def test_naming_a_file_and_none_makes_no_sense(run: Run, project: Project, turned: bool) -> None:
    path = project("")
    named: tuple[object, ...] = ("--config", path)
    result = run("audit", *(("--no-config", *named) if turned else (*named, "--no-config")), WHEEL)
    assert result.code == 2
    assert "exclude one another" in result.err


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the current directory")
def test_a_current_directory_that_is_gone_has_no_configuration(run: Run, project: Project) -> None:
    path = project('fail-on = "never"')
    path.unlink()
    (path.parent / ".git").rmdir()
    path.parent.rmdir()
    assert run("audit", WHEEL).code == 1


def test_nothing_above_home_is_read(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    home = project('fail-on = "never"').parent / "me"
    (home / "work").mkdir(parents=True)
    monkeypatch.chdir(home / "work")
    assert run("audit", WHEEL).code == 0
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    assert run("audit", WHEEL).code == 1


def test_help_reads_no_file(run: Run, project: Project) -> None:
    project("quiet = [")
    assert run("audit", "--help").code == 0
    assert run("--version").code == 0


# ---- what is wrong with it


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("quiet = ", "is not TOML: ", "--no-config"),
        ("fail_on = 'error'", "pyproject.toml:2: there is no key 'fail_on' in [tool.relocator]", "did you mean 'fail-on'?"),
        ("fail-on = 'errors'", "pyproject.toml:2: 'fail-on': 'errors' is not one of", ""),
        ("max-size = 'much'", "pyproject.toml:2: 'max-size': 'much' is not a size", ""),
        ("quiet = 'yes'", "pyproject.toml:2: 'quiet' is 'yes', and must be true or false", ""),
        ("[tool.relocator.severity]\nmising-library = 'note'", "pyproject.toml:3: there is no rule", "did you mean 'missing-library'?"),
        (
            "[[tool.relocator.suppress]]\nrule = 'narow-tag'\nreason = 'x'",
            "pyproject.toml:2: there is no rule",
            "did you mean 'narrow-tag'?",
        ),
        ("ignore = ['narow-tag']", "there is no rule 'narow-tag'", "did you mean 'narrow-tag'?"),
    ],
)
def test_a_slip_in_the_file_is_a_usage_error_with_its_place(run: Run, project: Project, text: str, words: str, hint: str) -> None:
    project(text)
    result = run("audit", WHEEL)
    assert (result.code, result.out) == (2, "")
    assert words in result.err.replace(str(Path.cwd()) + os.sep, "")
    assert hint in result.err
    assert "Traceback" not in result.err
    assert run("audit", "--no-config", WHEEL).code == 1


# ---- suppressions


def suppression(rule: str, **more: str) -> str:
    return f'[[tool.relocator.suppress]]\nrule = "{rule}"\nreason = "we know"\n' + "".join(
        f"{key} = {value}\n" for key, value in more.items()
    )


def test_suppressed_findings_do_not_count(run: Run, project: Project) -> None:
    errors = sorted({finding["rule"] for finding in found(run("audit", "--format", "json", WHEEL)) if finding["severity"] == "error"})
    project("\n".join(map(suppression, errors)))
    result = run("audit", WHEEL)
    assert result.code == 0
    assert "by configuration" in result.out
    suppressed = found(run("audit", "--format", "json", WHEEL), "suppressed")
    assert sorted({finding["rule"] for finding in suppressed}) == errors
    assert {(finding["by"], finding["reason"]) for finding in suppressed} == {("configuration", "we know")}
    assert {finding["source"].partition(":")[0] for finding in suppressed} == {"pyproject.toml"}
    project("\n".join(map(suppression, errors[1:])))
    assert run("audit", WHEEL).code == 1


def test_a_suppression_for_another_member_changes_nothing(run: Run, project: Project) -> None:
    project(suppression("missing-library", member='"elsewhere/*"'))
    result = run("audit", "--select", "missing-library", "-v", WHEEL)
    assert result.code == 1
    assert "pyproject.toml:2: the suppression of missing-library is unused" in result.err
    assert "unused" not in run("audit", "--select", "missing-library", WHEEL).err
    project(suppression("missing-library", member='"demo/*"'))
    result = run("audit", "--select", "missing-library", "-v", WHEEL)
    assert result.code == 0
    assert "unused" not in result.err
    assert "(by configuration: pyproject.toml:2: we know)" in result.out


def test_an_expired_suppression_says_so_and_suppresses_nothing(run: Run, project: Project) -> None:
    today = date.today()
    for until, status in ((today + timedelta(2), 0), (today - timedelta(2), 1)):
        project(suppression("missing-library", until=str(until)))
        result = run("audit", "--select", "missing-library", WHEEL)
        assert result.code == status
        assert (f"pyproject.toml:2: the suppression of missing-library expired on {until}" in result.err) == bool(status)


def test_a_severity_decides_the_status(run: Run, project: Project) -> None:
    project('[tool.relocator.severity]\nmissing-library = "warning"')
    result = run("audit", "--select", "missing-library", WHEEL)
    assert result.code == 0
    assert "warning[missing-library]" in result.out
    assert run("audit", "--select", "missing-library", "--fail-on", "warning", WHEEL).code == 1


# ---- baselines


def test_a_baseline_lets_only_new_findings_count(run: Run, project: Project, tmp_path: Path) -> None:
    project('baseline = "known faults.json"')
    baseline = Path("known faults.json")
    result = run("audit", "--no-config", "--write-baseline", baseline, WHEEL)
    assert result.code == 0
    assert "error[missing-library]" in result.out
    assert f"findings written to {baseline}" in result.err
    first = baseline.read_bytes()
    result = run("audit", WHEEL)
    assert (result.code, result.err) == (0, "")
    assert "by baseline" in result.out
    assert {finding["by"] for finding in found(run("audit", "--format", "json", WHEEL), "suppressed")} == {"baseline"}

    entries = json.loads(first)
    entries["findings"] = [entry for entry in entries["findings"] if entry["rule"] != "missing-library"]
    baseline.write_text(json.dumps(entries), "utf-8")
    result = run("audit", WHEEL)
    assert result.code == 1
    assert "error[missing-library]" in result.out
    assert "error[executable-stack]" not in result.out

    run("audit", "--write-baseline", baseline, WHEEL)
    assert baseline.read_bytes() == first, "renewing keeps what is still there"


def test_the_name_of_the_wheel_does_not_matter(run: Run, project: Project, tmp_path: Path) -> None:
    project("")
    run("audit", "--write-baseline", "known.json", WHEEL)
    other = tmp_path / "elsewhere" / "other_name-2.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    other.parent.mkdir()
    other.write_bytes(WHEEL.read_bytes())
    told = found(run("audit", "--baseline", "known.json", "--format", "json", other))
    assert not {finding["rule"] for finding in told} & {"missing-library", "executable-stack"}


def test_mended_findings_are_counted(run: Run, project: Project) -> None:
    project("")
    run("audit", "--write-baseline", "known.json", WHEEL)
    whole = json.loads(Path("known.json").read_text("utf-8"))
    whole["findings"] += [{**whole["findings"][0], "member": f"demo/{number}.so"} for number in range(2)]
    Path("known.json").write_text(json.dumps(whole), "utf-8")
    total = len(whole["findings"])
    result = run("audit", "--baseline", "known.json", WHEEL)
    assert result.code == 0
    assert f"2 of {total} findings in the baseline did not come up" in result.err
    assert "did not come up" not in run("audit", "-q", "--baseline", "known.json", WHEEL).err
    assert "did not come up" not in run("audit", "--baseline", "known.json", "--select", "narrow-tag", WHEEL).err
    assert "did not come up" not in run("audit", "--baseline", "known.json", WHEEL, "gone.whl").err
    run("audit", "--baseline", "known.json", "--write-baseline", "known.json", WHEEL)
    assert run("audit", "--baseline", "known.json", WHEEL).err == ""


def test_what_is_suppressed_otherwise_is_not_in_the_baseline(run: Run, project: Project) -> None:
    project(suppression("missing-library"))
    run("audit", "--ignore", "executable-stack", "--write-baseline", "known.json", WHEEL)
    rules = {entry["rule"] for entry in json.loads(Path("known.json").read_text("utf-8"))["findings"]}
    assert rules
    assert not rules & {"missing-library", "executable-stack"}


def test_no_baseline_is_written_when_something_was_not_looked_at(run: Run, project: Project) -> None:
    project("")
    Path("known.json").write_text("old", "utf-8")
    result = run("audit", "--write-baseline", "known.json", WHEEL, "gone.whl")
    assert result.code == 3
    assert "known.json is not written" in result.err
    assert Path("known.json").read_text("utf-8") == "old"


@pytest.mark.parametrize("text", [None, "", "[]"])
def test_a_file_that_is_no_baseline_is_a_usage_error(run: Run, project: Project, text: str | None) -> None:
    project("")
    if text is not None:
        Path("known.json").write_text(text, "utf-8")
    result = run("audit", "--baseline", "known.json", WHEEL)
    assert (result.code, result.out) == (2, "")
    assert "known.json" in result.err


def test_a_baseline_replaces_no_input(run: Run, project: Project, tmp_path: Path) -> None:
    path = project("")
    wheel = tmp_path / WHEEL.name
    wheel.write_bytes(WHEEL.read_bytes())
    for target in (wheel, path):
        before = target.read_bytes()
        result = run("audit", "--write-baseline", target, wheel)
        assert result.code == 2
        assert "--write-baseline would replace the input" in result.err
        assert target.read_bytes() == before
    assert run("audit", "--write-baseline", "same.json", "--output", "same.json", wheel).code == 2
    assert run("audit", "--write-baseline", "-", wheel).code == 2


def test_a_baseline_that_cannot_be_written_is_told(run: Run, project: Project) -> None:
    project("")
    result = run("audit", "-q", "--write-baseline", "no/such/folder/known.json", WHEEL)
    assert result.code == 3
    assert "cannot write" in result.err
