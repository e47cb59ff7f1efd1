"""One test per search rule of the Windows loader as CPython calls it, over in-memory worlds."""

import dataclasses
import sys
from typing import Any

import pytest

from builders import SITE, WINDOWS, binary, pe
from relocator.backends.windows import load, promises
from relocator.loading import AddedDirectory, OtherFile, Process, Seen
from relocator.model import PREFIX, Binary, Format, How, Image, Load, Needed, NeedKind, Resolution, Unreadable
from relocator.target import Target

CPYTHON = Process(WINDOWS, promises(WINDOWS, "amd64"))
PYTHON_EXE = f"{PREFIX}/python.exe"
ARM = Target("win_arm64", "windows", "", (("arm64", ()),), pythons=("cp312",), abis=("cp312",))
ROOT = "pkg/_core.pyd"


class Files:
    """A world made of a list; Windows does not tell "X.DLL" from "x.dll"."""

    def __init__(self, *seen: Seen) -> None:
        self.seen = {one.path.casefold(): one for one in seen}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        assert fold_case, "a path of Windows compared with regard to case"
        return self.seen.get(path.casefold())


def lib(member: str, *needed: str | Needed, owner: str = "demo", sha256: str = "", **facts: object) -> Binary:
    found = binary(member, pe(*needed, **facts), owner=owner)  # type: ignore[arg-type]
    return dataclasses.replace(found, sha256=sha256)


def at(path: str, one: Binary) -> Binary:
    return dataclasses.replace(one, path=path)


def program(member: str, *needed: str) -> Binary:
    return binary(member, dataclasses.replace(pe(*needed), kind="program"))


def delayed(name: str) -> Needed:
    return Needed(name, NeedKind.DELAYED)


def adding(*folders: str, process: Process = CPYTHON) -> Process:
    added = tuple(AddedDirectory(f"{SITE}/{folder}", "pkg/__init__.py", 3) for folder in folders)
    return dataclasses.replace(process, added=added)


def opened(*seen: Seen, process: Process = CPYTHON, arch: str = "amd64") -> Load:
    """The load of the first file."""
    root = seen[0]
    assert isinstance(root, Binary)
    return load(root, arch, Files(*seen), process)


def answer(loaded: Load, name: str, importer: str = "") -> Resolution:
    return next(r for r in loaded.resolutions if r.needed.name == name and r.importer.endswith(importer))


def taken(loaded: Load, name: str, importer: str = "") -> str | None:
    target = answer(loaded, name, importer).target
    return target.removeprefix(f"{SITE}/") if target else None


def outcomes(resolution: Resolution) -> list[tuple[str, str, str]]:
    return [(tried.place.removeprefix(f"{SITE}/"), tried.via, tried.outcome) for tried in resolution.tried]


# ---------------------------------------------------------------- what is never searched


def test_a_module_already_loaded_is_taken_by_its_base_name() -> None:
    process = dataclasses.replace(CPYTHON, loaded=(f"{SITE}/other/x.dll",))
    loaded = opened(lib(ROOT, "X.dll"), lib("pkg/x.dll"), lib("other/x.dll", owner="other"), process=process)
    resolution = answer(loaded, "X.dll")
    assert (resolution.how, resolution.via) == (How.PROVIDED, "already loaded")
    assert outcomes(resolution) == [("other/x.dll", "already loaded", "opened by Python source")]


def test_of_two_libraries_of_one_base_name_the_first_in_the_process_serves_all() -> None:
    loaded = opened(
        lib(ROOT, "a.dll", "x.dll"),
        lib("pkg/a.dll", "x.dll", dependent_load_flags=0x400),
        lib("pkg/x.dll"),
        lib("libs/x.dll"),
        process=adding("libs"),
    )
    assert taken(loaded, "x.dll", "_core.pyd") == taken(loaded, "x.dll", "a.dll") == "pkg/x.dll"


def test_an_api_set_is_no_file_even_when_there_is_one_beside_the_root() -> None:
    name = "api-ms-win-crt-runtime-l1-1-0.dll"
    resolution = answer(opened(lib(ROOT, name), lib(f"pkg/{name}")), name)
    assert (resolution.how, resolution.via, resolution.target) == (How.PROMISED, "API set", None)


def test_known_dlls_are_taken_from_the_system_whatever_lies_beside_the_root() -> None:
    resolution = answer(opened(lib(ROOT, "KERNEL32.dll"), lib("pkg/kernel32.dll")), "KERNEL32.dll")
    assert (resolution.how, resolution.via) == (How.PROMISED, "KnownDLLs")


@pytest.mark.parametrize("name", ["python312.dll", "python3.dll", "VCRUNTIME140.dll"])
def test_what_python_itself_has_loaded_wins_over_a_copy_beside_the_root(name: str) -> None:
    resolution = answer(opened(lib(ROOT, name), lib(f"pkg/{name}")), name)
    assert (resolution.how, resolution.via) == (How.PROMISED, "loaded with Python")


def test_the_library_of_another_python_is_not_promised() -> None:
    assert answer(opened(lib(ROOT, "python311.dll")), "python311.dll").how == How.MISSING


# ---------------------------------------------------------------- directories


def test_the_roots_directory_is_searched_for_the_whole_tree() -> None:
    loaded = opened(lib(ROOT, "x.dll"), lib("libs/x.dll", "y.dll"), lib("libs/z.dll"), lib("pkg/y.dll", "z.dll"), process=adding("libs"))
    assert taken(loaded, "y.dll") == "pkg/y.dll"
    assert taken(loaded, "z.dll") == "libs/z.dll"
    assert loaded.order == tuple(f"{SITE}/{name}" for name in (ROOT, "libs/x.dll", "pkg/y.dll", "libs/z.dll"))


def test_a_dependencys_own_directory_is_not_searched() -> None:
    process = dataclasses.replace(CPYTHON, executable=PYTHON_EXE)
    world = (lib(ROOT, "x.dll"), at(f"{PREFIX}/x.dll", lib("x.dll", "sub.dll")), lib("sub/sub.dll"))
    resolution = answer(opened(*world, process=process), "sub.dll")
    assert resolution.how == How.MISSING
    assert [place for place, _, _ in outcomes(resolution)] == ["sub.dll", "pkg/sub.dll", f"{PREFIX}/sub.dll", "sub.dll"]


def test_every_place_is_told_in_the_loaders_order() -> None:
    process = dataclasses.replace(adding("libs"), search=("/opt/dlls",))
    resolution = answer(opened(lib(ROOT, "x.dll"), process=process), "x.dll")
    assert outcomes(resolution) == [
        ("x.dll", "loaded modules, KnownDLLs", "absent"),
        ("pkg/x.dll", "directory of pkg/_core.pyd", "absent"),
        ("x.dll", "application's directory", "not known"),
        ("libs/x.dll", "os.add_dll_directory in pkg/__init__.py:3", "absent"),
        ("x.dll", "System32", "not promised"),
        ("/opt/dlls/x.dll", "--search /opt/dlls", "absent"),
    ]
    assert (resolution.how, resolution.via) == (How.MISSING, "--search /opt/dlls")


def test_names_are_compared_without_regard_to_case() -> None:
    assert taken(opened(lib(ROOT, "LibX.DLL"), lib("pkg/libx.dll")), "LibX.DLL") == "pkg/libx.dll"


@pytest.mark.parametrize(("written", "file"), [("x", "x.dll"), ("x.", "x"), ("x.1", "x.1"), ("x.drv", "x.drv")])
def test_a_name_without_an_extension_means_a_dll_and_a_last_dot_means_none(written: str, file: str) -> None:
    assert taken(opened(lib(ROOT, written), lib(f"pkg/{file}")), written) == f"pkg/{file}"


def test_the_applications_directory_comes_after_the_roots_and_before_added_ones() -> None:
    process = dataclasses.replace(adding("libs"), executable=PYTHON_EXE)
    beside = at(f"{PREFIX}/x.dll", lib("x.dll", owner="python"))
    everywhere = (lib(ROOT, "x.dll"), beside, lib("libs/x.dll"))
    assert answer(opened(*everywhere, process=process), "x.dll").target == f"{PREFIX}/x.dll"
    assert taken(opened(*everywhere, lib("pkg/x.dll"), process=process), "x.dll") == "pkg/x.dll"


def test_runtime_dlls_that_lie_beside_python_without_being_loaded_yield_to_the_roots_directory() -> None:
    name = "VCRUNTIME140_1.dll"
    resolution = answer(opened(lib(ROOT, name)), name)
    assert (resolution.how, resolution.via) == (How.PROMISED, "application's directory")
    assert taken(opened(lib(ROOT, name), lib(f"pkg/{name}")), name) == f"pkg/{name}"


def test_the_msvc_runtime_that_python_does_not_ship_is_missing() -> None:
    assert answer(opened(lib(ROOT, "MSVCP140.dll")), "MSVCP140.dll").how == How.MISSING


def test_a_directory_added_by_python_source_is_searched() -> None:
    resolution = answer(opened(lib(ROOT, "x.dll"), lib("libs/x.dll"), process=adding("libs")), "x.dll")
    assert (resolution.how, resolution.via) == (How.BUNDLED, "os.add_dll_directory in pkg/__init__.py:3")
    assert answer(opened(lib(ROOT, "x.dll"), lib("libs/x.dll")), "x.dll").how == How.MISSING


@pytest.mark.parametrize(("hashes", "expected"), [(("1", "2"), True), (("1", "1"), False), (("", ""), True)])
def test_added_directories_with_different_files_of_one_name_are_told(hashes: tuple[str, str], expected: bool) -> None:
    world = (lib(ROOT, "x.dll"), lib("one/x.dll", sha256=hashes[0]), lib("two/x.dll", sha256=hashes[1]))
    resolution = answer(opened(*world, process=adding("one", "two")), "x.dll")
    rivals = [place for place, _, outcome in outcomes(resolution) if "does not say in which order" in outcome]
    assert rivals == (["two/x.dll"] if expected else [])
    assert (resolution.target, resolution.tried[-1].outcome) == (f"{SITE}/one/x.dll", "found")


def test_system32_comes_after_the_package() -> None:
    resolution = answer(opened(lib(ROOT, "winmm.dll")), "winmm.dll")
    assert (resolution.how, resolution.via) == (How.PROMISED, "System32")
    assert taken(opened(lib(ROOT, "winmm.dll"), lib("pkg/winmm.dll")), "winmm.dll") == "pkg/winmm.dll"


def test_path_and_the_current_directory_are_not_searched() -> None:
    process = dataclasses.replace(CPYTHON, environment=(("PATH", f"{SITE}/libs;."),))
    resolution = answer(opened(lib(ROOT, "x.dll"), lib("libs/x.dll"), process=process), "x.dll")
    assert resolution.how == How.MISSING
    assert all("libs" not in tried.place for tried in resolution.tried)


@pytest.mark.parametrize(("value", "how"), [("1", How.BUNDLED), ("0", How.MISSING), ("", How.MISSING)])
def test_condas_python_searches_path_when_its_variable_says_so(value: str, how: How) -> None:
    environment = (("PATH", f"relative;{SITE}/libs;C:\\other"), ("CONDA_DLL_SEARCH_MODIFICATION_ENABLE", value))
    process = dataclasses.replace(CPYTHON, environment=environment)
    assert answer(opened(lib(ROOT, "x.dll"), lib("libs/x.dll"), process=process), "x.dll").how == how


def test_directories_that_the_user_names_come_last_and_are_outside() -> None:
    process = dataclasses.replace(CPYTHON, search=("/opt/dlls",))
    outside = at("/opt/dlls/x.dll", lib("/opt/dlls/x.dll", "winmm.dll", owner=""))
    own = at("/opt/dlls/winmm.dll", lib("/opt/dlls/winmm.dll", owner=""))
    loaded = opened(lib(ROOT, "x.dll"), outside, own, process=process)
    assert (answer(loaded, "x.dll").how, answer(loaded, "x.dll").target) == (How.OUTSIDE, "/opt/dlls/x.dll")
    assert answer(loaded, "winmm.dll").how == How.PROMISED


def test_a_file_for_another_machine_in_a_named_directory_does_not_end_the_search() -> None:
    process = dataclasses.replace(CPYTHON, search=("/opt/x86", "/opt/x64"))
    wrong = at("/opt/x86/x.dll", lib("/opt/x86/x.dll", owner="", arch="win32"))
    right = at("/opt/x64/x.dll", lib("/opt/x64/x.dll", owner=""))
    assert answer(opened(lib(ROOT, "x.dll"), wrong, right, process=process), "x.dll").target == "/opt/x64/x.dll"


def test_an_import_that_names_a_folder_is_looked_for_below_every_directory() -> None:
    assert taken(opened(lib(ROOT, "sub\\x.dll"), lib("pkg/sub/x.dll")), "sub\\x.dll") == "pkg/sub/x.dll"
    assert taken(opened(lib(ROOT, "..\\libs\\x.dll"), lib("libs/x.dll")), "..\\libs\\x.dll") == "libs/x.dll"
    assert outcomes(answer(opened(lib(ROOT, "C:\\b\\x.dll")), "C:\\b\\x.dll")) == [("C:/b/x.dll", "import of a full path", "absent")]


# ---------------------------------------------------------------- files that do not fit


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (lib("pkg/x.dll", arch="win32"), "other architecture: win32"),
        (Unreadable("pkg/x.dll", f"{SITE}/pkg/x.dll", Format.PE, "PointerToRawData", "is cut"), "unreadable: PointerToRawData: is cut"),
        (OtherFile(f"{SITE}/pkg/x.dll"), "not a PE file"),
    ],
)
def test_the_first_file_of_the_name_decides_even_when_it_cannot_be_mapped(found: Seen, reason: str) -> None:
    resolution = answer(opened(lib(ROOT, "x.dll"), found, lib("libs/x.dll"), process=adding("libs")), "x.dll")
    assert (resolution.how, resolution.target) == (How.MISSING, None)
    assert resolution.tried[-1].outcome == f"{reason}; error 193, the search ends here"


@pytest.mark.parametrize(
    ("machine", "facts", "process_arch", "fits"),
    [
        ("arm64", {"hybrid": True}, "amd64", True),
        ("amd64", {"hybrid": True}, "arm64", True),
        ("arm64", {"hybrid": False}, "amd64", False),
        ("win32", {"hybrid": True}, "amd64", False),
        ("win32", {"managed": True}, "arm64", True),
    ],
)
def test_hybrid_and_managed_images_fit_more_than_one_machine(machine: str, facts: dict[str, Any], process_arch: str, fits: bool) -> None:
    target = WINDOWS if process_arch == "amd64" else ARM
    process = Process(target, promises(target, process_arch))
    world = (lib(ROOT, "x.dll", arch=process_arch), lib("pkg/x.dll", arch=machine, **facts))
    assert (answer(opened(*world, process=process, arch=process_arch), "x.dll").how == How.BUNDLED) == fits


# ---------------------------------------------------------------- DependentLoadFlags


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0x800, None),
        (0x100, "libs/y.dll"),
        (0x400, "added/y.dll"),
        (0x1000, "added/y.dll"),
        (0x1100, "libs/y.dll"),
        (0, "pkg/y.dll"),
        (0x8, "pkg/y.dll"),
    ],
)
def test_dependent_load_flags_replace_the_search_for_a_modules_own_imports(flags: int, expected: str | None) -> None:
    world = (
        lib(ROOT, "x.dll"),
        lib("libs/x.dll", "y.dll", dependent_load_flags=flags),
        *(lib(f"{f}/y.dll") for f in ("libs", "pkg", "added")),
    )
    loaded = opened(*world, process=adding("added", "libs"))
    assert taken(loaded, "y.dll") == expected
    assert ("DependentLoadFlags of libs/x.dll" in answer(loaded, "y.dll").via) == (flags > 8)


def test_dependent_load_flags_do_not_reach_the_dependencies_dependencies() -> None:
    loaded = opened(lib(ROOT, "x.dll", dependent_load_flags=0x400), lib("libs/x.dll", "y.dll"), lib("pkg/y.dll"), process=adding("libs"))
    assert taken(loaded, "y.dll") == "pkg/y.dll"


# ---------------------------------------------------------------- delayed imports


def test_a_delayed_import_is_not_searched_beside_its_importer_nor_in_added_directories() -> None:
    loaded = opened(lib(ROOT, delayed("x.dll")), lib("pkg/x.dll"), lib("libs/x.dll"), process=adding("libs"))
    assert outcomes(answer(loaded, "x.dll")) == [
        ("x.dll", "loaded modules, KnownDLLs", "absent"),
        ("x.dll", "application's directory", "not known"),
        ("x.dll", "System32", "not promised"),
        ("x.dll", "PATH", "not known"),
    ]
    assert loaded.order == (f"{SITE}/{ROOT}",)


def test_a_delayed_import_takes_what_any_part_of_the_root_has_loaded() -> None:
    loaded = opened(lib(ROOT, delayed("x.dll"), "y.dll"), lib("pkg/y.dll", "z.dll"), lib("pkg/z.dll", "x.dll"), lib("pkg/x.dll"))
    resolution = answer(loaded, "x.dll", "_core.pyd")
    assert (resolution.how, resolution.via, resolution.position) == (How.BUNDLED, "already loaded", 0)
    assert resolution.tried[-1].outcome == "needed by pkg/z.dll"
    assert [r.position for r in loaded.resolutions if r.importer.endswith("_core.pyd")] == [0, 1]


def test_a_delayed_import_finds_what_lies_beside_the_program_or_on_path() -> None:
    process = dataclasses.replace(CPYTHON, executable=PYTHON_EXE, environment=(("PATH", f"{SITE}/bin"),))
    beside = at(f"{PREFIX}/x.dll", lib("x.dll", "y.dll", owner="python"))
    world = (lib(ROOT, delayed("x.dll"), delayed("z.dll")), beside, lib("pkg/y.dll"), lib("bin/y.dll"), lib("bin/z.dll"))
    loaded = opened(*world, process=process)
    assert answer(loaded, "x.dll").target == f"{PREFIX}/x.dll"
    assert taken(loaded, "z.dll") == "bin/z.dll"
    assert taken(loaded, "y.dll") == "bin/y.dll"


def test_a_delayed_import_of_the_systems_is_promised() -> None:
    assert answer(opened(lib(ROOT, delayed("winmm.dll"))), "winmm.dll").how == How.PROMISED


# ---------------------------------------------------------------- programs, odd processes


def test_a_program_finds_what_lies_beside_it_and_has_nothing_of_pythons() -> None:
    loaded = opened(
        program("bin/tool.exe", "x.dll", "python312.dll", "VCRUNTIME140.dll", "winmm.dll"), lib("bin/x.dll"), process=adding("libs")
    )
    assert taken(loaded, "x.dll") == "bin/x.dll"
    assert [answer(loaded, name).how for name in ("python312.dll", "VCRUNTIME140.dll", "winmm.dll")] == [
        How.MISSING,
        How.MISSING,
        How.PROMISED,
    ]
    assert answer(loaded, "python312.dll").via == "PATH"


def test_a_known_program_brings_its_own_libraries_into_the_process() -> None:
    process = dataclasses.replace(CPYTHON, executable=PYTHON_EXE)
    exe = at(PYTHON_EXE, program("python.exe", "python312.dll"))
    dll = at(f"{PREFIX}/python312.dll", lib("python312.dll", owner="python"))
    resolution = answer(opened(lib(ROOT, "python312.dll"), exe, dll, process=process), "python312.dll")
    assert (resolution.how, resolution.target) == (How.PROVIDED, f"{PREFIX}/python312.dll")


def test_without_promises_nothing_is_promised() -> None:
    loaded = opened(lib(ROOT, "kernel32.dll", "api-ms-win-crt-runtime-l1-1-0.dll", "python3.dll"), process=Process(WINDOWS, None))
    assert {r.how for r in loaded.resolutions} == {How.MISSING}


def test_an_undecided_target_is_judged_by_any_windows_and_any_python() -> None:
    own = Target("", "windows", "", (("amd64", ()),), local=True)
    process = Process(Target("", "", ""), promises(own, "amd64"))
    loaded = opened(lib(ROOT, "kernel32.dll", "python39.dll", "x.dll"), process=process)
    assert [r.how for r in loaded.resolutions] == [How.PROMISED, How.PROMISED, How.MISSING]


def test_a_file_opened_first_that_does_not_fit_is_no_part_of_the_process() -> None:
    process = dataclasses.replace(CPYTHON, loaded=(f"{SITE}/other/x.dll", f"{SITE}/absent.dll"))
    loaded = opened(lib(ROOT, "x.dll"), lib("pkg/x.dll"), lib("other/x.dll", arch="win32"), process=process)
    assert taken(loaded, "x.dll") == "pkg/x.dll"


def test_libraries_that_need_each_other_are_mapped_once() -> None:
    loaded = opened(lib(ROOT, "x.dll"), lib("pkg/x.dll", "y.dll"), lib("pkg/y.dll", "x.dll", "_core.pyd"))
    assert loaded.order == tuple(f"{SITE}/{name}" for name in (ROOT, "pkg/x.dll", "pkg/y.dll"))
    assert {r.how for r in loaded.resolutions} == {How.BUNDLED}


def test_a_chain_of_ten_thousand_libraries_is_followed() -> None:
    chain = [lib(f"pkg/{n}.dll", f"{n + 1}.dll") for n in range(10_000)]
    assert len(opened(*chain, lib("pkg/10000.dll")).order) == 10_001


def test_an_architecture_that_the_root_lacks_has_an_empty_load() -> None:
    image: Image = pe("x.dll")
    assert load(binary(ROOT, image), "arm64", Files(), CPYTHON).resolutions == ()


def test_a_load_that_asks_for_too_many_places_gives_up_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["relocator.backends.windows.load"], "MOST_PLACES", 10)
    loaded = opened(lib(ROOT, *(f"{n}.dll" for n in range(20))), process=adding("libs"))
    assert len({r.via for r in loaded.resolutions}) == 2
    assert loaded.resolutions[-1].via == "gave up: more than 10 places in one load"
