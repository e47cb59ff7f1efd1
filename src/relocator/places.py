"""Needs as rules tell of them: one verdict for each need, one spelling of its place, one spelling of the loader's trail.

A need occurs in many loads: in the one of the file itself, and in that of every file that brings it. The verdict is the worst one among
the loads that count. The loads that count are those of the extension modules that bring the file; where none does, those of programs and
of libraries that nothing else brings; where none of these does either, the load in which the file is opened alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Where
from relocator.model import Binary, Format, How, Image, Load, Needed, NeedKind, Resolution, Survey
from relocator.native import MachOFacts
from relocator.paint import short_path

OPTIONAL = frozenset({NeedKind.WEAK, NeedKind.LAZY})
"""Needs without which a file loads all the same: weak ones may stay away, and dyld does not look at lazy ones."""

_MET = frozenset({How.BUNDLED, How.PROVIDED, How.PROMISED})
_UNMET = frozenset({How.MISSING, How.UNDECIDED})
_HARMLESS = OPTIONAL | {NeedKind.DELAYED}
_ALONE, _NEVER = 2, 3
_WORST_FIRST = (How.MISSING, How.OUTSIDE, How.EXPECTED, How.UNDECIDED)

_Key = tuple[str, str, Needed]
"""Importer, architecture, need: one that a file names twice is told once."""


class Dependent(NamedTuple):
    """A need that some loads meet and another does not."""

    missing: Resolution
    """What became of it in the load that fails."""
    root: str
    """Path of the file whose load fails: the importer itself when it fails alone."""
    met: Resolution
    """What became of it in a load that counts."""


def need_place(survey: Survey, resolution: Resolution, label: str = "") -> Where:
    """Return the place of a resolution's need: the same for every rule, since rules about one place supersede one another."""
    binary = survey.binary_at(resolution.importer)
    image = binary.image(resolution.arch) if binary else None
    position, name = resolution.position, resolution.needed.name
    if binary is None or image is None or image.needed[position : position + 1] != (resolution.needed,):
        # two members of one name: the file that the load was about is hidden by the other
        return Where(binary.member if binary else resolution.importer, resolution.arch, "", position, name, label=label)
    return place_in(binary, image, position, label)


def place_in(binary: Binary, image: Image, position: int, label: str = "") -> Where:
    """Return the place of the need at a position of `image.needed`, for rules that judge needs by their names alone."""
    return Where(binary.member, image.arch, need_field(image, position), position, image.needed[position].name, label=label)


def identity_place(binary: Binary, image: Image, label: str = "") -> Where:
    """Return the place of the name that a library gives itself."""
    field = {Format.ELF: "DT_SONAME", Format.MACHO: "LC_ID_DYLIB", Format.PE: "export name"}[image.format]
    return Where(binary.member, image.arch, field, None, image.identity or "", label=label)


def need_field(image: Image, position: int) -> str:
    """Return where the format keeps the need: "DT_NEEDED", a load command such as "LC_LOAD_DYLIB", "import" or "delay import"."""
    if isinstance(image.native, MachOFacts):
        return image.native.dylibs[position].command
    if image.format == Format.PE:
        return "delay import" if image.needed[position].kind == NeedKind.DELAYED else "import"
    return "DT_NEEDED"


def trail(resolution: Resolution, survey: Survey) -> tuple[str, ...]:
    """Return where the loader looked, in order, one line each: "demo.libs/liba.so.1: absent (DT_RPATH of demo/_core.so: $ORIGIN)"."""
    return tuple(f"{short_path(tried.place, survey.container)}: {tried.outcome} ({tried.via})" for tried in resolution.tried)


def unmet(survey: Survey) -> Iterator[Resolution]:
    """Yield one resolution for each need that is MISSING and without which its file does not load.

    Once for each file of the container, architecture and need. Weak and lazy needs are no fault, and a delayed one fails only when it
    is used.
    """
    for resolution in _verdicts(survey):
        if resolution.how == How.MISSING and resolution.needed.kind not in _HARMLESS:
            yield resolution


def judged(survey: Survey) -> Iterator[Resolution]:
    """Yield the verdict on each need, weak and lazy ones apart, that is MISSING, OUTSIDE, EXPECTED or UNDECIDED.

    Once for each file of the container, architecture and need, in the order of the loads.
    """
    for resolution in _verdicts(survey):
        if resolution.needed.kind not in OPTIONAL:
            yield resolution


def promised(survey: Survey) -> Iterator[Resolution]:
    """Yield each need, weak, lazy and delayed ones apart, that is left to the target: once for each file, architecture and need."""
    seen: set[_Key] = set()
    for load in survey.loads:
        for resolution in load.resolutions:
            if resolution.how == How.PROMISED and resolution.needed.kind not in _HARMLESS:
                key = _key(resolution)
                if key not in seen and _owned(survey, resolution):
                    seen.add(key)
                    yield resolution


def dependent(survey: Survey) -> Iterator[Dependent]:
    """Yield each need, weak, lazy and delayed ones apart, that the loads that count meet and another load does not.

    When several fail, that of the file itself is the one named.
    """
    unmet_anywhere: dict[_Key, tuple[Resolution, str]] = {}
    for load in survey.loads:
        for resolution in load.resolutions:
            if resolution.how in _UNMET and resolution.needed.kind not in _HARMLESS and _owned(survey, resolution):
                key = _key(resolution)
                if key not in unmet_anywhere or load.root == resolution.importer:
                    unmet_anywhere[key] = resolution, load.root
    for resolution in _verdicts(survey):
        unmet_anywhere.pop(_key(resolution), None)
    if unmet_anywhere:
        met = {_key(resolution): resolution for load in survey.loads for resolution in load.resolutions if resolution.how in _MET}
        for key, (resolution, root) in unmet_anywhere.items():
            yield Dependent(resolution, root, met[key])


def _key(resolution: Resolution) -> _Key:
    return resolution.importer, resolution.arch, resolution.needed


def _owned(survey: Survey, resolution: Resolution) -> bool:
    binary = survey.binary_at(resolution.importer)
    return binary is not None and bool(binary.owner)


def _verdicts(survey: Survey) -> tuple[Resolution, ...]:
    """Return the worst unmet resolution of each need of the container's files in the loads that count; worked out once."""
    if "verdicts" not in survey.memo:
        survey.memo["verdicts"] = tuple(_worst(survey))
    found: tuple[Resolution, ...] = survey.memo["verdicts"]
    return found


def loads_that_count(survey: Survey) -> Iterator[tuple[str, Load]]:
    """Yield each image of each load, by its path, for which that load is one that counts."""
    roots = _roots(survey)
    best = _best(survey, roots)
    for load in survey.loads:
        for path in load.order:
            if _rank(load, path, roots) == best[path, load.arch]:
                yield path, load


def _best(survey: Survey, roots: dict[str, int]) -> dict[tuple[str, str], int]:
    """Return the lowest rank that the loads of each image have."""
    best: dict[tuple[str, str], int] = {}
    for load in survey.loads:
        for path in load.order:
            best[path, load.arch] = min(_rank(load, path, roots), best.get((path, load.arch), _NEVER))
    return best


def _worst(survey: Survey) -> Iterator[Resolution]:
    roots = _roots(survey)
    best = _best(survey, roots)
    found: dict[_Key, Resolution] = {}
    for load in survey.loads:
        for resolution in load.resolutions:
            if resolution.how in _MET or not _owned(survey, resolution):
                continue
            rank, key = _rank(load, resolution.importer, roots), _key(resolution)
            if rank == best.get((resolution.importer, load.arch), rank):
                found[key] = min(found.get(key, resolution), resolution, key=lambda r: _WORST_FIRST.index(r.how))
    yield from found.values()


def _roots(survey: Survey) -> dict[str, int]:
    """Return the rank of the files that something opens by itself: extension modules, then programs and what nothing else brings."""
    brought = {path for load in survey.loads for path in load.order if path != load.root}
    found = {load.root: 1 for load in survey.loads if load.root not in brought}
    for binary in survey.binaries:
        if binary.extension:
            found[binary.path] = 0
        elif any(image.kind == "program" for image in binary.images):
            found[binary.path] = 1
    return found


def _rank(load: Load, importer: str, roots: dict[str, int]) -> int:
    """Return how much a load says about the needs of a file in it: 0 the most."""
    return roots.get(load.root, _ALONE if load.root == importer else _NEVER)
