"""Where DLLs go in a wheel, what they are called, how Windows gets to know of them: small wheels repaired whole, Requests by hand."""

import ast
import dataclasses
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from builders import SITE, WINDOWS, binary, member, pe, survey, symbols, wheel
from pe_bytes import Draft, library
from relocator import api
from relocator.model import Binary, How, Image, Needed, NeedKind, Role
from relocator.plans import Edit, ReplaceNeeded, Resign, SetIdentity
from relocator.python_sources import hints
from relocator.repair.windows import wire
from relocator.repair.wiring import Beside, Link, Request, Taken, Wired
from relocator.repairs import CopyIn, Origin, Outcome, RepairOptions, RepairResult, RewriteText
from relocator.symbols import Import

TAG = "cp312-cp312-win_amd64"
CORE = f"demo/_core.{TAG.replace('cp312-cp312', 'cp312')}.pyd"
INIT = "demo/__init__.py"
FOO = {"foo.dll": library("bar.dll"), "bar.dll": library()}


def module(name: str, *needs: str, delayed: Iterable[str] = (), flags: int = 0) -> bytes:
    draft = Draft().exports(b"any.pyd", [(b"PyInit_" + name.encode(), 0)])
    if needs:
        draft.imports(*((need.encode(), [b"value"]) for need in needs))
    if delayed := list(delayed):
        draft.delayed(*((need.encode(), [b"value"]) for need in delayed))
    return (draft.configuration(flags) if flags else draft).build()


def program(*needs: str) -> bytes:
    draft = Draft(characteristics=0x22)
    return (draft.imports(*((need.encode(), [b"value"]) for need in needs)) if needs else draft).build()


class Done(NamedTuple):
    """What came of a repair."""

    result: RepairResult
    files: Mapping[str, bytes]
    """Of the finished wheel; none when it was refused."""

    @property
    def dlls(self) -> list[str]:
        return sorted(name for name in self.files if name.endswith(".dll"))

    @property
    def refusals(self) -> str:
        return "\n".join(f"{failure.message} | {failure.hint}" for failure in self.result.failures)

    @property
    def remarks(self) -> str:
        return "\n".join(self.result.plan.remarks) if self.result.plan is not None else ""

    def told(self, name: str) -> list[tuple[str, str]]:
        """Return what a source tells Windows, from site-packages on."""
        found = hints(name, f"/{name}", self.files[name])
        return [(hint.call, (hint.argument or "?").removeprefix("/")) for hint in found]


def repaired(tmp_path: Path, files: Mapping[str, bytes], libraries: Mapping[str, bytes] = FOO, **options: object) -> Done:
    """Repair a wheel, and its result once more: nothing may be left to do."""
    tmp_path = Path(tempfile.mkdtemp(dir=tmp_path))
    path = tmp_path / f"demo-1.0-{TAG}.whl"
    path.write_bytes(wheel(files, tags=(TAG,)))
    (tmp_path / "lib").mkdir()
    for name, data in libraries.items():
        (tmp_path / "lib" / name).write_bytes(data)
    wanted = RepairOptions(**options)  # type: ignore[arg-type]
    result = api.repair(path, tmp_path / "out", wanted, search=[tmp_path / "lib"], host=False)
    if result.outcome == Outcome.FAILED:
        return Done(result, {})
    again = api.repair(result.output, tmp_path / "again", wanted, search=[tmp_path / "lib"], host=False)
    assert again.plan is not None
    assert not again.plan, again.plan
    with zipfile.ZipFile(result.output) as archive:
        return Done(result, {name: archive.read(name) for name in archive.namelist()})


def unmet(done: Done) -> list[str]:
    rules = (
        "missing-library",
        "unreachable-dll",
        "unresolved-delay-load",
        "unbundled-library",
        "unbundled-msvc-runtime",
        "dll-name-conflict",
    )
    return [finding.rule for finding in done.result.remaining if finding.rule in rules]


def hashed(names: Iterable[str]) -> list[str]:
    """Return file names with "#" for their digits."""
    return ["-#.".join((head, end)) if (head := name[:-13]) and name[-13] == "-" else name for name in names for end in ["dll"]]


# ---- places


def test_the_dlls_of_a_package_lie_beside_it_and_its_init_names_their_folder(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b'"""doc"""\n', CORE: module("_core", "FOO.dll")})
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll", "demo.libs/foo-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo.libs")]
    assert ast.get_docstring(ast.parse(done.files[INIT])) == "doc"
    assert not unmet(done)


def test_a_module_at_the_top_has_its_dlls_beside_it(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"_demo.pyd": module("_demo", "foo.dll")})
    assert hashed(done.dlls) == ["bar-#.dll", "foo-#.dll"]
    assert not [name for name in done.files if name.endswith(".py")]
    assert not unmet(done)


def test_a_package_uses_what_a_module_at_the_top_needs_where_that_lies(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "foo.dll"), "_demo.pyd": module("_demo", "bar.dll")})
    assert hashed(done.dlls) == ["bar-#.dll", "demo.libs/foo-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", ""), ("add_dll_directory", "demo.libs")]
    assert done.result.plan is not None
    (because,) = [action.because for action in done.result.plan.actions if isinstance(action, RewriteText) and action.member == INIT]
    assert because == "unreachable-dll: Windows looks in site-packages, demo.libs only when demo says so"
    assert not unmet(done)


def test_what_a_source_opens_by_its_path_finds_its_needs(tmp_path: Path) -> None:
    source = b"import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'lib.dll'))\n"
    done = repaired(tmp_path, {INIT: source, "demo/lib.dll": library("bar.dll")})
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll", "demo/lib.dll"]
    assert ("add_dll_directory", "demo.libs") in done.told(INIT)
    assert not unmet(done)


def test_a_module_that_another_one_needs_is_opened_by_itself_too(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "_b.pyd"), "other/__init__.py": b"", "other/_b.pyd": module("_b", "bar.dll")}
    done = repaired(tmp_path, files)
    assert done.told(INIT) == [("add_dll_directory", "demo.libs"), ("add_dll_directory", "other")]
    assert done.told("other/__init__.py") == [("add_dll_directory", "demo.libs")]


@pytest.mark.parametrize("part", ["platlib", "purelib"])
def test_packages_in_the_data_folder_count_where_they_are_installed(tmp_path: Path, part: str) -> None:
    files = {f"demo-1.0.data/{part}/{INIT}": b"x = 1\n", f"demo-1.0.data/{part}/{CORE}": module("_core", "foo.dll")}
    done = repaired(tmp_path, files)
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll", "demo.libs/foo-#.dll"]
    (hint, *_) = hints("m", f"/{INIT}", done.files[f"demo-1.0.data/{part}/{INIT}"])
    assert hint.argument == "/demo.libs"
    assert not unmet(done)


def test_the_folder_is_called_as_asked(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "bar.dll")}, lib_sdir="_dlls")
    assert hashed(done.dlls) == ["demo_dlls/bar-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo_dlls")]


def test_every_package_at_the_top_that_needs_it_names_the_folder_and_no_other(tmp_path: Path) -> None:
    files = {
        INIT: b"",
        CORE: module("_core", "bar.dll"),
        "other/__init__.py": b"",
        "other/sub/__init__.py": b"",
        "other/sub/_x.pyd": module("_x", "bar.dll"),
        "plain/__init__.py": b"",
        "plain/_y.pyd": module("_y", "kernel32.dll"),
    }
    done = repaired(tmp_path, files)
    assert done.told(INIT) == done.told("other/__init__.py") == [("add_dll_directory", "demo.libs")]
    assert done.files["plain/__init__.py"] == done.files["other/sub/__init__.py"] == b""


# ---- packages without an __init__


def test_a_missing_init_is_added_and_said(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"demo/sub/_core.pyd": module("_core", "bar.dll")})
    assert done.told(INIT) == [("add_dll_directory", "demo.libs")]
    assert "demo/__init__.py is added; if demo is a namespace package, use --namespace-pkg demo" in done.remarks


@pytest.mark.parametrize("names", [("ns",), ("ns.inner",)])
def test_a_namespace_package_gets_no_init(tmp_path: Path, names: tuple[str, ...]) -> None:
    files = {
        "ns/inner/_flat.pyd": module("_flat", "bar.dll"),
        "ns/inner/demo/__init__.py": b"",
        "ns/inner/demo/_core.pyd": module("_core", "foo.dll"),
    }
    done = repaired(tmp_path, files, namespace_packages=(*names, "ns.inner"))
    assert hashed(done.dlls) == ["demo.libs/foo-#.dll", "ns/inner/bar-#.dll"]
    assert done.told("ns/inner/demo/__init__.py") == [("add_dll_directory", "demo.libs"), ("add_dll_directory", "ns/inner")]
    assert sorted(name for name in done.files if name.endswith(".py")) == ["ns/inner/demo/__init__.py"]
    assert not unmet(done)


def test_a_folder_around_a_package_stays_a_namespace(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"ns/demo/__init__.py": b"", "ns/demo/_core.pyd": module("_core", "bar.dll")})
    assert done.told("ns/demo/__init__.py") == [("add_dll_directory", "demo.libs")]
    assert "ns/__init__.py" not in done.files


def test_a_module_beside_a_folder_of_its_name_is_patched_instead(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"demo.py": b"__path__ = ['demo']\n", CORE: module("_core", "bar.dll")})
    assert INIT not in done.files
    assert done.told("demo.py") == [("add_dll_directory", "demo.libs")]
    assert not unmet(done)


@pytest.mark.parametrize("hiding", ["demo.pyd", "demo/__init__.pyd", "demo/__init__.cp312-win_amd64.pyd", "demo/__init__.pyc"])
def test_an_init_that_would_hide_something_is_not_added(tmp_path: Path, hiding: str) -> None:
    files = {hiding: module("demo", "kernel32.dll") if hiding.endswith(".pyd") else b"", CORE: module("_core", "bar.dll")}
    done = repaired(tmp_path, files)
    assert INIT not in done.files
    assert hashed(done.dlls) == ["demo/bar-#.dll"]
    assert not unmet(done)


@pytest.mark.parametrize(
    ("name", "data"), [("demo/__init__.pyc", b""), ("demo/__init__.cp311-win_amd64.pyi", b""), ("demo.pyd", module("demo", "kernel32.dll"))]
)
def test_an_init_runs_before_bytecode_and_before_a_module_beside_its_folder(tmp_path: Path, name: str, data: bytes) -> None:
    done = repaired(tmp_path, {INIT: b"", name: data, CORE: module("_core", "bar.dll")})
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo.libs")]


def test_a_source_that_an_extension_module_hides_is_not_patched(tmp_path: Path) -> None:
    files = {"demo.py": b"", "demo.pyd": module("demo", "kernel32.dll"), CORE: module("_core", "bar.dll")}
    done = repaired(tmp_path, files)
    assert done.files["demo.py"] == b""
    assert hashed(done.dlls) == ["demo/bar-#.dll"]
    assert not unmet(done)


def test_a_source_that_cannot_be_patched_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"x = '\xe9'\n", CORE: module("_core", "bar.dll")})
    assert "demo/__init__.py cannot be patched: its encoding" in done.refusals
    assert "--custom-patch" in done.refusals


# ---- what the wheel has already


def test_a_dll_of_the_wheel_out_of_reach_stays_where_it_is_and_its_folder_is_named(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "a.dll"), "demo/bin/a.dll": library("b.dll"), "demo/bin/b.dll": library()}
    done = repaired(tmp_path, files)
    assert done.dlls == ["demo/bin/a.dll", "demo/bin/b.dll"]
    assert done.files[CORE] == files[CORE]
    assert done.told(INIT) == [("add_dll_directory", "demo/bin")]
    assert not unmet(done)


def test_what_no_package_can_name_is_refused(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"_demo.pyd": module("_demo", "a.dll"), "bin/a.dll": library()})
    assert "_demo.pyd needs a.dll, which lies in another folder" in done.refusals
    assert "put the DLL beside the module" in done.refusals


def test_a_dll_outside_of_site_packages_is_refused(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "a.dll"), "demo-1.0.data/data/a.dll": library()})
    assert "differs between installations" in done.refusals


DELVEWHEEL = b"""\
# start delvewheel patch
def _delvewheel_patch_1_13_1():
    import os
    if os.path.isdir(libs_dir := os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'demo.libs'))):
        os.add_dll_directory(libs_dir)


_delvewheel_patch_1_13_1()
del _delvewheel_patch_1_13_1
# end delvewheel patch
"""


def test_a_folder_that_delvewheel_names_is_named(tmp_path: Path) -> None:
    files = {INIT: DELVEWHEEL, CORE: module("_core", "a.dll"), "demo.libs/a.dll": library()}
    assert repaired(tmp_path, files).result.outcome == Outcome.COPIED
    more = repaired(tmp_path, {**files, CORE: module("_core", "a.dll", "bar.dll")})
    assert hashed(more.dlls) == ["demo.libs/a.dll", "demo.libs/bar-#.dll"]
    assert more.files[INIT] == DELVEWHEEL
    assert not unmet(more)


@pytest.mark.parametrize("name", ["psycopg2_binary", "shapely", "numpy", "scipy"])
def test_wheels_that_delvewheel_made_have_nothing_left_to_do(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    corpus: Path = request.getfixturevalue("corpus")
    found = sorted(corpus.glob(f"{name}-*-win_amd64.whl"))
    if not found:
        pytest.skip(f"the corpus has no {name} for Windows")
    result = api.repair(found[-1], tmp_path, host=False, dry_run=True)
    assert result.plan is not None
    assert not [action for action in result.plan.actions if isinstance(action, CopyIn | RewriteText) and "dist-info" not in action.member]


# ---- delayed imports


def test_what_is_loaded_on_first_use_is_opened_by_its_path(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", delayed=["foo.dll"])})
    foo = next(name for name in done.dlls if "foo" in name)
    assert done.told(INIT) == [("add_dll_directory", "demo.libs"), ("cdll", foo)]
    assert not unmet(done)


def test_what_a_vendored_dll_loads_on_first_use_is_opened_too(tmp_path: Path) -> None:
    libraries = {"foo.dll": library(delayed=["bar.dll"]), "bar.dll": library()}
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "foo.dll")}, libraries)
    assert [call for call, _ in done.told(INIT)] == ["add_dll_directory", "cdll"]
    assert not unmet(done)


def test_what_is_loaded_anyway_is_not_opened(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "foo.dll", delayed=["bar.dll"])})
    assert done.told(INIT) == [("add_dll_directory", "demo.libs")]
    assert not unmet(done)


def test_a_dll_of_the_wheel_that_is_loaded_on_first_use_is_opened(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", delayed=["a.dll"]), "demo/a.dll": library()})
    assert ("cdll", "demo/a.dll") in done.told(INIT)
    assert not unmet(done)


def test_nothing_can_open_what_a_module_at_the_top_loads_on_first_use(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"_demo.pyd": module("_demo", delayed=["bar.dll"])})
    assert "on first use (delay import), and _demo.pyd is in no package that could open it before" in done.refusals
    kept = repaired(tmp_path, {"_demo.pyd": module("_demo", delayed=["a.dll"]), "a.dll": library()}, {})
    assert (kept.result.outcome, kept.dlls) == (Outcome.COPIED, ["a.dll"])
    assert "_demo.pyd needs a.dll on first use" in kept.remarks


def test_flags_that_look_in_system32_alone_are_cleared_with_a_new_name_and_passed_by_with_an_old_one(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "bar.dll", flags=0x800)}
    done = repaired(tmp_path, files)
    assert done.told(INIT) == [("add_dll_directory", "demo.libs")]
    assert not unmet(done)
    kept = repaired(tmp_path, files, no_rename=("*",))
    assert kept.told(INIT) == [("add_dll_directory", "demo.libs"), ("cdll", "demo.libs/bar.dll")]
    assert not unmet(kept)


@pytest.mark.parametrize(
    ("flags", "opened"),
    [(0x900, True), (0xA00, True), (0x400, False), (0x1000, False), (0x2000, False)],
)
def test_flags_count_that_leave_out_added_folders(tmp_path: Path, flags: int, opened: bool) -> None:
    """LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR and _APPLICATION_DIR do; _USER_DIRS, _DEFAULT_DIRS and what is no flag of search do not."""
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "bar.dll", flags=flags)}, no_rename=("*",))
    assert done.told(INIT) == [("add_dll_directory", "demo.libs"), *([("cdll", "demo.libs/bar.dll")] if opened else [])]
    assert not unmet(done)


def test_flags_that_look_beside_the_module_find_what_lies_there(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"_demo.pyd": module("_demo", "bar.dll", flags=0x900)}, no_rename=("*",))
    assert done.dlls == ["bar.dll"]
    assert not unmet(done)
    refused = repaired(tmp_path, {"_demo.pyd": module("_demo", "bar.dll", flags=0xA00)}, no_rename=("*",))
    assert "_demo.pyd needs bar.dll, and its DependentLoadFlags (0xa00) keep Windows from looking beside it" in refused.refusals
    assert "/DEPENDENTLOADFLAG" in refused.refusals


# ---- programs


def test_programs_are_left_alone_unless_they_are_to_be_mended(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "bar.dll"), "demo/tool.exe": program("bar.dll")}
    done = repaired(tmp_path, files)
    assert done.files["demo/tool.exe"] == files["demo/tool.exe"]
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll"]


def test_the_dlls_of_a_program_lie_beside_it_and_packages_find_them_there(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "bar.dll"), "demo/bin/tool.exe": program("bar.dll")}
    done = repaired(tmp_path, files, analyze_existing=True)
    assert hashed(done.dlls) == ["demo/bin/bar-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo/bin")]
    assert not unmet(done)


def test_programs_in_several_folders_have_a_copy_each(tmp_path: Path) -> None:
    files = {
        INIT: b"",
        CORE: module("_core", "foo.dll"),
        "demo/a/tool.exe": program("foo.dll"),
        "demo-1.0.data/scripts/tool.exe": program("foo.dll"),
    }
    done = repaired(tmp_path, files, analyze_existing=True)
    scripts = ["demo-1.0.data/scripts/bar-#.dll", "demo-1.0.data/scripts/foo-#.dll"]
    assert hashed(done.dlls) == [*scripts, "demo/a/bar-#.dll", "demo/a/foo-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo/a")]
    one, other = (data for name, data in sorted(done.files.items()) if "foo-" in name)
    assert one == other
    assert not unmet(done)


def test_a_program_in_the_scripts_folder_alone_leaves_the_package_its_own_folder(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "bar.dll"), "demo-1.0.data/scripts/tool.exe": program("bar.dll")}
    done = repaired(tmp_path, files, analyze_existing=True)
    assert hashed(done.dlls) == ["demo-1.0.data/scripts/bar-#.dll", "demo.libs/bar-#.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo.libs")]


def test_a_program_that_needs_a_dll_of_another_folder_is_refused(tmp_path: Path) -> None:
    files = {INIT: b"", "demo/tool.exe": program("a.dll"), "demo/bin/a.dll": library(), CORE: module("_core")}
    done = repaired(tmp_path, files, analyze_existing=True)
    assert "Windows looks beside demo/tool.exe alone" in done.refusals


# ---- names


def test_kept_names_stay_with_their_case(tmp_path: Path) -> None:
    done = repaired(
        tmp_path, {INIT: b"", CORE: module("_core", "foo")}, {"Foo.dll": library("BAR.dll"), "bar.dll": library()}, no_rename=("*",)
    )
    assert done.dlls == ["demo.libs/Foo.dll", "demo.libs/bar.dll"]
    assert not [action for action in (done.result.plan.actions if done.result.plan is not None else ()) if getattr(action, "edits", ())]


def test_a_kept_name_that_the_wheel_has_for_another_file_is_refused(tmp_path: Path) -> None:
    files = {INIT: DELVEWHEEL, CORE: module("_core", "bar.dll"), "demo.libs/Bar.dll": b"MZ no DLL"}
    assert "bar.dll would be demo.libs/bar.dll, and so is" in repaired(tmp_path, files, no_rename=("*",)).refusals


def test_a_name_without_an_ending_stands_for_a_dll(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "bar")})
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll"]
    assert not unmet(done)


def test_what_is_asked_for_by_name_keeps_it_and_every_package_names_its_folder(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core", "kernel32.dll"), "other/__init__.py": b"import ctypes\n", "other/x.py": b""}
    done = repaired(tmp_path, files, include=("foo.dll",))
    assert hashed(done.dlls) == ["demo.libs/bar-#.dll", "demo.libs/foo.dll"]
    assert done.told(INIT) == done.told("other/__init__.py") == [("add_dll_directory", "demo.libs")]


def test_a_package_in_a_namespace_names_the_folder_of_what_is_asked_for(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"ns/demo/__init__.py": b"", "ns/demo/_core.pyd": module("_core")}, include=("foo.dll",))
    assert done.told("ns/demo/__init__.py") == [("add_dll_directory", "demo.libs")]


def test_what_is_asked_for_by_name_has_its_needs_beside_it(tmp_path: Path) -> None:
    done = repaired(tmp_path, {"_demo.pyd": module("_demo")}, include=("foo.dll",))
    assert hashed(done.dlls) == ["bar-#.dll", "foo.dll"]
    assert not unmet(done)


def test_a_program_has_beside_it_what_it_needs_also_when_that_is_asked_for_by_name(tmp_path: Path) -> None:
    files = {INIT: b"", CORE: module("_core"), "demo/bin/tool.exe": program("bar.dll"), "demo/bin2/other.exe": program()}
    done = repaired(tmp_path, files, include=("bar.dll",), analyze_existing=True)
    assert done.dlls == ["demo/bin/bar.dll"]
    assert done.told(INIT) == [("add_dll_directory", "demo/bin")]
    assert not unmet(done)


# ---- where the user says


def test_a_line_in_the_source_says_where_the_patch_goes(tmp_path: Path) -> None:
    files = {
        INIT: b"from . import setup\n",
        "demo/setup.py": b"def go():\n    # relocate: patch\n    return 1\ngo()\n",
        CORE: module("_core", "bar.dll"),
    }
    done = repaired(tmp_path, files, custom_patch=True)
    assert done.files[INIT] == files[INIT]
    assert done.told("demo/setup.py") == [("add_dll_directory", "demo.libs")]
    assert not unmet(done)


def test_a_line_in_another_package_counts_the_second_time_too(tmp_path: Path) -> None:
    files = {INIT: b"import boot\n", "boot/__init__.py": b"# relocate: patch\n", CORE: module("_core", "bar.dll")}
    done = repaired(tmp_path, files, custom_patch=True)
    assert done.told("boot/__init__.py") == [("add_dll_directory", "demo.libs")]


def test_a_wheel_without_such_a_line_is_refused(tmp_path: Path) -> None:
    done = repaired(tmp_path, {INIT: b"", CORE: module("_core", "bar.dll")}, custom_patch=True)
    assert "no source has a line `# relocate: patch`" in done.refusals


# ---- Requests by hand


def outside(name: str, *needed: str | Needed, image: Image | None = None) -> Binary:
    return Binary(f"/lib/{name}", f"/lib/{name}", (image or pe(*needed, name=name),), "ab" * 32, 100)


def taken(found: Binary, digest: str = "0a1b2c3d", *, wanted: bool = False, renamed: bool = True) -> Taken:
    return Taken(found, "--search /lib", digest, wanted, renamed)


def wired(own: Binary, libraries: Iterable[Taken], beside: Iterable[Beside] = (), how: How = How.OUTSIDE, **options: object) -> Wired:
    """Wire the needs of one module and of what it brings, each met by the file of its name."""
    libraries = tuple(libraries)
    by_name = {item.binary.path.rpartition("/")[2].casefold(): item.binary.path for item in libraries}
    importers = [own, *(item.binary for item in libraries)]
    links = tuple(
        Link(importer.path, need, "amd64", by_name.get(need.name.casefold(), ""), how, "--search /lib", False)
        for importer in importers
        for need in importer.images[0].needed
    )
    found = survey(*importers, target=WINDOWS, members=(member(INIT), member(CORE)))
    return wire(Request(found, {INIT: b""}, RepairOptions(**options), libraries, links, tuple(beside)))  # type: ignore[arg-type]


def edits_of(found: Wired, path: str) -> tuple[Edit, ...]:
    return next((edited.edits for edited in found.edited if edited.path == path), ())


def core(*needed: str | Needed, **facts: object) -> Binary:
    return binary(CORE, pe(*needed, **facts), extension="demo._core")  # type: ignore[arg-type]


def test_forwarders_are_led_to_the_new_name() -> None:
    foo = outside("foo.dll", image=pe(name="foo.dll", forwarders=((b"value", "bar.value"), (b"other", "KERNEL32.Sleep"))))
    found = wired(core("foo.dll", "bar.dll"), [taken(foo), taken(outside("bar.dll"), "11111111")])
    assert ReplaceNeeded("bar.dll", "bar-11111111.dll") in edits_of(found, foo.path)


def test_a_signature_stays_on_what_only_gets_another_file_name_and_goes_with_a_remark_from_what_changes() -> None:
    plain = outside("msvcp140.dll", image=pe(name="MSVCP140.dll", certificate_size=9000))
    user = outside("foo.dll", image=pe("msvcp140.dll", name="foo.dll", certificate_size=9000))
    found = wired(core("foo.dll"), [taken(plain), taken(user, "22222222")])
    assert edits_of(found, plain.path) == ()
    assert edits_of(found, user.path) == (
        ReplaceNeeded("msvcp140.dll", "msvcp140-0a1b2c3d.dll"),
        SetIdentity("foo-22222222.dll"),
        Resign(),
    )
    assert [remark for remark in found.remarks if "signature" in remark] == [
        "the signature of /lib/foo.dll is taken off, since names in it change"
    ]


def test_microsofts_runtimes_can_stay_as_they_are() -> None:
    runtime = outside("concrt140.dll", "msvcp140.dll")
    other = outside("msvcp140.dll")
    found = wired(core("concrt140.dll"), [taken(runtime), taken(other)], unmodified_runtimes=True)
    assert {place.member for place in found.placed} == {"demo.libs/concrt140.dll", "demo.libs/msvcp140.dll"}
    assert not found.edited
    assert {place.member for place in wired(core("concrt140.dll"), [taken(runtime), taken(other)]).placed} == {
        "demo.libs/concrt140-0a1b2c3d.dll",
        "demo.libs/msvcp140-0a1b2c3d.dll",
    }


def test_what_an_unmodified_runtime_needs_keeps_its_name() -> None:
    runtime, other = outside("msvcp140.dll", "foo.dll"), outside("foo.dll")
    found = wired(core("msvcp140.dll", "foo.dll"), [taken(runtime), taken(other)], unmodified_runtimes=True)
    assert {place.member for place in found.placed} == {"demo.libs/msvcp140.dll", "demo.libs/foo.dll"}
    assert not found.edited


MUTEX = symbols([Import(b"_Mtx_lock", library="MSVCP140.dll")])
OLD_MUTEX = symbols([Import(b"_Mtx_lock", library="MSVCP140.dll"), Import(b"_Mtx_init_in_situ", library="MSVCP140.dll")])


@pytest.mark.parametrize(
    ("version", "table", "linker", "refused", "remarked"),
    [
        ("14.29.30139.0", MUTEX, (14, 40), True, False),
        ("14.29.30139.0", OLD_MUTEX, (14, 40), False, True),
        ("14.29.30139.0", OLD_MUTEX, (14, 29), False, False),
        ("14.29.30139.0", OLD_MUTEX, (2, 41), False, False),
        ("14.44.35211.0", MUTEX, (14, 40), False, False),
        ("14.44.35211.0", MUTEX, (14, 50), False, True),
        (None, MUTEX, (14, 40), False, False),
    ],
)
def test_a_runtime_older_than_those_who_use_it_is_told(
    version: str | None, table: object, linker: tuple[int, int], refused: bool, remarked: bool
) -> None:
    runtime = outside("msvcp140.dll", image=pe(name="MSVCP140.dll", file_version=version, linker_version=(14, 20)))
    found = wired(core("MSVCP140.dll", table=table, linker_version=linker), [taken(runtime)])
    assert ["needs msvcp140.dll 14.40" in refusal.message for refusal in found.refusals] == [True] * refused
    assert [f"/lib/msvcp140.dll is {version}" in remark for remark in found.remarks if "toolset" in remark] == [True] * remarked


@pytest.mark.parametrize(("name", "refused"), [("vcruntime140d.dll", True), ("ucrtbased.dll", True), ("msvcp140.dll", False)])
def test_debug_runtimes_are_not_passed_on(name: str, refused: bool) -> None:
    found = wired(core(name), [taken(outside(name))])
    assert ["may not be passed on" in refusal.message for refusal in found.refusals] == [True] * refused


def test_a_debug_runtime_that_is_asked_for_is_not_passed_on_either() -> None:
    (refusal,) = wired(core(), [taken(outside("ucrtbased.dll"), wanted=True)]).refusals
    assert refusal.message.startswith("the wheel needs ucrtbased.dll")


@pytest.mark.parametrize(
    ("renamed", "options", "members", "remarks"),
    [
        (True, {"include_symbols": True, "include_imports": True}, ["demo.libs/foo.pdb"], ["foo.lib is left out: it names foo.dll"]),
        (False, {"include_symbols": True, "include_imports": True}, ["demo.libs/foo.pdb", "demo.libs/foo.lib"], []),
        (False, {"include_imports": True}, ["demo.libs/foo.lib"], []),
        (False, {}, [], []),
    ],
)
def test_what_belongs_to_a_dll_comes_with_it(renamed: bool, options: Mapping[str, bool], members: list[str], remarks: list[str]) -> None:
    foo = outside("foo.dll")
    beside = [Beside(foo.path, Origin(f"/lib/foo.{end}", "cd" * 32, 7, "beside foo.dll")) for end in ("pdb", "lib")]
    found = wired(core("foo.dll"), [taken(foo, renamed=renamed)], beside, How.OUTSIDE, **options)
    copies = {action.member: action.because for action in found.actions if isinstance(action, CopyIn)}
    assert list(copies) == members
    assert all((why == "--include-symbols") == member.endswith(".pdb") for member, why in copies.items())
    assert [remark.partition(",")[0] for remark in found.remarks] == remarks


def test_the_libraries_of_another_distribution_are_used_where_they_lie() -> None:
    there = f"{SITE}/other/bin/foo.dll"
    own = core("foo.dll", Needed("bar.dll", NeedKind.DELAYED))
    links = [
        Link(own.path, Needed("foo.dll"), "amd64", there, How.PROVIDED, "--provided-by other", False),
        Link(
            own.path, Needed("bar.dll", NeedKind.DELAYED), "amd64", there.replace("foo", "bar"), How.PROVIDED, "--provided-by other", False
        ),
    ]
    found = survey(own, target=WINDOWS, members=(member(INIT), member(CORE)))
    (action,) = wire(Request(found, {INIT: b""}, RepairOptions(), (), tuple(links))).actions
    assert isinstance(action, RewriteText)
    assert [(hint.call, hint.argument) for hint in hints(INIT, f"{SITE}/{INIT}", action.data)] == [
        ("add_dll_directory", f"{SITE}/other/bin"),
        ("cdll", f"{SITE}/other/bin/bar.dll"),
    ]
    reached = tuple(link._replace(reachable=True) for link in links)
    assert wire(Request(found, {INIT: b""}, RepairOptions(), (), reached)) == Wired()


def test_a_dll_that_nothing_reaches_is_mended_when_asked_for() -> None:
    plugin = dataclasses.replace(binary("demo/plugins/p.dll", pe("foo.dll")), role=Role.PAYLOAD)
    foo = taken(outside("foo.dll"))
    assert not wired(plugin, [foo]).actions
    (action,) = wired(plugin, [foo], analyze_existing=True).actions
    assert isinstance(action, RewriteText)


def test_an_init_too_large_to_be_kept_is_refused() -> None:
    found = survey(core("foo.dll"), target=WINDOWS, members=(member(INIT), member(CORE)))
    foo = outside("foo.dll")
    link = Link(f"{SITE}/{CORE}", Needed("foo.dll"), "amd64", foo.path, How.OUTSIDE, "", False)
    (refusal,) = wire(Request(found, {}, RepairOptions(), (taken(foo),), (link,))).refusals
    assert "too large" in refusal.message
