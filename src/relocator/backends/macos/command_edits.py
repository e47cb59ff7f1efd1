"""What edits do to the load commands of one slice.

The edits of one call are independent: each names libraries as they are in the file, not as another edit leaves them. What dyld refuses is
refused here (mach_o/Image.cpp and mach_o/Policy.cpp): two commands for one library, an identity that is no path, a repeated LC_RPATH.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from relocator.backends.macos.commands import ID_DYLIB, MH_DYLIB, RPATH
from relocator.backends.macos.load_commands import LOAD_DYLIB, CommandList
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    RemoveNeeded,
    ReplaceNeeded,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)

_Wish = TypeVar("_Wish")
_LONGEST = 1023  # PATH_MAX of macOS, without the NUL
_TIMESTAMP = 2  # what linkers write
_FILE_TYPES = {2: "a program", 8: "a bundle"}
_SENSELESS = {
    SetInterpreter: ("a Mach-O file has no interpreter to set", "the kernel starts /usr/lib/dyld for every program; leave this edit out"),
    SetExecutableStack: (
        "no Mach-O command says that the stack is executable",
        "macOS never makes it so for 64-bit code; leave this edit out",
    ),
}
_REMOVAL = (
    "link the file again without it, or replace it by another library that has its symbols: symbols name their libraries by position, "
    "so that no dylib command can be taken away"
)


class Wishes(NamedTuple):
    """The edits for one slice, checked against one another."""

    renamed: dict[str, str]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    identity: str | None
    paths: tuple[str, ...] | None


def check_edits(edits: Iterable[Edit]) -> None:
    """Raise EditRefused for what makes no sense in any Mach-O file."""
    for edit in edits:
        if type(edit) in _SENSELESS:
            raise EditRefused(*_SENSELESS[type(edit)])


def wishes(edits: Iterable[Edit]) -> Wishes:
    """Return what the edits want; raise EditRefused when they contradict one another or name what cannot be a name."""
    renamed: dict[str, str] = {}
    added: list[str] = []
    removed: list[str] = []
    identities: list[str] = []
    lists: list[tuple[str, ...]] = []
    for edit in edits:
        match edit:
            case ReplaceNeeded(old, new):
                if renamed.setdefault(old, new) != new:
                    raise EditRefused(f"{old} cannot become both {renamed[old]} and {new}", "give each name one replacement")
            case AddNeeded(name):
                added.append(name)
            case RemoveNeeded(name):
                removed.append(name)
            case SetIdentity(name):
                identities.append(name)
            case SetSearchPaths(paths):
                lists.append(paths)
    return Wishes(
        renamed, tuple(dict.fromkeys(added)), tuple(removed), _only("identities", identities), _only("lists of search paths", lists)
    )


def _only(what: str, found: Sequence[_Wish]) -> _Wish | None:
    if len(set(found)) > 1:
        raise EditRefused(f"two {what} for one file: {found[0]} and {found[-1]}", "give one")
    return found[0] if found else None


def carry_out(commands: CommandList, wish: Wishes) -> tuple[str, ...]:
    """Change the commands as wished; return remarks. Raises EditRefused when dyld would not take the result."""
    needed = {commands.name(command) for command in commands.dylibs()}
    for name in wish.removed:
        if name in needed:
            raise EditRefused(f"{name} cannot be taken out of the file", _REMOVAL)
    for command in commands.dylibs():
        name = commands.name(command)
        if (new := wish.renamed.get(name, name)) != name:
            commands.rename(command, encoded(new))
    if wish.identity is not None:
        _identify(commands, wish.identity)
    for name in wish.added:
        if name not in {commands.name(command) for command in commands.dylibs()}:
            commands.add(LOAD_DYLIB, (_TIMESTAMP, 0, 0), encoded(name))  # version 0: any version of the library will do
    _check_names(commands)
    return () if wish.paths is None else _set_paths(commands, wish.paths)


def encoded(name: str) -> bytes:
    """Return a name as a command holds it; raise EditRefused for what no command can hold."""
    shown = repr(name if len(name) < 60 else name[:60] + "...")
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise EditRefused(f"{shown} is no text that a file could hold", "give a name in UTF-8") from None
    if not raw or b"\0" in raw:
        raise EditRefused(f"{shown} cannot be a name in a load command", "give a name that is not empty and has no NUL in it")
    if len(raw) > _LONGEST:
        raise EditRefused(
            f"{shown} has {len(raw)} bytes", f"macOS opens no path of more than {_LONGEST} bytes; use @rpath/NAME or @loader_path/NAME"
        )
    return raw


def _identify(commands: CommandList, name: str) -> None:
    header, command = commands.header, commands.find(ID_DYLIB)
    if header.file_type != MH_DYLIB:
        kind = _FILE_TYPES.get(header.file_type, "no library")
        raise EditRefused(f"the file is {kind}, which has no identity", "nobody links against it by name; leave this edit out")
    if command is None:
        raise EditRefused("the library has no LC_ID_DYLIB, dyld refuses it as it is", "link it again with -install_name")
    if commands.name(command) == name:
        return
    if not name.startswith(("/", "@")):
        raise EditRefused(
            f"the identity {name!r} is no path: dyld refuses it in what newer SDKs link", f"use @rpath/{name.rpartition('/')[2] or 'NAME'}"
        )
    commands.rename(command, encoded(name))


def _check_names(commands: CommandList) -> None:
    """Refuse to let two commands name one library, unless they did so before."""
    before: dict[str, set[str]] = {}
    dylibs = commands.dylibs()
    for command in dylibs:
        before.setdefault(commands.name(command), set()).add(commands.old_name(command))
    counts = Counter(commands.name(command) for command in dylibs)
    for name, olds in before.items():
        if counts[name] > 1 and len(olds) > 1:
            raise EditRefused(
                f"two dylib commands would name {name}: dyld refuses that, and neither may go",
                "symbols name their libraries by position; give the second one a path of its own, or link the file again",
            )
    identity = commands.find(ID_DYLIB)
    name = commands.name(identity) if identity else ""
    if identity and name in before and not (commands.old_name(identity) in before[name] and commands.old_name(identity) == name):
        raise EditRefused(f"the library would need itself: {name}", "give the library and its need different names")


def _set_paths(commands: CommandList, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Rewrite the LC_RPATHs. Common ones at both ends stay; of the rest each takes the command at its place, so that little moves."""
    old = commands.rpaths()
    known = [commands.name(command) for command in old]
    wanted, repeated = _unique(paths)
    for path in wanted:
        if ":" in path and path not in known:
            raise EditRefused(f"{path!r} would be one path: LC_RPATH knows no separator", "give each path an option of its own")
    head = _common(known, wanted)
    tail = _common(known[head:][::-1], wanted[head:][::-1])
    places, middle = old[head : len(old) - tail], wanted[head : len(wanted) - tail]
    for command, path in zip(places, middle, strict=False):
        commands.rename(command, encoded(path))
    for command in places[len(middle) :]:
        commands.drop(command)
        command.reason = f"LC_RPATH: {commands.old_name(command)} removed"
    before = old[len(old) - tail] if tail else None
    for path in middle[len(places) :]:
        commands.add(RPATH, (), encoded(path), before=before)
    return tuple(f"LC_RPATH {path} was given twice and is written once: macOS 15.4 refuses repeated ones" for path in repeated)


def _unique(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the paths without those that were there before, and the others; a slash at the end makes no difference."""
    kept: dict[str, str] = {}
    repeated = []
    for path in paths:
        key = path.rstrip("/") or path
        if key in kept:
            repeated.append(path)
        else:
            kept[key] = path
    return list(kept.values()), repeated


def _common(some: Sequence[str], others: Sequence[str]) -> int:
    """Return how many elements two sequences have in common at their starts."""
    return next((index for index, (a, b) in enumerate(zip(some, others, strict=False)) if a != b), min(len(some), len(others)))


def describe_needs(commands: Iterable[CommandList]) -> str:
    """Return the names that a file needs, as one line of help."""
    names = dict.fromkeys(one.name(command) for one in commands for command in one.dylibs())
    return "it needs " + (", ".join(names) or "nothing")
