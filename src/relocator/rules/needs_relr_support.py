"""Has packed relative relocations, which older loaders do not apply.

## What it flags

An ELF file with DT_RELR, or with the version need GLIBC_ABI_DT_RELR that announces it, where the tag admits a loader
without support for it: glibc before 2.36, musl before 1.2.4, Android before API level 28. Also a file with DT_RELR
that lacks the announcement, which every glibc since 2.36 refuses.

## Why it matters

Packed relocations are the pointers in the file's own data. A loader that does not know them leaves those pointers
unadjusted, and the process crashes; where the version need is present, an older glibc says at least

    ImportError: /lib64/libc.so.6: version `GLIBC_ABI_DT_RELR' not found (required by .../demo/_core.so)

## Example

    error[needs-relr-support]: has packed relocations, which manylinux_2_28 cannot apply
      demo/_core.so (x86_64), DT_VERNEED GLIBC_ABI_DT_RELR: needs glibc 2.36
      = help: link without -z pack-relative-relocs, or tag the wheel manylinux_2_36 or newer
      = more: relocate explain needs-relr-support

## How to fix it

Link without `-z pack-relative-relocs` (GNU ld, lld) or `--pack-dyn-relocs=relr` (lld); some distributions pass it by
default. Or tag the wheel manylinux_2_36 or newer. No repair can unpack the relocations.

## When it is fine

On musl, when only systems with musl 1.2.4 (May 2023) or newer matter; no tag can say so.

## How it decides

By the dynamic table and the version needs. Under glibc below 2.36 it is an error and takes the place of
`newer-glibc-than-tag` for that file. Without the announcement it is one under any glibc, if the file has version
needs on libc.so.6 at all. Under musl it is a warning. On Android standard DT_RELR needs API level 30 and
DT_ANDROID_RELR 28.

## References

- glibc, release notes of 2.36, and elf/dl-version.c
- musl, release notes of 1.2.4
- Android, "Changes for NDK developers", "Relative relocations (RELR)"
- https://github.com/HuguesTHOMAS/KPConv-PyTorch/issues/250
"""

from collections.abc import Iterator

from relocator import demands
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Image, Survey

LINK = "link without -z pack-relative-relocs"


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each ELF image that some loader admitted by the tag cannot relocate."""
    for binary, image in survey.images():
        if image.format != Format.ELF or image.arch not in survey.target.arches or not demands.needs_relr(image):
            continue
        verdict = _verdict(survey, image)
        if verdict:
            severity, certainty, message, needs, advice = verdict
            marked = _announced(image)
            where = Where(binary.member, image.arch, "DT_VERNEED" if marked else "DT_RELR", None, marked, label=needs)
            yield Finding("needs-relr-support", severity, certainty, message, where, help=advice)


def _announced(image: Image) -> str:
    return next((need.version for need in image.version_needs if need.version == demands.RELR_MARKER), "")


def _verdict(survey: Survey, image: Image) -> tuple[Severity, Certainty, str, str, str] | None:
    target, floor = survey.target, survey.target.floor(image.arch)
    if target.libc == "glibc":
        if demands.lacks_relr(survey, image):
            name = demands.level_name(survey, image.arch)
            advice = f"{LINK}, or tag the wheel manylinux_2_36 or newer"
            return Severity.ERROR, Certainty.CERTAIN, f"has packed relocations, which {name} cannot apply", "needs glibc 2.36", advice
        if not _announced(image) and any(need.library.startswith("libc.so.") for need in image.version_needs):
            message = f"has packed relocations without the version need {demands.RELR_MARKER}, so every glibc since 2.36 refuses it"
            return Severity.ERROR, Certainty.CERTAIN, message, "", "link with -z pack-relative-relocs, which adds it, or without RELR"
    elif target.libc == "musl":
        message = "has packed relocations, which musl applies since 1.2.4 only"
        return Severity.WARNING, Certainty.CERTAIN, message, "musl 1.2.3 and older crash", LINK
    elif target.os == "android" and () < floor < (30,):
        old = floor < (28,)
        message = f"has packed relocations, which Android applies since API level {28 if old else 30} only"
        return (Severity.ERROR, Certainty.CERTAIN, message, "", LINK) if old else (Severity.WARNING, Certainty.POSSIBLE, message, "", LINK)
    return None


RULE = Rule(
    "needs-relr-support",
    "Tags",
    Severity.ERROR,
    check,
    (Format.ELF,),
    supersedes=("newer-glibc-than-tag",),
    needs_promise=True,
)
