"""The small packages and environments that show the rules about symbols; see rule_examples."""

import dataclasses
from collections.abc import Callable

from builders import MACOS, SITE, WINDOWS, binary, elf, macho, pe, survey, symbols
from linked import lib, linked, module
from relocator.backends.windows.promises import promises as windows
from relocator.model import Binary, Distribution, Survey, VersionNeed
from relocator.symbols import Export, Import
from relocator.target import Level, Promises

APPLE = Promises("macos", "arm64", (Level((), ()),), prefixes=("/usr/lib/", "/System/"))
TORCH_LIB = "$ORIGIN/../torch/lib"
OLD_ERROR = b"_ZN3c107WarningC1ESs"
NEW_ERROR = b"_ZN3c107WarningC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
ZEROS = b"_ZN2at4_ops5zeros4callEN3c108ArrayRef"


def owned(one: Binary, owner: str) -> Binary:
    """The same file in another distribution."""
    return dataclasses.replace(one, owner=owner)


def environment(*binaries: Binary, global_scope: tuple[str, ...] = (), **facts: object) -> Survey:
    """An installed environment in which every file was loaded alone."""
    owners = dict.fromkeys(one.owner for one in binaries if one.owner)
    distributions = tuple(Distribution(owner, "1.0", (), SITE) for owner in owners)
    values = {"kind": "environment", "subject": ".venv", "distributions": distributions, "tags": (), "declared_tags": None, **facts}
    found = linked(*binaries, **values)  # type: ignore[arg-type]
    return dataclasses.replace(found, global_scope=tuple(f"{SITE}/{name}" for name in global_scope))


def flash(symbol: bytes, *exports: bytes) -> Survey:
    """A package that was built against PyTorch, and a PyTorch."""
    core = module("libc10.so", member="flash/_core.so", runpath=TORCH_LIB, table=symbols([symbol]))
    return environment(owned(core, "flash-attn"), owned(lib("torch/lib/libc10.so", table=symbols([], exports)), "torch"))


def _unprovided_symbol() -> Survey:
    return linked(module("libc.so.6", table=symbols([b"foo_version", b"foo_open", b"foo_close", b"foo_read"])))


def _missing_symbol_version() -> Survey:
    needs = [VersionNeed("libstdc++.so.6", "GLIBCXX_3.4.30")]
    table = symbols([Import(b"_ZSt21__glibcxx_assert_failPKciS0_S0_", "libstdc++.so.6", b"GLIBCXX_3.4.30")])
    old = lib("demo.libs/libstdc++.so.6", version_definitions=("GLIBCXX_3.4", "GLIBCXX_3.4.9", "GLIBCXX_3.4.19"))
    return linked(module("libstdc++.so.6", rpath="$ORIGIN/../demo.libs", versions=needs, table=table), old)


def _missing_export() -> Survey:
    core = binary("demo/_core.pyd", pe("foo.dll", table=symbols([Import(b"foo_open_v2", "foo.dll")])), extension="demo._core")
    dll = binary("demo/foo.dll", pe(table=symbols([], [Export(b"foo_close", ordinal=1), Export(b"foo_open", ordinal=2)])))
    return linked(core, dll, target=WINDOWS, promises=windows(WINDOWS, "amd64"))


def _flat_namespace_symbol() -> Survey:
    table = symbols([Import(b"_PyModule_Create2", "<flat>"), Import(b"_bcp_batch", "<flat>"), Import(b"_bcp_done", "<flat>")])
    core = binary("demo/_core.so", macho("/usr/lib/libSystem.B.dylib", table=table), extension="demo._core")
    return linked(core, target=MACOS, promises=APPLE)


def _private_glibc_symbol() -> Survey:
    needs = [VersionNeed("libc.so.6", "GLIBC_PRIVATE")]
    table = symbols([Import(b"__libc_thread_freeres", "libc.so.6", b"GLIBC_PRIVATE")])
    return survey(binary("demo.libs/libpthread-2.17.so", elf("libc.so.6", soname="libpthread.so.0", versions=needs, table=table)))


def _global_interposition() -> Survey:
    exports = [b"SSL_new", b"SSL_free", b"SSL_read"]
    greedy = owned(module(member="greedy/_all.so", table=symbols([], exports)), "greedy")
    quiet = owned(module("libssl-1a2b3c4d.so.3", member="quiet/_ssl.so", rpath="$ORIGIN", table=symbols([b"SSL_new"])), "quiet")
    own = owned(lib("quiet/libssl-1a2b3c4d.so.3", table=symbols([], exports, referred=exports)), "quiet")
    return environment(greedy, quiet, own, global_scope=("greedy/_all.so",))


def _unique_symbol_clash() -> Survey:
    instance = Export(b"_ZZN8pybind116detail13get_internalsEvE8instance", unique=True, data=True, size=8)
    tables = [symbols([], [instance]), symbols([], [instance])]
    one, other = (module(member=f"{name}/_core.so", table=table) for name, table in zip(("alpha", "beta"), tables, strict=True))
    return environment(owned(one, "alpha"), owned(other, "beta"))


SYMBOL_EXAMPLES: dict[str, Callable[[], Survey]] = {
    "undefined-symbol": lambda: flash(ZEROS + b"INS2_6SymIntEEE", ZEROS + b"IlEE"),
    "unprovided-symbol": _unprovided_symbol,
    "missing-symbol-version": _missing_symbol_version,
    "missing-export": _missing_export,
    "flat-namespace-symbol": _flat_namespace_symbol,
    "private-glibc-symbol": _private_glibc_symbol,
    "global-interposition": _global_interposition,
    "unique-symbol-clash": _unique_symbol_clash,
    "exports-runtime-symbols": lambda: linked(module("libc.so.6", table=symbols([], [b"_ZSt4cout", b"__cxa_throw", b"PyInit__core"]))),
    "cxx11-abi": lambda: flash(OLD_ERROR, NEW_ERROR),
}
"""By the rule's name."""
