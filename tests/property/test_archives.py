"""Whatever is done to a wheel's bytes, it is read, with problems or without, or refused with one clear error; and installers agree."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import archive, wheel
from relocator import inflating
from relocator.archives import open_archive
from relocator.containers import open_container
from relocator.errors import ContainerError
from relocator.inflating import contents
from relocator.model import ContainerFacts, Problem
from relocator.python_sources import hints
from relocator.records import parse_record

GOOD = wheel({"demo/__init__.py": b"import os\n" * 30, "demo/_core.so": b"\x7fELF" + bytes(500), "demo.libs/liba.so": b"", "a/b.txt": b"b"})
LIMIT = 1 << 24

Found = tuple[list[tuple[str, str, bytes | None]], list[Problem]]

edits = st.lists(
    st.tuples(
        st.integers(0, len(GOOD) - 1), st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, b"PK\5\6", b"\0\0"]))
    ),
    min_size=1,
    max_size=4,
)


def edited(changes: list[tuple[int, bytes]]) -> bytes:
    data = bytearray(GOOD)
    for offset, new in changes:
        data[offset : offset + len(new)] = new
    return bytes(data)


def read(data: bytes) -> Found | str:
    try:
        found = open_archive(memoryview(data), LIMIT)
        everything = list(contents(found))
    except ContainerError as error:
        return error.message
    for content in everything:
        if content.data is not None:
            assert content.sha256 == hashlib.sha256(content.data[:]).hexdigest()
            assert len(content.data) <= content.member.size
        else:
            assert content.problems
    problems = [*found.problems, *(problem for content in everything for problem in content.problems)]
    return [(c.member.name, c.sha256, None if c.data is None else bytes(c.data[:])) for c in everything], problems


@contextmanager
def plain_zlib(large: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflating, "deflate", None)
        patch.setattr(inflating, "_crc32", zlib.crc32)
        patch.setattr(inflating, "LARGE", large)
        yield


def agrees_with_zipfile(data: bytes, found: Found) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        return [(info.filename, oracle.read(info)) for info in oracle.infolist()] == [(name, plain) for name, _, plain in found[0]]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(edits)
def test_an_edited_wheel(changes: list[tuple[int, bytes]]) -> None:
    data = edited(changes)
    found = read(data)
    assert read(data) == found
    if not isinstance(found, str) and not found[1]:
        assert agrees_with_zipfile(data, found)


def test_the_comparison_with_zipfile_notices_a_difference() -> None:
    found = read(GOOD)
    assert not isinstance(found, str)
    assert agrees_with_zipfile(GOOD, found)
    found[0][0] = ("demo/__init__.py", "", b"other")
    assert not agrees_with_zipfile(GOOD, found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(edits)
def test_the_way_of_inflating_makes_no_difference(changes: list[tuple[int, bytes]]) -> None:
    data = edited(changes)
    found = read(data)
    for large in (LIMIT, -1):
        with plain_zlib(large):
            other = read(data)
        assert other == found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, len(GOOD) - 1))
def test_a_prefix_of_a_wheel_is_refused(size: int) -> None:
    assert isinstance(read(GOOD[:size]), str)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_bytes_around_a_wheel_change_nothing_within(before: bytes, behind: bytes) -> None:
    found, plain = read(before + GOOD + behind), read(GOOD)
    if b"PK" not in before + behind:
        assert not isinstance(found, str)
        assert not isinstance(plain, str)
        assert found[0] == plain[0]
        assert [problem.kind for problem in found[1]] == ["trailing"] * bool(behind) + ["prepended"] * bool(before)


info_files = st.dictionaries(
    st.sampled_from(["METADATA", "WHEEL", "RECORD"]),
    st.one_of(st.binary(max_size=120), st.text("Name: demo\nTagVrsi-,\"'\r\t=0é", max_size=120).map(str.encode)),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(info_files, st.sampled_from(["demo-1.0-py3-none-any.whl", "x.whl", "demo-1.0-1-a.b-c-d-e.whl"]))
def test_any_dist_info_gives_facts(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(archive({f"demo-1.0.dist-info/{key}": data for key, data in files.items()} | {"demo.py": b""}))
    found = facts(path)
    assert found.distributions
    assert {problem.kind for problem in found.problems} <= {"metadata", "record"}


def facts(path: Path) -> ContainerFacts:
    with open_container(str(path)) as container:
        for _ in container.entries():
            pass
        return container.facts()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=200), st.text('ab,"\n\r=\0', max_size=60).map(str.encode)))
def test_any_record_gives_rows_or_a_problem(data: bytes) -> None:
    rows, problems = parse_record(data, "RECORD")
    assert rows is not None or problems
    lines = [row.line for row in rows or ()]
    assert lines == sorted(set(lines))


words = st.sampled_from(
    [
        "CDLL",
        "(",
        ")",
        "os.path.join",
        "__file__",
        "x",
        "=",
        "\n",
        "'a'",
        ",",
        "/",
        "def f():\n ",
        "lambda:",
        "[0]",
        ".parents",
        "f'{x}'",
        "*",
    ]
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(words, max_size=25))
def test_any_source_gives_hints_or_none(parts: list[str]) -> None:
    source = "import os\nCDLL(os.path.join(__file__, x))\n" + "".join(parts)
    for hint in hints("a.py", "/a.py", source.encode()):
        assert hint.call == "cdll"
