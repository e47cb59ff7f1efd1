"""Version information and side-by-side manifests, out of a PE file's resource tree.

Nothing here keeps a library from loading but a manifest, so whatever is wrong is a warning of the image and never makes it unreadable.
Specification: Microsoft's PE format, "The .rsrc Section"; "VS_VERSIONINFO structure"; "Manifest Files Reference".
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relocator.backends.windows.layout import RESOURCES, Layout
from relocator.errors import UnreadableBinary

_VERSION, _MANIFEST = 16, 24  # RT_VERSION, RT_MANIFEST
_OF_LIBRARY, _OF_PROGRAM = 2, 1
"""Which manifest the loader takes: ISOLATIONAWARE_MANIFEST_RESOURCE_ID, CREATEPROCESS_MANIFEST_RESOURCE_ID."""
_SUBDIRECTORY = 1 << 31
_FIXED_INFO = 0xFEEF04BD
_MOST_BYTES = 1 << 20
"""Larger version information or manifests do not exist."""

_DIRECTORY = struct.Struct("<12x2H")
_ENTRY = struct.Struct("<2I")
_DATA = struct.Struct("<2I")
_BLOCK = struct.Struct("<3H")


class Version(NamedTuple):
    """What VS_VERSIONINFO says."""

    file: str | None = None
    product: str | None = None
    strings: tuple[tuple[str, str], ...] = ()


def read_version(layout: Layout, warnings: list[str]) -> Version:
    """Return the version information; an empty one when there is none or it makes no sense."""
    try:
        raw = _find(layout, _VERSION)
        return _version(raw) if raw else Version()
    except (UnreadableBinary, struct.error) as error:
        warnings.append(f"version resource: {error}")
        return Version()


def read_manifest_dependencies(layout: Layout, is_library: bool, warnings: list[str]) -> tuple[str, ...]:
    """Return the names of the assemblies that the loader's manifest asks for."""
    try:
        raw = _find(layout, _MANIFEST, _OF_LIBRARY if is_library else _OF_PROGRAM)
        return tuple(_dependencies(_decoded(raw))) if raw else ()
    except UnreadableBinary as error:
        warnings.append(f"manifest resource: {error}")
        return ()


def _find(layout: Layout, kind: int, name: int | None = None) -> bytes:
    """Return the first resource of a type, in whatever language, of one name or any; b"" when there is none."""
    root = layout.region(RESOURCES)
    if root is None:
        return b""
    offset = 0
    for wanted in (kind, name, None):
        entries = _entries(layout, root.rva, offset)
        chosen = next((place for number, place in entries if wanted is None or number == wanted), None)
        if chosen is None:
            return b""
        offset = chosen & ~_SUBDIRECTORY
        if not chosen & _SUBDIRECTORY:
            break
    rva, size = _DATA.unpack(layout.cut(root.rva + offset, _DATA.size, "resource data entry"))
    if size > _MOST_BYTES:
        raise UnreadableBinary("resource data entry", f"{size} bytes are too many")
    return layout.cut(rva, size, "resource data")


def _entries(layout: Layout, root: int, offset: int) -> Iterator[tuple[int, int]]:
    """Return the numbered and named entries of one directory: number or name's place, and offset from the root."""
    named, numbered = _DIRECTORY.unpack(layout.cut(root + offset, _DIRECTORY.size, "resource directory"))
    raw = layout.cut(root + offset + _DIRECTORY.size, (named + numbered) * _ENTRY.size, "resource directory")
    return ((number, place) for number, place in _ENTRY.iter_unpack(raw))


class _Block(NamedTuple):
    """One node of VS_VERSIONINFO: its key and where its value and its end are."""

    key: str
    value: int
    value_size: int
    """In bytes, or for text in characters."""
    end: int


def _block(raw: bytes, start: int, limit: int) -> _Block:
    """Return the node at an offset; every node starts at a multiple of four and lies within its parent."""
    size, value_size, _ = _BLOCK.unpack_from(raw, start)
    end = start + size
    if size < _BLOCK.size or end > limit:
        raise UnreadableBinary("VS_VERSIONINFO", f"a block of {size} bytes does not fit into its parent", start)
    key, after = _wide(raw, start + _BLOCK.size, end)
    return _Block(key, min(_aligned(after), end), value_size, end)


def _aligned(offset: int) -> int:
    return (offset + 3) & ~3


def _wide(raw: bytes, start: int, limit: int) -> tuple[str, int]:
    """Return the UTF-16 string at an offset, up to its end mark or the limit, and the offset behind it."""
    end = start
    while end + 2 <= limit and raw[end : end + 2] != b"\0\0":
        end += 2
    return raw[start:end].decode("utf-16-le", "replace"), min(end + 2, limit)


def _children(raw: bytes, start: int, limit: int) -> Iterator[_Block]:
    start = _aligned(start)
    while start + _BLOCK.size <= limit:
        if not int.from_bytes(raw[start : start + 2], "little"):  # some compilers pad with zeros
            return
        block = _block(raw, start, limit)
        yield block
        start = _aligned(block.end)


def _version(raw: bytes) -> Version:
    root = _block(raw, 0, len(raw))
    file = product = None
    if root.value_size >= 24 and root.value + 24 <= root.end:
        signature, _, *words = struct.unpack_from("<6I", raw, root.value)
        if signature == _FIXED_INFO:
            file, product = _dotted(*words[:2]), _dotted(*words[2:])
    strings: dict[str, str] = {}
    for info in _children(raw, root.value + root.value_size, root.end):
        for table in _children(raw, info.value, info.end) if info.key == "StringFileInfo" else ():
            for entry in _children(raw, table.value, table.end):
                strings.setdefault(entry.key, _wide(raw, entry.value, entry.end)[0])
    return Version(file, product, tuple(sorted(strings.items())))


def _dotted(high: int, low: int) -> str:
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"


def _decoded(raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "replace")


def _dependencies(manifest: str) -> Iterator[str]:
    """Yield the assembly names between <dependency> and </dependency>; whatever namespace prefix the elements have."""
    start = 0
    while (start := manifest.find("dependency>", start)) >= 0:
        start += len("dependency>")
        if manifest[:start].rpartition("<")[2].startswith("/"):
            continue
        end = manifest.find("dependency>", start)
        element = manifest.find("assemblyIdentity", start, end if end >= 0 else len(manifest))
        if element >= 0 and (name := _attribute(manifest[element : manifest.find(">", element)], "name")):
            yield name


def _attribute(element: str, name: str) -> str:
    """Return the value of an attribute of a start tag; "" when it has none."""
    start = 0
    while (start := element.find(name, start)) >= 0:
        before, after = element[start - 1], element[start + len(name) :].lstrip()
        start += len(name)
        if before.isspace() and after.startswith("="):
            value = after[1:].lstrip()
            return value[1:].partition(value[0])[0] if value[:1] in ('"', "'") else ""
    return ""
