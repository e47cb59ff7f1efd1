"""From what the user typed to the paths to look at."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence

import click


def expand(typed: Sequence[str]) -> list[str]:
    """Return the paths: "-" is a list on standard input, patterns are expanded on every system, a folder of wheels is its wheels.

    A pattern that fits nothing stays as it is, and is reported as a path that does not exist. No path is returned twice.
    """
    paths: dict[str, None] = {}
    for text in typed:
        for path in _listed() if text == "-" else (text,):
            paths.update(dict.fromkeys(_meant(path)))
    if not paths:
        raise click.UsageError("there is no path to look at: the list on standard input is empty")
    return list(paths)


def _listed() -> Iterator[str]:
    for line in sys.stdin.buffer.read().splitlines() if sys.stdin else ():
        if line.strip():
            yield line.decode("utf-8", "surrogateescape").strip()


def _meant(path: str) -> Iterator[str]:
    """Yield what one argument stands for."""
    if any(mark in path for mark in "*?[") and not os.path.lexists(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207  (Path.glob takes no absolute patterns)
        for match in matches:
            yield from _wheels(match)
        if matches:
            return
    yield from _wheels(path)


def _wheels(path: str) -> list[str]:
    """Return the wheels in a folder that has some right inside it, such as `dist`; the path itself otherwise."""
    try:
        inside = sorted(name for name in os.listdir(path) if name.lower().endswith(".whl"))  # noqa: PTH208
    except (OSError, ValueError):
        return [path]
    return [os.path.join(path, name) for name in inside] or [path]  # noqa: PTH118  (str, since names may be no text)
