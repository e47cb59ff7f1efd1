"""Searches for libraries in the directory that the process happens to be in.

## What it flags

An element of DT_RPATH, DT_RUNPATH or LC_RPATH that is neither absolute nor relative to the file itself. Under glibc an empty element is
one too, and so is a colon at the end of the list.

## Why it matters

The loader takes such an element from the current directory. Whoever can put a file there, in a downloads folder or an unpacked archive,
has his code run by the import, before the library that was meant is even looked for. `LD_DEBUG=libs` shows it:

    find library=libssl-12345678.so.1.1 [0]; searching
     search path=demo.libs/glibc-hwcaps/x86-64-v3:demo.libs   (RPATH from file .../demo.libs/libpq-87654321.so.5)
      trying file=demo.libs/libssl-12345678.so.1.1

When the directory is another one the element leads nowhere, and the import ends with `cannot open shared object file: No such file or
directory` unless something else leads to the library.

## Example

    error[relative-search-path]: searches for a library in the current directory
      demo.libs/libpq-87654321.so.5 (x86_64), DT_RPATH demo.libs: libssl-12345678.so.1.1 is looked for there
      = help: let `relocate repair` replace it, or link with -Wl,-rpath,'$ORIGIN/...'
      = more: relocate explain relative-search-path

## How to fix it

`relocate repair` gives the library a path that starts at `$ORIGIN` (ELF) or `@loader_path` (Mach-O). In a build look for a dollar that the
shell or make swallowed (`-Wl,-rpath,$ORIGIN` leaves nothing, write `'$ORIGIN'`, in a makefile `'$$ORIGIN'`) and for variables that were
empty when lists of paths were joined (`$LD_RUN_PATH:/foo`).

## When it is fine

Never in a package. It is a warning rather than an error where everything that the file needs is found before the loader comes to this
element, or is in the process already.

## How it decides

By the text, as the loader of the target reads it: glibc knows `$ORIGIN`, `$LIB` and `$PLATFORM`, and only the first is absolute; musl
and Android skip empty elements; musl ignores a list with any other dollar in it; dyld joins an empty element and the name to an absolute
path. A DT_RPATH beside a DT_RUNPATH is read by nobody and not judged. It is an error when in some load of a module or a program a library
is looked for at this element; libc and libm do not count for a module, since Python has brought them.

## References

- glibc, `elf/dl-load.c`, `fillin_rpath` and `decompose_rpath`; musl, `ldso/dynlink.c`, `path_open` and `fixup_rpath`
- dyld, `Loader.cpp`, `forEachResolvedAtPathVar`
- CWE-426, "Untrusted Search Path"
- https://github.com/ledger/ledger/issues/3230
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey
from relocator.search_paths import Element, Leads, elements, looked_for_at


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each element that leads to the current directory."""
    for element in elements(survey, Leads.CURRENT):
        need = looked_for_at(survey, element)
        empty = "" if element.path.text else "an empty element"
        label = f"{need} is looked for there" if need else ""
        yield Finding(
            "relative-search-path",
            Severity.ERROR if need else Severity.WARNING,
            Certainty.CERTAIN,
            "searches for a library in the current directory" if need else "has a search path that leads to the current directory",
            element.where(", ".join(filter(None, (empty, label)))),
            help=f"let `relocate repair` replace it, or link with -Wl,-rpath,{_relative_to_file(element)}",
            repaired_by="repair",
        )


def _relative_to_file(element: Element) -> str:
    return "@loader_path/..." if element.image.format == Format.MACHO else "'$ORIGIN/...'"


RULE = Rule(
    "relative-search-path",
    "Search paths",
    Severity.ERROR,
    check,
    (Format.ELF, Format.MACHO),
    repaired_by="repair",
    by_role=False,
    security=True,
    containers=EVERYWHERE,
)
