"""One edit of several files, from the first look to the last rename: all are planned before any is written."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from relocator import __version__
from relocator.apply import Job, NotWritten, Source, carry_out, check_distinct, examine
from relocator.editing import FilePlan, Parents, Wish, plan_file, take_parents
from relocator.errors import InternalError, RelocatorError, UnreadableBinary, UsageError
from relocator.files import FileBuffer
from relocator.findings import Failure
from relocator.plans import EditRefused, PathKind
from relocator.verification import Expected, Level
from relocator.verification import verify as verified


class Request(NamedTuple):
    """What is asked for, the same for all files."""

    wishes: tuple[Wish, ...]
    parents: str = ""
    """A folder; "" when none is to be looked at."""
    output: str = ""
    journal: str = ""
    dry_run: bool = False
    break_hard_links: bool = False


def rewrite(
    subjects: Sequence[str], request: Request, kind: PathKind | None = None, level: Level | None = None
) -> tuple[tuple[FilePlan, ...], tuple[Failure, ...]]:
    """Plan all files and write them, or none; the plans say which were written. Raises UsageError for what makes no sense together."""
    _check(subjects, request)
    parents = take_parents(request.parents) if request.parents else None
    planned: list[tuple[Source, FilePlan]] = []
    failures: list[Failure] = []
    for subject in subjects:
        try:
            planned.append(_planned(subject, request, kind or PathKind.KEEP, parents))
        except UsageError:
            raise
        except UnreadableBinary as error:
            failures.append(Failure(subject, f"damaged: {error.message}", "restore the file, or build it again", error.exit_code))
        except RelocatorError as error:
            failures.append(Failure(subject, error.message, error.hint, error.exit_code))
    check_distinct([source for source, _ in planned])
    plans = tuple(plan for _, plan in planned)
    if failures or request.dry_run:
        return plans, tuple(failures)
    try:
        return _written(planned, request, level or Level.NORMAL), ()
    except RelocatorError as error:
        return plans, (_failure(error, subjects),)


def _check(subjects: Sequence[str], request: Request) -> None:
    if request.output and len(subjects) != 1:
        raise UsageError(f"one result cannot come of {len(subjects)} files", "leave the output out, or give one file")
    if request.output and request.journal:
        raise UsageError("with another file as output nothing is changed that could be undone", "leave the journal out")
    if not request.wishes:
        raise UsageError("there is nothing to change", "say what, such as --set-rpath or --replace-needed")


def _planned(subject: str, request: Request, kind: PathKind, parents: Parents | None) -> tuple[Source, FilePlan]:
    source = examine(subject, output=request.output, break_hard_links=request.break_hard_links)
    try:
        with FileBuffer(source.real) as buffer:
            return source, plan_file(subject, buffer, request.wishes, kind=kind, parents=parents, output=request.output)
    except OSError as error:
        raise NotWritten(f"cannot be read: {error.strerror}", "make the file readable") from error


def _written(planned: Sequence[tuple[Source, FilePlan]], request: Request, level: Level) -> tuple[FilePlan, ...]:
    several = len(planned) > 1
    jobs = [
        Job(source, plan.patchset, partial(_verified, plan.subject if several else "", plan.expected, level), request.output)
        for source, plan in planned
    ]
    done = {written.path: written for written in carry_out(jobs, journal=request.journal, tool=f"relocate {__version__}")}
    plans = []
    for _, plan in planned:
        written = done.get(plan.subject)
        if written is None:
            plans.append(plan)
            continue
        plans.append(
            dataclasses.replace(
                plan,
                written=True,
                sha256_before=written.sha256_before,
                sha256_after=written.sha256_after,
                verified=written.verified,
                remarks=(*plan.remarks, *written.remarks),
            )
        )
    return tuple(plans)


def _verified(subject: str, expected: Expected, level: Level, old: bytes, new: bytes) -> tuple[str, ...]:
    """Verify one file; `subject` is to be named in complaints, "" where it is clear which file they are about."""
    try:
        return verified(expected, old, new, level).clauses
    except (InternalError, EditRefused) as error:
        if subject:
            raise type(error)(f"{subject}: {error.message}", error.hint) from error
        raise


def _failure(error: RelocatorError, subjects: Sequence[str]) -> Failure:
    """Return why the writing failed; with several files, that none was written."""
    several = "; no file was changed" if len(subjects) > 1 else ""
    return Failure(subjects[0] if len(subjects) == 1 else f"{len(subjects)} files", error.message + several, error.hint, error.exit_code)
