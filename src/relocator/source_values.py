"""The values of expressions in Python sources, as far as they can be known without running them."""

import ast
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from relocator.loading import normalise

DEPTH = 50
"""Steps from one name or operand to the next: more only a generated source has."""

LENGTH = 4096
"""Characters of a path that some system takes."""

Value = str | int | tuple["Value", ...] | None
"""Paths of pathlib are strings too; a tuple is a list or tuple; None is a value that cannot be known."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_CONSTANTS: dict[str, str] = {
    "os.pardir": "..",
    "os.path.pardir": "..",
    "os.curdir": ".",
    "os.path.curdir": ".",
    "os.sep": "/",
    "os.path.sep": "/",
}
_SAME = frozenset(
    {"os.path.abspath", "os.path.realpath", "os.path.normpath", "os.path.expanduser", "os.fspath", "os.fsencode", "os.fsdecode", "str"}
)
_PATHS = frozenset({"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.WindowsPath"})
_SAME_METHODS = frozenset({"resolve", "absolute", "as_posix", "expanduser", "__str__", "__fspath__", "encode"})


@dataclass(eq=False)
class Scope:
    """A module's or function's own names; those that it does not have are looked up in `outer`."""

    path: str
    """What `__file__` is."""
    aliases: dict[str, str]
    """What imported names stand for, one for all of a source: "osp" for "os.path", "join" for "os.path.join"."""
    outer: "Scope | None" = None
    names: dict[str, ast.expr | None] = field(default_factory=dict)
    """The expression that a name is assigned; None for one that is assigned twice, or by something else than a plain assignment."""
    nodes: list[ast.AST] = field(default_factory=list)
    """Calls, attributes and names."""
    known: dict[str, Value] = field(default_factory=dict)
    """Values of the names that were asked for: each is worked out once, or a hostile source could make it grow without end."""

    def imported_as(self, name: str) -> str:
        """Return the last part of the name that an import gave another one."""
        return self.aliases.get(name, name).rpartition(".")[2]

    def lookup(self, name: str) -> tuple[ast.expr | None, "Scope"]:
        """Return what a name is assigned, with the scope to evaluate it in."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name], scope
            scope = scope.outer
        return None, self

    def _bind(self, name: str, value: ast.expr | None) -> None:
        self.names[name] = None if name in self.names else value

    def note(self, node: ast.AST) -> None:
        """Take in one node of the scope's body."""
        if isinstance(node, ast.Call | ast.Attribute | ast.Name):
            self.nodes.append(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            if node.value is not None:
                self._assign(node.target, node.value)
        elif isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor | ast.comprehension):
            self._lose(node.target)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._lose(node.optional_vars)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.names[node.name] = None
        elif isinstance(node, ast.Global | ast.Nonlocal):
            self.names.update(dict.fromkeys(node.names))
        elif isinstance(node, ast.Import):
            self.aliases.update((alias.asname, alias.name) for alias in node.names if alias.asname)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            self.aliases.update((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, value)
        else:
            self._lose(target)

    def _lose(self, target: ast.expr) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.names[node.id] = None


def scopes_of(tree: ast.Module, path: str) -> list[Scope]:
    """Return the module's scope and that of every function; a class shares the one around it."""
    scopes: list[Scope] = []
    pending: list[tuple[Iterable[ast.AST], Scope]] = [(tree.body, Scope(path, {}))]
    while pending:
        body, scope = pending.pop()
        scopes.append(scope)
        stack = list(body)[::-1]
        while stack:
            node = stack.pop()
            scope.note(node)
            if isinstance(node, _Function):
                inner = Scope(path, scope.aliases, scope, dict.fromkeys(_parameters(node)))
                pending.append(([node.body] if isinstance(node, ast.Lambda) else node.body, inner))
                stack += [] if isinstance(node, ast.Lambda) else reversed(node.decorator_list)
                stack += [default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
            else:
                stack += list(ast.iter_child_nodes(node))[::-1]
    return scopes


def _parameters(function: _Function) -> Iterator[str]:
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None:
            yield argument.arg


# ---- values


def evaluate(node: ast.expr, scope: Scope) -> str | None:
    """Return the text that an expression stands for, absolute paths normalised; None when it cannot be known."""
    value = _value(node, scope, 0)
    if not isinstance(value, str):
        return None
    return normalise(value.replace("\\", "/")) if value.startswith("/") else value


def _value(node: ast.expr | None, scope: Scope, depth: int) -> Value:
    how = _HOW.get(type(node))
    value = how(node, scope, depth + 1) if how is not None and depth < DEPTH else None
    return None if isinstance(value, str) and len(value) > LENGTH else value


def _constant(node: ast.Constant, _scope: Scope, _depth: int) -> Value:
    if isinstance(node.value, bytes):
        return node.value.decode("utf-8", "surrogateescape")
    return node.value if isinstance(node.value, str | int) and not isinstance(node.value, bool) else None


def _name(node: ast.Name, scope: Scope, depth: int) -> Value:
    if node.id == "__file__":
        return scope.path
    if constant := _CONSTANTS.get(scope.aliases.get(node.id, "")):
        return constant
    value, where = scope.lookup(node.id)
    if node.id not in where.known:
        where.known[node.id] = None  # what a name has that is defined by itself
        where.known[node.id] = _value(value, where, depth)
    return where.known[node.id]


def _joined(node: ast.JoinedStr, scope: Scope, depth: int) -> Value:
    parts = [_formatted(part, scope, depth) for part in node.values]
    return None if None in parts else "".join(map(str, parts))


def _formatted(node: ast.expr, scope: Scope, depth: int) -> Value:
    if not isinstance(node, ast.FormattedValue):
        return _value(node, scope, depth)
    plain = node.conversion in (-1, ord("s")) and node.format_spec is None
    value = _value(node.value, scope, depth) if plain else None
    return value if isinstance(value, str | int) else None


def _binary(node: ast.BinOp, scope: Scope, depth: int) -> Value:
    left = _value(node.left, scope, depth)
    right = _value(node.right, scope, depth) if left is not None else None
    if not isinstance(left, str) or not isinstance(right, str):
        return None
    if isinstance(node.op, ast.Div):
        return _join([left, right])
    return left + right if isinstance(node.op, ast.Add) else None


def _sequence(node: ast.List | ast.Tuple, scope: Scope, depth: int) -> Value:
    return tuple(_value(element, scope, depth) for element in node.elts)


def _attribute(node: ast.Attribute, scope: Scope, depth: int) -> Value:
    if constant := _CONSTANTS.get(_dotted(node, scope)):
        return constant
    value = _value(node.value, scope, depth)
    if not isinstance(value, str):
        return None
    if node.attr == "parent":
        return posixpath.dirname(value)
    return posixpath.basename(value) if node.attr == "name" else None


def _subscript(node: ast.Subscript, scope: Scope, depth: int) -> Value:
    index = _value(node.slice, scope, depth)
    if not isinstance(index, int):
        return None
    if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
        value = _value(node.value.value, scope, depth)
        for _ in range(min(index, DEPTH) + 1 if index >= 0 and isinstance(value, str) else 0):
            value = posixpath.dirname(str(value))
        return value if index >= 0 else None
    value = _value(node.value, scope, depth)
    return value[index] if isinstance(value, tuple) and -len(value) <= index < len(value) else None


def _call(node: ast.Call, scope: Scope, depth: int) -> Value:
    function = _dotted(node.func, scope)
    arguments = _arguments(node, scope, depth)
    if arguments is None:
        return None
    if function in _FUNCTIONS:
        return _FUNCTIONS[function](arguments) if arguments else None
    if function in _SAME:
        return arguments[0] if arguments else None
    if function in _PATHS:
        return _join(arguments or ["."])
    return _method(node.func, arguments, scope, depth) if isinstance(node.func, ast.Attribute) else None


def _arguments(node: ast.Call, scope: Scope, depth: int) -> list[str] | None:
    """Return the positional arguments, None when one of them cannot be known; a list spread by a star counts as its elements."""
    found: list[Value] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            spread = _value(argument.value, scope, depth)
            found += spread if isinstance(spread, tuple) else [None]
        else:
            found.append(_value(argument, scope, depth))
    texts = [value for value in found if isinstance(value, str)]
    return texts if len(texts) == len(found) else None


def _method(function: ast.Attribute, arguments: Sequence[str], scope: Scope, depth: int) -> Value:
    value = _value(function.value, scope, depth)
    if not isinstance(value, str):
        return None
    if function.attr in _SAME_METHODS:
        return value
    if function.attr == "joinpath":
        return _join([value, *arguments])
    if function.attr == "with_name" and len(arguments) == 1:
        return posixpath.join(posixpath.dirname(value), arguments[0])
    return None


def _dotted(node: ast.expr, scope: Scope) -> str:
    """Return the full name of what is called or read: "os.path.join" whatever it was imported as; "" for what has no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    name = ".".join([scope.aliases.get(node.id, node.id), *reversed(parts)])
    return name.replace("ntpath.", "os.path.").replace("posixpath.", "os.path.")


def _join(parts: Iterable[str]) -> str:
    return posixpath.join(*(part.replace("\\", "/") for part in parts))


_FUNCTIONS: dict[str, Callable[[Sequence[str]], Value]] = {
    "os.path.join": _join,
    "os.path.dirname": lambda arguments: posixpath.dirname(arguments[0]),
    "os.path.basename": lambda arguments: posixpath.basename(arguments[0]),
    "os.path.split": lambda arguments: posixpath.split(arguments[0]),
    "os.path.splitext": lambda arguments: posixpath.splitext(arguments[0]),
}

_HOW: dict[type, Callable[..., Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.JoinedStr: _joined,
    ast.BinOp: _binary,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.NamedExpr: lambda node, scope, depth: _value(node.value, scope, depth),
    ast.Starred: lambda _node, _scope, _depth: None,
}
