"""Compares a wheel that was un-vendored and repaired with the one that its publisher released: what is worse, and what nobody asked for.

`decided` knows, from tests/oracle/unvendored.tsv, what a publisher did on purpose that a repair has to be told.
"""

import ast
import csv
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from packaging.utils import parse_wheel_filename

from index_gate import gate_problems
from oracle import macho_signatures
from relocator import api
from relocator.backends import backend_for, identify
from relocator.findings import Finding, Report, Severity
from relocator.model import Format
from relocator.repairs import AddFile, CopyIn, MoveMember, Outcome, RepairOptions, RepairResult
from repair_promise import unkept
from unvendored import Unvendored, original, unvendor

TABLE = Path(__file__).with_name("oracle") / "unvendored.tsv"
LEGACY = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}
_TAG = re.compile(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(\w+)")
_PATCH = b"add_dll_directory"


class Decided(NamedTuple):
    """What has to be known of a wheel to judge its repair; each a row of the table."""

    exclude: tuple[str, ...] = ()
    """Libraries that the publisher left to the user: without the option the repair is refused, and names them."""
    include: tuple[str, ...] = ()
    """Libraries that the publisher brought although nothing needs them."""
    kept: tuple[str, ...] = ()
    """Rules whose findings follow from what is left out."""
    refused: tuple[str, ...] = ()
    """Words of the reason why the wheel can never be repaired."""

    @property
    def options(self) -> RepairOptions:
        return RepairOptions(exclude=self.exclude, include=self.include)


class Returned(NamedTuple):
    """A wheel that went there and back."""

    bare: Unvendored
    result: RepairResult
    faults: tuple[str, ...]


@cache
def rows() -> tuple[tuple[str, str, str, str], ...]:
    """Return project, part of the platform, kind and value of each row."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return tuple((r["project"], r["platform"], r["kind"], r["value"]) for r in csv.DictReader(lines, delimiter="\t"))


def decided(wheel: Path) -> Decided:
    """Return what the table says of a wheel."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    mine = [row for row in rows() if row[0] in (name, f"{name}=={version}") and row[1] in wheel.name]
    return Decided(**{kind: tuple(row[3] for row in mine if row[2] == kind) for kind in Decided._fields})


def there_and_back(wheel: Path, folder: Path) -> Returned:
    """Un-vendor a wheel, repair it with nothing but its libraries at hand, and judge the result."""
    bare = unvendor(wheel, folder)
    known = decided(wheel)
    if known.exclude or known.refused:
        refusal = api.repair(bare.wheel, folder / "refused", search=[bare.libraries], host=False)
        told = " ".join(failure.message for failure in refusal.failures)
        lacking = [name for name in (*known.exclude, *known.refused) if name not in told]
        faults = [f"the refusal does not name {name}: {told or refusal.outcome}" for name in lacking]
        if known.refused or faults:
            return Returned(bare, refusal, tuple(faults))
    result = api.repair(bare.wheel, folder / "out", known.options, search=[bare.libraries], host=False)
    if not result.output:
        return Returned(bare, result, tuple(failure.message for failure in result.failures))
    return Returned(bare, result, tuple(_faults(wheel, bare, result, known)))


def _faults(wheel: Path, bare: Unvendored, result: RepairResult, known: Decided) -> Iterator[str]:
    done = Path(result.output)
    yield from other_libraries(wheel, done)
    yield from (f"is lost: the promise of {tag}" for tag in worse_tags(wheel.name, done.name))
    yield from new_findings(findings(wheel), findings(done), known.kept)
    yield from untouched(bare.wheel, result)
    yield from patches(wheel, done)
    yield from (f"the index's gate: {problem}" for problem in gate_problems(done))
    yield from bad_signatures(done)
    again = api.repair(done, done.parent / "again", known.options, host=False)
    if again.outcome != Outcome.COPIED or Path(again.output).read_bytes() != done.read_bytes():
        yield f"a second repair: {again.outcome}: {[action.because for action in again.plan.actions] if again.plan else again.failures}"


# ---- libraries


def binaries(wheel: Path) -> Iterator[tuple[str, zipfile.ZipFile]]:
    """Yield the members that a loader maps, with the open archive."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                if not info.is_dir() and identify(member.read(64)) is not None:
                    yield info.filename, archive


def other_libraries(wheel: Path, done: Path) -> Iterator[str]:
    """Say which binaries, by their names without hashes, one wheel has more often than the other."""
    before, after = (Counter(original(Path(name).name) for name, _ in binaries(path)) for path in (wheel, done))
    yield from (f"is lacking: {name}" for name in sorted((before - after).elements()))
    yield from (f"is more: {name}" for name in sorted((after - before).elements()))


# ---- tags


def worse_tags(before: str, after: str) -> list[str]:
    """Return the platform tags of one file name that no tag of the other is as good as."""
    have = platforms(after)
    return [tag for tag in platforms(before) if not any(_covers(one, tag) for one in have)]


def platforms(name: str) -> list[str]:
    """Return the platform tags of a file name, the aliases of old spelled out."""
    return [
        re.sub("|".join(LEGACY), lambda found: LEGACY[found[0]], tag) for tag in name.removesuffix(".whl").rpartition("-")[2].split(".")
    ]


def _covers(better: str, tag: str) -> bool:
    one, other = _TAG.fullmatch(better), _TAG.fullmatch(tag)
    if not one or not other:
        return better == tag
    return (one[1], one[4]) == (other[1], other[4]) and (int(one[2]), int(one[3])) <= (int(other[2]), int(other[3]))


# ---- what an audit says


def findings(wheel: Path) -> list[Report]:
    """Return what an audit says."""
    reports, failures = api.audit([wheel])
    assert failures == ()
    return list(reports)


def new_findings(before: Iterable[Report], after: Iterable[Report], kept: Collection[str] = ()) -> Iterator[str]:
    """Say what an audit finds that it did not find in the publisher's wheel, and what breaks the promise of a repair.

    `kept` are rules whose findings follow from what it was told to leave.
    """
    known = Counter(_known(finding) for report in before for finding in report.findings)
    for report in after:
        for finding in report.findings:
            if finding.severity >= Severity.WARNING and known[_known(finding)] <= 0:
                yield f"new {finding.severity}[{finding.rule}]: {finding.primary.member}: {finding.message}"
            known[_known(finding)] -= 1
        yield from (f"unkept promise: {one.rule}: {one.primary.member}: {one.message}" for one in unkept(report, kept=kept))


def _known(finding: Finding) -> tuple[str, str, Severity]:
    return finding.rule, original(Path(finding.primary.member).name), finding.severity


# ---- what is as it was


def untouched(bare: Path, result: RepairResult) -> Iterator[str]:
    """Say what changed that nothing asked for: members without a part in the plan, and binaries that the plan had no cause to touch."""
    assert result.plan is not None
    moved = {action.member: action.to for action in result.plan.actions if isinstance(action, MoveMember)}
    planned = {getattr(action, "member", "") for action in result.plan.actions} | set(moved.values())
    added = {action.member for action in result.plan.actions if isinstance(action, AddFile | CopyIn)}
    blamed = {place.member for one in findings(bare) for finding in one.findings for place in (finding.primary, *finding.related)}
    with zipfile.ZipFile(bare) as before, zipfile.ZipFile(result.output) as after:
        names = {name for name in before.namelist() if not name.endswith("/")}
        if {moved.get(name, name) for name in names} | added != {name for name in after.namelist() if not name.endswith("/")}:
            yield f"other members than planned: {sorted(names ^ set(after.namelist()))[:5]}"
        for name in sorted(names & set(after.namelist())):
            old = before.read(name)
            if old == after.read(name):
                continue
            if name not in planned:
                yield f"changed, and is not in the plan: {name}"
            elif identify(old[:64]) is not None and name not in blamed:
                yield f"changed without a cause: {name}"


# ---- Windows


def patches(wheel: Path, done: Path) -> Iterator[str]:
    """Say where sources that were patched are no Python, and which are not patched that the publisher's tool patched."""
    after = dict(_patched(done))
    yield from (f"is not patched: {name}" for name, _ in _patched(wheel) if name not in after and _by_a_tool(wheel, name))
    for name, source in after.items():
        try:
            ast.parse(source)
        except SyntaxError as error:
            yield f"{name} is no Python: {error}"


def _patched(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py") and _PATCH in (source := archive.read(name)):
                yield name, source


def _by_a_tool(wheel: Path, name: str) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return b"# start delvewheel patch" in archive.read(name)


# ---- macOS


def bad_signatures(done: Path) -> Iterator[str]:
    """Say which slices the kernel would kill: a signature that does not fit, or none where one is needed."""
    for name, archive in binaries(done):
        data = archive.read(name)
        if (backend := identify(data[:64])) is None or backend.FORMAT != Format.MACHO:
            continue
        for start, size in macho_signatures.slices(data):
            part = data[start : start + size]
            arm = macho_signatures.thin(part).cpu == 0x0100000C
            yield from (f"{name}: code signature: {fault}" for fault in macho_signatures.faults(part, needed=arm))


def concerned(bare: Unvendored, wheel: Path) -> tuple[str, ...]:
    """Return the binaries of the bare wheel that need a library which was taken out."""
    return tuple(name for name, archive in binaries(wheel) if any(_needs(archive.read(name), bare.names)))


def _needs(data: bytes, names: Iterable[str]) -> Iterator[bool]:
    backend = identify(data[:64])
    if backend is not None:
        wanted = {name.casefold() for name in names}
        images = backend_for(backend.FORMAT).read(memoryview(data))
        yield from (need.name.rpartition("/")[2].casefold() in wanted for image in images for need in image.needed)
