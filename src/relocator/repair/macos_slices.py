"""What becomes of one slice of a Mach-O file: its needs, LC_RPATHs, identity and signature, as far as there is room for them."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.backends.macos.room import lacking
from relocator.loading import directory
from relocator.model import Binary, How, Image, Role
from relocator.native import MachOFacts
from relocator.plans import Edit, ReplaceNeeded, Resign, SetIdentity, SetSearchPaths
from relocator.projection import edited
from relocator.repair.macos_layout import Layout
from relocator.repair.macos_names import Spelled, Ways, identities, spellings
from relocator.repair.macos_paths import Kept, Spot, Where, finds, is_managed, kept_paths, relative
from relocator.repair.wiring import Link, Request, Taken

_LISTED = 3


class Work(NamedTuple):
    """What every edit is decided by."""

    request: Request
    layout: Layout
    taken: Mapping[str, Taken]
    links: Mapping[str, Sequence[Link]]
    """By importer."""
    clients: Mapping[str, Sequence[Link]]
    """By target."""
    places: Mapping[str, str]
    """Installed paths in the finished wheel of taken files and of those that move, by their paths now."""
    where: Where

    def place(self, path: str) -> str:
        """Return where a file lies in the finished wheel."""
        return self.places.get(path, path)

    def spot(self, binary: Binary, image: Image) -> Spot:
        """Return a slice in the place that it will have."""
        return Spot(binary, image, directory(self.place(binary.path)), self.where)

    def kept(self, spot: Spot) -> Kept:
        """Return which LC_RPATHs of a slice stay."""
        links = (link for link in self.links.get(spot.binary.path, ()) if link.arch == spot.image.arch)
        left = any(not link.target and link.how != How.PROMISED and link.needed.name.startswith("@rpath/") for link in links)
        return kept_paths(spot, open_needs=left, fix_notes=self.request.options.fix_notes)


class Outcome(NamedTuple):
    """What becomes of one slice."""

    image: Image
    edits: tuple[Edit, ...]
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    short: int
    """Bytes of names that do not fit, 0 when all do."""
    identity: int
    """Which of the identities to choose from it got."""


class _Slice(NamedTuple):
    """A slice and what is to be different in it."""

    spot: Spot
    kept: Kept
    led: tuple[Link, ...]
    """The links whose needs get new names."""
    added: str
    """An LC_RPATH, "" for none."""


def outcomes(binary: Binary, work: Work) -> tuple[Outcome, ...]:
    """Return what becomes of each slice of a file; all get one identity, the longest that fits into each."""
    names = _identities(binary, work)
    found = [_outcome(binary, image, work, names) for image in binary.images]
    last = max((one.identity for one in found), default=0)
    if any(one.identity != last for one in found):
        found = [_outcome(binary, image, work, names[last:]) for image in binary.images]
    return tuple(found)


def _outcome(binary: Binary, image: Image, work: Work, names: Sequence[str]) -> Outcome:
    """Return the first way to name everything that fits into a slice; the one that lacks least when none does."""
    part = _slice(binary, image, work)
    stays = binary.path not in work.places
    optional = frozenset(link.needed.name for link in part.led if link.reachable and stays)
    targets = {link.needed.name: work.place(link.target) for link in part.led}
    ways = Ways(targets, optional, part.kept.paths, part.added, tuple(names) if image.identity else ())
    best: tuple[int, Spelled, tuple[Edit, ...]] | None = None
    for spelled in spellings(part.spot, ways):
        edits = _edits(image, spelled)
        short = lacking(image, edited(image, edits), sign=image.arch.startswith("arm64")) if edits else 0
        if best is None or short < best[0]:
            best = short, spelled, edits
        if short <= 0:
            break
    assert best is not None
    short, spelled, edits = best
    remarks = _remarks(binary, image, part.added if spelled.without_added else "", edits)
    return Outcome(image, edits, _reasons(part, spelled, work), remarks, max(short, 0), spelled.identity)


def _slice(binary: Binary, image: Image, work: Work) -> _Slice:
    spot = work.spot(binary, image)
    kept = work.kept(spot)
    led = tuple(link for link in _links(binary, image, work) if _is_led(link, spot, kept, work))
    return _Slice(spot, kept, led, _added(spot, kept, work))


def _links(binary: Binary, image: Image, work: Work) -> Iterator[Link]:
    """Yield the links of a slice; of one for an architecture that the wheel does not promise those that its other slices have."""
    links = [link for link in work.links.get(binary.path, ()) if link.target]
    own = [link for link in links if link.arch == image.arch]
    names = {need.name for need in image.needed}
    yield from own or {link.needed.name: link for link in links if link.needed.name in names}.values()


def _is_led(link: Link, spot: Spot, kept: Kept, work: Work) -> bool:
    """Tell whether a need gets a new name: not when it leads to its library as it is, nor when whatever loads the file always does."""
    if finds(link.needed.name, spot, kept.paths, work.place(link.target)):
        return False
    by_others = link.reachable and link.importer not in work.places and link.needed.name.startswith("@")
    return not by_others or _is_shadowed(link, kept.paths) or work.request.options.fix_notes


def _is_shadowed(link: Link, paths: Sequence[str]) -> bool:
    """Tell whether dyld looks for a need among what package managers have before it gets to the wheel."""
    return link.needed.name.startswith("@rpath/") and any(map(is_managed, paths))


def _added(spot: Spot, kept: Kept, work: Work) -> str:
    """Return the LC_RPATH by which a file finds what `--include` brings; "" when it needs none."""
    binary = spot.binary
    reached = not binary.owner or binary.role == Role.IMPORTED
    if not reached or not any(_is_wanted(item, spot) for item in work.taken.values()):
        return ""
    path = relative(spot.here, work.layout.folder)
    return "" if any(text.rstrip("/") == path for text in kept.paths) else path


def _is_wanted(item: Taken, spot: Spot) -> bool:
    return item.wanted and item.binary.path != spot.binary.path and item.binary.image(spot.image.arch) is not None


def _edits(image: Image, spelled: Spelled) -> tuple[Edit, ...]:
    edits: list[Edit] = [ReplaceNeeded(old, new, image.arch) for old, new in spelled.needs]
    if spelled.paths != tuple(path.text for path in image.search_paths):
        edits.append(SetSearchPaths(spelled.paths, arch=image.arch))
    if spelled.name and spelled.name != image.identity:
        edits.append(SetIdentity(spelled.name, image.arch))
    signature = image.native.signature if isinstance(image.native, MachOFacts) else None
    if edits and signature and (signature.kind == "cms" or signature.problem or signature.bad_pages):
        edits.append(Resign(image.arch))  # the editor keeps true what is true, and no more
    return tuple(edits)


def _remarks(binary: Binary, image: Image, left_out: str, edits: Sequence[Edit]) -> tuple[str, ...]:
    found = []
    if left_out:
        found.append(f"{binary.member} ({image.arch}) has no room for LC_RPATH {left_out}: it does not find by name what --include brings")
    signature = image.native.signature if isinstance(image.native, MachOFacts) else None
    if signature and signature.kind == "cms" and edits:
        found.append(
            f"{binary.member} ({image.arch}) was signed by a certificate ({signature.identifier}) and is now signed ad hoc; "
            "sign it again if it must have your identity"
        )
    return tuple(found)


# ---- identities


def _identities(binary: Binary, work: Work) -> tuple[str, ...]:
    """Return the names that a library may give itself, the best first; none when its name is right."""
    item = work.taken.get(binary.path)
    if item is not None:
        return identities(work.layout.label, posixpath.basename(work.places[binary.path]), item)
    name = next((image.identity for image in binary.images if image.identity), "")
    clients = work.clients.get(binary.path, ())
    if not name or not clients:
        return ()
    kept = [link.needed.name for link in clients if not is_renamed(link, work)]
    left = any(link.needed.name == name for link in clients) and not name.startswith(("@", "/DLC/"))
    mismatched = posixpath.basename(name) != posixpath.basename(work.place(binary.path))
    if name in kept or not (left or mismatched):
        return ()
    new = next((text for text in kept if text.startswith("@rpath/")), "")
    inside = work.place(binary.path).removeprefix(work.layout.root + "/").lstrip("/")
    return new or f"/DLC/{work.layout.wheel}/{inside}", f"@rpath/{posixpath.basename(inside)}", name


def is_renamed(link: Link, work: Work) -> bool:
    """Tell whether a link's need gets another name."""
    importer = work.taken[link.importer].binary if link.importer in work.taken else work.request.survey.binary_at(link.importer)
    image = importer.image(link.arch) if importer else None
    if importer is None or image is None:
        return False
    spot = work.spot(importer, image)
    return _is_led(link, spot, work.kept(spot), work)


# ---- words


def some(names: Sequence[str]) -> str:
    """Return the first names and how many there are more."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _reasons(part: _Slice, spelled: Spelled, work: Work) -> tuple[str, ...]:
    """Return what is wrong with a slice as it is, each with the rule or option that says so."""
    image, new = part.spot.image, dict(spelled.needs)
    led = [link for link in part.led if link.needed.name in new]
    brought = [link.needed.name for link in led if link.target in work.taken]
    found = [f"unbundled-library: {some(brought)} {'is' if len(brought) == 1 else 'are'} on no user's machine"] if brought else []
    found += [_reason(link, part.kept.paths, work) for link in led if link.target not in work.taken]
    found += part.kept.reasons
    if spelled.name and spelled.name != image.identity and part.spot.binary.owner:
        found.append(f"identity-mismatch: it is needed by another name than {image.identity}")
    if part.added and not spelled.without_added:
        wanted = [posixpath.basename(work.places[path]) for path, item in work.taken.items() if _is_wanted(item, part.spot)]
        found.append(f"--include: {some(wanted)} can be opened by name")
    return tuple(found)


def _reason(link: Link, paths: Sequence[str], work: Work) -> str:
    name = link.needed.name
    if _is_shadowed(link, paths):
        return f"build-search-path: a package manager may have another {name}"
    if work.place(link.target) not in work.where.files:
        return f"--provided-by: {name} is another distribution's"
    if link.reachable and name.startswith("@"):
        return f"resolved-by-caller: {name} is found through what loads the file"
    if name.startswith("@rpath/"):
        return f"unresolved-rpath: no LC_RPATH leads to {name}, which the wheel has"
    return f"absolute-install-name: {name} leads nowhere, and the wheel has the library"
