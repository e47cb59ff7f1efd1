"""From what the user wants of one file to a plan: the edits for its images, what they must look like then, and the patches.

Nothing is written here, and nothing but the file itself is looked at, apart from the folder that `Parents` reads.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from relocator.backends import backend_for, identify
from relocator.buffer import Buffer
from relocator.errors import InternalError, UnreadableBinary, UsageError
from relocator.model import Format, Image
from relocator.native import ElfFacts
from relocator.plans import Edit, EditRefused, Patchset, PathKind, SetSearchPaths
from relocator.projection import Change, changes, distinct, edited, loader_view
from relocator.verification import Expected


class AddPath(NamedTuple):
    """Append a search path, unless it is there."""

    path: str
    arch: str = ""


class DropPath(NamedTuple):
    """Take one search path away, wherever it is; what is not there need not go."""

    path: str
    arch: str = ""


class ReplacePath(NamedTuple):
    """Put a search path at the place of another one."""

    old: str
    new: str
    arch: str = ""


class KeepPaths(NamedTuple):
    """Leave the search paths as they are, for a change of the tag alone that they are kept in (ELF)."""

    arch: str = ""


PathWish = AddPath | DropPath | ReplacePath | KeepPaths | SetSearchPaths
Wish = Edit | AddPath | DropPath | ReplacePath | KeepPaths
"""What can be asked for; those about search paths work on what the file has, one after the other, and become one SetSearchPaths."""


class Parents(NamedTuple):
    """The ELF files of a folder, among them those that load the file at hand."""

    folder: str
    images: tuple[tuple[str, Image], ...]
    """Member and image."""


@dataclasses.dataclass(frozen=True, slots=True)
class FilePlan:
    """What is to become, or has become, of one file."""

    subject: str
    """As the user named it."""
    output: str
    """Where the result goes, as the user named it; the subject itself unless said otherwise."""
    format: Format
    edits: tuple[Edit, ...]
    before: tuple[Image, ...]
    after: tuple[Image, ...]
    """As they must be read once the patches are applied."""
    patchset: Patchset
    remarks: tuple[str, ...] = ()
    written: bool = False
    sha256_before: str = ""
    """Hexadecimal; "" in a dry run."""
    sha256_after: str = ""
    verified: tuple[str, ...] = ()
    """What was verified, by whom: clauses for people."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the loader will see otherwise."""
        return changes(self.before, self.after)

    @property
    def expected(self) -> Expected:
        """What the rewrite is verified by."""
        return Expected(self.format, self.before, self.after, self.patchset)


class Restored(NamedTuple):
    """What an undone edit had made of one file, and what it is again."""

    path: str
    sha256_before: str
    """Before it was undone."""
    sha256_after: str
    written: bool = True
    """Not in a dry run."""


class _Choice(NamedTuple):
    """What decides in which tag search paths go."""

    subject: str
    kind: PathKind
    parents: Parents | None


def plan_file(
    subject: str,
    buffer: Buffer,
    wishes: Sequence[Wish],
    *,
    kind: PathKind = PathKind.KEEP,
    parents: Parents | None = None,
    output: str = "",
) -> FilePlan:
    """Return the plan for one file; raise EditRefused or UnreadableBinary, and UsageError for wishes that contradict one another."""
    backend = identify(bytes(buffer[:64]))
    if backend is None:
        raise EditRefused("neither an ELF, a Mach-O nor a PE file", "name the binaries; for a whole package there is `relocate repair`")
    images = backend.read(buffer)
    if not images:
        raise EditRefused(f"it begins like a {backend.FORMAT} file, but is none that a loader maps", "edit what is linked from it")
    _check_arches(images, wishes)
    edits, remarks = _edits_for(images, wishes, _Choice(subject, kind, parents))
    after = tuple(edited(image, edits) for image in images)
    patchset = backend.prepare(buffer, edits)
    if not patchset and any(loader_view(one) != loader_view(other) for one, other in zip(images, after, strict=True)):
        raise InternalError("an edit came to nothing that should have changed the file", "please report it with the file and the command")
    told = tuple(dict.fromkeys((*remarks, *patchset.remarks)))
    return FilePlan(subject, output or subject, backend.FORMAT, edits, images, after, patchset, told)


def take_parents(folder: str) -> Parents:
    """Return the ELF files of a folder; raise ContainerError when it cannot be read."""
    from relocator.containers import open_container  # noqa: PLC0415  (start-up time)

    found: list[tuple[str, Image]] = []
    with open_container(folder) as container:
        for entry in container.entries(lambda head: identify(head) is backend_for(Format.ELF)):
            backend = identify(bytes(entry.data[:64])) if entry.data is not None else None
            if backend is None or backend.FORMAT != Format.ELF or entry.data is None:
                continue
            try:
                found += ((entry.member.name, image) for image in backend.read(entry.data))
            except UnreadableBinary:  # no loader loads it, so it is no parent
                continue
    return Parents(folder, tuple(found))


# ---- edits


def _check_arches(images: Sequence[Image], wishes: Iterable[Wish]) -> None:
    arches = [image.arch for image in images]
    for arch in dict.fromkeys(getattr(wish, "arch", "") for wish in wishes):
        if arch and arch not in arches:
            raise EditRefused(f"there is no code for {arch} in it", f"it has {', '.join(arches)}")


def _edits_for(images: Sequence[Image], wishes: Sequence[Wish], choice: _Choice) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """Return the edits and what is to be said of them: those about search paths worked out, image by image."""
    others = tuple(wish for wish in wishes if not isinstance(wish, PathWish))
    about_paths = [wish for wish in wishes if isinstance(wish, PathWish)]
    found: list[SetSearchPaths] = []
    remarks: list[str] = []
    for image in images:
        own = [wish for wish in about_paths if wish.arch in ("", image.arch)]
        edit = _search_paths(image, own, choice, remarks) if own else None
        if edit is not None:
            found.append(dataclasses.replace(edit, arch=image.arch if len(images) > 1 else ""))
    if len(found) == len(images) and len({edit.paths for edit in found}) == 1:
        found = [dataclasses.replace(found[0], arch="")]
    return (*found, *others), tuple(dict.fromkeys(remarks))


def _search_paths(image: Image, wishes: Sequence[PathWish], choice: _Choice, remarks: list[str]) -> SetSearchPaths | None:
    """Return the one edit that the wishes about search paths come to, None when the image is as it is wanted."""
    if image.format == Format.PE:
        return _refused_by_format(wishes)
    now = _effective(image)
    wanted = list(now)
    for wish in wishes:
        wanted = _changed(wanted, wish, image, remarks)
    if image.format == Format.MACHO:
        if choice.kind != PathKind.KEEP:
            raise EditRefused("a Mach-O file has one kind of search path alone, LC_RPATH", "leave --rpath-kind out")
        return SetSearchPaths(tuple(wanted)) if distinct(wanted) != [path.text for path in image.search_paths] else None
    chosen = _kind(image, choice, remarks) if wanted else choice.kind
    edit = SetSearchPaths(tuple(wanted), chosen)
    return edit if loader_view(edited(image, [edit])) != loader_view(image) else None


def _refused_by_format(wishes: Sequence[PathWish]) -> SetSearchPaths | None:
    """Return an edit that the PE editor refuses in its own words; None for what asks for nothing."""
    if all(isinstance(wish, DropPath | KeepPaths) for wish in wishes):
        return None
    return SetSearchPaths(())


def _effective(image: Image) -> list[str]:
    """Return the paths that the loader uses: glibc passes over DT_RPATH beside DT_RUNPATH."""
    native = image.native
    if isinstance(native, ElfFacts) and native.runpath is not None:
        return native.runpath.split(":")
    return [path.text for path in image.search_paths]


def _changed(paths: list[str], wish: PathWish, image: Image, remarks: list[str]) -> list[str]:
    match wish:
        case KeepPaths():
            return paths
        case SetSearchPaths(wanted):
            return [part for path in wanted for part in _parts(path, image)]
        case AddPath(path):
            new = _parts(path, image)
            remarks.extend(f"the search path {part} was there already" for part in new if part in paths)
            return paths + [part for part in new if part not in paths]
        case DropPath(path):
            if path not in paths:
                remarks.append(f"there was no search path {path} to drop")
            return [other for other in paths if other != path]
        case ReplacePath(old, new):
            return _replaced(paths, old, _parts(new, image))


def _parts(path: str, image: Image) -> list[str]:
    """Return the paths that a value stands for: ELF separates them by colons, an LC_RPATH has one alone."""
    parts = path.split(":") if image.format == Format.ELF else [path]
    if not all(parts):
        raise UsageError("a search path is empty, which would mean the current directory", "use --remove-rpath to have none")
    return parts


def _replaced(paths: Sequence[str], old: str, new: Sequence[str]) -> list[str]:
    if old not in paths:
        if all(part in paths for part in new):
            return list(paths)
        raise EditRefused(f"there is no search path {old} to replace", f"it has {', '.join(paths) or 'none'}; `--add-rpath` adds one")
    place = paths.index(old)
    found = [*paths[:place], *new, *(path for path in paths[place + 1 :] if path != old)]
    return list(dict.fromkeys(found))


def _kind(image: Image, choice: _Choice, remarks: list[str]) -> PathKind:
    """Return in which tag the paths go: a file with none of its own must not be cut off from the DT_RPATH that it inherits."""
    native, (subject, kind, parents) = image.native, choice
    assert isinstance(native, ElfFacts)
    if kind != PathKind.KEEP or native.rpath is not None or native.runpath is not None or parents is None:
        return kind
    names = {name for name in (image.identity, subject.replace("\\", "/").rpartition("/")[2]) if name}
    loading = [(member, other) for member, other in parents.images if other.arch == image.arch and names & _leaves(other)]
    using = [member for member, other in loading if isinstance(other.native, ElfFacts) and _passes_on(other.native)]
    if using:
        remarks.append(f"DT_RPATH was chosen, since {using[0]}, which needs the file, has one that DT_RUNPATH would cut off")
        return PathKind.RPATH
    count = f"none of the {len(loading)} files that need it" if loading else f"no file in {parents.folder} needs it, so that none"
    remarks.append(f"DT_RUNPATH was chosen: {count} has a DT_RPATH")
    return PathKind.RUNPATH


def _passes_on(native: ElfFacts) -> bool:
    """Tell whether a parent's DT_RPATH is used for the needs of what it loads."""
    return bool(native.rpath) and native.runpath is None


def _leaves(image: Image) -> set[str]:
    return {need.name.rpartition("/")[2] for need in image.needed}
