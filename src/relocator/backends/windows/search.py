"""Where the Windows loader looks for a module's needs: lists of places, by the flags that a module is opened with.

Microsoft's "Dynamic-link library search order" and the page of LoadLibraryExW.
"""

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from relocator.loading import Process, directory

_DLL_LOAD_DIR, _APPLICATION_DIR, _USER_DIRS, _SYSTEM_DIR, _DEFAULT_DIRS = 0x100, 0x200, 0x400, 0x800, 0x1000  # LOAD_LIBRARY_SEARCH_*
_ANY_SEARCH = _DLL_LOAD_DIR | _APPLICATION_DIR | _USER_DIRS | _SYSTEM_DIR | _DEFAULT_DIRS

CPYTHON = _DLL_LOAD_DIR | _DEFAULT_DIRS
"""What CPython opens extension modules with since 3.8 (Python/dynload_win.c), and ctypes what is named by a full path."""

_CONDA = "CONDA_DLL_SEARCH_MODIFICATION_ENABLE"


class Kind(Enum):
    """What a place is, for those that are more than a directory."""

    FOLDER = auto()
    APPLICATION = auto()
    """Beside the program: what its installer ships lies there."""
    ADDED = auto()
    """By AddDllDirectory: Windows does not say in which order such directories are searched."""
    SYSTEM = auto()
    """System32."""
    NAMED = auto()
    """By the user, with --search."""


class Place(NamedTuple):
    """One directory to look in."""

    folder: str
    """Without a slash at the end; "" when it is not known, or Windows's own."""
    via: str
    kind: Kind = Kind.FOLDER


_SYSTEM32 = Place("", "System32", Kind.SYSTEM)


def places_of(opened: str, member: str, flags: int, process: Process, program: str) -> tuple[Place, ...]:
    """Return where the needs of a module opened with LOAD_LIBRARY_SEARCH_* flags are searched: its own directory, then as the flags say.

    `program` is the path of the process's executable, "" when it is not known.
    """
    places = [Place(directory(opened), f"directory of {member}")] if flags & _DLL_LOAD_DIR else []
    if flags & (_APPLICATION_DIR | _DEFAULT_DIRS):
        places.append(_application(program))
    if flags & (_USER_DIRS | _DEFAULT_DIRS):
        places += _added(process)
    if flags & (_SYSTEM_DIR | _DEFAULT_DIRS):
        places.append(_SYSTEM32)
    return tuple(places)


def standard_places(process: Process, program: str) -> tuple[Place, ...]:
    """Return where a plain LoadLibrary looks, as for delayed imports, and a program when it starts: not beside the importer.

    The Windows directory and the current one are left out: nothing of a package is in the one, and nobody knows the other.
    """
    path = process.variable("PATH")
    folders = tuple(Place(folder, "PATH") for folder in _folders(path)) if path else (Place("", "PATH"),)
    return (_application(program), _SYSTEM32, *folders)


def replaces_flags(dependent_load_flags: int) -> bool:
    """Tell whether a module's DependentLoadFlags say where its own imports are searched (/DEPENDENTLOADFLAG)."""
    return dependent_load_flags & _ANY_SEARCH != 0


def searches_beside(dependent_load_flags: int) -> bool:
    """Tell whether a module's own imports are searched in the module's folder."""
    return not replaces_flags(dependent_load_flags) or dependent_load_flags & _DLL_LOAD_DIR != 0


def searches_added(dependent_load_flags: int) -> bool:
    """Tell whether a module's own imports are searched in the folders that os.add_dll_directory adds."""
    return not replaces_flags(dependent_load_flags) or dependent_load_flags & (_USER_DIRS | _DEFAULT_DIRS) != 0


def _application(program: str) -> Place:
    return Place(directory(program) if program else "", "application's directory", Kind.APPLICATION)


def _added(process: Process) -> Iterator[Place]:
    """Yield what os.add_dll_directory adds, and in conda's Python every directory of PATH (its patch of Python/dynload_win.c)."""
    for added in process.added:
        yield Place(added.path.rstrip("/"), f"os.add_dll_directory in {added.member}:{added.line}", Kind.ADDED)
    if process.variable(_CONDA) not in ("", "0"):
        yield from (Place(folder, f"PATH, with {_CONDA}") for folder in _folders(process.variable("PATH")))


def _folders(path: str) -> Iterator[str]:
    """Yield the absolute directories of PATH; others depend on the current directory."""
    for written in path.split(";"):
        folder = written.strip('"').replace("\\", "/").rstrip("/")
        if folder.startswith("/") or folder[1:3] == ":/" or folder[1:] == ":":
            yield folder
