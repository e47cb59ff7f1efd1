"""What the documents say is there: commands, options, rules, paths, links, dependencies, the configuration that they show."""

import ast
import re
import shlex
import shutil
import textwrap
import tomllib
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from conftest import Run
from relocator import baseline
from relocator.cli import COMMANDS, relocate
from relocator.configuration import OPTIONS, TABLES, TYPED_ONLY, load
from relocator.rules import RULES

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "DESIGN.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RULE_NAMES = [rule.name for rule in RULES]
CONFIGURATION = ROOT / "docs" / "configuration.md"

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


class Block(NamedTuple):
    """A fenced block of a document."""

    heading: str
    language: str
    text: str


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    heading, language, lines = "", None, list[str]()
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            if language is not None:
                found.append(Block(heading, language, textwrap.dedent("\n".join(lines))))
            language, lines = (line.strip().removeprefix("```"), []) if language is None else (None, [])
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ").strip()
    assert language is None, "a fence is not closed"
    return found


def spans(text: str) -> list[str]:
    """Return the inline code outside of fenced blocks."""
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", outside)


def calls(text: str) -> list[list[str]]:
    """Return the words after `relocate` of each call in shell blocks, pipelines and inline code; words in capitals stand for values."""
    lines = [line for block in blocks(text) if block.language in ("sh", "yaml") for line in block.text.splitlines()]
    pieces = [piece for line in lines for piece in re.split(r"&&|\||;|- run:", line)] + spans(text)
    split = [shlex.split(piece, comments=True) for piece in pieces if re.match(r"\s*(\S*/)?relocate\b", piece)]
    return [words[1:] for words in split]


def options_of(command: click.Command) -> set[str]:
    return {option for param in command.params for option in (*param.opts, *param.secondary_opts) if option.startswith("-")} | {
        "-h",
        "--help",
    }


def known_options() -> set[str]:
    commands = [import_module(f"relocator.cli.{name}").command for name in COMMANDS]
    return set().union(*map(options_of, [relocate, *commands]))


def wrong_calls(text: str) -> list[str]:
    """Return what is wrong with the calls in a document."""
    wrong = []
    for words in calls(text):
        name = next((word for word in words if not word.startswith("-")), "")
        if name and name not in COMMANDS:
            wrong.append(f"there is no command {name!r}")
            continue
        options = options_of(import_module(f"relocator.cli.{name}").command if name else relocate)
        wrong += [
            f"{name} has no {word}" for word in words if word.startswith("-") and word != "-" and word.partition("=")[0] not in options
        ]
    return wrong


def wrong_options(text: str) -> list[str]:
    """Return options in inline code that no command has; those of other programs stand after their names."""
    mentioned = [span.split()[0].partition("=")[0] for span in spans(text) if span.startswith("-") and len(span) > 1]
    return [option for option in mentioned if option not in known_options()]


def wrong_rules(text: str) -> list[str]:
    """Return names that are meant to be rules and are none."""
    named = re.findall(r"\b(?:error|warning|note)\[([\w-]+)\]", text) + re.findall(r"relocate explain ([a-z][\w-]+)", text)
    alike = [span for span in spans(text) if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", span) and get_close_matches(span, RULE_NAMES, 1, 0.8)]
    return [name for name in [*named, *alike] if name not in RULE_NAMES]


def wrong_links(text: str, folder: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:", target)]
    return [target for target in relative if target and not (folder / target).exists()]


def wrong_paths(text: str) -> list[str]:
    named = re.findall(r"(?<![\w/.])(?:tests|scripts|src|docs|\.ci)/[\w./{},-]*[\w/]", text)
    return [path for path in named if "{" not in path and not (ROOT / path).exists()]


# ---- every document


@documents
def test_every_command_and_option_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not wrong_calls(text)
    assert not [option for option in wrong_options(text) if option not in PYTEST_OPTIONS]


PYTEST_OPTIONS = {"--oracles", "--missing-oracle", "--corpus", "--update-golden"}
"""Options of the tests, which documents may name, too."""


@documents
def test_every_rule_exists(path: Path) -> None:
    assert not wrong_rules(path.read_text("utf-8"))


@documents
def test_every_link_leads_somewhere(path: Path) -> None:
    assert not wrong_links(path.read_text("utf-8"), path.parent)


@documents
def test_every_path_exists(path: Path) -> None:
    assert not wrong_paths(path.read_text("utf-8"))


def test_the_checks_find_what_is_wrong() -> None:
    text = "`relocate adit x` `--fial-on` `missing-libary` error[no-such-rule] [a](gone.md) `tests/gone.py`\n"
    text += "```sh\nrelocate audit --bad x\n```\n"
    assert wrong_calls(text) == ["audit has no --bad", "there is no command 'adit'"]
    assert wrong_options(text) == ["--fial-on"]
    assert wrong_rules(text) == ["no-such-rule", "missing-libary"]
    assert wrong_links(text, ROOT) == ["gone.md"]
    assert wrong_paths(text) == ["tests/gone.py"]


# ---- the README


def first_block(heading: str) -> Block:
    found = [block for block in blocks((ROOT / "README.md").read_text("utf-8")) if block.heading == heading]
    assert found, f"README.md has no block below {heading!r}"
    return found[0]


@pytest.mark.parametrize(("heading", "words"), [("Run it", ".venv/bin/relocate"), ("Test it", ".venv/bin/pytest")])
def test_the_readme_has_one_line_to_run_and_one_to_test(heading: str, words: str) -> None:
    block = first_block(heading)
    assert block.language == "sh"
    assert words in block.text
    assert len(block.text.splitlines()) == 1


def test_what_the_readme_shows_is_what_its_command_prints(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = first_block("Run it").text.rpartition("&&")[2]
    result = run(*shlex.split(command)[1:])
    assert result.code == 0
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = [block.text for block in blocks(readme) if (block.heading, block.language) == ("Run it", "text")]
    assert shown in result.out


def test_every_command_of_the_line_to_run_works(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    pieces = [shlex.split(piece) for piece in first_block("Run it").text.split("&&")]
    commands = [words[1:] for words in pieces if words[0] == ".venv/bin/relocate"]
    assert [words[0] for words in commands] == ["repair", "audit"]
    for words in commands:
        result = run(*(tmp_path / "wheelhouse" if word == ".venv/wheelhouse" else word for word in words))
        assert (result.code, result.err) == (0, "")
    assert len(list((tmp_path / "wheelhouse").iterdir())) == 1


def cibuildwheel_of(path: Path) -> dict[str, Any]:
    """Return the configuration of cibuildwheel that a document shows."""
    loaded = [tomllib.loads(block.text).get("tool", {}) for block in blocks(path.read_text("utf-8")) if block.language == "toml"]
    (found,) = [tool["cibuildwheel"] for tool in loaded if "cibuildwheel" in tool]
    assert isinstance(found, dict)
    return found


def test_the_documents_agree_on_cibuildwheel() -> None:
    assert cibuildwheel_of(ROOT / "README.md") == cibuildwheel_of(ROOT / "docs" / "repair.md")


@pytest.mark.parametrize(
    ("system", "tag", "archs"), [("", "manylinux_2_17_x86_64", ""), ("", "win_amd64", ""), ("macos", "macosx_11_0_arm64", "arm64")]
)
def test_the_commands_for_cibuildwheel_leave_one_wheel(run: Run, tmp_path: Path, system: str, tag: str, archs: str) -> None:
    settings = cibuildwheel_of(ROOT / "README.md")
    wheel = Path(shutil.copy(ROOT / "tests" / "fixtures" / "wheels" / f"clean-1.0-cp312-cp312-{tag}.whl", tmp_path))
    (tmp_path / "out").mkdir()
    repair = {**settings, **settings.get(system, {})}["repair-wheel-command"]
    typed = repair.format(dest_dir=(tmp_path / "out").as_posix(), wheel=wheel.as_posix(), delocate_archs=archs)
    result = run(*shlex.split(typed)[1:], "--no-host")
    assert (result.code, result.err) == (0, "")
    (repaired,) = (tmp_path / "out").iterdir()
    assert run(*shlex.split(settings["audit-command"].format(wheel=repaired.as_posix()))[1:]).code == 0


def test_every_command_for_cibuildwheel_has_options_that_exist() -> None:
    settings = cibuildwheel_of(ROOT / "README.md")
    commands = [settings["audit-command"]] + [part["repair-wheel-command"] for part in (settings, settings["macos"], settings["android"])]
    assert all(command.startswith("relocate ") for command in commands)
    assert not wrong_calls("\n".join(f"`{command}`" for command in commands))
    assert settings["before-build"].split()[-1].partition("[")[0] == PROJECT["name"]


def test_the_readme_names_every_command() -> None:
    named = {words[0] for words in calls((ROOT / "README.md").read_text("utf-8")) if words}
    assert named >= set(COMMANDS)


def test_the_installed_extras_exist() -> None:
    extras = re.findall(r"'\.\[([\w,]+)\]'", (ROOT / "README.md").read_text("utf-8"))
    assert extras
    assert {name for text in extras for name in text.split(",")} <= set(PROJECT["optional-dependencies"])


# ---- what messages name


def texts_of(path: Path) -> list[str]:
    """Return the strings of a module."""
    return [
        node.value
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_every_option_that_a_repair_names_exists() -> None:
    source = ROOT / "src" / "relocator"
    modules = [*(source / "repair").glob("*.py"), *(source / f"{name}.py" for name in ("repairs", "repairing", "search_order", "survey"))]
    others = {"--strip-all"}  # of llvm-strip
    named = {option for path in modules for text in texts_of(path) for option in re.findall(r"(?<![\w-])--[a-z-]*[a-z](?![a-z-])", text)}
    assert len(named) > 5
    assert named - others <= known_options()


# ---- the design


def declared() -> set[tuple[str, str]]:
    """Return (package, extra) of each dependency; the extra is "" for those that everybody gets."""
    groups = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    found = {(re.match(r"[\w.-]+", text)[0], extra) for extra, texts in groups.items() for text in texts}  # type: ignore[index]
    return {(name, extra) for name, extra in found if name != PROJECT["name"]}


def test_the_design_lists_exactly_the_dependencies() -> None:
    table = (ROOT / "DESIGN.md").read_text("utf-8").partition("## Dependencies\n")[2].partition("\n## ")[0]
    listed = set()
    for cells in re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]:
        extra = re.search(r"\(extra `(\w+)`\)", cells)
        names = re.sub(r"\(.*?\)", "", cells).split(",")
        listed |= {(name.strip().strip("`"), extra[1] if extra else "") for name in names}
    assert listed == declared()


# ---- the configuration page


def toml_block() -> str:
    (block,) = [block for block in blocks(CONFIGURATION.read_text("utf-8")) if block.language == "toml"]
    return block.text


def test_the_configuration_shown_loads_and_works(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(toml_block(), "utf-8")
    (tmp_path / "vendor" / "lib").mkdir(parents=True)
    (tmp_path / "relocator-baseline.json").write_text(baseline.dumps([]), "utf-8")
    monkeypatch.chdir(tmp_path)
    configuration = load("pyproject.toml")
    assert {setting.name for setting in configuration.settings} == {"fail-on", "search", "baseline"}
    assert len(configuration.suppressions) == 2
    assert all(dated.suppression.rule in RULE_NAMES for dated in configuration.suppressions)
    assert all(grading.rule in RULE_NAMES for grading in configuration.gradings)
    result = run("audit", ROOT / "tests" / "fixtures" / "wheels" / "clean-1.0-cp312-cp312-win_amd64.whl")
    assert (result.code, result.err) == (0, "")


def test_the_configuration_page_has_every_key_and_no_other() -> None:
    text = CONFIGURATION.read_text("utf-8")
    table = text.partition("## Options\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert {key for cell in first_cells for key in re.findall(r"`([\w-]+)`", cell)} == set(OPTIONS)
    assert all(f"[tool.relocator.{name}]" in text for name in TABLES)
    assert all(f"`{name}`" in text or f"`--{name}" in text for name in TYPED_ONLY)
    suppressions = text.partition("## Suppressions\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", suppressions, re.MULTILINE) == ["rule", "reason", "member", "distribution", "until"]
