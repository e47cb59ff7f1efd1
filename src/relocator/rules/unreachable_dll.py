"""Needs a DLL that the package has where Python does not search.

## What it flags

A need that nothing meets although the package holds a DLL of that name for the same architecture, in another folder.

## Why it matters

Since Python 3.8 a module's DLLs are searched in the folder of the module, the folder of python.exe, System32, and what
`os.add_dll_directory` was given. PATH and the current directory no longer count:

    ImportError: DLL load failed while importing _core: The specified module could not be found.

## Example

    error[unreachable-dll]: needs a DLL that the package has where Python does not search
      demo/_core.cp312-win_amd64.pyd (amd64), import foo.dll
        also demo/bin/foo.dll (amd64), has that name
        searched, in this order:
          foo.dll: absent (loaded modules, KnownDLLs)
          demo/foo.dll: absent (directory of demo/_core.cp312-win_amd64.pyd)
          foo.dll: not known (application's directory)
          foo.dll: not promised (System32)
      = help: put the DLL beside the module, or give its folder to os.add_dll_directory before the import
      = more: relocate explain unreachable-dll

## How to fix it

Put the DLL beside the module, or have the package's `__init__.py` call `os.add_dll_directory` with its folder, and keep what it returns,
before it imports the module.

## When it is fine

When Python code opens the DLL, by its full path, before it imports the module: a DLL in the process meets every later need of that name.

## How it decides

By Windows' search as CPython asks for it, with the folders that the package's Python sources add in a way that can be evaluated. It is
merely possible when the package adds a folder that is known only when it runs, or opens that DLL, one that brings it, or one whose name is
not known before. A delayed need is a warning: it fails when a function of the DLL is called first.

## References

- What's New In Python 3.8, "bpo-36085": DLL dependencies for extension modules
- Microsoft, "Dynamic-link library search order"
- https://github.com/inducer/pycuda/issues/213
- https://github.com/conda-forge/python-feedstock/issues/307
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, How, NeedKind, Resolution, Survey
from relocator.places import judged, need_place, trail
from relocator.requires import provides

_OWN = "put the DLL beside the module, or give its folder to os.add_dll_directory before the import"
_FOREIGN = "import {} first, if that opens it; or install for the system what the DLL is a part of"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each need that is not met although the package has a DLL of that name."""
    held: dict[tuple[str, str], list[Binary]] = {}
    for binary, image in survey.images():
        if image.format == Format.PE:
            held.setdefault((binary.member.rpartition("/")[2].casefold(), image.arch), []).append(binary)
    preloaded = _preloaded(survey)
    anything = any(hint.argument is None and hint.call in ("add_dll_directory", "cdll") for hint in survey.hints)
    for resolution in judged(survey):
        name = resolution.needed.name.casefold()
        copies = _within_reach(survey, resolution, held.get((name, resolution.arch), []))
        if resolution.how == How.MISSING and copies:
            own = any(_is_of_importer(survey, resolution, copy) for copy in copies)
            yield Finding(
                "unreachable-dll",
                Severity.WARNING if resolution.needed.kind == NeedKind.DELAYED else Severity.ERROR,
                Certainty.POSSIBLE if anything or name in preloaded else Certainty.CERTAIN,
                f"needs a DLL that {'the package' if own else 'another package'} has where Python does not search",
                need_place(survey, resolution),
                tuple(Where(copy.member, resolution.arch, label="has that name") for copy in copies),
                _OWN if own else _FOREIGN.format(copies[0].owner),
                trail=trail(resolution, survey),
            )


def _within_reach(survey: Survey, resolution: Resolution, held: list[Binary]) -> list[Binary]:
    """Return those files that the importer's own distribution brings, or one that it requires."""
    importer = survey.binary_at(resolution.importer)
    return [binary for binary in held if importer and provides(survey, importer.owner, binary.owner)]


def _is_of_importer(survey: Survey, resolution: Resolution, copy: Binary) -> bool:
    importer = survey.binary_at(resolution.importer)
    return importer is not None and importer.owner == copy.owner


def _preloaded(survey: Survey) -> set[str]:
    """Return the case-folded names of the files that Python sources open, and of what these bring with them."""
    arguments = [hint.argument for hint in survey.hints if hint.call == "cdll" and hint.argument]
    opened = {_name(argument.replace("\\", "/")) for argument in arguments}
    opened |= {f"{name}.dll" for name in opened}
    brought = {_name(path) for load in survey.loads if _name(load.root) in opened for path in load.order}
    return opened | brought


def _name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


RULE = Rule(
    "unreachable-dll",
    "Windows",
    Severity.ERROR,
    check,
    (Format.PE,),
    supersedes=("unresolved-delay-load", "missing-library", "unbundled-msvc-runtime"),
    needs_promise=True,
    containers=EVERYWHERE,
)
