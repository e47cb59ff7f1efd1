"""What the tests of the ELF editor share: fixtures, one step from bytes to bytes, and how to tell which way the editor took."""

from pathlib import Path

from conftest import FIXTURES
from relocator.backends.linux import verify
from relocator.backends.linux.edit import prepare
from relocator.backends.linux.layout_check import check_layout
from relocator.backends.linux.read import read
from relocator.backends.linux.verify import Reading
from relocator.model import Image
from relocator.native import ElfFacts
from relocator.plans import Edit, Patchset, apply_patches

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


def way(patchset: Patchset) -> str:
    """Name the rung of the ladder that the editor took."""
    reasons = [patch.reason for patch in patchset.patches]
    if any("program header table was moved" in remark for remark in patchset.remarks):
        return "headers moved"
    if any("moved from behind" in reason for reason in reasons):
        return "tables moved"
    if "ELF header: e_phnum" in reasons:
        return "appended"
    if any("grown where it was" in reason for reason in reasons):
        return "extended"
    if any("in its new place" in reason for reason in reasons):
        return "tail"
    return "in place" if reasons else "nothing"
