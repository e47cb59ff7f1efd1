"""What the headers of one image say beyond needs, paths and names, in the words of `readelf`, `otool` and `dumpbin`.

Names of flags are those of <elf.h>, <mach-o/loader.h> and winnt.h.
"""

from collections.abc import Iterable, Iterator

from relocator.model import Image
from relocator.native import Dylib, ElfFacts, MachOFacts, PeFacts

_DF = {1: "ORIGIN", 2: "SYMBOLIC", 4: "TEXTREL", 8: "BIND_NOW", 0x10: "STATIC_TLS"}
_DF_1 = {
    **{0x1: "NOW", 0x2: "GLOBAL", 0x4: "GROUP", 0x8: "NODELETE", 0x10: "LOADFLTR", 0x20: "INITFIRST", 0x40: "NOOPEN", 0x80: "ORIGIN"},
    **{0x100: "DIRECT", 0x400: "INTERPOSE", 0x800: "NODEFLIB", 0x8000000: "PIE"},
}
_ELF_TYPES = {2: "ET_EXEC", 3: "ET_DYN"}
_MACHO_TYPES = {2: "MH_EXECUTE", 6: "MH_DYLIB", 8: "MH_BUNDLE"}
_MH = {
    **{0x1: "NOUNDEFS", 0x4: "DYLDLINK", 0x80: "TWOLEVEL", 0x100: "FORCE_FLAT", 0x8000: "WEAK_DEFINES", 0x10000: "BINDS_TO_WEAK"},
    **{0x100000: "NO_REEXPORTED_DYLIBS", 0x200000: "PIE", 0x800000: "HAS_TLV_DESCRIPTORS", 0x2000000: "APP_EXTENSION_SAFE"},
}
_FILE = {0x2: "EXECUTABLE_IMAGE", 0x20: "LARGE_ADDRESS_AWARE", 0x100: "32BIT_MACHINE", 0x200: "DEBUG_STRIPPED", 0x2000: "DLL"}
_DLL = {
    **{0x20: "HIGH_ENTROPY_VA", 0x40: "DYNAMIC_BASE", 0x80: "FORCE_INTEGRITY", 0x100: "NX_COMPAT", 0x200: "NO_ISOLATION"},
    **{0x400: "NO_SEH", 0x800: "NO_BIND", 0x1000: "APPCONTAINER", 0x4000: "GUARD_CF", 0x8000: "TERMINAL_SERVER_AWARE"},
}
_SUBSYSTEMS = {1: "native", 2: "Windows GUI", 3: "Windows console", 9: "Windows CE", 10: "EFI application"}


def particulars(image: Image) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of what else the headers say, in the order of the file; a name may come more than once."""
    native = image.native
    match native:
        case ElfFacts():
            return tuple(_of_elf(native))
        case MachOFacts():
            return tuple(_of_macho(native))
        case PeFacts():
            return tuple(_of_pe(native))


def _of_elf(native: ElfFacts) -> Iterator[tuple[str, str]]:
    order = "big-endian" if native.big_endian else "little-endian"
    yield "e_type", f"{_ELF_TYPES.get(native.type, native.type)}, {native.bits} bit, {order}"
    if native.header_flags:
        yield "e_flags", hex(native.header_flags)
    if native.interpreter is not None:
        yield "PT_INTERP", native.interpreter
    for segment in native.segments:
        yield "PT_LOAD", f"{segment.vaddr:#x}, {segment.memsz:#x} bytes, {_access(segment.flags)}, aligned to {segment.align:#x}"
    yield "PT_GNU_STACK", "absent" if native.stack_flags is None else _access(native.stack_flags)
    if native.relro:
        yield "PT_GNU_RELRO", "full" if native.bind_now else "partial: the procedure linkage table stays writable"
    if native.tls_size:
        yield "PT_TLS", f"{native.tls_size} bytes"
    yield from _flags("DT_FLAGS", native.flags, _DF)
    yield from _flags("DT_FLAGS_1", native.flags_1, _DF_1)
    for name, there in (("DT_TEXTREL", native.text_relocations), ("DT_RELR", native.relr)):
        if there:
            yield name, "there"
    if native.version_definitions:
        yield "DT_VERDEF", ", ".join(native.version_definitions)
    if native.build_id:
        yield "build ID", native.build_id


def _access(flags: int) -> str:
    return "".join(letter if flags & bit else "-" for bit, letter in ((4, "r"), (2, "w"), (1, "x")))


def _of_macho(native: MachOFacts) -> Iterator[tuple[str, str]]:
    yield "filetype", _MACHO_TYPES.get(native.file_type, str(native.file_type))
    yield from _flags("flags", native.flags, _MH)
    if native.identity:
        yield "LC_ID_DYLIB", _versions(native.identity)
    for dylib in native.dylibs:
        yield dylib.command, f"{dylib.name} ({_versions(dylib)})"
    if native.platform:
        yield "platform", native.platform + (f", SDK {'.'.join(map(str, native.sdk))}" if native.sdk else "")
    if native.uuid:
        yield "LC_UUID", native.uuid
    yield "fixups", "chained" if native.chained_fixups else "opcodes or relocations"
    yield "room", f"{native.header_room} bytes for more load commands"
    signature = native.signature
    if signature is None:
        yield "signature", "none"
        return
    pages = f"{len(signature.bad_pages)} wrong page hashes" if signature.bad_pages else "page hashes right" if signature.verified else ""
    yield "signature", ", ".join(filter(None, (signature.kind, signature.identifier, pages, signature.problem)))


def _packed(version: int) -> str:
    return f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}"


def _versions(dylib: Dylib) -> str:
    return f"current version {_packed(dylib.current_version)}, compatibility version {_packed(dylib.compatibility_version)}"


def _of_pe(native: PeFacts) -> Iterator[tuple[str, str]]:
    yield "format", f"PE32{'+' if native.plus else ''}, made by linker {'.'.join(map(str, native.linker_version))}"
    yield from _flags("Characteristics", native.characteristics, _FILE)
    yield from _flags("DllCharacteristics", native.dll_characteristics, _DLL)
    yield "Subsystem", _SUBSYSTEMS.get(native.subsystem, str(native.subsystem))
    if native.dependent_load_flags:
        yield "DependentLoadFlags", hex(native.dependent_load_flags)
    for name in native.bound_imports:
        yield "bound import", name
    for name_of, target in native.forwarders:
        yield "forwarder", f"{name_of.decode('utf-8', 'surrogateescape')} = {target}"
    for name, value in (("file version", native.file_version), ("debug ID", native.debug_id), ("PDB", native.pdb)):
        if value:
            yield name, value
    yield "room", f"{native.header_room} bytes behind the section table"
    if native.certificate_size:
        yield "certificate", f"{native.certificate_size} bytes"
    if native.overlay_size:
        yield "overlay", f"{native.overlay_size} bytes behind the last section"


def _flags(name: str, value: int, names: dict[int, str]) -> Iterable[tuple[str, str]]:
    """Yield the flags that are set; none for a field that is 0."""
    if value:
        known = [word for bit, word in names.items() if value & bit]
        rest = value & ~sum(names)
        yield name, " ".join([*known, *([hex(rest)] if rest else [])])
