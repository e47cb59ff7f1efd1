"""narrow-tag: a decision table, bad first."""

import dataclasses

import pytest

from builders import LINUX, MACOS, MANYLINUX, binary, elf, macho, survey
from relocator.model import Binary, Format, Unreadable, VersionNeed
from relocator.rules.narrow_tag import check
from relocator.target import Target


def linux(*floor: int, **more: object) -> Target:
    return dataclasses.replace(LINUX, tag=f"manylinux_{floor[0]}_{floor[1]}_x86_64", floors=(("x86_64", floor),), **more)  # type: ignore[arg-type]


def core(version: str) -> Binary:
    return binary("demo/_core.so", elf("libc.so.6", versions=[VersionNeed("libc.so.6", version)]))


@pytest.mark.parametrize(
    ("target", "version", "found"),
    [
        (linux(2, 28), "GLIBC_2.17", True),
        (linux(2, 17), "GLIBC_2.2.5", True),
        (linux(2, 28), "GLIBC_2.28", False),
        (linux(2, 17), "GLIBC_2.28", False),
        (linux(2, 28), "GLIBC_2.99", False),
        (linux(2, 28, local=True), "GLIBC_2.17", False),
    ],
)
def test_binaries_that_fit_an_older_level_make_the_tag_narrow(target: Target, version: str, found: bool) -> None:
    result = list(check(survey(core(version), target=target, promises=[MANYLINUX])))
    assert bool(result) == found


def test_the_better_tag_is_named() -> None:
    (finding,) = check(survey(core("GLIBC_2.17"), target=linux(2, 28)))
    assert finding.primary.value == "manylinux_2_28_x86_64"
    assert finding.primary.label == "manylinux_2_17_x86_64 and manylinux2014_x86_64 would do"


@pytest.mark.parametrize(
    ("minimum", "floor", "found"),
    [((11, 0), (12, 0), True), ((12, 3), (12, 0), False), ((11, 0), (11, 0), False), ((10, 9), (11, 0), False), ((), (12, 0), False)],
)
def test_slices_for_an_older_macos_make_the_tag_narrow(minimum: tuple[int, ...], floor: tuple[int, ...], found: bool) -> None:
    target = dataclasses.replace(MACOS, floors=(("arm64", floor),))
    assert bool(list(check(survey(binary("demo/_core.so", macho(minimum_os=minimum)), target=target, promises=[])))) == found


def test_a_wheel_without_binaries_has_no_better_tag() -> None:
    assert not list(check(survey(target=linux(2, 28))))


def test_a_binary_that_could_not_be_read_may_need_the_newer_level() -> None:
    damaged = Unreadable("demo/_bad.so", "/x", Format.ELF, "e_phoff", "needs 64 bytes")
    assert list(check(survey(core("GLIBC_2.17"), target=linux(2, 28))))
    assert not list(check(survey(core("GLIBC_2.17"), target=linux(2, 28), unreadable=[damaged])))
