"""Which package a file came with: every database, nearest root first, and what a file says itself where none knows it."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import elf, macho, pe
from relocator import origins
from relocator.model import Binary, Image
from relocator.native import Dylib
from relocator.origins import Provenance, provenance

ALPINE = (
    "P:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:libc.so\n\n"
    "C:Q1\nP:libpng\nV:1.6.39-r3\nA:x86_64\no:libpng\nF:usr/lib\nR:libpng16.so.16.39.0\nZ:Q1x=\n\n"
)


def put(path: Path, data: str | bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def one(path: Path | str, *images: Image) -> Provenance:
    path = str(path)
    return provenance([Binary(path, path, images)])[path]


def release(root: Path, name: str, version: str) -> None:
    put(root / "etc/os-release", f'NAME="x"\nID={name}\nVERSION_ID="{version}"\n')


# ---- one root of each kind, and what it says of one library


def debian(root: Path) -> Path:
    release(root, "debian", "12")
    put(root / "var/lib/dpkg/info/other.list", "/.\n/usr\n/usr/lib/libother.so\n")
    put(root / "var/lib/dpkg/info/libpng16-16:amd64.list", "/.\n/usr\n/usr/lib/libpng16.so.16.39.0\n")
    paragraphs = [
        "Package: other\nStatus: install ok installed\nArchitecture: all\nVersion: 9\n",
        "Package: libpng16-16\nArchitecture: i386\nMulti-Arch: same\nVersion: 1\nDescription: a\n Version: 2\n",
        "Package: libpng16-16\nArchitecture: amd64\nMulti-Arch: same\nSource: libpng1.6 (1.6)\nVersion: 1:1.6.39-2+deb12u1~x\n",
    ]
    put(root / "var/lib/dpkg/status", "\n".join(paragraphs))
    return put(root / "usr/lib/libpng16.so.16.39.0")


def alpine(root: Path) -> Path:
    release(root, "alpine", "3.19.1")
    put(root / "lib/apk/db/installed", ALPINE)
    return put(root / "usr/lib/libpng16.so.16.39.0")


def conda(root: Path) -> Path:
    record = {
        "name": "libpng",
        "version": "1.6.39",
        "build": "h753d276_0",
        "channel": "https://example.invalid/t/secret-token/conda-forge/linux-64",
        "subdir": "linux-64",
        "fn": "libpng-1.6.39-h753d276_0.conda",
        "files": ["include/png.h", "lib/libpng16.so.16", "lib/libpng16.so.16.39.0"],
    }
    put(root / "conda-meta/libpng-1.6.39-h753d276_0.json", json.dumps(record))
    put(root / "conda-meta/other-1-0.json", json.dumps({"name": "other", "version": "1", "files": ["lib/libother.so"]}))
    put(root / "conda-meta/history", "==> 2024 <==\n")
    return put(root / "lib/libpng16.so.16.39.0")


def msys(root: Path) -> Path:
    name = "mingw-w64-x86_64-libpng"
    put(root / f"var/lib/pacman/local/{name}-1.6.43-1/files", "%FILES%\nmingw64/\nmingw64/bin/\nmingw64/bin/libpng16-16.dll\n")
    desc = f"%NAME%\n{name}\n\n%VERSION%\n1.6.43-1\n\n%BASE%\nmingw-w64-libpng\n\n%ARCH%\nany\n"
    put(root / f"var/lib/pacman/local/{name}-1.6.43-1/desc", desc)
    return put(root / "mingw64/bin/libpng16-16.dll")


def arch(root: Path) -> Path:
    put(root / "etc/os-release", "ID=arch\n")
    put(root / "var/lib/pacman/local/libpng-1.6.43-1/files", "%FILES%\nusr/\nusr/lib/\nusr/lib/libpng16.so.16.43.0\n")
    put(root / "var/lib/pacman/local/libpng-1.6.43-1/desc", "%NAME%\nlibpng\n\n%VERSION%\n1.6.43-1\n\n%BASE%\nlibpng\n\n%ARCH%\nx86_64\n")
    return put(root / "usr/lib/libpng16.so.16.43.0")


def homebrew(root: Path) -> Path:
    put(root / "Cellar/libpng/1.6.43/INSTALL_RECEIPT.json", json.dumps({"source": {"tap": "homebrew/core"}}))
    return put(root / "Cellar/libpng/1.6.43/lib/libpng16.16.dylib")


def tap(root: Path) -> Path:
    put(root / "Cellar/my-lib@2/2.1_3/INSTALL_RECEIPT.json", json.dumps({"source": {"tap": "owner/things"}}))
    return put(root / "Cellar/my-lib@2/2.1_3/lib/libmy.dylib")


KNOWN: dict[Callable[[Path], Path], Provenance] = {
    debian: Provenance(
        *("dpkg", "deb", "debian", "libpng16-16", "1:1.6.39-2+deb12u1~x"),
        (("arch", "amd64"), ("distro", "debian-12")),
        built_from="libpng1.6",
    ),
    alpine: Provenance("apk", "apk", "alpine", "libpng", "1.6.39-r3", (("arch", "x86_64"), ("distro", "alpine-3.19.1"))),
    conda: Provenance(
        *("conda-meta", "conda", "", "libpng", "1.6.39"),
        (("build", "h753d276_0"), ("channel", "conda-forge"), ("subdir", "linux-64"), ("type", "conda")),
    ),
    msys: Provenance("MSYS2", "alpm", "msys", "mingw-w64-x86_64-libpng", "1.6.43-1", (("arch", "any"),), built_from="mingw-w64-libpng"),
    arch: Provenance("pacman", "alpm", "arch", "libpng", "1.6.43-1", (("arch", "x86_64"), ("distro", "arch"))),
    homebrew: Provenance("Homebrew", "brew", "", "libpng", "1.6.43"),
    tap: Provenance("Homebrew", "brew", "owner/things", "my-lib@2", "2.1_3"),
}


@pytest.mark.parametrize("built", KNOWN, ids=lambda built: built.__name__)
def test_the_database_of_the_root_that_a_file_lies_in_knows_it(built: Callable[[Path], Path], tmp_path: Path) -> None:
    assert one(built(tmp_path / "a root")) == KNOWN[built]


@pytest.mark.parametrize("built", KNOWN, ids=lambda built: built.__name__)
def test_a_link_from_elsewhere_leads_to_the_package(built: Callable[[Path], Path], tmp_path: Path) -> None:
    link = tmp_path / "link.so"
    link.symlink_to(built(tmp_path / "root"))
    assert one(link) == KNOWN[built]


@pytest.mark.parametrize("built", [debian, alpine, conda, msys, arch], ids=lambda built: built.__name__)
def test_a_file_that_the_database_does_not_list_belongs_to_nobody(built: Callable[[Path], Path], tmp_path: Path) -> None:
    beside = put(built(tmp_path).parent / "libown.so.1")
    assert one(beside) == Provenance("file name", "generic", "", "libown")


def test_the_nearest_root_is_right(tmp_path: Path) -> None:
    put(tmp_path / "var/lib/dpkg/info/wrong.list", "/opt/conda/lib/libpng16.so.16.39.0\n/usr/lib/libsystem.so.1\n")
    put(tmp_path / "var/lib/dpkg/status", "Package: wrong\nVersion: 1\n")
    assert one(conda(tmp_path / "opt/conda")).source == "conda-meta"
    assert one(put(tmp_path / "usr/lib/libsystem.so.1")).name == "wrong"


def test_files_of_several_roots_are_told_apart_in_one_call(tmp_path: Path) -> None:
    files = {built: str(built(tmp_path / built.__name__)) for built in KNOWN}
    found = provenance([], [*files.values(), str(tmp_path / "none/libnone.so")])
    assert {built: found[path] for built, path in files.items()} == KNOWN
    assert len(found) == len(files) + 1


@pytest.mark.parametrize(("listed", "lies"), [("/lib/libz.so.1", "usr/lib/libz.so.1"), ("/usr/lib/libz.so.1", "lib/libz.so.1")])
def test_lists_older_than_the_move_of_lib_below_usr_are_understood(listed: str, lies: str, tmp_path: Path) -> None:
    put(tmp_path / "var/lib/dpkg/info/zlib1g.list", f"{listed}\n")
    put(tmp_path / "var/lib/dpkg/status", "Package: zlib1g\nArchitecture: amd64\nVersion: 1\n")
    assert one(put(tmp_path / lies)).name == "zlib1g"


def test_the_exact_path_goes_before_its_other_spelling(tmp_path: Path) -> None:
    put(tmp_path / "var/lib/dpkg/info/a.list", "/lib/libz.so.1\n")
    put(tmp_path / "var/lib/dpkg/info/b.list", "/usr/lib/libz.so.1\n")
    assert one(put(tmp_path / "usr/lib/libz.so.1")).name == "b"
    assert one(put(tmp_path / "lib/libz.so.1")).name == "a"


def test_conda_names_no_channel_by_an_address(tmp_path: Path) -> None:
    assert "secret" not in str(one(conda(tmp_path)))


@pytest.mark.parametrize("channel", ["conda-forge", "https://example.invalid/conda-forge/", "https://example.invalid/conda-forge/linux-64"])
def test_a_channel_is_called_by_its_name(channel: str, tmp_path: Path) -> None:
    record = {"name": "a", "version": "1", "channel": channel, "subdir": "linux-64", "files": ["lib/liba.so"]}
    put(tmp_path / "conda-meta/a.json", json.dumps(record))
    assert dict(one(put(tmp_path / "lib/liba.so")).qualifiers)["channel"] == "conda-forge"


def test_a_name_that_json_escapes_is_found(tmp_path: Path) -> None:
    put(tmp_path / "conda-meta/a.json", json.dumps({"name": "a", "version": "1", "files": ["lib/libé.so"]}))
    assert one(put(tmp_path / "lib/libé.so")).name == "a"


# ---- rpm


def fake_rpm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = put(folder / "rpm", f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def fedora(root: Path) -> Path:
    release(root, "fedora", "40")
    put(root / "usr/lib/sysimage/rpm/rpmdb.sqlite")
    return put(root / "usr/lib64/libpng16.so.16.40.0")


ANSWER = r'printf "libpng\t2\t1.6.40-3.fc40\tx86_64\tlibpng-1.6.40-3.fc40.src.rpm\n"'

needs_a_shell = pytest.mark.skipif(os.name == "nt", reason="the program that stands in for rpm is a shell script")


@needs_a_shell
def test_rpm_is_asked_with_the_database_of_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = fedora(tmp_path / "root")
    log = tmp_path / "log"
    fake_rpm(tmp_path / "bin", f'echo "$@" >> "{log}"\ncase "$*" in *" /usr/lib64/"*) {ANSWER};; *) exit 1;; esac', monkeypatch)
    qualifiers = (("arch", "x86_64"), ("epoch", "2"), ("distro", "fedora-40"))
    assert one(library) == Provenance(
        *("rpm", "rpm", "fedora", "libpng", "1.6.40-3.fc40"), qualifiers, built_from="libpng-1.6.40-3.fc40.src.rpm"
    )
    assert f"--dbpath {tmp_path}/root/usr/lib/sysimage/rpm -qf" in log.read_text()


@needs_a_shell
@pytest.mark.parametrize(
    "script",
    [
        'echo "file /usr/lib64/libpng16.so.16.40.0 is not owned by any package"; exit 1',
        "echo nonsense",
        "kill -9 $$",
        "exec sleep 30",
        r'printf "libpng\t\377\t1\n"',
    ],
)
def test_an_rpm_that_does_not_answer_is_no_rpm(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_PATIENCE", 0.3)
    fake_rpm(tmp_path / "bin", script, monkeypatch)
    assert one(fedora(tmp_path / "root")).source == "file name"


def test_without_rpm_its_database_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert one(fedora(tmp_path / "root")).source == "file name"


@needs_a_shell
def test_an_epoch_of_nothing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_rpm(tmp_path / "bin", ANSWER.replace(r"\t2\t", r"\t(none)\t"), monkeypatch)
    assert "epoch" not in dict(one(fedora(tmp_path / "root")).qualifiers)


# ---- this machine


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg is not here")
def test_what_dpkg_itself_says_of_libraries_of_this_machine_is_said() -> None:
    listed = subprocess.run(["dpkg-query", "-L", "libc6", "zlib1g"], capture_output=True, text=True, check=True).stdout.split("\n")
    places = {os.path.realpath(path) for path in listed if ".so" in path and Path(path).is_file()}
    found = provenance([], sorted(places))
    assert len(places) > 5
    asked = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n", "libc6", "zlib1g"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    expected = {tuple(line.split(" ")) for line in said.splitlines()}
    assert {(owner.name, owner.version, dict(owner.qualifiers)["arch"]) for owner in found.values()} == expected
    assert {owner.type for owner in found.values()} == {"deb"}


# ---- damage


PLACES = [
    "etc/os-release",
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/libpng16-16:amd64.list",
    "lib/apk/db/installed",
    "conda-meta/libpng-1.6.39-h753d276_0.json",
    "var/lib/pacman/local/libpng-1.6.43-1/files",
    "var/lib/pacman/local/libpng-1.6.43-1/desc",
    "Cellar/libpng/1.6.43/INSTALL_RECEIPT.json",
]
"""Every file that is read."""


def everything(root: Path) -> list[str]:
    return [str(built(root)) for built in KNOWN]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("damage", ["folder", "empty", "nonsense", "deep", "dangling"])
def test_a_damaged_database_is_as_if_it_were_not_there(place: str, damage: str, tmp_path: Path) -> None:
    paths = everything(tmp_path)
    file = tmp_path / place
    file.unlink()
    match damage:
        case "folder":
            file.mkdir()
        case "dangling":
            file.symlink_to(tmp_path / "nowhere")
        case _:
            put(file, {"empty": b"", "nonsense": b"\xff\0\n\n:\n=\n%\n" * 50, "deep": b"[" * 200_000}[damage])
    assert set(provenance([], paths)) == set(paths)


@pytest.mark.parametrize(
    "record",
    ['{"name": 1, "files": ["lib/liba.so"]}', '{"name": "a", "files": "lib/liba.so"}', '{"name": "a", "files": [1, null]}', '["liba.so"]'],
)
def test_a_record_with_values_of_the_wrong_kind_says_nothing(record: str, tmp_path: Path) -> None:
    put(tmp_path / "conda-meta/a.json", record)
    assert one(put(tmp_path / "lib/liba.so")).source == "file name"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), data=st.binary(max_size=200))
def test_no_contents_of_a_database_raise(place: str, data: bytes, tmp_path: Path) -> None:
    paths = everything(tmp_path)
    put(tmp_path / place, data)
    assert set(provenance([], paths)) == set(paths)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_database_that_may_not_be_read_says_nothing(tmp_path: Path) -> None:
    library = alpine(tmp_path)
    (tmp_path / "lib/apk/db/installed").chmod(stat.S_IWUSR)
    assert one(library).source == "file name"


@pytest.mark.parametrize("path", ["", "/", "nothing\0here.so", "/nowhere/libx.so.1", "/" + "x" * 5000, "/\udcff/lib\udcff.so"])
def test_odd_paths_have_an_origin_too(path: str) -> None:
    assert one(path).source == "file name"


def test_nothing_asked_is_nothing_found() -> None:
    assert provenance([]) == {}


# ---- what a file says itself

NOTE = {
    "type": "rpm",
    "name": "libpng",
    "version": "1.6.40-3.fc40",
    "architecture": "x86_64",
    "os": "fedora",
    "osVersion": "40",
    "osCpe": "cpe:/o:x",
}
FEDORA = (("arch", "x86_64"), ("distro", "fedora-40"))


@pytest.mark.parametrize(
    ("file", "image", "expected"),
    [
        (
            "libpng16.so.16",
            elf(package_note=json.dumps(NOTE)),
            Provenance("package note", "rpm", "fedora", "libpng", "1.6.40-3.fc40", FEDORA),
        ),
        (
            "libx.so",
            elf(package_note='{"type": "guix", "name": "x", "os": "guix"}'),
            Provenance("package note", "generic", "", "x", "", (("distro", "guix"),)),
        ),
        ("libx.so.1.2", elf(package_note="{", soname="liby.so.1"), Provenance("file name", "generic", "", "liby")),
        ("libx.so.1.2", elf(package_note='{"name": ["x"]}'), Provenance("file name", "generic", "", "libx")),
        ("libx.so.1.2", elf(package_note='"x"'), Provenance("file name", "generic", "", "libx")),
        ("lib.sonic.so.1", elf(), Provenance("file name", "generic", "", "lib.sonic")),
        ("plain", elf(), Provenance("file name", "generic", "", "plain")),
        (
            "MSVCP140.dll",
            pe(
                file_version="14.38.1.0",
                product_version="14.38.2.0",
                version_strings=(("CompanyName", "Microsoft Corporation"), ("OriginalFilename", "msvcp140.dll")),
            ),
            Provenance("version resource", "generic", "", "msvcp140", "14.38.2.0", supplier="Microsoft Corporation"),
        ),
        ("a.dll", pe(file_version="1.2.0.0", product_version="0.0.0.0"), Provenance("version resource", "generic", "", "a", "1.2.0.0")),
        ("a.dll", pe(name="b.dll"), Provenance("file name", "generic", "", "b")),
        (
            "libpng16.16.dylib",
            macho(identity=Dylib("/opt/x/libpng16.16.dylib", "LC_ID_DYLIB", 0x102030, 0)),
            Provenance("install name", "generic", "", "libpng16", "16.32.48"),
        ),
        ("libq.1.dylib", macho(identity=Dylib("@rpath/libq.1.dylib", "LC_ID_DYLIB", 0, 0)), Provenance("file name", "generic", "", "libq")),
    ],
)
def test_what_no_package_manager_knows_tells_of_itself(file: str, image: Image, expected: Provenance, tmp_path: Path) -> None:
    assert one(tmp_path / file, image) == expected


def test_a_package_manager_goes_before_what_the_file_says(tmp_path: Path) -> None:
    assert one(debian(tmp_path), elf(package_note=json.dumps(NOTE))) == KNOWN[debian]


def test_where_no_package_has_files_no_list_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def lookup(root: str, wanted: Set[str]) -> Iterator[tuple[str, Provenance]]:
        asked.update(wanted if root == os.sep else ())
        return iter(())

    monkeypatch.setattr(origins, "_DATABASES", {".": lookup})
    provenance((), ["/usr/local/lib/libnone.so", "/usr/lib/libnone.so"])
    assert "usr/lib/libnone.so" in asked
    assert "usr/local/lib/libnone.so" not in asked
