"""Libraries that only the host can bring, such as GPU drivers: a copy would not fit the host. Source and date are in the table."""

import functools

from relocator.knowledge import matches, table


@functools.cache
def is_host_library(name: str) -> str:
    """Return why only the host can bring a library of this base name; "" when it is not known to be so."""
    folded = name.casefold()
    return next((reason for pattern, reason in _libraries().items() if matches(pattern, folded)), "")


@functools.cache
def _libraries() -> dict[str, str]:
    found: dict[str, str] = table("host_libraries.json")["libraries"]
    return found
