"""Symbols that bind to another distribution's file than the one that was meant: by way of the global scope, or of a tree that both are in.

Meant is, for a symbol that a file defines and refers to by name, that file; for any other the one that would have it without the global
scope. Weak definitions are left out: every user of a C++ header has the same ones, and it does not matter which is taken.
"""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.bindings.elf import accepts
from relocator.bindings.scope import UNIQUE, WEAK, Context, Index, Offer, index_of
from relocator.model import Binary, Format, Survey
from relocator.places import loads_that_count
from relocator.symbols import References

_PYTHON = (b"Py", b"_Py")


class Takeover(NamedTuple):
    """Symbols of one file that another one's come before."""

    winner: Binary
    loser: Binary
    arch: str
    is_global: bool
    """The winner is in the global scope; else it merely comes first in a load."""
    names: tuple[bytes, ...]
    importers: tuple[Binary, ...]
    """Whose references go astray."""


class _Search:
    """The images of loads in which several distributions meet, each in the first such load; and what they refer to of their own.

    Most share a load with the global scope alone. Then only names that the global scope has matter, which are few.
    """

    def __init__(self, survey: Survey) -> None:
        plain = index_of(survey)
        self.plain = plain
        self.first = _first_shared(plain)
        self._ahead = {number for (path, _), number in plain.numbers.items() if path in set(survey.global_scope)}
        self._taking = {name for number in sorted(self._ahead) for name in _strong_exports(plain, number)}
        own = {node: found for node, context in self.first.items() if (found := self._own(node, context)).names}
        among = {number for node in own for number in self.first[node].scope}
        self.index = plain.with_references(own, sorted(among))
        self._contested = {
            name
            for name, offers in plain.providers.items()
            if len(offers) > 1 and not name.startswith(_PYTHON) and any(offer[0] in self._ahead for offer in offers)
        }

    def _own(self, node: int, context: Context) -> References:
        """Return what an image refers to of its own and another distribution's, looked at before it, may have, too."""
        nodes = self.plain.nodes
        before = context.scope[: context.scope.index(node)]
        strangers = {number for number in before if nodes[number][0].owner != nodes[node][0].owner}
        found = nodes[node][1].symbols.preemptible() if strangers else References()
        if not strangers <= self._ahead:
            return found
        pairs = [(name, key) for name, key in zip(found.names, found.keys, strict=True) if name in self._taking]
        return References(tuple(name for name, _ in pairs), tuple(key for _, key in pairs), found.sources)

    def meant(self, node: int, context: Context) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield (name, version, image that was meant) for what more than one image of the scope has."""
        names, keys, sources = self.index.references[node]
        for name, key in zip(names, keys, strict=True):
            if len(self.index.providers.get(name, ())) > 1:
                yield name, sources[key][0], node
        names, keys, sources = self.plain.references[node]
        hits = self._contested.intersection(names)
        for name, key in zip(names, keys, strict=True) if hits else ():
            if name in hits:
                version = sources[key][0]
                behind = [number for number in context.scope if number not in self._ahead]
                meant = _first(self.plain.providers[name], behind, version)
                if meant is not None:
                    yield name, version, meant


def takeovers(survey: Survey) -> Iterator[Takeover]:
    """Yield one for each pair of files of which one takes over symbols of the other, the two not of one distribution."""
    if "bindings.takeovers" not in survey.memo:
        survey.memo["bindings.takeovers"] = _Search(survey)
    search: _Search = survey.memo["bindings.takeovers"]
    found: dict[tuple[int, int], tuple[dict[bytes, None], dict[int, None]]] = {}
    index = search.index
    for node, context in search.first.items():
        for name, version, loser in search.meant(node, context):
            winner = _winner(index, context, name, version)
            if winner is not None and _apart(index, winner, loser) and _strong(index, name, winner, loser):
                names, importers = found.setdefault((winner, loser), ({}, {}))
                names[name] = None
                importers[node] = None
    for (winner, loser), (names, importers) in found.items():
        first, second = index.nodes[winner], index.nodes[loser]
        is_global = first[0].path in survey.global_scope
        yield Takeover(first[0], second[0], first[1].arch, is_global, tuple(names), tuple(index.nodes[node][0] for node in importers))


def _first_shared(plain: Index) -> dict[int, Context]:
    """Return, for each ELF image, the first load that counts and in which it meets another distribution's."""
    first: dict[int, Context] = {}
    for path, load in loads_that_count(plain.survey):
        node = plain.numbers.get((path, load.arch))
        if node is not None and node not in first and plain.nodes[node][1].format == Format.ELF:
            context = plain.context(load)
            if len({plain.nodes[number][0].owner for number in context.scope}) > 1:
                first[node] = context
    return first


def _strong_exports(plain: Index, number: int) -> Iterator[bytes]:
    for export in plain.nodes[number][1].symbols.exports():
        if not (export.weak or export.unique or export.name.startswith(_PYTHON)):
            yield export.name


def _winner(index: Index, context: Context, name: bytes, version: bytes) -> int | None:
    offers = index.providers.get(name) or context.index.providers.get(name, ())
    return None if name.startswith(_PYTHON) else _first(offers, context.scope, version)


def _first(offers: tuple[Offer, ...], scope: list[int] | tuple[int, ...], version: bytes) -> int | None:
    """Return the image of a scope that has a symbol first."""
    fitting = {offer[0] for offer in offers if accepts(offer, version, offers)}
    return next((number for number in scope if number in fitting), None)


def _apart(index: Index, winner: int, loser: int) -> bool:
    return index.nodes[winner][0].owner != index.nodes[loser][0].owner


def _strong(index: Index, name: bytes, winner: int, loser: int) -> bool:
    offers = index.providers.get(name) or index_of(index.survey).providers.get(name, ())
    return all(not offer[2] & (WEAK | UNIQUE) for offer in offers if offer[0] in (winner, loser))
