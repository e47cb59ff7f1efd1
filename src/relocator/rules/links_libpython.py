"""Is linked to a particular Python library.

## What it flags

An extension module, or a library that one needs, that names `libpython3.12.so.1.0`, `libpython3.12.dylib`, `Python.framework` or PyPy's
library as needed.

## Why it matters

Python is in the process already, and an extension module finds its symbols there. Many Pythons have no such library at all, since they
hold it within the program:

    ImportError: libpython3.12.so.1.0: cannot open shared object file: No such file or directory

On macOS the symbols are bound to that very file. Where it is absent the import fails; where it exists and is not the running Python, a
second, uninitialised one is loaded, and the process dies:

    ImportError: dlopen(.../demo/_core.so, 0x0002): Library not loaded: /Library/Frameworks/Python.framework/Versions/3.12/Python
    Fatal Python error: PyThreadState_Get: the function must be called with the GIL held

## Example

    warning[links-libpython]: is linked to a particular Python library
      demo/_core.so (x86_64), DT_NEEDED libpython3.12.so.1.0: the running Python has these symbols already
      = help: link without -lpython; `relocate repair` removes the need
      = more: relocate explain links-libpython

## How to fix it

Do not pass the library to the linker. CMake: `Python_add_library(... MODULE)` or the target `Python::Module` instead of `Python::Python`.
Meson: `py.extension_module`. By hand: `python3-config --ldflags` without `--embed`, on macOS with `-undefined dynamic_lookup`. For ELF
files `relocate repair` removes the need, since any library may supply a symbol there. On macOS each symbol names its library, so the file
must be linked again.

## When it is fine

In a program that starts Python by itself, and in the libraries of a package that brings such a program together with its Python library. On
Android and iOS an extension module must name the library.

## How it decides

By the needs' names. Whether the library would be found makes no difference. It is an error on macOS and a warning elsewhere.
`python312.dll`, which extension modules for Windows need, is `wrong-python-dll`'s business.

## References

- PEP 513, "The manylinux1 policy": libpython is deliberately not on the list; PEP 738 (Android), PEP 730 (iOS)
- What's New In Python 3.8: extension modules are no longer linked to libpython on Unix
- https://github.com/pypa/manylinux/issues/69
- https://github.com/pybind/pybind11/issues/6140
"""

import re
from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.libc import evidence_of_libc
from relocator.model import Binary, Format, Image, Survey
from relocator.native import MachOFacts
from relocator.places import place_in

LIBRARY = re.compile(r"lib(python\d|pypy)[\w.-]*\.(so|dylib)(\.[\d.]+)?|Python3?T?")
"""Base names of Python's library: libpython3.12.so.1.0, libpython3.13t.dylib, libpypy3.11-c.so, and the frameworks' binaries."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need for Python's library, in what does not start Python by itself."""
    held = {binary.member.rpartition("/")[2] for binary in survey.binaries if binary.owner}
    embedded = {name for _, image in survey.images() if image.kind == "program" for _, name in _pythons(image) if name in held}
    for binary, image in survey.images():
        if image.kind != "program" and not _must_name_it(image):
            for position, name in _pythons(image):
                if name not in embedded:
                    yield _finding(binary, image, position)


def _pythons(image: Image) -> Iterator[tuple[int, str]]:
    """Yield position and base name of the needs for Python's library."""
    for position, needed in enumerate(image.needed):
        name = needed.name.rpartition("/")[2]
        if LIBRARY.fullmatch(name):
            yield position, name


def _must_name_it(image: Image) -> bool:
    """Tell whether extension modules of the image's platform are linked to Python's library by design."""
    if isinstance(image.native, MachOFacts):
        return image.native.platform not in ("", "macos")
    return evidence_of_libc(image).libc == "bionic"


def _finding(binary: Binary, image: Image, position: int) -> Finding:
    macos = image.format == Format.MACHO
    return Finding(
        "links-libpython",
        Severity.ERROR if macos else Severity.WARNING,
        Certainty.CERTAIN,
        "is linked to a particular Python library",
        place_in(binary, image, position, "the running Python has these symbols already"),
        help="link with -undefined dynamic_lookup instead of a Python library"
        if macos
        else "link without -lpython; `relocate repair` removes the need",
        repaired_by="" if macos else "repair",
    )


RULE = Rule(
    "links-libpython",
    "Linkage",
    Severity.ERROR,
    check,
    (Format.ELF, Format.MACHO),
    repaired_by="repair",
    supersedes=(
        "missing-library",
        "unbundled-library",
        "left-to-dependency",
        "path-in-needed",
        "absolute-install-name",
        "unresolved-rpath",
    ),
)
