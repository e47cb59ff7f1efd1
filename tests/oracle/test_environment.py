"""What an environment's modules bring into a process, against processes that really load them: the files in /proc/self/maps."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from relocator.containers import open_environment
from relocator.model import PYTHON_OWNER, Survey
from relocator.processes import Surroundings
from relocator.survey import take_surveys

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not Path("/proc/self/maps").exists(), reason="reads /proc/self/maps"
)

MAPS = r"""
import ctypes, os, sys

def mapped():
    with open("/proc/self/maps") as file:
        paths = {line.split(None, 5)[5].strip() for line in file if "/" in line}
    return {path for path in paths if open(path, "rb").read(4) == b"\x7fELF"}
"""

OPEN_EACH = (
    MAPS
    + r"""
for path in sys.argv[1:]:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    try:
        ctypes.CDLL(path)
    except OSError as error:
        print(path, "ERROR", error, sep="|", flush=True)
    else:
        print(path, *mapped(), sep="|", flush=True)
    os._exit(0)
"""
)

IMPORT = (
    MAPS
    + r"""
import importlib
importlib.import_module(sys.argv[1])
print(sys.argv[1], *mapped(), sep="|")
"""
)


@pytest.fixture(scope="module")
def prefix() -> str:
    """The environment that runs the tests."""
    return sys.prefix


def survey_of(prefix: str, environment: Mapping[str, str]) -> Survey:
    with open_environment(prefix) as container:
        (found,) = take_surveys(container, surroundings=Surroundings(tuple(environment.items()), host=True))
        return found


def run(script: str, *arguments: str, environment: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for each root, the files mapped afterwards, those of Python's own standard library apart; {"ERROR"} for one that failed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LD_")}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, env={**clean, **environment}
    )
    found = {}
    for line in done.stdout.splitlines():
        root, *paths = line.split("|")
        found[root] = {"ERROR"} if paths[:1] == ["ERROR"] else {os.path.realpath(path) for path in paths if "lib-dynload" not in path}
    return found


def libffi(paths: set[str]) -> set[str]:
    """Return the files without what ctypes itself, by which they were opened, has brought."""
    return {path for path in paths if "libffi" not in path}


def expected(survey: Survey, *, standard: bool = False) -> dict[str, set[str]]:
    """Return what each extension module of the packages, or of the standard library, brings, with what the interpreter has brought."""
    elves = [binary for binary in survey.binaries if binary.extension and binary.format == "ELF"]
    modules = {binary.path for binary in elves if (binary.owner == PYTHON_OWNER) == standard}
    return {load.root: {*map(os.path.realpath, load.order), *survey.global_scope} for load in survey.loads if load.root in modules}


def test_each_module_opened_alone_maps_what_we_say(prefix: str) -> None:
    survey = survey_of(prefix, {})
    ours = expected(survey)
    real = run(OPEN_EACH, *ours, environment={})
    opened = {root: libffi(paths) for root, paths in real.items() if paths != {"ERROR"}}
    assert len(opened) > 3, "the running environment has too few extension modules to prove anything"
    assert opened == {root: libffi(ours[root]) for root in opened}


def test_each_module_of_the_standard_library_maps_what_we_say(prefix: str) -> None:
    ours = {
        root: {path for path in paths if "lib-dynload" not in path}
        for root, paths in expected(survey_of(prefix, {}), standard=True).items()
    }
    if not ours:
        pytest.skip("this Python has no extension modules of its own")
    opened = {root: libffi(paths) for root, paths in run(OPEN_EACH, *ours, environment={}).items() if paths != {"ERROR"}}
    assert opened == {root: libffi(ours[root]) for root in opened}
    assert len({frozenset(paths) for paths in opened.values()}) > 1, "some module brings a library: else nothing is proved"


def test_a_module_that_cannot_be_opened_has_something_missing_or_undefined(prefix: str) -> None:
    survey = survey_of(prefix, {})
    real = run(OPEN_EACH, *expected(survey), environment={})
    complete = {load.root for load in survey.loads if all(resolution.how != "missing" for resolution in load.resolutions)}
    failed = {root for root, paths in real.items() if paths == {"ERROR"}}
    assert not {root for root in failed if root in complete and not _needs_symbols_of_others(survey, root)}


def _needs_symbols_of_others(survey: Survey, root: str) -> bool:
    """Tell whether a module leaves symbols to what is imported before it: it needs no library that could have them."""
    binary = survey.binary_at(root)
    return binary is not None and bool(binary.images[0].symbols.references().names)


def test_variables_of_the_process_change_what_is_mapped_and_what_we_say(prefix: str, tmp_path: Path) -> None:
    without = survey_of(prefix, {})
    libm = next((path for path in without.global_scope if path.rpartition("/")[2].startswith("libm.so")), "")
    if not libm:
        pytest.skip("this Python is not linked with a libm that could be taken from elsewhere")
    shutil.copy(libm, tmp_path / "libm.so.6")
    variables = {"LD_LIBRARY_PATH": str(tmp_path)}
    root = next(iter(expected(without)))
    (real,) = run(OPEN_EACH, root, environment=variables).values()
    assert libffi(real) == libffi(expected(survey_of(prefix, variables))[root])
    assert libffi(real) != libffi(expected(without)[root]), "the negative control: without the variable the answer is another"


def test_what_is_preloaded_is_mapped_and_in_the_global_scope(prefix: str, oracle: object, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    source = tmp_path / "pre.c"
    source.write_text("int preloaded = 1;\n")
    library = tmp_path / "libpre.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    variables = {"LD_PRELOAD": str(library)}
    survey = survey_of(prefix, variables)
    root = next(iter(expected(survey)))
    (real,) = run(OPEN_EACH, root, environment=variables).values()
    assert survey.global_scope[1] == str(library)
    assert libffi(real) == libffi(expected(survey)[root])
    assert libffi(real) != libffi(expected(survey_of(prefix, {}))[root])


def test_an_import_maps_the_loads_of_the_modules_that_it_imports(prefix: str) -> None:
    survey = survey_of(prefix, {})
    ours = expected(survey)
    names = {binary.extension: binary.path for binary in survey.binaries if binary.extension and binary.path in ours}
    told = 0
    for name in sorted(names, key=lambda n: (n.count("."), n))[:12]:
        found = run(IMPORT, name, environment={})
        if not found:  # it cannot be imported: a plug-in, or one whose own dependencies are absent
            continue
        (real,) = found.values()
        modules = real & set(ours)
        brought = set().union(*(ours[module] for module in modules)) if modules else set()
        assert names[name] in real
        assert brought <= real, name  # more only by the standard library's own modules, which are no part of the environment
        assert _below(prefix, real) == _below(prefix, brought), name
        told += 1
    assert told


def _below(prefix: str, paths: set[str]) -> set[str]:
    return {path for path in paths if path.startswith(f"{os.path.realpath(prefix)}/")}
