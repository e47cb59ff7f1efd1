"""A baseline: the findings that a project had when it began to audit, so that only new ones count."""

import json
from collections.abc import Collection
from typing import Any

from relocator.errors import UsageError
from relocator.paint import printable
from relocator.policy import Identity

SCHEMA_VERSION = 1

LIMIT = 256 << 20
"""Bytes of a baseline that are read."""

_RENEW = "write it anew with `--write-baseline`"


def dumps(known: Collection[Identity]) -> str:
    """Return the file's text: one line a finding, sorted, so that a difference between two versions reads well."""
    lines = [json.dumps(entry._asdict()) for entry in sorted(known)]
    findings = "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"
    return f'{{\n  "schema_version": {SCHEMA_VERSION},\n  "findings": {findings}\n}}\n'


def load(path: str) -> frozenset[Identity]:
    """Return the findings that a file lists. Raises UsageError, with the place, when it is no baseline."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (str, since names may be no text)
            data = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"the baseline {printable(path)} cannot be read: {reason}", "`--write-baseline FILE` makes one") from error
    if len(data) > LIMIT:
        raise UsageError(f"the baseline {printable(path)} has more than {LIMIT >> 20} MB", _RENEW)
    return loads(data, printable(path))


def loads(data: bytes, place: str) -> frozenset[Identity]:
    """Return the findings that the text of a baseline lists; `place` is the file's name for messages."""
    try:
        whole = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{place}: is not UTF-8 at byte {error.start}", _RENEW) from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{place}:{error.lineno}: is not JSON: {error.msg} in column {error.colno}", _RENEW) from error
    except RecursionError as error:
        raise UsageError(f"{place}: is nested too deeply", _RENEW) from error
    version = whole.get("schema_version") if isinstance(whole, dict) else None
    if type(version) is not int or not isinstance(whole.get("findings"), list):
        raise UsageError(f"{place}: is not a baseline: it has no schema_version, or no list of findings", _RENEW)
    if version != SCHEMA_VERSION:
        raise UsageError(f"{place}: has schema_version {version}, and only {SCHEMA_VERSION} is known here", f"{_RENEW}, or update relocate")
    return frozenset(_entry(entry, number, place) for number, entry in enumerate(whole["findings"]))


def _entry(entry: Any, number: int, place: str) -> Identity:
    if isinstance(entry, dict) and all(isinstance(entry.get(field), str) for field in Identity._fields):
        return Identity(**{field: entry[field] for field in Identity._fields})
    raise UsageError(f"{place}: entry {number} of findings lacks one of the texts {', '.join(Identity._fields)}", _RENEW)
