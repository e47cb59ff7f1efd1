"""Libraries of the system that distributions have dropped, by their soname; source and date are in the table."""

import functools
from typing import NamedTuple

from relocator.knowledge import table


class Retired(NamedTuple):
    """What became of a library."""

    successor: str
    gone: str
    """Which systems lack it."""


@functools.cache
def retired() -> dict[str, Retired]:
    """Return what is known, by the name that a need has."""
    return {name: Retired(*entry) for name, entry in table("retired_sonames.json")["libraries"].items()}
