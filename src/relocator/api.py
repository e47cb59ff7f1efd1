"""What `relocate` can do, for programs: `from relocator.api import audit`.

Every function takes one path or several, looks at all of them and returns what it found, together with a `Failure` for each path that
could not be looked at. Only a request that makes no sense (an unknown rule, an impossible target) raises: `relocator.errors.UsageError`.

Nothing here looks at the host, `env` and `repair` apart: a result is about the target that the tags name, or the one asked for. Readers,
loaders and rules are imported by the first call, so that importing this module costs little.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypedDict, TypeVar, Unpack, overload

from relocator.errors import RelocatorError, UsageError
from relocator.facts import Forest, Profile, forests, profile
from relocator.findings import Failure, Report
from relocator.model import ContainerFacts, Survey
from relocator.policy import Policy
from relocator.tags import targets_of

if TYPE_CHECKING:  # importing them costs time
    from relocator.apply import Written
    from relocator.containers import Container
    from relocator.editing import FilePlan, Wish
    from relocator.plans import PathKind
    from relocator.processes import Surroundings
    from relocator.repairs import RepairOptions, RepairResult
    from relocator.verification import Level

__all__ = [
    "Failure",
    "Forest",
    "Policy",
    "Profile",
    "Progress",
    "Report",
    "Step",
    "audit",
    "edit",
    "env",
    "env_of_wheels",
    "fuse",
    "repair",
    "retag",
    "show",
    "tree",
    "undo",
    "wheels_of_lock",
]

Location = str | os.PathLike[str]

Found = TypeVar("Found")


class Step(NamedTuple):
    """How far the work has come."""

    subject: str
    number: int
    """Of the subject, from 1."""
    total: int
    """Subjects asked for."""
    member: str
    """The file just read; "" when the subject is about to be opened."""
    size: int
    """Bytes of that file."""


Progress = Callable[[Step], None]


class _Repairing(TypedDict, total=False):
    """Options of `repair` that can only be given by name."""

    search: Sequence[Location]
    instead_of_host: Sequence[Location]
    host: bool
    process_env: Mapping[str, str] | None
    prefix: Location
    level: int
    epoch: int | None
    force: bool
    dry_run: bool
    verify: "Level | None"
    max_size: int | None
    progress: Progress | None
    claimed: dict[str, str] | None


class _Asked(NamedTuple):
    """Options that every function has."""

    target: str
    search: Sequence[Location]
    max_size: int | None
    progress: Progress | None
    opened: "Callable[[str], Container] | None" = None
    """How to open a subject, where not by what it is."""
    surroundings: "Surroundings | None" = None


def audit(
    paths: Location | Iterable[Location],
    *,
    target: str = "",
    search: Sequence[Location] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    policy: Policy | None = None,
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Report, ...], tuple[Failure, ...]]:
    """Judge wheels, folders and files.

    There is one report for each operating system and libc that a subject's tags, or `target`, name. `select` names the rules to run
    (all of them when empty); findings of rules named by `ignore`, and those that `policy` accepts (`relocator.configuration` and
    `relocator.baseline` read one), are kept apart as suppressed, and do not count. `search` adds directories in which
    libraries are looked for after everything that the real loader tries. An archive that would inflate to more than `max_size` bytes
    (16 GiB when None) is a failure.
    """
    return _each(paths, _Asked(target, search, max_size, progress), _judge(select, ignore, policy))


def env(
    paths: Location | Iterable[Location],
    *,
    target: str = "",
    search: Sequence[Location] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    policy: Policy | None = None,
    process_env: Mapping[str, str] | None = None,
    host: bool = True,
    hashes: bool = False,
    reason: str = "",
    progress: Progress | None = None,
) -> tuple[tuple[Report, ...], tuple[Failure, ...]]:
    """Judge installed environments as one process of their Python would load them.

    Each path is a prefix, a folder of modules or a Python executable. The target is the platform of that Python. `process_env` are the
    environment variables of the process (LD_LIBRARY_PATH, LD_PRELOAD, PATH, ...); none when it is None. With `host` this machine's own
    libraries are looked at, if target and machine are of one kind. `hashes` has every file compared with what its distribution recorded.
    `reason` is why this environment was chosen, for people. Other options as for `audit`.
    """
    from relocator.containers import open_environment  # noqa: PLC0415
    from relocator.processes import Surroundings  # noqa: PLC0415

    around = Surroundings(tuple(sorted((process_env or {}).items())), host)
    asked = _Asked(target, search, None, progress, lambda path: open_environment(path, hashes=hashes, reason=reason), around)
    return _each(paths, asked, _judge(select, ignore, policy))


def env_of_wheels(
    wheels: Iterable[Location],
    *,
    name: str = "",
    target: str = "",
    python: str = "",
    search: Sequence[Location] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    policy: Policy | None = None,
    process_env: Mapping[str, str] | None = None,
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Report, ...], tuple[Failure, ...]]:
    """Judge wheels together, as they would lie once installed side by side; nothing is installed.

    `name` is what to call the set. Platform and Python are those given, or follow from the tags; UsageError when the wheels fit no common
    one. Nothing of this machine is looked at. Other options as for `env`.
    """
    from relocator.containers import MAX_SIZE, open_wheels  # noqa: PLC0415
    from relocator.processes import Surroundings  # noqa: PLC0415
    from relocator.wheel_choice import candidates_of, choose  # noqa: PLC0415

    chosen = choose(candidates_of(os.fspath(path) for path in wheels), target, python)
    paths = chosen.paths
    around = Surroundings(tuple(sorted((process_env or {}).items())))
    subject = name or " + ".join(path.replace("\\", "/").rpartition("/")[2].partition("-")[0] for path in paths)

    def opened(_subject: str) -> "Container":
        return open_wheels(subject, paths, tag=chosen.tag, interpreter=chosen.interpreter, max_size=max_size or MAX_SIZE)

    return _each(subject, _Asked("", search, max_size, progress, opened, around), _judge(select, ignore, policy))


def wheels_of_lock(lock: Location, folders: Iterable[Location], *, target: str = "", python: str = "") -> tuple[str, ...]:
    """Return the wheels of a pylock.toml that lie in folders, one for each package that belongs to the platform and Python.

    Raises ContainerError when the lock file cannot be read or packages have no wheel in any folder, naming each.
    """
    from relocator.locks import wheels_of  # noqa: PLC0415

    return wheels_of(os.fspath(lock), [os.fspath(folder) for folder in folders], target, python)


def _judge(select: Sequence[str], ignore: Sequence[str], policy: Policy | None) -> Callable[[tuple[Survey, ...]], tuple[Report, ...]]:
    """Return what makes reports of surveys; raise UsageError for a rule that does not exist."""
    from relocator import rules  # noqa: PLC0415  (start-up time, here and below)
    from relocator.audit import run_rules, suppress  # noqa: PLC0415

    chosen, decided = rules.select(tuple(select)), policy or Policy()
    decided = decided._replace(ignored=decided.ignored | {rules.named(name).name for name in ignore})

    def judge(surveys: tuple[Survey, ...]) -> tuple[Report, ...]:
        return tuple(suppress(run_rules(survey, chosen), survey, decided) for survey in surveys)

    return judge


def show(
    paths: Location | Iterable[Location],
    *,
    target: str = "",
    search: Sequence[Location] = (),
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Profile, ...], tuple[Failure, ...]]:
    """Tell what packages hold and need, and which platform tag their binaries allow; options as for `audit`."""
    return _each(paths, _Asked(target, search, max_size, progress), lambda surveys: tuple(map(profile, surveys)))


def tree(
    paths: Location | Iterable[Location],
    member: str = "",
    *,
    target: str = "",
    search: Sequence[Location] = (),
    max_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Forest, ...], tuple[Failure, ...]]:
    """Tell what each extension module, program and library brings into its process, or only those that `member` names.

    `member` is a name inside the package, the end of one, or a pattern; UsageError when it fits none. Other options as for `audit`.
    """
    return _each(paths, _Asked(target, search, max_size, progress), lambda surveys: forests(surveys, member))


def edit(
    paths: Location | Iterable[Location],
    edits: "Sequence[Wish]",
    *,
    kind: "PathKind | None" = None,
    parents: Location = "",
    output: Location = "",
    dry_run: bool = False,
    journal: Location = "",
    verify: "Level | None" = None,
    break_hard_links: bool = False,
) -> "tuple[tuple[FilePlan, ...], tuple[Failure, ...]]":
    """Rewrite binaries: what they need, where it is looked for, what they are called. All files are rewritten, or none.

    `edits` are those of `relocator.plans`, and the wishes of `relocator.editing`, which start from the search paths that a file has.
    `kind` says in which tag an ELF file keeps them; of a file with none, files in the folder `parents` that need it decide. `output` is
    where the result of a single file goes instead. `journal` names a new file by which `undo` puts everything back. `verify` is
    `relocator.verification.Level`, NORMAL when None. A file that cannot be planned or written is a Failure, and then nothing is written.
    """
    from relocator.rewriting import Request, rewrite  # noqa: PLC0415

    subjects = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    wanted = Request(tuple(edits), os.fspath(parents), os.fspath(output), os.fspath(journal), dry_run, break_hard_links)
    return rewrite(subjects, wanted, kind, verify)


def undo(journal: Location, *, dry_run: bool = False) -> "tuple[Written, ...]":
    """Put back the files that an edit changed, byte for byte; return what was put back, or would be.

    Raises ContainerError when the journal cannot be read, and `relocator.apply.NotWritten` when a file was changed since: then nothing is
    put back.
    """
    from relocator import apply  # noqa: PLC0415

    return apply.undo(os.fspath(journal), dry_run=dry_run)


@overload
def repair(  # type: ignore[overload-overlap]  # a str is also an iterable
    path: Location,
    out: Location = ...,
    options: "RepairOptions | None" = ...,
    **more: Unpack["_Repairing"],
) -> "RepairResult": ...


@overload
def repair(
    path: Iterable[Location],
    out: Location = ...,
    options: "RepairOptions | None" = ...,
    **more: Unpack["_Repairing"],
) -> "tuple[RepairResult, ...]": ...


def repair(
    path: Location | Iterable[Location],
    out: Location = "wheelhouse",
    options: "RepairOptions | None" = None,
    *,
    search: Sequence[Location] = (),
    instead_of_host: Sequence[Location] = (),
    host: bool = True,
    process_env: Mapping[str, str] | None = None,
    prefix: Location = "",
    level: int = 6,
    epoch: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    verify: "Level | None" = None,
    max_size: int | None = None,
    progress: Progress | None = None,
    claimed: dict[str, str] | None = None,
) -> "RepairResult | tuple[RepairResult, ...]":
    """Make wheels self-contained: bring in the libraries that they need, and give them the best tag that they keep.

    One path gives one `relocator.repairs.RepairResult`; several give a tuple, in their order. A wheel that cannot be repaired is a result
    with failures, all reasons at once, and nothing is written for it; the others are repaired all the same. The finished wheel goes to the
    folder `out`, which is made; the input is never changed. `options`, a `relocator.repairs.RepairOptions`, decides the plan.

    Libraries are taken from the wheel, from `search`, from where the binaries and `process_env` say (LD_LIBRARY_PATH, DYLD_LIBRARY_PATH,
    PATH, ...; none when it is None), and, with `host`, from this machine's library directories, or from `instead_of_host` in their place,
    when wheel and machine are of one kind. `prefix` is the environment in which distributions that `options.provided_by` names without
    a path are looked up. `level` is that of compression, 0 to 9; `epoch` is SOURCE_DATE_EPOCH. An output that exists and differs is
    replaced with `force` only. With `dry_run` everything is planned and nothing written. `claimed` holds the outputs of earlier calls, and
    gets those of this one, so that no two wheels get one name. Raises UsageError for what makes no sense.
    """
    from relocator.repairing import repair_wheels  # noqa: PLC0415
    from relocator.repairs import RepairOptions, Sought, Writing  # noqa: PLC0415

    alone = isinstance(path, str | os.PathLike)
    subjects = [os.fspath(item) for item in ([path] if isinstance(path, str | os.PathLike) else path)]
    sought = Sought(
        tuple(map(_directory, search)),
        tuple(map(_absolute, instead_of_host)),
        tuple(sorted((process_env or {}).items())),
        host,
        os.fspath(prefix),
    )
    writing = Writing(os.fspath(out), level, epoch, force, dry_run, str(verify or "normal"))
    results = repair_wheels(
        subjects, options or RepairOptions(), sought, writing, partial(_reporter, progress), max_size=max_size, claimed=claimed
    )
    return results[0] if alone else results


def retag(
    paths: Location | Iterable[Location],
    out: Location = "wheelhouse",
    *,
    plat: Sequence[str] = (),
    auto: bool = False,
    python_tags: Sequence[str] = (),
    abi_tags: Sequence[str] = (),
    build: str | None = None,
    check_isa: bool = True,
    force_tags: bool = False,
    epoch: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    max_size: int | None = None,
    progress: Progress | None = None,
) -> "tuple[RepairResult, ...]":
    """Give wheels other tags, in the file name and in WHEEL; return one result for each, in their order.

    Without any tag, or with `auto`, the platform tags are those that the binaries allow. Tags that the binaries do not keep to, by what an
    audit would find, are a failure unless `force_tags`; what the x86-64 level of binaries says counts with `check_isa`. `build` is the
    build number, "" for none. Other options as for `repair`.
    """
    from relocator.repairs import Writing  # noqa: PLC0415
    from relocator.retagging import Asked, retag_wheels  # noqa: PLC0415

    subjects = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    asked = Asked(tuple(plat), auto, tuple(python_tags), tuple(abi_tags), build, check_isa, force_tags)
    writing = Writing(os.fspath(out), epoch=epoch, force=force, dry_run=dry_run)
    return retag_wheels(subjects, asked, writing, partial(_reporter, progress), max_size=max_size)


def fuse(
    first: Location,
    second: Location,
    out: Location = "wheelhouse",
    *,
    as_first: Sequence[str] = (),
    as_second: Sequence[str] = (),
    epoch: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    max_size: int | None = None,
    progress: Progress | None = None,
) -> "RepairResult":
    """Make one macOS wheel of two for different architectures; return it, or every reason why there is none.

    Mach-O files are joined, everything else has to be the same: `as_first` and `as_second`, patterns of members, say which wheel is right
    where they differ, or where one of them does not have a file. Other options as for `repair`.
    """
    from relocator.fusing import fuse_wheels  # noqa: PLC0415
    from relocator.repair.joining import Choice  # noqa: PLC0415
    from relocator.repairs import Writing  # noqa: PLC0415

    writing = Writing(os.fspath(out), epoch=epoch, force=force, dry_run=dry_run)
    choice = Choice(tuple(as_first), tuple(as_second))
    return fuse_wheels(os.fspath(first), os.fspath(second), writing, choice, partial(_reporter, progress), max_size=max_size)


def _each(
    paths: Location | Iterable[Location], asked: _Asked, work: Callable[[tuple[Survey, ...]], tuple[Found, ...]]
) -> tuple[tuple[Found, ...], tuple[Failure, ...]]:
    """Survey each path and do the work on it; what cannot be opened becomes a Failure, usage errors are raised."""
    from relocator.containers import MAX_SIZE, open_container  # noqa: PLC0415
    from relocator.survey import take_surveys  # noqa: PLC0415

    targets_of(ContainerFacts("file", ""), asked.target)  # refuses an impossible target before anything is read
    subjects = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    directories = tuple(map(_directory, asked.search))
    found: list[Found] = []
    failures: list[Failure] = []
    for number, subject in enumerate(subjects, 1):
        try:
            report = _reporter(asked.progress, subject, number, len(subjects))
            opened = asked.opened(subject) if asked.opened else open_container(subject, max_size=asked.max_size or MAX_SIZE)
            with opened as container:
                surveys = take_surveys(container, target=asked.target, search=directories, progress=report, surroundings=asked.surroundings)
                found += work(surveys)
        except UsageError:
            raise
        except RelocatorError as error:
            failures.append(Failure(subject, error.message, error.hint, error.exit_code))
    return tuple(found), tuple(failures)


def _directory(path: Location) -> str:
    absolute = _absolute(path)
    if not os.path.isdir(absolute):  # noqa: PTH112
        raise UsageError(f"{os.fspath(path)!r} is not a directory to search", "`--search` takes existing directories")
    return absolute


def _absolute(path: Location) -> str:
    # abspath normalises "..", which Path.absolute keeps; a Path would hide trailing garbage
    return os.path.abspath(path).replace(os.sep, "/")  # noqa: PTH100


def _reporter(progress: Progress | None, subject: str, number: int, total: int) -> Callable[[str, int], None] | None:
    if progress is None:
        return None
    progress(Step(subject, number, total, "", 0))
    return lambda member, size: progress(Step(subject, number, total, member, size))
