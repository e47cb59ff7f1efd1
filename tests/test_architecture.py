"""What may know what. Every failure says where the code belongs."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "relocator"

LAYERS: tuple[tuple[str, str, frozenset[str]], ...] = (
    (
        "words",
        "values and tables that know nothing of files, loaders or rules",
        frozenset(
            {
                *("", "model", "symbols", "native", "findings", "target", "loading", "errors", "buffer", "libc", "plans"),
                *("knowledge", "paint", "policy", "repairs", "search_order"),
            }
        ),
    ),
    (
        "edges",
        "what reads one format, one archive, one kind of text",
        frozenset(
            {
                *(
                    "backends",
                    "containers",
                    "archives",
                    "archive_tools",
                    "distributions",
                    "editable",
                    "files",
                    "inflating",
                    "journal",
                    "layouts",
                    "lock_files",
                    "origins",
                    "companions",
                    "ownership",
                    "metadata",
                    "records",
                ),
                *("literals", "python_sources", "source_values", "world", "configuration", "toml_places", "baseline"),
            }
        ),
    ),
    (
        "shared thought",
        "what several rules, outputs or commands want to know of a Survey, and the making of the Survey",
        frozenset(
            {
                "platform_tags",
                "wheel_file",
                "tags",
                "demands",
                "bindings",
                "processes",
                "reading",
                "wheel_choice",
                "locks",
                "roles",
                "survey",
                "sources",
                "providing",
                "places",
                "search_paths",
                "facts",
                "particulars",
                "projection",
                "verification",
                "editing",
                "python_abi",
                "meeting",
                "families",
                "requires",
            }
        ),
    ),
    ("thought", "pure functions over a Survey", frozenset({"rules", "audit", "repair"})),
    ("view", "a value to text, no thought of its own", frozenset({"output"})),
    (
        "effect",
        "the only caller of anything that writes; verifying and sealing are callbacks, so it knows no rule",
        frozenset({"apply", "packing", "sealing", "stripping", "changing"}),
    ),
    ("verbs", "straight lines over all layers below", frozenset({"api", "rewriting", "repairing", "retagging", "fusing"})),
    ("shell", "arguments, terminal, exit status", frozenset({"cli", "__main__"})),
)

SIBLINGS = ("backends", "containers", "rules", "output")
"""Folders whose parts never import one another."""

SHARED_PARTS = {"containers": {"entry"}}
"""Parts of such a folder that its siblings are made of."""

PARSERS = {"elftools", "macholib", "pefile", "lief"}


def modules() -> list[str]:
    """Every module, as "rules.missing_library"; "" is the package itself."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def tree_of(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Yield the absolute name of everything imported, wherever in the file, and the line."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: write the import in full"
            assert node.module
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole.removeprefix("relocator.") in ALL else node.module, node.lineno


ALL = set(modules())


def own_imports(module: str) -> Iterator[tuple[str, int]]:
    for name, line in imports(module):
        if name == "relocator" or name.startswith("relocator."):
            yield name.removeprefix("relocator").removeprefix("."), line


def layer_of(module: str) -> int:
    first = module.partition(".")[0]
    for number, (_, _, members) in enumerate(LAYERS):
        if first in members:
            return number
    raise AssertionError(f"{first} is in no layer: name it in LAYERS of this test, in the lowest one that has all it imports")


def uses(module: str, *attributes: tuple[str, str]) -> Iterator[int]:
    """Yield the lines where `sys.platform` or the like is used, however it was imported."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in attributes:
            yield node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from (node.lineno for alias in node.names if (node.module, alias.name) in attributes)


def check_layers(module: str, imported: str) -> str:
    """Return what is wrong with an import, "" when nothing is."""
    here, there = layer_of(module), layer_of(imported)
    if there <= here:
        return ""
    name, what, _ = LAYERS[here]
    return (
        f"{module or 'relocator'} is in layer {here} ({name}: {what}) and imports {imported} of layer {there} ({LAYERS[there][0]}); "
        f"move what it needs down into layer {here} or below, or the code that needs it up into layer {there}"
    )


def check_siblings(module: str, imported: str) -> str:
    folder, _, part = module.partition(".")
    other_folder, _, other = imported.partition(".")
    own, its = part.partition(".")[0], other.partition(".")[0]
    if folder not in SIBLINGS or folder != other_folder or not own or not its or own == its or its in SHARED_PARTS.get(folder, ()):
        return ""
    below = LAYERS[max(layer_of(folder) - 1, 0)][0]
    return f"{module} imports its sibling {imported}: what two {folder} share belongs to a module of the layer below ({below})"


@pytest.mark.parametrize("module", modules())
def test_imports_point_downward(module: str) -> None:
    wrong = [f"{module}:{line}: {problem}" for name, line in own_imports(module) if (problem := check_layers(module, name))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", modules())
def test_siblings_never_import_one_another(module: str) -> None:
    wrong = [f"line {line}: {problem}" for name, line in own_imports(module) if (problem := check_siblings(module, name))]
    assert not wrong, "\n".join(wrong)


def test_a_reader_opens_nothing_and_knows_no_container() -> None:
    for module in modules():
        if module.startswith("backends.") and not module.endswith(".verify"):
            wrong = [name for name, _ in own_imports(module) if layer_of(name) == 1 and not name.startswith("backends")]
            assert not wrong, f"{module} imports {wrong}: a backend gets buffers and worlds, and never opens a file"
            calls = [n.lineno for n in ast.walk(tree_of(module)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "open"]
            assert not calls, f"{module}:{calls}: a backend never opens a file"


@pytest.mark.parametrize(
    ("module", "imported"),
    [("model", "rules"), ("rules.a", "output.text"), ("output.text", "api"), ("backends.linux", "survey"), ("api", "cli")],
)
def test_the_layer_check_finds_an_upward_import(module: str, imported: str) -> None:
    assert "move what it needs down" in check_layers(module, imported)
    assert not check_layers(imported, module)


@pytest.mark.parametrize(
    ("module", "imported"),
    [("rules.a", "rules.b"), ("backends.linux.read", "backends.macos.read"), ("output.json", "output.text.audit")],
)
def test_the_sibling_check_finds_a_sibling(module: str, imported: str) -> None:
    assert "belongs to a module of the layer below" in check_siblings(module, imported)


def test_the_sibling_check_lets_a_folder_import_its_own() -> None:
    assert not check_siblings("backends.linux.read", "backends.linux.symbols")
    assert not check_siblings("rules", "rules.a")
    assert not check_siblings("containers.wheel", "containers.entry")


def test_parser_libraries_are_second_readers_only() -> None:
    for module in modules():
        found = {name.partition(".")[0] for name, _ in imports(module)} & PARSERS
        allowed = module.startswith("backends.") and module.endswith(".verify")
        assert allowed or not found, f"{module} imports {found}: readers are ours; parser libraries belong to backends/*/verify.py"


def test_click_and_printing_are_in_the_shell_only() -> None:
    for module in modules():
        if layer_of(module) == len(LAYERS) - 1:
            continue
        found = {name.partition(".")[0] for name, _ in imports(module)} & {"click"}
        assert not found, f"{module} imports click: return a value or raise an error, and let cli/ talk to the user"
        calls = [n for n in ast.walk(tree_of(module)) if isinstance(n, ast.Call)]
        prints = [call.lineno for call in calls if getattr(call.func, "id", "") in ("print", "input")]
        assert not prints, f"{module}:{prints} prints: return text, and let cli/ print it"


def test_the_host_is_looked_at_in_the_shell_and_the_world_only() -> None:
    host = (("sys", "platform"), ("os", "environ"), ("os", "getenv"), ("os", "name"))
    for module in modules():
        if layer_of(module) != len(LAYERS) - 1 and module != "world":
            lines = list(uses(module, *host))
            assert not lines, f"{module}:{lines} asks the host: take what you need as an argument; only cli/ and world.py may ask"


def broad(module: str) -> list[int]:
    """Return the lines of handlers that catch everything and keep it."""
    found = []
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ExceptHandler) and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(item is None or getattr(item, "id", "") in ("Exception", "BaseException") for item in caught):
                found.append(node.lineno)
    return found


def test_everything_is_caught_at_the_edge_of_the_shell_only() -> None:
    for module in modules():
        if module not in ("cli", "cli.looks", "cli.repair", "inflating"):  # the last one hands over what its thread met
            assert not broad(module), f"{module}:{broad(module)}: catch what the call can raise, and nothing else"
    assert broad("cli")
    assert broad("cli.looks")
    assert broad("cli.repair")


def files_in(folder: str) -> set[str]:
    return {path.stem for path in (SOURCE / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}


def test_the_table_of_rules_agrees_with_its_folder() -> None:
    from relocator.rules import RULES

    named = {rule.name.replace("-", "_") for rule in RULES}
    assert named == files_in("rules"), "a rule is one file in rules/ named like the rule, and one line in rules/__init__.py"


def test_the_table_of_backends_agrees_with_its_folder() -> None:
    from relocator.backends import BACKENDS

    assert set(BACKENDS.values()) == files_in("backends")


def test_the_table_of_outputs_agrees_with_its_folder() -> None:
    from relocator.output import OUTPUTS, renderer

    assert set(OUTPUTS) == files_in("output"), "an output is one module in output/, and one line in output/__init__.py"
    named = {module for nouns in OUTPUTS.values() for module in nouns.values()}
    assert {module.partition(".")[2] for module in named if "." in module} == files_in("output/text")
    for name, nouns in OUTPUTS.items():
        module_names = set(nouns.values())
        found = {n for m in module_names for n in vars(import_module(f"relocator.output.{m}")) if n.startswith("render_")}
        assert {f"render_{noun}" for noun in nouns} <= found
        assert all(callable(renderer(name, noun)) for noun in nouns)


def test_the_table_of_commands_agrees_with_its_folder() -> None:
    from relocator.cli import COMMANDS

    assert set(COMMANDS) <= files_in("cli")
    for name in COMMANDS:
        assert import_module(f"relocator.cli.{name}").command.name == name
    shared = {"configured", "finished", "inputs", "judging", "looks", "mishap", "options", "repair_options", "terminal", "whereabouts"}
    assert files_in("cli") - set(COMMANDS) == shared, "a command is one file in cli/, and one line in COMMANDS"


def test_the_schemas_are_in_the_wheel() -> None:
    settings = tomllib.loads((SOURCE.parent.parent / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/relocator"]
    assert {path.stem for path in (SOURCE / "output" / "schemas").glob("*.json")} == {
        "audit",
        "show",
        "tree",
        "edit",
        "journal",
        "repair",
        "rules",
    }


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running the code."""
    script = f"import contextlib, io, sys\nwith contextlib.redirect_stdout(io.StringIO()):\n    {code}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"json", "zipfile", "hashlib", "ast", "email", "packaging", "importlib.resources", "concurrent.futures", *PARSERS}


@pytest.mark.parametrize("arguments", [["--version"], [], ["--help"]])
def test_the_quick_commands_load_nothing_of_the_work(arguments: list[str]) -> None:
    loaded = loaded_by(f"from relocator.cli import main; main({arguments})")
    assert "click" in loaded
    ours = {name for name in loaded if name.startswith("relocator")}
    assert ours == {"relocator", "relocator.cli", "relocator.errors"}
    assert not loaded & (HEAVY - loaded_by("import click"))


def test_completion_of_commands_loads_none_of_them() -> None:
    loaded = loaded_by("from relocator.cli import COMMANDS, relocate; import click; relocate.shell_complete(click.Context(relocate), 'a')")
    assert not {name for name in loaded if name.startswith("relocator.")} - {"relocator.cli", "relocator.errors"}


def test_the_api_loads_no_parser_and_no_work_before_it_is_called() -> None:
    loaded = loaded_by("import relocator.api")
    assert not loaded & PARSERS
    assert "click" not in loaded
    assert not {name for name in loaded if name.startswith(("relocator.rules", "relocator.backends", "relocator.containers"))}
