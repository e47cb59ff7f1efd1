"""Wheels that are compiled here, repaired, installed by pip and imported by this Python, with the libraries that they were linked to gone.

Every module answers with a number that tells which libraries it got. The negative control of each is the wheel as it was built, which must
not load there.
"""

import fnmatch
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from elftools.elf.constants import P_FLAGS
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from built import EXTENSION, ROOT, TAG, Code, Link, What, Workshop, function, library, module
from built import run as must
from conftest import Result, Run, absent
from relocator import api
from relocator.cli.repair_options import SEARCH_VARIABLES
from repair_promise import unkept

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="asks glibc on x86_64"
)

Oracle = Callable[..., str]


class Judgement(NamedTuple):
    """What auditwheel thinks of a wheel."""

    tag: str
    libraries: set[str]
    """Real paths of those that it would bring in."""


Auditwheel = Callable[..., Judgement] | None
"""None where it is not installed."""

PROBE = """\
import importlib, json, sys
answers = [importlib.import_module(name).answer() for name in sys.argv[1:]]
with open("/proc/self/maps") as file:
    files = sorted({line.rstrip().split(None, 5)[5] for line in file if "/" in line})
print(json.dumps([answers, files]))
"""

ALONE_PROBE = """\
import ctypes, os, sys
for path in sys.argv[1:]:
    if os.fork() == 0:
        try:
            ctypes.CDLL(path, os.RTLD_NOW)
        except OSError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""


class Case(NamedTuple):
    """A wheel of the package that has its name, and what is expected of it once it is repaired."""

    name: str
    files: Mapping[str, What]
    """Of the wheel."""
    outside: Mapping[str, What]
    answers: Mapping[str, int]
    """By module."""
    brought: tuple[str, ...] | None = ()
    """Patterns of the members that are brought in; None where auditwheel knows."""
    options: tuple[str, ...] = ()
    tag: str = TAG
    """Of the wheel as built."""
    tags: tuple[str, ...] = ()
    """Of the result, where they are not those that auditwheel finds."""
    before: tuple[int, ...] | None = None
    """What the wheel as built answers without its libraries; None when it does not load."""
    kept: tuple[str, ...] = ()
    """Rules of what an option asks to leave as it is."""
    left: tuple[str, ...] = ()
    """Libraries that stay outside."""
    programs: Mapping[str, str] = MappingProxyType({})
    """What programs print when they are called with "word": by their names, or by their paths in the wheel."""
    requires: tuple[str, ...] = ()
    needs_outside: bool = False
    """LD_LIBRARY_PATH has to lead to what stays outside."""


def one(
    name: str,
    core: Code,
    outside: Mapping[str, What],
    answer: int,
    *brought: str,
    own: Mapping[str, What] = MappingProxyType({}),
    **more: Any,
) -> Case:
    """A package with one module, and further files of its own."""
    files = {f"{name}/__init__.py": b"", f"{name}/_core{{ext}}": core, **own}
    return Case(name, files, outside, {f"{name}._core": answer}, brought, **more)


# ---- names

DEEP = library("deep", 7, soname="libdeep.so.1")
NEEDS_DEEP = module("deep", needed=("libdeep.so.1",), rpath=ROOT)
BARE = library("deep", 7)
VERSIONS = "OLD_1 { global: deep; local: *; };\nNEW_2 { global: deeper; } OLD_1;\n"

NAMES = (
    one("plain", NEEDS_DEEP, {"libdeep.so.1": DEEP}, 7, "plain.libs/libdeep-????????.so.1"),
    one("absolute", module("deep", needed=(f"{ROOT}/libdeep.so",)), {"libdeep.so": BARE}, 7, "absolute.libs/libdeep-????????.so"),
    one("nameless", module("deep", needed=("libdeep.so",), rpath=ROOT), {"libdeep.so": BARE}, 7, "nameless.libs/libdeep-????????.so"),
    one(
        "odd",
        module("deep", needed=("libodd c++.so.1",), rpath=f"{ROOT}/lib c++, odd"),
        {"lib c++, odd/libodd c++.so.1": library("deep", 7, soname="libodd c++.so.1")},
        7,
        "odd.libs/libodd c++-????????.so.1",
    ),
    one("linked", NEEDS_DEEP, {"libdeep.so.1": Link("real.so"), "real.so": DEEP}, 7, "linked.libs/libdeep-????????.so.1"),
    one(
        "versions",
        module("deep", "deeper", against=(f"{ROOT}/libdeep.so.1",), rpath=ROOT),
        {
            "map": VERSIONS.encode(),
            "libdeep.so.1": Code(
                function("deep", 7) + function("deeper", 30), soname="libdeep.so.1", flags=(f"-Wl,--version-script={ROOT}/map",)
            ),
        },
        37,
        "versions.libs/libdeep-????????.so.1",
    ),
    Case(
        "namesakes",
        {
            "namesakes/_one{ext}": module("deep", needed=("libdeep.so.1",), runpath=f"{ROOT}/a", name="_one"),
            "namesakes/_two{ext}": module("deep", needed=("libdeep.so.1",), runpath=f"{ROOT}/b", name="_two"),
        },
        {"a/libdeep.so.1": DEEP, "b/libdeep.so.1": library("deep", 8, soname="libdeep.so.1")},
        {"namesakes._one": 7, "namesakes._two": 8},
        ("namesakes.libs/libdeep-????????.so.1",) * 2,
    ),
    Case(
        "twins",
        {
            "twins/_one{ext}": module("deep", needed=("libdeep.so.1",), runpath=f"{ROOT}/a", name="_one"),
            "twins/_two{ext}": module("deep", needed=("libdeep.so.1",), runpath=f"{ROOT}/b", name="_two"),
        },
        {"a/libdeep.so.1": DEEP, "b/libdeep.so.1": DEEP},
        {"twins._one": 7, "twins._two": 7},
        ("twins.libs/libdeep-????????.so.1",),
    ),
    one("kept", NEEDS_DEEP, {"libdeep.so.1": DEEP}, 7, "kept.libs/libdeep.so.1", options=("--no-rename-all",)),
    one("folder", NEEDS_DEEP, {"libdeep.so.1": DEEP}, 7, "folder.bundled/libdeep-????????.so.1", options=("-L", ".bundled")),
)

# ---- paths

TEN = {
    f"libl{i}.so": library(f"l{i}x", 1, f"l{i + 1}x", needed=(f"libl{i + 1}.so",), soname=f"libl{i}.so", runpath="$ORIGIN")
    for i in range(9)
}
LEFT = library("lefty", 1, "deep", needed=("libdeep.so.1",), soname="libleft.so")
RIGHT = library("righty", 20, "deep", needed=("libdeep.so.1",), soname="libright.so")
EIGHT = library("deep", 8, soname="libdeep.so.1")

PATHS = (
    one(
        "cycle",
        module("ping", needed=("libping.so",), rpath=ROOT),
        {
            "libping.so": Code(
                "int pong(int); int ping_more(int n) { return n ? n + pong(n - 1) : 0; } int ping(void) { return ping_more(4); }\n",
                needed=("libpong.so",),
                soname="libping.so",
            ),
            "libpong.so": Code(
                "int ping_more(int); int pong(int n) { return n ? 10 * n + ping_more(n - 1) : 0; }\n",
                needed=("libping.so",),
                soname="libpong.so",
            ),
        },
        4 + 30 + 2 + 10,
        "cycle.libs/libping-????????.so",
        "cycle.libs/libpong-????????.so",
    ),
    one(
        "ten",
        module("l0x", needed=("libl0.so",), runpath=ROOT),
        {**TEN, "libl9.so": library("l9x", 100, soname="libl9.so")},
        109,
        *(f"ten.libs/libl{i}-????????.so" for i in range(10)),
    ),
    one(
        "diamond",
        module("lefty", "righty", needed=("libleft.so", "libright.so"), rpath=ROOT),
        {"libleft.so": LEFT, "libright.so": RIGHT, "libdeep.so.1": DEEP},
        35,
        *(f"diamond.libs/{name}" for name in ("libdeep-????????.so.1", "libleft-????????.so", "libright-????????.so")),
    ),
    one(  # the library has no path of its own: the module's DT_RPATH counts for it
        "inherited",
        module("lefty", needed=("libleft.so",), rpath=f"{ROOT}/a:{ROOT}/b"),
        {"a/libleft.so": LEFT, "b/libdeep.so.1": DEEP},
        8,
        "inherited.libs/libdeep-????????.so.1",
        "inherited.libs/libleft-????????.so",
    ),
    one(  # a DT_RUNPATH of the library switches the module's DT_RPATH off
        "own_runpath",
        module("lefty", needed=("libleft.so",), rpath=f"{ROOT}/a"),
        {"a/libleft.so": LEFT._replace(runpath="$ORIGIN/../b"), "a/libdeep.so.1": DEEP, "b/libdeep.so.1": EIGHT},
        9,
        "own_runpath.libs/libdeep-????????.so.1",
        "own_runpath.libs/libleft-????????.so",
    ),
    Case(  # one library that brings another in each of two loads
        "divided",
        {
            "divided/_one{ext}": module("lefty", needed=("libleft.so",), rpath=f"{ROOT}:{ROOT}/a", name="_one"),
            "divided/_two{ext}": module("lefty", needed=("libleft.so",), rpath=f"{ROOT}:{ROOT}/b", name="_two"),
        },
        {"libleft.so": LEFT, "a/libdeep.so.1": DEEP, "b/libdeep.so.1": EIGHT},
        {"divided._one": 8, "divided._two": 9},
        ("divided.libs/libdeep-????????.so.1",) * 2 + ("divided.libs/libleft-????????.so",) * 2,
    ),
    one(
        "searched",
        NEEDS_DEEP._replace(rpath=""),
        {"libdeep.so.1": DEEP},
        7,
        "searched.libs/libdeep-????????.so.1",
        options=("--search", ROOT),
    ),
    one(
        "replaced",
        NEEDS_DEEP._replace(rpath=""),
        {"libdeep.so.1": DEEP},
        7,
        "replaced.libs/libdeep-????????.so.1",
        options=("--ldpaths", ROOT),
    ),
)

# ---- libraries of the wheel, and how it is laid out

OWN = library("deep", 5, soname="libdeep.so.1")
MAIN = '#include <stdio.h>\nint deep(void); int main(int n, char **v) { printf("%s %d\\n", v[n - 1], deep()); return 0; }\n'
ALONE = MAIN.replace("int deep(void);", "static int deep(void) { return 1; }")
PROGRAM = Code(MAIN, against=(f"{ROOT}/libdeep.so.1",), rpath=ROOT, program=True)
PURE = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {TAG}\n".encode()

INSIDE = (
    one("beside", NEEDS_DEEP._replace(rpath=""), {"libdeep.so.1": DEEP}, 5, options=("--search", ROOT), own={"beside/libdeep.so.1": OWN}),
    one("rivalled", NEEDS_DEEP, {"libdeep.so.1": DEEP}, 5, options=("--search", ROOT), own={"rivalled/lib/libdeep.so.1": OWN}),
    one(  # what is brought in uses the wheel's own, too
        "below",
        module("lefty", needed=("libleft.so",), rpath=ROOT),
        {"libleft.so": LEFT, "libdeep.so.1": DEEP},
        6,
        "below.libs/libleft-????????.so",
        own={"below/lib/libdeep.so.1": OWN},
    ),
    one(
        "led",
        module("lefty", needed=("libleft.so",), runpath="$ORIGIN/lib"),
        {"libdeep.so.1": DEEP},
        8,
        "led.libs/libdeep-????????.so.1",
        own={"led/lib/libleft.so": LEFT._replace(rpath=ROOT)},
    ),
    one(
        "bin",
        NEEDS_DEEP,
        {"libdeep.so.1": DEEP},
        7,
        "bin.libs/libdeep-????????.so.1",
        own={
            "bin-1.0.data/scripts/deep number": PROGRAM,
            "bin-1.0.data/scripts/alone": PROGRAM._replace(against=(), rpath="", source=ALONE),
        },
        programs={"deep number": "word 7\n", "alone": "word 1\n"},
    ),
    one(
        "tools",
        NEEDS_DEEP,
        {"libdeep.so.1": DEEP},
        7,
        "tools.libs/libdeep-????????.so.1",
        own={"tools/bin/deep": PROGRAM},
        programs={"tools/bin/deep": "word 7\n"},
    ),
    Case(
        "spaces",
        {"wide/inner/_core{ext}": NEEDS_DEEP},
        {"libdeep.so.1": DEEP},
        {"wide.inner._core": 7},
        ("spaces.libs/libdeep-????????.so.1",),
    ),
    Case(
        "top",
        {"topmost{ext}": NEEDS_DEEP._replace(module="topmost")},
        {"libdeep.so.1": DEEP},
        {"topmost": 7},
        ("top.libs/libdeep-????????.so.1",),
    ),
    Case(
        "datum",
        {
            "datum-1.0.data/platlib/datum/plat/_core{ext}": NEEDS_DEEP,
            "datum-1.0.data/purelib/datum/pure/_core{ext}": NEEDS_DEEP,
            "datum-1.0.dist-info/WHEEL": PURE,
            "datum/__init__.py": b"",
        },
        {"libdeep.so.1": DEEP},
        {"datum.plat._core": 7, "datum.pure._core": 7},
        ("datum.libs/libdeep-????????.so.1",),
        tags=("manylinux",),  # auditwheel refuses it
    ),
    Case(
        "stable",
        {"stable/_core.abi3.so": NEEDS_DEEP._replace(flags=("-DPy_LIMITED_API=0x03080000",))},
        {"libdeep.so.1": DEEP},
        {"stable._core": 7},
        ("stable.libs/libdeep-????????.so.1",),
        tag="cp38-abi3-linux_x86_64",
    ),
)

# ---- options, and what else is mended

LIBPYTHON = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
PLUGIN = Code(
    '#include <dlfcn.h>\nint answer(void) { void *library = dlopen("libplugin.so", RTLD_NOW); '
    'return library ? ((int (*)(void))dlsym(library, "plugin"))() : -1; }\n',
    module="_core",
)
PLUGGED = {"libplugin.so": library("plugin", 20, "deep", needed=("libdeep.so.1",), soname="libplugin.so", rpath=ROOT), "libdeep.so.1": DEEP}
STATX = "#define _GNU_SOURCE\n#include <sys/stat.h>\nint deep(void) { struct statx found; return statx(0, 0, 0, 0, &found) ? 7 : 0; }\n"
TROUBLE = """\
#include <stdexcept>
struct Trouble : std::runtime_error {
  int number;
  explicit Trouble(int given) : std::runtime_error("trouble"), number(given) {}
  ~Trouble() override;
};
"""

CHANGES = (
    one(
        "excluded",
        module("lefty", "righty", needed=("libleft.so", "libright.so"), rpath=ROOT),
        {
            "libleft.so": library("lefty", 1, "more", needed=("libmore.so",), soname="libleft.so", rpath=ROOT),
            "libmore.so": library("more", 5, soname="libmore.so"),
            "libright.so": RIGHT,
            "libdeep.so.1": DEEP,
        },
        33,
        "excluded.libs/libdeep-????????.so.1",
        "excluded.libs/libright-????????.so",
        options=("--exclude", "libleft*"),
        left=("libleft.so",),
        needs_outside=True,
    ),
    Case(
        "without",
        {"without/_core{ext}": NEEDS_DEEP, "without/_more{ext}": module("nowhere", needed=("libnowhere.so",), name="_more")},
        {"libdeep.so.1": DEEP},
        {"without._core": 7},
        ("without.libs/libdeep-????????.so.1",),
        options=("--allow-missing",),
        left=("libnowhere.so",),
    ),
    one(
        "plugin",
        PLUGIN,
        PLUGGED,
        27,
        "plugin.libs/libdeep-????????.so.1",
        "plugin.libs/libplugin.so",
        options=("--include", "libplugin.so", "--search", ROOT),
        before=(-1,),
    ),
    one(
        "path",
        PLUGIN,
        PLUGGED,
        27,
        "path.libs/libdeep-????????.so.1",
        "path.libs/libplugin.so",
        options=("--include", f"{ROOT}/libplugin.so"),
        before=(-1,),
    ),
    one(
        "some",
        module("lefty", needed=("libleft.so",), rpath=ROOT),
        {"libleft.so": LEFT._replace(runpath="$ORIGIN"), "libdeep.so.1": DEEP},
        8,
        "some.libs/libdeep-????????.so.1",
        "some.libs/libleft.so",
        options=("--no-rename", "libleft*"),
    ),
    one(
        "bare",
        NEEDS_DEEP._replace(flags=("-g",)),
        {"libdeep.so.1": DEEP._replace(flags=("-g",))},
        7,
        "bare.libs/libdeep-????????.so.1",
        options=("--strip",),
    ),
    one(
        "plat",
        NEEDS_DEEP,
        {"libdeep.so.1": Code(STATX, soname="libdeep.so.1")},
        7,
        "plat.libs/libdeep-????????.so.1",
        options=("--plat", "manylinux_2_31_x86_64", "--only-plat"),
        tags=("manylinux_2_31_x86_64",),
    ),
    one(
        "stack",
        NEEDS_DEEP._replace(flags=("-Wl,-z,execstack",)),
        {"libdeep.so.1": DEEP._replace(flags=("-Wl,-z,execstack",))},
        7,
        "stack.libs/libdeep-????????.so.1",
    ),
    one(
        "python",
        NEEDS_DEEP._replace(needed=(LIBPYTHON, "libdeep.so.1")),
        {"libdeep.so.1": DEEP},
        7,
        "python.libs/libdeep-????????.so.1",
    ),
    one(
        "thrown",
        Code(
            TROUBLE + 'extern "C" void raise_trouble(int); extern "C" int answer() {'
            " try { raise_trouble(40); } catch (const Trouble &one) { return one.number + 2; } return -1; }\n",
            needed=("libtrouble.so.1",),
            rpath=ROOT,
            compiler="g++",
            module="_core",
        ),
        {
            "libtrouble.so.1": Code(
                TROUBLE + 'Trouble::~Trouble() {} extern "C" void raise_trouble(int number) { throw Trouble(number); }\n',
                soname="libtrouble.so.1",
                compiler="g++",
            )
        },
        42,
        "thrown.libs/libtrouble-????????.so.1",
    ),
)

# ---- libraries of the system


def of_system(
    name: str, body: str, answer: int, *headers: str, link: str, flags: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> Case:
    """A module that does some work with a library of the system; as built it loads, with the very library."""
    source = "".join(f"#include <{header}>\n" for header in headers) + f"int answer(void) {{ {body} }}\n"
    files: dict[str, What] = {f"{name}/_core{{ext}}": Code(source, against=(link,), flags=flags, module="_core")}
    return Case(name, files, {}, {f"{name}._core": answer}, None, options, before=(answer,))


SYSTEM = (
    of_system(
        "png",
        "png_structp made = png_create_read_struct(PNG_LIBPNG_VER_STRING, 0, 0, 0); int good = made != 0; "
        "png_destroy_read_struct(&made, 0, 0); return good && png_access_version_number() == PNG_LIBPNG_VER;",
        1,
        "png.h",
        link="-lpng",
    ),
    of_system(
        "xml2",
        'xmlDocPtr found = xmlReadMemory("<a><b/><b/><b/></a>", 19, 0, 0, 0); '
        "int count = xmlChildElementCount(xmlDocGetRootElement(found)); xmlFreeDoc(found); return count;",
        3,
        "libxml/parser.h",
        link="-lxml2",
        flags=("-I/usr/include/libxml2",),
    ),
    of_system(
        "openblas",
        "double a[] = {1, 2, 3}, b[] = {4, 5, 6}; return (int)cblas_ddot(3, a, 1, b, 1);",
        32,
        "cblas.h",
        link="-lopenblas",
        options=("-z", "1"),
    ),
)

# ---- odd names and files

ODD = (
    one(  # one file by two names
        "alias",
        module("deep", needed=("libalias.so", "libdeep.so.1"), rpath=ROOT),
        {"libdeep.so.1": DEEP, "libalias.so": Link("libdeep.so.1")},
        7,
        "alias.libs/libdeep-????????.so.1",
    ),
    one(
        "pathto",
        module("deep", needed=(f"{ROOT}/libdeep.so.1",)),
        {"libdeep.so.1": DEEP},
        5,
        own={"pathto/lib/libdeep.so.1": OWN},
    ),
    one(
        "packed",
        NEEDS_DEEP._replace(compiler="clang-22 -fuse-ld=lld", flags=("-Wl,-z,pack-relative-relocs",)),
        {
            "libdeep.so.1": Code(
                "int number = 7; int *pointer = &number; int deep(void) { return *pointer; }\n",
                soname="libdeep.so.1",
                compiler="clang-22 -fuse-ld=lld",
                flags=("-Wl,-z,pack-relative-relocs",),
            )
        },
        7,
        "packed.libs/libdeep-????????.so.1",
    ),
    Case(
        "dupes",
        {
            f"dupes/{x}/{name}": what
            for x in "ab"
            for name, what in {"libdeep.so.1": DEEP, "_core{ext}": module("deep", needed=("libdeep.so.1",), runpath="$ORIGIN")}.items()
        },
        {},
        {"dupes.a._core": 7, "dupes.b._core": 7},
        before=(7, 7),
    ),
    one(
        "copies",
        module("deep", needed=("libdeep.so.1",)),
        {},
        7,
        own={f"copies/{name}": DEEP for name in ("libdeep.so", "libdeep.so.1", "libdeep.so.1.2")},
    ),
    Case(
        "sibling",
        {
            "sibling/_base{ext}": Code(function("answer", 1) + function("base", 30), module="_base"),
            "sibling/_core{ext}": module("base", needed=("_base" + EXTENSION,)),
        },
        {},
        {"sibling._core": 30},
    ),
    one("misnamed", module("deep", needed=("libdeep.so.1",)), {}, 7, own={"misnamed/lib/libdeep.so": DEEP}),
    one(
        "accents",
        module("deep", needed=("libgr\u00f6.so.1",), rpath=f"{ROOT}/gr\u00f6"),
        {"gr\u00f6/libgr\u00f6.so.1": library("deep", 7, soname="libgr\u00f6.so.1")},
        7,
        "accents.libs/libgr\u00f6-????????.so.1",
    ),
    one(
        "stdcxx",
        Code('#include <string>\nextern "C" int answer() { return std::to_string(12345).size() + 2; }\n', compiler="g++", module="_core"),
        {},
        7,
        "stdcxx.libs/libstdc++-????????.so.6",
        options=("--include", "libstdc++.so.6"),
        before=(7,),
    ),
    one(
        "sub",
        NEEDS_DEEP._replace(needed=("sub/libdeep.so.1",), rpath=""),
        {"sub/libdeep.so.1": BARE},
        7,
        "sub.libs/libdeep-????????.so.1",
        options=("--search", f"{ROOT}/sub"),
    ),
)

GROUPS = {"names": NAMES, "paths": PATHS, "inside": INSIDE, "changes": CHANGES, "odd": ODD}


# ---- making and looking


class Made(NamedTuple):
    """A wheel that was built and repaired."""

    case: Case
    wheel: Path
    output: Path
    plan: dict[str, Any]
    root: Path

    @property
    def gone(self) -> Path:
        """Where the folder of what lies outside is moved to."""
        return self.root.with_name(f"{self.case.name} gone")

    @property
    def copied(self) -> dict[str, str]:
        """Member -> the file that it is a copy of."""
        return {action["member"]: action["origin"]["path"] for action in self.plan["actions"] if action["action"] == "copy-in"}


class Bench(NamedTuple):
    """Where the wheels of a test are made."""

    workshop: Workshop
    folder: Path
    run: Run

    def build(self, case: Case, root: Path) -> Path:
        """Compile what lies outside, and the wheel."""
        root.mkdir()
        for name, what in case.outside.items():
            self.workshop.write(root / name, what, root)
        return self.workshop.wheel(self.folder, case.name, case.files, root, tag=case.tag, requires=case.requires)

    def make(self, case: Case) -> Made:
        """Build a wheel and repair it; the plan of a dry run comes true, and a second repair finds nothing to do."""
        root = self.folder / f"{case.name} outside"
        wheel = self.build(case, root)
        rehearsed = self.plan(wheel, case, root, "out", "--dry-run")
        assert not (self.folder / "out" / rehearsed["name"]).exists()
        plan = self.plan(wheel, case, root, "out")
        assert plan["actions"] == rehearsed["actions"]
        output = Path(plan["output"])
        again = self.plan(output, case, root, "again")
        assert (again["actions"], again["outcome"]) == ([], "copied"), case.name
        assert Path(again["output"]).read_bytes() == output.read_bytes()
        return Made(case, wheel, output, plan, root)

    def plan(self, wheel: Path, case: Case, root: Path, out: str, *options: str) -> dict[str, Any]:
        """Run the command; it must end well."""
        result = self.repair(wheel, *(option.replace(ROOT, str(root)) for option in case.options), *options, out=out)
        assert result.code == 0, f"{case.name}: {result.err}"
        (plan,) = json.loads(result.out)["plans"]
        assert isinstance(plan, dict)
        return plan

    def repair(self, wheel: Path, *options: str, out: str = "out") -> Result:
        return self.run("repair", wheel, "-w", self.folder / out, "--format", "json", "-q", *options)


@pytest.fixture
def bench(tmp_path: Path, oracle: Oracle, run: Run, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Bench:
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        absent(request.config, "Python.h")
    (tmp_path / ".git").mkdir()  # no configuration above counts
    monkeypatch.chdir(tmp_path)
    for name in SEARCH_VARIABLES:
        if name != "PATH":
            monkeypatch.delenv(name, raising=False)
    return Bench(Workshop(tmp_path / "objects", oracle), Path(os.path.realpath(tmp_path)), run)


@pytest.fixture
def auditwheel(request: pytest.FixtureRequest) -> Auditwheel:
    if importlib.util.find_spec("auditwheel") is None:
        if request.config.getoption("--oracles") == "required":
            absent(request.config, "auditwheel")
        return None
    analyze = importlib.import_module("auditwheel.wheel_abi").analyze_wheel_abi  # it has no types

    def judge(wheel: Path, left: Iterable[str] = ()) -> Judgement:
        info = analyze(None, None, wheel, frozenset(left), disable_isa_ext_check=True, allow_graft=False)
        best = info.sym_policy.name
        return Judgement(info.overall_policy.name, {str(path) for path in info.external_refs[best].libs.values()})

    return judge


def environment(folder: Path, wheels: Sequence[Path]) -> Path:
    """Let pip install the wheels into a new environment, and return its Python."""
    must([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin/python"
    own = ["--disable-pip-version-check", "--no-compile", "-q"]
    must([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", *own, *wheels])
    return python


def imported(python: Path | str, modules: Iterable[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Import modules in a new process, and ask each for its answer."""
    env = {"PATH": os.defpath, "LANG": "C.UTF-8", **variables}
    return subprocess.run([str(python), "-c", PROBE, *modules], capture_output=True, text=True, check=False, timeout=60, env=env, cwd="/")


def imported_as_built(made: Made) -> subprocess.CompletedProcess[str]:
    """Import the modules of the wheel that was not repaired."""
    unpacked = made.gone.with_name(f"{made.case.name} unpacked")
    with zipfile.ZipFile(made.wheel) as archive:
        for info in archive.infolist():
            info.filename = re.sub(r"^[^/]*\.data/(?:plat|pure)lib/", "", info.filename)
            archive.extract(info, unpacked)
    done = imported(sys.executable, made.case.answers, PYTHONPATH=str(unpacked))
    shutil.rmtree(unpacked)
    return done


def wrong_before(made: Made) -> list[str]:
    """Return what is wrong with the negative control."""
    done = imported_as_built(made)
    if made.case.before is not None:
        answers = json.loads(done.stdout)[0] if done.returncode == 0 else done.stderr
        return [] if answers == [*made.case.before] else [f"as built it answers {answers}"]
    if done.returncode == 0 or "ImportError" not in done.stderr or "cannot open shared object file" not in done.stderr:
        return [f"as built it should not load: {done.stdout}{done.stderr}"]
    return []


def wrong_after(made: Made, python: Path) -> list[str]:
    """Return what is wrong with the repaired wheel in its environment."""
    variables = {"LD_LIBRARY_PATH": str(made.gone)} if made.case.needs_outside else {}
    done = imported(python, made.case.answers, **variables)
    if done.returncode:
        return [done.stderr]
    answers, files = json.loads(done.stdout)
    wrong = [] if answers == [*made.case.answers.values()] else [f"the answers are {answers}"]
    site = next(path for path in python.parent.parent.glob("lib/python*/site-packages"))
    wrong += [f"{member} is not loaded" for member in made.copied if str(site / member) not in files]
    wrong += [f"{path} is loaded, which was brought in" for path in made.copied.values() if os.path.realpath(path) in files]
    alone = must([python, "-c", ALONE_PROBE, *(site / member for member in made.copied)], env={"PATH": os.defpath})
    wrong += [f"opened first of all: {line}" for line in alone.stdout.splitlines()]
    for program, expected in made.case.programs.items():
        path = site / program if "/" in program else python.with_name(program)
        started = subprocess.run([path, "word"], capture_output=True, text=True, check=False, timeout=60)
        wrong += [] if started.stdout == expected else [f"{program} prints {started.stdout}{started.stderr}"]
    return wrong


class Looked(NamedTuple):
    """What pyelftools reads in the binaries of a wheel."""

    stacks: list[str]
    """Members that ask for an executable stack."""
    names: list[str]
    """Of DT_NEEDED."""
    debug: list[str]
    """Members with debugging information."""


def looked_at(wheel: Path) -> Looked:
    found = Looked([], [], [])
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            data = archive.read(member)
            if not data.startswith(b"\x7fELF"):
                continue
            file = ELFFile(io.BytesIO(data))
            for segment in file.iter_segments():
                if segment["p_type"] == "PT_GNU_STACK" and segment["p_flags"] & P_FLAGS.PF_X:
                    found.stacks.append(member)
                if isinstance(segment, DynamicSegment):
                    found.names.extend(tag.needed for tag in segment.iter_tags("DT_NEEDED"))
            if file.has_dwarf_info(strict=True):
                found.debug.append(member)
    return found


def wrong_in(made: Made, auditwheel: Auditwheel) -> list[str]:
    """Return what is wrong with the archive itself."""
    case, copied = made.case, sorted(made.copied)
    wrong = []
    if case.brought is None:
        real = {os.path.realpath(path) for path in made.copied.values()}
        if auditwheel and (wanted := {os.path.realpath(path) for path in auditwheel(made.wheel).libraries}) != real:
            wrong.append(f"brought in are {real} and not {wanted}")
    elif len(copied) != len(case.brought) or not all(map(fnmatch.fnmatchcase, copied, case.brought)):
        wrong.append(f"brought in are {copied}")
    if (left := tuple(item["name"] for item in made.plan["left"])) != case.left:
        wrong.append(f"left outside are {left}")
    platforms = made.output.stem.split("-")[-1].split(".")
    expected = case.tags or ((auditwheel(made.output, case.left).tag,) if auditwheel else ("manylinux",))
    if not any(tag.startswith(expected) for tag in platforms):
        wrong.append(f"the tags are {platforms} and not {expected}")
    stacks, names, debug = looked_at(made.output)
    if stacks:
        wrong.append(f"an executable stack is asked for by {stacks}")
    if any(name.startswith("/") or fnmatch.fnmatchcase(name, "libpython*") for name in names):
        wrong.append(f"needs are {names}")
    if debug and "--strip" in case.options:
        wrong.append(f"there is debugging information in {debug}")
    reports, failures = api.audit(made.output)
    assert not failures
    wrong += [f"an audit finds {finding}" for report in reports for finding in unkept(report, kept=case.kept)]
    return wrong


def check(every: Sequence[Made], bench: Bench, auditwheel: Auditwheel) -> None:
    """Move away what the wheels were linked to; as built they must not load, and repaired they must."""
    for made in every:
        made.root.rename(made.gone)
    python = environment(bench.folder / "environment", [made.output for made in every])
    wrong = {made.case.name: [*wrong_before(made), *wrong_after(made, python), *wrong_in(made, auditwheel)] for made in every}
    assert {name: told for name, told in wrong.items() if told} == {}


@pytest.mark.parametrize("title", GROUPS)
def test_a_repaired_wheel_works_where_its_libraries_are_absent(title: str, bench: Bench, auditwheel: Auditwheel) -> None:
    check([bench.make(case) for case in GROUPS[title]], bench, auditwheel)


@pytest.mark.parametrize("case", SYSTEM, ids=lambda case: case.name)
def test_libraries_of_the_system_are_used_no_longer(
    case: Case, bench: Bench, auditwheel: Auditwheel, request: pytest.FixtureRequest, oracle: Oracle
) -> None:
    core = next(iter(case.files.values()))
    assert isinstance(core, Code)
    preprocess = [oracle("gcc"), *core.flags, "-E", "-xc", "-", "-o", os.devnull]
    if subprocess.run(preprocess, input=core.source, text=True, capture_output=True, check=False).returncode:
        absent(request.config, f"lib{case.name}-dev")
    made = bench.make(case)
    loaded = json.loads(imported_as_built(made).stdout)[1]
    assert {os.path.realpath(path) for path in made.copied.values()} <= set(loaded), "the control must see those of the system"
    python = environment(bench.folder / "environment", [made.output])
    assert [*wrong_before(made), *wrong_after(made, python), *wrong_in(made, auditwheel)] == []


# ---- two wheels


def test_a_library_of_another_wheel_is_used_where_it_lies(bench: Bench) -> None:
    root = bench.folder / "provider"
    bench.workshop.write(root / "libdeep.so.1", DEEP, root)
    files: dict[str, What] = {"provider/__init__.py": b"", "provider/lib/libdeep.so.1": (root / "libdeep.so.1").read_bytes()}
    provider = bench.workshop.wheel(bench.folder, "provider", files, root)
    core = module("lefty", needed=("libleft.so",), rpath=f"{ROOT}:{bench.folder}/provider")
    case = one(
        "consumer",
        core,
        {"libleft.so": LEFT},
        8,
        "consumer.libs/libleft-????????.so",
        options=("--provided-by", f"provider={provider}"),
        requires=("provider",),
    )
    made = bench.make(case)
    assert [(item["name"], item["why"]) for item in made.plan["left"]] == [("libdeep.so.1", "--provided-by provider")]
    for folder in (root, made.root):
        folder.rename(folder.with_name(f"{folder.name} gone"))
    python = environment(bench.folder / "environment", [made.output, provider])
    assert [*wrong_before(made), *wrong_after(made, python)] == []
    files_loaded = json.loads(imported(python, case.answers).stdout)[1]
    (lib,) = python.parent.parent.glob("lib/python*/site-packages/provider/lib/libdeep.so.1")
    assert str(lib) in files_loaded
    lib.unlink()
    assert "libdeep.so.1: cannot open shared object file" in imported(python, case.answers).stderr


# ---- refusals


def refused(bench: Bench, case: Case) -> list[str]:
    """Return the reasons why a wheel is not repaired; nothing may have been written."""
    root = bench.folder / f"{case.name} outside"
    wheel = bench.build(case, root)
    result = bench.repair(wheel, *(option.replace(ROOT, str(root)) for option in case.options))
    assert result.code == 4
    assert not list(bench.folder.glob("out/*"))
    errors = json.loads(result.out)["errors"]
    assert all(error["hint"] for error in errors)
    return [error["message"] for error in errors]


def test_what_cannot_be_had_is_refused(bench: Bench) -> None:
    newer = one("newer", NEEDS_DEEP, {"libdeep.so.1": Code(STATX, soname="libdeep.so.1")}, 7, options=("--plat", "manylinux2014_x86_64"))
    (told,) = refused(bench, newer)
    assert re.search(r"newer\.libs/libdeep-.{8}\.so\.1 needs statx@GLIBC_2\.28 from libc\.so\.6$", told)
    absentee = one("absentee", module("deep", "nowhere", needed=("libdeep.so.1", "libnowhere.so.3"), rpath=ROOT), {"libdeep.so.1": DEEP}, 7)
    (told,) = refused(bench, absentee)
    assert "libnowhere.so.3" in told
    assert "absentee/_core" in told
    (told,) = refused(bench, absentee._replace(name="hostless", files={"_core{ext}": NEEDS_DEEP}, options=("--no-host",)))
    assert "libdeep.so.1" in told


# ---- other machines


def test_a_wheel_for_musl_loads_with_musls_loader(bench: Bench, oracle: Oracle) -> None:
    compiler = oracle("musl-gcc")
    probe = bench.folder / "probe"
    must([compiler, "-o", probe, Path(__file__).with_name("dlopen_probe.c")])
    left = LEFT._replace(compiler="musl-gcc", runpath="$ORIGIN/deeper")
    core = Code(function("answer", 0, "lefty"), needed=("libleft.so",), compiler="musl-gcc")
    outside: dict[str, What] = {"libleft.so": left, "deeper/libdeep.so.1": DEEP._replace(compiler="musl-gcc")}
    brought = ("musl.libs/libdeep-????????.so.1", "musl.libs/libleft-????????.so")
    name = "musl/_core.cpython-312-x86_64-linux-musl.so"
    options = ("--search", ROOT, "--search", f"{ROOT}/deeper")  # search paths of a musl file are not followed on a machine with glibc
    case = Case("musl", {name: core}, outside, {}, brought, options, tag="cp312-cp312-linux_x86_64")
    made = bench.make(case)
    made.root.rename(made.gone)
    assert "musllinux_1_1_x86_64" in made.output.name or "musllinux_1_2_x86_64" in made.output.name
    for wheel, works in ((made.wheel, False), (made.output, True)):
        unpacked = bench.folder / f"{works} unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        told = must([probe, unpacked / name]).stdout.splitlines()
        assert told[0].startswith("ok ") == works, told
        loaded = {os.path.realpath(line[5:]) for line in told if line.startswith("file ")}
        assert {str(unpacked / member) for member in made.copied} <= loaded or not works
    reports, _ = api.audit(made.output)
    assert [finding for report in reports for finding in unkept(report)] == []


class Machine(NamedTuple):
    """A system that wheels are built for here and that is not this one."""

    name: str
    compiler: str
    """Its target, and more that it has to be told."""
    tag: str
    after: str
    """Platform tags of the result."""
    folders: tuple[str, ...] = ("--search", f"{ROOT}/native", "--search", f"{ROOT}/other")
    path: str = "RPATH"


def _glibc(arch: str, target: str = "", first: tuple[int, str] = (17, "manylinux2014_{}.")) -> Machine:
    level, older = first
    return Machine(arch, target or f"{arch}-linux-gnu", f"linux_{arch}", f"{older.format(arch)}manylinux_2_{level}_{arch}")


MACHINES = (
    _glibc("aarch64"),
    _glibc("ppc64le", "powerpc64le-linux-gnu"),
    _glibc("s390x"),
    _glibc("riscv64", first=(31, "")),
    _glibc("armv7l", "armv7-linux-gnueabihf -mfloat-abi=hard"),
    _glibc("i686", "i686-linux-gnu", first=(5, "manylinux1_{}.")),
    Machine(
        "android",
        "aarch64-linux-android24",
        "android_24_arm64_v8a",
        "android_24_arm64_v8a",
        ("--ldpaths", f"{ROOT}/native:{ROOT}/other"),
        "RUNPATH",
    ),
)
"""Of every byte order and width."""


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_wheel_for_another_architecture_is_repaired_with_the_libraries_of_that_one(
    machine: Machine, bench: Bench, oracle: Oracle
) -> None:
    oracle("ld.lld-22", "ld.lld")
    readelf = oracle("llvm-readelf-22", "llvm-readelf")
    compiler = f"clang-22 --target={machine.compiler} -ffreestanding -fno-stack-protector -nostdlib -fuse-ld=lld"
    deep, left = (code._replace(compiler=compiler) for code in (DEEP, LEFT))
    core = Code(function("answer", 0, "lefty"), needed=("libleft.so",), compiler=compiler)
    case = Case(
        "cross",
        {"cross/_core.so": core},
        {"native/libdeep.so.1": DEEP, "native/libleft.so": LEFT, "other/libdeep.so.1": deep, "other/libleft.so": left},
        {},
        ("cross.libs/libdeep-????????.so.1", "cross.libs/libleft-????????.so"),
        machine.folders,
        tag=f"cp312-cp312-{machine.tag}",
        tags=(machine.after.rpartition(".")[2],),
    )
    made = bench.make(case)
    assert {Path(path).parent.name for path in made.copied.values()} == {"other"}
    assert made.output.name.removesuffix(".whl").rpartition("-")[2] == machine.after
    assert wrong_in(made, None) == []
    unpacked = bench.folder / "unpacked"
    with zipfile.ZipFile(made.output) as archive:
        archive.extractall(unpacked)
    deep_name, left_name = (Path(member).name for member in sorted(made.copied))
    for file, needed, path in (
        ("cross/_core.so", left_name, "$ORIGIN/../cross.libs"),
        (f"cross.libs/{left_name}", deep_name, "$ORIGIN"),
    ):
        told = must([readelf, "-d", unpacked / file]).stdout
        assert f"[{needed}]" in told
        assert re.search(rf"\({machine.path}\).*\[{re.escape(path)}\]", told), told
