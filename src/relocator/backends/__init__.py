"""One folder per operating system: its binary format, its loader, its promises. The table, and the sniffing of first bytes."""

from typing import Protocol

from relocator.backends import linux, macos, windows
from relocator.buffer import Buffer
from relocator.loading import Process, World
from relocator.model import Binary, Format, Image, Load
from relocator.target import Promises, Target


class Backend(Protocol):
    """What every operating system's folder offers; a module is one."""

    FORMAT: Format

    def recognises(self, head: bytes, /) -> bool:
        """Tell from the first bytes whether a file may be of this format."""

    def read(self, buffer: Buffer, /, *, verify_signatures: bool = False) -> tuple[Image, ...]:
        """Return the images, none when a closer look shows that no loader maps the file; raise UnreadableBinary for a damaged one."""

    def load(self, root: Binary, arch: str, world: World, process: Process, /) -> Load:
        """Return what one root brings into the process, as the system's loader would."""

    def promises(self, target: Target, arch: str, /) -> Promises | None:
        """Return what the target promises for an architecture, None when we know nothing of it."""


BACKENDS: tuple[Backend, ...] = (linux, macos, windows)

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
    return next((backend for backend in BACKENDS if backend.recognises(head)), None)


def backend_for(binary_format: Format) -> Backend:
    """Return the backend of a format."""
    return next(backend for backend in BACKENDS if binary_format == backend.FORMAT)


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
