"""Edited Mach-O files before other judges: LLVM's tools, LIEF's layout check, a second page hasher, a process that calls their functions.

On the fixtures always; on every macOS wheel of a folder given with --corpus. Each judge is shown something broken too and must object.
"""

import importlib
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import FIXTURES, absent
from macho_bytes import signed
from oracle.macho_machine import LoadError, Machine
from oracle.macho_signatures import directories, faults, identifier, place, slices, superblob, thin
from relocator.backends.macos import check_layout, prepare, read, recognises
from relocator.backends.macos.commands import Slice
from relocator.backends.macos.sign import Changed, as_linkers_do
from relocator.backends.macos.verify import differences
from relocator.model import Image
from relocator.native import MachOFacts
from relocator.plans import AddNeeded, Edit, EditRefused, ReplaceNeeded, Resign, SetIdentity, SetSearchPaths, apply_patches

BIN = FIXTURES / "bin" / "macho"
BROKEN = ("x86_64/damaged.dylib", "x86_64/duplicate_rpath.so")
FILES = sorted(path.relative_to(BIN).as_posix() for path in BIN.rglob("*") if path.is_file() and path.parent.name != "other")
SOUND = [name for name in FILES if name not in BROKEN]
LIBB = "libb_twice"


def fixture(name: str) -> bytes:
    return (BIN / name).read_bytes()


def edited(data: bytes, *edits: Edit) -> bytes:
    return bytes(apply_patches(data, prepare(memoryview(data), edits)))


def some_edits(image: Image) -> dict[str, list[Edit]]:
    """What is done to every file, by name."""
    found = tuple(path.text for path in image.search_paths)
    needed = [need.name for need in image.needed]
    edits: dict[str, list[Edit]] = {
        "path": [SetSearchPaths(("@loader_path/x", *found[1:]))],
        "paths": [SetSearchPaths((*found, "@loader_path/../../some.libs/deeper"))],
        "add": [AddNeeded("@rpath/libextra.dylib")],
    }
    if needed:
        edits["shorter"] = [ReplaceNeeded(needed[0], "/short")]
        edits["longer"] = [ReplaceNeeded(needed[-1], "@loader_path/../../some.libs/" + needed[-1].rpartition("/")[2])]
    if image.kind == "library":
        edits["identity"] = [SetIdentity("/DLC/some/.dylibs/" + (image.identity or "").rpartition("/")[2])]
    return edits


def results(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what each edit makes of a file; those for which it has no room are left out."""
    for name, edits in some_edits(read(memoryview(data))[0]).items():
        try:
            yield name, edited(data, *edits)
        except EditRefused:
            continue


@pytest.fixture
def unicorn(request: pytest.FixtureRequest) -> Any:
    try:
        return importlib.import_module("unicorn")
    except ImportError:
        return absent(request.config, "unicorn")


# ---------------------------------------------------------------- LLVM reads them


def objdump_complaints(objdump: str, data: bytes, folder: Path) -> str:
    """What llvm-objdump says against a file, slice by slice."""
    said = ""
    for start, size in slices(data):
        path = folder / "slice"
        path.write_bytes(data[start : start + size])
        done = subprocess.run(
            [objdump, "--macho", "--private-headers", "--bind", "--rebase", "--exports-trie", str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=300,
        )
        said += done.stderr + "".join(re.findall(r".*\(past end of file\).*|.*malformed.*", done.stdout))
    return said


@pytest.mark.parametrize("name", SOUND)
def test_llvm_objdump_has_nothing_to_say(name: str, oracle: Callable[..., str], tmp_path: Path) -> None:
    objdump = oracle("llvm-objdump-22", "llvm-objdump")
    found = dict(results(fixture(name)))
    assert found
    for edit, new in found.items():
        assert objdump_complaints(objdump, new, tmp_path) == "", edit
    broken = bytearray(new)
    start, _ = slices(new)[0]
    broken[start + 16] += 1
    assert objdump_complaints(objdump, bytes(broken), tmp_path) != ""


# ---------------------------------------------------------------- LIEF's layout check


def lief_objects(data: bytes) -> str:
    """What LIEF has against the layout of a file, "" for nothing."""
    lief = pytest.importorskip("lief", reason="lief is not installed")
    lief.logging.disable()
    said = []
    for start, size in slices(data):
        fat = lief.MachO.parse(list(data[start : start + size]))
        said += ["unreadable"] if fat is None else [str(text) for fine, text in map(lief.MachO.check_layout, fat) if not fine]
    return "; ".join(said)


@pytest.mark.parametrize("name", SOUND)
def test_lief_finds_the_layout_right(name: str) -> None:
    before = lief_objects(fixture(name))
    assert before == "" or name == "x86_64/newer.dylib", "it takes its empty fixups for a fault"
    for edit, new in results(fixture(name)):
        assert lief_objects(new) == before, edit
        assert check_layout(new) == (), edit


@pytest.mark.parametrize("name", ["x86_64/libb.dylib", "arm64/liba.dylib"])
def test_lief_and_our_check_object_to_the_same_damage(name: str) -> None:
    broken = bytearray(edited(fixture(name), SetSearchPaths(("@loader_path/x",))))
    at = broken.index(b"__LINKEDIT")
    broken[at + 40 : at + 48] = (int.from_bytes(broken[at + 40 : at + 48], "little") - 64).to_bytes(8, "little")
    assert lief_objects(bytes(broken)) != ""
    assert check_layout(bytes(broken)) != ()


# ---------------------------------------------------------------- the same edit by install_name_tool

NAMES = [
    (
        "x86_64/liba.dylib",
        ["-id", "/a/much/longer/identity/than/before/liba.dylib"],
        SetIdentity("/a/much/longer/identity/than/before/liba.dylib"),
    ),
    ("arm64/liba.dylib", ["-id", "/DLC/a.dylib"], SetIdentity("/DLC/a.dylib")),
    ("fat/liba.dylib", ["-id", "/DLC/a.dylib"], SetIdentity("/DLC/a.dylib")),
    ("x86_64/libb.dylib", ["-change", "@rpath/liba.dylib", "/a.dylib"], ReplaceNeeded("@rpath/liba.dylib", "/a.dylib")),
    ("x86_64/libweak.dylib", ["-change", "@rpath/liba.dylib", "/a.dylib"], ReplaceNeeded("@rpath/liba.dylib", "/a.dylib")),
    ("arm64/ext.so", ["-change", "@rpath/liba.dylib", "/a.dylib"], ReplaceNeeded("@rpath/liba.dylib", "/a.dylib")),
    ("x86_64/libb.dylib", ["-rpath", "@loader_path/.", "/x"], SetSearchPaths(("/x",))),
    ("x86_64/libb.dylib", ["-add_rpath", "/x"], SetSearchPaths(("@loader_path/.", "/x"))),
    ("x86_64/libb.dylib", ["-delete_rpath", "@loader_path/."], SetSearchPaths(())),
    ("arm64/ext.so", ["-add_rpath", "/x"], SetSearchPaths(("@loader_path", "/x"))),
    ("arm64/ext.so", ["-delete_rpath", "@loader_path"], SetSearchPaths(())),
]


def loader_view(data: bytes) -> list[tuple[object, ...]]:
    """What a loader goes by, kinds and versions included."""
    found: list[tuple[object, ...]] = []
    for image in read(memoryview(data)):
        native = image.native
        assert isinstance(native, MachOFacts)
        found.append((image.arch, native.identity, image.needed, native.dylibs, [path.text for path in image.search_paths]))
    return found


@pytest.mark.parametrize(("name", "flags", "edit"), NAMES, ids=[f"{name} {flags[0]}" for name, flags, _ in NAMES])
def test_install_name_tool_gives_the_same_names(
    name: str, flags: list[str], edit: Edit, oracle: Callable[..., str], tmp_path: Path
) -> None:
    tool, path = oracle("llvm-install-name-tool-22", "llvm-install-name-tool"), tmp_path / "file"
    shutil.copyfile(BIN / name, path)
    subprocess.run([tool, *flags, str(path)], check=True, capture_output=True, timeout=60)
    theirs = loader_view(path.read_bytes())
    assert loader_view(edited(fixture(name), edit)) == theirs
    assert loader_view(fixture(name)) != theirs


# ---------------------------------------------------------------- emulated processes

TREES: dict[str, tuple[str, str, str]] = {
    "x86_64, bind opcodes": ("x86_64", "x86_64/libb.dylib", "x86_64/liba.dylib"),
    "x86_64, chained fixups": ("x86_64", "x86_64/libchained.dylib", "x86_64/liba.dylib"),
    "arm64, bind opcodes": ("arm64", "arm64/unsigned.so", "arm64/liba.dylib"),
    "x86_64, universal": ("x86_64", "x86_64/libb.dylib", "fat/liba.dylib"),
    "arm64, universal": ("arm64", "arm64/unsigned.so", "fat/liba.dylib"),
}
HOST = ("dyld_stub_binder", "PyModule_Create2", "_Py_NoneStruct")


def twice(unicorn: Any, arch: str, files: dict[str, bytes], root: str, value: int = 2) -> int:
    machine = Machine(unicorn, arch, files, HOST)
    return machine.call(machine.load(root), LIBB, value)


def relocated(user: bytes, library: bytes) -> dict[str, bytes]:
    """A library moved aside under another name, and its user told so."""
    user = edited(user, ReplaceNeeded("@rpath/liba.dylib", "@rpath/a-1.dylib"), SetSearchPaths(("@loader_path/l",)))
    return {"/p/user": user, "/p/l/a-1.dylib": edited(library, SetIdentity("/DLC/a-1.dylib"))}


@pytest.mark.parametrize("tree", TREES)
def test_functions_of_edited_libraries_are_bound_and_called(tree: str, unicorn: Any) -> None:
    arch, user, library = TREES[tree]
    files = relocated(fixture(user), fixture(library))
    assert twice(unicorn, arch, files, "/p/user") == 84
    with pytest.raises(LoadError, match="Library not loaded"):
        twice(unicorn, arch, {"/p/user": files["/p/user"]}, "/p/user")
    with pytest.raises(LoadError, match="Symbol not found: _liba_add"):
        twice(unicorn, arch, {**files, "/p/l/a-1.dylib": files["/p/user"]}, "/p/user")
    spoilt = bytearray(files["/p/user"])
    spoilt[spoilt.index(b"@rpath/a-1") + 8] ^= 1
    with pytest.raises(LoadError, match="code signature"):
        twice(unicorn, arch, {**files, "/p/user": bytes(spoilt)}, "/p/user")


def test_chained_fixups_on_arm64_are_bound_after_an_edit(unicorn: Any) -> None:
    """The extension finds libb_twice in a flat namespace: in the library added to it by an edit."""
    files = {
        "/p/ext.so": edited(fixture("arm64/ext.so"), ReplaceNeeded("@rpath/liba.dylib", "@rpath/b.so")),
        "/p/b.so": edited(fixture("arm64/unsigned.so"), SetSearchPaths(("@loader_path",)), Resign()),
        "/p/liba.dylib": fixture("arm64/liba.dylib"),
    }
    machine = Machine(unicorn, "arm64", files, HOST)
    assert machine.call(machine.load("/p/ext.so"), "ext_value") == 82
    with pytest.raises(LoadError, match="Symbol not found: _libb_twice"):
        Machine(unicorn, "arm64", {**files, "/p/b.so": files["/p/liba.dylib"]}, HOST).load("/p/ext.so")


@pytest.mark.parametrize(("name", "present", "absent_"), [("libweak.dylib", 42, -1)])
def test_a_renamed_weak_need_may_still_be_absent(name: str, present: int, absent_: int, unicorn: Any) -> None:
    user = edited(fixture(f"x86_64/{name}"), ReplaceNeeded("@rpath/liba.dylib", "@rpath/w.dylib"))
    files = {"/p/user": user, "/p/w.dylib": fixture("x86_64/liba.dylib")}
    for tree, value in ((files, present), ({"/p/user": user}, absent_)):
        machine = Machine(unicorn, "x86_64", tree, HOST)
        assert machine.call(machine.load("/p/user"), "libw_maybe") == value


def test_an_added_library_comes_in_and_no_ordinal_shifts(unicorn: Any) -> None:
    user = edited(fixture("x86_64/libb.dylib"), AddNeeded("/p/more"))
    files = {"/p/user": user, "/p/liba.dylib": fixture("x86_64/liba.dylib"), "/p/more": fixture("x86_64/libtls.dylib")}
    with pytest.raises(LoadError, match="__tlv_bootstrap"):
        twice(unicorn, "x86_64", files, "/p/user")
    files["/p/more"] = fixture("x86_64/newer.dylib")
    assert twice(unicorn, "x86_64", files, "/p/user") == 84
    moved = bytearray(user)
    first, second = moved.index(b"@rpath/liba.dylib"), moved.index(b"/usr/lib/libSystem.B.dylib")
    moved[first : first + 17], moved[second : second + 26] = b"/usr/lib/libSys.d", b"@rpath/liba.dylib" + bytes(9)
    resigned = edited(bytes(moved), Resign())
    with pytest.raises(LoadError, match="Symbol not found"):
        twice(unicorn, "x86_64", {**files, "/p/user": resigned}, "/p/user")


def test_a_signature_put_in_place_of_a_certificate_is_taken(unicorn: Any) -> None:
    library = edited(signed(fixture("arm64/liba.dylib"), b"certificate" * 90), SetIdentity("/DLC/a"), Resign())
    machine = Machine(unicorn, "arm64", {"/p/a": library})
    assert machine.call(machine.load("/p/a"), "liba_add", 3) == 43


# ---------------------------------------------------------------- real wheels


def binaries(corpus: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield (wheel, member, bytes) of every Mach-O file that dyld maps."""
    wheels = sorted(corpus.glob("*macosx*.whl"))
    if not wheels:
        pytest.skip("the corpus has no macOS wheel")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                data = archive.read(info)
                if recognises(data[:64]) and read(memoryview(data)):
                    yield wheel.name, info.filename, data


def executable_limits(data: bytes) -> set[int]:
    """What linkers write as the end of the executable segment: the size of __text, or that of __TEXT."""
    file, found = thin(data), set()
    for number, _, raw in file.commands:
        if number == 0x19 and raw[8:24].rstrip(b"\0") == b"__TEXT":
            found.add(struct.unpack_from("<Q", raw, 48)[0])
            for at in range(72, len(raw), 80):
                if raw[at : at + 16].rstrip(b"\0") == b"__text":
                    found.add(struct.unpack_from("<Q", raw, at + 40)[0])
    return found


def test_the_linkers_signatures_of_real_files_are_rebuilt_byte_for_byte(corpus: Path) -> None:
    count = 0
    for wheel, member, data in binaries(corpus):
        for start, size in slices(data):
            part = data[start : start + size]
            found = directories(part)
            if not found or not int.from_bytes(found[0][12:16], "big") & 0x20000:
                continue
            base, limit, flags = struct.unpack_from(">3Q", found[0], 64)
            assert limit in executable_limits(part), (wheel, member)
            where, _ = place(part) or (0, 0)
            plan = as_linkers_do(identifier(found[0]), where, (base, limit, flags))
            built = plan.build(Changed(Slice(memoryview(part), 0, size), ()))
            assert built == superblob(part), (wheel, member)
            assert len(built) == plan.size
            count += 1
            if count == 1:
                spoilt = bytearray(part)
                spoilt[where - 1] ^= 1
                assert plan.build(Changed(Slice(memoryview(spoilt), 0, size), ())) != superblob(part)
    assert count


def check_result(old: bytes, new: bytes, place_: object) -> None:
    assert check_layout(new) == (), place_
    images = read(memoryview(new))
    assert differences(images, new) == (), place_
    assert lief_objects(new) == "", place_
    for (start, size), (before, length) in zip(slices(new), slices(old), strict=True):
        here, there = new[start : start + size], old[before : before + length]
        assert faults(here, needed=thin(here).cpu == 0x0100000C) == [], place_
        first = max(raw_end(here), raw_end(there))
        where, _ = place(there) or (length, 0)
        assert here[first:where] == there[first:where], place_


def raw_end(data: bytes) -> int:
    return thin(data).commands[-1][1] + len(thin(data).commands[-1][2])


def test_every_file_of_real_wheels_is_edited_soundly(corpus: Path, oracle: Callable[..., str], tmp_path: Path) -> None:
    objdump, done, refused = oracle("llvm-objdump-22", "llvm-objdump"), 0, 0
    for wheel, member, data in binaries(corpus):
        for name, edits in some_edits(read(memoryview(data))[0]).items():
            try:
                new = edited(data, *edits)
            except EditRefused as error:
                assert "bytes too long" in error.message, (wheel, member, name)
                refused += 1
                continue
            done += 1
            check_result(data, new, (wheel, member, name))
            if name == "paths":
                said = objdump_complaints(objdump, new, tmp_path)
                assert said == "" or said == objdump_complaints(objdump, data, tmp_path), (wheel, member)  # it counts zero-filled sections
    assert done > 20 * refused


def renamed(name: str) -> str:
    """A name with another leaf."""
    folder, slash, leaf = name.rpartition("/")
    return f"{folder}{slash}r-{leaf}"


def with_libraries_renamed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a wheel after its bundled libraries were renamed, and everything that needs them told so."""
    bundled = {path for path in files if "/.dylibs/" in path}
    leaves = {path.rpartition("/")[2] for path in bundled}
    found = {}
    for path, data in files.items():
        needs = {need.name for image in read(memoryview(data)) for need in image.needed if need.name.rpartition("/")[2] in leaves}
        edits: list[Edit] = [ReplaceNeeded(name, renamed(name)) for name in sorted(needs)]
        edits += [SetIdentity(f"/DLC/{renamed(path).rpartition('/')[2]}")] if path in bundled else []
        found[renamed(path) if path in bundled else path] = edited(data, *edits)
    return found


def outcome(unicorn: Any, arch: str, files: dict[str, bytes], path: str) -> str:
    try:
        Machine(unicorn, arch, files, None).load(path)
    except LoadError as error:
        return str(error)
    return ""


def test_real_wheels_load_after_their_libraries_were_renamed(corpus: Path, unicorn: Any) -> None:
    wheels: dict[str, dict[str, bytes]] = {}
    for wheel, member, data in binaries(corpus):
        wheels.setdefault(wheel, {})[f"/site/{member}"] = data
    bundling = [files for files in wheels.values() if any("/.dylibs/" in path for path in files)]
    if not bundling:
        pytest.skip("no wheel of the corpus bundles a dylib")
    loaded = missed = 0
    for files in bundling:
        new = with_libraries_renamed(files)
        alone = {path: data for path, data in new.items() if "/.dylibs/" not in path}
        for (path, data), now in zip(files.items(), new, strict=True):
            for image in read(memoryview(data)):
                if outcome(unicorn, image.arch, files, path) == "":
                    assert outcome(unicorn, image.arch, new, now) == "", path
                    loaded += 1
                    missed += now in alone and "Library not loaded" in outcome(unicorn, image.arch, alone, now)
    assert loaded
    assert missed, "without its bundled libraries something does not load"
