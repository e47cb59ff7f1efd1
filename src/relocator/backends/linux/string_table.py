"""Where new strings go in a dynamic string table: where they are already, over the old one, or behind the end.

Linkers let one string be the end of another ("tail merging"), so a string may be overwritten only when nothing else refers to any part of
it. What was once added behind the end is found again by a mark, so that later edits use that room anew.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from relocator.buffer import c_string

MARK = b"relocator's strings:\0"
"""No symbol refers to what lies behind it: only the dynamic section and the version tables do."""


class StringTable:
    """A dynamic string table that takes up new strings."""

    def __init__(self, raw: bytes, symbols: Callable[[], Sequence[int]]) -> None:
        """Take the table, and how to find the offsets that symbols use: that can cost time, and is done only where it matters."""
        self._old, self.raw = raw, bytearray(raw)
        self._kept: set[int] = set()
        self._used = symbols
        self.changed: list[tuple[int, int, str]] = []
        """Start, end and reason of what differs from the old table, within its size."""

    @property
    def grown(self) -> bool:
        """Whether the table needs more room than it had."""
        return len(self.raw) > len(self._old)

    def place(self, wanted: Sequence[tuple[bytes, Sequence[int], str]], kept: Iterable[int]) -> dict[bytes, int]:
        """Return the offset for each string; each comes with the offsets of the strings that it replaces, and the reason.

        Raises UnreadableBinary when a string that stays in use, and has to be written anew, lies outside the table.

        `kept` are the offsets that stay in use, those that symbols use apart.
        """
        self._kept.update(kept)
        found = {text: place for text, _, _ in wanted if (place := self._existing(text)) is not None}
        self._kept.update(found.values())
        for text, replaced, reason in wanted:
            if text not in found:
                place = self._over(text, replaced, reason)
                if place is not None:
                    found[text] = place
        new = {text: reason for text, _, reason in wanted if text not in found}
        if new:
            found.update(self._behind(new))
        return found

    def _existing(self, text: bytes) -> int | None:
        """Return where the string is, by itself rather than as the end of another."""
        whole = self._old.find(b"\0" + text + b"\0")
        place = whole + 1 if whole >= 0 else self._old.find(text + b"\0")
        return place if place >= 0 else None

    def _over(self, text: bytes, replaced: Sequence[int], reason: str) -> int | None:
        """Write the string over one that it replaces, if nothing else refers to that; zeros behind it, from an earlier edit, are room."""
        raw = self.raw
        for start in replaced:
            end = raw.find(b"\0", start)
            room = next((place for place in range(end, len(raw)) if raw[place]), len(raw)) - start
            first = raw.rfind(b"\0", 0, start) + 1
            if len(text) + 1 > room or any(first <= place < start + room for place in self._kept):
                continue
            if any(first <= place < start + room for place in self._used()):
                continue
            stop = max(end + 1, start + len(text) + 1)
            raw[start:stop] = text.ljust(stop - start, b"\0")
            self._kept.add(start)
            self.changed.append((start, stop, reason))
            return start
        return None

    def _behind(self, new: Mapping[bytes, str]) -> dict[bytes, int]:
        """Write strings behind the mark: into gaps that nothing refers to any more, then at the end."""
        mark = self._old.rfind(b"\0" + MARK)
        reason = " and ".join(dict.fromkeys(new.values()))
        if mark < 0 or max(self._used(), default=0) > mark:
            self.raw += (b"" if self.raw.endswith(b"\0") else b"\0") + MARK
            start = len(self.raw)
        else:
            start = mark + 1 + len(MARK)
        pieces = {place: self._string(place) for place in self._kept if place >= start}
        found: dict[bytes, int] = {}
        for text in sorted(new, key=len):  # the longest last: search paths are what grows again
            place = _gap(pieces, start, len(text) + 1)
            pieces[place] = text + b"\0"
            found[text] = place
        size = max([len(self.raw), *(place + len(text) for place, text in pieces.items())])
        region = bytearray(size - start)
        for place, text in pieces.items():
            region[place - start : place - start + len(text)] = text
        self.raw[start:] = region
        if start < len(self._old):
            self.changed = [change for change in self.changed if change[0] < start]
            self.changed.append((start, len(self._old), reason))
        return found

    def _string(self, place: int) -> bytes:
        return c_string(self.raw, place, "DT_STRTAB") + b"\0"


def _gap(pieces: dict[int, bytes], start: int, size: int) -> int:
    """Return the first place from `start` on where `size` bytes touch no piece."""
    place = start
    for at in sorted(pieces):
        if at - place >= size:
            break
        place = max(place, at + len(pieces[at]))
    return place
