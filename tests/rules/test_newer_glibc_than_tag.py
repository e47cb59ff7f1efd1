"""newer-glibc-than-tag: a decision table, bad first."""

import dataclasses

import pytest

from builders import LINUX, binary, elf, survey, symbols
from relocator.findings import Severity, Where
from relocator.model import How, Needed, Resolution, VersionNeed
from relocator.rules.newer_glibc_than_tag import check
from relocator.symbols import Import

OLD = dataclasses.replace(LINUX, tag="manylinux_2_5_x86_64", floors=(("x86_64", (2, 5)),))


def need(version: str, library: str = "libc.so.6", weak: bool = False) -> VersionNeed:
    return VersionNeed(library, version, weak)


@pytest.mark.parametrize(
    ("versions", "values"),
    [
        ([need("GLIBC_2.28")], ["GLIBC_2.28"]),
        ([need("GLIBC_2.28"), need("GLIBC_2.34"), need("GLIBC_2.9")], ["GLIBC_2.34"]),
        ([need("GLIBC_2.18"), need("GLIBC_2.23", "libm.so.6")], ["GLIBC_2.18", "GLIBC_2.23"]),
        ([need("GLIBC_ABI_GNU2_TLS")], ["GLIBC_ABI_GNU2_TLS"]),
        ([need("GLIBC_2.17"), need("GLIBC_2.2.5")], []),
        ([need("GLIBC_2.28", weak=True)], []),
        ([need("GLIBC_PRIVATE")], []),
        ([need("GLIBCXX_3.4.30")], []),
        ([need("GLIBC_2.9")], []),  # not on the table's list, and not newer than the tag
    ],
)
def test_versions_above_the_tag_are_found_once_per_library(versions: list[VersionNeed], values: list[str]) -> None:
    found = list(check(survey(binary("demo/_core.so", elf(versions=versions)))))
    assert [finding.primary.value for finding in found] == values
    assert all(finding.severity == Severity.ERROR for finding in found)


def test_the_finding_names_file_library_version_and_symbol() -> None:
    table = symbols([Import(b"puts", "libc.so.6", b"GLIBC_2.2.5"), Import(b"memcpy", "libc.so.6", b"GLIBC_2.14")])
    image = elf("libc.so.6", versions=[need("GLIBC_2.2.5"), need("GLIBC_2.14")], table=table)
    (finding,) = check(survey(binary("demo/_core.so", image), target=OLD))
    assert finding.primary == Where("demo/_core.so", "x86_64", "DT_VERNEED", None, "GLIBC_2.14", "memcpy@GLIBC_2.14", "from libc.so.6")
    assert finding.message == "needs a newer glibc than manylinux_2_5 promises"


def test_a_local_tag_promises_no_level() -> None:
    local = dataclasses.replace(LINUX, tag="linux_x86_64", floors=(("x86_64", ()),), local=True)
    assert not list(check(survey(binary("demo/_core.so", elf(versions=[need("GLIBC_2.99")])), target=local)))


def test_packed_relocations_are_told_by_their_own_rule() -> None:
    assert list(check(survey(binary("demo/_core.so", elf(versions=[need("GLIBC_2.28")])))))
    assert not list(check(survey(binary("demo/_core.so", elf(versions=[need("GLIBC_2.28")], relr=True)))))


def test_a_glibc_library_that_comes_along_brings_its_own_versions() -> None:
    core = binary("demo/_core.so", elf("libcrypt.so.1", versions=[need("GLIBC_2.28", "libcrypt.so.1")]))
    edge = Resolution(core.path, 0, Needed("libcrypt.so.1"), "x86_64", How.BUNDLED, "/x", "DT_RPATH")
    assert list(check(survey(core)))
    assert not list(check(survey(core, resolutions=[edge])))


def test_another_architecture_is_not_judged_by_this_ones_level() -> None:
    assert not list(check(survey(binary("demo/_core.so", elf(arch="aarch64", versions=[need("GLIBC_2.28")])))))
