"""Surveys whose loads come from the real loader models, for rules about needs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from builders import LINUX, MANYLINUX, SITE, binary, elf, environment, survey
from relocator.backends.linux.load import load as load_elf
from relocator.backends.macos.load import load as load_macho
from relocator.backends.windows.load import load as load_pe
from relocator.loading import Process, Seen
from relocator.model import Binary, Distribution, Format, How, Load, Resolution, Survey, Tried
from relocator.target import Promises, Target


class Files:
    """A world made of a list."""

    def __init__(self, *seen: Seen) -> None:
        self.seen = {one.path: one for one in seen}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        if fold_case and path not in self.seen:
            return next((seen for known, seen in self.seen.items() if known.casefold() == path.casefold()), None)
        return self.seen.get(path)


def module(*needed: str, member: str = "demo/_core.so", **facts: object) -> Binary:
    """An ELF extension module."""
    return binary(member, elf(*needed, **facts), extension=member.removesuffix(".so").replace("/", "."))  # type: ignore[arg-type]


def lib(member: str, *needed: str, **facts: object) -> Binary:
    """An ELF library; its soname is its file's name."""
    return binary(member, elf(*needed, **{"soname": member.rpartition("/")[2], **facts}))  # type: ignore[arg-type]


def outside(path: str, *needed: str) -> Binary:
    """An ELF library that lies on the disk."""
    return Binary(path, path, (elf(*needed, soname=path.rpartition("/")[2]),))


def linked(
    *binaries: Binary,
    target: Target = LINUX,
    promises: Promises | None = MANYLINUX,
    search: Iterable[str] = (),
    **facts: object,
) -> Survey:
    """The Survey of a package in which every image of every own file was loaded alone."""
    process = Process(target, promises, search=tuple(search))
    world = Files(*binaries)
    loaders = {Format.ELF: load_elf, Format.MACHO: load_macho, Format.PE: load_pe}
    loads = [loaders[one.format](one, image.arch, world, process) for one in binaries if one.owner for image in one.images]
    return survey(*binaries, target=target, promises=[promises] if promises else [], loads=loads, **facts)  # type: ignore[arg-type]


def load_of(*resolutions: Resolution, root: str = "demo/_core.so", order: Iterable[str] = ()) -> Load:
    """One load, made by hand; `root` and `order` are members."""
    paths = tuple(f"{SITE}/{member}" for member in (root, *order))
    return Load(paths[0], resolutions[0].arch if resolutions else "x86_64", "glibc", paths, resolutions)


def answer(one: Binary, how: How, name: str = "", via: str = "default directories", target: str | None = None) -> Resolution:
    """What became of a need of a file: of its first one, or of the named one."""
    image = one.images[0]
    position = next(i for i, need in enumerate(image.needed) if name in ("", need.name))
    need = image.needed[position]
    return Resolution(one.path, position, need, image.arch, how, target, via, (Tried(need.name, via, "not promised"),))


def installed(
    *binaries: Binary,
    target: Target = LINUX,
    promises: Promises | None = MANYLINUX,
    requires: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    sources: Mapping[str, str] = MappingProxyType({}),
    variables: Mapping[str, str] = MappingProxyType({}),
    **facts: object,
) -> Survey:
    """The Survey of an environment: the owners of the binaries are its distributions; `requires` and `sources` are by their names."""
    names = dict.fromkeys(binary.owner for binary in binaries if binary.owner)
    distributions = [Distribution(name, "1.0", requires.get(name, ()), SITE, source=sources.get(name, "pip")) for name in names]
    process = Process(target, promises, tuple(variables.items()))
    world = Files(*binaries)
    loaders = {Format.ELF: load_elf, Format.MACHO: load_macho, Format.PE: load_pe}
    loads = [loaders[one.format](one, image.arch, world, process) for one in binaries if one.owner for image in one.images]
    values: dict[str, object] = {"distributions": tuple(distributions), "loads": loads, **facts}
    return environment(*binaries, target=target, promises=[promises] if promises else [], **values)
