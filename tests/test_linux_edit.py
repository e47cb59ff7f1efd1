"""The ELF editor: what each edit changes, which way it takes, and what it refuses."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from elf_bytes import (
    BASE,
    NATIVE,
    PT_INTERP,
    PT_LOAD,
    Shape,
    at,
    elf,
    null_symbol,
    strtab,
    symbol,
    sysv_hash,
    verdef,
    verneed,
    versym,
)
from elf_edits import BIN, FILES, LONG, STATIC, edit, edit_soundly, facts_of, image_of, name_of, seen, spread, way
from relocator.backends import backend_for
from relocator.backends.linux.edit import prepare
from relocator.backends.linux.layout_check import check_layout
from relocator.backends.linux.room import largest_page
from relocator.backends.linux.string_table import MARK, StringTable
from relocator.backends.linux.version_edit import elf_hash
from relocator.errors import UnreadableBinary
from relocator.model import Format, VersionNeed
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
    apply_patches,
)

NEEDED, HASH, STRTAB, SYMTAB, STRSZ, SONAME, RPATH, RUNPATH, DEBUG, INIT = 1, 4, 5, 6, 10, 14, 15, 29, 21, 12
VERSYM, VERDEF, VERNEED, VERNEEDNUM, FLAGS_1, RLD_MAP_REL = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFE, 0x6FFFFFFF, 0x6FFFFFFB, 0x70000035
PT_NULL, PT_PHDR, PT_GNU_STACK = 0, 6, 0x6474E551


def load(name: str) -> bytes:
    return (BIN / name).read_bytes()


def refusal(data: bytes, *edits: Edit) -> str:
    with pytest.raises(EditRefused) as caught:
        prepare(memoryview(data), edits)
    assert caught.value.hint
    return caught.value.message


def tags(data: bytes) -> list[tuple[int, int]]:
    """The dynamic section, read with nothing of ours."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    phoff = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)[0]
    size, count = struct.unpack_from(order + "2H", data, 54 if wide else 42)
    found = []
    for place in range(phoff, phoff + size * count, size):
        kind = struct.unpack_from(order + "I", data, place)[0]
        if kind == 2:
            offset = struct.unpack_from(order + ("Q" if wide else "I"), data, place + (8 if wide else 4))[0]
            while (pair := struct.unpack_from(order + ("qQ" if wide else "iI"), data, offset))[0]:
                found.append(pair)
                offset += 16 if wide else 8
    return found


def small(*entries: tuple[int, int | str], strings: bytes, spare: int = 2, shape: Shape = NATIVE, **tables: bytes) -> bytes:
    """A library without section headers: one segment, these entries, some free ones."""
    whole = {"strings": strings, **tables}
    dynamic = [(STRTAB, "strings"), (STRSZ, "len:strings"), *entries, *[(0, 0)] * spare]
    return elf(whole, dynamic, shape)


def with_header(data: bytes, old: int, new: int) -> bytes:
    """Change the type of the program headers of one type, 64 bit little-endian."""
    copy = bytearray(data)
    phoff, phnum = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    places = [phoff + i * 56 for i in range(phnum) if struct.unpack_from("<I", data, phoff + i * 56)[0] == old]
    assert places
    for place in places:
        struct.pack_into("<I", copy, place, new)
    return bytes(copy)


def without_sections(data: bytes) -> bytes:
    copy = bytearray(data)
    struct.pack_into("<Q", copy, 40, 0)
    struct.pack_into("<2H", copy, 60, 0, 0)
    return bytes(copy)


# ---------------------------------------------------------------- what every file can take


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_long_search_path_fits_into_every_fixture(path: Path) -> None:
    data = path.read_bytes()
    new = edit_soundly(data, SetSearchPaths((LONG, "/second")))
    before, after = seen(data), seen(new)
    wanted = f"{LONG}:/second"
    kept_rpath = before.rpath is not None and before.runpath is None
    assert (after.rpath, after.runpath) == ((wanted, None) if kept_rpath else (None, wanted))
    assert after._replace(rpath=None, runpath=None) == before._replace(rpath=None, runpath=None)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_all_edits_of_a_file_go_in_together(path: Path) -> None:
    data = path.read_bytes()
    before, program = seen(data), image_of(data).kind == "program"
    wanted: list[Edit] = [SetSearchPaths((LONG,), PathKind.RPATH), AddNeeded("libadded.so.7")]
    wanted += [ReplaceNeeded(name, f"renamed-{name}") for name in dict.fromkeys(before.needed)]
    if not program:
        wanted.append(SetIdentity("libidentity-of-its-own.so.1"))
    after = seen(edit_soundly(data, *wanted))
    assert after.needed == ("libadded.so.7", *(f"renamed-{name}" for name in before.needed))
    assert (after.rpath, after.runpath) == (LONG, None)
    assert after.identity == ("libidentity-of-its-own.so.1" if not program else before.identity)
    assert after.version_needs == tuple(need._replace(library=f"renamed-{need.library}") for need in before.version_needs)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_code_and_data_stay_where_they_are(path: Path) -> None:
    data = path.read_bytes()
    new = edit(data, SetSearchPaths((LONG,)), AddNeeded("libadded.so.7"))
    before, after = facts_of(data).segments, facts_of(new).segments
    assert after[: len(before)] == before
    for segment in before:
        if segment.flags & 1:
            region = slice(segment.offset, segment.offset + segment.filesz)
            assert new[region] == data[region]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_new_segment_suits_the_largest_page(path: Path) -> None:
    data = path.read_bytes()
    before, after = facts_of(data), facts_of(edit(data, SetSearchPaths((LONG,)), AddNeeded("libadded.so.7")))
    (new,) = after.segments[len(before.segments) :]
    page = largest_page(before.machine)
    assert new.align >= max(page, *(segment.align for segment in before.segments))
    assert (new.vaddr - new.offset) % new.align == 0
    assert new.vaddr // page > max(segment.vaddr + segment.memsz - 1 for segment in before.segments) // page
    assert not new.flags & 1
    assert new.offset - len(data) < 64, "the file is not padded to a page"


# ---------------------------------------------------------------- the ladder


def with_gap(size: int, **more: bytes) -> bytes:
    strings = strtab(b"liba.so")
    return elf({"gap": bytes(size), "strings": strings, **more}, [(STRTAB, "strings"), (STRSZ, "len:strings"), (NEEDED, 1), (0, 0), (0, 0)])


LADDER: list[tuple[str, Callable[[], bytes], Edit, str]] = [
    ("a shorter path", lambda: load("x86_64/rpath.so"), SetSearchPaths(("$ORIGIN",)), "in place"),
    ("the same path", lambda: load("x86_64/rpath.so"), SetSearchPaths(("$ORIGIN/../lib", "/opt/demo/lib")), "nothing"),
    ("zeros behind a segment", lambda: spread(load("x86_64/rpath.so")), SetSearchPaths((LONG,)), "tail"),
    ("no zeros behind a segment", lambda: load("x86_64/rpath.so"), SetSearchPaths((LONG,)), "tables moved"),
    ("a gap behind the headers", lambda: with_gap(56), SetSearchPaths((LONG,)), "appended"),
    ("a gap that is too small", lambda: with_gap(48), SetSearchPaths((LONG,)), "headers moved"),
    ("a gap that is in use", lambda: with_gap(56).replace(bytes(56), b"\1" * 56), SetSearchPaths((LONG,)), "headers moved"),
    ("an unused header", lambda: with_header(load("x86_64/ext.so"), PT_GNU_STACK, PT_NULL), SetSearchPaths((LONG,)), "appended"),
    ("our own segment", lambda: edit(load("x86_64/rpath.so"), SetSearchPaths((LONG,))), SetSearchPaths((LONG + LONG,)), "extended"),
    ("no section headers", lambda: without_sections(load("x86_64/rpath.so")), SetSearchPaths((LONG,)), "headers moved"),
    ("a name that is there", lambda: load("x86_64/libb.so"), SetIdentity("liba.so"), "in place"),
]


@pytest.mark.parametrize(("make", "wanted", "expected"), [case[1:] for case in LADDER], ids=[case[0] for case in LADDER])
def test_the_cheapest_way_is_taken(make: Callable[[], bytes], wanted: Edit, expected: str) -> None:
    data = make()
    assert way(data, wanted) == expected
    edit_soundly(data, wanted)


def test_a_tail_ends_before_the_page_of_the_next_segment() -> None:
    data = spread(load("x86_64/rpath.so"))
    assert way(data, SetSearchPaths(("x" * 3000,))) == "tail"
    assert way(data, SetSearchPaths(("x" * 3800,))) == "tables moved"


def test_a_tail_with_anything_in_it_is_left_alone() -> None:
    data = bytearray(spread(load("x86_64/rpath.so")))
    end = facts_of(bytes(data)).segments[0].filesz
    data[end + 100] = 1
    assert way(bytes(data), SetSearchPaths((LONG,))) == "tables moved"


def test_the_header_table_of_a_program_is_never_moved() -> None:
    data = without_sections(load("x86_64/pie"))
    assert "no room for another program header" in refusal(data, SetSearchPaths((LONG,)))
    assert facts_of(edit_soundly(load("x86_64/pie"), SetSearchPaths((LONG,)))).runpath == LONG


def test_moving_the_header_table_of_a_library_is_said() -> None:
    patchset = prepare(memoryview(load("x86_64/no_sections.so")), [SetSearchPaths((LONG,))])
    assert any("program header table was moved" in remark for remark in patchset.remarks)


def test_old_patchelf_fillers_count_as_a_gap_only_where_sections_say_so() -> None:
    gap = with_gap(56).replace(bytes(56), b"Z" * 56)
    assert way(gap, SetSearchPaths((LONG,))) == "headers moved"


def test_bytes_behind_everything_are_spoken_of() -> None:
    data = load("x86_64/bytes_after.so")
    patchset = prepare(memoryview(data), [SetSearchPaths((LONG,))])
    assert any("belong to no section or segment" in remark for remark in patchset.remarks)
    assert edit(data, SetSearchPaths((LONG,)))[: len(data)].endswith(data[-16:])


def test_lost_section_headers_do_not_come_back_as_garbage() -> None:
    data = load("x86_64/lost_sections.so")
    new = edit_soundly(data, SetSearchPaths((LONG,)))
    assert struct.unpack_from("<Q", new, 40) == (0,)
    assert facts_of(new).warnings == ()


# ---------------------------------------------------------------- search paths


@pytest.mark.parametrize(
    ("present", "kind", "expected"),
    [
        ((), PathKind.KEEP, RUNPATH),
        ((), PathKind.RPATH, RPATH),
        ((), PathKind.RUNPATH, RUNPATH),
        ((RPATH,), PathKind.KEEP, RPATH),
        ((RPATH,), PathKind.RPATH, RPATH),
        ((RPATH,), PathKind.RUNPATH, RUNPATH),
        ((RUNPATH,), PathKind.KEEP, RUNPATH),
        ((RUNPATH,), PathKind.RPATH, RPATH),
        ((RUNPATH,), PathKind.RUNPATH, RUNPATH),
        ((RPATH, RUNPATH), PathKind.KEEP, RUNPATH),
        ((RPATH, RUNPATH), PathKind.RPATH, RPATH),
        ((RUNPATH, RPATH), PathKind.RUNPATH, RUNPATH),
        ((RPATH, RPATH), PathKind.KEEP, RPATH),
    ],
)
def test_the_kind_of_the_search_path(present: tuple[int, ...], kind: PathKind, expected: int) -> None:
    strings = strtab(b"/old", b"/new")
    data = small(*((tag, 1) for tag in present), strings=strings)
    new = edit_soundly(data, SetSearchPaths(("/new",), kind))
    assert [pair for pair in tags(new) if pair[0] in (RPATH, RUNPATH)] == [(expected, at(strings, b"/new"))]
    assert [pair for pair in tags(edit_soundly(new, SetSearchPaths(()))) if pair[0] in (RPATH, RUNPATH)] == []


def test_a_first_search_path_is_said_to_cut_off_inherited_ones() -> None:
    (remark,) = prepare(memoryview(small(strings=strtab(b"/new"))), [SetSearchPaths(("/new",))]).remarks
    assert "DT_RUNPATH" in remark
    assert not prepare(memoryview(small(strings=strtab(b"/new"))), [SetSearchPaths(("/new",), PathKind.RPATH)]).remarks


def test_a_change_of_kind_alone_swaps_the_tag() -> None:
    data = load("x86_64/rpath.so")
    (patch,) = prepare(memoryview(data), [SetSearchPaths(("$ORIGIN/../lib", "/opt/demo/lib"), PathKind.RUNPATH)]).patches
    assert (patch.old[0], patch.new[0], patch.old[1:]) == (RPATH, RUNPATH, patch.new[1:])


# ---------------------------------------------------------------- strings


def test_a_string_that_is_the_end_of_another_is_not_overwritten() -> None:
    strings = strtab(b"prefix/libs")
    data = small((SONAME, 1), (RUNPATH, at(strings, b"prefix/libs") + 7), strings=strings)
    assert seen(data)[1:4] == ("prefix/libs", None, "libs")
    assert seen(edit_soundly(data, SetSearchPaths(("abc",))))[1:4] == ("prefix/libs", None, "abc")


def test_a_string_with_a_shared_end_is_not_overwritten() -> None:
    strings = strtab(b"prefix/libs")
    data = small((RUNPATH, 1), (SONAME, 1 + 7), strings=strings)
    assert seen(edit_soundly(data, SetSearchPaths(("abc",))))[1:4] == ("libs", None, "abc")


def test_a_search_path_shared_with_a_symbol_is_not_overwritten() -> None:
    strings = strtab(b"lib_symbol")
    table = null_symbol() + symbol(strings, b"lib_symbol")
    data = small((RUNPATH, 5), (SYMTAB, "symbols"), (HASH, "hash"), strings=strings, symbols=table, hash=sysv_hash(2))
    assert seen(data).runpath == "symbol"
    assert [one.name for one in image_of(edit_soundly(data, SetSearchPaths(("ab",)))).symbols.exports()] == [b"lib_symbol"]


@pytest.mark.parametrize(
    ("raw", "used", "wanted", "place", "grown"),
    [
        (b"\0old\0", ([], []), (b"new", [1]), 1, False),
        (b"\0old\0", ([1], []), (b"new", [1]), None, True),
        (b"\0old\0", ([3], []), (b"new", [1]), None, True),
        (b"\0old\0", ([], [2]), (b"new", [1]), None, True),
        (b"\0old\0", ([], []), (b"newer", [1]), None, True),
        (b"\0old\0\0\0", ([], []), (b"newer", [1]), 1, False),
        (b"\0old\0\0\0", ([6], []), (b"newer", [1]), None, True),
        (b"\0xold\0", ([1], []), (b"new", [2]), None, True),
        (b"\0old\0new\0", ([], []), (b"new", [1]), 5, False),
        (b"\0old\0xnew\0", ([], []), (b"new", [1]), 6, False),
        (b"\0old\0xnew\0new\0", ([], []), (b"new", [1]), 10, False),
        (b"\0" + MARK + b"dead\0kept\0", ([27], []), (b"new", []), 22, False),
    ],
)
def test_where_a_string_goes(
    raw: bytes, used: tuple[list[int], list[int]], wanted: tuple[bytes, list[int]], place: int | None, grown: bool
) -> None:
    """`used` are the offsets that stay in use, and those that symbols use; `wanted` is the string and what it replaces."""
    text, (kept, symbols) = wanted[0], used
    table = StringTable(raw, lambda: symbols)
    found = table.place([(text, wanted[1], "test")], kept)[text]
    assert table.grown == grown
    assert found == (len(raw) + len(MARK) if place is None else place)
    assert table.raw[found : found + len(text) + 1] == text + b"\0"
    for other in [*kept, *symbols]:
        assert table.raw[other : raw.index(b"\0", other) + 1] == raw[other : raw.index(b"\0", other) + 1]


# ---------------------------------------------------------------- needs


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([AddNeeded("x")], ["x", "a", "b", "a"]),
        ([AddNeeded("x"), AddNeeded("y"), AddNeeded("x")], ["x", "y", "a", "b", "a"]),
        ([AddNeeded("b")], ["a", "b", "a"]),
        ([RemoveNeeded("b")], ["a", "a"]),
        ([RemoveNeeded("a")], ["b"]),
        ([RemoveNeeded("a"), RemoveNeeded("b")], []),
        ([RemoveNeeded("nothing")], ["a", "b", "a"]),
        ([ReplaceNeeded("b", "x")], ["a", "x", "a"]),
        ([ReplaceNeeded("b", "a")], ["a", "a"]),
        ([ReplaceNeeded("a", "b")], ["b"]),
        ([ReplaceNeeded("a", "b"), ReplaceNeeded("b", "a")], ["b", "a"]),
        ([ReplaceNeeded("gone", "b")], ["a", "b", "a"]),
        ([ReplaceNeeded("b", "x"), AddNeeded("x")], ["a", "x", "a"]),
        ([RemoveNeeded("b"), AddNeeded("b")], ["b", "a", "a"]),
    ],
)
def test_the_order_of_needs(edits: list[Edit], expected: list[str]) -> None:
    strings = strtab(b"a", b"b")
    data = small((NEEDED, 1), (SONAME, 1), (NEEDED, 3), (NEEDED, 1), strings=strings, spare=4)
    assert list(seen(edit(data, *edits)).needed) == expected


def test_what_is_not_needed_cannot_be_replaced() -> None:
    assert "does not need" in refusal(load("x86_64/libb.so"), ReplaceNeeded("libx.so", "liby.so"))
    assert "cannot become both" in refusal(load("x86_64/libb.so"), ReplaceNeeded("liba.so", "x"), ReplaceNeeded("liba.so", "y"))
    assert prepare(memoryview(load("x86_64/libb.so")), [RemoveNeeded("libx.so")]).remarks == ("nothing needs libx.so",)


def versioned(*libraries: bytes) -> bytes:
    strings = strtab(b"sym", *libraries, *(b"V_" + library for library in libraries))
    table = null_symbol() + b"".join(symbol(strings, b"sym", defined=False) for _ in libraries)
    records = verneed(strings, [(library, [(number, b"V_" + library, 0)]) for number, library in enumerate(libraries, 2)])
    entries: list[tuple[int, int | str]] = [(NEEDED, at(strings, library)) for library in libraries]
    entries += [(SYMTAB, "symbols"), (HASH, "hash"), (VERSYM, "numbers"), (VERNEED, "records"), (VERNEEDNUM, len(libraries))]
    count = len(libraries) + 1
    tables = {"symbols": table, "hash": sysv_hash(count), "numbers": versym(0, *range(2, count + 1)), "records": records}
    return elf({"strings": strings, **tables}, [(STRTAB, "strings"), (STRSZ, "len:strings"), *entries, (0, 0), (0, 0)])


@pytest.mark.parametrize("gone", [b"a", b"b", b"c"])
def test_a_need_goes_with_the_versions_asked_of_it(gone: bytes) -> None:
    data = versioned(b"a", b"b", b"c")
    new = edit_soundly(data, RemoveNeeded(gone.decode()))
    left = [name for name in ("a", "b", "c") if name != gone.decode()]
    assert seen(new).version_needs == tuple(VersionNeed(name, f"V_{name}", False) for name in left)
    assert dict(tags(new))[VERNEEDNUM] == 2
    asked = {one.version for one in image_of(new).symbols.imports()}
    assert asked == {b"", *(f"V_{name}".encode() for name in left)}


def test_no_symbol_keeps_the_number_of_a_version_that_is_gone() -> None:
    data = versioned(b"a")
    assert VERSYM in dict(tags(data))
    patchset = prepare(memoryview(data), [RemoveNeeded("a")])
    assert "no longer ask for a version" in patchset.remarks[0]
    new = bytes(apply_patches(data, patchset))
    assert {VERSYM, VERNEED, VERNEEDNUM}.isdisjoint(dict(tags(new)))
    numbers = dict(tags(data))[VERSYM] - BASE
    assert (data[numbers : numbers + 4], new[numbers : numbers + 4]) == (versym(0, 2), versym(0, 1))


def test_a_renamed_need_is_renamed_in_its_versions() -> None:
    new = edit_soundly(load("x86_64/wants_versions.so"), ReplaceNeeded("libversions.so", "libversions-0a1b2c3d.so"))
    assert {need.library for need in seen(new).version_needs} == {"libversions-0a1b2c3d.so"} == set(seen(new).needed)


def test_two_needs_that_become_one_share_it() -> None:
    new = edit_soundly(versioned(b"a", b"b"), ReplaceNeeded("a", "b"))
    assert seen(new).needed == ("b",)
    assert seen(new).version_needs == (VersionNeed("b", "V_a", False), VersionNeed("b", "V_b", False))


# ---------------------------------------------------------------- soname, interpreter, stack


def test_the_base_version_follows_the_soname() -> None:
    strings = strtab(b"libold.so", b"V_1")
    data = small((SONAME, 1), (VERDEF, "defs"), strings=strings, defs=verdef(strings, [(1, b"libold.so", 1), (2, b"V_1", 0)]))
    new = edit(data, SetIdentity("libnew-1.so"))
    assert seen(new).identity == "libnew-1.so"
    assert NATIVE.pack("I", elf_hash(b"libnew-1.so")) in new
    assert facts_of(new).version_definitions == ("V_1",)
    assert b"libold.so" in data
    assert elf_hash(b"V_1") == 0x5C21, "((0x56 << 4) + 0x5F << 4) + 0x31"


def test_a_version_that_has_the_name_of_the_library_keeps_it() -> None:
    """lld has both definitions share the record with the name, and those who need the library ask for the version by it (libcudart)."""
    strings = strtab(b"libold.so")
    name = at(strings, b"libold.so")
    records = [
        NATIVE.pack("4H3I", 1, 1, 1, 1, elf_hash(b"libold.so"), 40, 20),
        NATIVE.pack("4H3I", 1, 0, 2, 1, elf_hash(b"libold.so"), 20, 0),
    ]
    data = small((SONAME, name), (VERDEF, "defs"), strings=strings, defs=b"".join(records) + NATIVE.pack("2I", name, 0))
    new = edit_soundly(data, SetIdentity("libnew-0123.so"))
    assert (image_of(new).identity, facts_of(new).version_definitions) == ("libnew-0123.so", ("libold.so",))


def test_a_base_version_of_another_name_stays() -> None:
    strings = strtab(b"libold.so", b"base")
    data = small((SONAME, 1), (VERDEF, "defs"), strings=strings, defs=verdef(strings, [(1, b"base", 1)]))
    assert {patch.reason for patch in prepare(memoryview(data), [SetIdentity("lib.so")]).patches} == {"DT_SONAME: string"}


@pytest.mark.parametrize("name", ["x86_64/pie", "x86_64/no_pie", "x86_64/musl_pie", "x86_64/libinterp.so"])
@pytest.mark.parametrize("path", ["/lib/ld.so", "/a/much/longer/path/to/an/interpreter/ld-linux-x86-64.so.2"])
def test_the_interpreter(name: str, path: str) -> None:
    data = load(name)
    new = edit_soundly(data, SetInterpreter(path))
    assert facts_of(new).interpreter == path
    assert (len(new) == len(data)) == (path == "/lib/ld.so")
    assert facts_of(edit(new, SetInterpreter(facts_of(data).interpreter or ""))).interpreter == facts_of(data).interpreter


def test_a_shorter_interpreter_leaves_room_for_the_way_back() -> None:
    data = load("x86_64/pie")
    assert edit(edit(data, SetInterpreter("/x")), SetInterpreter(facts_of(data).interpreter or "")) == data


@pytest.mark.parametrize("path", FILES, ids=name_of)
@pytest.mark.parametrize("executable", [True, False])
def test_the_stack(path: Path, executable: bool) -> None:
    data = path.read_bytes()
    if facts_of(data).stack_flags is None and facts_of(data).interpreter:
        pytest.skip("refused for programs without room")
    new = edit_soundly(data, SetExecutableStack(executable))
    flags = facts_of(new).stack_flags
    assert flags is not None
    assert bool(flags & 1) == executable
    assert seen(new) == seen(data)


def test_a_missing_stack_header_is_added() -> None:
    data = load("x86_64/nognustack.so")
    assert facts_of(data).stack_flags is None
    assert facts_of(edit_soundly(data, SetExecutableStack(False))).stack_flags == 6
    null = with_header(load("x86_64/liba.so"), PT_GNU_STACK, PT_NULL)
    new = edit_soundly(null, SetExecutableStack(False))
    assert (len(new), facts_of(new).stack_flags) == (len(null), 6)


# ---------------------------------------------------------------- the dynamic section


def test_a_full_dynamic_section_moves_to_a_writable_segment() -> None:
    data = load("x86_64/pie")
    assert DEBUG in dict(tags(data))
    new = edit_soundly(data, AddNeeded("libnew.so"))
    assert facts_of(new).segments[-1].flags == 6
    again = prepare(memoryview(new), [AddNeeded("libmore.so"), SetSearchPaths(("/x",))])
    assert not any("dynamic section had no free entry" in remark for remark in again.remarks), "it has free entries now"


def test_functions_named_by_the_dynamic_section_do_not_follow_moved_tables() -> None:
    data = with_gap(56)
    copy = data.replace(struct.pack("<2q", NEEDED, 1), struct.pack("<2q", INIT, BASE + 0x40), 1)
    assert dict(tags(edit(copy, SetSearchPaths((LONG,)))))[INIT] == BASE + 0x40


def test_the_debugger_map_of_mips_stays_relative_to_its_entry() -> None:
    shape = Shape(">", False, 8)
    strings = strtab(b"/old")
    data = small((RUNPATH, 1), (RLD_MAP_REL, 0x100), strings=strings, shape=shape)
    new = edit(data, SetSearchPaths(()))
    assert dict(tags(new))[RLD_MAP_REL] == 0x100 + 8


# ---------------------------------------------------------------- refusals


def packed(data: bytes) -> bytes:
    copy = bytearray(data)
    end = struct.unpack_from("<Q", data, 32)[0] + 56 * struct.unpack_from("<H", data, 56)[0]
    copy[end + 4 : end + 8] = b"UPX!"
    return bytes(copy)


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        ("x86_64/static", SetSearchPaths(("x",)), "no dynamic section"),
        ("x86_64/static_pie", AddNeeded("x"), "static-pie"),
        ("x86_64/liba.so", SetInterpreter("/x"), "no interpreter"),
        ("x86_64/pie", SetIdentity("x"), "is a program"),
        ("x86_64/no_pie", SetIdentity("x"), "is a program"),
        ("x86_64/liba.so", Resign(), "no signature"),
        ("other/a.o", AddNeeded("x"), "object file"),
        ("x86_64/libdebug.debug", AddNeeded("x"), "debugging information"),
        ("x86_64/liba.so", SetSearchPaths(("a:b",)), "colon"),
        ("x86_64/liba.so", SetSearchPaths(("a\0b",)), "NUL"),
        ("x86_64/liba.so", SetSearchPaths(("x" * 5000,)), "5000 bytes"),
        ("x86_64/liba.so", AddNeeded(""), "empty"),
        ("x86_64/liba.so", AddNeeded("x" * 5000), "5000 bytes"),
        ("x86_64/liba.so", SetIdentity("a\0"), "NUL"),
        ("x86_64/liba.so", SetIdentity("\ud800"), "UTF-8"),
        ("x86_64/pie", SetInterpreter("x" * 5000), "5000 bytes"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, wanted: Edit, message: str) -> None:
    assert message in refusal(load(name), wanted)


def test_a_packed_file_is_refused() -> None:
    assert "UPX" in refusal(packed(load("x86_64/pie")), SetExecutableStack(True))
    assert "UPX" in refusal(load("x86_64/liba.so") + b"UPX!" + bytes(32), SetExecutableStack(True))


def test_a_static_program_has_a_stack_all_the_same() -> None:
    for name in STATIC:
        assert facts_of(edit(load(f"x86_64/{name}"), SetExecutableStack(True))).stack_flags == 7


@pytest.mark.parametrize("size", [10, 64, 300, 0x2F0])
def test_a_cut_file_is_unreadable(size: int) -> None:
    with pytest.raises(UnreadableBinary):
        prepare(memoryview(load("x86_64/libb.so")[:size]), [AddNeeded("x")])


def test_no_edits_change_nothing() -> None:
    for path in FILES:
        assert not prepare(memoryview(path.read_bytes()), [])


def test_a_name_with_bytes_that_are_no_text_survives() -> None:
    name = b"lib\xff\xfe.so".decode("utf-8", "surrogateescape")
    assert seen(edit(load("x86_64/libb.so"), ReplaceNeeded("liba.so", name))).needed == (name,)


def test_the_backend_offers_the_editor() -> None:
    backend = backend_for(Format.ELF)
    data = load("x86_64/libb.so")
    assert backend.prepare(memoryview(data), [SetIdentity("x.so")]) == prepare(memoryview(data), [SetIdentity("x.so")])
    assert backend.check_layout(memoryview(data)) == ()


# ---------------------------------------------------------------- the layout check sees what it is for


def patched(data: bytes, kind: int, field: int, value: int) -> bytes:
    """Change a field of the last program header of a type: 8 offset, 16 vaddr, 32 filesz, 40 memsz, 48 align."""
    copy = bytearray(data)
    phoff, phnum = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    place = max(phoff + i * 56 for i in range(phnum) if struct.unpack_from("<I", data, phoff + i * 56)[0] == kind)
    struct.pack_into("<Q", copy, place + field, value)
    return bytes(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: patched(d, PT_LOAD, 48, 0x10000), "modulo its alignment"),
        (lambda d: patched(d, PT_LOAD, 48, 3), "modulo its alignment"),
        (lambda d: patched(d, PT_LOAD, 40, 1), "larger in the file"),
        (lambda _: patched(load("x86_64/liba.so"), PT_LOAD, 16, 0x1418), "on one page of 4 KiB"),
        (lambda _: patched(load("x86_64/liba.so"), PT_LOAD, 16, 0x1418), "no PT_LOAD holds it"),
        (lambda _: patched(load("x86_64/liba.so"), PT_LOAD, 16, 0x418), "ascending"),
        (lambda d: patched(d, PT_PHDR, 8, 0x80), "PT_PHDR: "),
        (lambda d: patched(d, 2, 32, 0), "empty"),
        (lambda d: patched(d, PT_INTERP, 16, 0x900000), "PT_INTERP: no PT_LOAD holds it"),
        (lambda d: patched(d, PT_INTERP, 16, 0x210), "PT_INTERP: its offset and its address"),
        (lambda d: d[: len(d) - 8], ""),
    ],
)
def test_a_broken_layout_is_noticed(change: Callable[[bytes], bytes], message: str) -> None:
    data = load("x86_64/pie")
    assert check_layout(data) == ()
    found = check_layout(change(data))
    assert any(message in line for line in found) if message else found == ()


def section_changed(data: bytes, kind: int, field: int, value: int) -> bytes:
    copy = bytearray(data)
    shoff, shnum = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    place = next(shoff + i * 64 for i in range(shnum) if struct.unpack_from("<I", data, shoff + i * 64 + 4)[0] == kind)
    struct.pack_into("<Q", copy, place + field, value)
    return bytes(copy)


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        (11, 16, 0x228, "not at the address that tag 0x6"),
        (11, 24, 0x228, "its offset and its address"),
        (3, 32, 4, "DT_STRTAB and DT_STRSZ"),
        (6, 16, 0x22D8, "not where PT_DYNAMIC is"),
        (1, 24, 0x100, "overlap in the file"),
        (11, 16, 0x999999, "no PT_LOAD holds it"),
    ],
)
def test_section_headers_that_lie_are_noticed(kind: int, field: int, value: int, message: str) -> None:
    found = check_layout(section_changed(load("x86_64/pie"), kind, field, value))
    assert any(message in line for line in found)
