"""Symbol versions that an ELF file asks of a library in the process and that this library does not define.

glibc compares them before it binds anything, and refuses the load (elf/dl-version.c). A library without any version definitions satisfies
every request, with a message on stderr at most. Weak requests may fail.
"""

from collections.abc import Iterator
from typing import NamedTuple

from relocator.bindings.scope import index_of
from relocator.demands import version_key
from relocator.model import Binary, Image, Load, Survey
from relocator.native import ElfFacts
from relocator.places import loads_that_count


class Lacking(NamedTuple):
    """Versions that a library lacks, in one load."""

    importer: Binary
    image: Image
    load: Load
    library: str
    provider: Binary
    versions: tuple[str, ...]
    """The highest first."""
    newest: str
    """The highest version of the same family that the library has; "" when it has none."""


def lacking_versions(survey: Survey) -> Iterator[Lacking]:
    """Yield what glibc refuses, once for each importer, architecture and library."""
    index, told = index_of(survey), set()
    for path, load in loads_that_count(survey):
        node = index.numbers.get((path, load.arch))
        if node is None or load.loader != "glibc" or not index.nodes[node][0].owner:
            continue
        binary, image = index.nodes[node]
        wanted: dict[str, list[str]] = {}
        for need in image.version_needs:
            if not need.weak:
                wanted.setdefault(need.library, []).append(need.version)
        for library, versions in wanted.items():
            provider = _in_process(survey, load, path, library)
            lacking = _lacking(provider, load.arch, versions) if provider else []
            if provider and lacking and (node, library) not in told:
                told.add((node, library))
                yield Lacking(binary, image, load, library, provider, tuple(lacking), _newest(provider, load.arch, lacking[0]))


def _in_process(survey: Survey, load: Load, path: str, library: str) -> Binary | None:
    """Return the file that bears the name in a load: what the importer's own need became, else anybody's."""
    context = index_of(survey).context(load)
    resolution = context.needs.get((path, library)) or next((r for r in load.resolutions if r.needed.name == library), None)
    return survey.binary_at(resolution.target) if resolution and resolution.target else None


def _defined(provider: Binary, arch: str) -> tuple[str, ...]:
    image = provider.image(arch)
    return image.native.version_definitions if image and isinstance(image.native, ElfFacts) else ()


def _lacking(provider: Binary, arch: str, versions: list[str]) -> list[str]:
    defined = _defined(provider, arch)
    return sorted(set(versions).difference(defined), key=version_key, reverse=True) if defined else []


def _newest(provider: Binary, arch: str, version: str) -> str:
    family = version.rpartition("_")[0]
    return max((own for own in _defined(provider, arch) if own.rpartition("_")[0] == family), key=version_key, default="")
