"""What a survey of the finished wheel must find, and how a difference is told."""

import dataclasses
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

import builders as b
from conftest import FIXTURES
from linked import lib, linked, module, outside
from relocator.containers import open_container
from relocator.containers.wheel import SITE, installed_path
from relocator.model import Binary, Hint, How, Survey
from relocator.native import ElfFacts
from relocator.plans import PathKind, ReplaceNeeded, SetIdentity, SetSearchPaths
from relocator.reading import Reading, read_container
from relocator.repair import is_kept
from relocator.repair.projecting import Projection, differences, project
from relocator.repairs import AddFile, CopyIn, EditBinary, MoveMember, Origin, Plan, RemoveFile, RewriteRecord, RewriteText, SetMode, Strip
from relocator.survey import package_survey

INFO = "demo-1.0.dist-info"
OUTPUT = "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_28_x86_64\n"


def reading_of(*binaries: Binary, **facts: object) -> Reading:
    return Reading(binaries=[one for one in binaries if one.owner], **facts)  # type: ignore[arg-type]


def before(*binaries: Binary, **facts: object) -> Survey:
    names = [one.member for one in binaries if one.owner] + ["demo/__init__.py", f"{INFO}/WHEEL", f"{INFO}/RECORD"]
    return linked(*binaries, members=tuple(b.member(name, name.encode()) for name in names), **facts)  # type: ignore[arg-type]


def plan(*actions: Any, output: str = OUTPUT) -> Plan:
    return Plan("demo-1.0-cp312-cp312-linux_x86_64.whl", output, actions)


FOO = outside("/opt/libfoo.so.1")
CORE = module("libfoo.so.1", runpath="/opt")
ORIGIN = Origin("/opt/libfoo.so.1", "a" * 64, 5, "--search /opt")
EDIT = EditBinary(
    "demo/_core.so", (ReplaceNeeded("libfoo.so.1", "libfoo-1.so.1"), SetSearchPaths(("$ORIGIN/../demo.libs",), PathKind.RPATH)), "vendored"
)
COPY = CopyIn("demo.libs/libfoo-1.so.1", ORIGIN, (SetIdentity("libfoo-1.so.1"),), "vendored")


def projected(*actions: Any) -> Projection:
    return project(before(CORE, FOO), reading_of(CORE), plan(*actions))


def names(survey: Survey) -> list[str]:
    return [member.name for member in survey.container.members]


# ---- where things lie


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ("demo/_core.so", f"{SITE}/demo/_core.so"),
        ("demo-1.0.data/purelib/demo/a.py", f"{SITE}/demo/a.py"),
        ("demo-1.0.data/platlib/x.so", f"{SITE}/x.so"),
        ("demo-1.0.data/scripts/tool", "/<prefix>/bin/tool"),
        ("demo-1.0.data/headers/a.h", "/<prefix>/include/demo/a.h"),
        ("demo-1.0.data/data/share/x", "/<prefix>/share/x"),
        ("demo-1.0.data/unknown/x", f"{SITE}/demo-1.0.data/unknown/x"),
        ("demo-1.0.data/scripts", f"{SITE}/demo-1.0.data/scripts"),
        ("{demo}-1.0.data/headers/{x}.h", "/<prefix>/include/{demo}/{x}.h"),
    ],
)
def test_a_member_lies_where_installers_put_it(member: str, path: str) -> None:
    assert installed_path(member) == path


# ---- the projection


def test_what_is_brought_in_is_the_distribution_s_own_and_is_found() -> None:
    survey = projected(EDIT, COPY).survey
    new = survey.binary_at(f"{SITE}/demo.libs/libfoo-1.so.1")
    assert new is not None
    assert (new.owner, new.images[0].identity, new.role) == ("demo", "libfoo-1.so.1", "import-reachable")
    (resolution,) = [r for load in survey.loads if load.root == CORE.path for r in load.resolutions]
    assert (resolution.how, resolution.target) == (How.BUNDLED, new.path)
    assert all(binary.owner for binary in survey.binaries)
    assert {m.name: m.mode & 0o777 for m in survey.container.members}["demo.libs/libfoo-1.so.1"] == 0o755


def test_without_the_copy_the_need_is_missing() -> None:
    """The negative control: the world of this machine is not looked at."""
    survey = projected(EDIT).survey
    assert {r.how for load in survey.loads for r in load.resolutions} == {How.MISSING}


def test_tags_come_from_the_new_name_and_the_new_wheel_file() -> None:
    facts = projected(RewriteText(f"{INFO}/WHEEL", WHEEL, "tags")).survey.container
    assert facts.tags == facts.declared_tags == ("cp312-cp312-manylinux_2_28_x86_64",)
    assert facts.subject == OUTPUT
    assert facts.purelib is False
    assert projected(RewriteText(f"{INFO}/WHEEL", WHEEL, "tags")).survey.target.tag == "manylinux_2_28_x86_64"


def test_members_that_move_or_go_are_where_the_plan_says() -> None:
    core, tool = module(), lib("demo-1.0.data/scripts/tool")
    survey = before(core, tool, lib("demo/old.so"))
    after = project(
        survey,
        reading_of(core, tool, lib("demo/old.so"), texts={"demo/old.py": b""}),
        plan(
            MoveMember("demo-1.0.data/scripts/tool", "demo.scripts/tool", "x"),
            AddFile("demo-1.0.data/scripts/tool", b"#!python\n", "x", 0o755),
            RemoveFile("demo/old.so", "x"),
        ),
    )
    assert "demo/old.so" not in names(after.survey)
    assert [one.path for one in after.survey.binaries] == [core.path, f"{SITE}/demo.scripts/tool"]
    assert "/<prefix>/bin/tool" in after.reading.other_paths
    assert {m.name: m.mode & 0o777 for m in after.survey.container.members}["demo-1.0.data/scripts/tool"] == 0o755


def test_hints_of_a_source_that_is_written_anew_are_read_anew() -> None:
    old = b"import ctypes\nctypes.CDLL('/old.so')\n"
    new = b"import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), 'libs'))\n"
    core = module()
    reading = reading_of(core, texts={"demo/__init__.py": old})
    reading.hints = list(project(before(core), reading, plan(AddFile("demo/__init__.py", old, "x"))).reading.hints)
    assert [hint.argument for hint in reading.hints] == ["/old.so"]
    after = project(before(core), reading, plan(RewriteText("demo/__init__.py", new, "x")))
    assert [(hint.call, hint.argument) for hint in after.survey.hints] == [("add_dll_directory", f"{SITE}/demo/libs")]
    assert after.reading.texts["demo/__init__.py"] == new
    assert after.reading.sources == {"demo/__init__.py": (f"{SITE}/demo/__init__.py", "demo")}


def test_permissions_follow_the_plan_and_none_becomes_the_usual() -> None:
    survey = before(CORE)
    members = tuple(member._replace(mode=0) if member.name == "demo/__init__.py" else member for member in survey.container.members)
    survey = dataclasses.replace(survey, container=dataclasses.replace(survey.container, members=members))
    after = project(survey, reading_of(CORE), plan(SetMode("demo/_core.so", 0o755, "x"))).survey.container.members
    modes = {member.name: member.mode for member in after}
    assert modes["demo/_core.so"] == 0o100755
    assert modes["demo/__init__.py"] == 0o100644


def test_nothing_to_do_is_the_wheel_as_it_is() -> None:
    survey = before(CORE)
    after = project(survey, reading_of(CORE), Plan("x", "x"))
    assert after.survey.container == survey.container
    assert [r.how for load in after.survey.loads for r in load.resolutions] == [How.MISSING]


def test_of_what_is_edited_or_stripped_the_hash_is_not_known() -> None:
    core = dataclasses.replace(CORE, sha256="1" * 64)
    for actions, known in (((EDIT,), ""), ((Strip("demo/_core.so", "auto", "x"),), ""), ((COPY,), "1" * 64)):
        after = project(before(core, FOO), reading_of(core), plan(*actions)).survey.binary_at(core.path)
        assert after is not None
        assert after.sha256 == known


# ---- differences


def changed(survey: Survey, **facts: object) -> Survey:
    """The survey with something else in its first binary."""
    first, *rest = survey.binaries
    return dataclasses.replace(survey, binaries=(dataclasses.replace(first, **facts), *rest))  # type: ignore[arg-type]


def with_image(survey: Survey, **facts: object) -> Survey:
    image = dataclasses.replace(survey.binaries[0].images[0], **facts)  # type: ignore[arg-type]
    return changed(survey, images=(image,))


def with_facts(survey: Survey, **facts: object) -> Survey:
    return dataclasses.replace(survey, container=dataclasses.replace(survey.container, **facts))  # type: ignore[arg-type]


def test_a_survey_does_not_differ_from_itself_nor_in_what_no_loader_sees() -> None:
    one = projected(EDIT, COPY, RewriteRecord(f"{INFO}/RECORD", "x")).survey
    assert differences(one, one) == ()
    native = one.binaries[0].images[0].native
    assert isinstance(native, ElfFacts)
    quiet = with_facts(with_image(one, native=dataclasses.replace(native, debug_size=99)), record=None, problems=())
    quiet = changed(quiet, sha256="f" * 64, size=7)
    quiet = with_facts(quiet, members=tuple(member._replace(size=9, sha256="") for member in reversed(quiet.container.members)))
    shuffled = dataclasses.replace(quiet, binaries=tuple(reversed(quiet.binaries)), loads=tuple(reversed(quiet.loads)))
    assert differences(one, shuffled) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: with_image(s, needed=()), "demo/_core.so: image 0: "),
        (lambda s: with_image(s, identity="x"), "demo/_core.so: image 0: "),
        (lambda s: changed(s, extension="other"), "demo/_core.so: module: planned demo._core, found other"),
        (lambda s: changed(s, role="payload"), "demo/_core.so: role: planned import-reachable, found payload"),
        (lambda s: changed(s, path="/elsewhere"), "demo/_core.so: path: "),
        (lambda s: dataclasses.replace(s, binaries=s.binaries[1:]), "demo/_core.so: path: planned /<prefix>"),
        (lambda s: dataclasses.replace(s, loads=s.loads[:-1]), "load of "),
        (lambda s: dataclasses.replace(s, loads=(dataclasses.replace(s.loads[0], resolutions=()), *s.loads[1:])), "libfoo-1.so.1"),
        (lambda s: dataclasses.replace(s, loads=(dataclasses.replace(s.loads[0], order=()), *s.loads[1:])), "order: planned"),
        (lambda s: with_facts(s, tags=("cp312-cp312-linux_x86_64",)), "the wheel: tags: planned"),
        (lambda s: with_facts(s, declared_tags=None), "the wheel: Tag: planned"),
        (lambda s: with_facts(s, purelib=True), "the wheel: Root-Is-Purelib: planned False, found True"),
        (lambda s: with_facts(s, members=s.container.members[1:]), "demo/_core.so: mode: planned 644, found nothing"),
        (lambda s: with_facts(s, members=(b.member("new", mode=0o100600), *s.container.members)), "new: mode: planned nothing, found 600"),
        (lambda s: dataclasses.replace(s, hints=(Hint("demo/a.py", 1, "cdll", "x"),)), "demo/a.py: hints: planned nothing"),
    ],
)
def test_a_difference_names_the_place_the_field_and_both_values(change: Any, told: str) -> None:
    one = projected(EDIT, COPY).survey
    found = differences(one, change(one))
    assert found
    assert any(told in line for line in found), found
    assert len(differences(change(one), one)) == len(found)


# ---- the real thing


def test_the_survey_of_a_wheel_written_as_planned_equals_the_projection(tmp_path: Path) -> None:
    data = (FIXTURES / "bin" / "elf" / "x86_64" / "ext.so").read_bytes()
    old = tmp_path / "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    old.write_bytes(b.wheel({"demo/_core.so": data, "demo/__init__.py": b"import ctypes\nctypes.CDLL('libx.so')\n"}))
    with open_container(str(old)) as container:
        reading = read_container(container, None, is_kept)
        facts = container.facts()
    survey = package_survey(facts, reading, b.LINUX)
    source = b"import ctypes\nctypes.CDLL('liby.so')\n"
    wanted = plan(
        MoveMember("demo/_core.so", "demo/deep/_core.so", "x"),
        RewriteText("demo/__init__.py", source, "x"),
        RewriteText(f"{INFO}/WHEEL", WHEEL, "x"),
    )
    after = project(survey, reading, wanted)
    new = tmp_path / OUTPUT
    metadata = zipfile.ZipFile(io.BytesIO(old.read_bytes())).read(f"{INFO}/METADATA")
    files = {"demo/__init__.py": source, "demo/deep/_core.so": data, f"{INFO}/METADATA": metadata, f"{INFO}/WHEEL": WHEEL}
    new.write_bytes(b.wheel(files))
    with open_container(str(new)) as container:
        again = read_container(container, None, is_kept)
        found = package_survey(container.facts(), again, after.survey.target)
    assert differences(after.survey, found) == ()
    assert differences(survey, found)
