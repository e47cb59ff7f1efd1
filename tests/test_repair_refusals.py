"""What `relocate repair` refuses: every reason at once, each with what is to blame and the next step; nothing written, nothing changed.

Also what it does not refuse, although others stumble over it: odd names, lies in RECORD, bytes around the archive.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from builders import archive, wheel
from conftest import Run
from index_gate import gate_problems
from limits import POSIX, reachable, unprivileged
from needy import BIN, NOTHING, SYSTEMS, files_of, needy, search
from relocator import cli
from small_elf import elf_module
from zip_bytes import Part, zipped

INFO = "demo-1.0.dist-info"
MODULE = SYSTEMS["linux"].module
NAME = "demo-1.0-cp312-cp312-linux_x86_64.whl"


class Told(NamedTuple):
    """What a repair that came to nothing said."""

    reasons: tuple[str, ...]
    """Without the path of the wheel."""
    hints: tuple[str, ...]


def refused(run: Run, path: Path, *options: object, code: int = 4) -> Told:
    """Repair a wheel, which must be refused: nothing is written, the input stays, and every reason has a next step."""
    before = path.read_bytes() if path.is_file() else b""
    out = path.parent / "out"
    result = run("repair", *options, "-w", out, path)
    assert result.code == code, (result.out, result.err)
    assert "Traceback" not in result.err
    assert not out.exists()
    assert (path.read_bytes() if path.is_file() else b"") == before
    lines = result.err.splitlines()
    reasons = tuple(line.removeprefix(f"error: {path}: ") for line in lines if line.startswith("error: "))
    hints = tuple(line.removeprefix("  = help: ") for line in lines if line.startswith("  = help: "))
    assert len(reasons) == len(hints) > 0, result.err
    assert not any(reason.startswith("error: ") for reason in reasons), "not about this wheel"
    return Told(reasons, hints)


def repaired(run: Run, path: Path, *options: object) -> Path:
    """Repair a wheel, which must work; return the output, which the index takes and a second run leaves alone."""
    before, out = path.read_bytes(), path.parent / "out"
    result = run("repair", *(options or search()), "-w", out, path)
    assert result.code == 0, result.err
    (written,) = out.iterdir()
    assert gate_problems(written) == []
    with zipfile.ZipFile(written) as opened:
        assert opened.testzip() is None
    again = run("repair", *(options or search()), "-w", path.parent / "again", written)
    assert "nothing to do" in again.out
    assert (path.parent / "again" / written.name).read_bytes() == written.read_bytes()
    assert path.read_bytes() == before
    return written


def members(more: Mapping[str, bytes] = NOTHING) -> dict[str, bytes]:
    """Return all members of the small wheel, RECORD last."""
    with zipfile.ZipFile(io.BytesIO(wheel({**files_of("linux"), **more}, tags=["cp312-cp312-linux_x86_64"]))) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


# ---- libraries


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_missing_library_is_named_with_who_needs_it_and_where_it_was_looked_for(system: str, run: Run, tmp_path: Path) -> None:
    told = refused(run, needy(tmp_path, system), "--no-host")
    first = SYSTEMS[system].needs[0]
    (reason,) = told.reasons
    assert reason.startswith(SYSTEMS[system].module)
    assert first in reason
    assert "nowhere to be found; looked in " in reason
    assert "--search DIR" in told.hints[0]
    assert f"--exclude {first}" in told.hints[0]


def test_all_reasons_are_told_at_once(run: Run, tmp_path: Path) -> None:
    two = {"demo/two.cpython-312-x86_64-linux-gnu.so": (BIN / "elf/x86_64/wants_versions.so").read_bytes(), "demo/../out": b"x"}
    told = refused(run, needy(tmp_path, more=two), "--no-host")
    assert [reason.split(",")[0].split(" has ")[0] for reason in told.reasons] == [
        "demo/ext.cpython-312-x86_64-linux-gnu.so (x86_64)",
        "demo/two.cpython-312-x86_64-linux-gnu.so (x86_64)",
        "demo/../out",
    ]


@pytest.mark.parametrize(
    ("system", "other", "arch"),
    [
        ("linux", "elf/aarch64", "aarch64"),
        ("aarch64", "elf/x86_64", "x86_64"),
        ("windows", "pe/arm64", "arm64"),
        ("macos", "macho/x86_64", ""),
    ],
)
def test_a_library_of_another_architecture_is_passed_over_and_named(system: str, other: str, arch: str, run: Run, tmp_path: Path) -> None:
    told = refused(run, needy(tmp_path, system), "--no-host", "--search", BIN / other)
    assert "only what cannot be used was found" in told.reasons[0]
    assert SYSTEMS[system].needs[0] in told.reasons[0]
    assert arch in told.reasons[0]


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_a_library_that_is_cut_off_is_named_with_what_is_wrong(system: str, run: Run, tmp_path: Path) -> None:
    name = SYSTEMS[system].needs[0]
    (tmp_path / "lib").mkdir()
    shutil.copytree(SYSTEMS[system].folder, tmp_path / "lib", dirs_exist_ok=True)
    (tmp_path / "lib" / name).write_bytes((SYSTEMS[system].folder / name).read_bytes()[:300])
    told = refused(run, needy(tmp_path, system), "--no-host", "--search", tmp_path / "lib")
    assert "only what cannot be used was found" in told.reasons[0]
    assert re.search(rf"lib/{name} \((unreadable: .*|truncated)", told.reasons[0])


def test_a_good_library_in_a_later_folder_makes_up_for_a_bad_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libb.so").write_bytes(b"\x7fELF")
    repaired(run, needy(tmp_path), "--no-host", "--search", tmp_path / "lib", "--search", BIN / "elf/aarch64", *search()[1:])


def test_what_is_too_new_for_the_platform_is_named_with_its_version(run: Run, tmp_path: Path) -> None:
    modules = {
        MODULE: elf_module("libc.so.6", asks=["memcpy"], versions={"libc.so.6": ["GLIBC_2.14"]}),
        "demo/two.cpython-312-x86_64-linux-gnu.so": elf_module("libc.so.6", asks=["fcntl64"], versions={"libc.so.6": ["GLIBC_2.28"]}),
    }
    told = refused(run, needy(tmp_path, more=modules), "--no-host", "--plat", "manylinux_2_5_x86_64")
    for module, version in zip(modules, ("GLIBC_2.14", "GLIBC_2.28"), strict=True):
        assert any(module in reason and "libc.so.6" in reason and version in reason for reason in told.reasons), told
    repaired(run, tmp_path / NAME, "--no-host", "--plat", "manylinux_2_28_x86_64")


# ---- wheels of the wrong kind


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("demo-1.0-cp312-cp312-plan9_x86.whl", "its tag plan9_x86 is not known"),
        ("demo-1.0-cp312-cp312-ios_13_0_arm64_iphoneos.whl", "is for a system whose wheels cannot be repaired"),
        ("demo-1.0-cp312-cp312-linux_x86_64.win_amd64.whl", "its tags name several systems: linux_x86_64, win_amd64"),
        ("demo-1.0-cp312-cp312-win_amd64.whl", "none of its 1 binary is PE for amd64: they are ELF for x86_64"),
        ("demo-1.0-cp312-cp312-linux_aarch64.whl", "none of its 1 binary is ELF for aarch64: they are ELF for x86_64"),
        ("demo.whl", "its file name is none of a wheel"),
    ],
)
def test_a_wheel_of_the_wrong_kind_is_refused(name: str, reason: str, run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path).rename(tmp_path / name)
    told = refused(run, path, *search())
    assert len(told.reasons) == 1
    assert reason in told.reasons[0]


def test_a_wheel_for_any_system_that_holds_binaries_gets_the_tag_of_theirs(run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path).rename(tmp_path / "demo-1.0-py3-none-any.whl")
    assert repaired(run, path).name == "demo-1.0-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl"


def test_a_wheel_for_any_system_that_holds_binaries_of_two_is_refused(run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path, more=files_of("windows")).rename(tmp_path / "demo-1.0-py3-none-any.whl")
    refused(run, path, *search())


def test_a_pure_wheel_is_refused_and_copied_when_that_is_allowed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(wheel({"demo/__init__.py": b""}, tags=["py3-none-any"]))
    told = refused(run, path, "--no-host")
    assert told.reasons == ("holds no compiled file: there is nothing to repair",)
    result = run("repair", "--no-host", "--allow-pure-python-wheel", "-w", tmp_path / "out", path)
    assert result.code == 0
    assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


# ---- paths that are no wheels


NO_WHEELS: dict[str, bytes] = {
    "empty": b"",
    "text": b"text",
    "a web page": b"<!DOCTYPE html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1",
    "gzip": b"\x1f\x8b\x08\0\0\0",
    "the first bytes of a zip": b"PK\3\4",
}


@pytest.mark.parametrize("data", NO_WHEELS.values(), ids=NO_WHEELS)
def test_a_file_that_is_no_wheel_exits_with_3(data: bytes, run: Run, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(data)
    refused(run, path, *search(), code=3)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.98, 0.9999])
def test_a_wheel_that_is_cut_off_exits_with_3(share: float, run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "cut off" in refused(run, path, *search(), code=3).reasons[0]


def test_folders_tars_and_what_is_not_there_exit_with_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with tarfile.open(tmp_path / "demo-1.0.tar.gz", "w:gz"):
        pass
    (tmp_path / "demo.zip").write_bytes(archive({"a.py": b""}))
    for name, told in (
        ("folder", "is no wheel"),
        ("demo-1.0.tar.gz", "is a source distribution"),
        ("gone.whl", "does not exist"),
        ("demo.zip", "is a zip archive and no wheel"),
    ):
        assert told in refused(run, tmp_path / name, *search(), code=3).reasons[0]


def test_an_archive_that_inflates_to_too_much_exits_with_3(run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path, more={"demo/zeros": bytes(3 << 20)})
    told = refused(run, path, *search(), "--max-size", "2M", code=3)
    assert "more than the 2,097,152 allowed" in told.reasons[0]
    repaired(run, path)


# ---- archives that nobody may unpack


def parts(more: Mapping[str, bytes] = NOTHING) -> list[Part]:
    """Return the members of the small wheel for an archive made by hand."""
    return [Part(name.encode(), data, flags=0 if name.isascii() else 0x800) for name, data in members(more).items()]


def damaged(member: str, **fields: object) -> bytes:
    """Return the small wheel with other header fields of one member."""
    found = parts({"demo/data.bin": b"some data" * 50})
    for part in found:
        if part.name.decode() == member:
            for name, value in fields.items():
                setattr(part, name, value)
    return zipped(found)


UNSAFE_NAMES = ["../x", "/x", "demo\\x", "C:x", "demo/../../x", "demo/con.txt", "demo/a\x01b", "demo//x", "demo/./x"]


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_names_that_lead_elsewhere_are_refused(name: str, run: Run, tmp_path: Path) -> None:
    told = refused(run, needy(tmp_path, more={name: b"x"}), *search())
    assert len(told.reasons) == 1
    assert "has a name that is not safe on every system" in told.reasons[0]


DAMAGE: dict[str, tuple[bytes, str]] = {
    "encrypted": (damaged("demo/data.bin", flags=1), "demo/data.bin is encrypted"),
    "encrypted module": (damaged(MODULE, flags=1), f"{MODULE} is encrypted"),
    "checksum": (damaged("demo/data.bin", local={"crc": 5}, central={"crc": 5}), "demo/data.bin is damaged: the checksum differs"),
    "checksum of a module": (damaged(MODULE, local={"crc": 5}, central={"crc": 5}), f"{MODULE} is damaged"),
    "checksum of RECORD": (damaged(f"{INFO}/RECORD", local={"crc": 5}, central={"crc": 5}), f"{INFO}/RECORD is damaged"),
    "bytes": (damaged("demo/data.bin", body=b"\xff" * 20), "cannot be inflated"),
    "smaller": (damaged("demo/data.bin", local={"size": 5}, central={"size": 5}), "claims 5 bytes and holds more"),
    "larger": (damaged("demo/data.bin", local={"size": 5000}, central={"size": 5000}), "claims 5,000 bytes and holds 450"),
    "method": (damaged("demo/data.bin", method=12), "compressed by a method that installers do not know (bzip2)"),
    "symbolic link": (damaged("demo/data.bin", central={"external": 0o120777 << 16}), "is a symbolic link"),
    "device": (damaged("demo/data.bin", central={"external": 0o020666 << 16}), "is neither a file nor a folder"),
    "two names": (damaged("demo/data.bin", local={"name": b"demo/other.py"}), "it calls the member demo/other.py"),
    "twice": (zipped([*parts(), Part(b"demo/__init__.py", b"other")]), "is in the archive more than once"),
    "count": (zipped(parts(), count=2), "its end record counts 2 members"),
}


@pytest.mark.parametrize(("data", "told"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("options", [search(), ("--allow-missing", "--no-host"), ("--allow-pure-python-wheel", *search())], ids=len)
def test_damage_is_refused_and_never_carried_over(data: bytes, told: str, options: Sequence[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(data)
    reasons = refused(run, tmp_path / NAME, *options).reasons
    assert len(reasons) == 1
    assert told in reasons[0]


@pytest.mark.parametrize("fault", [{"local": {"crc": 5}, "central": {"crc": 5}}, {"flags": 1}, {"name": b"../x"}], ids=str)
def test_a_wheel_that_is_only_copied_must_be_sound_too(fault: dict[str, object], run: Run, tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(wheel({"demo/__init__.py": b"", "demo/data.bin": b"x" * 99}, tags=["py3-none-any"]))) as opened:
        found = [Part(name.encode(), opened.read(name)) for name in opened.namelist()]
    for name, value in fault.items():
        setattr(found[1], name, value)
    path.write_bytes(zipped(found))
    for options in (["--no-host"], ["--no-host", "--allow-pure-python-wheel"]):
        (reason,) = refused(run, path, *options).reasons
        assert reason.startswith(("demo/data.bin ", "../x "))


@pytest.mark.parametrize(("data", "told"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("options", [["--build", "3"], ["--plat", "linux_x86_64", "--force-tags"]], ids=len)
def test_new_tags_do_not_carry_damage_over_either(data: bytes, told: str, options: list[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(data)
    result = run("retag", *options, "-w", tmp_path / "out", tmp_path / NAME)
    assert result.code == 4
    assert told in result.err
    assert not (tmp_path / "out").exists()


def test_two_wheels_are_not_fused_when_one_is_damaged(run: Run, tmp_path: Path) -> None:
    good, bad = needy(tmp_path / "good", "macos"), needy(tmp_path / "bad", "intel", {"demo/data.bin": b"x" * 99})
    with zipfile.ZipFile(bad) as opened:
        found = [Part(name.encode(), opened.read(name)) for name in opened.namelist()]
    for part in found:
        if part.name == b"demo/data.bin":
            part.local = part.central = {"crc": 5}
    bad.write_bytes(zipped(found))
    result = run("fuse", "-w", tmp_path / "out", good, bad)
    assert result.code == 4
    assert f"{bad}: demo/data.bin is damaged" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [100, 400])
def test_a_module_that_cannot_be_read_is_refused(size: int, run: Run, tmp_path: Path) -> None:
    whole = files_of("linux")[MODULE]
    for more in ({MODULE: whole[:size]}, {"demo/two.cpython-312-x86_64-linux-gnu.so": whole[:size]}):
        (reason,) = refused(run, needy(tmp_path, more=more), *search()).reasons
        assert reason.startswith(f"{next(iter(more))} looks like a binary and cannot be read (")


# ---- .dist-info


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (f"{INFO}/WHEEL", f"{INFO}/WHEEL is missing or cannot be read"),
        (f"{INFO}/METADATA", f"the wheel has no {INFO}/METADATA"),
        (INFO, ".dist-info/WHEEL is missing or cannot be read"),
    ],
)
def test_a_wheel_without_its_description_is_refused(gone: str, told: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(archive({name: data for name, data in members().items() if not name.startswith(gone)}))
    assert told in refused(run, tmp_path / NAME, *search()).reasons


def test_two_dist_info_folders_are_refused(run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path, more={"other-1.0.dist-info/METADATA": b"Name: other\n"})
    (reason,) = refused(run, path, *search()).reasons
    assert reason == f"the wheel has 2 .dist-info folders: {INFO}, other-1.0.dist-info"


RECORDS: dict[str, bytes | None] = {
    "none": None,
    "empty": b"",
    "no text": b"\xff\xfe\0\xd8",
    "lies": b"demo/__init__.py,sha256=AAAA,1\ndemo/gone.py,sha256=AAAA,1\n",
    "windows": b"demo\\__init__.py,sha256=AAAA,1\r\n",
    "an unfinished quote": b'"demo/__init__.py,sha256=AAAA,1\n',
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_whatever_record_says_it_is_written_anew(record: bytes | None, run: Run, tmp_path: Path) -> None:
    found = members()
    del found[f"{INFO}/RECORD"]
    (tmp_path / NAME).write_bytes(archive(found if record is None else {**found, f"{INFO}/RECORD": record}))
    with zipfile.ZipFile(repaired(run, tmp_path / NAME)) as opened:
        assert b"demo/__init__.py,sha256=" in opened.read(f"{INFO}/RECORD")
        assert b"gone" not in opened.read(f"{INFO}/RECORD")


def test_the_dist_info_folder_is_the_one_in_the_archive(run: Run, tmp_path: Path) -> None:
    found = {name.replace(INFO, "Demo-1.0.dist-info"): data.replace(b"Name: demo", b"Name: Demo") for name, data in members().items()}
    (tmp_path / NAME).write_bytes(archive(found))
    with zipfile.ZipFile(repaired(run, tmp_path / NAME)) as opened:
        assert {name.partition("/")[0] for name in opened.namelist() if ".dist-info" in name} == {"Demo-1.0.dist-info"}


# ---- odd and fine


ODD_NAMES = ["demo/a,b.txt", 'demo/quo"te.txt', "demo/caf\u00e9.txt", "demo/\u4e2d\u6587.txt", "demo/sp ace.txt", "demo/it's #1.txt"]


def test_odd_names_come_through(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(repaired(run, needy(tmp_path, more={name: name.encode() for name in ODD_NAMES}))) as opened:
        assert [opened.read(name).decode() for name in ODD_NAMES] == ODD_NAMES


@POSIX
def test_a_library_whose_name_no_archive_can_hold_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    library = (BIN / "elf/x86_64/libb.so").read_bytes()
    (tmp_path / "lib" / "libb.so").write_bytes(library.replace(b"\0libb.so\0", b"\0lib\xf0.so\0"))
    (reason,) = refused(run, needy(tmp_path), "--no-host", "--search", tmp_path / "lib", *search()[1:]).reasons
    assert "lib/libb.so would be demo.libs/lib" in reason
    assert "which is no name for a member: not UTF-8" in reason


def test_needs_that_are_no_text_are_kept_to_the_bit(run: Run, tmp_path: Path) -> None:
    module = elf_module("libb.so", "libx.so").replace(b"libx.so", b"lib\xf0.so")
    with zipfile.ZipFile(repaired(run, needy(tmp_path, more={MODULE: module}), "--allow-missing", *search())) as opened:
        assert b"\0lib\xf0.so\0" in opened.read(MODULE)


@pytest.mark.parametrize("mode", [0o100643, 0o100777, 0o100000, 0o100666])
def test_odd_modes_come_through_those_of_record_too(mode: int, run: Run, tmp_path: Path) -> None:
    found = parts()
    for part in found:
        part.central["external"] = mode << 16
    (tmp_path / NAME).write_bytes(zipped(found))
    repaired(run, tmp_path / NAME)


def test_two_thousand_members_come_through(run: Run, tmp_path: Path) -> None:
    more = {f"demo/m{number}.py": b"x = %d\n" % number for number in range(2000)}
    with zipfile.ZipFile(repaired(run, needy(tmp_path, more=more))) as opened:
        assert [opened.read(name) for name in more] == list(more.values())


@pytest.mark.parametrize("around", [{"before": b"#!/bin/sh\n"}, {"behind": b"junk"}, {"comment": b"hello"}], ids=str)
def test_what_stands_around_the_archive_is_left_out(around: dict[str, bytes], run: Run, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(zipped(parts(), **around))  # type: ignore[arg-type]
    written = repaired(run, tmp_path / NAME).read_bytes()
    assert written.startswith(b"PK\3\4")
    assert not any(text in written for text in around.values())


@pytest.mark.parametrize("folder", ["with space", "a#b", "caf\u00e9", "-dash", "quo'te", "[x]", "%41"])
def test_a_wheel_may_lie_anywhere(folder: str, run: Run, tmp_path: Path) -> None:
    repaired(run, needy(tmp_path / folder))


@POSIX
def test_a_wheel_may_be_a_link_and_read_only(run: Run, tmp_path: Path) -> None:
    real = needy(tmp_path / "real")
    real.chmod(0o444)
    (tmp_path / NAME).symlink_to(real)
    repaired(run, tmp_path / NAME)
    assert (tmp_path / NAME).is_symlink()
    assert real.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("system", SYSTEMS)
def test_notes_are_mended_at_once(system: str, run: Run, tmp_path: Path) -> None:
    repaired(run, needy(tmp_path, system), "--fix-notes", *search(system))


# ---- where it goes


@POSIX
def test_a_folder_without_write_permission_is_told(tmp_path: Path) -> None:
    path = needy(reachable(tmp_path))
    (tmp_path / "out").mkdir(mode=0o555)

    def check() -> str:
        with contextlib.redirect_stderr(io.StringIO()) as told:
            code = cli.main(["repair", "-q", *search(), "-w", str(tmp_path / "out"), str(path)])
        return f"{code} {told.getvalue()}"

    told = unprivileged(check)
    assert told.startswith("4 error: ")
    assert "permission denied" in told
    assert "= help: name a folder with `-w DIR` in which you may make files" in told
    assert list((tmp_path / "out").iterdir()) == []


@POSIX
def test_a_wheel_that_must_not_be_read_is_told(tmp_path: Path) -> None:
    path = needy(reachable(tmp_path))
    path.chmod(0)
    told = unprivileged(lambda: str(cli.main(["repair", "-q", *search(), "-w", str(tmp_path / "out"), str(path)])))
    assert told == "3"


def test_a_file_where_the_output_folder_should_be(run: Run, tmp_path: Path) -> None:
    path = needy(tmp_path)
    (tmp_path / "taken").write_bytes(b"mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "deeper"):
        result = run("repair", *search(), "-w", out, path)
        assert result.code == 4
        assert "taken" in result.err
        assert "= help: name another one with `-w DIR`" in result.err
    assert (tmp_path / "taken").read_bytes() == b"mine"


def test_an_output_that_is_there_stays_unless_it_is_the_same(run: Run, tmp_path: Path) -> None:
    written = repaired(run, needy(tmp_path))
    good = written.read_bytes()
    typed = ["repair", *search(), "-w", written.parent, tmp_path / NAME]
    assert "present" in run(*typed, "--format", "json").out
    written.write_bytes(b"other bytes")
    result = run(*typed)
    assert result.code == 4
    assert "is there already, with other bytes" in result.err
    assert "--force" in result.err
    assert written.read_bytes() == b"other bytes"
    assert run(*typed, "--force").code == 0
    assert written.read_bytes() == good


def test_two_wheels_that_get_one_name_are_both_named(run: Run, tmp_path: Path) -> None:
    one, two = needy(tmp_path / "one"), needy(tmp_path / "two", more={"demo/more.py": b""})
    for rehearsed in (["--dry-run"], []):
        result = run("repair", *search(), "-w", tmp_path / "out", *rehearsed, one, two)
        assert result.code == 4
        assert f"as {one} was" in result.err
        assert f"error: {two}: " in result.err
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_one_bad_wheel_does_not_stop_the_others_and_the_highest_code_counts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.whl").write_bytes(b"PK\3\4")
    lost = needy(tmp_path / "lost", more={"../x": b""})
    good = [needy(tmp_path / system, system) for system in ("linux", "macos", "windows")]
    folders = [option for system in ("linux", "macos", "windows") for option in search(system)[1:]]
    typed = ["repair", "--no-host", *folders, "-w", tmp_path / "out"]
    assert run(*typed, tmp_path / "cut.whl", good[0], lost, *good[1:]).code == 4
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert run(*typed, tmp_path / "cut.whl", *good).code == 3
    assert run(*typed, *good).code == 0


# ---- where the result is told


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_a_full_device_for_the_report_is_told_without_a_traceback(tmp_path: Path) -> None:
    path = needy(tmp_path)
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "relocator", "repair", *search(), "-w", str(tmp_path / "out"), str(path)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode not in (0, 1, 5)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    (written,) = (tmp_path / "out").iterdir()
    assert gate_problems(written) == []


def test_the_small_wheels_are_sound_before_they_are_damaged(run: Run, tmp_path: Path) -> None:
    for system in SYSTEMS:
        repaired(run, needy(tmp_path / system, system), *search(system))
    (tmp_path / NAME).write_bytes(damaged("demo/data.bin"))
    repaired(run, tmp_path / NAME)
