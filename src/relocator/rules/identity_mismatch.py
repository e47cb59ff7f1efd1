"""Is needed by another name than the one that it gives itself.

## What it flags

A library of the package that another file needs by a base name which differs from the library's own soname (ELF) or install name (macOS).

## Why it matters

A linker writes the soname into the needs of whatever is linked against the library. So what is built against this library later needs a
file of that name, which does not exist. And glibc recognises a library that is in the process already by its soname: needed under both
names it may be loaded twice, with two sets of global variables.

## Example

    warning[identity-mismatch]: is needed by another name than its own
      demo/libfoo.so (x86_64), DT_SONAME libfoo.so.3: needed as libfoo.so
        also demo/_core.so (x86_64), DT_NEEDED libfoo.so
      = help: let `relocate repair` give file, soname and needs one name
      = more: relocate explain identity-mismatch

## How to fix it

Name the file, the needs and the soname alike: `relocate repair` does, `patchelf --set-soname` and `install_name_tool -id` do it by hand.

## When it is fine

When nobody else links against the library and all needs of the package agree. It works then.

## How it decides

By the base names of the needs that the loader meets with that file. A library without a soname is known by its file name, and the name in
a DLL's export directory matters to nobody: neither is flagged.

## References

- System V gABI, "Shared Object Dependencies"
- glibc, `elf/dl-load.c`, `_dl_map_object`: loaded objects are compared by name and by DT_SONAME
- Apple, "Dynamic Library Programming Topics"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, How, Image, Survey
from relocator.places import identity_place, need_place


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each library that is needed by a wrong name, with the needs as related places."""
    wrong: dict[tuple[str, str], dict[Where, None]] = {}
    found: dict[tuple[str, str], tuple[Binary, Image]] = {}
    for load in survey.loads:
        for resolution in load.resolutions:
            if resolution.how != How.BUNDLED or resolution.target is None or load.loader == "windows":
                continue
            binary = survey.binary_at(resolution.target)
            image = binary.image(load.arch) if binary else None
            if binary and image and image.identity and _leaf(image.identity) != _leaf(resolution.needed.name):
                found[binary.path, load.arch] = binary, image
                wrong.setdefault((binary.path, load.arch), {})[need_place(survey, resolution)] = None
    for key, (binary, image) in found.items():
        needs = tuple(wrong[key])
        yield Finding(
            "identity-mismatch",
            Severity.WARNING,
            Certainty.CERTAIN,
            "is needed by another name than its own",
            identity_place(binary, image, f"needed as {_leaf(needs[0].value)}"),
            needs,
            "let `relocate repair` give file, soname and needs one name",
            "repair",
        )


def _leaf(name: str) -> str:
    return name.rpartition("/")[2]


RULE = Rule("identity-mismatch", "ELF health", Severity.WARNING, check, (Format.ELF, Format.MACHO), repaired_by="repair")
