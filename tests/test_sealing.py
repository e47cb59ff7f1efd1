"""Putting a new file into a folder: complete and checked, or not at all, whatever the system or a user does meanwhile."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from builders import wheel
from limits import MAY_MOUNT, POSIX, largest_file, reachable, small_disk, unprivileged
from packed import LIMIT, RECORD, copies
from relocator.apply import NotWritten, Source, look_at
from relocator.archives import open_archive
from relocator.errors import ContainerError, InternalError, RelocatorError
from relocator.packing import write_archive
from relocator.sealing import Sealed, copy_of, seal

OLD, NEW = b"the input" * 100, b"the output" * 1000


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "demo.whl"
    path.write_bytes(OLD)
    return look_at(str(path))


def writing(data: bytes = NEW) -> Callable[[BinaryIO], int]:
    return lambda file: file.write(data)


def unchecked(_path: str, _told: object) -> None:
    """Find nothing wrong."""


def sealed(path: Path, source: Source, data: bytes = NEW, *, force: bool = False) -> Sealed:
    return seal(str(path), source, writing(data), unchecked, force=force)[0]


def there(folder: Path) -> dict[str, bytes]:
    """Return everything below a folder, temporary files included."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, call: Callable[[], object]) -> str:
    """Return why nothing was written; nothing may have changed."""
    before, folders = there(folder), sorted(folder.rglob("*"))
    with pytest.raises(NotWritten) as caught:
        call()
    assert (there(folder), sorted(folder.rglob("*"))) == (before, folders)
    assert caught.value.exit_code == 4
    assert caught.value.hint
    return f"{caught.value.message} | {caught.value.hint}"


# ---- what is written


def test_a_file_is_written_into_a_folder_that_is_made(tmp_path: Path, source: Source) -> None:
    target = tmp_path / "a" / "b" / "wheelhouse" / "new name é.whl"
    found = sealed(target, source)
    assert found == Sealed(str(target), hashlib.sha256(NEW).hexdigest(), False)
    assert there(tmp_path / "a") == {"b/wheelhouse/new name é.whl": NEW}
    assert Path(source.path).read_bytes() == OLD


def test_the_check_gets_the_complete_file_and_what_was_told_and_its_answer_is_returned(tmp_path: Path, source: Source) -> None:
    def check(path: str, told: int) -> tuple[bytes, int, bool]:
        assert Path(path).name.startswith(".relocate-")
        assert Path(path).parent == tmp_path / "out"
        return Path(path).read_bytes(), told, (tmp_path / "out" / "x.whl").exists()

    _, seen = seal(str(tmp_path / "out" / "x.whl"), source, writing(), check)
    assert seen == (NEW, len(NEW), False)


def test_a_path_without_a_folder_lies_in_the_current_one(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sealed(Path("x.whl"), source).path == "x.whl"
    assert (tmp_path / "x.whl").read_bytes() == NEW


@POSIX
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_file_has_the_mode_that_any_new_file_gets(tmp_path: Path, source: Source, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        sealed(tmp_path / "x.whl", source)
    finally:
        os.umask(before)
    assert (tmp_path / "x.whl").stat().st_mode & 0o777 == mode


def test_the_input_can_be_copied_as_it_is(tmp_path: Path, source: Source) -> None:
    found, _ = seal(str(tmp_path / "out" / "demo.whl"), source, copy_of(source), unchecked)
    assert there(tmp_path / "out") == {"demo.whl": OLD}
    assert (found.sha256, found.present) == (hashlib.sha256(OLD).hexdigest(), False)
    assert not (tmp_path / "out" / "demo.whl").samefile(source.path)


# ---- what is there already


def test_the_same_bytes_are_success_and_are_left_alone(tmp_path: Path, source: Source) -> None:
    path = tmp_path / "x.whl"
    sealed(path, source)
    before = path.stat()
    for force in (False, True):
        assert sealed(path, source, force=force).present
    assert path.stat().st_ino == before.st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "x.whl"]


@pytest.mark.parametrize("other", [b"", NEW[:-1] + b"X", NEW + b"more"])
def test_other_bytes_stay_unless_forced(tmp_path: Path, source: Source, other: bytes) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(other)
    told = refused(tmp_path, lambda: sealed(path, source))
    assert "is there already, with other bytes | add --force" in told
    assert not sealed(path, source, force=True).present
    assert path.read_bytes() == NEW


def test_nothing_is_checked_when_other_bytes_must_stay(tmp_path: Path, source: Source) -> None:
    (tmp_path / "x.whl").write_bytes(b"other")

    def never(_path: str, _told: object) -> None:
        pytest.fail("checked")

    refused(tmp_path, lambda: seal(str(tmp_path / "x.whl"), source, writing(), never))


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_stays(tmp_path: Path, source: Source, force: bool) -> None:
    (tmp_path / "x.whl").mkdir()
    assert "is there already and is no file" in refused(tmp_path, lambda: sealed(tmp_path / "x.whl", source, force=force))


@POSIX
@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_or_a_link_to_nothing_stays(tmp_path: Path, source: Source, force: bool) -> None:
    os.mkfifo(tmp_path / "x.whl")
    (tmp_path / "y.whl").symlink_to("nowhere")
    for name in ("x.whl", "y.whl"):
        assert "is no file" in refused(tmp_path, lambda name=name: sealed(tmp_path / name, source, force=force))  # type: ignore[misc]


# ---- never in place


@pytest.mark.parametrize("force", [False, True])
def test_the_input_is_never_replaced(tmp_path: Path, source: Source, force: bool) -> None:
    for path in (Path(source.path), tmp_path / "in" / ".." / "in" / "demo.whl"):
        assert "is the input itself" in refused(tmp_path, lambda path=path: sealed(path, source, OLD, force=force))  # type: ignore[misc]


@POSIX
def test_the_input_is_known_under_other_names(tmp_path: Path, source: Source) -> None:
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "link.whl").symlink_to("in/demo.whl")
    os.link(source.real, tmp_path / "hard.whl")
    now = look_at(source.path)
    for name in ("link/demo.whl", "link.whl", "hard.whl"):
        assert "is the input itself" in refused(tmp_path, lambda name=name: sealed(tmp_path / name, now, force=True))  # type: ignore[misc]


def test_the_input_is_known_where_case_does_not_count(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "IN" / "DEMO.whl"
    if not other.exists():  # then this disk tells them apart, and a disk that does not is imitated
        plain = Path.stat

        def folding(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
            return plain(Path(source.real) if str(self).lower() == source.real.lower() else self, follow_symlinks=follow_symlinks)

        monkeypatch.setattr(Path, "stat", folding)
    assert "is the input itself" in refused(tmp_path, lambda: sealed(other, source, force=True))


def test_an_input_that_changes_meanwhile_is_refused(tmp_path: Path, source: Source) -> None:
    def meddle(_path: str, _told: object) -> None:
        Path(source.real).write_bytes(OLD + b"more")

    with pytest.raises(NotWritten, match="was changed by somebody else"):
        seal(str(tmp_path / "out" / "x.whl"), source, writing(), meddle)
    assert not (tmp_path / "out").exists()


def test_an_input_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="there is no such file"):
        look_at(str(tmp_path / "nowhere.whl"))


# ---- what the system refuses


def test_a_file_where_the_folder_should_be(tmp_path: Path, source: Source) -> None:
    (tmp_path / "wheelhouse").write_bytes(b"a file")
    for path in (tmp_path / "wheelhouse" / "x.whl", tmp_path / "wheelhouse" / "deeper" / "x.whl"):
        told = refused(tmp_path, lambda path=path: sealed(path, source))  # type: ignore[misc]
        assert told.startswith(f"{tmp_path / 'wheelhouse'} is no folder | name another")


def test_names_that_no_system_takes(tmp_path: Path, source: Source) -> None:
    assert "too long" in refused(tmp_path, lambda: sealed(tmp_path / "out" / ("x" * 300), source))
    assert "NUL" in refused(tmp_path, lambda: seal(str(tmp_path / "a\0b" / "x.whl"), source, writing(), unchecked))


@POSIX
def test_a_folder_in_which_nothing_may_be_made(tmp_path: Path, source: Source) -> None:
    reachable(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o555)

    def check() -> str:
        told = []
        for path in (tmp_path / "out" / "x.whl", tmp_path / "out" / "deeper" / "x.whl"):
            try:
                sealed(path, source)
            except RelocatorError as error:
                told.append(f"{error.exit_code} {error.message.replace(str(tmp_path), '')} | {error.hint}")
        return "\n".join(told)

    one, two = unprivileged(check).splitlines()
    assert one == "4 cannot write /out/x.whl: permission denied | name a folder with `-w DIR` in which you may make files"
    assert two.startswith("4 cannot write /out/deeper: permission denied")
    assert there(tmp_path / "out") == {}


@POSIX
def test_a_file_that_becomes_too_large(tmp_path: Path, source: Source) -> None:
    with largest_file(1 << 20):
        told = refused(tmp_path, lambda: sealed(tmp_path / "out" / "x.whl", source, bytes(2 << 20)))
    assert told.startswith("no room for ")
    assert "x.whl: file too large | free some space" in told


@MAY_MOUNT
def test_a_full_disk(tmp_path: Path, source: Source) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", 64):
        told = refused(tmp_path, lambda: sealed(tmp_path / "disk" / "out" / "x.whl", source, random.Random(1).randbytes(100_000)))
        assert "x.whl: no space left on device | free some space" in told
        sealed(tmp_path / "disk" / "out" / "x.whl", source)
        assert there(tmp_path / "disk") == {"out/x.whl": NEW}


def test_a_disk_that_fails_when_the_file_is_renamed(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", fail)
    assert "cannot write" in refused(tmp_path, lambda: sealed(tmp_path / "out" / "x.whl", source))


# ---- interrupted


@pytest.mark.parametrize("error", [KeyboardInterrupt, InternalError, ZeroDivisionError, SystemExit])
@pytest.mark.parametrize("moment", ["write", "check"])
def test_whatever_is_raised_leaves_nothing(tmp_path: Path, source: Source, error: type[BaseException], moment: str) -> None:
    def write(file: BinaryIO) -> None:
        file.write(NEW)
        if moment == "write":
            raise error("wrong")

    def check(_path: str, _told: None) -> None:
        raise error("wrong")

    (tmp_path / "kept").mkdir()
    for folder in (tmp_path / "made" / "deeper", tmp_path / "kept"):
        with pytest.raises(error):
            seal(str(folder / "x.whl"), source, write, check)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "kept"]
    assert there(tmp_path) == {"in/demo.whl": OLD}


def test_a_folder_that_somebody_else_uses_meanwhile_stays(tmp_path: Path, source: Source) -> None:
    def check(_path: str, _told: int) -> None:
        (tmp_path / "out" / "other.whl").write_bytes(b"other")
        raise InternalError("wrong")

    with pytest.raises(InternalError):
        seal(str(tmp_path / "out" / "x.whl"), source, writing(), check)
    assert there(tmp_path / "out") == {"other.whl": b"other"}


SLOWLY = """
import sys, time
from relocator.apply import look_at
from relocator.sealing import seal
path, out = sys.argv[1:]
def write(file):
    print("begun", flush=True)
    for n in range(400):
        file.write(bytes([n % 256]) * 10_000)
        file.flush()
        time.sleep(0.0005)
seal(out, look_at(path), write, lambda *_: time.sleep(0.05))
print("done", flush=True)
"""


@POSIX
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_process_that_is_killed_leaves_no_output(tmp_path: Path, source: Source, how: str) -> None:
    chance, out = random.Random(how), tmp_path / "out" / "x.whl"
    whole = b"".join(bytes([n % 256]) * 10_000 for n in range(400))
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", SLOWLY, source.path, str(out)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(chance.random() * 0.3)
            process.send_signal(getattr(signal, how))
            done = process.stdout.read() == "done\n"
        assert out.exists() or not done
        if out.exists():  # killed between its renaming and its end
            assert out.read_bytes() == whole
            out.unlink()
        assert Path(source.path).read_bytes() == OLD
        if how == "SIGINT":
            assert not out.parent.exists() or there(out.parent) == {}
    sealed(out, source)
    assert out.read_bytes() == NEW
    assert [path.name for path in out.parent.iterdir() if not path.name.startswith(".relocate-")] == ["x.whl"]


# ---- with an archive


def test_an_archive_is_written_and_sealed(tmp_path: Path) -> None:
    (tmp_path / "old.whl").write_bytes(wheel({"demo/a.py": b"a = 1\n"}))
    data = (tmp_path / "old.whl").read_bytes()
    old = open_archive(memoryview(data), LIMIT)
    found, names = seal(
        str(tmp_path / "out" / "new.whl"),
        look_at(str(tmp_path / "old.whl")),
        lambda file: write_archive(file, old, copies(old), RECORD),
        lambda _, packed: [one.name for one in packed],
    )
    assert names[0] == "demo/a.py"
    assert found.sha256 == hashlib.sha256((tmp_path / "out" / "new.whl").read_bytes()).hexdigest()
