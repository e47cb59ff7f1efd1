"""Entries of a dynamic section while they are planned: which stay, which change, which slot each has.

Specification: System V gABI, chapter 5 ("Dynamic Section"). The order of DT_NEEDED is the order of the search for symbols.
"""

from collections.abc import Sequence
from typing import NamedTuple

from relocator.backends.linux.dynamic import DT_NEEDED
from relocator.backends.linux.wishes import Wishes, encoded


class Entry(NamedTuple):
    """One entry."""

    tag: int
    value: int
    """As it is; of a string that changes where the old one lies, -1 when there was none."""
    text: bytes | None = None
    """The new string."""


def new_needs(needs: Sequence[tuple[Entry, str]], wishes: Wishes, remarks: list[str]) -> list[Entry]:
    """Return the needs in their new order: added ones first. What a rename makes needed twice is left where it comes first."""
    names = {name for _, name in needs}
    remarks += [f"nothing needs {name}" for name, new in wishes.names.items() if new is None and name not in names]
    renamed = [(entry, name, wishes.names.get(name, name)) for entry, name in needs]
    present = {new for _, _, new in renamed}
    found = [Entry(DT_NEEDED, -1, encoded(name)) for name in dict.fromkeys(wishes.added) if name not in present]
    seen: dict[str, bool] = {}
    for entry, old, new in renamed:
        if new is None:
            continue
        changed = new != old
        if new in seen and (changed or seen[new]):
            continue
        seen[new] = seen.get(new, False) or changed
        found.append(entry._replace(text=encoded(new)) if changed else entry)
    return found


def refill(entries: Sequence[Entry], tag: int, new: Sequence[Entry]) -> list[Entry]:
    """Put new entries of a tag into the slots that it has, in order; drop slots that are left over, append what finds none."""
    left = iter(new)
    found: list[Entry] = []
    for entry in entries:
        if entry.tag != tag:
            found.append(entry)
        elif (following := next(left, None)) is not None:
            found.append(following)
    return [*found, *left]


def replace(entries: Sequence[Entry], tags: Sequence[int], tag: int, text: bytes, strings: bytes) -> list[Entry]:
    """Leave one entry of the tags, with this tag and string: in the slot of the last that has the tag, or another, else at the end."""
    places = [(entry.tag == tag, index) for index, entry in enumerate(entries) if entry.tag in tags]
    if not places:
        return [*entries, Entry(tag, -1, text)]
    kept = max(places)[1]
    value, dropped = entries[kept].value, {index for _, index in places} - {kept}
    same = strings[value : value + len(text) + 1] == text + b"\0"
    new = Entry(tag, value, None if same else text)
    return [new if index == kept else entry for index, entry in enumerate(entries) if index not in dropped]
