"""missing-library: what nothing else explains."""

import pytest

from builders import LINUX, SITE, WINDOWS, binary, elf, macho, pe, survey
from linked import answer, installed, lib, linked, load_of, module, outside
from relocator.audit import run_rules
from relocator.backends.windows.promises import promises as windows
from relocator.findings import Certainty, Finding, Severity
from relocator.model import Binary, Format, Hint, How, Image, Needed, NeedKind, Role, Survey, Unreadable
from relocator.places import unmet
from relocator.rules import unreadable_binary
from relocator.rules.missing_library import RULE, check
from relocator.target import Target
from symbol_examples import owned

LOCAL = Target("linux_x86_64", "linux", "glibc", (("x86_64", ()),), local=True)

BAD: dict[str, Survey] = {
    "nowhere": linked(module("libfoo.so.3")),
    "in the package, out of reach": linked(module("libfoo.so.3"), lib("demo/.libs/libfoo.so.3")),
    "behind a RUNPATH, which does not carry": linked(
        module("libx.so.1", runpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1")
    ),
    "in a program": linked(binary("demo/tool", elf("libfoo.so.3", kind="program"), role=Role.PROGRAM)),
    "for another architecture": linked(
        module("libfoo.so.3", rpath="$ORIGIN"), binary("demo/libfoo.so.3", elf(arch="i686", machine=3, bits=32))
    ),
}

GOOD: dict[str, Survey] = {
    "promised": linked(module("libc.so.6", "libm.so.6")),
    "bundled": linked(module("libfoo.so.3", rpath="$ORIGIN"), lib("demo/libfoo.so.3")),
    "found by the caller": linked(module("libx.so.1", rpath="$ORIGIN"), lib("demo/libx.so.1", "liby.so.1"), lib("demo/liby.so.1")),
    "outside, in a directory that the user named": linked(module("libfoo.so.3"), outside("/opt/foo/libfoo.so.3"), search=["/opt/foo"]),
}


def one(how: How, kind: NeedKind = NeedKind.REQUIRED, **more: object) -> Survey:
    file = binary("demo/_core.so", elf(Needed("libfoo.so.3", kind)), extension="demo._core")
    return survey(file, loads=[load_of(answer(file, how))], **more)  # type: ignore[arg-type]


def only(found: Survey) -> Finding:
    (finding,) = check(found)
    return finding


@pytest.mark.parametrize("case", BAD)
def test_flags(case: str) -> None:
    finding = only(BAD[case])
    assert finding.severity == Severity.ERROR
    assert finding.trail
    assert finding.help


@pytest.mark.parametrize("case", GOOD)
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


@pytest.mark.parametrize("how", [how for how in How if how != How.MISSING])
def test_every_other_answer_is_left_to_other_rules(how: How) -> None:
    assert list(check(one(how))) == []


@pytest.mark.parametrize("kind", [NeedKind.WEAK, NeedKind.LAZY, NeedKind.DELAYED])
def test_needs_that_a_load_survives_are_no_fault(kind: NeedKind) -> None:
    assert list(check(one(How.MISSING, kind))) == []


def test_tells_the_place_and_the_whole_search() -> None:
    finding = only(linked(module("libc.so.6", "libfoo.so.3", rpath="$ORIGIN/.libs")))
    assert finding.message == "needs a library that is neither in the package nor promised by manylinux_2_17_x86_64"
    assert (finding.primary.member, finding.primary.field, finding.primary.position) == ("demo/_core.so", "DT_NEEDED", 1)
    assert finding.primary.value == "libfoo.so.3"
    assert finding.trail == (
        "demo/.libs/libfoo.so.3: absent (DT_RPATH of demo/_core.so: $ORIGIN/.libs)",
        ".../glibc-hwcaps/{x86-64-v4,x86-64-v3,x86-64-v2}: absent (and the glibc-hwcaps subdirectories of each)",
        "libfoo.so.3: not promised (default directories)",
    )


def test_names_the_file_of_the_package_that_bears_the_name_and_the_way_there() -> None:
    finding = only(BAD["in the package, out of reach"])
    assert finding.message == "needs a library that is in the package, but not where the loader looks"
    assert [where.member for where in finding.related] == ["demo/.libs/libfoo.so.3"]
    assert finding.help == "give the file that needs it the search path $ORIGIN/.libs"


@pytest.mark.parametrize(
    ("importer", "library", "way"),
    [
        (
            binary("demo/_core.so", macho("@loader_path/libx.dylib")),
            binary("demo/libx.dylib", macho(kind="library")),
            "@loader_path/libx.dylib ",
        ),
        (binary("demo/sub/_core.so", elf("libx.so")), binary("demo/libreal.so", elf(soname="libx.so")), "$ORIGIN/.."),
        (binary("demo/_core.pyd", pe("X.dll")), binary("demo/bin/x.dll", pe()), "os.add_dll_directory"),
        # Windows looks for files, whatever name a DLL gives itself
        (binary("demo/_core.pyd", pe("X.dll")), binary("demo/bin/x-1a2b3c4d.dll", pe(name="X.dll")), "copy it into the package"),
    ],
)
def test_the_way_is_spelled_as_the_format_does(importer: Binary, library: Binary, way: str) -> None:
    target = WINDOWS if importer.format == Format.PE else LINUX
    found = survey(importer, library, target=target, loads=[load_of(answer(importer, How.MISSING), root=importer.member)])
    assert way in only(found).help


@pytest.mark.parametrize(
    ("more", "certainty"),
    [
        ({}, Certainty.CERTAIN),
        ({"requires": ["torch"]}, Certainty.LIKELY),
        ({"hints": [Hint("demo/__init__.py", 3, "cdll", None)]}, Certainty.LIKELY),
        ({"target": LOCAL}, Certainty.POSSIBLE),
    ],
)
def test_certainty_falls_with_what_else_may_bring_the_library(more: dict[str, object], certainty: Certainty) -> None:
    assert only(one(How.MISSING, NeedKind.REQUIRED, **more)).certainty == certainty


CALL = Hint("tables/__init__.py", 12, "cdll", None)


def _two_copies(requires: tuple[str, ...], *hints: Hint) -> Survey:
    """A package with a DLL that lacks something, beside a distribution that has one of that name."""
    damaged = binary("tables/libblosc2.dll", pe("zstd.dll"), owner="tables")
    core = binary("tables/_core.pyd", pe("libblosc2.dll"), extension="tables._core", owner="tables")
    other = binary("blosc2/lib/libblosc2.dll", pe(), owner="blosc2")
    promised = windows(WINDOWS, "amd64")
    return installed(core, damaged, other, target=WINDOWS, promises=promised, hints=hints, requires={"tables": requires})


@pytest.mark.parametrize(
    ("requires", "hints", "certainty"),
    [
        (("blosc2>=2.3",), (CALL,), Certainty.POSSIBLE),
        (("numpy",), (CALL,), Certainty.LIKELY),
        (("blosc2>=2.3",), (CALL._replace(member="other/__init__.py"),), Certainty.LIKELY),
        (("blosc2>=2.3",), (CALL._replace(argument="/elsewhere/libfoo.dll"),), Certainty.LIKELY),
        (("blosc2>=2.3",), (), Certainty.CERTAIN),
    ],
)
def test_it_is_merely_possible_where_code_may_open_another_file_of_that_name(
    requires: tuple[str, ...], hints: tuple[Hint, ...], certainty: Certainty
) -> None:
    finding = only(_two_copies(requires, *hints))
    assert (finding.primary.member, finding.primary.value, finding.certainty) == ("tables/libblosc2.dll", "zstd.dll", certainty)


def test_the_copy_of_another_distribution_is_no_way_out() -> None:
    core, omp = owned(module("libomp.so"), "lightgbm"), owned(lib("sklearn/.libs/libomp.so"), "scikit-learn")
    finding = only(installed(core, omp))
    assert "in the environment, but not where the loader looks" in finding.message
    assert finding.help == (
        "install the library for the system, or a release of lightgbm that ships it; scikit-learn keeps its own to itself"
    )


def test_a_wheel_that_is_still_to_be_repaired_is_told_so() -> None:
    assert "relocate repair" in only(linked(module("libfoo.so.3"), target=LOCAL)).help


@pytest.mark.parametrize(
    ("role", "severity"), [(Role.IMPORTED, Severity.ERROR), (Role.PROGRAM, Severity.WARNING), (Role.PAYLOAD, Severity.WARNING)]
)
def test_an_audit_is_milder_on_what_no_import_reaches(role: Role, severity: Severity) -> None:
    file = binary("demo/plugin.so", elf("libfoo.so.3"), role=role)
    report = run_rules(linked(file), [RULE])
    assert [finding.severity for finding in report.findings] == [severity]


def test_without_a_target_it_does_not_run() -> None:
    report = run_rules(linked(module("libfoo.so.3"), target=Target("", "")), [RULE])
    assert (report.findings, report.checked.unjudged) == ((), ("missing-library",))


def test_a_damaged_library_is_left_to_unreadable_binary() -> None:
    damaged = Unreadable("demo/libfoo.so.3", f"{SITE}/demo/libfoo.so.3", Format.ELF, "e_phoff", "needs 64 bytes")
    found = linked(module("libfoo.so.3", rpath="$ORIGIN"), unreadable=[damaged])
    assert list(unmet(found))
    assert list(check(found)) == []
    assert [finding.rule for finding in run_rules(found, [RULE, unreadable_binary.RULE]).findings] == ["unreadable-binary"]


def test_a_package_of_many_files_is_searched_by_name_and_not_file_by_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Binary] = []
    image = Binary.image

    def counting(self: Binary, arch: str) -> Image | None:
        asked.append(self)
        return image(self, arch)

    monkeypatch.setattr(Binary, "image", counting)
    number = 50
    found = list(check(linked(*(binary(f"demo/m{i}.so", elf("libfoo.so.3"), extension=f"demo.m{i}") for i in range(number)))))
    assert len(found) == number
    assert len(asked) < number * 10  # some for each file, not one for each pair
