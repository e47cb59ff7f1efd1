"""The promise of DESIGN 5.2: what an audit says that a repair mends is gone afterwards, nothing new came, a second run changes nothing."""

import shutil
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import macho_bytes as m
from builders import archive, record_hash
from conftest import FIXTURES
from oracle.test_corpus import ROWS, Row, wheel_of
from pe_bytes import Draft
from relocator.findings import Finding, Severity
from relocator.plans import SetIdentity, SetSearchPaths
from relocator.repairs import Outcome, RepairOptions
from relocator.rules import RULES
from repair_promise import unkept
from repaired import LINUX, Done, audited, edited, repaired, reports, written
from small_elf import elf_file, elf_module
from zip_bytes import Part, deflated, zipped

INFO = "demo-1.0.dist-info"
CORE = "demo/_core.so"
MACOS = "cp312-cp312-macosx_10_13_x86_64"
WINDOWS = "cp312-cp312-win_amd64"
NONE: Mapping[str, bytes] = {}


def fixture(name: str) -> bytes:
    return (FIXTURES / "bin" / name).read_bytes()


class Bad(NamedTuple):
    """A wheel with a fault, and the libraries of the machine that it was built on."""

    files: Mapping[str, bytes]
    tag: str = LINUX
    libraries: Mapping[str, bytes] = NONE
    whole: bytes = b""
    """The archive, when the fault is in that."""

    def write(self, folder: Path) -> Path:
        path = written(folder, self.files, self.tag, self.libraries)
        if self.whole:
            path.write_bytes(self.whole)
        return path


def core(*needs: str, **facts: object) -> dict[str, bytes]:
    return {CORE: elf_module(*needs, **facts)}


def lib(*needs: str, soname: str = "libx.so", **facts: object) -> bytes:
    return elf_file(*needs, soname=soname, **facts)  # type: ignore[arg-type]


# ---- macOS: three files of a compiler


APPLE = {
    "demo/ext.so": fixture("macho/x86_64/ext.so"),
    "demo/libb.dylib": fixture("macho/x86_64/libb.dylib"),
    "demo/liba.dylib": fixture("macho/x86_64/liba.dylib"),
}


def apple(**changed: bytes | None) -> dict[str, bytes]:
    """The three files, with others in the place of some; by their names without an ending."""
    files = {name: changed.get(name.rpartition("/")[2].partition(".")[0], data) for name, data in APPLE.items()}
    return {name: data for name, data in files.items() if data is not None}


def _unsigned_page() -> bytes:
    data = bytearray(fixture("macho/arm64/ext.so"))
    data[0x300] ^= 1  # between the commands and the first section: no code
    return bytes(data)


# ---- Windows


def _msvc(name: str, symbol: bytes = b"value") -> bytes:
    return Draft().exports(name.encode(), [(symbol, 0)]).build()


def _pyd(*needs: str) -> bytes:
    return Draft().exports(b"_core.pyd", [(b"PyInit__core", 0)]).imports(*((need.encode(), [b"value"]) for need in needs)).build()


# ---- archives


def _parts(*extra: Part, files: Mapping[str, bytes] = NONE) -> list[Part]:
    """The members of a good wheel, those of the same name replaced."""
    texts = {"demo/__init__.py": b"", CORE: elf_module(), **files}
    texts[f"{INFO}/METADATA"] = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    texts[f"{INFO}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {LINUX}\n".encode()
    rows = "".join(f"{name},{record_hash(data)},{len(data)}\n" for name, data in texts.items())
    texts[f"{INFO}/RECORD"] = f"{rows}{INFO}/RECORD,,\n".encode()
    named = {part.name: part for part in extra}
    return [named.get(name.encode(), Part(name.encode(), data)) for name, data in texts.items()]


def _described(data: bytes) -> Part:
    sizes = struct.pack("<3L", zlib.crc32(data), len(deflated(data)), len(data))
    return Part(b"demo/__init__.py", data, 8, 8, after=b"PK\7\x08" + sizes)


def _with_record(change: Callable[[str], str]) -> Bad:
    good = {part.name.decode(): part.data for part in _parts()}
    record = f"{INFO}/RECORD"
    return Bad({}, whole=archive({**good, record: change(good[record].decode()).encode()}))


# ---- one bad sample for each rule, and more where there is more than one way to be bad


FOO = lib(soname="libfoo.so.3")
ALIASED = lib(soname="libx.so.1")
SAMPLES: dict[str, Callable[[], Bad]] = {
    "aliased-library": lambda: Bad(
        {
            **core("libx.so.1", "liby.so", rpath="$ORIGIN"),
            "demo/liby.so": lib("libx.so", soname="liby.so", rpath="$ORIGIN"),
            "demo/libx.so": ALIASED,
            "demo/libx.so.1": ALIASED,
        }
    ),
    "build-search-path": lambda: Bad({**core("libx.so", rpath="/home/me/build:$ORIGIN"), "demo/libx.so": lib()}),
    "build-search-path, macOS": lambda: Bad(
        apple(
            ext=edited(APPLE["demo/ext.so"], SetSearchPaths(("@loader_path", "/Users/me"))),
        ),
        MACOS,
    ),
    "duplicate-rpath": lambda: Bad(
        {"demo/ext.so": fixture("macho/x86_64/duplicate_rpath.so"), "demo/a/liba.dylib": APPLE["demo/liba.dylib"]}, MACOS
    ),
    "executable-stack": lambda: Bad(core(stack=7)),
    "executable-stack, of what is brought in": lambda: Bad(core("libx.so", stack=7), libraries={"libx.so": lib(stack=7)}),
    "identity-mismatch": lambda: Bad({**core("libfoo.so", rpath="$ORIGIN"), "demo/libfoo.so": FOO}),
    "invalid-signature": lambda: Bad(
        {"demo/ext.so": _unsigned_page(), "demo/liba.dylib": fixture("macho/arm64/liba.dylib")}, "cp312-cp312-macosx_12_0_arm64"
    ),
    "links-libpython": lambda: Bad(core("libpython3.12.so.1.0", asks=["PyModule_Create2"])),
    "local-platform-tag": lambda: Bad(core(), "cp312-cp312-linux_x86_64"),
    "malformed-record": lambda: _with_record(lambda text: text.replace("sha256=", "md5=", 1)),
    "record-mismatch": lambda: _with_record(lambda text: text.replace(f"{INFO}/WHEEL,sha256=", f"{INFO}/WHEEL,sha256=A", 1)),
    "unrecorded-file": lambda: _with_record(lambda text: "".join(row for row in text.splitlines(True) if CORE not in row)),
    "narrow-tag": lambda: Bad(core("libc.so.6", versions={"libc.so.6": ["GLIBC_2.17"]}), "cp312-cp312-manylinux_2_28_x86_64"),
    "newer-cxx-runtime-than-tag": lambda: Bad(core("libstdc++.so.6", versions={"libstdc++.so.6": ["GLIBCXX_3.4.24"]})),
    "newer-glibc-than-tag": lambda: Bad(core("libc.so.6", versions={"libc.so.6": ["GLIBC_2.34"]})),
    "newer-glibc-than-tag, in what is brought in": lambda: Bad(
        core("libx.so", "libc.so.6", versions={"libc.so.6": ["GLIBC_2.34"]}),
        libraries={"libx.so": lib("libc.so.6", versions={"libc.so.6": ["GLIBC_2.35"]})},
    ),
    "newer-macos-than-tag": lambda: Bad(apple(liba=edited(fixture("macho/x86_64/newer.dylib"), SetIdentity("@rpath/liba.dylib"))), MACOS),
    "overridable-search-path": lambda: Bad({**core("libx.so", runpath="$ORIGIN"), "demo/libx.so": lib()}),
    "path-in-needed": lambda: Bad(core("build/libfoo.so.3"), libraries={"libfoo.so.3": FOO}),
    "path-in-needed, of the wheel's own": lambda: Bad({**core("demo/libfoo.so.3"), "demo/libfoo.so.3": FOO}),
    "redundant-search-path": lambda: Bad({**core("libx.so", rpath="$ORIGIN:$ORIGIN/none:$ORIGIN"), "demo/libx.so": lib()}),
    "redundant-search-path, which nothing reads": lambda: Bad(
        {**core("libx.so", rpath="$ORIGIN/a", runpath="$ORIGIN"), "demo/libx.so": lib()}
    ),
    "refused-by-index": lambda: Bad({}, whole=zipped(_parts(_described(b"")))),
    "refused-by-index, a comment": lambda: Bad({}, whole=zipped(_parts(Part(CORE.encode(), elf_module(), central={"comment": b"x"})))),
    "refused-by-index, tags out of order": lambda: Bad(core(), "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"),
    "refused-symbol": lambda: Bad(
        core("libz.so.1", asks=["inflate_table"]),
        libraries={"libz.so.1": elf_file(soname="libz.so.1", gives=["inflate_table"])},
    ),
    "relative-search-path": lambda: Bad({**core("libx.so", rpath="demo:$ORIGIN"), "demo/libx.so": lib()}),
    "resolved-by-caller": lambda: Bad(
        {
            **core("libfoo.so.3", rpath="$ORIGIN/.libs"),
            "demo/.libs/libfoo.so.3": lib("libx.so", soname="libfoo.so.3"),
            "demo/.libs/libx.so": lib(),
        }
    ),
    "retired-system-library": lambda: Bad(core("libnsl.so.1"), libraries={"libnsl.so.1": lib("libc.so.6", soname="libnsl.so.1")}),
    "unbundled-library": lambda: Bad(core("libfoo.so.3"), libraries={"libfoo.so.3": FOO}),
    "absolute-install-name": lambda: Bad(
        {"demo/ext.so": fixture("macho/x86_64/homebrew.so")}, MACOS, {"absolute.dylib": fixture("macho/x86_64/absolute.dylib")}
    ),
    "unbundled-msvc-runtime": lambda: Bad(
        {"demo/_core.cp312-win_amd64.pyd": _pyd("python312.dll", "MSVCP140.dll")}, WINDOWS, {"msvcp140.dll": _msvc("MSVCP140.dll")}
    ),
    "writable-search-path": lambda: Bad({**core("libx.so", rpath="/tmp/build:$ORIGIN"), "demo/libx.so": lib()}),
    "wrong-mode": lambda: Bad({}, whole=zipped(_parts(Part(b"demo/__init__.py", central={"external": 0o100600 << 16})))),
    "tag-disagreement": lambda: Bad({**core(), f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n"}),
    "unsafe-member": lambda: Bad({}, whole=zipped(_parts(), before=b"#!/bin/sh\n")),
    "unsafe-member, bytes behind": lambda: Bad({}, whole=zipped(_parts(), behind=b"more")),
    "unsafe-member, bytes between": lambda: Bad({}, whole=zipped(_parts(Part(b"demo/__init__.py", after=b"gap")))),
}


def test_every_rule_that_says_so_has_a_bad_sample() -> None:
    told = {rule.name for rule in RULES if rule.repaired_by == "repair"}
    assert {name.partition(",")[0] for name in SAMPLES} == told


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_repair_says_it_mends_is_mended(name: str, tmp_path: Path) -> None:
    wheel, libraries = SAMPLES[name]().write(tmp_path), tmp_path / "lib"
    before = audited(wheel, [libraries] if libraries.is_dir() else [])
    told = [finding for finding in before if finding.rule == name.partition(",")[0]]
    assert told, before
    assert all(finding.repaired_by == "repair" for finding in told)
    for fix_notes in (True, False) if any(finding.severity > Severity.NOTE for finding in told) else (True,):
        done = repaired(wheel, RepairOptions(fix_notes=fix_notes))
        check_kept(done, before, fix_notes=fix_notes)
        assert not [finding for finding in audited(done.output) if finding.rule in {one.rule for one in told}]


def check_kept(done: Done, before: Sequence[Finding], *, kept: Collection[str] = (), **options: Any) -> None:
    """Nothing is left that a repair mends, nothing new of weight came, and a second run copies the same bytes."""
    after = reports(done.output)
    assert not [finding for report in after for finding in unkept(report, fix_notes=options.get("fix_notes", False), kept=kept)]
    known = {finding.rule for finding in before}
    assert not [f for report in after for f in report.findings if f.severity > Severity.NOTE and f.rule not in known]
    again = repaired(done.output, RepairOptions(**options))
    assert (again.result.outcome, again.refusals, again.plan.actions) == (Outcome.COPIED, "", ())
    assert again.output.read_bytes() == done.output.read_bytes()


# ---- real wheels

SMALL = 12 << 20
"""Bytes of a wheel that is small enough to be repaired four times over."""


def _flagged(message: str, before: Sequence[Finding]) -> bool:
    """Tell whether an audit flags what a repair was refused for: with the same file and the same value."""
    told = [finding.primary for finding in before if finding.severity > Severity.NOTE]
    return any(where.member in message and where.value.rpartition("/")[2] in message for where in told if where.member)


def _repaired_or_rightly_refused(wheel: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy2(wheel, tmp_path))
    before = audited(path)
    for fix_notes in (False, True):
        done = repaired(path, RepairOptions(fix_notes=fix_notes))
        if done.result.outcome == Outcome.FAILED:
            assert done.result.failures
            assert [one.message for one in done.result.failures if not _flagged(one.message, before)] == []
        else:
            check_kept(done, before, fix_notes=fix_notes)


@pytest.mark.parametrize("wheel", sorted((FIXTURES / "wheels").iterdir()), ids=lambda path: path.name)
def test_the_wheels_of_the_tests_keep_the_promise_or_are_refused_for_what_an_audit_flags(wheel: Path, tmp_path: Path) -> None:
    _repaired_or_rightly_refused(wheel, tmp_path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_real_wheels_keep_the_promise_or_are_refused_for_what_an_audit_flags(row: Row, corpus: Path, tmp_path: Path) -> None:
    wheel = wheel_of(row, corpus)
    if wheel.stat().st_size > SMALL:
        pytest.skip("too large to be repaired four times over")
    _repaired_or_rightly_refused(wheel, tmp_path)


# ---- wheels with every fault of their system, where what they lack is at hand


def _dylib(name: str, symbol: bytes) -> bytes:
    shape = m.Shape(cpu_type=m.ARM64, cpu_subtype=0)
    commands = [m.dylib(name, 0xD, shape), m.build_version(1, 0xB0000, 0xC0000, shape)]
    return m.with_tables(commands, {"trie": m.trie((symbol, b"\0\x10"))}, shape)


FAULTY: Mapping[str, tuple[Mapping[str, bytes], tuple[str, ...]]] = {
    "manylinux_2_17_x86_64": ({"libmissing.so.3": lib(soname="libmissing.so.3", gives=["missing_value"])}, ()),
    "macosx_11_0_arm64": (
        {
            "libomp.dylib": _dylib("/opt/x/libomp.dylib", b"_missing_value"),
            "libzstd.1.dylib": _dylib("/opt/x/libzstd.1.dylib", b"_libc_value"),
        },
        (),
    ),
    "win_amd64": ({"msvcp140.dll": _msvc("MSVCP140.dll", b"libc_value")}, ("vcruntime140d.dll",)),
}
"""By platform: the libraries, and what is left outside since nobody may pass it on."""


@pytest.mark.parametrize("platform", FAULTY)
def test_many_faults_at_once_are_mended(platform: str, tmp_path: Path) -> None:
    libraries, exclude = FAULTY[platform]
    (tmp_path / "lib").mkdir()
    for name, data in libraries.items():
        (tmp_path / "lib" / name).write_bytes(data)
    path = Path(shutil.copy2(FIXTURES / "wheels" / f"faulty-1.0-cp312-cp312-{platform}.whl", tmp_path))
    before = audited(path)
    for fix_notes in (False, True):
        done = repaired(path, RepairOptions(fix_notes=fix_notes, exclude=exclude))
        check_kept(done, before, fix_notes=fix_notes, exclude=exclude)
