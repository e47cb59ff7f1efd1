"""Python sources: what they add to the search for DLLs and which libraries they open, without running them."""

from textwrap import dedent

import pytest

from builders import SITE
from relocator.model import Hint
from relocator.python_sources import hints

MEMBER = "demo/__init__.py"
PATH = f"{SITE}/{MEMBER}"


def found(source: str | bytes) -> list[Hint]:
    data = source if isinstance(source, bytes) else dedent(source).encode()
    return hints(MEMBER, PATH, memoryview(data))


def said(source: str) -> list[tuple[str, str | None]]:
    return [(hint.call, hint.argument) for hint in found(source)]


def added(expression: str, lines: str = "") -> str | None:
    (hint,) = found(f"import os, pathlib\nfrom pathlib import Path\n{lines}\nos.add_dll_directory({expression})\n")
    return hint.argument


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'C:\\\\x'", "C:\\x"),
        ("os.path.dirname(__file__)", f"{SITE}/demo"),
        ("os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'demo.libs'))", f"{SITE}/demo.libs"),
        ("os.path.join(os.path.realpath(os.path.dirname(__file__)), '..', 'demo.libs')", f"{SITE}/demo.libs"),
        ("os.path.join(os.path.dirname(__file__), '..\\\\demo.libs')", f"{SITE}/demo.libs"),
        ("os.path.normpath(os.path.split(__file__)[0])", f"{SITE}/demo"),
        ("os.path.dirname(os.path.dirname(__file__)) + '/demo.libs'", f"{SITE}/demo.libs"),
        ("os.path.dirname(__file__) + os.sep + 'libs'", f"{SITE}/demo/libs"),
        ("os.path.join(*[os.path.dirname(__file__), 'libs'])", f"{SITE}/demo/libs"),
        ("Path(__file__).parent / 'libs'", f"{SITE}/demo/libs"),
        ("str(Path(__file__).resolve().parent.parent / 'demo.libs')", f"{SITE}/demo.libs"),
        ("pathlib.Path(__file__).absolute().parents[1] / 'demo.libs' / 'x'", f"{SITE}/demo.libs/x"),
        ("Path(__file__).parent.joinpath('libs', 'x')", f"{SITE}/demo/libs/x"),
        ("Path(__file__).with_name('libs')", f"{SITE}/demo/libs"),
        ("os.fspath(Path(os.path.dirname(__file__), 'libs'))", f"{SITE}/demo/libs"),
        ("f'{os.path.dirname(__file__)}/libs/v{2}'", f"{SITE}/demo/libs/v2"),
        ("(d := os.path.dirname(__file__))", f"{SITE}/demo"),
        ("os.environ['X']", None),
        ("os.path.join(os.environ['X'], 'bin')", None),
        ("os.path.join()", None),
        ("f'{__file__!r}'", None),
        ("f'{os.getcwd()}/x'", None),
        ("Path(__file__).parents[-1]", None),
        ("unknown", None),
        ("3", None),
        ("os.path.dirname(__file__) * 2", None),
        ("['a'][5]", None),
    ],
)
def test_an_argument_is_evaluated_as_far_as_it_can_be_known(expression: str, value: str | None) -> None:
    assert added(expression) == value


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("d = os.path.dirname(__file__)", f"{SITE}/demo"),
        ("d: str = 'x'", "x"),
        ("e = 'x'\nd = e", "x"),
        ("if True:\n    d = 'x'", "x"),
        ("d = 'x'\nd = 'y'", None),
        ("d = 'x'\nd += 'y'", None),
        ("for d in ['x']: pass", None),
        ("with open('x') as d: pass", None),
        ("d, e = 'x', 'y'", None),
        ("try:\n    d = 'x'\nexcept OSError as d:\n    pass", None),
        ("global d\nd = 'x'", None),
        ("d = d", None),
        ("d = e\ne = d", None),
        ("def f():\n    d = 'x'", None),
        ("try:\n    d = 'x'\nexcept OSError:\n    d = 'y'", None),
    ],
)
def test_a_name_is_known_when_it_is_assigned_once(lines: str, value: str | None) -> None:
    assert added("d", lines) == value


def test_functions_see_their_own_names_and_those_around_them() -> None:
    source = """
    import os
    HERE = os.path.dirname(__file__)
    def one():
        here = os.path.join(HERE, "a")
        def inner():
            os.add_dll_directory(here)
    def two(HERE):
        os.add_dll_directory(HERE)
    class Loader:
        folder = os.path.join(HERE, "b")
        add = lambda self: os.add_dll_directory(HERE)
    """
    assert [hint.argument for hint in found(source)] == [f"{SITE}/demo/a", None, f"{SITE}/demo"]


def test_what_delvewheel_writes_today() -> None:
    source = """
    # start delvewheel patch
    def _delvewheel_patch_1_10_0():
        import os
        if os.path.isdir(libs_dir := os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'demo.libs'))):
            os.add_dll_directory(libs_dir)


    _delvewheel_patch_1_10_0()
    del _delvewheel_patch_1_10_0
    # end delvewheel patch
    """
    assert found(source) == [Hint(MEMBER, 6, "add_dll_directory", f"{SITE}/demo.libs")]


def test_what_delvewheel_wrote_for_old_pythons() -> None:
    source = """
    def _delvewheel_init_patch_0_0_21():
        import ctypes
        import os
        import sys
        libs_dir = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'demo.libs'))
        if sys.version_info[:2] >= (3, 8):
            if os.path.isdir(libs_dir):
                os.add_dll_directory(libs_dir)
        else:
            load_order_filepath = os.path.join(libs_dir, '.load-order-demo-1.0')
            if os.path.isfile(load_order_filepath):
                with open(os.path.join(libs_dir, '.load-order-demo-1.0')) as file:
                    load_order = file.read().split()
                for lib in load_order:
                    lib_path = os.path.join(os.path.join(libs_dir, lib))
                    if os.path.isfile(lib_path) and not ctypes.windll.kernel32.LoadLibraryExW(ctypes.c_wchar_p(lib_path), None, 8):
                        raise OSError('Error loading {}; {}'.format(lib, ctypes.FormatError()))
    _delvewheel_init_patch_0_0_21()
    """
    assert said(source) == [("add_dll_directory", f"{SITE}/demo.libs"), ("cdll", None)]


def test_its_oldest_form_opens_each_library() -> None:
    source = """
    def _delvewheel_init_patch_0_0_5():
        import os
        from ctypes import WinDLL
        libs_dir = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'demo.libs'))
        with open(os.path.join(libs_dir, '.load_order')) as file:
            load_order = file.read().split()
        for lib in load_order:
            WinDLL(os.path.join(libs_dir, lib))
    """
    assert said(source) == [("cdll", None)]


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("import ctypes\nctypes.CDLL('liba.so')", ("cdll", "liba.so")),
        ("from ctypes import CDLL as open_it\nopen_it('liba.so')", ("cdll", "liba.so")),
        ("import ctypes\nctypes.cdll.LoadLibrary('liba.so')", ("cdll", "liba.so")),
        ("import ctypes\nctypes.CDLL(name='liba.so')", ("cdll", "liba.so")),
        ("import ctypes\nctypes.WinDLL(f'{x}')", ("cdll", None)),
        ("ffi.dlopen('liba.so')", ("cdll", "liba.so")),
        ("import torch\ntorch.ops.load_library('liba.so')", ("cdll", "liba.so")),
        ("import numpy as np\nnp.ctypeslib.load_library('liba', __file__)", ("cdll", f"{SITE}/demo/liba")),
        ("import numpy as np, os\nnp.ctypeslib.load_library('liba', os.path.dirname(__file__))", ("cdll", f"{SITE}/demo/liba")),
        ("import sys\nsys.setdlopenflags(2)", ("setdlopenflags", None)),
        ("import ctypes\nx = ctypes.RTLD_GLOBAL", ("rtld_global", None)),
        ("from os import RTLD_GLOBAL\nx = RTLD_GLOBAL", ("rtld_global", None)),
    ],
)
def test_each_call_by_its_word(call: str, hint: tuple[str, str | None]) -> None:
    assert said(call) == [hint]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1",
        "import ctypes\nctypes.CDLL(None)",  # the program itself
        "# CDLL('liba.so')",
        "'''os.add_dll_directory(x)'''",
        "def add_dll_directory(path): pass",
        "print 'CDLL'",  # Python 2
        "CDLL(",
        "# -*- coding: nonsense -*-\nCDLL('x')",
        b"CDLL('\xff')",
        b"\0CDLL('x')",
        b"CDLL\n" + b"(" * 100_000,
        "CDLL\n" + "x = " + "-" * 100_000 + "1",
        "CDLL\n" + "x = " + "1+" * 100_000 + "1",
    ],
)
def test_what_says_nothing_gives_no_hint_and_no_crash(source: str | bytes) -> None:
    assert found(source) == []


@pytest.mark.parametrize("step", ["a{0} + a{0}", "os.path.join(a{0}, a{0})", "(a{0}, a{0})", "f'{{a{0}}}{{a{0}}}'"])
@pytest.mark.parametrize("count", [10, 24, 200])
def test_an_expression_that_grows_is_given_up(step: str, count: int) -> None:
    lines = "\n".join(f"a{n} = {step.format(n + 1)}" for n in range(count))
    (hint,) = found(f"import os\n{lines}\na{count} = 'x'\nos.add_dll_directory(a0)\n")
    assert hint.argument is None or len(hint.argument) <= 4096


def test_a_text_that_doubles_is_known_while_it_is_a_path() -> None:
    lines = "\n".join(f"a{n} = a{n + 1} + a{n + 1}" for n in range(14))
    for name, length in (("a2", 4096), ("a1", None)):
        (hint,) = found(f"import os\n{lines}\na14 = 'x'\nos.add_dll_directory({name})\n")
        assert (len(hint.argument) if hint.argument else None) == length


def test_a_huge_source_is_not_parsed() -> None:
    assert found(b"CDLL('x')\n" + b"x = 1\n" * 1_000_000) == []


def test_a_warning_about_a_source_is_not_ours(recwarn: pytest.WarningsRecorder) -> None:
    assert said("CDLL('\\d')") == [("cdll", "\\d")]
    assert not recwarn.list


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\nos.environ['KMP_DUPLICATE_LIB_OK'] = 'TRUE'", 1),
        ("import os\nos.environ.setdefault('KMP_DUPLICATE_LIB_OK', 'True')", 1),
        ("import os\nif 1:\n    os.putenv('KMP_DUPLICATE_LIB_OK', '1')", 1),
        ("import os\ndef f():\n    os.environ['KMP_DUPLICATE_LIB_OK'] = 'TRUE'", 0),
        ("import os\ndef f():\n    os.environ.setdefault('KMP_DUPLICATE_LIB_OK', 'True')", 0),
        ("import os\nprint(os.environ['KMP_DUPLICATE_LIB_OK'], os.environ.get('KMP_DUPLICATE_LIB_OK'))", 0),
        ("import os\nos.environ['OTHER'] = 'KMP_DUPLICATE_LIB_OK'", 0),
    ],
)
def test_a_variable_that_silences_a_runtime_counts_where_the_import_sets_it(source: str, expected: int) -> None:
    assert said(source) == [("setenv", "KMP_DUPLICATE_LIB_OK")] * expected
