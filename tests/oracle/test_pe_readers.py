"""Our PE reader against three others: pefile, LIEF and llvm-readobj read the same from every fixture, and notice a change."""

import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import FIXTURES
from pe_bytes import AMD64, I386, Draft
from relocator.backends.windows import read, verify
from relocator.model import Image, NeedKind

BIN = FIXTURES / "bin" / "pe"
FILES = sorted(path.relative_to(BIN).as_posix() for path in BIN.rglob("*") if path.suffix in (".dll", ".pyd", ".exe"))
READOBJ = ("llvm-readobj-22", "llvm-readobj-21", "llvm-readobj-20", "llvm-readobj-19", "llvm-readobj")
MADE = {
    "delayed without lookup table": Draft(False, I386).imports((b"a.dll", [b"f", 7]), lookup=False),
    "old delayed imports": Draft(False, I386).delayed((b"old.dll", [b"f", 5]), by_rva=False),
    "many imports": Draft()
    .imports((b"a.dll", [b"f%d" % number for number in range(9000)]), (b"b.dll", [b"g"]))
    .delayed((b"c.dll", [b"h"])),
    "load configuration": Draft().exports(b"a.dll", [(b"f", 0)]).configuration(0x1100),
    "load configuration of x86": Draft(False, I386).exports(b"a.dll", [(b"f", 0)]).configuration(0x800),
    "ordinals of libraries that are well known": Draft().imports((b"WS2_32.dll", [3, 9]), (b"OLEAUT32.dll", [2])),
}

Symbols = list[tuple[str, str, str]]
"""(library or forwarder, name, ordinal where there is no name)"""


class Table(NamedTuple):
    """What a reader lists of one file."""

    needed: list[str]
    delayed: list[str]
    imports: Symbols
    exports: Symbols


def images(data: bytes) -> tuple[Image, ...]:
    return read(memoryview(data))


def ours(data: bytes) -> Table:
    (image,) = images(data)
    kinds = [(need.name, need.kind == NeedKind.DELAYED) for need in image.needed]
    return Table(
        [name for name, delayed in kinds if not delayed],
        [name for name, delayed in kinds if delayed],
        [(i.library, i.name.decode(), "" if i.name else str(i.ordinal)) for i in image.symbols.imports()],
        sorted((e.forward, e.name.decode(), str(e.ordinal)) for e in image.symbols.exports()),
    )


def of_readobj(program: str, path: Path) -> Table:
    output = subprocess.run([program, "--coff-imports", "--coff-exports", str(path)], check=True, capture_output=True, text=True).stdout
    table = Table([], [], [], [])
    for kind, values in blocks(output):
        if kind == "Export" and values.get("RVA") == "0x0":
            continue  # a number between two that are taken
        if kind == "Export":
            table.exports.append((values.get("ForwardedTo", ""), values.get("Name", ""), values["Ordinal"]))
        else:
            (table.delayed if kind == "DelayImport" else table.needed).append(values["Name"])
            table.imports.extend((values["Name"], *symbol) for symbol in symbols(values.get("Symbol", "")))
    return Table(table.needed, table.delayed, table.imports, sorted(table.exports))


def blocks(output: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what llvm-readobj prints in braces; of a key that comes more than once all values, a line each."""
    kind, values = "", dict[str, str]()
    for line in output.splitlines():
        if line.endswith(" {") and not line.startswith(" "):
            kind, values = line[:-2], {}
        elif line == "}":
            yield kind, values
        elif ": " in line and kind:
            key, _, value = line.strip().partition(": ")
            values[key] = f"{values[key]}\n{value}" if key in values else value


def symbols(lines: str) -> Iterator[tuple[str, str]]:
    for line in filter(None, lines.split("\n")):
        name, _, number = line.rpartition(" ")
        yield name, "" if name else number.strip("()")


def of_pefile(data: bytes) -> Table:
    pefile = pytest.importorskip("pefile")
    file = pefile.PE(data=data)
    needed, delayed = ([*getattr(file, f"DIRECTORY_ENTRY_{kind}", ())] for kind in ("IMPORT", "DELAY_IMPORT"))
    exports = getattr(file, "DIRECTORY_ENTRY_EXPORT", None)
    return Table(
        [entry.dll.decode() for entry in needed],
        [entry.dll.decode() for entry in delayed],
        [
            (entry.dll.decode(), "" if i.import_by_ordinal else i.name.decode(), str(i.ordinal) if i.import_by_ordinal else "")
            for entry in (*needed, *delayed)
            for i in entry.imports
        ],
        sorted(((e.forwarder or b"").decode(), (e.name or b"").decode(), str(e.ordinal)) for e in (exports.symbols if exports else ())),
    )


def of_lief(data: bytes) -> Table:
    lief = pytest.importorskip("lief")
    file = lief.PE.parse(list(data))
    tables = [*file.imports], [*file.delay_imports]
    return Table(
        [str(table.name) for table in tables[0]],
        [str(table.name) for table in tables[1]],
        [
            (str(table.name), "" if entry.is_ordinal else str(entry.name), str(entry.ordinal) if entry.is_ordinal else "")
            for kind in tables
            for table in kind
            for entry in table.entries
        ],
        [],
    )


@pytest.mark.parametrize("name", FILES)
def test_llvm_readobj_lists_the_same(name: str, oracle: Callable[..., str]) -> None:
    assert of_readobj(oracle(*READOBJ), BIN / name) == ours((BIN / name).read_bytes())


@pytest.mark.parametrize("name", FILES)
def test_pefile_and_lief_list_the_same(name: str) -> None:
    data = (BIN / name).read_bytes()
    mine = ours(data)
    assert of_pefile(data) == mine
    assert of_lief(data) == mine._replace(exports=[])


@pytest.mark.parametrize("name", MADE)
def test_pefile_or_lief_lists_the_same_of_rare_shapes(name: str) -> None:
    data = MADE[name].build()
    if name == "old delayed imports":  # LIEF takes their addresses for offsets
        assert of_pefile(data) == ours(data)
    else:
        assert of_lief(data) == ours(data)._replace(exports=[])


@pytest.mark.parametrize("name", [*FILES, *MADE])
def test_the_second_reading_does_not_contradict_ours(name: str) -> None:
    data = MADE[name].build() if name in MADE else (BIN / name).read_bytes()
    assert verify.differences(images(data), data) == ()


@pytest.mark.parametrize(
    ("name", "old", "new", "field"),
    [
        ("x64/libb.dll", b"liba.dll\0", b"libz.dll\0", "needed"),
        ("x64/delay.dll", b"liba.dll\0", b"libz.dll\0", "delayed"),
        ("x64/libb.dll", b"libb.dll\0", b"libz.dll\0", "identity"),
        ("x64/forward.dll", b"liba.liba_add\0", b"libz.liba_add\0", "forwarders"),
    ],
)
def test_a_changed_name_is_noticed(name: str, old: bytes, new: bytes, field: str) -> None:
    data = (BIN / name).read_bytes()
    changed = data.replace(old, new)
    assert changed != data
    (line,) = verify.differences(images(data), changed)
    assert f": {field}: " in line


def test_llvm_readobj_notices_a_changed_name(oracle: Callable[..., str], tmp_path: Path) -> None:
    data = (BIN / "x64/libb.dll").read_bytes()
    (tmp_path / "changed").write_bytes(data.replace(b"liba.dll\0", b"libz.dll\0"))
    found = of_readobj(oracle(*READOBJ), tmp_path / "changed")
    assert found != ours(data)
    assert found.needed == ["libz.dll"]


def test_changed_flags_and_a_missing_file_are_noticed() -> None:
    before, after = (Draft().configuration(flags).build() for flags in (0x800, 0x1000))
    assert verify.differences(images(before), after) == ("amd64: dependent_load_flags: 2048, second reading 4096",)
    assert verify.differences((), before) == ("images: [], second reading ['amd64']",)


def test_what_pefile_refuses_is_read_by_lief_and_rubbish_by_none() -> None:
    strange = Draft().imports((b"a?b.dll", [b"f"])).build()
    assert verify.differences(images(strange), strange) == ()
    assert verify.second_reading(b"MZ" + bytes(100)) is None
    assert verify.differences((), b"MZ" + bytes(100)) == ("no second parser can read the file",)


@pytest.mark.parametrize("machine", [AMD64, I386])
def test_the_tables_compared_are_not_empty(machine: int) -> None:
    data = Draft(machine == AMD64, machine).imports((b"a.dll", [b"f", 7])).exports(b"b.dll", [(b"g", 0)]).build()
    assert ours(data) == Table(["a.dll"], [], [("a.dll", "f", ""), ("a.dll", "", "7")], [("", "g", "1")])


def test_all_readers_agree_on_real_wheels(corpus: Path) -> None:
    wheels = sorted(corpus.glob("*-win*.whl"))
    if not wheels:
        pytest.skip("the corpus has no Windows wheel")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.lower().endswith((".dll", ".pyd", ".exe")):
                    data = archive.read(member)
                    place = (wheel.name, member)
                    assert verify.differences(images(data), data) == (), place
                    assert of_lief(data) == ours(data)._replace(exports=[]), place
