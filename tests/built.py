"""Libraries, extension modules and programs that tests compile, and wheels of them.

An extension module has one function, `answer()`, which returns a number that its C function of that name makes out of what its libraries
return: a number tells which of several libraries were loaded.
"""

import io
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from builders import wheel

EXTENSION = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
TAG = f"{PYTHON}-{PYTHON}{sys.abiflags}-linux_x86_64"
ROOT = "{root}"
"""Stands for the folder of what lies outside the wheel."""

_GLUE = """\
#include <Python.h>
int answer(void);
static PyObject *call(PyObject *self, PyObject *arguments) { return PyLong_FromLong(answer()); }
static PyMethodDef methods[] = {{"answer", call, METH_NOARGS, 0}, {0, 0, 0, 0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", 0, -1, methods};
PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&module); }
"""


class Code(NamedTuple):
    """What is to be compiled and linked."""

    source: str
    needed: tuple[str, ...] = ()
    """Names for DT_NEEDED, of libraries that need not exist."""
    against: tuple[str, ...] = ()
    """What is linked for its symbols: files outside the wheel, or options such as -lpng."""
    soname: str = ""
    rpath: str = ""
    runpath: str = ""
    flags: tuple[str, ...] = ()
    compiler: str = "gcc"
    module: str = ""
    """Name of the extension module that it is."""
    program: bool = False


class Link(NamedTuple):
    """A symbolic link to a file beside it."""

    to: str


What = Code | Link | bytes


def function(name: str, number: int, *calls: str) -> str:
    """Return C for a function that returns a number, and what other functions return added to it."""
    declared = "".join(f"int {call}(void); " for call in calls)
    return f"{declared}int {name}(void) {{ return {' + '.join([str(number), *(f'{call}()' for call in calls)])}; }}\n"


def library(name: str, number: int, *calls: str, **how: object) -> Code:
    """A library with one function."""
    return Code(function(name, number, *calls), **how)  # type: ignore[arg-type]


def module(*calls: str, number: int = 0, name: str = "_core", **how: object) -> Code:
    """An extension module whose answer is made of what these functions return."""
    return Code(function("answer", number, *calls), module=name, **how)  # type: ignore[arg-type]


class Workshop:
    """Compiles into a folder; `oracle` finds the compilers."""

    def __init__(self, folder: Path, oracle: Callable[..., str]) -> None:
        self.folder, self.oracle = folder, oracle
        self._made: dict[tuple[str, ...], Path] = {}

    def write(self, path: Path, what: What, root: Path) -> None:
        """Make a file; `root` is the folder that ROOT stands for."""
        path.parent.mkdir(parents=True, exist_ok=True)
        match what:
            case Code():
                self.compile(path, what, root)
            case Link():
                path.symlink_to(what.to)
            case bytes():
                path.write_bytes(what)

    def compile(self, out: Path, code: Code, root: Path) -> None:
        """Make a shared library or a program."""
        source = self._source(code.source, ".cpp" if code.compiler == "g++" else ".c")
        command = [*self._compiler(code.compiler), *([] if code.program else ["-shared", "-fPIC"]), "-o", str(out)]
        command += [*(flag.replace(ROOT, str(root)) for flag in code.flags), str(source)]
        command += [str(self._glue(code.module, code.flags))] if code.module else []
        command += [f"-Wl,-soname,{code.soname}"] if code.soname else []
        for dtags, path in (("--enable", code.runpath), ("--disable", code.rpath)):
            command += [f"-Wl,{dtags}-new-dtags", "-Xlinker", "-rpath", "-Xlinker", path.replace(ROOT, str(root))] if path else []
        stubs = (self._stub(name.replace(ROOT, str(root)), code.compiler) for name in code.needed)
        run([*command, "-Wl,--no-as-needed", *map(str, stubs), *(one.replace(ROOT, str(root)) for one in code.against)])

    def _compiler(self, name: str) -> list[str]:
        """Return the command of a compiler, "clang-22 --target=..." for another architecture."""
        program, *flags = name.split()
        return [self.oracle(program), "-O1", *flags]

    def _source(self, text: str, suffix: str) -> Path:
        return self._once(("source", text), suffix, lambda path: path.write_text(text, "utf-8"))

    def _glue(self, name: str, flags: Sequence[str]) -> Path:
        """Return the object file that makes an extension module."""
        macros = tuple(flag for flag in flags if flag.startswith("-D"))
        source = self._source(_GLUE.replace("NAME", name), ".c")
        include = sysconfig.get_path("include")
        command = [*self._compiler("gcc"), "-c", "-fPIC", *macros, f"-I{include}", str(source), "-o"]
        return self._once(("glue", name, *macros), ".o", lambda path: run([*command, str(path)]))

    def _stub(self, name: str, compiler: str) -> Path:
        """Return a library to link against that puts this name into DT_NEEDED."""
        command = [*self._compiler(compiler), "-shared", "-nostdlib", "-fPIC", "-xc", "/dev/null", f"-Wl,-soname,{name}", "-o"]
        return self._once(("stub", name, compiler), ".so", lambda path: run([*command, str(path)]))

    def _once(self, key: tuple[str, ...], suffix: str, make: Callable[[Path], object]) -> Path:
        if key not in self._made:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._made[key] = self.folder / f"{len(self._made)}{suffix}"
            make(self._made[key])
        return self._made[key]

    def wheel(
        self, folder: Path, name: str, files: Mapping[str, What], root: Path, *, tag: str = TAG, requires: Sequence[str] = ()
    ) -> Path:
        """Write a wheel with these files; "{ext}" in their names is what extension modules of this Python end with."""
        built = folder / f"{name} build"
        contents, modes = {}, {}
        for member, what in files.items():
            path = built / member.replace("{ext}", EXTENSION)
            self.write(path, what, root)
            known = path.relative_to(built).as_posix()
            contents[known], modes[known] = path.read_bytes(), path.stat().st_mode
        lines = "".join(f"Requires-Dist: {one}\n" for one in requires)
        contents[f"{name}-1.0.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}".encode()
        shutil.rmtree(built)
        path = folder / f"{name}-1.0-{tag}.whl"
        path.write_bytes(_with_modes(wheel(contents, name, "1.0", [tag]), modes))
        return path


def _with_modes(data: bytes, modes: Mapping[str, int]) -> bytes:
    """Return the archive with the permissions that its files had on disk, as builds leave them."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            info.external_attr = modes.get(info.filename, 0o100644) << 16
            new.writestr(info, content)
    return out.getvalue()


def run(command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program that must end well."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    assert isinstance(done, subprocess.CompletedProcess)
    return done
