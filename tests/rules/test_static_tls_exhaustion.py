"""static-tls-exhaustion: the sum of what may be loaded against glibc's surplus."""

import dataclasses

import pytest

from builders import LINUX
from conflict_examples import part, shared
from linked import installed
from relocator.model import Binary, Load, Role, Survey
from relocator.rules.static_tls_exhaustion import check


def libraries(*sizes: int, align: int = 16, arch: str = "x86_64", static: bool = True) -> list[Binary]:
    found = []
    for number, size in enumerate(sizes):
        owner, name = f"p{number}", f"lib{number}.so"
        library = shared(owner, name, static_tls=static, tls_size=size, tls_align=align, arch=arch)
        found += [part(owner, name, arch=arch), library]
    return found


@pytest.mark.parametrize(
    ("sizes", "align", "expected"),
    [
        ((1664,), 16, 0),
        ((1665,), 1, 1),
        ((1000, 664), 8, 0),
        ((1000, 680), 8, 1),
        ((801, 801), 32, 0),
        ((801, 801), 64, 0),
        ((801, 833), 64, 1),
    ],
)
def test_the_sum_counts_rounded_up_to_the_alignment(sizes: tuple[int, ...], align: int, expected: int) -> None:
    assert len(list(check(installed(*libraries(*sizes, align=align))))) == expected


def test_the_largest_is_named_first() -> None:
    (finding,) = check(installed(*libraries(700, 1200)))
    assert (finding.primary.member, finding.primary.value) == ("p1/lib1.so", "1,200 bytes")
    assert [where.member for where in finding.related] == ["p0/lib0.so"]
    assert "1,904 bytes" in finding.message


def test_aarch64_has_less_room() -> None:
    target = dataclasses.replace(LINUX, tag="manylinux_2_17_aarch64", floors=(("aarch64", (2, 17)),))
    assert len(list(check(installed(*libraries(1200, arch="aarch64"), target=target, promises=None)))) == 1
    assert list(check(installed(*libraries(1152, arch="aarch64"), target=target, promises=None))) == []


def test_dynamic_storage_and_payload_do_not_count() -> None:
    assert list(check(installed(*libraries(5000, static=False)))) == []
    payload = [dataclasses.replace(one, role=Role.PAYLOAD, extension=None) for one in libraries(5000)]
    assert list(check(installed(*payload))) == []


def test_one_soname_counts_once() -> None:
    files = [one for o in "ab" for one in (part(o, "lib.so"), shared(o, "lib.so", static_tls=True, tls_size=1000, tls_align=16))]
    assert list(check(installed(*files))) == []


def test_what_the_interpreter_needs_is_there_from_the_start() -> None:
    survey: Survey = installed(*libraries(1200, 700))
    program = "/usr/bin/python3"
    start = Load(program, "x86_64", "glibc", (program, next(one.path for one in survey.binaries if one.member == "p0/lib0.so")), ())
    assert list(check(dataclasses.replace(survey, loads=(start, *survey.loads), global_scope=(program,)))) == []


def test_musl_keeps_no_such_reserve() -> None:
    survey = installed(*libraries(5000))
    assert list(check(dataclasses.replace(survey, target=dataclasses.replace(LINUX, libc="musl")))) == []
