"""Other readers of Mach-O files agree with ours: macholib, LIEF, LLVM's tools, and page hashes computed here.

On the fixtures always; on every macOS wheel of a folder given with --corpus. Each reader is shown a changed copy too and must object.
"""

import hashlib
import re
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conftest import FIXTURES
from relocator.backends.macos.read import arch_name, read, recognises
from relocator.backends.macos.verify import differences
from relocator.errors import UnreadableBinary
from relocator.model import Image, NeedKind
from relocator.native import MachOFacts
from relocator.symbols import Export, Import

BIN = FIXTURES / "bin" / "macho"
FILES = sorted(path.relative_to(BIN).as_posix() for path in BIN.rglob("*") if path.is_file() and path.parent.name != "other")

Version = tuple[int, int, int]


class Links(NamedTuple):
    """What the load commands of a slice say."""

    identity: tuple[str, Version, Version] | None
    """Name, current and compatibility version."""
    needed: tuple[tuple[str, Version, Version, str], ...]
    rpaths: tuple[str, ...]
    minimum: tuple[int, ...]
    sdk: tuple[int, ...]


Imports = frozenset[tuple[str, str, bool]]
"""Name, the library's ordinal or special name, whether it may be missing."""
Exports = frozenset[tuple[str, bool]]
"""Name, whether it is a weak definition."""


class Slice(NamedTuple):
    """One architecture of a file: our reading, and its bytes."""

    image: Image
    data: bytes

    @property
    def native(self) -> MachOFacts:
        assert isinstance(self.image.native, MachOFacts)
        return self.image.native


def slices(data: bytes) -> list[Slice]:
    found = []
    for image in read(memoryview(data), verify_signatures=True):
        native = image.native
        assert isinstance(native, MachOFacts)
        found.append(Slice(image, data[native.slice_offset : native.slice_offset + native.slice_size]))
    return found


def unpacked(packed: int) -> Version:
    return packed >> 16, packed >> 8 & 0xFF, packed & 0xFF


def trimmed(version: tuple[int, ...]) -> tuple[int, ...]:
    """X.Y.0 as (X, Y), 0.0.0 as ()."""
    padded = (*version, 0, 0)[:3]
    return () if not any(padded) else padded if padded[2] else padded[:2]


# ---------------------------------------------------------------- ours


def our_links(part: Slice) -> Links:
    native, image = part.native, part.image
    identity = native.identity and (
        native.identity.name,
        unpacked(native.identity.current_version),
        unpacked(native.identity.compatibility_version),
    )
    needed = tuple(
        (dylib.name, unpacked(dylib.current_version), unpacked(dylib.compatibility_version), need.kind.value)
        for dylib, need in zip(native.dylibs, image.needed, strict=True)
    )
    return Links(identity, needed, tuple(path.text for path in image.search_paths), image.minimum_os, native.sdk)


def our_imports(part: Slice) -> Imports:
    """What is bound; names that are only in the symbol table are not."""
    return frozenset((name_of(one), one.library, one.weak) for one in part.image.symbols.imports() if one.used)


def our_exports(part: Slice) -> Exports:
    return frozenset((name_of(one), one.weak) for one in part.image.symbols.exports())


def name_of(one: Import | Export) -> str:
    return one.name.decode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- LIEF

KINDS = {
    "LOAD_DYLIB": NeedKind.REQUIRED,
    "LOAD_WEAK_DYLIB": NeedKind.WEAK,
    "REEXPORT_DYLIB": NeedKind.REEXPORT,
    "LOAD_UPWARD_DYLIB": NeedKind.UPWARD,
    "LAZY_LOAD_DYLIB": NeedKind.LAZY,
}
SPECIAL = {0: "<self>", -1: "<main>", -2: "<flat>", -3: "<weak>"}


class LiefReading(NamedTuple):
    links: Links
    imports: Imports
    exports: Exports
    signed: bool
    arch: str


def by_lief(part: Slice) -> LiefReading:
    lief = pytest.importorskip("lief", reason="lief is not installed")
    lief.logging.disable()
    fat = lief.MachO.parse(list(part.data))  # what it holds dies with it
    binary = fat.at(0)
    arch = arch_name(int(binary.header.cpu_type.value) & 0xFFFFFFFF, binary.header.cpu_subtype)
    return LiefReading(_lief_links(binary), _lief_imports(lief, binary, part), _lief_exports(lief, binary), binary.has_code_signature, arch)


def _lief_links(binary: Any) -> Links:
    kinds = [(one, str(one.command).rpartition(".")[2]) for one in binary.libraries]
    rows = [(one.name, tuple(one.current_version), tuple(one.compatibility_version), kind) for one, kind in kinds]
    identity = next(((name, current, compatible) for name, current, compatible, kind in rows if kind == "ID_DYLIB"), None)
    minimum: tuple[int, ...] = ()
    sdk: tuple[int, ...] = ()
    if binary.has_build_version:
        minimum, sdk = binary.build_version.minos, binary.build_version.sdk
    elif binary.has_version_min:
        minimum, sdk = binary.version_min.version, binary.version_min.sdk
    needed = tuple((name, current, compatible, KINDS[kind].value) for name, current, compatible, kind in rows if kind in KINDS)
    return Links(identity, needed, tuple(one.path for one in binary.rpaths), trimmed(tuple(minimum)), trimmed(tuple(sdk)))


def _lief_imports(lief: Any, binary: Any, part: Slice) -> Imports:
    """A name is weak only when every reference to it is. Weak coalescing names no library; ours adds it where nothing else binds."""
    libraries = dict(enumerate((dylib.name for dylib in part.native.dylibs), 1))
    coalescing = lief.MachO.DyldBindingInfo.CLASS.WEAK
    found: dict[tuple[str, str], bool] = {}
    coalesced: set[str] = set()
    for one in binary.bindings:
        if not one.has_symbol:
            continue
        name = one.symbol.name
        if isinstance(one, lief.MachO.DyldBindingInfo) and one.binding_class == coalescing:
            coalesced.add(name)
            continue
        key = (name, libraries.get(one.library_ordinal, SPECIAL.get(one.library_ordinal, "")))
        found[key] = found.get(key, True) and bool(one.weak_import)
    for name in coalesced - {name for name, _ in found}:
        found[name, "<weak>"] = False
    return frozenset((name, library, weak) for (name, library), weak in found.items())


def _lief_exports(lief: Any, binary: Any) -> Exports:
    weak = lief.MachO.ExportInfo.FLAGS.WEAK_DEFINITION
    return frozenset((one.name, one.export_info.has(weak)) for one in binary.exported_symbols if one.has_export_info)


# ---------------------------------------------------------------- LLVM


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr, done.stderr
    return done.stdout


def llvm_links(objdump: str, path: Path) -> Links:
    """Out of `llvm-objdump --private-headers`, which prints every load command."""
    identity, needed, rpaths = None, [], []
    minimum: tuple[int, ...] = ()
    sdk: tuple[int, ...] = ()
    for block in re.split(r"^Load command \d+$", run(objdump, "--macho", "--private-headers", str(path)), flags=re.M)[1:]:
        fields = {name: value.strip() for name, value in re.findall(r"^ *([a-z ]+?) (?=[\d@/.\w])([^\n]*)$", block, re.M)}
        command = re.search(r"^ *cmd (\S+)", block, re.M)
        kind = command[1] if command else ""
        text = re.search(r"^ *(?:name|path) (.*) \(offset \d+\)$", block, re.M)
        versions = [tuple(map(int, v.split("."))) for v in re.findall(r"(?:current|compatibility) version ([\d.]+)$", block, re.M)]
        if kind == "LC_ID_DYLIB" and text:
            identity = (text[1], versions[0], versions[1])
        elif text and kind.endswith("_DYLIB"):
            needed.append((text[1], versions[0], versions[1], KINDS[kind.removeprefix("LC_")].value))
        elif text and kind == "LC_RPATH":
            rpaths.append(text[1])
        elif kind == "LC_BUILD_VERSION" or kind.startswith("LC_VERSION_MIN_"):
            numbers = {name: fields.get(name, "") for name in ("minos", "version", "sdk")}
            minimum = dotted(numbers["minos"] or numbers["version"])
            sdk = dotted(numbers["sdk"])
    return Links(identity, tuple(needed), tuple(rpaths), minimum, sdk)  # type: ignore[arg-type]


def dotted(written: str) -> tuple[int, ...]:
    return trimmed(tuple(map(int, written.split(".")))) if re.fullmatch(r"[\d.]+", written) else ()


Bound = dict[tuple[str, str], bool | None]
"""(name, short name of the library) -> may be missing; None when LLVM does not say."""


def llvm_imports(objdump: str, path: Path, part: Slice) -> Bound:
    """What LLVM prints of bindings; it derives short names from those of the libraries."""
    if part.native.chained_fixups:
        text = run(objdump, "--macho", "--chained-fixups", str(path))
        rows = re.findall(r"lib_ordinal = -?\d+ \((.*)\)\n +weak_import = (\d)\n(?: +addend.*\n)? +name_offset = \d+ \((.*)\)", text)
        return strongest((name, leaf(library), weak == "1") for library, weak, name in rows)
    return strongest(_opcode_rows(run(objdump, "--macho", "--bind", "--lazy-bind", str(path))))


def _opcode_rows(text: str) -> Iterator[tuple[str, str, bool | None]]:
    lazy = False
    for line in text.splitlines():
        columns = line.split()
        if line.endswith("ind table:"):
            lazy = line.startswith("Lazy")
        elif len(columns) >= 5 and columns[0] != "segment":
            weak = columns[-1] == "(weak_import)"
            yield columns[-2] if weak else columns[-1], leaf(columns[3 if lazy else 5]), None if lazy else weak


def strongest(rows: Iterable[tuple[str, str, bool | None]]) -> Bound:
    """One entry per name and library; what any reference needs is needed."""
    found: Bound = {}
    for name, library, weak in rows:
        seen = {weak, found.get((name, library), weak)}
        found[name, library] = False if False in seen else None if None in seen else True
    return found


def leaf(library: str) -> str:
    return library.rpartition("/")[2].partition(".")[0]


SHORT = {"<flat>": "flat-namespace", "<self>": "this-image", "<main>": "main-executable", "<weak>": "weak"}


def llvm_exports(objdump: str, path: Path) -> Exports:
    text = run(objdump, "--macho", "--exports-trie", str(path)).partition("Exports trie:")[2]
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        flags = re.search(r" \[([^\]]*)\]", line)
        found.add((words[1], bool(flags and "weak_def" in flags[1])))
    return frozenset(found)


def nm_undefined(nm: str, path: Path) -> dict[str, bool]:
    """Undefined external names of the symbol table; True for a weak reference, and for a reference to a weak definition too."""
    text = run(nm, "-m", "--undefined-only", str(path))
    return {name: bool(weak) for weak, name in re.findall(r"\(undefined[^)]*\) (weak )?external (\S+)", text)}


# ---------------------------------------------------------------- signatures, computed here


def bad_pages(data: bytes) -> list[int] | None:
    """The pages of a thin file whose hashes in any SHA-256 or SHA-1 CodeDirectory differ; None without a signature."""
    order = "<" if data[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe") else ">"
    count = struct.unpack_from(order + "I", data, 16)[0]
    offset = 32 if data[0] in (0xCF, 0xFE) and b"\xcf" in (data[:1], data[3:4]) else 28
    for _ in range(count):
        command, size, at, length = struct.unpack_from(order + "4I", data, offset)
        if command == 0x1D:
            return sorted(page for page in _bad_in(data, data[at : at + length]))
        offset += size
    return None


def _bad_in(data: bytes, blob: bytes) -> set[int]:
    magic, _, count = struct.unpack_from(">3I", blob)
    assert magic == 0xFADE0CC0
    bad: set[int] = set()
    for index in range(count):
        slot, start = struct.unpack_from(">2I", blob, 12 + 8 * index)
        if slot == 0 or 0x1000 <= slot < 0x1005:
            hashes, slots, limit = struct.unpack_from(">I8xII", blob[start:], 16)[0], *struct.unpack_from(">2I", blob, start + 28)
            size, kind, _, bits = struct.unpack_from(">4B", blob, start + 36)
            page = 1 << bits
            for number in range(slots):
                covered = data[number * page : min((number + 1) * page, limit)]
                digest = {1: hashlib.sha1, 2: hashlib.sha256}[kind](covered).digest()[:size]
                if digest != blob[start + hashes + number * size :][:size]:
                    bad.add(number)
    return bad


# ---------------------------------------------------------------- the tests


def samples() -> list[Any]:
    return [pytest.param((BIN / name).read_bytes(), id=name) for name in FILES]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Slice], Path]:
    def write(part: Slice) -> Path:
        path = tmp_path / f"{part.image.arch}.dylib"
        path.write_bytes(part.data)
        return path

    return write


@pytest.mark.parametrize("data", samples())
def test_macholib_agrees_about_names(data: bytes) -> None:
    assert differences(read(memoryview(data)), data) == ()


@pytest.mark.parametrize("data", samples())
def test_lief_agrees(data: bytes) -> None:
    for part in slices(data):
        assert by_lief(part) == as_lief_says_it(part)


def as_lief_says_it(part: Slice) -> LiefReading:
    return LiefReading(our_links(part), our_imports(part), our_exports(part), part.native.signature is not None, part.image.arch)


@pytest.mark.parametrize("data", samples())
def test_llvm_agrees(data: bytes, oracle: Callable[..., str], written: Callable[[Slice], Path]) -> None:
    objdump = oracle("llvm-objdump-22", "llvm-objdump")
    nm = oracle("llvm-nm-22", "llvm-nm")
    for part in slices(data):
        compare_with_llvm(objdump, nm, part, written(part))


def compare_with_llvm(objdump: str, nm: str, part: Slice, path: Path) -> None:
    assert llvm_links(objdump, path) == our_links(part)
    assert llvm_exports(objdump, path) == our_exports(part)
    theirs = llvm_imports(objdump, path, part)
    ours = strongest((name, SHORT.get(library) or leaf(library), weak) for name, library, weak in our_imports(part))
    if not part.native.chained_fixups:  # the table of weak coalescing names no library
        ours = {key: weak for key, weak in ours.items() if key[1] != "weak"}
    assert theirs == {key: weak if theirs.get(key) is not None else None for key, weak in ours.items()}
    weakness: dict[str, bool] = {}
    for one in part.image.symbols.imports():
        weakness[name_of(one)] = weakness.get(name_of(one), True) and one.weak
    undefined = nm_undefined(nm, path)
    assert undefined.keys() <= weakness.keys()
    assert not [name for name, weak in undefined.items() if weakness[name] and not weak]


@pytest.mark.parametrize("data", samples())
def test_page_hashes_computed_here_agree(data: bytes) -> None:
    for part in slices(data):
        mine = bad_pages(part.data)
        signature = part.native.signature
        assert (mine is None) == (signature is None)
        assert mine is None or signature is None or (tuple(mine), "") == (signature.bad_pages, signature.problem)


def test_a_changed_name_is_noticed_by_every_reader(oracle: Callable[..., str], written: Callable[[Slice], Path]) -> None:
    data = (BIN / "x86_64/libb.dylib").read_bytes()
    (part,) = slices(data)
    changed = part._replace(data=data.replace(b"@rpath/liba.dylib", b"@rpath/lizz.dylib").replace(b"_libb_weak", b"_libb_week"))
    assert changed.data != data
    assert differences([part.image], changed.data)
    assert by_lief(changed).links != our_links(part)
    assert by_lief(changed).exports != our_exports(part)
    path = written(changed)
    objdump = oracle("llvm-objdump-22", "llvm-objdump")
    assert llvm_links(objdump, path) != our_links(part)
    assert bad_pages(changed.data) not in (None, [])


@pytest.mark.parametrize("old", [b"_liba_add\0", b"_liba_add"])
def test_a_changed_import_is_noticed_by_every_reader(old: bytes, oracle: Callable[..., str], written: Callable[[Slice], Path]) -> None:
    (part,) = slices((BIN / "x86_64/libb.dylib").read_bytes())
    changed = part._replace(data=part.data.replace(old, old.replace(b"add", b"dad")))
    assert changed.data != part.data
    assert by_lief(changed).imports != our_imports(part)
    with pytest.raises(AssertionError):
        compare_with_llvm(oracle("llvm-objdump-22", "llvm-objdump"), oracle("llvm-nm-22", "llvm-nm"), part, written(changed))


def binaries_of(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            with archive.open(info) as stream:
                head = stream.read(64)
            if recognises(head):
                yield info.filename, archive.read(info)


def test_all_readers_agree_on_real_wheels(corpus: Path, oracle: Callable[..., str], written: Callable[[Slice], Path]) -> None:
    objdump, nm = oracle("llvm-objdump-22", "llvm-objdump"), oracle("llvm-nm-22", "llvm-nm")
    wheels = sorted(corpus.glob("*macosx*.whl"))
    if not wheels:
        pytest.skip("the corpus has no macOS wheel")
    for wheel in wheels:
        for member, data in binaries_of(wheel):
            try:
                parts = slices(data)
            except UnreadableBinary as error:
                pytest.fail(f"{wheel.name}: {member}: {error}")
            if not parts:  # debug symbols and objects, which no loader maps
                continue
            assert differences([part.image for part in parts], data) == (), (wheel.name, member)
            for part in parts:
                place = (wheel.name, member, part.image.arch)
                theirs, ours = by_lief(part), as_lief_says_it(part)
                assert theirs.exports <= ours.exports, place  # it gives up in large tries; LLVM, below, does not
                assert theirs._replace(exports=ours.exports) == ours, place
                compare_with_llvm(objdump, nm, part, written(part))
                mine, signature = bad_pages(part.data), part.native.signature
                assert (mine is None) == (signature is None), place
                assert signature is None or (signature.bad_pages, signature.problem) == ((), ""), place
