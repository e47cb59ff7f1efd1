"""What edits make of Mach-O files, and what is refused; every result passes the layout check, a second reader and a second page hasher."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from macho_bytes import ARM64, I386, PPC, X86_64, Shape, command, dylib, dylib_use, fat, macho, rpath, segment, signed
from oracle.macho_signatures import directories, faults, identifier, linkedit_end, place, slices, thin, without_hashes
from relocator.backends.macos import check_layout, prepare, read
from relocator.backends.macos.verify import differences
from relocator.errors import UnreadableBinary
from relocator.model import Image, NeedKind
from relocator.native import MachOFacts
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    Patchset,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
    apply_patches,
)

BIN = Path(__file__).parent / "fixtures" / "bin" / "macho"
FILES = sorted(path.relative_to(BIN).as_posix() for path in BIN.rglob("*") if path.is_file() and path.parent.name != "other")
SOUND = [name for name in FILES if name not in ("x86_64/damaged.dylib", "x86_64/duplicate_rpath.so", "arm64/unsigned.so")]
NATIVE, NARROW = Shape(), Shape(wide=False, cpu_type=I386)
LONG = "@loader_path/../../demo.libs/a/directory/with/a/long/name"
SOURCE_VERSION, DATA_IN_CODE, SIGN_DRS = 0x2A, 0x29, 0x2B
CODE_DIRECTORY = b"\xfa\xde\x0c\x02"


def fixture(name: str) -> bytes:
    return (BIN / name).read_bytes()


def edited(data: bytes, *edits: Edit) -> bytes:
    """Carry out edits; whatever they are, a sound file is sound afterwards and a second run has nothing to do."""
    sound = not check_layout(data)
    new = bytes(apply_patches(data, prepare(memoryview(data), edits)))
    if sound:
        assert check_layout(new) == ()
    assert differences(read(memoryview(new)), new) == ()
    for start, size in slices(new):
        if new[start : start + 4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"):
            assert faults(new[start : start + size]) == []
    if not any(isinstance(edit, ReplaceNeeded) for edit in edits):  # a swap swaps back
        assert not prepare(memoryview(new), edits)
    return new


def refusal(data: bytes, *edits: Edit) -> EditRefused:
    with pytest.raises(EditRefused) as caught:
        prepare(memoryview(data), edits)
    assert caught.value.message and caught.value.hint and caught.value.exit_code == 4
    return caught.value


def images(data: bytes) -> dict[str, Image]:
    return {image.arch: image for image in read(memoryview(data))}


def image(data: bytes) -> Image:
    (only,) = images(data).values()
    return only


def facts(one: Image) -> MachOFacts:
    assert isinstance(one.native, MachOFacts)
    return one.native


def needs(data: bytes) -> list[tuple[str, NeedKind]]:
    return [(need.name, need.kind) for need in image(data).needed]


def paths(data: bytes) -> list[str]:
    return [path.text for path in image(data).search_paths]


def changed(old: bytes, new: bytes) -> list[int]:
    """The offsets at which two files of one size differ."""
    assert len(old) == len(new)
    return [index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]


def commands(data: bytes) -> list[tuple[int, bytes]]:
    return [(number, raw) for number, _, raw in thin(data).commands]


def room(data: bytes) -> int:
    return facts(image(data)).header_room


def plain(*listed: bytes, free: int = 0x100, shape: Shape = NATIVE) -> bytes:
    """A library without a section, whose commands are followed by so many free bytes."""
    identity = dylib("/usr/lib/libplain.dylib", 0xD, shape)
    size = len(macho([identity, *listed, segment("__DATA", 0, 8, shape)], shape))
    return macho([identity, *listed, segment("__DATA", size + free, 8, shape)], shape, bytes(free) + b"contents")


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", SOUND)
def test_a_new_search_path_changes_the_commands_and_the_hashes_alone(name: str) -> None:
    old = fixture(name)
    new = edited(old, SetSearchPaths(("@loader_path/x",)))
    for start, size in slices(old):
        here, there = old[start : start + size], new[start : start + size]
        first = max(len(macho([raw for _, raw in commands(one)])) for one in (here, there))
        where, _ = place(here) or (len(here), 0)
        assert [offset for offset in changed(here, there) if first <= offset < where] == []


@pytest.mark.parametrize("name", ["x86_64/libb.dylib", "x86_64/libchained.dylib", "arm64/ext.so"])
def test_a_name_that_fits_into_its_command_moves_nothing(name: str) -> None:
    old = fixture(name)
    new = edited(old, ReplaceNeeded("@rpath/liba.dylib", "@rpath/libz.dylib"))
    first = old.index(b"@rpath/liba.dylib\0")
    assert [offset for offset in changed(old, new) if offset < (place(old) or (0, 0))[0]] == [first + len("@rpath/lib")]
    assert edited(new, ReplaceNeeded("@rpath/libz.dylib", "@rpath/liba.dylib")) == old


def test_a_shorter_name_leaves_zeros_and_can_be_undone() -> None:
    old = fixture("x86_64/libb.dylib")
    new = edited(old, ReplaceNeeded("@rpath/liba.dylib", "@rpath/a"))
    assert b"@rpath/a" + bytes(10) in new
    assert edited(new, ReplaceNeeded("@rpath/a", "@rpath/liba.dylib")) == old


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x86_64/libb.dylib", NeedKind.REQUIRED),
        ("x86_64/libweak.dylib", NeedKind.WEAK),
        ("x86_64/libreexport.dylib", NeedKind.REEXPORT),
        ("arm64/ext.so", NeedKind.REQUIRED),
    ],
)
def test_a_renamed_need_keeps_its_kind_its_place_and_its_versions(name: str, kind: NeedKind) -> None:
    old = fixture(name)
    new = edited(old, ReplaceNeeded("@rpath/liba.dylib", LONG + "/liba.dylib"))
    assert (LONG + "/liba.dylib", kind) in needs(new)
    assert [need[0].replace(LONG, "@rpath") for need in needs(new)] == [need[0] for need in needs(old)]
    assert [d[1:] for d in facts(image(new)).dylibs] == [d[1:] for d in facts(image(old)).dylibs]


@pytest.mark.parametrize("number", [0xC, 0x20, 0x80000018, 0x8000001F, 0x80000023])
def test_every_kind_of_dylib_command_stays_what_it_is(number: int) -> None:
    data = plain(dylib("/a/first.dylib"), dylib("/a/old.dylib", number), dylib("/a/last.dylib"))
    new = edited(data, ReplaceNeeded("/a/old.dylib", "/a/much/longer/name/of/the/library.dylib"))
    assert [one for one, _ in commands(new)] == [one for one, _ in commands(data)]
    assert [name for name, _ in needs(new)] == ["/a/first.dylib", "/a/much/longer/name/of/the/library.dylib", "/a/last.dylib"]


def test_the_flags_of_the_newer_dylib_command_stay_before_its_name() -> None:
    data = plain(dylib_use("/a/old.dylib", 0x8))
    new = edited(data, ReplaceNeeded("/a/old.dylib", "/a/much/longer/name/of/the/library.dylib"))
    assert needs(new) == [("/a/much/longer/name/of/the/library.dylib", NeedKind.DELAYED)]
    assert facts(image(new)).dylibs[0].flags == 0x8


def test_two_names_can_be_swapped() -> None:
    data = plain(dylib("/a/one.dylib"), dylib("/a/two.dylib"))
    new = edited(data, ReplaceNeeded("/a/one.dylib", "/a/two.dylib"), ReplaceNeeded("/a/two.dylib", "/a/one.dylib"))
    assert [name for name, _ in needs(new)] == ["/a/two.dylib", "/a/one.dylib"]


def test_all_edits_of_a_file_are_planned_together() -> None:
    """patchelf had a second edit work on a stale copy of the first one's tables."""
    data = fixture("x86_64/liba.dylib")
    edits = (
        SetSearchPaths((LONG, "@loader_path")),
        ReplaceNeeded("/usr/lib/libSystem.B.dylib", "@rpath/libother.dylib"),
        AddNeeded("@rpath/libmore.dylib"),
        SetIdentity("@rpath/a/longer/identity/liba.dylib"),
    )
    new = edited(data, *edits[:2], *edits[2:])
    assert paths(new) == [LONG, "@loader_path"]
    assert [name for name, _ in needs(new)] == ["@rpath/libother.dylib", "@rpath/libmore.dylib"]
    assert image(new).identity == "@rpath/a/longer/identity/liba.dylib"
    assert bytes(apply_patches(data, prepare(memoryview(data), edits[::-1]))) == new


def test_an_added_need_is_the_last_one_and_asks_for_no_version() -> None:
    old = fixture("x86_64/libb.dylib")
    new = edited(old, AddNeeded("/more"))
    assert needs(new) == [*needs(old), ("/more", NeedKind.REQUIRED)]
    assert facts(image(new)).dylibs[-1].compatibility_version == 0
    assert commands(new)[: len(commands(old))] == commands(old)


@pytest.mark.parametrize(
    "edit",
    [
        AddNeeded("@rpath/liba.dylib"),
        ReplaceNeeded("@rpath/absent.dylib", "@rpath/liba.dylib"),
        ReplaceNeeded("@rpath/liba.dylib", "@rpath/liba.dylib"),
        RemoveNeeded("@rpath/absent.dylib"),
        SetIdentity("@rpath/libb.dylib"),
        SetSearchPaths(("@loader_path/.",)),
        SetSearchPaths(("@loader_path/.", "@loader_path/.")),
        Resign(),
    ],
)
def test_what_is_so_already_changes_nothing(edit: Edit) -> None:
    data = fixture("x86_64/libb.dylib")
    found = prepare(memoryview(data), [edit])
    assert not found
    assert apply_patches(data, found) == data


def test_the_uuid_and_commands_that_nobody_knows_stay() -> None:
    data = plain(command(0x1B, bytes(range(16))), command(0x77, b"unknown command"), rpath("/a"))
    new = edited(data, SetSearchPaths((LONG,)))
    assert [raw for number, raw in commands(new) if number in (0x1B, 0x77)] == [
        raw for number, raw in commands(data) if number in (0x1B, 0x77)
    ]


@pytest.mark.parametrize(
    "shape",
    [NARROW, Shape(order=">", wide=False, cpu_type=PPC, cpu_subtype=0), Shape(order=">", cpu_type=0x01000012)],
    ids=["i386", "ppc", "ppc64"],
)
def test_other_widths_and_byte_orders(shape: Shape) -> None:
    data = plain(dylib("/a/old.dylib", shape=shape), rpath("/a", shape), shape=shape)
    new = edited(data, ReplaceNeeded("/a/old.dylib", "/a/longer/name.dylib"), SetSearchPaths(("/a", LONG)), AddNeeded("/a/b.dylib"))
    assert [name for name, _ in needs(new)] == ["/a/longer/name.dylib", "/a/b.dylib"]
    assert paths(new) == ["/a", LONG]
    assert all(len(raw) % (8 if shape.wide else 4) == 0 for _, raw in commands(new))
    assert new.endswith(b"contents")


def test_a_name_that_is_no_utf_8_is_kept() -> None:
    data = plain(command(0xC, struct.pack("<4I", 24, 2, 0, 0) + b"/a/\xff.dylib\0"))
    ((name, _),) = needs(data)
    new = edited(data, ReplaceNeeded(name, "/b" + name), SetSearchPaths(("/b" + name,)))
    assert b"/b/a/\xff.dylib\0" in new
    assert paths(new) == ["/b" + name]


# ---------------------------------------------------------------- search paths


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ("/new",)),
        (("/one",), ()),
        (("/one", "/two"), ("/one", "/middle", "/two")),
        (("/one", "/two", "/three"), ("/one", "/three")),
        (("/one", "/two"), ("/two", "/one")),
        (("/one",), (LONG, "/one", "@executable_path/x")),
        (("/one", "/two", "/three"), (LONG,)),
        (("/one", "/two"), ("/one", "/two", "/three", "/four")),
        (("/a:b",), ("/a:b", "/c")),
    ],
)
def test_search_paths_become_what_is_asked_for(before: Sequence[str], after: Sequence[str]) -> None:
    data = plain(*map(rpath, before), dylib("/a/b.dylib"), dylib("/a/c.dylib"))
    new = edited(data, SetSearchPaths(tuple(after)))
    assert paths(new) == list(after)
    assert needs(new) == needs(data)
    back = edited(new, SetSearchPaths(tuple(before)))
    assert paths(back) == list(before)


def test_paths_that_stay_are_not_touched() -> None:
    data = plain(rpath("/one"), rpath("/two"), rpath("/three"))
    found = prepare(memoryview(data), [SetSearchPaths(("/one", "/six", "/three"))])
    assert [(patch.old, patch.new) for patch in found.patches] == [(b"two", b"six")]
    assert found.patches[0].reason == "LC_RPATH: /six"


def test_a_repeated_path_is_written_once_and_said() -> None:
    data = plain(rpath("/one"))
    found = prepare(memoryview(data), [SetSearchPaths(("/one", "/two", "/one", "/two/"))])
    assert paths(bytes(apply_patches(data, found))) == ["/one", "/two"]
    assert len(found.remarks) == 2
    assert "/two/" in found.remarks[1]


def test_a_file_that_repeats_a_path_is_healed() -> None:
    old = fixture("x86_64/duplicate_rpath.so")
    found = tuple(paths(old))
    assert len(set(found)) < len(found)
    assert paths(edited(old, SetSearchPaths(found))) == ["@loader_path/a"]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "edits", "said"),
    [
        ("x86_64/libb.dylib", [ReplaceNeeded("@rpath/absent.dylib", "/x")], "does not need @rpath/absent.dylib"),
        ("x86_64/libb.dylib", [ReplaceNeeded("@rpath/liba.dylib", "/usr/lib/libSystem.B.dylib")], "two dylib commands would name"),
        ("x86_64/libb.dylib", [ReplaceNeeded("@rpath/liba.dylib", "/x"), ReplaceNeeded("@rpath/liba.dylib", "/y")], "cannot become both"),
        ("x86_64/libb.dylib", [RemoveNeeded("@rpath/liba.dylib")], "cannot be taken out"),
        ("x86_64/libb.dylib", [RemoveNeeded("/usr/lib/libSystem.B.dylib")], "cannot be taken out"),
        ("x86_64/libb.dylib", [ReplaceNeeded("@rpath/liba.dylib", "@rpath/libb.dylib")], "would need itself"),
        ("x86_64/libb.dylib", [SetIdentity("@rpath/liba.dylib")], "would need itself"),
        ("x86_64/libb.dylib", [AddNeeded("@rpath/libb.dylib")], "would need itself"),
        ("x86_64/libb.dylib", [SetIdentity("libb.dylib")], "is no path"),
        ("x86_64/libb.dylib", [SetIdentity("")], "is no path"),
        ("x86_64/libb.dylib", [SetIdentity("/a"), SetIdentity("/b")], "two identities"),
        ("x86_64/libb.dylib", [SetSearchPaths(("/a",)), SetSearchPaths(("/b",))], "two lists of search paths"),
        ("x86_64/libb.dylib", [SetSearchPaths(("/a:/b",))], "would be one path"),
        ("x86_64/libb.dylib", [SetSearchPaths(("",))], "cannot be a name"),
        ("x86_64/libb.dylib", [SetSearchPaths(("/a\0b",))], "cannot be a name"),
        ("x86_64/libb.dylib", [AddNeeded("/" + "a" * 5000)], "has 5001 bytes"),
        ("x86_64/libb.dylib", [AddNeeded("/\ud800")], "no text"),
        ("x86_64/ext.so", [SetIdentity("@rpath/ext.so")], "is a bundle"),
        ("x86_64/libb.dylib", [SetInterpreter("/usr/lib/dyld")], "no interpreter"),
        ("x86_64/libb.dylib", [SetExecutableStack(False)], "stack"),
        ("fat/liba.dylib", [SetIdentity("/a", "ppc")], "no slice for ppc"),
        ("other/a.o", [Resign()], "nothing that dyld maps"),
        ("other/liba.a", [Resign()], "nothing that dyld maps"),
    ],
)
def test_refused(name: str, edits: list[Edit], said: str) -> None:
    assert said in refusal(fixture(name), *edits).message


def test_a_program_has_no_identity() -> None:
    data = macho([segment("__DATA", 0x200, 8)], Shape(file_type=2)).ljust(0x208, b"\0")
    assert "is a program" in refusal(data, SetIdentity("/a/b")).message


def test_a_library_without_identity_is_refused() -> None:
    data = macho([segment("__DATA", 0x200, 8)]).ljust(0x208, b"\0")
    assert "LC_ID_DYLIB" in refusal(data, SetIdentity("/a/b")).message


def test_a_java_class_is_refused() -> None:
    assert "nothing that dyld maps" in refusal(b"\xca\xfe\xba\xbe\0\0\0\x41" + bytes(64), Resign()).message


def test_what_names_a_library_twice_already_may_be_edited() -> None:
    data = plain(dylib("/a/b.dylib"), dylib("/a/b.dylib"))
    assert [name for name, _ in needs(edited(data, ReplaceNeeded("/a/b.dylib", "/a/c.dylib")))] == ["/a/c.dylib"] * 2


def test_a_bare_identity_that_is_there_may_stay() -> None:
    data = macho([dylib("bare.dylib", 0xD), segment("__DATA", 0x200, 8)]).ljust(0x208, b"\0")
    assert not prepare(memoryview(data), [SetIdentity("bare.dylib")])


# ---------------------------------------------------------------- room


@pytest.mark.parametrize("free", [8, 40, 120])
def test_the_last_free_byte_is_used_and_not_one_more(free: int) -> None:
    """LLVM's install-name-tool once wrote over __text without a word."""
    data = plain(rpath("/a"), free=free)
    fits = "/" + "x" * (free + 16 - 12 - 2)  # the command has 16 bytes now; fields of 12, a slash and a NUL
    new = edited(data, SetSearchPaths((fits,)))
    assert room(new) == 0
    assert new[-8:] == b"contents"
    error = refusal(data, SetSearchPaths((fits + "x",)))
    assert "8 bytes too long" in error.message
    assert f"{free} bytes are free" in error.message
    assert "-headerpad_max_install_names" in error.hint


def test_the_linker_flag_asks_for_enough() -> None:
    error = refusal(plain(free=16), SetSearchPaths(("/" + "x" * 600,)))
    assert "-headerpad,0x300" in error.hint


def test_spare_bytes_of_other_commands_are_used_before_anything_is_left_out() -> None:
    roomy = dylib("/a/" + "b" * 61 + ".dylib").replace(b"b" * 61 + b".dylib", b"b.dylib".ljust(67, b"\0"))
    data = plain(roomy, command(SOURCE_VERSION, bytes(8)), free=8)
    found = prepare(memoryview(data), [SetSearchPaths(("/" + "x" * 40,))])
    assert found.remarks == ()
    assert needs(bytes(apply_patches(data, found))) == [("/a/b.dylib", NeedKind.REQUIRED)]


def test_spare_bytes_that_are_in_use_stay() -> None:
    used = dylib("/a/" + "b" * 61 + ".dylib").replace(b"b" * 61 + b".dylib", b"b.dylib\0".ljust(66, b"\0") + b"x")
    data = plain(used, free=8)
    assert "bytes too long" in refusal(data, SetSearchPaths(("/" + "x" * 40,))).message


@pytest.mark.parametrize(
    ("optional", "goes"),
    [
        (command(SOURCE_VERSION, bytes(8)), True),
        (command(DATA_IN_CODE, bytes(8)), True),
        (command(SIGN_DRS, bytes(8)), True),
        (command(DATA_IN_CODE, struct.pack("<2I", 0x1F0, 8)), False),
        (command(0x26, bytes(8)), False),
    ],
)
def test_what_nobody_needs_makes_room(optional: bytes, goes: bool) -> None:
    data = macho([dylib("/a/b", 0xD), optional, segment("__DATA", 0x1F0, 8)])
    data = macho([dylib("/a/b", 0xD), optional, segment("__DATA", len(data) + 8, 8)], tail=bytes(16)).ljust(0x200, b"\0")
    edit = SetSearchPaths(("/",))
    if not goes:
        refusal(data, edit)
        return
    found = prepare(memoryview(data), [edit])
    assert len(found.remarks) == 1 and "left out" in found.remarks[0]
    assert paths(edited(data, edit)) == ["/"]


def test_bytes_between_commands_and_sections_that_somebody_uses_are_not_overwritten() -> None:
    data = bytearray(plain(free=0x100))
    spot = len(data) - 8 - 0x80
    data[spot] = 1
    assert "no command names" in refusal(bytes(data), SetSearchPaths(("/" + "x" * 200,))).message
    assert edited(bytes(data), SetSearchPaths(("/" + "x" * 80,)))[spot] == 1


def test_tables_before_the_sections_count_as_contents() -> None:
    """A file without __LINKEDIT may keep its symbols right behind the commands."""
    listed = [dylib("/a/b", 0xD), command(2, struct.pack("<4I", 0x100, 1, 0x110, 8))]
    data = macho([*listed, segment("__DATA", 0x400, 8)]).ljust(0x408, b"\0")
    assert "too long" in refusal(data, SetSearchPaths(("/" + "x" * 200,))).message


# ---------------------------------------------------------------- universal files


def test_only_the_named_slice_changes() -> None:
    old = fixture("fat/liba.dylib")
    new = edited(old, SetIdentity("@rpath/other.dylib", "arm64"))
    assert {arch: one.identity for arch, one in images(new).items()} == {"x86_64": "@rpath/liba.dylib", "arm64": "@rpath/other.dylib"}
    (start, size), _ = slices(old)
    assert new[:start] + new[start : start + size] == old[:start] + old[start : start + size]


def test_all_slices_change_when_none_is_named() -> None:
    new = edited(fixture("fat/liba.dylib"), SetIdentity("@rpath/other.dylib"))
    assert {one.identity for one in images(new).values()} == {"@rpath/other.dylib"}


def test_the_universal_header_with_64_bit_offsets() -> None:
    old = fixture("fat/liba64.dylib")
    new = edited(old, SetIdentity("@rpath/other.dylib"))
    assert new[:4096] == old[:4096]
    assert image(new).identity == "@rpath/other.dylib"


def test_a_need_of_one_slice_alone_is_replaced_there() -> None:
    other = plain(dylib("/only/here.dylib", shape=NARROW), shape=NARROW)
    data = fat([(X86_64, 3, fixture("x86_64/liba.dylib")), (I386, 3, other)], alignment=12)
    new = edited(data, ReplaceNeeded("/only/here.dylib", "/only/there.dylib"))
    assert "/only/there.dylib" in [need.name for need in images(new)["i386"].needed]
    assert "does not need" in refusal(data, ReplaceNeeded("/only/here.dylib", "/x", "x86_64")).message


@pytest.mark.parametrize("wide", [False, True])
def test_slices_move_only_when_a_signature_reaches_into_them(wide: bool) -> None:
    unsigned, other = fixture("arm64/unsigned.so"), fixture("x86_64/liba.dylib")
    tight = unsigned + bytes(-len(unsigned) % 0x4000)
    assert len(tight) - len(unsigned) > 600, "the fixture has slack behind it"
    roomy = fat([(ARM64, 0, unsigned), (X86_64, 3, other)], wide, alignment=14)
    found = prepare(memoryview(roomy), [SetSearchPaths(("@loader_path/a",), arch="arm64")])
    assert (found.moves, found.size_after) == ((), len(roomy))
    packed = fat([(ARM64, 0, unsigned), (X86_64, 3, other)], wide, alignment=3)
    found = prepare(memoryview(packed), [SetSearchPaths(("@loader_path/a",), arch="arm64")])
    assert [move.size for move in found.moves] == [len(other)]
    for data in (roomy, packed):
        new = edited(data, SetSearchPaths(("@loader_path/a",), arch="arm64"))
        (_, first), (start, size) = slices(new)
        assert first > len(unsigned)
        assert new[start : start + size] == other
        assert start % (1 << 3) == 0
        assert {one.arch: len(one.search_paths) for one in read(memoryview(new))} == {"arm64": 1, "x86_64": 0}


def test_what_a_moved_slice_leaves_behind_is_cleared() -> None:
    unsigned, other = fixture("arm64/unsigned.so"), fixture("x86_64/liba.dylib")
    data = fat([(ARM64, 0, unsigned), (X86_64, 3, other)], alignment=3)
    raw = bytearray(data)
    entry = 8 + 20 + 16
    raw[entry : entry + 4] = (12).to_bytes(4, "big")
    new = apply_patches(bytes(raw), prepare(memoryview(raw), [Resign("arm64")]))
    (first, size), (start, _) = slices(bytes(new))
    assert start % 0x1000 == 0
    assert not any(new[first + size : start])
    assert new[start:] == other


def test_bytes_between_slices_that_belong_to_nobody_are_not_lost() -> None:
    data = fat([(ARM64, 0, fixture("arm64/unsigned.so")), (X86_64, 3, fixture("x86_64/liba.dylib"))], alignment=14)
    (first, size), _ = slices(data)
    raw = bytearray(data)
    raw[first + size + 9] = 1
    assert "belong to no slice" in refusal(bytes(raw), Resign("arm64")).message


# ---------------------------------------------------------------- signatures


@pytest.mark.parametrize(
    ("algorithms", "bits"), [(("sha256",), 12), (("sha256",), 14), (("sha1", "sha256"), 12), (("sha1", "sha256", "sha384"), 14)]
)
@pytest.mark.parametrize("name", ["x86_64/liba.dylib", "arm64/liba.dylib"])
def test_every_code_directory_is_repaired_and_nothing_else_in_the_signature(name: str, algorithms: tuple[str, ...], bits: int) -> None:
    old = signed(fixture(name), algorithms=algorithms, bits=bits, entitlements=b"<plist/>")
    assert faults(old) == []
    new = edited(old, SetIdentity("@rpath/other.dylib"))
    assert [without_hashes(one) for one in directories(new)] == [without_hashes(one) for one in directories(old)]
    assert len(directories(new)) == len(algorithms)
    where, size = place(old) or (0, 0)
    touched = [offset for offset in changed(old, new) if where <= offset < where + size]
    assert len(touched) <= sum({"sha1": 20, "sha256": 32, "sha384": 48}[one] for one in algorithms), "one hash slot per CodeDirectory"
    assert edited(new, SetIdentity("@rpath/liba.dylib")) == old


def test_the_hashes_of_all_touched_pages_are_made_again() -> None:
    """With pages of 256 bytes the commands cover several."""
    old = signed(fixture("x86_64/liba.dylib"), bits=8)
    found = prepare(memoryview(old), [SetSearchPaths((LONG,))])
    pages = [patch.reason for patch in found.patches if patch.reason.startswith("CodeDirectory")]
    assert len(pages) > 1
    assert faults(bytes(apply_patches(old, found))) == []


def test_ten_edits_in_a_row_do_not_grow_the_file() -> None:
    data = fixture("arm64/unsigned.so")
    data = first = edited(data, SetSearchPaths(("/0",)))
    for number in range(1, 10):
        data = edited(data, SetSearchPaths((f"/{number}",)))
    assert len(data) == len(first)


def test_an_unsigned_arm64_slice_is_signed_when_it_changes() -> None:
    old = fixture("arm64/unsigned.so")
    assert faults(old, needed=True) == ["no signature"]
    found = prepare(memoryview(old), [SetSearchPaths(("@loader_path/a",))])
    assert found.remarks == ("arm64: signed ad hoc: there was no signature",)
    new = edited(old, SetSearchPaths(("@loader_path/a",)))
    assert faults(new, needed=True) == []
    assert new[0x4000 : len(old)] == old[0x4000:], "it is appended"
    (directory,) = directories(new)
    assert identifier(directory).decode() == f"unnamed-{facts(image(old)).uuid}"
    assert linkedit_end(new) == len(new)


def test_the_signature_is_named_after_the_library() -> None:
    shape = Shape(cpu_type=ARM64, cpu_subtype=0)
    listed = [dylib("@rpath/libnamed.1.dylib", 0xD, shape), segment("__TEXT", 0, 0x1000), segment("__LINKEDIT", 0x1000, 0x20)]
    data = macho(listed, shape).ljust(0x1020, b"\0")
    new = edited(data, Resign())
    assert identifier(directories(new)[0]) == b"libnamed.1.dylib"
    assert faults(new, needed=True) == []


def test_an_unsigned_x86_64_slice_stays_without_a_signature_unless_asked() -> None:
    old = fixture("x86_64/unsigned.dylib")
    assert place(edited(old, SetSearchPaths(("/a",)))) is None
    assert faults(edited(old, SetSearchPaths(("/a",)), Resign()), needed=True) == []


def test_a_slice_that_does_not_change_is_not_signed() -> None:
    assert not prepare(memoryview(fixture("arm64/unsigned.so")), [AddNeeded("@rpath/liba.dylib")])


@pytest.mark.parametrize("name", ["x86_64/liba.dylib", "arm64/liba.dylib"])
def test_an_identitys_signature_goes_only_when_asked(name: str) -> None:
    old = signed(fixture(name), b"certificate" * 90, algorithms=("sha1", "sha256"), entitlements=b"<plist/>")
    error = refusal(old, SetIdentity("@rpath/other.dylib"))
    assert "signed with a certificate (com.example.demo)" in error.message
    assert "--resign" in error.hint
    found = prepare(memoryview(old), [SetIdentity("@rpath/other.dylib"), Resign()])
    assert "by a certificate was replaced" in found.remarks[0]
    assert "entitlements are kept" in found.remarks[1]
    new = edited(old, SetIdentity("@rpath/other.dylib"), Resign())
    assert len(new) == len(old)
    assert b"certificate" not in new and b"TEAM123456" not in new and b"<plist/>" in new
    native = facts(image(new))
    assert native.signature is not None
    assert (native.signature.kind, native.signature.identifier, native.signature.flags) == ("adhoc", "com.example.demo", 0x10002)
    assert len(directories(new)) == 2
    assert not prepare(memoryview(new), [Resign()])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda raw, at: raw.__setitem__(slice(at, at + 4), b"nope"), "malformed"),
        (lambda raw, at: raw.__setitem__(slice(raw.index(CODE_DIRECTORY) + 34, raw.index(CODE_DIRECTORY) + 36), b"\0\1"), "covers"),
    ],
)
def test_a_signature_that_makes_no_sense_is_replaced_when_asked(spoil: Callable[[bytearray, int], None], problem: str) -> None:
    raw = bytearray(fixture("arm64/liba.dylib"))
    where, _ = place(bytes(raw)) or (0, 0)
    spoil(raw, where)
    assert problem in refusal(bytes(raw), SetIdentity("/a")).message
    new = apply_patches(bytes(raw), prepare(memoryview(raw), [SetIdentity("/a"), Resign()]))
    assert faults(bytes(new), needed=True) == []
    assert check_layout(bytes(new)) == ()


def test_resigning_repairs_a_stale_page() -> None:
    raw = bytearray(fixture("arm64/liba.dylib"))
    raw[0x4001] ^= 1
    assert faults(bytes(raw)) == ["page 4"]
    found = prepare(memoryview(raw), [Resign()])
    assert [patch.reason for patch in found.patches] == ["CodeDirectory: sha256 of page 4"]
    assert faults(bytes(apply_patches(bytes(raw), found))) == []


def test_a_signature_is_not_built_before_bytes_that_follow() -> None:
    assert "40 bytes follow" in refusal(fixture("arm64/unsigned.so") + bytes(40), Resign()).message
    assert "bytes follow" in refusal(fixture("arm64/unsigned.so") + b"x", Resign()).message


def test_a_few_bytes_behind_a_signature_stay() -> None:
    """Linkers that align a slice's end leave up to 15."""
    old = fixture("x86_64/liba.dylib") + bytes(8)
    new = edited(old, SetIdentity("@rpath/other.dylib"))
    assert (len(new), new[-8:]) == (len(old), bytes(8))


def test_gaps_between_segments_are_hashed_as_they_are() -> None:
    shape = Shape(cpu_type=ARM64, cpu_subtype=0)
    data = macho([dylib("/a", 0xD, shape), segment("__TEXT", 0, 0x400), segment("__LINKEDIT", 0x4000, 0x20)], shape).ljust(0x400, b"\0")
    data = (data + b"gap" * 0x400).ljust(0x4000, b"\1") + bytes(0x20)
    first = edited(data, Resign())
    assert edited(first, SetIdentity("/b"))[0x400:0x4000] == data[0x400:0x4000]


def test_the_signature_covers_the_gap_before_it() -> None:
    shape = Shape(cpu_type=ARM64, cpu_subtype=0)
    data = macho([dylib("/a", 0xD, shape), segment("__TEXT", 0, 0x400), segment("__LINKEDIT", 0x400, 0x13)], shape).ljust(0x400, b"\0")
    data += bytes([1] * 0x13)
    new = edited(data, Resign())
    assert (place(new) or (0, 0))[0] == 0x420
    assert new[0x413:0x420] == bytes(13)


# ---------------------------------------------------------------- the layout check


def _grow_linkedit(raw: bytearray) -> None:
    at = raw.index(b"__LINKEDIT")
    raw[at + 40 : at + 48] = (int.from_bytes(raw[at + 40 : at + 48], "little") - 16).to_bytes(8, "little")


def _overlap(raw: bytearray) -> None:
    at = raw.index(b"__LINKEDIT")
    raw[at + 16 : at + 24] = bytes(8)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw.__setitem__(slice(0x200, 0x204), b"oops"), "the hashes of pages 0 differ"),
        (lambda raw: raw.__setitem__(slice(16, 20), b"\xff\0\0\0"), "ncmds"),
        (lambda raw: raw.extend(bytes(64)), "64 bytes follow it"),
        (_grow_linkedit, "outside __LINKEDIT"),
        (_overlap, "overlap in memory"),
        (lambda raw: raw.__delitem__(slice(-64, None)), "needs"),
    ],
)
def test_the_layout_check_tells_what_is_broken(spoil: Callable[[bytearray], None], said: str) -> None:
    raw = bytearray(fixture("arm64/liba.dylib"))
    assert check_layout(bytes(raw)) == ()
    spoil(raw)
    assert any(said in problem for problem in check_layout(bytes(raw))), check_layout(bytes(raw))


def _words(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (
            [command(0x19, struct.pack("<16s4Q4I", b"__DATA", 0, 0x10, 0x400, 0x20, 3, 3, 0, 0))],
            "__DATA has 0x20 bytes in the file and 0x10",
        ),
        ([command(2, _words(0x420, 1, 0x400, 8)), segment("__LINKEDIT", 0x400, 0x40)], "out of order: strings, symbols"),
        ([command(0x22, _words(0x420, 8, 0x400, 8, *[0] * 6)), segment("__LINKEDIT", 0x400, 0x40)], "out of order: bind, rebase"),
        ([segment("__LINKEDIT", 0x400, 0x40), segment("__DATA", 0x440, 0x40)], "__LINKEDIT is not the last segment"),
        ([command(0x1D, _words(0x408, 0x38)), segment("__LINKEDIT", 0x400, 0x40)], "no multiple of 16"),
        ([command(0x1D, _words(0x400, 0x20)), segment("__LINKEDIT", 0x400, 0x40)], "is not the end of __LINKEDIT"),
        ([command(0x1D, _words(0x400, 0x20))], "is not the end of __LINKEDIT"),
    ],
)
def test_the_layout_check_tells_what_lies_in_the_wrong_place(listed: list[bytes], said: str) -> None:
    data = macho([dylib("/a", 0xD), *listed]).ljust(0x480, b"\0")
    assert any(said in problem for problem in check_layout(data)), check_layout(data)


def test_the_layout_check_misses_a_signature_on_arm64_alone() -> None:
    assert check_layout(fixture("x86_64/unsigned.dylib")) == ()
    assert check_layout(fixture("arm64/unsigned.so")) == ("arm64: there is no signature: arm64 kernels do not run the code",)


def test_the_layout_check_sees_slices_that_are_not_aligned() -> None:
    raw = bytearray(fixture("fat/liba.dylib"))
    raw[8 + 16 : 8 + 20] = (20).to_bytes(4, "big")
    assert "aligned to 2^20" in check_layout(bytes(raw))[0]


# ---------------------------------------------------------------- damaged files, and the plan as data


def test_two_slices_for_one_architecture_are_unreadable() -> None:
    one = fixture("x86_64/liba.dylib")
    with pytest.raises(UnreadableBinary, match="two slices for x86_64"):
        prepare(memoryview(fat([(X86_64, 3, one), (X86_64, 3, one)])), [Resign()])


@pytest.mark.parametrize("size", [0, 4, 20, 40, 200, 5000])
def test_a_cut_file_is_said_to_be_unreadable(size: int) -> None:
    with pytest.raises(UnreadableBinary):
        prepare(memoryview(fixture("x86_64/libb.dylib")[:size]), [SetSearchPaths(("/a",))])


def test_every_patch_says_what_it_is_for() -> None:
    data = fixture("x86_64/liba.dylib")
    found = prepare(memoryview(data), [SetIdentity("@rpath/" + LONG), AddNeeded("@rpath/libmore.dylib")])
    assert isinstance(found, Patchset)
    assert [patch.reason for patch in found.patches] == [
        "mach_header: ncmds and sizeofcmds",
        "LC_ID_DYLIB: @rpath/" + LONG,
        "load commands: moved",
        "LC_LOAD_DYLIB: @rpath/libmore.dylib",
        "CodeDirectory: sha256 of page 0",
    ]
