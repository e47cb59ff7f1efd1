"""Has search path elements that find nothing.

## What it flags

An element of an ELF file's search path that is repeated, that no loader reads because the file has a DT_RUNPATH too, or that leads into the
package or to a directory of the system and through which no need of the package's files is met.

## Why it matters

It does no harm but for the look-ups that it costs at each start. It is a left-over: of a build that set paths for libraries that are
now linked statically, or of a library that should be there and is not.

## Example

    note[redundant-search-path]: has a search path element that finds nothing
      demo/_core.so (x86_64), DT_RPATH $ORIGIN/deps/lib64: no need is met there
      = help: let `relocate repair --fix-notes` take it out
      = more: relocate explain redundant-search-path

## How to fix it

`relocate repair --fix-notes` takes it out; or do not have the linker write it.

## When it is fine

When the program opens libraries by name (`dlopen`) that lie in that folder.

## How it decides

By the loads of the package's files: an element counts as used when any need is met in its folder, or when a need that is not met was looked
for there. Files that call `dlopen` are left out, for what they open cannot be known, and so are elements with which
something else is wrong. Mach-O has `duplicate-rpath` instead.

## References

- System V gABI, "Shared Object Dependencies"; `ld.so(8)`
- lintian, "binary-or-shlib-defines-rpath"
"""

from collections.abc import Iterator, Sequence, Set

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.loading import directory
from relocator.model import Binary, Format, How, Image, Survey
from relocator.native import ElfFacts
from relocator.search_paths import Element, Leads, elements, in_use

HELP = "let `relocate repair --fix-notes` take it out"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a note for each element that is dead, repeated or unused; what is worse than useless other rules tell."""
    fine: dict[tuple[str, str], list[Element]] = {}
    for element in elements(survey, Leads.FINE):
        fine.setdefault((element.binary.path, element.image.arch), []).append(element)
    used = _used(survey) if fine else {}
    for binary, image in survey.images():
        key = (binary.path, image.arch)
        if isinstance(image.native, ElfFacts) and image.search_paths:
            yield from _dead(binary, image, image.native)
            yield from _repeated(survey, binary, image, fine.get(key, ()))
            yield from _unused(fine.get(key, ()), used.get(key))


def _dead(binary: Binary, image: Image, facts: ElfFacts) -> Iterator[Finding]:
    if facts.rpath and facts.runpath is not None:
        label = "not read, since there is a DT_RUNPATH"
        yield _finding(Where(binary.member, image.arch, "DT_RPATH", None, facts.rpath, label=label))


def _repeated(survey: Survey, binary: Binary, image: Image, fine: Sequence[Element]) -> Iterator[Finding]:
    texts = {element.path.text for element in fine}
    seen: set[str] = set()
    for element in in_use(survey, binary, image):
        text = element.path.text.rstrip("/")
        if text in seen and element.path.text in texts:
            yield _finding(element.where("stands there already"))
        seen.add(text)


def _unused(fine: Sequence[Element], folders: Set[str] | None) -> Iterator[Finding]:
    told: set[str] = set()
    for element in fine:
        text = element.path.text.rstrip("/")
        if folders is not None and text not in told and _is_judged(element) and not any(_below(one, element.target) for one in folders):
            yield _finding(element.where("no need is met there"))
        told.add(text)


def _is_judged(element: Element) -> bool:
    return bool(element.target) and not element.image.symbols.mentions(b"dlopen")


def _used(survey: Survey) -> dict[tuple[str, str], set[str]]:
    """Return, for each file of a load, the folders in which the needs of that load were met, or looked for in vain."""
    found: dict[tuple[str, str], set[str]] = {}
    for load in survey.loads:
        folders = {directory(resolution.target) for resolution in load.resolutions if resolution.target}
        for resolution in load.resolutions:
            if resolution.how not in (How.BUNDLED, How.PROMISED):
                folders.update(directory(tried.place) for tried in resolution.tried)
        for path in load.order:
            found.setdefault((path, load.arch), set()).update(folders)
    return found


def _below(folder: str, target: str) -> bool:
    return folder == target or folder.startswith(target + "/")


def _finding(where: Where) -> Finding:
    message = "has a search path element that finds nothing"
    return Finding("redundant-search-path", Severity.NOTE, Certainty.CERTAIN, message, where, help=HELP, repaired_by="repair")


RULE = Rule("redundant-search-path", "Search paths", Severity.NOTE, check, (Format.ELF,), repaired_by="repair", by_role=False)
