"""Edits every binary of a wheel in a copy, with every verification, and undoes it: what scripts/prove tells in its section on edits."""

import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from relocator.api import edit, undo
from relocator.backends import identify
from relocator.editing import Wish
from relocator.errors import RelocatorError, UnreadableBinary
from relocator.model import Format, Image
from relocator.plans import ReplaceNeeded, SetIdentity, SetSearchPaths
from relocator.verification import Level

_LONG = "a-rather-long-name-with-a-hash-3f2a91c0"
_INTERNAL_ERROR = 5
_PARTICULARS = (
    (re.compile(r"^[^ :]+\.(?:so|dylib|pyd|dll|exe)\S*: "), ""),
    (re.compile(r"'[^']*'"), "NAME"),
    (re.compile(r"0x[0-9a-f]+|\d[\d,]*"), "N"),
)
"""What differs from file to file in a reason that is the same."""


class Trial(NamedTuple):
    """What became of one edit of one binary."""

    format: str
    edit: str
    result: str
    """"written", "unchanged", "refused" or "fault"."""
    told: tuple[str, ...] = ()
    """The reason, or what was verified."""


def try_edits(path: Path) -> tuple[Trial, ...]:
    """Try every kind of edit on every binary of a wheel."""
    with tempfile.TemporaryDirectory(prefix="relocator-prove-") as folder:
        return tuple(trial for name, data, images in _binaries(path) for trial in _try_all(Path(folder), name, data, images))


def _binaries(path: Path) -> Iterator[tuple[str, bytes, tuple[Image, ...]]]:
    """Yield the binaries that a loader maps."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                backend = identify(member.read(64))
            if backend is None:
                continue
            data = archive.read(info)
            try:
                images = backend.read(memoryview(data))
            except UnreadableBinary:
                continue
            if images:
                yield info.filename, data, images


def _try_all(folder: Path, name: str, data: bytes, images: tuple[Image, ...]) -> Iterator[Trial]:
    copy = folder / name.rpartition("/")[2]
    copy.write_bytes(data)
    for kind, wish in _wishes(images[0]):
        result, told = _try(copy, data, wish)
        yield Trial(str(images[0].format), kind, result, tuple(f"{name}: {line}" for line in told) if result == "fault" else told)
        if result == "fault":
            copy.write_bytes(data)
    copy.unlink()


def _wishes(image: Image) -> Iterator[tuple[str, Wish]]:
    """Yield the edits that make sense for an image, each long enough to need room."""
    if image.format != Format.PE:
        origin = "$ORIGIN" if image.format == Format.ELF else "@loader_path"
        yield "long search path", SetSearchPaths((f"{origin}/../{_LONG}.libs", f"{origin}/{'x' * 120}"))
    library = {Format.ELF: f"lib{_LONG}.so.3", Format.MACHO: f"@rpath/lib{_LONG}.dylib", Format.PE: f"{_LONG}.dll"}[image.format]
    if image.needed:
        yield "renamed need", ReplaceNeeded(image.needed[0].name, library)
    if image.identity is not None:
        yield "identity", SetIdentity(library)


def _try(copy: Path, data: bytes, wish: Wish) -> tuple[str, tuple[str, ...]]:
    """Edit, look whether anything changed, undo, compare."""
    journal = copy.parent / "journal"
    plans, failures = edit(copy, [wish], journal=journal, verify=Level.FULL)
    if failures:
        fault = failures[0].code == _INTERNAL_ERROR
        return ("fault" if fault else "refused"), (f"{failures[0].message} ({failures[0].hint})" if fault else failures[0].message,)
    if not plans[0].written:
        return "unchanged", ()
    if copy.read_bytes() == data:
        return "fault", ("was said to be written, and is as before",)
    try:
        undo(journal)
    except RelocatorError as error:
        return "fault", (f"cannot be undone: {error.message}",)
    finally:
        journal.unlink()
    if copy.read_bytes() != data:
        return "fault", ("is not the same after it was undone",)
    return "written", plans[0].verified


def section(trials: list[Trial]) -> Iterator[str]:
    """Yield the lines of the section."""
    yield "\n## Edits\n"
    yield "Each binary was copied, edited with every verification there is, undone, and compared with what it was.\n"
    yield "| format | edit | binaries | written and undone | as it is already | refused | faults |\n|---|---|---|---|---|---|---|"
    counts = Counter((trial.format, trial.edit, trial.result) for trial in trials)
    for one, kind in dict.fromkeys((trial.format, trial.edit) for trial in sorted(trials)):
        row = [counts[one, kind, result] for result in ("written", "unchanged", "refused", "fault")]
        yield f"| {one} | {kind} | {' | '.join(f'{number:,}' for number in (sum(row), *row))} |"
    for title, result in (("Refused", "refused"), ("What verified", "written")):
        yield f"\n### {title}\n"
        lines = Counter((trial.format, _shape(line)) for trial in trials if trial.result == result for line in trial.told)
        yield from (f"- {number:,} {one}: {line}" for (one, line), number in sorted(lines.items())) if lines else ("None.",)


def _shape(line: str) -> str:
    for pattern, put in _PARTICULARS:
        line = pattern.sub(put, line)
    return line
