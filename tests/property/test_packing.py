"""Whatever members an archive has and whatever is done to them: what is written holds exactly that, and every reader agrees."""

import base64
import io
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from index_gate import gate_problems
from packed import INFO, LIMIT, RECORD, repacked
from relocator.archives import name_fault, open_archive
from relocator.inflating import contents
from relocator.records import parse_record, record_text
from zip_bytes import Part, zipped

parts_of_names = st.text(st.characters(codec="utf-8", exclude_characters="/\\:"), min_size=1, max_size=8)
names = (
    st.lists(parts_of_names, min_size=1, max_size=3).map("/".join).filter(lambda name: not name_fault(name) and not name.startswith(INFO))
)
data = st.one_of(st.binary(max_size=200), st.binary(min_size=1, max_size=20).map(lambda piece: piece * 200))
modes = st.sampled_from([0, 0o100644, 0o100755, 0o100600, 0o644])
dates = st.tuples(
    st.integers(1980, 2107), st.integers(1, 12), st.integers(1, 28), st.integers(0, 23), st.integers(0, 59), st.integers(0, 29)
)


@st.composite
def members(draw: st.DrawFn) -> list[Part]:
    """Draw members with defects that no reader needs to stumble over."""
    found = []
    for name in draw(st.lists(names, unique=True, max_size=6)):
        content, mode, method = draw(data), draw(modes), draw(st.sampled_from([0, 8]))
        part = Part(name.encode(), content, method, 0 if name.isascii() else 0x800, central={"external": mode << 16})
        match draw(st.sampled_from(["plain", "plain", "comment", "gap", "descriptor", "header"])):
            case "comment":
                part.central["comment"] = b"a comment"
            case "gap":
                part.after = b"a gap"
            case "descriptor":
                part.flags |= 8
                part.after = struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(content), len(part.packed), len(content))
            case "header":
                part.local["crc"] = 1
        found.append(part)
    info = [Part(f"{INFO}/{name}".encode(), text) for name, text in (("WHEEL", b"Wheel-Version: 1.0\n"), ("METADATA", b"Name: demo\n"))]
    return draw(st.permutations([*found, *info, Part(RECORD.encode(), b"")]))


def raw(archive: bytes) -> dict[str, bytes]:
    """Return the compressed bytes by name, found without our reader."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(archive)) as oracle:
        for info in oracle.infolist():
            start = info.header_offset + 30 + sum(struct.unpack_from("<26x2H", archive, info.header_offset))
            found[info.filename] = archive[start : start + info.compress_size]
    return found


@settings(max_examples=300, deadline=None, derandomize=True)
@given(members(), st.dictionaries(names, data, max_size=3), st.randoms(use_true_random=False), st.integers(0, 9), st.booleans())
def test_any_archive(old_parts: list[Part], added: dict[str, bytes], chance: object, level: int, dated: bool) -> None:
    old = zipped(old_parts)
    held = {part.name.decode(): part.data for part in old_parts}
    choose = getattr(chance, "choice")  # noqa: B009 - hypothesis gives it no type
    changes: dict[str, bytes | None] = {
        n: choose([None, b"changed" * 50]) for n in held if not n.startswith(INFO) and choose([True, False])
    }
    changes |= added
    new = repacked(old, changes, level=level, epoch=1_700_000_000 if dated else None)
    wanted = {name: content for name, content in {**held, **changes}.items() if content is not None and name != RECORD}
    with zipfile.ZipFile(io.BytesIO(new.data)) as oracle:
        assert oracle.testzip() is None
        assert {name: oracle.read(name) for name in oracle.namelist() if name != RECORD} == wanted
        order = oracle.namelist()
    before, after = raw(old), raw(new.data)
    assert all(after[name] == before[name] for name in held if name not in changes and name != RECORD)
    old_order = [part.name.decode() for part in old_parts if part.name.decode() in order]
    assert [name for name in order if name in held] == [*sorted(old_order, key=lambda name: (name.startswith(f"{INFO}/"), name == RECORD))]
    found = open_archive(memoryview(new.data), LIMIT)
    assert not [*found.problems, *(problem for one in contents(found) for problem in one.problems)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.whl"
        path.write_bytes(new.data)
        assert gate_problems(path) == []
    assert repacked(new.data, level=level, epoch=1_700_000_000 if dated else None).data == new.data


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(names, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0))))
def test_a_record_is_read_as_it_was_written(rows: list[tuple[str, str, int]]) -> None:
    found, problems = parse_record(record_text(rows, RECORD).encode(), RECORD)
    assert not problems
    assert found is not None
    assert [(row.path, row.size) for row in found] == [*((name, str(size)) for name, _, size in rows), (RECORD, "")]
    assert all(base64.urlsafe_b64decode(f"{row.hash[7:]}=").hex() == sha256 for row, (_, sha256, _) in zip(found, rows, strict=False))
