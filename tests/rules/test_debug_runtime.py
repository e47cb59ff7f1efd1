"""debug-runtime: what comes with Visual Studio only."""

from dataclasses import replace

import pytest

from builders import WINDOWS, binary, elf, pe
from linked import linked
from relocator.audit import run_rules
from relocator.backends.windows.promises import promises
from relocator.findings import Finding, Severity
from relocator.model import Binary, Needed, NeedKind, Role, Survey
from relocator.rules import missing_library, unbundled_msvc_runtime, wrong_python_dll
from relocator.rules.debug_runtime import RULE, check, is_debug_runtime
from relocator.target import Target

ALL = [RULE, missing_library.RULE, unbundled_msvc_runtime.RULE, wrong_python_dll.RULE]


def package(
    *needed: str | Needed,
    others: tuple[Binary, ...] = (),
    member: str = "demo/_core.pyd",
    target: Target = WINDOWS,
    role: Role = Role.IMPORTED,
) -> Survey:
    core = binary(member, pe("KERNEL32.dll", *needed), extension="demo._core", role=role)
    return linked(core, *others, target=target, promises=promises(target, "amd64"))


@pytest.mark.parametrize(
    "name",
    [
        "MSVCP140D.dll",
        "VCRUNTIME140D.dll",
        "VCRUNTIME140_1D.dll",
        "vcruntime140_threadsd.dll",
        "ucrtbased.dll",
        "msvcp140_1d.dll",
        "msvcp140d_atomic_wait.dll",
        "msvcp140d_codecvt_ids.dll",
        "CONCRT140D.dll",
        "vcomp140d.dll",
        "mfc140d.dll",
        "mfc140ud.dll",
        "mfcm140ud.dll",
        "MSVCR120D.dll",
        "MSVCR90D.dll",
        "msvcrtd.dll",
        "python312_d.dll",
        "python3_d.dll",
        "python313t_d.dll",
    ],
)
def test_flags_and_says_it_alone(name: str) -> None:
    found = package(name)
    (finding,) = check(found)
    assert (finding.severity, finding.primary.field, finding.primary.position) == (Severity.ERROR, "import", 1)
    assert [finding.rule for finding in run_rules(found, ALL).findings] == ["debug-runtime"]


@pytest.mark.parametrize(
    "name",
    [
        "msvcp140.dll",
        "msvcp140_codecvt_ids.dll",
        "vcruntime140.dll",
        "vcruntime140_1.dll",
        "ucrtbase.dll",
        "msvcrt.dll",
        "python312.dll",
        "python3.dll",
        "mfc140u.dll",
        "d3d12.dll",
        "food.dll",
        "msvcp140d.dll.txt",
        "libd.dll",
    ],
)
def test_a_release_name_is_none(name: str) -> None:
    assert not is_debug_runtime(name)
    assert list(check(package(name))) == []


def test_a_wheel_for_a_debug_python() -> None:
    target = replace(WINDOWS, abis=("cp312d",))
    assert list(check(package("python312_d.dll", "ucrtbased.dll", "VCRUNTIME140D.dll", target=target))) == []


@pytest.mark.parametrize("member", ["demo/_core_d.pyd", "demo/_core_d.cp312-win_amd64.pyd"])
def test_a_module_that_only_a_debug_python_imports(member: str) -> None:
    assert list(check(package("python312_d.dll", "VCRUNTIME140D.dll", member=member))) == []


def test_a_bundled_debug_runtime_loads_and_is_a_warning() -> None:
    found: list[Finding] = list(check(package("MSVCP140D.dll", others=(binary("demo/msvcp140d.dll", pe("KERNEL32.dll")),))))
    assert [(finding.severity, finding.primary.label) for finding in found] == [(Severity.WARNING, "in the package; may not be passed on")]


def test_delayed_needs_and_payload() -> None:
    (finding,) = run_rules(package(Needed("MSVCP140D.dll", NeedKind.DELAYED), role=Role.PAYLOAD), [RULE]).findings
    assert (finding.severity, finding.primary.field) == (Severity.WARNING, "delay import")


def test_without_a_target_the_name_is_enough() -> None:
    assert len(list(check(package("MSVCP140D.dll", target=Target("", ""))))) == 1


def test_other_formats_are_not_judged() -> None:
    assert list(check(linked(binary("demo/_core.so", elf("msvcp140d.dll"))))) == []
