"""Copies of one library inside the wheel: every need is led to the one that is called as it calls itself, and the others are left out.

Which files are copies is said by the rule `aliased-library`. A copy stays where something may still ask for it by its name: Python code, a
literal in a binary, a need that is not led elsewhere.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from relocator.model import Survey
from relocator.repair.wiring import Link
from relocator.repairs import RemoveFile, RepairOptions
from relocator.rules.aliased_library import copies


class Led(NamedTuple):
    """The links with every need led to the kept copy, and the copies that nothing asks for any more."""

    links: tuple[Link, ...]
    removed: tuple[RemoveFile, ...] = ()


def without_copies(links: Sequence[Link], alone: Survey, options: RepairOptions) -> Led:
    """Return the links without copies. Copies of which at most one is needed are let alone unless notes are to be mended, too."""
    pairs = [(copy.binary, copy.kept) for copy in copies(alone) if copy.both or options.fix_notes]
    if not pairs:
        return Led(tuple(links))
    kept = {binary.path: to.path for binary, to in pairs}
    led = [link._replace(target=kept[link.target], reachable=False) if link.target in kept else link for link in links]
    asked = {*_opened(alone), *_needed(alone, led)}
    computed = any(hint.call == "cdll" and hint.argument is None for hint in alone.hints)
    removed = [(binary, to) for binary, to in pairs if not computed and _leaf(binary.path) not in asked]
    gone = {binary.path for binary, _ in removed}
    actions = tuple(RemoveFile(binary.member, f"aliased-library: has the same bytes as {to.member}") for binary, to in removed)
    return Led(tuple(link for link in led if link.importer not in gone), actions)


def _leaf(name: str) -> str:
    return name.rpartition("/")[2].casefold()


def _opened(survey: Survey) -> Iterator[str]:
    """Yield the base names that Python sources, or literals in binaries, open."""
    yield from (_leaf(hint.argument) for hint in survey.hints if hint.call == "cdll" and hint.argument)
    for _, image in survey.images():
        yield from (_leaf(literal.decode("utf-8", "surrogateescape")) for literal in image.literals)


def _needed(survey: Survey, links: Sequence[Link]) -> Iterator[str]:
    """Yield the base names of the needs that no link answers: of files that are for another machine, or that no import reaches."""
    linked = {(link.importer, link.arch) for link in links}
    for binary, image in survey.images():
        if (binary.path, image.arch) not in linked:
            yield from (_leaf(need.name) for need in image.needed)
