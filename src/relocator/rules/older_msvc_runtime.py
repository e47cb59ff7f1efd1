"""Uses the C++ library's mutex as new builds do, with an msvcp140.dll that is too old for it.

## What it flags

A file that imports `_Mtx_lock` but not `_Mtx_init_in_situ` from msvcp140.dll, where an msvcp140.dll older than 14.40 is what it finds, or
may be loaded before its own.

## Why it matters

Since Visual Studio 2022 17.10 a `std::mutex` is initialised by the compiler, no longer by a call. An msvcp140.dll from before that sees a
mutex that was never set up, and the first lock ends the process:

    Windows fatal exception: access violation

No import fails before, and no message names the DLL. The first msvcp140.dll in a process serves everybody, so another package's old copy
is enough.

## Example

    error[older-msvc-runtime]: locks a mutex in a way that needs msvcp140.dll 14.40, and finds an older one
      demo/_core.pyd (amd64), import MSVCP140.dll: imports _Mtx_lock, not _Mtx_init_in_situ
        also demo/msvcp140.dll (amd64), is version 14.29.30139.0
      = help: ship msvcp140.dll 14.40 or newer, or build with /D_DISABLE_CONSTEXPR_MUTEX_CONSTRUCTOR
      = more: relocate explain older-msvc-runtime

## How to fix it

Ship an msvcp140.dll of version 14.40 or newer, under a name of its own (`relocate repair`). Or build with
`/D_DISABLE_CONSTEXPR_MUTEX_CONSTRUCTOR`, which works with every version. Whoever uses such packages updates the one with the old DLL, or
imports the one with the newest first.

## When it is fine

When no code with a mutex ever runs. When the package with the newer DLL is always imported first.

## How it decides

By the two functions: code with the old kind of mutex imports both. The versions are those of the files' version resources. In an
environment, every msvcp140.dll that an import brings can be the first. One that we see no import bring makes it merely possible: Python
code may open it, or add its folder. A DLL of the system is not known, and not judged.

## References

- Microsoft STL, "Changelog" of VS 2022 17.10: constexpr mutex constructor
- https://github.com/microsoft/STL/issues/4978
- https://github.com/metaopt/optree/pull/279
- https://github.com/apache/arrow/issues/44855
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.meeting import brought, file_version
from relocator.model import Binary, Format, Image, Survey
from relocator.places import place_in

NEEDED = (14, 40)
LOCK, SET_UP = b"_Mtx_lock", b"_Mtx_init_in_situ"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file that may meet an msvcp140.dll that is too old for it."""
    for binary, image in survey.images():
        position = _position(image) if image.format == Format.PE and image.symbols.mentions(LOCK) else None
        if position is not None:
            for certainty, places in _too_old(survey, binary, image, position):
                yield _finding(binary, image, position, certainty, places)


def asks_for_new(image: Image) -> str:
    """Return the case-folded name of the DLL that an image's new kind of mutex needs to be new; "" when it has none."""
    position = _position(image) if image.format == Format.PE and image.symbols.mentions(LOCK) else None
    return image.needed[position].name.casefold() if position is not None else ""


def _position(image: Image) -> int | None:
    """Return which need brings the new kind of mutex; None when none does."""
    asked: dict[str, set[bytes]] = {}
    for symbol in image.symbols.imports():
        if symbol.name in (LOCK, SET_UP):
            asked.setdefault(symbol.library.casefold(), set()).add(symbol.name)
    names = [need.name.casefold() for need in image.needed]
    return next((names.index(library) for library, found in asked.items() if found == {LOCK} and _is_runtime(library)), None)


def _is_runtime(library: str) -> bool:
    return library.startswith("msvcp140") and library.endswith(".dll")


def _too_old(survey: Survey, binary: Binary, image: Image, position: int) -> Iterator[tuple[Certainty, list[Where]]]:
    """Yield the DLLs that are too old, the surest kind alone: what the file finds by itself, what imports bring, what else is there."""
    name = image.needed[position].name.casefold()
    targets = {
        resolution.target
        for load in survey.loads
        for resolution in load.resolutions
        if resolution.importer == binary.path and resolution.position == position and resolution.target
    }
    brought_ones = {one.binary.path for one in brought(survey)}
    found: dict[Certainty, list[Where]] = {}
    alone = binary.path not in brought_ones  # a program, or what nothing is seen to open, meets no other package
    for other in survey.binaries:
        version = file_version(other.images[0])
        if other.path.rpartition("/")[2].casefold() == name and other.images[0].arch == image.arch and () < version < NEEDED:
            place = Where(other.member, image.arch, label=f"is version {'.'.join(map(str, version))}")
            rank = Certainty.CERTAIN if other.path in targets else Certainty.LIKELY if other.path in brought_ones else Certainty.POSSIBLE
            if rank == Certainty.CERTAIN or not alone:
                found.setdefault(rank, []).append(place)
    if found:
        yield max(found.items())


def _finding(binary: Binary, image: Image, position: int, certainty: Certainty, places: list[Where]) -> Finding:
    own = certainty == Certainty.CERTAIN
    return Finding(
        "older-msvc-runtime",
        Severity.ERROR,
        certainty,
        "locks a mutex in a way that needs msvcp140.dll 14.40, and finds an older one"
        if own
        else "locks a mutex in a way that needs msvcp140.dll 14.40, and an older one may be loaded first",
        place_in(binary, image, position, f"imports {LOCK.decode()}, not {SET_UP.decode()}"),
        tuple(places),
        "ship msvcp140.dll 14.40 or newer, or build with /D_DISABLE_CONSTEXPR_MUTEX_CONSTRUCTOR"
        if own
        else "update the package with the older DLL, or import the one with the newest first",
    )


RULE = Rule(
    "older-msvc-runtime",
    "Windows",
    Severity.ERROR,
    check,
    (Format.PE,),
    ("wheel", "folder", "environment"),
)
