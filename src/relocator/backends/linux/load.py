"""Which of Linux's three loaders opens a file, and what it brings into the process."""

from relocator.backends.linux.bionic import Bionic
from relocator.backends.linux.glibc import Glibc
from relocator.backends.linux.linker import Linker, facts_of, image_of
from relocator.backends.linux.musl import Musl
from relocator.loading import Process, World
from relocator.model import Binary, Image, Load
from relocator.target import Target

_MODELS: dict[str, type[Linker]] = {"glibc": Glibc, "musl": Musl, "bionic": Bionic}
_ANDROID_ONLY = frozenset({"liblog.so", "libdl.so", "libm.so", "libandroid.so"})
"""Names without a version that Android's linker knows and no other Linux."""


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
    facts = facts_of(image)
    interpreter = facts.interpreter or ""
    names = {needed.name for needed in image.needed}
    if facts.android_api is not None or interpreter.startswith("/system/bin/linker"):
        return "bionic"
    if "/ld-musl-" in interpreter or any(name.startswith(("libc.musl-", "ld-musl-")) for name in names):
        return "musl"
    if "libc.so" in names or "liblog.so" in names:
        # musl has one library for all of libc; a file that names the parts beside it was linked with the NDK
        return "bionic" if names & _ANDROID_ONLY else "musl"
    return "glibc"
