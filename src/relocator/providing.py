"""Which libraries another distribution brings, and where they will lie beside the wheel: for `--provided-by`."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from relocator import distributions
from relocator.backends import format_of_system, identify
from relocator.buffer import Buffer
from relocator.containers import MAX_SIZE, open_container
from relocator.containers.wheel import SITE, WheelName, parse_wheel_name
from relocator.distributions import Claims
from relocator.errors import ContainerError, UnreadableBinary
from relocator.files import FileBuffer, installed, on_disk
from relocator.layouts import layout_of
from relocator.metadata import distribution_of, normalised, split_dist_info
from relocator.model import ContainerFacts, How, Load
from relocator.platform_tags import parse
from relocator.repairs import Provider, Refusal, RepairRefused
from relocator.target import Target

_RECORDS = (".dist-info", ".egg-info")
_LIMIT = 64 << 20
"""Bytes of a file of records that are read."""


class Library(NamedTuple):
    """One library of a distribution, by one of its names."""

    name: str
    path: str
    """Where it will lie, in the wheel's own installation: below SITE when the wheel's files reach it by a relative path."""
    distribution: str


def _reachable(library: Library) -> bool:
    """Tell whether a library lies in the folder of modules, as the wheel's own files do."""
    return library.path.startswith(SITE + "/")


class Provided(NamedTuple):
    """What the named distributions bring."""

    found: tuple[Library, ...] = ()

    @property
    def libraries(self) -> tuple[tuple[str, str, str], ...]:
        """Name, installed path and distribution of what can be reached, as `loading.Sources` takes it."""
        return tuple((name, path, owner) for name, path, owner in filter(_reachable, self.found))

    def refuse_unreachable(self, loads: Iterable[Load], *, fold_case: bool = False) -> None:
        """Raise RepairRefused when the wheel needs what a named distribution brings only outside the folder of modules."""
        near = {library.name for library in filter(_reachable, self.found)}
        far = {_key(library.name, fold_case): library for library in self.found if library.name not in near}
        reasons: dict[str, Refusal] = {}
        for resolution in (r for load in loads for r in load.resolutions if far and r.how in (How.OUTSIDE, How.MISSING)):
            library = far.get(_key(resolution.needed.name, fold_case))
            if library is not None:
                reasons[library.name] = Refusal(
                    f"--provided-by {library.distribution}: it brings {library.name} as {library.path}, outside site-packages, "
                    "where no relative path is sure to lead",
                    f"leave out `--provided-by {library.distribution}`, or add `--exclude {library.name}` and load it before",
                )
        if reasons:
            raise RepairRefused(tuple(reasons.values()))


def _key(name: str, fold_case: bool) -> str:
    leaf = name.replace("\\", "/").rpartition("/")[2]
    return leaf.casefold() if fold_case else leaf


def provided_by(
    providers: Sequence[Provider],
    facts: ContainerFacts,
    target: Target,
    search: Sequence[str] = (),
    *,
    environment: str = "",
    max_size: int = MAX_SIZE,
) -> Provided:
    """Return the libraries of distributions that the wheel depends on.

    One without a path is looked up: the newest fitting wheel in the folders `search`, then the environment. Raises RepairRefused, with all
    reasons at once, for one that the wheel does not require, that is not there, or that brings no library for the target.
    """
    requires = {distribution_of(text) for one in facts.distributions for text in one.requires}
    found: list[Library] = []
    refused: list[Refusal] = []
    for name, path in providers:
        if normalised(name) not in requires:
            refused.append(_unrequired(name, facts))
            continue
        try:
            found += _libraries(Provider(normalised(name), path), target, search, environment, max_size)
        except RepairRefused as error:
            refused += error.reasons
    if refused:
        raise RepairRefused(tuple(refused))
    return Provided(tuple(dict.fromkeys(found)))


def _unrequired(name: str, facts: ContainerFacts) -> Refusal:
    own = next((one.name for one in facts.distributions), "the wheel")
    return Refusal(
        f"--provided-by {name}: {own} does not require {name}, so nothing would install it: METADATA has no Requires-Dist of that name",
        f'add "{name}" to `dependencies` in pyproject.toml, build the wheel again, and repair that',
    )


def _libraries(provider: Provider, target: Target, search: Sequence[str], environment: str, max_size: int) -> list[Library]:
    path = provider.path or _newest_wheel(provider.name, target, search) or environment
    if not path:
        raise _refused(provider, f"was not found: {_looked(provider.name, search, '')}", "give its wheel or an environment's prefix")
    try:
        if os.path.isfile(path) and path.lower().endswith(".whl"):
            found = list(_of_wheel(provider, path, target, max_size))
        else:
            claims = _installed(provider.name, path)
            if claims is None:
                where = f"is not installed in {path}" if provider.path else f"was not found: {_looked(provider.name, search, path)}"
                raise _refused(provider, where, "install it there, or give its wheel or another prefix")
            found = list(_of_environment(provider, claims, target))
    except ContainerError as error:
        raise _refused(provider, f"{path} {error.message}", error.hint) from error
    if not found:
        wanted = " or ".join(target.arches) or target.os
        raise _refused(provider, f"{path} brings no library for {wanted}", "name the distribution that brings the libraries")
    return sorted(found)


def _refused(provider: Provider, message: str, hint: str) -> RepairRefused:
    return RepairRefused((Refusal(f"--provided-by {provider.name}: {message}", f"{hint}: `--provided-by {provider.name}=PATH`"),))


def _looked(name: str, search: Sequence[str], environment: str) -> str:
    places = [f"no fitting wheel of it lies in {folder}" for folder in search]
    places.append(f"it is not installed in {environment}" if environment else "there is no environment to look into")
    return ", ".join(places)


# ---- a wheel


def _newest_wheel(name: str, target: Target, search: Sequence[str]) -> str:
    """Return the newest wheel of a distribution for the target in the first folder that has one; "" when none has."""
    for folder in search:
        fitting = {file: parts for file in _listed(folder) if (parts := parse_wheel_name(file)) and _fits(parts, name, target)}
        if fitting:
            return os.path.join(on_disk(folder), max(fitting, key=lambda file: (_version(fitting[file].version), file)))
    return ""


def _fits(wheel: WheelName, name: str, target: Target) -> bool:
    platforms = [parse(tag.split("-")[2]) for tag in wheel.tags]
    return normalised(wheel.name) == name and any(
        platform.os == target.os
        and (platform.libc == target.libc or not platform.libc)
        and (not target.arches or not set(target.arches).isdisjoint(platform.arches))
        for platform in platforms
    )


def _version(text: str) -> object:
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  only where somebody asks

    try:
        return Version(text.replace("_", "-"))
    except InvalidVersion:
        return Version("0")


def _of_wheel(provider: Provider, path: str, target: Target, max_size: int) -> Iterator[Library]:
    parts = parse_wheel_name(os.path.basename(path))
    if parts is None or normalised(parts.name) != provider.name:
        raise _refused(provider, f"{path} is no wheel of it", "give a wheel of that name")
    with open_container(path, max_size=max_size) as container:
        for entry in container.entries(lambda head: identify(head) is not None):
            if entry.data is not None:
                yield from (Library(name, entry.path, provider.name) for name in _names(entry.path, entry.data, target))


# ---- an environment


def _installed(name: str, prefix: str) -> Claims | None:
    """Return what the record of an installed distribution says; None when it is not installed."""
    for site in layout_of(prefix).sites:
        for folder in _listed(site):
            if folder.endswith(_RECORDS) and normalised(split_dist_info(folder.removesuffix(".egg-info"))[0]) == name:
                place = os.path.join(site, folder)
                read = partial(_contents, place)
                if folder.endswith(".egg-info"):
                    return distributions.from_egg_info(installed(place), installed(site), read)
                return distributions.from_dist_info(installed(place), folder, installed(site), read)
    return None


def _of_environment(provider: Provider, claims: Claims, target: Target) -> Iterator[Library]:
    site = claims.distribution.root
    for path in (*claims.files, *(file for top in claims.tops for file in _below(top))):
        try:
            with FileBuffer(on_disk(path)) as data:
                names = _names(path, data, target)
        except (OSError, ValueError):  # gone, or not to be read: no library; ValueError: a name with a NUL
            continue
        place = SITE + path.removeprefix(site) if path.startswith(site + "/") else path
        yield from (Library(name, place, provider.name) for name in names)


def _below(top: str) -> Iterator[str]:
    for folder, below, files in os.walk(on_disk(top)):
        below.sort()
        yield from (installed(os.path.join(folder, file)) for file in sorted(files))


def _contents(folder: str, name: str) -> bytes | None:
    path = folder if name == "PKG-INFO" and os.path.isfile(folder) else os.path.join(folder, name)
    try:
        with open(path, "rb") as file:
            return file.read(_LIMIT)
    except OSError:
        return None


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(on_disk(folder)))
    except OSError:
        return []


# ---- one file


def _names(path: str, data: Buffer, target: Target) -> tuple[str, ...]:
    """Return the names by which the target's loader may ask for a library; none for any other file."""
    backend = identify(bytes(data[:64]))
    if backend is None or format_of_system(target.os) != backend.FORMAT:
        return ()
    try:
        images = backend.read(data)
    except UnreadableBinary:
        return ()
    fitting = [image for image in images if image.kind != "program" and (not target.arches or image.arch in target.arches)]
    names = [path, *(image.identity or "" for image in fitting)] if fitting else []
    return tuple(dict.fromkeys(name.rpartition("/")[2] for name in names if name))
