"""Where vendored Mach-O libraries go in a wheel, and what they are called there."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from relocator.containers.wheel import SITE, installed_path
from relocator.metadata import normalised
from relocator.model import Binary, ContainerFacts, Format
from relocator.repair.naming import base_name, hashed_name
from relocator.repair.wiring import Request

_FOLDER = ".dylibs"
_INIT = ("__init__.py", "__init__.pyc", "__init__.so")


class Layout(NamedTuple):
    """The folder of vendored libraries."""

    root: str
    """Installed path of the folder that holds the modules."""
    folder: str
    """Installed path."""
    member: str
    """Its name in the archive."""
    label: str
    """How the identities of what lies there start: "/DLC/demo/.dylibs", as delocate's do. There is no such place."""
    wheel: str
    """The distribution's name as the wheel's file name spells it."""


class Names(NamedTuple):
    """What the taken files are called, by their paths now."""

    long: Mapping[str, str]
    """With the digest, where renaming is allowed."""
    short: Mapping[str, str]
    """Without it, where nothing else has that name."""


class _Package(NamedTuple):
    """A folder that Python imports."""

    folder: str
    """Below the root, with "/"."""
    prefix: str
    """What stands before it in the archive: "", or "demo-1.0.data/platlib/"."""


def layout_of(request: Request) -> Layout:
    """Return the folder: in the package of the distribution's name, else in the first one that has binaries, else beside the modules.

    A namespace package is shared by distributions, whose libraries must not meet in one folder: it counts only when it bears the
    distribution's own name.
    """
    facts = request.survey.container
    wheel = request.wheel_name
    root = facts.distributions[0].root
    name = request.options.lib_sdir or _FOLDER
    package = _package(facts, request.survey.binaries, name)
    inside = f"{package.folder}/{name}" if package else wheel + name
    return Layout(root, f"{root}/{inside}", (package.prefix if package else "") + inside, f"/DLC/{wheel}/{name}", wheel)


def in_site(member: str) -> tuple[str, str] | None:
    """Split a member's name into what installers take off and its path among the modules; None for what is installed elsewhere."""
    inside = installed_path(member).removeprefix(SITE + "/")
    if inside.startswith("/") or member.partition("/")[0].endswith(".dist-info"):
        return None
    return member.removesuffix(inside), inside


def _package(facts: ContainerFacts, binaries: Iterable[Binary], name: str) -> _Package | None:
    own = normalised(facts.distributions[0].name)
    members = [found for member in facts.members if (found := in_site(member.name))]
    native = [found for binary in binaries if binary.owner and (found := in_site(binary.member))]
    folders = {folder for _, path in (*members, *native) for folder in _above(path)}
    packages = {posixpath.dirname(path) for _, path in members if path.rpartition("/")[2] in _INIT} - {""}
    packages |= {posixpath.dirname(path) for _, path in native if path.rpartition("/")[2].startswith("__init__.")} - {""}
    packages = {folder for folder in packages if packages.isdisjoint(_above(folder))}
    named = {folder for folder in folders if normalised(folder.replace("/", "-")) == own}
    if not named | packages:
        return None

    def rank(folder: str) -> tuple[bool, bool, bool, int, str]:
        holds = any(path.startswith(folder + "/") for _, path in native)
        return folder not in named, f"{folder}/{name}" not in folders, not holds, folder.count("/"), folder

    best = min(named | packages, key=rank)
    prefixes = [prefix for prefix, path in (*native, *members) if path.startswith(best + "/")]
    return _Package(best, prefixes[0] if prefixes else "")


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path."""
    while path := posixpath.dirname(path):
        yield path


# ---- names


def names_for(request: Request, layout: Layout) -> Names:
    """Return the names that taken files may have; files that lie in the folder keep theirs."""
    present = {leaf.casefold() for leaf in _present(request, layout)}
    plain = {item.binary.path: base_name(item.binary) for item in request.taken}
    folded = [leaf.casefold() for leaf in plain.values()]
    long: dict[str, str] = {}
    short: dict[str, str] = {}
    for item in request.taken:
        path, leaf = item.binary.path, plain[item.binary.path]
        alone = folded.count(leaf.casefold()) == 1 and leaf.casefold() not in present
        long[path] = _free(leaf, item.digest, present) if item.renamed else leaf
        short[path] = leaf if alone or not item.renamed else long[path]
    return Names(long, short)


def _free(leaf: str, digest: str, present: set[str]) -> str:
    """Return the name with the digest; with a number, too, when an earlier repair brought the same file."""
    name, number = hashed_name(leaf, digest, Format.MACHO), 1
    while name.casefold() in present:
        number += 1
        name = hashed_name(leaf, f"{digest}-{number}", Format.MACHO)
    return name


def _present(request: Request, layout: Layout) -> Iterator[str]:
    folder = layout.folder.removeprefix(layout.root + "/") + "/"
    for member in request.survey.container.members:
        found = in_site(member.name)
        if found and found[1].startswith(folder):
            yield found[1].removeprefix(folder).partition("/")[0]
