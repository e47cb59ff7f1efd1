"""Copies of well-known runtimes among the files that imports bring: told by what they export, worked out once for a Survey."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relocator.findings import Where
from relocator.knowledge.families import Variant, variants
from relocator.meeting import Brought, brought, instance
from relocator.model import PYTHON_OWNER, Binary, Format, Image, Load, Role, Survey
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
    exports: frozenset[tuple[bytes, bytes]]
    """Name, as C spells it, and symbol version of what it is told by: where two copies share one, either may answer for the other."""


def copies(survey: Survey, family: str) -> dict[str, list[Copy]]:
    """Return, for each architecture, the copies of a family that one process can hold together.

    Those that are seen to be imported come first, packages' before the interpreter's, by path. Files that the loader takes for one (see
    `meeting.instance`) count once.
    """
    found: dict[str, dict[str, Copy]] = {}
    for copy in _all(survey):
        if copy.variant.family == family:
            key = copy.binary.owner if copy.variant.name in _PIECES else instance(copy.binary, copy.image)
            known = found.setdefault(copy.image.arch, {})
            known[key] = known[key]._replace(loads=known[key].loads + copy.loads) if key in known else copy
    return {arch: sorted(known.values(), key=_rank) for arch, known in found.items()}


def _rank(copy: Copy) -> tuple[bool, bool, str]:
    return copy.binary.role != Role.IMPORTED, copy.binary.owner == PYTHON_OWNER, copy.binary.path


def _all(survey: Survey) -> tuple[Copy, ...]:
    if "families" not in survey.memo:
        survey.memo["families"] = tuple(copy for one in brought(survey) for copy in _recognised(one))
    found: tuple[Copy, ...] = survey.memo["families"]
    return found


def _recognised(one: Brought) -> Iterator[Copy]:
    """Yield what an image is a copy of. Mostly nothing, so the tables' raw bytes are searched before they are decoded, and once."""
    lead = b"_" if one.image.format == Format.MACHO else b""
    mentions = one.image.symbols.mentions
    likely = [v for v in variants() if any(mentions(lead + name) for name in v.any) and all(mentions(lead + name) for name in v.all)]
    if likely:
        wanted = {lead + name for variant in likely for name in variant.any | variant.all | variant.none}
        exports = [(export.name.removeprefix(lead), export.version) for export in one.image.symbols.defines(wanted)]
        names = frozenset(name for name, _ in exports)
        for variant in likely:
            if variant.fits(names):
                own = frozenset(pair for pair in exports if pair[0] in variant.any | variant.all)
                yield Copy(variant, one.binary, one.image, one.loads, own)


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
