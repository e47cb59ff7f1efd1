"""Needs a library that only the host can bring.

## What it flags

A needed library that belongs to a driver, to the desktop or to a service of the machine, and that the tag does not promise: `libcuda.so.1`
and `nvcuda.dll` of the GPU driver, `libOpenCL.so.1`, `libvulkan.so.1`, GLVND's `libEGL.so.1`, GTK, PulseAudio, MPI.

## Why it matters

A copy of such a library does not work elsewhere, because it must fit the kernel's driver or a running service. So it cannot come with the
package, and where the host lacks it the import fails:

    ImportError: libcuda.so.1: cannot open shared object file: No such file or directory

## Example

    warning[host-library]: needs a library that only the host can bring
      demo/_core.so (x86_64), DT_NEEDED libcuda.so.1: the GPU driver brings it
      = help: open it when it is first used, with a message for those who lack it, or document what to install
      = more: relocate explain host-library

## How to fix it

Open the library at run time (`dlopen`, `LoadLibrary`, a delay import) where it is first used, and say what is missing when that fails. Or
build a package that does without it, and one for those who have it.

## When it is fine

When the package is of no use without that driver or service: then say so where users read how to install it.

## How it decides

By a dated table of names. A library on the table that the tag promises is not flagged (manylinux promises `libGL.so.1`, although slim
container images lack it), nor one that comes with the package. `relocate repair` never copies such a library unless `--include` names it.

## References

- GLVND, "libglvnd: the GL vendor-neutral dispatch library"
- Khronos, "OpenCL ICD loader"; NVIDIA, "CUDA compatibility"
- https://github.com/opencv/opencv-python/issues/370
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.knowledge.host_libraries import is_host_library
from relocator.model import How, NeedKind, Survey
from relocator.places import judged, need_place

HELP = "open it when it is first used, with a message for those who lack it, or document what to install"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each unmet need that is known to be the host's business."""
    for resolution in judged(survey):
        if resolution.how not in (How.MISSING, How.OUTSIDE) or resolution.needed.kind == NeedKind.DELAYED:
            continue
        reason = is_host_library(resolution.needed.name.rpartition("/")[2])
        if reason:
            where = need_place(survey, resolution, reason)
            yield Finding(
                "host-library", Severity.WARNING, Certainty.CERTAIN, "needs a library that only the host can bring", where, help=HELP
            )


RULE = Rule(
    "host-library",
    "Linkage",
    Severity.WARNING,
    check,
    supersedes=("missing-library", "unbundled-library"),
    needs_promise=True,
)
