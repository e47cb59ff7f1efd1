"""Which of Linux's three loaders opens a file, and what it brings into the process."""

from relocator.backends.linux.bionic import Bionic
from relocator.backends.linux.glibc import Glibc
from relocator.backends.linux.libc import evidence_of_libc
from relocator.backends.linux.linker import Linker, image_of
from relocator.backends.linux.musl import Musl
from relocator.loading import Process, World
from relocator.model import Binary, Image, Load
from relocator.target import Target

_MODELS: dict[str, type[Linker]] = {"glibc": Glibc, "musl": Musl, "bionic": Bionic}


def load(root: Binary, arch: str, world: World, process: Process) -> Load:
    """Return what one root brings into the process; pure.

    The loader is the target's. Where the target leaves it open it is the one that the root was built for.
    """
    libc = libc_of(image_of(root, arch), process.target)
    return _MODELS[libc](root, arch, world, process).load()


def libc_of(image: Image, target: Target) -> str:
    """Return "glibc", "musl" or "bionic": as the target says, else as the image's own marks tell, else glibc."""
    if target.libc in _MODELS:
        return target.libc
    if target.os == "android":
        return "bionic"
    if libc := evidence_of_libc(image).libc:
        return libc
    names = {needed.name for needed in image.needed}
    return "musl" if "libc.so" in names else "bionic" if "liblog.so" in names else "glibc"
