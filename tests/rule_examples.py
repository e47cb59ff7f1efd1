"""One small package for each rule: what its page shows as the example is what an audit prints of it."""

import dataclasses
from collections.abc import Callable

from builders import LINUX, MACOS, MANYLINUX, SITE, WINDOWS, binary, elf, macho, member, pe, survey, symbols
from conflict_examples import CONFLICT_EXAMPLES
from linked import answer, lib, linked, load_of, module, outside
from relocator.backends.windows.promises import promises as windows
from relocator.model import Binary, Format, How, Needed, NeedKind, Problem, RecordRow, Role, Survey, Unreadable, VersionNeed
from relocator.native import Dylib, Segment, Signature
from relocator.symbols import Import
from relocator.target import Level, Promises, Target
from symbol_examples import SYMBOL_EXAMPLES

CP312 = "demo/_core.cpython-312-x86_64-linux-gnu.so"
INFO = "demo-1.0.dist-info"
NEW_GLIBC = dataclasses.replace(LINUX, tag="manylinux_2_28_x86_64", floors=(("x86_64", (2, 28)),))
MUSL = Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),))
UNIVERSAL = Target("macosx_10_10_universal2", "macos", "", (("x86_64", (10, 10)), ("arm64", (11, 0))), universal=True)
INTEL = Target("macosx_10_9_x86_64", "macos", "", (("x86_64", (10, 9)),))
ARM_LINUX = dataclasses.replace(LINUX, tag="manylinux_2_28_aarch64", floors=(("aarch64", (2, 28)),))
APPLE = Promises("macos", "arm64", (Level((), ()),), prefixes=("/usr/lib/", "/System/"))
OLD_APPLE = Promises("macos", "x86_64", (Level((), ()),), prefixes=("/usr/lib/",), introduced=((b"_preadv", (11, 0)),))
SYSTEM = "/usr/lib/libSystem.B.dylib"
HOMEBREW = "/opt/homebrew/opt/libomp/lib"


def dylib(name: str, *needed: str, **facts: object) -> Binary:
    """A Mach-O library of the package."""
    return binary(name, macho(*needed, kind="library", **facts))  # type: ignore[arg-type]


def bundle(*needed: str, name: str = "demo/_core.so", **facts: object) -> Binary:
    """A Mach-O extension module."""
    return binary(name, macho(*needed, **facts), extension="demo._core")  # type: ignore[arg-type]


def pyd(*needed: str, name: str = "demo/_core.cp312-win_amd64.pyd") -> Binary:
    """A Windows extension module."""
    return binary(name, pe(*needed), extension="demo._core")


def needing(version: str, symbol: bytes, library: str = "libc.so.6") -> Survey:
    """A package whose module takes a versioned symbol from a library of the platform."""
    table = symbols([Import(symbol, library, version.encode())])
    return survey(binary("demo/_core.so", elf(library, versions=[VersionNeed(library, version)], table=table)))


def on_macos(*binaries: Binary, **facts: object) -> Survey:
    """A package for macOS, loaded."""
    return linked(*binaries, target=MACOS, promises=APPLE, **facts)  # type: ignore[arg-type]


def on_windows(*binaries: Binary) -> Survey:
    """A package for Windows, loaded."""
    return linked(*binaries, target=WINDOWS, promises=windows(WINDOWS, "amd64"))


def _missing_library() -> Survey:
    return linked(module("libfoo.so.3", rpath="$ORIGIN/.libs"), target=NEW_GLIBC)


def _unbundled_library() -> Survey:
    return linked(module("libfoo.so.3"), outside("/opt/foo/lib/libfoo.so.3"), target=NEW_GLIBC, search=["/opt/foo/lib"])


def _left_to_dependency() -> Survey:
    one = module("libc10.so")
    via = "known to be shipped by torch, which Requires-Dist names"
    return survey(one, requires=["torch"], loads=[load_of(answer(one, How.EXPECTED, via=via))])


def _resolved_by_caller() -> Survey:
    return linked(module("libfoo.so.1", rpath="$ORIGIN/.libs"), lib("demo/.libs/libfoo.so.1", "libbar.so.1"), lib("demo/.libs/libbar.so.1"))


def _refused_symbol() -> Survey:
    return survey(binary("demo/_core.so", elf("libz.so.1", table=symbols([b"inflate_table"]))))


def _needs_relr_support() -> Survey:
    image = elf("libc.so.6", relr=True, versions=[VersionNeed("libc.so.6", "GLIBC_ABI_DT_RELR")])
    return survey(binary("demo/_core.so", image), target=NEW_GLIBC)


def _newer_macos_than_tag() -> Survey:
    image = macho(SYSTEM, arch="x86_64", minimum_os=(12, 0), table=symbols([Import(b"_preadv", SYSTEM)]))
    return survey(binary("demo/_core.so", image), target=INTEL, promises=[OLD_APPLE])


def _binary_in_pure_wheel() -> Survey:
    return survey(binary(CP312, elf(), extension="demo._core"), target=Target("any", "any"), promises=[])


def _tag_disagreement() -> Survey:
    return survey(tags=("py3-none-manylinux_2_28_x86_64",), declared_tags=("py3-none-linux_x86_64",))


def _narrow_tag() -> Survey:
    image = elf("libc.so.6", versions=[VersionNeed("libc.so.6", "GLIBC_2.17")])
    return survey(binary("demo/_core.so", image), target=NEW_GLIBC)


def _unsafe_page_alignment() -> Survey:
    image = elf(arch="aarch64", machine=183, segments=(Segment(0, 0, 0x8000, 0x8000, 5, 0x1000),))
    return survey(binary("demo/_core.cpython-312-aarch64-linux-gnu.so", image), target=ARM_LINUX)


def _relative_search_path() -> Survey:
    return linked(
        module("libpq-87654321.so.5", member="demo/_psycopg.so", rpath="$ORIGIN/../demo.libs"),
        lib("demo.libs/libpq-87654321.so.5", "libssl-12345678.so.1.1", rpath="demo.libs"),
        lib("demo.libs/libssl-12345678.so.1.1"),
    )


def _writable_search_path() -> Survey:
    return linked(module("libz.so.1", runpath="/tmp/build-4f2a/prefix/lib"))


def _build_search_path() -> Survey:
    return on_macos(bundle(name="demo/_core.cpython-312-darwin.so", rpaths=["/Users/runner/miniconda3/envs/build/lib"]))


def _duplicate_rpath() -> Survey:
    return on_macos(bundle(rpaths=["@loader_path/lib", "@loader_path", "@loader_path/lib"], sdk=(15, 4)))


def _absolute_install_name() -> Survey:
    return on_macos(bundle(f"{HOMEBREW}/libomp.dylib", sdk=(15, 0)))


def _unresolved_rpath() -> Survey:
    return on_macos(dylib("demo/lib/libdemo.dylib", "@rpath/libomp.dylib", rpaths=[HOMEBREW], sdk=(15, 0)))


def _invalid_signature() -> Survey:
    signature = Signature("adhoc", "libfoo", 2, 0x1000, verified=True, bad_pages=(0,))
    return on_macos(dylib("demo/.dylibs/libfoo.1.dylib", signature=signature))


def _unbundled_msvc_runtime() -> Survey:
    return on_windows(pyd("KERNEL32.dll", "python312.dll", "VCRUNTIME140.dll", "MSVCP140.dll"))


def _debug_runtime() -> Survey:
    return on_windows(pyd("KERNEL32.dll", "python312.dll", "MSVCP140D.dll"))


def _unreachable_dll() -> Survey:
    return on_windows(pyd("python312.dll", "foo.dll"), binary("demo/bin/foo.dll", pe()))


def _wrong_python_dll() -> Survey:
    target = dataclasses.replace(WINDOWS, pythons=("cp38",), abis=("abi3",))
    return survey(pyd("python312.dll", name="demo/_core.pyd"), target=target)


def _wrong_extension_suffix() -> Survey:
    return survey(pyd(), target=dataclasses.replace(WINDOWS, pythons=("cp311",), abis=("cp311",)))


def _unreadable_binary() -> Survey:
    return survey(
        unreadable=[Unreadable(CP312, f"{SITE}/{CP312}", Format.ELF, "PT_DYNAMIC", "needs 512 bytes, the file ends at 0x2f00", 0x2E00)]
    )


def _record_mismatch() -> Survey:
    row = RecordRow(f"{INFO}/WHEEL", "", "84", 6)
    return survey(members=(member(f"{INFO}/WHEEL", bytes(110)),), record=(row,))


def _unrecorded_file() -> Survey:
    return survey(members=(member("demo.libs/libfoo-3f2a91c0.so.3"),), record=())


def _malformed_record() -> Survey:
    own = RecordRow(f"{INFO}/RECORD", "", "", 2)
    return survey(record=(RecordRow("demo/__init__.py", "md5=1B2M2Y8AsgTpgAmY7PhCfg", "0", 1), own))


def _unsafe_member() -> Survey:
    return survey(problems=(Problem("name", "../../bin/tool", "leads out of the archive"),))


def _slim_image_library() -> Survey:
    desktop = MANYLINUX.levels[-1]._replace(libraries=frozenset({"libGL.so.1"}))
    return linked(module("libGL.so.1"), target=NEW_GLIBC, promises=dataclasses.replace(MANYLINUX, levels=(desktop,)))


def _aliased_library() -> Survey:
    copies = [dataclasses.replace(lib(f"demo/lib/{name}", soname="libucs.so.0"), sha256="5" * 64) for name in ("libucs.so", "libucs.so.0")]
    return linked(module("libucs.so.0", "libuct.so", rpath="$ORIGIN/lib"), lib("demo/lib/libuct.so", "libucs.so", rpath="$ORIGIN"), *copies)


def _identity_mismatch() -> Survey:
    return linked(module("libfoo.so", rpath="$ORIGIN"), lib("demo/libfoo.so", soname="libfoo.so.3"))


def _redundant_search_path() -> Survey:
    return linked(module("libfoo.so.3", rpath="$ORIGIN/lib:$ORIGIN/deps/lib64"), lib("demo/lib/libfoo.so.3"))


def _overridable_search_path() -> Survey:
    return linked(module("libcudnn.so.9", runpath="$ORIGIN/lib"), lib("demo/lib/libcudnn.so.9"))


def _shipped_debug_info() -> Survey:
    return survey(dataclasses.replace(module(debug_size=63_469_351), size=64_994_161))


def _wrong_mode() -> Survey:
    return survey(binary("demo/bin/server", elf(kind="program"), role=Role.PROGRAM), members=(member("demo/bin/server"),))


def _refused_by_index() -> Survey:
    return survey(problems=(Problem("descriptor", "demo/__init__.py", "its size stands behind its bytes"),))


NUMPY_1 = b"module compiled against API version 0x%x but this version of numpy is 0x%x . Check the section C-API incompatibility"
STABLE = dataclasses.replace(LINUX, pythons=("cp38",), abis=("abi3",))


def taking(symbol: bytes, name: str, target: Target) -> Survey:
    """A package whose module takes a symbol from Python."""
    return survey(binary(name, elf(table=symbols([symbol])), extension="demo._core"), target=target)


def _free_threading_mismatch() -> Survey:
    target = dataclasses.replace(LINUX, pythons=("cp313",), abis=("cp313t",))
    return taking(b"_Py_Dealloc", "demo/_core.cpython-313t-x86_64-linux-gnu.so", target)


def _numpy_abi() -> Survey:
    image = dataclasses.replace(elf("libc.so.6"), literals=(NUMPY_1,))
    return survey(binary(CP312, image, extension="demo._core"), requires=["numpy>=1.26"])


def _runtime_loaded_library() -> Survey:
    return survey(binary("demo/_core.so", dataclasses.replace(elf("libc.so.6"), literals=(b"libclntsh.so",)), extension="demo._core"))


def _slice_mismatch() -> Survey:
    odbc = "/usr/local/opt/unixodbc/lib/libodbc.2.dylib"
    one = binary("demo/_core.cpython-312-darwin.so", macho(SYSTEM, odbc, arch="x86_64"), macho(SYSTEM), extension="demo._core")
    return survey(one, target=UNIVERSAL)


def _old_compatibility_version() -> Survey:
    name = "@loader_path/libpng16.16.dylib"
    old = dylib(
        "demo/libpng16.16.dylib", minimum_os=(10, 13), identity=Dylib("libpng16.16.dylib", "LC_ID_DYLIB", 54 << 16, 54 << 16), arch="x86_64"
    )
    needs = (Dylib(name, "LC_LOAD_DYLIB", 57 << 16, 57 << 16),)
    return linked(bundle(name, arch="x86_64", minimum_os=(10, 13), dylibs=needs), old, target=INTEL, promises=OLD_APPLE)


def _newer_windows_than_tag() -> Survey:
    return on_windows(pyd("KERNEL32.dll", "api-ms-win-core-memory-l1-1-3.dll", "python312.dll"))


def _unresolved_delay_load() -> Survey:
    needs = ("KERNEL32.dll", "python312.dll", Needed("foo.dll", NeedKind.DELAYED))
    return on_windows(binary("demo/_core.cp312-win_amd64.pyd", pe(*needs), extension="demo._core"))


EXAMPLES: dict[str, Callable[[], Survey]] = {
    "missing-library": _missing_library,
    "unbundled-library": _unbundled_library,
    "left-to-dependency": _left_to_dependency,
    "host-library": lambda: linked(module("libcuda.so.1")),
    "path-in-needed": lambda: linked(module("build/libfoo.so")),
    "resolved-by-caller": _resolved_by_caller,
    "slim-image-library": _slim_image_library,
    "retired-system-library": lambda: linked(module("libffi.so.6"), target=NEW_GLIBC),
    "runtime-loaded-library": _runtime_loaded_library,
    "links-libpython": lambda: linked(module("libpython3.12.so.1.0")),
    "aliased-library": _aliased_library,
    "refused-symbol": _refused_symbol,
    "newer-glibc-than-tag": lambda: needing("GLIBC_2.34", b"pthread_create"),
    "newer-cxx-runtime-than-tag": lambda: needing("GLIBCXX_3.4.24", b"_ZNSt13random_device14_M_init_pretr1ERKSs", "libstdc++.so.6"),
    "needs-relr-support": _needs_relr_support,
    "libc-mismatch": lambda: survey(binary("demo/_core.so", elf("libm.so.6", "ld-linux-x86-64.so.2")), target=MUSL),
    "newer-macos-than-tag": _newer_macos_than_tag,
    "newer-windows-than-tag": _newer_windows_than_tag,
    "binary-in-pure-wheel": _binary_in_pure_wheel,
    "tag-disagreement": _tag_disagreement,
    "local-platform-tag": lambda: survey(target=Target("linux_x86_64", "linux", "glibc", (("x86_64", ()),), local=True)),
    "narrow-tag": _narrow_tag,
    "wrong-architecture": lambda: survey(bundle(name="demo/_core.cpython-312-darwin.so", arch="x86_64"), target=MACOS),
    "missing-slice": lambda: survey(bundle(name="demo/_core.cpython-312-darwin.so", arch="x86_64"), target=UNIVERSAL),
    "slice-mismatch": _slice_mismatch,
    "unsafe-page-alignment": _unsafe_page_alignment,
    "newer-cpu-than-tag": lambda: survey(module(isa_needed=7)),
    "relative-search-path": _relative_search_path,
    "writable-search-path": _writable_search_path,
    "build-search-path": _build_search_path,
    "escaping-search-path": lambda: linked(module(runpath="$ORIGIN:$ORIGIN/../../..")),
    "redundant-search-path": _redundant_search_path,
    "overridable-search-path": _overridable_search_path,
    "duplicate-rpath": _duplicate_rpath,
    "executable-stack": lambda: linked(lib("demo.libs/libfast-1a2b3c4d.so.1", stack_flags=7)),
    "text-relocations": lambda: survey(module(text_relocations=True)),
    "identity-mismatch": _identity_mismatch,
    "weak-hardening": lambda: survey(binary("demo/bin/server", elf(kind="program", type=2), role=Role.PROGRAM)),
    "absolute-install-name": _absolute_install_name,
    "unresolved-rpath": _unresolved_rpath,
    "old-compatibility-version": _old_compatibility_version,
    "wrong-apple-platform": lambda: on_macos(dylib("demo/.dylibs/libfoo.1.dylib", platform="iossimulator")),
    "invalid-signature": _invalid_signature,
    "unbundled-msvc-runtime": _unbundled_msvc_runtime,
    "debug-runtime": _debug_runtime,
    "unreachable-dll": _unreachable_dll,
    "unresolved-delay-load": _unresolved_delay_load,
    "wrong-python-dll": _wrong_python_dll,
    "wrong-extension-suffix": _wrong_extension_suffix,
    "abi3-violation": lambda: taking(b"_PyUnicode_Ready", "demo/_core.abi3.so", STABLE),
    "newer-abi3-than-tag": lambda: taking(b"PyType_GetName", "demo/_core.abi3.so", STABLE),
    "free-threading-mismatch": _free_threading_mismatch,
    "numpy-abi": _numpy_abi,
    "unrecorded-file": _unrecorded_file,
    "record-mismatch": _record_mismatch,
    "malformed-record": _malformed_record,
    "unsafe-member": _unsafe_member,
    "refused-by-index": _refused_by_index,
    "shipped-debug-info": _shipped_debug_info,
    "wrong-mode": _wrong_mode,
    "unreadable-binary": _unreadable_binary,
    **SYMBOL_EXAMPLES,
    **CONFLICT_EXAMPLES,
}
"""By the rule's name; a package has nothing else wrong with it that the rule would tell."""
