"""What the Linux loaders have in common: a process that maps files breadth first and answers each need with its trail.

A loader of its own (glibc.py, musl.py, bionic.py) says where it looks and in which order, what it makes of a file that it cannot use, and
by which names a mapped file is known afterwards. Nothing here opens a file.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from relocator import search_order
from relocator.errors import InternalError
from relocator.libc import other_libc
from relocator.loading import Host, OtherFile, Process, Seen, Sources, World, normalise
from relocator.model import Binary, Format, How, Image, Load, Needed, Resolution, Tried, Unreadable
from relocator.native import ElfFacts
from relocator.search_order import Place

MOST_PLACES = 200_000
"""Places that one load may try. The largest real package needs a fiftieth of it; lying tables could ask for needs times elements."""

_ENDS = "; the search ends here"
_PYTHON = "opened by Python source"


class Directory(NamedTuple):
    """One directory that a loader searches."""

    prefix: str
    """Normalised and with a slash at the end; one that is not absolute depends on the current directory, where nothing counts as there."""
    via: str
    quiet: bool = False
    """Told only when the file is there."""
    origin: str = ""
    """Folder of the file whose $ORIGIN the directory was said by; "" when it was said in full."""


Step = Directory | Tried
"""A directory to search, or a remark for the trail."""


@dataclass(slots=True, eq=False)
class Mapped:
    """One file in the process."""

    binary: Binary
    image: Image
    facts: ElfFacts
    path: str
    """The path that it was opened by; `binary.path` says which file it is."""
    parent: "Mapped | None"
    """What needed it first; None for what was opened by the program itself."""
    opener: str = ""
    """Who opened it, when no need did."""
    promised: bool = False
    """It is this machine's copy of a library that the target promises."""
    steps: tuple[Step, ...] | None = None
    """Where its needs are searched; found out at its first one."""
    resolutions: list[Resolution] = field(default_factory=list)
    children: list["Mapped"] = field(default_factory=list)


class Verdict(NamedTuple):
    """What a loader makes of what lies at a place."""

    outcome: str
    binary: Binary | None = None
    """Set when it would be mapped."""
    final: bool = False
    """The search does not go on."""


_ABSENT = Verdict("absent")


class Linker(ABC):
    """One process, until one root is loaded. Used once: make it, call `load`."""

    name: ClassVar[str]
    """The value of `Load.loader`."""

    def __init__(self, root: Binary, arch: str, world: World, process: Process) -> None:
        self.root, self.arch, self.world, self.process = root, arch, world, process
        image = image_of(root, arch)
        self.facts = facts_of(image)
        self.alone = image.kind == "program"
        """The root is a program: it has a process for itself, without what Python has loaded."""
        self.main: Mapped | None = None
        """The program, when it is known."""
        self.mapped: list[Mapped] = []
        self.known: dict[str, Mapped | None] = {}
        """What a need of this name is satisfied by without any search; None is the platform's own library."""
        self._files: dict[str, Mapped] = {}
        self._promises: dict[str, str] = {}
        self._places_left = MOST_PLACES

    # ---------------------------------------------------------------- what differs between the loaders

    @abstractmethod
    def steps(self, importer: Mapped) -> Iterator[Step]:
        """Yield where the loader looks before the platform's own directories, in order."""

    @abstractmethod
    def register(self, mapped: Mapped, requested: str) -> None:
        """Note the names by which a file just mapped, or found again, satisfies later needs; `requested` is "" for a path."""

    def paths(self, importer: Mapped, name: str) -> Iterator[str]:
        """Yield the paths that a need with a slash in it may stand for."""
        yield name

    def own(self, name: str) -> str:
        """Return why the loader takes the name for itself before any search; "" when it does not."""
        return ""

    def without_defaults(self, importer: Mapped) -> str:
        """Return why the platform's directories are not searched; "" when they are."""
        return ""

    def foreign(self, facts: ElfFacts) -> Verdict:
        """Judge a readable ELF file that has no image for this architecture."""
        return Verdict("other byte order" if facts.big_endian != self.facts.big_endian else "other architecture", final=True)

    # ---------------------------------------------------------------- the process

    def load(self) -> Load:
        """Map what Python opens first and then the root, each with all that it needs; return the root's part."""
        if not self.alone:
            self.main = self._open_path(self.process.executable, "the program", preload=True)
            for path in self.process.loaded:
                self._open_path(path, _PYTHON)
        root = self._files.get(self.root.path) or self._map(self.root, self.root.path, None)
        if self.alone:
            self.main = root
            self._preload(root)
        self._follow()
        scope = _breadth_first(root)
        order = tuple(mapped.binary.path for mapped in scope)
        resolutions = tuple(resolution for mapped in scope for resolution in mapped.resolutions)
        return Load(self.root.path, self.arch, self.name, order, resolutions)

    def _open_path(self, path: str, opener: str, preload: bool = False) -> Mapped | None:
        """Open a file by absolute path with its whole tree; a file that cannot be mapped is no part of the process.

        One whose own needs are missing stays: whether they are brought by another distribution is not known here.
        """
        seen = self.world.at(normalise(path)) if path else None
        if not isinstance(seen, Binary) or seen.image(self.arch) is None:
            return None
        mapped = self._files.get(seen.path)
        if mapped is None:
            mapped = self._map(seen, normalise(path), None, opener=opener)
            if preload:
                self.main = mapped
                self._preload(mapped)
            self._follow()
        return mapped

    def _preload(self, main: Mapped) -> None:
        """Map what LD_PRELOAD names right after the program; what cannot be found is passed over, as the loaders do."""
        for name in re.split("[: ]+", self.process.variable("LD_PRELOAD").strip(": ")):
            found = self._find(main, name, [])[1] if name else None
            if found is not None:
                found.opener = found.opener or "LD_PRELOAD"
                main.children.append(found)

    def _map(self, binary: Binary, path: str, parent: Mapped | None, requested: str = "", opener: str = "") -> Mapped:
        image = image_of(binary, self.arch)
        mapped = Mapped(binary, image, facts_of(image), path, parent, opener)
        self.mapped.append(mapped)
        self._files[binary.path] = mapped
        self.register(mapped, requested)
        return mapped

    def _follow(self) -> None:
        """Answer the needs of every file not yet asked, in the order of mapping: all three loaders go breadth first."""
        for mapped in self.mapped:  # grows while it is walked
            for position in range(len(mapped.resolutions), len(mapped.image.needed)):
                self._answer(mapped, position, mapped.image.needed[position])

    def _answer(self, importer: Mapped, position: int, needed: Needed) -> None:
        trail: list[Tried] = []
        target = None
        if self.process.sources is None:
            how, found = self._find(importer, needed.name, trail)
        else:
            how, found, target = self._seek(importer, needed.name, trail, self.process.sources)
        if found is not None:
            importer.children.append(found)
            target = found.binary.path
        importer.resolutions.append(
            Resolution(importer.binary.path, position, needed, self.arch, how, target, trail[-1].via, tuple(trail)),
        )

    # ---------------------------------------------------------------- one need

    def _find(self, importer: Mapped, name: str, trail: list[Tried]) -> tuple[How, Mapped | None]:
        if (answer := self._at_hand(name, trail)) is not None:
            return answer
        if "/" in name:
            return self._by_path(importer, name, trail)
        for step in self._steps_of(importer):
            if isinstance(step, Tried):
                trail.append(step)
                continue
            verdict = self._look(step.prefix + name, step.via, trail, quiet=step.quiet)
            if verdict.binary is not None:
                return self._take(verdict.binary, step.prefix + name, name, importer)
            if verdict.final:
                return How.MISSING, None
        return self._last_resorts(importer, name, trail)

    def _at_hand(self, name: str, trail: list[Tried]) -> tuple[How, Mapped | None] | None:
        """Return what the loader takes for the name without any search; None when it has to search."""
        if reason := self.own(name):
            itself = self._itself()
            trail.append(Tried(itself.binary.path if itself else name, reason, "found"))
            return How.PROMISED, itself
        return self._already(self.known[name], name, trail) if name in self.known else None

    def _steps_of(self, importer: Mapped) -> tuple[Step, ...]:
        if importer.steps is None:
            importer.steps = tuple(self.steps(importer))
        return importer.steps

    def _by_path(self, importer: Mapped, name: str, trail: list[Tried]) -> tuple[How, Mapped | None]:
        via = f"path in DT_NEEDED of {importer.binary.member}"
        for path in self.paths(importer, name):
            place = normalise(path) if path.startswith("/") else path
            verdict = self._look(place, via, trail)
            if verdict.binary is not None:
                return self._take(verdict.binary, place, "", importer)
        if not trail:
            trail.append(Tried(name, via, "has a token without a value here"))
        return How.MISSING, None

    def _itself(self) -> Mapped | None:
        """Return this machine's loader where it is also the C library; None when it is not looked at, or not known."""
        path = self.main.facts.interpreter if self.main is not None and self.process.host is not None else None
        seen = self.world.at(path) if path else None
        if not isinstance(seen, Binary) or seen.image(self.arch) is None:
            return None
        mapped = self._files.get(seen.path) or self._map(seen, path or seen.path, None)
        mapped.promised = not seen.owner
        return mapped

    def _already(self, mapped: Mapped | None, name: str, trail: list[Tried]) -> tuple[How, Mapped | None]:
        if mapped is None:
            trail.append(Tried(name, "already loaded", self._promise(name)))
            return How.PROMISED, None
        via = f"already loaded: {mapped.opener}" if mapped.opener else "already loaded"
        trail.append(Tried(mapped.binary.path, via, "found"))
        return self._how(mapped), mapped

    def _look(self, path: str, via: str, trail: list[Tried], quiet: bool = False, ends: str = _ENDS) -> Verdict:
        """Look at one place and write it down; where the file is final, `ends` is added to why."""
        if not path.startswith("/"):
            trail.append(Tried(path, f"{via} (current directory)", "absent"))
            return _ABSENT
        if self._places_left <= 0:
            trail.append(Tried(path, f"gave up: more than {MOST_PLACES} places in one load", "not tried"))
            return Verdict("not tried", final=True)
        self._places_left -= 1
        seen = self.world.at(path)
        if seen is None:
            if not quiet:
                trail.append(Tried(path, via, "absent"))
            return _ABSENT
        verdict = self.judge(seen)
        trail.append(Tried(path, via + ends if verdict.final else via, verdict.outcome))
        return verdict

    def _take(self, binary: Binary, path: str, requested: str, importer: Mapped) -> tuple[How, Mapped]:
        """Map what was found at a path, unless the same file is mapped already."""
        mapped = self._files.get(binary.path)
        if mapped is None:
            mapped = self._map(binary, path, importer, requested)
        else:
            self.register(mapped, requested)
        return self._how(mapped), mapped

    def _last_resorts(self, importer: Mapped, name: str, trail: list[Tried]) -> tuple[How, Mapped | None]:
        """Ask the platform, then look into the directories that the user named."""
        excluded = self.without_defaults(importer)
        host = None if excluded else self.process.host
        promised = not excluded and self.process.promised(name, self.arch)
        for path, via in self._host_places(host, name) if host else ():
            verdict = self._look(path, via, trail, quiet=True)
            if verdict.final:
                return How.MISSING, None
            if verdict.binary is not None:
                _, mapped = self._take(verdict.binary, path, name, importer)
                mapped.promised = promised
                return self._how(mapped), mapped
        if host is not None and (self.process.target.local or not promised):
            trail.append(Tried(name, "this machine's default directories", "absent"))
        else:
            trail.append(Tried(name, "default directories", excluded or self._promise(name)))
            if promised:
                self.known.setdefault(name, None)
                return How.PROMISED, None
        for folder in self.process.search:
            path = normalise(f"{folder}/{name}")
            verdict = self._look(path, f"--search {folder}", trail, ends="")
            if verdict.binary is not None:
                return self._take(verdict.binary, path, name, importer)
        return How.MISSING, None

    # ---------------------------------------------------------------- one need, of a repair

    def _seek(self, importer: Mapped, name: str, trail: list[Tried], sources: Sources) -> tuple[How, Mapped | None, str | None]:
        """Answer a need as a repair looks for it (`search_order`); what cannot be mapped is passed over everywhere."""
        if (answer := self._at_hand(name, trail)) is not None:
            return *answer, None
        excluded = self.without_defaults(importer)
        promised = not excluded and self.process.promised(name, self.arch)
        promise = Tried(name, "default directories", self._promise(name)) if promised else None
        host = self._host_places(self.process.host, name) if self.process.host and not excluded and "/" not in name else ()
        places = (Place(path, via) for path, via in host)
        for step in search_order.steps(sources, name, self._own_places(importer, name), promise=promise, host=places):
            if isinstance(step, search_order.Ending):
                trail.append(step.tried)
                return step.how, None, step.target
            binary = self._fitting(step, trail)
            if binary is not None and (reason := self._kept_out(step.path, binary, sources)):
                trail.append(Tried(step.path, reason, "not taken"))
                return How.EXPECTED, None, None
            if binary is not None:
                return *self._take(binary, step.path, "" if "/" in name else name, importer), None
        if not trail:
            trail.append(Tried(name, excluded or "default directories", "not promised"))
        return How.MISSING, None, None

    def _own_places(self, importer: Mapped, name: str) -> Iterator[Place]:
        """Yield where the loader looks by the binaries' own search paths, or for a name that is a path."""
        if "/" in name:
            via = f"path in DT_NEEDED of {importer.binary.member}"
            for path in self.paths(importer, name):
                absolute = path.startswith("/")
                yield Place(normalise(path) if absolute else path, via, origin="" if name.startswith("/") else importer.path)
            return
        for step in self._steps_of(importer):
            if isinstance(step, Tried):
                yield Place(step.place, step.via, step.outcome)
            else:
                yield Place(step.prefix + name, step.via, "", step.quiet, step.origin)

    def _fitting(self, place: Place, trail: list[Tried]) -> Binary | None:
        """Return the binary at a place if it can be mapped, and write down what was seen."""
        if place.outcome:
            trail.append(Tried(place.path, place.via, place.outcome))
            return None
        return self._look(place.path, place.via, trail, quiet=place.quiet, ends="").binary

    def _kept_out(self, path: str, binary: Binary, sources: Sources) -> str:
        return "" if binary.owner else search_order.exclusion(sources, path, binary.path)

    def _host_places(self, host: Host, name: str) -> Iterator[tuple[str, str]]:
        """Yield where this machine's loader looks by itself, and by which rule."""
        yield from ((path, "ld.so.cache") for path in host.named(name))
        yield from ((f"{folder}/{name}", host.via) for folder in host.directories)

    def _promise(self, name: str) -> str:
        if name not in self._promises:
            self._promises[name] = promise(self.process, name, self.arch)
        return self._promises[name]

    def judge(self, seen: Seen) -> Verdict:
        """Tell what the loader makes of a file that it finds."""
        if isinstance(seen, OtherFile) or seen.format != Format.ELF:
            return Verdict("not an ELF file", final=True)
        if isinstance(seen, Unreadable):
            return Verdict("truncated", final=True)
        if seen.image(self.arch) is None:
            return self.foreign(facts_of(seen.images[0]))
        if self.process.sources is not None and not seen.owner and (other := other_libc(image_of(seen, self.arch), self.name)):
            return Verdict(f"other C library: {other}", final=True)
        return Verdict("found", seen)

    def _how(self, mapped: Mapped) -> How:
        binary = mapped.binary
        if not binary.owner:
            return How.PROMISED if mapped.promised else How.OUTSIDE
        if self.process.sources is not None:  # the root may be a file from outside
            return How.BUNDLED
        return How.BUNDLED if binary.owner == self.root.owner else How.PROVIDED


def promise(process: Process, name: str, arch: str) -> str:
    """Say as an outcome what the target promises of a library: "promised by manylinux_2_17", "not promised"."""
    promises = process.promises
    if promises is None or not process.promised(name, arch):
        return "not promised"
    if not process.target.decided:
        return f"on the list of {promises.platform}"
    names = promises.level(process.target.floor(arch)).names
    return f"promised by {names[0] if names else promises.platform}"


def search(folder: str, via: str, origin: str = "") -> Directory:
    """Return the step that searches a folder as it stands in a path: absolute, relative or empty; `origin` as in `Directory`."""
    if folder.startswith("/"):
        return Directory(normalise(folder).rstrip("/") + "/", via, origin=origin)
    return Directory(f"{folder.rstrip('/') or '.'}/", via)


def image_of(binary: Binary, arch: str) -> Image:
    """Return the image for an architecture that the caller knows to be there."""
    image = binary.image(arch)
    if image is None:
        raise InternalError(f"{binary.path} has no image for {arch}")
    return image


def facts_of(image: Image) -> ElfFacts:
    """Return the ELF facts of an ELF image."""
    if not isinstance(image.native, ElfFacts):
        raise InternalError(f"a {image.format} image was given to a Linux loader")
    return image.native


def _breadth_first(root: Mapped) -> list[Mapped]:
    """Return the root's scope: itself and what its needs lead to, each once, whether mapped for it or before it."""
    scope = [root]
    inside = {id(root)}
    for mapped in scope:  # grows while it is walked
        for child in mapped.children:
            if id(child) not in inside:
                inside.add(id(child))
                scope.append(child)
    return scope
