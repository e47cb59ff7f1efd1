"""Asks loaders about the binaries of an unpacked wheel: glibc, musl, an emulated dyld, CPython here and CPython for Windows under wine.

An answer is a dictionary from what was asked for to why it cannot be had, "" when it can. Each is asked for in a process of its own.
"""

import importlib.machinery
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from oracle.macho_machine import CPUS, LoadError, Machine
from oracle.macho_signatures import slices, thin
from unvendored import original
from wine import Wine, dos

PROBE = Path(__file__).with_name("oracle") / "dlopen_probe.c"
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
LIMIT = 120
"""Seconds: for one process."""

SITE = "/site"
"""Where the emulated process finds a wheel for macOS."""

_ABSENT = re.compile(r"(\S+): cannot open shared object file|Error loading shared library ([^\s:]+)|Library not loaded: \S*?([^/\s,]+),")
_IMPORT = """
import importlib, os, sys
count, *rest = sys.argv[1:]
sys.path[:0] = rest[:int(count)]
for name in rest[int(count):]:
    child = os.fork() if hasattr(os, "fork") else 0
    if child:
        os.waitpid(child, 0)
        continue
    try:
        importlib.import_module(name)
        print("ok", name, flush=True)
    except BaseException as error:
        print("fail", name, type(error).__name__, " ".join(str(error).split()), flush=True)
    if hasattr(os, "fork"):
        os._exit(0)
"""

_OPEN = """
import ast, ctypes, os, sys
site, patched, *names = sys.argv[1:]
for folder, _, files in os.walk(site) if patched == "patched" else ():
    path = os.path.join(folder, "__init__.py")
    if "__init__.py" in files:
        with open(path, encoding="utf-8") as file:
            kept = [part for part in ast.parse(file.read()).body if "_relocator_" in ast.dump(part)]
        exec(compile(ast.Module(kept, []), path, "exec"), {"__file__": path, "__name__": "patch"})
for name in names:
    try:
        ctypes.WinDLL(os.path.join(site, *name.split("/")))
        print("ok", name, flush=True)
    except OSError as error:
        print("fail", name, error, flush=True)
"""
"""Only what a repair put into the sources is run; the rest may want what wine lacks."""


def absent(error: str) -> str:
    """Return the library that a loader could not find, by its message; "" when that is not what is wrong."""
    found = _ABSENT.search(error)
    return next(filter(None, found.groups()), "") if found else ""


def probe(compiler: str, folder: Path) -> Path:
    """Compile the program that opens a library."""
    out = folder / "probe"
    subprocess.run([compiler, "-o", str(out), str(PROBE), "-ldl"], check=True, capture_output=True)
    return out


def opened(program: Path, files: Iterable[Path]) -> dict[str, str]:
    """Let a C library's loader open files as CPython opens extension modules."""
    told = {}
    for file in files:
        done = subprocess.run([str(program), str(file)], capture_output=True, text=True, timeout=LIMIT, check=False)
        first = done.stdout.partition("\n")[0]
        told[file.name] = "" if first.startswith("ok ") else first.removeprefix("fail ") or f"ended with {done.returncode}"
    return told


def imported(folders: Iterable[Path], names: Iterable[str], python: str = sys.executable) -> dict[str, str]:
    """Import modules with this Python from folders, each in a process that has imported nothing yet."""
    paths = [str(folder) for folder in folders]
    command = [python, "-I", "-c", _IMPORT, str(len(paths)), *paths, *names]
    return _answers(subprocess.run(command, capture_output=True, text=True, timeout=LIMIT * 4, check=False).stdout)


def imported_by_windows(wine: Wine, python: Path, folders: Iterable[Path], names: Iterable[str]) -> dict[str, str]:
    """Import modules with CPython for Windows; what the first ones bring in is there for the others."""
    site, *others = folders
    script = site.parent / "imports.py"
    script.write_text(_IMPORT)
    paths = [dos(folder) for folder in (site, *others)]
    return _answers(_run(wine, python, script, str(len(paths)), *paths, *names))


def opened_by_windows(wine: Wine, python: Path, site: Path, names: Iterable[str], *, patched: bool) -> dict[str, str]:
    """Let wine's loader open members of an unpacked wheel, in CPython for Windows after the patch of a repair, or without."""
    script = site.parent / "open.py"
    script.write_text(_OPEN)
    return _answers(_run(wine, python, script, dos(site), "patched" if patched else "bare", *names))


def _run(wine: Wine, python: Path, script: Path, *arguments: str) -> str:
    override = "wbemprox,winedbg.exe,mscoree,mshtml=d"
    return wine.run(str(python / "python.exe"), dos(script), *arguments, WINEDLLOVERRIDES=override)


def _answers(output: str) -> dict[str, str]:
    lines = [line.strip().split(" ", 2) for line in output.splitlines()]
    return {words[1]: "" if words[0] == "ok" else words[-1] for words in lines if words[0] in ("ok", "fail") and len(words) > 1}


def mapped(unicorn: Any, arch: str, files: Mapping[str, bytes], names: Iterable[str]) -> dict[str, str]:
    """Let the emulated dyld map files of a wheel for macOS, with their needs; whatever the system or Python would bring is there."""
    told = {}
    placed = {f"{SITE}/{name}": data for name, data in files.items()}
    for name in names:
        try:
            Machine(unicorn, arch, placed, None).load(f"{SITE}/{name}")
            told[name] = ""
        except LoadError as error:
            told[name] = str(error)
    return told


def module_name(member: str) -> str:
    """Return the dotted name of an extension module by its place in a wheel; "" when no Python imports the file."""
    suffixes = (*importlib.machinery.EXTENSION_SUFFIXES, ".pyd")
    for suffix in sorted(suffixes, key=len, reverse=True):
        if member.endswith(suffix) and ".data/" not in member and ".libs/" not in member:
            stem = member.removesuffix(suffix)
            stem = re.sub(r"\.cp3\d+t?-win\w+$", "", stem)
            return stem.replace("/", ".") if all(part.isidentifier() for part in stem.split("/")) else ""
    return ""


def unpacked(wheel: Path, folder: Path, ending: str = "") -> Path:
    """Unpack the members of a wheel, or those whose names end so."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.endswith(ending)])
    return folder


# ---- a repaired wheel, and what then must fail


def linux_faults(program: Path, wheel: Path, done: Path, concerned: Iterable[str], folder: Path) -> Iterator[str]:
    """Open what was brought in, and what needs it; then move away what was brought in, and nothing that needs it may open.

    A library that lies in the wheel has to be found. What else may be wrong is no fault when the publisher's wheel fares no better: a
    module may be for another Python, or want what only a desktop has.
    """
    published = _opened_in(program, unpacked(wheel, folder / "published"), concerned)
    site = unpacked(done, folder / "done")
    own = {path.name for path in site.rglob("*.so*")}
    good = {original(name) for name, error in published.items() if not error}
    for name, error in _opened_in(program, site, concerned).items():
        if error and (original(name) in good or absent(error) in own):
            yield f"does not open: {name}: {error}"
    for path in _brought(site):
        path.rename(folder / f"{path.name}.away")
    for name, error in opened(program, [site / name for name in concerned]).items():
        if absent(error) not in own:
            yield f"opens without its libraries (the negative control): {name}: {error or 'ok'}"


def _opened_in(program: Path, site: Path, concerned: Iterable[str]) -> dict[str, str]:
    return opened(program, [*_brought(site), *(site / name for name in concerned)])


def _brought(site: Path) -> list[Path]:
    return sorted(path for path in site.glob("*.libs/*") if path.is_file())


def macos_faults(unicorn: Any, done: Path, concerned: Iterable[str]) -> Iterator[str]:
    """Map what was brought in, and what needs it, in every architecture; without what was brought in, nothing may be mapped."""
    with zipfile.ZipFile(done) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name.endswith((".so", ".dylib"))}
    needing, brought = set(concerned), {name for name in files if "/.dylibs/" in f"/{name}"}
    bare = {name: data for name, data in files.items() if name not in brought}
    for arch in CPUS:
        of_arch = [name for name in sorted(needing | brought) if _is_for(files[name], arch)]
        yield from (f"is not mapped ({arch}): {name}: {error}" for name, error in mapped(unicorn, arch, files, of_arch).items() if error)
        negative = mapped(unicorn, arch, bare, [name for name in of_arch if name in needing])
        yield from (
            f"is mapped without its libraries (the negative control): {name}" for name, error in negative.items() if not absent(error)
        )


def _is_for(data: bytes, arch: str) -> bool:
    return any(thin(data[start : start + size]).cpu == CPUS[arch] for start, size in slices(data))


def windows_faults(wine: Wine, python: Path, site: Path, concerned: Iterable[str]) -> Iterator[str]:
    """Open what needs the libraries after the patch of an unpacked wheel; without the patch, nothing may open."""
    names = list(concerned)
    told = opened_by_windows(wine, python, site, names, patched=True)
    yield from (f"does not open: {name}: {told.get(name, 'no answer')}" for name in names if told.get(name, "?"))
    bare = opened_by_windows(wine, python, site, names, patched=False)
    yield from (f"opens without the patch (the negative control): {name}" for name in names if not bare.get(name, "?"))


class Imports(NamedTuple):
    """What CPython made of modules of the publisher's wheel, of the repaired one, and of the one without libraries."""

    published: dict[str, str]
    done: dict[str, str]
    bare: dict[str, str]

    @property
    def good(self) -> list[str]:
        """The modules of the publisher's wheel that can be imported here."""
        return [name for name, error in self.published.items() if not error]

    def faults(self) -> Iterator[str]:
        """Say what the repaired wheel cannot do that the publisher's can, and that the libraries were not missed."""
        yield from (f"is not imported: {name}: {self.done.get(name, 'no answer')}" for name in self.good if self.done.get(name, "?"))
        if self.good and not any(self.bare.get(name, "?") for name in self.good):
            yield "is imported without its libraries (the negative control)"
