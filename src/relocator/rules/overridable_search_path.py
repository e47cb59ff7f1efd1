"""Finds its own libraries after those of LD_LIBRARY_PATH.

## What it flags

A DT_RUNPATH through which glibc finds libraries of the package whose names other packages and systems use too.

## Why it matters

glibc looks into the folders of `LD_LIBRARY_PATH` before it looks at DT_RUNPATH. Where a cluster's module system, a script or another
package sets that variable, whatever has the same name there takes the place of the library that the package was tested with:

    cuDNN version incompatibility: PyTorch was compiled against (8, 3, 2) but found runtime version (8, 0, 3)

## Example

    note[overridable-search-path]: finds its own libraries after those of LD_LIBRARY_PATH
      demo/_core.so (x86_64), DT_RUNPATH $ORIGIN/lib: finds libcudnn.so.9
      = help: let `relocate repair --fix-notes` make it a DT_RPATH, or link with -Wl,--disable-new-dtags
      = more: relocate explain overridable-search-path

## How to fix it

`relocate repair --fix-notes` writes a DT_RPATH, which comes before `LD_LIBRARY_PATH`; linkers do so with
`-Wl,--disable-new-dtags`. Or give the bundled libraries names that nobody else has, as `relocate repair` and auditwheel do for what
they copy in.

## When it is fine

When users are meant to be able to replace the library, which some licences ask for.

## How it decides

By the loads of the package's files. Names with a hash of the content in them (`libfoo-1a2b3c4d.so.1`) cannot be met by chance. musl and
Android treat both kinds of path alike.

## References

- `ld.so(8)`; glibc, `elf/dl-load.c`
- https://github.com/pytorch/pytorch/issues/80637
- https://github.com/pytorch/pytorch/issues/111469
"""

import re
from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import Format, How, Survey
from relocator.search_paths import Element, Leads, elements

_HASHED = re.compile(r"[-.][0-9a-f]{8,64}[-.]")


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one note for each DT_RUNPATH element that finds libraries by names that others may have too."""
    found = _found_through(survey)
    if not found:
        return
    for element in elements(survey, Leads.FINE):
        names = found.get((element.binary.path, element.image.arch, _via(element)))
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield Finding(
                "overridable-search-path",
                Severity.NOTE,
                Certainty.CERTAIN,
                "finds its own libraries after those of LD_LIBRARY_PATH",
                element.where(f"finds {min(names)}{more}"),
                help="let `relocate repair --fix-notes` make it a DT_RPATH, or link with -Wl,--disable-new-dtags",
                repaired_by="repair",
            )


def _via(element: Element) -> str:
    return f"{element.path.kind} of {element.binary.member}: {element.path.text}"


def _found_through(survey: Survey) -> dict[tuple[str, str, str], set[str]]:
    """Return the names found, by the file that needs them, its architecture and the loader's own words for the element."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for load in survey.loads:
        if load.loader == "glibc":
            for resolution in load.resolutions:
                if (
                    resolution.how == How.BUNDLED
                    and resolution.via.startswith("DT_RUNPATH of ")
                    and not _HASHED.search(resolution.needed.name)
                ):
                    found.setdefault((resolution.importer, load.arch, resolution.via), set()).add(resolution.needed.name)
    return found


RULE = Rule("overridable-search-path", "Search paths", Severity.NOTE, check, (Format.ELF,), repaired_by="repair", by_role=False)
