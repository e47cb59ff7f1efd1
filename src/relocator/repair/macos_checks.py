"""What a repaired macOS wheel must be able to promise: slices and deployment targets; and what its author should know."""

from collections.abc import Iterator, Sequence

from relocator.model import Binary, Image
from relocator.native import MachOFacts
from relocator.platform_tags import ARM64_FROM, FAT
from relocator.repair.wiring import Request
from relocator.repairs import Refusal
from relocator.rules.invalid_signature import LOADED
from relocator.rules.links_libpython import LIBRARY
from relocator.search_paths import Leads, elements
from relocator.tags import macos_version


def refusals(request: Request, files: Sequence[Binary]) -> Iterator[Refusal]:
    """Yield why the files of the finished wheel, taken ones among them, are not what is asked for."""
    yield from _slices(request, files)
    yield from _too_new(request, files)


def _slices(request: Request, files: Sequence[Binary]) -> Iterator[Refusal]:
    required = [arch for name in request.options.require_arches for arch in FAT.get(name, (name,))]
    asked: dict[str, dict[str, None]] = {}
    for link in request.links:
        asked.setdefault(link.target, {})[link.arch] = None
    for binary in files:
        if not any(image.kind in LOADED for image in binary.images):
            continue
        wanted = dict.fromkeys((*required, *(() if binary.owner else asked.get(binary.path, ()))))
        if missing := [arch for arch in wanted if binary.image(arch) is None]:
            has = ", ".join(image.arch for image in binary.images)
            yield Refusal(
                f"{binary.member} has no code for {' and '.join(missing)}, only for {has}",
                f"use one that was built for {' and '.join(wanted)}"
                + (", or leave --require-archs out" if set(missing) <= set(required) else ", or build the wheel for one architecture"),
            )


def _too_new(request: Request, files: Sequence[Binary]) -> Iterator[Refusal]:
    limit = request.options.require_macos
    for binary in files if limit else ():
        if newer := [image for image in binary.images if _is_newer(image, limit)]:
            built = ", ".join(f"macOS {_dotted(image.minimum_os)} ({image.arch})" for image in newer)
            wanted = _dotted(limit)
            hint = f"build it with MACOSX_DEPLOYMENT_TARGET={wanted}"
            if not binary.owner:
                hint += ", or use a library that was: package managers build for the macOS that they are installed on"
            yield Refusal(f"{binary.member} is built for {built}, and the wheel is to run on macOS {wanted}", hint)


def _is_newer(image: Image, limit: tuple[int, ...]) -> bool:
    """Compare as tags do: there is no minor version from 11 on, and no arm64 before it."""
    if not isinstance(image.native, MachOFacts) or image.native.platform not in ("macos", "") or image.kind not in LOADED:
        return False
    floor = macos_version(limit)
    return macos_version(image.minimum_os) > (max(floor, ARM64_FROM) if image.arch.startswith("arm64") else floor)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def remarks(request: Request, files: Sequence[Binary]) -> Iterator[str]:
    """Yield what stays as it is although the author may want it otherwise."""
    linked = {(link.importer, link.needed.name) for link in request.links if link.target}
    for binary in files:
        needs = {need.name: None for image in binary.images if image.kind != "program" for need in image.needed}
        for name in needs:
            if LIBRARY.fullmatch(name.rpartition("/")[2]) and (binary.path, name) not in linked:
                yield (
                    f"{binary.member} stays linked to {name}: symbols name their libraries by position, so the need cannot go; "
                    "link with -undefined dynamic_lookup instead of a Python library"
                )
    for item in request.taken:
        before, dot, _ = item.binary.path.rpartition(".framework/")
        if dot:
            framework = before.rpartition("/")[2]
            yield f"{framework}.framework is brought in as its binary alone: what it opens in its own Resources it will not find"
    for element in elements(request.survey, Leads.ESCAPING):
        yield f"{element.binary.member} keeps LC_RPATH {element.path.text}, which leads out of the package"
