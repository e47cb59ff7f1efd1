"""shipped-debug-info: what is of use for debugging alone."""

import dataclasses

import pytest

from builders import binary, elf, macho, member, pe, survey
from relocator.model import Binary, Image, Survey
from relocator.rules.shipped_debug_info import LEAST, check

MEGA = 1_000_000


def sized(image: Image, size: int = MEGA) -> Binary:
    return dataclasses.replace(binary("demo/_core.so", image), size=size)


@pytest.mark.parametrize(
    ("image", "field"),
    [
        (elf(debug_size=LEAST + MEGA // 10), ".debug_*"),
        (macho(debug_size=LEAST + MEGA // 10), "__DWARF"),
        (pe(debug_size=LEAST + MEGA // 10), "COFF symbols and .debug_*"),
    ],
)
def test_flags_a_binary_that_holds_much_of_it(image: Image, field: str) -> None:
    (finding,) = check(survey(sized(image)))
    assert (finding.primary.field, finding.primary.label) == (field, "166 kB of 1.0 MB")


@pytest.mark.parametrize(("debug", "size", "told"), [(LEAST, 10 * LEAST, True), (LEAST - 1, 2 * LEAST, False), (LEAST, 11 * LEAST, False)])
def test_little_of_it_is_left_alone(debug: int, size: int, told: bool) -> None:
    assert bool(list(check(survey(sized(elf(debug_size=debug), size))))) == told


def of_members(*names: str, image: Image | None = None) -> Survey:
    return survey(*([binary("demo/_core.pyd", image)] if image else []), members=tuple(member(name, bytes(2_000)) for name in names))


@pytest.mark.parametrize("name", ["demo/_core.so.debug", "demo/_core.DBG", "demo/lib.dwp", "demo/_core.ilk", "demo/_core.exp"])
def test_flags_files_by_their_ending(name: str) -> None:
    (finding,) = check(of_members(name))
    assert (finding.primary.member, finding.primary.label) == (name, "2 kB")


def test_a_dsym_folder_is_told_once() -> None:
    (finding,) = check(of_members("demo/_core.so.dSYM/Contents/Info.plist", "demo/_core.so.dSYM/Contents/Resources/DWARF/_core.so"))
    assert (finding.primary.member, finding.primary.label) == ("demo/_core.so.dSYM", "4 kB")


@pytest.mark.parametrize("name", ["demo/_core.pdb", "demo/_CORE.PDB", "demo/other.pdb"])
def test_flags_the_program_database_of_a_binary(name: str) -> None:
    (finding,) = check(of_members(name, image=pe(pdb="D:\\a\\build\\Other.pdb")))
    assert finding.primary.member == name


@pytest.mark.parametrize("name", ["demo/1abc.pdb", "demo/libnpymath.a", "demo/core.lib", "demo/mesh.obj", "demo/exp", "demo/x.debug.py"])
def test_is_silent_about(name: str) -> None:
    assert list(check(of_members(name, image=pe()))) == []
