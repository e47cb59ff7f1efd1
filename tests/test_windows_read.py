"""The PE reader: every fact, and only UnreadableBinary for damaged bytes."""

import pickle
import random
import struct
from pathlib import Path

import pytest

from pe_bytes import AMD64, ARM64, HEADERS, I386, Draft, library
from relocator.backends import identify, kind_of
from relocator.backends.windows import read, recognises
from relocator.errors import UnreadableBinary
from relocator.model import Image, Needed, NeedKind
from relocator.native import PeFacts

BIN = Path(__file__).parent / "fixtures" / "bin" / "pe"
FILES = sorted(path.relative_to(BIN).as_posix() for path in BIN.rglob("*") if path.suffix in (".dll", ".pyd", ".exe"))


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def fixture(name: str) -> Image:
    return one((BIN / name).read_bytes())


def facts(image: Image) -> PeFacts:
    assert isinstance(image.native, PeFacts)
    return image.native


def needs(image: Image) -> list[tuple[str, str]]:
    return [(need.name, need.kind.value) for need in image.needed]


@pytest.mark.parametrize(("folder", "arch", "plus"), [("x64", "amd64", True), ("x86", "win32", False), ("arm64", "arm64", True)])
def test_an_extension_module_of_every_architecture(folder: str, arch: str, plus: bool) -> None:
    image = fixture(f"{folder}/ext.pyd")
    native = facts(image)
    assert (image.arch, image.kind, image.identity, native.plus) == (arch, "library", "ext.pyd", plus)
    assert image.needed == (Needed("libb.dll"), Needed("python312.dll"))
    assert (native.linker_version, native.subsystem, native.subsystem_version) == ((14, 0), 2, (6, 0))
    assert image.minimum_os == (6, 0)
    assert native.dll_characteristics & 0x140 == 0x140


def test_a_program() -> None:
    image = fixture("x64/probe.exe")
    assert (image.kind, image.identity, facts(image).subsystem) == ("program", None, 3)


def test_delayed_imports_come_last_and_are_told_apart() -> None:
    assert needs(fixture("x64/delay.dll")) == [("kernel32.dll", "required"), ("liba.dll", "delayed")]


@pytest.mark.parametrize(("plus", "by_rva"), [(True, True), (False, True), (False, False)])
def test_both_forms_of_delayed_imports(plus: bool, by_rva: bool) -> None:
    machine = AMD64 if plus else I386
    image = one(Draft(plus=plus, machine=machine).delayed((b"old.dll", [b"f", 5]), by_rva=by_rva).build())
    assert image.needed == (Needed("old.dll", NeedKind.DELAYED),)
    assert [(i.name, i.ordinal, i.weak) for i in image.symbols.imports()] == [(b"f", None, True), (b"", 5, True)]


def test_the_load_configuration_gives_the_flags_for_a_modules_own_imports() -> None:
    assert facts(fixture("x64/flags.dll")).dependent_load_flags == 0x800
    assert facts(fixture("x64/liba.dll")).dependent_load_flags == 0


@pytest.mark.parametrize(("plus", "machine"), [(True, AMD64), (False, I386)])
def test_the_load_configuration_of_both_widths(plus: bool, machine: int) -> None:
    native = facts(one(Draft(plus=plus, machine=machine).configuration(0x1A00, 0x10500, 0x1234).build()))
    assert (native.dependent_load_flags, native.guard_flags, native.hybrid) == (0x1A00, 0x10500, True)


def test_a_load_configuration_counts_only_as_far_as_its_own_size() -> None:
    native = facts(one(Draft().configuration(0x800, 0x10500, 0x1234, size=0x50).build()))
    assert (native.dependent_load_flags, native.guard_flags, native.hybrid) == (0x800, 0, False)


@pytest.mark.parametrize(("flags", "expected"), [(1, True), (3, False), (0, False)])
def test_code_of_dotnet_alone_runs_on_every_processor(flags: int, expected: bool) -> None:
    assert facts(one(Draft().managed(flags).build())).managed == expected


def test_version_information_and_manifest() -> None:
    native = facts(fixture("x64/resources.dll"))
    assert (native.file_version, native.product_version) == ("1.2.3.4", "5.6.7.8")
    assert dict(native.version_strings)["LegalCopyright"] == "\u00a9 nobody"
    assert native.manifest_dependencies == ("Demo.Assembly",)
    assert native.warnings == ()


def test_a_library_takes_the_manifest_for_libraries_and_a_program_the_one_for_programs() -> None:
    data = bytearray((BIN / "x64/resources.dll").read_bytes())
    start = int.from_bytes(data[60:64], "little")
    characteristics = int.from_bytes(data[start + 22 : start + 24], "little")
    struct.pack_into("<H", data, start + 22, characteristics & ~0x2000)
    assert facts(one(bytes(data))).manifest_dependencies == ()


def test_damaged_resources_are_a_warning_and_no_reason_to_refuse_the_file() -> None:
    draft = Draft().exports(b"a.dll", [])
    draft.directories[2] = (0x7000_0000, 16)
    native = facts(one(draft.build()))
    assert [warning.partition(":")[0] for warning in native.warnings] == ["version resource", "manifest resource"]


def test_debug_id_and_path_of_the_pdb() -> None:
    native = facts(one(Draft().code_view(rb"C:\build\demo.pdb").build()))
    assert native.debug_id == "030201000504070608090A0B0C0D0E0F1A"
    assert native.pdb == r"C:\build\demo.pdb"


def test_certificate_and_overlay_are_measured() -> None:
    native = facts(one(Draft().exports(b"a.dll", []).build(b"tail", certificate=bytes(64))))
    assert (native.certificate_size, native.overlay_size) == (64, 68)


def test_bound_imports_with_those_of_forwarders() -> None:
    draft = Draft()
    rows = struct.pack("<I2H", 7, 32, 1) + struct.pack("<I2H", 8, 38, 0) + struct.pack("<I2H", 9, 44, 0) + bytes(8)
    draft.directories[11] = draft.add(rows + b"a.dll\0b.dll\0c.dll\0"), 32
    assert facts(one(draft.build())).bound_imports == ("a.dll", "b.dll", "c.dll")


def test_room_behind_the_section_table() -> None:
    data = Draft().exports(b"a.dll", []).build()
    table_end = 64 + 24 + 240 + 40
    assert facts(one(data)).header_room == HEADERS - table_end


@pytest.mark.parametrize("machine", [0x1C4, 0x5064])
def test_machines_that_no_wheel_tag_names_are_read_all_the_same(machine: int) -> None:
    assert one(library(machine=machine)).arch == {0x1C4: "arm32"}.get(machine, f"machine-{machine:04X}")


@pytest.mark.parametrize(
    "data",
    [
        b"MZ",
        b"MZ" + bytes(62),
        b"MZ" + bytes(58) + struct.pack("<I", 0xFFFFFFF0) + bytes(400),
        b"MZ" + bytes(58) + struct.pack("<I", 64) + b"NE" + bytes(400),
        b"MZ is how this text starts, and it goes on for more than sixty-four bytes without being a program",
    ],
)
def test_what_has_no_pe_header_is_no_concern_of_the_loader(data: bytes) -> None:
    assert recognises(data)
    assert read(memoryview(data)) == ()


@pytest.mark.parametrize(("name", "kind"), [("other/a.obj", "object file"), ("other/liba.lib", "static archive")])
def test_objects_and_import_libraries_are_named_and_not_read(name: str, kind: str) -> None:
    head = (BIN / name).read_bytes()[:64]
    assert identify(head) is None
    assert kind_of(head, name) == kind


def test_every_cut_into_what_the_loader_maps_makes_the_file_unreadable() -> None:
    data = (BIN / "x64/ext.pyd").read_bytes()
    start = int.from_bytes(data[60:64], "little")
    for size in range(start + 4, len(data), 7):
        with pytest.raises(UnreadableBinary):
            read(memoryview(data[:size]))


def test_a_cut_into_what_follows_the_sections_does_not_concern_the_loader() -> None:
    whole = Draft().exports(b"a.dll", []).build(bytes(100))
    assert facts(one(whole[:-50])).overlay_size == 50


@pytest.mark.parametrize(
    ("offset", "value", "field"),
    [
        (64 + 24, struct.pack("<H", 0x30B), "Magic"),
        (64 + 6, struct.pack("<H", 0xFFFF), "IMAGE_SECTION_HEADER"),
        (64 + 20, struct.pack("<H", 0xFFFF), "IMAGE_SECTION_HEADER"),
        (64 + 24 + 240 + 16, struct.pack("<I", 0x7FFFFFFF), "PointerToRawData"),
        (64 + 24 + 112 + 8, struct.pack("<I", 0x00F00000), "import descriptor"),
        (64 + 24 + 112, struct.pack("<I", 0x00F00000), "export directory"),
    ],
)
def test_lying_headers_are_refused_by_name(offset: int, value: bytes, field: str) -> None:
    data = bytearray(library("x.dll"))
    data[offset : offset + len(value)] = value
    with pytest.raises(UnreadableBinary, match=field):
        read(memoryview(bytes(data)))


def test_where_a_section_without_bytes_starts_in_the_file_does_not_matter() -> None:
    data = bytearray(Draft().build(memory=0x2000))
    row = 64 + 24 + 240
    struct.pack_into("<2I", data, row + 16, 0, 0x7FFFFFFF)
    assert one(bytes(data)).needed == ()


def test_sections_that_overlap_in_memory_are_refused() -> None:
    data = bytearray((BIN / "x64/ext.pyd").read_bytes())
    start = int.from_bytes(data[60:64], "little")
    table = start + 24 + int.from_bytes(data[start + 20 : start + 22], "little")
    data[table + 40 + 12 : table + 40 + 16] = data[table + 12 : table + 16]
    with pytest.raises(UnreadableBinary, match="VirtualAddress"):
        read(memoryview(bytes(data)))


@pytest.mark.parametrize("name", FILES)
def test_images_pickle_and_compare_equal_afterwards(name: str) -> None:
    image = fixture(name)
    image.symbols.imports()
    assert pickle.loads(pickle.dumps(image)) == image


def test_random_damage_is_read_or_refused() -> None:
    rng = random.Random(7)
    whole = (BIN / "x64/resources.dll").read_bytes()
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            images = read(memoryview(bytes(data)))
        except UnreadableBinary as error:
            assert error.field
            assert error.expected
        else:
            for image in images:
                image.symbols.imports()
                image.symbols.exports()


def test_the_wrong_machine_and_the_right_one_differ_only_in_the_architecture() -> None:
    assert (one(library(machine=ARM64)).arch, one(library(machine=AMD64)).arch) == ("arm64", "amd64")
