"""Families of runtimes of which a process had better hold one copy; source and date are in the table."""

import functools
from typing import Any, NamedTuple

from relocator.knowledge import table


class Variant(NamedTuple):
    """One maker's build of a family's library, told by the C names that it exports."""

    family: str
    """"OpenMP", "BLAS", "HDF5", ...: reads well after "copies of"."""
    name: str
    """"LLVM's or Intel's"; "" where there is one maker."""
    any: frozenset[bytes]
    all: frozenset[bytes]
    none: frozenset[bytes]

    def fits(self, names: frozenset[bytes]) -> bool:
        """Tell whether a library that exports these names, of all those in the table, is such a build."""
        return not self.any.isdisjoint(names) and self.all <= names and self.none.isdisjoint(names)


class Apart(NamedTuple):
    """What copies of a family do to each other even where no symbol of one reaches the other."""

    severity: str
    """"warning" or "note"."""
    reason: str


@functools.cache
def variants() -> tuple[Variant, ...]:
    """Return all variants of all families."""
    return tuple(
        Variant(family, name, _names(tests, "any"), _names(tests, "all"), _names(tests, "none"))
        for family, some in table("families.json")["families"].items()
        for name, tests in some.items()
    )


def family_names() -> tuple[str, ...]:
    """Return the names of all families, in the order of the table."""
    return tuple(dict.fromkeys(variant.family for variant in variants()))


@functools.cache
def apart(family: str) -> Apart | None:
    """Return what copies of a family do to each other at a distance; None when nothing."""
    found: dict[str, str] | None = table("families.json")["apart"].get(family)
    return Apart(found["severity"], found["reason"]) if found else None


def cuda_major(library: str) -> int | None:
    """Return the major version of the CUDA toolkit that a library's base name tells; None for other libraries."""
    return _toolkits().get(library.casefold())


@functools.cache
def _toolkits() -> dict[str, int]:
    found: dict[str, int] = table("families.json")["toolkits"]
    return found


def _names(tests: dict[str, Any], key: str) -> frozenset[bytes]:
    return frozenset(name.encode() for name in tests.get(key, ()))
