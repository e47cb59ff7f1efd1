"""Which Objective-C classes a Mach-O file defines: from the list of classes to their names."""

import struct

import pytest

from relocator.backends.macos.commands import Slice, read_header
from relocator.backends.macos.objc import defined_classes

BASE = 0x1000_0000
LIST, CLASS, DATA, NAME = 0x400, 0x440, 0x480, 0x4C0


def image(
    *,
    pointers: tuple[int, ...] | None = None,
    name: bytes = b"Receiver",
    tag: int = 0,
    base: int = BASE,
    section: bytes = b"__objc_classlist",
) -> bytes:
    """A slice with one segment, mapped whole, and one list of classes; `tag` is what chained fixups put into the high bits."""
    target = (base if not tag else 0) | tag
    row = struct.pack("<16s16sQQI28x", section, b"__DATA", base + LIST, 8 * len(pointers or (0,)), LIST)
    body = struct.pack("<16s4Q4I", b"__DATA", base, 0x1000, 0, 0x600, 3, 3, 1, 0) + row
    command = struct.pack("<2I", 0x19, 8 + len(body)) + body
    raw = bytearray(struct.pack("<8I", 0xFEEDFACF, 0x0100000C, 0, 6, 1, len(command), 0x85, 0) + command).ljust(0x600, b"\0")
    for place, value in enumerate(pointers or (target + CLASS,)):
        struct.pack_into("<Q", raw, LIST + 8 * place, value)
    struct.pack_into("<Q", raw, CLASS + 32, target + DATA + 2)  # bit 1: a Swift class
    struct.pack_into("<Q", raw, DATA + 24, target + NAME)
    raw[NAME : NAME + len(name)] = name
    return bytes(raw)


def classes(raw: bytes) -> tuple[str, ...]:
    part = Slice(memoryview(raw), 0, len(raw))
    return defined_classes(part, read_header(part))


@pytest.mark.parametrize(("tag", "base"), [(0, BASE), (0, 0), (1 << 52, BASE), (1 << 52, 0), (0x0010_0000_0000_0000 | 1 << 51, 0)])
def test_pointers_are_addresses_or_targets_of_chained_fixups(tag: int, base: int) -> None:
    assert classes(image(tag=tag, base=base)) == ("Receiver",)


def test_names_are_sorted_and_told_once() -> None:
    assert classes(image(pointers=(BASE + CLASS, BASE + CLASS))) == ("Receiver",)


def test_a_file_without_the_section_has_none() -> None:
    assert classes(image(section=b"__objc_classrefs")) == ()


@pytest.mark.parametrize("pointer", [0, BASE + 0x5F8, BASE + 0x600, BASE + 0x1000, BASE - 8, 0xF_FFFF_FFFF, 1 << 63])
def test_a_pointer_that_leads_nowhere_is_left_out(pointer: int) -> None:
    assert classes(image(pointers=(pointer, BASE + CLASS))) == ("Receiver",)


def test_hostile_sizes_are_bounded() -> None:
    raw = bytearray(image())
    struct.pack_into("<Q", raw, 32 + 72 + 40, 1 << 60)  # the section's size
    assert classes(bytes(raw)) == ("Receiver",)
    struct.pack_into("<I", raw, 32 + 64, 0xFFFF_FFFF)  # the number of sections
    assert classes(bytes(raw)) == ("Receiver",)
    assert classes(image(name=b"\xff\0")) == ("\udcff",)
    assert classes(image(name=b"")) == ()
