"""wrong-extension-suffix: a file that the tag's Python never looks for."""

from dataclasses import replace

import pytest

from builders import LINUX, MACOS, WINDOWS, binary, elf, macho, member, pe, survey, symbols
from relocator.findings import Finding, Severity
from relocator.model import Binary, Format, Image
from relocator.rules.wrong_extension_suffix import check
from relocator.target import Target

MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
ARM = Target("manylinux_2_31_armv7l", "linux", "glibc", (("armv7l", (2, 31)),))
ANDROID = Target("android_24_arm64_v8a", "android", "bionic", (("aarch64", (24,)),))
IOS = Target("ios_13_0_arm64_iphoneos", "ios", "", (("arm64", (13, 0)),))
SYSTEMS = {"linux": LINUX, "musl": MUSL, "arm": ARM, "macos": MACOS, "windows": WINDOWS, "android": ANDROID, "ios": IOS}


def image(target: Target) -> Image:
    make = {"windows": pe, "macos": macho, "ios": macho}.get(target.os, elf)
    return make(arch=target.arches[0])  # type: ignore[no-any-return, operator]


def module(name: str, target: Target, extension: str = "demo._core") -> Binary:
    return binary(f"demo/{name}", image(target), extension=extension)


def found(tags: str, system: str, *names: str, **facts: object) -> list[Finding]:
    pythons, _, abis = tags.partition("-")
    target = replace(SYSTEMS[system], pythons=tuple(pythons.split(".")), abis=tuple(abis.split(".")))
    return list(check(survey(*(module(name, target) for name in names), target=target, **facts)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tags", "system", "bad", "good"),
    [
        ("cp311-cp311", "linux", "_core.cpython-312-x86_64-linux-gnu.so", "_core.cpython-311-x86_64-linux-gnu.so"),
        ("cp311-cp311", "linux", "_core.cpython-311-aarch64-linux-gnu.so", "_core.abi3.so"),
        ("cp311-cp311", "linux", "_core.cpython-311-x86_64-linux-musl.so", "_core.so"),
        ("cp311-cp311", "linux", "_core.cpython-311-darwin.so", "_core.so"),
        ("cp311-cp311", "linux", "_core.pyd", "_core.so"),
        ("cp311-cp311", "linux", "_core.abi3t.so", "_core.so"),
        ("cp311-cp311", "linux", "_core.abi3-x86_64-linux-gnu.so", "_core.abi3.so"),
        ("cp311-cp311", "linux", "_core.pypy310-pp73-x86_64-linux-gnu.so", "_core.so"),
        ("cp37-cp37m", "linux", "_core.cpython-37-x86_64-linux-gnu.so", "_core.cpython-37m-x86_64-linux-gnu.so"),
        ("cp34-cp34m", "linux", "_core.cpython-33m.so", "_core.cpython-34m.so"),
        ("cp313-cp313t", "linux", "_core.cpython-313-x86_64-linux-gnu.so", "_core.cpython-313t-x86_64-linux-gnu.so"),
        ("cp313-cp313", "linux", "_core.cpython-313t-x86_64-linux-gnu.so", "_core.cpython-313-x86_64-linux-gnu.so"),
        ("cp313-cp313t", "linux", "_core.abi3.so", "_core.so"),
        ("cp315-cp315t", "linux", "_core.abi3.so", "_core.abi3t.so"),
        ("cp315-cp315", "linux", "_core.cpython-315t-x86_64-linux-gnu.so", "_core.abi3t.so"),
        ("cp315-abi3t", "linux", "_core.abi3.so", "_core.abi3t-x86_64-linux-gnu.so"),
        ("cp315-abi3.abi3t", "linux", "_core.cpython-315-x86_64-linux-gnu.so", "_core.abi3t.so"),
        ("cp38-abi3", "linux", "_core.cpython-312-x86_64-linux-gnu.so", "_core.abi3.so"),
        ("cp315-abi3", "linux", "_core.abi3-aarch64-linux-gnu.so", "_core.abi3-x86_64-linux-gnu.so"),
        ("cp312-none", "linux", "_core.cpython-311-x86_64-linux-gnu.so", "_core.cpython-312-x86_64-linux-gnu.so"),
        ("cp311-cp311", "musl", "_core.cpython-311-x86_64-linux-gnu.so", "_core.cpython-311-x86_64-linux-musl.so"),
        ("cp310-cp310", "musl", "_core.cpython-311-x86_64-linux-musl.so", "_core.cpython-310-x86_64-linux-gnu.so"),
        ("cp311-cp311", "arm", "_core.cpython-311-arm-linux-gnueabi.so", "_core.cpython-311-arm-linux-gnueabihf.so"),
        ("cp312-cp312", "macos", "_core.cpython-311-darwin.so", "_core.cpython-312-darwin.so"),
        ("cp312-cp312", "macos", "_core.cpython-312-x86_64-linux-gnu.so", "_core.abi3.so"),
        ("cp312-cp312", "windows", "_core.cp311-win_amd64.pyd", "_core.cp312-win_amd64.pyd"),
        ("cp312-cp312", "windows", "_core.cp312-win_arm64.pyd", "_core.pyd"),
        ("cp312-cp312", "windows", "_core_d.cp312-win_amd64.pyd", "_core.pyd"),
        ("cp313-cp313t", "windows", "_core.cp313-win_amd64.pyd", "_core.cp313t-win_amd64.pyd"),
        ("cp312-abi3", "windows", "_core.abi3.pyd", "_core.pyd"),
        ("cp312-abi3", "windows", "_core.cp312-win_amd64.pyd", "_core.pyd"),
        ("cp36-cp36m", "windows", "_core.cp37-win_amd64.pyd", "_core.cp36-win_amd64.pyd"),
        ("cp312-cp312", "windows", "_core.cpython-312-x86_64-linux-gnu.so", "_core.pyd"),
        ("pp310-pypy310_pp73", "linux", "_core.cpython-310-x86_64-linux-gnu.so", "_core.pypy310-pp73-x86_64-linux-gnu.so"),
        ("pp310-pypy310_pp73", "linux", "_core.pypy39-pp73-x86_64-linux-gnu.so", "_core.so"),
        ("graalpy310-graalpy240_310_native", "linux", "_core.cpython-310-darwin.so", "_core.graalpy240-310-native-x86_64-linux.so"),
        ("cp313-cp313", "android", "_core.cpython-313-x86_64-linux-android.so", "_core.cpython-313-aarch64-linux-android.so"),
        ("cp313-cp313", "ios", "_core.cpython-313-darwin.so", "_core.cpython-313-iphoneos.so"),
    ],
)
def test_a_suffix_that_the_python_does_not_look_for(tags: str, system: str, bad: str, good: str) -> None:
    assert [f.severity for f in found(tags, system, bad)] == [Severity.ERROR]
    assert found(tags, system, good) == []
    assert found(tags, system, bad, good) == []


@pytest.mark.parametrize(
    ("tags", "system", "name"),
    [
        ("py3-none", "linux", "_core.cpython-312-x86_64-linux-gnu.so"),
        ("py2.py3-none", "windows", "_core.cp27-win_amd64.pyd"),
        ("cp3-abi3", "linux", "_core.cpython-312-x86_64-linux-gnu.so"),
        ("cp312-cp312", "linux", "_core.hpy0.so"),
        ("cp312-cp312", "linux", "_core.x86_64-linux-gnu.so"),
        ("cp312-abi2026", "linux", "_core.abi2026.so"),
    ],
)
def test_what_names_no_python_or_no_known_suffix_is_not_judged(tags: str, system: str, name: str) -> None:
    assert found(tags, system, name) == []


def test_some_tags_without_a_file_are_a_warning() -> None:
    one = "_core.cpython-310-x86_64-linux-gnu.so"
    assert [f.severity for f in found("cp310.cp311-none", "linux", one)] == [Severity.WARNING]
    assert found("cp310.cp311-none", "linux", one, "_core.cpython-311-x86_64-linux-gnu.so") == []


def test_tags_that_belong_to_different_pythons_make_no_pair() -> None:
    names = "_core.cpython-310-x86_64-linux-gnu.so", "_core.cpython-311-x86_64-linux-gnu.so"
    assert found("cp310.cp311-cp310.cp311", "linux", *names) == []


def test_before_311_only_alpines_own_python_looks_for_musl() -> None:
    assert [f.severity for f in found("cp310-cp310", "musl", "_core.cpython-310-x86_64-linux-musl.so")] == [Severity.WARNING]


def test_a_source_of_the_same_module_stands_in() -> None:
    findings = found("cp311-cp311", "linux", "_core.cpython-312-x86_64-linux-gnu.so", members=(member("demo/_core.py"),))
    assert [f.severity for f in findings] == [Severity.WARNING]


def test_a_file_for_another_architecture_is_another_rules_business() -> None:
    target = replace(LINUX, pythons=("cp312",), abis=("cp312",))
    wrong = binary("demo/_core.cpython-312-aarch64-linux-gnu.so", elf(arch="aarch64"), extension="demo._core")
    assert list(check(survey(wrong, target=target))) == []


def test_says_what_is_looked_for_and_lists_the_other_files() -> None:
    names = "_core.cpython-312-x86_64-linux-gnu.so", "_core.cpython-310-x86_64-linux-gnu.so"
    (finding,) = found("cp311-cp311", "linux", *names)
    assert finding.primary.value == ".cpython-312-x86_64-linux-gnu.so"
    assert finding.primary.label == "cp311-cp311 looks for _core.cpython-311-x86_64-linux-gnu.so"
    assert [where.value for where in finding.related] == [names[1]]
    (finding,) = found("cp312-abi3", "windows", "_core.abi3.pyd")
    assert finding.primary.label == "cp312-abi3 looks for _core.pyd"


@pytest.mark.parametrize(("target", "lead"), [(LINUX, b""), (MACOS, b"_"), (WINDOWS, b""), (Target("", ""), b"")])
def test_another_modules_init_function_is_noted(target: Target, lead: bytes) -> None:
    make = {"macos": macho, "windows": pe}.get(target.os, elf)
    file = binary("demo/plugin.pyd" if target.os == "windows" else "demo/plugin.so", make(table=symbols(exports=[lead + b"PyInit__core"])))  # type: ignore[operator]
    (finding,) = check(survey(file, target=target))
    assert finding.severity == Severity.NOTE
    assert finding.primary.symbol == "PyInit__core"
    assert file.format == {"macos": Format.MACHO, "windows": Format.PE}.get(target.os, Format.ELF)


@pytest.mark.parametrize(
    ("name", "exports", "kind"),
    [
        ("demo/libpython3.12.so", (b"PyInit__ast",), "library"),
        ("demo/python.so", (b"PyInit__ast",), "program"),
        ("demo/merged.so", (b"PyInit_a", b"PyInit_b"), "library"),
        ("demo/libplugin.so", (b"demo_CPyInit_a",), "library"),
        ("demo/libplugin.so.1", (b"PyInit_a",), "library"),
    ],
)
def test_interpreters_and_joined_modules_are_not_noted(name: str, exports: tuple[bytes, ...], kind: str) -> None:
    assert list(check(survey(binary(name, elf(kind=kind, table=symbols(exports=exports)))))) == []
