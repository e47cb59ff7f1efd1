"""One folder per operating system: its binary format, its loader, its promises. The table, and the sniffing of first bytes."""

import functools
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from relocator.buffer import Buffer
from relocator.loading import Process, World
from relocator.model import Binary, Format, Image, Load
from relocator.target import Promises, Target

if TYPE_CHECKING:
    from relocator.plans import Edit, Patchset


class Backend(Protocol):
    """What every operating system's folder offers; a module is one."""

    FORMAT: Format

    def recognises(self, head: bytes, /) -> bool:
        """Tell from the first bytes whether a file may be of this format."""

    def read(self, buffer: Buffer, /, *, verify_signatures: bool = False) -> tuple[Image, ...]:
        """Return the images, none when a closer look shows that no loader maps the file; raise UnreadableBinary for a damaged one."""

    def constants(self, buffer: Buffer, image: Image, /) -> tuple[tuple[int, int], ...]:
        """Return (offset in the buffer, size) of the regions where an image keeps string literals; they may overlap.

        `image` is one that `read` returned for the same buffer.
        """

    def prepare(self, buffer: Buffer, edits: "Sequence[Edit]", /) -> "Patchset":
        """Return the patches that carry out all edits of one file together; raise EditRefused or UnreadableBinary, and write nothing."""

    def check_layout(self, data: "bytes | Buffer", /) -> tuple[str, ...]:
        """Return one line for each rule about where things lie that a whole file breaks; none for a sound one."""

    def load(self, root: Binary, arch: str, world: World, process: Process, /) -> Load:
        """Return what one root brings into the process, as the system's loader would."""

    def promises(self, target: Target, arch: str, /) -> Promises | None:
        """Return what the target promises for an architecture, None when we know nothing of it."""


BACKENDS = {Format.ELF: "linux", Format.MACHO: "macos", Format.PE: "windows"}
"""Format to folder; a backend is imported when the first file of its format turns up."""

_ASKED = {
    b"\x7fE": Format.ELF,
    b"MZ": Format.PE,
    **dict.fromkeys((b"\xce\xfa", b"\xcf\xfa", b"\xfe\xed", b"\xca\xfe"), Format.MACHO),
}
"""Which backend to ask about a file, by its first two bytes."""

_FORMAT_OF_SYSTEM = {
    "linux": Format.ELF,
    "android": Format.ELF,
    "macos": Format.MACHO,
    "ios": Format.MACHO,
    "windows": Format.PE,
}

_OTHERS = (
    (b"!<arch>\n", "static archive"),
    (b"!<thin>\n", "static archive"),
    (b"\0asm", "WebAssembly module"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"\xde\xc0\x17\x0b", "LLVM bitcode"),
    (b"\0\0\xff\xff", "object file"),  # IMAGE_FILE_MACHINE_UNKNOWN, 0xFFFF: import object or /bigobj (PE format, "Import Header")
)
_COFF_OBJECTS = (b"\x64\x86", b"\x4c\x01", b"\x64\xaa", b"\xc4\x01")


def identify(head: bytes) -> Backend | None:
    """Return the backend whose format the first 64 bytes announce."""
    asked = _ASKED.get(head[:2])
    if asked is None:
        return None
    backend = backend_for(asked)
    return backend if backend.recognises(head) else None


@functools.cache
def backend_for(binary_format: Format) -> Backend:
    """Return the backend of a format."""
    return cast(Backend, import_module(f"{__name__}.{BACKENDS[binary_format]}"))


def format_of_system(system: str) -> Format | None:
    """Return the format that a target's operating system loads; None when it is undecided or loads none of ours."""
    return _FORMAT_OF_SYSTEM.get(system)


def kind_of(head: bytes, name: str) -> str:
    """Name a file that no loader maps but a developer knows, such as a static archive; "" for everything else."""
    for magic, kind in _OTHERS:
        if head.startswith(magic):
            return kind
    if head[:2] in _COFF_OBJECTS and name.lower().endswith((".o", ".obj")):
        return "object file"
    return ""
