"""The PE editor: where names go, what is refused and why, and what is never touched."""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from conftest import FIXTURES
from mutants import Noting
from pe_bytes import AMD64, ARM64, I386, SECTION, Draft, library
from pe_edits import (
    LONG,
    OPTIONAL,
    START,
    bound,
    delayed,
    edited,
    facts,
    forwards,
    full,
    headers,
    image,
    needs,
    own_section,
    patched,
    plan,
    rungs,
    sections,
    two_views,
    with_checksum,
    with_symbols,
)
from relocator.backends.windows import check_layout, prepare
from relocator.backends.windows.fixups import directories_of_views
from relocator.backends.windows.layout_check import right_checksum
from relocator.backends.windows.symbols import Collector
from relocator.errors import UnreadableBinary
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
    apply_patches,
)

PE = FIXTURES / "bin" / "pe"
FORWARD = (PE / "x64/forward.dll").read_bytes()
DELAY = (PE / "x64/delay.dll").read_bytes()
RESOURCES = (PE / "x64/resources.dll").read_bytes()
CERTIFICATE = struct.pack("<I2H", 16, 0x200, 2) + b"signedXX"
IN_PLACE, SLACK = "import: name in place", "import: name in place and in the zeros behind it"
TAIL, OWN = "name in the tail of .rdata", ".reloctr: content"


def one(name: bytes = b"liba.dll", plus: bool = True, machine: int = AMD64) -> Draft:
    return Draft(plus, machine).imports((name, [b"f"]))


def refused(data: bytes, *edits: Edit) -> EditRefused:
    with pytest.raises(EditRefused) as caught:
        plan(data, *edits)
    assert caught.value.exit_code == 4
    assert caught.value.message and caught.value.hint, "a refusal says why and what to do"
    return caught.value


def two_of_one_name(same: bool) -> bytes:
    """Build a file with two rows for liba.dll: both point to one string, or the second into the middle of the first one's."""
    draft = Draft().imports((b"xliba.dll" if not same else b"liba.dll", [b"f"]), (b"unused.dll", [b"g"]))
    rva, _ = draft.directories[1]
    first = struct.unpack_from("<I", draft.body, rva - SECTION + 12)[0]
    struct.pack_into("<I", draft.body, rva - SECTION + 32, first if same else first + 1)
    return draft.build()


# Where a name goes


@pytest.mark.parametrize(
    ("data", "new", "rung", "growth"),
    [
        (one().build(), "x.dll", IN_PLACE, 0),
        (one().build(), "libz.dll", IN_PLACE, 0),
        (Draft().imports((b"liba.dll", [b"f"]), lookup=False).build(), "liba-12345.dll", SLACK, 0),
        (one().build(), "liba-1234567.dll", TAIL, 0),
        (one().build(), LONG, TAIL, 0),
        (full(one()), LONG, OWN, 0x200),
        (full(one(plus=False, machine=I386)), LONG, OWN, 0x200),
        (full(one(machine=ARM64)), LONG, OWN, 0x200),
        (full(Draft().imports((b"liba.dll", [b"f"]), lookup=False)), "liba-12345.dll", SLACK, 0),
        (two_of_one_name(same=True), "x.dll", IN_PLACE, 0),
        (two_of_one_name(same=False), "x.dll", TAIL, 0),
    ],
)
def test_a_name_goes_to_the_first_place_with_room(data: bytes, new: str, rung: str, growth: int) -> None:
    patchset = plan(data, ReplaceNeeded("LIBA.dll", new))
    assert rungs(patchset) == [rung]
    assert patchset.size_after - patchset.size_before == growth
    after = edited(data, ReplaceNeeded("LIBA.dll", new))
    assert needs(after) == tuple(new if name == "liba.dll" else name for name in needs(data))
    assert image(after).symbols.imports()[0].name == b"f"


def test_a_name_at_the_end_of_a_section_grows_into_its_tail() -> None:
    draft = one()
    rva, _ = draft.directories[1]
    struct.pack_into("<I", draft.body, rva - SECTION + 12, draft.string(b"liba.dll"))
    after = edited(draft.build(), ReplaceNeeded("liba.dll", LONG))
    assert rungs(plan(draft.build(), ReplaceNeeded("liba.dll", LONG))) == [SLACK]
    assert needs(after) == (LONG,)
    assert headers(after).sections[0].memory == len(draft.body) + len(LONG) - len("liba.dll")


def test_zeros_that_may_be_data_are_not_written_over() -> None:
    draft = Draft()
    name = draft.string(b"liba.dll")
    draft.add(bytes(24))  # as large as a constant of a program
    draft.imports((b"other.dll", [b"f"]))
    rva, _ = draft.directories[1]
    struct.pack_into("<I", draft.body, rva - SECTION + 12, name)
    assert rungs(plan(draft.build(), ReplaceNeeded("liba.dll", "liba-12345.dll"))) == [TAIL]


def test_a_name_that_is_also_a_symbol_s_is_not_written_over() -> None:
    draft = Draft().exports(b"e.dll", [(b"liba.dll", 0)]).imports((b"other.dll", [b"f"]))
    rva, _ = draft.directories[1]
    names = struct.unpack_from("<I", draft.body, draft.directories[0][0] - SECTION + 32)[0]
    struct.pack_into("<I", draft.body, rva - SECTION + 12, struct.unpack_from("<I", draft.body, names - SECTION)[0])
    after = edited(draft.build(), ReplaceNeeded("liba.dll", "x.dll"))
    assert needs(after) == ("x.dll",)
    assert [export.name for export in image(after).symbols.exports()] == [b"liba.dll"]


def test_a_name_of_which_another_is_the_end_is_not_written_over() -> None:
    after = edited(two_of_one_name(same=False), ReplaceNeeded("xliba.dll", "y.dll"))
    assert needs(after) == ("y.dll", "liba.dll")


def test_a_name_that_is_also_the_library_s_own_is_not_written_over() -> None:
    draft = one().exports(b"e.dll", [(b"f", 0)])
    shared = struct.unpack_from("<I", draft.body, draft.directories[1][0] - SECTION + 12)
    struct.pack_into("<I", draft.body, draft.directories[0][0] - SECTION + 12, *shared)
    after = edited(draft.build(), ReplaceNeeded("liba.dll", "x.dll"))
    assert (needs(after), image(after).identity) == (("x.dll",), "liba.dll")


def test_a_name_inside_a_table_is_not_written_over() -> None:
    draft = Draft().imports((b"liba.dll", [7, 0x41]))
    rva, _ = draft.directories[1]
    struct.pack_into("<I", draft.body, rva - SECTION + 12, struct.unpack_from("<I", draft.body, rva - SECTION)[0] + 8)
    assert needs(draft.build()) == ("A",)
    after = edited(draft.build(), ReplaceNeeded("A", "B"))
    assert needs(after) == ("B",)
    assert [symbol.ordinal for symbol in image(after).symbols.imports()] == [7, 0x41]


@pytest.mark.parametrize(
    ("flags", "rung"), [(0x40000040, TAIL), (0xC0000040, TAIL), (0x60000020, OWN), (0x42000040, OWN), (0x50000040, OWN)]
)
def test_the_tail_of_code_and_of_what_is_discarded_or_shared_is_left_alone(flags: int, rung: str) -> None:
    data = patched(one().build(), 328 + 36, "<I", flags)
    assert rungs(plan(data, ReplaceNeeded("liba.dll", LONG))) == [rung]


def test_the_tail_behind_resources_is_left_alone() -> None:
    draft = one()
    draft.directories[2] = draft.add(bytes(16)), 16
    assert rungs(plan(draft.build(), ReplaceNeeded("liba.dll", LONG))) == [OWN]


def test_a_tail_that_is_not_zero_is_left_alone() -> None:
    draft = one()
    used = len(draft.body)
    draft.body += b"left over"
    assert rungs(plan(draft.build(memory=used), ReplaceNeeded("liba.dll", LONG))) == [OWN]


# What is renamed


@pytest.mark.parametrize("by_rva", [True, False])
@pytest.mark.parametrize("new", ["x.dll", LONG])
def test_delayed_imports_of_both_forms_are_renamed(by_rva: bool, new: str) -> None:
    data = Draft(False, I386).delayed((b"LibA.dll", [b"f", 5]), by_rva=by_rva).build()
    after = edited(data, ReplaceNeeded("liba.dll", new))
    assert delayed(after) == (new,)
    assert [(i.name, i.ordinal) for i in image(after).symbols.imports()] == [(b"f", None), (b"", 5)]


@pytest.mark.parametrize(
    ("new", "module"),
    [("x.dll", "x"), ("x.DLL", "x"), ("liba-1.2.dll", "liba-1.2.dll"), ("x.pyd", "x.pyd"), ("x", "x"), (LONG, LONG[:-4])],
)
def test_forwarders_are_renamed(new: str, module: str) -> None:
    before = forwards(FORWARD)
    assert before == ("liba.liba_add", "liba.#9")
    after = edited(FORWARD, ReplaceNeeded("liba.dll", new))
    assert forwards(after) == (f"{module}.liba_add", f"{module}.#9")
    back = edited(after, ReplaceNeeded(new, "liba.dll"))
    assert forwards(back) == before


def test_longer_forwarders_take_their_directory_along() -> None:
    """What the directory's entry covers is a forwarder, the rest is code: a longer string cannot lie just anywhere."""
    data = FORWARD
    after = edited(data, ReplaceNeeded("liba.dll", "y" * 100 + ".dll"))
    region = headers(after).layout.directories[0]
    assert own_section(after)[: region.size][-len("yyy.#9\0") :] == b"yyy.#9\0"
    exported = [(export.name, export.ordinal) for export in image(data).symbols.exports()]
    assert [(export.name, export.ordinal) for export in image(after).symbols.exports()] == exported
    assert image(after).identity == image(data).identity


def test_an_import_a_delayed_import_and_a_forwarder_are_renamed_together() -> None:
    draft = Draft().exports(b"e.dll", [(b"f", b"LIBA.g"), (b"h", 1)]).imports((b"liba.dll", [b"f"]), (b"c.dll", [b"f"]))
    data = draft.delayed((b"Liba.DLL", [b"f"])).build()
    after = edited(data, ReplaceNeeded("libA.dll", LONG), ReplaceNeeded("c.dll", "d.dll"), SetIdentity("renamed.dll"))
    assert (needs(after), delayed(after), forwards(after)) == ((LONG, "d.dll"), (LONG,), (LONG[:-4] + ".g",))
    assert image(after).identity == "renamed.dll"


def test_a_name_without_extension_means_a_dll() -> None:
    after = edited(one(b"liba").build(), ReplaceNeeded("liba.dll", "x.dll"))
    assert needs(after) == ("x.dll",)


def test_edits_of_one_call_do_not_see_one_another() -> None:
    data = Draft().imports((b"a.dll", [b"f"]), (b"b.dll", [b"g"])).build()
    assert needs(edited(data, ReplaceNeeded("a.dll", "b.dll"), ReplaceNeeded("b.dll", "a.dll"))) == ("b.dll", "a.dll")


def test_the_name_of_a_library_is_set_where_there_was_none() -> None:
    data = Draft().exports(b"", [(b"f", 0)]).build()
    assert image(data).identity is None
    assert image(edited(data, SetIdentity("new.dll"))).identity == "new.dll"


def test_what_is_so_already_changes_nothing() -> None:
    data = one().build()
    for edits in (
        [ReplaceNeeded("gone.dll", "liba.dll")],
        [ReplaceNeeded("liba.dll", "liba.dll")],
        [RemoveNeeded("gone.dll")],
        [Resign()],
        [],
    ):
        assert not plan(data, *edits)
    assert not plan(FORWARD, SetIdentity("forward.dll"))
    assert not plan(one().build(certificate=CERTIFICATE), ReplaceNeeded("liba.dll", "liba.dll"))


# One section of ours


def test_ten_edits_in_a_row_grow_a_file_once() -> None:
    data = full(one())
    sizes = []
    for number in range(10):
        old = needs(data)[0]
        data = edited(data, ReplaceNeeded(old, f"liba-{number}-0123456789abcdef0123456789.dll"))
        sizes.append(len(data))
    assert len(set(sizes)) == 1
    assert sections(data) == [".rdata", ".reloctr"]
    assert own_section(data) == b"liba-9-0123456789abcdef0123456789.dll\0"


def test_our_section_grows_at_the_end_of_the_file() -> None:
    names = [f"lib{number}.dll" for number in range(40)]
    data = full(Draft().imports(*((name.encode(), [b"f"]) for name in names)))
    first = edited(data, ReplaceNeeded(names[0], "a" * 60 + ".dll"))
    second = edited(first, *(ReplaceNeeded(name, f"{name[:-4]}-{'b' * 60}.dll") for name in names[1:]))
    assert sections(second) == [".rdata", ".reloctr"]
    assert needs(second) == ("a" * 60 + ".dll", *(f"{name[:-4]}-{'b' * 60}.dll" for name in names[1:]))


def test_our_section_is_not_grown_over_what_follows() -> None:
    names = [f"lib{number}.dll" for number in range(40)]
    data = edited(full(Draft().imports(*((name.encode(), [b"f"]) for name in names))), ReplaceNeeded(names[0], "a" * 60 + ".dll"))
    error = refused(data + b"overlay", *(ReplaceNeeded(name, f"{name[:-4]}-{'b' * 60}.dll") for name in names[1:]))
    assert "something follows it" in error.message


def test_names_that_several_rows_share_are_stored_once() -> None:
    data = full(Draft().imports((b"a.dll", [b"f"]), (b"A.DLL", [b"g"])))
    after = edited(data, ReplaceNeeded("a.dll", LONG))
    assert needs(after) == (LONG, LONG)
    assert own_section(after) == LONG.encode() + b"\0"


@pytest.mark.parametrize(("room", "fits"), [(40, True), (39, False), (0, False)])
def test_a_row_needs_forty_zeros_behind_the_section_table(room: int, fits: bool) -> None:
    data = bytearray(full(one()))
    data[368 + room : 0x400] = b"\xff" * (0x400 - 368 - room)
    if fits:
        assert needs(edited(bytes(data), ReplaceNeeded("liba.dll", LONG))) == (LONG,)
    else:
        error = refused(bytes(data), ReplaceNeeded("liba.dll", LONG))
        assert f"needs 40 bytes behind the section table, there are {room}" in error.message


def test_sections_aligned_to_less_than_a_page_get_no_neighbour() -> None:
    data = patched(full(one()), OPTIONAL + 32, "<I", 0x200)
    assert "sections are aligned to 512 bytes" in refused(data, ReplaceNeeded("liba.dll", LONG)).message


def test_the_size_of_the_image_is_aligned_and_debug_pointers_stay_true() -> None:
    draft = one()
    draft.code_view(b"C:\\a.pdb")
    data = full(draft)
    after = edited(data, ReplaceNeeded("liba.dll", LONG))
    assert headers(after).image_size == 0x3000
    assert headers(after).initialized == headers(data).initialized + 0x200
    assert (facts(after).pdb, facts(after).debug_id) == (facts(data).pdb, facts(data).debug_id)
    assert facts(after).pdb == "C:\\a.pdb"


# Checksum, certificate, overlay


@pytest.mark.parametrize("new", ["x.dll", LONG])
@pytest.mark.parametrize("build", [one().build, lambda: full(one())])
def test_a_checksum_is_made_right_where_one_was_set(new: str, build: Callable[[], bytes]) -> None:
    data = with_checksum(build())
    after = edited(data, ReplaceNeeded("liba.dll", new))
    assert headers(after).checksum == right_checksum(headers(after)) != headers(data).checksum
    wrong = patched(data, OPTIONAL + 64, "<I", 5)
    assert bytes(apply_patches(wrong, plan(wrong, ReplaceNeeded("liba.dll", new)))) == after
    assert headers(edited(build(), ReplaceNeeded("liba.dll", new))).checksum == 0


@pytest.mark.parametrize("new", ["x.dll", LONG])
@pytest.mark.parametrize("build", [one().build, lambda **more: patched(one().build(memory=0x200, **more), 0x5F0, "<4I", 1, 1, 1, 1)])
def test_a_signed_file_is_changed_with_consent_alone(new: str, build: Callable[..., bytes]) -> None:
    data = with_checksum(build(certificate=CERTIFICATE))
    assert "signed" in refused(data, ReplaceNeeded("liba.dll", new)).message
    patchset = plan(data, ReplaceNeeded("liba.dll", new), Resign())
    assert "the certificate was removed" in patchset.remarks
    after = edited(data, Resign(), ReplaceNeeded("liba.dll", new))
    assert (needs(after), facts(after).certificate_size, facts(after).overlay_size) == ((new,), 0, 0)


def test_a_certificate_alone_is_taken_off() -> None:
    data = one().build(certificate=CERTIFICATE)
    assert edited(data, Resign()) == one().build()
    assert edited(with_checksum(data), Resign()) == with_checksum(one().build())


def test_a_certificate_that_does_not_end_the_file_leaves_what_follows_where_it_is() -> None:
    data = one().build(certificate=CERTIFICATE) + b"appended later on"
    after = edited(data, Resign())
    assert after[len(one().build()) :] == data[len(one().build()) :]
    assert facts(after).certificate_size == 0


def test_an_overlay_stays_where_it_is_or_the_edit_is_refused() -> None:
    tail = one().build(tail=b"PK\3\4 appended")
    assert edited(tail, ReplaceNeeded("liba.dll", LONG)).endswith(b"PK\3\4 appended")
    data = full(one()) + b"PK\3\4 appended"
    assert "data that belongs to no section" in refused(data, ReplaceNeeded("liba.dll", LONG)).message
    signed = one()
    signed.body += b"\xcc" * (-len(signed.body) % 0x200)
    both = signed.build(tail=b"PK\3\4 append", certificate=CERTIFICATE)
    assert "data that belongs to no section" in refused(both, ReplaceNeeded("liba.dll", LONG), Resign()).message


def test_a_symbol_table_behind_the_sections_stays_where_it_is() -> None:
    data = with_symbols(full(one()))
    after = edited(data, ReplaceNeeded("liba.dll", LONG))
    assert needs(after) == (LONG,)
    assert after[len(full(one())) : len(data)] == data[len(full(one())) :]
    assert after[START + 12 : START + 20] == data[START + 12 : START + 20]
    again = edited(after, ReplaceNeeded(LONG, "z" + LONG))
    assert len(again) == len(after)


def test_zeros_behind_the_sections_are_no_overlay() -> None:
    after = edited(full(one()) + bytes(5), ReplaceNeeded("liba.dll", LONG))
    assert headers(after).sections[-1].pointer % 0x200 == 0


# What a change makes invalid


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("new", ["x.dll", LONG])
def test_bound_imports_are_dropped_with_their_stamps(plus: bool, new: str) -> None:
    data = bound(plus)
    assert facts(data).bound_imports == ("a.dll", "liba.dll")
    assert any("bound imports were dropped" in remark for remark in plan(data, ReplaceNeeded("liba.dll", new)).remarks)
    after = edited(data, ReplaceNeeded("liba.dll", new))
    assert (needs(after), facts(after).bound_imports) == (("a.dll", new), ())
    rva, _ = headers(after).layout.directories[1]
    assert [struct.unpack("<I", headers(after).layout.cut(rva + at, 4, "stamp"))[0] for at in (4, 24)] == [0, 0]


def test_bound_imports_stay_when_only_the_library_s_own_name_changes() -> None:
    draft = Draft().exports(b"e.dll", [(b"f", 0)]).imports((b"liba.dll", [b"g"]))
    struct.pack_into("<I", draft.body, draft.directories[1][0] - SECTION + 4, 7)
    after = edited(draft.build(), SetIdentity("x.dll"))
    assert struct.unpack("<I", headers(after).layout.cut(draft.directories[1][0] + 4, 4, "stamp"))[0] == 7


@pytest.mark.parametrize("edit", [AddNeeded("new.dll!f"), RemoveNeeded("empty.dll")])
def test_bound_imports_are_dropped_when_the_table_changes(edit: Edit) -> None:
    draft = Draft().imports((b"empty.dll", []), (b"a.dll", [b"f"]), (b"liba.dll", [b"g"]))
    start = draft.directories[1][0] - SECTION
    for row in range(3):
        struct.pack_into("<2I", draft.body, start + 20 * row + 4, 0x5F000000, 0)
    after = edited(draft.build(), edit)
    layout = headers(after).layout
    rows = len(needs(after))
    assert rows == (4 if isinstance(edit, AddNeeded) else 2)
    assert [layout.cut(layout.directories[1].rva + 20 * row + 4, 8, "stamps") for row in range(rows)] == [bytes(8)] * rows


def test_the_stamp_of_a_bound_delayed_import_goes() -> None:
    draft = Draft().delayed((b"a.dll", [b"f"]), (b"liba.dll", [b"g"]))
    start = draft.directories[13][0] - SECTION
    for row in range(2):
        struct.pack_into("<I", draft.body, start + 32 * row + 28, 0x5F000000)
    after = edited(draft.build(), ReplaceNeeded("liba.dll", "x.dll"))
    stamps = [headers(after).layout.cut(start + SECTION + 32 * row + 28, 4, "stamp") for row in range(2)]
    assert stamps == [struct.pack("<I", 0x5F000000), bytes(4)], "what stays bound keeps its stamp"


def test_a_row_is_not_put_over_bound_imports_that_stay() -> None:
    draft = Draft().exports(b"e.dll", [(b"f", 0)])
    draft.directories[11] = 384, 8
    assert "there are 16" in refused(full(draft), SetIdentity(LONG)).message


def test_bound_imports_without_lookup_tables_are_refused() -> None:
    assert "names of the imported symbols are lost" in refused(bound(lookup=False), ReplaceNeeded("liba.dll", "x.dll")).message


@pytest.mark.parametrize(("flags", "after"), [(0x800, 0), (0x900, 0x900), (0x1000, 0x1000), (0, 0)])
@pytest.mark.parametrize(("plus", "machine"), [(True, AMD64), (False, I386)])
def test_flags_that_let_needs_be_found_in_system32_alone_are_cleared(flags: int, after: int, plus: bool, machine: int) -> None:
    data = one(plus=plus, machine=machine).exports(b"e.dll", [(b"f", 0)]).configuration(flags, guard=0x100).build()
    patchset = plan(data, ReplaceNeeded("liba.dll", "x.dll"))
    assert any("DependentLoadFlags" in remark for remark in patchset.remarks) == (flags != after)
    changed = edited(data, ReplaceNeeded("liba.dll", "x.dll"))
    assert (facts(changed).dependent_load_flags, facts(changed).guard_flags) == (after, 0x100)
    assert facts(edited(data, SetIdentity("x.dll"))).dependent_load_flags == flags


def test_resources_and_everything_else_stay_byte_for_byte() -> None:
    """A name of the same length changes its own bytes and nothing else; a longer one the four that point to it besides."""
    same = plan(RESOURCES, ReplaceNeeded("liba.dll", "libz.dll"))
    assert [(patch.old, patch.new) for patch in same.patches] == [(b"liba.dll\0", b"libz.dll\0")]
    data = full(one())
    longer = plan(data, ReplaceNeeded("liba.dll", LONG))
    assert {patch.reason for patch in longer.patches} == {
        "NumberOfSections",
        "SizeOfInitializedData",
        "SizeOfImage",
        "section table: .reloctr",
        "import descriptor: Name",
        OWN,
    }


# Libraries added and removed


@pytest.mark.parametrize(("plus", "machine"), [(True, AMD64), (False, I386), (True, ARM64)])
@pytest.mark.parametrize(("symbol", "name", "number"), [("g", b"g", None), ("#7", b"", 7)])
def test_a_library_is_added_with_one_symbol(plus: bool, machine: int, symbol: str, name: bytes, number: int | None) -> None:
    for data in (one(plus=plus, machine=machine).build(), Draft(plus, machine).exports(b"e.dll", [(b"f", 0)]).build()):
        after = edited(data, AddNeeded(f"new.dll!{symbol}"))
        assert needs(after) == (*needs(data), "new.dll")
        added = image(after).symbols.imports()[-1]
        assert (added.library, added.name, added.ordinal) == ("new.dll", name, number)
        assert headers(after).sections[-1].flags == 0xC0000040, "the loader writes the address of the symbol there"
        assert not plan(after, AddNeeded(f"NEW.dll!{symbol}"))


def test_an_added_library_survives_later_edits_and_goes_again() -> None:
    data = one().build()
    added = edited(data, AddNeeded("new.dll!g"), AddNeeded("more.dll!#3"))
    renamed = edited(added, ReplaceNeeded("liba.dll", LONG), ReplaceNeeded("new.dll", "newer-and-longer.dll"))
    assert needs(renamed) == (LONG, "newer-and-longer.dll", "more.dll")
    assert [(i.library, i.name, i.ordinal) for i in image(renamed).symbols.imports()] == [
        (LONG, b"f", None),
        ("newer-and-longer.dll", b"g", None),
        ("more.dll", b"", 3),
    ]
    gone = edited(renamed, RemoveNeeded("newer-and-longer.dll"), RemoveNeeded("more.dll"))
    assert needs(gone) == (LONG,)
    assert len(gone) == len(added)


def test_a_library_from_which_nothing_is_imported_is_removed() -> None:
    data = Draft().imports((b"a.dll", [b"f"]), (b"empty.dll", []), (b"b.dll", [b"g"])).build()
    after = edited(data, RemoveNeeded("EMPTY.dll"))
    assert needs(after) == ("a.dll", "b.dll")
    assert len(after) == len(data)
    both = edited(data, RemoveNeeded("empty.dll"), ReplaceNeeded("b.dll", LONG))
    assert needs(both) == ("a.dll", LONG)


# Files for two architectures


def seen_from_x64(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the identity and the forwarders in the export directory that x64 processes see."""
    layout = headers(data).layout
    other = replace(layout, directories=directories_of_views(layout)[1])
    exports = Collector(other).exports([])
    return exports.identity or "", tuple(target for _, target in exports.forwards)


@pytest.mark.parametrize("new", ["x.dll", "libx.dll"])
def test_both_views_of_a_file_for_two_architectures_are_renamed(new: str) -> None:
    data = two_views()
    assert (seen_from_x64(data), forwards(data)) == (("e.dll", ("liba.g",)), ("liba.f",))
    after = edited(data, ReplaceNeeded("liba.dll", new), SetIdentity(LONG))
    assert (needs(after), image(after).identity, forwards(after)) == ((new,), LONG, (new[:-4] + ".f",))
    assert seen_from_x64(after) == (LONG, (new[:-4] + ".g",))


def test_an_export_directory_that_windows_exchanges_does_not_move() -> None:
    assert "for processes of the other architecture cannot move" in refused(two_views(), ReplaceNeeded("liba.dll", LONG)).message
    assert "keeps this field twice" in refused(two_views(b"other.g"), ReplaceNeeded("liba.dll", LONG)).message


def test_no_library_is_added_beside_arm64ec_code() -> None:
    assert "ARM64EC" in refused(two_views(), AddNeeded("x.dll!f")).message
    assert "ARM64EC" in refused(one().configuration(hybrid=1).build(), AddNeeded("x.dll!f")).message


def test_a_cut_table_of_fixups_is_unreadable() -> None:
    data = two_views()
    at = data.index(struct.pack("<QI", 6, 24)) - 4
    with pytest.raises(UnreadableBinary):
        plan(patched(data, at, "<I", 0x10000), ReplaceNeeded("liba.dll", "x.dll"))


# Refusals


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (SetSearchPaths(("$ORIGIN",)), "no search paths"),
        (SetSearchPaths(()), "no search paths"),
        (SetInterpreter("/lib/ld.so"), "no interpreter"),
        (SetExecutableStack(False), "stack"),
        (ReplaceNeeded("gone.dll", "x.dll"), "does not need gone.dll"),
        (ReplaceNeeded("liba.dll", ""), "cannot be the name"),
        (ReplaceNeeded("liba.dll", "é.dll"), "cannot be the name"),
        (ReplaceNeeded("liba.dll", "a\0b.dll"), "no file name"),
        (ReplaceNeeded("liba.dll", "a*.dll"), "no file name"),
        (ReplaceNeeded("liba.dll", "x" * 5000), "has 5000 bytes"),
        (SetIdentity("x.dll"), "exports nothing"),
        (RemoveNeeded("liba.dll"), "1 symbols are imported from liba.dll"),
        (AddNeeded("x.dll"), "without a symbol"),
        (AddNeeded("x.dll!#0"), "no ordinal"),
        (AddNeeded("x.dll!#65536"), "no ordinal"),
        (AddNeeded("x.dll!#²"), "without a symbol"),
        (ReplaceNeeded("liba.dll", "x.dll", arch="arm64"), "no code for arm64"),
        (Resign(arch="win32"), "no code for win32"),
    ],
)
def test_what_makes_no_sense_is_refused(edit: Edit, says: str) -> None:
    assert says in refused(one().build(), edit).message


def test_os_add_dll_directory_is_named_in_place_of_a_search_path() -> None:
    assert "os.add_dll_directory" in refused(one().build(), SetSearchPaths(("x",))).hint


def test_the_architecture_of_the_file_may_be_named() -> None:
    assert needs(edited(one().build(), ReplaceNeeded("liba.dll", "x.dll", arch="amd64"))) == ("x.dll",)


def test_needs_of_delayed_imports_and_forwarders_are_not_removed() -> None:
    assert "delayed import" in refused(DELAY, RemoveNeeded("liba.dll")).message
    assert "export forwarder" in refused(FORWARD, RemoveNeeded("liba.dll")).message


def test_two_replacements_for_one_name_are_refused() -> None:
    assert "both x.dll and y.dll" in refused(one().build(), ReplaceNeeded("liba.dll", "x.dll"), ReplaceNeeded("LIBA.dll", "y.dll")).message


@pytest.mark.parametrize("edits", [(ReplaceNeeded("liba.dll", "x.dll"),), (Resign(), ReplaceNeeded("liba.dll", "x.dll")), (Resign(),)])
def test_a_file_that_demands_its_signature_is_refused(edits: tuple[Edit, ...]) -> None:
    draft = one()
    draft.dll_characteristics |= 0x80
    assert "FORCE_INTEGRITY" in refused(draft.build(certificate=CERTIFICATE), *edits).message


def test_a_packed_file_is_refused() -> None:
    data = bytearray(one().build())
    data[328:336] = b"UPX0\0\0\0\0"
    assert "UPX" in refused(bytes(data), ReplaceNeeded("liba.dll", "x.dll")).message


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ" + bytes(100), (PE / "other/liba.lib").read_bytes(), (PE / "other/a.obj").read_bytes()])
def test_what_is_no_pe_file_is_refused(data: bytes) -> None:
    assert "no PE header" in refused(data, ReplaceNeeded("liba.dll", "x.dll")).message


def test_a_cut_file_is_unreadable() -> None:
    data = one().build()
    with pytest.raises(UnreadableBinary):
        plan(data[:0x450], ReplaceNeeded("liba.dll", "x.dll"))


def test_only_what_is_needed_is_read() -> None:
    """A file is not read whole, unless it has a checksum to make right."""
    data = one().build() + bytes(1 << 20)
    for sample, least, most in ((data, 0, 0x1000), (with_checksum(data), len(data), 2 * len(data))):
        buffer = Noting(sample)
        assert prepare(buffer, [ReplaceNeeded("liba.dll", LONG)])
        assert least <= sum(stop - start for start, stop in buffer.regions) <= most


# The check of a result


@pytest.mark.parametrize(
    ("offset", "layout", "value", "says"),
    [
        (OPTIONAL + 56, "<I", 0x2001, "SizeOfImage"),
        (OPTIONAL + 60, "<I", 0x3FF, "SizeOfHeaders"),
        (OPTIONAL + 60, "<I", 0x100, "SizeOfHeaders"),
        (OPTIONAL + 64, "<I", 1, "CheckSum"),
        (OPTIONAL + 112 + 8, "<I", 0x9000, "no section holds the address"),
        (OPTIONAL + 112 + 16, "<2I", 0x9000, "data directory 2"),
        (OPTIONAL + 32, "<I", 0x2000, "VirtualAddress 0x1000 is not aligned"),
        (328 + 20, "<I", 0x3F0, "PointerToRawData 0x3f0 is not aligned"),
    ],
)
def test_a_broken_layout_is_noticed(offset: int, layout: str, value: int, says: str) -> None:
    data = one().build()
    assert check_layout(memoryview(data)) == ()
    values = (value, 16) if layout == "<2I" else (value,)
    lines = check_layout(memoryview(patched(data, offset, layout, *values)))
    assert any(says in line for line in lines), lines


def test_overlapping_sections_and_a_second_one_of_ours_are_noticed() -> None:
    data = edited(full(one()), ReplaceNeeded("liba.dll", LONG))
    overlapping = patched(data, 328 + 16, "<I", headers(data).sections[0].size + 0x200)
    assert any(".reloctr: its bytes in the file overlap those of .rdata" in line for line in check_layout(memoryview(overlapping)))
    twice = data[:328] + data[368:376] + data[336:]
    assert any("more than one section is called .reloctr" in line for line in check_layout(memoryview(twice)))


def test_what_is_no_pe_file_has_no_layout() -> None:
    assert check_layout(b"MZ") == ("no PE header",)
    assert check_layout(memoryview(library("a.dll")[:0x420]))


@pytest.mark.parametrize("path", sorted(p.relative_to(PE).as_posix() for p in PE.rglob("*") if p.suffix in (".dll", ".pyd", ".exe")))
def test_every_fixture_is_edited_soundly(path: str) -> None:
    data = (PE / path).read_bytes()
    edits: list[Edit] = [ReplaceNeeded(need.name, f"longer-{'x' * 100}-{need.name}") for need in image(data).needed]
    if image(data).identity:
        edits.append(SetIdentity("y" * 200))
    if edits:
        after = edited(data, *edits)
        assert [need.name for need in image(after).needed] == [f"longer-{'x' * 100}-{need.name}" for need in image(data).needed]
        assert not plan(after, *edits)
