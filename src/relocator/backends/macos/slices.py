"""One slice under edit: room for its commands, what becomes of its signature, and the patches of both.

Offsets are relative to the slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from relocator.backends.macos.commands import Commands, Header, Region, Slice, read_commands
from relocator.backends.macos.load_commands import CommandList, Segment, lowest_content, unused_end
from relocator.backends.macos.sign import Changed, Signing, as_linkers_do, rehash, without_identity
from relocator.backends.macos.signature import SLACK, read_signature
from relocator.errors import UnreadableBinary
from relocator.native import Signature
from relocator.plans import Edit, EditRefused, Patch, Resign, sorted_patches

_SIGNED_CPUS = (0x0100000C, 0x0200000C)  # arm64 and arm64_32: kernels run no unsigned code
_INTEL = (7, 0x01000007)
_PROGRAM = 2
_MAIN_BINARY = 1  # CS_EXECSEG_MAIN_BINARY
_ALIGNMENT = 16  # of a signature and its size, as linkers write them


class SlicePlan(NamedTuple):
    """What becomes of one slice; falsy never: a slice without changes has no plan."""

    size: int
    patches: tuple[Patch, ...]
    remarks: tuple[str, ...]


class _Grown(NamedTuple):
    """A signature to be built and where it goes."""

    signing: Signing
    offset: int
    size: int


@dataclass(slots=True)
class SliceDraft:
    """A slice, what its commands say and what they shall say."""

    part: Slice
    header: Header
    commands: Commands
    items: CommandList

    @classmethod
    def read(cls, part: Slice, header: Header) -> "SliceDraft":
        """Return a slice as it is; raise UnreadableBinary."""
        return cls(part, header, read_commands(part, header), CommandList.read(part, header))

    def plan(self, name: str, edits: Sequence[Edit], remarks: Sequence[str]) -> SlicePlan | None:
        """Return what the changed commands and the signature need, None when nothing is to be done; `name` is the architecture.

        Raises EditRefused when there is no room, or when a signature must go that nobody said may go.
        """
        resign = any(isinstance(edit, Resign) for edit in edits)
        if not self.items.changed and not resign:
            return None
        found, region = read_signature(self.part, self.commands, verify=False), self.commands.regions.get("LC_CODE_SIGNATURE")
        replacement, said = self._replacement(name, found, resign)
        grown = self._reserve(name, replacement) if replacement else None
        left_out = self._make_room(name)
        patches = list(sorted_patches(self.items.patches()))
        if grown:
            patches.append(self._built(grown, patches))
        elif region:
            patches += rehash(self.part, region, patches, everything=resign)
        size = max(self.part.size, grown.offset + grown.size if grown else 0)
        return SlicePlan(size, sorted_patches(patches), tuple(f"{name}: {text}" for text in (*remarks, *said, *left_out)))

    def _replacement(self, name: str, found: Signature | None, resign: bool) -> tuple[Signing | None, tuple[str, ...]]:
        """Return the signature to be built and what to say of it; None where the present one is repaired or none is needed."""
        region = self.commands.regions.get("LC_CODE_SIGNATURE")
        if found is None or region is None:
            if not resign and self.header.cpu_type not in _SIGNED_CPUS:
                return None, ()
            return self._fresh(self._end()), ("signed ad hoc: there was no signature",)
        if found.kind != "cms" and not found.problem:
            return None, ()
        if not resign:
            raise _unrepairable(name, found)
        raw = bytes(self.part.cut(region.offset, region.size, region.name))
        try:
            signing, kept = without_identity(raw, region.offset)
        except UnreadableBinary:
            return self._fresh(region.offset), ("signed ad hoc: the old signature was malformed",)
        told = f"the signature of {found.identifier} by a certificate" if found.kind == "cms" else "the old signature"
        return signing, (f"{told} was replaced by an ad-hoc one", *([kept] if kept else []))

    def _fresh(self, limit: int) -> Signing:
        """Return the plan of a signature named after the library, or after the build where a file does not know its own name."""
        identity = self.commands.identity
        leaf = identity.name.rpartition("/")[2] if identity else ""
        identifier = leaf or f"unnamed-{self.commands.uuid or f'{self.header.cpu_type:x}'}"
        text = next((segment.size for segment in self.items.segments() if segment.name == "__TEXT"), 0)
        flags = _MAIN_BINARY if self.header.file_type == _PROGRAM else 0
        return as_linkers_do(identifier.encode("utf-8", "surrogateescape"), limit, (0, text, flags))

    def _end(self) -> int:
        """Return where a signature may start that is not there yet."""
        linkedit = self.commands.linkedit
        if linkedit is None:
            raise EditRefused("the slice has no __LINKEDIT segment to hold a signature", "link it again")
        return -(-(linkedit.offset + linkedit.size) // _ALIGNMENT) * _ALIGNMENT

    def _reserve(self, name: str, signing: Signing) -> _Grown:
        """Give the signature its place in the commands: that of the old one, or else the end of __LINKEDIT, which then grows."""
        region, linkedit = self.commands.regions.get("LC_CODE_SIGNATURE"), self._linkedit(name)
        self._check_behind(name, region, linkedit)
        offset = region.offset if region else self._end()
        size = max(-(-signing.size // _ALIGNMENT) * _ALIGNMENT, region.size if region else 0)
        if offset + size > 0xFFFFFFFF:
            raise EditRefused(f"{name}: the signature would lie beyond 4 GiB", "link the file again with less debugging information")
        if region is None or size > region.size:
            self.items.set_signature(offset, size)
            self._extend(name, linkedit, offset + size)
        return _Grown(signing, offset, size)

    def _linkedit(self, name: str) -> Segment:
        found = [segment for segment in self.items.segments() if segment.name == "__LINKEDIT"]
        if not found:
            raise EditRefused(f"{name}: the slice has no __LINKEDIT segment to hold a signature", "link it again")
        return found[-1]

    def _check_behind(self, name: str, region: Region | None, linkedit: Segment) -> None:
        """Refuse to build a signature that would not be the last thing in the slice."""
        linkedit_end = linkedit.offset + linkedit.size
        end = region.offset + region.size if region else linkedit_end
        behind = max(linkedit_end, self.part.size) - end
        if behind > SLACK or any(bytes(self.part.cut(end, max(self.part.size - end, 0), "slice"))):
            hint = "a signature must be the last thing in a slice; take off what was appended, or link the file again"
            raise EditRefused(f"{name}: {behind} bytes follow the place of the signature", hint)

    def _extend(self, name: str, linkedit: Segment, end: int) -> None:
        page = 0x1000 if self.header.cpu_type in _INTEL else 0x4000
        size = end - linkedit.offset
        memory = max(linkedit.memory, -(-size // page) * page)
        for other in self.items.segments():
            if linkedit.address < other.address < linkedit.address + memory:
                raise EditRefused(f"{name}: {other.name} lies behind __LINKEDIT, which cannot grow", "link the file again")
        if linkedit.address + memory > (1 << 64 if self.header.wide else 1 << 32):
            raise EditRefused(f"{name}: __LINKEDIT cannot grow, there are no addresses behind it", "link the file again")
        self.items.resize_segment(linkedit, size, memory)

    def _make_room(self, name: str) -> tuple[str, ...]:
        """Let the commands fit before the first content; return what was left out for it, raise EditRefused when that is not enough."""
        used = self.header.size + self.header.commands_size
        if self.items.end <= used:
            return ()
        content = lowest_content(self.part, self.header, self.commands)
        free = unused_end(self.part, used, content)
        wanted = self.items.end - used
        left_out = self.items.squeeze(free)
        short = self.items.end - free
        if short > 0:
            taken = f"; {content - free} bytes behind that are in use by something that no command names" if free < content else ""
            raise EditRefused(
                f"{name}: the names are {short} bytes too long for the room before the first section ({free - used} bytes are free{taken})",
                "use a shorter name, such as @rpath/NAME or @loader_path/NAME; or link the file again with "
                f"-Wl,-headerpad_max_install_names or -Wl,-headerpad,{_padding(wanted):#x}",
            )
        return left_out

    def _built(self, grown: _Grown, patches: Sequence[Patch]) -> Patch:
        """Return the patch that writes a whole signature; it starts at the end of what is there, so that the gap is signed as zeros."""
        blob = grown.signing.build(Changed(self.part, patches)).ljust(grown.size, b"\0")
        start = min(grown.offset, self.part.size)
        gap = bytes(grown.offset - start)
        old = bytes(self.part.cut(start, min(len(gap) + grown.size, self.part.size - start), "LC_CODE_SIGNATURE"))
        return Patch(start, old, gap + blob, "ad-hoc signature")


def _padding(needed: int) -> int:
    """Return a round header padding that is enough."""
    return -(-needed // 0x100) * 0x100


def _unrepairable(name: str, found: Signature) -> EditRefused:
    if found.kind == "cms":
        return EditRefused(
            f"{name}: the file is signed with a certificate ({found.identifier}); any change makes that signature invalid",
            "add --resign to put an ad-hoc signature in its place, then sign the file again with your identity",
        )
    return EditRefused(f"{name}: the signature cannot be repaired: {found.problem}", "add --resign to put an ad-hoc signature in its place")
