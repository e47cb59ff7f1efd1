"""Which symbol binds to whom: decision tables, and a slow second implementation."""

import dataclasses
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MACOS, SITE, WINDOWS, binary, elf, macho, pe, survey, symbols
from conftest import FIXTURES
from linked import lib, linked, module
from relocator.backends import identify
from relocator.backends.linux.symbols import ElfSymbols
from relocator.backends.windows.promises import promises as windows
from relocator.bindings import PLATFORM, PYTHON, UNBOUND, UNDECIDED, bound, definers, missing
from relocator.bindings.likeness import nearest, string_abi, twin
from relocator.errors import UnreadableBinary
from relocator.knowledge.libc_names import is_libc_name
from relocator.model import Binary, Format, Load, Needed, NeedKind, Survey
from relocator.symbols import Export, Import, NoSymbols, References
from symbol_examples import APPLE, environment, owned

V1, V1_HIDDEN = Export(b"f", b"V1", first=True), Export(b"f", b"V1", default=False, first=True)
V2, V2_HIDDEN, V3 = Export(b"f", b"V2"), Export(b"f", b"V2", default=False), Export(b"f", b"V3")
BARE = Export(b"f")
EVERY_BINARY = sorted(path for path in (FIXTURES / "bin").rglob("*") if path.is_file())


def answers(found: Survey, member: str = "demo/_core.so", root: str = "") -> dict[str, str | int]:
    """What became of each symbol of a file: the member that has it, or the answer."""
    path = f"{SITE}/{member}"
    load = next(load for load in found.loads if load.root == f"{SITE}/{root or member}")
    named = {one.path: one.member for one in found.binaries}
    return {one.name.decode(): named.get(one.provider, one.answer) for one in bound(found, load, path)}


def core(*needed: str, imports: Iterable[Import | bytes]) -> Binary:
    return module(*needed, rpath="$ORIGIN", table=symbols(imports))


def offering(name: str, *exports: Export | bytes, needed: Iterable[str] = (), **facts: object) -> Binary:
    return lib(f"demo/{name}", *needed, table=symbols([], exports), **facts)


@pytest.mark.parametrize(
    ("wanted", "offered", "found"),
    [
        (b"", [BARE], True),
        (b"", [V1], True),
        (b"", [V1_HIDDEN], True),
        (b"", [V2], True),
        (b"", [V2_HIDDEN], False),
        (b"", [V1_HIDDEN, V2], True),
        (b"", [V2, V3], False),
        (b"V1", [V1], True),
        (b"V1", [V1_HIDDEN], True),
        (b"V2", [V2_HIDDEN], True),
        (b"V1", [V2], False),
        (b"V1", [BARE], True),
        (b"V1", [Export(b"f", default=False)], False),
        (b"V1", [Export(b"g", b"V1")], False),
    ],
)
def test_glibc_compares_versions_so(wanted: bytes, offered: list[Export], found: bool) -> None:
    imported = Import(b"f", "liba.so" if wanted else "", wanted)
    result = answers(linked(core("liba.so", imports=[imported]), offering("liba.so", *offered)))
    assert result == {"f": "demo/liba.so" if found else UNBOUND}


def test_the_first_in_breadth_first_order_wins_be_it_weak() -> None:
    first, second = offering("libb.so", Export(b"f", weak=True)), offering("libc.so", b"f")
    one = core("liba.so", "libb.so", imports=[b"f"])
    found = linked(one, offering("liba.so", needed=["libc.so"], rpath="$ORIGIN"), first, second)
    assert answers(found) == {"f": "demo/libb.so"}


@pytest.mark.parametrize(("symbolic", "winner"), [(False, "demo/libb.so"), (True, "demo/liba.so")])
def test_a_symbolic_file_looks_into_itself_first(symbolic: bool, winner: str) -> None:
    own = lib("demo/liba.so", table=symbols([b"f"], [b"f"]), symbolic=symbolic)
    found = linked(core("libb.so", "liba.so", imports=[]), offering("libb.so", b"f"), own)
    assert answers(found, "demo/liba.so", root="demo/_core.so") == {"f": winner}


def test_the_global_scope_comes_before_all_but_for_programs() -> None:
    preloaded, own = offering("libfirst.so", b"f"), offering("liba.so", b"f")
    program = lib("demo/tool", "liba.so", rpath="$ORIGIN", kind="program", table=symbols([b"f"]))
    found = linked(core("liba.so", imports=[b"f"]), own, preloaded, program)
    found = dataclasses.replace(found, global_scope=(preloaded.path,))
    assert answers(found) == {"f": "demo/libfirst.so"}
    assert answers(found, "demo/tool") == {"f": "demo/liba.so"}


@pytest.mark.parametrize(
    ("imported", "needed", "answer"),
    [
        (Import(b"memcpy", "libc.so.6", b"GLIBC_2.14"), "libc.so.6", PLATFORM),
        (Import(b"memcpy"), "libc.so.6", PLATFORM),
        (Import(b"PyLong_FromLong"), "libc.so.6", PYTHON),
        (Import(b"_PyLong_Sign"), "libc.so.6", PYTHON),
        (Import(b"foo"), "libc.so.6", UNBOUND),
        (Import(b"inflate_all"), "libz.so.1", UNDECIDED),
        (Import(b"_ZN3foo3barEv"), "libz.so.1", UNBOUND),
        (Import(b"_ZNSt6thread4joinEv"), "libstdc++.so.6", UNDECIDED),
        (Import(b"_ZNSt6thread4joinEv"), "libc.so.6", UNBOUND),
        (Import(b"foo"), "libabsent.so", UNDECIDED),
        (Import(b"foo", "libabsent.so", b"V1"), "libabsent.so", UNDECIDED),
    ],
)
def test_what_no_file_has_is_judged_by_who_else_could_have_it(imported: Import, needed: str, answer: int) -> None:
    assert list(answers(linked(core(needed, imports=[imported]))).values()) == [answer]


@pytest.mark.parametrize("imported", [Import(b"f", weak=True), Import(b"f", used=False)])
def test_weak_and_unused_symbols_are_not_looked_for(imported: Import) -> None:
    assert answers(linked(core("libc.so.6", imports=[imported]))) == {}


def test_the_interpreter_answers_for_python_where_it_is_known() -> None:
    python = owned(module(member="bin/python", kind="program", table=symbols([], [b"Py_IsInitialized", b"PyLong_FromLong"])), "python")
    found = environment(core("libc.so.6", imports=[b"PyLong_FromLong", b"PyLong_Gone"]), python, global_scope=("bin/python",))
    assert answers(found) == {"PyLong_FromLong": "bin/python", "PyLong_Gone": UNBOUND}


def test_musl_compares_no_versions_and_passes_over_hidden_ones() -> None:
    musl = dataclasses.replace(linked().target, libc="musl")
    imports = [Import(b"f", "liba.so", b"V9"), Import(b"g", "liba.so", b"V9")]
    found = linked(core("liba.so", imports=imports), offering("liba.so", V2, Export(b"g", b"V9", default=False)), target=musl)
    assert answers(found) == {"f": "demo/liba.so", "g": UNDECIDED}


# Mach-O


def bundle(*needed: str | Needed, imports: Iterable[Import], **facts: object) -> Binary:
    return binary("demo/_core.so", macho(*needed, table=symbols(imports), **facts), extension="demo._core")  # type: ignore[arg-type]


def dylib(name: str, *exports: Export | bytes, needed: Iterable[str | Needed] = ()) -> Binary:
    name_of = f"@loader_path/{name}"
    return binary(f"demo/{name}", macho(*needed, kind="library", install_name=name_of, table=symbols([], exports)))


def on_macos(*binaries: Binary) -> dict[str, str | int]:
    return answers(linked(*binaries, target=MACOS, promises=APPLE))


A, B, SYSTEM = "@loader_path/a.dylib", "@loader_path/b.dylib", "/usr/lib/libSystem.B.dylib"


@pytest.mark.parametrize(
    ("library", "name", "answer"),
    [
        (A, b"_a", "demo/a.dylib"),
        (A, b"_b", UNBOUND),
        (B, b"_b", "demo/b.dylib"),
        (SYSTEM, b"_anything", PLATFORM),
        ("<flat>", b"_b", "demo/b.dylib"),
        ("<flat>", b"_PyLong_FromLong", PYTHON),
        ("<flat>", b"__Py_Dealloc", PYTHON),
        ("<flat>", b"_gone", UNBOUND),
        ("<main>", b"_PyLong_FromLong", UNDECIDED),
        ("<self>", b"_own", UNBOUND),
    ],
)
def test_two_level_names_come_from_one_library(library: str, name: bytes, answer: str | int) -> None:
    one = bundle(A, B, SYSTEM, imports=[Import(name, library)])
    assert list(on_macos(one, dylib("a.dylib", b"_a"), dylib("b.dylib", b"_b")).values()) == [answer]


def test_re_exports_are_followed() -> None:
    again = dylib("a.dylib", Export(b"_c", forward=f"{B}:_b"), Export(b"_d", forward=B), needed=[Needed(B, NeedKind.REEXPORT)])
    one = bundle(A, imports=[Import(name, A) for name in (b"_b", b"_c", b"_d", b"_e")])
    found = on_macos(one, again, dylib("b.dylib", b"_b", b"_d"))
    assert found == {"_b": "demo/b.dylib", "_c": "demo/b.dylib", "_d": "demo/b.dylib", "_e": UNBOUND}


def test_re_exporting_the_platform_may_have_anything() -> None:
    again = dylib("a.dylib", needed=[Needed(SYSTEM, NeedKind.REEXPORT)])
    assert on_macos(bundle(A, imports=[Import(b"_x", A)]), again) == {"_x": PLATFORM}


def test_a_wholly_flat_image_is_undecided() -> None:
    assert on_macos(bundle(SYSTEM, imports=[Import(b"_x", "<flat>")], two_level=False)) == {"_x": UNDECIDED}


def test_re_exports_in_a_circle_end() -> None:
    one = dylib("a.dylib", needed=[Needed(B, NeedKind.REEXPORT)])
    other = dylib("b.dylib", needed=[Needed(A, NeedKind.REEXPORT)])
    assert on_macos(bundle(A, imports=[Import(b"_x", A)]), one, other) == {"_x": UNDECIDED}


# Windows


def on_windows(*exports: Export, imported: Import, more: Iterable[Binary] = ()) -> str | int:
    one = binary("demo/_core.pyd", pe("foo.dll", table=symbols([imported])), extension="demo._core")
    others = [Needed(other.member.removeprefix("demo/"), NeedKind.REQUIRED) for other in more]
    dll = binary("demo/foo.dll", pe(*others, table=symbols([], exports)))
    found = linked(one, dll, *more, target=WINDOWS, promises=windows(WINDOWS, "amd64"))
    (answer,) = answers(found, "demo/_core.pyd").values()
    return answer


@pytest.mark.parametrize(
    ("imported", "export", "answer"),
    [
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1), "demo/foo.dll"),
        (Import(b"F", "foo.dll"), Export(b"f", ordinal=1), UNBOUND),
        (Import(b"", "foo.dll", ordinal=7), Export(b"f", ordinal=7), "demo/foo.dll"),
        (Import(b"", "foo.dll", ordinal=8), Export(b"f", ordinal=7), UNBOUND),
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1, forward="bar.g"), "demo/bar.dll"),
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1, forward="BAR.#3"), "demo/bar.dll"),
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1, forward="bar.gone"), UNBOUND),
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1, forward="kernel32.Sleep"), PLATFORM),
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1, forward="elsewhere.f"), UNDECIDED),
        (Import(b"f", "foo.dll"), Export(b"f", ordinal=1, forward="foo.f"), UNDECIDED),
    ],
)
def test_imports_by_name_and_ordinal_follow_forwarders(imported: Import, export: Export, answer: str | int) -> None:
    bar = binary("demo/bar.dll", pe(table=symbols([], [Export(b"g", ordinal=3)])))
    assert on_windows(export, imported=imported, more=[bar]) == answer


# what is missing


def test_each_missing_symbol_is_told_once_whatever_the_number_of_loads() -> None:
    shared = lib("demo/liba.so", "libc.so.6", table=symbols([b"gone", b"lost"]))
    roots = [module("liba.so", member=f"demo/_{n}.so", rpath="$ORIGIN") for n in range(3)]
    (item,) = missing(linked(*roots, shared))
    assert (item.importer.member, item.names, item.load.root) == ("demo/liba.so", (b"gone", b"lost"), roots[0].path)


def test_what_another_load_lacks_besides_is_told_without_repeating() -> None:
    shared = lib("demo/liba.so", table=symbols([b"gone", b"lost"]))
    full = module("liba.so", "libb.so", member="demo/_one.so", rpath="$ORIGIN")
    bare = module("liba.so", member="demo/_two.so", rpath="$ORIGIN")
    found = missing(linked(full, bare, shared, offering("libb.so", b"gone")))
    assert [(item.names, item.load.root) for item in found] == [((b"lost",), full.path), ((b"gone",), bare.path)]


def test_a_file_that_fails_only_when_it_is_opened_alone_is_no_fault() -> None:
    shared = lib("demo/liba.so", table=symbols([b"f"]))
    found = linked(core("liba.so", "libb.so", imports=[]), shared, offering("libb.so", b"f"))
    assert answers(found, "demo/liba.so") == {"f": UNBOUND}
    assert not missing(found)


def test_a_definition_that_is_not_loaded_is_known() -> None:
    found = linked(core("libc.so.6", imports=[b"f"]), offering("libb.so", b"f"))
    assert [one.member for one in definers(found, b"f", "x86_64")] == ["demo/libb.so"]
    assert len(missing(found)) == 1


# a second implementation


EXPORTS = st.sampled_from([(b"", True, False), (b"V1", True, True), (b"V1", False, True), (b"V2", True, False), (b"V2", False, False)])
FILES = st.lists(st.lists(st.tuples(st.sampled_from([b"f", b"g"]), EXPORTS), max_size=4, unique=True), min_size=1, max_size=4)
WANTED = st.lists(st.tuples(st.sampled_from([b"f", b"g", b"h"]), st.sampled_from([b"", b"V1", b"V2"])), max_size=5, unique=True)


def naive(scope: list[list[Export]], name: bytes, version: bytes) -> int | None:
    """check_match and do_lookup_x of glibc, line by line."""
    for number, exports in enumerate(scope):
        newer = []
        for export in exports:
            if export.name != name:
                continue
            if version:
                if export.version == version or (export.version == b"" and export.default):
                    return number
            elif export.version == b"" or export.first:
                return number
            elif export.default:
                newer.append(export)
        if len(newer) == 1:
            return number
    return None


@given(FILES, WANTED, st.data())
def test_a_slow_second_implementation_agrees(
    files: list[list[tuple[bytes, tuple[bytes, bool, bool]]]], wanted: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    tables = [[Export(name, version, default, first=first) for name, (version, default, first) in exports] for exports in files]
    libraries = [lib(f"demo/lib{n}.so", table=symbols([], table)) for n, table in enumerate(tables)]
    root = module(table=symbols([Import(name, "liba.so" if version else "", version) for name, version in wanted]))
    loads = []
    for _ in range(3):
        order = data.draw(st.permutations(range(len(libraries))))
        loads.append(Load(root.path, "x86_64", "glibc", (root.path, *(libraries[n].path for n in order)), ()))
    front = tuple(libraries[n].path for n in range(data.draw(st.integers(0, len(libraries)))))
    found = dataclasses.replace(survey(root, *libraries, loads=loads), global_scope=front)
    for load in found.loads:
        scope = list(dict.fromkeys((*front, *load.order[1:])))
        ordered = [tables[int(path.removesuffix(".so")[-1])] for path in scope]
        for one, (name, version) in zip(bound(found, load, root.path), wanted, strict=True):
            expected = naive(ordered, name, version)
            assert one.provider == ("" if expected is None else scope[expected])


# lean accessors


@pytest.mark.parametrize("path", EVERY_BINARY, ids=lambda path: path.name)
def test_the_lean_accessors_say_what_imports_and_exports_say(path: Path) -> None:
    data = memoryview(path.read_bytes())
    backend = identify(bytes(data[:64]))
    if backend is None:
        return
    try:
        images = backend.read(data)
    except UnreadableBinary:
        return
    for image in images:
        table = image.symbols
        strong = [one for one in table.imports() if one.used and not one.weak and one.library not in ("<weak>", "")]
        names, keys, sources = table.references()
        got = [(name, *sources[key]) for name, key in zip(names, keys, strict=True)]
        if image.format == Format.ELF:
            strong = [one for one in table.imports() if one.used and not one.weak]
        assert got == [(b"#%d" % one.ordinal if one.ordinal is not None else one.name, one.version, one.library) for one in strong]
        half = {one.name for one in table.exports()[::2]} - {b""}
        assert table.defines(half) == [one for one in table.exports() if one.name in half]
        assert table.unique() == [one for one in table.exports() if one.unique]
        assert set(table.preemptible().names) <= {one.name for one in table.exports()}


GLOBAL, WEAK, LOCAL, UNIQUE, FUNCTION, PROTECTED = 1, 2, 0, 10, 2, 3
ROWS = [
    (b"", LOCAL, 0, 0, 0, 0),
    (b"wanted", GLOBAL, 0, 0, 3, 1),
    (b"unused", GLOBAL, 0, 0, 1, 0),
    (b"weak", WEAK, 0, 0, 1, 1),
    (b"own", GLOBAL, 0, 1, 2, 1),
    (b"newer", GLOBAL, 0, 1, 4, 0),
    (b"guarded", GLOBAL, PROTECTED, 1, 1, 1),
    (b"single", UNIQUE, 0, 1, 1, 0),
]
"""Name, binding, visibility, section, DT_VERSYM entry, whether a relocation refers to it."""


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("big_endian", [True, False])
def test_the_columns_of_an_elf_table(wide: bool, big_endian: bool) -> None:
    order, strings, table = ">" if big_endian else "<", b"\0", b""
    for name, binding, other, section, _, _ in ROWS:
        offset = len(strings) if name else 0
        strings += name + b"\0" if name else b""
        info, value = binding << 4 | FUNCTION, 0x1000 * section
        table += struct.pack(order + "IBBHQQ", offset, info, other, section, value, 0) if wide else b""
        table += b"" if wide else struct.pack(order + "IIIBBH", offset, value, 0, info, other, section)
    versym = struct.pack(f"{order}{len(ROWS)}H", *(row[4] for row in ROWS))
    used = bytes(row[5] for row in ROWS)
    defined, asked = ((2, b"V1"), (4, b"V2")), ((3, b"W1", "libw.so"),)
    symbols_of = ElfSymbols(wide, big_endian, table, strings, used, versym, defined, asked)
    assert symbols_of.references() == References((b"wanted",), (0,), ((b"W1", "libw.so"),))
    assert symbols_of.preemptible() == References((b"own",), (0,), ((b"V1", ""),))
    assert [one.name for one in symbols_of.unique()] == [b"single"]
    offers = symbols_of.defines({b"own", b"newer", b"guarded", b"wanted"})
    assert [(one.name, one.version, one.first) for one in offers] == [
        (b"own", b"V1", True),
        (b"newer", b"V2", False),
        (b"guarded", b"", False),
    ]
    assert offers == [one for one in symbols_of.exports() if one.name != b"single"]


def test_a_file_without_symbols_has_none() -> None:
    table = NoSymbols()
    assert (table.references(), table.defines({b""}), table.preemptible(), table.unique()) == (References(), [], References(), [])


# likeness


@pytest.mark.parametrize(
    ("name", "others", "best"),
    [
        (b"foo_open_v2", [b"foo_close", b"foo_open"], b"foo_open"),
        (b"foo_open", [b"foo_open"], b""),
        (b"foo_open", [b"bar_shut"], b""),
        (b"abc", [b"abd"], b""),
        (b"_ZN2at4_ops5zeros4callEl", [b"_ZN2at4_ops5zeros4callEi", b"_ZN2at4_ops4ones4callEl"], b"_ZN2at4_ops5zeros4callEi"),
    ],
)
def test_the_nearest_name_is_like_enough(name: bytes, others: list[bytes], best: bytes) -> None:
    assert nearest(name, others) == best


@pytest.mark.parametrize(
    ("name", "abi"),
    [
        (b"_ZN3c107WarningC1ESs", "old"),
        (b"_Z3fooSbIwSt11char_traitsIwESaIwEE", "old"),
        (b"_Z3fooNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", "new"),
        (b"_Z3fooB5cxx11v", "new"),
        (b"_ZN7HasSsIn3fooEv", ""),
        (b"_Z9ProcessSsv", ""),
        (b"printfSs", ""),
        (b"_Z999999999Ss", ""),
        (b"_Z", ""),
    ],
)
def test_the_string_of_a_mangled_name(name: bytes, abi: str) -> None:
    assert string_abi(name)[0] == abi


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        (b"_Z3fooSs", b"_Z3fooNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", True),
        (b"_Z3fooNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", b"_Z3fooSs", True),
        (b"_Z3fooB5cxx11v", b"_Z3foov", True),
        (b"_Z3foov", b"_Z3fooB5cxx11v", True),
        (b"_Z3fooSs", b"_Z3barNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", False),
        (b"_Z3fooSs", b"_Z3fooi", False),
        (b"_Z3fooi", b"_Z3foov", False),
    ],
)
def test_twins_differ_in_the_string_alone(name: bytes, other: bytes, same: bool) -> None:
    assert twin(name, [other]) == (other if same else b"")


def test_names_of_the_c_library_are_known() -> None:
    assert is_libc_name(b"malloc")
    assert is_libc_name(b"pthread_create")
    assert is_libc_name(b"sin")
    assert not is_libc_name(b"inflate")
    assert not is_libc_name(b"_ZSt4cout")


def test_an_image_that_is_not_in_the_survey_is_passed_over() -> None:
    one = core("libc.so.6", imports=[b"f"])
    load = Load(one.path, "x86_64", "glibc", (one.path, "/gone/libx.so"), ())
    found = survey(one, loads=[load])
    assert not list(bound(found, load, "/gone/libx.so"))
    assert [item.names for item in missing(found)] == [(b"f",)]
    assert elf().symbols.references() == References()
