"""Room for names in the load commands of one slice: how much there is, and how much of it edits take.

What a plan is made by, before anybody has the bytes at hand. The editor has the last word; these numbers never promise what it refuses.
"""

from relocator.backends.macos.commands import DYLIBS, ID_DYLIB, RPATH, Commands, Header, Slice
from relocator.backends.macos.load_commands import Command, CommandList, lowest_content, unused_end
from relocator.errors import UnreadableBinary
from relocator.model import Image
from relocator.native import MachOFacts

_DYLIB_HEAD, _RPATH_HEAD = 24, 12
"""Bytes before the name in dylib_command and rpath_command."""
_SIGNATURE = 16
"""Bytes of an LC_CODE_SIGNATURE command."""
_WIDE = 0x01000000  # CPU_ARCH_ABI64
_LARGEST_STEP = 8


def name_room(part: Slice, header: Header, commands: Commands) -> int:
    """Return the bytes by which the names in a slice's load commands may grow at most: what `CommandList.squeeze` can win."""
    try:
        content = lowest_content(part, header, commands)
    except UnreadableBinary:
        return 0  # the editor refuses such a file
    items = CommandList.read(part, header)
    items.squeeze(0)
    free = unused_end(part, header.size + header.commands_size, content)
    odd = sum(1 for command in items.present() if _is_odd(command, header))
    return max(free - items.end - odd * _LARGEST_STEP, 0)


def _is_odd(command: Command, header: Header) -> bool:
    """Tell whether a name starts elsewhere than `lacking` believes, as in dylib_use_command: the command's size is rounded otherwise."""
    if command.number not in (ID_DYLIB, RPATH, *DYLIBS):
        return False
    offset = int.from_bytes(command.new[8:12], "little" if header.order == "<" else "big")
    return offset != (_RPATH_HEAD if command.number == RPATH else _DYLIB_HEAD)


def lacking(before: Image, after: Image, *, sign: bool = False) -> int:
    """Return the bytes that a slice lacks to become `after`, which has other names; 0 and less when there is room.

    With `sign` it gets a signature if it has none, which takes a command, too.
    """
    native = before.native
    assert isinstance(native, MachOFacts)
    signature = _SIGNATURE if sign and native.signature is None else 0
    return _names_size(after) - _names_size(before) + signature - native.name_room


def _names_size(image: Image) -> int:
    """Return the bytes of the commands that carry names, without spare ones."""
    native = image.native
    assert isinstance(native, MachOFacts)
    names = [need.name for need in image.needed] + ([image.identity] if image.identity is not None else [])
    sizes = [_DYLIB_HEAD + _length(name) for name in names]
    sizes += [_RPATH_HEAD + _length(path.text) for path in image.search_paths]
    step = 8 if native.cpu_type & _WIDE else 4
    return sum(-(-size // step) * step for size in sizes)


def _length(name: str) -> int:
    return len(name.encode("utf-8", "surrogateescape")) + 1
