"""Needs a library that lies outside the package, where only this machine has it.

## What it flags

A library that the package needs, that the tag does not promise, and that was found in a folder named with `--search`. One finding for
each file and library.

## Why it matters

The package works where the library is installed and nowhere else. On another machine the import ends with

    ImportError: libfoo.so.3: cannot open shared object file: No such file or directory

## Example

    error[unbundled-library]: needs a library that lies outside the package and that manylinux_2_28_x86_64 does not promise
      demo/_core.so (x86_64), DT_NEEDED libfoo.so.3: found at /opt/foo/lib/libfoo.so.3
      = help: `relocate repair` copies it into the package
      = more: relocate explain unbundled-library

## How to fix it

`relocate repair` with the same `--search` copies the library into the package, together with what it needs in turn, and points the needs
at the copies. Mind its licence, and that a newer system's library may call for a newer tag: build libraries where you build the wheel.

## When it is fine

When users are meant to install the library themselves. Nothing in the wheel says so, and installers do not ask.

## How it decides

By the loader's own search over the package as it lies once installed. The folders of `--search` come after everything that the loader
would try, so what is found there is found nowhere else. Weak needs are left out.

## References

- PEP 513, "The manylinux1 policy"; PEP 600
- https://github.com/PyO3/maturin/issues/2993
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import How, Survey
from relocator.places import judged, need_place


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that only a searched directory meets."""
    for resolution in judged(survey):
        if resolution.how == How.OUTSIDE:
            yield Finding(
                "unbundled-library",
                Severity.ERROR,
                Certainty.CERTAIN,
                f"needs a library that lies outside the package and that {survey.target.tag} does not promise",
                need_place(survey, resolution, f"found at {resolution.target}"),
                help="`relocate repair` copies it into the package",
                repaired_by="repair",
            )


RULE = Rule("unbundled-library", "Linkage", Severity.ERROR, check, repaired_by="repair", needs_promise=True)
