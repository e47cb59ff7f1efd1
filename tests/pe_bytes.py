"""A tiny PE writer for what no linker at hand writes: old tables, rare fields, libraries of any shape for the loader to find."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

I386, AMD64, ARM64 = 0x14C, 0x8664, 0xAA64
HEADERS, SECTION = 0x400, 0x1000
BASES = {True: 0x180000000, False: 0x10000000}
"""Image base by PE32+."""

Names = Sequence[bytes | int]
"""Imported by name, or by ordinal."""


@dataclass
class Draft:
    """One file with one section, which starts at address 0x1000 and at file offset 0x400."""

    plus: bool = True
    machine: int = AMD64
    characteristics: int = 0x2022
    dll_characteristics: int = 0x160
    subsystem: tuple[int, int, int] = (2, 6, 0)
    alignment: int = 0x1000
    body: bytearray = field(default_factory=bytearray)
    directories: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def here(self) -> int:
        """The address of what is added next."""
        return SECTION + len(self.body)

    def add(self, data: bytes) -> int:
        """Put bytes into the section and return their address."""
        self.body += bytes(-len(self.body) % 8)
        place = self.here
        self.body += data
        return place

    def string(self, text: bytes) -> int:
        return self.add(text + b"\0")

    def thunks(self, names: Names, base: int = 0) -> int:
        """An import lookup table."""
        code, flag = ("Q", 1 << 63) if self.plus else ("I", 1 << 31)
        entries = [flag | name if isinstance(name, int) else self.add(b"\0\0" + name + b"\0") + base for name in names]
        return self.add(struct.pack(f"<{len(entries) + 1}{code}", *entries, 0))

    def imports(self, *libraries: tuple[bytes, Names], lookup: bool = True) -> "Draft":
        rows = []
        for library, names in libraries:
            table = self.thunks(names) if lookup else 0
            rows.append(struct.pack("<5I", table, 0, 0, self.string(library), self.thunks(names)))
        self.directories[1] = self.add(b"".join(rows) + bytes(20)), 20 * len(rows) + 20
        return self

    def delayed(self, *libraries: tuple[bytes, Names], by_rva: bool = True) -> "Draft":
        base = 0 if by_rva else BASES[self.plus]
        rows = []
        for library, names in libraries:
            table, name = self.thunks(names, base), self.string(library)
            rows.append(struct.pack("<8I", int(by_rva), name + base, 0, table + base, table + base, 0, 0, 0))
        self.directories[13] = self.add(b"".join(rows) + bytes(32)), 32 * len(rows) + 32
        return self

    def exports(self, name: bytes, symbols: Sequence[tuple[bytes, int | bytes]], base: int = 1, functions: int | None = None) -> "Draft":
        """Exported names, sorted by the caller, each with its place in the address table, or with what it forwards to."""
        label = self.string(name) if name else 0
        start = self.add(bytes(40))
        places = [(b"", 0)] * (len(symbols) if functions is None else functions)
        targets = [self.string(to) if isinstance(to, bytes) else 0x1000 for _, to in symbols]
        indexes = [to if isinstance(to, int) else number for number, (_, to) in enumerate(symbols)]
        for index, target in zip(indexes, targets, strict=True):
            if index < len(places):
                places[index] = (b"", target)
        addresses = self.add(struct.pack(f"<{len(places)}I", *[target for _, target in places]))
        names = self.add(struct.pack(f"<{len(symbols)}I", *[self.string(symbol) for symbol, _ in symbols]))
        ordinals = self.add(struct.pack(f"<{len(symbols)}H", *indexes))
        raw = struct.pack("<12x7I", label, base, len(places), len(symbols), addresses, names, ordinals)
        self.body[start - SECTION : start - SECTION + 40] = raw
        self.directories[0] = start, self.here - start
        return self

    def configuration(self, flags: int = 0, guard: int = 0, hybrid: int = 0, size: int = 0xD0) -> "Draft":
        """A load configuration with the fields that we read."""
        raw = bytearray(0x140)
        struct.pack_into("<I", raw, 0, size)
        struct.pack_into("<H", raw, 0x4E if self.plus else 0x36, flags)
        struct.pack_into("<I", raw, 0x90 if self.plus else 0x58, guard)
        struct.pack_into("<Q" if self.plus else "<I", raw, 0xC8 if self.plus else 0x7C, hybrid)
        self.directories[10] = self.add(bytes(raw)), 0x40
        return self

    def managed(self, flags: int = 1) -> "Draft":
        """A header of .NET's."""
        self.directories[14] = self.add(struct.pack("<I2H2I2I", 72, 2, 5, 0, 0, flags, 0) + bytes(48)), 72
        return self

    def code_view(self, pdb: bytes) -> "Draft":
        record = b"RSDS" + bytes(range(16)) + struct.pack("<I", 0x1A) + pdb + b"\0"
        place = self.add(record)
        entry = struct.pack("<4I4I", 0, 0, 0, 2, len(record), place, place - SECTION + HEADERS, 0)
        self.directories[6] = self.add(struct.pack("<7I", *struct.unpack("<3I", entry[:12]), *struct.unpack("<4I", entry[12:28]))), 28
        return self

    def build(self, tail: bytes = b"", memory: int | None = None, certificate: bytes = b"") -> bytes:
        """The file; `memory` is the section's size there, `tail` follows the section and the certificate that."""
        raw = bytes(self.body) + bytes(-len(self.body) % 0x200)
        memory = len(self.body) if memory is None else memory
        if certificate:
            self.directories[4] = HEADERS + len(raw) + len(tail), len(certificate)
        image = SECTION + -(-max(memory, 1) // 0x1000) * 0x1000
        kind, major, minor = self.subsystem
        head = struct.pack("<H2B5I", 0x20B if self.plus else 0x10B, 14, 7, 0, len(raw), 0, 0, SECTION)
        head += struct.pack("<Q", BASES[True]) if self.plus else struct.pack("<2I", 0, BASES[False])
        head += struct.pack(
            "<2I6H4I2H", self.alignment, 0x200, 6, 0, 0, 0, major, minor, 0, image, HEADERS, 0, kind, self.dll_characteristics
        )
        head += struct.pack("<4Q" if self.plus else "<4I", 0x100000, 0x1000, 0x100000, 0x1000) + struct.pack("<2I", 0, 16)
        head += b"".join(struct.pack("<2I", *self.directories.get(index, (0, 0))) for index in range(16))
        coff = struct.pack("<4s2H3I2H", b"PE\0\0", self.machine, 1, 0, 0, 0, len(head), self.characteristics)
        section = struct.pack("<8s6I2HI", b".rdata", memory, SECTION, len(raw), HEADERS, 0, 0, 0, 0, 0xC0000040)
        dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
        return (dos + coff + head + section).ljust(HEADERS, b"\0") + raw + tail + certificate


def library(*needs: str, delayed: Sequence[str] = (), machine: int = AMD64, flags: int = 0) -> bytes:
    """A library that exports and imports the function `value`, for loaders to find."""
    draft = Draft(plus=machine != I386, machine=machine).exports(b"any.dll", [(b"value", 0)])
    if needs:
        draft.imports(*((name.encode(), [b"value"]) for name in needs))
    if delayed:
        draft.delayed(*((name.encode(), [b"value"]) for name in delayed))
    return draft.configuration(flags).build() if flags else draft.build()
