"""What a repair of a Windows wheel decides by: which files are opened by themselves, what each brings, and where it all lies afterwards."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from relocator.backends.windows.search import searches_added, searches_beside
from relocator.loading import directory
from relocator.model import Binary, Format, NeedKind, Role
from relocator.native import PeFacts
from relocator.repair import msvc_runtimes
from relocator.repair.naming import base_name, hashed_name
from relocator.repair.package_sources import Source, modules_of, run_before
from relocator.repair.wiring import Link, Request, Taken


class Root(NamedTuple):
    """A file of the wheel that Python or Windows opens, and all that it brings."""

    binary: Binary
    source: Source | None
    """What runs before it."""
    links: tuple[Link, ...]

    @property
    def folder(self) -> str:
        """Where it lies."""
        return directory(self.binary.path)

    @property
    def is_program(self) -> bool:
        """Windows starts it, without Python."""
        return self.binary.images[0].kind == "program"

    @property
    def is_alone(self) -> bool:
        """All that it brings has to lie beside it."""
        return self.source is None or self.is_program


@dataclass(frozen=True, slots=True)
class Work:
    """What every answer depends on."""

    request: Request
    site: str
    members: Mapping[str, str]
    """Of site-packages, by installed path."""
    paths: Mapping[str, str]
    """The same the other way round."""
    taken: Mapping[str, Taken]
    """By path now."""
    leaves: Mapping[str, str]
    """File names of what is taken, by its path now."""
    links: Mapping[str, tuple[Link, ...]]
    """By importer."""
    roots: list[Root] = field(default_factory=list)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """In which folders a taken file goes, by its path now."""


def work_of(request: Request) -> Work:
    """Return what follows from a request alone."""
    links: dict[str, list[Link]] = {}
    for link in request.links:
        links.setdefault(link.importer, []).append(link)
    members = modules_of(request.survey)
    work = Work(
        request,
        request.survey.container.distributions[0].root,
        members,
        {member: path for path, member in members.items()},
        {taken.binary.path: taken for taken in request.taken},
        dict(_leaves(request)),
        {path: tuple(some) for path, some in links.items()},
    )
    work.roots.extend(_roots(work))
    work.folders.update(_folders(work))
    return work


def _leaves(request: Request) -> Iterator[tuple[str, str]]:
    """Yield path and new file name of what is taken; untouched files keep theirs, and so does what they ask for."""
    untouched = [taken.binary.path for taken in request.taken if is_untouched(taken.binary, request)]
    kept = {*untouched, *(link.target for path in untouched for link in request.links_of(path))}
    for taken in request.taken:
        path, name = taken.binary.path, base_name(taken.binary)
        yield path, hashed_name(name, taken.digest, Format.PE) if taken.renamed and path not in kept else name


def is_untouched(binary: Binary, request: Request) -> bool:
    """Tell whether a file from outside stays as it is, name and bytes."""
    return not binary.owner and request.options.unmodified_runtimes and msvc_runtimes.is_runtime(binary)


# ---- roots


def _roots(work: Work) -> Iterator[Root]:
    """Yield what is opened by itself: modules, programs, and DLLs that nothing else in the wheel brings."""
    survey, options = work.request.survey, work.request.options
    needed = {link.target for link in work.request.links}
    for binary in survey.binaries:
        opened = binary.extension or binary.images[0].kind == "program" or binary.path not in needed
        if binary.owner and binary.format == Format.PE and opened and (binary.role == Role.IMPORTED or options.analyze_existing):
            source = run_before(binary, survey, work.members, options.namespace_packages)
            yield Root(binary, source, tuple(_tree(work, binary.path, lambda _: True)))


def _tree(work: Work, path: str, follows: Callable[[Link], bool]) -> Iterator[Link]:
    """Yield the met needs of a file and of all that it brings, as far as they are followed."""
    todo, known = [path], {path}
    for importer in todo:  # grows while it is walked
        for link in work.links.get(importer, ()):
            if link.target and follows(link):
                yield link
                todo += [link.target] if link.target not in known else []
                known.add(link.target)


def mapped_with(root: Root, work: Work) -> frozenset[str]:
    """Return the paths of what is in the process once a root is opened."""
    return frozenset(link.target for link in _tree(work, root.binary.path, lambda link: is_searched(link, root, work)))


def is_searched(link: Link, root: Root, work: Work) -> bool:
    """Tell whether Windows looks for a need where it lies, once it was told of that folder: not for delayed ones, nor against flags."""
    if link.needed.kind == NeedKind.DELAYED:
        return False
    flags = flags_of(link.importer, work)
    beside = place_of(link.importer, root, work) == place_of(link.target, root, work)
    return searches_added(flags) or (beside and searches_beside(flags))


def flags_of(path: str, work: Work) -> int:
    """Return a file's DependentLoadFlags in the finished wheel: none where a need of it is renamed (`plans.ReplaceNeeded`)."""
    binary = binary_of(path, work)
    native = binary.images[0].native if binary else None
    renamed = any(new_name(link, work) and link.needed.kind != NeedKind.DELAYED for link in work.links.get(path, ()))
    return native.dependent_load_flags if isinstance(native, PeFacts) and not renamed else 0


def binary_of(path: str, work: Work) -> Binary | None:
    """Return the file that lies at a path now, of the wheel or taken."""
    return work.taken[path].binary if path in work.taken else work.request.survey.binary_at(path)


# ---- places


def _folders(work: Work) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield where each taken file goes: beside what has no other place to look in, else to the folder of them all.

    A folder of site-packages serves packages, too; programs in different folders need a copy each.
    """
    wanted = {path for taken in work.request.taken if taken.wanted for path in _brought_by(taken.binary.path, work)}
    for taken in work.request.taken:
        path = taken.binary.path
        users = [root for root in work.roots if any(link.target == path for link in root.links) or (path in wanted and not root.is_program)]
        beside = sorted({root.folder for root in users if root.is_alone})
        shared = any(in_site(folder, work) for folder in beside)
        in_package = any(not root.is_alone for root in users)
        yield path, (*beside, *([own_folder(work)] if not beside or (in_package and not shared) else []))


def _brought_by(path: str, work: Work) -> Iterator[str]:
    yield path
    yield from (link.target for link in _tree(work, path, lambda _: True))


def in_site(folder: str, work: Work) -> bool:
    """Tell whether a folder is site-packages or lies in it."""
    return folder == work.site or folder.startswith(work.site + "/")


def own_folder(work: Work) -> str:
    """Return the folder of what is taken, beside all packages."""
    name = work.request.wheel_name
    return f"{work.site}/{name}{work.request.options.lib_sdir or '.libs'}"


def members_of(path: str, work: Work) -> list[str]:
    """Return what a taken file is to be in the wheel, once for each of its folders."""
    prefixes = {root.folder: directory("/" + root.binary.member)[1:] for root in reversed(work.roots)}
    prefixes[own_folder(work)] = own_folder(work).removeprefix(work.site + "/")
    return [posixpath.join(prefixes[place], work.leaves[path]) for place in work.folders[path]]


def place_of(path: str, root: Root, work: Work) -> str:
    """Return the folder in which a root finds a file."""
    if path not in work.folders:
        return directory(path)
    places = work.folders[path]
    return root.folder if root.folder in places else next((place for place in places if in_site(place, work)), places[0])


def file_of(path: str, root: Root, work: Work) -> str:
    """Return the path at which a root finds a file, in the finished wheel."""
    return f"{place_of(path, root, work)}/{work.leaves.get(path, posixpath.basename(path))}"


# ---- names


def new_name(link: Link, work: Work) -> str:
    """Return the name by which a need is to ask for what meets it; "" when it stays."""
    leaf = work.leaves.get(link.target, "")
    importer = binary_of(link.importer, work)
    if not leaf or (importer and is_untouched(importer, work.request)):
        return ""
    name = leaf if "." in leaf else leaf + "."  # LoadLibrary takes a name without a dot for one of a .dll
    return name if name.casefold() != file_key(link.needed.name) else ""


def file_key(name: str) -> str:
    """Return what the spellings of one need have in common."""
    name = name.replace("\\", "/").casefold()
    return name if "." in name.rpartition("/")[2] else name + ".dll"
