"""What manylinux, musllinux and Android promise, level by level."""

import itertools
import pickle

import pytest

from relocator.backends.linux.promises import LOADERS, promises
from relocator.target import Promises, Target


def manylinux(floor: tuple[int, ...], arch: str = "x86_64") -> Promises:
    found = promises(Target("", "linux", "glibc", ((arch, floor),)), arch)
    assert found
    return found


def test_the_ladder_has_every_surveyed_level_and_its_older_name() -> None:
    levels = manylinux(()).levels
    assert [level.version for level in levels] == sorted(level.version for level in levels)
    assert {level.names for level in levels} >= {("manylinux_2_5", "manylinux1"), ("manylinux_2_17", "manylinux2014"), ("manylinux_2_28",)}
    assert levels[-1].version >= (2, 41)


@pytest.mark.parametrize(
    ("floor", "arch", "version", "there"),
    [
        ((2, 17), "x86_64", "GLIBC_2.18", False),
        ((2, 17), "x86_64", "GLIBC_2.17", True),
        ((2, 17), "aarch64", "GLIBC_2.18", True),  # every surveyed distribution with glibc 2.17 on aarch64 has the node
        ((2, 17), "x86_64", "GLIBCXX_3.4.20", False),
        ((2, 17), "x86_64", "GLIBCXX_3.4.19", True),
        ((2, 30), "x86_64", "GLIBC_2.31", False),
        ((2, 30), "x86_64", "GLIBC_2.30", True),
        ((2, 30), "x86_64", "GLIBCXX_3.4.28", False),  # as the surveyed level below
        ((2, 35), "x86_64", "GLIBC_ABI_DT_RELR", False),
        ((2, 36), "x86_64", "GLIBC_ABI_DT_RELR", True),
        ((2, 44), "x86_64", "GLIBC_2.45", False),
        ((2, 44), "x86_64", "GLIBC_2.44", True),
        ((2, 44), "x86_64", "GLIBC_ABI_DT_RELR", True),
        ((2, 3), "x86_64", "GLIBC_2.4", False),
        ((2, 3), "x86_64", "GLIBC_2.2.5", True),
        ((2, 27), "riscv64", "GLIBC_2.31", False),
        ((2, 27), "riscv64", "GLIBC_2.27", True),
        ((2, 41), "x86_64", "GLIBC_PRIVATE", False),
    ],
)
def test_a_level_has_the_symbol_versions_up_to_its_number(floor: tuple[int, ...], arch: str, version: str, there: bool) -> None:
    level = manylinux(floor, arch).level(floor)
    assert level.version == floor
    assert (version in level.symbol_versions) == there


def test_a_level_that_nobody_surveyed_is_made_only_for_the_target_that_names_it() -> None:
    assert ("manylinux_2_30",) not in [level.names for level in manylinux((2, 28)).levels]
    assert ("manylinux_2_30",) in [level.names for level in manylinux((2, 30)).levels]


def test_levels_only_grow() -> None:
    for floor in [(), (2, 20), (2, 33), (2, 50)]:
        for arch in LOADERS:
            levels = manylinux(floor, arch).levels
            for older, newer in itertools.pairwise(levels):
                assert older.libraries <= newer.libraries
                assert older.symbol_versions <= newer.symbol_versions


@pytest.mark.parametrize(
    ("floor", "library", "symbol", "refused"),
    [
        ((2, 17), "libc.so.6", b"__cxa_thread_atexit_impl", True),
        ((2, 20), "libc.so.6", b"__cxa_thread_atexit_impl", False),
        ((2, 24), "libc.so.6", b"__cxa_thread_atexit_impl", False),
        ((2, 24), "libz.so.1", b"inflate_table", True),
        ((2, 50), "libz.so.1", b"inflate_table", True),
        ((2, 31), "libz.so.1", b"uncompress2", True),
        ((2, 34), "libz.so.1", b"uncompress2", False),
        ((2, 17), "libz.so.1", b"inflate", False),
    ],
)
def test_symbols_are_refused_until_every_system_has_them(floor: tuple[int, ...], library: str, symbol: bytes, refused: bool) -> None:
    assert (symbol in dict(manylinux(floor).level(floor).refused).get(library, frozenset())) == refused


@pytest.mark.parametrize(
    ("library", "floor", "promised"),
    [
        ("libgomp.so.1", (2, 28), False),
        ("libstdc++.so.6", (2, 28), True),
        ("libexpat.so.1", (2, 5), False),
        ("libexpat.so.1", (2, 12), True),
        ("libmvec.so.1", (2, 17), False),
        ("libmvec.so.1", (2, 24), True),
        ("ld-musl-x86_64.so.1", (2, 41), False),
        ("ld-linux-x86-64.so.2", (2, 5), True),
        ("linux-vdso.so.1", (2, 5), True),
    ],
)
def test_manylinux_promises_these_libraries(library: str, floor: tuple[int, ...], promised: bool) -> None:
    assert manylinux(floor).has(library, floor) == promised


@pytest.mark.parametrize(("arch", "loader"), [(arch, name) for arch, names in LOADERS.items() for name in names])
def test_the_loader_is_always_there(arch: str, loader: str) -> None:
    found = manylinux((2, 39), arch)
    assert found.has(loader, (2, 39))
    assert not found.has("ld.so.9", (2, 39))


def test_an_architecture_that_nobody_surveyed_has_the_usual_libraries_and_no_versions() -> None:
    found = manylinux((), "mips64")
    assert not found.has("libgomp.so.1", ())
    assert found.has("libc.so.6", ())
    assert found.has("ld.so.1", ())
    assert not found.levels[-1].symbol_versions


@pytest.mark.parametrize(
    ("arch", "library", "promised"),
    [
        ("x86_64", "libstdc++.so.6", False),
        ("x86_64", "ld-linux-x86-64.so.2", False),
        ("x86_64", "libc.musl-x86_64.so.1", True),
        ("i686", "libc.musl-x86.so.1", True),
        ("armv7l", "libc.musl-armv7.so.1", True),
        ("x86_64", "libz.so.1", True),
        ("x86_64", "libpthread.so.0", True),  # musl's loader takes these names for itself
        ("x86_64", "libc.so", True),
        ("aarch64", "ld-musl-aarch64.so.1", True),
    ],
)
def test_musl_promises_itself_and_zlib(arch: str, library: str, promised: bool) -> None:
    found = promises(Target("", "linux", "musl", ((arch, (1, 2)),)), arch)
    assert found
    assert [level.version for level in found.levels] == [(1, 1), (1, 2)]
    assert found.has(library, (1, 2)) == promised


@pytest.mark.parametrize(
    ("api", "library", "promised"),
    [
        (21, "libvulkan.so", False),
        (24, "libvulkan.so", True),
        (25, "libaaudio.so", False),
        (26, "libaaudio.so", True),
        (35, "libneuralnetworks.so", True),
        (21, "liblog.so", True),
        (21, "libc++_shared.so", False),
        (21, "libpython3.14.so", True),
    ],
)
def test_android_promises_more_with_each_api_level(api: int, library: str, promised: bool) -> None:
    found = promises(Target("", "android", "bionic", (("aarch64", (api,)),)), "aarch64")
    assert found
    assert found.has(library, (api,)) == promised


def test_other_systems_are_none_of_ours() -> None:
    assert promises(Target("win_amd64", "windows", "", (("amd64", ()),)), "amd64") is None


def test_promises_pickle_and_are_made_once() -> None:
    found = manylinux((2, 17))
    assert pickle.loads(pickle.dumps(found)) == found
    assert manylinux((2, 17)) is found
