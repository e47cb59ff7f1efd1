"""What an image must look like after edits, worked out without its bytes: what a rewrite is checked by, and what `repair` plans with.

Only what a loader sees is worked out: where strings and tables lie in the file, free room and signatures are the editors' matter.
"""

import dataclasses
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.model import Format, Image, Needed, NeedKind, SearchPath, VersionNeed
from relocator.native import Dylib, ElfFacts, MachOFacts, Native, PeFacts
from relocator.plans import (
    AddNeeded,
    Edit,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)
from relocator.symbols import Export, Import, References, SymbolTable

_ET_EXEC, _DF_1_PIE, _PF_X = 2, 0x8000000, 1
_READ_WRITE = 6
_SYSTEM32, _OTHER_PLACES = 0x800, 0x100 | 0x200 | 0x400 | 0x1000
"""LOAD_LIBRARY_SEARCH_SYSTEM32, and the values that let more than it be searched."""


def edited(image: Image, edits: Sequence[Edit]) -> Image:
    """Return the image as it must be read once the edits were made; edits for another architecture leave it as it is.

    All edits of one call are independent: each names needs as they are in the file, not as another edit leaves them. What an editor
    refuses is not refused here.
    """
    own = tuple(edit for edit in edits if getattr(edit, "arch", "") in ("", image.arch))
    return _EDITED[image.format](image, _Wanted(own))


def loader_view(image: Image) -> tuple[object, ...]:
    """Return the part of an image that a loader acts on, for comparison: all but symbols, places in the file, room and signatures."""
    return (
        *(image.format, image.arch, image.kind, image.needed, image.search_paths, image.identity),
        *(image.version_needs, image.minimum_os, _without_places(image.native)),
    )


class Change(NamedTuple):
    """One thing that is different, in the loader's words."""

    arch: str
    field: str
    """The specification's name: DT_RUNPATH, LC_ID_DYLIB, import, ..."""
    before: str
    """"" for what was not there."""
    after: str


def changes(before: Sequence[Image], after: Sequence[Image]) -> tuple[Change, ...]:
    """Return what is different between two readings of one file, image by image."""
    found: list[Change] = []
    for old, new in zip(before, after, strict=True):
        was, now = dict(_told(old)), dict(_told(new))
        for field in dict.fromkeys((*was, *now)):
            found += (Change(old.arch, field, *pair) for pair in _pairs(was.get(field, ()), now.get(field, ())))
    return tuple(found)


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what stands at the place of what; what is added or gone alone has "" on the other side."""
    if old == new:
        return
    if len(old) == len(new):
        yield from ((one, other) for one, other in zip(old, new, strict=True) if one != other)
        return
    yield from ((text, "") for text in old if text not in new)
    yield from (("", text) for text in new if text not in old)
    if set(old) == set(new):
        yield ", ".join(old), ", ".join(new)


def _told(image: Image) -> Iterator[tuple[str, tuple[str, ...]]]:
    native = image.native
    match native:
        case ElfFacts():
            yield "PT_INTERP", (native.interpreter,) if native.interpreter is not None else ()
            yield "DT_SONAME", (image.identity,) if image.identity is not None else ()
            yield "DT_NEEDED", tuple(need.name for need in image.needed)
            yield "DT_VERNEED", tuple(dict.fromkeys(need.library for need in image.version_needs))
            yield "DT_RPATH", (native.rpath or "(empty)",) if native.rpath is not None else ()
            yield "DT_RUNPATH", (native.runpath or "(empty)",) if native.runpath is not None else ()
            yield "PT_GNU_STACK", _stack(native)
        case MachOFacts():
            yield "LC_ID_DYLIB", (image.identity,) if image.identity is not None else ()
            for command in dict.fromkeys(dylib.command for dylib in native.dylibs):
                yield command, tuple(dylib.name for dylib in native.dylibs if dylib.command == command)
            yield "LC_RPATH", tuple(path.text for path in image.search_paths)
            yield "LC_CODE_SIGNATURE", (native.signature.kind,) if native.signature else ()
        case PeFacts():
            yield "name of its own", (image.identity,) if image.identity is not None else ()
            yield "import", tuple(need.name for need in image.needed if need.kind != NeedKind.DELAYED)
            yield "delayed import", tuple(need.name for need in image.needed if need.kind == NeedKind.DELAYED)
            yield "forwarder", tuple(f"{name.decode('utf-8', 'surrogateescape')} = {target}" for name, target in native.forwarders)
            yield "bound import", native.bound_imports
            yield "DependentLoadFlags", (hex(native.dependent_load_flags),) if native.dependent_load_flags else ()
            yield "certificate", ("there",) if native.certificate_size else ()


def _stack(native: ElfFacts) -> tuple[str, ...]:
    if native.stack_flags is None:
        return ()
    return ("executable" if native.stack_flags & _PF_X else "not executable",)


def _without_places(native: Native) -> Native:
    match native:
        case ElfFacts():
            return dataclasses.replace(native, segments=(), debug_size=0, symbols_size=0, warnings=())
        case MachOFacts():
            return dataclasses.replace(
                native, signature=None, header_room=0, name_room=0, slice_offset=0, slice_size=0, debug_size=0, warnings=()
            )
        case PeFacts():
            return dataclasses.replace(native, overlay_size=0, header_room=0, debug_size=0, warnings=())


class _Wanted:
    """The edits of one image, sorted by what they are about."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self.renames: dict[str, str] = {}
        self.removed: list[str] = []
        self.added: list[str] = []
        self.paths: SetSearchPaths | None = None
        self.identity: str | None = None
        self.interpreter: str | None = None
        self.executable: bool | None = None
        self.resign = False
        for edit in edits:
            self._take(edit)

    def _take(self, edit: Edit) -> None:
        match edit:
            case SetSearchPaths():
                self.paths = edit
            case ReplaceNeeded(old, new):
                self.renames[old] = new
            case AddNeeded(name):
                self.added.append(name)
            case RemoveNeeded(name):
                self.removed.append(name)
            case SetIdentity(name):
                self.identity = name
            case SetInterpreter(path):
                self.interpreter = path
            case SetExecutableStack(executable):
                self.executable = executable
            case Resign():
                self.resign = True

    def new_name(self, name: str) -> str | None:
        """Return what becomes of a need; None when it goes."""
        return None if name in self.removed else self.renames.get(name, name)

    def symbols(self, image: Image, names: Iterable[str], more: tuple[Import, ...] = ()) -> SymbolTable:
        """Return the image's symbols with the libraries' new names; the very table where nothing changes."""
        renames = {name: self.new_name(name) for name in names}
        changed = tuple((name, new) for name, new in renames.items() if new != name)
        return RenamedSymbols(image.symbols, changed, more) if changed or more else image.symbols


# ---- ELF


def _edited_elf(image: Image, wanted: _Wanted) -> Image:
    native = image.native
    assert isinstance(native, ElfFacts)
    kept = _once([(need.name, wanted.new_name(need.name)) for need in image.needed])
    added = [name for name in dict.fromkeys(wanted.added) if name not in kept]
    identity = image.identity if wanted.identity is None else wanted.identity
    rpath, runpath = _elf_paths(native, wanted.paths)
    facts = dataclasses.replace(
        native,
        interpreter=native.interpreter if wanted.interpreter is None else wanted.interpreter,
        rpath=rpath,
        runpath=runpath,
        stack_flags=_stack_flags(native.stack_flags, wanted.executable),
    )
    program = facts.type == _ET_EXEC or bool(facts.flags_1 & _DF_1_PIE) or (facts.interpreter is not None and identity is None)
    return dataclasses.replace(
        image,
        kind="program" if program else "library",
        native=facts,
        needed=tuple(map(Needed, [*added, *kept])),
        search_paths=(*_split(facts.rpath, "DT_RPATH"), *_split(facts.runpath, "DT_RUNPATH")),
        identity=identity,
        version_needs=tuple(
            VersionNeed(new, need.version, need.weak) for need in image.version_needs if (new := wanted.new_name(need.library)) is not None
        ),
        symbols=wanted.symbols(image, dict.fromkeys(need.library for need in image.version_needs)),
    )


def _once(names: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return the new names of (old, new) that stay: what a rename makes needed twice is needed where it comes first."""
    found: list[str] = []
    renamed: set[str] = set()
    for old, new in names:
        if new is None or (new in found and (old != new or new in renamed)):
            continue
        found.append(new)
        if old != new:
            renamed.add(new)
    return found


def _stack_flags(flags: int | None, executable: bool | None) -> int | None:
    if executable is None:
        return flags
    known = _READ_WRITE if flags is None else flags
    return known | _PF_X if executable else known & ~_PF_X


def _elf_paths(native: ElfFacts, wanted: SetSearchPaths | None) -> tuple[str | None, str | None]:
    """Return DT_RPATH and DT_RUNPATH: where paths are set only one of them remains, since glibc passes over DT_RPATH beside DT_RUNPATH."""
    if wanted is None:
        return native.rpath, native.runpath
    if not wanted.paths:
        return None, None
    joined = ":".join(wanted.paths)
    rpath = wanted.kind == PathKind.RPATH or (wanted.kind == PathKind.KEEP and native.rpath is not None and native.runpath is None)
    return (joined, None) if rpath else (None, joined)


def _split(joined: str | None, kind: str) -> tuple[SearchPath, ...]:
    return tuple(SearchPath(part, kind) for part in joined.split(":")) if joined is not None else ()


# ---- Mach-O


def _edited_macho(image: Image, wanted: _Wanted) -> Image:
    native = image.native
    assert isinstance(native, MachOFacts)
    pairs = [
        (need._replace(name=new), dylib._replace(name=new))
        for need, dylib in zip(image.needed, native.dylibs, strict=True)
        if (new := wanted.new_name(need.name)) is not None
    ]
    present = {need.name for need, _ in pairs}
    pairs += [(Needed(name), Dylib(name, "LC_LOAD_DYLIB", 0, 0)) for name in dict.fromkeys(wanted.added) if name not in present]
    identity = native.identity
    if wanted.identity is not None and identity is not None:
        identity = identity._replace(name=wanted.identity)
    paths = image.search_paths if wanted.paths is None else tuple(SearchPath(path, "LC_RPATH") for path in distinct(wanted.paths.paths))
    return dataclasses.replace(
        image,
        native=dataclasses.replace(native, dylibs=tuple(dylib for _, dylib in pairs), identity=identity),
        needed=tuple(need for need, _ in pairs),
        search_paths=paths,
        identity=identity.name if identity else None,
        symbols=wanted.symbols(image, dict.fromkeys(need.name for need in image.needed)),
    )


def distinct(paths: Iterable[str]) -> list[str]:
    """Return the paths without those that were there before; a slash at the end makes no difference. macOS 15.4 refuses repeated ones."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(path.rstrip("/") or path, path)
    return list(found.values())


# ---- PE


def _edited_pe(image: Image, wanted: _Wanted) -> Image:
    native = image.native
    assert isinstance(native, PeFacts)
    renames = {_file_key(old): new for old, new in wanted.renames.items()}
    gone = {_file_key(name) for name in wanted.removed}
    now = [need._replace(name=renames.get(_file_key(need.name), need.name)) for need in image.needed if _file_key(need.name) not in gone]
    at_start = [need for need in now if need.kind != NeedKind.DELAYED]
    had = {_file_key(need.name) for need in image.needed if need.kind != NeedKind.DELAYED}
    added = [name.partition("!") for name in wanted.added if _file_key(name.partition("!")[0]) not in had]
    widened = bool(added) or any(_file_key(name) in renames and renames[_file_key(name)] != name for name in _at_start(image))
    moved = widened or any(_file_key(name) in gone for name in _at_start(image))
    facts = dataclasses.replace(
        native,
        forwarders=tuple((name, _forwarded(target, renames)) for name, target in native.forwarders),
        bound_imports=() if moved else native.bound_imports,
        dependent_load_flags=_load_flags(native.dependent_load_flags, widened),
        certificate_size=0 if wanted.resign else native.certificate_size,
    )
    spelled = {need.name: None if _file_key(need.name) in gone else renames.get(_file_key(need.name), need.name) for need in image.needed}
    changed = tuple((old, new) for old, new in spelled.items() if old != new)
    more = tuple(_added_import(library, symbol) for library, _, symbol in added)
    forwards = tuple((old, new) for (_, old), (_, new) in zip(native.forwarders, facts.forwarders, strict=True) if old != new)
    return dataclasses.replace(
        image,
        native=facts,
        needed=(*at_start, *(Needed(library) for library, _, _ in added), *(need for need in now if need.kind == NeedKind.DELAYED)),
        identity=image.identity if wanted.identity is None else wanted.identity,
        symbols=RenamedSymbols(image.symbols, changed, more, forwards) if changed or more or forwards else image.symbols,
    )


def _file_key(name: str) -> str:
    """Return what the spellings of one DLL's name have in common: folders and case do not count, ".dll" is the extension by default."""
    leaf = name.replace("\\", "/").rpartition("/")[2].casefold()
    return leaf if "." in leaf else leaf + ".dll"


def _at_start(image: Image) -> list[str]:
    return [need.name for need in image.needed if need.kind != NeedKind.DELAYED]


def _forwarded(target: str, renames: Mapping[str, str]) -> str:
    """Return "module.symbol" with the module's new name, which loses ".dll" unless another dot would then pass for its extension."""
    module, _, symbol = target.rpartition(".")
    new = renames.get(_file_key(module))
    if new is None:
        return target
    stem = new[:-4] if new.lower().endswith(".dll") else new
    return f"{new if '.' in stem else stem}.{symbol}"


def _load_flags(flags: int, widened: bool) -> int:
    """Return DependentLoadFlags: those that let needs be found in System32 alone would hide a library of one's own."""
    return 0 if widened and flags & _SYSTEM32 and not flags & _OTHER_PLACES else flags


def _added_import(library: str, symbol: str) -> Import:
    if symbol.startswith("#") and symbol[1:].isdigit():
        return Import(b"", library, ordinal=int(symbol[1:]))
    return Import(symbol.encode("utf-8", "surrogateescape"), library)


_EDITED: Mapping[Format, Callable[[Image, _Wanted], Image]] = {
    Format.ELF: _edited_elf,
    Format.MACHO: _edited_macho,
    Format.PE: _edited_pe,
}


# ---- symbols


@dataclasses.dataclass(frozen=True, slots=True)
class RenamedSymbols:
    """A symbol table whose libraries bear other names, a `SymbolTable`; the table itself stays as it was read."""

    table: SymbolTable
    renames: tuple[tuple[str, str | None], ...]
    """Old and new name of a library; None for one that is no longer needed: its symbols may come from anywhere, in any version."""
    more: tuple[Import, ...] = ()
    """Imports added at the end (PE)."""
    forwards: tuple[tuple[str, str], ...] = ()
    """Forwarders of a PE file that name a renamed library, as they were and as they are."""

    def imports(self) -> tuple[Import, ...]:
        """Return the table's, each with its library's new name."""
        new = dict(self.renames)
        return (*(self._renamed(entry, new) for entry in self.table.imports()), *self.more)

    def _renamed(self, entry: Import, new: Mapping[str, str | None]) -> Import:
        if entry.library not in new:
            return entry
        name = new[entry.library]
        return entry._replace(library=name) if name is not None else entry._replace(library="", version=b"")

    def references(self) -> References:
        """Return the table's, the sources renamed."""
        found, new = self.table.references(), dict(self.renames)
        sources = [self._source(version, library, new) for version, library in found.sources]
        names, keys = list(found.names), list(found.keys)
        for entry in self.more:
            names.append(entry.name if entry.ordinal is None else b"#%d" % entry.ordinal)
            keys.append(len(sources))
            sources.append((entry.version, entry.library))
        return References(tuple(names), tuple(keys), tuple(sources))

    def _source(self, version: bytes, library: str, new: Mapping[str, str | None]) -> tuple[bytes, str]:
        name = new.get(library, library)
        return (version, name) if name is not None else (b"", "")

    def exports(self) -> tuple[Export, ...]:
        """Return the table's; one that lives in a renamed library says so."""
        return tuple(map(self._export, self.table.exports()))

    def _export(self, entry: Export) -> Export:
        return entry._replace(forward=self._forward(entry.forward)) if entry.forward else entry

    def _forward(self, forward: str) -> str:
        for old, new in (*self.forwards, *self.renames):
            if forward == old or forward.startswith(f"{old}:"):  # Mach-O writes "library" or "library:symbol"
                return forward if new is None else new + forward[len(old) :]
        return forward

    def mentions(self, fragment: bytes) -> bool:
        """Ask the table, and the added imports."""
        return self.table.mentions(fragment) or any(fragment in entry.name for entry in self.more)

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        """Ask the table; names are not changed, so that it can be asked for them."""
        return list(map(self._export, self.table.defines(wanted)))

    def preemptible(self) -> References:
        """Return the table's, the sources renamed: what a program copied out of a library has the library's version."""
        found, new = self.table.preemptible(), dict(self.renames)
        return found._replace(sources=tuple(self._source(version, library, new) for version, library in found.sources))

    def unique(self) -> list[Export]:
        """Ask the table."""
        return self.table.unique()
