"""shadowed-library: what a variable puts before the packaged library."""

import pytest

from builders import elf
from conflict_examples import part, shared
from linked import installed
from relocator.findings import Severity
from relocator.model import Binary, Survey
from relocator.rules.shadowed_library import check

NAME = "libcudnn.so.9"
FOLDER = "/opt/cuda/lib64"


def outside(build_id: str) -> Binary:
    return Binary(f"{FOLDER}/{NAME}", f"{FOLDER}/{NAME}", (elf(soname=NAME, build_id=build_id),))


def survey(build_id: str = "old", variables: dict[str, str] | None = None, packaged: str = "demo", rpath: str | None = None) -> Survey:
    return installed(
        part("demo", NAME, rpath=rpath, runpath=None if rpath else f"$ORIGIN:$ORIGIN/../{packaged}"),
        shared(packaged, NAME),
        outside(build_id),
        variables={"LD_LIBRARY_PATH": FOLDER} if variables is None else variables,
        requires={"demo": ("nvidia",)},
    )


def test_another_library_wins() -> None:
    (finding,) = check(survey())
    assert finding.severity == Severity.WARNING
    assert finding.primary.label == f"took {FOLDER}/{NAME}, through LD_LIBRARY_PATH: {FOLDER}"
    assert [where.member for where in finding.related] == [f"demo/{NAME}"]


def test_the_library_of_a_required_distribution_is_packaged_too() -> None:
    assert len(list(check(survey(packaged="nvidia")))) == 1
    assert list(check(survey(packaged="stranger"))) == []


@pytest.mark.parametrize(
    ("build_id", "variables", "rpath"),
    [
        (f"demo-{NAME}", None, None),
        ("old", {}, None),
        ("old", {"LD_LIBRARY_PATH": "/somewhere/else"}, None),
        ("old", None, "$ORIGIN"),
        ("old", None, f"{FOLDER}:$ORIGIN"),
    ],
)
def test_equal_builds_other_folders_and_a_dt_rpath_are_no_fault(build_id: str, variables: dict[str, str] | None, rpath: str | None) -> None:
    assert list(check(survey(build_id, variables, rpath=rpath))) == []
