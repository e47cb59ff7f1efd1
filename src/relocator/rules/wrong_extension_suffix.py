"""Has a file name that the tag's Python does not look for.

## What it flags

An extension module all of whose files bear the tag of another Python, build or platform than the wheel's tag: `_core.cpython-312-*.so` in
a cp311 wheel, `_core.cpython-313-*.so` in a cp313t wheel, `_core.cpython-312-*.so` in an abi3 wheel, `*-aarch64-linux-gnu.so` in an
x86_64 wheel, `*-linux-gnu.so` in a musllinux wheel for Python 3.11 or newer, `_core.abi3.pyd`, which Windows never looks for. Also, as a
note, a file that could be a module by its name but has the init function of another one.

## Why it matters

Python looks for a fixed list of suffixes. A file with any other one does not exist for it: `ModuleNotFoundError: No module named
'demo._core'`, with the file in plain sight.

## Example

    error[wrong-extension-suffix]: the tag's Python does not look for a file of this name
      demo/_core.cp312-win_amd64.pyd, file name .cp312-win_amd64.pyd: cp311-cp311 looks for _core.cp311-win_amd64.pyd
      = help: build it with the Python that the tag names, or give the wheel the tag of the Python that built it
      = more: relocate explain wrong-extension-suffix

A build folder left over from another Python, a cross build that asked the build machine's Python for the suffix, and wheels renamed by
hand end so.

## How to fix it

Build with the Python that the tag names and empty the build folder before. For the stable ABI give the file the suffix `.abi3.so`
(`py_limited_api=True` in setuptools, `limited_api` in meson-python), on Windows `.pyd`. When cross compiling set the suffix from the
target's sysconfig data.

## When it is fine

When something else imports the file by its path. Where a `.py` file of the same module stands in, the finding is a warning: the import
works, slowly. It is a warning too where only some of the wheel's tags find no file, and for `-linux-musl` before Python 3.11, which
Alpine's own Python looks for and an upstream one does not.

## How it decides

The suffix is a pattern, not a list: the SOABI of the ABI tag (`cpython-312`, `cpython-313t`, `pypy310-pp73`, `graalpy240-310-native`),
then the platform; or `abi3` or `abi3t`, alone or with the platform (Python 3.15); or nothing at all, which fits every Python. A
free-threaded Python takes `abi3t` and no `abi3`; a Python with the lock takes both from 3.15 on. Tags such as py3 name no Python, and
then every name is fine. Suffixes that follow none of these patterns are not judged. What an extension module is, the init function
decides as well as the name.

## References

- PEP 3149, "ABI version tagged .so files"
- PEP 803, "abi3t: Stable ABI for Free-Threaded Builds"; PEP 489 and 793 for the init functions
- CPython, `Python/dynload_shlib.c` and `Python/dynload_win.c`
- https://github.com/pypa/auditwheel/issues/349
- https://github.com/ultrajson/ultrajson/issues/485
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Survey
from relocator.roles import exported_names, maps, split_name
from relocator.target import Target

KNOWN_TAGS = ("cpython-", "cp2", "cp3", "abi3", "pypy", "pp", "graalpy")
"""How a file's tag starts when we know who looks for it."""

CPU = {"i686": "i386", "armv6l": "arm", "armv7l": "arm", "ppc64": "powerpc64", "ppc64le": "powerpc64le"}
"""Names of processors in multiarch triplets, where they differ from those in wheel tags."""

WINDOWS = {"amd64": "win_amd64", "win32": "win32", "arm64": "win_arm64"}


class Python(NamedTuple):
    """An interpreter that a pair of Python tag and ABI tag names."""

    tag: str
    abi: str

    @property
    def version(self) -> tuple[int, ...]:
        """(3, 12) for cp312, (3,) for cp3; () where the tag has no number."""
        digits = "".join(c for c in self.tag if c.isdecimal())
        return (int(digits[0]), int(digits[1:])) if len(digits) > 1 else tuple(map(int, digits))


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each module without a file that the tag's Pythons find, and for each file with another module's init function."""
    yield from _other_modules(survey)
    target = survey.target
    pythons = _pythons(target)
    if not _platforms(target, "", ()) or not pythons:
        return
    modules: dict[str, list[Binary]] = {}
    for binary in survey.binaries:
        if binary.owner and binary.extension and maps(target, binary):
            modules.setdefault(binary.extension, []).append(binary)
    members = {member.name for member in survey.container.members}
    for files in modules.values():
        blind = [python for python in pythons if not any(_finds(python, file, target) for file in files)]
        if blind:
            yield _finding(blind, pythons, files, target, members)


def _pythons(target: Target) -> list[Python]:
    """Return the interpreters that the tags name; none when some tag, such as py3, leaves it open."""
    if any(tag.startswith("py") or not Python(tag, "").version[1:] for tag in target.pythons):
        return []
    pairs = [Python(tag, abi) for tag in target.pythons for abi in target.abis]
    return [pair for pair in pairs if not pair.abi.startswith("cp") or Python(pair.abi, "").version == pair.version]


def _platforms(target: Target, arch: str, version: tuple[int, ...], patched: bool = False) -> tuple[str, ...]:
    """Return how a Python's suffix may name the platform; () for a platform whose suffixes we do not know.

    `patched`: as distributions change it, not as CPython's own build system has it.
    """
    if target.os == "linux":
        gnu = target.libc != "musl" or (version < (3, 11) and not patched)  # CPython bpo-43112: -linux-musl from 3.11 on
        hard_float = "eabihf" if CPU.get(arch) == "arm" else ""
        return (f"{CPU.get(arch, arch)}-linux-{'gnu' if gnu else 'musl'}{hard_float}",)
    if target.os == "android":
        return (f"{'arm' if arch == 'armv7l' else arch}-linux-android{'eabi' if arch == 'armv7l' else ''}",)
    if target.os == "windows":
        return (WINDOWS.get(arch, arch),)
    return {"macos": ("darwin",), "ios": ("iphoneos", "iphonesimulator")}.get(target.os, ())


def _finds(python: Python, file: Binary, target: Target, patched: bool = False) -> bool:
    stem, tag, suffix = split_name(file.member.rpartition("/")[2]) or ("", "", "")
    if suffix != (".pyd" if target.os == "windows" else ".so"):
        return False
    if suffix == ".pyd" and stem.endswith("_d") and not (file.extension or "").endswith("_d"):
        return False  # found by a debug build of Python only
    if not tag or not tag.startswith(KNOWN_TAGS):
        return True
    if not python.tag.startswith("cp"):
        own = python.abi.replace("_", "-")
        return tag.startswith((own, "pypy3-") if python.abi != "none" else ("pypy", "graalpy"))
    return any(tag in _tags(python, target, image.arch, patched) for image in file.images)


def _tags(python: Python, target: Target, arch: str, patched: bool = False) -> list[str]:
    """Return the tags of the files that a CPython looks for, besides the empty one, the most specific first."""
    platforms = _platforms(target, arch, python.version, patched)
    major, minor = python.version
    builds = [python.abi[2:]] if python.abi.startswith("cp") else []
    if python.abi == "none":
        builds = [f"{major}{minor}{flags}" for flags in ("", "t", "m", "d")]
    if target.os == "windows":
        return [f"cp{build.rstrip('m')}-{platform}" for build in builds for platform in platforms]
    found = [f"cpython-{build}-{platform}" for build in builds for platform in platforms]
    if python.version < (3, 5):
        found += [f"cpython-{build}" for build in builds]
    for stable in _stable(python):
        found.append(stable)
        if python.version >= (3, 15):
            found += [f"{stable}-{platform}" for platform in platforms]
    return found


def _stable(python: Python) -> tuple[str, ...]:
    """Return the stable ABIs whose files this build loads (PEP 803)."""
    threads = python.abi == "abi3t" or (python.abi.startswith("cp") and "t" in python.abi)
    if python.version < (3, 15):
        return () if threads else ("abi3",)
    return ("abi3t",) if threads else ("abi3", "abi3t")


def _finding(blind: list[Python], pythons: list[Python], files: list[Binary], target: Target, members: Iterable[str]) -> Finding:
    file = files[0]
    folder, _, name = file.member.rpartition("/")
    stem, tag, suffix = split_name(name) or (name, "", "")
    stands_in = f"{folder}/{stem}.py".lstrip("/") in members
    patched = any(_finds(blind[0], other, target, patched=True) for other in files)
    severity = Severity.WARNING if stands_in or patched or len(blind) < len(pythons) else Severity.ERROR
    wanted = (
        next(iter(_tags(blind[0], target, file.images[0].arch)), "") if blind[0].tag.startswith("cp") else blind[0].abi.replace("_", "-")
    )
    looked_for = f"{stem}{'.' if wanted else ''}{wanted}{'.pyd' if target.os == 'windows' else '.so'}"
    label = f"{blind[0].tag}-{blind[0].abi} looks for {looked_for}"
    return Finding(
        "wrong-extension-suffix",
        severity,
        Certainty.CERTAIN,
        "the tag's Python does not look for a file of this name",
        Where(file.member, "", "file name", None, f".{tag}{suffix}" if tag else suffix, label=label),
        tuple(Where(other.member, "", "file name", None, other.member.rpartition("/")[2]) for other in files[1:]),
        "build it with the Python that the tag names, or give the wheel the tag of the Python that built it",
    )


def _other_modules(survey: Survey) -> Iterator[Finding]:
    for binary in survey.binaries:
        name = binary.member.rpartition("/")[2]
        image = binary.images[0]
        if not binary.owner or binary.extension or image.kind == "program" or name.startswith("libpython"):
            continue
        if split_name(name) is None or not image.symbols.mentions(b"PyInit_"):
            continue
        found = [symbol for symbol in exported_names(image) if symbol.startswith(b"PyInit_")]
        if len(found) == 1:  # several: modules joined in one file, which brings its own way to load them
            symbol = found[0].decode("utf-8", "surrogateescape")
            where = Where(binary.member, image.arch, "export", None, symbol, symbol, "Python would look for another name in this file")
            help_text = f"name the file after {symbol.removeprefix('PyInit_')} if it is to be imported"
            message = "has the init function of another module than its name says"
            yield Finding("wrong-extension-suffix", Severity.NOTE, Certainty.LIKELY, message, where, help=help_text)


RULE = Rule("wrong-extension-suffix", "Python's ABI", Severity.ERROR, check)
