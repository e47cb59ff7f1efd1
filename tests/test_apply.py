"""Writing: everything or nothing, with what a file has beside its bytes, and back again."""

import errno
import hashlib
import json
import os
import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from limits import MAY_MOUNT, POSIX, ROOT, largest_file, reachable, small_disk, unprivileged
from relocator import apply
from relocator.apply import Job, NotWritten, carry_out, check_distinct, examine, undo
from relocator.errors import ContainerError, InternalError, RelocatorError, UsageError
from relocator.journal import Entry, Saved, dumped, inverse, loaded, restored
from relocator.plans import Move, Patch, Patchset, apply_patches

OLD = b"0123456789" * 100


def trust(old: bytes, new: bytes) -> tuple[str, ...]:
    return ("trusted",)


def patchset(old: bytes = OLD, offset: int = 10, new: bytes = b"new bytes", size: int | None = None) -> Patchset:
    after = len(old) if size is None else size
    return Patchset(len(old), after, (Patch(offset, old[offset : offset + len(new)], new, "test"),))


def expected(old: bytes, changes: Patchset) -> bytes:
    return bytes(apply_patches(old, changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "place"
    path.mkdir()
    for name in "ab":
        (path / name).write_bytes(OLD)
    return path


def job(path: Path, changes: Patchset | None = None, **fields: Any) -> Job:
    chosen = patchset() if changes is None else changes
    return Job(examine(str(path), output=fields.get("output", "")), chosen, fields.pop("verify", trust), **fields)


def contents(folder: Path) -> dict[str, bytes]:
    """Return everything in a folder, temporary files that were left over included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def untouched(folder: Path) -> bool:
    return contents(folder) == {"a": OLD, "b": OLD}


# ---- what is written


def test_a_file_is_replaced_by_a_new_one(folder: Path) -> None:
    before = (folder / "a").stat()
    (written,) = carry_out([job(folder / "a")])
    assert contents(folder) == {"a": expected(OLD, patchset()), "b": OLD}
    assert (folder / "a").stat().st_ino != before.st_ino
    assert written.verified == ("trusted",)
    assert written.sha256_before != written.sha256_after


@POSIX
def test_mode_and_times_are_kept(folder: Path) -> None:
    (folder / "a").chmod(0o4755)
    os.utime(folder / "a", ns=(1_000_000_001, 2_000_000_003))
    carry_out([job(folder / "a")])
    now = (folder / "a").stat()
    assert (now.st_mode & 0o7777, now.st_mtime_ns) == (0o4755, 2_000_000_003)


@pytest.mark.skipif(not ROOT, reason="only root may give files away")
def test_the_owner_is_kept(folder: Path) -> None:
    os.chown(folder / "a", 1234, 4321)
    carry_out([job(folder / "a")])
    now = (folder / "a").stat()
    assert (now.st_uid, now.st_gid) == (1234, 4321)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_extended_attributes_are_kept(folder: Path) -> None:
    try:
        os.setxattr(folder / "a", "user.origin", b"somewhere")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    carry_out([job(folder / "a")])
    assert os.getxattr(folder / "a", "user.origin") == b"somewhere"


def test_a_file_without_change_is_left_alone(folder: Path) -> None:
    before = (folder / "a").stat()
    assert not carry_out([job(folder / "a", Patchset(len(OLD), len(OLD)))])
    assert (folder / "a").stat() == before


def test_the_result_can_go_elsewhere(folder: Path) -> None:
    before = (folder / "a").stat()
    carry_out([job(folder / "a", output=str(folder / "c"))])
    assert contents(folder) == {"a": OLD, "b": OLD, "c": expected(OLD, patchset())}
    assert (folder / "a").stat() == before
    assert (folder / "c").stat().st_mode == before.st_mode


def test_without_change_the_other_file_is_a_copy(folder: Path) -> None:
    carry_out([job(folder / "a", Patchset(len(OLD), len(OLD)), output=str(folder / "c"))])
    assert (folder / "c").read_bytes() == OLD


@POSIX
def test_a_symbolic_link_is_followed_and_stays_one(folder: Path) -> None:
    (folder / "link").symlink_to("a")
    (written,) = carry_out([job(folder / "link")])
    assert (folder / "link").is_symlink()
    assert (folder / "a").read_bytes() == expected(OLD, patchset())
    assert written.path == str(folder / "link")


@POSIX
def test_hard_links_are_broken_only_when_asked(folder: Path) -> None:
    os.link(folder / "a", folder / "other")
    with pytest.raises(NotWritten, match="1 other name") as error:
        examine(str(folder / "a"))
    assert "--break-hard-links" in error.value.hint
    source = examine(str(folder / "a"), break_hard_links=True)
    (written,) = carry_out([Job(source, patchset(), trust)])
    assert (folder / "other").read_bytes() == OLD
    assert (folder / "a").read_bytes() == expected(OLD, patchset())
    assert written.remarks == ("its other hard links keep the old bytes",)


# ---- what is refused


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path / "gone" / "deeper", tmp_path / ("x" * 5000), tmp_path / "a\0b"):
        with pytest.raises(ContainerError) as error:
            examine(str(path))
        assert error.value.exit_code == 3
        assert error.value.hint


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="not a file"):
        examine(str(tmp_path))


@POSIX
def test_one_file_under_two_names_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("a")
    os.link(folder / "a", folder / "other")
    for name in ("a", "link", "other"):
        sources = [examine(str(folder / one), break_hard_links=True) for one in ("a", name)]
        with pytest.raises(UsageError, match="are one file"):
            check_distinct(sources)
    check_distinct([examine(str(folder / "a"), break_hard_links=True), examine(str(folder / "b"))])


@pytest.fixture
def open_folder(folder: Path) -> Path:
    """A folder that a process without rights can reach."""
    return reachable(folder)


def complaint(call: Callable[[], object]) -> str:
    try:
        call()
    except RelocatorError as error:
        return f"{error.exit_code} {error.message} | {error.hint}"
    return "no complaint"


@POSIX
def test_a_read_only_file_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    (open_folder / "a").chmod(0o444)
    told = unprivileged(lambda: complaint(lambda: examine(str(open_folder / "a"))))
    assert told.startswith("4 the file is read-only | make it writable")


@POSIX
def test_a_read_only_folder_is_refused(open_folder: Path) -> None:
    (open_folder / "a").chmod(0o666)
    open_folder.chmod(0o555)
    told = unprivileged(lambda: complaint(lambda: examine(str(open_folder / "a"))))
    assert told.startswith("4 no file can be made in the folder")
    open_folder.chmod(0o755)


@POSIX
def test_a_read_only_file_can_be_the_source_of_another(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    (open_folder / "a").chmod(0o444)

    def check() -> str:
        carry_out([job(open_folder / "a", output=str(open_folder / "c"))])
        return (open_folder / "c").read_bytes().decode()

    assert unprivileged(check) == expected(OLD, patchset()).decode()


@POSIX
def test_a_file_that_becomes_too_large_leaves_everything_as_it_was(folder: Path) -> None:
    growing = Patchset(len(OLD), 1 << 21, (Patch(1 << 20, b"", b"end", "test"),))
    jobs = [job(folder / "a"), job(folder / "b", growing)]
    with largest_file(1 << 20), pytest.raises(NotWritten, match=r"no room for 2,097,152 bytes") as error:
        carry_out(jobs)
    assert "-o OUT" in error.value.hint
    assert untouched(folder)


@MAY_MOUNT
def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64):
        old = random.Random(1).randbytes(40_000)
        (tmp_path / "a").write_bytes(old)
        with pytest.raises(NotWritten, match="no room for 40,000 bytes"):
            carry_out([job(tmp_path / "a", patchset(old))])
        assert contents(tmp_path) == {"a": old}


# ---- nothing half done


def change_at(moment: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, bytes], tuple[str, ...]]:
    def meddle() -> None:
        times = path.stat()
        path.write_bytes(b"X" * len(OLD))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    if moment == "before reading":
        meddle()
        return trust
    if moment == "while it is verified":

        def meddling(old: bytes, new: bytes) -> tuple[str, ...]:
            meddle()
            return trust(old, new)

        return meddling
    original = apply._write_journal

    def late(*arguments: str) -> None:
        meddle()
        original(*arguments)

    monkeypatch.setattr(apply, "_write_journal", late)
    return trust


@POSIX
@pytest.mark.parametrize("moment", ["before reading", "while it is verified", "before renaming"])
def test_a_file_that_somebody_changes_meanwhile_is_refused(folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(folder / "a"), job(folder / "b")]
    jobs[1] = jobs[1]._replace(verify=change_at(moment, folder / "b", monkeypatch))
    with pytest.raises(NotWritten, match="changed by somebody else meanwhile"):
        carry_out(jobs, journal=str(folder / "journal"))
    assert contents(folder) == {"a": OLD, "b": b"X" * len(OLD)}


def test_a_file_that_grows_meanwhile_is_refused(folder: Path) -> None:
    jobs = [job(folder / "a")]
    (folder / "a").write_bytes(OLD + b"more")
    with pytest.raises(NotWritten, match="meanwhile"):
        carry_out(jobs)
    assert (folder / "a").read_bytes() == OLD + b"more"


def test_a_verifier_that_disagrees_stops_all(folder: Path) -> None:
    def disagree(old: bytes, new: bytes) -> tuple[str, ...]:
        raise InternalError("no")

    with pytest.raises(InternalError):
        carry_out([job(folder / "a"), job(folder / "b", verify=disagree)], journal=str(folder / "journal"))
    assert untouched(folder)


def failing_replace(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the n-th rename fail, and no other."""
    original, calls = os.replace, iter(range(1, 100))

    def replace(source: str, target: str) -> None:
        if next(calls) == at:
            raise OSError(errno.EACCES, "no")
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_rename_that_fails_puts_back_those_before_it(folder: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {name: (folder / name).stat().st_mtime_ns for name in "ab"}
    grown = patchset(offset=990, new=b"longer than the file was", size=1014)
    jobs = [job(folder / "a", grown), job(folder / "b", patchset(size=500))]
    failing_replace(at, monkeypatch)
    with pytest.raises(NotWritten):
        carry_out(jobs, journal=str(folder / "journal"))
    assert untouched(folder)
    assert times == {name: (folder / name).stat().st_mtime_ns for name in "ab"}


def test_what_cannot_be_put_back_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(folder / "a"), job(folder / "b")]
    calls = iter(range(100))
    original = os.replace

    def replace(source: str, target: str) -> None:
        if next(calls):
            raise OSError(errno.EIO, "no")
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(NotWritten, match=r"could not be put back: .*a \(its old bytes: .*\)$") as error:
        carry_out(jobs)
    kept = error.value.message.rpartition(" ")[2].removesuffix(")")
    assert contents(folder) == {"a": expected(OLD, patchset()), "b": OLD, Path(kept).name: OLD}


# ---- journals and the way back


SHAPES = {
    "in place": patchset(),
    "longer": Patchset(1000, 5000, (Patch(4990, b"", b"0123456789", "end"),)),
    "shorter": Patchset(1000, 300, (Patch(0, OLD[:3], b"abc", "start"),)),
    "moved": Patchset(1000, 2000, (Patch(500, OLD[500:600], b"x" * 100, "between"),), (Move(600, 1500, 400, "slice"),)),
    "moved over itself": Patchset(1000, 1100, (Patch(100, OLD[100:200], b"y" * 100, "gap"),), (Move(100, 200, 900, "slice"),)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_undo_restores_every_byte(folder: Path, shape: str) -> None:
    (folder / "a").chmod(0o755)
    before = (folder / "a").stat()
    carry_out([job(folder / "a", SHAPES[shape]), job(folder / "b")], journal=str(folder / "journal"))
    assert (folder / "a").read_bytes() == expected(OLD, SHAPES[shape])
    (folder / "a").chmod(0o700)
    assert [Path(item.path).name for item in undo(str(folder / "journal"))] == ["a", "b"]
    (folder / "journal").unlink()
    assert untouched(folder)
    now = (folder / "a").stat()
    assert (now.st_mode, now.st_mtime_ns, now.st_size) == (before.st_mode, before.st_mtime_ns, before.st_size)


def test_undo_twice_has_nothing_to_do(folder: Path) -> None:
    carry_out([job(folder / "a")], journal=str(folder / "journal"))
    assert undo(str(folder / "journal"))
    assert not undo(str(folder / "journal"))


def test_a_dry_undo_writes_nothing(folder: Path) -> None:
    carry_out([job(folder / "a")], journal=str(folder / "journal"))
    before = contents(folder)
    assert undo(str(folder / "journal"), dry_run=True)
    assert contents(folder) == before


def test_undo_refuses_a_file_changed_since_and_touches_no_other(folder: Path) -> None:
    carry_out([job(folder / "a"), job(folder / "b")], journal=str(folder / "journal"))
    (folder / "b").write_bytes(b"something else")
    before = contents(folder)
    with pytest.raises(NotWritten, match="changed since the edit"):
        undo(str(folder / "journal"))
    assert contents(folder) == before


def test_undo_says_which_file_is_gone(folder: Path) -> None:
    carry_out([job(folder / "a"), job(folder / "b")], journal=str(folder / "journal"))
    (folder / "b").unlink()
    with pytest.raises(NotWritten, match="no such file"):
        undo(str(folder / "journal"))
    assert (folder / "a").read_bytes() == expected(OLD, patchset())


def test_a_journal_never_replaces_another(folder: Path) -> None:
    (folder / "journal").write_bytes(b"precious")
    with pytest.raises(NotWritten, match="exists already"):
        carry_out([job(folder / "a")], journal=str(folder / "journal"))
    assert contents(folder) == {"a": OLD, "b": OLD, "journal": b"precious"}


def test_a_journal_that_cannot_be_written_stops_all(folder: Path) -> None:
    with pytest.raises(NotWritten, match="cannot write the journal"):
        carry_out([job(folder / "a")], journal=str(folder / "none" / "journal"))
    assert untouched(folder)


def test_a_journal_keeps_to_its_schema(folder: Path) -> None:
    carry_out([job(folder / "a", SHAPES["moved"]), job(folder / "b")], journal=str(folder / "journal"))
    schema = json.loads((files("relocator") / "output" / "schemas" / "journal.json").read_text("utf-8"))
    jsonschema_rs.meta.validate(schema)
    whole = json.loads((folder / "journal").read_text("ascii"))
    validator = jsonschema_rs.validator_for(schema)
    validator.validate(whole)
    for field in whole["files"][0]:
        shorter = {key: value for key, value in whole["files"][0].items() if key != field}
        assert not validator.is_valid({**whole, "files": [shorter]})


@POSIX
def test_a_name_that_is_no_text_finds_its_way_back(folder: Path) -> None:
    odd = os.fsdecode(os.fsencode(folder) + b"/odd\xff")
    Path(odd).write_bytes(OLD)
    carry_out([job(Path(odd))], journal=str(folder / "journal"))
    undo(str(folder / "journal"))
    assert Path(odd).read_bytes() == OLD


ENTRY = Entry("/x", 4, 4, "0" * 64, "1" * 64, 0o644, 5, (Saved(1, b"ab"),), (Move(0, 2, 1, ""),))


def test_a_journal_is_read_as_it_was_written() -> None:
    assert loaded(dumped([ENTRY, ENTRY._replace(path="/\udcff")], "relocate")) == (ENTRY, ENTRY._replace(path="/\udcff"))


@pytest.mark.parametrize(
    "change",
    [
        {"path": 1},
        {"size_before": -1},
        {"size_before": 1 << 60},
        {"size_before": True},
        {"size_after": "4"},
        {"saved": [{"offset": 3, "old": "YWI="}]},
        {"saved": [{"offset": -1, "old": "YWI="}]},
        {"saved": [{"offset": 0, "old": "no base64!"}]},
        {"saved": [{"old": "YWI="}]},
        {"saved": 5},
        {"moves": [{"source": 0, "target": 3, "size": 9}]},
        {"moves": [{"source": -1, "target": 0, "size": 1}]},
        {"mode": None},
    ],
    ids=str,
)
def test_a_journal_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    whole = json.loads(dumped([ENTRY], "relocate"))
    whole["files"][0].update(change)
    with pytest.raises(ContainerError, match="no journal"):
        loaded(json.dumps(whole))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 100_000, '{"schema_version": 1}', '{"schema_version": 1, "files": 7}'])
def test_what_is_no_journal_is_refused(text: str) -> None:
    with pytest.raises(ContainerError, match="no journal"):
        loaded(text)


def test_a_journal_of_the_future_is_refused() -> None:
    with pytest.raises(ContainerError, match="version 2"):
        loaded('{"schema_version": 2, "files": []}')


def test_a_journal_that_lies_is_refused(folder: Path) -> None:
    carry_out([job(folder / "a")], journal=str(folder / "journal"))
    whole = json.loads((folder / "journal").read_text("ascii"))
    whole["files"][0]["saved"][0]["old"] = "YWFhYQ=="
    (folder / "journal").write_text(json.dumps(whole), "ascii")
    before = contents(folder)
    with pytest.raises(ContainerError, match="does not lead back"):
        undo(str(folder / "journal"))
    assert contents(folder) == before


def test_a_journal_is_no_file_of_bytes(folder: Path) -> None:
    (folder / "journal").write_bytes(b"\xff\xfe")
    for name in ("journal", "gone"):
        with pytest.raises(ContainerError, match="cannot read the journal"):
            undo(str(folder / name))


def test_the_inverse_of_random_changes_leads_back() -> None:
    chance = random.Random(4)
    sizes = [0, 1, 63, 64, 65, 1000, 70_000]
    for _ in range(300):
        old = chance.randbytes(chance.choice(sizes))
        new = bytearray(chance.randbytes(chance.choice(sizes)))
        if chance.random() < 0.7:
            new[: len(old)] = old[: len(new)]
            for _ in range(chance.randrange(5) if new else 0):
                new[chance.randrange(len(new))] ^= 1
        most = min(len(old), len(new))
        moves = [Move(chance.randrange(20), chance.randrange(20), chance.randrange(20), "") for _ in range(chance.randrange(3))]
        moves = [move for move in moves if max(move.source, move.target) + move.size <= most]
        saved, back = inverse(old, bytes(new), Patchset(len(old), len(new), (), tuple(moves)))
        entry = Entry("x", len(old), len(new), hashlib.sha256(old).hexdigest(), "", 0, 0, saved, back)
        assert restored(bytes(new), entry) == old
