"""What edits ask of a PE file, in terms of its tables; refused here is what makes no sense for PE, whatever room there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from relocator.backends.windows.layout import Layout
from relocator.backends.windows.links import Descriptor, Links, Name, Use, thunks
from relocator.backends.windows.read import arch_name
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

_LONGEST = 255
"""Of a file name on Windows."""
_FORBIDDEN = frozenset('<>"|?*') | frozenset(map(chr, range(32)))

_SENSELESS: dict[type, tuple[str, str]] = {
    SetSearchPaths: (
        "a PE file has no search paths",
        "put the DLL beside the file that needs it, or call os.add_dll_directory before the import",
    ),
    SetInterpreter: ("a PE file has no interpreter", "Windows starts every program itself; leave this edit out"),
    SetExecutableStack: ("a PE file does not say whether the stack is executable", "link with /NXCOMPAT instead"),
}


@dataclass(slots=True)
class Wishes:
    """What is to be done beside the names, which say themselves what they shall be."""

    resign: bool = False
    added: list[tuple[str, bytes | int]] = field(default_factory=list)
    """Library and the symbol imported from it, by name or number."""


def take_wishes(links: Links, edits: Sequence[Edit]) -> Wishes:
    """Note in `links` what the edits want, and return the rest; raise EditRefused for what PE cannot say.

    The edits of one call are independent: each names modules as they are in the file, not as another edit leaves them.
    """
    wishes = Wishes()
    for edit in edits:
        if type(edit) in _SENSELESS:
            raise EditRefused(*_SENSELESS[type(edit)])
        _check_arch(links.layout, getattr(edit, "arch", ""))
        match edit:
            case ReplaceNeeded(old, new):
                _replace(links, old, _checked(new))
            case SetIdentity(name):
                _identify(links, _checked(name))
            case RemoveNeeded(name):
                _remove(links, name)
            case AddNeeded(name):
                _add(links, wishes, name)
            case Resign():
                wishes.resign = True
    return wishes


def _check_arch(layout: Layout, arch: str) -> None:
    own = arch_name(layout.machine)
    if arch not in ("", own):
        raise EditRefused(f"the file has no code for {arch}, it is for {own}", "a PE file has one image; leave the architecture out")


def _checked(name: str) -> str:
    shown = name if len(name) < 60 else name[:60] + "..."
    if not name or not name.isascii():
        raise EditRefused(
            f"{shown!r} cannot be the name of a DLL in a table of imports or exports",
            "Windows reads such names in the machine's own code page: use ASCII characters alone",
        )
    if _FORBIDDEN.intersection(name):
        raise EditRefused(f"{shown!r} is no file name on Windows", 'leave out control characters and < > " | ? *')
    if len(name) > _LONGEST:
        raise EditRefused(f"the name {shown!r} has {len(name)} bytes", f"file names on Windows have at most {_LONGEST}")
    return name


def file_key(name: str) -> str:
    """Return what names of one file have in common: case does not count, and LoadLibrary appends ".dll" where there is no extension."""
    leaf = name.replace("\\", "/").rpartition("/")[2]
    return (name if "." in leaf else name + ".dll").casefold()


def _module(name: Name) -> str:
    """Return the module that a name stands for; a forwarder's is what comes before the last dot, as in ntdll."""
    return name.text.rpartition(".")[0] if name.use == Use.FORWARDER else name.text


def _forward(new: str, symbol: str) -> str:
    """Return a forwarder; its module goes without ".dll", unless that would leave the loader a name with another extension."""
    stem = new[:-4] if new.lower().endswith(".dll") else new
    return f"{new if '.' in stem else stem}.{symbol}"


def _replace(links: Links, old: str, new: str) -> None:
    key, found = file_key(old), False
    for name in links.names():
        if name.use == Use.IDENTITY or file_key(_module(name)) != key:
            continue
        wanted = _forward(new, name.text.rpartition(".")[2]) if name.use == Use.FORWARDER else new
        if name.changed and name.wanted != wanted:
            raise EditRefused(f"{old} cannot become both {name.wanted} and {new}", "give each name one replacement")
        name.wanted = wanted
        found = True
    if not found and file_key(new) not in {file_key(module) for module in _needed(links)}:
        raise _not_needed(links, old)


def _needed(links: Links) -> list[str]:
    return list(dict.fromkeys(_module(name) for name in links.names() if name.use != Use.IDENTITY))


def _not_needed(links: Links, name: str) -> EditRefused:
    listed = ", ".join(sorted(_needed(links), key=str.casefold)) or "nothing"
    return EditRefused(f"the file does not need {name}", f"it needs {listed}")


def _identify(links: Links, name: str) -> None:
    if not links.exports:
        raise EditRefused("the file exports nothing, so that it has no name of its own", "rename the file; Windows goes by that alone")
    for exports in links.exports:
        exports.identity.wanted = name


def _remove(links: Links, name: str) -> None:
    key = file_key(name)
    for row in links.imports:
        if file_key(row.name.text) == key:
            _check_unused(links, row)
            row.removed = True
    for other in links.names():
        if other.use in (Use.DELAY, Use.FORWARDER) and file_key(_module(other)) == key:
            raise EditRefused(
                f"{_module(other)} is needed by a {other.use}: its code or its callers go there",
                "link the file anew without it, or give it another library with --replace-needed",
            )


def _check_unused(links: Links, row: Descriptor) -> None:
    """Refuse to take away a row whose addresses the code uses: Windows passes over rows without symbols, and our own serve nobody."""
    if row.ours or next(thunks(links.layout, row), None) is None:
        return
    count = sum(1 for _ in thunks(links.layout, row))
    raise EditRefused(
        f"{count} symbols are imported from {row.name.text}; the code calls them through the table that would go",
        "link the file anew without it, or give it another library with --replace-needed",
    )


def _add(links: Links, wishes: Wishes, name: str) -> None:
    library, mark, symbol = name.partition("!")
    _checked(library)
    if links.hybrid:
        raise EditRefused(
            "a library cannot be added to a file with ARM64EC code: its imports have a second table of addresses", "link the file anew"
        )
    if file_key(library) in {file_key(row.name.text) for row in links.imports}:
        return
    if not mark or not symbol or not symbol.isascii() or not symbol.isprintable() or len(symbol) > _LONGEST:
        raise EditRefused(
            f"{library} cannot be added without a symbol: Windows passes over a library from which nothing is imported",
            f"name one that it exports: {library}!function, or {library}!#1 for a number",
        )
    number = symbol.startswith("#") and symbol[1:].isdigit() and int(symbol[1:])
    if symbol.startswith("#") and not (number and number <= 0xFFFF):
        raise EditRefused(f"{symbol} is no ordinal", "ordinals go from #1 to #65535")
    wishes.added.append((library, number or symbol.encode("ascii")))
