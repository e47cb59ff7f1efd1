"""The Mach-O reader: every command's facts, and only UnreadableBinary for damaged bytes."""

import pickle
import random
import struct
from pathlib import Path

import pytest

from macho_bytes import (
    ARM64,
    I386,
    NATIVE,
    PPC,
    X86_64,
    Shape,
    build_version,
    command,
    dylib,
    dylib_use,
    fat,
    macho,
    rpath,
    segment,
    with_tables,
)
from relocator.backends.macos import read, recognises
from relocator.errors import UnreadableBinary
from relocator.model import Image, Needed, NeedKind
from relocator.native import Dylib, MachOFacts

BIN = Path(__file__).parent / "fixtures" / "bin" / "macho"
SYSTEM = Needed("/usr/lib/libSystem.B.dylib")
FILES = sorted(path.relative_to(BIN).as_posix() for path in BIN.rglob("*") if path.is_file())


def fixture(name: str) -> tuple[Image, ...]:
    return read(memoryview((BIN / name).read_bytes()), verify_signatures=True)


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


def facts(image: Image) -> MachOFacts:
    assert isinstance(image.native, MachOFacts)
    return image.native


def needs(image: Image) -> list[tuple[str, str]]:
    return [(need.name, need.kind.value) for need in image.needed]


def test_identity_versions_and_room_of_a_library() -> None:
    (image,) = fixture("x86_64/liba.dylib")
    native = facts(image)
    assert (image.arch, image.kind, image.identity) == ("x86_64", "library", "@rpath/liba.dylib")
    assert native.identity == Dylib("@rpath/liba.dylib", "LC_ID_DYLIB", 0x10203, 0x10000)
    assert native.dylibs == (Dylib("/usr/lib/libSystem.B.dylib", "LC_LOAD_DYLIB", 0x10000, 0x10000),)
    assert (image.minimum_os, native.sdk, native.platform) == ((10, 13), (12, 0), "macos")
    assert (native.header_room, native.two_level, native.fat, native.slice_offset) == (0x400, True, False, 0)
    assert len(native.uuid or "") == 32


@pytest.mark.parametrize(
    ("name", "needed", "paths", "kind"),
    [
        ("libb.dylib", [Needed("@rpath/liba.dylib"), SYSTEM], ["@loader_path/."], "library"),
        ("libreexport.dylib", [Needed("@rpath/liba.dylib", NeedKind.REEXPORT), SYSTEM], ["@loader_path/."], "library"),
        ("libweak.dylib", [Needed("@rpath/liba.dylib", NeedKind.WEAK), SYSTEM], ["@loader_path/."], "library"),
        ("ext.so", [Needed("@rpath/libb.dylib"), SYSTEM], ["@loader_path"], "bundle"),
        ("homebrew.so", [Needed("/opt/homebrew/opt/demo/lib/absolute.dylib"), SYSTEM], [], "bundle"),
        ("duplicate_rpath.so", [Needed("@rpath/liba.dylib"), SYSTEM], ["@loader_path/a", "@loader_path/a"], "bundle"),
    ],
)
def test_needs_and_search_paths_of_linked_files(name: str, needed: list[Needed], paths: list[str], kind: str) -> None:
    (image,) = fixture(f"x86_64/{name}")
    assert (list(image.needed), [path.text for path in image.search_paths], image.kind) == (needed, paths, kind)


def test_a_flat_image_a_chained_one_a_newer_one_and_one_for_the_simulator() -> None:
    assert not facts(fixture("x86_64/flat.so")[0]).two_level
    assert facts(fixture("x86_64/libchained.dylib")[0]).chained_fixups
    assert fixture("x86_64/newer.dylib")[0].minimum_os == (14, 2)
    assert facts(fixture("x86_64/simulator.dylib")[0]).platform == "iossimulator"


@pytest.mark.parametrize(("name", "arches"), [("fat/liba.dylib", ["x86_64", "arm64"]), ("fat/liba64.dylib", ["x86_64"])])
def test_a_universal_file_has_one_image_per_slice(name: str, arches: list[str]) -> None:
    images = fixture(name)
    assert [image.arch for image in images] == arches
    data = (BIN / name).read_bytes()
    for image in images:
        native = facts(image)
        assert native.fat
        part = read(memoryview(data[native.slice_offset : native.slice_offset + native.slice_size]))[0]
        assert (part.needed, part.symbols) == (image.needed, image.symbols)


@pytest.mark.parametrize("name", ["other/a.o", "other/liba.a"])
def test_objects_and_archives_are_no_binaries(name: str) -> None:
    assert recognises((BIN / name).read_bytes()[:64])
    assert fixture(name) == ()


def test_a_java_class_is_no_binary() -> None:
    assert read(memoryview(struct.pack(">I2H", 0xCAFEBABE, 0, 52) + b"\0" * 64)) == ()
    assert read(memoryview(struct.pack(">I2H", 0xCAFEBABE, 0xFFFF, 65))) == ()


@pytest.mark.parametrize("file_type", [1, 4, 7, 9, 10, 11])
def test_file_types_that_dyld_does_not_map_are_no_binaries(file_type: int) -> None:
    assert read(memoryview(macho([], NATIVE._replace(file_type=file_type)))) == ()


@pytest.mark.parametrize("head", [b"", b"\x7fELF", b"MZ\x90\0", b"!<arch>\n", b"\xbe\xba\xfe\xca", b"\xcf\xfa\xed"])
def test_other_magic_is_not_recognised(head: bytes) -> None:
    assert not recognises(head)


ARCHES = [
    (Shape(">", False, PPC, 0), "ppc"),
    (Shape(">", True, 0x01000012, 0), "ppc64"),
    (Shape("<", False, I386, 3), "i386"),
    (Shape("<", True, X86_64, 3 | 0x80000000), "x86_64"),
    (Shape("<", True, X86_64, 8), "x86_64h"),
    (Shape("<", True, ARM64, 0), "arm64"),
    (Shape("<", True, ARM64, 2 | 0x80000000), "arm64e"),
    (Shape("<", False, 12, 9), "armv7"),
    (Shape("<", False, 0x0200000C, 1), "arm64_32"),
    (Shape("<", True, 0x99, 0), "cpu 0x99"),
]


@pytest.mark.parametrize(("shape", "arch"), ARCHES, ids=[arch for _, arch in ARCHES])
def test_every_width_and_byte_order(shape: Shape, arch: str) -> None:
    commands = [
        dylib("@rpath/x.dylib", 0xD, shape),
        dylib("/usr/lib/libSystem.B.dylib", 0xC, shape),
        rpath("@loader_path", shape),
        command(0x24, shape.pack(0xA0502, 0xA0600), shape),
        command(0x1B, bytes(range(16)), shape),
    ]
    image = one(macho(commands, shape))
    assert (image.arch, image.identity, needs(image)) == (arch, "@rpath/x.dylib", [("/usr/lib/libSystem.B.dylib", "required")])
    assert (image.minimum_os, facts(image).sdk, facts(image).uuid) == ((10, 5, 2), (10, 6), bytes(range(16)).hex())
    assert [path.text for path in image.search_paths] == ["@loader_path"]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (dylib("/x", 0xC), NeedKind.REQUIRED),
        (dylib("/x", 0x80000018), NeedKind.WEAK),
        (dylib("/x", 0x8000001F), NeedKind.REEXPORT),
        (dylib("/x", 0x20), NeedKind.LAZY),
        (dylib("/x", 0x80000023), NeedKind.UPWARD),
        (dylib_use("/x", 0), NeedKind.REQUIRED),
        (dylib_use("/x", 1, 0x80000018), NeedKind.WEAK),
        (dylib_use("/x", 2), NeedKind.REEXPORT),
        (dylib_use("/x", 3), NeedKind.REEXPORT),
        (dylib_use("/x", 4), NeedKind.UPWARD),
        (dylib_use("/x", 8), NeedKind.DELAYED),
    ],
)
def test_every_kind_of_dylib_command(raw: bytes, kind: NeedKind) -> None:
    assert one(macho([raw])).needed == (Needed("/x", kind),)


def test_the_marker_alone_does_not_make_the_newer_form() -> None:
    raw = command(0xC, NATIVE.pack(24, 0x1A741800, 1, 1) + b"/abcdefgh\0")
    assert needs(one(macho([raw]))) == [("/abcdefgh", "required")]


@pytest.mark.parametrize(
    ("commands", "platform", "minimum"),
    [
        ([], "", ()),
        ([command(0x24, NATIVE.pack(0xA0900, 0))], "macos", (10, 9)),
        ([command(0x25, NATIVE.pack(0x90000, 0))], "iossimulator", (9, 0)),
        ([command(0x2F, NATIVE.pack(0x90000, 0))], "tvossimulator", (9, 0)),
        ([command(0x30, NATIVE.pack(0x20000, 0))], "watchossimulator", (2, 0)),
        ([build_version(1, 0xB0000, 0xB0300)], "macos", (11, 0)),
        ([build_version(1, 0xC0301, 0)], "macos", (12, 3, 1)),
        ([build_version(7, 0xE0000, 0)], "iossimulator", (14, 0)),
        ([build_version(6, 0xE0000, 0), build_version(1, 0xB0000, 0)], "macos", (11, 0)),
        ([build_version(6, 0xE0000, 0)], "maccatalyst", (14, 0)),
        ([build_version(99, 0x10000, 0)], "platform 99", (1, 0)),
    ],
)
def test_platform_and_minimum_version_come_from_any_of_the_commands(commands: list[bytes], platform: str, minimum: tuple[int, ...]) -> None:
    image = one(macho(commands))
    assert (facts(image).platform, image.minimum_os) == (platform, minimum)


def test_header_room_ends_at_the_first_byte_of_content() -> None:
    assert facts(one(macho([segment("__TEXT", 0, 256)], tail=b"\0" * 256))).header_room == 0
    image = one(macho([segment("__TEXT", 0, 256), segment("__DATA", 256, 16)], tail=b"\0" * 256))
    assert facts(image).header_room == 256 - 32 - 2 * 72


def test_a_library_without_identity_is_told() -> None:
    assert facts(one(macho([]))).warnings
    assert not facts(one(macho([dylib("/x", 0xD)]))).warnings


LIES = {
    "command count above the commands": lambda: macho([dylib("/x")])[:16] + NATIVE.pack(2) + macho([dylib("/x")])[20:],
    "command count below the commands": lambda: macho([dylib("/x")])[:16] + NATIVE.pack(0) + macho([dylib("/x")])[20:],
    "command size 0": lambda: macho([NATIVE.pack(0xC, 0) + bytes(24)]),
    "command size 12": lambda: macho([NATIVE.pack(0x26, 12) + bytes(4)]),
    "command size beyond all": lambda: macho([NATIVE.pack(0xC, 4096) + bytes(24)]),
    "commands beyond the file": lambda: macho([dylib("/x")])[:40],
    "name inside the fields": lambda: macho([command(0xC, NATIVE.pack(8, 2, 1, 1) + b"/x\0")]),
    "name beyond the command": lambda: macho([command(0xC, NATIVE.pack(4096, 2, 1, 1) + b"/x\0")]),
    "name without an end": lambda: macho([command(0xC, NATIVE.pack(24, 2, 1, 1) + b"/abcdefg")]),
    "command too short for its fields": lambda: macho([command(0x32, NATIVE.pack(1))]),
    "segment beyond the file": lambda: macho([segment("__TEXT", 0, 1 << 40)]),
    "segment with sections that its command lacks": lambda: macho(
        [command(0x19, struct.pack("<16s4Q4I", b"__TEXT", 0, 0, 0, 0, 7, 7, 1 << 30, 0))]
    ),
    "tables overlap": lambda: macho([command(0x26, NATIVE.pack(0, 32)), command(0x29, NATIVE.pack(16, 32))]),
    "table beyond the file": lambda: macho([command(0x26, NATIVE.pack(0, 4096))]),
    "table outside __LINKEDIT": lambda: macho([segment("__LINKEDIT", 128, 16), command(0x26, NATIVE.pack(0, 8))], tail=bytes(64)),
    "content inside the commands": lambda: macho([segment("__DATA", 8, 16)]),
    "universal file without slices": lambda: fat([]),
    "universal file with 40 slices and no table": lambda: struct.pack(">2I", 0xCAFEBABE, 40),
    "slice beyond the file": lambda: fat([(X86_64, 3, macho([]))])[:-1],
    "slice inside the universal header": lambda: struct.pack(">7I", 0xCAFEBABE, 1, X86_64, 3, 0, 28, 0),
    "slices share bytes": lambda: struct.pack(">12I", 0xCAFEBABE, 2, X86_64, 3, 48, 32, 0, ARM64, 0, 64, 32, 0) + macho([]) + bytes(64),
    "two slices for one architecture": lambda: fat([(X86_64, 3, macho([])), (X86_64, 3, macho([]))]),
    "slice of another architecture than declared": lambda: fat([(ARM64, 0, macho([]))]),
    "slice that is nothing known": lambda: fat([(X86_64, 3, b"garbage!" * 8)]),
    "a magic and nothing more": lambda: macho([])[:4],
}


@pytest.mark.parametrize("name", LIES)
def test_lying_headers_are_refused(name: str) -> None:
    with pytest.raises(UnreadableBinary):
        read(memoryview(LIES[name]()))


def test_an_error_in_a_slice_gives_its_offset_in_the_file() -> None:
    bad = macho([NATIVE.pack(0xC, 4096) + bytes(24)], NATIVE._replace(cpu_type=ARM64, cpu_subtype=0))
    good = macho([dylib("/x", 0xD)])
    with pytest.raises(UnreadableBinary) as caught:
        read(memoryview(fat([(X86_64, 3, good), (ARM64, 0, bad)])))
    assert caught.value.offset == 48 + len(good) + 32


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("other/")])
def test_a_cut_anywhere_is_an_error_or_a_problem_of_the_signature(name: str) -> None:
    data = (BIN / name).read_bytes()
    whole = read(memoryview(data))
    for end in range(256, len(data), 256):
        try:
            images = read(memoryview(data[:end]))
        except UnreadableBinary as error:
            assert error.offset is None or 0 <= error.offset <= len(data)
            continue
        assert images == whole, end


def test_mutants_raise_nothing_but_our_error() -> None:
    rng = random.Random(20261124)
    originals = [(BIN / name).read_bytes() for name in FILES if "arm64" not in name]
    refused = 0
    for number in range(3000):
        data = bytearray(originals[number % len(originals)])
        reach = len(data) if number % 3 else min(len(data), 2048)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(4, reach)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        try:
            for image in read(memoryview(bytes(data)), verify_signatures=number % 5 == 0):
                image.symbols.imports()
                image.symbols.exports()
        except UnreadableBinary:
            refused += 1
    assert 0 < refused < 3000


@pytest.mark.parametrize("name", ["x86_64/libb.dylib", "arm64/ext.so"])
def test_images_pickle_and_compare_equal(name: str) -> None:
    images = fixture(name)
    images[0].symbols.imports()
    again = pickle.loads(pickle.dumps(images))
    assert again == images
    assert again[0].symbols.imports() == images[0].symbols.imports()


def test_reading_through_regions_gives_the_same_as_through_memory() -> None:
    class Regions:
        def __init__(self, data: bytes) -> None:
            self.data, self.largest = data, 0

        def __len__(self) -> int:
            return len(self.data)

        def __getitem__(self, region: slice) -> bytes:
            self.largest = max(self.largest, len(self.data[region]))
            return self.data[region]

    data = (BIN / "fat/liba.dylib").read_bytes()
    regions = Regions(data)
    assert read(regions) == read(memoryview(data))
    assert regions.largest < 4096


def test_a_table_may_be_empty_at_any_offset() -> None:
    assert one(with_tables([dylib("/x", 0xD), command(0x26, NATIVE.pack(0xFFFFFFF0, 0))], {"trie": b"\0\0"})).symbols.exports() == ()
