"""absolute-install-name: paths that macOS does not promise."""

import pytest

from builders import MACOS, SITE, binary, elf, macho
from linked import linked
from relocator.audit import run_rules
from relocator.backends.macos.promises import promises
from relocator.findings import Certainty, Finding, Severity
from relocator.model import Binary, How, Needed, NeedKind, Survey
from relocator.rules import left_to_dependency, links_libpython, missing_library, unbundled_library
from relocator.rules.absolute_install_name import RULE, check
from relocator.target import Target

ALL = [RULE, missing_library.RULE, unbundled_library.RULE, links_libpython.RULE, left_to_dependency.RULE]


def package(*needed: str | Needed, others: tuple[Binary, ...] = (), target: Target = MACOS, search: tuple[str, ...] = ()) -> Survey:
    core = binary("demo/_core.so", macho(*needed, sdk=(15, 0)), extension="demo._core")
    return linked(core, *others, target=target, promises=promises(MACOS, "arm64"), search=search)


def told(found: Survey) -> list[tuple[str, Severity]]:
    return [(finding.rule, finding.severity) for finding in run_rules(found, ALL).findings]


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("/opt/homebrew/opt/libomp/lib/libomp.dylib", "Homebrew's directory"),
        ("/usr/local/opt/libomp/lib/libomp.dylib", "Homebrew's directory"),
        ("/usr/local/lib/libfoo.dylib", "what somebody installed by hand"),
        ("/opt/local/lib/libz.1.dylib", "MacPorts' directory"),
        ("/Users/runner/work/demo/libdemo.dylib", "a home directory"),
        ("/Users/me/miniconda3/lib/libfoo.dylib", "a conda environment"),
        ("/Library/Frameworks/R.framework/Versions/4.3/Resources/lib/libR.dylib", ""),
        ("/private/tmp/build/libx.dylib", ""),
        ("/libfoo.dylib", ""),
    ],
)
def test_flags_and_says_it_alone(name: str, whose: str) -> None:
    found = package("/usr/lib/libSystem.B.dylib", name)
    (finding,) = check(found)
    assert (finding.severity, finding.certainty, finding.repaired_by) == (Severity.ERROR, Certainty.CERTAIN, "repair")
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("LC_LOAD_DYLIB", 1, name)
    assert finding.primary.label == whose
    assert finding.trail
    assert told(found) == [("absolute-install-name", Severity.ERROR)]


@pytest.mark.parametrize(
    "needed",
    [
        "/usr/lib/libSystem.B.dylib",
        "/System/Library/Frameworks/Accelerate.framework/Versions/A/Accelerate",
        "@rpath/libomp.dylib",
        "@loader_path/libomp.dylib",
        "libomp.dylib",
        Needed("/opt/homebrew/lib/libfoo.dylib", NeedKind.WEAK),
    ],
)
def test_is_silent_about(needed: str | Needed) -> None:
    assert list(check(package(needed))) == []


def test_a_system_path_that_nobody_promises_is_missing_library() -> None:
    assert told(package("/usr/lib/libnosuch.dylib")) == [("missing-library", Severity.ERROR)]


def test_python_itself_is_links_libpython() -> None:
    assert told(package("/Library/Frameworks/Python.framework/Versions/3.12/Python")) == [("links-libpython", Severity.ERROR)]


def test_found_in_a_directory_that_the_user_named() -> None:
    path = "/opt/homebrew/lib/libfoo.dylib"
    outside = Binary(path, path, (macho(kind="library", install_name=path),))
    found = package(path, others=(outside,), search=("/opt/homebrew/lib",))
    assert [r.how for load in found.loads for r in load.resolutions] == [How.OUTSIDE]
    (finding,) = check(found)
    assert finding.help.startswith("`relocate repair` copies it")
    assert told(found) == [("absolute-install-name", Severity.ERROR)]


def test_what_the_package_has_loaded_by_that_install_name_is_met() -> None:
    name = "/opt/homebrew/lib/libfoo.dylib"
    held = binary("demo/libfoo.dylib", macho(kind="library", install_name=name, sdk=(15, 0)))
    assert list(check(package("@loader_path/libfoo.dylib", name, others=(held,)))) == []


def expected(found: Survey) -> Survey:
    """The same, as if a dependency were known to ship what is missing."""
    loads = tuple(
        type(load)(load.root, load.arch, load.loader, load.order, tuple(r._replace(how=How.EXPECTED) for r in load.resolutions))
        for load in found.loads
    )
    return Survey(found.container, found.target, found.promises, found.binaries, loads)


def test_a_dependency_that_ships_the_file_does_not_ship_the_path() -> None:
    found = expected(package("/opt/homebrew/opt/libomp/lib/libomp.dylib"))
    (finding,) = check(found)
    assert finding.certainty == Certainty.LIKELY
    assert told(found) == [("absolute-install-name", Severity.ERROR)]


def test_without_a_target_nothing_is_judged() -> None:
    found: list[Finding] = list(check(package("/opt/homebrew/lib/libfoo.dylib", target=Target("", ""))))
    assert found == []


def test_an_absolute_path_in_an_elf_file_is_path_in_needed() -> None:
    assert list(check(linked(binary("demo/_core.so", elf("/opt/homebrew/lib/libfoo.so"))))) == []
    assert SITE.startswith("/")
