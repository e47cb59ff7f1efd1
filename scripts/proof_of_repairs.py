"""Takes the libraries out of released wheels, repairs them, and asks loaders about the result: the section on repairs of scripts/prove."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import NamedTuple

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import loaded
from loaded import Imports
from published import Returned, concerned, decided, there_and_back
from unvendored import Unvendored
from wine import Wine

_MOST = 12
"""Modules of one wheel that are imported."""


class Trip(NamedTuple):
    """What became of one wheel."""

    name: str
    libraries: int
    """How many were taken out."""
    became: str
    """The platform tags afterwards, or that it was refused."""
    asked: str
    """Which loader was asked about what."""
    faults: tuple[str, ...]


def try_repair(wheel: Path) -> Trip:
    """Send one wheel there and back, and have the result loaded by what this machine has."""
    with tempfile.TemporaryDirectory(prefix="relocator-prove-") as place:
        folder = Path(place)
        trip = there_and_back(wheel, folder / "trip")
        if not trip.result.output:
            became = "refused, as the table says" if decided(wheel).refused and not trip.faults else "refused"
            return Trip(wheel.name, len(trip.bare.names), became, "", trip.faults)
        done = Path(trip.result.output)
        asked, faults = _loaded(wheel, trip, folder) if trip.bare.names else ("", ())
        became = done.name.removesuffix(".whl").rpartition("-")[2]
        return Trip(wheel.name, len(trip.bare.names), became, asked, (*trip.faults, *faults))


def _loaded(wheel: Path, trip: Returned, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return which loader was asked, and what it could not load."""
    done, needing = Path(trip.result.output), concerned(trip.bare, trip.bare.wheel)
    if "macosx" in wheel.name:
        try:
            import unicorn  # noqa: PLC0415  an optional oracle
        except ImportError:
            return "", ()
        return f"emulated dyld: {len(needing)} modules", tuple(loaded.macos_faults(unicorn, done, needing))
    libc, compiler = ("musl", which("musl-gcc")) if "musllinux" in wheel.name else ("glibc", which("gcc"))
    if not wheel.name.endswith(f"_{platform.machine()}.whl") or not compiler:
        return "", ()
    faults = tuple(loaded.linux_faults(loaded.probe(compiler, folder), wheel, done, needing, folder / "opened"))
    if not parse_wheel_filename(wheel.name)[3] & set(sys_tags()):
        return f"{libc}: {len(needing)} modules", faults
    imports = _imports(wheel, done, trip.bare, folder)
    told = f"{libc}: {len(needing)} modules; CPython: {len(imports.good)} imported" if imports.good else f"{libc}: {len(needing)} modules"
    return told, (*faults, *imports.faults())


def _imports(wheel: Path, done: Path, bare: Unvendored, folder: Path) -> Imports:
    """Install the three wheels, the publisher's one with what it depends on, and import what needs the libraries."""
    names = [name for name in map(loaded.module_name, concerned(bare, bare.wheel)) if name][:_MOST]
    sites = [_installed(one, folder / f"site{number}", "--no-deps") for number, one in enumerate((wheel, done, bare.wheel))]
    beside = _installed(wheel, folder / "beside", "--only-binary", ":all:")
    return Imports(*(loaded.imported([site, beside], names) for site in sites))


def _installed(wheel: Path, site: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", str(site)]
    subprocess.run([*command, *options, str(wheel)], capture_output=True, check=False)
    return site


# ---- Windows


def under_wine(wheels: list[Path], python: Path) -> Iterator[Trip]:
    """Have wine open and import what needs the libraries of wheels for this CPython; one after the other, since wine is slow."""
    program = which("wine64") or which("wine64", path="/usr/lib/wine") or which("wine")
    version = python_version(python).replace(".", "")
    mine = [
        one for one in wheels if one.name.endswith("win_amd64.whl") and (f"-cp{version}-cp{version}-" in one.name or "-abi3-" in one.name)
    ]
    if not program or not mine:
        return
    with tempfile.TemporaryDirectory(prefix="relocator-prove-") as place:
        wine = Wine(program, Path(place) / "prefix")
        try:
            for wheel in mine:
                yield _under_wine(wine, python, wheel, Path(place) / wheel.name)
        finally:
            wine.close()


def _under_wine(wine: Wine, python: Path, wheel: Path, folder: Path) -> Trip:
    """Look at one wheel; what it depends on comes from the index, and of what wine cannot run only the libraries are opened."""
    trip = there_and_back(wheel, folder)
    needing = [name for name in concerned(trip.bare, trip.bare.wheel) if name.endswith(".pyd")]
    done = Path(trip.result.output)
    sites = [loaded.unpacked(one, folder / f"site{number}") for number, one in enumerate((wheel, done, done))]
    loaded.unpacked(trip.bare.wheel, sites[2], ".py")  # wine has runtimes of its own: what is taken away is the patch, not the names
    faults = list(loaded.windows_faults(wine, python, sites[1], needing))
    version = python_version(python)
    options = ("--only-binary", ":all:", "--platform", "win_amd64", "--python-version", version, "--ignore-requires-python")
    beside = _installed(wheel, folder / "beside", *options)
    names = [name for name in map(loaded.module_name, needing) if name][:_MOST]
    imports = Imports(*(loaded.imported_by_windows(wine, python, [site, beside], names) for site in sites))
    told = f"wine: {len(needing)} modules" + (f"; CPython: {len(imports.good)} imported" if imports.good else "")
    return Trip(wheel.name, len(trip.bare.names), done.name, told, (*faults, *imports.faults()))


def python_version(python: Path) -> str:
    """Return the version of CPython for Windows: "3.12"."""
    digits = next(python.glob("python3??.dll")).stem.removeprefix("python")
    return f"{digits[0]}.{digits[1:]}"


def windows_python() -> Path | None:
    """Return the folder of CPython for Windows, if one is named."""
    folder = os.environ.get("RELOCATOR_WINDOWS_PYTHON", "")
    return Path(folder) if folder else None


# ---- the page


def section(trips: list[Trip]) -> Iterator[str]:
    """Yield the lines of the section."""
    full = [trip for trip in trips if trip.libraries]
    yield "Of each wheel the vendored libraries were taken out, names and search paths were put back, and it was repaired on Linux with"
    yield "nothing but those libraries at hand. The result was compared with the publisher's: the same libraries, a tag as good, no finding"
    yield "that was not there, members that nobody asked to change byte for byte, signatures, the index's gate, and a second repair that"
    yield "changes nothing. Then loaders were asked, and asked again without the libraries.\n"
    whole, count = sum(not trip.faults for trip in full), sum(trip.libraries for trip in full)
    yield f"{len(trips)} wheels, {len(full)} of them with {count} vendored libraries: {whole} came back whole.\n"
    yield "| wheel | libraries | came back as | loaded by | faults |\n|---|---|---|---|---|"
    for trip in trips:
        yield f"| {trip.name} | {trip.libraries} | {trip.became} | {trip.asked or '-'} | {len(trip.faults)} |"
    yield "\n### What a repair had to be told\n"
    for trip in trips:
        known = decided(Path(trip.name))
        told = [*(f"--exclude {name}" for name in known.exclude), *(f"--include {name}" for name in known.include)]
        told += [f"nothing: it is refused, since it {reason}" for reason in known.refused]
        if told:
            yield f"- {trip.name}: {', '.join(told)}"
    yield "\n### Faults\n"
    yield from [f"- {trip.name}: {fault}" for trip in trips for fault in trip.faults] or ["None."]
