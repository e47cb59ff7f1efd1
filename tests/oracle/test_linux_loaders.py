"""The models of glibc's and musl's loader against the loaders themselves: the same trees, the same answers.

Every scenario is told to the model and to the real thing as it is, and once more with one change that must turn the answer around.
"""

import os
import platform
import random
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from builders import LINUX, MANYLINUX
from relocator.backends.linux.load import load
from relocator.backends.linux.read import read
from relocator.errors import UnreadableBinary
from relocator.loading import OtherFile, Process, Seen
from relocator.model import Binary, Format, How, Load, Unreadable
from relocator.target import Level, Promises, Target

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64" or os.name != "posix", reason="the trees are made for Linux on x86_64")

PROBE = Path(__file__).with_name("dlopen_probe.c")
MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
MUSLLINUX = Promises("musllinux", "x86_64", (Level((1, 2), ("musllinux_1_2",)),))
TARGETS = {"glibc": (LINUX, MANYLINUX), "musl": (MUSL, MUSLLINUX)}
TREES = 40
DT_RPATH = 15
DT_DEPAUDIT = 0x6FFFFEFB


class Lib(NamedTuple):
    """A library to be linked."""

    needed: tuple[str, ...] = ()
    rpath: str = ""
    runpath: str = ""
    soname: str = ""
    target: str = "x86_64"
    machine: int | None = None
    """Written over e_machine, as a little-endian number."""
    flags: tuple[str, ...] = ()


class Link(NamedTuple):
    """A symbolic link, relative to the tree."""

    to: str


class Probe(NamedTuple):
    """A copy of the probing program."""


What = Lib | Link | Probe | bytes | None
A = "pkg/a.so"
X, Y = "libs/libx.so", "libs/liby.so"
HEADER = b"\x7fELF\2\1\1" + bytes(33)
EMULATIONS = {"x86_64": "elf_x86_64", "i686": "elf_i386", "aarch64": "aarch64linux", "s390x": "elf64_s390"}
SOURCE = "int number; int *pointer = &number;\n"
"""With a relocation: musl maps a library of any machine and stumbles only there."""


class Scenario(NamedTuple):
    """A tree in which pkg/a.so is opened, and a change to it after which the answer differs."""

    name: str
    files: Mapping[str, What]
    change: Mapping[str, What]
    first: tuple[str, ...] = ()
    """Opened before."""
    library_path: str = ""
    same: tuple[str, ...] = ()
    """Loaders for which the change makes no difference."""
    trail: bool = True
    """The model tries the same places in the same order as this machine's glibc; else see the decisions in glibc.py."""


def needs(*names: str, **paths: str) -> Lib:
    return Lib(names, **paths)  # type: ignore[arg-type]


SCENARIOS = (
    Scenario(
        "a neighbour is not found without a path", {A: needs("libx.so"), "pkg/libx.so": Lib()}, {A: needs("libx.so", rpath="$ORIGIN")}
    ),
    Scenario("rpath is inherited", {A: needs("libx.so", rpath="$ORIGIN/../libs"), X: needs("liby.so"), Y: Lib()}, {Y: None}),
    Scenario(
        "runpath is not inherited by glibc",
        {A: needs("libx.so", runpath="$ORIGIN/../libs"), X: needs("liby.so"), Y: Lib()},
        {A: needs("libx.so", rpath="$ORIGIN/../libs")},
        same=("musl",),
    ),
    Scenario(
        "a runpath switches the object's rpath off",
        {A: needs("libx.so", rpath="$ORIGIN/../libs", runpath="$ORIGIN/../void"), X: Lib()},
        {A: needs("libx.so", runpath="$ORIGIN/../libs")},
    ),
    Scenario(
        "a runpath switches inherited rpaths off, for glibc",
        {A: needs("libx.so", rpath="$ORIGIN/../libs"), X: needs("liby.so", runpath="$ORIGIN/../void"), Y: Lib()},
        {X: needs("liby.so", runpath="$ORIGIN")},
        same=("musl",),
    ),
    Scenario(
        "the rpath of an ancestor with a runpath is ignored",
        {
            A: needs("libx.so", rpath="$ORIGIN/../more", runpath="$ORIGIN/../libs"),
            X: needs("liby.so"),
            "more/liby.so": Lib(),
        },
        {A: needs("libx.so", rpath="$ORIGIN/../libs:$ORIGIN/../more")},
    ),
    Scenario("an empty element is no directory of the package", {A: needs("libx.so", rpath=":$ORIGIN/../void:"), X: Lib()}, {A: Lib()}),
    Scenario("a relative element is no directory of the package", {A: needs("libx.so", rpath="libs"), X: Lib()}, {A: Lib()}),
    Scenario(
        "a soname satisfies a later need, for glibc",
        {
            A: needs("libx.so", "liby.so", rpath="$ORIGIN/../libs"),
            X: Lib(soname="libshared.so"),
            Y: needs("libshared.so"),
        },
        {X: Lib(soname="libother.so")},
        same=("musl",),
    ),
    Scenario(
        "the first of two files with one name wins",
        {
            A: needs("libx.so", "liby.so", rpath="$ORIGIN/../libs"),
            X: needs("libz.so", runpath="$ORIGIN/../one"),
            Y: needs("libz.so", runpath="$ORIGIN/../two"),
            "one/libz.so": Lib(),
            "two/libz.so": Lib(),
        },
        {A: needs("liby.so", "libx.so", rpath="$ORIGIN/../libs")},
    ),
    Scenario(
        "loading is breadth first",
        {
            A: needs("libx.so", "liby.so", rpath="$ORIGIN/../libs"),
            X: needs("libz.so"),
            Y: needs("libw.so"),
            "libs/libz.so": Lib(),
            "libs/libw.so": Lib(),
        },
        {A: needs("liby.so", "libx.so", rpath="$ORIGIN/../libs")},
    ),
    Scenario(
        "two names of one file are one object",
        {
            A: needs("libx.so", "libx.so.1", "liby.so", rpath="$ORIGIN/../libs"),
            "libs/real.so": Lib(),
            X: Link("libs/real.so"),
            "libs/libx.so.1": Link("libs/real.so"),
            Y: Lib(),
        },
        {"libs/libx.so.1": Lib()},
    ),
    Scenario(
        "another class is passed over by glibc",
        {A: needs("libx.so", rpath="$ORIGIN/../bad:$ORIGIN/../libs"), "bad/libx.so": Lib(target="i686"), X: Lib()},
        {X: None},
        same=("musl",),
    ),
    Scenario(
        "another machine is passed over by glibc",
        {A: needs("libx.so", rpath="$ORIGIN/../bad:$ORIGIN/../libs"), "bad/libx.so": Lib(target="aarch64"), X: Lib()},
        {X: None},
        same=("musl",),
    ),
    Scenario(
        "another byte order ends the search",
        {A: needs("libx.so", rpath="$ORIGIN/../bad:$ORIGIN/../libs"), "bad/libx.so": Lib(target="s390x", machine=62), X: Lib()},
        {"bad/libx.so": None},
    ),
    Scenario(
        "a file cut short ends the search",
        {A: needs("libx.so", rpath="$ORIGIN/../bad:$ORIGIN/../libs"), "bad/libx.so": HEADER, X: Lib()},
        {"bad/libx.so": None},
    ),
    Scenario(
        "a text ends the search",
        {A: needs("libx.so", rpath="$ORIGIN/../bad:$ORIGIN/../libs"), "bad/libx.so": b"INPUT(libx.so.1)\n" * 50, X: Lib()},
        {"bad/libx.so": None},
    ),
    Scenario(
        "a program ends the search of glibc",
        {A: needs("libx.so", rpath="$ORIGIN/../bad:$ORIGIN/../libs"), "bad/libx.so": Probe(), X: Lib()},
        {"bad/libx.so": None},
    ),
    Scenario(
        "origin is where a link lies",
        {
            A: needs("libx.so", rpath="$ORIGIN/../links"),
            "real/libx.so": needs("liby.so", runpath="$ORIGIN"),
            "links/libx.so": Link("real/libx.so"),
            "real/liby.so": Lib(),
            "links/liby.so": Lib(),
        },
        {"links/libx.so": needs("liby.so", runpath="$ORIGIN/../real")},
    ),
    Scenario(
        "a hwcaps subdirectory is searched by glibc",
        {A: needs("libx.so", rpath="$ORIGIN/../libs"), "libs/glibc-hwcaps/x86-64-v2/libx.so": Lib()},
        {"libs/glibc-hwcaps/x86-64-v2/libx.so": None, X: Lib()},
        trail=False,
    ),
    Scenario(
        "a relative path as a name depends on the current directory",
        {A: needs("libs/libx.so", rpath="$ORIGIN/.."), X: Lib()},
        {A: needs("libx.so", rpath="$ORIGIN/../libs")},
    ),
    Scenario(
        "a path with a token as a name is expanded by glibc",
        {A: needs("$ORIGIN/../libs/libx.so"), X: Lib()},
        {X: None},
        same=("musl",),
    ),
    Scenario(
        "rpath goes before the environment, for glibc",
        {A: needs("libx.so", rpath="$ORIGIN/../libs"), X: Lib(), "env/libx.so": Lib()},
        {A: needs("libx.so", runpath="$ORIGIN/../libs")},
        library_path="env",
        same=("musl",),
    ),
    Scenario(
        "runpath goes after the environment",
        {A: needs("libx.so", runpath="$ORIGIN/../libs"), X: Lib(), "env/libx.so": Lib()},
        {"env/libx.so": None},
        library_path="env",
    ),
    Scenario("the rpath of the program is searched", {A: needs("libx.so"), "exe/libx.so": Lib()}, {"exe/libx.so": None}),
    Scenario(
        "the rpath of the program is not for objects with a runpath, for glibc",
        {A: needs("libx.so", runpath="$ORIGIN/../void"), "exe/libx.so": Lib()},
        {A: needs("libx.so", rpath="$ORIGIN/../void")},
        same=("musl",),
    ),
    Scenario(
        "what was opened first satisfies by its soname, for glibc",
        {A: needs("libx.so"), X: Lib(soname="libx.so")},
        {X: Lib()},
        first=(X,),
        same=("musl",),
    ),
    Scenario(
        "the rpath of what was opened first is not searched",
        {A: needs("liby.so"), X: needs(rpath="$ORIGIN"), Y: Lib()},
        {A: needs("liby.so", rpath="$ORIGIN/../libs")},
        first=(X,),
    ),
    Scenario(
        "a search that comes upon a file opened first takes it",
        {
            A: needs("libx.so.1", "libx.so", rpath="$ORIGIN/../links:$ORIGIN/../more"),
            X: Lib(),
            "links/libx.so.1": Link(X),
            "more/libx.so": Lib(),
        },
        {"links/libx.so.1": Lib()},
        first=(X,),
        same=(),
    ),
    Scenario(
        "lib is a token of glibc and spoils the path for musl",
        {
            A: needs("libx.so", rpath="$ORIGIN/../$LIB:$ORIGIN/../libs"),
            **{f"{folder}/libx.so": Link("real/libx.so") for folder in ("lib", "lib64", "lib/x86_64-linux-gnu")},
            "real/libx.so": Lib(),
            X: Lib(),
        },
        {A: Lib()},
        trail=False,
    ),
    Scenario(
        "a longer word than a token is none for glibc",
        {A: needs("libx.so", rpath="$ORIGINAL:$ORIGIN/../libs"), X: Lib()},
        {A: needs("libx.so", rpath="$ORIGINAL")},
    ),
    Scenario(
        "braces are allowed",
        {A: needs("libx.so", rpath="${ORIGIN}/../libs"), X: Lib()},
        {A: needs("libx.so", rpath="${ORIGIN/../libs")},
    ),
    Scenario(
        "the parts of libc are musl itself",
        {A: needs("libm.so.6", "liby.so", rpath="$ORIGIN/../libs"), "libs/libm.so.6": Lib(), Y: Lib()},
        {Y: None},
    ),
    Scenario(
        "the c library is there before a bundled one",
        {A: needs("libc.so.6", "liby.so", rpath="$ORIGIN/../libs"), "libs/libc.so.6": Lib(), Y: Lib()},
        {Y: None},
    ),
    Scenario(
        "libc's name on alpine is musl itself, though bundled",
        {A: needs("libc.musl-x86_64.so.1", "liby.so", rpath="$ORIGIN/../libs"), "libs/libc.musl-x86_64.so.1": Lib(), Y: Lib()},
        {Y: None},
    ),
    Scenario(
        "nodeflib leaves out the default directories of glibc",
        {A: Lib(("libm.so.6",), flags=("-z", "nodefaultlib"))},
        {A: needs("libm.so.6")},
        same=("musl",),
    ),
    Scenario(
        "an element that names a directory again changes nothing",
        {A: needs("libx.so", rpath="$ORIGIN/../void:$ORIGIN/../void/:$ORIGIN/../libs"), X: Lib()},
        {X: None},
    ),
)


class Tree:
    """A scenario's files on disk, which are the model's world too."""

    def __init__(self, root: Path, tools: "Tools", probe: Path) -> None:
        self.root, self.tools, self.probe = root, tools, probe
        for folder in ("void", "cwd", "bin", "exe"):
            (root / folder).mkdir(parents=True)
        self.write({"bin/probe": Probe()})

    def write(self, files: Mapping[str, What]) -> None:
        for name, what in files.items():
            path = self.root / name
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            match what:
                case Lib():
                    path.write_bytes(self.tools.linked(what))
                case Link():
                    path.symlink_to(self.root / what.to)
                case Probe():
                    path.write_bytes(self.probe.read_bytes())
                    path.chmod(0o755)
                case bytes():
                    path.write_bytes(what)

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        file = Path(path)
        if not path.startswith(f"{self.root}/") or not file.is_file():
            return None
        real = str(file.resolve())
        data = file.read_bytes()
        if not data.startswith(b"\x7fELF"):
            return OtherFile(real)
        try:
            images = read(memoryview(data))
        except UnreadableBinary as error:
            return Unreadable(real, real, Format.ELF, error.field, error.expected)
        return Binary(real, real, images, owner="demo") if images else OtherFile(real)


class Tools:
    """The linker, with its results kept: most scenarios are made of the same few libraries."""

    def __init__(self, folder: Path, oracle: Callable[..., str]) -> None:
        self.folder, self.oracle = folder, oracle
        self.made: dict[Lib, bytes] = {}
        self.stubs: dict[tuple[str, str], str] = {}
        (folder / "source.c").write_text(SOURCE)

    def linked(self, lib: Lib) -> bytes:
        if lib not in self.made:
            out = self.folder / "out.so"
            out.unlink(missing_ok=True)
            self._link(lib, out)
            data = bytearray(out.read_bytes())
            if lib.rpath and lib.runpath:  # no linker writes both any more: a tag that takes any string is renamed
                old = data.index(struct.pack("<Q", DT_DEPAUDIT))
                data[old : old + 8] = struct.pack("<Q", DT_RPATH)
            if lib.machine is not None:  # Debian's glibc looks at the machine before the byte order and passes over an honest file
                data[18:20] = struct.pack("<H", lib.machine)
            self.made[lib] = bytes(data)
        return self.made[lib]

    def _object(self, target: str) -> str:
        path = self.folder / f"{target}.o"
        if not path.exists():
            native = target in ("x86_64", "i686")
            compiler = [self.oracle("gcc"), "-m32" if target == "i686" else "-m64"] if native else [self.oracle("clang-22", "clang")]
            run(
                [
                    *compiler,
                    *([] if native else [f"--target={target}-linux-gnu"]),
                    "-c",
                    "-fPIC",
                    "-o",
                    str(path),
                    str(self.folder / "source.c"),
                ]
            )
        return str(path)

    def _link(self, lib: Lib, out: Path) -> None:
        linker = self.oracle("ld") if lib.target in ("x86_64", "i686") else self.oracle("ld.lld-22", "ld.lld")
        command = [linker, "-shared", "-m", EMULATIONS[lib.target], "-o", str(out), *lib.flags]
        if lib.soname:
            command += ["-soname", lib.soname]
        if lib.rpath and lib.runpath:
            command += ["--enable-new-dtags", "-rpath", lib.runpath, f"--depaudit={lib.rpath}"]
        elif lib.runpath:
            command += ["--enable-new-dtags", "-rpath", lib.runpath]
        elif lib.rpath:
            command += ["--disable-new-dtags", "-rpath", lib.rpath]
        run([*command, self._object(lib.target), "--no-as-needed", *(self.stub(name, lib.target) for name in lib.needed)])

    def stub(self, name: str, target: str) -> str:
        """Return a library to link against that puts this name into DT_NEEDED."""
        if (name, target) not in self.stubs:
            path = self.folder / f"stub{len(self.stubs)}.so"
            self._link(Lib(soname=name, target=target), path)
            self.stubs[name, target] = str(path)
        return self.stubs[name, target]


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    assert isinstance(done, subprocess.CompletedProcess)
    return done


class Real(NamedTuple):
    """What the loader did."""

    files: tuple[str, ...]
    """Files of the tree in the process, in the order of loading; none when it failed."""
    message: str
    """Of the failure."""
    searches: tuple[tuple[str, tuple[str, ...]], ...]
    """glibc: name and places below the tree tried for it."""


def really(tree: Tree, scenario: Scenario) -> Real:
    """Open pkg/a.so with the loader that the probe was linked for."""
    environment = {"LD_DEBUG": "libs", "LANG": "C"}
    if scenario.library_path:
        environment["LD_LIBRARY_PATH"] = str(tree.root / scenario.library_path)
    names = [str(tree.root / name) for name in (*scenario.first, A)]
    done = run([str(tree.root / "bin/probe"), *names], env=environment, cwd=tree.root / "cwd")
    lines = done.stdout.splitlines()
    last = lines[len(names) - 1]
    inside = tuple(os.path.realpath(line[5:]) for line in lines if line.startswith(f"file {tree.root}/"))
    others = [os.path.realpath(name) for name in (str(tree.root / "bin/probe"), *names[:-1])]
    kept = tuple(path for path in inside if path not in others)
    searches: list[tuple[str, list[str]]] = []
    for line in done.stderr.splitlines():
        _, _, text = line.partition(":\t")
        if text.startswith("transferring control"):
            searches.clear()  # those for the probe itself
        elif text.startswith("find library="):
            searches.append((text[13:].partition(" ")[0], []))
        elif text.strip().startswith("trying file="):
            path = os.path.normpath(text.strip()[12:])
            if path.startswith(f"{tree.root}/") == path.startswith("/") and not set(path.split("/")) & SUBDIRECTORIES:
                searches[-1][1].append(path)
    return Real(kept if last.startswith("ok ") else (), last.removeprefix("fail "), tuple((n, tuple(p)) for n, p in searches))


SUBDIRECTORIES = {"glibc-hwcaps", "tls", "haswell", "avx512_1", "x86_64"}
"""Which of these are tried depends on processor and version; the model has one line for them."""


def modelled(tree: Tree, scenario: Scenario, libc: str) -> Load:
    """Ask the model the same."""
    target, promises = TARGETS[libc]
    environment = (("LD_LIBRARY_PATH", str(tree.root / scenario.library_path)),) if scenario.library_path else ()
    first = tuple(str(tree.root / name) for name in scenario.first)
    process = Process(target, promises, environment, loaded=first, executable=str(tree.root / "bin/probe"))
    root = tree.at(str(tree.root / A))
    assert isinstance(root, Binary)
    return load(root, "x86_64", tree, process)


def predicted(tree: Tree, found: Load, scenario: Scenario) -> tuple[str, ...]:
    """Return the files that the model says are loaded beside those opened first; none when a need is missing."""
    if any(resolution.how == How.MISSING for resolution in found.resolutions):
        return ()
    first = {os.path.realpath(tree.root / name) for name in scenario.first}
    return tuple(path for path in found.order if path not in first)


def compare(tree: Tree, scenario: Scenario, libc: str) -> Real:
    """Ask both, and let them agree."""
    real, found = really(tree, scenario), modelled(tree, scenario, libc)
    assert predicted(tree, found, scenario) == real.files, (real.message, found.resolutions)
    if not real.files:
        missing = next(r for r in found.resolutions if r.how == How.MISSING)
        assert missing.needed.name.rpartition("/")[2] in real.message
    return real


def trails(tree: Tree, found: Load) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the model's searches in the form of `Real.searches`."""
    searches = [
        (
            r.needed.name,
            tuple(os.path.normpath(t.place) for t in r.tried if not t.place.startswith(".../") and t.via != "default directories"),
        )
        for r in found.resolutions
        if not r.tried[0].via.startswith("already loaded") and "/" not in r.needed.name
    ]
    return tuple((name, tuple(p for p in places if not set(p.split("/")) & SUBDIRECTORIES)) for name, places in searches)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.path.realpath(tmp_path_factory.mktemp("workshop")))


@pytest.fixture(scope="module")
def made() -> dict[Path, Tools]:
    return {}


@pytest.fixture
def tools(workshop: Path, made: dict[Path, Tools], oracle: Callable[..., str]) -> Tools:
    return made.setdefault(workshop, Tools(workshop, oracle))


@pytest.fixture
def probe(libc: str, workshop: Path, oracle: Callable[..., str]) -> Path:
    """The probing program, with an RPATH of its own."""
    compiler = oracle("gcc" if libc == "glibc" else "musl-gcc")
    made = workshop / f"probe-{libc}"
    if not made.exists():
        run([compiler, "-O1", "-pie", "-fPIE", "-o", str(made), str(PROBE), "-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/../exe"])
    return made


@pytest.fixture
def tree(tmp_path: Path, tools: Tools, probe: Path) -> Tree:
    return Tree(Path(os.path.realpath(tmp_path)) / "tree", tools, probe)


@pytest.mark.parametrize("libc", ["glibc", "musl"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
def test_the_model_loads_what_the_loader_loads(scenario: Scenario, libc: str, tree: Tree) -> None:
    tree.write(scenario.files)
    before = compare(tree, scenario, libc)
    if libc == "glibc" and scenario.trail and not scenario.first:
        found = trails(tree, modelled(tree, scenario, libc))
        assert found[: len(before.searches)] == before.searches
        assert len(found) == len(before.searches) or not before.files
    tree.write(scenario.change)
    after = compare(tree, scenario, libc)
    assert (before.files == after.files) == (libc in scenario.same), "the control does not control"


@pytest.mark.parametrize("libc", ["glibc", "musl"])
@pytest.mark.parametrize(("name", "rpath", "found"), [("libx.so", ":", "glibc"), ("libx.so", ".", "both"), ("./libx.so", "", "both")])
def test_the_current_directory_is_searched_though_no_package_can_count_on_it(
    name: str, rpath: str, found: str, libc: str, tree: Tree
) -> None:
    scenario = Scenario("", {A: needs(name, rpath=rpath)}, {"cwd/libx.so": Lib()})
    tree.write(scenario.files)
    compare(tree, scenario, libc)
    tree.write(scenario.change)
    assert bool(really(tree, scenario).files) == (found in ("both", libc))


@pytest.mark.parametrize("libc", ["glibc", "musl"])
@pytest.mark.parametrize("tag", ["rpath", "runpath"])
def test_a_program_is_a_process_of_its_own(tag: str, libc: str, tree: Tree, oracle: Callable[..., str]) -> None:
    compiler = oracle("gcc" if libc == "glibc" else "musl-gcc")
    dtags = f"-Wl,--{'enable' if tag == 'runpath' else 'disable'}-new-dtags"
    libs = [tree.tools.stub(name, "x86_64") for name in ("libx.so", "libc.so.9")]
    program = tree.root / "bin/program"
    run(
        [compiler, "-o", str(program), str(PROBE), dtags, "-Wl,-rpath,$ORIGIN/../libs", "-Wl,--no-as-needed,--allow-shlib-undefined", *libs]
    )
    tree.write({X: needs("liby.so"), Y: Lib(), "libs/libc.so.9": Lib()})
    for without in ("", "libs/libc.so.9", Y):
        tree.write({without: None} if without else {})
        done = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=60, cwd=tree.root / "cwd", env={})
        files = [os.path.realpath(line[5:]) for line in done.stdout.splitlines() if line.startswith(f"file {tree.root}/")]
        target, promises = TARGETS[libc]
        root = tree.at(str(program))
        assert isinstance(root, Binary)
        found = load(root, "x86_64", tree, Process(target, promises))
        missing = [r.needed.name for r in found.resolutions if r.how == How.MISSING]
        assert bool(missing) == bool(done.returncode), (done.stderr, missing)
        if not missing:
            assert [path for path in files if path != str(program)] == list(found.order[1:])


def drawn(seed: int) -> Scenario:
    """Return a tree drawn by lot: five libraries and some of their namesakes, with all kinds of paths and names."""
    draw = random.Random(seed)
    names = [f"lib{number}.so" for number in range(5)]
    elements = ["$ORIGIN", "$ORIGIN/../libs", "$ORIGIN/../more", "${ORIGIN}/../void", "", "libs", "$ORIGINAL", "$ORIGIN/../libs/"]

    def path(chance: float) -> str:
        return ":".join(draw.choices(elements, [5, 5, 5, 1, 1, 1, 1, 1], k=draw.randint(1, 3))) if draw.random() < chance else ""

    def lib() -> Lib:
        return Lib(tuple(draw.sample(names, draw.choice((0, 0, 1, 1, 2)))), path(0.5), path(0.3), draw.choice(("", "", "", *names)))

    files: dict[str, What] = {A: Lib(tuple(draw.sample(names, 3)), path(0.8), path(0.3))}
    for folder in ("pkg", "libs", "more"):
        for name in names:
            kind = draw.choices(("lib", "link", "text", "class", "none"), [20, 3, 1, 1, 3])[0]
            other = f"{draw.choice(('libs', 'more'))}/{draw.choice(names)}"
            if kind == "link" and not isinstance(files.get(other), Link) and other in files:
                files[f"{folder}/{name}"] = Link(other)
            elif kind != "none":
                special: dict[str, What] = {"text": b"text", "class": Lib(target="i686")}
                files[f"{folder}/{name}"] = special.get(kind, lib())
    leaves = [name for name, what in files.items() if isinstance(what, Lib) and not what.needed and what.target == "x86_64"]
    first = tuple(draw.sample(leaves, 1)) if leaves and draw.random() < 0.3 else ()
    return Scenario(f"seed {seed}", files, {}, first, draw.choice(("", "", "more")))


@pytest.mark.parametrize("libc", ["glibc", "musl"])
def test_the_model_agrees_on_trees_drawn_by_lot(libc: str, tmp_path: Path, tools: Tools, probe: Path) -> None:
    loaded = wrong = 0
    other = next(name for name in TARGETS if name != libc)
    for seed in range(TREES):
        scenario = drawn(seed)
        tree = Tree(Path(os.path.realpath(tmp_path)) / str(seed), tools, probe)
        tree.write(scenario.files)
        real = compare(tree, scenario, libc)
        loaded += bool(real.files)
        wrong += predicted(tree, modelled(tree, scenario, other), scenario) != real.files
        if libc == "glibc" and not scenario.first:
            assert trails(tree, modelled(tree, scenario, libc))[: len(real.searches)] == real.searches
    assert TREES // 10 < loaded < TREES * 9 // 10, "neither all nor none may load, or nothing was compared"
    assert wrong > TREES // 10, "the other loader's model must not do as well"
