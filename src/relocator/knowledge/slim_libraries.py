"""Libraries that a platform promises and that slim images and special editions lack; source and date are in the table."""

import functools

from relocator.knowledge import table


@functools.cache
def absent_from_slim_images() -> dict[str, str]:
    """Return who lacks it, by the name that a need has, in lower case for Windows."""
    found: dict[str, str] = table("slim_libraries.json")["libraries"]
    return found
