"""missing-library: what nothing else explains."""

import pytest

from builders import LINUX, SITE, WINDOWS, binary, elf, macho, pe, survey
from linked import answer, lib, linked, load_of, module, outside
from relocator.audit import run_rules
from relocator.findings import Certainty, Finding, Severity
from relocator.model import Binary, Format, Hint, How, Needed, NeedKind, Role, Survey, Unreadable
from relocator.places import unmet
from relocator.rules import unreadable_binary
from relocator.rules.missing_library import RULE, check
from relocator.target import Target

LOCAL = Target("linux_x86_64", "linux", "glibc", (("x86_64", ()),), local=True)

BAD: dict[str, Survey] = {
    "nowhere": linked(module("libfoo.so.3")),
    "in the package, out of reach": linked(module("libfoo.so.3"), lib("demo/.libs/libfoo.so.3")),
    "behind a RUNPATH, which does not carry": linked(
        module("libx.so.1", runpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1")
    ),
    "in a program": linked(binary("demo/tool", elf("libfoo.so.3", kind="program"), role=Role.PROGRAM)),
    "for another architecture": linked(
        module("libfoo.so.3", rpath="$ORIGIN"), binary("demo/libfoo.so.3", elf(arch="i686", machine=3, bits=32))
    ),
}

GOOD: dict[str, Survey] = {
    "promised": linked(module("libc.so.6", "libm.so.6")),
    "bundled": linked(module("libfoo.so.3", rpath="$ORIGIN"), lib("demo/libfoo.so.3")),
    "found by the caller": linked(module("libx.so.1", rpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1")),
    "outside, in a directory that the user named": linked(module("libfoo.so.3"), outside("/opt/foo/libfoo.so.3"), search=["/opt/foo"]),
}


def one(how: How, kind: NeedKind = NeedKind.REQUIRED, **more: object) -> Survey:
    file = binary("demo/_core.so", elf(Needed("libfoo.so.3", kind)), extension="demo._core")
    return survey(file, loads=[load_of(answer(file, how))], **more)  # type: ignore[arg-type]


def only(found: Survey) -> Finding:
    (finding,) = check(found)
    return finding


@pytest.mark.parametrize("case", BAD)
def test_flags(case: str) -> None:
    finding = only(BAD[case])
    assert finding.severity == Severity.ERROR
    assert finding.trail
    assert finding.help


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize("how", [how for how in How if how != How.MISSING])
def test_every_other_answer_is_left_to_other_rules(how: How) -> None:
    assert list(check(one(how))) == []


@pytest.mark.parametrize("kind", [NeedKind.WEAK, NeedKind.LAZY, NeedKind.DELAYED])
def test_needs_that_a_load_survives_are_no_fault(kind: NeedKind) -> None:
    assert list(check(one(How.MISSING, kind))) == []


def test_tells_the_place_and_the_whole_search() -> None:
    finding = only(linked(module("libc.so.6", "libfoo.so.3", rpath="$ORIGIN/.libs")))
    assert finding.message == "needs a library that is neither in the package nor promised by manylinux_2_17_x86_64"
    assert (finding.primary.member, finding.primary.field, finding.primary.position) == ("demo/_core.so", "DT_NEEDED", 1)
    assert finding.primary.value == "libfoo.so.3"
    assert finding.trail == (
        "demo/.libs/libfoo.so.3: absent (DT_RPATH of demo/_core.so: $ORIGIN/.libs)",
        ".../glibc-hwcaps/{x86-64-v4,x86-64-v3,x86-64-v2}: absent (and the glibc-hwcaps subdirectories of each)",
        "libfoo.so.3: not promised (default directories)",
    )


def test_names_the_file_of_the_package_that_bears_the_name_and_the_way_there() -> None:
    finding = only(BAD["in the package, out of reach"])
    assert finding.message == "needs a library that is in the package, but not where the loader looks"
    assert [where.member for where in finding.related] == ["demo/.libs/libfoo.so.3"]
    assert finding.help == "give the file that needs it the search path $ORIGIN/.libs"


@pytest.mark.parametrize(
    ("importer", "library", "way"),
    [
        (
            binary("demo/_core.so", macho("@loader_path/libx.dylib")),
            binary("demo/libx.dylib", macho(kind="library")),
            "@loader_path/libx.dylib ",
        ),
        (binary("demo/sub/_core.so", elf("libx.so")), binary("demo/libreal.so", elf(soname="libx.so")), "$ORIGIN/.."),
        (binary("demo/_core.pyd", pe("X.dll")), binary("demo/bin/x.dll", pe()), "os.add_dll_directory"),
    ],
)
def test_the_way_is_spelled_as_the_format_does(importer: Binary, library: Binary, way: str) -> None:
    target = WINDOWS if way.startswith("os") else LINUX
    found = survey(importer, library, target=target, loads=[load_of(answer(importer, How.MISSING), root=importer.member)])
    assert way in only(found).help


@pytest.mark.parametrize(
    ("more", "certainty"),
    [
        ({}, Certainty.CERTAIN),
        ({"requires": ["torch"]}, Certainty.LIKELY),
        ({"hints": [Hint("demo/__init__.py", 3, "cdll", None)]}, Certainty.LIKELY),
        ({"target": LOCAL}, Certainty.POSSIBLE),
    ],
)
def test_certainty_falls_with_what_else_may_bring_the_library(more: dict[str, object], certainty: Certainty) -> None:
    assert only(one(How.MISSING, NeedKind.REQUIRED, **more)).certainty == certainty


def test_a_wheel_that_is_still_to_be_repaired_is_told_so() -> None:
    assert "relocate repair" in only(linked(module("libfoo.so.3"), target=LOCAL)).help


@pytest.mark.parametrize(
    ("role", "severity"), [(Role.IMPORTED, Severity.ERROR), (Role.PROGRAM, Severity.WARNING), (Role.PAYLOAD, Severity.WARNING)]
)
def test_an_audit_is_milder_on_what_no_import_reaches(role: Role, severity: Severity) -> None:
    file = binary("demo/plugin.so", elf("libfoo.so.3"), role=role)
    report = run_rules(linked(file), [RULE])
    assert [finding.severity for finding in report.findings] == [severity]


def test_without_a_target_it_does_not_run() -> None:
    report = run_rules(linked(module("libfoo.so.3"), target=Target("", "")), [RULE])
    assert (report.findings, report.checked.unjudged) == ((), ("missing-library",))


def test_a_damaged_library_is_left_to_unreadable_binary() -> None:
    damaged = Unreadable("demo/libfoo.so.3", f"{SITE}/demo/libfoo.so.3", Format.ELF, "e_phoff", "needs 64 bytes")
    found = linked(module("libfoo.so.3", rpath="$ORIGIN"), unreadable=[damaged])
    assert list(unmet(found))
    assert list(check(found)) == []
    assert [finding.rule for finding in run_rules(found, [RULE, unreadable_binary.RULE]).findings] == ["unreadable-binary"]
