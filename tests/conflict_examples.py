"""One small environment for each rule about what packages do to one another; their owners are its distributions."""

import dataclasses
from collections.abc import Callable, Iterable

from builders import MACOS, SITE, WINDOWS, binary, elf, environment, macho, pe, symbols
from linked import installed
from relocator.backends.windows.promises import promises as windows
from relocator.model import Binary, Distribution, Survey
from relocator.symbols import Export, Import, SymbolTable
from relocator.target import Level, Promises

APPLE = Promises("macos", "arm64", (Level((), ()),), prefixes=("/usr/lib/", "/System/"))
LLVM = symbols(exports=[b"__kmpc_fork_call", b"omp_get_max_threads", b"GOMP_parallel"])
GNU = symbols(exports=[b"GOMP_parallel", b"omp_get_max_threads"])
LLVM_ON_MACOS = symbols(exports=[b"___kmpc_fork_call", b"_omp_get_max_threads"])


def owned(owner: str, one: Binary) -> Binary:
    """The same file as another distribution's."""
    return dataclasses.replace(one, owner=owner)


def part(owner: str, *needed: str, table: SymbolTable | None = None, **facts: object) -> Binary:
    """The ELF extension module of a distribution; it looks beside itself."""
    image = elf(*needed, table=table, **{"rpath": "$ORIGIN", **facts})  # type: ignore[arg-type]
    return owned(owner, binary(f"{owner}/_core.so", image, extension=f"{owner}._core"))


def shared(owner: str, name: str, *needed: str, table: SymbolTable | None = None, **facts: object) -> Binary:
    """An ELF library beside the module of a distribution; its soname is its name, and its build id tells it from others."""
    image = elf(*needed, table=table, **{"soname": name, "build_id": f"{owner}-{name}", **facts})  # type: ignore[arg-type]
    return owned(owner, binary(f"{owner}/{name}", image))


def pyd(owner: str, *needed: str, table: SymbolTable | None = None) -> Binary:
    """The Windows extension module of a distribution."""
    return owned(owner, binary(f"{owner}/_core.pyd", pe(*needed, table=table), extension=f"{owner}._core"))


def dll(owner: str, name: str, table: SymbolTable | None = None, **facts: object) -> Binary:
    """A DLL beside the module of a distribution; its debug id tells it from others."""
    return owned(owner, binary(f"{owner}/{name}", pe(table=table, name=name, **{"debug_id": f"{owner}-{name}", **facts})))  # type: ignore[arg-type]


def bundle(owner: str, *needed: str, **facts: object) -> Binary:
    """The macOS extension module of a distribution."""
    return owned(owner, binary(f"{owner}/_core.so", macho(*needed, **facts), extension=f"{owner}._core"))  # type: ignore[arg-type]


def dylib(owner: str, name: str, install_name: str, table: SymbolTable | None = None, **facts: object) -> Binary:
    """A macOS library in .dylibs of a distribution; its UUID tells it from others."""
    image = macho(install_name=install_name, kind="library", table=table, uuid=f"{owner}-{name}", **facts)  # type: ignore[arg-type]
    return owned(owner, binary(f"{owner}/.dylibs/{name}", image))


def on_macos(*binaries: Binary, **facts: object) -> Survey:
    """An environment on macOS."""
    return installed(*binaries, target=MACOS, promises=APPLE, **facts)  # type: ignore[arg-type]


def on_windows(*binaries: Binary, **facts: object) -> Survey:
    """An environment on Windows."""
    return installed(*binaries, target=WINDOWS, promises=windows(WINDOWS, "amd64"), **facts)  # type: ignore[arg-type]


def taking(library: str, *names: bytes) -> SymbolTable:
    """The table of a file that imports functions from a library."""
    return symbols([Import(name, library) for name in names])


def pairs(owners: Iterable[str], library: str, table: SymbolTable) -> list[Binary]:
    """For each owner a module and a library of its own, called by the owner's name."""
    return [one for owner in owners for one in (part(owner, f"{library}-{owner}.so"), shared(owner, f"{library}-{owner}.so", table=table))]


def _duplicate_openmp() -> Survey:
    return on_macos(
        bundle("learn", "@loader_path/.dylibs/libomp.dylib"),
        dylib("learn", "libomp.dylib", "/DLC/learn/.dylibs/libomp.dylib", LLVM_ON_MACOS),
        bundle("tensor", "@rpath/libomp.dylib", rpaths=["@loader_path/.dylibs"]),
        dylib("tensor", "libomp.dylib", "@rpath/libomp.dylib", LLVM_ON_MACOS),
    )


def _duplicate_runtime() -> Survey:
    table = symbols(exports=[Export(b"OpenSSL_version")])
    return installed(
        part("demo", "libcrypto-demo.so", "libclient.so"),
        shared("demo", "libcrypto-demo.so", table=table),
        shared("demo", "libclient.so", "libcrypto-other.so", rpath="$ORIGIN"),
        shared("demo", "libcrypto-other.so", table=table),
    )


def _soname_conflict() -> Survey:
    return installed(
        part("demo", "libfoo.so.1", table=taking("", b"foo_new")),
        shared("demo", "libfoo.so.1", table=symbols(exports=[b"foo_new", b"foo_open"])),
        part("other", "libfoo.so.1", table=taking("", b"foo_open")),
        shared("other", "libfoo.so.1", table=symbols(exports=[b"foo_open"])),
    )


def _dll_name_conflict() -> Survey:
    return on_windows(
        pyd("demo", "python312.dll", "foo.dll", table=taking("foo.dll", b"foo_new")),
        dll("demo", "foo.dll", symbols(exports=[b"foo_new", b"foo_open"]), file_version="2.0.0.0"),
        pyd("other", "python312.dll", "FOO.dll", table=taking("FOO.dll", b"foo_open")),
        dll("other", "foo.dll", symbols(exports=[b"foo_open"]), file_version="1.4.0.0"),
    )


def _duplicate_objc_class() -> Survey:
    name = "libavdevice.61.dylib"
    return on_macos(
        *(bundle(owner, f"@loader_path/.dylibs/{name}") for owner in ("av", "cv2")),
        *(dylib(owner, name, f"/DLC/{owner}/.dylibs/{name}", objc_classes=("AVFFrameReceiver",)) for owner in ("av", "cv2")),
    )


def _pip_conda_overlap() -> Survey:
    both = (
        Distribution("numpy", "1.26.4", source="conda"),
        Distribution("numpy", "2.3.0", root=SITE, installer="pip", source="pip", metadata=f"{SITE}/numpy-2.3.0.dist-info"),
    )
    return environment(part("numpy"), distributions=both)


def _static_tls_exhaustion() -> Survey:
    return installed(
        *(part(owner, f"lib{owner}.so.1") for owner in ("demo", "other")),
        shared("demo", "libdemo.so.1", static_tls=True, tls_size=1200, tls_align=64),
        shared("other", "libother.so.1", static_tls=True, tls_size=700, tls_align=16),
    )


def _cuda_major_mismatch() -> Survey:
    return installed(
        part("demo", "libcublasLt.so.11"),
        part("tensor", "libcublasLt.so.12"),
        shared("tensor", "libcublasLt.so.12"),
    )


def _older_msvc_runtime() -> Survey:
    return on_windows(
        pyd("demo", "python312.dll", "MSVCP140.dll", table=taking("MSVCP140.dll", b"_Mtx_lock")),
        dll("demo", "msvcp140.dll", symbols(exports=[b"_Mtx_lock", b"_Mtx_init_in_situ"]), file_version="14.29.30139.0"),
    )


def _undeclared_provider() -> Survey:
    return installed(part("demo", "libfoo.so.1", rpath="$ORIGIN/../other"), part("other", "libfoo.so.1"), shared("other", "libfoo.so.1"))


def _order_dependent_load() -> Survey:
    return on_macos(
        bundle("boost", "@rpath/libomp.dylib", rpaths=["/opt/homebrew/opt/libomp/lib"], sdk=(15, 0)),
        bundle("tensor", "@rpath/libomp.dylib", rpaths=["@loader_path/.dylibs"]),
        dylib("tensor", "libomp.dylib", "@rpath/libomp.dylib", LLVM_ON_MACOS),
    )


def _shadowed_library() -> Survey:
    outside = Binary("/opt/cuda/lib64/libcudnn.so.9", "/opt/cuda/lib64/libcudnn.so.9", (elf(soname="libcudnn.so.9", build_id="old"),))
    return installed(
        part("demo", "libcudnn.so.9", rpath=None, runpath="$ORIGIN"),
        shared("demo", "libcudnn.so.9"),
        outside,
        variables={"LD_LIBRARY_PATH": "/opt/cuda/lib64"},
    )


CONFLICT_EXAMPLES: dict[str, Callable[[], Survey]] = {
    "undeclared-provider": _undeclared_provider,
    "order-dependent-load": _order_dependent_load,
    "shadowed-library": _shadowed_library,
    "duplicate-openmp": _duplicate_openmp,
    "duplicate-blas": lambda: installed(*pairs(("numpy", "scipy"), "libopenblas", symbols(exports=[b"openblas_get_config"]))),
    "duplicate-runtime": _duplicate_runtime,
    "soname-conflict": _soname_conflict,
    "dll-name-conflict": _dll_name_conflict,
    "duplicate-objc-class": _duplicate_objc_class,
    "pip-conda-overlap": _pip_conda_overlap,
    "static-tls-exhaustion": _static_tls_exhaustion,
    "older-msvc-runtime": _older_msvc_runtime,
    "cuda-major-mismatch": _cuda_major_mismatch,
}
"""By the rule's name."""
