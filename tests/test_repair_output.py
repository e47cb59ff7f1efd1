"""What is printed of a repair: for people in short and in full, for programs whole, and hostile names in neither."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

import repair_examples as examples
from relocator.findings import Severity
from relocator.output import renderer
from relocator.paint import View, printable
from relocator.plans import AddNeeded, ReplaceNeeded, Resign, SetIdentity, SetSearchPaths
from relocator.repairs import EditBinary, Left, MoveMember, Outcome, Plan, RepairResult, Retag, SetMode

Golden = Callable[[str, str], None]

HOSTILE = "evil\x1b[2J\r\u202egnp.so\udcff"


def text(*results: RepairResult, form: str = "text", **view: Any) -> str:
    failures = [failure for result in results for failure in result.failures]
    return renderer(form, "repair")(results, failures, View(**view))


def plans(*results: RepairResult) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text(*results, form="json"))["plans"]
    return found


# ---- for people


def test_a_finished_repair_tells_what_came_in_and_what_the_loader_sees(golden: Golden) -> None:
    golden("repair.text.txt", text(examples.result(remaining=(examples.finding(Severity.WARNING),))))


def test_verbose_tells_every_action_and_its_reason(golden: Golden) -> None:
    golden("repair.verbose.txt", text(examples.result(examples.everything()), verbose=True))


def test_every_kind_of_action_is_told_in_short_too(golden: Golden) -> None:
    golden("repair.short.txt", text(examples.result(examples.everything())))


def test_several_wheels_end_with_a_summary(golden: Golden) -> None:
    results = [
        examples.result(outcome=Outcome.PLANNED),
        examples.result(Plan("a.whl", "a.whl"), Outcome.COPIED),
        examples.result(Plan("b.whl", "b.whl"), Outcome.PRESENT),
        examples.result(Plan("c.whl", "c.whl"), Outcome.PLANNED),
        examples.failed(examples.failure(), examples.failure(message="another reason")),
    ]
    golden("repair.several.txt", text(*results))
    golden("repair.quiet.txt", text(*results, quiet=True))


def test_nothing_to_render_is_nothing() -> None:
    assert text() == ""


@pytest.mark.parametrize(
    ("platform", "told"),
    [
        ("manylinux_2_17_x86_64", ["DT_NEEDED", "DT_SONAME", "DT_RUNPATH"]),
        ("android_24_arm64_v8a", ["DT_NEEDED", "DT_SONAME", "DT_RUNPATH"]),
        ("macosx_11_0_arm64", ["LC_LOAD_DYLIB", "LC_ID_DYLIB", "LC_RPATH", "LC_CODE_SIGNATURE"]),
        ("ios_13_0_arm64_iphoneos", ["LC_LOAD_DYLIB", "LC_ID_DYLIB", "LC_RPATH"]),
        ("win_amd64", ["import", "name of its own", "certificate        taken off"]),
    ],
)
def test_fields_are_called_as_their_format_calls_them(platform: str, told: list[str]) -> None:
    edits = (ReplaceNeeded("a", "b"), SetIdentity("c"), SetSearchPaths(("d",)), Resign())
    plan = Plan("x.whl", f"demo-1.0-cp312-cp312-{platform}.whl", (EditBinary("demo/_core.so", edits, "x"),))
    shown = text(examples.result(plan))
    assert all(f"  {word}" in shown for word in told), shown


def test_one_change_in_many_files_is_told_once() -> None:
    edits = (ReplaceNeeded("liba.so", "liba-1.so"),)
    plan = Plan("x.whl", examples.LINUX, tuple(EditBinary(f"demo/_m{number}.so", edits, "x") for number in range(30)))
    shown = text(examples.result(plan))
    assert "liba.so -> liba-1.so, in 30 files\n" in shown
    assert shown.count("liba-1.so") == 1
    assert text(examples.result(plan), verbose=True).count("liba-1.so") == 30


def test_many_changes_and_libraries_are_counted() -> None:
    edits = tuple(AddNeeded(f"lib{number}.so") for number in range(40))
    copies = [examples.copy(f"lib{number}.so", f"demo.libs/lib{number}-1.so") for number in range(40)]
    left = tuple(Left(f"out{number}.so", ("a", "b", "c"), "--exclude out*") for number in range(40))
    plan = Plan("x.whl", examples.LINUX, (*copies, EditBinary("demo/_core.so", edits, "x")), left)
    short = text(examples.result(plan))
    assert "... and 28 more changes (-v lists them)" in short
    assert short.count("... and 28 more libraries (-v lists them)") == 2
    assert short.count("out1") < text(examples.result(plan), verbose=True).count("out1")
    assert "out39.so, needed by 3 files: --exclude out*" in text(examples.result(plan), verbose=True)


def test_only_what_counts_remains_and_each_kind_once() -> None:
    found = [examples.finding(Severity.NOTE), *(examples.finding(Severity.ERROR, f"demo/_m{n}.so") for n in range(5))]
    shown = text(examples.result(remaining=tuple(found)))
    assert "remains            error[demo-error]: is error enough: libgone.so.2 in 5 files\n" in shown
    assert "demo-note" not in shown
    assert f"relocate audit wheelhouse/{examples.LINUX}\n" in shown
    assert "demo-note" in text(examples.result(remaining=tuple(found)), verbose=True)


def test_a_finding_about_the_whole_package_has_no_file() -> None:
    shown = text(examples.result(remaining=(examples.finding(Severity.ERROR, ""),)))
    assert "libgone.so.2 in the whole package" in shown


def test_colour_only_adds() -> None:
    shown = renderer("text", "repair")([examples.result()], [], View(lambda text, role: f"<{role}>{text}</>"))
    assert "<good>written</>" in shown
    assert shown.replace("<good>", "").replace("<strong>", "").replace("</>", "") == text(examples.result())


@pytest.mark.parametrize("view", [{}, {"verbose": True}, {"quiet": True}])
def test_no_text_prints_control_characters(view: dict[str, Any]) -> None:
    results = [
        examples.result(
            dataclasses.replace(examples.everything(HOSTILE), output=HOSTILE),
            outcome,
            **{"output": HOSTILE, "sha256": HOSTILE, "verified": (HOSTILE,)},
            remaining=(examples.finding(Severity.ERROR, HOSTILE, message=HOSTILE),),
        )
        for outcome in Outcome
    ]
    shown = text(*results, **view)
    assert printable(shown.replace("\n", "")) == shown.replace("\n", "")


# ---- for programs


def test_json_has_every_action_with_its_fields() -> None:
    (plan,) = plans(examples.result(examples.everything()))
    names = "copy-in edit-binary move-member add-file rewrite-text remove-file set-mode strip retag rewrite-record"
    actions = {action["action"]: action for action in plan["actions"]}
    assert list(actions) == names.split()
    assert all(action["because"] == "demo/_core.so" for action in plan["actions"])
    assert actions["copy-in"]["origin"] == {"path": "/opt/demo/_core.so", "sha256": examples.SHA, "size": 1, "via": "demo/_core.so"}
    assert actions["edit-binary"]["edits"][2] == {"edit": "ReplaceNeeded", "old": "liba.so.1", "new": "demo/_core.so", "arch": "x86_64"}
    assert (actions["add-file"]["text"], actions["add-file"]["size"], actions["add-file"]["mode"]) == (None, 2, "0755")
    assert actions["add-file"]["sha256"] == hashlib.sha256(b"\xff\0").hexdigest()
    assert (actions["rewrite-text"]["text"], actions["set-mode"]["mode"]) == ("x = 1\n", "0755")
    assert (actions["retag"]["before"], actions["retag"]["after"]) == (["demo/_core.so"], ["demo/_core.so", "b"])
    assert plan["left"][0] == {"name": "demo/_core.so", "importers": ["demo/_core.so"] * 2, "why": "demo/_core.so"}


def test_json_has_an_entry_for_each_wheel_also_for_one_that_failed() -> None:
    whole = json.loads(text(examples.result(), examples.failed(examples.failure(), examples.failure(message="b")), form="json"))
    assert [(plan["outcome"], len(plan["actions"])) for plan in whole["plans"]] == [("written", 7), ("failed", 0)]
    assert [error["message"] for error in whole["errors"]] == [examples.failure().message, "b"]
    assert whole["plans"][0]["inputs"] == [{"path": "/usr/lib/libfoo.so.1", "sha256": examples.SHA}]
    assert whole["plans"][0]["name"] == examples.LINUX


def test_a_plan_without_actions_still_says_what_stays_outside() -> None:
    plan = Plan("x.whl", "x.whl", (), (Left("libcuda.so.1", ("demo/_core.so",), "--exclude libcuda*"),), ("a remark",))
    (told,) = plans(examples.result(plan, Outcome.COPIED))
    assert (told["name"], told["left"][0]["name"], told["remarks"]) == ("x.whl", "libcuda.so.1", ["a remark"])
    assert "stays outside      libcuda.so.1, needed by demo/_core.so: --exclude libcuda*\n" in text(examples.result(plan, Outcome.COPIED))


def test_what_remains_is_told_as_by_an_audit() -> None:
    (plan,) = plans(examples.result(remaining=(examples.finding(Severity.NOTE),)))
    (finding,) = plan["remaining"]
    assert (finding["rule"], finding["severity"], finding["repairable"], finding["value"]) == ("demo-note", "note", True, "libgone.so.2")


@pytest.mark.parametrize("outcome", Outcome)
def test_json_of_every_outcome_keeps_to_the_schema(outcome: Outcome) -> None:
    document = examples.document(text(examples.result(outcome=outcome), examples.failed(plan=examples.small()), form="json"))
    document["plans"][0]["outcome"] = "mended"
    with pytest.raises(jsonschema_rs.ValidationError):
        examples.document(json.dumps(document))


def test_a_plan_may_hold_what_is_rare() -> None:
    rare = Plan("x.whl", "no-wheel", (MoveMember("a", "b", "c"), SetMode("a", 0o644, "c"), Retag((), (), "")))
    assert "a -> b" in text(examples.result(rare))
    assert plans(examples.result(rare))[0]["actions"][1]["mode"] == "0644"
