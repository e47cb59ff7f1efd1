"""The ELF reader: what it reads from fixtures and from hand-made bytes, and what it refuses."""

import pickle
import struct
from pathlib import Path

import pytest

from conftest import FIXTURES
from elf_bytes import (
    BASE,
    NATIVE,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    SHAPES,
    Piece,
    Shape,
    at,
    elf,
    header,
    note,
    program,
    strtab,
    verdef,
    verneed,
)
from relocator.backends import identify
from relocator.backends import linux as backend
from relocator.backends.linux.read import arch_name, read, recognises
from relocator.errors import UnreadableBinary
from relocator.model import Format, Image, Needed, SearchPath, VersionNeed
from relocator.native import ElfFacts, Segment
from relocator.symbols import NoSymbols

BIN = FIXTURES / "bin" / "elf"
FILES = sorted(path for path in BIN.rglob("*") if path.is_file())
LOADED = [path for path in FILES if path.name not in ("a.o", "libdebug.debug")]
NAMES = strtab(b"libone.so.1", b"libtwo.so.2", b"self.so", b"$ORIGIN::/opt/x", b"$ORIGIN/..", b"V_1", b"V_2")
NEEDED, STRTAB, STRSZ, SONAME, RPATH, RUNPATH, FLAGS, FLAGS_1 = 1, 5, 10, 14, 15, 29, 30, 0x6FFFFFFB
AUXILIARY, FILTER = 0x7FFFFFFD, 0x7FFFFFFF
VERDEF, VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
STRINGS: list[tuple[int, int | str]] = [(STRTAB, "dynstr"), (STRSZ, "len:dynstr")]
GNU_STACK, GNU_PROPERTY, TLS_SEGMENT = 0x6474E551, 0x6474E553, 7


def name_of(path: Path) -> str:
    return path.relative_to(BIN).as_posix()


def image_of(name: str) -> Image:
    (image,) = read(memoryview((BIN / name).read_bytes()))
    return image


def facts_of(image: Image) -> ElfFacts:
    assert isinstance(image.native, ElfFacts)
    return image.native


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def refuse(data: bytes) -> UnreadableBinary:
    with pytest.raises(UnreadableBinary) as caught:
        read(memoryview(data))
    return caught.value


@pytest.mark.parametrize(
    ("arch", "machine", "bits", "big_endian"),
    [
        ("x86_64", 62, 64, False),
        ("i686", 3, 32, False),
        ("aarch64", 183, 64, False),
        ("armv7l", 40, 32, False),
        ("ppc64", 21, 64, True),
        ("ppc64le", 21, 64, False),
        ("s390x", 22, 64, True),
        ("riscv64", 243, 64, False),
        ("loongarch64", 258, 64, False),
    ],
)
def test_every_architecture_that_a_linux_tag_names_is_read(arch: str, machine: int, bits: int, big_endian: bool) -> None:
    image = image_of(f"{arch}/ext.so")
    facts = facts_of(image)
    assert (image.format, image.arch, image.kind, image.identity) == (Format.ELF, arch, "library", None)
    assert (facts.machine, facts.bits, facts.big_endian, facts.type) == (machine, bits, big_endian, 3)
    assert image.needed == (Needed("libb.so"),)
    assert image.search_paths == (SearchPath("$ORIGIN", "DT_RUNPATH"),)
    assert (facts.rpath, facts.runpath, facts.interpreter) == (None, "$ORIGIN", None)
    assert {i.name: (i.weak, i.used) for i in image.symbols.imports()} == {
        b"b": (False, True),
        b"PyModuleDef_Init": (False, True),
        b"PyErr_Clear": (True, True),
    }
    assert [e.name for e in image.symbols.exports()] == [b"PyInit_ext"]
    assert image_of(f"{arch}/libb.so").identity == "libb.so"


@pytest.mark.parametrize(
    ("machine", "bits", "big_endian", "name"),
    [
        (62, 32, False, "x32"),
        (183, 32, False, "aarch64_ilp32"),
        (40, 32, True, "armv7b"),
        (243, 32, False, "riscv32"),
        (8, 64, False, "mips64el"),
        (20, 32, True, "ppc"),
        (22, 32, True, "s390"),
        (3, 64, False, "machine 3"),
        (62, 64, True, "machine 62"),
        (999, 64, False, "machine 999"),
    ],
)
def test_what_other_machines_are_called(machine: int, bits: int, big_endian: bool, name: str) -> None:
    assert arch_name(machine, bits, big_endian) == name
    assert one(elf({}, (), Shape(">" if big_endian else "<", bits == 64, machine))).arch == name


FACTS: list[tuple[str, str, object]] = [
    ("x86_64/liba.so", "stack_flags", 6),
    ("x86_64/execstack.so", "stack_flags", 7),
    ("x86_64/nognustack.so", "stack_flags", None),
    ("x86_64/liba.so", "relro", True),
    ("x86_64/norelro.so", "relro", False),
    ("x86_64/rpath.so", "rpath", "$ORIGIN/../lib:/opt/demo/lib"),
    ("x86_64/rpath.so", "runpath", None),
    ("x86_64/runpath.so", "runpath", "$ORIGIN::relative"),
    ("x86_64/liba.so", "rpath", None),
    ("x86_64/liba.so", "relr", False),
    ("x86_64/relr.so", "relr", True),
    ("aarch64/android.so", "relr", False),
    ("i686/textrel.so", "text_relocations", True),
    ("i686/liba.so", "text_relocations", False),
    ("x86_64/symbolic.so", "symbolic", True),
    ("x86_64/liba.so", "symbolic", False),
    ("x86_64/now.so", "bind_now", True),
    ("x86_64/now.so", "flags_1", 9),
    ("x86_64/liba.so", "bind_now", False),
    ("x86_64/tls.so", "tls_size", 16),
    ("x86_64/tls.so", "tls_align", 32),
    ("x86_64/tls.so", "static_tls", False),
    ("x86_64/static_tls.so", "static_tls", True),
    ("x86_64/liba.so", "tls_size", 0),
    ("x86_64/build_id.so", "build_id", "b9ee5e2841387d45250f57a740777ce5c3ad3be2"),
    ("x86_64/liba.so", "build_id", None),
    ("x86_64/ibt.so", "features", 3),
    ("aarch64/bti.so", "features", 7),
    ("x86_64/liba.so", "features", 0),
    ("aarch64/android.so", "android_api", 24),
    ("aarch64/ext.so", "android_api", None),
    ("x86_64/package_note.so", "package_note", '{"type":"deb","name":"demo","version":"1.0"}'),
    ("x86_64/liba.so", "package_note", None),
    ("x86_64/libversions.so", "version_definitions", ("V_1", "V_2")),
    ("x86_64/unique.so", "osabi", 3),
    ("armv7l/liba.so", "header_flags", 0x05000400),
    ("riscv64/liba.so", "header_flags", 5),
    ("x86_64/static", "dynamic", False),
    ("x86_64/static_pie", "dynamic", True),
    ("x86_64/pie", "interpreter", "/lib64/ld-linux-x86-64.so.2"),
    ("x86_64/libinterp.so", "interpreter", "/lib64/ld-linux-x86-64.so.2"),
    ("x86_64/no_sections.so", "warnings", ()),
    ("x86_64/bytes_after.so", "warnings", ()),
]


@pytest.mark.parametrize(("name", "field", "value"), FACTS, ids=[f"{name}-{field}" for name, field, _ in FACTS])
def test_facts(name: str, field: str, value: object) -> None:
    assert getattr(facts_of(image_of(name)), field) == value


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x86_64/liba.so", "library"),
        ("x86_64/ext.so", "library"),
        ("x86_64/libinterp.so", "library"),
        ("x86_64/pie", "program"),
        ("x86_64/musl_pie", "program"),
        ("x86_64/no_pie", "program"),
        ("x86_64/static_pie", "program"),
        ("x86_64/static", "program"),
    ],
)
def test_programs_and_libraries(name: str, kind: str) -> None:
    assert image_of(name).kind == kind


def test_a_pie_without_its_flag_is_told_by_its_interpreter() -> None:
    tables = {"interp": b"/lib/ld.so\0", "dynstr": NAMES}
    assert one(elf(tables, STRINGS, pieces=[Piece(PT_INTERP, "interp")])).kind == "program"
    with_soname = [*STRINGS, (SONAME, at(NAMES, b"self.so"))]
    assert one(elf(tables, with_soname, pieces=[Piece(PT_INTERP, "interp")])).kind == "library"


def test_segments_are_those_that_are_loaded() -> None:
    for name, align in (("aarch64/pages_64k.so", 65536), ("aarch64/pages_4k.so", 4096)):
        segments = facts_of(image_of(name)).segments
        assert len(segments) >= 2
        assert {segment.align for segment in segments} == {align}
        assert segments[0].offset == 0
        assert all(segment.memsz >= segment.filesz > 0 for segment in segments)
    data = elf({}, ())
    assert facts_of(one(data)).segments == (Segment(0, BASE, len(data), len(data), 7, 0x1000),)


def test_a_static_program_has_no_symbols() -> None:
    image = image_of("x86_64/static")
    assert image.symbols == NoSymbols()
    assert image.needed == ()


def test_version_needs_and_which_of_them_are_weak() -> None:
    assert image_of("x86_64/wants_versions.so").version_needs == (
        VersionNeed("libversions.so", "V_1"),
        VersionNeed("libversions.so", "V_2"),
    )
    assert image_of("x86_64/wants_weakly.so").version_needs[0] == VersionNeed("libversions.so", "V_1", weak=True)


def test_the_android_level_is_the_oldest_system() -> None:
    assert image_of("aarch64/android.so").minimum_os == (24,)
    assert image_of("aarch64/ext.so").minimum_os == ()


@pytest.mark.parametrize("name", ["other/a.o", "x86_64/libdebug.debug"])
def test_no_image_for_what_no_loader_maps(name: str) -> None:
    assert read(memoryview((BIN / name).read_bytes())) == ()


@pytest.mark.parametrize(("machine", "kind"), [(62, 1), (62, 4), (190, 2), (224, 3), (247, 3)])
def test_no_image_for_objects_cores_and_other_processors(machine: int, kind: int) -> None:
    assert read(memoryview(elf({}, (), NATIVE._replace(machine=machine, type=kind)))) == ()


def test_an_unknown_type_is_refused() -> None:
    assert refuse(elf({}, (), NATIVE._replace(type=7))).field == "e_type"


def test_debugging_information_whose_program_headers_were_kept_is_no_cut_program() -> None:
    data = bytearray((BIN / "x86_64/libdebug.debug").read_bytes())
    offset = struct.unpack_from("<Q", data, 32)[0]
    for index in range(struct.unpack_from("<H", data, 56)[0]):
        if struct.unpack_from("<I", data, offset + 56 * index)[0] == 1:
            struct.pack_into("<Q", data, offset + 56 * index + 32, 1 << 20)
    assert read(memoryview(data)) == ()
    struct.pack_into("<Q", data, 40, 0)  # nothing says so any more
    assert refuse(bytes(data)).field in ("PT_LOAD", "PT_DYNAMIC")


@pytest.mark.parametrize("path", LOADED, ids=name_of)
def test_a_file_cut_anywhere_in_what_is_loaded_is_refused(path: Path) -> None:
    data = path.read_bytes()
    end = max(segment.offset + segment.filesz for segment in facts_of(one(data)).segments if segment.filesz)
    for size in (*range(16, end, 7), end - 1):
        error = refuse(data[:size])
        assert error.field and error.expected
    assert one(data[:end]).needed == one(data).needed


def test_section_headers_beyond_the_end_are_only_a_warning() -> None:
    data = (BIN / "x86_64/liba.so").read_bytes()
    assert facts_of(one(data)).warnings == ()
    (warning,) = facts_of(one(data[:-1])).warnings
    assert "section headers" in warning
    lost = facts_of(image_of("x86_64/lost_sections.so")).warnings
    assert len(lost) == 1
    assert image_of("x86_64/lost_sections.so").symbols.exports() == image_of("x86_64/liba.so").symbols.exports()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_class_and_byte_order_reads_the_same(shape: Shape) -> None:
    needs = verneed(NAMES, [(b"libone.so.1", [(2, b"V_1", 0)]), (b"libtwo.so.2", [(3, b"V_1", 2), (4, b"V_2", 0)])], shape)
    definitions = verdef(NAMES, [(1, b"self.so", 1), (5, b"V_2", 0)], shape)
    dynamic: list[tuple[int, int | str]] = [
        (NEEDED, at(NAMES, b"libtwo.so.2")),
        *STRINGS,
        (NEEDED, at(NAMES, b"libone.so.1")),
        (SONAME, at(NAMES, b"self.so")),
        (RPATH, at(NAMES, b"$ORIGIN::/opt/x")),
        (RUNPATH, at(NAMES, b"$ORIGIN/..")),
        (FLAGS, 0x1E),
        (VERNEED, "verneed"),
        (VERDEF, "verdef"),
    ]
    pieces = [Piece(GNU_STACK, flags=7), Piece(PT_NOTE, "note"), Piece(TLS_SEGMENT, memsz=96, align=64)]
    tables = {"dynstr": NAMES, "verneed": needs, "verdef": definitions, "note": note(b"GNU", 3, b"\xab\xcd", shape)}
    image = one(elf(tables, dynamic, shape, pieces))
    facts = facts_of(image)
    assert image.needed == (Needed("libtwo.so.2"), Needed("libone.so.1"))
    assert image.identity == "self.so"
    assert [path.text for path in image.search_paths] == ["$ORIGIN", "", "/opt/x", "$ORIGIN/.."]
    assert [path.kind for path in image.search_paths] == ["DT_RPATH"] * 3 + ["DT_RUNPATH"]
    assert image.version_needs == (
        VersionNeed("libone.so.1", "V_1"),
        VersionNeed("libtwo.so.2", "V_1", weak=True),
        VersionNeed("libtwo.so.2", "V_2"),
    )
    assert facts.version_definitions == ("V_2",)
    assert (facts.symbolic, facts.text_relocations, facts.bind_now, facts.static_tls) == (True, True, True, True)
    assert (facts.stack_flags, facts.tls_size, facts.tls_align, facts.build_id) == (7, 96, 64, "abcd")
    assert pickle.loads(pickle.dumps(image)) == image


def test_an_empty_search_path_is_there() -> None:
    image = one(elf({"dynstr": NAMES}, [*STRINGS, (RUNPATH, 0)]))
    assert facts_of(image).runpath == ""
    assert image.search_paths == (SearchPath("", "DT_RUNPATH"),)


def test_of_two_equal_tags_the_last_counts_as_for_the_loader() -> None:
    dynamic = [*STRINGS, (SONAME, at(NAMES, b"libone.so.1")), (SONAME, at(NAMES, b"self.so"))]
    assert one(elf({"dynstr": NAMES}, dynamic)).identity == "self.so"


def test_every_library_that_a_file_is_a_filter_of_is_named() -> None:
    dynamic = [*STRINGS, (AUXILIARY, at(NAMES, b"libone.so.1")), (FILTER, at(NAMES, b"self.so"))]
    image = one(elf({"dynstr": NAMES}, dynamic))
    assert (facts_of(image).filtees, image.needed) == (("libone.so.1", "self.so"), ())


def test_names_that_are_not_utf_8_can_be_encoded_back() -> None:
    names = strtab(b"lib\xff.so")
    (need,) = one(elf({"dynstr": names}, [*STRINGS, (NEEDED, 1)])).needed
    assert need.name.encode("utf-8", "surrogateescape") == b"lib\xff.so"


@pytest.mark.parametrize(
    ("tags", "field"),
    [
        ([(24, 0)], "bind_now"),
        ([(FLAGS, 8)], "bind_now"),
        ([(FLAGS_1, 1)], "bind_now"),
        ([(16, 0)], "symbolic"),
        ([(FLAGS, 2)], "symbolic"),
        ([(22, 0)], "text_relocations"),
        ([(FLAGS, 4)], "text_relocations"),
        ([(FLAGS, 0x10)], "static_tls"),
        ([(36, 0), (35, 0)], "relr"),
        ([(0x6FFFE000, 0), (0x6FFFE001, 0)], "relr"),
    ],
)
def test_each_way_to_say_it(tags: list[tuple[int, int | str]], field: str) -> None:
    every = {"bind_now", "symbolic", "text_relocations", "static_tls", "relr"}
    facts = facts_of(one(elf({}, tags)))
    assert {name for name in every if getattr(facts, name)} == {field}


def properties(shape: Shape, *entries: tuple[int, int]) -> bytes:
    pad = 4 if shape.wide else 0
    return b"".join(shape.pack("3I", kind, 4, value) + bytes(pad) for kind, value in entries)


@pytest.mark.parametrize(
    ("machine", "wide", "features", "isa"),
    [(62, True, 3, 6), (3, False, 3, 6), (183, True, 0, 0)],
)
def test_gnu_properties_count_for_their_own_machine(machine: int, wide: bool, features: int, isa: int) -> None:
    shape = Shape("<", wide, machine)
    align = 8 if wide else 4
    data = note(b"GNU", 5, properties(shape, (0xC0000002, 3), (0xC0008002, 6)), shape, align)
    facts = facts_of(one(elf({"note": data}, (), shape, [Piece(GNU_PROPERTY, "note", align=align)])))
    assert (facts.features, facts.isa_needed, facts.warnings) == (features, isa, ())


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<3I", 4, 1 << 20, 3) + b"GNU\0",
        struct.pack("<3I", 0xFFFFFFFF, 4, 3) + b"GNU\0" + bytes(8),
        note(b"GNU", 5, struct.pack("<2I", 0xC0000002, 0xFFFF)),
    ],
    ids=["long-description", "long-name", "long-property"],
)
def test_a_damaged_note_is_a_warning(data: bytes) -> None:
    image = one(elf({"note": note(b"GNU", 3, b"\1") + data}, (), pieces=[Piece(PT_NOTE, "note")]))
    assert facts_of(image).build_id == "01"
    assert len(facts_of(image).warnings) == 1


def test_notes_of_an_unknown_owner_or_type_say_nothing() -> None:
    data = note(b"Someone", 3, b"\x18\0\0\0") + note(b"Android", 2, b"\x18\0\0\0") + note(b"Android", 1, b"\x18")
    facts = facts_of(one(elf({"note": data}, (), pieces=[Piece(PT_NOTE, "note")])))
    assert (facts.android_api, facts.build_id, facts.warnings) == (None, None, ())


def test_notes_are_padded_as_their_segment_is_aligned() -> None:
    for align in (4, 8):
        data = note(b"GNU", 3, b"\1\2\3\4", align=align) + note(b"GNU", 5, properties(NATIVE, (0xC0000002, 3)), align=align)
        facts = facts_of(one(elf({"note": data}, (), pieces=[Piece(PT_NOTE, "note", align=align)])))
        assert (facts.build_id, facts.features, facts.warnings) == ("01020304", 3, ())


def segment_lies(**place: int) -> bytes:
    """A file whose one PT_LOAD has other numbers than it should."""
    values = {"offset": 0, "address": BASE, "filesz": 120, "memsz": 120, **place}
    head = program(NATIVE, 1, 5, (values["offset"], values["address"], values["filesz"], values["memsz"], 0x1000))
    return header(NATIVE, 1) + head


def twisted(offset: int, layout: str, *values: int) -> bytes:
    """The usual hand-made file with some bytes of its header changed."""
    data = bytearray(elf({"dynstr": NAMES}, STRINGS))
    struct.pack_into(layout, data, offset, *values)
    return bytes(data)


HUGE = 0xFFFFFFFFFFFFFFF0
REFUSED: list[tuple[str, bytes, str]] = [
    ("nothing after the magic", b"\x7fELF", "e_ident"),
    ("unknown class", twisted(4, "<B", 3), "e_ident"),
    ("unknown byte order", twisted(5, "<B", 0), "e_ident"),
    ("unknown version", twisted(6, "<B", 2), "e_ident"),
    ("header cut", elf({})[:40], "ELF header"),
    ("no program headers", twisted(56, "<H", 0), "program headers"),
    ("program headers elsewhere", twisted(32, "<Q", HUGE), "program headers"),
    ("too many program headers", twisted(56, "<H", 0xFFFF), "program headers"),
    ("odd program headers", twisted(54, "<H", 57), "e_phentsize"),
    ("segment beyond the end", segment_lies(filesz=121), "PT_LOAD"),
    ("segment far beyond the end", segment_lies(offset=HUGE), "PT_LOAD"),
    ("strings nowhere", elf({}, [(STRTAB, 0x50), (STRSZ, 8), (NEEDED, 1)]), "DT_STRTAB"),
    ("strings too long", elf({"dynstr": NAMES}, [(STRTAB, "dynstr"), (STRSZ, 1 << 40)]), "DT_STRTAB"),
    ("no strings", elf({}, [(NEEDED, 1)]), "DT_NEEDED"),
    ("need outside", elf({"dynstr": NAMES}, [*STRINGS, (NEEDED, len(NAMES))]), "DT_NEEDED"),
    ("need without an end", elf({"dynstr": b"\0abc"}, [*STRINGS, (NEEDED, 1)]), "DT_NEEDED"),
    ("soname outside", elf({"dynstr": NAMES}, [*STRINGS, (SONAME, HUGE)]), "DT_SONAME"),
    ("interpreter without an end", elf({"i": b"/lib/ld.so"}, (), pieces=[Piece(PT_INTERP, "i")]), "PT_INTERP"),
    ("interpreter's path too long", elf({"i": b"/" * 5000 + b"\0"}, (), pieces=[Piece(PT_INTERP, "i")]), "PT_INTERP"),
    ("version needs nowhere", elf({"dynstr": NAMES}, [*STRINGS, (VERNEED, 8)]), "DT_VERNEED"),
    ("version definitions nowhere", elf({"dynstr": NAMES}, [*STRINGS, (VERDEF, HUGE)]), "DT_VERDEF"),
]


@pytest.mark.parametrize(("data", "field"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(data: bytes, field: str) -> None:
    assert refuse(data).field == field


def with_records(tag: int, records: bytes) -> bytes:
    return elf({"records": records, "dynstr": NAMES}, [*STRINGS, (tag, "records")])


NAME = at(NAMES, b"V_1")


def shared_chain(count: int) -> bytes:
    """Needs in a row that all point at the same versions behind them."""
    needs = [struct.pack("<2H3I", 1, count, NAME, 16 * (count - n), 0 if n == count - 1 else 16) for n in range(count)]
    versions = [struct.pack("<I2H2I", 0, 0, 2 + n, NAME, 0 if n == count - 1 else 16) for n in range(count)]
    return b"".join(needs + versions)


CHAINS: list[tuple[str, int, bytes]] = [
    ("need of an unknown version", VERNEED, struct.pack("<2H3I", 2, 0, NAME, 16, 0)),
    ("definition of an unknown version", VERDEF, struct.pack("<4H3I", 9, 0, 2, 1, 0, 20, 0)),
    ("need that leads far away", VERNEED, struct.pack("<2H3I", 1, 0, NAME, 16, 0xFFFFFFF0)),
    ("auxiliary far away", VERNEED, struct.pack("<2H3I", 1, 1, NAME, 0xFFFFFFF0, 0)),
    ("definition's name far away", VERDEF, struct.pack("<4H3I", 1, 0, 2, 1, 0, 0xFFFFFFF0, 0)),
    ("library's name outside", VERNEED, struct.pack("<2H3I", 1, 0, len(NAMES), 16, 0)),
    ("needs a byte apart", VERNEED, b"".join(struct.pack("<2H3I", 1, 0xFFFF, NAME, 16, 1) for _ in range(64))),
    ("all needs share one chain", VERNEED, shared_chain(64)),
]


@pytest.mark.parametrize(("tag", "records"), [(tag, records) for _, tag, records in CHAINS], ids=[name for name, _, _ in CHAINS])
def test_a_version_chain_that_lies_is_refused(tag: int, records: bytes) -> None:
    assert refuse(with_records(tag, records)).field in ("DT_VERNEED", "DT_VERDEF", "vn_file", "vna_name", "vda_name")


def test_one_need_with_its_versions_is_read() -> None:
    assert len(one(with_records(VERNEED, shared_chain(1))).version_needs) == 1


def test_needs_that_all_name_one_long_string_are_bounded() -> None:
    names = b"\0" + b"x" * 60_000 + b"\0"
    few = [(NEEDED, 1)] * 5
    assert len(one(elf({"dynstr": names}, [*STRINGS, *few])).needed) == 5
    assert refuse(elf({"dynstr": names}, [*STRINGS, *few * 100])).field == "DT_NEEDED"


def test_a_dynamic_section_outside_every_segment_is_refused() -> None:
    data = bytearray(elf({"dynstr": NAMES}, STRINGS))
    struct.pack_into("<Q", data, 64 + 56 + 16, 0x10)  # p_vaddr of PT_DYNAMIC
    assert refuse(bytes(data)).field == "PT_DYNAMIC"


def test_a_dynamic_section_without_its_end_is_refused() -> None:
    data = bytearray(elf({"dynstr": NAMES}, STRINGS))
    struct.pack_into("<Q", data, 64 + 56 + 32, 32)  # p_filesz of PT_DYNAMIC: two entries
    assert "DT_NULL" in refuse(bytes(data)).expected


def test_of_two_dynamic_sections_the_last_counts_as_for_the_loader() -> None:
    first = NATIVE.pack("4Q", SONAME, 0, 0, 0)
    dynamic = [*STRINGS, (SONAME, at(NAMES, b"self.so"))]
    assert one(elf({"dynstr": NAMES, "first": first}, dynamic, pieces=[Piece(PT_DYNAMIC, "first")])).identity == "self.so"


def test_a_dynamic_section_may_end_within_an_entry_behind_its_end() -> None:
    data = bytearray(elf({"dynstr": NAMES}, [*STRINGS, (0, 0), (NEEDED, 1)]))
    size = struct.unpack_from("<Q", data, 64 + 56 + 32)[0]
    struct.pack_into("<Q", data, 64 + 56 + 32, size - 3)
    assert one(bytes(data)).needed == ()


def test_a_table_that_reaches_beyond_its_segment_is_refused() -> None:
    of_its_own = [Piece(PT_LOAD, "dynstr")]  # mapped over the same bytes, and it ends with the table
    tables = {"dynstr": NAMES, "more": bytes(64)}
    assert one(elf(tables, [(STRTAB, "dynstr"), (STRSZ, len(NAMES)), (NEEDED, 1)], pieces=of_its_own)).needed
    assert refuse(elf(tables, [(STRTAB, "dynstr"), (STRSZ, len(NAMES) + 1), (NEEDED, 1)], pieces=of_its_own)).field == "DT_STRTAB"


def test_an_empty_dynamic_section_is_refused() -> None:
    data = bytearray(elf({"dynstr": NAMES}, STRINGS))
    struct.pack_into("<Q", data, 64 + 56 + 32, 0)
    assert refuse(bytes(data)).field == "PT_DYNAMIC"


@pytest.mark.parametrize("path", LOADED, ids=name_of)
def test_an_image_pickles_and_compares_equal(path: Path) -> None:
    image = one(path.read_bytes())
    copy = pickle.loads(pickle.dumps(image))
    image.symbols.exports()
    assert copy == image
    assert pickle.loads(pickle.dumps(image)) == copy


class Regions:
    """A buffer that gives bytes, like a file read region by region, and counts them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.read = data, 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, region: slice, /) -> bytes:
        self.read += len(self.data[region])
        return self.data[region]


def test_a_file_read_region_by_region_gives_the_same_and_code_is_not_read() -> None:
    data = elf({"dynstr": NAMES, "code": bytes(1 << 20)}, [*STRINGS, (NEEDED, 1)])
    buffer = Regions(data)
    assert read(buffer) == read(memoryview(data))
    assert buffer.read < 4096


def test_the_backend_offers_what_a_backend_has_to() -> None:
    assert recognises(b"\x7fELF\x02\x01")
    assert not recognises(b"\x7fEL")
    assert identify((BIN / "x86_64/liba.so").read_bytes()[:64]) is backend
