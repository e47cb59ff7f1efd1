"""Which files can meet in one process: what imports bring, which of it is one and the same to the loader, what merely bears one name.

One process may import every module of an environment, in any order, for one architecture. A library of one name is then looked for once:
the loader takes what an earlier import has brought (ELF: by soname; Windows: by base name; macOS: by an install name that starts with
@rpath/, else by path). Files that no import reaches do not count.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from relocator.model import PYTHON_OWNER, Binary, Format, How, Image, Load, Resolution, Role, Survey
from relocator.native import ElfFacts, MachOFacts, PeFacts
from relocator.places import OPTIONAL
from relocator.requires import provides

HASHED = re.compile(r"-[0-9a-f]{8,64}[.]")
"""In the name of a library that a repair tool copied in: a hash of its content."""


MSVC_RUNTIME = re.compile(r"(msvc[rp]|vcruntime|concrt|vcomp|vcamp|vccorlib|atl|mfcm?)\d{2,3}(u|_\w*[^\Wd])?\.dll")
"""Case-folded names of the redistributable DLLs of Visual C++, all versions: msvcr90.dll, msvcp140_2.dll, mfc140u.dll."""


class Brought(NamedTuple):
    """One image of the files that imports bring."""

    binary: Binary
    image: Image
    loads: tuple[Load, ...]
    """The loads of import-reachable roots that bring it."""
    presumed: bool = False
    """Only by an opening that we did not see (see `imported_loads`)."""


def brought(survey: Survey) -> tuple[Brought, ...]:
    """Return every image that the import of some module brings, in the order of their paths; worked out once."""
    if "meeting.brought" not in survey.memo:
        survey.memo["meeting.brought"] = tuple(_brought(survey))
    found: tuple[Brought, ...] = survey.memo["meeting.brought"]
    return found


def _brought(survey: Survey) -> Iterator[Brought]:
    plain = {(load.root, load.arch) for load in _imported(survey)}
    loads: dict[tuple[str, str], list[Load]] = {}
    for load in imported_loads(survey):
        for path in load.order:
            loads.setdefault((path, load.arch), []).append(load)
    for (path, arch), some in sorted(loads.items()):
        binary = survey.binary_at(path)
        image = binary.image(arch) if binary else None
        if binary and image:
            yield Brought(binary, image, tuple(some), not any((load.root, load.arch) in plain for load in some))


def imported_loads(survey: Survey) -> tuple[Load, ...]:
    """Return the loads of what Python itself opens: extension modules, and libraries that it opens by name; worked out once.

    Where Python code opens DLLs or adds their folders in a way that is known only when it runs, the one DLL of a missing name that the
    distribution has is taken to be opened, too.
    """
    if "meeting.loads" not in survey.memo:
        survey.memo["meeting.loads"] = tuple(_with_presumed(survey, list(_imported(survey))))
    found: tuple[Load, ...] = survey.memo["meeting.loads"]
    return found


def _imported(survey: Survey) -> Iterator[Load]:
    within = {path for load in survey.loads for path in load.order[1:]}
    for load in survey.loads:
        root = survey.binary_at(load.root)
        if root and root.role == Role.IMPORTED and (root.extension or load.root not in within):
            yield load


def _with_presumed(survey: Survey, found: list[Load]) -> list[Load]:
    if not any(hint.argument is None and hint.call in ("add_dll_directory", "cdll") for hint in survey.hints):
        return found
    held: dict[tuple[str, str], list[Load]] = {}
    for load in survey.loads:
        if load.loader == "windows":
            held.setdefault((load.arch, load.root.rpartition("/")[2].casefold()), []).append(load)
    seen = {(path, load.arch) for load in found for path in load.order}
    for load in found:  # grows while it is gone through
        for resolution in load.resolutions if load.loader == "windows" else ():
            if resolution.how == How.MISSING:
                named = held.get((resolution.arch, resolution.needed.name.casefold()), [])
                own = [other for other in named if _related(survey, resolution.importer, other.root)]
                if len(own) == 1 and (own[0].root, resolution.arch) not in seen:
                    seen.update((path, resolution.arch) for path in own[0].order)
                    found.append(own[0])
    return found


def _related(survey: Survey, user: str, provider: str) -> bool:
    one, other = survey.binary_at(user), survey.binary_at(provider)
    return one is not None and other is not None and provides(survey, one.owner, other.owner)


def instance(binary: Binary, image: Image) -> str:
    """Return by what the loader knows the file again: two images of one instance are never in a process together."""
    leaf = binary.path.rpartition("/")[2]
    if image.format == Format.PE:
        return leaf.casefold()
    if image.format == Format.MACHO:
        return image.identity if image.identity and image.identity.startswith("@rpath/") else binary.path
    return image.identity if image.identity and not binary.extension else binary.path


def same_content(one: Binary, other: Binary) -> bool:
    """Tell whether two files are builds of the same: equal bytes, build id or UUID, or what a copying tool called by one hash."""
    if one.sha256 and one.sha256 == other.sha256:
        return True
    ids = {_build(one.images[0]), _build(other.images[0])}
    if len(ids) == 1 and None not in ids:
        return True
    leaf = one.path.rpartition("/")[2]
    if leaf == other.path.rpartition("/")[2] and HASHED.search(leaf):
        return True
    return one.size == other.size and one.images == other.images


def _build(image: Image) -> str | None:
    native = image.native
    if isinstance(native, ElfFacts):
        return native.build_id
    return native.uuid if isinstance(native, MachOFacts) else native.debug_id


class User(NamedTuple):
    """A need for a library of a name that several different files bear."""

    binary: Binary
    image: Image
    resolution: Resolution
    load: Load


class Rival(NamedTuple):
    """One of the files that bear the name."""

    binary: Binary
    image: Image
    users: tuple[User, ...]
    """Who finds this one when imported alone; none for a library that Python opens itself."""


class Clash(NamedTuple):
    """A name, and the different files that needs of that name lead to, whatever was loaded first."""

    name: str
    """As the first need writes it."""
    rivals: tuple[Rival, ...]


class Lack(NamedTuple):
    """What a user does not find when another file of the name was loaded first."""

    user: User
    winner: Binary
    symbol: str
    """The first symbol, with its version; or the version alone."""
    number: int


def clashes(survey: Survey, binary_format: Format) -> Iterator[Clash]:
    """Yield each name that leads to files of different content, by architecture and name; files of equal content count once."""
    users: dict[tuple[str, str], dict[str, list[User]]] = {}
    for load in imported_loads(survey):
        for resolution in load.resolutions:
            target, name = resolution.target, resolution.needed.name
            importer = survey.binary_at(resolution.importer)
            image = importer.image(resolution.arch) if importer else None
            if not target or "/" in name or resolution.needed.kind in OPTIONAL:
                continue
            if importer and image and image.format == binary_format:
                paths = users.setdefault((resolution.arch, _folded(name, binary_format)), {})
                paths.setdefault(target, []).append(User(importer, image, resolution, load))
    for one in brought(survey):
        if one.image.format == binary_format and not one.binary.extension and any(load.root == one.binary.path for load in one.loads):
            paths = users.get((one.image.arch, _folded(instance(one.binary, one.image), binary_format)), {})
            if paths:
                paths.setdefault(one.binary.path, [])
    for (arch, _), paths in sorted(users.items()):
        rivals = _different(survey, arch, paths) if len(paths) > 1 else []
        if len(rivals) > 1:
            first = next(user for rival in rivals for user in rival.users)
            yield Clash(first.resolution.needed.name, tuple(rivals))


def _folded(name: str, binary_format: Format) -> str:
    return name.casefold() if binary_format == Format.PE else name


def _different(survey: Survey, arch: str, paths: dict[str, list[User]]) -> list[Rival]:
    """Return the files of different content, the interpreter's own last."""
    found: list[Rival] = []
    for _, path, users in sorted((_is_pythons(survey, path), path, users) for path, users in paths.items()):
        binary = survey.binary_at(path)
        image = binary.image(arch) if binary else None
        if binary and image:
            alike = next((i for i, rival in enumerate(found) if same_content(rival.binary, binary)), None)
            if alike is None:
                found.append(Rival(binary, image, tuple(users)))
            else:
                found[alike] = found[alike]._replace(users=found[alike].users + tuple(users))
    return found


def _is_pythons(survey: Survey, path: str) -> bool:
    binary = survey.binary_at(path)
    return binary is not None and binary.owner == PYTHON_OWNER


def lack(survey: Survey, clash: Clash) -> Lack | None:
    """Return the gravest loss that some order of imports leads to; None when every user finds in each rival all that it asks for."""
    found = [
        one
        for winner in clash.rivals
        for loser in clash.rivals
        if loser is not winner
        for user in _one_each(loser.users)
        if (one := _lacking(survey, user, winner, loser))
    ]
    return max(found, key=lambda one: one.number, default=None)


def _one_each(users: Sequence[User]) -> list[User]:
    return list({user.binary.path: user for user in users}.values())


def _lacking(survey: Survey, user: User, winner: Rival, loser: Rival) -> Lack | None:
    versions = _lacking_versions(user, winner, loser)
    if versions:
        return Lack(user, winner.binary, versions[0], len(versions))
    names, keys, sources = user.image.symbols.references()
    library = user.resolution.needed.name
    asked = {name for name, key in zip(names, keys, strict=True) if sources[key][1] in ("", library)}
    offered = {export.name for export in loser.image.symbols.defines(asked)}
    missing = offered - {export.name for export in winner.image.symbols.defines(offered)}
    for path in user.load.order if missing and user.image.format == Format.ELF else ():
        other = survey.binary_at(path)
        if other and other.path != loser.binary.path:
            missing -= {export.name for image in other.images for export in image.symbols.defines(missing)}
    return Lack(user, winner.binary, min(missing).decode("utf-8", "surrogateescape"), len(missing)) if missing else None


def _lacking_versions(user: User, winner: Rival, loser: Rival) -> list[str]:
    """Return the symbol versions that the loader refuses to go on without: a file without any passes with a warning (elf/dl-version.c)."""
    if not isinstance(winner.image.native, ElfFacts) or not isinstance(loser.image.native, ElfFacts):
        return []
    has, had = winner.image.native.version_definitions, loser.image.native.version_definitions
    library = user.resolution.needed.name
    wanted = [need.version for need in user.image.version_needs if need.library == library and not need.weak]
    return [version for version in wanted if has and version in had and version not in has]


def file_version(image: Image) -> tuple[int, ...]:
    """Return a PE file's version as numbers; () when it names none."""
    text = image.native.file_version if isinstance(image.native, PeFacts) else None
    return tuple(int(part) for part in text.split(".")) if text and re.fullmatch(r"[0-9]+([.][0-9]+)*", text) else ()
