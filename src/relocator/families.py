"""Copies of well-known runtimes among the files that imports bring: told by what they export, worked out once for a Survey."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relocator.findings import Where
from relocator.knowledge.families import Variant, variants
from relocator.meeting import Brought, brought, instance
from relocator.model import Binary, Format, Image, Load, Survey
from relocator.places import identity_place

_PIECES = frozenset({"MKL"})
"""What one distribution brings as several libraries, each with the names by which it is told."""


class Copy(NamedTuple):
    """One copy of a family's library that a process may hold."""

    variant: Variant
    binary: Binary
    image: Image
    loads: tuple[Load, ...]
    """The loads of import-reachable roots that bring it."""
    names: frozenset[bytes]
    """Those of the table's names that it exports, as C spells them."""


def copies(survey: Survey, family: str) -> dict[str, list[Copy]]:
    """Return, for each architecture, the copies of a family that one process can hold together, by path.

    Files that the loader takes for one (see `meeting.instance`) count once.
    """
    found: dict[str, dict[str, Copy]] = {}
    for copy in _all(survey):
        if copy.variant.family == family:
            key = copy.binary.owner if copy.variant.name in _PIECES else instance(copy.binary, copy.image)
            known = found.setdefault(copy.image.arch, {})
            known[key] = known[key]._replace(loads=known[key].loads + copy.loads) if key in known else copy
    return {arch: list(known.values()) for arch, known in found.items()}


def _all(survey: Survey) -> tuple[Copy, ...]:
    if "families" not in survey.memo:
        survey.memo["families"] = tuple(copy for one in brought(survey) for copy in _recognised(one))
    found: tuple[Copy, ...] = survey.memo["families"]
    return found


def _recognised(one: Brought) -> Iterator[Copy]:
    """Yield what an image is a copy of. Mostly nothing, so the tables' raw bytes are searched before they are decoded."""
    lead = b"_" if one.image.format == Format.MACHO else b""
    for variant in variants():
        if any(one.image.symbols.mentions(lead + name) for name in variant.any):
            names = exported(one.image, variant.any | variant.all | variant.none)
            if variant.fits(names):
                yield Copy(variant, one.binary, one.image, one.loads, names)


def exported(image: Image, names: frozenset[bytes]) -> frozenset[bytes]:
    """Return those of some C names that an image exports."""
    lead = b"_" if image.format == Format.MACHO else b""
    return frozenset(export.name.removeprefix(lead) for export in image.symbols.defines({lead + name for name in names}))


def place_of(survey: Survey, copy: Copy) -> Where:
    """Return the place of a copy, with who makes it and who brings it: "LLVM's or Intel's, brought by sklearn"."""
    parts = [part for part in (copy.variant.name, users_of(survey, copy)) if part]
    return identity_place(copy.binary, copy.image, ", ".join(parts))


def users_of(survey: Survey, copy: Copy) -> str:
    """Return which distributions' modules bring a copy: "brought by a, b and 3 more"."""
    roots = (survey.binary_at(load.root) for load in copy.loads)
    owners = sorted({root.owner for root in roots if root and root.owner})
    more = f" and {len(owners) - 3} more" if len(owners) > 3 else ""
    return f"brought by {', '.join(owners[:3])}{more}" if owners else ""


def owners(survey: Survey, some: Iterable[Copy]) -> set[str]:
    """Return the distributions whose modules bring these copies."""
    roots = (survey.binary_at(load.root) for copy in some for load in copy.loads)
    return {root.owner for root in roots if root and root.owner}


def exported_versions(copy: Copy) -> frozenset[tuple[bytes, bytes]]:
    """Return (name, symbol version) of those of the family's names that an ELF copy exports: what another copy may answer for."""
    return frozenset((export.name, export.version) for export in copy.image.symbols.defines(copy.names))
