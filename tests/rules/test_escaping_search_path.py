"""escaping-search-path: what the package does not bring."""

import pytest

from builders import LINUX, MACOS, binary, elf, macho, member, survey
from relocator.findings import Finding, Severity
from relocator.model import PREFIX, Binary, Image
from relocator.rules.escaping_search_path import check

MEMBERS = (member("demo/_core.so"), member("demo/__init__.py"), member("demo.libs/liba.so.1"), member("nvidia/own/lib/libx.so"))


def found(text: str, at: str = "demo/_core.so", image: Image | None = None, **facts: object) -> list[Finding]:
    file = binary(at, image or elf(runpath=text))
    return list(check(survey(file, **{"members": MEMBERS, "target": LINUX, **facts})))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("$ORIGIN/../torch/lib", "leads to site-packages/torch/lib"),
        ("${ORIGIN}/../torch/lib", "leads to site-packages/torch/lib"),
        ("$ORIGIN/../..", "leads to <prefix>/lib/python3"),
        ("$ORIGIN/../../..", "leads to <prefix>/lib"),
        ("$ORIGIN/../../../../lib64", "leads to <prefix>/lib64"),
        ("$ORIGIN/../demolition", "leads to site-packages/demolition"),
        ("$ORIGIN/" + "../" * 9 + "usr/lib", "leads to above the installation (/usr/lib)"),
    ],
)
def test_flags(text: str, leads: str) -> None:
    (finding,) = found(text)
    assert (finding.severity, finding.repaired_by, finding.primary.label) == (Severity.NOTE, "", leads)


@pytest.mark.parametrize(
    "text",
    [
        "$ORIGIN",
        "$ORIGIN/",
        "$ORIGIN/..",
        "$ORIGIN/../demo.libs",
        "$ORIGIN/lib",
        "$ORIGIN/../demo/missing",
        "$ORIGIN/../nvidia/cublas/lib",
        "/opt/x",
        "../torch/lib",
        "$ORIGINAL/../..",
    ],
)
def test_is_silent_about(text: str) -> None:
    assert found(text) == []


def test_macos_and_the_program_of_an_executable_path() -> None:
    up = "@loader_path/../../.."
    assert len(found("", image=macho(rpaths=[up]), target=MACOS)) == 1
    assert len(found("", image=macho(rpaths=["@loader_path/../demo.libs"]), target=MACOS)) == 0
    executable = "@executable_path/../../.."
    assert len(found("", image=macho(rpaths=[executable]), target=MACOS)) == 0
    assert len(found("", image=macho(rpaths=[executable], kind="program"), target=MACOS)) == 1


def test_data_folders_of_the_package_are_inside() -> None:
    data = Binary("demo-1.0.data/data/lib/libdemo.so", f"{PREFIX}/lib/libdemo.so", (elf(),), owner="demo")
    core = binary("demo/_core.so", elf(runpath="$ORIGIN/../../.."))
    other = binary("demo/_other.so", elf(runpath="$ORIGIN/../torch"))
    assert list(check(survey(core, data, members=MEMBERS))) == []
    (finding,) = check(survey(core, data, other, members=MEMBERS))
    assert finding.primary.member == "demo/_other.so"


def test_without_a_distribution_nothing_says_where_the_package_ends() -> None:
    assert found("$ORIGIN/../../..", distributions=(), kind="folder") == []
