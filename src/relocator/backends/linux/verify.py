"""A second opinion on ELF files by parsers that are not ours: pyelftools, and LIEF where pyelftools cannot read the file.

Only for tests and for what was rewritten. pyelftools reads versions and symbols by section headers; where those are missing LIEF stands in.
"""

import functools
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from relocator.model import Image, VersionNeed
from relocator.native import ElfFacts

_DT_VERNEED = 0x6FFFFFFE
_WEAK_VERSION, _HIDDEN_VERSION = 0x2, 0x8000
_BINDINGS = {"STB_GLOBAL": "global", "STB_WEAK": "weak", "STB_LOOS": "unique", "STB_GNU_UNIQUE": "unique"}
_SHN_ABS = 0xFFF1
_VISIBILITIES = ("STV_DEFAULT", "STV_INTERNAL", "STV_HIDDEN", "STV_PROTECTED")
_LIEF_BINDINGS = {1: "global", 2: "weak", 10: "unique"}


class Reading(NamedTuple):
    """What a dynamic loader acts on."""

    needed: tuple[str, ...]
    identity: str | None
    rpath: str | None
    runpath: str | None
    version_needs: tuple[VersionNeed, ...]


class Symbol(NamedTuple):
    """One dynamic symbol, as far as the parsers agree on what to call it."""

    name: bytes
    defined: bool
    binding: str
    """"global", "weak" or "unique"."""
    version: bytes
    hidden: bool
    """A version that only those get who ask for it ("@")."""


def second_reading(data: bytes) -> Reading | None:
    """Return what pyelftools reads, or else LIEF; None when neither can read the file or LIEF is not installed."""
    return _named_reading(data)[1]


def _named_reading(data: bytes) -> tuple[str, Reading | None]:
    try:
        found = _by_pyelftools(data)
    except _pyelftools_errors():
        found = None
    return ("pyelftools", found) if found is not None else ("LIEF", _by_lief(data))


def second_symbols(data: bytes) -> frozenset[Symbol] | None:
    """Return the dynamic symbols that pyelftools sees, or else LIEF; None when neither can."""
    try:
        found = symbols_by_pyelftools(data)
    except _pyelftools_errors():
        found = None
    return found if found is not None else symbols_by_lief(data)


def differences(images: Sequence[Image], data: bytes) -> tuple[str, ...]:
    """Return one line for each point on which the second reading contradicts ours; raise nothing for an unreadable file but say so."""
    return opinion(images, data)[1]


def opinion(images: Sequence[Image], data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the name of the parser that read the file, and `differences`."""
    if len(images) != 1:
        return "", (f"{len(images)} images, an ELF file has one",)
    name, theirs = _named_reading(data)
    return (name, ("no second parser can read the file",)) if theirs is None else (name, _contradictions(images[0], theirs))


def deep_differences(old: bytes, new: bytes, images: Sequence[Image]) -> tuple[str, ...] | None:
    """Return one line for each point on which LIEF contradicts our reading of the new bytes, or finds symbols or relocations that differ.

    None when LIEF is not installed or cannot read the old bytes.
    """
    before = _lief_binary(old)
    if before is None or len(images) != 1:
        return None
    after = _lief_binary(new)
    if after is None:
        return ("LIEF cannot read the new file",)
    try:
        with warnings.catch_warnings(action="ignore"):
            found = list(_contradictions(images[0], _lief_reading(after)))
            found += [f"{name}: differ from the original's" for name, ask in _LIEF_TABLES if ask(before) != ask(after)]
    except UnicodeDecodeError:
        return ("LIEF cannot read names that are no UTF-8",)
    return tuple(found)


def _lief_relocations(binary: Any) -> list[tuple[object, ...]]:
    return [
        (r.address, int(getattr(r.type, "value", r.type)), r.addend, _raw(r.symbol.name) if r.has_symbol else b"")
        for r in binary.relocations
    ]


def _lief_addresses(binary: Any) -> list[tuple[object, ...]]:
    return [(_raw(symbol.name), symbol.value, symbol.size, int(symbol.shndx)) for symbol in binary.dynamic_symbols]


_LIEF_TABLES = (("relocations", _lief_relocations), ("symbols", _lief_addresses))


def _contradictions(image: Image, theirs: Reading) -> tuple[str, ...]:
    return tuple(
        f"{name}: {mine!r}, second reading {other!r}"
        for name, mine, other in zip(Reading._fields, reading_of(image), theirs, strict=True)
        if other not in (mine, _replaced(mine))
    )


def _replaced(value: Any) -> Any:
    """Return strings and what is made of them with U+FFFD for what is no UTF-8, as pyelftools decodes most names."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return tuple(map(_replaced, value)) if isinstance(value, tuple) else value


def symbol_differences(images: Sequence[Image], data: bytes) -> tuple[str, ...]:
    """Return one line for each dynamic symbol that only one of the two readings has."""
    theirs = second_symbols(data)
    if theirs is None:
        return ("no second parser can read the file's symbols",)
    ours = symbols_of(images[0]) if images else frozenset()
    return tuple(
        [f"only ours: {symbol!r}" for symbol in sorted(ours - theirs)] + [f"only theirs: {symbol!r}" for symbol in sorted(theirs - ours)]
    )


def reading_of(image: Image) -> Reading:
    """Return our own reading in the same words."""
    facts = image.native
    rpath, runpath = (facts.rpath, facts.runpath) if isinstance(facts, ElfFacts) else (None, None)
    return Reading(tuple(need.name for need in image.needed), image.identity, rpath, runpath, image.version_needs)


def symbols_of(image: Image) -> frozenset[Symbol]:
    """Return our own symbols in the same words."""
    imported = (Symbol(i.name, False, "weak" if i.weak else "global", i.version, False) for i in image.symbols.imports())
    exported = (
        Symbol(e.name, True, "unique" if e.unique else "weak" if e.weak else "global", e.version, bool(e.version) and not e.default)
        for e in image.symbols.exports()
    )
    return frozenset((*imported, *exported))


def _pyelftools_errors() -> tuple[type[Exception], ...]:
    """Return what pyelftools raises for a file that it cannot read: for some damage it has no error of its own."""
    from elftools.common.exceptions import ELFError  # noqa: PLC0415  reading does not need it
    from elftools.construct.core import ConstructError  # noqa: PLC0415

    return ELFError, ConstructError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError


def _by_pyelftools(data: bytes) -> Reading | None:
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415  30 ms that reading does not need

    with io.BytesIO(data) as stream:  # closed, since what pyelftools makes refers to itself, and would keep the bytes
        return _reading(ELFFile(stream))


def _reading(elf: Any) -> Reading | None:
    elf.get_section = functools.cache(elf.get_section)  # it would make all of them anew for every one that it looks for
    segment = next((segment for segment in elf.iter_segments() if segment["p_type"] == "PT_DYNAMIC"), None)
    if segment is None:
        return Reading((), None, None, None, ())
    texts: dict[str, list[str]] = {}
    versioned = False
    for tag in segment.iter_tags():
        kind = str(tag.entry.d_tag)
        versioned |= kind == "DT_VERNEED"
        for name in ("needed", "soname", "rpath", "runpath"):
            if kind == f"DT_{name.upper()}":
                texts.setdefault(name, []).append(_text(getattr(tag, name)))
    sections = _versions_section(elf, ".gnu.version_r")
    if versioned and sections is None:
        return None
    needs = tuple(
        VersionNeed(_text(need.name), _text(asked.name), bool(asked["vna_flags"] & _WEAK_VERSION))
        for need, all_asked in (sections.iter_versions() if sections is not None else ())
        for asked in all_asked
    )
    last = {name: found[-1] for name, found in texts.items()}
    return Reading(tuple(texts.get("needed", ())), last.get("soname"), last.get("rpath"), last.get("runpath"), needs)


def _versions_section(elf: Any, name: str) -> Any:
    """Return a section by its name when it is of the type that the name promises: stripped files and lies have others."""
    section = elf.get_section_by_name(name)
    return section if section is not None and hasattr(section, "iter_versions") else None


def _text(value: str | bytes) -> str:
    """Return a string as ours are: pyelftools decodes with replacement in some places and not at all in others."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def symbols_by_pyelftools(data: bytes) -> frozenset[Symbol] | None:
    """Return the dynamic symbols in pyelftools's reading; None for a file without the section .dynsym."""
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    elf = ELFFile(io.BytesIO(data))
    table = elf.get_section_by_name(".dynsym")
    if table is None or not hasattr(table, "iter_symbols"):
        return None if any(segment["p_type"] == "PT_DYNAMIC" for segment in elf.iter_segments()) else frozenset()
    names = dict(_version_names(elf))
    numbers = elf.get_section_by_name(".gnu.version")
    return frozenset(_pyelftools_symbols(table, numbers, names))


def _pyelftools_symbols(table: Any, numbers: Any, names: dict[int, str]) -> Iterator[Symbol]:
    for index, symbol in enumerate(table.iter_symbols()):
        binding = _BINDINGS.get(str(symbol["st_info"]["bind"]))
        if not symbol.name or binding is None:
            continue
        defined = symbol["st_shndx"] != "SHN_UNDEF"
        absolute = symbol["st_shndx"] in ("SHN_ABS", _SHN_ABS)
        if defined and not _visible(str(symbol["st_info"]["type"]), str(symbol["st_other"]["visibility"]), symbol["st_value"] or absolute):
            continue
        number = numbers.get_symbol(index)["ndx"] if numbers is not None else 1
        raw = number if isinstance(number, int) else 0  # VER_NDX_LOCAL and VER_NDX_GLOBAL come as words
        version = names.get(raw & 0x7FFF, "").encode()
        hidden = bool(version) and defined and bool(raw & _HIDDEN_VERSION)
        yield Symbol(
            symbol.name.encode("utf-8", "surrogateescape"), defined, binding if defined or binding == "weak" else "global", version, hidden
        )


def _visible(kind: str, visibility: str, placed: Any) -> bool:
    """Tell whether a loader finds a defined symbol: glibc's do_lookup_x."""
    return kind not in ("STT_SECTION", "STT_FILE") and visibility in ("STV_DEFAULT", "STV_PROTECTED") and bool(placed or kind == "STT_TLS")


def _version_names(elf: Any) -> Iterator[tuple[int, str]]:
    wanted, defined = _versions_section(elf, ".gnu.version_r"), _versions_section(elf, ".gnu.version_d")
    for _, all_asked in wanted.iter_versions() if wanted is not None else ():
        yield from ((asked["vna_other"], _text(asked.name)) for asked in all_asked)
    for definition, names in defined.iter_versions() if defined is not None else ():
        if not definition["vd_flags"] & 1:  # VER_FLG_BASE
            yield definition["vd_ndx"], _text(next(names).name)


def _lief_binary(data: bytes) -> Any:
    """Return LIEF's reading of the file; None when it cannot, or is not installed."""
    try:
        import lief  # noqa: PLC0415  half a second, and an extra
    except ImportError:
        return None
    lief.logging.disable()
    return lief.ELF.parse(io.BytesIO(data))


def _by_lief(data: bytes) -> Reading | None:
    binary = _lief_binary(data)
    if binary is None:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # it warns of numbers that it has no name for
            return _lief_reading(binary)
    except UnicodeDecodeError:  # from names that are no UTF-8
        return None


def _lief_reading(binary: Any) -> Reading:
    import lief  # noqa: PLC0415

    tags = lief.ELF.DynamicEntry.TAG
    soname = [_text(entry.name) for entry in binary.dynamic_entries if entry.tag == tags.SONAME]
    rpath = [_text(entry.rpath) for entry in binary.dynamic_entries if entry.tag == tags.RPATH]
    runpath = [_text(entry.runpath) for entry in binary.dynamic_entries if entry.tag == tags.RUNPATH]
    needs = tuple(
        VersionNeed(_text(need.name), _text(asked.name), bool(asked.flags & _WEAK_VERSION))
        for need in binary.symbols_version_requirement
        for asked in need.get_auxiliary_symbols()
    )
    return Reading(tuple(_text(name) for name in binary.libraries), _last(soname), _last(rpath), _last(runpath), needs)


def _last(found: list[str]) -> str | None:
    return found[-1] if found else None


def symbols_by_lief(data: bytes) -> frozenset[Symbol] | None:
    """Return the dynamic symbols in LIEF's reading; None when it cannot read the file or is not installed."""
    binary = _lief_binary(data)
    if binary is None:
        return None
    with warnings.catch_warnings(action="ignore"):
        return frozenset(_lief_symbols(binary))


def _lief_symbols(binary: Any) -> Iterator[Symbol]:
    for symbol in binary.dynamic_symbols:
        binding = _LIEF_BINDINGS.get(int(getattr(symbol.binding, "value", symbol.binding)))
        name = symbol.name
        if not name or binding is None:
            continue
        defined = int(symbol.shndx) != 0
        visibility = _VISIBILITIES[int(symbol.other) & 3]
        if defined and not _visible(f"STT_{getattr(symbol.type, 'name', '')}", visibility, symbol.value or int(symbol.shndx) == _SHN_ABS):
            continue
        asked = symbol.symbol_version
        auxiliary = asked.symbol_version_auxiliary if asked is not None else None
        version = _text(auxiliary.name).encode() if auxiliary is not None else b""
        hidden = bool(version) and defined and bool(int(asked.value) & _HIDDEN_VERSION)
        yield Symbol(_raw(name), defined, binding if defined or binding == "weak" else "global", version, hidden)


def _raw(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
