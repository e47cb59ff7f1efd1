"""Outputs of small in-memory surveys: goldens for people, schemas for programs, hostile text for both."""

import itertools
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest

import builders as b
import repair_examples
from relocator.editing import FilePlan, Restored
from relocator.facts import Forest, Profile, forests, profile
from relocator.findings import Certainty, Checked, Failure, Finding, Report, Severity, Suppressed, Where
from relocator.model import Distribution, Format, How, Load, Needed, Resolution, Survey, Tried, Unreadable, VersionNeed
from relocator.output import OUTPUTS, formats, renderer
from relocator.paint import View, printable, short_text
from relocator.plans import (
    AddNeeded,
    Edit,
    Move,
    Patch,
    Patchset,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)
from relocator.projection import edited
from relocator.tags import Blocker, Computed
from relocator.target import Target

Golden = Callable[[str, str], None]

HOSTILE = "evil\x1b[2J\r\u202egnp.so\udcff"
SUBJECT = "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
FAILURE = Failure("gone.whl", "there is no such file", "check the path", 3)


def path(member: str) -> str:
    return f"{b.SITE}/{member}"


def edge(
    importer: str, position: int, name: str, how: How, target: str | None = None, *, via: str = "", tried: Sequence[Tried] = ()
) -> Resolution:
    return Resolution(path(importer), position, Needed(name), "x86_64", how, path(target) if target else None, via, tuple(tried))


RUNPATH = "DT_RUNPATH of demo/_core.so: $ORIGIN/../demo.libs"
SEARCHED = (
    Tried(path("demo.libs/libgone.so.2"), RUNPATH, "absent"),
    Tried("ld.so.cache", "the system's library directories", "promised by no level"),
)


def demo() -> Survey:
    """Three modules, two of them alike, a bundled library with a library of its own, a missing one, one that the system has."""
    core = b.elf(
        "liba.so.1",
        "libgone.so.2",
        "libc.so.6",
        runpath="$ORIGIN/../demo.libs",
        versions=(VersionNeed("libc.so.6", "GLIBC_2.2.5"), VersionNeed("libc.so.6", "GLIBC_2.14")),
    )
    plain = b.elf("libc.so.6", versions=(VersionNeed("libc.so.6", "GLIBC_2.2.5"),))
    binaries = (
        b.binary("demo/_core.so", core, extension="demo._core"),
        b.binary("demo/_one.so", plain, extension="demo._one"),
        b.binary("demo/_two.so", plain, extension="demo._two"),
        b.binary("demo.libs/liba.so.1", b.elf("libb.so.1", "libc.so.6", soname="liba.so.1", rpath="$ORIGIN")),
        b.binary("demo.libs/libb.so.1", b.elf("libc.so.6", "liba.so.1", soname="libb.so.1")),
    )
    in_a = [
        edge("demo.libs/liba.so.1", 0, "libb.so.1", How.BUNDLED, "demo.libs/libb.so.1", via="DT_RPATH of demo.libs/liba.so.1: $ORIGIN"),
        edge("demo.libs/liba.so.1", 1, "libc.so.6", How.PROMISED, via="promised by manylinux_2_17"),
        edge("demo.libs/libb.so.1", 0, "libc.so.6", How.PROMISED, via="promised by manylinux_2_17"),
        edge("demo.libs/libb.so.1", 1, "liba.so.1", How.BUNDLED, "demo.libs/liba.so.1", via="already loaded"),
    ]
    of_core = [
        edge("demo/_core.so", 0, "liba.so.1", How.BUNDLED, "demo.libs/liba.so.1", via=RUNPATH),
        edge("demo/_core.so", 1, "libgone.so.2", How.MISSING, via="found nowhere", tried=SEARCHED),
        edge("demo/_core.so", 2, "libc.so.6", How.PROMISED, via="promised by manylinux_2_17"),
        *in_a,
    ]
    loads = [load("demo/_core.so", of_core, "demo.libs/liba.so.1", "demo.libs/libb.so.1")]
    loads += [load(name, [edge(name, 0, "libc.so.6", How.PROMISED, via="x")]) for name in ("demo/_one.so", "demo/_two.so")]
    loads.append(load("demo.libs/liba.so.1", in_a, "demo.libs/libb.so.1"))
    return b.survey(*binaries, loads=loads)


def load(root: str, edges: Sequence[Resolution], *brought: str) -> Load:
    return Load(path(root), "x86_64", "glibc", tuple(map(path, (root, *brought))), tuple(edges))


def mac() -> Survey:
    images = [
        b.macho("@rpath/libx.dylib", rpaths=["@loader_path/../.dylibs"], arch=arch, minimum_os=(12, 0)) for arch in ("x86_64", "arm64")
    ]
    target = Target("macosx_11_0_universal2", "macos", "", (("x86_64", (11, 0)), ("arm64", (11, 0))), universal=True)
    return b.survey(b.binary("demo/_core.so", *images, extension="demo._core"), target=target, promises=())


def report(*findings: Finding, **fields: Any) -> Report:
    checked = Checked(members=9, binaries=3, images=4, needs=12, rules=40)
    values: dict[str, Any] = {"subject": SUBJECT, "target": "manylinux_2_17_x86_64", "findings": findings, "checked": checked, **fields}
    return Report(**values)


def missing(member: str = "demo/_core.so", position: int = 1, **fields: Any) -> Finding:
    found = Finding(
        "missing-library",
        Severity.ERROR,
        Certainty.CERTAIN,
        "needs a library that nothing provides",
        Where(member, "x86_64", "DT_NEEDED", position, "libgone.so.2"),
        help="put the library into the wheel with `relocate repair --search DIR`",
        repaired_by="repair",
        trail=("demo.libs/libgone.so.2: absent", "the system's library directories: absent"),
    )
    return found._replace(**fields)


NOTE = Finding(
    "narrow-tag",
    Severity.NOTE,
    Certainty.LIKELY,
    "the binaries allow a more portable tag",
    Where(field="Tag", value="manylinux_2_28_x86_64", label="manylinux_2_17_x86_64 would do"),
    (Where("demo/_core.so", "x86_64", "DT_VERNEED", None, "GLIBC_2.17", "memcpy@GLIBC_2.14", "the highest"),),
)


def text(noun: str, *values: Any, form: str = "text", **view: Any) -> str:
    return renderer(form, noun)(*values, View(**view))


# ---- the table


def test_formats_are_derived_from_the_table() -> None:
    assert formats("tree") == ("text", "json", "mermaid")
    assert formats("audit") == ("text", "json")


# ---- goldens


def test_an_audit_reads_well(golden: Golden) -> None:
    reports = [report(missing(), NOTE, subject=SUBJECT)]
    golden("audit.text.txt", text("audit", reports, []))


def test_a_fault_in_many_files_is_told_once(golden: Golden) -> None:
    many = [missing(f"demo/_m{number:02}.so") for number in range(40)]
    golden("audit.many.text.txt", text("audit", [report(*many)], []))


def test_a_failure_says_what_to_do() -> None:
    assert text("failures", [FAILURE]) == "error: gone.whl: there is no such file\n  = help: check the path\n"


def test_verbose_lists_every_place_and_trail() -> None:
    many = [missing(f"demo/_m{number:02}.so") for number in range(40)]
    told = text("audit", [report(*many)], [], verbose=True)
    assert all(f"demo/_m{number:02}.so" in told for number in range(40))
    assert "more place" not in told


def test_several_subjects_end_with_a_summary(golden: Golden) -> None:
    reports = [report(missing()), report(subject="clean.whl"), report(NOTE, subject="note.whl"), report(subject="folder", target="")]
    golden("audit.several.text.txt", text("audit", reports, [FAILURE]))


def test_quiet_tells_the_verdict_alone() -> None:
    told = text("audit", [report(missing(), NOTE)], [], quiet=True)
    assert len(told.splitlines()) == 1
    assert told.startswith(f"{SUBJECT}: 1 error, 1 note")


def test_suppressed_findings_are_counted() -> None:
    suppressed = tuple(Suppressed(missing(), by, f"{by} says so") for by in ("configuration", "baseline", "baseline"))
    told = text("audit", [report(suppressed=suppressed)], [])
    assert "3 findings suppressed: 2 by baseline, 1 by configuration" in told
    assert "says so" not in told
    assert "clean" in told
    told = text("audit", [report(suppressed=suppressed)], [], verbose=True)
    assert "missing-library in demo/_core.so (x86_64), DT_NEEDED libgone.so.2 (by configuration: configuration says so)" in told


def test_a_profile_is_grouped_and_counted(golden: Golden) -> None:
    golden("show.text.txt", text("show", [profile(demo())], [FAILURE]))


def test_a_verbose_profile_tells_every_file(golden: Golden) -> None:
    golden("show.verbose.text.txt", text("show", [profile(demo())], [], verbose=True))


def test_a_profile_of_one_universal_file_tells_both_slices(golden: Golden) -> None:
    golden("show.macos.text.txt", text("show", [profile(mac())], []))


def test_blockers_say_what_they_need_in_each_shape() -> None:
    blockers = (
        Blocker("manylinux_2_12_x86_64", "demo/_a.so", "libc.so.6", "memcpy", "GLIBC_2.14"),
        Blocker("manylinux_2_12_x86_64", "demo/_b.so", "libc.so.6", "", "GLIBC_2.14"),
        Blocker("manylinux_2_12_x86_64", "demo/_c.so", "libfoo.so.1"),
        Blocker("manylinux_2_12_x86_64", "demo/_d.so", "libz.so.1", "inflate_table"),
        Blocker("manylinux_2_12_x86_64", "demo/_e.so", version="DT_RELR"),
        Blocker("macosx_11_0_arm64", "demo/_f.so", version="12.3"),
    )
    survey = demo()
    told = text("show", [Profile(survey.container, survey.target, Computed(("x",), blockers), survey.binaries, ())], [], verbose=True)
    assert "memcpy@GLIBC_2.14 from libc.so.6  (demo/_a.so)\n" in told
    assert "GLIBC_2.14 from libc.so.6  (demo/_b.so)\n" in told
    assert "libfoo.so.1, which that tag does not promise  (demo/_c.so)\n" in told
    assert "inflate_table from libz.so.1, which that tag forbids  (demo/_d.so)\n" in told
    assert "packed relative relocations (DT_RELR)  (demo/_e.so)\n" in told
    assert "made for macOS 12.3  (demo/_f.so)\n" in told


def test_a_hundred_modules_are_no_hundred_paragraphs() -> None:
    image = b.elf("libc.so.6")
    binaries = [b.binary(f"demo/_m{number}.so", image, extension=f"demo._m{number}") for number in range(111)]
    told = text("show", [profile(b.survey(*binaries))], [])
    assert "111 extension modules" in told
    assert len(told.splitlines()) < 15


def test_a_package_without_binaries_says_so() -> None:
    assert "no binaries" in text("show", [profile(b.survey())], [])


def test_an_unreadable_file_is_named_by_show() -> None:
    broken = Unreadable("demo/_x.so", path("demo/_x.so"), b.elf().format, "e_phoff", "lies beyond the end of the file", 32, "demo")
    told = text("show", [profile(b.survey(unreadable=[broken]))], [])
    assert "demo/_x.so: e_phoff: lies beyond the end of the file" in told


def test_a_tree_tells_missing_ones_with_everything_tried(golden: Golden) -> None:
    golden("tree.text.txt", text("tree", forests([demo()]), [FAILURE]))


def test_a_verbose_tree_tells_every_root(golden: Golden) -> None:
    golden("tree.verbose.text.txt", text("tree", forests([demo()]), [], verbose=True))


def test_a_tree_is_drawn_as_a_flowchart(golden: Golden) -> None:
    golden("tree.mermaid.txt", text("tree", forests([demo()]), [FAILURE], form="mermaid"))


def test_a_cycle_of_libraries_ends() -> None:
    told = text("tree", forests([demo()], "liba.so.1"), [])
    assert told.count("demo.libs/libb.so.1 (") == 1
    assert "its own needs: see above" in told


def test_a_deep_chain_does_not_exhaust_the_stack() -> None:
    names = [f"lib{number}.so" for number in range(3000)]
    edges = [edge(a, 0, c, How.BUNDLED, c, via="DT_RPATH") for a, c in itertools.pairwise(names)]
    survey = b.survey(loads=[load(names[0], edges, *names[1:])])
    assert "lib2999.so" in text("tree", forests([survey]), [])


@pytest.mark.parametrize("noun", ["audit", "show", "tree", "rules", "explain"])
def test_json_is_the_same_on_every_run_and_plain_ascii(noun: str) -> None:
    assert document(noun) == document(noun)
    assert document(noun).isascii()


def test_windows_api_sets_are_counted_unless_all_is_asked_for() -> None:
    sets = [f"api-ms-win-crt-{name}-l1-1-0.dll" for name in ("heap", "math", "stdio")]
    image = b.pe("KERNEL32.dll", *sets)
    names = ("KERNEL32.dll", *sets)
    edges = [edge("demo/_core.pyd", number, name, How.PROMISED)._replace(arch="amd64") for number, name in enumerate(names)]
    found = Load(path("demo/_core.pyd"), "amd64", "windows", (path("demo/_core.pyd"),), tuple(edges))
    modules = [b.binary(f"demo/_{name}.pyd", image, extension=f"demo._{name}") for name in ("core", "a", "b", "c")]
    survey = b.survey(*modules, target=b.WINDOWS, promises=(), loads=[found])
    assert "from the system: KERNEL32.dll, 3 API sets (api-ms-win-*)\n" in text("tree", forests([survey]), [])
    assert "api-ms-win-crt-heap" in text("tree", forests([survey]), [], verbose=True)
    assert "api-ms-win-crt-heap" not in text("show", [profile(survey)], [])
    assert "api-ms-win-crt-heap" in text("show", [profile(survey)], [], verbose=True)


def test_slices_of_one_file_are_one_place() -> None:
    both = [missing(primary=Where("demo/_core.so", arch, "LC_RPATH", 0, "/tmp/x")) for arch in ("x86_64", "arm64")]
    told = text("audit", [report(*both)], [])
    assert "demo/_core.so (x86_64, arm64), LC_RPATH /tmp/x" in told
    assert ": 1 error for" in told


def test_different_helps_stand_with_their_places() -> None:
    two = [missing("demo/a.so", help="mend a"), missing("demo/b.so", help="mend b")]
    lines = text("audit", [report(*two)], []).splitlines()
    assert lines[lines.index("    = help: mend a") - 4].startswith("  demo/a.so")
    assert lines[lines.index("    = help: mend b") - 1].startswith("  demo/b.so")


def test_files_that_are_at_fault_as_such_are_listed_without_a_value() -> None:
    places = [Where(f"demo/{name}.so") for name in "abcd"]
    found = [Finding("demo-rule", Severity.NOTE, Certainty.CERTAIN, "is at fault", place) for place in places]
    assert "\n  in 4 files:\n    demo/a.so\n" in renderer("text", "audit")([Report("demo", "", tuple(found), Checked())], [], View())


def test_a_value_in_many_files_keeps_its_related_places() -> None:
    related = (Where("demo-1.0.dist-info/WHEEL", "", "Tag", None, "x"),)
    told = text("audit", [report(*[missing(f"demo/_m{n}.so", related=related) for n in range(9)])], [])
    assert told.count("also demo-1.0.dist-info/WHEEL, Tag x") == 1
    assert "libgone.so.2, in 9 files (x86_64):" in told


# ---- schemas


def file_plan(name: str, **fields: Any) -> FilePlan:
    """A plan with every kind of edit; its patches need not fit to them."""
    images = (b.elf("liba.so.1", "libc.so.6", runpath="/tmp/build", soname=name),)
    edits: tuple[Edit, ...] = (
        SetSearchPaths(("$ORIGIN", name)),
        ReplaceNeeded("liba.so.1", name),
        AddNeeded("libb.so.1"),
        RemoveNeeded("libc.so.6"),
        SetIdentity("other.so"),
        SetInterpreter("/lib/ld.so"),
        SetExecutableStack(True),
        Resign(),
    )
    patches = (Patch(16, b"/tmp/build\0", b"$ORIGIN\0\0\0\0", f"DT_RUNPATH: {name}"), Patch(64, b"", b"\x01\xff", "PT_LOAD"))
    patchset = Patchset(64, 128, patches, (Move(32, 96, 16, name),), (name,))
    values: dict[str, Any] = {"remarks": (name,), "verified": (name,) if fields.get("written") else (), **fields}
    after = tuple(edited(image, edits) for image in images)
    return FilePlan(name, name, Format.ELF, edits, images, after, patchset, **values)


def nothing_to_do() -> FilePlan:
    image = b.elf("libc.so.6")
    return FilePlan("demo/_core.so", "demo/_core.so", Format.ELF, (), (image,), (image,), Patchset(64, 64))


def rules_sample() -> Any:
    from relocator.rules import RULES

    return RULES


def document(noun: str, hostile: str = "demo/_core.so") -> str:
    where = Where(hostile, "x86_64", "DT_NEEDED", 1, hostile, hostile, hostile)
    bad = missing(hostile, primary=where, related=(where,), message=hostile, help=hostile, trail=(hostile,))
    survey = demo()
    values: dict[str, Sequence[Any]] = {
        "audit": (
            [
                report(
                    bad,
                    missing(repaired_by=""),
                    NOTE,
                    inputs=((f"/opt/{hostile}", "00"),),
                    suppressed=(
                        Suppressed(bad, "configuration", hostile, f"{hostile}:7"),
                        Suppressed(NOTE, "baseline"),
                        Suppressed(NOTE, "--ignore"),
                    ),
                )
            ],
            [FAILURE._replace(subject=hostile)],
        ),
        "show": ([profile(survey), profile(mac()), with_name(hostile)], [FAILURE]),
        "tree": (forests([survey]), [FAILURE]),
        "edit": ([file_plan(hostile), file_plan(hostile, written=True), nothing_to_do()], [FAILURE._replace(subject=hostile)]),
        "undo": ([Restored(f"/opt/{hostile}", "0" * 64, "1" * 64)], [FAILURE]),
        "repair": (
            [repair_examples.result(repair_examples.everything(hostile), remaining=(bad,)), repair_examples.failed()],
            [FAILURE._replace(subject=hostile)],
        ),
        "rules": (rules_sample(),),
        "explain": (rules_sample(),),
    }
    return text(noun, *values[noun], form="json")


def with_name(name: str) -> Profile:
    image = b.elf(name, runpath=name, soname=name, versions=(VersionNeed(name, name),))
    return profile(b.survey(b.binary(name, image), requires=[name], subject=name))


def schema(noun: str) -> dict[str, Any]:
    name = {"explain": "rules", "undo": "edit"}.get(noun, noun)
    loaded: dict[str, Any] = json.loads((files("relocator") / "output" / "schemas" / f"{name}.json").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("noun", OUTPUTS["json"])
def test_json_keeps_to_its_schema(noun: str) -> None:
    jsonschema_rs.meta.validate(schema(noun))
    jsonschema_rs.validator_for(schema(noun)).validate(json.loads(document(noun)))


@pytest.mark.parametrize("noun", OUTPUTS["json"])
def test_hostile_names_keep_to_the_schema_too(noun: str) -> None:
    text_of_it = document(noun, HOSTILE)
    jsonschema_rs.validator_for(schema(noun)).validate(json.loads(text_of_it))
    assert "\\udcff" not in text_of_it


@pytest.mark.parametrize("noun", OUTPUTS["json"])
def test_a_schema_refuses_a_document_that_lacks_a_field(noun: str) -> None:
    validator = jsonschema_rs.validator_for(schema(noun))
    whole = json.loads(document(noun))
    for field in list(whole):
        assert not validator.is_valid({key: value for key, value in whole.items() if key != field})


@pytest.mark.parametrize("noun", OUTPUTS["json"])
def test_every_field_of_a_document_is_in_its_schema(noun: str) -> None:
    whole = schema(noun)
    unknown = set(_unknown_fields(json.loads(document(noun)), whole, whole["$defs"]))
    assert not unknown


def _unknown_fields(value: Any, part: dict[str, Any], definitions: dict[str, Any]) -> Any:
    part = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    if isinstance(value, dict) and "properties" in part:
        for key, item in value.items():
            if key in part["properties"]:
                yield from _unknown_fields(item, part["properties"][key], definitions)
            else:
                yield key
    elif isinstance(value, list) and "items" in part:
        for item in value:
            yield from _unknown_fields(item, part["items"], definitions)


def test_the_audit_frame_is_the_documented_one() -> None:
    first = json.loads(document("audit"))["reports"][0]
    assert {"subject", "target", "findings", "suppressed", "checked"} <= set(first)
    finding = first["findings"][0]
    fields = {"rule", "severity", "certainty", "message", "member", "arch", "field", "value", "symbol", "help", "repairable"}
    assert fields <= set(finding)
    assert (finding["severity"], finding["certainty"], finding["repairable"], finding["repaired_by"]) == (
        "error",
        "certain",
        True,
        "repair",
    )
    assert (first["findings"][1]["repairable"], first["findings"][1]["repaired_by"]) == (False, None)


def test_a_need_in_json_says_how_it_is_met() -> None:
    subject = json.loads(document("show"))["subjects"][0]
    needed = {need["name"]: need for need in subject["binaries"][0]["images"][0]["needed"]}
    assert (needed["liba.so.1"]["how"], needed["liba.so.1"]["target"]) == ("bundled", "demo.libs/liba.so.1")
    assert needed["libgone.so.2"]["how"] == "missing"


def test_tree_edges_name_nodes() -> None:
    for found in json.loads(document("tree"))["subjects"][0]["loads"]:
        nodes = {node["id"] for node in found["nodes"]}
        assert {e["from"] for e in found["edges"]} | {e["to"] for e in found["edges"] if e["to"]} <= nodes


# ---- hostile text


@pytest.mark.parametrize("form", ["text", "mermaid"])
def test_no_output_for_people_prints_control_characters(form: str) -> None:
    survey = b.survey(
        b.binary(HOSTILE, b.elf(HOSTILE, runpath=HOSTILE, soname=HOSTILE, versions=(VersionNeed(HOSTILE, HOSTILE),)), extension=HOSTILE),
        loads=[load(HOSTILE, [edge(HOSTILE, 0, HOSTILE, How.MISSING, via=HOSTILE, tried=[Tried(HOSTILE, HOSTILE, HOSTILE)])])],
        subject=HOSTILE,
        target=Target(HOSTILE, "linux", "glibc", (("x86_64", (2, 17)),)),
    )
    bad_where = Where(HOSTILE, HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE, HOSTILE)
    bad = missing(primary=bad_where, related=(bad_where,), message=HOSTILE, help=HOSTILE, trail=(HOSTILE,))
    failure = Failure(HOSTILE, HOSTILE, HOSTILE, 3)
    values: dict[str, tuple[Any, ...]] = {
        "audit": ([report(bad, subject=HOSTILE, target=HOSTILE)], [failure]),
        "show": ([profile(survey)], [failure]),
        "tree": (forests([survey]), [failure]),
        "edit": ([file_plan(HOSTILE), file_plan(HOSTILE, written=True)], [failure]),
        "undo": ([Restored(HOSTILE, HOSTILE, HOSTILE)], [failure]),
    }
    for noun in set(values) & set(OUTPUTS[form]):
        for verbose in (False, True):
            told = text(noun, *values[noun], form=form, verbose=verbose) + text("failures", [failure])
            assert printable(told.replace("\n", "")) == told.replace("\n", ""), noun


def test_a_mermaid_label_cannot_leave_its_quotes() -> None:
    name = 'x"]:::y\nclick n0 "javascript:z"'
    survey = b.survey(loads=[load(name, [edge(name, 0, 'a|b"c', How.MISSING)])])
    chart = text("tree", forests([survey]), [], form="mermaid")
    assert "\nclick" not in chart
    assert all(line.count('"') in (0, 2) for line in chart.splitlines())


# ---- which loads


def test_a_library_that_a_module_brings_is_no_root_of_its_own() -> None:
    (forest,) = forests([demo()])
    assert [short(found) for found in forest.loads] == ["demo/_core.so", "demo/_one.so", "demo/_two.so"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("demo/_core.so", ["demo/_core.so"]),
        ("_core.so", ["demo/_core.so"]),
        ("./demo/_core.so", ["demo/_core.so"]),
        ("demo/_*.so", ["demo/_core.so", "demo/_one.so", "demo/_two.so"]),
        ("_[ot]*.so", ["demo/_one.so", "demo/_two.so"]),
        ("liba.so.1", ["demo.libs/liba.so.1"]),
    ],
)
def test_a_member_may_be_named_by_its_end_or_by_a_pattern(wanted: str, found: list[str]) -> None:
    (forest,) = forests([demo()], wanted)
    assert [short(load) for load in forest.loads] == found


def short(found: Load) -> str:
    return found.root.removeprefix(b.SITE + "/")


def test_the_end_of_a_name_must_begin_at_a_folder() -> None:
    with pytest.raises(Exception, match=r"no binary is called 'core\.so'") as error:
        forests([demo()], "core.so")
    assert "_core.so" in error.value.hint  # type: ignore[attr-defined]


def test_the_best_answer_of_all_loads_is_the_one_that_is_shown() -> None:
    one = edge("demo.libs/liba.so.1", 0, "libb.so.1", How.MISSING)
    two = one._replace(how=How.BUNDLED, target=path("demo.libs/libb.so.1"))
    survey = b.survey(loads=[load("demo.libs/liba.so.1", [one]), load("demo/_core.so", [two])])
    assert [need.how for need in profile(survey).needs] == [How.BUNDLED]


def test_sentences_lose_the_imaginary_prefix() -> None:
    facts = b.survey(distributions=(Distribution("demo", "1", (), b.SITE),)).container
    assert short_text(f"DT_RPATH of {b.SITE}/demo/_core.so: $ORIGIN", facts) == "DT_RPATH of demo/_core.so: $ORIGIN"


def test_a_forest_is_a_plain_value() -> None:
    import pickle

    (forest,) = forests([demo()])
    assert isinstance(forest, Forest)
    assert pickle.loads(pickle.dumps(forest)) == forest
