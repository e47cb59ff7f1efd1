"""The symbols of CPython's stable ABI and when each was added, as facts from the released table of abi3info."""

import importlib
from importlib.metadata import version
from typing import Any

TARGET = "src/relocator/knowledge/stable_abi.json"


def facts() -> dict[str, dict[str, Any]]:
    """Return the table by file, relative to the repository, without its date."""
    abi3info = importlib.import_module("abi3info")
    entries = [*abi3info.FUNCTIONS.values(), *abi3info.DATAS.values()]
    conditions: dict[str, list[str]] = {}
    for entry in entries:
        if entry.ifdef is not None:
            conditions.setdefault(entry.ifdef.name, []).append(entry.symbol.name)
    return {
        TARGET: {
            "source": f"abi3info {version('abi3info')}, which is made from CPython's Misc/stable_abi.toml",
            "added": {entry.symbol.name: str(entry.added) for entry in sorted(entries, key=lambda entry: str(entry.symbol.name))},
            "only_with": {condition: sorted(names) for condition, names in sorted(conditions.items())},
        }
    }
