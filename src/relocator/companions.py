"""Files that lie beside a library and belong to it: its debugging symbols, its import library."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from relocator.files import on_disk
from relocator.repairs import Origin

SYMBOLS, IMPORTS = ".pdb", ".lib"


def companions(path: str, endings: Collection[str]) -> Iterator[Origin]:
    """Yield the readable files of the library's folder that are called like it but for their ending, in any case, sorted."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0].casefold()
    for entry in sorted(_listed(on_disk(folder or "/"))):
        begin, dot, ending = entry.rpartition(".")
        if begin.casefold() == stem and f"{dot}{ending}".casefold() in endings:
            yield from _origin(f"{folder}/{entry}", name)


def _listed(folder: str) -> list[str]:
    try:
        return [entry.name for entry in Path(folder).iterdir()]
    except OSError:
        return []


def _origin(path: str, library: str) -> Iterator[Origin]:
    try:
        with Path(on_disk(path)).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError:
        return
    yield Origin(path, digest, size, f"beside {library}")
