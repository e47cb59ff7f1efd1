"""What is known about the world beyond any one operating system: dated tables, read on first use."""

import json
import pkgutil
from fnmatch import fnmatchcase
from typing import Any


def table(name: str) -> dict[str, Any]:
    """Return the JSON table that lies beside this file; raise FileNotFoundError when the installation lacks it."""
    data = pkgutil.get_data(__name__, name)
    if data is None:
        raise FileNotFoundError(name)
    found: dict[str, Any] = json.loads(data)
    return found


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern, in which each "*" stands for any text."""
    return fnmatchcase(name, pattern) if "*" in pattern else name == pattern
