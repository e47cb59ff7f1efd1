"""newer-cxx-runtime-than-tag: a decision table, bad first."""

import pytest

from builders import binary, elf, survey, symbols
from relocator.findings import Where
from relocator.model import How, Needed, Resolution, VersionNeed
from relocator.rules.newer_cxx_runtime_than_tag import check
from relocator.symbols import Import


@pytest.mark.parametrize(
    ("version", "weak", "found"),
    [
        ("GLIBCXX_3.4.30", False, True),
        ("GLIBCXX_3.4.20", False, True),
        ("GLIBCXX_3.4.19", False, False),
        ("GLIBCXX_3.4.30", True, False),
        ("GLIBC_2.28", False, False),
        ("OPENSSL_3.0.0", False, False),  # a prefix that no level has is not judged
    ],
)
def test_versions_of_the_runtime_above_the_tag_are_found(version: str, weak: bool, found: bool) -> None:
    image = elf("libstdc++.so.6", versions=[VersionNeed("libstdc++.so.6", version, weak)])
    assert bool(list(check(survey(binary("demo/_core.so", image))))) == found


def test_the_highest_version_and_its_symbol_are_named() -> None:
    table = symbols([Import(b"_ZSt4fooV", "libstdc++.so.6", b"GLIBCXX_3.4.9"), Import(b"_ZSt3newV", "libstdc++.so.6", b"GLIBCXX_3.4.29")])
    needs = [VersionNeed("libstdc++.so.6", "GLIBCXX_3.4.29"), VersionNeed("libstdc++.so.6", "GLIBCXX_3.4.21")]
    (finding,) = check(survey(binary("demo/_core.so", elf("libstdc++.so.6", versions=needs, table=table))))
    assert finding.primary == Where(
        "demo/_core.so", "x86_64", "DT_VERNEED", None, "GLIBCXX_3.4.29", "_ZSt3newV@GLIBCXX_3.4.29", "from libstdc++.so.6"
    )


def test_a_runtime_that_comes_along_is_not_the_platforms() -> None:
    core = binary("demo/_core.so", elf("libstdc++.so.6", versions=[VersionNeed("libstdc++.so.6", "GLIBCXX_3.4.30")]))
    edge = Resolution(core.path, 0, Needed("libstdc++.so.6"), "x86_64", How.BUNDLED, "/x", "DT_RPATH")
    assert list(check(survey(core)))
    assert not list(check(survey(core, resolutions=[edge])))
