"""Has segments that cannot be mapped where memory pages are larger than on the build machine.

## What it flags

ELF files for architectures whose kernels use pages of 16 KiB or 64 KiB (aarch64, ppc64, ppc64le, loongarch64) with a loadable segment
that is aligned for smaller pages, or whose address and file offset differ by something else than whole pages.

## Why it matters

A segment is mapped page by page, straight from the file. Where the system's page is larger than the segment's alignment that cannot be
done, and glibc refuses the file: `ELF load command alignment not page-aligned` or `ELF load command address/offset not page-aligned`.
musl does not look and maps the wrong bytes.

## Example

    error[unsafe-page-alignment]: cannot be mapped by kernels with larger pages
      demo/_core.cpython-312-aarch64-linux-gnu.so (aarch64), PT_LOAD.p_align 0x1000: pages may have 0x10000 bytes
      = help: link with -Wl,-z,max-page-size=65536
      = more: relocate explain unsafe-page-alignment

Old versions of `patchelf`, which took the page size of the machine they ran on, added such segments; so do linkers that were told
`-z max-page-size=4096`.

## How to fix it

Link with `-Wl,-z,max-page-size=65536` (the default of GNU ld and LLD for aarch64), and give `patchelf` the option `--page-size 65536`.
The alignment of an existing file cannot be raised without moving its segments.

## When it is fine

When the package will never meet such a kernel. x86, 32-bit Arm, s390x and riscv64 have 4 KiB pages and are never flagged.

## How it decides

Let P be the largest page of the architecture. Each PT_LOAD needs `p_align` to be a multiple of P and `p_vaddr - p_offset` too. It is an
error for aarch64 and ppc64 under glibc (64 KiB kernels are what RHEL and Ubuntu offer for aarch64, and the rule on POWER), and on
loongarch64 for 16 KiB, its usual page; a warning where fewer machines are concerned: 64 KiB on loongarch64, musl on aarch64 (Alpine's
kernels have 4 KiB pages, but a container runs on its host's, and a Raspberry Pi 5 has 16 KiB), and Android on arm64, where devices from
API level 35 on may have 16 KiB pages.

## References

- System V ABI, chapter 5, "Program Loading"
- glibc, `elf/dl-load.c`, `_dl_map_object_from_fd`; musl, `ldso/dynlink.c`, `map_library`
- https://github.com/numpy/numpy/issues/16677
- https://github.com/pypa/manylinux/issues/735
- Android, "Support 16 KB page sizes"
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Image, Survey
from relocator.native import ElfFacts

PAGES: dict[tuple[str, str], tuple[tuple[int, Severity], ...]] = {
    ("glibc", "aarch64"): ((0x10000, Severity.ERROR),),
    ("glibc", "ppc64le"): ((0x10000, Severity.ERROR),),
    ("glibc", "ppc64"): ((0x10000, Severity.ERROR),),
    ("glibc", "loongarch64"): ((0x4000, Severity.ERROR), (0x10000, Severity.WARNING)),
    ("musl", "aarch64"): ((0x10000, Severity.WARNING),),
    ("musl", "ppc64le"): ((0x10000, Severity.WARNING),),
    ("musl", "loongarch64"): ((0x4000, Severity.ERROR), (0x10000, Severity.WARNING)),
    ("bionic", "aarch64"): ((0x4000, Severity.WARNING),),
}
"""(libc, architecture) -> page sizes in bytes that some kernel uses, the gravest first."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each ELF image with a segment that a page of its platform cannot map."""
    for binary, image in survey.images():
        if isinstance(image.native, ElfFacts) and not (survey.target.decided and image.arch not in survey.target.arches):
            libc = survey.target.libc or ("glibc" if image.native.android_api is None else "bionic")
            for page, severity in PAGES.get((libc, image.arch), ()):
                found = _unmappable(binary, image, image.native, page)
                if found:
                    message = "cannot be mapped by kernels with larger pages"
                    help_text = f"link with -Wl,-z,max-page-size={page}"
                    yield Finding("unsafe-page-alignment", severity, Certainty.CERTAIN, message, found, help=help_text)
                    break


def _unmappable(binary: Binary, image: Image, native: ElfFacts, page: int) -> Where | None:
    """Return the first segment that pages of this size cannot map; glibc makes the same two tests."""
    for position, segment in enumerate(native.segments):
        if segment.align % page:
            field, value, label = "p_align", f"{segment.align:#x}", f"pages may have {page:#x} bytes"
        elif (segment.vaddr - segment.offset) % page:
            field, value = "p_vaddr", f"{segment.vaddr:#x}"
            label = f"differs from p_offset {segment.offset:#x} by no multiple of {page:#x}"
        else:
            continue
        return Where(binary.member, image.arch, f"PT_LOAD.{field}", position, value, label=label)
    return None


RULE = Rule("unsafe-page-alignment", "Architecture", Severity.ERROR, check, (Format.ELF,))
