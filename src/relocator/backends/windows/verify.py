"""A second opinion on PE files by parsers that are not ours: pefile, and LIEF where pefile cannot read the file.

Only for tests and for what was rewritten; heavy. pefile stops at 8,192 imports and gives names to some ordinals, so that it is asked for
the names of libraries alone.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from relocator.backends.windows.read import arch_name
from relocator.model import Image, NeedKind
from relocator.native import PeFacts

_EXPORTS, _IMPORTS, _LOAD_CONFIG, _DELAY_IMPORTS = 0, 1, 10, 13
_INVALID = b"*invalid*"
"""What pefile puts in the place of a name that no DOS file has."""


class Reading(NamedTuple):
    """What the loader acts on in one file."""

    arch: str
    identity: str | None
    needed: tuple[str, ...]
    delayed: tuple[str, ...]
    forwarders: tuple[str, ...]
    dependent_load_flags: int


def second_reading(data: bytes) -> tuple[Reading, ...] | None:
    """Return one reading, by pefile or else by LIEF; None when neither can read the file or LIEF is not installed."""
    return _named_reading(data)[1]


def _named_reading(data: bytes) -> tuple[str, tuple[Reading, ...] | None]:
    found = _by_pefile(data)
    name, reading = ("pefile", found) if found else ("LIEF", _by_lief(data))
    return name, (reading,) if reading else None


def differences(images: Sequence[Image], data: bytes) -> tuple[str, ...]:
    """Return one line for each point on which the second reading contradicts ours; raise nothing for an unreadable file but say so."""
    return opinion(images, data)[1]


def opinion(images: Sequence[Image], data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the name of the parser that read the file, and `differences`."""
    name, theirs = _named_reading(data)
    return (name, ("no second parser can read the file",)) if theirs is None else (name, _contradictions(images, theirs))


def deep_differences(old: bytes, new: bytes, images: Sequence[Image]) -> tuple[str, ...] | None:
    """Return one line for each point on which LIEF contradicts our reading of the new bytes, or finds imports or relocations that differ.

    None when LIEF is not installed or cannot read the old bytes. What edits add is expected at the end.
    """
    before = _lief_file(old)
    if before is None:
        return None
    after = _lief_file(new)
    if after is None:
        return ("LIEF cannot read the new file",)
    found = list(_contradictions(images, (_lief_reading(after),)))
    for name, ask in _LIEF_TABLES:
        was, now = ask(before), ask(after)
        if now[: len(was)] != was:
            found.append(f"{name}: differ from the original's")
    return tuple(found)


def _lief_imports(file: Any) -> list[tuple[object, ...]]:
    """Return each imported symbol with the address at which the loader puts its own."""
    return [(entry.iat_address, entry.data) for item in file.imports for entry in item.entries]


def _lief_exports(file: Any) -> list[tuple[object, ...]]:
    entries = file.get_export().entries if file.has_exports else ()
    return [(entry.name, entry.ordinal, None if entry.is_forwarded else entry.address) for entry in entries]


def _lief_relocations(file: Any) -> list[tuple[object, ...]]:
    return [(block.virtual_address, entry.position, int(entry.type.value)) for block in file.relocations for entry in block.entries]


_LIEF_TABLES = (("imported symbols", _lief_imports), ("exported symbols", _lief_exports), ("relocations", _lief_relocations))


def _contradictions(images: Sequence[Image], theirs: Sequence[Reading]) -> tuple[str, ...]:
    ours = [_of_image(image) for image in images]
    if len(ours) != len(theirs):
        return (f"images: {[r.arch for r in ours]}, second reading {[r.arch for r in theirs]}",)
    return tuple(
        f"{mine.arch}: {name}: {ours_value!r}, second reading {theirs_value!r}"
        for mine, other in zip(ours, theirs, strict=True)
        for name, ours_value, theirs_value in zip(Reading._fields, mine, other, strict=True)
        if ours_value != theirs_value
    )


def _of_image(image: Image) -> Reading:
    native = image.native
    assert isinstance(native, PeFacts)
    return Reading(
        image.arch,
        image.identity,
        tuple(need.name for need in image.needed if need.kind != NeedKind.DELAYED),
        tuple(need.name for need in image.needed if need.kind == NeedKind.DELAYED),
        tuple(target for _, target in native.forwarders),
        native.dependent_load_flags,
    )


def _by_pefile(data: bytes) -> Reading | None:
    """Return pefile's reading; None when it cannot read the file, or not all of it."""
    import pefile  # noqa: PLC0415  reading does not need it

    try:
        file = pefile.PE(data=data, fast_load=True)
        file.parse_data_directories([_EXPORTS, _LOAD_CONFIG], forwarded_exports_only=True)
        file.parse_data_directories([_IMPORTS, _DELAY_IMPORTS], import_dllnames_only=True)
    except pefile.PEFormatError:
        return None
    needed, delayed = ([entry.dll for entry in getattr(file, f"DIRECTORY_ENTRY_{kind}", ())] for kind in ("IMPORT", "DELAY_IMPORT"))
    if _INVALID in needed or _INVALID in delayed:
        return None
    exports = getattr(file, "DIRECTORY_ENTRY_EXPORT", None)
    identity = file.get_string_at_rva(exports.struct.Name) if exports and exports.struct.Name else None
    config = getattr(file, "DIRECTORY_ENTRY_LOAD_CONFIG", None)
    return Reading(
        arch_name(int(file.FILE_HEADER.Machine)),
        None if identity is None else _text(identity),
        tuple(map(_text, needed)),
        tuple(map(_text, delayed)),
        tuple(_text(symbol.forwarder) for symbol in exports.symbols if symbol.forwarder) if exports else (),
        int(getattr(config.struct, "DependentLoadFlags", 0)) if config else 0,
    )


def _lief_file(data: bytes) -> Any:
    """Return LIEF's reading of the file; None when it cannot, or is not installed."""
    try:
        import lief  # noqa: PLC0415  half a second, and an extra
    except ImportError:
        return None
    return lief.PE.parse(io.BytesIO(data))


def _by_lief(data: bytes) -> Reading | None:
    file = _lief_file(data)
    return None if file is None else _lief_reading(file)


def _lief_reading(file: Any) -> Reading:
    exports = file.get_export() if file.has_exports else None
    config = file.load_configuration
    return Reading(
        arch_name(int(file.header.machine.value)),
        str(exports.name) if exports and exports.name else None,
        tuple(str(item.name) for item in file.imports),
        tuple(str(item.name) for item in file.delay_imports),
        tuple(_forwarder(entry) for entry in exports.entries if entry.is_forwarded) if exports else (),
        int(config.dependent_load_flags or 0) if config else 0,
    )


def _forwarder(entry: Any) -> str:
    return f"{entry.forward_information.library}.{entry.forward_information.function}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
