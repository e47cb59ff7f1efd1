"""What Windows has to be told so that each root finds its DLLs, and which Python source tells it."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from relocator.loading import directory
from relocator.model import How, NeedKind
from relocator.repair.init_patch import PatchRefused, Reach, created, patched, patched_at_marks
from relocator.repair.package_sources import Source, top_packages
from relocator.repair.windows_roots import Root, Work, binary_of, file_of, flags_of, in_site, is_searched, mapped_with, place_of
from relocator.repair.wiring import Link
from relocator.repairs import Action, AddFile, Refusal, RewriteText


@dataclass(slots=True)
class Told:
    """What one source is to tell Windows."""

    folders: dict[str, None] = field(default_factory=dict)
    opened: dict[str, None] = field(default_factory=dict)
    """Paths of the finished wheel."""


def told_of(work: Work) -> tuple[dict[Source, Told], list[Refusal], list[str]]:
    """Return what each source is to tell Windows, and what no source can."""
    told: dict[Source, Told] = {}
    refusals: dict[Refusal, None] = {}
    remarks: dict[str, None] = {}
    unknown = any(hint.argument is None and hint.call in ("add_dll_directory", "cdll") for hint in work.request.survey.hints)
    for root in work.roots:
        for link, opens in _unreached(root, work):
            folder = place_of(link.target, root, work)
            if root.is_alone or not in_site(folder, work):
                refusal = _out_of_reach(root, link, folder, work)
                optional = link.target not in work.leaves and (opens or unknown)
                remarks.update({refusal.message: None} if optional else {})
                refusals.update({} if optional else {refusal: None})
            elif root.source is not None:
                _tell(told, root.source, folder, file_of(link.target, root, work) if opens else "")
    for source, folder in _for_wanted(work):
        _tell(told, source, folder)
    return told, list(refusals), list(remarks)


def _tell(told: dict[Source, Told], source: Source, folder: str, opened: str = "") -> None:
    what = told.setdefault(source, Told())
    what.folders[folder] = None
    if opened:
        what.opened[opened] = None


def _unreached(root: Root, work: Work) -> Iterator[tuple[Link, bool]]:
    """Yield the needs that a root's search will not meet, and whether the file has to be opened for it."""
    mapped = mapped_with(root, work)
    for link in root.links:
        if link.target not in work.leaves and (link.reachable or link.how not in (How.BUNDLED, How.PROVIDED)):
            continue
        folder = place_of(link.target, root, work)
        if root.is_program:
            if folder != root.folder:
                yield link, False
        elif is_searched(link, root, work) or link.target in mapped:
            if folder != root.folder and folder not in _known(root, "add_dll_directory", work):
                yield link, False
        elif file_of(link.target, root, work) not in _known(root, "cdll", work):
            yield link, True


def _known(root: Root, call: str, work: Work) -> set[str]:
    """Return what sources that run before a root name already: those in folders around it, and wherever the user wants the patch."""
    anywhere = work.request.options.custom_patch
    found = set()
    for hint in work.request.survey.hints:
        if hint.call == call and hint.argument:
            path = work.paths.get(hint.member, "")
            if anywhere or hint.member.endswith(".pth") or (path and root.binary.path.startswith(directory(path) + "/")):
                found.add(hint.argument)
    return found


def _for_wanted(work: Work) -> Iterator[tuple[Source, str]]:
    """Yield each package with the folders of what was asked for by name: its own code will ask for it."""
    wanted = [taken.binary.path for taken in work.request.taken if taken.wanted]
    if not wanted:
        return
    options, survey = work.request.options, work.request.survey
    for root in work.roots:
        if root.source is not None and not root.is_program:
            folders = {place_of(path, root, work) for path in wanted} - {root.folder} - _known(root, "add_dll_directory", work)
            yield from ((root.source, folder) for folder in sorted(folders))
    for source in top_packages(survey, work.members, options.namespace_packages):
        here = {hint.argument for hint in survey.hints if hint.call == "add_dll_directory" and hint.member == source.member}
        folders = {place for path in wanted for place in work.folders[path] if in_site(place, work)} - here
        yield from ((source, folder) for folder in sorted(folders))


def _out_of_reach(root: Root, link: Link, folder: str, work: Work) -> Refusal:
    """Say why nothing can make a root find a file, and what its maker can do."""
    name = work.leaves.get(link.target, posixpath.basename(link.target))
    importer = binary_of(link.importer, work)
    needs = f"{importer.member if importer else link.importer} needs {name}"
    if root.is_program:
        return Refusal(f"{needs}, and Windows looks beside {root.binary.member} alone", "put the DLL beside the program")
    if root.source is None and link.needed.kind != NeedKind.DELAYED and not is_searched(link, root, work):
        flags = flags_of(link.importer, work)
        return Refusal(
            f"{needs}, and its DependentLoadFlags ({flags:#x}) keep Windows from looking beside it",
            "link it without /DEPENDENTLOADFLAG, or put the module into a package",
        )
    if root.source is None and link.needed.kind == NeedKind.DELAYED:
        return Refusal(
            f"{needs} on first use (delay import), and {root.binary.member} is in no package that could open it before",
            f"put the module into a package, link it without /DELAYLOAD:{link.needed.name}, or leave the DLL out with --exclude",
        )
    if root.source is None:
        return Refusal(f"{needs}, which lies in another folder, and no package tells Windows of it", "put the DLL beside the module")
    return Refusal(
        f"{needs}, and the way from site-packages to {folder} differs between installations",
        "put the DLL into the package instead of the wheel's .data folder",
    )


# ---- patches


def patches_of(work: Work, told: Mapping[Source, Told]) -> tuple[list[Action], list[Refusal]]:
    """Return the sources that tell it, and why some cannot."""
    if not told:
        return [], []
    if work.request.options.custom_patch:
        return _at_marks(work, told)
    actions: list[Action] = []
    refusals = []
    for source, what in sorted(told.items()):
        reach, because = _reach(directory(source.path), what), _why(source, what, work)
        if not source.exists:
            actions.append(AddFile(source.member, created(reach), because))
            continue
        data = work.request.texts.get(source.member)
        try:
            new = patched(_whole(data), reach)
        except PatchRefused as error:
            refusals.append(_unpatchable(source.member, error, reach))
        else:
            actions += [RewriteText(source.member, new, because)] if new != data else []
    return actions, refusals


def _whole(data: bytes | None) -> bytes:
    if data is None:
        raise PatchRefused("it is too large to be kept whole")
    return data


def _at_marks(work: Work, told: Mapping[Source, Told]) -> tuple[list[Action], list[Refusal]]:
    """Patch every source that says where, with all that any source should tell."""
    what = Told()
    for some in told.values():
        what.folders |= some.folders
        what.opened |= some.opened
    actions: list[Action] = []
    refusals = []
    for path, member in sorted(work.members.items()):
        data = work.request.texts.get(member, b"") if member.endswith(".py") else b""
        reach = _reach(directory(path), what)
        try:
            new = patched_at_marks(data, reach)
        except PatchRefused as error:
            refusals.append(_unpatchable(member, error, reach))
        else:
            actions += [RewriteText(member, new, "--custom-patch: where the source has a line for it")] if new != data else []
    if not actions and not refusals:
        message = "no source has a line `# relocate: patch`, which --custom-patch asks for"
        refusals.append(Refusal(message, f"write it where {', '.join(map(posixpath.basename, what.folders))} is to be told to Windows"))
    return actions, refusals


def _reach(folder: str, what: Told) -> Reach:
    return Reach(
        tuple(posixpath.relpath(path, folder) for path in sorted(what.folders)),
        tuple(posixpath.relpath(path, folder) for path in sorted(what.opened)),
    )


def _why(source: Source, what: Told, work: Work) -> str:
    folders = ", ".join(folder.removeprefix(work.site).removeprefix("/") or "site-packages" for folder in sorted(what.folders))
    text = f"unreachable-dll: Windows looks in {folders} only when {source.package} says so"
    if what.opened:
        names = ", ".join(sorted(map(posixpath.basename, what.opened)))
        text += f"; unresolved-delay-load: delayed imports find {names} only when it is loaded"
    return text


def _unpatchable(member: str, error: PatchRefused, reach: Reach) -> Refusal:
    return Refusal(
        f"{member} cannot be patched: {error}",
        f"call os.add_dll_directory for {', '.join(reach.folders)} (from the file's folder) where you want it: write the line "
        "`# relocate: patch` there and use --custom-patch",
    )


def added_sources(told: Iterable[Source], work: Work) -> Iterator[str]:
    """Yield what to know of the sources that are added."""
    for source in sorted(told):
        if not source.exists and not work.request.options.custom_patch:
            yield f"{source.member} is added; if {source.package} is a namespace package, use --namespace-pkg {source.package}"
