"""How Windows looks up an import: by name or ordinal in the one module that the descriptor names; a forwarder leads on to another module
("module.symbol" or "module.#ordinal"), which the loader opens if it is not there (PE format, "Export Address Table").
"""

from relocator.bindings.scope import PLATFORM, UNBOUND, UNDECIDED, Context, Offer

_HOPS = 16
"""Forwarders followed, one after the other."""


def bind(context: Context, node: int) -> list[int]:
    """Return the answer for each of an image's references."""
    index = context.index
    path = index.nodes[node][0].path
    names, keys, libraries = index.references[node]
    sources = tuple(context.answer_of(path, library) for _, library in libraries)
    key = node, sources
    if key not in index.memo:
        index.memo[key] = [_exported(context, sources[k], name, _HOPS) for name, k in zip(names, keys, strict=True)]
    return index.memo[key]


def _exported(context: Context, number: int, name: bytes, hops: int) -> int:
    if number < 0 or not hops:
        return number if number < 0 else UNDECIDED
    offers = _offers(context, number, name)
    if not offers:
        return UNBOUND
    return _forwarded(context, offers[0], hops) if offers[0][3] else number


def _offers(context: Context, number: int, name: bytes) -> list[Offer]:
    known = [offer for offer in context.index.providers.get(name, ()) if offer[0] == number]
    if known or name in context.index.providers:
        return known
    # the name that a forwarder leads to is in nobody's references
    return [(number, b"", 0, export.forward) for export in context.index.nodes[number][1].symbols.defines({name})]


def _forwarded(context: Context, offer: Offer, hops: int) -> int:
    """Return which image a forwarder leads to; PLATFORM or UNDECIDED when its module is not among those of the load."""
    module, _, symbol = offer[3].rpartition(".")
    wanted = module.casefold()
    for number in context.scope:
        leaf = context.index.nodes[number][0].path.rpartition("/")[2].casefold()
        if wanted in (leaf, leaf.rpartition(".")[0]):
            return _exported(context, number, symbol.encode("utf-8", "surrogateescape"), hops - 1)
    promises = context.index.survey.promises_for(context.load.arch)
    return PLATFORM if promises and promises.knows(f"{module}.dll") else UNDECIDED


def blamed(context: Context, node: int, library: str) -> int:
    """Return the image that a descriptor names."""
    return context.answer_of(context.index.nodes[node][0].path, library)
