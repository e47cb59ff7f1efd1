"""Uses a C++ function with the other std::string than the one that the library found has.

## What it flags

In an installed environment, an undefined C++ symbol that a loaded file has with the other std::string: GCC's old one in one of them, the
new one (std::__cxx11) in the other. One finding for each pair of files.

## Why it matters

Since GCC 5, libstdc++ has two std::string, chosen by `_GLIBCXX_USE_CXX11_ABI` when a file is compiled, and functions that take or return
them have different names. A package built one way does not load with a library built the other way:

    ImportError: .../flash_attn_2_cuda.so: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationESs

## Example

    error[cxx11-abi]: uses a C++ function with another std::string than the library has
      flash/_core.so (x86_64), import libc10.so _ZN3c107WarningC1ESs
        also torch/lib/libc10.so (x86_64), has _ZN3c107WarningC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE instead
      = help: install a build of flash-attn with _GLIBCXX_USE_CXX11_ABI=1, as torch has it
      = more: relocate explain cxx11-abi

## How to fix it

Install a build with the same setting as the library: for PyTorch the wheels are marked cxx11abi=TRUE or FALSE, and
`torch.compiled_with_cxx11_abi()` says what it has. Or build the package from source against the library installed here.

## When it is fine

Never: the symbol is not there.

## How it decides

By the mangled names of the symbols that nothing in the load defines, compared with the exports of the files that are loaded: the same
function up to its first std::string, and there the other one; or the same name without the tag `B5cxx11` of the return type.

## References

- GCC, "Dual ABI"; Itanium C++ ABI, section 5.1, "External Names (a.k.a. Mangling)"
- https://github.com/Dao-AILab/flash-attention/issues/1644
- https://github.com/pytorch/pytorch/issues/152790
"""

from collections.abc import Iterator

from relocator.bindings import Missing, missing
from relocator.bindings.likeness import string_abi
from relocator.bindings.suspects import Suspect, other_strings, place, text
from relocator.findings import Certainty, Finding, Rule, Severity, Where
from relocator.model import Format, Survey


def check(survey: Survey) -> Iterator[Finding]:
    """Yield one finding for each file and the file that has the other functions."""
    strings = other_strings(survey)
    for item in missing(survey):
        twins = strings.get((item.importer.path, item.image.arch), {})
        by_provider: dict[str, list[bytes]] = {}
        for name in item.names:
            if name in twins:
                by_provider.setdefault(twins[name].binary.path, []).append(name)
        for names in by_provider.values():
            yield _finding(item, tuple(names), twins[names[0]])


def _finding(item: Missing, names: tuple[bytes, ...], found: Suspect) -> Finding:
    provider = found.binary
    new = string_abi(found.has)[0] == "new"
    owner = provider.owner or provider.path.rpartition("/")[2]
    return Finding(
        "cxx11-abi",
        Severity.ERROR,
        Certainty.CERTAIN,
        "uses a C++ function with another std::string than the library has",
        place(item, names, provider.path.rpartition("/")[2]),
        (Where(provider.member, item.image.arch, label=f"has {text(found.has)} instead"),),
        f"install a build of {item.importer.owner} with _GLIBCXX_USE_CXX11_ABI={int(new)}, as {owner} has it",
    )


RULE = Rule("cxx11-abi", "Python's ABI", Severity.ERROR, check, (Format.ELF,), containers=("environment",))
