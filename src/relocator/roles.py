"""What each binary is for: what an import reaches, what runs as a program, what is merely carried along.

An extension module is told by its file name *and* its init function (CPython's Python/importdl.c and PEP 489, 793): the name alone
would make modules of most plug-ins, the symbol alone of libraries that embed an interpreter.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from relocator.model import Binary, Format, Hint, How, Image, Load, Role
from relocator.native import PeFacts
from relocator.target import Target

SUFFIXES = (".so", ".pyd")
"""What the last part of an extension module's file name can be; all that stands between it and the first dot is a tag."""

INIT_PREFIXES = (b"PyInit_", b"PyModExport_", b"_cffi_pypyinit_", b"HPyInit_", b"init")
"""An init function's name before the module's: PEP 489, PEP 793, cffi for PyPy, HPy, Python 2."""

UNICODE_INIT_PREFIXES = (b"PyInitU_", b"PyModExportU_")
"""The same before a name outside ASCII, in punycode with "_" for "-" (PEP 489)."""

FORMAT_OF = {"linux": Format.ELF, "android": Format.ELF, "macos": Format.MACHO, "ios": Format.MACHO, "windows": Format.PE}
"""The format that each operating system's loader maps."""

_HYBRID = frozenset({"arm64", "amd64"})
_LIBRARY_ENDINGS = (".so", ".dylib", ".dll", ".pyd")


def split_name(file_name: str) -> tuple[str, str, str] | None:
    """Split "_core.cpython-312-darwin.so" into "_core", "cpython-312-darwin" and ".so"; None when no module is ever called so.

    ".PYD" is an ending too: Windows' Python finds the file where PYTHONCASEOK is set.
    """
    for suffix in SUFFIXES:
        written = file_name[-len(suffix) :]
        if written == suffix or (suffix == ".pyd" and written.lower() == suffix):
            stem, _, tag = file_name.removesuffix(written).partition(".")
            return stem, tag, written
    return None


def init_names(module: str) -> tuple[bytes, ...]:
    """Return the names of the functions by which some Python would start a module; `module` is the last part of its name."""
    if module.isascii():
        return tuple(prefix + module.encode() for prefix in INIT_PREFIXES)
    try:
        encoded = module.encode("punycode").replace(b"-", b"_")
    except UnicodeEncodeError:  # a member name that is not UTF-8 holds surrogates: no identifier, no module
        return ()
    return tuple(prefix + encoded for prefix in UNICODE_INIT_PREFIXES)


def exported_names(image: Image) -> Iterator[bytes]:
    """Yield the names that an image exports as C spells them: Mach-O puts an underscore before each."""
    lead = b"_" if image.format == Format.MACHO else b""
    for export in image.symbols.exports():
        if export.name.startswith(lead):
            yield export.name[len(lead) :]


def extension_name(path_in_site: str, image: Image) -> str | None:
    """Return the dotted name by which Python imports a file, None when it is no extension module.

    `path_in_site` is relative to the folder that holds the modules. The name starts after the last folder that no import statement can
    spell, so that a Python kept inside a package still has the modules that it has. Decodes the exports only when the raw tables mention
    the init function.
    """
    *folders, file_name = path_in_site.split("/")
    parts = split_name(file_name)
    if parts is None:
        return None
    stem, _, suffix = parts
    for module in _spellings(stem, suffix, folders[-1] if folders else ""):
        wanted = [name for name in init_names(module) if image.symbols.mentions(name)]
        if wanted and not set(wanted).isdisjoint(exported_names(image)):
            return ".".join([*_importable(folders), *([] if stem == "__init__" else [module])]) or module
    return None


def _spellings(stem: str, suffix: str, folder: str) -> Iterator[str]:
    """Yield what the module may be called by its init function."""
    if stem == "__init__" and folder:
        yield folder
    if (
        f"_{stem}".isidentifier()
    ):  # mypyc's groups start with a digit, 81d243bd2c585b0f4821__mypyc: importlib takes what no statement can spell
        yield stem
    if suffix.lower() == ".pyd" and stem.endswith("_d"):  # a debug build of Python adds it (PC/pyconfig.h and importlib's suffixes)
        yield stem.removesuffix("_d")


def _importable(folders: Sequence[str]) -> list[str]:
    names: list[str] = []
    for folder in folders:
        names = [*names, folder] if folder.isidentifier() else []
    return names


def maps(target: Target, binary: Binary) -> bool:
    """Tell whether the target's loader maps the file on one of the target's architectures.

    PE files with code for both ARM64 and ARM64EC (ARM64X) fit processes of both kinds.
    """
    return FORMAT_OF.get(target.os) == binary.format and any(
        image.arch in target.arches or (isinstance(image.native, PeFacts) and image.native.hybrid and not _HYBRID.isdisjoint(target.arches))
        for image in binary.images
    )


def assign_roles(
    binaries: Iterable[Binary], loads: Iterable[Load], hints: Iterable[Hint], owners: Mapping[str, str] = MappingProxyType({})
) -> tuple[Binary, ...]:
    """Return the binaries with their roles; `extension` is set already, and there is a Load for every image that the target's loader maps.
    `owners` tells which distribution brings a source, by its member; without it all are of one.

    Imported are the extension modules, the libraries that Python sources open, all that these bring with them, and a file that one of
    them looked for and passed over because it is of another architecture.
    """
    binaries, loads = tuple(binaries), tuple(loads)
    roots = {binary.path for binary in binaries if binary.extension} | _opened(binaries, loads, tuple(hints), owners)
    reached = {path for load in loads if load.root in roots for path in (*load.order, *_passed_over(load))} | roots
    return tuple(_with_role(binary, binary.path in reached) for binary in binaries)


def _with_role(binary: Binary, reached: bool) -> Binary:
    program = any(image.kind == "program" for image in binary.images)
    role = Role.IMPORTED if reached else Role.PROGRAM if program else Role.PAYLOAD
    return binary if binary.role == role else dataclasses.replace(binary, role=role)


def _passed_over(load: Load) -> Iterator[str]:
    for resolution in load.resolutions:
        if resolution.how == How.MISSING:
            yield from (tried.place for tried in resolution.tried)


def _opened(binaries: Sequence[Binary], loads: Sequence[Load], hints: Sequence[Hint], owners: Mapping[str, str]) -> set[str]:
    """Return the paths of the libraries that Python sources open by themselves (ctypes, cffi, torch.ops)."""
    calls = [hint for hint in hints if hint.call == "cdll"]
    arguments = {hint.argument for hint in calls if hint.argument}
    names = {argument.rpartition("/")[2].casefold() for argument in arguments}
    found = {binary.path for binary in binaries if binary.path in arguments or not names.isdisjoint(_asked_for(binary.path))}
    computing = {owners.get(hint.member) for hint in calls if hint.argument is None}
    for owner in dict.fromkeys(binary.owner for binary in binaries) if computing else ():
        own = [binary for binary in binaries if binary.owner == owner]
        if not computing.isdisjoint((owner, None)) and not any(binary.extension or binary.path in found for binary in own):
            found |= _by_elimination(own, loads)
    return found


def _asked_for(path: str) -> tuple[str, ...]:
    """Return the names by which a program may ask for a library: that of the file, and without its ending."""
    name = path.rpartition("/")[2].casefold()
    return (name, *(name.removesuffix(ending) for ending in _LIBRARY_ENDINGS if name.endswith(ending)))


def _by_elimination(binaries: Sequence[Binary], loads: Sequence[Load]) -> set[str]:
    """Return the only library that nothing else brings: a package without modules that computes a library's name means that one."""
    brought = {path for load in loads for path in load.order[1:]}
    left = {binary.path for binary in binaries if binary.path not in brought and all(image.kind != "program" for image in binary.images)}
    return left if len(left) == 1 else set()
