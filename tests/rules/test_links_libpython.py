"""links-libpython: Python is in the process already."""

import pytest

from builders import LINUX, MACOS, binary, elf, macho, pe, survey
from linked import lib, linked, module, outside
from relocator.audit import run_rules
from relocator.findings import Finding, Severity
from relocator.model import Binary, Image
from relocator.rules import links_libpython, missing_library, unbundled_library
from relocator.rules.links_libpython import check


def found(*images: Image, target: object = LINUX) -> list[Finding]:
    files = [binary(f"demo/_core{number}.so", image) for number, image in enumerate(images)]
    return list(check(survey(*files, target=target)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "libpython3.12.so.1.0",
        "libpython3.so",
        "libpython3.13t.so.1.0",
        "libpython3.11d.so.1.0",
        "libpython3.7m.so.1.0",
        "libpython2.7.so.1.0",
        "libpypy3.11-c.so",
        "/usr/lib/libpython3.12.so.1.0",
    ],
)
def test_flags_on_linux(name: str) -> None:
    (finding,) = found(elf("libc.so.6", name))
    assert (finding.severity, finding.repaired_by) == (Severity.WARNING, "repair")
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("DT_NEEDED", 1, name)


@pytest.mark.parametrize(
    "name",
    [
        "/Library/Frameworks/Python.framework/Versions/3.12/Python",
        "@rpath/Python3.framework/Versions/3.9/Python3",
        "/Library/Frameworks/PythonT.framework/Versions/3.13/PythonT",
        "@rpath/libpython3.12.dylib",
        "@loader_path/.dylibs/Python",
        "/opt/homebrew/opt/python@3.12/Frameworks/Python.framework/Versions/3.12/Python",
    ],
)
def test_flags_on_macos_as_an_error_that_repair_cannot_mend(name: str) -> None:
    (finding,) = found(macho(name), target=MACOS)
    assert (finding.severity, finding.repaired_by) == (Severity.ERROR, "")
    assert (finding.primary.field, finding.primary.value) == ("LC_LOAD_DYLIB", name)


@pytest.mark.parametrize(
    "image",
    [
        elf("libpythonize.so.1", "libboost_python312.so.1.83.0", "python3.12.so"),
        macho("@rpath/libboost_python312.dylib", "@rpath/Pythonic"),
        elf("libpython3.12.so.1.0", kind="program"),
        elf("libpython3.12.so", android_api=24),
        macho("@rpath/Python.framework/Python", platform="ios"),
        pe("python312.dll"),
    ],
)
def test_is_silent_about(image: Image) -> None:
    assert found(image) == []


def _files(*names: str) -> list[Binary]:
    program = binary("demo/bin/python", elf("libpython3.12.so.1.0", kind="program"))
    library = lib("demo/lib/libpython3.12.so.1.0")
    known = {"module": module("libpython3.12.so.1.0"), "program": program, "library": library}
    return [known[name] for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["module"], 1), (["module", "program"], 1), (["module", "library"], 1), (["module", "program", "library"], 0)],
)
def test_a_package_that_brings_a_whole_python_may_link_to_it(names: list[str], expected: int) -> None:
    assert len(list(check(survey(*_files(*names))))) == expected


@pytest.mark.parametrize("search", [[], ["/opt/python"]])
def test_it_is_told_once(search: list[str]) -> None:
    package = linked(module("libpython3.12.so.1.0"), outside("/opt/python/libpython3.12.so.1.0"), search=search)
    report = run_rules(package, [missing_library.RULE, unbundled_library.RULE, links_libpython.RULE])
    assert [finding.rule for finding in report.findings] == ["links-libpython"]
