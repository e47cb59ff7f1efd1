"""Reads ELF files into images: everything that glibc's, musl's and Android's loaders, our rules and planners want to know.

By segments only: PT_LOAD says what is mapped, PT_DYNAMIC what the loader acts on. Section headers can be absent or lie.

Specification: System V gABI; the psABI of each architecture for e_machine and e_flags.
"""

from relocator.backends.linux.debugging import unneeded
from relocator.backends.linux.dynamic import (
    DT_ANDROID_RELR,
    DT_BIND_NOW,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_RELR,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_SYMBOLIC,
    DT_TEXTREL,
    Dynamic,
    Strings,
    Versions,
    read_dynamic,
    read_versions,
)
from relocator.backends.linux.headers import (
    ET_CORE,
    ET_DYN,
    ET_EXEC,
    ET_REL,
    MAGIC,
    PT_DYNAMIC,
    PT_GNU_RELRO,
    PT_GNU_STACK,
    PT_INTERP,
    PT_TLS,
    ElfFile,
    Header,
    check_segments,
    only_debugging,
    read_headers,
    read_programs,
)
from relocator.backends.linux.notes import Notes, read_notes
from relocator.backends.linux.symbols import read_symbols
from relocator.buffer import Buffer, c_string, cut, text
from relocator.errors import UnreadableBinary
from relocator.model import Format, Image, Needed, SearchPath
from relocator.native import ElfFacts, Segment
from relocator.symbols import NoSymbols

_ARCHES = {
    2: {(32, True): "sparc"},
    3: {(32, False): "i686"},
    8: {(32, True): "mips", (32, False): "mipsel", (64, True): "mips64", (64, False): "mips64el"},
    20: {(32, True): "ppc"},
    21: {(64, True): "ppc64", (64, False): "ppc64le"},
    22: {(32, True): "s390", (64, True): "s390x"},
    40: {(32, False): "armv7l", (32, True): "armv7b"},
    43: {(64, True): "sparc64"},
    50: {(64, False): "ia64"},
    62: {(64, False): "x86_64", (32, False): "x32"},
    183: {(64, False): "aarch64", (64, True): "aarch64_be", (32, False): "aarch64_ilp32"},
    243: {(64, False): "riscv64", (32, False): "riscv32"},
    258: {(64, False): "loongarch64", (32, False): "loongarch32"},
    0x9026: {(64, False): "alpha"},
}
"""By e_machine, then by bits and whether it is big-endian: what wheel tags call it, where they call it anything."""

_OTHER_PROCESSORS = frozenset({190, 224, 247})
"""EM_CUDA, EM_AMDGPU, EM_BPF: code that a driver or the kernel takes, and no dynamic loader."""

_LONGEST_PATH = 4096  # PATH_MAX, which the kernel allows an interpreter's path
_DF_SYMBOLIC, _DF_TEXTREL, _DF_BIND_NOW, _DF_STATIC_TLS = 2, 4, 8, 0x10
_DF_1_NOW, _DF_1_PIE = 1, 0x8000000


def recognises(head: bytes) -> bool:
    """Tell from the first bytes whether a file may be ELF; objects and core files look the same until `read` has a closer look."""
    return head[:4] == MAGIC


def read(buffer: Buffer, *, verify_signatures: bool = False) -> tuple[Image, ...]:
    """Return the image, none for what no loader maps: object files, core files, GPU code, debugging information on its own.

    Raises UnreadableBinary when the file is cut within anything that a loader uses, or when a table of the loader makes no sense.
    """
    shape, header = read_headers(buffer)
    if header.type in (ET_REL, ET_CORE) or header.machine in _OTHER_PROCESSORS:
        return ()
    if header.type not in (ET_EXEC, ET_DYN):
        raise UnreadableBinary("e_type", f"is {header.type}: neither a program nor a shared object", 16)
    programs = read_programs(buffer, shape, header)
    empty = any(program.type == PT_DYNAMIC and not program.filesz for program in programs)
    try:
        check_segments(programs, len(buffer))
        if empty:
            raise UnreadableBinary("PT_DYNAMIC", "the dynamic section is empty")
    except UnreadableBinary:
        if only_debugging(buffer, shape, header):
            return ()
        raise
    return (_image(ElfFile(buffer, shape, header, programs)),)


def arch_name(machine: int, bits: int, big_endian: bool) -> str:
    """Return the name of an architecture as wheel tags spell it; "machine N" for one that no tag knows."""
    return _ARCHES.get(machine, {}).get((bits, big_endian), f"machine {machine}")


def _image(file: ElfFile) -> Image:
    dynamic = read_dynamic(file)
    interpreter, notes = _interpreter(file), read_notes(file)
    shape, header = file.shape, file.header
    versions = read_versions(file, dynamic) if dynamic else Versions()
    symbols = read_symbols(file, dynamic, versions) if dynamic else NoSymbols()
    present = dynamic or Dynamic({}, (), Strings(b""))
    soname = present.string(DT_SONAME, "DT_SONAME")
    rpath, runpath = present.string(DT_RPATH, "DT_RPATH"), present.string(DT_RUNPATH, "DT_RUNPATH")
    paths = [SearchPath(part, "DT_RPATH") for part in rpath.split(":")] if rpath is not None else []
    paths += [SearchPath(part, "DT_RUNPATH") for part in runpath.split(":")] if runpath is not None else []
    flags_1 = present.values.get(DT_FLAGS_1, 0)
    program = header.type == ET_EXEC or bool(flags_1 & _DF_1_PIE) or (interpreter is not None and soname is None)
    return Image(
        Format.ELF,
        arch_name(header.machine, 64 if shape.wide else 32, shape.order == ">"),
        "program" if program else "library",
        _facts(file, dynamic, (interpreter, rpath, runpath), versions.definitions, notes),
        tuple(Needed(name) for name in present.needed),
        tuple(paths),
        soname,
        symbols,
        versions.needs,
        (notes.android_api,) if notes.android_api is not None else (),
    )


def _facts(
    file: ElfFile, dynamic: Dynamic | None, texts: tuple[str | None, str | None, str | None], definitions: tuple[str, ...], notes: Notes
) -> ElfFacts:
    """Return the native facts; `texts` are PT_INTERP, DT_RPATH and DT_RUNPATH."""
    header, values = file.header, dynamic.values if dynamic else {}
    flags, flags_1 = values.get(DT_FLAGS, 0), values.get(DT_FLAGS_1, 0)
    stack, tls, waste = file.last(PT_GNU_STACK), file.last(PT_TLS), unneeded(file)
    return ElfFacts(
        machine=header.machine,
        bits=64 if file.shape.wide else 32,
        big_endian=file.shape.order == ">",
        type=header.type,
        osabi=header.osabi,
        header_flags=header.flags,
        interpreter=texts[0],
        rpath=texts[1],
        runpath=texts[2],
        flags=flags,
        flags_1=flags_1,
        dynamic=dynamic is not None,
        filtees=dynamic.filtees if dynamic else (),
        symbolic=DT_SYMBOLIC in values or bool(flags & _DF_SYMBOLIC),
        version_definitions=definitions,
        stack_flags=stack.flags if stack else None,
        relro=file.first(PT_GNU_RELRO) is not None,
        bind_now=DT_BIND_NOW in values or bool(flags & _DF_BIND_NOW or flags_1 & _DF_1_NOW),
        text_relocations=DT_TEXTREL in values or bool(flags & _DF_TEXTREL),
        relr=DT_RELR in values or DT_ANDROID_RELR in values,
        tls_size=tls.memsz if tls else 0,
        tls_align=tls.align if tls else 0,
        static_tls=bool(flags & _DF_STATIC_TLS),
        segments=tuple(Segment(load.offset, load.vaddr, load.filesz, load.memsz, load.flags, load.align) for load in file.loads),
        build_id=notes.build_id,
        isa_needed=notes.isa_needed,
        features=notes.features,
        android_api=notes.android_api,
        package_note=notes.package_note,
        debug_size=waste.debugging,
        symbols_size=waste.symbols,
        warnings=(*_warnings(file.buffer, header), *notes.warnings),
    )


def _interpreter(file: ElfFile) -> str | None:
    program = file.first(PT_INTERP)
    if program is None:
        return None
    raw = cut(file.buffer, program.offset, program.filesz, "PT_INTERP")
    return text(c_string(raw[:_LONGEST_PATH], 0, "PT_INTERP"))


def _warnings(buffer: Buffer, header: Header) -> tuple[str, ...]:
    """Return what is odd about the section headers, which no loader reads."""
    end = header.section_offset + header.section_size * header.section_count
    if header.section_offset and header.section_count and end > len(buffer):
        return (f"the section headers end at {end:#x}, the file at {len(buffer):#x}",)
    return ()
