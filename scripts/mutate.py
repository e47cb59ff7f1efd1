"""Damages binaries in as many ways as asked and has our readers read them: `scripts/mutate.py --count 1000000 FILE...`.

Without files it takes the fixtures. What goes wrong is written, mutant and traceback, to the folder given with --keep.
"""

import argparse
import itertools
import random
import sys
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from mutants import Mutant, TooSlow, looked_at, mutants, survive  # noqa: E402
from relocator.backends import identify  # noqa: E402
from relocator.errors import UnreadableBinary  # noqa: E402

BATCH = 200
LARGEST = 1 << 20
"""Larger files are slow to copy and have the same tables as small ones."""


def main() -> int:
    """Run, print how many mutants were accepted and refused, and return 1 when any did something else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=100_000, help="mutants in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for mutants that a reader did not survive")
    options = parser.parse_args()
    files = [path for path in options.files or sorted((ROOT / "tests/fixtures/bin").rglob("*")) if is_seed(path)]
    if not files:
        parser.error("there is no readable binary to start from")
    share = -(-options.count // len(files))
    tally: Counter[str] = Counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        for result in pool.map(damage, files, itertools.repeat(share), itertools.repeat(options.seed), itertools.repeat(options.keep)):
            tally.update(result)
    print(f"{len(files)} files, {sum(tally.values())} mutants: " + ", ".join(f"{count} {name}" for name, count in sorted(tally.items())))
    return 1 if tally["failed"] else 0


def is_seed(path: Path) -> bool:
    """Tell whether we can read the file as it is."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return False
    data = path.read_bytes()
    backend = identify(data[:64])
    try:
        return backend is not None and bool(backend.read(memoryview(data)))
    except UnreadableBinary:
        return False


def damage(path: Path, count: int, seed: int, keep: Path | None) -> Counter[str]:
    """Read `count` mutants of one file; return how many were accepted, refused, failed."""
    data = path.read_bytes()
    backend = identify(data[:64])
    assert backend is not None
    rng = random.Random(f"{seed} {path.name}")
    stream = mutants(data, looked_at(data, backend.read), rng)
    tally: Counter[str] = Counter()
    for start in range(0, count, BATCH):
        batch = list(itertools.islice(stream, min(BATCH, count - start)))
        try:
            accepted = survive(batch, backend.read)
            tally.update(accepted=accepted, refused=len(batch) - accepted)
        except (Exception, TooSlow):
            tally.update(one_by_one(path, batch, keep))
    return tally


def one_by_one(path: Path, batch: list[Mutant], keep: Path | None) -> Counter[str]:
    """Find the mutants of a batch that a reader did not survive, say so, and keep them."""
    backend = identify(path.read_bytes()[:64])
    assert backend is not None
    tally: Counter[str] = Counter()
    for mutant in batch:
        try:
            tally["accepted" if survive([mutant], backend.read) else "refused"] += 1
        except (Exception, TooSlow) as error:
            tally["failed"] += 1
            print(f"{path}: {mutant.damage}\n{''.join(traceback.format_exception(error)[-3:])}", flush=True)
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{path.name}.{tally['failed']}.{type(error).__name__}").write_bytes(mutant.data)
    return tally


if __name__ == "__main__":
    sys.exit(main())
