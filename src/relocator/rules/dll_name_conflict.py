"""Finds different DLLs under one name, of which the first loaded wins.

## What it flags

Needs of one name that lead different modules of the environment to different DLLs. An error where a file imports a function that it does
not find when the other DLL was loaded first. Microsoft's C and C++ runtimes are told only in that case, since newer ones replace older
ones; their age is `older-msvc-runtime`.

## Why it matters

Windows asks for a DLL by its base name, and a DLL of that name that is in the process is used whatever its folder. The module that is
imported second gets the first one's DLL:

    ImportError: DLL load failed while importing _core: The specified procedure could not be found.

The message never says which DLL or which function, and whether it fails depends on the order of imports.

## Example

    error[dll-name-conflict]: different DLLs bear one name, and a file fails when the other one is loaded first (likely)
      demo/foo.dll (amd64), export name foo.dll: version 2.0.0.0, for demo/_core.pyd
        also demo/_core.pyd (amd64), import foo.dll: does not find foo_new in other/foo.dll
        also other/foo.dll (amd64), export name foo.dll: version 1.4.0.0, for other/_core.pyd
      = help: take versions of the packages that ship the same DLL, or copy it in under a name of its own (`relocate repair`)
      = more: relocate explain dll-name-conflict

## How to fix it

Whoever builds the packages gives the DLL that they copy in a name of its own: `relocate repair` does. Whoever uses them takes versions that
ship the same DLL, or imports the package with the newer one first.

## When it is fine

When the DLLs are compatible in both directions, or no process imports both packages.

## How it decides

By the loads of all extension modules and of the DLLs that Python opens: where does each need of a name, without regard to case, lead when
that module is imported alone. Files with equal bytes or an equal debug id are one DLL. What each user imports from its own DLL is then
looked for among the exports of the other one. API sets and DLLs of the system do not count. Newer builds of Microsoft's runtimes keep
all that older ones of that name had ("C++ binary compatibility"), so that two of them alone are no fault.

## References

- Microsoft, "Dynamic-link library search order": the loaded-module list comes first
- https://github.com/h5py/h5py/issues/1541
- https://github.com/ContinuumIO/anaconda-issues/issues/10823
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.meeting import MSVC_RUNTIME, Clash, Rival, clashes, file_version, lack
from relocator.model import Format, Survey
from relocator.places import identity_place, place_in

HELP = "take versions of the packages that ship the same DLL, or copy it in under a name of its own (`relocate repair`)"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each name and architecture."""
    for clash in clashes(survey, Format.PE):
        yield from _findings(survey, clash)


def _findings(survey: Survey, clash: Clash) -> Iterator[Finding]:
    first, *others = clash.rivals
    missing = lack(survey, clash)
    if not missing and MSVC_RUNTIME.fullmatch(clash.name.casefold()):
        return
    related = [_place(rival) for rival in others]
    message = "different DLLs bear one name, and the first one loaded is used for all"
    if missing:
        message = "different DLLs bear one name, and a file fails when the other one is loaded first"
        more = f" and {missing.number - 1} more" if missing.number > 1 else ""
        label = f"does not find {missing.symbol}{more} in {missing.winner.member}"
        related.insert(0, place_in(missing.user.binary, missing.user.image, missing.user.resolution.position, label))
    yield Finding(
        "dll-name-conflict",
        Severity.ERROR if missing else Severity.WARNING,
        Certainty.LIKELY,
        message,
        _place(first),
        tuple(related),
        HELP,
    )


def _place(rival: Rival) -> Where:
    version = ".".join(map(str, file_version(rival.image)))
    parts = [f"version {version}" if version else "", f"for {rival.users[0].binary.member}" if rival.users else "opened by Python code"]
    return identity_place(rival.binary, rival.image, ", ".join(filter(None, parts)))


RULE = Rule("dll-name-conflict", "Conflicts", Severity.ERROR, check, (Format.PE,), ("environment",))
