"""relative-search-path: what the current directory decides."""

import pytest

from builders import LINUX, MACOS, MANYLINUX, binary, elf, macho, survey
from linked import lib, linked, module
from relocator.audit import run_rules
from relocator.findings import Finding, Severity
from relocator.model import Binary, Role, Survey
from relocator.rules.relative_search_path import RULE, check
from relocator.target import Level, Promises, Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
MUSLLINUX = Promises("musllinux", "x86_64", (Level((1, 2), ("musllinux_1_2",), frozenset({"libc.musl-x86_64.so.1"})),))
ANDROID = Target("android_24_x86_64", "android", "bionic", (("x86_64", (24,)),))
UNDECIDED = Target("", "")


def texts(target: Target, rpath: str | None = None, runpath: str | None = None) -> list[str]:
    file = binary("demo/_core.so", elf(rpath=rpath, runpath=runpath))
    return [finding.primary.value for finding in check(survey(file, target=target))]


@pytest.mark.parametrize(
    ("path", "glibc", "musl", "android"),
    [
        ("demo.libs", 1, 1, 1),
        (".", 1, 1, 1),
        ("./lib", 1, 1, 1),
        ("../lib", 1, 1, 1),
        ("$ORIGIN/../demo.libs", 0, 0, 0),
        ("${ORIGIN}/../demo.libs", 0, 0, 0),
        ("$ORIGIN", 0, 0, 0),
        ("/usr/lib64", 0, 0, 0),
        ("", 0, 0, 0),
        (":", 1, 0, 0),
        ("$ORIGIN:", 1, 0, 0),
        (":$ORIGIN", 1, 0, 0),
        ("$ORIGIN::/usr/lib", 1, 0, 0),
        ("$ORIGINAL/lib", 1, 0, 0),
        ("$LIB/demo", 1, 0, 1),
        ("$FOO/lib", 1, 0, 1),
        ("lib:$FOO", 2, 0, 2),
        ("lib/$ORIGIN", 1, 1, 1),
        ("lib:lib", 1, 1, 1),
    ],
)
def test_each_c_library_reads_an_elf_path_in_its_way(path: str, glibc: int, musl: int, android: int) -> None:
    assert [len(texts(target, runpath=path)) for target in (LINUX, MUSL, ANDROID)] == [glibc, musl, android]
    assert [len(texts(target, rpath=path)) for target in (LINUX, MUSL, ANDROID)] == [glibc, musl, 0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("lib", 1), ("./lib", 1), ("@loader_path/lib", 0), ("@executable_path/lib", 0), ("@rpath", 0), ("/opt/homebrew/lib", 0), ("", 0)],
)
def test_macos(path: str, expected: int) -> None:
    found = list(check(survey(binary("demo/_core.so", macho(rpaths=["@loader_path", path])), target=MACOS)))
    assert [(finding.primary.field, finding.primary.position) for finding in found] == [("LC_RPATH", 1)] * expected


def test_a_runpath_hides_the_rpath() -> None:
    assert texts(LINUX, rpath="lib", runpath="$ORIGIN") == []
    assert texts(LINUX, rpath="lib", runpath="") == []
    assert texts(LINUX, rpath="$ORIGIN", runpath="lib") == ["lib"]


def test_positions_count_in_their_own_list() -> None:
    file = binary("demo/_core.so", elf(rpath="a:b", runpath="$ORIGIN:lib"))
    (finding,) = check(survey(file))
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("DT_RUNPATH", 1, "lib")


def severity(found: Survey) -> Severity:
    (finding,) = check(found)
    return finding.severity


FAR = lib("demo.libs/liba.so.1", "libb.so.1", rpath="demo.libs")
NEAR = lib("demo.libs/libb.so.1")


def core(*needed: str) -> Binary:
    return module(*needed, rpath="$ORIGIN/../demo.libs")


ASKED = {
    "the library's own need": linked(core("liba.so.1"), FAR, NEAR),
    "a need of what it brings, by the inherited path": linked(
        module("liba.so.1", rpath="demo.libs:$ORIGIN/../demo.libs"), lib("demo.libs/liba.so.1", "libb.so.1"), NEAR
    ),
    "an empty element": linked(module("libb.so.1", runpath=":$ORIGIN/../demo.libs"), NEAR),
    "a missing library": linked(module("libb.so.1", runpath="demo.libs")),
    "a promised library": linked(module("libz.so.1", rpath="demo.libs")),
    "a program's libc": linked(binary("demo/tool", elf("libc.so.6", rpath="lib", kind="program"), role=Role.PROGRAM)),
    "under musl": linked(module("libb.so.1", rpath="lib:$ORIGIN/../demo.libs"), NEAR, target=MUSL, promises=MUSLLINUX),
    "without a target": linked(module("libb.so.1", rpath="lib"), target=UNDECIDED),
    "on macOS": linked(binary("demo/_core.so", macho("@rpath/liba.dylib", rpaths=["lib"])), target=MACOS, promises=None),
}

NOT_ASKED = {
    "all that it needs is in the process": linked(core("libb.so.1", "liba.so.1"), FAR, NEAR),
    "found before": linked(module("libb.so.1", rpath="$ORIGIN/../demo.libs:lib"), NEAR),
    "needs nothing": linked(module(rpath="lib")),
    "needs what Python has brought": linked(module("libc.so.6", "libm.so.6", rpath="lib")),
    "no load": survey(binary("demo/_core.so", elf("libz.so.1", rpath="lib", arch="aarch64"))),
    "musl is itself": linked(module("libc.musl-x86_64.so.1", "libc.so", rpath="lib"), target=MUSL, promises=MUSLLINUX),
}


@pytest.mark.parametrize("case", ASKED)
def test_is_an_error_where_a_library_is_looked_for(case: str) -> None:
    assert severity(ASKED[case]) == Severity.ERROR


@pytest.mark.parametrize("case", NOT_ASKED)
def test_is_a_warning_where_none_is(case: str) -> None:
    assert severity(NOT_ASKED[case]) == Severity.WARNING


def test_names_what_is_looked_for() -> None:
    (finding,) = check(ASKED["the library's own need"])
    assert finding.primary.member == "demo.libs/liba.so.1"
    assert finding.primary.label == "libb.so.1 is looked for there"
    (finding,) = check(ASKED["an empty element"])
    assert finding.primary.label == "an empty element, libb.so.1 is looked for there"


def test_the_role_of_the_file_changes_nothing() -> None:
    found = survey(binary("demo/plugin.so", elf(rpath="lib"), role=Role.PAYLOAD), promises=[MANYLINUX])
    (finding,) = run_rules(found, [RULE]).findings
    assert finding.severity == Severity.WARNING


def test_help_speaks_of_the_format() -> None:
    def of(finding: Finding) -> str:
        return finding.help

    assert "$ORIGIN" in of(next(check(ASKED["a missing library"])))
    assert "@loader_path" in of(next(check(ASKED["on macOS"])))


def test_outside_files_are_not_judged() -> None:
    outside = Binary("/opt/x/libx.so.1", "/opt/x/libx.so.1", (elf(rpath="lib"),))
    assert list(check(survey(outside))) == []
