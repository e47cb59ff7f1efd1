"""Where Mach-O libraries go in a wheel, and the edits by which dyld finds them there.

Needs become paths from the file that has them (`@loader_path/...`), so that neither search paths nor what is loaded already has a say. What
works as it is written stays. Names grow into the room that the linker left behind the load commands; where that is short, shorter names are
tried, one after the other, and what still does not fit is refused.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.loading import directory
from relocator.model import Binary, Format
from relocator.native import MachOFacts
from relocator.paint import counted
from relocator.plans import Edit, ReplaceNeeded, SetIdentity, SetSearchPaths
from relocator.repair import macos_checks, scripts
from relocator.repair.macos_layout import Layout, Names, in_site, layout_of, names_for
from relocator.repair.macos_paths import Where
from relocator.repair.macos_slices import Outcome, Work, is_renamed, outcomes, some
from relocator.repair.naming import collisions
from relocator.repair.wiring import Edited, Link, Placed, Request, Wired
from relocator.repairs import Refusal


class _File(NamedTuple):
    """A file and what becomes of its slices."""

    binary: Binary
    slices: tuple[Outcome, ...]


class _Plan(NamedTuple):
    """The names of taken files, and what becomes of every file."""

    names: Mapping[str, str]
    work: Work
    files: tuple[_File, ...]


def wire(request: Request) -> Wired:
    """Place what is taken, and say which edits and files make dyld find it."""
    layout = layout_of(request)
    own = [binary for binary in request.survey.binaries if binary.owner and binary.format == Format.MACHO]
    files = [*own, *(item.binary for item in request.taken)]
    moved = {binary.path: f"{layout.wheel}.scripts/{posixpath.basename(binary.path)}" for binary in own if _moves(binary, request, layout)}
    plan = _fitted(request, layout, names_for(request, layout), files, moved)
    placed = [Placed(path, f"{layout.member}/{leaf}") for path, leaf in plan.names.items()]
    placed += [Placed(path, member) for path, member in moved.items()]
    remarks = [*macos_checks.remarks(request, files), *(told for file in plan.files for part in file.slices for told in part.remarks)]
    refusals = [*collisions(request, placed), *macos_checks.refusals(request, files), *_refusals(plan)]
    return Wired(
        tuple(placed),
        tuple(found for file in plan.files for found in _edited(file)),
        tuple(action for one in own if one.path in moved for action in scripts.shim(one, moved[one.path], request.survey.container)),
        tuple(dict.fromkeys(remarks)),
        tuple(dict.fromkeys(refusals)),
    )


def _moves(binary: Binary, request: Request, layout: Layout) -> bool:
    """Tell whether a program must leave `scripts`, from where nobody knows the way to site-packages."""
    program = any(image.kind == "program" for image in binary.images)
    needs = any(link.target and not link.reachable for link in request.links_of(binary.path))
    return program and needs and scripts.is_script(binary) and not binary.path.startswith(layout.root + "/")


def _fitted(request: Request, layout: Layout, names: Names, files: Sequence[Binary], moved: Mapping[str, str]) -> _Plan:
    """Return the taken files' names and what becomes of all files; where names do not fit, what is named gets a shorter one."""
    chosen = dict(names.long)
    while True:
        work = _work(request, layout, chosen, files, moved)
        found = tuple(_File(binary, outcomes(binary, work)) for binary in files)
        cramped = {file.binary.path for file in found if any(part.short for part in file.slices)}
        named = {link.target for path in cramped for link in work.links.get(path, ())}
        shorter = {path: names.short[path] for path in named if chosen.get(path) != names.short.get(path)}
        if not shorter:
            return _Plan(chosen, work, found)
        chosen |= shorter


def _work(request: Request, layout: Layout, names: Mapping[str, str], files: Sequence[Binary], moved: Mapping[str, str]) -> Work:
    places = {path: f"{layout.folder}/{leaf}" for path, leaf in names.items()}
    places |= {path: f"{layout.root}/{member}" for path, member in moved.items()}
    links: dict[str, list[Link]] = {}
    clients: dict[str, list[Link]] = {}
    for link in request.links:
        links.setdefault(link.importer, []).append(link)
        clients.setdefault(link.target, []).append(link)
    lying = {places.get(binary.path, binary.path) for binary in files}
    members = {f"{layout.root}/{found[1]}" for member in request.survey.container.members if (found := in_site(member.name))}
    folders = {folder for path in lying | members for folder in _above(path)}
    taken = {item.binary.path: item for item in request.taken}
    return Work(request, layout, taken, links, clients, places, Where(frozenset(lying), frozenset(folders)))


def _above(path: str) -> Iterator[str]:
    while (path := directory(path)) != "/":
        yield path


# ---- what is handed back


def _edited(file: _File) -> Iterator[Edited]:
    edits = list(dict.fromkeys(_for_all(edit, file) for part in file.slices for edit in part.edits))
    reasons = list(dict.fromkeys(reason for part in file.slices if part.edits for reason in part.reasons))
    if edits:
        yield Edited(file.binary.path, tuple(edits), "; ".join(reasons))


def _for_all(edit: Edit, file: _File) -> Edit:
    """Return an edit without its architecture when all slices get it, so that a plan says things once."""
    match edit:
        case ReplaceNeeded(old, new):
            whole: Edit = ReplaceNeeded(old, new)
            copies: list[Edit] = [ReplaceNeeded(old, new, part.image.arch) for part in file.slices]
        case SetSearchPaths(paths):
            whole, copies = SetSearchPaths(paths), [SetSearchPaths(paths, arch=part.image.arch) for part in file.slices]
        case SetIdentity(name):
            whole, copies = SetIdentity(name), [SetIdentity(name, part.image.arch) for part in file.slices]
        case _:
            return edit
    return whole if all(copy in part.edits for copy, part in zip(copies, file.slices, strict=True)) else edit


def _refusals(plan: _Plan) -> Iterator[Refusal]:
    for file in plan.files:
        for part in file.slices:
            native = part.image.native
            if part.short and isinstance(native, MachOFacts):
                needed, room = counted(native.name_room + part.short, "more byte"), counted(native.name_room, "byte")
                yield Refusal(
                    f"{file.binary.member} ({part.image.arch}): the shortest new names take {needed}; there is room for {room}",
                    "link it again with -Wl,-headerpad_max_install_names",
                )
        yield from _stranded(file.binary, plan.work)


def _stranded(binary: Binary, work: Work) -> Iterator[Refusal]:
    inside = work.layout.root + "/"
    links = [] if work.place(binary.path).startswith(inside) else work.links.get(binary.path, ())
    names = [link.needed.name for link in links if work.place(link.target).startswith(inside) and is_renamed(link, work)]
    if names:
        yield Refusal(
            f"{binary.member} needs {some(names)}, and how to get from there to site-packages differs between installations",
            "put the file into the package, or link it statically",
        )
