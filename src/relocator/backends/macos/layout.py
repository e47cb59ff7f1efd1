"""Our own check that a Mach-O file holds together: what dyld, the kernel and `codesign` expect of its layout.

Specification: <mach-o/loader.h>; dyld's mach_o/Image.cpp (validLinkedit, validSegments); the order in __LINKEDIT is that of Apple's linker
and is demanded by codesign_allocate.
"""

from collections.abc import Iterator
from itertools import pairwise

from relocator.backends.macos.commands import Commands, Header, Slice, header_room, read_commands
from relocator.backends.macos.load_commands import CommandList, Segment
from relocator.backends.macos.read import Arch, arch_name, arches, loadable
from relocator.backends.macos.signature import SLACK, read_signature
from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary

_ARM64 = (0x0100000C, 0x0200000C)
_FIRST = ("rebase", "bind", "weak_bind", "lazy_bind", "LC_DYLD_CHAINED_FIXUPS", "export", "LC_DYLD_EXPORTS_TRIE")
_LAST = ("symbols", "indirect symbols", "strings", "LC_CODE_SIGNATURE")
"""Tables at the start and at the end of __LINKEDIT, in order; what lies between them comes in several orders."""


def check_layout(data: Buffer) -> tuple[str, ...]:
    """Return what is wrong with the layout of a whole file, one line each; () when nothing is. Hashes every signed page."""
    try:
        found = arches(data)
        problems = list(_between(found))
        for arch in found:
            header = loadable(arch)
            if header:
                problems += _slice_problems(arch, header)
    except UnreadableBinary as error:
        return (str(error),)
    return tuple(problems)


def _between(found: list[Arch]) -> Iterator[str]:
    for arch in found:
        if arch.fat and arch.alignment < 32 and arch.part.start % (1 << arch.alignment):
            yield f"{arch_name(*arch.declared)}: the slice at {arch.part.start:#x} is not aligned to 2^{arch.alignment}"


def _slice_problems(arch: Arch, header: Header) -> Iterator[str]:
    part, name = arch.part, arch_name(header.cpu_type, header.cpu_subtype)
    commands = read_commands(part, header)
    header_room(part, header, commands)
    segments = CommandList.read(part, header).segments()
    checks = (_segment_problems(segments), _order_problems(commands, segments), _signature_problems(part, header, commands, segments))
    for check in checks:
        yield from (f"{name}: {problem}" for problem in check)


def _segment_problems(segments: list[Segment]) -> Iterator[str]:
    for segment in segments:
        if segment.size > segment.memory:
            yield f"{segment.name} has {segment.size:#x} bytes in the file and {segment.memory:#x} in memory"
    for what, ranges in (
        ("in memory", [(s.address, s.memory, s.name) for s in segments if s.memory]),
        ("in the file", [(s.offset, s.size, s.name) for s in segments if s.size]),
    ):
        for (start, size, before), (after_start, _, after) in pairwise(sorted(ranges)):
            if start + size > after_start:
                yield f"{before} and {after} overlap {what}"


def _order_problems(commands: Commands, segments: list[Segment]) -> Iterator[str]:
    tables = [region.name for region in sorted(commands.regions.values(), key=lambda region: region.offset)]
    for order in (_FIRST, _LAST):
        listed = [name for name in tables if name in order]
        if listed != sorted(listed, key=order.index):
            yield f"tables in __LINKEDIT are out of order: {', '.join(listed)}"
    linkedit = commands.linkedit
    if linkedit and any(segment.offset > linkedit.offset for segment in segments if segment.size):
        yield "__LINKEDIT is not the last segment in the file"


def _signature_problems(part: Slice, header: Header, commands: Commands, segments: list[Segment]) -> Iterator[str]:
    found, region = read_signature(part, commands, verify=True), commands.regions.get("LC_CODE_SIGNATURE")
    if found is None or region is None:
        if header.cpu_type in _ARM64:
            yield "there is no signature: arm64 kernels do not run the code"
        return
    if found.problem:
        yield f"signature: {found.problem}"
    if found.bad_pages:
        yield f"signature: the hashes of pages {', '.join(map(str, found.bad_pages))} differ"
    if region.offset % 16:
        yield f"signature: starts at {region.offset:#x}, which is no multiple of 16"
    linkedit = next((segment for segment in segments if segment.name == "__LINKEDIT"), None)
    if linkedit is None or not 0 <= linkedit.offset + linkedit.size - (region.offset + region.size) <= SLACK:
        yield "signature: is not the end of __LINKEDIT"
