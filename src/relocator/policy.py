"""What a project has decided about findings: which it accepts and why, how grave a rule is to it, what was there before.

A finding's `Identity` is what stays the same from build to build, so that a decision about it holds for the next version too.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from relocator.findings import Finding, Severity

_CHANGING = (
    (re.compile(r"(?<![^/])([^/]+?)-[^/-]+\.(dist-info|data)(?=/|$)"), r"\1.\2"),
    (re.compile(r"\.(cpython-|cp|pypy|graalpy)\d+(?=t?d?-)"), r".\1*"),
    (re.compile(r"-(?:[0-9a-f]{32}|[0-9a-f]{8})(?=\.)"), ""),
)
"""Parts of file names that differ from build to build: the version in the names of metadata folders, the version of Python in an
extension's suffix, and the hash that repair tools put into the name of a copied library."""


class Identity(NamedTuple):
    """What makes a finding the same finding in another build: neither message nor position, nor the name of the archive."""

    rule: str
    member: str
    arch: str
    field: str
    value: str
    symbol: str


class Suppression(NamedTuple):
    """Findings that a project accepts, and why."""

    rule: str
    reason: str
    member: str = ""
    """A member's name, the end of one, or a pattern with *, ? and []; "" for every place."""
    distribution: str = ""
    """Name or pattern of the distribution that brings the file; "" for every one."""
    source: str = ""
    """Where it is written: "pyproject.toml:14"."""


class Policy(NamedTuple):
    """All that is decided about findings before they count."""

    ignored: frozenset[str] = frozenset()
    """Rules whose findings are set apart."""
    severities: tuple[tuple[str, Severity], ...] = ()
    """Rule to the severity of all its findings."""
    suppressions: tuple[Suppression, ...] = ()
    baseline: frozenset[Identity] = frozenset()
    """Findings that are known: they are no news."""


def identity(finding: Finding) -> Identity:
    """Return what makes the finding the same one in the next build."""
    where = finding.primary
    return Identity(finding.rule, lasting(where.member), where.arch, where.field, lasting(where.value), where.symbol)


def identities(findings: Iterable[Finding]) -> frozenset[Identity]:
    """Return each finding's identity."""
    return frozenset(map(identity, findings))


def lasting(name: str) -> str:
    """Return a file's name without what differs from build to build: "demo-1.0.dist-info/RECORD" is "demo.dist-info/RECORD"."""
    for pattern, stays in _CHANGING:
        name = pattern.sub(stays, name)
    return name


def covers(suppression: Suppression, finding: Finding, distribution: str) -> bool:
    """Tell whether a suppression is about a finding; `distribution` is the name of the one that brings the file, "" when unknown."""
    if finding.rule != suppression.rule:
        return False
    if suppression.member and not _names(suppression.member, finding.primary.member):
        return False
    return not suppression.distribution or fnmatchcase(_project(distribution), _project(suppression.distribution))


def _names(wanted: str, member: str) -> bool:
    return f"/{member}".endswith(f"/{wanted.removeprefix('./')}") or fnmatchcase(member, wanted)


def _project(name: str) -> str:
    """Return a project's name in its normal form ("Names and normalization", packaging.python.org), patterns kept."""
    return re.sub(r"[-_.]+", "-", name).lower()
