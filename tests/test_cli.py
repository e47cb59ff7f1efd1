"""The command line: exit statuses, paths, options, colours, pipes, and what it says when things go wrong."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import builders as b
from conftest import FIXTURES, Result, Run
from relocator import __version__, api, cli
from relocator.errors import ContainerError
from relocator.findings import Certainty, Checked, Finding, Report, Severity, Where

MAC = "cp312-cp312-macosx_11_0_arm64"
HOSTILE = "evil\x1b[2Jgnp"


def process(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process of its own."""
    command = [sys.executable, "-m", "relocator", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A wheel without any fault."""
    path = tmp_path / f"demo-1.0-{MAC}.whl"
    extension = (FIXTURES / "bin/macho/arm64/liba.dylib").read_bytes()
    path.write_bytes(b.wheel({"demo/__init__.py": b"", "demo/liba.dylib": extension}, tags=[MAC]))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A wheel with an error in the archive: a file that RECORD does not list."""
    whole = b.wheel({"demo/__init__.py": b""}, name="broken", tags=[MAC])
    import zipfile

    path = tmp_path / f"broken-1.0-{MAC}.whl"
    with zipfile.ZipFile(io.BytesIO(whole)) as old:
        path.write_bytes(b.archive({**{name: old.read(name) for name in old.namelist()}, "demo/extra.py": b"1"}))
    return path


# ---- exit statuses


def test_a_clean_wheel_exits_with_0(run: Run, clean: Path) -> None:
    result = run("audit", clean)
    assert (result.code, result.err) == (0, "")
    assert "clean for macosx_11_0_arm64" in result.out


def test_an_error_exits_with_1(run: Run, broken: Path) -> None:
    result = run("audit", broken)
    assert result.code == 1
    assert "error[unrecorded-file]" in result.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["audit"],
        ["audit", "--bogus", "x"],
        ["audit", "--fail-on", "sometimes", "x"],
        ["audit", "--certainty", "maybe", "x"],
        ["audit", "--format", "mermaid", "x"],
        ["audit", "--max-size", "lots", "x"],
        ["audit", "--max-size", "0", "x"],
        ["audit", "--max-size", "1e3", "x"],
        ["audit", "--select", "no-such-rule", "x"],
        ["audit", "--ignore", "no-such-rule", "x"],
        ["audit", "--target", "amiga_68000", "x"],
        ["audit", "--search", "/no/such/folder", "x"],
        ["show"],
        ["tree"],
        ["tree", "x", "y", "z"],
        ["explain"],
        ["explain", "no-such-rule"],
    ],
    ids=" ".join,
)
def test_a_command_line_without_sense_exits_with_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err


@pytest.mark.parametrize("command", ["audit", "show", "tree"])
def test_a_path_that_does_not_exist_exits_with_3(run: Run, tmp_path: Path, command: str) -> None:
    result = run(command, tmp_path / "gone.whl")
    assert result.code == 3
    assert "gone.whl" in result.err
    assert "Traceback" not in result.out + result.err


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(40), b"\x1f\x8b" + bytes(9)])
def test_an_archive_that_cannot_be_opened_exits_with_3(run: Run, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / f"cut-1.0-{MAC}.whl"
    path.write_bytes(data)
    assert run("audit", path).code == 3


def test_an_archive_beyond_the_limit_exits_with_3(run: Run, clean: Path) -> None:
    assert run("audit", "--max-size", "1K", clean).code == 3
    assert run("audit", "--max-size", "1M", clean).code == 0


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read_exits_with_3(run: Run, clean: Path) -> None:
    clean.chmod(0)
    assert run("audit", clean).code == 3


@pytest.mark.parametrize("command", ["audit", "show", "tree"])
def test_our_own_fault_exits_with_5_and_an_apology(run: Run, clean: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(api, command, fail)
    result = run(command, clean)
    assert result.code == 5
    assert "Traceback" not in result.out + result.err
    for expected in (clean.name, "ZeroDivisionError", "test_cli.py:", __version__, "report it", "--traceback"):
        assert expected in result.err


def test_an_import_that_fails_is_our_fault_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "relocator.cli.rules", None)
    result = run("rules")
    assert result.code == 5
    assert "report it" in result.err


def test_the_traceback_is_shown_on_demand(run: Run, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api, "audit", fail)
    result = run("audit", "--traceback", clean)
    assert (result.code, "Traceback (most recent call last)" in result.err) == (5, True)
    monkeypatch.setenv("RELOCATOR_TRACEBACK", "1")
    result = run("audit", clean)
    assert (result.code, "Traceback (most recent call last)" in result.err) == (5, True)


# ---- what counts


def reports(severity: Severity, certainty: Certainty) -> Callable[..., tuple[tuple[Report, ...], tuple[()]]]:
    finding = Finding("missing-library", severity, certainty, "is missing", Where("demo/_core.so"))
    return lambda path, **_: ((Report(path, "x", (finding,), Checked()),), ())


@pytest.mark.parametrize(
    ("severity", "certainty", "options", "code"),
    [
        (Severity.ERROR, Certainty.CERTAIN, [], 1),
        (Severity.ERROR, Certainty.LIKELY, [], 1),
        (Severity.ERROR, Certainty.POSSIBLE, [], 0),
        (Severity.ERROR, Certainty.POSSIBLE, ["--certainty", "possible"], 1),
        (Severity.ERROR, Certainty.LIKELY, ["--certainty", "certain"], 0),
        (Severity.WARNING, Certainty.CERTAIN, [], 0),
        (Severity.WARNING, Certainty.CERTAIN, ["--fail-on", "warning"], 1),
        (Severity.NOTE, Certainty.CERTAIN, ["--fail-on", "warning"], 0),
        (Severity.NOTE, Certainty.CERTAIN, ["--fail-on", "note"], 1),
        (Severity.ERROR, Certainty.CERTAIN, ["--fail-on", "never"], 0),
    ],
)
def test_severity_and_certainty_decide_the_status(  # noqa: PLR0917  (a decision table)
    run: Run, monkeypatch: pytest.MonkeyPatch, severity: Severity, certainty: Certainty, options: list[str], code: int
) -> None:
    monkeypatch.setattr(api, "audit", reports(severity, certainty))
    result = run("audit", "x", *options)
    assert result.code == code
    assert "missing-library" in result.out


def test_never_failing_on_findings_still_fails_on_a_missing_path(run: Run, tmp_path: Path) -> None:
    assert run("audit", "--fail-on", "never", tmp_path / "gone").code == 3


def test_select_runs_one_rule(run: Run, broken: Path) -> None:
    assert run("audit", "--select", "missing-library,executable-stack", broken).code == 0
    assert run("audit", "--select", "unrecorded-file", broken).code == 1


def test_ignored_findings_are_set_apart_and_counted(run: Run, broken: Path) -> None:
    result = run("audit", "--ignore", "unrecorded-file", broken)
    assert result.code == 0
    assert "1 finding suppressed" in result.out
    told = json.loads(run("audit", "--ignore", "unrecorded-file", broken, "--format", "json").out)["reports"][0]
    assert [finding["rule"] for finding in told["suppressed"]] == ["unrecorded-file"]


def test_an_unknown_rule_brings_the_nearest(run: Run) -> None:
    assert "missing-library" in run("explain", "missing-libary").err
    assert "missing-library" in run("audit", "--select", "missing-libary", "x").err


def test_a_slip_in_a_command_brings_the_nearest(run: Run) -> None:
    assert "'audit'" in run("audti", "x").err


def test_a_path_instead_of_a_command_brings_the_command(run: Run, clean: Path) -> None:
    result = run(clean)
    assert result.code == 2
    assert f"relocate audit {clean}" in result.err


# ---- several inputs


def test_all_inputs_are_looked_at_and_the_highest_status_wins(run: Run, clean: Path, broken: Path, tmp_path: Path) -> None:
    result = run("audit", tmp_path / "gone.whl", broken, clean)
    assert result.code == 3
    assert "unrecorded-file" in result.out
    assert "clean for" in result.out
    assert "3 subjects: 1 clean, 1 with errors, 1 not readable" in result.out


def test_a_bug_in_one_input_does_not_cost_the_others(run: Run, clean: Path, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = api.audit

    def fail(path: str, **options: object) -> object:
        if path == str(clean):
            raise RecursionError
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "audit", fail)
    result = run("audit", clean, broken)
    assert result.code == 5
    assert "unrecorded-file" in result.out
    assert "RecursionError" in result.err


def test_a_list_is_read_from_standard_input(run: Run, clean: Path, broken: Path) -> None:
    result = run("audit", "-", stdin=f"{clean}\r\n\n{broken}\n{clean}\n".encode())
    assert result.code == 1
    assert "2 subjects" in result.out


def test_an_empty_list_is_a_usage_error(run: Run) -> None:
    assert run("audit", "-", stdin=b"\n").code == 2


def test_patterns_are_expanded_by_us(run: Run, clean: Path, broken: Path) -> None:
    assert "2 subjects" in run("audit", clean.parent / "*.whl").out
    assert "2 subjects" not in run("audit", clean.parent / "demo*.whl").out
    assert run("audit", clean.parent / "none*.whl").code == 3


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(run: Run, clean: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a[1]" / clean.name
    odd.parent.mkdir()
    odd.write_bytes(clean.read_bytes())
    assert run("audit", odd).code == 0


def test_a_folder_of_wheels_is_its_wheels(run: Run, clean: Path, broken: Path) -> None:
    result = run("audit", clean.parent)
    assert result.code == 1
    assert "2 subjects" in result.out


def test_a_folder_without_wheels_is_a_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "x.so").write_bytes((FIXTURES / "bin/macho/arm64/liba.dylib").read_bytes())
    result = run("show", tmp_path / "pkg")
    assert result.code == 0
    assert "1 binary" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_name_that_is_no_text_is_looked_at(clean: Path) -> None:
    odd = os.fsencode(clean.parent) + b"/odd\xff\x1b[31m-1.0-py3-none-any.whl"
    Path(os.fsdecode(odd)).write_bytes(clean.read_bytes())
    done = process("audit", os.fsdecode(odd))
    assert done.returncode in (0, 1)
    assert b"\x1b" not in done.stdout
    assert b"Traceback" not in done.stderr
    listed = process("audit", "-", input=odd + b"\n")
    assert listed.stdout == done.stdout


def test_a_path_with_a_null_character_is_a_missing_path(run: Run) -> None:
    assert run("audit", "a\0b").code == 3


# ---- output


def test_json_is_written_and_parsed(run: Run, broken: Path, tmp_path: Path) -> None:
    result = run("audit", "--format", "json", broken, tmp_path / "gone.whl")
    told = json.loads(result.out)
    assert (result.code, told["schema_version"], told["errors"][0]["code"]) == (3, 1, 3)
    assert "gone.whl" in result.err
    assert told["tool"]["compressor"].partition(" ")[0] in ("zlib", "deflate")


def test_a_file_appears_whole(run: Run, broken: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    result = run("audit", broken, "--format", "json", "--output", target)
    assert (result.code, result.out) == (1, "")
    assert json.loads(target.read_text())["reports"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".whl") == ["report.json"]


def test_a_result_that_cannot_be_written_leaves_the_old_one(
    run: Run, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.txt"
    target.write_text("old")

    def fail(self: Path, other: Path) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    result = run("audit", broken, "--output", target)
    assert result.code == 3
    assert "no space left" in result.err
    assert target.read_text() == "old"
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*"))


def test_a_folder_that_is_not_there_is_said(run: Run, broken: Path, tmp_path: Path) -> None:
    result = run("audit", broken, "--output", tmp_path / "no" / "report.txt")
    assert result.code == 3
    assert "cannot write" in result.err


def test_the_input_is_never_replaced(run: Run, broken: Path) -> None:
    before = broken.read_bytes()
    assert run("audit", broken, "--output", broken).code == 2
    assert broken.read_bytes() == before


def test_a_dash_is_standard_output(run: Run, clean: Path) -> None:
    assert "clean for" in run("audit", clean, "--output", "-").out


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices")
def test_a_device_is_written_to_and_not_replaced(run: Run, clean: Path) -> None:
    assert run("audit", clean, "--output", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_full_disk_is_said_and_is_no_bug(clean: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "relocator", "audit", str(clean)], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert b"cannot write standard output" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_as_output_stays_a_link(run: Run, clean: Path, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    run("audit", clean, "--output", tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert "clean for" in (tmp_path / "real.txt").read_text()


@pytest.mark.parametrize(
    ("environment", "options", "coloured"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"FORCE_COLOR": "1"}, ["--color", "never"], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({"NO_COLOR": ""}, ["--color", "always"], True),
    ],
)
def test_colour_is_for_those_who_want_it(  # noqa: PLR0917  (a decision table)
    run: Run, broken: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], options: list[str], coloured: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in run("audit", broken, *options).out) == coloured


def test_colour_only_adds(run: Run, broken: Path) -> None:
    import re

    for command in ("audit", "show", "tree"):
        coloured = run(command, broken, "--color", "always").out
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == run(command, broken).out


def test_json_is_never_coloured(run: Run, broken: Path) -> None:
    assert "\x1b" not in run("audit", broken, "--format", "json", "--color", "always").out


def test_progress_is_for_terminals_only(run: Run, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("audit", clean).err == ""
    from relocator.cli import terminal

    monkeypatch.setattr(terminal, "PERIOD", -1)
    monkeypatch.setattr(terminal, "_is_terminal", lambda stream: stream is sys.stderr)
    monkeypatch.delenv("TERM", raising=False)
    shown = run("audit", clean).err
    assert "\r" in shown
    assert shown.endswith("\r\x1b[K")
    assert clean.name in shown
    assert run("audit", clean, "-q").err == ""


def test_quiet_is_one_line(run: Run, broken: Path) -> None:
    assert len(run("audit", "-q", broken).out.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes differ")
@pytest.mark.parametrize("arguments", [["rules"], ["rules", "--format", "json"], ["explain", "missing-library"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "relocator", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_exits_with_130(run: Run, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "audit", interrupt)
    result = run("audit", clean)
    assert result.code == 130
    assert "Traceback" not in result.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_no_encoding_of_the_terminal_is_too_small(clean: Path, encoding: str) -> None:
    odd = clean.with_name(f"größe\u202e雪-1.0-{MAC}.whl")
    odd.write_bytes(clean.read_bytes())
    done = process("audit", odd, env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr
    assert "\u202e" not in done.stdout.decode(encoding)


def test_closed_streams_are_borne(clean: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("no shell")
    done = subprocess.run(["sh", "-c", f"'{sys.executable}' -m relocator audit '{clean}' >&- 2>&-"], check=False, timeout=60)
    assert done.returncode == 0
    done = subprocess.run(["sh", "-c", f"'{sys.executable}' -m relocator audit - <&-"], capture_output=True, check=False, timeout=60)
    assert done.returncode == 2


# ---- the other commands


def test_without_a_command_the_help_leads_to_audit(run: Run) -> None:
    result = run()
    assert result.code == 0
    assert "relocate audit demo" in result.out
    assert result.out.index("audit ") < result.out.index("show ")


def test_the_version_names_the_compressor_when_asked(run: Run) -> None:
    assert run("--version").out == f"relocate {__version__}\n"
    for arguments in (["--version", "-v"], ["-v", "--version"]):
        assert any(name in run(*arguments).out for name in ("zlib 1", "deflate 0"))


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert result.out.startswith("Usage: relocate " + command)
    assert max(map(len, result.out.splitlines())) <= 110


def test_rules_lists_every_rule(run: Run) -> None:
    from relocator.rules import RULES

    out = run("rules").out
    assert all(f"  {rule.name} " in out for rule in RULES)
    assert [rule["name"] for rule in json.loads(run("rules", "--format", "json").out)["rules"]] == [rule.name for rule in RULES]


def test_every_rule_explains_itself(run: Run) -> None:
    from relocator.rules import RULES

    for rule in RULES:
        out = run("explain", rule.name).out
        assert out.startswith(f"# {rule.name}\n")
        for heading in (
            "## What it flags",
            "## Why it matters",
            "## Example",
            "## How to fix it",
            "## When it is fine",
            "## How it decides",
        ):
            assert heading in out, (rule.name, heading)


def test_a_tree_of_an_unknown_member_names_the_nearest(run: Run, clean: Path) -> None:
    result = run("tree", clean, "demo/libaa.dylib")
    assert result.code == 2
    assert "demo/liba.dylib" in result.err


def test_a_tree_is_drawn(run: Run, clean: Path) -> None:
    assert run("tree", clean, "liba.dylib", "--format", "mermaid").out.startswith("flowchart LR\n")


def test_show_tells_the_tag(run: Run, clean: Path) -> None:
    assert "macosx_11_0_arm64" in run("show", clean).out


def test_a_target_may_be_forced(run: Run, clean: Path) -> None:
    told = json.loads(run("audit", clean, "--target", "macosx_13_0_arm64", "--format", "json").out)
    assert told["reports"][0]["target"] == "macosx_13_0_arm64"


def test_an_unexpected_failure_of_the_subject_is_told_with_its_hint(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ContainerError(f"{HOSTILE} is odd", f"look at {HOSTILE}")

    monkeypatch.setattr(cli, "import_module", fail)
    result = run("rules")
    assert result.code == 3
    assert "\x1b" not in result.err


def test_main_is_what_the_module_runs() -> None:
    done = process("--version")
    assert (done.returncode, done.stdout.decode().split()) == (0, ["relocate", __version__])


def test_hostile_arguments_are_shown_harmless(run: Run) -> None:
    results: Sequence[Result] = [run(HOSTILE), run("audit", HOSTILE), run("explain", HOSTILE), run("audit", "x", "--target", HOSTILE)]
    results = [*results, run("audit", "--format", HOSTILE, "x"), run(f"--{HOSTILE}"), run("audit", "--max-size", HOSTILE, "x")]
    assert all("\x1b" not in result.out + result.err for result in results)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the directory that a process is in")
@pytest.mark.parametrize("arguments", [["env"], ["audit", "--output", "found.txt", "CLEAN"]])
def test_a_current_directory_that_is_gone_is_told_and_no_fault_of_ours(tmp_path: Path, clean: Path, arguments: list[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; from relocator.cli import main; os.rmdir(os.getcwd()); sys.exit(main(sys.argv[1:]))"
    call = [sys.executable, "-c", code, *(str(clean) if word == "CLEAN" else word for word in arguments)]
    result = subprocess.run(call, cwd=gone, capture_output=True, check=False, timeout=60)
    assert result.returncode == 3
    assert b"the current directory does not exist any more" in result.stderr
    assert b"bug" not in result.stderr
