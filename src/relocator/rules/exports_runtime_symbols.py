"""Exports symbols of the C++ runtime, or an allocator.

## What it flags

An ELF or Mach-O file that exports functions or data that belong to the C++ runtime (std::cout, std::locale, __cxa_throw, operator new) or
to the C library's allocator (malloc, free), as strong definitions. The runtime itself (libstdc++, libc++, libgcc_s) and allocators that
are libraries of their own (jemalloc, mimalloc, tcmalloc) are left out. One finding for each file and kind.

## Why it matters

Whatever is exported can be taken by others, and theirs can be taken instead: then one half of a file uses its own copy of the runtime and
the other half the copy of another package. Memory is freed by another allocator than the one that gave it, exceptions pass through two
runtimes, streams are set up twice. It crashes only in processes that load both:

    Segmentation fault (core dumped)
    terminate called after throwing an instance of 'std::runtime_error'

## Example

    warning[exports-runtime-symbols]: exports symbols of the C++ runtime (likely)
      demo/_core.so (x86_64), export _ZSt4cout: with 1 more: __cxa_throw
      = help: hide what is linked statically: -Wl,--exclude-libs,ALL, or an export list with the init function alone
      = more: relocate explain exports-runtime-symbols

## How to fix it

Hide what was linked statically: `-Wl,--exclude-libs,ALL`, or a version script (on macOS an exports list) that names the module's init
function alone; or link the runtime dynamically.

## When it is fine

When replacing the allocator for the whole process is what the file is for.

## How it decides

By the names of the exports: entry points and data that a runtime is not without. Weak definitions are left out, since every C++ file has
some, as are hidden ones. What Red Hat's toolsets add to an older libstdc++ from libstdc++_nonshared.a (operator delete with a size, aligned
operator new) stands upon the older one, and is not counted.

## References

- ld(1), "--exclude-libs"; GCC manual, "-static-libstdc++"
- https://github.com/pytorch/pytorch/issues/109923
- https://github.com/apache/arrow/issues/2637
"""

from collections.abc import Iterator

from relocator.bindings.suspects import more, text
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Image, Role, Survey

_ALLOCATOR = (
    *(b"malloc", b"free", b"calloc", b"realloc", b"posix_memalign", b"aligned_alloc", b"memalign"),
    *(b"_Znwm", b"_Znam", b"_Znwj", b"_Znaj", b"_ZdlPv", b"_ZdaPv"),
)
_RUNTIME = (
    *(b"_ZSt4cout", b"_ZSt3cin", b"_ZSt4cerr", b"_ZSt9terminatev", b"_ZNSt6localeC1Ev", b"_ZNSt6locale7classicEv"),
    *(b"_ZNSt3__14coutE", b"_ZNSt3__14cerrE", b"_ZNSt3__16localeC1Ev", b"_ZNSt3__16locale7classicEv"),
    *(b"__cxa_throw", b"__cxa_begin_catch", b"__cxa_allocate_exception", b"__cxa_rethrow", b"__gxx_personality_v0"),
)
_KINDS = (("an allocator", frozenset(_ALLOCATOR)), ("the C++ runtime", frozenset(_RUNTIME)))
_OWN = ("libstdc++", "libc++", "libgcc_s", "libcxx", "libsupc++", "libunwind", "libjemalloc", "libmimalloc", "libtcmalloc", "libtbbmalloc")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each image and kind."""
    for binary, image in survey.images():
        names = (image.identity or "", binary.member)
        own = any(name.rpartition("/")[2].startswith(_OWN) for name in names)
        if own or image.kind == "program" or binary.role == Role.PROGRAM or image.format == Format.PE:
            continue
        for kind, wanted in _KINDS:
            found = _exported(image, wanted)
            if found:
                yield Finding(
                    "exports-runtime-symbols",
                    Severity.WARNING,
                    Certainty.LIKELY,
                    f"exports symbols of {kind}",
                    Where(binary.member, image.arch, "export", None, "", found[0], more(found[1:])),
                    help="hide what is linked statically: -Wl,--exclude-libs,ALL, or an export list with the init function alone",
                )


def _exported(image: Image, wanted: frozenset[bytes]) -> list[str]:
    """Return the wanted names that the image defines strongly, in C's spelling."""
    lead = b"_" if image.format == Format.MACHO else b""
    mentioned = {lead + name for name in wanted if image.symbols.mentions(lead + name)}
    if not mentioned:
        return []
    return [text(export.name) for export in image.symbols.defines(mentioned) if not export.weak and not export.forward]


RULE = Rule("exports-runtime-symbols", "Symbols", Severity.WARNING, check, (Format.ELF, Format.MACHO))
