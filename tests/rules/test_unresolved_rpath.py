"""unresolved-rpath: names that no LC_RPATH leads to."""

import pytest

from builders import MACOS, binary, elf, macho
from linked import linked
from relocator.audit import run_rules
from relocator.backends.macos.promises import promises
from relocator.findings import Certainty, Severity
from relocator.model import Binary, Hint, Needed, NeedKind, Role, Survey
from relocator.rules import links_libpython, missing_library
from relocator.rules.unresolved_rpath import RULE, check

ALL = [RULE, missing_library.RULE, links_libpython.RULE]
NAME = "@rpath/libomp.dylib"


def package(*binaries: Binary, **facts: object) -> Survey:
    return linked(*binaries, target=MACOS, promises=promises(MACOS, "arm64"), **facts)  # type: ignore[arg-type]


def core(*needed: str | Needed, rpaths: tuple[str, ...] = ()) -> Binary:
    return binary("demo/_core.so", macho(*needed, rpaths=rpaths, sdk=(15, 0)), extension="demo._core")


def dylib(member: str, *needed: str) -> Binary:
    return binary(member, macho(*needed, kind="library", install_name=f"@rpath/{member.rpartition('/')[2]}"))


BAD = {
    "no LC_RPATH": package(core(NAME)),
    "one that leads to the build machine": package(core(NAME, rpaths=("/opt/homebrew/opt/libomp/lib",))),
    "one that leads elsewhere": package(core(NAME, rpaths=("@loader_path/lib",)), dylib("demo/.dylibs/libomp.dylib")),
    "re-exported": package(core(Needed(NAME, NeedKind.REEXPORT), rpaths=("@loader_path",))),
    "in a library that the module brings": package(core("@loader_path/liba.dylib"), dylib("demo/liba.dylib", NAME)),
}

GOOD = {
    "found": package(core(NAME, rpaths=("@loader_path/.dylibs",)), dylib("demo/.dylibs/libomp.dylib")),
    "found by the LC_RPATH of the loader": package(
        core("@loader_path/liba.dylib", rpaths=("@loader_path/.dylibs",)),
        dylib("demo/liba.dylib", NAME),
        dylib("demo/.dylibs/libomp.dylib"),
    ),
    "loaded already by another path": package(core("@loader_path/.dylibs/libomp.dylib", NAME), dylib("demo/.dylibs/libomp.dylib")),
    "weak": package(core(Needed(NAME, NeedKind.WEAK))),
    "not an @rpath": package(core("@loader_path/libomp.dylib")),
    "ELF": linked(binary("demo/_core.so", elf(NAME))),
}


@pytest.mark.parametrize("case", BAD)
def test_flags_and_says_it_alone(case: str) -> None:
    (finding,) = check(BAD[case])
    assert (finding.severity, finding.certainty, finding.primary.value) == (Severity.ERROR, Certainty.CERTAIN, NAME)
    assert finding.trail
    assert [f.rule for f in run_rules(BAD[case], ALL).findings if f.primary.value == NAME] == ["unresolved-rpath"]


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


def test_the_trail_names_every_place() -> None:
    (finding,) = check(BAD["one that leads to the build machine"])
    assert [line.partition(": ")[0] for line in finding.trail] == [NAME, "/opt/homebrew/opt/libomp/lib/libomp.dylib", NAME]
    assert finding.primary.field == "LC_LOAD_DYLIB"


def test_says_where_the_package_has_it() -> None:
    (finding,) = check(BAD["one that leads elsewhere"])
    assert finding.primary.label == "the package has demo/.dylibs/libomp.dylib"
    assert "@loader_path" in finding.help


@pytest.mark.parametrize("facts", [{"requires": ["torch"]}, {"hints": [Hint("demo/__init__.py", 1, "cdll", None)]}])
def test_is_less_sure_when_something_else_may_load_it(facts: dict[str, object]) -> None:
    (finding,) = check(package(core(NAME), **facts))
    assert finding.certainty == Certainty.LIKELY


def test_python_itself_is_links_libpython() -> None:
    found = package(core("@rpath/libpython3.12.dylib"))
    assert [finding.rule for finding in run_rules(found, ALL).findings] == ["links-libpython"]


def test_is_a_warning_for_what_no_import_reaches() -> None:
    plugin = binary("demo/plugin.dylib", macho(NAME, kind="library"), role=Role.PAYLOAD)
    assert [finding.severity for finding in run_rules(package(plugin), [RULE]).findings] == [Severity.WARNING]
