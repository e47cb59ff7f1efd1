"""Which of Linux's three loaders opens a file, and what it brings into the process."""

from relocator.backends.linux.bionic import Bionic
from relocator.backends.linux.glibc import Glibc
from relocator.backends.linux.linker import Linker, image_of
from relocator.backends.linux.musl import Musl
from relocator.libc import libc_of
from relocator.loading import Process, World
from relocator.model import Binary, Load

_MODELS: dict[str, type[Linker]] = {"glibc": Glibc, "musl": Musl, "bionic": Bionic}


def load(root: Binary, arch: str, world: World, process: Process) -> Load:
    """Return what one root brings into the process; pure.

    The loader is the target's. Where the target leaves it open it is the one that the root was built for.
    """
    libc = libc_of(image_of(root, arch), process.target)
    return _MODELS[libc](root, arch, world, process).load()
