"""How musl's dynamic linker finds libraries (ldso/dynlink.c: load_library, path_open, fixup_rpath)."""

from collections.abc import Iterator

from relocator.backends.linux.linker import Linker, Mapped, Step, search
from relocator.loading import directory
from relocator.model import Tried

_RESERVED = tuple(f"lib{part}." for part in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
"""Whatever follows, these are musl itself; so is libc.musl-x86_64.so.1."""


class Musl(Linker):
    """musl's process."""

    name = "musl"

    def own(self, name: str) -> str:
        """Take the names of libc's parts and the linker's own path, which never lead to a file."""
        return "musl itself" if name.startswith((*_RESERVED, "/lib/ld-musl-")) else ""

    def register(self, mapped: Mapped, requested: str) -> None:
        """Note the last part of the path, once a search has found the file: never a SONAME, and nothing for what was opened by path."""
        if requested:
            self.known.setdefault(mapped.path.rpartition("/")[2], mapped)

    def steps(self, importer: Mapped) -> Iterator[Step]:
        """Yield where musl looks: LD_LIBRARY_PATH, then the paths of the importer and of all that led to it, the program last."""
        for element in elements(self.process.variable("LD_LIBRARY_PATH")):
            yield search(element, f"LD_LIBRARY_PATH: {element}")
        link: Mapped | None = importer
        main_seen = False
        while link is not None:
            main_seen |= link is self.main
            yield from self._along(link)
            link = link.parent
        if self.main is not None and not main_seen:
            yield from self._along(self.main)

    def _along(self, mapped: Mapped) -> Iterator[Step]:
        facts = mapped.facts
        tag, text = ("DT_RPATH", facts.rpath) if facts.runpath is None else ("DT_RUNPATH", facts.runpath)
        if not text:
            return
        via = f"{tag} of {mapped.binary.member}"
        # fixup_rpath: one dollar that starts no $ORIGIN, and the whole text is dropped
        if text.count("$") != text.count("$ORIGIN") + text.count("${ORIGIN}"):
            yield Tried(text, via, "ignored: a $ that is not $ORIGIN")
            return
        # the kernel names the program, links resolved; every other file is named as it was opened
        origin = directory(mapped.binary.path if mapped is self.main else mapped.path)
        for element in elements(text):
            expanded = element.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
            yield search(expanded, f"{via}: {element}", "" if element.startswith("/") else origin)


def elements(text: str) -> list[str]:
    """Split a search path at colons and line ends; empty elements do not count (path_open)."""
    return [element for element in text.replace("\n", ":").split(":") if element]
