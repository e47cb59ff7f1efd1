"""In which line of a TOML text a key stands, for messages: the parser does not tell.

Only the usual layout is understood, a header in brackets and keys below it; what is written otherwise has no line.
"""

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([\w.-]+))\s*=")


class Places:
    """The lines of the keys of one text."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, str, int], int] = {}
        table, numbers = "", dict[str, int]()
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = re.sub(r"\s*\.\s*|[\"']", lambda found: "." if "." in found[0] else "", header[2])
                numbers[table] = numbers.get(table, -1) + 1
                self._lines.setdefault((table, "", numbers[table]), number)
            elif key := _KEY.match(line):
                self._lines.setdefault((table, key[1] or key[2] or key[3], numbers.get(table, 0)), number)

    def line(self, table: str, key: str, number: int = 0) -> int | None:
        """Return the line, from 1, of a key in the table with this dotted name, or of the table's header when `key` is "".

        `number` counts the tables of that name, from 0. None when the line is not known.
        """
        if line := self._lines.get((table, key, number)):
            return line
        whole = f"{table}.{key}" if table else key
        return self._lines.get((whole, "", 0)) or self._lines.get((table, "", number))
