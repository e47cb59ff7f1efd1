"""Notes that linkers and packagers leave in a file (PT_NOTE, PT_GNU_PROPERTY): build id, needed processor, Android level, package.

No loader refuses a file for a note that it cannot read, so neither do we: what is damaged becomes a warning.

Specification: System V gABI, chapter 5 ("Note Section"); Linux gABI extensions (GNU properties); x86-64 and AArch64 psABI; systemd's
"Package Metadata for Executable Files".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from relocator.backends.linux.headers import PT_GNU_PROPERTY, PT_NOTE, ElfFile, Program
from relocator.buffer import cut, text
from relocator.errors import UnreadableBinary

_NT_GNU_BUILD_ID, _NT_GNU_PROPERTY, _NT_ANDROID_IDENT, _NT_FDO_PACKAGE = 3, 5, 1, 0xCAFE1A7E
_X86_ISA_NEEDED = 0xC0008002
_FEATURES = {3: 0xC0000002, 62: 0xC0000002, 183: 0xC0000000}
"""GNU_PROPERTY_X86_FEATURE_1_AND and GNU_PROPERTY_AARCH64_FEATURE_1_AND, by e_machine."""
_X86 = frozenset({3, 62})
_MOST_NOTES = 1 << 18  # bytes of one segment's notes


@dataclass(slots=True)
class Notes:
    """What the notes say; see the fields of the same name in `ElfFacts`."""

    build_id: str | None = None
    isa_needed: int = 0
    features: int = 0
    android_api: int | None = None
    package_note: str | None = None
    warnings: list[str] = field(default_factory=list)


def read_notes(file: ElfFile) -> Notes:
    """Return what the notes say; damaged ones are told in `warnings`."""
    notes = Notes()
    for program in file.programs:
        if program.type in (PT_NOTE, PT_GNU_PROPERTY):
            try:
                for owner, kind, description in _notes(file, program):
                    _take(notes, file, owner, kind, description)
            except UnreadableBinary as error:
                notes.warnings.append(str(error))
    return notes


def _notes(file: ElfFile, program: Program) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield owner, type and description of each note of a segment. Segments that are aligned to 8 bytes pad their notes to 8."""
    raw = bytes(cut(file.buffer, program.offset, min(program.filesz, _MOST_NOTES), "PT_NOTE"))
    layout, mask = struct.Struct(file.shape.order + "3I"), 7 if program.align == 8 else 3
    offset = 0
    while offset + layout.size <= len(raw):
        name_size, size, kind = layout.unpack_from(raw, offset)
        start = offset + layout.size
        description = (start + name_size + mask) & ~mask
        if description + size > len(raw):
            raise UnreadableBinary("PT_NOTE", f"a note of {name_size} + {size} bytes is longer than its segment", program.offset + offset)
        yield raw[start : start + name_size].rstrip(b"\0"), kind, raw[description : description + size]
        offset = (description + size + mask) & ~mask


def _take(notes: Notes, file: ElfFile, owner: bytes, kind: int, description: bytes) -> None:
    if owner == b"GNU" and kind == _NT_GNU_BUILD_ID:
        notes.build_id = description.hex()
    elif owner == b"GNU" and kind == _NT_GNU_PROPERTY:
        _properties(notes, file, description)
    elif owner == b"Android" and kind == _NT_ANDROID_IDENT and len(description) >= 4:
        notes.android_api = struct.unpack_from(file.shape.order + "I", description)[0]
    elif owner == b"FDO" and kind == _NT_FDO_PACKAGE:
        notes.package_note = text(description.partition(b"\0")[0])


def _properties(notes: Notes, file: ElfFile, description: bytes) -> None:
    """Read the array of GNU properties: type, size, data, padded to the word size."""
    machine, order, mask = file.header.machine, file.shape.order, 7 if file.shape.wide else 3
    offset = 0
    while offset + 8 <= len(description):
        kind, size = struct.unpack_from(order + "2I", description, offset)
        data = description[offset + 8 : offset + 8 + size]
        if len(data) != size:
            raise UnreadableBinary("NT_GNU_PROPERTY_TYPE_0", f"a property of {size} bytes is longer than its note")
        value = int.from_bytes(data[:4], "big" if order == ">" else "little")
        if kind == _FEATURES.get(machine):
            notes.features = value
        elif kind == _X86_ISA_NEEDED and machine in _X86:
            notes.isa_needed = value
        offset += 8 + (size + mask & ~mask)
