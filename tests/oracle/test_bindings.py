"""What we say binds to what, against LD_DEBUG=bindings of a process that really opens the files."""

import dataclasses
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from relocator.audit import run_rules
from relocator.bindings import PLATFORM, PYTHON, UNBOUND, UNDECIDED, bound, missing
from relocator.bindings.takeovers import takeovers
from relocator.bindings.versions import lacking_versions
from relocator.containers import open_container
from relocator.model import Load, Survey
from relocator.rules import named
from relocator.survey import take_surveys

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="asks glibc on x86_64"
)

LINE = re.compile(r"binding file (.+) \[0\] to (.+) \[0\]: normal symbol `([^']+)'(?: \[(\S+)\])?")
Bindings = dict[tuple[str, str, str], str]
"""(file, symbol, version) -> file, all real paths."""

PREAMBLE = "-shared -fPIC -nostdlib -Wl,--no-as-needed -Wl,-rpath,$ORIGIN -Wl,--unresolved-symbols=ignore-all -Wl,--hash-style=gnu"


class Tree:
    """A folder of libraries made by the system's compiler."""

    def __init__(self, folder: Path, compiler: str) -> None:
        self.folder, self.compiler = folder, compiler

    def make(self, name: str, text: str, *needed: str, script: str = "", flags: Iterable[str] = (), language: str = "c") -> None:
        """Link one library; its soname is its name."""
        source = self.folder / f"{name}.{language}"
        source.write_text(text)
        options = [*PREAMBLE.split(), *flags]
        if script:
            (self.folder / "script.map").write_text(script)
            options.append(f"-Wl,--version-script={self.folder / 'script.map'}")
        command = [self.compiler, *options, f"-Wl,-soname,{name}", "-o", name, str(source), *needed]
        subprocess.run(command, check=True, cwd=self.folder)
        source.unlink()

    def survey(self) -> Survey:
        return survey_of(self.folder)


def survey_of(folder: Path) -> Survey:
    with open_container(str(folder)) as container:
        (found,) = take_surveys(container, target="manylinux_2_39_x86_64")
    return found


def real(survey: Survey, folder: Path, path: str) -> str:
    """Return where a file of a folder's Survey lies on the disk."""
    binary = survey.binary_at(path)
    assert binary
    return os.path.realpath(folder / binary.member if not binary.member.startswith("/") else binary.member)


def traced(folder: Path, code: str, argument: str = "", **variables: str) -> tuple[Bindings, str]:
    """Run Python code and return what glibc bound meanwhile, and what Python said in the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LD_")}
    environment |= {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(folder / "trace"), **variables}
    done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, check=False, env=environment, cwd="/", text=True)
    found: Bindings = {}
    for path in folder.glob("trace.*"):
        for user, provider, name, version in LINE.findall(path.read_text()):
            found[os.path.realpath(user), name, version] = os.path.realpath(provider)
        path.unlink()
    return found, done.stderr


def opened(folder: Path, name: str, **variables: str) -> tuple[Bindings, str]:
    return traced(folder, "import ctypes, sys; ctypes.CDLL(sys.argv[1])", str(folder / name), **variables)


def load_of(survey: Survey, name: str) -> Load:
    return next(load for load in survey.loads if load.root.rpartition("/")[2] == name)


def differences(survey: Survey, folder: Path, load: Load, seen: Bindings) -> tuple[int, list[str]]:
    """Return how many symbols were compared, and where we and glibc differ."""
    compared, wrong = 0, []
    for path in load.order:
        user = real(survey, folder, path)
        for one in bound(survey, load, path):
            theirs = seen.get((user, one.name.decode(), one.version.decode()))
            compared += theirs is not None
            if one.provider:
                agreed = theirs == real(survey, folder, one.provider)
            elif one.answer == PLATFORM:
                agreed = theirs is not None and not theirs.startswith(str(folder))
            elif one.answer == PYTHON:
                agreed = theirs is not None and "python" in theirs
            else:
                agreed = one.answer == UNDECIDED or theirs is None
            if not agreed:
                wrong.append(f"{path} {one}: glibc says {theirs}")
    return compared, wrong


def versioned(tree: Tree) -> None:
    old, new = "V1 { global: foo; local: *; };", "V1 { global: foo; }; V2 { global: foo; only; } V1; "
    tree.make("libv.so", "int foo(void) { return 1; }", script=old)
    tree.make("libold.so", "int foo(void); int o(void) { return foo(); }", "libv.so")
    both = 'int f1(void) { return 1; } int f2(void) { return 2; } __asm__(".symver f1,foo@V1"); __asm__(".symver f2,foo@@V2"); int only;'
    tree.make("libv.so", both, script=new)
    tree.make("libnew.so", "int foo(void); int n(void) { return foo(); }", "libv.so")
    # not linked with libv.so, and so without a version
    tree.make("libbare.so", "int foo(void); extern int only; int b(void) { return foo() + only; }")
    tree.make("_core.so", "int o(void), n(void), b(void); int r(void) { return o() + n() + b(); }", "libbare.so", "libold.so", "libnew.so")


def interposed(tree: Tree) -> None:
    tree.make("liba.so", "__attribute__((weak)) int twice(void) { return 1; } int a(void) { return twice(); }")
    tree.make("libb.so", "int twice(void) { return 2; } int b(void) { return twice(); }")
    tree.make("libc_.so", "int twice(void); int c(void) { return twice(); }", "libb.so")
    tree.make("_core.so", "int a(void), b(void), c(void); int r(void) { return a() + b() + c(); }", "libc_.so", "liba.so", "libb.so")


def hidden_and_protected(tree: Tree) -> None:
    tree.make("liba.so", '__attribute__((visibility("hidden"))) int h(void) { return 1; } int a(void) { return h(); }')
    tree.make("libb.so", 'int h(void) { return 2; } __attribute__((visibility("protected"))) int p(void) { return 3; }')
    tree.make("libc_.so", "int p(void) { return 4; } __attribute__((weak)) extern int absent(void); int c(void) { return absent ? 1 : 0; }")
    tree.make(
        "_core.so",
        "int a(void), h(void), p(void), c(void); int r(void) { return a() + h() + p() + c(); }",
        "liba.so",
        "libb.so",
        "libc_.so",
    )


def unversioned_for_versioned(tree: Tree) -> None:
    tree.make("libv.so", "int foo(void) { return 1; }", script="V1 { global: foo; };")
    tree.make("libuser.so", "int foo(void); int u(void) { return foo(); }", "libv.so")
    tree.make("libplain.so", "int getpid(void); int foo(void) { return getpid(); }", "-lc")
    # the reference has a version, and the first definition in the scope has none
    tree.make("_core.so", "int u(void); int r(void) { return u(); }", "libplain.so", "libuser.so")
    tree.make("_turned.so", "int u(void); int r(void) { return u(); }", "libuser.so", "libplain.so")


TREES = (versioned, interposed, hidden_and_protected, unversioned_for_versioned)


@pytest.mark.parametrize("build", TREES)
def test_symbols_bind_where_glibc_binds_them(tmp_path: Path, oracle: Callable[..., str], build: Callable[[Tree], None]) -> None:
    tree = Tree(tmp_path, oracle("gcc", "cc"))
    build(tree)
    survey = tree.survey()
    for load in survey.loads:
        seen, said = opened(tmp_path, load.root.rpartition("/")[2])
        unbound = [one for path in load.order for one in bound(survey, load, path) if one.answer == UNBOUND]
        assert bool(said) == bool(unbound), said
        if not said:
            assert not differences(survey, tmp_path, load, seen)[1]
    seen, said = opened(tmp_path, "_core.so")
    assert not said
    assert differences(survey, tmp_path, load_of(survey, "_core.so"), seen)[0] > 0


def test_a_scope_in_another_order_is_told_apart(tmp_path: Path, oracle: Callable[..., str]) -> None:
    tree = Tree(tmp_path, oracle("gcc", "cc"))
    interposed(tree)
    survey = tree.survey()
    load = load_of(survey, "_core.so")
    seen, _ = opened(tmp_path, "_core.so")
    turned = dataclasses.replace(load, order=(load.root, *reversed(load.order[1:])))
    assert not differences(survey, tmp_path, load, seen)[1]
    assert differences(dataclasses.replace(survey, loads=(turned,)), tmp_path, turned, seen)[1]


def test_the_global_scope_comes_first(tmp_path: Path, oracle: Callable[..., str]) -> None:
    tree = Tree(tmp_path, oracle("gcc", "cc"))
    interposed(tree)
    tree.make("libfirst.so", "int twice(void) { return 3; }")
    plain = tree.survey()
    first = next(binary.path for binary in plain.binaries if binary.member == "libfirst.so")
    survey = dataclasses.replace(plain, global_scope=(first,))
    seen, _ = opened(tmp_path, "_core.so", LD_PRELOAD=str(tmp_path / "libfirst.so"))
    assert not differences(survey, tmp_path, load_of(survey, "_core.so"), seen)[1]
    assert differences(plain, tmp_path, load_of(plain, "_core.so"), seen)[1]


def test_what_a_file_loses_to_another_is_what_glibc_gives_away(tmp_path: Path, oracle: Callable[..., str]) -> None:
    tree = Tree(tmp_path, oracle("gcc", "cc"))
    tree.make("libone.so", "int shared(void) { return 1; } int one(void) { return shared(); }")
    tree.make("libtwo.so", "int shared(void) { return 2; } int two(void) { return shared(); }")
    tree.make("libthree.so", "int shared(void) { return 3; } int three(void) { return shared(); }", flags=["-Wl,-Bsymbolic"])
    text = "int one(void), two(void), three(void); int r(void) { return one() + two() + three(); }"
    tree.make("_core.so", text, "libone.so", "libtwo.so", "libthree.so")
    survey = tree.survey()
    owned = tuple(dataclasses.replace(binary, owner=binary.member) for binary in survey.binaries)
    found = list(takeovers(dataclasses.replace(survey, binaries=owned)))
    seen, _ = opened(tmp_path, "_core.so")
    assert [(one.winner.member, one.loser.member, one.names) for one in found] == [("libone.so", "libtwo.so", (b"shared",))]
    assert seen[str(tmp_path / "libtwo.so"), "shared", ""] == str(tmp_path / "libone.so")
    assert (str(tmp_path / "libthree.so"), "shared", "") not in seen


def test_unique_symbols_are_one_for_the_process(tmp_path: Path, oracle: Callable[..., str]) -> None:
    tree = Tree(tmp_path, oracle("g++"))
    text = 'struct S {{ static int &at() {{ static int value; return value; }} }}; extern "C" int *{0}() {{ return &S::at(); }}'
    for name in ("left", "right"):
        tree.make(f"{name}.so", text.format(name), language="cc", flags=["-fno-threadsafe-statics"])
    survey = tree.survey()
    unique = [{export.name for export in image.symbols.unique()} for _, image in survey.images()]
    assert unique == [{b"_ZZN1S2atEvE5value"}] * 2
    code = f"""
import ctypes
left, right = ctypes.CDLL({str(tmp_path / "left.so")!r}), ctypes.CDLL({str(tmp_path / "right.so")!r})
left.left.restype = right.right.restype = ctypes.c_void_p
assert left.left() == right.right()
"""
    assert not traced(tmp_path, code)[1]


@pytest.mark.parametrize(
    ("library", "message", "lacking"),
    [
        (("int foo(void) { return 1; }", "V1 { global: foo; };"), "version `V2' not found", (("V2",), ())),
        (("int foo(void) { return 1; } int two;", "V1 { global: foo; }; V2 { global: two; };"), "foo, version V2", ((), (b"foo",))),
        (("int bar(void) { return 1; }", ""), "foo, version V2", ((), (b"foo",))),
        # with a version of libc's, since glibc aborts over a library without any version table
        (("int getpid(void); int foo(void) { return getpid(); }", ""), "", ((), ())),
        (("int foo(void) { return 1; }", "V2 { global: foo; };"), "", ((), ())),
    ],
)
def test_a_version_that_is_not_there_is_refused(
    tmp_path: Path, oracle: Callable[..., str], library: tuple[str, str], message: str, lacking: tuple[tuple[str, ...], tuple[bytes, ...]]
) -> None:
    (later, script), (versions, names) = library, lacking
    tree = Tree(tmp_path, oracle("gcc", "cc"))
    tree.make("libv.so", "int foo(void) { return 1; }", script="V2 { global: foo; };")
    tree.make("_core.so", "int foo(void); void *PyInit__core(void) { return (void *)(long)foo(); }", "libv.so")
    tree.make("libv.so", later, "-lc", script=script)
    survey = tree.survey()
    said = opened(tmp_path, "_core.so")[1]
    assert (message in said) if message else not said
    assert tuple(version for item in lacking_versions(survey) for version in item.versions) == versions
    if not versions:
        assert tuple(name for item in missing(survey) for name in item.names) == names


@pytest.mark.parametrize(
    ("text", "needed", "symbol"),
    [
        ("int foo(void);", (), "foo"),
        ("int bar(void);", ("libfoo.so",), "bar"),
        ("int foo(void);", ("libfoo.so",), ""),
        ("int PyLong_AsLong(void *);", (), ""),
        ("int getpid(void);", (), ""),
        ("double sin(double);", (), ""),
        ("__attribute__((weak)) int foo(void);", (), ""),
    ],
)
def test_an_import_fails_where_a_symbol_is_unprovided(
    tmp_path: Path, oracle: Callable[..., str], text: str, needed: tuple[str, ...], symbol: str
) -> None:
    tree = Tree(tmp_path, oracle("gcc", "cc"))
    name = re.findall(r"(\w+)\((?!\()", text)[-1]
    tree.make("libfoo.so", "int getpid(void); int foo(void) { return getpid(); }", "-lc")
    tree.make("_core.so", f"{text} void *PyInit__core(void) {{ return (void *)(long)&{name}; }}", *needed, flags=["-fno-builtin"])
    said = opened(tmp_path, "_core.so")[1]
    findings = run_rules(tree.survey(), [named("unprovided-symbol")]).findings
    assert [finding.primary.symbol for finding in findings] == ([symbol] if symbol else [])
    assert (f"undefined symbol: {symbol}" in said) if symbol else not said


@pytest.mark.parametrize("package", ["deflate", "lief"])
def test_a_real_package_binds_as_we_say(tmp_path: Path, package: str) -> None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    folder = Path(spec.origin).resolve().parent
    survey = survey_of(folder)
    seen, said = traced(tmp_path, f"import {package}")
    assert not said
    used = {user for user, _, _ in seen}
    loads = [load for load in survey.loads if real(survey, folder, load.root) in used]
    assert loads
    for load in loads:
        compared, wrong = differences(survey, folder, load, seen)
        assert compared > 10
        assert not wrong, "\n".join(wrong[:20])
        assert all(one.answer != UNBOUND for one in bound(survey, load, load.root))
