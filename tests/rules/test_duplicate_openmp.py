"""duplicate-openmp: runtimes that one process can hold together."""

import dataclasses

import pytest

from builders import binary, pe, symbols
from conflict_examples import GNU, LLVM, LLVM_ON_MACOS, bundle, dll, dylib, on_macos, on_windows, part, pyd, shared
from linked import installed
from relocator.findings import Finding, Severity
from relocator.model import Binary, Hint, Role, Survey
from relocator.rules.duplicate_openmp import check
from relocator.symbols import SymbolTable

MICROSOFT = symbols(exports=[b"_vcomp_fork", b"omp_get_max_threads"])
INTEL_ON_WINDOWS = symbols(exports=[b"__kmpc_fork_call", b"omp_get_max_threads", b"_vcomp_fork"])


def found(survey: Survey) -> list[Finding]:
    return list(check(survey))


def two(one: SymbolTable, other: SymbolTable, *names: str) -> Survey:
    first, second = names or ("libomp-1.so", "libomp-2.so")
    return installed(part("a", first), shared("a", first, table=one), part("b", second), shared("b", second, table=other))


@pytest.mark.parametrize(
    ("one", "other", "severity", "first"),
    [
        (LLVM, LLVM, Severity.ERROR, "a/libomp-1.so"),
        (GNU, GNU, Severity.WARNING, "a/libomp-1.so"),
        (GNU, LLVM, Severity.WARNING, "a/libomp-1.so"),
    ],
)
def test_only_two_of_the_kind_that_looks_for_others_are_an_error(
    one: SymbolTable, other: SymbolTable, severity: Severity, first: str
) -> None:
    (finding,) = found(two(one, other))
    assert (finding.severity, finding.primary.member) == (severity, first)
    assert {finding.primary.member, *(where.member for where in finding.related)} == {"a/libomp-1.so", "b/libomp-2.so"}


def test_one_soname_is_loaded_once() -> None:
    assert found(two(LLVM, LLVM, "libomp.so", "libomp.so")) == []


@pytest.mark.parametrize(
    "names", [[b"omp_get_max_threads"], [b"__kmpc_fork_call"], [b"GOMP_parallel"], [b"omp_get_max_threads", b"x__kmpc_fork_call"]]
)
def test_stubs_and_users_are_no_runtimes(names: list[bytes]) -> None:
    assert found(two(LLVM, symbols(exports=names))) == []
    assert found(two(LLVM, symbols(imports=[b"__kmpc_fork_call", b"omp_get_max_threads"]))) == []


def test_a_runtime_linked_into_another_library_counts() -> None:
    (finding,) = found(two(LLVM, LLVM, "libomp.so", "libsolver.so"))
    assert finding.severity == Severity.ERROR
    assert finding.related[0].member == "b/libsolver.so"


def test_what_no_import_brings_does_not_count() -> None:
    spare = dataclasses.replace(shared("b", "libomp-2.so", table=LLVM), role=Role.PAYLOAD)
    assert found(installed(part("a", "libomp-1.so"), shared("a", "libomp-1.so", table=LLVM), part("b"), spare)) == []


def test_architectures_never_meet() -> None:
    other = [part("b", "libomp-2.so", arch="aarch64", machine=183), shared("b", "libomp-2.so", table=LLVM, arch="aarch64", machine=183)]
    assert found(installed(part("a", "libomp-1.so"), shared("a", "libomp-1.so", table=LLVM), *other)) == []


def test_silenced_by_a_package_it_depends_on_the_order() -> None:
    quiet = Hint("a/__init__.py", 3, "setenv", "KMP_DUPLICATE_LIB_OK")
    survey = two(LLVM, LLVM)
    (finding,) = found(dataclasses.replace(survey, hints=(quiet, quiet._replace(line=9))))
    assert finding.severity == Severity.WARNING
    assert "unless KMP_DUPLICATE_LIB_OK is set" in finding.message
    assert [where.member for where in finding.related] == ["b/libomp-2.so", "a/__init__.py"]
    (mild,) = found(dataclasses.replace(two(GNU, GNU), hints=(quiet,)))
    assert "a/__init__.py" not in [where.member for where in mild.related]


def apple(first: str, second: str) -> Survey:
    needs = [name if name.startswith("@rpath") else "@loader_path/.dylibs/libomp.dylib" for name in (first, second)]
    files: list[Binary] = []
    for owner, name, need in zip("ab", (first, second), needs, strict=True):
        files += [bundle(owner, need, rpaths=["@loader_path/.dylibs"]), dylib(owner, "libomp.dylib", name, LLVM_ON_MACOS)]
    return on_macos(*files)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("/DLC/a/.dylibs/libomp.dylib", "/DLC/b/.dylibs/libomp.dylib", 1),
        ("/DLC/a/.dylibs/libomp.dylib", "@rpath/libomp.dylib", 1),
        ("/usr/local/lib/libomp.dylib", "/usr/local/lib/libomp.dylib", 1),
        ("@loader_path/libomp.dylib", "@loader_path/libomp.dylib", 1),
        ("@rpath/libomp.dylib", "@rpath/libomp.dylib", 0),
    ],
)
def test_on_macos_a_shared_rpath_name_is_one_library(first: str, second: str, expected: int) -> None:
    findings = found(apple(first, second))
    assert [finding.severity for finding in findings] == [Severity.ERROR] * expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("vcomp140-1.dll", MICROSOFT), ("libiomp5md.dll", INTEL_ON_WINDOWS), Severity.WARNING),
        (("vcomp140-1.dll", MICROSOFT), ("vcomp140-2.dll", MICROSOFT), Severity.WARNING),
        (("libiomp5md-1.dll", INTEL_ON_WINDOWS), ("libiomp5md-2.dll", INTEL_ON_WINDOWS), Severity.ERROR),
        (("VCOMP140.dll", MICROSOFT), ("vcomp140.DLL", MICROSOFT), None),
    ],
)
def test_on_windows(one: tuple[str, SymbolTable], other: tuple[str, SymbolTable], expected: Severity | None) -> None:
    findings = found(on_windows(pyd("a", one[0]), dll("a", *one), pyd("b", other[0]), dll("b", *other)))
    assert [finding.severity for finding in findings] == ([] if expected is None else [expected])


def computed(*, call: str = "add_dll_directory", argument: str | None = None) -> Survey:
    """A module whose DLL lies in a folder that Python code adds in a way that cannot be evaluated, and a plain one."""
    far = [binary(f"a/lib/{name}", pe(*needs, name=name, table=table), role=Role.PAYLOAD, owner="a") for name, needs, table in FAR]
    survey = on_windows(pyd("a", "engine.dll"), *far, pyd("b", "vcomp140.dll"), dll("b", "vcomp140.dll", MICROSOFT))
    return dataclasses.replace(survey, hints=(Hint("a/__init__.py", 1, call, argument),))


FAR: tuple[tuple[str, list[str], SymbolTable], ...] = (
    ("engine.dll", ["libiomp5md.dll"], symbols()),
    ("libiomp5md.dll", [], INTEL_ON_WINDOWS),
    ("spare.dll", [], symbols()),
)


def test_a_dll_that_only_running_code_can_find_is_taken_to_be_found() -> None:
    (finding,) = found(computed())
    assert (finding.severity, finding.primary.member) == (Severity.WARNING, "b/vcomp140.dll")
    assert [where.member for where in finding.related] == ["a/lib/libiomp5md.dll"]
    assert found(computed(argument="/somewhere/else")) == []
