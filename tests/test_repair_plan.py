"""The plan as a whole: what the planners say put together, in one order, with every reason against it at once."""

import base64
import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import builders as b
from linked import lib, linked, module, outside
from relocator.backends.macos.promises import promises as macos
from relocator.backends.windows.promises import promises as windows
from relocator.model import Binary, How, Member, RecordRow, Survey, VersionNeed
from relocator.native import Signature
from relocator.origins import Provenance
from relocator.plans import ReplaceNeeded, SetExecutableStack, SetSearchPaths
from relocator.reading import Reading
from relocator.repair import Planned, is_kept, plan_repair
from relocator.repair.projecting import differences, project
from relocator.repair.wiring import Edited, Placed, Request, Wired
from relocator.repairs import (
    AddFile,
    CopyIn,
    EditBinary,
    MoveMember,
    Refusal,
    RemoveFile,
    RepairOptions,
    RepairRefused,
    Retag,
    RewriteRecord,
    RewriteText,
    SetMode,
    Strip,
)
from relocator.search_order import ELSEWHERE

INFO = "demo-1.0.dist-info"
TAG = "cp312-cp312-manylinux_2_17_x86_64"
WHEEL = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {TAG}\n".encode()
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
PLAIN = RepairOptions(update_tags=False)


class Case:
    """A wheel with a proper RECORD, in memory."""

    def __init__(self, *binaries: Binary, search: Iterable[str] = ("/opt",), more: Iterable[Member] = (), **facts: object) -> None:
        texts = {f"{INFO}/WHEEL": WHEEL, f"{INFO}/METADATA": METADATA}
        members = [b.member(one.member, one.member.encode()) for one in binaries if one.owner]
        members += [b.member(name, data) for name, data in texts.items()] + [b.member(f"{INFO}/RECORD"), *more]
        rows = tuple(RecordRow(*row) for row in self.rows(members))
        hashed = [dataclasses.replace(one, sha256=one.sha256 or hashlib.sha256(one.path.encode()).hexdigest(), size=9) for one in binaries]
        self.reading = Reading(binaries=[one for one in hashed if one.owner], texts=texts)
        self.survey = linked(*hashed, search=search, members=tuple(members), record=rows, **facts)  # type: ignore[arg-type]

    @staticmethod
    def rows(members: Iterable[Member]) -> Iterable[tuple[str, str, str, int]]:
        for line, member in enumerate(members, 1):
            own = member.name.endswith(("/RECORD", "/RECORD.jws"))
            digest = base64.urlsafe_b64encode(bytes.fromhex(member.sha256)).decode().rstrip("=")
            yield member.name, "" if own else f"sha256={digest}", "" if own else str(member.size), line

    def plan(self, options: RepairOptions = PLAIN, **more: Any) -> Planned:
        return plan_repair(self.survey, self.reading, options, **more)

    def refused(self, options: RepairOptions = PLAIN) -> tuple[Refusal, ...]:
        with pytest.raises(RepairRefused) as caught:
            self.plan(options)
        return caught.value.reasons


def wired(monkeypatch: pytest.MonkeyPatch, wire: Callable[[Request], Wired]) -> None:
    monkeypatch.setattr("relocator.repair.linux.wire", wire)


def kinds(planned: Planned) -> list[str]:
    return [type(action).__name__ for action in planned.plan.actions]


VENDORING = (module("liba.so.1"), outside("/opt/liba.so.1", "libb.so.1"), outside("/opt/libb.so.1", "libc.so.6"))

# ---- nothing to do


def test_a_sound_wheel_has_an_empty_plan_and_keeps_its_name() -> None:
    case = Case(module("liba.so.1", rpath="$ORIGIN"), lib("demo/liba.so.1", "libc.so.6"))
    planned = case.plan()
    assert not planned.plan
    assert planned.plan.output == f"demo-1.0-{TAG}.whl"
    assert differences(planned.projected, project(case.survey, case.reading, planned.plan).survey) == ()


def test_a_pure_wheel_is_copied_where_that_is_allowed_and_refused_elsewhere() -> None:
    case = Case()
    assert not case.plan(RepairOptions(allow_pure=True)).plan
    assert [reason.message for reason in case.refused()] == ["holds no compiled file: there is nothing to repair"]


# ---- vendoring, with the real planner


def test_what_is_missing_in_the_wheel_is_brought_in_and_all_of_it_resolves_afterwards() -> None:
    planned = Case(*VENDORING).plan()
    copies = [action for action in planned.plan.actions if isinstance(action, CopyIn)]
    assert [action.origin.path for action in copies] == ["/opt/liba.so.1", "/opt/libb.so.1"]
    assert [action.because for action in copies] == ["needed by demo/_core.so", "needed by /opt/liba.so.1"]
    assert copies[0].origin.via == "--search /opt"
    assert copies[0].origin.size == 9
    assert {r.how for load in planned.projected.loads for r in load.resolutions} == {How.BUNDLED, How.PROMISED}
    assert kinds(planned) == ["EditBinary", "CopyIn", "CopyIn", "AddFile", "RewriteRecord"]


def test_planning_the_projection_again_is_an_empty_plan() -> None:
    case = Case(*VENDORING)
    first = case.plan()
    after = project(case.survey, case.reading, first.plan)
    second = plan_repair(after.survey, after.reading, PLAIN)
    assert not second.plan, second.plan.actions
    assert second.plan.output == first.plan.output


def test_a_file_that_is_brought_in_twice_comes_from_one_place() -> None:
    case = Case(
        module("libmid.so", member="demo/_a.so", rpath="/opt:/one"),
        module("libmid.so", member="demo/_b.so", rpath="/opt:/two"),
        outside("/opt/libmid.so", "libhelper.so"),
        outside("/one/libhelper.so"),
        outside("/two/libhelper.so"),
        search=(),
    )
    planned = case.plan()
    copies = [action for action in planned.plan.actions if isinstance(action, CopyIn)]
    assert sorted(action.origin.path for action in copies) == ["/one/libhelper.so", "/opt/libmid.so", "/opt/libmid.so", "/two/libhelper.so"]
    assert len({action.member for action in copies}) == 4
    ends = {load.root.rpartition("/")[2]: load.order[-1] for load in planned.projected.loads}
    assert ends["_a.so"] != ends["_b.so"]


def test_the_list_of_what_is_brought_in_names_where_it_came_from() -> None:
    known = {"/opt/liba.so.1": Provenance("dpkg", "deb", "debian", "liba1", "1.2")}
    planned = Case(*VENDORING).plan(provenance=known)
    (added,) = [action for action in planned.plan.actions if isinstance(action, AddFile)]
    assert added.member == f"{INFO}/sboms/relocator.cdx.json"
    assert b"pkg:deb/debian/liba1@1.2" in added.data
    assert not [a for a in Case(*VENDORING).plan(RepairOptions(update_tags=False, sbom=False)).plan.actions if isinstance(a, AddFile)]


def test_the_wheel_gets_the_tag_that_its_content_allows() -> None:
    planned = Case(module("libc.so.6", versions=[VersionNeed("libc.so.6", "GLIBC_2.28")])).plan(RepairOptions())
    (retag,) = [action for action in planned.plan.actions if isinstance(action, Retag)]
    assert retag.after == ("manylinux_2_28_x86_64",)
    assert planned.plan.output == "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
    assert planned.projected.target.tag == "manylinux_2_28_x86_64"
    assert planned.projected.container.declared_tags == ("cp312-cp312-manylinux_2_28_x86_64",)


def test_a_need_that_its_planner_leads_astray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of one name in two folders that both are searched: the first one wins."""
    case = Case(module("liba.so.1", runpath="$ORIGIN/one"), outside("/opt/liba.so.1"), lib("demo/two/liba.so.1"))

    def wire(request: Request) -> Wired:
        (one,) = request.taken
        paths = SetSearchPaths(("$ORIGIN/two", "$ORIGIN/three"))
        return Wired((Placed(one.binary.path, "demo/three/liba.so.1"),), (Edited(f"{b.SITE}/demo/_core.so", (paths,), "x"),))

    wired(monkeypatch, wire)
    (remark,) = case.plan().plan.remarks
    assert remark.startswith("demo/_core.so (x86_64) is meant to find liba.so.1 as demo/three/liba.so.1, and will not")


def test_a_need_that_no_order_of_search_paths_meets_is_told() -> None:
    """Each of two folders has both names, and no order of them is right."""
    files = [lib(f"demo/{folder}/{name}") for folder in ("one", "two") for name in ("liba.so.1", "libb.so.1")]
    case = Case(module("liba.so.1", "libb.so.1", rpath="$ORIGIN/one"), *files)
    first, *rest = case.survey.loads
    one, two = first.resolutions
    met = one, two._replace(target=f"{b.SITE}/demo/two/libb.so.1", via=ELSEWHERE)
    case.survey = dataclasses.replace(case.survey, loads=(dataclasses.replace(first, resolutions=met), *rest))
    (remark,) = case.plan().plan.remarks
    assert remark.startswith("demo/_core.so (x86_64) is meant to find libb.so.1 as demo/two/libb.so.1, and will not")


@pytest.mark.parametrize(
    ("core", "middle"),
    [
        pytest.param({"runpath": "$ORIGIN/lib"}, {}, id="DT_RUNPATH becomes DT_RPATH, which others inherit"),
        pytest.param({"rpath": "$ORIGIN/lib"}, {"runpath": "/build"}, id="a DT_RUNPATH goes that shut out what is inherited"),
    ],
)
def test_a_library_that_was_the_systems_and_will_be_the_wheels_is_told(core: dict[str, str], middle: dict[str, str]) -> None:
    files = [module("libm.so", "liba.so.1", **core), lib("demo/lib/libm.so", "libz.so.1", **middle), lib("demo/lib/libz.so.1")]
    planned = Case(*files, outside("/opt/liba.so.1")).plan()
    told = [remark for remark in planned.plan.remarks if "libz.so.1" in remark]
    assert told == [
        "demo/lib/libm.so (x86_64) had libz.so.1 from the system, and will find demo/lib/libz.so.1: leave one of the two out of the wheel"
    ]


def test_copies_inside_the_wheel_become_one() -> None:
    twins = [dataclasses.replace(lib(f"demo/{name}", soname="libfoo.so.1"), sha256="a" * 64) for name in ("libfoo.so.1", "libfoo.so")]
    users = [module(one.member.rpartition("/")[2], member=f"demo/_{n}.so", rpath="$ORIGIN") for n, one in enumerate(twins)]
    planned = Case(*users, *twins).plan()
    assert [a.member for a in planned.plan.actions if isinstance(a, RemoveFile)] == ["demo/libfoo.so"]
    assert {a.member: a.edits for a in planned.plan.actions if isinstance(a, EditBinary)} == {
        "demo/_1.so": (ReplaceNeeded("libfoo.so", "libfoo.so.1"),)
    }
    assert {r.target for load in planned.projected.loads for r in load.resolutions} == {f"{b.SITE}/demo/libfoo.so.1"}


def test_an_excluded_library_counts_against_no_tag() -> None:
    core = module("libcuda.so.1")
    case = Case(core)
    left = tuple(
        dataclasses.replace(load, resolutions=tuple(r._replace(how=How.EXPECTED, via="--exclude libcuda*") for r in load.resolutions))
        for load in case.survey.loads
    )
    case.survey = dataclasses.replace(case.survey, loads=left)
    planned = case.plan(RepairOptions())
    assert [one.why for one in planned.plan.left] == ["--exclude libcuda*"]
    assert planned.projected.target.os == "linux"


# ---- the order of actions, and files that several planners change


def _everything(request: Request) -> Wired:
    paths = {one.binary.path: one for one in request.taken}
    core = f"{b.SITE}/demo/_core.so"
    return Wired(
        (
            *(Placed(path, f"demo.libs/{one.digest}.so") for path, one in paths.items()),
            Placed(f"{b.SITE}/demo/tool.so", "demo/moved/tool.so"),
        ),
        (
            Edited(core, (SetSearchPaths(("$ORIGIN/../demo.libs",)),), "paths"),
            Edited(f"{b.SITE}/demo/tool.so", (SetSearchPaths(()),), "moved"),
        ),
        (
            RewriteText("demo/b.py", b"x", "b"),
            AddFile("demo/new.py", b"x", "a"),
            SetMode("demo/_core.so", 0o755, "c"),
            RemoveFile("demo/z", "d"),
        ),
        ("one remark", "another"),
    )


def test_actions_stand_in_one_order_and_every_file_is_edited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wired(monkeypatch, _everything)
    core = module("liba.so.1", stack_flags=7, debug_size=100)
    case = Case(
        core,
        lib("demo/tool.so"),
        *VENDORING[1:],
        more=[b.member("demo/b.py", b"y"), b.member("demo/z", b"z"), b.member(f"{INFO}/RECORD.jws")],
    )
    planned = case.plan(RepairOptions(update_tags=False, strip="auto"))
    assert kinds(planned) == [
        *("Strip", "Strip", "Strip", "EditBinary", "EditBinary", "CopyIn", "CopyIn", "MoveMember", "AddFile", "AddFile"),
        *("RewriteText", "RemoveFile", "RemoveFile", "SetMode", "RewriteRecord"),
    ]
    edits = {action.member: action for action in planned.plan.actions if isinstance(action, EditBinary)}
    assert edits["demo/_core.so"].edits == (SetSearchPaths(("$ORIGIN/../demo.libs",)), SetExecutableStack(False))
    assert edits["demo/_core.so"].because.startswith("paths; executable-stack")
    assert "demo/moved/tool.so" in edits
    assert {action.member for action in planned.plan.actions if isinstance(action, Strip)} > {"demo/_core.so"}
    assert [action.member for action in planned.plan.actions if isinstance(action, RemoveFile)] == [f"{INFO}/RECORD.jws", "demo/z"]
    assert planned.plan.remarks == tuple(sorted(planned.plan.remarks))
    assert {"one remark", "another"} <= set(planned.plan.remarks)


def test_a_plan_is_the_same_in_whatever_order_files_are_read() -> None:
    one, other = Case(*VENDORING), Case(*reversed(VENDORING))
    assert one.plan().plan == other.plan().plan


def test_a_faulty_record_alone_is_written_anew() -> None:
    case = Case(module())
    facts = dataclasses.replace(case.survey.container, record=(case.survey.container.record or ())[1:])
    case.survey = dataclasses.replace(case.survey, container=facts)
    planned = case.plan()
    assert [action for action in planned.plan.actions if not isinstance(action, RewriteRecord)] == []
    assert "unrecorded-file" in planned.plan.actions[0].because
    after = project(case.survey, case.reading, planned.plan)
    assert not plan_repair(after.survey, after.reading, PLAIN).plan


# ---- refusals


def test_all_reasons_come_at_once_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = Refusal("no room", "make some")
    wired(monkeypatch, lambda request: Wired(refusals=(reason, reason)))
    told = [
        one.message
        for one in Case(module("libx.so", "liby.so", versions=[VersionNeed("libc.so.6", "GLIBC_2.99")])).refused(RepairOptions())
    ]
    assert len(told) == len(set(told))
    assert any("libx.so: nowhere" in one for one in told)
    assert any("liby.so: nowhere" in one for one in told)
    assert "no room" in told
    assert any("GLIBC_2.99" in one for one in told)
    assert not any("libx.so, which the tag does not promise" in one for one in told)


@pytest.mark.parametrize("member", ["demo.libs/liba.so", "Demo.LIBS/LIBA.so"])
def test_nothing_is_written_over_a_member_of_the_wheel(monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    wired(monkeypatch, lambda request: Wired(tuple(Placed(one.binary.path, "demo.libs/liba.so") for one in request.taken)))
    case = Case(module("liba.so.1"), outside("/opt/liba.so.1"), more=[b.member(member, b"x")])
    assert [reason.message for reason in case.refused()] == ["/opt/liba.so.1 would be demo.libs/liba.so, and so is a member of the wheel"]


@pytest.mark.parametrize("member", ["demo.libs", "Demo.Libs", "demo.libs/liba.so/x"])
def test_no_file_lies_where_a_folder_has_to_be(monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    wired(monkeypatch, lambda request: Wired(tuple(Placed(one.binary.path, "demo.libs/liba.so") for one in request.taken)))
    case = Case(module("liba.so.1"), outside("/opt/liba.so.1"), more=[b.member(member, b"x")])
    (reason,) = case.refused()
    assert reason.message == f"/opt/liba.so.1 would be demo.libs/liba.so, and {member} is a member of the wheel"


def test_two_binaries_that_are_installed_as_one_file_are_refused() -> None:
    parts = [dataclasses.replace(module(), member=f"demo-1.0.data/{part}/demo/_core.so") for part in ("platlib", "purelib")]
    (reason,) = Case(*parts).refused()
    assert reason.message == "demo-1.0.data/platlib/demo/_core.so and demo-1.0.data/purelib/demo/_core.so are installed as one file"


def test_what_an_earlier_repair_brought_in_is_not_brought_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wired(monkeypatch, lambda request: Wired(tuple(Placed(one.binary.path, f"demo.libs/liba-{one.digest}.so") for one in request.taken)))
    for options in (PLAIN, RepairOptions(update_tags=False, strip="auto")):
        first = Case(module("liba.so.1"), outside("/opt/liba.so.1")).plan(options)
        (member,) = [action.member for action in first.plan.actions if isinstance(action, CopyIn)]
        second = Case(module("liba.so.1"), lib(member), outside("/opt/liba.so.1")).plan(options)
        assert not {"CopyIn", "Strip"} & set(kinds(second))


def test_two_files_never_become_one_member(monkeypatch: pytest.MonkeyPatch) -> None:
    wired(monkeypatch, lambda request: Wired(tuple(Placed(one.binary.path, "demo.libs/same.so") for one in request.taken)))
    assert [reason.message for reason in Case(*VENDORING).refused()] == [
        "/opt/libb.so.1 would be demo.libs/same.so, and so is /opt/liba.so.1"
    ]


def test_a_member_may_take_the_place_of_one_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    member = "demo-1.0.data/scripts/tool"
    shim = AddFile(member, b"#!python\n", "starts it", 0o755)
    wired(monkeypatch, lambda request: Wired((Placed(f"{b.SITE}/{member}", "demo.scripts/tool"),), actions=(shim,)))
    planned = Case(module(), lib(member)).plan()
    assert [a.to for a in planned.plan.actions if isinstance(a, MoveMember)] == ["demo.scripts/tool"]
    assert shim in planned.plan.actions


# ---- members whose bytes are kept


@pytest.mark.parametrize(
    ("member", "kept"),
    [
        (f"{INFO}/WHEEL", True),
        (f"{INFO}/RECORD", True),
        (f"{INFO}/sboms/relocator.cdx.json", True),
        ("demo/__init__.py", True),
        ("demo/WHEEL", False),
        (f"{INFO}/licenses/LICENSE", False),
        ("demo/_core.so", False),
    ],
)
def test_only_what_planning_needs_is_kept(member: str, kept: bool) -> None:
    assert is_kept(member) == kept


def _systems() -> dict[str, Survey]:
    mac = b.binary(
        "demo/_core.so", b.macho("/usr/lib/libSystem.B.dylib", signature=Signature("adhoc", "demo", 0, 4096)), extension="demo._core"
    )
    win = b.binary("demo/_core.pyd", b.pe("KERNEL32.dll"), extension="demo._core")
    return {
        "macos": linked(mac, target=b.MACOS, promises=macos(b.MACOS, "arm64")),
        "windows": linked(win, target=b.WINDOWS, promises=windows(b.WINDOWS, "amd64")),
    }


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_every_system_has_its_planner(system: str) -> None:
    survey = _systems()[system]
    wheel = WHEEL.replace(b"manylinux_2_17_x86_64", survey.target.tag.encode())
    reading = Reading(binaries=list(survey.binaries), texts={f"{INFO}/WHEEL": wheel})
    members = (
        b.member(survey.binaries[0].member, b"x"),
        b.member(f"{INFO}/WHEEL", wheel),
        b.member(f"{INFO}/METADATA", METADATA),
        b.member(f"{INFO}/RECORD"),
    )
    rows = tuple(RecordRow(*row) for row in Case.rows(members))
    survey = dataclasses.replace(survey, container=dataclasses.replace(survey.container, members=members, record=rows))
    assert not plan_repair(survey, reading, RepairOptions()).plan
