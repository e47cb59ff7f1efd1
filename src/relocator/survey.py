"""Container and world make a Survey: read every binary once, find the roots, run the loader for each, say what each file is for."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from relocator import roles, tags
from relocator.backends import backend_for, format_of_system
from relocator.containers import Container
from relocator.demands import refused_libraries
from relocator.knowledge import providers
from relocator.libc import evidence_of_libc, libc_of
from relocator.loading import AddedDirectory, Host, Process, Seen, Sources, directory
from relocator.metadata import distribution_of
from relocator.model import FOLDER_OWNER, PYTHON_OWNER, Binary, ContainerFacts, Format, How, Image, Load, Resolution, Survey
from relocator.paint import short_path
from relocator.processes import Python, Surroundings, own_platform, target_of
from relocator.reading import Progress, Reading, hash_of, read_container, read_file
from relocator.repairs import RepairOptions, Sought
from relocator.search_order import is_inside
from relocator.sources import Search, files_asked, host_of, sources_of, wanted
from relocator.target import Promises, Target
from relocator.world import PackageWorld, Reach, host_for

if TYPE_CHECKING:
    from relocator.providing import Provided


def take_surveys(
    container: Container,
    *,
    target: str = "",
    search: Sequence[str] = (),
    progress: Progress | None = None,
    surroundings: Surroundings | None = None,
) -> tuple[Survey, ...]:
    """Read the container once and return one Survey for each operating system and libc that its tags, or `target`, name.

    An environment's own platform is that of its Python, or of most of its modules; there `surroundings` count.
    """
    reading = read_container(container, progress)
    facts = container.facts()
    if facts.kind == "environment":
        around = surroundings or Surroundings()
        return tuple(_environment(facts, reading, goal, tuple(search), around) for goal in tags.targets_of(facts, target))
    return tuple(_package(facts, reading, goal, tuple(search)) for goal in tags.targets_of(facts, target))


def package_survey(facts: ContainerFacts, reading: Reading, target: Target) -> Survey:
    """Return what an audit makes of a package that was read: nothing outside it is looked at."""
    return _package(facts, reading, target, ())


def survey_for_repair(facts: ContainerFacts, reading: Reading, target: Target, options: RepairOptions, sought: Sought) -> Survey:
    """Return the survey of a wheel with the libraries from outside that a repair would take (`loading.Sources` says in which order).

    Raises RepairRefused when what the options ask for cannot be found.
    """
    from relocator.providing import provided_by  # noqa: PLC0415  (start-up time: an audit needs nothing of it)

    target = _with_libc(target, reading.binaries)
    brought = provided_by(options.provided_by, facts, target, sought.search, environment=sought.prefix)
    world = PackageWorld(reading.seen(), dict(facts.links), (), read_file, _is_of_disk, fold_disk=target.os == "windows")
    sources = sources_of(options, sought, reading, target, provided=brought.libraries, files=files_asked(options, world))
    process = _Package(facts, target, world, _added(reading), (), host_of(sought, target), sources, _opened(reading))
    found = _with_world(process, reading, options, brought)
    if refused := refused_libraries(found):
        return _with_world(
            process._replace(sources=dataclasses.replace(sources, doubted=sources.doubted + refused)), reading, options, brought
        )
    return found


def _with_world(process: "_Package", reading: Reading, options: RepairOptions, brought: "Provided") -> Survey:
    binaries = tuple(_with_extension(binary, process.facts) for binary in reading.binaries)
    loads = process.loads(_loaded(binaries, process.target))
    sources = process.sources or Sources()
    search = Search(sources, process.host, process.world, _arches(loads, process.target), process.target)
    chosen = wanted(options, search, reading, loads)
    loads += process.loads(_loaded([one.binary for one in chosen], process.target))
    brought.refuse_unreachable(loads, fold_case=sources.fold_case)
    told = _told(process.facts, reading, process.target, binaries, loads, world=process.world)
    return dataclasses.replace(told, wanted=tuple((one.binary.path, one.via) for one in chosen))


# ---- a package


def _package(facts: ContainerFacts, reading: Reading, target: Target, search: tuple[str, ...]) -> Survey:
    target = _with_libc(target, reading.binaries)
    world = PackageWorld(reading.seen(), dict(facts.links), search, read_file)
    process = _Package(facts, target, world, _added(reading), search, opened=_opened(reading))
    binaries = tuple(_with_extension(binary, facts) for binary in reading.binaries)
    return _told(facts, reading, target, binaries, process.loads(_loaded(binaries, target)), world=world)


class _Package(NamedTuple):
    """The process in which each of a package's roots is loaded."""

    facts: ContainerFacts
    target: Target
    world: PackageWorld
    added: tuple[AddedDirectory, ...]
    search: tuple[str, ...]
    host: Host | None = None
    sources: Sources | None = None
    opened: tuple[tuple[str, str], ...] = ()
    """Folder of a source, and path of a DLL that it opens: what lies below the folder is imported later."""

    def loads(self, roots: Iterable[tuple[Binary, Image]]) -> tuple[Load, ...]:
        return _judged(tuple(self._load(binary, image) for binary, image in roots), self.target, self.facts)

    def _load(self, binary: Binary, image: Image) -> Load:
        process = _process(image, self.target, self.search, self.added)
        if image.format == Format.PE:
            first = (path for folder, path in self.opened if binary.path.startswith(folder + "/") and path != binary.path)
            process = dataclasses.replace(process, loaded=tuple(dict.fromkeys(first)))
        if self.sources is not None:
            process = dataclasses.replace(process, host=self.host, sources=self.sources)
        return backend_for(binary.format).load(binary, image.arch, self.world, process)


def _added(reading: Reading) -> tuple[AddedDirectory, ...]:
    return tuple(AddedDirectory(h.argument, h.member, h.line) for h in reading.hints if h.call == "add_dll_directory" and h.argument)


def _opened(reading: Reading) -> tuple[tuple[str, str], ...]:
    calls = [hint for hint in reading.hints if hint.call == "cdll" and hint.argument and hint.argument.startswith("/")]
    return tuple((directory(reading.sources[hint.member][0]), hint.argument or "") for hint in calls)


def _arches(loads: Sequence[Load], target: Target) -> tuple[str, ...]:
    return target.arches or tuple(dict.fromkeys(load.arch for load in loads))


def _is_of_disk(path: str) -> bool:
    return not is_inside(path)


def _loaded(binaries: Sequence[Binary], target: Target) -> Iterator[tuple[Binary, Image]]:
    """Yield the images that the target's loader may map."""
    wanted = format_of_system(target.os)
    for binary in binaries:
        if wanted is None or binary.format == wanted:
            yield from ((binary, image) for image in binary.images if not target.decided or image.arch in target.arches)


def _process(image: Image, target: Target, search: tuple[str, ...], added: tuple[AddedDirectory, ...] = ()) -> Process:
    promises = backend_for(image.format).promises(target if target.decided else own_platform(image), image.arch)
    return Process(target, promises, added=added, search=search)


def _told(
    facts: ContainerFacts,
    reading: Reading,
    target: Target,
    binaries: Sequence[Binary],
    loads: tuple[Load, ...],
    *,
    world: PackageWorld,
    global_scope: tuple[str, ...] = (),
) -> Survey:
    taken = {path for load in loads for path in load.order} | set(global_scope)
    outside = tuple(dataclasses.replace(b, sha256=hash_of(b.path)) for b in world.outside if b.path in taken)
    return Survey(
        facts,
        target,
        _promises(target, format_of_system(target.os)),
        roles.assign_roles(binaries, loads, reading.hints, {member: owner for member, (_, owner) in reading.sources.items()}) + outside,
        loads,
        tuple(reading.hints),
        tuple(reading.unreadable),
        tuple(sorted(reading.others.items())),
        tuple((binary.path, binary.sha256) for binary in outside),
        global_scope,
    )


def _with_libc(target: Target, binaries: Sequence[Binary]) -> Target:
    """Give a local linux tag the libc that its binaries were made for."""
    if target.os != "linux" or target.libc:
        return target
    elves = [image for binary in binaries if binary.format == Format.ELF for image in binary.images]
    told = next(filter(None, (evidence_of_libc(image).libc for image in elves)), "")
    guessed = (libc_of(image, target) for image in elves)  # libc.so, by whatever C library it is, is not glibc's name
    return dataclasses.replace(target, libc=told or next((libc for libc in guessed if libc != "glibc"), "glibc"))


def _with_extension(binary: Binary, facts: ContainerFacts) -> Binary:
    root = next((d.root for d in facts.distributions if binary.path.startswith(d.root + "/")), facts.root)
    name = roles.extension_name(binary.path.removeprefix(root + "/"), binary.images[0])
    return dataclasses.replace(binary, extension=name) if name else binary


def _promises(target: Target, wanted: Format | None) -> tuple[Promises, ...]:
    if wanted is None:
        return ()
    found = (backend_for(wanted).promises(target, arch) for arch in target.arches)
    return tuple(promise for promise in found if promise is not None)


# ---- an environment


def _environment(facts: ContainerFacts, reading: Reading, target: Target, search: tuple[str, ...], around: Surroundings) -> Survey:
    seen = reading.seen()
    executable = facts.interpreter.path if facts.interpreter else ""
    program = seen.get(executable) or (read_file(executable) if executable else None)
    program = program if isinstance(program, Binary) else None
    own = target_of(facts, reading.binaries, program)
    target = dataclasses.replace(target, pythons=target.pythons or own.pythons, abis=target.abis or own.abis) if target.decided else own
    target = _with_libc(target, reading.binaries)
    host = host_for(target) if around.host else None
    world = PackageWorld(seen, dict(facts.links), search, lambda path: _of_disk(path, facts), _reach(facts, host is not None))
    python = Python(facts, reading, world, around, host)
    binaries = tuple(_with_module(binary, facts) for binary in reading.binaries)

    def loaded(binary: Binary, image: Image) -> Load:
        process = python.complete(_process(image, target, search), binary)
        return _undecided(backend_for(binary.format).load(binary, image.arch, world, process), target)

    starts = [] if program is None or program.path in seen else [loaded(*found) for found in _loaded([program], target)]
    loads = (*starts, *(loaded(*found) for found in _loaded(binaries, target)))
    start = next((load for load in loads if program is not None and load.root == program.path), None)
    alone = {(load.root, load.arch): load for load in loads}
    return _told(facts, reading, target, binaries, loads, world=world, global_scope=python.global_scope(start, alone))


def _of_disk(path: str, facts: ContainerFacts) -> Seen | None:
    """Read a file that no record lists; what lies inside the environment is part of it all the same."""
    inside = path.startswith(facts.root + "/")
    found = read_file(path, FOLDER_OWNER if inside else "")
    return dataclasses.replace(found, member=short_path(path, facts)) if inside and isinstance(found, Binary) else found


def _reach(facts: ContainerFacts, host: bool) -> Reach:
    """Tell what may be looked at: the environment, its interpreter with the libraries that come with it, or this whole machine."""
    inside = tuple(folder + "/" for folder in (facts.root, *facts.sites))
    python = facts.interpreter
    beside = tuple(filter(None, (directory(python.path), f"{python.prefix}/lib") if python and python.path else ()))

    def reach(path: str) -> bool:
        if host or path.startswith(inside):
            return True
        folder, _, name = path.rpartition("/")
        return folder in beside and (path == (python.path if python else "") or name.lower().startswith(_OF_PYTHON))

    return reach


_OF_PYTHON = ("libpython", "libpypy", "python3", "vcruntime140")
"""How the names of the libraries start that an interpreter's installer puts beside it."""


def _with_module(binary: Binary, facts: ContainerFacts) -> Binary:
    """Give an extension module its name; only what lies below a folder of sys.path is one."""
    if binary.owner == PYTHON_OWNER:
        name = roles.extension_name(binary.path.rpartition("/")[2], binary.images[0])
        return dataclasses.replace(binary, extension=name) if name else binary
    folders = [folder for site in facts.sites for folder in (site, f"{directory(site)}/lib-dynload", f"{directory(directory(site))}/DLLs")]
    above = [folder for folder in folders if binary.path.startswith(folder + "/")]
    if not above:
        return binary
    name = roles.extension_name(binary.path.removeprefix(max(above, key=len) + "/"), binary.images[0])
    return dataclasses.replace(binary, extension=name) if name else binary


def _undecided(load: Load, target: Target) -> Load:
    """Say of what the loader did not find that it cannot be decided, where there is no target; otherwise what is absent is missing."""
    if target.decided:
        return load
    return dataclasses.replace(load, resolutions=tuple(_without_target(r) for r in load.resolutions))


def _without_target(resolution: Resolution) -> Resolution:
    return resolution._replace(how=How.UNDECIDED, via="no target to judge by") if resolution.how == How.MISSING else resolution


# ---- what is missing


class _Others(NamedTuple):
    """What tells the distributions that a package needs from its own files."""

    requires: tuple[str, ...]
    roots: tuple[str, ...]
    """Where distributions are installed."""
    own: frozenset[str]
    """The package's own files and folders there."""


def _judged(loads: tuple[Load, ...], target: Target, facts: ContainerFacts) -> tuple[Load, ...]:
    """Turn what the loader did not find into what we expect, or cannot decide."""
    if all(r.how != How.MISSING for load in loads for r in load.resolutions):
        return loads
    requires = tuple(distribution_of(text) for d in facts.distributions for text in d.requires)
    own = frozenset(member.name.partition("/")[0] for member in facts.members)
    others = _Others(requires, tuple(distribution.root for distribution in facts.distributions), own)
    return tuple(dataclasses.replace(load, resolutions=tuple(_expected(r, target, others) for r in load.resolutions)) for load in loads)


def _expected(resolution: Resolution, target: Target, others: _Others) -> Resolution:
    if resolution.how != How.MISSING:
        return resolution
    shippers = [name for name in providers.known_to_ship(resolution.needed.name.rpartition("/")[2]) if name in others.requires]
    if shippers:
        return resolution._replace(how=How.EXPECTED, via=f"known to be shipped by {shippers[0]}, which Requires-Dist names")
    sibling = _sibling(resolution, others) if others.requires else ""
    if sibling:
        return resolution._replace(how=How.EXPECTED, via=f"searched in {sibling}, beside this package; Requires-Dist is not empty")
    return resolution if target.decided else _without_target(resolution)


def _sibling(resolution: Resolution, others: _Others) -> str:
    """Return the folder of another distribution that the search reached for; "" when it stayed inside this one."""
    for root in others.roots:
        for tried in resolution.tried:
            if tried.place.startswith(root + "/"):
                top = tried.place.removeprefix(root + "/").split("/")
                if len(top) > 1 and top[0] not in others.own:
                    return "/".join(top[:-1])
    return ""
