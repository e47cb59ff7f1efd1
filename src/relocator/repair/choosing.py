"""Which files are brought into the wheel, and which file is to meet which need in the finished one.

One need of one file has one answer afterwards, although each load may answer it in its own way: by what is loaded already, or by a search
path that is inherited. What a file gets when it is opened alone comes first. A file from outside that brings different libraries in
different loads is brought in once for each set, so that no load gets another library than it had.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.knowledge.host_libraries import is_host_library
from relocator.knowledge.retired_sonames import retired
from relocator.loading import directory
from relocator.model import Binary, How, NeedKind, Resolution, Role, Survey
from relocator.paint import short_path
from relocator.places import OPTIONAL, loads_that_count, need_place
from relocator.repair import refusals
from relocator.repair.closures import Answers, Closures, File, Need, answered, answers_of, rivals
from relocator.repair.wiring import Link
from relocator.repairs import Left, Refusal, RepairOptions
from relocator.roles import maps
from relocator.search_order import INTERPRETER


class Brought(NamedTuple):
    """A file that is brought in."""

    binary: Binary
    """Its `path` is its own: a file that is brought in more than once has one for each time. `member` is where it lies now."""
    via: str
    wanted: bool


class Chosen(NamedTuple):
    """What is brought in, and what meets which need."""

    brought: tuple[Brought, ...]
    """Sorted by path."""
    links: tuple[Link, ...]
    left: tuple[Left, ...] = ()
    remarks: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class _Choice(NamedTuple):
    """What is to meet one need."""

    importer: File
    need: Need
    resolution: Resolution
    target: File | None
    """A file of the finished wheel."""
    rivals: tuple[Resolution, ...]
    """What other loads give, the resolution included; one where all agree."""


def choose(survey: Survey, alone: Survey, options: RepairOptions) -> Chosen:
    """Return what is brought in. `survey` was made with the world to take files from, `alone` of the same wheel with nothing outside it."""
    answers = answers_of(survey)
    single = {binary.path for binary in survey.binaries if not binary.owner and len(binary.images) == 1}
    closures = Closures(survey.loads, answers, single)
    wanted = _wanted(survey, closures)
    choices = _choices(closures, [*_own(survey, options), *wanted])
    within = _Within(survey, alone, answers)
    links = [_link(choice, within) for choice in choices]
    return Chosen(
        tuple(_brought(survey, choices, wanted)),
        tuple(sorted(links, key=lambda link: (link.importer, link.arch, link.needed))),
        tuple(_left(survey, choices, options)),
        tuple(dict.fromkeys((*_remarks(survey, choices), *_split_sites(choices), *_unread(survey)))),
        tuple(dict.fromkeys(_refusals(survey, choices, options))),
    )


# ---- the walk


def _own(survey: Survey, options: RepairOptions) -> Iterator[File]:
    """Yield the wheel's own files that are to work: on Windows those that an import reaches, unless all are asked for."""
    for binary in survey.binaries:
        reached = survey.target.os != "windows" or options.analyze_existing or binary.role == Role.IMPORTED
        if binary.owner and reached and maps(survey.target, binary):
            yield File(binary.path)


def _wanted(survey: Survey, closures: Closures) -> dict[File, str]:
    """Return the files that were asked for, each with the words that say so."""
    roots = {load.root: position for position, load in reversed(list(enumerate(survey.loads)))}
    return {closures.file(roots.get(path, -1), path): via for path, via in survey.wanted}


def _choices(closures: Closures, starts: Iterable[File]) -> list[_Choice]:
    """Return what is to meet each need of the files to start from, and of all that this leads to."""
    todo = list(dict.fromkeys(starts))
    known = set(todo)
    found: list[_Choice] = []
    for importer in todo:  # grows while it is walked
        for need, position, given in closures.needs(importer):
            resolution = given[position]
            inside = resolution.how in (How.BUNDLED, How.OUTSIDE) and resolution.target
            target = closures.file(position, resolution.target or "") if inside else None
            found.append(_Choice(importer, need, resolution, target, rivals(given)))
            if target is not None and target not in known:
                known.add(target)
                todo.append(target)
    return found


# ---- what is brought in


def _brought(survey: Survey, choices: Iterable[_Choice], wanted: Mapping[File, str]) -> Iterator[Brought]:
    vias = dict(wanted)
    for choice in choices:
        if choice.target is not None and choice.resolution.how == How.OUTSIDE:
            vias.setdefault(choice.target, choice.resolution.via)
    for file in sorted(vias, key=_path):
        binary = survey.binary_at(file.path)
        if binary is not None and not binary.owner:
            yield Brought(dataclasses.replace(binary, path=_path(file)), vias[file], file in wanted)


def _path(file: File) -> str:
    """Return the path by which a file is known from here on."""
    if not file.number:
        return file.path
    return f"{directory(file.path).rstrip('/')}/<{file.number + 1}>/{file.path.rpartition('/')[2]}"


# ---- what meets which need


def _link(choice: _Choice, within: "_Within") -> Link:
    resolution, (arch, needed) = choice.resolution, choice.need
    target = _path(choice.target) if choice.target is not None else ""
    if resolution.how == How.PROVIDED:
        target = resolution.target or ""
    link = Link(_path(choice.importer), needed, arch, target, resolution.how, resolution.via, False)
    return link._replace(reachable=_reachable(link, within.given(choice)))


class _Within:
    """What the loader finds in the wheel without help from outside, in the loads that there will be in the finished one."""

    def __init__(self, survey: Survey, alone: Survey, answers: Answers) -> None:
        """`answers` are those of `survey`."""
        self._answers, self._alone = answers, answers_of(alone)
        self._positions = {(load.root, load.arch): position for position, load in enumerate(alone.loads)}
        self._survey = survey
        positions = {id(load): position for position, load in enumerate(survey.loads)}
        self._counting: dict[str, list[int]] = {}
        for path, load in loads_that_count(survey):
            self._counting.setdefault(path, []).append(positions[id(load)])

    def given(self, choice: _Choice) -> list[Resolution | None]:
        """Return what became of a need in each load that counts; None where the wheel does not tell.

        A load that stops short of the file, since what is to bring it is not found, tells nothing. Then it counts what the file finds when
        it is opened alone; not on Windows, where it is for the root to say where is searched. A load that gives another answer than the
        chosen one, even with all the help, does not count: no search path would change it.
        """
        importer, (arch, _) = choice.importer.path, choice.need
        found = self._alone.get(importer, {}).get(choice.need, {})
        alone = None if self._survey.target.os == "windows" else found.get(self._positions.get((importer, arch), -1))
        roots = [self._survey.loads[position].root for position in self._agreeing(choice)]
        return [found.get(self._positions.get((root, arch), -1), alone) for root in roots] or [alone]

    def _agreeing(self, choice: _Choice) -> Iterator[int]:
        given = self._answers[choice.importer.path][choice.need]
        for position in self._counting.get(choice.importer.path, ()):
            resolution = given.get(position)
            if resolution is not None and (not answered(resolution) or resolution.target == choice.resolution.target):
                yield position


def _reachable(link: Link, found: Sequence[Resolution | None]) -> bool:
    """Tell whether the wheel by itself leads the loader to what is to meet the need."""
    return bool(found) and all(resolution is not None and _leads(link, resolution) for resolution in found)


def _leads(link: Link, resolution: Resolution) -> bool:
    match link.how:
        case How.BUNDLED:
            return resolution.how == How.BUNDLED and resolution.target == link.target
        case How.PROVIDED:
            return resolution.how != How.BUNDLED and any(tried.place == link.target for tried in resolution.tried)
        case How.PROMISED:
            return resolution.how == How.PROMISED
    return False


# ---- what is told


def _left(survey: Survey, choices: Iterable[_Choice], options: RepairOptions) -> Iterator[Left]:
    """Yield what stays outside although the target does not promise it, each library once for each reason, sorted."""
    found: dict[tuple[str, str], set[str]] = {}
    for choice in choices:
        how, name = choice.resolution.how, choice.resolution.needed.name
        if how in (How.EXPECTED, How.PROVIDED) and not _is_at_hand(survey, choice):
            found.setdefault((name, choice.resolution.via), set()).add(_member(survey, choice))
        elif options.allow_missing and _is_fatal(choice):
            found.setdefault((name, "--allow-missing"), set()).add(_member(survey, choice))
    for (name, why), importers in sorted(found.items()):
        yield Left(name, tuple(sorted(importers)), why)


def _is_at_hand(survey: Survey, choice: _Choice) -> bool:
    """Tell whether a need is for what the running Python is made of: its DLL, and the library that no module of Linux has to name."""
    importer = survey.binary_at(choice.importer.path)
    program = survey.target.os != "windows" and importer is not None and any(image.kind == "program" for image in importer.images)
    return choice.resolution.via == INTERPRETER and survey.target.os != "macos" and not program


def _member(survey: Survey, choice: _Choice) -> str:
    binary = survey.binary_at(choice.importer.path)
    return binary.member if binary is not None else choice.importer.path


def _is_fatal(choice: _Choice) -> bool:
    """Tell whether nothing meets a need without which its file does not load."""
    return not answered(choice.resolution) and choice.resolution.needed.kind not in (*OPTIONAL, NeedKind.DELAYED)


def _remarks(survey: Survey, choices: Iterable[_Choice]) -> Iterator[str]:
    for choice in choices:
        where = need_place(survey, choice.resolution)
        who = f"{where.member} ({where.arch})"
        name = choice.resolution.needed.name
        if not answered(choice.resolution) and not _is_fatal(choice) and not is_host_library(name):
            yield f"{who} does without {name}, a {choice.resolution.needed.kind} need that was not found"
        if choice.resolution.how == How.PROMISED and survey.target.libc == "glibc" and name in retired():
            yield f"{who} is left with {name}, which newer systems do not have: it was not found, `--search DIR` names its folder"
        if len(choice.rivals) > 1:
            others = [_told(survey, rival) for rival in choice.rivals if rival.target != choice.resolution.target]
            taken = _told(survey, choice.resolution)
            yield f"{who} finds {name} as {taken} or as {' or as '.join(others)}, as it is loaded; from now on as {taken}"


def _split_sites(choices: Iterable[_Choice]) -> Iterator[str]:
    """Name the limit of a relative path to another distribution: pip may install the two into different folders."""
    for choice in choices:
        if choice.resolution.how == How.PROVIDED:
            yield (
                f"{choice.resolution.via}: its libraries are found where both are installed into one site-packages, "
                "and not where one of them lies in a user site and the other in the system's"
            )


def _told(survey: Survey, resolution: Resolution) -> str:
    """Name what meets a need."""
    if resolution.target and resolution.how in (How.BUNDLED, How.OUTSIDE, How.PROVIDED):
        return short_path(resolution.target, survey.container)
    return f"the one that is {resolution.how} ({resolution.via})"


def _unread(survey: Survey) -> Iterator[str]:
    for file in survey.unreadable:
        if file.owner:
            yield f"{file.member} stays as it is: it cannot be read ({file.field}: {file.expected})"


def _refusals(survey: Survey, choices: Iterable[_Choice], options: RepairOptions) -> Iterator[Refusal]:
    for choice in choices:
        if _is_fatal(choice) and not options.allow_missing:
            yield refusals.missing(survey, choice.resolution)
