"""Needs a DLL on first use that is nowhere to be found.

## What it flags

A DLL that a file names in its delay-import table and that is neither in the package nor promised by Windows or Python, nor shipped by a
declared dependency.

## Why it matters

A delayed DLL is loaded when one of its functions is first called. The import works, and some later call does not: it raises the exception
0xC06D007E (module not found), which Python does not catch, so that the process ends without a word.

## Example

    warning[unresolved-delay-load]: needs a library on first use that is neither in the package nor promised by win_amd64 (likely)
      demo/_core.cp312-win_amd64.pyd (amd64), delay import foo.dll
        searched, in this order:
          foo.dll: absent (loaded modules, KnownDLLs)
          foo.dll: not known (application's directory)
          foo.dll: not promised (System32)
          foo.dll: not known (PATH)
      = help: bring the DLL and open it by its full path before the first call, or check for it and say what to install
      = more: relocate explain unresolved-delay-load

## How to fix it

Bring the DLL with the package, or depend on a distribution that ships it, and open it by its full path before the first call
(`ctypes.WinDLL`, or a hook of the delay-load helper): a DLL that is in the process is found by its name. Where users may lack it on
purpose, let the code check (`__HrLoadAllImportsForDll`) and raise a Python exception that says what to install.

## When it is fine

When the code checks before it calls, which is what delay loading is often for. DLLs of drivers, such as `nvcuda.dll`, are not flagged.

## How it decides

By running the search that the delay-load helper has Windows do, which does not look beside the module; the trail is what it tried. A DLL
that is in the package and not found so is `unreachable-dll`. It is likely rather than certain, since whether the call is ever made is not
known.

## References

- Microsoft, "Linker support for delay-loaded DLLs"; "Error handling and notification"
- Microsoft, PE format, "Delay-Load Import Tables"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.knowledge.host_libraries import is_host_library
from relocator.model import Format, How, NeedKind, Survey
from relocator.places import judged, need_place, trail

HELP = "bring the DLL and open it by its full path before the first call, or check for it and say what to install"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each delayed need of a PE file that nothing meets."""
    for resolution in judged(survey):
        if resolution.how != How.MISSING or resolution.needed.kind != NeedKind.DELAYED or is_host_library(resolution.needed.name):
            continue
        where = need_place(survey, resolution)
        if where.field != "delay import":
            continue
        message = f"needs a library on first use that is neither in the package nor promised by {survey.target.tag}"
        yield Finding(
            "unresolved-delay-load",
            Severity.WARNING,
            Certainty.LIKELY,
            message,
            where,
            help=HELP,
            trail=trail(resolution, survey),
        )


RULE = Rule(
    "unresolved-delay-load",
    "Windows",
    Severity.WARNING,
    check,
    (Format.PE,),
    ("wheel", "folder", "file", "environment"),
    needs_promise=True,
)
