"""In-memory Surveys and wheels for decision tables: small, explicit, without any file."""

import base64
import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Container, Iterable, Mapping

from relocator.model import (
    PREFIX,
    Binary,
    ContainerFacts,
    Distribution,
    Format,
    Hint,
    Image,
    Load,
    Member,
    Needed,
    NeedKind,
    Resolution,
    Role,
    SearchPath,
    Survey,
    Unreadable,
    VersionNeed,
)
from relocator.native import Dylib, ElfFacts, MachOFacts, PeFacts
from relocator.symbols import Export, Import, References, SymbolTable
from relocator.target import Level, Promises, Target

SITE = f"{PREFIX}/lib/python3/site-packages"


@dataclasses.dataclass(frozen=True)
class Symbols:
    """A symbol table made of lists."""

    imported: tuple[Import, ...] = ()
    exported: tuple[Export, ...] = ()
    referred: tuple[bytes, ...] = ()
    """Exports that the image itself refers to by name."""

    def imports(self) -> tuple[Import, ...]:
        return self.imported

    def exports(self) -> tuple[Export, ...]:
        return self.exported

    def mentions(self, fragment: bytes) -> bool:
        return any(fragment in s for s in [s.name for s in self.imported] + [s.name for s in self.exported])

    def references(self) -> References:
        strong = [i for i in self.imported if i.used and not i.weak and i.library != "<weak>"]
        sources = list(dict.fromkeys((i.version, i.library) for i in strong))
        names = tuple(i.name if i.ordinal is None else b"#%d" % i.ordinal for i in strong)
        return References(names, tuple(sources.index((i.version, i.library)) for i in strong), tuple(sources))

    def defines(self, wanted: Container[bytes]) -> list[Export]:
        found = [e for e in self.exported if e.name in wanted]
        return found + [e._replace(name=b"#%d" % (e.ordinal or 0)) for e in self.exported if b"#%d" % (e.ordinal or 0) in wanted]

    def unique(self) -> list[Export]:
        return [e for e in self.exported if e.unique]

    def preemptible(self) -> References:
        own = [e for e in self.exported if e.name in self.referred]
        sources = list(dict.fromkeys((e.version, "") for e in own))
        return References(tuple(e.name for e in own), tuple(sources.index((e.version, "")) for e in own), tuple(sources))


def symbols(imports: Iterable[Import | bytes] = (), exports: Iterable[Export | bytes] = (), referred: Iterable[bytes] = ()) -> SymbolTable:
    return Symbols(
        tuple(Import(i) if isinstance(i, bytes) else i for i in imports),
        tuple(Export(e) if isinstance(e, bytes) else e for e in exports),
        tuple(referred),
    )


def _needs(needed: Iterable[str | Needed]) -> tuple[Needed, ...]:
    return tuple(Needed(n, NeedKind.REQUIRED) if isinstance(n, str) else n for n in needed)


def elf(
    *needed: str | Needed,
    arch: str = "x86_64",
    rpath: str | None = None,
    runpath: str | None = None,
    soname: str | None = None,
    kind: str = "library",
    versions: Iterable[VersionNeed] = (),
    table: SymbolTable | None = None,
    minimum_os: tuple[int, ...] = (),
    **native: object,
) -> Image:
    """An ELF image; `native` overrides fields of ElfFacts."""
    facts = {"machine": 62, "bits": 64, "big_endian": False, "type": 3, "stack_flags": 6, "relro": True, **native}
    paths = [SearchPath(p, "DT_RPATH") for p in rpath.split(":")] if rpath is not None else []
    paths += [SearchPath(p, "DT_RUNPATH") for p in runpath.split(":")] if runpath is not None else []
    return Image(
        Format.ELF,
        arch,
        kind,
        ElfFacts(**facts, rpath=rpath, runpath=runpath),  # type: ignore[arg-type]
        _needs(needed),
        tuple(paths),
        soname,
        table or symbols(),
        tuple(versions),
        minimum_os,
    )


COMMANDS = {
    NeedKind.REQUIRED: "LC_LOAD_DYLIB",
    NeedKind.WEAK: "LC_LOAD_WEAK_DYLIB",
    NeedKind.REEXPORT: "LC_REEXPORT_DYLIB",
    NeedKind.UPWARD: "LC_LOAD_UPWARD_DYLIB",
    NeedKind.LAZY: "LC_LAZY_LOAD_DYLIB",
    NeedKind.DELAYED: "LC_LOAD_DYLIB",
}
"""Which command asks for a dylib in which way."""


def macho(
    *needed: str | Needed,
    arch: str = "arm64",
    rpaths: Iterable[str] = (),
    install_name: str | None = None,
    kind: str = "bundle",
    minimum_os: tuple[int, ...] = (11, 0),
    table: SymbolTable | None = None,
    **native: object,
) -> Image:
    """A Mach-O slice; `native` overrides fields of MachOFacts."""
    needs = _needs(needed)
    dylibs = tuple(Dylib(need.name, COMMANDS[need.kind], 0x10000, 0x10000) for need in needs)
    facts = {"cpu_type": 0x0100000C, "cpu_subtype": 0, "file_type": 8, "flags": 0x85, "platform": "macos", "dylibs": dylibs, **native}
    return Image(
        Format.MACHO,
        arch,
        kind,
        MachOFacts(**facts),  # type: ignore[arg-type]
        needs,
        tuple(SearchPath(p, "LC_RPATH") for p in rpaths),
        install_name,
        table or symbols(),
        (),
        minimum_os,
    )


def pe(*needed: str | Needed, arch: str = "amd64", name: str | None = None, table: SymbolTable | None = None, **native: object) -> Image:
    """A PE image; `native` overrides fields of PeFacts."""
    facts = {"machine": 0x8664, "plus": True, **native}
    return Image(Format.PE, arch, "library", PeFacts(**facts), _needs(needed), (), name, table or symbols())  # type: ignore[arg-type]


def binary(member: str, *images: Image, role: Role = Role.IMPORTED, extension: str | None = None, owner: str = "demo") -> Binary:
    return Binary(member, f"{SITE}/{member}", images, owner=owner, role=role, extension=extension)


MANYLINUX = Promises(
    "manylinux",
    "x86_64",
    (
        Level((2, 5), ("manylinux_2_5", "manylinux1"), frozenset({"libc.so.6", "libz.so.1", "libstdc++.so.6"}), frozenset({"GLIBC_2.2.5"})),
        Level(
            (2, 17),
            ("manylinux_2_17", "manylinux2014"),
            frozenset({"libc.so.6", "libm.so.6", "libz.so.1", "libstdc++.so.6"}),
            frozenset({"GLIBC_2.2.5", "GLIBC_2.14", "GLIBC_2.17", "GLIBCXX_3.4", "GLIBCXX_3.4.19"}),
            (("libz.so.1", frozenset({b"inflate_table"})),),
        ),
        Level(
            (2, 28),
            ("manylinux_2_28",),
            frozenset({"libc.so.6", "libm.so.6", "libz.so.1", "libstdc++.so.6"}),
            frozenset({"GLIBC_2.2.5", "GLIBC_2.14", "GLIBC_2.17", "GLIBC_2.28", "GLIBCXX_3.4", "GLIBCXX_3.4.19", "GLIBCXX_3.4.24"}),
        ),
    ),
    frozenset({"ld-linux-x86-64.so.2"}),
)
LINUX = Target("manylinux_2_17_x86_64", "linux", "glibc", (("x86_64", (2, 17)),), pythons=("cp312",), abis=("cp312",))
MACOS = Target("macosx_11_0_arm64", "macos", "", (("arm64", (11, 0)),), pythons=("cp312",), abis=("cp312",))
WINDOWS = Target("win_amd64", "windows", "", (("amd64", ()),), pythons=("cp312",), abis=("cp312",))


def survey(
    *binaries: Binary,
    target: Target = LINUX,
    promises: Iterable[Promises] | None = None,
    resolutions: Iterable[Resolution] = (),
    loads: Iterable[Load] | None = None,
    hints: Iterable[Hint] = (),
    unreadable: Iterable[Unreadable] = (),
    requires: Iterable[str] = (),
    **facts: object,
) -> Survey:
    """A Survey of a wheel "demo"; `facts` overrides fields of ContainerFacts."""
    found = tuple(resolutions)
    if loads is None:
        loads = [Load(found[0].importer, found[0].arch, "glibc", (found[0].importer,), found)] if found else []
    values: dict[str, object] = {
        "kind": "wheel",
        "subject": f"demo-1.0-cp312-cp312-{target.tag}.whl",
        "distributions": (Distribution("demo", "1.0", tuple(requires), SITE),),
        "tags": tuple(f"cp312-cp312-{tag}" for tag in target.tag.split(".")),
        "declared_tags": tuple(f"cp312-cp312-{tag}" for tag in target.tag.split(".")),
        "purelib": False,
        "dist_info": "demo-1.0.dist-info",
        **facts,
    }
    return Survey(
        ContainerFacts(**values),  # type: ignore[arg-type]
        target,
        (MANYLINUX,) if promises is None else tuple(promises),
        binaries,
        tuple(loads),
        tuple(hints),
        tuple(unreadable),
    )


def environment(*binaries: Binary, **facts: object) -> Survey:
    """A Survey of an environment "env"; `facts` as for `survey`."""
    values: dict[str, object] = {"kind": "environment", "subject": "env", "tags": (), "declared_tags": None, "dist_info": "", **facts}
    return survey(*binaries, **values)  # type: ignore[arg-type]


def record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def wheel(
    files: Mapping[str, bytes], name: str = "demo", version: str = "1.0", tags: Iterable[str] = ("cp312-cp312-manylinux_2_17_x86_64",)
) -> bytes:
    """A well-formed wheel with these files; METADATA, WHEEL and RECORD are added unless given."""
    info = f"{name}-{version}.dist-info"
    lines = "".join(f"Tag: {tag}\n" for tag in tags)
    contents = dict(files)
    contents.setdefault(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode())
    contents.setdefault(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n{lines}".encode())
    rows = "".join(f"{path},{record_hash(data)},{len(data)}\n" for path, data in contents.items()) + f"{info}/RECORD,,\n"
    contents.setdefault(f"{info}/RECORD", rows.encode())
    return archive(contents)


def archive(files: Mapping[str, bytes]) -> bytes:
    """A plain zip, every member dated 1980."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, data in files.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(info, data)
    return out.getvalue()


def member(name: str, data: bytes = b"", mode: int = 0o100644) -> Member:
    return Member(name, len(data), mode, hashlib.sha256(data).hexdigest())
