"""Was compiled for the other kind of Python: with a global lock, or free-threaded.

## What it flags

A file for a free-threaded Python (cp313t, `.cpython-313t-...`) whose reference counting is that of ordinary builds, or a file for an
ordinary Python whose reference counting is that of free-threaded ones.

## Why it matters

The two builds lay out every object differently. Compiled for one and loaded into the other, a module writes into the wrong fields, and the
process crashes at some later time. In one direction the import fails first:

    ImportError: .../demo/_core.cpython-313-x86_64-linux-gnu.so: undefined symbol: _Py_DecRefShared

## Example

    error[free-threading-mismatch]: is tagged for a free-threaded Python and was compiled for an ordinary one
      demo/_core.cpython-313t-x86_64-linux-gnu.so (x86_64), import _Py_Dealloc: what ordinary builds call when a count reaches zero
      = help: build it with the Python that the tag names, in an empty build folder
      = more: relocate explain free-threading-mismatch

## How to fix it

Build each wheel with the Python that it is for, in an empty build folder, since object files of the other kind link without a word. On
Windows headers of both kinds are in one folder, and the build has to define `Py_GIL_DISABLED` itself.

## When it is fine

Never, as far as is known.

## How it decides

`Py_DECREF` is compiled into the module. In ordinary builds it ends in a call of `_Py_Dealloc`, in free-threaded ones in calls of
`_Py_DecRefShared` and `_Py_MergeZeroLocalRefcount`. A module need not have any of these, so only a contradiction is proof: the first
without any of the others in a free-threaded module, one of the others in an ordinary module. Modules for the stable ABI call functions
instead and are not judged; what they must not take is `abi3-violation`.

## References

- PEP 703, "Making the Global Interpreter Lock Optional in CPython"; CPython, Include/refcount.h
- Python documentation, "C API Extension Support for Free Threading"
- https://github.com/python/cpython/issues/111870
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Image, Survey
from relocator.python_abi import is_free_threaded, is_stable, python_imports

ORDINARY = "_Py_Dealloc"
FREE_THREADED = ("_Py_DecRefShared", "_Py_DecRefSharedDebug", "_Py_MergeZeroLocalRefcount")
"""What Py_DECREF leaves in a module, by the kind of Python. The second name has the first in it."""

HELP = "build it with the Python that the tag names, in an empty build folder"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each image whose reference counting contradicts its tag."""
    for binary, image in survey.images():
        free = is_free_threaded(binary, survey.target)
        if free is None or is_stable(binary, survey.target) or not _suspicious(image, free):
            continue
        names = {name for name, _ in python_imports(image)}
        shared = [name for name in FREE_THREADED if name in names]
        if free and ORDINARY in names and not shared:
            message = "is tagged for a free-threaded Python and was compiled for an ordinary one"
            where = Where(binary.member, image.arch, "import", None, ORDINARY, label="what ordinary builds call when a count reaches zero")
        elif shared and not free:
            message = "is tagged for an ordinary Python and was compiled for a free-threaded one"
            where = Where(binary.member, image.arch, "import", None, shared[0], label="ordinary builds of Python do not have it")
        else:
            continue
        yield Finding("free-threading-mismatch", Severity.ERROR, Certainty.CERTAIN, message, where, help=HELP)


def _suspicious(image: Image, free: bool) -> bool:
    """Tell, without decoding, whether an image may have what its kind of Python does not call."""
    return any(image.symbols.mentions(name.encode()) for name in ((ORDINARY,) if free else FREE_THREADED[::2]))


RULE = Rule("free-threading-mismatch", "Python's ABI", Severity.ERROR, check, containers=("wheel", "folder", "file", "environment"))
