"""Embedded code signatures: what is right about the linker's, and what each kind of damage is called."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from relocator.backends.macos import read
from relocator.native import MachOFacts, Signature

BIN = Path(__file__).parent / "fixtures" / "bin" / "macho"
LIBRARY = BIN / "x86_64/liba.dylib"
PAGE = 4096
UUID_COMMAND = struct.pack("<2I", 0x1B, 24)
FLAGS, HASHES_AT, SLOTS, LIMIT, HASH_SIZE, HASH_TYPE, PAGE_BITS = 12, 16, 28, 32, 36, 37, 39
"""Offsets in a CodeDirectory (xnu's cs_blobs.h)."""


def signature(data: bytes, verify: bool = True) -> Signature | None:
    native = read(memoryview(data), verify_signatures=verify)[0].native
    assert isinstance(native, MachOFacts)
    return native.signature


def directory_of(data: bytes) -> int:
    """Where the one CodeDirectory starts."""
    return data.index(b"\xfa\xde\x0c\x02")


def changed(offset: int, value: bytes) -> Callable[[bytearray], None]:
    """A change at an offset of the CodeDirectory."""

    def change(data: bytearray) -> None:
        start = directory_of(bytes(data)) + offset
        data[start : start + len(value)] = value

    return change


def rehash(data: bytearray) -> None:
    """Make the first page's hash right again."""
    start = directory_of(bytes(data))
    at = start + struct.unpack_from(">I", data, start + HASHES_AT)[0]
    data[at : at + 32] = hashlib.sha256(data[:PAGE]).digest()


def test_the_linkers_signature_is_right() -> None:
    found = signature(LIBRARY.read_bytes())
    assert found == Signature("linker-signed", "liba.dylib", 0x20002, PAGE, verified=True)


def test_pages_are_hashed_on_request_only() -> None:
    found = signature(LIBRARY.read_bytes(), verify=False)
    assert found is not None
    assert (found.verified, found.bad_pages, found.problem) == (False, (), "")


def test_a_file_without_a_signature_has_none() -> None:
    assert signature((BIN / "x86_64/unsigned.dylib").read_bytes()) is None


@pytest.mark.parametrize(("landmark", "page"), [(UUID_COMMAND, 0), (b"\0_liba_ad", 2)])
def test_a_changed_byte_is_found_in_its_page(landmark: bytes, page: int) -> None:
    data = bytearray(LIBRARY.read_bytes())
    spot = data.rindex(landmark) + len(landmark)
    data[spot] ^= 1
    found = signature(bytes(data))
    assert found is not None
    assert (spot // PAGE, found.bad_pages) == (page, (page,))


def test_a_page_whose_hash_was_made_again_is_right() -> None:
    data = bytearray(LIBRARY.read_bytes())
    data[data.index(UUID_COMMAND) + len(UUID_COMMAND)] ^= 1
    rehash(data)
    found = signature(bytes(data))
    assert found is not None
    assert found.bad_pages == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (changed(LIMIT, struct.pack(">I", 64)), "covers 0x40 bytes"),
        (changed(SLOTS, struct.pack(">I", 1)), "has 1 page hashes for"),
        (changed(0, b"\0\0\0\0"), "malformed: CodeDirectory"),
        (changed(HASH_TYPE, b"\x09"), "malformed: CodeDirectory"),
        (changed(HASH_SIZE, b"\0\0"), "malformed: CodeDirectory"),  # a hash of no bytes and of no kind
        (changed(PAGE_BITS, b"\x40"), "malformed: CodeDirectory"),
        (changed(HASHES_AT, b"\xff\xff\xff\xff"), "malformed: CodeDirectory"),
        (changed(SLOTS, b"\xff\xff\xff\xff"), "malformed: CodeDirectory"),
        (changed(20, b"\xff\xff\xff\xff"), "malformed: CodeDirectory"),  # the identifier
    ],
)
def test_damage_is_told_and_the_rest_of_the_file_is_read(change: Callable[[bytearray], None], problem: str) -> None:
    data = bytearray(LIBRARY.read_bytes())
    change(data)
    image = read(memoryview(bytes(data)), verify_signatures=True)[0]
    assert isinstance(image.native, MachOFacts)
    assert image.native.signature is not None
    assert image.native.signature.problem.startswith(problem)
    assert image.identity == "@rpath/liba.dylib"
    assert {export.name for export in image.symbols.exports()} >= {b"_liba_add"}


def test_the_adhoc_flag_may_be_absent() -> None:
    data = bytearray(LIBRARY.read_bytes())
    changed(FLAGS, struct.pack(">I", 0))(data)  # as ldid signs, and macOS runs what it signed
    found = signature(bytes(data))
    assert found is not None
    assert (found.kind, found.flags, found.problem, found.bad_pages) == ("adhoc", 0, "", ())


def test_a_superblob_that_is_none_is_told() -> None:
    found = signature(LIBRARY.read_bytes().replace(b"\xfa\xde\x0c\xc0", b"\xfa\xde\x0c\xc1"))
    assert found is not None
    assert found.problem.startswith("malformed: SuperBlob")


def test_bytes_behind_the_signature_are_told() -> None:
    found = signature(LIBRARY.read_bytes() + bytes(16))
    assert found is not None
    assert found.problem == "16 bytes follow it in the slice"
    padded = signature(LIBRARY.read_bytes() + bytes(15))
    assert padded is not None
    assert padded.problem == ""
