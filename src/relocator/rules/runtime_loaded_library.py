"""Opens a library by name that nothing is known to bring.

## What it flags

A name that a file passes to `dlopen`, `LoadLibrary` or ctypes, when no file of the package bears it, the target does not promise it, and
no declared dependency is known to ship it.

## Why it matters

Such a library is in no list of needs: tools that repair wheels do not see it, the import works, and the first use does not:

    OSError: libcudnn_ops_infer.so.8: cannot open shared object file: No such file or directory
    DPI-1047: Cannot locate a 64-bit Oracle Client library: "libclntsh.so: cannot open shared object file"

## Example

    note[runtime-loaded-library]: opens a library by name that nothing here brings (possible)
      demo/_core.so (x86_64), string literal libclntsh.so: the file calls dlopen
      = help: bring it with the package, depend on what ships it, or say in the documentation what to install
      = more: relocate explain runtime-loaded-library

## How to fix it

Bring the library with the package and open it by its full path (beside `__file__`, or by way of `dladdr`), or depend on a distribution
that ships it. If it is a driver or a program that users install themselves, say so, and raise an error that names it.

## When it is fine

When the code works without it: many libraries try for tools, drivers and accelerators that few machines have. Therefore it is a note, and
no more than possible.

## How it decides

For binaries that import a function which opens libraries: string literals that are a library's name, from read-only data, never from the
tables of the loader. For Python sources: arguments of ctypes, cffi and the like that can be worked out without running them, and that name
a library of the target's kind. Left out are names with a folder of the system, libraries that only a host can bring (drivers), those of the
system, of Python and of the C library, and tools that are known to be tried for only.

## References

- dlopen(3); Microsoft, "LoadLibraryExW"; Python documentation, "ctypes"
- https://github.com/SYSTRAN/faster-whisper/issues/516
- https://github.com/ContinuumIO/anaconda-issues/issues/698
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge import matches
from relocator.knowledge.host_libraries import is_host_library
from relocator.knowledge.providers import known_to_ship
from relocator.metadata import distribution_of
from relocator.model import PREFIX, Binary, Format, Survey

ENDINGS = {"linux": r"\.so(\.\d+)*", "android": r"\.so", "macos": r"\.dylib", "ios": r"\.dylib", "windows": r"\.dll"}
"""How libraries of a system are called; a name with another ending is meant for another system."""

OPENERS = {Format.ELF: "dlopen", Format.MACHO: "dlopen", Format.PE: "LoadLibrary"}

TRIED_FOR = (
    *("libittnotify*", "libmemkind*", "libneuralnetworks*", "libjemalloc*", "libtcmalloc*", "libamdhip64*", "libhiprtc*"),
    *("libgles_cm*", "libdecor-*"),
    *("netmsg.dll", "winsock.dll", "ws2thk.dll", "wsock32n.dll"),
)
"""Profilers, allocators and drivers that a library looks for and does without; where PostgreSQL looks for messages."""

EVERYWHERE = (
    *("libc.so*", "libm.so*", "libdl.so*", "libpthread.so*", "librt.so*", "libgcc_s.so*", "libstdc++*", "libc++*", "libpython3*"),
    *("libsystem*.dylib", "libc.dylib", "libm.dylib", "libdl.dylib", "libpthread.dylib", "libobjc*.dylib"),
    *("python3*.dll", "mscoree.dll", "ucrtbase*.dll", "msvcr*.dll", "vcruntime*.dll"),
)
"""Names of the C library, of compilers' runtimes and of Python."""


class _Opened(NamedTuple):
    where: Where
    name: str


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one note for each file and each name that it may open and that nothing brings."""
    ending = ENDINGS.get(survey.target.os)
    if ending is None:
        return
    opened = dict.fromkeys((*_in_binaries(survey), *_in_sources(survey, ending)))
    brought = _brought(survey) if opened else frozenset()
    unknown = [(where, name) for where, name in opened if not _is_among(name.casefold(), brought) and not _is_common(survey, name)]
    required = _required(survey) if unknown else frozenset()
    for where, name in unknown:
        shippers, renamed = known_to_ship(name), _renamed(name.casefold(), brought)
        if required.isdisjoint(shippers):
            message = "opens a library by name that nothing here brings"
            help_text = _help(shippers, renamed)
            yield Finding("runtime-loaded-library", Severity.NOTE, Certainty.POSSIBLE, message, where, help=help_text)


def _is_among(name: str, names: Iterable[str]) -> bool:
    """Tell whether a name, or that name with a version behind it that code may add, is one of some names."""
    return any(one == name or (one.startswith(f"{name}.") and one[len(name) + 1 :][0:1].isdigit()) for one in names)


def _required(survey: Survey) -> frozenset[str]:
    return frozenset(distribution_of(text) for distribution in survey.container.distributions for text in distribution.requires)


def _help(shippers: tuple[str, ...], renamed: str) -> str:
    if renamed:
        return f"open it by the name that it has in the package, {renamed}, or load that one first and look for its functions there"
    if shippers:
        return f"depend on {' or '.join(shippers)}, which ships it, or say in the documentation what to install"
    return "bring it with the package, depend on what ships it, or say in the documentation what to install"


def _in_binaries(survey: Survey) -> Iterator[_Opened]:
    for binary, image in survey.images():
        needs = [name.rpartition("/")[2].casefold() for name in (*(need.name for need in image.needed), image.identity or "", binary.path)]
        for literal in image.literals:
            name = literal.decode("ascii", "replace").rpartition("/")[2]
            if " " not in name and not _is_need(name.casefold(), needs) and not _is_linked_in(name, needs):
                told = f"the file calls {OPENERS[image.format]}"
                yield _Opened(Where(binary.member, image.arch, "string literal", None, name, label=told), name)


def _is_need(name: str, needs: list[str]) -> bool:
    """Tell whether a name is that of a need or of the file itself, or was before a tool put a hash into it."""
    return name in needs or bool(_renamed(name, needs))


def _renamed(name: str, names: Iterable[str]) -> str:
    """Return the one of some names that is a name with a hash in it (libfoo-1a2b3c4d.so.1 for libfoo.so.1); "" when none is."""
    stem, _, rest = name.partition(".")
    pattern = re.compile(rf"{re.escape(stem)}-[0-9a-f]{{6,}}\.(\d[\d.]*\.)?{re.escape(rest)}[\w.]*")
    return next((one for one in names if pattern.fullmatch(one)), "")


def _is_linked_in(name: str, needs: list[str]) -> bool:
    """Tell one of MKL's kernels in a file that needs nothing of MKL: it was linked statically and never opens them."""
    return name.casefold().startswith(("libmkl_", "mkl_")) and not any("mkl_" in need for need in needs)


def _in_sources(survey: Survey, ending: str) -> Iterator[_Opened]:
    windows = survey.target.os == "windows"
    pattern = re.compile(rf"[\w.+-]+{ending}", re.IGNORECASE if windows else 0)
    for hint in survey.hints:
        folder, _, name = (hint.argument or "").replace("\\" if windows else "/", "/").rpartition("/")
        if hint.call == "cdll" and pattern.fullmatch(name) and (not folder or folder.startswith(PREFIX)):
            where = Where(hint.member, "", f"line {hint.line}", None, name, label="opened by Python code")
            yield _Opened(where, name)


def _brought(survey: Survey) -> frozenset[str]:
    """Return the names by which files of the package may be opened, case-folded."""
    found = {member.name.rpartition("/")[2].casefold() for member in survey.container.members}
    for binary in survey.binaries:
        found.add(binary.path.rpartition("/")[2].casefold())
        found.update(identity.rpartition("/")[2].casefold() for identity in _identities(binary))
    return frozenset(found)


def _identities(binary: Binary) -> Iterator[str]:
    for image in binary.images:
        if image.identity:
            yield image.identity


def _is_common(survey: Survey, name: str) -> bool:
    """Tell whether a name is the system's, Python's or a host's business, or is tried for only."""
    folded = name.casefold()
    if any(matches(pattern, folded) for pattern in (*TRIED_FOR, *EVERYWHERE)):
        return True
    stem = re.sub(r"\.so[\d.]*$", ".so", name)
    if any(is_host_library(spelled) for spelled in (name, *(f"{stem}.{number}" for number in range(3)))):
        return True  # libGL.so is what developers have of libGL.so.1
    return any(
        promises.knows(name) or f"/usr/lib/{name}" in promises.levels[-1].libraries or _is_among(name, promises.levels[-1].libraries)
        for promises in survey.promises
    )


RULE = Rule("runtime-loaded-library", "Linkage", Severity.NOTE, check, needs_promise=True)
