"""Where a module's new name goes without another section: over the old one, into zeros behind it, into the tail of a section.

Only zeros that nothing points to are used, and only in sections that hold tables of the linker's: a resource editor would throw away
what it finds behind resources, and the loader what lies in a section that it discards.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from relocator.backends.windows.draft import Draft
from relocator.backends.windows.headers import Headers, SectionHeader
from relocator.backends.windows.layout import DEBUG, DELAY_IMPORTS, EXPORTS, IMPORTS, LOAD_CONFIG, RESOURCES
from relocator.backends.windows.links import Links, Name, Others, read_others

_RELOCATIONS, _TLS, _ADDRESSES = 5, 9, 12
_HOSTS = (IMPORTS, EXPORTS, DEBUG, LOAD_CONFIG, _ADDRESSES, DELAY_IMPORTS)
"""Data directories beside which there is room for a name."""
_GUESTS = (RESOURCES, _RELOCATIONS, _TLS)
_INITIALIZED, _READ = 0x40, 0x40000000
_EXECUTE, _SHARED, _DISCARDED, _CODE = 0x20000000, 0x10000000, 0x02000000, 0x20  # IMAGE_SCN_*
_PADDING = 7
"""Zeros between two known things that are there for the sake of alignment alone; more may be data."""
_NOWHERE = 1 << 32


class Places:
    """The room in the sections of one file, and what of it has been given away."""

    def __init__(self, draft: Draft, links: Links) -> None:
        self.draft = draft
        self.links = links
        self.hosts = tuple(_hosts(draft.headers))
        """The sections in whose tails a name may lie."""
        self.tails = {section.place: section.rva + section.memory for section in draft.headers.sections}
        """By row of the section table: the first address behind what is used."""
        self._others: Others | None = None
        self._strings = sorted({name.rva for name in links.names() if name.rva})

    def overwrite(self, name: Name) -> bool:
        """Write a name over the old one, or over it and zeros behind it; tell whether there was room.

        What a shorter name leaves of the old one stays: when the old name comes back, nothing behind the string changes, whoever owns it.
        """
        old, new = name.text.encode("utf-8", "surrogateescape"), name.wanted_bytes[:-1]
        if not name.rva or any(other.rva == name.rva and other.wanted != name.wanted for other in self.links.names()):
            return False
        offset, filled, _ = self.draft.headers.layout.locate(name.rva, "name")
        if filled <= max(len(old), len(new)):
            return False
        behind, rest = name.rva + len(old) + 1, new[len(old) + 1 :] + b"\0"
        short = len(new) - len(old)
        over_zeros = short > 0 and not self._has(behind, rest)
        if over_zeros and self._zeros(behind, short) < short:
            return False
        if self._is_shared(name.rva, max(len(old), len(new))) or (over_zeros and not self._grow(behind, short)):
            return False
        rung = "in place and in the zeros behind it" if over_zeros else "in place"
        self.draft.put(offset, new + b"\0", f"{name.use}: name {rung}")
        return True

    def append(self, text: str) -> int | None:
        """Put a string into the tail of a section; return its address, None when no tail has room."""
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        for section in self.hosts:
            start = self.tails[section.place]
            start += start % 2
            if self._zeros(start, len(raw)) == len(raw) and not self._is_shared(start, len(raw)):
                self.tails[section.place] = start + len(raw)
                label = section.name.decode("ascii", "replace")
                self.draft.put(self.draft.headers.layout.locate(start, "tail")[0], raw, f"name in the tail of {label}")
                return start
        return None

    def finish(self) -> None:
        """Write the new sizes of sections whose tails were used."""
        for section in self.draft.headers.sections:
            if self.tails[section.place] > section.rva + section.memory:
                self.draft.put_number(section.place + 8, self.tails[section.place] - section.rva, "VirtualSize")

    def _is_shared(self, rva: int, length: int) -> bool:
        """Tell whether something else points at, or into, a string or its terminator, or reaches up to it from before."""
        known, tables = self.others
        first = bisect_left(known, rva)
        if bisect_right(known, rva + length) > first or self._next_string(rva) <= rva + length:
            return True
        if any(start <= rva + length and rva < end for start, end in tables):
            return True
        before = max(known[first - 1] if first else 0, self._last_string(rva))
        offset, _, _ = self.draft.headers.layout.locate(rva, "name")
        between = bytes(self.draft.buffer[max(offset - (rva - before), 0) : offset]) if before else b"\0"
        return b"\0" not in between

    @property
    def others(self) -> Others:
        """Everything known but names of modules; collected when it is asked for."""
        if self._others is None:
            self._others = read_others(self.links)
        return self._others

    def _next_string(self, rva: int) -> int:
        index = bisect_right(self._strings, rva)
        return self._strings[index] if index < len(self._strings) else _NOWHERE

    def _last_string(self, rva: int) -> int:
        index = bisect_left(self._strings, rva)
        return self._strings[index - 1] if index else 0

    def _grow(self, start: int, size: int) -> bool:
        """Take zeros from an address on, which follow a string; tell whether they are only padding, or the tail of the section."""
        known = self.others.addresses
        index = bisect_left(known, start)
        following = min(known[index] if index < len(known) else _NOWHERE, self._next_string(start - 1))
        section = next((s for s in self.hosts if s.rva <= start <= s.rva + s.memory), None)
        if section is not None and following >= self.tails[section.place] and self.tails[section.place] - start <= _PADDING:
            if start + size > self._tail_end(section):
                return False
            self.tails[section.place] = max(self.tails[section.place], start + size)
            return True
        return start + size <= following <= start + _PADDING

    def _has(self, rva: int, wanted: bytes) -> bool:
        """Tell whether some bytes are there already, in the used part of a section."""
        if not any(s.rva <= rva and rva + len(wanted) <= self.tails[s.place] for s in self.draft.headers.sections):
            return False
        offset, filled, _ = self.draft.headers.layout.locate(rva, "name")
        return len(wanted) <= filled and bytes(self.draft.buffer[offset : offset + len(wanted)]) == wanted

    def _zeros(self, rva: int, size: int) -> int:
        """Return how many of some bytes are zeros of the file, counted from the first."""
        offset, filled, _ = self.draft.headers.layout.locate(rva, "name") if self._is_mapped(rva) else (0, 0, 0)
        raw = bytes(self.draft.buffer[offset : offset + min(size, filled)])
        return len(raw) - len(raw.lstrip(b"\0"))

    def _is_mapped(self, rva: int) -> bool:
        return any(section.rva <= rva < section.rva + section.extent for section in self.draft.headers.layout.sections)

    def _tail_end(self, section: SectionHeader) -> int:
        """Return the address up to which the file has bytes that the loader maps."""
        mapped = next(s for s in self.draft.headers.layout.sections if s.rva == section.rva)
        return section.rva + min(mapped.filled, mapped.extent)


def _hosts(headers: Headers) -> Iterator[SectionHeader]:
    directories = headers.layout.directories
    for section in headers.sections:
        wrong = section.flags & (_EXECUTE | _SHARED | _DISCARDED | _CODE)
        right = section.flags & (_INITIALIZED | _READ) == _INITIALIZED | _READ
        if wrong or not right or not 0 < section.memory <= section.size:
            continue
        end = section.rva + section.extent
        held = {index for index, region in enumerate(directories) if section.rva <= region.rva < end}
        if held.intersection(_HOSTS) and not held.intersection(_GUESTS):
            yield section
