"""Whatever edits are made to Mach-O files, in whatever order: the loader sees what was asked for, and the file holds together."""

import random
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FIXTURES
from mutants import Mutant, TooSlow, looked_at, mutants, watchdog
from oracle.macho_signatures import faults, slices
from relocator.backends.macos import check_layout, prepare, read
from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary
from relocator.model import Image
from relocator.plans import AddNeeded, Edit, EditRefused, Patchset, ReplaceNeeded, Resign, SetIdentity, SetSearchPaths, apply_patches

BIN = FIXTURES / "bin" / "macho"
INTEL = ("x86_64/liba.dylib", "x86_64/libb.dylib", "x86_64/libchained.dylib", "x86_64/libreexport.dylib", "x86_64/unsigned.dylib")
FILES = (*INTEL, "arm64/ext.so", "arm64/unsigned.so", "fat/liba.dylib", "fat/liba64.dylib")

View = tuple[tuple[str, str | None, tuple[str, ...], tuple[str, ...]], ...]

names = st.text("abc/@._-", min_size=1, max_size=70).map(lambda tail: "/" + tail)
paths = st.lists(names, max_size=3, unique_by=lambda path: path.rstrip("/")).map(tuple)


def view(data: bytes) -> View:
    """What a loader goes by."""
    return tuple(_view(one) for one in read(memoryview(data)))


def _view(one: Image) -> tuple[str, str | None, tuple[str, ...], tuple[str, ...]]:
    return one.arch, one.identity, tuple(need.name for need in one.needed), tuple(path.text for path in one.search_paths)


def sample(name: str) -> bytes:
    return (BIN / name).read_bytes()


def check(data: bytes, found: Patchset) -> bytes:
    """Apply a plan that must be one: sorted patches that lie inside the file and never overlap."""
    for before, after in pairwise(found.patches):
        assert before.offset + len(before.new) <= after.offset
    assert all(0 <= patch.offset <= patch.offset + len(patch.new) <= found.size_after for patch in found.patches)
    assert all(len(patch.old) == len(patch.new) or found.size_after > found.size_before for patch in found.patches)
    return bytes(apply_patches(data, found))


@st.composite
def wishes(draw: st.DrawFn, now: View) -> Edit:
    """An edit that makes sense for a file as the loader sees it."""
    needed = sorted({name for one in now for name in one[2]})
    choices: list[st.SearchStrategy[Edit]] = [st.builds(SetSearchPaths, paths), st.builds(AddNeeded, names), st.just(Resign())]
    if needed:
        choices.append(st.builds(ReplaceNeeded, st.sampled_from(needed), names))
    if all(one[1] is not None for one in now):
        choices.append(st.builds(SetIdentity, names))
    return draw(st.one_of(choices))


def expected(now: View, edit: Edit) -> View:
    """What the loader is to see after an edit: the plainest model of it."""
    new = []
    for arch, identity, needed, found in now:
        match edit:
            case SetSearchPaths(wanted):
                new.append((arch, identity, needed, wanted))
            case AddNeeded(name):
                new.append((arch, identity, needed if name in needed else (*needed, name), found))
            case ReplaceNeeded(old, name):
                new.append((arch, identity, tuple(name if one == old else one for one in needed), found))
            case SetIdentity(name):
                new.append((arch, name, needed, found))
            case _:
                new.append((arch, identity, needed, found))
    return tuple(new)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_sequence_of_edits_gives_what_was_asked_for(name: str, data: st.DataObject) -> None:
    now = sample(name)
    sound, refused = not check_layout(now), 0
    for _ in range(data.draw(st.integers(1, 6))):
        before = view(now)
        edit = data.draw(wishes(before))
        try:
            found = prepare(memoryview(now), [edit])
        except EditRefused as error:
            refused += 1
            assert error.hint
            continue
        now = check(now, found)
        assert view(now) == expected(before, edit)
        assert not sound or check_layout(now) == ()
        for start, size in slices(now):
            assert faults(now[start : start + size]) == []
        assert not prepare(memoryview(now), [edit]), "a second run has nothing to do"


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_an_edit_and_its_inverse_restore_what_the_loader_sees(name: str, data: st.DataObject) -> None:
    old = sample(name)
    before = view(old)
    wanted, identity = data.draw(paths), data.draw(names)
    edits: list[Edit] = [SetSearchPaths(wanted)]
    inverse: list[Edit] = [SetSearchPaths(one[3], arch=one[0]) for one in before]
    needed = before[0][2]
    renamed = data.draw(st.none() | st.sampled_from(needed))
    if renamed is not None:
        other = data.draw(names)
        edits.append(ReplaceNeeded(renamed, other))
        inverse.append(ReplaceNeeded(other, renamed))
    if before[0][1] is not None:
        edits.append(SetIdentity(identity))
        inverse += [SetIdentity(one[1] or "", arch=one[0]) for one in before]
    try:
        new = check(old, prepare(memoryview(old), edits))
    except EditRefused:
        return
    back = check(new, prepare(memoryview(new), inverse))
    assert view(back) == before


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_an_edit_in_place_and_its_inverse_restore_the_bytes(name: str, data: st.DataObject) -> None:
    old = sample(name)
    needed = data.draw(st.sampled_from(sorted({need for one in view(old) for need in one[2]})))
    other = data.draw(st.text("abc", min_size=1, max_size=len(needed) - 1).map(lambda tail: "/" + tail))
    new = check(old, prepare(memoryview(old), [ReplaceNeeded(needed, other)]))
    back = check(new, prepare(memoryview(new), [ReplaceNeeded(other, needed)]))
    signed_first = len(new) > len(old)
    assert back[: len(old)] == old or signed_first
    assert not signed_first or check(back, prepare(memoryview(back), [ReplaceNeeded(needed, other)])) == new


EDITS: tuple[Edit, ...] = (
    SetSearchPaths(("@loader_path/../some.libs", "/usr/local/lib")),
    ReplaceNeeded("@rpath/liba.dylib", "@rpath/libother.dylib"),
    ReplaceNeeded("/usr/lib/libSystem.B.dylib", "/usr/lib/libOther.dylib"),
    AddNeeded("@rpath/more"),
    SetIdentity("@rpath/x.dylib"),
    Resign(),
)


def survives(mutant: Mutant, rng: random.Random) -> bool:
    """Edit a damaged file; tell whether that was possible. Whatever else it raises passes through."""
    edits = rng.sample(EDITS, rng.randint(1, 2))
    try:
        found = prepare(memoryview(mutant.data), edits)
    except (EditRefused, UnreadableBinary) as error:
        assert str(error)
        return False
    new = check(mutant.data, found)
    before = arches(mutant.data)
    assert before in (None, arches(new)), "what could be read can be read"
    return True


def arches(data: bytes) -> list[str] | None:
    try:
        return [one.arch for one in read(memoryview(data))]
    except UnreadableBinary:
        return None


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_edited_or_refused(name: str) -> None:
    data, rng = sample(name), random.Random(name)

    def reads(buffer: Buffer) -> tuple[Image, ...]:
        for edits in ([SetSearchPaths(("/a",))], [Resign()]):
            prepare(buffer, edits)
        return ()

    accepted = 0
    with watchdog():
        for mutant in islice(mutants(data, looked_at(data, reads), rng), 250):
            try:
                accepted += survives(mutant, rng)
            except (Exception, TooSlow) as error:
                error.add_note(mutant.damage)
                raise
    assert accepted, "some damage does no harm"
