"""duplicate-objc-class: classes are known by name, process-wide."""

import dataclasses

import pytest

from builders import symbols
from conflict_examples import bundle, dylib, on_macos
from relocator.model import Export, Role, Survey, SymbolTable
from relocator.rules.duplicate_objc_class import check


def two(first: SymbolTable, second: SymbolTable, names: tuple[str, str] = ("/a/libx.dylib", "/b/libx.dylib")) -> Survey:
    files = []
    for owner, table, name in zip("ab", (first, second), names, strict=True):
        files += [bundle(owner, "@loader_path/.dylibs/libx.dylib"), dylib(owner, "libx.dylib", name, table)]
    return on_macos(*files)


RECEIVER = symbols(exports=[b"_OBJC_CLASS_$_Receiver", b"_OBJC_CLASS_$_Sender", b"_f"])


def test_a_pair_of_libraries_is_told_once_with_its_classes() -> None:
    (finding,) = check(two(RECEIVER, RECEIVER))
    assert (finding.primary.member, finding.primary.label) == ("a/.dylibs/libx.dylib", "class Receiver and 1 more")
    assert [where.member for where in finding.related] == ["b/.dylibs/libx.dylib"]


@pytest.mark.parametrize(
    "other",
    [
        symbols(exports=[b"_OBJC_CLASS_$_Other", b"_f"]),
        symbols(imports=[b"_OBJC_CLASS_$_Receiver"]),
        symbols(exports=[Export(b"_OBJC_CLASS_$_Receiver", forward="/usr/lib/libx.dylib:")]),
        symbols(exports=[b"_OBJC_METACLASS_$_Receiver"]),
    ],
)
def test_using_or_passing_on_a_class_is_not_defining_it(other: SymbolTable) -> None:
    assert list(check(two(RECEIVER, other))) == []


def test_one_rpath_name_is_one_library() -> None:
    assert list(check(two(RECEIVER, RECEIVER, ("@rpath/libx.dylib", "@rpath/libx.dylib")))) == []


def test_what_no_import_brings_does_not_count() -> None:
    survey = two(RECEIVER, RECEIVER)
    payload = tuple(dataclasses.replace(one, role=Role.PAYLOAD, extension=None) if one.owner == "b" else one for one in survey.binaries)
    assert list(check(dataclasses.replace(survey, binaries=payload))) == []
