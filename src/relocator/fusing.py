"""One wheel for several architectures out of two macOS wheels: read, planned, joined file by file, read again, put into place.

The wheels are compared by the hashes of their members; bytes are inflated again only for the files that are joined, one at a time.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from relocator.apply import NotWritten, Source, check_unchanged, examine
from relocator.audit import run_rules
from relocator.backends import backend_for
from relocator.backends.macos.fuse import fused
from relocator.changing import member_bytes
from relocator.containers import MAX_SIZE, open_container
from relocator.containers.wheel import Wheel, parse_wheel_name
from relocator.errors import ContainerError, InternalError, RelocatorError
from relocator.files import FileBuffer
from relocator.findings import Finding
from relocator.model import Format, Image
from relocator.native import MachOFacts
from relocator.packing import Item, Packed, known, write_archive
from relocator.plans import EditRefused
from relocator.platform_tags import columns
from relocator.projection import loader_view
from relocator.reading import Progress, read_container
from relocator.repair import tagging
from relocator.repair.joining import AS_BUILT, Choice, Draft, Side, check_kinds, draft, mode_of, planned
from relocator.repairing import Reporter, each
from relocator.repairs import Outcome, Plan, Refusal, RepairRefused, RepairResult, RewriteText, Writing
from relocator.rules import RULES
from relocator.sealing import seal
from relocator.survey import package_survey
from relocator.tags import targets_of
from relocator.verification import UNREADABLE

Content = Callable[[], bytes | bytearray]


class _Opened(NamedTuple):
    """One of the two wheels: its archive and what was read of it."""

    wheel: Wheel
    side: Side
    source: Source


def fuse_wheels(
    first: str, second: str, writing: Writing, choice: Choice = AS_BUILT, reporter: Reporter | None = None, *, max_size: int | None = None
) -> RepairResult:
    """Return what became of the two wheels: the fused one, or every reason why there is none. Raises UsageError alone."""
    limit = max_size or MAX_SIZE

    def work(_subject: str, progress: Progress | None) -> RepairResult:
        with _wheel(first, limit) as one, _wheel(second, limit) as other:
            opened = _opened(first, one, progress), _opened(second, other, progress)
            if refusals := check_kinds(opened[0].side, opened[1].side):
                raise RepairRefused(refusals)
            return _fused(*opened, writing, choice, limit)

    return each([f"{first} + {second}"], work, reporter)[0]


def _wheel(path: str, max_size: int) -> Wheel:
    try:
        container = open_container(path, max_size=max_size)
    except ContainerError as error:
        raise ContainerError(f"{path}: {error.message}", error.hint) from error
    if isinstance(container, Wheel):
        return container
    with container:
        raise ContainerError(f"{path} is no wheel", "name two wheels for macOS")


def _opened(path: str, wheel: Wheel, progress: Progress | None) -> _Opened:
    source = examine(path, output=path, break_hard_links=True)
    reading = read_container(wheel, progress, lambda name: name.endswith(".dist-info/WHEEL"))
    facts = wheel.facts()
    name = parse_wheel_name(path.replace("\\", "/").rpartition("/")[2])
    if name is None or f"{facts.dist_info}/WHEEL" not in reading.texts:
        refusal = tagging.nameless(facts) if name is None else tagging.without_wheel(facts)
        raise RepairRefused((refusal._replace(message=f"{path}: {refusal.message}"),))
    return _Opened(wheel, Side(path, name, reading, package_survey(facts, reading, targets_of(facts)[0])), source)


def _fused(first: _Opened, second: _Opened, writing: Writing, choice: Choice, max_size: int) -> RepairResult:
    found = draft(first.side, second.side, choice)
    verified: dict[str, tuple[str, ...]] = {}
    contents: dict[str, Content] = {name: partial(_joined, first, second, name, verified) for name in found.joined}
    contents |= {name: partial(_content, second, name) for name in found.taken}
    if found.refusals or writing.dry_run:
        found.refusals += _failing(contents)
    if found.refusals:
        raise RepairRefused(tuple(found.refusals))
    plan = planned(first.side, second.side, found)
    if writing.dry_run:
        return RepairResult(plan.subject, Outcome.PLANNED, plan)
    result = _written((first, second), plan, list(_items(first, second, plan, found, contents)), writing, max_size)
    return dataclasses.replace(result, verified=tuple(dict.fromkeys(clause for name in found.joined for clause in verified[name])))


def _failing(contents: Mapping[str, Content]) -> Iterator[Refusal]:
    """Yield the files that cannot be had or joined, by trying all."""
    for name, content in contents.items():
        try:
            content()
        except (EditRefused, NotWritten) as error:
            yield Refusal(f"{name}: {error.message}", error.hint)


# ---- bytes


def _content(opened: _Opened, name: str) -> bytes:
    archive = opened.wheel.archive
    try:
        return bytes(member_bytes(archive, next(member for member in archive.members if member.name == name)))
    except NotWritten as error:
        raise NotWritten(f"{opened.side.path}: {error.message}", error.hint) from error


def _joined(first: _Opened, second: _Opened, name: str, verified: dict[str, tuple[str, ...]]) -> bytes:
    """Return the universal file, and note what was verified: by our reader, and by one that wrote nothing."""
    one, other = _content(first, name), _content(second, name)
    try:
        new = bytes(fused((one, other)))
    except RelocatorError as error:
        raise EditRefused(error.message, error.hint) from error
    verified[name] = tuple(_verified((first.side, second.side), name, (one, other), new))
    return new


def _verified(sides: tuple[Side, Side], name: str, olds: tuple[bytes, bytes], new: bytes) -> Iterator[str]:
    """Yield what was verified; raise InternalError when a joined file is not the sum of the two.

    What a second reader misreads in them it may misread in it.
    """
    backend = backend_for(Format.MACHO)
    images = backend.read(memoryview(new), verify_signatures=True)
    wanted = {image.arch: _in_company(image) for side in sides for image in side.images.get(name, ())}
    if {image.arch: _in_company(image) for image in images} != wanted:
        raise _disagreement("its slices are not those of the two files")
    if worse := set(backend.check_layout(new)).difference(*map(backend.check_layout, olds)):
        raise _disagreement(min(worse))
    yield from ("the slices are those of the two wheels", "the layout is sound")
    if images:  # no loader maps objects and static archives, and no second reader is there for them
        yield _second_opinion([side.images[name] for side in sides], olds, images, new)


def _second_opinion(before: Sequence[Sequence[Image]], olds: Sequence[bytes], images: Sequence[Image], new: bytes) -> str:
    from relocator.backends.macos import verify  # noqa: PLC0415  (macholib)

    reader, lines = verify.opinion(images, new)
    known_lines = {line for some, old in zip(before, olds, strict=True) for line in verify.differences(some, old)}
    if worse := set(lines) - known_lines:
        raise _disagreement(f"{reader} disagrees: {min(worse)}")
    return (
        "no second parser can read some of them, so that our own checks alone decided" if UNREADABLE in lines else f"{reader} sees it too"
    )


def _disagreement(told: str) -> InternalError:
    hint = "nothing was written; this is a bug in relocate, please report it with both wheels"
    return InternalError(f"the joined file is not what was planned: {told}", hint)


def _in_company(image: Image) -> tuple[object, ...]:
    """Return what a loader acts on in a slice, whether it was alone in its file or not."""
    native = image.native
    return loader_view(
        dataclasses.replace(image, native=dataclasses.replace(native, fat=True)) if isinstance(native, MachOFacts) else image
    )


# ---- the archive


def _items(first: _Opened, second: _Opened, plan: Plan, found: Draft, contents: Mapping[str, Content]) -> Iterator[Item]:
    """Yield the members of the new archive: the first wheel's in their order, then what only the second has."""
    texts = {action.member: action.data for action in plan.actions if isinstance(action, RewriteText)}
    left: dict[str, Content] = {**contents, **{name: partial(bytes, data) for name, data in texts.items()}}
    mine, its = first.side.members, second.side.members
    folders = set()
    for member in first.wheel.archive.members:
        folders.add(member.name)
        if member.name not in found.dropped:
            sha256 = mine[member.name].sha256 if member.name in mine else ""
            mode = found.modes.get(member.name)
            yield Item(member.name, member, left.pop(member.name, None), _size(member.name, mine, its), sha256, mode)
    for member in second.wheel.archive.members:
        if member.is_folder and member.name not in folders and any(name.startswith(member.name) for name in left):
            yield Item(member.name)
    for name, content in left.items():
        yield Item(name, None, content, _size(name, mine, its), "", mode_of(its.get(name)))


def _size(name: str, *sides: Mapping[str, object]) -> int:
    return sum(getattr(side[name], "size", 0) for side in sides if name in side)


def _written(opened: tuple[_Opened, _Opened], plan: Plan, items: Sequence[Item], writing: Writing, max_size: int) -> RepairResult:
    first, second = opened
    target = Path(writing.folder) / plan.output
    if target.exists() and target.samefile(second.source.real):
        raise NotWritten(f"{target} is the second wheel itself, which is never replaced", "name another folder with `-w DIR`")

    def write(file: BinaryIO) -> tuple[Packed, ...]:
        record = f"{first.side.facts.dist_info}/RECORD"
        return write_archive(file, first.wheel.archive, items, record, level=writing.level, epoch=writing.epoch)

    def check(path: str, packed: tuple[Packed, ...]) -> tuple[Finding, ...]:
        check_unchanged(second.source)
        return _checked(path, packed, plan, (first.side, second.side), max_size)

    sealed, findings = seal(str(target), first.source, write, check, force=writing.force)
    outcome = Outcome.PRESENT if sealed.present else Outcome.WRITTEN
    return RepairResult(plan.subject, outcome, plan, str(target), sealed.sha256, findings)


def _checked(path: str, packed: tuple[Packed, ...], plan: Plan, sides: tuple[Side, Side], max_size: int) -> tuple[Finding, ...]:
    """Read the finished archive again, its tags and what every binary holds; return what an audit finds."""
    with Wheel(plan.output, FileBuffer(path), max_size, known(packed)) as wheel:
        reading = read_container(wheel, None, None, sides[0].reading)
        facts = wheel.facts()
    name = parse_wheel_name(plan.output)
    told = "" if name and set(columns(facts.declared_tags or ()).expanded()) == set(name.tags) else "WHEEL and the file name disagree"
    for binary in reading.binaries:
        known_arches = {image.arch for side in sides for image in side.images.get(binary.member, ())}
        if not known_arches.issuperset(image.arch for image in binary.images):
            told = f"{binary.member} holds {', '.join(image.arch for image in binary.images)}"
    if told:
        raise InternalError(f"the fused wheel is not what was planned: {told}", "nothing was written; please report it with both wheels")
    return run_rules(package_survey(facts, reading, targets_of(facts)[0]), RULES).findings
