"""Measures `relocate repair` beside the other tools: CPU seconds and peak memory.

`scripts/benchmark.py --repair` runs it with the Python that relocator is installed for, which takes the vendored libraries out of released
wheels first. Besides them a small extension is measured that needs two libraries of this machine, a released wheel as it is, of which
nothing is to be repaired, and PyTorch's. Every run writes into a folder of its own; a tool that fails is known by its exit status.
"""

import argparse
import base64
import hashlib
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmark import ROOT, measured

sys.path.insert(0, str(ROOT / "tests"))

from unvendored import unvendor

SOURCE = """
#include <Python.h>
extern const char *BZ2_bzlibVersion(void);
extern unsigned lzma_version_number(void);
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "small", 0, -1, 0};
PyMODINIT_FUNC PyInit_small(void)
{
    return BZ2_bzlibVersion() && lzma_version_number() ? PyModule_Create(&module) : 0;
}
"""


class Case(NamedTuple):
    """A wheel that is repaired."""

    title: str
    wheel: Path
    libraries: Path | None = None
    """Where its libraries lie; None when they are this machine's, or none is needed."""


def main() -> int:
    """Prepare the wheels and print one table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="the folder with the environments of the tools")
    parser.add_argument("wheels", type=Path, nargs="*", help="released wheels; PyTorch's is taken as it is")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (default: %(default)s)")
    parser.add_argument("--only", default="", help="take only rows whose title contains this")
    parser.add_argument("--no-peers", action="store_true", help="measure ourselves only")
    options = parser.parse_args()
    work = options.work.resolve()
    print("| wheel | command | CPU s | times ours | peak MiB | exit |\n|---|---|---|---|---|---|")
    for case in cases(work / "unvendored", options.wheels):
        if options.only in case.title:
            out = work / "out"
            found = {name: command for name, command in commands(case, work, out) if name == "relocate repair" or not options.no_peers}
            for row in measured(case.title, found, options.runs, out):
                print(row, flush=True)
    print(f"load of the machine at the end: {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    return 0


def cases(folder: Path, wheels: list[Path]) -> Iterator[Case]:
    """Yield what is measured; what was prepared by an earlier run is used again."""
    small = small_wheel(folder / "small")
    if small is not None:
        yield Case("a small extension, libbz2 and liblzma", small)
    for wheel in wheels:
        if wheel.name.startswith("torch"):
            yield Case(wheel.name, wheel.resolve())
            continue
        place = folder / wheel.name.removesuffix(".whl")
        if not list(place.glob("*.whl")):
            unvendor(wheel, place)
        yield Case(f"{wheel.name}, libraries taken out", next(place.glob("*.whl")), place / "lib")
        if "linux" in wheel.name:
            yield Case(f"{wheel.name}, as it is", wheel.resolve())


def commands(case: Case, work: Path, out: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the command line of each tool that can repair the wheel, ours first."""
    wheel, libraries = str(case.wheel), str(case.libraries or "")
    search = ["-l", libraries] if libraries else []
    yield "relocate repair", [program(work, "relocator", "relocate"), "repair", "-w", str(out), *search, wheel]
    if "linux" in case.wheel.name:
        around = [f"PATH={work / 'auditwheel' / 'bin'}:{os.environ['PATH']}", *([f"LD_LIBRARY_PATH={libraries}"] if libraries else [])]
        yield "auditwheel repair", ["env", *around, program(work, "auditwheel"), "repair", "-w", str(out), wheel]
    if "-win" in case.wheel.name:
        yield "delvewheel repair", [program(work, "delvewheel"), "repair", "-w", str(out), "--add-path", libraries, wheel]
    alone = ["--no-sys-paths"] if libraries else []
    yield "repairwheel", [program(work, "repairwheel"), "-o", str(out), *search, *alone, wheel]


def program(work: Path, tool: str, name: str = "") -> str:
    """Return the path of a tool's command."""
    return str(work / tool / "bin" / (name or tool))


def small_wheel(folder: Path) -> Path | None:
    """Build a wheel of one extension that needs two libraries of this machine; None, with a word why, where that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "small.c"
    source.write_text(SOURCE)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    include = f"-I{sysconfig.get_path('include')}"
    built = folder / f"small{suffix}"
    command = ["gcc", "-O2", "-shared", "-fPIC", include, "-o", str(built), str(source), "-l:libbz2.so.1.0", "-l:liblzma.so.5"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        print(f"no small extension: {error}", file=sys.stderr)
        return None
    if done.returncode:
        print(f"no small extension: {done.stderr.strip()}", file=sys.stderr)
        return None
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    tags = f"{tag}-{tag}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    files = {
        built.name: built.read_bytes(),
        "small-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        "small-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: benchmark\nRoot-Is-Purelib: false\nTag: {tags}\n".encode(),
    }
    rows = [f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items()]
    path = folder / f"small-1.0-{tags}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("small-1.0.dist-info/RECORD", "".join([*rows, "small-1.0.dist-info/RECORD,,\n"]))
    return path


def digest(data: bytes) -> str:
    """Return a hash as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


if __name__ == "__main__":
    sys.exit(main())
