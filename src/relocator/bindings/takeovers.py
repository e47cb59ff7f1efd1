"""Symbols that bind to another distribution's file than the one that was meant: by way of the global scope, or of a tree that both are in.

Meant is, for a symbol that a file defines and refers to by name, that file; for any other the one that would have it without the global
scope. Weak definitions are left out: every user of a C++ header has the same ones, and it does not matter which is taken.
"""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.bindings.elf import accepts
from relocator.bindings.scope import UNIQUE, WEAK, Context, Index, Offer, index_of
from relocator.model import Binary, Format, References, Survey
from relocator.places import loads_that_count

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


def takeovers(survey: Survey) -> Iterator[Takeover]:
    """Yield one for each pair of files of which one takes over symbols of the other, the two not of one distribution."""
    found: dict[tuple[int, int], tuple[dict[bytes, None], dict[int, None]]] = {}
    for index, node, own, context in _suspicious(survey):
        for name, version, loser in _meant(index, node, own, context):
            winner = _winner(index, context, name, version)
            if winner is not None and _apart(index, winner, loser) and _strong(index, name, winner, loser):
                names, importers = found.setdefault((winner, loser), ({}, {}))
                names[name] = None
                importers[node] = None
    index = index_of(survey)
    for (winner, loser), (names, importers) in found.items():
        first, second = index.nodes[winner], index.nodes[loser]
        is_global = first[0].path in survey.global_scope
        yield Takeover(first[0], second[0], first[1].arch, is_global, tuple(names), tuple(index.nodes[node][0] for node in importers))


def _suspicious(survey: Survey) -> Iterator[tuple[Index, int, References, Context]]:
    """Yield the ELF images of loads in which several distributions meet, with the first load of each and what it refers to of its own."""
    if "bindings.own" not in survey.memo:
        survey.memo["bindings.own"] = _own_index(survey)
    index, first = survey.memo["bindings.own"]
    for node, context in first.items():
        yield index, node, index.references[node], context


def _own_index(survey: Survey) -> tuple[Index, dict[int, Context]]:
    """Return an index of the symbols that images have and refer to by name, and a context for each image that shares a load."""
    plain = index_of(survey)
    first: dict[int, Context] = {}
    for path, load in loads_that_count(survey):
        node = plain.numbers.get((path, load.arch))
        if node is not None and node not in first and plain.nodes[node][1].format == Format.ELF:
            context = plain.context(load)
            if len({plain.nodes[number][0].owner for number in context.scope}) > 1:
                first[node] = context
    references = [image.symbols.preemptible() if node in first else References() for node, (_, image) in enumerate(plain.nodes)]
    return plain.with_references(references), first


def _meant(index: Index, node: int, own: References, context: Context) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield (name, version, image that was meant) for what more than one image of the scope has."""
    for name, key in zip(own.names, own.keys, strict=True):
        if len(index.providers.get(name, ())) > 1:
            yield name, own.sources[key][0], node
    plain = context.index
    survey = plain.survey
    ahead = {plain.numbers[path, context.load.arch] for path in survey.global_scope if (path, context.load.arch) in plain.numbers}
    names, keys, sources = plain.references[node]
    for name, key in zip(names, keys, strict=True):
        offers = plain.providers.get(name, ())
        if len(offers) > 1 and any(offer[0] in ahead for offer in offers):
            version = sources[key][0]
            meant = _first(offers, [number for number in context.scope if number not in ahead], version)
            if meant is not None:
                yield name, version, meant


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
