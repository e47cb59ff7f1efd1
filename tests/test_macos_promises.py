"""What macOS and iOS promise, and the script that writes it down."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest

from relocator.backends.macos import promises
from relocator.loading import Process
from relocator.target import Promises, Target

ROOT = Path(__file__).parents[1]
DATA = "src/relocator/backends/macos/data"
TABLES = ("introduced.tsv", "system_libraries.tsv")
BIG_SUR = Target("macosx_11_0_arm64", "macos", "", (("arm64", (11, 0)),))
IPHONE = Target("ios_13_0_arm64_iphoneos", "ios", "", (("arm64", (13, 0)),))


def of(target: Target, arch: str = "arm64") -> Promises:
    found = promises(target, arch)
    assert found
    return found


@pytest.mark.parametrize(
    ("name", "macos", "ios"),
    [
        ("/usr/lib/libSystem.B.dylib", True, True),
        ("/usr/lib/libc++.1.dylib", True, True),
        ("/usr/lib/libz.1.dylib", True, True),
        ("/usr/lib/libsqlite3.dylib", True, True),
        ("/usr/lib/libiconv.2.dylib", True, True),
        ("/usr/lib/system/libsystem_c.dylib", True, True),
        ("/usr/lib/swift/libswiftCore.dylib", True, True),
        ("/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation", True, True),
        ("/System/Library/PrivateFrameworks/X.framework/X", True, True),
        ("/usr/lib/libgcc_s.1.dylib", True, True),
        ("/usr/lib/libstdc++.6.dylib", True, True),
        ("/usr/lib/libcrypto.dylib", False, True),  # ends the process
        ("/usr/lib/libssl.dylib", False, True),
        ("/usr/lib/libpython2.7.dylib", False, True),
        ("/usr/lib/libgomp.1.dylib", False, True),
        ("/usr/local/lib/libz.1.dylib", False, False),
        ("/opt/homebrew/lib/libz.1.dylib", False, False),
        ("/Library/Frameworks/Python.framework/Versions/3.12/Python", False, False),
        ("@rpath/libSystem.B.dylib", False, False),
        ("libSystem.B.dylib", False, False),
        ("/usr/lib/LIBZ.1.dylib", False, True),
        ("", False, False),
    ],
)
def test_these_libraries_are_the_systems(name: str, macos: bool, ios: bool) -> None:
    assert (of(BIG_SUR).has(name, (11, 0)), of(BIG_SUR).knows(name)) == (macos, macos)
    assert (of(IPHONE).has(name, (13, 0)), of(IPHONE).knows(name)) == (ios, ios)
    for process in (Process(BIG_SUR, of(BIG_SUR)), Process(Target("", "", ""), of(BIG_SUR))):
        assert process.promised(name, "arm64") == macos


def test_there_is_one_level_for_every_version_and_it_has_no_tag_of_its_own() -> None:
    (level,) = of(BIG_SUR).levels
    assert (level.version, level.names, level.symbol_versions) == ((), (), frozenset())
    for floor in ((), (10, 9), (11, 0), (99, 0)):
        assert of(BIG_SUR).level(floor) is level


def test_other_systems_have_other_backends() -> None:
    assert promises(Target("manylinux_2_17_x86_64", "linux", "glibc", (("x86_64", (2, 17)),)), "x86_64") is None
    assert promises(Target("", "", ""), "arm64") is None


def test_promises_are_made_once_for_each_architecture() -> None:
    assert of(BIG_SUR) is of(BIG_SUR)
    assert (of(BIG_SUR, "x86_64").arch, of(BIG_SUR).arch, of(BIG_SUR).platform) == ("x86_64", "arm64", "macos")


@pytest.mark.parametrize(
    ("symbol", "since"),
    [
        (b"_clock_gettime", (10, 12)),
        (b"_utimensat", (10, 13)),
        (b"____chkstk_darwin", (10, 15)),
        (b"__ZNSt3__14__fs10filesystem8__statusERKNS1_4pathEPNS_10error_codeE", (10, 15)),
        (b"_preadv", (11, 0)),
        (b"_mkfifoat", (13, 0)),
        (b"__ZNSt3__18to_charsEPcS0_d", (13, 3)),
        (b"__ZNSt3__122__libcpp_verbose_abortEPKcz", (13, 3)),
        (b"___cxa_init_primary_exception", (15, 0)),
        (b"_strchrnul", (15, 4)),
        (b"_fdscandir", (26, 4)),
        (b"_printf", None),
        (b"__tlv_bootstrap", None),
        (b"_stat$INODE64", None),
        (b"__Znwm", None),
    ],
)
def test_these_symbols_came_with_that_macos(symbol: bytes, since: tuple[int, ...] | None) -> None:
    assert dict(of(BIG_SUR).introduced).get(symbol) == since


def test_nothing_is_said_about_the_symbols_of_ios() -> None:
    assert of(IPHONE).introduced == ()


def test_every_symbol_has_one_row_and_a_version_that_there_was() -> None:
    introduced = of(BIG_SUR).introduced
    assert len(dict(introduced)) == len(introduced) > 300
    assert all(name.startswith(b"_") for name, _ in introduced)
    assert [since for _, since in introduced] == sorted(since for _, since in introduced)
    assert all((10, 9) <= since < (30, 0) for _, since in introduced)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_names_its_source_and_date(name: str) -> None:
    head = [line for line in (ROOT / DATA / name).read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any(line.startswith("# Source: ") for line in head)
    assert any(line.startswith("# Date: 202") for line in head)


# ---------------------------------------------------------------- the script


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("macos", ROOT / "scripts/knowledge/macos.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HEADER = """
/* int commented(void) __API_AVAILABLE(macos(12.0)); */
#define MACRO(x) \\
    int defined(void) __API_AVAILABLE(macos(12.0));
int newer(int) __API_AVAILABLE(macos(12.0), ios(15.0));  // int newest(void) __API_AVAILABLE(macos(13.0))
ssize_t spread(int,
               const char *) API_AVAILABLE(ios(13.0), macos(10.15.4));
int starting(void) __OSX_AVAILABLE_STARTING(__MAC_10_10_2, __IPHONE_8_0);
int bare(void) __OSX_AVAILABLE(10.12);
int old(void) __API_AVAILABLE(macos(10.7));
int never(void) __OSX_AVAILABLE_STARTING(__MAC_NA, __IPHONE_8_0);
int elsewhere(void) __API_AVAILABLE(macos(12.0));
int plain(void);
"""


def test_the_script_reads_availability_out_of_c_headers() -> None:
    names = ["commented", "defined", "newer", "newest", "spread", "starting", "bare", "old", "never", "plain"]
    found = script().in_headers([HEADER, "int newer(int) API_AVAILABLE(macos(11.0));"], {f"_{name}" for name in names})
    assert found == {"_newer": (11, 0), "_spread": (10, 15, 4), "_starting": (10, 10, 2), "_bare": (10, 12)}


def test_the_script_reads_features_out_of_libcxxs_header() -> None:
    header = (
        "#elif defined(__APPLE__)\n#  define _LIBCPP_INTRODUCED_IN_LLVM_22_ATTRIBUTE __attribute__((unavailable))\n"
        "#  define _LIBCPP_INTRODUCED_IN_LLVM_15_ATTRIBUTE \\\n    __attribute__((availability(macos, strict, introduced = 13.3)))\n"
        "#  define _LIBCPP_INTRODUCED_IN_LLVM_14_ATTRIBUTE _LIBCPP_INTRODUCED_IN_LLVM_15_ATTRIBUTE\n"
        "#define _LIBCPP_AVAILABILITY_HAS_ONE _LIBCPP_INTRODUCED_IN_LLVM_15\n"
        "#define _LIBCPP_AVAILABILITY_HAS_TWO _LIBCPP_INTRODUCED_IN_LLVM_14\n"
        "#define _LIBCPP_AVAILABILITY_HAS_NOT_YET _LIBCPP_INTRODUCED_IN_LLVM_22\n"
    )
    assert script().libcxx_features(header) == {"ONE": "13.3", "TWO": "13.3"}


def test_where_sources_differ_the_older_version_is_taken() -> None:
    by_hand = [["_a", "10.15", "hand"], ["_b", "12.0", "hand"], ["_c", "@F", "hand"]]
    assert script().merged({"_a": (11, 0), "_b": (11, 0)}, by_hand, {"F": "13.3"}) == [
        ("_a", "10.15", "hand"),
        ("_b", "11.0", "Apple's C headers"),
        ("_c", "13.3", "hand"),
    ]
    with pytest.raises(KeyError):
        script().merged({}, [["_c", "@GONE", "hand"]], {})


def test_every_row_kept_by_hand_is_in_the_tables() -> None:
    module = script()
    assert {row[0] for row in module.kept("macos_introduced.tsv")} <= {name.decode() for name, _ in of(BIG_SUR).introduced}
    text = (ROOT / DATA / "system_libraries.tsv").read_text(encoding="utf-8")
    assert all("\t".join(row) in text for row in module.kept("macos_system_libraries.tsv"))


def test_the_tables_are_what_the_script_writes_from_the_published_headers(tmp_path: Path) -> None:
    try:
        installed = version("ziglang")
    except PackageNotFoundError:
        pytest.skip("ziglang, whose headers the tables are made from, is not installed")
    if f"ziglang {installed};" not in (ROOT / DATA / "introduced.tsv").read_text(encoding="utf-8"):
        pytest.skip(f"the tables were made from another release than the installed {installed}")
    script().build(tmp_path)
    for name in TABLES:
        assert (tmp_path / DATA / name).read_text(encoding="utf-8") == (ROOT / DATA / name).read_text(encoding="utf-8")
