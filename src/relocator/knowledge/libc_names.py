"""The names that a C library defines; source and date are in the table."""

import functools

from relocator.knowledge import table


def is_libc_name(name: bytes) -> bool:
    """Tell whether glibc has a public symbol of that name, in any version. What musl has are nearly all among them."""
    return name in _names()


@functools.cache
def _names() -> frozenset[bytes]:
    lines: dict[str, str] = table("libc_names.json")["names"]
    return frozenset(name.encode() for line in lines.values() for name in line.split())
