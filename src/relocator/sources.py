"""Where a repair takes libraries from: the options, the places to search and what the wheel has, as the loaders want to know it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.backends import format_of_system
from relocator.knowledge.retired_sonames import retired
from relocator.libc import libc_of, other_libc
from relocator.loading import Host, Sources
from relocator.model import Binary, How, Load, Resolution
from relocator.reading import Reading
from relocator.repairs import Refusal, RepairOptions, RepairRefused, Sought
from relocator.search_order import exclusion, fits, is_wild
from relocator.target import Target
from relocator.world import PackageWorld, folders_of, full_path, host_for

_VARIABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "linux": (("AUDITWHEEL_LD_LIBRARY_PATH", ":"), ("LD_LIBRARY_PATH", ":;")),
    "android": (("AUDITWHEEL_LD_LIBRARY_PATH", ":"),),
    "macos": (
        ("DYLD_LIBRARY_PATH", ":"),
        ("DYLD_FRAMEWORK_PATH", ":"),
        ("DYLD_FALLBACK_LIBRARY_PATH", ":"),
        ("DYLD_FALLBACK_FRAMEWORK_PATH", ":"),
    ),
    "windows": (("PATH", ""),),
}
"""Environment variables that name folders of libraries, and what stands between those; "" for what this system puts there."""

_DIGITS = re.compile(r"-[0-9a-f]{8,64}(?=\.|$)")
"""What is put into the names of libraries that are brought in."""

_ABSENT = "does not exist, or cannot be read"


class Wanted(NamedTuple):
    """A file outside the wheel that `--include` asks for."""

    binary: Binary
    via: str


def sources_of(
    options: RepairOptions,
    sought: Sought,
    reading: Reading,
    target: Target,
    *,
    provided: Sequence[tuple[str, str, str]] = (),
    files: Sequence[tuple[str, str]] = (),
) -> Sources:
    """Return what the search is to know. `provided` and `files` are those of `Sources`."""
    fold_case = target.os == "windows"

    def key(name: str) -> str:
        return name.casefold() if fold_case else name

    return Sources(
        excluded=options.exclude,
        included=options.include,
        doubted=tuple(sorted(retired())) if target.libc == "glibc" else (),
        provided=tuple((key(name), path, distribution) for name, path, distribution in provided),
        inside=tuple((key(name), path) for name, path in _inside(reading.binaries, target)),
        folders=tuple(_folders(sought, target)),
        files=tuple((key(name), path) for name, path in files),
        absolute=sought.host and host_for(target) is not None,
        fold_case=fold_case,
    )


def host_of(sought: Sought, target: Target) -> Host | None:
    """Return this machine's directories as far as they count, or those that the user puts in their place."""
    if sought.instead_of_host:
        return Host(directories=sought.instead_of_host, via="--ldpaths")
    return host_for(target) if sought.host else None


def names_of(binary: Binary) -> tuple[str, ...]:
    """Return the names by which a library is asked for: its file's, and the last part of what each image calls itself."""
    names = [binary.path, *(image.identity or "" for image in binary.images)]
    return tuple(dict.fromkeys(name.rpartition("/")[2] for name in names if name))


def files_asked(options: RepairOptions, world: PackageWorld) -> tuple[tuple[str, str], ...]:
    """Return name and path of the files that `--include` names by their paths; `wanted` says of the others why they cannot be had."""
    found: list[tuple[str, str]] = []
    for path in filter(_is_path, options.include):
        seen = world.at(full_path(path))
        if isinstance(seen, Binary):
            names = (*names_of(seen), path.rpartition("/")[2])
            found += [(name, full_path(path)) for name in dict.fromkeys(names)]
    return tuple(found)


def _folders(sought: Sought, target: Target) -> Iterator[tuple[str, str]]:
    found: dict[str, str] = {}
    for folder in sought.search:
        found.setdefault(folder, f"--search {folder}")
    variables = dict(sought.environment) if sought.host else {}
    for name, separators in _VARIABLES.get(target.os, ()):
        for folder in folders_of(variables.get(name, ""), *filter(None, [separators])):
            found.setdefault(folder, f"{name}: {folder}")
    yield from found.items()


def _inside(binaries: Sequence[Binary], target: Target) -> Iterator[tuple[str, str]]:
    """Yield name and path of the wheel's libraries, a file that has the name before one that only calls itself so.

    Different files of one name and architecture are left out: nobody can choose.
    """
    contents: dict[tuple[str, str], set[str]] = {}
    found: dict[tuple[str, str], Binary] = {}
    for binary in sorted(_libraries(binaries, target), key=lambda binary: binary.path):
        for name in names_of(binary):
            found[name, binary.path] = binary
            for image in binary.images:
                contents.setdefault((name, image.arch), set()).add(binary.sha256 or binary.path)
    for (name, path), binary in sorted(found.items(), key=lambda item: item[0][1].rpartition("/")[2] != item[0][0]):
        if all(len(contents[name, image.arch]) == 1 for image in binary.images):
            yield name, path


def _libraries(binaries: Iterable[Binary], target: Target) -> Iterator[Binary]:
    wanted = format_of_system(target.os)
    for binary in binaries:
        if binary.format == wanted and all(image.kind != "program" for image in binary.images):
            yield binary


# ---- what is asked for


def wanted(options: RepairOptions, search: "Search", reading: Reading, loads: Sequence[Load]) -> tuple[Wanted, ...]:
    """Return the files that `--include` asks for, each once; what the wheel has by that name is not asked for again.

    What the wheel needs is taken as it was found for that, in `loads`. Raises RepairRefused for what cannot be found.
    """
    needed = {r.target: r for load in loads for r in load.resolutions if r.how == How.OUTSIDE and r.target}
    own = _own(reading, search, loads)
    found: dict[str, Wanted] = {}
    refused: list[Refusal] = []
    for item in options.include:
        if not _is_in(item, own, search):
            chosen = _as_needed(item, needed, search) or list(search.find(item))
            refused += [] if chosen or any(search.fits(item, name) for name in own.names) else [search.refusal(item)]
            for path, via in chosen:
                seen = search.world.at(path, fold_case=search.sources.fold_case)
                if isinstance(seen, Binary) and not seen.owner and search.names(path, *names_of(seen)).isdisjoint(own.files):
                    found.setdefault(seen.path, Wanted(seen, via if via.startswith("--include") else f"--include {item}: {via}"))
    if refused:
        raise RepairRefused(tuple(refused))
    return tuple(found.values())


class _Own(NamedTuple):
    """How the wheel's own libraries are called."""

    names: frozenset[str]
    """Whatever they are asked for by."""
    files: frozenset[str]


def _own(reading: Reading, search: "Search", loads: Sequence[Load]) -> _Own:
    """Return the names of the wheel's libraries; those that are needed may have been renamed by an earlier repair."""
    libraries = tuple(_libraries(reading.binaries, search.target))
    met = {r.target for load in loads for r in load.resolutions}
    before = [_DIGITS.sub("", name) for binary in libraries if binary.path in met for name in names_of(binary)]
    names = (name for binary in libraries for name in names_of(binary))
    return _Own(search.names(*before, *names), search.names(*before, *(binary.path for binary in libraries)))


def _is_in(item: str, own: _Own, search: "Search") -> bool:
    """Tell whether the wheel has what is asked for, as after a repair."""
    return not is_wild(item) and not search.names(item).isdisjoint(own.files if _is_path(item) else own.names)


def _as_needed(item: str, needed: Mapping[str, Resolution], search: "Search") -> list[tuple[str, str]]:
    """Return path and rule of the files that fit an item and that the wheel needs."""
    if _is_path(item):
        return []
    return [(path, r.via) for path, r in needed.items() if any(search.fits(item, text) for text in (r.needed.name, path))]


class Search(NamedTuple):
    """Where files that were asked for are looked for."""

    sources: Sources
    host: Host | None
    world: PackageWorld
    arches: tuple[str, ...]
    target: Target

    def fits(self, item: str, text: str) -> bool:
        """Tell whether a name or path fits an item of `--include`."""
        return fits(item.replace("\\", "/").rpartition("/")[2], text, fold_case=self.sources.fold_case)

    def names(self, *texts: str) -> frozenset[str]:
        """Return the base names of paths, as they are compared."""
        leaves = (text.replace("\\", "/").rpartition("/")[2] for text in texts)
        return frozenset(leaf.casefold() if self.sources.fold_case else leaf for leaf in leaves)

    def find(self, item: str) -> Iterator[tuple[str, str]]:
        """Yield path and rule of what an item of `--include` means."""
        if is_wild(item):
            yield from self._matching(item)
        elif _is_path(item):
            yield from ((path, f"--include {item}") for path in (full_path(item),) if not self.fault(path))
        else:
            for arch in self.arches:
                found = ((path, via) for path, via in self.places(item) if not self.fault(path, arch))
                yield from ((path, via) for path, via in [next(found, ("", ""))] if path)

    def places(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield where a name is looked for."""
        yield from ((f"{folder.rstrip('/')}/{name}", via) for folder, via in self.sources.folders)
        if self.host:
            yield from ((path, "ld.so.cache") for path in self.host.named(name))
            yield from ((f"{folder.rstrip('/')}/{name}", self.host.via) for folder in self.host.directories)

    def _matching(self, pattern: str) -> Iterator[tuple[str, str]]:
        folder, _, leaf = pattern.replace("\\", "/").rpartition("/") if _is_path(pattern) else ("", "", pattern)
        places = ((full_path(folder), "--include " + pattern),) if folder else self.sources.folders
        for place, via in places:
            for name in self.world.names_in(place):
                path = f"{place.rstrip('/')}/{name}"
                if fits(leaf, name, fold_case=self.sources.fold_case) and not self.fault(path):
                    yield path, via

    def fault(self, path: str, arch: str = "") -> str:
        """Say why a file cannot be taken; "" when it can."""
        seen = self.world.at(path, fold_case=self.sources.fold_case)
        if not isinstance(seen, Binary) or seen.format != format_of_system(self.target.os):
            return _ABSENT if seen is None else "is no library of the wheel's platform"
        images = [image for image in seen.images if image.arch == arch or (not arch and image.arch in self.arches)]
        if not images:
            return f"is for {', '.join(image.arch for image in seen.images)}, not for {arch or ' or '.join(self.arches)}"
        if any(image.kind == "program" for image in images):
            return "is a program"
        if other := next(filter(None, (other_libc(image, libc_of(image, self.target)) for image in images)), ""):
            return f"was linked with another C library: {other}"
        reason = exclusion(self.sources, path, seen.path)
        return f"is left out by {reason}" if reason else ""

    def refusal(self, item: str) -> Refusal:
        """Say of an item that was not found where it was looked for."""
        if _is_path(item) and not is_wild(item):
            return Refusal(f"--include {item}: {self.fault(full_path(item))}", "name a library for the wheel's platform and architecture")
        tried = [f"{path} ({fault})" for path, _ in self.places(item) if (fault := self.fault(path)) and fault != _ABSENT]
        folders = [folder for folder, _ in self.sources.folders]
        folders += self.host.directories if self.host and not is_wild(item) else ()
        told = f": {'; '.join(tried)}" if tried else f" in {', '.join(folders)}" if folders else ": there is no folder to look into"
        return Refusal(f"--include {item} was not found{told}", "name the folder that holds it with `--search`, or the file by its path")


def _is_path(item: str) -> bool:
    return "/" in item or "\\" in item
