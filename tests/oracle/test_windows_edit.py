"""Rewritten PE files before other readers, wine's loader and real CPython for Windows; each with something that must then fail.

CPython for Windows lies in the folder that RELOCATOR_WINDOWS_PYTHON names; scripts/windows_python.py makes one.
"""

import hashlib
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conftest import FIXTURES
from pe_bytes import Draft, library
from pe_edits import LONG, bound, edited, full, headers, image, patched, plan, rungs, with_checksum, with_symbols
from relocator.backends.windows import check_layout, prepare, read, verify
from relocator.model import Image
from relocator.native import PeFacts
from relocator.plans import AddNeeded, Edit, RemoveNeeded, ReplaceNeeded, Resign, SetIdentity, apply_patches
from wine import A, Answer, Wine, cpython, laid_out, laid_out_for_probe, started, used

PE = FIXTURES / "bin" / "pe"
READOBJ = ("llvm-readobj-22", "llvm-readobj-21", "llvm-readobj-20", "llvm-readobj-19", "llvm-readobj")
LIBA, LIBB, DELAY, FORWARD = ((PE / "x64" / name).read_bytes() for name in ("liba.dll", "libb.dll", "delay.dll", "forward.dll"))


def without_tail(data: bytes) -> bytes:
    """Return a copy whose sections have no room behind their bytes: VirtualSize is all that the file brings."""
    for section in headers(data).sections:
        data = patched(data, section.place + 8, "<I", section.size)
    return data


TABLES = Draft().imports((b"liba.dll", [b"f", 7])).exports(b"e.dll", [(b"p", b"liba.f"), (b"q", 1)])
FILES = {
    **{
        path: (PE / path).read_bytes()
        for path in ("x64/libb.dll", "x64/delay.dll", "x64/forward.dll", "x64/flags.dll", "x64/resources.dll")
    },
    **{f"{path} without room": without_tail((PE / path).read_bytes()) for path in ("x64/libb.dll", "x64/delay.dll", "arm64/libb.dll")},
    "x86/libb.dll": (PE / "x86/libb.dll").read_bytes(),
    "x86/libb.dll without room": without_tail((PE / "x86/libb.dll").read_bytes()),
    "arm64/libb.dll": (PE / "arm64/libb.dll").read_bytes(),
    "all tables": TABLES.build(),
    "all tables without room": full(TABLES),
    "checksum": with_checksum(full(TABLES)),
    "symbols": with_symbols(full(TABLES)),
    "bound": bound(),
}
NEW_NAMES = ("x.dll", "libz.dll", LONG, "y" * 200 + ".dll")


def readobj(program: str, data: bytes, folder: Path) -> list[str]:
    """Return what LLVM says of imports and exports, without where their tables lie."""
    (folder / "file").write_bytes(data)
    command = [program, "--coff-imports", "--coff-exports", "--coff-debug-directory", "--coff-resources", str(folder / "file")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in output.splitlines() if "File:" not in line]


@pytest.mark.parametrize("new", NEW_NAMES)
@pytest.mark.parametrize("name", FILES)
def test_llvm_sees_the_planned_difference_and_no_other(name: str, new: str, oracle: Callable[..., str], tmp_path: Path) -> None:
    program = oracle(*READOBJ)
    before = readobj(program, FILES[name], tmp_path)
    wanted = [line.replace("Name: liba.dll", f"Name: {new}").replace("To: liba.", f"To: {new[:-4]}.") for line in before]
    assert wanted != before
    assert readobj(program, edited(FILES[name], ReplaceNeeded("liba.dll", new)), tmp_path) == wanted


@pytest.mark.parametrize("new", NEW_NAMES)
@pytest.mark.parametrize("name", FILES)
def test_pefile_and_lief_see_the_planned_difference_and_no_other(name: str, new: str) -> None:
    lief, pefile = pytest.importorskip("lief"), pytest.importorskip("pefile")
    after = edited(FILES[name], ReplaceNeeded("liba.dll", new))
    (before,), (now,) = verify.second_reading(FILES[name]) or (), verify.second_reading(after) or ()
    renamed = [tuple(new if need == "liba.dll" else need for need in needs) for needs in (before.needed, before.delayed)]
    forwards = tuple(target.replace("liba.", f"{new[:-4]}.") for target in before.forwarders)
    assert now == before._replace(needed=renamed[0], delayed=renamed[1], forwarders=forwards, dependent_load_flags=now.dependent_load_flags)
    assert (renamed, forwards) != ([before.needed, before.delayed], before.forwarders)
    one, other = lief.PE.parse(list(FILES[name])), lief.PE.parse(list(after))
    assert slots(one) == slots(other), "addresses that the code goes through have moved"
    if headers(after).checksum:
        assert pefile.PE(data=after).verify_checksum()


def slots(parsed: Any) -> list[tuple[str, int, int]]:
    """Return what is imported and where its address goes, by LIEF."""
    return [(str(e.name), e.ordinal if e.is_ordinal else 0, e.iat_address) for table in parsed.imports for e in table.entries]


@pytest.mark.parametrize("size", [0x600, 0x601, 0x7FF])
def test_pefile_adds_up_the_same_checksum(size: int) -> None:
    pefile = pytest.importorskip("pefile")
    data = with_checksum(full(TABLES).ljust(size, b"\x81"))
    assert pefile.PE(data=data).generate_checksum() == headers(data).checksum
    assert pefile.PE(data=data).verify_checksum()
    assert not pefile.PE(data=data[:-1] + b"\x02").verify_checksum()


def test_pefile_adds_up_the_same_checksum_where_the_words_add_up_to_nothing() -> None:
    pefile = pytest.importorskip("pefile")
    data = with_checksum(full(TABLES) + b"\0\0")
    rest = 0xFFFF - (headers(data).checksum - len(data)) % 0xFFFF
    data = with_checksum(data[:-2] + rest.to_bytes(2, "little"))
    assert headers(data).checksum == 0xFFFF + len(data)
    assert pefile.PE(data=data).generate_checksum() == headers(data).checksum


def test_lief_sees_an_added_library_go_again() -> None:
    lief = pytest.importorskip("lief")
    after = edited(full(TABLES), AddNeeded("new.dll!value"), AddNeeded("more.dll!#4"))
    parsed = lief.PE.parse(list(after))
    added = [(str(table.name), [(str(e.name), e.is_ordinal) for e in table.entries]) for table in parsed.imports][1:]
    assert added == [("new.dll", [("value", False)]), ("more.dll", [("", True)])]
    back = edited(after, RemoveNeeded("new.dll"), RemoveNeeded("more.dll"))
    parsed = lief.PE.parse(list(back))
    assert [str(i.name) for i in parsed.imports] == ["liba.dll"]


SOURCE = """
__declspec(dllimport) int liba_add(int);
__declspec(dllexport) int both(int x) { return liba_add(x); }
"""
PARTS = """
    .data
    .globl __os_arm64x_dispatch_call_no_redirect, __os_arm64x_dispatch_ret, __os_arm64x_check_icall, __os_arm64x_check_icall_cfg
__os_arm64x_dispatch_call_no_redirect:
__os_arm64x_dispatch_ret:
__os_arm64x_check_icall:
__os_arm64x_check_icall_cfg:
    .xword 0
    .section .text,"xr",discard,"#__icall_helper_arm64ec"
    .globl "#__icall_helper_arm64ec"
"#__icall_helper_arm64ec":
    .weak_anti_dep __icall_helper_arm64ec
.set __icall_helper_arm64ec, "#__icall_helper_arm64ec"
    ret
"""
DEFINITION = "LIBRARY liba.dll\nEXPORTS\nliba_add\n"
CONFIGURATION = """
    .section .rdata,"dr"
    .globl _load_config_used
    .p2align 3
_load_config_used:
    .word 0x140
    .fill 0xc4, 1, 0
    .xword metadata
    .fill 0x70, 1, 0
    .p2align 3
metadata:
    .fill 0x80, 1, 0
"""
"""What Microsoft's runtime library has for a file with ARM64EC code, as far as the linker wants it."""


def linked_for_two_architectures(oracle: Callable[..., str], folder: Path) -> bytes:
    """Link an ARM64X library: code for arm64 and ARM64EC, two export directories, a table of fixups."""
    clang, linker, dlltool = oracle("clang-22"), oracle("lld-link-22"), oracle("llvm-dlltool-22")
    for name, text in (
        ("a.c", SOURCE),
        ("parts.s", PARTS),
        ("config.s", CONFIGURATION),
        ("liba.def", "LIBRARY liba.dll\nEXPORTS\nliba_add\n"),
    ):
        (folder / name).write_text(text, encoding="ascii")
    objects = [("arm64ec", "a.c"), ("arm64ec", "parts.s"), ("arm64ec", "config.s"), ("aarch64", "a.c"), ("aarch64", "config.s")]
    for arch, name in objects:
        flags = [f"--target={arch}-pc-windows-msvc", "-O1", "-ffreestanding", "-c", name, "-o", f"{arch}-{name}.obj"]
        subprocess.run([clang, *flags], check=True, cwd=folder)
    subprocess.run([dlltool, "-m", "arm64ec", "-d", "liba.def", "-N", "liba.def", "-l", "liba.lib"], check=True, cwd=folder)
    made = [f"{arch}-{name}.obj" for arch, name in objects]
    command = [linker, "/machine:arm64x", "/dll", "/noentry", "/nodefaultlib", "/Brepro", *made, "liba.lib", "/out:both.dll"]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    return (folder / "both.dll").read_bytes()


@pytest.mark.parametrize("new", NEW_NAMES)
def test_llvm_sees_both_views_of_a_file_for_two_architectures_renamed(new: str, oracle: Callable[..., str], tmp_path: Path) -> None:
    data = linked_for_two_architectures(oracle, tmp_path)
    before = readobj(oracle(*READOBJ), data, tmp_path)
    assert "HybridObject {" in before
    after = edited(data, ReplaceNeeded("liba.dll", new), SetIdentity("y" * 60))
    assert readobj(oracle(*READOBJ), after, tmp_path) == [line.replace("Name: liba.dll", f"Name: {new}") for line in before]
    assert image(after).identity == "y" * 60


# Wine's loader


@pytest.fixture(scope="module")
def wine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    with started(request.config, tmp_path_factory.mktemp("wine")) as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return laid_out_for_probe(tmp_path)


class Case(NamedTuple):
    """A root that is edited, what its function gives, and where its needs go."""

    name: str
    root: bytes
    edits: tuple[Edit, ...]
    file: str
    rung: str
    call: str
    value: str = "84"
    folder: str = "pkg"
    """What is forwarded to is looked for when it is asked for, and not beside the importer."""


TWICE = "libb_twice"
IN_PLACE, SLACK = "import: name in place", "import: name in place and in the zeros behind it"
FORWARD_IN_PLACE, OWN = "export forwarder: name in place", ".reloctr: content"
MOVED = "y" * 90 + ".dll"
SHORT, LONGER, FAR = ((ReplaceNeeded("liba.dll", new),) for new in ("x.dll", LONG, MOVED))
CASES = (
    Case("in place", LIBB, SHORT, "x.dll", IN_PLACE, TWICE),
    Case("the end of the section", LIBB, LONGER, LONG, SLACK, TWICE),
    Case("a new section", without_tail(LIBB), LONGER, LONG, OWN, TWICE),
    Case("other case", LIBB, (ReplaceNeeded("LIBA.DLL", "X.Dll"),), "x.dll", IN_PLACE, TWICE),
    Case("a forwarder in place", FORWARD, SHORT, "x.dll", FORWARD_IN_PLACE, "liba_add", "42", "app"),
    Case("a forwarder that moves", FORWARD, FAR, MOVED, OWN, "liba_add", "42", "app"),
    Case("a checksum", with_checksum(without_tail(LIBB)), LONGER, LONG, OWN, TWICE),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wine_loads_and_calls_what_was_renamed(wine: Wine, tree: Path, case: Case) -> None:
    assert case.rung in rungs(plan(case.root, *case.edits))
    laid_out(tree, {A: edited(case.root, *case.edits), f"{case.folder}/{case.file}": LIBA})
    answer = wine.answer(tree, (), (), case.call)
    assert answer == Answer(frozenset({A, f"{case.folder}/{case.file.casefold()}"}), case.value)
    laid_out(tree, {f"{case.folder}/{case.file}": None, f"{case.folder}/liba.dll": LIBA})
    assert wine.answer(tree, (), (), case.call).value != case.value


@pytest.mark.parametrize("data", [DELAY, without_tail(DELAY)])
def test_wine_loads_a_renamed_delayed_library_when_it_is_called(wine: Wine, tree: Path, data: bytes) -> None:
    laid_out(tree, {A: edited(data, ReplaceNeeded("liba.dll", LONG)), f"app/{LONG}": LIBA})
    assert wine.answer(tree, (), (), "delay_call").value == "42"
    laid_out(tree, {f"app/{LONG}": None, "app/liba.dll": LIBA})
    assert wine.answer(tree, (), (), "delay_call").value == "-126"


@pytest.mark.parametrize("symbol", ["value", "#1"])
def test_wine_loads_an_added_library(wine: Wine, tree: Path, symbol: str) -> None:
    laid_out(tree, {A: edited(LIBB, AddNeeded(f"x.dll!{symbol}")), "pkg/liba.dll": LIBA, "pkg/x.dll": library()})
    assert wine.answer(tree, (), (), TWICE) == Answer(frozenset({A, "pkg/liba.dll", "pkg/x.dll"}), "84")
    laid_out(tree, {"pkg/x.dll": None})
    assert wine.answer(tree, (), (), TWICE) == Answer(None, "")
    laid_out(tree, {A: edited((tree / A).read_bytes(), RemoveNeeded("x.dll"))})
    assert wine.answer(tree, (), (), TWICE) == Answer(frozenset({A, "pkg/liba.dll"}), "84")


def test_wine_passes_over_a_library_from_which_nothing_is_imported(wine: Wine, tree: Path) -> None:
    """That is why one cannot be added without a symbol, and why such a one may go."""
    empty = Draft().exports(b"a.dll", [(b"f", 0)]).imports((b"x.dll", []), (b"y.dll", [b"value"])).build()
    laid_out(tree, {A: empty, "pkg/x.dll": library(), "pkg/y.dll": library()})
    assert wine.answer(tree, (), (), "").modules == frozenset({A, "pkg/y.dll"})
    laid_out(tree, {A: edited(empty, RemoveNeeded("x.dll"))})
    assert wine.answer(tree, (), (), "").modules == frozenset({A, "pkg/y.dll"})


# Real wheels


def hashed(name: str) -> str:
    stem, _, extension = name.rpartition(".")
    return f"{stem}-{hashlib.sha256(name.casefold().encode()).hexdigest()[:32]}.{extension}"


def edits_of(one: Image, inside: set[str]) -> list[Edit]:
    """Return what renames the needs that lie inside a wheel, and the file itself."""
    native = one.native
    assert isinstance(native, PeFacts)
    names = list(dict.fromkeys(need.name for need in one.needed if need.name.casefold() in inside))
    edits: list[Edit] = [ReplaceNeeded(name, hashed(name)) for name in names]
    if one.identity and one.identity.isascii():
        edits.append(SetIdentity(hashed(one.identity)))
    return [*edits, Resign()] if edits and native.certificate_size else edits


def binaries(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for member in archive.namelist():
        if member.lower().endswith((".dll", ".pyd", ".exe")):
            yield member, archive.read(member)


def test_every_binary_of_real_wheels_is_renamed_and_back(corpus: Path) -> None:
    wheels = sorted(corpus.glob("*-win*.whl"))
    if not wheels:
        pytest.skip("the corpus has no Windows wheel")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            inside = {Path(member).name.casefold() for member in archive.namelist()}
            for member, data in binaries(archive):
                _renamed_and_back(data, inside, f"{wheel.name}: {member}")


def _renamed_and_back(data: bytes, inside: set[str], place: str) -> None:
    (before,) = read(memoryview(data))
    edits = edits_of(before, inside)
    if not edits:
        return
    after = bytes(apply_patches(data, prepare(memoryview(data), edits)))
    (now,) = read(memoryview(after))
    assert check_layout(memoryview(after)) == check_layout(memoryview(data)), place
    assert verify.differences((now,), after) == (), place
    assert now.symbols.exports() == before.symbols.exports(), place
    assert [need.name for need in now.needed] == [hashed(n.name) if n.name.casefold() in inside else n.name for n in before.needed], place
    assert not prepare(memoryview(after), edits), place
    inverse = [ReplaceNeeded(e.new, e.old) for e in edits if isinstance(e, ReplaceNeeded)]
    back = bytes(apply_patches(after, prepare(memoryview(after), inverse)))
    assert len(back) == len(after), place
    assert image(back).needed == before.needed, place


@pytest.fixture(scope="module")
def windows_python() -> Path:
    return cpython()


USES = {
    "psycopg2_binary": "import psycopg2; print('used', psycopg2.__libpq_version__)",
    "numpy": "import numpy; print('used', numpy.linalg.det(numpy.eye(3)))",
    "pillow": "from PIL import Image, _imagingft; print('used', Image.new('RGB', (9, 9)).resize((3, 3)).size)",
    "lxml": "from lxml import etree; print('used', etree.fromstring('<a/>').tag)",
}
"""What a wheel is tried with, where it can be used alone."""


def unpacked(wheel: Path, folder: Path, rename: bool) -> list[Path]:
    """Unpack a wheel, its libraries and all that names them renamed; return the libraries that got another name."""
    moved = []
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        found = dict(binaries(archive))
        needed = {need.name.casefold() for data in found.values() for need in image(data).needed}
        inside = {Path(member).name.casefold() for member in found} & needed
        for member, data in found.items() if rename else ():
            path = folder / member
            path.write_bytes(bytes(apply_patches(data, prepare(memoryview(data), edits_of(image(data), inside)))))
            if path.name.casefold() in inside:
                moved.append(path.rename(path.with_name(hashed(path.name))))
    return moved


@pytest.mark.parametrize("name", USES)
def test_cpython_for_windows_imports_a_rewritten_wheel(name: str, wine: Wine, windows_python: Path, corpus: Path, tmp_path: Path) -> None:
    version = next(windows_python.glob("python3??.dll")).stem.removeprefix("python")
    wheels = sorted(corpus.glob(f"{name}-*-cp{version}-win_amd64.whl"))
    answers = []
    for number, wheel in enumerate(wheels):
        unpacked(wheel, tmp_path / f"{number}", rename=False)
        answers.append(used(wine, windows_python, tmp_path / f"{number}", USES[name]))
        if not answers[-1]:
            continue  # wine lacks a function that this version calls
        moved = unpacked(wheel, tmp_path / f"{number}-renamed", rename=True)
        assert used(wine, windows_python, tmp_path / f"{number}-renamed", USES[name]) == answers[-1]
        if moved:
            moved[0].unlink()
            assert used(wine, windows_python, tmp_path / f"{number}-renamed", USES[name]) == "", "the negative control"
    if not any(answers):
        pytest.skip(f"the corpus has no {name} for this Python that wine can run")


def test_a_rewritten_python_still_runs(wine: Wine, windows_python: Path, tmp_path: Path) -> None:
    """python3.dll forwards a thousand functions to the other library; the program and its modules import from it."""
    library = next(windows_python.glob("python3??.dll")).name
    for path in windows_python.iterdir():
        if path.suffix.lower() in (".exe", ".dll", ".pyd"):
            (tmp_path / path.name).write_bytes(_python_renamed(path.read_bytes(), library))
        elif path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / library).rename(tmp_path / hashed(library))
    code = "import sys, _ctypes, _decimal, ctypes; print('used', ctypes.WinDLL('python3.dll').PyLong_FromLong is not None)"
    assert used(wine, tmp_path, tmp_path, code) == "used True"
    (tmp_path / hashed(library)).unlink()
    assert used(wine, tmp_path, tmp_path, code) == ""


def _python_renamed(data: bytes, library: str) -> bytes:
    (one,) = read(memoryview(data))
    native = one.native
    assert isinstance(native, PeFacts)
    names = {need.name for need in one.needed} | {target.rpartition(".")[0] + ".dll" for _, target in native.forwarders}
    if library not in names:
        return data
    return edited(data, Resign(), ReplaceNeeded(library, hashed(library)))
