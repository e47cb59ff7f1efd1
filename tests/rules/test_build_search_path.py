"""build-search-path: what only the build machine is known to have."""

import pytest

from builders import LINUX, MACOS, SITE, binary, elf, macho, survey
from relocator.findings import Finding, Severity
from relocator.model import Distribution
from relocator.rules.build_search_path import check
from relocator.target import Target

ANDROID = Target("android_24_x86_64", "android", "bionic", (("x86_64", (24,)),))


def on_linux(text: str, target: Target = LINUX) -> list[Finding]:
    return list(check(survey(binary("demo/_core.so", elf(runpath=text)), target=target)))


def on_macos(text: str) -> list[Finding]:
    return list(check(survey(binary("demo/_core.so", macho(rpaths=[text])), target=MACOS)))


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("/home/me/lib", "a home directory"),
        ("/root/lib", "a home directory"),
        ("/usr/local/lib64", "what somebody installed by hand"),
        ("/opt/_internal/cpython-3.12/lib", "a Python of the manylinux images"),
        ("/builds/group/project/lib", "a CI runner's directory"),
        ("/__w/repo/lib", "a CI runner's directory"),
        ("/__w/_temp/conda_environment_1/lib", "a conda environment"),
        ("/io/lib", "the source folder in a build container"),
        ("/project/build", "the source folder in a build container"),
        ("/opt/rocm/lib", ""),
        ("/lib/../opt/x", ""),
        ("/", ""),
        ("/usr", ""),
        ("/libexec", ""),
        ("/opt/$ORIGIN/lib", ""),
    ],
)
def test_flags_on_linux(text: str, whose: str) -> None:
    (finding,) = on_linux(text)
    assert (finding.severity, finding.repaired_by, finding.primary.label) == (Severity.WARNING, "repair", whose)
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("DT_RUNPATH", 0, text)


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("/Users/runner/miniconda3/lib", "a conda environment"),
        ("/Users/runner/work/lib", "a home directory"),
        ("/opt/homebrew/lib", "Homebrew's directory"),
        ("/usr/local/opt/libomp/lib", "Homebrew's directory"),
        ("/opt/local/lib", "MacPorts' directory"),
        ("/Applications/Xcode_15.app/Contents/Developer/Toolchains/x/lib/swift-5.5/macosx", "a directory of Xcode"),
        ("/Library/Developer/CommandLineTools/usr/lib/swift/macosx", "a directory of Xcode"),
        ("/Library/Frameworks", ""),
        ("/lib", ""),
    ],
)
def test_flags_on_macos(text: str, whose: str) -> None:
    (finding,) = on_macos(text)
    assert (finding.severity, finding.primary.field, finding.primary.label) == (Severity.WARNING, "LC_RPATH", whose)


@pytest.mark.parametrize(
    "text",
    [
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64/",
        "/usr/lib/x86_64-linux-gnu",
        "/lib/intel64",
        "$ORIGIN",
        "$ORIGIN/../demo.libs",
        "lib",
        "",
    ],
)
def test_is_silent_on_linux_about(text: str) -> None:
    assert on_linux(text) == []


@pytest.mark.parametrize("text", ["/usr/lib", "/usr/lib/swift", "/System/Library/Frameworks", "@loader_path", "@executable_path/lib", ""])
def test_is_silent_on_macos_about(text: str) -> None:
    assert on_macos(text) == []


def test_androids_partitions_are_the_systems() -> None:
    assert on_linux("/system/lib64", ANDROID) == []
    assert len(on_linux("/system/lib64")) == 1


def test_one_text_is_told_once_for_an_image_and_once_for_each_slice() -> None:
    twice = binary("demo/a.so", macho(rpaths=["/opt/x", "/opt/x"]), macho(arch="x86_64", rpaths=["/opt/x"]))
    assert [finding.primary.arch for finding in check(survey(twice, target=MACOS))] == ["arm64", "x86_64"]


def test_a_path_into_the_folder_itself_is_no_build_directory() -> None:
    here = binary("demo/libfoo.so", elf(runpath=f"{SITE}/demo:/opt/x"))
    findings = list(check(survey(here, kind="folder", distributions=(Distribution("demo", "1", (), SITE),))))
    assert [finding.primary.value for finding in findings] == ["/opt/x"]
