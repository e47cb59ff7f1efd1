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
    via: str = "default directories"
    """By which rule `directories` are looked into."""
    _paths: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def named(self, name: str) -> list[str]:
        """Return the paths that ld.so.cache gives for a name."""
        if not self._paths:
            for known, path in self.libraries:
                self._paths.setdefault(known, []).append(path)
        return self._paths.get(name, [])


@dataclass(frozen=True, slots=True)
class Sources:
    """What a repair asks of the search for libraries; an audit asks nothing, and the real loader knows none of it.

    The order is then (`search_order.steps`): what the loader finds inside the container; `excluded`; the interpreter's own library; what
    the target promises, unless it is in `included`; `provided`; `inside`; `files`; `folders`; what the loader finds outside the container,
    its host's directories last. What cannot be mapped, being of another architecture or damaged, is passed over everywhere.
    """

    excluded: tuple[str, ...] = ()
    """Patterns of names or paths that stay outside, with all that they bring."""
    included: tuple[str, ...] = ()
    """Patterns of names or paths of libraries that are taken although the target promises them."""
    doubted: tuple[str, ...] = ()
    """Names of libraries that are taken where they are found, and left to the target's promise where not."""
    provided: tuple[tuple[str, str, str], ...] = ()
    """Name of a library, installed path that it will have, distribution that brings it."""
    inside: tuple[tuple[str, str], ...] = ()
    """Name of a library, installed path: what the container has where the loader does not look."""
    folders: tuple[tuple[str, str], ...] = ()
    """Directory of this machine, and by which rule it is looked into: "--search /opt/lib", "LD_LIBRARY_PATH"."""
    files: tuple[tuple[str, str], ...] = ()
    """Name of a library, path on this machine: what was asked for by its path; tried before `folders`."""
    absolute: bool = False
    """Absolute paths in binaries count: they are those of a machine like this one."""
    libpython: bool = True
    """The interpreter's own library stays outside."""
    fold_case: bool = False
    """Names are compared without regard to case (Windows); those above are case-folded."""


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
    sources: Sources | None = None
    """What a repair asks of the search; None for the real loader's."""

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
