"""Names of Mach-O libraries: every way to spell what one slice needs and calls itself, the best first."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.loading import directory
from relocator.model import Format, Image
from relocator.repair.macos_paths import Spot, finds, relative
from relocator.repair.naming import hashed_name
from relocator.repair.wiring import Taken


class Ways(NamedTuple):
    """What is to be spelled."""

    targets: Mapping[str, str]
    """Need, and the installed path of the library that it is to lead to."""
    optional: Collection[str]
    """Needs that work as they are, too."""
    paths: tuple[str, ...]
    """LC_RPATHs that stay."""
    added: str
    """LC_RPATH to be added if there is room; "" for none."""
    identities: tuple[str, ...]
    """To choose from; none to keep what the file has."""


class Spelled(NamedTuple):
    """One way to spell it."""

    needs: tuple[tuple[str, str], ...]
    """Old and new name."""
    paths: tuple[str, ...]
    name: str
    """Identity; "" to keep it."""
    identity: int
    """Its position among those to choose from."""
    without_added: bool


def identities(label: str, leaf: str, item: Taken) -> tuple[str, ...]:
    """Return the names that a taken library may give itself, the best first.

    One that is renamed gets a name that no other package's copy has: by the digest in its own name, or in that of a folder where its own
    name stays as it was. One that keeps its name is known by it in the process: dyld compares "@rpath/..." needs and calls of dlopen with
    the identities of what is loaded. None is without a slash: dyld refuses that (mach_o/Policy.cpp, enforceInstallNamesAreRealPaths).
    """
    if not item.renamed:
        return (f"@rpath/{leaf}",)
    if leaf == hashed_name(leaf, item.digest, Format.MACHO):
        return f"{label}/{leaf}", f"/DLC/{leaf}"
    return f"{label}/{item.digest}/{leaf}", f"/DLC/{item.digest}/{leaf}", f"@rpath/{leaf}"


def spellings(spot: Spot, ways: Ways) -> Iterator[Spelled]:
    """Yield the ways to spell the names of one slice, the best first."""
    for added in dict.fromkeys((ways.added, "")):
        paths = (*ways.paths, *([added] if added else ()))
        for needs in _wishes(ways):
            for longer, new in _forms(spot, needs, paths):
                for position, name in enumerate(ways.identities or ("",)):
                    yield Spelled(_apart(spot.image, new, name), longer, name, position, bool(ways.added) and not added)


def _wishes(ways: Ways) -> Iterator[Mapping[str, str]]:
    yield ways.targets
    if ways.optional:
        yield {name: target for name, target in ways.targets.items() if name not in ways.optional}


def _forms(spot: Spot, needs: Mapping[str, str], paths: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Yield LC_RPATHs and new names: by paths from the file, through LC_RPATHs that are there, through one more."""
    yield paths, {name: relative(spot.here, target) for name, target in needs.items()}
    if needs:
        yield paths, {name: _shortest(spot, paths, target) for name, target in needs.items()}
        folders = [directory(target) for target in needs.values()]
        more = (*paths, relative(spot.here, max(folders, key=folders.count)))
        yield more, {name: _shortest(spot, more, target) for name, target in needs.items()}


def _shortest(spot: Spot, paths: Sequence[str], target: str) -> str:
    """Return the shortest name that leads to a library: from the file, or below one of the LC_RPATHs."""
    names = [relative(spot.here, target), *(f"@rpath/{tail}" for tail in _tails(target))]
    return min((name for name in names if finds(name, spot, paths, target)), key=len)


def _tails(path: str) -> Iterator[str]:
    """Yield the ends of a path, from its last part on."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[-count:])


def _apart(image: Image, new: Mapping[str, str], identity: str) -> tuple[tuple[str, str], ...]:
    """Spell names so that no two commands of the slice share one: dyld refuses that, and takes no notice of "./"."""
    used = {need.name for need in image.needed if need.name not in new} | {identity or image.identity or ""}
    pairs = []
    for old, name in new.items():
        start, _, rest = name.partition("/")
        while f"{start}/{rest}" in used:
            rest = f"./{rest}"
        used.add(f"{start}/{rest}")
        pairs.append((old, f"{start}/{rest}"))
    return tuple(pairs)
