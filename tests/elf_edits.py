"""What the tests of the ELF editor share: fixtures, one step from bytes to bytes, and how to tell which way the editor took."""

import struct
from pathlib import Path

from conftest import FIXTURES
from relocator.backends.linux import verify
from relocator.backends.linux.edit import prepare
from relocator.backends.linux.layout_check import check_layout
from relocator.backends.linux.read import read
from relocator.backends.linux.verify import Reading
from relocator.model import Image
from relocator.native import ElfFacts
from relocator.plans import Edit, apply_patches

BIN = FIXTURES / "bin" / "elf"
NOT_LOADED = frozenset({"a.o", "libdebug.debug"})
STATIC = frozenset({"static", "static_pie"})
FILES = sorted(path for path in BIN.rglob("*") if path.is_file() and path.name not in NOT_LOADED | STATIC)
LONG = "$ORIGIN/" + "long-directory-name/" * 10


def name_of(path: Path) -> str:
    return path.relative_to(BIN).as_posix()


def image_of(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def facts_of(data: bytes) -> ElfFacts:
    facts = image_of(data).native
    assert isinstance(facts, ElfFacts)
    return facts


def seen(data: bytes) -> Reading:
    """What a loader acts on, in our own reading."""
    return verify.reading_of(image_of(data))


def edit(data: bytes, *edits: Edit) -> bytes:
    return bytes(apply_patches(data, prepare(memoryview(data), edits)))


def edit_soundly(data: bytes, *edits: Edit) -> bytes:
    """Edit, and check all that has to hold of any edit: layout, second reading, symbols, idempotence."""
    new = edit(data, *edits)
    assert set(check_layout(new)) <= set(check_layout(data))
    assert verify.differences(read(memoryview(new)), new) == ()
    before, after = image_of(data).symbols, image_of(new).symbols
    assert after.exports() == before.exports()
    assert [one.name for one in after.imports()] == [one.name for one in before.imports()]
    assert not prepare(memoryview(new), edits)
    return new


def way(data: bytes, *edits: Edit) -> str:
    """Name the rung of the ladder that the editor takes."""
    patchset = prepare(memoryview(data), edits)
    reasons = [patch.reason for patch in patchset.patches]
    if any("program header table was moved" in remark for remark in patchset.remarks):
        return "headers moved"
    if any("moved from behind" in reason for reason in reasons):
        return "tables moved"
    if len(facts_of(bytes(apply_patches(data, patchset))).segments) > len(facts_of(data).segments):
        return "appended"
    if any("grown where it was" in reason for reason in reasons):
        return "extended"
    if any("in its new place" in reason for reason in reasons):
        return "tail"
    return "in place" if reasons else "nothing"


def spread(data: bytes) -> bytes:
    """Lay a 64-bit little-endian file out as linkers that do not share pages do: every byte at the offset that is its address."""
    phoff, shoff = struct.unpack_from("<2Q", data, 32)
    phnum, _, shnum = struct.unpack_from("<3H", data, 56)
    programs = [list(struct.unpack_from("<2I6Q", data, phoff + i * 56)) for i in range(phnum)]
    sections = [list(struct.unpack_from("<2I4Q2I2Q", data, shoff + i * 64)) for i in range(shnum)]
    loads = [program for program in programs if program[0] == 1]
    end = max(load[3] + load[5] for load in loads) + 7 & ~7
    new = bytearray(end)
    for load in loads:
        new[load[3] : load[3] + load[5]] = data[load[2] : load[2] + load[5]]
    rest = min(section[4] for section in sections if section[1] not in (0, 8) and not section[2] & 2)
    new += data[rest:]
    for program in programs:
        program[2] = program[3] if program[5] else program[2]
    for section in sections:
        section[4] = section[3] if section[2] & 2 else max(section[4] - rest + end, 0)
    for i, program in enumerate(programs):
        struct.pack_into("<2I6Q", new, phoff + i * 56, *program)
    for i, section in enumerate(sections):
        struct.pack_into("<2I4Q2I2Q", new, shoff - rest + end + i * 64, *section)
    struct.pack_into("<Q", new, 40, shoff - rest + end)
    return bytes(new)
