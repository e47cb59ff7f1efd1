"""Installs the same project, or the same runtime, with both pip and conda.

## What it flags

A project that conda and a Python installer have both installed into the environment. And a runtime (OpenMP, Qt, HDF5, ...) of which copies
from both can be loaded into one process and disturb each other, where no more specific rule tells so.

## Why it matters

The two write to the same folders, and neither knows what the other wrote. Files of one version remain among those of the other, and an
update or removal by one leaves the other's half:

    Intel MKL FATAL ERROR: Cannot load libmkl_avx2.so or libmkl_def.so.

## Example

    warning[pip-conda-overlap]: a project is installed twice, with conda and with pip
      lib/python3/site-packages/numpy-2.3.0.dist-info, Name numpy: 1.26.4 with conda, 2.3.0 with pip
      = help: remove numpy with both, and install it with one
      = more: relocate explain pip-conda-overlap

## How to fix it

Remove the project with both (`pip uninstall NAME`, `conda remove --force NAME`) and install it with one. Install with conda all that it
has, and only then the rest with pip.

## When it is fine

When pip has been used on purpose to put another version over conda's, and nothing is updated any more.

## How it decides

By the records: conda-meta for what conda installed, .dist-info with an INSTALLER other than conda for the rest. Names are compared as
the packaging standards normalise them. For runtimes, by the copies that imports bring, as in `duplicate-runtime`.

## References

- conda documentation, "Using pip in a conda environment"
- Python packaging, "Recording installed projects", INSTALLER
- https://github.com/ContinuumIO/anaconda-issues/issues/720
- https://github.com/scikit-learn/scikit-learn/issues/21227
"""

from collections.abc import Iterator

from relocator.families import Copy, copies, place_of
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.knowledge.families import apart, family_names
from relocator.metadata import normalised
from relocator.model import Distribution, Survey
from relocator.paint import short_path

ALWAYS = frozenset({"OpenMP"})
"""Families whose copies always disturb each other."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each project that both have installed, and for each runtime."""
    if any(distribution.source == "conda" for distribution in survey.container.distributions):
        yield from _projects(survey)
        yield from _families(survey)


def _projects(survey: Survey) -> Iterator[Finding]:
    by_name: dict[str, list[Distribution]] = {}
    for distribution in survey.container.distributions:
        by_name.setdefault(normalised(distribution.name), []).append(distribution)
    for name, some in by_name.items():
        of_conda = next((one for one in some if one.source == "conda"), None)
        of_pip = next((one for one in some if one.source == "pip"), None)
        if of_conda and of_pip:
            yield Finding(
                "pip-conda-overlap",
                Severity.WARNING,
                Certainty.CERTAIN,
                "a project is installed twice, with conda and with pip",
                Where(
                    short_path(of_pip.metadata, survey.container),
                    field="Name",
                    value=name,
                    label=f"{of_conda.version} with conda, {of_pip.version} with {of_pip.installer or 'pip'}",
                ),
                help=f"remove {name} with both, and install it with one",
            )


def _families(survey: Survey) -> Iterator[Finding]:
    sources = {distribution.name: distribution.source for distribution in survey.container.distributions}
    for family in family_names():
        if family in ALWAYS or apart(family):
            for found in copies(survey, family).values():
                yield from _family(survey, found, {copy.binary.path: sources.get(copy.binary.owner, "") for copy in found})


def _family(survey: Survey, found: list[Copy], source: dict[str, str]) -> Iterator[Finding]:
    if {"conda", "pip"} <= set(source.values()):
        first, *others = found
        yield Finding(
            "pip-conda-overlap",
            Severity.WARNING,
            Certainty.LIKELY,
            f"copies of {first.variant.family} from conda and from pip can be loaded into one process",
            place_of(survey, first),
            tuple(place_of(survey, copy) for copy in others),
            "install the packages that bring it with conda alone, or with pip alone",
        )


RULE = Rule("pip-conda-overlap", "Conflicts", Severity.WARNING, check, (), ("environment",))
