"""Needs more static thread-local storage than glibc keeps for libraries that are loaded later.

## What it flags

Libraries with static thread-local storage that imports of this environment can bring into one process, when they need more of it together
than glibc has left by default: 1664 bytes, and 1152 on aarch64.

## Why it matters

Code compiled for the "initial-exec" model finds its thread-local variables at a fixed distance from the thread pointer. Room for that is
set aside once, when the program starts. Whoever is imported after it is used up fails:

    ImportError: libgomp.so.1: cannot allocate memory in static TLS block

So it depends on the order of imports.

## Example

    warning[static-tls-exhaustion]: imports can need 1,920 bytes of static thread-local storage, and glibc keeps 1,664 (likely)
      demo/libdemo.so.1 (x86_64), PT_TLS 1,216 bytes
        also other/libother.so.1 (x86_64), PT_TLS 704 bytes
      = help: import the largest first, or start Python with GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096
      = more: relocate explain static-tls-exhaustion

## How to fix it

Import the largest ones first, or share one library where several are the same (`duplicate-openmp`). Start Python with
`GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096`, or name the library in LD_PRELOAD. Whoever builds a library with large thread-local
variables compiles it with -ftls-model=global-dynamic.

## When it is fine

When no process imports all of them, or an older glibc on x86_64 happens to have more room.

## How it decides

By the sizes of PT_TLS of the files with DF_STATIC_TLS, rounded up to their alignment, each library once. What the interpreter needs itself
is loaded at the start and does not count. On aarch64, glibc may give 512 of the 1664 bytes to libraries that could do without.

## References

- glibc, elf/dl-tls.c, `_dl_tls_static_surplus_init`; manual, "Dynamic Linking Tunables"
- https://github.com/scikit-learn/scikit-learn/issues/17231
- https://github.com/dmlc/xgboost/issues/8488
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.meeting import Brought, brought, instance
from relocator.model import Format, Survey
from relocator.native import ElfFacts

SURPLUS = 1664
"""Bytes: glibc's default for one namespace of audit modules and optional use."""

OPTIONAL = {"aarch64": 512}
"""Bytes of it that dynamic descriptors may take, by architecture."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each architecture whose libraries need more than there is."""
    if survey.target.libc not in ("", "glibc"):
        return
    by_arch: dict[str, dict[str, tuple[int, Brought]]] = {}
    for one in brought(survey):
        size = _static_size(one)
        if size and one.binary.path not in _at_start(survey):
            by_arch.setdefault(one.image.arch, {}).setdefault(instance(one.binary, one.image), (size, one))
    for arch, found in by_arch.items():
        room = SURPLUS - OPTIONAL.get(arch, 0)
        largest = sorted(found.values(), key=lambda pair: (-pair[0], pair[1].binary.path))
        total = sum(size for size, _ in largest)
        if total > room:
            first, *others = (_place(size, one) for size, one in largest)
            yield Finding(
                "static-tls-exhaustion",
                Severity.WARNING,
                Certainty.LIKELY,
                f"imports can need {total:,} bytes of static thread-local storage, and glibc keeps {room:,}",
                first,
                tuple(others),
                "import the largest first, or start Python with GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096",
            )


def _static_size(one: Brought) -> int:
    native = one.image.native
    if not isinstance(native, ElfFacts) or not native.static_tls:
        return 0
    align = max(native.tls_align, 1)
    return -(-native.tls_size // align) * align


def _at_start(survey: Survey) -> frozenset[str]:
    """Return what is in the process before the first import: the interpreter and its needs."""
    program = survey.global_scope[0] if survey.global_scope else ""
    return frozenset(path for load in survey.loads if load.root == program for path in load.order)


def _place(size: int, one: Brought) -> Where:
    return Where(one.binary.member, one.image.arch, "PT_TLS", None, f"{size:,} bytes")


RULE = Rule("static-tls-exhaustion", "Conflicts", Severity.WARNING, check, (Format.ELF,), ("environment",))
