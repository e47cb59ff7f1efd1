"""How glibc's ld.so finds libraries (elf/dl-load.c, elf/dl-deps.c).

Decisions where the answer depends on a machine that we do not have:
- `$LIB` is what the distribution configured: lib64 on most, lib/<multiarch> on Debian's family, lib elsewhere and on 32-bit systems. Each
  is a candidate; within one path element they are tried in this order.
- `$PLATFORM` is what the kernel or the processor's model gives: the known values are candidates in the same way.
- glibc-hwcaps subdirectories (glibc 2.33) are looked into before their directory. Here the plain file is taken when both exist, since every
  processor can use it; a file that lies only in a subdirectory counts as found, the newest level first. The older scheme (tls/, haswell/,
  x86_64/) went away with glibc 2.37, so nothing may count on it and it is not tried.
- A file of the other byte order is an error for glibc as published. Debian's passes it over; a package cannot count on that.
- The process of a shared object is a Python of unknown build. Its own needs are unknown, but the C library and the loader are there.
"""

from collections.abc import Iterator

from relocator.backends.linux.linker import Directory, Linker, Mapped, Step, Verdict, facts_of, image_of, search
from relocator.loading import Process, Seen, World, directory
from relocator.model import Binary, Tried
from relocator.native import ElfFacts

DF_1_NODEFLIB = 0x800
DF_1_PIE = 0x8000000
ET_EXEC = 2

_HWCAPS = {
    "x86_64": ("x86-64-v4", "x86-64-v3", "x86-64-v2"),
    "ppc64le": ("power10", "power9"),
    "s390x": ("z17", "z16", "z15", "z14", "z13"),
}
"""Newest first (sysdeps/*/dl-hwcaps-subdirs.c)."""

_MULTIARCH = {
    "x86_64": ("lib64", "x86_64-linux-gnu"),
    "aarch64": ("lib64", "aarch64-linux-gnu"),
    "ppc64le": ("lib64", "powerpc64le-linux-gnu"),
    "ppc64": ("lib64", "powerpc64-linux-gnu"),
    "s390x": ("lib64", "s390x-linux-gnu"),
    "riscv64": ("lib64/lp64d", "riscv64-linux-gnu"),
    "loongarch64": ("lib64", "loongarch64-linux-gnu"),
    "i686": ("lib", "i386-linux-gnu"),
    "armv7l": ("lib", "arm-linux-gnueabihf"),
}
_PLATFORM = {
    "x86_64": ("x86_64", "haswell", "xeon_phi"),
    "i686": ("i686", "i586"),
    "aarch64": ("aarch64",),
    "armv7l": ("v7l", "v8l"),
    "ppc64le": ("power8", "power9", "power10"),
    "s390x": ("z13", "z14", "z15", "z16"),
}
_TOKENS = ("ORIGIN", "PLATFORM", "LIB")
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
"""A token that one of these follows is part of a longer name, and so none of ours."""


class Glibc(Linker):
    """glibc's process."""

    name = "glibc"

    def __init__(self, root: Binary, arch: str, world: World, process: Process) -> None:
        super().__init__(root, arch, world, process)
        self._environment = process.variable("LD_LIBRARY_PATH")
        self._rpaths: dict[int, tuple[Step, ...]] = {}
        self._hwcaps = _HWCAPS.get(arch, ())
        if not self.alone and process.promises is not None and (process.host is None or process.sources is not None):
            always = ("libc.so.6", *process.promises.always)
            self.known.update((name, None) for name in always if process.promised(name, arch))

    def register(self, mapped: Mapped, requested: str) -> None:
        """Note the SONAME and the name that it was found by: the first file to bear a name keeps it (_dl_lookup_map)."""
        for name in (requested, mapped.image.identity):
            if name:
                self.known.setdefault(name, mapped)

    def foreign(self, facts: ElfFacts) -> Verdict:
        """Judge as open_verify does: another class or machine is passed over, another byte order is an error."""
        if facts.bits == self.facts.bits and facts.big_endian != self.facts.big_endian:
            return Verdict("other byte order", final=True)
        return Verdict("other architecture")

    def judge(self, seen: Seen) -> Verdict:
        """Refuse programs, which cannot be mapped into a running process (DF_1_PIE: since glibc 2.30)."""
        verdict = super().judge(seen)
        if verdict.binary is not None:
            facts = facts_of(image_of(verdict.binary, self.arch))
            if facts.type == ET_EXEC or facts.flags_1 & DF_1_PIE:
                return Verdict("a program", final=True)
        return verdict

    def without_defaults(self, importer: Mapped) -> str:
        """Leave out the cache and the default directories for DF_1_NODEFLIB."""
        return "excluded by DF_1_NODEFLIB" if importer.facts.flags_1 & DF_1_NODEFLIB else ""

    def paths(self, importer: Mapped, name: str) -> Iterator[str]:
        """Replace the tokens in a need (dl-deps.c, expand_dst)."""
        return self._expanded(name, directory(importer.path))

    def steps(self, importer: Mapped) -> Iterator[Step]:
        """Yield where glibc looks; a RUNPATH, even an empty one, switches all RPATHs off for its object."""
        searched = False
        for steps in self._lists(importer, importer.facts.runpath):
            searched = searched or bool(steps)
            yield from steps
        if searched and self._hwcaps:
            yield Tried(f".../glibc-hwcaps/{{{','.join(self._hwcaps)}}}", "and the glibc-hwcaps subdirectories of each", "absent")

    def _lists(self, importer: Mapped, runpath: str | None) -> Iterator[tuple[Step, ...]]:
        if runpath is None:
            visited: Mapped | None = importer
            main_seen = False
            while visited is not None:
                main_seen |= visited is self.main
                yield self._rpath(visited)
                visited = visited.parent
            if self.main is not None and not main_seen:
                yield self._rpath(self.main)
        if self._environment:
            origin = directory(self.main.path) if self.main is not None else None
            yield self._filled_in(self._environment.replace(";", ":"), origin, "LD_LIBRARY_PATH")
        if runpath:
            yield self._filled_in(runpath, directory(importer.path), f"DT_RUNPATH of {importer.binary.member}")

    def _rpath(self, mapped: Mapped) -> tuple[Step, ...]:
        rpath = mapped.facts.rpath
        if not rpath or mapped.facts.runpath is not None:
            return ()
        if id(mapped) not in self._rpaths:
            self._rpaths[id(mapped)] = self._filled_in(rpath, directory(mapped.path), f"DT_RPATH of {mapped.binary.member}")
        return self._rpaths[id(mapped)]

    def _filled_in(self, text: str, origin: str | None, via: str) -> tuple[Step, ...]:
        """Return one list's directories; what comes to nothing or is spelled like an earlier one is dropped (fillin_rpath)."""
        found: dict[str, tuple[str, str]] = {}
        for element in text.split(":"):
            for folder in self._expanded(element, origin) if element else ("",):
                said_by = "" if element.startswith("/") else origin or ""
                found.setdefault(folder.rstrip("/") or folder[:1], (f"{via}: {element or 'empty element'}", said_by))
        return tuple(step for folder, (why, said_by) in found.items() for step in self._with_subdirectories(search(folder, why, said_by)))

    def _with_subdirectories(self, step: Directory) -> Iterator[Directory]:
        yield step
        if step.prefix.startswith("/"):
            for level in self._hwcaps:
                yield Directory(f"{step.prefix}glibc-hwcaps/{level}/", f"{step.via}, glibc-hwcaps subdirectory", True, step.origin)

    def _expanded(self, text: str, origin: str | None) -> Iterator[str]:
        """Yield a text with its dynamic string tokens replaced, once for each value that they may have on the target."""
        if "$" not in text:
            yield text
            return
        slib, triplet = _MULTIARCH.get(self.arch, ("lib", ""))
        libs = dict.fromkeys([slib, f"lib/{triplet}", "lib"] if triplet else [slib]) if "LIB" in text else ("",)
        platforms = _PLATFORM.get(self.arch, (None,)) if "PLATFORM" in text else ("",)
        for lib in libs:
            for platform in platforms:
                expanded = substitute(text, {"ORIGIN": origin, "PLATFORM": platform, "LIB": lib})
                if expanded:
                    yield expanded


def substitute(text: str, values: dict[str, str | None]) -> str:
    """Replace `$NAME` and `${NAME}` (_dl_dst_substitute); "" when one of them has no value. Other dollars stay as they are."""
    pieces: list[str] = []
    start = 0
    while (dollar := text.find("$", start)) >= 0:
        pieces.append(text[start:dollar])
        token, length = _token(text, dollar + 1)
        if token:
            value = values[token]
            if value is None:
                return ""
            pieces.append(value)
        else:
            pieces.append("$")
        start = dollar + 1 + length
    return "".join(pieces) + text[start:]


def _token(text: str, start: int) -> tuple[str, int]:
    """Return the token after a dollar and how many characters it takes there; ("", 0) when there is none (is_dst)."""
    for token in _TOKENS:
        if text.startswith("{" + token + "}", start):
            return token, len(token) + 2
        end = start + len(token)
        if text.startswith(token, start) and text[end : end + 1] not in _NAME_CHARACTERS:
            return token, len(token)
    return "", 0
