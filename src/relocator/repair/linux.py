"""Where ELF libraries go in a wheel, and the edits by which glibc, musl and bionic find them there.

What is vendored lies in one folder, under a name that has its digest in it, so that no other package's copy is taken for it. Search paths
are written as DT_RPATH, which comes before LD_LIBRARY_PATH; bionic reads DT_RUNPATH alone (bionic/linker/linker.cpp, since API level 24).
"""

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from relocator.libc import libc_of
from relocator.loading import directory
from relocator.model import PREFIX, Binary, Format, How, Image, Resolution, Role, Survey
from relocator.native import ElfFacts
from relocator.places import dependent
from relocator.plans import Edit, PathKind, RemoveNeeded, ReplaceNeeded, SetIdentity, SetSearchPaths
from relocator.repair.naming import collisions, hashed_name
from relocator.repair.scripts import is_script, shim
from relocator.repair.wiring import Edited, Link, Placed, Request, Taken, Wired
from relocator.repairs import Action, Refusal
from relocator.rules import overridable_search_path, redundant_search_path
from relocator.search_order import ELSEWHERE, INTERPRETER
from relocator.search_paths import Element, Leads, elements, in_use

_RUNPATH_FROM = 24
"""The first Android API level whose loader reads DT_RUNPATH."""


class _Place(NamedTuple):
    """Where a file lies in the finished wheel."""

    path: str
    leaf: str


class _Step(NamedTuple):
    """One element of a search path in the finished wheel."""

    folder: str
    """Where it leads."""
    text: str


class _Mended(NamedTuple):
    """What the notes of an audit ask for, by (path, arch); empty unless they are to be mended too."""

    unused: Mapping[tuple[str, str], frozenset[str]]
    """Elements of search paths that find nothing."""
    overridable: frozenset[tuple[str, str]]
    """Files whose DT_RUNPATH is to be a DT_RPATH."""
    helped: Mapping[tuple[str, str, str], str]
    """(path, arch, need) -> the file that meets the need only in company."""


class _Work(NamedTuple):
    """What every edit is decided by."""

    request: Request
    places: Mapping[str, _Place]
    """Of taken files and of those that move, by their path now."""
    mended: _Mended

    def folder(self, path: str) -> str:
        """Return the folder in which a file lies in the finished wheel."""
        return directory(self.places[path].path if path in self.places else path)


def wire(request: Request) -> Wired:
    """Place what is taken, and say which edits and files make the loader find it."""
    facts = request.survey.container
    wheel_name = request.wheel_name
    root = facts.distributions[0].root
    folder = wheel_name + (request.options.lib_sdir or ".libs")
    places = {taken.binary.path: _vendored(taken, request, f"{root}/{folder}") for taken in request.taken}
    moved = dict(_moved(request, root, f"{wheel_name}.scripts"))
    places |= {path: _Place(f"{root}/{member}", posixpath.basename(member)) for path, member in moved.items()}
    work = _Work(request, places, _notes(request))
    own = [binary for binary in request.survey.binaries if binary.owner and binary.format == Format.ELF]
    taken = [item.binary for item in request.taken]
    edited = [found for binary in (*own, *taken) for found in _edited(binary, work)]
    placed = [Placed(item.binary.path, f"{folder}/{places[item.binary.path].leaf}") for item in request.taken]
    placed += [Placed(path, member) for path, member in moved.items()]
    return Wired(
        tuple(placed),
        tuple(edited),
        tuple(_shims(request, moved)),
        tuple(_remarks(work)),
        (*collisions(request, placed), *_unplaceable(request, root, moved), *_too_old(request)),
    )


# ---- places


def _vendored(taken: Taken, request: Request, folder: str) -> _Place:
    """Return where a taken library goes: under the name that needs ask for, its soname."""
    identity = taken.binary.images[0].identity
    asked = next((link.needed.name for link in request.links if link.target == taken.binary.path), taken.binary.path)
    leaf = posixpath.basename(identity or asked)
    leaf = hashed_name(leaf, taken.digest, Format.ELF) if taken.renamed else leaf
    return _Place(f"{folder}/{leaf}", leaf)


def _moved(request: Request, root: str, folder: str) -> Iterator[tuple[str, str]]:
    """Yield the programs in `scripts` that need files of the wheel: the way from there to site-packages differs between installations."""
    for binary in request.survey.binaries:
        if binary.owner and is_script(binary) and _needs_paths(binary, request, root):
            yield binary.path, f"{folder}/{posixpath.basename(binary.path)}"


def _needs_paths(binary: Binary, request: Request, root: str) -> bool:
    outside = not binary.path.startswith(root + "/")
    return outside and any(link.target and not link.reachable for link in request.links_of(binary.path))


def _shims(request: Request, moved: Mapping[str, str]) -> Iterator[Action]:
    for path, member in moved.items():
        binary = request.survey.binary_at(path)
        assert binary is not None
        yield from shim(binary, member, request.survey.container)


# ---- edits


def _edited(binary: Binary, work: _Work) -> Iterator[Edited]:
    """Yield the edits of one file; a wheel's ELF files have one image each."""
    image = binary.images[0]
    if not isinstance(image.native, ElfFacts) or not image.native.dynamic:
        return
    links = work.request.links_of(binary.path)
    vendored = not binary.owner
    edits: list[Edit] = [*_renamed(links, work), *_identity(binary, image, work), *_search_paths(binary, image, links, work)]
    if edits or vendored:
        yield Edited(binary.path, tuple(edits), _reason(binary, links, edits))


def _renamed(links: tuple[Link, ...], work: _Work) -> Iterator[Edit]:
    """Yield the new names of needs, and drop Python's own library, whose symbols the running program has."""
    for link in links:
        leaf = _wanted_name(link, work)
        if link.via == INTERPRETER and work.request.survey.target.os != "android" and _is_library(link.importer, work.request):
            yield RemoveNeeded(link.needed.name)
        elif leaf and leaf != link.needed.name:
            yield ReplaceNeeded(link.needed.name, leaf)


def _wanted_name(link: Link, work: _Work) -> str:
    """Return the name by which a need is to ask for what meets it."""
    if link.target in work.places:
        return work.places[link.target].leaf
    if not link.target:
        return posixpath.basename(link.needed.name) if link.how == How.PROMISED else link.needed.name
    return link.needed.name if link.reachable and not _mismatched(link, work.request) else posixpath.basename(link.target)


def _mismatched(link: Link, request: Request) -> bool:
    """Tell whether a file of the wheel calls itself otherwise than it is asked for in the end (rule identity-mismatch)."""
    target = request.survey.binary_at(link.target) if link.how == How.BUNDLED else None
    identity = target.images[0].identity if target else None
    asked = link.needed.name if link.reachable else link.target
    return bool(identity) and posixpath.basename(identity or "") != posixpath.basename(asked)


def _is_library(path: str, request: Request) -> bool:
    binary = request.survey.binary_at(path)
    return binary is not None and all(image.kind != "program" for image in binary.images)


def _identity(binary: Binary, image: Image, work: _Work) -> Iterator[Edit]:
    """Yield the soname: that of the file, for what is vendored and for what is needed by another name than its own."""
    leaf = posixpath.basename(binary.path)
    if not binary.owner:
        leaf = work.places[binary.path].leaf
    elif not any(link.target == binary.path and _mismatched(link, work.request) for link in work.request.links):
        return
    if image.identity is not None and image.identity != leaf:
        yield SetIdentity(leaf)


def _search_paths(binary: Binary, image: Image, links: tuple[Link, ...], work: _Work) -> Iterator[Edit]:
    here = work.folder(binary.path)
    before = [path.text for path in image.search_paths]
    kept = _kept(binary, image, here, work) if binary.owner else []
    added = [_Step(folder, _origin(here, folder)) for folder in dict.fromkeys(_folders(binary, image, links, work))]
    new = [step for step in added if step.folder not in {known.folder for known in kept}]
    paths = tuple(step.text for step in _ordered([*kept, *new], _hiding(kept, new, links, work)))
    overridable = (binary.path, image.arch) in work.mended.overridable
    if list(paths) == before and not overridable:
        return
    if work.request.survey.target.os == "android":
        yield SetSearchPaths(paths, PathKind.RUNPATH)
    elif set(paths) <= set(before) and binary.owner and not overridable:
        yield SetSearchPaths(paths, PathKind.KEEP)
    else:
        yield SetSearchPaths(paths, PathKind.RPATH)


def _kept(binary: Binary, image: Image, here: str, work: _Work) -> list[_Step]:
    """Return the elements that stay: those that lead into the installation, relative to the file, and are not known to find nothing."""
    unused = work.mended.unused.get((binary.path, image.arch), frozenset())
    musl = libc_of(image, work.request.survey.target) == "musl"
    used = (element for element in in_use(work.request.survey, binary, image) if element.path.text not in unused)
    inside = [element for element in used if _stays_inside(element, musl)]
    if directory(binary.path) != here:
        return [_Step(element.target, _origin(here, element.target)) for element in inside]
    steps = [_Step(element.target, element.path.text) for element in inside]
    return list(dict.fromkeys(steps)) if work.request.options.fix_notes else steps


def _stays_inside(element: Element, musl: bool) -> bool:
    """Tell whether an element leads into the installation; for musl another $ than that of $ORIGIN has the whole list ignored."""
    dropped = musl and "$" in element.target
    return element.path.text.startswith(("$ORIGIN", "${ORIGIN}")) and element.target.startswith(PREFIX + "/") and not dropped


def _hiding(kept: list[_Step], new: list[_Step], links: tuple[Link, ...], work: _Work) -> frozenset[tuple[str, str]]:
    """Return pairs of folders: the first one has another file by the name that is to be found in the second.

    Folders that were searched so far hide nothing from a need that was met.
    """
    all_folders, added = {step.folder for step in (*kept, *new)}, {step.folder for step in new}
    found = set()
    for link in links:
        if link.target:
            leaf, folder = _wanted_name(link, work), work.folder(link.target)
            others = added if link.reachable else all_folders
            found |= {(other, folder) for other in others if other != folder and work.request.survey.binary_at(f"{other}/{leaf}")}
    return frozenset(found)


def _ordered(steps: list[_Step], hiding: frozenset[tuple[str, str]]) -> Iterator[_Step]:
    """Yield the elements in their order, but none before one from which it hides a file, as far as that can be."""
    left = list(steps)
    while left:
        free = (step for step in left if not any((step.folder, other.folder) in hiding for other in left))
        step = next(free, left[0])
        left.remove(step)
        yield step


def _folders(binary: Binary, image: Image, links: tuple[Link, ...], work: _Work) -> Iterator[str]:
    """Yield the folders that a file has to search."""
    for link in links:
        if link.target and not link.reachable:
            yield work.folder(link.target)
        elif helped := work.mended.helped.get((binary.path, link.arch, link.needed.name)):
            yield work.folder(helped)
    if binary.role == Role.IMPORTED and binary.owner:
        wanted = (item.binary for item in work.request.taken if item.wanted and not item.renamed)
        yield from (work.folder(library.path) for library in wanted if library.image(image.arch))


def _origin(here: str, folder: str) -> str:
    relative = posixpath.relpath(folder, here)
    return "$ORIGIN" if relative == "." else f"$ORIGIN/{relative}"


def _reason(binary: Binary, links: tuple[Link, ...], edits: list[Edit]) -> str:
    if not binary.owner:
        return "vendored"
    reasons = []
    vendored = sum(1 for link in links if link.how == How.OUTSIDE and link.target)
    if vendored:
        reasons.append(f"unbundled-library: {vendored} of its needs {'is' if vendored == 1 else 'are'} brought in")
    if any(link.how == How.PROVIDED and not link.reachable for link in links):
        reasons.append("--provided-by: libraries of another distribution are used where they lie")
    if any(isinstance(edit, RemoveNeeded) for edit in edits):
        reasons.append("links-libpython: the running Python has these symbols")
    if any(isinstance(edit, SetIdentity) for edit in edits):
        reasons.append("identity-mismatch: file, soname and needs get one name")
    if not reasons:
        paths = any(isinstance(edit, SetSearchPaths) for edit in edits)
        reasons.append("search paths are to stay inside the wheel" if paths else "needs are to name the files of the wheel")
    return "; ".join(reasons)


# ---- notes


def _notes(request: Request) -> _Mended:
    if not request.options.fix_notes:
        return _Mended({}, frozenset(), {})
    survey = request.survey
    by_member = {binary.member: binary.path for binary in survey.binaries}
    unused: dict[tuple[str, str], set[str]] = {}
    for finding in redundant_search_path.check(_settled(survey)):
        where = finding.primary
        if where.position is not None and where.label != "stands there already":
            unused.setdefault((by_member[where.member], where.arch), set()).add(where.value)
    overridable = {(by_member[f.primary.member], f.primary.arch) for f in overridable_search_path.check(survey)}
    return _Mended({key: frozenset(texts) for key, texts in unused.items()}, frozenset(overridable), dict(_helped(survey)))


def _settled(survey: Survey) -> Survey:
    """Return the survey as if what is brought in had been found at once: where it was looked for in vain, nothing is met afterwards."""

    def met(resolution: Resolution) -> Resolution:
        return resolution._replace(tried=()) if resolution.how == How.OUTSIDE and resolution.target else resolution

    loads = (dataclasses.replace(load, resolutions=tuple(map(met, load.resolutions))) for load in survey.loads)
    return dataclasses.replace(survey, loads=tuple(loads))


def _helped(survey: Survey) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yield the needs that the wheel's loader meets only in company: the search of a repair met them in every load."""
    for d in dependent(survey):
        if d.met.target:
            yield (d.missing.importer, d.missing.arch, d.missing.needed.name), d.met.target
    for load in survey.loads:
        for r in load.resolutions:
            if r.how == How.BUNDLED and r.target and r.via == ELSEWHERE:
                yield (r.importer, r.arch, r.needed.name), r.target


# ---- what cannot be done


def _unplaceable(request: Request, root: str, moved: Mapping[str, str]) -> Iterator[Refusal]:
    for binary in request.survey.binaries:
        if binary.owner and binary.path not in moved and _needs_paths(binary, request, root):
            names = ", ".join(sorted({link.needed.name for link in request.links_of(binary.path) if link.target and not link.reachable}))
            yield Refusal(
                f"{binary.member} needs {names}, and how to get from there to site-packages differs between installations",
                "put the file into the package, or link it statically",
            )


def _too_old(request: Request) -> Iterator[Refusal]:
    target = request.survey.target
    led = any(link.target and not link.reachable for link in request.links)
    for arch, level in target.floors if target.os == "android" and led else ():
        if level and level[0] < _RUNPATH_FROM:
            yield Refusal(
                f"the wheel is for Android's API level {level[0]} on {arch}, whose loader reads no search path",
                f"build for API level {_RUNPATH_FROM} or newer, or link the libraries statically",
            )


def _remarks(work: _Work) -> Iterator[str]:
    wanted = sorted(work.places[item.binary.path].leaf for item in work.request.taken if item.wanted and not item.renamed)
    if wanted:
        yield (
            f"{', '.join(wanted)}: modules of the wheel find it with dlopen; Python code that opens it by ctypes has to name its path, "
            "since the search path of its caller counts there"
        )
    for element in elements(work.request.survey, Leads.ESCAPING):
        yield f"{element.binary.member} keeps {element.path.text}, which leads out of the package"
    yield from _without_filtee(work)


def _without_filtee(work: _Work) -> Iterator[str]:
    """Name the libraries that glibc maps beside a file if it finds them, and that are no needs (elf/dl-deps.c)."""
    survey = work.request.survey
    files = [*(binary for binary in survey.binaries if binary.owner), *(item.binary for item in work.request.taken)]
    names = {work.places[one.path].leaf if one.path in work.places else posixpath.basename(one.path) for one in files}
    for binary in files:
        native = binary.images[0].native
        for name in native.filtees if isinstance(native, ElfFacts) and survey.target.libc == "glibc" else ():
            if ".so" in name and posixpath.basename(name) not in names:  # ld takes -fvisibility=hidden for such a name
                yield f"{binary.member} is a filter of {name} (DT_FILTER, DT_AUXILIARY), which stays outside: `--include` brings it in"
