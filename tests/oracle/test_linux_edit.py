"""Edited ELF files against the real thing: loaders that load and call them, strip and readelf that take them, addr2line that reads them.

Each has its negative control: an edit after which it must not work.
"""

import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from elf_edits import BIN, LONG, edit, facts_of, seen, way
from relocator.backends.linux import verify
from relocator.backends.linux.edit import prepare
from relocator.backends.linux.layout_check import check_layout
from relocator.backends.linux.read import read
from relocator.plans import (
    AddNeeded,
    Edit,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
    apply_patches,
)

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64" or os.name != "posix", reason="the files are made for Linux on x86_64")

PROBE = Path(__file__).with_name("interpreter_probe.c")
LEAF = "int leaf_data = 40; int leaf(void) { return leaf_data; }\n"
TOP = "extern int leaf_data; int leaf(void); int *pointer = &leaf_data; int top(void) { return leaf() + (*pointer == 40) + 1; }\n"
MAIN = "int top(void); int main(void) { return top(); }\n"
SYMBOL_VERSIONS = "V_1 { global: leaf; leaf_data; local: *; };\n"
WANT = 42

Oracle = Callable[..., str]


class Linker(NamedTuple):
    """A way to link libraries and programs, and what rung of the ladder that leads to for a long search path."""

    flags: tuple[str, ...]
    rung: str


LINKERS = {
    "gnu": Linker((), "tail"),
    "gnu, one segment for code and tables": Linker(("-Wl,-z,noseparate-code",), "tables moved"),
    "gnu, no build id": Linker(("-Wl,-z,noseparate-code", "-Wl,--build-id=none"), "tables moved"),
    "gnu, sysv hash": Linker(("-Wl,-z,noseparate-code", "-Wl,--hash-style=sysv"), "tables moved"),
    "gnu, no free entries": Linker(("-Wl,-z,noseparate-code", "-Wl,--spare-dynamic-tags=1"), "tables moved"),
    "gnu, bound at once": Linker(("-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noseparate-code"), "tables moved"),
    "gnu, large pages": Linker(("-Wl,-z,max-page-size=0x200000", "-Wl,-z,noseparate-code"), "tables moved"),
    "gnu, packed relocations": Linker(("-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code"), "tables moved"),
    "lld": Linker(("-fuse-ld=lld",), "tables moved"),
}


def run(*command: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C", **more}
    )
    return done


def must(*command: str | Path) -> str:
    done = run(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Build:
    """A library that needs another, in a folder, linked one way."""

    def __init__(self, folder: Path, oracle: Oracle, linker: Linker, compiler: str = "gcc") -> None:
        self.folder, self.linker = folder, linker
        self.compiler = oracle("clang-22", "clang") if "-fuse-ld=lld" in linker.flags and compiler == "gcc" else oracle(compiler)
        if "-fuse-ld=lld" in linker.flags:
            oracle("ld.lld-22", "ld.lld")
        for name, text in (("leaf.c", LEAF), ("top.c", TOP), ("main.c", MAIN), ("leaf.map", SYMBOL_VERSIONS)):
            (folder / name).write_text(text)
        self.link("libleaf.so", "leaf.c", "-shared", "-Wl,-soname,libleaf.so", f"-Wl,--version-script={folder / 'leaf.map'}")
        self.link("libtop.so", "top.c", "-shared", "-Wl,-soname,libtop.so", folder / "libleaf.so", "-Wl,-rpath,$ORIGIN")

    def link(self, name: str, source: str, *flags: str | Path) -> Path:
        out = self.folder / name
        must(self.compiler, "-O1", "-g", "-fPIC", *self.linker.flags, "-o", out, self.folder / source, *flags)
        return out

    def change(self, name: str, *edits: Edit, to: str = "") -> Path:
        path = self.folder / (to or name)
        path.write_bytes(edit((self.folder / name).read_bytes(), *edits))
        path.chmod(0o755)
        return path


@pytest.fixture(params=list(LINKERS), ids=list(LINKERS))
def build(request: pytest.FixtureRequest, tmp_path: Path, oracle: Oracle) -> Build:
    return Build(tmp_path, oracle, LINKERS[request.param])


CALL = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).top())"


def called(path: Path) -> str:
    """Open a library in a process of its own, everything bound at once, and call its function."""
    done = run(sys.executable, "-c", CALL, path, LD_BIND_NOW="1")
    return done.stdout.strip() or done.stderr


RENAME = (ReplaceNeeded("libleaf.so", "libleaf-with-a-longer-name-0a1b2c3d.so"), SetSearchPaths((LONG, "$ORIGIN")))


def test_an_edited_library_loads_and_its_functions_run(build: Build) -> None:
    assert called(build.folder / "libtop.so") == str(WANT)
    build.change("libleaf.so", SetIdentity("libleaf-with-a-longer-name-0a1b2c3d.so"), to="libleaf-with-a-longer-name-0a1b2c3d.so")
    new = build.change("libtop.so", *RENAME, SetIdentity("libtop-0a1b2c3d.so"), SetExecutableStack(False), to="libtop-0a1b2c3d.so")
    (build.folder / "libleaf.so").unlink()
    assert called(new) == str(WANT)
    (build.folder / "libleaf-with-a-longer-name-0a1b2c3d.so").unlink()
    assert "libleaf-with-a-longer-name-0a1b2c3d.so: cannot open" in called(new)


def test_the_rung_that_was_meant_is_taken(build: Build) -> None:
    assert way((build.folder / "libtop.so").read_bytes(), SetSearchPaths((LONG, "$ORIGIN"))) == build.linker.rung


def test_many_edits_one_after_another_still_load(build: Build) -> None:
    build.change("libleaf.so", SetIdentity("libother.so"), to="libother.so")
    for edits in (
        [SetSearchPaths((LONG,), PathKind.RPATH)],
        [AddNeeded("libm.so.6"), AddNeeded("libdl.so.2")],
        [ReplaceNeeded("libleaf.so", "libother.so")],
        [SetSearchPaths(("/nowhere", LONG * 3, "$ORIGIN"))],
        [RemoveNeeded("libm.so.6"), SetIdentity("lib" + "x" * 100)],
        [SetSearchPaths(("$ORIGIN",), PathKind.RUNPATH)],
    ):
        path = build.change("libtop.so", *edits)
    assert called(path) == str(WANT)
    build.change("libtop.so", SetSearchPaths(()))
    (build.folder / "libother.so").rename(build.folder / "elsewhere.so")
    assert "cannot open" in called(path)


def test_glibc_refuses_a_need_renamed_without_its_versions(build: Build) -> None:
    """What the editor saves one from, made by leaving that patch out."""
    data = (build.folder / "libtop.so").read_bytes()
    build.change("libleaf.so", SetIdentity("libleaf-0a1b2c3d.so"), to="libleaf-0a1b2c3d.so")
    whole = prepare(memoryview(data), [ReplaceNeeded("libleaf.so", "libleaf-0a1b2c3d.so")])
    half = replace(whole, patches=tuple(patch for patch in whole.patches if patch.reason != "DT_VERNEED: vn_file"))
    path = build.folder / "edited.so"
    path.write_bytes(apply_patches(data, whole))
    assert called(path) == str(WANT)
    path.write_bytes(apply_patches(data, half))
    assert called(path) != str(WANT)


def test_glibc_refuses_a_library_that_lacks_the_versions(build: Build) -> None:
    path = build.change("libtop.so", ReplaceNeeded("libleaf.so", "libm.so.6"), AddNeeded("libleaf.so"))
    assert "version `V_1' not found" in called(path)


def test_a_removed_need_takes_its_versions_along(build: Build) -> None:
    path = build.change("libtop.so", RemoveNeeded("libleaf.so"), AddNeeded("libcopy.so"))
    (build.folder / "libcopy.so").write_bytes((build.folder / "libleaf.so").read_bytes())
    assert called(path) == str(WANT)
    (build.folder / "libcopy.so").unlink()
    assert "libcopy.so: cannot open" in called(path)


@pytest.mark.parametrize("kind", ["-pie", "-no-pie"])
def test_an_edited_program_runs(build: Build, kind: str) -> None:
    program = build.link("program", "main.c", kind, build.folder / "libtop.so", "-Wl,-rpath,$ORIGIN", f"-Wl,-rpath-link,{build.folder}")
    assert run(program).returncode == WANT
    loader = Path(facts_of(program.read_bytes()).interpreter or "")
    link = build.folder / ("a-longer-name-for-the-interpreter" * 3)
    link.symlink_to(loader)
    build.change("libtop.so", SetIdentity("libtop-renamed-0a1b2c3d.so"), to="libtop-renamed-0a1b2c3d.so")
    wanted: list[Edit] = [
        ReplaceNeeded("libtop.so", "libtop-renamed-0a1b2c3d.so"),
        SetSearchPaths((LONG, "$ORIGIN")),
        AddNeeded("libm.so.6"),
    ]
    new = build.change("program", *wanted, SetInterpreter(str(link)), to="edited")
    assert run(new).returncode == WANT
    link.unlink()
    with pytest.raises(FileNotFoundError):
        run(new)


STRIPS = (("strip",), ("strip", "--strip-debug"), ("llvm-strip-22",), ("llvm-strip-22", "--strip-debug"))


@pytest.mark.parametrize("strip", STRIPS, ids=" ".join)
def test_strip_afterwards_is_no_worse_than_on_the_untouched_file(build: Build, strip: Sequence[str], oracle: Oracle) -> None:
    (build.folder / "libleaf-with-a-longer-name-0a1b2c3d.so").write_bytes((build.folder / "libleaf.so").read_bytes())
    new = build.change("libtop.so", *RENAME, to="edited.so")
    must(oracle(strip[0]), *strip[1:], new)
    assert called(new) == str(WANT)
    assert check_layout(new.read_bytes()) == ()
    assert seen(new.read_bytes()).runpath == f"{LONG}:$ORIGIN"


def test_strip_is_seen_to_break_files_whose_header_table_was_moved(tmp_path: Path, oracle: Oracle) -> None:
    """Why that is the last rung: the negative control of the test above."""
    build = Build(tmp_path, oracle, LINKERS["gnu, no build id"])
    data = bytearray((tmp_path / "libtop.so").read_bytes())
    sections, data[40:48] = data[40:48], bytes(8)
    assert way(bytes(data), SetSearchPaths((LONG, "$ORIGIN"))) == "headers moved"
    moved = bytearray(edit(bytes(data), SetSearchPaths((LONG, "$ORIGIN"))))
    moved[40:48] = sections
    path = build.folder / "moved.so"
    path.write_bytes(moved)
    assert called(path) == str(WANT)
    run(oracle("strip"), path)
    assert called(path) != str(WANT)


def complaints(program: str, path: Path) -> set[str]:
    done = run(program, "-aW", path)
    found = [line for line in (done.stdout + done.stderr).splitlines() if re.search(r"[Ww]arning|[Ee]rror:", line)]
    return {line.replace(str(path), "") for line in found}


@pytest.mark.parametrize("reader", [("readelf",), ("llvm-readelf-22", "llvm-readelf")])
def test_readelf_finds_nothing_new_to_complain_of(build: Build, reader: Sequence[str], oracle: Oracle) -> None:
    program = oracle(*reader)
    old = build.folder / "libtop.so"
    new = build.change("libtop.so", *RENAME, SetIdentity("libtop-0a1b2c3d.so"), to="edited.so")
    assert complaints(program, new) <= complaints(program, old)
    broken = bytearray(new.read_bytes())
    broken[40:48] = (len(broken) - 64).to_bytes(8, "little")
    new.write_bytes(broken)
    assert complaints(program, new) - complaints(program, old)


def test_addr2line_finds_the_same_lines(build: Build, oracle: Oracle) -> None:
    program, old = oracle("addr2line"), build.folder / "libtop.so"
    new = build.change("libtop.so", *RENAME, to="edited.so")
    (row,) = [line for line in must(oracle("nm"), old).splitlines() if line.endswith(" T top")]
    address = int(row.split()[0], 16)
    assert must(program, "-e", new, hex(address)) == must(program, "-e", old, hex(address))
    assert "top.c:1" in must(program, "-e", new, hex(address))
    assert must(program, "-e", new, hex(address + 0x100000)) != must(program, "-e", old, hex(address))
    assert must(oracle("nm"), new).replace(" d _DYNAMIC", "").count(" T top") == 1


def test_second_readers_see_the_planned_difference_and_no_other(build: Build) -> None:
    old = (build.folder / "libtop.so").read_bytes()
    new = edit(old, *RENAME)
    reading = verify.second_reading(new)
    before = verify.second_reading(old)
    assert reading is not None
    assert before is not None
    name = "libleaf-with-a-longer-name-0a1b2c3d.so"
    rename = {"libleaf.so": name}
    assert reading == before._replace(
        needed=tuple(rename.get(need, need) for need in before.needed),
        runpath=f"{LONG}:$ORIGIN",
        version_needs=tuple(need._replace(library=rename.get(need.library, need.library)) for need in before.version_needs),
    )
    assert verify.second_symbols(new) is not None
    assert verify.symbol_differences(read(memoryview(new)), new) == ()
    assert verify.differences(read(memoryview(old)), new) != ()


# ---------------------------------------------------------------- musl


@pytest.mark.parametrize("flags", [(), ("-Wl,-z,noseparate-code",)], ids=["tail", "tables moved"])
def test_musl_loads_what_was_edited(tmp_path: Path, oracle: Oracle, flags: tuple[str, ...]) -> None:
    build = Build(tmp_path, oracle, Linker(flags, ""), "musl-gcc")
    program = build.link("program", "main.c", build.folder / "libtop.so", "-Wl,-rpath,$ORIGIN", f"-Wl,-rpath-link,{tmp_path}")
    assert run(program).returncode == WANT
    build.change("libleaf.so", SetIdentity("libleaf-with-a-longer-name-0a1b2c3d.so"), to="libleaf-with-a-longer-name-0a1b2c3d.so")
    build.change("libtop.so", *RENAME, SetIdentity("libtop-0a1b2c3d.so"), to="libtop-0a1b2c3d.so")
    new = build.change("program", ReplaceNeeded("libtop.so", "libtop-0a1b2c3d.so"), SetSearchPaths((LONG, "$ORIGIN")), to="edited")
    (tmp_path / "libleaf.so").unlink()
    assert run(new).returncode == WANT
    (tmp_path / "libleaf-with-a-longer-name-0a1b2c3d.so").unlink()
    done = run(new)
    assert done.returncode != WANT
    assert "libleaf-with-a-longer-name-0a1b2c3d.so" in done.stderr


# ---------------------------------------------------------------- other architectures, under qemu


class Arch(NamedTuple):
    triple: str
    qemu: str
    libraries: str
    """The folder of fixtures."""


ARCHES = (
    Arch("x86_64-linux-gnu", "x86_64", "x86_64"),
    Arch("i686-linux-gnu", "i386", "i686"),
    Arch("aarch64-linux-gnu", "aarch64", "aarch64"),
    Arch("armv7a-linux-gnueabihf", "arm", "armv7l"),
    Arch("powerpc64le-linux-gnu", "ppc64le", "ppc64le"),
    Arch("s390x-linux-gnu", "s390x", "s390x"),
    Arch("riscv64-linux-gnu", "riscv64", "riscv64"),
)
PROGRAM_FLAGS = ("-Wl,--dynamic-linker=/old,--export-dynamic,--no-as-needed", "-Wl,-rpath,/old")
PROGRAM = "int answer(void) { return 42; }\nvoid _start(void) { for (;;) { answer(); } }\n"


@pytest.mark.parametrize("kind", ["-pie", "-no-pie"])
@pytest.mark.parametrize("arch", ARCHES, ids=lambda arch: arch.qemu)
def test_the_kernel_maps_what_was_edited_on_every_architecture(arch: Arch, kind: str, tmp_path: Path, oracle: Oracle) -> None:
    """The program's interpreter is a probe of ours: it reads the tables where they are mapped, and calls a function that it looks up."""
    emulator = oracle(f"qemu-{arch.qemu}-static", f"qemu-{arch.qemu}")
    oracle("ld.lld-22", "ld.lld")
    compiler = [oracle("clang-22"), f"--target={arch.triple}", "-O1", "-ffreestanding", "-fno-stack-protector", "-nostdlib", "-fuse-ld=lld"]
    probe, program, source = tmp_path / ("probe" * 12), tmp_path / "program", tmp_path / "program.c"
    source.write_text(PROGRAM)
    must(*compiler, "-fno-pic", "-static", "-Wl,--image-base=0x50000000", "-o", probe, PROBE)
    liba = BIN / arch.libraries / "liba.so"
    must(
        *compiler,
        "-fPIC",
        kind,
        "-Wl,--dynamic-linker=/old,--export-dynamic,-rpath,/old",
        "-o",
        program,
        source,
        "-Wl,--no-as-needed",
        liba,
    )
    wanted: list[Edit] = [
        SetInterpreter(str(probe)),
        SetSearchPaths((LONG,)),
        ReplaceNeeded("liba.so", "liba-0a1b2c3d.so"),
        AddNeeded("libfirst.so"),
    ]
    edited = tmp_path / "edited"
    edited.write_bytes(edit(program.read_bytes(), *wanted))
    edited.chmod(0o755)
    done = run(emulator, edited)
    assert done.returncode == WANT, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(["needed libfirst.so", f"runpath {LONG}", "needed liba-0a1b2c3d.so"])
    broken = bytearray(edited.read_bytes())
    place = broken.index(b"answer\0", broken.index(b"relocator's strings") - 200)
    broken[place : place + 6] = b"wonder"
    edited.write_bytes(broken)
    assert run(emulator, edited).returncode != WANT


def test_the_fixtures_that_this_machine_can_open_still_open(tmp_path: Path) -> None:
    for name in ("liba.so", "libversions.so", "hash_sysv.so", "norelro.so", "now.so", "no_sections.so"):
        path = tmp_path / name
        path.write_bytes(edit((BIN / "x86_64" / name).read_bytes(), SetSearchPaths((LONG,)), AddNeeded("libm.so.6")))
        done = run(sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", path)
        before = run(sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", BIN / "x86_64" / name)
        assert done.returncode == before.returncode, done.stderr
    assert ctypes.CDLL(str(tmp_path / "liba.so"))
