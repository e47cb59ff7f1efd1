"""Needs a system library that distributions have dropped.

## What it flags

A needed library that is not in the package and whose soname current distributions no longer install: `libcrypt.so.1`, `libnsl.so.1`,
`libtinfo.so.5`, `libffi.so.6`, `libssl.so.1.1`, `libpng12.so.0` and others.

## Why it matters

The soname is part of the interface: a newer release of the library is installed under another name, and does not count. The wheel works
where it was built and on systems of that age. On current ones:

    ImportError: libffi.so.6: cannot open shared object file: No such file or directory

`libnsl.so.1` is even on the list of what older manylinux tags promise, which was written when every system had it.

## Example

    error[retired-system-library]: needs a system library that distributions have dropped
      demo/_core.so (x86_64), DT_NEEDED libffi.so.6: RHEL 9, Debian 11, Ubuntu 20.04 and newer do not install it
      = help: build against libffi.so.8 and bundle that, or let `relocate repair` bundle the old one where it is installed
      = more: relocate explain retired-system-library

## How to fix it

`relocate repair` copies the library into the package, on a machine or in a container that still has it. Better is to build against the
successor and bundle that: an old OpenSSL, for instance, gets no security fixes any more. Functions of `libcrypt.so.1` and `libnsl.so.1` are
rarely needed at all; often it is enough to leave `-lcrypt` or `-lnsl` out.

## When it is fine

When users are told to install a compatibility package (libxcrypt-compat, ncurses-compat-libs) and nobody else is meant to use the
package.

## How it decides

By a dated table of sonames, for glibc. What comes with the package, with a declared dependency or is needed weakly is not flagged. It takes
the place of `missing-library`, which would say of the same need only that the tag does not promise it.

## References

- https://github.com/pypa/manylinux/issues/305 (libcrypt.so.1)
- https://github.com/psycopg/psycopg2/issues/912
- https://github.com/libffi/libffi/issues/658
- https://github.com/pytorch/pytorch/issues/53452 (libtinfo.so.5)
- Fedora, "Changes/NIS IPv6" (libnsl.so.1)
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.knowledge.retired_sonames import retired
from relocator.model import Format, How, Resolution, Survey
from relocator.places import judged, need_place, promised


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each need of a retired library that the package does not meet itself."""
    if survey.target.libc != "glibc":
        return
    known = retired()
    for resolution in _left_to_the_system(survey):
        if one := known.get(resolution.needed.name):
            yield Finding(
                "retired-system-library",
                Severity.ERROR,
                Certainty.CERTAIN,
                "needs a system library that distributions have dropped",
                need_place(survey, resolution, one.gone),
                help=f"build against {one.successor} and bundle that, or let `relocate repair` bundle the old one where it is installed",
                repaired_by="repair",
            )


def _left_to_the_system(survey: Survey) -> Iterator[Resolution]:
    yield from promised(survey)
    for resolution in judged(survey):
        if resolution.how in (How.MISSING, How.OUTSIDE):
            yield resolution


RULE = Rule(
    "retired-system-library",
    "Linkage",
    Severity.ERROR,
    check,
    (Format.ELF,),
    repaired_by="repair",
    supersedes=("missing-library", "unbundled-library", "slim-image-library", "host-library"),
    needs_promise=True,
)
