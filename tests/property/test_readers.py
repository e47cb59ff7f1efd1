"""Whatever is done to a binary's bytes, its reader reads them or says what is wrong with them; and reading is a function of the bytes."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FIXTURES
from mutants import decode, looked_at
from relocator.backends import backend_for, identify
from relocator.errors import UnreadableBinary
from relocator.model import Format, Image

KINDS = ("elf", "macho", "pe")


def sample(kind: str) -> bytes:
    """Return the smallest fixture of a kind that has symbols."""
    for path in sorted((p for p in (FIXTURES / "bin" / kind).rglob("*") if p.is_file()), key=lambda p: (p.stat().st_size, p.name)):
        data = path.read_bytes()
        backend = identify(data[:64])
        try:
            if backend and decode(backend.read(memoryview(data))):
                return data
        except UnreadableBinary:
            continue
    raise AssertionError(f"no fixture of kind {kind} has symbols")


def read(data: bytes) -> tuple[Image, ...] | None:
    backend = identify(data[:64])
    if backend is None:
        return ()
    try:
        images = backend.read(memoryview(data), verify_signatures=True)
        decode(images)
    except UnreadableBinary as error:
        assert str(error)
        return None
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_edits_where_the_reader_looks(kind: str) -> None:
    data = sample(kind)
    backend = identify(data[:64])
    assert backend is not None
    regions = looked_at(data, backend.read)
    spots = st.sampled_from(regions).flatmap(lambda region: st.integers(region[0], region[1] - 1))

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(spots, st.binary(min_size=1, max_size=8)), min_size=1, max_size=4), st.integers(0, 32))
    def holds(edits: list[tuple[int, bytes]], cut: int) -> None:
        copy = bytearray(data)
        for offset, new in edits:
            copy[offset : offset + len(new)] = new
        changed = bytes(copy[: len(copy) - cut])
        images = read(changed)
        assert images == read(changed)
        assert pickle.loads(pickle.dumps(images)) == images

    holds()


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_of_a_file(kind: str) -> None:
    data = sample(kind)

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, len(data)))
    def holds(size: int) -> None:
        read(data[:size])

    holds()


@pytest.mark.parametrize("binary_format", Format)
def test_any_bytes_after_any_start(binary_format: Format) -> None:
    backend = backend_for(binary_format)
    magics = st.sampled_from(
        [b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01", b"MZ", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xca\xfe\xba\xbe", b""]
    )

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(magics, st.binary(max_size=512))
    def holds(magic: bytes, rest: bytes) -> None:
        data = magic + rest
        if backend.recognises(data[:64]):
            read(data)

    holds()
