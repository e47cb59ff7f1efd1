"""Needs a newer C++ or compiler runtime than the tag promises.

## What it flags

An ELF file that asks the platform's libstdc++.so.6, libgcc_s.so.1, libatomic.so.1 or libz.so.1 for a symbol version
that the tag's level does not have: `GLIBCXX_3.4.30`, `CXXABI_1.3.13`, `GCC_14.0.0`. One finding for each file and
library, with the highest version.

## Why it matters

A tag promises these libraries as they are on the oldest system that it admits. The loader refuses the file there:

    ImportError: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by .../demo/_core.so)

## Example

    error[newer-cxx-runtime-than-tag]: needs a newer runtime library than manylinux_2_17 promises
      demo/_core.so (x86_64), DT_VERNEED GLIBCXX_3.4.24 _ZNSt13random_device14_M_init_pretr1ERKSs@GLIBCXX_3.4.24: from libstdc++.so.6
      = help: `relocate repair` gives the wheel the tag that fits; to keep this one, build with an older compiler or -static-libstdc++
      = more: relocate explain newer-cxx-runtime-than-tag

## How to fix it

Give the wheel the tag that its binaries need: `relocate repair` does. To keep the tag, build with its image's
compiler, which links newer parts of the C++ library statically, or link with `-static-libstdc++`.

## When it is fine

When the package brings the library itself: then the finding does not appear.

## How it decides

By the version needs of the file, weak ones left out, against the versions of the tag's level. Only versions with a
prefix that some level has are judged (GLIBCXX, CXXABI, GCC, LIBATOMIC, ZLIB; glibc has its own rule), and only those
asked of a library that does not come with the package.

## References

- PEP 600
- libstdc++ manual, "ABI Policy and Guidelines", which lists the versions of each GCC release
- https://github.com/isl-org/Open3D/issues/5531
"""

from collections.abc import Iterator

from relocator import demands
from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and runtime library whose highest version the tag does not promise."""
    for item in demands.too_new(survey):
        if item.version.startswith("GLIBC_"):
            continue
        yield Finding(
            "newer-cxx-runtime-than-tag",
            Severity.ERROR,
            Certainty.CERTAIN,
            f"needs a newer runtime library than {demands.level_name(survey, item.image.arch)} promises",
            demands.place_of(item),
            help="`relocate repair` gives the wheel the tag that fits; to keep this one, build with an older compiler or -static-libstdc++",
            repaired_by="repair",
        )


RULE = Rule("newer-cxx-runtime-than-tag", "Tags", Severity.ERROR, check, (Format.ELF,), repaired_by="repair", needs_promise=True)
