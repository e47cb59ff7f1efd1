"""What a repair mends beside needs and tags: all that an audit flags, and nothing that it does not; and what it refuses to touch."""

import base64
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import LINUX, MACOS, WINDOWS, archive, binary, elf, macho, member, record_hash, survey, wheel
from relocator import audit
from relocator.containers import open_container
from relocator.findings import Report, Severity
from relocator.model import Binary, Image, Member, Problem, RecordRow, Role, Survey
from relocator.native import Signature
from relocator.plans import Resign, SetExecutableStack
from relocator.projection import edited
from relocator.repair.health import Mended, mend
from relocator.repair.wiring import Edited
from relocator.repairs import RepairOptions, RewriteRecord, SetMode
from relocator.rules import RULES, executable_stack, invalid_signature, wrong_mode
from relocator.survey import take_surveys
from repair_promise import unkept

NOTES = RepairOptions(fix_notes=True)
INFO = "demo-1.0.dist-info"
RECORD = f"{INFO}/RECORD"
SHAPE = tuple(member(f"{INFO}/{name}", name.encode()) for name in ("METADATA", "WHEEL", "RECORD"))
ROWS = tuple(RecordRow(m.name, record_hash(name.encode()), str(m.size), 1) for m, name in zip(SHAPE, ("METADATA", "WHEEL"), strict=False))
ITSELF = RecordRow(RECORD, "", "", 3)
ASKS = "executable-stack: asks for an executable stack"
GOOD = Signature("adhoc", "core", 2, 4096, True)
STALE = Signature("adhoc", "core", 2, 4096, True, (0,))


def shaped(*binaries: Binary, more: tuple[Member, ...] = (), **facts: object) -> Survey:
    """A Survey of a wheel that has all the parts of one, and more members."""
    values: dict[str, object] = {"members": (*more, *SHAPE), "record": (*rows(*more), *ROWS, ITSELF), **facts}
    return survey(*binaries, **values)  # type: ignore[arg-type]


def rows(*members: Member) -> tuple[RecordRow, ...]:
    def digest(one: Member) -> str:
        return "sha256=" + base64.urlsafe_b64encode(bytes.fromhex(one.sha256)).decode().rstrip("=")

    return tuple(RecordRow(one.name, digest(one), str(one.size), 1) for one in members)


def outside(path: str, *images: Image) -> Binary:
    return Binary(path, path, images)


def test_of_a_healthy_wheel_nothing_is_mended() -> None:
    assert mend(shaped(binary("demo/_core.so", elf())), NOTES) == Mended()


# ---- executable stacks


@pytest.mark.parametrize(("flags", "mended"), [(7, True), (5, True), (6, False), (None, False)])
def test_the_flag_of_an_executable_stack_is_cleared(flags: int | None, mended: bool) -> None:
    found = shaped(core := binary("demo/_core.so", elf(stack_flags=flags)))
    expected = (Edited(core.path, (SetExecutableStack(False),), ASKS),) if mended else ()
    assert mend(found, RepairOptions()).edited == expected


def test_what_is_brought_in_is_no_worse_than_the_wheels_own() -> None:
    library = outside("/usr/lib/liba.so", elf(stack_flags=7))
    assert mend(shaped(), RepairOptions(), [library]).edited == (Edited(library.path, (SetExecutableStack(False),), ASKS),)
    unused = dataclasses.replace(shaped(), binaries=(library,))
    assert mend(unused, RepairOptions()).edited == ()


def test_on_request_executable_stacks_stay_and_are_told() -> None:
    found = mend(shaped(binary("demo/_core.so", elf(stack_flags=7))), RepairOptions(keep_execstack=True))
    assert found == Mended(remarks=("demo/_core.so: the stack stays executable, as --keep-execstack asks",))


def test_what_is_only_a_note_is_mended_only_on_request() -> None:
    musl = dataclasses.replace(LINUX, tag="musllinux_1_2_x86_64", libc="musl")
    found = shaped(binary("demo/data.so", elf(stack_flags=7), role=Role.PAYLOAD), target=musl)
    assert mend(found, RepairOptions()).edited == ()
    assert len(mend(found, NOTES).edited) == 1


# ---- signatures


@pytest.mark.parametrize(
    ("images", "arches"),
    [
        ([macho(signature=GOOD)], []),
        ([macho(signature=STALE)], ["arm64"]),
        ([macho(signature=None)], ["arm64"]),
        ([macho(arch="x86_64", signature=None)], []),
        ([macho(arch="x86_64", signature=STALE), macho(signature=GOOD)], ["x86_64"]),
        ([macho(arch="x86_64", signature=STALE), macho(signature=STALE)], ["arm64", "x86_64"]),
    ],
)
def test_slices_whose_signature_does_not_hold_are_signed_anew(images: list[Image], arches: list[str]) -> None:
    found = shaped(core := binary("demo/_core.so", *images), target=MACOS)
    edits = mend(found, RepairOptions()).edited
    assert [(one.path, one.edits) for one in edits] == ([(core.path, tuple(Resign(arch) for arch in arches))] if arches else [])
    assert all(one.because.startswith("invalid-signature: ") for one in edits)
    library = outside("/opt/homebrew/lib/liba.dylib", *images)
    assert [one.path for one in mend(shaped(target=MACOS), RepairOptions(), [library]).edited] == [library.path] * bool(arches)


# ---- modes


def modes(options: RepairOptions, *members: Member, binaries: tuple[Binary, ...] = (), target: object = LINUX) -> dict[str, int]:
    found = mend(shaped(*binaries, more=members, target=target), options)
    assert all(isinstance(action, SetMode) for action in found.actions)
    return {action.member: action.mode for action in found.actions if isinstance(action, SetMode)}


@pytest.mark.parametrize(
    ("mode", "mended"),
    [
        (0o100600, 0o644),
        (0o100700, 0o755),
        (0o100666, 0o644),
        (0o100777, 0o755),
        (0o104644, 0o644),
        (0o100000, 0o644),
        (0o100644, None),
        (0o100664, None),
        (0, None),
    ],
)
def test_modes_are_mended_on_request(mode: int, mended: int | None) -> None:
    one = member("demo/data.bin", mode=mode)
    assert modes(NOTES, one) == ({one.name: mended} if mended else {})
    assert modes(RepairOptions(), one) == {}
    assert modes(NOTES, one, target=WINDOWS) == {}


@pytest.mark.parametrize("mode", [0o100644, 0o104644, 0o100600, 0o100666])
def test_what_is_to_be_run_may_be_run(mode: int) -> None:
    server, tool = member("demo/bin/server", mode=mode), member("demo-1.0.data/scripts/tool", mode=mode)
    programs = (binary(server.name, elf(kind="program"), role=Role.PROGRAM),)
    assert modes(NOTES, server, tool, binaries=programs) == {server.name: 0o755, tool.name: 0o755}


@given(st.lists(st.sampled_from([0o100644, 0o100666, 0o100600, 0o104755, 0o100755, 0o100000, 0o100777]), max_size=8))
def test_after_mending_modes_none_is_flagged(chosen: list[int]) -> None:
    members = tuple(member(f"demo-1.0.data/scripts/{at}" if at % 3 == 0 else f"demo/{at}", mode=mode) for at, mode in enumerate(chosen))
    found = modes(NOTES, *members)
    after = tuple(one._replace(mode=0o100000 | found.get(one.name, one.mode & 0o7777)) for one in members)
    assert list(wrong_mode.check(shaped(more=after))) == []


# ---- RECORD and the archive


CHANGED = member("demo/a.py", b"new")


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"record": None}, "malformed-record"),
        (
            {"record": (*ROWS, ITSELF, RecordRow("demo/a.py", "md5=x", "1", 4)), "members": (*SHAPE, CHANGED)},
            "malformed-record, record-mismatch",
        ),
        ({"record": (*ROWS, ITSELF), "members": (*SHAPE, CHANGED)}, "unrecorded-file"),
        ({"record": (*ROWS, ITSELF, *rows(CHANGED))}, "unrecorded-file"),
        ({"record": (*ROWS, ITSELF, *rows(member("demo/a.py", b"old"))), "members": (*SHAPE, CHANGED)}, "record-mismatch"),
        ({"record": None, "problems": (Problem("record", RECORD, "is not UTF-8"),)}, "malformed-record"),
        ({"problems": (Problem("descriptor", "demo/a.py", "its size stands behind its bytes"),)}, "refused-by-index"),
        ({"problems": (Problem("comment", "demo/a.py", "3 bytes"),)}, "refused-by-index"),
        ({"problems": (Problem("extra", "demo/a.py", "twice"),)}, "refused-by-index"),
        ({"problems": (Problem("gap", "demo/a.py", "3 bytes"), Problem("trailing", "", "3 bytes"))}, "unsafe-member"),
        ({"problems": (Problem("prepended", "", "3 bytes"),)}, "unsafe-member"),
    ],
)
def test_faults_of_record_and_archive_have_them_written_anew(facts: dict[str, object], rule: str) -> None:
    found = mend(shaped(**facts), RepairOptions())  # type: ignore[arg-type]
    (action,) = found.actions
    assert isinstance(action, RewriteRecord)
    assert action.member == RECORD
    assert sorted({reason.partition(": ")[0] for reason in action.because.split("; ")}) == rule.split(", ")
    assert found.refusals == ()


def test_a_file_name_with_tags_out_of_order_is_mended_on_request() -> None:
    found = shaped(subject="demo-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert mend(found, RepairOptions()) == Mended()
    because = "refused-by-index: has a compressed tag set that is not sorted"
    assert mend(found, NOTES) == Mended((RewriteRecord(RECORD, because),))


@pytest.mark.parametrize("kind", ["entry-points", "license-file", "metadata"])
def test_what_only_the_build_can_mend_is_left(kind: str) -> None:
    assert mend(shaped(problems=(Problem(kind, "demo/a.py", "x"),)), NOTES) == Mended()


def test_what_record_did_not_vouch_for_is_told() -> None:
    changed = tuple(member(f"demo/{letter}.py", b"new") for letter in "abcd")
    old = rows(*(one._replace(sha256="00" * 32) for one in changed))
    found = mend(shaped(record=(*ROWS, ITSELF, *old), members=(*SHAPE, *changed)), RepairOptions())
    assert found.remarks == ("demo/a.py, demo/b.py, demo/c.py and 1 more: differed from what RECORD said",)
    found = mend(shaped(record=(*ROWS, ITSELF), members=(*SHAPE, CHANGED)), RepairOptions())
    assert found.remarks == ("demo/a.py: not listed in RECORD before",)


def test_bytes_that_go_are_told() -> None:
    found = mend(shaped(problems=(Problem("gap", "a", "3 bytes"), Problem("gap", "b", "3 bytes"))), RepairOptions())
    assert found.remarks == ("bytes that belong to no member are left out",)


# ---- refusals


@pytest.mark.parametrize(
    "kind", ["name", "duplicate", "symlink", "special", "overlap", "local-header", "crc", "size", "encrypted", "method", "directory"]
)
def test_members_that_are_not_safe_are_refused(kind: str) -> None:
    ((message, hint),) = mend(shaped(problems=(Problem(kind, "demo/a.py", "the reason"),)), RepairOptions()).refusals
    assert message.startswith("demo/a.py ")
    assert message.endswith(" (the reason)")
    assert hint


def test_all_reasons_are_given_at_once() -> None:
    problems = (Problem("encrypted", "demo/a.py", "x"), Problem("name", "../b", "leads out"), Problem("crc", "demo/c", "y"))
    assert len(mend(shaped(problems=problems), RepairOptions()).refusals) == 3


@pytest.mark.parametrize(("target", "count"), [(LINUX, 0), (MACOS, 1), (WINDOWS, 1)])
def test_names_that_are_one_file_on_the_target_are_refused(target: object, count: int) -> None:
    members = (member("demo/A.py"), member("demo/a.py"))
    refusals = mend(shaped(more=members, target=target), RepairOptions()).refusals
    assert len(refusals) == count
    assert all("demo/A.py" in message and "demo/a.py" in message for message, _ in refusals)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"members": (*SHAPE, member("b-1.dist-info/WHEEL"))}, f"the wheel has 2 .dist-info folders: b-1.dist-info, {INFO}"),
        ({"members": SHAPE[1:]}, f"the wheel has no {INFO}/METADATA"),
    ],
)
def test_a_wheel_that_lacks_a_part_of_one_is_refused(facts: dict[str, object], message: str) -> None:
    assert [reason.message for reason in mend(shaped(**facts), RepairOptions()).refusals] == [message]  # type: ignore[arg-type]


def test_folders_called_so_within_a_package_are_none_of_the_wheels() -> None:
    assert mend(shaped(more=(member("demo/_vendor/x-1.dist-info/WHEEL"),)), NOTES) == Mended()


# ---- real archives


def of(data: bytes, folder: Path, name: str = "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl") -> Survey:
    path = folder / name
    path.write_bytes(data)
    with open_container(str(path)) as container:
        (found,) = take_surveys(container)
    return found


def test_real_archives_are_mended_and_refused_alike(tmp_path: Path) -> None:
    plain = wheel({"demo/__init__.py": b""})
    assert mend(of(plain, tmp_path), NOTES) == Mended()
    found = mend(of(b"#!/bin/sh\n" + plain, tmp_path), RepairOptions())
    assert (found.actions, found.refusals) == ((RewriteRecord(RECORD, "unsafe-member: bytes before the archive are left out"),), ())
    assert [reason.message for reason in mend(of(archive({"../a": b"", f"{INFO}/WHEEL": b""}), tmp_path), RepairOptions()).refusals] == [
        "../a has a name that is not safe on every system (leads out of the folder)",
        f"the wheel has no {INFO}/METADATA",
    ]


# ---- the promise


def test_after_the_edits_the_rules_are_silent() -> None:
    found = shaped(
        binary("demo/_core.so", elf(stack_flags=7)),
        binary("demo/mac.so", macho(signature=STALE), macho(arch="x86_64", signature=STALE)),
        target=LINUX,
    )
    wanted = {one.path: one.edits for one in mend(found, NOTES).edited}
    after = tuple(dataclasses.replace(one, images=tuple(edited(image, wanted[one.path]) for image in one.images)) for one in found.binaries)
    assert [f.rule for f in executable_stack.check(found)] == ["executable-stack"]
    assert list(executable_stack.check(dataclasses.replace(found, binaries=after))) == []
    arches = {edit.arch for edit in wanted[found.binaries[1].path] if isinstance(edit, Resign)}
    assert arches == {f.primary.arch for f in invalid_signature.check(found)}


def report(*names: str, severity: Severity = Severity.WARNING) -> Report:
    found = audit.run_rules(shaped(binary("demo/_core.so", elf(stack_flags=7)), binary("demo/b.so", elf(stack_flags=None))), RULES)
    findings = tuple(f._replace(severity=severity) for f in found.findings if f.rule in names)
    assert findings
    return dataclasses.replace(found, findings=findings)


def test_the_promise_is_broken_by_what_repair_says_it_mends_alone() -> None:
    (broken,) = unkept(report("executable-stack"))
    assert broken.primary.member == "demo/_core.so"
    assert unkept(report("executable-stack", severity=Severity.NOTE)) == []
    assert unkept(report("executable-stack", severity=Severity.NOTE), fix_notes=True) == [broken._replace(severity=Severity.NOTE)]
    assert unkept(report("executable-stack"), kept=["executable-stack"]) == []
