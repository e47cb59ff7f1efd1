"""What an image takes from others and offers to them: symbols, and the tables that hold them undecoded. Names are bytes.

One object per symbol exists only where somebody asks for `imports` or `exports`; whatever looks at many symbols uses the leaner questions.
"""

from collections.abc import Container, Iterator
from typing import Any, NamedTuple, Protocol


class Import(NamedTuple):
    """One symbol that an image takes from elsewhere."""

    name: bytes
    """Empty for a PE import by ordinal."""
    library: str = ""
    """Mach-O two-level and PE: the library as the need names it; ELF: the one its version names; "" when any will do.
    Mach-O specials: "<flat>" (dynamic lookup), "<main>", "<weak>", "<self>"."""
    version: bytes = b""
    """ELF: symbol version."""
    weak: bool = False
    """May stay undefined."""
    ordinal: int | None = None
    """PE: import by ordinal."""
    used: bool = True
    """ELF: some relocation refers to it; a symbol that none refers to is never looked up."""
    data: bool = False
    """Known to be an object rather than a function."""


class Export(NamedTuple):
    """One symbol that an image offers."""

    name: bytes
    version: bytes = b""
    default: bool = True
    """ELF: not a hidden ("@") version."""
    weak: bool = False
    unique: bool = False
    """ELF: STB_GNU_UNIQUE."""
    data: bool = False
    size: int = 0
    ordinal: int | None = None
    forward: str = ""
    """PE forwarder, or Mach-O re-export: where it really lives."""
    first: bool = False
    """ELF: its version is the first that the file defines, which a reference without a version takes even when it is hidden."""


class References(NamedTuple):
    """The symbols that an image cannot do without, as columns: strong, and some relocation uses them."""

    names: tuple[bytes, ...] = ()
    """A PE import by ordinal 12 is b"#12"."""
    keys: tuple[int, ...] = ()
    """For each name its position in `sources`."""
    sources: tuple[tuple[bytes, str], ...] = ()
    """(version, library), both as in Import."""


class SymbolTable(Protocol):
    """The raw tables of one image, decoded on first use. Hashable by identity is not promised; equality of the raw tables is."""

    def imports(self) -> tuple[Import, ...]:
        """Return every undefined dynamic symbol, in table order."""

    def exports(self) -> tuple[Export, ...]:
        """Return every defined, visible dynamic symbol, in table order."""

    def mentions(self, fragment: bytes) -> bool:
        """Tell, without decoding, whether the bytes occur in any symbol name: False is certain, True is a hint."""

    def references(self) -> References:
        """Return the strong imports that some relocation uses, in table order; not kept."""

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        """Return those exports whose names are wanted, in table order; those by ordinal 12 have the name b"#12" too. Not kept."""

    def preemptible(self) -> References:
        """Return the exports that the image itself refers to by name, so that another definition can come before its own (ELF)."""

    def unique(self) -> list[Export]:
        """Return the exports that are STB_GNU_UNIQUE, in table order; not kept."""


class NoSymbols(NamedTuple):
    """The table of an image that has none."""

    def imports(self) -> tuple[Import, ...]:
        """Return nothing."""
        return ()

    def exports(self) -> tuple[Export, ...]:
        """Return nothing."""
        return ()

    def mentions(self, fragment: bytes) -> bool:
        """Say no."""
        return False

    def references(self) -> References:
        """Return nothing."""
        return References()

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        """Return nothing."""
        return []

    def preemptible(self) -> References:
        """Return nothing."""
        return References()

    def unique(self) -> list[Export]:
        """Return nothing."""
        return []


class SpelledOnce:
    """What the symbol tables of all formats do alike: they make objects of their symbols when asked for the first time, and keep them.

    A subclass has a `memo` of its own that takes no part in equality, and says in `_imports` and `_exports` what there is, in table order.
    """

    __slots__ = ()

    memo: dict[str, Any]

    def imports(self) -> tuple[Import, ...]:
        """Return every symbol taken from elsewhere, in table order."""
        if "imports" not in self.memo:
            self.memo["imports"] = tuple(self._imports())
        found: tuple[Import, ...] = self.memo["imports"]
        return found

    def exports(self) -> tuple[Export, ...]:
        """Return every symbol offered, in table order."""
        if "exports" not in self.memo:
            self.memo["exports"] = tuple(self._exports())
        found: tuple[Export, ...] = self.memo["exports"]
        return found

    def _imports(self) -> Iterator[Import]:
        raise NotImplementedError

    def _exports(self) -> Iterator[Export]:
        raise NotImplementedError
