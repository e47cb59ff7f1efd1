"""Finds different libraries under one soname, of which the first loaded wins.

## What it flags

Needs of one name that lead different modules of the environment to different files. An error where a file needs a symbol or a symbol
version that it does not find when the other library was loaded first.

## Why it matters

Before the loader searches at all, it asks whether a library of that soname is in the process. So the module that is imported second gets
the first one's library, whatever its own search path says:

    ImportError: libfoo.so.1: undefined symbol: foo_new
    ImportError: libfoo.so.1: version `FOO_2.0' not found (required by ...)

Whether it works depends on the order of imports.

## Example

    error[soname-conflict]: different libraries bear one soname, and a file fails when the other one is loaded first (likely)
      demo/libfoo.so.1 (x86_64), DT_SONAME libfoo.so.1: for demo/_core.so
        also demo/_core.so (x86_64), DT_NEEDED libfoo.so.1: does not find foo_new in other/libfoo.so.1
        also other/libfoo.so.1 (x86_64), DT_SONAME libfoo.so.1: for other/_core.so
      = help: take versions of the packages that ship the same library, or copy it in under a name of its own (`relocate repair`)
      = more: relocate explain soname-conflict

## How to fix it

Whoever builds the packages gives the library that they copy in a name of its own: `relocate repair` does. Whoever uses them takes versions
that ship the same library, or imports the package with the newer one first.

## When it is fine

When the libraries are compatible in both directions, or no process imports both packages.

## How it decides

By the loads of all extension modules and of the libraries that Python opens: where does each need of a name lead when that module is
imported alone. Files with equal bytes, an equal build id, or an equal name with a hash of the content are one library. What each user
needs of its own library is then looked for in the other one. Extension modules are opened by path, so their sonames do not matter.

## References

- glibc, elf/dl-load.c, `_dl_map_object`: a loaded object whose soname matches is taken
- musl, ldso/dynlink.c, `load_library`
- https://github.com/NVIDIA/DALI/issues/5519
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.meeting import Clash, Rival, clashes, lack
from relocator.model import Format, Survey
from relocator.places import identity_place, place_in

HELP = "take versions of the packages that ship the same library, or copy it in under a name of its own (`relocate repair`)"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each name and architecture."""
    for clash in clashes(survey, Format.ELF):
        yield _finding(survey, clash)


def _finding(survey: Survey, clash: Clash) -> Finding:
    first, *others = clash.rivals
    missing = lack(survey, clash)
    related = [_place(rival) for rival in others]
    message = "different libraries bear one soname, and the first one loaded is used for all"
    if missing:
        message = "different libraries bear one soname, and a file fails when the other one is loaded first"
        more = f" and {missing.number - 1} more" if missing.number > 1 else ""
        label = f"does not find {missing.symbol}{more} in {missing.winner.member}"
        related.insert(0, place_in(missing.user.binary, missing.user.image, missing.user.resolution.position, label))
    return Finding(
        "soname-conflict",
        Severity.ERROR if missing else Severity.WARNING,
        Certainty.LIKELY,
        message,
        _place(first),
        tuple(related),
        HELP,
    )


def _place(rival: Rival) -> Where:
    return identity_place(rival.binary, rival.image, f"for {rival.users[0].binary.member}" if rival.users else "opened by Python code")


RULE = Rule("soname-conflict", "Conflicts", Severity.ERROR, check, (Format.ELF,), ("environment",))
