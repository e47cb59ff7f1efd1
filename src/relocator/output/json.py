r"""JSON for programs. The schemas of version 1 lie beside, in schemas/; fields may be added within a version, never taken away.

Text that a file holds is given as it is, except that bytes which are no UTF-8 become \xNN, since JSON has no other place for them.
A field that does not apply is "" where it is text, and null where it is a number or a choice.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from relocator import __version__
from relocator.archive_tools import compressor
from relocator.editing import FilePlan, Restored
from relocator.facts import Forest, Profile
from relocator.findings import Failure, Finding, Report, Rule, Suppressed, Where
from relocator.model import Binary, ContainerFacts, Image, Load, Needed, Resolution
from relocator.paint import View, short_path
from relocator.particulars import particulars
from relocator.plans import Edit
from relocator.platform_tags import columns
from relocator.repairs import Action, Plan, RepairResult
from relocator.rules import page, summary

SCHEMA_VERSION = 1

Object = dict[str, Any]


def render_audit(reports: Sequence[Report], failures: Sequence[Failure], view: View) -> str:
    """Render reports; schemas/audit.json describes it."""
    return _document("reports", map(_report, reports), failures)


def render_show(profiles: Sequence[Profile], failures: Sequence[Failure], view: View) -> str:
    """Render profiles; schemas/show.json describes it."""
    return _document("subjects", map(_profile, profiles), failures)


def render_tree(forests: Sequence[Forest], failures: Sequence[Failure], view: View) -> str:
    """Render loads; schemas/tree.json describes it."""
    return _document("subjects", map(_forest, forests), failures)


def render_edit(plans: Sequence[FilePlan], failures: Sequence[Failure], view: View) -> str:
    """Render plans of single files, written or not; schemas/edit.json describes it."""
    return _document("plans", map(_file_plan, plans), failures)


def render_undo(restored: Sequence[Restored], failures: Sequence[Failure], view: View) -> str:
    """Render what was put back, in the frame of an edit."""
    return _document("plans", map(_restored, restored), failures)


def render_repair(results: Sequence[RepairResult], failures: Sequence[Failure], view: View) -> str:
    """Render what became of each wheel, also of one that failed; schemas/repair.json describes it."""
    return _document("plans", map(_repaired, results), failures)


def render_rules(rules: Sequence[Rule], view: View) -> str:
    """Render the catalogue; schemas/rules.json describes it."""
    return _dumped({"schema_version": SCHEMA_VERSION, "tool": _tool(), "rules": [_rule(rule) for rule in rules]})


def render_explain(rules: Sequence[Rule], view: View) -> str:
    """Render the catalogue's entries for these rules, each with its page in Markdown."""
    entries = [{**_rule(rule), "page": page(rule.name)} for rule in rules]
    return _dumped({"schema_version": SCHEMA_VERSION, "tool": _tool(), "rules": entries})


# ---- the frame


def _document(noun: str, items: Iterable[Object], failures: Iterable[Failure]) -> str:
    errors = [failure._asdict() for failure in failures]
    return _dumped({"schema_version": SCHEMA_VERSION, "tool": _tool(), noun: list(items), "errors": errors})


def _tool() -> Object:
    return {"name": "relocate", "version": __version__, "compressor": compressor()}


def _dumped(value: Object) -> str:
    return json.dumps(_unicode(value), indent=2) + "\n"


def _unicode(value: Any) -> Any:
    r"""Replace what no JSON text can hold: a byte kept by surrogateescape becomes \xNN, any other lone surrogate \uNNNN."""
    if isinstance(value, str):
        return value if value.isascii() else "".join(map(_escaped, value))
    if isinstance(value, dict):
        return {key: _unicode(item) for key, item in value.items()}
    return [_unicode(item) for item in value] if isinstance(value, list | tuple) else value


def _escaped(character: str) -> str:
    code = ord(character)
    if not 0xD800 <= code <= 0xDFFF:
        return character
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _inputs(inputs: Iterable[tuple[str, str]]) -> list[Object]:
    return [{"path": path, "sha256": sha256} for path, sha256 in inputs]


def _counted(others: Iterable[tuple[str, int]]) -> Object:
    return dict(others)


# ---- audit


def _report(report: Report) -> Object:
    checked = {**report.checked._asdict(), "others": _counted(report.checked.others)}
    return {
        "subject": report.subject,
        "target": report.target,
        "findings": list(map(_finding, report.findings)),
        "suppressed": list(map(_suppressed, report.suppressed)),
        "checked": checked,
        "inputs": _inputs(report.inputs),
        "about": report.about,
    }


def _finding(finding: Finding) -> Object:
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "certainty": str(finding.certainty),
        "message": finding.message,
        **_where(finding.primary),
        "related": [_where(where) for where in finding.related],
        "help": finding.help,
        "repairable": bool(finding.repaired_by),
        "repaired_by": finding.repaired_by or None,
        "trail": list(finding.trail),
    }


def _suppressed(suppressed: Suppressed) -> Object:
    return {**_finding(suppressed.finding), "by": suppressed.by, "reason": suppressed.reason, "source": suppressed.source}


def _where(where: Where) -> Object:
    return where._asdict()


# ---- show


def _profile(profile: Profile) -> Object:
    facts = profile.container
    answers = {(edge.importer, edge.arch, edge.position): edge for edge in profile.needs}
    return {
        "subject": facts.subject,
        "kind": facts.kind,
        "target": profile.target.tag,
        "tags": {
            "declared": columns(facts.tags or facts.declared_tags or ()).platforms,
            "computed": list(profile.computed.tags),
            "blockers": [_fields(blocker, "tag", "member", "library", "symbol", "version") for blocker in profile.computed.blockers],
            "file_name": list(facts.tags),
            "wheel_file": None if facts.declared_tags is None else list(facts.declared_tags),
        },
        "distributions": [_fields(d, "name", "version", "requires") for d in facts.distributions],
        "binaries": [_binary(binary, facts, answers) for binary in profile.binaries],
        "unreadable": [
            {**_fields(item, "member", "field", "expected", "offset"), "format": str(item.format)} for item in profile.unreadable
        ],
        "others": _counted(profile.others),
        "inputs": _inputs(profile.inputs),
    }


def _fields(value: object, *names: str) -> Object:
    return {name: getattr(value, name) for name in names}


def _binary(binary: Binary, facts: ContainerFacts, answers: dict[tuple[str, str, int], Resolution]) -> Object:
    return {
        "member": binary.member,
        "format": str(binary.format),
        "role": str(binary.role),
        "extension": binary.extension,
        "sha256": binary.sha256,
        "size": binary.size,
        "images": [_image(image, binary, facts, answers) for image in binary.images],
    }


def _image(image: Image, binary: Binary, facts: ContainerFacts, answers: dict[tuple[str, str, int], Resolution]) -> Object:
    return {
        "arch": image.arch,
        "kind": image.kind,
        "identity": image.identity,
        "needed": [_needed(need, answers.get((binary.path, image.arch, position)), facts) for position, need in enumerate(image.needed)],
        "search_paths": [path._asdict() for path in image.search_paths],
        "symbol_versions": [need._asdict() for need in image.version_needs],
        "minimum_os": ".".join(map(str, image.minimum_os)) or None,
        "particulars": [{"field": name, "value": value} for name, value in particulars(image)],
    }


def _needed(need: Needed, answer: Resolution | None, facts: ContainerFacts) -> Object:
    target = short_path(answer.target, facts) if answer and answer.target else None
    return {
        "name": need.name,
        "kind": str(need.kind),
        "how": str(answer.how) if answer else None,
        "target": target,
        "via": answer.via if answer else None,
    }


# ---- tree


def _forest(forest: Forest) -> Object:
    return {
        "subject": forest.container.subject,
        "target": forest.target.tag,
        "loads": [_load(load, forest.container) for load in forest.loads],
        "inputs": _inputs(forest.inputs),
    }


def _load(load: Load, facts: ContainerFacts) -> Object:
    return {
        "root": short_path(load.root, facts),
        "arch": load.arch,
        "loader": load.loader,
        "nodes": [{"id": short_path(path, facts), "path": path, "order": number} for number, path in enumerate(load.order)],
        "edges": [_edge(edge, facts) for edge in load.resolutions],
    }


def _edge(edge: Resolution, facts: ContainerFacts) -> Object:
    return {
        "from": short_path(edge.importer, facts),
        "to": short_path(edge.target, facts) if edge.target else None,
        "needed": edge.needed.name,
        "kind": str(edge.needed.kind),
        "position": edge.position,
        "how": str(edge.how),
        "via": edge.via,
        "tried": [tried._asdict() for tried in edge.tried],
    }


# ---- edit


def _file_plan(plan: FilePlan) -> Object:
    actions = [_edit_binary(plan)] if plan.patchset else []
    return {"subject": plan.subject, "actions": actions, "output": plan.output, "remarks": list(plan.remarks)}


def _edit_binary(plan: FilePlan) -> Object:
    patchset = plan.patchset
    return {
        "action": "edit-binary",
        "format": str(plan.format),
        "edits": [_edit(edit) for edit in plan.edits],
        "changes": [change._asdict() for change in plan.changes],
        "patches": [{**patch._asdict(), "old": patch.old.hex(), "new": patch.new.hex()} for patch in patchset.patches],
        "moves": [move._asdict() for move in patchset.moves],
        "size_before": patchset.size_before,
        "size_after": patchset.size_after,
        "written": plan.written,
        "sha256_before": plan.sha256_before,
        "sha256_after": plan.sha256_after,
        "verified": list(plan.verified),
    }


def _edit(edit: Edit) -> Object:
    return {"edit": type(edit).__name__, **{field.name: getattr(edit, field.name) for field in dataclasses.fields(edit)}}


def _restored(restored: Restored) -> Object:
    action = {"action": "restore", **_fields(restored, "written", "sha256_before", "sha256_after")}
    return {"subject": restored.path, "actions": [action], "output": restored.path, "remarks": []}


# ---- repair


def _repaired(result: RepairResult) -> Object:
    plan = Plan(result.subject, "") if result.plan is None else result.plan
    return {
        **_fields(result, "subject", "output", "sha256"),
        "outcome": str(result.outcome),
        "name": plan.output,
        "actions": list(map(_action, plan.actions)),
        "left": [left._asdict() for left in plan.left],
        "remarks": list(plan.remarks),
        "remaining": list(map(_finding, result.remaining)),
        "verified": list(result.verified),
        "inputs": _inputs(result.inputs),
    }


def _action(action: Action) -> Object:
    """Return an action under its name, and its fields, which `relocator.repairs` describes."""
    fields = {field.name: getattr(action, field.name) for field in dataclasses.fields(action)}
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(action).__name__)
    found: Object = {"action": words.removeprefix("-"), "because": fields.pop("because")}
    for name, value in fields.items():
        match name:
            case "edits":
                found[name] = [_edit(edit) for edit in value]
            case "origin":
                found[name] = value._asdict()
            case "data":
                found |= {"size": len(value), "sha256": hashlib.sha256(value).hexdigest(), "text": _text(value)}
            case "mode":
                found[name] = f"{value:04o}"
            case _:
                found[name] = value
    return found


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


# ---- rules


def _rule(rule: Rule) -> Object:
    return {
        **_fields(rule, "name", "group", "needs_promise", "security", "since"),
        "severity": str(rule.severity),
        "formats": list(map(str, rule.formats)),
        "containers": list(rule.containers),
        "repaired_by": rule.repaired_by or None,
        "supersedes": list(rule.supersedes),
        "summary": summary(rule.name),
    }
