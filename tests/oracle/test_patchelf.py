"""patchelf's own shell tests, with our editor in the place of patchelf.

RELOCATOR_PATCHELF_SOURCE names a folder with patchelf's source. Nothing of it is kept here: the tests are copied to a temporary folder,
what they need is built there as their Makefile would, and `../src/patchelf` is tests/oracle/patchelf_adapter.py.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relocator import __file__ as relocator_file

ADAPTER = Path(__file__).with_name("patchelf_adapter.py")
NOT_OURS = {
    "add-debug-tag": "--add-debug-tag: no loader needs the tag to be made",
    "change-abi": "--set-os-abi is no edit of ours",
    "contiguous-note-sections": "its program has an empty PT_DYNAMIC, which no loader starts: we call it damaged",
    "empty-note": "its program has an empty PT_DYNAMIC, which no loader starts: we call it damaged",
    "grow-file": "sets one search path of 4,096 bytes: no system opens a name that long, and we refuse to write it",
    "phdr-corruption": "its library has no PT_DYNAMIC, so that no loader would read the search path: we refuse to write one",
    "shared-rpath": "looks for the X that patchelf writes over a string it no longer uses, and counts copies of a name in dead bytes",
    "endianness": "--shrink-rpath is no edit of ours: `relocate audit` says which paths find nothing",
    "invalid-elf": "asks for patchelf's own words about damaged section headers, which no loader reads",
    "rename-dynamic-symbols": "symbols are not renamed",
    "set-rpath-library": "--shrink-rpath is no edit of ours",
    "shrink-rpath": "--shrink-rpath is no edit of ours",
    "shrink-rpath-with-allowed-prefixes": "--shrink-rpath is no edit of ours",
    "property-rewrite": "--shrink-rpath is among its random edits",
    "build-resolution-cache": "--build-resolution-cache is for NixOS's loader",
    "build-resolution-cache-edits": "--build-resolution-cache is for NixOS's loader",
    "build-resolution-cache-no-pie": "--build-resolution-cache is for NixOS's loader",
    "build-resolution-cache-search-hint": "--build-resolution-cache is for NixOS's loader",
    "build-resolution-cache-stale": "--build-resolution-cache is for NixOS's loader",
    "build-resolution-cache-symtab": "--build-resolution-cache is for NixOS's loader",
    "no-rpath-prebuild": "a part that the tests of single architectures call",
}
"""Which tests do not apply, and why."""
SKIPPED = 77
"""The exit status by which a shell test says that it makes no sense here."""
LINK = ["-Wl,--disable-new-dtags", "-Wl,-rpath-link=.", "-L."]
SHARED = ["-fpic", "-Wl,--disable-new-dtags", "-shared", "-L."]
BUILDS: tuple[tuple[str, ...], ...] = (
    ("libbar.so", "bar.c", *SHARED, "-Wl,-rpath,{here}/no-such-path"),
    ("libbar-scoped.so", "bar.c", *SHARED),
    ("libfoo.so", "foo.c", *SHARED, "-lbar"),
    ("libfoo-scoped.so", "foo.c", *SHARED, "-lbar-scoped"),
    ("libsimple.so", "simple.c", *SHARED, "-Wl,-z,noexecstack"),
    ("libsimple-execstack.so", "simple.c", *SHARED, "-Wl,-z,execstack"),
    ("libbuildid.so", "simple.c", *SHARED, "-Wl,--build-id"),
    ("libcustom-init.so", "custom-init.c", *SHARED, "-Wl,-init,my_init"),
    ("libshared-rpath.so", "shared-rpath.c", *SHARED, "-Wl,-rpath=a_symbol_name"),
    ("libtoomanystrtab.so", "too-many-strtab.c", "too-many-strtab2.s", *SHARED),
    ("libbig-dynstr.so", "big-dynstr.c", "-fPIC", "-shared"),
    ("simple", "simple.c", "-Wl,-z,noexecstack"),
    ("simple-pie", "simple.c", "-fPIC", "-pie"),
    ("simple-execstack", "simple.c", "-Wl,-z,execstack"),
    ("main", "main.c", "-fpic", *LINK, "-lfoo"),
    ("main-scoped", "main.c", "-fpic", *LINK, "-lfoo-scoped"),
    ("big-dynstr", "big-dynstr.c", "-fpic", *LINK, "-lfoo"),
    ("large-page", "simple.c", "-no-pie", "-fno-pie", "-Wl,-z,max-page-size=0x200000"),
    ("no-rpath", "no-rpath.c"),
    ("contiguous-note-sections", "contiguous-note-sections.s", "-pie", "-nostdlib", "-T", "contiguous-note-sections.ld"),
    ("phdr-corruption.so", "void.c", "-nostdlib", "-shared", "-Wl,-Tphdr-corruption.ld"),
    ("pht-collision.so", "pht-collision.c", "-nostdlib", "-shared", "-Wl,-Tpht-collision.ld"),
)

Oracle = Callable[..., str]


def source() -> Path | None:
    """The tests of patchelf."""
    folder = os.environ.get("RELOCATOR_PATCHELF_SOURCE", "")
    return Path(folder) / "tests" if folder else None


def names() -> list[str]:
    folder = source()
    if folder is None:
        return []
    single = sorted(path.name for path in (folder / "no-rpath-prebuild").iterdir() if path.name != "no-rpath-pie-powerpc")
    return sorted({path.stem for path in folder.glob("*.sh")} | set(single))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the tests run, with all that they need."""
    folder = source()
    if folder is None:
        pytest.skip("no source of patchelf: RELOCATOR_PATCHELF_SOURCE names a folder that has it")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    here = tmp_path_factory.mktemp("patchelf") / "tests"
    shutil.copytree(folder, here)
    for path in here.rglob("*"):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    functions = "".join(f"void f{number}(void) {{ }};\n" for number in range(1, 2001))
    (here / "big-dynstr.c").write_text((here / "main.c").read_text() + functions)
    for output, *rest in BUILDS:
        arguments = [part.format(here=here) for part in rest]
        subprocess.run(["gcc", "-o", output, *arguments], cwd=here, check=True, capture_output=True)
    subprocess.run(["objcopy", "--only-keep-debug", "libbig-dynstr.so", "libbig-dynstr.debug"], cwd=here, check=True)
    _install_adapter(here.parent / "src")
    return here


def _install_adapter(folder: Path) -> None:
    """Make a `patchelf` that has an interpreter, which some tests ask it for: a copy of Python that runs the adapter."""
    folder.mkdir()
    package = Path(relocator_file).parents[1]
    program = folder / "patchelf"
    code = (
        "#include <unistd.h>\n#include <stdlib.h>\n"
        "int main(int count, char **given) {\n"
        "  char **all = calloc(count + 3, sizeof *all);\n"
        f'  all[0] = "{sys.executable}"; all[1] = "{ADAPTER}";\n'
        "  for (int i = 1; i < count; i++) all[i + 1] = given[i];\n"
        f'  unsetenv("LD_BIND_NOW"); setenv("PYTHONPATH", "{package}", 1);\n'
        "  execv(all[0], all);\n  return 127;\n}\n"
    )
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=code, text=True, check=True)


def run(name: str, here: Path) -> subprocess.CompletedProcess[str]:
    script = here / f"{name}.sh"
    if not script.exists():
        script.symlink_to("no-rpath-prebuild.sh")
    environment = os.environ | {"srcdir": ".", "STRIP": "strip", "NM": "nm", "OBJDUMP": "objdump", "READELF": "readelf"}
    environment |= {"OBJCOPY": "objcopy", "STRINGS": "strings", "LC_ALL": "C"}
    return subprocess.run(
        [f"./{name}.sh"],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("name", names() or ["all"])
def test_patchelfs_own_test_passes_with_our_editor(name: str, built: Path) -> None:
    if name in NOT_OURS:
        pytest.skip(NOT_OURS[name])
    done = run(name, built)
    if done.returncode == SKIPPED:
        pytest.skip(f"the test says that it does not apply here: {(done.stdout + done.stderr).strip()[-200:]}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_a_tool_that_does_nothing_fails_most_of_them(built: Path, tmp_path: Path) -> None:
    idle = tmp_path / "tests"
    shutil.copytree(built, idle, symlinks=True)
    (tmp_path / "src").mkdir()
    shutil.copy("/bin/true", tmp_path / "src" / "patchelf")
    for name in ("set-rpath", "add-rpath", "soname", "replace-needed", "plain-needed", "modify-execstack", "no-rpath"):
        assert run(name, idle).returncode not in (0, SKIPPED), name
