"""Repaired wheels before CPython for Windows, under wine: imported with their libraries absent everywhere else, and not without the patch.

CPython for Windows lies in the folder that RELOCATOR_WINDOWS_PYTHON names; scripts/windows_python.py makes one.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from builders import wheel
from conftest import FIXTURES
from relocator import api
from relocator.repairs import Outcome, RepairOptions
from unvendored import unvendor
from wine import Wine, cpython, laid_out, started, used

PE = FIXTURES / "bin" / "pe" / "x64"
USES = {"psycopg2_binary": "import psycopg2; print('used', psycopg2.__libpq_version__)"}
"""What a wheel is tried with that has libraries and can be used alone."""

DELAYED = b"""\
'opens a library that loads another one when it is called'
import ctypes, os
library = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "delay.dll"))
"""
CALL = "import demo; print('used', demo.library.delay_call(2))"


@pytest.fixture(scope="module")
def wine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    with started(request.config, tmp_path_factory.mktemp("wine")) as running:
        yield running


@pytest.fixture(scope="module")
def windows_python() -> Path:
    return cpython()


def repaired(path: Path, libraries: Path, out: Path, **options: object) -> Path:
    """Repair a wheel and unpack it; a second repair changes nothing."""
    wanted = RepairOptions(**options)  # type: ignore[arg-type]
    result = api.repair(path, out, wanted, search=[libraries], host=False)
    assert result.outcome == Outcome.WRITTEN, result.failures
    assert api.repair(result.output, out / "again", wanted, search=[libraries], host=False).outcome == Outcome.COPIED
    with zipfile.ZipFile(result.output) as archive:
        archive.extractall(out / "site")
    return out / "site"


def without_patch(folder: Path, name: str, data: bytes) -> None:
    """Put a source back, and forget what Python made of the other one."""
    (folder / name).write_bytes(data)
    for path in folder.rglob("*.pyc"):
        path.unlink()


@pytest.mark.parametrize("name", USES)
def test_cpython_imports_a_wheel_that_was_repaired(name: str, wine: Wine, windows_python: Path, corpus: Path, tmp_path: Path) -> None:
    version = next(windows_python.glob("python3??.dll")).stem.removeprefix("python")
    for number, found in enumerate(sorted(corpus.glob(f"{name}-*-cp{version}-win_amd64.whl"))):
        folder = tmp_path / str(number)
        with zipfile.ZipFile(found) as archive:
            archive.extractall(folder / "published")
        published = used(wine, windows_python, folder / "published", USES[name])
        if not published:
            continue  # it needs other packages, or functions that wine lacks
        bare = unvendor(found, folder)
        site = repaired(bare.wheel, bare.libraries, folder / "out")
        assert used(wine, windows_python, site, USES[name]) == published
        with zipfile.ZipFile(bare.wheel) as archive:
            for init in [member for member in archive.namelist() if member.count("/") == 1 and member.endswith("/__init__.py")]:
                without_patch(site, init, archive.read(init))
        assert used(wine, windows_python, site, USES[name]) == "", "the negative control"
        return
    pytest.skip(f"the corpus has no {name} for this Python that wine can run alone")


def built(folder: Path, files: Mapping[str, bytes], libraries: Mapping[str, bytes]) -> tuple[Path, Path]:
    path = folder / "demo-1.0-py3-none-win_amd64.whl"
    path.write_bytes(wheel(files, tags=("py3-none-win_amd64",)))
    laid_out(folder / "lib", libraries)
    return path, folder / "lib"


def test_a_delayed_import_is_answered_by_what_the_package_opened(wine: Wine, windows_python: Path, tmp_path: Path) -> None:
    files = {"demo/__init__.py": DELAYED, "demo/delay.dll": (PE / "delay.dll").read_bytes()}
    path, libraries = built(tmp_path, files, {"liba.dll": (PE / "liba.dll").read_bytes()})
    site = repaired(path, libraries, tmp_path / "out")
    assert used(wine, windows_python, site, CALL) == "used 42"
    patch = (site / "demo" / "__init__.py").read_bytes()
    assert b"WinDLL(" in patch
    without_patch(site, "demo/__init__.py", patch.replace(b"ctypes.WinDLL(", b"str("))
    assert used(wine, windows_python, site, CALL) == "used -126", "an added folder alone is not searched: the negative control"
