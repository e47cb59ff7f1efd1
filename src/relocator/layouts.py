"""Where an environment keeps what: its prefix, the folders of its modules, its Python; for the layouts of every system on any system.

Paths are those of the disk. Nothing is run: which Python it is, its files tell.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from relocator.errors import ContainerError
from relocator.model import Interpreter

SITES = ("site-packages", "dist-packages")
_LIBRARY = re.compile(r"(python|pypy|graalpy)(\d)(?:\.(\d+))?(t?)(d?)")
"""The folder below lib that a Python keeps its modules in: python3.12, python3.13t, pypy3.10; Debian's python3."""
_PYTHON = re.compile(r"(python|pypy|graalpy)(\d+(?:\.\d+)*)?(t?)(d?)(?:\.exe)?", re.IGNORECASE)
_VERSION = re.compile(r'#define\s+PY_VERSION\s+"(\d+(?:\.\d+)*)')
_CONDA_PYTHON = re.compile(r"(python|pypy)-(\d+(?:\.\d+)+)-.*\.json")
_LEFTOVER = "~"
"""What pip renames a distribution to while it removes it."""


class Layout(NamedTuple):
    """One environment on the disk."""

    root: str
    """The prefix; of a folder of modules that lies in none, that folder."""
    kind: str
    """"virtual environment", "conda environment", "Python installation", "site-packages folder" or "target folder"."""
    sites: tuple[str, ...]
    interpreter: Interpreter
    windows: bool = False

    @property
    def standard(self) -> tuple[str, ...]:
        """The folders where CPython may keep the extension modules of its standard library."""
        python = self.interpreter
        if python.implementation != "cpython" or not python.path or len(python.version) < 2:
            return ()
        library = f"python{python.version[0]}.{python.version[1]}{'t' if 't' in python.flags else ''}"
        folders = (("DLLs",),) if self.windows else (("lib", library, "lib-dynload"), ("lib64", library, "lib-dynload"))
        return tuple(_join(python.prefix, *parts) for parts in folders)


def is_environment(folder: str) -> bool:
    """Tell whether a folder is a whole environment or its site-packages."""
    if is_prefix(folder):
        return True
    return os.path.basename(os.path.realpath(folder)) in SITES


def is_prefix(folder: str) -> bool:
    """Tell whether a folder is the prefix of an environment."""
    marked = os.path.isfile(_join(folder, "pyvenv.cfg")) or os.path.isdir(_join(folder, "conda-meta"))
    return marked or any(True for _ in _sites(folder))


def layout_of(path: str) -> Layout:
    """Return the layout of the environment that a prefix, a folder of modules or a Python executable stands for.

    Raises ContainerError when it is none of them. Its message does not repeat the path.
    """
    if os.path.isfile(path):
        return _of_executable(path)
    if not os.path.isdir(path):
        raise ContainerError("does not exist", "name a prefix, a site-packages folder or a Python executable")
    root = os.path.realpath(path)
    os.listdir(root)  # refuses at once what may not be read
    if is_prefix(root):
        return _of_prefix(root, "")
    name = os.path.basename(root)
    if name in SITES:
        prefix = _prefix_of_site(root)
        return _with_python(prefix or root, "site-packages folder", (root,), "")
    if any(entry.endswith((".dist-info", ".egg-info")) for entry in os.listdir(root)):
        return Layout(root, "target folder", (root,), Interpreter(problem="a folder of modules by itself has no Python"))
    raise ContainerError(
        "is no environment: it has neither pyvenv.cfg nor conda-meta nor site-packages nor .dist-info",
        "name a prefix, a site-packages folder or a Python executable; `relocate audit` judges any folder",
    )


# ---- the prefix


def _of_executable(path: str) -> Layout:
    name = os.path.basename(path)
    if not _PYTHON.fullmatch(name):
        raise ContainerError("is a file, and not called like a Python executable", "name a prefix or its Python")
    folder = os.path.dirname(os.path.abspath(path))
    for candidate in (folder, os.path.dirname(os.path.realpath(path))):
        prefix = os.path.dirname(candidate) if os.path.basename(candidate).lower() in ("bin", "scripts") else candidate
        if is_prefix(prefix):
            return _of_prefix(os.path.realpath(prefix), os.path.abspath(path))
    raise ContainerError("belongs to no environment: no site-packages folder lies near it", "name the prefix instead")


def _of_prefix(root: str, executable: str) -> Layout:
    venv = os.path.isfile(_join(root, "pyvenv.cfg"))
    kind = "virtual environment" if venv else "conda environment" if os.path.isdir(_join(root, "conda-meta")) else "Python installation"
    return _with_python(root, kind, tuple(_sites(root)), executable)


def _with_python(root: str, kind: str, sites: tuple[str, ...], executable: str) -> Layout:
    windows = _is_windows(root)
    config = configuration(root)
    interpreter = _interpreter(root, config, sites, executable, windows)
    sites = _fitting(sites, interpreter)
    if config.get("include-system-site-packages", "").lower() == "true" and os.path.isdir(interpreter.prefix):
        sites += _fitting(tuple(site for site in _sites(interpreter.prefix) if site not in sites), interpreter)
    return Layout(root, kind, sites, interpreter, windows)


def configuration(root: str) -> dict[str, str]:
    """Return the settings in pyvenv.cfg; none when there is no such file or it cannot be read."""
    text = _read(_join(root, "pyvenv.cfg"))
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, equals, value in pairs if equals}


def _sites(root: str) -> Iterator[str]:
    """Yield the folders of modules below a prefix, the prefix's own first."""
    for lib in ("lib", "lib64"):
        library = _join(root, lib)
        if lib == "lib64" and os.path.islink(library):
            continue
        for name in sorted(_listed(library)):
            if _LIBRARY.fullmatch(name):
                yield from _present(_join(library, name))
    yield from _present(_join(root, "Lib"))
    if os.path.basename(root) == "usr":  # Debian's administrators install beside what Debian does
        yield from _sites(_join(root, "local"))


def _present(folder: str) -> Iterator[str]:
    yield from (site for name in SITES if os.path.isdir(site := _join(folder, name)))


def _prefix_of_site(site: str) -> str:
    """Return the prefix that a folder of modules belongs to by its place; "" when it is in none."""
    above = os.path.dirname(site)
    if _LIBRARY.fullmatch(os.path.basename(above)):
        return os.path.dirname(os.path.dirname(above))
    return os.path.dirname(above) if os.path.basename(above) == "Lib" else ""


def _is_windows(root: str) -> bool:
    names = set(_listed(root))
    return bool(names & {"Scripts", "python.exe", "DLLs"}) or ("Lib" in names and "lib" not in names)


# ---- the Python


def _interpreter(root: str, config: dict[str, str], sites: tuple[str, ...], executable: str, windows: bool) -> Interpreter:
    path, problem = _executable(root, config, executable, windows)
    home = config.get("home", "")
    prefix = root
    if home:
        prefix = os.path.dirname(home) if os.path.basename(home).lower() == "bin" else home
    elif path and not path.startswith(_join(root, "")):
        prefix = os.path.dirname(os.path.dirname(path))
    name, version, flags = _name_version_flags(root, prefix, path, config, sites)
    return Interpreter(path, prefix, version, name, flags, problem)


def _executable(root: str, config: dict[str, str], executable: str, windows: bool) -> tuple[str, str]:
    """Return the real path of the Python that runs, or "" and why it is not known."""
    folders = [root, _join(root, "Scripts")] if windows else [_join(root, "bin")]
    if home := config.get("home"):
        folders.insert(0 if windows else len(folders), home)  # what lies in Scripts only starts the one at home
    candidates = [executable] if executable and not (windows and home) else []
    candidates += [_join(folder, name) for folder in folders for name in _pythons(folder, config)]
    dangling = ""
    for candidate in candidates:
        if os.path.isfile(candidate):
            return os.path.realpath(candidate), ""
        if os.path.islink(candidate):
            dangling = f"{os.path.relpath(candidate, root)} leads to {os.path.realpath(candidate)}, which is not there"
    return "", dangling or "no Python is in it"


def _pythons(folder: str, config: dict[str, str]) -> Iterator[str]:
    """Yield the names by which a Python may lie in a folder, the most exact first."""
    version = ".".join(config.get("version_info", config.get("version", "")).split(".")[:2])
    yield from (["python.exe"] if not version else [f"python{version}", "python.exe"])
    yield from ("python3", "python", "pypy3", "pypy", "pypy3.exe")
    yield from sorted(name for name in _listed(folder) if _PYTHON.fullmatch(name))


def _name_version_flags(
    root: str, prefix: str, path: str, config: dict[str, str], sites: tuple[str, ...]
) -> tuple[str, tuple[int, ...], str]:
    """Return the implementation, the version as exactly as some file tells, and the ABI flags."""
    name, flags, told = "python", "", [config.get("version_info", ""), config.get("version", "")]
    found = [match for site in sites if (match := _LIBRARY.fullmatch(os.path.basename(os.path.dirname(site))))]
    if own := _PYTHON.fullmatch(os.path.basename(path)):
        flags = own[3] + own[4]
        told.append(own[2] or "")
    for match in found:
        if match[3]:
            name, flags = match[1], flags or match[4] + match[5]
            told.append(f"{match[2]}.{match[3]}")
    told += (match[2] for entry in _listed(_join(root, "conda-meta")) if (match := _CONDA_PYTHON.fullmatch(entry)))
    told += _of_headers(prefix)
    windows = [
        match for entry in _listed(os.path.dirname(path) if path else root) if (match := re.fullmatch(r"python3(\d+)(t?)\.dll", entry))
    ]
    told += (f"3.{match[1]}" for match in windows)
    flags = flags or next((match[2] for match in windows), "")
    implementation = {"pypy": "pypy", "graalpy": "graalpy"}.get(config.get("implementation", name).lower(), "cpython")
    return implementation, _most_exact([_numbers(text) for text in told if text]), flags


def _most_exact(versions: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the first version, as exactly as one that agrees with it tells it."""
    versions = [version for version in versions if len(version) > 1]
    if not versions:
        return ()
    return max((version for version in versions if version[:2] == versions[0][:2]), key=len)


def _of_headers(prefix: str) -> Iterator[str]:
    include = _join(prefix, "include")
    for name in ("", *sorted(entry for entry in _listed(include) if _LIBRARY.fullmatch(entry))):
        if found := _VERSION.search(_read(_join(include, name, "patchlevel.h"))):
            yield found[1]


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+){0,2}", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _fitting(sites: tuple[str, ...], interpreter: Interpreter) -> tuple[str, ...]:
    """Return the folders of the interpreter's version, where a prefix has those of several."""
    wanted = interpreter.version[:2]
    fitting = []
    for site in sites:
        match = _LIBRARY.fullmatch(os.path.basename(os.path.dirname(site)))
        version = _numbers(f"{match[2]}.{match[3]}") if match and match[3] else ()
        if not wanted or not version or (version == wanted and match and (match[4] == "t") == ("t" in interpreter.flags)):
            fitting.append(site)
    return tuple(fitting) or sites


# ---- the disk


def _join(*parts: str) -> str:
    return os.path.join(*parts)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):  # ValueError: a name with a NUL
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(1 << 20)
    except (OSError, ValueError):
        return ""
