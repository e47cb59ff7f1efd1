"""host-library: drivers, desktops and services that no package can bring."""

import pytest

from builders import binary, elf, pe, survey
from linked import answer, lib, linked, load_of, module, outside
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import How, Needed, NeedKind
from relocator.rules import host_library, missing_library, unbundled_library
from relocator.rules.host_library import check


@pytest.mark.parametrize("name", ["libcuda.so.1", "libOpenCL.so.1", "libvulkan.so.1", "libEGL.so.1", "libmpi.so.40"])
def test_flags(name: str) -> None:
    (finding,) = check(linked(module(name)))
    assert finding.severity == Severity.WARNING
    assert finding.primary.value == name
    assert finding.primary.label.endswith(("brings it", "bring it"))


def test_flags_a_windows_driver_whatever_its_case() -> None:
    one = binary("demo/_core.pyd", pe("NVCUDA.dll"))
    (finding,) = check(survey(one, loads=[load_of(answer(one, How.MISSING), root="demo/_core.pyd")]))
    assert finding.primary.field == "import"


GOOD = {
    "an ordinary library": linked(module("libfoo.so.3")),
    "one that comes along": linked(module("libcuda.so.1", rpath="$ORIGIN"), lib("demo/libcuda.so.1")),
    "one that begins alike": linked(module("libcudart.so.12")),
}


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize("how", list(How))
def test_only_what_is_not_there_is_flagged(how: How) -> None:
    one = module("libcuda.so.1")
    found = list(check(survey(one, loads=[load_of(answer(one, how))])))
    assert bool(found) == (how in (How.MISSING, How.OUTSIDE))


@pytest.mark.parametrize("kind", [NeedKind.WEAK, NeedKind.DELAYED])
def test_opening_it_late_is_the_cure_and_no_fault(kind: NeedKind) -> None:
    one = binary("demo/_core.so", elf(Needed("libcuda.so.1", kind)))
    assert list(check(survey(one, loads=[load_of(answer(one, How.MISSING))]))) == []


@pytest.mark.parametrize("search", [[], ["/opt/cuda"]])
def test_it_is_told_once_and_neither_as_missing_nor_as_unbundled(search: list[str]) -> None:
    found = linked(module("libcuda.so.1"), outside("/opt/cuda/libcuda.so.1"), search=search)
    report = run_rules(found, [missing_library.RULE, unbundled_library.RULE, host_library.RULE])
    assert [finding.rule for finding in report.findings] == ["host-library"]
