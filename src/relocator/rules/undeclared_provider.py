"""Takes a library from a distribution that Requires-Dist does not name.

## What it flags

A need that only another distribution of the environment meets, when neither Requires-Dist of the distribution that needs it nor that of
what it requires names the other one. One finding for each file and library.

## Why it matters

It works here by chance. Where the other distribution is not installed, or is removed, the import fails:

    ImportError: libfoo.so.1: cannot open shared object file: No such file or directory

## Example

    warning[undeclared-provider]: takes a library from a distribution that its own does not require
      demo/_core.so (x86_64), DT_NEEDED libfoo.so.1: demo takes it from other
      = help: let Requires-Dist of demo name other, or copy the library in (`relocate repair`)
      = more: relocate explain undeclared-provider

## How to fix it

Whoever builds the package names the other one in Requires-Dist, with the versions that have the library, or copies the library in
(`relocate repair`). Whoever uses it keeps both installed.

## When it is fine

When the package is meant for one host application that always brings the library, and says so in its documentation.

## How it decides

By the owner of each file, as RECORD and conda-meta tell it, and by Requires-Dist of all that is installed, extras and markers included.
Needs that the target's platform promises do not count, nor do packages that conda installed with their own dependencies. A library that is
found only when something else was imported first is `order-dependent-load`.

## References

- Python packaging, "Core metadata", Requires-Dist
- https://github.com/Dao-AILab/flash-attention/issues/1644
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.meeting import imported_loads
from relocator.model import Resolution, Survey
from relocator.places import OPTIONAL, need_place
from relocator.requires import named, requires

CONDA = "conda"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that an undeclared distribution meets."""
    told: set[tuple[str, str, int]] = set()
    for load in imported_loads(survey):
        for resolution in load.resolutions:
            key = resolution.importer, resolution.arch, resolution.position
            if resolution.target and resolution.needed.kind not in OPTIONAL and key not in told:
                told.add(key)
                yield from _judged(survey, resolution)


def _judged(survey: Survey, resolution: Resolution) -> Iterator[Finding]:
    importer, target = survey.binary_at(resolution.importer), survey.binary_at(resolution.target or "")
    promises = survey.promises_for(resolution.arch)
    if importer is None or target is None or importer.owner == target.owner or (promises and promises.knows(resolution.needed.name)):
        return
    if not requires(survey, importer.owner, target.owner) and not _both_of_conda(survey, importer.owner, target.owner):
        yield Finding(
            "undeclared-provider",
            Severity.WARNING,
            Certainty.CERTAIN,
            "takes a library from a distribution that its own does not require",
            need_place(survey, resolution, f"{importer.owner} takes it from {target.owner}"),
            help=f"let Requires-Dist of {importer.owner} name {target.owner}, or copy the library in (`relocate repair`)",
        )


def _both_of_conda(survey: Survey, user: str, provider: str) -> bool:
    return all(any(distribution.source == CONDA for distribution in named(survey, name)) for name in (user, provider))


RULE = Rule("undeclared-provider", "Linkage", Severity.WARNING, check, containers=("environment",))
