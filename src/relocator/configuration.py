"""The configuration file: `[tool.relocator]` in pyproject.toml, or relocator.toml.

Everything in it is checked when it is read: a slip in a name or a type is an error that says where it is and what was probably meant. Which
rules exist, and which values an option takes, is known further up.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NamedTuple

from relocator.errors import UsageError
from relocator.findings import Severity
from relocator.paint import printable
from relocator.policy import Suppression
from relocator.toml_places import Places

FILES = ("relocator.toml", "pyproject.toml")
"""Names that are looked for in each folder, the stronger first."""

LIMIT = 4 << 20
"""Bytes of a configuration file that are read."""


class Kind(StrEnum):
    """What the value of an option must be, in words for people."""

    TEXT = "a text"
    TEXTS = "a list of texts"
    FLAG = "true or false"
    NUMBER = "a whole number"
    SIZE = "a number of bytes, or a text such as 2G"
    FILE = "the path of a file"
    PATHS = "a list of paths"


OPTIONS: Mapping[str, Kind] = {
    "target": Kind.TEXT,
    "search": Kind.PATHS,
    "select": Kind.TEXTS,
    "ignore": Kind.TEXTS,
    "fail-on": Kind.TEXT,
    "certainty": Kind.TEXT,
    "baseline": Kind.FILE,
    "max-size": Kind.SIZE,
    "wheels": Kind.PATHS,
    "lock": Kind.FILE,
    "find-links": Kind.PATHS,
    "python": Kind.TEXT,
    "process-env": Kind.TEXTS,
    "host": Kind.FLAG,
    "hashes": Kind.FLAG,
    "ldpaths": Kind.TEXT,
    "exclude": Kind.TEXTS,
    "include": Kind.TEXTS,
    "provided-by": Kind.TEXTS,
    "allow-missing": Kind.FLAG,
    "plat": Kind.TEXTS,
    "only-plat": Kind.FLAG,
    "update-tags": Kind.FLAG,
    "disable-isa-ext-check": Kind.FLAG,
    "require-archs": Kind.TEXTS,
    "require-target-macos-version": Kind.TEXT,
    "allow-pure-python-wheel": Kind.FLAG,
    "no-rename": Kind.TEXTS,
    "no-rename-all": Kind.FLAG,
    "lib-sdir": Kind.TEXT,
    "namespace-pkg": Kind.TEXTS,
    "custom-patch": Kind.FLAG,
    "analyze-existing": Kind.FLAG,
    "include-symbols": Kind.FLAG,
    "include-imports": Kind.FLAG,
    "unmodified-runtimes": Kind.FLAG,
    "keep-execstack": Kind.FLAG,
    "fix-notes": Kind.FLAG,
    "sbom": Kind.FLAG,
    "zip-level": Kind.NUMBER,
    "verify": Kind.TEXT,
    "format": Kind.TEXT,
    "color": Kind.TEXT,
    "verbose": Kind.FLAG,
    "quiet": Kind.FLAG,
    "traceback": Kind.FLAG,
}
"""Every option that a file may set, by its long name; a test compares them with the command line's."""

TYPED_ONLY: Mapping[str, str] = {
    "config": "it says which file is read",
    "no-config": "it says that no file is read",
    "output": "no file found in a folder may say which files are written",
    "write-baseline": "no file found in a folder may say which files are written",
    "wheel-dir": "no file found in a folder may say which files are written",
    "force": "no file found in a folder may say which files are replaced",
    "dry-run": "it is for one look at a plan",
    "strip": "no file found in a folder may say which program is run",
}
"""Options that only the command line and the environment have, and why."""

TABLES = ("severity", "suppress")
_SUPPRESSION = ("rule", "reason", "member", "distribution", "until")


class Setting(NamedTuple):
    """An option that the file sets; relative paths are taken from the file's folder."""

    name: str
    value: str | int | bool | tuple[str, ...]
    place: str
    """File and line, for messages."""


class Dated(NamedTuple):
    """A suppression and the last day on which it holds."""

    suppression: Suppression
    until: date | None
    place: str


class Grading(NamedTuple):
    """The severity that a project gives to a rule."""

    rule: str
    severity: Severity
    place: str


class Configuration(NamedTuple):
    """All that one file says."""

    path: str = ""
    """"" when there is no file."""
    settings: tuple[Setting, ...] = ()
    gradings: tuple[Grading, ...] = ()
    suppressions: tuple[Dated, ...] = ()

    def standing(self, today: date) -> tuple[Suppression, ...]:
        """Return the suppressions that have not expired."""
        return tuple(dated.suppression for dated in self.suppressions if dated.until is None or today <= dated.until)

    def expired(self, today: date) -> tuple[Dated, ...]:
        """Return those that have."""
        return tuple(dated for dated in self.suppressions if dated.until is not None and today > dated.until)


def find(start: str, home: str = "") -> Configuration:
    """Return what the nearest file says, from `start` up to the root of the repository or `home`; an empty one when there is none.

    In one folder relocator.toml goes before pyproject.toml; a pyproject.toml without `[tool.relocator]` is passed by. Raises UsageError.
    """
    for folder in _upwards(start, home):
        for name in FILES:
            path = os.path.join(folder, name)  # noqa: PTH118  (here and below: str, since names may be no text)
            if os.path.isfile(path):  # noqa: PTH113
                found = _configuration(path, required=False)
                if found is not None:
                    return found
    return Configuration()


def load(path: str) -> Configuration:
    """Return what a file says that the user has named. Raises UsageError when it cannot be read or says nothing about relocate."""
    found = _configuration(os.path.abspath(path), required=True)  # noqa: PTH100
    return found if found is not None else Configuration()


def _upwards(start: str, home: str) -> Iterator[str]:
    folder = os.path.abspath(start)  # noqa: PTH100
    while True:
        yield folder
        above = os.path.dirname(folder)  # noqa: PTH120
        if folder in (above, home) or os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118
            return
        folder = above


def _configuration(path: str, *, required: bool) -> Configuration | None:
    data = _bytes(path)
    mine = os.path.basename(path) != "pyproject.toml"  # noqa: PTH119
    if not required and not mine and b"relocator" not in data:
        return None  # most projects: no need to read TOML
    text, whole = _parsed(path, data)
    tool = whole.get("tool")
    if isinstance(tool, dict) and "relocator" in tool and (not mine or set(whole) == {"tool"}):
        return _Reader(path, text, "tool.relocator").read(tool["relocator"])
    if mine:
        return _Reader(path, text, "").read(whole)
    if required:
        raise UsageError(f"{printable(path)} has no table [tool.relocator]", "add one, or name another file")
    return None


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            data = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"the configuration {printable(path)} cannot be read: {reason}", "`--config FILE` names another, `--no-config` none"
        ) from error
    if len(data) > LIMIT:
        raise UsageError(f"the configuration {printable(path)} has more than {LIMIT >> 20} MB", "`--config FILE` names another")
    return data


def _parsed(path: str, data: bytes) -> tuple[str, dict[str, Any]]:
    import tomllib  # noqa: PLC0415  (start-up time: most commands find no file)

    try:
        text = data.decode("utf-8-sig")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{printable(path)}:{line}: is not UTF-8, which TOML must be", "save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{printable(path)}: is not TOML: {printable(str(error))}", "mend the file, or pass `--no-config`") from error
    except RecursionError as error:
        raise UsageError(f"{printable(path)}: is nested too deeply", "mend the file, or pass `--no-config`") from error


class _Reader:
    """Checks one table, and says where in the file something is wrong."""

    def __init__(self, path: str, text: str, table: str) -> None:
        self._path = path
        self._places = Places(text)
        self._table = table

    def read(self, content: Any) -> Configuration:
        """Return what the table says."""
        if not isinstance(content, dict):
            raise self._wrong("", self._table, content, "a table")
        self._refuse_unknown(content, (*OPTIONS, *TABLES), self._table)
        return Configuration(
            self._path,
            tuple(self._setting(key, value) for key, value in content.items() if key in OPTIONS),
            tuple(self._gradings(content.get("severity", {}))),
            tuple(self._suppressions(content.get("suppress", []))),
        )

    def _setting(self, key: str, value: Any) -> Setting:
        kind = OPTIONS[key]
        if not _is(kind, value):
            raise self._wrong(self._table, key, value, kind)
        folder = os.path.dirname(self._path)  # noqa: PTH120
        if kind == Kind.FILE:
            value = os.path.join(folder, value)  # noqa: PTH118
        elif kind == Kind.PATHS:
            value = [os.path.join(folder, path) for path in value]  # noqa: PTH118
        return Setting(key, tuple(value) if isinstance(value, list) else value, self._place(self._table, key))

    def _gradings(self, content: Any) -> Iterator[Grading]:
        if not isinstance(content, dict):
            raise self._wrong(self._table, "severity", content, 'a table of rules, such as {weak-hardening = "note"}')
        table = self._below("severity")
        known = {str(severity): severity for severity in Severity}
        for rule, value in content.items():
            if not isinstance(value, str) or value not in known:
                raise self._wrong(table, rule, value, '"error", "warning" or "note"', hint=_meant(value, known))
            yield Grading(rule, known[value], self._place(table, rule))

    def _suppressions(self, content: Any) -> Iterator[Dated]:
        table = self._below("suppress")
        if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
            raise self._wrong(self._table, "suppress", content, f"a list of tables, each headed [[{table}]]")
        for number, entry in enumerate(content):
            yield self._suppression(entry, table, number)

    def _suppression(self, entry: dict[str, Any], table: str, number: int) -> Dated:
        self._refuse_unknown(entry, _SUPPRESSION, table, number)
        for key, value in entry.items():
            if key != "until" and (not isinstance(value, str) or not value.strip()):
                raise self._wrong(table, key, value, "a text that is not empty", number=number)
        place = self._place(table, "", number)
        for key, why in (("rule", "which rule is meant"), ("reason", "why these findings are accepted")):
            if key not in entry:
                raise UsageError(f"{place}: the suppression has no {key!r}", f'add {key} = "...": {why}')
        source = os.path.basename(place) if place != self._path else os.path.basename(self._path)  # noqa: PTH119
        patterns = entry.get("member", ""), entry.get("distribution", "")
        until = self._date(entry["until"], table, number) if "until" in entry else None
        return Dated(Suppression(entry["rule"], entry["reason"].strip(), *patterns, source), until, place)

    def _date(self, value: Any, table: str, number: int) -> date:
        if type(value) is date:  # a datetime is a date, too
            return value
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise self._wrong(table, "until", value, "a date such as 2027-01-31", number=number) from error

    # ---- what is said

    def _refuse_unknown(self, content: Mapping[str, Any], known: Collection[str], table: str, number: int = 0) -> None:
        for key in content:
            if key in known:
                continue
            place = self._place(table, key, number)
            if table == self._table and key in TYPED_ONLY:
                raise UsageError(f"{place}: {key!r} belongs on the command line: {TYPED_ONLY[key]}", f"remove it; `--{key}` remains")
            hint = _meant(key, known) or f"known are {', '.join(sorted(known))}"
            raise UsageError(f"{place}: there is no key {printable(key)!r}" + (f" in [{table}]" if table else ""), hint)

    def _wrong(self, table: str, key: str, value: Any, expected: str, *, hint: str = "", number: int = 0) -> UsageError:
        return UsageError(f"{self._place(table, key, number)}: {printable(key)!r} is {_shown(value)}, and must be {expected}", hint)

    def _place(self, table: str, key: str, number: int = 0) -> str:
        line = self._places.line(table, key, number)
        return f"{printable(self._path)}:{line}" if line else printable(self._path)

    def _below(self, name: str) -> str:
        return f"{self._table}.{name}" if self._table else name


def _is(kind: Kind, value: Any) -> bool:
    if kind in (Kind.TEXTS, Kind.PATHS):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == Kind.FLAG:
        return isinstance(value, bool)
    if kind == Kind.NUMBER:
        return type(value) is int
    return isinstance(value, str) or (kind == Kind.SIZE and isinstance(value, int) and not isinstance(value, bool))


def _meant(value: object, known: Collection[str]) -> str:
    near = get_close_matches(str(value), known, 1)
    return f"did you mean {near[0]!r}?" if near else ""


def _shown(value: Any) -> str:
    """Return the value as TOML writes it, cut where it is long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return printable(text if len(text) <= 60 else text[:57] + "...")
