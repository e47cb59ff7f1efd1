"""The load commands of one slice as a list that can be changed and written back.

A command keeps its size while its name fits, so that nothing behind it moves. No dylib command is ever removed or moved, since symbols
name their libraries by position (two-level namespace ordinals, <mach-o/nlist.h>). Specification: <mach-o/loader.h>.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from relocator.backends.macos.commands import (
    CODE_SIGNATURE,
    DYLIBS,
    ID_DYLIB,
    RPATH,
    SEGMENT,
    SEGMENT_64,
    Commands,
    Header,
    Slice,
    walk,
)
from relocator.buffer import c_string, text
from relocator.errors import UnreadableBinary
from relocator.plans import Patch

LOAD_DYLIB = 0xC
_NAMED = {ID_DYLIB: "LC_ID_DYLIB", RPATH: "LC_RPATH", **{number: name for number, (name, _) in DYLIBS.items()}}
_OPTIONAL = ((0x2A, "LC_SOURCE_VERSION", False), (0x29, "an empty LC_DATA_IN_CODE", True), (0x2B, "an empty LC_DYLIB_CODE_SIGN_DRS", True))
"""Commands that nothing needs at run time, and whether only without data: bytes of __LINKEDIT that belong to nobody stop `codesign`."""
_SHIFTED = "load commands: moved"
_STEP = 1 << 12


@dataclass(slots=True, eq=False)
class Command:
    """One load command as it was and as it shall be; `new` is empty when it goes, `old` when it comes."""

    number: int
    old: bytes
    new: bytes
    reason: str = ""

    @property
    def kind(self) -> str:
        """The command's name in <mach-o/loader.h>, for those that carry a name."""
        return _NAMED.get(self.number, "load command")


class Segment(NamedTuple):
    """One segment command; file offsets are relative to the slice."""

    name: str
    address: int
    memory: int
    """Bytes of address space."""
    offset: int
    size: int
    """Bytes in the file."""
    command: Command


@dataclass(slots=True)
class CommandList:
    """All load commands of a slice, in order."""

    header: Header
    items: list[Command] = field(default_factory=list)

    @classmethod
    def read(cls, part: Slice, header: Header) -> "CommandList":
        """Return the commands of a slice that `read_commands` accepted."""
        raw = bytes(part.cut(header.size, header.commands_size, "load commands"))
        pieces = ((number, raw[offset : offset + size]) for number, offset, size in walk(raw, header, part.start + header.size))
        return cls(header, [Command(number, piece, piece) for number, piece in pieces])

    @property
    def end(self) -> int:
        """Offset in the slice of the first byte behind the commands, as they shall be."""
        return self.header.size + sum(len(command.new) for command in self.items)

    @property
    def changed(self) -> bool:
        """Whether any command differs from what it was."""
        return any(command.old != command.new for command in self.items)

    def present(self) -> list[Command]:
        """Return those that stay or come."""
        return [command for command in self.items if command.new]

    def dylibs(self) -> list[Command]:
        """Return the dylib commands; a library's ordinal is its place here, from 1."""
        return [command for command in self.items if command.number in DYLIBS]

    def rpaths(self) -> list[Command]:
        """Return the LC_RPATH commands that stay or come."""
        return [command for command in self.present() if command.number == RPATH]

    def find(self, number: int) -> Command | None:
        """Return the last command of a kind, which is the one that counts for dyld; None without one."""
        return next((command for command in reversed(self.present()) if command.number == number), None)

    def name(self, command: Command) -> str:
        """Return the name that a command carries, as it shall be."""
        return self._name(command.new)

    def old_name(self, command: Command) -> str:
        """Return the name that a command carried; "" for a new one."""
        return self._name(command.old) if command.old else ""

    def _name(self, raw: bytes) -> str:
        return text(c_string(raw, self._name_offset(raw), "load command"))

    def _name_offset(self, raw: bytes) -> int:
        return int.from_bytes(raw[8:12], "little" if self.header.order == "<" else "big")

    def rename(self, command: Command, name: bytes) -> None:
        """Give a command another name; what comes before the name stays, also in the dylib_use_command form."""
        raw = command.new
        head = raw[: self._name_offset(raw)]
        if not command.reason:
            command.reason = f"{command.kind}: {text(name)}"
        command.new = self._sized(head, name, len(raw))

    def add(self, number: int, fields: tuple[int, ...], name: bytes = b"", *, before: Command | None = None) -> Command:
        """Add a command of some fields and a name behind them, at the end: no other command moves. `before` is for LC_RPATHs alone."""
        words = (8 + 4 * (len(fields) + 1), *fields) if name else fields
        head = struct.pack(f"{self.header.order}2I{len(words)}I", number, 0, *words)
        what = f"{_NAMED[number]}: {text(name)}" if name else "LC_CODE_SIGNATURE"
        command = Command(number, b"", self._sized(head, name), what)
        self.items.insert(self.items.index(before) if before else len(self.items), command)
        return command

    def drop(self, command: Command) -> None:
        """Take a command away; the ones behind it move up."""
        assert command.number not in DYLIBS
        command.new = b""

    def _sized(self, head: bytes, name: bytes, least: int = 0) -> bytes:
        alignment = 8 if self.header.wide else 4
        needed = len(head) + (len(name) + 1 if name else 0)
        size = max(-(-needed // alignment) * alignment, least)
        return head[:4] + struct.pack(self.header.order + "I", size) + (head[8:] + name).ljust(size - 8, b"\0")

    def segments(self) -> list[Segment]:
        """Return the segments, sizes as they shall be."""
        found = []
        for command in self.present():
            if command.number in (SEGMENT, SEGMENT_64):
                name = text(command.new[8:24].rstrip(b"\0"))
                address, memory, offset, size = self._segment_layout(command).unpack_from(command.new, 24)
                found.append(Segment(name, address, memory, offset, size, command))
        return found

    def resize_segment(self, segment: Segment, size: int, memory: int) -> None:
        """Give a segment another size in the file and in memory."""
        layout, raw = self._segment_layout(segment.command), bytearray(segment.command.new)
        layout.pack_into(raw, 24, segment.address, memory, segment.offset, size)
        segment.command.new = bytes(raw)
        segment.command.reason = f"{segment.name}: size"

    def _segment_layout(self, command: Command) -> struct.Struct:
        return struct.Struct(self.header.order + ("4Q" if command.number == SEGMENT_64 else "4I"))

    def set_signature(self, offset: int, size: int) -> None:
        """Let LC_CODE_SIGNATURE say where the signature lies; add the command where there is none."""
        command = self.find(CODE_SIGNATURE)
        if command is None:
            self.add(CODE_SIGNATURE, (offset, size))
            return
        place = struct.pack(self.header.order + "2I", offset, size)
        command.new = command.new[:8] + place + command.new[16:]
        command.reason = "LC_CODE_SIGNATURE: place and size"

    def squeeze(self, end: int) -> tuple[str, ...]:
        """Make the commands end at `end` of the slice or before, if they can; return what was left out for it."""
        if self.end > end:
            for command in self.present():
                self._shrink(command)
        dropped = []
        for number, name, only_empty in _OPTIONAL:
            found = self.find(number)
            if self.end > end and found and not (only_empty and any(found.new[12:16])):
                self.drop(found)
                found.reason = f"{name}: left out for want of room"
                dropped.append(f"{name} was left out to make room")
        return tuple(dropped)

    def _shrink(self, command: Command) -> None:
        """Take the spare bytes behind a name off."""
        if command.number not in _NAMED:
            return
        offset = self._name_offset(command.new)
        name = c_string(command.new, offset, "load command")
        if not any(command.new[offset + len(name) :]):
            command.new = self._sized(command.new[:offset], name)

    def patches(self) -> Iterator[Patch]:
        """Yield what changes in the header and the commands; offsets are relative to the slice, bytes given up become zero."""
        header = self.header
        count, size = len(self.present()), self.end - header.size
        old, new = struct.pack(header.order + "2I", header.commands, header.commands_size), struct.pack(header.order + "2I", count, size)
        yield Patch(16, old, new, "mach_header: ncmds and sizeofcmds")
        before = b"".join(command.old for command in self.items)
        offset = 0
        for command in self.present():
            piece = before[offset : offset + len(command.new)].ljust(len(command.new), b"\0")
            if piece != command.new:
                moved = command.old == command.new or not command.reason
                yield _narrowed(header.size + offset, piece, command.new, _SHIFTED if moved else command.reason)
            offset += len(command.new)
        if rest := before[offset:]:
            yield Patch(header.size + offset, rest, bytes(len(rest)), "load commands: room given back")


def _narrowed(offset: int, old: bytes, new: bytes, reason: str) -> Patch:
    """Return the patch of what really differs between two pieces of one size; moved commands stay whole, so that they can be joined."""
    if reason == _SHIFTED:
        return Patch(offset, old, new, reason)
    first = next(index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
    last = next(index for index in range(len(new), 0, -1) if old[index - 1] != new[index - 1])
    return Patch(offset + first, old[first:last], new[first:last], reason)


def unused_end(part: Slice, start: int, end: int) -> int:
    """Return where the zero bytes from `start` of the slice stop, at most `end`: somebody may keep data between commands and sections."""
    while start < end:
        piece = bytes(part.cut(start, min(_STEP, end - start), "header padding"))
        used = piece.lstrip(b"\0")
        if used:
            return start + len(piece) - len(used)
        start += len(piece)
    return end


def lowest_content(part: Slice, header: Header, commands: Commands) -> int:
    """Return the offset in the slice of the first byte that is not for load commands; raise UnreadableBinary when they reach further."""
    used = header.size + header.commands_size
    places = (commands.content, *(region.offset for region in commands.regions.values()))
    lowest = min((place for place in places if place is not None), default=used)
    if lowest < used:
        raise UnreadableBinary("load commands", f"end at {used:#x} of the slice, behind the first section", part.start + lowest)
    return lowest
