"""Searches for libraries outside the package, relative to the file.

## What it flags

An element of DT_RPATH, DT_RUNPATH or LC_RPATH that starts with `$ORIGIN` or `@loader_path`, and that leads out of all that the
package installs: to another distribution's folder, or out of site-packages.

## Why it matters

It works only where both lie in the same tree. With `pip install --target`, a user site beside a system site, an overlay of virtual
environments or an application bundle the other folder is elsewhere. Whatever lies at that place instead is taken without a question.

## Example

    note[escaping-search-path]: searches for libraries outside the package
      demo/_core.so (x86_64), DT_RUNPATH $ORIGIN/../../..: leads to <prefix>/lib
      = help: bundle the library, or have the package that brings it loaded first from Python
      = more: relocate explain escaping-search-path

## How to fix it

Bundle the library (`relocate repair`), or have Python open the other package's library first, by its full path: a library in the process
already satisfies the need on Linux and Windows. On macOS the install names have to agree for that.

## When it is fine

For packages that are made for one another and declare it, such as CUDA's libraries beside the package that uses them; and for conda
packages, where site-packages and the environment's `lib` belong together.

## How it decides

`$ORIGIN` and `@loader_path` stand for the folder that the file is installed to. The package's own are site-packages itself, the folders
directly below it that the package brings or shares, and elsewhere the folders of its files: `demo.libs` beside `demo` is inside.
Without any distribution's metadata nothing says where the package ends, and nothing is flagged.

## References

- Binary distribution format, "Installing a wheel" (packaging.python.org)
- https://github.com/pypa/auditwheel/issues/392
- https://github.com/matthew-brett/delocate/issues/249
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity
from relocator.model import PREFIX, Format, Survey
from relocator.search_paths import Leads, elements


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a note for each element that starts at the file and leads out of the package."""
    for element in elements(survey, Leads.ESCAPING):
        yield Finding(
            "escaping-search-path",
            Severity.NOTE,
            Certainty.CERTAIN,
            "searches for libraries outside the package",
            element.where(f"leads to {_shown(element.target, survey)}"),
            help="bundle the library, or have the package that brings it loaded first from Python",
        )


def _shown(folder: str, survey: Survey) -> str:
    for distribution in survey.container.distributions:
        if folder.startswith(distribution.root + "/"):
            return f"site-packages{folder.removeprefix(distribution.root)}"
    return folder.removeprefix("/") if f"{folder}/".startswith(PREFIX + "/") else f"above the installation ({folder})"


RULE = Rule("escaping-search-path", "Search paths", Severity.NOTE, check, (Format.ELF, Format.MACHO), by_role=False)
