"""Proves that rewritten bytes are what was planned, before anybody sees them: by comparison, by our reader, by a parser that wrote nothing.

A difference is an InternalError: that is our bug, and the file must not be written.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from importlib import import_module
from itertools import pairwise
from typing import NamedTuple, Protocol, cast

from relocator.backends import BACKENDS, backend_for
from relocator.errors import InternalError, UnreadableBinary
from relocator.model import Format, Image
from relocator.native import ElfFacts
from relocator.plans import EditRefused, Patchset
from relocator.projection import loader_view
from relocator.symbols import References

_CHUNK = 1 << 20
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+")
_FIELD = re.compile(r"(?:[\w -]+: )?[a-z][a-z_ ]*(?=: )")
_VIEW = ("format", "architecture", "kind", "needs", "search paths", "identity", "symbol versions", "minimum system", "other facts")
UNREADABLE = "no second parser can read the file"
"""What every second reader says of a file that is beyond it."""


class Level(StrEnum):
    """How much is verified."""

    NONE = "none"
    """No second reader; our own checks alone."""
    NORMAL = "normal"
    FULL = "full"
    """Symbols, relocations and LIEF as well."""


class SecondReader(Protocol):
    """What a backend's `verify` module offers."""

    def opinion(self, images: Sequence[Image], data: bytes, /) -> tuple[str, tuple[str, ...]]:
        """Return the name of a parser that read the file, and one line for each point on which it contradicts us."""

    def deep_differences(self, old: bytes, new: bytes, images: Sequence[Image], /) -> tuple[str, ...] | None:
        """Return one line for each point on which LIEF contradicts ours, or finds relocations and the like changed; None without LIEF."""


class Expected(NamedTuple):
    """What a rewrite was planned to do."""

    format: Format
    before: tuple[Image, ...]
    after: tuple[Image, ...]
    """The projection."""
    patchset: Patchset


class Verified(NamedTuple):
    """What was found out about a rewritten file."""

    clauses: tuple[str, ...]
    """What was verified, for people."""
    images: tuple[Image, ...]
    """What our reader sees in the new bytes."""


NOTHING_VERIFIED = Verified((), ())


def verify(expected: Expected, old: bytes, new: bytes, level: Level = Level.NORMAL) -> Verified:
    """Return what was verified; raise InternalError for the first thing that is not as planned.

    Of a file that was unsound before, whose tables contradict one another, nobody can say who is right: then EditRefused is raised.
    """
    try:
        return _verify(expected, old, new, level)
    except InternalError as error:
        unsound = backend_for(expected.format).check_layout(old)
        if not unsound:
            raise
        told = f"the file is unsound as it is ({unsound[0]}), and no edit of it can be verified: {error.message}"
        raise EditRefused(told, "link it again, then edit that") from error


def _verify(expected: Expected, old: bytes, new: bytes, level: Level) -> Verified:
    _check_untouched(old, new, expected.patchset)
    images = _read(expected.format, new)
    _check_images(expected, images)
    _check_layout(expected.format, old, new)
    done = ["bytes outside the patches are unchanged", "our reader sees what was planned", "the layout is sound"]
    if level == Level.NONE:
        return Verified((*done, "no second reader was asked"), images)
    done.append(_second_opinion(expected, images, old, new))
    if level == Level.FULL:
        _check_symbols(expected.after, images)
        done += ["symbols are unchanged", _deep_opinion(expected, images, old, new)]
    return Verified(tuple(done), images)


# ---- bytes


def _check_untouched(old: bytes, new: bytes, patchset: Patchset) -> None:
    """Compare every byte that no patch covers with where it must have come from; what is new and uncovered must be zero."""
    if (len(old), len(new)) != (patchset.size_before, patchset.size_after):
        raise _disagreement(f"the new file has {len(new)} bytes, planned were {patchset.size_after}")
    for start, end, origin in _uncovered(patchset):
        for at in range(start, end, _CHUNK):
            size = min(_CHUNK, end - at)
            wanted = bytes(size) if origin is None else old[origin + at - start : origin + at - start + size]
            if new[at : at + size] != wanted:
                raise _disagreement(f"bytes that no patch covers differ, somewhere from {at:#x} on")


def _uncovered(patchset: Patchset) -> Iterator[tuple[int, int, int | None]]:
    """Yield (start, end, where it begins in the old file) for what lies between patches; None for zeros."""
    bounds = {0, patchset.size_after, min(patchset.size_before, patchset.size_after)}
    for patch in patchset.patches:
        bounds |= {patch.offset, patch.offset + len(patch.new)}
    for move in patchset.moves:
        bounds |= {move.target, move.target + move.size}
    edges = sorted(bounds)
    starts = [patch.offset for patch in patchset.patches]
    for start, end in pairwise(edges):
        nearest = bisect_right(starts, start) - 1
        if nearest >= 0 and start < starts[nearest] + len(patchset.patches[nearest].new):
            continue
        moved = [move for move in patchset.moves if move.target <= start < move.target + move.size]
        if moved:
            yield start, end, moved[-1].source + start - moved[-1].target
        else:
            yield start, end, start if start < patchset.size_before else None


# ---- our own reading


def _read(binary_format: Format, data: bytes) -> tuple[Image, ...]:
    try:
        return backend_for(binary_format).read(memoryview(data), verify_signatures=True)
    except UnreadableBinary as error:
        raise _disagreement(f"the new file cannot be read: {error.message}") from error


def _check_images(expected: Expected, images: Sequence[Image]) -> None:
    if len(images) != len(expected.after):
        raise _disagreement(f"the new file has {len(images)} images, planned were {len(expected.after)}")
    for before, planned, found in zip(expected.before, expected.after, images, strict=True):
        for name, wanted, seen in zip(_VIEW, loader_view(planned), loader_view(found), strict=True):
            if wanted != seen:
                raise _disagreement(f"{planned.arch}: {name}: planned {wanted!r}, read {seen!r}")
        _check_segments(before, found)


def _check_segments(before: Image, found: Image) -> None:
    """Check that what an ELF file mapped is mapped as before: code, data and symbols keep their addresses."""
    if not isinstance(before.native, ElfFacts) or not isinstance(found.native, ElfFacts):
        return
    now = {(segment.offset, segment.vaddr): segment for segment in found.native.segments}
    for segment in before.native.segments:
        other = now.get((segment.offset, segment.vaddr))
        if other is None or other.flags != segment.flags or other.filesz < segment.filesz or other.memsz < segment.memsz:
            raise _disagreement(f"PT_LOAD at {segment.vaddr:#x} is no longer mapped as it was")


def _check_symbols(planned: Sequence[Image], found: Sequence[Image]) -> None:
    asks: tuple[tuple[str, Callable[[Image], object]], ...] = (
        ("imports", lambda image: Counter(image.symbols.imports())),  # added ones stand before delayed ones
        ("exports", lambda image: image.symbols.exports()),
        ("references", lambda image: Counter(image.symbols.references().names)),
        ("preemptible symbols", lambda image: _sourced(image.symbols.preemptible())),
    )
    for image, other in zip(planned, found, strict=True):
        for name, ask in asks:
            if ask(image) != ask(other):
                raise _disagreement(f"{image.arch}: the {name} are not those that were planned")


def _sourced(found: References) -> Counter[tuple[bytes, tuple[bytes, str]]]:
    """Return each name with its source, however the sources are numbered."""
    return Counter((name, found.sources[key]) for name, key in zip(found.names, found.keys, strict=True))


def _check_layout(binary_format: Format, old: bytes, new: bytes) -> None:
    """Check that the layout breaks no rule that it kept before; numbers in the complaints may differ."""
    check = backend_for(binary_format).check_layout
    complaints = check(new)
    if not complaints:
        return
    worse = Counter(map(_shape, complaints)) - Counter(map(_shape, check(old)))
    if worse:
        told = next(line for line in complaints if _shape(line) in worse)
        raise _disagreement(f"the new layout breaks a rule: {told}")


def _shape(complaint: str) -> str:
    return _NUMBERS.sub("#", complaint)


# ---- others' readings


def _second_opinion(expected: Expected, images: Sequence[Image], old: bytes, new: bytes) -> str:
    reader = _second_reader(expected.format)
    name, found = reader.opinion(images, new)
    if not found:
        return f"{name} sees it too"
    _, before = reader.opinion(expected.before, old)
    _check_no_worse(name, before, found)
    if UNREADABLE in before:
        return "no second parser can read the original, so that our own checks alone decided"
    return f"{name} sees it too, and differs from us in the same fields as for the original ({', '.join(_fields(before))})"


def _deep_opinion(expected: Expected, images: Sequence[Image], old: bytes, new: bytes) -> str:
    reader = _second_reader(expected.format)
    found = reader.deep_differences(old, new, images)
    if found is None:
        return "LIEF could not be asked: it is not installed, or cannot read the original"
    if found:
        _check_no_worse("LIEF", reader.deep_differences(old, old, expected.before) or (), found)
    return "relocations are unchanged, and LIEF sees it too"


def _check_no_worse(name: str, before: Sequence[str], after: Sequence[str]) -> None:
    """Raise InternalError when a reader contradicts us in a field in which it did not contradict us about the original."""
    known = _fields(before)
    for line in after:
        if next(iter(_fields([line]))) not in known:
            raise _disagreement(f"{name} disagrees: {line}")


def _fields(lines: Sequence[str]) -> list[str]:
    """Return the fields that lines such as "needed: ours, theirs" or "arm64: needed: ..." are about."""
    return list(dict.fromkeys(match[0] if (match := _FIELD.match(line)) else line for line in lines))


def _second_reader(binary_format: Format) -> SecondReader:
    return cast(SecondReader, import_module(f"relocator.backends.{BACKENDS[binary_format]}.verify"))


def _disagreement(message: str) -> InternalError:
    return InternalError(
        f"the rewritten file is not what was planned: {message}",
        "nothing was written; this is a bug in relocate, please report it with the file and the command",
    )
