"""What holds of every edit of an ELF file: nothing is lost, nothing overlaps, the way back is open, no bytes make the editor fall over."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elf_edits import BIN, FILES, LONG, edit, edit_soundly, image_of, name_of, seen
from mutants import Mutant, looked_at, mutants, watchdog
from relocator.backends.linux.edit import prepare
from relocator.backends.linux.layout_check import check_layout
from relocator.backends.linux.read import read
from relocator.errors import UnreadableBinary
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
    apply_patches,
)

MUTANTS = 150
SMALL = ["x86_64/libb.so", "x86_64/pie", "x86_64/wants_versions.so", "s390x/ext.so", "armv7l/libb.so", "x86_64/no_sections.so"]

names = st.text(st.characters(codec="utf-8", exclude_characters="\0:", exclude_categories=["Cs"]), min_size=1, max_size=60)
paths = st.lists(names, min_size=1, max_size=4).map(tuple)
edits = st.one_of(
    st.builds(SetSearchPaths, st.one_of(paths, st.just(())), st.sampled_from(PathKind)),
    st.builds(AddNeeded, names),
    st.builds(SetIdentity, names),
    st.builds(SetExecutableStack, st.booleans()),
    st.builds(SetInterpreter, names),
    st.builds(RemoveNeeded, st.sampled_from(["liba.so", "libversions.so", "no such"])),
    st.builds(ReplaceNeeded, st.sampled_from(["liba.so", "libversions.so"]), names),
)


def attempt(data: bytes, wanted: Sequence[Edit]) -> bytes | None:
    try:
        return edit(data, *wanted)
    except EditRefused as error:
        assert error.message
        assert error.hint
        return None


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_random_sequences_keep_the_file_sound(path: Path) -> None:
    original = path.read_bytes()
    broken = set(check_layout(original))

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(st.lists(st.lists(edits, min_size=1, max_size=3), min_size=1, max_size=4))
    def holds(sequence: list[list[Edit]]) -> None:
        data = original
        for wanted in sequence:
            data = attempt(data, wanted) or data
        assert set(check_layout(data)) <= broken
        assert image_of(data).symbols.exports() == image_of(original).symbols.exports()

    holds()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_patches_never_overlap_and_lie_in_the_new_file(path: Path) -> None:
    data = path.read_bytes()

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(st.lists(edits, min_size=1, max_size=5))
    def holds(wanted: list[Edit]) -> None:
        try:
            patchset = prepare(memoryview(data), wanted)
        except EditRefused:
            return
        end = 0
        for patch in patchset.patches:
            assert patch.offset >= end
            assert data[patch.offset : patch.offset + len(patch.old)] == patch.old
            assert len(patch.old) == len(patch.new) or patch.offset + len(patch.old) >= len(data)
            end = patch.offset + len(patch.new)
        assert end <= patchset.size_after
        assert not patchset.moves

    holds()


@pytest.mark.parametrize("name", SMALL)
def test_an_edit_and_its_inverse_leave_what_the_loader_sees(name: str) -> None:
    data = (BIN / name).read_bytes()
    before = seen(data)
    present = before.rpath if before.runpath is None else before.runpath
    kind = PathKind.RPATH if before.runpath is None else PathKind.RUNPATH
    way_back = SetSearchPaths(tuple(present.split(":")) if present is not None else (), kind)

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(names, paths, st.sampled_from(PathKind))
    def holds(library: str, wanted: tuple[str, ...], kind: PathKind) -> None:
        edited = edit_soundly(data, SetSearchPaths(wanted, kind), AddNeeded(library))
        added = [way_back] if library in before.needed else [way_back, RemoveNeeded(library)]
        assert seen(edit_soundly(edited, *added)) == before
        if before.needed:
            renamed = edit_soundly(data, ReplaceNeeded(before.needed[0], library))
            assert seen(edit_soundly(renamed, ReplaceNeeded(library, before.needed[0]))) == before

    holds()


@pytest.mark.parametrize("name", ["x86_64/rpath.so", "x86_64/runpath.so", "x86_64/ext.so", "ppc64/ext.so", "i686/ext.so"])
def test_an_edit_in_place_and_its_inverse_restore_the_bytes(name: str) -> None:
    data = (BIN / name).read_bytes()
    before = seen(data)
    old = before.rpath if before.runpath is None else before.runpath
    assert old is not None

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.text("abc/$", min_size=1, max_size=len(old)))
    def holds(new: str) -> None:
        edited = edit(data, SetSearchPaths((new,)))
        assert len(edited) == len(data)
        assert edit(edited, SetSearchPaths(tuple(old.split(":")))) == data

    holds()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_ten_edits_do_not_grow_the_file_ten_times(path: Path) -> None:
    data = edit(path.read_bytes(), SetSearchPaths((LONG,)), AddNeeded("libfirst.so"))
    size = len(data)
    for number in range(10):
        data = edit(data, SetSearchPaths((LONG + str(number) * number,)), AddNeeded("libmore.so"), RemoveNeeded("libfirst.so"))
    assert len(data) - size <= 128


@pytest.mark.parametrize("name", SMALL)
def test_no_mutant_makes_the_editor_fall_over(name: str) -> None:
    data = (BIN / name).read_bytes()
    regions = looked_at(data, read)
    wanted: tuple[list[Edit], ...] = (
        [SetSearchPaths((LONG,)), AddNeeded("libnew.so")],
        [SetSearchPaths(("a",)), RemoveNeeded("liba.so"), RemoveNeeded("libversions.so")],
        [SetInterpreter("/lib/" + "x" * 80), SetExecutableStack(True)],
    )
    source = mutants(data, regions, random.Random(name))
    edited = 0
    with watchdog():
        for number in range(MUTANTS):
            mutant = next(source)
            edited += _survives(mutant, wanted[number % len(wanted)])
    assert edited


def _survives(mutant: Mutant, wanted: Sequence[Edit]) -> bool:
    try:
        patchset = prepare(memoryview(mutant.data), wanted)
    except (EditRefused, UnreadableBinary) as error:
        assert error.message
        return False
    except Exception as error:
        error.add_note(mutant.damage)
        raise
    apply_patches(mutant.data, patchset)
    return True
