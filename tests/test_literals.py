"""String literals: where each format keeps them, what counts as one, and that nothing hostile makes the search long."""

import dataclasses
import itertools
import random
import struct
from pathlib import Path

import pytest

import elf_bytes
import macho_bytes
import pe_bytes
from builders import elf, macho, pe, symbols, wheel
from conftest import FIXTURES
from mutants import looked_at, mutants, survive
from relocator import literals
from relocator.backends import identify, linux, macos, windows
from relocator.buffer import Buffer
from relocator.containers import open_container
from relocator.errors import UnreadableBinary
from relocator.literals import LONGEST, MOST, find_literals, searches
from relocator.model import Image
from relocator.survey import take_surveys

NAME, MESSAGE = b"libfoo.so.1", b"module compiled against API version 0x%x but this version of numpy is 0x%x . Check the section"


def opener(image: Image) -> Image:
    prefix = b"_" if image.native.__class__.__name__ == "MachOFacts" else b""
    return dataclasses.replace(image, symbols=symbols([prefix + b"dlopen", b"LoadLibraryW"]))


ELF, MACHO, PE = opener(elf()), opener(macho()), opener(pe())


def found(data: bytes, image: Image = ELF, regions: list[tuple[int, int]] | None = None) -> tuple[bytes, ...]:
    return find_literals(memoryview(data), [(0, len(data))] if regions is None else regions, searches(image))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0libfoo.so.1\0", (NAME,)),
        (b"libfoo.so.1\0", (NAME,)),
        (b"x\0libfoo.so\0libbar.so.1.2\0libfoo.so\0", (b"libbar.so.1.2", b"libfoo.so")),
        (b"\0libfoo.so.1", ()),
        (b"\0lib%s.so\0", ()),
        (b"\0libfoo.so: cannot open\0", ()),
        (b"\0/usr/lib/libfoo.so\0", ()),
        (b"\0lib.so\0", ()),
        (b"\0com.so\0", ()),
        (b"\0libfoo.sock\0", ()),
        (b"\0libfoo.so.\0", ()),
        (b"\0" + b"lib" + b"x" * LONGEST + b".so\0", ()),
        (b"\0" + MESSAGE + b"\0", ()),
        (b"", ()),
    ],
)
def test_names_of_libraries_in_elf(data: bytes, expected: tuple[bytes, ...]) -> None:
    assert found(data) == expected


def test_names_in_the_other_formats() -> None:
    assert found(b"\0libfoo.dylib\0@rpath/libbar.1.dylib\0/usr/lib/libz.dylib\0libc.so\0", MACHO) == (
        b"@rpath/libbar.1.dylib",
        b"libfoo.dylib",
    )
    wide = b"\0\0" + "Foo.dll".encode("utf-16-le") + b"\0\0" + "a b.dll".encode("utf-16-le") + b"\0\0"
    assert found(b"\0BAR.DLL\0bar%d.dll\0" + wide + b"f\xffo\0.\0d\0l\0l\0\0\0", PE) == (b"BAR.DLL", b"Foo.dll")


def test_numpys_messages_are_looked_for_where_capsules_are_used() -> None:
    newer = b"module was compiled against NumPy C-API version 0x%x (NumPy 1.20) but the running NumPy has C-API version 0x%x."
    data = b"\0" + MESSAGE + b"\0x\0" + newer + b"\0compiled against nothing\0"
    user = elf(table=symbols([b"PyCapsule_GetPointer"]))
    assert found(data, user) == (MESSAGE, newer)
    assert found(b"\0libfoo.so\0", user) == ()


def test_images_that_cannot_open_anything_are_not_searched() -> None:
    assert searches(elf(table=symbols([b"open", b"PyList_New"]))) == ()
    assert searches(pe(table=symbols([b"GetProcAddress"]))) == ()


class Counting:
    """A buffer that counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.read = data, 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, region: slice, /) -> bytes:
        piece = self.data[region]
        self.read += len(piece)
        return piece


def test_regions_that_overlap_or_leave_the_file_are_read_once() -> None:
    buffer = Counting(bytes(100_000) + b"\0libfoo.so\0")
    whole = (0, 1 << 60)
    assert find_literals(buffer, [whole] * 1000 + [(5, 100), (1 << 50, 7)], searches(ELF)) == (b"libfoo.so",)
    assert buffer.read == len(buffer)


def test_only_the_regions_are_searched() -> None:
    data = b"\0liba.so\0\0libb.so\0\0libc.so\0"
    assert found(data, regions=[(9, 9)]) == (b"libb.so",)
    assert found(data, regions=[(9, 9), (0, 9)]) == (b"liba.so", b"libb.so")


@pytest.mark.parametrize("wide", [False, True])
def test_a_name_across_the_pieces_in_which_a_file_is_read_is_found_whole(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(literals, "_CHUNK", 4096)
    name, image = ("abcdefgh.dll", PE) if wide else ("libabcdefgh.so", ELF)
    raw = name.encode("utf-16-le") + b"\0\0" if wide else name.encode() + b"\0"
    for start in range(4096 - len(raw) - 3, 4096 + 4):
        for step in (0, 4096, 3 * 4096):
            data = bytes(step + start - 1) + b"\0" + raw + bytes(9000)
            assert found(data, image) == (name.encode(),), start


def test_a_hostile_file_gives_no_more_than_the_limit() -> None:
    numbered = b"".join(b"lib%d.so\0" % number for number in range(5000))
    assert len(found(numbered)) == MOST
    assert found(b".so" * 1_000_000) == ()
    noise = random.Random(7).randbytes(200_000).replace(b"\0", b".so\0")
    assert all(name.startswith(b"lib") for name in found(noise))


# ---- where the formats keep them


def sections(*parts: tuple[bytes, bytes], strip: bool = False) -> bytes:
    """An ELF library with a table for each part, and section headers unless stripped."""
    names = elf_bytes.strtab(*(name for name, _ in parts), b".shstrtab")
    data = bytearray(elf_bytes.elf({name.decode(): content for name, content in parts}))
    if strip:
        return bytes(data)
    rows = [bytes(64)]
    for name, content in (*parts, (b".shstrtab", names)):
        place = data.find(content)
        if place < 0:
            place = len(data)
            data += content
        rows.append(struct.pack("<2I4Q2I2Q", elf_bytes.at(names, name), 1, 2, 0, place, len(content), 0, 0, 1, 0))
    struct.pack_into("<Q", data, 40, len(data))
    struct.pack_into("<3H", data, 58, 64, len(rows), len(rows) - 1)
    return bytes(data) + b"".join(rows)


def pieces(data: bytes, regions: tuple[tuple[int, int], ...]) -> list[bytes]:
    return [data[offset : offset + size] for offset, size in regions]


def test_elf_keeps_them_in_sections_called_rodata() -> None:
    data = sections(
        (b".dynstr", b"\0libold.so\0"), (b".rodata", b"libone.so\0"), (b".rodata.str1.1", b"libtwo.so\0"), (b".text", b"libcode\0")
    )
    (image,) = linux.read(memoryview(data))
    assert pieces(data, linux.constants(memoryview(data), image)) == [b"libone.so\0", b"libtwo.so\0"]


def test_elf_without_section_headers_has_them_in_read_only_segments_without_tables() -> None:
    data = sections((b".rodata", b"libone.so\0"), strip=True)
    (image,) = linux.read(memoryview(data))
    assert linux.constants(memoryview(data), image) == ()
    pieced = bytearray(data)
    struct.pack_into("<I", pieced, 64 + 4, 4)  # p_flags of the only PT_LOAD, which holds the dynamic section and no table
    ((offset, size),) = linux.constants(memoryview(bytes(pieced)), image)
    assert b"libone.so\0" in pieced[offset : offset + size]


def test_mach_o_keeps_them_in_sections_of_their_own_type() -> None:
    content = b"libfoo.dylib\0"
    rows = b"".join(
        struct.pack("<16s16s2Q8I", name, b"__TEXT", 0, size, offset, 0, 0, 0, kind, 0, 0, 0)
        for name, offset, size, kind in ((b"__text", 512, 16, 0x80000400), (b"__cstring", 528, len(content), 2))
    )
    body = struct.pack("<16s4Q4I", b"__TEXT", 0, 1024, 0, 1024, 5, 5, 2, 0) + rows
    identity = macho_bytes.dylib("libdemo.dylib", 0xD)
    data = macho_bytes.macho([macho_bytes.command(0x19, body), identity]).ljust(528, b"\0") + content
    thin = data.ljust(1024, b"\0")
    (image,) = macos.read(memoryview(thin))
    assert pieces(thin, macos.constants(memoryview(thin), image)) == [content]
    fat = macho_bytes.fat([(macho_bytes.X86_64, 3, thin)])
    (inner,) = macos.read(memoryview(fat))
    assert pieces(fat, macos.constants(memoryview(fat), inner)) == [content]


@pytest.mark.parametrize(
    ("flags", "kept"),
    [(0x40000040, True), (0xC0000040, False), (0x60000020, False), (0x42000040, False), (0x40000080, False), (0x40300040, True)],
)
def test_pe_keeps_them_in_sections_that_are_only_read(flags: int, kept: bool) -> None:
    draft = pe_bytes.Draft()
    draft.string(b"foo.dll")
    data = bytearray(draft.exports(b"demo.dll", []).build())
    table = 64 + 24 + int.from_bytes(data[64 + 20 : 64 + 22], "little")
    struct.pack_into("<I", data, table + 36, flags)
    (image,) = windows.read(memoryview(bytes(data)))
    regions = windows.constants(memoryview(bytes(data)), image)
    assert regions == (((pe_bytes.HEADERS, len(data) - pe_bytes.HEADERS),) if kept else ())


def test_a_survey_notes_the_literals_of_what_may_open_libraries(tmp_path: Path) -> None:
    draft = pe_bytes.Draft()
    draft.string(b"foo.dll")
    data = bytearray(draft.imports((b"KERNEL32.dll", [b"LoadLibraryA"])).build())
    table = 64 + 24 + int.from_bytes(data[64 + 20 : 64 + 22], "little")
    struct.pack_into("<I", data, table + 36, 0x40000040)
    path = f"{tmp_path}/demo-1.0-cp312-cp312-win_amd64.whl"
    Path(path).write_bytes(wheel({"demo/_core.pyd": bytes(data)}, tags=["cp312-cp312-win_amd64"]))
    with open_container(path) as container:
        (survey,) = take_surveys(container)
    assert survey.binaries[0].images[0].literals == (b"KERNEL32.dll", b"foo.dll")


def test_a_shrinking_file_is_searched_as_far_as_it_goes() -> None:
    class Short(Counting):
        def __getitem__(self, region: slice, /) -> bytes:
            return super().__getitem__(region)[:20]

    buffer: Buffer = Short(bytes(8) + b"libfoo.so\0\0" + bytes(10_000) + b"libbar.so\0")
    assert find_literals(buffer, [(0, 20_000)], searches(ELF)) == (b"libfoo.so",)


# ---- hostile input

FILES = sorted(path for path in (FIXTURES / "bin").glob("*/**/*") if path.is_file())


def searched(buffer: Buffer) -> tuple[Image, ...]:
    """Read a file and search all its images, whatever they import."""
    backend = identify(bytes(buffer[:64]))
    images = backend.read(buffer) if backend else ()
    every = {ELF.format: ELF, MACHO.format: MACHO, PE.format: PE}
    for image in images if backend else ():
        assert backend
        regions = backend.constants(buffer, image)
        assert all(offset >= 0 and size >= 0 for offset, size in regions)
        find_literals(buffer, regions, searches(every[image.format]))
    return images


@pytest.mark.parametrize("path", FILES[::4], ids=lambda path: path.relative_to(FIXTURES / "bin").as_posix())
def test_a_damaged_binary_is_searched_or_refused(path: Path) -> None:
    data = path.read_bytes()
    try:
        regions = looked_at(data, searched)
    except UnreadableBinary:
        return
    survive(itertools.islice(mutants(data, regions, random.Random(path.name)), 100), searched)
