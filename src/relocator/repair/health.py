"""What else an audit flags and a repair mends, beside needs, search paths and tags: stacks, signatures, modes, RECORD, the archive.

The rules themselves are asked, so that what is mended is what is flagged. Notes are mended only where that is wanted. What would make
an installed wheel differ from the one that was looked at is refused, not mended.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from relocator.audit import run_rules
from relocator.findings import Finding, Rule, Severity
from relocator.model import Binary, ContainerFacts, Role, Survey, Unreadable
from relocator.plans import Edit, Resign, SetExecutableStack
from relocator.repair.wiring import Edited
from relocator.repairs import Action, Refusal, RepairOptions, RewriteRecord, SetMode
from relocator.roles import FORMAT_OF
from relocator.rules import (
    executable_stack,
    invalid_signature,
    malformed_record,
    record_mismatch,
    refused_by_index,
    unrecorded_file,
    unsafe_member,
    wrong_mode,
)
from relocator.rules.unreadable_binary import is_named_as_extension

_BINARY_RULES = (executable_stack.RULE, invalid_signature.RULE)
_RECORD_RULES = (malformed_record.RULE, record_mismatch.RULE, unrecorded_file.RULE)

_OF_NO_MEMBER = {
    "prepended": "bytes before the archive are left out",
    "trailing": "bytes after the archive are left out",
    "gap": "bytes that belong to no member are left out",
}
"""Kinds of a container's problems that are gone once the archive is written anew."""

_LISTED = 3


@dataclass(frozen=True, slots=True)
class Mended:
    """What is to be done for the wheel's health."""

    actions: tuple[Action, ...] = ()
    """`SetMode`, and one `RewriteRecord` where RECORD or the archive as a whole is at fault."""
    edited: tuple[Edited, ...] = ()
    """At most one for each file."""
    remarks: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def mend(survey: Survey, options: RepairOptions, taken: Iterable[Binary] = ()) -> Mended:
    """Decide what is mended; `taken` are the files that are brought in, which shall be no worse than the wheel's own."""
    whole = _whole(survey, tuple(taken))
    edits, kept = _binaries(whole, options)
    remarks = (*kept, *_remarks(survey))
    return Mended(
        (*_modes(survey, options), *_anew(survey, options)), edits, remarks, (*unsound(survey), *unread(survey), *_laid_over(survey))
    )


def _found(survey: Survey, rules: Sequence[Rule], options: RepairOptions) -> tuple[Finding, ...]:
    findings = run_rules(survey, rules).findings
    return tuple(f for f in findings if f.repaired_by == "repair" and (f.severity > Severity.NOTE or options.fix_notes))


# ---- binaries


def _whole(survey: Survey, taken: tuple[Binary, ...]) -> Survey:
    """Return the Survey with the files from outside as if they were the wheel's own already."""
    own = tuple(binary for binary in survey.binaries if binary.owner)
    return dataclasses.replace(
        survey, binaries=own + tuple(dataclasses.replace(binary, owner="taken", role=Role.IMPORTED) for binary in taken)
    )


def _binaries(survey: Survey, options: RepairOptions) -> tuple[tuple[Edited, ...], tuple[str, ...]]:
    paths = {binary.member: binary.path for binary in survey.binaries}
    edits: dict[str, dict[Edit, str]] = {}
    kept: dict[str, None] = {}
    for finding in _found(survey, _BINARY_RULES, options):
        member = finding.primary.member
        if finding.rule != executable_stack.RULE.name:
            edits.setdefault(member, {})[Resign(finding.primary.arch)] = _reason(finding)
        elif options.keep_execstack:
            kept[member] = None
        else:
            edits.setdefault(member, {})[SetExecutableStack(False)] = _reason(finding)
    told = (f"{_some(list(kept))}: the stack stays executable, as --keep-execstack asks",) if kept else ()
    return tuple(Edited(paths[member], tuple(wanted), _joined(wanted.values())) for member, wanted in sorted(edits.items())), told


# ---- the archive


def _modes(survey: Survey, options: RepairOptions) -> Iterator[SetMode]:
    """Yield 644 or 755 for what is flagged; who is flagged again with 644 is to be run."""
    modes: dict[str, int] = {}
    reasons: dict[str, str] = {}
    while flagged := {finding.primary.member: _reason(finding) for finding in _found(survey, (wrong_mode.RULE,), options)}:
        reasons = flagged | reasons
        members = survey.container.members
        runs = {member.name for member in members if member.mode & 0o111}
        modes.update((name, 0o755 if name in modes or name in runs else 0o644) for name in flagged)
        changed = tuple(m._replace(mode=m.mode & ~0o7777 | modes[m.name]) if m.name in flagged else m for m in members)
        survey = dataclasses.replace(survey, container=dataclasses.replace(survey.container, members=changed))
    return (SetMode(name, mode, reasons[name]) for name, mode in sorted(modes.items()))


def _anew(survey: Survey, options: RepairOptions) -> Iterator[RewriteRecord]:
    """Yield what has RECORD, and with it the archive, written anew; its file name has sorted tags then."""
    faults = _found(survey, (*_RECORD_RULES, refused_by_index.RULE), options)
    reasons = [_reason(finding) for finding in faults]
    reasons += (f"{unsafe_member.RULE.name}: {_OF_NO_MEMBER[p.kind]}" for p in survey.container.problems if p.kind in _OF_NO_MEMBER)
    if reasons:
        yield RewriteRecord(f"{survey.container.dist_info}/RECORD", _joined(reasons))


def _remarks(survey: Survey) -> Iterator[str]:
    """Yield what somebody should look at before the wheel is trusted: RECORD will say that all is well."""
    findings = run_rules(survey, (record_mismatch.RULE, unrecorded_file.RULE)).findings
    members = {member.name for member in survey.container.members}
    for rule, words in ((record_mismatch.RULE, "differed from what RECORD said"), (unrecorded_file.RULE, "not listed in RECORD before")):
        names = list(dict.fromkeys(f.primary.member for f in findings if f.rule == rule.name and f.primary.member in members))
        names = [name for name in names if name != f"{survey.container.dist_info}/RECORD"]
        if names:
            yield f"{_some(names)}: {words}"
    for kind in dict.fromkeys(problem.kind for problem in survey.container.problems if problem.kind in _OF_NO_MEMBER):
        yield _OF_NO_MEMBER[kind]


# ---- what is refused


def unsound(survey: Survey) -> Iterator[Refusal]:
    """Yield what makes a wheel one that must not even be copied: damage, and what installers would unpack otherwise than it looks."""
    for finding in run_rules(survey, (unsafe_member.RULE,)).findings:
        if finding.severity == Severity.ERROR:
            place = finding.primary
            more = place.label or ", ".join(where.member for where in finding.related)
            yield Refusal(f"{place.member or 'the archive'} {finding.message}" + (f" ({more})" if more else ""), finding.help)
    yield from _shapeless(survey.container)


def unread(survey: Survey) -> Iterator[Refusal]:
    """Yield the extension modules of which nobody can say what they need."""
    for file in survey.unreadable:
        if file.owner and file.format == FORMAT_OF.get(survey.target.os) and is_named_as_extension(file):
            yield unreadable(file)


def _laid_over(survey: Survey) -> Iterator[Refusal]:
    """Yield the binaries of which installers leave one: `.data/purelib`, `.data/platlib` and what lies beside them become one folder."""
    members: dict[str, list[str]] = {}
    for binary in survey.binaries:
        if binary.owner:
            members.setdefault(binary.path, []).append(binary.member)
    for names in members.values():
        if len(names) > 1:
            yield Refusal(f"{' and '.join(sorted(names))} are installed as one file", "leave all but one out of the wheel")


def unreadable(file: Unreadable) -> Refusal:
    """Return the refusal for a binary of the wheel."""
    return Refusal(f"{file.member} looks like a binary and cannot be read ({file.field}: {file.expected})", "build the wheel again")


def _shapeless(facts: ContainerFacts) -> Iterator[Refusal]:
    """Refuse what nobody can say of which wheel it is; without WHEEL or a wheel's name there are no tags, which `tagging` refuses."""
    again = "build the wheel again with a build backend"
    folders = {member.name.partition("/")[0] for member in facts.members if ".dist-info/" in member.name}
    folders = {folder for folder in folders if folder.endswith(".dist-info")}
    if len(folders) > 1:
        yield Refusal(f"the wheel has {len(folders)} .dist-info folders: {_some(sorted(folders))}", again)
    elif folders and f"{facts.dist_info}/METADATA" not in {member.name for member in facts.members}:
        yield Refusal(f"the wheel has no {facts.dist_info}/METADATA", again)


# ---- words


def _reason(finding: Finding) -> str:
    return f"{finding.rule}: {finding.message}"


def _joined(reasons: Iterable[str]) -> str:
    return "; ".join(sorted(set(reasons)))


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
