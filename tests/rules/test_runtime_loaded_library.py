"""runtime-loaded-library: names that code opens and that nothing brings."""

from dataclasses import replace

import pytest

from builders import LINUX, MACOS, SITE, WINDOWS, binary, elf, macho, member, pe, survey
from relocator.backends.macos.promises import promises as apple
from relocator.backends.windows.promises import promises as windows
from relocator.findings import Certainty, Finding, Severity
from relocator.model import Binary, Hint, Image, Survey
from relocator.rules.runtime_loaded_library import check
from relocator.target import Target


def core(*literals: str, image: Image | None = None) -> Binary:
    return binary("demo/_core.so", replace(image or elf("libc.so.6"), literals=tuple(name.encode() for name in literals)))


def names(of: Survey) -> list[str]:
    return [finding.primary.value for finding in check(of)]


@pytest.mark.parametrize(
    ("literal", "told"),
    [
        ("libclntsh.so", True),
        ("libcublas.so.12", True),
        ("libcudnn_ops_infer.so.8", True),
        ("libz.so.1", False),
        ("libc.so.6", False),
        ("libpthread.so.0", False),
        ("libstdc++.so.6", False),
        ("libpython3.12.so.1.0", False),
        ("libcuda.so.1", False),
        ("libcuda.so", False),
        ("libGL.so", False),
        ("libGL.so.1", False),
        ("libittnotify.so", False),
        ("libjemalloc.so.2", False),
        ("libmkl_avx2.so.2", False),
        ("module compiled against API version 0x%x", False),
    ],
)
def test_by_name(literal: str, told: bool) -> None:
    findings = list(check(survey(core(literal))))
    assert [finding.primary.value for finding in findings] == ([literal] if told else [])
    assert {(finding.severity, finding.certainty) for finding in findings} <= {(Severity.NOTE, Certainty.POSSIBLE)}


def test_mkl_opens_its_kernels_only_where_it_is_a_library() -> None:
    assert names(survey(core("libmkl_def.so.2", image=elf("libmkl_core.so.2")))) == ["libmkl_def.so.2"]


@pytest.mark.parametrize(
    "brought",
    [
        binary("demo.libs/libfoo.so.1", elf()),
        binary("demo.libs/libfoo-1.2.so", elf(soname="libfoo.so.1")),
    ],
)
def test_a_file_of_that_name_or_soname_is_brought(brought: Binary) -> None:
    assert names(survey(core("libfoo.so.1"))) == ["libfoo.so.1"]
    assert names(survey(core("libfoo.so.1"), brought)) == []


def test_code_may_add_the_version_to_a_name() -> None:
    assert names(survey(core("libfoo.so"), binary("demo.libs/libfoo.so.9", elf()))) == []
    assert names(survey(core("libfoo.so"), binary("demo.libs/libfoo.so.d", elf()))) == ["libfoo.so"]
    assert names(survey(core("libfoo.so.9"), binary("demo.libs/libfoo.so", elf()))) == ["libfoo.so.9"]
    assert names(survey(core("libz.so"))) == []


def test_a_file_that_is_no_binary_of_ours_is_brought_too() -> None:
    assert names(survey(core("libfoo.so.1"), members=(member("demo/libfoo.so.1"),))) == []


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (["libfoo.so.1"], False),
        (["libfoo-1a2b3c4d.so.1.0.0"], False),
        (["libfoobar-1a2b3c4d.so.1.0.0"], True),
        (["libfoo-extra.so.1"], True),
    ],
)
def test_names_of_needs_are_no_news_whatever_hash_a_tool_put_into_them(needs: list[str], told: bool) -> None:
    assert names(survey(core("libfoo.so.1", image=elf(*needs)))) == (["libfoo.so.1"] if told else [])


def test_a_library_may_name_itself() -> None:
    own = binary("demo.libs/libcrypto-a324fe28.so.1.1.1k", replace(elf(soname="x"), literals=(b"libcrypto.so.1.1", b"libcrypto.so")))
    assert names(survey(own)) == []


def one(of: Survey) -> Finding:
    (finding,) = check(of)
    return finding


def test_says_under_which_name_the_package_has_it() -> None:
    renamed = binary("demo.libs/libharfbuzz-1a2b3c4d.so.0.6", elf())
    assert "libharfbuzz-1a2b3c4d.so.0.6" in one(survey(core("libharfbuzz.so.0"), renamed)).help


def test_a_declared_dependency_that_is_known_to_ship_it_will_do() -> None:
    literal = core("libcublas.so.12")
    assert "depend on nvidia-cublas-cu12" in one(survey(literal)).help
    assert names(survey(literal, requires=["nvidia-cublas-cu12>=12"])) == []
    assert names(survey(literal, requires=["nvidia-cufft-cu12>=12"])) == ["libcublas.so.12"]


def opened(argument: str | None, target: Target = LINUX, call: str = "cdll") -> list[str]:
    return names(survey(core(), target=target, hints=[Hint("demo/__init__.py", 7, call, argument)]))


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("libfoo.so", ["libfoo.so"]),
        (f"{SITE}/demo/lib/libfoo.so.2", ["libfoo.so.2"]),
        ("/usr/lib/libfoo.so", []),
        ("lib/libfoo.so", []),
        ("libfoo", []),
        ("libfoo.dylib", []),
        ("foo.dll", []),
        ("libc.so.6", []),
        (None, []),
    ],
)
def test_names_in_python_sources(argument: str | None, told: list[str]) -> None:
    assert opened(argument) == told
    assert opened(argument, call="add_dll_directory") == []


def test_says_on_which_line() -> None:
    where = one(survey(core(), hints=[Hint("demo/__init__.py", 7, "cdll", "libfoo.so")])).primary
    assert (where.member, where.field) == ("demo/__init__.py", "line 7")


def on_windows(*literals: str, image: Image | None = None) -> list[str]:
    one = binary("demo/_core.pyd", replace(image or pe("KERNEL32.dll"), literals=tuple(name.encode() for name in literals)))
    return names(survey(one, target=WINDOWS, promises=[p for p in [windows(WINDOWS, "amd64")] if p]))


def test_on_windows_case_does_not_matter() -> None:
    assert on_windows("Foo.dll", "foo.DLL", image=pe("FOO.dll")) == []
    assert on_windows("Foo.dll", "kernel32.dll", "KERNEL32.DLL", "USER32.dll", "nvcuda.dll", "api-ms-win-core-synch-l1-2-0.dll") == [
        "Foo.dll"
    ]
    assert opened("foo.dll", WINDOWS) == ["foo.dll"]
    assert opened("FOO.DLL", WINDOWS) == ["FOO.DLL"]


def test_on_macos_the_systems_libraries_are_there() -> None:
    image = replace(macho(), literals=(b"libfribidi.dylib", b"libSystem.dylib", b"libsqlite3.dylib"))
    promise = apple(MACOS, "arm64")
    assert promise
    assert names(survey(binary("demo/_core.so", image), target=MACOS, promises=[promise])) == ["libfribidi.dylib"]


def test_other_systems_are_not_judged() -> None:
    assert list(check(survey(core("libfoo.so"), target=Target("any", "any"), promises=[]))) == []
