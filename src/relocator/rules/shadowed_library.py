"""Takes another library than the packaged one, because a variable or an added folder is searched first.

## What it flags

A need that LD_LIBRARY_PATH, a DYLD_ variable, PATH or a folder given to `os.add_dll_directory` has met, although the package has a library
of that name, and the two differ.

## Why it matters

The package was tested with the library that it ships. With another one, functions are missing or behave differently:

    cuDNN version incompatibility: PyTorch was compiled against (8, 3, 2) but found runtime version (8, 0, 3)
    libcusparse.so.12: undefined symbol: __nvJitLinkAddData_12_1

It works on one machine, or in one shell, and not in the next.

## Example

    warning[shadowed-library]: takes another library than the packaged one
      demo/_core.so (x86_64), DT_NEEDED libcudnn.so.9: took /opt/cuda/lib64/libcudnn.so.9, through LD_LIBRARY_PATH: /opt/cuda/lib64
        also demo/libcudnn.so.9 (x86_64), is the packaged one
      = help: unset the variable, or leave the folder out, for this Python
      = more: relocate explain shadowed-library

## How to fix it

Do not set the variable for Python: unset it in the shell, or leave the folder out. Whoever builds the package gives the library a name of
its own (`relocate repair`), or a DT_RPATH, which comes before LD_LIBRARY_PATH.

## When it is fine

When the other library is meant to replace the packaged one.

## How it decides

By the loader's trail for the environment variables given (`--process-env`), and by comparing the file that was taken with those of that
name that the same distribution, or one that it requires, has. Equal bytes or an equal build id are no difference.

## References

- ld.so(8), "LD_LIBRARY_PATH"; dyld(1), "DYLD_LIBRARY_PATH"
- Microsoft, `AddDllDirectory`
- https://github.com/pytorch/pytorch/issues/80637
- https://github.com/pytorch/pytorch/issues/111469
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.meeting import imported_loads, same_content
from relocator.model import Binary, Format, Resolution, Survey
from relocator.places import need_place
from relocator.requires import requires

BEFORE = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_", "PATH,", "os.add_dll_directory")
"""How the loaders' reasons begin where something outside the files decided."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that another than the packaged library meets."""
    told: set[tuple[str, str, int]] = set()
    for load in imported_loads(survey):
        for resolution in load.resolutions:
            key = resolution.importer, resolution.arch, resolution.position
            if resolution.target and resolution.via.startswith(BEFORE) and key not in told:
                told.add(key)
                yield from _judged(survey, resolution)


def _judged(survey: Survey, resolution: Resolution) -> Iterator[Finding]:
    importer, taken = survey.binary_at(resolution.importer), survey.binary_at(resolution.target or "")
    if importer is None or taken is None or not importer.owner or taken.owner == importer.owner:
        return
    packaged = [binary for binary in _of_name(survey, resolution) if requires(survey, importer.owner, binary.owner)]
    if packaged and not any(same_content(binary, taken) for binary in packaged):
        yield Finding(
            "shadowed-library",
            Severity.WARNING,
            Certainty.CERTAIN,
            "takes another library than the packaged one",
            need_place(survey, resolution, f"took {taken.member}, through {resolution.via}"),
            tuple(Where(binary.member, resolution.arch, label="is the packaged one") for binary in packaged),
            "unset the variable, or leave the folder out, for this Python",
        )


def _of_name(survey: Survey, resolution: Resolution) -> list[Binary]:
    """Return the libraries of the environment that bear the name in question."""
    leaf = resolution.needed.name.rpartition("/")[2]
    found = []
    for binary in survey.binaries:
        image = binary.image(resolution.arch)
        if image and binary.owner and binary.path not in (resolution.target, resolution.importer):
            own = binary.path.rpartition("/")[2]
            names = (own, (image.identity or "").rpartition("/")[2])
            if leaf in names or (image.format == Format.PE and own.casefold() == leaf.casefold()):
                found.append(binary)
    return found


RULE = Rule("shadowed-library", "Linkage", Severity.WARNING, check, containers=("environment",))
