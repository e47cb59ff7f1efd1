"""Asks a library for a symbol version that the library found does not have.

## What it flags

An ELF file that asks for a version (GLIBCXX_3.4.30, OPENSSL_3.0.0) which the library that the loader finds does not define, or for a
symbol with a version which that library does not have. One finding for each file and library.

## Why it matters

The loader compares versions before it binds anything, and refuses:

    ImportError: .../libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by .../demo/_core.so)
    ImportError: .../demo/_core.so: undefined symbol: foo, version FOO_2

An older copy of the library lies where it is found first, or comes with the package while the file was linked with a newer one.

## Example

    error[missing-symbol-version]: asks for a symbol version that the library found does not have
      demo/_core.so (x86_64), DT_VERNEED GLIBCXX_3.4.30 _ZSt21__glibcxx_assert_failPKciS0_S0_@GLIBCXX_3.4.30: from libstdc++.so.6
        also demo.libs/libstdc++.so.6 (x86_64), has GLIBCXX_3.4.19 at most
      = help: bring the libstdc++.so.6 that the file was linked with, or link the file with this one
      = more: relocate explain missing-symbol-version

## How to fix it

Bring the copy of the library that the file was linked with, or a newer one. In a conda environment, update the package that owns it
(libstdcxx-ng, openssl). Linking with `-static-libstdc++` makes the file independent of the copy.

## When it is fine

When another copy of the library is always loaded first, and has the version.

## How it decides

By the version needs (DT_VERNEED) of each file and the version definitions (DT_VERDEF) of the library that the need gets in a load that
counts. Weak needs may fail. A library without any definition satisfies every request of glibc's, so that only its symbols are looked for.
musl compares no versions. What the platform promises is the concern of `newer-glibc-than-tag` and `newer-cxx-runtime-than-tag`.

## References

- glibc, elf/dl-version.c and elf/dl-lookup.c; U. Drepper, "ELF Symbol Versioning"
- https://github.com/isl-org/Open3D/issues/5531
- https://github.com/horovod/horovod/issues/406
"""

from collections.abc import Iterator

from relocator.bindings import Missing, missing
from relocator.bindings.suspects import more, place
from relocator.bindings.versions import Lacking, lacking_versions
from relocator.demands import symbols_with
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and library: the versions that it lacks, or else the symbols."""
    told = set()
    for lacking in lacking_versions(survey):
        told.add((lacking.importer.path, lacking.image.arch, lacking.provider.path))
        yield _of_versions(lacking)
    for item in missing(survey):
        if item.image.format != Format.ELF or item.provider is None or not item.library:
            continue
        if (item.importer.path, item.image.arch, item.provider.path) not in told:
            yield _of_symbols(item, item.provider)


def _of_versions(lacking: Lacking) -> Finding:
    version = lacking.versions[0]
    symbols = symbols_with(lacking.image, version)
    blamed = f"{symbols[0]}@{version}" if symbols else ""
    label = f"has {lacking.newest} at most" if lacking.newest else "has no version of that family"
    return Finding(
        "missing-symbol-version",
        Severity.ERROR,
        Certainty.CERTAIN,
        "asks for a symbol version that the library found does not have",
        Where(
            lacking.importer.member,
            lacking.image.arch,
            "DT_VERNEED",
            None,
            version,
            blamed,
            ", ".join(filter(None, (f"from {lacking.library}", more(list(lacking.versions[1:]))))),
        ),
        (Where(lacking.provider.member, lacking.image.arch, label=label),),
        _help(lacking.importer, lacking.provider),
    )


def _of_symbols(item: Missing, provider: Binary) -> Finding:
    return Finding(
        "missing-symbol-version",
        Severity.ERROR,
        Certainty.CERTAIN,
        "asks for a versioned symbol that the library found does not have",
        place(item, item.names, item.library),
        (Where(provider.member, item.image.arch, label="is the library that is found"),),
        _help(item.importer, provider),
    )


def _help(importer: Binary, provider: Binary) -> str:
    name = provider.path.rpartition("/")[2]
    if provider.owner and provider.owner == importer.owner:
        return f"bring the {name} that the file was linked with, or link the file with this one"
    return f"install a newer {provider.owner}, which brings {name}" if provider.owner else f"use a newer {name}"


RULE = Rule(
    "missing-symbol-version",
    "Symbols",
    Severity.ERROR,
    check,
    (Format.ELF,),
    containers=("wheel", "folder", "file", "environment"),
)
