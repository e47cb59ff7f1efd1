"""A repair has a fixed point: planning for the projected wheel gives an empty plan, and in every load each need gets what it got before."""

import base64
import dataclasses
import hashlib
from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders as b
from builders import LINUX, MANYLINUX
from linked import Files, lib, linked, module, outside
from relocator.backends.linux.load import load
from relocator.loading import Process, Sources
from relocator.model import Binary, How, Member, RecordRow, Survey
from relocator.reading import Reading
from relocator.repair import plan_repair
from relocator.repair.projecting import project
from relocator.repairs import CopyIn, MoveMember, Plan, RepairOptions
from relocator.search_order import ELSEWHERE

INFO = "demo-1.0.dist-info"
WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_17_x86_64\n"
OPTIONS = RepairOptions(allow_missing=True, update_tags=False)

NAMES = [*(f"lib{letter}.so.1" for letter in "abcd"), "libz.so.1"]
"""The last one is promised."""
FOLDERS = ["/one", "/two", "$ORIGIN", "$ORIGIN/lib", "$ORIGIN/../lib"]
needs = st.lists(st.sampled_from([*NAMES, "libc.so.6"]), max_size=3, unique=True)
paths = st.one_of(st.none(), st.lists(st.sampled_from(FOLDERS), min_size=1, max_size=3, unique=True).map(":".join))
kinds = st.sampled_from(["rpath", "runpath"])


def with_hash(binary: Binary) -> Binary:
    text = repr(binary.images) + binary.path
    return dataclasses.replace(binary, sha256=hashlib.sha256(text.encode()).hexdigest(), size=len(text))


@st.composite
def packages(draw: st.DrawFn) -> tuple[Survey, Reading]:
    """A package whose modules need libraries in and outside it, with search paths of all kinds."""
    found: list[Binary] = []
    for letter in "xyz"[: draw(st.integers(1, 3))]:
        found.append(module(*draw(needs), member=f"demo/_{letter}.so", **{draw(kinds): draw(paths)}))
    for name in NAMES:
        for folder in draw(st.lists(st.sampled_from(["/one", "/two", "demo", "demo/lib"]), max_size=2, unique=True)):
            if folder.startswith("/"):
                found.append(outside(f"{folder}/{name}", *draw(needs)))
            else:
                found.append(lib(f"{folder}/{name}", *draw(needs), **{draw(kinds): draw(paths)}))
    found = [with_hash(one) for one in found]
    own = [one for one in found if one.owner]
    members = [Member(one.member, one.size, 0o100644, one.sha256) for one in own]
    members += [b.member(f"{INFO}/WHEEL", WHEEL), b.member(f"{INFO}/METADATA", b"Name: demo\n"), b.member(f"{INFO}/RECORD")]
    survey = linked(*found, members=tuple(members), record=tuple(rows(members)))
    return looked_up(survey, found), Reading(binaries=own, texts={f"{INFO}/WHEEL": WHEEL})


def looked_up(survey: Survey, binaries: Iterable[Binary]) -> Survey:
    """Return the survey of a repair: with `--search /one`, what lies in absolute search paths, and what the wheel has anywhere."""
    own = [binary for binary in binaries if binary.owner]
    inside = tuple((binary.images[0].identity or "", binary.path) for binary in own if not binary.extension)
    sources = Sources(inside=inside, folders=(("/one", "--search /one"),), absolute=True)
    world, process = Files(*binaries), Process(LINUX, MANYLINUX, sources=sources)
    return dataclasses.replace(survey, binaries=tuple(binaries), loads=tuple(load(one, "x86_64", world, process) for one in own))


def rows(members: list[Member]) -> list[RecordRow]:
    found = []
    for line, member in enumerate(members, 1):
        own = member.name.endswith("/RECORD")
        digest = "sha256=" + base64.urlsafe_b64encode(bytes.fromhex(member.sha256)).decode().rstrip("=")
        found.append(RecordRow(member.name, "" if own else digest, "" if own else str(member.size), line))
    return found


def told(first: Plan, second: Plan, survey: Survey) -> str:
    """The package and both plans, in a few lines."""
    files = [
        f"{one.path}: {[n.name for n in one.images[0].needed]} {[p.text for p in one.images[0].search_paths]}" for one in survey.binaries
    ]
    return "\n".join([*files, "first:", *map(str, first.actions), *first.remarks, "second:", *map(str, second.actions)])


@settings(deadline=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck))
@given(packages())
def test_planning_twice_changes_nothing_more(package: tuple[Survey, Reading]) -> None:
    survey, reading = package
    first = plan_repair(survey, reading, OPTIONS)
    after = project(survey, reading, first.plan)
    again = looked_up(after.survey, [*after.survey.binaries, *(one for one in survey.binaries if not one.owner)])
    second = plan_repair(again, after.reading, OPTIONS)
    assert not second.plan, told(first.plan, second.plan, survey)


@settings(deadline=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck))
@given(packages())
def test_every_module_gets_the_libraries_that_it_got_before(package: tuple[Survey, Reading]) -> None:
    """By their contents; where files of the wheel got different ones in different loads, or hide one another, the plan says so. What
    no loader found before is nothing that it got."""
    survey, reading = package
    planned = plan_repair(survey, reading, OPTIONS)
    if any(
        words in remark for words in (" as it is loaded; ", " and will not: ", " from the system, and ") for remark in planned.plan.remarks
    ):
        return
    origin = origins(survey, planned.plan)
    new = {one.root: one for one in planned.projected.loads}
    for old in survey.loads:
        if old.root.rpartition("/")[2].startswith("_"):
            given = [r for r in old.resolutions if r.how in (How.BUNDLED, How.OUTSIDE) and not r.via.startswith(ELSEWHERE)]
            met = {r.target for r in given if r.target}
            now = {origin[r.target] for r in new[old.root].resolutions if r.how == How.BUNDLED and r.target}
            assert met <= now, told(planned.plan, planned.plan, survey)
            promised = {r.importer for r in old.resolutions if r.how == How.PROMISED and r.needed.name == NAMES[-1]}
            taken = {origin[r.importer] for r in new[old.root].resolutions if r.target and r.needed.name == NAMES[-1]}
            assert not promised & taken, told(planned.plan, planned.plan, survey)


def origins(survey: Survey, plan: Plan) -> dict[str, str]:
    """Return where each file of the finished wheel lay before."""
    assert not [action for action in plan.actions if isinstance(action, MoveMember)]
    found = {binary.path: binary.path for binary in survey.binaries}
    found.update((f"{b.SITE}/{action.member}", action.origin.path) for action in plan.actions if isinstance(action, CopyIn))
    return found
