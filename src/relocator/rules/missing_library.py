"""Needs a library that is nowhere to be found.

## What it flags

A library that a file names as needed and that the loader finds nowhere: it is not in the package, the tag does not promise it, and no
declared dependency is known to ship it. One finding for each file and library.

## Why it matters

The loader maps a file only together with all that it needs, so the import fails on every machine that does not happen to have the
library:

    ImportError: libfoo.so.3: cannot open shared object file: No such file or directory
    ImportError: dlopen(.../demo/_core.so, 0x0002): Library not loaded: @loader_path/libfoo.3.dylib
    ImportError: DLL load failed while importing _core: The specified module could not be found.

It works for whoever built it, since the build machine has the library.

## Example

    error[missing-library]: needs a library that is neither in the package nor promised by manylinux_2_28_x86_64
      demo/_core.so (x86_64), DT_NEEDED libfoo.so.3
        searched, in this order:
          demo/.libs/libfoo.so.3: absent (DT_RPATH of demo/_core.so: $ORIGIN/.libs)
          .../glibc-hwcaps/{x86-64-v4,x86-64-v3,x86-64-v2}: absent (and the glibc-hwcaps subdirectories of each)
          libfoo.so.3: not promised (default directories)
      = help: copy it into the package: `relocate repair --search DIR` does, with the folder that holds it; or link it statically
      = more: relocate explain missing-library

## How to fix it

Let `relocate repair` copy the library into the package; it runs where the wheel was built and finds the library there, or in the folder
that `--search` names. Or link the library statically, or depend on a distribution that ships it and give the file a search path that
leads there. If the package has the library already, the finding says where: then only the search path is wrong.

## When it is fine

When the package's Python code loads the library itself beforehand, or does without the file when it does not load: a plug-in for a
program that need not be installed. A finding on a program or a data file is milder for that reason.

## How it decides

By running the loader's own search for every extension module, program and library over the package as it lies once installed. The trail
is what that search tried. A library that is there and cannot be read is `unreadable-binary`. The verdict on a library is taken from the
loads of the extension modules that bring it; only where none does, from those of programs and other libraries; a library that nothing
brings is opened alone. Weak needs are left out, since the loader does, and delayed ones, which fail only when they are used. It is
certain when the package has no dependencies and no Python code that loads libraries, else likely. Under a tag of the build machine
(linux_x86_64) it is merely possible: such a wheel is still to be repaired.

In an installed environment every package is there already, so nothing is left to a dependency; where the environment is this machine's,
its own libraries count instead of promises. It is likely rather than certain when some Python code in it loads libraries by itself, and
merely possible when that code belongs to the file's own package, computes names, and can open another file instead that the loader then
takes for this one: on Windows a DLL of the same name, on Linux a library with the same soname.

## References

- ld.so(8), "DESCRIPTION"; System V gABI, chapter 5, "Shared Object Dependencies"
- dyld(1), "DYNAMIC LIBRARY LOADING"
- Microsoft, "Dynamic-link library search order"
- https://github.com/opencv/opencv-python/issues/370
- https://github.com/pypa/auditwheel/issues/451
"""

import posixpath
from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.meeting import instance
from relocator.model import FOLDER_OWNER, Binary, Format, How, Resolution, Survey
from relocator.places import need_place, trail, unmet
from relocator.requires import provides


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each need that nothing meets."""
    damaged = {file.path for file in survey.unreadable}
    bearers = _bearers(survey)
    for resolution in unmet(survey):
        if any(tried.place in damaged for tried in resolution.tried):
            continue  # unreadable-binary tells of it
        present = _present(survey, resolution, bearers)
        installed = survey.container.kind == "environment"
        message = f"needs a library that is neither in the package nor promised by {survey.target.tag}"
        if installed:
            message = "needs a library that is neither in the environment nor a part of the system"
        if present:
            message = f"needs a library that is in the {'environment' if installed else 'package'}, but not where the loader looks"
        yield Finding(
            "missing-library",
            Severity.ERROR,
            _certainty(survey, resolution),
            message,
            need_place(survey, resolution),
            tuple(Where(binary.member, resolution.arch, label="has that name") for binary in present),
            _help(survey, resolution, present),
            trail=trail(resolution, survey),
        )


def _bearers(survey: Survey) -> dict[tuple[str, str], list[Binary]]:
    """Return the package's own libraries by architecture and each name that a need may call them by; built once, as needs may be many."""
    found: dict[tuple[str, str], list[Binary]] = {}
    for binary in survey.binaries:
        leaf = binary.path.rpartition("/")[2]
        for image in binary.images if binary.owner else ():
            names = {leaf.casefold()} if survey.target.os == "windows" else {leaf, (image.identity or "").rpartition("/")[2]}
            for name in names if binary.image(image.arch) is image and image.kind == "library" else ():
                found.setdefault((image.arch, name), []).append(binary)
    return found


def _present(survey: Survey, resolution: Resolution, bearers: dict[tuple[str, str], list[Binary]]) -> list[Binary]:
    """Return the package's own files that bear the name in question."""
    name = resolution.needed.name.rpartition("/")[2]
    name = name.casefold() if survey.target.os == "windows" else name
    return [binary for binary in bearers.get((resolution.arch, name), ()) if binary.path != resolution.importer]


def _certainty(survey: Survey, resolution: Resolution) -> Certainty:
    if survey.container.kind == "environment":
        if not survey.hints:
            return Certainty.CERTAIN
        return Certainty.POSSIBLE if _is_spared(survey, resolution) else Certainty.LIKELY
    if survey.target.local:
        return Certainty.POSSIBLE
    others = survey.hints or any(distribution.requires for distribution in survey.container.distributions)
    return Certainty.LIKELY if others else Certainty.CERTAIN


def _is_spared(survey: Survey, resolution: Resolution) -> bool:
    """Tell whether the file that lacks something need not be loaded: the package's code opens libraries by names that it computes, and
    another file that the loader takes for this one, its own or that of a distribution that it requires, lacks nothing.
    """
    importer = survey.binary_at(resolution.importer)
    image = importer.image(resolution.arch) if importer else None
    if importer is None or image is None or importer.extension:
        return False
    top = importer.member.partition("/")[0]
    if not any(h.call == "cdll" and h.argument is None and h.member.partition("/")[0] == top for h in survey.hints):
        return False
    lacking = {load.root for load in survey.loads if any(r.how == How.MISSING for r in load.resolutions)}
    return any(
        twin.path not in lacking and provides(survey, importer.owner, twin.owner)
        for twin in survey.binaries
        if twin.owner and twin.path != importer.path and any(instance(twin, other) == instance(importer, image) for other in twin.images)
    )


def _help(survey: Survey, resolution: Resolution, present: list[Binary]) -> str:
    importer = survey.binary_at(resolution.importer)
    foreign = importer is not None and all(FOLDER_OWNER != one.owner != importer.owner != FOLDER_OWNER for one in present)
    if present and importer and foreign and survey.container.kind == "environment":
        ways = f"install the library for the system, or a release of {importer.owner} that ships it"
        return f"{ways}; {present[0].owner} keeps its own to itself"
    if not present and survey.container.kind == "environment":
        return "install the package, or the system's package, that has the library; `relocate tree` tells who else needs it"
    if not present:
        if survey.target.local:
            return "run `relocate repair` where it was built: it copies the library into the package and gives the wheel its tag"
        return "copy it into the package: `relocate repair --search DIR` does, with the folder that holds it; or link it statically"
    if present[0].format == Format.PE:
        return "put the library beside the module, or add its folder with os.add_dll_directory before the import"
    way = posixpath.relpath(posixpath.dirname(present[0].path), posixpath.dirname(resolution.importer))
    step = "" if way == "." else f"/{way}"
    if present[0].format == Format.MACHO:
        leaf = present[0].path.rpartition("/")[2]
        return f"change the need to @loader_path{step}/{leaf} (install_name_tool -change), or link with an @rpath name and an -rpath"
    return f"give the file that needs it the search path $ORIGIN{step}"


RULE = Rule("missing-library", "Linkage", Severity.ERROR, check, needs_promise=True, containers=EVERYWHERE)
