"""Whatever is done to a wheel, to its binaries or to the libraries beside it: it is repaired or refused, and what is written is sound.

No exit code but 0, 1, 3 and 4; no output without success; no traceback; the input stays; a second run has nothing to do.
"""

import contextlib
import io
import random
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import wheel
from conftest import Result
from index_gate import gate_problems
from mutants import looked_at, mutants, watchdog
from needy import SYSTEMS, files_of, needy
from relocator import cli
from relocator.audit import run_rules
from relocator.backends import identify
from relocator.containers import open_container
from relocator.rules import RULES
from relocator.survey import take_surveys

INFO = "demo-1.0.dist-info"
SEEDS = st.integers(0, 1 << 32)


class Place(NamedTuple):
    """Where one example is tried."""

    folder: Path
    path: Path
    libraries: Path


@contextlib.contextmanager
def prepared(system: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        libraries = Path(folder) / "lib"
        libraries.mkdir()
        for name in SYSTEMS[system].needs:
            shutil.copy(SYSTEMS[system].folder / name, libraries)
        yield Place(Path(folder), needy(Path(folder) / "in", system), libraries)


def called(*typed: object) -> Result:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.main([str(one) for one in typed])
    return Result(code, out.getvalue(), err.getvalue())


def holds(place: Place, *options: str, mends: bool = True, doubtful: bool = False) -> bool:
    """Repair the wheel and judge what comes of it; tell whether there is an output.

    `mends` when the index must take it; `doubtful` when a binary may lie so that the verifier rejects what was written of it: a count of
    symbols that takes in what stands behind the table is told from a true one only when that has moved.
    """
    before, out = place.path.read_bytes(), place.folder / "out"
    typed = ["repair", "--traceback", "--no-host", "--search", place.libraries, *options]
    with watchdog():
        result = called(*typed, "-w", out, place.path)
    assert result.code in (0, 3, 4) or (result.code == 5 and doubtful and "is not what was planned: " in result.err), result.err
    assert "Traceback" not in result.err
    assert place.path.read_bytes() == before
    if result.code:
        assert result.err.startswith("error: ")
        assert not out.exists()
        return False
    (written,) = out.iterdir()
    assert not mends or gate_problems(written) == []
    with zipfile.ZipFile(written) as opened:
        assert opened.testzip() is None
    audited(written)
    again = called(*typed, "--allow-missing", "-w", place.folder / "again", written)
    assert again.code == 0, again.err
    assert (place.folder / "again" / written.name).read_bytes() == written.read_bytes(), again.out
    return True


def audited(written: Path) -> None:
    """Audit a wheel: nothing may be left that the archive or RECORD is at fault for."""
    with open_container(str(written)) as container:
        (survey,) = take_surveys(container)
    rules = [rule for rule in RULES if rule.name in ("unsafe-member", "record-mismatch", "unrecorded-file")]
    assert run_rules(survey, rules).findings == ()


@cache
def regions(system: str, name: str) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return the bytes of a module (name "") or of a library, and where a reader looks at them."""
    one = SYSTEMS[system]
    data = (one.folder / (name or one.built)).read_bytes()
    backend = identify(data[:64])
    assert backend is not None
    return data, tuple(looked_at(data, backend.read))


def mutant(system: str, name: str, seed: int) -> bytes:
    data, looked = regions(system, name)
    return next(mutants(data, list(looked), random.Random(seed))).data


options = st.sampled_from([(), ("--allow-missing",), ("--allow-missing", "--fix-notes"), ("--no-rename-all",), ("--verify", "full")])


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_undamaged_wheel_is_repaired(system: str) -> None:
    with prepared(system) as place:
        assert holds(place)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(SYSTEMS)), SEEDS, options)
def test_a_damaged_archive_is_repaired_or_refused(system: str, seed: int, more: tuple[str, ...]) -> None:
    with prepared(system) as place:
        data = place.path.read_bytes()
        everywhere = [(0, len(data)), (data.index(b"PK\1\2"), len(data))]
        place.path.write_bytes(next(mutants(data, everywhere, random.Random(seed))).data)
        holds(place, *more)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(SYSTEMS)), SEEDS, options)
def test_a_damaged_module_is_repaired_or_refused(system: str, seed: int, more: tuple[str, ...]) -> None:
    with prepared(system) as place:
        one = SYSTEMS[system]
        files = {**files_of(system), one.module: mutant(system, "", seed)}
        place.path.write_bytes(wheel(files, tags=[f"cp312-cp312-{one.tag}"]))
        holds(place, *more, doubtful=True)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(SYSTEMS)), SEEDS, SEEDS, options)
def test_damaged_libraries_are_taken_or_refused(system: str, seed: int, which: int, more: tuple[str, ...]) -> None:
    with prepared(system) as place:
        needs = SYSTEMS[system].needs
        name = needs[which % len(needs)]
        (place.libraries / name).write_bytes(mutant(system, name, seed))
        holds(place, *more, doubtful=True)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(SYSTEMS)), SEEDS, st.sampled_from(["WHEEL", "METADATA", "RECORD", "entry_points.txt", "top_level.txt"]), options
)
def test_a_damaged_description_is_repaired_or_refused(system: str, seed: int, name: str, more: tuple[str, ...]) -> None:
    with prepared(system) as place:
        with zipfile.ZipFile(place.path) as opened:
            files = {one: opened.read(one) for one in opened.namelist()}
        text = files.get(f"{INFO}/{name}", b"[console_scripts]\ndemo = demo:main\n")
        damage = next(mutants(text, [(0, len(text))], random.Random(seed))).data
        record = f"{INFO}/RECORD"
        others = {one: data for one, data in files.items() if one != record}
        data = wheel({**others, f"{INFO}/{name}": damage} if name != "RECORD" else {**others, record: damage})
        place.path.write_bytes(data)
        holds(place, *more, mends=name != "entry_points.txt")
