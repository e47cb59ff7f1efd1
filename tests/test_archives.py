"""Zip archives: everything that two tools could read in two ways is told, and what can still be read is."""

import hashlib
import io
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator

import pytest

from builders import archive
from relocator import inflating
from relocator.archives import Archive, ZipMember, name_fault, open_archive
from relocator.containers import MAX_SIZE
from relocator.errors import ContainerError
from relocator.inflating import Content, Head, Wanted, contents
from zip_bytes import Part, deflated, zip64_end, zipped

TEXT = b"some text, some text, some text, some text\n" * 20
PLAIN = Part(b"a.txt", TEXT)
OTHER = Part(b"b.txt", b"other")


@pytest.fixture(params=["libdeflate", "zlib"], autouse=True)
def inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run everything with the extra `fast` and without: the results are the same."""
    if request.param == "zlib":
        monkeypatch.setattr(inflating, "deflate", None)
        monkeypatch.setattr(inflating, "_crc32", zlib.crc32)
    else:
        pytest.importorskip("deflate")


def opened(data: bytes, max_size: int = MAX_SIZE) -> Archive:
    return open_archive(memoryview(data), max_size)


def read(data: bytes) -> tuple[list[Content], list[tuple[str, str]]]:
    """Return the contents, and the kind and member of every problem."""
    found = opened(data)
    everything = list(contents(found))
    problems = [*found.problems, *(problem for content in everything for problem in content.problems)]
    return everything, [(problem.kind, problem.member) for problem in problems]


def plain(content: Content) -> bytes | None:
    return None if content.data is None else bytes(content.data[:])


def told(*parts: Part, **how: object) -> list[tuple[str, str]]:
    return read(zipped(parts, **how))[1]  # type: ignore[arg-type]


def refusal(data: bytes, max_size: int = MAX_SIZE) -> str:
    with pytest.raises(ContainerError) as caught:
        list(contents(opened(data, max_size)))
    assert caught.value.exit_code == 3
    return caught.value.message


# ---- what is right


def test_a_plain_archive_has_no_problem_and_every_byte() -> None:
    everything, problems = read(zipped([PLAIN, Part(b"b.txt", b"other", 0)]))
    assert problems == []
    assert [plain(c) for c in everything] == [TEXT, b"other"]
    assert [c.sha256 for c in everything] == [hashlib.sha256(data).hexdigest() for data in (TEXT, b"other")]


def test_what_zipfile_writes_is_read_as_zipfile_reads_it() -> None:
    data = archive({f"pkg/{n}.py": bytes([n]) * n * 100 for n in range(200)})
    everything, problems = read(data)
    assert problems == []
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        assert [(c.member.name, plain(c)) for c in everything] == [(i.filename, oracle.read(i)) for i in oracle.infolist()]
        fields = [(i.header_offset, i.compress_size, i.file_size, i.CRC, i.external_attr, i.compress_type) for i in oracle.infolist()]
    assert [(m.offset, m.compressed, m.size, m.crc, m.external, m.method) for m in opened(data).members] == fields


def test_an_empty_member_is_read() -> None:
    everything, problems = read(zipped([Part(b"pkg/__init__.py"), Part(b"stored", b"", 0)]))
    assert problems == []
    assert [(plain(c), c.sha256) for c in everything] == [(b"", hashlib.sha256().hexdigest())] * 2


def test_an_archive_without_members_is_read() -> None:
    assert read(zipped([])) == ([], [])


def test_a_comment_on_the_archive_is_fine() -> None:
    assert told(PLAIN, comment=b"PK is what zip archives start with") == []


def test_a_folder_is_kept_apart() -> None:
    everything, problems = read(zipped([Part(b"pkg/", b"", 0), Part(b"pkg/a", b"x")]))
    assert problems == []
    assert [c.member.is_folder for c in everything] == [True, False]


def test_seventy_thousand_members_are_read_with_and_without_zip64() -> None:
    parts = [Part(f"d/{n}".encode(), b"", 0) for n in range(70_000)]
    narrow = zipped(parts, count=70_000 & 0xFFFF)
    offset = narrow.index(b"PK\1\2")
    size = len(narrow) - 22 - offset
    wide = zipped(parts, zip64=zip64_end(70_000, size, offset, offset + size), count=0xFFFF, size=0xFFFFFFFF, offset=0xFFFFFFFF)
    for data in (narrow, wide):
        everything, problems = read(data)
        assert (len(everything), problems) == (70_000, [])


def test_zip64_sizes_and_offsets_are_read_from_the_extra_field() -> None:
    full, packed = 0xFFFFFFFF, len(deflated(TEXT))
    central = struct.pack("<HHQQQ", 1, 24, len(TEXT), packed, 0)
    local = struct.pack("<HHQQ", 1, 16, len(TEXT), packed)
    part = Part(
        b"a.txt",
        TEXT,
        local={"size": full, "compressed": full, "extra": local},
        central={"size": full, "compressed": full, "offset": full, "extra": central},
    )
    everything, problems = read(zipped([part]))
    assert problems == []
    assert plain(everything[0]) == TEXT


def test_a_large_member_is_inflated_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "LARGE", 100)
    monkeypatch.setattr(inflating, "PIECE", 64)
    everything, problems = read(zipped([PLAIN, Part(b"stored", TEXT, 0), OTHER]))
    assert problems == []
    assert [plain(c) for c in everything] == [TEXT, TEXT, b"other"]
    assert {c.sha256 for c in everything[:2]} == {hashlib.sha256(TEXT).hexdigest()}


ELF = b"\x7fELF" + TEXT


def of_large(data: bytes, monkeypatch: pytest.MonkeyPatch, piece: int = 10) -> list[Content]:
    monkeypatch.setattr(inflating, "LARGE", 100)
    monkeypatch.setattr(inflating, "PIECE", piece)
    return list(contents(opened(data), lambda head: head.startswith(b"\x7fELF")))


@pytest.mark.parametrize("method", [0, 8])
@pytest.mark.parametrize("piece", [10, 100, 10_000])
def test_of_a_large_file_that_nobody_wants_only_the_head_is_kept(method: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    unwanted, binary, small = of_large(zipped([Part(b"a", TEXT, method), Part(b"b", ELF, method), OTHER]), monkeypatch, piece)
    assert isinstance(unwanted.data, Head)
    assert (len(unwanted.data), unwanted.data[:], unwanted.data[2:100], unwanted.data[500:]) == (860, TEXT[:64], TEXT[2:64], b"")
    assert (unwanted.sha256, unwanted.problems) == (hashlib.sha256(TEXT).hexdigest(), ())
    assert (plain(binary), plain(small)) == (ELF, b"other")


def test_empty_blocks_before_a_binary_do_not_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"\0\0\0\xff\xff" * 100 + deflated(ELF)
    (content,) = of_large(zipped([Part(b"a", ELF, body=body)]), monkeypatch)
    assert (plain(content), content.problems) == (ELF, ())


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (Part(b"a", TEXT, local={"size": 500}, central={"size": 500}), "size"),
        (Part(b"a", TEXT, local={"size": 5000}, central={"size": 5000}), "size"),
        (Part(b"a", TEXT, local={"crc": 1}, central={"crc": 1}), "crc"),
        (Part(b"a", TEXT, body=deflated(TEXT)[:-3]), "crc"),
    ],
)
def test_a_large_file_that_nobody_wants_is_checked_all_the_same(part: Part, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (content,) = of_large(zipped([part]), monkeypatch)
    assert [problem.kind for problem in content.problems] == [kind]


# ---- what is read in two ways, or not at all


def broken(name: bytes = b"a.txt", **how: object) -> Part:
    return Part(name, TEXT, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "kinds", "readable"),
    [
        (broken(flags=1), ["encrypted"], False),
        (broken(flags=0x40), ["encrypted"], False),
        (broken(flags=0x20), ["method"], False),
        (broken(central={"needs": 75}), ["method"], True),
        (broken(method=12, body=b"BZh9"), ["method"], False),
        (broken(method=93, body=b"zstd"), ["method"], False),
        (broken(local={"crc": 1}, central={"crc": 1}), ["crc"], True),
        (broken(body=b"\xff" * 30), ["crc"], False),
        (broken(body=deflated(TEXT)[:-4]), ["crc"], False),
        (broken(local={"size": 700}, central={"size": 700}), ["size"], True),
        (broken(local={"size": 0}, central={"size": 0}), ["size"], True),
        (broken(local={"size": 900}, central={"size": 900}), ["size"], True),
        (broken(local={"size": 1 << 30}, central={"size": 1 << 30}), ["size"], True),
        (broken(method=0, local={"size": 900}, central={"size": 900}), ["size"], True),
        (broken(method=0, local={"size": 10}, central={"size": 10}), ["size"], True),
        (broken(local={"name": b"b.txt"}), ["local-header"], True),
        (broken(local={"size": 5}), ["local-header"], True),
        (broken(local={"crc": 5}), ["local-header"], True),
        (broken(local={"compressed": 5}), ["local-header"], True),
        (broken(local={"method": 0}), ["local-header"], True),
        (broken(local={"flags": 1}), ["local-header"], True),
        (broken(central={"offset": 3}), ["prepended", "local-header"], False),
        (broken(central={"offset": 1 << 31}), ["prepended", "local-header"], False),
        (broken(central={"compressed": 5000}), ["local-header", "overlap"], False),
        (broken(after=b"hidden"), ["gap"], True),
        (broken(after=Part(b"hidden").local_bytes()), ["local-header"], True),
        (broken(flags=8, after=b"PK\7\x08" + struct.pack("<3L", zlib.crc32(TEXT), len(deflated(TEXT)), len(TEXT))), ["descriptor"], True),
        (broken(flags=8, after=struct.pack("<3L", zlib.crc32(TEXT), len(deflated(TEXT)), len(TEXT))), ["descriptor"], True),
        (broken(flags=8, after=struct.pack("<L2Q", zlib.crc32(TEXT), len(deflated(TEXT)), len(TEXT))), ["descriptor"], True),
        (broken(flags=8, after=struct.pack("<3L", 1, 2, 3)), ["descriptor", "local-header"], True),
        (broken(flags=8), ["descriptor", "local-header"], True),
        (broken(central={"comment": b"hello"}), ["comment"], True),
        (broken(central={"extra": struct.pack("<2H5x", 1, 5)}), ["extra"], True),
        (broken(local={"extra": struct.pack("<2H5x", 1, 5)}), ["extra"], True),
        (broken(local={"extra": struct.pack("<2H8x", 1, 8) * 2}), ["extra"], True),
        (broken(local={"extra": struct.pack("<2H28x", 1, 28)}, central={"extra": struct.pack("<2H9x", 0x5455, 9)}), [], True),
        (broken(central={"extra": struct.pack("<HHQ", 1, 8, 1) * 2}), ["directory"], True),
        (broken(central={"extra": struct.pack("<HHBL", 0x7075, 13, 1, 0) + b"evil.txt"}), ["name"], True),
        (broken(name=b"../a.txt"), ["name"], True),
        (broken(name=b"a\0.txt"), ["name"], True),
        (broken(name=b"\xff\xfe.txt"), ["name"], True),
        (broken(name="é.txt".encode()), ["name"], True),  # not marked as UTF-8
        (broken(name=b""), ["name"], True),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_one_bad_member(part: Part, kinds: list[str], readable: bool, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(inflating, "LARGE", -1)
        monkeypatch.setattr(inflating, "PIECE", 50)
    everything, problems = read(zipped([part]))
    assert [kind for kind, _ in problems] == kinds
    assert [content.data is not None for content in everything] == [readable]
    assert bool(everything[0].sha256) == readable


def test_a_name_marked_as_utf8_is_fine() -> None:
    assert told(broken(name="é.txt".encode(), flags=0x800)) == []


def test_the_members_beside_a_bad_one_are_read() -> None:
    everything, problems = read(zipped([PLAIN, broken(b"bad", body=b"\xff" * 9), OTHER]))
    assert problems == [("crc", "bad")]
    assert [plain(content) for content in everything] == [TEXT, None, b"other"]


def test_a_name_twice_is_told_once_and_both_are_read() -> None:
    everything, problems = read(zipped([PLAIN, PLAIN]))
    assert problems == [("duplicate", "a.txt")]
    assert [plain(content) for content in everything] == [TEXT, TEXT]


def test_members_that_share_bytes_are_not_inflated() -> None:
    everything, problems = read(zipped([PLAIN, Part(b"a.txt", TEXT, central={"offset": 0})]))
    assert ("overlap", "a.txt") in problems
    assert [plain(content) for content in everything] == [None, None]


def test_a_member_that_reaches_into_the_directory_overlaps() -> None:
    part = Part(b"a.txt", TEXT, 0, local={"compressed": len(TEXT) + 20}, central={"compressed": len(TEXT) + 20})
    assert ("overlap", "a.txt") in told(part)


@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        ({"before": b"#!/bin/sh\n"}, ["prepended"]),
        ({"behind": b"more"}, ["trailing"]),
        ({"gap": b"more"}, ["directory"]),
        ({"count": 5}, ["directory"]),
        ({"comment": b"PK\5\6" + bytes(20)}, ["directory"]),
    ],
)
def test_around_the_members(how: dict[str, object], kinds: list[str]) -> None:
    everything, problems = read(zipped([PLAIN, OTHER], **how))  # type: ignore[arg-type]
    assert [kind for kind, _ in problems] == kinds
    assert [plain(content) for content in everything] == [TEXT, b"other"]


def test_an_empty_archive_at_the_end_of_another_is_told() -> None:
    everything, problems = read(zipped([PLAIN], comment=zipped([])))
    assert everything == []  # what zipfile, and so most installers, make of it
    assert [kind for kind, _ in problems] == ["directory", "prepended"]


def test_two_end_records_that_disagree_are_told() -> None:
    data = zipped([PLAIN])
    start = data.index(b"PK\1\2")
    size = len(data) - 22 - start
    assert [kind for kind, _ in told(PLAIN, zip64=zip64_end(1, size, start, start + size), count=3)] == ["directory"]
    assert [kind for kind, _ in told(PLAIN, zip64=zip64_end(1, size, start, start + size, length=60))] == ["directory"]
    assert told(PLAIN, zip64=zip64_end(1, size, start, start + size)) == []


# ---- what cannot be opened


def damaged_directory() -> bytes:
    data = bytearray(zipped([PLAIN, OTHER]))
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    data[second] = 0
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "not a zip archive"),
        (b"", "not a zip archive"),
        (zipped([PLAIN])[:-30], "cut off"),
        (zipped([PLAIN])[:-1], "cut off"),
        (zipped([PLAIN], disk=3), "split archive"),
        (zipped([PLAIN], offset=5000), "damaged end record"),
        (zipped([PLAIN], size=5000), "damaged end record"),
        (damaged_directory(), "damaged directory"),
        (zipped([PLAIN], zip64=zip64_end(1, 1, 1, 1)[56:]), "leads to no end record"),
    ],
)
def test_an_archive_that_cannot_be_followed(data: bytes, message: str) -> None:
    assert message in refusal(data)


def test_a_bomb_is_refused_before_anything_is_inflated() -> None:
    bomb = [Part(b"%d" % n, b"", central={"size": 0xFFFFFFFE}) for n in range(5)]
    assert "more than the 17,179,869,184 allowed" in refusal(zipped(bomb))
    assert len(opened(zipped(bomb), MAX_SIZE * 2).members) == 5


def test_the_limit_is_on_the_sum_of_all_members() -> None:
    data = zipped([PLAIN, OTHER])
    assert len(opened(data, len(TEXT) + 5).members) == 2
    assert "inflates to" in refusal(data, len(TEXT) + 4)


def test_an_endless_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relocator.archives.MAX_MEMBERS", 3)
    assert "more than 3 members" in refusal(zipped([PLAIN] * 4))


def test_a_member_that_does_not_fit_into_memory_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(inflating, "_read_small", exhausted)
    assert "does not fit into memory: a.txt has 860 bytes" in refusal(zipped([PLAIN]))


# ---- names


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../x", "a/../../x", "a/..", "C:x", "c:/x", "a\\b", "a\x1bb", "a\x7f", "a\x85", "aux.py", "pkg/NUL",
        "pkg/com1.txt/x", "pkg/con .py", "a//b", "./a", "a/./b", "",
    ],
)  # fmt: skip
def test_a_name_that_is_not_safe_everywhere(name: str) -> None:
    assert name_fault(name)


@pytest.mark.parametrize("name", ["a.py", "pkg/", "a..b/c...d", "auxiliary.py", "com.py", "é/ü.py", "a b.py", ".hidden", "ab:c"])
def test_a_name_that_is_safe(name: str) -> None:
    assert name_fault(name) == ""


# ---- the two threads


def test_no_thread_is_left_behind_when_the_reader_stops_early() -> None:
    data = zipped([Part(b"%d" % n, bytes(1000)) for n in range(500)])
    before = threading.active_count()
    stream = contents(opened(data))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_of_the_other_thread_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr(inflating, "read_member", wrong)
    with pytest.raises(AssertionError, match="a bug"):
        list(contents(opened(zipped([PLAIN]))))


@pytest.mark.parametrize(("size", "count"), [(1000, 50), (40, 3)])
def test_what_is_in_flight_is_bounded(size: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, large = 2500, 1500
    monkeypatch.setattr(inflating, "IN_FLIGHT", limit)
    monkeypatch.setattr(inflating, "LARGE", large)
    monkeypatch.setattr(inflating, "BATCH", 10)
    started = 0
    honest = inflating.read_member

    def counted(found: Archive, member: ZipMember, wanted: Wanted) -> Content:
        nonlocal started
        started += member.size
        return honest(found, member, wanted)

    monkeypatch.setattr(inflating, "read_member", counted)
    parts = [Part(b"%d" % n, bytes(size * (5 if n % 7 == 3 else 1))) for n in range(count)]
    finished = 0
    for content in contents(opened(zipped(parts))):
        assert started - finished <= max(limit, content.member.size, size * 5)
        if content.member.size > large:
            assert started - finished == content.member.size
        finished += content.member.size
    assert finished == started == sum(len(part.data) for part in parts)


def batches(sizes: list[int]) -> Iterator[int]:
    found = opened(zipped([Part(b"%d" % n, bytes(size)) for n, size in enumerate(sizes)]))
    return (len(batch) for batch in inflating._batches(found.members))


def test_small_members_are_handed_over_together() -> None:
    assert list(batches([10] * 130)) == [64, 64, 2]
    assert list(batches([inflating.BATCH, 10, 10, inflating.BATCH])) == [1, 2, 1]
    assert list(batches([])) == []
