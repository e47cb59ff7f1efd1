"""Plans edits of Mach-O files as patches: load commands rewritten within the header padding, the signature made true again.

Nothing else changes: no section, no table of __LINKEDIT, no address moves. A slice grows only when it gets a signature that it did not
have, and slices of a universal file behind it move only when it would reach into them.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from relocator.backends.macos.command_edits import carry_out, check_edits, describe_needs, wishes
from relocator.backends.macos.read import Arch, arch_name, arches, is_wide, loadable
from relocator.backends.macos.slices import SliceDraft, SlicePlan
from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary
from relocator.plans import Edit, EditRefused, Move, Patch, Patchset, ReplaceNeeded, sorted_patches

_LARGEST_ALIGNMENT = 20  # 1 MiB; linkers use 12 and 14


class _Target(NamedTuple):
    """A slice that dyld maps."""

    arch: Arch
    name: str
    draft: SliceDraft


def prepare(buffer: Buffer, edits: Sequence[Edit]) -> Patchset:
    """Return the patches that carry out all edits of one file together; a falsy Patchset when there is nothing to do.

    The edits are independent of one another and speak of the file as it is. Raises EditRefused with the reason and what to do instead,
    UnreadableBinary for a damaged file.
    """
    check_edits(edits)
    found = arches(buffer)
    targets = [
        _Target(arch, arch_name(header.cpu_type, header.cpu_subtype), SliceDraft.read(arch.part, header))
        for arch in found
        if (header := loadable(arch))
    ]
    _check_arches(targets, edits)
    _check_needs(targets, edits)
    plans: dict[int, SlicePlan] = {}
    for target in targets:
        if own := [edit for edit in edits if _arch(edit) in ("", target.name)]:
            remarks = carry_out(target.draft.items, wishes(own))
            if plan := target.draft.plan(target.name, own, remarks):
                plans[target.arch.place] = plan
    return _assemble(buffer, found, plans)


def _arch(edit: Edit) -> str:
    return str(getattr(edit, "arch", ""))


def _check_arches(targets: Sequence[_Target], edits: Sequence[Edit]) -> None:
    names = [target.name for target in targets]
    if not names:
        raise EditRefused(
            "the file holds nothing that dyld maps", "give a library, a bundle or a program; objects and archives have no commands"
        )
    for index, target in enumerate(targets):
        if target.name in names[:index]:
            raise UnreadableBinary("fat_arch", f"two slices for {target.name}", target.arch.part.start)
    for edit in edits:
        if _arch(edit) not in ("", *names):
            raise EditRefused(f"the file has no slice for {_arch(edit)}", f"it has {', '.join(names)}")


def _check_needs(targets: Sequence[_Target], edits: Sequence[Edit]) -> None:
    """Refuse to replace a name that no slice needs, unless the new one is there: a second run has nothing to do."""
    for edit in edits:
        if isinstance(edit, ReplaceNeeded):
            asked = [target.draft.items for target in targets if edit.arch in ("", target.name)]
            needed = {items.name(command) for items in asked for command in items.dylibs()}
            if not needed & {edit.old, edit.new}:
                raise EditRefused(f"the file does not need {edit.old}", describe_needs(asked))


class _Place(NamedTuple):
    """Where a slice will lie."""

    arch: Arch
    plan: SlicePlan | None
    start: int

    @property
    def size(self) -> int:
        return self.plan.size if self.plan else self.arch.part.size

    @property
    def end(self) -> int:
        return self.start + self.size


def _assemble(buffer: Buffer, found: Sequence[Arch], plans: dict[int, SlicePlan]) -> Patchset:
    """Put the plans of all slices together."""
    places = _places(buffer, found, plans)
    size = max([len(buffer), *(place.end for place in places)])
    patches = list(chain.from_iterable(_slice_patches(buffer, place, is_wide(buffer)) for place in places))
    moves = tuple(
        Move(part.start, place.start, part.size, "fat_arch: the slice before it grew")
        for place in places
        if (part := place.arch.part).start != place.start
    )
    patches += _padding(buffer, places) if moves else []
    remarks = dict.fromkeys(remark for place in places if place.plan for remark in place.plan.remarks)
    return Patchset(len(buffer), size, sorted_patches(patches), moves, tuple(remarks))


def _places(buffer: Buffer, found: Sequence[Arch], plans: dict[int, SlicePlan]) -> list[_Place]:
    """Return where each slice goes, in file order: where it was, unless the one before it now ends behind that."""
    places: list[_Place] = []
    end = 0
    listed = sorted(found, key=lambda arch: arch.part.start)
    for index, arch in enumerate(listed):
        start = arch.part.start
        if start < end:
            start = _aligned(end, arch)
        place = _Place(arch, plans.get(arch.place), start)
        old_end = arch.part.start + arch.part.size
        gap_end = listed[index + 1].part.start if index + 1 < len(listed) else len(buffer)
        if place.end > old_end and any(bytes(buffer[old_end:gap_end])):
            raise EditRefused(
                f"the slice at {arch.part.start:#x} must grow, and bytes that belong to no slice follow it", "make the file again with lipo"
            )
        if arch.fat and not is_wide(buffer) and place.end > 0xFFFFFFFF:
            raise EditRefused("the slices would reach beyond 4 GiB", "make the file again with lipo -fat64")
        places.append(place)
        end = place.end
    return places


def _aligned(end: int, arch: Arch) -> int:
    if arch.alignment > _LARGEST_ALIGNMENT:
        raise EditRefused(f"the slice at {arch.part.start:#x} asks for an alignment of 2^{arch.alignment}", "make the file again with lipo")
    step = 1 << arch.alignment
    return -(-end // step) * step


def _slice_patches(buffer: Buffer, place: _Place, wide: bool) -> list[Patch]:
    """Return the patches of one slice and of its entry in the universal header, by offset in the new file."""
    part, patches = place.arch.part, []
    for patch in place.plan.patches if place.plan else ():
        old = bytes(buffer[part.start + patch.offset : part.start + patch.offset + len(patch.new)])
        patches.append(Patch(place.start + patch.offset, old, patch.new, patch.reason))
    if place.arch.fat:
        width = 8 if wide else 4
        entry, new = (
            (start.to_bytes(width, "big") + size.to_bytes(width, "big"))
            for start, size in ((part.start, part.size), (place.start, place.size))
        )
        patches.append(Patch(place.arch.place + 8, entry, new, "fat_arch: offset and size"))
    return patches


def _padding(buffer: Buffer, places: Sequence[_Place]) -> list[Patch]:
    """Return patches that clear what moved slices leave behind between the slices."""
    patches = []
    for before, after in pairwise(places):
        old = bytes(buffer[before.end : after.start])
        patches.append(Patch(before.end, old, bytes(len(old)), "padding between slices"))
    return patches
