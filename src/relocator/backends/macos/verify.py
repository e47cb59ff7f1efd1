"""A second opinion on Mach-O files by parsers that are not ours: macholib, and LIEF where macholib cannot read the file.

Only for tests and for what was rewritten; heavy, and the one place of this backend that touches the disk (macholib opens files by name).
"""

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from relocator.backends.macos.read import arch_name
from relocator.model import Image

_NEEDED = {0xC, 0x80000018, 0x8000001F, 0x20, 0x80000023}  # LC_LOAD_DYLIB, _WEAK_, LC_REEXPORT_DYLIB, LC_LAZY_, LC_LOAD_UPWARD_DYLIB
_ID_DYLIB, _RPATH = 0xD, 0x8000001C
_DYLIB_FIELDS = 24  # bytes of a dylib_command before its name


class Reading(NamedTuple):
    """What a dynamic loader acts on in one slice."""

    arch: str
    identity: str | None
    needed: tuple[str, ...]
    search_paths: tuple[str, ...]


def second_reading(data: bytes) -> tuple[Reading, ...] | None:
    """Return one reading per slice, by macholib or else by LIEF; None when neither can read the file or LIEF is not installed."""
    return _named_reading(data)[1]


def _named_reading(data: bytes) -> tuple[str, tuple[Reading, ...] | None]:
    try:
        return "macholib", tuple(_by_macholib(data))
    except (ValueError, OSError, LookupError):  # macholib has no error of its own; unknown load commands are a ValueError
        return "LIEF", _by_lief(data)


def differences(images: Sequence[Image], data: bytes) -> tuple[str, ...]:
    """Return one line for each point on which the second reading contradicts ours; raise nothing for an unreadable file but say so."""
    return opinion(images, data)[1]


def opinion(images: Sequence[Image], data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the name of the parser that read the file, and `differences`."""
    name, theirs = _named_reading(data)
    return (name, ("no second parser can read the file",)) if theirs is None else (name, _contradictions(images, theirs))


def deep_differences(old: bytes, new: bytes, images: Sequence[Image]) -> tuple[str, ...] | None:
    """Return one line for each point on which LIEF contradicts our reading of the new bytes, or finds symbols or bindings that differ.

    None when LIEF is not installed or cannot read the old bytes.
    """
    before = _lief_slices(old)
    if before is None:
        return None
    after = _lief_slices(new)
    if after is None or len(after) != len(before):
        return ("LIEF cannot read the new file",)
    found = list(_contradictions(images, _lief_readings(after)))
    for index in range(len(before)):
        found += [f"{name}: differ from the original's" for name, ask in _LIEF_TABLES if ask(before.at(index)) != ask(after.at(index))]
    return tuple(found)


def _lief_symbols(binary: Any) -> list[tuple[object, ...]]:
    return [(symbol.name, symbol.value, int(symbol.raw_type), symbol.description) for symbol in binary.symbols]


def _lief_bindings(binary: Any) -> list[tuple[object, ...]]:
    return [
        (binding.address, binding.addend, binding.library_ordinal, binding.symbol.name if binding.has_symbol else "")
        for binding in binary.bindings
    ]


def _lief_relocations(binary: Any) -> list[tuple[object, ...]]:
    return [(relocation.address, relocation.size) for relocation in binary.relocations]


_LIEF_TABLES = (("symbols", _lief_symbols), ("bindings", _lief_bindings), ("relocations", _lief_relocations))


def _contradictions(images: Sequence[Image], theirs: Sequence[Reading]) -> tuple[str, ...]:
    ours = [_of_image(image) for image in images]
    if len(ours) != len(theirs):
        return (f"slices: {[r.arch for r in ours]}, second reading {[r.arch for r in theirs]}",)
    return tuple(
        f"{mine.arch}: {name}: {ours_value!r}, second reading {theirs_value!r}"
        for mine, other in zip(ours, theirs, strict=True)
        for name, ours_value, theirs_value in zip(Reading._fields, mine, other, strict=True)
        if ours_value != theirs_value
    )


def _of_image(image: Image) -> Reading:
    needed = tuple(need.name for need in image.needed)
    return Reading(image.arch, image.identity, needed, tuple(path.text for path in image.search_paths))


def _by_macholib(data: bytes) -> Iterator[Reading]:
    from macholib.MachO import MachO  # noqa: PLC0415  26 ms that reading does not need

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        for header in MachO(str(path)).headers:
            names: dict[int, list[str]] = {}
            for load_command, fields, rest in header.commands:
                names.setdefault(int(load_command.cmd), []).append(_tail(fields, rest))
            needed = tuple(_tail(fields, rest) for command, fields, rest in header.commands if int(command.cmd) in _NEEDED)
            identity = next(iter(names.get(_ID_DYLIB, ())), None)
            arch = arch_name(header.header.cputype & 0xFFFFFFFF, header.header.cpusubtype & 0xFFFFFFFF)
            yield Reading(arch, identity, needed, tuple(names.get(_RPATH, ())))


def _tail(fields: Any, rest: Any) -> str:
    """Return the string behind a command's fields; macholib hands over all that follows unread, the flags of dylib_use_command too."""
    raw = rest if isinstance(rest, bytes) else b""
    flags = max(int(getattr(fields, "name", 0)) - _DYLIB_FIELDS, 0)
    return raw[flags:].rstrip(b"\0").lstrip(b"\0").partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _lief_slices(data: bytes) -> Any:
    """Return LIEF's reading of the file; None when it cannot, or is not installed."""
    try:
        import lief  # noqa: PLC0415  half a second, and an extra
    except ImportError:
        return None
    return lief.MachO.parse(io.BytesIO(data))


def _by_lief(data: bytes) -> tuple[Reading, ...] | None:
    fat = _lief_slices(data)
    return None if fat is None else _lief_readings(fat)


def _lief_readings(fat: Any) -> tuple[Reading, ...]:
    import lief  # noqa: PLC0415

    return tuple(
        Reading(
            arch_name(int(binary.header.cpu_type.value) & 0xFFFFFFFF, int(binary.header.cpu_subtype) & 0xFFFFFFFF),
            next((c.name for c in binary.commands if isinstance(c, lief.MachO.DylibCommand) and int(c.command.value) == _ID_DYLIB), None),
            tuple(library.name for library in binary.libraries if int(library.command.value) in _NEEDED),
            tuple(str(rpath.path) for rpath in binary.rpaths),
        )
        for binary in fat
    )
