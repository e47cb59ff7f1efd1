"""Needs a debug build of the Visual C++ runtime or of Python.

## What it flags

A need for `MSVCP140D.dll`, `VCRUNTIME140D.dll`, `ucrtbased.dll`, `mfc140ud.dll`, `python312_d.dll` and their relatives.

## Why it matters

These exist only where Visual Studio is installed, and may not be passed on. Everywhere else:

    ImportError: DLL load failed while importing _core: The specified module could not be found.

With them the module still shares no heap and no C++ types with modules built for release, and crashes when it passes such things on.

## Example

    error[debug-runtime]: needs a debug build of a runtime
      demo/_core.cp312-win_amd64.pyd (amd64), import MSVCP140D.dll: comes with Visual Studio only
      = help: build for release: /MD instead of /MDd, CMAKE_BUILD_TYPE=Release
      = more: relocate explain debug-runtime

## How to fix it

Build for release. With CMake's Visual Studio generators the configuration is chosen when building (`cmake --build . --config Release`),
whatever CMAKE_BUILD_TYPE says. A library from vcpkg must come from its `bin` folder, not from `debug/bin`. `Python.h` asks for
`python312_d.lib` whenever `_DEBUG` is defined.

## When it is fine

In a wheel for a debug build of Python (ABI tag cp312d), and in a file whose name ends in `_d.pyd`, which no other Python imports: there
Python's debug library and the runtime are not flagged. A debug runtime that the package brings is a warning, since it loads.

## How it decides

By the needs' names. Nothing is looked up but whether the package has the DLL.

## References

- Microsoft, "C runtime (CRT) and C++ standard library (STL) lib files"; "Determining which DLLs to redistribute"
- https://github.com/scikit-build/scikit-build-core/issues/670
- https://github.com/llvm/circt/issues/9686
"""

import re
from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Binary, Format, How, Survey
from relocator.places import place_in

RUNTIME = re.compile(
    r"(msvc[rp]|vcruntime|concrt|vcomp|vcamp|vccorlib|atl|mfcm?)\d{2,3}(_\d|_app|_threads)?u?d(_\w+)?\.dll|ucrtbased\.dll|msvcrtd\.dll"
)
"""Case-folded names: msvcr90d.dll, msvcp140_1d.dll, msvcp140d_atomic_wait.dll, vcruntime140_1d.dll, mfc140ud.dll."""
PYTHON = re.compile(r"python\d+t?_d\.dll")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each need for a debug runtime in what a release build of Python would load."""
    brought = {binary.member.rpartition("/")[2].casefold() for binary in survey.binaries if binary.owner}
    promised = {
        (resolution.importer, resolution.arch, resolution.position)
        for load in survey.loads
        for resolution in load.resolutions
        if resolution.how == How.PROMISED
    }
    for binary, image in survey.images():
        if image.format != Format.PE or _for_debug_python(binary):
            continue
        for position, needed in enumerate(image.needed):
            name = needed.name.casefold()
            if not is_debug_runtime(name) or (binary.path, image.arch, position) in promised:
                continue
            bundled = name in brought
            label = "in the package; may not be passed on" if bundled else "comes with Visual Studio only"
            if PYTHON.fullmatch(name) and not bundled:
                label = "a debug build of Python only"
            yield Finding(
                "debug-runtime",
                Severity.WARNING if bundled else Severity.ERROR,
                Certainty.CERTAIN,
                "needs a debug build of a runtime",
                place_in(binary, image, position, label),
                help="build for release: /MD instead of /MDd, CMAKE_BUILD_TYPE=Release",
            )


def is_debug_runtime(name: str) -> bool:
    """Tell whether a case-folded name is that of a debug build of the Visual C++ runtime or of Python."""
    return bool(RUNTIME.fullmatch(name) or PYTHON.fullmatch(name))


def _for_debug_python(binary: Binary) -> bool:
    """Tell whether only a debug build of Python imports the file (importlib's suffixes there: _d.pyd, _d.cp312-win_amd64.pyd)."""
    stem, _, rest = binary.member.rpartition("/")[2].casefold().partition(".")
    return stem.endswith("_d") and (rest == "pyd" or rest.endswith(".pyd"))


RULE = Rule(
    "debug-runtime",
    "Windows",
    Severity.ERROR,
    check,
    (Format.PE,),
    supersedes=("unresolved-delay-load", "missing-library", "unbundled-library", "unbundled-msvc-runtime", "wrong-python-dll"),
)
