"""Who owns which file of an environment, by the records of all that is installed in it."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from relocator.distributions import Claims
from relocator.model import FOLDER_OWNER, Distribution, Problem

_EXAMPLES = 3
_COMPILED = ".pyc"
"""Python writes and deletes them as it likes."""

Naming = Callable[[str], str]
"""Gives the member's name of an installed path."""


class Ownership:
    """The owners of an environment's files, by installed path. What pip puts over conda's files is pip's."""

    def __init__(self, conda: Sequence[Claims], python: Sequence[Claims], member: Naming) -> None:
        """Take what conda's records claim, and what .dist-info and .egg-info folders do."""
        self.problems: list[Problem] = []
        self.distributions: list[Distribution] = []
        self.files: dict[str, str] = {}
        """Owner of each file that a record names."""
        self.hashes: dict[str, str] = {}
        """SHA-256 that a record gives, in hexadecimal."""
        self._tops: dict[str, str] = {}
        self._member = member
        self._claims = [*conda, *python]
        self._take_in(conda, python)

    def owner(self, path: str) -> str:
        """Return the name of the distribution that a file belongs to; FOLDER_OWNER when it is nobody's."""
        found = self.files.get(path)
        if found is None and self._tops:
            found = next((self._tops[above] for above in _above(path) if above in self._tops), None)
        return found or FOLDER_OWNER

    def give(self, folder: str, owner: str) -> None:
        """Give all below a folder that no record names to an owner."""
        self._tops.setdefault(folder, owner)

    def missing(self, exists: Callable[[str], bool]) -> Iterator[Problem]:
        """Yield a problem for each distribution of which recorded files do not exist; each file is told once."""
        told: set[str] = set()
        for claims in reversed(self._claims):  # a Python package knows its files better than conda's record of it
            absent = [path for path in claims.files if path not in told and not path.endswith(_COMPILED) and not exists(path)]
            told.update(absent)
            if absent:
                whose, names = claims.distribution, [self._member(path) for path in absent]
                verb = "which are not there" if len(absent) > 1 else "which is not there"
                count = f"{len(absent):,} of {len(claims.files):,} files"
                yield Problem("missing-file", self._member(whose.metadata), f"{whose.name}: names {_some(names)}, {verb} ({count})")

    def _take_in(self, conda: Sequence[Claims], python: Sequence[Claims]) -> None:
        """Bring both kinds of record together: conda keeps one of its own for a package that has a .dist-info, too."""
        records = {path: claims for claims in conda for path in claims.files if ".dist-info/" in path or ".egg-info" in path}
        brought: dict[int, Distribution] = {}
        over: list[Claims | None] = []
        for claims in python:
            place = claims.distribution.metadata
            record = next((records[path] for path in (f"{place}/METADATA", f"{place}/PKG-INFO", place) if path in records), None)
            over.append(record)
            if record is not None:
                claims.distribution = _of_conda(claims.distribution, record.distribution)
                brought.setdefault(id(record), claims.distribution)
        for claims in conda:
            own = brought.get(id(claims))
            self.distributions += [] if own else [claims.distribution]
            self._claim(claims, own or claims.distribution, None)
        for claims, record in zip(python, over, strict=True):
            self.distributions.append(claims.distribution)
            self._claim(claims, claims.distribution, record)

    def _claim(self, claims: Claims, owner: Distribution, over: Claims | None) -> None:
        """Note whose the files are. Two owners of one file are a problem, except that conda's record names what its package brought."""
        shared: dict[str, list[str]] = {}
        again = over.files if over else {}
        for path, digest in claims.files.items():
            before = self.files.get(path)
            if before is not None and path not in again and not path.endswith(_COMPILED):
                shared.setdefault(before, []).append(self._member(path))
            self.files[path] = owner.name
            if digest and not again.get(path):  # conda has put its prefix into some files, and recorded the hash afterwards
                self.hashes[path] = digest
        for top in claims.tops:
            self._tops.setdefault(top, owner.name)
        for before, files in shared.items():
            whose = before if before != owner.name else f"another {before}"
            message = f"{owner.name} owns {_some(files)}, which {whose} owns, too"
            self.problems.append(Problem("shared-file", self._member(owner.metadata), message))
        self.problems += claims.problems


def _of_conda(own: Distribution, package: Distribution) -> Distribution:
    """Return a Python distribution as conda's package brings it."""
    return dataclasses.replace(own, installer="conda", source="conda", url=package.url, package=package.package)


def _above(path: str) -> Iterable[str]:
    """Return the file itself, the module that it is, and the folders above, innermost first."""
    parts = path.split("/")
    return (path, path.removesuffix(".py"), *("/".join(parts[:count]) for count in range(len(parts) - 1, 1, -1)))


def _some(files: Sequence[str]) -> str:
    """Return a few names and how many more there are."""
    named = ", ".join(files[:_EXAMPLES])
    return named if len(files) <= _EXAMPLES else f"{named} and {len(files) - _EXAMPLES:,} more"
