"""What counts as an extension module, and what an import reaches."""

import dataclasses

import pytest

from builders import SITE, binary, elf, macho, pe, symbols
from relocator.model import Hint, How, Image, Load, Needed, Resolution, Role, Tried
from relocator.roles import assign_roles, extension_name, init_names, split_name


def exporting(*names: bytes) -> Image:
    return elf(table=symbols(exports=names))


@pytest.mark.parametrize(
    ("path", "symbol", "expected"),
    [
        ("demo/_core.cpython-312-x86_64-linux-gnu.so", b"PyInit__core", "demo._core"),
        ("demo/_core.cpython-313t-x86_64-linux-gnu.so", b"PyInit__core", "demo._core"),
        ("demo/_core.abi3.so", b"PyInit__core", "demo._core"),
        ("demo/_core.abi3t.so", b"PyModExport__core", "demo._core"),
        ("demo/_core.abi3-x86_64-linux-gnu.so", b"PyInit__core", "demo._core"),
        ("demo/_core.pypy310-pp73-x86_64-linux-gnu.so", b"PyInit__core", "demo._core"),
        ("demo/_core.graalpy240-310-native-x86_64-linux.so", b"PyInit__core", "demo._core"),
        ("demo/_core.so", b"PyInit__core", "demo._core"),
        ("_core.so", b"init_core", "_core"),
        ("demo/_core.so", b"_cffi_pypyinit__core", "demo._core"),
        ("demo/_core.hpy0.so", b"HPyInit__core", "demo._core"),
        ("demo/__init__.cpython-312-darwin.so", b"PyInit_demo", "demo"),
        ("demo/sub/__init__.so", b"PyInit___init__", "demo.sub"),
        ("demo/größe.so", b"PyInitU_gre_6ka8i", "demo.größe"),
        ("demo/größe.so", b"PyModExportU_gre_6ka8i", "demo.größe"),
        ("81d243bd2c585b0f__mypyc.cpython-312-x86_64-linux-gnu.so", b"PyInit_81d243bd2c585b0f__mypyc", "81d243bd2c585b0f__mypyc"),
        ("demo/python3.12/lib-dynload/_ssl.cpython-312-darwin.so", b"PyInit__ssl", "_ssl"),
        # the nearest things that are none
        ("demo/_core.cpython-312-x86_64-linux-gnu.so", b"PyInit_other", None),
        ("demo/_core.cpython-312-x86_64-linux-gnu.so", b"demo_start", None),
        ("demo/libdemo.so.1", b"PyInit_libdemo", None),
        ("demo/_core.dylib", b"PyInit__core", None),
        ("demo/größe.so", b"PyInit_grosse", None),
        ("demo/\udcff.so", b"PyInit_x", None),
    ],
)
def test_an_extension_is_told_by_its_name_and_its_init_function(path: str, symbol: bytes, expected: str | None) -> None:
    assert extension_name(path, exporting(symbol)) == expected


def test_an_imported_init_function_makes_no_extension() -> None:
    assert extension_name("demo/_core.so", elf(table=symbols(imports=[b"PyInit__core"]))) is None


def test_mach_o_names_have_an_underscore_in_front() -> None:
    assert extension_name("demo/_core.abi3.so", macho(table=symbols(exports=[b"_PyInit__core"]))) == "demo._core"
    assert extension_name("demo/_core.abi3.so", macho(table=symbols(exports=[b"PyInit__core"]))) is None


def test_a_windows_debug_build_has_another_file_name() -> None:
    image = pe(table=symbols(exports=[b"PyInit__core"]))
    assert extension_name("demo/_core_d.cp312-win_amd64.pyd", image) == "demo._core"
    assert extension_name("demo/_core.pyd", image) == "demo._core"


def test_only_a_file_with_a_module_suffix_has_a_tag() -> None:
    assert split_name("_core.cpython-312-darwin.so") == ("_core", "cpython-312-darwin", ".so")
    assert split_name("_core.pyd") == ("_core", "", ".pyd")
    assert split_name("libfoo.so.1") is None


def test_every_spelling_of_an_init_function_is_known() -> None:
    assert init_names("x") == (b"PyInit_x", b"PyModExport_x", b"_cffi_pypyinit_x", b"HPyInit_x", b"initx")


EXTENSION = binary("demo/_core.abi3.so", elf("liba.so"), role=Role.PAYLOAD, extension="demo._core")
LIBRARY = binary("demo/liba.so", elf(), role=Role.PAYLOAD)
OTHER = binary("demo/libb.so", elf(), role=Role.PAYLOAD)
PROGRAM = binary("demo/bin/tool", elf(kind="program"), role=Role.PAYLOAD)


def load(*order: str, resolutions: tuple[Resolution, ...] = ()) -> Load:
    paths = tuple(f"{SITE}/{member}" for member in order)
    return Load(paths[0], "x86_64", "glibc", paths, resolutions)


def roles(*args: object) -> dict[str, Role]:
    return {found.member: found.role for found in assign_roles(*args)}  # type: ignore[arg-type]


def opens(argument: str | None) -> Hint:
    return Hint("demo/__init__.py", 3, "cdll", argument)


def test_what_an_extension_brings_is_imported_and_the_rest_is_not() -> None:
    loads = [load("demo/_core.abi3.so", "demo/liba.so"), load("demo/libb.so"), load("demo/bin/tool")]
    assert roles([EXTENSION, LIBRARY, OTHER, PROGRAM], loads, []) == {
        "demo/_core.abi3.so": Role.IMPORTED,
        "demo/liba.so": Role.IMPORTED,
        "demo/libb.so": Role.PAYLOAD,
        "demo/bin/tool": Role.PROGRAM,
    }


def test_what_only_a_program_brings_is_payload() -> None:
    assert roles([LIBRARY, PROGRAM], [load("demo/bin/tool", "demo/liba.so")], [])["demo/liba.so"] == Role.PAYLOAD


@pytest.mark.parametrize("argument", [f"{SITE}/demo/libb.so", "libb.so", "/somewhere/else/libb.so", "LIBB", "libb"])
def test_a_library_opened_by_name_is_imported_with_what_it_brings(argument: str) -> None:
    found = roles([EXTENSION, LIBRARY, OTHER], [load("demo/libb.so", "demo/liba.so")], [opens(argument)])
    assert found["demo/libb.so"] == found["demo/liba.so"] == Role.IMPORTED


@pytest.mark.parametrize("hint", [opens("libc.so.6"), opens("b.so"), Hint("demo/x.py", 1, "add_dll_directory", "libb.so")])
def test_opening_something_else_imports_nothing(hint: Hint) -> None:
    assert roles([EXTENSION, OTHER], [load("demo/libb.so")], [hint])["demo/libb.so"] == Role.PAYLOAD


def test_a_computed_name_means_the_only_library_that_nothing_else_brings() -> None:
    loads = [load("demo/libb.so", "demo/liba.so"), load("demo/liba.so"), load("demo/bin/tool")]
    found = roles([LIBRARY, OTHER, PROGRAM], loads, [opens(None)])
    assert found == {"demo/liba.so": Role.IMPORTED, "demo/libb.so": Role.IMPORTED, "demo/bin/tool": Role.PROGRAM}


def test_a_computed_name_is_no_hint_when_several_libraries_remain_or_there_are_modules() -> None:
    alone = [load("demo/libb.so"), load("demo/liba.so")]
    assert set(roles([LIBRARY, OTHER], alone, [opens(None)]).values()) == {Role.PAYLOAD}
    assert roles([EXTENSION, OTHER], [load("demo/libb.so")], [opens(None)])["demo/libb.so"] == Role.PAYLOAD


def test_a_computed_name_is_judged_for_each_distribution_by_itself() -> None:
    other = dataclasses.replace(binary("other/libc.so", elf(), role=Role.PAYLOAD), owner="other")
    third = dataclasses.replace(binary("third/libd.so", elf(), role=Role.PAYLOAD), owner="third")
    loads = [load("demo/_core.abi3.so"), load("other/libc.so"), load("third/libd.so")]
    found = roles([EXTENSION, other, third], loads, [Hint("other/libpath.py", 3, "cdll", None)], {"other/libpath.py": "other"})
    assert found == {"demo/_core.abi3.so": Role.IMPORTED, "other/libc.so": Role.IMPORTED, "third/libd.so": Role.PAYLOAD}


def test_a_library_passed_over_for_its_architecture_is_imported_when_nothing_else_was_found() -> None:
    tried = (Tried(f"{SITE}/demo/liba.so", "DT_RUNPATH", "other architecture"),)
    for how, expected in ((How.MISSING, Role.IMPORTED), (How.BUNDLED, Role.PAYLOAD)):
        edge = Resolution(EXTENSION.path, 0, Needed("liba.so"), "x86_64", how, None, "", tried)
        found = roles([EXTENSION, LIBRARY], [load("demo/_core.abi3.so", resolutions=(edge,))], [])
        assert found["demo/liba.so"] == expected
