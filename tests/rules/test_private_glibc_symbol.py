"""private-glibc-symbol: a decision table, bad first."""

import pytest

from builders import symbols
from linked import lib, linked, module
from relocator.model import VersionNeed
from relocator.rules.private_glibc_symbol import check
from relocator.symbols import Import

PRIVATE = b"GLIBC_PRIVATE"


@pytest.mark.parametrize(
    ("need", "found"),
    [
        (VersionNeed("libc.so.6", "GLIBC_PRIVATE"), True),
        (VersionNeed("libc.so.6", "GLIBC_PRIVATE", weak=True), False),
        (VersionNeed("libc.so.6", "GLIBC_2.17"), False),
    ],
)
def test_a_private_version_is_found(need: VersionNeed, found: bool) -> None:
    table = symbols([Import(b"__libc_a", "libc.so.6", PRIVATE), Import(b"__libc_b", "libc.so.6", PRIVATE)])
    result = list(check(linked(module("libc.so.6", versions=[need], table=table))))
    assert [(f.primary.symbol, f.primary.label) for f in result] == (
        [("__libc_a@GLIBC_PRIVATE", "from libc.so.6, with 1 more: __libc_b@GLIBC_PRIVATE")] if found else []
    )


def test_a_part_of_glibc_is_named_as_such() -> None:
    part = lib("demo.libs/libresolv-2.17.so", "libc.so.6", soname="libresolv.so.2", versions=[VersionNeed("libc.so.6", "GLIBC_PRIVATE")])
    (finding,) = check(linked(part))
    assert finding.message.startswith("is a part of glibc")


def test_what_the_package_brings_itself_is_met() -> None:
    core = module("libpthread.so.0", rpath="$ORIGIN", versions=[VersionNeed("libpthread.so.0", "GLIBC_PRIVATE")])
    assert list(check(linked(core)))
    assert not list(check(linked(core, lib("demo/libpthread.so.0"))))
