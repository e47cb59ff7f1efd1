"""What a loader is told: the files that it could see, and the process that it works in."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from relocator.model import Binary, Unreadable
from relocator.target import Promises, Target


class OtherFile(NamedTuple):
    """A file that exists and is no binary of any format: text, a static archive, an empty file."""

    path: str


Seen = Binary | Unreadable | OtherFile


class World(Protocol):
    """The files that a loader could see, by absolute path with "/" (see `model.PREFIX`)."""

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        """Return what lies at a path, None when nothing does.

        "." and ".." are resolved lexically by the caller's `normalise`. Through a symbolic link the result's own `path` differs from the
        one asked for: origins are taken from the path asked for, identity from the result's.
        """


class AddedDirectory(NamedTuple):
    """A directory that the package's Python sources add to the DLL search."""

    path: str
    member: str
    line: int


@dataclass(frozen=True, slots=True)
class Host:
    """Where the loader of this machine looks by itself, when a search path does not help."""

    libraries: tuple[tuple[str, str], ...] = ()
    """glibc: the names in ld.so.cache and their paths, in its order."""
    directories: tuple[str, ...] = ()
    """The default directories, in order; of Windows System32."""
    _paths: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def named(self, name: str) -> list[str]:
        """Return the paths that ld.so.cache gives for a name."""
        if not self._paths:
            for known, path in self.libraries:
                self._paths.setdefault(known, []).append(path)
        return self._paths.get(name, [])


@dataclass(frozen=True, slots=True)
class Process:
    """The process in which a root is loaded."""

    target: Target
    promises: Promises | None
    """For the root's architecture; present for an undecided target too (the binary's own platform, newest level); None for a platform
    that we have no promises for."""
    environment: tuple[tuple[str, str], ...] = ()
    """Loader variables: LD_LIBRARY_PATH, DYLD_LIBRARY_PATH, ..."""
    added: tuple[AddedDirectory, ...] = ()
    """os.add_dll_directory calls that could be evaluated."""
    loaded: tuple[str, ...] = ()
    """Paths of libraries that the package's Python sources open first, in order."""
    executable: str = ""
    """Path of the program; "" when unknown, as for a wheel."""
    search: tuple[str, ...] = ()
    """Directories that the user named; tried after everything that the real loader tries."""
    host: Host | None = None
    """This machine's own libraries, when they are to be looked at: then what it lacks is missing, unless a tag promises it."""

    def promised(self, name: str, arch: str) -> bool:
        """Tell whether the target promises the library: at its floor when decided, at any level when not."""
        if self.promises is None:
            return False
        if not self.target.decided:
            return self.promises.knows(name)
        return self.promises.has(name, self.target.floor(arch))

    def variable(self, name: str) -> str:
        """Return an environment variable's value, "" when unset."""
        return dict(self.environment).get(name, "")


def normalise(path: str) -> str:
    """Resolve "." and ".." and doubled slashes of an absolute path lexically; ".." at the root stays at the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def directory(path: str) -> str:
    """Return the folder of an absolute path."""
    return path.rpartition("/")[0] or "/"
