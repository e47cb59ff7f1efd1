"""What the tests of the PE editor share: edits carried out with every check of ours, and files that no linker at hand makes."""

import struct

from pe_bytes import ARM64, BASES, SECTION, Draft
from relocator.backends.windows import check_layout, prepare, read
from relocator.backends.windows.headers import Headers, read_headers
from relocator.backends.windows.layout_check import right_checksum
from relocator.model import Image, NeedKind
from relocator.native import PeFacts
from relocator.plans import Edit, Patchset, apply_patches

START, OPTIONAL = 64, 88
"""Where the headers of a Draft lie."""
LONG = "liba-0123456789abcdef0123456789abcdef.dll"


def plan(data: bytes, *edits: Edit) -> Patchset:
    return prepare(memoryview(data), edits)


def edited(data: bytes, *edits: Edit) -> bytes:
    """Return the new file; its layout must be as sound as the old one's."""
    patchset = plan(data, *edits)
    new = bytes(apply_patches(data, patchset))
    assert check_layout(memoryview(new)) == check_layout(memoryview(data))
    assert unplanned(data, new, patchset) == []
    return new


def unplanned(data: bytes, new: bytes, patchset: Patchset) -> list[int]:
    """Return the offsets at which two files differ outside the patches."""
    planned = {at for patch in patchset.patches for at in range(patch.offset, patch.offset + len(patch.new))}
    return [at for at, (one, other) in enumerate(zip(data, new, strict=False)) if one != other and at not in planned]


def rungs(patchset: Patchset) -> list[str]:
    """Return where the names went, by the reasons of the patches."""
    return sorted({patch.reason for patch in patchset.patches if "name" in patch.reason or "content" in patch.reason})


def image(data: bytes) -> Image:
    (only,) = read(memoryview(data))
    return only


def facts(data: bytes) -> PeFacts:
    native = image(data).native
    assert isinstance(native, PeFacts)
    return native


def needs(data: bytes) -> tuple[str, ...]:
    return tuple(need.name for need in image(data).needed if need.kind != NeedKind.DELAYED)


def delayed(data: bytes) -> tuple[str, ...]:
    return tuple(need.name for need in image(data).needed if need.kind == NeedKind.DELAYED)


def forwards(data: bytes) -> tuple[str, ...]:
    return tuple(target for _, target in facts(data).forwarders)


def headers(data: bytes) -> Headers:
    found = read_headers(memoryview(data))
    assert found is not None
    return found


def sections(data: bytes) -> list[str]:
    return [section.name.decode() for section in headers(data).sections]


def patched(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    """Return a copy with some numbers overwritten."""
    copy = bytearray(data)
    struct.pack_into(layout, copy, offset, *values)
    return bytes(copy)


def full(draft: Draft) -> bytes:
    """Build a file whose section has no room behind its bytes."""
    draft.body += b"\xcc" * (-len(draft.body) % 0x200)
    return draft.build()


def with_checksum(data: bytes) -> bytes:
    """Return a copy whose CheckSum is set and right."""
    marked = patched(data, OPTIONAL + 64, "<I", 1)
    return patched(marked, OPTIONAL + 64, "<I", right_checksum(headers(marked)))


def with_symbols(data: bytes) -> bytes:
    """Return a copy with a COFF symbol table behind the sections, as MinGW's linker leaves one."""
    table = b"\1" * 18 + struct.pack("<I", 12) + b".debug_\0"
    return patched(data, START + 12, "<2I", len(data), 1) + table


def bound(plus: bool = True, lookup: bool = True) -> bytes:
    """Build a file with bound imports from a.dll and liba.dll; their table lies behind the section table."""
    draft = Draft(plus, 0x8664 if plus else 0x14C).imports((b"a.dll", [b"f"]), (b"liba.dll", [b"g"]), lookup=lookup)
    rva, _ = draft.directories[1]
    for row in range(2):
        struct.pack_into("<2I", draft.body, rva - 0x1000 + 20 * row + 4, 0xFFFFFFFF, 0xFFFFFFFF)
    place = 0x200
    draft.directories[11] = place, 48
    names = struct.pack("<I2HI2HQ", 0x5F000000, 24, 0, 0x5F000001, 30, 0, 0) + b"a.dll\0liba.dll\0"
    data = bytearray(draft.build())
    data[place : place + len(names)] = names
    return bytes(data)


def own_section(data: bytes) -> bytes:
    """Return the bytes of the section that we added."""
    row = headers(data).own
    assert row is not None
    return data[row.pointer : row.pointer + row.memory]


def two_views(second_forward: bytes = b"liba.g") -> bytes:
    """Build an ARM64X file: processes of x64 see another export directory, by a fixup of the data directory's entry."""
    draft = Draft(machine=ARM64).imports((b"liba.dll", [b"f"])).exports(b"e.dll", [(b"f", second_forward)])
    second = draft.directories[0]
    draft.exports(b"e.dll", [(b"f", b"liba.f")])
    draft.configuration(hybrid=BASES[True] + 0x1000, size=0x140)
    entry = OPTIONAL + 112
    fixups = b"".join(struct.pack("<HI", (entry + 4 * n) | 1 << 12 | 2 << 14, second[n]) for n in range(2))
    fixups += struct.pack("<2H", (START + 8) | 2 << 12, 1)  # a sum, not a value; of what nobody edits
    block = struct.pack("<2I", 0, 8 + len(fixups)) + fixups
    table = struct.pack("<QI", 6, len(block)) + block
    place = draft.add(struct.pack("<2I", 1, len(table)) + table)
    struct.pack_into("<IH", draft.body, draft.directories[10][0] - SECTION + 0xE0, place - SECTION, 1)
    return draft.build()
