"""Needs an @rpath library that no LC_RPATH leads to.

## What it flags

A load command `@rpath/NAME` for which dyld finds nothing below any LC_RPATH of the file and of what loaded it.

## Why it matters

`@rpath` stands for nothing by itself: the file must say where to look. Where nothing does, the import fails:

    ImportError: dlopen(.../demo/lib/libdemo.dylib, 0x0006): Library not loaded: @rpath/libomp.dylib
      Referenced from: <...> .../demo/lib/libdemo.dylib
      Reason: tried: '/opt/homebrew/opt/libomp/lib/libomp.dylib' (no such file)

## Example

    error[unresolved-rpath]: needs an @rpath library that no LC_RPATH leads to
      demo/lib/libdemo.dylib (arm64), LC_LOAD_DYLIB @rpath/libomp.dylib
        searched, in this order:
          @rpath/libomp.dylib: absent (already loaded)
          /opt/homebrew/opt/libomp/lib/libomp.dylib: not promised (LC_RPATH of demo/lib/libdemo.dylib: /opt/homebrew/opt/libomp/lib)
          @rpath/libomp.dylib: unknown program (LC_RPATH of the caller of dlopen and of the program)
      = help: copy the library into the package: `relocate repair --search DIR` does, with the folder that holds it
      = more: relocate explain unresolved-rpath

## How to fix it

Bundle the library: `relocate repair --search DIR`. When the package has it already, give the file that needs it an LC_RPATH that leads
there: `-Wl,-rpath,@loader_path/.dylibs`. When another distribution brings it, depend on that distribution and open the library from
Python first: dyld takes an image in the process whose install name is the same `@rpath` text.

## When it is fine

When Python code of the package, or of one that is always imported before, opens a library of that install name first.

## How it decides

By dyld's own search: an image in the process of that install name, then each LC_RPATH of the file, of the file that loaded it, and so on
up. The LC_RPATHs of the program are unknown for a wheel and do not count. Weak needs may stay away. It is certain when the package has no
dependencies and no Python code that loads libraries, else likely.

## References

- dyld(1), "@rpath/"; ld(1), "-rpath"
- https://github.com/dmlc/xgboost/issues/10946
- https://github.com/dmlc/xgboost/issues/10440
- https://github.com/lightgbm-org/LightGBM/issues/6391
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey
from relocator.places import need_place, trail, unmet

PREFIX = "@rpath/"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each @rpath need that nothing meets."""
    alone = not survey.hints and not any(distribution.requires for distribution in survey.container.distributions)
    for resolution in unmet(survey) if survey.target.os in ("macos", "ios") else ():
        name = resolution.needed.name
        if not name.startswith(PREFIX):
            continue
        leaf = name.rpartition("/")[2]
        held = [binary.member for binary in survey.binaries if binary.owner and binary.member.rpartition("/")[2] == leaf]
        yield Finding(
            "unresolved-rpath",
            Severity.ERROR,
            Certainty.CERTAIN if alone else Certainty.LIKELY,
            "needs an @rpath library that no LC_RPATH leads to",
            need_place(survey, resolution, f"the package has {held[0]}" if held else ""),
            help="link with an -rpath that starts at @loader_path and leads to the library"
            if held
            else "copy the library into the package: `relocate repair --search DIR` does, with the folder that holds it",
            trail=trail(resolution, survey),
        )


RULE = Rule(
    "unresolved-rpath",
    "macOS",
    Severity.ERROR,
    check,
    (Format.MACHO,),
    supersedes=("missing-library",),
    needs_promise=True,
)
