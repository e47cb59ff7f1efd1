"""Which of Python's ABIs a binary is for, and what it takes from Python: shared by the rules about Python's ABI."""

import re
from collections.abc import Iterator

from relocator.model import Binary, Format, Image, Survey
from relocator.symbols import Import
from relocator.target import Target

STABLE = frozenset({"abi3", "abi3t"})

_FILE_TAG = re.compile(r"\.(?:(abi3t?)|(?:cpython-|cp)(3)(\d+)(t?)d?)(?=[.-])")
_PYTHON_TAG = re.compile(r"cp3(\d+)")
_ABI_TAG = re.compile(r"cp3\d+(t?)[dmu]*")
_API = re.compile(rb"_?Py[A-Za-z0-9]*_\w+")
"""How CPython spells what it exports: PyList_New, _Py_Dealloc, PyExc_ValueError."""
_INIT = re.compile(rb"Py(Init|ModExport)U?_")
_PYTHON_DLL = re.compile(r"python3\d*t?(_d)?\.dll")
_PYTHON_LIBRARY = re.compile(r"(Python|libpython3\.\d+t?\.dylib)")
_MACHO_ANYWHERE = ("", "<flat>", "<main>", "<weak>")


def abis_of(binary: Binary, target: Target) -> tuple[str, ...]:
    """Return the ABI tags that a file is for: its own name's, else those of the target ("abi3", "abi3t", "cp312", "cp313t")."""
    found = _FILE_TAG.search(binary.member.rpartition("/")[2])
    if found is None:
        return target.abis
    return (found[1] or f"cp{found[2]}{found[3]}{found[4]}",)


def is_stable(binary: Binary, target: Target) -> bool:
    """Tell whether a file is for the stable ABI alone."""
    abis = abis_of(binary, target)
    return bool(abis) and STABLE.issuperset(abis)


def is_free_threaded(binary: Binary, target: Target) -> bool | None:
    """Tell whether a file is for free-threaded builds of Python alone; None when that is not said, or both can load it."""
    found = {abi.startswith("abi3t") if abi in STABLE else _free(abi) for abi in abis_of(binary, target)}
    return found.pop() if len(found) == 1 else None


def _free(abi: str) -> bool | None:
    tag = _ABI_TAG.fullmatch(abi)
    return bool(tag[1]) if tag else None


def oldest_python(target: Target) -> tuple[int, int] | None:
    """Return the oldest CPython that the tags admit; None when they name none. Under abi3t it is at least 3.15 (PEP 803)."""
    minors = [int(tag[1]) for tag in map(_PYTHON_TAG.fullmatch, target.pythons) if tag]
    if not minors:
        return None
    return max((3, min(minors)), (3, 15) if set(target.abis) == {"abi3t"} else (3, 0))


def python_imports(image: Image) -> Iterator[tuple[str, Import]]:
    """Yield, by its name as C spells it, each symbol that an image must find in Python: weak ones and unused ones are left out."""
    if not image.symbols.mentions(b"Py"):
        return
    lead = b"_" if image.format == Format.MACHO else b""
    for symbol in image.symbols.imports():
        name = symbol.name.removeprefix(lead)
        if not symbol.weak and symbol.used and _API.fullmatch(name) and not _INIT.match(name) and _from_python(image, symbol):
            yield name.decode(), symbol


def _from_python(image: Image, symbol: Import) -> bool:
    if image.format == Format.PE:
        return _PYTHON_DLL.fullmatch(symbol.library.casefold()) is not None
    if image.format == Format.MACHO:
        return symbol.library in _MACHO_ANYWHERE or _PYTHON_LIBRARY.fullmatch(symbol.library.rpartition("/")[2]) is not None
    return True


def defined_in_package(survey: Survey, name: bytes, arch: str) -> bool:
    """Tell whether some file of the container exports a symbol, by its raw name, for an architecture."""
    images = (image for _, image in survey.images() if image.arch == arch and image.symbols.mentions(name))
    return any(export.name == name for image in images for export in image.symbols.exports())
