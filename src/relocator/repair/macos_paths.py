"""LC_RPATHs and the names that start with "@": where they lead in the finished wheel, and which of the paths stay."""

import posixpath
from collections.abc import Sequence, Set
from typing import NamedTuple

from relocator.loading import directory, normalise
from relocator.model import Binary, Format, Image
from relocator.projection import distinct
from relocator.search_paths import SYSTEM, WRITABLE

_MANAGED = ("/opt/homebrew", "/usr/local", "/opt/local")
"""Directories of package managers that users have."""


class Where(NamedTuple):
    """What lies where in the finished wheel, by installed paths."""

    files: Set[str]
    """Mach-O files."""
    folders: Set[str]
    """All folders."""


class Spot(NamedTuple):
    """One slice of a file, and where it will lie."""

    binary: Binary
    image: Image
    here: str
    """Folder in the finished wheel."""
    where: Where

    @property
    def before(self) -> str:
        """Folder that the file's own search paths are meant for: of a taken file, the new one."""
        return directory(self.binary.path) if self.binary.owner else self.here


class Kept(NamedTuple):
    """The search paths that stay, and why the others do not."""

    paths: tuple[str, ...]
    reasons: tuple[str, ...]


def kept_paths(spot: Spot, *, open_needs: bool, fix_notes: bool) -> Kept:
    """Return which LC_RPATHs of a slice stay; of the wheel's own files also what leads nowhere yet, unless notes are to be mended.

    With `open_needs` some library is left to the user's machine: he may have it where package managers put such.
    """
    paths: list[str] = []
    reasons: dict[str, None] = {}
    texts = [path.text for path in spot.image.search_paths]
    for text in texts:
        fault = "" if open_needs and is_managed(text) else _fault(text, spot, fix_notes)
        new = "" if fault else _moved(text, spot)
        if fault or new in paths:
            reasons[f"{fault or 'duplicate-rpath'}: LC_RPATH {text}"] = None
        else:
            paths.append(new)
    return Kept(tuple(paths if paths == texts else distinct(paths)), tuple(reasons))


def _fault(text: str, spot: Spot, fix_notes: bool) -> str:
    """Return the rule that an LC_RPATH goes for; "" when it stays."""
    if text.startswith("/"):
        folder = normalise(text)
        if _below(folder, SYSTEM[Format.MACHO]):
            return ""
        return "writable-search-path" if _below(folder, WRITABLE) else "build-search-path"
    if text and not text.startswith("@"):
        return "relative-search-path"
    target = _expanded(text, spot.image, spot.before)
    if not target or target in spot.where.folders:
        return ""
    unused = not spot.binary.owner or (fix_notes and _below(target, (spot.before,)))  # elsewhere may lie another distribution's folder
    return "redundant-search-path" if unused else ""


def _moved(text: str, spot: Spot) -> str:
    """Return an LC_RPATH as a file spells it that will lie in another folder."""
    target = _expanded(text, spot.image, spot.before)
    return relative(spot.here, target) if target and spot.before != spot.here else text


def is_managed(path: str) -> bool:
    """Tell whether an LC_RPATH leads to where package managers put libraries."""
    return _below(normalise(path), _MANAGED)


def _below(folder: str, folders: Sequence[str]) -> bool:
    return any(folder == one or folder.startswith(one + "/") for one in folders)


def _expanded(text: str, image: Image, here: str) -> str:
    """Return where a path that starts with "@loader_path", or in a program with "@executable_path", leads; "" for any other."""
    first, _, rest = text.partition("/")
    known = first == "@loader_path" or (first == "@executable_path" and image.kind == "program")
    return normalise(f"{here}/{rest}") if known else ""


def finds(name: str, spot: Spot, paths: Sequence[str], target: str) -> bool:
    """Tell whether a slice with these LC_RPATHs gets the file at `target` by a name, whatever is loaded already."""
    if not name.startswith("@rpath/"):
        return _expanded(name, spot.image, spot.here) == target
    tail = name.removeprefix("@rpath/")
    for path in paths:
        if is_managed(path):
            return False  # another file of that name may lie there
        folder = _expanded(path, spot.image, spot.here)
        found = normalise(f"{folder}/{tail}") if folder else ""
        if found == target or found in spot.where.files:
            return found == target
    return False


def relative(here: str, path: str) -> str:
    """Return the way from a folder to a path as dyld takes it from the file: "@loader_path/../x", "@loader_path"."""
    way = posixpath.relpath(path, here)
    return "@loader_path" if way == "." else f"@loader_path/{way}"
