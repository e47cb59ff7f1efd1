"""What relative-search-path says of a module against what the system's loaders do: an error where the current directory decides."""

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relocator.containers import open_container
from relocator.findings import Severity
from relocator.rules.relative_search_path import check
from relocator.survey import take_surveys

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="asks the loaders of Linux on x86_64")

PROBE = Path(__file__).with_name("dlopen_probe.c")
TARGETS = {"glibc": "manylinux_2_39_x86_64", "musl": "musllinux_1_2_x86_64"}
FOLDERS = (".", "lib", "lib64", "lib/x86_64-linux-gnu", "$FOO", "$ORIGINAL", "{origin}AL")
"""Where the library lies below the current directory: what any of the paths may come to there."""

PATHS = ("lib", ".", "./lib", ":", "$ORIGIN:", ":$ORIGIN", "$ORIGIN::/usr/lib", "$LIB", "$FOO", "$ORIGINAL", "lib:$FOO", "$FOO:lib")
HARMLESS = ("$ORIGIN", "${ORIGIN}/lib", "/usr/lib", "$ORIGIN:/opt/nothing")


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def link(folder: Path, compiler: str, dtags: str, path: str) -> Path:
    """Make pkg/_core.so, which needs libx.so.1, and that library in the current directory of the runs to come."""
    source, library = folder / "source.c", folder / "libx.so.1"
    source.write_text("void *PyInit__core(void) { return 0; }\n")
    run(compiler, "-shared", "-fPIC", "-nostdlib", "-o", library, source, "-Wl,-soname,libx.so.1")
    (folder / "pkg").mkdir()
    core = folder / "pkg" / "_core.so"
    run(compiler, "-shared", "-fPIC", "-nostdlib", "-o", core, source, "-Wl,--no-as-needed", library, dtags, f"-Wl,-rpath,{path}")
    for name in FOLDERS:
        place = folder / "here" / name.format(origin=str(core.parent).lstrip("/"))
        place.mkdir(parents=True, exist_ok=True)
        (place / "libx.so.1").write_bytes(library.read_bytes())
    return core


def loads(probe: Path, core: Path, where: Path) -> bool:
    done = subprocess.run([probe, core], cwd=where, env={}, check=True, capture_output=True, text=True)
    return done.stdout.startswith("ok ")


def told(core: Path, libc: str) -> bool:
    with open_container(str(core.parent)) as container:
        (survey,) = take_surveys(container, target=TARGETS[libc])
    return any(finding.severity == Severity.ERROR for finding in check(survey))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probes")


def probe_of(workshop: Path, compiler: str) -> Path:
    made = workshop / Path(compiler).name
    if not made.exists():
        run(compiler, "-o", made, PROBE)
    return made


@pytest.mark.parametrize("path", PATHS + HARMLESS)
@pytest.mark.parametrize("dtags", ["-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags"], ids=["rpath", "runpath"])
@pytest.mark.parametrize("libc", TARGETS)
def test_an_error_is_what_the_current_directory_decides(
    tmp_path: Path, workshop: Path, oracle: Callable[..., str], *, libc: str, dtags: str, path: str
) -> None:
    compiler = oracle("gcc" if libc == "glibc" else "musl-gcc")
    probe = probe_of(workshop, compiler)
    core = link(tmp_path, compiler, dtags, path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert loads(probe, core, tmp_path / "here") == told(core, libc)
    assert not loads(probe, core, elsewhere)


def test_the_oracle_can_disagree(tmp_path: Path, workshop: Path, oracle: Callable[..., str]) -> None:
    compiler = oracle("gcc")
    probe = probe_of(workshop, compiler)
    core = link(tmp_path, compiler, "-Wl,--enable-new-dtags", ":")
    assert loads(probe, core, tmp_path / "here")
    assert not told(core, "musl")  # another C library's answer is the wrong one here
