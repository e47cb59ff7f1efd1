"""Which of Linux's three C libraries a file was linked with, by the marks that they leave, and which one will load it."""

from typing import NamedTuple

from relocator.model import Image
from relocator.native import ElfFacts
from relocator.target import Target

LIBCS = ("glibc", "musl", "bionic")

_TELLING = (("musl", ("ld-musl-", "libc.musl-")), ("glibc", ("ld-linux", "ld64.so.", "libc.so.6")))
"""How the names start that only one C library answers to. The dynamic loader's own name is the surest of them."""

_ANDROID_ONLY = frozenset({"liblog.so", "libdl.so", "libm.so", "libandroid.so"})
"""Names without a version that Android's linker knows and no other Linux."""


class Evidence(NamedTuple):
    """A C library and what gives it away; all empty when nothing does."""

    libc: str = ""
    """"glibc", "musl" or "bionic"."""
    field: str = ""
    value: str = ""


def evidence_of_libc(image: Image) -> Evidence:
    """Return the C library that an ELF image was linked with, the field that tells, and that field's value."""
    if not isinstance(image.native, ElfFacts):
        return Evidence()
    interpreter = image.native.interpreter or ""
    if image.native.android_api is not None:
        return Evidence("bionic", ".note.android.ident", str(image.native.android_api))
    if interpreter.startswith("/system/bin/linker"):
        return Evidence("bionic", "PT_INTERP", interpreter)
    names = [need.name for need in image.needed]
    fields = [("DT_NEEDED", name) for name in names] + [("PT_INTERP", interpreter)]
    for libc, starts in _TELLING:
        for start in starts:
            for field, value in fields:
                if value.rpartition("/")[2].startswith(start):
                    return Evidence(libc, field, value)
    versions = [need.version for need in image.version_needs if need.version.startswith("GLIBC_")]
    if versions:
        return Evidence("glibc", "DT_VERNEED", versions[0])
    # The NDK names the parts of libc beside it; libc.so alone may be musl's one library as well.
    return next((Evidence("bionic", "DT_NEEDED", name) for name in names if name in _ANDROID_ONLY and "libc.so" in names), Evidence())


def libc_of(image: Image, target: Target) -> str:
    """Return the C library whose loader opens an ELF image: as the target says, else as the image's own marks tell, else glibc."""
    if target.libc in LIBCS:
        return target.libc
    if target.os == "android":
        return "bionic"
    if libc := evidence_of_libc(image).libc:
        return libc
    names = {needed.name for needed in image.needed}
    return "musl" if "libc.so" in names else "bionic" if "liblog.so" in names else "glibc"


def other_libc(image: Image, libc: str) -> str:
    """Return the C library that an ELF image was linked with where that is another than the one named; "" where nothing tells.

    A loader maps such a file, and then looks in vain for the other C library, or has a second one in the process.
    """
    found = evidence_of_libc(image).libc
    return found if libc in LIBCS and found != libc else ""
