"""The loads of a Survey by file: what each need got in each, and which outside files bring other libraries in one than in another."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.model import How, Load, Needed, Resolution, Survey
from relocator.search_order import ELSEWHERE

_UNANSWERED = frozenset({How.MISSING, How.UNDECIDED})

Need = tuple[str, Needed]
"""Architecture and need."""
Found = Mapping[int, Resolution]
"""What became of one need, by the position of the load in `Survey.loads`."""
Answers = Mapping[str, Mapping[Need, Found]]
"""By importer."""


class File(NamedTuple):
    """A file with the libraries that it brings."""

    path: str
    number: int = 0
    """Which of several sets of libraries it is that the file brings, from 0."""


def answers_of(survey: Survey) -> Answers:
    """Return what became of each need in each load; a need that a file names twice is told once."""
    found: dict[str, dict[Need, dict[int, Resolution]]] = {}
    for position, load in enumerate(survey.loads):
        for resolution in load.resolutions:
            needs = found.setdefault(resolution.importer, {})
            needs.setdefault((resolution.arch, resolution.needed), {}).setdefault(position, resolution)
    return found


def answered(resolution: Resolution) -> bool:
    """Tell whether anything meets the need."""
    return resolution.how not in _UNANSWERED


def best(found: Found, loads: Sequence[Load]) -> int:
    """Return the position of the load whose answer counts: the one in which the importer is opened alone, else the first.

    One that the loader gives comes before one that is only the search's, and any before none.
    """
    return min(found, key=lambda i: (not answered(found[i]), _helped(found[i]), loads[i].root != found[i].importer, i))


def rivals(found: Found) -> tuple[Resolution, ...]:
    """Return the different answers that loads give to one need, one of each kind.

    Those that only the search gives do not count beside the loader's.
    """
    given = [resolution for resolution in found.values() if answered(resolution)]
    given = [resolution for resolution in given if not _helped(resolution)] or given
    return tuple({_met_by(resolution): resolution for resolution in reversed(given)}.values())[::-1]


def _helped(resolution: Resolution) -> bool:
    return resolution.via.startswith(ELSEWHERE)


def _met_by(resolution: Resolution) -> str:
    """Return what tells answers apart: the file, where it will be one of the finished wheel or of another distribution."""
    return resolution.target or "" if resolution.how in (How.BUNDLED, How.OUTSIDE, How.PROVIDED) else ""


class Closures:
    """Which of its sets of libraries an outside file brings in which load."""

    def __init__(self, loads: Sequence[Load], answers: Answers, outside: Collection[str]) -> None:
        """`outside` are the files that can be brought in more than once."""
        self._loads, self._answers = loads, answers
        self._numbers: dict[tuple[int, str], int] = {}
        if any(len(rivals(found)) > 1 for path in outside for found in answers.get(path, {}).values()):
            self._divide(outside)

    def file(self, position: int, path: str) -> File:
        """Return what a path stands for in one load."""
        return File(path, self._numbers.get((position, path), 0))

    def needs(self, file: File) -> Iterator[tuple[Need, int, Found]]:
        """Yield each need of a file, the position of the load whose answer counts for it, and all answers that the file may get."""
        for need, found in self._answers.get(file.path, {}).items():
            own = {i: r for i, r in found.items() if self._numbers.get((i, file.path), 0) == file.number}
            given = own if any(map(answered, own.values())) else found
            yield need, best(given, self._loads), given

    def _divide(self, outside: Collection[str]) -> None:
        """Tell the files apart by what they bring, then by what that brings, until nothing more is told apart."""
        now = {(i, path): 0 for i, load in enumerate(self._loads) for path in load.order if path in outside}
        while True:
            kinds: dict[str, dict[object, int]] = {}
            after: dict[tuple[int, str], int] = {}
            for (position, path), number in now.items():
                known = kinds.setdefault(path, {})
                after[position, path] = known.setdefault((number, *self._brings(position, path, now)), len(known))
            if sum(map(len, kinds.values())) == len(set(zip((path for _, path in now), now.values(), strict=True))):
                self._numbers = after
                return
            now = after

    def _brings(self, position: int, path: str, now: Mapping[tuple[int, str], int]) -> Iterator[tuple[str, int]]:
        for found in self._answers.get(path, {}).values():
            at = position if position in found and answered(found[position]) else best(found, self._loads)
            target = _met_by(found[at])
            yield target, now.get((at, target), 0)
