"""The tables about the world: who ships which library, what only the host brings."""

import importlib.util
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest

from relocator.knowledge import families, host_libraries, matches, providers, retired_sonames, slim_libraries, stable_abi, windows_versions

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("library", "distributions"),
    [
        ("libgomp.so.1", ()),
        ("libomp.dylib", ()),
        ("libtorchlight.so.1", ()),
        ("libtorch_cpu.so", ("torch",)),
        ("libc10.so", ("torch",)),
        ("libcudart.so.12", ("nvidia-cuda-runtime-cu12",)),
        ("libcudart.so.13", ("nvidia-cuda-runtime",)),
        ("libcudart.so.10.2", ()),
        ("libarrow.so.2600", ("pyarrow",)),
        ("libarrow.2600.dylib", ("pyarrow",)),
        ("mkl_rt.2.dll", ("mkl",)),
        ("CUDART64_12.DLL", ("nvidia-cuda-runtime-cu12",)),
        ("libtensorflow_framework.so.2", ("tensorflow", "tensorflow-cpu")),
        ("libtbb.so.12", ("tbb",)),
        ("libiomp5.so", ("intel-openmp",)),
        ("libshiboken6.abi3.so.6.9", ("shiboken6",)),
    ],
)
def test_these_distributions_are_known_to_ship_a_library(library: str, distributions: tuple[str, ...]) -> None:
    assert providers.known_to_ship(library) == distributions


def test_names_of_distributions_are_normalised() -> None:
    table = json.loads((ROOT / "src/relocator/knowledge/providers.json").read_text(encoding="utf-8"))
    names = {name for distributions in table["libraries"].values() for name in distributions}
    assert all(name == name.lower().replace("_", "-").replace(".", "-") for name in names)


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ("libcudart.so.12", False),
        ("libGLEW.so.2.2", False),
        ("opengl32.dll", False),
        ("libcuda.so.1", True),
        ("libGL.so.1", True),
        ("libnvidia-ml.so.1", True),
        ("libxcb-icccm.so.4", True),
        ("nvcuda.dll", True),
        ("VULKAN-1.dll", True),
    ],
)
def test_only_the_host_can_bring_drivers_and_desktops(library: str, expected: bool) -> None:
    assert bool(host_libraries.is_host_library(library)) == expected


def test_no_library_is_both_shipped_and_left_to_the_host() -> None:
    names = json.loads((ROOT / "src/relocator/knowledge/host_libraries.json").read_text(encoding="utf-8"))["libraries"]
    assert [name for name in names if providers.known_to_ship(name)] == []


def test_a_star_stands_for_any_text() -> None:
    assert not matches("libcudnn*.so.9", "libcudnn.so.8")
    assert matches("libcudnn*.so.9", "libcudnn_ops.so.9")
    assert not matches("libz.so.1", "libz.so.1.2")


@pytest.mark.parametrize(
    "name",
    [
        "backends/linux/promises.json",
        "knowledge/providers.json",
        "knowledge/host_libraries.json",
        "knowledge/families.json",
        "knowledge/retired_sonames.json",
        "knowledge/stable_abi.json",
        "knowledge/windows_versions.json",
        "knowledge/slim_libraries.json",
    ],
)
def test_every_table_has_its_source_and_date(name: str) -> None:
    table = json.loads((ROOT / "src/relocator" / name).read_text(encoding="utf-8"))
    assert table["source"]
    assert table["date"] > "2026"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.rpartition("/")[2], ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("module", ["families", "providers", "system_libraries"])
def test_the_tables_kept_by_hand_are_what_their_script_writes(module: str) -> None:
    driver = script("update_knowledge")
    for name, facts in script(f"knowledge/{module}").facts().items():
        assert driver.render(facts, ROOT / name) == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["libffi.so.8", "libssl.so.3", "libncursesw.so.6", "libtinfo.so.6", "libz.so.1", "libstdc++.so.6"])
def test_what_current_distributions_install_is_not_retired(name: str) -> None:
    assert name not in retired_sonames.retired()


def test_no_library_is_both_retired_and_merely_absent_from_slim_images() -> None:
    assert not set(retired_sonames.retired()) & set(slim_libraries.absent_from_slim_images())


def test_what_every_linux_system_has_is_not_absent_from_slim_images() -> None:
    always = "libc.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libgcc_s.so.1 libstdc++.so.6 libresolv.so.2 libutil.so.1 libz.so.1"
    assert not set(always.split()) & set(slim_libraries.absent_from_slim_images())


def test_the_linux_table_is_what_its_script_writes_from_the_published_policies() -> None:
    table = json.loads((ROOT / "src/relocator/backends/linux/promises.json").read_text(encoding="utf-8"))
    try:
        installed = version("auditwheel")
    except PackageNotFoundError:
        pytest.skip("auditwheel, whose data the table is made from, is not installed")
    if f"auditwheel {installed};" not in table["source"]:
        pytest.skip(f"the table was made from another release than the installed {installed}")
    ((name, facts),) = script("knowledge/linux").facts().items()
    assert script("update_knowledge").render(facts, ROOT / name) == (ROOT / name).read_text(encoding="utf-8")


def test_a_table_keeps_its_date_until_its_facts_change(tmp_path: Path) -> None:
    driver = script("update_knowledge")
    path = tmp_path / "table.json"
    path.write_text('{"source": "s", "date": "2001-02-03", "libraries": {"a": 1}}', encoding="utf-8")
    assert json.loads(driver.render({"source": "s", "libraries": {"a": 2}}, path))["date"] != "2001-02-03"
    assert json.loads(driver.render({"source": "s", "libraries": {"a": 1}}, path))["date"] == "2001-02-03"


@pytest.mark.parametrize(
    ("symbol", "on_windows", "elsewhere"),
    [
        ("PyList_New", (3, 2), (3, 2)),
        ("PyType_GetName", (3, 11), (3, 11)),
        ("PyExc_ValueError", (3, 2), (3, 2)),
        ("_Py_Dealloc", (3, 2), (3, 2)),
        ("PyErr_SetFromWindowsErr", (3, 7), ()),
        ("PyOS_AfterFork", (), (3, 2)),
        ("_Py_NegativeRefcount", (), ()),
        ("_PyUnicode_Ready", (), ()),
        ("_Py_DecRefShared", (), ()),
        ("", (), ()),
    ],
)
def test_when_the_stable_abi_got_a_symbol(symbol: str, on_windows: tuple[int, ...], elsewhere: tuple[int, ...]) -> None:
    assert (stable_abi.added(symbol, True), stable_abi.added(symbol, False)) == (on_windows, elsewhere)


def test_the_table_of_the_stable_abi_is_what_its_script_writes() -> None:
    path = ROOT / "src/relocator/knowledge/stable_abi.json"
    try:
        installed = version("abi3info")
    except PackageNotFoundError:
        pytest.skip("abi3info, from which the table is made, is not installed")
    if f"abi3info {installed}," not in json.loads(path.read_text(encoding="utf-8"))["source"]:
        pytest.skip(f"the table was made from another release than the installed {installed}")
    ((_, facts),) = script("knowledge/stable_abi").facts().items()
    assert script("update_knowledge").render(facts, path) == path.read_text(encoding="utf-8")


def test_which_windows_a_python_needs() -> None:
    oldest = [windows_versions.oldest_for((3, minor), "amd64") for minor in (7, 8, 9, 12, 13, 15)]
    assert oldest == [(6, 1), (6, 1), (6, 3), (6, 3), (10, 0), (10, 0)]
    assert windows_versions.oldest_for((3, 11), "arm64") == (10, 0)
    assert [windows_versions.spelled(version) for version in ((6, 1), (6, 3), (10, 0), (11, 7))] == [
        "Windows 7",
        "Windows 8.1",
        "Windows 10",
        "Windows 11.7",
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"__kmpc_fork_call", "omp_get_max_threads", "GOMP_parallel", "_vcomp_fork"}, {"OpenMP": "LLVM's or Intel's"}),
        ({"omp_get_max_threads", "GOMP_parallel"}, {"OpenMP": "GNU's"}),
        ({"omp_get_max_threads", "_vcomp_fork"}, {"OpenMP": "Microsoft's"}),
        ({"omp_get_max_threads", "kmp_get_affinity"}, {}),
        ({"scipy_openblas_get_config64_"}, {"BLAS": "OpenBLAS"}),
        ({"qVersion"}, {"Qt": ""}),
        ({"H5open", "sqlite3_libversion"}, {"HDF5": "", "SQLite": ""}),
    ],
)
def test_families_are_told_by_what_a_library_exports(names: set[str], expected: dict[str, str]) -> None:
    exports = frozenset(name.encode() for name in names)
    assert {variant.family: variant.name for variant in families.variants() if variant.fits(exports)} == expected


def test_what_copies_do_to_each_other_is_said_of_families_that_exist() -> None:
    table = json.loads((ROOT / "src/relocator/knowledge/families.json").read_text(encoding="utf-8"))
    assert set(table["apart"]) < set(families.family_names())
    assert {entry["severity"] for entry in table["apart"].values()} <= {"warning", "note"}


@pytest.mark.parametrize(
    ("library", "major"),
    [
        ("libcudart.so.11.0", 11),
        ("libcublas.so.12", 12),
        ("CUDART64_110.DLL", 11),
        ("libnvJitLink.so.13", 13),
        ("libcuda.so.1", None),
        ("libcusparse.so.12", None),
    ],
)
def test_names_tell_the_cuda_toolkit_where_they_belong_to_one(library: str, major: int | None) -> None:
    assert families.cuda_major(library) == major
