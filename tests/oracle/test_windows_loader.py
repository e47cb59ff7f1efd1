"""The Windows loader's model against wine's loader: the same trees, opened with the flags that CPython passes.

Wine is not Windows. What it does otherwise is left to tests/test_windows_load.py: it knows no DependentLoadFlags, goes on when the first
file of a name is for another machine, and maps a library that is cut. Every scenario has a change after which model and wine must both
give another answer: the negative control.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import FIXTURES
from pe_bytes import ARM64, library
from relocator.backends.windows import load, promises, read
from relocator.errors import UnreadableBinary
from relocator.loading import AddedDirectory, OtherFile, Process, Seen
from relocator.model import Binary, Format, How, Load, NeedKind, Unreadable
from relocator.target import Target
from wine import PROBE, A, Answer, Wine, below, dos, laid_out, laid_out_for_probe, started

PE = FIXTURES / "bin" / "pe" / "x64"
X, Y = "libs/x.dll", "libs/y.dll"
DELAY, LIBA = (PE / "delay.dll").read_bytes(), (PE / "liba.dll").read_bytes()
X86 = (PE.parent / "x86" / "liba.dll").read_bytes()
"""With code: wine maps what has none into a process of any machine."""
WINDOWS = Target("win_amd64", "windows", "", (("amd64", ()),), pythons=("cp312",), abis=("cp312",))
API_SET = "api-ms-win-crt-runtime-l1-1-0.dll"


class Scenario(NamedTuple):
    """A tree in which pkg/a.pyd is opened, and a change to it, or to how that is done, after which the answer differs."""

    name: str
    files: Mapping[str, bytes]
    change: Mapping[str, bytes | None] = {}
    added: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """Opened before."""
    call: str = ""
    """Function of the root that is called, for its delayed imports."""
    changed_added: tuple[str, ...] | None = None
    changed_first: tuple[str, ...] | None = None


SCENARIOS = (
    Scenario("a neighbour is found", {A: library("x.dll"), "pkg/x.dll": library()}, {"pkg/x.dll": None}),
    Scenario("names are compared without case", {A: library("X.DLL"), "pkg/x.dll": library()}, {"pkg/x.dll": None}),
    Scenario("a name without extension means a dll", {A: library("x"), "pkg/x.dll": library()}, {"pkg/x.dll": None, "pkg/x": library()}),
    Scenario("an added directory is found", {A: library("x.dll"), X: library()}, added=("libs",), changed_added=()),
    Scenario("the program's directory is found", {A: library("x.dll"), "app/x.dll": library()}, {"app/x.dll": None}),
    Scenario(
        "the root's directory comes before the program's",
        {A: library("x.dll"), "app/x.dll": library(), "pkg/x.dll": library()},
        {"pkg/x.dll": None},
    ),
    Scenario(
        "the program's directory comes before added ones",
        {A: library("x.dll"), "app/x.dll": library(), X: library()},
        {"app/x.dll": None},
        added=("libs",),
    ),
    Scenario(
        "the root's directory serves the whole tree",
        {A: library("x.dll"), X: library("y.dll"), "pkg/y.dll": library()},
        {"pkg/y.dll": None},
        added=("libs",),
    ),
    Scenario(
        "a dependency's own directory is not searched",
        {A: library("x.dll"), "app/x.dll": library("y.dll"), "app/y.dll": library(), "pkg/y.dll": library()},
        {"app/y.dll": None, "pkg/y.dll": None, Y: library()},
    ),
    Scenario(
        "what is loaded already wins by its base name",
        {A: library("x.dll"), X: library("y.dll"), Y: library(), "pkg/x.dll": library()},
        first=(X,),
        changed_first=(),
    ),
    Scenario(
        "a library that was opened with its own tree serves others",
        {A: library("y.dll"), X: library("y.dll"), Y: library()},
        first=(X,),
        changed_first=(),
    ),
    Scenario("the system's libraries are found", {A: library("winmm.dll", "x.dll"), "pkg/x.dll": library()}, {"pkg/x.dll": None}),
    Scenario(
        "copies of what the system brings are not looked at, but of what is in System32 alone",
        {A: library("kernel32.dll", API_SET, "winmm.dll"), **{f"pkg/{name}": library() for name in ("kernel32.dll", API_SET, "winmm.dll")}},
        {"pkg/winmm.dll": None},
    ),
    Scenario("a last dot means no extension", {A: library("x."), "pkg/x": library()}, {"pkg/x": None, "pkg/x.dll": library()}),
    Scenario("a folder in a name counts", {A: library("sub\\x.dll"), "pkg/sub/x.dll": library()}, {"pkg/sub/x.dll": None, X: library()}),
    Scenario("a library for x86 does not fit", {A: library("x.dll"), "pkg/x.dll": X86}, {"pkg/x.dll": library()}),
    Scenario("a library for arm64 does not fit", {A: library("x.dll"), "pkg/x.dll": library(machine=ARM64)}, {"pkg/x.dll": library()}),
    Scenario("a text does not fit", {A: library("x.dll"), "pkg/x.dll": b"text"}, {"pkg/x.dll": library()}),
    Scenario("a cut library does not fit", {A: library("x.dll"), "pkg/x.dll": library()[:0x150]}, {"pkg/x.dll": library()}),
    Scenario(
        "libraries may need each other", {A: library("x.dll"), "pkg/x.dll": library("y.dll"), "pkg/y.dll": library("x.dll")}, {A: library()}
    ),
    Scenario(
        "a delayed import is not searched beside its importer", {A: DELAY, "pkg/liba.dll": LIBA}, {"app/liba.dll": LIBA}, call="delay_call"
    ),
    Scenario(
        "a delayed import is not searched in added directories",
        {A: DELAY, "libs/liba.dll": LIBA},
        added=("libs",),
        call="delay_call",
        changed_first=("libs/liba.dll",),
    ),
)


class Files:
    """A tree on disk, read whole."""

    def __init__(self, tree: Path) -> None:
        self.seen = {path.as_posix().casefold(): seen(path) for path in sorted(tree.rglob("*")) if path.is_file()}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        return self.seen.get(path.casefold())


def seen(path: Path) -> Seen:
    where = path.as_posix()
    try:
        images = read(memoryview(path.read_bytes()))
    except UnreadableBinary as error:
        return Unreadable(where, where, Format.PE, error.field, error.expected, error.offset)
    return Binary(where, where, images, owner="tree") if images else OtherFile(where)


def modelled(tree: Path, added: tuple[str, ...], first: tuple[str, ...], call: str) -> Answer:
    world = Files(tree)
    process = Process(
        WINDOWS,
        promises(WINDOWS, "amd64"),
        added=tuple(AddedDirectory(f"{tree}/{name}", "__init__.py", 1) for name in added),
        executable=f"{tree}/{PROBE}",
    )
    loads = [opened(world, f"{tree}/{name}", process) for name in first]
    root = opened(world, f"{tree}/{A}", dataclasses.replace(process, loaded=tuple(f"{tree}/{name}" for name in first)))
    required = [r for r in root.resolutions if r.needed.kind == NeedKind.REQUIRED]
    late = [r for r in root.resolutions if r.needed.kind == NeedKind.DELAYED]
    if any(r.how == How.MISSING for r in required):
        return Answer(None, "")
    value = ("-126" if any(r.how == How.MISSING for r in late) else "42") if call else ""
    return Answer(below(tree, [path.casefold() for one in (*loads, root) for path in one.order]), value)


def opened(world: Files, path: str, process: Process) -> Load:
    root = world.at(path)
    assert isinstance(root, Binary)
    return load(root, "amd64", world, process)


@pytest.fixture(scope="module")
def wine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    with started(request.config, tmp_path_factory.mktemp("wine")) as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return laid_out_for_probe(tmp_path)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_model_agrees_with_wine(wine: Wine, tree: Path, scenario: Scenario) -> None:
    laid_out(tree, scenario.files)
    before = modelled(tree, scenario.added, scenario.first, scenario.call)
    assert wine.answer(tree, scenario.added, scenario.first, scenario.call) == before

    laid_out(tree, scenario.change)
    added = scenario.added if scenario.changed_added is None else scenario.changed_added
    first = scenario.first if scenario.changed_first is None else scenario.changed_first
    after = modelled(tree, added, first, scenario.call)
    assert after != before, "the change is no negative control"
    assert wine.answer(tree, added, first, scenario.call) == after


def test_neither_path_nor_the_current_directory_is_searched(wine: Wine, tree: Path) -> None:
    laid_out(tree, {A: library("x.dll"), X: library()})
    lured = wine.answer(tree, (), (), "", folder=tree / "libs", WINEPATH=dos(tree / "libs"))
    assert lured == modelled(tree, (), (), "") == Answer(None, "")
    assert wine.answer(tree, ("libs",), (), "").modules == frozenset({A, X})
