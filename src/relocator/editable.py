"""Where .pth files and the finders of editable installations lead: paths only; the code in them is never run.

The site module's documentation, PEP 660, PEP 829 (.start files), and the finders that setuptools writes.
"""

import ast
import os
from collections.abc import Iterator

_FINDER = ("__editable__", "_finder.py")
_MAPPINGS = frozenset({"MAPPING", "NAMESPACES"})


def is_telling(name: str) -> bool:
    """Tell by its name whether a file of site-packages leads elsewhere."""
    return name.endswith(".pth") or (name.startswith(_FINDER[0]) and name.endswith(_FINDER[1]))


def leads(name: str, text: str, site: str) -> Iterator[str]:
    """Yield the paths of the disk that a file leads to; relative ones start from `site`."""
    found = _paths(text) if name.endswith(".pth") else _mapped(text)
    for path in found:
        if "\0" not in path:
            yield os.path.join(site, path)


def code(text: str) -> str:
    """Return the lines of a .pth file that Python runs, each in its own line, all others empty."""
    return "\n".join(line if line.startswith(("import ", "import\t")) else "" for line in text.splitlines())


def _paths(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not line.startswith(("#", "import ", "import\t")):
            yield line.rstrip()


def _mapped(text: str) -> Iterator[str]:
    """Yield the folders and files in the literal that tells a finder where each package lies."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        value = getattr(node, "value", None)
        if names & _MAPPINGS and isinstance(value, ast.Dict):
            for item in value.values:
                for part in item.elts if isinstance(item, ast.List) else [item]:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value
