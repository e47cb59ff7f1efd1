"""Which symbols CPython's stable ABI has, and since when; source and date are in the table."""

import functools
from typing import Any

from relocator.knowledge import table

WINDOWS_ONLY = "MS_WINDOWS"
NEVER_IN_A_RELEASE = frozenset({"Py_REF_DEBUG"})
"""Conditions that only debug builds of Python meet."""
NEVER_ON_WINDOWS = frozenset({"HAVE_FORK"})


@functools.cache
def added(symbol: str, windows: bool) -> tuple[int, ...]:
    """Return the version of Python whose stable ABI first has a symbol, as C spells it; () when none has it on such a system."""
    version = _table()["added"].get(symbol)
    if version is None or not _present(symbol, windows):
        return ()
    return tuple(int(part) for part in version.split("."))


def _present(symbol: str, windows: bool) -> bool:
    unmet = NEVER_IN_A_RELEASE | (NEVER_ON_WINDOWS if windows else {WINDOWS_ONLY})
    return not any(symbol in names for condition, names in _table()["only_with"].items() if condition in unmet)


@functools.cache
def _table() -> dict[str, Any]:
    return table("stable_abi.json")
