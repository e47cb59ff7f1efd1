"""The processes of a Survey: what is known of the program that loads a root, for a package and for an environment."""

import dataclasses
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.libc import evidence_of_libc
from relocator.loading import AddedDirectory, Host, Process, World, directory
from relocator.metadata import distribution_of, normalised
from relocator.model import Binary, ContainerFacts, Format, Hint, Image, Load
from relocator.reading import Reading
from relocator.target import Target

_MODULE_TAG = re.compile(r"[.](?:cp|cpython-)(3[0-9]+)t?-[^/.]*[.](?:so|pyd)$")
_NEAR = 5
"""Lines of a call over which its arguments may be spread: ctypes.CDLL(\\n path,\\n mode=ctypes.RTLD_GLOBAL)."""


class Surroundings(NamedTuple):
    """What the user says about the process and the machine."""

    environment: tuple[tuple[str, str], ...] = ()
    """Environment variables of the process."""
    host: bool = False
    """This machine's own libraries may be looked at, where target and machine are of one kind."""


def own_platform(image: Image) -> Target:
    """Return the platform that an image is made for, at its newest level: what to judge by when no tag says."""
    floors = ((image.arch, ()),)
    if image.format == Format.ELF:
        libc = evidence_of_libc(image).libc or "glibc"
        return Target("", "android" if libc == "bionic" else "linux", libc, floors, local=True)
    return Target("", "macos" if image.format == Format.MACHO else "windows", "", floors, local=True)


def target_of(facts: ContainerFacts, binaries: Sequence[Binary], program: Binary | None) -> Target:
    """Return the platform of an environment: its interpreter's, else the one that most of its modules are made for; undecided without any.

    It is judged with the newest level: what is installed runs here or nowhere.
    """
    images = program.images if program is not None else _majority(binaries)
    if not images:
        return Target("", "")
    target = own_platform(images[0])
    arches = dict.fromkeys(image.arch for image in images)
    python = facts.interpreter
    return dataclasses.replace(
        target,
        tag=_name(target, tuple(arches)),
        floors=tuple((arch, ()) for arch in arches),
        pythons=(python.tag,) if python and python.tag else _python_of(binaries),
        abis=(python.abi,) if python and python.abi else (),
    )


def _python_of(binaries: Sequence[Binary]) -> tuple[str, ...]:
    """Return the Python tag that most modules bear in their file names, where no interpreter is known; () when none bears one."""
    counts = Counter(found[1] for binary in binaries if (found := _MODULE_TAG.search(binary.path)))
    return (f"cp{counts.most_common(1)[0][0]}",) if counts else ()


def _majority(binaries: Sequence[Binary]) -> tuple[Image, ...]:
    """Return an image of the kind that occurs most, libc and all; several architectures only where files have them all."""
    shared = [binary for binary in binaries if binary.images[0].kind != "program"]
    counts = Counter((binary.format, binary.images[0].arch) for binary in shared)
    if not counts:
        return ()
    wanted = counts.most_common(1)[0][0]
    fitting = [binary for binary in shared if (binary.format, binary.images[0].arch) == wanted]
    telling = (binary for binary in fitting if binary.format != Format.ELF or evidence_of_libc(binary.images[0]).libc)
    return next(telling, fitting[0]).images[:1]


def _name(target: Target, arches: tuple[str, ...]) -> str:
    """Return what to call a platform that no tag names."""
    if target.os == "windows":
        return "win32" if arches[0] == "win32" else f"win_{arches[0]}"
    return ".".join(f"{target.os}_{arch}" for arch in arches)


@dataclasses.dataclass(slots=True)
class Python:
    """The processes of an environment: each starts with the interpreter, and goes on with what the root's own package does at import."""

    facts: ContainerFacts
    reading: Reading
    world: World
    surroundings: Surroundings
    host: Host | None
    _related: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    _requires: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def complete(self, process: Process, root: Binary) -> Process:
        """Return the process with what is known of this environment."""
        return dataclasses.replace(
            process,
            environment=self.surroundings.environment,
            added=tuple(self._added(root)),
            loaded=tuple(self._opened_before(root)),
            executable=self.facts.interpreter.path if self.facts.interpreter else "",
            host=self.host,
        )

    def global_scope(self, start: Load | None, loads: Mapping[tuple[str, str], Load]) -> tuple[str, ...]:
        """Return the paths of the global scope: the interpreter's, then those of what Python sources open with RTLD_GLOBAL.

        `loads` are by root and architecture.
        """
        if start is None:
            return ()
        found = dict.fromkeys(start.order)
        for hint in self.reading.hints:
            seen = self._named(hint) if hint.call == "cdll" and self._is_global(hint) else None
            load = loads.get((seen.path, start.arch)) if seen else None
            if load is not None:
                found.update(dict.fromkeys(load.order))
        return tuple(found)

    def _is_global(self, hint: Hint) -> bool:
        return any(
            other.call == "rtld_global" and other.member == hint.member and 0 <= other.line - hint.line < _NEAR
            for other in self.reading.hints
        )

    def _named(self, hint: Hint) -> Binary | None:
        """Return the binary that a call opens, when its argument is a path that is known."""
        seen = self.world.at(hint.argument) if hint.argument and posixpath.isabs(hint.argument) else None
        return seen if isinstance(seen, Binary) else None

    def _added(self, root: Binary) -> Iterator[AddedDirectory]:
        """Yield what the root's distribution, those that it requires, and .pth files add to the DLL search."""
        for hint in self.reading.hints:
            if hint.call == "add_dll_directory" and hint.argument:
                always = hint.member.endswith(".pth")  # run whenever Python starts
                if always or self.reading.sources[hint.member][1] in self.related(root.owner):
                    yield AddedDirectory(hint.argument, hint.member, hint.line)

    def _opened_before(self, root: Binary) -> Iterator[str]:
        """Yield what sources of the root's own distribution open, in folders above the root: those are imported before it is."""
        for hint in self.reading.hints:
            if hint.call == "cdll" and hint.argument:
                path, owner = self.reading.sources[hint.member]
                if owner == root.owner and root.path.startswith(directory(path) + "/"):
                    seen = self._named(hint)
                    if seen is not None and seen.path != root.path:
                        yield seen.path

    def related(self, owner: str) -> frozenset[str]:
        """Return the names of a distribution and of all that it requires, as far as they are installed."""
        if owner not in self._related:
            self._related[owner] = frozenset(self._closure(owner))
        return self._related[owner]

    def _closure(self, owner: str) -> Iterator[str]:
        by_name: dict[str, list[str]] = {}
        for distribution in self.facts.distributions:
            by_name.setdefault(normalised(distribution.name), []).append(distribution.name)
        todo, known = [owner], {owner}
        while todo:
            name = todo.pop()
            yield name
            for required in self._required(name):
                fresh = [other for other in by_name.get(required, ()) if other not in known]
                known.update(fresh)
                todo += fresh

    def _required(self, name: str) -> tuple[str, ...]:
        if name not in self._requires:
            texts = (text for d in self.facts.distributions if d.name == name for text in d.requires)
            self._requires[name] = tuple(distribution_of(text) for text in texts)
        return self._requires[name]
