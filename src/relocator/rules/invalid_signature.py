"""Is not signed, or was changed after it was signed.

## What it flags

An arm64 slice without a code signature; a slice of any architecture whose signature does not fit its bytes: a page hash differs, the
signature is cut short, is not at the end, or covers too little.

## Why it matters

On Apple silicon the kernel runs signed code only, an ad-hoc signature being enough. An unsigned library is refused:

    ImportError: dlopen(.../demo/_core.so, 0x0002): tried: '.../demo/_core.so' (code signature in <...> '.../demo/_core.so' not valid for
    use in process: mapped file has no cdhash, completely unsigned? Code has to be at least ad-hoc signed.)

One that was changed afterwards is mapped, and the process is killed when it touches a changed page: `Killed: 9`, and in the crash report
`EXC_BAD_ACCESS (SIGKILL (Code Signature Invalid))`.

## Example

    error[invalid-signature]: was changed after it was signed
      demo/.dylibs/libfoo.1.dylib (arm64), LC_CODE_SIGNATURE adhoc: page 0 differs (0x1000 bytes each)
      = help: let `relocate repair` sign it anew, or run `codesign --force --sign - FILE`
      = more: relocate explain invalid-signature

## How to fix it

`relocate repair` signs the file ad hoc, on any system. On a Mac `codesign --force --sign - FILE` does the same. In the build: sign last.
`strip`, `install_name_tool` of old command line tools, and every tool that edits bytes break the signature.

## When it is fine

x86_64 code needs no signature, and without one it is not flagged. A stale one on x86_64 is a warning: it matters in processes with a
hardened runtime, and to whoever notarises an application that holds the file.

## How it decides

By hashing each page that the signature's CodeDirectory covers and comparing, for each slice and each directory. Whether the certificate of
a signed file is valid is not judged, nor files that no loader maps, such as debug symbols, nor files for iOS, which are signed anew when
the application is built. A signature whose ad-hoc flag is unset and that has no certificate is one of `ldid`, and passes.

## References

- xnu, `osfmk/kern/cs_blobs.h` and `bsd/kern/ubc_subr.c`
- Apple, "macOS Big Sur 11 Universal Apps Release Notes", code signing
- https://github.com/matthew-brett/delocate/issues/19
- https://github.com/matthew-brett/delocate/issues/144
- https://github.com/prefix-dev/rattler-build/issues/324
"""

from collections.abc import Iterator

from relocator.findings import EVERYWHERE, Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey
from relocator.native import MachOFacts, Signature

LOADED = frozenset({"library", "bundle", "program"})
"""Kinds of files that are mapped to be run."""

PLATFORMS = ("", "macos", "maccatalyst")
"""Platforms whose files run as a package brings them; for iOS and its kin the application's build signs everything anew."""


def check(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each slice that the kernel would refuse or kill for its signature."""
    for binary, image in survey.images():
        if not isinstance(image.native, MachOFacts) or image.kind not in LOADED or image.native.platform not in PLATFORMS:
            continue
        signature = image.native.signature
        needs_one = image.arch.startswith("arm64")
        fault = "there is none" if signature is None else _fault(signature)
        if fault and (signature or needs_one):
            yield Finding(
                "invalid-signature",
                Severity.ERROR if needs_one else Severity.WARNING,
                Certainty.CERTAIN,
                _message(signature),
                Where(binary.member, image.arch, "LC_CODE_SIGNATURE", None, signature.kind if signature else "", label=fault),
                help="let `relocate repair` sign it anew, or run `codesign --force --sign - FILE`",
                repaired_by="repair",
            )


def _fault(signature: Signature) -> str:
    """Say what is wrong with a signature, "" when nothing is."""
    if signature.problem:
        return signature.problem
    pages = signature.bad_pages
    if not pages:
        return ""
    listed = ", ".join(map(str, pages[:4])) + (", ..." if len(pages) > 4 else "")
    size = f" ({signature.page_size:#x} bytes each)" if signature.page_size else ""
    return f"page {listed} differs{size}" if len(pages) == 1 else f"pages {listed} differ{size}"


def _message(signature: Signature | None) -> str:
    if signature is None:
        return "is not signed, and Apple silicon runs signed code only"
    return "has a signature that is not valid" if signature.problem else "was changed after it was signed"


RULE = Rule("invalid-signature", "macOS", Severity.ERROR, check, (Format.MACHO,), repaired_by="repair", containers=EVERYWHERE)
