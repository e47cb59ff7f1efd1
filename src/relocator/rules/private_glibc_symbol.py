"""Takes a symbol of glibc's that is private to glibc.

## What it flags

An ELF file that asks the platform's C library for the version GLIBC_PRIVATE. One finding for each file and library.

## Why it matters

Under that version the parts of glibc share what is nobody else's business. It changes from release to release without notice, so the file
loads with the glibc that it was linked with, and with few others:

    ImportError: /lib/x86_64-linux-gnu/libc.so.6: symbol __libc_thread_freeres, version GLIBC_PRIVATE not defined ...

It happens when a part of glibc itself (libpthread, libnss_*, libresolv) was copied into the package, which must never be mixed with
another glibc, or when code calls a function that only glibc may.

## Example

    error[private-glibc-symbol]: is a part of glibc, and works with no other glibc than its own
      demo.libs/libpthread-2.17.so (x86_64), DT_VERNEED GLIBC_PRIVATE __libc_thread_freeres@GLIBC_PRIVATE: from libc.so.6
      = help: take it out of the package: the platform brings its own
      = more: relocate explain private-glibc-symbol

## How to fix it

Take the part of glibc out of the package: the platform brings its own. Or use a public function in place of the private one.

## When it is fine

Never: no tag promises a private symbol.

## How it decides

By the version needs of each file. Weak ones are left out, and those that a library in the package meets.

## References

- glibc, "Versions.def"; https://sourceware.org/glibc/wiki/Release
- https://github.com/pypa/auditwheel/issues/229
"""

from collections.abc import Iterator

from relocator.bindings.suspects import more
from relocator.demands import MET, symbols_with
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Image, Survey

_PRIVATE = "GLIBC_PRIVATE"
_PARTS = (
    "libc.",
    "libc-",
    "libpthread",
    "libdl.",
    "libdl-",
    "libm.",
    "libm-",
    "librt.",
    "librt-",
    "libresolv",
    "libnss_",
    "libnsl",
    "ld-linux",
)


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and library of glibc's."""
    met = {(r.importer, r.arch, r.needed.name) for load in survey.loads for r in load.resolutions if r.how in MET}
    for binary, image in survey.images():
        for need in image.version_needs:
            if need.version != _PRIVATE or need.weak or (binary.path, image.arch, need.library) in met:
                continue
            symbols = [f"{name}@{_PRIVATE}" for name in symbols_with(image, _PRIVATE)]
            part = _is_part(image, binary.member)
            label = ", ".join(filter(None, (f"from {need.library}", more(symbols[1:]))))
            yield Finding(
                "private-glibc-symbol",
                Severity.ERROR,
                Certainty.CERTAIN,
                "is a part of glibc, and works with no other glibc than its own" if part else "takes a symbol that is private to glibc",
                Where(binary.member, image.arch, "DT_VERNEED", None, _PRIVATE, symbols[0] if symbols else "", label),
                help="take it out of the package: the platform brings its own" if part else "use a public function instead",
            )


def _is_part(image: Image, member: str) -> bool:
    """Tell whether the file looks like one of glibc's own."""
    names = (image.identity or "", member.rpartition("/")[2])
    return any(name.startswith(_PARTS) for name in names)


RULE = Rule("private-glibc-symbol", "Symbols", Severity.ERROR, check, (Format.ELF,))
