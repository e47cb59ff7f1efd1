"""Container and world make a Survey: read every binary once, find the roots, run the loader for each, say what each file is for."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from relocator import python_sources, roles, tags
from relocator.backends import backend_for, format_of_system, identify, kind_of
from relocator.buffer import Buffer
from relocator.containers import Container
from relocator.errors import UnreadableBinary
from relocator.files import FileBuffer
from relocator.knowledge import providers
from relocator.libc import evidence_of_libc
from relocator.loading import AddedDirectory, OtherFile, Process, Seen
from relocator.model import (
    Binary,
    ContainerFacts,
    Format,
    Hint,
    How,
    Image,
    Load,
    Resolution,
    Survey,
    Unreadable,
)
from relocator.target import Promises, Target
from relocator.world import PackageWorld

Progress = Callable[[str, int], None]
"""Called with a member's name and its size in bytes after each one that was read."""

OUTSIDE_OWNER = ""
FOLDER_OWNER = "."


@dataclasses.dataclass(slots=True)
class Reading:
    """What one pass over a container's files found; the same for every target."""

    binaries: list[Binary] = dataclasses.field(default_factory=list)
    unreadable: list[Unreadable] = dataclasses.field(default_factory=list)
    other_paths: list[str] = dataclasses.field(default_factory=list)
    hints: list[Hint] = dataclasses.field(default_factory=list)
    others: Counter[str] = dataclasses.field(default_factory=Counter)

    def seen(self) -> dict[str, Seen]:
        """Return everything by installed path."""
        found: dict[str, Seen] = {path: OtherFile(path) for path in self.other_paths}
        found.update((item.path, item) for item in self.unreadable)
        found.update((item.path, item) for item in self.binaries)
        return found


def take_surveys(
    container: Container,
    *,
    target: str = "",
    search: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[Survey, ...]:
    """Read the container once and return one Survey for each operating system and libc that its tags, or `target`, name."""
    reading = _read_all(container, progress)
    facts = container.facts()
    owner = facts.distributions[0].name if facts.distributions else FOLDER_OWNER
    reading.binaries = [dataclasses.replace(binary, owner=owner) for binary in reading.binaries]
    reading.unreadable = [dataclasses.replace(item, owner=owner) for item in reading.unreadable]
    return tuple(_survey(facts, reading, goal, tuple(search)) for goal in tags.targets_of(facts, target))


def read_file(path: str) -> Seen | None:
    """Return what lies at a path of the disk; None when nothing readable does."""
    try:
        with FileBuffer(path) as buffer:
            found = _identified(path, path, buffer, "")
    except OSError:
        return None
    return OtherFile(path) if found is None or isinstance(found, str) else found


def _read_all(container: Container, progress: Progress | None) -> Reading:
    reading = Reading()
    for entry in container.entries(lambda head: identify(head) is not None):
        if entry.data is not None:
            _sort_in(reading, entry.member.name, entry.path, entry.data, entry.member.sha256)
        if progress:
            progress(entry.member.name, entry.member.size)
    return reading


def _sort_in(reading: Reading, member: str, path: str, data: Buffer, sha256: str) -> None:
    if member.endswith((".py", ".pyw")):
        reading.hints.extend(python_sources.hints(member, path, data))
        reading.other_paths.append(path)
        return
    found = _identified(member, path, data, sha256)
    if isinstance(found, Binary):
        reading.binaries.append(found)
    elif isinstance(found, Unreadable):
        reading.unreadable.append(found)
    else:
        reading.other_paths.append(path)
        if found:
            reading.others[found] += 1


def _identified(member: str, path: str, data: Buffer, sha256: str) -> Binary | Unreadable | str | None:
    """Return the binary, the reason why it is none, what else it is ("object file"), or None."""
    head = bytes(data[:64])
    backend = identify(head)
    if backend is None:
        return kind_of(head, member)
    try:
        images = backend.read(data, verify_signatures=True)
    except UnreadableBinary as error:
        return Unreadable(member, path, backend.FORMAT, error.field, error.expected, error.offset)
    if not images:
        return kind_of(head, member) or _unmapped(backend.FORMAT, member)
    return Binary(member, path, images, sha256, len(data))


def _unmapped(binary_format: Format, member: str) -> str:
    """Name what has a binary's magic and that no loader maps."""
    if binary_format == Format.ELF:
        return "object file"
    if binary_format == Format.MACHO:
        return "Java class" if member.endswith(".class") else "Mach-O object or archive"
    return "DOS program or text"


def _survey(facts: ContainerFacts, reading: Reading, target: Target, search: tuple[str, ...]) -> Survey:
    target = _with_libc(target, reading.binaries)
    wanted = format_of_system(target.os)
    world = PackageWorld(reading.seen(), dict(facts.links), search, read_file)
    binaries = tuple(_with_extension(binary, facts) for binary in reading.binaries)
    loads = tuple(
        _judged(load, target, facts)
        for binary in binaries
        if wanted is None or binary.format == wanted
        for load in _loads(binary, world, target, search, reading.hints)
    )
    outside = _used(world.outside, loads)
    return Survey(
        facts,
        target,
        _promises(target, wanted),
        roles.assign_roles(binaries, loads, reading.hints) + outside,
        loads,
        tuple(reading.hints),
        tuple(reading.unreadable),
        tuple(sorted(reading.others.items())),
        tuple((binary.path, binary.sha256) for binary in outside),
    )


def _with_libc(target: Target, binaries: Sequence[Binary]) -> Target:
    """Give a local linux tag the libc that its binaries were made for."""
    if target.os != "linux" or target.libc:
        return target
    elves = [image for binary in binaries if binary.format == Format.ELF for image in binary.images]
    return dataclasses.replace(target, libc=next(filter(None, (evidence_of_libc(image).libc for image in elves)), "glibc"))


def _with_extension(binary: Binary, facts: ContainerFacts) -> Binary:
    root = next((d.root for d in facts.distributions if binary.path.startswith(d.root + "/")), facts.root)
    name = roles.extension_name(binary.path.removeprefix(root + "/"), binary.images[0])
    return dataclasses.replace(binary, extension=name) if name else binary


def _promises(target: Target, wanted: Format | None) -> tuple[Promises, ...]:
    if wanted is None:
        return ()
    found = (backend_for(wanted).promises(target, arch) for arch in target.arches)
    return tuple(promise for promise in found if promise is not None)


def _loads(binary: Binary, world: PackageWorld, target: Target, search: tuple[str, ...], hints: Sequence[Hint]) -> Iterator[Load]:
    backend = backend_for(binary.format)
    for image in binary.images:
        if target.decided and image.arch not in target.arches:
            continue
        process = Process(
            target,
            backend.promises(target if target.decided else own_platform(image), image.arch),
            added=tuple(AddedDirectory(h.argument, h.member, h.line) for h in hints if h.call == "add_dll_directory" and h.argument),
            search=search,
        )
        yield backend.load(binary, image.arch, world, process)


def own_platform(image: Image) -> Target:
    """Return the platform that an image is made for, at its newest level: what to judge by when no tag says."""
    floors = ((image.arch, ()),)
    if image.format == Format.ELF:
        libc = evidence_of_libc(image).libc or "glibc"
        return Target("", "android" if libc == "bionic" else "linux", libc, floors, local=True)
    return Target("", "macos" if image.format == Format.MACHO else "windows", "", floors, local=True)


def _judged(load: Load, target: Target, facts: ContainerFacts) -> Load:
    """Turn what the loader did not find into what we expect, or cannot decide."""
    if all(r.how != How.MISSING for r in load.resolutions):
        return load
    requires = tuple(distribution_of(text) for d in facts.distributions for text in d.requires)
    return dataclasses.replace(load, resolutions=tuple(_expected(r, target, requires, facts) for r in load.resolutions))


def distribution_of(requirement: str) -> str:
    """Return the normalised distribution name of a Requires-Dist value; "" when it makes no sense (PEP 508, PEP 503)."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  only where a library is missing
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def _expected(resolution: Resolution, target: Target, requires: Sequence[str], facts: ContainerFacts) -> Resolution:
    if resolution.how != How.MISSING:
        return resolution
    shippers = [name for name in providers.known_to_ship(resolution.needed.name.rpartition("/")[2]) if name in requires]
    if shippers:
        return resolution._replace(how=How.EXPECTED, via=f"known to be shipped by {shippers[0]}, which Requires-Dist names")
    sibling = _sibling(resolution, facts) if requires else ""
    if sibling:
        return resolution._replace(how=How.EXPECTED, via=f"searched in {sibling}, beside this package; Requires-Dist is not empty")
    if not target.decided:
        return resolution._replace(how=How.UNDECIDED, via="no target to judge by")
    return resolution


def _sibling(resolution: Resolution, facts: ContainerFacts) -> str:
    """Return the folder of another distribution that the search reached for; "" when it stayed inside this one."""
    for distribution in facts.distributions:
        own = {member.name.partition("/")[0] for member in facts.members}
        for tried in resolution.tried:
            if tried.place.startswith(distribution.root + "/"):
                top = tried.place.removeprefix(distribution.root + "/").split("/")
                if len(top) > 1 and top[0] not in own:
                    return "/".join(top[:-1])
    return ""


def _used(outside: Sequence[Binary], loads: Sequence[Load]) -> tuple[Binary, ...]:
    """Return the outside binaries that some load took, hashed."""
    taken = {path for load in loads for path in load.order}
    return tuple(dataclasses.replace(binary, sha256=_hash(binary.path)) for binary in outside if binary.path in taken)


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    with FileBuffer(path) as buffer:
        for start in range(0, len(buffer), 1 << 20):
            digest.update(buffer[start : start + (1 << 20)])
    return digest.hexdigest()
