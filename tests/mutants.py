"""Damaged binaries, from a seed: what a cut download, a broken linker or an attacker may hand to a reader.

Most damage goes where the reader looks. Where that is, nobody has to tell: a buffer notes which regions of the intact file were read.
"""

import faulthandler
import random
import signal
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary
from relocator.model import Image

Reader = Callable[[Buffer], tuple[Image, ...]]
Regions = list[tuple[int, int]]

WATCHDOG = 20
"""Seconds that a batch may take: a hundred times what it does."""

MEMORY = 64 << 20
"""Bytes that reading a small mutant may take."""

MEASURED = 50
"""Of so many mutants one is watched for the memory that it takes."""

WIDTHS = (1, 2, 4, 8)


class Noting:
    """A buffer over bytes that notes the regions read."""

    def __init__(self, data: bytes) -> None:
        self.view = memoryview(data)
        self.regions: dict[tuple[int, int], None] = {}

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, region: slice, /) -> memoryview:
        start, stop, _ = region.indices(len(self.view))
        if start < stop:
            self.regions[start, stop] = None
        return self.view[region]


def looked_at(data: bytes, read: Reader) -> Regions:
    """Return the regions that a reader looks at, each once: a header counts as much as a large table."""
    buffer = Noting(data)
    decode(read(buffer))
    return list(buffer.regions) or [(0, len(data))]


class Mutant(NamedTuple):
    """A damaged file, and how it came about."""

    data: bytes
    damage: str


def mutants(data: bytes, regions: Regions, rng: random.Random) -> Iterator[Mutant]:
    """Yield damaged copies without end; the same for the same seed."""
    while True:
        copy, damages = bytearray(data), []
        for _ in range(rng.choices((1, 2, 4), (6, 3, 1))[0]):
            damages.append(rng.choices(_DAMAGES, _WEIGHTS)[0](copy, _spot(regions, len(copy), rng), rng))
        yield Mutant(bytes(copy), "; ".join(damages))


def _spot(regions: Regions, size: int, rng: random.Random) -> int:
    """Return an offset, usually one that the reader looks at, usually the start of a field."""
    start, stop = rng.choice(regions) if rng.random() < 0.9 else (0, size)
    offset = rng.randrange(start, max(stop, start + 1))
    if rng.random() < 0.75:
        offset = start + (offset - start) // 4 * 4
    return min(offset, max(size - 1, 0))


def _change_bytes(copy: bytearray, spot: int, rng: random.Random) -> str:
    new = rng.randbytes(rng.randint(1, 4))
    copy[spot : spot + len(new)] = new
    return f"{new.hex()} at {spot:#x}"


def _lie(copy: bytearray, spot: int, rng: random.Random) -> str:
    """Overwrite a number with one that is too large, too small or just outside."""
    width, order = rng.choice(WIDTHS), rng.choice(("little", "big"))
    old = int.from_bytes(copy[spot : spot + width], order)  # type: ignore[arg-type]
    size = len(copy)
    values = (0, 1, 2, old + 1, old - 1, old * 2, old * 256, size, size - 1, size + 1, size // 2, spot, rng.randrange(size + 1))
    edges = (-1, 1 << (width * 8 - 1), (1 << (width * 8 - 1)) - 1, -2, -(1 << 12), 0x1000, 0xFFFF, 1 << 20, 1 << 28)
    value = rng.choice(rng.choice((values, edges))) % (1 << (width * 8))
    copy[spot : spot + width] = value.to_bytes(width, order)  # type: ignore[arg-type]
    return f"{value:#x} ({width} bytes, {order}) at {spot:#x}"


def _cut(copy: bytearray, spot: int, rng: random.Random) -> str:
    del copy[spot:]
    return f"cut at {spot:#x}"


def _swap(copy: bytearray, spot: int, rng: random.Random) -> str:
    width = rng.choice((4, 8, 16, 24, 40, 64, 256))
    other = rng.randrange(len(copy) + 1) // 4 * 4
    here, there = copy[spot : spot + width], copy[other : other + width]
    copy[spot : spot + len(there)] = there
    copy[other : other + len(here)] = here
    return f"swapped {width} bytes at {spot:#x} and {other:#x}"


def _repeat(copy: bytearray, spot: int, rng: random.Random) -> str:
    """Copy a structure over its successors, as in a table whose entries all refer to the same."""
    width, times = rng.choice((4, 8, 16, 20, 24, 32, 40, 56)), rng.randint(2, 64)
    pattern = copy[spot : spot + width] * times
    copy[spot : spot + len(pattern)] = pattern[: max(len(copy) - spot, 0)]
    return f"{width} bytes at {spot:#x} repeated {times} times"


def _fill(copy: bytearray, spot: int, rng: random.Random) -> str:
    width, value = min(rng.choice((4, 16, 64, 512)), len(copy) - spot), rng.choice((0, 0xFF, 0x41, 0x80))
    copy[spot : spot + width] = bytes([value]) * width
    return f"{width} bytes of {value:#x} at {spot:#x}"


def _shift(copy: bytearray, spot: int, rng: random.Random) -> str:
    width = rng.choice((1, 2, 4, 8, 16))
    if rng.random() < 0.5:
        del copy[spot : spot + width]
        return f"removed {width} bytes at {spot:#x}"
    copy[spot:spot] = rng.randbytes(width)
    return f"inserted {width} bytes at {spot:#x}"


_DAMAGES = (_lie, _change_bytes, _cut, _swap, _repeat, _fill, _shift)
_WEIGHTS = (40, 20, 10, 8, 8, 8, 6)


def decode(images: tuple[Image, ...]) -> int:
    """Decode all symbols of all images, as rules do; return their number."""
    count = 0
    for image in images:
        image.symbols.mentions(b"PyInit_")
        count += len(image.symbols.imports()) + len(image.symbols.exports())
    return count


def survives(mutant: Mutant, read: Reader) -> bool:
    """Read and decode a mutant; tell whether the reader accepted it. Whatever it raises but UnreadableBinary passes through.

    However a file lies, it cannot hold more symbols than bytes.
    """
    try:
        count = decode(read(memoryview(mutant.data)))
    except UnreadableBinary as error:
        assert error.field and error.expected, "an error that does not say what is wrong"
        return False
    assert count <= len(mutant.data), f"{count} symbols in {len(mutant.data)} bytes"
    return True


def survives_in_memory(mutant: Mutant, read: Reader) -> bool:
    """As `survives`, with an eye on the memory."""
    tracemalloc.start()
    try:
        accepted = survives(mutant, read)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY, f"{peak >> 20} MB for a file of {len(mutant.data)} bytes"
    return accepted


def survive(batch: Iterable[Mutant], read: Reader) -> int:
    """Read a batch under the watchdog, some with an eye on the memory; return how many were accepted. A failure names the damage."""
    accepted = 0
    with watchdog():
        for number, mutant in enumerate(batch):
            try:
                accepted += (survives if number % MEASURED else survives_in_memory)(mutant, read)
            except (Exception, TooSlow) as error:
                error.add_note(mutant.damage)
                raise
    return accepted


class TooSlow(BaseException):
    """The watchdog's bark."""


@contextmanager
def watchdog(seconds: int = WATCHDOG) -> Iterator[None]:
    """End what takes too long: with an exception where signals allow it, else by ending the process with a traceback."""
    if not hasattr(signal, "SIGALRM"):
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
        return

    def bark(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
