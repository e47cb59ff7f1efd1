"""Wheels: what their names, their .dist-info folders and their layout say."""

import io
import zipfile
from pathlib import Path

import pytest

from builders import SITE, archive, record_hash, wheel
from relocator.containers import open_container
from relocator.containers.wheel import parse_wheel_name
from relocator.errors import ContainerError
from relocator.model import PREFIX, ContainerFacts, Distribution, Member, RecordRow
from zip_bytes import Part, zipped

NAME = "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
INFO = "demo-1.0.dist-info"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_17_x86_64\n"


def facts(tmp_path: Path, data: bytes, name: str = NAME) -> ContainerFacts:
    path = tmp_path / name
    path.write_bytes(data)
    with open_container(str(path)) as container:
        for _ in container.entries():
            pass
        return container.facts()


def messages(found: ContainerFacts, kind: str = "metadata") -> list[str]:
    return [problem.message for problem in found.problems if problem.kind == kind]


def paths(tmp_path: Path, *members: str) -> list[str]:
    path = tmp_path / NAME
    path.write_bytes(archive(dict.fromkeys(members, b"x")))
    with open_container(str(path)) as container:
        return [entry.path for entry in container.entries()]


# ---- file names


@pytest.mark.parametrize(
    ("name", "version", "build", "tags", "variant"),
    [
        ("demo-1.0-py3-none-any.whl", "1.0", "", ["py3-none-any"], None),
        ("demo-1.0-2-py3-none-any.whl", "1.0", "2", ["py3-none-any"], None),
        ("demo-1.0-1abc-py3-none-any.whl", "1.0", "1abc", ["py3-none-any"], None),
        ("demo-2.13.0+cpu-cp311-cp311-linux_x86_64.whl", "2.13.0+cpu", "", ["cp311-cp311-linux_x86_64"], None),
        ("demo-1.0-py2.py3-none-any.whl", "1.0", "", ["py2-none-any", "py3-none-any"], None),
        (
            "demo-1.0-cp313.cp314-abi3.abi3t-win32.win_amd64.whl",
            "1.0",
            "",
            [f"{p}-{a}-{w}" for p in ("cp313", "cp314") for a in ("abi3", "abi3t") for w in ("win32", "win_amd64")],
            None,
        ),
        ("demo-1.0-cp312-cp312-linux_x86_64-x86_64_v3.whl", "1.0", "", ["cp312-cp312-linux_x86_64"], "x86_64_v3"),
        ("demo-1.0-7-cp312-cp312-linux_x86_64-cu12.8.whl", "1.0", "7", ["cp312-cp312-linux_x86_64"], "cu12.8"),
        ("demo-1.0-cp313-cp313-ios_13_0_arm64_iphoneos.whl", "1.0", "", ["cp313-cp313-ios_13_0_arm64_iphoneos"], None),
        ("demo-1.0-cp313-cp313-pyemscripten_2026_0_wasm32.whl", "1.0", "", ["cp313-cp313-pyemscripten_2026_0_wasm32"], None),
        ("demo-1.0-any-words-whatever.whl", "1.0", "", ["any-words-whatever"], None),
    ],
)
def test_a_wheels_name(name: str, version: str, build: str, tags: list[str], variant: str | None) -> None:
    assert parse_wheel_name(name) == ("demo", version, build, tuple(tags), variant)


@pytest.mark.parametrize(
    "name",
    [
        "demo.whl",
        "demo-1.0-py3-none.whl",
        "demo-1.0-py3-none-any.zip",
        "demo-1.0-py3-none-any-UPPER.whl",
        "demo-1.0--py3-none-any.whl",
        "demo-1.0-1-2-py3-none-any-a.whl",
        "demo-1.0-1-py3-none-any-a-b.whl",
        "demo-1.0-py3.-none-any.whl",
    ],
)
def test_what_is_no_wheels_name(name: str) -> None:
    assert parse_wheel_name(name) is None


def test_a_wrong_name_is_a_problem_of_a_wheel_that_is_read_all_the_same(tmp_path: Path) -> None:
    found = facts(tmp_path, wheel({"demo/a.py": b""}), "demo (1).whl")
    assert messages(found) == ["has a file name that is none of a wheel, NAME-VERSION-PYTHON-ABI-PLATFORM.whl: demo (1).whl"]
    assert (found.tags, found.dist_info, found.distributions[0].name) == ((), INFO, "demo")
    assert found.declared_tags == ("cp312-cp312-manylinux_2_17_x86_64",)


# ---- contents


def test_a_good_wheel(tmp_path: Path) -> None:
    found = facts(tmp_path, wheel({"demo/a.py": b"a = 1\n"}))
    assert found.problems == ()
    assert found.kind == "wheel"
    assert found.subject == str(tmp_path / NAME)
    assert found.distributions == (Distribution("demo", "1.0", (), SITE),)
    assert found.tags == found.declared_tags == ("cp312-cp312-manylinux_2_17_x86_64",)
    assert (found.purelib, found.variant, found.dist_info) == (False, None, INFO)
    assert found.members[0] == Member("demo/a.py", 6, 0o100644, found.members[0].sha256)
    assert found.record is not None
    assert found.record[0] == RecordRow("demo/a.py", record_hash(b"a = 1\n"), "6", 1)


def test_every_member_has_the_hash_that_record_gives_it(tmp_path: Path) -> None:
    found = facts(tmp_path, wheel({f"demo/{n}.py": bytes(n) for n in range(50)}))
    hashes = {member.name: member.sha256 for member in found.members}
    for row in found.record or ():
        if row.hash:
            assert row.hash == record_hash_of(hashes[row.path])


def record_hash_of(sha256: str) -> str:
    import base64

    return "sha256=" + base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()


def test_wheel_is_a_list_of_lines_in_which_names_repeat(tmp_path: Path) -> None:
    lines = b"Wheel-Version: 1.0\r\nGenerator: a\r\nGenerator: b\r\nroot-is-purelib: TRUE\r\nTag: py3-none-any\r\nTag: py2-none-any\r\n"
    found = facts(tmp_path, wheel({f"{INFO}/WHEEL": lines}))
    assert (found.purelib, found.declared_tags) == (True, ("py3-none-any", "py2-none-any"))


def test_metadata_gives_name_version_and_requirements(tmp_path: Path) -> None:
    text = (
        b"Metadata-Version: 2.4\nName: Demo.X\nSummary: one\n  two\nVersion: 1.0.0\n"
        b"Requires-Dist: numpy>=2 ;\n        python_version > '3'\nRequires-Dist: scipy\n\nRequires-Dist: no, this is the description\n"
    )
    found = facts(tmp_path, wheel({f"{INFO}/METADATA": text}))
    assert found.distributions == (Distribution("Demo.X", "1.0.0", ("numpy>=2 ; python_version > '3'", "scipy"), SITE),)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"demo/a.py": b""}, ["has no .dist-info folder"]),
        ({f"{INFO}/WHEEL": WHEEL}, ["is missing"]),
        ({f"{INFO}/METADATA": METADATA}, ["is missing"]),
        ({f"{INFO}/METADATA": b"Name: demo\n", f"{INFO}/WHEEL": WHEEL}, ["has no Version"]),
        ({f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": b"Tag: x\n"}, ["has no Wheel-Version"]),
        ({f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": b"Wheel-Version: 2.0\n"}, ["has Wheel-Version 2.0, which installers refuse"]),
        (
            {f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL, "other-1.dist-info/WHEEL": WHEEL},
            [f"has 2 .dist-info folders: {INFO}, other-1.dist-info"],
        ),
        (
            {"other-1.dist-info/METADATA": METADATA, "other-1.dist-info/WHEEL": WHEEL},
            ["is not that of demo, which the file is named for"],
        ),
        (
            {f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL, "demo-1.0.data/lib/x": b"", "demo-1.0.data/lib/y": b""},
            ["is a place that installers do not know"],
        ),
    ],
)
def test_what_is_wrong_with_dist_info(tmp_path: Path, files: dict[str, bytes], expected: list[str]) -> None:
    found = facts(tmp_path, archive(files))
    assert messages(found) == expected
    assert found.record is None


def test_of_two_dist_info_folders_the_one_that_the_file_is_named_for_counts(tmp_path: Path) -> None:
    found = facts(tmp_path, archive({"other-1.dist-info/METADATA": b"Name: other\n", f"{INFO}/METADATA": METADATA}))
    assert (found.dist_info, found.distributions[0].name) == (INFO, "demo")


def test_a_record_that_is_no_text_is_told(tmp_path: Path) -> None:
    found = facts(tmp_path, wheel({f"{INFO}/RECORD": b"caf\xe9,,\n"}))
    assert found.record is None
    assert messages(found, "record") == ["is not UTF-8: byte 3 is 0xe9"]


def test_a_record_that_cannot_be_read_is_not_an_absent_one(tmp_path: Path) -> None:
    parts = [
        Part(f"{INFO}/METADATA".encode(), METADATA),
        Part(f"{INFO}/WHEEL".encode(), WHEEL),
        Part(f"{INFO}/RECORD".encode(), b"x", flags=1),
    ]
    found = facts(tmp_path, zipped(parts))
    assert [problem.kind for problem in found.problems] == ["encrypted", "record"]


def test_links_special_files_and_full_folders_are_told(tmp_path: Path) -> None:
    parts = [
        Part(b"demo/liba.so", b"liba.so.1", central={"external": 0o120777 << 16}),
        Part(b"demo/pipe", b"", central={"external": 0o010644 << 16}),
        Part(b"demo/data/", b"data"),
        Part(b"demo/dos", b"", central={"external": 0x20}),
    ]
    found = facts(tmp_path, zipped(parts))
    told = [(p.kind, p.member) for p in found.problems if p.kind != "metadata"]
    assert told == [("symlink", "demo/liba.so"), ("special", "demo/pipe"), ("special", "demo/data/")]
    assert next(p.message for p in found.problems if p.kind == "symlink") == "leads to liba.so.1"
    assert [member.name for member in found.members] == ["demo/liba.so", "demo/pipe", "demo/dos"]


# ---- layout


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ("demo/_core.so", f"{SITE}/demo/_core.so"),
        ("demo.libs/liba.so", f"{SITE}/demo.libs/liba.so"),
        ("demo-1.0.data/purelib/demo/a.so", f"{SITE}/demo/a.so"),
        ("demo-1.0.data/platlib/demo/a.so", f"{SITE}/demo/a.so"),
        ("demo-1.0.data/scripts/tool", f"{PREFIX}/bin/tool"),
        ("demo-1.0.data/data/lib/liba.so", f"{PREFIX}/lib/liba.so"),
        ("demo-1.0.data/headers/a.h", f"{PREFIX}/include/demo/a.h"),
        ("demo-1.0.data/other/a", f"{SITE}/demo-1.0.data/other/a"),
        ("demo.data", f"{SITE}/demo.data"),
    ],
)
def test_where_a_member_lies_once_installed(tmp_path: Path, member: str, path: str) -> None:
    assert paths(tmp_path, member) == [path]


# ---- opening


def test_a_wheel_by_another_name_is_opened(tmp_path: Path) -> None:
    assert facts(tmp_path, wheel({}), "demo.zip").kind == "wheel"


@pytest.mark.parametrize(
    ("name", "data", "message", "hint"),
    [
        ("demo.zip", archive({"a.txt": b"x"}), "is a zip archive and no wheel", "unpack it"),
        ("demo-1.0-py3-none-any.whl", b"<!DOCTYPE html>", "web page", "fetch it again"),
        ("demo-1.0-py3-none-any.whl", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "fetch it again"),
        ("demo-1.0-py3-none-any.whl", b"hello", "is not a zip archive", "again"),
        ("demo-1.0-py3-none-any.whl", wheel({})[:-40], "cut off", "again"),
        ("demo-1.0-py3-none-any.whl", b"", "is empty", "again"),
        ("demo-1.0.tar.gz", b"\x1f\x8b", "source distribution", "pip wheel"),
        ("demo-1.0-0.tar.bz2", b"BZh9", "conda package", "tar -xf"),
        ("demo-1.0-0.conda", archive({"metadata.json": b"{}"}), "is a conda package", "cph extract"),
        ("demo.egg", archive({"EGG-INFO/PKG-INFO": b""}), "is an egg", "unzip"),
        ("demo.rpm", b"x", "is an RPM package", "rpm2cpio"),
        ("demo.deb", b"x", "is a Debian package", "dpkg-deb"),
        ("demo", b"\x1f\x8b\x08", "compressed by gzip", "tar -xf"),
        ("demo", b"\xfd7zXZ\0", "compressed by xz", "tar -xf"),
    ],
)
def test_what_is_not_opened_says_what_it_is_and_what_to_do(tmp_path: Path, name: str, data: bytes, message: str, hint: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ContainerError) as caught:
        open_container(str(path))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_wheel_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(wheel({"demo/a": bytes(5000)}))
    with pytest.raises(ContainerError, match="more than the 5,000 allowed"):
        open_container(str(tmp_path / NAME), max_size=5000)


def test_the_file_is_closed_and_nothing_is_written(tmp_path: Path) -> None:
    facts(tmp_path, wheel({"demo/a.py": b"x"}))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_wheel_written_to_a_pipe_is_read_and_told() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, piece: object) -> int:
            self.data += bytes(piece)  # type: ignore[call-overload]
            return len(bytes(piece))  # type: ignore[call-overload]

    from relocator.archives import open_archive
    from relocator.inflating import contents

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.txt", b"text" * 100)
    (content,) = contents(open_archive(memoryview(bytes(pipe.data)), 1 << 20))
    assert content.data is not None
    assert bytes(content.data[:]) == b"text" * 100
    assert [problem.kind for problem in content.problems] == ["descriptor"]


@pytest.mark.parametrize(
    ("entry_points", "expected"),
    [
        (b"[console_scripts]\ntool = demo:main\n[demo.plugins]\na b = demo:x\n", []),
        (b"[console_scripts]\nbad name = demo:main\n", ["has a script called 'bad name'"]),
        (b"tool = demo:main\n", ["cannot be parsed"]),
        (b"[console_scripts]\ntool: demo:main\n", ["cannot be parsed"]),
        (b"[console_scripts]\ntool = a:b\ntool = c:d\n", ["cannot be parsed"]),
        (b"[console_scripts]\ncaf\xe9 = demo:main\n", ["is not UTF-8"]),
        (b"", []),
    ],
)
def test_entry_points_that_the_index_refuses_are_told(tmp_path: Path, entry_points: bytes, expected: list[str]) -> None:
    found = facts(tmp_path, wheel({f"{INFO}/entry_points.txt": entry_points}))
    told = [problem for problem in found.problems if problem.kind == "entry-points"]
    assert [problem.message.startswith(text) for problem, text in zip(told, expected, strict=True)] == [True] * len(expected)
    assert {problem.member for problem in told} <= {f"{INFO}/entry_points.txt"}


NOTICE = f"{INFO}/licenses/docs/NOTICE"


@pytest.mark.parametrize(("version", "missing"), [("2.4", [NOTICE]), ("2.10", [NOTICE]), ("2.1", []), ("", []), ("x", [])])
def test_license_files_that_are_not_there_are_told_once_they_have_a_place(tmp_path: Path, version: str, missing: list[str]) -> None:
    headers = f"Metadata-Version: {version}\nName: demo\nVersion: 1.0\nLicense-File: LICENSE\nLicense-File: docs/NOTICE\n"
    found = facts(tmp_path, wheel({f"{INFO}/METADATA": headers.encode(), f"{INFO}/licenses/LICENSE": b"free"}))
    assert [problem.member for problem in found.problems if problem.kind == "license-file"] == missing
