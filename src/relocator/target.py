"""The platform that a result is about, and what it promises. Comes from a tag or an option, never from the auditing host."""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Target:
    """One operating system, with a floor for each architecture.

    A compressed tag set becomes one Target per operating system and libc; where it names one architecture at several levels, the floor
    is the lowest of them, since the wheel must work there too.
    """

    tag: str
    """The platform tag(s), as written, joined with "."; "" when undecided."""
    os: str
    """"linux", "android", "macos", "ios", "windows", "emscripten", ..., "any" for a pure tag, "" when undecided."""
    libc: str = ""
    """"glibc", "musl", "bionic"; "" elsewhere, or when a local linux tag leaves it to the binaries."""
    floors: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """(architecture, lowest version): glibc 2.17, musl 1.2, API 24, macOS 11.0; () as version for a local tag and Windows."""
    local: bool = False
    """A linux_* tag: judged with the newest level."""
    pythons: tuple[str, ...] = ()
    """Python tags: cp312, py3."""
    abis: tuple[str, ...] = ()
    """ABI tags: cp312, cp313t, abi3, none."""
    universal: bool = False
    """macOS: a tag that promises several architectures in one file."""

    @property
    def arches(self) -> tuple[str, ...]:
        """The architectures, in the order of the tags."""
        return tuple(arch for arch, _ in self.floors)

    def floor(self, arch: str) -> tuple[int, ...]:
        """Return the lowest version for an architecture; () when it names none."""
        return dict(self.floors).get(arch, ())

    @property
    def decided(self) -> bool:
        """Whether there is anything to judge needs by."""
        return self.os not in ("", "any")


class Level(NamedTuple):
    """One step of a platform's ladder."""

    version: tuple[int, ...]
    """(2, 17), (1, 2), (24,), (11, 0); () where a platform has one level."""
    names: tuple[str, ...]
    """Platform tags without the architecture: ("manylinux_2_17", "manylinux2014")."""
    libraries: frozenset[str] = frozenset()
    """Library names promised at this level, case-folded on Windows."""
    symbol_versions: frozenset[str] = frozenset()
    """Symbol versions that exist here ("GLIBC_2.17", "GLIBCXX_3.4.19"); a prefix none of whose versions is listed is not judged."""
    refused: tuple[tuple[str, frozenset[bytes]], ...] = ()
    """(library, symbols that must not be taken from it)."""


@dataclass(frozen=True, slots=True)
class Promises:
    """What a platform promises for one architecture, most portable level first."""

    platform: str
    """"manylinux", "musllinux", "android", "macos", "windows"."""
    arch: str
    levels: tuple[Level, ...]
    always: frozenset[str] = frozenset()
    """Names that are always there: the dynamic loader itself."""
    prefixes: tuple[str, ...] = ()
    """Names that start so are promised: "/usr/lib/", "api-ms-win-"."""
    fold_case: bool = False
    """Names are compared without regard to case (Windows)."""
    introduced: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    """macOS: symbols of the system's libraries that came later than its oldest level, and the version that brought them."""
    _known: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def level(self, floor: tuple[int, ...]) -> Level:
        """Return the newest level not above the floor; the lowest when all are above; the newest for ()."""
        if not floor:
            return self.levels[-1]
        fitting = [level for level in self.levels if level.version <= floor]
        return fitting[-1] if fitting else self.levels[0]

    def has(self, name: str, floor: tuple[int, ...]) -> bool:
        """Tell whether the library is promised at the level for this floor."""
        key = name.casefold() if self.fold_case else name
        return key in self.always or key.startswith(self.prefixes) or key in self.level(floor).libraries

    def knows(self, name: str) -> bool:
        """Tell whether the library is on any level's list."""
        key = name.casefold() if self.fold_case else name
        return key in self.always or key.startswith(self.prefixes) or any(key in level.libraries for level in self.levels)
