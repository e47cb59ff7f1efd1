"""patchelf's command line over our API: for its own shell tests, which tests/oracle/test_patchelf.py runs.

Two meanings differ on purpose and are bridged here: patchelf's --set-rpath makes DT_RUNPATH whatever the file has, unless --force-rpath,
and what it is to rename or remove and is not there leaves the file as it is. What it can do and we cannot ends with status 2.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from relocator import api
from relocator.backends import identify
from relocator.backends.linux.headers import PT_GNU_STACK, PT_INTERP, read_headers, read_programs
from relocator.editing import AddPath, KeepPaths, Wish
from relocator.errors import RelocatorError
from relocator.model import Image
from relocator.native import ElfFacts
from relocator.plans import (
    AddNeeded,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)

_PF_X = 1
_FLAGS = frozenset({"--force-rpath", "--debug", "--remove-rpath", "--set-execstack", "--clear-execstack"})
_PRINTS = frozenset({"--print-rpath", "--print-needed", "--print-soname", "--print-interpreter", "--print-execstack"})
_VALUES = {
    "--set-rpath": 1,
    "--add-rpath": 1,
    "--set-soname": 1,
    "--set-interpreter": 1,
    "--add-needed": 1,
    "--remove-needed": 1,
    "--replace-needed": 2,
    "--output": 1,
    "--page-size": 1,
}
_USAGE = "patchelf's command line over relocator"


class _Line(NamedTuple):
    """A command line, taken apart."""

    options: list[tuple[str, list[str]]]
    files: list[str]

    def has(self, name: str) -> bool:
        """Tell whether an option was given."""
        return any(option == name for option, _ in self.options)


def main(arguments: list[str]) -> int:
    """Do what patchelf would; return its exit status."""
    if not arguments or arguments[0] in ("--help", "--version"):
        (sys.stdout if arguments else sys.stderr).write(f"{_USAGE}\n")
        return 1 if not arguments else 0
    try:
        line = _parsed(arguments)
        return max((_one(file, line) for file in line.files), default=1)
    except (RelocatorError, OSError, ValueError) as error:
        sys.stderr.write(f"patchelf: {error}\n")
        return 2 if isinstance(error, ValueError) else 1


def _parsed(arguments: list[str]) -> _Line:
    options: list[tuple[str, list[str]]] = []
    files: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in _FLAGS | _PRINTS:
            options.append((argument, []))
        elif argument in _VALUES:
            options.append((argument, [_value(next(rest)) for _ in range(_VALUES[argument])]))
        elif argument.startswith("--"):
            raise ValueError(f"{argument} does not apply")
        else:
            files.append(argument)
    return _Line(options, files)


def _value(text: str) -> str:
    """Return a value; "@FILE" stands for what a file holds."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise OSError(f"getting info about '{text[1:]}': {error.strerror}") from error


def _one(file: str, line: _Line) -> int:
    """Do to one file what the line says."""
    data = Path(file).read_bytes()
    backend = identify(data[:64])
    if backend is None:
        raise ValueError(f"{file}: not an ELF file")
    images = backend.read(memoryview(data))
    if not images and all(option in _PRINTS for option, _ in line.options):
        sys.stdout.write("\n")  # nothing but debugging information, and so nothing to print
        return 0
    image = images[0]
    for option, _ in line.options:
        if option in _PRINTS:
            sys.stdout.write("\n".join(_printed(option, image, data)) + "\n")
    wishes = list(_wishes(line, image))
    output = next((values[0] for option, values in line.options if option == "--output"), "")
    if not wishes:
        if output:
            _copied(file, output)
        return 0
    kind = PathKind.RPATH if line.has("--force-rpath") else PathKind.RUNPATH
    about_paths = any(isinstance(wish, SetSearchPaths | AddPath | KeepPaths) for wish in wishes)
    plans, failures = api.edit(file, wishes, kind=kind if about_paths else None, output=output)
    for failure in failures:
        sys.stderr.write(f"patchelf: {failure.message}\n")
    if not failures and output and not plans[0].written:
        _copied(file, output)
    return max((failure.code for failure in failures), default=0)


def _copied(file: str, output: str) -> None:
    if not os.path.exists(output) or not os.path.samefile(file, output):  # noqa: PTH110, PTH121
        shutil.copy(file, output)


def _wishes(line: _Line, image: Image) -> Iterator[Wish]:
    needed = {need.name for need in image.needed}
    make: dict[str, Callable[..., Wish]] = {
        "--remove-rpath": lambda: SetSearchPaths(()),
        "--add-rpath": AddPath,
        "--set-soname": SetIdentity,
        "--set-interpreter": SetInterpreter,
        "--add-needed": AddNeeded,
        "--remove-needed": RemoveNeeded,
        "--replace-needed": ReplaceNeeded,
        "--set-execstack": lambda: SetExecutableStack(True),
        "--clear-execstack": lambda: SetExecutableStack(False),
        "--set-rpath": lambda paths: SetSearchPaths(tuple(part for part in paths.split(":") if part)),
    }
    for option, values in line.options:
        if option == "--replace-needed" and values[0] not in needed:
            continue
        if option in make:
            yield make[option](*values)


def _printed(option: str, image: Image, data: bytes) -> list[str]:
    native = image.native
    assert isinstance(native, ElfFacts)
    match option:
        case "--print-rpath":
            return [native.rpath or "" if native.runpath is None else native.runpath]
        case "--print-needed":
            return [need.name for need in image.needed]
        case "--print-soname":
            return [image.identity or ""]
    shape, header = read_headers(data)
    programs = read_programs(data, shape, header)
    if option == "--print-interpreter":
        found = [data[p.offset : p.offset + p.filesz].partition(b"\0")[0].decode() for p in programs if p.type == PT_INTERP]
        return found[:1] or [""]
    stack = [bool(p.flags & _PF_X) for p in programs if p.type == PT_GNU_STACK]
    return [f"execstack: {'?' if not stack else 'X' if stack[0] else '-'}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
