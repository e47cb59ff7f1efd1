"""What macOS and iOS promise: the system's libraries, which exist in the shared cache only, and since when they have some symbols."""

from functools import lru_cache
from importlib import resources

from relocator.target import Level, Promises, Target

_PLATFORMS = ("macos", "ios")


def promises(target: Target, arch: str) -> Promises | None:
    """Return what the target's system promises; None when it is neither macOS nor iOS."""
    return _promises(target.os, arch) if target.os in _PLATFORMS else None


@lru_cache(maxsize=8)
def _promises(system: str, arch: str) -> Promises:
    rows = [row for row in _rows("system_libraries.tsv") if row[0] in (system, "any")]
    return Promises(
        system,
        arch,
        (Level((), (), frozenset(name for _, kind, name in rows if kind == "library")),),
        prefixes=tuple(name for _, kind, name in rows if kind == "prefix"),
        introduced=tuple((name.encode(), _version(since)) for name, since, _ in _rows("introduced.tsv")) if system == "macos" else (),
    )


def _version(written: str) -> tuple[int, ...]:
    return tuple(int(part) for part in written.split("."))


def _rows(name: str) -> list[tuple[str, str, str]]:
    """Return the three columns of a table beside this module; lines that start with "#" are its source and date."""
    content = resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    rows = [line.split("\t") for line in content.splitlines() if line and not line.startswith("#")]
    return [(a, b, c) for a, b, c in rows]
