"""The Windows loader, as CPython since 3.8 calls it: which file each import of a root gets, and everything that was tried for it.

Microsoft's "Dynamic-link library search order": a module already in the process by base name, API sets, KnownDLLs, and then the directories
that search.py lists, for the whole tree of a root alike. The first file of the name decides: when it is no DLL for this machine, the load
fails with error 193 (ERROR_BAD_EXE_FORMAT), however many good ones lie further on. Exports, versions and side-by-side assemblies are judged
by rules, not here.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from relocator import search_order
from relocator.backends.windows.promises import is_api_set, is_known_dll, is_loaded_with_python, is_python_library
from relocator.backends.windows.search import CPYTHON, Kind, Place, places_of, replaces_flags, standard_places
from relocator.loading import Host, OtherFile, Process, Seen, Sources, World, normalise
from relocator.model import Binary, Format, How, Image, Load, Needed, NeedKind, Resolution, Tried, Unreadable
from relocator.native import PeFacts

_HYBRID = ("amd64", "arm64")
"""Architectures of processes that map an ARM64EC or ARM64X image ("Understanding Arm64EC ABI", "Arm64X PE files")."""

MOST_PLACES = 200_000
"""Places that one load may try. The largest real package needs a fiftieth of it; lying tables could ask for needs times directories."""

_ENDS = "; error 193, the search ends here"
_ANOTHER = "another file of this name: Windows does not say in which order added directories are searched"


@dataclass(slots=True, eq=False)
class _Module:
    """One file in the process."""

    binary: Binary
    image: Image
    places: tuple[Place, ...]
    """Where its needs are searched, and those of what it brings in."""
    reason: str
    """Why it is in the process."""
    resolutions: list[Resolution] = field(default_factory=list)
    children: list["_Module"] = field(default_factory=list)


class _Answer(NamedTuple):
    """What was found out at one place, and how it meets the need (MISSING: the search goes on, unless it ends)."""

    tried: tuple[Tried, ...]
    how: How = How.MISSING
    file: tuple[Binary, Image] | None = None
    ends: bool = False
    target: str | None = None
    """Path of what meets the need and is no file of this world."""


def load(root: Binary, arch: str, world: World, process: Process) -> Load:
    """Return what importing one root (or starting it, for a program) brings in; `order` and `resolutions` are those reachable from it.

    The order is that of mapping: breadth first. Delayed imports are answered last, as if each were called once the root is loaded.
    """
    image = root.image(arch)
    if image is None:
        return Load(root.path, arch, "windows", (root.path,), ())
    reached = _reached(_Session(root, image, arch, world, process).run())
    resolutions = (r for module in reached for r in sorted(module.resolutions, key=lambda r: r.position))
    return Load(root.path, arch, "windows", tuple(module.binary.path for module in reached), tuple(resolutions))


class _Session:
    """One process, until one root is loaded."""

    def __init__(self, root: Binary, image: Image, arch: str, world: World, process: Process) -> None:
        self.root, self.image = root, image
        self.arch, self.world, self.process = arch, world, process
        self.alone = image.kind == "program"
        """The root is a program: it has a process for itself, without what Python has loaded."""
        self.started = False
        """Python runs: what it loads when it starts is in the process."""
        self.program = root.path if self.alone else process.executable
        self.standard = standard_places(process, self.program)
        self.files: dict[str, _Module] = {}
        """By real path."""
        self.names: dict[str, _Module] = {}
        """The loaded-module list, by case-folded base name."""
        self.new: deque[_Module] = deque()
        """Mapped, and their needs not looked at."""
        self.delayed: deque[tuple[_Module, int, Needed]] = deque()
        self.places_left = MOST_PLACES

    def run(self) -> _Module:
        """Open the program and what Python opens first, then the root, then answer the delayed imports of it all."""
        if not self.alone:
            self._open(self.process.executable, "the program")
            self.started = True
            for path in self.process.loaded:
                self._open(path, "opened by Python source")
        root = self.files.get(self.root.path) or self._map(self.root, self.image, self._own_places(self.root), "the root")
        self._follow()
        while self.delayed:
            module, position, needed = self.delayed.popleft()
            self._resolve(module, position, needed, self.standard, self.standard)
            self._follow()
        return root

    def _own_places(self, binary: Binary) -> tuple[Place, ...]:
        """Return where a file's tree is searched when it is opened by its full path; a program's as for any program."""
        if binary.path == self.program:
            return self.standard
        return places_of(binary.path, binary.member, CPYTHON, self.process, self.program)

    def _open(self, path: str, reason: str) -> None:
        """Open a file by full path, with its tree; one that cannot be mapped is no part of the process."""
        seen = self.world.at(path, fold_case=True) if path else None
        image = _fitting(seen, self.arch)
        if isinstance(seen, Binary) and image is not None and seen.path not in self.files:
            self._map(seen, image, self._own_places(seen), reason)
            self._follow()

    def _map(self, binary: Binary, image: Image, places: tuple[Place, ...], reason: str) -> _Module:
        module = self.files[binary.path] = _Module(binary, image, places, reason)
        self.names.setdefault(binary.path.rpartition("/")[2].casefold(), module)
        self.new.append(module)
        return module

    def _follow(self) -> None:
        """Answer the needs of what was mapped and of all that this brings in; keep the delayed ones for later."""
        while self.new:
            module = self.new.popleft()
            places = self._places_for(module)
            for position, needed in enumerate(module.image.needed):
                if needed.kind == NeedKind.DELAYED:
                    self.delayed.append((module, position, needed))
                else:
                    self._resolve(module, position, needed, places, module.places)

    def _places_for(self, module: _Module) -> tuple[Place, ...]:
        """Return where a module's own imports are searched: as its DependentLoadFlags say, or as for all of its tree."""
        flags = module.image.native.dependent_load_flags if isinstance(module.image.native, PeFacts) else 0
        if not replaces_flags(flags):
            return module.places
        own = places_of(module.binary.path, module.binary.member, flags, self.process, self.program)
        return tuple(place._replace(via=f"{place.via} (DependentLoadFlags of {module.binary.member})") for place in own)

    def _resolve(self, module: _Module, position: int, needed: Needed, places: tuple[Place, ...], inherited: tuple[Place, ...]) -> None:
        """Answer one need; what it newly brings in has its own needs searched in the inherited places."""
        tried: list[Tried] = []
        answer = _Answer(())
        sources = self.process.sources
        name = _file_name(needed.name)
        for answer in self._answers(name, places) if sources is None else self._sought(name, places, sources):
            tried += answer.tried
            if answer.how != How.MISSING or answer.ends:
                break
        target = answer.target
        if answer.file is not None:
            binary, image = answer.file
            taken = self.files.get(binary.path) or self._map(binary, image, inherited, f"needed by {module.binary.member}")
            module.children.append(taken)
            target = binary.path
        module.resolutions.append(
            Resolution(module.binary.path, position, needed, self.arch, answer.how, target, tried[-1].via, tuple(tried))
        )

    # ---------------------------------------------------------------- where one name is looked for

    def _sought(self, name: str, places: tuple[Place, ...], sources: Sources) -> Iterator[_Answer]:
        """Yield what a repair finds, place by place (`search_order`); what cannot be mapped ends no search."""
        at_hand = self._in_process(name)
        if at_hand.how != How.PROMISED:
            yield at_hand
        promised = at_hand if at_hand.how == How.PROMISED else self._promised_place(name, places)
        own = () if at_hand.how == How.PROMISED else self._own_places_of(name, places)
        promise = promised.tried[0] if promised is not None else None
        host = self.process.host
        there = (search_order.Place(_joined(folder, name), host.via) for folder in (host.directories if host else ()) if host)
        for step in search_order.steps(sources, name, own, promise=promise, host=there):
            if isinstance(step, search_order.Ending):
                yield _Answer((step.tried,), step.how, ends=True, target=step.target)
            elif step.outcome:
                yield _Answer((Tried(step.path, step.via, step.outcome),))
            else:
                yield self._unless_excluded(self._at(step.path, Place("", step.via, Kind.NAMED)), step.path, sources)

    def _unless_excluded(self, answer: _Answer, path: str, sources: Sources) -> _Answer:
        if answer.file is None or answer.file[0].owner or not (reason := search_order.exclusion(sources, path, answer.file[0].path)):
            return answer
        return _Answer((*answer.tried, Tried(path, reason, "not taken")), How.EXPECTED)

    def _own_places_of(self, name: str, places: tuple[Place, ...]) -> Iterator[search_order.Place]:
        """Yield where Windows looks for files, as far as that is known."""
        if _is_absolute(name):
            path = _joined("", name.lstrip("/")) if name.startswith("/") else name
            yield search_order.Place(path, "import of a full path")
            return
        for place in places:
            if place.folder:
                origin = f"{place.folder}/" if place.kind == Kind.FOLDER else ""
                yield search_order.Place(_joined(place.folder, name), place.via, origin=origin)

    def _promised_place(self, name: str, places: tuple[Place, ...]) -> _Answer | None:
        """Return what Windows or the Python promises in one of the places; None when nothing does."""
        for place in places:
            if (place.kind == Kind.SYSTEM and self._is_system(name)) or (place.kind == Kind.APPLICATION and self._is_beside_python(name)):
                return self._promise(name, place.via)
        return None

    def _answers(self, name: str, places: tuple[Place, ...]) -> Iterator[_Answer]:
        """Yield what the loader finds, place by place, and at last what lies in the directories that the user named."""
        if "/" in name:
            places = tuple(place for place in places if place.folder)
        else:
            yield self._in_process(name)
        if _is_absolute(name):
            yield self._at(_joined("", name.lstrip("/")) if name.startswith("/") else name, Place("", "import of a full path"))
        else:
            for index, place in enumerate(places):
                yield self._in_place(name, place, places[index + 1 :])
        for folder in self.process.search:
            leaf = name.rpartition("/")[2]
            yield self._at(_joined(folder, leaf), Place(folder, f"--search {folder}", Kind.NAMED))

    def _in_process(self, name: str) -> _Answer:
        """Answer by base name alone."""
        key = name.casefold()
        loaded = self.names.get(key)
        if loaded is not None:
            tried = Tried(loaded.binary.path, "already loaded", loaded.reason)
            return _Answer((tried,), self._how(loaded.binary), (loaded.binary, loaded.image))
        if self.process.promised(name, self.arch):
            if is_api_set(key):
                return self._promise(name, "API set")
            if self.started and is_loaded_with_python(key):
                return self._promise(name, "loaded with Python")
            if is_known_dll(key):
                return self._promise(name, "KnownDLLs")
        return _Answer((Tried(name, "loaded modules, KnownDLLs", "absent"),))

    def _promise(self, name: str, via: str) -> _Answer:
        return _Answer((Tried(name, via, "promised by " + (self.process.target.tag or "Windows")),), How.PROMISED)

    def _in_place(self, name: str, place: Place, later: tuple[Place, ...]) -> _Answer:
        if place.kind == Kind.SYSTEM and self.process.host is not None:
            return self._on_host(name, place, self.process.host)
        if place.kind == Kind.SYSTEM:
            return self._promise(name, place.via) if self._is_system(name) else _Answer((Tried(name, place.via, "not promised"),))
        answer = self._at(_joined(place.folder, name), place) if place.folder else _Answer((Tried(name, place.via, "not known"),))
        found = answer.how != How.MISSING or answer.ends
        if place.kind == Kind.APPLICATION and not found and self._is_beside_python(name):
            return self._promise(name, place.via)
        if place.kind == Kind.ADDED and found:
            return answer._replace(tried=(*self._rivals(name, answer, later), *answer.tried))
        return answer

    def _on_host(self, name: str, place: Place, host: Host) -> _Answer:
        """Answer by this machine's System32; what it lacks and Windows promises is there only for a target that a tag names."""
        promised = self._is_system(name)
        for folder in host.directories:
            answer = self._at(_joined(folder, name), place)
            if answer.how != How.MISSING or answer.ends:
                return answer._replace(how=How.PROMISED) if promised and answer.how == How.OUTSIDE else answer
        if promised and not self.process.target.local:
            return self._promise(name, place.via)
        return _Answer((Tried(name, place.via, "absent"),))

    def _is_beside_python(self, name: str) -> bool:
        return not self.alone and self.process.promises is not None and name.casefold() in self.process.promises.always

    def _is_system(self, name: str) -> bool:
        """Tell whether a name is one of Windows's own DLLs, and not one that comes with Python."""
        key = name.casefold()
        of_python = is_python_library(key) or (self.process.promises is not None and key in self.process.promises.always)
        return not of_python and self.process.promised(name, self.arch)

    def _rivals(self, name: str, answer: _Answer, later: tuple[Place, ...]) -> Iterator[Tried]:
        """Yield the files of the same name and other content that lie in further added directories: any of them may be found first."""
        for place in later:
            path = _joined(place.folder, name)
            seen = self.world.at(path, fold_case=True) if place.kind == Kind.ADDED else None
            if seen is not None and not (answer.file and _same_content(answer.file[0], seen)):
                yield Tried(path, place.via, _ANOTHER)

    def _at(self, path: str, place: Place) -> _Answer:
        """Answer by what lies at a path: nothing, a DLL for this machine, or what ends the search; --search goes on in any case."""
        if self.places_left <= 0:
            return _Answer((Tried(path, f"gave up: more than {MOST_PLACES} places in one load", "not tried"),), ends=True)
        self.places_left -= 1
        seen = self.world.at(path, fold_case=True)
        if seen is None:
            return _Answer((Tried(path, place.via, "absent"),))
        image = _fitting(seen, self.arch)
        if isinstance(seen, Binary) and image is not None:
            return _Answer((Tried(path, place.via, "found"),), self._how(seen), (seen, image))
        ends = place.kind != Kind.NAMED
        return _Answer((Tried(path, place.via, _refusal(seen) + (_ENDS if ends else "")),), ends=ends)

    def _how(self, binary: Binary) -> How:
        if not binary.owner:
            return How.OUTSIDE
        if self.process.sources is not None:  # the root may be a file from outside
            return How.BUNDLED
        return How.BUNDLED if binary.owner == self.root.owner else How.PROVIDED


def _reached(root: _Module) -> list[_Module]:
    """Return the root and all that its needs lead to, breadth first."""
    found = {root.binary.path: root}
    queue = deque([root])
    while queue:
        for child in queue.popleft().children:
            if child.binary.path not in found:
                found[child.binary.path] = child
                queue.append(child)
    return list(found.values())


def _file_name(name: str) -> str:
    """Return the file that an import's name stands for: LoadLibrary appends ".dll" where there is no extension; a last dot means none."""
    name = name.replace("\\", "/")
    leaf = name.rpartition("/")[2]
    return name.removesuffix(".") if "." in leaf else name + ".dll"


def _joined(folder: str, name: str) -> str:
    """Return the path of a name below a folder; a name may lead out of it."""
    path = f"{folder.rstrip('/')}/{name}"
    return normalise(path) if path.startswith("/") else path


def _is_absolute(name: str) -> bool:
    return name.startswith("/") or name[1:3] == ":/"


def _fitting(seen: Seen | None, arch: str) -> Image | None:
    """Return the image that a process of an architecture maps, None when there is none."""
    if not isinstance(seen, Binary) or seen.format != Format.PE:
        return None
    image = seen.images[0]
    if image.arch == arch or not isinstance(image.native, PeFacts):
        return seen.image(arch)
    hybrid = image.native.hybrid and image.arch in _HYBRID and arch in _HYBRID
    return image if hybrid or image.native.managed else None


def _same_content(one: Binary, other: Seen) -> bool:
    return one.path == other.path or (isinstance(other, Binary) and bool(one.sha256) and one.sha256 == other.sha256)


def _refusal(seen: Seen) -> str:
    """Say why Windows cannot map what lies at a path."""
    if isinstance(seen, Unreadable):
        return f"unreadable: {seen.field}: {seen.expected}"
    if isinstance(seen, OtherFile) or seen.format != Format.PE:
        return "not a PE file"
    return "other architecture: " + ", ".join(image.arch for image in seen.images)
