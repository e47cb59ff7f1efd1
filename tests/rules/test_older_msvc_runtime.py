"""older-msvc-runtime: a new kind of mutex, an old msvcp140.dll."""

import dataclasses

import pytest

from builders import WINDOWS, symbols
from conflict_examples import dll, on_windows, pyd, taking
from relocator.audit import run_rules
from relocator.findings import Certainty, Severity
from relocator.model import Role, Survey
from relocator.rules import RULES
from relocator.rules.older_msvc_runtime import RULE, check

NEW = taking("MSVCP140.dll", b"_Mtx_lock")
OLD = taking("MSVCP140.dll", b"_Mtx_lock", b"_Mtx_init_in_situ")


def alone(version: str | None, names: tuple[bytes, ...] = (b"_Mtx_lock",)) -> Survey:
    return on_windows(pyd("demo", "MSVCP140.dll", table=taking("MSVCP140.dll", *names)), dll("demo", "msvcp140.dll", file_version=version))


@pytest.mark.parametrize(
    ("version", "expected"),
    [("14.29.30139.0", 1), ("14.39.33523.0", 1), ("14.40.33810.0", 0), ("14.51.36247.0", 0), (None, 0), ("14.x", 0), ("15.0.0.0", 0)],
)
def test_the_version_that_it_finds_counts(version: str | None, expected: int) -> None:
    findings = list(check(alone(version)))
    assert [(finding.severity, finding.certainty) for finding in findings] == [(Severity.ERROR, Certainty.CERTAIN)] * expected


@pytest.mark.parametrize("names", [(b"_Mtx_lock", b"_Mtx_init_in_situ"), (b"_Mtx_unlock",), (b"_Mtx_init_in_situ",), ()])
def test_other_code_works_with_every_version(names: tuple[bytes, ...]) -> None:
    assert list(check(alone("14.29.30139.0", names))) == []


def test_a_wheel_is_judged_too() -> None:
    survey = alone("14.29.30139.0")
    wheel = dataclasses.replace(survey, container=dataclasses.replace(survey.container, kind="wheel"))
    assert [finding.rule for finding in run_rules(wheel, [RULE]).findings] == ["older-msvc-runtime"]


def test_a_copy_under_a_name_of_its_own_serves_its_own_users() -> None:
    name = "msvcp140-1a2b3c4d.dll"
    old = dll("other", "msvcp140.dll", file_version="14.29.30139.0")
    own = dll("demo", name, file_version="14.44.0.0")
    users = [pyd("demo", name, table=taking(name, b"_Mtx_lock")), pyd("other", "MSVCP140.dll", table=OLD)]
    assert list(check(on_windows(*users, own, old))) == []


def test_another_packages_older_copy_may_come_first() -> None:
    survey = on_windows(
        pyd("demo", "MSVCP140.dll", table=NEW),
        dll("demo", "msvcp140.dll", file_version="14.44.0.0"),
        pyd("other", "MSVCP140.dll", table=OLD),
        dll("other", "MSVCP140.dll", file_version="14.29.30139.0"),
    )
    (finding,) = check(survey)
    assert (finding.primary.member, finding.certainty) == ("demo/_core.pyd", Certainty.LIKELY)
    assert [where.member for where in finding.related] == ["other/MSVCP140.dll"]


def test_a_copy_that_no_import_is_seen_to_bring_makes_it_merely_possible() -> None:
    spare = dataclasses.replace(dll("other", "msvcp140.dll", file_version="14.26.0.0"), role=Role.PAYLOAD)
    (finding,) = check(on_windows(pyd("demo", "MSVCP140.dll", table=NEW), dll("demo", "msvcp140.dll", file_version="14.44.0.0"), spare))
    assert finding.certainty == Certainty.POSSIBLE


def test_other_libraries_with_functions_of_that_name_do_not_count() -> None:
    survey = on_windows(
        pyd("demo", "threads.dll", table=taking("threads.dll", b"_Mtx_lock")),
        dll("demo", "threads.dll", symbols(exports=[b"_Mtx_lock"]), file_version="1.0.0.0"),
    )
    assert list(check(survey)) == []
    assert survey.target == WINDOWS
    assert run_rules(survey, RULES).findings == ()


def test_a_program_meets_no_other_package() -> None:
    program = dataclasses.replace(pyd("demo", "MSVCP140.dll", table=NEW), role=Role.PROGRAM, extension=None)
    others = [pyd("other", "MSVCP140.dll", table=OLD), dll("other", "msvcp140.dll", file_version="14.26.0.0")]
    assert list(check(on_windows(program, *others))) == []
