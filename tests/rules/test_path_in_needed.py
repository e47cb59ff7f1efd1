"""path-in-needed: a slash in DT_NEEDED is a path, not a name."""

import pytest

from builders import SITE, binary, macho
from linked import lib, linked, module, outside
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Survey
from relocator.rules import left_to_dependency, missing_library, path_in_needed, unbundled_library
from relocator.rules.path_in_needed import RULE, check
from relocator.target import Level, Promises, Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
MUSLLINUX = Promises("musllinux", "x86_64", (Level((1, 2), ("musllinux_1_2",)),))

BAD: dict[str, tuple[Survey, str]] = {
    "a relative path": (linked(module("build/libfoo.so")), "that starts from the current directory"),
    "a relative path to a file of the package": (
        linked(module("./libfoo.so", rpath="$ORIGIN"), lib("demo/libfoo.so")),
        "that starts from the current directory",
    ),
    "an absolute path": (linked(module("/opt/foo/libfoo.so")), "of the build machine"),
    "an absolute path that exists here": (
        linked(module("/opt/foo/libfoo.so"), outside("/opt/foo/libfoo.so"), search=["/opt/foo"]),
        "of the build machine",
    ),
    "an absolute path of a promised library": (linked(module("/usr/lib/libz.so.1")), "of the build machine"),
    "$ORIGIN where nothing is": (linked(module("$ORIGIN/libfoo.so")), "that the loader cannot follow"),
    "without a target": (linked(module("build/libfoo.so"), target=Target("", "")), "that starts from the current directory"),
}

GOOD: dict[str, Survey] = {
    "a name": linked(module("libfoo.so")),
    "$ORIGIN with the file": linked(module("$ORIGIN/libfoo.so"), lib("demo/libfoo.so")),
    "musl's linker": linked(module("/lib/ld-musl-x86_64.so.1"), target=MUSL, promises=MUSLLINUX),
    "macOS, where needs are paths": linked(binary("demo/_core.so", macho("@loader_path/libx.dylib", "/opt/x.dylib"))),
}


@pytest.mark.parametrize("case", BAD)
def test_flags(case: str) -> None:
    found, start = BAD[case]
    (finding,) = check(found)
    assert finding.severity == Severity.ERROR
    assert finding.message == f"needs a library by a path {start}"
    assert finding.repaired_by == "repair"
    assert finding.trail


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize("case", BAD)
def test_nothing_else_is_said_about_the_place(case: str) -> None:
    rules = [missing_library.RULE, unbundled_library.RULE, left_to_dependency.RULE, path_in_needed.RULE]
    assert [finding.rule for finding in run_rules(BAD[case][0], rules).findings] == ["path-in-needed"]


def test_the_help_names_the_soname_to_give() -> None:
    (finding,) = check(linked(module(f"{SITE}/x/libfoo.so.2")))
    assert "-Wl,-soname,libfoo.so.2" in finding.help


def test_it_is_a_security_matter() -> None:
    assert RULE.security
