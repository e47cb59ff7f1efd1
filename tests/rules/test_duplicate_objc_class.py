"""duplicate-objc-class: classes are known by name, process-wide."""

import dataclasses

from conflict_examples import bundle, dylib, on_macos
from relocator.model import Role, Survey
from relocator.rules.duplicate_objc_class import check

CLASSES = ("Receiver", "Sender")


def two(first: tuple[str, ...], second: tuple[str, ...], names: tuple[str, str] = ("/a/libx.dylib", "/b/libx.dylib")) -> Survey:
    files = []
    for owner, classes, name in zip("ab", (first, second), names, strict=True):
        files += [bundle(owner, "@loader_path/.dylibs/libx.dylib"), dylib(owner, "libx.dylib", name, objc_classes=classes)]
    return on_macos(*files)


def test_a_pair_of_libraries_is_told_once_with_its_classes() -> None:
    (finding,) = check(two(CLASSES, CLASSES))
    assert (finding.primary.member, finding.primary.label) == ("a/.dylibs/libx.dylib", "class Receiver and 1 more")
    assert [where.member for where in finding.related] == ["b/.dylibs/libx.dylib"]


def test_other_classes_are_no_fault() -> None:
    assert list(check(two(CLASSES, ("Receiver2",)))) == []
    assert list(check(two(CLASSES, ()))) == []


def test_one_rpath_name_is_one_library() -> None:
    assert list(check(two(CLASSES, CLASSES, ("@rpath/libx.dylib", "@rpath/libx.dylib")))) == []


def test_what_no_import_brings_does_not_count() -> None:
    survey = two(CLASSES, CLASSES)
    payload = tuple(dataclasses.replace(one, role=Role.PAYLOAD, extension=None) if one.owner == "b" else one for one in survey.binaries)
    assert list(check(dataclasses.replace(survey, binaries=payload))) == []
