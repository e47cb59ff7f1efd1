"""What every container gives: its files once, in order, and what it says of itself."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol, Self

from relocator.buffer import Buffer
from relocator.inflating import Wanted, everything
from relocator.model import ContainerFacts, Member

MAX_SIZE = 16 << 30
"""Bytes that an archive may inflate to unless the user allows more."""


class Entry(NamedTuple):
    """One file while it is at hand."""

    member: Member
    path: str
    """Where it lies once installed: below `model.PREFIX`, or the absolute path of a file on disk."""
    data: Buffer | None
    """Its bytes, valid until the next entry is asked for; None when they need not be had, since `member`'s hash was known already, or when
    they cannot, which a `Problem` explains."""
    owner: str
    """Name of the distribution that brings it; `model.FOLDER_OWNER` when none does."""


class Container(Protocol):
    """An opened container; a context manager that closes what it holds open."""

    def entries(self, wanted: Wanted = everything) -> Iterator[Entry]:
        """Yield every file once, in the container's own order; of a large one that is not `wanted` only the first bytes may be at hand."""

    def facts(self) -> ContainerFacts:
        """Return what the container says about itself; complete once `entries` is exhausted."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
