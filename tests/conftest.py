"""What every test may use: oracles that are skipped with a reason or required, goldens, small in-memory wheels."""

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from relocator import cli

FIXTURES = Path(__file__).parent / "fixtures"
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--oracles", choices=["optional", "required"], default="optional", help="whether an absent oracle is a failure")
    parser.addoption("--missing-oracle", action="append", default=[], help="an oracle that could not be installed: skipped all the same")
    parser.addoption("--corpus", default="", help="a folder of real wheels, as scripts/corpus.py makes it; or RELOCATOR_CORPUS names one")
    parser.addoption(
        "--environments", default="", help="a folder where pip makes real environments, which are kept; or RELOCATOR_ENVIRONMENTS"
    )
    parser.addoption("--update-golden", action="store_true", help="rewrite the stored outputs; review the diff")


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Return a function that finds a program (the first of several names), or skips the test and says why."""

    def find(*names: str) -> str:
        for name in names:
            if path := shutil.which(name):
                return path
        return absent(request.config, names[0])

    return find


def absent(config: pytest.Config, name: str) -> str:
    """Skip, or fail where oracles are required and this one was not said to be unobtainable."""
    if config.getoption("--oracles") == "required" and name not in config.getoption("--missing-oracle"):
        pytest.fail(f"oracle {name} is required and not installed")
    pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> Path:
    """Return the folder of real wheels, or skip the test and say how to get one."""
    folder = request.config.getoption("--corpus") or os.environ.get("RELOCATOR_CORPUS", "")
    if not folder:
        pytest.skip("no folder of real wheels: scripts/corpus.py DIR makes one, --corpus DIR names it")
    if not Path(folder).is_dir():
        pytest.fail(f"the folder of real wheels {folder} does not exist")
    return Path(folder)


@pytest.fixture(scope="session")
def environments(request: pytest.FixtureRequest) -> Path:
    """Return the folder where real environments are made, or skip the test and say how to get them."""
    folder = request.config.getoption("--environments") or os.environ.get("RELOCATOR_ENVIRONMENTS", "")
    if not folder:
        pytest.skip("no folder for real environments: --environments DIR names one, where pip makes them with the index at hand")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder).resolve()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares text with tests/golden/NAME, or rewrites it under --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8")

    return compare


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command in this process."""
    for name in [name for name in os.environ if name in ("NO_COLOR", "FORCE_COLOR") or name.startswith("RELOCATOR_")]:
        monkeypatch.delenv(name)

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call
