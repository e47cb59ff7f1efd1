"""How vendored files are told apart: eight hexadecimal digits over what a file is and over all that it brings.

Equal bytes with equal needs get equal digits on every host, whatever folders the files came from and in whatever order they were found;
files that differ, or that bring different libraries, never share them.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from relocator.containers.wheel import installed_path
from relocator.model import Binary, Format
from relocator.repair.choosing import Brought
from relocator.repair.wiring import Link, Placed, Request, Taken
from relocator.repairs import Refusal, RepairOptions
from relocator.search_order import fits

LENGTH = 8
"""Hexadecimal digits of a name, unless two files agree in so many."""

_Node = TypeVar("_Node", bound=Hashable)


class Content(NamedTuple):
    """What the digits of one file are taken over."""

    sha256: str
    """Of the file as it was found."""
    stripped: bool
    needs: tuple[str, ...]
    """Keys of the vendored files that meet its needs, and paths of the files that do so and are not brought in."""


def digests(files: Mapping[str, Content]) -> dict[str, str]:
    """Return the digits of each file by its key; needs that are no keys stand for themselves.

    Files that need one another in a circle are hashed as one set. Equal digits mean equal bytes with equal needs.
    """
    return shortened(_whole(files))


def _whole(files: Mapping[str, Content]) -> dict[str, str]:
    whole: dict[str, str] = {}
    graph = {key: tuple(need for need in file.needs if need in files) for key, file in files.items()}
    for group in components(graph):
        inside = set(group)
        own = {key: _own(files[key], (whole.get(need, need) for need in files[key].needs if need not in inside)) for key in group}
        alone = len(group) == 1 and group[0] not in graph[group[0]]
        circle = "" if alone else _hash(*sorted(own.values()))
        whole.update((key, _hash(digest, circle)) for key, digest in own.items())
    return whole


def _own(file: Content, needs: Iterable[str]) -> str:
    return _hash(file.sha256, "stripped" if file.stripped else "whole", *sorted(set(needs)))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def shortened(whole: Mapping[str, str], length: int = LENGTH) -> dict[str, str]:
    """Return the first `length` digits of each; as many more as it takes for all those that would share them and are not equal."""
    groups: dict[str, set[str]] = {}
    for digest in whole.values():
        groups.setdefault(digest[:length], set()).add(digest)
    lengths = {start: _telling(group, length) for start, group in groups.items()}
    return {key: digest[: lengths[digest[:length]]] for key, digest in whole.items()}


def _telling(group: set[str], length: int) -> int:
    while len({digest[:length] for digest in group}) < len(group):
        length += 1
    return length


def components(graph: Mapping[_Node, Iterable[_Node]]) -> Iterator[tuple[_Node, ...]]:
    """Yield the strongly connected components, each after all that it leads to (Tarjan 1972, with a stack of its own)."""
    index: dict[_Node, int] = {}
    low: dict[_Node, int] = {}
    open_nodes: dict[_Node, None] = {}
    for start in graph:
        work = [(start, iter(graph[start]))] if start not in index else []
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                open_nodes[node] = None
            for other in rest:
                if other not in index:
                    work.append((other, iter(graph[other])))
                    break
                if other in open_nodes:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    yield _closed(open_nodes, node)


def _closed(open_nodes: dict[_Node, None], root: _Node) -> tuple[_Node, ...]:
    """Take a finished component off the stack."""
    found: list[_Node] = []
    while not found or found[-1] != root:
        found.append(open_nodes.popitem()[0])
    return tuple(found)


# ---- names


def base_name(binary: Binary) -> str:
    """Return the name that a vendored file has before its digits: the one that others need it by.

    ELF and Mach-O: that of its identity, which is the same wherever the file lies; a file without one, and every DLL, is called by the
    file's own name.
    """
    own = binary.member.replace("\\", "/").rpartition("/")[2]
    if binary.format == Format.PE:
        return own
    return (binary.images[0].identity or "").rpartition("/")[2] or own


def hashed_name(file_name: str, digest: str, binary_format: Format) -> str:
    """Return a file name with the digits in it: "libfoo-0123abcd.so.1.2", "libfoo-0123abcd.1.dylib", "foo.bar-0123abcd.dll".

    A name that has them there already stays as it is.
    """
    stem, ending = _split(file_name, binary_format)
    return file_name if stem.endswith(f"-{digest}") else f"{stem}-{digest}{ending}"


def _split(file_name: str, binary_format: Format) -> tuple[str, str]:
    """Split at the first dot, where versions begin; a DLL's name, whose version is part of the stem, at the last."""
    dot = file_name.rfind(".", 1) if binary_format == Format.PE else file_name.find(".", 1)
    return (file_name, "") if dot < 0 else (file_name[:dot], file_name[dot:])


def named(brought: Sequence[Brought], links: Sequence[Link], options: RepairOptions) -> tuple[tuple[Taken, ...], tuple[Link, ...]]:
    """Return the files that are brought in with their digits, and the links between what remains: equal files of one name are one."""
    needs: dict[str, list[str]] = {}
    for link in links:
        if link.target:
            needs.setdefault(link.importer, []).append(link.target)
    contents = {
        one.binary.path: Content(
            one.binary.sha256 or one.binary.member, is_stripped(one.binary, options), tuple(needs.get(one.binary.path, ()))
        )
        for one in brought
    }
    digest = digests(contents)
    equal: dict[tuple[str, str], list[Brought]] = {}
    for one in sorted(brought, key=lambda one: one.binary.path):
        equal.setdefault((digest[one.binary.path], base_name(one.binary)), []).append(one)
    first = {one.binary.path: group[0].binary.path for group in equal.values() for one in group}
    kept = tuple(
        link._replace(target=first.get(link.target, link.target))
        for link in links
        if first.get(link.importer, link.importer) == link.importer
    )
    needed = {link.target for link in kept}
    taken = [_taken(group, digest[group[0].binary.path], options, group[0].binary.path in needed) for group in equal.values()]
    return tuple(taken), kept


def is_stripped(binary: Binary, options: RepairOptions) -> bool:
    """Tell whether a file that is brought in loses what no loader needs."""
    return bool(options.strip) and binary.format == Format.ELF


def _taken(group: Sequence[Brought], digest: str, options: RepairOptions, needed: bool) -> Taken:
    """Return what is brought in. What was asked for keeps its name; but of a library that is needed, glibc would take the one that another
    package has loaded by that name, or give it to that one.
    """
    kind = group[0].binary.format
    wanted = any(one.wanted for one in group)
    names = [text for one in group for text in (base_name(one.binary), one.binary.member)]
    keeps = any(fits(pattern, name, fold_case=kind == Format.PE) for pattern in options.no_rename for name in names)
    opened = wanted and not (needed and kind == Format.ELF)
    return Taken(group[0].binary, group[0].via, digest, wanted, not (opened or keeps))


def collisions(request: Request, placed: Iterable[Placed]) -> Iterator[Refusal]:
    """Yield a reason for each name that two files would have, also where only the case differs; only kept names can collide."""
    kept = {item.binary.path for item in request.taken if not item.renamed}
    present = {installed_path(member.name).casefold() for member in request.survey.container.members}
    first: dict[str, str] = {}
    for path, member in placed:
        if (other := first.setdefault(member.casefold(), path)) != path:
            yield Refusal(f"{path} and {other} would both be {member}", "leave one of them out of --no-rename or --include")
        elif path in kept and installed_path(member).casefold() in present:
            yield Refusal(f"{path} would be {member}, which the wheel has already", "let it be renamed, or leave it out")
