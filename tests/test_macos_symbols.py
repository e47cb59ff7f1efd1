"""Imports and exports of Mach-O slices: binding information first, symbol table where there is none, hostile tables refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from macho_bytes import NATIVE, Shape, bind, chained, command, dylib, nlist, trie, uleb, with_tables
from relocator.backends.macos import read
from relocator.errors import UnreadableBinary
from relocator.model import Image
from relocator.symbols import Export, Import

BIN = Path(__file__).parent / "fixtures" / "bin" / "macho"
TWO = [dylib("@rpath/one.dylib"), dylib("/usr/lib/two.dylib")]
SYSTEM = "/usr/lib/libSystem.B.dylib"


def fixture(name: str) -> Image:
    return read(memoryview((BIN / name).read_bytes()))[0]


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def bound(image: Image) -> dict[bytes, tuple[str, bool]]:
    return {symbol.name: (symbol.library, symbol.weak) for symbol in image.symbols.imports() if symbol.used}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "x86_64/ext.so",
            {
                b"dyld_stub_binder": (SYSTEM, False),
                b"__Py_NoneStruct": ("<flat>", False),
                b"_PyModule_Create2": ("<flat>", False),
                b"_libb_twice": ("@rpath/libb.dylib", False),
            },
        ),
        (
            "x86_64/libb.dylib",
            {b"dyld_stub_binder": (SYSTEM, False), b"_liba_add": ("@rpath/liba.dylib", False), b"_libb_weak": ("<weak>", False)},
        ),
        ("x86_64/libchained.dylib", {b"_liba_add": ("@rpath/liba.dylib", False), b"_libb_weak": ("<weak>", False)}),
        ("x86_64/libweak.dylib", {b"dyld_stub_binder": (SYSTEM, False), b"_liba_add": ("@rpath/liba.dylib", True)}),
        (
            "arm64/ext.so",
            {b"_libb_twice": ("<flat>", False), b"_PyModule_Create2": ("<flat>", False), b"__Py_NoneStruct": ("<flat>", False)},
        ),
    ],
)
def test_what_linked_files_bind(name: str, expected: dict[bytes, tuple[str, bool]]) -> None:
    assert bound(fixture(name)) == expected


def test_all_names_of_a_flat_image_are_looked_up_everywhere() -> None:
    assert {symbol.library for symbol in fixture("x86_64/flat.so").symbols.imports()} == {"<flat>"}


def test_what_linked_files_export() -> None:
    assert fixture("x86_64/ext.so").symbols.exports() == (Export(b"_ext_value"), Export(b"_PyInit_ext"))
    assert fixture("x86_64/libb.dylib").symbols.exports() == (Export(b"_libb_weak", weak=True), Export(b"_libb_twice"))
    assert Export(b"_libt_value", data=True) in fixture("x86_64/libtls.dylib").symbols.exports()


def test_undefined_names_that_nothing_binds_are_unused() -> None:
    image = fixture("x86_64/libchained.dylib")
    assert Import(b"dyld_stub_binder", SYSTEM, used=False) in image.symbols.imports()


def test_a_name_that_an_empty_binding_command_leaves_out_is_unused() -> None:
    table = {"symbols": nlist(b"_a\0", b"_a", 0x1, 0x100), "strings": b"_a\0"}
    (bare,) = one(with_tables(TWO, table)).symbols.imports()
    (described,) = one(with_tables([*TWO, command(0x80000022, bytes(40))], table)).symbols.imports()
    assert (bare.used, described.used, described.library) == (True, False, "@rpath/one.dylib")


def test_mentions_is_certain_about_no() -> None:
    symbols = fixture("x86_64/ext.so").symbols
    assert (symbols.mentions(b"PyInit_"), symbols.mentions(b"Module_Create"), symbols.mentions(b"nowhere")) == (True, True, False)


def test_special_ordinals_in_bind_opcodes() -> None:
    raw = bind((1, b"_a", 0), (-1, b"_b", 0), (-2, b"_c", 1), (-3, b"_d", 0), (2, b"_e", 0))
    expected = {
        b"_a": ("@rpath/one.dylib", False),
        b"_b": ("<main>", False),
        b"_c": ("<flat>", True),
        b"_d": ("<weak>", False),
        b"_e": ("/usr/lib/two.dylib", False),
    }
    assert bound(one(with_tables(TWO, {"bind": raw}))) == expected


def test_lazy_dylibs_take_no_ordinal() -> None:
    commands = [dylib("/usr/lib/lazy.dylib", 0x20), *TWO]
    assert bound(one(with_tables(commands, {"bind": bind((1, b"_a", 0))}))) == {b"_a": ("@rpath/one.dylib", False)}


def test_a_name_is_weak_only_when_every_reference_is() -> None:
    raw = bind((1, b"_a", 1), (1, b"_a", 0), (1, b"_b", 1))
    assert bound(one(with_tables(TWO, {"bind": raw, "lazy_bind": bind((1, b"_b", 1))}))) == {
        b"_a": ("@rpath/one.dylib", False),
        b"_b": ("@rpath/one.dylib", True),
    }


def test_lazy_binds_go_on_after_done_and_ordinary_ones_do_not() -> None:
    twice = bind((1, b"_a", 0)) + bind((2, b"_b", 0))
    assert set(bound(one(with_tables(TWO, {"lazy_bind": twice})))) == {b"_a", b"_b"}
    assert set(bound(one(with_tables(TWO, {"bind": twice})))) == {b"_a"}


def test_weak_binding_adds_only_what_nothing_else_binds() -> None:
    weak = bytes([0x40]) + b"_a\0\x90" + bytes([0x40]) + b"_own\0\x90" + bytes([0x48]) + b"_strong\0" + b"\0"
    image = one(with_tables(TWO, {"bind": bind((2, b"_a", 0)), "weak_bind": weak}))
    assert bound(image) == {b"_a": ("/usr/lib/two.dylib", False), b"_own": ("<weak>", False)}


def test_every_counting_bind_opcode_is_understood() -> None:
    raw = b"\x11\x40_a\0\x51\x72\x08\xa0\x10\xb3\xc0\x02\x08\x60\x7f\x80\x08" + b"\xd0\x05\xd1" + b"\x40_b\0\x90\0"
    assert set(bound(one(with_tables(TWO, {"bind": raw})))) == {b"_a", b"_b"}


@pytest.mark.parametrize("form", [1, 2, 3])
def test_chained_imports_in_every_format(form: int) -> None:
    raw = chained(form, [(1, False, b"_a"), (2, True, b"_b"), (-2, False, b"_c"), (-3, False, b"_d"), (0, False, b"_e")])
    assert bound(one(with_tables(TWO, {"fixups": raw}))) == {
        b"_a": ("@rpath/one.dylib", False),
        b"_b": ("/usr/lib/two.dylib", True),
        b"_c": ("<flat>", False),
        b"_d": ("<weak>", False),
        b"_e": ("<self>", False),
    }


def test_the_symbol_table_serves_where_there_is_no_binding_information() -> None:
    for shape in (NATIVE, Shape(">", False, 0x12, 0), Shape("<", False, 7, 3)):
        strings = b"\0_a\0_b\0_c\0_def\0_weakdef\0_hidden\0_local\0"
        symbols = b"".join(
            nlist(strings, name, kind, description, shape)
            for name, kind, description in [
                (b"_a", 0x01, 0x0100),
                (b"_b", 0x01, 0x0240),
                (b"_c", 0x01, 0xFE00),
                (b"_def", 0x0F, 0),
                (b"_weakdef", 0x0F, 0x80),
                (b"_hidden", 0x1F, 0),
                (b"_local", 0x0E, 0),
            ]
        )
        commands = [dylib("@rpath/one.dylib", shape=shape), dylib("/usr/lib/two.dylib", shape=shape)]
        image = one(with_tables(commands, {"symbols": symbols, "strings": strings}, shape))
        assert bound(image) == {b"_a": ("@rpath/one.dylib", False), b"_b": ("/usr/lib/two.dylib", True), b"_c": ("<flat>", False)}
        assert image.symbols.exports() == (Export(b"_def"), Export(b"_weakdef", weak=True))


def test_reexports_say_where_a_name_really_lives() -> None:
    raw = trie((b"_same", uleb(8) + uleb(2) + b"\0"), (b"_renamed", uleb(8) + uleb(1) + b"_other\0"), (b"_own", uleb(0) + uleb(64)))
    assert one(with_tables(TWO, {"trie": raw})).symbols.exports() == (
        Export(b"_same", forward="/usr/lib/two.dylib"),
        Export(b"_renamed", forward="@rpath/one.dylib:_other"),
        Export(b"_own"),
    )


def chain(length: int) -> bytes:
    """A trie in which every node exports and has one child with one more letter: names add up to length squared."""
    node = 2 + 2 + 1 + 2 + 3
    raw = bytearray(b"\0\1a\0" + bytes([0x88, 0x80, 0x00]) + b"\0")
    for index in range(length):
        target = 8 + (index + 1) * node if index + 1 < length else 8
        raw += b"\2\0\x01\1a\0" + bytes([target & 0x7F | 0x80, target >> 7 & 0x7F | 0x80, target >> 14 & 0x7F]) + b"\0"
    return bytes(raw)


def repeated(shape: Shape = NATIVE) -> bytes:
    """A symbol table whose many entries share one long string by its tails."""
    strings = b"\0" + b"x" * 60000 + b"\0"
    symbols = b"".join(shape.pack(1 + index) + b"\x01\0\0\1" + bytes(8) for index in range(50000))
    return with_tables(TWO, {"symbols": symbols, "strings": strings}, shape)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a bind opcode that nobody knows": lambda: with_tables(TWO, {"bind": b"\x11\xe0\0"}),
    "a symbol name without an end": lambda: with_tables(TWO, {"bind": b"\x11\x40abcdef"}),
    "a number without an end": lambda: with_tables(TWO, {"bind": b"\x20" + b"\xff" * 15}),
    "an ordinal above the libraries": lambda: with_tables(TWO, {"bind": bind((3, b"_a", 0))}),
    "chained fixups too short": lambda: with_tables(TWO, {"fixups": bytes(16)}),
    "chained imports of another format": lambda: with_tables(TWO, {"fixups": chained(1, [])[:20] + NATIVE.pack(7, 0) + bytes(8)}),
    "chained imports, compressed": lambda: with_tables(TWO, {"fixups": chained(1, [])[:24] + NATIVE.pack(1) + bytes(8)}),
    "more chained imports than bytes": lambda: with_tables(TWO, {"fixups": chained(1, [])[:16] + NATIVE.pack(1 << 30, 1, 0) + bytes(8)}),
    "chained name outside": lambda: with_tables(
        TWO, {"fixups": chained(1, [(1, False, b"_a")])[:32] + NATIVE.pack(1 | 5000 << 9) + bytes(8)}
    ),
    "a trie that is a circle": lambda: with_tables(TWO, {"trie": b"\0\1a\0\0" + bytes(3)}),
    "a trie whose node lies outside": lambda: with_tables(TWO, {"trie": b"\0\1a\0\x70" + bytes(3)}),
    "a trie whose payload lies outside": lambda: with_tables(TWO, {"trie": b"\x70\0\0\0\0\0\0\0"}),
    "a trie with more edges than bytes": lambda: with_tables(TWO, {"trie": b"\0\xff" + b"a" * 14}),
    "a re-export from no library": lambda: with_tables(TWO, {"trie": trie((b"_a", uleb(8) + uleb(9) + b"\0"))}),
    "a trie whose names add up to gigabytes": lambda: with_tables(TWO, {"trie": chain(100000)}),
    "a symbol table whose names add up to gigabytes": repeated,
    "a symbol name outside the string table": lambda: with_tables(TWO, {"symbols": nlist(b"_a\0", b"_a", 1, 0)[4:].rjust(16, b"\x7f")}),
    "symbol ranges beyond the table": lambda: with_tables(
        [*TWO, command(0xB, NATIVE.pack(0, 0, 0, 0, 0, 9) + bytes(48))], {"symbols": nlist(b"_a\0", b"_a", 1, 0), "strings": b"_a\0"}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables_are_refused_and_bounded(name: str) -> None:
    with pytest.raises(UnreadableBinary):
        read(memoryview(HOSTILE[name]()))


def test_a_lone_empty_name_is_one_symbol() -> None:
    imported = one(with_tables(TWO, {"bind": bind((1, b"", 0))})).symbols
    assert imported.imports() == (Import(b"", "@rpath/one.dylib"),)
    assert one(with_tables(TWO, {"symbols": nlist(b"\0", b"", 0xF, 0), "strings": b"\0"})).symbols.exports() == (Export(b""),)
    assert one(with_tables(TWO, {})).symbols.imports() == ()
