"""Imports and exports of PE files, by name and by ordinal."""

import struct
from pathlib import Path

import pytest

from pe_bytes import AMD64, I386, SECTION, Draft
from relocator.backends.windows import read
from relocator.errors import UnreadableBinary
from relocator.model import Image
from relocator.native import PeFacts

BIN = Path(__file__).parent / "fixtures" / "bin" / "pe"


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def fixture(name: str) -> Image:
    return one((BIN / name).read_bytes())


def imported(image: Image) -> list[tuple[str, bytes | int | None]]:
    return [(i.library, i.name or i.ordinal) for i in image.symbols.imports()]


def exported(image: Image) -> list[tuple[bytes, int | None, str]]:
    return [(e.name, e.ordinal, e.forward) for e in image.symbols.exports()]


@pytest.mark.parametrize("arch", ["x64", "x86", "arm64"])
def test_names_and_libraries_of_imports_on_every_architecture(arch: str) -> None:
    image = fixture(f"{arch}/ext.pyd")
    assert imported(image) == [
        ("libb.dll", b"libb_twice"),
        ("python312.dll", b"PyModule_Create2"),
        ("python312.dll", b"_Py_NoneStruct"),
    ]
    assert [e.name for e in image.symbols.exports()] == [b"PyInit_ext", b"ext_value"]


def test_exports_by_name_and_by_ordinal_alone() -> None:
    assert exported(fixture("x64/liba.dll")) == [(b"liba_add", 3, ""), (b"liba_val", 4, ""), (b"", 9, "")]


def test_an_import_by_ordinal() -> None:
    assert imported(fixture("x64/ordinal.dll")) == [("liba.dll", 9)]


def test_forwarders_by_name_and_by_ordinal() -> None:
    image = fixture("x64/forward.dll")
    assert exported(image) == [(b"liba_add", 1, "liba.liba_add"), (b"liba_nameless", 2, "liba.#9"), (b"own", 3, "")]
    assert isinstance(image.native, PeFacts)
    assert image.native.forwarders == ((b"liba_add", "liba.liba_add"), (b"liba_nameless", "liba.#9"))


@pytest.mark.parametrize("plus", [True, False])
def test_a_missing_lookup_table_is_replaced_by_the_address_table(plus: bool) -> None:
    draft = Draft(plus=plus, machine=AMD64 if plus else I386)
    image = one(draft.imports((b"a.dll", [b"f", 3]), (b"b.dll", [b"g"]), lookup=False).build())
    assert imported(image) == [("a.dll", b"f"), ("a.dll", 3), ("b.dll", b"g")]


def test_a_library_without_symbols_is_needed_all_the_same() -> None:
    image = one(Draft().imports((b"a.dll", [])).build())
    assert [need.name for need in image.needed] == ["a.dll"]
    assert image.symbols.imports() == ()


def test_names_that_are_no_text_survive() -> None:
    image = one(Draft().imports((b"\xff\xe4.dll", [b"\x80f"])).build())
    assert image.needed[0].name.encode("utf-8", "surrogateescape") == b"\xff\xe4.dll"
    assert image.symbols.imports()[0].name == b"\x80f"


def test_mentions_is_certain_when_it_says_no() -> None:
    symbols = fixture("x64/ext.pyd").symbols
    assert symbols.mentions(b"PyModule_")
    assert symbols.mentions(b"PyInit_")
    assert not symbols.mentions(b"PyLong_")


def test_an_export_beyond_the_address_table_is_none_and_said() -> None:
    image = one(Draft().exports(b"a.dll", [(b"f", 0), (b"g", 9)], functions=1).build())
    assert [e.name for e in image.symbols.exports()] == [b"f"]
    assert isinstance(image.native, PeFacts)
    assert image.native.warnings


def test_a_name_without_an_end_is_refused() -> None:
    draft = Draft()
    name = draft.add(b"A" * (0x1000 - len(draft.body) - 600))
    draft.imports((b"a.dll", [b"f"]))
    draft.body += b"A" * (-len(draft.body) % 0x1000)
    descriptor = draft.directories[1][0] - SECTION
    struct.pack_into("<I", draft.body, descriptor + 12, SECTION + len(draft.body) - 4)
    with pytest.raises(UnreadableBinary, match="does not end"):
        one(draft.build())
    assert name == SECTION


def test_a_table_whose_end_is_among_the_zeros_of_memory_is_read() -> None:
    draft = Draft().imports((b"a.dll", [b"f"]))
    rva, size = draft.directories[1]
    del draft.body[rva - SECTION + size - 20 :]
    draft.body += bytes(-len(draft.body) % 4)
    assert imported(one(draft.build(memory=0x1000))) == [("a.dll", b"f")]


def test_tables_that_ask_for_one_name_a_million_times_are_refused() -> None:
    draft = Draft()
    text = draft.string(b"x" * 4000)
    names = draft.add(struct.pack("<2000I", *[text] * 2000))
    ordinals = draft.add(bytes(4000))
    addresses = draft.add(struct.pack("<I", 0x1000))
    draft.directories[0] = draft.add(struct.pack("<12x7I", 0, 1, 1, 2000, addresses, names, ordinals)), 40
    with pytest.raises(UnreadableBinary, match="more bytes than the file"):
        one(draft.build())


def test_thousands_of_descriptors_of_one_library_are_bounded_by_the_file() -> None:
    draft = Draft()
    name, thunks = draft.string(b"a.dll"), draft.thunks([1] * 500)
    rows = struct.pack("<5I", thunks, 0, 0, name, thunks) * 500
    draft.directories[1] = draft.add(rows + bytes(20)), len(rows) + 20
    with pytest.raises(UnreadableBinary, match="more bytes than the file"):
        one(draft.build())
