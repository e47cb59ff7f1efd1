"""The ELF reader against four others: pyelftools, LIEF, llvm-readobj and GNU readelf, on the fixtures and on this system's libraries.

Each comparison is run once more on a file with one thing changed that the other reader sees and our stored reading does not.
"""

import functools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.common.exceptions import ELFError

from conftest import FIXTURES, absent
from relocator.backends.linux import verify
from relocator.backends.linux.read import read
from relocator.backends.linux.verify import Reading, Symbol
from relocator.errors import UnreadableBinary
from relocator.model import Image, VersionNeed
from relocator.native import ElfFacts

BIN = FIXTURES / "bin" / "elf"
FILES = sorted(path for path in BIN.rglob("*") if path.is_file() and path.name not in ("a.o", "libdebug.debug"))
WITHOUT_SECTIONS = frozenset({"imports_only.so", "no_sections.so", "lost_sections.so"})
SYSTEM = Path("/usr/lib")
SAMPLE, LARGEST = 48, 4 << 20

LLVM = ("llvm-readobj-22", "llvm-readobj-21", "llvm-readobj-20", "llvm-readobj")
BINDINGS = {0: "", 1: "global", 2: "weak", 10: "unique"}


def name_of(path: Path) -> str:
    return path.relative_to(BIN).as_posix()


def one(data: bytes) -> Image:
    (image,) = read(memoryview(data))
    return image


@functools.cache
def system_libraries() -> tuple[Path, ...]:
    """Some shared libraries of this machine, spread over all that it has."""
    found = []
    for path in sorted(SYSTEM.rglob("*.so*")) if SYSTEM.is_dir() else []:
        if path.is_file() and not path.is_symlink() and 4096 < path.stat().st_size < LARGEST:
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    found.append(path)
    return tuple(found[:: -(-len(found) // SAMPLE) or 1])


# ---------------------------------------------------------------- pyelftools and LIEF


def pyelftools_symbols(data: bytes, config: pytest.Config) -> frozenset[Symbol] | None:
    try:
        return verify.symbols_by_pyelftools(data)
    except ELFError:
        return None


def lief_symbols(data: bytes, config: pytest.Config) -> frozenset[Symbol] | None:
    try:
        import lief  # noqa: F401
    except ImportError:
        absent(config, "lief")
    return verify.symbols_by_lief(data)


SYMBOL_READERS = {"pyelftools": pyelftools_symbols, "lief": lief_symbols}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_second_reading_agrees(path: Path) -> None:
    data = path.read_bytes()
    assert verify.differences(read(memoryview(data)), data) == ()
    assert verify.symbol_differences(read(memoryview(data)), data) == ()


@pytest.mark.parametrize("reader", SYMBOL_READERS)
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_symbols_agree(path: Path, reader: str, request: pytest.FixtureRequest) -> None:
    data = path.read_bytes()
    theirs = SYMBOL_READERS[reader](data, request.config)
    assert theirs == (None if reader == "pyelftools" and path.name in WITHOUT_SECTIONS else verify.symbols_of(one(data)))


CHANGES = [
    ("x86_64/libb.so", b"liba.so\0", b"lixa.so\0", "needed"),
    ("x86_64/libb.so", b"libb.so\0", b"lixb.so\0", "identity"),
    ("x86_64/rpath.so", b"$ORIGIN/../lib", b"$ORIGIN/../bin", "rpath"),
    ("x86_64/runpath.so", b":relative", b":rexative", "runpath"),
    ("x86_64/wants_versions.so", b"V_1\0", b"V_9\0", "version_needs"),
    ("x86_64/no_sections.so", b"libb.so\0", b"lixb.so\0", "needed"),
    ("ppc64/libb.so", b"liba.so\0", b"lixa.so\0", "needed"),
]


@pytest.mark.parametrize(("name", "old", "new", "field"), CHANGES)
def test_a_change_is_noticed(name: str, old: bytes, new: bytes, field: str) -> None:
    data = (BIN / name).read_bytes()
    changed = data.replace(old, new)
    assert changed != data
    (line, *more) = verify.differences((one(data),), changed)
    assert not more
    assert line.startswith(f"{field}: ")
    assert verify.differences((one(changed),), changed) == ()


@pytest.mark.parametrize("reader", SYMBOL_READERS)
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("x86_64/ext.so", b"PyInit_ext\0", b"PyInit_exx\0"),
        ("s390x/ext.so", b"PyErr_Clear\0", b"PyErr_Clean\0"),
        ("x86_64/libversions.so", b"V_2\0", b"V_3\0"),
    ],
)
def test_a_changed_symbol_is_noticed(name: str, old: bytes, new: bytes, reader: str, request: pytest.FixtureRequest) -> None:
    data = (BIN / name).read_bytes()
    changed = data.replace(old, new)
    assert changed != data
    theirs = SYMBOL_READERS[reader](changed, request.config)
    assert theirs != verify.symbols_of(one(data))
    assert theirs == verify.symbols_of(one(changed))
    assert verify.symbol_differences((one(data),), changed)


def test_what_nobody_can_read_is_said_to_be_so() -> None:
    image = one((BIN / "x86_64/liba.so").read_bytes())
    assert verify.differences((image,), b"") == ("no second parser can read the file",)
    assert verify.symbol_differences((image,), b"") == ("no second parser can read the file's symbols",)
    assert verify.differences((), (BIN / "other/a.o").read_bytes()) == ("0 images, an ELF file has one",)


# ---------------------------------------------------------------- llvm-readobj


def by_llvm(program: str, path: Path) -> tuple[Reading, frozenset[Symbol]]:
    """Return its reading without the version needs, which it does not write as valid JSON."""
    done = subprocess.run(
        [program, "--elf-output-style=JSON", "--dyn-symbols", "--dynamic-table", str(path)], check=True, capture_output=True
    )
    (found,) = json.loads(done.stdout)
    tags = found["DynamicSection"]
    texts = {tag["Type"]: tag.get("Path", [tag.get("Name", tag.get("Library"))]) for tag in tags}
    rpath, runpath = (":".join(texts[kind]) if kind in texts else None for kind in ("RPATH", "RUNPATH"))
    identity = texts["SONAME"][0] if "SONAME" in texts else None
    needed = tuple(tag["Library"] for tag in tags if tag["Type"] == "NEEDED")
    return Reading(needed, identity, rpath, runpath, ()), frozenset(llvm_symbols(found["DynamicSymbols"]))


def llvm_symbols(rows: list[dict[str, Any]]) -> Iterator[Symbol]:
    for row in rows:
        symbol = row["Symbol"]
        spelled, defined = symbol["Name"]["Name"], symbol["Section"]["Name"] != "Undefined"
        name, marks, version = re.fullmatch(r"(.*?)(?:(@@?)(.*))?", spelled).groups(default="")  # type: ignore[union-attr]
        binding = BINDINGS.get(symbol["Binding"]["Value"])
        if not name or not binding:
            continue
        placed = symbol["Value"] or symbol["Section"]["Name"] == "Absolute" or symbol["Type"]["Name"] == "TLS"
        if defined and (not placed or symbol["Other"]["Value"] & 3 in (1, 2) or symbol["Type"]["Name"] in ("Section", "File")):
            continue
        yield Symbol(name.encode(), defined, binding, version.encode(), defined and marks == "@")


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "lost_sections.so"], ids=name_of)
def test_llvm_readobj_agrees(path: Path, oracle: Callable[..., str]) -> None:
    reading, symbols = by_llvm(oracle(*LLVM), path)
    image = one(path.read_bytes())
    assert reading == verify.reading_of(image)._replace(version_needs=())
    if path.name in WITHOUT_SECTIONS:  # without section headers it counts by DT_HASH alone
        assert symbols == frozenset()
    else:
        assert symbols == verify.symbols_of(image)


def test_llvm_readobj_notices_a_change(tmp_path: Path, oracle: Callable[..., str]) -> None:
    data = (BIN / "x86_64/wants_versions.so").read_bytes()
    changed = tmp_path / "changed.so"
    changed.write_bytes(data.replace(b"V_1\0", b"V_9\0").replace(b"libversions.so\0", b"libversionx.so\0"))
    reading, symbols = by_llvm(oracle(*LLVM), changed)
    assert reading != verify.reading_of(one(data))._replace(version_needs=())
    assert symbols != verify.symbols_of(one(data))


# ---------------------------------------------------------------- GNU readelf


def by_readelf(program: str, path: Path) -> dict[str, object]:
    done = subprocess.run([program, "-dlnW", "--version-info", str(path)], check=True, capture_output=True, text=True, env={"LC_ALL": "C"})
    out = done.stdout
    stack = re.search(r"^\s+GNU_STACK\s+(?:0x\S+\s+){5}([R ])([W ])([E ])", out, re.MULTILINE)
    build_id = re.search(r"Build ID: (\S+)", out)
    interpreter = re.search(r"Requesting program interpreter: (.*)\]", out)
    rpath, runpath, soname = (re.findall(rf"\({tag}\) .*\[(.*)\]", out) for tag in ("RPATH", "RUNPATH", "SONAME"))
    return {
        "needed": re.findall(r"\(NEEDED\) .*\[(.*)\]", out),
        "rpath": rpath[-1] if rpath else None,
        "runpath": runpath[-1] if runpath else None,
        "identity": soname[-1] if soname else None,
        "stack": 4 * (stack[1] == "R") + 2 * (stack[2] == "W") + (stack[3] == "E") if stack else None,
        "build_id": build_id[1] if build_id else None,
        "interpreter": interpreter[1] if interpreter else None,
        "relro": "GNU_RELRO" in out,
        "text_relocations": "(TEXTREL)" in out or re.search(r"\(FLAGS\).*TEXTREL", out) is not None,
        "symbolic": "(SYMBOLIC)" in out or re.search(r"\(FLAGS\).*SYMBOLIC", out) is not None,
        "version_needs": readelf_needs(out),
        "loads": len(re.findall(r"^\s+LOAD\s", out, re.MULTILINE)),
    }


def readelf_needs(out: str) -> tuple[VersionNeed, ...]:
    found, library = [], ""
    for file_name, name, flags in re.findall(r"Version: 1  File: (\S+)|Name: (\S+)  Flags: (\S+)  Version: \d+", out):
        library = file_name or library
        if name:
            found.append(VersionNeed(library, name, "WEAK" in flags))
    return tuple(found)


def in_those_words(image: Image) -> dict[str, object]:
    facts = image.native
    assert isinstance(facts, ElfFacts)
    return {
        "needed": [need.name for need in image.needed],
        "rpath": facts.rpath,
        "runpath": facts.runpath,
        "identity": image.identity,
        "stack": facts.stack_flags,
        "build_id": facts.build_id,
        "interpreter": facts.interpreter,
        "relro": facts.relro,
        "text_relocations": facts.text_relocations,
        "symbolic": facts.symbolic,
        "version_needs": image.version_needs,
        "loads": len(facts.segments),
    }


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_readelf_agrees(path: Path, oracle: Callable[..., str]) -> None:
    assert by_readelf(oracle("readelf"), path) == in_those_words(one(path.read_bytes()))


def test_readelf_notices_a_change(tmp_path: Path, oracle: Callable[..., str]) -> None:
    changed = tmp_path / "changed.so"
    data = (BIN / "x86_64/libb.so").read_bytes()
    changed.write_bytes(data.replace(b"liba.so\0", b"lixa.so\0"))
    theirs, ours = by_readelf(oracle("readelf"), changed), in_those_words(one(data))
    assert {name for name in ours if ours[name] != theirs[name]} == {"needed"}


# ---------------------------------------------------------------- this system's libraries


def test_the_second_reading_agrees_on_this_systems_libraries(request: pytest.FixtureRequest) -> None:
    libraries = system_libraries()
    if not libraries:
        absent(request.config, "/usr/lib")
    seen = 0
    for path in libraries:
        data = path.read_bytes()
        try:
            images = read(memoryview(data))
        except UnreadableBinary as error:
            pytest.fail(f"{path}: {error}")
        if images:
            assert verify.differences(images, data) == (), path
            assert verify.symbol_differences(images, data) == (), path
            seen += len(verify.symbols_of(images[0]))
    assert seen > 100
