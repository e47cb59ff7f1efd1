"""Facts that only one binary format has: read by that format's loader and rules, by nobody else."""

from dataclasses import dataclass
from typing import NamedTuple


class Segment(NamedTuple):
    """One ELF PT_LOAD header. Sizes, offsets and addresses in bytes."""

    offset: int
    vaddr: int
    filesz: int
    memsz: int
    flags: int
    align: int


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """What an ELF file says beyond what every format says (System V gABI, chapters 4 and 5)."""

    machine: int
    """e_machine."""
    bits: int
    """32 or 64, from EI_CLASS."""
    big_endian: bool
    """EI_DATA is ELFDATA2MSB."""
    type: int
    """e_type: 2 ET_EXEC, 3 ET_DYN."""
    osabi: int = 0
    header_flags: int = 0
    """e_flags: the ARM float ABI, the PowerPC ABI version, ..."""
    interpreter: str | None = None
    """PT_INTERP."""
    rpath: str | None = None
    """DT_RPATH as written, unsplit; None when absent (an empty string is a present, empty path)."""
    runpath: str | None = None
    """DT_RUNPATH as written, unsplit."""
    flags: int = 0
    """DT_FLAGS."""
    flags_1: int = 0
    """DT_FLAGS_1."""
    dynamic: bool = True
    """Has a PT_DYNAMIC; a static program has none."""
    filtees: tuple[str, ...] = ()
    """DT_AUXILIARY and DT_FILTER: libraries whose symbols glibc takes before this one's; it maps them as if they were needed, and musl and
    bionic do not."""
    symbolic: bool = False
    """DT_SYMBOLIC or DF_SYMBOLIC."""
    version_definitions: tuple[str, ...] = ()
    """Names in DT_VERDEF without the base one."""
    stack_flags: int | None = None
    """p_flags of PT_GNU_STACK; None when there is none, which means the architecture's default."""
    relro: bool = False
    """Has PT_GNU_RELRO."""
    bind_now: bool = False
    """DT_BIND_NOW, DF_BIND_NOW or DF_1_NOW."""
    text_relocations: bool = False
    """DT_TEXTREL or DF_TEXTREL."""
    relr: bool = False
    """Has packed relative relocations (DT_RELR, or DT_ANDROID_RELR)."""
    tls_size: int = 0
    """p_memsz of PT_TLS."""
    tls_align: int = 0
    static_tls: bool = False
    """DF_STATIC_TLS."""
    segments: tuple[Segment, ...] = ()
    build_id: str | None = None
    """NT_GNU_BUILD_ID in hexadecimal."""
    isa_needed: int = 0
    """GNU_PROPERTY_X86_ISA_1_NEEDED: bit 0 baseline, 1 x86-64-v2, 2 v3, 3 v4."""
    features: int = 0
    """GNU_PROPERTY_X86_FEATURE_1_AND (1 IBT, 2 SHSTK) or GNU_PROPERTY_AARCH64_FEATURE_1_AND (1 BTI, 2 PAC)."""
    android_api: int | None = None
    """API level of the Android ident note."""
    package_note: str | None = None
    """JSON text of the .note.package (FDO) note."""
    debug_size: int = 0
    """Bytes of sections with debugging information, as stored; 0 when the section headers are absent or make no sense."""
    symbols_size: int = 0
    """Bytes of the symbol table that no loader reads (.symtab); 0 as above."""
    warnings: tuple[str, ...] = ()
    """What is odd but does not concern the loader, such as section headers beyond the end."""


class Dylib(NamedTuple):
    """One Mach-O dylib load command; versions are packed X.Y.Z as written (16.8.8 bits)."""

    name: str
    command: str
    """LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, ..., as in <mach-o/loader.h>."""
    current_version: int
    compatibility_version: int
    flags: int = 0
    """Flags of the newer dylib_use_command form (1 weak, 2 re-export, 4 upward, 8 delayed init), else 0."""


@dataclass(frozen=True, slots=True)
class Signature:
    """An embedded code signature (LC_CODE_SIGNATURE). Page numbers count from 0 at the start of the slice."""

    kind: str
    """"adhoc", "linker-signed" or "cms" (signed with an identity)."""
    identifier: str
    flags: int
    page_size: int
    verified: bool = False
    """Page hashes were computed and compared."""
    bad_pages: tuple[int, ...] = ()
    """Pages whose hash differs, at most the first 16."""
    problem: str = ""
    """What else is wrong with it: cut short, not at the end of __LINKEDIT, covers too little; "" when nothing."""


@dataclass(frozen=True, slots=True)
class MachOFacts:
    """What a Mach-O slice says beyond what every format says (<mach-o/loader.h>)."""

    cpu_type: int
    cpu_subtype: int
    file_type: int
    """2 MH_EXECUTE, 6 MH_DYLIB, 8 MH_BUNDLE, ..."""
    flags: int
    platform: str
    """"macos", "ios", "iossimulator", "maccatalyst", ...; "" when no command says."""
    sdk: tuple[int, ...] = ()
    dylibs: tuple[Dylib, ...] = ()
    """Same order and length as the image's `needed`; a two-level ordinal N names dylibs[N - 1]."""
    identity: Dylib | None = None
    """LC_ID_DYLIB."""
    uuid: str | None = None
    two_level: bool = True
    """MH_TWOLEVEL."""
    chained_fixups: bool = False
    signature: Signature | None = None
    header_room: int = 0
    """Unused bytes between the load commands and the first section."""
    name_room: int = 0
    """Bytes by which the names in load commands may grow: `header_room` as far as nothing lies there, spare bytes within commands, and
    commands that may go."""
    slice_offset: int = 0
    """Where the slice starts in a fat file, in bytes; 0 in a thin one."""
    slice_size: int = 0
    fat: bool = False
    """The file is a universal one."""
    debug_size: int = 0
    """Bytes of the __DWARF segment."""
    objc_classes: tuple[str, ...] = ()
    """Names of the Objective-C classes that it defines, exported or not; sorted."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeFacts:
    """What a PE file says beyond what every format says (Microsoft PE format specification)."""

    machine: int
    """IMAGE_FILE_HEADER.Machine."""
    plus: bool
    """PE32+ (64-bit) rather than PE32."""
    characteristics: int = 0
    dll_characteristics: int = 0
    subsystem: int = 0
    subsystem_version: tuple[int, int] = (0, 0)
    linker_version: tuple[int, int] = (0, 0)
    dependent_load_flags: int = 0
    """Load configuration: LOAD_LIBRARY_SEARCH_* that replace the caller's flags for this module's imports."""
    guard_flags: int = 0
    hybrid: bool = False
    """Load configuration has CHPE metadata: ARM64EC or ARM64X code."""
    managed: bool = False
    """Holds .NET's code alone: runs on every processor, whatever `machine` says."""
    bound_imports: tuple[str, ...] = ()
    forwarders: tuple[tuple[bytes, str], ...] = ()
    """Exported name and the "module.symbol" that it forwards to."""
    file_version: str | None = None
    """VS_FIXEDFILEINFO file version, a.b.c.d."""
    product_version: str | None = None
    version_strings: tuple[tuple[str, str], ...] = ()
    """StringFileInfo, sorted by key."""
    debug_id: str | None = None
    """CodeView RSDS: GUID and age."""
    pdb: str | None = None
    """CodeView path of the .pdb."""
    certificate_size: int = 0
    overlay_size: int = 0
    """Bytes after the last section's raw data, certificate included."""
    manifest_dependencies: tuple[str, ...] = ()
    """assemblyIdentity names in the side-by-side manifest's dependencies."""
    header_room: int = 0
    """Unused bytes between the section table and SizeOfHeaders."""
    debug_size: int = 0
    """Bytes of COFF symbols and of sections called .debug*."""
    writable_code: tuple[str, ...] = ()
    """Names of the sections that can be written and run."""
    warnings: tuple[str, ...] = ()


Native = ElfFacts | MachOFacts | PeFacts
