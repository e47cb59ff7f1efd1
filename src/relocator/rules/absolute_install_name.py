"""Needs a library by an absolute path that only the build machine is known to have.

## What it flags

A load command that names a library in `/opt/homebrew`, `/usr/local`, `/opt/local`, a home directory or any other directory outside
macOS itself.

## Why it matters

A library's install name is copied into everything that is linked with it, and dyld goes by that path alone. On a machine without the same
package manager the import fails:

    ImportError: dlopen(.../demo/_core.so, 0x0002): Library not loaded: /opt/homebrew/opt/libomp/lib/libomp.dylib
      Referenced from: <...> .../demo/_core.so
      Reason: tried: '/opt/homebrew/opt/libomp/lib/libomp.dylib' (no such file)

With it, the user gets whatever version he has installed, until he upgrades it.

## Example

    error[absolute-install-name]: needs a library by an absolute path that macOS does not promise
      demo/_core.so (arm64), LC_LOAD_DYLIB /opt/homebrew/opt/libomp/lib/libomp.dylib: Homebrew's directory
        searched, in this order:
          /opt/homebrew/opt/libomp/lib/libomp.dylib: not promised (load command of demo/_core.so)
      = help: run `relocate repair` where the library is installed: it copies it into the package and points the need there
      = more: relocate explain absolute-install-name

## How to fix it

`relocate repair`, on the machine that built the wheel or with `--search DIR`, copies the library into the package and makes the need
relative to the file. Or link the library statically. Libraries of package managers are built for the macOS that they are installed on, so
look at `newer-macos-than-tag` afterwards.

## When it is fine

When the package is for a group of machines that all have that directory.

## How it decides

By the needs that dyld's search does not meet from the package. What lies below `/usr/lib` and `/System` is never flagged here: such a path
is promised, or it is `missing-library`. Weak needs may stay away. Python's own library and framework are `links-libpython`.

## References

- dyld(1), "DYNAMIC LIBRARY LOADING"; install_name_tool(1)
- https://github.com/dmlc/xgboost/issues/5586
- https://github.com/lightgbm-org/LightGBM/issues/1369
- https://github.com/spyder-ide/spyder/issues/19069
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Format, How, Survey
from relocator.places import judged, need_place, trail
from relocator.search_paths import SYSTEM, owner_of


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each need for an absolute path outside the system that the package does not meet."""
    system = tuple(f"{folder}/" for folder in SYSTEM[Format.MACHO])
    for resolution in judged(survey) if survey.target.os in ("macos", "ios") else ():
        name = resolution.needed.name
        if resolution.how == How.UNDECIDED or not name.startswith("/") or name.startswith(system):
            continue
        help_text = "run `relocate repair` where the library is installed: it copies it into the package and points the need there"
        if resolution.how == How.OUTSIDE:
            help_text = "`relocate repair` copies it into the package and points the need there"
        yield Finding(
            "absolute-install-name",
            Severity.ERROR,
            Certainty.LIKELY if resolution.how == How.EXPECTED else Certainty.CERTAIN,
            "needs a library by an absolute path that macOS does not promise",
            need_place(survey, resolution, owner_of(name)),
            help=help_text,
            repaired_by="repair",
            trail=trail(resolution, survey),
        )


RULE = Rule(
    "absolute-install-name",
    "macOS",
    Severity.ERROR,
    check,
    (Format.MACHO,),
    repaired_by="repair",
    supersedes=("missing-library", "unbundled-library", "left-to-dependency", "host-library"),
    needs_promise=True,
)
