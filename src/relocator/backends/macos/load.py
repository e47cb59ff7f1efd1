"""dyld: which file each dylib command of a root gets, and everything that was tried for it.

The model is dyld 4 as published by Apple (github.com/apple-oss-distributions/dyld, dyld/Loader.cpp: getLoader, forEachPath,
forEachResolvedAtPathVar; DyldProcessConfig.cpp: forEachPathVariant; JustInTimeLoader.cpp: loadDependents, matchesPath; DyldAPIs.cpp:
dlopen_from).
Signatures, compatibility versions and duplicate commands are judged by rules, not here: the model says which file dyld would choose.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from relocator import search_order
from relocator.loading import OtherFile, Process, Seen, Sources, World, directory, normalise
from relocator.model import PREFIX, Binary, Format, How, Image, Load, Needed, NeedKind, Resolution, Tried, Unreadable
from relocator.native import MachOFacts
from relocator.search_order import Place

_MODERN_SDK = {"ios": (17, 0), "": (14, 0)}
"""Images built with an older SDK (or that do not say) get fallback directories (MachOFile.cpp, sdkOnOrAfter2022); "" is macOS."""
_FALLBACK_LIBRARIES = ("/usr/local/lib", "/usr/lib")
_FALLBACK_FRAMEWORKS = {"ios": ("/System/Library/Frameworks",), "": ("/Library/Frameworks", "/System/Library/Frameworks")}
_UNKNOWN_PROGRAM = "unknown program"
_CURRENT_DIRECTORY = "depends on the current directory"


class _Loaded(NamedTuple):
    """One image in the process. dyld takes @loader_path from the real path, also when a symbolic link led there (F_GETPATH)."""

    binary: Binary
    image: Image

    @property
    def path(self) -> str:
        return self.binary.path


class _Chain(NamedTuple):
    """An image and what loaded it, innermost first: whose LC_RPATHs are tried (dyld's LoadChain)."""

    link: _Loaded
    above: "_Chain | None"


def load(root: Binary, arch: str, world: World, process: Process) -> Load:
    """Return what dlopen (or exec, for a program) of one root brings in; `order` and `resolutions` are those reachable from it.

    Images come in the order in which dyld maps them: all libraries of an image, then those of its first library, and so on.
    """
    image = root.image(arch)
    if image is None:
        return Load(root.path, arch, "dyld", (root.path,), ())
    if image.kind == "program":  # it is the process, not something that a running Python opens
        session = _Session(world, process, arch, _platform(image), root.owner, root.path)
        session.bring_in(_Loaded(root, image), None)
        return session.outcome(root.path)
    session = _Session(world, process, arch, _platform(image), root.owner, process.executable)
    start = session.begin()
    for path in process.loaded:
        seen = world.at(path)
        early = seen.image(arch) if isinstance(seen, Binary) and seen.path != root.path else None
        if early is not None and isinstance(seen, Binary):
            session.bring_in(_Loaded(seen, early), start)
    session.bring_in(_Loaded(root, image), start)
    return session.outcome(root.path)


def _platform(image: Image) -> str:
    return image.native.platform if isinstance(image.native, MachOFacts) else ""


@dataclass(slots=True)
class _Session:
    """One process while it loads."""

    world: World
    process: Process
    arch: str
    platform: str
    owner: str
    program: str
    """Path of the program that runs; "" when unknown."""
    loaded: dict[str, _Loaded] = field(default_factory=dict)
    """By real path, in load order."""
    names: dict[str, _Loaded] = field(default_factory=dict)
    """By what a path is compared with: real path and install name (matchesPath); the first image wins."""
    resolutions: dict[str, list[Resolution]] = field(default_factory=dict)

    def begin(self) -> _Chain | None:
        """Load the program, when it is known, and return the chain that dlopen starts from: its caller, then the program."""
        seen = self.world.at(self.program) if self.program else None
        image = seen.image(self.arch) if isinstance(seen, Binary) else None
        if not isinstance(seen, Binary) or image is None:
            return None
        program = _Loaded(seen, image)
        self.bring_in(program, None)
        chain = _Chain(program, None)
        caller = next((item for item in self.loaded.values() if _is_python_library(item.path)), program)
        return _Chain(caller, chain)

    def bring_in(self, first: _Loaded, above: _Chain | None) -> None:
        """Load an image and, with an explicit stack since chains of libraries can be long, everything that it needs."""
        self._add(first)
        stack = [_Chain(first, above)]
        while stack:
            chain = stack.pop()
            if chain.link.path in self.resolutions:
                continue
            found = self.resolutions[chain.link.path] = []
            below: list[_Chain] = []
            for position, needed in enumerate(chain.link.image.needed):
                resolution, taken = self._resolve(chain, position, needed)
                found.append(resolution)
                if taken is not None and needed.kind != NeedKind.LAZY:  # dyld 4 does not look at LC_LAZY_LOAD_DYLIB
                    self._add(taken)
                    below.append(_Chain(taken, chain))
            stack.extend(reversed(below))

    def outcome(self, root: str) -> Load:
        """Return the part of the process that the root reaches."""
        reached = {root}
        todo = [root]
        while todo:
            targets = {r.target for r in self.resolutions.get(todo.pop(), ()) if r.target and r.needed.kind != NeedKind.LAZY}
            todo.extend(targets - reached)
            reached |= targets
        order = (root, *(path for path in self.loaded if path in reached and path != root))
        return Load(root, self.arch, "dyld", order, tuple(r for path in order for r in self.resolutions.get(path, ())))

    def _add(self, item: _Loaded) -> None:
        if item.path not in self.loaded:
            self.loaded[item.path] = item
            self.names.setdefault(item.path, item)
            if item.image.identity is not None and item.image.kind == "library":
                self.names.setdefault(item.image.identity, item)

    def _resolve(self, chain: _Chain, position: int, needed: Needed) -> tuple[Resolution, _Loaded | None]:
        """Return what becomes of one need, and the image that it gets when that is not the system's."""
        if self.process.sources is not None:
            return self._seek(chain, position, needed, self.process.sources)
        tried: list[Tried] = []
        how, taken = How.MISSING, None
        for place in self._places(chain, needed.name):
            outcome, how, taken = self._look(place)
            tried.append(Tried(place.path, place.via, outcome))
            if how != How.MISSING:
                break
        target = taken.path if taken else None
        via = tried[-1].via if tried else "nowhere to look"
        return Resolution(chain.link.path, position, needed, self.arch, how, target, via, tuple(tried)), taken

    def _seek(self, chain: _Chain, position: int, needed: Needed, sources: Sources) -> tuple[Resolution, _Loaded | None]:
        """Answer a need as a repair looks for it (`search_order`)."""
        how, taken, target, tried = self._sought(chain, needed.name, sources)
        via = tried[-1].via if tried else "nowhere to look"
        target = taken.path if taken else target
        return Resolution(chain.link.path, position, needed, self.arch, how, target, via, tuple(tried)), taken

    def _sought(self, chain: _Chain, name: str, sources: Sources) -> tuple[How, _Loaded | None, str | None, list[Tried]]:
        """Return how a need is met, the image, the path of what is no image of this world, and the trail."""
        if name.startswith(("/", "@rpath/")) and (already := self.names.get(name)):
            return self._how(already), already, None, [Tried(name, "already loaded", "already loaded")]
        tried: list[Tried] = []
        named, fallbacks = tuple(self._named_places(chain, name)), tuple(self._fallbacks(chain.link, name))
        promise, last = self._promised(named), self._promised(fallbacks)
        leaf = _framework_part(name) or name.rpartition("/")[2]
        folders = self.process.host.directories if self.process.host else ()
        host = (Place(f"{folder}/{leaf}", self.process.host.via) for folder in folders if self.process.host)
        for step in search_order.steps(sources, name, (*named, *fallbacks), promise=promise, last=last, host=host, leaf=leaf):
            if isinstance(step, search_order.Ending):
                return step.how, None, step.target, [*tried, step.tried]
            outcome, how, taken = self._look(step)
            tried.append(Tried(step.path, step.via, outcome))
            if taken is not None and not taken.binary.owner and (reason := search_order.exclusion(sources, step.path, taken.path)):
                return How.EXPECTED, None, None, [*tried, Tried(step.path, reason, "not taken")]
            if taken is not None:
                return how, taken, None, tried
        return How.MISSING, None, None, tried

    def _promised(self, places: Iterable[Place]) -> Tried | None:
        """Return the first of some places that the target fills."""
        first = next((place for place in places if not place.outcome and self.process.promised(place.path, self.arch)), None)
        return Tried(first.path, first.via, self._promise()) if first else None

    def _promise(self) -> str:
        return "promised by " + (self.process.target.tag or "macOS")

    def _look(self, place: Place) -> tuple[str, How, _Loaded | None]:
        """Return the outcome of one place, how it meets the need (MISSING: go on), and the image."""
        if already := self.names.get(place.path):
            return "already loaded", self._how(already), already
        if place.outcome:
            return place.outcome, How.MISSING, None
        repairing = self.process.sources is not None
        if not repairing and self.process.promised(place.path, self.arch):
            return self._promise(), How.PROMISED, None
        seen = self.world.at(place.path)
        if isinstance(seen, Binary) and seen.path in self.loaded:  # the same file by another name
            return "already loaded", self._how(self.loaded[seen.path]), self.loaded[seen.path]
        image = seen.image(self.arch) if isinstance(seen, Binary) else None
        refusal = _refusal(seen, image, self.platform)
        if seen is None and not repairing and self.process.host is None and not place.path.startswith((PREFIX, *self.process.search)):
            refusal = "not promised"  # what lies on the user's machine is not looked at
        if refusal or image is None or not isinstance(seen, Binary):
            return refusal, How.MISSING, None
        taken = _Loaded(seen, image)
        return "found", self._how(taken), taken

    def _how(self, item: _Loaded) -> How:
        if not item.binary.owner:
            return How.OUTSIDE
        if self.process.sources is not None:  # the root may be a file from outside
            return How.BUNDLED
        return How.BUNDLED if item.binary.owner == self.owner else How.PROVIDED

    def _places(self, chain: _Chain, name: str) -> Iterator[Place]:
        """Yield where dyld looks for a dylib command's name, in order."""
        if name.startswith("/") and name in self.names:  # loadDependents asks for an exact match before DYLD_LIBRARY_PATH counts
            yield Place(name, "already loaded")
        if name.startswith("@rpath/"):
            yield Place(name, "already loaded", "absent")
        yield from self._own_places(chain, name)
        leaf = _framework_part(name) or name.rpartition("/")[2]
        yield from (Place(f"{folder}/{leaf}", f"--search {folder}") for folder in self.process.search)

    def _own_places(self, chain: _Chain, name: str) -> Iterator[Place]:
        """Yield where dyld looks when no image that is loaded already bears the name."""
        yield from self._named_places(chain, name)
        yield from self._fallbacks(chain.link, name)

    def _named_places(self, chain: _Chain, name: str) -> Iterator[Place]:
        """Yield what variables and the name itself say."""
        framework = _framework_part(name)
        variable = "DYLD_FRAMEWORK_PATH" if framework else "DYLD_LIBRARY_PATH"
        yield from _below(self._variable(variable), framework or name.rpartition("/")[2], variable)
        yield from self._expanded(chain, name)

    def _expanded(self, chain: _Chain, name: str) -> Iterator[Place]:
        member = chain.link.binary.member
        if name.startswith("@rpath/"):
            yield from self._rpaths(chain, name.removeprefix("@rpath"))
        elif name.startswith("@"):
            yield self._at(name, chain.link, f"load command of {member}")
        elif name.startswith("/"):
            yield Place(normalise(name), f"load command of {member}")
        else:
            yield Place(name, f"load command of {member}", _CURRENT_DIRECTORY)

    def _rpaths(self, chain: _Chain, tail: str) -> Iterator[Place]:
        """Yield the name below every LC_RPATH of the image and of what loaded it."""
        link: _Chain | None = chain
        while link is not None:
            for search in link.link.image.search_paths:
                yield self._at(search.text + tail, link.link, f"LC_RPATH of {link.link.binary.member}: {search.text}")
            link = link.above
        if not self.program:
            yield Place("@rpath" + tail, "LC_RPATH of the caller of dlopen and of the program", _UNKNOWN_PROGRAM)

    def _at(self, path: str, loader: _Loaded, via: str) -> Place:
        """Expand @loader_path or @executable_path; what is neither and not absolute is left to the current directory."""
        first, _, rest = path.partition("/")
        if first == "@loader_path":
            return Place(normalise(f"{directory(loader.path)}/{rest}"), via, origin=loader.path)
        if first == "@executable_path":
            known = Place(normalise(f"{directory(self.program)}/{rest}"), via, origin=self.program)
            return known if self.program else Place(path, via, _UNKNOWN_PROGRAM)
        if path.startswith("/"):
            return Place(normalise(path), via)
        return Place(path, via, "absent" if path.startswith("@") else _CURRENT_DIRECTORY)

    def _fallbacks(self, loader: _Loaded, name: str) -> Iterator[Place]:
        """Yield the leaf name in DYLD_FALLBACK_*, or for images built with an old SDK in the directories that those got."""
        framework = _framework_part(name)
        leaf = framework or name.rpartition("/")[2]
        variable = "DYLD_FALLBACK_FRAMEWORK_PATH" if framework else "DYLD_FALLBACK_LIBRARY_PATH"
        folders, via = self._variable(variable), variable
        if not folders and isinstance(loader.image.native, MachOFacts):
            system = "ios" if loader.image.native.platform == "ios" else ""
            modern = _MODERN_SDK[system]
            if loader.image.native.sdk < modern:
                folders = _FALLBACK_FRAMEWORKS[system] if framework else _FALLBACK_LIBRARIES
                via = "fallback for SDKs before " + ".".join(map(str, modern))
        yield from (place for place in _below(folders, leaf, via) if place.path != name)

    def _variable(self, name: str) -> tuple[str, ...]:
        return tuple(filter(None, self.process.variable(name).split(":")))


def _below(folders: Iterable[str], leaf: str, via: str) -> Iterator[Place]:
    for folder in folders:
        if folder.startswith("/"):
            yield Place(normalise(f"{folder}/{leaf}"), via)
        else:
            yield Place(f"{folder}/{leaf}", via, _CURRENT_DIRECTORY)


def _framework_part(name: str) -> str:
    """Return "X.framework/.../X" of a framework's path, "" for any other (getFrameworkPartialPath)."""
    before, dot, inside = name.rpartition(".framework/")
    framework = before.rpartition("/")[2]
    return f"{framework}.framework/{inside}" if dot and inside.rpartition("/")[2] == framework else ""


def _is_python_library(path: str) -> bool:
    """Tell whether an image is the Python library, whose code then calls dlopen, by its usual names."""
    leaf = path.rpartition("/")[2]
    return leaf == "Python" or leaf.startswith(("libpython", "libpypy"))


def _refusal(seen: Seen | None, image: Image | None, platform: str) -> str:
    """Say why dyld cannot take what lies at a path and goes on; "" when it can."""
    if seen is None:
        return "absent"
    if isinstance(seen, Unreadable):
        return f"unreadable: {seen.field}: {seen.expected}"
    if isinstance(seen, OtherFile) or seen.format != Format.MACHO:
        return "not a Mach-O file"
    if image is None:
        return "other architecture: " + ", ".join(image.arch for image in seen.images)
    if image.kind != "library":
        return f"a {image.kind}, not a dylib"
    if platform and _platform(image) not in ("", platform):
        return f"other platform: {_platform(image)}"
    return ""
