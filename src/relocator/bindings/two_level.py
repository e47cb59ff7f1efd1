"""How dyld looks up a symbol.

In a two-level image each reference names one library by its position; that library has it, or one that it re-exports has, or dyld fails
(dyld4 Loader::hasExportedSymbol). A re-exported name leads on to another library, perhaps under another name. A reference by dynamic lookup
("<flat>"), and every one of an image that is not two-level, is looked for in all images of the process.

The system's libraries are among those, and what they export is not known. The linker would have bound a symbol to a library that the image
is linked with; one that is left to dynamic lookup can be in what such a library brings with it (a framework does), or in a system library
that another image of the load needs. libSystem brings libobjc and libc++ into every process.
"""

from relocator.bindings.scope import PLATFORM, PYTHON, UNBOUND, UNDECIDED, Context, Offer, c_name
from relocator.knowledge.libc_names import is_libc_name
from relocator.model import How, NeedKind
from relocator.native import MachOFacts

_HOPS = 16
"""Re-exports followed, one after the other."""

_EVERYWHERE = frozenset({"/usr/lib/libSystem.B.dylib", "/usr/lib/libobjc.A.dylib", "/usr/lib/libc++.1.dylib", "/usr/lib/libc++abi.dylib"})
"""What is in every process: it makes no difference who needs it."""

_APPLES = (
    *(b"objc_", b"OBJC_", b"_Block_", b"_NSConcrete", b"__cxa_", b"__gxx_"),
    *(b"_ZNSt", b"_ZNKSt", b"_ZSt", b"_ZTISt", b"_ZTVSt", b"_ZTIN10__cxx", b"_ZTVN10__cxx", b"_Zn", b"_Zd"),
    *(b"NS", b"CF", b"CG", b"kCF", b"kCG", b"dispatch_", b"xpc_", b"os_log", b"os_unfair", b"mach_", b"_dyld_"),
)
"""How names, as C spells them, start in libobjc, libc++ and libSystem, and in frameworks that some other image may have brought."""


def bind(context: Context, node: int) -> list[int]:
    """Return the answer for each of an image's references."""
    index = context.index
    image = index.nodes[node][1]
    sources = tuple(_source(context, node, library) for _, library in index.references[node].sources)
    flat = any(library == "<flat>" for _, library in index.references[node].sources)
    two_level = isinstance(image.native, MachOFacts) and image.native.two_level
    known = flat and two_level and not context.open and not _has_unknown_exports(context, index.nodes[node][0].path)
    key = node, context.load.arch, sources, known, context.scope if flat else ()
    if key not in index.memo:
        names, keys, _ = index.references[node]
        index.memo[key] = [
            _flat(context, name, known) if sources[k] is None else _exported(context, sources[k] or 0, name, _HOPS)
            for name, k in zip(names, keys, strict=True)
        ]
    return index.memo[key]


def _source(context: Context, node: int, library: str) -> int | None:
    """Return where a way of asking leads: the number of an image, PLATFORM, UNDECIDED; None for everywhere."""
    if library == "<flat>":
        return None
    if library == "<self>":
        return node
    return context.answer_of(context.index.nodes[node][0].path, library)


def _exported(context: Context, number: int, name: bytes, hops: int) -> int:
    """Return which image has a name that one image is asked for; UNBOUND when neither it nor what it re-exports has it."""
    if number < 0 or not hops:
        return number if number < 0 else UNDECIDED
    if context.of_python(c_name(name)) and not _offers(context, number, name):
        return PYTHON
    offers = _offers(context, number, name)
    if offers:
        return _followed(context, offers[0], hops) if offers[0][3] else number
    binary, image = context.index.nodes[number]
    answers = [
        _exported(context, context.answer_of(binary.path, need.name), name, hops - 1)
        for need in image.needed
        if need.kind == NeedKind.REEXPORT
    ]
    return max((answer for answer in answers if answer != UNBOUND), default=UNBOUND)


def _offers(context: Context, number: int, name: bytes) -> list[Offer]:
    known = [offer for offer in context.index.providers.get(name, ()) if offer[0] == number]
    if known or name in context.index.providers:
        return known
    # the name behind a re-export under another name is in nobody's references
    return [(number, b"", 0, export.forward) for export in context.index.nodes[number][1].symbols.defines({name})]


def _followed(context: Context, offer: Offer, hops: int) -> int:
    """Return which image a re-exported name leads to; the re-exporting one itself when the name stays the same there."""
    library, _, other = offer[3].partition(":")
    target = context.answer_of(context.index.nodes[offer[0]][0].path, library)
    return _exported(context, target, other.encode("utf-8", "surrogateescape"), hops - 1) if other else target


def _has_unknown_exports(context: Context, path: str) -> bool:
    """Tell whether a system library of the load may have what was left to dynamic lookup: a framework, or one that another image needs."""
    return any(
        resolution.how == How.PROMISED
        and resolution.needed.name not in _EVERYWHERE
        and (".framework/" in resolution.needed.name or resolution.importer != path)
        for resolution in context.load.resolutions
    )


def _flat(context: Context, name: bytes, known: bool) -> int:
    """Return who has a name that is looked for everywhere; `known` tells that all of what could have it is known."""
    offering = {offer[0] for offer in context.index.providers.get(name, ())}
    found = next((number for number in context.scope if number in offering), None)
    if found is not None:
        return found
    own = c_name(name)
    if context.of_python(own):
        return PYTHON
    if is_libc_name(own):
        return PLATFORM
    return UNBOUND if known and not own.startswith(_APPLES) else UNDECIDED


def blamed(context: Context, node: int, library: str) -> int:
    """Return the image that a reference names; UNDECIDED for a flat one."""
    return context.answer_of(context.index.nodes[node][0].path, library)
