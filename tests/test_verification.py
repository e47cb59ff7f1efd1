"""The checks before a file is sealed: each finds what it is there for."""

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

import pytest

from conftest import FIXTURES
from relocator import verification
from relocator.backends import backend_for
from relocator.editing import AddPath, FilePlan, Wish, plan_file
from relocator.errors import InternalError
from relocator.model import Format
from relocator.native import ElfFacts
from relocator.plans import AddNeeded, EditRefused, Move, Patch, Patchset, ReplaceNeeded, SetIdentity, SetSearchPaths, apply_patches
from relocator.verification import Level, verify

FILES: dict[Format, tuple[str, list[Wish], str]] = {
    Format.ELF: ("elf/x86_64/runpath.so", [SetSearchPaths(("$ORIGIN/../a-rather-long-path.libs",))], "pyelftools"),
    Format.MACHO: ("macho/arm64/ext.so", [SetSearchPaths(("@loader_path/../x",))], "macholib"),
    Format.PE: ("pe/x64/ext.pyd", [ReplaceNeeded("libb.dll", "other.dll")], "pefile"),
}


def planned(form: Format) -> tuple[FilePlan, bytes, bytes]:
    name, edits, _ = FILES[form]
    data = (FIXTURES / "bin" / name).read_bytes()
    plan = plan_file(name, memoryview(data), edits)
    return plan, data, bytes(apply_patches(data, plan.patchset))


@pytest.mark.parametrize("form", FILES)
def test_a_good_file_is_verified_by_a_parser_that_did_not_write_it(form: Format) -> None:
    plan, old, new = planned(form)
    told = verify(plan.expected, old, new).clauses
    assert told[-1] == f"{FILES[form][2]} sees it too"
    assert verify(plan.expected, old, new, Level.NONE).clauses[-1] == "no second reader was asked"
    pytest.importorskip("lief")
    assert verify(plan.expected, old, new, Level.FULL).clauses[-1] == "relocations are unchanged, and LIEF sees it too"


@pytest.mark.parametrize("form", FILES)
def test_any_byte_outside_the_patches_is_noticed(form: Format) -> None:
    plan, old, new = planned(form)
    covered = {at for patch in plan.patchset.patches for at in range(patch.offset, patch.offset + len(patch.new))}
    free = [at for at in range(len(new)) if at not in covered]
    for at in (free[0], free[len(free) // 2], free[-1]):
        spoiled = bytearray(new)
        spoiled[at] ^= 1
        with pytest.raises(InternalError, match="no patch covers") as error:
            verify(plan.expected, old, bytes(spoiled))
        assert "report" in error.value.hint
    with pytest.raises(InternalError, match="bytes, planned were"):
        verify(plan.expected, old, new + b"\0")


@pytest.mark.parametrize("form", FILES)
def test_another_result_than_the_planned_one_is_noticed(form: Format) -> None:
    plan, old, new = planned(form)
    image = dataclasses.replace(plan.after[0], needed=plan.after[0].needed[:-1])
    with pytest.raises(InternalError, match="needs: planned"):
        verify(plan.expected._replace(after=(image,)), old, new)
    with pytest.raises(InternalError, match="1 images, planned were 2"):
        verify(plan.expected._replace(after=plan.after * 2), old, new)


@pytest.mark.parametrize("form", FILES)
def test_a_file_that_cannot_be_read_any_more_is_noticed(form: Format) -> None:
    plan, old, _ = planned(form)
    broken = Patchset(len(old), 100, (Patch(60, old[60:64], b"\xff" * 4, "test"),))
    with pytest.raises(InternalError, match=r"cannot be read|images"):
        verify(plan.expected._replace(patchset=broken), old, bytes(apply_patches(old, broken)))


@pytest.mark.parametrize("form", FILES)
def test_a_layout_that_gets_worse_is_noticed(form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, old, new = planned(form)

    def complain(known: tuple[str, ...]) -> Callable[[bytes], tuple[str, ...]]:
        return lambda data: ("segment 0x12 overlaps 3",) if data == new else known

    monkeypatch.setattr(backend_for(form), "check_layout", complain(()))
    with pytest.raises(InternalError, match="segment 0x12 overlaps 3"):
        verify(plan.expected, old, new)
    monkeypatch.setattr(backend_for(form), "check_layout", complain(("segment 0x7 overlaps 15", "another")))
    verify(plan.expected, old, new)


def test_what_was_unsound_before_is_refused_and_no_bug_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, old, new = planned(Format.ELF)
    monkeypatch.setattr(backend_for(Format.ELF), "check_layout", lambda data: ("sections overlap",))
    verify(plan.expected, old, new)
    monkeypatch.setattr(verification, "_second_reader", lambda _: _Reader(("needed: 1, second reading 2",), (), new))
    with pytest.raises(EditRefused, match=r"unsound as it is \(sections overlap\)"):
        verify(plan.expected, old, new)


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("elf/x86_64/pie", {0x26C: struct.pack("<2I", 4, 4)}, "the hash tables tell of 4"),
        ("elf/x86_64/static_tls.so", {0x288: struct.pack("<2I", 7, 7)}, "the hash tables tell of 7"),
    ],
)
def test_tables_that_contradict_one_another_are_refused_and_no_bug_of_ours(name: str, damage: dict[int, bytes], told: str) -> None:
    data = bytearray((FIXTURES / "bin" / name).read_bytes())
    for place, new in damage.items():
        data[place : place + len(new)] = new
    wishes: list[Wish] = [ReplaceNeeded("liba.so", "lib" + "long" * 20 + ".so")] if name.endswith("pie") else [AddNeeded("libadded.so.1")]
    plan = plan_file(name, memoryview(bytes(data)), wishes)
    new_file = bytes(apply_patches(bytes(data), plan.patchset))
    with pytest.raises(EditRefused, match=f"unsound as it is.*{told}"):
        verify(plan.expected, bytes(data), new_file)


def test_a_string_section_that_is_not_marked_as_loaded_is_kept_true_all_the_same() -> None:
    data = bytearray((FIXTURES / "bin/elf/x86_64/now.so").read_bytes())
    headers = struct.unpack_from("<Q", data, 40)[0]
    assert struct.unpack_from("<2Q", data, headers + 4 * 64 + 8) == (2, 0x270)  # .dynstr: SHF_ALLOC
    data[headers + 4 * 64 + 8 : headers + 4 * 64 + 16] = bytes(8)
    assert any("SHF_ALLOC" in line for line in backend_for(Format.ELF).check_layout(bytes(data)))
    plan = plan_file("now.so", memoryview(bytes(data)), [AddNeeded("lib" + "long" * 20 + ".so")])
    verify(plan.expected, bytes(data), bytes(apply_patches(bytes(data), plan.patchset)))


def test_an_interpreter_section_that_is_not_marked_as_loaded_moves_along() -> None:
    data = bytearray((FIXTURES / "bin/elf/x86_64/no_pie").read_bytes())
    headers = struct.unpack_from("<Q", data, 40)[0]
    data[headers + 64 + 8 : headers + 64 + 16] = bytes(8)
    plan = plan_file("no_pie", memoryview(bytes(data)), [AddPath("$ORIGIN/../x")])
    assert any("moved" in patch.reason for patch in plan.patchset.patches)
    verify(plan.expected, bytes(data), bytes(apply_patches(bytes(data), plan.patchset)))


class _Reader:
    """A second reader that says what a test wants."""

    def __init__(self, new: tuple[str, ...], old: tuple[str, ...], data: bytes) -> None:
        self._told = {True: new, False: old}
        self._data = data

    def opinion(self, images: Any, data: bytes) -> tuple[str, tuple[str, ...]]:
        return "reader", self._told[data == self._data]

    def deep_differences(self, old: bytes, new: bytes, images: Any) -> tuple[str, ...] | None:
        return self._told[new == self._data]


@pytest.mark.parametrize(
    ("new", "old", "told"),
    [
        (("needed: ('a',), second reading ('b',)",), (), None),
        (
            ("needed: ('a',), second reading ('b',)",),
            ("needed: ('c',), second reading ('d',)",),
            "for the original (needed)",
        ),
        (("needed: ('a',), second reading ()", "identity: 'x', second reading 'y'"), ("needed: (), second reading ('d',)",), None),
        (("arm64: needed: (), second reading ('b',)",), ("x86_64: needed: (), second reading ('b',)",), None),
        (("no second parser can read the file",), ("no second parser can read the file",), "our own checks alone decided"),
        (("no second parser can read the file",), (), None),
    ],
)
@pytest.mark.parametrize("level", [Level.NORMAL, Level.FULL])
def test_a_second_reader_may_disagree_only_where_it_always_did(
    new: tuple[str, ...], old: tuple[str, ...], told: str | None, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, before, after = planned(Format.ELF)
    monkeypatch.setattr(verification, "_second_reader", lambda _: _Reader(new, old, after))
    if told is None:
        with pytest.raises(InternalError, match="reader disagrees"):
            verify(plan.expected, before, after, level)
    else:
        assert any(told in clause for clause in verify(plan.expected, before, after, level).clauses)


def test_a_segment_that_is_mapped_otherwise_is_noticed() -> None:
    plan, old, new = planned(Format.ELF)
    image = plan.before[0]
    assert isinstance(image.native, ElfFacts)
    for change in ({"vaddr": 0x100000}, {"flags": 7}, {"filesz": 1 << 30}):
        segments = (image.native.segments[0]._replace(**change), *image.native.segments[1:])
        other = dataclasses.replace(image, native=dataclasses.replace(image.native, segments=segments))
        with pytest.raises(InternalError, match="no longer mapped"):
            verify(plan.expected._replace(before=(other,)), old, new)


def test_moved_bytes_are_compared_with_where_they_came_from() -> None:
    plan, old, _ = planned(Format.ELF)
    moved = Patchset(len(old), len(old) * 2, (Patch(len(old), b"", b"\1\2\3", "test"),), (Move(0, len(old) + 100, 50, "test"),))
    new = bytearray(apply_patches(old, moved))
    expected = plan.expected._replace(patchset=moved, after=plan.before)
    verify(expected, old, bytes(new), Level.NONE)
    for at in (len(old) + 120, len(old) + 10, 2 * len(old) - 1):
        spoiled = bytearray(new)
        spoiled[at] ^= 1
        with pytest.raises(InternalError, match="no patch covers"):
            verify(expected, old, bytes(spoiled), Level.NONE)


@pytest.mark.parametrize("form", FILES)
def test_symbols_are_compared_where_all_is_asked_for(form: Format) -> None:
    plan, old, new = planned(form)
    other = plan_file("x", memoryview((FIXTURES / "bin" / "elf/x86_64/unique.so").read_bytes()), [SetIdentity("x")]).after[0]
    image = dataclasses.replace(plan.after[0], symbols=other.symbols)
    expected = plan.expected._replace(after=(image,))
    verify(expected, old, new)
    with pytest.raises(InternalError, match="are not those that were planned"):
        verify(expected, old, new, Level.FULL)
