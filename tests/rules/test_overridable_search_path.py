"""overridable-search-path: what LD_LIBRARY_PATH can take over."""

import pytest

from builders import LINUX
from linked import lib, linked, module
from relocator.findings import Severity
from relocator.model import Survey
from relocator.rules.overridable_search_path import check
from relocator.target import Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))


def with_library(name: str, target: Target = LINUX, **path: str) -> Survey:
    return linked(module(name, **path), lib(f"demo/lib/{name}"), target=target, promises=None)


def test_flags_a_runpath_that_finds_a_plain_name() -> None:
    (finding,) = check(with_library("libcudnn.so.9", runpath="$ORIGIN/lib"))
    assert (finding.severity, finding.repaired_by) == (Severity.NOTE, "repair")
    assert finding.primary[2:6] == ("DT_RUNPATH", 0, "$ORIGIN/lib", "")
    assert finding.primary.label == "finds libcudnn.so.9"


def test_one_element_is_told_once_with_the_number_of_names() -> None:
    names = "liba.so.1", "libb.so.1", "libc-1a2b3c4d.so.1"
    (finding,) = check(linked(module(*names, runpath="$ORIGIN/lib"), *(lib(f"demo/lib/{name}") for name in names)))
    assert finding.primary.label == "finds liba.so.1 and 1 more"


GOOD = {
    "a DT_RPATH": with_library("libcudnn.so.9", rpath="$ORIGIN/lib"),
    "a name with a hash of the content": with_library("libgomp-a34b3233.so.1.0.0", runpath="$ORIGIN/lib"),
    "a name with a hash in the middle": with_library("libcudart.faf08d9a.so.13", runpath="$ORIGIN/lib"),
    "musl": with_library("libcudnn.so.9", MUSL, runpath="$ORIGIN/lib"),
    "a path through which nothing is found": linked(module("libgone.so", runpath="$ORIGIN/lib")),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []
