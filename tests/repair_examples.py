"""Repairs to render and to pass on: small plans with every kind of action, and what may come of them."""

import json
from importlib.resources import files
from typing import Any

import jsonschema_rs

from relocator.findings import Certainty, Failure, Finding, Severity, Where
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
from relocator.repairs import (
    Action,
    AddFile,
    CopyIn,
    EditBinary,
    Left,
    MoveMember,
    Origin,
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

LINUX = "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SUBJECT = "dist/demo-1.0-cp312-cp312-linux_x86_64.whl"
INFO = "demo-1.0.dist-info"
SHA = "3f2a91c0" * 8


def copy(name: str, member: str, *edits: Edit, via: str = "ld.so.cache", because: str = "demo/_core.so needs it") -> CopyIn:
    return CopyIn(member, Origin(f"/usr/lib/{name}", SHA, 12_345, via), edits, because)


def small() -> Plan:
    """The plan of a module that needs two libraries, one by way of the other."""
    actions: tuple[Action, ...] = (
        copy(
            "libfoo.so.1", "demo.libs/libfoo-3f2a91c0.so.1", SetIdentity("libfoo-3f2a91c0.so.1"), ReplaceNeeded("libbar.so", "libbar-77.so")
        ),
        copy("libbar.so", "demo.libs/libbar-77.so", SetIdentity("libbar-77.so"), via="DT_RUNPATH of libfoo.so.1: /opt/lib"),
        EditBinary(
            "demo/_core.so",
            (ReplaceNeeded("libfoo.so.1", "libfoo-3f2a91c0.so.1"), SetSearchPaths(("$ORIGIN/../demo.libs",), PathKind.RPATH)),
            "it needs what is brought in",
        ),
        Retag(("linux_x86_64",), ("manylinux_2_17_x86_64", "manylinux2014_x86_64"), "memcpy@GLIBC_2.14 in demo/_core.so is the newest"),
        AddFile(f"{INFO}/sboms/relocator.cdx.json", b"{}\n", "it lists what is brought in"),
        RewriteText(f"{INFO}/WHEEL", b"Wheel-Version: 1.0\n", "its tags change"),
        RewriteRecord(f"{INFO}/RECORD", "members change"),
    )
    return Plan(SUBJECT, LINUX, actions)


def everything(name: str = "demo/_core.so", output: str = LINUX) -> Plan:
    """A plan with every action and every edit, all about one name."""
    edits: tuple[Edit, ...] = (
        SetSearchPaths(("$ORIGIN", name)),
        SetSearchPaths((), PathKind.RPATH),
        ReplaceNeeded("liba.so.1", name, "x86_64"),
        AddNeeded(name),
        RemoveNeeded(name),
        SetIdentity(name),
        SetInterpreter(name),
        SetExecutableStack(False),
        Resign("arm64"),
    )
    actions: tuple[Action, ...] = (
        CopyIn(name, Origin(f"/opt/{name}", SHA, 1, name), edits, name),
        EditBinary(name, edits, name),
        MoveMember(name, name, name),
        AddFile(name, b"\xff\0", name, 0o755),
        RewriteText(name, b"x = 1\n", name),
        RemoveFile(name, name),
        SetMode(name, 0o755, name),
        Strip(name, "auto", name),
        Retag((name,), (name, "b"), name),
        RewriteRecord(name, name),
    )
    return Plan(name, output, actions, (Left(name, (name, name), name), Left("b", (), name)), (name,))


def finding(severity: Severity, member: str = "demo/_core.so", **fields: Any) -> Finding:
    where = Where(member, "x86_64", "DT_NEEDED", 1, "libgone.so.2")
    found = Finding(f"demo-{severity}", severity, Certainty.CERTAIN, f"is {severity} enough", where, help="mend it", repaired_by="repair")
    return found._replace(**fields)


def failure(subject: str = SUBJECT, **fields: Any) -> Failure:
    return Failure(subject, "demo/_core.so needs libgone.so.2, which is nowhere", "`--search DIR` names its folder", 4)._replace(**fields)


def result(plan: Plan | None = None, outcome: Outcome = Outcome.WRITTEN, **fields: Any) -> RepairResult:
    plan = small() if plan is None else plan
    values: dict[str, Any] = (
        {"output": f"wheelhouse/{plan.output}", "sha256": SHA} if outcome not in (Outcome.PLANNED, Outcome.FAILED) else {}
    )
    if outcome == Outcome.WRITTEN:
        values["verified"] = ("bytes outside the patches are the same", "pyelftools sees the same")
        values["inputs"] = (("/usr/lib/libfoo.so.1", SHA),)
    return RepairResult(SUBJECT, outcome, plan, **{**values, **fields})


def failed(*failures: Failure, subject: str = SUBJECT, plan: Plan | None = None) -> RepairResult:
    return RepairResult(subject, Outcome.FAILED, plan, failures=failures or (failure(subject),))


def schema() -> Any:
    """Return the schema of what repair, retag and fuse print with --format json."""
    return json.loads((files("relocator") / "output" / "schemas" / "repair.json").read_text("utf-8"))


def document(printed: str) -> dict[str, Any]:
    """Return what --format json printed, once it keeps to the schema."""
    found: dict[str, Any] = json.loads(printed)
    jsonschema_rs.validator_for(schema()).validate(found)
    return found
