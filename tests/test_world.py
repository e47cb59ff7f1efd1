"""What of the disk is looked at, and where this machine's loader looks by itself."""

import struct
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from builders import binary, elf, pe
from relocator import world
from relocator.backends.linux.load import load as load_elf
from relocator.backends.windows.load import load as load_pe
from relocator.loading import Host, OtherFile, Process, Seen
from relocator.model import Binary, How, Resolution
from relocator.target import Level, Promises, Target
from relocator.world import PackageWorld, cached_libraries, configured, host_for

LINUX = Target("linux_x86_64", "linux", "glibc", (("x86_64", ()),), local=True)
PROMISES = Promises("manylinux", "x86_64", (Level((2, 17), ("manylinux_2_17",), frozenset({"libc.so.6", "libz.so.1", "libGL.so.1"})),))


def read(path: str) -> Seen | None:
    return Binary(path, path, (elf(),))


# ---- the disk


def test_only_what_is_in_reach_is_looked_at(tmp_path: Path) -> None:
    for name in ("in/liba.so", "out/liba.so", "search/liba.so"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    seen = PackageWorld({}, {}, [f"{tmp_path}/search"], read, lambda path: path.startswith(f"{tmp_path}/in/"))
    found = {name: seen.at(f"{tmp_path}/{name}/liba.so") is not None for name in ("in", "out", "search")}
    assert found == {"in": True, "out": False, "search": True}
    assert [one.path for one in seen.outside] == [f"{tmp_path}/in/liba.so", f"{tmp_path}/search/liba.so"]
    assert seen.at(f"{tmp_path}/in/none.so") is None
    assert seen.at(f"{tmp_path}/in/\0") is None


def test_a_link_leads_to_the_containers_own_file(tmp_path: Path) -> None:
    (tmp_path / "libz.so.1.2").touch()
    (tmp_path / "libz.so.1").symlink_to("libz.so.1.2")
    own = binary("libz.so.1.2", elf())
    seen = PackageWorld({f"{tmp_path}/libz.so.1.2": own}, {}, [], read, lambda path: True)
    assert seen.at(f"{tmp_path}/libz.so.1") is own
    assert seen.outside == ()


def test_two_links_to_one_file_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "libz.so.1.2").touch()
    for name in ("libz.so", "libz.so.1"):
        (tmp_path / name).symlink_to("libz.so.1.2")
    seen = PackageWorld({}, {}, [], read, lambda path: True)
    assert seen.at(f"{tmp_path}/libz.so") is seen.at(f"{tmp_path}/libz.so.1")
    assert len(seen.outside) == 1


# ---- this machine


def cache(*entries: tuple[str, str, int], before: bytes = b"") -> bytes:
    """An ld.so.cache in the new format; the strings follow the entries."""
    strings, rows = b"", b""
    base = 48 + 24 * len(entries)
    for name, path, hwcap in entries:
        key = base + len(strings)
        strings += name.encode() + b"\0"
        value = base + len(strings)
        strings += path.encode() + b"\0"
        rows += struct.pack("=iIIIQ", 0x0303, key, value, 0, hwcap)
    return before + b"glibc-ld.so.cache1.1" + struct.pack("=II", len(entries), len(strings)) + bytes(20) + rows + strings


ENTRIES = (
    ("libz.so.1", "/lib/libz.so.1", 0),
    ("libz.so.1", "/lib/glibc-hwcaps/x86-64-v3/libz.so.1", 1 << 62),
    ("liba.so", "/opt/liba.so", 0),
)


@pytest.mark.parametrize("before", [b"", b"ld.so-1.7.0\0" + bytes(12)])
def test_the_loaders_cache_is_read(before: bytes) -> None:
    assert list(cached_libraries(cache(*ENTRIES, before=before))) == [("libz.so.1", "/lib/libz.so.1"), ("liba.so", "/opt/liba.so")]


def test_a_damaged_cache_gives_what_is_whole() -> None:
    whole = cache(*ENTRIES)
    for size in range(len(whole)):
        assert set(cached_libraries(whole[:size])) <= set(cached_libraries(whole))
    assert list(cached_libraries(whole.replace(struct.pack("=I", 3), struct.pack("=I", 0xFFFFFFFF), 1)))[:1] == [
        ("libz.so.1", "/lib/libz.so.1")
    ]
    assert list(cached_libraries(b"something else")) == []


def test_the_loaders_configuration_is_followed(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text("/opt/b\n")
    (tmp_path / "conf.d" / "a.conf").write_text("# first\n/opt/a/\nhwcap 0 nosegneg\n")
    (tmp_path / "ld.so.conf").write_text("include conf.d/*.conf\n/usr/local/lib # own\ninclude ld.so.conf\n")
    found = configured(f"{tmp_path}/ld.so.conf")
    assert list(dict.fromkeys(found)) == ["/opt/a", "/opt/b", "/usr/local/lib"]
    assert configured(f"{tmp_path}/none.conf") == ()


@pytest.mark.parametrize(
    ("platform", "libc", "target", "asked"),
    [
        ("linux", "glibc", LINUX, True),
        ("linux", "musl", LINUX, False),
        ("linux", "musl", Target("", "linux", "musl"), True),
        ("linux", "glibc", Target("", "windows"), False),
        ("win32", "", Target("", "windows"), True),
        ("win32", "", LINUX, False),
        ("darwin", "", Target("", "macos"), True),
        ("darwin", "", Target("", "ios"), False),
    ],
)
def test_this_machine_counts_only_for_targets_of_its_kind(
    monkeypatch: pytest.MonkeyPatch, platform: str, libc: str, target: Target, asked: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(world, "_libc", lambda: libc)
    assert (host_for(target) is not None) == asked


# ---- loaders


def resolved(root: Binary, *seen: Seen, process: Process) -> dict[str, Resolution]:
    found = PackageWorld({one.path: one for one in (root, *seen)}, {}, [], read)
    loader = load_elf if root.format == "ELF" else load_pe
    return {resolution.needed.name: resolution for resolution in loader(root, root.images[0].arch, found, process).resolutions}


def outside(path: str, *needed: str) -> Binary:
    return Binary(path, path, (elf(*needed, soname=path.rpartition("/")[2]),))


ROOT = binary("demo/_core.so", elf("libc.so.6", "libz.so.1", "libown.so"))
HOST = Host((("libc.so.6", "/lib/libc.so.6"), ("libz.so.1", "/lib/libz.so.1")), ("/usr/lib",))


def hows(found: dict[str, Resolution], names: Iterable[str]) -> list[tuple[str, str | None, str]]:
    return [(found[name].how, found[name].target, found[name].via) for name in names]


def test_promised_libraries_of_this_machine_are_in_the_process() -> None:
    files = (outside("/lib/libc.so.6"), outside("/lib/libz.so.1", "libc.so.6"), outside("/usr/lib/libown.so"))
    found = resolved(ROOT, *files, process=Process(LINUX, PROMISES, host=HOST))
    assert hows(found, ("libc.so.6", "libz.so.1", "libown.so")) == [
        (How.PROMISED, "/lib/libc.so.6", "already loaded"),
        (How.PROMISED, "/lib/libz.so.1", "ld.so.cache"),
        (How.OUTSIDE, "/usr/lib/libown.so", "default directories"),
    ]


def test_what_this_machine_lacks_is_missing_however_much_is_promised() -> None:
    root = binary("demo/_core.so", elf("libGL.so.1"))
    here = resolved(root, process=Process(LINUX, PROMISES, host=HOST))["libGL.so.1"]
    assert (here.how, here.via) == (How.MISSING, "this machine's default directories")
    assert resolved(root, process=Process(LINUX, PROMISES))["libGL.so.1"].how == How.PROMISED
    tagged = Target("manylinux_2_17_x86_64", "linux", "glibc", (("x86_64", (2, 17)),))
    assert resolved(root, process=Process(tagged, PROMISES, host=HOST))["libGL.so.1"].how == How.PROMISED


def test_a_library_for_another_machine_is_passed_over() -> None:
    host = Host((("libz.so.1", "/lib32/libz.so.1"), ("libz.so.1", "/lib64/libz.so.1")))
    other = Binary("/lib32/libz.so.1", "/lib32/libz.so.1", (elf(arch="i686", machine=3, bits=32),))
    root = binary("demo/_core.so", elf("libz.so.1"))
    found = resolved(root, other, outside("/lib64/libz.so.1"), process=Process(LINUX, PROMISES, host=host))["libz.so.1"]
    assert (found.target, [tried.outcome for tried in found.tried]) == ("/lib64/libz.so.1", ["other architecture", "found"])


def test_system32_of_this_machine_is_looked_into() -> None:
    target = Target("win_amd64", "windows", "", (("amd64", ()),), local=True)
    promises = Promises("windows", "amd64", (Level((), (), frozenset({"dbghelp.dll", "xlive.dll"})),), fold_case=True)
    root = binary("demo/_core.pyd", pe("DBGHELP.dll", "vendor.dll", "xlive.dll"))
    files = [Binary(path, path, (pe(),)) for path in ("/C:/Windows/System32/dbghelp.dll", "/C:/Windows/System32/vendor.dll")]
    found = resolved(root, *files, process=Process(target, promises, host=Host(directories=("/C:/Windows/System32",))))
    assert [found[name].how for name in ("DBGHELP.dll", "vendor.dll", "xlive.dll")] == [How.PROMISED, How.OUTSIDE, How.MISSING]
    assert found["DBGHELP.dll"].target == "/C:/Windows/System32/dbghelp.dll"
    without = resolved(root, *files, process=Process(target, promises))
    assert [without[name].how for name in ("DBGHELP.dll", "vendor.dll", "xlive.dll")] == [How.PROMISED, How.MISSING, How.PROMISED]


def test_a_file_that_is_no_library_ends_the_search_of_the_default_directories_too() -> None:
    found = resolved(ROOT, OtherFile("/lib/libz.so.1"), outside("/usr/lib/libz.so.1"), process=Process(LINUX, PROMISES, host=HOST))[
        "libz.so.1"
    ]
    assert (found.how, found.tried[-1].outcome) == (How.MISSING, "not an ELF file")


def test_musl_itself_is_this_machines_file() -> None:
    target = Target("linux_x86_64", "linux", "musl", (("x86_64", ()),), local=True)
    python = Binary(
        "/usr/bin/python3", "/usr/bin/python3", (elf("libc.musl-x86_64.so.1", kind="program", interpreter="/lib/ld-musl-x86_64.so.1"),)
    )
    files = (python, outside("/lib/ld-musl-x86_64.so.1"), outside("/usr/lib/libz.so.1", "libc.so"))
    root = binary("demo/_core.so", elf("libc.musl-x86_64.so.1", "libz.so.1"))
    promises = Promises("musllinux", "x86_64", (Level((1, 2), ("musllinux_1_2",), frozenset({"libz.so.1"})),))
    process = Process(target, promises, executable="/usr/bin/python3", host=Host(directories=("/lib", "/usr/lib")))
    found = resolved(root, *files, process=process)
    assert [found[name].how for name in found] == [How.PROMISED] * 3
    assert {found[name].target for name in ("libc.musl-x86_64.so.1", "libc.so")} == {"/lib/ld-musl-x86_64.so.1"}
    assert found["libz.so.1"].target == "/usr/lib/libz.so.1"
    assert resolved(root, *files, process=Process(target, promises, executable="/usr/bin/python3"))["libc.musl-x86_64.so.1"].target is None
