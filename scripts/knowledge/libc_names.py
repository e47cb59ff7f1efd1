"""The names that glibc defines, read from the one of the machine that runs this: python scripts/knowledge/libc_names.py, on Linux.

Not one of update_knowledge's tables, since it depends on the machine. Private names (GLIBC_PRIVATE) are left out.
"""

import ctypes.util
import datetime
import json
import os
import platform
from itertools import groupby
from pathlib import Path

from relocator.backends import linux

PLACE = Path(__file__).parents[2] / "src" / "relocator" / "knowledge" / "libc_names.json"
LIBRARIES = ("c", "m", "dl", "pthread", "rt", "util", "resolv")


def names() -> list[str]:
    """Return the public names of all of glibc's libraries."""
    found: set[str] = set()
    for library in LIBRARIES:
        file = Path(f"/lib/{platform.machine()}-linux-gnu") / str(ctypes.util.find_library(library))
        (image,) = linux.read(memoryview(file.read_bytes()), verify_signatures=False)
        found.update(export.name.decode() for export in image.symbols.exports() if export.version != b"GLIBC_PRIVATE")
    return sorted(name for name in found if not name.startswith(("_Z", "GLIBC_")))


def main() -> None:
    """Write the table, names of one initial in one line."""
    lines = {initial: " ".join(group) for initial, group in groupby(names(), key=lambda name: name[:1])}
    source = f"dynamic symbols of glibc {os.confstr('CS_GNU_LIBC_VERSION')} on {platform.machine()}".replace("glibc glibc", "glibc")
    text = json.dumps({"source": source, "date": datetime.date.today().isoformat(), "names": lines}, indent=0)
    PLACE.write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
