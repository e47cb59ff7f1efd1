"""Loads several copies of BLAS into one process.

## What it flags

Two or more BLAS libraries (OpenBLAS, MKL, BLIS) that imports of this environment bring. A note: it is the usual state of an environment
made of wheels, where NumPy and SciPy each bring an OpenBLAS.

## Why it matters

Each copy has its own pool of threads, as large as the number of processors, and its own buffers. Programs run slower than they could, need
more memory, and on machines with many processors meet limits:

    OpenBLAS blas_thread_init: pthread_create failed for thread 63 of 64: Resource temporarily unavailable

## Example

    note[duplicate-blas]: several copies of BLAS can be loaded into one process, each with its own threads
      numpy/libopenblas-numpy.so (x86_64), DT_SONAME libopenblas-numpy.so: OpenBLAS, brought by numpy
        also scipy/libopenblas-scipy.so (x86_64), DT_SONAME libopenblas-scipy.so: OpenBLAS, brought by scipy
      = help: nothing needs doing; where threads are too many, set OPENBLAS_NUM_THREADS or MKL_NUM_THREADS
      = more: relocate explain duplicate-blas

## How to fix it

Nothing needs fixing where speed and memory suffice. `OPENBLAS_NUM_THREADS`, or `threadpoolctl` at run time, limits the pools. An
environment from conda-forge has one BLAS for all.

## When it is fine

As a rule: the copies do not take symbols from one another. A note never fails an audit.

## How it decides

By the functions that tell a library's version and settings, with the prefixes and suffixes that NumPy and SciPy give them; a BLAS that was
linked into another library counts where it is visible. Only files that the import of some module brings count; macOS' Accelerate is the
system's. The libraries of MKL that one distribution brings are one copy.

## References

- https://github.com/joblib/threadpoolctl
- https://github.com/scipy/scipy/issues/15050
- https://github.com/numpy/numpy/issues/17856
"""

from collections.abc import Iterator

from relocator.families import copies, place_of
from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Survey

HELP = "nothing needs doing; where threads are too many, set OPENBLAS_NUM_THREADS or MKL_NUM_THREADS"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one note for each architecture in which imports bring several copies."""
    for first, *others in copies(survey, "BLAS").values():
        if others:
            yield Finding(
                "duplicate-blas",
                Severity.NOTE,
                Certainty.CERTAIN,
                "several copies of BLAS can be loaded into one process, each with its own threads",
                place_of(survey, first),
                tuple(place_of(survey, copy) for copy in others),
                HELP,
            )


RULE = Rule("duplicate-blas", "Conflicts", Severity.NOTE, check, containers=("environment",), supersedes=("pip-conda-overlap",))
