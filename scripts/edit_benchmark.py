"""Measures edits beside other tools, over real binaries taken out of wheels: time and growth side by side.

`scripts/benchmark.py --edit` runs it with the Python that relocator and LIEF are installed for. Two edits of each file: a search path of
213 characters, and the first need renamed to a longer name. Programs are measured as processes, libraries as calls; both write their
result to a file of its own. A file that a tool refuses or fails on is counted and has no part in its time.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from relocator import api
from relocator.backends import backend_for, identify
from relocator.editing import Wish, plan_file
from relocator.errors import RelocatorError, UnreadableBinary
from relocator.files import FileBuffer
from relocator.model import Format, Image
from relocator.plans import ReplaceNeeded, SetSearchPaths, apply_patches

LARGEST = 64 << 20
_PATH = {Format.ELF: "$ORIGIN/", Format.MACHO: "@loader_path/"}
_EXTENSION = {Format.ELF: "lib{}.so.3", Format.MACHO: "@rpath/lib{}.dylib", Format.PE: "{}.dll"}
_LETTERS = "a-longer-name-with-a-hash-3f2a91c0"

Tool = Callable[[Path, Path], bool]
"""Makes the second file of the first; tells whether it could."""


class Sample(NamedTuple):
    """One real binary."""

    path: Path
    image: Image


class Task(NamedTuple):
    """One edit, in the words of every tool."""

    name: str
    wish: Wish
    path: str = ""
    old: str = ""
    new: str = ""


class Result(NamedTuple):
    """What a tool did over all files."""

    seconds: list[float]
    growth: int
    failed: int
    broken: int
    """Files that our reader refuses afterwards, or whose layout breaks a rule that it kept before."""


def main() -> int:
    """Measure every tool that is there and print one table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, help="a folder of wheels")
    parser.add_argument("--files", type=int, default=150, help="binaries of each format, at most (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = list(taken_out(options.wheels, Path(folder), options.files))
        print("| format | edit | tool | files | refused | worse layout | median ms | longest ms | growth KiB |")
        print("|---|---|---|---|---|---|---|---|---|")
        for form in Format:
            chosen = [sample for sample in samples if sample.image.format == form]
            for edit in ("long search path", "renamed need") if form != Format.PE else ("renamed need",):
                for tool, make in tools(form):
                    row(form, edit, tool, measured(chosen, edit, make, Path(folder)))
    return 0


def taken_out(wheels: Path, folder: Path, most: int) -> Iterator[Sample]:
    """Write binaries out of wheels, evenly chosen, and yield those that can be edited at all."""
    found: dict[Format, list[tuple[Path, str]]] = {}
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if 64 < info.file_size < LARGEST:
                    with archive.open(info) as member:
                        backend = identify(member.read(64))
                    if backend:
                        found.setdefault(backend.FORMAT, []).append((wheel, info.filename))
    for form, places in found.items():
        step = max(len(places) // most, 1)
        for number, (wheel, name) in enumerate(places[::step][:most]):
            path = folder / f"{form}-{number}-{Path(name).name}"
            with zipfile.ZipFile(wheel) as archive:
                path.write_bytes(archive.read(name))
            image = image_of(path)
            if image and image.needed:
                yield Sample(path, image)


def image_of(path: Path) -> Image | None:
    """Return the first image of a file; None when it has none."""
    data = path.read_bytes()
    backend = identify(data[:64])
    try:
        return next(iter(backend.read(memoryview(data))), None) if backend else None
    except UnreadableBinary:
        return None


def task(edit: str, image: Image) -> Task:
    """Return an edit for an image."""
    if edit == "renamed need":
        old, new = image.needed[0].name, _EXTENSION[image.format].format(_LETTERS)
        return Task(edit, ReplaceNeeded(old, new), old=old, new=new)
    path = _PATH[image.format].ljust(213, "x")
    return Task(edit, SetSearchPaths((path,)), path=path)


# ---- tools


def tools(form: Format) -> Iterator[tuple[str, Callable[[Task], Tool]]]:
    """Yield the tools for a format that are installed, ours first."""
    yield "relocator: plan and patch", planned
    yield "relocator: with verification, journal and fsync", verified
    relocate = Path(sys.executable).with_name("relocate")
    if relocate.exists():
        yield "relocate edit (a process)", partial(as_process, our_arguments, str(relocate))
    patchelf = shutil.which("patchelf")
    if form == Format.ELF and patchelf:
        yield "patchelf (a process)", partial(as_process, patchelf_arguments, patchelf)
    llvm = shutil.which("llvm-install-name-tool-22") or shutil.which("llvm-install-name-tool")
    if form == Format.MACHO and llvm:
        yield f"{Path(llvm).name} (a process)", partial(as_process, llvm_arguments, llvm)
    yield "LIEF", by_lief


def planned(wanted: Task) -> Tool:
    """Plan, patch and write, without looking back."""

    def make(source: Path, target: Path) -> bool:
        try:
            with FileBuffer(str(source)) as buffer:
                plan = plan_file(str(source), buffer, [wanted.wish])
                target.write_bytes(apply_patches(bytes(buffer[:]), plan.patchset))
        except (RelocatorError, OSError):
            return False
        return True

    return make


def verified(wanted: Task) -> Tool:
    """Do all that the command does, in this process."""

    def make(source: Path, target: Path) -> bool:
        journal = target.with_suffix(".journal")
        _, failures = api.edit(target, [wanted.wish], journal=journal)
        journal.unlink(missing_ok=True)
        return not failures

    return make


def as_process(arguments: Callable[[Task], list[str]], program: str, wanted: Task) -> Tool:
    """Run a program on a copy."""

    def make(source: Path, target: Path) -> bool:
        return not subprocess.run([program, *arguments(wanted), str(target)], capture_output=True, check=False).returncode

    return make


def our_arguments(wanted: Task) -> list[str]:
    """Return ours."""
    return ["edit", *(["--set-rpath", wanted.path] if wanted.path else ["--replace-needed", wanted.old, wanted.new])]


def patchelf_arguments(wanted: Task) -> list[str]:
    """Return patchelf's."""
    return ["--set-rpath", wanted.path] if wanted.path else ["--replace-needed", wanted.old, wanted.new]


def llvm_arguments(wanted: Task) -> list[str]:
    """Return those of LLVM's tool."""
    return ["-add_rpath", wanted.path] if wanted.path else ["-change", wanted.old, wanted.new]


def by_lief(wanted: Task) -> Tool:
    """Let LIEF do it, each format in its way."""
    import lief  # noqa: PLC0415  (half a second)

    lief.logging.disable()

    def make(source: Path, target: Path) -> bool:
        fat = lief.MachO.parse(str(source)) if lief.is_macho(str(source)) else None
        binary: Any = fat or lief.parse(str(source))
        if binary is None:
            return False
        for image in fat or [binary]:
            _change_by_lief(lief, image, wanted)
        if isinstance(binary, lief.PE.Binary):
            settings = lief.PE.Builder.config_t()
            settings.imports = True
            binary.write(str(target), settings)
        else:
            binary.write(str(target))
        return target.exists()

    return make


def _change_by_lief(lief: Any, binary: Any, wanted: Task) -> None:
    if wanted.path and isinstance(binary, lief.ELF.Binary):
        binary += lief.ELF.DynamicEntryRunPath(wanted.path)
    elif wanted.path:
        binary.add(lief.MachO.RPathCommand.create(wanted.path))
    elif isinstance(binary, lief.ELF.Binary):
        binary.get_library(wanted.old).name = wanted.new
    elif isinstance(binary, lief.PE.Binary):
        binary.get_import(wanted.old).name = wanted.new
    else:
        for library in binary.libraries:
            if library.name == wanted.old:
                library.name = wanted.new


# ---- measuring


def measured(samples: list[Sample], edit: str, tool: Callable[[Task], Tool], folder: Path) -> Result:
    """Let one tool edit every file once."""
    seconds: list[float] = []
    growth = failed = broken = 0
    for sample in samples:
        target = folder / "target"
        shutil.copy2(sample.path, target)
        make = tool(task(edit, sample.image))
        start = time.perf_counter()
        done = make(sample.path, target)
        taken = time.perf_counter() - start
        if done:
            seconds.append(taken)
            growth += target.stat().st_size - sample.path.stat().st_size
            broken += is_broken(sample, target)
        else:
            failed += 1
    return Result(seconds, growth, failed, broken)


def is_broken(sample: Sample, target: Path) -> bool:
    """Tell whether a file is worse than it was."""
    backend, data = backend_for(sample.image.format), target.read_bytes()
    try:
        backend.read(memoryview(data))
    except UnreadableBinary:
        return True
    return len(backend.check_layout(data)) > len(backend.check_layout(sample.path.read_bytes()))


def row(form: Format, edit: str, tool: str, result: Result) -> None:
    """Print one row of the table."""
    median, longest = (f"{1000 * value:.1f}" for value in (statistics.median(result.seconds or [0]), max(result.seconds, default=0)))
    files = len(result.seconds)
    print(
        f"| {form} | {edit} | {tool} | {files} | {result.failed} | {result.broken} | {median} | {longest} | {result.growth / 1024:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
