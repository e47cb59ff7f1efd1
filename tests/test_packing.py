"""Writing an archive: what is copied is copied to the bit, what is written passes the strictest readers, and all faults come at once."""

import hashlib
import io
import pickle
import random
import stat
import struct
import threading
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from builders import archive, record_hash, wheel
from index_gate import gate_problems
from packed import INFO, LIMIT, RECORD, Result, copies, giving, repacked, written
from relocator import archive_tools, packing
from relocator.apply import NotWritten
from relocator.archives import Archive, open_archive
from relocator.errors import InternalError, RelocatorError
from relocator.files import FileBuffer
from relocator.inflating import IN_FLIGHT, PIECE, Known, contents, read_member
from relocator.packing import Item, NotPacked, known
from zip_bytes import Part, zipped

TEXT = b"some text, some text, some text, some text\n" * 50
NOISE = random.Random(1).randbytes(3000)
OLD = wheel({"demo/__init__.py": TEXT, "demo/_core.so": NOISE, "demo/empty": b"", "zz.txt": TEXT})


@pytest.fixture(params=["libdeflate", "zlib"])
def compressor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with the extra `fast` and without."""
    if request.param == "zlib":
        monkeypatch.setattr(archive_tools, "deflate", None)
    else:
        pytest.importorskip("deflate")


def opened(data: bytes) -> Archive:
    return open_archive(memoryview(data), LIMIT)


def listed(data: bytes) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        return oracle.infolist()


def names(data: bytes) -> list[str]:
    return [info.filename for info in listed(data)]


def info_of(data: bytes, name: str) -> zipfile.ZipInfo:
    (found,) = [info for info in listed(data) if info.filename == name]
    return found


def content(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        return oracle.read(name)


def raw(data: bytes, name: str) -> bytes:
    """Return the compressed bytes, found without our reader."""
    info = info_of(data, name)
    name_size, extra_size = struct.unpack_from("<26x2H", data, info.header_offset)
    start = info.header_offset + 30 + name_size + extra_size
    return data[start : start + info.compress_size]


def faults(data: bytes, tmp_path: Path) -> list[object]:
    """Return all that zipfile, the gate and our own reader find wrong."""
    path = tmp_path / "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as oracle:
        damaged = oracle.testzip()
    found = opened(data)
    problems = [*found.problems, *(problem for one in contents(found) for problem in one.problems)]
    return [*([damaged] if damaged else []), *gate_problems(path), *problems]


def with_record(*parts: Part) -> list[Part]:
    """Return parts with all that makes a wheel of them."""
    return [
        *parts,
        Part(f"{INFO}/WHEEL".encode(), b"Wheel-Version: 1.0\n"),
        Part(f"{INFO}/METADATA".encode(), b"Name: demo\nVersion: 1.0\n"),
        Part(RECORD.encode(), b""),
    ]


# ---- what is copied, what is written


@pytest.mark.usefixtures("compressor")
def test_untouched_members_are_copied_to_the_bit_and_changed_ones_are_not(tmp_path: Path) -> None:
    new = repacked(OLD, {"demo/__init__.py": b"changed\n" * 100}).data
    assert faults(new, tmp_path) == []
    for name in ("demo/_core.so", "demo/empty", "zz.txt", f"{INFO}/WHEEL"):
        assert raw(new, name) == raw(OLD, name)
    assert content(new, "demo/__init__.py") == b"changed\n" * 100
    assert info_of(new, "demo/__init__.py").compress_size < 60


def test_what_is_returned_is_what_is_there() -> None:
    new = repacked(OLD, {"demo/__init__.py": b"changed\n", "demo/new.txt": b"new\n"})
    assert [one.name for one in new.packed] == names(new.data)
    for one in new.packed:
        data = content(new.data, one.name)
        assert (one.sha256, one.size, one.crc) == (hashlib.sha256(data).hexdigest(), len(data), zlib.crc32(data))
        assert one.mode == info_of(new.data, one.name).external_attr >> 16
    assert {one.name for one in new.packed if not one.copied} == {"demo/__init__.py", "demo/new.txt", RECORD}


def test_record_lists_every_file_with_its_hash_and_itself_without() -> None:
    new = repacked(OLD, {"demo/a,b.py": b"x", 'demo/q".py': b"y", "demo/é.py": b"z"}).data
    lines = content(new, RECORD).decode().split("\n")
    assert f'"demo/a,b.py",{record_hash(b"x")},1' in lines
    assert f'"demo/q"".py",{record_hash(b"y")},1' in lines
    assert f"demo/é.py,{record_hash(b'z')},1" in lines
    assert f"demo/__init__.py,{record_hash(TEXT)},{len(TEXT)}" in lines
    assert lines[-2:] == [f"{RECORD},,", ""]
    assert len(lines) == len(names(new)) + 1


def test_signatures_of_record_are_not_in_it() -> None:
    new = repacked(OLD, {f"{RECORD}.jws": b"{}", f"{RECORD}.p7s": b"x"}).data
    assert f"{RECORD}.jws" in names(new)
    assert b"jws" not in content(new, RECORD)
    assert b"p7s" not in content(new, RECORD)


def test_a_wheel_without_record_gets_one(tmp_path: Path) -> None:
    bare = archive({"demo/a.py": TEXT, f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n", f"{INFO}/METADATA": b"Name: demo\n"})
    assert gate_problems_of(bare, tmp_path) == ["no RECORD"]
    assert faults(repacked(bare).data, tmp_path) == []


def gate_problems_of(data: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "old.whl"
    path.write_bytes(data)
    return gate_problems(path)


def test_writing_what_was_written_gives_the_same_bytes() -> None:
    once = repacked(OLD, {"demo/__init__.py": b"changed\n"}).data
    assert repacked(once).data == once


def test_members_can_be_given_other_names() -> None:
    old = opened(OLD)
    items = [item._replace(name=item.name.replace("_core", "_other")) for item in copies(old)]
    new = written(old, items).data
    assert raw(new, "demo/_other.so") == raw(OLD, "demo/_core.so")
    assert "demo/_core.so" not in names(new)
    assert b"_other.so" in content(new, RECORD)


def test_data_that_do_not_shrink_are_stored(compressor: None) -> None:
    new = repacked(OLD, {"demo/_core.so": NOISE, "demo/empty": b"", "zz.txt": TEXT}).data
    assert [info_of(new, name).compress_type for name in ("demo/_core.so", "demo/empty", "zz.txt")] == [0, 0, 8]
    assert content(new, "demo/_core.so") == NOISE


def test_the_level_is_that_of_compression(compressor: None) -> None:
    text = " ".join(str(random.Random(2).randrange(10**6)) for _ in range(20_000)).encode() * 2
    sizes = [info_of(repacked(OLD, {"zz.txt": text}, level=level).data, "zz.txt").compress_size for level in (0, 1, 9)]
    assert sizes[0] == len(text)
    assert sizes == sorted(set(sizes), reverse=True)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_contents_may_be_bytes_of_any_kind(kind: type) -> None:
    assert content(repacked(OLD, {"zz.txt": kind(TEXT * 2)}).data, "zz.txt") == TEXT * 2


# ---- order, folders


def test_the_order_is_kept_but_dist_info_comes_last_and_record_last_of_all() -> None:
    files = {RECORD: b"", "demo/b.py": b"b", f"{INFO}/METADATA": b"Name: demo\n", "demo/a.py": b"a", f"{INFO}/WHEEL": b"", "c.py": b"c"}
    new = repacked(archive(files), {"new.py": b"new", f"{INFO}/sboms/x.json": b"{}"}).data
    first = ["demo/b.py", "demo/a.py", "c.py", "new.py"]
    assert names(new) == [*first, f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/sboms/x.json", RECORD]


def test_folders_stay_where_they_are_and_are_not_in_record(tmp_path: Path) -> None:
    old = zipped(
        [Part(b"demo/", b"", 0, central={"external": 0o40775 << 16}), *with_record(Part(b"demo/a.py", TEXT)), Part(b"always/", b"", 0)]
    )
    new = repacked(old).data
    assert faults(new, tmp_path) == []
    assert names(new)[:3] == ["demo/", "demo/a.py", "always/"]
    assert b"demo/," not in content(new, RECORD)
    assert info_of(new, "demo/").external_attr == 0o40775 << 16 | 0x10


def test_folders_that_lost_all_they_held_are_left_out() -> None:
    parts = [
        Part(b"demo/", b"", 0),
        Part(b"demo/libs/", b"", 0),
        Part(b"demo/libs/a.so", NOISE),
        Part(b"other/", b"", 0),
        Part(b"other/a", b"x"),
    ]
    new = repacked(zipped(with_record(*parts)), {"demo/libs/a.so": None}).data
    assert names(new)[:2] == ["other/", "other/a"]


def test_a_folder_that_claims_to_hold_bytes_holds_none(tmp_path: Path) -> None:
    old = zipped(with_record(Part(b"demo/", b"hidden", 0), Part(b"demo/a.py", TEXT)))
    new = repacked(old).data
    assert faults(new, tmp_path) == []
    assert b"hidden" not in new


# ---- modes and dates


@pytest.mark.parametrize(
    ("stored", "mode", "expected"),
    [
        (0o100755, None, 0o100755),
        (0o100600, None, 0o100600),
        (0o100666, None, 0o100666),
        (0o644, None, 0o644),
        (0, None, 0o100644),
        (0o100600, 0o755, 0o100755),
        (0, 0o100755, 0o100755),
        (0o104755, 0o755, 0o100755),
    ],
)
@pytest.mark.parametrize("host", [0, 3, 19])
def test_mode_bits_are_kept_unless_others_are_wanted(stored: int, mode: int | None, expected: int, host: int) -> None:
    old = bytearray(zipped(with_record(Part(b"a.py", TEXT, central={"external": stored << 16 | 0x21}))))
    old[old.index(b"PK\1\2") + 5] = host
    found = opened(bytes(old))
    new = written(found, [item._replace(mode=mode if item.name == "a.py" else None) for item in copies(found)]).data
    info = info_of(new, "a.py")
    assert (info.external_attr, info.create_system) == (expected << 16, 3)


def test_new_members_have_plain_permissions_unless_others_are_wanted() -> None:
    old = opened(OLD)
    new = written(old, [*copies(old), Item("x/plain", None, giving(b"a")), Item("x/program", None, giving(b"a"), mode=0o755)]).data
    assert [info_of(new, name).external_attr >> 16 for name in ("x/plain", "x/program")] == [0o100644, 0o100755]
    assert stat.S_ISREG(info_of(new, RECORD).external_attr >> 16)


def dated(files: Sequence[tuple[str, tuple[int, int, int, int, int, int]]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, date in files:
            made.writestr(zipfile.ZipInfo(name, date), b"data\n")
    return out.getvalue()


MAY, JUNE = (2021, 5, 4, 3, 2, 2), (2022, 6, 7, 8, 9, 58)


def test_dates_are_kept_and_new_members_have_that_of_wheel() -> None:
    new = repacked(dated([("a.py", MAY), ("b.py", MAY), (f"{INFO}/WHEEL", JUNE)]), {"b.py": b"changed", "c.py": b"new"}).data
    dates = {info.filename: info.date_time for info in listed(new)}
    assert dates == {"a.py": MAY, "b.py": MAY, "c.py": JUNE, f"{INFO}/WHEEL": JUNE, RECORD: JUNE}


def test_without_wheel_new_members_have_the_date_of_metadata_or_the_first_there_is() -> None:
    assert info_of(repacked(dated([(f"{INFO}/METADATA", MAY)]), {"c.py": b"new"}).data, "c.py").date_time == MAY
    assert info_of(repacked(dated([("a.py", MAY)]), {"c.py": b"new"}).data, "c.py").date_time == (1980, 1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("epoch", "date"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (-5, (1980, 1, 1, 0, 0, 0)),
        (315532801, (1980, 1, 1, 0, 0, 0)),
        (1700000001, (2023, 11, 14, 22, 13, 20)),
        (4354819199, (2107, 12, 31, 23, 59, 58)),
        (1 << 60, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_with_an_epoch_every_member_bears_it(epoch: int, date: tuple[int, ...]) -> None:
    new = repacked(dated([("a.py", MAY), (f"{INFO}/WHEEL", JUNE)]), {"c.py": b"new"}, epoch=epoch).data
    assert {info.date_time for info in listed(new)} == {date}
    local = [struct.unpack_from("<10x2H", new, info.header_offset) for info in listed(new)]
    central = [(member.time, member.date) for member in opened(new).members]
    assert local == central


# ---- what the old archive may have wrong


DEFECTS: dict[str, bytes] = {
    "a data descriptor": zipped(
        with_record(
            Part(b"a.py", TEXT, 8, 8, after=b"PK\7\x08" + struct.pack("<3L", zlib.crc32(TEXT), len(zlib.compress(TEXT)) - 6, len(TEXT)))
        )
    ),
    "a comment": zipped(with_record(Part(b"a.py", TEXT, central={"comment": b"hello"}))),
    "a comment on the archive": zipped(with_record(Part(b"a.py", TEXT)), comment=b"hello"),
    "an extra field": zipped(with_record(Part(b"a.py", TEXT, central={"extra": struct.pack("<2HQ", 1, 5, 0)[:9]}))),
    "the same extra field twice": zipped(with_record(Part(b"a.py", TEXT, local={"extra": struct.pack("<2H", 1, 0) * 2}))),
    "another name in the local header": zipped(with_record(Part(b"a.py", TEXT, local={"name": b"b.py"}))),
    "another size in the local header": zipped(with_record(Part(b"a.py", TEXT, local={"size": 1}))),
    "another CRC in the local header": zipped(with_record(Part(b"a.py", TEXT, local={"crc": 1}))),
    "bytes between members": zipped(with_record(Part(b"a.py", TEXT, after=b"gap"))),
    "a member that is not listed": zipped(with_record(Part(b"a.py", TEXT, after=Part(b"hidden.py", TEXT).local_bytes()))),
    "bytes before the first": zipped(with_record(Part(b"a.py", TEXT)), before=b"#!/bin/sh\n"),
    "bytes behind the last": zipped(with_record(Part(b"a.py", TEXT)), behind=b"more"),
    "a name that is not marked as UTF-8": zipped(with_record(Part("é.py".encode(), TEXT))),
}


@pytest.mark.parametrize("what", DEFECTS)
def test_defects_of_the_old_archive_vanish(what: str, tmp_path: Path) -> None:
    old = DEFECTS[what]
    new = repacked(old).data
    assert faults(new, tmp_path) == []
    name = names(new)[0]
    assert content(new, name) == TEXT
    assert info_of(new, name).compress_type == 8
    assert struct.unpack_from("<H", new, 6)[0] == info_of(new, name).flag_bits == (0 if name.isascii() else 0x800)


def test_the_gate_refuses_what_it_should(tmp_path: Path) -> None:
    """The gate's own control: the archives above, and one of each fault that they do not have."""
    tolerated = {"a comment on the archive", "another CRC in the local header"}
    for what, old in DEFECTS.items():
        problems = [problem for problem in gate_problems_of(old, tmp_path) if "RECORD" not in problem]
        assert bool(problems) == (what not in tolerated), what
    good = repacked(OLD).data
    assert gate_problems_of(good, tmp_path) == []
    assert gate_problems_of(good[:-1], tmp_path)
    twice = zipped(with_record(Part(b"a.py", TEXT), Part(b"a.py", TEXT)))
    assert any("twice" in problem for problem in gate_problems_of(twice, tmp_path))
    assert any("control" in problem for problem in gate_problems_of(zipped(with_record(Part(b"a\x01.py", TEXT))), tmp_path))
    assert "a.py is not in RECORD" in gate_problems_of(zipped(with_record(Part(b"a.py", TEXT))), tmp_path)
    scripts = Part(f"{INFO}/entry_points.txt".encode(), b"[console_scripts]\na b = x:y\n")
    assert any("script" in problem for problem in gate_problems_of(zipped(with_record(scripts)), tmp_path))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Part(b"a.py", TEXT, flags=1), "no password is known"),
        (Part(b"a.py", TEXT, flags=0x20), "a patch to another archive"),
        (Part(b"a.py", TEXT, method=12, body=b"BZh"), "bzip2"),
        (Part(b"a.py", TEXT, central={"offset": 5}), "there is none at 0x5"),
        (Part(b"a.py", TEXT, central={"compressed": 5000}), "into what follows"),
        (Part(b"a.py", TEXT, body=b"\xff" * 40), "its bytes are damaged"),
        (Part(b"a.py", TEXT, method=0, central={"compressed": 10}), "its bytes are damaged"),
    ],
)
def test_what_cannot_be_read_is_not_copied(part: Part, told: str) -> None:
    with pytest.raises(NotPacked) as caught:
        repacked(zipped(with_record(part)))
    ((name, error),) = caught.value.failures
    assert (name, caught.value.exit_code) == ("a.py", 4)
    assert error.message.startswith("cannot be copied: ")
    assert told in error.message
    assert error.hint
    assert str(caught.value).startswith("a.py: cannot be copied: ")


def test_a_wheel_that_is_cut_off_while_it_is_copied_is_told(tmp_path: Path) -> None:
    path = tmp_path / "old.whl"
    path.write_bytes(OLD)
    with FileBuffer(str(path)) as buffer:
        found = open_archive(buffer, LIMIT)
        items = copies(found)
        start = next(member.offset for member in found.members if member.name == "demo/_core.so")
        with path.open("r+b") as file:
            file.truncate(start + 100)
        with pytest.raises(NotWritten, match=r"cut off while demo/_core\.so was copied"):
            written(found, items)


# ---- all faults at once


def failing(error: BaseException) -> Item:
    def fail() -> bytes:
        raise error

    return Item("demo/bad.so", None, fail, 10)


def test_all_contents_are_asked_for_and_all_errors_told() -> None:
    old = opened(OLD)
    asked: list[str] = []

    def asking(name: str) -> Item:
        return Item(name, None, lambda: asked.append(name) or b"data")  # type: ignore[func-returns-value]

    errors = [NotWritten("no room", "strip it"), NotWritten("too odd", "leave it")]
    items = [asking("x1"), failing(errors[0]), asking("x2"), failing(errors[1])._replace(name="demo/worse.so"), asking("x3")]
    with pytest.raises(NotPacked) as caught:
        written(old, [*copies(old), *items])
    assert sorted(asked) == ["x1", "x2", "x3"]
    assert caught.value.failures == (("demo/bad.so", errors[0]), ("demo/worse.so", errors[1]))
    assert caught.value.message == "demo/bad.so: no room; demo/worse.so: too odd"
    assert (caught.value.hint, caught.value.exit_code) == ("strip it", 4)


def test_a_verifiers_disagreement_stays_a_bug_of_ours() -> None:
    with pytest.raises(NotPacked) as caught:
        written(opened(OLD), [failing(NotWritten("a")), failing(InternalError("b"))._replace(name="c")])
    assert caught.value.exit_code == 5
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.exit_code, again.message) == (5, caught.value.message)


def test_any_other_error_is_passed_on_at_once_and_ends_the_threads() -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        written(opened(OLD), [failing(KeyboardInterrupt()), *copies(opened(OLD))])
    assert threading.active_count() == before


def test_memory_that_does_not_suffice_is_told() -> None:
    with pytest.raises(NotPacked, match=r"demo/bad\.so: does not fit into memory"):
        written(opened(OLD), [failing(MemoryError())])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../a.py", "leads out of the folder"),
        ("/a.py", "absolute"),
        ("a\nb.py", "control character"),
        ("a\\b.py", "backslash"),
        ("a\udcff.py", "not UTF-8"),
        ("demo/__init__.py", "two members have this name"),
        ("a/" * 40_000 + "b", "bytes long"),
        ("", "empty"),
    ],
)
def test_names_that_installers_would_refuse_are_refused(name: str, told: str) -> None:
    old = opened(OLD)
    with pytest.raises(NotPacked) as caught:
        written(old, [*copies(old), Item(name, None, giving(b"x"))])
    ((_, error),) = caught.value.failures
    assert told in error.message
    str(caught.value).encode()


def test_an_item_without_bytes_is_a_bug_of_ours() -> None:
    with pytest.raises(InternalError, match="neither a source nor a content"):
        written(opened(OLD), [Item("a.py")])


# ---- threads and memory


def many(seed: int) -> dict[str, bytes | None]:
    source = random.Random(seed)
    return {f"demo/{n}.txt": source.randbytes(50) * source.randrange(2000) for n in range(60)}


@pytest.mark.usefixtures("compressor")
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_bytes_do_not_depend_on_the_number_of_threads(workers: int) -> None:
    assert repacked(OLD, many(1), workers=workers).data == repacked(OLD, many(1)).data


def test_the_bytes_do_not_depend_on_who_is_ready_first() -> None:
    old, first = opened(OLD), threading.Event()

    def late() -> bytes:
        assert first.wait(20)
        return b"late"

    def early() -> bytes:
        first.set()
        return b"early"

    items = [Item("a", None, late), Item("b", None, early)]
    plain = [Item("a", None, giving(b"late")), Item("b", None, giving(b"early"))]
    assert written(old, items).data == written(old, plain).data


def test_a_large_member_has_no_other_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGE", 1000)
    monkeypatch.setattr(packing, "IN_FLIGHT", 2000)
    lock, running, most = threading.Lock(), [0], [0]

    def counted(size: int) -> Iterator[None]:
        with lock:
            running[0] += size
            most[0] = max(most[0], running[0])
        yield
        with lock:
            running[0] -= size

    def item(n: int, size: int) -> Item:
        def make() -> bytes:
            for _ in counted(size):
                return_value = random.Random(n).randbytes(size)
            return return_value

        return Item(f"x{n}", None, make, size)

    sizes = [600, 1500, 700, 5000, 100, 900, 800, 1100, 10]
    written(opened(OLD), [item(n, size) for n, size in enumerate(sizes)])
    assert most[0] == 5000
    most[0] = 0
    written(opened(OLD), [item(n, size) for n, size in enumerate([600, 1500, 700])])
    assert most[0] == 1500


def test_contents_are_let_go_as_soon_as_they_are_written(tmp_path: Path) -> None:
    size, old = 8 << 20, opened(OLD)
    items = [Item(f"x{n}", None, partial(random.Random(n).randbytes, size), size) for n in range(30)]
    with (tmp_path / "new.whl").open("wb") as file:
        tracemalloc.start()
        packing.write_archive(file, old, items, RECORD)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < IN_FLIGHT + 4 * size


# ---- ZIP64


def test_seventy_thousand_members_need_the_wide_end_record(tmp_path: Path) -> None:
    parts = with_record(*(Part(f"d/{n}".encode(), b"", 0) for n in range(70_000)))
    new = repacked(zipped(parts, count=len(parts) & 0xFFFF)).data
    assert b"PK\6\6" in new[-200:]
    assert len(listed(new)) == 70_003
    assert gate_problems_of(new, tmp_path) == []


@pytest.mark.parametrize(("many", "wide"), [(7, True), (8, False)])
def test_the_largest_count_of_the_narrow_end_record_is_one_less_than_its_field_holds(
    many: int, wide: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packing, "MANY", many)
    new = repacked(OLD).data
    assert len(listed(new)) == 7
    assert (b"PK\6\6" in new[-200:]) is wide
    assert gate_problems_of(new, tmp_path) == []


@pytest.mark.parametrize("wide", [400, 1000, 2500, 3500])
def test_numbers_that_do_not_fit_are_written_wide(wide: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wheels of more than 4 GB are written like this; the limit is lowered, since the test is to be quick."""
    monkeypatch.setattr(packing, "WIDE", wide)
    new = repacked(OLD, {"demo/new": random.Random(3).randbytes(2600)}).data
    assert faults(new, tmp_path) == []
    assert content(new, "demo/_core.so") == NOISE
    for info in listed(new):
        sizes = info.file_size >= wide or info.compress_size >= wide
        assert struct.unpack_from("<28xH", new, info.header_offset)[0] == (20 if sizes else 0)
        assert len(info.extra) == (4 + 16 * sizes + 8 * (info.header_offset >= wide) if sizes or info.header_offset >= wide else 0)
        assert info.extract_version == (45 if info.extra else 20)
    assert b"PK\6\6" in new
    assert repacked(new).data == new


def test_an_archive_of_more_than_4_gb_is_read_by_zipfile(tmp_path: Path) -> None:
    """Holes are not written to the disk: what is stored is a file of zeros that is there only in name."""

    class Zeros:
        def __len__(self) -> int:
            return size + len(head)

        def __getitem__(self, region: slice) -> bytes:
            start, stop, _ = region.indices(len(self))
            return head[start:stop].ljust(stop - start, b"\0")

    class Sparse(io.FileIO):
        def write(self, data: object) -> int:
            view = memoryview(data)  # type: ignore[arg-type]
            if len(view) == PIECE and not any(view[:64]):
                self.seek(len(view), 1)
                return len(view)
            return super().write(view)

    size = (1 << 32) + 5
    head = Part(b"big", b"", 0).local_bytes()
    member = opened(zipped([Part(b"big", b"", 0)])).members[0]._replace(size=size, compressed=size, crc=7)
    huge = Archive(Zeros(), (member,), (), {0: len(head) + size})
    path = tmp_path / "big.whl"
    with Sparse(str(path), "w") as file:
        items = [Item("big", member, sha256="00" * 32), Item("after", None, giving(TEXT))]
        packing.write_archive(file, huge, items, RECORD)
    with zipfile.ZipFile(path) as oracle:
        assert [(info.filename, info.file_size) for info in oracle.infolist()][:2] == [("big", size), ("after", len(TEXT))]
        assert oracle.read("after") == TEXT
    path.unlink()


# ---- reading again


def reread(new: Result, facts: dict[str, Known]) -> dict[str, bool]:
    """Return which members were inflated; all must have their true hash."""
    found = {}
    for one in contents(opened(new.data), known=facts):
        assert one.problems == ()
        assert one.sha256 == hashlib.sha256(content(new.data, one.member.name)).hexdigest()
        found[one.member.name] = one.data is not None
    return found


def test_what_was_copied_is_not_inflated_again() -> None:
    new = repacked(OLD, {"demo/__init__.py": b"changed\n", "demo/new.txt": b"new\n"})
    assert {name for name, read in reread(new, known(new.packed)).items() if read} == {"demo/__init__.py", "demo/new.txt", RECORD}


def test_what_is_not_as_it_is_known_to_be_is_inflated() -> None:
    new = repacked(OLD)
    facts = known(new.packed)
    assert reread(new, facts)["zz.txt"] is False
    assert reread(new, facts | {"zz.txt": facts["zz.txt"]._replace(crc=1)})["zz.txt"] is True
    assert reread(new, facts | {"zz.txt": facts["zz.txt"]._replace(size=1)})["zz.txt"] is True


def test_local_headers_of_known_members_are_compared() -> None:
    new = repacked(OLD)
    start = info_of(new.data, "zz.txt").header_offset
    wrong = bytearray(new.data)
    wrong[start + 30] ^= 1
    (problem,) = [problem for one in contents(opened(bytes(wrong)), known=known(new.packed)) for problem in one.problems]
    assert (problem.kind, problem.member) == ("local-header", "zz.txt")


def test_a_producer_can_read_the_old_archive() -> None:
    old = opened(OLD)

    def reading(member: str) -> Item:
        source = next(one for one in old.members if one.name == member)

        def make() -> bytes:
            data = read_member(old, source).data
            assert data is not None
            return bytes(data[:]).upper()

        return Item(member, source, make)

    items = [reading(item.name) if item.name == "zz.txt" else item for item in copies(old)]
    assert content(written(old, items).data, "zz.txt") == TEXT.upper()


def test_errors_are_words_of_ours() -> None:
    assert issubclass(NotPacked, RelocatorError)
