"""Uses a symbol that nothing in its load defines.

## What it flags

In an installed environment, a symbol that a file cannot do without and that neither the files loaded with it, nor the interpreter, nor
the platform defines. One finding for each file.

## Why it matters

Python asks the loader to bind every symbol when a module is imported, so the import fails:

    ImportError: .../torchvision/_C.so: undefined symbol: _ZN2at4_ops5zeros4callEN3c108ArrayRefINS2_6SymIntEEE
    ImportError: dlopen(.../_core.so, 0x0002): symbol not found in flat namespace '_bcp_batch'

Most often two packages were built for different releases of one another, or of Python.

## Example

    error[undefined-symbol]: uses a symbol that nothing in its load defines
      flash/_core.so (x86_64), import _ZN2at4_ops5zeros4callEN3c108ArrayRefINS2_6SymIntEEE
        also torch/lib/libc10.so (x86_64), has _ZN2at4_ops5zeros4callEN3c108ArrayRefIlEE instead
      = help: install releases of flash-attn and torch that were built for one another
      = more: relocate explain undefined-symbol

## How to fix it

Install releases that were built for one another. The finding names the file that has the symbol, or one most like it, and the packages
that both belong to. When the file that has it is not loaded, the module must be linked with it, or another one be imported first.

## When it is fine

When the file is a plug-in for a program, which has the symbol: a finding on a file that no import reaches is milder for that reason. When
the package's Python code opens the defining library with RTLD_GLOBAL in a way that cannot be followed.

## How it decides

By looking up every strong symbol that some relocation uses, as the loader does: in the global scope, then in the files of the load,
breadth first, with symbol versions. Weak symbols may stay undefined, and a symbol that no relocation uses is never looked up. Nothing is
said of a load in which a library is missing, nor of a symbol that may come from a library of the platform whose symbols are not known.
Symbols with another std::string on the other side are told by `cxx11-abi`.

## References

- System V gABI, chapter 5, "Relocations"; glibc, elf/dl-lookup.c
- https://github.com/pypa/auditwheel/issues/272
- https://github.com/Dao-AILab/flash-attention/issues/919
"""

from collections.abc import Iterator

from relocator.bindings import Missing, missing
from relocator.bindings.suspects import Suspect, other_strings, place, suspect, text
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Role, Survey

_PYTHON = (b"Py", b"_Py", b"__Py")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and way of asking."""
    strings = other_strings(survey)
    for item in missing(survey):
        told = strings.get((item.importer.path, item.image.arch), {})
        names = tuple(name for name in item.names if name not in told)
        if item.library not in ("", "<flat>") or not names:
            continue
        rest = item._replace(names=names, versions=tuple(v for n, v in zip(item.names, item.versions, strict=True) if n not in told))
        found = suspect(survey, rest)
        yield Finding(
            "undefined-symbol",
            Severity.ERROR,
            _certainty(item, found),
            "uses a symbol that nothing in its load defines",
            place(rest, names),
            (_related(rest, found),) if found else (),
            _help(rest, found),
        )


def _certainty(item: Missing, found: Suspect | None) -> Certainty:
    if item.importer.role != Role.IMPORTED:
        return Certainty.POSSIBLE
    return Certainty.LIKELY if found and not found.has else Certainty.CERTAIN


def _related(item: Missing, found: Suspect) -> Where:
    label = f"has {text(found.has)} instead" if found.has else "defines it, and is not loaded with the file"
    return Where(found.binary.member, item.image.arch, label=label)


def _help(item: Missing, found: Suspect | None) -> str:
    if item.names[0].startswith(_PYTHON):
        return "install a build for this Python: the interpreter does not have the symbol"
    if found is None:
        return "link it with the library that defines the symbol, or install a release built for what is installed here"
    if not found.has:
        return f"link it with {found.binary.path.rpartition('/')[2]}, or import what loads that first"
    if found.binary.owner == item.importer.owner:
        return f"reinstall {item.importer.owner}: its files are of different builds"
    return f"install releases of {item.importer.owner} and {found.binary.owner} that were built for one another"


RULE = Rule("undefined-symbol", "Symbols", Severity.ERROR, check, (Format.ELF, Format.MACHO), containers=("environment",))
