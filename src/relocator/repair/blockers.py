"""What stands against a platform tag, in words."""

from collections.abc import Iterable

from relocator.demands import version_key
from relocator.paint import counted
from relocator.tags import Blocker

_SHOWN = 12
"""Reasons that are told for one tag that is out of reach."""


def told_of(blockers: Iterable[Blocker]) -> list[str]:
    """Return what stands against a tag, in words, only the newest symbol version of each library, files with one fault together."""
    newest: dict[tuple[str, str, str], Blocker] = {}
    for blocker in blockers:
        kind = blocker.version.partition("_")[0] if blocker.library and blocker.version else blocker.version or blocker.symbol
        key = blocker.member, blocker.library, kind
        if key not in newest or version_key(newest[key].version) < version_key(blocker.version):
            newest[key] = blocker
    alike: dict[tuple[str, str, str], list[Blocker]] = {}
    for blocker in newest.values():
        alike.setdefault((blocker.library, blocker.version, blocker.symbol if not blocker.version else ""), []).append(blocker)
    lines = [_words(found[0], len({blocker.member for blocker in found}) - 1) for found in alike.values()]
    if len(lines) <= _SHOWN:
        return lines
    return [*lines[:_SHOWN], f"there are {len(lines) - _SHOWN} reasons more, which `relocate show -v` lists"]


def _words(blocker: Blocker, more: int) -> str:
    """Say what a file asks for; `more` others ask for the same."""
    files = f"{blocker.member} (and {counted(more, 'more file')})" if more else blocker.member
    if blocker.library and blocker.version:
        symbol = f"{blocker.symbol}@{blocker.version}" if blocker.symbol else blocker.version
        return f"{files} needs {symbol} from {blocker.library}"
    if blocker.symbol:
        return f"{files} uses {blocker.symbol} of {blocker.library}, which the tag forbids"
    if blocker.library:
        return f"{files} needs {blocker.library}, which the tag does not promise"
    if blocker.version == "DT_RELR":
        return f"{files} has packed relocations (DT_RELR), which glibc applies from 2.36 on"
    if blocker.version.startswith("x86-64-"):
        return f"{files} needs a processor of {blocker.version}"
    system = blocker.version if blocker.version.startswith("API") else f"macOS {blocker.version}"
    return f"{files} is built for {system}"
