"""Hostile input is normal input: twenty thousand damaged binaries, and no reader does anything but read them or refuse them.

`scripts/mutate.py` runs as many as it is asked to, with any seed and over any files.
"""

import itertools
import random
from pathlib import Path

import pytest

from conftest import FIXTURES
from mutants import looked_at, mutants, survive
from relocator.backends import identify
from relocator.errors import UnreadableBinary

TOTAL = 21_000
BATCH = 100


def readable(path: Path) -> bool:
    """Tell whether a fixture is one that we read: others are there to be refused."""
    data = path.read_bytes()
    backend = identify(data[:64])
    try:
        return backend is not None and bool(backend.read(memoryview(data)))
    except UnreadableBinary:
        return False


SEEDS = sorted(path for path in (FIXTURES / "bin").glob("*/**/*") if path.is_file() and readable(path))
SHARE = -(-TOTAL // max(len(SEEDS), 1))


def test_there_are_seeds_of_every_format_and_mutants_enough() -> None:
    assert {path.relative_to(FIXTURES / "bin").parts[0] for path in SEEDS} >= {"elf", "macho", "pe"}
    assert SHARE * len(SEEDS) >= 20_000


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.relative_to(FIXTURES / "bin").as_posix())
def test_a_damaged_binary_is_read_or_refused(path: Path) -> None:
    data = path.read_bytes()
    backend = identify(data[:64])
    assert backend is not None
    read = backend.read
    stream = mutants(data, looked_at(data, read), random.Random(path.name))
    for start in range(0, SHARE, BATCH):
        survive(itertools.islice(stream, min(BATCH, SHARE - start)), read)
