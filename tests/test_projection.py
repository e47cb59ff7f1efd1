"""What an image must look like after edits: by hand for each format, then what the editors make of every fixture."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
import edit_battery as battery
from conftest import FIXTURES
from relocator.backends import identify
from relocator.editing import plan_file
from relocator.errors import UnreadableBinary
from relocator.model import Image, Needed, NeedKind, VersionNeed
from relocator.native import Dylib, ElfFacts, MachOFacts, PeFacts
from relocator.plans import (
    AddNeeded,
    Edit,
    EditRefused,
    PathKind,
    RemoveNeeded,
    ReplaceNeeded,
    Resign,
    SetExecutableStack,
    SetIdentity,
    SetInterpreter,
    SetSearchPaths,
    apply_patches,
)
from relocator.projection import Change, changes, edited, loader_view
from relocator.symbols import Export, Import, NoSymbols, References


def needs(image: Image) -> list[str]:
    return [need.name for need in image.needed]


# ---- ELF


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([ReplaceNeeded("a", "x")], ["x", "b", "c"]),
        ([ReplaceNeeded("a", "b"), ReplaceNeeded("b", "a")], ["b", "a", "c"]),
        ([ReplaceNeeded("a", "b"), ReplaceNeeded("b", "c")], ["b", "c"]),
        ([ReplaceNeeded("a", "c")], ["c", "b"]),
        ([ReplaceNeeded("c", "a")], ["a", "b"]),
        ([ReplaceNeeded("gone", "x")], ["a", "b", "c"]),
        ([RemoveNeeded("b")], ["a", "c"]),
        ([AddNeeded("x"), AddNeeded("y")], ["x", "y", "a", "b", "c"]),
        ([AddNeeded("b")], ["a", "b", "c"]),
        ([RemoveNeeded("b"), AddNeeded("b")], ["b", "a", "c"]),
        ([AddNeeded("x", arch="riscv64")], ["a", "b", "c"]),
    ],
)
def test_needs_of_an_elf_file(edits: Sequence[Edit], expected: list[str]) -> None:
    assert needs(edited(b.elf("a", "b", "c"), edits)) == expected


def test_a_need_that_was_there_twice_stays_so() -> None:
    assert needs(edited(b.elf("a", "b", "a"), [ReplaceNeeded("b", "x")])) == ["a", "x", "a"]
    assert needs(edited(b.elf("a", "b", "a"), [ReplaceNeeded("a", "x")])) == ["x", "b"]


@pytest.mark.parametrize(
    ("rpath", "runpath", "edit", "expected"),
    [
        ("/a", None, SetSearchPaths(("/x", "/y")), ("/x:/y", None)),
        (None, "/a", SetSearchPaths(("/x",)), (None, "/x")),
        (None, None, SetSearchPaths(("/x",)), (None, "/x")),
        ("/a", "/b", SetSearchPaths(("/x",)), (None, "/x")),
        (None, "/a", SetSearchPaths(("/x",), PathKind.RPATH), ("/x", None)),
        ("/a", None, SetSearchPaths(("/x",), PathKind.RUNPATH), (None, "/x")),
        ("/a", "/b", SetSearchPaths(()), (None, None)),
        ("/a", None, SetIdentity("x"), ("/a", None)),
    ],
)
def test_search_paths_of_an_elf_file(rpath: str | None, runpath: str | None, edit: Edit, expected: tuple[str | None, str | None]) -> None:
    image = edited(b.elf(rpath=rpath, runpath=runpath), [edit])
    assert isinstance(image.native, ElfFacts)
    assert (image.native.rpath, image.native.runpath) == expected
    text = next((text for text in expected if text is not None), None)
    kind = "DT_RPATH" if expected[0] is not None else "DT_RUNPATH"
    assert [(path.text, path.kind) for path in image.search_paths] == [(part, kind) for part in (text.split(":") if text else ())]


def test_versions_follow_their_library() -> None:
    versions = (VersionNeed("a", "A_1"), VersionNeed("b", "B_1", True), VersionNeed("a", "A_2"))
    image = edited(b.elf("a", "b", versions=versions), [ReplaceNeeded("a", "x"), RemoveNeeded("b")])
    assert image.version_needs == (VersionNeed("x", "A_1"), VersionNeed("x", "A_2"))


def test_symbols_of_a_renamed_library_name_it_and_those_of_a_removed_one_ask_for_nothing() -> None:
    table = b.symbols([Import(b"f", "a", b"A_1"), Import(b"g", "b", b"B_1"), Import(b"h")], [b"e"])
    versions = (VersionNeed("a", "A_1"), VersionNeed("b", "B_1"))
    image = edited(b.elf("a", "b", versions=versions, table=table), [ReplaceNeeded("a", "x"), RemoveNeeded("b")])
    assert image.symbols.imports() == (Import(b"f", "x", b"A_1"), Import(b"g"), Import(b"h"))
    assert image.symbols.references() == References((b"f", b"g", b"h"), (0, 1, 2), ((b"A_1", "x"), (b"", ""), (b"", "")))
    assert image.symbols.exports() == (Export(b"e"),)
    assert edited(b.elf("a", table=table), [SetIdentity("x")]).symbols is table


class _Copying(NoSymbols):
    """The table of a program that copied a variable out of library "a"."""

    def __bool__(self) -> bool:
        return True

    def preemptible(self) -> References:
        return References((b"stderr", b"own"), (0, 1), ((b"A_1", "a"), (b"", "")))


def test_what_a_program_copied_out_of_a_renamed_library_names_it() -> None:
    image = edited(b.elf("a", versions=(VersionNeed("a", "A_1"),), table=_Copying()), [ReplaceNeeded("a", "x")])
    assert image.symbols.preemptible() == References((b"stderr", b"own"), (0, 1), ((b"A_1", "x"), (b"", "")))


@pytest.mark.parametrize(("flags", "wanted", "expected"), [(6, True, 7), (7, False, 6), (None, True, 7), (None, False, 6), (4, True, 5)])
def test_stack_flags(flags: int | None, wanted: bool, expected: int) -> None:
    native = edited(b.elf(stack_flags=flags), [SetExecutableStack(wanted)]).native
    assert isinstance(native, ElfFacts)
    assert native.stack_flags == expected


def test_the_interpreter_is_set() -> None:
    image = edited(b.elf(kind="program", interpreter="/lib/ld.so"), [SetInterpreter("/x")])
    assert isinstance(image.native, ElfFacts)
    assert (image.native.interpreter, image.kind) == ("/x", "program")


# ---- Mach-O


def test_dylib_commands_keep_kind_version_and_place() -> None:
    image = b.macho(Needed("/usr/lib/libA.dylib", NeedKind.WEAK), "@rpath/libB.dylib", install_name=None)
    after = edited(image, [ReplaceNeeded("/usr/lib/libA.dylib", "@rpath/libX.dylib"), AddNeeded("@rpath/libC.dylib")])
    assert after.needed == (Needed("@rpath/libX.dylib", NeedKind.WEAK), Needed("@rpath/libB.dylib"), Needed("@rpath/libC.dylib"))
    assert isinstance(after.native, MachOFacts)
    assert after.native.dylibs == (
        Dylib("@rpath/libX.dylib", "LC_LOAD_WEAK_DYLIB", 0x10000, 0x10000),
        Dylib("@rpath/libB.dylib", "LC_LOAD_DYLIB", 0x10000, 0x10000),
        Dylib("@rpath/libC.dylib", "LC_LOAD_DYLIB", 0, 0),
    )


def test_another_slice_is_left_alone() -> None:
    image = b.macho("a", rpaths=["@loader_path"], arch="arm64")
    assert edited(image, [SetSearchPaths((), arch="x86_64"), ReplaceNeeded("a", "b", arch="x86_64")]) == image


def test_repeated_paths_are_written_once() -> None:
    image = edited(b.macho(), [SetSearchPaths(("/a/", "/b", "/a", "/b/"))])
    assert [(path.text, path.kind) for path in image.search_paths] == [("/a/", "LC_RPATH"), ("/b", "LC_RPATH")]


def test_the_identity_of_a_dylib_is_set_and_a_bundle_has_none() -> None:
    identity = Dylib("/old", "LC_ID_DYLIB", 1, 2)
    image = edited(b.macho(install_name="/old", identity=identity, kind="library"), [SetIdentity("@rpath/new")])
    assert isinstance(image.native, MachOFacts)
    assert (image.identity, image.native.identity) == ("@rpath/new", identity._replace(name="@rpath/new"))
    assert edited(b.macho(), [SetIdentity("@rpath/new")]).identity is None


def test_reexported_symbols_follow_their_library() -> None:
    table = b.symbols([], [Export(b"f", forward="a:g"), Export(b"h", forward="a"), Export(b"i", forward="ab")])
    image = edited(b.macho("a", "ab", table=table), [ReplaceNeeded("a", "x")])
    assert [export.forward for export in image.symbols.exports()] == ["x:g", "x", "ab"]
    assert [export.forward for export in image.symbols.defines([b"f"])] == ["x:g"]


# ---- PE


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (ReplaceNeeded("LIBA.dll", "x.dll"), ["x.dll", "KERNEL32.dll", "x.dll (delayed)", "mod.f"]),
        (ReplaceNeeded("liba", "x.dll"), ["x.dll", "KERNEL32.dll", "x.dll (delayed)", "mod.f"]),
        (ReplaceNeeded("mod.dll", "y.dll"), ["liba.dll", "KERNEL32.dll", "libA.dll (delayed)", "y.f"]),
        (AddNeeded("b.dll!f"), ["liba.dll", "KERNEL32.dll", "b.dll", "libA.dll (delayed)", "mod.f"]),
        (AddNeeded("LIBA.dll!f"), ["liba.dll", "KERNEL32.dll", "libA.dll (delayed)", "mod.f"]),
        (RemoveNeeded("kernel32"), ["liba.dll", "libA.dll (delayed)", "mod.f"]),
    ],
)
def test_needs_of_a_pe_file(edit: Edit, expected: list[str]) -> None:
    image = b.pe("liba.dll", "KERNEL32.dll", Needed("libA.dll", NeedKind.DELAYED), forwarders=((b"e", "mod.f"),))
    after = edited(image, [edit])
    assert isinstance(after.native, PeFacts)
    told = [need.name + (" (delayed)" if need.kind == NeedKind.DELAYED else "") for need in after.needed]
    assert [*told, after.native.forwarders[0][1]] == expected


@pytest.mark.parametrize(
    ("new", "expected"), [("new.dll", "new.f"), ("new-1.2.dll", "new-1.2.dll.f"), ("NEW.DLL", "NEW.f"), ("new.pyd", "new.pyd.f")]
)
def test_a_forwarder_loses_the_extension_where_the_loader_adds_it(new: str, expected: str) -> None:
    native = edited(b.pe(forwarders=((b"e", "old.f"),)), [ReplaceNeeded("old.dll", new)]).native
    assert isinstance(native, PeFacts)
    assert native.forwarders == ((b"e", expected),)


@pytest.mark.parametrize(
    ("edit", "flags", "expected"),
    [
        (ReplaceNeeded("a.dll", "x.dll"), 0x800, 0),
        (ReplaceNeeded("a.dll", "x.dll"), 0x1800, 0x1800),
        (ReplaceNeeded("a.dll", "a.dll"), 0x800, 0x800),
        (ReplaceNeeded("d.dll", "x.dll"), 0x800, 0x800),
        (AddNeeded("x.dll!f"), 0x800, 0),
        (SetIdentity("x.dll"), 0x800, 0x800),
    ],
)
def test_flags_that_hide_a_renamed_library_are_cleared(edit: Edit, flags: int, expected: int) -> None:
    native = edited(b.pe("a.dll", Needed("d.dll", NeedKind.DELAYED), dependent_load_flags=flags), [edit]).native
    assert isinstance(native, PeFacts)
    assert native.dependent_load_flags == expected


def test_bound_imports_and_the_certificate_go() -> None:
    image = b.pe("a.dll", bound_imports=("a.dll",), certificate_size=100)
    renamed, resigned = (edited(image, [edit]).native for edit in (ReplaceNeeded("a.dll", "x.dll"), Resign()))
    assert isinstance(renamed, PeFacts)
    assert isinstance(resigned, PeFacts)
    assert (renamed.bound_imports, renamed.certificate_size) == ((), 100)
    assert (resigned.bound_imports, resigned.certificate_size) == (("a.dll",), 0)


def test_added_imports_can_be_asked_for() -> None:
    table = b.symbols([Import(b"f", "a.dll")])
    image = edited(b.pe("a.dll", table=table), [AddNeeded("x.dll!g"), AddNeeded("y.dll!#7"), ReplaceNeeded("A.DLL", "z.dll")])
    assert image.symbols.imports() == (Import(b"f", "z.dll"), Import(b"g", "x.dll"), Import(b"", "y.dll", ordinal=7))
    assert image.symbols.references().names == (b"f", b"g", b"#7")
    assert image.symbols.mentions(b"g")
    assert not image.symbols.mentions(b"nowhere")


# ---- what is different


def test_changes_are_told_in_the_loaders_words() -> None:
    image = b.elf("a", "c", rpath="/tmp/build", soname="demo.so")
    edits: list[Edit] = [ReplaceNeeded("a", "x"), AddNeeded("y"), SetSearchPaths(("$ORIGIN",), PathKind.RUNPATH), SetIdentity("z.so")]
    assert set(changes([image], [edited(image, edits)])) == {
        Change("x86_64", "DT_NEEDED", "a", ""),
        Change("x86_64", "DT_NEEDED", "", "y"),
        Change("x86_64", "DT_NEEDED", "", "x"),
        Change("x86_64", "DT_SONAME", "demo.so", "z.so"),
        Change("x86_64", "DT_RPATH", "/tmp/build", ""),
        Change("x86_64", "DT_RUNPATH", "", "$ORIGIN"),
    }
    assert changes([image], [image]) == ()


def test_an_empty_path_is_not_the_same_as_none() -> None:
    assert changes([b.elf()], [b.elf(runpath="")]) == (Change("x86_64", "DT_RUNPATH", "", "(empty)"),)


# ---- against the editors


@pytest.mark.parametrize("path", battery.fixtures(), ids=lambda path: path.relative_to(FIXTURES / "bin").as_posix())
def test_the_projection_is_what_is_read_after_the_edit(path: Path) -> None:
    data = path.read_bytes()
    backend = identify(data[:64])
    assert backend
    done = 0
    for name, wishes in battery.wishes(backend.read(memoryview(data))):
        try:
            plan = plan_file(path.name, memoryview(data), wishes)
        except (EditRefused, UnreadableBinary):
            continue
        new = backend.read(memoryview(bytes(apply_patches(data, plan.patchset))))
        assert list(map(loader_view, new)) == list(map(loader_view, plan.after)), name
        done += 1
    assert done
