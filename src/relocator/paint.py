"""How a value becomes text for people: hostile names made harmless, long lists cut with a count, roles that a terminal may colour."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from relocator.model import PREFIX, ContainerFacts

Style = Callable[[str, str], str]
"""(text, role) to text; roles: error, warning, note, good, strong, dim. Colour only adds."""

API_SETS = ("api-ms-win-", "ext-ms-win-")
"""How the names of API sets begin: no files, but the system's contracts (Microsoft, "Windows API sets")."""


def plain(text: str, role: str) -> str:
    """Leave the text as it is."""
    return text


class View(NamedTuple):
    """How much to show, and in what style."""

    style: Style = plain
    verbose: bool = False
    quiet: bool = False


def printable(text: str) -> str:
    """Escape what could move the cursor, hide or reorder text: names come from files that nobody vouches for."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in text)


def counted(number: int, noun: str) -> str:
    """Return "1 file", "2,000 files"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"


def shortened(items: Sequence[str], limit: int, noun: str) -> list[str]:
    """Return the items, or the first ones and a line that counts the rest."""
    if len(items) <= limit + 1:
        return list(items)
    return [*items[:limit], f"... and {counted(len(items) - limit, 'more ' + noun)} (-v lists them)"]


def short_path(path: str, facts: ContainerFacts) -> str:
    """Return an installed path as its member's name is read: without the prefix and its site-packages."""
    for root in _roots(facts):
        if path.startswith(root):
            return path.removeprefix(root)
    return path


def short_text(text: str, facts: ContainerFacts) -> str:
    """Return a sentence with every installed path in it shortened as by `short_path`."""
    for root in _roots(facts):
        text = text.replace(root, "")
    return text


def _roots(facts: ContainerFacts) -> list[str]:
    """Return the folders, each with a slash at the end, from which members are named."""
    own = [*facts.sites[:1], facts.root] if facts.kind == "environment" else [d.root for d in facts.distributions if d.root]
    return [root + "/" for root in dict.fromkeys((*own, PREFIX))]


def api_sets_counted(names: Sequence[str]) -> list[str]:
    """Return the names with Windows' API sets, of which every file needs a dozen, told by their number alone."""
    others = [name for name in names if not name.lower().startswith(API_SETS)]
    number = len(names) - len(others)
    return [*others, f"{counted(number, 'API set')} ({API_SETS[0]}*)"] if number > 1 else list(names)
