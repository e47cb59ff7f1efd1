"""A stand-in for dyld and the kernel: maps Mach-O files into an emulated processor, binds them, and calls their functions.

Written for the tests from <mach-o/loader.h>, <mach-o/fixup-chains.h> and dyld's documentation; shares no code with the package. It refuses
what the real ones refuse of the things that an editor can spoil: pages whose hashes differ, repeated libraries and search paths, missing
libraries and symbols, segments that overlap. It knows no initialisers, no thread-local variables, no Objective-C.
"""

import importlib
import posixpath
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from oracle import macho_signatures as signatures

CPUS = {"x86_64": 0x01000007, "arm64": 0x0100000C}
RETURN, STACK, HOST = 0x7000_0000, 0x7100_0000, 0x7200_0000
LOADS = {0xC: "", 0x80000018: "weak", 0x8000001F: "reexport", 0x80000023: "upward", 0x20: "lazy"}


class LoadError(Exception):
    """What dyld would print, or why the kernel would stop the process."""


def uleb(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def sleb(data: bytes, place: int) -> tuple[int, int]:
    start = place
    value, place = uleb(data, place)
    bits = 7 * (place - start)
    return (value - (1 << bits) if value >> (bits - 1) & 1 else value), place


def string(data: bytes, place: int) -> tuple[str, int]:
    end = data.index(b"\0", place)
    return data[place:end].decode(), end + 1


def chained_imports(table: bytes, count: int, form: int) -> Iterator[tuple[int, bool, int, int]]:
    """Ordinal, whether it may be absent, place of the name, addend: DYLD_CHAINED_IMPORT, _ADDEND and _ADDEND64."""
    for index in range(count):
        if form == 3:
            word, addend = struct.unpack_from("<Qq", table, 16 * index)
            ordinal, weak, name, special = word & 0xFFFF, word >> 16 & 1, word >> 32, 0xFFF0
        else:
            word, addend = struct.unpack_from("<Ii", table, 8 * index) if form == 2 else (*struct.unpack_from("<I", table, 4 * index), 0)
            ordinal, weak, name, special = word & 0xFF, word >> 8 & 1, word >> 9, 0xF0
        yield ordinal if ordinal < special else ordinal - (special + 16), bool(weak), name, addend


@dataclass
class Segment:
    name: str
    address: int
    memory: int
    offset: int
    size: int
    protection: int


@dataclass
class Loaded:
    path: str
    data: bytes
    base: int
    segments: list[Segment] = field(default_factory=list)
    libraries: list[tuple[str, str]] = field(default_factory=list)
    rpaths: list[str] = field(default_factory=list)
    tables: dict[str, bytes] = field(default_factory=dict)
    exports: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    """Address in the image, or ordinal and name of a re-export: (flags, value, name)."""
    bound: list["Loaded | None"] = field(default_factory=list)


class Machine:
    """One process of one architecture over a mapping from path to bytes.

    `host` are the symbols of the system's libraries and of Python; without, any name that no file has is one.
    """

    def __init__(self, unicorn: Any, arch: str, files: Mapping[str, bytes], host: tuple[str, ...] | None = ("dyld_stub_binder",)) -> None:
        self.files, self.arch, self.any_host = files, arch, host is None
        self.host = {f"_{name}" if name != "dyld_stub_binder" else name: HOST + 16 * index for index, name in enumerate(host or ())}
        self.images: dict[str, Loaded] = {}
        self.unicorn = unicorn
        if arch == "x86_64":
            self.cpu = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        else:
            self.cpu = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        for start in (RETURN, STACK, HOST):
            self.cpu.mem_map(start, 0x10000)

    # ------------------------------------------------------------ loading

    def load(self, path: str) -> Loaded:
        """Bring in a file and all that it needs, bind it, and return it."""
        image = self._bring_in(path, ())
        for one in list(self.images.values()):
            self._fix(one)
        for one in self.images.values():
            self._protect(one)
        return image

    def _slice(self, path: str) -> bytes:
        if path not in self.files:
            raise LoadError(f"no such file: {path}")
        data = self.files[path]
        for start, size in signatures.slices(data):
            part = data[start : start + size]
            if signatures.thin(part).cpu == CPUS[self.arch]:
                return part
        raise LoadError(f"{path}: no slice for {self.arch}")

    def _bring_in(self, path: str, chain: tuple[Loaded, ...]) -> Loaded:
        path = posixpath.normpath(path)
        if path in self.images:
            return self.images[path]
        data = self._slice(path)
        if found := signatures.faults(data, needed=self.arch == "arm64"):
            raise LoadError(f"{path}: killed: code signature: {found}")
        image = Loaded(path, data, 0x1_0000_0000 * (len(self.images) + 1))
        self.images[path] = image
        self._read(image)
        self._map(image)
        for name, kind in image.libraries:
            image.bound.append(self._library(name, kind, image, (image, *chain)))
        return image

    def _read(self, image: Loaded) -> None:
        file, identity = signatures.thin(image.data), False
        for number, _, raw in file.commands:
            words = struct.unpack_from("<4I", raw.ljust(16, b"\0"))
            if number == 0x19:
                address, memory, offset, size, _, protection = struct.unpack_from("<4Q2I", raw, 24)
                image.segments.append(Segment(raw[8:24].rstrip(b"\0").decode(), address, memory, offset, size, protection))
            elif number in LOADS:
                image.libraries.append((string(raw, words[2])[0], LOADS[number]))
            elif number == 0x8000001C:
                image.rpaths.append(string(raw, words[2])[0])
            elif number == 0xD:
                identity = True
            elif number in (0x22, 0x80000022):
                places = struct.unpack_from("<10I", raw, 8)
                for name, start, size in zip(("rebase", "bind", "weak", "lazy", "exports"), places[::2], places[1::2], strict=True):
                    image.tables[name] = image.data[start : start + size]
            elif number in (0x80000033, 0x80000034):
                image.tables["exports" if number == 0x80000033 else "chains"] = image.data[words[2] : words[2] + words[3]]
        self._judge(image, identity, file.kind)
        if trie := image.tables.get("exports"):
            image.exports = dict(self._walk_trie(trie, 0, ""))

    def _judge(self, image: Loaded, identity: bool, kind: int) -> None:
        names = [name for name, _ in image.libraries]
        if len(set(names)) != len(names):
            raise LoadError(f"{image.path}: duplicate linked dylib")
        if len(set(image.rpaths)) != len(image.rpaths):
            raise LoadError(f"{image.path}: duplicate LC_RPATH")
        if identity != (kind == 6):
            raise LoadError(f"{image.path}: MH_DYLIB and LC_ID_DYLIB go together")
        spans = sorted((one.address, one.address + one.memory, one.name) for one in image.segments)
        for (_, end, name), (start, _, after) in pairwise(spans):
            if end > start:
                raise LoadError(f"{image.path}: {name} and {after} overlap")

    def _walk_trie(self, trie: bytes, node: int, prefix: str) -> Iterator[tuple[str, tuple[int, int, str]]]:
        size, place = uleb(trie, node)
        if size:
            flags, inner = uleb(trie, place)
            value, inner = uleb(trie, inner)
            yield prefix, (flags, value, string(trie, inner)[0] if flags & 8 else "")
        place += size
        children, place = trie[place], place + 1
        for _ in range(children):
            edge, place = string(trie, place)
            child, place = uleb(trie, place)
            yield from self._walk_trie(trie, child, prefix + edge)

    def _map(self, image: Loaded) -> None:
        for one in image.segments:
            if one.size > one.memory:
                raise LoadError(f"{image.path}: {one.name} is larger in the file")
            size = -(-one.memory // 0x1000) * 0x1000
            if size:
                self.cpu.mem_map(image.base + one.address, size)
                self.cpu.mem_write(image.base + one.address, image.data[one.offset : one.offset + one.size])

    def _protect(self, image: Loaded) -> None:
        for one in image.segments:
            if one.memory:
                self.cpu.mem_protect(image.base + one.address, -(-one.memory // 0x1000) * 0x1000, one.protection & 7)

    def _library(self, name: str, kind: str, image: Loaded, chain: tuple[Loaded, ...]) -> Loaded | None:
        if name.startswith(("/usr/lib/", "/System/")):
            return None
        tried = list(self._places(name, image, chain))
        for path in tried:
            if posixpath.normpath(path) in self.files:
                return self._bring_in(path, chain)
        if kind == "weak":
            return Loaded(name, b"", 0)
        raise LoadError(f"Library not loaded: {name}, needed by {image.path}, tried {tried}")

    def _places(self, name: str, image: Loaded, chain: tuple[Loaded, ...]) -> Iterator[str]:
        if name.startswith("@rpath/"):
            for one in chain:
                for rpath in one.rpaths:
                    yield from self._places(posixpath.join(rpath, name.removeprefix("@rpath/")), one, ())
        elif name.startswith("@loader_path"):
            yield posixpath.dirname(image.path) + name.removeprefix("@loader_path")
        else:
            yield name

    # ------------------------------------------------------------ binding

    def find(self, image: Loaded, symbol: str) -> int | None:
        """The address of what an image exports, itself or through its re-exports."""
        if symbol in image.exports:
            flags, value, name = image.exports[symbol]
            if flags & 8:
                return self._by_ordinal(image, value, name or symbol, weak=False)
            return value if flags & 3 == 2 else image.base + value
        for (_, kind), library in zip(image.libraries, image.bound, strict=False):
            if kind == "reexport" and library and (address := self.find(library, symbol)) is not None:
                return address
        return None

    def _of_host(self, symbol: str) -> int | None:
        return self.host.setdefault(symbol, HOST) if self.any_host else self.host.get(symbol)

    def _by_ordinal(self, image: Loaded, ordinal: int, symbol: str, *, weak: bool) -> int:
        address: int | None = None
        if ordinal == 0:
            address = self.find(image, symbol)
        elif ordinal in (-2, -3):
            flat = [found for one in self.images.values() if (found := self.find(one, symbol)) is not None]
            address = flat[0] if flat else self._of_host(symbol)
        elif 0 < ordinal <= len(image.bound):
            library = image.bound[ordinal - 1]
            address = self._of_host(symbol) if library is None else self.find(library, symbol)
            weak = weak or (library is not None and not library.data)
        if address is None and not weak:
            name = image.libraries[ordinal - 1][0] if 0 < ordinal <= len(image.libraries) else f"ordinal {ordinal}"
            raise LoadError(f"Symbol not found: {symbol}, needed by {image.path}, expected in {name}")
        return address or 0

    def _write(self, image: Loaded, place: int, value: int) -> None:
        self.cpu.mem_write(image.base + place, struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF))

    def _read_word(self, image: Loaded, place: int) -> int:
        return int.from_bytes(self.cpu.mem_read(image.base + place, 8), "little")

    def _fix(self, image: Loaded) -> None:
        if "chains" in image.tables:
            self._chains(image, image.tables["chains"])
            return
        for place in self._rebases(image, image.tables.get("rebase", b"")):
            self._write(image, place, self._read_word(image, place) + image.base)
        for table in ("bind", "lazy", "weak"):
            for place, ordinal, symbol, addend, weak in self._binds(image, image.tables.get(table, b""), table):
                address = self._by_ordinal(image, -3 if table == "weak" else ordinal, symbol, weak=weak)
                self._write(image, place, address + addend if address else 0)

    def _rebases(self, image: Loaded, table: bytes) -> Iterator[int]:
        place = address = 0
        while place < len(table):
            code, low = table[place] & 0xF0, table[place] & 0xF
            place += 1
            count = skip = 0
            if code == 0x00:
                return
            if code == 0x20:
                more, place = uleb(table, place)
                address = image.segments[low].address + more
            elif code == 0x30:
                more, place = uleb(table, place)
                address += more
            elif code == 0x40:
                address += low * 8
            elif code == 0x50:
                count = low
            elif code == 0x60:
                count, place = uleb(table, place)
            elif code == 0x70:
                count = 1
                skip, place = uleb(table, place)
            elif code == 0x80:
                count, place = uleb(table, place)
                skip, place = uleb(table, place)
            for _ in range(count):
                yield address
                address += 8 + skip

    def _binds(self, image: Loaded, table: bytes, kind: str) -> Iterator[tuple[int, int, str, int, bool]]:
        place = address = ordinal = addend = 0
        symbol, weak = "", False
        while place < len(table):
            code, low = table[place] & 0xF0, table[place] & 0xF
            place += 1
            count, skip = 0, 0
            if code == 0x00 and kind != "lazy":
                return
            if code == 0x10:
                ordinal = low
            elif code == 0x20:
                ordinal, place = uleb(table, place)
            elif code == 0x30:
                ordinal = low - 16 if low else 0
            elif code == 0x40:
                weak = bool(low & 1)
                symbol, place = string(table, place)
            elif code == 0x60:
                addend, place = sleb(table, place)
            elif code == 0x70:
                more, place = uleb(table, place)
                address = image.segments[low].address + more
            elif code == 0x80:
                more, place = uleb(table, place)
                address = (address + more) & 0xFFFFFFFFFFFFFFFF
            elif code == 0x90:
                count = 1
            elif code == 0xA0:
                count = 1
                skip, place = uleb(table, place)
            elif code == 0xB0:
                count, skip = 1, low * 8
            elif code == 0xC0:
                count, place = uleb(table, place)
                skip, place = uleb(table, place)
            for _ in range(count):
                yield address, ordinal, symbol, addend, weak
                address = (address + 8 + skip) & 0xFFFFFFFFFFFFFFFF

    def _chains(self, image: Loaded, raw: bytes) -> None:
        _, starts, imports, names, count, form, _ = struct.unpack_from("<7I", raw)
        targets = []
        for ordinal, weak, name, addend in chained_imports(raw[imports:], count, form):
            address = self._by_ordinal(image, ordinal, string(raw, names + name)[0], weak=weak)
            targets.append(address + addend if address else 0)
        (segments,) = struct.unpack_from("<I", raw, starts)
        if segments != len(image.segments):
            raise LoadError(f"{image.path}: chained fixups: seg_count does not match number of segments")
        for index, one in enumerate(image.segments):
            (start,) = struct.unpack_from("<I", raw, starts + 4 + 4 * index)
            if start:
                self._segment_chains(image, one, raw[starts + start :], targets)

    def _segment_chains(self, image: Loaded, one: Segment, info: bytes, targets: list[int]) -> None:
        _, page, form, offset, _, pages = struct.unpack_from("<IHHQIH", info)
        if form not in (2, 6) or offset != one.address - image.segments[0].address:
            raise LoadError(f"{image.path}: chained fixups: segment_offset of {one.name}")
        for number, first in enumerate(struct.unpack_from(f"<{pages}H", info, 22)):
            place, step = one.address + number * page + first, 0 if first == 0xFFFF else 1
            while step:
                word = self._read_word(image, place)
                step = word >> 51 & 0xFFF
                if word >> 63:
                    target = targets[word & 0xFFFFFF]
                    self._write(image, place, target + (word >> 24 & 0xFF) if target else 0)
                else:
                    self._write(image, place, (word & 0xFFFFFFFFF) + image.base)
                place += 4 * step

    # ------------------------------------------------------------ running

    def call(self, image: Loaded, function: str, *arguments: int) -> int:
        """Call an exported function with integers; return what it returns, as a signed 32-bit integer."""
        address = self.find(image, "_" + function)
        if address is None:
            raise LoadError(f"{image.path} exports no {function}")
        top = STACK + 0x8000
        regs: Any = importlib.import_module("unicorn.x86_const" if self.arch == "x86_64" else "unicorn.arm64_const")
        if self.arch == "x86_64":
            inputs, result = (regs.UC_X86_REG_RDI, regs.UC_X86_REG_RSI, regs.UC_X86_REG_RDX), regs.UC_X86_REG_RAX
            self.cpu.mem_write(top - 8, struct.pack("<Q", RETURN))
            self.cpu.reg_write(regs.UC_X86_REG_RSP, top - 8)
        else:
            inputs, result = (regs.UC_ARM64_REG_X0, regs.UC_ARM64_REG_X1, regs.UC_ARM64_REG_X2), regs.UC_ARM64_REG_X0
            self.cpu.reg_write(regs.UC_ARM64_REG_SP, top)
            self.cpu.reg_write(regs.UC_ARM64_REG_X30, RETURN)
        for register, value in zip(inputs, arguments, strict=False):
            self.cpu.reg_write(register, value)
        try:
            self.cpu.emu_start(address, RETURN, count=100_000)
        except self.unicorn.UcError as error:
            raise LoadError(f"{image.path}: {function}: {error}") from error
        return int.from_bytes((self.cpu.reg_read(result) & 0xFFFFFFFF).to_bytes(4, "little"), "little", signed=True)
