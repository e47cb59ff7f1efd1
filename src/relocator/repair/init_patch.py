"""The lines that tell Windows, from within a package, where the package's DLLs lie, and how they get into a Python source.

Everything else of the source stays as it is, byte for byte: encoding, line ends, tabs, comments. It is parsed before and after, and must
say the same but for the new lines; a source that this Python cannot parse is divided by its tokens alone.
"""

import ast
import hashlib
import posixpath
import re
import tokenize
import warnings
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from relocator.errors import RelocatorError

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_RAW_LINES = re.compile(_LINES.pattern.encode())
"""What Python counts as lines: unlike str.splitlines, no form feeds and no separators of Unicode."""

_MARK = re.compile(r"([ \t\f]*)#[ \t]*(?:relocate|delvewheel):[ \t]*patch[ \t]*(?:\r\n|\r|\n)?")
_MARKED = re.compile(rb"#[ \t]*(?:relocate|delvewheel):[ \t]*patch")
"""The same in bytes, more or less: what has none is not looked at, whatever its encoding."""

_TEXT = re.compile(r"[rRuU]{0,2}['\"]")
"""How a string starts that can be a docstring: neither bytes nor an f-string."""

_NO_STATEMENT = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING)


class PatchRefused(RelocatorError):
    """A source that cannot be patched without changing what it says."""

    exit_code = 4


class Reach(NamedTuple):
    """What a source is to make known to Windows when it is imported. Paths start from the source's folder, with "/"."""

    folders: tuple[str, ...]
    """To be searched, in this order."""
    opened: tuple[str, ...] = ()
    """Files in some of these folders that must be in the process before they are asked for."""


def created(reach: Reach) -> bytes:
    """Return a source that does nothing else."""
    return "".join(f"{line}\n" for line in _block(reach)).encode("ascii")


def patched(data: bytes, reach: Reach) -> bytes:
    """Return a source with the patch before its first statement that does something; as it is when it has the patch already.

    The patch comes after "#!", the encoding, the comments at the top, the docstring and all imports from __future__. Raises PatchRefused.
    """
    source = _source(data)
    block = _block(reach)
    if source.encoded(block).removesuffix(source.newline) in data:
        return data
    offset = source.offset(*_after_head(source.lines))
    before, after = data[:offset], data[offset:]
    lead = [""] * (len(before) > len(source.bom)) + [""] * (len(before) > len(source.bom) and not _ends(before))
    added = source.encoded([*lead, *block, *([""] if after else [])])
    if lead and not after and not _ends(data):
        added = added.removesuffix(source.newline)
    new = before + added + after
    _check(data, new, _name(reach), at_top=True)
    return new


def patched_at_marks(data: bytes, reach: Reach) -> bytes:
    """Return a source with the patch in the place of each line "# relocate: patch"; as it is when it has none. Raises PatchRefused."""
    if not _MARKED.search(data):
        return data
    source = _source(data)
    comments = _comment_rows(source.lines)
    lines = []
    for row, line in enumerate(source.lines):
        mark = _MARK.fullmatch(line) if comments is None or row in comments else None
        text = source.newline_text.join(mark[1] + code if code else "" for code in _block(reach)) if mark else line
        lines.append(text + line[len(line.rstrip("\r\n")) :] if mark else line)
    new = source.bom + "".join(lines).encode(source.encoding)
    if lines == source.lines:
        return data
    _check(data, new, _name(reach), at_top=False)
    return new


# ---- the lines


def _name(reach: Reach) -> str:
    return "_relocator_" + hashlib.sha256("\n".join((*reach.folders, "", *reach.opened)).encode()).hexdigest()[:8]


def _block(reach: Reach) -> list[str]:
    """Return the lines of the patch, plain ASCII that Python 2 takes, too.

    It starts with no comment, since help() takes comments at the top for a docstring. Windows keeps the folders and the files when what
    stands for them in Python is gone (Lib/os.py, Lib/ctypes: neither has a finalizer).
    """
    name = _name(reach)
    several = len(reach.folders) > 1
    names = {folder: f"libs_{number}" if several else "libs" for number, folder in enumerate(reach.folders, 1)}
    lines = [
        f"def {name}():",
        "    # Put in by relocator: tells Windows where the DLLs of this package lie.",
        "    import os",
        '    if os.name != "nt" or "__file__" not in globals():',
        "        return",
        "    here = os.path.dirname(__file__)",
    ]
    for folder, variable in names.items():
        lines += _adding(folder, variable)
    for path in reach.opened:
        lines += _opening(path, names[posixpath.dirname(path) or "."])
    return [*lines, f"{name}()", f"del {name}"]


def _adding(folder: str, name: str) -> Iterator[str]:
    """Yield the lines that have a folder searched, one call for each folder so that it can be found out without running them.

    The folder is missing in what freezers make; before Python 3.8 the folders of PATH were searched.
    """
    yield f"    {name} = os.path.abspath(os.path.join({', '.join(['here', *_parts(folder)])}))"
    yield f"    if os.path.isdir({name}):"
    yield '        if hasattr(os, "add_dll_directory"):'
    yield f"            os.add_dll_directory({name})"
    yield "        else:"
    yield f'            os.environ["PATH"] = os.pathsep.join([{name}, os.environ.get("PATH", "")])'


def _opening(path: str, name: str) -> Iterator[str]:
    """Yield the lines that bring a file into the process; a failure is left to those who use it, if anybody ever does."""
    yield "    try:"
    yield "        import ctypes"
    yield f"        ctypes.WinDLL(os.path.join({name}, {_quoted(posixpath.basename(path))}))  # delayed imports find only what is loaded"
    yield "    except (ImportError, OSError):"
    yield "        pass"


def _parts(folder: str) -> Iterator[str]:
    for part in folder.split("/"):
        yield "os.pardir" if part == ".." else "os.curdir" if part == "." else _quoted(part)


def _quoted(text: str) -> str:
    return '"' + ascii(text)[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


# ---- where they go


class _Source(NamedTuple):
    lines: list[str]
    """With their ends."""
    encoding: str
    bom: bytes
    newline: bytes
    """How the first line ends, encoded."""

    @property
    def newline_text(self) -> str:
        return self.newline.decode(self.encoding)

    def encoded(self, lines: Iterable[str]) -> bytes:
        """Return new lines as the source would have them."""
        return "".join(line + self.newline_text for line in lines).encode(self.encoding)

    def offset(self, row: int, column: int) -> int:
        """Return where a place of the text lies in the file."""
        text = "".join(self.lines[:row]) + "".join(self.lines[row : row + 1])[:column]
        return len(self.bom) + len(text.encode(self.encoding))


def _source(data: bytes) -> _Source:
    raw = _RAW_LINES.findall(data)
    try:
        encoding, _ = tokenize.detect_encoding(iter(raw).__next__)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        bom = BOM_UTF8 if data.startswith(BOM_UTF8) else b""
        text = data[len(bom) :].decode(encoding)
        faithful = text.encode(encoding) == data[len(bom) :]
    except (SyntaxError, ValueError, LookupError) as error:  # what a source says of its encoding may be anything
        raise PatchRefused(f"its encoding cannot be made out: {error}") from error
    if not faithful:
        raise PatchRefused(f"its text in {encoding} cannot be written again as it was")
    lines = _LINES.findall(text)
    first = lines[0] if lines else ""
    return _Source(lines, encoding, bom, (first[len(first.rstrip("\r\n")) :] or "\n").encode(encoding))


def _ends(data: bytes) -> bool:
    return data.endswith((b"\n", b"\r"))


def _after_head(lines: Sequence[str]) -> tuple[int, int]:
    """Return the row and column, from 0, behind the last statement of a source's head, or behind its first comments when it has none."""
    end: tuple[int, int] | None = None
    for statement, following in _statements(lines):
        if not (_is_future(statement) or (end is None and _is_docstring(statement))):
            break
        end = following
    return end or (_comments_at_top(lines), 0)


def _statements(lines: Sequence[str]) -> Iterator[tuple[list[tokenize.TokenInfo], tuple[int, int]]]:
    """Yield each statement at the top, and where what follows it starts; up to the first token that this Python does not know."""
    statement: list[tokenize.TokenInfo] = []
    done = False
    for token in _tokens(lines):
        if token.type in _NO_STATEMENT:
            continue
        if done and token.type != tokenize.NEWLINE:  # more on the line, behind a ";"
            yield statement, (token.start[0] - 1, token.start[1])
            statement, done = [], False
        if token.type == tokenize.NEWLINE:
            yield statement, (token.start[0], 0)
            statement, done = [], False
        elif token.string == ";":
            done = True
        else:
            statement.append(token)


def _tokens(lines: Sequence[str]) -> Iterator[tokenize.TokenInfo]:
    """Yield tokens as long as there are any that make sense."""
    plain = (line.rstrip("\r\n") + "\n" * (line[-1] in "\r\n") for line in lines)
    try:
        yield from tokenize.generate_tokens(plain.__next__)
    except (tokenize.TokenError, SyntaxError):
        return


def _is_future(statement: Sequence[tokenize.TokenInfo]) -> bool:
    return [token.string for token in statement[:3]] == ["from", "__future__", "import"]


def _is_docstring(statement: Sequence[tokenize.TokenInfo]) -> bool:
    while len(statement) > 2 and statement[0].string == "(" and statement[-1].string == ")":
        statement = statement[1:-1]
    return bool(statement) and all(token.type == tokenize.STRING and _TEXT.match(token.string) for token in statement)


def _comments_at_top(lines: Sequence[str]) -> int:
    """Return the number of lines of the first comment, with those before it: "#!" and the encoding are in the first two."""
    row = 0
    for number, line in enumerate(lines):
        if line.lstrip(" \t\f").startswith("#"):
            row = number + 1
        elif line.strip() or row > 0:
            break
    return row


def _comment_rows(lines: Sequence[str]) -> set[int] | None:
    """Return the rows, from 0, that have a comment; None when this Python cannot say."""
    rows = set()
    end = False
    for token in _tokens(lines):
        end = token.type == tokenize.ENDMARKER
        if token.type == tokenize.COMMENT:
            rows.add(token.start[0] - 1)
    return rows if end else None


# ---- the proof


def _check(before: bytes, after: bytes, name: str, *, at_top: bool) -> None:
    """Raise PatchRefused unless the new source says what the old one did, and nothing of its head comes after the patch."""
    old, new = _parsed(before), _parsed(after)
    if old is None:  # of another Python, or made whole by the patch: an empty block with nothing but the mark
        return
    if new is None:
        raise PatchRefused("with the patch it would not be valid Python")
    if at_top and not _is_behind_head(new, old, name):
        raise PatchRefused("its docstring or an import from __future__ would not stay what it is")
    if not _is_same(old, new, name):
        raise PatchRefused("the place for the patch is not between two statements")


def _parsed(data: bytes) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes of others
            return ast.parse(data)
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return None


def _is_behind_head(new: ast.Module, old: ast.Module, name: str) -> bool:
    """Tell whether nothing but the docstring and imports from __future__ comes before the patch, and none of them after it."""
    place = next(index for index, node in enumerate(new.body) if _is_ours(node, name))
    from_future = [isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in new.body]
    docstring = ast.get_docstring(old, clean=False)
    head = from_future[docstring is not None : place]
    return ast.get_docstring(new, clean=False) == docstring and all(head) and not any(from_future[place:])


def _is_ours(node: object, name: str) -> bool:
    match node:
        case ast.FunctionDef(name=known):
            return known == name
        case ast.Expr(value=ast.Call(func=ast.Name(id=known))) | ast.Delete(targets=[ast.Name(id=known)]):
            return known == name
    return False


def _is_same(old: ast.Module, new: ast.Module, name: str) -> bool:
    """Compare two trees, the patch left out of the second, and places of both; no depth of nesting stops that."""
    todo: list[tuple[object, object]] = [(old, new)]
    while todo:
        one, other = todo.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, ast.AST):
            todo += ((getattr(one, field, None), getattr(other, field, None)) for field in one._fields)
        elif isinstance(one, list) and isinstance(other, list):
            rest = [node for node in other if not _is_ours(node, name)]
            if len(one) != len(rest):
                return False
            todo += zip(one, rest, strict=True)
        elif one != other:
            return False
    return True
