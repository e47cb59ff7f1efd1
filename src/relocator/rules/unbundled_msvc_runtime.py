"""Needs a part of the Visual C++ runtime that neither the package nor Python brings.

## What it flags

A need for `msvcp140.dll`, `vcruntime140_1.dll`, `concrt140.dll`, `vcomp140.dll`, `mfc140u.dll` or one of their relatives of any version
that is not in the package and that not every Python of the tag ships.

## Why it matters

CPython brings `vcruntime140.dll`, since 3.9 also `vcruntime140_1.dll` on x64, and nothing else. Windows has the rest only where some
installer put the redistributable package. On a fresh machine, in a container or a sandbox:

    ImportError: DLL load failed while importing _core: The specified module could not be found.

The message never says which module.

## Example

    warning[unbundled-msvc-runtime]: needs a part of the Visual C++ runtime that nobody brings
      demo/_core.cp312-win_amd64.pyd (amd64), import MSVCP140.dll
        searched, in this order:
          MSVCP140.dll: absent (loaded modules, KnownDLLs)
          demo/MSVCP140.dll: absent (directory of demo/_core.cp312-win_amd64.pyd)
          MSVCP140.dll: not known (application's directory)
          MSVCP140.dll: not promised (System32)
      = help: run `relocate repair` with the folder of the redistributable DLLs as --search, or link with /MT
      = more: relocate explain unbundled-msvc-runtime

## How to fix it

`relocate repair --search DIR`, where DIR holds the redistributable DLLs of your Visual Studio (`VC/Redist/MSVC/<version>/x64`), copies the
DLL into the package under a name of its own. Or link the C++ library statically (`/MT`, and for `msvcp140.dll` alone
`/NODEFAULTLIB:msvcprt.lib` with `libcpmt.lib`), or depend on the distribution `msvc-runtime`. `/d2FH4-` avoids `vcruntime140_1.dll`.

## When it is fine

On the many machines that have the redistributable package the import works, which is why it is a warning.

## How it decides

By Windows' search as CPython asks for it, with the DLLs that the oldest Python of the tag ships. A declared dependency that is known to
ship the DLL meets the need. Debug variants are `debug-runtime`.

## References

- Microsoft, "Latest supported Visual C++ Redistributable downloads" and "Redistributing Visual C++ files"
- https://github.com/CoolProp/CoolProp/issues/1942
- https://github.com/pypa/cibuildwheel/issues/424
- https://github.com/intersystems/iknow/issues/67
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity
from relocator.meeting import MSVC_RUNTIME
from relocator.model import Format, How, Survey
from relocator.places import judged, need_place, trail


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each need for the Visual C++ runtime that neither the package nor Python meets."""
    for resolution in judged(survey) if survey.target.os == "windows" else ():
        if resolution.how not in (How.MISSING, How.OUTSIDE) or not MSVC_RUNTIME.fullmatch(resolution.needed.name.casefold()):
            continue
        found = resolution.how == How.OUTSIDE
        yield Finding(
            "unbundled-msvc-runtime",
            Severity.WARNING,
            Certainty.CERTAIN,
            "needs a part of the Visual C++ runtime that nobody brings",
            need_place(survey, resolution, f"found at {resolution.target}" if found else ""),
            help=_help(survey, found),
            repaired_by="" if _is_installed(survey) else "repair",
            trail=trail(resolution, survey),
        )


def _is_installed(survey: Survey) -> bool:
    return survey.container.kind == "environment"


def _help(survey: Survey, found: bool) -> str:
    if _is_installed(survey):
        return "install Microsoft's redistributable package (vc_redist), or the distribution msvc-runtime"
    if found:
        return "`relocate repair` copies it into the package"
    return "run `relocate repair` with the folder of the redistributable DLLs as --search, or link with /MT"


RULE = Rule(
    "unbundled-msvc-runtime",
    "Windows",
    Severity.WARNING,
    check,
    (Format.PE,),
    EVERYWHERE,
    repaired_by="repair",
    supersedes=("unresolved-delay-load", "missing-library", "unbundled-library"),
    needs_promise=True,
)
