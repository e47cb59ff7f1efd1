"""Searches for libraries in a directory that only the build machine is known to have.

## What it flags

An absolute element of DT_RPATH, DT_RUNPATH or LC_RPATH outside the system's own directories: a home directory, a CI runner's workspace,
`/usr/local`, Homebrew, MacPorts, a conda environment, an Xcode.

## Why it matters

On another machine the directory does not exist, and the loader asks for it in vain at each start. Where it does exist it holds something
else: another version of the library, chosen before the one in the package, or a file that whoever owns that directory put there. On
networks with automounted home directories the question alone takes seconds.

## Example

    warning[build-search-path]: searches for libraries in a directory of the build machine
      demo/_core.cpython-312-darwin.so (arm64), LC_RPATH /Users/runner/miniconda3/envs/build/lib: a conda environment
      = help: let `relocate repair` remove it, or build without this search path
      = more: relocate explain build-search-path

## How to fix it

`relocate repair` removes the element, once what was found through it is in the package. In the build: CMake's
`CMAKE_INSTALL_RPATH_USE_LINK_PATH=OFF` and `CMAKE_SKIP_BUILD_RPATH=ON`, Meson's `install_rpath`, LDFLAGS without `-Wl,-rpath` (compilers
of conda environments add their prefix), and no LD_RUN_PATH.

## When it is fine

When the package is meant for machines that are set up in one known way, such as `/opt/rocm/lib` on machines with AMD's drivers. In a
folder that is audited where it lies, paths that lead into the folder itself are not flagged.

## How it decides

The text is normalised. Fine are `/lib`, `/lib64`, `/usr/lib`, `/usr/lib64` and their like with all that lies below, on macOS `/usr/lib`
and `/System`, on Android the system's partitions. What everybody may write to is `writable-search-path` instead.

## References

- https://github.com/pytorch/FBGEMM/issues/3098
- https://github.com/matthew-brett/delocate/issues/101
- https://github.com/symforce-org/symforce/issues/333
- CWE-427, "Uncontrolled Search Path Element"; Debian, "RpathIssue"
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity
from relocator.model import Format, Survey
from relocator.search_paths import Leads, elements, owner_of


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each absolute element that the target does not promise."""
    for element in elements(survey, Leads.BUILD):
        yield Finding(
            "build-search-path",
            Severity.WARNING,
            Certainty.CERTAIN,
            "searches for libraries in a directory of the build machine",
            element.where(owner_of(element.target)),
            help="let `relocate repair` remove it, or build without this search path",
            repaired_by="repair",
        )


RULE = Rule(
    "build-search-path",
    "Search paths",
    Severity.WARNING,
    check,
    (Format.ELF, Format.MACHO),
    repaired_by="repair",
    by_role=False,
    containers=EVERYWHERE,
)
