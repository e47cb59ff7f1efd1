"""unbundled-msvc-runtime: what Python does not bring of the Visual C++ runtime."""

from dataclasses import replace

import pytest

from builders import WINDOWS, binary, elf, pe
from linked import linked
from relocator.audit import run_rules
from relocator.backends.windows.promises import promises
from relocator.findings import Severity
from relocator.model import Binary, How, Load, Needed, NeedKind, Role, Survey
from relocator.rules import debug_runtime, missing_library, unbundled_library
from relocator.rules.unbundled_msvc_runtime import RULE, check
from relocator.target import Target

ALL = [RULE, missing_library.RULE, unbundled_library.RULE, debug_runtime.RULE]


def package(*needed: str | Needed, others: tuple[Binary, ...] = (), target: Target = WINDOWS, **facts: object) -> Survey:
    arch = target.arches[0] if target.arches else "amd64"
    core = binary("demo/_core.pyd", pe("KERNEL32.dll", *needed, arch=arch), extension="demo._core")
    return linked(core, *others, target=target, promises=promises(target, arch), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "MSVCP140.dll",
        "msvcp140.dll",
        "MSVCP140_1.dll",
        "msvcp140_2.dll",
        "msvcp140_atomic_wait.dll",
        "msvcp140_codecvt_ids.dll",
        "CONCRT140.dll",
        "VCOMP140.DLL",
        "vcamp140.dll",
        "vccorlib140.dll",
        "mfc140u.dll",
        "mfc140.dll",
        "mfcm140u.dll",
        "atl100.dll",
        "MSVCR120.dll",
        "MSVCP100.dll",
        "vcomp120.dll",
        "vcruntime140_threads.dll",
    ],
)
def test_flags_and_says_it_alone(name: str) -> None:
    found = package(name)
    (finding,) = check(found)
    assert (finding.severity, finding.repaired_by) == (Severity.WARNING, "repair")
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("import", 1, name)
    assert finding.trail
    assert [finding.rule for finding in run_rules(found, ALL).findings] == ["unbundled-msvc-runtime"]


@pytest.mark.parametrize(
    "name", ["VCRUNTIME140.dll", "VCRUNTIME140_1.dll", "api-ms-win-crt-math-l1-1-0.dll", "ucrtbase.dll", "msvcrt.dll", "foo.dll"]
)
def test_is_silent_about(name: str) -> None:
    assert list(check(package(name))) == []


@pytest.mark.parametrize(
    ("python", "name", "expected"),
    [("cp38", "VCRUNTIME140_1.dll", 1), ("cp39", "VCRUNTIME140_1.dll", 0), ("cp37", "VCRUNTIME140.dll", 0)],
)
def test_the_oldest_python_of_the_tag_counts(python: str, name: str, expected: int) -> None:
    assert len(list(check(package(name, target=replace(WINDOWS, pythons=(python,), abis=("abi3",)))))) == expected


def test_bundled_beside_the_module() -> None:
    held = binary("demo/msvcp140.dll", pe("KERNEL32.dll"))
    assert list(check(package("MSVCP140.dll", others=(held,)))) == []


def test_a_debug_build_is_debug_runtime() -> None:
    found = package("MSVCP140D.dll", "MSVCP140_1D.dll", "VCRUNTIME140_1D.dll")
    assert list(check(found)) == []
    assert {finding.rule for finding in run_rules(found, ALL).findings} == {"debug-runtime"}


def test_a_delayed_need_counts() -> None:
    (finding,) = check(package(Needed("VCOMP140.DLL", NeedKind.DELAYED)))
    assert finding.primary.field == "delay import"


def changed(found: Survey, how: How, target: str | None = None) -> Survey:
    loads = [
        Load(load.root, load.arch, load.loader, load.order, tuple(r._replace(how=how, target=target) for r in load.resolutions))
        for load in found.loads
    ]
    return Survey(found.container, found.target, found.promises, found.binaries, tuple(loads))


def test_found_in_a_named_directory_is_to_be_copied() -> None:
    found = changed(package("MSVCP140.dll"), How.OUTSIDE, "/redist/msvcp140.dll")
    (finding,) = check(found)
    assert finding.primary.label == "found at /redist/msvcp140.dll"
    assert [f.rule for f in run_rules(found, ALL).findings if f.primary.value == "MSVCP140.dll"] == ["unbundled-msvc-runtime"]


@pytest.mark.parametrize("how", [How.EXPECTED, How.UNDECIDED, How.PROVIDED, How.BUNDLED])
def test_every_other_answer_is_fine(how: How) -> None:
    assert list(check(changed(package("MSVCP140.dll"), how))) == []


def test_payload_is_a_note() -> None:
    tool = binary("demo/tool.dll", pe("MSVCP140.dll"), role=Role.PAYLOAD)
    found = linked(tool, target=WINDOWS, promises=promises(WINDOWS, "amd64"))
    assert [finding.severity for finding in run_rules(found, [RULE]).findings] == [Severity.NOTE]


def test_other_formats_are_not_judged() -> None:
    assert list(check(linked(binary("demo/_core.so", elf("msvcp140.dll"))))) == []


def test_in_an_environment_the_redistributable_package_helps() -> None:
    survey = package("MSVCP140.dll", kind="environment")
    (finding,) = run_rules(survey, ALL).findings
    assert (finding.rule, finding.repaired_by) == ("unbundled-msvc-runtime", "")
    assert "vc_redist" in finding.help
