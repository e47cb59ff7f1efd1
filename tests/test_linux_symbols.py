"""What the ELF reader makes of dynamic symbols: how many there are, which are used, their versions, and what it refuses."""

import pickle
import struct

import pytest

from conftest import FIXTURES
from elf_bytes import (
    BASE,
    FUNC,
    GLOBAL,
    IFUNC,
    NATIVE,
    NOTYPE,
    OBJECT,
    PT_LOAD,
    SECTION,
    SHAPES,
    TLS,
    UNIQUE,
    WEAK,
    Piece,
    Shape,
    elf,
    gnu_hash,
    null_symbol,
    relocation,
    sleb,
    strtab,
    symbol,
    sysv_hash,
    verdef,
    verneed,
    versym,
)
from relocator.backends.linux.read import read
from relocator.backends.linux.symbols import ElfSymbols
from relocator.errors import UnreadableBinary
from relocator.model import Image
from relocator.symbols import Export, Import, NoSymbols

BIN = FIXTURES / "bin" / "elf"
ARCHES = ("x86_64", "i686", "aarch64", "armv7l", "ppc64", "ppc64le", "s390x", "riscv64", "loongarch64")
HASH, STRTAB, SYMTAB, RELA, RELASZ, RELAENT, STRSZ, SYMENT = 4, 5, 6, 7, 8, 9, 10, 11
REL, RELSZ, RELENT, PLTRELSZ, PLTREL, JMPREL, RELRSZ, RELR = 17, 18, 19, 2, 20, 23, 35, 36
GNU_HASH, VERSYM, RELACOUNT, VERDEF, VERNEED = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFF9, 0x6FFFFFFC, 0x6FFFFFFE
ANDROID_REL, ANDROID_RELSZ, ANDROID_RELA, ANDROID_RELASZ = 0x6000000F, 0x60000010, 0x60000011, 0x60000012
NAMES = strtab(b"wanted", b"maybe", b"given", b"spare", b"data", b"V_1", b"V_2", b"libv.so")

Dynamic = list[tuple[int, int | str]]
BASIC: Dynamic = [(STRTAB, "dynstr"), (STRSZ, "len:dynstr"), (SYMTAB, "dynsym")]


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def fixture(name: str) -> Image:
    return one((BIN / name).read_bytes())


def imported(image: Image) -> dict[bytes, bool]:
    """Names and whether a relocation uses them."""
    return {i.name: i.used for i in image.symbols.imports()}


def refuse(data: bytes) -> str:
    with pytest.raises(UnreadableBinary) as caught:
        read(memoryview(data))
    return caught.value.field


def undefined(name: bytes, shape: Shape = NATIVE, binding: int = GLOBAL) -> bytes:
    return symbol(NAMES, name, shape, info=(binding, NOTYPE), defined=False)


def table(shape: Shape = NATIVE) -> bytes:
    """A dummy, two undefined symbols and a defined one."""
    return null_symbol(shape) + undefined(b"wanted", shape) + undefined(b"maybe", shape, WEAK) + symbol(NAMES, b"given", shape)


@pytest.mark.parametrize("arch", ARCHES)
def test_exports_are_what_a_loader_finds(arch: str) -> None:
    exports = {e.name: e for e in fixture(f"{arch}/liba.so").symbols.exports()}
    assert set(exports) == {b"a", b"a_data", b"a_weak", b"a_protected"}
    assert (exports[b"a_data"].data, exports[b"a_data"].size) == (True, 4)
    assert (exports[b"a"].data, exports[b"a"].weak, exports[b"a"].unique, exports[b"a"].version) == (False, False, False, b"")
    assert exports[b"a_weak"].weak


@pytest.mark.parametrize("arch", ARCHES)
def test_imports_are_known_and_used(arch: str) -> None:
    assert imported(fixture(f"{arch}/libb.so")) == {b"a": True, b"a_data": True}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x86_64/imports_only.so", {b"a": True, b"c": True, b"z_nothing_refers_to_me": False}),
        ("x86_64/no_sections.so", {b"b": True, b"PyModuleDef_Init": True, b"PyErr_Clear": True}),
        ("x86_64/hash_sysv.so", {b"a": True, b"a_data": True}),
        ("x86_64/hash_both.so", {b"a": True, b"a_data": True}),
        ("x86_64/rela.so", {b"a": True, b"a_data": True}),
        ("x86_64/relr.so", {b"a": True, b"a_data": True}),
        ("i686/textrel.so", {b"a": True, b"a_data": True}),
        ("aarch64/android_packed.so", {b"a": True, b"a_data": True}),
        ("armv7l/android_packed.so", {b"a": True, b"a_data": True}),
        ("x86_64/no_pie", {b"a": True}),
        ("x86_64/static_pie", {}),
    ],
)
def test_imports_of(name: str, expected: dict[bytes, bool]) -> None:
    assert imported(fixture(name)) == expected


def test_versions_of_imports_name_their_library() -> None:
    imports = {i.name: i for i in fixture("x86_64/wants_versions.so").symbols.imports()}
    assert (imports[b"f"].version, imports[b"f"].library, imports[b"f"].weak) == (b"V_2", "libversions.so", False)
    assert (imports[b"g"].version, imports[b"g"].library, imports[b"g"].weak) == (b"V_1", "libversions.so", True)


def test_a_symbol_in_two_versions_has_one_default() -> None:
    exports = fixture("x86_64/libversions.so").symbols.exports()
    assert {(e.name, e.version, e.default) for e in exports} == {(b"f", b"V_1", False), (b"f", b"V_2", True), (b"g", b"V_1", True)}


def test_a_unique_symbol() -> None:
    (export,) = fixture("x86_64/unique.so").symbols.exports()
    assert (export.name, export.unique, export.weak, export.data) == (b"only_once", True, False, True)


def test_thread_local_exports_are_data() -> None:
    exports = {e.name: e.data for e in fixture("x86_64/tls.so").symbols.exports()}
    assert exports == {b"tls_zero": True, b"tls_one": True, b"tls": False}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (symbol(NAMES, b"given"), [b"given"]),
        (symbol(NAMES, b"given", info=(WEAK, OBJECT)), [b"given"]),
        (symbol(NAMES, b"given", info=(UNIQUE, OBJECT)), [b"given"]),
        (symbol(NAMES, b"given", info=(GLOBAL, IFUNC)), [b"given"]),
        (symbol(NAMES, b"given", other=3), [b"given"]),
        (symbol(NAMES, b"given", other=0x60), [b"given"]),
        (symbol(NAMES, b"given", value=0, shndx=0xFFF1), [b"given"]),
        (symbol(NAMES, b"given", value=0, info=(GLOBAL, TLS)), [b"given"]),
        (symbol(NAMES, b"given", value=0), []),
        (symbol(NAMES, b"given", other=1), []),
        (symbol(NAMES, b"given", other=2), []),
        (symbol(NAMES, b"given", info=(0, FUNC)), []),
        (symbol(NAMES, b"given", info=(13, FUNC)), []),
        (symbol(NAMES, b"given", info=(GLOBAL, SECTION)), []),
        (symbol(NAMES, b"", info=(GLOBAL, FUNC)), []),
        (undefined(b"given"), []),
    ],
)
def test_who_counts_as_exported(row: bytes, expected: list[bytes]) -> None:
    image = one(elf({"dynsym": null_symbol() + row, "dynstr": NAMES, "hash": sysv_hash(2)}, [*BASIC, (HASH, "hash")]))
    assert [e.name for e in image.symbols.exports()] == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (undefined(b"wanted"), [(b"wanted", False)]),
        (undefined(b"wanted", binding=WEAK), [(b"wanted", True)]),
        (undefined(b"wanted", binding=0), []),
        (symbol(NAMES, b"wanted", defined=False, value=0x400), [(b"wanted", False)]),
        (null_symbol(), []),
        (symbol(NAMES, b"wanted"), []),
    ],
)
def test_who_counts_as_imported(row: bytes, expected: list[tuple[bytes, bool]]) -> None:
    image = one(elf({"dynsym": null_symbol() + row, "dynstr": NAMES, "hash": sysv_hash(2)}, [*BASIC, (HASH, "hash")]))
    assert [(i.name, i.weak) for i in image.symbols.imports()] == expected


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("hashed", ["hash", "gnu", "neither"])
def test_however_the_symbols_are_counted_all_are_found(shape: Shape, hashed: str) -> None:
    tables = {"dynsym": table(shape), "dynstr": NAMES, "hash": sysv_hash(4, shape), "gnu": gnu_hash(3, 1, shape)}
    tables["rela"] = relocation(shape, 1, addend=True) + relocation(shape, 3, addend=True)
    dynamic = [*BASIC, (RELA, "rela"), (RELASZ, "len:rela"), *({"hash": [(HASH, "hash")], "gnu": [(GNU_HASH, "gnu")]}.get(hashed, []))]
    image = one(elf(tables, dynamic, shape))
    assert image.symbols.imports() == (Import(b"wanted", used=True), Import(b"maybe", weak=True, used=False))
    assert image.symbols.exports() == (Export(b"given", size=4),)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("addend", [True, False])
@pytest.mark.parametrize("lazy", [True, False])
def test_every_kind_of_relocation_shows_use(shape: Shape, addend: bool, lazy: bool) -> None:
    tables = {"dynsym": table(shape), "dynstr": NAMES, "hash": sysv_hash(4, shape), "relocations": relocation(shape, 2, addend)}
    if lazy:
        dynamic: Dynamic = [(JMPREL, "relocations"), (PLTRELSZ, "len:relocations"), (PLTREL, RELA if addend else REL)]
    else:
        dynamic = [(RELA if addend else REL, "relocations"), (RELASZ if addend else RELSZ, "len:relocations")]
    image = one(elf(tables, [*BASIC, (HASH, "hash"), *dynamic], shape))
    assert imported(image) == {b"wanted": False, b"maybe": True}


def test_relative_relocations_are_passed_over_by_their_count() -> None:
    tables = {"dynsym": table(), "dynstr": NAMES, "hash": sysv_hash(4), "rela": relocation(NATIVE, 1, True) + relocation(NATIVE, 2, True)}
    dynamic = [*BASIC, (HASH, "hash"), (RELA, "rela"), (RELASZ, "len:rela")]
    assert imported(one(elf(tables, dynamic))) == {b"wanted": True, b"maybe": True}
    assert imported(one(elf(tables, [*dynamic, (RELACOUNT, 1)]))) == {b"wanted": False, b"maybe": True}
    assert imported(one(elf(tables, [*dynamic, (RELACOUNT, 1 << 60)]))) == {b"wanted": False, b"maybe": False}


INFO = {True: (1 << 32 | 6, 2 << 32 | 6), False: (1 << 8 | 6, 2 << 8 | 6)}


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("kind", ["each its own", "one info", "one info and offset", "addends", "no addends to group", "one addend"])
def test_packed_relocations_show_use(wide: bool, kind: str) -> None:
    shape = Shape("<", wide, 183 if wide else 40)
    first, second = INFO[wide]
    streams = {
        "each its own": (2, 0, 2, 0, 8, first, 8, second),
        "one info": (2, 0, 2, 1, first, 8, 8),
        "one info and offset": (1 << 40, 0, 1 << 40, 3, 8, first),
        "addends": (2, 0, 2, 8, 8, first, 100, 8, second, -100),
        "no addends to group": (2, 0, 2, 4, 8, first, 8, second),
        "one addend": (2, 0, 1, 12, 5, 8, first, 1, 12, 5, 8, second),
    }
    both = kind not in ("one info", "one info and offset")
    tables = {"dynsym": table(shape), "dynstr": NAMES, "hash": sysv_hash(4, shape), "packed": b"APS2" + sleb(*streams[kind])}
    tags: Dynamic = [(ANDROID_RELA, "packed"), (ANDROID_RELASZ, "len:packed")]
    if not wide:
        tags = [(ANDROID_REL, "packed"), (ANDROID_RELSZ, "len:packed")]
    assert imported(one(elf(tables, [*BASIC, (HASH, "hash"), *tags], shape))) == {b"wanted": True, b"maybe": both}


@pytest.mark.parametrize(
    "packed",
    [
        b"APS1" + sleb(0, 0),
        b"APS2",
        b"APS2" + sleb(2, 0, 3, 0),
        b"APS2" + sleb(2, 0, 0, 0),
        b"APS2" + sleb(2, 0, -1, 0),
        b"APS2" + sleb(1 << 62, 0, 1 << 62, 0, 8),
        b"APS2" + b"\x80" * 100,
        b"APS2" + b"\x80" * 12 + b"\0" * 4,
        b"APS2" + sleb(1, 0, 1, 1, 99 << 32, 8),
    ],
)
def test_packed_relocations_that_lie_are_refused(packed: bytes) -> None:
    tables = {"dynsym": table(), "dynstr": NAMES, "hash": sysv_hash(4), "packed": packed}
    assert refuse(elf(tables, [*BASIC, (HASH, "hash"), (ANDROID_RELA, "packed"), (ANDROID_RELASZ, "len:packed")])) in (
        "DT_ANDROID_REL",
        "relocations",
    )


@pytest.mark.parametrize("wide_words", [True, False])
def test_s390x_has_hash_words_of_eight_bytes_and_some_linkers_do_not_know(wide_words: bool) -> None:
    shape = Shape(">", True, 22)
    tables = {"dynsym": table(shape), "dynstr": NAMES, "hash": sysv_hash(4, shape, wide_words)}
    image = one(elf(tables, [*BASIC, (HASH, "hash")], shape))
    assert len(image.symbols.imports()) == 2
    assert len(image.symbols.exports()) == 1


@pytest.mark.parametrize("versioned", [True, False])
def test_unused_imports_behind_all_that_is_referred_to_are_found(versioned: bool) -> None:
    rows = null_symbol() + undefined(b"wanted") + undefined(b"maybe") + undefined(b"spare")
    tables = {"dynsym": rows, "versym": versym(0, 1, 1, 1), "dynstr": NAMES, "gnu": gnu_hash(1, 0), "rela": relocation(NATIVE, 1, True)}
    dynamic = [*BASIC, (GNU_HASH, "gnu"), (RELA, "rela"), (RELASZ, "len:rela"), *([(VERSYM, "versym")] if versioned else [])]
    expected = {b"wanted": True, b"maybe": False, b"spare": False}
    assert imported(one(elf(tables, dynamic))) == expected


def test_a_count_that_is_too_low_does_not_hide_what_relocations_use() -> None:
    tables = {"dynsym": table(), "dynstr": NAMES, "hash": sysv_hash(2), "rela": relocation(NATIVE, 3, True)}
    image = one(elf(tables, [*BASIC, (HASH, "hash"), (RELA, "rela"), (RELASZ, "len:rela")]))
    assert imported(image) == {b"wanted": False, b"maybe": False}
    assert [e.name for e in image.symbols.exports()] == [b"given"]


def test_relocations_without_a_symbol_need_no_symbol_table() -> None:
    dynamic: Dynamic = [(RELA, "rela"), (RELASZ, "len:rela")]
    assert one(elf({"rela": relocation(NATIVE, 0, True)}, dynamic)).symbols == NoSymbols()
    assert refuse(elf({"rela": relocation(NATIVE, 1, True)}, dynamic)) == "relocations"


@pytest.mark.parametrize(
    ("row", "counts"),
    [
        (undefined(b"spare"), True),
        (undefined(b"spare", binding=WEAK), True),
        (undefined(b"spare", binding=0), False),
        (undefined(b"spare", binding=5), False),
        (symbol(NAMES, b"spare", defined=False, shndx=7), False),
        (symbol(NAMES, b"spare", defined=False, value=1), False),
        (symbol(NAMES, b"spare", info=(GLOBAL, SECTION), defined=False), False),
        (null_symbol(), False),
        (struct.pack("<I2BH2Q", 0xFFFF, 0x10, 0, 0, 0, 0), False),
    ],
)
def test_bytes_behind_the_last_symbol_count_when_they_can_be_one(row: bytes, counts: bool) -> None:
    tables = {"dynsym": null_symbol() + undefined(b"wanted") + row, "dynstr": NAMES, "rela": relocation(NATIVE, 1, True)}
    image = one(elf(tables, [*BASIC, (RELA, "rela"), (RELASZ, "len:rela")]))
    assert (b"spare" in imported(image)) is counts
    assert imported(image)[b"wanted"]


def test_no_more_symbols_than_have_a_version_number() -> None:
    rows = null_symbol() + undefined(b"wanted") + undefined(b"spare") * 3
    tables = {"dynsym": rows, "versym": versym(0, 1), "dynstr": NAMES, "rela": relocation(NATIVE, 1, True)}
    dynamic = [*BASIC, (RELA, "rela"), (RELASZ, "len:rela"), (VERSYM, "versym")]
    assert len(one(elf(tables, dynamic)).symbols.imports()) == 3  # the padding of the version table hides that two are too many
    tables["versym"] = versym(0, 1, 0, 0)
    assert len(one(elf(tables, dynamic)).symbols.imports()) == 3


def test_what_follows_a_symbol_table_is_not_taken_for_symbols() -> None:
    rows = null_symbol() + undefined(b"wanted")
    tables = {
        "dynsym": rows,
        "left behind": b"\0libold.so\0old_name\0other_name\0yet_another_name\0",
        "gnu": gnu_hash(1, 0),
        "dynstr": NAMES,
    }
    tables["rela"] = relocation(NATIVE, 1, True)
    image = one(elf(tables, [*BASIC, (GNU_HASH, "gnu"), (RELA, "rela"), (RELASZ, "len:rela")]))
    assert imported(image) == {b"wanted": True}


def test_a_symbol_table_whose_next_table_is_in_another_segment_ends_with_its_own() -> None:
    tables = {"dynstr": NAMES, "gnu": gnu_hash(1, 0), "rela": relocation(NATIVE, 1, True), "dynsym": null_symbol() + undefined(b"wanted")}
    elsewhere = (3, BASE + 0x100000)  # DT_PLTGOT; patchelf moves the tables that grow into a segment of their own
    dynamic = [*BASIC, (GNU_HASH, "gnu"), (RELA, "rela"), (RELASZ, "len:rela"), elsewhere]
    assert imported(one(elf(tables, dynamic))) == {b"wanted": True}


def test_versions_by_number() -> None:
    rows = (
        null_symbol() + undefined(b"wanted") + undefined(b"maybe") + undefined(b"spare") + symbol(NAMES, b"given") + symbol(NAMES, b"data")
    )
    numbers = versym(0, 2, 1, 77, 0x8003, 2)
    tables = {
        "dynsym": rows,
        "dynstr": NAMES,
        "hash": sysv_hash(6),
        "versym": numbers,
        "verneed": verneed(NAMES, [(b"libv.so", [(0x8002, b"V_1", 0)])]),
        "verdef": verdef(NAMES, [(1, b"libv.so", 1), (3, b"V_2", 0)]),
    }
    symbols = one(elf(tables, [*BASIC, (HASH, "hash"), (VERSYM, "versym"), (VERNEED, "verneed"), (VERDEF, "verdef")])).symbols
    assert [(i.version, i.library) for i in symbols.imports()] == [(b"V_1", "libv.so"), (b"", ""), (b"", "")]
    # a program's copy of a library's variable keeps the library's version
    assert [(e.name, e.version, e.default) for e in symbols.exports()] == [(b"given", b"V_2", False), (b"data", b"V_1", True)]


def test_nothing_is_decoded_before_it_is_asked_for() -> None:
    symbols = fixture("x86_64/ext.so").symbols
    assert isinstance(symbols, ElfSymbols)
    assert symbols.mentions(b"PyInit_")
    assert not symbols.mentions(b"PyInit_other")
    assert not symbols.memo
    first = symbols.imports()
    assert symbols.imports() is first
    assert symbols.exports() is symbols.exports()
    copy = pickle.loads(pickle.dumps(symbols))
    assert copy == symbols
    assert not copy.memo
    assert copy.imports() == first


def test_tables_that_differ_are_not_equal() -> None:
    assert fixture("x86_64/ext.so").symbols != fixture("x86_64/libb.so").symbols


RELOCATED: Dynamic = [*BASIC, (HASH, "hash"), (RELA, "rela"), (RELASZ, "len:rela")]
GOOD = {"dynsym": table(), "dynstr": NAMES, "hash": sysv_hash(4), "rela": relocation(NATIVE, 1, True), "gnu": gnu_hash(3, 1)}


def test_the_good_one_next_to_the_refused() -> None:
    assert imported(one(elf(GOOD, [*RELOCATED, (GNU_HASH, "gnu"), (SYMENT, 24), (RELAENT, 24), (RELENT, 16)]))) == {
        b"wanted": True,
        b"maybe": False,
    }


@pytest.mark.parametrize(
    ("tables", "dynamic", "field"),
    [
        ({}, [(SYMENT, 16)], "DT_SYMENT"),
        ({}, [(RELAENT, 16)], "DT_RELAENT"),
        ({}, [(RELENT, 24)], "DT_RELENT"),
        ({}, [(SYMTAB, 16)], "DT_SYMTAB"),
        ({}, [(STRSZ, 3)], "st_name"),
        ({}, [(RELASZ, 1 << 40)], "relocations"),
        ({}, [(RELA, 8)], "relocations"),
        ({}, [(JMPREL, "rela"), (PLTRELSZ, 1 << 63)], "relocations"),
        ({}, [(RELR, 16), (RELRSZ, 8)], "relocations"),
        ({}, [(HASH, 4)], "DT_HASH"),
        ({}, [(GNU_HASH, 4)], "DT_GNU_HASH"),
        ({"hash": struct.pack("<3I", 1, 0xFFFFFFFF, 0)}, [], "DT_HASH"),
        ({"hash": struct.pack("<2I", 0xFFFFFFFF, 4) + bytes(64)}, [], "DT_HASH"),
        ({"hash": sysv_hash(200)}, [], "DT_SYMTAB"),
        ({"rela": relocation(NATIVE, 0xFFFFFFFF, True)}, [], "relocations"),
        ({"gnu": struct.pack("<4IQ", 0xFFFFFFFF, 1, 1, 0, 0)}, [(GNU_HASH, "gnu")], "DT_GNU_HASH"),
        ({"gnu": struct.pack("<4IQ", 1, 1, 0xFFFFFFFF, 0, 0)}, [(GNU_HASH, "gnu")], "DT_GNU_HASH"),
        ({"gnu": struct.pack("<4IQ2I", 1, 3, 1, 0, 0, 2, 1)}, [(GNU_HASH, "gnu")], "DT_GNU_HASH"),
        ({"gnu": struct.pack("<4IQ2I", 1, 3, 1, 0, 0, 0xFFFFFFF0, 1)}, [(GNU_HASH, "gnu")], "DT_GNU_HASH"),
        ({}, [(VERSYM, 1)], "DT_VERSYM"),
    ],
)
def test_refused(tables: dict[str, bytes], dynamic: Dynamic, field: str) -> None:
    assert refuse(elf({**GOOD, **tables}, [*RELOCATED, *dynamic])) == field


def test_a_hash_chain_without_an_end_is_refused() -> None:
    tables = {**GOOD, "gnu": struct.pack("<4IQ", 1, 3, 1, 0, 0) + struct.pack("<3I", 3, 2, 2)}
    of_its_own = [Piece(PT_LOAD, "gnu")]  # a segment that ends with the chain
    dynamic = [*RELOCATED, (GNU_HASH, "gnu")]
    with pytest.raises(UnreadableBinary, match="last chain"):
        read(memoryview(elf(tables, dynamic, pieces=of_its_own)))
    tables["gnu"] = tables["gnu"][:-8] + struct.pack("<I", 3)
    assert len(one(elf(tables, dynamic, pieces=of_its_own)).symbols.exports()) == 1


def test_a_name_without_an_end_is_refused() -> None:
    names = NAMES[:-1]
    rows = null_symbol() + symbol(NAMES, b"libv.so")
    tables = {"dynsym": rows, "hash": sysv_hash(2), "dynstr": names}
    assert refuse(elf(tables, [*BASIC, (HASH, "hash")])) == "st_name"


def test_a_few_names_may_share_their_end_but_not_all_of_them_a_long_one() -> None:
    long = b"\0" + b"x" * 100_000 + b"\0"
    tables = {"dynstr": long}
    for count, fits in ((10, True), (10_000, False)):
        rows = null_symbol() + b"".join(struct.pack("<I2BH2Q", n, 0x12, 0, 1, 0x1000, 4) for n in range(1, count))
        data = elf({**tables, "dynsym": rows, "hash": sysv_hash(count)}, [*BASIC, (HASH, "hash")])
        if fits:
            assert len(one(data).symbols.exports()) == count - 1
        else:
            assert refuse(data) == "st_name"
