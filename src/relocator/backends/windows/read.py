"""Reads PE files (.pyd, .dll, .exe) into images: everything that the Windows loader, our rules and planners want to know.

Specification: Microsoft's PE format; winnt.h for the load configuration and the CodeView record.
"""

import struct

from relocator.backends.windows.layout import (
    BOUND_IMPORTS,
    CERTIFICATES,
    CLR,
    DEBUG,
    LOAD_CONFIG,
    Layout,
    Region,
    header_offset,
    read_layout,
)
from relocator.backends.windows.resources import read_manifest_dependencies, read_version
from relocator.backends.windows.sections import SectionFacts, read_section_facts
from relocator.backends.windows.symbols import Collector, Exports, PeSymbols
from relocator.buffer import Buffer, cut, text
from relocator.errors import UnreadableBinary
from relocator.model import Format, Image
from relocator.native import PeFacts

_ARCHES = {0x14C: "win32", 0x8664: "amd64", 0xAA64: "arm64", 0x1C0: "arm32", 0x1C2: "arm32", 0x1C4: "arm32"}
_DLL = 0x2000  # IMAGE_FILE_DLL

_DEPENDENT_LOAD_FLAGS = {False: 0x36, True: 0x4E}
_GUARD_FLAGS = {False: 0x58, True: 0x90}
_CHPE_METADATA = {False: (0x7C, 4), True: (0xC8, 8)}
"""Offsets in IMAGE_LOAD_CONFIG_DIRECTORY32 and 64, by PE32+."""
_CONFIG_KNOWN = 0xD0
"""Bytes up to the last of these fields."""

_DEBUG_ENTRY = struct.Struct("<12x4I")
_CODEVIEW = 2  # IMAGE_DEBUG_TYPE_CODEVIEW
_LONGEST_PDB = 1024
_IL_ONLY, _NEEDS_32_BIT = 0x1, 0x2  # COMIMAGE_FLAGS_*


def recognises(head: bytes) -> bool:
    """Tell from the first bytes whether a file may be PE; DOS programs and text look the same until `read` has a closer look."""
    return head[:2] == b"MZ"


def arch_name(machine: int) -> str:
    """Return the architecture as wheel tags spell it, or "machine-XXXX"."""
    return _ARCHES.get(machine, f"machine-{machine:04X}")


def read(buffer: Buffer, *, verify_signatures: bool = False) -> tuple[Image, ...]:
    """Return the image, none for what has no PE header. Raises UnreadableBinary when a table that Windows uses is cut or makes no sense.

    Authenticode signatures are not verified: they do not concern the loader.
    """
    start = header_offset(buffer)
    if start is None:
        return ()
    layout = read_layout(buffer, start)
    warnings: list[str] = []
    collector = Collector(layout)
    exports = collector.exports(warnings)
    tables, imported = collector.imports()
    symbols = PeSymbols(tuple(tables), b"\0".join(imported), b"\0".join(exports.names), exports.ordinals, exports.forwards)
    return (
        Image(
            Format.PE,
            arch_name(layout.machine),
            "library" if layout.characteristics & _DLL else "program",
            _facts(layout, read_section_facts(buffer, start), collector, exports, warnings),
            tuple(table.needed for table in tables),
            (),
            exports.identity,
            symbols,
            (),
            layout.subsystem_version,
        ),
    )


def _facts(layout: Layout, sections: SectionFacts, collector: Collector, exports: Exports, warnings: list[str]) -> PeFacts:
    config = _load_config(layout)
    names = dict(zip(exports.ordinals, exports.names, strict=False))
    debug_id, pdb = _code_view(layout, warnings)
    version = read_version(layout, warnings)
    return PeFacts(
        machine=layout.machine,
        plus=layout.plus,
        characteristics=layout.characteristics,
        dll_characteristics=layout.dll_characteristics,
        subsystem=layout.subsystem,
        subsystem_version=layout.subsystem_version,
        linker_version=layout.linker_version,
        dependent_load_flags=_number(config, _DEPENDENT_LOAD_FLAGS[layout.plus], 2),
        guard_flags=_number(config, _GUARD_FLAGS[layout.plus], 4),
        hybrid=_number(config, *_CHPE_METADATA[layout.plus]) != 0,
        managed=_is_managed(layout),
        bound_imports=_bound_imports(collector, warnings),
        forwarders=tuple((names.get(ordinal, b""), target) for ordinal, target in exports.forwards),
        file_version=version.file,
        product_version=version.product,
        version_strings=version.strings,
        debug_id=debug_id,
        pdb=pdb,
        certificate_size=_certificate_size(layout, warnings),
        overlay_size=max(len(layout.buffer) - layout.end, 0),
        manifest_dependencies=read_manifest_dependencies(layout, bool(layout.characteristics & _DLL), warnings),
        header_room=_header_room(layout),
        debug_size=sections.debug_size,
        writable_code=sections.writable_code,
        warnings=tuple(warnings),
    )


def _load_config(layout: Layout) -> bytes:
    """Return the load configuration as far as we know its fields; the first one says how much of it there is (not the directory)."""
    region = layout.region(LOAD_CONFIG)
    if region is None:
        return b""
    size = int.from_bytes(layout.cut(region.rva, 4, "load configuration"), "little")
    return layout.cut(region.rva, min(size, _CONFIG_KNOWN), "load configuration")


def _number(config: bytes, offset: int, size: int) -> int:
    """Return a field of the load configuration, 0 when it is too short to have it."""
    return int.from_bytes(config[offset : offset + size], "little") if offset + size <= len(config) else 0


def _is_managed(layout: Layout) -> bool:
    """Tell whether the file holds .NET's code alone, for whatever processor (ECMA-335, II.25.3.3)."""
    region = layout.region(CLR)
    if region is None:
        return False
    flags = int.from_bytes(layout.cut(region.rva + 16, 4, "CLR header"), "little")
    return flags & (_IL_ONLY | _NEEDS_32_BIT) == _IL_ONLY


def _bound_imports(collector: Collector, warnings: list[str]) -> tuple[str, ...]:
    try:
        return collector.bound()
    except UnreadableBinary as error:  # only saves the loader a search, so that it can do without
        warnings.append(error.message)
        return ()


def _code_view(layout: Layout, warnings: list[str]) -> tuple[str | None, str | None]:
    """Return the id of the debug information, as symbol servers spell it, and the path of the .pdb."""
    region = layout.region(DEBUG)
    if region is None:
        return None, None
    try:
        entries = layout.cut(region.rva, region.size - region.size % _DEBUG_ENTRY.size, "debug directory")
        for kind, size, _, offset in _DEBUG_ENTRY.iter_unpack(entries):
            if kind == _CODEVIEW:
                record = bytes(cut(layout.buffer, offset, min(size, 24 + _LONGEST_PDB), "CodeView record"))
                if record[:4] == b"RSDS" and len(record) >= 24:
                    return _debug_id(record), text(record[24:].partition(b"\0")[0])
    except UnreadableBinary as error:
        warnings.append(error.message)
    return None, None


def _debug_id(record: bytes) -> str:
    first, second, third = struct.unpack_from("<I2H", record, 4)
    age = int.from_bytes(record[20:24], "little")
    return f"{first:08X}{second:04X}{third:04X}{record[12:20].hex().upper()}{age:X}"


def _certificate_size(layout: Layout, warnings: list[str]) -> int:
    region = layout.region(CERTIFICATES)
    if region is None:
        return 0
    if region.rva + region.size > len(layout.buffer):
        warnings.append(f"the certificate table ends at {region.rva + region.size:#x}, the file at {len(layout.buffer):#x}")
    return region.size


def _header_room(layout: Layout) -> int:
    """Return the bytes behind the section table that nothing uses; bound imports lie there too."""
    end = min(layout.headers_size, layout.first_content)
    bound = layout.region(BOUND_IMPORTS) or Region(end, 0)
    if layout.table_end <= bound.rva < end:
        end = bound.rva
    return max(end - layout.table_end, 0)
