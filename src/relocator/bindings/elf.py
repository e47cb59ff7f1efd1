"""How glibc, musl and bionic look up a symbol.

The scope is the global one, then the root's breadth-first order; an image with DT_SYMBOLIC looks into itself first (glibc). The first
image that has an acceptable definition wins, strong or weak alike. Which one is acceptable (glibc, elf/dl-lookup.c, check_match and
do_lookup_x):

- a reference with a version takes a definition of that version, hidden or not, or one without a version that is not hidden;
- a reference without a version takes a definition without one, or of the file's first version, hidden or not; else the only definition
  in the file that is not hidden, and none when there are several.

A symbol that is not global to its file (local, hidden, internal) is never found; a protected one is found by others, and its own file does
not look for it. musl compares no versions and passes over hidden ones (ldso/dynlink.c, find_sym). Objects that an earlier load brought were
bound in that load's scope: each load is told as if it came first. A unique symbol (STB_GNU_UNIQUE) is in truth the process's first,
whichever load brought it. glibc aborts over a version asked of a file without any version table (DT_VERSYM); here it has the symbol.
"""

from collections.abc import Sequence

from relocator.bindings.scope import DEFAULT, FIRST, PLATFORM, PYTHON, UNBOUND, UNDECIDED, Context, Offer
from relocator.knowledge.libc_names import is_libc_name
from relocator.model import How, NeedKind
from relocator.native import ElfFacts

_VERSIONED = frozenset(
    {
        *("libc.so.6", "libm.so.6", "libmvec.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libanl.so.1"),
        *("libresolv.so.2", "libnsl.so.1", "libcrypt.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1", "libgomp.so.1"),
    }
)
"""Promised libraries that give every symbol a version: whoever was linked with them asks for it."""

_OF_CXX_RUNTIME = (
    b"_ZNSt",
    b"_ZNKSt",
    b"_ZSt",
    b"_ZTISt",
    b"_ZTVSt",
    b"_ZTSSt",
    b"_ZTIN10__cxx",
    b"_ZTVN10__cxx",
    b"_Zn",
    b"_Zd",
    b"_ZTIP",
)


def bind(context: Context, node: int) -> list[int]:
    """Return the answer for each of an image's references."""
    index = context.index
    image = index.nodes[node][1]
    symbolic = isinstance(image.native, ElfFacts) and image.native.symbolic and context.load.loader == "glibc"
    relevant = index.relevant(node)
    scope = [number for number in ([node] if symbolic else []) + list(context.scope) if number in relevant]
    key = node, context.load.loader, tuple(scope)
    if key not in index.memo:
        index.memo[key] = _looked_up(context, node, scope)
    found = index.memo[key]
    if min(found, default=0) >= 0:
        return found
    return _judged(context, node, found)


def _looked_up(context: Context, node: int, scope: Sequence[int]) -> list[int]:
    """Return the number of the image that has each reference, UNBOUND where none has."""
    index = context.index
    names, keys, sources = index.references[node]
    versions = [version for version, _ in sources]
    position: dict[int, int] = {}
    for place, number in enumerate(scope):
        position.setdefault(number, place)
    glibc = context.load.loader != "musl"
    get = index.providers.get
    known: dict[tuple[int, int], int] = {}
    """By identity: equal offers are one object (see Index)."""
    answers = []
    for name, key in zip(names, keys, strict=True):
        offers = get(name)
        answer = known.get((id(offers), key)) if offers else UNBOUND
        if offers and answer is None:
            answer = known[id(offers), key] = _chosen(offers, versions[key], position, glibc)
        answers.append(UNBOUND if answer is None else answer)
    return answers


def _chosen(offers: tuple[Offer, ...], version: bytes, position: dict[int, int], glibc: bool) -> int:
    """Return the image whose offer is taken; UNBOUND when none is."""
    best, best_place = UNBOUND, len(position) + 1
    for offer in offers:
        place = position.get(offer[0])
        if place is not None and place < best_place and (accepts(offer, version, offers) if glibc else offer[2] & DEFAULT):
            best, best_place = offer[0], place
    return best


def accepts(offer: Offer, version: bytes, offers: Sequence[Offer]) -> bool:
    """Tell whether glibc takes an offer for a reference with this version, b"" for none; `offers` are all of that name."""
    number, own, flags, _ = offer
    if version:
        return own == version or (not own and flags & DEFAULT != 0)
    if not own or flags & FIRST:
        return True
    return flags & DEFAULT != 0 and sum(1 for other in offers if other[0] == number and other[2] & DEFAULT) == 1


def _judged(context: Context, node: int, found: Sequence[int]) -> list[int]:
    """Return `found` with what no image of the load has told apart."""
    names, keys, sources = context.index.references[node]
    path = context.index.nodes[node][0].path
    by_source = [_of_version(context, path, version, library) for version, library in sources]
    return [
        answer if answer >= 0 else _unversioned(context, name) if by_source[key] == 0 else by_source[key]
        for name, key, answer in zip(names, keys, found, strict=True)
    ]


def _of_version(context: Context, path: str, version: bytes, library: str) -> int:
    """Return the answer for all symbols with a version that no image of the load has; 0 when they are to be judged by name."""
    if not version or not library or context.load.loader == "musl":
        return 0
    answer = context.answer_of(path, library)
    if answer != UNDECIDED:
        return PLATFORM if answer == PLATFORM else UNBOUND
    # glibc wants the file that the version names in the process, whoever needs it
    hows = {r.how for r in context.load.resolutions if r.needed.name == library}
    return PLATFORM if How.PROMISED in hows else UNDECIDED


def _unversioned(context: Context, name: bytes) -> int:
    if context.of_python(name):
        return PYTHON
    if context.open:
        return UNDECIDED
    if name.startswith(b"_Z"):  # none of the promised libraries is written in C++ but the runtime
        return UNDECIDED if name.startswith(_OF_CXX_RUNTIME) and "libstdc++.so.6" in context.promised else UNBOUND
    if is_libc_name(name):  # Python's own C library is in the global scope
        return PLATFORM
    if context.load.loader != "glibc":
        return UNDECIDED
    unknown = [library for library in context.promised if library not in _VERSIONED and not library.startswith(("ld-linux", "ld64.so"))]
    return UNDECIDED if unknown else UNBOUND


def blamed(context: Context, node: int, library: str) -> int:
    """Return the image that should have had symbols: the file that their version names; without one, the only own library needed."""
    path = context.index.nodes[node][0].path
    if library:
        return context.answer_of(path, library)
    needs = [context.answer_of(path, need.name) for need in context.index.nodes[node][1].needed if need.kind == NeedKind.REQUIRED]
    own = [number for number in needs if number >= 0]
    return own[0] if len(own) == 1 else UNDECIDED
