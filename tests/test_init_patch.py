"""The patch in a Python source: where it goes, what it leaves alone, what it does, and what our own reader makes of it."""

import ast
import gc
import os
import sys
import types
from pathlib import Path

import pytest

from relocator.python_sources import hints
from relocator.repair.init_patch import PatchRefused, Reach, created, patched, patched_at_marks

REACH = Reach(("../demo.libs",))
BLOCK = created(REACH).decode()
NAME = BLOCK.splitlines()[0].removeprefix("def ").removesuffix("():")

PLACES = {
    "nothing": ("", f"{BLOCK}"),
    "code": ("x = 1\n", f"{BLOCK}\nx = 1\n"),
    "docstring": ('"""doc"""\nx = 1\n', f'"""doc"""\n\n{BLOCK}\nx = 1\n'),
    "docstring alone, without a last newline": ('"""doc"""', f'"""doc"""\n\n{BLOCK}'.removesuffix("\n")),
    "docstring and more on its line": ('"""doc"""; x = 1\n', f'"""doc"""; \n\n{BLOCK}\nx = 1\n'),
    "docstring, comment on its line": ("'doc'  # why\nx = 1\n", f"'doc'  # why\n\n{BLOCK}\nx = 1\n"),
    "docstring and a last semicolon": ("'doc';\nx = 1\n", f"'doc';\n\n{BLOCK}\nx = 1\n"),
    "docstring in parentheses": ("('doc'\n 'more')\nx = 1\n", f"('doc'\n 'more')\n\n{BLOCK}\nx = 1\n"),
    "docstring over lines": ('r"""a\n\\b\n"""\nx = 1\n', f'r"""a\n\\b\n"""\n\n{BLOCK}\nx = 1\n'),
    "docstring with quotes at its edges": ("'''\"a\"'''\n", f"'''\"a\"'''\n\n{BLOCK}"),
    "call of a string": ("'a'('b')\n", f"{BLOCK}\n'a'('b')\n"),
    "string in a list": ("['doc']\nx = 1\n", f"{BLOCK}\n['doc']\nx = 1\n"),
    "bytes": ("b'doc'\n", f"{BLOCK}\nb'doc'\n"),
    "f-string": ("f'doc'\n", f"{BLOCK}\nf'doc'\n"),
    "future": ("from __future__ import annotations\nx = 1\n", f"from __future__ import annotations\n\n{BLOCK}\nx = 1\n"),
    "futures behind a docstring": (
        "'doc'\nfrom __future__ import (\n    annotations,\n)\n\nfrom __future__ import division; import os\n",
        f"'doc'\nfrom __future__ import (\n    annotations,\n)\n\nfrom __future__ import division; \n\n{BLOCK}\nimport os\n",
    ),
    "all on one line": (
        "'doc'; from __future__ import division; x = 1",
        f"'doc'; from __future__ import division; \n\n{BLOCK}\nx = 1",
    ),
    "line that goes on": ("'doc'; \\\nx = 1\n", f"'doc'; \\\n\n{BLOCK}\nx = 1\n"),
    "shebang, encoding and comments": (
        "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n# Licence\n\n# of x\nx = 1\n",
        f"#!/usr/bin/python\n# -*- coding: utf-8 -*-\n# Licence\n\n{BLOCK}\n\n# of x\nx = 1\n",
    ),
    "encoding in the second line": ("\n# coding: utf-8\nx = 1\n", f"\n# coding: utf-8\n\n{BLOCK}\nx = 1\n"),
    "comments alone": ("# one\n# two", f"# one\n# two\n\n{BLOCK}".removesuffix("\n")),
    "decorator": ("@property\ndef f(): pass\n", f"{BLOCK}\n@property\ndef f(): pass\n"),
    "form feed": ("'doc'\n\x0c\nx = 1\n", f"'doc'\n\n{BLOCK}\n\x0c\nx = 1\n"),
    "tabs": ("if 1:\n\tx = 1\n", f"{BLOCK}\nif 1:\n\tx = 1\n"),
    "separators that are no line ends": ("'a\x85b\u2028c'\nx = 1\n", f"'a\x85b\u2028c'\n\n{BLOCK}\nx = 1\n"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_patch_comes_after_the_head_of_a_source(place: str) -> None:
    before, after = PLACES[place]
    assert patched(before.encode(), REACH).decode() == after


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
@pytest.mark.parametrize("place", PLACES)
def test_line_ends_stay_what_they_are(place: str, newline: str) -> None:
    before, after = PLACES[place]
    if before.strip("\n").count("\n") or before.endswith("\n"):
        assert patched(before.replace("\n", newline).encode(), REACH).decode() == after.replace("\n", newline)


@pytest.mark.parametrize("place", PLACES)
def test_the_second_time_nothing_changes(place: str) -> None:
    once = patched(PLACES[place][0].encode(), REACH)
    assert patched(once, REACH) == once


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf'doc \xc3\xa9'\nx = 1\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf# comment\nx = 1",
        b"# coding: latin-1\n'doc \xe9'\nx = '\xe9'\n",
        b"# -*- coding: cp1252 -*-\r\n'doc \x80'\r\nx = '\x80'\r\n",
        b"# coding: shift_jis\n'\x83\x5c'\nx = '\x83\x5c'\n",
    ],
)
def test_the_encoding_and_all_bytes_stay_what_they_are(data: bytes) -> None:
    after = patched(data, REACH)
    assert ast.get_docstring(ast.parse(after), clean=False) == ast.get_docstring(ast.parse(data), clean=False)
    start = next(n for n in range(len(data) + 1) if after[: n + 1] != data[: n + 1])
    assert after.endswith(data[start:])
    assert after.removesuffix(data[start:]).startswith(data[:start])
    assert f"def {NAME}" in after.decode("latin-1")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x = '\xe9'\n", "encoding"),
        (b"# coding: no-such\nx = 1\n", "encoding"),
        (b"# coding: utf-16\nx = 1\n", "encoding"),
        (b"# coding: utf-7\n'+AOk-'\n", "utf-7"),
    ],
)
def test_a_source_in_no_known_encoding_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(PatchRefused, match=reason):
        patched(data, REACH)


@pytest.mark.parametrize(
    ("before", "head"),
    [
        ("'doc'\nprint 'x'\n", "'doc'\n"),
        ("# old\nfrom __future__ import division\nexec 'a' in b\n", "# old\nfrom __future__ import division\n"),
        ("'doc'\nx = 0777\n`x`\n", "'doc'\n"),
        ("'doc'\nx = $new$\ny = '''\n", "'doc'\n"),
    ],
)
def test_a_source_of_another_python_is_divided_by_its_tokens(before: str, head: str) -> None:
    assert patched(before.encode(), REACH).decode() == before.replace(head, f"{head}\n{BLOCK}\n", 1)


def test_several_folders_and_files_to_open_are_found_by_our_own_reader() -> None:
    reach = Reach(("../demo.libs", "bin", ".", "odd '\"é"), ("../demo.libs/b.dll", "bin/a.dll", "c.dll"))
    found = hints("demo/sub/__init__.py", "/site/demo/sub/__init__.py", patched(b'"doc"\n', reach))
    assert [(hint.call, hint.argument) for hint in found] == [
        ("add_dll_directory", "/site/demo/demo.libs"),
        ("add_dll_directory", "/site/demo/sub/bin"),
        ("add_dll_directory", "/site/demo/sub"),
        ("add_dll_directory", "/site/demo/sub/odd '\"é"),
        ("cdll", "/site/demo/demo.libs/b.dll"),
        ("cdll", "/site/demo/sub/bin/a.dll"),
        ("cdll", "/site/demo/sub/c.dll"),
    ]


# ---- where the user says


def test_a_line_that_asks_for_it_becomes_the_patch_with_its_indentation() -> None:
    before = "'doc'\r\nimport os\r\nif os.name == 'nt':\r\n\t# relocate: patch\r\nx = 1\r\n# delvewheel: patch\r\n"
    lines = BLOCK.splitlines()
    inner = "\r\n".join("\t" + line for line in lines)
    outer = "\r\n".join(lines)
    after = f"'doc'\r\nimport os\r\nif os.name == 'nt':\r\n{inner}\r\nx = 1\r\n{outer}\r\n"
    assert patched_at_marks(before.encode(), REACH).decode() == after
    ast.parse(after)


@pytest.mark.parametrize(
    "text", ["x = 1\n", "", "s = '''\n# relocate: patch\n'''\n", "x = 1  # relocate: patch\n", "# relocate: patches\n", "# patch\n"]
)
def test_what_is_no_such_line_stays(text: str) -> None:
    assert patched_at_marks(text.encode(), REACH).decode() == text


def test_a_line_in_a_source_that_cannot_be_divided_counts() -> None:
    before = b"if 1:\n    x = 1\n  y = 1\n"
    assert patched_at_marks(before + b"# relocate: patch\n", REACH) == before + BLOCK.encode()


def test_a_line_inside_a_string_of_a_source_that_cannot_be_divided_is_refused_or_left() -> None:
    assert patched_at_marks(b"def f():\n  '''\n  # relocate: patch\n  '''\n", REACH) == b"def f():\n  '''\n  # relocate: patch\n  '''\n"


@pytest.mark.parametrize(
    "data", [b"x = '\xe9'  # dispatch\n", b"# coding: no-such\npatch = 1\n", b"# coding: utf-16\n# relocate a patch\n"]
)
def test_a_source_without_such_a_line_may_be_in_any_encoding(data: bytes) -> None:
    assert patched_at_marks(data, REACH) == data


def test_a_line_in_a_source_of_no_known_encoding_is_refused() -> None:
    with pytest.raises(PatchRefused, match="encoding"):
        patched_at_marks(b"# relocate: patch\nx = '\xe9'\n", REACH)


# ---- what it does


class Windows:
    """Python's os module, as far as the patch knows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, modern: bool = True) -> None:
        self.added: list[str] = []
        self.opened: list[str] = []
        monkeypatch.setattr(os, "name", "nt")
        monkeypatch.setenv("PATH", "/old")
        if modern:
            monkeypatch.setattr(os, "add_dll_directory", self.added.append, raising=False)
        fake = types.ModuleType("ctypes")
        fake.WinDLL = self.opened.append  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ctypes", fake)


def run(data: bytes, file: Path | None) -> dict[str, object]:
    names: dict[str, object] = {"__file__": str(file)} if file else {}
    exec(compile(data, str(file), "exec"), names)
    gc.collect()
    return names


def laid_out(tmp_path: Path) -> Path:
    (tmp_path / "demo.libs").mkdir()
    (tmp_path / "demo").mkdir()
    return tmp_path / "demo" / "__init__.py"


def test_the_patch_adds_the_folder_and_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(monkeypatch)
    names = run(patched(b"'doc'\n", Reach(("../demo.libs",), ("../demo.libs/a.dll",))), laid_out(tmp_path))
    assert windows.added == [str(tmp_path / "demo.libs")]
    assert windows.opened == [str(tmp_path / "demo.libs" / "a.dll")]
    assert set(names) == {"__builtins__", "__doc__", "__file__"}


def test_an_old_python_gets_the_folder_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(monkeypatch, modern=False)
    run(created(REACH), laid_out(tmp_path))
    assert os.environ["PATH"] == f"{tmp_path / 'demo.libs'}{os.pathsep}/old"
    assert not windows.added


def test_frozen_programs_and_other_systems_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(monkeypatch)
    run(created(REACH), tmp_path / "app.zip" / "demo" / "__init__.py")
    run(created(REACH), None)
    monkeypatch.setattr(os, "name", "posix")
    run(created(REACH), laid_out(tmp_path))
    assert (windows.added, os.environ["PATH"]) == ([], "/old")


def test_a_file_that_cannot_be_opened_is_left_to_those_who_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(monkeypatch)
    monkeypatch.setitem(sys.modules, "ctypes", None)
    run(created(Reach(("../demo.libs",), ("../demo.libs/a.dll",))), laid_out(tmp_path))
    assert len(windows.added) == 1
