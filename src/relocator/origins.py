"""Which package of this machine a file came with: for the list of what was brought into a wheel.

A package manager's database lies at a fixed place below the root that it manages: "/", a conda environment, an MSYS2 installation, a
system root for cross builds. So every folder above a file may be such a root, and the nearest one that knows the file is right. All
databases but rpm's are text and are read; rpm's own program is asked. What is missing or damaged is as if it were not there.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple

from relocator.files import on_disk
from relocator.model import Binary, Image
from relocator.native import ElfFacts, MachOFacts, PeFacts

_LIMIT = 256 << 20
"""Bytes of one file of a database that are looked at."""

_PATIENCE = 30
"""Seconds that rpm is waited for."""

_RPM_FORMAT = "%{NAME}\t%{EPOCH}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\n"
_CELLAR = re.compile(r"(.*/Cellar/([^/]+)/([^/]+))/.")
_SHARED_OBJECT = re.compile(r"(.+?)\.so(?:\.[\w.]+)?")
_DYLIB = re.compile(r"(.+?)(?:\.\d[\w.]*)?\.dylib")
_NOTE_TYPES = {"rpm": "rpm", "deb": "deb", "apk": "apk", "alpm": "alpm", "pacman": "alpm"}


class Provenance(NamedTuple):
    """What a file is a part of, in the words of package URLs."""

    source: str
    """Who says so: "dpkg", "apk", "rpm", "pacman", "MSYS2", "conda-meta", "Homebrew", "package note", "version resource", "install name"
    or "file name"."""
    type: str
    """As package URLs have it: "deb", "apk", "rpm", "alpm", "conda", "brew" or "generic"."""
    namespace: str
    name: str
    version: str = ""
    """"" when nobody says."""
    qualifiers: tuple[tuple[str, str], ...] = ()
    supplier: str = ""
    built_from: str = ""
    """The source package, where it has another name."""


def provenance(binaries: Iterable[Binary], others: Iterable[str] = ()) -> dict[str, Provenance]:
    """Return, for each file of this machine by its path, the package that it came with; where no package manager knows it, what it says
    itself.

    `others` are paths of files that are no binaries. Never raises for what lies on the disk.
    """
    images = {binary.path: binary.images for binary in binaries} | dict.fromkeys(others, ())
    owned = _owned(tuple(images))
    return {path: owned.get(path) or _told_by_itself(path, own) for path, own in images.items()}


# ---- roots


Wanted = Set[str]
"""Paths relative to a root, with "/"."""

_FREE = ("home/", "root/", "tmp/", "usr/local/", "var/tmp/")
"""Where no package of a distribution has files (FHS 3.0): to look for them in all of its lists takes a tenth of a second."""

Lookup = Callable[[str, Wanted], Iterator[tuple[str, Provenance]]]
"""Yields those of the wanted paths that a root's database knows."""


def _owned(paths: Sequence[str]) -> dict[str, Provenance]:
    real = {path: os.path.realpath(on_disk(path)) for path in paths if "\0" not in path}
    found = {path: keg for path, place in real.items() if (keg := _homebrew(place.replace(os.sep, "/")))}
    below: dict[str, list[str]] = {}
    for path, place in real.items():
        for root in _above(place):
            below.setdefault(root, []).append(path)
    for root in sorted(below, key=len, reverse=True):
        free = _FREE if os.path.dirname(root) == root else ()
        names = {path: os.path.relpath(real[path], root).replace(os.sep, "/") for path in below[root] if path not in found}
        asked = {path: _spellings(name) for path, name in names.items() if not name.startswith(free)}
        known = _known(root, {name for spelled in asked.values() for name in spelled}) if asked else {}
        found.update((path, known[name]) for path, spelled in asked.items() for name in reversed(spelled) if name in known)
    return found


def _above(place: str) -> Iterator[str]:
    while (folder := os.path.dirname(place)) != place:
        yield folder
        place = folder


def _spellings(relative: str) -> tuple[str, ...]:
    """Return a path and how a database may have it that was written before /lib became a link to /usr/lib."""
    return relative, relative.removeprefix("usr/") if relative.startswith("usr/") else f"usr/{relative}"


def _known(root: str, wanted: Wanted) -> dict[str, Provenance]:
    known: dict[str, Provenance] = {}
    for database, lookup in _DATABASES.items():
        if os.path.exists(os.path.join(root, database)):
            known.update((name, owner) for name, owner in lookup(root, wanted) if name not in known)
    return known


def _distribution(root: str, otherwise: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the distribution's id, and the qualifier that names its release (os-release(5))."""
    text = _read(root, "etc/os-release") or _read(root, "usr/lib/os-release")
    pairs = (line.partition("=") for line in _text(text).splitlines())
    said = {key: value.strip("\"'") for key, _, value in pairs}
    name, release = said.get("ID", ""), said.get("VERSION_ID", "") or said.get("VERSION_CODENAME", "")
    return name or otherwise, (("distro", f"{name}-{release}" if release else name),) if name else ()


# ---- databases


def _dpkg(root: str, wanted: Wanted) -> Iterator[tuple[str, Provenance]]:
    """Look into the lists of files, one for each package, then for the package's paragraph in status."""
    lines = {os.fsencode(f"/{name}"): name for name in wanted}
    owners: dict[str, list[str]] = {}
    for entry in _listed(root, "var/lib/dpkg/info"):
        if entry.endswith(".list"):
            for line in lines.keys() & _read(root, "var/lib/dpkg/info", entry).split(b"\n"):
                owners.setdefault(entry.removesuffix(".list"), []).append(lines[line])
    packages = _paragraphs(_read(root, "var/lib/dpkg/status"), {owner.partition(":")[0] for owner in owners}) if owners else {}
    namespace, distro = _distribution(root, "debian")
    for owner, names in owners.items():
        plain, _, arch = owner.partition(":")
        fields = packages.get(owner) or packages.get(plain, {})
        arch = fields.get("Architecture", arch)
        built_from = fields.get("Source", "").partition(" ")[0]
        qualifiers = (*((("arch", arch),) if arch else ()), *distro)
        package = Provenance("dpkg", "deb", namespace, plain, fields.get("Version", ""), qualifiers, built_from=built_from)
        yield from ((name, package) for name in names)


def _paragraphs(status: bytes, wanted: Wanted) -> dict[str, dict[str, str]]:
    """Return the fields of the wanted packages, by name, and by name and architecture where packages of several are installed."""
    found: dict[str, dict[str, str]] = {}
    for paragraph in status.split(b"\n\n"):
        head = paragraph.lstrip(b"\n").partition(b"\n")[0]
        name = _text(head.removeprefix(b"Package:")).strip()
        if name in wanted:
            pairs = (line.partition(": ") for line in _text(paragraph).split("\n") if line[:1] not in ("", " "))
            fields = {key: value.strip() for key, _, value in pairs}
            found[name] = found[f"{name}:{fields.get('Architecture', '')}"] = fields
    return found


def _apk(root: str, wanted: Wanted) -> Iterator[tuple[str, Provenance]]:
    """Go through the one file that has all: letter, colon, value; what is said of a package comes before its files."""
    namespace, distro = _distribution(root, "alpine")
    fields: dict[str, str] = {}
    for line in _text(_read(root, "lib/apk/db/installed") or _read(root, "usr/lib/apk/db/installed")).split("\n"):
        letter, _, value = line.partition(":")
        if not line:
            fields = {}
        elif letter == "R":
            name = f"{fields['F']}/{value}" if fields.get("F") else value
            if name in wanted and fields.get("P"):
                own, qualifiers = fields["P"], (*_qualifiers(arch=fields.get("A")), *distro)
                built_from = fields.get("o", "") if fields.get("o") != own else ""
                yield name, Provenance("apk", "apk", namespace, own, fields.get("V", ""), qualifiers, built_from=built_from)
        else:
            fields[letter] = value


def _pacman(root: str, wanted: Wanted) -> Iterator[tuple[str, Provenance]]:
    """Look into a folder for each package: `files` and `desc`, both with lines below headings."""
    for entry in _listed(root, "var/lib/pacman/local"):
        names = wanted & set(_text(_read(root, "var/lib/pacman/local", entry, "files")).splitlines())
        if names:
            said = _headed(_text(_read(root, "var/lib/pacman/local", entry, "desc")))
            if own := said.get("NAME", ""):
                namespace, distro = _distribution(root, "arch")
                msys = namespace == "msys2" or own.startswith("mingw-w64-")
                base = said.get("BASE", "") if said.get("BASE") != own else ""
                qualifiers = (*_qualifiers(arch=said.get("ARCH")), *(() if msys else distro))
                place = ("MSYS2", "alpm", "msys") if msys else ("pacman", "alpm", namespace)
                yield from ((name, Provenance(*place, own, said.get("VERSION", ""), qualifiers, built_from=base)) for name in names)


def _headed(text: str) -> dict[str, str]:
    """Return the first line below each heading %NAME%."""
    lines = text.splitlines()
    return {line.strip("%"): lines[at + 1] for at, line in enumerate(lines[:-1]) if len(line) > 2 and line[0] == line[-1] == "%"}


def _conda(root: str, wanted: Wanted) -> Iterator[tuple[str, Provenance]]:
    """Look into the record of each package."""
    leaves = {leaf.encode("utf-8", "surrogatepass") for name in wanted for leaf in _leaves(name)}
    for entry in _listed(root, "conda-meta"):
        data = _read(root, "conda-meta", entry) if entry.endswith(".json") else b""
        if any(leaf in data for leaf in leaves):  # to parse them all takes seconds where hundreds are installed
            record = _object(data)
            files = record.get("files")
            names = wanted & {name for name in files if isinstance(name, str)} if isinstance(files, list) else ()
            own = _string(record, "name")
            yield from ((name, _of_conda(record, own)) for name in names if own)


def _leaves(name: str) -> tuple[str, str]:
    leaf = name.rpartition("/")[2]
    return leaf, json.dumps(leaf)[1:-1]


def _of_conda(record: dict[str, Any], name: str) -> Provenance:
    subdir = _string(record, "subdir")
    channel = _string(record, "channel").rstrip("/").removesuffix(f"/{subdir}").rpartition("/")[2]  # a channel's address may hold a token
    packed = _string(record, "fn")
    kind = next((ending for ending in ("conda", "tar.bz2") if packed.endswith(f".{ending}")), "")
    qualifiers = _qualifiers(build=_string(record, "build"), channel=channel, subdir=subdir, type=kind)
    return Provenance("conda-meta", "conda", "", name, _string(record, "version"), qualifiers)


def _rpm(root: str, wanted: Wanted) -> Iterator[tuple[str, Provenance]]:
    """Ask rpm: how its database is written has changed three times."""
    namespace, distro = _distribution(root, "")
    database = next(place for place in _RPM_PLACES if os.path.exists(os.path.join(root, place)))
    where = () if os.path.dirname(root) == root else ("--dbpath", os.path.join(root, database))
    for name in sorted(wanted):
        columns = _answer(("rpm", *where, "-qf", "--qf", _RPM_FORMAT, f"/{name}")).partition("\n")[0].split("\t")
        if len(columns) == 5:
            own, epoch, version, arch, built_from = (column if column != "(none)" else "" for column in columns)
            qualifiers = (*_qualifiers(arch=arch, epoch=epoch if epoch != "0" else ""), *distro)
            yield name, Provenance("rpm", "rpm", namespace, own, version, qualifiers, built_from=built_from)


def _answer(command: Sequence[str]) -> str:
    """Return what a program prints; "" when there is none, or when it finds nothing or takes too long."""
    import subprocess  # noqa: PLC0415  only where there is such a database

    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=False)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return _text(done.stdout) if done.returncode == 0 else ""


_RPM_PLACES = ("usr/lib/sysimage/rpm", "var/lib/rpm")

_DATABASES: dict[str, Lookup] = {
    "conda-meta": _conda,
    "var/lib/dpkg/info": _dpkg,
    "lib/apk/db/installed": _apk,
    "usr/lib/apk/db/installed": _apk,
    "var/lib/pacman/local": _pacman,
    **dict.fromkeys(_RPM_PLACES, _rpm),
}
"""By what lies below a root."""


def _homebrew(place: str) -> Provenance | None:
    """Return the keg that a file lies in: CELLAR/NAME/VERSION/... (docs.brew.sh, "Formula Cookbook")."""
    keg = _CELLAR.match(place)
    if keg is None:
        return None
    source = _object(_read(keg[1], "INSTALL_RECEIPT.json")).get("source")
    tap = _string(source, "tap") if isinstance(source, dict) else ""
    return Provenance("Homebrew", "brew", tap if tap != "homebrew/core" else "", keg[2], keg[3])


# ---- what a file says itself


def _told_by_itself(path: str, images: Sequence[Image]) -> Provenance:
    leaf = path.rpartition("/")[2]
    for image in images:
        if found := _told_by(image, leaf):
            return found
    identity = next((image.identity for image in images if image.identity), "").rpartition("/")[2]
    return Provenance("file name", "generic", "", _plain(identity or leaf))


def _told_by(image: Image, leaf: str) -> Provenance | None:
    match image.native:
        case ElfFacts(package_note=str(note)):
            return _of_note(_object(note.encode("utf-8", "surrogatepass")))
        case PeFacts(product_version=product, file_version=file, version_strings=strings) if product or file:
            said = dict(strings)
            name = said.get("OriginalFilename", "")
            version = next((version for version in (product, file) if version and version != "0.0.0.0"), "")
            own = _plain(name if name.lower().endswith(".dll") else leaf)
            return Provenance("version resource", "generic", "", own, version, supplier=said.get("CompanyName", "").strip())
        case MachOFacts(identity=identity) if identity is not None and identity.current_version:
            packed = identity.current_version
            version = f"{packed >> 16}.{packed >> 8 & 0xFF}.{packed & 0xFF}"
            return Provenance("install name", "generic", "", _plain(identity.name.rpartition("/")[2] or leaf), version)
    return None


def _of_note(note: dict[str, Any]) -> Provenance | None:
    """Return what a .note.package says (systemd, "Package Metadata for Executable Files")."""
    name = _string(note, "name")
    if not name:
        return None
    kind, system, release = _NOTE_TYPES.get(_string(note, "type"), "generic"), _string(note, "os"), _string(note, "osVersion")
    distro = f"{system}-{release}" if system and release else system
    qualifiers = _qualifiers(arch=_string(note, "architecture"), distro=distro)
    return Provenance("package note", kind, system if kind != "generic" else "", name, _string(note, "version"), qualifiers)


def _plain(name: str) -> str:
    """Return a library's name without its ending and version: libpng16.so.16 and libpng16.16.dylib are libpng16."""
    found = _SHARED_OBJECT.fullmatch(name) or _DYLIB.fullmatch(name)
    return found[1] if found else name[:-4] if name[-4:].lower() in (".dll", ".pdb", ".lib") and len(name) > 4 else name


# ---- the disk


def _read(*parts: str) -> bytes:
    try:
        with open(os.path.join(*parts), "rb") as file:
            return file.read(_LIMIT)
    except (OSError, ValueError):
        return b""


def _listed(*parts: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(*parts)))
    except (OSError, ValueError):
        return []


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _object(data: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _string(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _qualifiers(**values: str | None) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in values.items() if value)
