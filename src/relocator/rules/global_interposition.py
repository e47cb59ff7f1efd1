"""Takes over symbols that another distribution's file was to have for itself.

## What it flags

In an installed environment, strong symbols of one file that bind to another distribution's copy: because that copy is in the global scope
(opened with RTLD_GLOBAL, preloaded, or in the interpreter), or because both are brought by one module and the other comes first. One
finding for each pair of files.

## Why it matters

A file then runs half with its own code and half with somebody else's, often of another version. OpenSSL or zlib of two releases in one
process, protobuf registered twice: crashes far from the cause, which come and go with the order of imports.

## Example

    warning[global-interposition]: loses symbols to a file in the global scope (likely)
      quiet/libssl-1a2b3c4d.so.3 (x86_64), symbol SSL_new: with 2 more: SSL_free, SSL_read
        also greedy/_all.so (x86_64), takes them over, of greedy
        also quiet/_ssl.so (x86_64), uses them
      = help: hide the symbols of libssl-1a2b3c4d.so.3, or link it with -Wl,-Bsymbolic
      = more: relocate explain global-interposition

## How to fix it

The file that is taken over should hide its copy (`-fvisibility=hidden`, `-Wl,--exclude-libs,ALL`) or bind to itself (`-Wl,-Bsymbolic`).
The one that takes over should not be opened with RTLD_GLOBAL.

## When it is fine

When it is meant: an allocator, a profiler, a replacement of BLAS. When both copies are the same code.

## How it decides

By running the loader's lookup for each symbol that a file defines and refers to by name, and for each that it would get elsewhere if
there were no global scope. Weak definitions, which every user of a C++ header has, and STB_GNU_UNIQUE ones are left out; Python's names
too. The same names in two files do not count where no lookup meets both. Where the winner belongs to the system or is the interpreter, it
is a note.

## References

- dlopen(3), "RTLD_GLOBAL"; System V gABI, chapter 5, "Shared Object Dependencies"
- https://github.com/tensorflow/tensorflow/issues/2646
- https://github.com/psycopg/psycopg2/issues/1784
"""

from collections.abc import Iterator

from relocator.bindings.suspects import more, text
from relocator.bindings.takeovers import Takeover, takeovers
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each pair of files."""
    for one in takeovers(survey):
        names = [text(name) for name in one.names]
        yield Finding(
            "global-interposition",
            Severity.WARNING if one.winner.owner else Severity.NOTE,
            Certainty.LIKELY,
            "loses symbols to a file in the global scope" if one.is_global else "loses symbols to a file that is loaded before it",
            Where(one.loser.member, one.arch, "symbol", None, "", names[0], more(names[1:])),
            _related(one),
            _help(one),
        )


def _related(one: Takeover) -> tuple[Where, ...]:
    users = [binary.member for binary in one.importers if binary.path != one.loser.path]
    winner = Where(one.winner.member, one.arch, label=f"takes them over{f', of {one.winner.owner}' if one.winner.owner else ''}")
    return (winner, *(Where(member, one.arch, label="uses them") for member in users[:1]))


def _help(one: Takeover) -> str:
    if one.loser.owner:
        return f"hide the symbols of {one.loser.path.rpartition('/')[2]}, or link it with -Wl,-Bsymbolic"
    return f"hide the symbols of {one.winner.path.rpartition('/')[2]}: -Wl,--exclude-libs,ALL"


RULE = Rule("global-interposition", "Symbols", Severity.WARNING, check, (Format.ELF,), containers=("environment",))
