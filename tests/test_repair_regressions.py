"""What repair tools once got wrong, each with the test that keeps it right here: repair_regressions.tsv is the list.

Those that are about a whole repair are below; the table names the others where they are.
"""

import ast
import csv
import hashlib
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import elf_bytes as e
from builders import archive, record_hash
from conftest import FIXTURES
from pe_bytes import Draft, library
from relocator import api
from relocator.backends import identify
from relocator.findings import Severity
from relocator.model import Image
from relocator.plans import ReplaceNeeded, SetIdentity
from relocator.repairs import CopyIn, Outcome, RepairOptions
from repaired import LINUX, Done, audited, edited, repaired, written
from small_elf import elf_file, elf_module

HERE = Path(__file__).parent
CORE = "demo/_core.so"
INFO = "demo-1.0.dist-info"
FOO, BAR = "libfoo.so.3", "libbar.so"
MACOS = "cp312-cp312-macosx_10_13_x86_64"
WINDOWS = "cp312-cp312-win_amd64"
PYD = "demo/_core.cp312-win_amd64.pyd"
MACHO = FIXTURES / "bin" / "macho" / "x86_64"


def core(*needs: str, **facts: object) -> dict[str, bytes]:
    return {CORE: elf_module(*needs, **facts)}


def lib(*needs: str, soname: str = FOO, **facts: object) -> bytes:
    return elf_file(*needs, soname=soname, **facts)  # type: ignore[arg-type]


def copied(done: Done) -> list[str]:
    return [Path(action.origin.path).name for action in done.plan.actions if isinstance(action, CopyIn)]


def image(data: bytes) -> Image:
    backend = identify(data[:64])
    assert backend is not None
    return backend.read(memoryview(data))[0]


def needs(data: bytes) -> list[str]:
    return [need.name for need in image(data).needed]


# ---- the table

ROWS = list(csv.DictReader((HERE / "repair_regressions.tsv").read_text(encoding="utf-8").splitlines(), delimiter="\t"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['tool']} {row['number']}")
def test_every_row_names_a_test_that_is_there(row: Mapping[str, str]) -> None:
    for name in row["tests"].split():
        file, _, function = name.partition("::")
        tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def test_the_table_is_complete_and_names_nothing_twice() -> None:
    assert all(row["pitfall"] and row["tool"] and row["tests"] for row in ROWS)
    assert len({row["pitfall"] for row in ROWS}) == len(ROWS)
    assert {row["about"] for row in ROWS} == {"ELF", "archive", "Mach-O", "PE", "choosing", "running"}


# ---- ELF


def test_versions_that_are_no_numbers_are_no_levels(tmp_path: Path) -> None:
    odd = ["GLIBC_2.17", "GLIBC_ABI_DT_RELR", "GLIBC_", "GLIBC_2.x", "FBSD", "OPENSSL_1_1_0", "V", "GLIBC_2.17.1.2.3", "GLIBC_²"]
    done = repaired(written(tmp_path, core("libc.so.6", FOO, versions={"libc.so.6": odd[:1], FOO: odd[2:]}), libraries={FOO: lib()}))
    assert done.tag == "cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64"
    relr = repaired(written(tmp_path / "relr", core("libc.so.6", versions={"libc.so.6": odd[:2]})))
    assert relr.tag == "cp312-cp312-manylinux_2_36_x86_64"
    private = repaired(written(tmp_path / "private", core("libc.so.6", versions={"libc.so.6": ["GLIBC_2.17", "GLIBC_PRIVATE"]})))
    assert "needs GLIBC_PRIVATE from libc.so.6" in private.refusals


LOADERS = {
    "x86_64": (e.Shape(), "ld-linux-x86-64.so.2"),
    "i686": (e.Shape("<", False, 3), "ld-linux.so.2"),
    "aarch64": (e.Shape("<", True, 183), "ld-linux-aarch64.so.1"),
    "ppc64le": (e.Shape("<", True, 21, flags=2), "ld64.so.2"),
    "ppc64": (e.Shape(">", True, 21, flags=1), "ld64.so.1"),
    "s390x": (e.Shape(">", True, 22), "ld64.so.1"),
    "armv7l": (e.Shape("<", False, 40, flags=0x5000400), "ld-linux-armhf.so.3"),
    "riscv64": (e.Shape("<", True, 243, flags=5), "ld-linux-riscv64-lp64d.so.1"),
    "loongarch64": (e.Shape("<", True, 258, flags=0x43), "ld-linux-loongarch-lp64d.so.1"),
}


@pytest.mark.parametrize("arch", LOADERS)
def test_the_dynamic_loader_is_never_missing_never_taken_and_no_obstacle(arch: str, tmp_path: Path) -> None:
    shape, loader = LOADERS[arch]
    files = core(loader, "libc.so.6", shape=shape)
    for tag in (f"linux_{arch}", f"manylinux_2_39_{arch}"):
        done = repaired(written(tmp_path / tag, files, f"cp312-cp312-{tag}", {loader: lib(soname=loader, shape=shape)}))
        assert done.result.outcome in (Outcome.WRITTEN, Outcome.COPIED), done.refusals
        assert copied(done) == []
        assert done.plan.left == ()
        assert done.tag.endswith(arch)
        assert arch == "ppc64" or "manylinux" in done.tag


def test_the_first_need_of_a_name_decides_for_all_that_come_later(tmp_path: Path) -> None:
    """What is in the process answers to its name, whatever the search path of a later importer says."""
    first, later = lib(gives=["first"]), lib(gives=["later"])
    files = {
        **core(FOO, BAR, rpath="$ORIGIN/a:$ORIGIN/b"),
        "demo/a/libfoo.so.3": first,
        "demo/b/libbar.so": elf_file(FOO, soname=BAR, rpath="$ORIGIN"),
        "demo/b/libfoo.so.3": later,
    }
    done = repaired(written(tmp_path, files))
    assert needs(done.files[CORE]) == [FOO, BAR]
    assert not [f for f in done.result.remaining if f.rule in ("missing-library", "missing-symbol-version")]
    assert {done.files["demo/a/libfoo.so.3"], done.files["demo/b/libfoo.so.3"]} == {first, later}


def test_needs_keep_their_order_under_their_new_names(tmp_path: Path) -> None:
    names = ["libz9.so.1", FOO, "libc.so.6", BAR, "liba.so"]
    libraries = {name: lib(soname=name, gives=[f"s{i}"]) for i, name in enumerate(names) if name != "libc.so.6"}
    done = repaired(written(tmp_path, core(*names), libraries=libraries))
    assert [name.partition("-")[0].partition(".")[0] for name in needs(done.files[CORE])] == ["libz9", "libfoo", "libc", "libbar", "liba"]


def test_what_an_excluded_library_brings_stays_outside_unless_something_else_needs_it(tmp_path: Path) -> None:
    libraries = {FOO: lib(BAR, "libshared.so"), BAR: lib(soname=BAR), "libshared.so": lib(soname="libshared.so")}
    options = RepairOptions(exclude=(FOO,))
    assert copied(repaired(written(tmp_path, core(FOO), libraries=libraries), options)) == []
    done = repaired(written(tmp_path / "more", core(FOO, "libshared.so"), libraries=libraries), options)
    assert copied(done) == ["libshared.so"]
    assert needs(done.files[CORE])[0] == FOO


def test_weak_symbols_do_not_count_against_a_tag(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core("libz.so.1", weak=["inflate_table"])))
    assert done.tag == "cp312-cp312-manylinux1_x86_64.manylinux_2_17_x86_64.manylinux_2_5_x86_64"
    assert "inflate_table" in repaired(written(tmp_path / "strong", core("libz.so.1", asks=["inflate_table"]))).refusals


def test_an_older_tag_is_never_bought_with_more_libraries(tmp_path: Path) -> None:
    """libz.so.1 is promised by every level; it stays outside although a copy is at hand whose own needs are older."""
    libraries = {"libz.so.1": lib(soname="libz.so.1"), "libstdc++.so.6": lib(soname="libstdc++.so.6")}
    files = core("libz.so.1", "libstdc++.so.6", versions={"libstdc++.so.6": ["GLIBCXX_3.4.24"]})
    done = repaired(written(tmp_path, files, "cp312-cp312-linux_x86_64", libraries))
    assert copied(done) == []
    assert done.tag == "cp312-cp312-manylinux_2_27_x86_64"


def test_what_the_system_has_for_newer_processors_is_no_obstacle(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core("libz.so.1"), libraries={"libz.so.1": lib(soname="libz.so.1", isa=0b100)}))
    assert copied(done) == []
    assert "manylinux1_x86_64" in done.tag
    own = repaired(written(tmp_path / "own", core(FOO), libraries={FOO: lib(isa=0b100)}))
    assert "x86-64-v3" in own.refusals


def test_the_machine_that_repairs_says_nothing_of_the_wheels_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 32-bit container on a 64-bit kernel, and armv8l, which uname says of a 32-bit process."""
    shape = LOADERS["armv7l"][0]
    libraries = {FOO: lib(shape=shape)}
    path = written(tmp_path, core(FOO, shape=shape), "cp312-cp312-linux_armv7l", libraries)
    tags = set()
    for machine in ("armv8l", "x86_64", "aarch64"):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        monkeypatch.setattr(os, "uname", lambda machine=machine: os.uname_result(("Linux", "h", "6", "v", machine)), raising=False)
        tags.add(repaired(path, host=True).tag)
    assert tags == {"cp312-cp312-manylinux_2_17_armv7l.manylinux2014_armv7l"} or len(tags) == 1
    assert all("armv7l" in tag for tag in tags)


def test_a_search_path_of_the_other_kind_does_not_stay_behind(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core(FOO, runpath="$ORIGIN:/opt/build"), libraries={FOO: lib(rpath="/opt/build", runpath="/opt/x")}))
    for name in (CORE, *done.named("demo.libs/")):
        assert {path.kind for path in image(done.files[name]).search_paths} <= {"DT_RPATH"}
        assert not [path for path in image(done.files[name]).search_paths if path.text.startswith("/")]
    assert [path.text for path in image(done.files[CORE]).search_paths] == ["$ORIGIN", "$ORIGIN/../demo.libs"]


def test_a_library_that_only_its_owner_may_read_can_be_edited_and_read_by_all(tmp_path: Path) -> None:
    path = written(tmp_path, core(FOO), libraries={FOO: lib()})
    source = tmp_path / "lib" / FOO
    source.chmod(0o400)
    done = repaired(path)
    assert image(done.files[done.named("demo.libs/")[0]]).identity == needs(done.files[CORE])[0]
    with zipfile.ZipFile(done.output) as zipped:
        modes = {zipped.getinfo(name).external_attr >> 16 & 0o777 for name in done.named("demo.libs/")}
    assert modes <= {0o644, 0o755}
    assert stat.S_IMODE(source.stat().st_mode) == 0o400


def test_search_paths_that_stay_inside_are_kept_and_no_other_even_where_they_exist(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    files = {**core(FOO, rpath=f"$ORIGIN/x:{tmp_path}/there:/nowhere"), "demo/x/libfoo.so.3": lib()}
    done = repaired(written(tmp_path, files), host=True)
    assert [path.text for path in image(done.files[CORE]).search_paths] == ["$ORIGIN/x"]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege there")
def test_folders_behind_links_make_no_difference(tmp_path: Path) -> None:
    real = tmp_path / "real"
    path = written(real, {**core(FOO, BAR, rpath="$ORIGIN"), "demo/libbar.so": lib(soname=BAR)}, libraries={FOO: lib()})
    (tmp_path / "link").symlink_to(real)
    straight = repaired(path)
    shutil.rmtree(straight.output.parent)
    crooked = repaired(tmp_path / "link" / path.name)
    assert crooked.files == straight.files
    assert copied(crooked) == [FOO]


def test_there_is_no_folder_for_libraries_that_are_not_brought_in(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core(stack=7)))
    assert done.result.outcome == Outcome.WRITTEN
    assert not done.named(".libs")
    assert not done.named("sboms")


def test_wheel_says_once_what_it_says(tmp_path: Path) -> None:
    text = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nGenerator: x\nX-Own: kept\nTag: {LINUX}\n".encode()
    done = repaired(
        written(tmp_path, {**core(FOO), f"{INFO}/WHEEL": text}, libraries={FOO: lib("libc.so.6", versions={"libc.so.6": ["GLIBC_2.28"]})})
    )
    lines = done.files[f"{INFO}/WHEEL"].decode().splitlines()
    assert [line for line in lines if line.startswith("Root-Is-Purelib")] == ["Root-Is-Purelib: false"]
    assert "X-Own: kept" in lines
    assert [line for line in lines if line.startswith("Tag")] == ["Tag: cp312-cp312-manylinux_2_28_x86_64"]


def test_what_is_brought_in_finds_what_it_needs_without_its_user(tmp_path: Path) -> None:
    """Libraries that were copied without a search path of their own were found only as long as somebody else had loaded the rest."""
    libraries = {FOO: lib(BAR), BAR: lib("libbaz.so", soname=BAR), "libbaz.so": lib(soname="libbaz.so")}
    done = repaired(written(tmp_path, core(FOO), libraries=libraries))
    assert len(done.named("demo.libs/")) == 3
    assert "resolved-by-caller" not in {finding.rule for finding in audited(done.output)}


def test_a_program_among_the_scripts_works_and_keeps_its_name(tmp_path: Path) -> None:
    program = (FIXTURES / "bin/elf/x86_64/pie").read_bytes()
    path = written(
        tmp_path,
        {**core(), "demo-1.0.data/scripts/tool": program},
        libraries={"liba.so": (FIXTURES / "bin/elf/x86_64/liba.so").read_bytes()},
    )
    done = repaired(path)
    assert copied(done) == ["liba.so"]
    assert done.files["demo-1.0.data/scripts/tool"].startswith(b"#!python")
    (moved,) = done.named("demo.scripts/")
    assert needs(done.files[moved])[0].startswith("liba-")


# ---- the archive


def test_what_is_changed_and_what_is_new_is_compressed_and_the_rest_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, {**core(FOO), "demo/text.txt": b"x" * 9999}, libraries={FOO: lib() + bytes(9999)})
    with zipfile.ZipFile(repaired(path).output) as zipped:
        large = {info.filename: info for info in zipped.infolist() if info.file_size > 500}
    assert {CORE, "demo/text.txt"} <= set(large)
    assert any(name.startswith("demo.libs/") for name in large)
    assert all(info.compress_type == zipfile.ZIP_DEFLATED and info.compress_size < info.file_size for info in large.values())


@pytest.mark.parametrize(("epoch", "year"), [(0, 1980), (-1, 1980), (4_102_444_800, 2100), (4_999_999_999, 2107), (10**18, 2107)])
def test_dates_that_an_archive_cannot_hold_become_the_nearest_that_it_can(epoch: int, year: int, tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core(FOO), libraries={FOO: lib()}), epoch=epoch)
    with zipfile.ZipFile(done.output) as zipped:
        assert {info.date_time[0] for info in zipped.infolist()} == {year}


ODD = ("demo/a,b.txt", 'demo/say "so".txt', "demo/é ☃.txt", "demo/ blank .txt", "demo/#.txt", "demo/a'b.txt")


def test_odd_names_and_line_ends_of_record_come_through(tmp_path: Path) -> None:
    files = {**core(stack=7), **{name: name.encode() for name in ODD}}
    path = written(tmp_path, files)
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    rows = [f'"{name.replace(chr(34), chr(34) * 2)}",{record_hash(data)},{len(data)}' for name, data in members.items()]
    members[f"{INFO}/RECORD"] = "\r\n".join([*rows[:-1], f"{INFO}/RECORD,,", ""]).encode()
    path.write_bytes(archive(members))
    done = repaired(path)
    record = done.files[f"{INFO}/RECORD"]
    assert b"\r" not in record
    listed = {row[0]: row for row in csv.reader(record.decode().splitlines())}
    assert set(listed) == set(done.files)
    for name, data in done.files.items():
        if not name.endswith("/RECORD"):
            assert listed[name][1:] == [record_hash(data), str(len(data))]
            assert not listed[name][1].endswith("=")


@pytest.mark.parametrize("info", ["Demo-1.0.dist-info", "demo-1.0.0.dist-info", "DEMO-1.0.dist-info"])
def test_the_dist_info_folder_keeps_its_spelling(info: str, tmp_path: Path) -> None:
    path = written(tmp_path, core(stack=7))
    with zipfile.ZipFile(path) as zipped:
        members = {name.replace(INFO, info): zipped.read(name).replace(INFO.encode(), info.encode()) for name in zipped.namelist()}
    path.write_bytes(archive(members))
    done = repaired(path)
    assert {name.partition("/")[0] for name in done.files if ".dist-info/" in name} == {info}
    assert list(done.files)[-1] == f"{info}/RECORD"
    assert f"{info}/RECORD,,".encode() in done.files[f"{info}/RECORD"]


# ---- macOS

APPLE = {"demo/ext.so": (MACHO / "ext.so").read_bytes()}
LIBB = (MACHO / "libb.dylib").read_bytes()
LIBA = (MACHO / "liba.dylib").read_bytes()


def of_macos(folder: Path, need: str = "@rpath/libb.dylib", libraries: Mapping[str, bytes] | None = None, **files: bytes) -> Path:
    data = edited(APPLE["demo/ext.so"], ReplaceNeeded("@rpath/libb.dylib", need)) if need != "@rpath/libb.dylib" else APPLE["demo/ext.so"]
    return written(
        folder, {"demo/ext.so": data, **files}, MACOS, libraries if libraries is not None else {"libb.dylib": LIBB, "liba.dylib": LIBA}
    )


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege there")
def test_a_library_under_two_names_is_one_library(tmp_path: Path) -> None:
    path = of_macos(tmp_path)
    other = edited(APPLE["demo/ext.so"], ReplaceNeeded("@rpath/libb.dylib", "@rpath/libB.9.dylib"))
    path = written(tmp_path, {"demo/ext.so": APPLE["demo/ext.so"], "demo/two.so": other}, MACOS)
    (tmp_path / "lib" / "libB.9.dylib").symlink_to("libb.dylib")
    done = repaired(path)
    assert len(done.named(".dylibs/libb")) + len(done.named(".dylibs/libB")) == 1
    one = done.named(".dylibs/lib")
    assert len(one) == 2
    assert (
        len(
            {
                next(name for name in needs(done.files[member]) if "lib" in name and "System" not in name)
                for member in ("demo/ext.so", "demo/two.so")
            }
        )
        == 1
    )


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_the_machines_own_libraries_are_never_edited(system: str, tmp_path: Path) -> None:
    made = {
        "linux": lambda: written(tmp_path, core(FOO, stack=7), libraries={FOO: lib(BAR, stack=7), BAR: lib(soname=BAR)}),
        "macos": lambda: of_macos(tmp_path),
        "windows": lambda: written(tmp_path, {PYD: _pyd("foo.dll")}, WINDOWS, {"foo.dll": library("bar.dll"), "bar.dll": library()}),
    }
    path = made[system]()
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (*(tmp_path / "lib").iterdir(), path)}
    done = repaired(path)
    assert len(copied(done)) == 2
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in before} == before


def test_files_that_only_look_like_macos_binaries_are_left_alone(tmp_path: Path) -> None:
    others = {
        "demo/Main.class": struct.pack(">I2HH", 0xCAFEBABE, 0, 52, 20) + b"\1\0\4code" * 20,
        "demo/icon.ico": b"\0\0\1\0\1\0\x10\x10" + bytes(1200),
        "demo/lib.a": b"!<arch>\n" + b"liba.o          0           0     0     644     4         `\nabcd",
        "demo/short.so": b"\xcf\xfa\xed\xfe",
        "demo/empty.dylib": b"",
        "demo/script.so": b"#!/bin/sh\n",
    }
    done = repaired(written(tmp_path, {"demo/ext.so": APPLE["demo/ext.so"], **others}, MACOS, {"libb.dylib": LIBB, "liba.dylib": LIBA}))
    assert done.result.outcome == Outcome.WRITTEN, done.refusals
    assert {name: done.files[name] for name in others} == others


@pytest.mark.parametrize("name", ["libstdc++.6.dylib", "lib (a+b).dylib", "lib$x[1].dylib", "libé.dylib"])
def test_signs_in_names_are_no_syntax(name: str, tmp_path: Path) -> None:
    path = of_macos(tmp_path, f"@rpath/{name}", {name: edited(LIBB, SetIdentity(f"@rpath/{name}")), "liba.dylib": LIBA})
    done = repaired(path)
    assert sorted(copied(done)) == sorted([name, "liba.dylib"]), done.refusals
    assert not [finding for finding in done.result.remaining if finding.rule in ("missing-library", "unresolved-rpath")]


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_what_cannot_be_read_on_the_way_is_passed_over(tmp_path: Path) -> None:
    path = of_macos(tmp_path)
    bad = [tmp_path / name for name in ("folder", "loop", "dangling", "pipe", "empty")]
    for folder in bad:
        folder.mkdir()
    (bad[0] / "libb.dylib").mkdir()
    (bad[1] / "libb.dylib").symlink_to("libb.dylib")
    (bad[2] / "libb.dylib").symlink_to("gone")
    os.mkfifo(bad[3] / "libb.dylib")
    (bad[4] / "libb.dylib").touch()
    done = Done(api.repair(path, tmp_path / "out", search=[*bad, tmp_path / "lib"], host=False))
    assert {action.origin.path for action in done.plan.actions if isinstance(action, CopyIn)} == {
        str(tmp_path / "lib" / n) for n in ("libb.dylib", "liba.dylib")
    }


def test_what_a_caller_finds_for_others_is_found_for_what_is_brought_in_too(tmp_path: Path) -> None:
    """A library needs @rpath/liba.dylib and has no LC_RPATH of its own: that of the module leads there."""
    bare = edited(LIBB, ReplaceNeeded("@rpath/liba.dylib", "@rpath/liba.dylib"))
    done = repaired(of_macos(tmp_path, libraries={"libb.dylib": bare, "liba.dylib": LIBA}))
    assert sorted(copied(done)) == ["liba.dylib", "libb.dylib"]
    assert "resolved-by-caller" not in {finding.rule for finding in audited(done.output)}


@pytest.mark.parametrize("part", ["purelib", "platlib"])
def test_files_of_the_data_folder_find_libraries_where_they_are_installed(part: str, tmp_path: Path) -> None:
    member = f"demo-1.0.data/{part}/demo/ext.so"
    done = repaired(written(tmp_path, {member: APPLE["demo/ext.so"]}, MACOS, {"libb.dylib": LIBB, "liba.dylib": LIBA}))
    assert not [
        finding for finding in audited(done.output) if finding.rule in ("missing-library", "unresolved-rpath", "absolute-install-name")
    ]


# ---- Windows


def _pyd(*imports: str) -> bytes:
    return Draft().exports(b"_core.pyd", [(b"PyInit__core", 0)]).imports(*((name.encode(), [b"value"]) for name in imports)).build()


@pytest.mark.parametrize("member", ["demo/_core.PYD", "demo/_core.cp312-win_amd64.Pyd"])
def test_endings_in_capitals_are_modules_all_the_same(member: str, tmp_path: Path) -> None:
    done = repaired(written(tmp_path, {member: _pyd("foo.dll")}, WINDOWS, {"foo.dll": library()}))
    assert copied(done) == ["foo.dll"]
    assert needs(done.files[member])[0].startswith("foo-")
    assert {finding.rule for finding in done.result.remaining} == {"wrong-extension-suffix"}  # which Python finds with PYTHONCASEOK alone


def _reordered(data: bytes) -> bytes:
    """A PE file whose last two sections have changed their places in the file, and not in memory."""
    (head,) = struct.unpack_from("<I", data, 0x3C)
    count, optional = struct.unpack_from("<H12xH", data, head + 6)
    rows = [head + 24 + optional + 40 * number for number in (count - 2, count - 1)]
    (size, place), (last_size, last_place) = (struct.unpack_from("<2I", data, row + 16) for row in rows)
    assert last_place == place + size
    assert last_place + last_size == len(data)
    made = bytearray(data[:place] + data[last_place:] + data[place:last_place])
    struct.pack_into("<I", made, rows[0] + 20, place + last_size)
    struct.pack_into("<I", made, rows[1] + 20, place)
    return bytes(made)


def test_the_last_section_header_need_not_be_the_last_in_the_file(tmp_path: Path) -> None:
    pe = FIXTURES / "bin" / "pe" / "x64"
    made = _reordered((pe / "ext.pyd").read_bytes())
    libraries = {name: (pe / name).read_bytes() for name in ("libb.dll", "liba.dll")}
    done = repaired(written(tmp_path, {"demo/ext.pyd": made}, WINDOWS, libraries))
    assert copied(done) == ["liba.dll", "libb.dll"]
    after = image(done.files["demo/ext.pyd"])
    assert [name.partition("-")[0] for name in needs(done.files["demo/ext.pyd"])] == ["libb", "python312.dll"]
    assert list(after.symbols.exports()) == list(image(made).symbols.exports())
    assert {finding.rule for finding in done.result.remaining if finding.severity > Severity.NOTE} == set()


def test_path_may_name_what_is_not_there_or_no_folder(tmp_path: Path) -> None:
    path = written(tmp_path, {PYD: _pyd("foo.dll")}, WINDOWS, {"foo.dll": library()})
    (tmp_path / "file").write_bytes(b"")
    entries = [str(tmp_path / "gone"), str(tmp_path / "file"), "", ".", "relative", "\x01", str(tmp_path / "lib")]
    done = repaired(path, search=[], host=True, process_env={"PATH": os.pathsep.join(entries)})
    assert copied(done) == ["foo.dll"]
    alone = Done(api.repair(path, tmp_path / "by-path", process_env={"PATH": os.pathsep.join(entries)}))
    assert [action.origin.via.partition(":")[0] for action in alone.plan.actions if isinstance(action, CopyIn)] == ["PATH"]


def test_a_dll_that_the_wheel_has_elsewhere_is_taken_without_an_option(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, {PYD: _pyd("foo.dll"), "demo/bin/foo.dll": library()}, WINDOWS, {"foo.dll": library("other.dll")}))
    assert copied(done) == []
    assert not [finding for finding in done.result.remaining if finding.rule in ("missing-library", "unreachable-dll")]


@pytest.mark.parametrize(("tag", "taken"), [("cp38-cp38-win_amd64", True), (WINDOWS, False)])
def test_the_second_half_of_the_runtime_comes_with_python_from_3_9_on(tag: str, taken: bool, tmp_path: Path) -> None:
    done = repaired(
        written(tmp_path, {"demo/_core.pyd": _pyd("VCRUNTIME140_1.dll", "VCRUNTIME140.dll")}, tag, {"vcruntime140_1.dll": library()})
    )
    assert copied(done) == (["vcruntime140_1.dll"] if taken else [])


def test_combase_is_windows_own(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, {PYD: _pyd("combase.dll")}, WINDOWS, {"combase.dll": library()}))
    assert copied(done) == []
    assert done.result.outcome == Outcome.COPIED


def test_an_import_library_that_comes_along_names_the_dll_that_is_there(tmp_path: Path) -> None:
    """A .lib names its DLL: beside a renamed one it would lead to a file that is not there."""
    source = (FIXTURES / "bin/pe/other/liba.lib").read_bytes()
    dll = (FIXTURES / "bin/pe/x64/liba.dll").read_bytes()
    path = written(tmp_path, {PYD: _pyd("liba.dll")}, WINDOWS, {"liba.dll": dll, "liba.lib": source})
    done = repaired(path, RepairOptions(include_imports=True))
    assert not [name for name in done.files if name.endswith(".lib")]
    assert any("liba.lib" in remark for remark in done.plan.remarks)
    kept = repaired(path, RepairOptions(include_imports=True, no_rename=("liba.dll",)))
    assert [kept.files[name] for name in kept.named(".lib") if name.endswith(".lib")] == [source]


# ---- running


def test_the_result_does_not_depend_on_where_and_when(tmp_path: Path) -> None:
    digests = set()
    for folder in ("a", "a b/c", "é"):
        path = written(tmp_path / folder, core(FOO), libraries={FOO: lib(BAR), BAR: lib(soname=BAR)})
        digests.add(hashlib.sha256(repaired(path).output.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_file_that_a_build_copied_in_place_of_a_link_is_one_library_again(tmp_path: Path) -> None:
    files = {**core(FOO, "liby.so", rpath="$ORIGIN"), "demo/liby.so": lib("libfoo.so", soname="liby.so", rpath="$ORIGIN")}
    done = repaired(written(tmp_path, {**files, "demo/libfoo.so": lib(), "demo/libfoo.so.3": lib()}))
    assert [name for name in done.files if "libfoo" in name] == ["demo/libfoo.so.3"]
