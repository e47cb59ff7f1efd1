"""Where the search paths of binaries lead: each element in use, with the one thing that is wrong with it.

An element is wrong in one way at most, the gravest, so that the rules about search paths never tell one fault twice.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from relocator.findings import Where
from relocator.libc import libc_of
from relocator.loading import directory, normalise
from relocator.model import Binary, Format, Image, Load, SearchPath, Survey
from relocator.native import ElfFacts


class Leads(Enum):
    """Where an element of a search path leads."""

    CURRENT = "to the current directory"
    WRITABLE = "to a directory where everybody may write"
    BUILD = "to a directory that only the build machine is known to have"
    ESCAPING = "out of the package"
    FINE = "into the package, or to one of the system's own directories"


class Element(NamedTuple):
    """One element of a search path that a loader reads."""

    binary: Binary
    image: Image
    position: int
    """Position in the list of its kind, from 0."""
    path: SearchPath
    target: str
    """Where it leads: an absolute path, normalised; "" when that depends on the process."""

    def where(self, label: str = "") -> Where:
        """Return its place, the same for every rule about search paths."""
        return Where(self.binary.member, self.image.arch, self.path.kind, self.position, self.path.text, label=label)


WRITABLE = (
    *("/tmp", "/var/tmp", "/usr/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/var/lock", "/run/shm"),
    *("/private/tmp", "/private/var/tmp", "/Users/Shared"),
)
"""Directories in which every user may make a subdirectory (mode 1777), as Linux distributions and macOS set them up."""

SYSTEM = {
    Format.ELF: ("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32"),
    Format.MACHO: ("/usr/lib", "/System"),
}
"""Directories that belong to the system, with all that lies below them."""

ANDROID = ("/system", "/system_ext", "/vendor", "/odm", "/product", "/apex")

_OWNERS = (
    ("/home/linuxbrew", "Homebrew's directory"),
    ("/opt/homebrew", "Homebrew's directory"),
    ("/usr/local/opt", "Homebrew's directory"),
    ("/usr/local/Cellar", "Homebrew's directory"),
    ("/opt/local", "MacPorts' directory"),
    ("/sw", "Fink's directory"),
    ("/usr/local", "what somebody installed by hand"),
    ("/opt/_internal", "a Python of the manylinux images"),
    ("/home", "a home directory"),
    ("/Users", "a home directory"),
    ("/root", "a home directory"),
    ("/github", "a CI runner's directory"),
    ("/__w", "a CI runner's directory"),
    ("/builds", "a CI runner's directory"),
    ("/project", "the source folder in a build container"),
    ("/io", "the source folder in a build container"),
    ("/Applications", "a directory of Xcode"),
    ("/Library/Developer", "a directory of Xcode"),
)
"""How the directories of build machines start, and whose they are; the first that fits counts."""

_CONDA = ("conda", "mamba", "miniforge", "/_h_env", "/_build_env")

_GLIBC_ORIGIN = re.compile(r"\$\{ORIGIN\}|\$ORIGIN(?![A-Za-z0-9_])")
_PLAIN_ORIGIN = re.compile(r"\$\{ORIGIN\}|\$ORIGIN")  # musl (ldso/dynlink.c, fixup_rpath) and bionic replace the bare text


def elements(survey: Survey, leads: Leads) -> Iterator[Element]:
    """Yield the elements that lead to such a place, each text once for an image, in the order of the survey.

    A DT_RPATH beside a DT_RUNPATH is left out, and so is one under Android: no loader reads it.
    """
    inside = _Inside(survey)
    for binary, image in survey.images():
        seen: set[str] = set()
        for element in in_use(survey, binary, image):
            if element.path.text not in seen and _leads(element, survey, inside) == leads:
                seen.add(element.path.text)
                yield element


def in_use(survey: Survey, binary: Binary, image: Image) -> Iterator[Element]:
    """Yield the elements of an image's search path that a loader reads, in its order."""
    counts = {"DT_RPATH": 0, "DT_RUNPATH": 0, "LC_RPATH": 0}
    facts = image.native if isinstance(image.native, ElfFacts) else None
    libc = _libc(survey, image)
    for path in image.search_paths:
        position = counts[path.kind]
        counts[path.kind] += 1
        dead = path.kind == "DT_RPATH" and facts is not None and (facts.runpath is not None or libc == "bionic")
        if not dead:
            yield Element(binary, image, position, path, _target(path, binary, image, libc))


def _libc(survey: Survey, image: Image) -> str:
    return libc_of(image, survey.target) if image.format == Format.ELF else ""


def _target(path: SearchPath, binary: Binary, image: Image, libc: str) -> str:
    """Expand an element; "" when it leads nowhere known before the process runs."""
    if path.text.startswith("/"):
        return normalise(path.text)
    own = directory(binary.path)
    if image.format == Format.MACHO:
        first, _, rest = path.text.partition("/")
        known = first == "@loader_path" or (first == "@executable_path" and image.kind == "program")
        return normalise(f"{own}/{rest}") if known else ""
    origin = _GLIBC_ORIGIN if libc == "glibc" else _PLAIN_ORIGIN
    return normalise(origin.sub(lambda _: own, path.text)) if origin.match(path.text) else ""


def _leads(element: Element, survey: Survey, inside: "_Inside") -> Leads:
    text, target = element.path.text, element.target
    if not target:
        return Leads.CURRENT if _is_current(element, survey) else Leads.FINE
    if not text.startswith("/"):
        return Leads.FINE if inside.holds(target) else Leads.ESCAPING
    if _below(target, WRITABLE):
        return Leads.WRITABLE
    system = SYSTEM.get(element.image.format, ()) + (ANDROID if survey.target.os == "android" else ())
    return Leads.FINE if _below(target, system) or target in inside.folders else Leads.BUILD


def owner_of(folder: str) -> str:
    """Say whose directory an absolute path is likely to be, "" when nothing tells."""
    if any(word in folder for word in _CONDA):
        return "a conda environment"
    return next((owner for start, owner in _OWNERS if _below(folder, (start,))), "")


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _is_current(element: Element, survey: Survey) -> bool:
    """Tell whether an element that is neither absolute nor relative to a file is looked up in the current directory."""
    text = element.path.text
    if element.image.format == Format.MACHO:
        return bool(text) and not text.startswith("@")  # dyld joins with a slash: an empty one leads to the root
    libc = _libc(survey, element.image)
    native = element.image.native
    whole = (native.rpath if element.path.kind == "DT_RPATH" else native.runpath) if isinstance(native, ElfFacts) else None
    if libc == "musl" and whole and whole.count("$") != len(_PLAIN_ORIGIN.findall(whole)):
        return False  # fixup_rpath: another dollar, and musl drops the whole list
    return bool(text) or (libc == "glibc" and bool(whole))  # an empty list is no empty element (dl-load.c, decompose_rpath)


class _Inside:
    """What belongs to the package: its top-level folders in site-packages, and the folders of its files elsewhere."""

    def __init__(self, survey: Survey) -> None:
        distributions = survey.container.distributions
        self.known = bool(distributions)
        self.roots = {distribution.root for distribution in distributions}
        paths = [binary.path for binary in survey.binaries if binary.owner]
        self.folders = {directory(path) for path in paths}
        self.tops = {f"{root}/{member.name.partition('/')[0]}" for root in self.roots for member in survey.container.members}
        for root in self.roots:
            self.tops |= {f"{root}/{path[len(root) + 1 :].partition('/')[0]}" for path in paths if path.startswith(root + "/")}

    def holds(self, folder: str) -> bool:
        """Tell whether a folder belongs to the package; always when nothing says where the package ends."""
        if not self.known or folder in self.roots:
            return True
        if _below(folder, tuple(self.roots)):
            return _below(folder, tuple(self.tops))
        return any(_below(folder, (own,)) for own in self.folders)


LOADED_WITH_PYTHON = frozenset({"libc.so.6", "libm.so.6"})
"""What every Python for glibc is linked with."""

_SUFFIX = " (current directory)"


def looked_for_at(survey: Survey, element: Element) -> str:
    """Return the first library that a load looks for along an element of a search path; "" when none comes so far."""
    if "looked_for_at" not in survey.memo:
        survey.memo["looked_for_at"] = _asked(survey)
    asked: dict[tuple[str, str], str] = survey.memo["looked_for_at"]
    via = f"{element.path.kind} of {element.binary.member}: {element.path.text or 'empty element'}"
    return asked.get((element.image.arch, via), "")


def _asked(survey: Survey) -> dict[tuple[str, str], str]:
    """Return by architecture and element, as the loaders' trails name it, the first library that a load looks for there."""
    asked: dict[tuple[str, str], str] = {}
    brought = {path for load in survey.loads for path in load.order if path != load.root}
    for load in survey.loads:
        here = _present(load, survey, brought)
        for resolution in load.resolutions if here is not None else ():
            if here and resolution.needed.name in here:
                continue
            for tried in resolution.tried:
                asked.setdefault((load.arch, tried.via.removesuffix(_SUFFIX)), resolution.needed.name)
    return asked


def _present(load: Load, survey: Survey, brought: set[str]) -> frozenset[str] | None:
    """Return what is in the process before a load; None for the load of a library that others bring, which nobody opens alone."""
    root = survey.binary_at(load.root)
    image = root.image(load.arch) if root else None
    if image is not None and image.kind == "program":
        return frozenset()
    return LOADED_WITH_PYTHON if (root and root.extension) or load.root not in brought else None
