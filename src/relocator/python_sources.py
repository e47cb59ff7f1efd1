"""What Python sources say about loading: DLL folders that they add, libraries that they open, flags that they set.

A source is parsed only if a search of its bytes finds a word that matters, and never run. Arguments are evaluated as far as literals,
`__file__`, names assigned once, os.path and pathlib go.
"""

import ast
import warnings
from collections.abc import Iterator

from relocator.buffer import Buffer
from relocator.model import Hint
from relocator.source_values import Scope, evaluate, scopes_of

WORDS = (
    b"add_dll_directory",
    b"RTLD_GLOBAL",
    b"LoadLibrary",
    b"load_library",
    b"dlopen",
    b"CDLL",
    b"WinDLL",
    b"OleDLL",
    b"PyDLL",
    b"KMP_DUPLICATE_LIB_OK",
)
"""Without one of these a source is not parsed."""

_SIEVE = (*WORDS[:5], b"DLL", b"KMP_DUPLICATE_LIB_OK")
"""In each of the words is one of these: searching nearly all sources for as few as possible is what costs time."""

SIZE_LIMIT = 4 << 20
"""Bytes; larger sources are tables that some program wrote."""

_OPENERS = frozenset(
    {"CDLL", "PyDLL", "WinDLL", "OleDLL", "LoadLibrary", "LoadLibraryW", "LoadLibraryA", "LoadLibraryExW", "dlopen", "load_library"}
)
_VARIABLES = frozenset({"KMP_DUPLICATE_LIB_OK"})
"""Variables of the environment that silence a loader or runtime."""

_SETTERS = frozenset({"setdefault", "putenv"})
_FOLDER_SECOND = "load_library"
"""numpy.ctypeslib.load_library(NAME, FOLDER) takes the folder apart from the name."""


def hints(member: str, path: str, data: Buffer) -> list[Hint]:
    """Return what a source says about loading, by line; nothing for one that does not parse. `path` is where it lies once installed."""
    if len(data) > SIZE_LIMIT:
        return []
    source = bytes(data[:])
    if not any(word in source for word in _SIEVE) or not any(word in source for word in WORDS):
        return []
    tree = _parsed(source)
    if tree is None:
        return []
    found = [hint for scope in scopes_of(tree, path) for hint in _in_scope(scope, member)]
    if any(name.encode() in source for name in _VARIABLES):
        found += _set_by_item(tree, member)
    return sorted(dict.fromkeys(found), key=lambda hint: (hint.line, hint.call, hint.argument or ""))


def _parsed(source: bytes) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in others' sources are not our user's concern
            return ast.parse(source)
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):  # LookupError: an unknown encoding
        return None


def _set_by_item(tree: ast.Module, member: str) -> Iterator[Hint]:
    """Yield the variables that an import sets, as in `os.environ["NAME"] = ...`; what functions do is done later, if at all."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
            name = node.slice.value
            yield from [Hint(member, node.lineno, "setenv", str(name))] if name in _VARIABLES else []
        left += [] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else ast.iter_child_nodes(node)


def _in_scope(scope: Scope, member: str) -> Iterator[Hint]:
    for node in scope.nodes:
        if isinstance(node, ast.Call):
            yield from _of_call(node, scope, member)
        elif (isinstance(node, ast.Attribute) and node.attr == "RTLD_GLOBAL") or (isinstance(node, ast.Name) and node.id == "RTLD_GLOBAL"):
            yield Hint(member, node.lineno, "rtld_global", None)


def _of_call(call: ast.Call, scope: Scope, member: str) -> Iterator[Hint]:
    name = (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else scope.imported_as(call.func.id)
        if isinstance(call.func, ast.Name)
        else ""
    )
    if name in _SETTERS:
        variable = _argument(call, scope, "key") if scope.outer is None else None
        if variable in _VARIABLES:
            yield Hint(member, call.lineno, "setenv", variable)
    elif name == "setdlopenflags":
        yield Hint(member, call.lineno, "setdlopenflags", None)
    elif name == "add_dll_directory":
        yield Hint(member, call.lineno, "add_dll_directory", _argument(call, scope, "path"))
    elif name in _OPENERS and not _opens_the_program(call):
        argument = _argument(call, scope, "name")
        yield Hint(member, call.lineno, "cdll", _below_second(call, scope, argument) if name == _FOLDER_SECOND else argument)


def _opens_the_program(call: ast.Call) -> bool:
    """Tell a call such as CDLL(None), which opens no library."""
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value is None


def _argument(call: ast.Call, scope: Scope, keyword: str) -> str | None:
    node = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == keyword), None)
    return None if node is None else evaluate(node, scope)


def _below_second(call: ast.Call, scope: Scope, name: str | None) -> str | None:
    """Put the folder before the name, where there is one: a source's own file stands for its folder."""
    folder = evaluate(call.args[1], scope) if len(call.args) > 1 else None
    if name is None or folder is None:
        return name
    base = folder.rpartition("/")[0] if folder == scope.path else folder
    return f"{base}/{name}"
