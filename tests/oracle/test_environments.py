"""Environments that pip makes from the index: what we say of them, against what was decided by hand and against processes that import them.

They are made once in the folder that --environments names, without dependencies and without bytecode. Of a negative control everything is
linked but the one file that it goes without.
"""

import contextlib
import dataclasses
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from builders import wheel
from relocator.audit import run_rules
from relocator.bindings import PLATFORM, PYTHON, UNDECIDED, bound
from relocator.containers import open_environment
from relocator.findings import Certainty, Finding, Severity
from relocator.meeting import instance
from relocator.model import Load, Role, Survey
from relocator.processes import Surroundings
from relocator.rules import RULES
from relocator.survey import take_surveys

on_glibc = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="asks glibc on x86_64"
)
NUMPY, SCIPY = "numpy==2.4.6", "scipy==1.17.1"
LEARN = (NUMPY, SCIPY, "scikit-learn==1.9.1", "joblib==1.6.0", "cloudpickle==3.1.3", "threadpoolctl==3.8.0", "narwhals==2.29.0")
OPENCV = "opencv-python-headless==5.0.0.93"
TORCH = "torch-2.13.0*-cp{0}{1}-cp{0}{1}-*linux*_x86_64.whl"
TORCHS = (
    *("filelock==4.3.1", "fsspec==2026.9.0", "jinja2==3.1.6", "markupsafe==3.0.4", "mpmath==1.3.0", "networkx==3.6.1"),
    *("sympy==1.14.0", "typing_extensions==4.16.0"),
)
HDF5 = (NUMPY, "h5py==3.16.0", "tables==3.11.1", "blosc2==4.14.1", "numexpr==2.14.2", "packaging==26.4", "py-cpuinfo==9.0.0")
PANDAS = ("pandas==2.1.4", "python-dateutil==2.9.0.post0", "pytz==2025.2", "tzdata==2025.2", "six==1.17.0")
WINDOWS = ("win_amd64",)
MACOS = ("macosx_11_0_arm64", "macosx_12_0_arm64", "macosx_13_0_arm64")

IMPORT = r"""
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
with open("/proc/self/maps") as file:
    paths = {line.split(None, 5)[5].strip() for line in file if "/" in line}
for path in sorted(paths):
    with open(path, "rb") as file:
        if file.read(4) == b"\x7fELF":
            print(path)
"""
BINDING = re.compile(r"binding file (.+?) \[0\] to (.+?) \[0\]: normal symbol `([^']+)'(?: \[(\S+)\])?")


# ---- making them


def installed(folder: Path, requirements: Sequence[str], *options: str, python: Path | None = None) -> Path:
    """Let pip install exactly these, unless it was done before; skip the test where there is no wheel for this Python."""
    with alone(folder):
        return _installed(folder, requirements, options, python)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one of the processes that run tests at a time make an environment; one that died does not hold up the others for ever."""
    lock = folder.with_name(f"{folder.name}.lock")
    while True:
        with contextlib.suppress(FileExistsError):
            lock.mkdir()
            break
        with contextlib.suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime > 600:
                lock.rmdir()
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.rmdir()


def _installed(folder: Path, requirements: Sequence[str], options: Sequence[str], python: Path | None) -> Path:
    done, wanted = folder / ".complete", "\n".join(requirements)
    if done.is_file() and done.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    where = [f"--target={folder}"]
    if python:
        venv.create(folder, symlinks=True)
        where = []
    pip = [sys.executable, "-m", "pip", *(["--python", str(python)] if python else []), "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--no-deps", "--no-compile", "--only-binary=:all:", *options, *where, *requirements]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found" in result.stderr:
        pytest.skip(f"no wheel for this Python: {result.stderr.strip().splitlines()[-1]}")
    assert not result.returncode, f"pip fails: {result.stderr}"
    done.write_text(wanted)
    return folder


def virtual(environments: Path, name: str, *requirements: str) -> Path:
    folder = environments / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    return installed(folder, requirements, python=folder / "bin" / "python")


def foreign(environments: Path, name: str, platforms: Sequence[str], *requirements: str) -> Path:
    options = ["--python-version=3.12", "--implementation=cp", *(f"--platform={tag}" for tag in platforms)]
    return installed(environments / name, requirements, *options)


@pytest.fixture
def without(environments: Path) -> Iterator[Callable[[Path, str], Path]]:
    """Return a function that gives an environment without the one file that a pattern names."""
    copies: list[Path] = []

    def make(folder: Path, pattern: str) -> Path:
        (gone,) = folder.rglob(pattern)
        copy = environments / "without" / f"{folder.name}-{os.getpid()}"
        copies.append(copy)
        shutil.copytree(folder, copy, symlinks=True, copy_function=os.link)
        (copy / gone.relative_to(folder)).unlink()
        return copy

    yield make
    for copy in copies:
        shutil.rmtree(copy)


# ---- looking at them


@functools.cache
def survey_of(folder: Path) -> Survey:
    with open_environment(str(folder)) as container:
        (found,) = take_surveys(container, surroundings=Surroundings((), host=True))
    return found


@functools.cache
def findings_of(folder: Path) -> tuple[Finding, ...]:
    return run_rules(survey_of(folder), RULES).findings


def told(folder: Path, least: Severity = Severity.NOTE) -> set[tuple[str, str, str, str]]:
    """Return rule, severity, certainty and the top folder in which the finding is."""
    found = (f for f in findings_of(folder) if f.severity >= least)
    return {(f.rule, str(f.severity), str(f.certainty), f.primary.member.strip("/").partition("/")[0]) for f in found}


def rules(folder: Path, least: Severity = Severity.NOTE) -> set[str]:
    return {f.rule for f in findings_of(folder) if f.severity >= least and f.certainty >= Certainty.LIKELY}


def missing(folder: Path) -> set[tuple[str, str]]:
    """Return the top folder and the library of what is certain or likely to be missing."""
    return {
        (f.primary.member.partition("/")[0], f.primary.value)
        for f in findings_of(folder)
        if f.rule == "missing-library" and f.severity == Severity.ERROR and f.certainty >= Certainty.LIKELY
    }


# ---- asking the real loader


class Seen(NamedTuple):
    """What a process has mapped, and what was bound to what: (file, symbol, version) -> file, all real paths."""

    mapped: set[str]
    bindings: dict[tuple[str, str, str], str]
    said: str


def imported(prefix: Path, traces: Path, modules: Sequence[str], *, traced: bool = True) -> Seen:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "PYTHON"))}
    if traced:
        variables |= {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(traces / "trace")}
    command = [str(prefix / "bin" / "python"), "-c", IMPORT, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=variables)
    bindings = {}
    for path in traces.glob("trace.*"):
        with path.open() as file:
            for line in file:
                if match := BINDING.search(line):
                    bindings[_real(match[1]), match[3], match[4] or ""] = _real(match[2])
        path.unlink()
    return Seen(set(map(_real, done.stdout.splitlines())), bindings, done.stderr)


@functools.cache
def _real(path: str) -> str:
    return os.path.realpath(path)


def mapped_modules(survey: Survey, mapped: Iterable[str]) -> list[Load]:
    """Return the loads of the extension modules that a process has mapped."""
    modules = {binary.path for binary in survey.binaries if binary.extension}.intersection(mapped)
    return [load for load in survey.loads if load.root in modules]


def known_as(survey: Survey, path: str) -> str:
    """Return by what the loader knows a file: of two libraries with one soname it maps the one that is asked for first."""
    binary = survey.binary_at(path)
    return instance(binary, binary.images[0]) if binary else path


def differing_files(survey: Survey, mapped: set[str]) -> tuple[set[str], set[str]]:
    """Return what we say is there and is not; and what is there that no module brings and no Python source opens, by a name that is
    known before it runs.
    """
    brought = {_real(path) for load in mapped_modules(survey, mapped) for path in load.order} | set(survey.global_scope)
    present = {known_as(survey, path) for path in mapped}
    opened = {binary.path for binary in survey.binaries if binary.role == Role.IMPORTED and binary.owner}
    more = {_real(path) for load in survey.loads if load.root in opened & mapped for path in load.order}
    computing = {hint.member.partition("/")[0] for hint in survey.hints if hint.call == "cdll" and hint.argument is None}
    unknown = {binary.path for binary in survey.binaries if binary.member.partition("/")[0] in computing and not binary.extension}
    return {path for path in brought if known_as(survey, path) not in present}, mapped - brought - more - unknown


def differing_bindings(survey: Survey, prefix: Path, seen: Seen, count: int) -> tuple[int, list[str]]:
    """Return how many symbols of some packages' modules and their libraries were compared, and where we and glibc differ.

    A library that several modules bring was bound when the first of them was imported: one of their loads has to agree in everything.
    """
    loads = [load for load in mapped_modules(survey, seen.mapped) if load.root.startswith(f"{prefix}/")]
    brought = {path: [load for load in loads if path in load.order] for load in loads[:: len(loads) // count or 1] for path in load.order}
    compared, wrong = 0, list[str]()
    for path, some in brought.items():
        if path.startswith(f"{prefix}/") and path in seen.mapped:
            differing = [_differing(survey, prefix, seen, load, path) for load in some]
            least: list[str] = min(differing, key=len)
            wrong += least
            compared += sum(1 for user, _, _ in seen.bindings if user == path)
    return compared, wrong


def _differing(survey: Survey, prefix: Path, seen: Seen, load: Load, path: str) -> list[str]:
    wrong = []
    for one in bound(survey, load, path):
        theirs = seen.bindings.get((path, one.name.decode(), one.version.decode()))
        if one.provider:
            agreed = theirs is not None and known_as(survey, theirs) == known_as(survey, one.provider)
        elif one.answer in (PLATFORM, PYTHON):
            agreed = theirs is not None and not theirs.startswith(f"{prefix}/")
        else:
            agreed = one.answer == UNDECIDED or theirs is None
        if not agreed:
            wrong.append(f"{path} {one}: glibc says {theirs}")
    return wrong


def agrees(prefix: Path, traces: Path, *modules: str) -> None:
    survey, seen = survey_of(prefix), imported(prefix, traces, modules)
    assert seen.mapped, seen.said
    assert differing_files(survey, seen.mapped) == (set(), set())
    compared, wrong = differing_bindings(survey, prefix, seen, 25)
    assert compared > 500
    assert not wrong, "\n".join(wrong[:20])


# ---- several OpenMP and BLAS copies


@pytest.fixture
def crowd(environments: Path, request: pytest.FixtureRequest) -> Path:
    """scikit-learn, OpenCV and PyTorch, if its wheel lies in the folder of real wheels; else LightGBM and XGBoost."""
    corpus = request.config.getoption("--corpus") or os.environ.get("RELOCATOR_CORPUS", "")
    local = sorted(Path(corpus).glob(TORCH.format(*sys.version_info[:2]))) if corpus else []
    if local:
        return virtual(environments, "torch", *LEARN, OPENCV, str(local[0].resolve()), *TORCHS)
    return virtual(environments, "boosting", *LEARN, OPENCV, "lightgbm==4.6.0", "xgboost-cpu==3.2.0")


@on_glibc
def test_several_openmp_and_blas_copies_are_told(crowd: Path) -> None:
    assert rules(crowd, Severity.ERROR) == set()
    assert {"duplicate-openmp", "duplicate-blas"} <= rules(crowd)
    (openmp,) = (finding for finding in findings_of(crowd) if finding.rule == "duplicate-openmp")
    assert openmp.severity == Severity.WARNING
    assert len(openmp.related) >= 1


@on_glibc
def test_a_crowded_process_holds_what_we_say_and_binds_it_so(crowd: Path, tmp_path: Path) -> None:
    agrees(crowd, tmp_path, "scipy.linalg", "sklearn.tree", "cv2")


@on_glibc
def test_a_crowded_process_holds_the_openmp_runtimes_that_are_told(crowd: Path, tmp_path: Path) -> None:
    modules = ("sklearn.tree", "torch") if crowd.name.startswith("torch") else ("sklearn.tree", "lightgbm", "xgboost")
    seen = imported(crowd, tmp_path, modules, traced=False)
    survey = survey_of(crowd)
    assert differing_files(survey, seen.mapped) == (set(), set()), seen.said
    (openmp,) = (finding for finding in findings_of(crowd) if finding.rule == "duplicate-openmp")
    copies = {binary.path for binary in survey.binaries if binary.member in {where.member for where in (openmp.primary, *openmp.related)}}
    assert len(copies) > 1
    assert copies <= seen.mapped


@on_glibc
def test_without_its_openmp_runtime_a_module_lacks_a_library(crowd: Path, without: Callable[[Path, str], Path]) -> None:
    copy = without(crowd, "scikit_learn.libs/libgomp-*.so*")
    # XGBoost's wheel brings the very same file: imported first, it helps out
    rule = "missing-library" if crowd.name.startswith("torch") else "order-dependent-load"
    for folder, found in ((crowd, False), (copy, True)):
        lacking = [f for f in findings_of(folder) if f.rule == rule and f.primary.member.startswith("sklearn/")]
        assert any("libgomp-" in f.primary.value for f in lacking) == found


# ---- the same exports


@on_glibc
def test_two_packages_with_one_library_each_are_no_conflict(environments: Path) -> None:
    assert told(virtual(environments, "hdf5", *HDF5)) == {("duplicate-runtime", "note", "likely", "h5py.libs")}


@on_glibc
def test_each_of_two_hdf5_copies_binds_to_itself(environments: Path, tmp_path: Path) -> None:
    agrees(virtual(environments, "hdf5", *HDF5), tmp_path, "h5py", "tables")


@on_glibc
def test_scopes_in_another_order_are_told_apart(environments: Path, tmp_path: Path) -> None:
    prefix = virtual(environments, "hdf5", *HDF5)
    survey, seen = survey_of(prefix), imported(prefix, tmp_path, ["tables"])
    turned = dataclasses.replace(survey, loads=tuple(dataclasses.replace(one, order=one.order[::-1]) for one in survey.loads))
    assert not differing_bindings(survey, prefix, seen, 5)[1]
    assert differing_bindings(turned, prefix, seen, 5)[1]


@on_glibc
def test_without_its_hdf5_a_package_lacks_a_library(environments: Path, without: Callable[[Path, str], Path]) -> None:
    copy = without(virtual(environments, "hdf5", *HDF5), "tables.libs/libhdf5-*.so*")
    assert {top for top, _ in missing(copy)} >= {"tables"}
    assert "h5py" not in {top for top, _ in missing(copy)}


# ---- NumPy 1 and 2


@on_glibc
def test_a_module_for_numpy_1_is_refused_by_numpy_2(environments: Path, tmp_path: Path) -> None:
    prefix = virtual(environments, "numpy-2", NUMPY, *PANDAS)
    assert told(prefix, Severity.WARNING) == {("numpy-abi", "error", "certain", "pandas")}
    said = imported(prefix, tmp_path, ["pandas"], traced=False).said
    assert "compiled using NumPy 1.x" in said or "numpy.dtype size changed" in said


@on_glibc
def test_a_module_for_numpy_1_is_fine_with_numpy_1(environments: Path, tmp_path: Path) -> None:
    prefix = virtual(environments, "numpy-1", "numpy==1.26.4", *PANDAS)
    assert told(prefix, Severity.WARNING) == set()
    assert not imported(prefix, tmp_path, ["pandas"], traced=False).said


# ---- an undeclared provider


def _linked(compiler: str, folder: Path, name: str, text: str, *options: str) -> bytes:
    (folder / "source.c").write_text(text)
    command = [compiler, "-shared", "-fPIC", "-o", name, "source.c", f"-Wl,-soname,{name}", *options]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / name).read_bytes()


@on_glibc
def test_a_library_that_only_an_undeclared_package_ships(tmp_path: Path, oracle: Callable[..., str]) -> None:
    compiler = oracle("gcc", "cc")
    shared = _linked(compiler, tmp_path, "libshared.so", "int shared(void) { return 1; }")
    text = "int shared(void); void *PyInit__core(void) { return (void *)(long)shared(); }"
    core = _linked(compiler, tmp_path, "_core.so", text, "libshared.so", "-Wl,-rpath,$ORIGIN/../giver")
    wheels = []
    for name, files in (("giver", {"giver/libshared.so": shared}), ("taker", {"taker/_core.so": core, "taker/__init__.py": b""})):
        path = tmp_path / f"{name}-1.0-py3-none-linux_x86_64.whl"
        path.write_bytes(wheel(files, name=name, tags=["py3-none-linux_x86_64"]))
        wheels.append(str(path))
    prefix = installed(tmp_path / "env", wheels, "--no-index", python=tmp_path / "env" / "bin" / "python")
    assert told(prefix, Severity.WARNING) == {("undeclared-provider", "warning", "certain", "taker")}
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    opening = [sys.executable, "-c", code, str(next(prefix.rglob("_core.so")))]
    assert not subprocess.run(opening, capture_output=True, check=False).returncode
    next(prefix.rglob("libshared.so")).unlink()
    survey_of.cache_clear()
    findings_of.cache_clear()
    assert missing(prefix) == {("taker", "libshared.so")}
    failed = subprocess.run(opening, capture_output=True, check=False, text=True)
    assert "libshared.so: cannot open shared object file" in failed.stderr


# ---- other systems, decided by hand


class Decided(NamedTuple):
    """What pip installs for which system, what was decided, and a file without which somebody lacks a library."""

    platforms: tuple[str, ...]
    requirements: tuple[str, ...]
    faults: set[tuple[str, str, str, str]]
    """Rule, severity, certainty and top folder."""
    control: str
    user: str


BY_HAND = {
    # NumPy and SciPy bring an OpenBLAS each. LightGBM leaves Microsoft's redistributable runtime to the system; scikit-learn has a copy
    # and loads it itself, so that the order of imports decides.
    "windows-learning": Decided(
        WINDOWS,
        (NUMPY, SCIPY, "scikit-learn==1.9.1", "lightgbm==4.6.0"),
        {
            ("unreachable-dll", "error", "possible", "lightgbm"),
            ("duplicate-blas", "note", "certain", "numpy.libs"),
        },
        "numpy.libs/libscipy_openblas64_-*.dll",
        "numpy",
    ),
    # tables/libblosc2.dll needs DLLs by names that delvewheel has changed; the package opens its other copy first. blosc2's tcc.dll is a
    # debug build.
    "windows-hdf5": Decided(
        WINDOWS,
        (NUMPY, "tables==3.11.1", "blosc2==4.14.1"),
        {("missing-library", "error", "possible", "tables"), ("missing-library", "warning", "likely", "blosc2")},
        "tables.libs/hdf5-*.dll",
        "tables",
    ),
    # LightGBM wants Homebrew's or MacPorts' libomp; scikit-learn's copy bears another install name. OpenCV uses objc_msgSend without
    # linking libobjc, which every process has.
    "macos-learning": Decided(
        MACOS,
        (NUMPY, "scikit-learn==1.9.1", "lightgbm==4.6.0", OPENCV),
        {
            ("missing-library", "error", "likely", "lightgbm"),
            ("build-search-path", "warning", "certain", "lightgbm"),
            ("build-search-path", "warning", "certain", "cv2"),
            ("build-search-path", "warning", "certain", "sklearn"),
        },
        "sklearn/.dylibs/libomp.dylib",
        "sklearn",
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_an_environment_of_another_system_has_the_faults_that_were_decided_by_hand(environments: Path, name: str) -> None:
    one = BY_HAND[name]
    assert told(foreign(environments, name, one.platforms, *one.requirements)) == one.faults


@pytest.mark.parametrize("name", BY_HAND)
def test_an_environment_of_another_system_without_a_library_says_so(
    environments: Path, without: Callable[[Path, str], Path], name: str
) -> None:
    one = BY_HAND[name]
    folder = foreign(environments, name, one.platforms, *one.requirements)
    assert one.user not in {top for top, _ in missing(folder)}
    assert one.user in {top for top, _ in missing(without(folder, one.control))}
