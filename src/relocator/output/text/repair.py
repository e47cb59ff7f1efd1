"""Repairs as text: which libraries come in and from where, what a loader sees otherwise, what is written, what remains."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from relocator.findings import Failure, Finding, Severity
from relocator.paint import View, counted, printable
from relocator.plans import (
    AddNeeded,
    Edit,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)
from relocator.platform_tags import parse
from relocator.repairs import (
    Action,
    AddFile,
    CopyIn,
    EditBinary,
    Left,
    MoveMember,
    Outcome,
    Plan,
    RemoveFile,
    RepairResult,
    Retag,
    RewriteRecord,
    RewriteText,
    SetMode,
    Strip,
)

WIDTH = 18
"""Of the labels."""

FILES = 2
"""Files of one change that are named; more are counted."""

LINES = 12
"""Changes, libraries and so on of one kind that are told unless -v asks for all."""

_Block = tuple[str, tuple[str, ...]]
"""A label, and the lines behind it."""


class _Words(NamedTuple):
    """What a format calls the things that a loader reads."""

    needed: str
    identity: str
    path: str
    signature: str = ""


_ELF = _Words("DT_NEEDED", "DT_SONAME", "DT_RUNPATH")
_MACHO = _Words("LC_LOAD_DYLIB", "LC_ID_DYLIB", "LC_RPATH", "LC_CODE_SIGNATURE")
_WORDS = {"macos": _MACHO, "ios": _MACHO, "windows": _Words("import", "name of its own", "search path", "certificate")}


class _Told(NamedTuple):
    """One line about one member; alike ones are told together."""

    label: str
    text: str
    """"" when the member's name is all there is to tell."""
    member: str


def render_repair(results: Sequence[RepairResult], failures: Sequence[Failure], view: View) -> str:
    """Render a block for each wheel, and one summary for several; why one failed is told by `text.failures`."""
    if view.quiet:
        return "".join(f"{view.style(printable(result.subject), 'strong')}: {_outcome(result, view)}\n" for result in results)
    blocks = ["\n".join(_result(result, view)) for result in results]
    if len(results) > 1:
        blocks.append(_summary(results))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _result(result: RepairResult, view: View) -> Iterator[str]:
    yield view.style(printable(result.subject), "strong")
    if result.plan is not None:
        yield from _plan(result.plan, view)
    if result.verified:
        yield _line("verified", "; ".join(result.verified))
    yield f"  {_outcome(result, view)}"
    yield from _remaining(result, view)


# ---- the plan


def _plan(plan: Plan, view: View) -> Iterator[str]:
    words = _words(plan.output)
    if view.verbose:
        for action in plan.actions:
            yield from _in_full(action, words)
    else:
        yield from _in_short(plan.actions, words)
    yield from _listed(list(map(_left, plan.left)), "library", whole=view.verbose)
    yield from (_line("note", remark) for remark in plan.remarks)


def _words(file_name: str) -> _Words:
    platform = file_name.removesuffix(".whl").rpartition("-")[2].partition(".")[0]
    return _WORDS.get(parse(platform).os, _ELF)


def _in_short(actions: Sequence[Action], words: _Words) -> Iterator[str]:
    """Yield what comes in, then each change once, with the files that it is made in."""
    copies = [action for action in actions if isinstance(action, CopyIn)]
    yield from _listed([("brought in", _brought(copy)) for copy in copies], "library", whole=False)
    told: dict[tuple[str, str], list[str]] = {}
    for action in actions:
        for item in _told(action, words):
            told.setdefault((item.label, item.text), []).append(item.member)
    by_label: dict[str, list[_Block]] = {}
    for (label, text), members in told.items():
        by_label.setdefault(label, []).append((label, (_where(text, members),)))
    for blocks in by_label.values():
        yield from _listed(blocks, "change", whole=False)
    yield from _tags(actions)


def _where(text: str, members: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(members))
    files = ", ".join(distinct) if len(distinct) <= FILES else counted(len(distinct), "file")
    if not text:
        return files
    return text if distinct == [""] else f"{text}, in {files}"


def _brought(copy: CopyIn) -> tuple[str, ...]:
    name = copy.origin.path.replace("\\", "/").rpartition("/")[2]
    return f"{name} -> {copy.member}", f"from {copy.origin.path} ({copy.origin.via})"


def _told(action: Action, words: _Words) -> Iterator[_Told]:
    """Yield what to tell of an action where only the changes count: not the new identities of what is brought in, which its name tells."""
    match action:
        case EditBinary():
            yield from (_Told(*_edit(edit, words), action.member) for edit in action.edits)
        case CopyIn():
            yield from (
                _Told(*_edit(edit, words), action.member) for edit in action.edits if isinstance(edit, ReplaceNeeded | RemoveNeeded)
            )
        case Retag():
            pass
        case RewriteText() | RewriteRecord():
            yield _Told("rewritten", "", action.member)
        case AddFile():
            yield _Told("added", "", action.member)
        case MoveMember():
            yield _Told("moved", f"{action.member} -> {action.to}", "")
        case RemoveFile():
            yield _Told("left out", action.because, action.member)
        case SetMode():
            yield _Told("mode", f"{action.mode:04o}", action.member)
        case Strip():
            yield _Told("stripped", f"by {_tool(action.tool)}", action.member)


def _tags(actions: Iterable[Action]) -> Iterator[str]:
    for action in actions:
        if isinstance(action, Retag):
            yield _line("tags", f"{'.'.join(action.before)} -> {'.'.join(action.after)}")
            yield _line("", action.because)


def _in_full(action: Action, words: _Words) -> Iterator[str]:
    """Yield one action, with its reason."""
    match action:
        case EditBinary():
            yield _line("edited", action.member)
            yield from (_line(*_edit(edit, words), indent=4) for edit in action.edits)
        case CopyIn():
            about = f"{counted(action.origin.size, 'byte')}, sha256 {action.origin.sha256}"
            yield from _listed([("brought in", (*_brought(action), about))], "library", whole=True)
            yield from (_line(*_edit(edit, words), indent=4) for edit in action.edits)
        case Retag():
            yield _line("tags", f"{'.'.join(action.before)} -> {'.'.join(action.after)}")
        case AddFile():
            yield _line("added", f"{action.member}, {counted(len(action.data), 'byte')}, mode {action.mode:04o}")
        case RewriteText():
            yield _line("rewritten", f"{action.member}, {counted(len(action.data), 'byte')}")
        case RewriteRecord():
            yield _line("rewritten", action.member)
        case MoveMember():
            yield _line("moved", f"{action.member} -> {action.to}")
        case RemoveFile():
            yield _line("left out", action.member)
        case SetMode():
            yield _line("mode", f"{action.mode:04o}, in {action.member}")
        case Strip():
            yield _line("stripped", f"{action.member}, by {_tool(action.tool)}")
    yield _line("because", action.because, indent=4)


def _edit(edit: Edit, words: _Words) -> tuple[str, str]:
    """Return the field that changes, as its format's specification calls it, and how."""
    own: str = getattr(edit, "arch", "")
    arch = f" ({own})" if own else ""
    match edit:
        case ReplaceNeeded():
            return words.needed + arch, f"{edit.old} -> {edit.new}"
        case AddNeeded():
            return words.needed + arch, f"+ {edit.name}"
        case RemoveNeeded():
            return words.needed + arch, f"- {edit.name}"
        case SetIdentity():
            return words.identity + arch, edit.name
        case SetSearchPaths():
            tag = "DT_RPATH" if edit.kind == PathKind.RPATH and words is _ELF else words.path
            return tag + arch, ":".join(edit.paths) or "(none)"
        case SetInterpreter():
            return "PT_INTERP", edit.path
        case SetExecutableStack():
            return "PT_GNU_STACK", "executable" if edit.executable else "not executable"
        case Resign():
            return (words.signature or "signature") + arch, "taken off" if words.signature == "certificate" else "ad hoc"


def _tool(tool: str) -> str:
    return "llvm-strip or strip" if tool == "auto" else tool


def _left(left: Left) -> _Block:
    importers = list(dict.fromkeys(left.importers))
    files = _where("", importers) if importers else ""
    return "stays outside", (f"{left.name}, needed by {files}: {left.why}" if files else f"{left.name}: {left.why}",)


# ---- what came of it


def _outcome(result: RepairResult, view: View) -> str:
    place = f"{printable(result.output)}, sha256 {printable(result.sha256)}"
    match result.outcome:
        case Outcome.WRITTEN:
            label, told, role = "written", place, "good"
        case Outcome.COPIED:
            label, told, role = "nothing to do", f"copied to {place}", "good"
        case Outcome.PRESENT:
            label, told, role = "already there", place, "good"
        case Outcome.PLANNED if result.plan:
            label, told, role = "planned", f"nothing was written; the wheel would be {printable(result.plan.output)}", "note"
        case Outcome.PLANNED:
            label, told, role = "nothing to do", "nothing was written; the wheel would be copied", "note"
        case _:
            label, told, role = "failed", f"nothing was written: {counted(len(result.failures), 'reason')}", "error"
    if view.quiet:
        return f"{view.style(label, role)}: {told}"
    return f"{view.style(label, role)}{' ' * (WIDTH - len(label))} {told}"


def _remaining(result: RepairResult, view: View) -> Iterator[str]:
    """Yield what an audit still finds, each kind once: errors and warnings, with -v notes too."""
    floor = Severity.NOTE if view.verbose else Severity.WARNING
    kinds: dict[tuple[int, str, str], list[Finding]] = {}
    for finding in result.remaining:
        if finding.severity >= floor:
            kinds.setdefault((-finding.severity, finding.rule, finding.message), []).append(finding)
    if not kinds:
        return
    label = "remains"
    for _, found in sorted(kinds.items()):
        yield f"  {label:<{WIDTH}} {_kind(found, view)}"
        label = ""
    if result.output:
        yield _line("", f"more: relocate audit {result.output}")


def _kind(found: Sequence[Finding], view: View) -> str:
    first = found[0]
    members = list(dict.fromkeys(finding.primary.member or "the whole package" for finding in found))
    files = ", ".join(map(printable, members)) if len(members) <= FILES else counted(len(members), "file")
    values = list(dict.fromkeys(finding.primary.value for finding in found))
    value = f" {printable(values[0])}" if len(values) == 1 and values[0] else ""
    severity = view.style(f"{first.severity}[{first.rule}]", str(first.severity))
    return f"{severity}: {printable(first.message)}:{value}{' in' if value else ''} {files}"


def _summary(results: Sequence[RepairResult]) -> str:
    words = {
        Outcome.WRITTEN: "written",
        Outcome.COPIED: "copied as they are",
        Outcome.PRESENT: "already there",
        Outcome.PLANNED: "planned",
        Outcome.FAILED: "failed",
    }
    counts = Counter(result.outcome for result in results)
    return f"{counted(len(results), 'wheel')}: {', '.join(f'{counts[item]:,} {words[item]}' for item in words if counts[item])}"


# ---- lines


def _line(label: str, text: str, indent: int = 2) -> str:
    return f"{' ' * indent}{printable(label):<{WIDTH + 2 - indent}} {printable(text)}"


def _listed(blocks: Sequence[_Block], noun: str, *, whole: bool) -> Iterator[str]:
    """Yield lines, a label that stays the same only once; unless all are asked for, the first blocks and a count."""
    shown = blocks if whole or len(blocks) <= LINES + 1 else blocks[:LINES]
    last = ""
    for label, texts in shown:
        for number, text in enumerate(texts):
            yield _line(label if label != last and not number else "", text)
        last = label
    if len(shown) < len(blocks):
        yield _line("", f"... and {counted(len(blocks) - len(shown), f'more {noun}')} (-v lists them)")
