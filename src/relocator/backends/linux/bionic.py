"""How Android's linker finds libraries (bionic/linker/linker.cpp: open_library; linker_soinfo.cpp, set_dt_runpath).

The level that counts is the tag's: the oldest system that the package promises to work on. Namespaces are not modelled: what an
application's process may open is what it brought along and the public libraries of the system, the promised ones.
"""

from collections.abc import Iterator

from relocator.backends.linux.linker import Linker, Mapped, Step, search
from relocator.loading import Process, World, directory
from relocator.model import Binary, Tried

RUNPATH_LEVEL = 24
"""API level of the first linker that reads DT_RUNPATH; none reads DT_RPATH."""
SONAME_LEVEL = 23
"""API level of the first linker that compares names with DT_SONAME, and not with the file's name."""


class Bionic(Linker):
    """bionic's process."""

    name = "bionic"

    def __init__(self, root: Binary, arch: str, world: World, process: Process) -> None:
        super().__init__(root, arch, world, process)
        self.level = next(iter(process.target.floor(arch)), RUNPATH_LEVEL)

    def register(self, mapped: Mapped, requested: str) -> None:
        """Note the SONAME; before `SONAME_LEVEL` the last part of the path."""
        name = mapped.image.identity if self.level >= SONAME_LEVEL else mapped.binary.path.rpartition("/")[2]
        if name:
            self.known.setdefault(name, mapped)

    def steps(self, importer: Mapped) -> Iterator[Step]:
        """Yield where bionic looks: LD_LIBRARY_PATH, then the importer's own RUNPATH."""
        for element in self.process.variable("LD_LIBRARY_PATH").split(":"):
            if element:
                yield search(element, f"LD_LIBRARY_PATH: {element}")
        yield from self._runpath(importer)

    def _runpath(self, importer: Mapped) -> Iterator[Step]:
        """Yield the elements of DT_RUNPATH; $ORIGIN is the folder of the file itself, links resolved (unlike glibc's)."""
        facts, member = importer.facts, importer.binary.member
        if facts.rpath:
            yield Tried(facts.rpath, f"DT_RPATH of {member}", "ignored: bionic reads DT_RUNPATH only")
        if not facts.runpath:
            return
        if self.level < RUNPATH_LEVEL:
            yield Tried(facts.runpath, f"DT_RUNPATH of {member}", f"ignored below API level {RUNPATH_LEVEL}")
            return
        origin = directory(importer.binary.path)
        library = "lib64" if facts.bits == 64 else "lib"
        for element in facts.runpath.split(":"):
            if element:
                said_by = "" if element.startswith("/") else origin
                yield search(_expanded(element, origin, library), f"DT_RUNPATH of {member}: {element}", said_by)


def _expanded(element: str, origin: str, library: str) -> str:
    for token, value in (("ORIGIN", origin), ("LIB", library)):
        element = element.replace("${" + token + "}", value).replace("$" + token, value)
    return element
