"""Several Mach-O files become one universal file."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import FIXTURES
from macho_bytes import ARM64, I386, X86_64, Shape, dylib, fat, macho
from relocator.backends.macos import fuse
from relocator.backends.macos.commands import Slice
from relocator.backends.macos.fuse import fused
from relocator.backends.macos.layout import check_layout
from relocator.backends.macos.read import arch_name, arches, read
from relocator.errors import RelocatorError, UnreadableBinary
from relocator.native import MachOFacts
from relocator.plans import EditRefused

BIN = FIXTURES / "bin" / "macho"
INTEL, ARM = (BIN / "x86_64/liba.dylib").read_bytes(), (BIN / "arm64/liba.dylib").read_bytes()


def parts(data: bytes | bytearray) -> dict[str, bytes]:
    return {arch_name(*one.declared): bytes(data[one.part.start : one.part.start + one.part.size]) for one in arches(memoryview(data))}


@pytest.mark.parametrize("files", [(INTEL, ARM), (ARM, INTEL)])
def test_two_thin_files_become_a_universal_one_in_one_order_with_every_byte_of_both(files: tuple[bytes, bytes]) -> None:
    data = fused(files)
    assert parts(data) == {"x86_64": INTEL, "arm64": ARM}
    assert struct.unpack_from(">2I", data) == (0xCAFEBABE, 2)
    found = arches(memoryview(data))
    assert [(arch_name(*one.declared), one.alignment, one.part.start % (1 << one.alignment)) for one in found] == [
        ("x86_64", 12, 0),
        ("arm64", 14, 0),
    ]
    assert check_layout(memoryview(data)) == ()


def test_signatures_stay_valid() -> None:
    for image in read(memoryview(fused((INTEL, ARM))), verify_signatures=True):
        assert isinstance(image.native, MachOFacts)
        assert image.native.signature
        assert (image.native.signature.verified, image.native.signature.bad_pages, image.native.signature.problem) == (True, (), "")


def test_what_both_have_is_kept_once() -> None:
    both = bytes(fused((INTEL, ARM)))
    assert fused((both, ARM)) == fused((both, both)) == fused((INTEL, both)) == both
    assert bytes(fused((INTEL, INTEL))) == fused((INTEL,))


def test_different_code_for_one_architecture_is_refused() -> None:
    other = (BIN / "x86_64/libb.dylib").read_bytes()
    with pytest.raises(EditRefused, match="differ in their code for x86_64"):
        fused((bytes(fused((INTEL, ARM))), other))


def test_two_kinds_of_one_processor_are_two_architectures() -> None:
    plain, haswell = macho([dylib("/a")]), macho([dylib("/a")], Shape(cpu_subtype=8))
    assert list(parts(fused((haswell, plain)))) == ["x86_64", "x86_64h"]
    old = macho([dylib("/a", shape=Shape(wide=False, cpu_type=I386))], Shape(wide=False, cpu_type=I386))
    assert list(parts(fused((plain, old, ARM)))) == ["i386", "x86_64", "arm64"]


def archive(*members: tuple[bytes, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        lead = name if len(name) > 16 else b""
        head = (b"#1/%d" % len(lead) if lead else name).ljust(16)
        out += (
            head
            + b"0           0     0     644     "
            + b"%-10d" % (len(lead) + len(data))
            + b"`\n"
            + lead
            + data
            + b"\n" * ((len(lead) + len(data)) % 2)
        )
    return out


def test_static_archives_are_joined_by_what_their_objects_are_for() -> None:
    one = archive((b"__.SYMDEF SORTED\0\0\0\0", b"\0" * 9), (b"a.o", macho([], Shape(file_type=1))))
    other = archive((b"a.o", macho([], Shape(cpu_type=ARM64, cpu_subtype=0, file_type=1))))
    data = fused((other, one))
    assert parts(data) == {"x86_64": one, "arm64": other}
    assert [entry.alignment for entry in arches(memoryview(data))] == [3, 3]


@pytest.mark.parametrize(
    "data",
    [
        archive((b"a.txt", b"no object")),
        b"!<arch>\n",
        archive((b"a.o", macho([]))).replace(b"`\n", b"x\n")[:70],
        b"\xca\xfe\xba\xbe\0\0\0\x34" + b"\0" * 100,
        b"\xca\xfe\xba\xbe\0\0\0\0",
        b"",
        b"text",
        INTEL[:20],
        fat([(X86_64, 3, INTEL)])[:-100],
        b"!<arch>\n" + b"x" * 60,
    ],
)
def test_what_has_no_architecture_is_refused_and_never_a_traceback(data: bytes) -> None:
    with pytest.raises((EditRefused, UnreadableBinary)):
        fused((data, ARM))


@given(st.binary(max_size=400), st.sampled_from([b"!<arch>\n", b"\xca\xfe\xba\xbe\0\0\0\2", b"\xca\xfe\xba\xbf\0\0\0\1", INTEL[:40], b""]))
def test_hostile_bytes_are_refused_or_joined(rest: bytes, head: bytes) -> None:
    try:
        data = fused((head + rest, ARM))
    except RelocatorError:
        return
    assert len(arches(memoryview(data))) in (1, 2)


class Sparse:
    """A buffer that claims to be large."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, region: slice, /) -> bytes:
        raise AssertionError("nothing is read to lay slices out")


@pytest.mark.parametrize(
    ("size", "magic", "entry"), [(0xFFFF_B000, 0xCAFEBABE, 20), (0xFFFF_B001, 0xCAFEBABF, 32), (5 << 30, 0xCAFEBABF, 32)]
)
def test_offsets_of_64_bits_come_only_where_they_must(size: int, magic: int, entry: int) -> None:
    cuts = [fuse.Cut(X86_64, 3, 12, Slice(Sparse(size), 0, size)), fuse.Cut(ARM64, 0, 14, Slice(Sparse(5), 0, 5))]
    head, places = fuse.laid_out(cuts)
    assert (struct.unpack_from(">I", head)[0], len(head)) == (magic, 8 + 2 * entry)
    assert places == [0x1000, -(-(0x1000 + size) // 0x4000) * 0x4000]
