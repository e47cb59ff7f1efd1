"""libc-mismatch: a decision table, bad first."""

import pytest

from builders import LINUX, WINDOWS, binary, elf, pe, survey
from relocator.model import Image, VersionNeed
from relocator.rules.libc_mismatch import RULE, check
from relocator.target import Target

Place = tuple[str, int | None, str] | None

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
ANDROID = Target("android_24_x86_64", "android", "bionic", (("x86_64", (24,)),))


@pytest.mark.parametrize(
    ("image", "target", "place"),
    [
        (elf("libm.so.6", "libc.so.6", "ld-linux-x86-64.so.2"), MUSL, ("DT_NEEDED", 2, "ld-linux-x86-64.so.2")),
        (elf("libc.so.6"), MUSL, ("DT_NEEDED", 0, "libc.so.6")),
        (elf("libfoo.so", versions=[VersionNeed("libfoo.so", "GLIBC_2.4")]), MUSL, ("DT_VERNEED", None, "GLIBC_2.4")),
        (elf(interpreter="/lib64/ld-linux-x86-64.so.2"), MUSL, ("PT_INTERP", None, "/lib64/ld-linux-x86-64.so.2")),
        (elf("libc.musl-x86_64.so.1"), LINUX, ("DT_NEEDED", 0, "libc.musl-x86_64.so.1")),
        (elf("libc.so.6"), ANDROID, ("DT_NEEDED", 0, "libc.so.6")),
        (elf("libc.so", android_api=24), LINUX, (".note.android.ident", None, "24")),
        (elf("libc.so.6"), LINUX, None),
        (elf("libc.musl-x86_64.so.1"), MUSL, None),
        (elf("libm.so.6"), MUSL, None),  # nothing tells
        (elf(dynamic=False), MUSL, None),
        (elf("libc.so.6", arch="aarch64"), MUSL, None),  # wrong-architecture says it
        (pe("KERNEL32.dll"), WINDOWS, None),
    ],
)
def test_a_binary_of_another_c_library_is_found_by_its_mark(
    image: Image, target: Target, place: tuple[str, int | None, str] | None
) -> None:
    found = list(check(survey(binary("demo/_core.so", image), target=target)))
    assert [(finding.primary.field, finding.primary.position, finding.primary.value) for finding in found] == ([place] if place else [])


def test_the_missing_loader_is_not_told_twice() -> None:
    assert RULE.supersedes == ("missing-library",)
