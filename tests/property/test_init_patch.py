"""Whatever a source has at its top, the patch neither changes what it says nor moves a byte of it."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from relocator.repair.init_patch import PatchRefused, Reach, created, patched, patched_at_marks

REACH = Reach(("../demo.libs", "bin"), ("../demo.libs/a.dll",))
NAME = created(REACH).split(b"(")[0].removeprefix(b"def ").decode()

HEADS = ["", "#!/bin/python\n", "# coding: utf-8\n", "\n", "\\\n", "# no coding\n\n"]
DOCSTRINGS = ["", "'d'", '"""a\nb"""', "('a'  # c\n 'b')", "r'\\d'", "'a' 'b'", "b'x'", "f'{1}'", "'\\''", "'a', 'b'", "('a', )", "'é\\\n'"]
JOINTS = ["\n", "; ", ";\n", "  # c\n", "\n\n# c\n", "; \\\n", "\n\x0c"]
FUTURES = [
    "from __future__ import annotations",
    "from __future__ import (division,\n  generators)",
    "import os",
    "x = '''\n# relocate: patch'''",
]
BODIES = ["", "import sys", "def f(): return '''\n'''", "class A:\n\tx = 1", "@f\ndef g(): pass", "if 1:\n    # relocate: patch\n    pass"]


@st.composite
def sources(draw: st.DrawFn) -> str:
    parts = [draw(st.sampled_from(HEADS))]
    for kind in (DOCSTRINGS, FUTURES, FUTURES, BODIES):
        if part := draw(st.sampled_from(["", *kind])):
            parts += [part, draw(st.sampled_from(JOINTS))]
    text = "".join(parts)
    return text.rstrip("\n") if draw(st.booleans()) else text


def parsed(data: bytes) -> ast.Module | None:
    try:
        compile(data, "x", "exec", dont_inherit=True)
        return ast.parse(data)
    except (SyntaxError, ValueError):
        return None


def without_ours(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [part for part in node.body if NAME not in ast.dump(part) or not is_ours(part)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.Expr | ast.Delete) and getattr(node, "name", NAME) == NAME


@given(sources(), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_a_patched_source_says_the_same(text: str, newline: str, bom: bytes) -> None:
    data = bom + text.replace("\n", newline).encode()
    before = parsed(data)
    if before is None:
        return
    after = patched(data, REACH)
    tree = parsed(after)
    assert tree is not None
    assert ast.get_docstring(tree, clean=False) == ast.get_docstring(before, clean=False)
    assert without_ours(tree) == ast.dump(before)
    assert patched(after, REACH) == after
    start = next((n for n in range(len(data)) if after[: n + 1] != data[: n + 1]), len(data))
    assert after.startswith(data[:start])
    assert after.endswith(data[start:])


@given(sources(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_source_patched_at_its_marks_says_the_same(text: str, newline: str) -> None:
    data = text.replace("\n", newline).encode()
    before = parsed(data)
    if before is not None:
        after = patched_at_marks(data, REACH)
        tree = parsed(after)
        assert tree is not None
        assert (after != data) == ("if 1:" in text)
        assert without_ours(tree) == ast.dump(before)


@given(st.binary(max_size=60))
def test_any_bytes_are_patched_or_refused(data: bytes) -> None:
    for patch in (patched, patched_at_marks):
        try:
            after = patch(data, REACH)
        except PatchRefused:
            continue
        assert len(after) >= len(data)
