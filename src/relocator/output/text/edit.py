"""Plans for single files as text: what the loader will see otherwise, where the bytes go, what was verified by whom."""

from collections.abc import Iterable, Sequence

from relocator.editing import FilePlan, Restored
from relocator.findings import Failure
from relocator.paint import View, counted, printable
from relocator.plans import Patch

SHOWN = 16
"""Bytes of a patch that are shown."""


def render_edit(plans: Sequence[FilePlan], failures: Sequence[Failure], view: View) -> str:
    """Render a block for each file, with every patch where nothing was written; what failed is told by `text.failures`."""
    blocks = ["\n".join(_plan(plan, view)) for plan in plans]
    if failures and plans:
        blocks.append("nothing was written")
    return "".join(block + "\n" for block in blocks)


def render_undo(restored: Sequence[Restored], failures: Sequence[Failure], view: View) -> str:
    """Render what was put back."""
    if not restored:
        return "" if failures else "nothing to undo: every file is as it was before\n"
    return "".join(
        f"{view.style(printable(item.path), 'strong')}: {'put back' if item.written else 'would be put back'}, "
        f"sha256 {printable(item.sha256_after)}\n"
        for item in restored
    )


def _plan(plan: FilePlan, view: View) -> list[str]:
    arches = " + ".join(image.arch for image in plan.before)
    title = f"{view.style(printable(plan.subject), 'strong')}: {plan.format} {printable(arches)}"
    remarks = [f"  {'note':<18} {printable(remark)}" for remark in plan.remarks]
    if not plan.patchset:
        copied = f", copied to {printable(plan.output)}" if plan.written else ""
        return [title, f"  nothing to do{copied}", *remarks]
    lines = [title, *_changes(plan), *_places(plan), *remarks]
    if plan.written:
        lines.append(f"  {'verified':<18} {printable('; '.join(plan.verified))}")
        lines.append(f"  {'written':<18} {printable(plan.output)}, sha256 {plan.sha256_after}")
    return [*lines, *(() if plan.written and not view.verbose else _patches(plan, view))]


def _changes(plan: FilePlan) -> Iterable[str]:
    several = len(plan.before) > 1
    labels = [change.field + (f" ({change.arch})" if several else "") for change in plan.changes]
    width = max((len(label) for label in labels), default=0)
    for label, change in zip(labels, plan.changes, strict=True):
        if not change.before:
            told = f"+ {change.after}"
        elif not change.after:
            told = f"- {change.before}"
        else:
            told = f"{change.before} -> {change.after}"
        yield f"  {printable(label):<{max(width, 18)}} {printable(told)}"


def _places(plan: FilePlan) -> list[str]:
    patchset = plan.patchset
    within = sum(max(min(patch.offset + len(patch.new), patchset.size_before) - patch.offset, 0) for patch in patchset.patches)
    told = f"{counted(len(patchset.patches), 'patch').replace('patchs', 'patches')}, {counted(within, 'byte')} in place"
    growth = patchset.size_after - patchset.size_before
    if growth:
        told += f"; the file {'grows' if growth > 0 else 'shrinks'} by {counted(abs(growth), 'byte')} to {patchset.size_after:,}"
    moves = (f"{counted(m.size, 'byte')} move from {m.source:#x} to {m.target:#x}: {printable(m.reason)}" for m in patchset.moves)
    return [f"  {'where':<18} {told}", *(f"  {'':<18} {move}" for move in moves)]


def _patches(plan: FilePlan, view: View) -> Iterable[str]:
    for patch in plan.patchset.patches:
        yield f"  {patch.offset:#010x}         {printable(patch.reason)}, {counted(len(patch.new), 'byte')}"
        start = _first_difference(patch)
        place = f"+{start:#x}: " if start else ""
        if patch.old[start:]:
            yield view.style(f"    - {place}{_bytes(patch.old[start:])}", "dim")
        yield f"    + {place}{_bytes(patch.new[start:])}"


def _first_difference(patch: Patch) -> int:
    """Return from where on a long patch is worth showing, a multiple of eight."""
    if len(patch.new) <= SHOWN:
        return 0
    return next((index for index, (old, new) in enumerate(zip(patch.old, patch.new, strict=False)) if old != new), 0) & ~7


def _bytes(data: bytes) -> str:
    """Return the first bytes in hexadecimal, and as text where they are text."""
    if not any(data):
        return counted(len(data), "zero byte")
    shown = data[:SHOWN].hex(" ") + (" ..." if len(data) > SHOWN else "")
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    if len(text) < 3 or not text.isprintable() or "\ufffd" in text:
        return shown
    return f'{shown}  "{text[:60]}{"..." if len(text) > 60 else ""}"'
