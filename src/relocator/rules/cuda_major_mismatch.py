"""Needs libraries of another major version of CUDA than the rest of the environment.

## What it flags

A distribution whose files need libraries of one major version of the CUDA toolkit where others need, or bring, another. An error where the
library is missing; a warning where both versions are there.

## Why it matters

The libraries of each major version have names of their own, and none replaces the other:

    OSError: libcublasLt.so.11: cannot open shared object file: No such file or directory

With both present, the process holds two CUDA runtimes; handles and memory of one are unknown to the other.

## Example

    error[cuda-major-mismatch]: needs CUDA 11, which is not here, where the environment has CUDA 12
      demo/_core.so (x86_64), DT_NEEDED libcublasLt.so.11: demo
        searched, in this order:
          lib/python3/site-packages/demo/libcublasLt.so.11: absent (DT_RPATH of demo/_core.so: $ORIGIN)
          .../glibc-hwcaps/{x86-64-v4,x86-64-v3,x86-64-v2}: absent (and the glibc-hwcaps subdirectories of each)
          libcublasLt.so.11: not promised (default directories)
      = help: install a build of demo for CUDA 12, or the libraries of CUDA 11
      = more: relocate explain cuda-major-mismatch

## How to fix it

Install builds of all packages for one version of CUDA: their index pages name it (`+cu128`, `-cu12`). Or install the libraries that are
missing, such as nvidia-cublas-cu11.

## When it is fine

The warning, when the packages hand no GPU memory to one another.

## How it decides

By the names of the libraries that the files need, as far as they tell the toolkit's version (libcusolver.so.11 does not, two toolkits have
it). The driver, libcuda.so.1, belongs to the host and serves every version. The version that most distributions need or bring is the
environment's; each need for another one is a finding.

## References

- NVIDIA, "CUDA Compatibility"
- https://github.com/microsoft/onnxruntime/issues/21684
- https://github.com/microsoft/onnxruntime/issues/13932
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.knowledge.families import cuda_major
from relocator.meeting import imported_loads
from relocator.model import How, Resolution, Survey
from relocator.places import OPTIONAL, need_place, trail

_ABSENT = frozenset({How.MISSING, How.EXPECTED, How.UNDECIDED})


class _Need(NamedTuple):
    major: int
    owner: str
    resolution: Resolution


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need for a library of another major version."""
    needs = list(_needs(survey))
    votes = Counter(major for owner, major in dict.fromkeys((need.owner, need.major) for need in needs))
    votes.update(major for binary, _ in survey.images() if (major := cuda_major(binary.path.rpartition("/")[2])))
    if len(votes) < 2:
        return
    usual = max(votes, key=lambda major: (votes[major], major))
    told: set[tuple[str, str, int]] = set()
    for need in needs:
        key = need.resolution.importer, need.resolution.arch, need.resolution.position
        if need.major != usual and key not in told:
            told.add(key)
            yield _finding(survey, need, usual)


def _needs(survey: Survey) -> Iterator[_Need]:
    for load in imported_loads(survey):
        for resolution in load.resolutions:
            major = cuda_major(resolution.needed.name.rpartition("/")[2])
            importer = survey.binary_at(resolution.importer)
            if major and importer and importer.owner and resolution.needed.kind not in OPTIONAL:
                yield _Need(major, importer.owner, resolution)


def _finding(survey: Survey, need: _Need, usual: int) -> Finding:
    missing = need.resolution.how in _ABSENT
    return Finding(
        "cuda-major-mismatch",
        Severity.ERROR if missing else Severity.WARNING,
        Certainty.CERTAIN if missing else Certainty.LIKELY,
        f"needs CUDA {need.major}, which is not here, where the environment has CUDA {usual}"
        if missing
        else f"needs CUDA {need.major} where the rest of the environment needs CUDA {usual}",
        need_place(survey, need.resolution, need.owner),
        help=f"install a build of {need.owner} for CUDA {usual}" + (f", or the libraries of CUDA {need.major}" if missing else ""),
        trail=trail(need.resolution, survey) if missing else (),
    )


RULE = Rule(
    "cuda-major-mismatch",
    "Python's ABI",
    Severity.ERROR,
    check,
    containers=("environment",),
    supersedes=("missing-library", "order-dependent-load"),
)
