"""Released wheels without their libraries, repaired with nothing but those at hand: what comes back is as good as what was released.

The small wheels of the folder that --corpus names; `scripts/prove --repair` takes all. unvendored.tsv says what a repair has to be told.
"""

import csv
import platform
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

import loaded
import published
from published import Returned
from relocator.api import repair
from relocator.repairs import Outcome
from unvendored import original, unvendor

LARGEST = 5_000_000
"""Bytes of a wheel that this takes."""
TABLE = published.TABLE

on_glibc = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="asks glibc on x86_64"
)


class Trip(NamedTuple):
    wheel: Path
    returned: Returned

    @property
    def done(self) -> Path:
        return Path(self.returned.result.output)

    @property
    def concerned(self) -> tuple[str, ...]:
        return published.concerned(self.returned.bare, self.returned.bare.wheel)


@pytest.fixture(scope="module")
def trips(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Trip]:
    small = [wheel for wheel in sorted(corpus.glob("*.whl")) if wheel.stat().st_size <= LARGEST]
    if not small:
        pytest.skip("the corpus has no small wheel")
    return [Trip(wheel, published.there_and_back(wheel, tmp_path_factory.mktemp("trip"))) for wheel in small]


@pytest.fixture(scope="module")
def whole(trips: list[Trip]) -> list[Trip]:
    return [trip for trip in trips if trip.returned.bare.names and trip.returned.result.output]


def test_what_comes_back_is_as_good_as_what_was_released(trips: list[Trip]) -> None:
    assert {trip.wheel.name: trip.returned.faults for trip in trips if trip.returned.faults} == {}


def test_without_its_libraries_the_wheel_is_refused_and_each_is_named(whole: list[Trip], tmp_path: Path) -> None:
    """The negative control of all this."""
    trip = min(whole, key=lambda one: one.wheel.stat().st_size)
    result = repair(trip.returned.bare.wheel, tmp_path, host=False)
    assert result.outcome == Outcome.FAILED
    told = " ".join(failure.message for failure in result.failures)
    assert [name for name in trip.returned.bare.names if name in told]


def test_a_wheel_that_lost_something_is_told_apart(whole: list[Trip], tmp_path: Path) -> None:
    trip = min(whole, key=lambda one: one.wheel.stat().st_size)
    lost = tmp_path / trip.done.name
    gone = next(name for name in trip.returned.bare.names.values() if name.endswith((".so", ".dll", ".dylib")) or ".so." in name)
    with zipfile.ZipFile(trip.wheel) as source, zipfile.ZipFile(lost, "w") as out:
        for name in source.namelist():
            if name != gone and not name.endswith("/"):
                out.writestr(name, source.read(name))
    assert [*published.other_libraries(trip.wheel, lost)] == [f"is lacking: {original(Path(gone).name)}"]
    assert [*published.new_findings(published.findings(trip.wheel), published.findings(lost))]


@on_glibc
def test_the_loader_opens_what_was_brought_in_and_what_needs_it(whole: list[Trip], oracle: Callable[..., str], tmp_path: Path) -> None:
    program = loaded.probe(oracle("gcc", "cc"), tmp_path)
    mine = [trip for trip in whole if "manylinux" in trip.wheel.name and trip.wheel.name.endswith("x86_64.whl")]
    if not mine:
        pytest.skip("the corpus has no small wheel for this machine")
    faults = {
        trip.wheel.name: list(loaded.linux_faults(program, trip.wheel, trip.done, trip.concerned, tmp_path / str(number)))
        for number, trip in enumerate(mine)
    }
    assert {name: told for name, told in faults.items() if told} == {}


def test_an_emulated_dyld_maps_what_was_brought_in_and_what_needs_it(whole: list[Trip]) -> None:
    unicorn = pytest.importorskip("unicorn")
    mine = [trip for trip in whole if "macosx" in trip.wheel.name]
    if not mine:
        pytest.skip("the corpus has no small wheel for macOS")
    faults = {trip.wheel.name: list(loaded.macos_faults(unicorn, trip.done, trip.concerned)) for trip in mine}
    assert {name: told for name, told in faults.items() if told} == {}


@on_glibc
def test_this_python_imports_what_comes_back(corpus: Path, tmp_path: Path) -> None:
    """The first wheel of the corpus for this Python whose modules can be imported alone."""
    supported = set(sys_tags())
    for wheel in sorted(corpus.glob("*.whl"), key=lambda one: one.stat().st_size):
        if wheel.stat().st_size > 2 * LARGEST or not parse_wheel_filename(wheel.name)[3] & supported:
            continue
        folder = tmp_path / wheel.name
        bare = unvendor(wheel, folder)
        names = [name for name in map(loaded.module_name, published.concerned(bare, bare.wheel)) if name]
        first = loaded.imported([loaded.unpacked(wheel, folder / "published")], names)
        if all(first.values()):
            shutil.rmtree(folder)
            continue  # nothing was vendored, or it needs other packages
        done = repair(bare.wheel, folder / "out", search=[bare.libraries], host=False)
        sites = [loaded.unpacked(one, folder / f"site{number}") for number, one in enumerate((Path(done.output), bare.wheel))]
        imports = loaded.Imports(first, *(loaded.imported([site], names) for site in sites))
        assert list(imports.faults()) == []
        return
    pytest.skip("the corpus has no wheel for this Python that can be imported alone")


# ---- the comparison itself


def test_tags_are_as_good_or_worse() -> None:
    name = "demo-1.0-cp312-cp312-{}.whl"
    for before, after, worse in (
        ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", []),
        ("manylinux_2_28_x86_64", "manylinux2014_x86_64.manylinux_2_17_x86_64", []),
        ("manylinux2014_x86_64", "manylinux_2_28_x86_64", ["manylinux_2_17_x86_64"]),
        ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", ["manylinux_2_28_x86_64"]),
        ("musllinux_1_2_x86_64", "manylinux_2_5_x86_64", ["musllinux_1_2_x86_64"]),
        ("macosx_11_0_arm64", "macosx_12_0_arm64", ["macosx_11_0_arm64"]),
        ("macosx_10_13_universal2", "macosx_10_13_x86_64", ["macosx_10_13_universal2"]),
        ("win_amd64", "win_amd64", []),
        ("win_amd64", "win_arm64", ["win_amd64"]),
    ):
        assert published.worse_tags(name.format(before), name.format(after)) == worse


def test_a_loaders_words_name_the_library_that_it_lacks() -> None:
    for told, name in (
        ("libz-0123.so.1: cannot open shared object file: No such file or directory", "libz-0123.so.1"),
        ("Error loading shared library libz.so.1: No such file or directory (needed by x.so)", "libz.so.1"),
        ("Library not loaded: @loader_path/../libz.dylib, needed by /site/a.so, tried []", "libz.dylib"),
        ("undefined symbol: PyLong_Type", ""),
        ("", ""),
    ):
        assert loaded.absent(told) == name


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("demo/_core.cp312-win_amd64.pyd", "demo._core"),
        ("demo/_core.pyd", "demo._core"),
        (f"demo/_core{loaded.SUFFIX}", "demo._core"),
        ("demo.libs/libz.so.1", ""),
        ("demo-1.0.data/scripts/tool.so", ""),
        ("demo/lib/libz.so.1", ""),
    ],
)
def test_a_module_is_named_by_its_place(member: str, name: str) -> None:
    assert loaded.module_name(member) == name


def test_every_row_of_the_table_has_its_reason_and_stands_once() -> None:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        rows: Iterator[dict[str, str]] = iter(list(csv.DictReader(lines, delimiter="\t")))
    seen = [(row["project"], row["platform"], row["kind"], row["value"], bool(row["reason"])) for row in rows]
    assert all(row[-1] for row in seen)
    assert len(set(seen)) == len(seen)
    assert {row[2] for row in seen} <= set(published.Decided._fields)
