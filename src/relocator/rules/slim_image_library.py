"""Needs a library that its platform promises and that slim images lack.

## What it flags

A needed library that the tag allows, since ordinary installations have it, and that minimal ones leave out: for manylinux `libGL.so.1`,
X11, GLib, `libatomic.so.1`, `libexpat.so.1`; for Windows Media Foundation and OpenGL.

## Why it matters

Servers, container images and hosted notebooks are such minimal installations. The wheel installs there without a word, and the import
fails:

    ImportError: libGL.so.1: cannot open shared object file: No such file or directory

On Windows no name is given: `DLL load failed while importing cv2: The specified module could not be found.`

## Example

    note[slim-image-library]: needs a library that slim images lack
      demo/_core.so (x86_64), DT_NEEDED libGL.so.1: slim images and servers lack it (Debian: libgl1, Fedora: libglvnd-glx)
      = help: open it when it is first used, build a variant that does without it, or document what to install
      = more: relocate explain slim-image-library

## How to fix it

Build a variant without a user interface for servers (opencv-python-headless is one), or open the library when it is first used. Where
neither is possible, document which packages of the distribution to install.

## When it is fine

When the package is about a desktop: who has no display has no use for it either.

## How it decides

By a dated table of names, and only where the loader would take the library from the system. What is bundled is not flagged, nor what is
needed weakly or on first use. Libraries that distributions have dropped altogether are told by `retired-system-library`, and those that the
tag does not promise by `host-library`.

## References

- PEP 513 and PEP 599: the libraries that manylinux allows
- Microsoft, "Media Feature Pack list for Windows N editions"
- https://github.com/opencv/opencv-python/issues/370
- https://github.com/opencv/opencv-python/issues/771
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.knowledge.slim_libraries import absent_from_slim_images
from relocator.model import Format, Survey
from relocator.places import need_place, promised

HELP = "open it when it is first used, build a variant that does without it, or document what to install"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a note for each need that the target promises to meet and that a slim installation does not meet."""
    absent = absent_from_slim_images()
    for resolution in promised(survey):
        name = resolution.needed.name
        if reason := absent.get(name.lower() if survey.target.os == "windows" else name):
            yield Finding(
                "slim-image-library",
                Severity.NOTE,
                Certainty.CERTAIN,
                "needs a library that slim images lack",
                need_place(survey, resolution, reason),
                help=HELP,
            )


RULE = Rule("slim-image-library", "Linkage", Severity.NOTE, check, (Format.ELF, Format.PE), needs_promise=True)
