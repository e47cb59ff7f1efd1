"""Folders and single files: what lies where, where links lead, and what could not be looked at."""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from builders import wheel
from relocator.containers import open_container
from relocator.errors import ContainerError
from relocator.files import FileBuffer
from relocator.model import ContainerFacts


def look(path: Path) -> tuple[ContainerFacts, dict[str, tuple[str, bytes]]]:
    """Return the facts, and each member's path and bytes."""
    with open_container(str(path)) as container:
        found = {entry.member.name: (entry.path, bytes(entry.data[:]) if entry.data else b"") for entry in container.entries()}
        return container.facts(), found


def tree(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def kinds(facts: ContainerFacts) -> list[tuple[str, str]]:
    return [(problem.kind, problem.member) for problem in facts.problems]


# ---- folders


def test_files_are_listed_in_order_at_their_real_places(tmp_path: Path) -> None:
    facts, found = look(tree(tmp_path, "pkg/sub/b.so", "pkg/a.so", "z.py", "pkg/c.so"))
    assert list(found) == ["z.py", "pkg/a.so", "pkg/c.so", "pkg/sub/b.so"]
    assert found["pkg/a.so"] == (f"{tmp_path}/pkg/a.so", b"pkg/a.so")
    assert (facts.kind, facts.subject, facts.root, facts.problems) == ("folder", str(tmp_path), str(tmp_path), ())
    assert [member.name for member in facts.members] == list(found)
    assert {member.sha256 for member in facts.members} == {""}


def test_a_relative_folder_has_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "pkg/a.so")
    monkeypatch.chdir(tmp_path)
    facts, found = look(Path("pkg"))
    assert found == {"a.so": (f"{tmp_path}/pkg/a.so", b"pkg/a.so")}
    assert (facts.subject, facts.root) == ("pkg", f"{tmp_path}/pkg")


def test_a_link_to_a_file_inside_is_a_link(tmp_path: Path) -> None:
    tree(tmp_path, "lib/libz.so.1.2")
    (tmp_path / "lib/libz.so.1").symlink_to("libz.so.1.2")
    facts, found = look(tmp_path)
    assert list(found) == ["lib/libz.so.1.2"]
    assert facts.links == ((f"{tmp_path}/lib/libz.so.1", f"{tmp_path}/lib/libz.so.1.2"),)


def test_a_link_to_a_folder_inside_shows_its_files_twice(tmp_path: Path) -> None:
    tree(tmp_path, "lib/a/x.so", "lib/y.so", "library/z.so")
    (tmp_path / "lib64").symlink_to("lib")
    facts, found = look(tmp_path)
    assert list(found) == ["lib/y.so", "lib/a/x.so", "library/z.so"]
    links = {(f"{tmp_path}/lib64/{name}", f"{tmp_path}/lib/{name}") for name in ("a/x.so", "y.so")}
    assert (set(facts.links), facts.problems) == (links, ())


def test_a_link_that_leads_out_stands_for_what_it_leads_to(tmp_path: Path) -> None:
    tree(tmp_path / "out", "a.so", "deep/b.so")
    inside = tree(tmp_path / "in", "c.so")
    (inside / "a.so").symlink_to(tmp_path / "out/a.so")
    (inside / "deep").symlink_to(tmp_path / "out/deep")
    facts, found = look(inside)
    assert found == {
        "a.so": (f"{inside}/a.so", b"a.so"),
        "c.so": (f"{inside}/c.so", b"c.so"),
        "deep/b.so": (f"{inside}/deep/b.so", b"deep/b.so"),
    }
    assert (facts.links, facts.problems) == ((), ())


def test_what_contains_itself_is_left_out(tmp_path: Path) -> None:
    inside = tree(tmp_path / "in", "a/x.so")
    (inside / "a/up").symlink_to("..")
    (inside / "a/self").symlink_to("self")
    (inside / "out").symlink_to(tmp_path)
    facts, found = look(inside)
    assert list(found) == ["a/x.so"]
    assert kinds(facts) == [("loop", "out"), ("loop", "a/self"), ("loop", "a/up")]


def test_two_folders_outside_that_lead_to_each_other_end(tmp_path: Path) -> None:
    tree(tmp_path, "one/x", "two/y", "in/z")
    (tmp_path / "one/two").symlink_to(tmp_path / "two")
    (tmp_path / "two/one").symlink_to(tmp_path / "one")
    (tmp_path / "in/one").symlink_to(tmp_path / "one")
    facts, found = look(tmp_path / "in")
    assert list(found) == ["z", "one/x", "one/two/y"]
    assert facts.problems == ()


def test_a_link_to_nothing_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "gone.so").symlink_to("nowhere.so")
    facts, found = look(tmp_path)
    assert (found, facts.links, facts.problems) == ({}, (), ())


def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        facts, found = look(tmp_path)
    assert (found, kinds(facts)) == ({}, [("special", "pipe"), ("special", "socket")])


def test_what_must_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/secret.so", "b.so", "locked/c.so")
    listdir: Callable[[str], list[str]] = os.listdir

    def guarded(path: str) -> list[str]:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    class Guarded(FileBuffer):
        def __init__(self, path: str) -> None:
            if "secret" in path:
                raise PermissionError(13, "Permission denied", path)
            super().__init__(path)

    monkeypatch.setattr(os, "listdir", guarded)
    monkeypatch.setattr("relocator.containers.directory.FileBuffer", Guarded)
    facts, found = look(tmp_path)
    assert list(found) == ["b.so"]
    assert facts.problems == (("permission", "a/secret.so", "Permission denied"), ("permission", "locked", "Permission denied"))


def test_a_name_that_is_no_text_can_be_encoded_back(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.so"
    Path(os.fsdecode(name)).write_bytes(b"x")
    _, found = look(tmp_path)
    ((member, (path, data)),) = found.items()
    assert (os.fsencode(member), os.fsencode(path), data) == (b"caf\xe9.so", name, b"x")


def test_the_projects_installed_in_a_folder_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "site/demo/_core.so")
    info = tmp_path / "site/demo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: demo\nVersion: 1.0\nRequires-Dist: numpy\n")
    facts, _ = look(tmp_path)
    assert [(d.name, d.version, d.requires, d.root) for d in facts.distributions] == [("demo", "1.0", ("numpy",), f"{tmp_path}/site")]


def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    facts, found = look(tmp_path)
    assert (found, facts.members, facts.distributions) == ({}, (), ())


def test_a_deep_folder_needs_no_recursion(tmp_path: Path) -> None:
    here = tmp_path
    for _ in range(400):
        here = here / "d"
        here.mkdir()
    (here / "x").write_bytes(b"x")
    _, found = look(tmp_path)
    assert list(found) == ["d/" * 400 + "x"]


# ---- single files and what is none


def test_a_single_file(tmp_path: Path) -> None:
    tree(tmp_path, "lib/liba.so")
    facts, found = look(tmp_path / "lib/liba.so")
    assert found == {"liba.so": (f"{tmp_path}/lib/liba.so", b"lib/liba.so")}
    assert (facts.kind, facts.root, facts.distributions) == ("file", f"{tmp_path}/lib", ())


def test_a_link_to_a_file_is_the_file(tmp_path: Path) -> None:
    tree(tmp_path, "lib/liba.so.1")
    (tmp_path / "liba.so").symlink_to("lib/liba.so.1")
    _, found = look(tmp_path / "liba.so")
    assert found == {"liba.so": (f"{tmp_path}/lib/liba.so.1", b"lib/liba.so.1")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.touch(), "is empty"),
        (os.mkfifo, "is a named pipe"),
        (lambda path: path.symlink_to(path.name), "cannot be opened"),
        (lambda path: path.symlink_to("nothing"), "does not exist"),
        (lambda path: path.symlink_to("/dev/null"), "is a device"),
    ],
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(ContainerError) as caught:
        open_container(str(tmp_path / "x"))
    assert message in caught.value.message
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("path", "hint"), [("/no/such/x", "/no/such does not exist either"), ("*.whl", "pattern"), ("", "slip")])
def test_an_absent_path_gives_advice(path: str, hint: str) -> None:
    with pytest.raises(ContainerError) as caught:
        open_container(path)
    assert hint in caught.value.hint


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(ContainerError, match="cannot be opened"):
        open_container("a\0b")


def test_a_path_that_must_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: str) -> Sequence[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", forbidden)
    with pytest.raises(ContainerError, match="must not be read"):
        open_container(str(tmp_path))


# ---- reading files


def test_regions_are_those_of_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256))
    (tmp_path / "x").write_bytes(data)
    with FileBuffer(str(tmp_path / "x")) as buffer:
        assert len(buffer) == 256
        for region in (slice(0, 10), slice(250, 300), slice(300, 400), slice(None), slice(20, 10), slice(-5, None), slice(3, 3)):
            assert buffer[region] == data[region]
        with pytest.raises(ValueError, match="step 1"):
            buffer[::2]


def test_regions_without_positioned_reads_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relocator.files._PREAD", None)  # as on Windows
    test_regions_are_those_of_the_bytes(tmp_path)


def test_a_file_that_shrinks_gives_less(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    with FileBuffer(str(tmp_path / "x")) as buffer:
        os.truncate(tmp_path / "x", 10)
        assert (len(buffer), len(buffer[0:100])) == (100, 10)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        FileBuffer(str(tmp_path))


def test_an_unpacked_wheel_has_its_projects_name(tmp_path: Path) -> None:
    import io
    import zipfile

    zipfile.ZipFile(io.BytesIO(wheel({"demo/a.py": b""}))).extractall(tmp_path)
    facts, found = look(tmp_path)
    assert [(d.name, d.root) for d in facts.distributions] == [("demo", str(tmp_path))]
    assert "demo/a.py" in found
