"""order-dependent-load: found only in company."""

import dataclasses

import pytest

from conflict_examples import bundle, dll, dylib, on_macos, on_windows, part, pyd, shared
from linked import installed
from relocator.audit import run_rules
from relocator.findings import Severity
from relocator.model import Hint, Role, Survey
from relocator.rules import RULES
from relocator.rules.order_dependent_load import check
from relocator.target import Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))


def elf_pair(*, soname: str = "libfoo.so.1", **facts: object) -> Survey:
    return installed(part("demo", "libfoo.so.1"), part("other", soname), shared("other", soname), **facts)  # type: ignore[arg-type]


def mac_pair(identity: str) -> Survey:
    return on_macos(
        bundle("demo", "@rpath/libomp.dylib", sdk=(15, 0)),
        bundle("other", "@loader_path/.dylibs/libomp.dylib"),
        dylib("other", "libomp.dylib", identity),
    )


@pytest.mark.parametrize(("requires", "severity"), [({}, Severity.WARNING), ({"demo": ("other",)}, Severity.NOTE)])
def test_a_declared_dependency_is_imported_first_as_a_rule(requires: dict[str, tuple[str, ...]], severity: Severity) -> None:
    (finding,) = check(elf_pair(requires=requires))
    assert (finding.severity, finding.primary.value) == (severity, "libfoo.so.1")
    assert [where.member for where in finding.related] == ["other/libfoo.so.1"]
    assert finding.trail


def test_it_alone_speaks_about_the_place() -> None:
    assert [finding.rule for finding in run_rules(elf_pair(), RULES).findings] == ["order-dependent-load"]


@pytest.mark.parametrize(
    ("identity", "expected"), [("@rpath/libomp.dylib", 1), ("/DLC/other/.dylibs/libomp.dylib", 0), ("@rpath/libiomp5.dylib", 0)]
)
def test_macos_wants_the_whole_install_name(identity: str, expected: int) -> None:
    assert len(list(check(mac_pair(identity)))) == expected


@pytest.mark.parametrize(("name", "expected"), [("FOO.dll", 1), ("bar.dll", 0), ("foo-1a2b3c4d.dll", 0)])
def test_windows_wants_the_base_name(name: str, expected: int) -> None:
    survey = on_windows(pyd("demo", "foo.dll"), pyd("other", name), dll("other", name))
    assert len(list(check(survey))) == expected


@pytest.mark.parametrize("name", ["MSVCP140.dll", "vcomp140.dll"])
def test_microsofts_runtimes_are_left_to_another_rule(name: str) -> None:
    survey = on_windows(pyd("demo", name), pyd("other", name), dll("other", name))
    assert list(check(survey)) == []
    assert [finding.rule for finding in run_rules(survey, RULES).findings] == ["unbundled-msvc-runtime"]


def test_musl_compares_files() -> None:
    assert list(check(elf_pair(target=MUSL, promises=None))) == []


def test_only_the_libraries_that_imports_bring_help() -> None:
    spare = dataclasses.replace(shared("other", "libfoo.so.1"), role=Role.PAYLOAD)
    assert list(check(installed(part("demo", "libfoo.so.1"), part("other"), spare))) == []
    assert list(check(elf_pair(soname="libfoo-1a2b3c4d.so.1"))) == []


def test_ones_own_library_is_another_fault() -> None:
    files = [
        part("demo", "libfoo.so.1", rpath=None),
        dataclasses.replace(part("demo", "libfoo.so.1"), member="demo/_b.so", path="/x/_b.so"),
    ]
    own = shared("demo", "libfoo.so.1")
    assert list(check(installed(*files, own))) == []


def test_what_the_package_opens_itself_is_no_matter_of_order() -> None:
    """The folder is added in a way that cannot be evaluated, by the very package."""
    far = dataclasses.replace(dll("qt", "qtcore.dll"), role=Role.PAYLOAD, path="/elsewhere/qtcore.dll")
    survey = on_windows(pyd("demo", "qtcore.dll"), far, requires={"demo": ("qt",)})
    assert list(check(dataclasses.replace(survey, hints=(Hint("demo/__init__.py", 1, "add_dll_directory", None),)))) == []
