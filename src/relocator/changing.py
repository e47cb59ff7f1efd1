"""The bytes that a plan makes of members and outside files: read, stripped, patched, proved, one file at a time, on demand."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from relocator.apply import NotWritten
from relocator.archives import Archive, ZipMember
from relocator.backends import backend_for
from relocator.errors import UnreadableBinary
from relocator.files import FileBuffer, on_disk
from relocator.inflating import read_member
from relocator.model import Binary, Image, Survey
from relocator.plans import Edit, EditRefused, apply_patches
from relocator.projection import edited, loader_view
from relocator.repairs import NEW_BINARY, NEW_FILE, AddFile, CopyIn, EditBinary, Origin, Plan, RewriteText, Strip
from relocator.verification import NOTHING_VERIFIED, Expected, Level, Verified, verify

Bytes = bytes | bytearray | memoryview


@dataclasses.dataclass(slots=True)
class Change:
    """The contents of one member of the finished wheel."""

    content: Callable[[], Bytes]
    """Works them out, each time anew; raises RelocatorError."""
    size: int
    """About, in bytes."""
    mode: int | None = None
    """Permission bits of a new member; None for those of the old one, or the usual ones."""
    verified: Verified = NOTHING_VERIFIED
    """What was found out about the new bytes once `content` was called."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Task:
    """What is to become of one binary."""

    member: str
    """In the finished wheel."""
    binary: Binary
    """As it is; its own path says where a file from outside lies."""
    edits: tuple[Edit, ...]
    tool: str
    """To strip with; "" not to."""
    level: Level


def changed(archive: Archive, survey: Survey, plan: Plan, verify_level: str) -> dict[str, Change]:
    """Return what gives the bytes of every member that the plan changes or adds, by its name in the finished wheel."""
    tools = {action.member: action.tool for action in plan.actions if isinstance(action, Strip)}
    places = plan.places()
    old = {places.get(member.name, member.name): member for member in archive.members}
    own = {binary.member: binary for binary in survey.binaries if binary.owner}
    outside = {binary.path: binary for binary in survey.binaries if not binary.owner}
    edits = {action.member: action.edits for action in plan.actions if isinstance(action, EditBinary)}
    found: dict[str, Change] = {}
    for member in dict.fromkeys((*edits, *tools)):
        if member in old:
            source = old[member]
            task = _Task(member, own[source.name], edits.get(member, ()), tools.get(member, ""), Level(verify_level))
            found[member] = _change(task, partial(member_bytes, archive, source))
    for action in plan.actions:
        if isinstance(action, AddFile | RewriteText):
            found[action.member] = Change(partial(bytes, action.data), len(action.data), getattr(action, "mode", None))
        elif isinstance(action, CopyIn):
            binary = outside.get(action.origin.path)
            read = partial(_of_disk, action.origin)
            if binary is None:
                found[action.member] = Change(read, action.origin.size, NEW_FILE)
                continue
            task = _Task(action.member, binary, action.edits, tools.get(action.member, ""), Level(verify_level))
            found[action.member] = _change(task, read, NEW_BINARY)
    return found


def _change(task: _Task, read: Callable[[], Bytes], mode: int | None = None) -> Change:
    change = Change(bytes, task.binary.size, mode)

    def content() -> Bytes:
        new, change.verified = _rewritten(task, read())
        return new

    change.content = content
    return change


def _rewritten(task: _Task, old: Bytes) -> tuple[Bytes, Verified]:
    """Return the new bytes, and what was found out about them."""
    images: Sequence[Image] = task.binary.images
    if task.tool:
        from relocator.stripping import stripped  # noqa: PLC0415  (start-up time: most repairs run no tool)

        old = stripped(old, task.binary.format, task.member, task.tool)
        images = _stripped(task, old)
    if not task.edits:
        return old, NOTHING_VERIFIED
    try:
        patchset = backend_for(task.binary.format).prepare(memoryview(old), task.edits)
    except UnreadableBinary as error:
        raise EditRefused(f"damaged: {error.message}", "build the file again") from error
    new = bytes(apply_patches(memoryview(old), patchset))
    after = tuple(edited(image, task.edits) for image in images)
    return new, verify(Expected(task.binary.format, tuple(images), after, patchset), bytes(old), new, task.level)


def _stripped(task: _Task, data: bytes) -> tuple[Image, ...]:
    """Return what our reader sees in a stripped file; raise NotWritten when a loader would see something else than before."""
    hint = "strip with another tool, or leave --strip out"
    try:
        images = backend_for(task.binary.format).read(memoryview(data))
    except UnreadableBinary as error:
        raise NotWritten(f"{task.tool} damaged the file: {error.message}", hint) from error
    if [loader_view(image) for image in images] != [loader_view(image) for image in task.binary.images]:
        raise NotWritten(f"{task.tool} changed more than what no loader needs", hint)
    return images


def member_bytes(archive: Archive, member: ZipMember) -> Bytes:
    """Return what a member holds; raise NotWritten when that cannot be had."""
    content = read_member(archive, member)
    if content.data is None:
        problem = content.problems[-1].message if content.problems else "its bytes cannot be had"
        raise NotWritten(problem, "download or build the wheel again")
    return memoryview(content.data[:])


def _of_disk(origin: Origin) -> Bytes:
    """Return a file from outside; it must be the one that was planned with."""
    try:
        with FileBuffer(on_disk(origin.path)) as buffer:
            data = bytes(buffer[:])
    except OSError as error:
        raise NotWritten(f"{origin.path} cannot be read: {(error.strerror or str(error)).lower()}", "make it readable") from error
    if hashlib.sha256(data).hexdigest() != origin.sha256:
        raise NotWritten(f"{origin.path} was changed meanwhile", "run the command again when nothing else writes the file")
    return data
