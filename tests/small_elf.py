"""Whole ELF libraries out of names: what a compiler would have to be run for, with any fault that a linker would not make."""

from collections.abc import Mapping, Sequence

import elf_bytes as e

_NEEDED, _HASH, _STRTAB, _SYMTAB, _RELA, _RELASZ, _RELAENT, _STRSZ, _SYMENT, _SONAME, _RPATH, _RUNPATH = (
    1,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    14,
    15,
    29,
)
_VERSYM, _VERNEED, _VERNEEDNUM = 0x6FFFFFF0, 0x6FFFFFFE, 0x6FFFFFFF
_STACK, _PROPERTY, _ISA_NEEDED = 0x6474E551, 0x6474E553, 0xC0008002


def elf_file(
    *needs: str,
    asks: Sequence[str] = (),
    gives: Sequence[str] = (),
    weak: Sequence[str] = (),
    versions: Mapping[str, Sequence[str]] | None = None,
    soname: str = "",
    rpath: str = "",
    runpath: str = "",
    stack: int = 6,
    isa: int = 0,
    shape: e.Shape = e.NATIVE,
) -> bytes:
    """A library that needs others and imports `asks` (used) and `weak` from whom it may concern; `versions` are asked of each library.

    `isa` are the x86-64 levels that a note says it needs, a bit for each.
    """
    asked = dict(versions or {})
    texts = [*needs, *asks, *weak, *gives, *asked, *(v for some in asked.values() for v in some), soname, rpath, runpath]
    strings = e.strtab(*dict.fromkeys(text.encode() for text in texts if text))

    def at(text: str) -> int:
        return e.at(strings, text.encode())

    wanted = [e.symbol(strings, name.encode(), shape, defined=False) for name in asks]
    wanted += [e.symbol(strings, name.encode(), shape, info=(e.WEAK, e.FUNC), defined=False) for name in weak]
    listed = [e.null_symbol(shape), *wanted, *(e.symbol(strings, name.encode(), shape) for name in gives)]
    tables = {"strings": strings, "symbols": b"".join(listed), "hash": e.sysv_hash(len(listed), shape)}
    dynamic: list[tuple[int, int | str]] = [(_NEEDED, at(need)) for need in needs]
    dynamic += [(tag, at(text)) for tag, text in ((_SONAME, soname), (_RPATH, rpath), (_RUNPATH, runpath)) if text]
    dynamic += [(_STRTAB, "strings"), (_STRSZ, "len:strings"), (_SYMTAB, "symbols"), (_SYMENT, len(e.null_symbol(shape))), (_HASH, "hash")]
    if wanted:
        tables["relocations"] = b"".join(e.relocation(shape, number, True) for number in range(1, len(wanted) + 1))
        dynamic += [(_RELA, "relocations"), (_RELASZ, "len:relocations"), (_RELAENT, len(tables["relocations"]) // len(wanted))]
    if asked:
        tables["verneed"] = e.verneed(strings, _numbered(asked), shape)
        tables["versym"] = e.versym(0, *[1] * (len(listed) - 1), shape=shape)
        dynamic += [(_VERNEED, "verneed"), (_VERNEEDNUM, len(asked)), (_VERSYM, "versym")]
    pieces = [e.Piece(_STACK, None, stack)]
    if isa:
        tables["note"] = e.note(b"GNU", 5, shape.pack("4I", _ISA_NEEDED, 4, isa, 0), shape, 8)
        pieces += [e.Piece(e.PT_NOTE, "note", 4, 8), e.Piece(_PROPERTY, "note", 4, 8)]
    return e.elf(tables, dynamic, shape, pieces)


def _numbered(asked: Mapping[str, Sequence[str]]) -> list[tuple[bytes, list[tuple[int, bytes, int]]]]:
    """Give each version the number by which symbols name it; those below 2 are taken."""
    found, number = [], 2
    for library, versions in asked.items():
        found.append((library.encode(), [(number + i, version.encode(), 0) for i, version in enumerate(versions)]))
        number += len(versions)
    return found


def elf_module(*needs: str, **facts: object) -> bytes:
    """An extension module `demo/_core.so`."""
    gives = ("PyInit__core", *facts.pop("gives", ()))  # type: ignore[misc]
    return elf_file(*needs, gives=gives, **facts)  # type: ignore[arg-type]
