"""What an edit wrote over, so that it can be undone: as data, as JSON (output/schemas/journal.json), and back into the old bytes."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from relocator.errors import ContainerError
from relocator.plans import Move, Patchset

SCHEMA_VERSION = 1

_CHUNK = 1 << 16
_GRAIN = 64
"""Bytes that are kept together where anything among them differs."""

_MOST_ZEROS = 1 << 26


class Saved(NamedTuple):
    """Bytes of the old file."""

    offset: int
    """In the old file."""
    data: bytes


class Entry(NamedTuple):
    """One file that was rewritten."""

    path: str
    """Absolute, no symbolic link."""
    size_before: int
    size_after: int
    sha256_before: str
    sha256_after: str
    mode: int
    """st_mode, which the new file has too."""
    mtime_ns: int
    saved: tuple[Saved, ...] = ()
    moves: tuple[Move, ...] = ()
    """From the new file into the old one; carried out before `saved` is put back."""


def inverse(old: bytes, new: bytes, patchset: Patchset) -> tuple[tuple[Saved, ...], tuple[Move, ...]]:
    """Return what makes the old file of the new one, found by comparing the two, whatever the patchset says of its old bytes."""
    moves = tuple(Move(move.target, move.source, move.size, move.reason) for move in patchset.moves)
    return tuple(_differences(old, _moved(new, len(old), moves))), moves


def restored(new: bytes, entry: Entry) -> bytearray:
    """Return the old file; raise ContainerError when the entry does not lead there."""
    old = bytearray(_moved(new, entry.size_before, entry.moves))
    for offset, data in entry.saved:
        old[offset : offset + len(data)] = data
    if len(old) != entry.size_before or hashlib.sha256(old).hexdigest() != entry.sha256_before:
        raise ContainerError(f"the journal does not lead back to what {entry.path} was", "it was changed since it was written; use a copy")
    return old


def _moved(new: bytes, size: int, moves: Sequence[Move]) -> bytes | bytearray:
    """Return the new file cut or padded to the old one's size, with what was moved back at its place."""
    if len(new) == size and not moves:
        return new
    found = bytearray(new[:size])
    found.extend(bytes(size - len(found)))
    for move in moves:
        found[move.target : move.target + move.size] = new[move.source : move.source + move.size]
    return found


def _differences(old: bytes, other: bytes | bytearray) -> Iterator[Saved]:
    """Yield the old bytes wherever two files of one size differ."""
    start, found = 0, bytearray()
    for chunk in range(0, len(old), _CHUNK):
        if old[chunk : chunk + _CHUNK] == other[chunk : chunk + _CHUNK]:
            continue
        for at in range(chunk, min(chunk + _CHUNK, len(old)), _GRAIN):
            piece = old[at : at + _GRAIN]
            if piece == other[at : at + _GRAIN]:
                continue
            if found and start + len(found) != at:
                yield Saved(start, bytes(found))
                found.clear()
            start = start if found else at
            found += piece
    if found:
        yield Saved(start, bytes(found))


# ---- JSON


def dumped(entries: Sequence[Entry], tool: str) -> str:
    """Return a journal as ASCII text; bytes of a path that are no text are kept as lone surrogates."""
    return json.dumps({"schema_version": SCHEMA_VERSION, "tool": tool, "files": list(map(_object, entries))}, indent=1) + "\n"


def _object(entry: Entry) -> dict[str, Any]:
    saved = [{"offset": offset, "old": base64.b64encode(data).decode("ascii")} for offset, data in entry.saved]
    moves = [{"source": move.source, "target": move.target, "size": move.size} for move in entry.moves]
    return {**entry._asdict(), "saved": saved, "moves": moves}


def loaded(text: str) -> tuple[Entry, ...]:
    """Return the entries of a journal; raise ContainerError when the text is none, or is of a version that we do not know."""
    try:
        whole = json.loads(text)
        if whole["schema_version"] != SCHEMA_VERSION:
            raise ContainerError(f"the journal is of version {whole['schema_version']!r}", f"this relocate knows version {SCHEMA_VERSION}")
        return tuple(map(_entry, whole["files"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ContainerError("this is no journal of `relocate edit`", "give the file that `--journal` wrote") from error


def _entry(item: dict[str, Any]) -> Entry:
    numbers = {name: _checked(item[name], int) for name in ("size_before", "size_after", "mode", "mtime_ns")}
    texts = {name: _checked(item[name], str) for name in ("path", "sha256_before", "sha256_after")}
    saved = tuple(Saved(_checked(s["offset"], int), base64.b64decode(s["old"], validate=True)) for s in item["saved"])
    moves = tuple(Move(**{name: _checked(m[name], int) for name in ("source", "target", "size")}, reason="") for m in item["moves"])
    entry = Entry(**numbers, **texts, saved=saved, moves=moves)
    if not 0 <= entry.size_before <= _most(entry) or any(s.offset < 0 or s.offset + len(s.data) > entry.size_before for s in entry.saved):
        raise ValueError("bytes outside the file")
    if any(min(m.source, m.target, m.size) < 0 or m.target + m.size > entry.size_before for m in entry.moves):
        raise ValueError("moves outside the file")
    return entry


def _most(entry: Entry) -> int:
    """Return how large the old file can have been: what is left of it in the new one, what was saved, some zeros."""
    return entry.size_after + sum(len(saved.data) for saved in entry.saved) + _MOST_ZEROS


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
