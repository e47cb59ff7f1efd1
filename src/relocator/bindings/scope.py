"""What a load sees: the images in the order of lookup, who defines what, and what became of each need.

Only names that some image wants are indexed, and equal offers are one object, so that an index costs little more than the names.
"""

import copy
from collections.abc import Iterable, Mapping

from relocator.model import Binary, Format, How, Image, Load, Resolution, Survey
from relocator.symbols import References

PLATFORM, PYTHON, UNDECIDED, UNBOUND = -1, -2, -3, -4
"""Answers that are no number of an image: a promised library has it or may have it; Python has it; we cannot tell; nothing has it."""

DEFAULT, FIRST, WEAK, UNIQUE = 1, 2, 4, 8
"""Flags of an offer, as in Export."""

Offer = tuple[int, bytes, int, str]
"""Image number, version, flags, forward."""

_ABSENT = frozenset({How.MISSING, How.EXPECTED, How.UNDECIDED})
_MARKS = frozenset({b"Py_IsInitialized", b"_Py_IsInitialized"})
"""What every Python exports."""


class Context:
    """One load: scope, needs, and what is not known of them."""

    __slots__ = ("index", "interpreter", "load", "needs", "open", "promised", "scope")

    def __init__(self, index: "Index", load: Load, interpreter: bool) -> None:
        self.index, self.load, self.interpreter = index, load, interpreter
        self.needs: dict[tuple[str, str], Resolution] = {}
        for resolution in load.resolutions:
            self.needs.setdefault((resolution.importer, resolution.needed.name), resolution)
        self.open = any(resolution.how in _ABSENT for resolution in load.resolutions)
        """Some library is not here: any symbol may be its own."""
        self.promised = frozenset(r.needed.name for r in load.resolutions if r.how == How.PROMISED)
        self.scope = index.scope(load)
        """Numbers of the images, in the order of lookup."""

    def answer_of(self, path: str, library: str) -> int:
        """Return what a need became: the number of an image, PLATFORM, or UNDECIDED when it is not here."""
        resolution = self.needs.get((path, library))
        if resolution is None:
            return UNDECIDED
        if resolution.how == How.PROMISED:
            return PLATFORM
        return self.index.numbers.get((resolution.target or "", self.load.arch), UNDECIDED)

    def of_python(self, name: bytes) -> bool:
        """Tell whether a C name is one of Python's that the interpreter has, as far as we know the interpreter."""
        return not self.interpreter and name.startswith((b"Py", b"_Py"))


class Index:
    """All images that some load brings, what they want, and who offers it."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.nodes: list[tuple[Binary, Image]] = []
        self.numbers: dict[tuple[str, str], int] = {}
        for load in survey.loads:
            for path in (*survey.global_scope, *load.order):
                self._add(path, load.arch)
        self.references: list[References] = [image.symbols.references() for _, image in self.nodes]
        self.providers = self._providers(range(len(self.nodes)))
        self.memo: dict[object, list[int]] = {}
        """Answers by what they depend on; loads share most of them."""
        self._relevant: dict[int, frozenset[int]] = {}
        self._contexts: dict[int, Context] = {}

    def _add(self, path: str, arch: str) -> None:
        if (path, arch) not in self.numbers:
            binary = self.survey.binary_at(path)
            image = binary and (binary.image(arch) or (binary.images[0] if binary.format == Format.PE else None))
            if binary and image:
                self.numbers[path, arch] = len(self.nodes)
                self.nodes.append((binary, image))

    def with_references(self, references: dict[int, References], among: Iterable[int]) -> "Index":
        """Return an index of the same images for other references, by image; with what those of `among` offer to them."""
        other = copy.copy(self)
        other.references = [references.get(node, References()) for node in range(len(self.nodes))]
        other.providers = other._providers(among)
        other.memo, other._relevant, other._contexts = {}, {}, {}
        return other

    def _providers(self, among: Iterable[int]) -> Mapping[bytes, tuple[Offer, ...]]:
        wanted = {name for references in self.references for name in references.names} | _MARKS
        found: dict[bytes, tuple[Offer, ...]] = {}
        alike: dict[object, tuple[Offer, ...]] = {}
        for number in among:
            for export in self.nodes[number][1].symbols.defines(wanted):
                flags = DEFAULT * export.default + FIRST * export.first + WEAK * export.weak + UNIQUE * export.unique
                offer = number, export.version, flags, export.forward
                offers = (*found.get(export.name, ()), offer)
                found[export.name] = alike.setdefault(offers, offers)
        return found

    def context(self, load: Load) -> Context:
        """Return what is known of a load."""
        if id(load) not in self._contexts:
            scope = self.survey.global_scope
            known = any(self.nodes[offer[0]][0].path in scope for mark in _MARKS for offer in self.providers.get(mark, ()))
            self._contexts[id(load)] = Context(self, load, known)
        return self._contexts[id(load)]

    def scope(self, load: Load) -> tuple[int, ...]:
        """Return the images in the order of lookup: the global scope, then the load's own order; a program sees its own alone."""
        root = self.survey.binary_at(load.root)
        program = root is not None and any(image.kind == "program" for image in root.images)
        paths = dict.fromkeys((*(() if program else self.survey.global_scope), *load.order))
        return tuple(self.numbers[path, load.arch] for path in paths if (path, load.arch) in self.numbers)

    def relevant(self, node: int) -> frozenset[int]:
        """Return the images that define anything that one wants."""
        if node not in self._relevant:
            offers = {offers for name in self.references[node].names if (offers := self.providers.get(name))}
            self._relevant[node] = frozenset(offer[0] for some in offers for offer in some)
        return self._relevant[node]


def index_of(survey: Survey) -> Index:
    """Return the Survey's index, made on first use."""
    if "bindings.index" not in survey.memo:
        survey.memo["bindings.index"] = Index(survey)
    index: Index = survey.memo["bindings.index"]
    return index


def c_name(name: bytes) -> bytes:
    """Return a Mach-O name as C spells it: without the underscore that the compiler puts before each."""
    return name[1:] if name.startswith(b"_") else name
