"""Which Python source of a wheel runs before a module of it is imported, and can be told something by then.

The first part of a module's name is imported first: a folder's `__init__`, or a file of that name (importlib's FileFinder: in a folder the
extension module comes before the source, and a folder with an `__init__` before a file).
"""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from relocator.containers.wheel import installed_path
from relocator.model import Binary, Survey


class Source(NamedTuple):
    """A Python source."""

    member: str
    path: str
    """Where it lies once installed."""
    package: str
    """Dotted name of the package that it is the `__init__` of, or of the module."""
    exists: bool


def modules_of(survey: Survey) -> Mapping[str, str]:
    """Return the members that lie in site-packages once installed, by their path there."""
    root = survey.container.distributions[0].root
    paths = {installed_path(member.name): member.name for member in survey.container.members}
    return {path: name for path, name in paths.items() if path.startswith(root + "/")}


def run_before(binary: Binary, survey: Survey, members: Mapping[str, str], namespaces: Iterable[str]) -> Source | None:
    """Return the first source that runs when a file is imported, or is opened by a package around it; None when there is none to patch.

    Where a package has no `__init__.py` it is one to be added, unless something would then be hidden by it, or the package is a namespace.
    """
    root = survey.container.distributions[0].root
    shared = frozenset(_with_parents(namespaces))
    addable: Source | None = None
    for package, folder in _packages(binary, root):
        if package in shared:
            continue
        run = _file_of(f"{folder}/__init__", members) or _file_of(folder, members)
        if run.endswith(".py"):
            return Source(members[run], run, package, exists=True)
        if not run and addable is None and binary.extension and all(map(str.isidentifier, package.split("."))):
            addable = Source(_beside(binary, folder), f"{folder}/__init__.py", package, exists=False)
    return addable


def _file_of(stem: str, members: Collection[str]) -> str:
    """Return the file that Python takes for a module: extension, source or bytecode, in this order; "" when there is none."""
    extensions = (path for path in members if path.startswith(f"{stem}.") and path.endswith(".pyd") and "/" not in path[len(stem) :])
    return next(extensions, "") or next((path for path in (f"{stem}.py", f"{stem}.pyc") if path in members), "")


def top_packages(survey: Survey, members: Mapping[str, str], namespaces: Iterable[str]) -> Iterator[Source]:
    """Yield the sources of all packages at the top, without those that are namespaces."""
    root = survey.container.distributions[0].root
    shared = frozenset(_with_parents(namespaces))
    for path, member in members.items():
        package, slash, name = path.removeprefix(root + "/").partition("/")
        if slash and name == "__init__.py" and package not in shared:
            yield Source(member, path, package, exists=True)


def _with_parents(namespaces: Iterable[str]) -> Iterator[str]:
    """Yield dotted names, and those of all packages around them: what holds a namespace is one."""
    for name in namespaces:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _packages(binary: Binary, root: str) -> Iterator[tuple[str, str]]:
    """Yield dotted name and folder of the packages around a file, from the top."""
    if binary.path.startswith(root + "/"):
        parts = binary.path.removeprefix(root + "/").split("/")
        for count in range(1, len(parts)):
            yield ".".join(parts[:count]), posixpath.join(root, *parts[:count])


def _beside(binary: Binary, folder: str) -> str:
    """Return the member that is to be a folder's `__init__.py`, in the same part of the wheel as the file below it."""
    below = len(binary.path) - len(folder)
    return f"{binary.member[: len(binary.member) - below]}/__init__.py"
