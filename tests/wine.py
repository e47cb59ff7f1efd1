"""Wine, for tests that ask a Windows loader: one prefix per module of tests, and the probe that opens pkg/a.pyd as CPython would."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import NamedTuple

import pytest

from conftest import FIXTURES, absent

PROBE = "app/probe.exe"
A = "pkg/a.pyd"
LIMIT = 120
"""Seconds: the first start of a prefix takes twelve."""


class Answer(NamedTuple):
    """What a loader made of a tree: the modules below it, or failure; and what the called function gave."""

    modules: frozenset[str] | None
    value: str


class Wine:
    """Wine with a prefix of its own."""

    def __init__(self, program: str, prefix: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self.program = program
        self.environment = {**kept, "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "winedbg.exe,mscoree,mshtml=d"}
        # As long as some program runs, the next one starts in a tenth of the time. It has to start wine's services too: they keep
        # the pipes of who started them.
        self.keeper = subprocess.Popen(
            [program, "cmd.exe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment
        )
        assert self.keeper.stdout
        assert self.keeper.stdout.readline(), "wine does not start"

    def close(self) -> None:
        assert self.keeper.stdin
        assert self.keeper.stdout
        self.keeper.stdin.close()
        self.run("wineboot", "-k")
        self.keeper.wait(LIMIT)
        self.keeper.stdout.close()

    def run(self, *arguments: str, folder: Path | None = None, **variables: str) -> str:
        done = subprocess.run(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            check=False,
            cwd=folder,
            env={**self.environment, **variables},
        )
        return done.stdout.decode("ascii", "replace")

    def answer(
        self, tree: Path, added: tuple[str, ...], first: tuple[str, ...], call: str, folder: Path | None = None, **variables: str
    ) -> Answer:
        options = [f"+{dos(tree / name)}" for name in added] + [f"={dos(tree / name)}" for name in first]
        output = self.run(dos(tree / PROBE), *options, dos(tree / A), *([call] if call else []), folder=folder, **variables)
        lines = [line.partition(" ")[::2] for line in output.splitlines()]
        paths = [rest[2:].replace("\\", "/").casefold() for word, rest in lines if word == "module"]
        value = next((rest for word, rest in lines if word == "value"), "")
        assert paths or any(word == "error" for word, _ in lines), output
        return Answer(below(tree, paths) if paths else None, value)


def dos(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def below(tree: Path, paths: list[str]) -> frozenset[str]:
    start = tree.as_posix().casefold() + "/"
    return frozenset(path.removeprefix(start) for path in paths if path.startswith(start) and not path.endswith(PROBE))


def laid_out(tree: Path, files: Mapping[str, bytes | None]) -> None:
    for name, data in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)


def laid_out_for_probe(tree: Path) -> Path:
    """Make a tree with the probe and empty folders for what it opens."""
    laid_out(tree, {PROBE: (FIXTURES / "bin" / "pe" / "x64" / "probe.exe").read_bytes()})
    for name in ("pkg", "libs"):
        (tree / name).mkdir()
    return tree


@contextmanager
def started(config: pytest.Config, prefix: Path) -> Iterator[Wine]:
    """Run wine, or skip the test where it is not installed."""
    program = which("wine64") or which("wine64", path="/usr/lib/wine") or which("wine") or absent(config, "wine64")
    running = Wine(program, prefix)
    try:
        yield running
    finally:
        running.close()


def cpython() -> Path:
    """Return the folder of CPython for Windows, or skip the test."""
    folder = os.environ.get("RELOCATOR_WINDOWS_PYTHON", "")
    if not folder:
        pytest.skip("no CPython for Windows: scripts/windows_python.py DIR makes a folder, RELOCATOR_WINDOWS_PYTHON names it")
    assert (Path(folder) / "python.exe").is_file(), f"{folder} has no python.exe"
    return Path(folder)


def used(wine: Wine, python: Path, folder: Path, code: str) -> str:
    """Run code in CPython with a folder of modules, and return the line that it prints with "used" at its start; "" when it does not."""
    script = f"import sys; sys.path.insert(0, r'{dos(folder)}'); {code}"
    output = wine.run(str(python / "python.exe"), "-c", script, WINEDLLOVERRIDES="wbemprox,winedbg.exe,mscoree,mshtml=d")
    return next((line for line in output.splitlines() if line.startswith("used")), "")
