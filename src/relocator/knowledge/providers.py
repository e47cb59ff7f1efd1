"""Which distributions are known to ship a shared library, so that others leave it to them; source and date are in the table."""

import functools
import re

from relocator.knowledge import matches, table


@functools.cache
def known_to_ship(library: str) -> tuple[str, ...]:
    """Return the normalised names of the distributions that ship a library of this base name; () when none is known to.

    Names are compared without regard to case, as Windows and macOS do.
    """
    name = library.casefold()
    found = {distribution for pattern, distributions in _libraries().items() if matches(pattern, name) for distribution in distributions}
    return tuple(sorted(found))


@functools.cache
def _libraries() -> dict[str, list[str]]:
    found: dict[str, list[str]] = table("providers.json")["libraries"]
    return found


def ships_libraries(distribution: str) -> bool:
    """Tell whether a distribution, by any spelling of its name, is known to ship libraries that others use."""
    return re.sub(r"[-_.]+", "-", distribution).lower() in _shippers()


@functools.cache
def _shippers() -> frozenset[str]:
    return frozenset(name for names in _libraries().values() for name in names)
