"""In which order a repair looks for a library: what its options and the target say, woven into the places of the real loader.

The loaders give their own places and look at those that they get back; nothing here opens a file.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from relocator.loading import Sources
from relocator.model import PREFIX, How, Tried

ELSEWHERE = "in the wheel, where its search does not look"
"""How a library is found that lies in the container, out of its importer's reach."""

INTERPRETER = "the interpreter itself"
"""Why Python's own library stays outside."""

_INSIDE = PREFIX + "/"
_INTERPRETER = re.compile(r"lib(python\d|pypy)[\w.-]*\.(so|dylib|dll)(\.[\d.]+)?|Python3?T?|python3\d*t?(_d)?\.dll|python-native\.dll")
"""Base names of Python's own library: libpython3.12.so.1.0, libpypy3.11-c.so, the frameworks' binaries, python312t_d.dll."""


class Place(NamedTuple):
    """One path to look at; with an outcome it can only be reported."""

    path: str
    via: str
    outcome: str = ""
    quiet: bool = False
    """Told only when something is there."""
    origin: str = ""
    """Path of the file that the place was said relative to ($ORIGIN, @loader_path); "" for a place said in full."""


class Ending(NamedTuple):
    """The end of a search without a file to map."""

    how: How
    tried: Tried
    target: str | None = None


def is_inside(path: str) -> bool:
    """Tell whether a path lies in the container that is repaired."""
    return path.startswith(_INSIDE)


def fits(pattern: str, text: str, *, fold_case: bool = False) -> bool:
    """Tell whether a name or a path fits a pattern as the repair options take them.

    With a wildcard the base name or the whole text has to match; without one the pattern is the base name, or with "/" a part of the path.
    """
    if fold_case:
        pattern, text = pattern.replace("\\", "/").casefold(), text.replace("\\", "/").casefold()
    name = text.rpartition("/")[2]
    if is_wild(pattern):
        return fnmatchcase(name, pattern) or fnmatchcase(text, pattern)
    return pattern in text if "/" in pattern else name == pattern


def is_wild(pattern: str) -> bool:
    """Tell whether a pattern has wildcards."""
    return any(character in pattern for character in "*?[")


def exclusion(sources: Sources, *texts: str) -> str:
    """Return the option that keeps a library outside, by its name or a path of it; "" when none does."""
    excluded = (pattern for pattern in sources.excluded if any(fits(pattern, text, fold_case=sources.fold_case) for text in texts))
    return next((f"--exclude {pattern}" for pattern in excluded), "")


def is_included(sources: Sources, name: str) -> bool:
    """Tell whether `--include` asks for a library by its name, by a pattern, or by the path of a file that bears the name."""
    leaf = _leaf(name, sources)
    if any(known == leaf for known, _ in sources.files):
        return True
    return any(fits(pattern.rpartition("/")[2], leaf, fold_case=sources.fold_case) for pattern in sources.included)


def steps(
    sources: Sources,
    name: str,
    own: Iterable[Place],
    *,
    promise: Tried | None,
    last: Tried | None = None,
    host: Iterable[Place] = (),
    leaf: str = "",
) -> Iterator[Place | Ending]:
    """Yield the places to look at for one need, in order, until an `Ending` that stands for what no file of this search meets.

    `own` are the loader's places, `promise` is what the trail says when the target promises the library, `last` when it has one of that
    base name where the loader looks after all else: what the build linked comes first. `host` are this machine's directories; `leaf` is
    what to append to a folder, where that is more than the base name.
    """
    places = tuple(own)
    within = {place.path: place for place in reversed(places) if is_inside(place.path)}
    yield from reversed(within.values())
    if reason := exclusion(sources, name) or _of_interpreter(sources, name):
        yield Ending(How.EXPECTED, Tried(name, reason, "not looked for"))
        return
    if promise is not None and not is_included(sources, name) and name not in sources.doubted:
        yield Ending(How.PROMISED, promise)
        return
    if (elsewhere := _provided(sources, _leaf(name, sources))) is not None:
        yield elsewhere
        return
    named = _named(sources, _leaf(name, sources), leaf or name.rpartition("/")[2])
    yield from (place for place in named if place.path not in within)
    yield from (_allowed(place, sources) for place in places if not is_inside(place.path))
    yield from host
    if final := promise or last:
        yield Ending(How.PROMISED, final)


def _provided(sources: Sources, name: str) -> Ending | None:
    """Return what another distribution brings by a name."""
    for known, path, distribution in sources.provided:
        if known == name:
            return Ending(How.PROVIDED, Tried(path, f"--provided-by {distribution}", "found"), path)
    return None


def _named(sources: Sources, name: str, leaf: str) -> Iterator[Place]:
    """Yield where the options have a name looked for: in all of the wheel, then files, then folders."""
    yield from (Place(path, ELSEWHERE) for known, path in sources.inside if known == name)
    yield from (Place(path, f"--include {path}") for known, path in sources.files if known == name)
    yield from (Place(f"{folder.rstrip('/')}/{leaf}", via) for folder, via in sources.folders)


def _allowed(place: Place, sources: Sources) -> Place:
    """Return one of the loader's places outside the container, with why it does not count if it does not."""
    if place.outcome or not place.path.startswith("/"):
        return place
    if place.origin:  # from a file of the wheel: where a wheel is installed, and so what lies above, nobody knows
        return place._replace(outcome="leads out of the wheel") if is_inside(place.origin) else place
    return place if sources.absolute else place._replace(outcome="not looked at: a path of another machine")


def _of_interpreter(sources: Sources, name: str) -> str:
    return INTERPRETER if sources.libpython and _INTERPRETER.fullmatch(_leaf(name, sources)) else ""


def _leaf(name: str, sources: Sources) -> str:
    leaf = name.rpartition("/")[2]
    return leaf.casefold() if sources.fold_case else leaf
