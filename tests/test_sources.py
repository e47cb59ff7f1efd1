"""What the options, the environment and the wheel say about where libraries come from, as the loaders are told it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import LINUX, MACOS, SITE, WINDOWS, binary, elf, macho, pe
from relocator.loading import Sources
from relocator.model import Binary, How, Image, Tried
from relocator.reading import Reading
from relocator.repairs import RepairOptions, Sought
from relocator.search_order import Ending, Place, exclusion, fits, is_included, steps
from relocator.sources import host_of, names_of, sources_of
from relocator.target import Target

PROMISE = Tried("libz.so.1", "default directories", "promised by manylinux_2_17")
OWN = (Place(f"{SITE}/demo/libs/libfoo.so", "rpath"), Place("/opt/x/libfoo.so", "rpath"))


def of(*binaries: Binary, target: Target = LINUX, options: RepairOptions | None = None, sought: Sought | None = None) -> Sources:
    return sources_of(options or RepairOptions(), sought or Sought(host=False), Reading(list(binaries)), target)


def lib(member: str, *images: Image, sha256: str = "") -> Binary:
    return Binary(member, f"{SITE}/{member}", images, sha256 or member, owner="demo")


# ---- patterns


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("libfoo.so.1", "libfoo.so.1", True),
        ("libfoo.so.1", "/opt/x/libfoo.so.1", True),
        ("libfoo.so", "libfoo.so.1", False),
        ("libfoo", "libfoo.so.1", False),
        ("libfoo*", "/opt/x/libfoo.so.1", True),
        ("libfoo.so.?", "libfoo.so.1", True),
        ("lib[fg]oo.so.1", "libgoo.so.1", True),
        ("*cuda*", "/usr/local/cuda/lib64/libcublas.so.12", True),
        ("/opt/*", "/opt/x/libfoo.so.1", True),
        ("/opt/*", "/usr/opt/libfoo.so.1", False),
        ("/opt/x", "/opt/x/libfoo.so.1", True),
        ("x/lib", "/opt/x/libfoo.so.1", True),
        ("y/lib", "/opt/x/libfoo.so.1", False),
        ("LIBFOO*", "libfoo.so.1", False),
        ("libstdc++.so.6", "libstdc++.so.6", True),
        ("homebrew/opt", "/opt/homebrew/opt/libomp/lib/libomp.dylib", True),
    ],
)
def test_a_pattern_fits_a_base_name_or_a_path(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) == expected


def test_on_windows_neither_case_nor_the_kind_of_slash_counts() -> None:
    assert fits("FOO*.DLL", "/c/bin/foo-1.dll", fold_case=True)
    assert fits(r"C:\Bin", "/C:/bin/foo.dll", fold_case=True)
    assert not fits("FOO*.DLL", "foo-1.dll")


@given(st.text(st.characters(exclude_characters="/*?[\\\0"), min_size=1))
def test_a_plain_name_fits_itself_and_whatever_folder_it_lies_in(name: str) -> None:
    assert fits(name, name)
    assert fits(name, f"/opt/{name}")
    assert not fits(name, f"/opt/{name}x")


# ---- the order


def shown(sources: Sources, name: str = "libfoo.so", *, promise: Tried | None = None, host: tuple[Place, ...] = ()) -> list[str]:
    """Every step, as what it is and where."""
    return [
        f"{step.how}: {step.tried.via}" if isinstance(step, Ending) else f"{step.path} {step.outcome}".strip()
        for step in steps(sources, name, OWN, promise=promise, host=host)
    ]


def test_everything_is_looked_at_in_its_order() -> None:
    sources = Sources(
        inside=(("libfoo.so", f"{SITE}/demo/a/libfoo.so"), ("libbar.so", f"{SITE}/demo/libbar.so")),
        files=(("libfoo.so", "/asked/libfoo.so"),),
        folders=(("/one/", "--search /one/"), ("/two", "LD_LIBRARY_PATH: /two")),
        absolute=True,
    )
    assert shown(sources, host=(Place("/lib/libfoo.so", "ld.so.cache"),)) == [
        f"{SITE}/demo/libs/libfoo.so",
        f"{SITE}/demo/a/libfoo.so",
        "/asked/libfoo.so",
        "/one/libfoo.so",
        "/two/libfoo.so",
        "/opt/x/libfoo.so",
        "/lib/libfoo.so",
    ]


def test_what_is_left_out_ends_the_search_after_the_wheel_itself() -> None:
    within = f"{SITE}/demo/libs/libfoo.so"
    assert shown(Sources(excluded=("libfoo*",))) == [within, "expected: --exclude libfoo*"]
    assert shown(Sources(excluded=("libfoo*",), included=("libfoo.so",)), promise=PROMISE)[-1] == "expected: --exclude libfoo*"
    assert shown(Sources(), promise=PROMISE) == [within, "promised: default directories"]
    provided = Sources(provided=(("libfoo.so", f"{SITE}/other/libfoo.so", "other"),), folders=(("/one", ""),))
    assert shown(provided) == [within, "provided: --provided-by other"]
    (*_, ending) = steps(provided, "libfoo.so", OWN, promise=None)
    assert isinstance(ending, Ending)
    assert ending.target == f"{SITE}/other/libfoo.so"
    assert shown(provided, promise=PROMISE)[-1] == "promised: default directories"


def test_a_promised_library_that_is_included_and_nowhere_found_is_promised_still() -> None:
    found = shown(Sources(included=("libfoo*",), folders=(("/one", ""),)), promise=PROMISE)
    assert found[1:] == ["/one/libfoo.so", "/opt/x/libfoo.so not looked at: a path of another machine", "promised: default directories"]


@pytest.mark.parametrize(
    "name",
    [
        *("libpython3.12.so.1.0", "libpython3.so", "libpython3.13t.dylib", "libpypy3.11-c.so", "libpython3.11.dll"),
        *("/Library/Frameworks/Python.framework/Versions/3.12/Python", "@rpath/Python3.framework/Python3", "PythonT"),
    ],
)
def test_the_interpreters_own_library_stays_outside(name: str) -> None:
    found = [step for step in steps(Sources(), name, (), promise=None) if isinstance(step, Ending)]
    assert [(ending.how, ending.tried.via) for ending in found] == [(How.EXPECTED, "the interpreter itself")]
    assert not list(steps(Sources(libpython=False), name, (), promise=None))


@pytest.mark.parametrize("name", ["Python312.DLL", "python3.dll", "python313t_d.dll", "libpypy3.10-c.dll", "python-native.dll"])
def test_so_does_pythons_dll(name: str) -> None:
    (ending,) = steps(Sources(fold_case=True), name, (), promise=PROMISE)
    assert isinstance(ending, Ending)
    assert ending.tried.via == "the interpreter itself"


@pytest.mark.parametrize("name", ["libboost_python312.so.1", "libpythonqt.so", "pythoncom312.dll", "libpyside6.abi3.so.6", "Pythonic"])
def test_other_libraries_named_after_python_are_ordinary(name: str) -> None:
    assert not [step for step in steps(Sources(fold_case=name.endswith(".dll")), name, (), promise=None) if isinstance(step, Ending)]


def test_a_place_that_leads_out_of_the_wheel_or_to_another_machine_is_only_told() -> None:
    out = Place("/opt/libfoo.so", "rpath", origin=f"{SITE}/demo")
    beside = Place("/opt/libfoo.so", "rpath", origin="/opt/lib")
    absolute = Place("/opt/libfoo.so", "rpath")
    for counts in (True, False):
        outcomes = [
            step.outcome.partition(":")[0]
            for step in steps(Sources(absolute=counts), "libfoo.so", (out, beside, absolute), promise=None)
            if isinstance(step, Place)
        ]
        assert outcomes == ["leads out of the wheel", "", "" if counts else "not looked at"]


def test_an_include_by_path_counts_for_every_name_of_the_file() -> None:
    sources = Sources(included=("/x/libz.so.1.3",), files=(("libz.so.1", "/x/libz.so.1.3"),))
    assert is_included(sources, "libz.so.1")
    assert is_included(sources, "@rpath/libz.so.1.3")
    assert not is_included(sources, "libzstd.so.1")
    assert exclusion(Sources(excluded=("a", "b")), "/x/c", "/y/b") == "--exclude b"


# ---- from the options


def test_search_folders_come_before_those_of_variables_each_once() -> None:
    variables = (("LD_LIBRARY_PATH", "/b:/c;/a:rel:"), ("AUDITWHEEL_LD_LIBRARY_PATH", "/aw"), ("PATH", "/bin"), ("DYLD_LIBRARY_PATH", "/d"))
    sought = Sought(("/a",), (), variables)
    assert of(sought=sought).folders == (
        ("/a", "--search /a"),
        ("/aw", "AUDITWHEEL_LD_LIBRARY_PATH: /aw"),
        ("/b", "LD_LIBRARY_PATH: /b"),
        ("/c", "LD_LIBRARY_PATH: /c"),
    )
    assert of(target=MACOS, sought=sought).folders == (("/a", "--search /a"), ("/d", "DYLD_LIBRARY_PATH: /d"))
    assert of(target=WINDOWS, sought=sought).folders == (("/a", "--search /a"), ("/bin", "PATH: /bin"))
    assert of(target=WINDOWS, sought=sought._replace(host=False)).folders == (("/a", "--search /a"),)


def test_the_hosts_directories_count_for_its_own_kind_unless_they_are_replaced() -> None:
    assert host_of(Sought(host=False), LINUX) is None
    foreign = Target("android_24_aarch64", "android", "bionic", (("aarch64", (24,)),))
    assert host_of(Sought(), foreign) is None
    for target in (LINUX, foreign):
        for host in (True, False):
            found = host_of(Sought(instead_of_host=("/ndk",), host=host), target)
            assert found is not None
            assert (found.libraries, found.directories, found.via) == ((), ("/ndk",), "--ldpaths")


def test_a_library_of_the_wheel_is_known_by_its_file_and_by_what_it_calls_itself() -> None:
    one = lib("demo/libs/libfoo-1.so", elf(soname="libfoo.so.1"))
    assert names_of(one) == ("libfoo-1.so", "libfoo.so.1")
    program = lib("demo/bin/tool", elf(kind="program"))
    assert of(one, program, lib("demo/foo.dll", pe())).inside == (("libfoo-1.so", one.path), ("libfoo.so.1", one.path))
    dylib = lib("demo/libfoo.dylib", macho(kind="library", install_name="@rpath/libbar.dylib"))
    assert of(one, dylib, target=MACOS).inside == (("libfoo.dylib", dylib.path), ("libbar.dylib", dylib.path))
    assert of(lib("demo/Foo.DLL", pe(name="BAR.dll")), target=WINDOWS).inside == (
        ("foo.dll", f"{SITE}/demo/Foo.DLL"),
        ("bar.dll", f"{SITE}/demo/Foo.DLL"),
    )


def test_of_one_name_different_files_for_one_architecture_are_left_out() -> None:
    one, same = (lib(f"demo/{folder}/libfoo.so", elf(), sha256="1") for folder in "ab")
    other = lib("demo/c/libfoo.so", elf(), sha256="2")
    foreign = lib("demo/d/libfoo.so", elf(arch="aarch64"), sha256="3")
    assert of(one, same).inside == (("libfoo.so", one.path), ("libfoo.so", same.path))
    assert of(one, same, other, foreign).inside == (("libfoo.so", foreign.path),)
    assert of(binary("a/libfoo.so", elf()), foreign).inside == (("libfoo.so", f"{SITE}/a/libfoo.so"), ("libfoo.so", foreign.path))
