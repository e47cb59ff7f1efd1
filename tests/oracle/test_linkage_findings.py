"""What the linkage rules say of a folder against what the system's loader does with it: an error where a module does not load, a note
where it does and a library opened first does not, nothing where both load."""

import itertools
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relocator.audit import run_rules
from relocator.containers import open_container
from relocator.rules import RULES
from relocator.survey import take_surveys

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="asks glibc on x86_64"
)

KINDS = {"": [], "rpath": ["-Wl,--disable-new-dtags"], "runpath": ["-Wl,--enable-new-dtags"]}
TARGET = "manylinux_2_39_x86_64"
LINKAGE = tuple(rule for rule in RULES if rule.group == "Linkage")


def link(compiler: str, folder: Path, name: str, text: str, *flags: str) -> None:
    source = folder / f"{name}.c"
    source.write_text(text)
    subprocess.run([compiler, "-shared", "-fPIC", "-nostdlib", "-o", folder / name, source, *flags], check=True, cwd=folder)
    source.unlink()


def search(kind: str, text: str = "$ORIGIN") -> list[str]:
    return [*KINDS[kind], f"-Wl,-rpath,{text}"] if kind else []


def loads(path: Path) -> bool:
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False, env=environment, cwd="/").returncode == 0


def told(folder: Path) -> set[tuple[str, str]]:
    with open_container(str(folder)) as container:
        (survey,) = take_surveys(container, target=TARGET)
    return {(finding.rule, finding.primary.value) for finding in run_rules(survey, LINKAGE).findings}


@pytest.mark.parametrize(("of_module", "of_library", "names_both"), list(itertools.product(KINDS, KINDS, (False, True))))
def test_search_paths(tmp_path: Path, oracle: Callable[..., str], of_module: str, of_library: str, names_both: bool) -> None:
    compiler = oracle("cc", "gcc", "clang")
    link(compiler, tmp_path, "liby.so.1", "int y(void) { return 1; }", "-Wl,-soname,liby.so.1")
    link(compiler, tmp_path, "libx.so.1", "int x(void) { return 1; }", "-Wl,--no-as-needed", "liby.so.1", *search(of_library))
    both = ["liby.so.1"] if names_both else []
    text = "void *PyInit__core(void) { return 0; }"
    link(
        compiler,
        tmp_path,
        "_core.so",
        text,
        "-Wl,--no-as-needed",
        "libx.so.1",
        *both,
        *search(of_module),
        "-Wl,--unresolved-symbols=ignore-all",
    )
    findings = told(tmp_path)
    assert loads(tmp_path / "_core.so") == all(rule != "missing-library" for rule, _ in findings)
    if loads(tmp_path / "_core.so"):
        assert loads(tmp_path / "libx.so.1") == (("resolved-by-caller", "liby.so.1") not in findings)


@pytest.mark.parametrize(("path", "flagged"), [("./liby.so", True), ("$ORIGIN/liby.so", False), ("$ORIGIN/sub/liby.so", True)])
def test_paths_in_needed(tmp_path: Path, oracle: Callable[..., str], path: str, flagged: bool) -> None:
    compiler = oracle("cc", "gcc", "clang")
    link(compiler, tmp_path, "liby.so", "int y(void) { return 1; }", f"-Wl,-soname,{path}")
    link(compiler, tmp_path, "_core.so", "void *PyInit__core(void) { return 0; }", "-Wl,--no-as-needed", "liby.so", "-Wl,-rpath,$ORIGIN")
    assert (("path-in-needed", path) in told(tmp_path)) == flagged
    assert loads(tmp_path / "_core.so") != flagged
