"""Where a repair finds libraries: real files made by compilers, and small PE and Mach-O files, on this machine's disk."""

import dataclasses
import hashlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

import macho_bytes
import pe_bytes
from builders import SITE, wheel
from relocator import tags
from relocator.containers import open_container
from relocator.model import How, Resolution, Survey
from relocator.reading import read_container
from relocator.repairs import RepairOptions, RepairRefused, Sought
from relocator.survey import package_survey, survey_for_repair
from relocator.world import host_for

Tool = Callable[..., str]
LINUX_TAG = "cp312-cp312-linux_x86_64"
NO_HOST = Sought(host=False)


@pytest.fixture
def compiled(oracle: Tool, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a shared library out of nothing but its needs."""

    def make(path: str, *flags: str, source: str = "int value(void) { return 1; }", compiler: str = "gcc") -> Path:
        out = tmp_path / path
        out.parent.mkdir(parents=True, exist_ok=True)
        code = tmp_path / "source.c"
        code.write_text(source)
        command = [oracle(compiler), "-shared", "-fPIC", "-Wl,--no-as-needed", "-o", str(out), str(code), *flags]
        subprocess.run(command, check=True, capture_output=True)
        return out

    return make


def surveyed(
    folder: Path, files: Mapping[str, bytes], tag: str = LINUX_TAG, sought: Sought = NO_HOST, options: RepairOptions | None = None
) -> Survey:
    path = folder / f"demo-1.0-{tag}.whl"
    path.write_bytes(wheel(files, tags=[tag]))
    with open_container(str(path)) as container:
        reading = read_container(container, None)
        facts = container.facts()
    (target,) = tags.targets_of(facts, "")
    return survey_for_repair(facts, reading, target, options or RepairOptions(), sought)


def answer(survey: Survey, name: str, importer: str = "") -> Resolution:
    return next(r for load in survey.loads for r in load.resolutions if r.needed.name == name and r.importer.endswith(importer))


def trail(resolution: Resolution) -> list[tuple[str, str]]:
    return [(tried.place.rpartition("/")[2], tried.outcome) for tried in resolution.tried]


def in_folders(*folders: Path) -> Sought:
    return Sought(search=tuple(map(str, folders)), host=False)


def on_this_machine(survey: Survey) -> bool:
    return host_for(survey.target) is not None


# ---- ELF: folders


def test_a_library_is_found_in_a_search_folder_and_named_with_its_hash(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so.1", "-Wl,-soname,libfoo.so.1")
    core = compiled("core.so", str(lib))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(lib.parent))
    need = answer(found, "libfoo.so.1")
    assert (need.how, need.target, need.via) == (How.OUTSIDE, str(lib), f"--search {lib.parent}")
    outside = found.binary_at(str(lib))
    assert outside is not None
    digest = hashlib.sha256(lib.read_bytes()).hexdigest()
    assert (outside.sha256, outside.owner, outside.size) == (digest, "", lib.stat().st_size)
    assert found.inputs == ((str(lib), digest),)
    assert found.loads[0].order == (f"{SITE}/demo/_core.so", str(lib))
    assert answer(found, "libc.so.6").how == How.PROMISED
    assert answer(found, "libc.so.6", "libfoo.so.1").target is None


def test_without_a_folder_the_library_is_missing(compiled: Callable[..., Path], tmp_path: Path) -> None:
    core = compiled("core.so", str(compiled("x/lib/libfoo.so.1", "-Wl,-soname,libfoo.so.1")))
    need = answer(surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}), "libfoo.so.1")
    assert (need.how, need.target, trail(need)) == (How.MISSING, None, [("libfoo.so.1", "not promised")])


def test_candidates_that_cannot_be_mapped_are_passed_over_and_told(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("good/libfoo.so", "-Wl,-soname,libfoo.so")
    core = compiled("core.so", str(lib))
    other = compiled(
        "arch/libfoo.so", "--target=aarch64-linux-gnu", "-nostdlib", "-fuse-ld=lld", "-Wl,-soname,libfoo.so", compiler="clang-22"
    )
    for folder, data in (("script", b"INPUT(libfoo.so.1)\n"), ("cut", lib.read_bytes()[:200]), ("empty", b"")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "libfoo.so").write_bytes(data)
    folders = (other.parent, tmp_path / "script", tmp_path / "cut", tmp_path / "empty", tmp_path / "none", lib.parent)
    need = answer(surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(*folders)), "libfoo.so")
    assert (need.how, need.target) == (How.OUTSIDE, str(lib))
    outcomes = [outcome for _, outcome in trail(need)]
    assert outcomes == ["other architecture", "not an ELF file", "truncated", "not an ELF file", "absent", "found"]


def test_a_symbolic_link_leads_to_the_file_that_is_taken(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/libfoo.so.1.2.3", "-Wl,-soname,libfoo.so.1")
    (lib.parent / "libfoo.so.1").symlink_to(lib.name)
    core = compiled("core.so", str(lib))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(lib.parent))
    assert answer(found, "libfoo.so.1").target == str(lib)


def test_a_library_links_own_needs_are_looked_for_beside_it_when_it_says_so(compiled: Callable[..., Path], tmp_path: Path) -> None:
    """A path relative to a file from outside counts, also where no absolute path does."""
    deep = compiled("x/more/libdeep.so", "-Wl,-soname,libdeep.so")
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so", str(deep), "-Wl,-rpath,$ORIGIN/../more")
    core = compiled("core.so", str(lib))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(lib.parent))
    need = answer(found, "libdeep.so")
    assert (need.how, need.target) == (How.OUTSIDE, str(deep))


def test_a_library_that_is_needed_by_its_path_is_looked_for_by_its_name(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so")  # no SONAME: the linker writes the path that it was given
    core = compiled("core.so", str(lib))
    moved = tmp_path / "moved"
    lib.parent.rename(moved)
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(moved))
    assert answer(found, str(lib)).target == str(moved / "libfoo.so")


# ---- ELF: the search paths of binaries


def test_an_absolute_search_path_counts_on_a_machine_of_the_targets_kind_only(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    core = compiled("core.so", str(lib), f"-Wl,-rpath,{lib.parent}", "-Wl,--disable-new-dtags")
    files = {"demo/_core.so": core.read_bytes()}
    found = surveyed(tmp_path, files, sought=Sought())
    if on_this_machine(found):
        need = answer(found, "libfoo.so")
        assert (need.how, need.target, need.via) == (How.OUTSIDE, str(lib), f"DT_RPATH of demo/_core.so: {lib.parent}")
    need = answer(surveyed(tmp_path, files), "libfoo.so")
    assert need.how == How.MISSING
    assert ("libfoo.so", "not looked at: a path of another machine") in trail(need)


def test_a_folder_that_the_user_names_comes_before_search_paths_that_lead_outside(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    better = compiled("better/libfoo.so", "-Wl,-soname,libfoo.so", source="int value(void) { return 2; }")
    core = compiled("core.so", str(lib), f"-Wl,-rpath,{lib.parent}")
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=Sought(search=(str(better.parent),)))
    assert answer(found, "libfoo.so").target == str(better)


def test_what_the_loader_finds_in_the_wheel_comes_first(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    core = compiled("core.so", str(lib), f"-Wl,-rpath,{lib.parent}:$ORIGIN/libs")
    files = {"demo/_core.so": core.read_bytes(), "demo/libs/libfoo.so": lib.read_bytes()}
    found = surveyed(tmp_path, files, sought=Sought(search=(str(lib.parent),)), options=RepairOptions(exclude=("libfoo.so",)))
    need = answer(found, "libfoo.so")
    assert (need.how, need.target) == (How.BUNDLED, f"{SITE}/demo/libs/libfoo.so")


def test_a_relative_search_path_that_leaves_the_wheel_leads_nowhere(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    up = "/".join([".."] * 9)
    core = compiled("core.so", str(lib), f"-Wl,-rpath,$ORIGIN/{up}{lib.parent}")
    need = answer(surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=Sought()), "libfoo.so")
    assert need.how == How.MISSING
    assert ("libfoo.so", "leads out of the wheel") in trail(need)


def test_two_libraries_of_one_soname_behind_two_search_paths_stay_two(compiled: Callable[..., Path], tmp_path: Path) -> None:
    libs = [
        compiled(f"{name}/libhelper.so.1", "-Wl,-soname,libhelper.so.1", source=f"int value(void) {{ return {number}; }}")
        for name, number in (("one", 1), ("two", 22222222))
    ]
    cores = [compiled(f"c{lib.parent.name}.so", str(lib), f"-Wl,-rpath,{lib.parent}") for lib in libs]
    found = surveyed(tmp_path, {f"demo/{core.name}": core.read_bytes() for core in cores}, sought=Sought())
    if not on_this_machine(found):
        pytest.skip("search paths of a Linux machine with glibc")
    taken = [answer(found, "libhelper.so.1", core.name).target for core in cores]
    assert taken == [str(lib) for lib in libs]
    assert [load.order for load in found.loads] == [(f"{SITE}/demo/{core.name}", str(lib)) for core, lib in zip(cores, libs, strict=True)]
    assert len({binary.sha256 for binary in found.binaries if not binary.owner}) == 2


# ---- ELF: what stays outside


@pytest.mark.parametrize("pattern", ["libfoo.so.1", "libfoo*", "*/x/*", "x/lib/", "*x/lib/libfoo.so.1"])
def test_what_is_excluded_by_name_or_path_stays_outside_with_its_subtree(
    compiled: Callable[..., Path], tmp_path: Path, pattern: str
) -> None:
    deep = compiled("x/lib/libdeep.so", "-Wl,-soname,libdeep.so")
    lib = compiled("x/lib/libfoo.so.1", "-Wl,-soname,libfoo.so.1", str(deep))
    core = compiled("core.so", str(lib))
    options = RepairOptions(exclude=(pattern,))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(lib.parent), options=options)
    need = answer(found, "libfoo.so.1")
    assert (need.how, need.target, need.via) == (How.EXPECTED, None, f"--exclude {pattern}")
    assert all(r.needed.name != "libdeep.so" for load in found.loads for r in load.resolutions)
    assert all(binary.owner for binary in found.binaries)


@pytest.mark.parametrize("pattern", ["foo", "libfoo", "lib", "x/other", "libfoo.so.?.?"])
def test_a_pattern_that_fits_neither_name_nor_path_excludes_nothing(compiled: Callable[..., Path], tmp_path: Path, pattern: str) -> None:
    lib = compiled("x/lib/libfoo.so.1", "-Wl,-soname,libfoo.so.1")
    core = compiled("core.so", str(lib))
    options = RepairOptions(exclude=(pattern,))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=in_folders(lib.parent), options=options)
    assert answer(found, "libfoo.so.1").how == How.OUTSIDE


def test_what_is_excluded_need_not_exist(compiled: Callable[..., Path], tmp_path: Path) -> None:
    core = compiled("core.so", str(compiled("x/libcuda.so.1", "-Wl,-soname,libcuda.so.1")))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, options=RepairOptions(exclude=("libcuda*",)))
    assert answer(found, "libcuda.so.1").how == How.EXPECTED


def test_pythons_own_library_is_never_looked_for(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/libpython3.12.so.1.0", "-Wl,-soname,libpython3.12.so.1.0")
    core = compiled("core.so", str(lib), f"-Wl,-rpath,{lib.parent}")
    need = answer(
        surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, sought=Sought(search=(str(lib.parent),))), "libpython3.12.so.1.0"
    )
    assert (need.how, need.target, need.via) == (How.EXPECTED, None, "the interpreter itself")


def test_what_the_target_promises_is_taken_only_when_it_is_asked_for(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/libz.so.1", "-Wl,-soname,libz.so.1")
    files = {"demo/_core.so": compiled("core.so", str(lib), f"-Wl,-rpath,{lib.parent}").read_bytes()}
    sought = Sought(search=(str(lib.parent),))
    need = answer(surveyed(tmp_path, files, sought=sought), "libz.so.1")
    assert (need.how, need.target) == (How.PROMISED, None)
    for item in ("libz.so.1", "libz*", str(lib)):
        found = surveyed(tmp_path, files, sought=sought, options=RepairOptions(include=(item,)))
        assert answer(found, "libz.so.1").target == str(lib)
        assert [path for path, _ in found.wanted] == [str(lib)]


# ---- ELF: the environment and the host


def test_a_library_that_systems_have_dropped_is_taken_where_it_is_found_and_left_to_the_tag_where_not(
    compiled: Callable[..., Path], tmp_path: Path
) -> None:
    nsl = compiled("x/lib/libnsl.so.1", "-Wl,-soname,libnsl.so.1")
    core = compiled("core.so", str(nsl)).read_bytes()
    tag = "cp312-cp312-manylinux_2_17_x86_64"
    assert answer(surveyed(tmp_path, {"demo/_core.so": core}, tag), "libnsl.so.1").how == How.PROMISED
    assert answer(surveyed(tmp_path, {"demo/_core.so": core}, tag, in_folders(nsl.parent)), "libnsl.so.1").how == How.OUTSIDE


@pytest.mark.parametrize(("symbol", "how"), [("inflate_table", How.OUTSIDE), ("inflate", How.PROMISED)])
def test_a_library_is_taken_whose_private_symbols_the_tag_refuses(
    compiled: Callable[..., Path], tmp_path: Path, symbol: str, how: How
) -> None:
    libz = compiled("x/lib/libz.so.1", "-Wl,-soname,libz.so.1", source=f"int {symbol}(void) {{ return 1; }}")
    source = f"int {symbol}(void); int value(void) {{ return {symbol}(); }}"
    core = compiled("core.so", str(libz), source=source).read_bytes()
    found = surveyed(tmp_path, {"demo/_core.so": core}, "cp312-cp312-manylinux_2_17_x86_64", in_folders(libz.parent))
    assert answer(found, "libz.so.1").how == how


def test_variables_name_folders_after_those_of_the_user(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("ld/libfoo.so", "-Wl,-soname,libfoo.so")
    wheels = compiled("aw/libfoo.so", "-Wl,-soname,libfoo.so", source="int value(void) { return 3; }")
    files = {"demo/_core.so": compiled("core.so", str(lib)).read_bytes()}
    variables = (("LD_LIBRARY_PATH", f"relative::{tmp_path}/none;{lib.parent}"), ("PATH", str(wheels.parent)))
    need = answer(surveyed(tmp_path, files, sought=Sought(environment=variables)), "libfoo.so")
    assert (need.target, need.via) == (str(lib), f"LD_LIBRARY_PATH: {lib.parent}")
    both = (*variables, ("AUDITWHEEL_LD_LIBRARY_PATH", str(wheels.parent)))
    need = answer(surveyed(tmp_path, files, sought=Sought(environment=both)), "libfoo.so")
    assert (need.target, need.via) == (str(wheels), f"AUDITWHEEL_LD_LIBRARY_PATH: {wheels.parent}")
    need = answer(surveyed(tmp_path, files, sought=Sought((str(lib.parent),), (), variables)), "libfoo.so")
    assert need.via == f"--search {lib.parent}"
    assert answer(surveyed(tmp_path, files, sought=Sought(environment=variables, host=False)), "libfoo.so").how == How.MISSING


def test_the_hosts_cache_is_used_unless_it_is_switched_off_or_replaced(compiled: Callable[..., Path], tmp_path: Path) -> None:
    core = compiled("core.so", "-l:libpng16.so.16") if Path("/lib/x86_64-linux-gnu/libpng16.so.16").exists() else None
    if core is None:
        pytest.skip("libpng16.so.16 is not installed")
    files = {"demo/_core.so": core.read_bytes()}
    found = surveyed(tmp_path, files, sought=Sought())
    need = answer(found, "libpng16.so.16")
    assert (need.how, need.via) == (How.OUTSIDE, "ld.so.cache")
    assert need.target == str(Path("/lib/x86_64-linux-gnu/libpng16.so.16").resolve())
    assert answer(found, "libz.so.1", need.target).how == How.PROMISED
    assert answer(surveyed(tmp_path, files), "libpng16.so.16").how == How.MISSING
    replaced = Sought(instead_of_host=(str(tmp_path / "none"), "/lib/x86_64-linux-gnu"))
    need = answer(surveyed(tmp_path, files, sought=replaced), "libpng16.so.16")
    assert (need.how, need.via, need.tried[-2].outcome) == (How.OUTSIDE, "--ldpaths", "absent")
    assert answer(surveyed(tmp_path, files, sought=Sought(instead_of_host=(str(tmp_path),))), "libpng16.so.16").how == How.MISSING


def test_folders_in_place_of_the_hosts_serve_any_platform(compiled: Callable[..., Path], tmp_path: Path) -> None:
    """As the NDK's do for Android's wheels."""
    flags = ("--target=aarch64-linux-android24", "-nostdlib", "-fuse-ld=lld")
    lib = compiled("ndk/libc++_shared.so", *flags, "-Wl,-soname,libc++_shared.so", compiler="clang-22")
    core = compiled("core.so", *flags, str(lib), compiler="clang-22")
    sought = Sought(instead_of_host=(str(lib.parent),))
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, "cp313-cp313-android_24_arm64_v8a", sought)
    need = answer(found, "libc++_shared.so")
    assert (need.how, need.target, need.via) == (How.OUTSIDE, str(lib), "--ldpaths")


def test_a_cross_build_passes_over_what_is_for_this_machine(compiled: Callable[..., Path], tmp_path: Path) -> None:
    flags = ("--target=aarch64-linux-gnu", "-nostdlib", "-fuse-ld=lld")
    own = compiled("own/libfoo.so", "-Wl,-soname,libfoo.so")
    lib = compiled("cross/libfoo.so", *flags, "-Wl,-soname,libfoo.so", compiler="clang-22")
    core = compiled("core.so", *flags, str(lib), compiler="clang-22")
    sought = Sought(search=(str(own.parent), str(lib.parent)))
    need = answer(surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, "cp312-cp312-linux_aarch64", sought), "libfoo.so")
    assert (need.target, [outcome for _, outcome in trail(need)]) == (str(lib), ["other architecture", "found"])


def test_musl_finds_in_folders_too(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/libfoo.so", "-Wl,-soname,libfoo.so", compiler="musl-gcc")
    core = compiled("core.so", str(lib), compiler="musl-gcc")
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()}, "cp312-cp312-musllinux_1_2_x86_64", in_folders(lib.parent))
    assert found.loads[0].loader == "musl"
    assert answer(found, "libfoo.so").target == str(lib)
    assert answer(found, "libc.so").how == How.PROMISED


def test_a_local_tag_is_musls_where_the_binaries_need_its_library_under_the_name_that_its_own_build_gives(
    compiled: Callable[..., Path], tmp_path: Path
) -> None:
    core = compiled("core.so", compiler="musl-gcc")
    found = surveyed(tmp_path, {"demo/_core.so": core.read_bytes()})
    assert (found.target.libc, answer(found, "libc.so").how) == ("musl", How.PROMISED)
    glibc = compiled("core.so")
    assert surveyed(tmp_path, {"demo/_core.so": glibc.read_bytes()}).target.libc == "glibc"


# ---- ELF: the wheel itself


def test_a_library_of_the_wheel_is_taken_where_no_search_path_leads(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    files = {"demo/_core.so": compiled("core.so", str(lib)).read_bytes(), "demo/deep/foo-1.so": lib.read_bytes()}
    found = surveyed(tmp_path, files, sought=in_folders(lib.parent))
    need = answer(found, "libfoo.so")
    assert (need.how, need.target) == (How.BUNDLED, f"{SITE}/demo/deep/foo-1.so")
    assert need.via == "in the wheel, where its search does not look"


def test_of_copies_in_the_wheel_the_one_is_taken_that_has_the_name(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("libfoo.so.1", "-Wl,-soname,libfoo.so.1")
    copies = {f"demo/lib/{name}": lib.read_bytes() for name in ("libfoo.so", "libfoo.so.1", "libfoo.so.1.2")}
    found = surveyed(tmp_path, {"demo/_core.so": compiled("core.so", str(lib)).read_bytes(), **copies})
    assert answer(found, "libfoo.so.1").target == f"{SITE}/demo/lib/libfoo.so.1"
    del copies["demo/lib/libfoo.so.1"]
    found = surveyed(tmp_path, {"demo/_core.so": compiled("core.so", str(lib)).read_bytes(), **copies})
    assert answer(found, "libfoo.so.1").target == f"{SITE}/demo/lib/libfoo.so"


def test_two_different_libraries_of_one_name_in_the_wheel_are_not_chosen_from(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    other = compiled("y/libfoo.so", "-Wl,-soname,libfoo.so", source="int value(void) { return 9; }")
    files = {"demo/_core.so": compiled("core.so", str(lib)).read_bytes(), "demo/a/libfoo.so": lib.read_bytes()}
    same = {**files, "demo/b/libfoo.so": lib.read_bytes()}
    assert answer(surveyed(tmp_path, same), "libfoo.so").target == f"{SITE}/demo/a/libfoo.so"
    different = {**files, "demo/b/libfoo.so": other.read_bytes()}
    assert answer(surveyed(tmp_path, different), "libfoo.so").how == How.MISSING


# ---- asked for


def test_an_included_library_has_a_load_of_its_own(compiled: Callable[..., Path], tmp_path: Path) -> None:
    deep = compiled("x/libdeep.so", "-Wl,-soname,libdeep.so")
    plugin = compiled("x/libplugin.so.1", "-Wl,-soname,libplugin.so.1", str(deep))
    (plugin.parent / "libplugin.so").symlink_to(plugin.name)
    (plugin.parent / "libplugin.a").write_bytes(b"!<arch>\n")
    files = {"demo/_core.so": compiled("core.so").read_bytes()}
    for item in ("libplugin.so", "libplugin.so.1", "libplugin*", "*plugin*", str(plugin), str(plugin.parent / "libplugin*")):
        found = surveyed(tmp_path, files, sought=in_folders(plugin.parent), options=RepairOptions(include=(item,)))
        assert [path for path, _ in found.wanted] == [str(plugin)], item
        assert found.wanted[0][1].startswith("--include ")
        (load,) = [load for load in found.loads if load.root == str(plugin)]
        assert load.order == (str(plugin), str(deep))
        assert {binary.path for binary in found.binaries if not binary.owner and binary.sha256} == {str(plugin), str(deep)}


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("libnone.so", "--include libnone.so was not found in "),
        ("libnone*", "--include libnone* was not found in "),
        ("/none/libnone.so", "--include /none/libnone.so: does not exist"),
        ("libother.so", "is for aarch64, not for x86_64"),
    ],
)
def test_what_is_asked_for_and_not_there_is_refused_with_the_places(
    compiled: Callable[..., Path], tmp_path: Path, item: str, told: str
) -> None:
    compiled("x/libother.so", "--target=aarch64-linux-gnu", "-nostdlib", "-fuse-ld=lld", compiler="clang-22")
    files = {"demo/_core.so": compiled("core.so").read_bytes()}
    with pytest.raises(RepairRefused) as refused:
        surveyed(tmp_path, files, sought=in_folders(tmp_path / "x"), options=RepairOptions(include=(item, "libplainly-absent.so")))
    assert len(refused.value.reasons) == 2
    assert told in refused.value.reasons[0].message
    assert refused.value.exit_code == 4


def test_what_was_included_before_is_not_asked_for_again(compiled: Callable[..., Path], tmp_path: Path) -> None:
    plugin = compiled("x/libplugin.so", "-Wl,-soname,libplugin.so")
    files = {"demo/_core.so": compiled("core.so").read_bytes(), "demo.libs/libplugin.so": plugin.read_bytes()}
    for item in ("libplugin.so", "libplug*", str(plugin)):
        found = surveyed(tmp_path, files, sought=in_folders(plugin.parent), options=RepairOptions(include=(item,)))
        assert found.wanted == ()
        assert found.inputs == ()


def test_what_was_included_before_and_renamed_is_not_asked_for_again(compiled: Callable[..., Path], tmp_path: Path) -> None:
    library = compiled("x/libdeep.so.1", "-Wl,-soname,libdeep.so.1")
    hashed = compiled("libdeep-0a1b2c3d.so.1", "-Wl,-soname,libdeep-0a1b2c3d.so.1")
    user = compiled("core.so", str(hashed), "-Wl,-rpath,$ORIGIN/../demo.libs")
    for core, wanted in ((user, ()), (compiled("other.so"), (str(library),))):
        files = {"demo/_core.so": core.read_bytes(), "demo.libs/libdeep-0a1b2c3d.so.1": hashed.read_bytes()}
        for item in ("libdeep.so.1", "libdeep*", str(library)):
            found = surveyed(tmp_path, files, sought=in_folders(library.parent), options=RepairOptions(include=(item,)))
            assert tuple(path for path, _ in found.wanted) == wanted, (item, core)


# ---- Windows

WINDOWS_TAG = "cp312-cp312-win_amd64"


def put(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("_dll", ".dll").replace("_DLL", ".DLL")).write_bytes(data)
    return folder


def test_a_dll_is_found_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "bin", Foo_DLL=pe_bytes.library("bar.dll"), BAR_dll=pe_bytes.library())
    found = surveyed(tmp_path, {"demo/_core.pyd": pe_bytes.library("FOO.dll")}, WINDOWS_TAG, in_folders(folder))
    assert answer(found, "FOO.dll").target == str(folder / "Foo.DLL")
    assert answer(found, "bar.dll").target == str(folder / "BAR.dll")
    assert [binary.path for binary in found.binaries if not binary.owner] == [str(folder / "BAR.dll"), str(folder / "Foo.DLL")]


def test_a_dll_for_another_machine_is_passed_over_also_beside_its_importer(tmp_path: Path) -> None:
    wrong = pe_bytes.library(machine=pe_bytes.I386)
    folder = put(tmp_path / "bin", foo_dll=pe_bytes.library())
    bad = put(tmp_path / "bad", foo_dll=wrong)
    files = {"demo/_core.pyd": pe_bytes.library("foo.dll"), "demo/foo.dll": wrong}
    need = answer(surveyed(tmp_path, files, WINDOWS_TAG, in_folders(bad, folder)), "foo.dll")
    assert (need.how, need.target) == (How.OUTSIDE, str(folder / "foo.dll"))
    assert [outcome for _, outcome in trail(need) if outcome.startswith("other")] == ["other architecture: win32"] * 2


def test_what_windows_and_python_have_stays_outside(tmp_path: Path) -> None:
    names = ("KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll", "VCRUNTIME140.dll", "python312.dll", "python311.dll", "python3.dll")
    folder = put(tmp_path / "bin", **{name.replace(".dll", "_dll"): pe_bytes.library() for name in names})
    found = surveyed(tmp_path, {"demo/_core.pyd": pe_bytes.library(*names)}, WINDOWS_TAG, in_folders(folder))
    hows = {name: answer(found, name).how for name in names}
    assert {name for name, how in hows.items() if how == How.PROMISED} == {
        "KERNEL32.dll",
        "api-ms-win-crt-heap-l1-1-0.dll",
        "VCRUNTIME140.dll",
    }
    assert {name for name, how in hows.items() if how == How.EXPECTED} == {"python312.dll", "python311.dll", "python3.dll"}
    assert all(answer(found, name).target is None for name in names)


def test_path_counts_for_dlls_and_delayed_ones_too(tmp_path: Path) -> None:
    folder = put(tmp_path / "bin", foo_dll=pe_bytes.library(), late_dll=pe_bytes.library())
    files = {"demo/_core.pyd": pe_bytes.library("foo.dll", delayed=["late.dll"])}
    found = surveyed(tmp_path, files, WINDOWS_TAG, Sought(environment=(("PATH", f"/nowhere:{folder}"),)))
    assert (answer(found, "foo.dll").target, answer(found, "foo.dll").via) == (str(folder / "foo.dll"), f"PATH: {folder}")
    assert answer(found, "late.dll").target == str(folder / "late.dll")


def test_a_dll_of_the_wheel_is_taken_where_windows_does_not_look(tmp_path: Path) -> None:
    files = {"demo/_core.pyd": pe_bytes.library("FOO.dll"), "demo/bin/foo.dll": pe_bytes.library()}
    need = answer(surveyed(tmp_path, files, WINDOWS_TAG), "FOO.dll")
    assert (need.how, need.target) == (How.BUNDLED, f"{SITE}/demo/bin/foo.dll")


def test_a_dll_is_excluded_and_included_whatever_the_case(tmp_path: Path) -> None:
    folder = put(tmp_path / "bin", Foo_dll=pe_bytes.library(), Plugin_dll=pe_bytes.library("foo.dll"))
    files = {"demo/_core.pyd": pe_bytes.library("FOO.dll")}
    options = RepairOptions(exclude=("foo.dll",), include=("plugin.DLL",))
    found = surveyed(tmp_path, files, WINDOWS_TAG, in_folders(folder), options)
    assert answer(found, "FOO.dll").via == "--exclude foo.dll"
    assert [path for path, _ in found.wanted] == [str(folder / "Plugin.dll")]


# ---- macOS

MACOS_TAG = "cp312-cp312-macosx_11_0_x86_64"


def image(*commands: bytes, file_type: int = 6) -> bytes:
    shape = macho_bytes.Shape(file_type=file_type)
    return macho_bytes.macho([macho_bytes.build_version(1, 0xB0000, 0xE0000), *commands], shape)


def module(*needs: str, rpaths: Sequence[str] = ()) -> bytes:
    return image(*map(macho_bytes.dylib, needs), *map(macho_bytes.rpath, rpaths), file_type=8)


def dylib(name: str, *needs: str, rpaths: Sequence[str] = ()) -> bytes:
    return image(macho_bytes.dylib(name, 0xD), *map(macho_bytes.dylib, needs), *map(macho_bytes.rpath, rpaths))


def test_an_absolute_install_name_of_another_machine_is_looked_for_by_its_last_part(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    folder.mkdir()
    name = "/opt/homebrew/lib/libfoo.1.dylib"
    (folder / "libfoo.1.dylib").write_bytes(dylib(name, "/usr/lib/libSystem.B.dylib"))
    files = {"demo/_core.so": module(name, "/usr/lib/libSystem.B.dylib")}
    need = answer(surveyed(tmp_path, files, MACOS_TAG, in_folders(folder)), name)
    assert (need.how, need.target, need.via) == (How.OUTSIDE, str(folder / "libfoo.1.dylib"), f"--search {folder}")
    found = surveyed(tmp_path, files, MACOS_TAG)
    assert answer(found, name).how == How.MISSING
    assert answer(found, "/usr/lib/libSystem.B.dylib").how == How.PROMISED
    variables = Sought(environment=(("DYLD_LIBRARY_PATH", str(folder)),))
    assert answer(surveyed(tmp_path, files, MACOS_TAG, variables), name).via == f"DYLD_LIBRARY_PATH: {folder}"


def test_a_search_folder_comes_before_the_fallback_that_an_old_sdk_gives(tmp_path: Path) -> None:
    """dyld would find the system's library of that name; what the build linked is another one."""
    name = "/opt/homebrew/lib/liblzma.5.dylib"
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "liblzma.5.dylib").write_bytes(dylib(name))
    old = {"demo/_core.so": macho_bytes.macho([macho_bytes.build_version(1, 0xB0000, 0xC0000), macho_bytes.dylib(name)])}
    need = answer(surveyed(tmp_path, old, MACOS_TAG, in_folders(folder)), name)
    assert (need.how, need.target) == (How.OUTSIDE, str(folder / "liblzma.5.dylib"))
    need = answer(surveyed(tmp_path, old, MACOS_TAG), name)
    assert (need.how, need.tried[-1].place) == (How.PROMISED, "/usr/lib/liblzma.5.dylib")


def test_a_dylib_from_outside_is_searched_from_where_it_lies(tmp_path: Path) -> None:
    for place, data in (
        (
            "a/libfoo.dylib",
            dylib("@rpath/libfoo.dylib", "@rpath/libbar.dylib", "@loader_path/../b/libbaz.dylib", rpaths=["@loader_path/../b"]),
        ),
        ("b/libbar.dylib", dylib("@rpath/libbar.dylib")),
        ("b/libbaz.dylib", dylib("@rpath/libbaz.dylib")),
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(data)
    found = surveyed(tmp_path, {"demo/_core.so": module("@rpath/libfoo.dylib")}, MACOS_TAG, in_folders(tmp_path / "a"))
    assert answer(found, "@rpath/libbar.dylib").target == str(tmp_path / "b/libbar.dylib")
    assert answer(found, "@loader_path/../b/libbaz.dylib").target == str(tmp_path / "b/libbaz.dylib")


def test_a_dylib_is_excluded_by_a_part_of_a_path_that_does_not_exist(tmp_path: Path) -> None:
    name = "/opt/homebrew/opt/libomp/lib/libomp.dylib"
    for pattern in ("opt/libomp", "libomp.dylib", "*libomp*"):
        found = surveyed(tmp_path, {"demo/_core.so": module(name)}, MACOS_TAG, options=RepairOptions(exclude=(pattern,)))
        assert answer(found, name).how == How.EXPECTED


def test_pythons_framework_is_the_interpreter(tmp_path: Path) -> None:
    for name in ("/Library/Frameworks/Python.framework/Versions/3.12/Python", "@rpath/libpython3.12.dylib"):
        need = answer(surveyed(tmp_path, {"demo/_core.so": module(name)}, MACOS_TAG), name)
        assert (need.how, need.via) == (How.EXPECTED, "the interpreter itself")


def test_a_dylib_of_the_wheel_and_a_slice_too_few(tmp_path: Path) -> None:
    other = macho_bytes.macho([macho_bytes.dylib("@rpath/libfoo.dylib", 0xD)], macho_bytes.Shape(cpu_type=macho_bytes.ARM64, cpu_subtype=0))
    files = {
        "demo/_core.so": module("/opt/x/libfoo.dylib"),
        "demo/a/libfoo.dylib": other,
        "demo/b/libfoo.dylib": dylib("@rpath/libfoo.dylib"),
    }
    need = answer(surveyed(tmp_path, files, MACOS_TAG), "/opt/x/libfoo.dylib")
    assert (need.how, need.target) == (How.BUNDLED, f"{SITE}/demo/b/libfoo.dylib")


# ---- nothing outside


def test_the_survey_of_a_package_alone_is_what_an_audit_makes_of_it(compiled: Callable[..., Path], tmp_path: Path) -> None:
    lib = compiled("x/lib/libfoo.so", "-Wl,-soname,libfoo.so")
    core = compiled("core.so", str(lib), f"-Wl,-rpath,{lib.parent}")
    path = tmp_path / f"demo-1.0-{LINUX_TAG}.whl"
    path.write_bytes(wheel({"demo/_core.so": core.read_bytes()}, tags=[LINUX_TAG]))
    from relocator.survey import take_surveys

    with open_container(str(path)) as container:
        (audited,) = take_surveys(container)
    with open_container(str(path)) as container:
        reading = read_container(container, None)
        facts = container.facts()
    assert package_survey(facts, reading, tags.targets_of(facts, "")[0]) == audited
    assert answer(audited, "libfoo.so").how == How.MISSING


# ---- reading again


def test_a_member_without_bytes_is_what_it_was_known_to_be(compiled: Callable[..., Path], tmp_path: Path) -> None:
    from relocator.containers.entry import Entry

    core = compiled("core.so").read_bytes()
    files = {
        "demo/_core.so": core,
        "demo/cut.so": core[:100],
        "demo/libx.a": b"!<arch>\n",
        "demo/note.txt": b"text",
        "demo/__init__.py": b"import ctypes\nctypes.CDLL('libfoo.so')\n",
        "demo/big.py": b"#" * (5 << 20),
    }
    path = tmp_path / f"demo-1.0-{LINUX_TAG}.whl"
    path.write_bytes(wheel(files, tags=[LINUX_TAG]))

    def keep(name: str) -> bool:
        return name.endswith((".py", "/WHEEL"))

    with open_container(str(path)) as container:
        whole = read_container(container, None, keep)
    assert set(whole.texts) == {"demo/__init__.py", "demo-1.0.dist-info/WHEEL"}
    assert whole.texts["demo/__init__.py"] == files["demo/__init__.py"]

    class Spared:
        """The same container, of which no member but one comes with bytes."""

        def entries(self, wanted: object = None) -> "list[Entry]":
            with open_container(str(path)) as container:
                return [
                    entry if entry.member.name == "demo/note.txt" else entry._replace(data=None)
                    for entry in [e._replace(data=None if e.data is None else bytes(e.data[:])) for e in container.entries()]
                ]

    again = read_container(Spared(), None, keep, whole)  # type: ignore[arg-type]
    assert sorted(again.binaries, key=str) == sorted(whole.binaries, key=str)
    assert again.unreadable == whole.unreadable
    assert sorted(again.other_paths) == sorted(whole.other_paths)
    assert (again.hints, again.sources, again.others, again.texts) == (whole.hints, whole.sources, whole.others, whole.texts)
    nothing = read_container(Spared(), None, keep)  # type: ignore[arg-type]
    assert (nothing.binaries, nothing.texts) == ([], {})


def test_a_member_of_another_hash_is_not_taken_over(compiled: Callable[..., Path], tmp_path: Path) -> None:
    from relocator.containers.entry import Entry

    path = tmp_path / f"demo-1.0-{LINUX_TAG}.whl"
    path.write_bytes(wheel({"demo/_core.so": compiled("core.so").read_bytes()}, tags=[LINUX_TAG]))
    with open_container(str(path)) as container:
        whole = read_container(container, None)

    class Changed:
        def entries(self, wanted: object = None) -> "list[Entry]":
            with open_container(str(path)) as container:
                return [e._replace(data=None, member=e.member._replace(sha256="0" * 64)) for e in container.entries()]

    assert read_container(Changed(), None, known=whole).binaries == []  # type: ignore[arg-type]


def test_images_that_were_read_before_are_those_of_the_same_bytes_alone(compiled: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / f"demo-1.0-{LINUX_TAG}.whl"
    path.write_bytes(wheel({"demo/_core.so": compiled("core.so").read_bytes()}, tags=[LINUX_TAG]))
    with open_container(str(path)) as container:
        [binary] = read_container(container, None).binaries
        other = (dataclasses.replace(binary.images[0], identity="another"),)
        [taken] = read_container(container, None, images={binary.sha256: other}).binaries
        [read] = read_container(container, None, images={"0" * 64: other, "": other}).binaries
    assert taken.images[0].identity == "another"
    assert read == binary
