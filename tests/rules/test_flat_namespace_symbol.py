"""flat-namespace-symbol: a decision table, bad first."""

import pytest

from builders import MACOS, binary, macho, symbols
from linked import linked
from relocator.findings import Finding
from relocator.model import Import
from relocator.rules.flat_namespace_symbol import check
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
    ],
)
def test_a_dynamic_symbol_of_nobody_is_found(imported: Import, found: bool) -> None:
    assert bool(findings(imported)) == found


def test_a_flat_image_is_not_judged_nor_one_that_lacks_a_library() -> None:
    assert not findings(Import(b"_bcp_batch", "<flat>"), two_level=False)
    assert not findings(Import(b"_bcp_batch", "<flat>"), needed="@loader_path/gone.dylib", sdk=(15, 0))
