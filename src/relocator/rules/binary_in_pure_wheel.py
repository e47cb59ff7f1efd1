"""Has binaries for one platform under a tag for any platform.

## What it flags

A wheel tagged `none-any` that holds an extension module, or a library that an import opens, for one operating system
only. Also a platform wheel that says `Root-Is-Purelib: true` although it has such binaries; and, as a note, programs
and sets of binaries for several platforms that a `none-any` wheel carries on purpose.

## Why it matters

Installers choose a `none-any` wheel on every system. Everywhere but on one the import fails, and no other wheel or
source build is tried:

    ImportError: .../demo/_core.so: invalid ELF header

## Example

    error[binary-in-pure-wheel]: is a binary for Linux in a wheel for any platform
      demo/_core.cpython-312-x86_64-linux-gnu.so
      = help: tag the wheel for its platform
      = more: relocate explain binary-in-pure-wheel

## How to fix it

Tag the wheel for its platform. With setuptools the distribution must say that it has extension modules; a project
that puts prebuilt libraries beside its Python files sets `has_ext_modules` or the tag in its own `bdist_wheel`. Set
`Root-Is-Purelib: false` along with it.

## When it is fine

Launchers that are copied elsewhere (pip and setuptools ship them), and wheels that bring the same thing for several
platforms and choose when they run: those give one note.

## How it decides

By the format of the binaries that an import reaches: an error when the wheel has no library or extension module in
another format. For `Root-Is-Purelib: true` under a platform tag it is a warning, since installers choose rightly
there, and tools such as auditwheel refuse binaries below purelib.

## References

- PEP 425
- PEP 427 and Python packaging, "Binary distribution format", "Root-Is-Purelib"
- https://github.com/pypa/auditwheel/issues/32
"""

from collections.abc import Iterator

from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Binary, Format, Role, Survey

SYSTEMS = {Format.ELF: "Linux", Format.MACHO: "macOS", Format.PE: "Windows"}


def check(survey: Survey) -> Iterator[Finding]:
    """Yield findings about binaries in a wheel whose tag, or Root-Is-Purelib, says that it has none."""
    own = [binary for binary in survey.binaries if binary.owner]
    if survey.target.os == "any":
        yield from _under_any(own)
    elif survey.container.purelib and survey.target.os:
        yield from _under_purelib(survey, own)


def _under_any(own: list[Binary]) -> Iterator[Finding]:
    formats = {binary.format for binary in own if binary.role != Role.PROGRAM}
    lone = [binary for binary in own if binary.role == Role.IMPORTED and len(formats) == 1]
    for binary in lone:
        yield Finding(
            "binary-in-pure-wheel",
            Severity.ERROR,
            Certainty.CERTAIN,
            f"is a binary for {SYSTEMS[binary.format]} in a wheel for any platform",
            Where(binary.member),
            help="tag the wheel for its platform",
        )
    if own and not lone:
        systems = " and ".join(sorted({SYSTEMS[binary.format] for binary in own}))
        yield Finding(
            "binary-in-pure-wheel",
            Severity.NOTE,
            Certainty.CERTAIN,
            f"carries binaries for {systems} in a wheel for any platform",
            Where(field="Tag", value="any"),
            tuple(Where(binary.member) for binary in own),
            help="nothing to do if the package chooses among them, or copies them elsewhere",
        )


def _under_purelib(survey: Survey, own: list[Binary]) -> Iterator[Finding]:
    reached = [binary for binary in own if binary.role == Role.IMPORTED]
    if reached:
        yield Finding(
            "binary-in-pure-wheel",
            Severity.WARNING,
            Certainty.CERTAIN,
            "says that it is pure and has binaries",
            Where(f"{survey.container.dist_info}/WHEEL", "", "Root-Is-Purelib", None, "true"),
            tuple(Where(binary.member) for binary in reached),
            help="write Root-Is-Purelib: false, so that the files go where binaries belong",
        )


RULE = Rule("binary-in-pure-wheel", "Tags", Severity.ERROR, check, containers=("wheel",))
