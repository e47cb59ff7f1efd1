"""flat-namespace-symbol: a decision table, bad first."""

import pytest

from builders import MACOS, binary, macho, symbols
from linked import linked
from relocator.findings import Finding
from relocator.rules.flat_namespace_symbol import check
from relocator.symbols import Import
from symbol_examples import APPLE

SYSTEM = "/usr/lib/libSystem.B.dylib"


def findings(*imports: Import, needed: str = SYSTEM, **facts: object) -> list[Finding]:
    core = binary("demo/_core.so", macho(needed, table=symbols(imports), **facts), extension="demo._core")  # type: ignore[arg-type]
    other = binary("demo/other.dylib", macho(kind="library", table=symbols([], [b"_own"])))
    return list(check(linked(core, other, target=MACOS, promises=APPLE)))


@pytest.mark.parametrize(
    ("imported", "found"),
    [
        (Import(b"_bcp_batch", "<flat>"), True),
        (Import(b"_bcp_batch", "<flat>", weak=True), False),
        (Import(b"_bcp_batch", "<flat>", used=False), False),
        (Import(b"_bcp_batch", SYSTEM), False),
        (Import(b"_PyList_New", "<flat>"), False),
        (Import(b"__Py_Dealloc", "<flat>"), False),
        (Import(b"_own", "<flat>"), False),
        (Import(b"_malloc", "<flat>"), False),
        (Import(b"_objc_msgSend", "<flat>"), False),
        (Import(b"_OBJC_CLASS_$_NSArray", "<flat>"), False),
        (Import(b"__ZNSt3__14cerrE", "<flat>"), False),
        (Import(b"__ZN3bcp5batchEv", "<flat>"), True),
    ],
)
def test_a_dynamic_symbol_of_nobody_is_found(imported: Import, found: bool) -> None:
    assert bool(findings(imported)) == found


def test_a_flat_image_is_not_judged_nor_one_that_lacks_a_library() -> None:
    assert not findings(Import(b"_bcp_batch", "<flat>"), two_level=False)
    assert not findings(Import(b"_bcp_batch", "<flat>"), needed="@loader_path/gone.dylib", sdk=(15, 0))


@pytest.mark.parametrize(
    ("own", "others", "found"),
    [
        ((SYSTEM,), (SYSTEM,), True),
        # the linker would have bound it to a library that the file itself is linked with
        ((SYSTEM, "/usr/lib/libiconv.2.dylib"), (SYSTEM,), True),
        ((SYSTEM,), ("/usr/lib/libsqlite3.dylib",), False),
        ((SYSTEM, "/System/Library/Frameworks/AppKit.framework/Versions/C/AppKit"), (SYSTEM,), False),
        ((SYSTEM,), ("/System/Library/Frameworks/Security.framework/Versions/A/Security",), False),
        ((SYSTEM, "/usr/lib/libobjc.A.dylib"), ("/usr/lib/libc++.1.dylib",), True),
    ],
)
def test_a_system_library_that_only_the_process_has_may_bring_the_symbol(
    own: tuple[str, ...], others: tuple[str, ...], found: bool
) -> None:
    table = symbols([Import(b"_bcp_batch", "<flat>")])
    core = binary("demo/_core.so", macho(*own, "@loader_path/other.dylib", table=table), extension="demo._core")
    other = binary("demo/other.dylib", macho(*others, kind="library"))
    assert bool(list(check(linked(core, other, target=MACOS, promises=APPLE)))) == found
