"""What the headers say beyond needs, paths and names."""

import pytest

import builders as b
from conftest import FIXTURES
from relocator.backends import identify
from relocator.model import Image
from relocator.native import Dylib, Segment, Signature
from relocator.particulars import particulars

DYLIB = Dylib("@rpath/a.dylib", "LC_ID_DYLIB", 0x10203, 0x10000)
SIGNATURE = Signature("linker-signed", "a", 0x20002, 4096, True)


@pytest.mark.parametrize(
    ("image", "field", "values"),
    [
        (b.elf(), "e_type", ["ET_DYN, 64 bit, little-endian"]),
        (b.elf(bits=32, big_endian=True, type=2), "e_type", ["ET_EXEC, 32 bit, big-endian"]),
        (b.elf(header_flags=0x5000400), "e_flags", ["0x5000400"]),
        (b.elf(), "e_flags", []),
        (b.elf(interpreter="/lib/ld.so"), "PT_INTERP", ["/lib/ld.so"]),
        (b.elf(segments=(Segment(0, 0x1000, 5, 16, 5, 0x4000),)), "PT_LOAD", ["0x1000, 0x10 bytes, r-x, aligned to 0x4000"]),
        (b.elf(stack_flags=7), "PT_GNU_STACK", ["rwx"]),
        (b.elf(stack_flags=None), "PT_GNU_STACK", ["absent"]),
        (b.elf(relro=True, bind_now=True), "PT_GNU_RELRO", ["full"]),
        (b.elf(relro=False), "PT_GNU_RELRO", []),
        (b.elf(flags=0x48), "DT_FLAGS", ["BIND_NOW 0x40"]),
        (b.elf(flags_1=0x8000001), "DT_FLAGS_1", ["NOW PIE"]),
        (b.elf(text_relocations=True), "DT_TEXTREL", ["there"]),
        (b.elf(version_definitions=("V_1", "V_2")), "DT_VERDEF", ["V_1, V_2"]),
        (b.elf(build_id="abcd"), "build ID", ["abcd"]),
        (b.macho(), "filetype", ["MH_BUNDLE"]),
        (b.macho(), "flags", ["NOUNDEFS DYLDLINK TWOLEVEL"]),
        (b.macho(identity=DYLIB), "LC_ID_DYLIB", ["current version 1.2.3, compatibility version 1.0.0"]),
        (b.macho("a", "b"), "LC_LOAD_DYLIB", [f"{name} (current version 1.0.0, compatibility version 1.0.0)" for name in "ab"]),
        (b.macho(sdk=(12, 3)), "platform", ["macos, SDK 12.3"]),
        (b.macho(), "signature", ["none"]),
        (b.macho(signature=SIGNATURE), "signature", ["linker-signed, a, page hashes right"]),
        (
            b.macho(signature=Signature("adhoc", "a", 2, 4096, True, (3, 4), "cut short")),
            "signature",
            ["adhoc, a, 2 wrong page hashes, cut short"],
        ),
        (b.pe(linker_version=(14, 2)), "format", ["PE32+, made by linker 14.2"]),
        (b.pe(characteristics=0x2022), "Characteristics", ["EXECUTABLE_IMAGE LARGE_ADDRESS_AWARE DLL"]),
        (b.pe(dll_characteristics=0x4160), "DllCharacteristics", ["HIGH_ENTROPY_VA DYNAMIC_BASE NX_COMPAT GUARD_CF"]),
        (b.pe(subsystem=3), "Subsystem", ["Windows console"]),
        (b.pe(dependent_load_flags=0x800), "DependentLoadFlags", ["0x800"]),
        (b.pe(bound_imports=("a.dll", "b.dll")), "bound import", ["a.dll", "b.dll"]),
        (b.pe(forwarders=((b"f", "a.g"),)), "forwarder", ["f = a.g"]),
        (b.pe(certificate_size=8), "certificate", ["8 bytes"]),
        (b.pe(), "overlay", []),
    ],
)
def test_a_field_is_told_as_its_specification_calls_it(image: Image, field: str, values: list[str]) -> None:
    assert [value for name, value in particulars(image) if name == field] == values


def test_every_fixture_has_some() -> None:
    for path in (FIXTURES / "bin").rglob("*.*"):
        backend = identify(path.read_bytes()[:64]) if path.is_file() and path.name != "damaged.dylib" else None
        for image in backend.read(memoryview(path.read_bytes())) if backend else ():
            assert all(name and value for name, value in particulars(image)), path
