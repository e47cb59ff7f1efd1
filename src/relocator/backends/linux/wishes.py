"""What the edits of one ELF file come to together, and which of them make no sense for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from relocator.backends.linux.dynamic import Dynamic
from relocator.backends.linux.headers import PT_INTERP, ElfFile
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)

_LONGEST = 4095
"""PATH_MAX without the NUL: the kernel opens nothing longer."""


@dataclass(slots=True)
class Wishes:
    """What is wanted of one file; None where nothing is."""

    names: dict[str, str | None] = field(default_factory=dict)
    """By the name of a library as the file has it now: its new name, None when the need goes."""
    added: list[str] = field(default_factory=list)
    paths: SetSearchPaths | None = None
    identity: str | None = None
    interpreter: str | None = None
    executable_stack: bool | None = None

    @property
    def dynamic(self) -> bool:
        """Whether the dynamic section has to change."""
        return bool(self.names or self.added or self.paths is not None or self.identity is not None)


def take_wishes(file: ElfFile, dynamic: Dynamic | None, program: bool, edits: Sequence[Edit]) -> Wishes:
    """Return the wishes; raise EditRefused for what ELF cannot say, or this file cannot be.

    The edits of one call are independent: each names libraries as they are in the file, not as another edit leaves them. Of two edits that
    set the same thing the later one counts.
    """
    wishes, needed = Wishes(), dynamic.needed if dynamic else ()
    for edit in edits:
        match edit:
            case SetSearchPaths(paths):
                _check_paths(paths)
                wishes.paths = edit
            case ReplaceNeeded(old, new):
                _replace(wishes, needed, old, _checked(new, "a needed library"))
            case AddNeeded(name):
                wishes.added.append(_checked(name, "a needed library"))
            case RemoveNeeded(name):
                wishes.names[name] = None
            case SetIdentity(name):
                wishes.identity = _checked(name, "a soname")
            case SetInterpreter(path):
                wishes.interpreter = _checked(path, "an interpreter")
            case SetExecutableStack(executable):
                wishes.executable_stack = executable
            case Resign():
                raise EditRefused("ELF files have no signature that a loader checks", "leave --resign out")
    _check_sense(file, dynamic, program, wishes)
    return wishes


def _check_sense(file: ElfFile, dynamic: Dynamic | None, program: bool, wishes: Wishes) -> None:
    if wishes.interpreter is not None and file.first(PT_INTERP) is None:
        raise EditRefused("the file has no interpreter (PT_INTERP): it is a library, or a static program", "only programs have one to set")
    if not wishes.dynamic:
        return
    if dynamic is None:
        raise EditRefused(
            "the file is a static program: it has no dynamic section, and no loader reads needs or paths of it", "leave it as it is"
        )
    if program and file.first(PT_INTERP) is None and not dynamic.needed:
        raise EditRefused("the file is a static program (static-pie): no loader reads needs or paths of it", "leave it as it is")
    if wishes.identity is not None and program:
        raise EditRefused("the file is a program: nothing needs it by name", "only libraries have a soname")


def _replace(wishes: Wishes, needed: Sequence[str], old: str, new: str) -> None:
    if old not in needed:
        if new in needed:
            return
        listed = ", ".join(needed) or "nothing"
        raise EditRefused(f"the file does not need {_shown(old)}", f"it needs {listed}")
    known = wishes.names.get(old, new)
    if known != new:
        raise EditRefused(f"{_shown(old)} cannot become both {known or 'nothing'} and {new}", "give each name one replacement")
    wishes.names[old] = new


def _checked(name: str, what: str) -> str:
    """Return a name that a loader can open."""
    if not name:
        raise EditRefused(f"the name of {what} cannot be empty", "give a name")
    size = len(encoded(name))
    if size > _LONGEST:
        raise EditRefused(f"the name of {what} ({_shown(name)}) has {size} bytes", f"the system opens no name longer than {_LONGEST}")
    return name


def _check_paths(paths: Sequence[str]) -> None:
    for path in paths:
        if ":" in path:
            raise EditRefused(f"the search path {_shown(path)} contains a colon, which separates paths", "give each path by itself")
        size = len(encoded(path))
        if size > _LONGEST:
            raise EditRefused(f"the search path {_shown(path)} has {size} bytes", f"the system opens no name longer than {_LONGEST}")


def encoded(name: str) -> bytes:
    """Return the bytes of a name; raise EditRefused for what no string table can hold."""
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise EditRefused(f"the name {_shown(name)} cannot be written as UTF-8", "give a name without lone surrogates") from error
    if b"\0" in raw:
        raise EditRefused(f"the name {_shown(name)} contains a NUL, where every loader stops reading", "leave it out")
    return raw


def _shown(name: str) -> str:
    return repr(name if len(name) < 60 else name[:60] + "...")
