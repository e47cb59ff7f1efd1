"""A second opinion on Mach-O files by parsers that are not ours: macholib, and LIEF where macholib cannot read the file.

Only for tests and for what was rewritten; heavy, and the one place of this backend that touches the disk (macholib opens files by name).
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from relocator.backends.macos.read import arch_name
from relocator.model import Image

_NEEDED = {0xC, 0x80000018, 0x8000001F, 0x20, 0x80000023}  # LC_LOAD_DYLIB, _WEAK_, LC_REEXPORT_DYLIB, LC_LAZY_, LC_LOAD_UPWARD_DYLIB
_ID_DYLIB, _RPATH = 0xD, 0x8000001C


class Reading(NamedTuple):
    """What a dynamic loader acts on in one slice."""

    arch: str
    identity: str | None
    needed: tuple[str, ...]
    search_paths: tuple[str, ...]


def second_reading(data: bytes) -> tuple[Reading, ...] | None:
    """Return one reading per slice, by macholib or else by LIEF; None when neither can read the file or LIEF is not installed."""
    try:
        return tuple(_by_macholib(data))
    except (ValueError, OSError, LookupError):  # macholib has no error of its own; unknown load commands are a ValueError
        return _by_lief(data)


def differences(images: Sequence[Image], data: bytes) -> tuple[str, ...]:
    """Return one line for each point on which the second reading contradicts ours; raise nothing for an unreadable file but say so."""
    theirs = second_reading(data)
    if theirs is None:
        return ("no second parser can read the file",)
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
            for load_command, _, rest in header.commands:
                names.setdefault(int(load_command.cmd), []).append(_tail(rest))
            needed = tuple(_tail(rest) for command, _, rest in header.commands if int(command.cmd) in _NEEDED)
            identity = next(iter(names.get(_ID_DYLIB, ())), None)
            arch = arch_name(header.header.cputype & 0xFFFFFFFF, header.header.cpusubtype & 0xFFFFFFFF)
            yield Reading(arch, identity, needed, tuple(names.get(_RPATH, ())))


def _tail(rest: Any) -> str:
    """Return the string that follows a command's fields; macholib hands over what lies behind them unread."""
    raw = rest if isinstance(rest, bytes) else b""
    return raw.rstrip(b"\0").lstrip(b"\0").partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _by_lief(data: bytes) -> tuple[Reading, ...] | None:
    try:
        import lief  # noqa: PLC0415  half a second, and an extra
    except ImportError:
        return None
    fat = lief.MachO.parse(list(data))
    if fat is None:
        return None
    return tuple(
        Reading(
            arch_name(int(binary.header.cpu_type.value) & 0xFFFFFFFF, int(binary.header.cpu_subtype) & 0xFFFFFFFF),
            next((c.name for c in binary.commands if isinstance(c, lief.MachO.DylibCommand) and int(c.command.value) == _ID_DYLIB), None),
            tuple(library.name for library in binary.libraries if int(library.command.value) in _NEEDED),
            tuple(str(rpath.path) for rpath in binary.rpaths),
        )
        for binary in fat
    )
