"""Lets the version tables follow when needs and the soname change.

glibc looks up each vn_file among the needs and stops with an assertion when there is none; it also takes a symbol's version number as an
index without a check, so that no symbol may keep the number of a version that is gone.

Specification: Linux Standard Base, "Symbol Versioning"; glibc's elf/dl-version.c, elf/do-rel.h.
"""

import struct
from collections.abc import Callable, Mapping, Sequence

from relocator.backends.linux.draft import Draft
from relocator.backends.linux.dynamic import DT_SONAME, DT_VERDEF, DT_VERNEED, DT_VERSYM, Dynamic
from relocator.backends.linux.entries import Entry
from relocator.backends.linux.section_headers import SHT_GNU_VERNEED
from relocator.backends.linux.version_records import NeedRecord, definition_records, need_records
from relocator.backends.linux.wishes import Wishes, encoded

_DT_VERNEEDNUM = 0x6FFFFFFF
_VER_NDX_GLOBAL, _VERSION = 1, 0x7FFF


class VersionEdit:
    """The version tables of one file."""

    def __init__(self, draft: Draft, dynamic: Dynamic, wishes: Wishes) -> None:
        self._draft, self._dynamic, self._wishes = draft, dynamic, wishes
        self._needs = need_records(draft.file, dynamic)
        self._definitions = definition_records(draft.file, dynamic)
        self._renames: list[tuple[int, bytes, int, str]] = []
        """Where the field lies in the file, the new string, the old one's offset, the reason."""
        self._changed: set[int] = set()
        """Fields that change, by where they lie in the file."""

    def _library(self, record: NeedRecord) -> str:
        return self._dynamic.strings.get(record.library, "vn_file")

    # ------------------------------------------------------------ removal

    def remove(self, entries: Sequence[Entry], symbol_count: Callable[[], int]) -> list[Entry]:
        """Take out the records of needs that go, and return the entries of the dynamic section without what is then empty."""
        names = self._wishes.names
        left = [record for record in self._needs if names.get(self._library(record), "") is not None]
        if len(left) == len(self._needs):
            return list(entries)
        self._forget_numbers(left, symbol_count)
        for index, record in enumerate(left):
            following = left[index + 1] if index + 1 < len(left) else None
            distance = following.offset - record.offset if following else 0
            if distance != record.following:
                self._draft.put(record.offset + 12, self._draft.pack("I", distance), "DT_VERNEED: vn_next")
        skipped = left[0].offset - self._needs[0].offset if left else 0
        self._shrink_section(len(left), skipped)
        self._needs = tuple(left)
        return self._remaining_entries(entries, len(left), skipped)

    def _remaining_entries(self, entries: Sequence[Entry], left: int, skipped: int) -> list[Entry]:
        gone = set() if left else {DT_VERNEED, _DT_VERNEEDNUM}
        if not left and DT_VERDEF not in self._dynamic.values:
            gone.add(DT_VERSYM)  # without any versions glibc has no table for its numbers to be an index of
        found = []
        for entry in entries:
            new = entry.value + skipped if entry.tag == DT_VERNEED else left if entry.tag == _DT_VERNEEDNUM else entry.value
            if entry.tag not in gone:
                found.append(entry._replace(value=new))
        return found

    def _shrink_section(self, left: int, skipped: int) -> None:
        address = self._dynamic.values[DT_VERNEED]
        for index, section in enumerate(self._draft.sections):
            if section.type == SHT_GNU_VERNEED and section.addr == address:
                size = max(section.size - skipped, 0) if left else 0
                self._draft.sections[index] = section._replace(
                    addr=section.addr + skipped, offset=section.offset + skipped, size=size, info=left
                )

    def _forget_numbers(self, left: Sequence[NeedRecord], symbol_count: Callable[[], int]) -> None:
        """Let symbols that asked for a version of a library that goes ask for none."""
        address, file = self._dynamic.values.get(DT_VERSYM), self._draft.file
        gone = {number & _VERSION for record in self._needs for number in record.numbers}
        gone -= {number & _VERSION for record in left for number in record.numbers}
        if address is None or not gone:
            return
        size = symbol_count() * 2
        offset, raw = file.place(address, size, "DT_VERSYM")[0], file.mapped(address, size, "DT_VERSYM")
        numbers = struct.unpack(f"{file.shape.order}{size // 2}H", raw)
        touched = [index for index, number in enumerate(numbers) if number & _VERSION in gone]
        for index in touched:
            self._draft.put(offset + index * 2, self._draft.pack("H", _VER_NDX_GLOBAL), "DT_VERSYM: version of a need that goes")
        if touched:
            self._draft.remarks.append(f"{len(touched)} symbols no longer ask for a version, and bind to any library that has them")

    # ------------------------------------------------------------ names

    def requests(self) -> list[tuple[bytes, int, str]]:
        """Return the new strings, the offset of each old one and the reason."""
        for record in self._needs:
            new = self._wishes.names.get(self._library(record))
            if new is not None and new != self._library(record):
                self._renames.append((record.offset + 4, encoded(new), record.library, "DT_VERNEED: vn_file"))
        soname, old = self._wishes.identity, self._dynamic.string(DT_SONAME, "DT_SONAME")
        if soname is not None and old is not None and soname != old:
            versions = {definition.first for definition in self._definitions if not definition.base}  # lld lets equal names be one record
            for definition in self._definitions:
                follows = definition.base and definition.first not in versions
                if follows and self._dynamic.strings.get(definition.names[0], "vda_name") == old:
                    self._renames.append((definition.first, encoded(soname), definition.names[0], "DT_VERDEF: vda_name"))
                    self._draft.put(definition.offset + 8, self._draft.pack("I", elf_hash(encoded(soname))), "DT_VERDEF: vd_hash")
        self._changed = {place for place, _, _, _ in self._renames}
        return [(text, replaced, reason) for _, text, replaced, reason in self._renames]

    def kept(self) -> list[int]:
        """Return the offsets of the strings that stay in use."""
        found = [record.library for record in self._needs if record.offset + 4 not in self._changed]
        found += [name for record in self._needs for name in record.names]
        for definition in self._definitions:
            found += definition.names[definition.first in self._changed :]
        return found

    def write(self, found: Mapping[bytes, int]) -> None:
        """Point the records to the new strings."""
        for place, text, _, reason in self._renames:
            self._draft.put(place, self._draft.pack("I", found[text]), reason)


def elf_hash(name: bytes) -> int:
    """Return the hash of the System V gABI, chapter 5 ("Hash Table")."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return value
