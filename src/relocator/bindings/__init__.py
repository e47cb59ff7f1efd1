"""Which symbol of which image binds to whom, in each load; worked out once for a Survey.

For each image and load the answer to every strong symbol that a relocation uses: another image has it, the platform has it (a promised
library, of which we know the symbol versions and not the symbols), Python has it, nothing has it, or we cannot decide. How each system
looks is told in `elf`, `two_level` and `by_name`; here is what they share.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from relocator.bindings import by_name, elf, two_level
from relocator.bindings.scope import PLATFORM, PYTHON, UNBOUND, UNDECIDED, Context, Index, index_of
from relocator.model import Binary, Format, Image, Load, Survey
from relocator.places import loads_that_count

_BIND: dict[Format, Callable[[Context, int], list[int]]] = {Format.ELF: elf.bind, Format.MACHO: two_level.bind, Format.PE: by_name.bind}
_BLAME: dict[Format, Callable[[Context, int, str], int]] = {
    Format.ELF: elf.blamed,
    Format.MACHO: two_level.blamed,
    Format.PE: by_name.blamed,
}

__all__ = ["PLATFORM", "PYTHON", "UNBOUND", "UNDECIDED", "Bound", "Missing", "bound", "definers", "missing", "offered"]


class Bound(NamedTuple):
    """What became of one symbol."""

    name: bytes
    version: bytes
    library: str
    """As in Import."""
    provider: str
    """Path of the image that has it; "" when none of the Survey's has."""
    answer: int
    """0 when `provider` has it, else PLATFORM, PYTHON, UNDECIDED or UNBOUND."""


class Missing(NamedTuple):
    """Symbols of one image that nothing has, in one load; all asked for in the same way."""

    importer: Binary
    image: Image
    load: Load
    library: str
    """The library that should have them, as the need names it; "" when any will do; Mach-O's "<flat>"."""
    provider: Binary | None
    """What that library is in this load; None when any will do."""
    names: tuple[bytes, ...]
    versions: tuple[bytes, ...]
    """One for each name; empty for a symbol without."""


def bound(survey: Survey, load: Load, path: str) -> Iterator[Bound]:
    """Yield the answer for each strong, used symbol of one image of a load, in table order."""
    index = index_of(survey)
    context = index.context(load)
    node = index.numbers.get((path, load.arch))
    if node is None:
        return
    names, keys, sources = index.references[node]
    answers = _BIND[index.nodes[node][1].format](context, node)
    for name, key, answer in zip(names, keys, answers, strict=True):
        version, library = sources[key]
        provider = index.nodes[answer][0].path if answer >= 0 else ""
        yield Bound(name, version, library, provider, min(answer, 0))


def missing(survey: Survey) -> tuple[Missing, ...]:
    """Return what nothing has, once for each image of the container and library, from the first load that counts in which that is so."""
    if "bindings.missing" not in survey.memo:
        survey.memo["bindings.missing"] = tuple(_missing(survey))
    found: tuple[Missing, ...] = survey.memo["bindings.missing"]
    return found


def _missing(survey: Survey) -> Iterator[Missing]:
    index = index_of(survey)
    told: dict[tuple[int, str], set[bytes]] = {}
    done: set[tuple[int, tuple[int, ...]]] = set()
    for path, load in loads_that_count(survey):
        node = index.numbers.get((path, load.arch))
        if node is None or not index.nodes[node][0].owner or _for_another_python(survey, load.root):
            continue
        context = index.context(load)
        answers = _BIND[index.nodes[node][1].format](context, node)
        if UNBOUND not in answers:
            continue
        unbound = tuple(i for i, answer in enumerate(answers) if answer == UNBOUND)
        if (node, unbound) not in done:
            done.add((node, unbound))
            yield from _grouped(index, context, node, unbound, told)


def _for_another_python(survey: Survey, root: str) -> bool:
    """Tell whether the interpreter of an environment never looks for a module, since its file name bears the tag of another CPython."""
    tag = re.search(r"\.(?:cpython-|cp)(\d+)t?-[^/]*$", root)
    pythons = [python for python in survey.target.pythons if python.startswith("cp")]
    return tag is not None and survey.container.kind == "environment" and bool(pythons) and f"cp{tag[1]}" not in pythons


def _grouped(
    index: Index, context: Context, node: int, unbound: tuple[int, ...], told: dict[tuple[int, str], set[bytes]]
) -> Iterator[Missing]:
    binary, image = index.nodes[node]
    names, keys, sources = index.references[node]
    by_library: dict[str, list[int]] = {}
    for i in unbound:
        # musl compares no versions, so that any file may have what another one's version names
        by_library.setdefault("" if context.load.loader == "musl" else sources[keys[i]][1], []).append(i)
    for library, found in by_library.items():
        known = told.setdefault((node, library), set())
        new = [i for i in found if names[i] not in known]
        known.update(names[i] for i in new)
        if new:
            blamed = _BLAME[image.format](context, node, library)
            provider = index.nodes[blamed][0] if blamed >= 0 else None
            versions = tuple(sources[keys[i]][0] for i in new)
            yield Missing(binary, image, context.load, library, provider, tuple(names[i] for i in new), versions)


def definers(survey: Survey, name: bytes, arch: str) -> list[Binary]:
    """Return all binaries of the Survey's loads that define a symbol that some image wants, whether a load brings them or not."""
    index = index_of(survey)
    found = [index.nodes[offer[0]] for offer in index.providers.get(name, ())]
    return list({binary.path: binary for binary, image in found if image.arch == arch}.values())


def offered(survey: Survey, load: Load) -> list[tuple[Binary, Image]]:
    """Return the images whose symbols a load sees, in the order in which a name is looked up (ELF and flat Mach-O names)."""
    index = index_of(survey)
    return [index.nodes[node] for node in index.context(load).scope]
