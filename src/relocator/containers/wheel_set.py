"""Several wheels as they would lie side by side once installed: what an environment is before it exists."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Self

from relocator.containers.entry import Container, Entry
from relocator.inflating import Wanted, everything
from relocator.metadata import normalised
from relocator.model import PREFIX, ContainerFacts, Interpreter, Member, Problem
from relocator.paint import counted


class WheelSet:
    """A `Container` of opened wheels; a file that two of them bring is the last one's, as it is for installers."""

    def __init__(self, subject: str, wheels: Sequence[Container], *, tag: str, site: str, interpreter: Interpreter) -> None:
        """Take over opened wheels; `tag` is the one by which all are judged, `site` where their modules lie."""
        self._subject = subject
        self._wheels = tuple(wheels)
        self._tag = tag
        self._site = site
        self._interpreter = interpreter
        self._owners: dict[str, str] = {}
        self._shared: dict[tuple[str, str], list[str]] = {}

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield every file of every wheel, wheel by wheel; hooks and records are among them."""
        for wheel in self._wheels:
            for entry in wheel.entries(wanted):
                before = self._owners.setdefault(entry.path, entry.owner)
                if before != entry.owner:
                    self._shared.setdefault((before, entry.owner), []).append(entry.member.name)
                yield entry

    def facts(self) -> ContainerFacts:
        """Return what the wheels say about themselves; complete once `entries` is exhausted."""
        found = [wheel.facts() for wheel in self._wheels]
        return ContainerFacts(
            "environment",
            self._subject,
            tuple(distribution for facts in found for distribution in facts.distributions),
            (self._tag,),
            members=tuple(_members(found)),
            problems=tuple(dict.fromkeys([*(problem for facts in found for problem in facts.problems), *self._clashes(), *_twice(found)])),
            root=PREFIX,
            sites=(self._site,),
            interpreter=self._interpreter,
            origin=f"{counted(len(found), 'wheel')} as installed side by side",
        )

    def _clashes(self) -> Iterator[Problem]:
        for (before, owner), files in self._shared.items():
            more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
            yield Problem("shared-file", files[0], f"{owner} owns {files[0]}{more}, which {before} owns, too")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as closing:  # each is closed, whatever another one's closing raises
            for wheel in self._wheels:
                closing.push(wheel.__exit__)


def _members(found: Sequence[ContainerFacts]) -> Iterator[Member]:
    yield from (member for facts in found for member in facts.members)


def _twice(found: Sequence[ContainerFacts]) -> Iterator[Problem]:
    """Yield a problem for each distribution that two wheels bring: no installer takes both."""
    first: dict[str, str] = {}
    for facts in found:
        for distribution in facts.distributions:
            name = normalised(distribution.name)
            if name in first:
                yield Problem("shared-file", facts.subject, f"is {distribution.name} once more, which {first[name]} is already")
            first.setdefault(name, facts.subject)
