"""How much of a file is debugging information, and which sections can be written and run: read from section tables that may lie."""

import struct

import pytest

import macho_bytes
import pe_bytes
from elf_bytes import SHAPES, Shape, elf
from relocator.backends import linux, macos, windows
from relocator.native import ElfFacts, MachOFacts, PeFacts

NAMES = b"\0.debug_info\0.zdebug_line\0.text\0.shstrtab\0.debug_gdb_scripts\0.symtab\0.symtab_shndx\0"
SHT_PROGBITS, SHT_NOBITS = 1, 8


def with_sections(shape: Shape, sections: list[tuple[bytes, int, int]], names_index: int = -1) -> bytes:
    """An ELF file with these sections (name, type, size), the names in the last one; their bytes are the start of the file."""
    body = elf({"names": NAMES}, shape=shape)
    names_offset = body.index(NAMES)
    rows = [(NAMES.index(name), kind, 0, size) for name, kind, size in sections]
    rows.append((NAMES.index(b".shstrtab"), 3, names_offset, len(NAMES)))
    layout = "2I4P2I2P" if shape.wide else "10I"
    table = b"".join(shape.pack(layout, name, kind, 0, 0, offset, size, 0, 0, 0, 0) for name, kind, offset, size in rows)
    head = bytearray(body)
    order = shape.order
    struct.pack_into(order + ("Q" if shape.wide else "I"), head, 40 if shape.wide else 32, len(body))
    struct.pack_into(order + "3H", head, 58 if shape.wide else 46, len(table) // len(rows), len(rows), names_index % len(rows))
    return bytes(head) + table


def elf_size(data: bytes) -> int:
    (image,) = linux.read(memoryview(data))
    assert isinstance(image.native, ElfFacts)
    return image.native.debug_size


@pytest.mark.parametrize("shape", SHAPES)
def test_an_elf_files_debugging_sections_are_summed(shape: Shape) -> None:
    sections = [(b".debug_info", SHT_PROGBITS, 100), (b".zdebug_line", SHT_PROGBITS, 30), (b".text", SHT_PROGBITS, 5)]
    assert elf_size(with_sections(shape, sections)) == 130


@pytest.mark.parametrize("shape", SHAPES)
def test_an_elf_files_symbol_table_that_no_loader_reads_is_measured(shape: Shape) -> None:
    sections = [(b".symtab", SHT_PROGBITS, 70), (b".symtab_shndx", SHT_PROGBITS, 8), (b".debug_info", SHT_PROGBITS, 9)]
    (image,) = linux.read(memoryview(with_sections(shape, sections)))
    assert isinstance(image.native, ElfFacts)
    assert (image.native.symbols_size, image.native.debug_size) == (70, 9)


def test_sections_without_bytes_and_those_beyond_the_end_do_not_count() -> None:
    sections = [(b".debug_info", SHT_NOBITS, 100), (b".debug_info", SHT_PROGBITS, 1 << 40), (b".debug_info", SHT_PROGBITS, 7)]
    assert elf_size(with_sections(SHAPES[0], sections)) == 7


def test_no_more_counts_than_the_file_has() -> None:
    data = with_sections(SHAPES[0], [(b".debug_info", SHT_PROGBITS, 300)] * 50)
    assert elf_size(data) == len(data)


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_section_headers_beyond_the_end_say_nothing(cut: int) -> None:
    data = with_sections(SHAPES[0], [(b".debug_info", SHT_PROGBITS, 100)])
    assert elf_size(data[: max(len(data) - cut, len(data) - 2 * 64)]) == 0


def test_an_index_of_names_beyond_the_table_says_nothing() -> None:
    data = bytearray(with_sections(SHAPES[0], [(b".debug_info", SHT_PROGBITS, 100)]))
    struct.pack_into("<H", data, 62, 9)
    assert elf_size(bytes(data)) == 0


def pe_facts(data: bytes) -> PeFacts:
    (image,) = windows.read(memoryview(data))
    assert isinstance(image.native, PeFacts)
    return image.native


def with_symbols(name: bytes, symbols: int, strings: bytes, flags: int = 0x42000040) -> bytes:
    """A library whose one section is called so, with COFF symbols and the strings that stand behind them."""
    data = bytearray(pe_bytes.Draft().exports(b"any.dll", [(b"value", 0)]).build())
    table = data.index(b".rdata\0\0")
    data[table : table + 8] = name.ljust(8, b"\0")
    struct.pack_into("<I", data, table + 36, flags)
    if symbols:
        struct.pack_into("<2I", data, 64 + 12, len(data), symbols)
    return bytes(data) + bytes(18 * symbols) + (struct.pack("<I", 4 + len(strings)) + strings if symbols else b"")


def test_a_dlls_symbols_and_the_section_with_a_long_name_are_summed() -> None:
    facts = pe_facts(with_symbols(b"/4", 10, b".debug_info\0"))
    assert facts.debug_size == 180 + 0x200


@pytest.mark.parametrize(("name", "size"), [(b".debug", 0x200), (b".rdata", 0), (b"/4", 0)])
def test_a_dll_without_symbols(name: bytes, size: int) -> None:
    assert pe_facts(with_symbols(name, 0, b"")).debug_size == size


def test_symbols_beyond_the_end_count_as_far_as_there_are_any() -> None:
    data = bytearray(with_symbols(b"/4", 10, b".debug_info\0"))
    struct.pack_into("<I", data, 64 + 16, 0xFFFFFFFF)
    assert 0 < pe_facts(bytes(data)).debug_size <= len(data)


@pytest.mark.parametrize(("flags", "names"), [(0xE0000020, (".text",)), (0x60000020, ()), (0xC0000040, ())])
def test_sections_that_can_be_written_and_run_are_named(flags: int, names: tuple[str, ...]) -> None:
    assert pe_facts(with_symbols(b".text", 0, b"", flags)).writable_code == names


@pytest.mark.parametrize(("name", "size"), [("__DWARF", 48), ("__DATA", 0)])
def test_a_mach_o_files_dwarf_segment_is_measured(name: str, size: int) -> None:
    commands = [macho_bytes.command(0xD, struct.pack("<4I", 24, 2, 0, 0) + b"a.dylib\0"), macho_bytes.segment(name, 0, 48)]
    (image,) = macos.read(memoryview(macho_bytes.macho(commands)))
    assert isinstance(image.native, MachOFacts)
    assert image.native.debug_size == size
