"""Every fixture with every kind of edit that its format knows: for tests that look at all of them."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from conftest import FIXTURES
from relocator.backends import identify
from relocator.editing import AddPath, KeepPaths, Wish
from relocator.errors import UnreadableBinary
from relocator.model import Format, Image
from relocator.plans import (
    AddNeeded,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
)

LONG = "a-rather-long-name-with-a-hash-3f2a91c0"
_NAMES = {
    Format.ELF: (f"lib{LONG}.so.3", "libadded.so.1", "libnew.so.7", "$ORIGIN"),
    Format.MACHO: (f"@rpath/lib{LONG}.dylib", "@rpath/libadded.dylib", "@rpath/libnew.7.dylib", "@loader_path"),
    Format.PE: (f"{LONG}.dll", "added.dll!#4", "new.dll", ""),
}


@cache
def fixtures() -> tuple[Path, ...]:
    """Return the binaries that can be read."""
    return tuple(path for path in sorted((FIXTURES / "bin").rglob("*")) if path.is_file() and _images(path))


def _images(path: Path) -> tuple[Image, ...]:
    data = path.read_bytes()
    backend = identify(data[:64])
    try:
        return backend.read(memoryview(data)) if backend else ()
    except UnreadableBinary:
        return ()


def wishes(images: tuple[Image, ...]) -> Iterator[tuple[str, list[Wish]]]:
    """Yield a name for each kind of edit, and the edits; some are refused for some files."""
    image = images[0]
    other, added, identity, origin = _NAMES[image.format]
    yield "set-paths", [SetSearchPaths((f"{origin}/../{LONG}.libs", f"{origin}/x"))]
    yield "remove-paths", [SetSearchPaths(())]
    yield "add-path", [AddPath(f"{origin}/../x")]
    yield "keep-paths", [KeepPaths()]
    yield "add-need", [AddNeeded(added)]
    yield "identity", [SetIdentity(identity)]
    yield "stack", [SetExecutableStack(True)]
    yield "no-stack", [SetExecutableStack(False)]
    yield "interpreter", [SetInterpreter("/lib/some-other/ld-linux-longer-than-before.so.2")]
    yield "resign", [Resign()]
    for position in {0, len(image.needed) - 1} if image.needed else ():
        need = image.needed[position].name
        yield f"rename-{position}", [ReplaceNeeded(need, other)]
        yield f"remove-{position}", [RemoveNeeded(need)]
    if len(image.needed) > 1:
        first, last = image.needed[0].name, image.needed[-1].name
        yield "merge", [ReplaceNeeded(first, last)]
        yield "swap", [ReplaceNeeded(first, last), ReplaceNeeded(last, first)]
    everything: list[Wish] = [AddNeeded(added), SetIdentity(identity)]
    everything += [SetSearchPaths((f"{origin}/{LONG}",))] if origin else []
    everything += [ReplaceNeeded(image.needed[0].name, other)] if image.needed else []
    yield "everything", everything
