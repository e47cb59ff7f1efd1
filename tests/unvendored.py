"""Takes the vendored libraries out of a released wheel again: what its build gave, before a repair.

The libraries go into a folder under the names that they had, their needs and search paths are put back, the patches of `__init__.py` are
taken out, and the wheel gets the tag of the machine that it was built on. Our own editor does it, so that the loaders of this machine can
be asked about the result.
"""

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from relocator.backends import backend_for, identify
from relocator.model import Format, Image
from relocator.native import PeFacts
from relocator.plans import Edit, PathKind, ReplaceNeeded, Resign, SetIdentity, SetSearchPaths, apply_patches

PREFIX = "/opt/v"
"""Where the libraries of macOS wheels claim to lie: short, so that the names fit where the shorter ones were."""

_HASH = re.compile(r"-(?:[0-9a-f]{32}|[0-9a-f]{8})(?=\.|$)")
_VENDORED = re.compile(r"(?:^|/)(?:[\w.]+\.libs|\.dylibs)/[^/]+$")
_PATCH = re.compile(rb"\n*# start delvewheel patch\n.*?# end delvewheel patch\n+", re.DOTALL)
_BY_TOOLS = re.compile(r"(?:^|/)(?:\.load-order-[^/]*|DELVEWHEEL)$|/sboms/auditwheel[^/]*$")


@dataclass
class Unvendored:
    """A wheel as it was before its repair."""

    wheel: Path
    libraries: Path
    """The folder of the libraries that it needs."""
    names: dict[str, str] = field(default_factory=dict)
    """Name of each library in the folder -> the member that it was in the released wheel."""


@dataclass
class _Member:
    info: zipfile.ZipInfo
    data: bytes
    images: tuple[Image, ...] = ()


def unvendor(wheel: Path, folder: Path) -> Unvendored:
    """Write the wheel without its libraries, and the libraries, below a folder."""
    with zipfile.ZipFile(wheel) as archive:
        members = [_Member(info, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
    for member in members:
        backend = identify(member.data[:64])
        member.images = backend.read(memoryview(member.data)) if backend else ()
    vendored = {member.info.filename for member in members if member.images and _VENDORED.search(member.info.filename)}
    libraries = folder / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    found = Unvendored(folder / _name(wheel.name, members), libraries)
    kept = []
    for member in members:
        name = member.info.filename
        if member.images:
            member.data = _edited(member, name in vendored, {Path(one).name for one in vendored})
        if name in vendored:
            plain = original(Path(name).name)
            (libraries / plain).write_bytes(member.data)
            found.names[plain] = name
        elif not _BY_TOOLS.search(name):
            kept.append(member)
    _write(found.wheel, kept)
    return found


def original(name: str) -> str:
    """Return the name of a library before a repair gave it a hash."""
    return _HASH.sub("", name, count=1)


def _name(file_name: str, members: Iterable[_Member]) -> str:
    head, _, platforms = file_name.removesuffix(".whl").rpartition("-")
    if any(image.format == Format.ELF for member in members for image in member.images):
        first = platforms.split(".")[0]
        arch = re.sub(r"^(many|musl)linux(?:\d+|_\d+_\d+)_", "", first)
        platforms = f"linux_{arch}"
    return f"{head}-{platforms}.whl"


def _edited(member: _Member, vendored: bool, libraries: set[str]) -> bytes:
    edits = list(dict.fromkeys(edit for image in member.images for edit in _edits(image, vendored, libraries)))
    if not edits:
        return member.data
    backend = backend_for(member.images[0].format)
    return bytes(apply_patches(member.data, backend.prepare(memoryview(member.data), edits)))


def _edits(image: Image, vendored: bool, libraries: set[str]) -> Iterator[Edit]:
    for need in image.needed:
        leaf = need.name.rpartition("/")[2]
        if leaf in libraries:
            plain = original(leaf)
            new = f"{PREFIX}/{plain}" if image.format == Format.MACHO else plain
            if new != need.name:
                yield ReplaceNeeded(need.name, new)
    if vendored and image.identity:
        plain = original(image.identity.rpartition("/")[2])
        new = f"{PREFIX}/{plain}" if image.format == Format.MACHO else plain
        if new != image.identity:
            yield SetIdentity(new)
    paths = [path.text for path in image.search_paths]
    inside = [path for path in paths if not re.search(r"\.libs/?$|\.dylibs/?$", path)]
    if image.format == Format.ELF and (paths != inside or (vendored and paths)):
        yield SetSearchPaths(() if vendored else tuple(inside), PathKind.KEEP)
    if isinstance(image.native, PeFacts) and image.native.certificate_size:
        yield Resign()


def _write(path: Path, members: list[_Member]) -> None:
    record = next(member for member in members if member.info.filename.endswith(".dist-info/RECORD"))
    wheel = next(member for member in members if member.info.filename.endswith(".dist-info/WHEEL"))
    tags = path.name.removesuffix(".whl").split("-")[-3:]
    lines = [line for line in wheel.data.decode().splitlines() if not line.startswith("Tag:")]
    expanded = [f"Tag: {p}-{a}-{m}" for p in tags[0].split(".") for a in tags[1].split(".") for m in tags[2].split(".")]
    wheel.data = "\n".join([*filter(None, lines), *expanded, ""]).encode()
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in members:
            if member is record:
                continue
            if member.info.filename.endswith(".py"):
                member.data = _PATCH.sub(b"\n", member.data.replace(b"\r\n", b"\n") if b"delvewheel" in member.data else member.data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(member.data).digest()).rstrip(b"=").decode()
            name = member.info.filename
            rows.append(f'"{name}",sha256={digest},{len(member.data)}' if "," in name else f"{name},sha256={digest},{len(member.data)}")
            archive.writestr(member.info, member.data, zipfile.ZIP_DEFLATED)
        rows.append(f"{record.info.filename},,\n")
        archive.writestr(record.info, "\n".join(rows))
