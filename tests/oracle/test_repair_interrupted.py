"""Repairs that are killed, that run out of room, or whose tools fail: no output or the complete one, and the next run makes up for it.

A process is killed at each of its steps on the disk, one after the other, and at random moments.
"""

import hashlib
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from limits import MAY_MOUNT, POSIX, largest_file, small_disk
from needy import needy, search
from relocator import repairing, stripping
from relocator.changing import changed

pytestmark = POSIX

BULK = {f"demo/bulk{number}.bin": random.Random(number).randbytes(60_000) for number in range(12)}
"""Members that do not shrink, so that writing takes a while, and some disk."""

STEPS = """
import os, signal, sys
from relocator.cli import main
out, at, how, *typed = sys.argv[1:]
count = 0
def step(event, arguments):
    global count
    named = [os.fsdecode(one) for one in arguments if isinstance(one, (str, bytes, os.PathLike))]
    if event.partition(".")[0] in ("open", "os", "shutil", "mmap") and any(name.startswith(out) for name in named):
        count += 1
        if count == int(at):
            os.kill(os.getpid(), getattr(signal, how))
sys.addaudithook(step)
code = main(typed)
print(count)
sys.exit(code)
"""
"""Repairs, and kills itself before its step AT on what lies below OUT, counted from 1."""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return needy(tmp_path / "in", more=BULK)


@pytest.fixture
def whole(wheel: Path, tmp_path: Path, run: Run) -> Path:
    """Return what comes of it undisturbed."""
    assert run("repair", *search(), "-w", tmp_path / "whole", wheel).code == 0
    (path,) = (tmp_path / "whole").iterdir()
    return path


def command(wheel: Path, out: Path, *more: str) -> list[str]:
    return ["repair", "-q", *search(), *more, "-w", str(out), str(wheel)]


def stepping(wheel: Path, out: Path, at: int, how: str = "SIGKILL") -> "subprocess.CompletedProcess[str]":
    typed = [sys.executable, "-c", STEPS, str(out), str(at), how, *command(wheel, out)]
    return subprocess.run(typed, capture_output=True, text=True, check=False)


def outputs(out: Path) -> list[Path]:
    return sorted(out.glob("*.whl")) if out.is_dir() else []


def is_none_or_whole(out: Path, whole: Path) -> bool:
    """Tell whether there is an output; it must be the complete one."""
    found = outputs(out)
    assert [(path.name, sha256(path)) for path in found] in ([], [(whole.name, sha256(whole))])
    return bool(found)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_repair_that_is_killed_at_any_step_leaves_nothing_or_all(how: str, wheel: Path, whole: Path, tmp_path: Path, run: Run) -> None:
    before = sha256(wheel)
    done = stepping(wheel, tmp_path / "counted", 0)
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout.splitlines()[-1])
    assert steps >= 5, "making the folder, writing, hashing, reading again, renaming"
    seen = set()
    for at in range(1, steps + 1):
        out = tmp_path / f"out{at}"
        ended = stepping(wheel, out, at, how)
        assert ended.returncode in ((130, 0) if how == "SIGINT" else (-getattr(signal, how),)), ended.stderr
        assert "Traceback" not in ended.stderr
        seen.add(is_none_or_whole(out, whole))
        if how == "SIGINT" and not outputs(out):
            assert not out.exists() or not list(out.iterdir()), "what an interrupt leaves is cleaned away"
        assert sha256(wheel) == before
        assert run(*command(wheel, out)).code == 0
        assert is_none_or_whole(out, whole)
    assert seen == {False, True}, "killed before and after the output is there"


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_repair_that_is_killed_at_any_moment_leaves_nothing_or_all(how: str, wheel: Path, whole: Path, tmp_path: Path) -> None:
    before, chance, out = sha256(wheel), random.Random(how), tmp_path / "out"
    typed = [sys.executable, "-m", "relocator", *command(wheel, out)]
    start = time.monotonic()
    subprocess.run([*typed[:-3], "-w", str(tmp_path / "timed"), str(wheel)], check=True, capture_output=True)
    took = time.monotonic() - start
    for _ in range(6):
        with subprocess.Popen(typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            time.sleep(took * chance.uniform(0.2, 1.05))
            process.send_signal(getattr(signal, how))
            process.communicate()
        is_none_or_whole(out, whole)
        assert sha256(wheel) == before
        for path in outputs(out):
            path.unlink()
    subprocess.run(typed, check=True, capture_output=True)
    assert is_none_or_whole(out, whole)


# ---- no room


@MAY_MOUNT
@pytest.mark.parametrize("kilobytes", [4, 64, 400, 700])
def test_a_full_disk_leaves_nothing(kilobytes: int, wheel: Path, whole: Path, tmp_path: Path, run: Run) -> None:
    assert whole.stat().st_size > 700 << 10
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, kilobytes):
        result = run(*command(wheel, disk / "out"))
        assert result.code == 4
        assert "no room for" in result.err
        assert "= help: free some space" in result.err
        assert list(disk.iterdir()) == []
    with small_disk(disk, 2000):
        assert run(*command(wheel, disk / "out")).code == 0
        assert is_none_or_whole(disk / "out", whole)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 0.9999])
def test_a_file_that_may_not_grow_leaves_nothing(share: float, wheel: Path, whole: Path, tmp_path: Path, run: Run) -> None:
    with largest_file(int(whole.stat().st_size * share)):
        result = run(*command(wheel, tmp_path / "out"))
    assert (result.code, "no room for" in result.err) == (4, True), result.err
    assert not (tmp_path / "out").exists()
    assert run(*command(wheel, tmp_path / "out")).code == 0
    assert is_none_or_whole(tmp_path / "out", whole)


# ---- tools that fail


def tool(folder: Path, script: str, name: str = "tool") -> str:
    """Write a program that is called with FLAG -o OUT IN."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


BROKEN = {
    "fails": ("echo it fell over >&2; exit 3", "tool cannot strip demo.libs/lib", "it fell over"),
    "writes nothing": ("exit 0", "it gives no reason", ""),
    "writes garbage": ("echo garbage > $3", "damaged the file", ""),
    "writes half": ("head -c 700 $4 > $3", "damaged the file", ""),
    "writes an empty file": (": > $3", "damaged the file", ""),
    "is killed": ("kill -9 $$", "it gives no reason", ""),
    "strips another file": ("cp '{other}' $3", "changed more than what no loader needs", ""),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["", "dry"])
def test_a_strip_tool_that_fails_leaves_nothing(how: str, dry: Sequence[str], wheel: Path, tmp_path: Path, run: Run) -> None:
    script, first, second = BROKEN[how]
    broken = tool(tmp_path, script.replace("{other}", str(Path(search()[-1]) / "ext.so")))
    result = run(*command(wheel, tmp_path / "out", f"--strip={broken}", *dry))
    assert result.code == 4, result.err
    assert first in result.err
    assert second in result.err
    assert "= help: " in result.err
    assert "leave --strip out" in result.err
    assert not (tmp_path / "out").exists()


def test_a_strip_tool_that_is_absent_is_told_before_anything_is_written(wheel: Path, tmp_path: Path, run: Run) -> None:
    for wanted in ("no-such-strip", str(tmp_path), str(wheel)):
        result = run(*command(wheel, tmp_path / "out", f"--strip={wanted}"))
        assert result.code == 4
        assert f"there is no {wanted} to strip ELF files with" in result.err
        assert not (tmp_path / "out").exists()


def test_a_strip_tool_that_hangs_is_ended(wheel: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripping, "TIMEOUT", 0.3)
    result = run(*command(wheel, tmp_path / "out", f"--strip={tool(tmp_path, 'exec sleep 60')}"))
    assert result.code == 4
    assert "did not end within" in result.err
    assert not (tmp_path / "out").exists()


def test_a_place_for_temporary_files_that_cannot_be_written_is_told(wheel: Path, tmp_path: Path, run: Run) -> None:
    copies = tool(tmp_path, "cp $4 $3")
    with largest_file(500):
        result = run(*command(wheel, tmp_path / "out", f"--strip={copies}", "--dry-run"))
    assert result.code == 4, result.err
    assert "no file can be made to strip demo.libs/lib" in result.err
    assert "TMPDIR" in result.err
    assert run(*command(wheel, tmp_path / "out", f"--strip={copies}")).code == 0


def test_stripping_with_a_real_tool_gives_the_same_bytes_twice(wheel: Path, tmp_path: Path, run: Run) -> None:
    found = []
    for name in ("one", "two"):
        result = run(*command(wheel, tmp_path / name, "--strip"))
        if "there is no llvm-strip or strip" in result.err:
            pytest.skip("no strip is installed")
        assert result.code == 0, result.err
        found += [sha256(path) for path in outputs(tmp_path / name)]
    assert len(found) == 2
    assert found[0] == found[1]


# ---- a file that changes meanwhile


def test_an_input_that_changes_meanwhile_is_refused(wheel: Path, tmp_path: Path, run: Run) -> None:
    changing = tool(tmp_path, f"cp $4 $3; echo more >> {wheel}")
    result = run(*command(wheel, tmp_path / "out", f"--strip={changing}"))
    assert result.code == 4
    assert "was changed by somebody else meanwhile" in result.err
    assert not (tmp_path / "out").exists()


def test_a_library_that_changes_meanwhile_is_refused(wheel: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = tmp_path / "lib"
    libraries.mkdir()
    for name in ("liba.so", "libb.so"):
        (libraries / name).write_bytes((Path(search()[-1]) / name).read_bytes())

    def late(*planned: Any) -> Any:
        with (libraries / "liba.so").open("ab") as file:
            file.write(b"more")
        return changed(*planned)

    monkeypatch.setattr(repairing, "changed", late)
    result = run("repair", "-q", "--no-host", "--search", libraries, "-w", tmp_path / "out", wheel)
    assert result.code == 4
    assert f"{libraries}/liba.so was changed meanwhile" in result.err
    assert not (tmp_path / "out").exists()


def test_half_an_output_would_be_seen(whole: Path, tmp_path: Path) -> None:
    assert not is_none_or_whole(tmp_path / "none", whole)
    assert is_none_or_whole(whole.parent, whole)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / whole.name).write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(AssertionError):
        is_none_or_whole(tmp_path / "half", whole)
