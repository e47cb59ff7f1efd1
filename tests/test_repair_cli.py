"""`relocate repair`: from options to what is asked of the driver, its exit status, what it refuses before it looks at anything."""

import json
import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import repair_examples as examples
from conftest import FIXTURES, Run
from relocator import api, repairing
from relocator.cli import repair_options as spelled
from relocator.findings import Certainty, Severity
from relocator.repairs import Outcome, Plan, Provider, RepairOptions, RepairResult, Sought, Writing

COMMAND: click.Command = import_module("relocator.cli.repair").command
WINDOWS = os.name == "nt"


class Asked(NamedTuple):
    paths: tuple[str, ...]
    options: RepairOptions
    sought: Sought
    writing: Writing
    max_size: int | None


class Driver:
    """Stands in for the driver: notes what is asked, and answers as it is told."""

    def __init__(self) -> None:
        self.calls: list[Asked] = []
        self.answers: dict[str, RepairResult] = {}
        self.bugs: set[str] = set()
        """Wheels over which the driver stumbles."""

    def __call__(
        self,
        paths: Sequence[str],
        options: RepairOptions,
        sought: Sought,
        writing: Writing,
        reporter: Any,
        *,
        max_size: int | None,
        claimed: dict[str, str] | None,
    ) -> tuple[RepairResult, ...]:
        if self.bugs.intersection(paths):
            raise ZeroDivisionError
        self.calls.append(Asked(tuple(paths), options, sought, writing, max_size))
        for number, path in enumerate(paths, 1):
            progress = reporter(path, number, len(paths))
            if progress:
                progress("demo/_core.so", 100)
        return tuple(self.answers.get(path, examples.result(Plan(path, path))) for path in paths)

    @property
    def paths(self) -> list[str]:
        return [path for call in self.calls for path in call.paths]

    @property
    def asked(self) -> Asked:
        (call,) = self.calls
        return call


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:
    """Return a driver in the place of the real one, in an empty folder without configuration, where no variable says anything."""
    found = Driver()
    monkeypatch.setattr(repairing, "repair_wheels", found)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    variables = (spelled.PLAT_VARIABLE, spelled.LEVEL_VARIABLE, spelled.MACOS_VARIABLE, spelled.EPOCH_VARIABLE, *spelled.SEARCH_VARIABLES)
    for name in (*variables, "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    for folder in ("lib", "more"):
        (tmp_path / folder).mkdir()
    return found


# ---- options that decide the plan


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", {}),
        ("--plat manylinux_2_28_x86_64", {"plat": ("manylinux_2_28_x86_64",)}),
        ("--plat a --plat b --only-plat", {"plat": ("a", "b"), "only_plat": True}),
        ("--plat auto", {}),
        ("--no-update-tags", {"update_tags": False}),
        ("--exclude libcuda.so* --exclude lib/x", {"exclude": ("libcuda.so*", "lib/x")}),
        ("-e a", {"exclude": ("a",)}),
        ("--exclude a;b", {"exclude": ("a;b",)}),
        ("--no-dll a.dll;b.dll", {"exclude": ("a.dll", "b.dll")}),
        ("--exclude a --no-dll b --no-dll c", {"exclude": ("a", "b", "c")}),
        ("--include libplugin.so --include x", {"include": ("libplugin.so", "x")}),
        ("--add-dll a.dll;b.dll", {"include": ("a.dll", "b.dll")}),
        ("--allow-missing", {"allow_missing": True}),
        ("--ignore-missing-dependencies", {"allow_missing": True}),
        ("--disable-isa-ext-check", {"check_isa": False}),
        ("--require-archs x86_64,arm64", {"require_arches": ("x86_64", "arm64")}),
        ("--require-archs universal2", {"require_arches": ("x86_64", "arm64")}),
        ("--require-archs intel", {"require_arches": ("x86_64", "i386")}),
        ("--require-archs arm64", {"require_arches": ("arm64",)}),
        ("--require-archs arm64 --require-archs x86_64,arm64", {"require_arches": ("arm64", "x86_64")}),
        ("--require-target-macos-version 11.0", {"require_macos": (11, 0)}),
        ("--require-target-macos-version 12", {"require_macos": (12,)}),
        ("--allow-pure-python-wheel", {"allow_pure": True}),
        ("--no-rename a --no-rename b*", {"no_rename": ("a", "b*")}),
        ("--no-mangle a.dll;b.dll", {"no_rename": ("a.dll", "b.dll")}),
        ("--no-rename-all", {"no_rename": ("*",)}),
        ("--no-rename a --no-mangle-all", {"no_rename": ("*",)}),
        ("-L .bundled", {"lib_sdir": ".bundled"}),
        ("--lib-sdir .bundled", {"lib_sdir": ".bundled"}),
        ("--strip", {"strip": "auto"}),
        ("--strip=llvm-strip-22", {"strip": "llvm-strip-22"}),
        ("--namespace-pkg a.b;c --namespace-pkg d", {"namespace_packages": ("a.b", "c", "d")}),
        ("--custom-patch", {"custom_patch": True}),
        ("--analyze-existing", {"analyze_existing": True}),
        ("--analyze-existing-exes", {"analyze_existing": True}),
        ("--include-symbols --include-imports", {"include_symbols": True, "include_imports": True}),
        ("--unmodified-runtimes", {"unmodified_runtimes": True}),
        ("--keep-execstack", {"keep_execstack": True}),
        ("--no-sbom", {"sbom": False}),
        ("--fix-notes", {"fix_notes": True}),
        ("--provided-by NVIDIA_cublas.cu12", {"provided_by": (Provider("nvidia-cublas-cu12"),)}),
        ("-k --check-archs --sanitize-rpaths --ignore-existing --ignore-in-wheel --with-mangle --no-diagnostic", {}),
    ],
)
def test_options_decide_the_plan(run: Run, driver: Driver, typed: str, expected: dict[str, Any]) -> None:
    result = run("repair", *typed.split(), "x.whl")
    assert (result.code, result.err) == (0, "")
    assert driver.asked.options == RepairOptions(**expected)
    assert driver.asked.paths == ("x.whl",)


@pytest.mark.skipif(WINDOWS, reason="the colon parts no lists on Windows")
def test_lists_split_at_colons_too_off_windows(run: Run, driver: Driver) -> None:
    assert run("repair", "--no-dll", "a:b;c", "--no-mangle", "d:e", "--namespace-pkg", "f:g", "x.whl").code == 0
    options = driver.asked.options
    assert (options.exclude, options.no_rename, options.namespace_packages) == (("a", "b", "c"), ("d", "e"), ("f", "g"))


@pytest.mark.parametrize(
    ("texts", "windows", "expected"),
    [
        ([r"C:\a;D:\b c"], True, [r"C:\a", r"D:\b c"]),
        ([r"C:\a;D:/b:/c"], False, [r"C:\a", "D:/b", "/c"]),
        (["a:b"], True, ["a:b"]),
        (["a:b:c"], False, ["a", "b", "c"]),
        (["/x:C:/y"], False, ["/x", "C:/y"]),
        ([" a ; ;b;", ""], True, ["a", "b"]),
        ([], False, []),
    ],
)
def test_a_list_is_split_but_not_at_the_colon_of_a_drive(texts: list[str], windows: bool, expected: list[str]) -> None:
    assert list(spelled.split(texts, windows)) == expected


def test_a_bare_strip_does_not_swallow_the_wheel(run: Run, driver: Driver) -> None:
    assert run("repair", "--strip", "a.whl", "--", "--strip").code == 0
    assert driver.paths == ["a.whl", "--strip"]
    assert {call.options.strip for call in driver.calls} == {"auto"}


def test_a_provider_may_have_a_place(run: Run, driver: Driver, tmp_path: Path) -> None:
    assert run("repair", "--provided-by", "My.Dist=lib", "x.whl").code == 0
    assert driver.asked.options.provided_by == (Provider("my-dist", str(tmp_path / "lib")),)
    assert driver.asked.sought.prefix == ""


def test_a_provider_without_a_place_is_looked_up_where_env_would_look(
    run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("", "utf-8")
    assert run("repair", "--provided-by", "numpy", "x.whl").code == 0
    assert driver.asked.sought.prefix == str(tmp_path / ".venv")


# ---- where libraries come from


def test_search_adds_folders_and_ldpaths_replaces_those_of_the_host(run: Run, driver: Driver, tmp_path: Path) -> None:
    assert run("repair", "--search", "more", "-l", "lib", "--lib-dir", "lib", "--add-path", "lib;more", "x.whl").code == 0
    lib, more = ((tmp_path / name).as_posix() for name in ("lib", "more"))
    assert driver.asked.sought == Sought((more, lib, lib, lib, more))
    driver.calls.clear()
    assert run("repair", "--ldpaths", "lib:more", "x.whl").code == 0
    assert driver.asked.sought == Sought((), (lib, more))


def test_folders_of_lists_that_other_tools_made_need_not_exist(run: Run, driver: Driver, tmp_path: Path) -> None:
    result = run("repair", "--ldpaths", "gone:lib", "--add-path", "away;more", "x.whl")
    assert result.code == 0
    assert result.err == "note: away is no folder, and is passed over\nnote: gone is no folder, and is passed over\n"
    more, *instead = ((tmp_path / name).as_posix() for name in ("more", "gone", "lib"))
    assert (driver.asked.sought.search, driver.asked.sought.instead_of_host) == ((more,), tuple(instead))
    assert run("repair", "-q", "--ldpaths", "gone:lib", "x.whl").err == ""


@pytest.mark.parametrize("typed", ["--no-host", "--no-sys-paths"])
def test_the_host_can_be_left_alone(run: Run, driver: Driver, typed: str) -> None:
    run("repair", typed, "x.whl")
    assert driver.asked.sought == Sought(host=False)


def test_variables_that_say_where_libraries_are_are_passed_on_and_no_others(
    run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*spelled.SEARCH_VARIABLES, "LD_PRELOAD", "SECRET"):
        monkeypatch.setenv(name, f"/{name}")
    run("repair", "x.whl")
    assert dict(driver.asked.sought.environment) == {name: f"/{name}" for name in spelled.SEARCH_VARIABLES}


# ---- writing


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", Writing("wheelhouse")),
        ("-w out", Writing("out")),
        ("--wheel-dir out", Writing("out")),
        ("-o out", Writing("out")),
        ("--output-dir out", Writing("out")),
        ("-z 9", Writing("wheelhouse", 9)),
        ("--zip-level 0", Writing("wheelhouse", 0)),
        ("--zip-compression-level 1", Writing("wheelhouse", 1)),
        ("--force", Writing("wheelhouse", force=True)),
        ("-n", Writing("wheelhouse", dry_run=True)),
        ("--dry-run --verify full", Writing("wheelhouse", dry_run=True, verify="full")),
    ],
)
def test_how_it_is_written(run: Run, driver: Driver, typed: str, expected: Writing) -> None:
    assert run("repair", *typed.split(), "x.whl").code == 0
    assert driver.asked.writing == expected


def test_archives_have_a_limit(run: Run, driver: Driver) -> None:
    run("repair", "--max-size", "2G", "x.whl")
    assert driver.asked.max_size == 2 << 30


# ---- variables


@pytest.mark.parametrize(
    ("variable", "value", "typed", "epoch", "level"),
    [
        ("SOURCE_DATE_EPOCH", "0", "", 0, 6),
        ("SOURCE_DATE_EPOCH", "-1", "", -1, 6),
        ("SOURCE_DATE_EPOCH", "99999999999", "", 99999999999, 6),
        ("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "9", "", None, 9),
        ("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "-1", "", None, 6),
        ("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "9", "-z 1", None, 1),
        ("RELOCATOR_ZIP_LEVEL", "3", "", None, 3),
        ("SOURCE_DATE_EPOCH", "", "", None, 6),
    ],
)
def test_variables_about_the_archive(
    run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch, *, variable: str, value: str, typed: str, epoch: int | None, level: int
) -> None:
    monkeypatch.setenv(variable, value)
    assert run("repair", *typed.split(), "x.whl").code == 0
    assert (driver.asked.writing.epoch, driver.asked.writing.level) == (epoch, level)


@pytest.mark.parametrize(("typed", "expected"), [("", (11, 3)), ("--require-target-macos-version 12.0", (12, 0))])
def test_the_deployment_target_is_the_default(
    run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch, typed: str, expected: tuple[int, ...]
) -> None:
    monkeypatch.setenv("MACOSX_DEPLOYMENT_TARGET", "11.3")
    run("repair", *typed.split(), "x.whl")
    assert driver.asked.options.require_macos == expected


@pytest.mark.parametrize(
    ("wheel", "value", "typed", "expected"),
    [
        ("d-1-cp312-cp312-linux_x86_64.whl", "manylinux_2_28_x86_64", "", ("manylinux_2_28_x86_64",)),
        ("d-1-cp312-cp312-linux_x86_64.whl", "auto", "", ()),
        ("d-1-cp312-cp312-linux_x86_64.whl", "manylinux_2_28_x86_64", "--plat manylinux2014_x86_64", ("manylinux2014_x86_64",)),
        ("d-1-cp312-cp312-manylinux1_x86_64.manylinux_2_5_x86_64.whl", "manylinux_2_28_x86_64", "", ("manylinux_2_28_x86_64",)),
        ("d-1-cp312-cp312-linux_x86_64.whl", "manylinux_2_28", "", ("manylinux_2_28",)),
        ("d-1-cp312-cp312-linux_aarch64.whl", "manylinux_2_28_x86_64", "", ()),
        ("d-1-cp312-cp312-win_amd64.whl", "manylinux_2_28_x86_64", "", ()),
        ("d-1-cp312-cp312-macosx_11_0_x86_64.whl", "manylinux_2_28_x86_64", "", ()),
        ("d-1-cp312-cp312-android_24_x86_64.whl", "manylinux_2_28_x86_64", "", ()),
        ("no-wheel-name", "manylinux_2_28_x86_64", "", ()),
        ("d-1-cp312-cp312-linux_x86_64.whl", "nonsense", "", ()),
    ],
)
def test_the_platform_of_the_build_image_counts_for_wheels_of_that_platform(
    run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch, *, wheel: str, value: str, typed: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AUDITWHEEL_PLAT", value)
    assert run("repair", *typed.split(), f"some/{wheel}").code == 0
    assert driver.asked.options.plat == expected


def test_results_keep_the_order_of_the_wheels(run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITWHEEL_PLAT", "manylinux_2_28_x86_64")
    wheels = [f"{name}-1-cp312-cp312-{tag}.whl" for name, tag in (("a", "linux_x86_64"), ("b", "win32"), ("c", "linux_x86_64"))]
    told = json.loads(run("repair", "--format", "json", *wheels).out)
    assert [plan["name"] for plan in told["plans"]] == wheels
    assert [call.options.plat for call in driver.calls] == [("manylinux_2_28_x86_64",), (), ("manylinux_2_28_x86_64",)]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SOURCE_DATE_EPOCH", "yesterday"),
        ("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "10"),
        ("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "best"),
        ("MACOSX_DEPLOYMENT_TARGET", "11.x"),
        ("RELOCATOR_VERIFY", "none"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = run("repair", "x.whl")
    assert (result.code, result.out, driver.calls) == (2, "", [])
    assert variable in result.err or "--verify" in result.err
    assert value in result.err


# ---- what makes no sense


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Missing argument"),
        ("--only-plat x.whl", "there is no --plat"),
        ("--custom-patch --namespace-pkg a x.whl", "exclude one another"),
        ("--require-archs x86-64 x.whl", "macOS has no architecture 'x86-64'"),
        ("--require-target-macos-version eleven x.whl", "no version of macOS"),
        ("--lib-sdir a/b x.whl", "not the name of a folder"),
        ("--lib-sdir .. x.whl", "not the name of a folder"),
        (r"--lib-sdir a\b x.whl", "not the name of a folder"),
        ("--provided-by =x x.whl", "is not DIST[=PATH]"),
        ("--provided-by numpy= x.whl", "is not DIST[=PATH]"),
        ("--provided-by numpy=gone.whl x.whl", "'gone.whl' does not exist"),
        ("--search gone x.whl", "is not a directory to search"),
        ("-z 10 x.whl", "'10' is not one of"),
        ("--verify none x.whl", "'none' is not one of"),
        ("--max-size big x.whl", "is not a size"),
        ("--fail-on bad x.whl", "'bad' is not one of"),
        ("-d x.whl", "--dylibs-only means nothing to relocate"),
        ("--dylibs-only x.whl", "`--exclude` keeps libraries outside"),
        ("--executable-path p x.whl", "type `--search DIR`"),
        ("--no-sanitize-rpaths x.whl", "leave it out"),
        ("--patcher patchelf x.whl", "leave it out"),
        ("--in-place x.whl", "No such option"),
        ("-", "the list on standard input is empty"),
    ],
)
def test_a_command_line_without_sense_exits_with_2(run: Run, driver: Driver, typed: str, told: str) -> None:
    result = run("repair", *typed.split())
    assert (result.code, result.out, driver.calls) == (2, "", [])
    assert told in result.err


# ---- what comes of it


def test_the_highest_code_counts_and_every_reason_is_told(run: Run, driver: Driver) -> None:
    reasons = (examples.failure("b.whl"), examples.failure("b.whl", message="another reason", hint="another step"))
    driver.answers = {
        "b.whl": examples.failed(*reasons, subject="b.whl"),
        "c.whl": examples.failed(examples.failure("c.whl", code=3), subject="c.whl"),
    }
    result = run("repair", "a.whl", "b.whl", "c.whl")
    assert result.code == 4
    assert driver.paths == ["a.whl", "b.whl", "c.whl"]
    assert result.err.count("error: b.whl: ") == 2
    assert "error: b.whl: another reason\n  = help: another step\n" in result.err
    assert result.out.endswith("3 wheels: 1 written, 2 failed\n")


@pytest.mark.parametrize(
    ("severity", "certainty", "fail_on", "code"),
    [
        (Severity.ERROR, Certainty.CERTAIN, "", 0),
        (Severity.ERROR, Certainty.CERTAIN, "never", 0),
        (Severity.ERROR, Certainty.CERTAIN, "error", 1),
        (Severity.ERROR, Certainty.POSSIBLE, "error", 0),
        (Severity.WARNING, Certainty.LIKELY, "error", 0),
        (Severity.WARNING, Certainty.LIKELY, "warning", 1),
        (Severity.NOTE, Certainty.CERTAIN, "warning", 0),
        (Severity.NOTE, Certainty.CERTAIN, "note", 1),
    ],
)
def test_what_remains_fails_only_when_asked(
    run: Run, driver: Driver, *, severity: Severity, certainty: Certainty, fail_on: str, code: int
) -> None:
    driver.answers = {"x.whl": examples.result(remaining=(examples.finding(severity, certainty=certainty),))}
    result = run("repair", *(["--fail-on", fail_on] if fail_on else []), "x.whl")
    assert (result.code, result.err) == (code, "")


def test_a_failure_outranks_what_remains(run: Run, driver: Driver) -> None:
    driver.answers = {"x.whl": examples.result(remaining=(examples.finding(Severity.ERROR),)), "y.whl": examples.failed(subject="y.whl")}
    assert run("repair", "--fail-on", "error", "x.whl", "y.whl").code == 4


def test_folders_patterns_and_lists_are_expanded(run: Run, driver: Driver, tmp_path: Path) -> None:
    for name in ("a.whl", "b c.whl", "note.txt"):
        (tmp_path / "lib" / name).write_bytes(b"")
    run("repair", "lib")
    run("repair", "lib/*.whl")
    run("repair", "-", stdin=b"lib/a.whl\nlib/b c.whl\n")
    assert [path.replace("\\", "/") for path in driver.paths] == ["lib/a.whl", "lib/b c.whl"] * 3


def test_there_is_no_progress_in_a_pipe(run: Run, driver: Driver) -> None:
    assert run("repair", "x.whl").err == ""


def test_progress_is_a_line_on_a_terminal(run: Run, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    from relocator.cli import terminal

    monkeypatch.setattr(terminal, "_is_terminal", lambda stream: True)
    monkeypatch.setattr(terminal, "PERIOD", 0)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("TERM", raising=False)
    told = run("repair", "x.whl", "y.whl").err
    assert "2/2 y.whl: 1 files, 0 MB" in told
    assert told.endswith("\r\x1b[K")
    assert run("repair", "-q", "x.whl").err == ""


def test_the_form_of_the_output_and_the_configuration_count(run: Run, driver: Driver, tmp_path: Path) -> None:
    text = 'exclude = ["libcuda*"]\nzip-level = 9\nsbom = false\nsearch = ["lib"]\nformat = "json"\nverify = "full"\nplat = ["x"]'
    (tmp_path / "relocator.toml").write_text(text, "utf-8")
    result = run("repair", "x.whl")
    assert json.loads(result.out)["plans"][0]["outcome"] == "written"
    assert driver.asked.options == RepairOptions(exclude=("libcuda*",), sbom=False, plat=("x",))
    assert (driver.asked.writing.level, driver.asked.writing.verify) == (9, "full")
    assert driver.asked.sought.search == ((tmp_path / "lib").as_posix(),)
    driver.calls.clear()
    run("repair", "--no-config", "x.whl")
    assert driver.asked.options == RepairOptions()


@pytest.mark.parametrize("text", ['strip = "rm"', 'wheel-dir = "/"', "force = true", 'no-dll = ["a"]', 'zip-level = "9"', "zip-level = 10"])
def test_a_file_may_not_say_what_is_run_or_replaced(run: Run, driver: Driver, tmp_path: Path, text: str) -> None:
    (tmp_path / "relocator.toml").write_text(text, "utf-8")
    result = run("repair", "x.whl")
    assert (result.code, driver.calls) == (2, [])
    assert "relocator.toml:1" in result.err


def test_outcomes_are_printed_in_one_line_each_when_quiet(run: Run, driver: Driver) -> None:
    driver.answers = {"x.whl": examples.result(outcome=Outcome.COPIED)}
    assert len(run("repair", "-q", "x.whl", "y.whl").out.splitlines()) == 2


# ---- help


def aliases() -> list[str]:
    """Every name that the help leaves out."""
    found = [name for param in COMMAND.params if isinstance(param, spelled.Grouped) for name in param.aliases]
    hidden = [param for param in COMMAND.params if isinstance(param, click.Option) and param.hidden and param.name != "traceback"]
    return found + [name for param in hidden for name in param.opts]


def test_help_has_headings_and_leaves_the_aliases_out(run: Run) -> None:
    told = run("repair", "--help").out
    assert "Where libraries come from:\n  -l, --search DIR" in told
    words = told.replace(",", " ").replace("=", " ").replace("[", " ").split()
    assert not [name for name in aliases() if name in words]
    assert len(aliases()) > 20


def test_every_alias_is_in_the_guide() -> None:
    guide = (Path(__file__).parent.parent / "docs" / "repair.md").read_text("utf-8")
    assert not [name for name in aliases() if f"`{name}" not in guide]


def test_no_option_is_there_twice() -> None:
    names = [name for param in COMMAND.params for name in (*param.opts, *param.secondary_opts) if name.startswith("-")]
    assert len(names) == len(set(names))


# ---- for programs


def test_one_path_gives_one_result_and_several_give_a_tuple(driver: Driver) -> None:
    alone = api.repair("x.whl", "out")
    assert isinstance(alone, RepairResult)
    several = api.repair([Path("x.whl"), "y.whl"], Path("out"), RepairOptions(sbom=False), force=True, prefix="p")
    assert isinstance(several, tuple)
    assert [call.paths for call in driver.calls] == [("x.whl",), ("x.whl", "y.whl")]
    assert driver.calls[1].options == RepairOptions(sbom=False)
    assert driver.calls[1].writing == Writing("out", force=True)
    assert driver.calls[1].sought.prefix == "p"
    assert api.repair([]) == ()


def test_steps_are_told_to_programs(driver: Driver) -> None:
    steps: list[api.Step] = []
    api.repair(["x.whl", "y.whl"], progress=steps.append)
    assert [(step.subject, step.number, step.member) for step in steps] == [
        ("x.whl", 1, ""),
        ("x.whl", 1, "demo/_core.so"),
        ("y.whl", 2, ""),
        ("y.whl", 2, "demo/_core.so"),
    ]


# ---- with the real driver


def test_a_wheel_of_any_system_is_repaired_and_then_there(run: Run, tmp_path: Path) -> None:
    typed = ["repair", "--no-host", "--format", "json", "-w", tmp_path / "out", FIXTURES / "wheels" / "clean-*.whl"]
    first = run(*typed)
    assert (first.code, first.err) == (0, "")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    plans = json.loads(first.out)["plans"]
    assert [plan["outcome"] for plan in plans] == ["copied", "written", "copied"]
    assert {plan["name"]: plan["sha256"] for plan in plans} == {name: sha256(data).hexdigest() for name, data in before.items()}
    again = run(*typed)
    assert again.code == 0
    assert [plan["outcome"] for plan in json.loads(again.out)["plans"]] == ["present"] * 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    result = run("repair", "-n", "--no-host", "--allow-missing", "-w", tmp_path / "out", next((FIXTURES / "wheels").glob("faulty-*linux*")))
    assert (result.code, result.err) == (0, "")
    assert "planned            nothing was written; the wheel would be faulty-1.0-" in result.out
    assert not (tmp_path / "out").exists()


def test_what_is_no_wheel_is_refused_and_the_others_are_repaired(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text-1-py3-none-any.whl").write_bytes(b"text")
    good = next((FIXTURES / "wheels").glob("clean-*win*.whl"))
    result = run("repair", "--no-host", "-w", tmp_path / "out", tmp_path / "text-1-py3-none-any.whl", tmp_path / "gone.whl", good)
    assert result.code == 3
    assert result.err.count("error: ") == 2
    assert "Traceback" not in result.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [good.name]


def test_the_input_is_never_replaced(run: Run, tmp_path: Path) -> None:
    wheel = Path(shutil.copy2(next((FIXTURES / "wheels").glob("faulty-*linux*")), tmp_path))
    before = wheel.read_bytes()
    for more in ([], ["--force"]):
        result = run("repair", "--no-host", "--allow-missing", "--no-update-tags", *more, "-w", tmp_path, wheel)
        assert result.code == 4
        assert "= help:" in result.err
        assert wheel.read_bytes() == before
    assert list(tmp_path.iterdir()) == [wheel]


def test_two_wheels_that_would_get_one_name_are_both_named(run: Run, tmp_path: Path) -> None:
    wheel = next((FIXTURES / "wheels").glob("clean-*win*.whl"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy2(wheel, tmp_path / name)
    result = run("repair", "--no-host", "-w", tmp_path / "out", tmp_path / "one", tmp_path / "two")
    assert result.code == 4
    assert str(tmp_path / "one") in result.err
    assert str(tmp_path / "two") in result.err
    assert "1 copied as they are, 1 failed" in result.out


def test_a_file_that_says_when_an_audit_fails_does_not_make_a_repair_fail(
    run: Run, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.relocator]\nfail-on = "warning"\n')
    monkeypatch.chdir(tmp_path)
    driver.answers = {"x.whl": examples.result(remaining=(examples.finding(Severity.ERROR),))}
    assert run("repair", "x.whl").code == 0
    assert run("repair", "--fail-on", "warning", "x.whl").code == 1


def test_a_bug_that_one_wheel_meets_does_not_stop_the_others(run: Run, driver: Driver) -> None:
    driver.bugs = {"b.whl"}
    result = run("repair", "a.whl", "b.whl", "c.whl")
    assert result.code == 5
    assert [call.paths for call in driver.calls] == [("a.whl",), ("c.whl",)]
    assert "b.whl" in result.err
