"""Loads several OpenMP runtimes into one process.

## What it flags

Two or more OpenMP runtimes that imports of this environment bring, and that the loader does not take for one. An error where two of them
are builds of LLVM's runtime, which Intel's is too; a warning otherwise, and where the import of some package sets KMP_DUPLICATE_LIB_OK:
then it depends on which one is imported first.

## Why it matters

Each runtime has its own pool of threads and its own idea of who is inside a parallel region. Together they start more threads than there
are processors, and some combinations hang or crash. LLVM's and Intel's end the process when they find another one of their kind:

    OMP: Error #15: Initializing libiomp5, but found libomp already initialized.

## Example

    error[duplicate-openmp]: several OpenMP runtimes can be loaded into one process, and two of them end it (likely)
      learn/.dylibs/libomp.dylib (arm64), LC_ID_DYLIB /DLC/learn/.dylibs/libomp.dylib: LLVM's or Intel's, brought by learn
        also tensor/.dylibs/libomp.dylib (arm64), LC_ID_DYLIB @rpath/libomp.dylib: LLVM's or Intel's, brought by tensor
      = help: install the packages from one place that shares a runtime (conda-forge does), or do not import them into one process
      = more: relocate explain duplicate-openmp

## How to fix it

Take all packages from one place that shares one runtime: conda-forge does, wheels of the index mostly bring their own. Where that is
impossible, import the package that brings the newer runtime first, or keep the two in processes of their own. KMP_DUPLICATE_LIB_OK=TRUE
only silences the check: crashes and wrong results remain possible. MKL_THREADING_LAYER=GNU lets MKL share GNU's runtime.

## When it is fine

When no process ever imports the packages together. GNU's runtime beside another one mostly costs speed alone, which is why that is a
warning.

## How it decides

A runtime is told by the functions that it exports, so that one which was linked into another library and is visible counts too; one that
is hidden in a library cannot be seen. Only files that the import of some module brings count. Libraries of one soname, of one DLL name, or
of one install name that starts with @rpath/, are loaded once. Different architectures never meet.

## References

- LLVM, openmp/runtime/src/kmp_runtime.cpp, `__kmp_register_library_startup`
- https://github.com/joblib/threadpoolctl/blob/master/multiple_openmp.md
- https://github.com/pytorch/pytorch/issues/78490
- https://github.com/scikit-learn/scikit-learn/issues/21302
"""

from collections.abc import Iterator, Sequence

from relocator.families import Copy, copies, place_of
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Survey

REGISTERING = "LLVM's or Intel's"
"""Whose runtimes look for one another."""

SILENCER = "KMP_DUPLICATE_LIB_OK"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each architecture in which imports bring several runtimes."""
    silenced = list(dict.fromkeys(hint.member for hint in survey.hints if hint.call == "setenv" and hint.argument == SILENCER))
    for found in copies(survey, "OpenMP").values():
        if len(found) > 1:
            fatal = [copy for copy in found if copy.variant.name == REGISTERING]
            deadly = len(fatal) > 1
            ordered = [*fatal, *(copy for copy in found if copy not in fatal)] if deadly else found
            yield _finding(survey, ordered, deadly, silenced)


def _finding(survey: Survey, found: Sequence[Copy], fatal: bool, silenced: Sequence[str]) -> Finding:
    first, *others = found
    message = "several OpenMP runtimes can be loaded into one process"
    if fatal:
        message += f", and two of them end it unless {SILENCER} is set" if silenced else ", and two of them end it"
    return Finding(
        "duplicate-openmp",
        Severity.ERROR if fatal and not silenced else Severity.WARNING,
        Certainty.LIKELY,
        message,
        place_of(survey, first),
        (
            *(place_of(survey, copy) for copy in others),
            *(Where(member, label=f"sets {SILENCER} when it is imported") for member in silenced if fatal),
        ),
        "install the packages from one place that shares a runtime (conda-forge does), or do not import them into one process",
    )


RULE = Rule(
    "duplicate-openmp",
    "Conflicts",
    Severity.ERROR,
    check,
    containers=("environment",),
    supersedes=("pip-conda-overlap",),
)
